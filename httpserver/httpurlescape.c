/* Escapes of URLs. */
#include <errno.h>
#include <string.h>

#include "httpserver/http1bytes.h"
#include "httpserver/httpurl.h"
#include "httpserver/httpurllayer.h"

/* Eight bytes at once, in any order; most have nothing in them to be done. */
enum { URL_WORD = sizeof(uint64_t) };

static inline uint64_t load_url_word(const char *text)
{
    uint64_t word;

    memcpy(&word, text, sizeof word);
    return word;
}

/* Some bit where one of the bytes is this one, else 0. */
static inline uint64_t has_url_byte(uint64_t word, char byte)
{
    uint64_t other = word ^ HTTP1BYTES_EACH((uint8_t)byte);

    return (other - HTTP1BYTES_EACH(0x01)) & ~other & HTTP1BYTES_EACH(0x80);
}

/* Copies up to the first byte that does not stand for itself, and answers how many bytes that is. The place may be, or
 * be before, the text. */
static inline size_t copy_unescaped(const char *text, size_t length, char *place, unsigned flags)
{
    char blank = flags & HTTPURL_PLUS ? '+' : '%';
    size_t at = 0;

    for (; length - at >= URL_WORD; at += URL_WORD) {
        uint64_t word = load_url_word(text + at);
        if (has_url_byte(word, '%') || has_url_byte(word, blank))
            break;
        memcpy(place + at, &word, sizeof word);
    }
    for (; at < length && text[at] != '%' && text[at] != blank; at++)
        place[at] = text[at];
    return at;
}

/* Of a hexadecimal digit. */
static unsigned hex_value(char digit)
{
    return digit <= '9' ? (unsigned)(digit - '0') : (unsigned)((digit | 0x20) - 'a' + 10);
}

ssize_t httpurl_decode(const char *text, size_t length, char *place, unsigned flags)
{
    size_t at = copy_unescaped(text, length, place, flags), out = at;

    while (at < length) {
        if (httpurllayer_is_escape(text + at, text + length)) {
            place[out++] = (char)(hex_value(text[at + 1]) << 4 | hex_value(text[at + 2]));
            at += 3;
        } else if (text[at] == '%' && !(flags & HTTPURL_LENIENT)) {
            return -EINVAL;
        } else {
            place[out++] = text[at] == '%' ? '%' : ' ';
            at++;
        }
        size_t copied = copy_unescaped(text + at, length - at, place + out, flags);
        at += copied;
        out += copied;
    }
    return (ssize_t)out;
}

static size_t put_escape(char *place, uint8_t byte)
{
    static const char digits[] = "0123456789ABCDEF";

    place[0] = '%';
    place[1] = digits[byte >> 4];
    place[2] = digits[byte & 15];
    return 3;
}

/* Of what stands as it is. */
static unsigned encode_class(unsigned flags)
{
    if (!(flags & HTTPURL_PATH))
        return HTTPURLLAYER_UNRESERVED;
    return flags & HTTPURL_PLUS ? HTTPURLLAYER_PLUSLESS : HTTPURLLAYER_PATH;
}

static inline size_t encode_byte(char byte, char *place, unsigned class, unsigned flags)
{
    bool is_blank = byte == ' ' && (flags & HTTPURL_PLUS);

    if (!is_blank && !httpurllayer_is_in(byte, class))
        return put_escape(place, (uint8_t)byte);
    *place = is_blank ? '+' : byte;
    return 1;
}

size_t httpurl_encode(const char *text, size_t length, char *place, unsigned flags)
{
    unsigned class = encode_class(flags);
    size_t at = 0, out = 0;

    while (at < length) {
        if (length - at >= 4 && httpurllayer_are_four_in(text + at, class)) {
            memcpy(place + out, text + at, 4);
            at += 4;
            out += 4;
        } else {
            out += encode_byte(text[at++], place + out, class, flags);
        }
    }
    return out;
}

size_t httpurl_encode_iri(const char *text, size_t length, char *place)
{
    size_t out = 0, i = 0;

    while (i < length) {
        if (length - i >= URL_WORD && (load_url_word(text + i) & HTTP1BYTES_EACH(0x80)) == 0) {
            memcpy(place + out, text + i, URL_WORD);
            out += URL_WORD;
            i += URL_WORD;
        } else if ((uint8_t)text[i] < 0x80) {
            place[out++] = text[i++];
        } else {
            out += put_escape(place + out, (uint8_t)text[i++]);
        }
    }
    return out;
}
