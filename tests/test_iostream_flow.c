/* How much a stream takes: limits of what is unread, shares of the loop, and what a message costs. */
#include "ioloop/iostream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "tests/support/faults.h"
#include "tests/support/streampair.h"
#include "tests/support/testing.h"

/* Limits of what is unread. */

static void closes_over_max_buffer_size(void **state)
{
    for (int over = 0; over < 2; over++) {
        struct streampair pair;
        struct outcome part = { 0 };
        char bytes[101] = { 0 };

        testing_begin_logs();
        streampair_open(&pair, STREAMPAIR_UNIX, &(struct iostream_options){ .max_buffer_size = 100 });
        accepted(iostream_read_until(pair.stream, "\n", 5000, outcome_read, &part));
        streampair_put_bytes(&pair, bytes, 100 + (size_t)over);
        streampair_spin(&pair, 120);
        assert_int_equal(pair.closed.calls, over);
        if (over) {
            assert_outcome(part, -ENOBUFS, "");
            assert_ended(pair.closed, -ENOBUFS);
            assert_int_equal(testing_logs("E "), 1);
        }
        streampair_close(&pair);
    }
}

/* A peer that sends ahead is held back, not cut off. */
static void serves_small_reads_whatever_the_peer_sends_ahead(void **state)
{
    struct streampair pair;
    char bytes[200];
    uint64_t sent = 0, got = 0;

    streampair_open(&pair, STREAMPAIR_UNIX, &(struct iostream_options){ .max_buffer_size = 100 });
    while (got < 5000) {
        struct outcome part = { .in_pattern = true, .place = got };
        while (sent < got + 150) {
            streampair_pattern(bytes, sent, 50);
            streampair_put_bytes(&pair, bytes, 50);
            sent += 50;
        }
        streampair_spin(&pair, 2);
        accepted(iostream_read_bytes(pair.stream, 10, outcome_read, &part));
        streampair_run(&pair, &part);
        assert_ended(part, 0);
        got += 10;
        int in_kernel;
        assert_int_equal(ioctl(iostream_fd(pair.stream), FIONREAD, &in_kernel), 0);
        assert_in_range(sent - got - (uint64_t)in_kernel, 0, 101);
    }
    assert_int_equal(pair.closed.calls, 0);
    streampair_close(&pair);
}

static void reads_until_close_as_much_as_may_be_buffered(void **state)
{
    struct streampair pair;
    struct outcome all = { .in_pattern = true };
    char bytes[100];

    streampair_pattern(bytes, 0, sizeof bytes);
    streampair_open(&pair, STREAMPAIR_UNIX, &(struct iostream_options){ .max_buffer_size = 100 });
    accepted(iostream_read_until_close(pair.stream, 0, outcome_read, &all));
    streampair_put_bytes(&pair, bytes, sizeof bytes);
    streampair_hang_up(&pair);
    streampair_run(&pair, &pair.closed);
    assert_ended(all, 0);
    assert_int_equal(all.length, 100);
    streampair_close(&pair);
}

/* iostream_test:test_flow_control */
static void holds_back_a_peer_that_nobody_reads_from(void **state)
{
    struct streampair pair;
    struct outcome all = { .in_pattern = true };
    char *bytes = malloc(16 << 20);

    streampair_pattern(bytes, 0, 16 << 20);
    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    streampair_open_other(&pair, NULL);
    accepted(iostream_write(pair.other, bytes, 16 << 20, NULL, NULL));
    streampair_spin(&pair, 50);
    uint64_t pending = iostream_pending(pair.other);
    assert_true(pending > 15 << 20);
    faults_count_reset();
    assert_true(faults_allocated_bytes() < 18 << 20);
    int handlers = 0;
    for (int i = 0; i < 50; i++)
        handlers += ioloop_run_once(pair.loop, 0.002);
    assert_int_equal(handlers, 0);
    assert_int_equal(faults_count("recv"), 0);
    assert_int_equal(iostream_pending(pair.other), pending);
    accepted(iostream_read_bytes(pair.stream, 16 << 20, outcome_read, &all));
    streampair_run(&pair, &all);
    assert_ended(all, 0);
    assert_int_equal(all.length, 16 << 20);
    free(bytes);
    streampair_close(&pair);
}

static size_t write_back(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    if (error == 0)
        accepted(iostream_write(stream, data, length, NULL, NULL));
    return length;
}

/* A read of nothing is done at once, and begins the next. */
struct chain {
    int left;
    struct outcome last;
};

static void read_nothing_on(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct chain *chain = arg;

    if (error == 0 && chain->left-- > 0)
        accepted(iostream_read_bytes(stream, 0, read_nothing_on, chain));
    else if (error == 0)
        accepted(iostream_read_bytes(stream, 3, outcome_read, &chain->last));
}

static size_t take_nothing_on(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct chain *chain = arg;

    if (error == 0 && chain->left-- > 0) {
        accepted(iostream_set_consumer(stream, take_nothing_on, chain));
    } else if (error == 0) {
        accepted(iostream_set_consumer(stream, NULL, NULL));
        accepted(iostream_read_bytes(stream, 3, outcome_read, &chain->last));
    }
    return 0;
}

static void those_who_take_nothing_leave_time_for_others(void **state)
{
    for (int i = 0; i < 4; i++) {
        struct streampair pair;
        struct chain chain = { .left = 1000 };

        streampair_open(&pair, STREAMPAIR_UNIX, NULL);
        if (i >= 1)
            streampair_put(&pair, "abc");
        if (i >= 2)
            streampair_spin(&pair, 2);
        if (i == 3)
            accepted(iostream_set_consumer(pair.stream, take_nothing_on, &chain));
        else
            accepted(iostream_read_bytes(pair.stream, 0, read_nothing_on, &chain));
        streampair_spin(&pair, 10);
        assert_in_range(chain.left, 970, 990);
        streampair_spin(&pair, 1000);
        if (i == 0)
            streampair_put(&pair, "abc");
        streampair_run(&pair, &chain.last);
        assert_outcome(chain.last, 0, "abc");
        streampair_close(&pair);
    }
}

/* Of an echo, whose peer sends and sends, but does not read until the end. */
static void holds_back_a_peer_that_does_not_read(void **state)
{
    static char bytes[4096];
    struct streampair pair;
    uint64_t sent = 0;

    streampair_open(&pair, STREAMPAIR_UNIX, &(struct iostream_options){ .hold_back = true });
    accepted(iostream_set_consumer(pair.stream, write_back, NULL));
    for (int i = 0; i < 4000; i++) {
        streampair_pattern(bytes, sent, sizeof bytes);
        ssize_t some = write(pair.peer, bytes, sizeof bytes);
        sent += some > 0 ? (uint64_t)some : 0;
        streampair_spin(&pair, 1);
    }
    assert_in_range(iostream_pending(pair.stream), 262145, 2 * 262144);
    faults_count_reset();
    streampair_spin(&pair, 10);
    assert_int_equal(faults_count("recv"), 0);
    streampair_expect_pattern(&pair, 0, sent);
    assert_int_equal(iostream_pending(pair.stream), 0);
    streampair_put(&pair, "and on it goes");
    streampair_expect(&pair, "and on it goes");
    streampair_close(&pair);
}

enum { ANSWER = 100000, LINES = 400 };

/* A server whose answers are longer than its questions. */
static void answer_at_length(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    static char answer[ANSWER];
    int *answered = arg;

    if (error < 0)
        return;
    assert_true(iostream_pending(stream) <= 262144);
    streampair_pattern(answer, (uint64_t)*answered * ANSWER, sizeof answer);
    ++*answered;
    accepted(iostream_write(stream, answer, sizeof answer, NULL, NULL));
    accepted(iostream_read_until(stream, "\n", 10, answer_at_length, arg));
}

static void put_lines(struct streampair *pair)
{
    char lines[2 * LINES];

    for (int i = 0; i < LINES; i++)
        memcpy(lines + 2 * (size_t)i, "x\n", 2);
    streampair_put_bytes(pair, lines, sizeof lines);
}

/* All of them came in one receive; finished: and the end of them. */
static void holds_back_what_is_unread(void **state)
{
    for (int finished = 0; finished < 2; finished++) {
        struct streampair pair;
        int answered = 0;

        streampair_open(&pair, STREAMPAIR_UNIX, &(struct iostream_options){ .hold_back = true, .half_close = true });
        accepted(iostream_read_until(pair.stream, "\n", 10, answer_at_length, &answered));
        put_lines(&pair);
        if (finished)
            shutdown(pair.peer, SHUT_WR);
        streampair_spin(&pair, 20);
        assert_in_range(answered, 1, 10);
        streampair_expect_pattern(&pair, 0, (size_t)LINES * ANSWER);
        assert_int_equal(answered, LINES);
        assert_int_equal(iostream_pending(pair.stream), 0);
        streampair_close(&pair);
    }
}

/* The kernel is full until the last part, which goes as a whole: nothing else has the stream look at what is unread. */
static void reads_on_when_little_waits_to_be_sent(void **state)
{
    struct streampair pair;
    int answered = 0;

    streampair_open(&pair, STREAMPAIR_UNIX, &(struct iostream_options){ .hold_back = true });
    streampair_narrow(&pair);
    accepted(iostream_read_until(pair.stream, "\n", 10, answer_at_length, &answered));
    streampair_put(&pair, "x\nx\nx\nx\n");
    streampair_spin(&pair, 20);
    assert_int_equal(answered, 3);
    streampair_expect_pattern(&pair, 0, 4 * ANSWER);
    streampair_close(&pair);
}

/* That ends an operation, and shows nothing. */
static void a_read_can_be_cancelled_while_it_is_held_back(void **state)
{
    struct streampair pair;
    int answered = 0;

    streampair_open(&pair, STREAMPAIR_UNIX, &(struct iostream_options){ .hold_back = true });
    accepted(iostream_read_until(pair.stream, "\n", 10, answer_at_length, &answered));
    put_lines(&pair);
    streampair_spin(&pair, 20);
    int before = answered;
    iostream_cancel_read(pair.stream);
    streampair_spin(&pair, 2);
    accepted(iostream_read_until(pair.stream, "\n", 10, answer_at_length, &answered));
    assert_int_equal(answered, before);
    streampair_expect_pattern(&pair, 0, (size_t)LINES * ANSWER);
    streampair_close(&pair);
}

/* Memory follows what has come, not what was announced. */
static void allocates_for_what_came_only(void **state)
{
    struct streampair pair;
    struct outcome all = { 0 };
    char bytes[5000] = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    size_t before = faults_allocated_bytes();
    accepted(iostream_read_bytes(pair.stream, 16 << 20, outcome_read, &all));
    for (int i = 0; i < 3; i++) {
        streampair_put_bytes(&pair, bytes, sizeof bytes);
        streampair_spin(&pair, 2);
    }
    assert_in_range(faults_allocated_bytes() - before, 15000, 65536 + 70000);
    assert_int_equal(all.calls, 0);
    streampair_close(&pair);
}

static void owns_no_buffer_while_it_waits(void **state)
{
    struct streampair pair;
    struct outcome line = { 0 }, next = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &line));
    streampair_put(&pair, "a\n");
    streampair_run(&pair, &line);
    accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &next));
    streampair_spin(&pair, 2);
    long idle = faults_allocated();
    for (int i = 0; i < 100; i++) {
        next = (struct outcome){ 0 };
        streampair_put(&pair, "b");
        streampair_spin(&pair, 2);
        assert_int_equal(faults_allocated(), idle + 1);
        streampair_put(&pair, "\n");
        streampair_run(&pair, &next);
        accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &next));
        streampair_spin(&pair, 1);
        assert_int_equal(faults_allocated(), idle);
    }
    streampair_close(&pair);
}

/* Shares. */

enum { OTHERS = 10 };

static size_t take_all(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    ++*(int *)arg;
    return length;
}

static void lets_no_greedy_stream_starve_the_others(void **state)
{
    struct streampair pair, others[OTHERS];
    int greedy = 0, honest[OTHERS] = { 0 };
    char *bytes = calloc(1, 1 << 20);
    int size = 4 << 20;

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    assert_int_equal(setsockopt(pair.peer, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
    accepted(iostream_set_consumer(pair.stream, take_all, &greedy));
    for (int i = 0; i < OTHERS; i++) {
        int fds[2];
        testing_socketpair(fds);
        others[i] = (struct streampair){ .peer = fds[1], .stream = iostream_new(pair.loop, fds[0], NULL) };
        accepted(iostream_set_consumer(others[i].stream, take_all, &honest[i]));
    }
    for (int turn = 1; turn <= 50; turn++) {
        while (send(pair.peer, bytes, 1 << 20, MSG_DONTWAIT) > 0)
            continue;
        for (int i = 0; i < OTHERS; i++)
            streampair_put(&others[i], "x");
        faults_count_reset();
        streampair_spin(&pair, 1);
        for (int i = 0; i < OTHERS; i++)
            assert_int_equal(honest[i], turn);
        assert_in_range(faults_count("recv"), OTHERS + 1, OTHERS + 4);
    }
    for (int i = 0; i < OTHERS; i++) {
        iostream_close(others[i].stream);
        streampair_hang_up(&others[i]);
    }
    free(bytes);
    streampair_close(&pair);
}

/* What a message costs. */

static size_t echo(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    if (error == 0)
        assert_int_equal(iostream_write(stream, data, length, NULL, NULL), 0);
    ++*(int *)arg;
    return length;
}

static void answer_line(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    if (error == 0) {
        accepted(iostream_write(stream, data, length, NULL, NULL));
        accepted(iostream_read_until(stream, "\n", 0, answer_line, arg));
    }
    ++*(int *)arg;
}

static void costs_one_receive_and_one_send_a_message(void **state)
{
    for (int by_lines = 0; by_lines < 2; by_lines++) {
        struct streampair pair;
        int messages = 0;

        streampair_open(&pair, STREAMPAIR_TCP, NULL);
        accepted(by_lines ? iostream_read_until(pair.stream, "\n", 0, answer_line, &messages)
                          : iostream_set_consumer(pair.stream, echo, &messages));
        streampair_put(&pair, "warm\n");
        streampair_expect(&pair, "warm\n");
        long allocations = faults_allocations();
        faults_count_reset();
        for (int i = 0; i < 100; i++) {
            streampair_put(&pair, "message\n");
            streampair_expect(&pair, "message\n");
        }
        assert_int_equal(messages, 101);
        assert_int_equal(faults_count("recv"), 100);
        assert_int_equal(faults_count("send") + faults_count("sendmsg"), 100);
        assert_int_equal(faults_count("epoll_ctl"), 0);
        assert_int_equal(faults_allocations(), allocations);
        streampair_close(&pair);
    }
}

enum output { MEMORY, CORKED_FILE, UNCORKED_FILE };

/* Of a file that the kernel cannot cork whole segments, but for the last part, which may be half as long again. */
static uint64_t part_of(uint64_t left, enum output output, int segment)
{
    unsigned part = 128 << 10, more = part / 2;

    if (output == CORKED_FILE && left >= part + more)
        part = 1 << 20, more = 0;
    if (output == UNCORKED_FILE && left >= part)
        part -= part % (unsigned)segment;
    return left < part + more ? left : part;
}

/* What is sent before the peer can read it only fills caches; and others wait. */
static void sends_a_long_output_part_by_part(void **state)
{
    enum { LENGTH = 8 << 18 };
    char *bytes = malloc(LENGTH);
    int file = streampair_file(LENGTH);

    assert_non_null(bytes);
    streampair_pattern(bytes, 0, LENGTH);
    for (enum output output = MEMORY; output <= UNCORKED_FILE; output++) {
        struct streampair pair;
        struct outcome sent = { 0 };
        int segment, parts = 0;

        streampair_open(&pair, STREAMPAIR_TCP, NULL);
        int fd = iostream_fd(pair.stream);
        assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4), 0);
        assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, &(socklen_t){ sizeof segment }), 0);
        if (output == UNCORKED_FILE)
            faults_system_call("setsockopt", ENOPROTOOPT, 1);
        faults_count_reset();
        accepted(output == MEMORY ? iostream_write_static(pair.stream, bytes, LENGTH, outcome_end, &sent)
                                  : iostream_sendfile(pair.stream, file, 0, LENGTH, outcome_end, &sent));
        uint64_t pending = iostream_pending(pair.stream);
        if (output == CORKED_FILE) {
            assert_int_equal(faults_asked("sendfile"), part_of(LENGTH, output, segment));
            assert_in_range(LENGTH - pending, 1, part_of(LENGTH, output, segment));
        } else {
            assert_int_equal(LENGTH - pending, part_of(LENGTH, output, segment)); /* a socket takes more than that */
        }
        assert_int_equal(faults_count("epoll_ctl"), 0);
        for (uint64_t part, left = LENGTH; left > 0; left -= part, parts++) {
            part = part_of(left, output, segment);
            uint64_t before = iostream_pending(pair.stream);
            streampair_spin(&pair, 1);
            assert_true(before - iostream_pending(pair.stream) <= part_of(before, output, segment));
            streampair_expect_pattern(&pair, LENGTH - left, (size_t)part);
        }
        streampair_run(&pair, &sent);
        assert_ended(sent, 0);
        if (output == CORKED_FILE) /* of which a socket takes less at once */
            assert_in_range(faults_count("sendfile"), parts, 100);
        else
            assert_int_equal(faults_count("sendfile"), output == MEMORY ? 0 : parts);
        assert_int_equal(faults_count("send") + faults_count("sendmsg"), output == MEMORY ? parts : 0);
        assert_int_equal(faults_count("setsockopt"), output == CORKED_FILE ? 2 : output == UNCORKED_FILE ? 1 : 0);
        streampair_close(&pair);
    }
    close(file);
    free(bytes);
}

static const struct CMUnitTest at_all_sizes[] = {
    cmocka_unit_test(closes_over_max_buffer_size),
    cmocka_unit_test(serves_small_reads_whatever_the_peer_sends_ahead),
    cmocka_unit_test(reads_until_close_as_much_as_may_be_buffered),
};

static const struct CMUnitTest once[] = {
    cmocka_unit_test(those_who_take_nothing_leave_time_for_others),
    cmocka_unit_test(holds_back_a_peer_that_nobody_reads_from),
    cmocka_unit_test(holds_back_a_peer_that_does_not_read),
    cmocka_unit_test(holds_back_what_is_unread),
    cmocka_unit_test(reads_on_when_little_waits_to_be_sent),
    cmocka_unit_test(a_read_can_be_cancelled_while_it_is_held_back),
    cmocka_unit_test(allocates_for_what_came_only),
    cmocka_unit_test(owns_no_buffer_while_it_waits),
    cmocka_unit_test(lets_no_greedy_stream_starve_the_others),
    cmocka_unit_test(sends_a_long_output_part_by_part),
    cmocka_unit_test(costs_one_receive_and_one_send_a_message),
};

STREAMPAIR_MAIN(at_all_sizes, once)
