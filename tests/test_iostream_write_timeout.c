/* iostream_set_write_timeout: a peer that takes nothing. Over Unix sockets, since of TCP the kernel takes some more a
 * moment later. */
#include "ioloop/iostream.h"

#include <errno.h>
#include <unistd.h>

#include "tests/support/streampair.h"
#include "tests/support/testing.h"

#define TIMEOUT 10
#define EARLY   9.99
#define COARSE  0.15

/* A stream whose peer has stopped reading a moment ago, with much that waits. */
static void open_full(struct streampair *pair)
{
    static char bytes[65536];

    streampair_open(pair, STREAMPAIR_UNIX, NULL);
    streampair_narrow(pair);
    accepted(iostream_set_write_timeout(pair->stream, TIMEOUT));
    assert_true(streampair_fill(pair) > 0);
    accepted(iostream_write_static(pair->stream, bytes, sizeof bytes, NULL, NULL));
}

static void pass(struct streampair *pair, double seconds)
{
    pair->now += seconds;
    streampair_spin(pair, 3);
}

static void assert_ends_in_time(struct streampair *pair)
{
    pass(pair, EARLY);
    assert_int_equal(pair->closed.calls, 0);
    pass(pair, COARSE);
    assert_ended(pair->closed, -ETIMEDOUT);
}

static void ends_when_the_peer_takes_nothing(void **state)
{
    struct streampair pair;
    struct outcome written = { 0 };

    open_full(&pair);
    accepted(iostream_write(pair.stream, "abc", 3, outcome_end, &written));
    assert_ends_in_time(&pair);
    assert_ended(written, -ETIMEDOUT);
    streampair_close(&pair);
}

static void begins_again_with_what_is_taken(void **state)
{
    struct streampair pair;
    char bytes[4096];

    open_full(&pair);
    for (int i = 0; i < 5; i++) {
        pass(&pair, 0.99 * TIMEOUT);
        uint64_t before = iostream_pending(pair.stream);
        while (iostream_pending(pair.stream) == before) { /* until there is room for another piece */
            assert_true(streampair_take(&pair, bytes, sizeof bytes) >= 0);
            streampair_spin(&pair, 1);
        }
    }
    assert_int_equal(pair.closed.calls, 0);
    assert_ends_in_time(&pair);
    streampair_close(&pair);
}

static void does_not_begin_again_with_what_is_written(void **state)
{
    struct streampair pair;

    open_full(&pair);
    pass(&pair, EARLY);
    accepted(iostream_write(pair.stream, "abc", 3, NULL, NULL));
    pass(&pair, COARSE);
    assert_ended(pair.closed, -ETIMEDOUT);
    streampair_close(&pair);
}

static void counts_from_the_first_byte_that_waits(void **state)
{
    struct streampair pair;

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    streampair_narrow(&pair);
    accepted(iostream_set_write_timeout(pair.stream, TIMEOUT));
    for (int i = 0; i < 9; i++)
        pass(&pair, 0.9 * TIMEOUT);
    assert_true(streampair_fill(&pair) > 0);
    assert_ends_in_time(&pair);
    streampair_close(&pair);
}

static void counts_from_the_first_byte_of_a_buffer_that_waits(void **state)
{
    static char bytes[1 << 20];
    struct streampair pair;

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    streampair_narrow(&pair);
    accepted(iostream_set_write_timeout(pair.stream, TIMEOUT));
    pass(&pair, 0.9 * TIMEOUT);
    accepted(iostream_write_static(pair.stream, bytes, sizeof bytes, NULL, NULL));
    streampair_spin(&pair, 20);
    assert_true(iostream_pending(pair.stream) > 0);
    assert_ends_in_time(&pair);
    streampair_close(&pair);
}

/* The kernel says that it has room when much is free, and takes a byte before. */
static void looks_once_more_before_the_end(void **state)
{
    struct streampair pair;
    char byte;

    open_full(&pair);
    pair.now += TIMEOUT + 1;
    for (int i = 0; i < 1024; i++) /* the first packet */
        assert_int_equal(streampair_take(&pair, &byte, 1), 1);
    streampair_spin(&pair, 3);
    assert_int_equal(pair.closed.calls, 0);
    streampair_close(&pair);
}

static void a_cork_is_not_the_peers_fault(void **state)
{
    struct streampair pair;

    open_full(&pair);
    iostream_cork(pair.stream);
    for (int i = 0; i < 5; i++)
        pass(&pair, 0.9 * TIMEOUT);
    assert_int_equal(pair.closed.calls, 0);
    iostream_uncork(pair.stream);
    assert_ends_in_time(&pair);
    streampair_close(&pair);
}

static int wait_for_ever(void *context, int fd)
{
    return -EAGAIN;
}

static ssize_t read_nothing(void *context, int fd, void *buffer, size_t size)
{
    return -EAGAIN;
}

static ssize_t write_nothing(void *context, int fd, const struct iovec *vector, int count)
{
    return -EAGAIN;
}

/* For that there are deadlines of those who connect. */
static void a_handshake_is_not_waited_for_here(void **state)
{
    static const struct iostream_transport transport = { .handshake = wait_for_ever,
                                                         .read = read_nothing,
                                                         .write = write_nothing };
    struct streampair pair;

    streampair_open(&pair, STREAMPAIR_UNIX, &(struct iostream_options){ .transport = &transport });
    accepted(iostream_set_write_timeout(pair.stream, TIMEOUT));
    accepted(iostream_write(pair.stream, "abc", 3, NULL, NULL));
    for (int i = 0; i < 5; i++)
        pass(&pair, 0.9 * TIMEOUT);
    assert_int_equal(pair.closed.calls, 0);
    streampair_close(&pair);
}

/* What the kernel holds is not kept for a peer that does not read. */
static void ends_by_a_reset(void **state)
{
    struct streampair pair;
    char bytes[4096];
    ssize_t count;

    streampair_open(&pair, STREAMPAIR_TCP, NULL);
    streampair_narrow(&pair);
    accepted(iostream_set_write_timeout(pair.stream, TIMEOUT));
    while (pair.closed.calls == 0) { /* of TCP the kernel takes some more a moment later, perhaps all */
        streampair_fill(&pair);
        pass(&pair, 1.1 * TIMEOUT);
    }
    assert_ended(pair.closed, -ETIMEDOUT);
    while ((count = read(pair.peer, bytes, sizeof bytes)) > 0)
        continue;
    assert_int_equal(count, -1);
    assert_int_equal(errno, ECONNRESET);
    streampair_close(&pair);
}

static void can_be_taken_back(void **state)
{
    struct streampair pair;

    open_full(&pair);
    accepted(iostream_set_write_timeout(pair.stream, 0));
    pass(&pair, 100 * TIMEOUT);
    assert_int_equal(pair.closed.calls, 0);
    accepted(iostream_set_write_timeout(pair.stream, TIMEOUT));
    assert_ends_in_time(&pair);
    streampair_close(&pair);
}

static const struct CMUnitTest at_all_sizes[] = {
    cmocka_unit_test(a_handshake_is_not_waited_for_here),
};

static const struct CMUnitTest once[] = {
    cmocka_unit_test(ends_when_the_peer_takes_nothing),
    cmocka_unit_test(begins_again_with_what_is_taken),
    cmocka_unit_test(does_not_begin_again_with_what_is_written),
    cmocka_unit_test(counts_from_the_first_byte_that_waits),
    cmocka_unit_test(counts_from_the_first_byte_of_a_buffer_that_waits),
    cmocka_unit_test(a_cork_is_not_the_peers_fault),
    cmocka_unit_test(looks_once_more_before_the_end),
    cmocka_unit_test(ends_by_a_reset),
    cmocka_unit_test(can_be_taken_back),
};

STREAMPAIR_MAIN(at_all_sizes, once)
