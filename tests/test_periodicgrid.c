/* When a periodic callback runs next. */
#include "ioloop/periodicgrid.h"

#include "tests/support/testing.h"

/* Starts at 1000 and runs every 10 s; each call takes durations[i] (below 0: the clock is set back meanwhile). */
static void check_calls(const double *durations, const double *randoms, double jitter, const double *expected,
                        int count)
{
    double now = 1000, next = 1000;

    for (int i = 0; i < count; i++) {
        next = periodicgrid_next(next, now, 10, jitter, randoms != NULL ? randoms[i] : 0.9);
        assert_true(next == expected[i]);
        now = next + durations[i];
    }
}

/* ioloop_test:test_basic */
static void calls_are_one_period_apart(void **state)
{
    static const double durations[5] = { 0 };

    check_calls(durations, NULL, 0, (double[]){ 1010, 1020, 1030, 1040, 1050 }, 5);
}

/* ioloop_test:test_overrun */
static void a_call_that_overruns_skips_whole_periods(void **state)
{
    static const double durations[] = { 9, 9, 10, 11, 20, 20, 35, 35, 0, 0, 0 };
    static const double expected[] = { 1010, 1020, 1030, /* on time, */
                                       1050, 1070,       /* one period skipped, */
                                       1100, 1130,       /* two, */
                                       1170, 1210,       /* three, */
                                       1220, 1230 };     /* and on time again */

    check_calls(durations, NULL, 0, expected, 11);
}

/* ioloop_test:test_clock_backwards */
static void a_clock_that_is_set_back_makes_no_call_come_twice(void **state)
{
    check_calls((double[]){ -2, -1, -3, -2, 0 }, NULL, 0, (double[]){ 1010, 1020, 1030, 1040, 1050 }, 5);
    check_calls((double[]){ -100, 0, 0 }, NULL, 0, (double[]){ 1010, 1020, 1030 }, 3);
}

/* ioloop_test:test_jitter */
static void jitter_moves_each_call_by_a_part_of_the_period(void **state)
{
    static const double durations[4] = { 0 };

    check_calls(durations, (double[]){ 0.5, 1, 0, 0.75 }, 0.5, (double[]){ 1010, 1022.5, 1030, 1041.25 }, 4);
}

static void the_next_lies_after_now_for_odd_numbers_too(void **state)
{
    static const double periods[] = { 1e-3, 0.1, 1.0 / 3, 7.3, 1e5 };
    static const double gaps[] = { 0, 1e-9, 0.5, 1, 3600, 1e9 };

    for (int i = 0; i < 5; i++) {
        for (int j = 0; j < 6; j++) {
            double now = 1e6 + gaps[j], latest = now + periods[i] * (1 + 1e-6);
            double next = periodicgrid_next(1e6, now, periods[i], 0, 0);
            assert_true(next >= now);
            assert_true(next <= latest);
        }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(calls_are_one_period_apart),
    cmocka_unit_test(a_call_that_overruns_skips_whole_periods),
    cmocka_unit_test(a_clock_that_is_set_back_makes_no_call_come_twice),
    cmocka_unit_test(jitter_moves_each_call_by_a_part_of_the_period),
    cmocka_unit_test(the_next_lies_after_now_for_odd_numbers_too),
};

TESTING_MAIN(tests)
