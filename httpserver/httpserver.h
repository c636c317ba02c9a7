/* httpserver.h: an HTTP/1.1 server, tornado.httpserver.HTTPServer.
 *
 *     struct httpserver *server = httpserver_new(loop, on_request, NULL, NULL);
 *     httpserver_listen(server, 8888, NULL);
 *
 * Strict (RFC 9112): what is not clearly one request is answered with the status it deserves, and the connection
 * closed. Pipelined requests are answered in order, one at a time.
 *
 * Lifetime: httpserver_close, or ioloop_close.
 * Callbacks: on_request for each whole request, whose body has been read.
 * Threads: the loop's. Units: seconds, bytes. */
#ifndef HTTPSERVER_HTTPSERVER_H
#define HTTPSERVER_HTTPSERVER_H

#include <stddef.h>
#include <stdint.h>

#include "httpserver/httprequest.h"
#include "ioloop/ioloop.h"
#include "ioloop/netutil.h"

IOAPI_BEGIN

struct httpserver;

typedef void httpserver_request_fn(struct httprequest *request, void *arg);
typedef void httpserver_close_fn(struct httpserver *server, void *arg);

/* 0 is the default in every field. */
struct httpserver_options {
    double header_timeout;         /* for the whole head, from its first byte, or the connection: 10 s */
    double idle_timeout;           /* between requests: 60 s */
    double body_timeout;           /* without a byte of a body that comes, or of a long answer that goes: 20 s */
    double close_timeout;          /* for requests in work after httpserver_close: 10 s */
    uint64_t max_body;             /* 1 MiB; beyond, 413 */
    uint32_t max_header;           /* of a head: 32 KiB; beyond, 431 */
    size_t max_connections;        /* as in tcpserver.h */
    httpserver_close_fn *on_close; /* the last connection has ended, and the server is gone when this returns */
};

/* Options are copied; NULL: defaults. NULL with errno on failure. */
struct httpserver *httpserver_new(struct ioloop *loop, httpserver_request_fn *on_request, void *arg,
                                  const struct httpserver_options *options);

/* As in tcpserver.h, to which they go. listen and bind answer the port. */
int httpserver_listen(struct httpserver *server, int port, const struct netutil_bind_options *options);
int httpserver_listen_unix(struct httpserver *server, const char *path, unsigned mode);
int httpserver_add_sockets(struct httpserver *server, const int *fds, size_t count) IOAPI_MUST_USE;
int httpserver_bind(struct httpserver *server, int port, const struct netutil_bind_options *options);
int httpserver_start(struct httpserver *server, int processes, int max_restarts);

/* Stops accepting, closes idle connections, says Connection: close on the others and waits for their requests to be
 * answered, close_timeout at most. Any number of times. */
void httpserver_close(struct httpserver *server);

size_t httpserver_connections(const struct httpserver *server);

IOAPI_END
#endif
