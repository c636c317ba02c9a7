/* kqueue(2): user events, timers, timeouts and the queue itself. */
#include "tests/support/kqueuescene.h"

#if KQUEUESCENE

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/faults.h"
#include "tests/support/testing.h"

/* User events. */

static void a_user_event_comes_once_it_is_triggered(void **state)
{
    struct kevent event;
    int kq = new_queue(), a;

    assert_int_equal(change(kq, 7, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, &a), 0);
    assert_silent(kq);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(change(kq, 7, EVFILT_USER, 0, NOTE_TRIGGER, 0, &a), 0);
        assert_int_equal(change(kq, 7, EVFILT_USER, 0, NOTE_TRIGGER, 0, &a), 0);
        event = next_event(kq);
        assert_int_equal(event.ident, 7);
        assert_int_equal(event.filter, EVFILT_USER);
        assert_ptr_equal(event.udata, &a);
        assert_silent(kq);
    }
    close(kq);
}

static void without_ev_clear_a_user_event_stays(void **state)
{
    int kq = new_queue();

    assert_int_equal(change(kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, NULL), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(next_event(kq).ident, 1);
    assert_int_equal(change(kq, 1, EVFILT_USER, EV_DISABLE, 0, 0, NULL), 0);
    assert_silent(kq);
    assert_int_equal(change(kq, 1, EVFILT_USER, EV_ENABLE, 0, 0, NULL), 0);
    assert_int_equal(next_event(kq).ident, 1);
    assert_int_equal(change(kq, 1, EVFILT_USER, EV_DELETE, 0, 0, NULL), 0);
    assert_silent(kq);
    assert_int_equal(change(kq, 1, EVFILT_USER, EV_ADD | EV_ONESHOT, 0, 0, NULL), 0);
    assert_silent(kq);
    assert_int_equal(change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, NULL), 0);
    assert_int_equal(next_event(kq).ident, 1);
    assert_int_equal(change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, NULL), ENOENT);
    close(kq);
}

static void the_flags_of_a_user_event_are_the_programs(void **state)
{
    static const struct {
        unsigned fflags, expected;
    } steps[] = {
        { NOTE_FFNOP | 0x0f, 0x33 },
        { NOTE_FFAND | 0x0f, 0x03 },
        { NOTE_FFOR | 0xf0, 0xf3 },
        { NOTE_FFCOPY | 0x123456, 0x123456 },
        { NOTE_FFCOPY | NOTE_FFLAGSMASK, NOTE_FFLAGSMASK },
    };
    int kq = new_queue();

    assert_int_equal(change(kq, 1, EVFILT_USER, EV_ADD, NOTE_FFCOPY | NOTE_TRIGGER | 0x33, 0, NULL), 0);
    assert_int_equal(next_event(kq).fflags & NOTE_FFLAGSMASK, 0x33);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        assert_int_equal(change(kq, 1, EVFILT_USER, 0, steps[i].fflags, 0, NULL), 0);
        assert_int_equal(next_event(kq).fflags & NOTE_FFLAGSMASK, steps[i].expected);
    }
    assert_int_equal(change(kq, 1, EVFILT_USER, EV_DELETE, 0, 0, NULL), 0);

    assert_int_equal(change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, NULL), 0);
    for (unsigned bit = 1; bit <= 2; bit++) { /* a retrieved event takes its flags along */
        assert_int_equal(change(kq, 1, EVFILT_USER, 0, NOTE_FFOR | NOTE_TRIGGER | bit, 0, NULL), 0);
        assert_int_equal(next_event(kq).fflags & NOTE_FFLAGSMASK, bit);
    }
    close(kq);
}

static void several_user_events_fit_through_a_narrow_wait(void **state)
{
    struct kevent event;
    unsigned seen = 0;
    int kq = new_queue();

    for (uintptr_t ident = 0; ident < 4; ident++)
        assert_int_equal(change(kq, ident, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, NULL), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(wait_milliseconds(kq, &event, 1, 20000), 1);
        seen |= 1u << event.ident;
    }
    assert_int_equal(seen, 15);
    assert_silent(kq);
    close(kq);
}

static void *trigger_later(void *arg)
{
    nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    change(*(int *)arg, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, NULL);
    return NULL;
}

static void another_thread_triggers_while_one_waits(void **state)
{
    struct kevent event;
    pthread_t thread;
    int kq = new_queue();

    assert_int_equal(change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, NULL), 0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(pthread_create(&thread, NULL, trigger_later, &kq), 0);
        assert_int_equal(kevent(kq, NULL, 0, &event, 1, NULL), 1);
        assert_int_equal(event.filter, EVFILT_USER);
        pthread_join(thread, NULL);
    }
    close(kq);
}

static int signalled_queue;

static void trigger_from_handler(int signal_number)
{
    int error = errno;

    change(signalled_queue, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, NULL);
    errno = error;
}

static void a_signal_handler_triggers(void **state)
{
    struct kevent event;
    struct timespec forever = { .tv_sec = 1000000 };
    int kq = signalled_queue = new_queue();

    assert_int_equal(change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, NULL), 0);
    signal(SIGUSR1, trigger_from_handler);
    raise(SIGUSR1);
    assert_int_equal(kevent(kq, NULL, 0, &event, 1, &forever), 1);
    assert_int_equal(event.filter, EVFILT_USER);
    signal(SIGUSR1, SIG_DFL);
    close(kq);
}

/* Timers and timeouts. */

static int64_t microseconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void a_timer_repeats_and_counts(void **state)
{
    struct kevent event;
    int kq = new_queue(), a;

    assert_int_equal(change(kq, 9, EVFILT_TIMER, EV_ADD, 0, 2, &a), 0); /* milliseconds */
    int64_t start = microseconds_now();
    event = next_event(kq);
    assert_int_equal(event.ident, 9);
    assert_ptr_equal(event.udata, &a);
    assert_true(event.data >= 1);
    nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    event = next_event(kq);
    assert_true(event.data >= 2);
    assert_true(microseconds_now() - start >= 9000);
    assert_int_equal(change(kq, 9, EVFILT_TIMER, EV_DELETE, 0, 0, NULL), 0);
    assert_silent(kq);
    close(kq);
}

static void a_timer_has_units_and_may_come_once(void **state)
{
    static const unsigned units[] = { NOTE_NSECONDS, NOTE_USECONDS };
    int kq = new_queue();

    for (int i = 0; i < 2; i++) {
        int64_t start = microseconds_now();
        assert_int_equal(change(kq, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, units[i], i == 0 ? 3000000 : 3000, NULL), 0);
        assert_int_equal(next_event(kq).data, 1);
        assert_true(microseconds_now() - start >= 2999);
        assert_int_equal(change(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0, NULL), ENOENT);
    }
    assert_int_equal(change(kq, 1, EVFILT_TIMER, EV_ADD, NOTE_SECONDS, 1, NULL), 0);
    assert_silent(kq);
    assert_int_equal(change(kq, 1, EVFILT_TIMER, EV_ADD, NOTE_USECONDS, 1, NULL), 0); /* set anew */
    assert_true(next_event(kq).data >= 1);
    assert_int_equal(change(kq, 1, EVFILT_TIMER, EV_DISABLE, 0, 0, NULL), 0);
    assert_silent(kq);
    assert_int_equal(change(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0, NULL), 0);
    close(kq);
}

static void a_timeout_has_nanoseconds_and_is_not_early(void **state)
{
    struct kevent event;
    int kq = new_queue();

    for (int i = 0; i < 10; i++) {
        int64_t start = microseconds_now();
        assert_int_equal(kevent(kq, NULL, 0, &event, 1, &(struct timespec){ .tv_nsec = 300000 }), 0);
        assert_true(microseconds_now() - start >= 299);
    }
    assert_int_equal(kevent(kq, NULL, 0, &event, 1, &(struct timespec){ 0 }), 0);
    assert_int_equal(kevent(kq, NULL, 0, NULL, 0, NULL), 0); /* no room: no wait */
    close(kq);
}

static void on_signal(int signal_number)
{
}

static void *interrupt(void *arg)
{
    for (int i = 0; i < 20; i++) {
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
        pthread_kill(*(pthread_t *)arg, SIGUSR1);
    }
    return NULL;
}

static void a_signal_interrupts_the_wait(void **state)
{
    struct kevent event;
    pthread_t thread, self = pthread_self();
    int kq = new_queue();

    sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = on_signal }, NULL);
    assert_int_equal(pthread_create(&thread, NULL, interrupt, &self), 0);
    assert_int_equal(kevent(kq, NULL, 0, &event, 1, NULL), -1);
    assert_int_equal(errno, EINTR);
    pthread_join(thread, NULL);
    signal(SIGUSR1, SIG_DFL);
    close(kq);
}

/* The queue. */

static void a_queue_can_be_polled(void **state)
{
    struct pollfd entry = { .events = POLLIN };
    int kq = new_queue(), fds[2];

    entry.fd = kq;
    testing_socketpair(fds);
    assert_int_equal(watch(kq, fds[0], EVFILT_READ, EV_ADD), 0);
    assert_int_equal(change(kq, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, NULL), 0);
    assert_int_equal(poll(&entry, 1, 1), 0);
    put(fds[1], "x");
    assert_int_equal(poll(&entry, 1, 20000), 1);
    drain(fds[0]);
    assert_int_equal(poll(&entry, 1, 1), 0);
    assert_int_equal(change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, NULL), 0);
    assert_int_equal(poll(&entry, 1, 20000), 1);
    assert_int_equal(next_event(kq).filter, EVFILT_USER);
    assert_int_equal(poll(&entry, 1, 1), 0);
    close_all(kq, fds);
}

static void a_new_queue_with_an_old_number_is_empty(void **state)
{
    int kq = new_queue(), fds[2];

    testing_socketpair(fds);
    put(fds[1], "x");
    assert_int_equal(watch(kq, fds[0], EVFILT_READ, EV_ADD), 0);
    assert_int_equal(change(kq, 1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, NULL), 0);
    close(kq);
    assert_int_equal(new_queue(), kq);
    assert_silent(kq);
    assert_int_equal(change(kq, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, NULL), ENOENT);
    assert_int_equal(watch(kq, fds[0], EVFILT_READ, EV_ENABLE), ENOENT);
    close_all(kq, fds);
}

static void a_child_does_not_inherit_a_queue(void **state)
{
    int kq = new_queue(), fds[2], status;

    testing_socketpair(fds);
    put(fds[1], "x");
    assert_int_equal(watch(kq, fds[0], EVFILT_READ, EV_ADD), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        bool is_closed = fcntl(kq, F_GETFD) < 0 && errno == EBADF;
        bool is_new = kqueue() == kq && watch(kq, fds[0], EVFILT_READ, EV_ENABLE) == ENOENT;
        _exit(is_closed && is_new ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(next_event(kq).filter, EVFILT_READ);
    close_all(kq, fds);
}

#ifdef __linux__

static void failures_below_are_answered_and_leave_nothing(void **state)
{
    int fds = testing_count_fds(), kq = new_queue();

    for (int nth = 1, hit = 1; hit; nth++) {
        faults_system_call("epoll_ctl", ENOSPC, nth);
        int other = kqueue();
        hit = faults_hit();
        assert_true((other < 0) == hit);
        if (hit)
            assert_int_equal(errno, ENOSPC);
        else
            close(other);
    }
    faults_system_call("epoll_ctl", ENOSPC, 1);
    assert_int_equal(change(kq, 1, EVFILT_TIMER, EV_ADD, 0, 1, NULL), ENOSPC);
    assert_int_equal(change(kq, 1, EVFILT_TIMER, EV_DELETE, 0, 0, NULL), ENOENT);
    faults_end();
    close(kq);
    assert_int_equal(testing_count_fds(), fds);
}

#endif

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_user_event_comes_once_it_is_triggered),
    cmocka_unit_test(without_ev_clear_a_user_event_stays),
    cmocka_unit_test(the_flags_of_a_user_event_are_the_programs),
    cmocka_unit_test(several_user_events_fit_through_a_narrow_wait),
    cmocka_unit_test(another_thread_triggers_while_one_waits),
    cmocka_unit_test(a_signal_handler_triggers),
    cmocka_unit_test(a_timer_repeats_and_counts),
    cmocka_unit_test(a_timer_has_units_and_may_come_once),
    cmocka_unit_test(a_timeout_has_nanoseconds_and_is_not_early),
    cmocka_unit_test(a_signal_interrupts_the_wait),
    cmocka_unit_test(a_queue_can_be_polled),
    cmocka_unit_test(a_new_queue_with_an_old_number_is_empty),
    cmocka_unit_test(a_child_does_not_inherit_a_queue),
#ifdef __linux__
    cmocka_unit_test(failures_below_are_answered_and_leave_nothing),
#endif
};

TESTING_MAIN(tests)

#endif
