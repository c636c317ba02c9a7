/* What is behind all reads: the consumer, what it leaves to the next one, and memory of its own for what comes. */
#include "ioloop/iostream.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "ioloop/iostreamlayer.h"
#include "tests/support/faults.h"
#include "tests/support/streampair.h"
#include "tests/support/testing.h"

/* A consumer that is told how much to take each time, and notes what it was shown. */
struct taker {
    struct outcome shown; /* all that it was shown, one after another */
    size_t take;
    int errors;
    struct taker *next; /* takes its place, */
    bool stop;          /* or nobody */
};

static size_t take(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct taker *taker = arg;

    assert_non_null(data);
    outcome_read(stream, error, data, length, &taker->shown);
    taker->errors += error != 0;
    if (taker->next != NULL)
        accepted(iostream_set_consumer(stream, take, taker->next));
    else if (taker->stop)
        accepted(iostream_set_consumer(stream, NULL, NULL));
    return length < taker->take ? length : taker->take;
}

static void shows_a_consumer_all_that_is_unread(void **state)
{
    struct streampair pair;
    struct taker taker = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_set_consumer(pair.stream, take, &taker));
    assert_true(iostream_reading(pair.stream));
    streampair_put(&pair, "abc");
    streampair_run(&pair, &taker.shown);
    streampair_spin(&pair, 5);
    assert_outcome(taker.shown, 0, "abc");
    streampair_put(&pair, "de");
    streampair_spin(&pair, 5);
    assert_string_equal(taker.shown.data, "abcabcde");
    assert_int_equal(taker.shown.calls, 2);
    taker.take = 2;
    streampair_put(&pair, "f");
    streampair_spin(&pair, 5);
    /* As long as it takes some, it is shown the rest. */
    assert_string_equal(taker.shown.data, "abcabcdeabcdefcdefef");
    streampair_close(&pair);
}

static void tells_a_consumer_once_how_it_ended_and_what_is_left(void **state)
{
    struct streampair pair;
    struct taker taker = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_set_consumer(pair.stream, take, &taker));
    streampair_put(&pair, "abc");
    streampair_spin(&pair, 5);
    taker.shown = (struct outcome){ 0 };
    streampair_hang_up(&pair);
    streampair_run(&pair, &pair.closed);
    assert_outcome(taker.shown, -ESHUTDOWN, "abc");
    assert_int_equal(taker.errors, 1);
    assert_true(taker.shown.order < pair.closed.order);
    streampair_close(&pair);
}

/* The peer's end comes in the iteration in which a reader begins. */
static void hang_up_and_read(void *arg)
{
    struct streampair *pair = ((void **)arg)[0];

    streampair_hang_up(pair);
    accepted(iostream_set_consumer(pair->stream, take, ((void **)arg)[1]));
}

static void shows_a_new_consumer_what_is_unread_before_the_end(void **state)
{
    struct streampair pair;
    struct taker first = { .take = 1, .stop = true }, second = { .take = 1 };
    void *both[2] = { &pair, &second };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_set_consumer(pair.stream, take, &first));
    streampair_put(&pair, "abc");
    streampair_spin(&pair, 5);
    assert_outcome(first.shown, 0, "abc");
    accepted(ioloop_add_callback(pair.loop, hang_up_and_read, both));
    streampair_run(&pair, &pair.closed);
    assert_string_equal(second.shown.data, "bcc");
    assert_int_equal(second.shown.calls, 3);
    assert_int_equal(second.shown.error, -ESHUTDOWN);
    assert_int_equal(second.errors, 1);
    streampair_close(&pair);
}

static void shows_the_next_consumer_what_the_first_left(void **state)
{
    struct streampair pair;
    struct taker third = { .take = 100 }, second = { .next = &third }, first = { .take = 2, .next = &second };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_set_consumer(pair.stream, take, &first));
    streampair_put(&pair, "abcd");
    streampair_run(&pair, &third.shown);
    assert_outcome(first.shown, 0, "abcd");
    assert_outcome(second.shown, 0, "cd");
    assert_outcome(third.shown, 0, "cd");
    streampair_close(&pair);
}

static void keeps_what_a_consumer_left_that_stopped(void **state)
{
    struct streampair pair;
    struct taker stopped = { .take = 1, .stop = true }, taker = { .take = 100 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_set_consumer(pair.stream, take, &stopped));
    streampair_put(&pair, "abc");
    streampair_run(&pair, &stopped.shown);
    assert_false(iostream_reading(pair.stream));
    streampair_put(&pair, "de");
    streampair_spin(&pair, 5);
    assert_outcome(stopped.shown, 0, "abc");
    accepted(iostream_set_consumer(pair.stream, take, &taker));
    assert_int_equal(taker.shown.calls, 0);
    streampair_spin(&pair, 5);
    assert_string_equal(taker.shown.data, "bcde");
    streampair_close(&pair);
}

/* What belongs in memory of the layer's own goes straight there. */
struct placer {
    struct iostreamlayer_place place;
    char memory[10];
    int shown_there, shown_elsewhere;
    int error;
};

static size_t put_in_place(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct placer *placer = arg;
    size_t count = length < placer->place.size ? length : placer->place.size;

    placer->error = error;
    if (error < 0)
        return 0;
    if (data == placer->place.memory)
        placer->shown_there++;
    else
        memcpy(placer->place.memory, data, count), placer->shown_elsewhere++;
    placer->place.memory += count;
    placer->place.size -= count;
    if (placer->place.size == 0)
        accepted(iostream_set_consumer(stream, NULL, NULL));
    return count;
}

static int waiting_in_kernel(const struct iostream *stream)
{
    int count = -1;

    assert_int_equal(ioctl(iostream_fd(stream), FIONREAD, &count), 0);
    return count;
}

static void receives_what_has_a_place_there_and_no_more(void **state)
{
    struct streampair pair;
    struct placer placer = { .place = { placer.memory, 10 } };

    streampair_open_unwatched(&pair, STREAMPAIR_UNIX, NULL);
    streampair_put(&pair, "\nab");
    streampair_read(&pair, "\n");
    iostreamlayer_begin_placed_read(pair.stream, put_in_place, &placer, false);
    streampair_spin(&pair, 5);
    assert_int_equal(placer.shown_elsewhere, 1); /* had been received before */
    streampair_put(&pair, "cdef");
    streampair_spin(&pair, 5);
    faults_count_reset();
    streampair_put(&pair, "ghijKLM");
    streampair_spin(&pair, 5);
    assert_int_equal(faults_count("recv"), 1); /* whether there is more the poller says */
    assert_int_equal(placer.shown_elsewhere, 1);
    assert_int_equal(placer.shown_there, 2);
    assert_memory_equal(placer.memory, "abcdefghij", 10);
    assert_int_equal(waiting_in_kernel(pair.stream), 3);
    streampair_read(&pair, "KLM");
    streampair_close(&pair);
}

/* Behind the last byte that has a place another receive would most likely find nothing. */
static void does_not_look_for_more_behind_a_place(void **state)
{
    struct streampair pair;
    struct placer placer = { .place = { placer.memory, 10 } };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    iostreamlayer_begin_placed_read(pair.stream, put_in_place, &placer, false);
    faults_count_reset();
    streampair_put(&pair, "abcdefghij");
    streampair_spin(&pair, 5);
    assert_int_equal(placer.place.size, 0);
    assert_int_equal(faults_count("recv"), 1);
    streampair_close(&pair);
}

/* Begun by another stream's callback, while the event is on its way already. */
static void place_the_other(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct streampair *pair = ((void **)arg)[0];

    iostreamlayer_begin_placed_read(pair->stream, put_in_place, ((void **)arg)[1], false);
}

static void puts_what_was_unread_before_what_comes(void **state)
{
    struct streampair pair;
    struct placer placer = { .place = { placer.memory, 4 } };
    struct taker taker = { .stop = true };
    void *both[2] = { &pair, &placer };
    int fds[2];

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    testing_socketpair(fds);
    struct iostream *first = iostream_new(pair.loop, fds[0], NULL);
    accepted(iostream_read_bytes(first, 1, place_the_other, both));
    accepted(iostream_set_consumer(pair.stream, take, &taker));
    streampair_spin(&pair, 1);
    streampair_put(&pair, "ab");
    streampair_run(&pair, &taker.shown);
    streampair_spin(&pair, 2); /* the poller finds nothing, so that the other's event will be the first */
    assert_int_equal(send(fds[1], "x", 1, 0), 1);
    streampair_put(&pair, "cd");
    streampair_spin(&pair, 10);
    assert_int_equal(placer.place.size, 0);
    assert_memory_equal(placer.memory, "abcd", 4);
    iostream_close(first);
    close(fds[1]);
    streampair_close(&pair);
}

static void goes_on_without_a_place_where_there_is_none(void **state)
{
    struct streampair pair;
    struct placer placer = { .place = { placer.memory, 4 } };
    struct taker taker = { .take = 100 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    iostreamlayer_begin_placed_read(pair.stream, put_in_place, &placer, false);
    streampair_put(&pair, "ab");
    streampair_spin(&pair, 5);
    assert_int_equal(placer.shown_there, 1);
    accepted(iostream_set_consumer(pair.stream, take, &taker)); /* whose arg begins with something else */
    streampair_put(&pair, "cd");
    streampair_run(&pair, &taker.shown);
    assert_outcome(taker.shown, 0, "cd");
    iostreamlayer_begin_placed_read(pair.stream, put_in_place, &placer, false);
    streampair_hang_up(&pair);
    streampair_run(&pair, &pair.closed);
    assert_int_equal(placer.error, -ESHUTDOWN);
    assert_memory_equal(placer.memory, "ab", 2);
    streampair_close(&pair);
}

static void refuses_a_read_beside_a_consumer(void **state)
{
    struct streampair pair;
    struct taker taker = { .take = 100 };
    struct outcome part = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_set_consumer(pair.stream, take, &taker));
    assert_int_equal(iostream_read_bytes(pair.stream, 1, outcome_read, &part), -EALREADY);
    accepted(iostream_set_consumer(pair.stream, NULL, NULL));
    streampair_put(&pair, "a");
    streampair_read(&pair, "a");
    assert_int_equal(taker.shown.calls, 0);
    streampair_close(&pair);
}

/* What a consumer took before it closed the stream is not shown again with the end. */
static size_t take_two_and_close(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    outcome_read(stream, error, data, length, arg);
    if (error == 0)
        iostream_close(stream);
    return error == 0 ? 2 : 0;
}

static void does_not_show_a_byte_again_that_was_taken(void **state)
{
    for (int unread_before = 0; unread_before < 2; unread_before++) {
        struct streampair pair;
        struct outcome shown = { 0 };

        streampair_open(&pair, STREAMPAIR_UNIX, NULL);
        if (unread_before) {
            streampair_put(&pair, "xabcd");
            streampair_read(&pair, "x");
        } else {
            streampair_put(&pair, "abcd");
        }
        accepted(iostream_set_consumer(pair.stream, take_two_and_close, &shown));
        streampair_run(&pair, &pair.closed);
        assert_string_equal(shown.data, "abcd");
        assert_int_equal(shown.calls, 2);
        assert_int_equal(shown.error, -ECANCELED);
        streampair_close(&pair);
    }
}

static size_t take_one_and_write(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    outcome_read(stream, error, data, length, arg);
    if (error == 0)
        assert_int_equal(iostream_write(stream, (char[5000]){ 0 }, 5000, NULL, NULL), -EPIPE);
    return error == 0;
}

/* The same when writing finds the peer gone: what is shown last is what was left. */
static void shows_what_is_left_when_writing_fails(void **state)
{
    for (int unread_before = 0; unread_before < 2; unread_before++) {
        struct streampair pair;
        struct outcome first = { 0 }, shown = { 0 };

        streampair_open(&pair, STREAMPAIR_UNIX, NULL);
        streampair_put(&pair, "xabc");
        if (unread_before) {
            accepted(iostream_read_bytes(pair.stream, 1, outcome_read, &first));
            streampair_run(&pair, &first);
        }
        accepted(iostream_set_consumer(pair.stream, take_one_and_write, &shown));
        streampair_hang_up(&pair);
        streampair_run(&pair, &pair.closed);
        assert_string_equal(shown.data, unread_before ? "abcbc" : "xabcabc");
        assert_ended(pair.closed, -EPIPE);
        streampair_close(&pair);
    }
}

static const struct CMUnitTest at_all_sizes[] = {
    cmocka_unit_test(refuses_a_read_beside_a_consumer),
};

static const struct CMUnitTest once[] = {
    cmocka_unit_test(shows_a_consumer_all_that_is_unread),
    cmocka_unit_test(tells_a_consumer_once_how_it_ended_and_what_is_left),
    cmocka_unit_test(shows_a_new_consumer_what_is_unread_before_the_end),
    cmocka_unit_test(shows_the_next_consumer_what_the_first_left),
    cmocka_unit_test(keeps_what_a_consumer_left_that_stopped),
    cmocka_unit_test(receives_what_has_a_place_there_and_no_more),
    cmocka_unit_test(does_not_look_for_more_behind_a_place),
    cmocka_unit_test(puts_what_was_unread_before_what_comes),
    cmocka_unit_test(goes_on_without_a_place_where_there_is_none),
    cmocka_unit_test(does_not_show_a_byte_again_that_was_taken),
    cmocka_unit_test(shows_what_is_left_when_writing_fails),
};

STREAMPAIR_MAIN(at_all_sizes, once)
