/* Streams that end one way only, and streams that nobody reads: what is told, and that the loop sleeps meanwhile. */
#include "ioloop/iostream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "tests/support/faults.h"
#include "tests/support/streampair.h"
#include "tests/support/testing.h"

static const struct iostream_options half_close = { .half_close = true };

static void end_of_peer(struct streampair *pair)
{
    assert_int_equal(shutdown(pair->peer, SHUT_WR), 0);
}

/* The own end first. */

static void reads_on_after_its_own_shutdown(void **state)
{
    for (int tcp = 0; tcp < 2; tcp++) {
        struct streampair pair;
        struct outcome line = { 0 }, rest = { 0 };

        streampair_open(&pair, tcp ? STREAMPAIR_TCP : STREAMPAIR_UNIX, NULL);
        accepted(iostream_write(pair.stream, "question\n", 9, NULL, NULL));
        accepted(iostream_shutdown(pair.stream));
        accepted(iostream_shutdown(pair.stream));
        accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &line));
        streampair_expect(&pair, "question\n");
        streampair_expect_end(&pair);
        streampair_put(&pair, "answer\nand more");
        streampair_run(&pair, &line);
        assert_outcome(line, 0, "answer\n");
        accepted(iostream_read_until_close(pair.stream, 0, outcome_read, &rest));
        streampair_hang_up(&pair);
        streampair_run(&pair, &pair.closed);
        assert_outcome(rest, 0, "and more");
        assert_ended(pair.closed, -ESHUTDOWN);
        streampair_close(&pair);
    }
}

static void shuts_down_when_all_is_sent(void **state)
{
    struct streampair pair;
    struct outcome written = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    streampair_narrow(&pair);
    uint64_t length = streampair_fill(&pair);
    accepted(iostream_write(pair.stream, "", 0, outcome_end, &written));
    accepted(iostream_shutdown(pair.stream));
    streampair_spin(&pair, 3);
    streampair_expect_pattern(&pair, 0, length);
    streampair_expect_end(&pair);
    streampair_run(&pair, &written);
    assert_ended(written, 0);
    assert_int_equal(pair.closed.calls, 0);
    streampair_close(&pair);
}

/* Closing is the only way that a pipe has to say it. */
static void closes_a_pipe_that_is_shut_down(void **state)
{
    struct streampair pair;
    struct outcome written = { 0 };

    streampair_open(&pair, STREAMPAIR_PIPE_OUT, NULL);
    uint64_t length = streampair_fill(&pair);
    accepted(iostream_write(pair.stream, "", 0, outcome_end, &written));
    accepted(iostream_shutdown(pair.stream));
    assert_false(iostream_closed(pair.stream));
    streampair_expect_pattern(&pair, 0, length);
    streampair_run(&pair, &pair.closed);
    streampair_expect_end(&pair);
    assert_ended(written, 0);
    assert_ended(pair.closed, 0);
    streampair_close(&pair);
}

/* The peer's end first. */

static void ends_the_whole_stream_unless_asked_otherwise(void **state)
{
    struct streampair pair;
    struct outcome written = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    streampair_fill(&pair);
    accepted(iostream_write(pair.stream, "a", 1, outcome_end, &written));
    end_of_peer(&pair);
    streampair_run(&pair, &pair.closed);
    assert_ended(written, -ESHUTDOWN);
    assert_ended(pair.closed, -ESHUTDOWN);
    streampair_close(&pair);
}

static void writes_on_after_the_peers_end(void **state)
{
    for (int tcp = 0; tcp < 2; tcp++) {
        struct streampair pair;
        struct outcome line = { 0 }, end = { 0 }, late = { 0 }, written = { 0 };

        streampair_open(&pair, tcp ? STREAMPAIR_TCP : STREAMPAIR_UNIX, &half_close);
        accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &line));
        streampair_put(&pair, "question\n");
        end_of_peer(&pair);
        streampair_run(&pair, &line);
        accepted(iostream_read_bytes(pair.stream, 1, outcome_read, &end));
        streampair_run(&pair, &end);
        assert_outcome(end, -ESHUTDOWN, "");
        assert_int_equal(iostream_read_bytes(pair.stream, 1, outcome_read, &late), -ESHUTDOWN);
        assert_int_equal(iostream_read_until_close(pair.stream, 0, outcome_read, &late), -ESHUTDOWN);
        streampair_spin(&pair, 5);
        assert_false(iostream_closed(pair.stream));
        assert_false(iostream_reading(pair.stream));
        accepted(iostream_write(pair.stream, "answer\n", 7, outcome_end, &written));
        streampair_expect(&pair, "answer\n");
        streampair_run(&pair, &written);
        assert_int_equal(pair.closed.calls, 0);
        accepted(iostream_shutdown(pair.stream));
        assert_true(iostream_closed(pair.stream)); /* both ways are at their end */
        streampair_expect_end(&pair);
        streampair_run(&pair, &pair.closed);
        assert_ended(pair.closed, -ESHUTDOWN);
        assert_int_equal(late.calls, 0);
        streampair_close(&pair);
    }
}

static void may_be_told_later_to_write_on(void **state)
{
    for (int seen = 0; seen < 2; seen++) { /* the peer's end, with the bytes before it unread */
        struct streampair pair;
        struct outcome line = { 0 }, end = { 0 };

        streampair_open(&pair, STREAMPAIR_TCP, NULL);
        accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &line));
        streampair_put(&pair, "one\ntwo");
        if (seen)
            end_of_peer(&pair);
        streampair_run(&pair, &line);
        streampair_spin(&pair, 5);
        accepted(iostream_set_half_close(pair.stream, true));
        if (!seen)
            end_of_peer(&pair);
        accepted(iostream_read_until_close(pair.stream, 0, outcome_read, &end));
        streampair_run(&pair, &end);
        assert_outcome(end, 0, "two");
        streampair_spin(&pair, 5);
        assert_false(iostream_closed(pair.stream));
        accepted(iostream_write(pair.stream, "answer", 6, NULL, NULL));
        streampair_expect(&pair, "answer");
        streampair_close(&pair);
    }
}

static void may_be_told_later_to_close_at_the_peers_end(void **state)
{
    for (int seen = 0; seen < 2; seen++) {
        struct streampair pair;
        struct outcome end = { 0 };

        streampair_open(&pair, STREAMPAIR_TCP, &half_close);
        accepted(iostream_read_until_close(pair.stream, 0, outcome_read, &end));
        if (!seen)
            accepted(iostream_set_half_close(pair.stream, false));
        end_of_peer(&pair);
        streampair_run(&pair, &end);
        if (seen) {
            streampair_spin(&pair, 5);
            assert_int_equal(pair.closed.calls, 0);
            accepted(iostream_set_half_close(pair.stream, false));
            assert_false(iostream_closed(pair.stream)); /* not inside the call */
        }
        streampair_run(&pair, &pair.closed);
        assert_ended(pair.closed, -ESHUTDOWN);
        streampair_close(&pair);
    }
}

/* The request, the end of it, and the answer, from inside one callback. */
static void answer_the_whole_request(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    outcome_read(stream, error, data, length, arg);
    accepted(iostream_write(stream, "answer", 6, NULL, NULL));
    accepted(iostream_shutdown(stream));
}

static void answers_a_peer_that_has_ended_from_inside_the_read(void **state)
{
    struct streampair pair;
    struct outcome request = { 0 };

    streampair_open(&pair, STREAMPAIR_TCP, &half_close);
    accepted(iostream_read_until_close(pair.stream, 0, answer_the_whole_request, &request));
    streampair_put(&pair, "question");
    end_of_peer(&pair);
    streampair_expect(&pair, "answer");
    streampair_expect_end(&pair);
    streampair_run(&pair, &pair.closed);
    assert_outcome(request, 0, "question");
    assert_ended(pair.closed, -ESHUTDOWN);
    streampair_close(&pair);
}

static void sends_much_after_the_peers_end(void **state)
{
    struct streampair pair;
    struct outcome end = { 0 }, written = { 0 };
    static char bytes[1000000];

    streampair_pattern(bytes, 0, sizeof bytes);
    streampair_open(&pair, STREAMPAIR_TCP, &half_close);
    accepted(iostream_read_until_close(pair.stream, 0, outcome_read, &end));
    end_of_peer(&pair);
    streampair_run(&pair, &end);
    accepted(iostream_write(pair.stream, bytes, sizeof bytes, outcome_end, &written));
    accepted(iostream_shutdown(pair.stream));
    streampair_expect_pattern(&pair, 0, sizeof bytes);
    streampair_expect_end(&pair);
    streampair_run(&pair, &pair.closed);
    assert_ended(written, 0);
    streampair_close(&pair);
}

static void keeps_unread_bytes_of_a_peer_that_has_ended(void **state)
{
    struct streampair pair;
    struct outcome lines[2] = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, &half_close);
    accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &lines[0]));
    streampair_put(&pair, "one\ntwo\n");
    end_of_peer(&pair);
    streampair_run(&pair, &lines[0]);
    streampair_spin(&pair, 10);
    accepted(iostream_shutdown(pair.stream));
    streampair_spin(&pair, 10);
    assert_int_equal(pair.closed.calls, 0);
    accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &lines[1]));
    streampair_run(&pair, &pair.closed);
    assert_outcome(lines[1], 0, "two\n");
    streampair_close(&pair);
}

#ifdef __linux__ /* kqueue tells only those who wait for something */
static void notices_that_a_peer_which_has_ended_is_gone(void **state)
{
    struct streampair pair;
    struct outcome end = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, &half_close);
    accepted(iostream_read_until_close(pair.stream, 0, outcome_read, &end));
    end_of_peer(&pair);
    streampair_run(&pair, &end);
    streampair_spin(&pair, 5);
    assert_int_equal(pair.closed.calls, 0);
    streampair_hang_up(&pair);
    streampair_run(&pair, &pair.closed);
    assert_ended(pair.closed, -ESHUTDOWN);
    streampair_close(&pair);
}
#endif

/* Nobody reads. */

static void no_more(struct streampair *pair)
{
}

static void stop_reading(struct streampair *pair)
{
    static struct outcome line;

    line = (struct outcome){ 0 };
    accepted(iostream_read_until(pair->stream, "\n", 0, outcome_read, &line));
    streampair_put(pair, "line\nunread");
    streampair_run(pair, &line);
}

static void cork_something(struct streampair *pair)
{
    iostream_cork(pair->stream);
    accepted(iostream_write(pair->stream, "a", 1, NULL, NULL));
}

static void see_the_peers_end(struct streampair *pair)
{
    static struct outcome end;

    end = (struct outcome){ 0 };
    accepted(iostream_read_until_close(pair->stream, 0, outcome_read, &end));
    assert_int_equal(shutdown(pair->peer, SHUT_WR), 0);
    streampair_run(pair, &end);
}

static void shut_down(struct streampair *pair)
{
    accepted(iostream_shutdown(pair->stream));
}

static const struct idleness {
    const char *name;
    enum streampair_kind first, last; /* which it is for */
    void (*prepare)(struct streampair *pair);
} idlenesses[] = {
    { "untouched", STREAMPAIR_UNIX, STREAMPAIR_TERMINAL, no_more },
    { "with unread bytes", STREAMPAIR_UNIX, STREAMPAIR_PIPE_IN, stop_reading },
    { "with unread bytes of a terminal", STREAMPAIR_TERMINAL, STREAMPAIR_TERMINAL, stop_reading },
    { "corked", STREAMPAIR_UNIX, STREAMPAIR_TCP, cork_something },
    { "after the peer's end", STREAMPAIR_UNIX, STREAMPAIR_TCP, see_the_peers_end },
    { "shut down", STREAMPAIR_UNIX, STREAMPAIR_TCP, shut_down },
};

static void count_turns(struct streampair *pair, const char *what, int most)
{
    int handlers = 0;

    for (int i = 0; i < 20; i++)
        handlers += ioloop_run_once(pair->loop, 0.001);
    if (handlers > most)
        print_error("%s:\n", what);
    assert_in_range(handlers, 0, most);
}

/* A stream without a close callback stays, whatever its peer does, and costs nothing meanwhile. */
static void sleeps_while_nobody_reads(const struct idleness *idle, enum streampair_kind kind, bool reset, bool send)
{
    struct streampair pair;

    streampair_open_unwatched(&pair, kind, &half_close);
    idle->prepare(&pair);
    count_turns(&pair, idle->name, 2);
    if (send && idle->prepare != see_the_peers_end) {
        streampair_put(&pair, "more");
        count_turns(&pair, idle->name, 2);
    }
    if (reset)
        streampair_reset(&pair);
    else
        streampair_hang_up(&pair);
    count_turns(&pair, idle->name, 2);
    assert_false(iostream_closed(pair.stream));
    streampair_close(&pair);
}

static void sleeps_whatever_the_peer_does(void **state)
{
    for (size_t i = 0; i < sizeof idlenesses / sizeof *idlenesses; i++) {
        for (enum streampair_kind kind = idlenesses[i].first; kind <= idlenesses[i].last; kind++) {
            sleeps_while_nobody_reads(&idlenesses[i], kind, false, false);
            if (kind != STREAMPAIR_PIPE_OUT)
                sleeps_while_nobody_reads(&idlenesses[i], kind, false, true);
            if (kind == STREAMPAIR_TCP)
                sleeps_while_nobody_reads(&idlenesses[i], kind, true, true);
        }
    }
}

/* With a close callback it sleeps too while there are unread bytes: the peer's end comes behind them. */
static void sleeps_over_unread_bytes(void **state)
{
    for (enum streampair_kind kind = STREAMPAIR_UNIX; kind <= STREAMPAIR_PIPE_IN; kind++) {
        for (int reset = 0; reset <= (kind == STREAMPAIR_TCP); reset++) {
            struct streampair pair;
            struct outcome rest = { 0 };

            streampair_open(&pair, kind, NULL);
            stop_reading(&pair);
            count_turns(&pair, "watched", 2);
            if (reset)
                streampair_reset(&pair);
            else
                streampair_hang_up(&pair);
            count_turns(&pair, "watched, and the peer gone", 2);
            assert_int_equal(pair.closed.calls, 0);
            accepted(iostream_read_bytes(pair.stream, 6, outcome_read, &rest));
            streampair_run(&pair, &pair.closed);
            assert_outcome(rest, 0, "unread");
            assert_ended(pair.closed, reset ? -ECONNRESET : -ESHUTDOWN);
            streampair_close(&pair);
        }
    }
}

/* Whoever stopped reading and begins again finds what came meanwhile. */
static size_t take_and_stop(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    outcome_read(stream, error, data, length, arg);
    accepted(iostream_set_consumer(stream, NULL, NULL));
    return length;
}

static void reads_on_after_a_pause(void **state)
{
    for (enum streampair_kind kind = STREAMPAIR_UNIX; kind <= STREAMPAIR_PIPE_IN; kind++) {
        struct streampair pair;
        struct outcome first = { 0 }, second = { 0 };

        streampair_open_unwatched(&pair, kind, NULL);
        accepted(iostream_set_consumer(pair.stream, take_and_stop, &first));
        streampair_put(&pair, "one");
        streampair_run(&pair, &first);
        streampair_put(&pair, "two");
        streampair_spin(&pair, 5);
        streampair_hang_up(&pair);
        count_turns(&pair, "paused", 2);
        assert_outcome(first, 0, "one");
        iostream_set_close_callback(pair.stream, outcome_end, &pair.closed);
        accepted(iostream_set_consumer(pair.stream, take_and_stop, &second));
        streampair_run(&pair, &pair.closed);
        assert_string_equal(second.data, "two");
        assert_ended(pair.closed, -ESHUTDOWN);
        streampair_close(&pair);
    }
}

static const struct CMUnitTest at_all_sizes[] = {
    cmocka_unit_test(reads_on_after_its_own_shutdown),
    cmocka_unit_test(ends_the_whole_stream_unless_asked_otherwise),
    cmocka_unit_test(writes_on_after_the_peers_end),
    cmocka_unit_test(may_be_told_later_to_write_on),
    cmocka_unit_test(may_be_told_later_to_close_at_the_peers_end),
    cmocka_unit_test(answers_a_peer_that_has_ended_from_inside_the_read),
#ifdef __linux__
    cmocka_unit_test(notices_that_a_peer_which_has_ended_is_gone),
#endif
};

static const struct CMUnitTest once[] = {
    cmocka_unit_test(shuts_down_when_all_is_sent),    cmocka_unit_test(closes_a_pipe_that_is_shut_down),
    cmocka_unit_test(sends_much_after_the_peers_end), cmocka_unit_test(keeps_unread_bytes_of_a_peer_that_has_ended),
    cmocka_unit_test(sleeps_whatever_the_peer_does),  cmocka_unit_test(sleeps_over_unread_bytes),
    cmocka_unit_test(reads_on_after_a_pause),
};

STREAMPAIR_MAIN(at_all_sizes, once)
