/* Queues that close, what they own, and memory. */
#include "ioloop/ioqueue.h"

#include "tests/support/tracedqueue.h"

static void closing_it_cancels_who_waits(void **state)
{
    open_queue(1);
    put("x");
    put_later("a", 1);
    tell(ioqueue_join(queue, 1), "j");
    ioqueue_close(queue);
    ioqueue_close(queue);
    void *item = NULL;
    errno = 0;
    assert_null(ioqueue_get(queue, -1));
    assert_int_equal(errno, EBADF);
    assert_null(ioqueue_put(queue, NULL, -1));
    assert_null(ioqueue_join(queue, -1));
    assert_int_equal(ioqueue_put_nowait(queue, NULL), -EBADF);
    assert_int_equal(ioqueue_get_nowait(queue, &item), -EBADF);
    expect_trace("a?j");
    assert_int_equal(seen_error, -ECANCELED);
    assert_true(ioloop_next_timeout(loop) < 0);
    queue = ioqueue_new(loop, 0);
    get(1);
    ioqueue_close(queue);
    expect_trace("a?j?");
    close_loop();
}

static void it_ends_with_its_loop(void **state)
{
    open_queue(1);
    put("x");
    put_later("a", -1);
    put_later("b", 1);
    tell(ioqueue_join(queue, -1), "j");
    close_loop();
    assert_int_equal(strlen(trace), 5);
    open_queue(0);
    get(-1);
    ioloop_hold(loop);
    struct ioloop *closed = loop;
    ioloop_close(loop, false);
    assert_string_equal(trace, "?");
    assert_null(ioqueue_new(closed, 1));
    assert_int_equal(errno, EBADF);
    ioloop_release(closed);
    assert_int_equal(faults_allocated(), allocated);
}

static void *new_item(void)
{
    values_left++;
    return malloc(1);
}

static void take(struct iofuture *future, void *arg)
{
    *(void **)arg = iofuture_take_result(future);
}

static void items_that_are_the_queues_are_freed_by_it(void **state)
{
    void *item = NULL, *taken = NULL;

    open_queue(4);
    ioqueue_set_free_item(queue, free_value);
    for (int i = 0; i < 4; i++)
        assert_int_equal(ioqueue_put_nowait(queue, new_item()), 0);
    void *refused = new_item();
    struct iofuture *late = not_null(ioqueue_put(queue, refused, 0));
    tell(late, "l");
    expect_trace("l");
    free_value(refused); /* it stayed the caller's */
    assert_int_equal(iofuture_add_callback(ioqueue_get(queue, -1), take, &taken), 0);
    tell(ioqueue_get(queue, -1), "g");
    expect_trace("lg");
    assert_int_equal(values_left, 3); /* that of g is gone */
    assert_int_equal(ioqueue_get_nowait(queue, &item), 0);
    ioqueue_close(queue);
    assert_int_equal(values_left, 2);
    free_value(item);
    free_value(taken);
    close_loop();
}

static void close_queue_in(struct iofuture *future, void *arg)
{
    note(arg);
    ioqueue_close(queue);
    assert_null(ioqueue_get(queue, -1));
}

static void it_may_be_closed_in_a_callback_of_its_own(void **state)
{
    open_queue(0);
    assert_int_equal(iofuture_add_callback(ioqueue_get(queue, -1), close_queue_in, "c"), 0);
    get(-1);
    put("a");
    expect_trace("c?");
    close_loop();
}

static void a_put_without_memory_leaves_nothing(void **state)
{
    open_queue(0);
    long before = faults_allocated();
    for (int nth = 1; nth <= 2; nth++) {
        faults_allocation(nth, false);
        errno = 0;
        assert_null(ioqueue_put(queue, text("a"), -1));
        assert_int_equal(errno, ENOMEM);
        assert_int_equal(faults_allocated(), before);
    }
    faults_end();
    put_later("a", -1);
    expect_trace("a");
    expect_item("a");
    close_queue();
}

/* Each allocation of each step fails; what was refused has not happened. */
static void without_memory_nothing_is_lost(void **state)
{
    int refused = 1;

    for (int nth = 1; refused > 0; nth++) {
        open_loop();
        faults_allocation(nth, false);
        while ((queue = ioqueue_new(loop, 9)) == NULL)
            assert_int_equal(errno, ENOMEM);
        int in = 0, out = 0;
        for (int i = 0; i < 9; i++)
            in += ioqueue_put_nowait(queue, text("a")) == 0;
        struct iofuture *futures[] = { ioqueue_put(queue, text("b"), 1), ioqueue_join(queue, 1),
                                       ioqueue_get(queue, 1) };
        refused = faults_hit();
        faults_end();
        for (int i = 0; i < 3; i++) {
            if (futures[i] != NULL)
                assert_int_equal(iofuture_add_callback(futures[i], note_put, text("f")), 0);
        }
        if (futures[0] != NULL)
            in++;
        if (futures[2] != NULL)
            out++;
        void *item = NULL;
        while (ioqueue_get_nowait(queue, &item) == 0)
            out++;
        testing_spin(loop, 3);
        assert_int_equal(out, in);
        close_queue();
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(closing_it_cancels_who_waits),
    cmocka_unit_test(it_ends_with_its_loop),
    cmocka_unit_test(items_that_are_the_queues_are_freed_by_it),
    cmocka_unit_test(it_may_be_closed_in_a_callback_of_its_own),
    cmocka_unit_test(a_put_without_memory_leaves_nothing),
    cmocka_unit_test(without_memory_nothing_is_lost),
};

TESTING_MAIN(tests)
