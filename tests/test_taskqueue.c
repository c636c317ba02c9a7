/* Callbacks in the order in which they were added, whatever the ring's position when it grows. */
#include "ioloop/taskqueue.h"

#include <stdlib.h>

#include "tests/support/faults.h"
#include "tests/support/testing.h"

static int things[4096];

static void first_callback(void *arg)
{
}

static void second_callback(void *arg)
{
}

static bool push(struct taskqueue *queue, int i)
{
    return taskqueue_push(queue, i % 2 == 0 ? first_callback : second_callback, &things[i % 4096]);
}

static void pop_and_check(struct taskqueue *queue, int i)
{
    struct taskqueue_entry entry = taskqueue_pop(queue);

    assert_ptr_equal(entry.arg, &things[i % 4096]);
    assert_true(entry.callback == (i % 2 == 0 ? first_callback : second_callback));
}

static void gives_what_was_put_in_order(void **state)
{
    struct taskqueue queue = { 0 };

    for (int i = 0; i < 1000; i++)
        assert_true(push(&queue, i));
    for (int i = 0; i < 1000; i++)
        pop_and_check(&queue, i);
    assert_int_equal(queue.count, 0);
    taskqueue_free(&queue);
}

static void grows_at_every_position_of_the_ring(void **state)
{
    for (int first = 0; first < 64; first++) {
        struct taskqueue queue = { 0 };
        int in = 0, out = 0;

        for (; in < first; in++)
            assert_true(push(&queue, in));
        for (; out < first; out++)
            pop_and_check(&queue, out);
        for (; in < first + 300; in++)
            assert_true(push(&queue, in));
        for (; out < in; out++)
            pop_and_check(&queue, out);
        taskqueue_free(&queue);
    }
}

static void agrees_with_a_counter_at_random(void **state)
{
    struct taskqueue queue = { 0 };
    int in = 0, out = 0;

    srandom(1);
    for (int step = 0; step < 200000; step++) {
        bool fill = random() % 100 < (step / 20000 % 2 == 0 ? 52 : 48);
        if (fill)
            assert_true(push(&queue, in++));
        else if (out < in)
            pop_and_check(&queue, out++);
        assert_int_equal(queue.count, in - out);
    }
    taskqueue_free(&queue);
}

static void loses_nothing_when_there_is_no_memory(void **state)
{
    struct taskqueue queue = { 0 };
    long before = faults_allocated();

    faults_allocation(1, true);
    assert_false(push(&queue, 0));
    faults_end();
    for (int i = 0; i < 16; i++)
        assert_true(push(&queue, i));
    for (int i = 0; i < 5; i++)
        pop_and_check(&queue, i);
    for (int i = 16; i < 21; i++)
        assert_true(push(&queue, i));
    faults_allocation(1, true);
    assert_false(push(&queue, 21));
    faults_end();
    assert_true(push(&queue, 21));
    for (int i = 5; i < 22; i++)
        pop_and_check(&queue, i);
    taskqueue_free(&queue);
    assert_int_equal(faults_allocated(), before);
}

static void may_be_freed_while_it_is_full_and_used_again(void **state)
{
    struct taskqueue queue = { 0 };
    long before = faults_allocated();

    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 16; i++)
            assert_true(push(&queue, i));
        taskqueue_free(&queue);
        assert_int_equal(queue.count, 0);
    }
    assert_int_equal(faults_allocated(), before);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(gives_what_was_put_in_order),
    cmocka_unit_test(grows_at_every_position_of_the_ring),
    cmocka_unit_test(agrees_with_a_counter_at_random),
    cmocka_unit_test(loses_nothing_when_there_is_no_memory),
    cmocka_unit_test(may_be_freed_while_it_is_full_and_used_again),
};

TESTING_MAIN(tests)
