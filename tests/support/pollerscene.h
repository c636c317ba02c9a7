/* Internal: pollerscene.h, what the tests of poller share. Nothing in them knows which poller it is.
 *
 *     struct poller *poller = new_poller();
 *     assert_int_equal(poller_add(poller, fds[0], IOLOOP_READ, 1), 0);
 *     assert_int_equal(wait_for(poller, fds[0]), IOLOOP_NONE); */
#ifndef TESTS_SUPPORT_POLLERSCENE_H
#define TESTS_SUPPORT_POLLERSCENE_H

#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "ioloop/poller.h"
#include "tests/support/testing.h"

enum { BOTH = IOLOOP_READ | IOLOOP_WRITE };

/* Long enough for what does not come; over loopback and pipes all else is there at once. */
static const int64_t A_MOMENT = 2000000;
static const int64_t LONG = 20000000000;

static inline struct poller *new_poller(void)
{
    struct poller *poller = poller_new();

    assert_non_null(poller);
    return poller;
}

static inline int64_t nanoseconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* poller_wait without the wake-up that may be among the events: that is nobody's. */
static inline int wait_for_events(struct poller *poller, struct poller_event *ready, int capacity, int64_t nanoseconds)
{
    int count = poller_wait(poller, ready, capacity, nanoseconds), others = 0;

    if (count < 0)
        return count;
    for (int i = 0; i < count; i++) {
        if (ready[i].fd != -1)
            ready[others++] = ready[i];
    }
    assert_true(count - others <= 1);
    return others;
}

/* The events of the one descriptor that has any, IOLOOP_NONE when a moment passes without. Either bit of ERROR counts
 * as ERROR. The wait may be woken for nothing a few times, but must not spin. */
static inline unsigned wait_for(struct poller *poller, int fd)
{
    struct poller_event ready[8];
    int64_t end = nanoseconds_now() + A_MOMENT;

    for (int waits = 0;; waits++) {
        assert_in_range(waits, 0, 4);
        int count = wait_for_events(poller, ready, 8, A_MOMENT);
        assert_in_range(count, 0, 1);
        if (count == 1) {
            assert_int_equal(ready[0].fd, fd);
            return (ready[0].events & IOLOOP_ERROR) != 0 ? ready[0].events | IOLOOP_ERROR : ready[0].events;
        }
        if (nanoseconds_now() >= end)
            return IOLOOP_NONE;
    }
}

static inline int is_readable(int fd)
{
    struct pollfd entry = { .fd = fd, .events = POLLIN };

    return poll(&entry, 1, 1);
}

static inline void put(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    testing_deliver();
}

static inline void close_both(const int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

/* The peer sends a reset: it closes with bytes unread. */
static inline void reset(int fd, int peer)
{
    put(fd, "unread");
    close(peer);
    testing_deliver();
}

#endif
