/* The end of a stream: who is told, when, with what, and what can still be done. test_iostream_half_close.c has the
 * streams that end one way only, and those that nobody reads. */
#include "ioloop/iostream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "tests/support/faults.h"
#include "tests/support/streampair.h"
#include "tests/support/testing.h"

/* The peer's end. */

/* iostream_test:test_connection_closed */
static void reads_the_answer_before_it_is_told_of_the_close(void **state)
{
    struct streampair pair;
    struct outcome answer = { 0 };

    streampair_open(&pair, STREAMPAIR_TCP, NULL);
    accepted(iostream_write(pair.stream, "GET / HTTP/1.0\r\n\r\n", 18, NULL, NULL));
    accepted(iostream_read_until_close(pair.stream, 0, outcome_read, &answer));
    streampair_expect(&pair, "GET / HTTP/1.0\r\n\r\n");
    streampair_put(&pair, "HTTP/1.0 200 OK\r\n\r\nHello");
    streampair_hang_up(&pair);
    streampair_run(&pair, &pair.closed);
    assert_outcome(answer, 0, "HTTP/1.0 200 OK\r\n\r\nHello");
    assert_true(answer.order < pair.closed.order);
    streampair_close(&pair);
}

/* iostream_test:test_close_buffered_data */
static void reads_what_the_kernel_holds_after_the_peer_has_closed(void **state)
{
    for (enum streampair_kind kind = STREAMPAIR_UNIX; kind <= STREAMPAIR_PIPE_IN; kind++) {
        struct streampair pair;
        struct outcome parts[3] = { 0 };
        char bytes[15000];

        streampair_open_unwatched(&pair, kind, NULL);
        streampair_pattern(bytes, 0, sizeof bytes);
        streampair_put_bytes(&pair, bytes, sizeof bytes);
        streampair_hang_up(&pair);
        streampair_spin(&pair, 3);
        for (int i = 0; i < 3; i++) {
            accepted(iostream_read_bytes(pair.stream, 5000, outcome_read, &parts[i]));
            streampair_run(&pair, &parts[i]);
            assert_ended(parts[i], 0);
            assert_int_equal(parts[i].length, 5000);
        }
        iostream_set_close_callback(pair.stream, outcome_end, &pair.closed);
        streampair_run(&pair, &pair.closed);
        assert_ended(pair.closed, -ESHUTDOWN);
        streampair_close(&pair);
    }
}

/* iostream_test:test_delayed_close_callback, iostream_test:test_future_delayed_close_callback */
static void is_told_of_the_close_when_all_is_read(void **state)
{
    struct streampair pair;
    struct outcome lines[2] = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &lines[0]));
    streampair_put(&pair, "one\ntwo\n");
    streampair_hang_up(&pair);
    streampair_run(&pair, &lines[0]);
    streampair_spin(&pair, 20);
    assert_int_equal(pair.closed.calls, 0);
    assert_false(iostream_closed(pair.stream));
    accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &lines[1]));
    streampair_run(&pair, &pair.closed);
    assert_outcome(lines[1], 0, "two\n");
    assert_ended(pair.closed, -ESHUTDOWN);
    assert_true(lines[1].order < pair.closed.order);
    streampair_close(&pair);
}

static void is_told_of_the_close_when_the_rest_makes_no_read(void **state)
{
    struct streampair pair;
    struct outcome line = { 0 }, part = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &line));
    streampair_put(&pair, "one\ntw");
    streampair_hang_up(&pair);
    streampair_run(&pair, &line);
    accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &part));
    streampair_run(&pair, &pair.closed);
    assert_outcome(part, -ESHUTDOWN, "");
    streampair_close(&pair);
}

/* A read that found no match, and then the rest in other ways, as long as the program likes. */
static void read_two_instead(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct outcome *parts = arg;

    outcome_read(stream, error, data, length, &parts[0]);
    accepted(iostream_read_bytes(stream, 2, outcome_read, &parts[1]));
}

static void reads_the_rest_bit_by_bit_after_the_end(void **state)
{
    for (int half = 0; half < 2; half++) {
        struct streampair pair;
        struct outcome parts[3] = { 0 };

        streampair_open(&pair, STREAMPAIR_UNIX, &(struct iostream_options){ .half_close = half });
        accepted(iostream_read_until(pair.stream, "\n", 0, read_two_instead, parts));
        streampair_put(&pair, "abcd");
        streampair_hang_up(&pair);
        streampair_run(&pair, &parts[1]);
        assert_outcome(parts[0], -ESHUTDOWN, "");
        assert_outcome(parts[1], 0, "ab");
        streampair_spin(&pair, 5);
        if (half)
            accepted(iostream_shutdown(pair.stream));
        streampair_spin(&pair, 5);
        assert_int_equal(pair.closed.calls, 0);
        accepted(iostream_read_bytes(pair.stream, 2, outcome_read, &parts[2]));
        streampair_run(&pair, &pair.closed);
        assert_outcome(parts[2], 0, "cd");
        assert_ended(pair.closed, -ESHUTDOWN);
        streampair_close(&pair);
    }
}

/* iostream_test:test_close_callback_with_pending_read */
static void ends_the_read_that_waits_and_then_tells_of_the_close(void **state)
{
    struct streampair pair;
    struct outcome first = { 0 }, waiting = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_bytes(pair.stream, 2, outcome_read, &first));
    streampair_put(&pair, "OK");
    streampair_run(&pair, &first);
    accepted(iostream_read_bytes(pair.stream, 1, outcome_read, &waiting));
    streampair_spin(&pair, 2);
    streampair_hang_up(&pair);
    streampair_run(&pair, &pair.closed);
    assert_outcome(waiting, -ESHUTDOWN, "");
    assert_true(waiting.order < pair.closed.order);
    streampair_close(&pair);
}

/* iostream_test:test_future_close_callback */
static void notices_the_peers_close_when_nobody_reads(void **state)
{
    for (enum streampair_kind kind = STREAMPAIR_UNIX; kind <= STREAMPAIR_PIPE_OUT; kind++) {
        struct streampair pair;

        streampair_open(&pair, kind, NULL);
        streampair_spin(&pair, 5);
        assert_int_equal(pair.closed.calls, 0);
        streampair_hang_up(&pair);
        streampair_run(&pair, &pair.closed);
        assert_ended(pair.closed, kind == STREAMPAIR_PIPE_OUT ? -EPIPE : -ESHUTDOWN);
        streampair_close(&pair);
    }
}

static void notices_a_reset(void **state)
{
    for (int reading = 0; reading < 2; reading++) {
        struct streampair pair;
        struct outcome part = { 0 };

        testing_begin_logs();
        streampair_open(&pair, STREAMPAIR_TCP, NULL);
        if (reading)
            accepted(iostream_read_bytes(pair.stream, 1, outcome_read, &part));
        streampair_spin(&pair, 2);
        streampair_reset(&pair);
        streampair_run(&pair, &pair.closed);
        assert_ended(pair.closed, -ECONNRESET);
        assert_int_equal(part.calls, reading);
        assert_int_equal(testing_logs(NULL), 0);
        streampair_close(&pair);
    }
}

#ifdef __linux__ /* the others drop what came before a reset */
static void reads_what_came_before_a_reset(void **state)
{
    struct streampair pair;
    struct outcome rest = { 0 };

    streampair_open(&pair, STREAMPAIR_TCP, NULL);
    streampair_put(&pair, "abcdef");
    streampair_reset(&pair);
    streampair_read(&pair, "abc");
    streampair_spin(&pair, 10);
    accepted(iostream_read_bytes(pair.stream, 3, outcome_read, &rest));
    streampair_run(&pair, &pair.closed);
    assert_outcome(rest, 0, "def");
    assert_ended(pair.closed, -ECONNRESET);
    streampair_close(&pair);
}
#endif

/* The own end. */

static void closes_the_descriptor_at_once(void **state)
{
    struct streampair pair;

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    int fd = iostream_fd(pair.stream);
    assert_true(fd >= 0);
    assert_int_equal(iostream_error(pair.stream), 0);
    iostream_close(pair.stream);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_int_equal(iostream_fd(pair.stream), -1);
    assert_true(iostream_closed(pair.stream));
    assert_int_equal(iostream_error(pair.stream), 0);
    assert_ptr_equal(iostream_loop(pair.stream), pair.loop);
    iostream_close(pair.stream);
    assert_int_equal(pair.closed.calls, 0);
    streampair_spin(&pair, 3);
    assert_ended(pair.closed, 0);
    streampair_close(&pair);
}

/* Also when what is unread would do: who closed does not want to read on. */
static void ends_what_waits_with_ecanceled(void **state)
{
    for (int unread = 0; unread < 2; unread++) {
        struct streampair pair;
        struct outcome first = { 0 }, read = { 0 }, written = { 0 };

        streampair_open(&pair, STREAMPAIR_UNIX, NULL);
        accepted(iostream_read_bytes(pair.stream, 1, outcome_read, &first));
        streampair_put(&pair, unread ? "abc" : "a");
        streampair_run(&pair, &first);
        streampair_fill(&pair);
        accepted(iostream_read_bytes(pair.stream, 2, outcome_read, &read));
        accepted(iostream_write(pair.stream, "b", 1, outcome_end, &written));
        iostream_close(pair.stream);
        streampair_run(&pair, &pair.closed);
        assert_outcome(read, -ECANCELED, "");
        assert_ended(written, -ECANCELED);
        assert_true(read.order < written.order);
        assert_true(written.order < pair.closed.order);
        streampair_close(&pair);
    }
}

/* Every call is legal until the close callback returns. */

static void expect_refusals(struct iostream *stream)
{
    static regex_t regex;
    char memory[4];
    struct iovec part = { memory, 1 };

    assert_int_equal(iostream_read_until(stream, "\n", 0, outcome_read, NULL), -EBADF);
    assert_int_equal(iostream_read_until_bytes(stream, "\n", 1, 0, outcome_read, NULL), -EBADF);
    assert_int_equal(iostream_read_until_regex(stream, &regex, 0, outcome_read, NULL), -EBADF);
    assert_int_equal(iostream_read_bytes(stream, 1, outcome_read, NULL), -EBADF);
    assert_int_equal(iostream_read_bytes(stream, SIZE_MAX, outcome_read, NULL), -EBADF);
    assert_int_equal(iostream_read_bytes_partial(stream, 1, outcome_read, NULL), -EBADF);
    assert_int_equal(iostream_read_into(stream, memory, 1, outcome_read, NULL), -EBADF);
    assert_int_equal(iostream_read_into_partial(stream, memory, 1, outcome_read, NULL), -EBADF);
    assert_int_equal(iostream_read_until_close(stream, 0, outcome_read, NULL), -EBADF);
    assert_int_equal(iostream_read_bytes_streaming(stream, 1, outcome_read, NULL), -EBADF);
    assert_int_equal(iostream_read_until_close_streaming(stream, outcome_read, NULL), -EBADF);
    assert_int_equal(iostream_set_consumer(stream, NULL, NULL), -EBADF);
    assert_int_equal(iostream_set_read_timeout(stream, 1), -EBADF);
    assert_int_equal(iostream_set_write_timeout(stream, 1), -EBADF);
    assert_int_equal(iostream_write(stream, "a", 1, outcome_end, NULL), -EBADF);
    assert_int_equal(iostream_writev(stream, &part, 1, outcome_end, NULL), -EBADF);
    assert_int_equal(iostream_write_owned(stream, "a", 1, outcome_release, NULL, outcome_end, NULL), -EBADF);
    assert_int_equal(iostream_write_static(stream, "a", 1, outcome_end, NULL), -EBADF);
    assert_int_equal(iostream_sendfile(stream, 0, 0, 1, outcome_end, NULL), -EBADF);
    assert_int_equal(iostream_shutdown(stream), -EBADF);
    assert_int_equal(iostream_set_drain_callback(stream, 1, outcome_drain, NULL), -EBADF);
    assert_int_equal(iostream_set_nodelay(stream, true), -EBADF);
    assert_int_equal(iostream_set_half_close(stream, true), -EBADF);
    assert_int_equal(iostream_connect(stream, NULL, 0, outcome_end, NULL), -EBADF);
}

static void ask_all(struct iostream *stream, int error, void *arg)
{
    expect_refusals(stream);
    iostream_cancel_read(stream);
    iostream_cork(stream);
    iostream_uncork(stream);
    iostream_close(stream);
    assert_int_equal(iostream_fd(stream), -1);
    assert_int_equal(iostream_pending(stream), 0);
    assert_false(iostream_reading(stream));
    assert_false(iostream_writing(stream));
    assert_true(iostream_closed(stream));
    iostream_set_close_callback(stream, ask_all, arg);
    outcome_end(stream, error, arg);
}

static void ask_all_when_read(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    expect_refusals(stream);
    outcome_read(stream, error, data, length, arg);
}

static size_t ask_all_when_shown(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    ask_all_when_read(stream, error, data, length, arg);
    return 0;
}

static void answers_every_call_until_the_close_callback_returns(void **state)
{
    enum { BY_PEER, READING, CONSUMING, WAYS };

    for (int way = 0; way < WAYS; way++) {
        struct streampair pair;
        struct outcome read = { 0 };

        streampair_open(&pair, STREAMPAIR_UNIX, NULL);
        iostream_set_close_callback(pair.stream, ask_all, &pair.closed);
        if (way == READING)
            accepted(iostream_read_bytes(pair.stream, 1, ask_all_when_read, &read));
        else if (way == CONSUMING)
            accepted(iostream_set_consumer(pair.stream, ask_all_when_shown, &read));
        if (way == BY_PEER) {
            streampair_hang_up(&pair);
        } else {
            iostream_close(pair.stream);
            expect_refusals(pair.stream);
        }
        streampair_run(&pair, &pair.closed);
        streampair_spin(&pair, 3);
        assert_int_equal(pair.closed.calls, 1);
        assert_int_equal(read.calls, way != BY_PEER);
        streampair_close(&pair);
    }
}

/* A close callback may be set when it is nearly too late, and taken back. */
static void uses_the_close_callback_of_the_last_moment(void **state)
{
    struct streampair pair;
    struct outcome first = { 0 };

    streampair_open_unwatched(&pair, STREAMPAIR_UNIX, NULL);
    iostream_set_close_callback(pair.stream, outcome_end, &first);
    iostream_close(pair.stream);
    iostream_set_close_callback(pair.stream, outcome_end, &pair.closed);
    streampair_run(&pair, &pair.closed);
    assert_int_equal(first.calls, 0);
    streampair_close(&pair);

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    iostream_close(pair.stream);
    iostream_set_close_callback(pair.stream, NULL, NULL);
    streampair_spin(&pair, 2);
    assert_int_equal(pair.closed.calls, 0);
    pair.stream = NULL;
    streampair_close(&pair);
}

/* All ways to close: told once, last, with the reason. */

static void by_the_peer(struct streampair *pair)
{
    assert_int_equal(shutdown(pair->peer, SHUT_WR), 0); /* with bytes to read it would close with a reset */
}

static void by_itself(struct streampair *pair)
{
    iostream_close(pair->stream);
    iostream_close(pair->stream);
}

static void by_a_timeout(struct streampair *pair)
{
    accepted(iostream_set_read_timeout(pair->stream, 1));
    streampair_spin(pair, 1);
    pair->now += 2;
}

static void by_a_read_error(struct streampair *pair)
{
    streampair_put(pair, "a");
    faults_system_call("recv", EIO, 1);
}

static void by_a_read_limit(struct streampair *pair)
{
    char bytes[101] = { 0 };

    streampair_put_bytes(pair, bytes, sizeof bytes);
}

static void by_a_write_limit(struct streampair *pair)
{
    static char bytes[100000];

    assert_int_equal(iostream_write(pair->stream, bytes, sizeof bytes, NULL, NULL), -ENOBUFS);
}

static void by_no_memory_for_input(struct streampair *pair)
{
    streampair_put(pair, "a");
    faults_allocation(1, true);
}

static const struct closing {
    void (*close)(struct streampair *pair);
    int error;
} closings[] = {
    { by_itself, 0 },
    { by_the_peer, -ESHUTDOWN },
    { streampair_reset, -ECONNRESET },
    { streampair_close_loop, -ECANCELED },
    { by_a_timeout, -ETIMEDOUT },
    { by_a_read_error, -EIO },
    { by_a_read_limit, -ENOBUFS },
    { by_a_write_limit, -ENOBUFS },
    { by_no_memory_for_input, -ENOMEM },
};

static void close_in_a_way(const struct closing *closing)
{
    struct streampair pair;
    struct outcome read = { 0 }, written[3] = { 0 }, released = { 0 };

    testing_begin_logs();
    streampair_open(&pair, STREAMPAIR_UNIX, /* of TCP the kernel may take some more a moment later */
                    &(struct iostream_options){ .max_buffer_size = 100, .max_write_buffer_size = 100000 });
    streampair_narrow(&pair);
    streampair_fill(&pair);
    accepted(iostream_read_until(pair.stream, "\n", 1000, outcome_read, &read));
    accepted(iostream_write(pair.stream, "a", 1, outcome_end, &written[0]));
    accepted(iostream_write_owned(pair.stream, "b", 1, outcome_release, &released, outcome_end, &written[1]));
    accepted(iostream_sendfile(pair.stream, 0, 0, 1, outcome_end, &written[2]));
    closing->close(&pair);
    if (pair.loop != NULL)
        streampair_run(&pair, &pair.closed);
    faults_end();
    assert_ended(pair.closed, closing->error);
    int told = closing->error != 0 ? closing->error : -ECANCELED;
    assert_outcome(read, told, "");
    for (int i = 0; i < 3; i++)
        assert_ended(written[i], told);
    assert_ended(released, 0);
    assert_int_equal(read.order, 1);
    assert_int_equal(released.order, 3);
    assert_int_equal(pair.closed.order, 6);
    streampair_close(&pair);
}

static void tells_of_the_close_once_and_last(void **state)
{
    for (size_t i = 0; i < sizeof closings / sizeof *closings; i++)
        close_in_a_way(&closings[i]);
}

/* Without a close callback. */

static void is_gone_when_its_last_operation_has_been_told(void **state)
{
    struct streampair pair;
    struct outcome read = { 0 }, written = { 0 };

    streampair_open_unwatched(&pair, STREAMPAIR_UNIX, NULL);
    long before = faults_allocated();
    accepted(iostream_read_bytes(pair.stream, 1, outcome_read, &read));
    streampair_fill(&pair);
    accepted(iostream_write(pair.stream, "a", 1, outcome_end, &written));
    streampair_hang_up(&pair);
    streampair_run(&pair, &written);
    streampair_spin(&pair, 1);
    assert_int_equal(read.calls, 1);
    /* Less the stream; more the loop's scratch, its spare, and the poller's table. */
    assert_true(faults_allocated() <= before + 2);
    pair.stream = NULL;
    streampair_close(&pair);
}

static void stays_until_it_is_closed_when_nothing_waits(void **state)
{
    struct streampair pair;

    streampair_open_unwatched(&pair, STREAMPAIR_UNIX, NULL);
    streampair_hang_up(&pair);
    streampair_spin(&pair, 10);
    assert_false(iostream_closed(pair.stream));
    iostream_set_close_callback(pair.stream, outcome_end, &pair.closed);
    streampair_run(&pair, &pair.closed);
    assert_ended(pair.closed, -ESHUTDOWN);
    streampair_close(&pair);
}

/* Errors. */

/* iostream_test:test_async_read_error_logging, iostream_test:test_inline_read_error. Ours are all found from the loop:
 * told to the read, and logged unless they only say that the peer has gone. */
static void logs_an_error_of_reading_once(void **state)
{
    struct streampair pair;
    struct outcome read = { 0 };

    testing_begin_logs();
    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_bytes(pair.stream, 1, outcome_read, &read));
    streampair_put(&pair, "a");
    faults_system_call_sticky("recv", EIO, 1);
    streampair_run(&pair, &pair.closed);
    assert_outcome(read, -EIO, "");
    assert_ended(pair.closed, -EIO);
    assert_int_equal(testing_logs("W read error"), 1);
    assert_int_equal(testing_logs(NULL), 1);
    streampair_close(&pair);
}

/* iostream_test:test_read_callback_error. A callback cannot raise: it says so to the loop, and closes if it wants. */
static void fail_and_close(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    outcome_read(stream, error, data, length, arg);
    ioloop_callback_failed(iostream_loop(stream), -EIO);
    iostream_close(stream);
}

static void note_failure(struct ioloop *loop, int error, void *arg)
{
    *(int *)arg = error;
}

static void closes_from_a_callback_that_failed(void **state)
{
    struct streampair pair;
    struct outcome read = { 0 };
    int failure = 0;

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    ioloop_set_error_callback(pair.loop, note_failure, &failure);
    accepted(iostream_read_bytes(pair.stream, 1, fail_and_close, &read));
    streampair_put(&pair, "a");
    streampair_run(&pair, &pair.closed);
    assert_int_equal(failure, -EIO);
    assert_ended(read, 0);
    assert_ended(pair.closed, 0);
    streampair_close(&pair);
}

static void leaves_the_descriptor_to_the_caller_when_it_cannot_be_made(void **state)
{
    struct streampair pair;
    int fds[2];

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    assert_int_equal(pipe(fds), 0);
    assert_null(iostream_new(pair.loop, -1, NULL));
    assert_int_equal(errno, EBADF);
    assert_null(iostream_new(pair.loop, fds[0], NULL));
    assert_int_equal(errno, ENOTSOCK);
    assert_null(iostream_new_pipe(pair.loop, -1, NULL));
    assert_int_equal(errno, EBADF);
    assert_null(iostream_new(pair.loop, iostream_fd(pair.stream), NULL));
    assert_int_equal(errno, EEXIST);
    for (int nth = 1; nth <= 2; nth++) {
        faults_allocation(nth, false);
        assert_null(iostream_new_pipe(pair.loop, fds[1], &(struct iostream_options){ .max_buffer_size = 5 }));
        assert_int_equal(errno, ENOMEM);
    }
    faults_end();
    assert_int_equal(close(fds[0]), 0);
    assert_int_equal(close(fds[1]), 0);
    streampair_close(&pair);
}

static const struct CMUnitTest at_all_sizes[] = {
    cmocka_unit_test(reads_the_answer_before_it_is_told_of_the_close),
    cmocka_unit_test(is_told_of_the_close_when_the_rest_makes_no_read),
    cmocka_unit_test(reads_the_rest_bit_by_bit_after_the_end),
    cmocka_unit_test(ends_the_read_that_waits_and_then_tells_of_the_close),
    cmocka_unit_test(notices_the_peers_close_when_nobody_reads),
    cmocka_unit_test(notices_a_reset),
    cmocka_unit_test(ends_what_waits_with_ecanceled),
    cmocka_unit_test(answers_every_call_until_the_close_callback_returns),
#ifdef __linux__
    cmocka_unit_test(reads_what_came_before_a_reset),
#endif
};

static const struct CMUnitTest once[] = {
    cmocka_unit_test(reads_what_the_kernel_holds_after_the_peer_has_closed),
    cmocka_unit_test(is_told_of_the_close_when_all_is_read),
    cmocka_unit_test(closes_the_descriptor_at_once),
    cmocka_unit_test(uses_the_close_callback_of_the_last_moment),
    cmocka_unit_test(tells_of_the_close_once_and_last),
    cmocka_unit_test(is_gone_when_its_last_operation_has_been_told),
    cmocka_unit_test(stays_until_it_is_closed_when_nothing_waits),
    cmocka_unit_test(logs_an_error_of_reading_once),
    cmocka_unit_test(closes_from_a_callback_that_failed),
    cmocka_unit_test(leaves_the_descriptor_to_the_caller_when_it_cannot_be_made),
};

STREAMPAIR_MAIN(at_all_sizes, once)
