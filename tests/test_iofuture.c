/* One future, and chains of them: outcomes, callbacks, cancelling. */
#include "ioloop/iofuture.h"

#include "tests/support/tracedfuture.h"

static char value[] = "value";

static void a_new_future_has_no_outcome(void **state)
{
    open_loop();
    struct iofuture *future = new_future();
    assert_false(iofuture_done(future));
    assert_false(iofuture_cancelled(future));
    assert_int_equal(iofuture_error(future), 0);
    assert_null(iofuture_result(future));
    assert_ptr_equal(iofuture_loop(future), loop);
    set_result(future, NULL);
    close_loop();
}

/* concurrent_test:test_async_future */
static void a_callback_runs_in_the_iteration_after_the_result(void **state)
{
    open_loop();
    struct iofuture *future = new_future();
    tell(future, "a");
    testing_spin(loop, 2);
    assert_string_equal(trace, "");
    set_result(future, value);
    assert_true(iofuture_done(future));
    assert_string_equal(trace, "");
    testing_spin(loop, 1);
    assert_string_equal(trace, "a");
    assert_ptr_equal(seen_value, value);
    assert_int_equal(seen_error, 0);
    expect_trace("a");
    close_loop();
}

/* concurrent_test:test_delayed_failure */
static void an_error_is_told_in_place_of_a_result(void **state)
{
    open_loop();
    testing_begin_logs();
    struct iofuture *future = new_future();
    tell(future, "a");
    set_error(future, -ECONNRESET);
    assert_null(iofuture_result(future));
    expect_trace("a");
    assert_int_equal(seen_error, -ECONNRESET);
    assert_int_equal(testing_logs(NULL), 0);
    close_loop();
}

/* concurrent_test:test_no_result_future */
static void a_result_may_be_null(void **state)
{
    open_loop();
    struct iofuture *future = new_future();
    tell(future, "a");
    set_result(future, NULL);
    expect_trace("a");
    assert_int_equal(seen_error, 0);
    assert_null(seen_value);
    close_loop();
}

/* concurrent_test:test_no_callback */
static void nobody_has_to_wait_for_it(void **state)
{
    open_loop();
    long before = faults_allocated();
    set_result(new_future(), value);
    set_counted(new_future());
    testing_spin(loop, 1);
    assert_int_equal(values_left, 0);
    assert_int_equal(faults_allocated(), before);
    close_loop();
}

static void callbacks_run_in_the_order_of_adding_and_futures_in_the_order_of_being_done(void **state)
{
    open_loop();
    struct iofuture *first = new_future(), *second = new_future();
    tell(first, "a");
    tell(second, "b");
    tell(first, "c");
    tell(second, "d");
    tell(first, "e");
    set_result(second, NULL);
    set_result(first, NULL);
    expect_trace("bdace");
    close_loop();
}

static void a_callback_added_when_it_is_done_runs_in_the_next_iteration(void **state)
{
    open_loop();
    struct iofuture *future = new_future();
    set_result(future, value);
    tell(future, "a");
    assert_string_equal(trace, "");
    testing_spin(loop, 1);
    assert_string_equal(trace, "a");
    close_loop();
}

static void tell_again(struct iofuture *future, void *arg)
{
    note(arg);
    if (traced < 5)
        assert_int_equal(iofuture_add_callback(future, tell_again, arg), 0);
}

static void what_a_callback_adds_is_of_the_iteration_after_it(void **state)
{
    open_loop();
    struct iofuture *future = new_future();
    assert_int_equal(iofuture_add_callback(future, tell_again, "a"), 0);
    set_counted(future);
    for (size_t i = 1; i <= 5; i++) {
        testing_spin(loop, 1);
        assert_int_equal(traced, i);
        assert_int_equal(values_left, i < 5);
    }
    close_loop();
}

static void remove_others(struct iofuture *future, void *arg)
{
    note(arg);
    iofuture_remove_callback(future, note_future, "b");
    iofuture_remove_callback(future, note_future, "e");
    iofuture_remove_callback(future, note_future, "nobody's");
}

static void another_callback(struct iofuture *future, void *arg)
{
    note("x");
}

static void a_removed_callback_does_not_run(void **state)
{
    static char a[] = "a", b[] = "b", c[] = "c";

    open_loop();
    struct iofuture *future = new_future();
    tell(future, a);
    tell(future, b);
    tell(future, c);
    tell(future, b);
    iofuture_remove_callback(future, note_future, b); /* the first of the two */
    iofuture_remove_callback(future, note_future, a);
    long before = faults_allocated();
    tell(future, a); /* its room is free again */
    assert_int_equal(faults_allocated(), before);
    iofuture_remove_callback(future, another_callback, a);
    set_result(future, NULL);
    expect_trace("cba");
    close_loop();
}

static void a_callback_may_remove_those_that_are_due_with_it(void **state)
{
    open_loop();
    struct iofuture *future = new_future();
    assert_int_equal(iofuture_add_callback(future, remove_others, "a"), 0);
    assert_int_equal(iofuture_add_callback(future, note_future, "b"), 0);
    tell(future, "c");
    iofuture_hold(future);
    set_result(future, NULL);
    expect_trace("ac");
    iofuture_release(future);
    close_loop();
}

static void add_and_remove_the_same(struct iofuture *future, void *arg)
{
    tell(future, "b");
    tell(future, "b");
    iofuture_remove_callback(future, note_future, arg); /* the one that is due */
    note("a");
}

static void of_two_that_are_the_same_the_older_is_removed(void **state)
{
    const char *letter = "b";

    open_loop();
    struct iofuture *future = new_future();
    assert_int_equal(iofuture_add_callback(future, add_and_remove_the_same, (void *)(uintptr_t)letter), 0);
    tell(future, letter);
    set_result(future, NULL);
    expect_trace("abb");
    close_loop();
}

static void setting_it_twice_is_an_error_and_the_value_stays_the_callers(void **state)
{
    open_loop();
    struct iofuture *future = new_future(), *failed = new_future();
    set_result(future, value);
    assert_int_equal(iofuture_set_result(future, value, free_value), -EALREADY);
    assert_int_equal(iofuture_set_error(future, -EIO), -EALREADY);
    assert_int_equal(iofuture_error(future), 0);
    set_error(failed, -EIO);
    assert_int_equal(iofuture_set_result(failed, value, free_value), -EALREADY);
    assert_int_equal(iofuture_set_error(failed, -EPIPE), -EALREADY);
    assert_int_equal(iofuture_error(failed), -EIO);
    assert_null(iofuture_result(failed));
    close_loop();
}

static void an_error_is_a_negative_number(void **state)
{
    open_loop();
    struct iofuture *future = new_future();
    assert_int_equal(iofuture_set_error(future, 0), -EINVAL);
    assert_int_equal(iofuture_set_error(future, EIO), -EINVAL);
    assert_false(iofuture_done(future));
    set_result(future, NULL);
    close_loop();
}

/* Cancelling. */

/* concurrent_test:test_future_set_result_unless_cancelled */
static void a_result_for_a_cancelled_future_is_freed(void **state)
{
    open_loop();
    testing_begin_logs();
    struct iofuture *future = new_future();
    tell(future, "a");
    iofuture_cancel(future);
    assert_true(iofuture_done(future));
    assert_true(iofuture_cancelled(future));
    long before = faults_allocated();
    expect_trace("a"); /* and it is still there: who made it may name it */
    assert_int_equal(seen_error, -ECANCELED);
    set_counted(future);
    assert_int_equal(values_left, 0);
    assert_null(iofuture_result(future));
    assert_int_equal(iofuture_set_result(future, value, free_value), -EALREADY);
    assert_int_equal(testing_logs(NULL), 0);
    testing_spin(loop, 1);
    assert_int_equal(faults_allocated(), before - 1); /* now it is gone */
    close_loop();
}

static void an_error_for_a_cancelled_future_is_logged(void **state)
{
    open_loop();
    long before = faults_allocated();
    testing_begin_logs();
    struct iofuture *future = new_future();
    iofuture_cancel(future);
    iofuture_cancel(future);
    set_error(future, -EIO);
    assert_int_equal(iofuture_error(future), -ECANCELED);
    assert_int_equal(testing_logs("input or output error"), 1);
    assert_int_equal(iofuture_set_error(future, -EIO), -EALREADY);
    struct iofuture *other = new_future();
    iofuture_cancel(other);
    set_error(other, -ECANCELED); /* as asked */
    testing_spin(loop, 2);
    assert_int_equal(testing_logs(NULL), 1);
    assert_int_equal(faults_allocated(), before);
    close_loop();
}

static void cancelling_what_is_done_changes_nothing(void **state)
{
    open_loop();
    struct iofuture *future = new_future(), *failed = new_future();
    set_result(future, value);
    iofuture_cancel(future);
    assert_false(iofuture_cancelled(future));
    assert_ptr_equal(iofuture_result(future), value);
    set_error(failed, -ECANCELED);
    iofuture_cancel(failed);
    assert_false(iofuture_cancelled(failed));
    assert_int_equal(iofuture_error(failed), -ECANCELED);
    close_loop();
}

/* Errors that nobody asked for. */

/* concurrent_test:test_uncaught_exception_log, ioloop_test:test_exception_logging_future */
static void an_error_that_nobody_asked_for_is_logged(void **state)
{
    open_loop();
    testing_begin_logs();
    set_error(new_future(), -EIO);
    assert_int_equal(testing_logs(NULL), 0);
    testing_spin(loop, 1);
    assert_int_equal(testing_logs("input or output error"), 1);
    set_error(new_future(), -ECANCELED);
    iofuture_cancel(new_future());
    set_result(new_future(), value);
    testing_spin(loop, 1);
    assert_int_equal(testing_logs(NULL), 1);
    close_loop();
    assert_int_equal(testing_logs(NULL), 1);
}

static void do_not_ask(struct iofuture *future, void *arg)
{
    note(arg);
}

static void asking_too_early_or_not_at_all_does_not_count(void **state)
{
    open_loop();
    testing_begin_logs();
    struct iofuture *future = new_future();
    assert_int_equal(iofuture_error(future), 0);
    assert_int_equal(iofuture_add_callback(future, do_not_ask, "a"), 0);
    set_error(future, -EIO);
    expect_trace("a");
    assert_int_equal(testing_logs(NULL), 1);
    close_loop();
}

/* What belongs to a value. */

static void a_value_is_freed_when_its_future_goes(void **state)
{
    open_loop();
    struct iofuture *future = new_future();
    tell(future, "a");
    set_counted(future);
    assert_int_equal(values_left, 1);
    testing_spin(loop, 1);
    assert_string_equal(trace, "a");
    assert_int_equal(values_left, 0);
    close_loop();
}

static void take_it(struct iofuture *future, void *arg)
{
    *(void **)arg = iofuture_take_result(future);
}

static void a_value_that_was_taken_is_not_freed(void **state)
{
    void *taken = NULL;

    open_loop();
    struct iofuture *future = new_future();
    assert_int_equal(iofuture_add_callback(future, take_it, &taken), 0);
    set_counted(future);
    testing_spin(loop, 2);
    assert_non_null(taken);
    assert_int_equal(values_left, 1);
    close_loop();
    free_value(taken);
}

static void it_stays_while_somebody_holds_it(void **state)
{
    open_loop();
    struct iofuture *future = new_future();
    iofuture_hold(future);
    iofuture_hold(future);
    set_counted(future);
    testing_spin(loop, 3);
    iofuture_release(future);
    testing_spin(loop, 3);
    assert_int_equal(values_left, 1);
    tell(future, "a");
    expect_trace("a");
    iofuture_release(future);
    assert_int_equal(values_left, 1); /* not inside a call of ours */
    testing_spin(loop, 1);
    assert_int_equal(values_left, 0);
    close_loop();
}

static void release_it(struct iofuture *future, void *arg)
{
    note(arg);
    iofuture_release(future);
    assert_ptr_equal(iofuture_result(future), seen_value);
}

static void it_may_be_released_in_its_callback(void **state)
{
    open_loop();
    struct iofuture *future = new_future();
    iofuture_hold(future);
    assert_int_equal(iofuture_add_callback(future, note_future, "a"), 0);
    assert_int_equal(iofuture_add_callback(future, release_it, "b"), 0);
    tell(future, "c");
    set_counted(future);
    expect_trace("abc");
    assert_int_equal(values_left, 0);
    close_loop();
}

static void a_release_of_one_that_is_not_done_frees_nothing(void **state)
{
    open_loop();
    struct iofuture *future = new_future();
    iofuture_hold(future);
    iofuture_release(future);
    testing_spin(loop, 2);
    tell(future, "a");
    set_result(future, value);
    expect_trace("a");
    close_loop();
}

/* Chains. */

/* concurrent_test:test_asyncio_futures */
static void a_chain_passes_a_result_on(void **state)
{
    open_loop();
    struct iofuture *from = new_future(), *to = new_future();
    assert_int_equal(iofuture_chain(from, to), 0);
    tell(to, "a");
    set_counted(from);
    testing_spin(loop, 1);
    assert_true(iofuture_done(to));
    testing_spin(loop, 1);
    assert_string_equal(trace, "a");
    assert_non_null(seen_value);
    assert_int_equal(values_left, 1); /* until the one that lent it goes too */
    testing_spin(loop, 1);
    assert_int_equal(values_left, 0);
    close_loop();
}

static void a_chain_passes_errors_and_cancels_on(void **state)
{
    open_loop();
    testing_begin_logs();
    struct iofuture *from = new_future(), *to = new_future();
    assert_int_equal(iofuture_chain(from, to), 0);
    tell(to, "a");
    set_error(from, -EIO);
    expect_trace("a");
    assert_int_equal(seen_error, -EIO);
    assert_int_equal(testing_logs(NULL), 0);
    from = new_future(), to = new_future();
    assert_int_equal(iofuture_chain(from, to), 0);
    iofuture_hold(to);
    iofuture_cancel(from);
    testing_spin(loop, 2);
    assert_true(iofuture_cancelled(to));
    iofuture_release(to);
    set_result(from, value);
    close_loop();
}

static void a_chain_leaves_one_that_is_done_alone(void **state)
{
    open_loop();
    testing_begin_logs();
    struct iofuture *from = new_future(), *to = new_future();
    assert_int_equal(iofuture_chain(from, to), 0);
    iofuture_hold(to);
    set_result(to, value);
    set_error(from, -EIO);
    testing_spin(loop, 3);
    assert_int_equal(iofuture_error(to), 0);
    assert_ptr_equal(iofuture_result(to), value);
    assert_int_equal(testing_logs("input or output error"), 1);
    iofuture_release(to);
    close_loop();
}

static void cancelling_the_end_of_a_chain_leaves_its_beginning(void **state)
{
    open_loop();
    long before = faults_allocated();
    struct iofuture *from = new_future(), *to = new_future();
    assert_int_equal(iofuture_chain(from, to), 0);
    tell(to, "a");
    iofuture_cancel(to);
    expect_trace("a");
    assert_false(iofuture_done(from));
    tell(from, "b");
    set_counted(from);
    expect_trace("ab");
    assert_int_equal(values_left, 0);
    assert_int_equal(faults_allocated(), before);
    close_loop();
}

static void the_value_at_the_end_of_a_long_chain_can_be_taken(void **state)
{
    enum { LENGTH = 50 };
    struct iofuture *futures[LENGTH];
    void *taken = NULL;

    open_loop();
    long before = faults_allocated();
    for (int i = 0; i < LENGTH; i++) {
        futures[i] = new_future();
        if (i > 0)
            assert_int_equal(iofuture_chain(futures[i - 1], futures[i]), 0);
    }
    assert_int_equal(iofuture_add_callback(futures[LENGTH - 1], take_it, &taken), 0);
    set_counted(futures[0]);
    testing_spin(loop, 2 * LENGTH + 3);
    assert_non_null(taken);
    assert_int_equal(values_left, 1);
    free_value(taken);
    assert_int_equal(faults_allocated(), before);
    close_loop();
}

static void futures_of_two_loops_do_not_chain(void **state)
{
    open_loop();
    struct ioloop *other = ioloop_new(NULL);
    struct iofuture *from = new_future(), *to = iofuture_new(other);
    assert_int_equal(iofuture_chain(from, to), -EINVAL);
    ioloop_close(other, false);
    close_loop();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_new_future_has_no_outcome),
    cmocka_unit_test(a_callback_runs_in_the_iteration_after_the_result),
    cmocka_unit_test(an_error_is_told_in_place_of_a_result),
    cmocka_unit_test(a_result_may_be_null),
    cmocka_unit_test(nobody_has_to_wait_for_it),
    cmocka_unit_test(callbacks_run_in_the_order_of_adding_and_futures_in_the_order_of_being_done),
    cmocka_unit_test(a_callback_added_when_it_is_done_runs_in_the_next_iteration),
    cmocka_unit_test(what_a_callback_adds_is_of_the_iteration_after_it),
    cmocka_unit_test(a_removed_callback_does_not_run),
    cmocka_unit_test(a_callback_may_remove_those_that_are_due_with_it),
    cmocka_unit_test(of_two_that_are_the_same_the_older_is_removed),
    cmocka_unit_test(setting_it_twice_is_an_error_and_the_value_stays_the_callers),
    cmocka_unit_test(an_error_is_a_negative_number),
    cmocka_unit_test(a_result_for_a_cancelled_future_is_freed),
    cmocka_unit_test(an_error_for_a_cancelled_future_is_logged),
    cmocka_unit_test(cancelling_what_is_done_changes_nothing),
    cmocka_unit_test(an_error_that_nobody_asked_for_is_logged),
    cmocka_unit_test(asking_too_early_or_not_at_all_does_not_count),
    cmocka_unit_test(a_value_is_freed_when_its_future_goes),
    cmocka_unit_test(a_value_that_was_taken_is_not_freed),
    cmocka_unit_test(it_stays_while_somebody_holds_it),
    cmocka_unit_test(it_may_be_released_in_its_callback),
    cmocka_unit_test(a_release_of_one_that_is_not_done_frees_nothing),
    cmocka_unit_test(a_chain_passes_a_result_on),
    cmocka_unit_test(a_chain_passes_errors_and_cancels_on),
    cmocka_unit_test(a_chain_leaves_one_that_is_done_alone),
    cmocka_unit_test(cancelling_the_end_of_a_chain_leaves_its_beginning),
    cmocka_unit_test(the_value_at_the_end_of_a_long_chain_can_be_taken),
    cmocka_unit_test(futures_of_two_loops_do_not_chain),
};

TESTING_MAIN(tests)
