#include "httpserver/httpbase64.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* -1: it is none. */
static int base64_value(char digit)
{
    if (digit >= 'A' && digit <= 'Z')
        return digit - 'A';
    if (digit >= 'a' && digit <= 'z')
        return digit - 'a' + 26;
    if (digit >= '0' && digit <= '9')
        return digit - '0' + 52;
    return digit == '+' ? 62 : digit == '/' ? 63 : -1;
}

/* One to three bytes as four digits. */
static void encode_base64_group(const unsigned char *bytes, size_t count, char *place)
{
    uint32_t group = (uint32_t)bytes[0] << 16;

    if (count > 1)
        group |= (uint32_t)bytes[1] << 8;
    if (count > 2)
        group |= bytes[2];
    place[0] = base64_digits[group >> 18];
    place[1] = base64_digits[group >> 12 & 63];
    place[2] = count > 1 ? base64_digits[group >> 6 & 63] : '=';
    place[3] = count > 2 ? base64_digits[group & 63] : '=';
}

size_t httpbase64_encode(const void *data, size_t length, char *place)
{
    const unsigned char *bytes = data;
    char *end = place;

    for (; length >= 3; bytes += 3, length -= 3, end += 4)
        encode_base64_group(bytes, 3, end);
    if (length > 0) {
        encode_base64_group(bytes, length, end);
        end += 4;
    }
    return (size_t)(end - place);
}

/* Two to four digits as one to three bytes. False: some are none, or the last has bits that are not used. */
static bool decode_base64_group(const char *text, size_t digits, unsigned char *place)
{
    uint32_t group = 0;

    for (size_t i = 0; i < digits; i++) {
        int value = base64_value(text[i]);
        if (value < 0)
            return false;
        group |= (uint32_t)value << (18 - 6 * i);
    }
    if ((digits == 2 && (group & 0xffff) != 0) || (digits == 3 && (group & 0xff) != 0))
        return false;
    for (size_t i = 0; i + 1 < digits; i++)
        place[i] = (unsigned char)(group >> (16 - 8 * i));
    return true;
}

ssize_t httpbase64_decode(const char *text, size_t length, void *place)
{
    unsigned char *end = place;

    if (length % 4 != 0)
        return -EINVAL;
    for (; length > 0; text += 4, length -= 4) {
        size_t digits = 4;
        if (length == 4 && text[3] == '=')
            digits = text[2] == '=' ? 2 : 3;
        if (!decode_base64_group(text, digits, end))
            return -EINVAL;
        end += digits - 1;
    }
    return end - (unsigned char *)place;
}
