/* Executors and a loop: run_in_executor, and the loop's own executor. */
#include <errno.h>
#include <stddef.h>

#include "ioloop/ioalloc.h"
#include "ioloop/ioexecutor.h"
#include "ioloop/ioexecutorlayer.h"
#include "ioloop/iofuturelayer.h"
#include "ioloop/loopmember.h"

/* What a loop has of executors, from the first that it was asked for until it has closed. */
struct loop_executors {
    struct loopmember member;
    struct ioloop *loop;
    struct ioexecutor *executor; /* NULL: none yet */
    bool is_own;                 /* made here */
};

struct promise {
    struct iofuture future;
    struct ioexecutor *executor;
    uint64_t job;
};

/* The arg of a job. It outlives its promise when the loop closes first, and then leaves that alone. */
struct call {
    struct promise *promise;
    ioexecutor_function_fn *function;
    iofuture_free_fn *free_result;
    void *arg; /* lent, or the copy */
    void *result;
    int error;
    bool has_copy;
    max_align_t copy[];
};

/* The executor of a loop. */

static void close_own_executor(struct loop_executors *executors)
{
    if (executors->is_own)
        ioexecutor_close(executors->executor, false);
    executors->is_own = false;
}

/* No callback of the loop comes any more. */
static void close_executors_with_loop(struct loopmember *member)
{
    struct loop_executors *executors = (struct loop_executors *)member;

    loopmember_remove(member);
    *loopmember_room(executors->loop, LOOPMEMBER_EXECUTORS) = NULL;
    close_own_executor(executors);
    ioexecutorlayer_end_loop(executors->loop);
    ioalloc_free(executors);
}

static int add_executors(struct ioloop *loop)
{
    int error = loopmember_check(loop);
    struct loop_executors *executors = error == 0 ? ioalloc(sizeof *executors) : NULL;

    if (executors == NULL)
        return error < 0 ? error : -ENOMEM;
    *executors = (struct loop_executors){ .member.close = close_executors_with_loop, .loop = loop };
    loopmember_add_last(loop, &executors->member);
    *loopmember_room(loop, LOOPMEMBER_EXECUTORS) = executors;
    return 0;
}

/* NULL with errno. */
static struct loop_executors *find_or_add_executors(struct ioloop *loop)
{
    void **room = loopmember_room(loop, LOOPMEMBER_EXECUTORS);
    int error = *room == NULL ? add_executors(loop) : 0;

    if (error < 0)
        errno = -error;
    return *room;
}

struct ioexecutor *ioexecutor_of_loop(struct ioloop *loop)
{
    struct loop_executors *executors = find_or_add_executors(loop);

    if (executors == NULL)
        return NULL;
    if (executors->executor == NULL) {
        executors->executor = ioexecutor_new(0, 0);
        executors->is_own = executors->executor != NULL;
    }
    return executors->executor;
}

int ioexecutor_set_of_loop(struct ioloop *loop, struct ioexecutor *executor)
{
    struct loop_executors *executors = find_or_add_executors(loop);

    if (executors == NULL)
        return -errno;
    if (executors->executor == executor)
        return 0;
    close_own_executor(executors);
    executors->executor = executor;
    return 0;
}

/* Calls. */

static void run_call(void *arg)
{
    struct call *call = arg;

    call->error = call->function(&call->result, call->has_copy ? call->copy : call->arg);
}

/* Nothing needs no freeing. */
static iofuture_free_fn *free_function(const struct call *call)
{
    return call->result != NULL ? call->free_result : NULL;
}

static void discard_result(void *arg)
{
    struct call *call = arg;

    if (free_function(call) != NULL)
        call->free_result(call->result);
}

static void keep_promise(int error, void *arg)
{
    struct call *call = arg;
    struct iofuture *future = &call->promise->future;

    if (error == 0)
        error = call->error;
    if (error < 0)
        iofuture_set_error(future, error);
    else
        iofuture_set_result(future, call->result, free_function(call));
}

/* One that has not started is told so, and keeps the promise by that; one that runs will. */
static void cancel_call(struct iofuture *future)
{
    struct promise *promise = (struct promise *)future;

    ioexecutor_cancel(promise->executor, promise->job);
}

static const struct iofuture_kind promise_kind = { .cancel = cancel_call };

struct iofuture *ioexecutor_run(struct ioexecutor *executor, struct ioloop *loop, ioexecutor_function_fn *function,
                                const void *arg, size_t size, iofuture_free_fn *free_result)
{
    struct loop_executors *executors = find_or_add_executors(loop);

    if (executor == NULL)
        executor = ioexecutor_of_loop(loop);
    if (executors == NULL || executor == NULL)
        return NULL;
    struct promise *promise = iofuturelayer_new(loop, sizeof *promise, &promise_kind);
    if (promise == NULL)
        return NULL;
    promise->executor = executor;
    const struct call call = { promise, function, free_result, .arg = (void *)arg, .has_copy = size > 0 };
    promise->job = ioexecutorlayer_submit(executor, loop,
                                          &(struct ioexecutorlayer_job){
                                              .work = run_call,
                                              .done = keep_promise,
                                              .discard = discard_result,
                                              .arg = &call,
                                              .size = sizeof call,
                                              .tail = arg,
                                              .tail_size = size,
                                          });
    if (promise->job != 0)
        return &promise->future;
    int error = errno;
    iofuturelayer_discard(&promise->future);
    return errno = error, NULL;
}
