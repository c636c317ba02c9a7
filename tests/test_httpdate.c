#include "httpserver/httpdate.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/support/guardpage.h"
#include "tests/support/testing.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define A_DAY        INT64_C(86400)
#define FIRST        INT64_C(-62135596800) /* of the year 1 */
#define LAST         INT64_C(253402300799) /* of the year 9999 */

static void assert_date(int64_t seconds, const char *wanted)
{
    char text[HTTPDATE_LENGTH + 1];

    memset(text, '#', sizeof text);
    httpdate_format(seconds, text);
    assert_string_equal(text, wanted);
}

/* What libc knows with a time_t of 32 bits is 1901 to 2038. */
static bool is_known_to_libc(int64_t seconds)
{
    return (time_t)seconds == seconds;
}

/* As strftime has it; years with four digits. */
static void assert_same_as_strftime(int64_t seconds)
{
    time_t when = (time_t)seconds;
    char text[96], date[32], hour[32];
    struct tm tm;

    if (!is_known_to_libc(seconds))
        return;
    assert_non_null(gmtime_r(&when, &tm));
    assert_true(strftime(date, sizeof date, "%a, %d %b", &tm) > 0);
    assert_true(strftime(hour, sizeof hour, "%H:%M:%S GMT", &tm) > 0);
    snprintf(text, sizeof text, "%s %04d %s", date, tm.tm_year + 1900, hour);
    assert_date(seconds, text);
}

static void writes_dates_as_the_rfc_does(void **state)
{
    assert_date(784111777, "Sun, 06 Nov 1994 08:49:37 GMT"); /* of RFC 9110 5.6.7 */
    assert_date(0, "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_date(-1, "Wed, 31 Dec 1969 23:59:59 GMT");
    assert_date(INT32_MAX, "Tue, 19 Jan 2038 03:14:07 GMT");
    assert_date((int64_t)INT32_MAX + 1, "Tue, 19 Jan 2038 03:14:08 GMT");
}

static void knows_leap_days(void **state)
{
    assert_date(951782400, "Tue, 29 Feb 2000 00:00:00 GMT");
    assert_date(951782399, "Mon, 28 Feb 2000 23:59:59 GMT");
    assert_date(951868800, "Wed, 01 Mar 2000 00:00:00 GMT");
    assert_date(1709164800, "Thu, 29 Feb 2024 00:00:00 GMT");
    assert_date(4107542400, "Mon, 01 Mar 2100 00:00:00 GMT");
    assert_date(4107542399, "Sun, 28 Feb 2100 23:59:59 GMT");
}

static void stays_within_years_of_four_digits(void **state)
{
    assert_date(FIRST, "Mon, 01 Jan 0001 00:00:00 GMT");
    assert_date(FIRST - 1, "Mon, 01 Jan 0001 00:00:00 GMT");
    assert_date(INT64_MIN, "Mon, 01 Jan 0001 00:00:00 GMT");
    assert_date(LAST, "Fri, 31 Dec 9999 23:59:59 GMT");
    assert_date(LAST + 1, "Fri, 31 Dec 9999 23:59:59 GMT");
    assert_date(INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT");
}

/* 37 days and some seconds: each year about ten times, its days in turn. */
static void agrees_with_strftime_in_all_years(void **state)
{
    for (int64_t seconds = FIRST; seconds <= LAST; seconds += 37 * A_DAY + 3607)
        assert_same_as_strftime(seconds);
}

static void agrees_with_strftime_on_each_day_of_400_years(void **state)
{
    int64_t first = -11676096000; /* 1600-01-01 */

    for (int64_t day = 0; day < 146097; day += 1 + (day % 97 == 0))
        assert_same_as_strftime(first + day * A_DAY + day % A_DAY);
}

/* httputil_test:test_unix_time_float (fractions are cut off before), httputil_test:test_unix_time_int */
static void writes_the_time_of_tornados_tests(void **state)
{
    assert_date((int64_t)1359312200.503611, "Sun, 27 Jan 2013 18:43:20 GMT");
    assert_date(1359312200, "Sun, 27 Jan 2013 18:43:20 GMT");
}

enum { NOW = 1700000000, UNTOUCHED = 4711 }; /* 2023-11-14 */

static bool parse_date(const char *text, size_t length, int64_t now, int64_t *seconds)
{
    *seconds = UNTOUCHED;
    return httpdate_parse(guardpage_text(text, length), length, now, seconds);
}

static void assert_parsed(const char *text, int64_t now, int64_t wanted)
{
    int64_t seconds;

    if (!parse_date(text, strlen(text), now, &seconds))
        fail_msg("%s is refused", text);
    if (seconds != wanted)
        fail_msg("%s: %lld", text, (long long)seconds);
}

static void assert_refused(const char *text, size_t length)
{
    int64_t seconds;

    if (parse_date(text, length, NOW, &seconds))
        fail_msg("%.*s is accepted", (int)length, text);
    assert_int_equal(seconds, UNTOUCHED);
}

static const struct {
    const char *text;
    int64_t seconds;
} dates[] = {
    { "Sun, 06 Nov 1994 08:49:37 GMT", 784111777 }, /* the three of RFC 9110 5.6.7 */
    { "Sunday, 06-Nov-94 08:49:37 GMT", 784111777 },
    { "Sun Nov  6 08:49:37 1994", 784111777 },
    { "Sun Nov 06 08:49:37 1994", 784111777 },
    { "Sat Nov 26 08:49:37 1994", 785839777 },
    { "Mon, 06 Nov 1994 08:49:37 GMT", 784111777 }, /* a day, if not that one */
    { "Thu, 01 Jan 1970 00:00:00 GMT", 0 },
    { "Wed, 31 Dec 1969 23:59:59 GMT", -1 },
    { "Mon, 01 Jan 0001 00:00:00 GMT", FIRST },
    { "Fri, 31 Dec 9999 23:59:59 GMT", LAST },
    { "Tue, 29 Feb 2000 00:00:00 GMT", 951782400 },
    { "Thu, 29 Feb 2024 00:00:00 GMT", 1709164800 },
    { "Sat, 31 Dec 2016 23:59:59 GMT", 1483228799 },
    { "Sat, 31 Dec 2016 23:59:60 GMT", 1483228799 }, /* a leap second */
    { "Monday, 13-Nov-23 22:13:20 GMT", NOW - A_DAY },
    { "Tuesday, 14-Nov-23 22:13:20 GMT", NOW },
    { "Wednesday, 15-Nov-23 22:13:20 GMT", NOW + A_DAY },
    { "Thursday, 16-Nov-23 22:13:20 GMT", NOW + 2 * A_DAY },
    { "Friday, 17-Nov-23 22:13:20 GMT", NOW + 3 * A_DAY },
    { "Saturday, 18-Nov-23 22:13:20 GMT", NOW + 4 * A_DAY },
};

static void reads_the_three_forms(void **state)
{
    for (size_t i = 0; i < COUNT(dates); i++)
        assert_parsed(dates[i].text, NOW, dates[i].seconds);
}

static void reads_no_part_of_a_date_and_nothing_behind_it(void **state)
{
    char text[64];

    for (size_t i = 0; i < COUNT(dates); i++) {
        size_t size = strlen(dates[i].text);
        for (size_t length = 0; length < size; length++)
            assert_refused(dates[i].text, length);
        memcpy(text, dates[i].text, size + 1);
        assert_refused(text, size + 1); /* the NUL */
        text[size] = ' ';
        assert_refused(text, size + 1);
        text[size] = '4';
        assert_refused(text, size + 1);
    }
}

/* Where a byte is wrong, it is not made right: only digits and the names of days have some leeway. */
static void refuses_a_byte_that_belongs_elsewhere(void **state)
{
    static const char strange[] = { '\0', ' ' + 1, '/', ':', ';', 'x', '\x7f', '\xb0' };
    char text[64];

    for (size_t i = 0; i < COUNT(dates); i++) {
        size_t size = strlen(dates[i].text);
        for (size_t at = 0; at < size; at++) {
            for (size_t j = 0; j < sizeof strange; j++) {
                memcpy(text, dates[i].text, size);
                if (text[at] == strange[j])
                    continue;
                text[at] = strange[j];
                assert_refused(text, size);
            }
        }
    }
}

static void refuses_what_is_no_date(void **state)
{
    static const char *const texts[] = {
        "",
        "asdf",
        "0",
        "784111777",
        "1994-11-06T08:49:37Z",
        "sun, 06 Nov 1994 08:49:37 GMT",
        "SUN, 06 NOV 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 gmt",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun,06 Nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun,  6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06 Nov 1994  8:49:37 GMT",
        "Sun, 06 Nov 1994 08: 9:37 GMT",
        "Sun, 06 Nov 1994 08:49: 7 GMT",
        "Sun, 06 Nov  994 08:49:37 GMT",
        "Sunday, 06-Nov- 4 08:49:37 GMT",
        "Sun, 06-Nov-1994 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sunday, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sunfay, 06-Nov-94 08:49:37 GMT",
        "Tuesray, 06-Nov-94 08:49:37 GMT",
        "Monsday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 94",
        "Sun Nov 6  08:49:37 1994",
        "Sun Nov    08:49:37 1994",
        "Sun Nov  6 08:49:37 1994 GMT",
        "Son, 06 Nov 1994 08:49:37 GMT",
        "unF, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Bov 1994 08:49:37 GMT",
        "Sun, 06 anF 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 32 Dec 1994 08:49:37 GMT",
        "Sun, 29 Feb 1900 08:49:37 GMT",
        "Sun, 29 Feb 2023 08:49:37 GMT",
        "Sun, 30 Feb 2024 08:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Nov -994 08:49:37 GMT",
        "Sun, 06 Nov +994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:60 GMT",
        "Sun, 06 Nov 1994 23:58:60 GMT",
        "Sun, 06 Nov 1994 22:59:60 GMT",
        "Sun, 06 Nov 1994 23:59:61 GMT",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT; length=12",
    };

    for (size_t i = 0; i < COUNT(texts); i++)
        assert_refused(texts[i], strlen(texts[i]));
}

static void refuses_the_day_after_the_last_of_a_month(void **state)
{
    static const char *const days[] = { "31 Jan", "29 Feb", "31 Mar", "30 Apr", "31 May", "30 Jun",
                                        "31 Jul", "31 Aug", "30 Sep", "31 Oct", "30 Nov", "31 Dec" };
    char text[64];
    int64_t seconds;

    for (size_t i = 0; i < COUNT(days); i++) {
        snprintf(text, sizeof text, "Sun, %s 2024 00:00:00 GMT", days[i]);
        assert_true(parse_date(text, strlen(text), NOW, &seconds));
        text[5] = text[6] == '9' ? '3' : text[5];
        text[6] = text[6] == '9' ? '0' : (char)(text[6] + 1);
        assert_refused(text, strlen(text));
    }
}

static void takes_two_digits_for_the_latest_year_up_to_50_ahead(void **state)
{
    int64_t in_1999 = 930000000, in_2050 = 2540000000, year_99 = 4070908800 + 100, year_9999 = LAST - A_DAY;

    assert_parsed("Saturday, 01-Jan-00 00:00:00 GMT", NOW, 946684800);
    assert_parsed("Saturday, 01-Jan-73 00:00:00 GMT", NOW, 3250454400); /* 2073 */
    assert_parsed("Saturday, 01-Jan-74 00:00:00 GMT", NOW, 126230400);  /* 1974 */
    assert_parsed("Saturday, 01-Jan-99 00:00:00 GMT", NOW, 915148800);
    assert_parsed("Saturday, 01-Jan-49 00:00:00 GMT", in_1999, 2493072000); /* 2049 */
    assert_parsed("Saturday, 01-Jan-50 00:00:00 GMT", in_1999, -631152000); /* 1950 */
    assert_parsed("Saturday, 01-Jan-00 00:00:00 GMT", in_2050, 4102444800); /* 2100 */
    assert_parsed("Saturday, 01-Jan-01 00:00:00 GMT", in_2050, 978307200);  /* 2001 */
    assert_parsed("Saturday, 01-Jan-01 00:00:00 GMT", year_99, 4133980800); /* 2101 */
    assert_parsed("Friday, 31-Dec-99 23:59:59 GMT", year_9999, LAST);
    assert_parsed("Monday, 01-Jan-01 00:00:00 GMT", FIRST, FIRST);
}

/* Neither the clock nor the century may lead out of the years 1 to 9999. */
static void survives_any_clock(void **state)
{
    static const int64_t clocks[] = { INT64_MIN, FIRST - 1, FIRST, 0, LAST, LAST + 1, INT64_MAX };
    int64_t seconds;

    for (size_t i = 0; i < COUNT(clocks); i++)
        for (char digit = '0'; digit <= '9'; digit++) {
            char text[] = "Sunday, 06-Nov-00 08:49:37 GMT";
            text[15] = digit;
            if (parse_date(text, sizeof text - 1, clocks[i], &seconds))
                assert_true(seconds >= FIRST && seconds <= LAST);
        }
    assert_false(parse_date("Sunday, 06-Nov-99 08:49:37 GMT", 30, FIRST, &seconds));
    assert_false(parse_date("Sunday, 06-Nov-00 08:49:37 GMT", 30, LAST, &seconds));
}

static void reads_what_it_writes_in_all_years(void **state)
{
    char text[HTTPDATE_LENGTH + 1];
    int64_t read;

    for (int64_t seconds = FIRST; seconds <= LAST; seconds += 3 * A_DAY + 3607) {
        httpdate_format(seconds, text);
        assert_true(httpdate_parse(text, HTTPDATE_LENGTH, NOW, &read));
        assert_int_equal(read, seconds);
    }
}

static void reads_the_old_forms_as_strftime_writes_them(void **state)
{
    char text[64], day[32];

    for (int64_t seconds = NOW - 49 * 365 * A_DAY; seconds < NOW + 49 * 365 * A_DAY; seconds += A_DAY + 61) {
        time_t when = (time_t)seconds;
        struct tm tm;
        if (!is_known_to_libc(seconds))
            continue;
        assert_non_null(gmtime_r(&when, &tm));
        assert_true(strftime(day, sizeof day, "%A, %d-%b", &tm) > 0);
        snprintf(text, sizeof text, "%s-%02d %02d:%02d:%02d GMT", day, tm.tm_year % 100, tm.tm_hour, tm.tm_min,
                 tm.tm_sec);
        assert_parsed(text, NOW, seconds);
        assert_true(strftime(text, sizeof text, "%a %b %e %H:%M:%S %Y", &tm) > 0);
        assert_parsed(text, NOW, seconds);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(writes_dates_as_the_rfc_does),
    cmocka_unit_test(knows_leap_days),
    cmocka_unit_test(stays_within_years_of_four_digits),
    cmocka_unit_test(agrees_with_strftime_in_all_years),
    cmocka_unit_test(agrees_with_strftime_on_each_day_of_400_years),
    cmocka_unit_test(writes_the_time_of_tornados_tests),
    cmocka_unit_test(reads_the_three_forms),
    cmocka_unit_test(reads_no_part_of_a_date_and_nothing_behind_it),
    cmocka_unit_test(refuses_a_byte_that_belongs_elsewhere),
    cmocka_unit_test(refuses_what_is_no_date),
    cmocka_unit_test(refuses_the_day_after_the_last_of_a_month),
    cmocka_unit_test(takes_two_digits_for_the_latest_year_up_to_50_ahead),
    cmocka_unit_test(survives_any_clock),
    cmocka_unit_test(reads_what_it_writes_in_all_years),
    cmocka_unit_test(reads_the_old_forms_as_strftime_writes_them),
};

TESTING_MAIN(tests)
