/* ioexecutor.h: functions that block, on a few threads (concurrent.futures.ThreadPoolExecutor, IOLoop.run_in_executor).
 *
 *     struct iofuture *future = ioexecutor_run(NULL, loop, look_up, name, strlen(name) + 1, free);
 *     iofuture_add_callback(future, on_result, NULL);
 *
 * Lifetime: ioexecutor_close. Jobs that have not started end with -ECANCELED, those that run are waited for, or not.
 *     Until the last of them has been told, calls on the executor are legal and answer EBADF.
 * Callbacks: work runs on a thread of the pool, done on the loop, once for each job that was accepted. When the loop
 *     has closed first, done is not called; work still is, unless the job is cancelled or the executor closed before.
 *     Who then wants arg back cancels the job: unless that answers -EBUSY, nothing looks at arg any more.
 * Threads: any may submit. The threads of the pool block all signals and are started when there is work for them.
 *     In a child of fork() they are started anew; jobs of the parent stay the parent's, and in the child are never
 *     told.
 * Unloading: libioloop.so stays when a plugin that uses it goes (dlclose). Before that the plugin closes, and waits
 *     for, executors that have jobs of its own; if it has libioloop.a in it, all: those of loops, before these, and
 *     ioexecutor_default, where names are looked up. */
#ifndef IOLOOP_IOEXECUTOR_H
#define IOLOOP_IOEXECUTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ioloop/iofuture.h"
#include "ioloop/ioloop.h"

IOAPI_BEGIN

struct ioexecutor;

typedef void ioexecutor_work_fn(void *arg);
typedef void ioexecutor_done_fn(int error, void *arg); /* 0, or -ECANCELED: the work was never started */

/* At most so many threads, and jobs for which no thread is free (0: 4 and 256). NULL with errno: EINVAL, ENOMEM. */
struct ioexecutor *ioexecutor_new(int threads, int queue);

/* wait: until the running jobs have ended (so not from one of them); else they end by themselves. */
void ioexecutor_close(struct ioexecutor *executor, bool wait);

/* executor NULL: ioexecutor_default(). An id to cancel by, 0 with errno: EAGAIN the queue is full or no thread could be
 * started, ENOMEM, EBADF closed, ESTALE the loop is the parent's. */
uint64_t ioexecutor_submit(struct ioexecutor *executor, struct ioloop *loop, ioexecutor_work_fn *work,
                           ioexecutor_done_fn *done, void *arg);

/* A job that has not started ends with -ECANCELED (0 is answered); one that runs is -EBUSY; one that has run, or is
 * unknown, -ENOENT. Also when the executor is gone. */
int ioexecutor_cancel(struct ioexecutor *executor, uint64_t job);

/* What runs on a thread: 0 with a result in *result, which is NULL before, or a negative errno value. */
typedef int ioexecutor_function_fn(void **result, void *arg);

/* For the loop's thread: a future for what the function comes to (IOLoop.run_in_executor). executor NULL: the loop's.
 * The function gets a copy of size bytes of arg; if size is 0, arg itself, which it may still use when the future was
 * cancelled or the loop has closed. To cancel the future is to cancel the job. NULL with errno as of ioexecutor_submit.
 * free_result is for results that are not NULL, and may be NULL. It is called when the future goes; at once when that
 * was cancelled; on any thread when the loop has closed. */
struct iofuture *ioexecutor_run(struct ioexecutor *executor, struct ioloop *loop, ioexecutor_function_fn *function,
                                const void *arg, size_t size, iofuture_free_fn *free_result);

/* The executor of a loop, for its thread: made when first asked for, and closed, without waiting, with the loop. set:
 * that one instead (IOLoop.set_default_executor), which stays the program's; NULL: none, and the next is made. One that
 * was the loop's own is closed. NULL with errno; -ENOMEM, -EBADF. */
struct ioexecutor *ioexecutor_of_loop(struct ioloop *loop);
int ioexecutor_set_of_loop(struct ioloop *loop, struct ioexecutor *executor) IOAPI_MUST_USE;

/* The one that the resolver uses, made when first asked for, and again after it was closed; 4,096 jobs wait there. NULL
 * with errno. */
struct ioexecutor *ioexecutor_default(void);

IOAPI_END
#endif
