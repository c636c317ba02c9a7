/* Which loop is current, and callbacks that fail. The rest of ioloop.h is in test_ioloop_*.c, test_looprun.c and
 * test_loophandlers.c. */
#include "ioloop/ioloop.h"

#include <errno.h>
#include <pthread.h>

#include "tests/support/tracedloop.h"

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
    allocated = faults_allocated();
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
    allocated = faults_allocated();
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

/* Errors. */

static void say_failed(void *arg)
{
    ioloop_callback_failed(loop, *(const int *)arg);
}

/* ioloop_test:test_exception_logging */
static void a_callback_that_failed_is_logged_and_the_loop_goes_on(void **state)
{
    open_loop();
    testing_begin_logs();
    add_callback(say_failed, &(int){ -ECONNREFUSED });
    add_callback(note, "a");
    testing_spin(loop, 1);
    assert_string_equal(trace, "a");
    assert_int_equal(testing_logs("E a callback failed: connection refused"), 1);
    assert_int_equal(testing_logs(NULL), 1);
    close_loop();
}

static void spawn(void *arg)
{
    add_callback(say_failed, arg);
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
    add_callback(say_failed, &(int){ -EPROTO });
    testing_spin(loop, 1);
    assert_int_equal(error, -EPROTO);
    assert_int_equal(testing_logs(NULL), 0);
    ioloop_set_error_callback(loop, NULL, NULL);
    add_callback(say_failed, &(int){ -EPROTO });
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
    cmocka_unit_test(a_callback_that_failed_is_logged_and_the_loop_goes_on),
    cmocka_unit_test(what_a_callback_spawned_fails_without_it),
    cmocka_unit_test(the_program_may_be_told_of_callbacks_that_failed),
};

TESTING_MAIN(tests)
