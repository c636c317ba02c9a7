/* Functions on threads whose results are futures, and the executor of a loop. */
#include "ioloop/ioexecutor.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ioloop/iofuture.h"
#include "ioloop/ioloop.h"
#include "tests/support/faults.h"
#include "tests/support/forkedchild.h"
#include "tests/support/testing.h"

static struct ioloop *loop;
static long allocated;
static atomic_int alive; /* results that are not freed */

static void open_loop(void)
{
    allocated = faults_allocated();
    alive = 0;
    loop = ioloop_new(NULL);
    assert_non_null(loop);
}

static void check_nothing_is_left(void)
{
    ioexecutor_close(ioexecutor_new(1, 0), true); /* what loops have dropped goes with any close */
    assert_int_equal(faults_allocated(), allocated);
    assert_int_equal(alive, 0);
}

/* The threads of a loop's own executor end by themselves. */
static void await_nothing_left(void)
{
    while (faults_allocated() != allocated || alive > 0)
        sched_yield();
    check_nothing_is_left();
}

static void close_loop(void)
{
    ioloop_close(loop, false);
    await_nothing_left();
}

static void free_result(void *result)
{
    alive--;
    free(result);
}

static int *new_result(int number)
{
    int *result = malloc(sizeof *result);

    alive++;
    *result = number;
    return result;
}

static int twice(void **result, void *arg)
{
    *result = new_result(2 * *(int *)arg);
    return 0;
}

static int refuse(void **result, void *arg)
{
    return -EACCES;
}

/* Functions that stay in the gate until it is opened. */
static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_changed = PTHREAD_COND_INITIALIZER;
static bool gate_open;
static int gate_entered, gate_left;

static void close_gate(void)
{
    gate_open = false;
    gate_entered = gate_left = 0;
}

static void open_gate(void)
{
    pthread_mutex_lock(&gate_lock);
    gate_open = true;
    pthread_cond_broadcast(&gate_changed);
    pthread_mutex_unlock(&gate_lock);
}

static void await_count(const int *count, int wanted)
{
    pthread_mutex_lock(&gate_lock);
    while (*count < wanted)
        pthread_cond_wait(&gate_changed, &gate_lock);
    pthread_mutex_unlock(&gate_lock);
}

static int twice_behind_gate(void **result, void *arg)
{
    pthread_mutex_lock(&gate_lock);
    gate_entered++;
    pthread_cond_broadcast(&gate_changed);
    while (!gate_open)
        pthread_cond_wait(&gate_changed, &gate_lock);
    pthread_mutex_unlock(&gate_lock);
    int error = twice(result, arg);
    pthread_mutex_lock(&gate_lock);
    gate_left++;
    pthread_cond_broadcast(&gate_changed);
    pthread_mutex_unlock(&gate_lock);
    return error;
}

static void note_done(struct iofuture *future, void *arg)
{
    *(bool *)arg = true;
}

static struct iofuture *run(struct ioexecutor *executor, ioexecutor_function_fn *function, int *arg)
{
    struct iofuture *future = ioexecutor_run(executor, loop, function, arg, arg != NULL ? sizeof *arg : 0, free_result);

    assert_non_null(future);
    iofuture_hold(future);
    return future;
}

static void await(struct iofuture *future)
{
    bool done = false;

    assert_int_equal(iofuture_add_callback(future, note_done, &done), 0);
    testing_run_until(loop, &done);
}

/* concurrent_test:test_concurrent_futures, ioloop_test:test_add_future_threads */
static void the_result_of_a_thread_is_a_future_on_the_loop(void **state)
{
    int number = 21;

    open_loop();
    struct iofuture *future = run(NULL, twice, &number);
    struct iofuture *copy = iofuture_new(loop);
    assert_int_equal(iofuture_chain(future, copy), 0);
    assert_false(iofuture_done(future));
    await(copy);
    assert_int_equal(iofuture_error(future), 0);
    assert_int_equal(*(int *)iofuture_result(future), 42);
    assert_int_equal(alive, 1);
    iofuture_release(future);
    testing_spin(loop, 3);
    assert_int_equal(alive, 0);
    close_loop();
}

static void a_function_may_fail(void **state)
{
    open_loop();
    struct iofuture *future = run(NULL, refuse, NULL);
    await(future);
    assert_int_equal(iofuture_error(future), -EACCES);
    assert_null(iofuture_result(future));
    iofuture_release(future);
    close_loop();
}

static int nothing(void **result, void *arg)
{
    assert_null(*result);
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

static void a_result_may_be_nothing(void **state)
{
    atomic_int count = 0;

    open_loop();
    struct iofuture *future = ioexecutor_run(NULL, loop, nothing, &count, 0, NULL);
    iofuture_hold(future);
    await(future);
    assert_int_equal(iofuture_error(future), 0);
    assert_null(iofuture_result(future));
    assert_int_equal(count, 1);
    iofuture_release(future);
    close_loop();
}

static int copy_text(void **result, void *arg)
{
    alive++;
    *result = strdup(arg);
    return 0;
}

static void a_function_gets_a_copy_of_its_argument(void **state)
{
    char text[] = "long enough to lie in more than one piece";
    int number = 1;

    open_loop();
    close_gate();
    struct ioexecutor *executor = ioexecutor_new(1, 0);
    struct iofuture *doubled = run(executor, twice_behind_gate, &number);
    struct iofuture *copied = ioexecutor_run(executor, loop, copy_text, text, sizeof text, free_result);
    iofuture_hold(copied);
    number = 100;
    memset(text, 'x', sizeof text - 1);
    open_gate();
    await(copied);
    assert_int_equal(*(int *)iofuture_result(doubled), 2);
    assert_string_equal(iofuture_result(copied), "long enough to lie in more than one piece");
    iofuture_release(doubled);
    iofuture_release(copied);
    assert_null(ioexecutor_run(executor, loop, copy_text, text, SIZE_MAX - 50, free_result));
    assert_int_equal(errno, ENOMEM);
    ioexecutor_close(executor, true);
    close_loop();
}

static pthread_barrier_t both;

static int meet(void **result, void *arg)
{
    pthread_barrier_wait(&both);
    return twice(result, arg);
}

/* ioloop_test:test_run_in_executor_gen */
static void two_functions_run_at_the_same_time(void **state)
{
    int numbers[2] = { 1, 2 };

    open_loop();
    pthread_barrier_init(&both, NULL, 2);
    struct iofuture *futures[2] = { run(NULL, meet, &numbers[0]), run(NULL, meet, &numbers[1]) };
    struct iofuture *all = iofuture_multi(loop, futures, 2);
    iofuture_hold(all);
    await(all);
    void **values = iofuture_result(all);
    assert_int_equal(*(int *)values[0], 2);
    assert_int_equal(*(int *)values[1], 4);
    iofuture_release(all);
    iofuture_release(futures[0]);
    iofuture_release(futures[1]);
    pthread_barrier_destroy(&both);
    close_loop();
}

static pthread_t only_thread;

static int note_thread(void **result, void *arg)
{
    only_thread = pthread_self();
    return 0;
}

static void run_and_wait(struct ioexecutor *executor, ioexecutor_function_fn *function)
{
    struct iofuture *future = run(executor, function, NULL);

    await(future);
    iofuture_release(future);
}

/* ioloop_test:test_set_default_executor */
static void a_loop_uses_the_executor_that_it_was_given(void **state)
{
    open_loop();
    struct ioexecutor *mine = ioexecutor_new(1, 0);
    struct ioexecutor *own = ioexecutor_of_loop(loop);

    assert_non_null(own);
    assert_ptr_equal(ioexecutor_of_loop(loop), own);
    assert_ptr_not_equal(own, mine);
    assert_int_equal(ioexecutor_set_of_loop(loop, mine), 0);
    assert_int_equal(ioexecutor_set_of_loop(loop, mine), 0);
    assert_ptr_equal(ioexecutor_of_loop(loop), mine);
    run_and_wait(mine, note_thread);
    pthread_t thread = only_thread;
    run_and_wait(NULL, note_thread);
    assert_true(pthread_equal(thread, only_thread)); /* the only one that it has */
    assert_int_equal(ioexecutor_set_of_loop(loop, NULL), 0);
    own = ioexecutor_of_loop(loop);
    assert_non_null(own);
    assert_ptr_not_equal(own, mine);
    assert_int_equal(ioexecutor_set_of_loop(loop, own), 0);
    run_and_wait(NULL, note_thread);
    run_and_wait(mine, note_thread); /* it is not closed */
    ioexecutor_close(mine, true);
    close_loop();
}

static void two_loops_have_an_executor_each(void **state)
{
    open_loop();
    struct ioloop *other = ioloop_new(NULL);

    assert_ptr_not_equal(ioexecutor_of_loop(loop), ioexecutor_of_loop(other));
    assert_ptr_not_equal(ioexecutor_of_loop(loop), ioexecutor_default());
    ioloop_close(other, false);
    ioexecutor_close(ioexecutor_default(), true);
    close_loop();
}

/* Cancelling. */

static void cancelling_takes_back_what_has_not_started(void **state)
{
    int number = 1;

    open_loop();
    close_gate();
    struct ioexecutor *executor = ioexecutor_new(1, 0);
    struct iofuture *running = run(executor, twice_behind_gate, &number);
    struct iofuture *waiting = run(executor, twice_behind_gate, &number);
    await_count(&gate_entered, 1);
    testing_begin_logs();
    iofuture_cancel(waiting);
    assert_true(iofuture_cancelled(waiting));
    iofuture_cancel(running);
    open_gate();
    ioexecutor_close(executor, true);
    testing_spin(loop, 3);
    assert_int_equal(gate_entered, 1);
    assert_int_equal(alive, 0); /* nobody can have the result of the one that ran */
    assert_int_equal(iofuture_error(running), -ECANCELED);
    iofuture_release(running);
    iofuture_release(waiting);
    close_loop();
    assert_int_equal(testing_logs(NULL), 0);
}

static void closing_the_executor_cancels_what_waits(void **state)
{
    int number = 1;

    open_loop();
    close_gate();
    struct ioexecutor *executor = ioexecutor_new(1, 0);
    struct iofuture *running = run(executor, twice_behind_gate, &number);
    struct iofuture *waiting = run(executor, twice, &number);
    await_count(&gate_entered, 1);
    ioexecutor_close(executor, false);
    await(waiting);
    assert_int_equal(iofuture_error(waiting), -ECANCELED);
    assert_false(iofuture_done(running));
    open_gate();
    await(running);
    assert_int_equal(*(int *)iofuture_result(running), 2);
    iofuture_release(running);
    iofuture_release(waiting);
    close_loop();
}

static void a_late_result_of_with_timeout_is_freed(void **state)
{
    int number = 1;

    open_loop();
    close_gate();
    struct ioexecutor *executor = ioexecutor_new(1, 0);
    struct iofuture *running = ioexecutor_run(executor, loop, twice_behind_gate, &number, sizeof(int), free_result);
    struct iofuture *timed = iofuture_with_timeout(loop, running, 0.01, true);
    iofuture_hold(timed);
    await(timed);
    assert_int_equal(iofuture_error(timed), -ETIMEDOUT);
    iofuture_release(timed);
    open_gate();
    ioexecutor_close(executor, true);
    testing_spin(loop, 3);
    assert_int_equal(alive, 0);
    close_loop();
}

/* Refusals. */

static void a_refused_one_leaves_nothing(void **state)
{
    int number = 1;

    open_loop();
    close_gate();
    struct ioexecutor *executor = ioexecutor_new(1, 1);
    struct iofuture *futures[2] = {
        run(executor, twice_behind_gate, &number),
        run(executor, twice, &number),
    };
    long before = faults_allocated();
    assert_null(ioexecutor_run(executor, loop, twice, &number, sizeof(int), free_result));
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(faults_allocated(), before);
    ioexecutor_close(executor, false);
    assert_null(ioexecutor_run(executor, loop, twice, &number, sizeof(int), free_result));
    assert_int_equal(errno, EBADF);
    open_gate();
    await(futures[0]);
    iofuture_release(futures[0]);
    iofuture_release(futures[1]);
    close_loop();
}

static void a_closed_loop_has_no_executor(void **state)
{
    open_loop();
    ioloop_hold(loop);
    ioloop_close(loop, false);
    assert_null(ioexecutor_of_loop(loop));
    assert_int_equal(errno, EBADF);
    assert_null(ioexecutor_run(NULL, loop, refuse, NULL, 0, NULL));
    assert_int_equal(errno, EBADF);
    assert_int_equal(ioexecutor_set_of_loop(loop, NULL), -EBADF);
    ioloop_release(loop);
    check_nothing_is_left();
}

static void every_allocation_may_fail(void **state)
{
    int number = 4;
    bool failed = true;

    for (int nth = 1; failed; nth++) {
        open_loop();
        faults_allocation(nth, false);
        struct iofuture *future = ioexecutor_run(NULL, loop, twice, &number, sizeof(int), free_result);
        int error = errno;
        bool hit = faults_hit();
        faults_allocation(0, false);
        failed = future == NULL;
        assert_true(failed || nth > 4);
        assert_true(!failed || (hit && error == ENOMEM));
        if (!failed) {
            iofuture_hold(future);
            await(future);
            assert_int_equal(*(int *)iofuture_result(future), 8);
            iofuture_release(future);
        }
        close_loop();
    }
}

static void it_is_an_error_when_no_thread_can_be_made(void **state)
{
    open_loop();
    faults_system_call_sticky("pthread_create", EAGAIN, 1);
    assert_null(ioexecutor_run(NULL, loop, refuse, NULL, 0, NULL));
    assert_int_equal(errno, EAGAIN);
    faults_end();
    run_and_wait(NULL, note_thread);
    close_loop();
}

/* The loop closes first. */

static void a_loop_may_close_while_functions_run(void **state)
{
    int number = 1;

    open_loop();
    close_gate();
    struct ioexecutor *executor = ioexecutor_new(1, 0);
    struct iofuture *futures[3] = {
        run(executor, twice_behind_gate, &number),
        run(executor, twice_behind_gate, &number),
        run(NULL, twice_behind_gate, &number),
    };
    await_count(&gate_entered, 2);
    ioloop_close(loop, false);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(iofuture_error(futures[i]), -ECANCELED);
        iofuture_release(futures[i]);
    }
    open_gate();
    await_count(&gate_left, 2);
    ioexecutor_close(executor, true);
    await_nothing_left();
    assert_int_equal(gate_entered, 2); /* what waited was not started any more */
}

/* By the thread that ran the function: nobody else does anything with an executor. */
static void a_result_for_a_closed_loop_is_freed_at_once(void **state)
{
    int number = 1;

    open_loop();
    close_gate();
    struct ioexecutor *executor = ioexecutor_new(1, 0);
    assert_non_null(ioexecutor_run(executor, loop, twice_behind_gate, &number, sizeof(int), free_result));
    await_count(&gate_entered, 1);
    ioloop_close(loop, false);
    open_gate();
    await_count(&gate_left, 1);
    while (alive > 0)
        sched_yield();
    ioexecutor_close(executor, true);
    check_nothing_is_left();
}

/* Done and posted, but never told. Nothing else happens in any executor that could clear it up. */
static void a_loop_that_closes_frees_results_that_it_drops(void **state)
{
    int number = 1;
    struct ioexecutor *executor = ioexecutor_new(1, 0);

    for (int times = 0; times < 2; times++) {
        open_loop();
        close_gate();
        gate_open = true;
        assert_non_null(ioexecutor_run(executor, loop, twice_behind_gate, &number, sizeof(int), free_result));
        await_count(&gate_left, 1);
        ioloop_close(loop, false);
        while (alive > 0)
            sched_yield(); /* the thread may just be posting it */
    }
    ioexecutor_close(executor, true);
}

static void close_the_loop(struct iofuture *future, void *arg)
{
    ioloop_close(loop, false);
}

static void a_callback_may_close_the_loop(void **state)
{
    int numbers[2] = { 1, 2 };

    open_loop();
    struct iofuture *first = ioexecutor_run(NULL, loop, twice, &numbers[0], sizeof(int), free_result);
    struct iofuture *second = ioexecutor_run(NULL, loop, twice, &numbers[1], sizeof(int), free_result);
    assert_non_null(second);
    assert_int_equal(iofuture_add_callback(first, close_the_loop, NULL), 0);
    assert_int_equal(ioloop_start(loop), 0);
    await_nothing_left();
}

/* In a child of fork() the function is not run, and its future ends with the loop. */
static void a_child_closes_what_the_parent_has_started(void **state)
{
    int number = 1;

    open_loop();
    close_gate();
    struct ioexecutor *executor = ioexecutor_new(1, 0);
    struct iofuture *future = run(executor, twice_behind_gate, &number);
    await_count(&gate_entered, 1);
    pid_t child = fork_child();
    if (child == 0) {
        ioloop_close(loop, false);
        CHECK(iofuture_error(future) == -ECANCELED);
        _exit(0);
    }
    wait_for(child);
    open_gate();
    await(future);
    assert_int_equal(*(int *)iofuture_result(future), 2);
    iofuture_release(future);
    ioexecutor_close(executor, true);
    close_loop();
}

/* Many threads. */

#define LOOPS     8
#define JOBS_EACH 500

struct user {
    struct ioexecutor *executor;
    struct ioloop *own;
    int number, left, cancelled, wrong;
};

static void check_result(struct iofuture *future, void *arg)
{
    struct user *user = arg;

    if (iofuture_error(future) == -ECANCELED)
        user->cancelled++;
    else if (iofuture_error(future) != 0 || *(int *)iofuture_result(future) != 2 * user->number)
        user->wrong++;
    if (--user->left == 0)
        ioloop_stop(user->own);
}

static void *use_executor(void *arg)
{
    struct user *user = arg;
    int cancelled = 0;

    user->own = ioloop_new(NULL);
    for (int i = 0; i < JOBS_EACH;) {
        struct iofuture *future = ioexecutor_run(i % 2 == 0 ? user->executor : NULL, user->own, twice, &user->number,
                                                 sizeof(int), free_result);
        if (future == NULL) {
            ioloop_run_once(user->own, 0.001); /* full */
            continue;
        }
        user->left++;
        if (iofuture_add_callback(future, check_result, user) < 0)
            user->wrong++;
        if (i++ % 7 == 0) {
            iofuture_cancel(future);
            cancelled++;
        }
    }
    while (user->left > 0)
        ioloop_run_once(user->own, 0.1);
    if (cancelled != user->cancelled)
        user->wrong++;
    /* And some that nobody waits for. */
    for (int i = 0; i < 20; i++)
        ioexecutor_run(user->executor, user->own, twice, &user->number, sizeof(int), free_result);
    ioloop_close(user->own, false);
    return arg;
}

static void many_loops_share_an_executor(void **state)
{
    struct user users[LOOPS];
    pthread_t threads[LOOPS];

    open_loop();
    struct ioexecutor *executor = ioexecutor_new(4, 64);
    for (int i = 0; i < LOOPS; i++) {
        users[i] = (struct user){ .executor = executor, .number = i };
        assert_int_equal(pthread_create(&threads[i], NULL, use_executor, &users[i]), 0);
    }
    for (int i = 0; i < LOOPS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(users[i].wrong, 0);
    }
    ioexecutor_close(executor, true);
    close_loop();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_result_of_a_thread_is_a_future_on_the_loop),
    cmocka_unit_test(a_function_may_fail),
    cmocka_unit_test(a_result_may_be_nothing),
    cmocka_unit_test(a_function_gets_a_copy_of_its_argument),
    cmocka_unit_test(two_functions_run_at_the_same_time),
    cmocka_unit_test(a_loop_uses_the_executor_that_it_was_given),
    cmocka_unit_test(two_loops_have_an_executor_each),
    cmocka_unit_test(cancelling_takes_back_what_has_not_started),
    cmocka_unit_test(closing_the_executor_cancels_what_waits),
    cmocka_unit_test(a_late_result_of_with_timeout_is_freed),
    cmocka_unit_test(a_refused_one_leaves_nothing),
    cmocka_unit_test(a_closed_loop_has_no_executor),
    cmocka_unit_test(every_allocation_may_fail),
    cmocka_unit_test(it_is_an_error_when_no_thread_can_be_made),
    cmocka_unit_test(a_loop_may_close_while_functions_run),
    cmocka_unit_test(a_result_for_a_closed_loop_is_freed_at_once),
    cmocka_unit_test(a_loop_that_closes_frees_results_that_it_drops),
    cmocka_unit_test(a_callback_may_close_the_loop),
    cmocka_unit_test(a_child_closes_what_the_parent_has_started),
    cmocka_unit_test(many_loops_share_an_executor),
};

TESTING_MAIN(tests)
