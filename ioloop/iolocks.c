#include "ioloop/iolocks.h"

#include <errno.h>
#include <limits.h>

#include "ioloop/iowaiter.h"

/* Condition. */

struct iolocks_condition {
    struct iowaiting waiting;
};

struct iolocks_condition *iolocks_condition_new(struct ioloop *loop)
{
    return iowaiting_new(loop, sizeof(struct iolocks_condition), NULL);
}

void iolocks_condition_close(struct iolocks_condition *condition)
{
    iowaiting_close(&condition->waiting);
}

struct iofuture *iolocks_condition_wait(struct iolocks_condition *condition, double timeout)
{
    struct iowaiter *waiter = iowaiter_new(&condition->waiting);

    return waiter != NULL ? iowaiter_wait(waiter, &condition->waiting.line, timeout, 0) : NULL;
}

void iolocks_condition_notify(struct iolocks_condition *condition, size_t count)
{
    struct iowaiter *waiter;

    for (; count > 0 && (waiter = iowaiterline_take(&condition->waiting.line)) != NULL; count--)
        iofuture_set_result(&waiter->future, condition, NULL);
}

void iolocks_condition_notify_all(struct iolocks_condition *condition)
{
    iolocks_condition_notify(condition, SIZE_MAX);
}

/* Event. */

struct iolocks_event {
    struct iowaiting waiting;
    bool is_set;
};

struct iolocks_event *iolocks_event_new(struct ioloop *loop)
{
    return iowaiting_new(loop, sizeof(struct iolocks_event), NULL);
}

void iolocks_event_close(struct iolocks_event *event)
{
    iowaiting_close(&event->waiting);
}

void iolocks_event_set(struct iolocks_event *event)
{
    struct iowaiter *waiter;

    event->is_set = true;
    while ((waiter = iowaiterline_take(&event->waiting.line)) != NULL)
        iofuture_set_result(&waiter->future, NULL, NULL);
}

void iolocks_event_clear(struct iolocks_event *event)
{
    event->is_set = false;
}

bool iolocks_event_is_set(const struct iolocks_event *event)
{
    return event->is_set;
}

struct iofuture *iolocks_event_wait(struct iolocks_event *event, double timeout)
{
    struct iowaiter *waiter = iowaiter_new(&event->waiting);

    if (waiter == NULL)
        return NULL;
    if (event->is_set)
        return iowaiter_have(waiter, NULL, NULL);
    return iowaiter_wait(waiter, &event->waiting.line, timeout, -ETIMEDOUT);
}

/* Semaphore. */

struct iolocks_semaphore {
    struct iowaiting waiting;
    int permits; /* above 0: nobody waits */
    int bound;
};

static struct iolocks_semaphore *new_semaphore(struct ioloop *loop, int permits, int bound)
{
    if (permits < 0)
        return errno = EINVAL, NULL;
    struct iolocks_semaphore *semaphore = iowaiting_new(loop, sizeof *semaphore, NULL);
    if (semaphore == NULL)
        return NULL;
    semaphore->permits = permits;
    semaphore->bound = bound;
    return semaphore;
}

struct iolocks_semaphore *iolocks_semaphore_new(struct ioloop *loop, int permits)
{
    return new_semaphore(loop, permits, INT_MAX);
}

struct iolocks_semaphore *iolocks_semaphore_new_bounded(struct ioloop *loop, int permits)
{
    return new_semaphore(loop, permits, permits);
}

void iolocks_semaphore_close(struct iolocks_semaphore *semaphore)
{
    iowaiting_close(&semaphore->waiting);
}

struct iofuture *iolocks_semaphore_acquire(struct iolocks_semaphore *semaphore, double timeout)
{
    struct iowaiter *waiter = iowaiter_new(&semaphore->waiting);

    if (waiter == NULL)
        return NULL;
    if (semaphore->permits == 0)
        return iowaiter_wait(waiter, &semaphore->waiting.line, timeout, -ETIMEDOUT);
    semaphore->permits--;
    return iowaiter_have(waiter, NULL, NULL);
}

/* A permit goes from hand to hand: nobody who comes meanwhile can snatch it. */
int iolocks_semaphore_release(struct iolocks_semaphore *semaphore)
{
    struct iowaiter *waiter = iowaiterline_take(&semaphore->waiting.line);

    if (waiter != NULL)
        return iofuture_set_result(&waiter->future, NULL, NULL);
    if (semaphore->permits == semaphore->bound)
        return -EINVAL;
    semaphore->permits++;
    return 0;
}

/* Lock. */

struct iolocks_lock {
    struct iolocks_semaphore semaphore;
};

struct iolocks_lock *iolocks_lock_new(struct ioloop *loop)
{
    return (struct iolocks_lock *)new_semaphore(loop, 1, 1);
}

void iolocks_lock_close(struct iolocks_lock *lock)
{
    iolocks_semaphore_close(&lock->semaphore);
}

struct iofuture *iolocks_lock_acquire(struct iolocks_lock *lock, double timeout)
{
    return iolocks_semaphore_acquire(&lock->semaphore, timeout);
}

int iolocks_lock_release(struct iolocks_lock *lock)
{
    return iolocks_semaphore_release(&lock->semaphore) == 0 ? 0 : -EPERM;
}
