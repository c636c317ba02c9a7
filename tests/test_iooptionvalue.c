#include "ioloop/iooptionvalue.h"

#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/guardpage.h"
#include "tests/support/testing.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void assert_why(const char *text, const char *why, const char *wanted)
{
    if ((why == NULL) != (wanted == NULL) || (why != NULL && strcmp(why, wanted) != 0))
        fail_msg("\"%s\": %s instead of %s", text, why != NULL ? why : "fine", wanted != NULL ? wanted : "fine");
}

static void booleans_are_words_in_any_case(void **state)
{
    static const struct {
        const char *text;
        int value; /* -1: neither */
    } rows[] = {
        { "true", 1 },   { "True", 1 },   { "TRUE", 1 }, { "t", 1 },  { "1", 1 },     { "yes", 1 },   { "y", 1 },
        { "on", 1 },     { " on ", 1 },   { "\ton", 1 }, { "On", 1 }, { "false", 0 }, { "FALSE", 0 }, { "f", 0 },
        { "F", 0 },      { "0", 0 },      { "no", 0 },   { "n", 0 },  { "off", 0 },   { "", -1 },     { "tru", -1 },
        { "truee", -1 }, { "maybe", -1 }, { "2", -1 },   { "|", -1 }, { "t|y", -1 },  { "00", -1 },   { " ", -1 },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t length = strlen(rows[i].text);
        bool value;
        const char *why = iooptionvalue_boolean(guardpage_text(rows[i].text, length), length, &value);
        assert_why(rows[i].text, why, rows[i].value < 0 ? "neither true nor false" : NULL);
        if (why == NULL)
            assert_int_equal(value, rows[i].value);
    }
}

static void integers_are_decimal_and_fit(void **state)
{
    static const struct {
        const char *text;
        int64_t value;
        const char *why;
    } rows[] = {
        { "0", 0, NULL },
        { "443", 443, NULL },
        { "+7", 7, NULL },
        { "-7", -7, NULL },
        { " 12\t", 12, NULL },
        { "007", 7, NULL },
        { "9223372036854775807", INT64_MAX, NULL },
        { "-9223372036854775808", INT64_MIN, NULL },
        { "9223372036854775808", 0, "too large" },
        { "-9223372036854775809", 0, "too large" },
        { "99999999999999999999999", 0, "too large" },
        { "", 0, "not an integer" },
        { " \t ", 0, "not an integer" },
        { "-", 0, "not an integer" },
        { "+-1", 0, "not an integer" },
        { "1 2", 0, "not an integer" },
        { "1.0", 0, "not an integer" },
        { "0x10", 0, "not an integer" },
        { "1_000", 0, "not an integer" },
        { "12a", 0, "not an integer" },
        { "1:2", 0, "not an integer" },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t length = strlen(rows[i].text);
        int64_t value;
        assert_why(rows[i].text, iooptionvalue_integer(guardpage_text(rows[i].text, length), length, &value),
                   rows[i].why);
        if (rows[i].why == NULL)
            assert_true(value == rows[i].value);
    }
}

static void ranges_go_upwards_and_include_both_ends(void **state)
{
    static const struct {
        const char *text;
        int64_t first, last;
        const char *why;
    } rows[] = {
        { "5", 5, 5, NULL },
        { "5:7", 5, 7, NULL },
        { "5:5", 5, 5, NULL },
        { "-3:2", -3, 2, NULL },
        { " 1 : 2 ", 1, 2, NULL },
        { "-9223372036854775808:9223372036854775807", INT64_MIN, INT64_MAX, NULL },
        { "7:5", 0, 0, "a range goes upwards" },
        { "5:", 0, 0, "not an integer" },
        { ":5", 0, 0, "not an integer" },
        { ":", 0, 0, "not an integer" },
        { "", 0, 0, "not an integer" },
        { "1:2:3", 0, 0, "not an integer" },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t length = strlen(rows[i].text);
        int64_t first, last;
        assert_why(rows[i].text, iooptionvalue_range(guardpage_text(rows[i].text, length), length, &first, &last),
                   rows[i].why);
        if (rows[i].why == NULL)
            assert_true(first == rows[i].first && last == rows[i].last);
    }
}

static const struct number_row {
    const char *text;
    double value;
    const char *why;
} numbers[] = {
    { "1.5", 1.5, NULL },
    { "42", 42, NULL },
    { "-0.25", -0.25, NULL },
    { "+3", 3, NULL },
    { ".5", 0.5, NULL },
    { "5.", 5, NULL },
    { "3e8", 3e8, NULL },
    { "3E+8", 3e8, NULL },
    { "25e-1", 2.5, NULL },
    { "0.1", 0.1, NULL },
    { "1.7976931348623157e308", 1.7976931348623157e308, NULL },
    { "5e-324", 5e-324, NULL },
    { "1e-99999999999999999999", 0, NULL },
    { "123456789012345678901234567890", 123456789012345678901234567890.0, NULL },
    { "0.000000000000000000000000000001", 1e-30, NULL },
    { " 1 ", 1, NULL },
    { "1e309", 0, "too large" },
    { "1e99999999999999999999", 0, "too large" },
    { "1234567890123456789012345678901234567890123456789012345678901", 0, "too many digits" },
    { "", 0, "not a number" },
    { ".", 0, "not a number" },
    { "e5", 0, "not a number" },
    { "1e", 0, "not a number" },
    { "1e+", 0, "not a number" },
    { "--1", 0, "not a number" },
    { "1,5", 0, "not a number" },
    { "1.2.3", 0, "not a number" },
    { "inf", 0, "not a number" },
    { "nan", 0, "not a number" },
    { "0x1p3", 0, "not a number" },
};

static void check_numbers(void)
{
    for (size_t i = 0; i < COUNT(numbers); i++) {
        size_t length = strlen(numbers[i].text);
        double value;
        assert_why(numbers[i].text, iooptionvalue_number(guardpage_text(numbers[i].text, length), length, &value),
                   numbers[i].why);
        if (numbers[i].why == NULL && value != numbers[i].value)
            fail_msg("%s is read as %.17g", numbers[i].text, value);
    }
}

static void numbers_are_finite(void **state)
{
    check_numbers();
}

static void assert_written(double value, const char *wanted)
{
    char text[IOOPTIONVALUE_NUMBER_SIZE];

    assert_int_equal(iooptionvalue_format_number(value, text), strlen(wanted));
    assert_string_equal(text, wanted);
}

static void check_written_numbers(void)
{
    assert_written(0, "0");
    assert_written(1.5, "1.5");
    assert_written(-0.1, "-0.1");
    assert_written(1.0 / 3, "0.3333333333333333");
    assert_written(65535, "65535");
    assert_written(1e300, "1e+300");
    assert_written(-1.7976931348623157e308, "-1.7976931348623157e+308");
    assert_written(5e-324, "4.94065645841247e-324");
}

static void numbers_are_written_as_short_as_they_can_be_read(void **state)
{
    check_written_numbers();
}

/* Of those that are installed here, one with a comma; a machine without any cannot tell. */
static void no_locale_makes_a_difference(void **state)
{
    static const char *const names[] = { "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "ps_AF.UTF-8", "de_DE" };
    bool is_set = false;

    for (size_t i = 0; i < COUNT(names); i++) {
        if (setlocale(LC_ALL, names[i]) == NULL)
            continue;
        is_set = true;
        check_numbers();
        check_written_numbers();
    }
    setlocale(LC_ALL, "C");
    if (!is_set)
        skip();
}

/* Tornado's options_test:test_types has 45s. */
static void durations_are_sums(void **state)
{
    static const struct number_row rows[] = {
        { "45s", 45, NULL },
        { "45", 45, NULL },
        { "1.5", 1.5, NULL },
        { "1h30m", 5400, NULL },
        { "1h 30m", 5400, NULL },
        { "1 h 30 min", 5400, NULL },
        { " 2d ", 172800, NULL },
        { "1w", 604800, NULL },
        { "1W", 604800, NULL },
        { "1w2d3h4m5s6ms7us", 604800 + 172800 + 3 * 3600 + 240 + 5 + 0.006 + 0.000007, NULL },
        { "500ms", 0.5, NULL },
        { "250us", 0.00025, NULL },
        { "90min", 5400, NULL },
        { "10sec", 10, NULL },
        { "3 hours", 10800, NULL },
        { "1hour1minute1second", 3661, NULL },
        { "2weeks", 1209600, NULL },
        { "1day", 86400, NULL },
        { "2minutes", 120, NULL },
        { "5milliseconds", 0.005, NULL },
        { "5microseconds", 0.000005, NULL },
        { "1e3s", 1000, NULL },
        { "1e3", 1000, NULL },
        { "-1h30m", -5400, NULL },
        { "+5s", 5, NULL },
        { "0", 0, NULL },
        { "0s5s", 5, NULL },
        { "", 0, "not a number" },
        { "s", 0, "not a number" },
        { "h1", 0, "not a number" },
        { "1h30", 0, "a unit is one of w d h m s ms us" },
        { "0s5", 0, "a unit is one of w d h m s ms us" },
        { "1x", 0, "a unit is one of w d h m s ms us" },
        { "1e", 0, "a unit is one of w d h m s ms us" },
        { "1hm", 0, "a unit is one of w d h m s ms us" },
        { "1s,2s", 0, "not a number" },
        { "1h-30m", 0, "not a number" },
        { "1 2s", 0, "a unit is one of w d h m s ms us" },
        { "1e308w", 0, "too large" },
        { "1e309", 0, "too large" },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t length = strlen(rows[i].text);
        double value = -1;
        assert_why(rows[i].text, iooptionvalue_duration(guardpage_text(rows[i].text, length), length, &value),
                   rows[i].why);
        if (rows[i].why == NULL && fabs(value - rows[i].value) > 1e-9)
            fail_msg("%s is read as %.17g", rows[i].text, value);
    }
}

/* year-month-day hour:minute:second, day of the week and of the year; NULL: no date; "": no such one. */
static void datetimes_have_the_forms_of_tornado(void **state)
{
    static const struct {
        const char *text, *value;
    } rows[] = {
        { "2013-04-28 05:16", "2013-04-28 05:16:00 0 117" }, /* of test_types */
        { "2013-04-28 05:16:07", "2013-04-28 05:16:07 0 117" },
        { "2013-04-28T05:16", "2013-04-28 05:16:00 0 117" },
        { "2013-04-28T05:16:07", "2013-04-28 05:16:07 0 117" },
        { "20130428 05:16:07", "2013-04-28 05:16:07 0 117" },
        { "20130428 05:16", "2013-04-28 05:16:00 0 117" },
        { "2013-04-28", "2013-04-28 00:00:00 0 117" },
        { "20130428", "2013-04-28 00:00:00 0 117" },
        { "Sun Apr 28 05:16:07 2013", "2013-04-28 05:16:07 0 117" },
        { "sun apr  1 5:16:07 2013", "2013-04-01 05:16:07 1 90" },
        { "05:16:07", "1900-01-01 05:16:07 1 0" },
        { "05:16", "1900-01-01 05:16:00 1 0" },
        { "5:16", "1900-01-01 05:16:00 1 0" },
        { " 2013-04-28\t 05:16 ", "2013-04-28 05:16:00 0 117" },
        { "2000-02-29", "2000-02-29 00:00:00 2 59" },
        { "2024-12-31", "2024-12-31 00:00:00 2 365" },
        { "0001-01-01", "0001-01-01 00:00:00 1 0" },
        { "9999-12-31 23:59:59", "9999-12-31 23:59:59 5 364" },
        { "1900-02-29", "" },
        { "2023-02-29", "" },
        { "2023-04-31", "" },
        { "2023-00-10", "" },
        { "2023-13-10", "" },
        { "2023-01-00", "" },
        { "0000-01-01", "" },
        { "24:00", "" },
        { "23:60", "" },
        { "23:59:60", "" },
        { "", NULL },
        { "2013", NULL },
        { "2013-4-28", NULL },
        { "2013-04-28 05", NULL },
        { "2013-04-28 05:16:7", NULL },
        { "2013-04-28 05:16:07 x", NULL },
        { "2013-04-28x05:16", NULL },
        { "201304281", NULL },
        { "Sun Apx 28 05:16:07 2013", NULL },
        { "Son Apr 28 05:16:07 2013", NULL },
        { "Su", NULL },
        { "-1:00", NULL },
        { "123:00", NULL },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t length = strlen(rows[i].text);
        const char *why = rows[i].value == NULL      ? "not a date: 2026-11-21 10:30:00 is one"
                          : rows[i].value[0] == '\0' ? "no such day or time"
                                                     : NULL;
        struct tm value;
        char text[100];
        assert_why(rows[i].text, iooptionvalue_datetime(guardpage_text(rows[i].text, length), length, &value), why);
        if (why != NULL)
            continue;
        snprintf(text, sizeof text, "%04d-%02d-%02d %02d:%02d:%02d %d %d", value.tm_year + 1900, value.tm_mon + 1,
                 value.tm_mday, value.tm_hour, value.tm_min, value.tm_sec, value.tm_wday, value.tm_yday);
        assert_string_equal(text, rows[i].value);
        assert_int_equal(value.tm_isdst, -1);
    }
}

/* The days of libc, for each of four centuries. */
static void days_of_week_and_year_are_those_of_the_calendar(void **state)
{
    for (int64_t day = -25567; day < -25567 + 366 * 400; day++) {
        time_t time = (time_t)(day * 86400);
        struct tm wanted, value;
        char text[32];
        if (time != day * 86400)
            continue; /* 32 bits end in 2038, and begin in 1901 */
        gmtime_r(&time, &wanted);
        strftime(text, sizeof text, "%Y-%m-%d", &wanted);
        assert_null(iooptionvalue_datetime(text, strlen(text), &value));
        assert_int_equal(value.tm_wday, wanted.tm_wday);
        assert_int_equal(value.tm_yday, wanted.tm_yday);
    }
}

static void choices_are_found_in_any_case(void **state)
{
    static const char choices[] = "size|time|W0||none";
    const char *place;
    size_t size;

    assert_int_equal(iooptionvalue_choice(choices, "size", 4, &place, &size), 0);
    assert_int_equal(iooptionvalue_choice(choices, "TIME", 4, &place, &size), 1);
    assert_ptr_equal(place, choices + 5);
    assert_int_equal(size, 4);
    assert_int_equal(iooptionvalue_choice(choices, "w0", 2, &place, &size), 2);
    assert_int_equal(iooptionvalue_choice(choices, "", 0, &place, &size), 3);
    assert_int_equal(iooptionvalue_choice(choices, "None", 4, &place, &size), 4);
    assert_int_equal(iooptionvalue_choice("A|Z|@|[", "a", 1, &place, &size), 0);
    assert_int_equal(iooptionvalue_choice("A|Z|@|[", "z", 1, &place, &size), 1);
    assert_int_equal(iooptionvalue_choice("A|Z|@|[", "`", 1, &place, &size), -1);
    assert_int_equal(iooptionvalue_choice("A|Z|@|[", "{", 1, &place, &size), -1);
    assert_int_equal(iooptionvalue_choice(choices, "siz", 3, &place, &size), -1);
    assert_int_equal(iooptionvalue_choice(choices, "size|time", 9, &place, &size), -1);
    assert_int_equal(iooptionvalue_choice(choices, "s\xcdze", 4, &place, &size), -1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(booleans_are_words_in_any_case),
    cmocka_unit_test(integers_are_decimal_and_fit),
    cmocka_unit_test(ranges_go_upwards_and_include_both_ends),
    cmocka_unit_test(numbers_are_finite),
    cmocka_unit_test(numbers_are_written_as_short_as_they_can_be_read),
    cmocka_unit_test(no_locale_makes_a_difference),
    cmocka_unit_test(durations_are_sums),
    cmocka_unit_test(datetimes_have_the_forms_of_tornado),
    cmocka_unit_test(days_of_week_and_year_are_those_of_the_calendar),
    cmocka_unit_test(choices_are_found_in_any_case),
};

TESTING_MAIN(tests)
