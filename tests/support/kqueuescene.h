/* Internal: kqueuescene.h, what the tests of kqueue(2) share, as tests/kqueue/kqueue.c plays it: what poller_kqueue.c
 * is tested against has to be right itself. They come from FreeBSD's manual, so its kernel should pass them as well;
 * that has not been tried. Where there is no kqueue, a program of them has no tests:
 *
 *     #include "tests/support/kqueuescene.h"
 *     #if KQUEUESCENE
 *     static void reports(void **state) { assert_silent(new_queue()); }
 *     ...
 *     #endif */
#ifndef TESTS_SUPPORT_KQUEUESCENE_H
#define TESTS_SUPPORT_KQUEUESCENE_H

#if __has_include(<sys/event.h>)
#define KQUEUESCENE 1

#include <sys/types.h>
#include <sys/event.h>

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/testing.h"

typedef __typeof__(((struct kevent *)0)->filter) filter_type;

static inline int new_queue(void)
{
    int kq = kqueue();

    assert_true(kq >= 0);
    return kq;
}

/* Submits one change: 0 or its error. */
static inline int change(int kq, uintptr_t ident, filter_type filter, unsigned short flags, unsigned fflags, int data,
                         void *udata)
{
    struct kevent event;

    EV_SET(&event, ident, filter, flags, fflags, data, udata);
    return kevent(kq, &event, 1, NULL, 0, NULL) < 0 ? errno : 0;
}

static inline int watch(int kq, int fd, filter_type filter, unsigned short flags)
{
    return change(kq, (uintptr_t)fd, filter, flags, 0, 0, NULL);
}

static inline int wait_milliseconds(int kq, struct kevent *events, int count, int milliseconds)
{
    struct timespec timeout = { .tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000 };

    return kevent(kq, NULL, 0, events, count, &timeout);
}

/* The one event there is. */
static inline struct kevent next_event(int kq)
{
    struct kevent events[8] = { 0 };

    assert_int_equal(wait_milliseconds(kq, events, 8, 20000), 1);
    return events[0];
}

static inline void assert_silent(int kq)
{
    struct kevent events[8];

    assert_int_equal(wait_milliseconds(kq, events, 8, 1), 0);
}

static inline void put(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    testing_deliver();
}

static inline void drain(int fd)
{
    char bytes[4096];

    while (read(fd, bytes, sizeof bytes) > 0)
        continue;
}

static inline void close_all(int kq, const int fds[2])
{
    close(kq);
    close(fds[0]);
    close(fds[1]);
}

#else
#define KQUEUESCENE 0

#include <stdio.h>

int main(void)
{
    puts("0 tests: no kqueue here");
    return 0;
}

#endif

#endif
