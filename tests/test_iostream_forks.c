/* A stream in a child of fork(): what was written before is sent once, what was received is shown once, by the parent.
 */
#include "ioloop/iostream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "tests/support/testing.h"

static struct ioloop *loop;
static struct iostream *stream;
static int peer;
static pid_t forked; /* 0: this is the child */

static void open_stream(const struct iostream_options *options)
{
    int fds[2];

    loop = ioloop_new(NULL);
    testing_socketpair(fds);
    stream = iostream_new(loop, fds[0], options);
    assert_non_null(stream);
    peer = fds[1];
    forked = -1;
}

static void fork_here(void)
{
    fflush(stdout);
    forked = fork();
    assert_true(forked >= 0);
    if (forked == 0)
        testing_limit_time();
}

static void wait_for_child(void)
{
    int status;

    assert_int_equal(waitpid(forked, &status, 0), forked);
    assert_int_equal(status, 0);
}

static void close_stream(void)
{
    ioloop_close(loop, false);
    close(peer);
}

/* All that the peer has been sent. */
static void expect_sent(const char *text)
{
    char bytes[200] = "";
    ssize_t count = recv(peer, bytes, sizeof bytes - 1, MSG_DONTWAIT);

    assert_int_equal(count < 0 ? 0 : count, strlen(text));
    assert_memory_equal(bytes, text, strlen(text));
}

/* What was written. */

enum { CLOSES, REOPENS_AND_CLOSES, CLOSES_ITS_LOOP, CHILDREN };

static void close_in_child(int how)
{
    if (how == REOPENS_AND_CLOSES && ioloop_reopen(loop) < 0)
        _exit(1);
    if (how == CLOSES_ITS_LOOP)
        ioloop_close(loop, false);
    else
        iostream_close(stream);
    _exit(0);
}

static void what_is_corked_is_the_parents_to_send(void **state)
{
    for (int how = 0; how < CHILDREN; how++) {
        open_stream(NULL);
        iostream_cork(stream);
        assert_int_equal(iostream_write(stream, "one", 3, NULL, NULL), 0);
        fork_here();
        if (forked == 0)
            close_in_child(how);
        wait_for_child();
        expect_sent("");
        iostream_uncork(stream);
        expect_sent("one");
        close_stream();
    }
}

static void what_a_child_corks_is_its_own(void **state)
{
    open_stream(NULL);
    fork_here();
    if (forked == 0) {
        if (ioloop_reopen(loop) < 0)
            _exit(1);
        iostream_cork(stream);
        if (iostream_write(stream, "child", 5, NULL, NULL) < 0)
            _exit(1);
        close_in_child(CLOSES);
    }
    wait_for_child();
    expect_sent("child");
    close_stream();
}

static int how_it_closes;

static size_t answer_and_fork(struct iostream *its, int error, const char *data, size_t length, void *arg)
{
    if (error == 0) {
        assert_int_equal(iostream_write(its, "answer", 6, NULL, NULL), 0);
        fork_here();
        if (forked == 0)
            close_in_child(how_it_closes);
    }
    return length;
}

static void what_a_consumer_has_written_is_the_parents_to_send(void **state)
{
    for (how_it_closes = 0; how_it_closes < CLOSES_ITS_LOOP; how_it_closes++) {
        open_stream(NULL);
        assert_int_equal(iostream_set_consumer(stream, answer_and_fork, NULL), 0);
        assert_int_equal(write(peer, "x", 1), 1);
        assert_int_equal(ioloop_run_once(loop, -1), 1);
        wait_for_child();
        expect_sent("answer");
        close_stream();
    }
}

/* Behind it there is more that waits for the peer to read. */
static size_t fork_with_output(struct iostream *its, int error, const char *data, size_t length, void *arg)
{
    if (error == 0)
        fork_here();
    return length;
}

static void what_waits_is_the_parents_to_send(void **state)
{
    static char bytes[4 << 20];
    size_t received = 0;
    ssize_t count;

    open_stream(NULL);
    assert_int_equal(iostream_write(stream, bytes, sizeof bytes, NULL, NULL), 0);
    assert_true(iostream_pending(stream) > 0);
    assert_int_equal(iostream_set_consumer(stream, fork_with_output, NULL), 0);
    while ((count = recv(peer, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) /* so that there is room */
        received += (size_t)count;
    assert_int_equal(write(peer, "x", 1), 1);
    int result = ioloop_run_once(loop, -1);
    if (forked == 0)
        _exit(result >= 0);
    wait_for_child();
    while (received < sizeof bytes) {
        assert_true(ioloop_run_once(loop, 0) >= 0);
        while ((count = recv(peer, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
            received += (size_t)count;
    }
    assert_int_equal(received, sizeof bytes);
    assert_int_equal(iostream_pending(stream), 0);
    close_stream();
}

/* What was received. */

static bool reopens, changes; /* a consumer for each byte */
static char seen[100];

/* Takes one byte a call. */
static size_t fork_at_f(struct iostream *its, int error, const char *data, size_t length, void *arg)
{
    if (error < 0)
        return length;
    strncat(seen, data, 1);
    if (data[0] == 'f') {
        fork_here();
        if (forked == 0 && reopens && ioloop_reopen(loop) < 0)
            _exit(1);
    }
    if (changes)
        assert_int_equal(iostream_set_consumer(its, fork_at_f, NULL), 0);
    return 1;
}

static void end_child(int result, const char *wanted)
{
    int wanted_result = reopens ? 1 : -ESTALE;

    if (result != wanted_result || strcmp(seen, wanted) != 0) {
        fprintf(stderr, "the child answers %d and has seen %s\n", result, seen);
        _exit(1);
    }
    _exit(0);
}

/* As with all else that is left of a turn: it is the child's too if that reopens the loop. */
static void what_a_consumer_has_not_seen_is_the_parents(void **state)
{
    static const struct {
        const char *text, *seen_by_child;
    } cases[] = { { "f12", "f" }, { "0f12", "0f" }, { "012f345", "012f" }, { "f", "f" } };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int kind = 0; kind < 4; kind++) {
            open_stream(NULL);
            seen[0] = '\0';
            reopens = kind & 1;
            changes = kind & 2;
            assert_int_equal(iostream_set_consumer(stream, fork_at_f, NULL), 0);
            assert_int_equal(write(peer, cases[i].text, strlen(cases[i].text)), strlen(cases[i].text));
            int result = ioloop_run_once(loop, -1);
            if (forked == 0)
                end_child(result, reopens ? cases[i].text : cases[i].seen_by_child);
            assert_int_equal(result, 1);
            wait_for_child();
            assert_string_equal(seen, cases[i].text);
            close_stream();
        }
    }
}

static void on_line(struct iostream *its, int error, const char *data, size_t length, void *arg)
{
    if (error < 0)
        return;
    strncat(seen, data, length);
    if (data[0] == 'f')
        fork_here();
    (void)!iostream_read_until(its, "\n", 0, on_line, NULL);
}

/* Also from the stream's own buffer, in a task. */
static void the_next_line_is_the_parents(void **state)
{
    for (int early = 0; early < 2; early++) {
        open_stream(NULL);
        seen[0] = '\0';
        reopens = false;
        assert_int_equal(iostream_read_until(stream, "\n", 0, on_line, NULL), 0);
        assert_int_equal(write(peer, early ? "0\n1" : "f\n1\n2\n", early ? 3 : 6), early ? 3 : 6);
        int result = ioloop_run_once(loop, -1);
        if (early) {
            assert_int_equal(write(peer, "\nf\n3\n4\n", 7), 7);
            result = ioloop_run_once(loop, -1);
        }
        if (forked == 0)
            end_child(result, early ? "0\n1\nf\n" : "f\n");
        wait_for_child();
        assert_string_equal(seen, early ? "0\n1\nf\n3\n4\n" : "f\n1\n2\n");
        close_stream();
    }
}

enum { MANY = 200000 };

static size_t count_and_fork(struct iostream *its, int error, const char *data, size_t length, void *arg)
{
    size_t *sum = arg;

    if (error < 0)
        return length;
    *sum += length;
    if (forked < 0) {
        fork_here();
        if (forked > 0)
            wait_for_child(); /* with all of that to be had */
    }
    return length;
}

/* Nor does it receive any, if it is only as the consumer wants more at once than was there. */
static void what_has_not_been_received_is_the_parents(void **state)
{
    static char bytes[MANY];
    size_t sum = 0;
    size_t sent = 0;

    open_stream(&(struct iostream_options){ .max_buffer_size = 1 << 20 }); /* which not every stream has */
    assert_int_equal(iostream_set_consumer(stream, count_and_fork, &sum), 0);
    while (sent < MANY) {
        ssize_t count = send(peer, bytes + sent, MANY - sent, MSG_DONTWAIT);
        if (count <= 0)
            break;
        sent += (size_t)count;
    }
    assert_true(sent > 65536);
    int result = ioloop_run_once(loop, -1);
    if (forked == 0)
        _exit(result >= 0 || sum > 65536);
    while (sum < sent)
        assert_true(ioloop_run_once(loop, 0) >= 0);
    assert_int_equal(sum, sent);
    close_stream();
}

static void how_the_parent_closes_is_its_own_affair(void **state)
{
    struct linger linger = { .l_onoff = -1 };

    open_stream(NULL);
    fork_here();
    if (forked == 0) {
        iostream_reset(stream);
        _exit(0);
    }
    wait_for_child();
    assert_int_equal(getsockopt(iostream_fd(stream), SOL_SOCKET, SO_LINGER, &linger, &(socklen_t){ sizeof linger }), 0);
    assert_int_equal(linger.l_onoff, 0);
    close_stream();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_is_corked_is_the_parents_to_send),
    cmocka_unit_test(what_a_child_corks_is_its_own),
    cmocka_unit_test(what_a_consumer_has_written_is_the_parents_to_send),
    cmocka_unit_test(what_waits_is_the_parents_to_send),
    cmocka_unit_test(what_a_consumer_has_not_seen_is_the_parents),
    cmocka_unit_test(the_next_line_is_the_parents),
    cmocka_unit_test(what_has_not_been_received_is_the_parents),
    cmocka_unit_test(how_the_parent_closes_is_its_own_affair),
};

TESTING_MAIN(tests)
