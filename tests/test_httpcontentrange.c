#include "httpclient/httpcontentrange.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "httpserver/httprange.h"
#include "tests/support/guardpage.h"
#include "tests/support/testing.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static int parse_content_range(const char *value, struct httpcontentrange *range)
{
    *range = (struct httpcontentrange){ .first = 4711, .length = 4711, .size = 4711 };
    return httpcontentrange_parse(guardpage_text(value, strlen(value) + 1), range);
}

static void parts_are_understood(void **state)
{
    static const struct {
        const char *value;
        uint64_t first, length, size;
        bool has_size;
    } rows[] = {
        { "bytes 0-9/100", 0, 10, 100, true },
        { "bytes 0-0/1", 0, 1, 1, true },
        { "bytes 42-1233/1234", 42, 1192, 1234, true }, /* RFC 9110 14.4 */
        { "bytes 42-1233/*", 42, 1192, 0, false },
        { "bytes */1234", 0, 0, 1234, true },
        { "bytes */0", 0, 0, 0, true },
        { "bytes 99-99/100", 99, 1, 100, true },
        { "bytes 007-0009/0010", 7, 3, 10, true },
        { "BYTES 0-9/100", 0, 10, 100, true },
        { "bYtEs */1", 0, 0, 1, true },
        { "bytes 0-9223372036854775806/9223372036854775807", 0, 9223372036854775807u, 9223372036854775807u, true },
        { "bytes 9223372036854775807-9223372036854775807/*", 9223372036854775807u, 1, 0, false },
        { "bytes 0-9223372036854775807/*", 0, 9223372036854775808u, 0, false },
    };
    struct httpcontentrange range;

    for (size_t i = 0; i < COUNT(rows); i++) {
        if (parse_content_range(rows[i].value, &range) != 0)
            fail_msg("%s is refused", rows[i].value);
        if (range.first != rows[i].first || range.length != rows[i].length || range.size != rows[i].size ||
            range.has_size != rows[i].has_size)
            fail_msg("%s: %llu, %llu bytes of %llu", rows[i].value, (unsigned long long)range.first,
                     (unsigned long long)range.length, (unsigned long long)range.size);
    }
}

static void what_is_not_in_the_grammar_is_refused(void **state)
{
    static const char *const values[] = {
        "",
        " ",
        "bytes",
        "bytes ",
        "bytes 0",
        "bytes 0-",
        "bytes 0-9",
        "bytes 0-9/",
        "bytes -9/100",
        "bytes 0-/100",
        "bytes /100",
        "bytes *",
        "bytes */",
        "bytes */*",
        "bytes **/1",
        "bytes 0-9/100 ",
        "bytes 0-9/100,",
        "bytes 0-9/100, 20-29/100",
        "bytes  0-9/100",
        "bytes\t0-9/100",
        " bytes 0-9/100",
        "bytes=0-9/100",
        "bytes: 0-9/100",
        "bytes 0 - 9/100",
        "bytes 0-9 /100",
        "bytes 0-9/ 100",
        "bytes +0-9/100",
        "bytes 0-9/+100",
        "bytes 0--9/100",
        "bytes 0-9/-1",
        "bytes 0x0-9/100",
        "bytes 0-9/1e2",
        "bytes 0-9/100*",
        "bytes 0-9/**",
        "bytes *-9/100",
        "bytes 0-*/100",
        "0-9/100",
        "b\xffytes 0-9/100",
    };
    struct httpcontentrange range;

    for (size_t i = 0; i < COUNT(values); i++) {
        if (parse_content_range(values[i], &range) != -EINVAL)
            fail_msg("\"%s\" is taken", values[i]);
        assert_true(range.first == 4711 && range.length == 4711 && range.size == 4711);
    }
    assert_int_equal(httpcontentrange_parse(NULL, &range), -EINVAL);
}

static void what_cannot_be_is_refused(void **state)
{
    static const char *const values[] = {
        "bytes 9-8/100",
        "bytes 1-0/*",
        "bytes 0-100/100",
        "bytes 0-0/0",
        "bytes 100-100/100",
        "bytes 0-9/9",
        "bytes 0-9223372036854775808/*",
        "bytes 9223372036854775808-9223372036854775808/*",
        "bytes 0-0/9223372036854775808",
        "bytes */9223372036854775808",
        "bytes 0-18446744073709551615/*",
        "bytes 0-18446744073709551616/*",
        "bytes 18446744073709551616-18446744073709551617/*",
        "bytes 0-9/18446744073709551616",
        "bytes 0-99999999999999999999999999999999999999999999999999999999/*",
    };
    struct httpcontentrange range;

    for (size_t i = 0; i < COUNT(values); i++) {
        if (parse_content_range(values[i], &range) != -EINVAL)
            fail_msg("\"%s\" is taken", values[i]);
    }
}

static void other_units_are_told_as_such(void **state)
{
    static const char *const values[] = { "lines 0-9/100", "byte 0-9/100", "bytess 0-9/100", "x y", "none " };
    struct httpcontentrange range;

    for (size_t i = 0; i < COUNT(values); i++)
        assert_int_equal(parse_content_range(values[i], &range), -ENOTSUP);
}

static void each_prefix_is_refused_or_shorter(void **state)
{
    static const char whole[] = "bytes 10-19/200";
    struct httpcontentrange range;

    for (size_t length = 0; length < sizeof whole - 1; length++) {
        char prefix[sizeof whole];
        memcpy(prefix, whole, length);
        prefix[length] = '\0';
        bool is_taken = parse_content_range(prefix, &range) == 0;
        assert_int_equal(is_taken, length >= sizeof whole - 2); /* "/20" */
    }
}

/* What this library's servers write. */
static void what_httprange_formats_is_understood(void **state)
{
    static const uint64_t numbers[] = { 0, 1, 9, 10, 255, 65536, 4294967295u, 4294967296u, 9223372036854775000u };
    char place[HTTPRANGE_SIZE];
    struct httpcontentrange range;

    for (size_t i = 0; i < COUNT(numbers); i++) {
        for (size_t j = 0; j < COUNT(numbers); j++) {
            uint64_t size = numbers[i], first = numbers[j];
            if (first >= size)
                continue;
            httprange_format(place, first, size - first, size);
            assert_int_equal(parse_content_range(place, &range), 0);
            assert_true(range.first == first && range.length == size - first && range.size == size && range.has_size);
        }
        httprange_format(place, 0, 0, numbers[i]);
        assert_int_equal(parse_content_range(place, &range), 0);
        assert_true(range.length == 0 && range.size == numbers[i] && range.has_size);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(parts_are_understood),
    cmocka_unit_test(what_is_not_in_the_grammar_is_refused),
    cmocka_unit_test(what_cannot_be_is_refused),
    cmocka_unit_test(other_units_are_told_as_such),
    cmocka_unit_test(each_prefix_is_refused_or_shorter),
    cmocka_unit_test(what_httprange_formats_is_understood),
};

TESTING_MAIN(tests)
