/* Internal: timeouts.h, the callbacks of a loop that wait for a time.
 *
 * A heap of four children a node whose nodes hold their key, so that sifting reads no other memory, over an array of
 * slots that hold the callbacks. An id is a slot and an order number; a node counts only while its slot still has that
 * order number. So removing is O(1): the slot is given back, the node stays as a tombstone until it comes up, or until
 * tombstones are over 512 and more than half (Tornado's rule), when the heap is built anew without them.
 *
 * Units: nanoseconds of the loop's clock. */
#ifndef IOLOOP_TIMEOUTS_H
#define IOLOOP_TIMEOUTS_H

#include <stdbool.h>
#include <stdint.h>

#include "ioloop/ioloop.h"

#define TIMEOUTS_BATCH 512

struct timeouts_node {
    int64_t deadline;
    uint32_t order;
    uint32_t slot;
};

struct timeouts_slot {
    ioloop_callback_fn *callback; /* NULL: free */
    void *arg;
    uint32_t order;
    uint32_t next_free;
};

struct timeouts {
    struct timeouts_node *heap;
    struct timeouts_slot *slots;
    struct timeouts_node *due; /* TIMEOUTS_BATCH of them, collected to run in this iteration */
    uint32_t heap_count, heap_capacity;
    uint32_t slot_count, slot_capacity;
    uint32_t free_slot; /* index + 1; 0: none */
    uint32_t live;
    uint32_t order;
    uint32_t due_first, due_count;
};

/* Zeroed memory is an empty set. */
void timeouts_free(struct timeouts *timeouts);

/* The id; 0: no memory. */
uint64_t timeouts_add(struct timeouts *timeouts, int64_t deadline, ioloop_callback_fn *callback, void *arg);
void timeouts_remove(struct timeouts *timeouts, uint64_t id);

/* The earliest deadline, INT64_MAX if there is none: behind the tombstones that are first, if there are any. */
int64_t timeouts_next_live(struct timeouts *timeouts);

static inline int64_t timeouts_next(struct timeouts *timeouts)
{
    if (timeouts->heap_count == 0)
        return INT64_MAX;
    const struct timeouts_node *first = &timeouts->heap[0];
    return timeouts->slots[first->slot].order == first->order ? first->deadline : timeouts_next_live(timeouts);
}

/* Sets aside those due at this time, at most TIMEOUTS_BATCH; next_due then gives one after the other, without those
 * that were removed meanwhile, false when there are no more. */
void timeouts_collect_due(struct timeouts *timeouts, int64_t now);
bool timeouts_next_due(struct timeouts *timeouts, ioloop_callback_fn **callback, void **arg);

#endif
