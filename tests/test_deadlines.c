/* Coarse timeouts: never early, two ticks late at most, on a clock that the test moves. */
#include "ioloop/deadlines.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "tests/support/tracedloop.h"

static const double TICK = (double)(1 << DEADLINE_TICK_BITS) / 1e9;

struct probe {
    struct deadline deadline;
    double earliest; /* when it is to expire */
    int expiries;
    double at;
};

static void expire(struct deadline *deadline)
{
    struct probe *probe = (struct probe *)deadline;

    assert_null(deadline->link);
    probe->expiries++;
    probe->at = the_time;
}

static void set(struct probe *probe, double seconds, deadline_fn *expired)
{
    assert_int_equal(deadline_set(loop, &probe->deadline, seconds, expired), 0);
    probe->earliest = the_time + seconds;
}

static void touch(struct probe *probe, double seconds)
{
    deadline_touch(&probe->deadline, deadline_now(loop));
    probe->earliest = the_time + seconds;
}

/* Moves the clock from one wake-up of the loop to the next, as a real one would, until this time. */
static void run_until(double time)
{
    for (;;) {
        testing_spin(loop, 2);
        double wait = ioloop_next_timeout(loop);
        if (wait < 0 || the_time + wait > time)
            break;
        the_time += wait + 1e-9;
    }
    the_time = time;
    testing_spin(loop, 2);
}

static void check_in_time(const struct probe *probe)
{
    assert_int_equal(probe->expiries, 1);
    assert_true(probe->at >= probe->earliest);
    assert_true(probe->at <= probe->earliest + 2 * TICK + 1e-6);
}

static void it_comes_never_early_and_two_ticks_late_at_most(void **state)
{
    static const double durations[] = { 1e-9, 0.01, 0.067, 0.0671088639, 0.0671088641, 0.1342, 1,     10,   60,
                                        68,   68.7, 68.8,  69,           70,           137.4,  137.5, 3600, 1e6 };

    for (int offset = 0; offset < 20; offset++) {
        for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
            struct probe probe = { .expiries = 0 };
            open_loop();
            the_time = 100 + 0.0123 * offset;
            set(&probe, durations[i], expire);
            run_until(probe.earliest - 1e-6);
            assert_int_equal(probe.expiries, 0);
            run_until(probe.earliest + 2 * TICK + 1e-6);
            check_in_time(&probe);
            assert_true(ioloop_next_timeout(loop) < 0); /* nothing is left that would wake the loop */
            close_loop();
        }
    }
}

static void a_clock_may_start_below_0(void **state)
{
    struct probe probe = { .expiries = 0 };

    open_loop();
    the_time = -1000;
    set(&probe, 5, expire);
    run_until(-994.9 + 2 * TICK);
    check_in_time(&probe);
    set(&probe, 1005, expire); /* past 0 */
    probe.expiries = 0;
    run_until(20);
    check_in_time(&probe);
    close_loop();
}

static void a_touched_one_moves_on(void **state)
{
    struct probe probe = { .expiries = 0 };

    open_loop();
    set(&probe, 10, expire);
    for (int i = 0; i < 30; i++) {
        run_until(the_time + 7);
        touch(&probe, 10);
    }
    assert_int_equal(probe.expiries, 0);
    run_until(the_time + 20);
    check_in_time(&probe);
    close_loop();
}

/* Its timer costs nothing while it is touched: it wakes the loop once a duration at most. */
static void touching_wakes_nobody(void **state)
{
    struct probe probe = { .expiries = 0 };
    int wakes = 0;

    open_loop();
    set(&probe, 10, expire);
    for (double end = the_time + 1000; the_time < end; the_time += 0.5) {
        wakes += ioloop_next_timeout(loop) == 0;
        testing_spin(loop, 2);
        touch(&probe, 10);
    }
    assert_in_range(wakes, 90, 101);
    deadline_clear(&probe.deadline);
    close_loop();
}

static void a_cleared_one_does_not_come(void **state)
{
    struct probe probes[3] = { { .expiries = 0 } };

    open_loop();
    for (int i = 0; i < 3; i++)
        set(&probes[i], 1, expire); /* in one slot */
    deadline_clear(&probes[1].deadline);
    deadline_clear(&probes[1].deadline);
    run_until(200);
    check_in_time(&probes[0]);
    assert_int_equal(probes[1].expiries, 0);
    check_in_time(&probes[2]);
    set(&probes[0], 1, expire);
    set(&probes[0], 0, expire); /* no duration: cleared */
    set(&probes[1], 1, expire);
    set(&probes[1], -1, expire);
    set(&probes[2], 1, expire);
    assert_int_equal(deadline_set(loop, &probes[2].deadline, NAN, expire), 0);
    run_until(300);
    assert_int_equal(probes[0].expiries + probes[1].expiries + probes[2].expiries, 2);
    close_loop();
}

static void one_set_anew_counts_from_there(void **state)
{
    struct probe probe = { .expiries = 0 };

    open_loop();
    set(&probe, 5, expire);
    run_until(104);
    set(&probe, 2, expire);
    run_until(105.9);
    assert_int_equal(probe.expiries, 0);
    set(&probe, 1, expire);
    run_until(120);
    check_in_time(&probe);
    close_loop();
}

static struct probe *others;

static void clear_others(struct deadline *deadline)
{
    expire(deadline);
    for (int i = 0; i < 5; i++)
        deadline_clear(&others[i].deadline);
}

static void one_may_clear_others_of_its_slot(void **state)
{
    struct probe probes[5] = { { .expiries = 0 } };
    int expiries = 0;

    open_loop();
    others = probes;
    for (int i = 0; i < 5; i++)
        set(&probes[i], 1, clear_others);
    run_until(110);
    for (int i = 0; i < 5; i++)
        expiries += probes[i].expiries;
    assert_int_equal(expiries, 1);
    close_loop();
}

static void set_anew(struct deadline *deadline)
{
    struct probe *probe = (struct probe *)deadline;

    expire(deadline);
    if (probe->expiries == 1)
        set(probe, 1e-9, set_anew);
}

static void set_others(struct deadline *deadline)
{
    expire(deadline);
    set(&others[1], 1, expire); /* was to expire in this slot too, after this one or before */
    set(&others[2], 1, expire); /* was not set */
}

static void one_may_set_itself_and_others(void **state)
{
    struct probe probes[3] = { { .expiries = 0 } };

    open_loop();
    others = probes;
    set(&probes[0], 1, set_anew);
    run_until(110);
    assert_int_equal(probes[0].expiries, 2);
    assert_true(probes[0].at >= probes[0].earliest && probes[0].at <= probes[0].earliest + 2 * TICK);

    set(&probes[1], 1, expire);
    set(&probes[0], 1, set_others); /* the newest of a slot comes first */
    run_until(111.2 + TICK);
    assert_int_equal(probes[0].expiries, 3);
    assert_int_equal(probes[1].expiries, 0);
    run_until(120);
    check_in_time(&probes[1]);
    check_in_time(&probes[2]);
    close_loop();
}

static void forget(struct deadline *deadline)
{
    expire(deadline);
    free(deadline);
}

static void one_may_go_when_it_expires(void **state)
{
    struct probe *probes[4];

    open_loop();
    for (int i = 0; i < 4; i++) {
        probes[i] = calloc(1, sizeof *probes[i]);
        assert_non_null(probes[i]);
        set(probes[i], 1 + 0.001 * i, forget);
    }
    run_until(110);
    assert_true(ioloop_next_timeout(loop) < 0);
    close_loop();
}

static void a_clock_that_jumps_hours_lets_all_come_that_is_due(void **state)
{
    struct probe probes[4] = { { .expiries = 0 } };

    open_loop();
    set(&probes[0], 1, expire);
    set(&probes[1], 3000, expire);
    set(&probes[2], 36000, expire);
    set(&probes[3], 86400, expire);
    testing_spin(loop, 1);
    the_time += 36010;
    testing_spin(loop, 2);
    for (int i = 0; i < 3; i++)
        assert_int_equal(probes[i].expiries, 1);
    assert_int_equal(probes[3].expiries, 0);
    run_until(probes[3].earliest + 1);
    check_in_time(&probes[3]);
    close_loop();
}

/* A clock must not do that; one that does makes nothing early, and all of it comes when it is where it was. */
static void a_clock_that_is_set_back_is_waited_for(void **state)
{
    struct probe probes[2] = { { .expiries = 0 } };

    open_loop();
    set(&probes[0], 1, expire);
    set(&probes[1], 3000, expire);
    testing_spin(loop, 1);
    the_time += 1000;
    testing_spin(loop, 2);
    assert_int_equal(probes[0].expiries, 1);
    the_time -= 950;
    set(&probes[0], 5, expire);
    run_until(the_time + 950 + 3 * TICK);
    assert_int_equal(probes[0].expiries, 2);
    assert_true(probes[0].at >= probes[0].earliest);
    run_until(probes[1].earliest + 1);
    check_in_time(&probes[1]);
    close_loop();
}

/* More than half a turn of the 32 bits that ticks have. */
static void a_wheel_that_stood_empty_for_years_goes_on(void **state)
{
    struct probe probe = { .expiries = 0 };

    open_loop();
    set(&probe, 1, expire);
    run_until(110);
    check_in_time(&probe);
    for (int i = 0; i < 3; i++) {
        the_time += 1.6e8; /* 5 years */
        probe.expiries = 0;
        set(&probe, 3, expire);
        assert_true(ioloop_next_timeout(loop) > 0);
        run_until(probe.earliest + 1);
        check_in_time(&probe);
    }
    close_loop();
}

static void far_deadlines_are_cut_to_years(void **state)
{
    static const double far[] = { 1e8, 1e9, 1e300, INFINITY };
    struct probe probe = { .expiries = 0 };

    open_loop();
    for (size_t i = 0; i < sizeof far / sizeof *far; i++) {
        set(&probe, far[i], expire);
        run_until(the_time + 300);
    }
    assert_int_equal(probe.expiries, 0);
    deadline_clear(&probe.deadline);
    close_loop();
}

static void one_timeout_of_the_loop_serves_all(void **state)
{
    static struct probe probes[1000];

    open_loop();
    set(&probes[0], 50, expire);
    long made = faults_allocations();
    for (int i = 1; i < 1000; i++)
        set(&probes[i], 50 + 0.01 * i, expire);
    assert_int_equal(faults_allocations(), made);
    run_until(200);
    for (int i = 0; i < 1000; i++)
        check_in_time(&probes[i]);
    close_loop();
}

/* A loop that is blocked by a callback for longer than a deadline lasts. */
static struct probe blocked;
static int blocked_fds[2];

static void touch_blocked(int fd, unsigned events, void *arg)
{
    touch(&blocked, 10);
    ioloop_remove_handler(loop, fd);
}

static void block_before_touch(int fd, unsigned events, void *arg)
{
    deadline_now(loop); /* somebody has asked for the time, and it stays that */
    the_time += 20;
    touch_blocked(fd, events, arg);
}

static void block_while_bytes_come(int fd, unsigned events, void *arg)
{
    the_time += 20;
    assert_int_equal(write(blocked_fds[1], "x", 1), 1);
    ioloop_remove_handler(loop, fd);
}

/* fds: a pipe that blocks the loop. */
static void open_blocked(int fds[2])
{
    open_loop();
    blocked = (struct probe){ .expiries = 0 };
    open_ready_pipe(fds);
    assert_int_equal(pipe(blocked_fds), 0);
    set(&blocked, 10, expire);
}

static void close_blocked(const int fds[2])
{
    close_loop();
    close_both(fds);
    close_both(blocked_fds);
}

static void what_came_while_the_loop_was_blocked_is_not_late(void **state)
{
    static ioloop_handler_fn *const handlers[] = { block_before_touch, block_while_bytes_come };

    for (int i = 0; i < 2; i++) {
        int fds[2];

        open_blocked(fds);
        add_handler(fds[0], handlers[i], NULL, IOLOOP_READ);
        add_handler(blocked_fds[0], touch_blocked, NULL, IOLOOP_READ);
        testing_spin(loop, 4);
        run_until(the_time + 9.9);
        assert_int_equal(blocked.expiries, 0);
        run_until(the_time + 1);
        check_in_time(&blocked);
        close_blocked(fds);
    }
}

/* What was touched before the loop last waited has no excuse. */
static void what_did_not_come_is_late_although_the_loop_was_blocked(void **state)
{
    int fds[2];

    open_blocked(fds);
    the_time += 5;
    add_handler(fds[0], block_while_bytes_come, NULL, IOLOOP_READ);
    testing_spin(loop, 3);
    assert_int_equal(blocked.expiries, 1);
    close_blocked(fds);
}

/* Each one sooner than all before it: that moves the timeout, it does not add one. */
static void setting_sooner_ones_adds_no_timeouts(void **state)
{
    struct probe probe = { .expiries = 0 };
    int wakes = 0;

    open_loop();
    for (int i = 0; i < 500; i++)
        set(&probe, 60 - 0.1 * i, expire);
    deadline_clear(&probe.deadline);
    for (double wait; (wait = ioloop_next_timeout(loop)) >= 0; wakes++) {
        the_time += wait + 1e-9;
        testing_spin(loop, 2);
    }
    assert_int_equal(wakes, 1);
    assert_int_equal(probe.expiries, 0);
    close_loop();
}

static void close_loop_on_expiry(struct deadline *deadline)
{
    ioloop_close(loop, false);
    assert_int_equal(deadline_set(loop, deadline, 1, expire), -EBADF);
    assert_null(deadline->link);
}

static void one_may_close_the_loop(void **state)
{
    struct probe probes[2] = { { .expiries = 0 } };

    open_loop();
    testing_begin_logs();
    set(&probes[0], 5, expire);
    set(&probes[1], 1, close_loop_on_expiry);
    testing_spin(loop, 1);
    the_time += 2;
    assert_int_equal(ioloop_start(loop), 0);
    assert_int_equal(faults_allocated(), allocated);
    assert_int_equal(testing_logs(NULL), 0);
}

/* Either it is set and expires, or it says that it is not. */
static void without_memory_it_is_not_set(void **state)
{
    int nth = 0;
    bool done = false;

    while (!done) {
        struct probe probe = { .expiries = 0 };
        open_loop();
        faults_allocation(++nth, true);
        int error = deadline_set(loop, &probe.deadline, 1, expire);
        done = error == 0;
        faults_end();
        assert_int_equal(error, done ? 0 : -ENOMEM);
        assert_int_equal(probe.deadline.link != NULL, done);
        run_until(105);
        assert_int_equal(probe.expiries, done);
        set(&probe, 1, expire);
        run_until(110);
        assert_int_equal(probe.expiries, done + 1);
        close_loop();
    }
    assert_in_range(nth, 3, 10);
}

enum { MANY = 300 };

/* The model is each probe's own earliest time, which check_in_time compares with when it came. */
static void agrees_with_a_naive_model_at_random(void **state)
{
    static struct probe probes[MANY];
    static double durations[MANY];
    int expired = 0;

    open_loop();
    srandom(4);
    for (int step = 0; step < 100000; step++) {
        int i = (int)(random() % MANY);
        int what = (int)(random() % 100);
        bool is_set = probes[i].deadline.link != NULL;

        if (what < 40 && is_set) {
            touch(&probes[i], durations[i]);
        } else if (what < 50) {
            deadline_clear(&probes[i].deadline);
        } else if (what < 80) {
            durations[i] = (double)(random() % 1000 + 1) * (what < 55 ? 0.3 : 0.02);
            probes[i].expiries = 0;
            set(&probes[i], durations[i], expire);
        } else {
            run_until(the_time + (double)(random() % 1000) * 0.0005);
        }
        for (int j = 0; what >= 80 && j < MANY; j++) {
            if (probes[j].deadline.link != NULL) {
                assert_true(the_time <= probes[j].earliest + 2 * TICK + 1e-6);
            } else if (probes[j].expiries > 0) {
                check_in_time(&probes[j]);
                probes[j].expiries = 0;
                expired++;
            }
        }
    }
    assert_in_range(expired, 1000, 100000);
    for (int i = 0; i < MANY; i++)
        deadline_clear(&probes[i].deadline);
    close_loop();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(it_comes_never_early_and_two_ticks_late_at_most),
    cmocka_unit_test(a_clock_may_start_below_0),
    cmocka_unit_test(a_touched_one_moves_on),
    cmocka_unit_test(touching_wakes_nobody),
    cmocka_unit_test(a_cleared_one_does_not_come),
    cmocka_unit_test(one_set_anew_counts_from_there),
    cmocka_unit_test(one_may_clear_others_of_its_slot),
    cmocka_unit_test(one_may_set_itself_and_others),
    cmocka_unit_test(one_may_go_when_it_expires),
    cmocka_unit_test(a_clock_that_jumps_hours_lets_all_come_that_is_due),
    cmocka_unit_test(a_clock_that_is_set_back_is_waited_for),
    cmocka_unit_test(a_wheel_that_stood_empty_for_years_goes_on),
    cmocka_unit_test(far_deadlines_are_cut_to_years),
    cmocka_unit_test(one_timeout_of_the_loop_serves_all),
    cmocka_unit_test(what_came_while_the_loop_was_blocked_is_not_late),
    cmocka_unit_test(what_did_not_come_is_late_although_the_loop_was_blocked),
    cmocka_unit_test(setting_sooner_ones_adds_no_timeouts),
    cmocka_unit_test(one_may_close_the_loop),
    cmocka_unit_test(without_memory_it_is_not_set),
    cmocka_unit_test(agrees_with_a_naive_model_at_random),
};

TESTING_MAIN(tests)
