/* Condition, Event, Semaphore and Lock, on a clock that the test moves. Those who wait note a letter each, small where
 * they got it and in capitals where time was over. */
#include "ioloop/iolocks.h"

#include "tests/support/tracedfuture.h"

static void note_outcome(struct iofuture *future, void *arg)
{
    const char *letter = arg;
    char capital = (char)(*letter - 'a' + 'A');
    int error = iofuture_error(future);

    if (error == -ECANCELED)
        note("?");
    else
        note(error == -ETIMEDOUT ? &capital : arg);
}

static struct iofuture *follow(struct iofuture *future, const char *letter)
{
    assert_int_equal(iofuture_add_callback(not_null(future), note_outcome, (void *)(uintptr_t)letter), 0);
    return future;
}

/* Condition. */

static struct iolocks_condition *condition;

static void open_condition(void)
{
    open_loop();
    condition = iolocks_condition_new(loop);
    assert_non_null(condition);
}

static void close_condition(void)
{
    iolocks_condition_close(condition);
    close_loop();
}

/* Time that is over is no error here: the value says it. */
static void note_news(struct iofuture *future, void *arg)
{
    const char *letter = arg;
    char capital = (char)(*letter - 'a' + 'A');

    if (iofuture_error(future) < 0)
        note("?");
    else
        note(iofuture_result(future) != NULL ? arg : &capital);
}

static struct iofuture *wait_for_news(const char *letter, double timeout)
{
    struct iofuture *future = not_null(iolocks_condition_wait(condition, timeout));

    assert_int_equal(iofuture_add_callback(future, note_news, (void *)(uintptr_t)letter), 0);
    return future;
}

/* locks_test:test_notify */
static void notify_wakes_who_waits(void **state)
{
    open_condition();
    wait_for_news("a", -1);
    expect_trace("");
    iolocks_condition_notify(condition, 1);
    assert_string_equal(trace, "");
    expect_trace("a");
    iolocks_condition_notify(condition, 1); /* nobody */
    wait_for_news("b", -1);
    expect_trace("a");
    close_condition();
}

/* locks_test:test_notify_1 */
static void notify_wakes_one_of_two(void **state)
{
    open_condition();
    wait_for_news("a", -1);
    wait_for_news("b", -1);
    iolocks_condition_notify(condition, 1);
    expect_trace("a");
    iolocks_condition_notify(condition, 1);
    expect_trace("ab");
    close_condition();
}

/* locks_test:test_notify_n */
static void notify_wakes_so_many_in_their_order(void **state)
{
    open_condition();
    for (int i = 0; i < 6; i++)
        wait_for_news(&"abcdef"[i], -1);
    iolocks_condition_notify(condition, 3);
    expect_trace("abc");
    iolocks_condition_notify(condition, 1);
    expect_trace("abcd");
    iolocks_condition_notify(condition, 2);
    expect_trace("abcdef");
    close_condition();
}

/* locks_test:test_notify_all */
static void notify_all_wakes_all(void **state)
{
    open_condition();
    for (int i = 0; i < 4; i++)
        wait_for_news(&"abcd"[i], -1);
    iolocks_condition_notify_all(condition);
    wait_for_news("e", -1);
    expect_trace("abcd");
    close_condition();
}

/* locks_test:test_wait_timeout */
static void a_wait_that_times_out_is_no_error_but_has_no_value(void **state)
{
    open_condition();
    wait_for_news("a", 1);
    wait_for_news("b", 0);
    move_to(100.9);
    assert_string_equal(trace, "B");
    move_to(101);
    assert_string_equal(trace, "BA");
    close_condition();
}

/* locks_test:test_wait_timeout_preempted */
static void a_notify_in_time_ends_the_timeout(void **state)
{
    open_condition();
    wait_for_news("a", 1);
    iolocks_condition_notify(condition, 1);
    move_to(102);
    assert_string_equal(trace, "a");
    assert_true(ioloop_next_timeout(loop) < 0);
    close_condition();
}

/* locks_test:test_notify_n_with_timeout */
static void notify_does_not_count_those_that_timed_out(void **state)
{
    open_condition();
    wait_for_news("a", -1);
    wait_for_news("b", 1);
    wait_for_news("c", -1);
    wait_for_news("d", -1);
    move_to(101);
    assert_string_equal(trace, "B");
    iolocks_condition_notify(condition, 2);
    expect_trace("Bac");
    iolocks_condition_notify(condition, 1);
    expect_trace("Bacd");
    close_condition();
}

/* locks_test:test_notify_all_with_timeout */
static void notify_all_skips_those_that_timed_out(void **state)
{
    open_condition();
    wait_for_news("a", -1);
    wait_for_news("b", 1);
    wait_for_news("c", -1);
    move_to(101);
    iolocks_condition_notify_all(condition);
    expect_trace("Bac");
    close_condition();
}

static void notify_the_next(struct iofuture *future, void *arg)
{
    note(arg);
    iolocks_condition_notify(condition, 1);
}

/* locks_test:test_nested_notify */
static void who_was_woken_may_notify(void **state)
{
    open_condition();
    wait_for_news("a", -1);
    assert_int_equal(iofuture_add_callback(iolocks_condition_wait(condition, -1), notify_the_next, "b"), 0);
    wait_for_news("c", -1);
    wait_for_news("d", -1);
    iolocks_condition_notify(condition, 2);
    expect_trace("abc");
    iolocks_condition_notify_all(condition);
    expect_trace("abcd");
    close_condition();
}

/* locks_test:test_garbage_collection of ConditionTest: here they leave the line one by one, and not after 100. */
static void those_that_timed_out_leave_nothing_behind(void **state)
{
    open_condition();
    long before = 0;
    for (int i = 0; i < 101; i++) {
        assert_non_null(iolocks_condition_wait(condition, 0));
        testing_spin(loop, 2);
        if (i == 0)
            before = faults_allocated();
        assert_int_equal(faults_allocated(), before);
    }
    wait_for_news("a", -1);
    iolocks_condition_notify(condition, 1);
    expect_trace("a");
    close_condition();
}

static void a_cancelled_wait_is_not_notified(void **state)
{
    open_condition();
    iofuture_cancel(wait_for_news("a", 1));
    wait_for_news("b", -1);
    iolocks_condition_notify(condition, 1);
    expect_trace("?b");
    close_condition();
}

/* Event. */

static struct iolocks_event *event;

static void open_event(void)
{
    open_loop();
    event = iolocks_event_new(loop);
    assert_non_null(event);
}

static void close_event(void)
{
    iolocks_event_close(event);
    close_loop();
}

/* locks_test:test_event */
static void an_event_lets_all_through_once_it_is_set(void **state)
{
    open_event();
    follow(iolocks_event_wait(event, -1), "a");
    follow(iolocks_event_wait(event, -1), "b");
    expect_trace("");
    assert_false(iolocks_event_is_set(event));
    iolocks_event_set(event);
    assert_true(iolocks_event_is_set(event));
    follow(iolocks_event_wait(event, -1), "c");
    expect_trace("abc");
    iolocks_event_clear(event);
    assert_false(iolocks_event_is_set(event));
    follow(iolocks_event_wait(event, -1), "d");
    expect_trace("abc");
    iolocks_event_set(event);
    expect_trace("abcd");
    close_event();
}

/* locks_test:test_event_timeout */
static void waiting_for_an_event_may_time_out(void **state)
{
    open_event();
    follow(iolocks_event_wait(event, 1), "a");
    move_to(101);
    assert_string_equal(trace, "A");
    follow(iolocks_event_wait(event, 1), "b");
    iolocks_event_set(event);
    move_to(103);
    assert_string_equal(trace, "Ab");
    close_event();
}

/* locks_test:test_event_set_multiple */
static void setting_an_event_twice_changes_nothing(void **state)
{
    open_event();
    iolocks_event_set(event);
    iolocks_event_set(event);
    assert_true(iolocks_event_is_set(event));
    iolocks_event_clear(event);
    assert_false(iolocks_event_is_set(event));
    close_event();
}

/* locks_test:test_event_wait_clear */
static void who_was_released_stays_so_when_it_is_cleared(void **state)
{
    open_event();
    follow(iolocks_event_wait(event, -1), "a");
    iolocks_event_set(event);
    iolocks_event_clear(event);
    follow(iolocks_event_wait(event, -1), "b");
    expect_trace("a");
    close_event();
}

/* Semaphore. */

static struct iolocks_semaphore *semaphore;

static void open_semaphore(int permits)
{
    open_loop();
    semaphore = iolocks_semaphore_new(loop, permits);
    assert_non_null(semaphore);
}

static void close_semaphore(void)
{
    iolocks_semaphore_close(semaphore);
    close_loop();
}

static void acquire(const char *letter, double timeout)
{
    follow(iolocks_semaphore_acquire(semaphore, timeout), letter);
}

static void release(void)
{
    assert_int_equal(iolocks_semaphore_release(semaphore), 0);
}

/* locks_test:test_negative_value */
static void fewer_permits_than_none_are_refused(void **state)
{
    open_semaphore(0);
    errno = 0;
    assert_null(iolocks_semaphore_new(loop, -1));
    assert_int_equal(errno, EINVAL);
    assert_null(iolocks_semaphore_new_bounded(loop, -1));
    close_semaphore();
}

/* locks_test:test_acquire */
static void permits_go_to_those_who_wait_in_their_order(void **state)
{
    open_semaphore(1);
    acquire("a", -1);
    acquire("b", -1);
    acquire("c", -1);
    expect_trace("a");
    release();
    acquire("d", -1); /* after those who wait */
    expect_trace("ab");
    release();
    release();
    expect_trace("abcd");
    release();
    acquire("e", -1);
    expect_trace("abcde");
    close_semaphore();
}

/* locks_test:test_acquire_timeout */
static void an_acquire_that_times_out_takes_no_permit(void **state)
{
    open_semaphore(2);
    acquire("a", -1);
    acquire("b", -1);
    acquire("c", 1);
    acquire("d", -1);
    move_to(101);
    assert_string_equal(trace, "abC");
    release();
    expect_trace("abCd");
    release();
    acquire("e", 0);
    expect_trace("abCde");
    close_semaphore();
}

/* locks_test:test_acquire_timeout_preempted */
static void a_release_in_time_ends_the_timeout(void **state)
{
    open_semaphore(1);
    acquire("a", -1);
    acquire("b", 1);
    release();
    move_to(102);
    assert_string_equal(trace, "ab");
    assert_true(ioloop_next_timeout(loop) < 0);
    close_semaphore();
}

/* locks_test:test_release_unacquired */
static void a_release_without_acquire_is_one_permit_more(void **state)
{
    open_semaphore(0);
    release();
    release();
    acquire("a", -1);
    acquire("b", -1);
    acquire("c", -1);
    expect_trace("ab");
    close_semaphore();
}

/* locks_test:test_garbage_collection of SemaphoreTest */
static void acquires_that_timed_out_leave_nothing_behind(void **state)
{
    open_semaphore(1);
    acquire("a", -1);
    testing_spin(loop, 2);
    long before = 0;
    for (int i = 0; i < 101; i++) {
        assert_non_null(iolocks_semaphore_acquire(semaphore, 0));
        testing_begin_logs(); /* nobody asks for the error */
        testing_spin(loop, 2);
        assert_int_equal(testing_logs("timed out"), 1);
        testing_end_logs();
        if (i == 0)
            before = faults_allocated();
        assert_int_equal(faults_allocated(), before);
    }
    release();
    acquire("b", -1);
    expect_trace("ab");
    close_semaphore();
}

static void a_cancelled_acquire_takes_no_permit(void **state)
{
    open_semaphore(0);
    iofuture_cancel(follow(iolocks_semaphore_acquire(semaphore, 1), "a"));
    acquire("b", -1);
    release();
    expect_trace("?b");
    close_semaphore();
}

/* locks_test:test_release_unacquired of BoundedSemaphoreTest */
static void a_bounded_semaphore_takes_no_more_than_it_gave(void **state)
{
    open_loop();
    semaphore = iolocks_semaphore_new_bounded(loop, 2);
    assert_non_null(semaphore);
    assert_int_equal(iolocks_semaphore_release(semaphore), -EINVAL);
    acquire("a", -1);
    release();
    assert_int_equal(iolocks_semaphore_release(semaphore), -EINVAL);
    acquire("b", -1);
    acquire("c", -1);
    acquire("d", -1);
    release();
    release();
    release();
    assert_int_equal(iolocks_semaphore_release(semaphore), -EINVAL);
    expect_trace("abcd");
    close_semaphore();
}

/* Lock. */

static struct iolocks_lock *lock;

static void open_lock(void)
{
    open_loop();
    lock = iolocks_lock_new(loop);
    assert_non_null(lock);
}

static void close_lock(void)
{
    iolocks_lock_close(lock);
    close_loop();
}

static void take_lock(const char *letter, double timeout)
{
    follow(iolocks_lock_acquire(lock, timeout), letter);
}

/* locks_test:test_acquire_release */
static void a_lock_is_held_by_one(void **state)
{
    open_lock();
    take_lock("a", -1);
    take_lock("b", -1);
    expect_trace("a");
    assert_int_equal(iolocks_lock_release(lock), 0);
    expect_trace("ab");
    assert_int_equal(iolocks_lock_release(lock), 0);
    take_lock("c", -1);
    expect_trace("abc");
    close_lock();
}

static void work_and_release(struct iofuture *future, void *arg)
{
    note(arg);
    assert_int_equal(iolocks_lock_release(lock), 0);
}

/* locks_test:test_acquire_fifo */
static void a_lock_goes_from_hand_to_hand_in_order(void **state)
{
    open_lock();
    take_lock("z", -1);
    for (int i = 0; i < 5; i++)
        assert_int_equal(
            iofuture_add_callback(iolocks_lock_acquire(lock, -1), work_and_release, (void *)(uintptr_t) & "abcde"[i]),
            0);
    expect_trace("z");
    assert_int_equal(iolocks_lock_release(lock), 0);
    expect_trace("zabcde");
    assert_int_equal(iolocks_lock_release(lock), -EPERM);
    close_lock();
}

/* locks_test:test_acquire_timeout of LockTests */
static void waiting_for_a_lock_may_time_out(void **state)
{
    open_lock();
    take_lock("a", -1);
    take_lock("b", 1);
    move_to(101);
    assert_string_equal(trace, "aB");
    assert_int_equal(iolocks_lock_release(lock), 0);
    take_lock("c", 1);
    move_to(103);
    assert_string_equal(trace, "aBc");
    close_lock();
}

/* locks_test:test_multi_release */
static void releasing_what_nobody_holds_is_an_error(void **state)
{
    open_lock();
    assert_int_equal(iolocks_lock_release(lock), -EPERM);
    take_lock("a", -1);
    assert_int_equal(iolocks_lock_release(lock), 0);
    assert_int_equal(iolocks_lock_release(lock), -EPERM);
    close_lock();
}

/* Life of all four. */

static void new_ones(void)
{
    condition = iolocks_condition_new(loop);
    event = iolocks_event_new(loop);
    semaphore = iolocks_semaphore_new(loop, 0);
    lock = iolocks_lock_new(loop);
}

static void wait_for_all(double timeout)
{
    wait_for_news("a", timeout);
    follow(iolocks_event_wait(event, timeout), "b");
    acquire("c", timeout);
    take_lock("d", timeout);
    take_lock("e", timeout);
}

static void close_all(void)
{
    iolocks_condition_close(condition);
    iolocks_event_close(event);
    iolocks_semaphore_close(semaphore);
    iolocks_lock_close(lock);
}

static void closing_them_cancels_who_waits(void **state)
{
    open_loop();
    new_ones();
    wait_for_all(1);
    close_all();
    close_all();
    errno = 0;
    assert_null(iolocks_condition_wait(condition, -1));
    assert_int_equal(errno, EBADF);
    assert_null(iolocks_event_wait(event, -1));
    assert_null(iolocks_semaphore_acquire(semaphore, -1));
    assert_null(iolocks_lock_acquire(lock, -1));
    assert_int_equal(errno, EBADF);
    iolocks_condition_notify_all(condition);
    iolocks_event_set(event);
    assert_int_equal(iolocks_lock_release(lock), 0); /* d was not cancelled: it had the lock */
    testing_spin(loop, 3);
    assert_int_equal(strlen(trace), 5);
    assert_non_null(strchr(trace, 'd'));
    assert_true(ioloop_next_timeout(loop) < 0);
    close_loop();
}

static void they_end_with_their_loop(void **state)
{
    open_loop();
    new_ones();
    wait_for_all(1);
    wait_for_all(-1);
    close_loop();
    assert_int_equal(strlen(trace), 10);
    loop = ioloop_new(NULL);
    ioloop_hold(loop);
    ioloop_close(loop, false);
    assert_null(iolocks_lock_new(loop));
    assert_int_equal(errno, EBADF);
    ioloop_release(loop);
}

static void close_them_in(struct iofuture *future, void *arg)
{
    close_all();
}

static void they_may_be_closed_in_a_callback_of_their_own(void **state)
{
    open_loop();
    new_ones();
    assert_int_equal(iofuture_add_callback(iolocks_condition_wait(condition, -1), close_them_in, NULL), 0);
    wait_for_all(-1);
    iolocks_condition_notify(condition, 1);
    expect_trace("d????");
    close_loop();
}

static void without_memory_they_say_so(void **state)
{
    open_loop();
    faults_allocation(1, true);
    assert_null(iolocks_condition_new(loop));
    assert_null(iolocks_event_new(loop));
    assert_null(iolocks_semaphore_new(loop, 1));
    errno = 0;
    assert_null(iolocks_lock_new(loop));
    assert_int_equal(errno, ENOMEM);
    faults_end();
    new_ones();
    for (int nth = 1; nth < 4; nth++) {
        faults_allocation(nth, true);
        long before = faults_allocated();
        errno = 0;
        struct iofuture *future = iolocks_semaphore_acquire(semaphore, 1);
        if (future == NULL) {
            assert_int_equal(errno, ENOMEM);
            assert_int_equal(faults_allocated(), before + (nth > 2 ? nth - 2 : 0)); /* room for timeouts */
        } else {
            iofuture_cancel(future);
        }
        faults_allocation(1, true);
        assert_null(iolocks_lock_acquire(lock, -1)); /* and the permit is still there */
        faults_end();
    }
    take_lock("a", -1);
    release();
    acquire("b", 0);
    expect_trace("ab");
    close_loop();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(notify_wakes_who_waits),
    cmocka_unit_test(notify_wakes_one_of_two),
    cmocka_unit_test(notify_wakes_so_many_in_their_order),
    cmocka_unit_test(notify_all_wakes_all),
    cmocka_unit_test(a_wait_that_times_out_is_no_error_but_has_no_value),
    cmocka_unit_test(a_notify_in_time_ends_the_timeout),
    cmocka_unit_test(notify_does_not_count_those_that_timed_out),
    cmocka_unit_test(notify_all_skips_those_that_timed_out),
    cmocka_unit_test(who_was_woken_may_notify),
    cmocka_unit_test(those_that_timed_out_leave_nothing_behind),
    cmocka_unit_test(a_cancelled_wait_is_not_notified),
    cmocka_unit_test(an_event_lets_all_through_once_it_is_set),
    cmocka_unit_test(waiting_for_an_event_may_time_out),
    cmocka_unit_test(setting_an_event_twice_changes_nothing),
    cmocka_unit_test(who_was_released_stays_so_when_it_is_cleared),
    cmocka_unit_test(fewer_permits_than_none_are_refused),
    cmocka_unit_test(permits_go_to_those_who_wait_in_their_order),
    cmocka_unit_test(an_acquire_that_times_out_takes_no_permit),
    cmocka_unit_test(a_release_in_time_ends_the_timeout),
    cmocka_unit_test(a_release_without_acquire_is_one_permit_more),
    cmocka_unit_test(acquires_that_timed_out_leave_nothing_behind),
    cmocka_unit_test(a_cancelled_acquire_takes_no_permit),
    cmocka_unit_test(a_bounded_semaphore_takes_no_more_than_it_gave),
    cmocka_unit_test(a_lock_is_held_by_one),
    cmocka_unit_test(a_lock_goes_from_hand_to_hand_in_order),
    cmocka_unit_test(waiting_for_a_lock_may_time_out),
    cmocka_unit_test(releasing_what_nobody_holds_is_an_error),
    cmocka_unit_test(closing_them_cancels_who_waits),
    cmocka_unit_test(they_end_with_their_loop),
    cmocka_unit_test(they_may_be_closed_in_a_callback_of_their_own),
    cmocka_unit_test(without_memory_they_say_so),
};

TESTING_MAIN(tests)
