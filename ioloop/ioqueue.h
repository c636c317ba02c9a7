/* ioqueue.h: from who makes things to who uses them, on one loop, tornado.queues.
 *
 *     struct ioqueue *queue = ioqueue_new(loop, 5);
 *     iofuture_add_callback(ioqueue_put(queue, item, -1), on_put, NULL);     // waits while the queue is full
 *     iofuture_add_callback(ioqueue_get(queue, -1), on_get, NULL);           // iofuture_result: the item
 *
 * Who waits is served in order. A timeout is in seconds, 0: the next iteration, below 0: never; the future is
 * -ETIMEDOUT then, and has put and taken nothing; so too when it was cancelled.
 *
 * Lifetime: ioqueue_close; those who still wait are -ECANCELED. Or ioloop_close.
 * Errors: constructors, and what answers a future: NULL with errno; EBADF when it is closed. */
#ifndef IOLOOP_IOQUEUE_H
#define IOLOOP_IOQUEUE_H

#include <stdbool.h>
#include <stddef.h>

#include "ioloop/iofuture.h"

IOAPI_BEGIN

struct ioqueue;

/* Below 0: a comes out before b. Equal ones come out in the order in which they went in. */
typedef int ioqueue_compare_fn(const void *a, const void *b);

/* At most so many items; 0: any number. EINVAL: below 0. First in first out, last in first out, or the least first. */
struct ioqueue *ioqueue_new(struct ioloop *loop, int maxsize);
struct ioqueue *ioqueue_new_lifo(struct ioloop *loop, int maxsize);
struct ioqueue *ioqueue_new_priority(struct ioloop *loop, int maxsize, ioqueue_compare_fn *compare);
void ioqueue_close(struct ioqueue *queue);

/* For items that are the queue's: called with those that are left when it closes, and with one that get has answered
 * when that future goes, unless it was taken (iofuture_take_result). Without it items are pointers and nothing else. */
void ioqueue_set_free_item(struct ioqueue *queue, iofuture_free_fn *free_item);

/* An item whose put fails stays the caller's. */
struct iofuture *ioqueue_put(struct ioqueue *queue, void *item, double timeout);
struct iofuture *ioqueue_get(struct ioqueue *queue, double timeout);

/* At once. -EAGAIN: full, empty; -EBADF. An item that get_nowait answers is the caller's. */
int ioqueue_put_nowait(struct ioqueue *queue, void *item) IOAPI_MUST_USE;
int ioqueue_get_nowait(struct ioqueue *queue, void **item) IOAPI_MUST_USE;

/* Done when there was a task_done for each item that was put; -EINVAL: there was one for each already. */
struct iofuture *ioqueue_join(struct ioqueue *queue, double timeout);
int ioqueue_task_done(struct ioqueue *queue);

/* How many items are in it, and how many may be: 0 for any number. */
size_t ioqueue_qsize(const struct ioqueue *queue);
size_t ioqueue_maxsize(const struct ioqueue *queue);
bool ioqueue_empty(const struct ioqueue *queue);
bool ioqueue_full(const struct ioqueue *queue);

IOAPI_END
#endif
