/* Internal: deadlines.h, coarse lazy timeouts for things that are many and mostly busy, as connections.
 *
 *     deadline_set(loop, &connection->deadline, 60.0, on_idle);
 *     deadline_touch(&connection->deadline, deadline_now(loop));    // something came: the 60 s start again
 *
 * A deadline is a link in one slot of the loop's wheel. Touching it is one store: only when its slot comes up is it
 * looked at, and moved on if it was touched since. One timeout of the loop serves them all. They come at most two ticks
 * (2^26 ns, 67 ms) late and never early, with one exception: the time of an iteration is read once, and what callbacks
 * have taken before a touch is missing from the next period, unless that is all of it. What is ready to be received
 * when a deadline is over is received first, so whoever was kept waiting by such a callback is not cut off.
 *
 * Lifetime: the owner embeds the deadline, zeroed, and clears it before it goes. When it expires it is cleared first.
 * Errors: when deadline_set fails (-ENOMEM, or as ioloop_call_at) the deadline is not set. */
#ifndef IOLOOP_DEADLINES_H
#define IOLOOP_DEADLINES_H

#include <stdint.h>

#include "ioloop/ioloop.h"
#include "ioloop/loopfront.h"

struct deadline;
struct deadlines;

typedef void deadline_fn(struct deadline *deadline);

/* 24 bytes, as there is one for each connection. */
struct deadline {
    struct deadline *next;
    struct deadline **link; /* what points to this one; NULL: not set */
    uint32_t touched;       /* the tick of the last touch */
    uint32_t ticks : 27;    /* how many it lasts from there */
    uint32_t function : 5;  /* which one of those that the wheel calls */
};

/* seconds not above 0: cleared. More than 100 days are 100 days. -ENOBUFS: the loop's deadlines would have more than 32
 * functions. */
int deadline_set(struct ioloop *loop, struct deadline *deadline, double seconds, deadline_fn *expired);
void deadline_clear(struct deadline *deadline);

/* The tick of this iteration. */
#define DEADLINE_TICK_BITS 26 /* of nanoseconds */
static inline uint32_t deadline_now(struct ioloop *loop)
{
    return (uint32_t)(loopfront_now(loop) >> DEADLINE_TICK_BITS);
}

static inline void deadline_touch(struct deadline *deadline, uint32_t now)
{
    deadline->touched = now;
}

/* The wheel, which the loop owns. */
struct deadlines *deadlines_new(struct ioloop *loop);
void deadlines_free(struct deadlines *deadlines);

#endif
