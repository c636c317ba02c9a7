/* Reading: what each kind of read takes, and what it leaves. test_iostream_until.c has the delimiters. */
#include "ioloop/iostream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "tests/support/faults.h"
#include "tests/support/streampair.h"
#include "tests/support/testing.h"

/* read_bytes. */

/* iostream_test:test_future_interface */
static void reads_a_line_and_then_what_it_announces(void **state)
{
    struct streampair pair;
    struct outcome head = { 0 };

    streampair_open(&pair, STREAMPAIR_TCP, NULL);
    accepted(iostream_read_until(pair.stream, "\r\n\r\n", 0, outcome_read, &head));
    streampair_put(&pair, "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nHello");
    streampair_run(&pair, &head);
    assert_outcome(head, 0, "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n");
    streampair_read(&pair, "Hello");
    streampair_close(&pair);
}

static void waits_for_the_last_byte(void **state)
{
    struct streampair pair;
    struct outcome bytes = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_bytes(pair.stream, 6, outcome_read, &bytes));
    streampair_put(&pair, "abcde");
    streampair_spin(&pair, 20);
    assert_int_equal(bytes.calls, 0);
    assert_true(iostream_reading(pair.stream));
    streampair_put(&pair, "fg");
    streampair_run(&pair, &bytes);
    assert_outcome(bytes, 0, "abcdef");
    assert_false(iostream_reading(pair.stream));
    streampair_close(&pair);
}

/* iostream_test:test_read_zero_bytes */
static void reads_no_bytes_at_once(void **state)
{
    struct streampair pair;
    struct outcome none = { 0 }, partial = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_bytes(pair.stream, 0, outcome_read, &none));
    assert_int_equal(none.calls, 0);
    streampair_spin(&pair, 1);
    assert_outcome(none, 0, "");
    accepted(iostream_read_bytes_partial(pair.stream, 0, outcome_read, &partial));
    streampair_put(&pair, "abc");
    streampair_run(&pair, &partial);
    assert_outcome(partial, 0, "");
    streampair_read(&pair, "abc");
    streampair_close(&pair);
}

static void reads_no_bytes_before_those_that_are_there(void **state)
{
    struct streampair pair;

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    streampair_put(&pair, "abcd");
    streampair_read(&pair, "ab");
    streampair_read(&pair, "");
    streampair_read(&pair, "cd");
    streampair_close(&pair);
}

/* iostream_test:test_read_bytes_partial */
static void reads_in_part_what_is_there(void **state)
{
    struct streampair pair;
    struct outcome some = { 0 }, few = { 0 }, left = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_bytes_partial(pair.stream, 50, outcome_read, &some));
    streampair_put(&pair, "hello");
    streampair_run(&pair, &some);
    assert_outcome(some, 0, "hello");
    streampair_put(&pair, "worlds");
    accepted(iostream_read_bytes_partial(pair.stream, 3, outcome_read, &few));
    streampair_run(&pair, &few);
    assert_outcome(few, 0, "wor");
    accepted(iostream_read_bytes_partial(pair.stream, 50, outcome_read, &left));
    streampair_run(&pair, &left);
    assert_outcome(left, 0, "lds");
    streampair_close(&pair);
}

/* The same at fewer bytes a call: any number from 1 on will do. */
static void reads_in_part_at_least_a_byte_and_no_more_than_asked(void **state)
{
    struct streampair pair;
    size_t total = 0;

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    streampair_put(&pair, "abcdefghijkl");
    while (total < 12) {
        struct outcome part = { 0 };
        accepted(iostream_read_bytes_partial(pair.stream, 5, outcome_read, &part));
        streampair_run(&pair, &part);
        assert_ended(part, 0);
        assert_in_range(part.length, 1, 5);
        assert_memory_equal(part.data, &"abcdefghijkl"[total], part.length);
        total += part.length;
    }
    streampair_close(&pair);
}

/* read_into. */

/* iostream_test:test_read_into */
static void fills_the_callers_memory_and_keeps_the_surplus(void **state)
{
    struct streampair pair;
    struct outcome into = { 0 };
    char memory[11] = "..........";

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    streampair_put(&pair, "line\nhello");
    streampair_read(&pair, "line\n");
    accepted(iostream_read_into(pair.stream, memory, 10, outcome_read, &into));
    streampair_spin(&pair, 20);
    assert_int_equal(into.calls, 0);
    assert_true(iostream_reading(pair.stream));
    streampair_put(&pair, "world!!");
    streampair_run(&pair, &into);
    assert_outcome(into, 0, "helloworld");
    assert_string_equal(memory, "helloworld");
    streampair_read(&pair, "!!");
    streampair_close(&pair);
}

static void fills_the_callers_memory_from_what_is_left_alone(void **state)
{
    struct streampair pair;
    struct outcome into = { 0 };
    char memory[4] = "...";

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    streampair_put(&pair, "\nabcde");
    streampair_read(&pair, "\n");
    accepted(iostream_read_into(pair.stream, memory, 3, outcome_read, &into));
    streampair_run(&pair, &into);
    assert_outcome(into, 0, "abc");
    assert_string_equal(memory, "abc");
    streampair_read(&pair, "de");
    streampair_close(&pair);
}

/* iostream_test:test_read_into_partial */
static void fills_the_callers_memory_in_part(void **state)
{
    struct streampair pair;
    struct outcome parts[3] = { 0 };
    char memory[10];

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_into_partial(pair.stream, memory, 10, outcome_read, &parts[0]));
    streampair_spin(&pair, 5);
    assert_int_equal(parts[0].calls, 0);
    streampair_put(&pair, "hello");
    streampair_run(&pair, &parts[0]);
    assert_outcome(parts[0], 0, "hello");
    assert_memory_equal(memory, "hello", 5);
    streampair_put(&pair, "world!1234567890");
    accepted(iostream_read_into_partial(pair.stream, memory, 10, outcome_read, &parts[1]));
    streampair_run(&pair, &parts[1]);
    assert_outcome(parts[1], 0, "world!1234");
    accepted(iostream_read_into_partial(pair.stream, memory, 10, outcome_read, &parts[2]));
    streampair_run(&pair, &parts[2]);
    assert_outcome(parts[2], 0, "567890");
    streampair_close(&pair);
}

/* iostream_test:test_read_into_zero_bytes */
static void fills_memory_of_no_size_at_once(void **state)
{
    struct streampair pair;
    struct outcome into = { 0 }, partial = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_into(pair.stream, NULL, 0, outcome_read, &into));
    streampair_spin(&pair, 1);
    assert_outcome(into, 0, "");
    accepted(iostream_read_into_partial(pair.stream, NULL, 0, outcome_read, &partial));
    streampair_spin(&pair, 1);
    assert_outcome(partial, 0, "");
    streampair_close(&pair);
}

static void tells_of_the_bytes_in_the_callers_memory_when_it_ends_early(void **state)
{
    struct streampair pair;
    struct outcome into = { 0 };
    char memory[10];

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_into(pair.stream, memory, 10, outcome_read, &into));
    streampair_put(&pair, "abc");
    streampair_hang_up(&pair);
    streampair_run(&pair, &pair.closed);
    assert_outcome(into, -ESHUTDOWN, "abc");
    assert_memory_equal(memory, "abc", 3);
    streampair_close(&pair);
}

/* Nothing is in between: the bytes go from the kernel to where they belong. */
static void fills_large_memory_without_a_buffer(void **state)
{
    struct streampair pair;
    struct outcome into = { 0 };
    size_t size = 300000, sent = 0;
    char *memory = malloc(size), bytes[10000];

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    streampair_put(&pair, "a");
    streampair_read(&pair, "a");
    accepted(iostream_read_into(pair.stream, memory, size, outcome_read, &into));
    streampair_spin(&pair, 1);
    long before = faults_allocations();
    while (sent < size) {
        streampair_pattern(bytes, sent, sizeof bytes);
        streampair_put_bytes(&pair, bytes, sizeof bytes);
        sent += sizeof bytes;
        streampair_spin(&pair, 1);
    }
    streampair_run(&pair, &into);
    assert_int_equal(into.length, size);
    assert_true(streampair_is_pattern(memory, 0, size));
    assert_int_equal(faults_allocations(), before);
    free(memory);
    streampair_close(&pair);
}

/* read_until_close. */

/* iostream_test:test_read_until_close */
static void reads_all_until_the_peer_closes(void **state)
{
    struct streampair pair;
    struct outcome all = { 0 };

    streampair_open(&pair, STREAMPAIR_TCP, NULL);
    accepted(iostream_read_until_close(pair.stream, 0, outcome_read, &all));
    streampair_put(&pair, "one ");
    streampair_spin(&pair, 10);
    streampair_put(&pair, "two");
    assert_int_equal(all.calls, 0);
    streampair_hang_up(&pair);
    streampair_run(&pair, &pair.closed);
    assert_outcome(all, 0, "one two");
    assert_ended(pair.closed, -ESHUTDOWN);
    assert_true(all.order < pair.closed.order);
    streampair_close(&pair);
}

/* iostream_test:test_future_read_until_close */
static void reads_the_rest_until_the_peer_closes(void **state)
{
    struct streampair pair;
    struct outcome head = { 0 }, rest = { 0 }, late = { 0 };

    streampair_open(&pair, STREAMPAIR_TCP, &(struct iostream_options){ .half_close = true });
    streampair_put(&pair, "head\n12345");
    streampair_hang_up(&pair);
    accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &head));
    streampair_run(&pair, &head);
    accepted(iostream_read_until_close(pair.stream, 0, outcome_read, &rest));
    streampair_run(&pair, &rest);
    assert_outcome(rest, 0, "12345");
    assert_int_equal(iostream_read_bytes(pair.stream, 1, outcome_read, &late), -ESHUTDOWN);
    assert_int_equal(late.calls, 0);
    streampair_close(&pair);
}

/* "34" is there when the peer has closed, which is not told before it is read. */
static void open_with_unread(struct streampair *pair)
{
    streampair_open(pair, STREAMPAIR_UNIX, NULL);
    streampair_put(pair, "1234");
    streampair_hang_up(pair);
    streampair_read(pair, "12");
    streampair_spin(pair, 20);
    assert_int_equal(pair->closed.calls, 0);
}

/* iostream_test:test_read_until_close_after_close */
static void reads_what_was_unread_when_the_peer_closed(void **state)
{
    struct streampair pair;
    struct outcome rest = { 0 };

    open_with_unread(&pair);
    accepted(iostream_read_until_close(pair.stream, 0, outcome_read, &rest));
    streampair_run(&pair, &pair.closed);
    assert_outcome(rest, 0, "34");
    streampair_close(&pair);
}

static void gives_up_on_more_than_max_bytes_until_close(void **state)
{
    struct streampair pair;
    struct outcome exact = { 0 }, over = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_until_close(pair.stream, 5, outcome_read, &exact));
    streampair_put(&pair, "12345");
    streampair_spin(&pair, 20);
    streampair_hang_up(&pair);
    streampair_run(&pair, &pair.closed);
    assert_outcome(exact, 0, "12345");
    streampair_close(&pair);

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_until_close(pair.stream, 5, outcome_read, &over));
    streampair_put(&pair, "123456");
    streampair_run(&pair, &pair.closed);
    assert_outcome(over, -ENOBUFS, "12345");
    assert_ended(pair.closed, -ENOBUFS);
    streampair_close(&pair);
}

/* iostream_test:test_read_until_close_with_error */
static void gives_the_error_and_the_bytes_until_close(void **state)
{
    struct streampair pair;
    struct outcome all = { 0 };

    testing_begin_logs();
    streampair_open(&pair, STREAMPAIR_TCP, NULL);
    accepted(iostream_read_until_close(pair.stream, 0, outcome_read, &all));
    streampair_put(&pair, "truncated");
    streampair_spin(&pair, 20);
    streampair_reset(&pair);
    streampair_run(&pair, &pair.closed);
    assert_outcome(all, -ECONNRESET, "truncated");
    assert_ended(pair.closed, -ECONNRESET);
    assert_int_equal(testing_logs(NULL), 0);
    streampair_close(&pair);
}

/* The streaming reads. */

/* iostream_test:test_streaming_callback */
static void streams_exactly_so_many_bytes(void **state)
{
    struct streampair pair;
    struct outcome six = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_bytes_streaming(pair.stream, 6, outcome_piece, &six));
    streampair_put(&pair, "1234");
    streampair_spin(&pair, 20);
    assert_int_equal(six.length, 4);
    assert_int_equal(six.calls, 0);
    streampair_put(&pair, "5678");
    streampair_run(&pair, &six);
    assert_outcome(six, 0, "123456");
    assert_in_range(six.pieces, 2, 6);
    streampair_read(&pair, "78");
    streampair_close(&pair);
}

/* iostream_test:test_streaming_callback_with_data_in_buffer */
static void streams_what_is_unread_first(void **state)
{
    struct streampair pair;
    struct outcome line = { 0 }, three = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    streampair_put(&pair, "abcd\r\nefgh");
    accepted(iostream_read_until(pair.stream, "\r\n", 0, outcome_read, &line));
    streampair_run(&pair, &line);
    assert_outcome(line, 0, "abcd\r\n");
    accepted(iostream_read_bytes_streaming(pair.stream, 3, outcome_piece, &three));
    streampair_run(&pair, &three);
    assert_outcome(three, 0, "efg");
    streampair_close(&pair);
}

static void streams_no_bytes_at_once(void **state)
{
    struct streampair pair;
    struct outcome none = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_bytes_streaming(pair.stream, 0, outcome_piece, &none));
    streampair_spin(&pair, 1);
    assert_outcome(none, 0, "");
    assert_int_equal(none.pieces, 0);
    streampair_close(&pair);
}

static void ends_a_stream_of_bytes_that_stops_short(void **state)
{
    struct streampair pair;
    struct outcome ten = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_bytes_streaming(pair.stream, 10, outcome_piece, &ten));
    streampair_put(&pair, "1234");
    streampair_hang_up(&pair);
    streampair_run(&pair, &pair.closed);
    assert_outcome(ten, -ESHUTDOWN, "1234");
    streampair_close(&pair);
}

/* iostream_test:test_streaming_until_close, iostream_test:test_streaming_until_close_future */
static void streams_until_the_peer_closes(void **state)
{
    struct streampair pair;
    struct outcome all = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_until_close_streaming(pair.stream, outcome_piece, &all));
    streampair_put(&pair, "1234");
    streampair_spin(&pair, 10);
    streampair_put(&pair, "5678");
    streampair_spin(&pair, 10);
    assert_int_equal(all.length, 8);
    assert_int_equal(all.calls, 0);
    streampair_hang_up(&pair);
    streampair_run(&pair, &pair.closed);
    assert_outcome(all, 0, "12345678");
    assert_true(all.order < pair.closed.order);
    streampair_close(&pair);
}

/* iostream_test:test_streaming_read_until_close_after_close */
static void streams_what_was_unread_when_the_peer_closed(void **state)
{
    struct streampair pair;
    struct outcome rest = { 0 };

    open_with_unread(&pair);
    accepted(iostream_read_until_close_streaming(pair.stream, outcome_piece, &rest));
    streampair_run(&pair, &pair.closed);
    assert_outcome(rest, 0, "34");
    streampair_close(&pair);
}

static void streams_until_the_connection_breaks(void **state)
{
    struct streampair pair;
    struct outcome all = { 0 };

    streampair_open(&pair, STREAMPAIR_TCP, NULL);
    accepted(iostream_read_until_close_streaming(pair.stream, outcome_piece, &all));
    streampair_put(&pair, "abc");
    streampair_spin(&pair, 20);
    streampair_reset(&pair);
    streampair_run(&pair, &pair.closed);
    assert_outcome(all, -ECONNRESET, "abc");
    streampair_close(&pair);
}

/* One after another. */

/* iostream_test:test_many_mixed_reads */
static void keeps_the_order_over_many_kinds_of_reads(void **state)
{
    struct streampair pair;
    uint64_t sent = 0, got = 0;
    char bytes[64], memory[100];

    srand(7);
    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    while (got < 20000) {
        struct outcome part = { .in_pattern = true, .place = got };
        size_t wanted = 1 + (size_t)rand() % sizeof memory;
        while (sent - got < sizeof memory) {
            streampair_pattern(bytes, sent, sizeof bytes);
            streampair_put_bytes(&pair, bytes, sizeof bytes);
            sent += sizeof bytes;
        }
        switch (rand() % 5) {
        case 0:
            accepted(iostream_read_bytes(pair.stream, wanted, outcome_read, &part));
            break;
        case 1:
            accepted(iostream_read_bytes_partial(pair.stream, wanted, outcome_read, &part));
            break;
        case 2:
            accepted(iostream_read_into(pair.stream, memory, wanted, outcome_read, &part));
            break;
        case 3:
            accepted(iostream_read_into_partial(pair.stream, memory, wanted, outcome_read, &part));
            break;
        default:
            accepted(iostream_read_bytes_streaming(pair.stream, wanted, outcome_piece, &part));
        }
        streampair_run(&pair, &part);
        assert_ended(part, 0);
        assert_in_range(part.length, 1, wanted);
        got += part.length;
    }
    streampair_close(&pair);
}

static void begins_one_read_at_a_time(void **state)
{
    struct streampair pair;
    struct outcome first = { 0 }, second = { 0 };
    char memory[1];

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_bytes(pair.stream, 1, outcome_read, &first));
    assert_int_equal(iostream_read_bytes(pair.stream, 1, outcome_read, &second), -EALREADY);
    assert_int_equal(iostream_read_bytes_partial(pair.stream, 1, outcome_read, &second), -EALREADY);
    assert_int_equal(iostream_read_until(pair.stream, "x", 0, outcome_read, &second), -EALREADY);
    assert_int_equal(iostream_read_into(pair.stream, memory, 1, outcome_read, &second), -EALREADY);
    assert_int_equal(iostream_read_until_close(pair.stream, 0, outcome_read, &second), -EALREADY);
    assert_int_equal(iostream_read_bytes_streaming(pair.stream, 1, outcome_read, &second), -EALREADY);
    assert_int_equal(iostream_read_until_close_streaming(pair.stream, outcome_read, &second), -EALREADY);
    assert_int_equal(iostream_set_consumer(pair.stream, NULL, NULL), -EALREADY);
    streampair_put(&pair, "a");
    streampair_run(&pair, &first);
    assert_outcome(first, 0, "a");
    assert_int_equal(second.calls, 0);
    streampair_close(&pair);
}

static void refuses_what_makes_no_sense(void **state)
{
    struct streampair pair;
    static const char long_delimiter[257];
    struct outcome none = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, &(struct iostream_options){ .max_buffer_size = 1000 });
    assert_int_equal(iostream_read_bytes(pair.stream, 1, NULL, NULL), -EINVAL);
    assert_int_equal(iostream_read_until(pair.stream, "", 0, outcome_read, &none), -EINVAL);
    assert_int_equal(iostream_read_until_bytes(pair.stream, long_delimiter, 257, 0, outcome_read, &none), -EINVAL);
    assert_int_equal(iostream_read_bytes(pair.stream, 1001, outcome_read, &none), -ENOBUFS);
    assert_int_equal(iostream_read_bytes(pair.stream, SIZE_MAX, outcome_read, &none), -ENOBUFS);
    assert_false(iostream_reading(pair.stream));
    assert_false(iostream_closed(pair.stream));
    streampair_close(&pair);
}

static const struct CMUnitTest at_all_sizes[] = {
    cmocka_unit_test(reads_a_line_and_then_what_it_announces),
    cmocka_unit_test(waits_for_the_last_byte),
    cmocka_unit_test(reads_no_bytes_at_once),
    cmocka_unit_test(reads_no_bytes_before_those_that_are_there),
    cmocka_unit_test(reads_in_part_at_least_a_byte_and_no_more_than_asked),
    cmocka_unit_test(fills_the_callers_memory_and_keeps_the_surplus),
    cmocka_unit_test(fills_the_callers_memory_from_what_is_left_alone),
    cmocka_unit_test(fills_memory_of_no_size_at_once),
    cmocka_unit_test(tells_of_the_bytes_in_the_callers_memory_when_it_ends_early),
    cmocka_unit_test(reads_all_until_the_peer_closes),
    cmocka_unit_test(reads_the_rest_until_the_peer_closes),
    cmocka_unit_test(reads_what_was_unread_when_the_peer_closed),
    cmocka_unit_test(gives_up_on_more_than_max_bytes_until_close),
    cmocka_unit_test(gives_the_error_and_the_bytes_until_close),
    cmocka_unit_test(streams_exactly_so_many_bytes),
    cmocka_unit_test(streams_what_is_unread_first),
    cmocka_unit_test(streams_no_bytes_at_once),
    cmocka_unit_test(ends_a_stream_of_bytes_that_stops_short),
    cmocka_unit_test(streams_until_the_peer_closes),
    cmocka_unit_test(streams_what_was_unread_when_the_peer_closed),
    cmocka_unit_test(streams_until_the_connection_breaks),
    cmocka_unit_test(keeps_the_order_over_many_kinds_of_reads),
    cmocka_unit_test(begins_one_read_at_a_time),
};

static const struct CMUnitTest once[] = {
    cmocka_unit_test(reads_in_part_what_is_there),
    cmocka_unit_test(fills_the_callers_memory_in_part),
    cmocka_unit_test(fills_large_memory_without_a_buffer),
    cmocka_unit_test(refuses_what_makes_no_sense),
};

STREAMPAIR_MAIN(at_all_sizes, once)
