/* Internal: taskqueue.h, callbacks in the order in which they were added. A queue is either added to or run: the loop
 * exchanges the two at the beginning of each turn, so what a callback adds is not of that turn, and there is nothing to
 * wrap around. */
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
    size_t first, end, capacity;
};

void taskqueue_free(struct taskqueue *queue);

/* Twice the room. False: no memory. */
bool taskqueue_grow(struct taskqueue *queue);

static inline bool taskqueue_is_empty(const struct taskqueue *queue)
{
    return queue->end == 0;
}

static inline bool taskqueue_push(struct taskqueue *queue, ioloop_callback_fn *callback, void *arg)
{
    if (queue->end == queue->capacity && !taskqueue_grow(queue))
        return false;
    queue->entries[queue->end++] = (struct taskqueue_entry){ callback, arg };
    return true;
}

/* The next one; NULL when there is none, and then the queue is empty again. */
static inline const struct taskqueue_entry *taskqueue_next(struct taskqueue *queue)
{
    if (queue->first == queue->end) {
        queue->first = queue->end = 0;
        return NULL;
    }
    return &queue->entries[queue->first++];
}

static inline void taskqueue_exchange(struct taskqueue *a, struct taskqueue *b)
{
    struct taskqueue a_was = *a;

    *a = *b;
    *b = a_was;
}

#endif
