/* Timeouts of a loop: when they come, in which order, and that removed ones do not. */
#include "ioloop/ioloop.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "ioloop/looptask.h"
#include "tests/support/tracedloop.h"

static uint64_t call_at(double when, ioloop_callback_fn *callback, void *arg)
{
    uint64_t id = ioloop_call_at(loop, when, callback, arg);

    assert_int_not_equal(id, 0);
    return id;
}

static void advance(double seconds)
{
    the_time += seconds;
    testing_spin(loop, 1);
}

/* When. */

/* ioloop_test:test_call_later_return, ioloop_test:test_call_at_return, ioloop_test:test_add_timeout_return */
static void a_timeout_has_an_id_that_is_not_0(void **state)
{
    uint64_t ids[4];

    open_loop();
    ids[0] = call_later(1, note, "a");
    ids[1] = call_at(1, note, "b");
    ids[2] = call_later(1, note, "c");
    ioloop_remove_timeout(loop, ids[2]);
    ids[3] = call_later(1, note, "d");
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < i; j++)
            assert_true(ids[i] != ids[j]);
    }
    close_loop();
}

static void comes_when_its_time_has_come_and_once(void **state)
{
    open_loop();
    call_later(1.5, note, "a");
    call_at(102, note, "b");
    testing_spin(loop, 2);
    advance(1.4999);
    assert_string_equal(trace, "");
    advance(0.0001);
    assert_string_equal(trace, "a");
    advance(0.4);
    assert_string_equal(trace, "a");
    advance(0.1);
    assert_string_equal(trace, "ab");
    advance(3600);
    assert_string_equal(trace, "ab");
    close_loop();
}

static void make_two(void *arg)
{
    call_later(0.001, note, "a");
    call_at(ioloop_time(loop) + 0.001, note, "b");
    call_later(0.0005, note, "c");
    call_later(0.002, stop, NULL);
    assert_in_range((int64_t)(ioloop_next_timeout(loop) * 1e9), 0, 500000);
}

static void make_one_and_stop(void *arg)
{
    call_later(10, note, "x");
    call_at(0, stop, NULL);
}

static void a_delay_is_one_beside_a_time_that_has_passed(void **state)
{
    loop = ioloop_new(NULL);
    traced = 0;
    assert_int_equal(ioloop_add_callback(loop, make_one_and_stop, NULL), 0);
    assert_int_equal(ioloop_start(loop), 0);
    assert_int_equal(traced, 0);
    ioloop_close(loop, false);
}

static void make_one(void *arg)
{
    call_later(10, note, "z");
    call_later(0.005, note, "a");
}

static void note_and_stop(void *arg)
{
    note(arg);
    ioloop_stop(loop);
}

static void go_on(void *arg)
{
    add_callback(note_and_stop, "b");
}

/* Not by the loop's clock, which would settle what waits. */
static void block(void *arg)
{
    struct timespec start, now;

    clock_gettime(CLOCK_MONOTONIC, &start);
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while ((double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) / 1e9 < 0.01);
    add_callback(go_on, NULL);
}

static void make_one_by_handler(int fd, unsigned events, void *arg)
{
    ioloop_remove_handler(loop, fd);
    make_one(arg);
}

static void block_by_handler(int fd, unsigned events, void *arg)
{
    ioloop_remove_handler(loop, fd);
    block(arg);
}

/* One that blocks the loop does not put off what another has made in the same turn. */
static void make_one_by_task(struct looptask *task)
{
    make_one(NULL);
}

static void block_by_task(struct looptask *task)
{
    block(NULL);
}

static void make_one_by_signal(int signal_number, void *arg)
{
    make_one(NULL);
}

static void a_delay_counts_from_the_end_of_its_callback_at_the_latest(void **state)
{
    struct looptask tasks[] = { { .run = make_one_by_task }, { .run = block_by_task } };
    int fds[2];

    testing_socketpair(fds);
    for (int way = 0; way < 4; way++) {
        loop = ioloop_new(NULL);
        traced = 0;
        if (way == 3) {
            assert_int_equal(ioloop_add_signal(loop, SIGUSR1, make_one_by_signal, NULL), 0);
            raise(SIGUSR1);
            call_at(ioloop_time(loop), block, NULL); /* which comes behind signals */
        } else if (way == 2) {
            looptask_add(loop, &tasks[0]);
            looptask_add(loop, &tasks[1]);
        } else if (way == 1) { /* what can be written to is reported in the order in which it was added */
            assert_int_equal(ioloop_add_handler(loop, fds[0], make_one_by_handler, NULL, IOLOOP_WRITE), 0);
            assert_int_equal(ioloop_add_handler(loop, fds[1], block_by_handler, NULL, IOLOOP_WRITE), 0);
        } else {
            add_callback(make_one, NULL);
            add_callback(block, NULL);
        }
        assert_int_equal(ioloop_start(loop), 0);
        assert_string_equal(trace, "ab");
        ioloop_close(loop, false);
    }
    close(fds[0]);
    close(fds[1]);
}

/* However seldom the clock is read: a callback that looks at it finds its timeouts in the order that it shows. */
static void a_delay_counts_from_no_later_than_a_time_that_was_asked_for_after_it(void **state)
{
    loop = ioloop_new(NULL);
    for (int i = 0; i < 20; i++) {
        traced = 0;
        assert_int_equal(ioloop_add_callback(loop, make_two, NULL), 0);
        assert_int_equal(ioloop_start(loop), 0);
        assert_string_equal(trace, "cab");
    }
    ioloop_close(loop, false);
}

/* ioloop_test:test_add_timeout_timedelta */
static void a_microsecond_is_a_delay_too(void **state)
{
    loop = ioloop_new(NULL);
    double start = ioloop_time(loop);
    call_later(1e-6, stop, NULL);
    assert_int_equal(ioloop_start(loop), 0);
    assert_true(ioloop_time(loop) - start >= 1e-6);
    assert_true(ioloop_time(loop) - start < 2);
    ioloop_close(loop, false);
}

static void a_delay_is_exact_to_the_nanosecond(void **state)
{
    open_loop();
    for (int i = 1; i <= 1000; i++) {
        double delay = 0.001 * i;

        traced = 0;
        the_time = 100.1;
        call_later(delay, note, "a");
        the_time = 100.1 + delay - 1e-9;
        testing_spin(loop, 1);
        assert_int_equal(traced, 0);
        the_time = 100.1 + delay;
        testing_spin(loop, 1);
        assert_int_equal(traced, 1);
    }
    close_loop();
}

static void a_nanosecond_is_waited_for(void **state)
{
    open_loop();
    the_time = 0;
    call_later(1e-9, note, "a");
    call_later(1e-10, note, "b"); /* less than there is: the next iteration */
    testing_spin(loop, 1);
    assert_string_equal(trace, "b");
    advance(1e-9);
    assert_string_equal(trace, "ba");
    close_loop();
}

static void what_is_not_a_number_is_refused(void **state)
{
    open_loop();
    errno = 0;
    assert_int_equal(ioloop_call_later(loop, NAN, note, "x"), 0);
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_int_equal(ioloop_call_at(loop, NAN, note, "x"), 0);
    assert_int_equal(errno, EINVAL);
    testing_spin(loop, 2);
    assert_string_equal(trace, "");
    close_loop();
}

static void a_negative_delay_and_a_time_that_has_passed_are_due(void **state)
{
    open_loop();
    call_later(0, note, "a");
    call_later(-1, note, "b");
    call_at(-5, note, "c");
    call_later(-INFINITY, note, "d");
    call_later(-1e18, note, "e");
    call_at(-1e300, note, "f");
    call_at(-INFINITY, note, "g");
    call_later((double)INT64_MIN, note, "h");
    call_at((double)INT64_MIN / 1e9, note, "i");
    assert_true(ioloop_next_timeout(loop) == 0);
    testing_spin(loop, 1);
    assert_string_equal(trace, "fgidehcba");
    close_loop();
}

static void infinite_and_very_long_delays_never_end(void **state)
{
    static const double nevers[] = { INFINITY, 1e18, 1e300, 9.3e9, (double)INT64_MAX, (double)INT64_MAX / 1e9 };

    open_loop();
    for (size_t i = 0; i < sizeof nevers / sizeof *nevers; i++) {
        call_later(nevers[i], note, "x");
        ioloop_remove_timeout(loop, call_at(nevers[i], note, "x"));
        call_at(nevers[i], note, "x");
    }
    assert_true(ioloop_next_timeout(loop) < 0);
    testing_spin(loop, 2);
    advance(9.1e9); /* 288 years */
    call_later(9.1e9, note, "x");
    testing_spin(loop, 2);
    assert_string_equal(trace, "");
    call_later(1, note, "a");
    assert_float_equal(ioloop_next_timeout(loop), 1, 1e-3);
    advance(2);
    assert_string_equal(trace, "a");
    close_loop();
}

static void a_clock_may_start_anywhere(void **state)
{
    static const double starts[] = { -9e9, -1e9, -1, 0, 1e9, 9e9 };

    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        open_loop();
        the_time = starts[i];
        call_at(9.19e9, note, "z");
        call_later(8e9, note, "z");
        assert_true(ioloop_next_timeout(loop) > 0);
        call_later(5, note, "a");
        assert_float_equal(ioloop_next_timeout(loop), 5, 1e-3);
        assert_float_equal(ioloop_time(loop), starts[i], 1e-3);
        assert_int_equal(ioloop_run_once(loop, 1e-9), 0);
        advance(6);
        assert_string_equal(trace, "a");
        close_loop();
    }
}

static void a_clock_that_jumps_hours_lets_all_come_that_is_due(void **state)
{
    open_loop();
    call_later(7200, note, "c");
    call_later(3600, note, "b");
    call_later(1, note, "a");
    call_later(86400, note, "d");
    advance(10000);
    assert_string_equal(trace, "abc");
    testing_spin(loop, 3);
    assert_string_equal(trace, "abc");
    close_loop();
}

/* Order. */

static char record[8];
static int recorded;

static void record_number(void *arg)
{
    record[recorded++] = *(const char *)arg;
}

/* ioloop_test:test_timeout_with_arguments */
static void equal_times_come_in_the_order_they_were_made(void **state)
{
    static char numbers[] = { 1, 2, 3, 4 };

    open_loop();
    recorded = 0;
    call_at(100, record_number, &numbers[0]);
    call_later(0, record_number, &numbers[1]);
    call_at(100, record_number, &numbers[2]);
    call_later(0, record_number, &numbers[3]);
    testing_spin(loop, 1);
    assert_int_equal(recorded, 4);
    assert_memory_equal(record, numbers, 4);
    close_loop();
}

static void add_passed_ones(void *arg)
{
    note(arg);
    call_at(0, note, "p");
    call_later(-5, note, "q");
}

/* Whether a timeout or a callback of the turn adds them. */
static void what_a_turn_adds_does_not_come_in_that_turn(void **state)
{
    open_loop();
    call_later(0, add_passed_ones, "t");
    call_later(0, note, "u");
    testing_spin(loop, 1);
    assert_string_equal(trace, "tu");
    testing_spin(loop, 1);
    assert_string_equal(trace, "tupq");
    add_callback(add_passed_ones, "c");
    call_later(0, note, "v");
    testing_spin(loop, 1);
    assert_string_equal(trace, "tupqcv");
    testing_spin(loop, 1);
    assert_string_equal(trace, "tupqcvpq");
    close_loop();
}

static void count_up(void *arg)
{
    ++*(int *)arg;
}

static void more_than_fit_a_turn_come_in_the_next_ones(void **state)
{
    int count = 0;

    open_loop();
    for (int i = 0; i < 5000; i++)
        call_later(0, count_up, &count);
    testing_spin(loop, 1);
    assert_in_range(count, 1, 5000);
    for (int i = 0; i < 100 && count < 5000; i++) {
        assert_true(ioloop_next_timeout(loop) == 0);
        testing_spin(loop, 1);
    }
    assert_int_equal(count, 5000);
    assert_true(ioloop_next_timeout(loop) < 0);
    close_loop();
}

/* Removing. */

/* ioloop_test:test_remove_timeout_after_fire */
static void removing_one_that_has_come_is_fine(void **state)
{
    open_loop();
    uint64_t id = call_later(0, note, "a");
    testing_spin(loop, 1);
    ioloop_remove_timeout(loop, id);
    uint64_t next = call_later(0, note, "b"); /* in the place of the other */
    ioloop_remove_timeout(loop, id);
    ioloop_remove_timeout(loop, 0);
    ioloop_remove_timeout(loop, UINT64_MAX);
    testing_spin(loop, 1);
    assert_string_equal(trace, "ab");
    ioloop_remove_timeout(loop, next);
    close_loop();
}

static void removed_ones_do_not_come(void **state)
{
    open_loop();
    uint64_t id = call_later(1, note, "a");
    call_later(2, note, "b");
    ioloop_remove_timeout(loop, id);
    ioloop_remove_timeout(loop, id);
    assert_float_equal(ioloop_next_timeout(loop), 2, 1e-9); /* nor does the loop wait for them */
    advance(5);
    assert_string_equal(trace, "b");
    close_loop();
}

/* ioloop_test:test_remove_timeout_cleanup */
static void thousands_that_are_removed_at_once_take_no_room(void **state)
{
    open_loop();
    for (int i = 0; i < 2000; i++)
        ioloop_remove_timeout(loop, call_later(3600, note, "x"));
    size_t bytes = faults_allocated_bytes();
    for (int i = 0; i < 20000; i++)
        ioloop_remove_timeout(loop, call_later(3600, note, "x"));
    assert_int_equal(faults_allocated_bytes(), bytes);
    call_later(0, note, "a");
    testing_spin(loop, 2);
    assert_string_equal(trace, "a");
    close_loop();
}

static uint64_t ids[1000];

static void remove_the_others(void *arg)
{
    note("r");
    for (int i = 0; i < 1000; i++)
        ioloop_remove_timeout(loop, ids[i]);
}

/* ioloop_test:test_remove_timeout_from_timeout */
static void one_can_remove_another_that_is_due_too(void **state)
{
    open_loop();
    call_later(0, remove_the_others, NULL);
    ids[0] = call_later(0, note, "x");
    testing_spin(loop, 2);
    assert_string_equal(trace, "r");
    close_loop();
}

static void one_of_a_thousand_can_remove_all_others(void **state)
{
    open_loop();
    for (int i = 0; i < 1000; i++)
        ids[i] = call_later(0, remove_the_others, NULL);
    testing_spin(loop, 3);
    assert_string_equal(trace, "r");
    assert_true(ioloop_next_timeout(loop) < 0);
    close_loop();
}

static void remove_and_add(void *arg)
{
    note("r");
    ioloop_remove_timeout(loop, ids[0]);
    ids[1] = call_later(-1, note, "n");
    ioloop_remove_timeout(loop, ids[0]); /* whose place the new one may have */
}

static void a_new_one_in_the_place_of_a_removed_one_waits_its_turn(void **state)
{
    open_loop();
    call_later(0, remove_and_add, NULL);
    ids[0] = call_later(0, note, "x");
    testing_spin(loop, 1);
    assert_string_equal(trace, "r");
    testing_spin(loop, 1);
    assert_string_equal(trace, "rn");
    close_loop();
}

/* Replacing. */

static uint64_t replace(uint64_t timeout, double seconds, ioloop_callback_fn *callback, void *arg)
{
    uint64_t id = ioloop_replace_timeout(loop, timeout, seconds, callback, arg);

    assert_int_not_equal(id, 0);
    return id;
}

static void a_replaced_one_comes_at_its_new_time_alone(void **state)
{
    open_loop();
    uint64_t id = call_later(1, note, "x");
    id = replace(id, 3, note, "y");
    id = replace(id, 2, note, "a");
    assert_float_equal(ioloop_next_timeout(loop), 2, 1e-9);
    advance(1.9);
    assert_string_equal(trace, "");
    advance(0.1);
    advance(5);
    assert_string_equal(trace, "a");
    id = replace(id, 1, note, "b"); /* which has come */
    replace(0, 2, note, "c");
    advance(5);
    assert_string_equal(trace, "abc");
    ioloop_remove_timeout(loop, id);
    close_loop();
}

static void what_cannot_be_replaced_stays(void **state)
{
    open_loop();
    uint64_t id = call_later(1, note, "a");
    errno = 0;
    assert_int_equal(ioloop_replace_timeout(loop, id, NAN, note, "x"), 0);
    assert_int_equal(errno, EINVAL);
    for (int i = 0; i < 15; i++)
        call_later(9, note, "c"); /* there is no more room */
    faults_allocation(1, true);
    assert_int_equal(ioloop_replace_timeout(loop, id, 2, note, "x"), 0);
    assert_int_equal(errno, ENOMEM);
    faults_end();
    advance(1);
    assert_string_equal(trace, "a");
    close_loop();
}

/* With a clock that goes. */

struct expected {
    double when;
    bool early, came;
};

static void check_the_time(void *arg)
{
    struct expected *expected = arg;

    expected->came = true;
    expected->early = ioloop_time(loop) < expected->when;
    ioloop_stop(loop); /* this turn does not wait for more */
}

static void open_timed_loop(void)
{
    loop = ioloop_new(NULL);
    assert_non_null(loop);
}

/* A wait that ends too early, and is waited for again in milliseconds or less, would take many turns. */
static void short_waits_do_not_spin(void **state)
{
    int turns = 0;

    open_timed_loop();
    for (int i = 0; i < 100; i++) {
        struct expected expected = { .when = ioloop_time(loop) + 0.0003 };
        for (call_later(0.0003, check_the_time, &expected); !expected.came; turns++)
            assert_int_equal(ioloop_run_once(loop, -1), 0);
        assert_false(expected.early);
    }
    assert_in_range(turns, 100, 220); /* two for each: the one that waits, and the one that finds it due */
    ioloop_close(loop, false);
}

static void none_comes_early(void **state)
{
    static struct expected expected[300];
    bool done = false;

    open_timed_loop();
    srandom(3);
    for (int i = 0; i < 300; i++) {
        double delay = (double)(random() % 20000000) / 1e9;
        expected[i] = (struct expected){ .when = ioloop_time(loop) + delay };
        if (i % 2 == 0)
            call_at(expected[i].when, check_the_time, &expected[i]);
        else
            call_later(delay, check_the_time, &expected[i]);
    }
    while (!done) {
        assert_true(ioloop_run_once(loop, -1) >= 0);
        done = true;
        for (int i = 0; i < 300; i++)
            done = done && expected[i].came;
    }
    for (int i = 0; i < 300; i++)
        assert_false(expected[i].early);
    ioloop_close(loop, false);
}

struct replacing {
    uint64_t id;
    int replaced, came;
    double when;
};

static void count_one(void *arg)
{
    struct replacing *replacing = arg;

    assert_true(ioloop_time(loop) >= replacing->when);
    replacing->came++;
    ioloop_stop(loop);
}

/* More than there are delays to wait for the clock, and than there is room at first. */
static void replace_often(void *arg)
{
    struct replacing *replacing = arg;

    for (int i = 0; i < 1000; i++) {
        replacing->when = ioloop_time(loop) + 0.002;
        replacing->id = replace(replacing->id, 0.002, count_one, replacing);
    }
    for (int i = 0; i < 1000; i++)
        replacing->id = replace(replacing->id, i % 2 == 0 ? 60 : 0.002, count_one, replacing);
    if (++replacing->replaced < 10)
        add_callback(replace_often, arg);
}

static void one_that_is_replaced_often_comes_once(void **state)
{
    struct replacing replacing = { 0 };

    open_timed_loop();
    add_callback(replace_often, &replacing);
    assert_int_equal(ioloop_start(loop), 0);
    assert_int_equal(replacing.replaced, 10);
    assert_int_equal(ioloop_run_once(loop, 0.01), 0);
    assert_int_equal(replacing.came, 1);
    assert_true(ioloop_next_timeout(loop) < 0);
    ioloop_close(loop, false);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_timeout_has_an_id_that_is_not_0),
    cmocka_unit_test(comes_when_its_time_has_come_and_once),
    cmocka_unit_test(a_delay_counts_from_no_later_than_a_time_that_was_asked_for_after_it),
    cmocka_unit_test(a_delay_counts_from_the_end_of_its_callback_at_the_latest),
    cmocka_unit_test(a_delay_is_one_beside_a_time_that_has_passed),
    cmocka_unit_test(a_microsecond_is_a_delay_too),
    cmocka_unit_test(a_delay_is_exact_to_the_nanosecond),
    cmocka_unit_test(a_nanosecond_is_waited_for),
    cmocka_unit_test(what_is_not_a_number_is_refused),
    cmocka_unit_test(a_negative_delay_and_a_time_that_has_passed_are_due),
    cmocka_unit_test(infinite_and_very_long_delays_never_end),
    cmocka_unit_test(a_clock_may_start_anywhere),
    cmocka_unit_test(a_clock_that_jumps_hours_lets_all_come_that_is_due),
    cmocka_unit_test(equal_times_come_in_the_order_they_were_made),
    cmocka_unit_test(what_a_turn_adds_does_not_come_in_that_turn),
    cmocka_unit_test(more_than_fit_a_turn_come_in_the_next_ones),
    cmocka_unit_test(removing_one_that_has_come_is_fine),
    cmocka_unit_test(removed_ones_do_not_come),
    cmocka_unit_test(thousands_that_are_removed_at_once_take_no_room),
    cmocka_unit_test(one_can_remove_another_that_is_due_too),
    cmocka_unit_test(one_of_a_thousand_can_remove_all_others),
    cmocka_unit_test(a_new_one_in_the_place_of_a_removed_one_waits_its_turn),
    cmocka_unit_test(a_replaced_one_comes_at_its_new_time_alone),
    cmocka_unit_test(what_cannot_be_replaced_stays),
    cmocka_unit_test(short_waits_do_not_spin),
    cmocka_unit_test(none_comes_early),
    cmocka_unit_test(one_that_is_replaced_often_comes_once),
};

TESTING_MAIN(tests)
