#include "ioloop/iooptionvalue.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is still to be read of a text. */
struct text_rest {
    const char *at, *end;
};

static bool is_blank_byte(char byte)
{
    return byte == ' ' || byte == '\t';
}

static bool is_digit_byte(char byte)
{
    return byte >= '0' && byte <= '9';
}

static char lower_letter(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte - 'A' + 'a') : byte;
}

static bool is_letter(char byte)
{
    return lower_letter(byte) >= 'a' && lower_letter(byte) <= 'z';
}

static void skip_blank_bytes(struct text_rest *rest)
{
    while (rest->at < rest->end && is_blank_byte(*rest->at))
        rest->at++;
}

static struct text_rest trim(const char *text, size_t length)
{
    struct text_rest rest = { text, text + length };

    skip_blank_bytes(&rest);
    while (rest.end > rest.at && is_blank_byte(rest.end[-1]))
        rest.end--;
    return rest;
}

static bool equals(const char *text, size_t length, const char *word, size_t word_length)
{
    if (length != word_length)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (lower_letter(text[i]) != lower_letter(word[i]))
            return false;
    }
    return true;
}

int iooptionvalue_choice(const char *choices, const char *text, size_t length, const char **place, size_t *size)
{
    const char *choice = choices;

    for (int i = 0;; i++) {
        size_t choice_size = strcspn(choice, "|");
        if (equals(text, length, choice, choice_size)) {
            *place = choice;
            *size = choice_size;
            return i;
        }
        if (choice[choice_size] == '\0')
            return -1;
        choice += choice_size + 1;
    }
}

const char *iooptionvalue_boolean(const char *text, size_t length, bool *value)
{
    struct text_rest rest = trim(text, length);
    const char *place;
    size_t size, left = (size_t)(rest.end - rest.at);

    *value = iooptionvalue_choice("true|yes|on|t|y|1", rest.at, left, &place, &size) >= 0;
    if (!*value && iooptionvalue_choice("false|no|off|f|n|0", rest.at, left, &place, &size) < 0)
        return "neither true nor false";
    return NULL;
}

/* Takes a sign, if there is one. */
static bool take_minus(struct text_rest *rest)
{
    if (rest->at == rest->end || (*rest->at != '-' && *rest->at != '+'))
        return false;
    return *rest->at++ == '-';
}

/* Downwards, since there is one number more below zero than above. */
const char *iooptionvalue_integer(const char *text, size_t length, int64_t *value)
{
    struct text_rest rest = trim(text, length);
    bool is_negative = take_minus(&rest);

    *value = 0;
    if (rest.at == rest.end)
        return "not an integer";
    for (; rest.at < rest.end; rest.at++) {
        if (!is_digit_byte(*rest.at))
            return "not an integer";
        if (__builtin_mul_overflow(*value, 10, value) || __builtin_sub_overflow(*value, *rest.at - '0', value))
            return "too large";
    }
    if (!is_negative && __builtin_sub_overflow(0, *value, value))
        return "too large";
    return NULL;
}

const char *iooptionvalue_range(const char *text, size_t length, int64_t *first, int64_t *last)
{
    const char *colon = length > 0 ? memchr(text, ':', length) : NULL;
    size_t first_length = colon != NULL ? (size_t)(colon - text) : length;
    const char *why = iooptionvalue_integer(text, first_length, first);

    *last = *first;
    if (why == NULL && colon != NULL)
        why = iooptionvalue_integer(colon + 1, length - first_length - 1, last);
    if (why == NULL && *last < *first)
        why = "a range goes upwards";
    return why;
}

/* A decimal number without its point: the digits, and the power of ten that they are of. So libc reads it as every
 * locale does, and rounds it as nobody else could in five lines. */
struct decimal {
    char text[80];
    size_t length;
    int exponent;
};

enum { MOST_DIGITS = 60, LARGEST_EXPONENT = 9999 };

/* False: there are too many. */
static bool take_digits(struct text_rest *rest, struct decimal *decimal, bool are_fraction)
{
    for (; rest->at < rest->end && is_digit_byte(*rest->at); rest->at++) {
        if (decimal->length == MOST_DIGITS)
            return false;
        decimal->text[decimal->length++] = *rest->at;
        decimal->exponent -= are_fraction;
    }
    return true;
}

/* An "e" that no digits follow is left: it may begin a unit. */
static void take_exponent(struct text_rest *rest, struct decimal *decimal)
{
    struct text_rest ahead = { rest->at + 1, rest->end };
    int exponent = 0;

    if (rest->at == rest->end || lower_letter(*rest->at) != 'e')
        return;
    bool is_negative = take_minus(&ahead);
    if (ahead.at == ahead.end || !is_digit_byte(*ahead.at))
        return;
    for (; ahead.at < ahead.end && is_digit_byte(*ahead.at); ahead.at++) {
        if (exponent < LARGEST_EXPONENT)
            exponent = exponent * 10 + (*ahead.at - '0');
    }
    decimal->exponent += is_negative ? -exponent : exponent;
    rest->at = ahead.at;
}

/* Without a sign. */
static const char *take_number(struct text_rest *rest, double *value)
{
    struct decimal decimal = { .length = 0 };
    bool fits = take_digits(rest, &decimal, false);

    *value = 0;
    if (fits && rest->at < rest->end && *rest->at == '.') {
        rest->at++;
        fits = take_digits(rest, &decimal, true);
    }
    if (!fits)
        return "too many digits";
    if (decimal.length == 0)
        return "not a number";
    take_exponent(rest, &decimal);
    snprintf(decimal.text + decimal.length, sizeof decimal.text - decimal.length, "e%d", decimal.exponent);
    *value = strtod(decimal.text, NULL);
    return isfinite(*value) ? NULL : "too large";
}

const char *iooptionvalue_number(const char *text, size_t length, double *value)
{
    struct text_rest rest = trim(text, length);
    bool is_negative = take_minus(&rest);
    const char *why = take_number(&rest, value);

    if (is_negative)
        *value = -*value;
    if (why == NULL && rest.at < rest.end)
        why = "not a number";
    return why;
}

static const struct duration_unit {
    const char *names;
    double times, parts; /* seconds: so many of them, or one of so many */
} units[] = {
    { "s|sec|second|seconds", 1, 1 },
    { "m|min|minute|minutes", 60, 1 },
    { "h|hour|hours", 3600, 1 },
    { "d|day|days", 86400, 1 },
    { "w|week|weeks", 7 * 86400, 1 },
    { "ms|millisecond|milliseconds", 1, 1000 },
    { "us|microsecond|microseconds", 1, 1000000 },
};

static const struct duration_unit *take_unit(struct text_rest *rest)
{
    const char *begin = rest->at, *place;
    size_t size;

    while (rest->at < rest->end && is_letter(*rest->at))
        rest->at++;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (iooptionvalue_choice(units[i].names, begin, (size_t)(rest->at - begin), &place, &size) >= 0)
            return &units[i];
    }
    return NULL;
}

/* A sum: 1h30m, 1 h 30 min. A number without a unit is one of seconds, but not in a sum: 1h30 could be either. */
const char *iooptionvalue_duration(const char *text, size_t length, double *seconds)
{
    struct text_rest rest = trim(text, length);
    bool is_negative = take_minus(&rest), is_first = true;
    double sum = 0, number;

    do {
        const char *why = take_number(&rest, &number);
        if (why != NULL)
            return why;
        skip_blank_bytes(&rest);
        const struct duration_unit *unit = is_first && rest.at == rest.end ? &units[0] : take_unit(&rest);
        if (unit == NULL)
            return "a unit is one of w d h m s ms us";
        sum += number * unit->times / unit->parts;
        is_first = false;
        skip_blank_bytes(&rest);
    } while (rest.at < rest.end);
    *seconds = is_negative ? -sum : sum;
    return isfinite(sum) ? NULL : "too large";
}

/* From one to so many digits; -1: there are fewer than least. */
static int take_field(struct text_rest *rest, int least, int most)
{
    int value = 0, count = 0;

    for (; count < most && rest->at < rest->end && is_digit_byte(*rest->at); count++)
        value = value * 10 + (*rest->at++ - '0');
    return count >= least ? value : -1;
}

/* One of names of three letters; -1: none. */
static int take_name(struct text_rest *rest, const char *names)
{
    const char *place;
    size_t size;

    if (rest->end - rest->at < 3)
        return -1;
    int index = iooptionvalue_choice(names, rest->at, 3, &place, &size);
    rest->at += 3;
    return index;
}

/* One letter of a form. */
static int take_part(struct text_rest *rest, char form, struct tm *value)
{
    switch (form) {
    case 'Y':
        return value->tm_year = take_field(rest, 4, 4);
    case 'm':
        return value->tm_mon = take_field(rest, 2, 2);
    case 'b':
        value->tm_mon = take_name(rest, "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec") + 1;
        return value->tm_mon > 0 ? 0 : -1;
    case 'a':
        return take_name(rest, "mon|tue|wed|thu|fri|sat|sun");
    case 'd':
        return value->tm_mday = take_field(rest, 2, 2);
    case 'e':
        return value->tm_mday = take_field(rest, 1, 2);
    case 'H':
        return value->tm_hour = take_field(rest, 1, 2);
    case 'M':
        return value->tm_min = take_field(rest, 2, 2);
    case 'S':
        return value->tm_sec = take_field(rest, 2, 2);
    case ' ':
        return rest->at < rest->end && is_blank_byte(*rest->at++) ? 0 : -1;
    default:
        return rest->at < rest->end && *rest->at++ == form ? 0 : -1;
    }
}

static bool has_form(struct text_rest rest, const char *form, struct tm *value)
{
    *value = (struct tm){ .tm_year = 1900, .tm_mon = 1, .tm_mday = 1 };
    for (; *form != '\0'; form++) {
        if (take_part(&rest, *form, value) < 0)
            return false;
        if (*form == ' ')
            skip_blank_bytes(&rest);
    }
    return rest.at == rest.end;
}

static int days_of_month(int year, int month)
{
    static const char days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool is_leap_year = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return days[month - 1] + (month == 2 && is_leap_year);
}

/* From years and months as they are written to those of C, with the days of year and week. */
static bool complete_datetime(struct tm *value)
{
    int year = value->tm_year, month = value->tm_mon, past = year - 1;

    if (year < 1 || month < 1 || month > 12 || value->tm_mday < 1 || value->tm_mday > days_of_month(year, month))
        return false;
    if (value->tm_hour > 23 || value->tm_min > 59 || value->tm_sec > 59)
        return false;
    value->tm_yday = value->tm_mday - 1;
    for (int i = 1; i < month; i++)
        value->tm_yday += days_of_month(year, i);
    value->tm_wday = (past * 365 + past / 4 - past / 100 + past / 400 + value->tm_yday + 1) % 7;
    value->tm_year -= 1900;
    value->tm_mon -= 1;
    value->tm_isdst = -1;
    return true;
}

/* Those of Tornado, and with seconds behind a T. */
const char *iooptionvalue_datetime(const char *text, size_t length, struct tm *value)
{
    static const char *const forms[] = { "a b e H:M:S Y", "Y-m-d H:M:S", "Y-m-d H:M", "Y-m-dTH:M:S",
                                         "Y-m-dTH:M",     "Ymd H:M:S",   "Ymd H:M",   "Y-m-d",
                                         "Ymd",           "H:M:S",       "H:M" };
    struct text_rest rest = trim(text, length);

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (has_form(rest, forms[i], value))
            return complete_datetime(value) ? NULL : "no such day or time";
    }
    return "not a date: 2026-11-21 10:30:00 is one";
}

/* The point of the locale, whatever bytes it has, becomes one. */
static size_t use_point(char *place)
{
    size_t out = 0;

    for (const char *at = place; *at != '\0';) {
        size_t size = strspn(at, "0123456789e+-");
        memmove(place + out, at, size);
        out += size;
        at += size;
        size = strcspn(at, "0123456789e+-");
        if (size > 0)
            place[out++] = '.';
        at += size;
    }
    place[out] = '\0';
    return out;
}

size_t iooptionvalue_format_number(double value, char place[IOOPTIONVALUE_NUMBER_SIZE])
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(place, IOOPTIONVALUE_NUMBER_SIZE, "%.*g", digits, value);
        if (strtod(place, NULL) == value)
            break;
    }
    return use_point(place);
}
