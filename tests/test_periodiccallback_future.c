/* A periodic callback that has not finished when it returns. */
#include "ioloop/periodiccallback.h"

#include "tests/support/tracedfuture.h"

static struct periodiccallback *periodic;
static struct iofuture *work;

static struct iofuture *begin_work(void *arg)
{
    note(arg);
    return work = iofuture_new(loop);
}

static struct iofuture *do_work(void *arg)
{
    note(arg);
    return NULL;
}

static void open_periodic(periodiccallback_future_fn *callback)
{
    open_loop();
    periodic = periodiccallback_new_future(loop, 1, callback, "a");
    assert_non_null(periodic);
    assert_int_equal(periodiccallback_start(periodic), 0);
}

static void expect_calls_until(double time, const char *letters)
{
    the_time = time;
    testing_spin(loop, 4);
    assert_string_equal(trace, letters);
}

/* ioloop_test:test_periodic_coro */
static void no_call_is_begun_before_the_last_has_finished(void **state)
{
    open_periodic(begin_work);
    expect_calls_until(101, "a");
    assert_true(ioloop_next_timeout(loop) < 0);
    expect_calls_until(105.5, "a");
    set_result(work, NULL);
    expect_calls_until(105.9, "a");
    expect_calls_until(106, "aa"); /* on the grid again */
    set_result(work, NULL);
    expect_calls_until(106.9, "aa");
    expect_calls_until(107, "aaa");
    periodiccallback_close(periodic);
    set_result(work, NULL);
    expect_calls_until(110, "aaa");
    close_loop();
}

static void a_call_without_a_future_has_finished(void **state)
{
    open_periodic(do_work);
    expect_calls_until(101, "a");
    expect_calls_until(102, "aa");
    close_loop();
}

static void an_error_is_logged_and_the_next_call_comes(void **state)
{
    open_periodic(begin_work);
    testing_begin_logs();
    expect_calls_until(101, "a");
    set_error(work, -EIO);
    expect_calls_until(101.5, "a");
    expect_calls_until(102, "aa");
    assert_int_equal(testing_logs("input or output error"), 1);
    iofuture_cancel(work);
    set_result(work, NULL);
    expect_calls_until(102.5, "aa");
    expect_calls_until(103, "aaa");
    assert_int_equal(testing_logs(NULL), 1);
    close_loop();
}

static void stopped_and_started_anew_it_still_waits_for_the_last_call(void **state)
{
    open_periodic(begin_work);
    expect_calls_until(101, "a");
    periodiccallback_stop(periodic);
    expect_calls_until(101.5, "a");
    assert_int_equal(periodiccallback_start(periodic), 0); /* a new grid, from 101.5 */
    expect_calls_until(104, "a");
    set_result(work, NULL);
    expect_calls_until(104.4, "a");
    expect_calls_until(104.5, "aa");
    periodiccallback_stop(periodic);
    set_result(work, NULL);
    expect_calls_until(110, "aa");
    close_loop();
}

static struct iofuture *close_it(void *arg)
{
    periodiccallback_close(periodic);
    return begin_work(arg);
}

static struct iofuture *close_the_loop(void *arg)
{
    begin_work(arg);
    ioloop_close(loop, false);
    return work;
}

static void it_may_be_closed_in_its_callback_and_before_that_has_finished(void **state)
{
    open_periodic(close_it);
    expect_calls_until(101, "a");
    set_result(work, NULL);
    close_loop();
    open_periodic(begin_work);
    expect_calls_until(101, "a");
    periodiccallback_close(periodic);
    testing_spin(loop, 2);
    set_result(work, NULL);
    close_loop();
    open_periodic(begin_work);
    expect_calls_until(101, "a");
    close_loop();
    open_periodic(close_the_loop);
    the_time = 101;
    assert_int_equal(ioloop_start(loop), 0);
    assert_int_equal(faults_allocated(), allocated);
}

static void without_a_period_or_memory_there_is_none(void **state)
{
    open_loop();
    errno = 0;
    assert_null(periodiccallback_new_future(loop, 0, begin_work, NULL));
    assert_int_equal(errno, EINVAL);
    faults_allocation(1, false);
    assert_null(periodiccallback_new_future(loop, 1, begin_work, NULL));
    assert_int_equal(errno, ENOMEM);
    faults_end();
    close_loop();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(no_call_is_begun_before_the_last_has_finished),
    cmocka_unit_test(a_call_without_a_future_has_finished),
    cmocka_unit_test(an_error_is_logged_and_the_next_call_comes),
    cmocka_unit_test(stopped_and_started_anew_it_still_waits_for_the_last_call),
    cmocka_unit_test(it_may_be_closed_in_its_callback_and_before_that_has_finished),
    cmocka_unit_test(without_a_period_or_memory_there_is_none),
};

TESTING_MAIN(tests)
