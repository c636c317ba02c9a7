#include "httpserver/httpform.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "httpserver/httparguments.h"
#include "ioloop/ioalloc.h"
#include "tests/support/faults.h"
#include "tests/support/guardpage.h"
#include "tests/support/testing.h"

#define COUNT(array)     (sizeof(array) / sizeof *(array))
#define TYPE             "multipart/form-data; boundary=1234"
#define PART(parameters) "--1234\r\nContent-Disposition: form-data; " parameters "\r\n\r\n"
#define END              "\r\n--1234--\r\n"

struct parsed {
    struct httparguments fields;
    struct httpform_files files;
    const char *reason;
};

static int parse(struct parsed *parsed, const char *body, size_t length)
{
    *parsed = (struct parsed){ .reason = "?" };
    return httpform_parse(TYPE, body, length, NULL, &parsed->fields, &parsed->files, &parsed->reason);
}

static void free_parsed(struct parsed *parsed)
{
    httparguments_free(&parsed->fields);
    httpform_files_free(&parsed->files);
}

static void assert_field(const struct parsed *parsed, size_t index, const char *name, const char *value, size_t length)
{
    const struct httpargument *field = httparguments_at(&parsed->fields, index);

    assert_non_null(field);
    assert_string_equal(field->name, name);
    assert_int_equal(field->value_length, length);
    assert_memory_equal(field->value, value, length);
}

static void assert_file(const struct parsed *parsed, size_t index, struct httpform_file wanted)
{
    const struct httpform_file *file = httpform_files_at(&parsed->files, index);

    assert_non_null(file);
    assert_string_equal(file->name, wanted.name);
    assert_string_equal(file->filename, wanted.filename);
    assert_string_equal(file->content_type, wanted.content_type);
    assert_int_equal(file->length, wanted.length);
    assert_memory_equal(file->body, wanted.body, wanted.length);
}

/* The body of HTTPConnectionTest's test_multipart_form, and more. */
static void puts_fields_and_files_where_they_belong(void **state)
{
    static const char body[] =
        PART("name=\"argument\"") "\xc3\xa1\r\n" PART("name=\"files\"; filename=\"\xc3\xb3\"") "\xc3\xba\r\n" PART(
            "name=argument") "\r\n\0\r\n" PART("name=none; filename=\"\"") "\r\n--1234\r\n"
                                                                           "Content-Type: "
                                                                           "image/png\r\nContent-Disposition: "
                                                                           "form-data; name=files; "
                                                                           "filename=x.png\r\n\r\n\x89\0PNG\r\n" PART(
                                                                               "name=files; filename=empty") END;
    struct parsed parsed;
    const char *given = guardpage_text(body, sizeof body - 1);

    assert_int_equal(parse(&parsed, given, sizeof body - 1), 0);
    assert_null(parsed.reason);
    assert_int_equal(httparguments_count(&parsed.fields), 3);
    assert_field(&parsed, 0, "argument", "\xc3\xa1", 2);
    assert_field(&parsed, 1, "argument", "\r\n\0", 3);
    assert_field(&parsed, 2, "none", "", 0);
    assert_int_equal(httpform_files_count(&parsed.files), 3);
    assert_file(&parsed, 0, (struct httpform_file){ "files", "\xc3\xb3", "application/unknown", "\xc3\xba", 2 });
    assert_file(&parsed, 1, (struct httpform_file){ "files", "x.png", "image/png", "\x89\0PNG", 5 });
    assert_file(&parsed, 2, (struct httpform_file){ "files", "empty", "application/unknown", "", 0 });
    assert_string_equal(httpform_files_at(&parsed.files, 2)->body, "");
    assert_null(httpform_files_at(&parsed.files, 3));
    const char *png = httpform_files_at(&parsed.files, 1)->body;
    assert_true(png > given && png < given + sizeof body); /* no copy */
    free_parsed(&parsed);
}

static void an_empty_list_has_nothing(void **state)
{
    struct httpform_files files = { 0 };

    assert_int_equal(httpform_files_count(&files), 0);
    assert_null(httpform_files_at(&files, 0));
    httpform_files_free(&files);
}

static void adds_to_what_is_there(void **state)
{
    static const char body[] = PART("name=a") "1\r\n" PART("name=b; filename=c") "2" END;
    struct parsed parsed;

    assert_int_equal(parse(&parsed, body, sizeof body - 1), 0);
    for (int i = 0; i < 9; i++)
        assert_int_equal(httpform_parse(TYPE, body, sizeof body - 1, NULL, &parsed.fields, &parsed.files, NULL), 0);
    assert_int_equal(httparguments_count(&parsed.fields), 10);
    assert_int_equal(httpform_files_count(&parsed.files), 10);
    for (size_t i = 0; i < 10; i++)
        assert_file(&parsed, i, (struct httpform_file){ "b", "c", "application/unknown", "2", 1 });
    httpform_files_free(&parsed.files);
    assert_int_equal(httpform_files_count(&parsed.files), 0);
    free_parsed(&parsed);
}

static void says_what_is_wrong(void **state)
{
    static const struct {
        const char *content_type;
        const char *body;
        int error;
        const char *reason;
    } rows[] = {
        { "text/plain", "", -EINVAL, "not multipart/form-data, or without a valid boundary" },
        { TYPE, "", -EINVAL, "the last boundary is missing" },
        { TYPE, PART("name=a") "1", -EINVAL, "the last boundary is missing" },
        { TYPE, PART("x=a") "1" END, -EINVAL, "part without a name" },
        { TYPE, PART("name=a") "1\r\n" PART("name=b") "2\r\n" PART("name=c") "3" END, -ENOBUFS, "too many parts" },
    };
    const struct httpform_limits limits = { .parts = 2 };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct parsed parsed = { 0 };
        size_t length = strlen(rows[i].body);
        assert_int_equal(httpform_parse(rows[i].content_type, rows[i].body, length, &limits, &parsed.fields,
                                        &parsed.files, &parsed.reason),
                         rows[i].error);
        assert_string_equal(parsed.reason, rows[i].reason);
        assert_int_equal(
            httpform_parse(rows[i].content_type, rows[i].body, length, &limits, &parsed.fields, &parsed.files, NULL),
            rows[i].error);
        free_parsed(&parsed);
    }
}

/* A field, or a file, of so many bytes. */
static int parse_part_of(const char *begin, size_t size, struct parsed *parsed)
{
    size_t length = strlen(begin) + size + strlen(END);
    char *body = malloc(length);
    int result;

    assert_non_null(body);
    memcpy(body, begin, strlen(begin));
    memset(body + strlen(begin), 'x', size);
    memcpy(body + strlen(begin) + size, END, strlen(END));
    result = parse(parsed, body, length);
    if (result == 0 && httpform_files_count(&parsed->files) > 0)
        assert_int_equal(httpform_files_at(&parsed->files, 0)->length, size);
    free(body);
    return result;
}

static void limits_the_size_of_fields_alone(void **state)
{
    struct parsed parsed;

    assert_int_equal(HTTPFORM_MAX_FIELD, 64 * 1024);
    assert_int_equal(parse_part_of(PART("name=a"), HTTPFORM_MAX_FIELD, &parsed), 0);
    assert_int_equal(httparguments_at(&parsed.fields, 0)->value_length, HTTPFORM_MAX_FIELD);
    free_parsed(&parsed);
    assert_int_equal(parse_part_of(PART("name=a"), HTTPFORM_MAX_FIELD + 1, &parsed), -ENOBUFS);
    assert_string_equal(parsed.reason, "field too long");
    assert_int_equal(httparguments_count(&parsed.fields), 0);
    free_parsed(&parsed);
    assert_int_equal(parse_part_of(PART("name=a; filename=\"\""), HTTPFORM_MAX_FIELD + 1, &parsed), -ENOBUFS);
    free_parsed(&parsed);
    assert_int_equal(parse_part_of(PART("name=a; filename=b"), 8 * HTTPFORM_MAX_FIELD, &parsed), 0);
    free_parsed(&parsed);
}

#define FILES PART("name=b; filename=d") "3\r\n" PART("name=b; filename=e") "4\r\n"

static void loses_nothing_without_memory(void **state)
{
    static const char body[] = PART("name=a") "1\r\n" PART("name=b; filename=c") "2\r\n" FILES FILES END;
    struct parsed parsed;
    long before = faults_allocated();
    int nth = 0, error;

    do {
        faults_allocation(++nth, false);
        error = parse(&parsed, body, sizeof body - 1);
        assert_true(error == 0 || error == -ENOMEM);
        if (error != 0)
            assert_string_equal(parsed.reason, "no memory");
        free_parsed(&parsed);
        assert_int_equal(faults_allocated(), before);
    } while (error != 0);
    faults_end();
    assert_true(nth > 3 + 1 + 5 + 2); /* the form, a field, five files and their list, twice */
}

/* Names of files. */

static void assert_basename(const char *filename, const char *wanted)
{
    char *name = httpform_basename(filename);

    assert_non_null(name);
    assert_string_equal(name, wanted);
    ioalloc_free(name);
}

static void a_basename_is_no_path(void **state)
{
    static const char *const rows[][2] = {
        { "a", "a" },
        { "ab.txt", "ab.txt" },
        { "../../x", "x" },
        { "/etc/passwd", "passwd" },
        { "C:\\dir\\x.txt", "x.txt" },
        { "C:\\dir/x\\y", "y" },
        { "\\\\server\\share\\z", "z" },
        { "/\\/a", "a" },
        { "...", "..." },
        { ".a", ".a" },
        { "..a", "..a" },
        { "a..", "a.." },
        { "a\nb\r\x01\x1f\x7f", "ab" },
        { "\x01/\x02"
          "a",
          "a" },
        { "\xe6\xb5\x8b\xe8\xaf\x95.txt", "\xe6\xb5\x8b\xe8\xaf\x95.txt" },
        { "a b;c\"", "a b;c\"" },
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        assert_basename(rows[i][0], rows[i][1]);
}

static void refuses_names_of_which_nothing_is_left(void **state)
{
    static const char *const rows[] = {
        "", "/", "a/", "a\\", "..", ".", "../..", "a/..", "a\\.", "\x01", ".\x01", "\x7f.\n.", "a/\t",
    };
    long before = faults_allocated();

    for (size_t i = 0; i < COUNT(rows); i++) {
        errno = 0;
        if (httpform_basename(rows[i]) != NULL)
            fail_msg("%s", rows[i]);
        assert_int_equal(errno, EINVAL);
    }
    assert_int_equal(faults_allocated(), before);
}

static void refuses_names_that_are_too_long(void **state)
{
    static char name[10240];

    memset(name, 'x', sizeof name - 1);
    errno = 0;
    assert_null(httpform_basename(name));
    assert_int_equal(errno, ENAMETOOLONG);
    name[256] = '\0';
    assert_null(httpform_basename(name));
    assert_int_equal(errno, ENAMETOOLONG);
    name[100] = '\n'; /* one less */
    char *longest = httpform_basename(name);
    assert_non_null(longest);
    assert_int_equal(strlen(longest), 255);
    ioalloc_free(longest);
    name[100] = '/';
    assert_basename(name, name + 101);
    faults_allocation(1, false);
    errno = 0;
    assert_null(httpform_basename("a"));
    assert_int_equal(errno, ENOMEM);
    faults_end();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(puts_fields_and_files_where_they_belong),
    cmocka_unit_test(an_empty_list_has_nothing),
    cmocka_unit_test(adds_to_what_is_there),
    cmocka_unit_test(says_what_is_wrong),
    cmocka_unit_test(limits_the_size_of_fields_alone),
    cmocka_unit_test(loses_nothing_without_memory),
    cmocka_unit_test(a_basename_is_no_path),
    cmocka_unit_test(refuses_names_of_which_nothing_is_left),
    cmocka_unit_test(refuses_names_that_are_too_long),
};

TESTING_MAIN(tests)
