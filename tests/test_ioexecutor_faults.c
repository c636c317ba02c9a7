/* ioexecutor without threads, without memory, with calls that fail. */
#include "ioloop/ioexecutor.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "ioloop/ioloop.h"
#include "tests/support/executorscene.h"
#include "tests/support/faults.h"
#include "tests/support/testing.h"

static void without_a_thread_nothing_is_accepted(void **state)
{
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = new_executor(2, 0);
    struct probe probes[3] = { { .error = 1 } };

    faults_system_call_sticky("pthread_create", EAGAIN, 1);
    assert_int_equal(ioexecutor_submit(executor, loop, work, done, &probes[0]), 0);
    assert_int_equal(errno, EAGAIN);
    faults_end();
    submit(executor, loop, work_in_gate, &probes[0]);
    await_entered(1);
    faults_system_call_sticky("pthread_create", EAGAIN, 1);
    submit(executor, loop, work, &probes[1]); /* waits for the one that is there */
    assert_true(faults_hit());
    faults_end();
    open_gate();
    testing_run_until(loop, &probes[1].done);
    assert_int_equal(probes[2].told, 0);
    ioexecutor_close(executor, true);
    ioloop_close(loop, false);
}

static void work_and_run_out_of_memory(void *arg)
{
    work_in_gate(arg);
    faults_allocation(1, false);
}

static void what_cannot_be_told_for_want_of_memory_is_told_later(void **state)
{
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = new_executor(1, 0);
    struct probe running = { .error = 1 }, cancelled = { .error = 1 };

    submit(executor, loop, work_and_run_out_of_memory, &running);
    uint64_t id = submit(executor, loop, work, &cancelled);
    await_entered(1);
    faults_allocation(1, false);
    assert_int_equal(ioexecutor_cancel(executor, id), 0);
    assert_true(faults_hit());
    faults_allocation(0, false);
    assert_false(faults_hit());
    testing_spin(loop, 3);
    assert_int_equal(cancelled.told, 0);
    open_gate();
    testing_run_until(loop, &running.done);
    testing_run_until(loop, &cancelled.done);
    assert_true(faults_hit());
    assert_int_equal(running.told, 1);
    assert_int_equal(running.error, 0);
    assert_int_equal(cancelled.told, 1);
    assert_int_equal(cancelled.error, -ECANCELED);
    ioexecutor_close(executor, true);
    ioloop_close(loop, false);
}

static void work_and_stay_out_of_memory(void *arg)
{
    work_in_gate(arg);
    faults_allocation(1, true);
}

/* (The threads look at the fault while the test ends it; ThreadSanitizer minds.) */
static void tries_again_until_there_is_memory(void **state)
{
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = new_executor(1, 0);
    struct probe probe = { .error = 1 };

    submit(executor, loop, work_and_stay_out_of_memory, &probe);
    await_entered(1);
    long before = faults_allocations();
    open_gate();
    while (faults_allocations() < before + 4)
        sched_yield();
    assert_int_equal(probe.told, 0);
    faults_end();
    testing_run_until(loop, &probe.done);
    assert_int_equal(probe.told, 1);
    assert_int_equal(probe.error, 0);
    ioexecutor_close(executor, true);
    ioloop_close(loop, false);
}

/* Nobody frees memory before close has returned: so it must not wait for the thread that tries again and again. */
static void close_does_not_wait_for_memory(void **state)
{
    long before = faults_allocated();
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = new_executor(1, 0);
    struct probe running = { .error = 1 }, waiting = { .error = 1 };

    submit(executor, loop, work_and_stay_out_of_memory, &running);
    submit(executor, loop, work, &waiting);
    await_entered(1);
    faults_allocation(0, false);
    open_gate();
    while (!faults_hit())
        sched_yield();
    ioexecutor_close(executor, true);
    faults_end();
    testing_run_until(loop, &running.done);
    testing_run_until(loop, &waiting.done);
    assert_int_equal(running.told, 1);
    assert_int_equal(waiting.told, 1);
    ioloop_close(loop, false);
    while (faults_allocated() != before) /* the thread lets go of the executor, in its own time */
        sched_yield();
}

/* Here it waits already when the last job ends. */
static void close_that_waits_does_not_wait_for_memory(void **state)
{
    long before = faults_allocated();
    struct ioloop *loop = new_loop(), *other = new_loop();
    struct ioexecutor *executor = new_executor(1, 1);
    struct probe running = { .error = 1 }, waiting = { .error = 1 };
    pthread_t opener;

    submit(executor, loop, work_and_stay_out_of_memory, &running);
    submit(executor, other, work, &waiting);
    await_entered(1);
    assert_int_equal(pthread_create(&opener, NULL, open_gate_when_closing, executor), 0);
    ioexecutor_close(executor, true);
    faults_end();
    testing_run_until(loop, &running.done);
    testing_run_until(other, &waiting.done);
    pthread_join(opener, NULL);
    ioloop_close(loop, false);
    ioloop_close(other, false);
    while (faults_allocated() != before)
        sched_yield();
}

/* One loop, two jobs, one of them cancelled: what was accepted is told once, whatever fails. */
static void scenario(bool memory_comes_back)
{
    struct probe probes[3] = { { .error = 1 }, { .error = 1 }, { .error = 1 } };
    bool accepted[3];
    struct ioloop *loop = ioloop_new(NULL);
    struct ioexecutor *executor = ioexecutor_new(2, 4);

    for (int i = 0; i < 3; i++) {
        errno = 0;
        uint64_t id = loop == NULL || executor == NULL ? 0 : ioexecutor_submit(executor, loop, work, done, &probes[i]);

        accepted[i] = id != 0;
        assert_true(accepted[i] || loop == NULL || executor == NULL || errno == ENOMEM || errno == EAGAIN);
        if (i == 2 && accepted[i])
            ioexecutor_cancel(executor, id);
    }
    if (memory_comes_back)
        faults_end();
    for (int i = 0; i < 3; i++) {
        if (accepted[i])
            testing_run_until(loop, &probes[i].done);
    }
    if (executor != NULL)
        ioexecutor_close(executor, true);
    for (int i = 0; i < 3; i++)
        assert_int_equal(probes[i].told, accepted[i]);
    if (loop != NULL)
        ioloop_close(loop, false);
}

static void survives_any_allocation_that_fails(void **state)
{
    scenario(false);
    long before = faults_allocated();
    int nth = 1;

    for (bool hit = true; hit; nth++) {
        faults_allocation(nth, false);
        scenario(false);
        hit = faults_hit();
        faults_end();
        assert_int_equal(faults_allocated(), before);
    }
    assert_in_range(nth, 8, 100);
}

static void survives_a_lasting_want_of_memory(void **state)
{
    long before = faults_allocated();

    for (int nth = 1; nth < 20; nth++) {
        faults_allocation(nth, true);
        scenario(true);
        assert_int_equal(faults_allocated(), before);
    }
}

static void survives_any_call_that_fails(void **state)
{
    static const struct {
        const char *name;
        int error;
    } calls[] = {
        { "pthread_create", EAGAIN }, { "epoll_create1", EMFILE }, { "eventfd", EMFILE }, { "write", EAGAIN }
    };
    long before = faults_allocated();
    int fds = testing_count_fds();

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        int nth = 1;

        do {
            faults_system_call(calls[i].name, calls[i].error, nth);
            scenario(false);
            assert_int_equal(faults_allocated(), before);
            assert_int_equal(testing_count_fds(), fds);
        } while (faults_hit() && nth++ < 10);
        faults_system_call_sticky("pthread_create", EAGAIN, (int)i + 1);
        scenario(false);
        faults_end();
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(without_a_thread_nothing_is_accepted),
    cmocka_unit_test(what_cannot_be_told_for_want_of_memory_is_told_later),
    cmocka_unit_test(tries_again_until_there_is_memory),
    cmocka_unit_test(close_does_not_wait_for_memory),
    cmocka_unit_test(close_that_waits_does_not_wait_for_memory),
    cmocka_unit_test(survives_any_allocation_that_fails),
    cmocka_unit_test(survives_a_lasting_want_of_memory),
    cmocka_unit_test(survives_any_call_that_fails),
};

TESTING_MAIN(tests)
