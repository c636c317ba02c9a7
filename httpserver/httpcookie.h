/* httpcookie.h: cookies (RFC 6265), tornado.httputil.parse_cookie and the text of set_cookie.
 *
 *     struct httpcookies cookies = { 0 };
 *     int error = httpcookies_parse(&cookies, httprequest_header(request, "Cookie"));
 *     const char *user = httpcookies_get(&cookies, "user");
 *     httpcookies_free(&cookies);
 *
 * Lifetime: names and values are those of struct httpcookies, until the next parse, clear or free.
 * Threads: any; one at a time for the same cookies. */
#ifndef HTTPSERVER_HTTPCOOKIE_H
#define HTTPSERVER_HTTPCOOKIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ioloop/ioapi.h"

IOAPI_BEGIN

#define HTTPCOOKIES_MAX 64

struct httpcookie {
    const char *name, *value;
};

/* Held by value; all zero is empty. */
struct httpcookies {
    struct httpcookie *cookies; /* count of them; their texts stand behind, in the same memory */
    size_t count;
    size_t capacity; /* bytes of that memory */
};

/* The cookies of one header instead of those that were there. As browsers read them: ';' always ends a cookie, the
 * first '=' ends its name, blanks around both go; without '=' all is value and the name is "". The later of two with
 * the same name wins. A value in quotes loses them, and \" and \ooo in it are what they stand for; one that would hold
 * a NUL loses its cookie. Nothing else is checked: a name or value may hold any byte but NUL.
 *
 * NULL is a header without cookies. -ENOBUFS: it has more than HTTPCOOKIES_MAX, the first of them are there.
 * -ENOMEM: there are none. */
int httpcookies_parse(struct httpcookies *cookies, const char *header) IOAPI_MUST_USE;

/* NULL without one of exactly that name. at: in the order in which the names came; NULL behind the last. */
const char *httpcookies_get(const struct httpcookies *cookies, const char *name);
const struct httpcookie *httpcookies_at(const struct httpcookies *cookies, size_t index);
size_t httpcookies_count(const struct httpcookies *cookies);

/* Empties; free also gives the memory back. Both may be called any number of times, parse after both. */
void httpcookies_clear(struct httpcookies *cookies);
void httpcookies_free(struct httpcookies *cookies);

struct httpcookie_options {
    const char *domain;    /* letters, digits, '.' and '-'; NULL or "": left out, the cookie is for this host only */
    const char *path;      /* begins with '/'; NULL: "/"; "": left out, the browser takes the folder of the request */
    int64_t expires;       /* seconds since 1970; 0: see expires_days */
    double expires_days;   /* from now, negative: in the past; 0: left out, gone when the browser is closed */
    int64_t max_age;       /* seconds; 0: left out; negative: Max-Age=0, gone at once */
    const char *same_site; /* Strict, Lax or None, in whatever case; NULL or "": left out */
    bool secure, http_only;
};

/* The value of a Set-Cookie header, terminated by NUL: `name=value; Domain=a.org; expires=Sun, 06 Nov 1994 08:49:37
 * GMT; HttpOnly; Max-Age=10; Path=/; SameSite=Lax; Secure`. The name is a token (RFC 9110 5.6.2). The value may be
 * anything: where it is not plain it is quoted, with octal escapes. now: seconds since 1970, for expires_days. options
 * may be NULL.
 *
 * Answers the length. -EINVAL: the name or an option has a byte that it cannot have, or expires_days is no number.
 * -ENOBUFS: it does not fit into size bytes. Either way place is an empty string. Browsers ignore cookies whose name
 * and value are over 4096 bytes together. */
ssize_t httpcookie_format(char *place, size_t size, const char *name, const char *value,
                          const struct httpcookie_options *options, int64_t now) IOAPI_MUST_USE;

IOAPI_END
#endif
