/* Internal: httpurllayer.h, what the files that read and write URLs share: the classes of their bytes. */
#ifndef HTTPSERVER_HTTPURLLAYER_H
#define HTTPSERVER_HTTPURLLAYER_H

#include <stdbool.h>
#include <stdint.h>

#include "httpserver/httpurl.h"

/* What a byte may be part of. "%" is of no part: it has to be looked at. */
enum {
    HTTPURLLAYER_FRAGMENT = 1,   /* VCHAR but the backslash, which some readers take for a slash */
    HTTPURLLAYER_QUERY = 2,      /* the same, but what ends a query */
    HTTPURLLAYER_TEXT = 4,       /* and but what ends a path */
    HTTPURLLAYER_UNRESERVED = 8, /* RFC 3986 2.3 */
    HTTPURLLAYER_PATH = 16,      /* pchar and "/", RFC 3986 3.3 */
    HTTPURLLAYER_PLUSLESS = 32,  /* the same but "+", where that is a space */
    HTTPURLLAYER_USERINFO = 64,  /* RFC 3986 3.2.1 */
    HTTPURLLAYER_HOST = 128,     /* reg-name, RFC 3986 3.2.2, but no comma and no escapes: nobody resolves those */
    HTTPURLLAYER_SCHEME = 256,   /* RFC 3986 3.1, from the second byte on */
    HTTPURLLAYER_HEX = 512,
};

extern const uint16_t httpurllayer_classes[256];

static inline bool httpurllayer_is_in(char byte, unsigned class)
{
    return (httpurllayer_classes[(uint8_t)byte] & class) != 0;
}

/* For one class only. */
static inline bool httpurllayer_are_four_in(const char *at, unsigned class)
{
    return (httpurllayer_classes[(uint8_t)at[0]] & httpurllayer_classes[(uint8_t)at[1]] &
            httpurllayer_classes[(uint8_t)at[2]] & httpurllayer_classes[(uint8_t)at[3]] & class) != 0;
}

static inline bool httpurllayer_is_escape(const char *at, const char *end)
{
    return end - at >= 3 && at[0] == '%' && httpurllayer_is_in(at[1], HTTPURLLAYER_HEX) &&
           httpurllayer_is_in(at[2], HTTPURLLAYER_HEX);
}

#endif
