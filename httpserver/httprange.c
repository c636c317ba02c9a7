#include "httpserver/httprange.h"

#include <stdbool.h>
#include <string.h>

/* 1*DIGIT. A number that does not fit is beyond the end of everything, as UINT64_MAX is. False where there is none. */
static bool read_position(const char **at, uint64_t *position)
{
    const char *begin = *at;

    *position = 0;
    for (; **at >= '0' && **at <= '9'; ++*at) {
        uint64_t digit = (uint64_t)(**at - '0');
        if (*position > (UINT64_MAX - digit) / 10)
            *position = UINT64_MAX;
        else
            *position = *position * 10 + digit;
    }
    return *at > begin;
}

/* The unit, whose case does not matter (RFC 9110 14.1), and the "=". NULL for another one. */
static const char *skip_unit(const char *value)
{
    static const char unit[] = "bytes=";

    for (size_t i = 0; i < sizeof unit - 1; i++)
        if (value[i] != unit[i] && (unit[i] == '=' || value[i] != unit[i] - 'a' + 'A'))
            return NULL;
    return value + sizeof unit - 1;
}

/* The last so many bytes, RFC 9110 14.1.2. All of an empty file are none, which is no part of it either. */
static enum httprange_outcome take_suffix(uint64_t suffix, uint64_t size, uint64_t *first, uint64_t *length)
{
    if (suffix == 0) {
        *length = 0;
        return HTTPRANGE_UNSATISFIABLE;
    }
    if (suffix >= size)
        return HTTPRANGE_WHOLE;
    *first = size - suffix;
    *length = suffix;
    return HTTPRANGE_PART;
}

/* [begin, last], RFC 9110 14.1.2. */
static enum httprange_outcome take_interval(uint64_t begin, uint64_t last, uint64_t size, uint64_t *first,
                                            uint64_t *length)
{
    if (begin >= size || last < begin) {
        *length = 0;
        return HTTPRANGE_UNSATISFIABLE;
    }
    if (begin == 0 && last >= size - 1)
        return HTTPRANGE_WHOLE;
    *first = begin;
    *length = (last < size - 1 ? last : size - 1) - begin + 1;
    return HTTPRANGE_PART;
}

enum httprange_outcome httprange_parse(const char *value, uint64_t size, uint64_t *first, uint64_t *length)
{
    const char *at = value != NULL ? skip_unit(value) : NULL;
    uint64_t begin, last;

    *first = 0;
    *length = size;
    if (at == NULL)
        return HTTPRANGE_WHOLE;
    bool has_begin = read_position(&at, &begin);
    if (*at++ != '-')
        return HTTPRANGE_WHOLE;
    bool has_last = read_position(&at, &last);
    if (*at != '\0' || (!has_begin && !has_last))
        return HTTPRANGE_WHOLE;
    if (!has_begin)
        return take_suffix(last, size, first, length);
    return take_interval(begin, has_last ? last : UINT64_MAX, size, first, length);
}

static char *put_position(char *place, uint64_t position)
{
    char digits[20];
    size_t count = 0;

    do {
        digits[count++] = (char)('0' + position % 10);
        position /= 10;
    } while (position > 0);
    while (count > 0)
        *place++ = digits[--count];
    return place;
}

size_t httprange_format(char place[HTTPRANGE_SIZE], uint64_t first, uint64_t length, uint64_t size)
{
    char *at = place;

    memcpy(at, "bytes *", sizeof "bytes *");
    at += sizeof "bytes " - 1;
    if (length == 0) {
        at++;
    } else {
        at = put_position(at, first);
        *at++ = '-';
        at = put_position(at, first + length - 1);
    }
    *at++ = '/';
    at = put_position(at, size);
    *at = '\0';
    return (size_t)(at - place);
}
