/* httpurl.h: URLs (RFC 3986) and their escapes; url_concat and split_host_and_port of tornado.httputil, url_escape and
 * url_unescape of tornado.escape.
 *
 *     struct httpurl url;
 *     if (httpurl_parse(text, strlen(text), &url) == 0 && url.host.text != NULL)
 *         connect_to(url.host.text, url.host.length, url.port);
 *
 * One strict reader: what two readers have been seen to understand differently is refused, never repaired. Nothing here
 * takes memory, and all of it is linear. The target of a request is not a reference: "//a" is a path there, and a host
 * here.
 *
 * Lifetime: parts point into the text that was given.
 * Errors: -EINVAL, and -ENOBUFS when the place is too small.
 * Threads: any. */
#ifndef HTTPSERVER_HTTPURL_H
#define HTTPSERVER_HTTPURL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "ioloop/ioapi.h"

IOAPI_BEGIN

/* Not NUL-terminated. text NULL: absent. The query of "/a?" is there, with length 0; that of "/a" is not. */
struct httpurl_part {
    const char *text;
    size_t length;
};

struct httpurl {
    struct httpurl_part scheme;
    struct httpurl_part userinfo;
    struct httpurl_part host; /* without the brackets of "[::1]" */
    struct httpurl_part port_text;
    struct httpurl_part path;     /* always there, may be empty */
    struct httpurl_part query;    /* without "?" */
    struct httpurl_part fragment; /* without "#" */
    int port;                     /* the number; without one that of http, https, ws or wss; or -1 */
    bool is_ipv6;
};

/* An absolute URL or a relative reference, into *url, which is set on success only. Refused are, in every part: bytes
 * up to 0x20, 0x7F and over, backslashes, "%" without two hexadecimal digits. A host is a name of letters, digits and
 * -._~!$&'()*+;= (no escapes), an IPv6 address in brackets, or an IPv4 address of four decimal numbers ("127.1" and
 * "0x7f.1" are none); with http, https, ws and wss it is not empty. A port is 0 to 65535, in at most five digits.
 * "http:a" is a URL without a host. */
int httpurl_parse(const char *text, size_t length, struct httpurl *url) IOAPI_MUST_USE;

/* The reference as seen from base, RFC 3986 5.2 and 5.3, NUL-terminated. Answers its length; -EINVAL when base has no
 * scheme. The place must not overlap the texts; the lengths of both of them and 3 are always enough. */
ssize_t httpurl_resolve(const struct httpurl *base, const struct httpurl *reference, char *place,
                        size_t size) IOAPI_MUST_USE;

/* Scheme, host and port are there and the same. Hosts are compared as text, without regard to case. */
bool httpurl_same_origin(const struct httpurl *a, const struct httpurl *b);

/* Is that its scheme, without regard to case? */
bool httpurl_has_scheme(const struct httpurl *url, const char *scheme);

/* 80 for http and ws, 443 for https and wss, or -1; whatever port it has itself. */
int httpurl_default_port(const struct httpurl *url);

enum httpurl_flag {
    HTTPURL_PLUS = 1,    /* a space is "+", as in forms and queries */
    HTTPURL_LENIENT = 2, /* decode: a malformed escape stays as it is */
    HTTPURL_PATH = 4,    /* encode: "/" stays, and all that may stand between two of them: !$&'()*+,;=:@ */
};

/* Escapes to bytes. The place has length bytes, may be the text itself, and gets no NUL at its end, though there may be
 * some within. Answers how many bytes it got; -EINVAL for a malformed escape, then with the place partly written. */
ssize_t httpurl_decode(const char *text, size_t length, char *place, unsigned flags) IOAPI_MUST_USE;

/* All but letters, digits and -._~ as escapes. The place has 3 * length bytes and gets no NUL. Answers how many it
 * got. */
size_t httpurl_encode(const char *text, size_t length, char *place, unsigned flags);

/* A URL in which text may stand as it is (an IRI, RFC 3987 3.1) as one for httpurl_parse: bytes from 0x80 on as
 * escapes, all others as they are. The place has 3 * length bytes and gets no NUL. Answers how many it got. */
size_t httpurl_encode_iri(const char *text, size_t length, char *place);

struct httpurl_pair {
    const char *name;
    const char *value; /* NULL: blank */
};

/* The URL with these arguments, escaped, behind those of its query, NUL-terminated; the fragment stays last. Empty
 * members of the query go, and "a" becomes "a=". With none to add (pairs may then be NULL) the URL stays as it is.
 * Answers the length. The place must not overlap the texts. */
ssize_t httpurl_concat(const char *url, const struct httpurl_pair *pairs, size_t count, char *place,
                       size_t size) IOAPI_MUST_USE;

/* "host", "host:port" or "[::1]:port", the host without its brackets; valid as in httpurl_parse, and not empty. The
 * port is -1 without one. */
int httpurl_split_host_and_port(const char *text, size_t length, struct httpurl_part *host, int *port) IOAPI_MUST_USE;

IOAPI_END
#endif
