/* Internal: taskqueue.h, callbacks in the order in which they were added: a ring that grows. */
#ifndef IOLOOP_TASKQUEUE_H
#define IOLOOP_TASKQUEUE_H

#include <stdbool.h>
#include <stddef.h>

#include "ioloop/ioloop.h"

struct taskqueue_entry {
    ioloop_callback_fn *callback;
    void *arg;
};

/* Zeroed memory is an empty queue. */
struct taskqueue {
    struct taskqueue_entry *entries;
    size_t first, count, capacity; /* capacity is a power of two */
};

void taskqueue_free(struct taskqueue *queue);

/* Twice the room. False: no memory. */
bool taskqueue_grow(struct taskqueue *queue);

static inline bool taskqueue_push(struct taskqueue *queue, ioloop_callback_fn *callback, void *arg)
{
    if (queue->count == queue->capacity && !taskqueue_grow(queue))
        return false;
    queue->entries[(queue->first + queue->count++) & (queue->capacity - 1)] =
        (struct taskqueue_entry){ callback, arg };
    return true;
}

/* Of a queue that is not empty. */
static inline struct taskqueue_entry taskqueue_pop(struct taskqueue *queue)
{
    struct taskqueue_entry entry = queue->entries[queue->first];

    queue->first = (queue->first + 1) & (queue->capacity - 1);
    queue->count--;
    return entry;
}

#endif
