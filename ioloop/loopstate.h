/* Internal: loopstate.h, what a loop consists of, for the files that make it up: ioloop.c (its life, callbacks,
 * timeouts), looprun.c (a turn), loophandlers.c (descriptors), and loopmember.c, looptask.c and loopfront.c (what it
 * does for the layers above). */
#ifndef IOLOOP_LOOPSTATE_H
#define IOLOOP_LOOPSTATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "ioloop/ioloop.h"
#include "ioloop/loopfront.h"
#include "ioloop/loopmember.h"
#include "ioloop/loopsignals.h"
#include "ioloop/looptask.h"
#include "ioloop/poller.h"
#include "ioloop/spinlock.h"
#include "ioloop/taskqueue.h"
#include "ioloop/timeouts.h"

#define READY_EVENTS 512

/* The table of handlers is indexed by descriptor, and each descriptor has one, so it is small: of the function it has
 * only the number. A generation outlives its registration, so that the next one of the same number gets another. */
struct handler {
    void *arg;
    uint32_t generation;
    uint8_t function;     /* 0: none */
    uint8_t told;         /* what the handler is told: of that what it asked for, and ERROR */
    uint16_t events : 14; /* what the kernel was asked for */
    uint16_t watched : 1; /* the kernel knows it */
    uint16_t claimed : 1; /* by an object of the library */
};

/* The functions that the handlers of a loop have now. A program has a few, and they are called by their number; those
 * for which there is no room are in memory of their own, which the arg of their handler then leads to. */
#define LOOPSTATE_FUNCTIONS 32
struct handlerfunctions {
    ioloop_handler_fn *of[LOOPSTATE_FUNCTIONS]; /* by number */
    uint32_t uses[LOOPSTATE_FUNCTIONS];         /* 0: the number is free */
};

/* What others may ask of a loop. */
enum {
    STOPPING = 1,
    POSTED = 2,    /* posted is not empty */
    SIGNALLED = 4, /* signals has something */
    FORKED = 8,    /* this is a child of fork() that was called while the loop ran */
};

/* Those that wait for the next turn, and those of this one that have not run. */
struct loopstate_tasks {
    struct looptask *first, **last;
    struct looptask *running;
};

struct ioloop {
    struct loopfront front; /* has to come first */
    struct poller *poller;
    struct handler *handlers;
    size_t handler_count;
    struct handlerfunctions functions;

    struct loopstate_tasks tasks, first_tasks;
    struct taskqueue callbacks; /* added by this thread while the loop runs */
    struct taskqueue due;       /* those of this turn */
    struct taskqueue taken;     /* posted ones of this turn */
    struct timeouts timeouts;
    struct deadlines *deadlines;
    void *rooms[LOOPMEMBER_ROOMS]; /* loopmember_room */
    struct loopmember *members, *first_members, *last_members, *reopened_members;
    void *spares; /* a list through their first bytes */
    unsigned spare_count;
    struct looptask *ended_tasks; /* of objects that are kept until all members are closed; NULL: they are not kept */

    /* In a child of fork() that was called in a turn: what was left of that. It is the parent's, and the child's only
     * if that reopens the loop. */
    struct {
        struct taskqueue due, taken;
        uint32_t timeouts;
    } left;

    bool added; /* a task or a callback waits for the next turn */
    bool running, closing, close_all_fds;
    unsigned forks; /* the process it was made in: how many forks deep */
    ioloop_clock_fn *clock;
    void *clock_arg;
    int64_t began;   /* loopfront_began */
    bool has_waited; /* and the time has not been read since */
    int64_t slow_callback;
    ioloop_error_fn *on_error;
    void *on_error_arg;

    int ready_count;
    struct poller_event ready[READY_EVENTS];

    /* From here on other threads and signal handlers take part. Who posts touches the last three and little else: they
     * lie together, and far from what the loop writes in each turn, since a cache line has one writer at a time. */
    atomic_bool sleeping; /* whoever turns this off wakes the poller */
    atomic_uint asked;    /* STOPPING, POSTED, SIGNALLED, FORKED */
    atomic_int holders;
    atomic_int wakers; /* signal handlers and stops that use the poller now */
    struct loopsignals signals;
    struct taskqueue posted;
    struct spinlock lock; /* of posted, and of the poller's life for those who post */
    atomic_bool closed;
};

/* The loop that this thread runs now, and how many forks this process is away from the first. */
extern _Thread_local struct ioloop *loopstate_running __attribute__((tls_model("initial-exec")));
extern unsigned loopstate_forks;

/* A task list ends here and not in NULL, so that next != NULL says that a task waits. */
extern struct looptask loopstate_no_task;

/* 0, or why the loop cannot be used: -EBADF, -ESTALE. */
int loopstate_check(const struct ioloop *loop);

/* Seconds become the nearest nanosecond, or the last there is. */
int64_t loopstate_nanoseconds(double seconds);

/* Nanoseconds of the loop's clock as it stands; read_time also remembers them for this turn, and settles what was put
 * off by some seconds. */
static inline int64_t loopstate_read_clock(struct ioloop *loop)
{
    struct timespec now;

    if (loop->clock != NULL)
        return loopstate_nanoseconds(loop->clock(loop->clock_arg));
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline int64_t loopstate_read_time(struct ioloop *loop)
{
    loop->front.knows_now = loop->running;
    loop->front.now = loopstate_read_clock(loop);
    if (loop->has_waited) {
        loop->has_waited = false;
        loop->began = loop->front.now;
    }
    if (loop->timeouts.delay_count > 0)
        timeouts_settle(&loop->timeouts, loop->front.now);
    return loop->front.now;
}

/* How many nanoseconds there are until then; 0 when it has passed. */
int64_t loopstate_until(struct ioloop *loop, int64_t deadline);

/* What is called for a handler in the end. */
ioloop_handler_fn *loopstate_function_of(const struct ioloop *loop, const struct handler *handler);

static inline void loopstate_clear_tasks(struct loopstate_tasks *tasks)
{
    tasks->first = &loopstate_no_task;
    tasks->last = &tasks->first;
}

static inline bool loopstate_has_tasks(const struct ioloop *loop)
{
    return loop->tasks.first != &loopstate_no_task || loop->first_tasks.first != &loopstate_no_task;
}

/* Runs the tasks that are there now, or only the first ones; what they add waits for the next turn. */
void loopstate_run_tasks(struct ioloop *loop);
void loopstate_run_first_tasks(struct ioloop *loop);

/* Ends a loop that does not run. */
void loopstate_close(struct ioloop *loop);

#endif
