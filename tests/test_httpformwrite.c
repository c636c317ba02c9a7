#include "httpserver/httpformlayer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "httpserver/httparguments.h"
#include "ioloop/kernel.h"

/* The source with a kernel that can be out of random bytes. */
static int random_error;
static int kernel_random_of_test(void *bytes, size_t size)
{
    return random_error < 0 ? random_error : kernel_random(bytes, size);
}
#define kernel_random kernel_random_of_test
#include "httpserver/httpformwrite.c"
#undef kernel_random

#include "tests/support/faults.h"
#include "tests/support/testing.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void assert_body(struct iobuffer *body, const char *wanted, size_t length)
{
    assert_int_equal(iobuffer_length(body), length);
    assert_memory_equal(iobuffer_data(body), wanted, length);
}

static void writes_what_browsers_write(void **state)
{
    static const struct httpform_file parts[] = {
        { .name = "a", .body = "1", .length = 1 },
        { .name = "b", .filename = "c.txt", .content_type = "text/plain", .body = "x\0y", .length = 3 },
        { .name = "d", .filename = "" },
        { .name = "e", .content_type = "application/json", .body = "{}", .length = 2 },
    };
    static const char wanted[] = "--xyz\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n"
                                 "--xyz\r\nContent-Disposition: form-data; name=\"b\"; filename=\"c.txt\"\r\n"
                                 "Content-Type: text/plain\r\n\r\nx\0y\r\n"
                                 "--xyz\r\nContent-Disposition: form-data; name=\"d\"; filename=\"\"\r\n"
                                 "Content-Type: application/octet-stream\r\n\r\n\r\n"
                                 "--xyz\r\nContent-Disposition: form-data; name=\"e\"\r\n"
                                 "Content-Type: application/json\r\n\r\n{}\r\n"
                                 "--xyz--\r\n";
    struct iobuffer *body = NULL;

    assert_int_equal(httpform_encode(&body, "xyz", parts, COUNT(parts)), 0);
    assert_body(body, wanted, sizeof wanted - 1);
    assert_int_equal(httpform_encode(&body, "xyz", NULL, 0), 0);
    iobuffer_consume(&body, sizeof wanted - 1);
    assert_body(body, "--xyz--\r\n", 9);
    iobuffer_free(&body);
}

static void no_name_can_leave_its_quotes(void **state)
{
    static const char *const rows[][2] = {
        { "a\"\r\nX: y", "a%22%0D%0AX: y" },
        { "\r", "%0D" },
        { "\n\n", "%0A%0A" },
        { "\\a", "\\a" },
        { "a\\\"", "a\\%22" },
        { "C:\\d", "C:\\d" },
        { "\\\\a\\b", "\\\\a\\b" },
        { "%22", "%22" },
        { "a\tb", "a\tb" },
        { "; filename=x", "; filename=x" },
        { "\xc3\xa9\xff", "\xc3\xa9\xff" },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct iobuffer *body = NULL;
        char wanted[512];
        int length = snprintf(wanted, sizeof wanted,
                              "--b\r\nContent-Disposition: form-data; name=\"%s\"; filename=\"%s\"\r\n"
                              "Content-Type: a/b\r\n\r\n\r\n--b--\r\n",
                              rows[i][1], rows[i][1]);
        const struct httpform_file part = { .name = rows[i][0], .filename = rows[i][0], .content_type = "a/b" };
        assert_int_equal(httpform_encode(&body, "b", &part, 1), 0);
        assert_body(body, wanted, (size_t)length);
        iobuffer_free(&body);
    }
}

static void assert_refused(const char *boundary, struct httpform_file bad)
{
    const struct httpform_file parts[] = { { .name = "a" }, bad };
    struct iobuffer *body = NULL;

    assert_int_equal(httpform_encode(&body, boundary, parts, 2), -EINVAL);
    assert_null(body);
}

static void refuses_what_a_reader_would_refuse(void **state)
{
    static const char *const boundaries[] = { "", "a ", "a\r\nb", "a\"b", "a*b", "\xc3\xa9" };
    char too_long[72];

    for (size_t i = 0; i < COUNT(boundaries); i++)
        assert_refused(boundaries[i], (struct httpform_file){ .name = "b" });
    memset(too_long, 'a', 71);
    too_long[71] = '\0';
    assert_refused(too_long, (struct httpform_file){ .name = "b" });
    assert_refused("x", (struct httpform_file){ .name = "" });
    assert_refused("x", (struct httpform_file){ .name = "a\\" });
    assert_refused("x", (struct httpform_file){ .name = "a", .filename = "\\\\" });
    for (int byte = 1; byte < 0x80; byte++) {
        const char text[] = { 'a', (char)byte, '\0' };
        if (byte == '\t' || (byte >= 0x20 && byte < 0x7f))
            continue;
        assert_refused("x", (struct httpform_file){ .name = "b", .content_type = text });
        if (byte == '\r' || byte == '\n')
            continue;
        assert_refused("x", (struct httpform_file){ .name = text });
        assert_refused("x", (struct httpform_file){ .name = "b", .filename = text });
    }
    assert_refused("x", (struct httpform_file){ .name = "b", .content_type = "" });
}

/* What is read is what was written, but for the three bytes that stay escaped. */
static void is_read_by_the_parser(void **state)
{
    static const struct httpform_file parts[] = {
        { .name = "a \\ \\b", .body = "1\r\n--", .length = 5 },
        { .name = "\\server\\x", .filename = "C:\\a\\b", .content_type = "a/b", .body = "\r\n", .length = 2 },
        { .name = "c\"", .filename = "; name=\"evil\"", .body = "", .length = 0 },
    };
    struct httparguments fields = { 0 };
    struct httpform_files files = { 0 };
    struct iobuffer *body = NULL;
    char boundary[HTTPFORM_BOUNDARY + 1], type[128];

    assert_int_equal(httpform_boundary(boundary), 0);
    snprintf(type, sizeof type, "multipart/form-data; boundary=%s", boundary);
    assert_int_equal(httpform_encode(&body, boundary, parts, COUNT(parts)), 0);
    assert_int_equal(httpform_parse(type, iobuffer_data(body), iobuffer_length(body), NULL, &fields, &files, NULL), 0);
    assert_int_equal(httparguments_count(&fields), 1);
    assert_string_equal(httparguments_at(&fields, 0)->name, parts[0].name);
    assert_memory_equal(httparguments_at(&fields, 0)->value, parts[0].body, parts[0].length + 1);
    assert_int_equal(httpform_files_count(&files), 2);
    assert_string_equal(httpform_files_at(&files, 0)->name, parts[1].name);
    assert_string_equal(httpform_files_at(&files, 0)->filename, parts[1].filename);
    assert_string_equal(httpform_files_at(&files, 0)->content_type, "a/b");
    assert_int_equal(httpform_files_at(&files, 0)->length, 2);
    assert_string_equal(httpform_files_at(&files, 1)->name, "c%22");
    assert_string_equal(httpform_files_at(&files, 1)->filename, "; name=%22evil%22");
    httpform_files_free(&files);
    httparguments_free(&fields);
    iobuffer_free(&body);
}

static void changes_nothing_without_memory(void **state)
{
    const struct httpform_file part = { .name = "a", .body = "1", .length = 1 };
    const struct httpform_file large[] = { { .name = "a", .body = "1", .length = SIZE_MAX / 2 },
                                           { .name = "a", .body = "1", .length = SIZE_MAX / 2 } };
    struct iobuffer *body = NULL;

    faults_allocation(1, false);
    assert_int_equal(httpform_encode(&body, "b", &part, 1), -ENOMEM);
    faults_end();
    assert_null(body);
    assert_int_equal(iobuffer_append(&body, "abc", 3), 0);
    assert_int_equal(httpform_encode(&body, "b", large, 1), -ENOMEM);
    assert_int_equal(httpform_encode(&body, "b", large, 2), -ENOMEM); /* more than a size_t counts */
    assert_body(body, "abc", 3);
    iobuffer_free(&body);
}

static void boundaries_are_random(void **state)
{
    char boundaries[64][HTTPFORM_BOUNDARY + 1];
    unsigned seen[16] = { 0 };

    for (size_t i = 0; i < COUNT(boundaries); i++) {
        memset(boundaries[i], '#', sizeof boundaries[i]);
        assert_int_equal(httpform_boundary(boundaries[i]), 0);
        assert_int_equal(strlen(boundaries[i]), HTTPFORM_BOUNDARY);
        assert_int_equal(strspn(boundaries[i], "0123456789abcdef"), HTTPFORM_BOUNDARY);
        assert_true(httpform_is_boundary(boundaries[i], HTTPFORM_BOUNDARY));
        size_t twins = 0; /* both halves of a byte are in it */
        for (size_t j = 0; j < HTTPFORM_BOUNDARY; j += 2)
            twins += boundaries[i][j] == boundaries[i][j + 1];
        assert_true(twins < HTTPFORM_BOUNDARY / 2);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(boundaries[i], boundaries[j]);
        for (const char *at = boundaries[i]; *at != '\0'; at++)
            seen[*at >= 'a' ? *at - 'a' + 10 : *at - '0']++;
    }
    for (size_t i = 0; i < COUNT(seen); i++)
        assert_in_range(seen[i], 50, 220); /* 128 expected: over six deviations away */
}

/* B7 */
static void a_form_is_written_with_its_content_type(void **state)
{
    static const struct httpform_file parts[] = {
        { .name = "a", .body = "1", .length = 1 },
        { .name = "f", .filename = "a\"\r\nX: y", .body = "--x\r\n", .length = 5 },
    };
    struct httpform_body body, other;
    struct httparguments fields = { 0 };
    struct httpform_files files = { 0 };

    assert_int_equal(httpform_write(parts, COUNT(parts), &body), 0);
    assert_int_equal(httpform_write(parts, COUNT(parts), &other), 0);
    assert_int_equal(strlen(body.content_type), sizeof "multipart/form-data; boundary=" - 1 + HTTPFORM_BOUNDARY);
    assert_string_not_equal(body.content_type, other.content_type);
    assert_int_equal(httpform_parse(body.content_type, body.bytes, body.length, NULL, &fields, &files, NULL), 0);
    assert_int_equal(httparguments_count(&fields), 1);
    assert_string_equal(httparguments_at(&fields, 0)->value, "1");
    assert_int_equal(httpform_files_count(&files), 1);
    assert_string_equal(httpform_files_at(&files, 0)->filename, "a%22%0D%0AX: y");
    assert_string_equal(httpform_files_at(&files, 0)->content_type, "application/octet-stream");
    assert_int_equal(httpform_files_at(&files, 0)->length, 5);
    httpform_files_free(&files);
    httparguments_free(&fields);
    ioalloc_free(body.bytes);
    ioalloc_free(other.bytes);
    assert_int_equal(httpform_write(NULL, 0, &body), 0);
    assert_int_equal(body.length, sizeof "------\r\n" - 1 - 2 + HTTPFORM_BOUNDARY);
    ioalloc_free(body.bytes);
}

static void nothing_is_written_of_a_form_that_cannot_be(void **state)
{
    const struct httpform_file part = { .name = "a", .body = "1", .length = 1 }, nameless = { .name = "" };
    const struct httpform_file large[] = { { .name = "a", .body = "1", .length = SIZE_MAX - 1 },
                                           { .name = "a", .body = "1", .length = SIZE_MAX / 2 } };
    struct httpform_body body = { .bytes = NULL, .length = 7 };

    assert_int_equal(httpform_write(&nameless, 1, &body), -EINVAL);
    assert_int_equal(httpform_write(&large[0], 1, &body), -ENOMEM);
    assert_int_equal(httpform_write(&large[1], 1, &body), -ENOMEM);
    faults_allocation(1, false);
    assert_int_equal(httpform_write(&part, 1, &body), -ENOMEM);
    faults_end();
    random_error = -EIO;
    assert_int_equal(httpform_write(&part, 1, &body), -EIO);
    random_error = 0;
    assert_null(body.bytes);
    assert_int_equal(body.length, 7);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(writes_what_browsers_write),
    cmocka_unit_test(no_name_can_leave_its_quotes),
    cmocka_unit_test(refuses_what_a_reader_would_refuse),
    cmocka_unit_test(is_read_by_the_parser),
    cmocka_unit_test(changes_nothing_without_memory),
    cmocka_unit_test(boundaries_are_random),
    cmocka_unit_test(a_form_is_written_with_its_content_type),
    cmocka_unit_test(nothing_is_written_of_a_form_that_cannot_be),
};

TESTING_MAIN(tests)
