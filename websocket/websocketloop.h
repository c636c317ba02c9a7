/* Internal: websocketloop.h, what the WebSockets of a loop share: keys to mask with, memory for long messages, topics.
 *
 * Lifetime: made when first needed, and freed with the loop, behind everything else on it. */
#ifndef WEBSOCKET_WEBSOCKETLOOP_H
#define WEBSOCKET_WEBSOCKETLOOP_H

#include <stddef.h>

#include "ioloop/ioloop.h"
#include "ioloop/iostreamlayer.h"
#include "ioloop/loopmember.h"
#include "websocket/websocketdeflate.h"

struct websocket;
struct websocketmask;
struct websockettopics;

/* Memory of a message that comes in by and by, or waits until it is sent. */
struct websocketloop_block {
    struct iostreamlayer_place place; /* for the next bytes of the message; at the beginning, as they want it */
    struct websocket *socket;         /* whose message comes in, while there is a place */
    struct websocketloop_block *next; /* of those that are kept */
    struct ioloop *loop;              /* where it belongs */
    unsigned holders;                 /* who gives it back */
    size_t capacity;
    char bytes[]; /* capacity of them, and one for a NUL */
};

struct websocketloop {
    struct loopmember member;
    struct ioloop *loop;
    struct websocketmask *masks;      /* NULL: none needed yet */
    struct websockettopics *topics;   /* the same */
    struct websocketloop_block *kept; /* large ones, for the next messages */
    size_t kept_bytes;
    struct websocketdeflate_spare deflate; /* of those that keep no context */
};

/* NULL: no memory, or the loop is closing. find: only if it is there. */
struct websocketloop *websocketloop_of(struct ioloop *loop);
struct websocketloop *websocketloop_find(struct ioloop *loop);

/* Random bytes, as websocketmask_take; -ENOMEM, -EBADF. */
int websocketloop_random(struct ioloop *loop, void *bytes, size_t size);

/* Room for so many bytes, of which used are in the block that there is (NULL: there is none), and if it costs nothing
 * for all that are expected: memory grows with what has come, not with what was announced. NULL, and the block stays,
 * without memory. Fresh memory costs a page fault for each 4 KiB, so large blocks that are given back are kept, 8 MiB
 * of them. It has one holder; who wants to be another counts itself, and gives it back too. */
struct websocketloop_block *websocketloop_grow(struct ioloop *loop, struct websocketloop_block *block, size_t used,
                                               size_t needed, size_t expected);
void websocketloop_give(struct websocketloop_block *block);

#endif
