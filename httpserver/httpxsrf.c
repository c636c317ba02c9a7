#include "httpserver/httpxsrf.h"

#include <errno.h>
#include <string.h>

#include "httpserver/httphmac.h"
#include "ioloop/kernel.h"

#define MAX_TIMESTAMP INT64_C(999999999999999999)

enum { MASK_LENGTH = 4, TIMESTAMP_DIGITS = 18 };

static const char xsrf_digits[] = "0123456789abcdef";

static int hexadecimal_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

/* All of the text, as at most so many bytes; how many, 0 when it is not hexadecimal or too long. */
static size_t decode_hexadecimal(const char *text, size_t length, unsigned char *place, size_t capacity)
{
    if (length % 2 != 0 || length / 2 > capacity)
        return 0;
    for (size_t i = 0; i < length; i += 2) {
        int high = hexadecimal_value(text[i]), low = hexadecimal_value(text[i + 1]);
        if (high < 0 || low < 0)
            return 0;
        place[i / 2] = (unsigned char)(high << 4 | low);
    }
    return length / 2;
}

static char *append_hexadecimal(char *place, const unsigned char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        *place++ = xsrf_digits[bytes[i] >> 4];
        *place++ = xsrf_digits[bytes[i] & 15];
    }
    return place;
}

static void apply_mask(unsigned char *bytes, size_t length, const unsigned char mask[MASK_LENGTH])
{
    for (size_t i = 0; i < length; i++)
        bytes[i] ^= mask[i % MASK_LENGTH];
}

static char *append_timestamp(char *place, int64_t timestamp)
{
    char digits[TIMESTAMP_DIGITS];
    int count = 0;

    if (timestamp < 0)
        timestamp = 0;
    if (timestamp > MAX_TIMESTAMP)
        timestamp = MAX_TIMESTAMP;
    do {
        digits[count++] = (char)('0' + timestamp % 10);
        timestamp /= 10;
    } while (timestamp > 0);
    while (count > 0)
        *place++ = digits[--count];
    return place;
}

/* All of the text; -1: it is no number. */
static int64_t parse_timestamp(const char *text)
{
    int64_t timestamp = 0;
    size_t i = 0;

    for (; text[i] >= '0' && text[i] <= '9' && i < TIMESTAMP_DIGITS; i++)
        timestamp = timestamp * 10 + (text[i] - '0');
    return i == 0 || text[i] != '\0' ? -1 : timestamp;
}

int httpxsrf_init(struct httpxsrf *xsrf, int64_t now)
{
    memset(xsrf, 0, sizeof *xsrf);
    int error = kernel_random(xsrf->token, HTTPXSRF_TOKEN);
    if (error < 0) {
        memset(xsrf, 0, sizeof *xsrf);
        return error;
    }
    xsrf->length = HTTPXSRF_TOKEN;
    xsrf->timestamp = now;
    return 0;
}

/* What stands behind "2|". */
static bool decode_masked(struct httpxsrf *xsrf, const char *text)
{
    unsigned char mask[MASK_LENGTH];
    size_t mask_length = strcspn(text, "|");
    const char *token = text + mask_length + 1;

    if (text[mask_length] == '\0' || decode_hexadecimal(text, mask_length, mask, MASK_LENGTH) != MASK_LENGTH)
        return false;
    size_t token_length = strcspn(token, "|");
    if (token[token_length] == '\0')
        return false;
    xsrf->length = decode_hexadecimal(token, token_length, xsrf->token, HTTPXSRF_MAX_TOKEN);
    xsrf->timestamp = parse_timestamp(token + token_length + 1);
    apply_mask(xsrf->token, xsrf->length, mask);
    return xsrf->length > 0 && xsrf->timestamp >= 0;
}

/* Does it begin with a version, [1-9][0-9]*, and '|'? Where others come to be, they are not taken for plain tokens. */
static bool has_token_version(const char *text)
{
    return text[0] >= '1' && text[0] <= '9' && text[strspn(text, "0123456789")] == '|';
}

static bool decode_plain(struct httpxsrf *xsrf, const char *text)
{
    size_t length = strlen(text);

    xsrf->length = decode_hexadecimal(text, length, xsrf->token, HTTPXSRF_MAX_TOKEN);
    if (xsrf->length > 0)
        return true;
    if (length == 0 || length > HTTPXSRF_MAX_TOKEN)
        return false;
    memcpy(xsrf->token, text, length);
    xsrf->length = length;
    return true;
}

int httpxsrf_decode(struct httpxsrf *xsrf, const char *text, int64_t now)
{
    bool is_decoded = false;

    memset(xsrf, 0, sizeof *xsrf);
    xsrf->timestamp = now;
    if (text != NULL && strncmp(text, "2|", 2) == 0)
        is_decoded = decode_masked(xsrf, text + 2);
    else if (text != NULL && !has_token_version(text))
        is_decoded = decode_plain(xsrf, text);
    if (is_decoded)
        return 0;
    memset(xsrf, 0, sizeof *xsrf);
    return -EINVAL;
}

int httpxsrf_format(const struct httpxsrf *xsrf, char text[HTTPXSRF_ROOM])
{
    unsigned char mask[MASK_LENGTH], masked[HTTPXSRF_MAX_TOKEN];
    int error = xsrf->length == 0 ? -EINVAL : kernel_random(mask, sizeof mask);
    char *end = text;

    text[0] = '\0';
    if (error < 0)
        return error;
    memcpy(masked, xsrf->token, xsrf->length);
    apply_mask(masked, xsrf->length, mask);
    *end++ = '2';
    *end++ = '|';
    end = append_hexadecimal(end, mask, sizeof mask);
    *end++ = '|';
    end = append_hexadecimal(end, masked, xsrf->length);
    *end++ = '|';
    end = append_timestamp(end, xsrf->timestamp);
    *end = '\0';
    return (int)(end - text);
}

bool httpxsrf_is_same(const struct httpxsrf *a, const struct httpxsrf *b)
{
    return a->length > 0 && a->length == b->length && httphmac_equal(a->token, b->token, a->length);
}
