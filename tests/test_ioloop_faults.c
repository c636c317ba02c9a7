/* Every allocation and every system call of a loop fails, one after the other. What was accepted still happens, once;
 * what was refused does not; nothing leaks, and afterwards the loop works as before. */
#include "ioloop/ioloop.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "ioloop/deadlines.h"
#include "ioloop/periodiccallback.h"
#include "tests/support/tracedloop.h"

enum { MANY = 100 };

/* Of each kind of thing: how many the loop has taken on, and how many have happened. */
static struct tally {
    int accepted, ran;
} callbacks, inner_callbacks, from_signals, timeouts, handlers, signals, deadlines, periods;

static struct deadline deadline;
static struct periodiccallback *periodic;
static int pairs[3][2];
static int refusals;

static void count_it(void *arg)
{
    ((struct tally *)arg)->ran++;
}

static void accept(struct tally *tally, int result)
{
    if (result == 0)
        tally->accepted++;
    else
        refusals++;
}

static void add_inner_callbacks(void *arg)
{
    count_it(arg);
    for (int i = 0; i < MANY; i++)
        accept(&inner_callbacks, ioloop_add_callback(loop, count_it, &inner_callbacks));
}

static void add_callbacks(void)
{
    for (int i = 0; i < MANY; i++)
        accept(&callbacks, ioloop_add_callback(loop, i == 0 ? add_inner_callbacks : count_it, &callbacks));
    ioloop_next_timeout(loop); /* it counts as sleeping: the next one wakes it */
    accept(&from_signals, ioloop_add_callback_from_signal(loop, count_it, &from_signals));
}

static void add_timeouts(void)
{
    for (int i = 0; i < MANY; i++)
        accept(&timeouts, ioloop_call_later(loop, i % 3, count_it, &timeouts) != 0 ? 0 : -1);
}

static void on_ready(int fd, unsigned events, void *arg)
{
    char byte;

    if ((events & IOLOOP_READ) != 0 && read(fd, &byte, 1) == 1)
        handlers.ran++;
}

/* One is added for reading, one comes to read by an update, one has a number that makes the table grow. */
static void add_handlers(void)
{
    accept(&handlers, ioloop_add_handler(loop, pairs[0][0], on_ready, NULL, IOLOOP_READ));
    if (ioloop_add_handler(loop, pairs[1][0], on_ready, NULL, IOLOOP_NONE) < 0 ||
        ioloop_update_handler(loop, pairs[1][0], IOLOOP_READ) < 0)
        ioloop_remove_handler(loop, pairs[1][0]);
    else
        handlers.accepted++;
    accept(&handlers, ioloop_add_handler(loop, pairs[2][0], on_ready, NULL, IOLOOP_READ));
}

static void on_signal(int signal_number, void *arg)
{
    count_it(arg);
}

static void add_signal(void)
{
    accept(&signals, ioloop_add_signal(loop, SIGUSR1, on_signal, &signals));
    if (signals.accepted > 0)
        raise(SIGUSR1);
}

static void expire(struct deadline *expired)
{
    deadlines.ran++;
}

static void note_period(void *arg)
{
    if (periods.ran < periods.accepted)
        count_it(arg);
}

static void add_periodic(void)
{
    accept(&deadlines, deadline_set(loop, &deadline, 1, expire));
    periodic = periodiccallback_new(loop, 1, note_period, &periods);
    accept(&periods, periodic != NULL ? periodiccallback_start(periodic) : -1);
}

/* A turn may fail; then there is another. */
static void turn(void)
{
    if (ioloop_run_once(loop, 0) < 0)
        refusals++;
}

static void check_tally(const char *name, const struct tally *tally)
{
    if (tally->ran != tally->accepted)
        fail_msg("%s: %d accepted, %d ran", name, tally->accepted, tally->ran);
}

static void check_tallies(void)
{
    check_tally("callbacks", &callbacks);
    check_tally("callbacks of callbacks", &inner_callbacks);
    check_tally("callbacks of signal handlers", &from_signals);
    check_tally("timeouts", &timeouts);
    check_tally("handlers", &handlers);
    check_tally("signals", &signals);
    check_tally("deadlines", &deadlines);
    check_tally("periods", &periods);
}

static void forget_tallies(void)
{
    static const struct tally none;

    callbacks = inner_callbacks = from_signals = timeouts = handlers = signals = deadlines = periods = none;
    refusals = 0;
}

/* Nothing fails any more: all of it is accepted. */
static void check_that_the_loop_works(void)
{
    forget_tallies();
    deadline_clear(&deadline);
    if (periodic != NULL)
        periodiccallback_close(periodic);
    ioloop_remove_signal(loop, SIGUSR1);
    for (int i = 0; i < 3; i++) {
        char byte;

        ioloop_remove_handler(loop, pairs[i][0]);
        while (read(pairs[i][0], &byte, 1) == 1)
            continue;
        assert_int_equal(write(pairs[i][1], "x", 1), 1);
    }
    add_callbacks();
    add_timeouts();
    add_handlers();
    add_signal();
    add_periodic();
    assert_int_equal(refusals, 0);
}

static void turn_until_all_is_over(void)
{
    for (int i = 0; i < 10; i++) {
        the_time += 1;
        turn();
    }
}

/* Answers false when not even a loop could be made. */
static bool use_a_loop(void)
{
    loop = ioloop_new(&(struct ioloop_options){ .clock = testing_clock, .clock_arg = &the_time });
    if (loop == NULL)
        return false;
    add_callbacks();
    add_timeouts();
    turn();
    add_handlers();
    add_signal();
    add_periodic();
    turn_until_all_is_over();
    faults_end();
    turn_until_all_is_over();
    check_tallies();
    check_that_the_loop_works();
    turn_until_all_is_over();
    check_tallies();
    ioloop_close(loop, false);
    return true;
}

static void open_pairs(void)
{
    for (int i = 0; i < 3; i++) {
        testing_socketpair(pairs[i]);
        assert_int_equal(write(pairs[i][1], "x", 1), 1);
    }
    assert_int_equal(dup2(pairs[2][0], 300), 300);
    close(pairs[2][0]);
    pairs[2][0] = 300;
}

/* With the fault that is ordered. */
static void scenario(void (*order)(int nth), int nth)
{
    long before = faults_allocated();
    int fds = testing_count_fds();

    forget_tallies();
    deadline = (struct deadline){ .link = NULL };
    periodic = NULL;
    the_time = 100;
    open_pairs();
    testing_begin_logs();
    order(nth);
    errno = 0;
    bool was_made = use_a_loop();
    if (!was_made)
        assert_int_not_equal(errno, 0);
    faults_end();
    testing_end_logs();
    for (int i = 0; i < 3; i++)
        close_both(pairs[i]);
    assert_int_equal(faults_allocated(), before);
    assert_int_equal(testing_count_fds(), fds);
}

static void fail_one_allocation(int nth)
{
    faults_allocation(nth, false);
}

static void fail_allocations_from(int nth)
{
    faults_allocation(nth, true);
}

static void sweep(void (*order)(int nth), int least)
{
    int nth = 1;

    for (;; nth++) {
        scenario(order, nth);
        if (!faults_hit())
            break;
    }
    assert_true(nth > least); /* else it was no sweep */
}

static void each_allocation_may_fail(void **state)
{
    sweep(fail_one_allocation, 15);
}

static void all_allocations_from_one_on_may_fail(void **state)
{
    sweep(fail_allocations_from, 15);
}

static const char *call;
static int call_error;

static void fail_one_call(int nth)
{
    faults_system_call(call, call_error, nth);
}

static void fail_calls_from(int nth)
{
    faults_system_call_sticky(call, call_error, nth);
}

static const struct {
    const char *call;
    int error;
} failures[] = {
    { "epoll_create1", EMFILE }, { "epoll_create1", ENFILE }, { "epoll_create1", ENOMEM },
    { "eventfd", EMFILE },       { "eventfd", ENFILE },       { "eventfd", ENODEV },
    { "eventfd", ENOMEM },       { "epoll_ctl", ENOMEM },     { "epoll_ctl", ENOSPC },
    { "epoll_ctl", EPERM },      { "epoll_wait", EINTR },     { "epoll_wait", EINVAL },
    { "epoll_wait", EBADF },     { "write", EAGAIN },         { "write", EINTR },
    { "fcntl", EBADF },          { "close", EINTR },          { "close", EIO },
};

static void each_system_call_may_fail(void **state)
{
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        call = failures[i].call;
        call_error = failures[i].error;
        sweep(fail_one_call, 0);
    }
}

static void all_system_calls_from_one_on_may_fail(void **state)
{
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        call = failures[i].call;
        call_error = failures[i].error;
        for (int nth = 1; nth <= 8; nth++)
            scenario(fail_calls_from, nth);
    }
}

/* The turn does not wait, for there is more to do. */
static void stop_in_the_next_turn(void *arg)
{
    note(arg);
    add_callback(stop, NULL);
}

/* An interrupt is no error; any other ends the start, which can be tried again. */
static void a_start_ends_with_the_error_of_its_wait(void **state)
{
    open_loop();
    faults_system_call("epoll_wait", EINTR, 1);
    add_callback(stop_in_the_next_turn, "a");
    assert_int_equal(ioloop_start(loop), 0);
    faults_system_call("epoll_wait", EINVAL, 1);
    add_callback(stop_in_the_next_turn, "b");
    int error = ioloop_start(loop);
    if (faults_hit()) {
        assert_int_equal(error, -EINVAL);
        add_callback(note, "c");
        assert_int_equal(ioloop_start(loop), 0);
    } else {
        note("c");
    }
    assert_string_equal(trace, "abc");
    close_loop();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_allocation_may_fail),
    cmocka_unit_test(all_allocations_from_one_on_may_fail),
    cmocka_unit_test(each_system_call_may_fail),
    cmocka_unit_test(all_system_calls_from_one_on_may_fail),
    cmocka_unit_test(a_start_ends_with_the_error_of_its_wait),
};

TESTING_MAIN(tests)
