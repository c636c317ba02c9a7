/* Queues, on a clock that the test moves: getting, putting, joining. */
#include "ioloop/ioqueue.h"

#include "tests/support/tracedqueue.h"

/* queues_test:test_order */
static void the_first_in_is_the_first_out(void **state)
{
    static const char *const items[] = { "1", "3", "2" };

    open_queue(0);
    for (int i = 0; i < 3; i++)
        put(items[i]);
    for (int i = 0; i < 3; i++)
        expect_item(items[i]);
    expect_empty();
    close_queue();
}

/* queues_test:test_maxsize */
static void a_size_below_0_is_refused(void **state)
{
    open_queue(0);
    errno = 0;
    assert_null(ioqueue_new(loop, -1));
    assert_int_equal(errno, EINVAL);
    assert_null(ioqueue_new_lifo(loop, -1));
    assert_null(ioqueue_new_priority(loop, -1, NULL));
    assert_int_equal(ioqueue_maxsize(queue), 0);
    assert_true(ioqueue_empty(queue));
    assert_false(ioqueue_full(queue));
    close_queue();
    open_queue(2);
    assert_int_equal(ioqueue_maxsize(queue), 2);
    assert_false(ioqueue_full(queue));
    put("a");
    put("b");
    assert_false(ioqueue_empty(queue));
    assert_true(ioqueue_full(queue));
    assert_int_equal(ioqueue_qsize(queue), 2);
    assert_int_equal(ioqueue_put_nowait(queue, text("c")), -EAGAIN);
    expect_item("a");
    close_queue();
}

/* Getting. */

/* queues_test:test_blocking_get */
static void get_takes_what_is_there(void **state)
{
    open_queue(0);
    put("a");
    assert_true(iofuture_done(get(-1)));
    expect_trace("a");
    close_queue();
}

/* queues_test:test_nonblocking_get, queues_test:test_nonblocking_get_exception */
static void get_nowait_takes_what_is_there_or_nothing(void **state)
{
    open_queue(0);
    put("a");
    expect_item("a");
    expect_empty();
    close_queue();
}

/* queues_test:test_get_with_putters */
static void get_lets_the_next_putter_in(void **state)
{
    open_queue(1);
    put("a");
    put_later("b", -1);
    put_later("c", -1);
    get(-1);
    expect_trace("ba");
    assert_true(ioqueue_full(queue));
    expect_item("b");
    expect_trace("bac");
    expect_item("c");
    expect_empty();
    close_queue();
}

/* queues_test:test_blocking_get_wait */
static void getters_wait_in_their_order(void **state)
{
    open_queue(0);
    get(-1);
    get(-1);
    expect_trace("");
    put("a");
    put("b");
    assert_true(ioqueue_empty(queue));
    expect_trace("ab");
    close_queue();
}

/* queues_test:test_get_timeout */
static void a_get_that_times_out_takes_nothing(void **state)
{
    open_queue(0);
    get(1);
    struct iofuture *second = get(-1);
    move_to(101);
    assert_string_equal(trace, "!");
    put("a");
    expect_trace("!a");
    assert_int_equal(seen_error, 0);
    put("b");
    expect_item("b");
    assert_non_null(second);
    close_queue();
}

/* queues_test:test_get_zero_timeout */
static void a_timeout_of_0_is_over_in_the_next_iteration(void **state)
{
    open_queue(0);
    struct iofuture *future = get(0);
    assert_false(iofuture_done(future));
    expect_trace("!");
    get(0);
    put("a"); /* in this iteration it is in time */
    expect_trace("!a");
    close_queue();
}

/* queues_test:test_get_timeout_preempted */
static void an_item_that_comes_in_time_ends_the_timeout(void **state)
{
    open_queue(0);
    get(1);
    put("a");
    move_to(102);
    assert_string_equal(trace, "a");
    assert_true(ioloop_next_timeout(loop) < 0);
    close_queue();
}

/* queues_test:test_get_clears_timed_out_putters */
static void a_get_passes_over_putters_that_timed_out(void **state)
{
    open_queue(1);
    put("a");
    put_later("b", 1);
    put_later("c", 1);
    put_later("d", -1);
    move_to(101);
    assert_string_equal(trace, "b!c!");
    expect_item("a");
    expect_item("d");
    expect_empty();
    close_queue();
}

/* queues_test:test_get_clears_timed_out_getters */
static void a_get_stands_behind_nobody_who_timed_out(void **state)
{
    open_queue(0);
    long before = 0;
    for (int i = 0; i < 10; i++) {
        get(1);
        move_to(the_time + 1);
        if (i == 0)
            before = faults_allocated();
    }
    assert_int_equal(faults_allocated(), before);
    assert_string_equal(trace, "!!!!!!!!!!");
    get(-1);
    put("a");
    expect_trace("!!!!!!!!!!a");
    close_queue();
}

static void a_cancelled_get_takes_nothing(void **state)
{
    open_queue(0);
    get(0);
    testing_spin(loop, 2);
    long before = faults_allocated();
    iofuture_cancel(get(1));
    testing_spin(loop, 1);
    assert_int_equal(faults_allocated(), before);
    get(-1);
    put("a");
    expect_trace("!?a");
    assert_true(ioloop_next_timeout(loop) < 0);
    close_queue();
}

/* Putting. */

/* queues_test:test_blocking_put */
static void put_is_done_where_there_is_room(void **state)
{
    open_queue(0);
    assert_true(iofuture_done(put_later("a", -1)));
    expect_trace("a");
    expect_item("a");
    close_queue();
}

/* queues_test:test_nonblocking_put_exception */
static void put_nowait_is_refused_when_it_is_full(void **state)
{
    open_queue(1);
    put("a");
    assert_int_equal(ioqueue_put_nowait(queue, text("b")), -EAGAIN);
    assert_int_equal(ioqueue_qsize(queue), 1);
    close_queue();
}

/* queues_test:test_put_with_getters, queues_test:test_nonblocking_put_with_getters */
static void put_hands_over_to_who_waits(void **state)
{
    open_queue(1);
    get(-1);
    get(-1);
    assert_true(iofuture_done(put_later("a", -1)));
    expect_trace("aa");
    assert_true(ioqueue_empty(queue));
    put("b");
    expect_trace("aab");
    assert_true(ioqueue_empty(queue));
    close_queue();
}

/* queues_test:test_blocking_put_wait */
static void putters_wait_in_their_order(void **state)
{
    open_queue(1);
    put("x");
    put_later("a", -1);
    put_later("b", -1);
    expect_trace("");
    expect_item("x");
    expect_item("a");
    expect_item("b");
    expect_empty();
    expect_trace("ab");
    close_queue();
}

/* queues_test:test_put_timeout */
static void the_item_of_a_put_that_timed_out_never_appears(void **state)
{
    open_queue(1);
    put("x");
    put_later("a", 1);
    put_later("b", -1);
    move_to(101);
    assert_string_equal(trace, "a!");
    expect_item("x");
    expect_item("b");
    expect_empty();
    expect_trace("a!b");
    close_queue();
}

/* queues_test:test_put_timeout_preempted */
static void room_in_time_ends_the_timeout_of_a_put(void **state)
{
    open_queue(1);
    put("x");
    put_later("a", 1);
    expect_item("x");
    move_to(102);
    assert_string_equal(trace, "a");
    expect_item("a");
    close_queue();
}

/* queues_test:test_put_clears_timed_out_putters */
static void a_put_stands_behind_nobody_who_timed_out(void **state)
{
    open_queue(1);
    put("x");
    put_later("a", 1);
    put_later("b", 1);
    move_to(101);
    put_later("c", -1);
    expect_item("x");
    expect_item("c");
    expect_empty();
    expect_trace("a!b!c");
    close_queue();
}

/* queues_test:test_put_clears_timed_out_getters */
static void a_put_passes_over_getters_that_timed_out(void **state)
{
    open_queue(0);
    get(1);
    get(-1);
    get(1);
    move_to(101);
    assert_string_equal(trace, "!!");
    put("a");
    put("b");
    expect_trace("!!a");
    expect_item("b");
    close_queue();
}

static void a_cancelled_put_puts_nothing(void **state)
{
    open_queue(1);
    put("x");
    iofuture_cancel(put_later("a", -1));
    put_later("b", -1);
    expect_item("x");
    expect_item("b");
    expect_empty();
    expect_trace("a?b");
    close_queue();
}

/* Joining. */

/* queues_test:test_task_done_underflow */
static void more_task_done_than_items_is_an_error(void **state)
{
    open_queue(0);
    assert_int_equal(ioqueue_task_done(queue), -EINVAL);
    put("a");
    expect_item("a");
    assert_int_equal(ioqueue_task_done(queue), 0);
    assert_int_equal(ioqueue_task_done(queue), -EINVAL);
    close_queue();
}

/* queues_test:test_task_done, queues_test:test_task_done_delay */
static void join_waits_until_each_item_is_done(void **state)
{
    open_queue(1);
    get(-1);
    put("a"); /* handed over: it counts */
    put("b");
    put_later("c", -1); /* it counts when it is in */
    tell(ioqueue_join(queue, -1), "j");
    tell(ioqueue_join(queue, -1), "k");
    expect_item("b");
    expect_item("c");
    for (int i = 0; i < 3; i++) {
        expect_trace("ac");
        assert_int_equal(ioqueue_task_done(queue), 0);
    }
    put("d"); /* who was to be told stays so */
    expect_trace("acjk");
    assert_int_equal(seen_error, 0);
    close_queue();
}

/* queues_test:test_join_empty_queue */
static void join_of_an_empty_queue_is_done(void **state)
{
    open_queue(0);
    tell(ioqueue_join(queue, -1), "j");
    expect_trace("j");
    close_queue();
}

/* queues_test:test_join_timeout */
static void join_may_time_out(void **state)
{
    open_queue(0);
    put("a");
    tell(ioqueue_join(queue, 1), "j");
    move_to(101);
    assert_string_equal(trace, "j");
    assert_int_equal(seen_error, -ETIMEDOUT);
    tell(ioqueue_join(queue, 1), "k");
    assert_int_equal(ioqueue_task_done(queue), 0);
    expect_trace("jk");
    assert_int_equal(seen_error, 0);
    close_queue();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_first_in_is_the_first_out),
    cmocka_unit_test(a_size_below_0_is_refused),
    cmocka_unit_test(get_takes_what_is_there),
    cmocka_unit_test(get_nowait_takes_what_is_there_or_nothing),
    cmocka_unit_test(get_lets_the_next_putter_in),
    cmocka_unit_test(getters_wait_in_their_order),
    cmocka_unit_test(a_get_that_times_out_takes_nothing),
    cmocka_unit_test(a_timeout_of_0_is_over_in_the_next_iteration),
    cmocka_unit_test(an_item_that_comes_in_time_ends_the_timeout),
    cmocka_unit_test(a_get_passes_over_putters_that_timed_out),
    cmocka_unit_test(a_get_stands_behind_nobody_who_timed_out),
    cmocka_unit_test(a_cancelled_get_takes_nothing),
    cmocka_unit_test(put_is_done_where_there_is_room),
    cmocka_unit_test(put_nowait_is_refused_when_it_is_full),
    cmocka_unit_test(put_hands_over_to_who_waits),
    cmocka_unit_test(putters_wait_in_their_order),
    cmocka_unit_test(the_item_of_a_put_that_timed_out_never_appears),
    cmocka_unit_test(room_in_time_ends_the_timeout_of_a_put),
    cmocka_unit_test(a_put_stands_behind_nobody_who_timed_out),
    cmocka_unit_test(a_put_passes_over_getters_that_timed_out),
    cmocka_unit_test(a_cancelled_put_puts_nothing),
    cmocka_unit_test(more_task_done_than_items_is_an_error),
    cmocka_unit_test(join_waits_until_each_item_is_done),
    cmocka_unit_test(join_of_an_empty_queue_is_done),
    cmocka_unit_test(join_may_time_out),
};

TESTING_MAIN(tests)
