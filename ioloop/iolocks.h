/* iolocks.h: who waits for whom among the callbacks of one loop, tornado.locks.
 *
 *     struct iolocks_lock *lock = iolocks_lock_new(loop);
 *     iofuture_add_callback(iolocks_lock_acquire(lock, -1), on_acquired, job);
 *     ...
 *     iolocks_lock_release(lock);
 *
 * All serve those who wait in their order. A timeout is in seconds, 0: the next iteration, below 0: never; the future
 * is -ETIMEDOUT then, and has taken nothing; so too when it was cancelled.
 *
 * Lifetime: close; those who still wait are -ECANCELED. Or ioloop_close.
 * Errors: constructors, and what answers a future: NULL with errno, EBADF when it is closed.
 * Threads: none of this is for threads. */
#ifndef IOLOOP_IOLOCKS_H
#define IOLOOP_IOLOCKS_H

#include <stdbool.h>
#include <stddef.h>

#include "ioloop/iofuture.h"

IOAPI_BEGIN

/* Condition. Its wait does not fail when time is over: the value is NULL then, and else not. */
struct iolocks_condition;
struct iolocks_condition *iolocks_condition_new(struct ioloop *loop);
void iolocks_condition_close(struct iolocks_condition *condition);
struct iofuture *iolocks_condition_wait(struct iolocks_condition *condition, double timeout);
void iolocks_condition_notify(struct iolocks_condition *condition, size_t count); /* so many of those who wait */
void iolocks_condition_notify_all(struct iolocks_condition *condition);

/* Event: until it is set all wait. Who was released by set stays so when clear follows. */
struct iolocks_event;
struct iolocks_event *iolocks_event_new(struct ioloop *loop);
void iolocks_event_close(struct iolocks_event *event);
void iolocks_event_set(struct iolocks_event *event);
void iolocks_event_clear(struct iolocks_event *event);
bool iolocks_event_is_set(const struct iolocks_event *event);
struct iofuture *iolocks_event_wait(struct iolocks_event *event, double timeout);

/* Semaphore: so many permits; EINVAL below 0. release: -EINVAL where a bounded one has got all of its permits back. */
struct iolocks_semaphore;
struct iolocks_semaphore *iolocks_semaphore_new(struct ioloop *loop, int permits);
struct iolocks_semaphore *iolocks_semaphore_new_bounded(struct ioloop *loop, int permits);
void iolocks_semaphore_close(struct iolocks_semaphore *semaphore);
struct iofuture *iolocks_semaphore_acquire(struct iolocks_semaphore *semaphore, double timeout);
int iolocks_semaphore_release(struct iolocks_semaphore *semaphore);

/* Lock. release: -EPERM when nobody holds it. */
struct iolocks_lock;
struct iolocks_lock *iolocks_lock_new(struct ioloop *loop);
void iolocks_lock_close(struct iolocks_lock *lock);
struct iofuture *iolocks_lock_acquire(struct iolocks_lock *lock, double timeout);
int iolocks_lock_release(struct iolocks_lock *lock);

IOAPI_END
#endif
