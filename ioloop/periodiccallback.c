#include "ioloop/periodiccallback.h"

#include <errno.h>
#include <stdlib.h>

#include "ioloop/ioalloc.h"
#include "ioloop/iofuturelayer.h"
#include "ioloop/kernel.h"
#include "ioloop/loopmember.h"
#include "ioloop/looptask.h"
#include "ioloop/periodicgrid.h"

struct periodiccallback {
    struct loopmember member;
    struct looptask task; /* ends it once it is closed */
    struct ioloop *loop;
    ioloop_callback_fn *callback; /* this one, or that */
    periodiccallback_future_fn *begin;
    void *arg;
    struct iofuture *unfinished; /* what the last call has begun; held */
    struct iofuture_link link;
    double period, jitter;
    double next;
    uint64_t timeout;
    uint64_t random;
    bool running, closed;
};

static struct periodiccallback *periodic_of_task(struct looptask *task)
{
    return (struct periodiccallback *)((char *)task - offsetof(struct periodiccallback, task));
}

static void free_periodic(struct looptask *task)
{
    ioalloc_free(periodic_of_task(task));
}

static void end_periodic(struct looptask *task)
{
    looptask_end(periodic_of_task(task)->loop, task, free_periodic);
}

static void close_with_loop(struct loopmember *member)
{
    periodiccallback_close((struct periodiccallback *)member);
}

static struct periodiccallback *new_periodic(struct ioloop *loop, double seconds, void *arg)
{
    if (!(seconds > 0) || __builtin_isinf(seconds))
        return errno = EINVAL, NULL;
    int error = loopmember_check(loop);
    if (error < 0)
        return errno = -error, NULL;
    struct periodiccallback *periodic = ioalloc_zeroed(sizeof *periodic);
    if (periodic == NULL)
        return errno = ENOMEM, NULL;
    periodic->member.close = close_with_loop;
    periodic->task.run = end_periodic;
    periodic->loop = loop;
    periodic->arg = arg;
    periodic->period = seconds;
    periodic->random = 0x9e3779b97f4a7c15u;
    kernel_random(&periodic->random, sizeof periodic->random); /* jitter is no secret: a constant seed would do */
    loopmember_add(loop, &periodic->member);
    return periodic;
}

struct periodiccallback *periodiccallback_new(struct ioloop *loop, double seconds, ioloop_callback_fn *callback,
                                              void *arg)
{
    struct periodiccallback *periodic = new_periodic(loop, seconds, arg);

    if (periodic != NULL)
        periodic->callback = callback;
    return periodic;
}

struct periodiccallback *periodiccallback_new_future(struct ioloop *loop, double seconds,
                                                     periodiccallback_future_fn *callback, void *arg)
{
    struct periodiccallback *periodic = new_periodic(loop, seconds, arg);

    if (periodic != NULL)
        periodic->begin = callback;
    return periodic;
}

static void forget_unfinished(struct periodiccallback *periodic)
{
    iofuturelayer_remove(&periodic->link);
    if (periodic->unfinished != NULL)
        iofuture_release(periodic->unfinished);
    periodic->unfinished = NULL;
}

void periodiccallback_close(struct periodiccallback *periodic)
{
    if (periodic->closed)
        return;
    periodic->closed = true;
    periodiccallback_stop(periodic);
    forget_unfinished(periodic);
    loopmember_remove(&periodic->member);
    looptask_add(periodic->loop, &periodic->task);
}

int periodiccallback_set_jitter(struct periodiccallback *periodic, double jitter)
{
    if (!(jitter >= 0 && jitter <= 1))
        return -EINVAL;
    periodic->jitter = jitter;
    return 0;
}

/* A number in [0, 1); xorshift64. */
static double next_random(struct periodiccallback *periodic)
{
    periodic->random ^= periodic->random << 13;
    periodic->random ^= periodic->random >> 7;
    periodic->random ^= periodic->random << 17;
    return (double)(periodic->random >> 11) / (double)(UINT64_C(1) << 53);
}

static void run(void *arg);

static int schedule(struct periodiccallback *periodic)
{
    double random = periodic->jitter > 0 ? next_random(periodic) : 0;

    periodic->next =
        periodicgrid_next(periodic->next, ioloop_time(periodic->loop), periodic->period, periodic->jitter, random);
    periodic->timeout = ioloop_call_at(periodic->loop, periodic->next, run, periodic);
    return periodic->timeout != 0 ? 0 : -errno;
}

static void schedule_next(struct periodiccallback *periodic)
{
    if (!periodic->running || periodic->timeout != 0)
        return;
    int error = schedule(periodic);
    if (error < 0)
        periodic->running = false;
    if (error < 0 && error != -EBADF) /* the callback may have closed the loop */
        ioloop_callback_failed(periodic->loop, error);
}

static void note_finished_call(struct iofuture *future, void *arg)
{
    struct periodiccallback *periodic = arg;

    forget_unfinished(periodic);
    schedule_next(periodic);
}

/* Answers whether it has finished. */
static bool call_periodic(struct periodiccallback *periodic)
{
    if (periodic->begin == NULL)
        return periodic->callback(periodic->arg), true;
    struct iofuture *future = periodic->begin(periodic->arg);
    if (future == NULL || periodic->closed)
        return true;
    iofuture_hold(future);
    periodic->unfinished = future;
    iofuturelayer_add(future, &periodic->link, note_finished_call, periodic);
    return false;
}

/* It may have been stopped and started anew while the last call had not finished: that schedules the next one then. */
static void run(void *arg)
{
    struct periodiccallback *periodic = arg;

    periodic->timeout = 0;
    if (periodic->unfinished == NULL && call_periodic(periodic))
        schedule_next(periodic);
}

int periodiccallback_start(struct periodiccallback *periodic)
{
    if (periodic->closed)
        return -EBADF;
    if (periodic->running)
        return 0;
    periodic->next = ioloop_time(periodic->loop);
    int error = schedule(periodic);
    periodic->running = error == 0;
    return error;
}

void periodiccallback_stop(struct periodiccallback *periodic)
{
    periodic->running = false;
    ioloop_remove_timeout(periodic->loop, periodic->timeout);
    periodic->timeout = 0;
}

bool periodiccallback_is_running(const struct periodiccallback *periodic)
{
    return periodic->running;
}
