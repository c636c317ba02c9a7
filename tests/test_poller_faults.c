/* What a kernel queue promises, for each poller by the same tests: little room, many descriptors, forks, failures. */
#include "ioloop/poller.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "tests/support/faults.h"
#include "tests/support/pollerscene.h"
#include "tests/support/testing.h"

/* Counts how often each of the descriptors is reported in so many waits; each is there once a wait at most. */
static void count_events(struct poller *poller, int waits, int capacity, int *counts, int limit)
{
    struct poller_event *ready = calloc((size_t)capacity, sizeof *ready);

    assert_non_null(ready);
    for (int i = 0; i < waits; i++) {
        int count = wait_for_events(poller, ready, capacity, 0);
        assert_in_range(count, 0, capacity);
        for (int event = 0; event < count; event++) {
            assert_in_range(ready[event].fd, 0, limit - 1);
            for (int other = 0; other < event; other++)
                assert_int_not_equal(ready[other].fd, ready[event].fd);
            counts[ready[event].fd]++;
        }
    }
    free(ready);
}

static void too_many_for_one_wait_come_in_the_next(void **state)
{
    enum { PAIRS = 10, LIMIT = 200 };
    static const unsigned interests[] = { IOLOOP_READ, IOLOOP_WRITE, BOTH };

    for (int i = 0; i < 9; i++) {
        struct poller *poller = new_poller();
        int fds[PAIRS][2], counts[LIMIT] = { 0 };

        for (int pair = 0; pair < PAIRS; pair++) {
            testing_socketpair(fds[pair]);
            put(fds[pair][1], "x");
            assert_int_equal(poller_add(poller, fds[pair][0], interests[i % 3], 1), 0);
        }
        poller_wake(poller); /* which takes room, too */
        count_events(poller, 60, 1 + i / 3, counts, LIMIT);
        for (int pair = 0; pair < PAIRS; pair++) {
            assert_int_not_equal(counts[fds[pair][0]], 0);
            close_both(fds[pair]);
        }
        poller_free(poller);
    }
}

static void room_for_one_event_starves_neither_direction(void **state)
{
    struct poller *poller = new_poller();
    unsigned events = 0;
    int fds[2];

    testing_socketpair(fds);
    put(fds[1], "x");
    assert_int_equal(poller_add(poller, fds[0], BOTH, 1), 0);
    for (int i = 0; i < 10; i++) {
        struct poller_event event;
        assert_int_equal(poller_wait(poller, &event, 1, LONG), 1);
        events |= event.events;
    }
    assert_int_equal(events, BOTH);
    close_both(fds);
    poller_free(poller);
}

static void room_for_one_event_loses_no_error(void **state)
{
    enum { COUNT = 10, LIMIT = 200 };
    struct poller *poller = new_poller();
    int fds[COUNT][2], counts[LIMIT] = { 0 };

    for (int i = 0; i < COUNT; i++) {
        testing_tcp_pair(fds[i]);
        assert_int_equal(poller_add(poller, fds[i][0], IOLOOP_NONE, 1), 0);
        reset(fds[i][0], fds[i][1]);
    }
    count_events(poller, 60, 1, counts, LIMIT);
    for (int i = 0; i < COUNT; i++) {
        assert_int_not_equal(counts[fds[i][0]], 0);
        close(fds[i][0]);
    }
    poller_free(poller);
}

/* More than any poller takes from the kernel at a time. */
static void many_descriptors_are_all_reported(void **state)
{
    enum { LIMIT = 1000 };
    struct poller *poller = new_poller();
    struct rlimit limit;
    int fds[2], copies[LIMIT], copy, count = 0, counts[LIMIT] = { 0 };

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max < LIMIT ? limit.rlim_max : LIMIT;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    testing_socketpair(fds);
    put(fds[1], "x");
    while ((copy = dup(fds[0])) >= 0) {
        assert_int_equal(poller_add(poller, copy, BOTH, 1), 0);
        copies[count++] = copy;
    }
    assert_int_equal(errno, EMFILE);
    count_events(poller, 12, LIMIT, counts, LIMIT);
    for (int i = 0; i < count; i++) {
        assert_int_not_equal(counts[copies[i]], 0);
        poller_remove(poller, copies[i]);
        close(copies[i]);
    }
    print_message("%d descriptors\n", count);
    assert_int_equal(wait_for(poller, -1), IOLOOP_NONE);
    close_both(fds);
    limit.rlim_cur = before;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    poller_free(poller);
}

/* A child of fork() cannot use the queue: it frees it, which must touch nothing of its parent's or of its own. */
static void a_child_frees_the_queue_without_harm(void **state)
{
    struct poller *poller = new_poller();
    int fds[2], status;

    testing_socketpair(fds);
    put(fds[1], "x");
    assert_int_equal(poller_add(poller, fds[0], IOLOOP_READ, 1), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct poller_event event;
        struct poller *own = poller_new();

        if (own == NULL || poller_add(own, fds[0], IOLOOP_READ, 2) < 0)
            _exit(1);
        poller_free(poller);
        _exit(poller_wait(own, &event, 1, LONG) == 1 && event.generation == 2 ? 0 : 2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(wait_for(poller, fds[0]), IOLOOP_READ);
    close_both(fds);
    poller_free(poller);
}

/* Failures. */

static void a_failing_constructor_leaves_nothing(void **state)
{
    static const char *const calls[] = { "epoll_create1", "eventfd", "epoll_ctl", "fcntl", "pipe2" };
    int fds = testing_count_fds();

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        for (int nth = 1, hit = 1; hit; nth++) {
            faults_system_call(calls[i], ENFILE, nth);
            struct poller *poller = poller_new();
            int error = errno;
            hit = faults_hit();
            assert_true((poller == NULL) == hit);
            if (hit)
                assert_int_equal(error, ENFILE);
            poller_free(poller);
            assert_int_equal(testing_count_fds(), fds);
        }
    }
    long allocated = faults_allocated();
    faults_allocation(1, false);
    errno = 0;
    assert_null(poller_new());
    assert_int_equal(errno, ENOMEM);
    assert_int_equal(faults_allocated(), allocated);
    faults_end();
}

static void a_registration_that_fails_is_none(void **state)
{
    static const unsigned interests[] = { IOLOOP_NONE, IOLOOP_READ, IOLOOP_WRITE, BOTH };
    struct poller *poller = new_poller();
    int fds[2];

    testing_socketpair(fds);
    put(fds[1], "x");
    faults_allocation(1, false);
    int error = poller_add(poller, fds[0], BOTH, 1);
    assert_int_equal(error, faults_hit() ? -ENOMEM : 0);
    poller_remove(poller, fds[0]);

    for (int i = 0; i < 16; i++) {
        unsigned from = interests[i / 4], to = interests[i % 4];

        for (int nth = 1, hit = 1; hit; nth++) {
            faults_system_call("epoll_ctl", ENOSPC, nth);
            error = poller_add(poller, fds[0], from, 1);
            hit = faults_hit();
            assert_true(error == 0 || (hit && error == -ENOSPC));
            assert_int_equal(wait_for(poller, fds[0]), error == 0 ? from : IOLOOP_NONE);
            if (error < 0) {
                assert_int_equal(poller_update(poller, fds[0], to, 1), -ENOENT);
                assert_int_equal(poller_add(poller, fds[0], from, 1), 0);
            }
            assert_int_equal(poller_update(poller, fds[0], to, 1), 0);
            for (int repeat = 0; repeat < 2; repeat++)
                assert_int_equal(wait_for(poller, fds[0]), to);
            poller_remove(poller, fds[0]);
            assert_int_equal(wait_for(poller, fds[0]), IOLOOP_NONE);
        }
    }
    faults_end();
    close_both(fds);
    poller_free(poller);
}

static void a_change_that_fails_changes_nothing(void **state)
{
    static const unsigned interests[] = { IOLOOP_NONE, IOLOOP_READ, IOLOOP_WRITE, BOTH };
    struct poller *poller = new_poller();

    for (int i = 0; i < 16; i++) {
        unsigned from = interests[i / 4], to = interests[i % 4];

        for (int nth = 1, hit = 1; hit; nth++) {
            int fds[2];

            testing_socketpair(fds);
            put(fds[1], "x");
            assert_int_equal(poller_add(poller, fds[0], from, 1), 0);
            faults_system_call("epoll_ctl", ENOSPC, nth);
            int error = poller_update(poller, fds[0], to, 2);
            hit = faults_hit();
            assert_true(error == 0 || (hit && error == -ENOSPC));
            /* Hit without an error: what failed was a removal, which no kernel does. */
            for (int repeat = 0; repeat < 2 && (error < 0 || !hit); repeat++)
                assert_int_equal(wait_for(poller, fds[0]), error == 0 ? to : from);
            poller_remove(poller, fds[0]);
            close_both(fds);
        }
    }
    faults_end();
    poller_free(poller);
}

static void a_wait_that_fails_answers_the_error(void **state)
{
    struct poller *poller = new_poller();
    struct poller_event event;
    int fds[2];

    testing_socketpair(fds);
    assert_int_equal(poller_add(poller, fds[0], IOLOOP_WRITE, 1), 0);
    faults_system_call("epoll_wait", EBADF, 1);
    assert_int_equal(poller_wait(poller, &event, 1, -1), -EBADF);
    faults_system_call("epoll_wait", EINTR, 1);
    assert_int_equal(poller_wait(poller, &event, 1, -1), 0);
    faults_end();
    assert_int_equal(poller_wait(poller, &event, 1, -1), 1);
    close_both(fds);
    poller_free(poller);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(too_many_for_one_wait_come_in_the_next),
    cmocka_unit_test(room_for_one_event_starves_neither_direction),
    cmocka_unit_test(room_for_one_event_loses_no_error),
    cmocka_unit_test(many_descriptors_are_all_reported),
    cmocka_unit_test(a_child_frees_the_queue_without_harm),
    cmocka_unit_test(a_failing_constructor_leaves_nothing),
    cmocka_unit_test(a_registration_that_fails_is_none),
    cmocka_unit_test(a_change_that_fails_changes_nothing),
    cmocka_unit_test(a_wait_that_fails_answers_the_error),
};

TESTING_MAIN(tests)
