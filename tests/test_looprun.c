/* A turn: what runs in it and in which order, how long it waits, the loop inside a program's own. */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>

#include "ioloop/looptask.h"
#include "tests/support/tracedloop.h"

/* Running. */

static void run_again(void *arg)
{
    struct ioloop *other = ioloop_new(&(struct ioloop_options){ .make_current = IOLOOP_CURRENT_NEVER });

    assert_int_equal(ioloop_start(loop), -EBUSY);
    assert_int_equal(ioloop_run_once(loop, 0), -EBUSY);
    assert_int_equal(ioloop_start(other), -EBUSY);
    assert_int_equal(ioloop_run_once(other, 0), -EBUSY);
    ioloop_close(other, false);
    note(arg);
    add_callback(note, "b");
    add_callback(stop, NULL);
}

/* ioloop_test:test_reentrant */
static void a_loop_cannot_be_run_inside_a_loop(void **state)
{
    open_loop();
    add_callback(run_again, "a");
    assert_int_equal(ioloop_start(loop), 0);
    assert_string_equal(trace, "ab");
    assert_int_equal(ioloop_run_once(loop, 0), 0);
    close_loop();
}

static void stopping_before_the_start_makes_it_return_at_once(void **state)
{
    open_loop();
    ioloop_stop(loop);
    add_callback(note, "a");
    add_callback(stop, NULL);
    assert_int_equal(ioloop_start(loop), 0);
    assert_string_equal(trace, "");
    assert_int_equal(ioloop_start(loop), 0); /* the first start has used up the stop */
    assert_string_equal(trace, "a");
    close_loop();
}

static void a_stop_in_a_callback_skips_the_wait_of_that_turn(void **state)
{
    int fds[2];

    open_loop();
    open_ready_pipe(fds);
    add_handler(fds[0], note_event, "h", IOLOOP_READ);
    add_callback(stop, NULL);
    add_callback(note, "c");
    call_later(0, note, "t");
    assert_int_equal(ioloop_start(loop), 0);
    assert_string_equal(trace, "ct");
    testing_spin(loop, 1);
    assert_string_equal(trace, "cth");
    ioloop_remove_handler(loop, fds[0]);
    close_loop();
    close_both(fds);
}

struct noting_task {
    struct looptask task;
    const char *name;
};

static void run_noting_task(struct looptask *task)
{
    note((void *)(uintptr_t)((struct noting_task *)task)->name);
}

static void one_turn_has_its_order(void **state)
{
    struct noting_task task = { .task.run = run_noting_task, .name = "1" };
    int fds[2];

    open_loop();
    open_ready_pipe(fds);
    add_handler(fds[0], note_event, "5", IOLOOP_READ);
    call_later(0, note, "4");
    assert_int_equal(ioloop_add_callback_from_signal(loop, note, "3"), 0);
    add_callback(note, "2");
    looptask_add(loop, &task.task);
    assert_int_equal(ioloop_run_once(loop, 0), 1);
    assert_string_equal(trace, "12345");
    ioloop_remove_handler(loop, fds[0]);
    close_loop();
    close_both(fds);
}

static void note_and_do_it_again(void *arg)
{
    note(arg);
    add_callback(note_and_do_it_again, arg);
}

/* ioloop_test:test_add_callback_return_sequence */
static void callbacks_of_an_iteration_run_in_the_next(void **state)
{
    int fds[2];

    open_loop();
    open_ready_pipe(fds);
    add_handler(fds[0], note_event, "h", IOLOOP_READ);
    add_callback(note_and_do_it_again, "a");
    add_callback(note_and_do_it_again, "b");
    testing_spin(loop, 6); /* past the first ones, which make room for those after them */
    assert_string_equal(trace, "abhabhabhabhabhabh");
    ioloop_remove_handler(loop, fds[0]);
    close_loop();
    close_both(fds);
}

static void add_from_task(struct looptask *task)
{
    add_callback(note, "b");
}

/* A task runs before the callbacks of its iteration: what it adds is for the next one, after what was there. */
static void callbacks_that_a_task_adds_run_in_the_next_iteration_too(void **state)
{
    struct looptask task = { .run = add_from_task };

    open_loop();
    add_callback(note, "a");
    looptask_add(loop, &task);
    testing_spin(loop, 1);
    assert_string_equal(trace, "a");
    testing_spin(loop, 1);
    assert_string_equal(trace, "ab");
    close_loop();
}

static void add_two(void *arg)
{
    add_callback(note, "c");
    add_callback(note, "d");
}

static void callbacks_keep_their_order_between_running_and_not(void **state)
{
    open_loop();
    add_callback(note, "a");
    add_callback(add_two, NULL);
    add_callback(note, "b");
    testing_spin(loop, 1);
    add_callback(note, "e"); /* the loop does not run: another queue, which comes after its own */
    testing_spin(loop, 1);
    assert_string_equal(trace, "abcde");
    close_loop();
}

static void stop_later(void *arg)
{
    add_callback(stop, NULL);
}

/* ioloop_test:test_add_callback_wakeup */
static void a_callback_does_not_wait_for_the_next_timeout(void **state)
{
    open_loop();
    call_later(3600, note, "t");
    add_callback(stop_later, NULL);
    assert_int_equal(ioloop_start(loop), 0); /* else it hangs, and the test takes too long */
    assert_string_equal(trace, "");
    close_loop();
}

static void run_once_answers_how_many_handlers_it_called(void **state)
{
    int fds[3][2];

    open_loop();
    for (int i = 0; i < 3; i++) {
        open_ready_pipe(fds[i]);
        add_handler(fds[i][0], note_event, "h", IOLOOP_READ);
    }
    assert_int_equal(ioloop_run_once(loop, 0), 3);
    assert_int_equal(ioloop_run_once(loop, -1), 3);
    assert_int_equal(ioloop_run_once(loop, INFINITY), 3);
    ioloop_remove_handler(loop, fds[1][0]);
    assert_int_equal(ioloop_run_once(loop, 1), 2);
    assert_int_equal(ioloop_run_once(loop, NAN), -EINVAL);
    ioloop_stop(loop);
    assert_int_equal(ioloop_run_once(loop, 1), 0);
    assert_int_equal(ioloop_run_once(loop, 1), 2);
    for (int i = 0; i < 3; i++) {
        ioloop_remove_handler(loop, fds[i][0]);
        close_both(fds[i]);
    }
    close_loop();
}

static void run_once_waits_until_its_timeout_at_most(void **state)
{
    struct ioloop *timed = ioloop_new(NULL);
    double start = ioloop_time(timed);

    for (int i = 0; i < 5; i++)
        assert_int_equal(ioloop_run_once(timed, 0.001), 0);
    assert_true(ioloop_time(timed) - start >= 0.005);
    assert_true(ioloop_time(timed) - start < 2);
    ioloop_call_later(timed, 0.001, note, "t");
    start = ioloop_time(timed);
    assert_int_equal(ioloop_run_once(timed, 3600), 0);
    assert_true(ioloop_time(timed) - start < 2);
    ioloop_close(timed, false);
}

/* Inside a program's own loop. */

static bool is_readable(int fd)
{
    struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

    return poll(&poll_fd, 1, 0) == 1;
}

static void another_loop_can_watch_for_handlers(void **state)
{
    int fds[2];

    open_loop();
    assert_int_equal(pipe(fds), 0);
    add_handler(fds[0], note_event, "h", IOLOOP_READ);
    testing_spin(loop, 1);
    assert_false(is_readable(ioloop_fd(loop)));
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_true(is_readable(ioloop_fd(loop)));
    testing_spin(loop, 1);
    assert_string_equal(trace, "h");
    assert_true(is_readable(ioloop_fd(loop))); /* level-triggered: the byte is still there */
    ioloop_remove_handler(loop, fds[0]);
    assert_false(is_readable(ioloop_fd(loop)));
    close_loop();
    close_both(fds);
}

static void the_next_timeout_says_how_long_another_loop_may_wait(void **state)
{
    open_loop();
    assert_true(ioloop_next_timeout(loop) < 0);
    call_later(INFINITY, note, "n");
    assert_true(ioloop_next_timeout(loop) < 0);
    call_later(5, note, "t");
    assert_float_equal(ioloop_next_timeout(loop), 5, 1e-9);
    the_time += 3;
    assert_float_equal(ioloop_next_timeout(loop), 2, 1e-9);
    the_time += 3;
    assert_true(ioloop_next_timeout(loop) == 0);
    testing_spin(loop, 1);
    assert_true(ioloop_next_timeout(loop) < 0);
    add_callback(note, "c");
    assert_true(ioloop_next_timeout(loop) == 0);
    testing_spin(loop, 1);
    assert_true(ioloop_next_timeout(loop) < 0);
    ioloop_stop(loop);
    assert_true(ioloop_next_timeout(loop) == 0);
    testing_spin(loop, 1);
    struct looptask task = { .run = add_from_task };
    looptask_add(loop, &task);
    assert_true(ioloop_next_timeout(loop) == 0);
    testing_spin(loop, 1);
    assert_true(ioloop_next_timeout(loop) == 0); /* the callback of the task */
    testing_spin(loop, 1);
    assert_true(ioloop_next_timeout(loop) < 0);
    close_loop();
}

static void what_comes_while_another_loop_waits_wakes_it(void **state)
{
    open_loop();
    for (int i = 0; i < 3; i++) {
        assert_true(ioloop_next_timeout(loop) < 0);
        assert_false(is_readable(ioloop_fd(loop)));
        if (i == 0)
            add_callback(note, "c");
        else if (i == 1)
            assert_int_equal(ioloop_add_callback_from_signal(loop, note, "s"), 0);
        else
            ioloop_stop(loop);
        assert_true(is_readable(ioloop_fd(loop)));
        testing_spin(loop, 2); /* the turn of a stop does not look at the descriptor */
    }
    assert_string_equal(trace, "cs");
    assert_true(ioloop_next_timeout(loop) < 0);
    assert_false(is_readable(ioloop_fd(loop)));
    close_loop();
}

/* The times that another loop would wait are no longer right. */
static void timeouts_of_its_own_thread_wake_another_loop_that_waits(void **state)
{
    open_loop();
    uint64_t replaced = call_later(9, note, "x");
    for (int i = 0; i < 3; i++) {
        assert_true(ioloop_next_timeout(loop) > 0);
        assert_false(is_readable(ioloop_fd(loop)));
        if (i == 0)
            call_later(1, note, "a");
        else if (i == 1)
            assert_int_not_equal(ioloop_call_at(loop, the_time + 2, note, "b"), 0);
        else
            assert_int_not_equal(ioloop_replace_timeout(loop, replaced, 3, note, "c"), 0);
        assert_true(is_readable(ioloop_fd(loop)));
        assert_int_equal(ioloop_run_once(loop, 0), 0);
        assert_false(is_readable(ioloop_fd(loop)));
        call_later(8, note, "y"); /* nobody waits */
        assert_false(is_readable(ioloop_fd(loop)));
    }
    the_time += 5;
    testing_spin(loop, 1);
    assert_string_equal(trace, "abc");
    close_loop();
}

/* Slow callbacks. */

static void take_long(void *arg)
{
    the_time += *(const double *)arg;
}

static void take_long_in_handler(int fd, unsigned events, void *arg)
{
    take_long(arg);
    ioloop_remove_handler(loop, fd);
}

static void take_long_in_signal(int signal_number, void *arg)
{
    take_long(arg);
}

static void take_long_in_task(struct looptask *task)
{
    the_time += 2;
}

static void open_watched_loop(double slow_callback)
{
    the_time = 100;
    loop = ioloop_new(
        &(struct ioloop_options){ .clock = testing_clock, .clock_arg = &the_time, .slow_callback = slow_callback });
    assert_non_null(loop);
    testing_begin_logs();
}

static int logs_naming(void (*function)(void))
{
    char address[64];

    snprintf(address, sizeof address, "for 2.000 s: %p", (void *)(uintptr_t)function);
    return testing_logs(address);
}

static void a_slow_callback_of_any_kind_is_told_by_its_address(void **state)
{
    static double seconds = 2;
    struct looptask task = { .run = take_long_in_task };
    int fds[2];

    open_watched_loop(0.5);
    open_ready_pipe(fds);
    add_handler(fds[0], take_long_in_handler, &seconds, IOLOOP_READ);
    assert_int_equal(ioloop_add_signal(loop, SIGUSR1, take_long_in_signal, &seconds), 0);
    call_later(0, take_long, &seconds);
    add_callback(take_long, &seconds);
    assert_int_equal(ioloop_add_callback_from_signal(loop, take_long, &seconds), 0);
    looptask_add(loop, &task);
    raise(SIGUSR1);
    testing_spin(loop, 1);
    assert_int_equal(logs_naming((void (*)(void))take_long), 3);
    assert_int_equal(logs_naming((void (*)(void))take_long_in_handler), 1);
    assert_int_equal(logs_naming((void (*)(void))take_long_in_signal), 1);
    assert_int_equal(logs_naming((void (*)(void))take_long_in_task), 1);
    assert_int_equal(testing_logs("W "), 6);
    ioloop_close(loop, false);
    close_both(fds);
}

static void a_callback_that_is_not_slow_is_not_told(void **state)
{
    static const double thresholds[] = { 0, -1, NAN, INFINITY, 2, 3 };
    static double seconds = 2;

    for (size_t i = 0; i < sizeof thresholds / sizeof *thresholds; i++) {
        open_watched_loop(thresholds[i]);
        add_callback(take_long, &seconds);
        call_later(0, take_long, &seconds);
        testing_spin(loop, 2);
        assert_int_equal(testing_logs(NULL), 0);
        ioloop_close(loop, false);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_loop_cannot_be_run_inside_a_loop),
    cmocka_unit_test(stopping_before_the_start_makes_it_return_at_once),
    cmocka_unit_test(a_stop_in_a_callback_skips_the_wait_of_that_turn),
    cmocka_unit_test(one_turn_has_its_order),
    cmocka_unit_test(callbacks_of_an_iteration_run_in_the_next),
    cmocka_unit_test(callbacks_that_a_task_adds_run_in_the_next_iteration_too),
    cmocka_unit_test(callbacks_keep_their_order_between_running_and_not),
    cmocka_unit_test(a_callback_does_not_wait_for_the_next_timeout),
    cmocka_unit_test(run_once_answers_how_many_handlers_it_called),
    cmocka_unit_test(run_once_waits_until_its_timeout_at_most),
    cmocka_unit_test(another_loop_can_watch_for_handlers),
    cmocka_unit_test(the_next_timeout_says_how_long_another_loop_may_wait),
    cmocka_unit_test(what_comes_while_another_loop_waits_wakes_it),
    cmocka_unit_test(timeouts_of_its_own_thread_wake_another_loop_that_waits),
    cmocka_unit_test(a_slow_callback_of_any_kind_is_told_by_its_address),
    cmocka_unit_test(a_callback_that_is_not_slow_is_not_told),
};

TESTING_MAIN(tests)
