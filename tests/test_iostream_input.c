/* What is behind all reads: the consumer, what it leaves, cancelling, timeouts. test_iostream_flow.c has the limits. */
#include "ioloop/iostream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "ioloop/iostreamlayer.h"
#include "tests/support/faults.h"
#include "tests/support/streampair.h"
#include "tests/support/testing.h"

#define accepted(call) assert_int_equal(call, 0)

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
    struct outcome line = { 0 }, rest = { 0 };

    streampair_open_unwatched(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &line));
    streampair_put(&pair, "\nab");
    streampair_run(&pair, &line);
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
    accepted(iostream_read_bytes(pair.stream, 3, outcome_read, &rest));
    streampair_run(&pair, &rest);
    assert_outcome(rest, 0, "KLM");
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
    accepted(iostream_read_bytes(pair.stream, 1, outcome_read, &part));
    streampair_put(&pair, "a");
    streampair_run(&pair, &part);
    assert_outcome(part, 0, "a");
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
        struct outcome first = { 0 }, shown = { 0 };

        streampair_open(&pair, STREAMPAIR_UNIX, NULL);
        if (unread_before) {
            accepted(iostream_read_bytes(pair.stream, 1, outcome_read, &first));
            streampair_put(&pair, "xabcd");
            streampair_run(&pair, &first);
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

static void close_in_piece(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    outcome_piece(stream, error, data, length, arg);
    iostream_close(stream);
}

static void does_not_stream_a_byte_again_after_closing(void **state)
{
    struct streampair pair;
    struct outcome first = { 0 }, pieces = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_bytes(pair.stream, 1, outcome_read, &first));
    streampair_put(&pair, "xabcd");
    streampair_run(&pair, &first);
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
    char here;

    outcome_read(stream, error, data, length, &repeater->all);
    repeater->all.done = repeater->all.calls == 10000;
    if (repeater->deepest == NULL)
        repeater->deepest = &here;
    size_t depth = (size_t)llabs((intptr_t)(uintptr_t)&here - (intptr_t)(uintptr_t)repeater->deepest);
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
    accepted(iostream_read_bytes(pair.stream, 3, outcome_read, &part));
    streampair_run(&pair, &part);
    assert_outcome(part, 0, "abc");
    assert_int_equal(pair.closed.calls, 0);
    streampair_close(&pair);
}

static void cancels_a_read_into_memory_and_keeps_its_bytes(void **state)
{
    struct streampair pair;
    struct outcome line = { 0 }, cancelled = { 0 }, part = { 0 };
    char memory[10];

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &line));
    streampair_put(&pair, "\nab");
    streampair_run(&pair, &line);
    accepted(iostream_read_into(pair.stream, memory, 10, outcome_read, &cancelled));
    streampair_spin(&pair, 10);
    streampair_put(&pair, "cd");
    streampair_spin(&pair, 10);
    iostream_cancel_read(pair.stream);
    memset(memory, 'x', sizeof memory);
    streampair_run(&pair, &cancelled);
    assert_outcome(cancelled, -ECANCELED, "");
    accepted(iostream_read_bytes(pair.stream, 4, outcome_read, &part));
    streampair_run(&pair, &part);
    assert_outcome(part, 0, "abcd");
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
    struct outcome cancelled = { 0 }, part = { 0 };
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
    accepted(iostream_read_bytes(pair.stream, 4, outcome_read, &part));
    streampair_run(&pair, &part);
    assert_outcome(part, 0, "abcd");
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
    struct outcome part = { 0 };
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
    accepted(iostream_read_bytes(pair.stream, 4, outcome_read, &part));
    streampair_run(&pair, &part);
    assert_outcome(part, 0, "abcd");
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
    struct outcome cancelled = { 0 }, part = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_until_close_streaming(pair.stream, cancel_in_piece, &cancelled));
    streampair_put(&pair, "a");
    streampair_run(&pair, &cancelled);
    assert_outcome(cancelled, -ECANCELED, "a");
    accepted(iostream_read_bytes(pair.stream, 1, outcome_read, &part));
    streampair_put(&pair, "b");
    streampair_run(&pair, &part);
    assert_outcome(part, 0, "b");
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
    for (int i = 0; i < 9; i++) {
        pair.now += 9;
        streampair_spin(&pair, 2);
    }
    accepted(iostream_read_bytes(pair.stream, 1, outcome_read, &part));
    pair.now += 9.99; /* counted from here */
    streampair_spin(&pair, 2);
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
    cmocka_unit_test(refuses_a_read_beside_a_consumer),
    cmocka_unit_test(cancels_a_read_and_keeps_its_bytes),
    cmocka_unit_test(cancels_a_read_into_memory_and_keeps_its_bytes),
    cmocka_unit_test(cancels_a_streaming_read_from_inside),
    cmocka_unit_test(times_out_when_nothing_comes),
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
