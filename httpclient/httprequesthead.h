/* Internal: httprequesthead.h, the head of a request that a client sends (RFC 9112 3), and the checks of what a program
 * has asked for. Pure.
 *
 * Only what is in the grammar goes out: a method is a token, a target and an authority come from a URL that httpurl.h
 * has parsed, a header is one for httpheaders.h. Nothing that a program gives can begin a line of its own. */
#ifndef HTTPCLIENT_HTTPREQUESTHEAD_H
#define HTTPCLIENT_HTTPREQUESTHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "httpserver/httpheaders.h"
#include "httpserver/httpurl.h"
#include "ioloop/ioapi.h"

enum httprequesthead_body {
    HTTPREQUESTHEAD_NONE,
    HTTPREQUESTHEAD_LENGTH,
    HTTPREQUESTHEAD_CHUNKED,
};

enum httprequesthead_target {
    HTTPREQUESTHEAD_ORIGIN,    /* "/path?query" */
    HTTPREQUESTHEAD_ABSOLUTE,  /* the URL, for a proxy */
    HTTPREQUESTHEAD_AUTHORITY, /* "host:port", for CONNECT */
};

struct httprequesthead {
    const char *method; /* a token of 1 to 32 bytes */
    const struct httpurl *url;
    enum httprequesthead_target target;
    const struct httpheaders *headers; /* the program's; NULL: none. Those below are left out of it. */
    const char *user_agent;            /* unless headers have one; NULL: none is sent */
    const char *authorization;         /* wins; NULL: only what headers have */
    const char *proxy_authorization;   /* for the proxy that gets this head; NULL: none */
    const char *content_type;          /* unless headers have one; NULL: none */
    const char *if_modified_since;     /* NULL: none; wins */
    enum httprequesthead_body body;
    uint64_t content_length; /* with HTTPREQUESTHEAD_LENGTH */
    bool close;              /* says Connection: close */
    bool expect_continue;    /* wins */
    bool accept_gzip;        /* unless headers have an Accept-Encoding */
    bool upgrade;            /* Connection and Upgrade of headers go out as they are */

    bool closes; /* set by format: it says Connection: close, for whatever reason; never with upgrade */
};

/* Host comes first: that of the headers, where the target is the origin's; else the URL's, with the port unless it is
 * the scheme's own (CONNECT: always). Connection, Content-Length, Transfer-Encoding, Upgrade and Proxy-Authorization of
 * the headers are left out (Connection: close counts as close), and what else is said here and wins. Neither user nor
 * password of the URL goes out. Answers the length of what it would write, and writes it if the size allows for it (if
 * not, perhaps a part); -EINVAL: something cannot be sent: a method that is no token, or CONNECT for anything but an
 * authority, a URL without host or with port 0, two Hosts, or one that is none, a value with control characters. */
ssize_t httprequesthead_format(struct httprequesthead *head, char *place, size_t size) IOAPI_MUST_USE;

/* GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS: Tornado's. */
bool httprequesthead_is_standard(const char *method);

/* POST, PUT and PATCH have a body; the other standard ones have none. */
bool httprequesthead_wants_body(const char *method);

/* RFC 9110 9.2.1 · 9.2.2: what is safe is idempotent, too. */
bool httprequesthead_is_safe(const char *method);
bool httprequesthead_is_idempotent(const char *method);

/* "Basic …", RFC 7617, in new memory (ioalloc_free). NULL with errno: EINVAL there is a colon in the user's name, or a
 * control character; ENOMEM. Lengths, as the texts come from URLs, percent-decoded. */
char *httprequesthead_basic(const char *user, size_t user_length, const char *password, size_t password_length);

#endif
