/* A loop in a child of fork(): refused until it is reopened, and the parent notices nothing. */
#include "ioloop/ioloop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "ioloop/deadlines.h"
#include "ioloop/ioalloc.h"
#include "ioloop/iofuture.h"
#include "ioloop/iostream.h"
#include "ioloop/periodiccallback.h"
#include "tests/support/tracedloop.h"

/* In a child, where a failed assertion would go on with the tests. */
#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                                    \
            return 1;                                                                                                  \
        }                                                                                                              \
    } while (0)

static int fds[2]; /* a pipe with a byte in it */

static void wait_for(pid_t child)
{
    int status;

    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static pid_t fork_child(void)
{
    fflush(stdout);
    pid_t pid = fork();

    if (pid == 0)
        testing_limit_time();
    return pid;
}

static pid_t begin_child(int (*child)(void))
{
    pid_t pid = fork_child();

    if (pid == 0)
        _exit(child());
    return pid;
}

static void run_child(int (*child)(void))
{
    wait_for(begin_child(child));
}

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

static int try_everything(void)
{
    struct deadline deadline = { .link = NULL };
    struct periodiccallback *periodic = periodiccallback_new(loop, 1, note, "x");

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
    CHECK(ioloop_time(loop) == the_time);
    return 0;
}

static void each_call_is_refused_in_a_child(void **state)
{
    open_full_loop();
    run_child(try_everything);
    assert_true(works());
    close_full_loop();
}

/* What answers nothing does no harm. */
static int break_everything(void)
{
    CHECK(try_everything() == 0);
    ioloop_stop(loop);
    raise(SIGUSR1);
    ioloop_remove_timeout(loop, 1);
    ioloop_remove_handler(loop, fds[0]);
    ioloop_remove_signal(loop, SIGUSR1);
    ioloop_close(loop, true);
    CHECK(ioloop_current_if_any() == NULL);
    return 0;
}

static int close_everything(void)
{
    ioloop_close(loop, true);
    CHECK(fcntl(fds[0], F_GETFD) == -1);
    CHECK(signal(SIGUSR1, SIG_IGN) == SIG_DFL); /* restored */
    return 0;
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

static void stopping_in_a_child_does_not_wake_the_parent(void **state)
{
    open_loop();
    assert_true(ioloop_next_timeout(loop) < 0);
    pid_t child = fork_child();
    if (child == 0) {
        ioloop_stop(loop);
        _exit(0);
    }
    wait_for(child);
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

static int reopen_and_work(void)
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
    return 0;
}

static int reopen_in_grandchild(void)
{
    if (ioloop_reopen(loop) < 0)
        return 1;
    pid_t grandchild = begin_child(reopen_and_work);
    int status = 1;
    waitpid(grandchild, &status, 0);
    CHECK(status == 0);
    CHECK(works());
    return 0;
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
static int reopen_when_the_kernel_refuses(void)
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
    return 0;
}

static int reopen_without_memory(void)
{
    faults_allocation(1, true);
    CHECK(ioloop_reopen(loop) == -ENOMEM);
    faults_end();
    CHECK(ioloop_run_once(loop, 0) == -ESTALE);
    CHECK(ioloop_reopen(loop) == 0);
    CHECK(works());
    return 0;
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

/* Inside callbacks. */

static pid_t forked;

static void fork_here(void *arg)
{
    add_callback(note, "n"); /* for the next turn, which the child has only if it reopens the loop */
    forked = fork_child();
    note(forked == 0 ? "C" : "P");
    if (forked == 0 && (arg != NULL ? ioloop_reopen(loop) : ioloop_add_callback(loop, note, "x") + ESTALE) != 0)
        _exit(1);
    if (forked > 0 || arg != NULL)
        add_callback(stop, NULL);
}

static void a_child_that_returns_into_the_loop_has_none(void **state)
{
    open_loop();
    add_callback(fork_here, NULL);
    int result = ioloop_start(loop);
    if (forked == 0)
        _exit(!(result == -ESTALE && strcmp(trace, "C") == 0 && ioloop_start(loop) == -ESTALE));
    assert_int_equal(result, 0);
    wait_for(forked);
    close_loop();
}

static void a_child_that_reopens_in_a_callback_goes_on(void **state)
{
    open_loop();
    open_ready_pipe(fds);
    add_handler(fds[0], note_event, "h", IOLOOP_READ);
    add_callback(fork_here, "reopen");
    call_later(0, note, "t");
    int result = ioloop_start(loop);
    if (forked == 0) {
        if (result != 0 || strcmp(trace, "Cthn") != 0 || ioloop_run_once(loop, 0) != 1)
            _exit(1);
        ioloop_close(loop, true);
        _exit(faults_allocated() != allocated);
    }
    assert_int_equal(result, 0);
    assert_string_equal(trace, "Pthn");
    wait_for(forked);
    ioloop_remove_handler(loop, fds[0]);
    close_both(fds);
    close_loop();
}

static void reopen_and_close(void *arg)
{
    forked = fork_child();
    if (forked > 0)
        return;
    if (ioloop_reopen(loop) < 0)
        _exit(1);
    ioloop_close(loop, true);
    if (fcntl(fds[0], F_GETFD) < 0) /* as in any callback: the end comes when the start returns */
        _exit(1);
}

static void a_child_that_reopens_in_a_callback_may_close_there(void **state)
{
    open_loop();
    open_ready_pipe(fds);
    add_handler(fds[0], note_event, "h", IOLOOP_READ);
    add_callback(reopen_and_close, NULL);
    add_callback(stop, NULL);
    int result = ioloop_start(loop);
    if (forked == 0)
        _exit(!(result == 0 && fcntl(fds[0], F_GETFD) < 0 && faults_allocated() == allocated));
    assert_int_equal(result, 0);
    wait_for(forked);
    ioloop_close(loop, true);
    close(fds[1]);
}

static void fork_in_handler(int fd, unsigned events, void *arg)
{
    if (forked < 0)
        fork_here(arg);
    else
        note("h");
}

static void check_batch(char *arg, const char *wanted_in_child)
{
    int more[2];

    open_loop();
    open_ready_pipe(fds);
    open_ready_pipe(more);
    forked = -1;
    add_handler(fds[0], fork_in_handler, arg, IOLOOP_READ);
    add_handler(more[0], fork_in_handler, arg, IOLOOP_READ);
    int result = ioloop_run_once(loop, 0);
    if (forked == 0)
        _exit(!(result == (arg != NULL ? 1 : -ESTALE) && strcmp(trace, wanted_in_child) == 0));
    assert_int_equal(result, 2);
    assert_string_equal(trace, "Ph");
    wait_for(forked);
    ioloop_close(loop, true);
    close(fds[1]);
    close(more[1]);
}

/* The child is not told the rest of what the parent was: both would read the same bytes. */
static void the_rest_of_a_batch_is_the_parents(void **state)
{
    check_batch(NULL, "C");
    check_batch("reopen", "C");
}

/* A turn in which the callback of one letter forks. */
static char fork_at;
static bool reopens_inside;

static void fork_or_note(void *arg)
{
    if (*(const char *)arg != fork_at) {
        note(arg);
        return;
    }
    forked = fork_child();
    note(forked == 0 ? "C" : "P");
    if (forked == 0 && reopens_inside && ioloop_reopen(loop) < 0)
        _exit(1);
}

static void fork_or_note_future(struct iofuture *future, void *arg)
{
    fork_or_note(arg);
}

static void set_future(char *letter)
{
    struct iofuture *future = iofuture_new(loop);

    assert_non_null(future);
    assert_int_equal(iofuture_add_callback(future, fork_or_note_future, letter), 0);
    assert_int_equal(iofuture_set_result(future, NULL, NULL), 0);
}

static void add_two_callbacks(void *arg)
{
    add_callback(fork_or_note, "a");
    add_callback(fork_or_note, "b");
}

static void on_usr(int signal_number, void *arg)
{
    fork_or_note(arg);
}

/* Tasks, callbacks, posted ones, signals (the newest first), callbacks from signals, timeouts: two of each. */
static const char turn[] = "klabpqtsfgyz";

static void open_loop_with_turn(void)
{
    open_loop();
    assert_int_equal(ioloop_add_signal(loop, SIGUSR1, on_usr, "s"), 0);
    assert_int_equal(ioloop_add_signal(loop, SIGUSR2, on_usr, "t"), 0);
    add_callback(add_two_callbacks, NULL);
    testing_spin(loop, 1);
    set_future("k");
    set_future("l");
    add_callback(fork_or_note, "p");
    add_callback(fork_or_note, "q");
    raise(SIGUSR1);
    raise(SIGUSR2);
    assert_int_equal(ioloop_add_callback_from_signal(loop, fork_or_note, "f"), 0);
    assert_int_equal(ioloop_add_callback_from_signal(loop, fork_or_note, "g"), 0);
    call_later(0, fork_or_note, "y");
    call_later(0, fork_or_note, "z");
}

enum { CLOSES, REOPENS_LATER, REOPENS_INSIDE, CHILDREN };

static int go_on_in_child(int child, int result, size_t at)
{
    if (child != REOPENS_INSIDE)
        CHECK(result == -ESTALE && traced == at + 1);
    if (child == REOPENS_LATER)
        CHECK(ioloop_reopen(loop) == 0);
    if (child != CLOSES) {
        CHECK(ioloop_run_once(loop, 0) == 0);
        CHECK(strlen(trace) == strlen(turn));
        if (child == REOPENS_LATER || at > 0) /* else a task is left for the next turn */
            CHECK(memcmp(trace, turn, at) == 0 && trace[at] == 'C' && strcmp(trace + at + 1, turn + at + 1) == 0);
    }
    ioloop_close(loop, false);
    CHECK(faults_allocated() == allocated);
    return 0;
}

/* What is due behind the callback that forks happens once, in the parent, unless the child wants to go on with it. */
static void the_rest_of_a_turn_is_the_parents(void **state)
{
    for (size_t at = 0; turn[at] != '\0'; at++) {
        for (int child = 0; child < CHILDREN; child++) {
            open_loop_with_turn();
            fork_at = turn[at];
            reopens_inside = child == REOPENS_INSIDE;
            int result = ioloop_run_once(loop, 0);
            if (forked == 0)
                _exit(go_on_in_child(child, result, at));
            assert_int_equal(result, 0);
            assert_int_equal(strlen(trace), strlen(turn));
            assert_int_equal(trace[at], 'P');
            wait_for(forked);
            close_loop();
        }
    }
}

static size_t answer_and_fork(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    if (error == 0) {
        assert_int_equal(iostream_write(stream, "answer", 6, NULL, NULL), 0);
        forked = fork_child();
        if (forked == 0 && reopens_inside && ioloop_reopen(loop) < 0)
            _exit(1);
    }
    return length;
}

static void what_is_written_before_a_fork_is_sent_by_the_parent(void **state)
{
    char bytes[100];

    for (int reopens = 0; reopens < 2; reopens++) {
        open_loop();
        reopens_inside = reopens;
        testing_socketpair(fds);
        struct iostream *stream = iostream_new(loop, fds[0], NULL);
        assert_int_equal(iostream_set_consumer(stream, answer_and_fork, NULL), 0);
        assert_int_equal(write(fds[1], "x", 1), 1);
        int result = ioloop_run_once(loop, -1);
        if (forked == 0)
            _exit(result != (reopens ? 1 : -ESTALE));
        wait_for(forked);
        assert_int_equal(recv(fds[1], bytes, sizeof bytes, 0), 6);
        close_loop();
        close(fds[1]);
    }
}

static void stop_it(void *arg)
{
    ioloop_stop(arg);
}

static void fork_and_make_a_loop(void *arg)
{
    forked = fork_child();
    if (forked > 0)
        return;
    ioloop_clear_current();
    struct ioloop *own = ioloop_new(NULL);
    if (own == NULL || ioloop_call_later(own, 0.001, stop_it, own) == 0)
        _exit(1);
    _exit(ioloop_start(own) != 0);
}

static void a_child_may_run_a_loop_of_its_own(void **state)
{
    open_loop();
    add_callback(fork_and_make_a_loop, NULL);
    testing_spin(loop, 1);
    wait_for(forked);
    close_loop();
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
    return (void *)(intptr_t)ioloop_add_callback(arg, stop_it, arg);
}

static int reopen_and_add(void)
{
    CHECK(ioloop_reopen(loop) == 0);
    CHECK(ioloop_add_callback(loop, note, "a") == 0);
    CHECK(ioloop_run_once(loop, 0) == 0);
    CHECK(strcmp(trace, "a") == 0);
    ioloop_close(loop, false);
    return 0;
}

static int only_close(void)
{
    ioloop_close(loop, false);
    return 0;
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
    assert_int_equal(pthread_create(&thread, NULL, add_one, loop), 0);
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

static int remove_and_reopen(void)
{
    ioloop_remove_signal(loop, SIGUSR1); /* waits for handlers that run */
    CHECK(ioloop_reopen(loop) == 0);
    CHECK(ioloop_add_signal(loop, SIGUSR1, on_signal, "s") == 0);
    ioloop_close(loop, false);
    return 0;
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
    cmocka_unit_test(a_child_that_returns_into_the_loop_has_none),
    cmocka_unit_test(a_child_that_reopens_in_a_callback_goes_on),
    cmocka_unit_test(a_child_that_reopens_in_a_callback_may_close_there),
    cmocka_unit_test(the_rest_of_a_batch_is_the_parents),
    cmocka_unit_test(the_rest_of_a_turn_is_the_parents),
    cmocka_unit_test(what_is_written_before_a_fork_is_sent_by_the_parent),
    cmocka_unit_test(a_child_may_run_a_loop_of_its_own),
    cmocka_unit_test(threads_in_a_signal_handler_during_the_fork_are_forgotten),
    cmocka_unit_test(a_thread_that_adds_during_the_fork_is_forgotten),
};

TESTING_MAIN(tests)
