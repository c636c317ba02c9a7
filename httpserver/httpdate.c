#include "httpserver/httpdate.h"

#include <string.h>

#define SECONDS_A_DAY 86400
#define FIRST         INT64_C(-62135596800) /* 0001-01-01 */
#define LAST          INT64_C(253402300799) /* 9999-12-31 23:59:59 */

/* Case matters: RFC 9110 5.6.7. 1970-01-01 was a Thursday. */
static const char day_names[] = "ThuFriSatSunMonTueWed";
static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

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

/* The other way. */
static int64_t days_from_civil(struct civil date)
{
    int64_t year = date.month > 2 ? date.year : date.year - 1;
    int64_t month = date.month > 2 ? date.month - 3 : date.month + 9;
    int64_t era = year / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * month + 2) / 5 + date.day - 1;

    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static int64_t clamp_seconds(int64_t seconds)
{
    if (seconds < FIRST)
        return FIRST;
    return seconds > LAST ? LAST : seconds;
}

static int64_t day_of_seconds(int64_t seconds)
{
    return (seconds - FIRST) / SECONDS_A_DAY + FIRST / SECONDS_A_DAY;
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
    seconds = clamp_seconds(seconds);
    int64_t day = day_of_seconds(seconds);
    int second = (int)((seconds - FIRST) % SECONDS_A_DAY);
    struct civil date = civil_from_days(day);

    memcpy(text, "Day, 00 Mon 0000 00:00:00 GMT", HTTPDATE_LENGTH + 1);
    memcpy(text, day_names + 3 * (int)(((day % 7) + 7) % 7), 3);
    put_digits(text + 5, 2, date.day);
    memcpy(text + 8, month_names + 3 * (date.month - 1), 3);
    put_digits(text + 12, 4, date.year);
    put_digits(text + 17, 2, second / 3600);
    put_digits(text + 20, 2, second / 60 % 60);
    put_digits(text + 23, 2, second % 60);
}

struct date_reader {
    const char *at;
    const char *end;
    struct civil date;
    int hour, minute, second;
    bool has_century;
};

/* So many digits; the first may be a blank where the form pads with them. */
static bool read_date_digits(struct date_reader *reader, int count, bool is_padded, int *number)
{
    *number = 0;
    if (reader->end - reader->at < count)
        return false;
    for (int i = 0; i < count; i++) {
        char digit = *reader->at++;
        if (i == 0 && is_padded && digit == ' ')
            continue;
        if (digit < '0' || digit > '9')
            return false;
        *number = *number * 10 + (digit - '0');
    }
    return true;
}

/* One of the names of three letters; answers which, -1 if it is none. */
static int read_date_name(struct date_reader *reader, const char *names, int count)
{
    if (reader->end - reader->at < 3)
        return -1;
    reader->at += 3;
    for (int i = 0; i < count; i++)
        if (memcmp(names + 3 * i, reader->at - 3, 3) == 0)
            return i;
    return -1;
}

static bool read_date_text(struct date_reader *reader, const char *text)
{
    size_t length = strlen(text);

    if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, text, length) != 0)
        return false;
    reader->at += length;
    return true;
}

static bool read_day_name(struct date_reader *reader, bool is_long)
{
    static const char *const rests[] = { "rsday", "day", "urday", "day", "day", "sday", "nesday" };
    int day = read_date_name(reader, day_names, 7);

    return day >= 0 && (!is_long || read_date_text(reader, rests[day]));
}

static bool read_month_name(struct date_reader *reader)
{
    reader->date.month = read_date_name(reader, month_names, 12) + 1;
    return reader->date.month > 0;
}

/* What one letter of a form stands for; others stand for themselves. */
static bool read_date_part(struct date_reader *reader, char part)
{
    switch (part) {
    case 'w':
    case 'W':
        return read_day_name(reader, part == 'W');
    case 'd':
    case 'D':
        return read_date_digits(reader, 2, part == 'D', &reader->date.day);
    case 'm':
        return read_month_name(reader);
    case 'y':
    case 'Y':
        reader->has_century = part == 'Y';
        return read_date_digits(reader, part == 'Y' ? 4 : 2, false, &reader->date.year);
    case 'h':
        return read_date_digits(reader, 2, false, &reader->hour);
    case 'i':
        return read_date_digits(reader, 2, false, &reader->minute);
    case 's':
        return read_date_digits(reader, 2, false, &reader->second);
    default:
        return reader->at < reader->end && *reader->at++ == part;
    }
}

static bool read_date_form(struct date_reader *reader, const char *form)
{
    while (*form != '\0')
        if (!read_date_part(reader, *form++))
            return false;
    return reader->at == reader->end;
}

/* RFC 9110 5.6.7: what seems to be over 50 years ahead is in the past. Counted in years, not to the second. */
static void set_century(struct civil *date, int64_t now)
{
    int latest = civil_from_days(day_of_seconds(clamp_seconds(now))).year + 50;

    date->year += latest / 100 * 100;
    if (date->year > latest)
        date->year -= 100;
}

static bool is_calendar_day(struct civil date)
{
    static const char lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool is_leap = (date.year % 4 == 0 && date.year % 100 != 0) || date.year % 400 == 0;
    int length = lengths[date.month - 1] + (date.month == 2 && is_leap);

    return date.year >= 1 && date.year <= 9999 && date.day >= 1 && date.day <= length;
}

/* 00:00:00 to 23:59:60, the leap second, which has no number of its own. */
static bool is_time_of_day(const struct date_reader *reader)
{
    if (reader->second == 60)
        return reader->hour == 23 && reader->minute == 59;
    return reader->hour < 24 && reader->minute < 60 && reader->second < 60;
}

/* Each form has its own length or a different fourth byte, but three attempts are cheap. */
bool httpdate_parse(const char *text, size_t length, int64_t now, int64_t *seconds)
{
    static const char *const forms[] = {
        "w, d m Y h:i:s GMT", /* IMF-fixdate */
        "W, d-m-y h:i:s GMT", /* RFC 850 */
        "w m D h:i:s Y",      /* asctime */
    };
    struct date_reader reader;
    bool is_read = false;

    for (size_t i = 0; i < sizeof forms / sizeof *forms && !is_read; i++) {
        reader = (struct date_reader){ .at = text, .end = text + length };
        is_read = read_date_form(&reader, forms[i]);
    }
    if (is_read && !reader.has_century)
        set_century(&reader.date, now);
    if (!is_read || !is_calendar_day(reader.date) || !is_time_of_day(&reader))
        return false;
    if (reader.second == 60)
        reader.second = 59;
    *seconds = days_from_civil(reader.date) * SECONDS_A_DAY + reader.hour * 3600 + reader.minute * 60 + reader.second;
    return true;
}
