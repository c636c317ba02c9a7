/* tcpclient.h: connecting by name, tornado.tcpclient.TCPClient.
 *
 *     tcpclient_connect(loop, "example.org", 80, &(struct tcpclient_options){ .timeout = 5 }, on_connect, NULL);
 *
 * Happy Eyeballs (RFC 8305, as in Tornado): the first address at once, those of the other family after 0.3 s or as soon
 * as the first attempt failed; the first that connects wins and the others are closed.
 *
 * Callbacks: on_connect once, from the loop; on success the stream is its receiver's.
 * Errors: the last one seen when all addresses failed, -ETIMEDOUT, what the resolver says, -ECANCELED. A source address
 *     that cannot be bound is told at once. On an error stream.transport_context is still the caller's. */
#ifndef IOLOOP_TCPCLIENT_H
#define IOLOOP_TCPCLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "ioloop/ioloop.h"
#include "ioloop/iostream.h"
#include "ioloop/resolver.h"

IOAPI_BEGIN

typedef void tcpclient_connect_fn(int error, struct iostream *stream, void *arg);
typedef bool tcpclient_filter_fn(const struct sockaddr *address, socklen_t length, void *arg);

struct tcpclient_options {
    struct resolver *resolver;   /* NULL: the default */
    int family;                  /* AF_UNSPEC (0), AF_INET, AF_INET6 */
    const char *source_ip;       /* a literal, whose family is then that of the connection; NULL: any */
    int source_port;             /* without source_ip: on the loopback address. 0: any */
    double timeout;              /* over name and connection. 0: 10 s */
    double eyeballs_delay;       /* 0: 0.3 s */
    tcpclient_filter_fn *filter; /* asked before each address is tried; false: it is not, which fails with -EACCES */
    void *filter_arg;
    bool nagle; /* for who writes but once: iostream_set_nodelay is not called */
    struct iostream_options stream;
};

/* An id to cancel by; 0 with errno when not accepted. Options may be NULL, and are copied. */
uint64_t tcpclient_connect(struct ioloop *loop, const char *host, int port, const struct tcpclient_options *options,
                           tcpclient_connect_fn *callback, void *arg);

/* The callback comes with -ECANCELED. What is done already, or 0, is fine. */
void tcpclient_cancel(struct ioloop *loop, uint64_t connect);

IOAPI_END
#endif
