/* Internal: httppool.h, the connections of a client: which fetch goes over which, which are kept, and who waits.
 *
 * A fetch takes the connection of its origin that was used last; else one is made, if there may be one more, in place
 * of the one that has been idle for longest if need be; else it waits. Those who wait are served in their order. One
 * whose turn has come but whose origin is full is parked with that origin, so that it holds up nobody else; what that
 * origin has to give next is its, or that of one who has waited for longer.
 *
 * Lifetime: a connection until the close callback of its stream, or until it could not be made; an origin as long as
 * somebody uses it. */
#ifndef HTTPCLIENT_HTTPPOOL_H
#define HTTPCLIENT_HTTPPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "httpserver/httpurl.h"
#include "ioloop/deadlines.h"
#include "ioloop/iostream.h"
#include "ioloop/looptask.h"

struct httpclient;
struct httpfetch;

/* A place in a list, whose head is one, too. */
struct httppool_ring {
    struct httppool_ring *next, *previous;
};

static inline void httppool_ring_clear(struct httppool_ring *ring)
{
    ring->next = ring->previous = ring;
}

static inline bool httppool_ring_is_empty(const struct httppool_ring *ring)
{
    return ring->next == ring;
}

/* At the end: before the head. */
static inline void httppool_ring_add(struct httppool_ring *head, struct httppool_ring *place)
{
    place->next = head;
    place->previous = head->previous;
    head->previous = head->previous->next = place;
}

static inline void httppool_ring_remove(struct httppool_ring *place)
{
    place->previous->next = place->next;
    place->next->previous = place->previous;
    httppool_ring_clear(place);
}

#define HTTPPOOL_OWNER(ring, type, member) ((type *)(void *)((char *)(ring)-offsetof(type, member)))

/* All that makes two connections different. */
struct httppool_key {
    struct httpurl_part host;
    const char *network_interface; /* NULL: none, as with the others */
    const char *unix_path;
    const char *connect_host;
    const char *proxy_host, *proxy_authorization;
    int port, proxy_port, family;
    int connect_port; /* 0: port */
    bool is_secure;   /* TLS */
    bool is_tunnel;   /* through the proxy */
};

struct httppool_origin {
    struct httppool_origin *next; /* of the same chain */
    struct httppool_ring kept;    /* connections, the one that was used last at the end */
    struct httppool_ring parked;  /* fetches */
    struct httppool_ring starved; /* in the pool's, when some are parked though the origin is not full */
    size_t connections;           /* that are open or being made */
    size_t users;                 /* fetches, and connections that are there */
    uint64_t hash;
    struct httppool_key key; /* its texts are strings in bytes; host in lower case */
    char bytes[];
};

struct httppool {
    struct httpclient *client;
    struct httppool_origin **chains;
    size_t chain_count; /* a power of two */
    size_t origin_count;
    struct httppool_origin *last;                  /* the one that was found last; NULL: none */
    struct httppool_ring connections, kept, queue; /* kept: the one that has been for longest first */
    struct httppool_ring starved;                  /* origins */
    size_t connection_count, kept_count, waiting_count;
    uint64_t secret;
    bool is_serving; /* those who wait */
};

struct httppool_connection {
    struct httpclient *client;
    struct httppool_origin *origin;
    struct iostream *stream; /* NULL: it is being made */
    struct httpfetch *fetch; /* NULL: kept, or dropped */
    struct httppool_ring all, kept, of_origin;
    struct looptask task;     /* connects to a Unix socket */
    struct deadline deadline; /* of being kept; may come up while it is in use */
    int64_t watched;          /* when that comes up; INT64_MAX: not */
    int64_t released;         /* since when it is kept */
    uint64_t connecting;      /* tcpclient's id */
    uint64_t uses;            /* fetches */
    bool has_nodelay;         /* Nagle's algorithm is off */
    bool is_kept;
    bool may_have_more; /* bytes that nobody has seen */
    bool is_dropped;    /* it counts no more, and ends */
};

int httppool_init(struct httppool *pool, struct httpclient *client);
void httppool_free(struct httppool *pool);

/* Finds or makes the origin, with one user more. NULL: no memory. */
struct httppool_origin *httppool_hold_origin(struct httppool *pool, const struct httppool_key *key);
void httppool_leave_origin(struct httppool *pool, struct httppool_origin *origin);

/* Gives the fetch a connection, or has it wait. first: before the others. */
void httppool_ask(struct httppool *pool, struct httpfetch *fetch, bool first);

/* It waits no more. */
void httppool_leave_queue(struct httppool *pool, struct httpfetch *fetch);

/* Could another fetch that has to wait do so? */
bool httppool_has_room(const struct httppool *pool);

/* Its exchange is through: it is kept, or the next fetch's. may_have_more: bytes may have come that nobody has seen. */
void httppool_release(struct httppool_connection *connection, bool may_have_more);

/* Its stream is somebody else's now. */
void httppool_detach(struct httppool_connection *connection);

/* It is closed, and what waits gets its place. Any number of times. */
void httppool_drop(struct httppool_connection *connection);

/* For httpconnect.c: one more, for this fetch; NULL: no memory. And its end, once it is dropped. */
struct httppool_connection *httppool_add(struct httppool *pool, struct httpfetch *fetch);
void httppool_forget(struct httppool_connection *connection);

/* All of them. */
void httppool_drop_all(struct httppool *pool);

#endif
