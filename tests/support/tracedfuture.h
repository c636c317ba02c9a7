/* Internal: tracedfuture.h, futures on the loop of tracedloop.h: their callbacks note a letter each, and what came of
 * them. */
#ifndef TESTS_SUPPORT_TRACEDFUTURE_H
#define TESTS_SUPPORT_TRACEDFUTURE_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ioloop/iofuture.h"
#include "tests/support/tracedloop.h"

/* What the last callback saw. */
static int seen_error;
static void *seen_value;

static inline struct iofuture *not_null(struct iofuture *future)
{
    assert_non_null(future);
    return future;
}

static inline struct iofuture *new_future(void)
{
    return not_null(iofuture_new(loop));
}

static inline void note_future(struct iofuture *future, void *arg)
{
    assert_true(iofuture_done(future));
    seen_error = iofuture_error(future);
    seen_value = iofuture_result(future);
    note(arg);
}

static inline void tell(struct iofuture *future, const char *letter)
{
    assert_int_equal(iofuture_add_callback(not_null(future), note_future, (void *)(uintptr_t)letter), 0);
}

static inline void set_result(struct iofuture *future, void *value)
{
    assert_int_equal(iofuture_set_result(future, value, NULL), 0);
}

static inline void set_error(struct iofuture *future, int error)
{
    assert_int_equal(iofuture_set_error(future, error), 0);
}

/* Values that count how many of them are left. */
static int values_left;

static inline void free_value(void *value)
{
    values_left--;
    free(value);
}

static inline void set_counted(struct iofuture *future)
{
    void *value = malloc(1);

    assert_non_null(value);
    values_left++;
    assert_int_equal(iofuture_set_result(future, value, free_value), 0);
}

static inline void move_to(double time)
{
    the_time = time;
    testing_spin(loop, 4);
}

/* Runs on until all that is due has been told, then compares what was noted. */
static inline void expect_trace(const char *letters)
{
    testing_spin(loop, 8);
    assert_string_equal(trace, letters);
}

#endif
