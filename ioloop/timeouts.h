/* Internal: timeouts.h, the callbacks of a loop that wait for a time.
 *
 * An array of slots, which hold the callbacks, and a heap of four children a node, whose nodes hold their key, so that
 * sifting reads no other memory. A slot that has got its first timeout is young: its timeouts come into the heap only
 * when one of the young may be the next. So what is removed before that never was in the heap.
 *
 * An id is a slot and an order number. Removing is O(1): the slot is given back, its node stays. The next timeout of
 * the slot, when it is due no earlier than the last one, is content with that node, which comes up before it and then
 * takes its time. So one that is removed and set anew, as most are again and again, only writes to its slot. What is
 * due earlier makes its slot young again. Nodes of no use are dropped when they come up, or when they are over 512 and
 * more than half (Tornado's rule).
 *
 * The time from which delays count is given later, once for many (timeouts_settle). Until then no function may be asked
 * for what is next or due.
 *
 * Units: nanoseconds of the loop's clock. */
#ifndef IOLOOP_TIMEOUTS_H
#define IOLOOP_TIMEOUTS_H

#include <stdbool.h>
#include <stdint.h>

#include "ioloop/ioloop.h"

#define TIMEOUTS_BATCH  64 /* due at a time */
#define TIMEOUTS_DELAYS 64 /* that wait to be settled */

struct timeouts_node {
    int64_t deadline; /* in timeouts.delays: a delay */
    uint32_t order;
    uint32_t slot;
};

struct timeouts_slot {
    ioloop_callback_fn *callback;
    union {
        void *arg;
        uint32_t next_free;
    };
    int64_t deadline;    /* or, when it has none yet, the last one's: the node's is never later */
    uint32_t order;      /* 0: free */
    uint32_t node_order; /* the order number of its node; TIMEOUTS_YOUNG; 0: it has none */
};

#define TIMEOUTS_YOUNG 0x80000000u /* no order number */

struct timeouts {
    struct timeouts_node *heap;
    struct timeouts_slot *slots;
    uint32_t *young;           /* slots, each of them once */
    struct timeouts_node *due; /* TIMEOUTS_BATCH of them, collected to run in this iteration */
    uint32_t heap_count, heap_capacity;
    uint32_t useless; /* nodes of the heap */
    uint32_t slot_count, slot_capacity;
    uint32_t free_slot;   /* index + 1; 0: none */
    int64_t young_first;  /* no deadline of the young is before it */
    uint32_t young_count; /* free slots among them */
    uint32_t live;
    uint32_t order;
    uint32_t room; /* so many can be added before it has to be looked whether there is more */
    uint32_t due_first, due_count;
    uint32_t delay_count;
    struct timeouts_node delays[TIMEOUTS_DELAYS];
};

/* Zeroed memory is an empty set. */
void timeouts_free(struct timeouts *timeouts);

/* The id; 0: no memory. add only when no delay waits to be settled, add_delay when fewer than TIMEOUTS_DELAYS do. */
uint64_t timeouts_add(struct timeouts *timeouts, int64_t deadline, ioloop_callback_fn *callback, void *arg);
uint64_t timeouts_add_delay(struct timeouts *timeouts, int64_t delay, ioloop_callback_fn *callback, void *arg);

/* The shortest way, when there is room: add_delay, which cannot fail. */
static inline bool timeouts_has_room(const struct timeouts *timeouts)
{
    return timeouts->room > 0 && timeouts->delay_count < TIMEOUTS_DELAYS;
}

uint64_t timeouts_put_delay(struct timeouts *timeouts, int64_t delay, ioloop_callback_fn *callback, void *arg);

/* timeouts_remove and timeouts_put_delay in one: what is there gives its slot to the new one. */
uint64_t timeouts_replace_by_delay(struct timeouts *timeouts, uint64_t id, int64_t delay, ioloop_callback_fn *callback,
                                   void *arg);
void timeouts_remove(struct timeouts *timeouts, uint64_t id);

/* Those that were added with a delay count from now. */
void timeouts_settle(struct timeouts *timeouts, int64_t now);

/* The earliest deadline, INT64_MAX if there is none: timeouts_next, when the first node of the heap is not it. A young
 * one may be older than one of the same deadline whose node was in the heap before, so it goes there first. */
int64_t timeouts_find_next(struct timeouts *timeouts);

static inline int64_t timeouts_next(struct timeouts *timeouts)
{
    if (timeouts->live == 0)
        return INT64_MAX;
    const struct timeouts_node *first = timeouts->heap;
    if (timeouts->heap_count > 0 && first->deadline < timeouts->young_first &&
        timeouts->slots[first->slot].order == first->order)
        return first->deadline;
    return timeouts_find_next(timeouts);
}

/* Sets aside those due at this time, at most TIMEOUTS_BATCH, unless some are left of the last time; next_due then gives
 * one after the other, without those that were removed meanwhile, false when there are no more. */
void timeouts_collect_due(struct timeouts *timeouts, int64_t now);
bool timeouts_next_due(struct timeouts *timeouts, ioloop_callback_fn **callback, void **arg);

/* Those that next_due has not given yet are not due until they are taken back. */
uint32_t timeouts_put_off_due(struct timeouts *timeouts);
void timeouts_take_back_due(struct timeouts *timeouts, uint32_t put_off);

#endif
