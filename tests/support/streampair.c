#include "tests/support/streampair.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "tests/support/faults.h"
#include "tests/support/testing.h"
#include "tests/support/wire.h"

static bool is_running;
static int orders;
static size_t io_size; /* bytes a call; 0: any */

/* Outcomes. */

static void note(struct outcome *outcome, int error)
{
    assert_true(is_running);
    outcome->error = error;
    outcome->order = ++orders;
}

static void keep(struct outcome *outcome, const char *data, size_t length)
{
    size_t room = sizeof outcome->data - 1;

    if (outcome->in_pattern)
        assert_true(streampair_is_pattern(data, outcome->place, length));
    outcome->place += length;
    if (outcome->length < room)
        memcpy(outcome->data + outcome->length, data,
               length < room - outcome->length ? length : room - outcome->length);
    outcome->length += length;
}

void outcome_read(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct outcome *outcome = arg;

    note(outcome, error);
    if (length > 0)
        keep(outcome, data, length);
    outcome->calls++;
    outcome->done = true;
}

void outcome_piece(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct outcome *outcome = arg;

    assert_false(outcome->done);
    if (length == 0) {
        outcome_read(stream, error, data, length, arg);
        return;
    }
    assert_int_equal(error, 0);
    note(outcome, error);
    keep(outcome, data, length);
    outcome->pieces++;
}

void outcome_end(struct iostream *stream, int error, void *arg)
{
    outcome_read(stream, error, NULL, 0, arg);
}

void outcome_drain(struct iostream *stream, void *arg)
{
    outcome_read(stream, 0, NULL, 0, arg);
}

void outcome_release(void *data, void *arg)
{
    outcome_read(NULL, 0, NULL, 0, arg);
}

/* Bytes. */

static unsigned char pattern_byte(uint64_t place)
{
    return (unsigned char)(place ^ place >> 8 ^ place >> 16);
}

void streampair_pattern(void *bytes, uint64_t place, size_t length)
{
    unsigned char *byte = bytes;

    for (size_t i = 0; i < length; i++)
        byte[i] = pattern_byte(place + i);
}

bool streampair_is_pattern(const void *bytes, uint64_t place, size_t length)
{
    const unsigned char *byte = bytes;

    for (size_t i = 0; i < length; i++) {
        if (byte[i] != pattern_byte(place + i))
            return false;
    }
    return true;
}

int streampair_file(uint64_t length)
{
    FILE *file = tmpfile();
    char bytes[4096];

    assert_non_null(file);
    for (uint64_t place = 0; place < length; place += sizeof bytes) {
        size_t size = length - place < sizeof bytes ? (size_t)(length - place) : sizeof bytes;
        streampair_pattern(bytes, place, size);
        assert_int_equal(fwrite(bytes, 1, size, file), size);
    }
    fflush(file);
    int fd = dup(fileno(file));
    fclose(file);
    assert_true(fd >= 0);
    return fd;
}

/* Opening. */

static void set_nonblocking(int fd)
{
    assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

static void open_terminal(int fds[2])
{
    struct termios settings;

    fds[0] = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(fds[0] >= 0);
    assert_int_equal(grantpt(fds[0]), 0);
    assert_int_equal(unlockpt(fds[0]), 0);
    fds[1] = open(ptsname(fds[0]), O_RDWR | O_NOCTTY | O_NONBLOCK);
    assert_true(fds[1] >= 0);
    assert_int_equal(tcgetattr(fds[1], &settings), 0);
    settings.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG | IEXTEN);
    settings.c_iflag &= ~(tcflag_t)(ICRNL | INLCR | IXON);
    settings.c_oflag &= ~(tcflag_t)OPOST;
    assert_int_equal(tcsetattr(fds[1], TCSANOW, &settings), 0);
}

static void open_pipe(int fds[2], int mine)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    set_nonblocking(ends[0]);
    set_nonblocking(ends[1]);
    fds[0] = ends[mine];
    fds[1] = ends[1 - mine];
}

static void open_fds(enum streampair_kind kind, int fds[2])
{
    if (kind == STREAMPAIR_UNIX)
        testing_socketpair(fds);
    else if (kind == STREAMPAIR_TCP)
        testing_tcp_pair(fds);
    else if (kind == STREAMPAIR_TERMINAL)
        open_terminal(fds);
    else
        open_pipe(fds, kind == STREAMPAIR_PIPE_OUT);
}

void streampair_open_unwatched(struct streampair *pair, enum streampair_kind kind,
                               const struct iostream_options *options)
{
    int fds[2];

    *pair = (struct streampair){ .now = 1000, .allocated = faults_allocated() };
    orders = 0;
    pair->loop = ioloop_new(&(struct ioloop_options){
        .make_current = IOLOOP_CURRENT_NEVER, .clock = testing_clock, .clock_arg = &pair->now });
    assert_non_null(pair->loop);
    open_fds(kind, fds);
    pair->stream = kind <= STREAMPAIR_TCP ? iostream_new(pair->loop, fds[0], options)
                                          : iostream_new_pipe(pair->loop, fds[0], options);
    assert_non_null(pair->stream);
    pair->peer = fds[1];
    faults_short_io(io_size);
}

void streampair_open(struct streampair *pair, enum streampair_kind kind, const struct iostream_options *options)
{
    streampair_open_unwatched(pair, kind, options);
    iostream_set_close_callback(pair->stream, outcome_end, &pair->closed);
}

void streampair_open_other(struct streampair *pair, const struct iostream_options *options)
{
    pair->other = iostream_new_pipe(pair->loop, pair->peer, options);
    assert_non_null(pair->other);
    iostream_set_close_callback(pair->other, outcome_end, &pair->other_closed);
    pair->peer = -1;
}

void streampair_close_loop(struct streampair *pair)
{
    is_running = true;
    ioloop_close(pair->loop, false);
    is_running = false;
    pair->loop = NULL;
}

void streampair_close(struct streampair *pair)
{
    faults_end();
    if (pair->loop != NULL) {
        if (pair->stream != NULL && !pair->closed.done)
            iostream_close(pair->stream);
        if (pair->other != NULL && !pair->other_closed.done)
            iostream_close(pair->other);
        streampair_spin(pair, 1);
        streampair_close_loop(pair);
    }
    if (pair->peer >= 0)
        streampair_hang_up(pair);
    assert_int_equal(faults_allocated(), pair->allocated);
}

/* Running. */

void streampair_run(struct streampair *pair, const struct outcome *outcome)
{
    is_running = true;
    testing_run_until(pair->loop, &outcome->done);
    is_running = false;
}

void streampair_spin(struct streampair *pair, int iterations)
{
    is_running = true;
    testing_spin(pair->loop, iterations);
    is_running = false;
}

static void turn(struct streampair *pair)
{
    is_running = true;
    testing_turn(pair->loop, pair->peer);
    is_running = false;
}

/* The peer. */

void streampair_put_bytes(struct streampair *pair, const void *bytes, size_t length)
{
    const char *rest = bytes;

    while (length > 0) {
        ssize_t count = write(pair->peer, rest, length);
        assert_true(count > 0);
        rest += count;
        length -= (size_t)count;
    }
    testing_deliver();
}

void streampair_put(struct streampair *pair, const char *text)
{
    streampair_put_bytes(pair, text, strlen(text));
}

long streampair_take(struct streampair *pair, void *bytes, size_t size)
{
    ssize_t count = read(pair->peer, bytes, size);

    if (count < 0 && errno == EAGAIN)
        return 0;
    return count > 0 ? (long)count : -1;
}

void streampair_read(struct streampair *pair, const char *text)
{
    struct outcome bytes = { 0 };

    accepted(iostream_read_bytes(pair->stream, strlen(text), outcome_read, &bytes));
    streampair_run(pair, &bytes);
    assert_ended(bytes, 0);
    assert_string_equal(bytes.data, text);
    assert_int_equal(bytes.length, strlen(text));
}

void streampair_expect(struct streampair *pair, const char *text)
{
    size_t length = strlen(text), got = 0;
    char *bytes = calloc(1, length + 2);

    assert_non_null(bytes);
    while (got < length) {
        long count = streampair_take(pair, bytes + got, length + 1 - got);
        assert_true(count >= 0);
        got += (size_t)count;
        if (count == 0)
            turn(pair);
    }
    assert_string_equal(bytes, text);
    free(bytes);
}

void streampair_expect_pattern(struct streampair *pair, uint64_t place, uint64_t length)
{
    static char bytes[65536];

    while (length > 0) {
        long count = streampair_take(pair, bytes, length < sizeof bytes ? (size_t)length : sizeof bytes);
        assert_true(count >= 0);
        assert_true(streampair_is_pattern(bytes, place, (size_t)count));
        place += (uint64_t)count;
        length -= (uint64_t)count;
        streampair_spin(pair, 1);
        if (count == 0)
            turn(pair);
    }
}

void streampair_expect_end(struct streampair *pair)
{
    char byte;

    for (long count; (count = streampair_take(pair, &byte, 1)) >= 0;) {
        assert_int_equal(count, 0);
        turn(pair);
    }
}

void streampair_hang_up(struct streampair *pair)
{
    close(pair->peer);
    testing_deliver();
    pair->peer = -1;
}

void streampair_reset(struct streampair *pair)
{
    wire_reset_at_close(pair->peer);
    streampair_hang_up(pair);
}

void streampair_narrow(struct streampair *pair)
{
    int least = 1, small = 32768; /* with less, TCP waits for its timers */

    assert_int_equal(setsockopt(iostream_fd(pair->stream), SOL_SOCKET, SO_SNDBUF, &least, sizeof least), 0);
    assert_int_equal(setsockopt(pair->peer, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
}

uint64_t streampair_fill(struct streampair *pair)
{
    uint64_t place = 0;
    char bytes[1024];

    while (iostream_pending(pair->stream) == 0) {
        streampair_pattern(bytes, place, sizeof bytes);
        assert_int_equal(iostream_write(pair->stream, bytes, sizeof bytes, NULL, NULL), 0);
        place += sizeof bytes;
    }
    return place;
}

/* Running tests. */

struct sized_test {
    const struct CMUnitTest *test;
    size_t size;
    char name[160];
};

static void run_sized(void **state)
{
    const struct sized_test *sized = *state;

    io_size = sized->size;
    sized->test->test_func(state);
}

static struct CMUnitTest make_sized(struct sized_test *sized, const struct CMUnitTest *test, size_t size)
{
    *sized = (struct sized_test){ .test = test, .size = size };
    snprintf(sized->name, sizeof sized->name, size != 0 ? "%s, %zu at a time" : "%s", test->name, size);
    return (struct CMUnitTest){ .name = sized->name, .test_func = run_sized, .initial_state = sized };
}

int streampair_main(const char *group, const struct CMUnitTest *at_all_sizes, size_t all_count,
                    const struct CMUnitTest *once, size_t once_count)
{
    static const size_t sizes[] = { 0, 1, 3 };
    size_t count = 0, total = 3 * all_count + once_count;
    struct CMUnitTest *tests = calloc(total, sizeof *tests);
    struct sized_test *sized = calloc(total, sizeof *sized);

    if (tests == NULL || sized == NULL)
        return 2;
    for (size_t i = 0; i < all_count; i++) {
        for (size_t size = 0; size < 3; size++, count++)
            tests[count] = make_sized(&sized[count], &at_all_sizes[i], sizes[size]);
    }
    for (size_t i = 0; i < once_count; i++, count++)
        tests[count] = make_sized(&sized[count], &once[i], 0);
    int result = testing_run(group, tests, total);
    free(sized);
    free(tests);
    return result;
}
