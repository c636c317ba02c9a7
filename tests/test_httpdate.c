#include "httpserver/httpdate.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/support/testing.h"

#define A_DAY INT64_C(86400)
#define FIRST INT64_C(-62135596800) /* of the year 1 */
#define LAST  INT64_C(253402300799) /* of the year 9999 */

static void assert_date(int64_t seconds, const char *wanted)
{
    char text[HTTPDATE_LENGTH + 1];

    memset(text, '#', sizeof text);
    httpdate_format(seconds, text);
    assert_string_equal(text, wanted);
}

/* As strftime has it; years with four digits. */
static void assert_same_as_strftime(int64_t seconds)
{
    time_t when = (time_t)seconds;
    char text[96], date[32], hour[32];
    struct tm tm;

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

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(writes_dates_as_the_rfc_does),
    cmocka_unit_test(knows_leap_days),
    cmocka_unit_test(stays_within_years_of_four_digits),
    cmocka_unit_test(agrees_with_strftime_in_all_years),
    cmocka_unit_test(agrees_with_strftime_on_each_day_of_400_years),
};

TESTING_MAIN(tests)
