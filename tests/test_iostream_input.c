/* What holds for every read: when it is told, cancelling, timeouts. test_iostream_consumer.c has what is behind all of
 * them, test_iostream_flow.c the limits. */
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

static void close_in_piece(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    outcome_piece(stream, error, data, length, arg);
    iostream_close(stream);
}

static void does_not_stream_a_byte_again_after_closing(void **state)
{
    struct streampair pair;
    struct outcome pieces = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    streampair_put(&pair, "xabcd");
    streampair_read(&pair, "x");
    accepted(iostream_read_bytes_streaming(pair.stream, 10, close_in_piece, &pieces));
    streampair_run(&pair, &pair.closed);
    assert_outcome(pieces, -ECANCELED, "abcd");
    assert_int_equal(pieces.pieces, 1);
    streampair_close(&pair);
}

/* Callbacks never run inside the call. */

static bool is_inside;

static void check_inside(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    assert_false(is_inside);
    outcome_read(stream, error, data, length, arg);
}

static void check_inside_end(struct iostream *stream, int error, void *arg)
{
    check_inside(stream, error, NULL, 0, arg);
}

static void check_inside_release(void *data, void *arg)
{
    check_inside(NULL, 0, NULL, 0, arg);
}

struct insider {
    struct outcome first, line, written, empty, owned, released, closed;
};

/* All that could be told at once: the read is served from what is unread, the writes go through. */
static void ask_for_everything(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct insider *insider = arg;

    check_inside(stream, error, data, length, &insider->first);
    is_inside = true;
    accepted(iostream_read_until(stream, "\n", 0, check_inside, &insider->line));
    accepted(iostream_write(stream, "a", 1, check_inside_end, &insider->written));
    accepted(iostream_write(stream, "", 0, check_inside_end, &insider->empty));
    accepted(iostream_write_owned(stream, (char[]){ "b" }, 1, check_inside_release, &insider->released,
                                  check_inside_end, &insider->owned));
    iostream_set_close_callback(stream, check_inside_end, &insider->closed);
    iostream_close(stream);
    is_inside = false;
}

static void calls_back_from_the_loop_only(void **state)
{
    struct streampair pair;
    struct insider insider = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_bytes(pair.stream, 1, ask_for_everything, &insider));
    streampair_put(&pair, "xline\n");
    streampair_run(&pair, &insider.closed);
    pair.closed.done = true;
    assert_ended(insider.line, -ECANCELED);
    assert_int_equal(insider.written.calls, 1);
    assert_int_equal(insider.empty.calls, 1);
    assert_int_equal(insider.owned.calls, 1);
    assert_int_equal(insider.released.calls, 1);
    assert_true(insider.line.order < insider.closed.order);
    assert_true(insider.owned.order < insider.closed.order);
    streampair_close(&pair);
}

/* A read that is served from what is unread begins the next one, many times over: on no more than one stack frame. */
struct repeater {
    struct outcome all;
    char *deepest;
    size_t depth;
};

static void read_again(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct repeater *repeater = arg;
    char *here = __builtin_frame_address(0); /* a variable's may be of a stack that a sanitizer has made up */

    outcome_read(stream, error, data, length, &repeater->all);
    repeater->all.done = repeater->all.calls == 10000;
    if (repeater->deepest == NULL)
        repeater->deepest = here;
    size_t depth = (size_t)llabs((intptr_t)(uintptr_t)here - (intptr_t)(uintptr_t)repeater->deepest);
    repeater->depth = depth > repeater->depth ? depth : repeater->depth;
    if (!repeater->all.done)
        accepted(iostream_read_bytes(stream, 1, read_again, arg));
}

/* iostream_test:test_small_reads_from_large_buffer */
static void reads_again_and_again_in_no_more_stack_and_memory(void **state)
{
    struct streampair pair;
    struct repeater repeater = { 0 };
    char bytes[10000];

    memset(bytes, 'a', sizeof bytes);
    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_bytes(pair.stream, 1, read_again, &repeater));
    streampair_put_bytes(&pair, bytes, sizeof bytes);
    long before = faults_allocations();
    faults_count_reset();
    streampair_run(&pair, &repeater.all);
    assert_int_equal(repeater.all.length, 10000);
    assert_in_range(repeater.depth, 0, 1000);
    assert_in_range(faults_allocations() - before, 0, 3);
    assert_in_range(faults_count("recv"), 1, 2);
    streampair_close(&pair);
}

/* iostream_test:test_small_read_untils_from_large_buffer */
static void reads_many_lines_from_one_packet_with_few_receives(void **state)
{
    struct streampair pair;
    char line[] = "a line of 20 bytes \n", *bytes = malloc(20 * 500);

    for (int i = 0; i < 500; i++)
        memcpy(bytes + 20 * i, line, 20);
    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    streampair_put_bytes(&pair, bytes, 20 * 500);
    faults_count_reset();
    for (int i = 0; i < 500; i++) {
        struct outcome part = { 0 };
        accepted(iostream_read_until(pair.stream, "\n", 4096, outcome_read, &part));
        streampair_run(&pair, &part);
        assert_outcome(part, 0, "a line of 20 bytes \n");
        assert_in_range(faults_allocated_bytes(), 0, 600000);
    }
    assert_in_range(faults_count("recv"), 1, 5);
    free(bytes);
    streampair_close(&pair);
}

/* Cancelling. */

static void cancels_a_read_and_keeps_its_bytes(void **state)
{
    struct streampair pair;
    struct outcome cancelled = { 0 }, part = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    iostream_cancel_read(pair.stream);
    accepted(iostream_read_bytes(pair.stream, 10, outcome_read, &cancelled));
    streampair_put(&pair, "abc");
    streampair_spin(&pair, 10);
    iostream_cancel_read(pair.stream);
    iostream_cancel_read(pair.stream);
    assert_int_equal(cancelled.calls, 0);
    assert_int_equal(iostream_read_bytes(pair.stream, 3, outcome_read, &part), -EALREADY);
    streampair_spin(&pair, 1);
    assert_outcome(cancelled, -ECANCELED, "");
    streampair_read(&pair, "abc");
    assert_int_equal(pair.closed.calls, 0);
    streampair_close(&pair);
}

static void cancels_a_read_into_memory_and_keeps_its_bytes(void **state)
{
    struct streampair pair;
    struct outcome cancelled = { 0 };
    char memory[10];

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    streampair_put(&pair, "\nab");
    streampair_read(&pair, "\n");
    accepted(iostream_read_into(pair.stream, memory, 10, outcome_read, &cancelled));
    streampair_spin(&pair, 10);
    streampair_put(&pair, "cd");
    streampair_spin(&pair, 10);
    iostream_cancel_read(pair.stream);
    memset(memory, 'x', sizeof memory);
    streampair_run(&pair, &cancelled);
    assert_outcome(cancelled, -ECANCELED, "");
    streampair_read(&pair, "abcd");
    streampair_close(&pair);
}

/* Cancelled while the event that would have filled the memory is already on its way. */
static void cancel_the_other(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct streampair *pair = arg;

    outcome_read(stream, error, data, length, &pair->other_closed);
    iostream_cancel_read(pair->stream);
}

static void does_not_touch_memory_of_a_cancelled_read(void **state)
{
    struct streampair pair;
    struct outcome cancelled = { 0 };
    char memory[5] = "....";
    int fds[2];

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    testing_socketpair(fds);
    struct iostream *first = iostream_new(pair.loop, fds[0], NULL);
    accepted(iostream_read_bytes(first, 1, cancel_the_other, &pair));
    accepted(iostream_read_into(pair.stream, memory, 4, outcome_read, &cancelled));
    streampair_spin(&pair, 1);
    assert_int_equal(send(fds[1], "a", 1, 0), 1);
    streampair_put(&pair, "abcd");
    streampair_run(&pair, &cancelled);
    assert_outcome(cancelled, -ECANCELED, "");
    assert_string_equal(memory, "....");
    streampair_read(&pair, "abcd");
    iostream_close(first);
    close(fds[1]);
    streampair_close(&pair);
}

static struct outcome nothing_read;

/* Asking the kernel for no bytes would look like the end of file. */
static void ask_the_other_for_nothing(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct streampair *pair = arg;
    static char memory[1];

    outcome_read(stream, error, data, length, &pair->other_closed);
    accepted(iostream_read_into(pair->stream, memory, 0, outcome_read, &nothing_read));
}

static void reads_nothing_while_something_comes(void **state)
{
    struct streampair pair;
    int fds[2];

    nothing_read = (struct outcome){ 0 };
    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    testing_socketpair(fds);
    struct iostream *first = iostream_new(pair.loop, fds[0], NULL);
    accepted(iostream_read_bytes(first, 1, ask_the_other_for_nothing, &pair));
    streampair_spin(&pair, 1);
    assert_int_equal(send(fds[1], "a", 1, 0), 1);
    streampair_put(&pair, "abcd");
    streampair_run(&pair, &nothing_read);
    assert_outcome(nothing_read, 0, "");
    streampair_read(&pair, "abcd");
    iostream_close(first);
    close(fds[1]);
    streampair_close(&pair);
}

static void cancel_in_piece(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    outcome_piece(stream, error, data, length, arg);
    if (length > 0)
        iostream_cancel_read(stream);
}

static void cancels_a_streaming_read_from_inside(void **state)
{
    struct streampair pair;
    struct outcome cancelled = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_until_close_streaming(pair.stream, cancel_in_piece, &cancelled));
    streampair_put(&pair, "a");
    streampair_run(&pair, &cancelled);
    assert_outcome(cancelled, -ECANCELED, "a");
    streampair_put(&pair, "b");
    streampair_read(&pair, "b");
    streampair_close(&pair);
}

/* Time. */

static void times_out_when_nothing_comes(void **state)
{
    struct streampair pair;
    struct outcome part = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_set_read_timeout(pair.stream, 10));
    accepted(iostream_read_bytes(pair.stream, 100, outcome_read, &part));
    for (int i = 0; i < 5; i++) {
        pair.now += 9.9;
        streampair_spin(&pair, 2);
        streampair_put(&pair, "abc"); /* the ten seconds start again */
        streampair_spin(&pair, 4);
    }
    assert_int_equal(part.calls, 0);
    pair.now += 9.99;
    streampair_spin(&pair, 3);
    assert_int_equal(part.calls, 0);
    pair.now += 0.15;
    streampair_spin(&pair, 3);
    assert_outcome(part, -ETIMEDOUT, "");
    assert_ended(pair.closed, -ETIMEDOUT);
    streampair_close(&pair);
}

static void does_not_time_out_without_a_read(void **state)
{
    struct streampair pair;
    struct outcome part = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_set_read_timeout(pair.stream, 10));
    for (int i = 0; i < 9; i++) { /* after which one is nearly over */
        pair.now += 9;
        streampair_spin(&pair, 4);
    }
    accepted(iostream_read_bytes(pair.stream, 1, outcome_read, &part));
    pair.now += 9.99; /* counted from here */
    streampair_spin(&pair, 4);
    assert_int_equal(part.calls, 0);
    pair.now += 0.15;
    streampair_spin(&pair, 3);
    assert_outcome(part, -ETIMEDOUT, "");
    streampair_close(&pair);
}

static void takes_back_a_timeout(void **state)
{
    struct streampair pair;
    struct outcome part = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_set_read_timeout(pair.stream, 10));
    accepted(iostream_read_bytes(pair.stream, 1, outcome_read, &part));
    accepted(iostream_set_read_timeout(pair.stream, 0));
    pair.now += 1000;
    streampair_spin(&pair, 5);
    assert_int_equal(part.calls, 0);
    accepted(iostream_set_read_timeout(pair.stream, 10));
    pair.now += 9.99;
    streampair_spin(&pair, 5);
    assert_int_equal(part.calls, 0);
    iostream_close(pair.stream);
    assert_int_equal(iostream_set_read_timeout(pair.stream, 1), -EBADF);
    streampair_close(&pair);
}

static const struct CMUnitTest at_all_sizes[] = {
    cmocka_unit_test(cancels_a_read_and_keeps_its_bytes),
    cmocka_unit_test(cancels_a_read_into_memory_and_keeps_its_bytes),
    cmocka_unit_test(cancels_a_streaming_read_from_inside),
    cmocka_unit_test(times_out_when_nothing_comes),
};

static const struct CMUnitTest once[] = {
    cmocka_unit_test(does_not_stream_a_byte_again_after_closing),
    cmocka_unit_test(calls_back_from_the_loop_only),
    cmocka_unit_test(reads_again_and_again_in_no_more_stack_and_memory),
    cmocka_unit_test(reads_many_lines_from_one_packet_with_few_receives),
    cmocka_unit_test(does_not_touch_memory_of_a_cancelled_read),
    cmocka_unit_test(reads_nothing_while_something_comes),
    cmocka_unit_test(does_not_time_out_without_a_read),
    cmocka_unit_test(takes_back_a_timeout),
};

STREAMPAIR_MAIN(at_all_sizes, once)
