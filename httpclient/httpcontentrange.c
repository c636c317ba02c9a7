#include "httpclient/httpcontentrange.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "httpserver/httpfield.h"

/* 1*DIGIT, up to 2^63 - 1: what comes behind the last byte can be counted, too. */
static bool take_position(const char **at, uint64_t *number)
{
    const char *begin = *at;

    *number = 0;
    for (; **at >= '0' && **at <= '9'; ++*at) {
        uint64_t digit = (uint64_t)(**at - '0');
        if (*number > (INT64_MAX - digit) / 10)
            return false;
        *number = *number * 10 + digit;
    }
    return *at > begin;
}

static bool take_range_char(const char **at, char wanted)
{
    if (**at != wanted)
        return false;
    ++*at;
    return true;
}

/* first-pos "-" last-pos. */
static bool take_range_part(const char **at, struct httpcontentrange *range)
{
    uint64_t last;

    if (!take_position(at, &range->first) || !take_range_char(at, '-') || !take_position(at, &last) ||
        last < range->first)
        return false;
    range->length = last - range->first + 1;
    return true;
}

/* "/" and complete-length, or an asterisk where there is a part. */
static bool take_range_size(const char **at, struct httpcontentrange *range)
{
    if (!take_range_char(at, '/'))
        return false;
    if (range->length > 0 && take_range_char(at, '*'))
        return true;
    range->has_size = take_position(at, &range->size);
    return range->has_size && (range->length == 0 || range->first + range->length <= range->size);
}

/* The unit is a token whose case does not matter (RFC 9110 14.1), and ends with one space. */
static int take_range_unit(const char **at)
{
    static const char unit[] = "bytes";
    const char *end = strchr(*at, ' ');
    size_t length = end != NULL ? (size_t)(end - *at) : 0;

    if (!httpfield_is_name(*at, length))
        return -EINVAL;
    if (length != sizeof unit - 1 || !httpfield_is_same(*at, unit, length))
        return -ENOTSUP;
    *at = end + 1;
    return 0;
}

int httpcontentrange_parse(const char *value, struct httpcontentrange *range)
{
    struct httpcontentrange found = { 0 };
    int error = value != NULL ? take_range_unit(&value) : -EINVAL;

    if (error < 0)
        return error;
    if (!take_range_char(&value, '*') && !take_range_part(&value, &found))
        return -EINVAL;
    if (!take_range_size(&value, &found) || *value != '\0')
        return -EINVAL;
    *range = found;
    return 0;
}
