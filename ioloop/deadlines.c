#include "ioloop/deadlines.h"

#include <errno.h>
#include <stddef.h>

#include "ioloop/ioalloc.h"
#include "ioloop/loopfront.h"
#include "ioloop/loopmember.h"

#define TICK_BITS   DEADLINE_TICK_BITS
#define SLOTS       1024u /* 69 s; a deadline further away is met once a turn and stays */
#define WORD_BITS   64u
#define MAX_SECONDS 8.64e6 /* 100 days, which the bits of their ticks have room for */
#define TICKS_MASK  ((UINT32_C(1) << 27) - 1)
#define FUNCTIONS   32u

struct deadlines {
    struct ioloop *loop;
    uint64_t timeout;
    uint32_t armed;                    /* the tick that the timeout is for */
    uint32_t unsure;                   /* from this tick on nobody knows how long after it a touch was */
    uint32_t done;                     /* all slots up to this tick have been looked at */
    deadline_fn *functions[FUNCTIONS]; /* of all deadlines there ever were, which are but a few */
    uint64_t used[SLOTS / WORD_BITS];
    struct deadline *slots[SLOTS];
};

static void put_off_look(void *arg);

struct deadlines *deadlines_new(struct ioloop *loop)
{
    struct deadlines *deadlines = ioalloc_zeroed(sizeof *deadlines);

    if (deadlines == NULL)
        return NULL;
    deadlines->loop = loop;
    ioloop_time(loop);
    deadlines->done = deadline_now(loop);
    return deadlines;
}

void deadlines_free(struct deadlines *deadlines)
{
    ioalloc_free(deadlines);
}

/* One tick more than it lasts: the one it was touched in had begun already. */
static uint32_t due_tick(const struct deadline *deadline)
{
    return deadline->touched + deadline->ticks + 1;
}

static void put_in_slot(struct deadlines *deadlines, struct deadline *deadline)
{
    uint32_t due = due_tick(deadline);
    uint32_t slot = (int32_t)(due - deadlines->done) > 0 ? due % SLOTS : (deadlines->done + 1) % SLOTS;

    deadline->next = deadlines->slots[slot];
    deadline->link = &deadlines->slots[slot];
    if (deadline->next != NULL)
        deadline->next->link = &deadline->next;
    deadlines->slots[slot] = deadline;
    deadlines->used[slot / WORD_BITS] |= UINT64_C(1) << slot % WORD_BITS;
}

void deadline_clear(struct deadline *deadline)
{
    if (deadline->link == NULL)
        return;
    *deadline->link = deadline->next;
    if (deadline->next != NULL)
        deadline->next->link = deadline->link;
    deadline->link = NULL;
}

/* The first tick after done whose slot is used; a bit may be left over from deadlines that were cleared. 0 ticks
 * ahead: none. */
static uint32_t ticks_to_next(struct deadlines *deadlines)
{
    for (uint32_t ahead = 1; ahead <= SLOTS;) {
        uint32_t slot = (deadlines->done + ahead) % SLOTS;
        uint64_t word = deadlines->used[slot / WORD_BITS] >> slot % WORD_BITS;

        if (word == 0) {
            ahead += WORD_BITS - slot % WORD_BITS;
            continue;
        }
        ahead += (uint32_t)__builtin_ctzll(word);
        slot = (deadlines->done + ahead) % SLOTS;
        if (deadlines->slots[slot] != NULL)
            return ahead;
        deadlines->used[slot / WORD_BITS] &= ~(UINT64_C(1) << slot % WORD_BITS);
    }
    return 0;
}

static int arm(struct deadlines *deadlines)
{
    uint32_t ahead = ticks_to_next(deadlines);
    uint32_t tick = deadlines->done + ahead;

    if (ahead == 0 || (deadlines->timeout != 0 && (int32_t)(deadlines->armed - tick) <= 0))
        return 0;
    /* The clock counts more bits than a tick number has: what is missing comes from now. */
    int64_t now = loopfront_now(deadlines->loop);
    int64_t when = ((now >> TICK_BITS) + (int32_t)(tick - (uint32_t)(now >> TICK_BITS))) * (1 << TICK_BITS);
    uint64_t timeout = ioloop_call_at(deadlines->loop, (double)when / 1e9, put_off_look, deadlines);
    if (timeout == 0)
        return -errno;
    ioloop_remove_timeout(deadlines->loop, deadlines->timeout);
    deadlines->timeout = timeout;
    deadlines->armed = tick;
    return 0;
}

/* The number of a function; FUNCTIONS: there is no room for it. */
static uint32_t number_of(struct deadlines *deadlines, deadline_fn *function)
{
    uint32_t number = 0;

    while (number < FUNCTIONS && deadlines->functions[number] != NULL && deadlines->functions[number] != function)
        number++;
    if (number < FUNCTIONS)
        deadlines->functions[number] = function;
    return number;
}

int deadline_set(struct ioloop *loop, struct deadline *deadline, double seconds, deadline_fn *expired)
{
    struct deadlines *deadlines = loopmember_deadlines(loop);

    deadline_clear(deadline);
    if (!(seconds > 0))
        return 0;
    if (deadlines == NULL)
        return -ENOMEM;
    uint32_t number = number_of(deadlines, expired);
    if (number == FUNCTIONS)
        return -ENOBUFS;
    ioloop_time(loop);
    double ticks = (seconds < MAX_SECONDS ? seconds : MAX_SECONDS) * 1e9 / (double)(1 << TICK_BITS);
    deadline->function = number & (FUNCTIONS - 1);
    deadline->touched = deadline_now(loop);
    deadline->ticks = ((uint32_t)ticks + ((double)(uint32_t)ticks < ticks)) & TICKS_MASK;
    if (deadlines->timeout == 0 && ticks_to_next(deadlines) == 0)
        deadlines->done = deadline->touched; /* nobody has looked at the wheel while it was empty */
    put_in_slot(deadlines, deadline);
    int error = arm(deadlines);
    if (error < 0)
        deadline_clear(deadline);
    return error;
}

static void look_at_slot(struct deadlines *deadlines, uint32_t now)
{
    uint32_t slot = deadlines->done % SLOTS;
    struct deadline *waiting = deadlines->slots[slot];

    /* The list moves to a head of its own: what an expiry sets or clears meanwhile may be in either. */
    deadlines->slots[slot] = NULL;
    if (waiting != NULL)
        waiting->link = &waiting;
    while (waiting != NULL) {
        struct deadline *deadline = waiting;

        deadline_clear(deadline);
        if ((int32_t)(due_tick(deadline) - now) <= 0 && (int32_t)(deadline->touched - deadlines->unsure) >= 0)
            deadline->touched = now;
        if ((int32_t)(due_tick(deadline) - now) <= 0)
            deadlines->functions[deadline->function](deadline);
        else
            put_in_slot(deadlines, deadline);
    }
}

static void look_at_slots(void *arg)
{
    struct deadlines *deadlines = arg;
    uint32_t now = deadline_now(deadlines->loop);

    deadlines->timeout = 0;
    for (uint32_t ahead; (ahead = ticks_to_next(deadlines)) != 0 && (int32_t)(deadlines->done + ahead - now) <= 0;) {
        deadlines->done += ahead;
        look_at_slot(deadlines, now);
    }
    if ((int32_t)(now - deadlines->done) > 0)
        deadlines->done = now;
    int error = arm(deadlines);
    if (error < 0 && error != -EBADF)                   /* an expiry may have closed the loop */
        ioloop_callback_failed(deadlines->loop, error); /* armed again by the next deadline that is set */
}

/* A callback may have blocked the loop for long. So what has come meanwhile is served first, in this iteration, and
 * what was touched behind that callback, with the time before it, counts from the look on. */
static void put_off_look(void *arg)
{
    struct deadlines *deadlines = arg;
    double now = (double)loopfront_now(deadlines->loop) / 1e9;

    deadlines->unsure = (uint32_t)(loopfront_began(deadlines->loop) >> TICK_BITS);
    deadlines->timeout = ioloop_call_at(deadlines->loop, now, look_at_slots, deadlines);
    if (deadlines->timeout == 0)
        look_at_slots(deadlines);
}
