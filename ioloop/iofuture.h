/* iofuture.h: a result that is not there yet, tornado.concurrent.Future, and what tornado.gen does with many of them.
 *
 *     struct iofuture *future = iofuture_new(loop);        // who makes it sets it, once:
 *     iofuture_set_result(future, text, free);
 *     ...
 *     iofuture_add_callback(future, on_done, NULL);        // who was given it is told
 *
 * Lifetime: nobody frees a future. It is gone when it has been set, its callbacks have run and nobody holds it. Until
 *     then whoever made it may name it, so it has to be set also when it was cancelled; who else keeps a pointer to it
 *     beyond its callbacks holds it. One that is never set goes with its loop, which cancels it first.
 * Callbacks: in the order in which they were added, those of futures in the order in which these were done.
 * Errors: -EALREADY set a second time; -EINVAL a future of another loop; -EBADF the loop is closed or about to be. NULL
 *     in place of a future to wait for is answered with errno, so what makes one needs no check of its own. An error
 *     other than -ECANCELED that nobody asked for, by iofuture_error, is logged when the future goes.
 * Threads: a future belongs to its loop's. Results from others come by ioloop_add_callback, or ioexecutor.h. */
#ifndef IOLOOP_IOFUTURE_H
#define IOLOOP_IOFUTURE_H

#include <stdbool.h>
#include <stddef.h>

#include "ioloop/ioloop.h"

IOAPI_BEGIN

struct iofuture;

typedef void iofuture_fn(struct iofuture *future, void *arg);
typedef void iofuture_free_fn(void *value);

/* One allocation, with room for one callback. NULL with errno. */
struct iofuture *iofuture_new(struct ioloop *loop);
struct ioloop *iofuture_loop(const struct iofuture *future); /* NULL: it is closed */

/* For who made it. free_value, which may be NULL, is called with the value when the future goes. When it was cancelled
 * before, the value is freed at once, an error is logged, and the answer is 0. -EALREADY: the value stays the caller's.
 * error: a negative errno value, else -EINVAL. */
int iofuture_set_result(struct iofuture *future, void *value, iofuture_free_fn *free_value);
int iofuture_set_error(struct iofuture *future, int error);

/* For who was given it. Runs the callback in the next iteration after it is done, also when it is done already
 * (Future.add_done_callback, IOLoop.add_future). -ENOMEM. */
int iofuture_add_callback(struct iofuture *future, iofuture_fn *callback, void *arg) IOAPI_MUST_USE;

/* Takes back the first that is the same and has not run. Removing what is not there is fine. */
void iofuture_remove_callback(struct iofuture *future, iofuture_fn *callback, void *arg);

/* Done from now on, with -ECANCELED, unless it was done before. What works for it stops, if it can. */
void iofuture_cancel(struct iofuture *future);

bool iofuture_done(const struct iofuture *future);
bool iofuture_cancelled(const struct iofuture *future);

/* 0, or why it has no result; 0 also while it is not done. */
int iofuture_error(struct iofuture *future);

/* NULL while it is not done and when it failed. Lent while the future is there; take: yours, the future does not free
 * it any more. */
void *iofuture_result(const struct iofuture *future);
void *iofuture_take_result(struct iofuture *future);

/* Each hold keeps it until there was a release for it. */
void iofuture_hold(struct iofuture *future);
void iofuture_release(struct iofuture *future);

/* Several. Of those that a function here is given it takes the outcome, and holds them until it has been told; they go
 * on when the future that it made is cancelled or times out. */

/* What comes of one becomes the outcome of the other, unless that is done by then (chain_future). The value is lent. */
int iofuture_chain(struct iofuture *from, struct iofuture *to) IOAPI_MUST_USE;

/* Done when all are: with an array of their values, in their order and lent, or the first error in their order. */
struct iofuture *iofuture_multi(struct ioloop *loop, struct iofuture *const *futures, size_t count);

/* Done when the first of them is, and that one is its value, also when it failed. EINVAL: count is 0. */
struct iofuture *iofuture_any(struct ioloop *loop, struct iofuture *const *futures, size_t count);

/* One after the other as they are done (gen.WaitIterator): next answers a future whose value is the one that was done,
 * its outcome as it may be, and there until the iterator is closed. EBUSY: the last next is not done yet; ENOENT: there
 * is no more. */
struct iofuture_iterator;
struct iofuture_iterator *iofuture_iterator_new(struct ioloop *loop, struct iofuture *const *futures, size_t count);
struct iofuture *iofuture_iterator_next(struct iofuture_iterator *iterator);
bool iofuture_iterator_done(const struct iofuture_iterator *iterator);    /* there is no more */
size_t iofuture_iterator_index(const struct iofuture_iterator *iterator); /* which one the last next has answered */
void iofuture_iterator_close(struct iofuture_iterator *iterator);

/* Time. */

/* Done after so long (gen.sleep). Cancelling it removes its timeout. */
struct iofuture *iofuture_sleep(struct ioloop *loop, double seconds);

/* As the future, but with -ETIMEDOUT when that is not done in time (gen.with_timeout). It goes on then: what error it
 * comes to is logged, unless quiet. */
struct iofuture *iofuture_with_timeout(struct ioloop *loop, struct iofuture *future, double seconds, bool quiet);

/* Runs the loop, calls the function from it, and answers when the future that this gives is done (IOLoop.run_sync): 0
 * or its error, and its value, lent until the loop runs again or is closed (value may be NULL). A function that answers
 * NULL has failed with errno. timeout: in seconds; the future is cancelled then, and the answer -ETIMEDOUT; below 0:
 * never. -EINTR: the loop was stopped before; as ioloop_start when it could not run. */
typedef struct iofuture *iofuture_function_fn(void *arg);
int iofuture_run_sync(struct ioloop *loop, iofuture_function_fn *function, void *arg, double timeout, void **value);

IOAPI_END
#endif
