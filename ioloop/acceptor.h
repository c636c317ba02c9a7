/* Internal: acceptor.h, a listener that accepts: what tcpserver and netutil_add_accept_handler have in common.
 *
 * Out of descriptors or memory it rests, for 0.1 s the first time and up to 1 s when that did not help, after it has
 * closed with a spare descriptor what waits; the log hears of it once in 10 s.
 *
 * Lifetime: acceptor_close; its owner is a member of the loop and sees to that when the loop closes. */
#ifndef IOLOOP_ACCEPTOR_H
#define IOLOOP_ACCEPTOR_H

#include <stdbool.h>
#include <sys/socket.h>

#include "ioloop/ioloop.h"

struct acceptor;

/* Each of them may close the acceptor. */
struct acceptor_functions {
    /* Asked before each accept. first: an event has just said that a connection waits. NULL: always. */
    bool (*may_accept)(bool first, void *arg);

    /* Takes over a connection. A negative errno value: it could not be served, fd is closed, the listener rests. */
    int (*accepted)(int fd, const struct sockaddr *address, socklen_t length, void *arg);
};

/* NULL with errno. The listener is made non-blocking and close-on-exec, and stays the caller's. */
struct acceptor *acceptor_new(struct ioloop *loop, int listener, const struct acceptor_functions *functions, void *arg);

/* with_listener: closes that too. */
void acceptor_close(struct acceptor *acceptor, bool with_listener);

/* A connection that waits, as netutil_accept_fn gets it, also while paused or at rest; else a negative errno value,
 * which is -EAGAIN when there is none. */
int acceptor_take(struct acceptor *acceptor);

/* Paused it does not watch the listener: connections wait in the kernel. Resuming cannot fail on an open loop, it may
 * come later. */
void acceptor_pause(struct acceptor *acceptor);
int acceptor_resume(struct acceptor *acceptor);

/* Among processes with one listener the kernel tells one of a connection. Who may not be able to take it shares: then
 * another is told too. */
void acceptor_share(struct acceptor *acceptor, bool shares);

/* A descriptor has become free: a rest ends now. */
void acceptor_wake(struct acceptor *acceptor);

#endif
