/* Internal: tracedqueue.h, a queue on the loop of tracedloop.h. Items are texts; what comes of gets and puts is noted
 * by the first letter of theirs, ! for one that was too late and ? for another error. */
#ifndef TESTS_SUPPORT_TRACEDQUEUE_H
#define TESTS_SUPPORT_TRACEDQUEUE_H

#include "ioloop/ioqueue.h"
#include "tests/support/tracedfuture.h"

static struct ioqueue *queue;

static inline void open_queue(int maxsize)
{
    open_loop();
    queue = ioqueue_new(loop, maxsize);
    assert_non_null(queue);
}

static inline void close_queue(void)
{
    ioqueue_close(queue);
    close_loop();
}

static inline void *text(const char *item)
{
    return (void *)(uintptr_t)item;
}

static inline void put(const char *item)
{
    assert_int_equal(ioqueue_put_nowait(queue, text(item)), 0);
}

static inline void expect_item(const char *item)
{
    void *got = NULL;

    assert_int_equal(ioqueue_get_nowait(queue, &got), 0);
    assert_string_equal(got, item);
}

static inline void expect_empty(void)
{
    void *got = NULL;

    assert_int_equal(ioqueue_get_nowait(queue, &got), -EAGAIN);
    assert_true(ioqueue_empty(queue));
}

static inline void note_item(struct iofuture *future, void *arg)
{
    int error = iofuture_error(future);

    if (arg != NULL)
        note(arg);
    note(error == 0 ? iofuture_result(future) : error == -ETIMEDOUT ? text("!") : text("?"));
}

static inline struct iofuture *get(double timeout)
{
    struct iofuture *future = not_null(ioqueue_get(queue, timeout));

    assert_int_equal(iofuture_add_callback(future, note_item, NULL), 0);
    return future;
}

/* Notes the letter, and as note_item what comes of it. */
static inline void note_put(struct iofuture *future, void *arg)
{
    int error = iofuture_error(future);

    note(arg);
    if (error != 0)
        note(error == -ETIMEDOUT ? text("!") : text("?"));
}

static inline struct iofuture *put_later(const char *item, double timeout)
{
    struct iofuture *future = not_null(ioqueue_put(queue, text(item), timeout));

    assert_int_equal(iofuture_add_callback(future, note_put, text(item)), 0);
    return future;
}

#endif
