/* httpserver.h: an HTTP/1.1 server, tornado.httpserver.HTTPServer.
 *
 *     struct httpserver *server = httpserver_new(loop, on_request, NULL, NULL);
 *     httpserver_listen(server, 8888, NULL);
 *
 * Strict (RFC 9112): what is not clearly one request is answered with the status it deserves, and the connection
 * closed. Pipelined requests are answered in order, one at a time; after some milliseconds it is the turn of others.
 *
 * Lifetime: httpserver_close, or ioloop_close.
 * Callbacks: on_request for each request whose body is through; on_head before that, for one that has a body.
 * Threads: the loop's. Units: seconds, bytes. */
#ifndef HTTPSERVER_HTTPSERVER_H
#define HTTPSERVER_HTTPSERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "httpserver/httprequest.h"
#include "ioloop/ioloop.h"
#include "ioloop/netutil.h"
#include "ioloop/tcpserver.h"

IOAPI_BEGIN

typedef void httpserver_request_fn(struct httprequest *request, void *arg);
typedef void httpserver_close_fn(struct httpserver *server, void *arg);

/* A request has been answered; the last that is heard of it. status 0: it was not, as the client left or the program
 * gave up. body_bytes: of the answer's body, those that calls have taken to be sent, and not those that were: of files
 * and of what still waits all, of a body that is left out (HEAD, 304) none, and nothing of chunks but what is in them.
 * How much of it the client will have got nobody knows yet. seconds: from the request's head to then. */
typedef void httpserver_log_fn(struct httprequest *request, int status, uint64_t body_bytes, double seconds, void *arg);

/* 0 is the default in every field. */
struct httpserver_options {
    httpserver_request_fn *on_head; /* NULL: bodies are collected up to max_body */
    httpserver_log_fn *on_log;      /* NULL: a line to the access log (iolog.h), with everything from outside escaped */
    httpserver_close_fn *on_close;  /* the last connection has ended, and the server is gone when this returns */
    bool no_keep_alive;             /* one request a connection */
    bool decompress_request; /* bodies in gzip are inflated on their way: max_body then counts inflated bytes too,
                                and Content-Encoding is X-Consumed-Content-Encoding, while Content-Length stays that of
                                what came. Else, and of other codings, they are handed over as they come */

    /* Limits. */
    uint32_t max_target;      /* bytes of the request target: 8 KiB; beyond, 414 */
    uint32_t max_header;      /* of a head: 32 KiB, and 16 MiB is the most; beyond, 431 */
    uint32_t max_header_line; /* of one line of it: 8 KiB; beyond, 431 */
    uint32_t max_headers;     /* their number: 100, which is the most; beyond, 431 */
    uint64_t max_body;        /* 1 MiB; beyond, 413 */
    uint64_t min_body_rate;   /* bytes/s on the average, from half of body_timeout on: 1 KiB; else 408 */
    uint64_t max_unsent;      /* of answers to a client that does not read: 16 MiB; then the connection is closed.
                                 UINT64_MAX: never */
    uint32_t max_requests;    /* on one connection: 1,000; 2 million at most */
    double max_age;           /* of a connection that is asked for more: 1 h */
    size_t max_connections;   /* as in tcpserver.h; then the longest idle one of which no request has arrived is closed,
                                 or none accepted */

    /* Deadlines: below 0, too, is the default; there is no "never", but INFINITY is 100 days or more. */
    double header_timeout; /* for the whole head, from its first byte, or the connection: 10 s; then 408 */
    double idle_timeout;   /* between requests: 60 s; the time for which on_request has blocked the loop may count */
    double body_timeout;   /* without a byte of a body that comes: 20 s; then 408 */
    double write_timeout;  /* without a byte of an answer that the client reads: 30 s; then it is reset. Looked at once
                              in that time, so it may be two or three times as long */
    double close_timeout;  /* for requests in work after httpserver_close: 10 s */

    /* Behind a proxy. */
    bool xheaders;                         /* believe X-Real-Ip before X-Forwarded-For, and X-Scheme before
                                              X-Forwarded-Proto: a proxy has to set, or take away, all four */
    const char *const *trusted_downstream; /* addresses to pass over in X-Forwarded-For, NULL-terminated; lent */
    bool proxy_protocol;                   /* each connection begins with a PROXY header, version 1 or 2 */
    const char *protocol; /* "https" behind what ends TLS, or with start_transport; else "http"; lent */

    /* TLS from outside: for each connection, which has header_timeout for its handshake. Not with proxy_protocol. */
    tcpserver_start_transport_fn *start_transport;
    void *start_transport_arg;
};

/* Options are copied; NULL: defaults. NULL with errno: EBADF the loop closes, EINVAL proxy_protocol with a transport,
 * ENOMEM. */
struct httpserver *httpserver_new(struct ioloop *loop, httpserver_request_fn *on_request, void *arg,
                                  const struct httpserver_options *options);

/* As in tcpserver.h, to which they go. listen and bind answer the port. */
int httpserver_listen(struct httpserver *server, int port, const struct netutil_bind_options *options);
int httpserver_listen_unix(struct httpserver *server, const char *path, unsigned mode);
int httpserver_add_sockets(struct httpserver *server, const int *fds, size_t count) IOAPI_MUST_USE;
int httpserver_bind(struct httpserver *server, int port, const struct netutil_bind_options *options);
int httpserver_start(struct httpserver *server, int processes, int max_restarts);

/* Stops accepting, and says Connection: close with each answer; idle connections stay, and so do those that the kernel
 * has accepted by now. A while before httpserver_close it lets those finish who are about to ask: to close a connection
 * at that moment is to lose their request. */
void httpserver_stop(struct httpserver *server);

/* Stops accepting, as httpserver_stop does, but those that have just been accepted have a second to ask. Closes idle
 * connections, says Connection: close on the others and waits for their requests to be answered, close_timeout at most.
 * WebSockets are closed with 1001. Any number of times. */
void httpserver_close(struct httpserver *server);

/* WebSockets are among them. */
size_t httpserver_connections(const struct httpserver *server);
struct ioloop *httpserver_loop(const struct httpserver *server);
void *httpserver_arg(const struct httpserver *server);

IOAPI_END
#endif
