#include "httpserver/httpdate.h"

#include <string.h>

#define SECONDS_A_DAY 86400
#define FIRST         INT64_C(-62135596800) /* 0001-01-01 */
#define LAST          INT64_C(253402300799) /* 9999-12-31 23:59:59 */

struct civil {
    int year, month, day;
};

/* A day number, 1970-01-01 is 0, as a date. Years are counted from March, so that the leap day is the last of its
 * year; 400 of them have 146,097 days. */
static struct civil civil_from_days(int64_t days)
{
    int64_t shifted = days + 719468; /* since 0000-03-01 */
    int64_t era = shifted / 146097;
    int64_t day_of_era = shifted - era * 146097;
    int64_t year = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * day_of_year + 2) / 153; /* 0: March */
    struct civil date = {
        .year = (int)(year + era * 400 + (month >= 10)),
        .month = (int)(month < 10 ? month + 3 : month - 9),
        .day = (int)(day_of_year - (153 * month + 2) / 5 + 1),
    };
    return date;
}

static void put_digits(char *place, int count, int value)
{
    while (count-- > 0) {
        place[count] = (char)('0' + value % 10);
        value /= 10;
    }
}

void httpdate_format(int64_t seconds, char text[HTTPDATE_LENGTH + 1])
{
    static const char days[] = "ThuFriSatSunMonTueWed"; /* 1970-01-01 was a Thursday */
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    if (seconds < FIRST)
        seconds = FIRST;
    if (seconds > LAST)
        seconds = LAST;
    int64_t day = (seconds - FIRST) / SECONDS_A_DAY + FIRST / SECONDS_A_DAY;
    int second = (int)((seconds - FIRST) % SECONDS_A_DAY);
    struct civil date = civil_from_days(day);

    memcpy(text, "Day, 00 Mon 0000 00:00:00 GMT", HTTPDATE_LENGTH + 1);
    memcpy(text, days + 3 * (int)(((day % 7) + 7) % 7), 3);
    put_digits(text + 5, 2, date.day);
    memcpy(text + 8, months + 3 * (date.month - 1), 3);
    put_digits(text + 12, 4, date.year);
    put_digits(text + 17, 2, second / 3600);
    put_digits(text + 20, 2, second / 60 % 60);
    put_digits(text + 23, 2, second % 60);
}
