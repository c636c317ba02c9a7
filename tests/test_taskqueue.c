/* Callbacks in the order in which they were added. */
#include "ioloop/taskqueue.h"

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
    const struct taskqueue_entry *entry = taskqueue_next(queue);

    assert_non_null(entry);
    assert_ptr_equal(entry->arg, &things[i % 4096]);
    assert_true(entry->callback == (i % 2 == 0 ? first_callback : second_callback));
}

static void gives_what_was_put_in_order(void **state)
{
    struct taskqueue queue = { 0 };

    for (int i = 0; i < 1000; i++)
        assert_true(push(&queue, i));
    assert_false(taskqueue_is_empty(&queue));
    for (int i = 0; i < 1000; i++)
        pop_and_check(&queue, i);
    assert_null(taskqueue_next(&queue));
    assert_true(taskqueue_is_empty(&queue));
    taskqueue_free(&queue);
}

static void exchanges_what_is_added_for_what_is_run(void **state)
{
    struct taskqueue added = { 0 }, run = { 0 };
    int in = 0, out = 0;

    for (int turn = 0; turn < 100; turn++) {
        for (int i = 0; i < turn * 7 % 50; i++)
            assert_true(push(&added, in++));
        taskqueue_exchange(&added, &run);
        assert_true(taskqueue_is_empty(&added));
        for (const struct taskqueue_entry *entry; (entry = taskqueue_next(&run)) != NULL; out++)
            assert_ptr_equal(entry->arg, &things[out % 4096]);
        assert_int_equal(in, out);
    }
    taskqueue_free(&added);
    taskqueue_free(&run);
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
    faults_allocation(1, true);
    assert_false(push(&queue, 16));
    faults_end();
    assert_true(push(&queue, 16));
    for (int i = 0; i < 17; i++)
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
        assert_true(taskqueue_is_empty(&queue));
    }
    assert_int_equal(faults_allocated(), before);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(gives_what_was_put_in_order),
    cmocka_unit_test(exchanges_what_is_added_for_what_is_run),
    cmocka_unit_test(loses_nothing_when_there_is_no_memory),
    cmocka_unit_test(may_be_freed_while_it_is_full_and_used_again),
};

TESTING_MAIN(tests)
