/* Several futures: multi, any, the iterator. */
#include "ioloop/iofuture.h"

#include <stdio.h>

#include "tests/support/tracedfuture.h"

enum { MANY = 3 };

static struct iofuture *futures[MANY];
static char values[MANY];

static void new_futures(void)
{
    open_loop();
    for (int i = 0; i < MANY; i++)
        futures[i] = new_future();
}

static struct iofuture *multi_of_all(void)
{
    struct iofuture *multi = not_null(iofuture_multi(loop, futures, MANY));

    tell(multi, "m");
    return multi;
}

/* multi */

static void see_values(struct iofuture *future, void *arg)
{
    void **all = iofuture_result(future);

    note(arg);
    for (int i = 0; i < MANY; i++)
        assert_ptr_equal(all[i], &values[i]);
}

static void multi_is_done_when_all_are_and_has_their_values_in_their_order(void **state)
{
    new_futures();
    struct iofuture *multi = not_null(iofuture_multi(loop, futures, MANY));
    assert_int_equal(iofuture_add_callback(multi, see_values, "m"), 0);
    set_result(futures[2], &values[2]);
    set_result(futures[0], &values[0]);
    expect_trace("");
    set_result(futures[1], &values[1]);
    expect_trace("m");
    close_loop();
}

static void multi_waits_for_all_and_tells_the_first_error_in_their_order(void **state)
{
    new_futures();
    testing_begin_logs();
    multi_of_all();
    set_error(futures[2], -EPIPE);
    set_error(futures[1], -EIO);
    expect_trace("");
    set_counted(futures[0]);
    expect_trace("m");
    assert_int_equal(seen_error, -EIO);
    assert_null(seen_value);
    assert_int_equal(values_left, 0);
    assert_int_equal(testing_logs(NULL), 1); /* of the other error */
    assert_int_equal(testing_logs("nothing more can be sent"), 1);
    close_loop();
}

static void multi_of_nothing_is_done(void **state)
{
    open_loop();
    tell(iofuture_multi(loop, NULL, 0), "m");
    expect_trace("m");
    assert_int_equal(seen_error, 0);
    close_loop();
}

static void multi_takes_what_is_done_already_and_the_same_twice(void **state)
{
    open_loop();
    futures[0] = futures[2] = new_future();
    futures[1] = new_future();
    set_result(futures[1], NULL);
    multi_of_all();
    set_counted(futures[0]);
    expect_trace("m");
    assert_int_equal(seen_error, 0);
    assert_int_equal(values_left, 0);
    close_loop();
}

static void values_live_as_long_as_the_multi_that_lends_them(void **state)
{
    new_futures();
    struct iofuture *multi = multi_of_all();
    iofuture_hold(multi);
    for (int i = 0; i < MANY; i++)
        set_counted(futures[i]);
    expect_trace("m");
    assert_int_equal(values_left, MANY);
    iofuture_release(multi);
    testing_spin(loop, 2);
    assert_int_equal(values_left, 0);
    close_loop();
}

static void cancelling_multi_leaves_its_futures(void **state)
{
    new_futures();
    long before = faults_allocated() - MANY;
    iofuture_cancel(multi_of_all());
    expect_trace("m");
    assert_int_equal(seen_error, -ECANCELED);
    for (int i = 0; i < MANY; i++) {
        assert_false(iofuture_done(futures[i]));
        set_counted(futures[i]);
    }
    testing_spin(loop, 2);
    assert_int_equal(values_left, 0);
    assert_int_equal(faults_allocated(), before);
    close_loop();
}

static void a_cancelled_one_of_multi_is_an_error(void **state)
{
    new_futures();
    multi_of_all();
    set_result(futures[0], NULL);
    set_result(futures[1], NULL);
    iofuture_cancel(futures[2]);
    expect_trace("m");
    assert_int_equal(seen_error, -ECANCELED);
    set_result(futures[2], NULL);
    close_loop();
}

/* any */

static void any_is_the_first_that_is_done(void **state)
{
    new_futures();
    struct iofuture *any = not_null(iofuture_any(loop, futures, MANY));
    tell(any, "a");
    iofuture_hold(any);
    set_result(futures[1], &values[1]);
    set_result(futures[0], &values[0]);
    expect_trace("a");
    assert_int_equal(seen_error, 0);
    assert_ptr_equal(seen_value, futures[1]);
    assert_ptr_equal(iofuture_result(seen_value), &values[1]); /* it is there while any is */
    set_result(futures[2], NULL);
    testing_spin(loop, 2);
    assert_string_equal(trace, "a");
    iofuture_release(any);
    close_loop();
}

static void any_tells_of_a_failed_one_too(void **state)
{
    new_futures();
    testing_begin_logs();
    struct iofuture *any = not_null(iofuture_any(loop, futures, MANY));
    tell(any, "a");
    iofuture_hold(any);
    set_error(futures[2], -EIO);
    expect_trace("a");
    assert_int_equal(seen_error, 0);
    assert_int_equal(iofuture_error(seen_value), -EIO);
    iofuture_release(any);
    close_loop();
    assert_int_equal(testing_logs(NULL), 0);
}

static void any_of_nothing_is_refused(void **state)
{
    open_loop();
    errno = 0;
    assert_null(iofuture_any(loop, NULL, 0));
    assert_int_equal(errno, EINVAL);
    close_loop();
}

static void cancelling_any_leaves_its_futures(void **state)
{
    new_futures();
    iofuture_cancel(not_null(iofuture_any(loop, futures, MANY)));
    for (int i = 0; i < MANY; i++)
        set_counted(futures[i]);
    testing_spin(loop, 2);
    assert_int_equal(values_left, 0);
    close_loop();
}

/* The iterator. */

static struct iofuture_iterator *iterator;

static void new_iterator(void)
{
    new_futures();
    iterator = iofuture_iterator_new(loop, futures, MANY);
    assert_non_null(iterator);
}

static struct iofuture *next(const char *letter)
{
    struct iofuture *future = not_null(iofuture_iterator_next(iterator));

    tell(future, letter);
    return future;
}

static void the_iterator_goes_in_the_order_of_completion(void **state)
{
    new_iterator();
    next("a");
    errno = 0;
    assert_null(iofuture_iterator_next(iterator));
    assert_int_equal(errno, EBUSY);
    set_result(futures[2], &values[2]);
    set_error(futures[0], -EIO);
    expect_trace("a");
    assert_ptr_equal(seen_value, futures[2]);
    assert_int_equal(iofuture_iterator_index(iterator), 2);
    assert_false(iofuture_iterator_done(iterator));
    next("b"); /* done before it was asked for */
    expect_trace("ab");
    assert_ptr_equal(seen_value, futures[0]);
    assert_int_equal(iofuture_error(seen_value), -EIO);
    assert_int_equal(iofuture_iterator_index(iterator), 0);
    next("c");
    expect_trace("ab");
    set_result(futures[1], NULL);
    expect_trace("abc");
    assert_int_equal(iofuture_iterator_index(iterator), 1);
    assert_true(iofuture_iterator_done(iterator));
    assert_null(iofuture_iterator_next(iterator));
    assert_int_equal(errno, ENOENT);
    assert_ptr_equal(iofuture_result(futures[2]), &values[2]); /* there until it is closed */
    iofuture_iterator_close(iterator);
    close_loop();
}

static void an_iterator_of_nothing_is_done(void **state)
{
    open_loop();
    iterator = iofuture_iterator_new(loop, NULL, 0);
    assert_non_null(iterator);
    assert_true(iofuture_iterator_done(iterator));
    assert_null(iofuture_iterator_next(iterator));
    assert_int_equal(iofuture_iterator_index(iterator), 0);
    close_loop(); /* and the iterator with it */
}

static void a_cancelled_next_takes_nothing_away(void **state)
{
    new_iterator();
    iofuture_cancel(next("a"));
    set_result(futures[1], &values[1]);
    expect_trace("a");
    next("b");
    expect_trace("ab");
    assert_ptr_equal(seen_value, futures[1]);
    iofuture_cancel(next("c"));
    next("d");
    set_result(futures[0], NULL);
    expect_trace("abcd");
    assert_ptr_equal(seen_value, futures[0]);
    iofuture_cancel(next("e"));
    iofuture_iterator_close(iterator);
    close_loop();
    assert_string_equal(trace, "abcde");
}

static void closing_the_iterator_cancels_its_next(void **state)
{
    new_iterator();
    long before = faults_allocated() - MANY - 1;
    next("a");
    iofuture_iterator_close(iterator);
    iofuture_iterator_close(iterator);
    errno = 0;
    assert_null(iofuture_iterator_next(iterator));
    assert_int_equal(errno, EBADF);
    expect_trace("a");
    assert_int_equal(seen_error, -ECANCELED);
    for (int i = 0; i < MANY; i++)
        set_counted(futures[i]);
    testing_spin(loop, 2);
    assert_int_equal(values_left, 0);
    assert_int_equal(faults_allocated(), before);
    close_loop();
}

static void all_of_them_end_with_the_loop(void **state)
{
    new_iterator();
    next("a");
    multi_of_all();
    tell(iofuture_any(loop, futures, MANY), "y");
    set_result(futures[0], NULL);
    testing_spin(loop, 1);
    close_loop();
    assert_int_equal(strlen(trace), 3);
}

/* After that there is no loop to put the freeing off to. */
static void what_outlives_its_loop_is_freed_with_its_last_hold(void **state)
{
    new_futures();
    struct iofuture *multi = multi_of_all();
    iofuture_hold(multi);
    for (int i = 0; i < MANY; i++)
        set_counted(futures[i]);
    testing_spin(loop, 3);
    ioloop_close(loop, false);
    assert_int_equal(values_left, MANY);
    iofuture_release(multi);
    assert_int_equal(values_left, 0);
    assert_int_equal(faults_allocated(), allocated);
}

/* What is refused, and what fails. */

static void futures_of_another_loop_are_refused(void **state)
{
    new_futures();
    struct ioloop *other = ioloop_new(NULL);
    assert_null(iofuture_multi(other, futures, MANY));
    assert_int_equal(errno, EINVAL);
    assert_null(iofuture_any(other, futures, MANY));
    assert_int_equal(errno, EINVAL);
    assert_null(iofuture_iterator_new(other, futures, MANY));
    assert_int_equal(errno, EINVAL);
    ioloop_close(other, false);
    close_loop();
}

static void a_count_that_does_not_fit_into_memory_is_refused(void **state)
{
    static struct iofuture *many[1000000];
    open_loop();
    for (size_t i = 0; i < sizeof many / sizeof *many; i++)
        many[i] = i == 0 ? new_future() : many[0];
    static const size_t too_many[] = { SIZE_MAX, SIZE_MAX / 8, SIZE_MAX / 64 };
    for (size_t i = 0; i < sizeof too_many / sizeof *too_many; i++) {
        errno = 0;
        assert_null(iofuture_multi(loop, many, too_many[i]));
        assert_int_equal(errno, ENOMEM);
        assert_null(iofuture_iterator_new(loop, many, too_many[i]));
        assert_int_equal(errno, ENOMEM);
    }
    faults_allocation(1, false);
    errno = 0;
    assert_null(iofuture_multi(loop, many, sizeof many / sizeof *many));
    assert_int_equal(errno, ENOMEM);
    faults_end();
    tell(iofuture_multi(loop, many, sizeof many / sizeof *many), "m");
    set_counted(many[0]);
    expect_trace("m");
    assert_int_equal(values_left, 0);
    close_loop();
}

static void each_is_one_allocation_that_may_fail(void **state)
{
    new_iterator();
    long before = faults_allocations();
    iofuture_cancel(iofuture_multi(loop, futures, MANY));
    iofuture_cancel(iofuture_any(loop, futures, MANY));
    assert_int_equal(faults_allocations(), before + 2);
    faults_allocation(1, true);
    assert_null(iofuture_multi(loop, futures, MANY));
    assert_null(iofuture_any(loop, futures, MANY));
    assert_null(iofuture_iterator_new(loop, futures, MANY));
    assert_null(iofuture_iterator_next(iterator));
    assert_int_equal(errno, ENOMEM);
    faults_end();
    next("a");
    set_result(futures[1], NULL);
    expect_trace("a");
    assert_ptr_equal(seen_value, futures[1]);
    close_loop();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(multi_is_done_when_all_are_and_has_their_values_in_their_order),
    cmocka_unit_test(multi_waits_for_all_and_tells_the_first_error_in_their_order),
    cmocka_unit_test(multi_of_nothing_is_done),
    cmocka_unit_test(multi_takes_what_is_done_already_and_the_same_twice),
    cmocka_unit_test(values_live_as_long_as_the_multi_that_lends_them),
    cmocka_unit_test(cancelling_multi_leaves_its_futures),
    cmocka_unit_test(a_cancelled_one_of_multi_is_an_error),
    cmocka_unit_test(any_is_the_first_that_is_done),
    cmocka_unit_test(any_tells_of_a_failed_one_too),
    cmocka_unit_test(any_of_nothing_is_refused),
    cmocka_unit_test(cancelling_any_leaves_its_futures),
    cmocka_unit_test(the_iterator_goes_in_the_order_of_completion),
    cmocka_unit_test(an_iterator_of_nothing_is_done),
    cmocka_unit_test(a_cancelled_next_takes_nothing_away),
    cmocka_unit_test(closing_the_iterator_cancels_its_next),
    cmocka_unit_test(all_of_them_end_with_the_loop),
    cmocka_unit_test(what_outlives_its_loop_is_freed_with_its_last_hold),
    cmocka_unit_test(futures_of_another_loop_are_refused),
    cmocka_unit_test(a_count_that_does_not_fit_into_memory_is_refused),
    cmocka_unit_test(each_is_one_allocation_that_may_fail),
};

TESTING_MAIN(tests)
