/* Writing: order, completions, whose memory it is, limits. test_iostream_cork.c has what leaves together,
 * test_iostream_sendfile.c the files. */
#include "ioloop/iostream.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "tests/support/faults.h"
#include "tests/support/streampair.h"
#include "tests/support/testing.h"

static void sends_at_once_and_tells_later(void **state)
{
    struct streampair pair;
    struct outcome written = { 0 };
    char bytes[10];

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_write(pair.stream, "hello", 5, outcome_end, &written));
    assert_int_equal(iostream_pending(pair.stream), 0);
    assert_false(iostream_writing(pair.stream));
    assert_int_equal(streampair_take(&pair, bytes, sizeof bytes), 5);
    assert_int_equal(written.calls, 0);
    streampair_spin(&pair, 1);
    assert_ended(written, 0);
    streampair_close(&pair);
}

/* iostream_test:test_write_memoryview */
static void sends_any_bytes_from_any_memory(void **state)
{
    struct streampair pair;
    static const unsigned char constant[] = { 'a', 'b', 'c', '\n' };
    char local[] = "def\n";

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_write(pair.stream, constant, sizeof constant, NULL, NULL));
    accepted(iostream_write(pair.stream, local, 4, NULL, NULL));
    memset(local, 'x', 4);
    streampair_expect(&pair, "abc\ndef\n");
    streampair_close(&pair);
}

/* iostream_test:test_write_zero_bytes */
static void completes_an_empty_write_and_does_not_spin(void **state)
{
    struct streampair pair;
    struct outcome written[3] = { 0 };
    int handlers = 0;

    streampair_open(&pair, STREAMPAIR_TCP, NULL);
    faults_count_reset();
    accepted(iostream_write(pair.stream, "", 0, outcome_end, &written[0]));
    accepted(iostream_writev(pair.stream, NULL, 0, outcome_end, &written[1]));
    accepted(iostream_write_owned(pair.stream, "", 0, outcome_release, &written[2], NULL, NULL));
    accepted(iostream_write(pair.stream, NULL, 0, NULL, NULL));
    assert_int_equal(faults_count("send") + faults_count("sendmsg"), 0);
    assert_false(iostream_writing(pair.stream));
    streampair_spin(&pair, 1);
    for (int i = 0; i < 3; i++)
        assert_ended(written[i], 0);
    for (int i = 0; i < 10; i++)
        handlers += ioloop_run_once(pair.loop, 0.001);
    assert_int_equal(handlers, 0);
    streampair_close(&pair);
}

/* An empty write is told of behind what was written before it, not before. */
static void completes_an_empty_write_in_its_turn(void **state)
{
    struct streampair pair;
    struct outcome written[2] = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    streampair_narrow(&pair);
    uint64_t length = streampair_fill(&pair);
    accepted(iostream_write(pair.stream, "", 0, outcome_end, &written[0]));
    accepted(iostream_writev(pair.stream, NULL, 0, outcome_end, &written[1]));
    streampair_spin(&pair, 3);
    assert_int_equal(written[0].calls + written[1].calls, 0);
    streampair_expect_pattern(&pair, 0, length);
    streampair_run(&pair, &written[1]);
    assert_ended(written[0], 0);
    assert_true(written[0].order < written[1].order);
    streampair_close(&pair);
}

enum { WRITES = 60 };

static void release_memory(void *data, void *arg)
{
    outcome_release(data, arg);
    free(data);
}

/* One write of each kind after the other, of sizes from nothing to more than a socket takes. */
static void write_somehow(struct streampair *pair, int i, uint64_t *place, struct outcome *written,
                          struct outcome *released, int file)
{
    static const size_t sizes[] = { 1, 0, 100, 5000, 3, 100000, 17, 4096, 4097 };
    size_t size = sizes[i % 9];
    char *bytes = malloc(size + 1);
    struct iovec vector[3] = { { bytes, size / 2 }, { bytes, 0 }, { bytes + size / 2, size - size / 2 } };

    streampair_pattern(bytes, *place, size);
    if (i % 4 == 0)
        accepted(iostream_write(pair->stream, bytes, size, outcome_end, written));
    else if (i % 4 == 1)
        accepted(iostream_writev(pair->stream, vector, 3, outcome_end, written));
    else if (i % 4 == 2)
        accepted(iostream_write_owned(pair->stream, bytes, size, release_memory, released, outcome_end, written));
    else
        accepted(iostream_sendfile(pair->stream, file, (int64_t)*place, size, outcome_end, written));
    *place += size;
    if (i % 4 != 2)
        free(bytes);
}

/* iostream_test:test_future_write */
static void tells_of_every_write_in_order(void **state)
{
    for (int narrow = 0; narrow < 2; narrow++) {
        struct streampair pair;
        struct outcome written[WRITES] = { 0 }, released[WRITES] = { 0 };
        uint64_t place = 0;
        int file = streampair_file(2 << 20);

        streampair_open(&pair, STREAMPAIR_UNIX, NULL);
        if (narrow)
            streampair_narrow(&pair);
        for (int i = 0; i < WRITES; i++)
            write_somehow(&pair, i, &place, &written[i], &released[i], file);
        streampair_expect_pattern(&pair, 0, place);
        streampair_run(&pair, &written[WRITES - 1]);
        for (int i = 0; i < WRITES; i++) {
            assert_ended(written[i], 0);
            assert_int_equal(released[i].calls, i % 4 == 2);
            assert_true(i == 0 || written[i - 1].order < written[i].order);
            assert_true(i % 4 != 2 || released[i].order < written[i].order);
        }
        assert_int_equal(iostream_pending(pair.stream), 0);
        streampair_close(&pair);
        close(file);
    }
}

static void counts_what_is_pending(void **state)
{
    struct streampair pair;
    char bytes[1000] = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    streampair_fill(&pair);
    uint64_t before = iostream_pending(pair.stream);
    accepted(iostream_write(pair.stream, bytes, 1000, NULL, NULL));
    assert_int_equal(iostream_pending(pair.stream), before + 1000);
    assert_true(iostream_writing(pair.stream));
    accepted(iostream_write_static(pair.stream, bytes, 500, NULL, NULL));
    assert_int_equal(iostream_pending(pair.stream), before + 1500);
    streampair_close(&pair);
}

static void copies_what_it_could_not_send(void **state)
{
    struct streampair pair;
    struct outcome written = { 0 };
    size_t size = 3 << 20;
    char *bytes = malloc(size);

    streampair_pattern(bytes, 0, size);
    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_write(pair.stream, bytes, size, outcome_end, &written));
    assert_true(iostream_pending(pair.stream) > 0);
    memset(bytes, 'x', size);
    free(bytes);
    streampair_expect_pattern(&pair, 0, size);
    streampair_run(&pair, &written);
    assert_ended(written, 0);
    streampair_close(&pair);
}

static void sends_more_parts_than_the_kernel_takes_at_once(void **state)
{
    enum { PARTS = 2000 };

    for (int full = 0; full < 2; full++) {
        struct streampair pair;
        struct outcome written = { 0 };
        static struct iovec vector[PARTS];
        static char bytes[PARTS * 7];
        uint64_t before = 0;

        streampair_open(&pair, STREAMPAIR_UNIX, NULL);
        if (full)
            before = streampair_fill(&pair);
        streampair_pattern(bytes, before, sizeof bytes);
        for (size_t i = 0; i < PARTS; i++)
            vector[i] = (struct iovec){ bytes + 7 * i, 7 };
        accepted(iostream_writev(pair.stream, vector, PARTS, outcome_end, &written));
        memset(bytes, 0, sizeof bytes);
        streampair_expect_pattern(&pair, 0, before + sizeof bytes);
        streampair_run(&pair, &written);
        assert_ended(written, 0);
        streampair_close(&pair);
    }
}

/* Whose memory. */

static void releases_owned_memory_once_whatever_happens(void **state)
{
    enum { SENT, WAITING, CLOSED, PEER_GONE, OUTCOMES };

    for (int outcome = SENT; outcome < OUTCOMES; outcome++) {
        struct streampair pair;
        struct outcome released = { 0 }, written = { 0 };
        char *memory = malloc(100);
        uint64_t before = 0;

        streampair_open(&pair, STREAMPAIR_UNIX, NULL);
        if (outcome != SENT)
            before = streampair_fill(&pair);
        streampair_pattern(memory, before, 100);
        accepted(iostream_write_owned(pair.stream, memory, 100, release_memory, &released, outcome_end, &written));
        assert_int_equal(released.calls, 0);
        if (outcome == WAITING || outcome == SENT)
            streampair_expect_pattern(&pair, 0, before + 100);
        else if (outcome == CLOSED)
            iostream_close(pair.stream);
        else
            streampair_hang_up(&pair);
        streampair_run(&pair, &written);
        assert_ended(released, 0);
        assert_true(released.order < written.order);
        assert_int_equal(written.calls, 1);
        assert_int_equal(written.error == 0, outcome <= WAITING);
        streampair_close(&pair);
    }
}

static void leaves_owned_memory_to_the_caller_on_an_error(void **state)
{
    struct streampair pair;
    struct outcome released = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    assert_int_equal(iostream_write_owned(pair.stream, "a", 1, NULL, NULL, NULL, NULL), -EINVAL);
    faults_allocation(1, true);
    assert_int_equal(iostream_write_owned(pair.stream, "a", 1, outcome_release, &released, NULL, NULL), -ENOMEM);
    faults_end();
    accepted(iostream_shutdown(pair.stream));
    assert_int_equal(iostream_write_owned(pair.stream, "a", 1, outcome_release, &released, NULL, NULL), -EPIPE);
    iostream_close(pair.stream);
    assert_int_equal(iostream_write_owned(pair.stream, "a", 1, outcome_release, &released, NULL, NULL), -EBADF);
    streampair_spin(&pair, 3);
    assert_int_equal(released.calls, 0);
    streampair_close(&pair);
}

static void does_not_copy_static_and_owned_memory(void **state)
{
    struct streampair pair;
    static char bytes[1 << 20];
    struct outcome released = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    streampair_fill(&pair);
    size_t before = faults_allocated_bytes();
    accepted(iostream_write_static(pair.stream, bytes, sizeof bytes, NULL, NULL));
    accepted(iostream_write_owned(pair.stream, bytes, sizeof bytes, outcome_release, &released, NULL, NULL));
    assert_in_range(faults_allocated_bytes() - before, 1, 1000);
    streampair_close(&pair);
    assert_int_equal(released.calls, 1);
}

/* Small pieces do not cost a block each. */
static void coalesces_small_writes_that_wait(void **state)
{
    struct streampair pair;

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    uint64_t place = streampair_fill(&pair);
    long before = faults_allocations();
    for (int i = 0; i < 40000; i++) {
        char byte;
        streampair_pattern(&byte, place + (uint64_t)i, 1);
        accepted(iostream_write(pair.stream, &byte, 1, NULL, NULL));
    }
    assert_in_range(faults_allocations() - before, 1, 20);
    faults_count_reset();
    streampair_expect_pattern(&pair, 0, place + 40000);
    assert_in_range(faults_count("send") + faults_count("sendmsg"), 1, 40);
    streampair_close(&pair);
}

/* Errors and limits. */

static void answers_an_error_and_changes_nothing(void **state)
{
    struct streampair pair;
    struct outcome written = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_shutdown(pair.stream));
    assert_int_equal(iostream_write(pair.stream, "a", 1, outcome_end, &written), -EPIPE);
    assert_int_equal(iostream_sendfile(pair.stream, 0, 0, 1, outcome_end, &written), -EPIPE);
    assert_false(iostream_closed(pair.stream));
    iostream_close(pair.stream);
    assert_int_equal(iostream_write(pair.stream, "a", 1, outcome_end, &written), -EBADF);
    assert_int_equal(iostream_writev(pair.stream, NULL, 0, outcome_end, &written), -EBADF);
    assert_int_equal(iostream_write_static(pair.stream, "a", 1, outcome_end, &written), -EBADF);
    assert_int_equal(iostream_sendfile(pair.stream, 0, 0, 1, outcome_end, &written), -EBADF);
    assert_int_equal(iostream_shutdown(pair.stream), -EBADF);
    assert_int_equal(iostream_set_drain_callback(pair.stream, 1, outcome_drain, &written), -EBADF);
    streampair_run(&pair, &pair.closed);
    assert_int_equal(written.calls, 0);
    streampair_close(&pair);
}

static void ends_writes_in_order_with_the_error(void **state)
{
    struct streampair pair;
    struct outcome written[3] = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    streampair_fill(&pair);
    accepted(iostream_write(pair.stream, "a", 1, outcome_end, &written[0]));
    accepted(iostream_write_static(pair.stream, "b", 1, outcome_end, &written[1]));
    accepted(iostream_write(pair.stream, "", 0, outcome_end, &written[2]));
    iostream_close(pair.stream);
    streampair_run(&pair, &pair.closed);
    for (int i = 0; i < 3; i++) {
        assert_ended(written[i], -ECANCELED);
        assert_int_equal(written[i].order, i + 1);
    }
    assert_ended(pair.closed, 0);
    streampair_close(&pair);
}

/* What is through when the stream closes is told as such. */
static void tells_success_of_what_was_sent_before_closing(void **state)
{
    struct streampair pair;
    struct outcome written = { 0 }, waiting = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_write(pair.stream, "a", 1, outcome_end, &written));
    streampair_fill(&pair);
    accepted(iostream_write(pair.stream, "b", 1, outcome_end, &waiting));
    iostream_close(pair.stream);
    streampair_run(&pair, &pair.closed);
    assert_ended(written, 0);
    assert_ended(waiting, -ECANCELED);
    assert_true(written.order < waiting.order);
    streampair_close(&pair);
}

static void closes_over_max_write_buffer_size(void **state)
{
    for (int over = 0; over < 2; over++) {
        struct streampair pair;
        struct outcome waiting = { 0 }, refused = { 0 };
        static char bytes[100000];

        testing_begin_logs();
        streampair_open(&pair, STREAMPAIR_UNIX, &(struct iostream_options){ .max_write_buffer_size = 100000 });
        streampair_fill(&pair);
        size_t room = 100000 - (size_t)iostream_pending(pair.stream);
        accepted(iostream_write(pair.stream, bytes, room - 1, outcome_end, &waiting));
        int result = iostream_write(pair.stream, bytes, 1 + (size_t)over, outcome_end, &refused);
        assert_int_equal(result, over ? -ENOBUFS : 0);
        assert_int_equal(iostream_closed(pair.stream), over);
        assert_int_equal(testing_logs("W "), over);
        if (over) {
            streampair_run(&pair, &pair.closed);
            assert_ended(waiting, -ENOBUFS);
            assert_ended(pair.closed, -ENOBUFS);
            assert_int_equal(refused.calls, 0);
        }
        streampair_close(&pair);
    }
}

/* It waits for what has gone over the limit, and is how one learns that it has been sent. */
static void takes_an_empty_write_however_much_is_pending(void **state)
{
    struct streampair pair;
    struct outcome written = { 0 };
    size_t size = 3 << 20;
    char *bytes = malloc(size);

    streampair_pattern(bytes, 0, size);
    streampair_open(&pair, STREAMPAIR_UNIX, &(struct iostream_options){ .max_write_buffer_size = 1000 });
    accepted(iostream_write(pair.stream, bytes, size, NULL, NULL));
    assert_true(iostream_pending(pair.stream) > 1000);
    accepted(iostream_write(pair.stream, NULL, 0, outcome_end, &written));
    accepted(iostream_write(pair.stream, NULL, 0, NULL, NULL));
    assert_int_equal(written.calls, 0);
    streampair_expect_pattern(&pair, 0, size);
    streampair_run(&pair, &written);
    assert_ended(written, 0);
    accepted(iostream_write(pair.stream, bytes, size, NULL, NULL));
    assert_int_equal(iostream_sendfile(pair.stream, 0, 0, 1, NULL, NULL), -ENOBUFS); /* that has to be remembered */
    free(bytes);
    streampair_run(&pair, &pair.closed);
    streampair_close(&pair);
}

/* The limit is for what piles up, not for one large answer. */
static void takes_a_write_of_any_size_when_nothing_is_pending(void **state)
{
    struct streampair pair;
    size_t size = 3 << 20;
    char *bytes = malloc(size);

    streampair_pattern(bytes, 0, size);
    streampair_open(&pair, STREAMPAIR_UNIX, &(struct iostream_options){ .max_write_buffer_size = 1000 });
    accepted(iostream_write(pair.stream, bytes, size, NULL, NULL));
    free(bytes);
    streampair_expect_pattern(&pair, 0, size);
    streampair_close(&pair);
}

/* Sizes that only a mistake can have, where something is pending. */
static void refuses_sizes_that_overflow(void **state)
{
    static const size_t sizes[] = { SIZE_MAX, SIZE_MAX - 4096, SIZE_MAX / 2 + 1 };

    for (size_t i = 0; i < 3; i++) {
        struct streampair pair;

        testing_begin_logs();
        streampair_open(&pair, STREAMPAIR_UNIX, NULL);
        streampair_fill(&pair);
        assert_int_equal(iostream_write_static(pair.stream, "", sizes[i], NULL, NULL), -ENOBUFS);
        streampair_run(&pair, &pair.closed);
        streampair_close(&pair);
    }
}

/* The default action of SIGPIPE would end the test. Of the errors that only say that the peer has gone, nothing is
 * logged. */
static void is_told_of_a_peer_that_has_gone(void **state)
{
    for (enum streampair_kind kind = STREAMPAIR_UNIX; kind <= STREAMPAIR_PIPE_OUT; kind++) {
        struct streampair pair;
        int error = 0;

        if (kind == STREAMPAIR_PIPE_IN)
            continue;
        signal(SIGPIPE, SIG_DFL);
        testing_begin_logs();
        streampair_open(&pair, kind, NULL);
        streampair_hang_up(&pair);
        while (error == 0)
            error = iostream_write(pair.stream, "abc", 3, NULL, NULL);
        assert_true(error == -EPIPE || error == -ECONNRESET);
        assert_true(iostream_closed(pair.stream));
        assert_int_equal(iostream_error(pair.stream), error);
        streampair_run(&pair, &pair.closed);
        assert_ended(pair.closed, error);
        assert_int_equal(testing_logs(NULL), 0);
        streampair_close(&pair);
    }
}

static void logs_other_errors_of_writing(void **state)
{
    struct streampair pair;

    testing_begin_logs();
    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    struct iovec vector[2] = { { "a", 1 }, { "b", 1 } };
    faults_system_call("sendmsg", ENOBUFS, 1);
    assert_int_equal(iostream_writev(pair.stream, vector, 2, NULL, NULL), -ENOBUFS);
    assert_int_equal(testing_logs("W write error"), 1);
    streampair_run(&pair, &pair.closed);
    streampair_close(&pair);
}

/* Interrupted calls are made again. */
static void survives_interruptions(void **state)
{
    static const char *const calls[] = { "send", "sendmsg", "recv" };

    for (int i = 0; i < 3; i++) {
        struct streampair pair;
        struct outcome echo = { 0 };
        struct iovec vector[2] = { { "ab", 2 }, { "c\n", 2 } };

        streampair_open(&pair, STREAMPAIR_TCP, NULL);
        accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &echo));
        faults_system_call(calls[i], EINTR, 1);
        accepted(iostream_write(pair.stream, "abc\n", 4, NULL, NULL));
        accepted(iostream_writev(pair.stream, vector, 2, NULL, NULL));
        streampair_expect(&pair, "abc\nabc\n");
        streampair_put(&pair, "abc\n");
        streampair_run(&pair, &echo);
        assert_outcome(echo, 0, "abc\n");
        streampair_close(&pair);
    }
}

/* High water. */

static void tells_when_what_was_pending_has_drained(void **state)
{
    struct streampair pair;
    struct outcome drained = { 0 };
    static char bytes[4096];
    uint64_t place = 0;

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    streampair_narrow(&pair);
    accepted(iostream_set_drain_callback(pair.stream, 100000, outcome_drain, &drained));
    for (int round = 1; round <= 3; round++) {
        uint64_t start = place;
        while (iostream_pending(pair.stream) <= 100000) {
            streampair_pattern(bytes, place, sizeof bytes);
            accepted(iostream_write(pair.stream, bytes, sizeof bytes, NULL, NULL));
            place += sizeof bytes;
        }
        streampair_spin(&pair, 5);
        while (iostream_pending(pair.stream) > 25000) {
            assert_int_equal(drained.calls, round - 1);
            streampair_expect_pattern(&pair, start, sizeof bytes);
            start += sizeof bytes;
        }
        streampair_spin(&pair, 2);
        assert_int_equal(drained.calls, round);
        streampair_expect_pattern(&pair, start, place - start);
        assert_int_equal(drained.calls, round);
    }
    streampair_close(&pair);
}

static void tells_of_no_drain_below_high_water(void **state)
{
    struct streampair pair;
    struct outcome drained = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    uint64_t length = streampair_fill(&pair);
    accepted(iostream_set_drain_callback(pair.stream, iostream_pending(pair.stream), outcome_drain, &drained));
    streampair_expect_pattern(&pair, 0, length);
    streampair_spin(&pair, 2);
    assert_int_equal(drained.calls, 0);
    length = streampair_fill(&pair);
    accepted(iostream_set_drain_callback(pair.stream, 1, outcome_drain, &drained));
    accepted(iostream_set_drain_callback(pair.stream, 1, NULL, NULL));
    streampair_expect_pattern(&pair, 0, length);
    streampair_spin(&pair, 2);
    assert_int_equal(drained.calls, 0);
    streampair_close(&pair);
}

static const struct CMUnitTest at_all_sizes[] = {
    cmocka_unit_test(completes_an_empty_write_and_does_not_spin),
    cmocka_unit_test(releases_owned_memory_once_whatever_happens),
    cmocka_unit_test(ends_writes_in_order_with_the_error),
    cmocka_unit_test(survives_interruptions),
};

static const struct CMUnitTest once[] = {
    cmocka_unit_test(sends_at_once_and_tells_later),
    cmocka_unit_test(sends_any_bytes_from_any_memory),
    cmocka_unit_test(completes_an_empty_write_in_its_turn),
    cmocka_unit_test(tells_of_every_write_in_order),
    cmocka_unit_test(counts_what_is_pending),
    cmocka_unit_test(copies_what_it_could_not_send),
    cmocka_unit_test(sends_more_parts_than_the_kernel_takes_at_once),
    cmocka_unit_test(leaves_owned_memory_to_the_caller_on_an_error),
    cmocka_unit_test(does_not_copy_static_and_owned_memory),
    cmocka_unit_test(coalesces_small_writes_that_wait),
    cmocka_unit_test(answers_an_error_and_changes_nothing),
    cmocka_unit_test(tells_success_of_what_was_sent_before_closing),
    cmocka_unit_test(closes_over_max_write_buffer_size),
    cmocka_unit_test(takes_an_empty_write_however_much_is_pending),
    cmocka_unit_test(takes_a_write_of_any_size_when_nothing_is_pending),
    cmocka_unit_test(refuses_sizes_that_overflow),
    cmocka_unit_test(is_told_of_a_peer_that_has_gone),
    cmocka_unit_test(logs_other_errors_of_writing),
    cmocka_unit_test(tells_when_what_was_pending_has_drained),
    cmocka_unit_test(tells_of_no_drain_below_high_water),
};

STREAMPAIR_MAIN(at_all_sizes, once)
