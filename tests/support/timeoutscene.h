/* Internal: timeoutscene.h, for tests of the set of timeouts: those that are added and those that are due, by names.
 *
 *     add(&timeouts, 5, 1);
 *     assert_int_equal(take_due(&timeouts, 5, args, 8), 1);
 *     assert_int_equal(args[0], 1); */
#ifndef TESTS_SUPPORT_TIMEOUTSCENE_H
#define TESTS_SUPPORT_TIMEOUTSCENE_H

#include "ioloop/timeouts.h"
#include "tests/support/testing.h"

static inline void nothing(void *arg)
{
}

/* What is due, a batch at most; answers how many and notes their args. */
static inline int take_due(struct timeouts *timeouts, int64_t now, intptr_t *args, int most)
{
    ioloop_callback_fn *callback;
    void *arg;
    int count = 0;

    timeouts_collect_due(timeouts, now);
    while (timeouts_next_due(timeouts, &callback, &arg)) {
        assert_true(callback == nothing);
        assert_true(count < most);
        args[count++] = (intptr_t)arg;
    }
    return count;
}

/* Turn by turn. */
static inline int take_all(struct timeouts *timeouts, int64_t now, intptr_t *args, int most)
{
    int count = 0, some;

    do
        count += some = take_due(timeouts, now, args + count, most - count);
    while (some == TIMEOUTS_BATCH);
    return count;
}

static inline uint64_t add(struct timeouts *timeouts, int64_t deadline, intptr_t name)
{
    uint64_t id = timeouts_add(timeouts, deadline, nothing, (void *)name);

    assert_int_not_equal(id, 0);
    return id;
}

/* now: what those count from that wait already, if they have to make room. */
static inline uint64_t add_delay(struct timeouts *timeouts, int64_t now, int64_t delay, intptr_t name)
{
    if (timeouts->delay_count == TIMEOUTS_DELAYS)
        timeouts_settle(timeouts, now);
    uint64_t id = timeouts_add_delay(timeouts, delay, nothing, (void *)name);

    assert_int_not_equal(id, 0);
    return id;
}

/* As the loop does it. */
static inline uint64_t replace(struct timeouts *timeouts, int64_t now, uint64_t id, int64_t delay, intptr_t name)
{
    uint64_t next;

    if (timeouts_has_room(timeouts))
        return timeouts_replace_by_delay(timeouts, id, delay, nothing, (void *)name);
    next = add_delay(timeouts, now, delay, name);
    timeouts_remove(timeouts, id);
    return next;
}

/* As if so many had been added. */
static inline void set_order(struct timeouts *timeouts, uint32_t order)
{
    timeouts->order = order;
    timeouts->room = 0;
}

#endif
