/* Workers that take their time to end, and those who would take for ever. */
#include "ioloop/ioprocess.h"

#include <dlfcn.h>
#include <math.h>
#include <poll.h>
#include <sched.h>
#include <time.h>

#include "tests/support/crew.h"
#include "tests/support/faults.h"
#include "tests/support/testing.h"

static bool is_supervisor(void)
{
    return shared != NULL && to_test != 0 && ioprocess_task_id() < 0;
}

/* clock_gettime and nanosleep, as the library sees them. */
int clock_gettime(clockid_t id, struct timespec *now)
{
    static int (*real)(clockid_t id, struct timespec * now);

    if (is_supervisor() && id == CLOCK_MONOTONIC && ++shared->looks > 0 && shared->clock != 0)
        return *now = (struct timespec){ shared->clock / 1000, shared->clock % 1000 * 1000000 }, 0;
    if (real == NULL) {
        void *found = dlsym(RTLD_NEXT, "clock_gettime");
        memcpy(&real, &found, sizeof real);
    }
    return real(id, now);
}

int nanosleep(const struct timespec *time, struct timespec *left)
{
    static int (*real)(const struct timespec *time, struct timespec *left);

    if (real == NULL) {
        void *found = dlsym(RTLD_NEXT, "nanosleep");
        memcpy(&real, &found, sizeof real);
    }
    if (is_supervisor())
        shared->naps++;
    return real(time, left);
}

static void end_after_a_moment(void)
{
    ioprocess_set_end_timeout(0.2);
}

/* The others have ended before, so that only number 1 can be late. */
static int only_one_stays(int id, int life)
{
    signal(SIGTERM, SIG_IGN);
    return id == 1 ? wait_for_the_end(id, life) : 0;
}

/* SIGTERM does not come before the stop has. */
static int only_one_stays_and_stops(int id, int life)
{
    sigset_t set;

    if (id != 1)
        return 0;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    say('r');
    raise(SIGSTOP);
    return wait_forever();
}

static void await_others(struct crew crew)
{
    hear(crew, 1);
    for (int id = 0; id < 3; id += 2)
        while (shared->pids[id] == 0 || kill(shared->pids[id], 0) == 0)
            sched_yield();
}

static void workers_that_do_not_end_are_killed(void **state)
{
    for (int stopped = 0; stopped < 2; stopped++) {
        struct crew crew = start_crew(3, 0, end_after_a_moment, stopped ? only_one_stays_and_stops : only_one_stays);

        await_others(crew);
        kill(crew.parent, SIGTERM);
        assert_int_equal(status_of(crew), 1);
        for (int id = 0; id < 3; id++)
            assert_int_equal(shared->starts[id], 1);
        assert_int_equal(shared->warnings, 2); /* it does not end; it was killed */
    }
}

static void set_the_clock(void)
{
    shared->clock = 1000500;
}

/* Until it has looked at the clock as that is now, and has done what there was to do. */
static void await_looks(void)
{
    for (int before = shared->looks; shared->looks < before + 3;)
        sched_yield();
}

static void that_is_after_a_minute(void **state)
{
    struct crew crew = start_crew(3, 0, set_the_clock, only_one_stays);

    await_others(crew);
    kill(crew.parent, SIGTERM);
    await_looks();
    shared->clock = 1060499;
    await_looks();
    assert_int_equal(shared->warnings, 0);
    shared->clock = 1060500;
    assert_int_equal(status_of(crew), 1);
    assert_int_equal(shared->warnings, 2);
    assert_in_range(shared->looks, 7, shared->naps + 10); /* it does not look again and again */
}

static void fail_to_kill(void)
{
    end_after_a_moment();
    faults_system_call("kill", EPERM, 2); /* the first is SIGTERM */
}

static void who_does_not_die_is_killed_once(void **state)
{
    struct crew crew = start_crew(3, 0, fail_to_kill, only_one_stays);

    await_others(crew);
    kill(crew.parent, SIGTERM);
    while (shared->warnings == 0)
        sched_yield();
    for (int before = shared->looks; shared->looks < before + 3; sched_yield())
        kill(crew.parent, SIGCHLD);
    assert_int_equal(shared->warnings, 1);
    kill(shared->pids[1], SIGKILL);
    assert_int_equal(status_of(crew), 1);
    assert_int_equal(shared->warnings, 2);
}

static void leave_a_hangup_pending(void)
{
    sigset_t set;

    end_after_a_moment();
    signal(SIGHUP, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGHUP);
}

static void a_signal_that_is_ignored_holds_nothing_up(void **state)
{
    struct crew crew = start_crew(3, 0, leave_a_hangup_pending, only_one_stays);

    await_others(crew);
    kill(crew.parent, SIGTERM);
    assert_int_equal(status_of(crew), 1);
}

static void the_first_signal_counts(void **state)
{
    struct crew crew = start_crew(3, 0, end_after_a_moment, only_one_stays);

    await_others(crew);
    for (int i = 0; i < 400 && poll(&(struct pollfd){ crew.fd, POLLIN, 0 }, 1, 20) == 0; i++)
        kill(crew.parent, SIGTERM);
    assert_int_equal(poll(&(struct pollfd){ crew.fd, POLLIN, 0 }, 1, 0), 1); /* the end of the last one */
    assert_int_equal(status_of(crew), 1);
}

static int end_slowly(int id, int life)
{
    sigset_t set;
    int number;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    say('r');
    sigwait(&set, &number);
    nanosleep(&(struct timespec){ .tv_nsec = 300000000 }, NULL);
    return 0;
}

static void have_more_time(void)
{
    ioprocess_set_end_timeout(20);
}

static void have_the_usual_time(void)
{
    ioprocess_set_end_timeout(0.01);
    ioprocess_set_end_timeout(0);
}

static void have_all_the_time(void)
{
    ioprocess_set_end_timeout(INFINITY);
}

static void those_that_end_in_time_are_left_alone(void **state)
{
    static void (*const times[])(void) = { NULL, have_more_time, have_the_usual_time, have_all_the_time };

    for (int i = 0; i < 4; i++) {
        struct crew crew = start_crew(2, 0, times[i], end_slowly);

        hear(crew, 2);
        kill(crew.parent, SIGTERM);
        kill(crew.parent, SIGINT);
        assert_int_equal(status_of(crew), 0);
        assert_int_equal(shared->warnings, 0);
        assert_true(times[i] != have_all_the_time || shared->naps == 0);
    }
}

static int give_up_or_hang(int id, int life)
{
    while (id == 0 && shared->starts[1] == 0)
        sched_yield();
    if (id == 0)
        return 1;
    signal(SIGTERM, SIG_IGN);
    shared->starts[1]++;
    return wait_forever();
}

static void when_it_gives_up_that_is_an_end_too(void **state)
{
    assert_int_equal(status_of(start_crew(2, -1, end_after_a_moment, give_up_or_hang)), 1);
    assert_int_equal(shared->give_ups, 1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(workers_that_do_not_end_are_killed),
    cmocka_unit_test(that_is_after_a_minute),
    cmocka_unit_test(who_does_not_die_is_killed_once),
    cmocka_unit_test(a_signal_that_is_ignored_holds_nothing_up),
    cmocka_unit_test(the_first_signal_counts),
    cmocka_unit_test(those_that_end_in_time_are_left_alone),
    cmocka_unit_test(when_it_gives_up_that_is_an_end_too),
};

CREW_MAIN(tests)
