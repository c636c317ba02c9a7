/* A loop in a child of fork(): refused until it is reopened, and the parent notices nothing.
 * test_ioloop_forks_callbacks.c has forks in callbacks. */
#include "ioloop/ioloop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "ioloop/deadlines.h"
#include "ioloop/ioalloc.h"
#include "ioloop/periodiccallback.h"
#include "tests/support/forkedchild.h"
#include "tests/support/tracedloop.h"

static int fds[2]; /* a pipe with a byte in it */
static struct periodiccallback *periodic;

static bool is_readable(int fd)
{
    struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

    return poll(&poll_fd, 1, 0) == 1;
}

static void on_signal(int signal_number, void *arg)
{
    note(arg);
}

/* Everything that a loop can have. */
static void open_full_loop(void)
{
    open_loop();
    open_ready_pipe(fds);
    add_handler(fds[0], note_event, "h", IOLOOP_READ);
    call_later(10, note, "t");
    periodic = periodiccallback_new(loop, 1, note, "x");
    assert_non_null(periodic);
    assert_int_equal(ioloop_add_signal(loop, SIGUSR1, on_signal, "s"), 0);
    add_callback(note, "c");
}

static void close_full_loop(void)
{
    close_loop();
    close_both(fds);
}

/* What a loop like that does when it is well. */
static bool works(void)
{
    traced = 0;
    trace[0] = '\0';
    the_time += 10;
    raise(SIGUSR1);
    return ioloop_run_once(loop, 0) == 1 && strcmp(trace, "csth") == 0;
}

/* Refused. */

static void expire(struct deadline *deadline)
{
}

static void try_everything(void)
{
    struct deadline deadline = { .link = NULL };

    CHECK(ioloop_start(loop) == -ESTALE);
    CHECK(ioloop_run_once(loop, 0) == -ESTALE);
    CHECK(ioloop_add_handler(loop, fds[1], note_event, "x", IOLOOP_WRITE) == -ESTALE);
    CHECK(ioloop_update_handler(loop, fds[0], IOLOOP_WRITE) == -ESTALE);
    CHECK(ioloop_add_callback(loop, note, "x") == -ESTALE);
    CHECK(ioloop_add_callback_from_signal(loop, note, "x") == -ESTALE);
    CHECK(ioloop_add_signal(loop, SIGUSR2, on_signal, "x") == -ESTALE);
    errno = 0;
    CHECK(ioloop_call_later(loop, 0, note, "x") == 0 && errno == ESTALE);
    errno = 0;
    CHECK(ioloop_call_at(loop, 0, note, "x") == 0 && errno == ESTALE);
    CHECK(deadline_set(loop, &deadline, 1, expire) == -ESTALE);
    CHECK(periodiccallback_start(periodic) == -ESTALE);
    errno = 0;
    CHECK(periodiccallback_new(loop, 1, note, "x") == NULL && errno == ESTALE);
    CHECK(ioloop_time(loop) == the_time);
}

static void each_call_is_refused_in_a_child(void **state)
{
    open_full_loop();
    run_child(try_everything);
    assert_true(works());
    close_full_loop();
}

/* What answers nothing does no harm. */
static void break_everything(void)
{
    try_everything();
    ioloop_stop(loop);
    raise(SIGUSR1);
    ioloop_remove_timeout(loop, 1);
    ioloop_remove_handler(loop, fds[0]);
    ioloop_remove_signal(loop, SIGUSR1);
    ioloop_close(loop, true);
    CHECK(ioloop_current_if_any() == NULL);
}

static void close_everything(void)
{
    ioloop_close(loop, true);
    CHECK(fcntl(fds[0], F_GETFD) == -1);
    CHECK(signal(SIGUSR1, SIG_IGN) == SIG_DFL); /* restored */
}

static void a_child_can_do_the_parent_no_harm(void **state)
{
    open_full_loop();
    testing_spin(loop, 1);
    ioloop_remove_handler(loop, fds[0]);
    assert_true(ioloop_next_timeout(loop) > 0); /* it counts as sleeping */
    run_child(try_everything);
    assert_false(is_readable(ioloop_fd(loop)));
    add_handler(fds[0], note_event, "h", IOLOOP_READ);
    add_callback(note, "c");
    run_child(break_everything);
    run_child(close_everything);
    assert_true(works());
    close_full_loop();
}

static void stop_loop(void)
{
    ioloop_stop(loop);
}

static void stopping_in_a_child_does_not_wake_the_parent(void **state)
{
    open_loop();
    assert_true(ioloop_next_timeout(loop) < 0);
    run_child(stop_loop);
    assert_false(is_readable(ioloop_fd(loop)));
    close_loop();
}

/* The descriptor was removed before it was closed, so nobody hears of it although the description lives on. */
static void a_child_that_keeps_a_duplicate_makes_nobody_spin(void **state)
{
    int gate[2], watched[2];
    char byte;

    open_loop();
    assert_int_equal(pipe(gate), 0);
    testing_socketpair(watched);
    add_handler(watched[0], note_event, "x", IOLOOP_READ);
    pid_t child = fork_child();
    if (child == 0) {
        close(gate[1]);
        _exit(read(gate[0], &byte, 1) != 0); /* until the parent closes it */
    }
    ioloop_remove_handler(loop, watched[0]);
    close(watched[0]);
    assert_int_equal(write(watched[1], "x", 1), 1);
    testing_spin(loop, 2);
    assert_false(is_readable(ioloop_fd(loop)));
    assert_string_equal(trace, "");
    close_both(gate);
    wait_for(child);
    close(watched[1]);
    close_loop();
}

/* Reopened. */

static void reopen_and_work(void)
{
    CHECK(ioloop_reopen(loop) == 0);
    CHECK(ioloop_reopen(loop) == -EINVAL);
    CHECK(ioloop_current() == loop);
    CHECK(works());
    CHECK(ioloop_update_handler(loop, fds[0], IOLOOP_NONE) == 0);
    CHECK(ioloop_add_handler(loop, fds[1], note_event, "w", IOLOOP_WRITE) == 0);
    CHECK(ioloop_add_callback_from_signal(loop, note, "f") == 0);
    CHECK(ioloop_call_later(loop, 0, note, "t") != 0);
    CHECK(ioloop_run_once(loop, -1) == 1);
    CHECK(strcmp(trace, "csthftw") == 0);
    CHECK(ioloop_call_later(loop, 0, stop, NULL) != 0);
    CHECK(ioloop_start(loop) == 0);
    ioloop_close(loop, true);
    CHECK(faults_allocated() == allocated);
}

static void reopen_in_grandchild(void)
{
    CHECK(ioloop_reopen(loop) == 0);
    pid_t grandchild = begin_child(reopen_and_work);
    int status = 1;
    waitpid(grandchild, &status, 0);
    CHECK(status == 0);
    CHECK(works());
}

static void a_reopened_loop_serves_what_it_had(void **state)
{
    open_full_loop();
    assert_int_equal(ioloop_reopen(loop), -EINVAL); /* not here */
    pid_t child = begin_child(reopen_and_work);
    run_child(reopen_in_grandchild);
    wait_for(child);
    assert_true(works());
    close_full_loop();
}

static const char *refused_call;

/* Each time this call is made it fails once; what was begun is undone. */
static void reopen_when_the_kernel_refuses(void)
{
    int before = testing_count_fds(), error, nth = 0;

    for (;;) {
        faults_system_call(refused_call, ENFILE, ++nth);
        error = ioloop_reopen(loop);
        if (!faults_hit())
            break;
        CHECK(error == -ENFILE);
        CHECK(ioloop_run_once(loop, 0) == -ESTALE);
        CHECK(testing_count_fds() == before);
    }
    CHECK(error == 0);
    CHECK(works());
}

static void reopen_without_memory(void)
{
    faults_allocation(1, true);
    CHECK(ioloop_reopen(loop) == -ENOMEM);
    faults_end();
    CHECK(ioloop_run_once(loop, 0) == -ESTALE);
    CHECK(ioloop_reopen(loop) == 0);
    CHECK(works());
}

static void a_loop_that_cannot_be_reopened_can_be_later(void **state)
{
    static const char *const calls[] = { "epoll_create1", "eventfd", "epoll_ctl" };

    open_full_loop();
    for (size_t i = 0; i < 3; i++) {
        refused_call = calls[i];
        run_child(reopen_when_the_kernel_refuses);
    }
    run_child(reopen_without_memory);
    assert_true(works());
    close_full_loop();
}

/* Other threads. */

static sem_t allocating, may_go_on;
static bool block_allocation;

static void *blocking_realloc(void *memory, size_t size)
{
    void *result = realloc(memory, size);

    if (block_allocation) {
        block_allocation = false;
        sem_post(&allocating);
        sem_wait(&may_go_on);
    }
    return result;
}

static void *add_one(void *arg)
{
    return (void *)(intptr_t)ioloop_add_callback(loop, stop, NULL);
}

static void reopen_and_add(void)
{
    CHECK(ioloop_reopen(loop) == 0);
    CHECK(ioloop_add_callback(loop, note, "a") == 0);
    CHECK(ioloop_run_once(loop, 0) == 0);
    CHECK(strcmp(trace, "a") == 0);
    ioloop_close(loop, false);
}

static void only_close(void)
{
    ioloop_close(loop, false);
}

/* The lock of the queue is held, and its memory has just been replaced, by a thread that the child does not have: what
 * stood in it is lost there. The allocator has to be another one for that, so this is the last test. */
static void a_thread_that_adds_during_the_fork_is_forgotten(void **state)
{
    pthread_t thread;

    ioalloc_set_functions(&(struct ioalloc_functions){ malloc, blocking_realloc, free });
    loop = ioloop_new(NULL);
    assert_non_null(loop);
    traced = 0;
    sem_init(&allocating, 0, 0);
    sem_init(&may_go_on, 0, 0);
    for (int i = 0; i < 16; i++)
        add_callback(note, "n"); /* the next one needs more room */
    block_allocation = true;
    assert_int_equal(pthread_create(&thread, NULL, add_one, NULL), 0);
    sem_wait(&allocating);
    run_child(reopen_and_add);
    run_child(only_close);
    sem_post(&may_go_on);
    pthread_join(thread, NULL);
    assert_int_equal(ioloop_start(loop), 0); /* what the thread has added stops it */
    ioloop_close(loop, false);
    sem_destroy(&allocating);
    sem_destroy(&may_go_on);
    ioalloc_set_functions(NULL);
}

static atomic_bool signalling;

static void *raise_without_end(void *arg)
{
    while (signalling)
        raise(SIGUSR1);
    return NULL;
}

static void remove_and_reopen(void)
{
    ioloop_remove_signal(loop, SIGUSR1); /* waits for handlers that run */
    CHECK(ioloop_reopen(loop) == 0);
    CHECK(ioloop_add_signal(loop, SIGUSR1, on_signal, "s") == 0);
    ioloop_close(loop, false);
}

/* Some are in a signal handler, which in the child nobody leaves. */
static void threads_in_a_signal_handler_during_the_fork_are_forgotten(void **state)
{
    pthread_t threads[4];

    open_loop();
    signalling = true;
    assert_int_equal(ioloop_add_signal(loop, SIGUSR1, on_signal, "s"), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, raise_without_end, NULL), 0);
    for (int i = 0; i < 60; i++) {
        run_child(remove_and_reopen);
        run_child(only_close);
    }
    signalling = false;
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    close_loop();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_call_is_refused_in_a_child),
    cmocka_unit_test(a_child_can_do_the_parent_no_harm),
    cmocka_unit_test(stopping_in_a_child_does_not_wake_the_parent),
    cmocka_unit_test(a_child_that_keeps_a_duplicate_makes_nobody_spin),
    cmocka_unit_test(a_reopened_loop_serves_what_it_had),
    cmocka_unit_test(a_loop_that_cannot_be_reopened_can_be_later),
    cmocka_unit_test(threads_in_a_signal_handler_during_the_fork_are_forgotten),
    cmocka_unit_test(a_thread_that_adds_during_the_fork_is_forgotten),
};

TESTING_MAIN(tests)
