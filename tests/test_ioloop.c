/* The loop: its life, its turns, its callbacks. Handlers, timeouts, threads, forks and failures have files of their
 * own, test_ioloop_*.c. */
#include "ioloop/ioloop.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "ioloop/loopmember.h"
#include "ioloop/looptask.h"
#include "tests/support/faults.h"
#include "tests/support/testing.h"

static struct ioloop *loop;
static double the_time;
static char trace[256]; /* what ran, a letter each */
static size_t traced;

/* A loop whose clock stands still until a test moves the_time. */
static void open_loop(void)
{
    assert_int_equal(faults_allocated(), 0);
    the_time = 100;
    traced = 0;
    trace[0] = '\0';
    loop = ioloop_new(&(struct ioloop_options){ .clock = testing_clock, .clock_arg = &the_time });
    assert_non_null(loop);
}

static void close_loop(void)
{
    ioloop_close(loop, false);
    assert_int_equal(faults_allocated(), 0);
}

static void note(void *arg)
{
    trace[traced++] = *(const char *)arg;
    trace[traced] = '\0';
}

static void stop(void *arg)
{
    ioloop_stop(loop);
}

static void add_callback(ioloop_callback_fn *callback, void *arg)
{
    assert_int_equal(ioloop_add_callback(loop, callback, arg), 0);
}

static void call_later(double seconds, ioloop_callback_fn *callback, void *arg)
{
    assert_int_not_equal(ioloop_call_later(loop, seconds, callback, arg), 0);
}

/* A pipe with a byte in it. */
static void open_ready_pipe(int fds[2])
{
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
}

static void close_pipe(const int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

/* Which loop is current. */

/* ioloop_test:test_default_current */
static void the_first_loop_of_a_thread_becomes_current(void **state)
{
    open_loop();
    assert_ptr_equal(ioloop_current_if_any(), loop);
    struct ioloop *second = ioloop_new(NULL);
    assert_non_null(second);
    assert_ptr_equal(ioloop_current(), loop);
    ioloop_close(second, false);
    assert_ptr_equal(ioloop_current(), loop);
    close_loop();
    assert_null(ioloop_current_if_any());
}

static void note_that_it_is_current(void *arg)
{
    *(bool *)arg = ioloop_current() == loop && ioloop_current_if_any() == loop;
    ioloop_clear_current(); /* changes nothing for the loop that runs */
    assert_ptr_equal(ioloop_current(), loop);
    ioloop_stop(loop);
}

/* ioloop_test:test_non_current */
static void a_loop_that_runs_is_current_until_it_ends(void **state)
{
    open_loop();
    ioloop_clear_current();
    for (int round = 0; round < 2; round++) {
        bool was_current = false;
        assert_null(ioloop_current_if_any());
        add_callback(note_that_it_is_current, &was_current);
        assert_int_equal(ioloop_start(loop), 0);
        assert_true(was_current);
    }
    assert_null(ioloop_current_if_any());
    struct ioloop *other = ioloop_new(NULL);
    add_callback(stop, NULL);
    assert_int_equal(ioloop_start(loop), 0);
    assert_ptr_equal(ioloop_current(), other);
    ioloop_close(other, false);
    close_loop();
}

static struct ioloop *new_loop_wanting(enum ioloop_make_current wanted)
{
    return ioloop_new(&(struct ioloop_options){ .make_current = wanted });
}

/* ioloop_test:test_force_current */
static void a_loop_that_must_be_current_fails_where_there_is_one(void **state)
{
    assert_int_equal(faults_allocated(), 0);
    loop = new_loop_wanting(IOLOOP_CURRENT_ALWAYS);
    assert_ptr_equal(ioloop_current(), loop);
    errno = 0;
    assert_null(new_loop_wanting(IOLOOP_CURRENT_ALWAYS));
    assert_int_equal(errno, EBUSY);
    assert_ptr_equal(ioloop_current(), loop); /* not affected by the one that failed */
    close_loop();
    loop = new_loop_wanting(IOLOOP_CURRENT_ALWAYS);
    assert_ptr_equal(ioloop_current(), loop);
    close_loop();
}

static void make_loops_inside(void *arg)
{
    assert_null(new_loop_wanting(IOLOOP_CURRENT_ALWAYS));
    assert_int_equal(errno, EBUSY);
    ioloop_close(new_loop_wanting(IOLOOP_CURRENT_NEVER), false);
    *(struct ioloop **)arg = new_loop_wanting(IOLOOP_CURRENT_IF_NONE);
}

static void a_loop_that_runs_counts_as_current_for_new_ones(void **state)
{
    struct ioloop *inner = NULL;

    open_loop();
    ioloop_clear_current();
    add_callback(make_loops_inside, &inner);
    testing_spin(loop, 1);
    assert_non_null(inner);
    assert_null(ioloop_current_if_any());
    ioloop_close(inner, false);
    close_loop();
}

/* ioloop_test:test_clear_without_current */
static void clearing_no_current_loop_is_fine(void **state)
{
    assert_null(ioloop_current_if_any());
    ioloop_clear_current();
    assert_null(ioloop_current_if_any());
}

static void asking_for_the_current_loop_makes_one(void **state)
{
    assert_int_equal(faults_allocated(), 0);
    assert_null(ioloop_current_if_any());
    loop = ioloop_current();
    assert_non_null(loop);
    assert_ptr_equal(ioloop_current(), loop);
    ioloop_make_current(NULL);
    assert_null(ioloop_current_if_any());
    ioloop_make_current(loop);
    assert_ptr_equal(ioloop_current_if_any(), loop);
    close_loop();
}

static void *look_at_current(void *arg)
{
    assert_null(ioloop_current_if_any());
    struct ioloop *mine = ioloop_current();
    assert_ptr_not_equal(mine, loop);
    ioloop_close(mine, false);
    return NULL;
}

static void each_thread_has_a_current_loop_of_its_own(void **state)
{
    pthread_t thread;

    open_loop();
    assert_int_equal(pthread_create(&thread, NULL, look_at_current, NULL), 0);
    pthread_join(thread, NULL);
    assert_ptr_equal(ioloop_current(), loop);
    close_loop();
}

/* Running. */

static void run_again(void *arg)
{
    struct ioloop *other = new_loop_wanting(IOLOOP_CURRENT_NEVER);

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

static void on_ready(int fd, unsigned events, void *arg)
{
    note(arg);
}

static void a_stop_in_a_callback_skips_the_wait_of_that_turn(void **state)
{
    int fds[2];

    open_loop();
    open_ready_pipe(fds);
    assert_int_equal(ioloop_add_handler(loop, fds[0], on_ready, "h", IOLOOP_READ), 0);
    add_callback(stop, NULL);
    add_callback(note, "c");
    call_later(0, note, "t");
    assert_int_equal(ioloop_start(loop), 0);
    assert_string_equal(trace, "ct");
    testing_spin(loop, 1);
    assert_string_equal(trace, "cth");
    ioloop_remove_handler(loop, fds[0]);
    close_loop();
    close_pipe(fds);
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
    assert_int_equal(ioloop_add_handler(loop, fds[0], on_ready, "5", IOLOOP_READ), 0);
    call_later(0, note, "4");
    assert_int_equal(ioloop_add_callback_from_signal(loop, note, "3"), 0);
    add_callback(note, "2");
    looptask_add(loop, &task.task);
    assert_int_equal(ioloop_run_once(loop, 0), 1);
    assert_string_equal(trace, "12345");
    ioloop_remove_handler(loop, fds[0]);
    close_loop();
    close_pipe(fds);
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
    assert_int_equal(ioloop_add_handler(loop, fds[0], on_ready, "h", IOLOOP_READ), 0);
    add_callback(note_and_do_it_again, "a");
    add_callback(note_and_do_it_again, "b");
    testing_spin(loop, 3);
    assert_string_equal(trace, "abhabhabh");
    ioloop_remove_handler(loop, fds[0]);
    close_loop();
    close_pipe(fds);
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
        assert_int_equal(ioloop_add_handler(loop, fds[i][0], on_ready, "h", IOLOOP_READ), 0);
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
        close_pipe(fds[i]);
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
    assert_int_equal(ioloop_add_handler(loop, fds[0], on_ready, "h", IOLOOP_READ), 0);
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
    close_pipe(fds);
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
    ioloop_stop(loop);
    assert_true(ioloop_next_timeout(loop) == 0);
    testing_spin(loop, 1);
    struct looptask task = { .run = add_from_task };
    looptask_add(loop, &task);
    assert_true(ioloop_next_timeout(loop) == 0);
    testing_spin(loop, 1);
    assert_true(ioloop_next_timeout(loop) == 0); /* the callback of the task */
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
        testing_spin(loop, 1);
    }
    assert_string_equal(trace, "cs");
    assert_true(ioloop_next_timeout(loop) < 0);
    assert_false(is_readable(ioloop_fd(loop)));
    close_loop();
}

/* Closing. */

static void check_that_all_is_refused(int fd)
{
    assert_int_equal(ioloop_start(loop), -EBADF);
    assert_int_equal(ioloop_run_once(loop, 0), -EBADF);
    assert_int_equal(ioloop_add_callback(loop, note, "x"), -EBADF);
    assert_int_equal(ioloop_add_handler(loop, fd, on_ready, "x", IOLOOP_READ), -EBADF);
    assert_int_equal(ioloop_update_handler(loop, fd, IOLOOP_READ), -EBADF);
    assert_int_equal(ioloop_add_signal(loop, 10, NULL, NULL), -EBADF);
    errno = 0;
    assert_int_equal(ioloop_call_later(loop, 0, note, "x"), 0);
    assert_int_equal(errno, EBADF);
    assert_int_equal(ioloop_call_at(loop, 0, note, "x"), 0);
    assert_int_equal(errno, EBADF);
    assert_int_equal(ioloop_reopen(loop), -EINVAL);
    ioloop_remove_timeout(loop, 1);
    ioloop_remove_signal(loop, 10);
    ioloop_close(loop, true);
}

static void close_in_callback(void *arg)
{
    ioloop_close(loop, false);
    check_that_all_is_refused(*(const int *)arg);
    note("c");
}

static void closing_inside_a_callback_ends_the_loop_when_the_start_returns(void **state)
{
    int fds[2], before = testing_count_fds();

    open_loop();
    open_ready_pipe(fds);
    assert_int_equal(ioloop_add_handler(loop, fds[0], on_ready, "h", IOLOOP_READ), 0);
    add_callback(close_in_callback, &fds[0]);
    add_callback(note, "d");
    call_later(0, note, "t");
    assert_int_equal(ioloop_start(loop), 0);
    assert_string_equal(trace, "cdt");
    assert_null(ioloop_current_if_any());
    assert_int_equal(faults_allocated(), 0);
    close_pipe(fds);
    assert_int_equal(testing_count_fds(), before);
}

static void close_in_handler(int fd, unsigned events, void *arg)
{
    ioloop_close(loop, true);
    ioloop_close(loop, false); /* the first one counts */
    assert_int_not_equal(fcntl(fd, F_GETFD), -1); /* not yet */
}

static void closing_inside_a_handler_may_close_its_descriptor(void **state)
{
    int fds[2];

    open_loop();
    open_ready_pipe(fds);
    assert_int_equal(ioloop_add_handler(loop, fds[0], close_in_handler, NULL, IOLOOP_READ), 0);
    assert_int_equal(ioloop_run_once(loop, -1), 1);
    assert_int_equal(faults_allocated(), 0);
    assert_int_equal(fcntl(fds[0], F_GETFD), -1);
    close(fds[1]);
}

/* ioloop_test:test_close_file_object */
static void closing_can_close_the_descriptors_that_have_handlers(void **state)
{
    int fds[2], removed[2];

    open_loop();
    open_ready_pipe(fds);
    open_ready_pipe(removed);
    assert_int_equal(ioloop_add_handler(loop, fds[0], on_ready, "h", IOLOOP_READ), 0);
    assert_int_equal(ioloop_add_handler(loop, removed[0], on_ready, "h", IOLOOP_READ), 0);
    ioloop_remove_handler(loop, removed[0]);
    ioloop_close(loop, true);
    assert_int_equal(fcntl(fds[0], F_GETFD), -1);
    assert_int_not_equal(fcntl(removed[0], F_GETFD), -1);
    close(fds[1]);
    close_pipe(removed);
    assert_int_equal(faults_allocated(), 0);
}

static void closing_leaves_descriptors_open_unless_asked(void **state)
{
    int fds[2];

    open_loop();
    open_ready_pipe(fds);
    assert_int_equal(ioloop_add_handler(loop, fds[0], on_ready, "h", IOLOOP_READ), 0);
    add_callback(note, "c");
    call_later(0, note, "t");
    assert_int_equal(ioloop_add_callback_from_signal(loop, note, "s"), 0);
    close_loop();
    assert_string_equal(trace, "");
    assert_int_not_equal(fcntl(fds[0], F_GETFD), -1);
    close_pipe(fds);
}

static void close_other(void *arg)
{
    ioloop_close(arg, false);
    assert_ptr_equal(ioloop_current(), loop);
    note("o");
}

static void a_loop_may_be_closed_inside_a_callback_of_another(void **state)
{
    open_loop();
    struct ioloop *other = ioloop_new(NULL);
    add_callback(close_other, other);
    add_callback(stop, NULL);
    assert_int_equal(ioloop_start(loop), 0);
    assert_string_equal(trace, "o");
    close_loop();
}

static void a_held_loop_refuses_callbacks_after_it_is_closed(void **state)
{
    open_loop();
    ioloop_hold(loop);
    ioloop_hold(loop);
    add_callback(note, "c");
    ioloop_close(loop, false);
    assert_int_equal(ioloop_add_callback(loop, note, "x"), -EBADF);
    assert_int_equal(ioloop_add_callback_from_signal(loop, note, "x"), -EBADF);
    ioloop_stop(loop);
    ioloop_release(loop);
    assert_int_equal(ioloop_add_callback(loop, note, "x"), -EBADF);
    ioloop_release(loop);
    assert_int_equal(faults_allocated(), 0);
    assert_string_equal(trace, "");
}

static void a_hold_that_ends_before_the_close_frees_nothing(void **state)
{
    open_loop();
    ioloop_hold(loop);
    ioloop_release(loop);
    add_callback(note, "c");
    testing_spin(loop, 1);
    assert_string_equal(trace, "c");
    close_loop();
}

/* Errors. */

static void fail(void *arg)
{
    ioloop_callback_failed(loop, *(const int *)arg);
}

/* ioloop_test:test_exception_logging */
static void a_callback_that_failed_is_logged_and_the_loop_goes_on(void **state)
{
    open_loop();
    testing_begin_logs();
    add_callback(fail, &(int){ -ECONNREFUSED });
    add_callback(note, "a");
    testing_spin(loop, 1);
    assert_string_equal(trace, "a");
    assert_int_equal(testing_logs("E a callback failed: connection refused"), 1);
    assert_int_equal(testing_logs(NULL), 1);
    close_loop();
}

static void spawn(void *arg)
{
    add_callback(fail, arg);
    note("s");
}

/* ioloop_test:test_spawn_callback */
static void what_a_callback_spawned_fails_without_it(void **state)
{
    open_loop();
    testing_begin_logs();
    add_callback(spawn, &(int){ -EIO });
    testing_spin(loop, 1);
    assert_string_equal(trace, "s");
    assert_int_equal(testing_logs(NULL), 0);
    testing_spin(loop, 1);
    assert_int_equal(testing_logs("input or output error"), 1);
    close_loop();
}

static void on_error(struct ioloop *failed, int error, void *arg)
{
    assert_ptr_equal(failed, loop);
    *(int *)arg = error;
}

/* ioloop_test:test_handle_callback_exception */
static void the_program_may_be_told_of_callbacks_that_failed(void **state)
{
    int error = 0;

    open_loop();
    testing_begin_logs();
    ioloop_set_error_callback(loop, on_error, &error);
    add_callback(fail, &(int){ -EPROTO });
    testing_spin(loop, 1);
    assert_int_equal(error, -EPROTO);
    assert_int_equal(testing_logs(NULL), 0);
    ioloop_set_error_callback(loop, NULL, NULL);
    add_callback(fail, &(int){ -EPROTO });
    testing_spin(loop, 1);
    assert_int_equal(testing_logs("protocol error"), 1);
    close_loop();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_first_loop_of_a_thread_becomes_current),
    cmocka_unit_test(a_loop_that_runs_is_current_until_it_ends),
    cmocka_unit_test(a_loop_that_must_be_current_fails_where_there_is_one),
    cmocka_unit_test(a_loop_that_runs_counts_as_current_for_new_ones),
    cmocka_unit_test(clearing_no_current_loop_is_fine),
    cmocka_unit_test(asking_for_the_current_loop_makes_one),
    cmocka_unit_test(each_thread_has_a_current_loop_of_its_own),
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
    cmocka_unit_test(closing_inside_a_callback_ends_the_loop_when_the_start_returns),
    cmocka_unit_test(closing_inside_a_handler_may_close_its_descriptor),
    cmocka_unit_test(closing_can_close_the_descriptors_that_have_handlers),
    cmocka_unit_test(closing_leaves_descriptors_open_unless_asked),
    cmocka_unit_test(a_loop_may_be_closed_inside_a_callback_of_another),
    cmocka_unit_test(a_held_loop_refuses_callbacks_after_it_is_closed),
    cmocka_unit_test(a_hold_that_ends_before_the_close_frees_nothing),
    cmocka_unit_test(a_callback_that_failed_is_logged_and_the_loop_goes_on),
    cmocka_unit_test(what_a_callback_spawned_fails_without_it),
    cmocka_unit_test(the_program_may_be_told_of_callbacks_that_failed),
};

TESTING_MAIN(tests)
