/* Internal: websocketmask.h, keys to mask with, which nobody can foresee (RFC 6455 5.3, 10.3): random bytes of the
 * kernel, taken from a pool so that not each of them costs a call. What was taken is wiped, and a child of fork() takes
 * none of its parent's. */
#ifndef WEBSOCKET_WEBSOCKETMASK_H
#define WEBSOCKET_WEBSOCKETMASK_H

#include <stddef.h>

enum { WEBSOCKETMASK_POOL = 4096 };

/* Zeroed at first. */
struct websocketmask {
    size_t left;    /* bytes that were not taken yet: the last ones */
    unsigned forks; /* how many lay between the first process and the one that filled it */
    unsigned char bytes[WEBSOCKETMASK_POOL];
};

/* Fills in size bytes, WEBSOCKETMASK_POOL at most: 0, or what the kernel said; then they are not to be used. */
int websocketmask_take(struct websocketmask *pool, void *bytes, size_t size);

#endif
