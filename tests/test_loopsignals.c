/* What signal handlers leave for a loop: the ring by itself, callbacks from handlers, signals as events. */
#include "ioloop/loopsignals.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>

#include "tests/support/tracedloop.h"

/* The ring. */

static struct loopsignals signals;
static int things[8 * 100000];

static void nothing(void *arg)
{
}

static int *pop_thing(void)
{
    ioloop_callback_fn *callback = NULL;
    void *arg = NULL;

    if (!loopsignals_pop(&signals, &callback, &arg))
        return NULL;
    assert_true(callback == nothing);
    return arg;
}

static void the_ring_keeps_the_order_and_refuses_what_it_has_no_room_for(void **state)
{
    int in = 0, out = 0;

    loopsignals_init(&signals);
    assert_null(pop_thing());
    for (int round = 0; round < 300; round++) {
        while (loopsignals_push(&signals, nothing, &things[in]))
            in++;
        assert_int_equal(in - out, LOOPSIGNALS_RING);
        for (int i = 0; i <= round % (int)LOOPSIGNALS_RING; i++)
            assert_ptr_equal(pop_thing(), &things[out++]);
    }
    while (out < in)
        assert_ptr_equal(pop_thing(), &things[out++]);
    assert_null(pop_thing());
}

/* Its positions are 32 bits and wrap around. */
static void the_ring_goes_on_when_its_numbers_wrap_around(void **state)
{
    loopsignals_init(&signals);
    signals.head = 0u - 256;
    atomic_store(&signals.tail, 0u - 256);
    for (unsigned i = 0; i < LOOPSIGNALS_RING; i++)
        atomic_store(&signals.ring[i].turn, i - 256);
    for (int i = 0; i < 1000; i++) {
        assert_true(loopsignals_push(&signals, nothing, &things[i]));
        assert_true(loopsignals_push(&signals, nothing, &things[i + 1]));
        assert_ptr_equal(pop_thing(), &things[i]);
        assert_ptr_equal(pop_thing(), &things[i + 1]);
    }
}

#ifdef TRACEDLOOP_IS_SLOW
enum { PUSHES = 10000 };
#else
enum { PUSHES = 100000 };
#endif

static void *push_many(void *arg)
{
    int *mine = arg;

    for (int i = 0; i < PUSHES; i++) {
        while (!loopsignals_push(&signals, nothing, &mine[i]))
            sched_yield();
    }
    return NULL;
}

static void the_ring_takes_from_many_at_once(void **state)
{
    pthread_t threads[8];
    int next[8] = { 0 };

    loopsignals_init(&signals);
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, push_many, &things[i * PUSHES]), 0);
    for (int left = 8 * PUSHES; left > 0;) {
        int *thing = pop_thing();
        if (thing == NULL) {
            sched_yield();
            continue;
        }
        int index = (int)(thing - things);
        assert_int_equal(index % PUSHES, next[index / PUSHES]++); /* once each, in their thread's order */
        left--;
    }
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    assert_null(pop_thing());
}

/* Callbacks from handlers. */

static struct sigaction handle(int signal_number, void (*handler)(int))
{
    struct sigaction action = { .sa_handler = handler }, previous;

    assert_int_equal(sigaction(signal_number, &action, &previous), 0);
    return previous;
}

static volatile sig_atomic_t refused;

static void leave_a_note(int signal_number)
{
    if (ioloop_add_callback_from_signal(loop, note, signal_number == SIGUSR1 ? "1" : "2") < 0)
        refused++;
}

static void raise_one(void *arg)
{
    raise(SIGUSR1);
}

/* ioloop_test:test_add_callback_from_signal */
static void a_signal_handler_can_add_callbacks(void **state)
{
    open_loop();
    struct sigaction previous = handle(SIGUSR1, leave_a_note);
    raise(SIGUSR1); /* before the loop runs, and while it does */
    testing_spin(loop, 1);
    assert_string_equal(trace, "1");
    add_callback(raise_one, NULL);
    testing_spin(loop, 2);
    assert_string_equal(trace, "11");
    sigaction(SIGUSR1, &previous, NULL);
    close_loop();
}

static void leave_notes_around_another_signal(int signal_number)
{
    leave_a_note(SIGUSR1);
    raise(SIGUSR2);
    leave_a_note(SIGUSR1);
}

static void handlers_that_interrupt_each_other_keep_their_order(void **state)
{
#ifdef TRACEDLOOP_SIGNALS_ARE_LATE
    skip();
#endif
    open_loop();
    struct sigaction first = handle(SIGUSR1, leave_notes_around_another_signal);
    struct sigaction second = handle(SIGUSR2, leave_a_note);
    raise(SIGUSR1);
    testing_spin(loop, 1);
    assert_string_equal(trace, "121");
    sigaction(SIGUSR1, &first, NULL);
    sigaction(SIGUSR2, &second, NULL);
    close_loop();
}

static void a_full_ring_says_so_and_is_emptied_in_one_turn(void **state)
{
    open_loop();
    for (int round = 0; round < 3; round++) {
        traced = 0;
        for (unsigned i = 0; i < LOOPSIGNALS_RING; i++)
            assert_int_equal(ioloop_add_callback_from_signal(loop, note, i % 2 == 0 ? "a" : "b"), 0);
        assert_int_equal(ioloop_add_callback_from_signal(loop, note, "x"), -EAGAIN);
        testing_spin(loop, 1);
        assert_int_equal(strlen(trace), LOOPSIGNALS_RING);
        assert_null(strstr(trace, "aa"));
        assert_null(strstr(trace, "x"));
    }
    close_loop();
}

static void add_itself_from_signal(void *arg)
{
    if (traced < sizeof trace - 2)
        note(arg);
    assert_int_equal(ioloop_add_callback_from_signal(loop, add_itself_from_signal, arg), 0);
}

static void a_callback_that_adds_itself_there_does_not_hold_up_the_loop(void **state)
{
    open_loop();
    add_itself_from_signal("s");
    call_later(0, note, "t");
    testing_spin(loop, 2);
    assert_non_null(strstr(trace, "t"));
    close_loop();
}

static sem_t answered;

static void answer(void *arg)
{
    sem_post(&answered);
}

static void *add_and_wait(void *arg)
{
    for (int i = 0; i < 500; i++) {
        while (ioloop_add_callback_from_signal(loop, answer, NULL) == -EAGAIN)
            sched_yield();
        sem_wait(&answered);
    }
    while (ioloop_add_callback_from_signal(loop, stop, NULL) < 0)
        sched_yield();
    return NULL;
}

/* ioloop_test:test_add_callback_from_signal_other_thread: each is answered, so the loop sleeps between most of them. */
static void other_threads_can_add_there_while_the_loop_runs(void **state)
{
    pthread_t thread;

    open_loop();
    sem_init(&answered, 0, 0);
    assert_int_equal(pthread_create(&thread, NULL, add_and_wait, NULL), 0);
    assert_int_equal(ioloop_start(loop), 0);
    pthread_join(thread, NULL);
    sem_destroy(&answered);
    close_loop();
}

/* Signals as events. */

static int told, last_signal;

static void on_signal(int signal_number, void *arg)
{
    told++;
    last_signal = signal_number;
    if (arg != NULL)
        note(arg);
}

static void add_signal(int signal_number, ioloop_signal_fn *callback, void *arg)
{
    told = 0;
    assert_int_equal(ioloop_add_signal(loop, signal_number, callback, arg), 0);
}

static void a_signal_is_told_to_its_loop(void **state)
{
    open_loop();
    add_signal(SIGUSR1, on_signal, "1");
    add_signal(SIGUSR2, on_signal, "2");
    testing_spin(loop, 1);
    assert_string_equal(trace, "");
    raise(SIGUSR2);
    testing_spin(loop, 2);
    assert_string_equal(trace, "2");
    assert_int_equal(last_signal, SIGUSR2);
    raise(SIGUSR1);
    raise(SIGUSR1); /* a run of them is told once */
    testing_spin(loop, 2);
    assert_string_equal(trace, "21");
    assert_int_equal(last_signal, SIGUSR1);
    close_loop();
}

static void a_hundred_thousand_signals_while_the_loop_is_busy_lose_nothing(void **state)
{
    open_loop();
    add_signal(SIGUSR1, on_signal, NULL);
    for (int i = 0; i < 100000; i++)
        raise(SIGUSR1);
    testing_spin(loop, 1);
    assert_int_equal(told, 1);
    raise(SIGUSR1);
    testing_spin(loop, 1);
    assert_int_equal(told, 2);
    close_loop();
}

static void what_is_no_signal_is_refused(void **state)
{
    static const int none[] = { 0, -1, 65, 1000, SIGKILL, SIGSTOP };

    open_loop();
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        assert_int_equal(ioloop_add_signal(loop, none[i], on_signal, NULL), -EINVAL);
        assert_int_equal(ioloop_add_signal(loop, none[i], on_signal, NULL), -EINVAL);
        ioloop_remove_signal(loop, none[i]);
    }
    ioloop_remove_signal(loop, SIGUSR1); /* removing what is not there is fine */
    close_loop();
}

static void a_signal_has_one_loop(void **state)
{
    open_loop();
    struct ioloop *other = ioloop_new(NULL);
    add_signal(SIGUSR1, on_signal, "1");
    assert_int_equal(ioloop_add_signal(loop, SIGUSR1, on_signal, "x"), -EEXIST);
    assert_int_equal(ioloop_add_signal(other, SIGUSR1, on_signal, "x"), -EEXIST);
    ioloop_remove_signal(other, SIGUSR1); /* which is not its own */
    raise(SIGUSR1);
    testing_spin(other, 1);
    testing_spin(loop, 1);
    assert_string_equal(trace, "1");
    raise(SIGUSR1);
    ioloop_remove_signal(loop, SIGUSR1);
    assert_int_equal(ioloop_add_signal(other, SIGUSR1, on_signal, "o"), 0);
    assert_int_equal(ioloop_add_callback_from_signal(other, note, "f"), 0); /* lets other look for signals */
    testing_spin(loop, 1);
    testing_spin(other, 1);
    assert_string_equal(trace, "1f"); /* that one was not for other */
    raise(SIGUSR1);
    testing_spin(other, 1);
    assert_string_equal(trace, "1fo");
    ioloop_close(other, false);
    close_loop();
}

static volatile sig_atomic_t handled;

static void handle_it(int signal_number)
{
    handled++;
}

static void check_disposition(int signal_number, void (*handler)(int), int flags)
{
    struct sigaction action;

    assert_int_equal(sigaction(signal_number, NULL, &action), 0);
    assert_true(action.sa_handler == handler);
    assert_int_equal(action.sa_flags & (SA_NODEFER | SA_RESTART), flags);
#ifndef TRACEDLOOP_SIGNALS_ARE_LATE
    assert_int_equal(sigismember(&action.sa_mask, SIGUSR2), flags != 0);
#endif
}

static void removing_a_signal_restores_what_was_there_before(void **state)
{
    struct sigaction mine = { .sa_handler = handle_it, .sa_flags = SA_NODEFER }, previous;

    sigaddset(&mine.sa_mask, SIGUSR2);
    assert_int_equal(sigaction(SIGUSR1, &mine, &previous), 0);
    open_loop();
    add_signal(SIGUSR1, on_signal, "1");
    raise(SIGUSR1);
    assert_int_equal(handled, 0);
    ioloop_remove_signal(loop, SIGUSR1);
    check_disposition(SIGUSR1, handle_it, SA_NODEFER);
    raise(SIGUSR1);
    assert_int_equal(handled, 1);
    testing_spin(loop, 1);
    assert_string_equal(trace, ""); /* it came, but was removed before it could be told */
    add_signal(SIGUSR1, on_signal, "1");
    add_signal(SIGPIPE, on_signal, "1");
    raise(SIGUSR1);
    close_loop();
    check_disposition(SIGUSR1, handle_it, SA_NODEFER);
    check_disposition(SIGPIPE, SIG_DFL, 0);
    sigaction(SIGUSR1, &previous, NULL);
}

static void remove_in_callback(int signal_number, void *arg)
{
    note(arg);
    ioloop_remove_signal(loop, SIGUSR1);
    ioloop_remove_signal(loop, SIGUSR2);
}

/* Whichever comes first, the other has come too and is not told any more. */
static void a_signal_may_be_removed_in_a_callback(void **state)
{
    open_loop();
    add_signal(SIGUSR1, remove_in_callback, "r");
    add_signal(SIGUSR2, remove_in_callback, "r");
    raise(SIGUSR1);
    raise(SIGUSR2);
    testing_spin(loop, 2);
    assert_string_equal(trace, "r");
    close_loop();
}

static void replace_in_callback(int signal_number, void *arg)
{
    note(arg);
    ioloop_remove_signal(loop, signal_number);
    assert_int_equal(ioloop_add_signal(loop, signal_number, on_signal, "n"), 0);
    raise(signal_number);
}

static void a_signal_may_be_replaced_in_its_callback(void **state)
{
    open_loop();
    add_signal(SIGUSR1, replace_in_callback, "o");
    raise(SIGUSR1);
    testing_spin(loop, 2);
    assert_string_equal(trace, "on");
    close_loop();
}

static void close_in_callback(int signal_number, void *arg)
{
    ioloop_close(loop, false);
    ioloop_remove_signal(loop, signal_number);
}

static void a_signal_may_close_its_loop(void **state)
{
    open_loop();
    add_signal(SIGUSR1, close_in_callback, NULL);
    add_signal(SIGUSR2, on_signal, NULL);
    raise(SIGUSR1);
    assert_int_equal(ioloop_start(loop), 0);
    check_disposition(SIGUSR2, SIG_DFL, 0);
    assert_int_equal(faults_allocated(), allocated);
}

static void raise_again(int signal_number, void *arg)
{
    told++;
    raise(signal_number);
}

static void a_storm_of_signals_leaves_time_for_the_rest(void **state)
{
    int fds[2];

    open_loop();
    open_ready_pipe(fds);
    add_handler(fds[0], note_event, "h", IOLOOP_READ);
    add_signal(SIGUSR1, raise_again, NULL);
    raise(SIGUSR1);
    for (int i = 1; i <= 5; i++) {
        int before = told;
        call_later(0, note, "t");
        testing_spin(loop, 1);
        assert_int_equal(traced, 2 * i);
        assert_true(told > before);
    }
    close_loop();
    close_both(fds);
}

/* errno. */

static void check_errno_is_kept(void)
{
    assert_true(ioloop_next_timeout(loop) != 1); /* the loop counts as sleeping: a handler wakes it */
    errno = 12345;
    raise(SIGUSR1);
    assert_int_equal(errno, 12345);
}

static void a_signal_keeps_errno(void **state)
{
    open_loop();
    add_signal(SIGUSR1, on_signal, "1");
    check_errno_is_kept();
    testing_spin(loop, 1);
    faults_system_call_sticky("write", EAGAIN, 1); /* the wake-up fails */
    check_errno_is_kept();
    faults_end();
    testing_spin(loop, 1);
    assert_string_equal(trace, "11");
    close_loop();
}

/* While the loop sleeps. */

static void answer_signal(int signal_number, void *arg)
{
    sem_post(&answered);
}

static void *send_signals(void *arg)
{
    pthread_t to = *(const pthread_t *)arg;

    for (int i = 0; i < 1000; i++) {
        pthread_kill(to, SIGUSR1);
        sem_wait(&answered);
    }
    ioloop_add_callback(loop, stop, NULL);
    return NULL;
}

/* Wherever in its turn the loop is: none may come between the look at what was asked and the wait. */
static void no_signal_is_lost_when_the_loop_falls_asleep(void **state)
{
    pthread_t thread, self = pthread_self();

    open_loop();
    add_signal(SIGUSR1, answer_signal, NULL);
    sem_init(&answered, 0, 0);
    assert_int_equal(pthread_create(&thread, NULL, send_signals, &self), 0);
    assert_int_equal(ioloop_start(loop), 0);
    pthread_join(thread, NULL);
    sem_destroy(&answered);
    close_loop();
}

static int clock_reads;

/* As a signal would that comes just here: the loop has seen that there is nothing to do, and asks how long it may wait.
 */
static double stop_before_the_wait(void *arg)
{
    if (++clock_reads > 1)
        ioloop_stop(loop);
    return 100;
}

static void a_stop_between_the_look_and_the_wait_is_seen(void **state)
{
    loop = ioloop_new(&(struct ioloop_options){ .clock = stop_before_the_wait });
    clock_reads = 0;
    call_later(3600, note, "x");
    assert_int_equal(ioloop_start(loop), 0); /* else it waits for a minute at least */
    assert_int_equal(clock_reads, 2);
    ioloop_close(loop, false);
}

static atomic_bool stopped;

static void stop_in_handler(int signal_number)
{
    ioloop_stop(loop);
}

static void *interrupt_until_stopped(void *arg)
{
    pthread_t to = *(const pthread_t *)arg;

    sem_wait(&answered); /* the loop runs */
    for (int i = 0; i < 200; i++)
        pthread_kill(to, SIGUSR1); /* which only interrupts */
    pthread_kill(to, SIGUSR2);
    return NULL;
}

/* An interrupted wait is no error, and a stop in the handler ends the loop. */
static void a_signal_handler_can_stop_the_loop(void **state)
{
    pthread_t thread, self = pthread_self();

    open_loop();
    struct sigaction first = handle(SIGUSR1, handle_it);
    struct sigaction second = handle(SIGUSR2, stop_in_handler);
    sem_init(&answered, 0, 0);
    add_callback(answer, NULL);
    assert_int_equal(pthread_create(&thread, NULL, interrupt_until_stopped, &self), 0);
    assert_int_equal(ioloop_start(loop), 0);
    pthread_join(thread, NULL);
    testing_spin(loop, 1);
    sigaction(SIGUSR1, &first, NULL);
    sigaction(SIGUSR2, &second, NULL);
    sem_destroy(&answered);
    close_loop();
}

static void *raise_until_stopped(void *arg)
{
    while (!stopped)
        raise(SIGUSR1);
    return NULL;
}

/* While another thread is in the signal handler most of the time. */
static void a_signal_can_be_added_and_removed_while_it_comes(void **state)
{
    struct sigaction previous = handle(SIGUSR1, handle_it);
    pthread_t thread;

    stopped = false;
    assert_int_equal(pthread_create(&thread, NULL, raise_until_stopped, NULL), 0);
    for (int i = 0; i < 300; i++) {
        open_loop();
        add_signal(SIGUSR1, on_signal, NULL);
        testing_spin(loop, 1);
        if (i % 2 == 0)
            ioloop_remove_signal(loop, SIGUSR1);
        close_loop();
    }
    stopped = true;
    pthread_join(thread, NULL);
    sigaction(SIGUSR1, &previous, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_ring_keeps_the_order_and_refuses_what_it_has_no_room_for),
    cmocka_unit_test(the_ring_goes_on_when_its_numbers_wrap_around),
    cmocka_unit_test(the_ring_takes_from_many_at_once),
    cmocka_unit_test(a_signal_handler_can_add_callbacks),
    cmocka_unit_test(handlers_that_interrupt_each_other_keep_their_order),
    cmocka_unit_test(a_full_ring_says_so_and_is_emptied_in_one_turn),
    cmocka_unit_test(a_callback_that_adds_itself_there_does_not_hold_up_the_loop),
    cmocka_unit_test(other_threads_can_add_there_while_the_loop_runs),
    cmocka_unit_test(a_signal_is_told_to_its_loop),
    cmocka_unit_test(a_hundred_thousand_signals_while_the_loop_is_busy_lose_nothing),
    cmocka_unit_test(what_is_no_signal_is_refused),
    cmocka_unit_test(a_signal_has_one_loop),
    cmocka_unit_test(removing_a_signal_restores_what_was_there_before),
    cmocka_unit_test(a_signal_may_be_removed_in_a_callback),
    cmocka_unit_test(a_signal_may_be_replaced_in_its_callback),
    cmocka_unit_test(a_signal_may_close_its_loop),
    cmocka_unit_test(a_storm_of_signals_leaves_time_for_the_rest),
    cmocka_unit_test(a_signal_keeps_errno),
    cmocka_unit_test(no_signal_is_lost_when_the_loop_falls_asleep),
    cmocka_unit_test(a_stop_between_the_look_and_the_wait_is_seen),
    cmocka_unit_test(a_signal_handler_can_stop_the_loop),
    cmocka_unit_test(a_signal_can_be_added_and_removed_while_it_comes),
};

TESTING_MAIN(tests)
