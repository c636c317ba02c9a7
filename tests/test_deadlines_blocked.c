/* What a callback that blocks the loop takes from a deadline that is touched behind it. */
#include "ioloop/deadlines.h"

#include "tests/support/tracedloop.h"

static const double TICK = (double)(1 << DEADLINE_TICK_BITS) / 1e9;

static struct deadline deadline;
static double expired_at; /* 0: not yet */
static bool asks;         /* for the time, behind what took so long */

static void expire(struct deadline *expired)
{
    assert_ptr_equal(expired, &deadline);
    expired_at = the_time;
}

static void block_and_touch(int fd, unsigned events, void *arg)
{
    double *seconds = arg;

    deadline_now(loop); /* as who parses a request does */
    the_time += *seconds;
    if (asks)
        ioloop_time(loop); /* as a log does */
    deadline_touch(&deadline, deadline_now(loop));
    ioloop_remove_handler(loop, fd);
}

/* It comes 10 s after the beginning of that iteration, or of the callback's end if somebody has asked for the time
 * since, and never sooner. */
static void it_loses_the_time_that_the_callback_took_and_no_more(void **state)
{
    double seconds[] = { 0, 0.05, 1, 4, 9.8 };

    for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
        for (int k = 0; k < 2; k++) {
            int fds[2];

            open_loop();
            open_ready_pipe(fds);
            asks = k;
            expired_at = 0;
            assert_int_equal(deadline_set(loop, &deadline, 10, expire), 0);
            the_time += 5;
            add_handler(fds[0], block_and_touch, &seconds[i], IOLOOP_READ);
            double earliest = the_time + 10 + (asks ? seconds[i] : 0);
            testing_spin(loop, 1);
            while (expired_at == 0) {
                testing_spin(loop, 2);
                the_time += expired_at == 0 ? 0.01 : 0;
            }
            assert_true(expired_at >= earliest);
            assert_true(expired_at <= earliest + 2 * TICK + 0.02);
            close_loop();
            close_both(fds);
        }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(it_loses_the_time_that_the_callback_took_and_no_more),
};

TESTING_MAIN(tests)
