/* ioexecutor under forks and many threads. */
#include "ioloop/ioexecutor.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "ioloop/ioloop.h"
#include "tests/support/executorscene.h"
#include "tests/support/faults.h"
#include "tests/support/forkedchild.h"
#include "tests/support/testing.h"

/* Forks. */

static void run_in_child(struct ioloop *loop, const bool *wanted)
{
    while (!*wanted)
        ioloop_run_once(loop, 0.01);
}

static void use_in_child(struct ioloop *loop, struct ioexecutor *executor, const struct probe *parents, uint64_t id)
{
    struct probe probe = { .error = 1 };
    int told = parents[0].told + parents[1].told;

    CHECK(ioloop_reopen(loop) == 0);
    CHECK(ioexecutor_cancel(executor, id) == -ENOENT);
    CHECK(ioexecutor_submit(executor, loop, work, done, &probe) != 0);
    run_in_child(loop, &probe.done);
    CHECK(probe.told == 1 && probe.error == 0);
    CHECK(parents[0].told + parents[1].told == told && parents[1].worked == 0);
    ioexecutor_close(executor, true);
    ioloop_close(loop, false);
    _exit(0);
}

static void a_child_starts_anew_and_the_parent_goes_on(void **state)
{
    testing_skip_under_thread_sanitizer();
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = new_executor(1, 0);
    struct probe probes[2] = { { .error = 1 }, { .error = 1 } };

    submit(executor, loop, work_in_gate, &probes[0]);
    uint64_t id = submit(executor, loop, work, &probes[1]);
    await_entered(1);
    pid_t child = fork_child();
    if (child == 0)
        use_in_child(loop, executor, probes, id);
    wait_for(child);
    open_gate();
    testing_run_until(loop, &probes[1].done);
    assert_int_equal(probes[0].told, 1);
    ioexecutor_close(executor, true);
    ioloop_close(loop, false);
}

static void submit_in_child(struct ioloop *loop, struct ioexecutor *executor, const struct probe *of_parent,
                            long allocated)
{
    struct probe own = { .error = 1 };

    errno = 0;
    CHECK(ioexecutor_submit(executor, loop, work, done, &own) == 0 && errno == ESTALE);
    CHECK(ioloop_reopen(loop) == 0);
    submit(executor, loop, work, &own);
    run_in_child(loop, &own.done);
    CHECK(own.told == 1 && own.error == 0 && of_parent->told == 0);
    ioexecutor_close(executor, true);
    ioloop_close(loop, false);
    CHECK(faults_allocated() == allocated);
    _exit(0);
}

/* It has run, and waits to be told when the process forks. */
static void a_job_that_is_done_is_told_in_the_parent_only(void **state)
{
    testing_skip_under_thread_sanitizer();
    long allocated = faults_allocated();
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = new_executor(1, 0);
    struct probe probe = { .error = 1 };

    submit(executor, loop, work, &probe);
    while (ioloop_next_timeout(loop) < 0)
        sched_yield();
    pid_t child = fork_child();
    if (child == 0)
        submit_in_child(loop, executor, &probe, allocated);
    wait_for(child);
    testing_run_until(loop, &probe.done);
    assert_int_equal(probe.told, 1);
    ioexecutor_close(executor, true);
    ioloop_close(loop, false);
}

static void a_child_may_close_what_is_the_parents(void **state)
{
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = new_executor(1, 0);
    struct probe probe = { .error = 1 };

    submit(executor, loop, work_in_gate, &probe);
    await_entered(1);
    pid_t child = fork_child();
    if (child == 0) {
        ioexecutor_close(executor, true);
        CHECK(ioexecutor_cancel(executor, 1) == -ENOENT);
        _exit(0);
    }
    wait_for(child);
    open_gate();
    testing_run_until(loop, &probe.done);
    ioexecutor_close(executor, true);
    ioloop_close(loop, false);
}

static pid_t forked;
static struct ioexecutor *forked_executor;

static void exit_at_once(void)
{
    _exit(0);
}

static void fork_and_return(void *arg)
{
    forked = fork();
    if (forked == 0) {
        if (atexit(exit_at_once) != 0) /* or a leak checker misses what the other threads held */
            _exit(1);
        ioexecutor_close(forked_executor, true); /* the job that runs is not one of the child's */
    }
    work(arg);
}

/* In the child that thread is the only one, and it is not the pool's any more: it ends, and with it the process. */
static void work_may_fork(void **state)
{
    testing_skip_under_thread_sanitizer();
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = forked_executor = new_executor(2, 0);
    struct probe probe = { .error = 1 };

    submit(executor, loop, fork_and_return, &probe);
    testing_run_until(loop, &probe.done);
    wait_for(forked);
    ioexecutor_close(executor, true);
    ioloop_close(loop, false);
}

static atomic_bool forking_done;

static void *submit_while_forking(void *arg)
{
    struct ioexecutor *executor = arg;
    struct ioloop *loop = ioloop_new(NULL);
    struct probe probe = { .number = 0 };
    int count = 0;

    while (!forking_done) {
        probe.done = false;
        if (ioexecutor_submit(executor, loop, work, done, &probe) == 0)
            continue;
        count++;
        while (!probe.done)
            ioloop_run_once(loop, 0.1);
    }
    ioloop_close(loop, false);
    return count > 0 ? arg : NULL;
}

static void forks_in_the_middle_find_no_lock_taken(void **state)
{
    testing_skip_under_thread_sanitizer();
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = new_executor(2, 0);
    struct probe parents[2] = { { .number = 0 } };
    pthread_t threads[2];

    forking_done = false;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, submit_while_forking, executor), 0);
    for (int i = 0; i < 20; i++) {
        pid_t child = fork_child();
        if (child == 0)
            use_in_child(loop, executor, parents, 1);
        wait_for(child);
    }
    forking_done = true;
    for (int i = 0; i < 2; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_non_null(result);
    }
    ioexecutor_close(executor, true);
    ioloop_close(loop, false);
}

/* Many threads. */

#define SUBMITTERS 8
#define JOBS_EACH  1000

struct submitter {
    pthread_t thread;
    struct ioexecutor *executor;
    struct ioloop *loop;
    struct probe *probes;
    int cancelled;
};

static int all_told;
static bool everything_told;

static void count_done(int error, void *arg)
{
    done(error, arg);
    everything_told = ++all_told == SUBMITTERS * JOBS_EACH;
}

static void *submit_many(void *arg)
{
    struct submitter *submitter = arg;

    for (int i = 0; i < JOBS_EACH; i++) {
        uint64_t id;

        while ((id = ioexecutor_submit(submitter->executor, submitter->loop, work, count_done,
                                       &submitter->probes[i])) == 0)
            sched_yield();
        if (i % 7 == 0)
            submitter->cancelled += ioexecutor_cancel(submitter->executor, id) == 0;
    }
    return NULL;
}

static void eight_threads_submit_and_each_job_is_told_once(void **state)
{
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = new_executor(4, 64);
    struct submitter submitters[SUBMITTERS];
    int cancelled = 0, told_cancelled = 0, worked = 0;

    all_told = 0;
    everything_told = false;
    for (int i = 0; i < SUBMITTERS; i++) {
        submitters[i] = (struct submitter){ .executor = executor, .loop = loop };
        submitters[i].probes = test_calloc(JOBS_EACH, sizeof *submitters[i].probes);
        assert_int_equal(pthread_create(&submitters[i].thread, NULL, submit_many, &submitters[i]), 0);
    }
    testing_run_until(loop, &everything_told);
    for (int i = 0; i < SUBMITTERS; i++) {
        pthread_join(submitters[i].thread, NULL);
        cancelled += submitters[i].cancelled;
        for (int k = 0; k < JOBS_EACH; k++) {
            const struct probe *probe = &submitters[i].probes[k];

            assert_int_equal(probe->told, 1);
            assert_int_equal(probe->worked, probe->error == 0);
            told_cancelled += probe->error == -ECANCELED;
            worked += probe->worked;
        }
        test_free(submitters[i].probes);
    }
    assert_int_equal(told_cancelled, cancelled);
    assert_int_equal(worked + cancelled, SUBMITTERS * JOBS_EACH);
    ioexecutor_close(executor, true);
    ioloop_close(loop, false);
}

static void *run_own_loop(void *arg)
{
    struct ioloop *loop = ioloop_new(NULL);

    for (int i = 0; i < 200; i++) {
        struct probe probe = { .error = 1 };

        while (ioexecutor_submit(arg, loop, work, done, &probe) == 0)
            sched_yield();
        while (i % 3 != 0 && !probe.done)
            ioloop_run_once(loop, 0.1);
        if (i % 3 != 0)
            continue;
        ioloop_close(loop, false); /* its job has to be waited for: it works on the probe */
        struct probe next = { .error = 1 };
        loop = ioloop_new(NULL);
        while (probe.worked == 0)
            sched_yield();
        while (ioexecutor_submit(arg, loop, work, done, &next) == 0)
            sched_yield();
        while (!next.done)
            ioloop_run_once(loop, 0.1);
    }
    ioloop_close(loop, false);
    return NULL;
}

static void loops_of_several_threads_share_one_and_come_and_go(void **state)
{
    long before = faults_allocated();
    struct ioexecutor *executor = new_executor(2, 8);
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_own_loop, executor), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ioexecutor_close(executor, true);
    assert_int_equal(faults_allocated(), before);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_child_starts_anew_and_the_parent_goes_on),
    cmocka_unit_test(a_job_that_is_done_is_told_in_the_parent_only),
    cmocka_unit_test(a_child_may_close_what_is_the_parents),
    cmocka_unit_test(work_may_fork),
    cmocka_unit_test(forks_in_the_middle_find_no_lock_taken),
    cmocka_unit_test(eight_threads_submit_and_each_job_is_told_once),
    cmocka_unit_test(loops_of_several_threads_share_one_and_come_and_go),
};

TESTING_MAIN(tests)
