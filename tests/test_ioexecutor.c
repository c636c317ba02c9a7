#include "ioloop/ioexecutor.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "ioloop/ioloop.h"
#include "tests/support/executorscene.h"
#include "tests/support/faults.h"
#include "tests/support/gate.h"
#include "tests/support/testing.h"

static void works_on_a_thread_and_tells_on_the_loop(void **state)
{
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = new_executor(0, 0);
    struct probe probe = { .error = 1 };

    submit(executor, loop, work, &probe);
    assert_int_equal(probe.told, 0);
    testing_run_until(loop, &probe.done);
    assert_int_equal(probe.error, 0);
    assert_int_equal(probe.worked, 1);
    assert_false(pthread_equal(probe.worker, pthread_self()));
    assert_true(pthread_equal(probe.teller, pthread_self()));
    ioexecutor_close(executor, true);
    testing_spin(loop, 3);
    assert_int_equal(probe.told, 1);
    ioloop_close(loop, false);
}

static pthread_barrier_t both;

static void meet(void *arg)
{
    pthread_barrier_wait(&both);
    work(arg);
}

/* ioloop_test:test_run_in_executor_gen: each of the two waits for the other, so they do run at the same time. */
static void runs_two_jobs_at_the_same_time(void **state)
{
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = new_executor(0, 0);
    struct probe probes[2] = { { .number = 0 }, { .number = 1 } };

    pthread_barrier_init(&both, NULL, 2);
    submit(executor, loop, meet, &probes[0]);
    submit(executor, loop, meet, &probes[1]);
    testing_run_until(loop, &probes[0].done);
    testing_run_until(loop, &probes[1].done);
    assert_false(pthread_equal(probes[0].worker, probes[1].worker));
    pthread_barrier_destroy(&both);
    ioexecutor_close(executor, true);
    ioloop_close(loop, false);
}

static void one_thread_keeps_the_order(void **state)
{
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = new_executor(1, 0);
    struct probe probes[16] = { { .number = 0 } };

    for (int i = 0; i < 16; i++) {
        probes[i].number = i;
        submit(executor, loop, work, &probes[i]);
    }
    testing_run_until(loop, &probes[15].done);
    for (int i = 0; i < 16; i++) {
        assert_int_equal(order[i], i);
        assert_int_equal(probes[i].told, 1);
    }
    ioexecutor_close(executor, true);
    ioloop_close(loop, false);
}

static void starts_threads_on_demand_and_no_more_than_allowed(void **state)
{
    struct ioloop *loop = new_loop();
    struct probe probes[6] = { { .number = 0 } };

    faults_count_reset();
    struct ioexecutor *executor = new_executor(3, 0);
    assert_int_equal(faults_count("pthread_create"), 0);
    submit(executor, loop, work_in_gate, &probes[0]);
    await_entered(1);
    assert_int_equal(faults_count("pthread_create"), 1);
    for (int i = 1; i < 6; i++)
        submit(executor, loop, work_in_gate, &probes[i]);
    await_entered(3);
    assert_int_equal(faults_count("pthread_create"), 3);
    open_gate();
    for (int i = 0; i < 6; i++)
        testing_run_until(loop, &probes[i].done);
    assert_int_equal(the_gate.most, 3);
    assert_int_equal(faults_count("pthread_create"), 3);
    ioexecutor_close(executor, true);
    ioloop_close(loop, false);
}

/* One that has told may still be on its way to being idle: so a few, but not one a job. */
static void idle_threads_are_used_again(void **state)
{
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = new_executor(100, 0);

    faults_count_reset();
    for (int i = 0; i < 100; i++) {
        struct probe probe = { .number = i };

        submit(executor, loop, work, &probe);
        testing_run_until(loop, &probe.done);
    }
    assert_in_range(faults_count("pthread_create"), 1, 50);
    ioexecutor_close(executor, true);
    ioloop_close(loop, false);
}

static void a_full_queue_refuses(void **state)
{
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = new_executor(1, 2);
    struct probe probes[4] = { { .number = 0 } };

    for (int i = 0; i < 3; i++)
        submit(executor, loop, work_in_gate, &probes[i]);
    assert_int_equal(ioexecutor_submit(executor, loop, work, done, &probes[3]), 0);
    assert_int_equal(errno, EAGAIN);
    open_gate();
    testing_run_until(loop, &probes[2].done);
    submit(executor, loop, work, &probes[3]);
    testing_run_until(loop, &probes[3].done);
    ioexecutor_close(executor, true);
    ioloop_close(loop, false);
}

static void counts_must_not_be_negative(void **state)
{
    assert_null(ioexecutor_new(-1, 0));
    assert_int_equal(errno, EINVAL);
    assert_null(ioexecutor_new(0, -1));
    assert_int_equal(errno, EINVAL);
}

static void cancels_what_has_not_started(void **state)
{
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = new_executor(1, 0);
    struct probe running = { .error = 1 }, waiting = { .error = 1 }, last = { .error = 1 };

    uint64_t running_id = submit(executor, loop, work_in_gate, &running);
    uint64_t waiting_id = submit(executor, loop, work, &waiting);
    submit(executor, loop, work, &last);
    await_entered(1);
    assert_int_equal(ioexecutor_cancel(executor, running_id), -EBUSY);
    assert_int_equal(ioexecutor_cancel(executor, waiting_id), 0);
    assert_int_equal(ioexecutor_cancel(executor, waiting_id), -ENOENT);
    assert_int_equal(waiting.told, 0);
    testing_run_until(loop, &waiting.done);
    assert_int_equal(waiting.error, -ECANCELED);
    assert_int_equal(running.told, 0);
    open_gate();
    testing_run_until(loop, &last.done);
    assert_int_equal(running.error, 0);
    assert_int_equal(last.error, 0);
    assert_int_equal(waiting.worked, 0);
    assert_int_equal(waiting.told, 1);
    assert_int_equal(ioexecutor_cancel(executor, running_id), -ENOENT);
    ioexecutor_close(executor, true);
    ioloop_close(loop, false);
}

static void an_id_is_never_another_jobs(void **state)
{
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = new_executor(1, 0), *other = ioexecutor_new(1, 0);
    struct probe first = { .number = 0 }, gate = { .number = 1 }, second = { .number = 2 };

    uint64_t id = submit(executor, loop, work, &first);
    testing_run_until(loop, &first.done);
    submit(executor, loop, work_in_gate, &gate);
    uint64_t second_id = submit(executor, loop, work, &second);
    assert_int_equal(ioexecutor_cancel(executor, id), -ENOENT);
    assert_int_equal(ioexecutor_cancel(executor, 0), -ENOENT);
    assert_int_equal(ioexecutor_cancel(other, second_id), -ENOENT);
    open_gate();
    testing_run_until(loop, &second.done);
    assert_int_equal(second.error, 0);
    ioexecutor_close(executor, true);
    assert_int_equal(ioexecutor_cancel(executor, second_id), -ENOENT);
    ioexecutor_close(other, true);
    ioloop_close(loop, false);
}

static void close_waits_for_what_runs_and_cancels_the_rest(void **state)
{
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = new_executor(1, 1);
    struct probe running = { .error = 1 }, waiting = { .error = 1 };
    pthread_t opener;

    submit(executor, loop, work_in_gate, &running);
    submit(executor, loop, work, &waiting);
    await_entered(1);
    assert_int_equal(pthread_create(&opener, NULL, open_gate_when_closing, executor), 0);
    ioexecutor_close(executor, true);
    assert_int_equal(running.worked, 1);
    assert_int_equal(running.told, 0);
    assert_int_equal(waiting.told, 0);
    testing_spin(loop, 1);
    assert_int_equal(running.told, 1);
    assert_int_equal(running.error, 0);
    assert_int_equal(waiting.told, 1);
    assert_int_equal(waiting.error, -ECANCELED);
    assert_int_equal(waiting.worked, 0);
    pthread_join(opener, NULL);
    ioloop_close(loop, false);
}

static struct ioexecutor *closed_executor;

static void use_closed_executor(int error, void *arg)
{
    struct ioloop *loop = ioloop_current_if_any();

    assert_int_equal(ioexecutor_submit(closed_executor, loop, work, done, arg), 0);
    assert_int_equal(errno, EBADF);
    assert_int_equal(ioexecutor_cancel(closed_executor, 1), -ENOENT);
    ioexecutor_close(closed_executor, true);
    done(error, arg);
}

static void a_closed_one_answers_until_its_last_job_is_told(void **state)
{
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = closed_executor = new_executor(1, 0);
    struct probe running = { .error = 1 }, waiting = { .error = 1 };
    long before = faults_allocated();

    submit(executor, loop, work_in_gate, &running);
    await_entered(1);
    assert_true(ioexecutor_submit(executor, loop, work, use_closed_executor, &waiting) != 0);
    open_gate();
    ioexecutor_close(executor, true);
    testing_run_until(loop, &running.done);
    testing_run_until(loop, &waiting.done);
    ioloop_close(loop, false);
    assert_true(faults_allocated() < before);
}

static void close_need_not_wait(void **state)
{
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = new_executor(2, 0);
    struct probe probes[3] = { { .error = 1 } };

    for (int i = 0; i < 3; i++)
        submit(executor, loop, work_in_gate, &probes[i]);
    await_entered(2);
    ioexecutor_close(executor, false);
    testing_run_until(loop, &probes[2].done);
    assert_int_equal(probes[2].error, -ECANCELED);
    assert_int_equal(probes[0].told + probes[1].told, 0);
    open_gate();
    testing_run_until(loop, &probes[0].done);
    testing_run_until(loop, &probes[1].done);
    assert_int_equal(probes[0].error, 0);
    ioloop_close(loop, false);
}

static void closing_an_idle_one_ends_its_threads(void **state)
{
    long before = faults_allocated();
    struct ioloop *loop = new_loop();

    for (int round = 0; round < 20; round++) {
        struct ioexecutor *executor = new_executor(2, 0);
        struct probe probe = { .number = round };

        submit(executor, loop, work, &probe);
        testing_run_until(loop, &probe.done);
        ioexecutor_close(executor, true);
    }
    ioexecutor_close(new_executor(2, 0), true);
    ioexecutor_close(new_executor(2, 0), false);
    ioloop_close(loop, false);
    assert_int_equal(faults_allocated(), before);
}

static void the_default_one_is_made_when_asked_for(void **state)
{
    long before = faults_allocated();
    struct ioexecutor *executor = ioexecutor_default();

    assert_non_null(executor);
    assert_ptr_equal(ioexecutor_default(), executor);
    ioexecutor_close(executor, true);
    assert_int_equal(faults_allocated(), before);
    assert_non_null(ioexecutor_default());
    ioexecutor_close(ioexecutor_default(), true);
    assert_int_equal(faults_allocated(), before);
}

static void threads_block_all_signals(void **state)
{
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = new_executor(1, 0);
    struct probe probe = { .number = 0 };
    sigset_t before, after;

    pthread_sigmask(SIG_SETMASK, NULL, &before);
    submit(executor, loop, work, &probe);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    testing_run_until(loop, &probe.done);
    assert_int_equal(sigismember(&after, SIGTERM), 0);
    for (int number = 1; number < 32; number++) {
        assert_int_equal(sigismember(&after, number), sigismember(&before, number));
        if (number != SIGKILL && number != SIGSTOP)
            assert_int_equal(sigismember(&probe.mask, number), 1);
    }
    ioexecutor_close(executor, true);
    ioloop_close(loop, false);
}

/* Loops that close first. */

static void a_loop_may_close_while_its_jobs_run(void **state)
{
    long before = faults_allocated();
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = new_executor(1, 0);
    struct probe running = { .number = 0 }, waiting = { .number = 1 }, cancelled = { .number = 2 };

    submit(executor, loop, work_in_gate, &running);
    submit(executor, loop, work, &waiting);
    uint64_t id = submit(executor, loop, work, &cancelled);
    await_entered(1);
    ioloop_close(loop, false);
    assert_int_equal(ioexecutor_cancel(executor, id), 0);

    struct ioloop *other = new_loop();
    struct probe last = { .number = 3 };
    submit(executor, other, work, &last);
    open_gate();
    testing_run_until(other, &last.done);
    ioexecutor_close(executor, true);
    assert_int_equal(running.worked, 1);
    assert_int_equal(waiting.worked, 1);
    assert_int_equal(cancelled.worked, 0);
    assert_int_equal(running.told + waiting.told + cancelled.told, 0);
    ioloop_close(other, false);
    assert_int_equal(faults_allocated(), before);
}

static void nothing_is_left_of_what_a_closing_loop_has_dropped(void **state)
{
    long before = faults_allocated();
    struct ioloop *loop = new_loop(), *other = new_loop();
    struct ioexecutor *executor = new_executor(1, 0);
    struct probe dropped = { .number = 0 }, told = { .number = 1 };

    submit(executor, loop, work, &dropped);
    submit(executor, other, work, &told);
    testing_run_until(other, &told.done); /* by one thread: so the other job has been posted too */
    ioloop_close(loop, false);
    long held = faults_allocated();
    told.done = false;
    submit(executor, other, work, &told); /* looks at the outboxes of other loops */
    assert_true(faults_allocated() <= held);
    testing_run_until(other, &told.done);
    assert_int_equal(dropped.told, 0);
    ioexecutor_close(executor, true);
    ioloop_close(other, false);
    assert_int_equal(faults_allocated(), before);
}

static void close_loop_and_executor(void *arg)
{
    ioloop_close(arg, false);
    ioexecutor_close(closed_executor, true);
}

/* The callback that tells is among those of the same iteration, behind the one that closes. */
static void a_loop_may_close_before_telling_in_the_same_iteration(void **state)
{
    long before = faults_allocated();
    struct ioloop *loop = new_loop(), *other = new_loop();
    struct probe finished = { .error = 1 }, running = { .error = 1 }, waiting = { .error = 1 };

    closed_executor = new_executor(1, 0);
    assert_int_equal(ioloop_add_callback(loop, close_loop_and_executor, loop), 0);
    submit(closed_executor, loop, work, &finished);
    submit(closed_executor, other, work_in_gate, &running);
    submit(closed_executor, other, work, &waiting);
    await_entered(1); /* by the one thread, which so has posted the first */
    open_gate();
    assert_int_equal(ioloop_run_once(loop, 0), 0);
    assert_int_equal(finished.told, 1);
    testing_run_until(other, &running.done);
    testing_run_until(other, &waiting.done);
    ioloop_close(other, false);
    assert_int_equal(faults_allocated(), before);
}

/* Its jobs cannot be told that they are cancelled. */
static void a_loop_and_then_the_executor_may_close_in_a_callback(void **state)
{
    long before = faults_allocated();
    struct ioloop *loop = new_loop();
    struct probe running = { .error = 1 }, waiting = { .error = 1 };

    closed_executor = new_executor(1, 0);
    assert_int_equal(ioloop_add_callback(loop, close_loop_and_executor, loop), 0);
    submit(closed_executor, loop, work_in_gate, &running);
    submit(closed_executor, loop, work, &waiting);
    await_entered(1);
    open_gate();
    assert_int_equal(ioloop_run_once(loop, 0), 0);
    assert_true(running.told <= 1);
    assert_true(waiting.told <= 1);
    ioexecutor_close(new_executor(1, 0), true); /* whatever the loop has dropped goes with any close */
    assert_int_equal(faults_allocated(), before);
}

static void close_loop_when_done(int error, void *arg)
{
    ioloop_close(ioloop_current_if_any(), false);
    done(error, arg);
}

static void a_loop_may_close_when_told(void **state)
{
    long before = faults_allocated();
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = new_executor(1, 0);
    struct probe probes[2] = { { .error = 1 } };

    assert_true(ioexecutor_submit(executor, loop, work_in_gate, close_loop_when_done, &probes[0]) != 0);
    assert_true(ioexecutor_submit(executor, loop, work, close_loop_when_done, &probes[1]) != 0);
    open_gate();
    assert_int_equal(ioloop_start(loop), 0);
    assert_int_equal(probes[0].told, 1);
    ioexecutor_close(executor, true);
    assert_int_equal(faults_allocated(), before);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(works_on_a_thread_and_tells_on_the_loop),
    cmocka_unit_test(runs_two_jobs_at_the_same_time),
    cmocka_unit_test(one_thread_keeps_the_order),
    cmocka_unit_test(starts_threads_on_demand_and_no_more_than_allowed),
    cmocka_unit_test(idle_threads_are_used_again),
    cmocka_unit_test(a_full_queue_refuses),
    cmocka_unit_test(counts_must_not_be_negative),
    cmocka_unit_test(cancels_what_has_not_started),
    cmocka_unit_test(an_id_is_never_another_jobs),
    cmocka_unit_test(close_waits_for_what_runs_and_cancels_the_rest),
    cmocka_unit_test(a_closed_one_answers_until_its_last_job_is_told),
    cmocka_unit_test(close_need_not_wait),
    cmocka_unit_test(closing_an_idle_one_ends_its_threads),
    cmocka_unit_test(the_default_one_is_made_when_asked_for),
    cmocka_unit_test(threads_block_all_signals),
    cmocka_unit_test(a_loop_may_close_while_its_jobs_run),
    cmocka_unit_test(nothing_is_left_of_what_a_closing_loop_has_dropped),
    cmocka_unit_test(a_loop_may_close_before_telling_in_the_same_iteration),
    cmocka_unit_test(a_loop_and_then_the_executor_may_close_in_a_callback),
    cmocka_unit_test(a_loop_may_close_when_told),
};

TESTING_MAIN(tests)
