/* Timeouts that are put off: removed and added again, or replaced. They keep their slot and, where they can, their
 * node. */
#include "ioloop/timeouts.h"

#include "tests/support/timeoutscene.h"

/* Connections with a timeout of a minute, which is set again with every byte, beside one that is due soon. */
static void what_is_set_again_before_it_may_be_next_stays_out_of_the_heap(void **state)
{
    struct timeouts timeouts = { 0 };
    uint64_t ids[100];

    add(&timeouts, 10, 0);
    assert_true(timeouts_next(&timeouts) == 10);
    assert_true(timeouts.young_first == INT64_MAX);
    for (int i = 0; i < 100; i++)
        ids[i] = add_delay(&timeouts, 1, 60, i);
    for (int i = 0; i < 10000; i++) {
        timeouts_remove(&timeouts, ids[i % 100]);
        ids[i % 100] = add_delay(&timeouts, 1, 60, i % 100);
    }
    timeouts_settle(&timeouts, 1);
    assert_true(timeouts_next(&timeouts) == 10);
    assert_int_equal(timeouts.heap_count, 1);
    assert_int_equal(timeouts.young_count, 100);
    timeouts_free(&timeouts);
}

static void what_is_set_again_for_later_keeps_its_node(void **state)
{
    struct timeouts timeouts = { 0 };
    static const intptr_t sorted[] = { 8, 7, 9 };
    intptr_t args[4];
    uint64_t id = add(&timeouts, 10, 1);

    add(&timeouts, 1008, 8);
    assert_true(timeouts_next(&timeouts) == 10);
    for (int i = 0; i < 1000; i++) {
        timeouts_remove(&timeouts, id);
        assert_int_equal(timeouts.useless, 1);
        id = add(&timeouts, 10 + i, 7);
        assert_int_equal(timeouts.useless, 0);
    }
    assert_int_equal(timeouts.heap_count, 2);
    assert_int_equal(timeouts.young_count, 0);
    add(&timeouts, 1009, 9);
    assert_true(timeouts_next(&timeouts) == 1008);
    assert_int_equal(take_due(&timeouts, 1008, args, 4), 1);
    assert_int_equal(take_due(&timeouts, 1009, args + 1, 3), 2);
    assert_memory_equal(args, sorted, sizeof sorted);
    timeouts_free(&timeouts);
}

/* The node that was there is older than that of the second. */
static void what_is_set_again_for_the_same_time_comes_in_its_new_order(void **state)
{
    struct timeouts timeouts = { 0 };
    static const intptr_t sorted[] = { 2, 3 };
    intptr_t args[4];
    uint64_t id = add(&timeouts, 10, 1);

    add(&timeouts, 10, 2);
    assert_true(timeouts_next(&timeouts) == 10);
    timeouts_remove(&timeouts, id);
    add(&timeouts, 10, 3);
    assert_int_equal(timeouts.heap_count, 2);
    assert_int_equal(timeouts.young_count, 0);
    assert_int_equal(take_due(&timeouts, 10, args, 4), 2);
    assert_memory_equal(args, sorted, sizeof sorted);
    timeouts_free(&timeouts);
}

/* One that is still young is older than it. */
static void what_is_set_again_with_an_old_node_comes_behind_older_ones(void **state)
{
    struct timeouts timeouts = { 0 };
    static const intptr_t sorted[] = { 2, 3 };
    intptr_t args[4];
    uint64_t id = add(&timeouts, 50, 1);

    add(&timeouts, 200, 9);
    assert_true(timeouts_next(&timeouts) == 50);
    add(&timeouts, 100, 2);
    timeouts_remove(&timeouts, id);
    add(&timeouts, 100, 3);
    assert_int_equal(timeouts.heap_count, 2);
    assert_int_equal(take_due(&timeouts, 100, args, 4), 2);
    assert_memory_equal(args, sorted, sizeof sorted);
    timeouts_free(&timeouts);
}

static void what_is_set_again_for_earlier_comes_earlier_and_once(void **state)
{
    struct timeouts timeouts = { 0 };
    static const intptr_t sorted[] = { 4, 5 };
    intptr_t args[4];
    uint64_t id = add(&timeouts, 100, 1);

    add(&timeouts, 200, 5);
    add(&timeouts, 201, 6);
    assert_true(timeouts_next(&timeouts) == 100);
    timeouts_remove(&timeouts, id);
    id = add(&timeouts, 50, 2);
    assert_int_equal(timeouts.useless, 1);
    assert_true(timeouts_next(&timeouts) == 50);
    assert_int_equal(timeouts.heap_count, 4);
    timeouts_remove(&timeouts, id);
    timeouts_remove(&timeouts, add(&timeouts, 70, 3)); /* with the node of 50 */
    assert_int_equal(timeouts.useless, 2);
    add(&timeouts, 60, 4);
    assert_true(timeouts_next(&timeouts) == 60);
    assert_int_equal(take_due(&timeouts, 200, args, 4), 2);
    assert_memory_equal(args, sorted, sizeof sorted);
    assert_int_equal(timeouts.useless, 0);
    timeouts_free(&timeouts);
}

/* What a slot remembers of the last one is no deadline of the next, before that is settled. */
static void a_delay_takes_over_a_node_when_it_is_settled(void **state)
{
    struct timeouts timeouts = { 0 };
    static const intptr_t sorted[] = { 3, 5, 4, 6 };
    intptr_t args[8];

    add(&timeouts, 3000, 4);
    uint64_t id = add_delay(&timeouts, 1000, 5, 1);
    timeouts_settle(&timeouts, 1000);
    assert_true(timeouts_next(&timeouts) == 1005);
    timeouts_remove(&timeouts, id);
    id = add_delay(&timeouts, 2000, 3, 2);
    timeouts_remove(&timeouts, id);
    add_delay(&timeouts, 2000, 4, 3);
    timeouts_settle(&timeouts, 2000);
    assert_int_equal(timeouts.heap_count, 2);
    assert_int_equal(timeouts.young_count, 0);
    uint64_t gone = add(&timeouts, 9000, 7);
    assert_true(timeouts_next(&timeouts) == 2004);
    timeouts_remove(&timeouts, gone);
    add(&timeouts, 2500, 5);
    add(&timeouts, 4000, 6);
    assert_int_equal(take_due(&timeouts, 9000, args, 8), 4);
    assert_memory_equal(args, sorted, sizeof sorted);
    timeouts_free(&timeouts);
}

/* Without asking for more room. */
static void what_is_replaced_keeps_its_slot_and_its_node(void **state)
{
    struct timeouts timeouts = { 0 };
    uint64_t id = add(&timeouts, 10, 0);
    intptr_t args[2];

    add(&timeouts, 2000, 1);
    assert_true(timeouts_next(&timeouts) == 10); /* both are in the heap now */
    for (int i = 0; timeouts_has_room(&timeouts); i++) {
        uint64_t next = replace(&timeouts, i, id, 10, 2);
        assert_true(next != id && (uint32_t)next == (uint32_t)id);
        id = next;
        timeouts_settle(&timeouts, i);
    }
    assert_int_equal(timeouts.live, 2);
    assert_int_equal(timeouts.slot_count, 2);
    assert_int_equal(timeouts.heap_count, 2);
    assert_int_equal(timeouts.young_count + timeouts.useless, 0);
    assert_int_equal(take_due(&timeouts, 1999, args, 2), 1);
    assert_int_equal(args[0], 2);
    timeouts_free(&timeouts);
}

/* Each leaves a node behind that has come to the heap. */
static void what_is_replaced_by_earlier_ones_takes_no_more_room(void **state)
{
    struct timeouts timeouts = { 0 };
    uint64_t id = add(&timeouts, 200000, 0);

    for (int i = 1; i < 100000; i++) {
        id = replace(&timeouts, 0, id, 200000 - i, 0);
        timeouts_settle(&timeouts, 0);
        assert_true(timeouts_next(&timeouts) == 200000 - i);
    }
    assert_in_range(timeouts.heap_capacity, 1, 2048);
    assert_in_range(timeouts.slot_count, 1, 2);
    timeouts_free(&timeouts);
}

static void what_is_gone_is_replaced_by_a_new_one(void **state)
{
    struct timeouts timeouts = { 0 };
    uint64_t first = add(&timeouts, 1, 1), second = add(&timeouts, 1, 2);
    static const uint64_t never[] = { 0, 1, UINT64_MAX, UINT64_C(1) << 32, UINT64_C(1) << 32 | 99 };
    intptr_t args[16];

    timeouts_remove(&timeouts, first);
    assert_int_not_equal(replace(&timeouts, 0, first, 1, 3), 0);
    assert_int_not_equal(replace(&timeouts, 0, first, 1, 4), 0); /* whose slot the other has */
    for (int i = 0; i < 5; i++)
        assert_int_not_equal(replace(&timeouts, 0, never[i], 2, 5), 0);
    timeouts_settle(&timeouts, 0);
    assert_int_equal(timeouts.live, 3 + 5);
    assert_int_equal(take_due(&timeouts, 1, args, 16), 3);
    assert_true(args[0] == 2 && args[1] == 3 && args[2] == 4);
    timeouts_remove(&timeouts, second);
    assert_int_equal(take_due(&timeouts, 2, args, 16), 5);
    timeouts_free(&timeouts);
}

static void one_that_was_collected_and_replaced_is_not_given(void **state)
{
    struct timeouts timeouts = { 0 };
    uint64_t ids[2] = { add(&timeouts, 1, 1), add(&timeouts, 1, 2) };
    ioloop_callback_fn *callback;
    intptr_t args[4];
    void *arg;

    timeouts_collect_due(&timeouts, 1);
    assert_true(timeouts_next_due(&timeouts, &callback, &arg) && (intptr_t)arg == 1);
    replace(&timeouts, 1, ids[1], -1, 3);
    timeouts_settle(&timeouts, 1);
    assert_false(timeouts_next_due(&timeouts, &callback, &arg));
    assert_int_equal(take_due(&timeouts, 1, args, 4), 1);
    assert_int_equal(args[0], 3);
    timeouts_free(&timeouts);
}

static void one_can_be_replaced_before_its_delay_is_settled(void **state)
{
    struct timeouts timeouts = { 0 };
    uint64_t id = add_delay(&timeouts, 0, 10, 1);
    intptr_t args[4];

    id = replace(&timeouts, 0, id, 30, 2);
    id = replace(&timeouts, 0, id, 20, 3);
    timeouts_settle(&timeouts, 0);
    assert_int_equal(timeouts.young_count, 1);
    assert_int_equal(take_due(&timeouts, 19, args, 4), 0);
    assert_int_equal(take_due(&timeouts, 40, args, 4), 1);
    assert_int_equal(args[0], 3);
    timeouts_remove(&timeouts, id);
    timeouts_free(&timeouts);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_is_set_again_before_it_may_be_next_stays_out_of_the_heap),
    cmocka_unit_test(what_is_set_again_for_later_keeps_its_node),
    cmocka_unit_test(what_is_set_again_for_the_same_time_comes_in_its_new_order),
    cmocka_unit_test(what_is_set_again_with_an_old_node_comes_behind_older_ones),
    cmocka_unit_test(what_is_set_again_for_earlier_comes_earlier_and_once),
    cmocka_unit_test(a_delay_takes_over_a_node_when_it_is_settled),
    cmocka_unit_test(what_is_replaced_keeps_its_slot_and_its_node),
    cmocka_unit_test(what_is_replaced_by_earlier_ones_takes_no_more_room),
    cmocka_unit_test(what_is_gone_is_replaced_by_a_new_one),
    cmocka_unit_test(one_that_was_collected_and_replaced_is_not_given),
    cmocka_unit_test(one_can_be_replaced_before_its_delay_is_settled),
};

TESTING_MAIN(tests)
