/* Futures and time: sleep, with_timeout, run_sync. */
#include "ioloop/iofuture.h"

#include <math.h>
#include <pthread.h>

#include "ioloop/ioexecutor.h"
#include "tests/support/tracedfuture.h"

static char value[] = "value";

/* sleep */

static void sleep_is_done_after_its_time(void **state)
{
    open_loop();
    tell(iofuture_sleep(loop, 2), "a");
    tell(iofuture_sleep(loop, 0), "b");
    tell(iofuture_sleep(loop, -1), "c");
    assert_string_equal(trace, "");
    move_to(101.9);
    assert_string_equal(trace, "cb"); /* the earlier time first */
    move_to(102);
    assert_string_equal(trace, "cba");
    assert_int_equal(seen_error, 0);
    close_loop();
}

static void cancelling_sleep_removes_its_timeout(void **state)
{
    open_loop();
    long before = 0;
    for (int i = 0; i < 3; i++) {
        struct iofuture *sleep = not_null(iofuture_sleep(loop, 1));
        tell(sleep, "a");
        iofuture_cancel(sleep);
        assert_true(ioloop_next_timeout(loop) <= 0);
        testing_spin(loop, 2);
        assert_true(ioloop_next_timeout(loop) < 0);
        if (i == 0)
            before = faults_allocated();
        assert_int_equal(faults_allocated(), before);
    }
    assert_string_equal(trace, "aaa");
    move_to(200);
    close_loop();
}

static void sleep_for_no_number_is_refused(void **state)
{
    open_loop();
    errno = 0;
    assert_null(iofuture_sleep(loop, NAN));
    assert_int_equal(errno, EINVAL);
    tell(iofuture_sleep(loop, INFINITY), "a"); /* until the loop closes */
    move_to(1e6);
    assert_string_equal(trace, "");
    close_loop();
    assert_string_equal(trace, "a");
}

/* with_timeout */

static struct iofuture *original;

static struct iofuture *timed(double seconds, bool quiet)
{
    struct iofuture *future;

    original = new_future();
    future = not_null(iofuture_with_timeout(loop, original, seconds, quiet));
    tell(future, "a");
    return future;
}

static void what_comes_in_time_comes_through(void **state)
{
    open_loop();
    timed(1, false);
    set_counted(original);
    expect_trace("a");
    assert_int_equal(seen_error, 0);
    assert_non_null(seen_value);
    assert_int_equal(values_left, 0);
    assert_true(ioloop_next_timeout(loop) < 0); /* no timeout is left */
    timed(1, false);
    set_error(original, -EIO);
    expect_trace("aa");
    assert_int_equal(seen_error, -EIO);
    close_loop();
}

static void what_comes_too_late_times_out_and_goes_on(void **state)
{
    open_loop();
    testing_begin_logs();
    timed(1, false);
    move_to(100.9);
    assert_string_equal(trace, "");
    move_to(101);
    assert_string_equal(trace, "a");
    assert_int_equal(seen_error, -ETIMEDOUT);
    assert_false(iofuture_done(original));
    tell(original, "b");
    set_counted(original);
    expect_trace("ab");
    assert_int_equal(values_left, 0);
    assert_int_equal(testing_logs(NULL), 0);
    close_loop();
}

static void a_late_error_is_logged_unless_quiet(void **state)
{
    open_loop();
    testing_begin_logs();
    for (int quiet = 0; quiet < 2; quiet++) {
        timed(0, quiet);
        testing_spin(loop, 3);
        set_error(original, -EIO);
        testing_spin(loop, 2);
        assert_int_equal(testing_logs("input or output error"), 1);
    }
    assert_int_equal(testing_logs(NULL), 1);
    close_loop();
}

static void set_original(void *arg)
{
    set_counted(original);
}

static void what_is_done_in_the_iteration_of_the_timeout_is_in_time(void **state)
{
    open_loop();
    timed(1, false);
    add_callback(set_original, NULL);
    move_to(101);
    assert_string_equal(trace, "a");
    assert_int_equal(seen_error, 0);
    original = new_future();
    set_result(original, NULL);
    tell(iofuture_with_timeout(loop, original, -1, false), "b");
    expect_trace("ab");
    assert_int_equal(seen_error, 0);
    close_loop();
}

static void cancelling_the_wait_leaves_the_original(void **state)
{
    open_loop();
    iofuture_cancel(not_null(iofuture_sleep(loop, 1))); /* makes room for timeouts */
    testing_spin(loop, 1);
    long before = faults_allocated();
    iofuture_cancel(timed(1, false));
    expect_trace("a");
    assert_int_equal(faults_allocated(), before + 1); /* the original */
    assert_int_equal(seen_error, -ECANCELED);
    assert_true(ioloop_next_timeout(loop) < 0);
    assert_false(iofuture_done(original));
    set_counted(original);
    testing_spin(loop, 2);
    assert_int_equal(values_left, 0);
    close_loop();
}

static void a_cancelled_original_is_told_as_one(void **state)
{
    open_loop();
    struct iofuture *future = timed(1, false);
    iofuture_hold(future);
    iofuture_cancel(original);
    expect_trace("a");
    assert_true(iofuture_cancelled(future));
    iofuture_release(future);
    close_loop();
}

/* Waiting again and again for something that never comes leaves nothing behind. */
static void many_timeouts_on_one_future_leave_nothing(void **state)
{
    open_loop();
    struct iofuture *future = new_future();
    long before = 0;
    for (int i = 0; i < 200; i++) {
        tell(iofuture_with_timeout(loop, future, 0, false), "a");
        testing_spin(loop, 3);
        assert_int_equal(seen_error, -ETIMEDOUT);
        if (i == 0)
            before = faults_allocated();
    }
    assert_int_equal(faults_allocated(), before);
    close_loop();
}

static void without_memory_there_is_neither_sleep_nor_with_timeout(void **state)
{
    open_loop();
    struct iofuture *future = new_future();
    long before = faults_allocated();
    for (int nth = 1;; nth++) {
        faults_allocation(nth, true);
        errno = 0;
        struct iofuture *sleep = iofuture_sleep(loop, 1);
        if (sleep == NULL)
            assert_int_equal(errno, ENOMEM);
        struct iofuture *with_timeout = sleep != NULL ? iofuture_with_timeout(loop, future, 1, false) : NULL;
        if (with_timeout == NULL)
            assert_int_equal(errno, ENOMEM);
        faults_end();
        if (with_timeout != NULL)
            break;
        if (sleep != NULL)
            iofuture_cancel(sleep);
        testing_spin(loop, 1);
        assert_in_range(faults_allocated(), before, before + 3); /* the room of the timeouts */
    }
    struct ioloop *other = ioloop_new(NULL);
    assert_null(iofuture_with_timeout(other, future, 1, false));
    assert_int_equal(errno, EINVAL);
    assert_null(iofuture_with_timeout(loop, future, NAN, false));
    assert_int_equal(errno, EINVAL);
    ioloop_close(other, false);
    close_loop();
}

/* run_sync */

static struct iofuture *fail_at_once(void *arg)
{
    errno = EACCES;
    return NULL;
}

static struct iofuture *succeed_at_once(void *arg)
{
    assert_ptr_equal(ioloop_current(), loop);
    struct iofuture *future = new_future();
    set_result(future, arg);
    return future;
}

static struct iofuture *error_at_once(void *arg)
{
    struct iofuture *future = new_future();
    set_error(future, -EPIPE);
    return future;
}

static struct iofuture *never(void *arg)
{
    return original = new_future();
}

static void succeed(void *arg)
{
    set_counted(arg);
}

static void fail_later(void *arg)
{
    set_error(arg, -ECONNREFUSED);
}

static struct iofuture *soon(void *arg)
{
    struct iofuture *future = new_future();
    add_callback(arg == value ? succeed : fail_later, future);
    return future;
}

/* ioloop_test:test_sync_exception */
static void run_sync_answers_what_failed_at_once(void **state)
{
    void *result = value;

    open_loop();
    testing_begin_logs();
    assert_int_equal(iofuture_run_sync(loop, fail_at_once, NULL, -1, &result), -EACCES);
    assert_null(result);
    assert_int_equal(iofuture_run_sync(loop, error_at_once, NULL, -1, NULL), -EPIPE);
    testing_spin(loop, 2);
    assert_int_equal(testing_logs(NULL), 0);
    close_loop();
}

/* ioloop_test:test_async_result */
static void run_sync_answers_a_result_that_comes_later(void **state)
{
    void *result = NULL;

    open_loop();
    assert_int_equal(iofuture_run_sync(loop, soon, value, -1, &result), 0);
    assert_non_null(result);
    assert_int_equal(values_left, 1); /* lent until the loop runs again */
    testing_spin(loop, 1);
    assert_int_equal(values_left, 0);
    assert_int_equal(iofuture_run_sync(loop, succeed_at_once, value, 5, &result), 0);
    assert_ptr_equal(result, value);
    assert_true(ioloop_next_timeout(loop) <= 0);
    testing_spin(loop, 1);
    assert_true(ioloop_next_timeout(loop) < 0); /* its timeout is gone */
    close_loop();
}

/* ioloop_test:test_async_exception */
static void run_sync_answers_an_error_that_comes_later(void **state)
{
    open_loop();
    testing_begin_logs();
    assert_int_equal(iofuture_run_sync(loop, soon, NULL, -1, NULL), -ECONNREFUSED);
    close_loop();
    assert_int_equal(testing_logs(NULL), 0);
}

/* ioloop_test:test_current */
static void the_loop_is_the_current_one_inside(void **state)
{
    open_loop();
    ioloop_clear_current();
    assert_int_equal(iofuture_run_sync(loop, succeed_at_once, NULL, -1, NULL), 0);
    assert_null(ioloop_current_if_any());
    close_loop();
}

/* ioloop_test:test_timeout */
static void run_sync_times_out(void **state)
{
    void *result = value;

    open_loop();
    assert_int_equal(iofuture_run_sync(loop, never, NULL, 0, &result), -ETIMEDOUT);
    assert_null(result);
    assert_true(iofuture_cancelled(original));
    set_counted(original);
    testing_spin(loop, 2);
    assert_int_equal(values_left, 0);
    close_loop();
    loop = ioloop_new(NULL); /* whose clock goes by itself */
    assert_int_equal(iofuture_run_sync(loop, never, NULL, 0.01, NULL), -ETIMEDOUT);
    ioloop_close(loop, false);
}

/* ioloop_test:test_stop_no_timeout */
static void a_loop_that_is_stopped_before_is_an_error(void **state)
{
    open_loop();
    add_callback(stop, NULL);
    assert_int_equal(iofuture_run_sync(loop, never, NULL, -1, NULL), -EINTR);
    assert_false(iofuture_done(original));
    tell(original, "a");
    set_result(original, NULL); /* and nothing points to what waited for it */
    expect_trace("a");
    ioloop_stop(loop); /* before it has begun */
    original = NULL;
    assert_int_equal(iofuture_run_sync(loop, never, NULL, 1, NULL), -EINTR);
    assert_null(original);
    move_to(102);
    assert_null(original);
    close_loop();
}

static struct iofuture *close_inside(void *arg)
{
    struct iofuture *future = new_future();
    if (arg != NULL)
        set_counted(future);
    ioloop_close(loop, false);
    return future;
}

static void a_loop_that_is_closed_before_is_an_error(void **state)
{
    for (int i = 0; i < 2; i++) {
        void *result = value;
        open_loop();
        assert_int_equal(iofuture_run_sync(loop, close_inside, i != 0 ? value : NULL, 1, &result), -ECANCELED);
        assert_null(result);
        assert_int_equal(values_left, 0);
        assert_int_equal(faults_allocated(), allocated);
    }
}

static struct iofuture *fail_and_close(void *arg)
{
    struct iofuture *future = error_at_once(arg);
    ioloop_close(loop, false);
    return future;
}

static void an_error_is_told_also_when_the_loop_has_closed(void **state)
{
    open_loop();
    assert_int_equal(iofuture_run_sync(loop, fail_and_close, NULL, -1, NULL), -EPIPE);
    assert_int_equal(faults_allocated(), allocated);
}

static int nested;

static struct iofuture *run_inside(void *arg)
{
    nested = iofuture_run_sync(loop, never, NULL, -1, NULL);
    return succeed_at_once(arg);
}

static void run_sync_inside_of_the_loop_is_refused(void **state)
{
    open_loop();
    original = NULL;
    assert_int_equal(iofuture_run_sync(loop, run_inside, NULL, -1, NULL), 0);
    assert_int_equal(nested, -EBUSY);
    testing_spin(loop, 3);
    assert_null(original);
    assert_int_equal(iofuture_run_sync(loop, never, NULL, NAN, NULL), -EINVAL);
    faults_allocation(1, false);
    assert_int_equal(iofuture_run_sync(loop, never, NULL, 1, NULL), -ENOMEM);
    faults_end();
    close_loop();
}

static void what_is_known_in_the_iteration_of_the_timeout_is_in_time_for_run_sync(void **state)
{
    open_loop();
    assert_int_equal(iofuture_run_sync(loop, succeed_at_once, NULL, 0, NULL), 0);
    assert_int_equal(iofuture_run_sync(loop, fail_at_once, NULL, 0, NULL), -EACCES);
    close_loop();
}

static struct iofuture *of_another_loop(void *arg)
{
    return arg;
}

static void run_sync_refuses_a_future_of_another_loop(void **state)
{
    open_loop();
    struct ioloop *other = ioloop_new(NULL);
    assert_int_equal(iofuture_run_sync(loop, of_another_loop, iofuture_new(other), -1, NULL), -EINVAL);
    ioloop_close(other, false);
    close_loop();
}

/* From another thread. */

static pthread_t loops_thread;
static bool was_told;

static void work(void *arg)
{
    assert_false(pthread_equal(pthread_self(), loops_thread));
}

static void work_is_done(int error, void *arg)
{
    set_result(arg, value);
}

static void check_thread(struct iofuture *future, void *arg)
{
    assert_true(pthread_equal(pthread_self(), loops_thread));
    assert_ptr_equal(iofuture_result(future), value);
    was_told = true;
}

/* ioloop_test:test_add_future_threads, concurrent_test:test_concurrent_futures */
static void what_a_thread_has_worked_out_is_told_on_the_loop_and_chained(void **state)
{
    struct ioexecutor *executor = ioexecutor_new(1, 1);

    loop = ioloop_new(NULL);
    loops_thread = pthread_self();
    was_told = false;
    struct iofuture *from = new_future(), *to = new_future();
    assert_int_equal(iofuture_chain(from, to), 0);
    assert_int_equal(iofuture_add_callback(to, check_thread, NULL), 0);
    assert_true(ioexecutor_submit(executor, loop, work, work_is_done, from) != 0);
    testing_run_until(loop, &was_told);
    ioexecutor_close(executor, true);
    ioloop_close(loop, false);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(sleep_is_done_after_its_time),
    cmocka_unit_test(cancelling_sleep_removes_its_timeout),
    cmocka_unit_test(sleep_for_no_number_is_refused),
    cmocka_unit_test(what_comes_in_time_comes_through),
    cmocka_unit_test(what_comes_too_late_times_out_and_goes_on),
    cmocka_unit_test(a_late_error_is_logged_unless_quiet),
    cmocka_unit_test(what_is_done_in_the_iteration_of_the_timeout_is_in_time),
    cmocka_unit_test(cancelling_the_wait_leaves_the_original),
    cmocka_unit_test(a_cancelled_original_is_told_as_one),
    cmocka_unit_test(many_timeouts_on_one_future_leave_nothing),
    cmocka_unit_test(without_memory_there_is_neither_sleep_nor_with_timeout),
    cmocka_unit_test(run_sync_answers_what_failed_at_once),
    cmocka_unit_test(run_sync_answers_a_result_that_comes_later),
    cmocka_unit_test(run_sync_answers_an_error_that_comes_later),
    cmocka_unit_test(the_loop_is_the_current_one_inside),
    cmocka_unit_test(run_sync_times_out),
    cmocka_unit_test(a_loop_that_is_stopped_before_is_an_error),
    cmocka_unit_test(a_loop_that_is_closed_before_is_an_error),
    cmocka_unit_test(an_error_is_told_also_when_the_loop_has_closed),
    cmocka_unit_test(run_sync_inside_of_the_loop_is_refused),
    cmocka_unit_test(what_is_known_in_the_iteration_of_the_timeout_is_in_time_for_run_sync),
    cmocka_unit_test(run_sync_refuses_a_future_of_another_loop),
    cmocka_unit_test(what_a_thread_has_worked_out_is_told_on_the_loop_and_chained),
};

TESTING_MAIN(tests)
