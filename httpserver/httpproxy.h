/* Internal: httpproxy.h, who a client really is when a proxy stands before the server: Tornado's xheaders, and the
 * PROXY protocol, versions 1 and 2 (https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt).
 *
 *     struct httpproxy_address address;
 *     int size = httpproxy_parse(bytes, length, &address);
 *
 * Anybody can write these headers: they are to be read only where nobody but the proxy can connect. */
#ifndef HTTPSERVER_HTTPPROXY_H
#define HTTPSERVER_HTTPPROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "ioloop/ioapi.h"

enum {
    HTTPPROXY_MAX_LINE = 107,                   /* a header of version 1, its CRLF included */
    HTTPPROXY_MAX_HEADER = 16 + 216 + 4 * 1024, /* one of version 2: fixed part, addresses, and what follows them */
    HTTPPROXY_MAX_HOPS = 64,                    /* entries of X-Forwarded-For that are looked at */
};

struct httpproxy_address {
    struct sockaddr_storage remote; /* ss_family AF_UNSPEC: the address of the socket is right */
    socklen_t length;
};

/* The PROXY header at the beginning of a connection. Answers its size, 0 when more bytes are needed (the address is
 * not to be read then), or -EINVAL for what is none: close the connection, there is no answer to that. */
int httpproxy_parse(const void *bytes, size_t length, struct httpproxy_address *address) IOAPI_MUST_USE;

/* The client's address by the values of X-Forwarded-For (several fields joined with commas) and X-Real-Ip, each NULL
 * when absent. X-Real-Ip wins; of the other it is the last entry that is not an address of the trusted proxies, the
 * first entry when all are. place gets the address in its usual spelling; false, and nothing, if that is no literal IP
 * address, or is behind more than HTTPPROXY_MAX_HOPS trusted ones. */
bool httpproxy_forwarded_ip(const char *forwarded_for, const char *real_ip, const char *const *trusted,
                            size_t trusted_count, char place[INET6_ADDRSTRLEN]) IOAPI_MUST_USE;

/* "http" or "https", by X-Scheme or else X-Forwarded-Proto, the last of several; NULL where they name neither. */
const char *httpproxy_scheme(const char *x_scheme, const char *x_forwarded_proto);

#endif
