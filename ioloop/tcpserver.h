/* tcpserver.h: a server of streams, tornado.tcpserver.TCPServer.
 *
 *     struct tcpserver *server = tcpserver_new(loop, handle_stream, NULL, NULL);
 *     tcpserver_listen(server, 8888, NULL);
 *
 * On many cores: tcpserver_bind, then tcpserver_start(server, 0) forks one worker a core, all accepting from the one
 * inherited listener; or ioprocess_fork_processes and tcpserver_add_sockets.
 *
 * Out of descriptors or memory it does what netutil_add_accept_handler does, and goes on as soon as a connection ends.
 *
 * Lifetime: tcpserver_close, or ioloop_close. Streams live on without their server. */
#ifndef IOLOOP_TCPSERVER_H
#define IOLOOP_TCPSERVER_H

#include <stddef.h>
#include <sys/socket.h>

#include "ioloop/ioloop.h"
#include "ioloop/iostream.h"
#include "ioloop/netutil.h"

IOAPI_BEGIN

struct tcpserver;

/* The stream of a new connection: the callback's, which starts a read on it or closes it. What it asks to read is
 * tried straight after it returns. */
typedef void tcpserver_handle_stream_fn(struct tcpserver *server, struct iostream *stream,
                                        const struct sockaddr *address, socklen_t length, void *arg);
typedef void tcpserver_full_fn(struct tcpserver *server, void *arg);
typedef void tcpserver_close_fn(struct tcpserver *server, void *arg);

/* Makes what a new connection speaks TLS with (see iostream.h). 0, or an error: then the connection is closed, and with
 * -ENOMEM the listener rests. The transport's close frees the context. */
typedef int tcpserver_start_transport_fn(void *arg, const struct iostream_transport **transport, void **context);

struct tcpserver_options {
    struct iostream_options stream;                /* for the stream of each connection */
    tcpserver_start_transport_fn *start_transport; /* for each connection; NULL: that of stream */
    void *start_transport_arg;
    size_t max_connections;       /* then the listeners pause. 0: 10,000. Never more than RLIMIT_NOFILE - 64, so that a
                                     server that is full makes room, or lets its clients wait, where one without
                                     descriptors would have to turn them away; who asks for more is told by the log.
                                     That is too many when each makes the program open descriptors of its own. When it
                                     is reached, the limit is looked at anew: it may have been raised */
    tcpserver_full_fn *on_full;   /* told when a connection waits because of it, and again each 0.1 s while it does, to
                                     make room by closing one */
    tcpserver_close_fn *on_close; /* the server has closed and is freed when this returns */
};

/* Options are copied; NULL: defaults. NULL with errno: EBADF the loop closes, ENOMEM. */
struct tcpserver *tcpserver_new(struct ioloop *loop, tcpserver_handle_stream_fn *handle_stream, void *arg,
                                const struct tcpserver_options *options);

/* Binds and serves; any number of times. Port 0: a free one. Answers the port; 0 for a path. */
int tcpserver_listen(struct tcpserver *server, int port, const struct netutil_bind_options *options);
int tcpserver_listen_unix(struct tcpserver *server, const char *path, unsigned mode);

/* Serves on listeners that are there; they become the server's, unless an error is answered. */
int tcpserver_add_sockets(struct tcpserver *server, const int *fds, size_t count) IOAPI_MUST_USE;

/* Binds now, serves after tcpserver_start. Answers the port. */
int tcpserver_bind(struct tcpserver *server, int port, const struct netutil_bind_options *options);

/* processes 1: in this one. Otherwise forks so many workers (0 or less: one a core) before the loop runs, each with its
 * loop re-opened; returns in each worker; the parent supervises them, and exits when all have ended (see
 * ioprocess_fork_processes). max_restarts 0: 100. */
int tcpserver_start(struct tcpserver *server, int processes, int max_restarts);

/* Stops accepting and closes the listeners; connections stay. Those that the kernel has accepted by now,
 * max_connections at most, are taken before, or it would reset them, and handed to handle_stream from the next
 * iteration on. Any number of times. */
void tcpserver_stop(struct tcpserver *server);

/* The same, but what waits is not taken. What a stop has taken is still handed over, before on_close. */
void tcpserver_close(struct tcpserver *server);

/* Streams of this server that are open now. */
size_t tcpserver_connections(const struct tcpserver *server);
struct ioloop *tcpserver_loop(const struct tcpserver *server);

IOAPI_END
#endif
