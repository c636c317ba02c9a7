#include "httpserver/httpsigned.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "httpserver/httpbase64.h"
#include "httpserver/httphmac.h"

/* The format: 2|1:0|10:1300000000|3:key|8:dmFsdWU=|signature. Each field stands behind its length, so that no byte can
 * move from one to another without a change of what is signed; the signature is of all before it. */

#define SECONDS_A_DAY 86400

enum { DECIMAL_DIGITS = 20, SIGNATURE_LENGTH = 2 * HTTPHMAC_DIGEST };

struct signed_field {
    const char *bytes;
    size_t length;
};

struct signed_fields {
    struct signed_field name, value;
    uint64_t key_version, timestamp;
    const char *signature; /* to the end of the text; SIGNATURE_LENGTH bytes */
};

/* The secret of that version; NULL without one. */
static const char *find_secret(const struct httpsigned_key *keys, int key_version)
{
    for (; keys->secret != NULL; keys++) {
        if (keys->version == key_version)
            return keys->secret[0] != '\0' ? keys->secret : NULL;
    }
    return NULL;
}

static void sign_text(const char *secret, const char *text, size_t length, char signature[SIGNATURE_LENGTH])
{
    static const char hexadecimal[] = "0123456789abcdef";
    unsigned char digest[HTTPHMAC_DIGEST];
    struct httphmac hmac;

    httphmac_init(&hmac, secret, strlen(secret));
    httphmac_update(&hmac, text, length);
    httphmac_final(&hmac, digest);
    for (int i = 0; i < HTTPHMAC_DIGEST; i++) {
        signature[2 * i] = hexadecimal[digest[i] >> 4];
        signature[2 * i + 1] = hexadecimal[digest[i] & 15];
    }
}

/* A text that is being written; is_full: something did not fit, and nothing more is written. */
struct signed_text {
    char *place;
    size_t length, size;
    bool is_full;
};

static bool has_room_for_signed(struct signed_text *text, size_t length)
{
    if (length > text->size - text->length)
        text->is_full = true;
    return !text->is_full;
}

static void append_signed(struct signed_text *text, const char *bytes, size_t length)
{
    if (!has_room_for_signed(text, length))
        return;
    memcpy(text->place + text->length, bytes, length);
    text->length += length;
}

static size_t format_decimal(uint64_t number, char digits[DECIMAL_DIGITS])
{
    size_t count = 1;

    for (uint64_t rest = number; rest >= 10; rest /= 10)
        count++;
    for (size_t i = count; i > 0; i--, number /= 10)
        digits[i - 1] = (char)('0' + number % 10);
    return count;
}

static void append_field_length(struct signed_text *text, size_t length)
{
    char digits[DECIMAL_DIGITS];

    append_signed(text, digits, format_decimal(length, digits));
    append_signed(text, ":", 1);
}

static void append_field(struct signed_text *text, const char *bytes, size_t length)
{
    append_field_length(text, length);
    append_signed(text, bytes, length);
    append_signed(text, "|", 1);
}

static void append_number_field(struct signed_text *text, uint64_t number)
{
    char digits[DECIMAL_DIGITS];

    append_field(text, digits, format_decimal(number, digits));
}

static void append_value_field(struct signed_text *text, const void *value, size_t length)
{
    append_field_length(text, HTTPBASE64_LENGTH(length));
    if (has_room_for_signed(text, HTTPBASE64_LENGTH(length)))
        text->length += httpbase64_encode(value, length, text->place + text->length);
    append_signed(text, "|", 1);
}

ssize_t httpsigned_create(const struct httpsigned_key *keys, int key_version, const char *name, const void *value,
                          size_t length, int64_t now, char *place, size_t size)
{
    const char *secret = find_secret(keys, key_version);
    struct signed_text text = { .place = place, .size = size };

    if (secret == NULL || key_version < 0 || now < 0)
        return -EINVAL;
    append_signed(&text, "2|", 2);
    append_number_field(&text, (uint64_t)key_version);
    append_number_field(&text, (uint64_t)now);
    append_field(&text, name, strlen(name));
    append_value_field(&text, value, length);
    if (!has_room_for_signed(&text, SIGNATURE_LENGTH + 1))
        return -ENOBUFS;
    sign_text(secret, place, text.length, place + text.length);
    place[text.length + SIGNATURE_LENGTH] = '\0';
    return (ssize_t)text.length + SIGNATURE_LENGTH;
}

/* Digits without a leading zero, up to the byte that ends them, which is passed too. */
static bool read_decimal(const char **text, char end, uint64_t most, uint64_t *number)
{
    const char *digit = *text;

    *number = 0;
    if (digit[0] == '0' && digit[1] != end)
        return false;
    for (; *digit >= '0' && *digit <= '9'; digit++) {
        unsigned value = (unsigned)(*digit - '0');
        if (*number > (most - value) / 10)
            return false;
        *number = *number * 10 + value;
    }
    if (digit == *text || *digit != end)
        return false;
    *text = digit + 1;
    return true;
}

/* left: bytes from *text to the end. */
static bool read_field(const char **text, const char *end, struct signed_field *field)
{
    uint64_t length;

    if (!read_decimal(text, ':', SIZE_MAX, &length) || length >= (size_t)(end - *text) || (*text)[length] != '|')
        return false;
    field->bytes = *text;
    field->length = (size_t)length;
    *text += length + 1;
    return true;
}

static bool read_number_field(const char **text, const char *end, uint64_t most, uint64_t *number)
{
    struct signed_field field;
    const char *digits;

    if (!read_field(text, end, &field))
        return false;
    digits = field.bytes;
    return read_decimal(&digits, '|', most, number) && digits == *text;
}

static bool read_fields(const char *text, struct signed_fields *fields)
{
    const char *end = text + strlen(text);

    if (strncmp(text, "2|", 2) != 0)
        return false;
    text += 2;
    if (!read_number_field(&text, end, INT_MAX, &fields->key_version) ||
        !read_number_field(&text, end, INT64_MAX, &fields->timestamp))
        return false;
    fields->signature = text;
    return read_field(&fields->signature, end, &fields->name) && read_field(&fields->signature, end, &fields->value) &&
           end - fields->signature == SIGNATURE_LENGTH;
}

static bool is_signed(const char *secret, const char *text, const char *signature)
{
    char expected[SIGNATURE_LENGTH];

    sign_text(secret, text, (size_t)(signature - text), expected);
    return httphmac_equal(signature, expected, SIGNATURE_LENGTH);
}

/* False also for what is not comparable: a NaN of the caller's keeps nothing alive. */
static bool is_recent(uint64_t timestamp, double max_age_days, int64_t now)
{
    double days = max_age_days == 0 ? HTTPSIGNED_MAX_AGE_DAYS : max_age_days;

    return (double)timestamp >= (double)now - days * SECONDS_A_DAY;
}

/* As it is if it is base64 at all. */
static size_t decoded_length(struct signed_field value)
{
    const char *end = value.bytes + value.length;

    return value.length < 4 ? 0 : value.length / 4 * 3 - (end[-1] == '=') - (end[-2] == '=');
}

ssize_t httpsigned_decode(const struct httpsigned_key *keys, const char *name, const char *text, double max_age_days,
                          int64_t now, void *place, size_t size)
{
    struct signed_fields fields;

    if (!read_fields(text, &fields))
        return -EBADMSG;
    const char *secret = find_secret(keys, (int)fields.key_version);
    if (secret == NULL || !is_signed(secret, text, fields.signature))
        return -EBADMSG;
    if (fields.name.length != strlen(name) || memcmp(fields.name.bytes, name, fields.name.length) != 0)
        return -EBADMSG;
    if (!is_recent(fields.timestamp, max_age_days, now))
        return -ETIMEDOUT;
    if (decoded_length(fields.value) > size)
        return -ENOBUFS;
    ssize_t length = httpbase64_decode(fields.value.bytes, fields.value.length, place);
    return length < 0 ? -EBADMSG : length;
}

int httpsigned_key_version(const char *text)
{
    struct signed_fields fields;

    return read_fields(text, &fields) ? (int)fields.key_version : -EINVAL;
}
