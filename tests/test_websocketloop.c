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
    websocketloop_give(loop, block);
    block = websocketloop_grow(loop, NULL, 0, 300000, 300000);
    assert_int_equal(block->capacity, 300000); /* and no less than is needed */
    websocketloop_give(loop, block);
    block = websocketloop_grow(loop, NULL, 0, 5, 5);
    assert_int_equal(block->capacity, 5);
    websocketloop_give(loop, block);
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
            websocketloop_give(loop, blocks[i]);
        assert_int_equal(websocketloop_find(loop)->kept_bytes, 8 * SIZE);
    }
    long before = faults_allocations();
    for (int i = 0; i < 8; i++)
        blocks[i] = websocketloop_grow(loop, NULL, 0, 40000, 40000 + (size_t)i);
    assert_int_equal(faults_allocations(), before);
    assert_int_equal(websocketloop_find(loop)->kept_bytes, 0);
    for (int i = 0; i < 8; i++)
        websocketloop_give(loop, blocks[i]);
    blocks[0] = websocketloop_grow(loop, NULL, 0, 100, 100); /* a small one is not taken from them */
    assert_int_equal(blocks[0]->capacity, 100);
    websocketloop_give(loop, blocks[0]);
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
    websocketloop_give(loop, block);
    ioloop_close(loop, false);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(it_is_made_when_needed_and_goes_with_the_loop),
    cmocka_unit_test(a_block_grows_with_what_has_come),
    cmocka_unit_test(large_blocks_are_kept_up_to_8_MiB),
    cmocka_unit_test(without_memory_a_block_stays_as_it_is),
};

TESTING_MAIN(tests)
