/* Futures and time: sleep, with_timeout, run_sync. */
#include <errno.h>

#include "ioloop/iofuture.h"
#include "ioloop/iofuturelayer.h"

/* gen.sleep. */

struct sleeper {
    struct iofuture future;
    uint64_t timeout;
};

static void end_sleep(void *arg)
{
    iofuture_set_result(arg, NULL, NULL);
}

static void stop_sleeping(struct iofuture *future)
{
    struct sleeper *sleeper = (struct sleeper *)future;

    ioloop_remove_timeout(future->loop, sleeper->timeout);
    iofuturelayer_let_go(future);
}

static const struct iofuture_kind sleep_kind = { .cancel = stop_sleeping };

struct iofuture *iofuture_sleep(struct ioloop *loop, double seconds)
{
    struct sleeper *sleeper = iofuturelayer_new(loop, sizeof *sleeper, &sleep_kind);

    if (sleeper == NULL)
        return NULL;
    sleeper->timeout = ioloop_call_later(loop, seconds, end_sleep, &sleeper->future);
    if (sleeper->timeout != 0)
        return &sleeper->future;
    int error = errno;
    iofuturelayer_discard(&sleeper->future);
    return errno = error, NULL;
}

/* gen.with_timeout. */

struct timed {
    struct iofuture future;
    struct iofuture_link link; /* to the original */
    struct iofuture *original; /* held */
    uint64_t timeout;
    bool quiet;
};

static void forget_original(struct timed *timed)
{
    ioloop_remove_timeout(timed->future.loop, timed->timeout);
    iofuturelayer_remove(&timed->link);
    iofuture_release(timed->original);
}

static void copy_original(struct iofuture *original, void *arg)
{
    struct timed *timed = arg;

    iofuturelayer_copy(original, &timed->future);
    forget_original(timed);
}

/* Not too late for an original that is done, but has not said so yet: it came in time. */
static void time_out_wait(void *arg)
{
    struct timed *timed = arg;

    if (timed->original->done)
        return;
    timed->original->observed |= timed->quiet;
    iofuture_set_error(&timed->future, -ETIMEDOUT);
    forget_original(timed);
}

static void stop_timed_wait(struct iofuture *future)
{
    forget_original((struct timed *)future);
    iofuturelayer_let_go(future);
}

static const struct iofuture_kind timed_kind = { .cancel = stop_timed_wait };

struct iofuture *iofuture_with_timeout(struct ioloop *loop, struct iofuture *future, double seconds, bool quiet)
{
    int error = iofuturelayer_check(loop, &future, 1);
    struct timed *timed = error == 0 ? iofuturelayer_new(loop, sizeof *timed, &timed_kind) : NULL;

    if (timed == NULL)
        return errno = error != 0 ? -error : errno, NULL;
    timed->timeout = ioloop_call_later(loop, seconds, time_out_wait, timed);
    if (timed->timeout == 0) {
        error = errno;
        iofuturelayer_discard(&timed->future);
        return errno = error, NULL;
    }
    timed->original = future;
    timed->quiet = quiet;
    iofuture_hold(future);
    iofuturelayer_add(future, &timed->link, copy_original, timed);
    return &timed->future;
}

/* IOLoop.run_sync. */

struct syncrun {
    struct looptask task; /* calls the function */
    struct iofuture_link link;
    struct ioloop *loop;
    iofuture_function_fn *function;
    void *arg;
    struct iofuture *future; /* what it answered; held */
    uint64_t timeout;
    bool timed_out;
    int error;
};

static void end_run(struct iofuture *future, void *arg)
{
    ioloop_stop(((struct syncrun *)arg)->loop);
}

/* The function has been called by now. Not too late for a future that is done, but has not said so yet. */
static void time_out_run(void *arg)
{
    struct syncrun *run = arg;

    if (run->future == NULL || run->future->done)
        return;
    run->timed_out = true;
    iofuture_cancel(run->future);
}

static void call_function(struct looptask *task)
{
    struct syncrun *run = (struct syncrun *)task;
    struct iofuture *future = run->function(run->arg);

    if (future == NULL || future->loop != run->loop) {
        run->error = future != NULL || errno == 0 ? -EINVAL : -errno;
        ioloop_stop(run->loop);
        return;
    }
    run->future = future;
    iofuture_hold(future);
    iofuturelayer_add(future, &run->link, end_run, run);
}

static int outcome_of_run(const struct syncrun *run, void **value)
{
    if (run->timed_out)
        return -ETIMEDOUT;
    if (run->error < 0)
        return run->error;
    if (run->future == NULL || !run->future->done)
        return -EINTR;
    int error = iofuture_error(run->future);
    if (error == 0 && run->future->loop == NULL)
        return -ECANCELED; /* the loop has closed, and the value goes below */
    if (value != NULL)
        *value = run->future->value;
    return error;
}

/* When this returns nothing points to run any more. */
static void end_of_run(struct syncrun *run)
{
    looptask_remove(run->loop, &run->task);
    ioloop_remove_timeout(run->loop, run->timeout);
    iofuturelayer_remove(&run->link);
    if (run->future != NULL)
        iofuture_release(run->future);
}

int iofuture_run_sync(struct ioloop *loop, iofuture_function_fn *function, void *arg, double timeout, void **value)
{
    struct syncrun run = { .task.run = call_function, .loop = loop, .function = function, .arg = arg };
    int error = loopmember_check(loop);

    if (value != NULL)
        *value = NULL;
    if (error < 0)
        return error;
    if (!(timeout < 0) && (run.timeout = ioloop_call_later(loop, timeout, time_out_run, &run)) == 0)
        return -errno;
    ioloop_hold(loop);
    looptask_add(loop, &run.task);
    error = ioloop_start(loop);
    if (error == 0)
        error = outcome_of_run(&run, value);
    end_of_run(&run);
    ioloop_release(loop);
    return error;
}
