#include "httpserver/httpfield.h"

#include <errno.h>
#include <locale.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/testing.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define TOKEN_MARKS  "!#$%&'*+-.^_`|~"

enum { LONGEST = 70 };

/* The ends of two blocks of memory, behind which nothing can be read or written. */
static char *given_end, *copied_end;

static char *map_memory(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_true(memory != MAP_FAILED);
    assert_int_equal(mprotect(memory + page, page, PROT_NONE), 0);
    return memory + page;
}

static void map_both(void)
{
    if (given_end != NULL)
        return;
    given_end = map_memory();
    copied_end = map_memory();
}

static bool is_of_token(int byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           (byte != 0 && byte < 0x80 && strchr(TOKEN_MARKS, byte) != NULL);
}

static bool is_of_value(int byte)
{
    return byte == '\t' || (byte >= 0x20 && byte <= 0x7e) || byte >= 0x80;
}

/* Each byte at each place of texts of each length; the rest is usual. A copy writes neither before nor behind. */
static void try_all_bytes(char usual, bool (*is_of)(int), bool (*is)(const char *, size_t),
                          bool (*copy)(char *, const char *, size_t))
{
    for (size_t length = 1; length <= LONGEST; length++) {
        char *given = given_end - length, *copied = copied_end - length;
        memset(given, usual, length);
        for (size_t at = 0; at < length; at++) {
            for (int byte = 0; byte < 256; byte++) {
                given[at] = (char)byte;
                assert_int_equal(is(given, length), is_of(byte));
                copied[-1] = '#';
                assert_int_equal(copy(copied, given, length), is_of(byte));
                assert_true(!is_of(byte) || memcmp(copied, given, length) == 0);
                assert_true(copied[-1] == '#');
            }
            given[at] = usual;
        }
    }
}

/* A name and a value make a line; here one of them is always right. */

static bool copy_line_of_name(char *place, const char *name, size_t length)
{
    char line[LONGEST + sizeof "\0 value\0\n"];
    bool is_line = httpfield_copy(line, &(struct httpfield){ name, length, "value", 5 });

    assert_true(!is_line || memcmp(line + length, "\0 value\0\n", 9) == 0);
    memcpy(place, line, length);
    return is_line;
}

static bool copy_line_of_value(char *place, const char *value, size_t length)
{
    char line[LONGEST + sizeof "Name\0 \0\n"];
    bool is_line = httpfield_copy(line, &(struct httpfield){ "Name", 4, value, length });

    assert_true(!is_line || (memcmp(line, "Name\0 ", 6) == 0 && memcmp(line + 6 + length, "\0\n", 2) == 0));
    memcpy(place, line + 6, length);
    return is_line;
}

/* httputil_test:test_invalid_header_names */
static void a_name_is_a_token(void **state)
{
    map_both();
    try_all_bytes('x', is_of_token, httpfield_is_name, copy_line_of_name);
    try_all_bytes('7', is_of_token, httpfield_is_name, copy_line_of_name);
    assert_false(httpfield_is_name(given_end, 0));
    assert_false(copy_line_of_name(copied_end, given_end, 0));
}

/* httputil_test:test_forbidden_ascii_characters */
static void a_value_has_no_control_characters_but_tabs(void **state)
{
    map_both();
    try_all_bytes('x', is_of_value, httpfield_is_value, httpfield_copy_value);
    try_all_bytes('\t', is_of_value, httpfield_is_value, httpfield_copy_value);
    try_all_bytes('\xe9', is_of_value, httpfield_is_value, httpfield_copy_value);
    assert_true(httpfield_is_value(given_end, 0));
    assert_true(httpfield_copy_value(copied_end, given_end, 0));
    try_all_bytes('x', is_of_value, httpfield_is_value, copy_line_of_value);
    try_all_bytes('\t', is_of_value, httpfield_is_value, copy_line_of_value);
    assert_true(copy_line_of_value(copied_end, given_end, 0));
}

static int folded(int byte)
{
    return byte >= 'A' && byte <= 'Z' ? byte - 'A' + 'a' : byte;
}

static void assert_same_as_byte_by_byte(size_t length, size_t at)
{
    char *a = given_end - length, *b = copied_end - length;

    for (int one = 0; one < 256; one++) {
        for (int other = 0; other < 256; other++) {
            a[at] = (char)one;
            b[at] = (char)other;
            if (httpfield_is_same(a, b, length) != (folded(one) == folded(other)))
                fail_msg("%zu bytes, at %zu: %02x and %02x", length, at, (unsigned)one, (unsigned)other);
        }
    }
    a[at] = b[at] = 'x';
}

/* "[" and "{", "^" and "~", 0xC1 and 0xE1 differ as "A" and "a" do. */
static void only_ascii_letters_fold(void **state)
{
    static const size_t lengths[] = { 1, 2, 3, 4, 7, 8, 12, 15, 16, 17, 31, 32, 33, 49 };

    map_both();
    for (size_t i = 0; i < COUNT(lengths); i++) {
        size_t length = lengths[i];
        memset(given_end - length, 'x', length);
        memset(copied_end - length, 'X', length);
        assert_same_as_byte_by_byte(length, 0);
        assert_same_as_byte_by_byte(length, length / 2);
        assert_same_as_byte_by_byte(length, length - 1);
    }
}

static void every_byte_is_compared(void **state)
{
    map_both();
    for (size_t length = 1; length <= LONGEST; length++) {
        char *a = given_end - length, *b = copied_end - length;
        memset(a, 'x', length);
        memset(b, 'X', length);
        assert_true(httpfield_is_same(a, b, length));
        for (size_t at = 0; at < length; at++) {
            b[at] = 'y';
            assert_false(httpfield_is_same(a, b, length));
            b[at] = 'X';
        }
    }
}

/* Names that are written alike take another way than those that are not. */
static void every_byte_is_compared_of_what_looks_alike(void **state)
{
    map_both();
    for (size_t length = 1; length <= LONGEST; length++) {
        char *a = given_end - length, *b = copied_end - length;
        memset(a, 'x', length);
        memset(b, 'x', length);
        assert_true(httpfield_is_same(a, b, length));
        for (size_t at = 0; at < length; at++) {
            b[at] = 'y';
            assert_false(httpfield_is_same(a, b, length));
            b[at] = 'X';
            assert_true(httpfield_is_same(a, b, length));
            b[at] = 'x';
        }
    }
}

static void the_locale_has_no_say(void **state)
{
    static const char *const names[] = { "tr_TR.UTF-8", "en_US.ISO-8859-1", "C.UTF-8", "C" };

    for (size_t i = 0; i < COUNT(names); i++) {
        setlocale(LC_ALL, names[i]);
        assert_true(httpfield_is_same("ifI", "IFi", 3));
        assert_false(httpfield_is_same("\xe9", "\xc9", 1));
        assert_false(httpfield_is_name("caf\xe9", 4));
    }
}

struct line {
    const char *text;
    const char *name, *value; /* NULL: refused */
};

static void assert_line(const struct line *line)
{
    size_t length = strlen(line->text);
    const char *text = memcpy(given_end - length, line->text, length);
    struct httpfield field;
    ssize_t size = httpfield_read_line(text, length, &field);

    if (line->name == NULL) {
        assert_int_equal(size, -EINVAL);
        return;
    }
    assert_int_equal(size, strchr(line->text, '\n') - line->text + 1);
    assert_int_equal(field.name_length, strlen(line->name));
    assert_memory_equal(field.name, line->name, field.name_length);
    assert_int_equal(field.value_length, strlen(line->value));
    assert_memory_equal(field.value, line->value, field.value_length);
}

static void takes_a_line_apart(void **state)
{
    static const struct line lines[] = {
        { "a:b\r\n", "a", "b" },
        { "a: b\r\nc: d\r\n", "a", "b" },
        { "a: \t b \t c\t \r\n", "a", "b \t c" },
        { "a:\r\n", "a", "" },
        { "a: \t \r\n", "a", "" },
        { "a:b:c\r\n", "a", "b:c" },
        { "a :b\r\n", "a ", "b" },
        { ":b\r\n", "", "b" },
        { " a:b\r\n", " a", "b" },
        { "a:\xc2\xa0z\xc2\x85\r\n", "a", "\xc2\xa0z\xc2\x85" },
        { "a:\vb\f\r\n", "a", "\vb\f" },
        { "a:b\r\r\n", "a", "b\r" },
        { "", NULL, NULL },
        { "\n", NULL, NULL },
        { "\r\n", NULL, NULL },
        { "a:b", NULL, NULL },
        { "a:b\r", NULL, NULL },
        { "a:b\n", NULL, NULL },
        { "ab\r\n", NULL, NULL },
        { "ab\r\nc:d\r\n", NULL, NULL },
        { "a:b\nc:d\r\n", NULL, NULL },
    };

    map_both();
    for (size_t i = 0; i < COUNT(lines); i++)
        assert_line(&lines[i]);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_name_is_a_token),
    cmocka_unit_test(a_value_has_no_control_characters_but_tabs),
    cmocka_unit_test(only_ascii_letters_fold),
    cmocka_unit_test(every_byte_is_compared),
    cmocka_unit_test(every_byte_is_compared_of_what_looks_alike),
    cmocka_unit_test(the_locale_has_no_say),
    cmocka_unit_test(takes_a_line_apart),
};

TESTING_MAIN(tests)
