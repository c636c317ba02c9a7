/* What peers together can make the library hold: the budget by itself, and in streams, bodies and pages. */
#include "ioloop/iobudget.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ioloop/ioalloc.h"
#include "ioloop/iobuffer.h"
#include "tests/support/faults.h"
#include "tests/support/httpscene.h"
#include "tests/support/httptexts.h"
#include "tests/support/streampair.h"
#include "tests/support/testing.h"

enum { MIB = 1 << 20 }; /* which the budget is, in most of these */

static size_t set_budget(size_t budget)
{
    testing_begin_logs();
    ioalloc_set_budget(budget);
    return ioalloc_budget_used();
}

/* Nothing that was taken since is left. */
static void reset_budget(size_t before)
{
    assert_int_equal(ioalloc_budget_used(), before);
    ioalloc_set_budget(0);
    testing_end_logs();
}

static void refuses_what_is_over_it_and_gives_again_what_was_freed(void **state)
{
    size_t before = set_budget(MIB);
    void *first = iobudget_alloc(600000), *second = iobudget_alloc(400000);

    assert_non_null(first);
    assert_non_null(second);
    assert_in_range(ioalloc_budget_used() - before, 1000000, 1000100);
    assert_null(iobudget_alloc(400000));
    assert_in_range(ioalloc_budget_used() - before, 1000000, 1000100);
    iobudget_free(second);
    second = iobudget_alloc(400000);
    assert_non_null(second);
    iobudget_free(first);
    iobudget_free(second);
    iobudget_free(NULL);
    reset_budget(before);
}

static void a_block_that_cannot_grow_stays_as_it_is(void **state)
{
    size_t before = set_budget(MIB);
    char *block = iobudget_resize(NULL, 100000);

    assert_non_null(block);
    memset(block, 7, 100000);
    assert_null(iobudget_resize(block, MIB));
    assert_int_equal(block[99999], 7);
    assert_null(iobudget_resize(block, SIZE_MAX - 10));
    block = iobudget_resize(block, 900000);
    assert_non_null(block);
    assert_int_equal(block[99999], 7);
    assert_in_range(ioalloc_budget_used() - before, 900000, 900100);
    block = iobudget_resize(block, 10);
    assert_in_range(ioalloc_budget_used() - before, 10, 100);
    iobudget_free(block);
    reset_budget(before);
}

static void small_blocks_are_given_in_any_case(void **state)
{
    size_t before = set_budget(MIB);
    void *large = iobudget_alloc(MIB - 5000), *small[10], *grown;

    assert_non_null(large);
    for (int i = 0; i < 10; i++)
        assert_non_null(small[i] = iobudget_alloc(4096));
    assert_null(iobudget_alloc(5000));
    assert_null(iobudget_resize(small[0], 5000));
    grown = iobudget_resize(NULL, 100);
    assert_non_null(grown = iobudget_resize(grown, 4096));
    iobudget_free(grown);
    iobudget_free(large);
    for (int i = 0; i < 10; i++)
        iobudget_free(small[i]);
    reset_budget(before);
}

static void memory_that_is_not_there_is_not_counted(void **state)
{
    size_t before = set_budget(MIB);

    faults_allocation(1, true);
    assert_null(iobudget_alloc(100));
    faults_end();
    assert_int_equal(ioalloc_budget_used(), before);
    void *block = iobudget_alloc(100);
    faults_allocation(1, true);
    assert_null(iobudget_resize(block, 100000));
    faults_end();
    iobudget_free(block);
    reset_budget(before);
}

static void a_budget_may_be_any_number_and_0_is_the_default(void **state)
{
    size_t before = set_budget(SIZE_MAX);
    void *block;

    assert_non_null(block = iobudget_alloc(3 * MIB));
    ioalloc_set_budget(1);
    assert_null(iobudget_alloc(10000));
    iobudget_free(block);
    ioalloc_set_budget(0);
    assert_non_null(block = iobudget_alloc(255u * MIB));
    assert_null(iobudget_alloc(MIB));
    iobudget_free(block);
    reset_budget(before);
}

/* A peer that does not read: its stream ends, and what it held is free again. */
static void a_stream_closes_that_has_to_hold_more(void **state)
{
    size_t before = set_budget(MIB);
    struct outcome sent = { 0 };
    struct streampair pair;
    char *page = calloc(1, 16 * MIB);

    assert_non_null(page);
    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    assert_int_equal(iostream_write(pair.stream, page, 16 * MIB, outcome_end, &sent), -ENOMEM);
    streampair_run(&pair, &pair.closed);
    assert_ended(pair.closed, -ENOMEM);
    assert_int_equal(sent.calls, 0);
    streampair_close(&pair);
    free(page);
    reset_budget(before);
}

static void hold_half(struct httpscene *scene, struct httpscene_client **client)
{
    char part[4096];

    memset(part, 'x', sizeof part);
    *client = httpscene_connect_unix(scene);
    httpscene_put(scene, *client, POST("700000"));
    for (int i = 0; i < 160; i++) {
        httpscene_put_bytes(scene, *client, part, sizeof part);
        testing_spin(scene->loop, 1);
    }
}

/* The first body has most of the budget; large ones beside it are refused, small ones and plain requests are not. */
static void bodies_that_are_too_many_are_answered_with_503(void **state)
{
    struct httpscene_client *first, *second, *third;
    struct httpscene scene;

    size_t before = set_budget(2 * MIB);
    httpscene_open(&scene, NULL);
    hold_half(&scene, &first);
    assert_in_range(ioalloc_budget_used() - before, MIB, MIB + 10000); /* buffers grow by doubling */
    hold_half(&scene, &second);
    httpscene_expect_last(&scene, second, 503);
    third = httpscene_connect_unix(&scene);
    httpscene_put(&scene, third, POST("5") "hello");
    httpscene_expect(&scene, third, 200, "POST / hello");
    httpscene_hang_up(first);
    testing_spin(scene.loop, 3);
    hold_half(&scene, &first);
    assert_true(first->fd >= 0);
    httpscene_close(&scene);
    reset_budget(before);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(refuses_what_is_over_it_and_gives_again_what_was_freed),
    cmocka_unit_test(a_block_that_cannot_grow_stays_as_it_is),
    cmocka_unit_test(small_blocks_are_given_in_any_case),
    cmocka_unit_test(memory_that_is_not_there_is_not_counted),
    cmocka_unit_test(a_budget_may_be_any_number_and_0_is_the_default),
    cmocka_unit_test(a_stream_closes_that_has_to_hold_more),
    cmocka_unit_test(bodies_that_are_too_many_are_answered_with_503),
};

TESTING_MAIN(tests)
