/* Internal: tracedloop.h, the loop of those tests that are about loops. Its clock stands still until a test moves
 * the_time; callbacks note a letter each, so that what ran, and in which order, is a string.
 *
 *     open_loop();
 *     add_callback(note, "a");
 *     testing_spin(loop, 1);
 *     assert_string_equal(trace, "a");
 *     close_loop(); */
#ifndef TESTS_SUPPORT_TRACEDLOOP_H
#define TESTS_SUPPORT_TRACEDLOOP_H

#include <unistd.h>

#include "ioloop/ioloop.h"
#include "tests/support/faults.h"
#include "tests/support/testing.h"

/* Sanitizers make everything slow, and the one for threads delivers signals late. */
#if defined __SANITIZE_THREAD__
#define TRACEDLOOP_SIGNALS_ARE_LATE
#elif defined __has_feature
#if __has_feature(thread_sanitizer)
#define TRACEDLOOP_SIGNALS_ARE_LATE
#endif
#if __has_feature(address_sanitizer)
#define TRACEDLOOP_IS_SLOW
#endif
#endif
#if defined TRACEDLOOP_SIGNALS_ARE_LATE || defined __SANITIZE_ADDRESS__
#define TRACEDLOOP_IS_SLOW
#endif

static struct ioloop *loop;
static double the_time;
static char trace[4096];
static size_t traced;
static long allocated; /* before the loop was opened */

static inline void open_loop(void)
{
    allocated = faults_allocated();
    the_time = 100;
    traced = 0;
    trace[0] = '\0';
    loop = ioloop_new(&(struct ioloop_options){ .clock = testing_clock, .clock_arg = &the_time });
    assert_non_null(loop);
}

/* Everything that the loop had allocated is freed with it. */
static inline void close_loop(void)
{
    ioloop_close(loop, false);
    assert_int_equal(faults_allocated(), allocated);
}

static inline void note(void *arg)
{
    assert_true(traced < sizeof trace - 1);
    trace[traced++] = *(const char *)arg;
    trace[traced] = '\0';
}

static inline void note_event(int fd, unsigned events, void *arg)
{
    note(arg);
}

static inline void stop(void *arg)
{
    ioloop_stop(loop);
}

static inline void add_callback(ioloop_callback_fn *callback, void *arg)
{
    assert_int_equal(ioloop_add_callback(loop, callback, arg), 0);
}

static inline uint64_t call_later(double seconds, ioloop_callback_fn *callback, void *arg)
{
    uint64_t id = ioloop_call_later(loop, seconds, callback, arg);

    assert_int_not_equal(id, 0);
    return id;
}

static inline void add_handler(int fd, ioloop_handler_fn *handler, void *arg, unsigned events)
{
    assert_int_equal(ioloop_add_handler(loop, fd, handler, arg, events), 0);
}

/* A pipe with a byte in it. */
static inline void open_ready_pipe(int fds[2])
{
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
}

static inline void close_both(const int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

#endif
