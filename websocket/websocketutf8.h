/* Internal: websocketutf8.h, is a text UTF-8 (RFC 3629)? By and by, and no later than at the first byte that cannot be
 * right. ASCII goes a word or a vector at a time, and so do long texts of any kind on processors with AVX2. Pure. */
#ifndef WEBSOCKET_WEBSOCKETUTF8_H
#define WEBSOCKET_WEBSOCKETUTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed before the first byte: between characters. */
struct websocketutf8 {
    uint8_t missing;     /* bytes of the present character that are to come */
    uint8_t least, most; /* what the next one may be */
};

/* The text goes on so. False: it is no UTF-8, whatever may follow. */
bool websocketutf8_check(struct websocketutf8 *utf8, const void *bytes, size_t length);

/* It may end here. */
static inline bool websocketutf8_is_whole(const struct websocketutf8 *utf8)
{
    return utf8->missing == 0;
}

/* Is all of it one text? */
static inline bool websocketutf8_is_text(const void *bytes, size_t length)
{
    struct websocketutf8 utf8 = { 0 };

    return websocketutf8_check(&utf8, bytes, length) && websocketutf8_is_whole(&utf8);
}

#endif
