/* The end of a loop, inside its callbacks and outside; what is refused from then on. */
#include "ioloop/ioloop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

#include "tests/support/tracedloop.h"

static void check_that_all_is_refused(int fd)
{
    assert_int_equal(ioloop_start(loop), -EBADF);
    assert_int_equal(ioloop_run_once(loop, 0), -EBADF);
    assert_int_equal(ioloop_add_callback(loop, note, "x"), -EBADF);
    assert_int_equal(ioloop_add_handler(loop, fd, note_event, "x", IOLOOP_READ), -EBADF);
    assert_int_equal(ioloop_update_handler(loop, fd, IOLOOP_READ), -EBADF);
    assert_int_equal(ioloop_add_signal(loop, SIGUSR1, NULL, NULL), -EBADF);
    errno = 0;
    assert_int_equal(ioloop_call_later(loop, 0, note, "x"), 0);
    assert_int_equal(errno, EBADF);
    assert_int_equal(ioloop_call_at(loop, 0, note, "x"), 0);
    assert_int_equal(errno, EBADF);
    assert_int_equal(ioloop_reopen(loop), -EINVAL);
    assert_int_equal(ioloop_fd(loop), -EBADF);
    ioloop_remove_timeout(loop, 1);
    ioloop_remove_signal(loop, SIGUSR1);
    ioloop_close(loop, true);
}

static void close_in_callback(void *arg)
{
    add_callback(note, "x"); /* now there is room for more, but it is refused */
    ioloop_close(loop, false);
    check_that_all_is_refused(*(const int *)arg);
    note("c");
}

static void closing_inside_a_callback_ends_the_loop_when_the_start_returns(void **state)
{
    int fds[2], before = testing_count_fds();

    open_loop();
    open_ready_pipe(fds);
    add_handler(fds[0], note_event, "h", IOLOOP_READ);
    add_callback(close_in_callback, &fds[0]);
    add_callback(note, "d");
    call_later(0, note, "t");
    assert_int_equal(ioloop_start(loop), 0);
    assert_string_equal(trace, "cdt");
    assert_null(ioloop_current_if_any());
    assert_int_equal(faults_allocated(), allocated);
    close_both(fds);
    assert_int_equal(testing_count_fds(), before);
}

static void close_in_handler(int fd, unsigned events, void *arg)
{
    ioloop_close(loop, true);
    ioloop_close(loop, false);                    /* the first one counts */
    assert_int_not_equal(fcntl(fd, F_GETFD), -1); /* not yet */
}

static void closing_inside_a_handler_may_close_its_descriptor(void **state)
{
    int fds[2];

    open_loop();
    open_ready_pipe(fds);
    assert_int_equal(ioloop_add_handler(loop, fds[0], close_in_handler, NULL, IOLOOP_READ), 0);
    assert_int_equal(ioloop_run_once(loop, -1), 1);
    assert_int_equal(faults_allocated(), allocated);
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
    add_handler(fds[0], note_event, "h", IOLOOP_READ);
    add_handler(removed[0], note_event, "h", IOLOOP_READ);
    ioloop_remove_handler(loop, removed[0]);
    ioloop_close(loop, true);
    assert_int_equal(fcntl(fds[0], F_GETFD), -1);
    assert_int_not_equal(fcntl(removed[0], F_GETFD), -1);
    close(fds[1]);
    close_both(removed);
    assert_int_equal(faults_allocated(), allocated);
}

static void closing_leaves_descriptors_open_unless_asked(void **state)
{
    int fds[2];

    open_loop();
    open_ready_pipe(fds);
    add_handler(fds[0], note_event, "h", IOLOOP_READ);
    add_callback(note, "c");
    call_later(0, note, "t");
    assert_int_equal(ioloop_add_callback_from_signal(loop, note, "s"), 0);
    close_loop();
    assert_string_equal(trace, "");
    assert_int_not_equal(fcntl(fds[0], F_GETFD), -1);
    close_both(fds);
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
    assert_int_equal(ioloop_fd(loop), -EBADF);
    assert_int_equal(ioloop_call_later(loop, 1, note, "x"), 0);
    ioloop_stop(loop);
    ioloop_release(loop);
    assert_int_equal(ioloop_add_callback(loop, note, "x"), -EBADF);
    ioloop_release(loop);
    assert_int_equal(faults_allocated(), allocated);
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

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(closing_inside_a_callback_ends_the_loop_when_the_start_returns),
    cmocka_unit_test(closing_inside_a_handler_may_close_its_descriptor),
    cmocka_unit_test(closing_can_close_the_descriptors_that_have_handlers),
    cmocka_unit_test(closing_leaves_descriptors_open_unless_asked),
    cmocka_unit_test(a_loop_may_be_closed_inside_a_callback_of_another),
    cmocka_unit_test(a_held_loop_refuses_callbacks_after_it_is_closed),
    cmocka_unit_test(a_hold_that_ends_before_the_close_frees_nothing),
};

TESTING_MAIN(tests)
