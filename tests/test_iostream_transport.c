/* Streams that reach their descriptor through a transport from outside, as TLS would. */
#include "ioloop/iostream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "tests/support/faults.h"
#include "tests/support/streampair.h"
#include "tests/support/testing.h"
#include "tests/support/veil.h"

static void open_veiled(struct streampair *pair, const struct iostream_transport *transport, struct veil *veil)
{
    streampair_open(pair, STREAMPAIR_UNIX,
                    &(struct iostream_options){ .transport = transport, .transport_context = veil });
}

/* Any bytes, both ways. */

static void carries_all_kinds_of_reads_and_writes(void **state)
{
    for (int buffers = 0; buffers < 2; buffers++) {
        struct streampair pair;
        struct veil veils[2] = { 0 };
        const struct iostream_transport *transport = buffers ? &veil_buffering : &veil_plain;
        struct outcome parts[4] = { { .in_pattern = true, .place = 0 },
                                    { .in_pattern = true, .place = 100 },
                                    { .in_pattern = true, .place = 250 },
                                    { .in_pattern = true, .place = 300 } };
        struct outcome written = { 0 };
        char memory[150], *bytes = malloc(100000);

        streampair_pattern(bytes, 0, 100000);
        open_veiled(&pair, transport, &veils[0]);
        streampair_open_other(&pair,
                              &(struct iostream_options){ .transport = transport, .transport_context = &veils[1] });
        struct iovec vector[2] = { { bytes, 30 }, { bytes + 30, 300 } };
        accepted(iostream_writev(pair.other, vector, 2, NULL, NULL));
        accepted(iostream_write(pair.other, bytes + 330, 100000 - 330, outcome_end, &written));
        accepted(iostream_shutdown(pair.other));
        accepted(iostream_read_bytes(pair.stream, 100, outcome_read, &parts[0]));
        streampair_run(&pair, &parts[0]);
        accepted(iostream_read_into(pair.stream, memory, 150, outcome_read, &parts[1]));
        streampair_run(&pair, &parts[1]);
        accepted(iostream_read_bytes_streaming(pair.stream, 50, outcome_piece, &parts[2]));
        streampair_run(&pair, &parts[2]);
        accepted(iostream_read_until_close(pair.stream, 0, outcome_read, &parts[3]));
        streampair_run(&pair, &pair.closed);
        assert_int_equal(parts[3].length, 100000 - 300);
        assert_ended(parts[3], 0);
        assert_ended(written, 0);
        assert_int_equal(veils[1].shutdowns, 1);
        free(bytes);
        streampair_close(&pair);
    }
}

static void changes_every_byte_on_the_wire(void **state)
{
    struct streampair pair;
    struct veil veil = { 0 };

    open_veiled(&pair, &veil_plain, &veil);
    accepted(iostream_write(pair.stream, "abc", 3, NULL, NULL));
    streampair_expect(&pair, "476");
    streampair_close(&pair);
}

static void frees_its_context_once_before_the_descriptor(void **state)
{
    for (int by_peer = 0; by_peer < 2; by_peer++) {
        struct streampair pair;
        struct veil veil = { 0 };

        open_veiled(&pair, &veil_plain, &veil);
        int fd = iostream_fd(pair.stream);
        if (by_peer) {
            streampair_hang_up(&pair);
            streampair_run(&pair, &pair.closed);
        } else {
            iostream_close(pair.stream);
            iostream_close(pair.stream);
        }
        streampair_spin(&pair, 2);
        assert_int_equal(veil.closes, 1);
        assert_int_equal(veil.closed_fd, fd);
        streampair_close(&pair);
    }
}

/* Bytes that only the transport knows of. */

static void reads_what_the_transport_hides(void **state)
{
    struct streampair pair;
    struct veil veil = { .most = 3 };
    struct outcome lines[4] = { 0 };

    open_veiled(&pair, &veil_buffering, &veil);
    veil_put(&pair, "one\ntwo two two\nthree\nfour\n");
    for (int i = 0; i < 4; i++) {
        accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &lines[i]));
        streampair_run(&pair, &lines[i]);
    }
    assert_outcome(lines[0], 0, "one\n");
    assert_outcome(lines[1], 0, "two two two\n");
    assert_outcome(lines[2], 0, "three\n");
    assert_outcome(lines[3], 0, "four\n");
    streampair_close(&pair);
}

/* The same without a close callback, so that nothing is received while nobody reads. */
static void reads_on_what_the_transport_hides_after_a_pause(void **state)
{
    struct streampair pair;
    struct veil veil = { .most = 5 };
    struct outcome parts[4] = { 0 };

    streampair_open_unwatched(&pair, STREAMPAIR_UNIX,
                              &(struct iostream_options){ .transport = &veil_buffering, .transport_context = &veil });
    veil_put(&pair, "one  two  threefour ");
    for (int i = 0; i < 4; i++) {
        accepted(iostream_read_bytes(pair.stream, 5, outcome_read, &parts[i]));
        streampair_run(&pair, &parts[i]);
        streampair_spin(&pair, 3);
    }
    assert_outcome(parts[0], 0, "one  ");
    assert_outcome(parts[3], 0, "four ");
    streampair_close(&pair);
}

static size_t write_back(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    if (error == 0)
        accepted(iostream_write(stream, data, length, NULL, NULL));
    return length;
}

/* Of an echo, whose peer sends and does not read: at last the transport has all that came, and the kernel nothing. */
static void leaves_hidden_what_comes_while_it_is_held_back(void **state)
{
    struct streampair pair;
    struct veil veil = { .most = 1000 };
    char bytes[sizeof veil.hidden];
    uint64_t sent = 0;
    int in_kernel;

    streampair_open(
        &pair, STREAMPAIR_UNIX,
        &(struct iostream_options){ .transport = &veil_buffering, .transport_context = &veil, .hold_back = true });
    accepted(iostream_set_consumer(pair.stream, write_back, NULL));
    while (iostream_pending(pair.stream) <= 262144) {
        streampair_pattern(bytes, sent, sizeof bytes);
        streampair_put_bytes(&pair, bytes, sizeof bytes);
        sent += sizeof bytes;
        for (int i = 0; i < 10 && iostream_pending(pair.stream) <= 262144; i++)
            streampair_spin(&pair, 1);
    }
    streampair_spin(&pair, 3);
    assert_int_equal(ioctl(iostream_fd(pair.stream), FIONREAD, &in_kernel), 0);
    assert_int_equal(in_kernel, 0);
    assert_true(veil.hidden_length > 0);
    assert_true(ioloop_next_timeout(pair.loop) < 0); /* nothing to do */
    streampair_expect_pattern(&pair, 0, sent);
    streampair_close(&pair);
}

static void finds_the_end_behind_what_the_transport_hides(void **state)
{
    struct streampair pair;
    struct veil veil = { .most = 2 };
    struct outcome all = { 0 };

    open_veiled(&pair, &veil_buffering, &veil);
    veil_put(&pair, "0123456789");
    streampair_hang_up(&pair);
    accepted(iostream_read_until_close(pair.stream, 0, outcome_read, &all));
    streampair_run(&pair, &pair.closed);
    assert_outcome(all, 0, "0123456789");
    streampair_close(&pair);
}

static size_t count_bytes(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    *(size_t *)arg += length;
    return length;
}

/* Much that is hidden does not keep the loop for itself. */
static void shares_the_loop_while_it_takes_what_is_hidden(void **state)
{
    struct streampair pair;
    struct veil veil = { .most = 1 };
    size_t got = 0;
    char bytes[1000] = { 0 };

    open_veiled(&pair, &veil_buffering, &veil);
    accepted(iostream_set_consumer(pair.stream, count_bytes, &got));
    streampair_put_bytes(&pair, bytes, sizeof bytes);
    streampair_spin(&pair, 1);
    while (got < sizeof bytes) {
        size_t before = got;
        streampair_spin(&pair, 1);
        assert_in_range(got - before, 1, 16);
    }
    streampair_close(&pair);
}

/* What it waits for is its own affair. */

static void sends_before_it_can_read(void **state)
{
    struct streampair pair;
    struct veil veil = { .write_to_read = true };
    struct outcome line = { 0 };

    open_veiled(&pair, &veil_plain, &veil);
    accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &line));
    streampair_expect(&pair, "!");
    veil_put(&pair, "abc\n");
    streampair_run(&pair, &line);
    assert_outcome(line, 0, "abc\n");
    veil.write_to_read = true;
    line = (struct outcome){ 0 };
    accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &line));
    veil_put(&pair, "def\n");
    streampair_run(&pair, &line);
    assert_outcome(line, 0, "def\n");
    streampair_close(&pair);
}

static void receives_before_it_can_write(void **state)
{
    struct streampair pair;
    struct veil veil = { .read_to_write = true };
    struct outcome written = { 0 };

    streampair_open_unwatched(&pair, STREAMPAIR_UNIX,
                              &(struct iostream_options){ .transport = &veil_plain, .transport_context = &veil });
    accepted(iostream_write(pair.stream, "abc", 3, outcome_end, &written));
    int handlers = 0;
    for (int i = 0; i < 20; i++)
        handlers += ioloop_run_once(pair.loop, 0.001);
    assert_in_range(handlers, 0, 1);
    assert_int_equal(written.calls, 0);
    streampair_put(&pair, "k");
    streampair_run(&pair, &written);
    assert_ended(written, 0);
    streampair_expect(&pair, "476");
    streampair_close(&pair);
}

/* The handshake. */

static void shakes_hands_before_anything_else(void **state)
{
    struct streampair pair;
    struct veil veil = { .rounds = 3 };
    struct outcome line = { 0 }, written = { 0 };

    open_veiled(&pair, &veil_greeting, &veil);
    accepted(iostream_write(pair.stream, "abc", 3, outcome_end, &written));
    accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &line));
    streampair_spin(&pair, 5);
    assert_int_equal(written.calls, 0);
    veil_shake_hands(&pair, 3);
    streampair_expect(&pair, "476");
    streampair_run(&pair, &written);
    veil_put(&pair, "def\n");
    streampair_run(&pair, &line);
    assert_outcome(line, 0, "def\n");
    assert_in_range(veil.handshakes, 3, 8);
    streampair_close(&pair);
}

static void shakes_hands_without_being_asked_for_anything(void **state)
{
    struct streampair pair;
    struct veil veil = { .rounds = 2 };

    streampair_open_unwatched(&pair, STREAMPAIR_UNIX,
                              &(struct iostream_options){ .transport = &veil_greeting, .transport_context = &veil });
    veil_shake_hands(&pair, 2);
    streampair_spin(&pair, 3);
    assert_int_equal(veil.rounds, 0);
    streampair_close(&pair);
}

/* The first bytes came with the peer's last word of the handshake: the kernel has nothing left to tell. */
static void reads_what_came_with_the_handshake(void **state)
{
    for (int read_late = 0; read_late < 2; read_late++) {
        struct streampair pair;
        struct veil veil = { .rounds = 2, .most = 1000 };
        struct outcome line = { 0 };

        streampair_open_unwatched(
            &pair, STREAMPAIR_UNIX,
            &(struct iostream_options){ .transport = &veil_greeting, .transport_context = &veil });
        if (!read_late)
            accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &line));
        veil_shake_hands(&pair, 1);
        streampair_expect(&pair, "h");
        streampair_put(&pair, "H");
        veil_put(&pair, "early\n");
        streampair_spin(&pair, 5);
        assert_int_equal(veil.rounds, 0);
        if (read_late)
            accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &line));
        streampair_run(&pair, &line);
        assert_outcome(line, 0, "early\n");
        streampair_close(&pair);
    }
}

/* While it connects, what the transport would wait for does not matter yet. */
static void connects_before_it_shakes_hands(void **state)
{
    struct streampair pair;
    struct veil veil = { .rounds = 2, .read_to_write = true };
    struct outcome connected = { 0 }, line = { 0 };
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    accepted(bind(listener, (struct sockaddr *)&address, sizeof address));
    accepted(getsockname(listener, (struct sockaddr *)&address, &length));
    accepted(listen(listener, 1));
    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    pair.other = iostream_new(pair.loop, socket(AF_INET, SOCK_STREAM, 0),
                              &(struct iostream_options){ .transport = &veil_greeting, .transport_context = &veil });
    iostream_set_close_callback(pair.other, outcome_end, &pair.other_closed);
    accepted(iostream_connect(pair.other, (struct sockaddr *)&address, sizeof address, outcome_end, &connected));
    accepted(iostream_read_until(pair.other, "\n", 0, outcome_read, &line));
    streampair_hang_up(&pair);
    streampair_spin(&pair, 5);
    pair.peer = accept(listener, NULL, NULL);
    accepted(fcntl(pair.peer, F_SETFL, O_NONBLOCK));
    veil_shake_hands(&pair, 2);
    streampair_run(&pair, &connected);
    assert_ended(connected, 0);
    veil_put(&pair, "abc\n");
    streampair_run(&pair, &line);
    assert_outcome(line, 0, "abc\n");
    close(listener);
    streampair_close(&pair);
}

static void tells_everybody_that_the_handshake_failed(void **state)
{
    for (int hang_up = 0; hang_up < 2; hang_up++) {
        struct streampair pair;
        struct veil veil = { .rounds = 2, .failure = -EPROTO };
        struct outcome read = { 0 }, written = { 0 };
        int error = hang_up ? -ECONNRESET : -EPROTO;

        open_veiled(&pair, &veil_greeting, &veil);
        accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &read));
        accepted(iostream_write(pair.stream, "abc", 3, outcome_end, &written));
        veil_shake_hands(&pair, 1);
        streampair_expect(&pair, "h");
        if (hang_up)
            streampair_hang_up(&pair);
        else
            streampair_put(&pair, "H");
        streampair_run(&pair, &pair.closed);
        assert_ended(read, error);
        assert_ended(written, error);
        assert_ended(pair.closed, error);
        assert_int_equal(veil.closes, 1);
        streampair_close(&pair);
    }
}

static void shuts_down_after_the_handshake(void **state)
{
    struct streampair pair;
    struct veil veil = { .rounds = 2 };

    open_veiled(&pair, &veil_greeting, &veil);
    accepted(iostream_shutdown(pair.stream));
    streampair_spin(&pair, 3);
    assert_int_equal(veil.shutdowns, 0);
    veil_shake_hands(&pair, 2);
    streampair_expect_end(&pair);
    assert_int_equal(veil.shutdowns, 1);
    streampair_close(&pair);
}

static void closes_in_the_middle_of_the_handshake(void **state)
{
    struct streampair pair;
    struct veil veil = { .rounds = 2 };
    struct outcome written = { 0 };

    open_veiled(&pair, &veil_greeting, &veil);
    accepted(iostream_write(pair.stream, "abc", 3, outcome_end, &written));
    veil_shake_hands(&pair, 1);
    iostream_close(pair.stream);
    streampair_run(&pair, &pair.closed);
    assert_ended(written, -ECANCELED);
    assert_int_equal(veil.closes, 1);
    streampair_close(&pair);
}

/* The last word may have to wait, too. */
static void shuts_down_as_soon_as_the_transport_can(void **state)
{
    for (int busy = 0; busy < 4; busy++) {
        struct streampair pair;
        struct veil veil = { .busy = busy };

        open_veiled(&pair, &veil_plain, &veil);
        accepted(iostream_write(pair.stream, "abc", 3, NULL, NULL));
        accepted(iostream_shutdown(pair.stream));
        accepted(iostream_shutdown(pair.stream));
        streampair_expect(&pair, "476");
        streampair_expect_end(&pair);
        assert_int_equal(veil.shutdowns, busy + 1);
        streampair_spin(&pair, 2);
        assert_int_equal(ioloop_run_once(pair.loop, 0.001), 0); /* nothing is waited for any more */
        streampair_close(&pair);
    }
}

/* It takes 1000 bytes a call: that it takes no more does not mean that the kernel does not. */
static void goes_on_after_a_short_write(void **state)
{
    struct streampair pair;
    struct veil veil = { 0 };
    struct outcome written = { 0 };
    char bytes[10000] = { 0 };

    open_veiled(&pair, &veil_plain, &veil);
    accepted(iostream_write(pair.stream, bytes, sizeof bytes, outcome_end, &written));
    streampair_spin(&pair, 1);
    assert_int_equal(iostream_pending(pair.stream), 0);
    assert_int_equal(streampair_take(&pair, bytes, sizeof bytes), sizeof bytes);
    streampair_run(&pair, &written);
    streampair_close(&pair);
}

static void waits_for_no_shutdown_that_it_cannot_do_yet(void **state)
{
    struct streampair pair;
    struct veil veil = { .busy = 1 };

    open_veiled(&pair, &veil_plain, &veil);
    iostream_cork(pair.stream);
    accepted(iostream_write(pair.stream, "abc", 3, NULL, NULL));
    accepted(iostream_shutdown(pair.stream));
    streampair_spin(&pair, 2);
    assert_int_equal(ioloop_run_once(pair.loop, 0.001), 0);
    iostream_uncork(pair.stream);
    streampair_expect(&pair, "476");
    streampair_expect_end(&pair);
    assert_int_equal(veil.shutdowns, 2);
    streampair_close(&pair);
}

/* Then the peer learns of the end when the stream closes. */
static void needs_no_shutdown_of_its_transport(void **state)
{
    struct iostream_transport transport = { .read = veil_plain.read, .write = veil_plain.write };
    struct streampair pair;
    struct veil veil = { 0 };

    open_veiled(&pair, &transport, &veil);
    accepted(iostream_write(pair.stream, "abc", 3, NULL, NULL));
    accepted(iostream_shutdown(pair.stream));
    streampair_expect(&pair, "476");
    assert_int_equal(iostream_write(pair.stream, "abc", 3, NULL, NULL), -EPIPE);
    iostream_close(pair.stream);
    streampair_expect_end(&pair);
    streampair_close(&pair);
}

static const struct CMUnitTest at_all_sizes[] = {
    cmocka_unit_test(changes_every_byte_on_the_wire),
    cmocka_unit_test(frees_its_context_once_before_the_descriptor),
    cmocka_unit_test(reads_what_the_transport_hides),
    cmocka_unit_test(reads_on_what_the_transport_hides_after_a_pause),
    cmocka_unit_test(finds_the_end_behind_what_the_transport_hides),
    cmocka_unit_test(sends_before_it_can_read),
    cmocka_unit_test(receives_before_it_can_write),
    cmocka_unit_test(shakes_hands_before_anything_else),
    cmocka_unit_test(shakes_hands_without_being_asked_for_anything),
    cmocka_unit_test(connects_before_it_shakes_hands),
    cmocka_unit_test(tells_everybody_that_the_handshake_failed),
    cmocka_unit_test(shuts_down_after_the_handshake),
    cmocka_unit_test(closes_in_the_middle_of_the_handshake),
};

static const struct CMUnitTest once[] = {
    cmocka_unit_test(carries_all_kinds_of_reads_and_writes),
    cmocka_unit_test(shares_the_loop_while_it_takes_what_is_hidden),
    cmocka_unit_test(leaves_hidden_what_comes_while_it_is_held_back),
    cmocka_unit_test(reads_what_came_with_the_handshake),
    cmocka_unit_test(shuts_down_as_soon_as_the_transport_can),
    cmocka_unit_test(goes_on_after_a_short_write),
    cmocka_unit_test(waits_for_no_shutdown_that_it_cannot_do_yet),
    cmocka_unit_test(needs_no_shutdown_of_its_transport),
};

STREAMPAIR_MAIN(at_all_sizes, once)
