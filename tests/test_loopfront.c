/* The time of a turn, and memory that comes and goes. */
#include "ioloop/loopfront.h"

#include <string.h>

#include "tests/support/tracedloop.h"

static int64_t seconds(double count)
{
    return (int64_t)(count * 1e9);
}

static void look_twice(void *arg)
{
    the_time = 200;
    assert_true(loopfront_now(loop) == seconds(200)); /* read when it is asked for */
    the_time = 201;
    assert_true(loopfront_now(loop) == seconds(200));
    assert_true(ioloop_time(loop) == 201); /* which reads anew for all */
    assert_true(loopfront_now(loop) == seconds(201));
    the_time = 202;
}

static void look_after_the_wait(int fd, unsigned events, void *arg)
{
    assert_true(loopfront_now(loop) == seconds(202));
    the_time = 203;
    assert_true(loopfront_now(loop) == seconds(202));
}

static void the_time_of_a_turn_stands_still(void **state)
{
    int fds[2];

    open_loop();
    open_ready_pipe(fds);
    add_handler(fds[0], look_after_the_wait, NULL, IOLOOP_READ);
    add_callback(look_twice, NULL);
    assert_int_equal(ioloop_run_once(loop, 0), 1);
    for (the_time = 300; the_time < 303; the_time++) /* no turn, no standing still */
        assert_true(loopfront_now(loop) == seconds(the_time));
    close_loop();
    close_both(fds);
}

static void spare_blocks_are_kept_and_freed_with_the_loop(void **state)
{
    void *blocks[100];

    open_loop();
    long before = faults_allocated();
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++) {
            blocks[i] = loopfront_take_spare(loop);
            assert_non_null(blocks[i]);
            memset(blocks[i], i, LOOPFRONT_SPARE);
        }
        for (int i = 0; i < 100; i++)
            loopfront_give_spare(loop, blocks[i]);
    }
    assert_in_range(faults_allocated() - before, 1, 99); /* some are kept, not all */
    long made = faults_allocations();
    loopfront_give_spare(loop, loopfront_take_spare(loop));
    assert_int_equal(faults_allocations(), made);
    assert_ptr_equal(loopfront_scratch(loop), loopfront_scratch(loop));
    close_loop();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_time_of_a_turn_stands_still),
    cmocka_unit_test(spare_blocks_are_kept_and_freed_with_the_loop),
};

TESTING_MAIN(tests)
