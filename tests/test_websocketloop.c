#include "websocket/websocketloop.h"

#include <errno.h>
#include <string.h>

#include "tests/support/faults.h"
#include "tests/support/testing.h"

/* What the sockets of a loop share. */

static void it_is_made_when_needed_and_goes_with_the_loop(void **state)
{
    long before = faults_allocated();
    struct ioloop *loop = ioloop_new(NULL);

    assert_null(websocketloop_find(loop));
    struct websocketloop *shared = websocketloop_of(loop);
    assert_non_null(shared);
    assert_ptr_equal(websocketloop_of(loop), shared);
    assert_ptr_equal(websocketloop_find(loop), shared);
    unsigned char bytes[16] = { 0 }, zeros[16] = { 0 };
    assert_int_equal(websocketloop_random(loop, bytes, sizeof bytes), 0);
    assert_memory_not_equal(bytes, zeros, sizeof bytes);
    ioloop_close(loop, false);
    assert_int_equal(faults_allocated(), before);
}

static void a_block_grows_with_what_has_come(void **state)
{
    struct ioloop *loop = ioloop_new(NULL);
    struct websocketloop_block *block = websocketloop_grow(loop, NULL, 0, 10, 1 << 20);

    assert_int_equal(block->capacity, 65536);
    block = websocketloop_grow(loop, block, 65536, 65537, 1 << 20);
    assert_int_equal(block->capacity, 131072);
    block = websocketloop_grow(loop, block, 131072, 131073, 200000);
    assert_int_equal(block->capacity, 200000); /* no more than is expected, */
    assert_ptr_equal(websocketloop_grow(loop, block, 10, 200000, 200000), block);
    websocketloop_give(block);
    block = websocketloop_grow(loop, NULL, 0, 300000, 300000);
    assert_int_equal(block->capacity, 300000); /* and no less than is needed */
    websocketloop_give(block);
    block = websocketloop_grow(loop, NULL, 0, 5, 5);
    assert_int_equal(block->capacity, 5);
    websocketloop_give(block);
    ioloop_close(loop, false);
}

/* Also where pieces are a little smaller than the room for them. */
static void a_block_that_grows_to_what_is_expected_ends_there(void **state)
{
    enum { SIZE = 1 << 20 };
    struct ioloop *loop = ioloop_new(NULL);
    struct websocketloop_block *block = NULL;

    for (size_t length = 65522; length < SIZE; length += 65536)
        block = websocketloop_grow(loop, block, length - 65522, length, SIZE);
    block = websocketloop_grow(loop, block, SIZE - 14, SIZE, SIZE);
    assert_int_equal(block->capacity, SIZE);
    websocketloop_give(block);
    ioloop_close(loop, false);
}

/* Of a message in many fragments no more than the present one is expected. */
static void a_block_that_grows_by_little_is_moved_seldom(void **state)
{
    struct ioloop *loop = ioloop_new(NULL);
    struct websocketloop_block *block = NULL;
    size_t moved = 0, capacity = 0;

    for (size_t length = 100; length <= 1000000; length += 100) {
        block = websocketloop_grow(loop, block, length - 100, length, length);
        moved += block->capacity != capacity ? length : 0;
        capacity = block->capacity;
        assert_true(capacity <= 2 * length);
    }
    assert_true(moved < 6000000);
    websocketloop_give(block);
    ioloop_close(loop, false);
}

static void large_blocks_are_kept_up_to_8_MiB(void **state)
{
    enum { COUNT = 12, SIZE = 1 << 20 };
    struct websocketloop_block *blocks[COUNT];
    struct ioloop *loop = ioloop_new(NULL);

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++)
            assert_non_null(blocks[i] = websocketloop_grow(loop, NULL, 0, SIZE, SIZE));
        for (int i = 0; i < COUNT; i++)
            websocketloop_give(blocks[i]);
        assert_int_equal(websocketloop_find(loop)->kept_bytes, 8 * SIZE);
    }
    long before = faults_allocations();
    for (int i = 0; i < 8; i++)
        blocks[i] = websocketloop_grow(loop, NULL, 0, 40000, 40000 + (size_t)i);
    assert_int_equal(faults_allocations(), before);
    assert_int_equal(websocketloop_find(loop)->kept_bytes, 0);
    for (int i = 0; i < 8; i++)
        websocketloop_give(blocks[i]);
    blocks[0] = websocketloop_grow(loop, NULL, 0, 100, 100); /* a small one is not taken from them */
    assert_int_equal(blocks[0]->capacity, 100);
    websocketloop_give(blocks[0]);
    ioloop_close(loop, false);
}

/* Those of messages that grew by and by are too small for the next, however many there are. */
static void smaller_blocks_make_way_for_larger_ones(void **state)
{
    enum { SIZE = 1 << 20 };
    struct websocketloop_block *blocks[64];
    struct ioloop *loop = ioloop_new(NULL);

    for (int i = 0; i < 64; i++)
        assert_non_null(blocks[i] = websocketloop_grow(loop, NULL, 0, SIZE / 8, SIZE / 8));
    for (int i = 0; i < 64; i++)
        websocketloop_give(blocks[i]);
    assert_int_equal(websocketloop_find(loop)->kept_bytes, 8 * SIZE);
    blocks[0] = websocketloop_grow(loop, NULL, 0, SIZE, SIZE);
    websocketloop_give(blocks[0]);
    assert_int_equal(websocketloop_find(loop)->kept_bytes, 8 * SIZE);
    blocks[1] = websocketloop_grow(loop, NULL, 0, 40000, 40000);
    assert_int_equal(blocks[1]->capacity, SIZE / 8); /* the smallest that will do */
    assert_ptr_equal(websocketloop_grow(loop, NULL, 0, 200000, 200000), blocks[0]);
    websocketloop_give(blocks[0]);
    websocketloop_give(blocks[1]);
    struct websocketloop_block *block = websocketloop_grow(loop, NULL, 0, 8 * SIZE + 1, 8 * SIZE + 1);
    websocketloop_give(block); /* is not kept, and nothing makes way for it */
    assert_int_equal(websocketloop_find(loop)->kept_bytes, 8 * SIZE);
    ioloop_close(loop, false);
}

static void without_memory_a_block_stays_as_it_is(void **state)
{
    struct ioloop *loop = ioloop_new(NULL);
    struct websocketloop_block *block = websocketloop_grow(loop, NULL, 0, 10, 10);
    unsigned char byte;

    memcpy(block->bytes, "0123456789", 10);
    faults_allocation(1, false);
    assert_null(websocketloop_grow(loop, block, 10, 20, 20));
    assert_memory_equal(block->bytes, "0123456789", 10);
    assert_null(websocketloop_grow(loop, NULL, 0, SIZE_MAX, SIZE_MAX));
    faults_allocation(1, false);
    assert_null(websocketloop_of(loop));
    faults_allocation(2, false);
    assert_int_equal(websocketloop_random(loop, &byte, 1), -ENOMEM);
    assert_int_equal(websocketloop_random(loop, &byte, 1), 0);
    faults_end();
    websocketloop_give(block);
    ioloop_close(loop, false);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(it_is_made_when_needed_and_goes_with_the_loop),
    cmocka_unit_test(a_block_grows_with_what_has_come),
    cmocka_unit_test(a_block_that_grows_to_what_is_expected_ends_there),
    cmocka_unit_test(a_block_that_grows_by_little_is_moved_seldom),
    cmocka_unit_test(large_blocks_are_kept_up_to_8_MiB),
    cmocka_unit_test(smaller_blocks_make_way_for_larger_ones),
    cmocka_unit_test(without_memory_a_block_stays_as_it_is),
};

TESTING_MAIN(tests)
