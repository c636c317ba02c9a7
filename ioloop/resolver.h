/* resolver.h: names to addresses without blocking the loop, tornado.netutil.Resolver.
 *
 *     uint64_t query = resolver_resolve(NULL, loop, "example.org", 80, AF_UNSPEC, 10.0, on_resolved, NULL);
 *
 * getaddrinfo on the threads of an ioexecutor; literal addresses need no thread and are answered in the next
 * iteration. Who asks for a name that is being looked up for the same loop, executor and family, gets what comes of
 * that: each with its own port, timeout and cancel. A resolver of one's own adds overrides (OverrideResolver) or
 * another executor.
 *
 * Lifetime: resolver_close. Queries end with their loop at the latest.
 * Callbacks: once for each query accepted, from the loop; the addresses, each one once and in the order of getaddrinfo,
 *     are lent until it returns.
 * Errors: -ENXIO no such host · -EAGAIN the name server cannot be reached · -ETIMEDOUT · -ECANCELED · -ENOMEM, or what
 *     else the system said.
 * Threads: a resolver belongs to one thread, as the loops do that it is used with. */
#ifndef IOLOOP_RESOLVER_H
#define IOLOOP_RESOLVER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "ioloop/ioexecutor.h"
#include "ioloop/ioloop.h"

IOAPI_BEGIN

struct resolver;

struct resolver_address {
    struct sockaddr_storage address;
    socklen_t length;
};

typedef void resolver_fn(int error, const struct resolver_address *addresses, size_t count, void *arg);

/* executor NULL: the default one. The executor has to outlive the resolver. NULL with errno on failure. */
struct resolver *resolver_new(struct ioexecutor *executor);

/* Queries under way end with -ECANCELED. */
void resolver_close(struct resolver *resolver);

/* Host (port 0: any port; family AF_UNSPEC: any) becomes another host (a name or literal; port 0: unchanged), which is
 * not looked for among the overrides again. The most specific entry wins: host, port and family before host and port
 * before host; of two for the same, the later. Strings are copied. -EINVAL, -ENOMEM. */
int resolver_add_override(struct resolver *resolver, const char *host, int port, int family, const char *to_host,
                          int to_port) IOAPI_MUST_USE;

/* An id to cancel by; 0 with errno when not accepted: EINVAL (host empty or over 253 bytes, port, family, a timeout
 * that is NaN), EAGAIN (the queue of the executor is full, or 4,096 queries wait for this name), ENOMEM, EBADF.
 * resolver NULL: no overrides, the default executor. timeout 0: 10 seconds; one below 0 is over in the next iteration.
 */
uint64_t resolver_resolve(struct resolver *resolver, struct ioloop *loop, const char *host, int port, int family,
                          double timeout, resolver_fn *callback, void *arg);

/* The callback comes with -ECANCELED. What is done already, or 0, is fine. */
void resolver_cancel(struct ioloop *loop, uint64_t query);

IOAPI_END
#endif
