/* Pipes and terminals: the same reads and writes as sockets have. */
#include "ioloop/iostream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "tests/support/faults.h"
#include "tests/support/streampair.h"
#include "tests/support/testing.h"

/* iostream_test:test_pipe_iostream */
static void reads_from_a_pipe_what_a_stream_writes_to_it(void **state)
{
    struct streampair pair;
    struct outcome parts[4] = { 0 };

    streampair_open(&pair, STREAMPAIR_PIPE_IN, NULL);
    streampair_open_other(&pair, NULL);
    accepted(iostream_write(pair.other, "hel", 3, NULL, NULL));
    accepted(iostream_write(pair.other, "lo world\nmore", 13, NULL, NULL));
    accepted(iostream_read_until(pair.stream, " ", 0, outcome_read, &parts[0]));
    streampair_run(&pair, &parts[0]);
    assert_outcome(parts[0], 0, "hello ");
    accepted(iostream_read_bytes(pair.stream, 3, outcome_read, &parts[1]));
    streampair_run(&pair, &parts[1]);
    assert_outcome(parts[1], 0, "wor");
    accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &parts[2]));
    streampair_run(&pair, &parts[2]);
    assert_outcome(parts[2], 0, "ld\n");
    accepted(iostream_read_until_close(pair.stream, 0, outcome_read, &parts[3]));
    accepted(iostream_shutdown(pair.other)); /* which closes a pipe, once all is sent */
    streampair_run(&pair, &pair.closed);
    assert_outcome(parts[3], 0, "more");
    assert_ended(pair.closed, -ESHUTDOWN);
    streampair_close(&pair);
}

/* iostream_test:test_pipe_iostream_big_write */
static void writes_more_than_a_pipe_holds(void **state)
{
    struct streampair pair;
    struct outcome all = { .in_pattern = true }, written = { 0 };
    size_t size = 1 << 20;
    char *bytes = malloc(size);

    streampair_pattern(bytes, 0, size);
    streampair_open(&pair, STREAMPAIR_PIPE_IN, NULL);
    streampair_open_other(&pair, NULL);
    accepted(iostream_write(pair.other, bytes, size, outcome_end, &written));
    streampair_spin(&pair, 5);
    assert_true(iostream_pending(pair.other) > 0);
    assert_int_equal(written.calls, 0);
    accepted(iostream_read_bytes(pair.stream, size, outcome_read, &all));
    streampair_run(&pair, &all);
    assert_ended(all, 0);
    assert_int_equal(all.length, size);
    streampair_run(&pair, &written);
    assert_ended(written, 0);
    free(bytes);
    streampair_close(&pair);
}

static void notices_that_nobody_reads_a_pipe_any_more(void **state)
{
    for (int waiting = 0; waiting < 2; waiting++) {
        struct streampair pair;
        struct outcome written = { 0 };

        streampair_open(&pair, STREAMPAIR_PIPE_OUT, NULL);
        if (waiting) {
            streampair_fill(&pair);
            accepted(iostream_write(pair.stream, "a", 1, outcome_end, &written));
        }
        streampair_spin(&pair, 2);
        streampair_hang_up(&pair);
        streampair_run(&pair, &pair.closed);
        assert_ended(pair.closed, -EPIPE);
        assert_int_equal(written.calls, waiting);
        streampair_close(&pair);
    }
}

/* Corked bytes, vectors and owned memory go through writev and write; the signal that these raise is held back. */
static void ends_writing_to_a_pipe_without_a_signal(void **state)
{
    struct streampair pair;
    struct iovec vector[2] = { { "a", 1 }, { "b", 1 } };

    streampair_open(&pair, STREAMPAIR_PIPE_OUT, NULL);
    streampair_hang_up(&pair);
    assert_int_equal(iostream_writev(pair.stream, vector, 2, NULL, NULL), -EPIPE);
    streampair_run(&pair, &pair.closed);
    streampair_close(&pair);
}

static void reads_and_writes_a_terminal(void **state)
{
    struct streampair pair;
    struct outcome line = { 0 }, written = { 0 };

    streampair_open(&pair, STREAMPAIR_TERMINAL, NULL);
    accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &line));
    streampair_put(&pair, "login\n");
    streampair_run(&pair, &line);
    assert_outcome(line, 0, "login\n");
    accepted(iostream_write(pair.stream, "password: ", 10, outcome_end, &written));
    streampair_expect(&pair, "password: ");
    streampair_run(&pair, &written);
    assert_ended(written, 0);
    streampair_close(&pair);
}

/* Linux calls the end of a terminal EIO. */
static void ends_with_the_terminal(void **state)
{
    struct streampair pair;
    struct outcome read = { 0 };

    testing_begin_logs();
    streampair_open(&pair, STREAMPAIR_TERMINAL, NULL);
    accepted(iostream_read_bytes(pair.stream, 10, outcome_read, &read));
    streampair_put(&pair, "abc");
    streampair_spin(&pair, 10);
    streampair_hang_up(&pair);
    streampair_run(&pair, &pair.closed);
    assert_int_equal(read.calls, 1);
    assert_true(read.error == -EIO || read.error == -ESHUTDOWN);
    assert_ended(pair.closed, read.error);
    streampair_close(&pair);
}

static void takes_a_socket_for_a_pipe(void **state)
{
    struct streampair pair;
    struct outcome line = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    streampair_open_other(&pair, NULL);
    accepted(iostream_write(pair.other, "abc\n", 4, NULL, NULL));
    accepted(iostream_shutdown(pair.other));
    accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &line));
    streampair_run(&pair, &line);
    assert_outcome(line, 0, "abc\n");
    streampair_run(&pair, &pair.closed);
    assert_ended(pair.closed, -ESHUTDOWN);
    streampair_close(&pair);
}

static const struct CMUnitTest at_all_sizes[] = {
    cmocka_unit_test(reads_from_a_pipe_what_a_stream_writes_to_it),
    cmocka_unit_test(notices_that_nobody_reads_a_pipe_any_more),
    cmocka_unit_test(reads_and_writes_a_terminal),
    cmocka_unit_test(takes_a_socket_for_a_pipe),
};

static const struct CMUnitTest once[] = {
    cmocka_unit_test(writes_more_than_a_pipe_holds),
    cmocka_unit_test(ends_writing_to_a_pipe_without_a_signal),
    cmocka_unit_test(ends_with_the_terminal),
};

STREAMPAIR_MAIN(at_all_sizes, once)
