/* What leaves together: the loop's cork around read callbacks, and the program's own. */
#include "ioloop/iostream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "tests/support/faults.h"
#include "tests/support/streampair.h"
#include "tests/support/testing.h"

static int sends(void)
{
    return faults_count("send") + faults_count("sendmsg");
}

/* Calls act from inside a read callback of the pair's stream. */
struct inside {
    struct outcome read;
    struct streampair *pair;
    void (*act)(struct streampair *pair);
};

static void act_inside(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct inside *inside = arg;

    outcome_read(stream, error, data, length, &inside->read);
    inside->act(inside->pair);
}

static void run_inside(struct streampair *pair, void (*act)(struct streampair *pair))
{
    struct inside inside = { .pair = pair, .act = act };

    accepted(iostream_read_bytes(pair->stream, 1, act_inside, &inside));
    streampair_put(pair, "x");
    faults_count_reset();
    streampair_run(pair, &inside.read);
}

static void write_ten(struct streampair *pair)
{
    for (int i = 0; i < 10; i++)
        accepted(iostream_write(pair->stream, &"abcdefghij"[i], 1, NULL, NULL));
    assert_int_equal(iostream_pending(pair->stream), 10);
    assert_true(iostream_writing(pair->stream));
    assert_int_equal(sends(), 0);
}

static void sends_ten_small_writes_of_a_callback_in_one_call(void **state)
{
    struct streampair pair;

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    run_inside(&pair, write_ten);
    assert_int_equal(sends(), 1);
    assert_false(iostream_writing(pair.stream));
    streampair_expect(&pair, "abcdefghij");
    streampair_close(&pair);
}

static size_t write_ten_and_more(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct inside *inside = arg;

    if (error == 0)
        act_inside(stream, error, data, length, inside);
    return length;
}

static void sends_what_a_consumer_wrote_in_one_call(void **state)
{
    struct streampair pair;
    struct inside inside = { .pair = &pair, .act = write_ten };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_set_consumer(pair.stream, write_ten_and_more, &inside));
    for (int i = 0; i < 3; i++) {
        faults_count_reset();
        streampair_put(&pair, "x");
        streampair_spin(&pair, 2);
        assert_int_equal(sends(), 1);
        streampair_expect(&pair, "abcdefghij");
    }
    streampair_close(&pair);
}

/* Answers to several requests that came in one packet leave together too. */
static void answer_and_read_on(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    outcome_read(stream, error, data, length, arg);
    if (error != 0)
        return;
    accepted(iostream_write(stream, data, length, NULL, NULL));
    accepted(iostream_read_until(stream, "\n", 0, answer_and_read_on, arg));
}

static void sends_the_answers_to_one_receive_in_one_call(void **state)
{
    struct streampair pair;
    struct outcome lines = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_until(pair.stream, "\n", 0, answer_and_read_on, &lines));
    faults_count_reset();
    streampair_put(&pair, "one\ntwo\nthree\nfo");
    streampair_run(&pair, &lines);
    assert_int_equal(sends(), 1);
    streampair_expect(&pair, "one\ntwo\nthree\n");
    streampair_put(&pair, "ur\n");
    streampair_expect(&pair, "four\n");
    streampair_close(&pair);
}

/* Order. */

static struct outcome marks[8];
static uint64_t written;
static int file_sent;

static char *next_bytes(size_t size)
{
    static char bytes[200000];

    streampair_pattern(bytes, written, size);
    written += size;
    return bytes;
}

static void mix_small_and_large(struct streampair *pair)
{
    static char owned[1000];
    struct iovec vector[20];

    accepted(iostream_write(pair->stream, next_bytes(10), 10, outcome_end, &marks[0]));
    accepted(iostream_write(pair->stream, next_bytes(5000), 5000, NULL, NULL));
    accepted(iostream_write(pair->stream, next_bytes(20), 20, NULL, NULL));
    accepted(iostream_write(pair->stream, "", 0, outcome_end, &marks[1]));
    memcpy(owned, next_bytes(1000), 1000);
    accepted(iostream_write_owned(pair->stream, owned, 1000, outcome_release, &marks[2], outcome_end, &marks[3]));
    accepted(iostream_write(pair->stream, next_bytes(30), 30, outcome_end, &marks[4]));
    accepted(iostream_write(pair->stream, next_bytes(100000), 100000, NULL, NULL));
    accepted(iostream_write(pair->stream, next_bytes(7), 7, outcome_end, &marks[5]));
    int file = streampair_file(written + 3000);
    accepted(iostream_sendfile(pair->stream, file, (int64_t)written, 3000, outcome_end, &marks[6]));
    written += 3000;
    for (int i = 0; i < 20; i++)
        vector[i] = (struct iovec){ next_bytes(0) + 5 * i, 5 };
    next_bytes(100);
    accepted(iostream_writev(pair->stream, vector, 20, outcome_end, &marks[7]));
    file_sent = file;
}

static void keeps_the_order_of_all_kinds_of_writes(void **state)
{
    for (int full = 0; full < 3; full++) {
        struct streampair pair;

        memset(marks, 0, sizeof marks);
        streampair_open(&pair, STREAMPAIR_UNIX, NULL);
        if (full > 0)
            streampair_narrow(&pair);
        written = full == 2 ? streampair_fill(&pair) : 0;
        run_inside(&pair, mix_small_and_large);
        streampair_expect_pattern(&pair, 0, written);
        streampair_run(&pair, &marks[7]);
        for (int i = 0; i < 8; i++) {
            assert_ended(marks[i], 0);
            assert_true(i == 0 || marks[i - 1].order < marks[i].order);
        }
        streampair_close(&pair);
        close(file_sent);
    }
}

/* So much that neither the cork nor the socket holds it. */
static void write_many(struct streampair *pair)
{
    for (int i = 0; i < 1000; i++)
        accepted(iostream_write(pair->stream, next_bytes(1 + (size_t)i), 1 + (size_t)i,
                                i % 100 == 0 ? outcome_end : NULL, &marks[0]));
}

static void write_a_corkful(struct streampair *pair)
{
    for (int i = 0; i < 15; i++)
        accepted(iostream_write(pair->stream, next_bytes(4096), 4096, NULL, NULL));
}

/* What the cork could not send waits, and what is written next goes behind it. */
static void keeps_the_order_behind_a_cork_that_was_not_emptied(void **state)
{
    struct streampair pair;

    written = 0;
    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    streampair_narrow(&pair);
    run_inside(&pair, write_a_corkful);
    assert_true(iostream_pending(pair.stream) > 0);
    for (int i = 0; i < 1000; i++)
        accepted(iostream_write(pair.stream, next_bytes(33), 33, NULL, NULL));
    streampair_expect_pattern(&pair, 0, written);
    streampair_close(&pair);
}

static void keeps_the_order_when_the_socket_fills_up(void **state)
{
    for (int narrow = 0; narrow < 2; narrow++) {
        struct streampair pair;

        memset(marks, 0, sizeof marks);
        written = 0;
        streampair_open(&pair, STREAMPAIR_UNIX, NULL);
        if (narrow)
            streampair_narrow(&pair);
        run_inside(&pair, write_many);
        streampair_expect_pattern(&pair, 0, written);
        streampair_spin(&pair, 2);
        assert_int_equal(marks[0].calls, 10);
        streampair_close(&pair);
    }
}

static void write_the_large_behind_the_small(struct streampair *pair)
{
    accepted(iostream_write(pair->stream, next_bytes(10), 10, NULL, NULL));
    accepted(iostream_write(pair->stream, next_bytes(5000), 5000, NULL, NULL));
    assert_int_equal(sends(), 1);
}

static void write_many_parts_behind_the_small(struct streampair *pair)
{
    struct iovec vector[100];
    char *bytes;

    accepted(iostream_write(pair->stream, next_bytes(10), 10, NULL, NULL));
    bytes = next_bytes(10000);
    for (int i = 0; i < 100; i++)
        vector[i] = (struct iovec){ bytes + 100 * i, 100 };
    accepted(iostream_writev(pair->stream, vector, 100, NULL, NULL));
    assert_int_equal(sends(), 1);
}

static void sends_a_large_write_with_the_small_before_it(void **state)
{
    struct streampair pair;

    written = 0;
    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    run_inside(&pair, write_the_large_behind_the_small);
    assert_int_equal(sends(), 1);
    streampair_expect_pattern(&pair, 0, 5010);
    run_inside(&pair, write_many_parts_behind_the_small);
    streampair_expect_pattern(&pair, 5010, 10010);
    streampair_close(&pair);
}

static void write_nothing(struct streampair *pair)
{
    accepted(iostream_write(pair->stream, "", 0, outcome_end, &marks[0]));
}

static void completes_an_empty_write_of_a_callback(void **state)
{
    struct streampair pair;

    memset(marks, 0, sizeof marks);
    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    run_inside(&pair, write_nothing);
    streampair_run(&pair, &marks[0]);
    assert_ended(marks[0], 0);
    streampair_close(&pair);
}

static void write_static_alone(struct streampair *pair)
{
    accepted(iostream_write_static(pair->stream, "abc", 3, NULL, NULL));
    accepted(iostream_shutdown(pair->stream));
}

/* An empty cork is not offered to the kernel. */
static void sends_nothing_when_nothing_is_corked(void **state)
{
    struct streampair pair;

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    run_inside(&pair, write_static_alone);
    assert_int_equal(sends(), 1);
    streampair_expect(&pair, "abc");
    streampair_expect_end(&pair);
    streampair_close(&pair);
}

static struct iostream *bystander;

static void write_to_another(struct streampair *pair)
{
    accepted(iostream_write(pair->stream, "a", 1, NULL, NULL));
    accepted(iostream_write(bystander, "b", 1, NULL, NULL));
    assert_int_equal(sends(), 1);
    assert_int_equal(iostream_pending(bystander), 0);
}

/* The cork belongs to the stream whose callback runs; what is written to others leaves at once. */
static void corks_only_the_stream_that_is_read(void **state)
{
    struct streampair pair;
    int fds[2];
    char byte;

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    testing_socketpair(fds);
    bystander = iostream_new(pair.loop, fds[0], NULL);
    run_inside(&pair, write_to_another);
    streampair_expect(&pair, "a");
    assert_int_equal(read(fds[1], &byte, 1), 1);
    assert_int_equal(byte, 'b');
    iostream_close(bystander);
    close(fds[1]);
    streampair_close(&pair);
}

/* All the other ways of sending, which what is in the cork goes before: if it is theirs. */
static void do_all_to_another(struct streampair *pair)
{
    accepted(iostream_write(pair->stream, "a", 1, NULL, NULL));
    iostream_cork(bystander);
    accepted(iostream_write(bystander, "b", 1, NULL, NULL));
    iostream_uncork(bystander);
    accepted(iostream_write_static(bystander, "c", 1, NULL, NULL));
    assert_int_equal(sends(), 2);
    accepted(iostream_shutdown(bystander));
    assert_int_equal(sends(), 2);
    assert_int_equal(iostream_pending(pair->stream), 1);
}

static void what_is_corked_leaves_by_no_other_stream(void **state)
{
    struct streampair pair;
    int fds[2];
    char bytes[4] = "";

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    testing_socketpair(fds);
    bystander = iostream_new(pair.loop, fds[0], NULL);
    run_inside(&pair, do_all_to_another);
    streampair_expect(&pair, "a");
    assert_int_equal(read(fds[1], bytes, sizeof bytes), 2);
    assert_string_equal(bytes, "bc");
    assert_int_equal(read(fds[1], bytes, sizeof bytes), 0);
    iostream_close(bystander);
    close(fds[1]);
    streampair_close(&pair);
}

/* Closing and shutting down. */

static void write_and_close(struct streampair *pair)
{
    accepted(iostream_write(pair->stream, "good", 4, outcome_end, &marks[0]));
    accepted(iostream_write(pair->stream, "bye", 3, NULL, NULL));
    iostream_close(pair->stream);
    assert_int_equal(iostream_pending(pair->stream), 0);
}

static void delivers_what_was_written_before_closing(void **state)
{
    for (int tcp = 0; tcp < 2; tcp++) {
        struct streampair pair;

        memset(marks, 0, sizeof marks);
        streampair_open(&pair, tcp ? STREAMPAIR_TCP : STREAMPAIR_UNIX, NULL);
        run_inside(&pair, write_and_close);
        streampair_expect(&pair, "goodbye");
        streampair_run(&pair, &pair.closed);
        streampair_expect_end(&pair);
        assert_int_equal(marks[0].calls, 1);
        assert_ended(pair.closed, 0);
        streampair_close(&pair);
    }
}

static void write_and_shut_down(struct streampair *pair)
{
    accepted(iostream_write(pair->stream, "good", 4, outcome_end, &marks[0]));
    accepted(iostream_write(pair->stream, "bye", 3, NULL, NULL));
    accepted(iostream_shutdown(pair->stream));
    assert_int_equal(iostream_write(pair->stream, "x", 1, NULL, NULL), -EPIPE);
}

static void sends_what_was_written_before_the_end(void **state)
{
    struct streampair pair;

    memset(marks, 0, sizeof marks);
    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    run_inside(&pair, write_and_shut_down);
    streampair_expect(&pair, "goodbye");
    streampair_expect_end(&pair);
    streampair_run(&pair, &marks[0]);
    assert_ended(marks[0], 0);
    streampair_put(&pair, "abc");
    streampair_read(&pair, "abc");
    streampair_close(&pair);
}

/* The program's own. */

static void collects_between_cork_and_uncork(void **state)
{
    struct streampair pair;
    struct outcome first = { 0 }, second = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    faults_count_reset();
    iostream_cork(pair.stream);
    iostream_cork(pair.stream);
    accepted(iostream_write(pair.stream, "a", 1, outcome_end, &first));
    accepted(iostream_write_static(pair.stream, "bcd", 3, outcome_end, &second));
    streampair_spin(&pair, 3);
    accepted(iostream_write(pair.stream, "e", 1, NULL, NULL));
    iostream_uncork(pair.stream);
    streampair_spin(&pair, 3);
    assert_int_equal(sends(), 0);
    assert_int_equal(first.calls + second.calls, 0);
    assert_int_equal(iostream_pending(pair.stream), 5);
    iostream_uncork(pair.stream);
    assert_int_equal(sends(), 1);
    streampair_expect(&pair, "abcde");
    streampair_run(&pair, &second);
    assert_ended(first, 0);
    iostream_uncork(pair.stream);
    accepted(iostream_write(pair.stream, "f", 1, NULL, NULL));
    assert_int_equal(sends(), 2);
    streampair_close(&pair);
}

static void cork_in_the_middle(struct streampair *pair)
{
    accepted(iostream_write(pair->stream, "a", 1, NULL, NULL));
    iostream_cork(pair->stream);
    accepted(iostream_write(pair->stream, "b", 1, NULL, NULL));
    accepted(iostream_write_static(pair->stream, "c", 1, NULL, NULL));
    iostream_uncork(pair->stream);
    accepted(iostream_write(pair->stream, "d", 1, NULL, NULL));
}

static void cork_what_is_copied(struct streampair *pair)
{
    accepted(iostream_write(pair->stream, "a", 1, NULL, NULL));
    iostream_cork(pair->stream);
    accepted(iostream_write(pair->stream, "b", 1, NULL, NULL));
    iostream_uncork(pair->stream);
    accepted(iostream_write(pair->stream, "c", 1, NULL, NULL));
}

static void cork_to_the_end(struct streampair *pair)
{
    accepted(iostream_write(pair->stream, "a", 1, NULL, NULL));
    iostream_cork(pair->stream);
    accepted(iostream_write(pair->stream, "b", 1, NULL, NULL));
}

static void keeps_the_order_of_both_corks(void **state)
{
    struct streampair pair;

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    run_inside(&pair, cork_in_the_middle);
    streampair_expect(&pair, "abcd");
    run_inside(&pair, cork_what_is_copied);
    streampair_expect(&pair, "abc");
    run_inside(&pair, cork_to_the_end);
    streampair_spin(&pair, 2);
    assert_int_equal(iostream_pending(pair.stream), 1);
    iostream_uncork(pair.stream);
    streampair_expect(&pair, "ab");
    streampair_close(&pair);
}

static void tries_to_send_what_is_corked_before_it_closes(void **state)
{
    struct streampair pair;
    struct outcome ended = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    iostream_cork(pair.stream);
    accepted(iostream_write(pair.stream, "good", 4, outcome_end, &ended));
    accepted(iostream_write_static(pair.stream, "bye", 3, NULL, NULL));
    iostream_close(pair.stream);
    streampair_expect(&pair, "goodbye");
    streampair_run(&pair, &pair.closed);
    assert_int_equal(ended.calls, 1);
    streampair_close(&pair);
}

static void shuts_down_after_uncork(void **state)
{
    struct streampair pair;

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    iostream_cork(pair.stream);
    accepted(iostream_write(pair.stream, "bye", 3, NULL, NULL));
    accepted(iostream_shutdown(pair.stream));
    streampair_spin(&pair, 2);
    iostream_uncork(pair.stream);
    streampair_expect(&pair, "bye");
    streampair_expect_end(&pair);
    streampair_close(&pair);
}

static void write_over_high_water(struct streampair *pair)
{
    for (int i = 0; i < 30; i++)
        accepted(iostream_write(pair->stream, next_bytes(1000), 1000, NULL, NULL));
    assert_int_equal(iostream_pending(pair->stream), 30000);
}

/* A writer that pauses because of what the cork holds is told when it is through. */
static void tells_when_the_cork_has_drained(void **state)
{
    struct streampair pair;
    struct outcome drained = { 0 };

    written = 0;
    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_set_drain_callback(pair.stream, 10000, outcome_drain, &drained));
    run_inside(&pair, write_over_high_water);
    streampair_expect_pattern(&pair, 0, 30000);
    streampair_spin(&pair, 2);
    assert_int_equal(drained.calls, 1);
    streampair_close(&pair);
}

/* The consumer takes all that came and goes on with a read that needs nothing. */
static size_t read_nothing_next(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    accepted(iostream_set_consumer(stream, NULL, NULL));
    accepted(iostream_read_bytes(stream, 0, outcome_read, arg));
    return length;
}

static void serves_a_read_of_nothing_that_a_consumer_began(void **state)
{
    for (int warm = 0; warm < 2; warm++) {
        struct streampair pair;
        struct outcome none = { 0 };

        streampair_open(&pair, STREAMPAIR_UNIX, NULL);
        if (warm) {
            streampair_put(&pair, "a");
            streampair_read(&pair, "a");
        }
        accepted(iostream_set_consumer(pair.stream, read_nothing_next, &none));
        streampair_put(&pair, "abc");
        streampair_run(&pair, &none);
        assert_outcome(none, 0, "");
        streampair_close(&pair);
    }
}

static const struct CMUnitTest at_all_sizes[] = {
    cmocka_unit_test(keeps_the_order_of_both_corks),
    cmocka_unit_test(sends_what_was_written_before_the_end),
    cmocka_unit_test(shuts_down_after_uncork),
    cmocka_unit_test(serves_a_read_of_nothing_that_a_consumer_began),
};

static const struct CMUnitTest once[] = {
    cmocka_unit_test(sends_ten_small_writes_of_a_callback_in_one_call),
    cmocka_unit_test(sends_what_a_consumer_wrote_in_one_call),
    cmocka_unit_test(sends_the_answers_to_one_receive_in_one_call),
    cmocka_unit_test(keeps_the_order_of_all_kinds_of_writes),
    cmocka_unit_test(keeps_the_order_when_the_socket_fills_up),
    cmocka_unit_test(keeps_the_order_behind_a_cork_that_was_not_emptied),
    cmocka_unit_test(sends_a_large_write_with_the_small_before_it),
    cmocka_unit_test(completes_an_empty_write_of_a_callback),
    cmocka_unit_test(sends_nothing_when_nothing_is_corked),
    cmocka_unit_test(corks_only_the_stream_that_is_read),
    cmocka_unit_test(what_is_corked_leaves_by_no_other_stream),
    cmocka_unit_test(delivers_what_was_written_before_closing),
    cmocka_unit_test(collects_between_cork_and_uncork),
    cmocka_unit_test(tries_to_send_what_is_corked_before_it_closes),
    cmocka_unit_test(tells_when_the_cork_has_drained),
};

STREAMPAIR_MAIN(at_all_sizes, once)
