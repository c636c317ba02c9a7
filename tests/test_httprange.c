#include "httpserver/httprange.h"

#include <string.h>

#include "tests/support/guardpage.h"
#include "tests/support/testing.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static enum httprange_outcome parse_range(const char *value, uint64_t size, uint64_t *first, uint64_t *length)
{
    *first = *length = 4711;
    return httprange_parse(guardpage_text(value, strlen(value) + 1), size, first, length);
}

static void assert_whole(const char *value, uint64_t size)
{
    uint64_t first, length;

    if (parse_range(value, size, &first, &length) != HTTPRANGE_WHOLE)
        fail_msg("%s of %llu is not all", value, (unsigned long long)size);
    assert_true(first == 0 && length == size);
}

static void assert_unsatisfiable(const char *value, uint64_t size)
{
    uint64_t first, length;

    if (parse_range(value, size, &first, &length) != HTTPRANGE_UNSATISFIABLE)
        fail_msg("%s of %llu can be satisfied", value, (unsigned long long)size);
    assert_true(first == 0 && length == 0);
}

static void assert_part(const char *value, uint64_t size, uint64_t wanted_first, uint64_t wanted_length)
{
    uint64_t first, length;

    if (parse_range(value, size, &first, &length) != HTTPRANGE_PART)
        fail_msg("%s of %llu is no part", value, (unsigned long long)size);
    if (first != wanted_first || length != wanted_length)
        fail_msg("%s of %llu: %llu, %llu bytes", value, (unsigned long long)size, (unsigned long long)first,
                 (unsigned long long)length);
}

static void answers_one_part(void **state)
{
    assert_part("bytes=0-9", 26, 0, 10); /* the ranges of Tornado's StaticFileTest, too */
    assert_part("bytes=0-0", 26, 0, 1);
    assert_part("bytes=1-", 26, 1, 25);
    assert_part("bytes=25-", 26, 25, 1);
    assert_part("bytes=25-25", 26, 25, 1);
    assert_part("bytes=22-25", 26, 22, 4);
    assert_part("bytes=0-24", 26, 0, 25);
    assert_part("bytes=1-25", 26, 1, 25);
    assert_part("bytes=-4", 26, 22, 4);
    assert_part("bytes=-1", 26, 25, 1);
    assert_part("bytes=-25", 26, 1, 25);
    assert_part("BYTES=0-9", 26, 0, 10); /* RFC 9110 14.1: case-insensitive */
    assert_part("bYtEs=007-0009", 26, 7, 3);
}

static void clips_what_lies_behind_the_end(void **state)
{
    assert_part("bytes=1-26", 26, 1, 25);
    assert_part("bytes=1-1000000", 26, 1, 25);
    assert_part("bytes=25-18446744073709551615", 26, 25, 1);
    assert_part("bytes=25-99999999999999999999999999", 26, 25, 1);
}

static void answers_all_when_the_range_covers_it(void **state)
{
    assert_whole("bytes=0-", 26);
    assert_whole("bytes=0-25", 26);
    assert_whole("bytes=0-26", 26);
    assert_whole("bytes=0-1000000", 26);
    assert_whole("bytes=-26", 26);
    assert_whole("bytes=-1000000", 26);
    assert_whole("bytes=0-0", 1);
    assert_whole("bytes=-1", 1);
    assert_whole("bytes=-9223372036854775808", 26);
    assert_whole("bytes=-5", 0);
}

static void cannot_satisfy_a_range_without_a_byte(void **state)
{
    assert_unsatisfiable("bytes=26-", 26);
    assert_unsatisfiable("bytes=26-27", 26);
    assert_unsatisfiable("bytes=1000000-2000000", 26);
    assert_unsatisfiable("bytes=18446744073709551615-", 26);
    assert_unsatisfiable("bytes=-0", 26);
    assert_unsatisfiable("bytes=-000", 26);
    assert_unsatisfiable("bytes=0-", 0);
    assert_unsatisfiable("bytes=0-0", 0);
    assert_unsatisfiable("bytes=-0", 0);
}

/* RFC 9110 14.1.1 calls it invalid, so that it may be ignored; Tornado does not. */
static void cannot_satisfy_a_range_that_ends_before_it_begins(void **state)
{
    assert_unsatisfiable("bytes=5-4", 26);
    assert_unsatisfiable("bytes=25-0", 26);
    assert_unsatisfiable("bytes=30-29", 26);
}

static void ignores_all_but_one_range_of_bytes(void **state)
{
    static const char *const values[] = {
        "",
        "asdf",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=--",
        "bytes=--5",
        "bytes=0",
        "bytes=asdf",
        "bytes=a-",
        "bytes=-a",
        "bytes=0-a",
        "bytes=0-9x",
        "bytes=x0-9",
        "bytes=0x0-9",
        "bytes=+1-9",
        "bytes=1-+9",
        "bytes=1_0-11",
        "bytes=0--9",
        "bytes=0-9-",
        "bytes=0.0-9",
        "bytes= 0-9",
        "bytes =0-9",
        "bytes=0 -9",
        "bytes=0- 9",
        "bytes=0-9 ",
        " bytes=0-9",
        "bytes:0-9",
        "bytes]0-9",
        "bytes=0-9,",
        "bytes=,0-9",
        "bytes=0-0,2-3",
        "bytes=0-,-1",
        "bytes=0-0, 2-3",
        "byte=0-9",
        "bytess=0-9",
        "bites=0-9",
        "by",
        "lines=0-9",
        "B9TES=0-9",
        "none",
        "bytes=\xb2-",
    };

    for (size_t i = 0; i < COUNT(values); i++)
        assert_whole(values[i], 26);
}

/* Apache answered each of them once. */
static void ignores_a_thousand_ranges(void **state)
{
    char value[8 + 1000 * 3] = "bytes=0-";

    for (size_t i = 8; i + 3 < sizeof value; i += 3)
        memcpy(value + i, ",0-", 4);
    assert_whole(value, 26);
}

static void reads_numbers_up_to_64_bits_and_takes_longer_ones_for_the_end(void **state)
{
    uint64_t huge = UINT64_MAX;

    assert_part("bytes=18446744073709551614-", huge, huge - 1, 1);
    assert_part("bytes=18446744073709551614-18446744073709551614", huge, huge - 1, 1);
    assert_part("bytes=0-18446744073709551613", huge, 0, huge - 1);
    assert_part("bytes=-18446744073709551614", huge, 1, huge - 1);
    assert_whole("bytes=0-18446744073709551614", huge);
    assert_whole("bytes=-18446744073709551615", huge);
    assert_whole("bytes=-18446744073709551616", huge);
    assert_whole("bytes=-18446744073709551620", huge);
    assert_unsatisfiable("bytes=18446744073709551615-", huge);
    assert_unsatisfiable("bytes=18446744073709551616-", huge); /* 2^64 is not 0 */
    assert_unsatisfiable("bytes=18446744073709551626-", huge); /* nor is 2^64 + 10 10 */
    assert_unsatisfiable("bytes=184467440737095516160-", huge);
    assert_unsatisfiable("bytes=99999999999999999999-88888888888888888888", huge);
}

static void answers_all_without_the_field(void **state)
{
    uint64_t first = 4711, length = 4711;

    assert_int_equal(httprange_parse(NULL, 26, &first, &length), HTTPRANGE_WHOLE);
    assert_true(first == 0 && length == 26);
}

/* No part is empty, all, or reaches beyond the end; and it is the one that was asked for. */
static void answers_right_for_each_small_range(void **state)
{
    for (uint64_t size = 0; size <= 6; size++)
        for (unsigned begin = 0; begin <= 8; begin++)
            for (unsigned last = 0; last <= 8; last++) {
                char value[] = { 'b', 'y', 't', 'e', 's', '=', (char)('0' + begin), '-', (char)('0' + last), '\0' };
                uint64_t end = last + 1 < size ? last + 1 : size;
                if (begin > last || begin >= size)
                    assert_unsatisfiable(value, size);
                else if (begin == 0 && end == size)
                    assert_whole(value, size);
                else
                    assert_part(value, size, begin, end - begin);
            }
}

static void assert_formatted(uint64_t first, uint64_t length, uint64_t size, const char *wanted)
{
    char *place = guardpage_place(HTTPRANGE_SIZE);

    assert_int_equal(httprange_format(place, first, length, size), strlen(wanted));
    assert_string_equal(place, wanted);
}

static void writes_content_range(void **state)
{
    uint64_t huge = UINT64_MAX;

    assert_formatted(0, 10, 100, "bytes 0-9/100");
    assert_formatted(0, 1, 26, "bytes 0-0/26");
    assert_formatted(25, 1, 26, "bytes 25-25/26");
    assert_formatted(22, 4, 26, "bytes 22-25/26");
    assert_formatted(0, 0, 100, "bytes */100");
    assert_formatted(0, 0, 0, "bytes */0");
    assert_formatted(0, 0, huge, "bytes */18446744073709551615");
    assert_formatted(huge - 1, 1, huge, "bytes 18446744073709551614-18446744073709551614/18446744073709551615");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(answers_one_part),
    cmocka_unit_test(clips_what_lies_behind_the_end),
    cmocka_unit_test(answers_all_when_the_range_covers_it),
    cmocka_unit_test(cannot_satisfy_a_range_without_a_byte),
    cmocka_unit_test(cannot_satisfy_a_range_that_ends_before_it_begins),
    cmocka_unit_test(ignores_all_but_one_range_of_bytes),
    cmocka_unit_test(ignores_a_thousand_ranges),
    cmocka_unit_test(reads_numbers_up_to_64_bits_and_takes_longer_ones_for_the_end),
    cmocka_unit_test(answers_all_without_the_field),
    cmocka_unit_test(answers_right_for_each_small_range),
    cmocka_unit_test(writes_content_range),
};

TESTING_MAIN(tests)
