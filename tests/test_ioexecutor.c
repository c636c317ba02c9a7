#include "ioloop/ioexecutor.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "tests/support/faults.h"
#include "tests/support/testing.h"

/* Under ThreadSanitizer the child of a process with threads cannot start one. */
void __tsan_init(void) __attribute__((weak));

static void skip_under_thread_sanitizer(void)
{
    if (__tsan_init != NULL)
        skip();
}

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

static void work(void *arg)
{
    struct probe *probe = arg;

    probe->worker = pthread_self();
    pthread_sigmask(SIG_SETMASK, NULL, &probe->mask);
    order[atomic_fetch_add(&ordered, 1) % 16] = probe->number;
    atomic_fetch_add(&probe->worked, 1);
}

static void done(int error, void *arg)
{
    struct probe *probe = arg;

    probe->told++;
    probe->error = error;
    probe->teller = pthread_self();
    probe->done = true;
    ioloop_stop(ioloop_current_if_any()); /* this iteration need not wait for anything more */
}

/* Work that stays in the gate until it is opened. */
static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_changed = PTHREAD_COND_INITIALIZER;
static bool gate_open;
static int gate_entered, gate_inside, gate_most;

static void close_gate(void)
{
    gate_open = false;
    gate_entered = gate_inside = gate_most = 0;
    ordered = 0;
}

static void open_gate(void)
{
    pthread_mutex_lock(&gate_lock);
    gate_open = true;
    pthread_cond_broadcast(&gate_changed);
    pthread_mutex_unlock(&gate_lock);
}

static void await_entered(int count)
{
    pthread_mutex_lock(&gate_lock);
    while (gate_entered < count)
        pthread_cond_wait(&gate_changed, &gate_lock);
    pthread_mutex_unlock(&gate_lock);
}

static void work_in_gate(void *arg)
{
    pthread_mutex_lock(&gate_lock);
    gate_entered++;
    gate_inside++;
    if (gate_inside > gate_most)
        gate_most = gate_inside;
    pthread_cond_broadcast(&gate_changed);
    while (!gate_open)
        pthread_cond_wait(&gate_changed, &gate_lock);
    gate_inside--;
    pthread_mutex_unlock(&gate_lock);
    work(arg);
}

static struct ioloop *new_loop(void)
{
    struct ioloop *loop = ioloop_new(NULL);

    assert_non_null(loop);
    return loop;
}

static struct ioexecutor *new_executor(int threads, int queue)
{
    struct ioexecutor *executor = ioexecutor_new(threads, queue);

    assert_non_null(executor);
    close_gate();
    return executor;
}

static uint64_t submit(struct ioexecutor *executor, struct ioloop *loop, ioexecutor_work_fn *function,
                       struct probe *probe)
{
    uint64_t id = ioexecutor_submit(executor, loop, function, done, probe);

    assert_true(id != 0);
    return id;
}

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
    assert_int_equal(gate_most, 3);
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

static void *open_gate_when_closing(void *arg)
{
    struct ioexecutor *executor = arg;

    /* Its queue is full: that changes only when it is closing. */
    while (ioexecutor_submit(executor, NULL, NULL, NULL, NULL) == 0 && errno != EBADF)
        sched_yield();
    open_gate();
    return NULL;
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

/* Forks. */

static int exit_status(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void run_in_child(struct ioloop *loop, const bool *wanted)
{
    for (int i = 0; i < 500 && !*wanted; i++)
        ioloop_run_once(loop, 0.01);
}

/* What the child answers: 0, or which check failed. */
static int use_in_child(struct ioloop *loop, struct ioexecutor *executor, const struct probe *parents, uint64_t id)
{
    struct probe probe = { .error = 1 };
    int told = parents[0].told + parents[1].told;

    if (ioloop_reopen(loop) != 0)
        return 1;
    if (ioexecutor_cancel(executor, id) != -ENOENT)
        return 2;
    if (ioexecutor_submit(executor, loop, work, done, &probe) == 0)
        return 3;
    run_in_child(loop, &probe.done);
    if (probe.told != 1 || probe.error != 0)
        return 4;
    if (parents[0].told + parents[1].told != told || parents[1].worked != 0)
        return 5;
    ioexecutor_close(executor, true);
    ioloop_close(loop, false);
    return 0;
}

static void a_child_starts_anew_and_the_parent_goes_on(void **state)
{
    skip_under_thread_sanitizer();
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = new_executor(1, 0);
    struct probe probes[2] = { { .error = 1 }, { .error = 1 } };

    submit(executor, loop, work_in_gate, &probes[0]);
    uint64_t id = submit(executor, loop, work, &probes[1]);
    await_entered(1);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(10);
        _exit(use_in_child(loop, executor, probes, id));
    }
    assert_int_equal(exit_status(pid), 0);
    open_gate();
    testing_run_until(loop, &probes[1].done);
    assert_int_equal(probes[0].told, 1);
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
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(10);
        ioexecutor_close(executor, true);
        _exit(ioexecutor_cancel(executor, 1) == -ENOENT ? 0 : 1);
    }
    assert_int_equal(exit_status(pid), 0);
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
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = forked_executor = new_executor(2, 0);
    struct probe probe = { .error = 1 };

    submit(executor, loop, fork_and_return, &probe);
    testing_run_until(loop, &probe.done);
    assert_true(forked > 0);
    assert_int_equal(exit_status(forked), 0);
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
    skip_under_thread_sanitizer();
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = new_executor(2, 0);
    struct probe parents[2] = { { .number = 0 } };
    pthread_t threads[2];

    forking_done = false;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, submit_while_forking, executor), 0);
    for (int i = 0; i < 20; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            alarm(10);
            _exit(use_in_child(loop, executor, parents, 1));
        }
        assert_int_equal(exit_status(pid), 0);
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

/* Shortages. */

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
    cmocka_unit_test(a_child_starts_anew_and_the_parent_goes_on),
    cmocka_unit_test(a_child_may_close_what_is_the_parents),
    cmocka_unit_test(work_may_fork),
    cmocka_unit_test(forks_in_the_middle_find_no_lock_taken),
    cmocka_unit_test(eight_threads_submit_and_each_job_is_told_once),
    cmocka_unit_test(loops_of_several_threads_share_one_and_come_and_go),
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
