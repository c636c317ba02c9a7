/* Internal: iowaiter.h, futures that wait in line for something: an item, room, a permit, news.
 *
 *     struct iowaiter *waiter = iowaiter_new(lock->waiting.loop);
 *     error = iowaiter_wait(waiter, &lock->waiting.line, timeout, -ETIMEDOUT);
 *     ...
 *     waiter = iowaiterline_take(&lock->waiting.line);
 *
 * One whose time is over, or that was cancelled, leaves the line at once: whoever is in line does wait. */
#ifndef IOLOOP_IOWAITER_H
#define IOLOOP_IOWAITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ioloop/iofuturelayer.h"

struct iowaiter {
    struct iofuture future;
    struct iowaiter *next, **link;
    struct iowaiterline *line;
    uint64_t timeout;
    int late;   /* the error when time is over; 0: none, the value is NULL */
    void *item; /* that it wants to put */
};

struct iowaiterline {
    struct iowaiter *first, **last;
};

/* What things that are waited for begin with. They go an iteration after they were closed. */
struct iowaiting {
    struct loopmember member;
    struct looptask task;
    struct ioloop *loop;
    struct iowaiterline line;
    void (*end)(struct iowaiting *waiting); /* it closes; NULL: nothing to do but for the line */
    bool closed;
};

/* Zeroed behind that. NULL with errno. */
void *iowaiting_new(struct ioloop *loop, size_t size, void (*end)(struct iowaiting *waiting));

/* Closing one that is closed is fine. */
void iowaiting_close(struct iowaiting *waiting);

void iowaiterline_init(struct iowaiterline *line);

/* The first, out of line now and to be set by the caller; NULL: there is none. */
struct iowaiter *iowaiterline_take(struct iowaiterline *line);
void iowaiterline_cancel(struct iowaiterline *line);

/* Not in line. NULL with errno, EBADF when the thing is closed. */
struct iowaiter *iowaiter_new(struct iowaiting *waiting);

/* Puts it in line and answers its future. NULL with errno, and then the waiter is gone. */
struct iofuture *iowaiter_wait(struct iowaiter *waiter, struct iowaiterline *line, double timeout, int late);

/* Has got it without waiting. */
struct iofuture *iowaiter_have(struct iowaiter *waiter, void *value, iofuture_free_fn *free_value);

#endif
