#include "ioloop/ioprocess.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ioloop/iolog.h"
#include "tests/support/crew.h"
#include "tests/support/faults.h"
#include "tests/support/testing.h"

/* getrandom, as the library sees it. */
ssize_t getrandom(void *bytes, size_t size, unsigned flags)
{
    static ssize_t (*real)(void *bytes, size_t size, unsigned flags);

    if (shared != NULL && shared->has_no_random)
        return errno = ENOSYS, -1;
    if (real == NULL) {
        void *found = dlsym(RTLD_NEXT, "getrandom");
        memcpy(&real, &found, sizeof real);
    }
    return real(bytes, size, flags);
}

static void counts_the_processors(void **state)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);

    assert_true(ioprocess_cpu_count() >= 1);
    assert_int_equal(ioprocess_cpu_count(), count < 1 ? 1 : count);
    assert_int_equal(ioprocess_task_id(), -1);
}

static int live_three_lives(int id, int life)
{
    if (id == 0 && life == 0)
        raise(SIGKILL);
    if (id == 2 && life == 0)
        raise(SIGTERM);
    return id == 0 && life == 1 ? 3 : 0;
}

/* process_test:test_multi_process */
static void workers_that_die_are_restarted_under_their_number(void **state)
{
    assert_int_equal(status_of(start_crew(3, 0, NULL, live_three_lives)), 0);
    assert_int_equal(shared->starts[0], 3);
    assert_int_equal(shared->starts[1], 1);
    assert_int_equal(shared->starts[2], 2);
    assert_int_equal(shared->starts[3], 0);
    assert_int_equal(shared->warnings, 3);
    assert_int_equal(shared->signalled, 2);
}

static int succeed(int id, int life)
{
    return 0;
}

static void makes_one_worker_a_processor(void **state)
{
    assert_int_equal(status_of(start_crew(0, 0, NULL, succeed)), 0);
    for (int i = 0; i < 256; i++)
        assert_int_equal(shared->starts[i], i < ioprocess_cpu_count());
    assert_int_equal(status_of(start_crew(-1, 0, NULL, succeed)), 0);
    assert_int_equal(shared->starts[ioprocess_cpu_count() - 1], 1);
    assert_int_equal(shared->starts[ioprocess_cpu_count()], 0);
}

/* Number 0 dies three times, then number 1 does so until the end, which number 2 waits for. */
static int die_in_turn(int id, int life)
{
    if (id == 2 || (id == 0 && life == 3))
        return wait_forever();
    while (id == 1 && (shared->starts[0] < 4 || shared->starts[2] < 1))
        sched_yield();
    return 1;
}

static void restarts_are_counted_over_all_and_then_all_end(void **state)
{
    assert_int_equal(status_of(start_crew(3, 5, NULL, die_in_turn)), 1);
    assert_int_equal(shared->starts[0], 4);
    assert_int_equal(shared->starts[1], 3);
    assert_int_equal(shared->starts[2], 1);
    assert_int_equal(shared->give_ups, 1);
    assert_int_equal(shared->warnings, 6);
}

static int die_again_and_again(int id, int life)
{
    return 1;
}

static void without_a_number_a_hundred_restarts_are_allowed(void **state)
{
    assert_int_equal(status_of(start_crew(1, 0, NULL, die_again_and_again)), 1);
    assert_int_equal(shared->starts[0], 101);
    assert_int_equal(shared->give_ups, 1);
}

static void say_so(int signal_number)
{
    say('t');
    _exit(0);
}

static int die_when_the_other_works(int id, int life)
{
    if (id == 1) {
        signal(SIGTERM, say_so);
        shared->numbers[0] = 1;
        return wait_forever();
    }
    while (shared->numbers[0] == 0)
        sched_yield();
    return 1;
}

static void no_restart_is_allowed_with_a_negative_number(void **state)
{
    int status;

    assert_int_equal(end_crew(start_crew(2, -1, NULL, die_when_the_other_works), &status), 1); /* by SIGTERM */
    assert_int_equal(status, 1);
    assert_int_equal(shared->starts[0], 1);
    assert_int_equal(shared->starts[1], 1);
    assert_int_equal(shared->give_ups, 1);
}

/* Signals. */

static void signals_are_passed_on_and_end_it(void **state)
{
    static const int signals[] = { SIGTERM, SIGINT, SIGHUP };

    for (int i = 0; i < 3; i++) {
        struct crew crew = start_crew(3, 0, NULL, wait_for_the_end);

        hear(crew, 3);
        kill(crew.parent, signals[i]);
        assert_int_equal(status_of(crew), 0);
        for (int id = 0; id < 3; id++)
            assert_int_equal(shared->starts[id], 1);
        assert_int_equal(shared->warnings, 0);
    }
}

static void exit_with_0(int signal_number)
{
    _exit(0);
}

static void exit_with_3(int signal_number)
{
    _exit(3);
}

static void die_by_another_signal(int signal_number)
{
    raise(SIGKILL);
}

static void (*at_the_end[3])(int);

static int end_in_its_own_way(int id, int life)
{
    signal(SIGTERM, at_the_end[id]);
    return wait_for_the_end(id, life);
}

static void how_workers_end_after_a_signal_is_the_parents_status(void **state)
{
    static const struct {
        void (*last)(int);
        int status;
    } cases[] = { { exit_with_0, 0 }, { exit_with_3, 1 }, { die_by_another_signal, 1 } };

    for (int i = 0; i < 3; i++) {
        at_the_end[0] = SIG_DFL;
        at_the_end[1] = exit_with_0;
        at_the_end[2] = cases[i].last;
        struct crew crew = start_crew(3, 0, NULL, end_in_its_own_way);
        hear(crew, 3);
        kill(crew.parent, SIGTERM);
        assert_int_equal(status_of(crew), cases[i].status);
        assert_int_equal(shared->starts[2], 1);
    }
}

static void ignore_hangups(void)
{
    signal(SIGHUP, SIG_IGN);
}

static void what_is_ignored_stays_ignored(void **state)
{
    struct crew crew = start_crew(1, 0, ignore_hangups, wait_for_the_end);

    hear(crew, 1);
    kill(crew.parent, SIGHUP);
    kill(shared->pids[0], SIGKILL);
    hear(crew, 1); /* restarted: so it is not ending */
    kill(crew.parent, SIGTERM);
    assert_int_equal(status_of(crew), 0);
    assert_int_equal(shared->starts[0], 2);
}

static void block_terminations(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

static int take_termination(int id, int life)
{
    sigset_t set;
    int number;

    say('r');
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    if (sigwait(&set, &number) == 0)
        say('t');
    return 0;
}

static void what_the_program_blocks_is_passed_on_all_the_same(void **state)
{
    struct crew crew = start_crew(2, 0, block_terminations, take_termination);
    int status;

    hear(crew, 2);
    kill(crew.parent, SIGTERM);
    assert_int_equal(end_crew(crew, &status), 2); /* and is blocked in workers, which take it when they like */
    assert_int_equal(status, 0);
}

static void block_user_signal(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

static void what_else_the_program_blocks_stays_blocked(void **state)
{
    struct crew crew = start_crew(1, 0, block_user_signal, wait_for_the_end);

    hear(crew, 1);
    kill(crew.parent, SIGUSR1);
    kill(crew.parent, SIGTERM);
    assert_int_equal(status_of(crew), 0);
}

static void own_signals(void)
{
    sigset_t set;

    signal(SIGTERM, exit_with_3);
    signal(SIGINT, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

static bool has_handler(int signal_number, void (*handler)(int))
{
    struct sigaction action;

    return sigaction(signal_number, NULL, &action) == 0 && action.sa_handler == handler;
}

static int check_own_signals(int id, int life)
{
    sigset_t set;

    sigprocmask(SIG_SETMASK, NULL, &set);
    if (sigismember(&set, SIGUSR1) != 1 || sigismember(&set, SIGTERM) || sigismember(&set, SIGHUP) ||
        sigismember(&set, SIGINT) || sigismember(&set, SIGCHLD))
        return 1;
    if (!has_handler(SIGTERM, exit_with_3) || !has_handler(SIGINT, SIG_IGN) || !has_handler(SIGHUP, SIG_DFL) ||
        !has_handler(SIGCHLD, SIG_DFL))
        return 2;
    return life == 0 ? 3 : 0; /* and the same after a restart */
}

static void workers_have_the_signals_of_the_caller(void **state)
{
    assert_int_equal(status_of(start_crew(2, 2, own_signals, check_own_signals)), 0);
}

static void ignore_children(void)
{
    signal(SIGCHLD, SIG_IGN);
}

static int die_once_if_children_are_ignored(int id, int life)
{
    return !has_handler(SIGCHLD, SIG_IGN) || life == 0;
}

static void workers_are_noticed_where_children_are_ignored(void **state)
{
    assert_int_equal(status_of(start_crew(1, 1, ignore_children, die_once_if_children_are_ignored)), 0);
    assert_int_equal(shared->starts[0], 2);
}

static void do_nothing(int signal_number)
{
}

static void be_interrupted(void)
{
    struct sigaction action = { .sa_handler = do_nothing };

    sigaction(SIGUSR1, &action, NULL);
}

static int die_fifty_times(int id, int life)
{
    say('r');
    return life < 50 ? 1 : 0;
}

static void other_signals_only_interrupt(void **state)
{
    struct crew crew = start_crew(1, 50, be_interrupted, die_fifty_times);

    for (int i = 0; i < 51; i++) {
        hear(crew, 1);
        for (int k = 0; k < 20; k++)
            kill(crew.parent, SIGUSR1);
    }
    assert_int_equal(status_of(crew), 0);
    assert_int_equal(shared->starts[0], 51);
}

static int silent[2]; /* a pipe */
static pthread_t reader;

static void *read_on(void *arg)
{
    char byte;

    while (read(silent[0], &byte, 1) < 0)
        shared->numbers[0] = errno;
    return NULL;
}

static void *bother_reader(void *arg)
{
    for (int i = 0; i < 1000 && pthread_kill(reader, SIGCHLD) == 0; i++)
        sched_yield();
    return NULL;
}

static void have_a_thread_that_reads(void)
{
    pthread_t other;

    if (pipe(silent) < 0 || pthread_create(&reader, NULL, read_on, NULL) != 0 ||
        pthread_create(&other, NULL, bother_reader, NULL) != 0)
        _exit(97);
    pthread_detach(other);
}

static void another_thread_that_gets_signals_reads_on(void **state)
{
    testing_skip_under_thread_sanitizer(); /* which has signals wait */
    assert_int_equal(status_of(start_crew(1, 50, have_a_thread_that_reads, die_fifty_times)), 0);
    assert_int_equal(shared->numbers[0], 0);
}

/* At whatever moment it comes. The first worker speaks while others are still made. */
static void no_signal_is_lost(void **state)
{
    for (int i = 0; i < 30; i++) {
        struct crew crew = start_crew(3, 0, NULL, wait_for_the_end);

        hear(crew, 1 + i % 3);
        kill(crew.parent, SIGTERM);
        assert_int_equal(status_of(crew), 0);
    }
}

static void lead_a_group(void)
{
    setpgid(0, 0);
}

/* As from a terminal: workers may be dead before the parent knows why. */
static void a_signal_to_the_whole_group_ends_it_too(void **state)
{
    for (int i = 0; i < 20; i++) {
        struct crew crew = start_crew(3, 0, lead_a_group, wait_for_the_end);

        hear(crew, 3);
        kill(-crew.parent, SIGINT);
        assert_int_equal(status_of(crew), 0);
    }
}

static void *raise_when_all_work(void *arg)
{
    while (shared->starts[0] + shared->starts[1] < 2)
        sched_yield();
    raise(SIGTERM);
    return NULL;
}

static void have_another_thread(void)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, raise_when_all_work, NULL) != 0)
        _exit(97);
    pthread_detach(thread);
}

static void a_signal_that_another_thread_gets_is_passed_on(void **state)
{
    for (int i = 0; i < 10; i++)
        assert_int_equal(status_of(start_crew(2, 0, have_another_thread, wait_for_the_end)), 0);
}

/* Other children. */

static void have_children_already(void)
{
    for (int i = 0; i < 3; i++) {
        if (fork() == 0)
            _exit(7);
    }
    if (fork() == 0) { /* this one ends while the workers work */
        while (shared->starts[0] == 0)
            sched_yield();
        say('c');
        _exit(7);
    }
}

static void unknown_children_are_ignored(void **state)
{
    struct crew crew = start_crew(2, 1, have_children_already, wait_for_the_end);

    hear(crew, 3);
    kill(crew.parent, SIGTERM);
    assert_int_equal(status_of(crew), 0);
    assert_int_equal(shared->starts[0] + shared->starts[1], 2);
    assert_int_equal(shared->warnings, 0);
}

/* Forks that fail. */

static void fail_first_forks(void)
{
    shared->forks_that_fail = 2;
}

static void when_no_worker_can_be_started_an_error_is_answered(void **state)
{
    assert_int_equal(status_of(start_crew(2, 0, fail_first_forks, succeed)), 100 + ENOMEM);
    assert_int_equal(shared->starts[0] + shared->starts[1], 0);
    assert_int_equal(shared->shortages, 0);
}

static void the_error_leaves_signals_and_number_as_they_were(void **state)
{
    struct sigaction before, after;
    sigset_t mask_before, mask_after;

    memset(shared, 0, sizeof *shared);
    shared->forks_that_fail = 2;
    long allocated = faults_allocated();
    sigaction(SIGTERM, NULL, &before);
    sigprocmask(SIG_SETMASK, NULL, &mask_before);
    assert_int_equal(ioprocess_fork_processes(2, 0), -ENOMEM);
    faults_allocation(1, false);
    assert_int_equal(ioprocess_fork_processes(2, 0), -ENOMEM);
    assert_true(faults_hit());
    sigaction(SIGTERM, NULL, &after);
    sigprocmask(SIG_SETMASK, NULL, &mask_after);
    assert_true(before.sa_handler == after.sa_handler);
    assert_int_equal(sigismember(&mask_after, SIGTERM), sigismember(&mask_before, SIGTERM));
    assert_int_equal(sigismember(&mask_after, SIGCHLD), sigismember(&mask_before, SIGCHLD));
    assert_int_equal(ioprocess_task_id(), -1);
    assert_int_equal(faults_allocated(), allocated);
}

static void fail_two_forks_after_the_first(void)
{
    shared->forks_that_succeed = 1;
    shared->forks_that_fail = 2;
}

static int work_when_both_do(int id, int life)
{
    while (shared->starts[0] == 0 || shared->starts[1] == 0)
        sched_yield();
    return 0;
}

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Not sooner, whatever children the program has otherwise. */
static void a_worker_that_cannot_be_started_is_tried_again_every_second(void **state)
{
    double begin = seconds_now();
    struct crew crew = start_crew(2, -1, fail_two_forks_after_the_first, work_when_both_do);

    while (poll(&(struct pollfd){ crew.fd, POLLIN, 0 }, 1, 20) == 0)
        kill(crew.parent, SIGCHLD);
    assert_int_equal(status_of(crew), 0);
    assert_true(seconds_now() - begin > 1.99);
    assert_int_equal(shared->starts[0], 1);
    assert_int_equal(shared->starts[1], 1);
    assert_int_equal(shared->forks, 4); /* and not in between */
    assert_int_equal(shared->shortages, 1);
    assert_int_equal(shared->warnings, 0);
}

static void fail_second_fork(void)
{
    shared->forks_that_succeed = 1;
    shared->forks_that_fail = 1;
}

static int die_once(int id, int life)
{
    return life == 0;
}

static void the_last_worker_is_tried_again_too(void **state)
{
    assert_int_equal(status_of(start_crew(1, 1, fail_second_fork, die_once)), 0);
    assert_int_equal(shared->starts[0], 2);
    assert_int_equal(shared->shortages, 1);
}

static void fail_all_forks_but_the_first_two(void)
{
    shared->forks_that_succeed = 2;
    shared->forks_that_fail = 1000;
}

static int die_as_number_0(int id, int life)
{
    return id == 0 ? 1 : wait_for_the_end(id, life);
}

static void a_signal_ends_the_trying(void **state)
{
    struct crew crew = start_crew(2, 0, fail_all_forks_but_the_first_two, die_as_number_0);

    hear(crew, 1);
    while (shared->shortages == 0)
        sched_yield();
    kill(crew.parent, SIGTERM);
    assert_int_equal(status_of(crew), 1); /* number 0 did not end well */
    assert_in_range(shared->forks, 3, 5);
}

/* What else a worker finds. */

static FILE *buffered;

static void leave_something_in_a_buffer(void)
{
    buffered = fdopen(dup(to_test), "w");
    fputc('x', buffered);
}

static int flush_the_buffer(int id, int life)
{
    fflush(buffered);
    return life == 0;
}

static void what_waits_in_a_buffer_is_written_once(void **state)
{
    int status;

    assert_int_equal(end_crew(start_crew(3, 3, leave_something_in_a_buffer, flush_the_buffer), &status), 1);
    assert_int_equal(status, 0);
    assert_int_equal(shared->starts[0], 2);
}

static int draw_a_number(int id, int life)
{
    shared->numbers[id] = rand();
    shared->numbers[id + 4] = (int)random();
    return 0;
}

static void have_no_random(void)
{
    shared->has_no_random = true;
}

static void workers_draw_different_numbers(void **state)
{
    for (int i = 0; i < 2; i++) {
        assert_int_equal(status_of(start_crew(2, 0, i == 0 ? NULL : have_no_random, draw_a_number)), 0);
        assert_int_not_equal(shared->numbers[0], shared->numbers[1]);
        assert_int_not_equal(shared->numbers[4], shared->numbers[5]);
    }
}

static long allocated_before;

static void count_allocations(void)
{
    allocated_before = faults_allocated();
}

static int has_more_allocated(int id, int life)
{
    return faults_allocated() != allocated_before;
}

static void workers_have_no_memory_of_the_parent(void **state)
{
    assert_int_equal(status_of(start_crew(2, -1, count_allocations, has_more_allocated)), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(counts_the_processors),
    cmocka_unit_test(workers_that_die_are_restarted_under_their_number),
    cmocka_unit_test(makes_one_worker_a_processor),
    cmocka_unit_test(restarts_are_counted_over_all_and_then_all_end),
    cmocka_unit_test(without_a_number_a_hundred_restarts_are_allowed),
    cmocka_unit_test(no_restart_is_allowed_with_a_negative_number),
    cmocka_unit_test(signals_are_passed_on_and_end_it),
    cmocka_unit_test(how_workers_end_after_a_signal_is_the_parents_status),
    cmocka_unit_test(what_is_ignored_stays_ignored),
    cmocka_unit_test(what_the_program_blocks_is_passed_on_all_the_same),
    cmocka_unit_test(what_else_the_program_blocks_stays_blocked),
    cmocka_unit_test(workers_have_the_signals_of_the_caller),
    cmocka_unit_test(workers_are_noticed_where_children_are_ignored),
    cmocka_unit_test(other_signals_only_interrupt),
    cmocka_unit_test(another_thread_that_gets_signals_reads_on),
    cmocka_unit_test(no_signal_is_lost),
    cmocka_unit_test(a_signal_to_the_whole_group_ends_it_too),
    cmocka_unit_test(a_signal_that_another_thread_gets_is_passed_on),
    cmocka_unit_test(unknown_children_are_ignored),
    cmocka_unit_test(when_no_worker_can_be_started_an_error_is_answered),
    cmocka_unit_test(the_error_leaves_signals_and_number_as_they_were),
    cmocka_unit_test(a_worker_that_cannot_be_started_is_tried_again_every_second),
    cmocka_unit_test(the_last_worker_is_tried_again_too),
    cmocka_unit_test(a_signal_ends_the_trying),
    cmocka_unit_test(what_waits_in_a_buffer_is_written_once),
    cmocka_unit_test(workers_draw_different_numbers),
    cmocka_unit_test(workers_have_no_memory_of_the_parent),
};

CREW_MAIN(tests)
