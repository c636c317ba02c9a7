/* The heap of timeouts by itself; what a loop makes of it is in test_ioloop_timeouts.c. test_timeouts_replaced.c has
 * those that are set anew. */
#include "ioloop/timeouts.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/faults.h"
#include "tests/support/timeoutscene.h"

static void an_empty_set_has_nothing_to_give(void **state)
{
    struct timeouts timeouts = { 0 };
    intptr_t args[1];

    assert_true(timeouts_next(&timeouts) == INT64_MAX);
    assert_int_equal(take_due(&timeouts, INT64_MAX, args, 1), 0);
    timeouts_remove(&timeouts, 0);
    timeouts_remove(&timeouts, 1);
    timeouts_remove(&timeouts, UINT64_MAX);
    timeouts_free(&timeouts);
}

static void comes_in_the_order_of_deadlines(void **state)
{
    static const int64_t deadlines[] = { 5, INT64_MIN, 3, INT64_MAX - 1, 0, -7, 4, INT64_MIN + 1 };
    static const intptr_t sorted[] = { 1, 7, 5, 4, 2, 6, 0, 3 };
    struct timeouts timeouts = { 0 };
    intptr_t args[8];

    for (intptr_t i = 0; i < 8; i++)
        add(&timeouts, deadlines[i], i);
    assert_true(timeouts_next(&timeouts) == INT64_MIN);
    assert_int_equal(take_due(&timeouts, INT64_MAX - 1, args, 8), 8);
    assert_memory_equal(args, sorted, sizeof sorted);
    timeouts_free(&timeouts);
}

static void equal_deadlines_come_in_the_order_they_were_made(void **state)
{
    struct timeouts timeouts = { 0 };
    intptr_t args[300];

    for (intptr_t i = 0; i < 300; i++)
        add(&timeouts, 7, i);
    assert_int_equal(take_due(&timeouts, 6, args, 300), 0);
    assert_int_equal(take_all(&timeouts, 7, args, 300), 300);
    for (intptr_t i = 0; i < 300; i++)
        assert_int_equal(args[i], i);
    timeouts_free(&timeouts);
}

/* 0xffffffff + 1 and 0x7fffffff + 1 are where order numbers change sign, or meet the 0 of a free slot. */
static void order_numbers_may_wrap_around(void **state)
{
    static const uint32_t starts[] = { 0xfffffff0u, 0x7ffffff0u, 0u };

    for (size_t start = 0; start < 3; start++) {
        struct timeouts timeouts = { .order = starts[start] };
        uint64_t ids[64];
        intptr_t args[64];

        for (intptr_t i = 0; i < 64; i++)
            ids[i] = add(&timeouts, 7, i);
        for (int i = 0; i < 64; i += 2)
            timeouts_remove(&timeouts, ids[i]);
        assert_int_equal(take_due(&timeouts, 7, args, 64), 32);
        for (int i = 0; i < 32; i++)
            assert_int_equal(args[i], 2 * i + 1);
        assert_int_equal(timeouts.live, 0);
        timeouts_free(&timeouts);
    }
}

/* One that survived a turn of the order numbers would pass for that of the one which has its slot and number now. */
static void useless_nodes_do_not_outlive_a_turn_of_the_order_numbers(void **state)
{
    struct timeouts timeouts = { 0 };
    intptr_t args[4];
    uint64_t id = add(&timeouts, 5, 1);

    add(&timeouts, 9, 9);
    assert_true(timeouts_next(&timeouts) == 5); /* both are in the heap now */
    timeouts_remove(&timeouts, id);
    set_order(&timeouts, 0x7fffffff);
    timeouts_remove(&timeouts, add(&timeouts, 4, 2));
    set_order(&timeouts, 0xffffffff);
    assert_true(add(&timeouts, 7, 3) == id); /* two things of one name, a turn apart */
    assert_int_equal(take_due(&timeouts, 6, args, 4), 0);
    assert_int_equal(take_due(&timeouts, 7, args, 4), 1);
    timeouts_free(&timeouts);
}

/* The node of a slot that was free at the turn of the order numbers is gone, and no other passes for it. */
static void a_slot_that_was_free_for_long_has_forgotten_its_node(void **state)
{
    struct timeouts timeouts = { 0 };
    uint64_t ids[10];
    intptr_t args[16];

    for (int i = 0; i < 10; i++)
        ids[i] = add(&timeouts, 5, i);
    timeouts_remove(&timeouts, ids[9]);
    timeouts_remove(&timeouts, ids[8]);
    set_order(&timeouts, 0x7fffffff);
    add(&timeouts, 5, 10);
    set_order(&timeouts, 0xfffffff0);
    assert_true(timeouts_next(&timeouts) == 5);
    add(&timeouts, 6, 11);
    assert_int_equal(take_due(&timeouts, 6, args, 16), 10);
    timeouts_free(&timeouts);
}

static void an_id_is_not_confused_with_the_next_of_its_slot(void **state)
{
    struct timeouts timeouts = { 0 };
    intptr_t args[2];
    uint64_t old = add(&timeouts, 1, 1);

    assert_int_equal(take_due(&timeouts, 1, args, 2), 1);
    uint64_t new = add(&timeouts, 2, 2);
    assert_int_equal((uint32_t)old, (uint32_t) new); /* the same slot */
    assert_true(old != new);
    timeouts_remove(&timeouts, old);
    assert_int_equal(take_due(&timeouts, 2, args, 2), 1);
    timeouts_remove(&timeouts, new);
    assert_int_equal(timeouts.live, 0);
    timeouts_free(&timeouts);
}

static void ids_that_were_never_given_out_remove_nothing(void **state)
{
    struct timeouts timeouts = { 0 };
    uint64_t id = add(&timeouts, 1, 1);

    timeouts_remove(&timeouts, id + 1);
    timeouts_remove(&timeouts, id + (UINT64_C(1) << 32));
    timeouts_remove(&timeouts, (uint32_t)id);
    timeouts_remove(&timeouts, id & ~(uint64_t)UINT32_MAX);
    assert_int_equal(timeouts.live, 1);
    timeouts_remove(&timeouts, id);
    timeouts_remove(&timeouts, (uint32_t)id); /* 0 is the order number of a free slot */
    assert_int_equal(timeouts.live, 0);
    assert_true(add(&timeouts, 1, 1) != add(&timeouts, 1, 2));
    assert_int_equal(timeouts.slot_count, 2);
    timeouts_free(&timeouts);
}

static void a_removed_one_that_was_collected_is_not_given(void **state)
{
    struct timeouts timeouts = { 0 };
    ioloop_callback_fn *callback;
    uint64_t ids[3];
    void *arg;

    for (intptr_t i = 0; i < 3; i++)
        ids[i] = add(&timeouts, i, i);
    timeouts_collect_due(&timeouts, 2);
    assert_true(timeouts_next_due(&timeouts, &callback, &arg));
    timeouts_remove(&timeouts, ids[1]);
    add(&timeouts, 0, 9); /* gets the slot of the one removed, and is not part of the batch */
    assert_true(timeouts_next_due(&timeouts, &callback, &arg));
    assert_int_equal((intptr_t)arg, 2);
    assert_false(timeouts_next_due(&timeouts, &callback, &arg));
    assert_true(timeouts_next(&timeouts) == 0);
    timeouts_free(&timeouts);
}

static void a_batch_has_a_limit_and_the_rest_comes_in_the_next(void **state)
{
    struct timeouts timeouts = { 0 };
    static intptr_t args[TIMEOUTS_BATCH];

    for (intptr_t i = 0; i < 2 * TIMEOUTS_BATCH + 10; i++)
        add(&timeouts, i, i);
    assert_int_equal(take_due(&timeouts, 5000, args, TIMEOUTS_BATCH), TIMEOUTS_BATCH);
    assert_int_equal(args[0], 0);
    assert_int_equal(take_due(&timeouts, 5000, args, TIMEOUTS_BATCH), TIMEOUTS_BATCH);
    assert_int_equal(args[0], TIMEOUTS_BATCH);
    assert_int_equal(take_due(&timeouts, 5000, args, TIMEOUTS_BATCH), 10);
    assert_int_equal(take_due(&timeouts, 5000, args, TIMEOUTS_BATCH), 0);
    timeouts_free(&timeouts);
}

static void delays_count_from_when_they_are_settled(void **state)
{
    struct timeouts timeouts = { 0 };
    static const intptr_t sorted[] = { 4, 1, 3, 2 };
    intptr_t args[4];

    add(&timeouts, 1007, 1);
    add_delay(&timeouts, 1000, 8, 2);
    add_delay(&timeouts, 1000, 7, 3);
    assert_int_equal(timeouts.delay_count, 2);
    timeouts_settle(&timeouts, 1000);
    assert_int_equal(timeouts.delay_count, 0);
    add(&timeouts, 1006, 4);
    assert_int_equal(take_due(&timeouts, 1005, args, 4), 0);
    assert_int_equal(take_due(&timeouts, 1008, args, 4), 4);
    assert_memory_equal(args, sorted, sizeof sorted);
    timeouts_free(&timeouts);
}

static void a_delay_beyond_all_time_is_never_or_always(void **state)
{
    static const struct {
        int64_t now, delay, deadline;
    } cases[] = { { 1, INT64_MAX, INT64_MAX },     { -1, INT64_MIN, INT64_MIN },    { INT64_MAX, 1, INT64_MAX },
                  { INT64_MIN, -1, INT64_MIN },    { 1, INT64_MAX - 1, INT64_MAX }, { INT64_MIN, 5, INT64_MIN + 5 },
                  { INT64_MAX, -5, INT64_MAX - 5 } };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct timeouts timeouts = { 0 };

        add_delay(&timeouts, cases[i].now, cases[i].delay, 0);
        timeouts_settle(&timeouts, cases[i].now);
        assert_true(timeouts_next(&timeouts) == cases[i].deadline);
        timeouts_free(&timeouts);
    }
}

/* A thousand delays between two waits of the loop, each removed and set anew. */
static void a_delay_that_is_removed_before_it_is_settled_leaves_nothing(void **state)
{
    struct timeouts timeouts = { 0 };
    static uint64_t ids[1000];
    static intptr_t args[1000];

    for (int i = 0; i < 1000; i++)
        ids[i] = add_delay(&timeouts, 100, 10, i);
    for (int i = 0; i < 1000; i++) {
        timeouts_remove(&timeouts, ids[i]);
        if (i % 2 == 0)
            ids[i] = add_delay(&timeouts, 100, 10, i);
    }
    timeouts_settle(&timeouts, 100);
    assert_int_equal(timeouts.live, 500);
    assert_int_equal(take_all(&timeouts, 110, args, 1000), 500);
    for (int i = 0; i < 500; i++)
        assert_int_equal(args[i], 2 * i);
    timeouts_free(&timeouts);
}

static void all_begins_anew_when_none_is_left(void **state)
{
    struct timeouts timeouts = { 0 };
    uint64_t ids[10];
    intptr_t args[10];

    for (int i = 0; i < 10; i++)
        ids[i] = add(&timeouts, 10 + i, i);
    assert_int_equal(take_due(&timeouts, 12, args, 10), 3);
    add_delay(&timeouts, 20, 1, 10);
    for (int i = 3; i < 10; i++)
        timeouts_remove(&timeouts, ids[i]);
    timeouts_settle(&timeouts, 20);
    assert_int_equal(take_due(&timeouts, 21, args, 10), 1);
    assert_int_equal(timeouts.slot_count + timeouts.heap_count + timeouts.young_count + timeouts.useless, 0);
    assert_true(timeouts_next(&timeouts) == INT64_MAX);
    for (int i = 0; i < 10; i++)
        timeouts_remove(&timeouts, ids[i]);
    timeouts_remove(&timeouts, add(&timeouts, 4, 2));
    assert_true(timeouts.young_first == INT64_MAX);
    add(&timeouts, 5, 3);
    assert_int_equal(timeouts.slot_count, 1);
    assert_int_equal(take_due(&timeouts, 5, args, 10), 1);
    timeouts_free(&timeouts);
}

/* Tornado's rule: over 512 useless nodes and more than half of the heap. */
static void removed_ones_do_not_fill_the_heap(void **state)
{
    struct timeouts timeouts = { 0 };
    static uint64_t ids[1100];

    for (intptr_t i = 0; i < 1100; i++)
        ids[i] = add(&timeouts, i, i);
    assert_true(timeouts_next(&timeouts) == 0); /* all are in the heap now */
    for (int i = 1099; i >= 550; i--)
        timeouts_remove(&timeouts, ids[i]);
    assert_int_equal(timeouts.heap_count, 1100); /* 550 are not more than half */
    timeouts_remove(&timeouts, ids[549]);
    assert_int_equal(timeouts.useless, 0);
    assert_int_equal(timeouts.heap_count, 549);
    assert_int_equal(timeouts.live, 549);
    for (int i = 0; i < 549; i++) {
        assert_true(timeouts_next(&timeouts) == i);
        timeouts_remove(&timeouts, ids[i]);
    }
    assert_true(timeouts_next(&timeouts) == INT64_MAX);
    timeouts_free(&timeouts);
}

/* When it is built anew, for each number of nodes up to a few full rows of them. */
static void the_heap_is_one_after_the_useless_nodes_are_gone(void **state)
{
    static uint64_t ids[700];

    srandom(5);
    for (int left = 1; left < 100; left++) {
        struct timeouts timeouts = { 0 };
        intptr_t args[150];
        int count = left + 600;

        for (int i = 0; i < count; i++) {
            int64_t deadline = random() % 1000;
            ids[i] = add(&timeouts, deadline, (intptr_t)deadline);
        }
        timeouts_next(&timeouts); /* all are in the heap now */
        for (int i = 0; i < 600; i++)
            timeouts_remove(&timeouts, ids[i]);
        assert_true(timeouts.heap_count < (uint32_t)count);
        for (int i = 0; i < 50; i++)
            add(&timeouts, 1000, 1000); /* the last ones before these stay where they were put */
        assert_int_equal(take_all(&timeouts, 1000, args, 150), left + 50);
        for (int i = 1; i < left; i++)
            assert_true(args[i - 1] <= args[i]);
        timeouts_free(&timeouts);
    }
}

static void one_after_the_other_takes_no_more_room(void **state)
{
    struct timeouts timeouts = { 0 };

    add(&timeouts, 200000, 0);
    for (intptr_t i = 0; i < 100000; i++) {
        timeouts_remove(&timeouts, add(&timeouts, 100000 - i, i));
        if (i % 3 == 0)
            assert_true(timeouts_next(&timeouts) == 200000);
    }
    assert_in_range(timeouts.heap_capacity, 1, 1024);
    assert_int_equal(timeouts.slot_count, 2);
    timeouts_free(&timeouts);
}

static void loses_nothing_when_there_is_no_memory(void **state)
{
    struct timeouts timeouts = { 0 };
    long before = faults_allocated();
    static intptr_t args[512];
    int added = 0;

    for (int nth = 1; added < 400; nth++) {
        faults_allocation(nth % 4 + 1, false);
        for (int i = 0; i < 40; i++)
            added += timeouts_add(&timeouts, 1, nothing, NULL) != 0;
        faults_end();
        assert_int_equal(timeouts.live, added);
    }
    assert_int_equal(take_all(&timeouts, 1, args, 512), added);
    timeouts_free(&timeouts);
    assert_int_equal(faults_allocated(), before);
}

/* The model: all that were added, in the order they were; the due ones are found by looking at each. */
enum { NAMES = 200000, MOST_LIVE = 700 };
struct entry {
    int64_t deadline;
    uint64_t id;
    intptr_t name;
};
static struct entry live[MOST_LIVE];
static int live_count;

static void forget(int index)
{
    live_count--;
    memmove(&live[index], &live[index + 1], (size_t)(live_count - index) * sizeof *live);
}

static int earliest_of_model(void)
{
    int best = 0;

    for (int i = 1; i < live_count; i++) {
        if (live[i].deadline < live[best].deadline)
            best = i;
    }
    return best;
}

static void check_due(struct timeouts *timeouts, int64_t now)
{
    static intptr_t args[TIMEOUTS_BATCH];
    int count = take_due(timeouts, now, args, TIMEOUTS_BATCH);

    for (int i = 0; i < count; i++) {
        int best = earliest_of_model();
        assert_true(live_count > 0 && live[best].deadline <= now);
        assert_int_equal(args[i], live[best].name);
        forget(best);
    }
    if (count < TIMEOUTS_BATCH && live_count > 0)
        assert_true(live[earliest_of_model()].deadline > now);
}

/* often: asked for the next after each step, so that the young are few. span: of most deadlines; when it is short, many
 * are equal. */
static void compare_with_model(bool often, int span, unsigned seed)
{
    struct timeouts timeouts = { .order = 0x7fffffffu - 50000 };
    static uint64_t gone[1024];
    int64_t now = 0;

    live_count = 0;
    memset(gone, 0, sizeof gone);
    srandom(seed);
    for (intptr_t step = 0; step < NAMES; step++) {
        int what = (int)(random() % 100);
        if (what < 55 && live_count < MOST_LIVE) {
            int64_t deadline = now - 20 + random() % (what < 10 ? 50 * span : span);
            bool by_delay = random() % 2 == 0;
            if (!by_delay)
                timeouts_settle(&timeouts, now);
            uint64_t id = by_delay ? add_delay(&timeouts, now, deadline - now, step) : add(&timeouts, deadline, step);
            live[live_count++] = (struct entry){ deadline, id, step };
        } else if (what < 75 && live_count > 0) {
            int index = (int)(random() % live_count);
            int64_t delay = random() % (what < 57 ? 50 * span : span) - 20;
            uint64_t old = live[index].id;
            gone[step % 1024] = old;
            forget(index);
            live[live_count++] = (struct entry){ now + delay, replace(&timeouts, now, old, delay, step), step };
        } else if (what < 97 && live_count > 0) {
            int index = (int)(random() % live_count);
            gone[step % 1024] = live[index].id;
            timeouts_remove(&timeouts, live[index].id);
            forget(index);
        } else {
            timeouts_settle(&timeouts, now);
            now += random() % 100;
            check_due(&timeouts, now);
        }
        timeouts_remove(&timeouts, gone[random() % 1024]);
        assert_int_equal(timeouts.live, live_count);
        if (often || random() % 500 == 0) {
            timeouts_settle(&timeouts, now);
            assert_true(timeouts_next(&timeouts) == (live_count > 0 ? live[earliest_of_model()].deadline : INT64_MAX));
        }
    }
    timeouts_free(&timeouts);
}

static void agrees_with_a_naive_model_at_random(void **state)
{
    compare_with_model(true, 2000, 2);
    compare_with_model(false, 2000, 3);
    compare_with_model(true, 40, 4);
    compare_with_model(false, 40, 5);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_empty_set_has_nothing_to_give),
    cmocka_unit_test(comes_in_the_order_of_deadlines),
    cmocka_unit_test(equal_deadlines_come_in_the_order_they_were_made),
    cmocka_unit_test(order_numbers_may_wrap_around),
    cmocka_unit_test(useless_nodes_do_not_outlive_a_turn_of_the_order_numbers),
    cmocka_unit_test(a_slot_that_was_free_for_long_has_forgotten_its_node),
    cmocka_unit_test(an_id_is_not_confused_with_the_next_of_its_slot),
    cmocka_unit_test(ids_that_were_never_given_out_remove_nothing),
    cmocka_unit_test(a_removed_one_that_was_collected_is_not_given),
    cmocka_unit_test(a_batch_has_a_limit_and_the_rest_comes_in_the_next),
    cmocka_unit_test(delays_count_from_when_they_are_settled),
    cmocka_unit_test(a_delay_beyond_all_time_is_never_or_always),
    cmocka_unit_test(a_delay_that_is_removed_before_it_is_settled_leaves_nothing),
    cmocka_unit_test(all_begins_anew_when_none_is_left),
    cmocka_unit_test(removed_ones_do_not_fill_the_heap),
    cmocka_unit_test(the_heap_is_one_after_the_useless_nodes_are_gone),
    cmocka_unit_test(one_after_the_other_takes_no_more_room),
    cmocka_unit_test(loses_nothing_when_there_is_no_memory),
    cmocka_unit_test(agrees_with_a_naive_model_at_random),
};

TESTING_MAIN(tests)
