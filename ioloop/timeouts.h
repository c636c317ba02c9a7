/* Internal: timeouts.h, the callbacks of a loop that wait for a time.
 *
 * A heap of four children a node whose nodes hold their key, so that sifting reads no other memory, over an array of
 * slots that hold the callbacks. Behind the heap lie the young nodes, in no order: they become part of it only when the
 * first of them may be the next. So what is removed or set anew before that never was in the heap.
 *
 * An id is a slot and an order number; a node counts only while its slot still has that order number. So removing is
 * O(1): the slot is given back, the node stays as a tombstone until it comes up, or until tombstones are over 512 and
 * more than half (Tornado's rule), when they are dropped. A young one is taken by the next node of its slot.
 *
 * The time from which a delay counts may be given later, once for many (timeouts_settle). Until then no function may be
 * asked for what is next or due.
 *
 * Units: nanoseconds of the loop's clock. */
#ifndef IOLOOP_TIMEOUTS_H
#define IOLOOP_TIMEOUTS_H

#include <stdbool.h>
#include <stdint.h>

#include "ioloop/ioloop.h"

#define TIMEOUTS_BATCH 64

struct timeouts_node {
    int64_t deadline; /* or a delay, from timeouts.settled on */
    uint32_t order;
    uint32_t slot;
};

struct timeouts_slot {
    ioloop_callback_fn *callback;
    union {
        void *arg;
        struct {
            uint32_t next_free;
            uint32_t last_order;
        };
    };
    uint32_t order; /* 0: free */
    uint32_t place; /* where its last node was put */
};

struct timeouts {
    struct timeouts_node *nodes; /* the heap, then the young */
    struct timeouts_slot *slots;
    struct timeouts_node *due; /* TIMEOUTS_BATCH of them, collected to run in this iteration */
    uint32_t heap_count, count, capacity;
    uint32_t settled;    /* so many nodes have a deadline; the rest, all of them young, a delay */
    bool has_delays;     /* there are any of those */
    uint32_t moved;      /* young ones of later orders lie where they were put */
    int64_t young_first; /* no deadline of the young is before it; without any it means nothing */
    uint32_t slot_count, slot_capacity;
    uint32_t free_slot; /* index + 1; 0: none */
    uint32_t live;
    uint32_t order;
    uint32_t due_first, due_count;
};

/* Zeroed memory is an empty set. */
void timeouts_free(struct timeouts *timeouts);

/* The id; 0: no memory. add only when no delay waits to be settled. */
uint64_t timeouts_add(struct timeouts *timeouts, int64_t deadline, ioloop_callback_fn *callback, void *arg);
uint64_t timeouts_add_delay(struct timeouts *timeouts, int64_t delay, ioloop_callback_fn *callback, void *arg);
void timeouts_remove(struct timeouts *timeouts, uint64_t id);

/* Those that were added with a delay count from now. */
void timeouts_settle(struct timeouts *timeouts, int64_t now);

/* The earliest deadline, INT64_MAX if there is none: timeouts_next, when the first node of the heap is not it. */
int64_t timeouts_find_next(struct timeouts *timeouts);

static inline int64_t timeouts_next(struct timeouts *timeouts)
{
    if (timeouts->count == 0)
        return INT64_MAX;
    const struct timeouts_node *first = timeouts->nodes;
    if (timeouts->heap_count > 0 && first->deadline <= timeouts->young_first &&
        timeouts->slots[first->slot].order == first->order)
        return first->deadline;
    return timeouts_find_next(timeouts);
}

/* Sets aside those due at this time, at most TIMEOUTS_BATCH; next_due then gives one after the other, without those
 * that were removed meanwhile, false when there are no more. */
void timeouts_collect_due(struct timeouts *timeouts, int64_t now);
bool timeouts_next_due(struct timeouts *timeouts, ioloop_callback_fn **callback, void **arg);

#endif
