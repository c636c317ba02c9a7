#include "ioloop/periodiccallback.h"

#include <errno.h>
#include <stdlib.h>

#include "ioloop/ioalloc.h"
#include "ioloop/kernel.h"
#include "ioloop/loopmember.h"
#include "ioloop/looptask.h"
#include "ioloop/periodicgrid.h"

struct periodiccallback {
    struct loopmember member;
    struct looptask task; /* frees it once it is closed */
    struct ioloop *loop;
    ioloop_callback_fn *callback;
    void *arg;
    double period, jitter;
    double next;
    uint64_t timeout;
    uint64_t random;
    bool running, closed;
};

static void free_periodic(struct looptask *task)
{
    struct periodiccallback *periodic =
        (struct periodiccallback *)((char *)task - offsetof(struct periodiccallback, task));

    ioalloc_free(periodic);
}

static void close_with_loop(struct loopmember *member)
{
    periodiccallback_close((struct periodiccallback *)member);
}

struct periodiccallback *periodiccallback_new(struct ioloop *loop, double seconds, ioloop_callback_fn *callback,
                                              void *arg)
{
    if (!(seconds > 0) || __builtin_isinf(seconds))
        return errno = EINVAL, NULL;
    struct periodiccallback *periodic = ioalloc_zeroed(sizeof *periodic);
    if (periodic == NULL)
        return errno = ENOMEM, NULL;
    periodic->member.close = close_with_loop;
    periodic->task.run = free_periodic;
    periodic->loop = loop;
    periodic->callback = callback;
    periodic->arg = arg;
    periodic->period = seconds;
    periodic->random = 0x9e3779b97f4a7c15u;
    kernel_random(&periodic->random, sizeof periodic->random); /* jitter is no secret: a constant seed would do */
    loopmember_add(loop, &periodic->member);
    return periodic;
}

void periodiccallback_close(struct periodiccallback *periodic)
{
    if (periodic->closed)
        return;
    periodic->closed = true;
    periodiccallback_stop(periodic);
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

static void run(void *arg)
{
    struct periodiccallback *periodic = arg;

    periodic->timeout = 0;
    periodic->callback(periodic->arg);
    if (!periodic->running || periodic->timeout != 0)
        return;
    int error = schedule(periodic);
    if (error < 0)
        periodic->running = false;
    if (error < 0 && error != -EBADF) /* the callback may have closed the loop */
        ioloop_callback_failed(periodic->loop, error);
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
