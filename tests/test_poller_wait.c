/* What a kernel queue promises, for each poller by the same tests: waking and waiting. */
#include "ioloop/poller.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "ioloop/ioloop.h"
#include "tests/support/faults.h"
#include "tests/support/pollerscene.h"
#include "tests/support/testing.h"

/* Waking. */

static void a_wakeup_before_the_wait_ends_it_and_is_no_event(void **state)
{
    struct poller *poller = new_poller();
    struct poller_event ready[4];

    for (int i = 0; i < 3; i++) {
        poller_wake(poller);
        assert_int_equal(wait_for_events(poller, ready, 4, -1), 0);
        poller_wake(poller);
        int64_t start = nanoseconds_now();
        assert_int_equal(wait_for_events(poller, ready, 4, LONG), 0);
        assert_true(nanoseconds_now() - start < LONG);
    }
    poller_free(poller);
}

static void a_thousand_wakeups_end_one_wait(void **state)
{
    struct poller *poller = new_poller();
    struct poller_event ready[4];

    for (int i = 0; i < 3; i++) {
        for (int wakeup = 0; wakeup < 1000; wakeup++)
            poller_wake(poller);
        assert_int_equal(wait_for_events(poller, ready, 4, -1), 0);
        int64_t start = nanoseconds_now();
        assert_int_equal(wait_for_events(poller, ready, 4, A_MOMENT), 0);
        assert_true(nanoseconds_now() - start >= A_MOMENT);
    }
    poller_free(poller);
}

/* The pipe that stands in for user events somewhere holds 64 KiB. */
static void a_hundred_thousand_wakeups_block_nobody(void **state)
{
    struct poller *poller = new_poller();
    struct poller_event ready[4];

    for (int wakeup = 0; wakeup < 100000; wakeup++)
        poller_wake(poller);
    assert_int_equal(wait_for_events(poller, ready, 4, -1), 0);
    assert_int_equal(wait_for(poller, -1), IOLOOP_NONE);
    poller_wake(poller);
    assert_int_equal(wait_for_events(poller, ready, 4, -1), 0);
    poller_free(poller);
}

static void a_wakeup_hides_no_event(void **state)
{
    struct poller *poller = new_poller();
    int fds[2];

    testing_socketpair(fds);
    assert_int_equal(poller_add(poller, fds[0], IOLOOP_READ, 1), 0);
    put(fds[1], "x");
    poller_wake(poller);
    assert_int_equal(wait_for(poller, fds[0]), IOLOOP_READ);
    assert_int_equal(wait_for(poller, fds[0]), IOLOOP_READ);
    close_both(fds);
    poller_free(poller);
}

static void *wake_later(void *arg)
{
    nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    poller_wake(arg);
    return NULL;
}

static void another_thread_wakes_a_wait(void **state)
{
    struct poller *poller = new_poller();
    struct poller_event ready[4];
    pthread_t thread;

    for (int i = 0; i < 20; i++) {
        assert_int_equal(pthread_create(&thread, NULL, wake_later, poller), 0);
        assert_int_equal(wait_for_events(poller, ready, 4, i % 2 == 0 ? -1 : LONG), 0);
        pthread_join(thread, NULL);
    }
    poller_free(poller);
}

static struct ping_pong {
    struct poller *pollers[2];
    atomic_int turn;
} ping_pong;

static void *play(void *arg)
{
    int me = arg != NULL;
    struct poller_event ready[4];

    for (int i = 0; i < 1000; i++) {
        while (ping_pong.turn % 2 != me)
            poller_wait(ping_pong.pollers[me], ready, 4, -1);
        ping_pong.turn++;
        poller_wake(ping_pong.pollers[!me]);
    }
    return NULL;
}

static void no_wakeup_between_two_threads_is_lost(void **state)
{
    pthread_t thread;

    ping_pong = (struct ping_pong){ .pollers = { new_poller(), new_poller() } };
    assert_int_equal(pthread_create(&thread, NULL, play, &ping_pong), 0);
    play(NULL);
    pthread_join(thread, NULL);
    assert_int_equal(ping_pong.turn, 2000);
    poller_free(ping_pong.pollers[0]);
    poller_free(ping_pong.pollers[1]);
}

static struct poller *signalled_poller;
static atomic_int signals;

static void wake_from_handler(int signal_number)
{
    int error = errno;

    errno = 12345;
    if (signalled_poller != NULL)
        poller_wake(signalled_poller);
    if (errno == 12345)
        signals++;
    errno = error;
}

static void handle_sigusr1(struct poller *poller)
{
    signals = 0;
    signalled_poller = poller;
    sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = wake_from_handler }, NULL);
}

static void a_signal_handler_wakes_the_wait_and_errno_stays(void **state)
{
    struct poller *poller = new_poller();
    struct poller_event ready[4];

    handle_sigusr1(poller);
    for (int i = 1; i <= 3; i++) {
        raise(SIGUSR1);
        assert_int_equal(wait_for_events(poller, ready, 4, -1), 0);
        assert_int_equal(signals, i);
    }
    signal(SIGUSR1, SIG_DFL);
    poller_free(poller);
}

static void a_failing_wakeup_leaves_errno_alone(void **state)
{
    struct poller *poller = new_poller();

    faults_system_call_sticky("write", EAGAIN, 1);
    faults_system_call_sticky("epoll_ctl", ENOMEM, 1);
    errno = 0;
    poller_wake(poller);
    assert_int_equal(errno, 0);
    faults_system_call_sticky("write", EAGAIN, 1);
    poller_wake(poller);
    assert_int_equal(errno, 0);
    faults_end();
    poller_free(poller);
}

/* Waiting. */

static void *send_signals(void *arg)
{
    while (signals == 0) {
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
        pthread_kill(*(pthread_t *)arg, SIGUSR1);
    }
    return NULL;
}

static void an_interrupt_ends_the_wait_without_an_event(void **state)
{
    struct poller *poller = new_poller();
    struct poller_event ready[4];
    pthread_t thread, self = pthread_self();

    for (int i = 0; i < 2; i++) {
        handle_sigusr1(NULL);
        assert_int_equal(pthread_create(&thread, NULL, send_signals, &self), 0);
        assert_int_equal(wait_for_events(poller, ready, 4, i == 0 ? -1 : LONG), 0);
        pthread_join(thread, NULL);
    }
    signal(SIGUSR1, SIG_DFL);
    poller_free(poller);
}

static void a_wait_never_ends_early(void **state)
{
    static const int64_t times[] = { 1, 999, 50000, 300000, 999999, 1000001, 1700000 };
    struct poller *poller = new_poller();
    struct poller_event ready[4];
    int64_t shortest = INT64_MAX;

    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        for (int repeat = 0; repeat < 20; repeat++) {
            int64_t start = nanoseconds_now();
            assert_int_equal(wait_for_events(poller, ready, 4, times[i]), 0);
            int64_t waited = nanoseconds_now() - start;
            assert_true(waited >= times[i]);
            if (times[i] == 300000 && waited < shortest)
                shortest = waited;
        }
    }
    print_message("300 us: %lld ns\n", (long long)shortest);
    poller_free(poller);
}

static void a_wait_of_no_time_returns_at_once(void **state)
{
    struct poller *poller = new_poller();
    struct poller_event ready[4];
    int fds[2];

    testing_socketpair(fds);
    assert_int_equal(poller_add(poller, fds[0], IOLOOP_READ, 1), 0);
    int64_t start = nanoseconds_now();
    for (int i = 0; i < 100; i++)
        assert_int_equal(wait_for_events(poller, ready, 4, 0), 0);
    assert_true(nanoseconds_now() - start < LONG);
    put(fds[1], "x");
    assert_int_equal(wait_for_events(poller, ready, 4, 0), 1);
    close_both(fds);
    poller_free(poller);
}

static void the_longest_of_waits_are_possible(void **state)
{
    static const int64_t times[] = { INT64_MAX, INT64_MIN, INT64_C(3000000) * 1000000000, -1 };
    struct poller *poller = new_poller();
    struct poller_event ready[4];
    pthread_t thread;

    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        int64_t start = nanoseconds_now();
        assert_int_equal(pthread_create(&thread, NULL, wake_later, poller), 0);
        assert_int_equal(wait_for_events(poller, ready, 4, times[i]), 0);
        assert_true(nanoseconds_now() - start >= 1000000);
        pthread_join(thread, NULL);
    }
    poller_free(poller);
}

static void the_queue_itself_is_readable_when_there_is_something(void **state)
{
    struct poller *poller = new_poller();
    struct poller_event ready[4];
    int fds[2];

    testing_socketpair(fds);
    assert_int_equal(is_readable(poller_fd(poller)), 0);
    assert_int_equal(poller_add(poller, fds[0], IOLOOP_READ, 1), 0);
    assert_int_equal(is_readable(poller_fd(poller)), 0);
    put(fds[1], "x");
    assert_int_equal(is_readable(poller_fd(poller)), 1);
    poller_remove(poller, fds[0]);
    assert_int_equal(is_readable(poller_fd(poller)), 0);
    poller_wake(poller);
    assert_int_equal(is_readable(poller_fd(poller)), 1);
    assert_int_equal(wait_for_events(poller, ready, 4, 0), 0);
    assert_int_equal(is_readable(poller_fd(poller)), 0);
    assert_int_equal(fcntl(poller_fd(poller), F_GETFD), FD_CLOEXEC);
    close_both(fds);
    poller_free(poller);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_wakeup_before_the_wait_ends_it_and_is_no_event),
    cmocka_unit_test(a_thousand_wakeups_end_one_wait),
    cmocka_unit_test(a_hundred_thousand_wakeups_block_nobody),
    cmocka_unit_test(a_wakeup_hides_no_event),
    cmocka_unit_test(another_thread_wakes_a_wait),
    cmocka_unit_test(no_wakeup_between_two_threads_is_lost),
    cmocka_unit_test(a_signal_handler_wakes_the_wait_and_errno_stays),
    cmocka_unit_test(a_failing_wakeup_leaves_errno_alone),
    cmocka_unit_test(an_interrupt_ends_the_wait_without_an_event),
    cmocka_unit_test(a_wait_never_ends_early),
    cmocka_unit_test(a_wait_of_no_time_returns_at_once),
    cmocka_unit_test(the_longest_of_waits_are_possible),
    cmocka_unit_test(the_queue_itself_is_readable_when_there_is_something),
};

TESTING_MAIN(tests)
