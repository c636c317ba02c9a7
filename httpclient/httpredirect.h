/* Internal: httpredirect.h, where a redirect leads and what goes along: RFC 9110 15.4, Fetch 4.4. Pure.
 *
 *     303: GET, unless HEAD, and no body. 301, 302: GET instead of POST. 307, 308: the same again.
 *     With a new method the body goes, and Content-Length, -Type, -Encoding, -Language, -Location, Transfer-Encoding,
 *     Expect.
 *     Another origin (scheme, host or port) than the first: Authorization, Cookie, Proxy-Authorization, user and
 *     password go; they do not come back when a later hop returns to the first.
 *     Never from https to http, never out of http and https (ws and wss, of an upgrade). */
#ifndef HTTPCLIENT_HTTPREDIRECT_H
#define HTTPCLIENT_HTTPREDIRECT_H

#include <stdbool.h>

#include "httpserver/httpheaders.h"
#include "ioloop/ioapi.h"

enum { HTTPREDIRECT_MAX_LOCATION = 8192 };

/* A redirect that a client could follow: 301, 302, 303, 307, 308. */
bool httpredirect_is_status(int status);

struct httpredirect {
    char *url;              /* the new one, absolute, without fragment, user and password (ioalloc_free) */
    const char *method;     /* static, or the one that was given */
    bool drops_body;        /* and the headers that describe it */
    bool drops_credentials; /* the origin changes */
};

/* 0 with *redirect set; -EINVAL Location is no URL of a host, or too long; -EPROTONOSUPPORT it leads out of http(s), or
 * back from https; -ENOMEM. A fragment and a userinfo in Location are dropped, and its bytes from 0x80 on become
 * escapes. An empty one leads to the same URL. On an error nothing is set. from: the URL that answered, absolute. */
int httpredirect_follow(const char *from, const char *method, int status, const char *location,
                        struct httpredirect *redirect) IOAPI_MUST_USE;

/* Takes out of the headers what has to stay behind. */
void httpredirect_strip(const struct httpredirect *redirect, struct httpheaders *headers);

#endif
