/* A callback again and again, on a clock that the test moves. */
#include "ioloop/periodiccallback.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "tests/support/tracedloop.h"

static struct periodiccallback *periodic;

static void new_periodic(double seconds, ioloop_callback_fn *callback, void *arg)
{
    periodic = periodiccallback_new(loop, seconds, callback, arg);
    assert_non_null(periodic);
}

static void start(void)
{
    assert_int_equal(periodiccallback_start(periodic), 0);
    assert_true(periodiccallback_is_running(periodic));
}

/* Moves the clock to this time and answers how many calls that made. */
static size_t calls_until(double time)
{
    size_t before = traced;

    the_time = time;
    testing_spin(loop, 3);
    return traced - before;
}

static void the_first_call_comes_one_period_after_the_start(void **state)
{
    open_loop();
    new_periodic(2, note, "a");
    assert_false(periodiccallback_is_running(periodic));
    assert_int_equal(calls_until(110), 0); /* not started yet */
    start();
    assert_int_equal(calls_until(111.9), 0);
    assert_int_equal(calls_until(112), 1);
    assert_int_equal(calls_until(113.9), 0);
    assert_int_equal(calls_until(114), 1);
    assert_int_equal(calls_until(117), 1); /* late, but the next is on the grid again */
    assert_int_equal(calls_until(117.9), 0);
    assert_int_equal(calls_until(118), 1);
    periodiccallback_close(periodic);
    close_loop();
}

static void note_and_stop_after_three(void *arg)
{
    note(arg);
    if (traced == 3) {
        periodiccallback_stop(periodic);
        ioloop_stop(loop);
    }
}

/* ioloop_test:test_periodic_plain, on a clock that goes by itself */
static void three_ticks_and_a_stop(void **state)
{
    traced = 0;
    loop = ioloop_new(NULL);
    new_periodic(0.01, note_and_stop_after_three, "a");
    double begin = ioloop_time(loop);
    start();
    assert_int_equal(ioloop_start(loop), 0);
    assert_true(ioloop_time(loop) - begin >= 0.03);
    assert_false(periodiccallback_is_running(periodic));
    assert_true(ioloop_next_timeout(loop) < 0);
    assert_string_equal(trace, "aaa");
    ioloop_close(loop, false);
}

static void take_three_periods(void *arg)
{
    note(arg);
    the_time += 30;
}

static void a_call_that_overruns_skips_whole_periods(void **state)
{
    open_loop();
    new_periodic(10, take_three_periods, "a");
    start();
    assert_int_equal(calls_until(110), 1); /* ends at 140 */
    assert_int_equal(calls_until(149), 0);
    assert_int_equal(calls_until(150), 1);
    ioloop_close(loop, false);
}

static void starting_twice_makes_one_timer(void **state)
{
    open_loop();
    new_periodic(1, note, "a");
    start();
    the_time = 100.9;
    start(); /* changes nothing */
    assert_int_equal(calls_until(101), 1);
    assert_int_equal(calls_until(101.9), 0);
    periodiccallback_stop(periodic);
    periodiccallback_stop(periodic);
    assert_false(periodiccallback_is_running(periodic));
    assert_int_equal(calls_until(110), 0);
    start();
    assert_int_equal(calls_until(110.9), 0); /* a new grid */
    assert_int_equal(calls_until(111), 1);
    close_loop();
}

static void stop_and_start(void *arg)
{
    note(arg);
    periodiccallback_stop(periodic);
    assert_int_equal(periodiccallback_start(periodic), 0);
}

static void it_may_be_started_anew_in_its_callback(void **state)
{
    open_loop();
    new_periodic(1, stop_and_start, "a");
    start();
    assert_int_equal(calls_until(101.5), 1);
    assert_int_equal(calls_until(102.4), 0); /* the grid begins at 101.5 now */
    assert_int_equal(calls_until(102.5), 1);
    assert_int_equal(calls_until(103.4), 0);
    periodiccallback_stop(periodic); /* the one timer that there is */
    assert_int_equal(calls_until(110), 0);
    close_loop();
}

static void stop_it(void *arg)
{
    note(arg);
    periodiccallback_stop(periodic);
}

static void it_may_be_stopped_in_its_callback(void **state)
{
    open_loop();
    new_periodic(1, stop_it, "a");
    start();
    assert_int_equal(calls_until(101), 1);
    assert_int_equal(calls_until(105), 0);
    assert_true(ioloop_next_timeout(loop) < 0);
    start();
    assert_int_equal(calls_until(106), 1);
    close_loop();
}

static void close_it(void *arg)
{
    note(arg);
    periodiccallback_close(periodic);
    periodiccallback_close(periodic);
    assert_false(periodiccallback_is_running(periodic)); /* it is there until the callback returns */
    assert_int_equal(periodiccallback_start(periodic), -EBADF);
    periodiccallback_stop(periodic);
    assert_int_equal(periodiccallback_set_jitter(periodic, 0.5), 0);
}

static void it_may_be_closed_in_its_callback(void **state)
{
    open_loop();
    long before = faults_allocated();
    new_periodic(1, close_it, "a");
    start();
    assert_int_equal(calls_until(105), 1);
    assert_in_range(faults_allocated(), before, before + 4); /* what is left is the room of the timeouts */
    assert_int_equal(calls_until(110), 0);
    close_loop();
}

static void close_the_loop(void *arg)
{
    note(arg);
    ioloop_close(loop, false);
}

static void it_ends_with_its_loop(void **state)
{
    open_loop();
    new_periodic(1, note, "a");
    start();
    new_periodic(1, note, "b");
    close_loop();
    open_loop();
    testing_begin_logs();
    new_periodic(1, close_the_loop, "a");
    start();
    the_time = 105;
    assert_int_equal(ioloop_start(loop), 0);
    assert_string_equal(trace, "a");
    assert_int_equal(testing_logs(NULL), 0);
    assert_int_equal(faults_allocated(), allocated);
}

static void fail_it(void *arg)
{
    note(arg);
    ioloop_callback_failed(loop, -EIO);
}

static void a_call_that_failed_does_not_end_it(void **state)
{
    open_loop();
    testing_begin_logs();
    new_periodic(1, fail_it, "a");
    start();
    assert_int_equal(calls_until(101), 1);
    assert_int_equal(calls_until(102), 1);
    assert_int_equal(testing_logs("input or output error"), 2);
    close_loop();
}

static void a_period_that_is_none_is_refused(void **state)
{
    static const double none[] = { 0, -1, -INFINITY, INFINITY, NAN };

    open_loop();
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        errno = 0;
        assert_null(periodiccallback_new(loop, none[i], note, "x"));
        assert_int_equal(errno, EINVAL);
    }
    close_loop();
}

static void jitter_outside_0_to_1_is_refused(void **state)
{
    static const double none[] = { -0.1, 1.1, INFINITY, -INFINITY, NAN };

    open_loop();
    new_periodic(1, note, "a");
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_int_equal(periodiccallback_set_jitter(periodic, none[i]), -EINVAL);
    assert_int_equal(periodiccallback_set_jitter(periodic, 1), 0);
    assert_int_equal(periodiccallback_set_jitter(periodic, 0), 0);
    close_loop();
}

/* Every period in [0.75, 1.25), and not all the same. */
static void jitter_changes_each_period_a_little(void **state)
{
    double shortest = 10, longest = 0;

    open_loop();
    new_periodic(1, note, "a");
    assert_int_equal(periodiccallback_set_jitter(periodic, 0.5), 0);
    start();
    for (int i = 0; i < 200; i++) {
        double wait = ioloop_next_timeout(loop);
        shortest = wait < shortest ? wait : shortest;
        longest = wait > longest ? wait : longest;
        assert_int_equal(calls_until(the_time + wait + 1e-9), 1);
    }
    assert_true(shortest >= 0.75 - 1e-6 && shortest < 0.85);
    assert_true(longest < 1.25 + 1e-6 && longest > 1.15);
    close_loop();
}

static void without_memory_it_says_so(void **state)
{
    open_loop();
    testing_begin_logs();
    faults_allocation(1, false);
    errno = 0;
    assert_null(periodiccallback_new(loop, 1, note, "a"));
    assert_int_equal(errno, ENOMEM);
    new_periodic(1, note, "a");
    faults_allocation(1, true);
    assert_int_equal(periodiccallback_start(periodic), -ENOMEM);
    assert_false(periodiccallback_is_running(periodic));
    faults_end();
    start();
    assert_int_equal(calls_until(101), 1);
    close_loop();
}

static struct iofuture *begin_nothing(void *arg)
{
    return NULL;
}

static void check_that_none_is_made(void *arg)
{
    errno = 0;
    assert_null(periodiccallback_new(loop, 1, note, "x"));
    assert_int_equal(errno, EBADF);
    errno = 0;
    assert_null(periodiccallback_new_future(loop, 1, begin_nothing, NULL));
    assert_int_equal(errno, EBADF);
}

static void close_and_check(void *arg)
{
    ioloop_close(loop, false);
    check_that_none_is_made(NULL);
    note("c");
}

static void none_is_made_on_a_loop_that_closes(void **state)
{
    open_loop();
    ioloop_hold(loop);
    add_callback(close_and_check, NULL);
    assert_int_equal(ioloop_start(loop), 0);
    assert_string_equal(trace, "c");
    check_that_none_is_made(NULL);
    ioloop_release(loop);
    assert_int_equal(faults_allocated(), allocated);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_first_call_comes_one_period_after_the_start),
    cmocka_unit_test(three_ticks_and_a_stop),
    cmocka_unit_test(a_call_that_overruns_skips_whole_periods),
    cmocka_unit_test(starting_twice_makes_one_timer),
    cmocka_unit_test(it_may_be_started_anew_in_its_callback),
    cmocka_unit_test(it_may_be_stopped_in_its_callback),
    cmocka_unit_test(it_may_be_closed_in_its_callback),
    cmocka_unit_test(it_ends_with_its_loop),
    cmocka_unit_test(a_call_that_failed_does_not_end_it),
    cmocka_unit_test(a_period_that_is_none_is_refused),
    cmocka_unit_test(jitter_outside_0_to_1_is_refused),
    cmocka_unit_test(jitter_changes_each_period_a_little),
    cmocka_unit_test(without_memory_it_says_so),
    cmocka_unit_test(none_is_made_on_a_loop_that_closes),
};

TESTING_MAIN(tests)
