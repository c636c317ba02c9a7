/* In which order things come out of queues, and many of them. */
#include "ioloop/ioqueue.h"

#include "tests/support/tracedqueue.h"

static int compare_first_letters(const void *a, const void *b)
{
    return *(const char *)a - *(const char *)b;
}

/* queues_test:test_order of PriorityQueueJoinTest */
static void a_priority_queue_gives_the_least_and_of_equals_the_first(void **state)
{
    open_loop();
    queue = ioqueue_new_priority(loop, 3, compare_first_letters);
    assert_non_null(queue);
    put("b1");
    put("b2");
    put("a");
    put_later("0", -1); /* comes in before the next goes out, and is the least then */
    expect_item("0");
    put_later("b3", -1);
    expect_item("a");
    expect_item("b1");
    expect_item("b2");
    expect_item("b3");
    expect_empty();
    close_queue();
}

static void a_priority_queue_sorts(void **state)
{
    enum { COUNT = 500 };
    static char items[COUNT][8];
    uint32_t random = 7;
    void *last = items[0], *item = NULL;

    open_loop();
    queue = ioqueue_new_priority(loop, 0, compare_first_letters);
    for (int i = 0; i < COUNT; i++) {
        random = random * 1664525 + 1013904223;
        items[i][0] = (char)('a' + (random >> 16) % 26);
        put(items[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(ioqueue_get_nowait(queue, &item), 0);
        int order = i > 0 ? compare_first_letters(last, item) : -1;
        assert_true(order < 0 || (order == 0 && (char *)last < (char *)item));
        last = item;
    }
    expect_empty();
    close_queue();
}

/* queues_test:test_order of LifoQueueJoinTest */
static void a_lifo_queue_gives_the_last(void **state)
{
    open_loop();
    queue = ioqueue_new_lifo(loop, 3);
    assert_non_null(queue);
    put("1");
    put("3");
    put("2");
    put_later("4", -1);
    expect_item("4");
    expect_item("2");
    expect_item("3");
    put("5");
    expect_item("5");
    expect_item("1");
    expect_empty();
    close_queue();
}

static void a_queue_that_grows_and_wraps_around_keeps_its_order(void **state)
{
    enum { COUNT = 1500 };
    static char items[COUNT][2];
    void *item = NULL;
    int out = 0;

    open_queue(0);
    for (int in = 0; in < COUNT; in++) {
        assert_int_equal(ioqueue_put_nowait(queue, items[in]), 0);
        if (in % 3 != 0)
            continue;
        assert_int_equal(ioqueue_get_nowait(queue, &item), 0);
        assert_ptr_equal(item, items[out++]);
    }
    for (; out < COUNT; out++) {
        assert_int_equal(ioqueue_get_nowait(queue, &item), 0);
        assert_ptr_equal(item, items[out]);
    }
    expect_empty();
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(ioqueue_put_nowait(queue, items[i]), 0);
        if (i < 3)
            continue;
        assert_int_equal(ioqueue_get_nowait(queue, &item), 0);
        assert_ptr_equal(item, items[i - 3]);
    }
    close_queue();
}

/* A producer and a consumer. */

enum { ITEMS = 100 };
static char numbers[ITEMS][2];
static int produced, consumed;

static void produce(struct iofuture *future, void *arg)
{
    if (future != NULL)
        assert_int_equal(iofuture_error(future), 0);
    if (produced < ITEMS) {
        struct iofuture *next = not_null(ioqueue_put(queue, numbers[produced++], -1));
        assert_int_equal(iofuture_add_callback(next, produce, NULL), 0);
    }
    assert_in_range(ioqueue_qsize(queue), 0, 3);
}

static void consume(struct iofuture *future, void *arg)
{
    if (future != NULL && iofuture_error(future) == -ECANCELED)
        return; /* the end of the test */
    if (future != NULL) {
        assert_ptr_equal(iofuture_result(future), numbers[consumed++]);
        assert_int_equal(ioqueue_task_done(queue), 0);
    }
    assert_int_equal(iofuture_add_callback(not_null(ioqueue_get(queue, -1)), consume, NULL), 0);
}

/* queues_test:test_producer_consumer */
static void a_hundred_items_go_through_a_queue_of_three(void **state)
{
    open_queue(3);
    produced = consumed = 0;
    consume(NULL, NULL);
    produce(NULL, NULL);
    testing_spin(loop, 3 * ITEMS);
    assert_int_equal(consumed, ITEMS);
    tell(ioqueue_join(queue, -1), "j");
    expect_trace("j");
    assert_int_equal(ioqueue_task_done(queue), -EINVAL);
    close_queue();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_priority_queue_gives_the_least_and_of_equals_the_first),
    cmocka_unit_test(a_priority_queue_sorts),
    cmocka_unit_test(a_lifo_queue_gives_the_last),
    cmocka_unit_test(a_queue_that_grows_and_wraps_around_keeps_its_order),
    cmocka_unit_test(a_hundred_items_go_through_a_queue_of_three),
};

TESTING_MAIN(tests)
