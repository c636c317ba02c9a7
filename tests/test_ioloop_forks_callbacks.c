/* A callback forks: what the loop had still to do is the parent's, and the child's only if it reopens the loop. */
#include "ioloop/ioloop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "ioloop/iofuture.h"
#include "ioloop/iostream.h"
#include "tests/support/forkedchild.h"
#include "tests/support/tracedloop.h"

static int fds[2]; /* a pipe with a byte in it, or a pair of sockets */
static pid_t forked;

static void fork_here(void *arg)
{
    add_callback(note, "n"); /* for the next turn, which the child has only if it reopens the loop */
    forked = fork_child();
    note(forked == 0 ? "C" : "P");
    if (forked == 0)
        CHECK(arg != NULL ? ioloop_reopen(loop) == 0 : ioloop_add_callback(loop, note, "x") == -ESTALE);
    if (forked > 0 || arg != NULL)
        add_callback(stop, NULL);
}

static void a_child_that_returns_into_the_loop_has_none(void **state)
{
    open_loop();
    add_callback(fork_here, NULL);
    int result = ioloop_start(loop);
    if (forked == 0) {
        CHECK(result == -ESTALE);
        CHECK(strcmp(trace, "C") == 0);
        CHECK(ioloop_start(loop) == -ESTALE);
        _exit(0);
    }
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
        CHECK(result == 0);
        CHECK(strcmp(trace, "Cthn") == 0);
        CHECK(ioloop_run_once(loop, 0) == 1);
        ioloop_close(loop, true);
        CHECK(faults_allocated() == allocated);
        _exit(0);
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
    CHECK(ioloop_reopen(loop) == 0);
    ioloop_close(loop, true);
    CHECK(fcntl(fds[0], F_GETFD) >= 0); /* as in any callback: the end comes when the start returns */
}

static void a_child_that_reopens_in_a_callback_may_close_there(void **state)
{
    open_loop();
    open_ready_pipe(fds);
    add_handler(fds[0], note_event, "h", IOLOOP_READ);
    add_callback(reopen_and_close, NULL);
    add_callback(stop, NULL);
    int result = ioloop_start(loop);
    if (forked == 0) {
        CHECK(result == 0);
        CHECK(fcntl(fds[0], F_GETFD) < 0);
        CHECK(faults_allocated() == allocated);
        _exit(0);
    }
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

static void check_batch(char *arg)
{
    int more[2];

    open_loop();
    open_ready_pipe(fds);
    open_ready_pipe(more);
    forked = -1;
    add_handler(fds[0], fork_in_handler, arg, IOLOOP_READ);
    add_handler(more[0], fork_in_handler, arg, IOLOOP_READ);
    int result = ioloop_run_once(loop, 0);
    if (forked == 0) {
        CHECK(result == (arg != NULL ? 1 : -ESTALE));
        CHECK(strcmp(trace, "C") == 0);
        _exit(0);
    }
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
    check_batch(NULL);
    check_batch("reopen");
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
    if (forked == 0 && reopens_inside)
        CHECK(ioloop_reopen(loop) == 0);
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
    call_later(1000, fork_or_note, "later"); /* so that there is one when these are out */
}

enum { CLOSES, REOPENS_LATER, REOPENS_INSIDE, CHILDREN };

static void go_on_in_child(int child, int result, size_t at)
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
    _exit(0);
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
                go_on_in_child(child, result, at);
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
        if (forked == 0 && reopens_inside)
            CHECK(ioloop_reopen(loop) == 0);
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
        if (forked == 0) {
            CHECK(result == (reopens ? 1 : -ESTALE));
            _exit(0);
        }
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
    CHECK(own != NULL);
    CHECK(ioloop_call_later(own, 0.001, stop_it, own) != 0);
    CHECK(ioloop_start(own) == 0);
    _exit(0);
}

static void a_child_may_run_a_loop_of_its_own(void **state)
{
    open_loop();
    add_callback(fork_and_make_a_loop, NULL);
    testing_spin(loop, 1);
    wait_for(forked);
    close_loop();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_child_that_returns_into_the_loop_has_none),
    cmocka_unit_test(a_child_that_reopens_in_a_callback_goes_on),
    cmocka_unit_test(a_child_that_reopens_in_a_callback_may_close_there),
    cmocka_unit_test(the_rest_of_a_batch_is_the_parents),
    cmocka_unit_test(the_rest_of_a_turn_is_the_parents),
    cmocka_unit_test(what_is_written_before_a_fork_is_sent_by_the_parent),
    cmocka_unit_test(a_child_may_run_a_loop_of_its_own),
};

TESTING_MAIN(tests)
