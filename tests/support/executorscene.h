/* Internal: executorscene.h, what the tests of ioexecutor share: jobs that note where they ran and what was told of
 * them, and work that stays in a gate.
 *
 *     struct probe probe = { .error = 1 };
 *     submit(executor, loop, work_in_gate, &probe);
 *     await_entered(1);
 *     open_gate();
 *     testing_run_until(loop, &probe.done); */
#ifndef TESTS_SUPPORT_EXECUTORSCENE_H
#define TESTS_SUPPORT_EXECUTORSCENE_H

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

#include "ioloop/ioexecutor.h"
#include "ioloop/ioloop.h"
#include "tests/support/gate.h"
#include "tests/support/testing.h"

/* A job, as the test sees it. */
struct probe {
    int number;
    atomic_int worked; /* how often */
    int told;
    int error;
    bool done;
    pthread_t worker, teller;
    sigset_t mask;
};

static atomic_int order[16];
static atomic_int ordered;

static inline void work(void *arg)
{
    struct probe *probe = arg;

    probe->worker = pthread_self();
    pthread_sigmask(SIG_SETMASK, NULL, &probe->mask);
    order[atomic_fetch_add(&ordered, 1) % 16] = probe->number;
    atomic_fetch_add(&probe->worked, 1);
}

static inline void done(int error, void *arg)
{
    struct probe *probe = arg;

    probe->told++;
    probe->error = error;
    probe->teller = pthread_self();
    probe->done = true;
    ioloop_stop(ioloop_current_if_any()); /* this iteration need not wait for anything more */
}

static inline void work_in_gate(void *arg)
{
    pass_gate();
    work(arg);
}

static inline struct ioloop *new_loop(void)
{
    struct ioloop *loop = ioloop_new(NULL);

    assert_non_null(loop);
    return loop;
}

static inline struct ioexecutor *new_executor(int threads, int queue)
{
    struct ioexecutor *executor = ioexecutor_new(threads, queue);

    assert_non_null(executor);
    close_gate();
    ordered = 0;
    return executor;
}

static inline uint64_t submit(struct ioexecutor *executor, struct ioloop *loop, ioexecutor_work_fn *function,
                              struct probe *probe)
{
    uint64_t id = ioexecutor_submit(executor, loop, function, done, probe);

    assert_true(id != 0);
    return id;
}

/* A thread that waits until the executor, whose queue is full, is closing. */
static inline void *open_gate_when_closing(void *arg)
{
    struct ioexecutor *executor = arg;

    while (ioexecutor_submit(executor, NULL, NULL, NULL, NULL) == 0 && errno != EBADF)
        sched_yield();
    open_gate();
    return NULL;
}

#endif
