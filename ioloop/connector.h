/* Internal: connector.h, the order in which the addresses of a name are tried: Happy Eyeballs (RFC 8305 as in
 * tornado.tcpclient._Connector). It knows addresses and time; what an attempt is, its owner knows.
 *
 * The addresses of the family of the first one make one list, all others a second. The first list starts at once, the
 * second after a delay or as soon as an attempt has failed. Each goes on to its next address when one has failed, so
 * there are two attempts at a time at most, one a side. The first to connect wins.
 *
 * Callbacks: done may come from inside connector_start, connector_tell and connector_stop; nothing comes after it. */
#ifndef IOLOOP_CONNECTOR_H
#define IOLOOP_CONNECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ioloop/ioloop.h"
#include "ioloop/resolver.h"

struct connector;

struct connector_functions {
    /* Starts an attempt, which ends with connector_tell, later; unless it is abandoned. A negative errno value: it has
     * failed already. May call connector_stop, and connector_tell when it has succeeded already. */
    int (*attempt)(struct connector *connector, int side, const struct resolver_address *address);
    void (*abandon)(struct connector *connector, int side);

    /* All is over. error 0: the attempt of this side has connected; else the last error seen, and no side. */
    void (*done)(struct connector *connector, int error, int side);
};

struct connector_side {
    size_t next, end; /* the addresses not tried yet */
    bool trying;
};

struct connector {
    struct ioloop *loop;
    const struct connector_functions *functions;
    struct resolver_address *addresses; /* those of the first side, then the others, each in their order */
    struct connector_side sides[2];
    uint64_t delay, deadline; /* timeouts */
    int last_error;
    bool over;
};

/* Copies the addresses. -ENOMEM. A zeroed connector may be freed too. */
int connector_init(struct connector *connector, struct ioloop *loop, const struct connector_functions *functions,
                   const struct resolver_address *addresses, size_t count);
void connector_free(struct connector *connector);

/* deadline: on the loop's clock; then it ends with -ETIMEDOUT. */
void connector_start(struct connector *connector, double delay, double deadline);

/* The attempt of this side has connected (0) or failed. */
void connector_tell(struct connector *connector, int side, int error);

/* Ends it with this error. */
void connector_stop(struct connector *connector, int error);

#endif
