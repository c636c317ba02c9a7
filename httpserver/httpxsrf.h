/* Internal: httpxsrf.h, tokens that show that a form comes from a page of ours, tornado.web's xsrf_token, version 2.
 *
 * The secret stays the same for a browser and is in its cookie; each rendering masks it anew, so that what compression
 * tells of a page (BREACH) is of no use: "2|mask|masked token|timestamp", mask and token in hexadecimal.
 *
 *     if (httpxsrf_decode(&token, cookie, now) < 0)
 *         error = httpxsrf_init(&token, now);
 *     if (error == 0)
 *         length = httpxsrf_format(&token, text);
 *
 * Units: seconds since 1970. Threads: any. */
#ifndef HTTPSERVER_HTTPXSRF_H
#define HTTPSERVER_HTTPXSRF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ioloop/ioapi.h"

/* HTTPXSRF_ROOM: of the text of any token, with its NUL. */
enum { HTTPXSRF_TOKEN = 16, HTTPXSRF_MAX_TOKEN = 64, HTTPXSRF_ROOM = 2 + 8 + 1 + 2 * HTTPXSRF_MAX_TOKEN + 1 + 18 + 1 };

struct httpxsrf {
    unsigned char token[HTTPXSRF_MAX_TOKEN];
    size_t length;     /* of the token; never 0 but in one that is all zero */
    int64_t timestamp; /* when it was made */
};

/* A new token of HTTPXSRF_TOKEN random bytes. An error of the system's that gives none: xsrf is all zero then. */
int httpxsrf_init(struct httpxsrf *xsrf, int64_t now) IOAPI_MUST_USE;

/* Of a cookie or an argument: what format makes; or, as Tornado before version 2, the token in hexadecimal, or any
 * other text, which is the token itself then (now: its timestamp). -EINVAL: NULL, empty, too long, of another version
 * or no good version 2; xsrf is all zero then. */
int httpxsrf_decode(struct httpxsrf *xsrf, const char *text, int64_t now) IOAPI_MUST_USE;

/* Masks the token with four new random bytes. Answers the length of the text, which ends with a NUL. -EINVAL: there
 * is no token; or an error of the system's that gives no random bytes. text is empty then. */
int httpxsrf_format(const struct httpxsrf *xsrf, char text[HTTPXSRF_ROOM]) IOAPI_MUST_USE;

/* Are these two the same token? Its time does not depend on how much of them is. No token is never the same. */
bool httpxsrf_is_same(const struct httpxsrf *a, const struct httpxsrf *b);

#endif
