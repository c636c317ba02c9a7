/* Streams that reach their descriptor through a transport from outside, as TLS would. */
#include "ioloop/iostream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "tests/support/faults.h"
#include "tests/support/streampair.h"
#include "tests/support/testing.h"

#define accepted(call) assert_int_equal(call, 0)

/* A transport that can do a few things TLS does. Every byte is changed on the wire. */
struct veil {
    int rounds; /* of the handshake that are left: sends a byte and waits for one, each */
    bool sent_round;
    int failure;        /* what the handshake ends with */
    bool write_to_read; /* before it reads it has to send a byte, */
    bool read_to_write; /* and before it writes to get one */
    size_t most;        /* bytes a read answers at most. 0: all */
    char hidden[20000]; /* read ahead */
    size_t hidden_start, hidden_length;
    int handshakes, reads, shutdowns, closes;
    int closed_fd;
};

enum { VEIL = 0x55 };

static void change(char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] ^= VEIL;
}

static ssize_t veil_receive(int fd, void *buffer, size_t size)
{
    ssize_t count = recv(fd, buffer, size, 0);

    if (count > 0)
        change(buffer, (size_t)count);
    return count < 0 ? -errno : count;
}

static ssize_t veil_read(void *context, int fd, void *buffer, size_t size)
{
    struct veil *veil = context;

    assert_int_equal(veil->rounds, 0);
    assert_true(size > 0);
    veil->reads++;
    if (veil->write_to_read) {
        if (send(fd, "!", 1, MSG_NOSIGNAL) != 1)
            return -EAGAIN;
        veil->write_to_read = false;
    }
    if (veil->hidden_length == 0) {
        ssize_t count = veil_receive(fd, veil->hidden, sizeof veil->hidden);
        if (count <= 0)
            return count;
        veil->hidden_start = 0;
        veil->hidden_length = (size_t)count;
    }
    if (veil->most != 0 && size > veil->most)
        size = veil->most;
    if (size > veil->hidden_length)
        size = veil->hidden_length;
    memcpy(buffer, veil->hidden + veil->hidden_start, size);
    veil->hidden_start += size;
    veil->hidden_length -= size;
    return (ssize_t)size;
}

static ssize_t veil_write(void *context, int fd, const struct iovec *vector, int count)
{
    struct veil *veil = context;
    char bytes[1000], byte;
    size_t length = 0;

    assert_int_equal(veil->rounds, 0);
    assert_true(count > 0);
    if (veil->read_to_write) {
        if (recv(fd, &byte, 1, 0) != 1)
            return -EAGAIN;
        veil->read_to_write = false;
    }
    for (int i = 0; i < count && length < sizeof bytes; i++) {
        size_t part = vector[i].iov_len < sizeof bytes - length ? vector[i].iov_len : sizeof bytes - length;
        memcpy(bytes + length, vector[i].iov_base, part);
        length += part;
    }
    change(bytes, length);
    ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
}

static int veil_handshake(void *context, int fd)
{
    struct veil *veil = context;
    char byte;

    veil->handshakes++;
    for (; veil->rounds > 0; veil->rounds--) {
        if (!veil->sent_round && send(fd, "h", 1, MSG_NOSIGNAL) != 1)
            return -EAGAIN;
        veil->sent_round = true;
        ssize_t count = recv(fd, &byte, 1, 0);
        if (count < 0)
            return -errno;
        if (count == 0)
            return -ECONNRESET;
        veil->sent_round = false;
    }
    if (veil->failure != 0)
        return veil->failure;
    /* The peer's last byte may have come with the first of what follows. */
    ssize_t count = veil->most != 0 ? veil_receive(fd, veil->hidden, sizeof veil->hidden) : 0;
    veil->hidden_start = 0;
    veil->hidden_length = count > 0 ? (size_t)count : 0;
    return 0;
}

static unsigned veil_events(void *context, unsigned wanted)
{
    const struct veil *veil = context;
    unsigned events = wanted;

    if (veil->write_to_read && (wanted & IOLOOP_READ))
        events = (events & ~IOLOOP_READ) | IOLOOP_WRITE;
    if (veil->read_to_write && (wanted & IOLOOP_WRITE))
        events = (events & ~IOLOOP_WRITE) | IOLOOP_READ;
    return events;
}

static int veil_shutdown(void *context, int fd)
{
    struct veil *veil = context;

    veil->shutdowns++;
    return shutdown(fd, SHUT_WR);
}

static void veil_close(void *context, int fd)
{
    struct veil *veil = context;

    assert_true(fcntl(fd, F_GETFD) >= 0);
    veil->closes++;
    veil->closed_fd = fd;
}

static const struct iostream_transport plain_veil = {
    .read = veil_read,
    .write = veil_write,
    .events = veil_events,
    .shutdown = veil_shutdown,
    .close = veil_close,
};

static const struct iostream_transport buffering_veil = {
    .read = veil_read,
    .write = veil_write,
    .events = veil_events,
    .shutdown = veil_shutdown,
    .close = veil_close,
    .buffers = true,
};

static const struct iostream_transport greeting_veil = {
    .read = veil_read,
    .write = veil_write,
    .handshake = veil_handshake,
    .events = veil_events,
    .shutdown = veil_shutdown,
    .close = veil_close,
    .buffers = true,
};

static void open_veiled(struct streampair *pair, const struct iostream_transport *transport, struct veil *veil)
{
    streampair_open(pair, STREAMPAIR_UNIX,
                    &(struct iostream_options){ .transport = transport, .transport_context = veil });
}

static void put_veiled(struct streampair *pair, const char *text)
{
    char bytes[1000];
    size_t length = strlen(text);

    memcpy(bytes, text, length);
    change(bytes, length);
    streampair_put_bytes(pair, bytes, length);
}

/* Any bytes, both ways. */

static void carries_all_kinds_of_reads_and_writes(void **state)
{
    for (int buffers = 0; buffers < 2; buffers++) {
        struct streampair pair;
        struct veil veils[2] = { 0 };
        const struct iostream_transport *transport = buffers ? &buffering_veil : &plain_veil;
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

    open_veiled(&pair, &plain_veil, &veil);
    accepted(iostream_write(pair.stream, "abc", 3, NULL, NULL));
    streampair_expect(&pair, "476");
    streampair_close(&pair);
}

static void frees_its_context_once_before_the_descriptor(void **state)
{
    for (int by_peer = 0; by_peer < 2; by_peer++) {
        struct streampair pair;
        struct veil veil = { 0 };

        open_veiled(&pair, &plain_veil, &veil);
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

    open_veiled(&pair, &buffering_veil, &veil);
    put_veiled(&pair, "one\ntwo two two\nthree\nfour\n");
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
                              &(struct iostream_options){ .transport = &buffering_veil, .transport_context = &veil });
    put_veiled(&pair, "one  two  threefour ");
    for (int i = 0; i < 4; i++) {
        accepted(iostream_read_bytes(pair.stream, 5, outcome_read, &parts[i]));
        streampair_run(&pair, &parts[i]);
        streampair_spin(&pair, 3);
    }
    assert_outcome(parts[0], 0, "one  ");
    assert_outcome(parts[3], 0, "four ");
    streampair_close(&pair);
}

static void finds_the_end_behind_what_the_transport_hides(void **state)
{
    struct streampair pair;
    struct veil veil = { .most = 2 };
    struct outcome all = { 0 };

    open_veiled(&pair, &buffering_veil, &veil);
    put_veiled(&pair, "0123456789");
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

    open_veiled(&pair, &buffering_veil, &veil);
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

    open_veiled(&pair, &plain_veil, &veil);
    accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &line));
    streampair_expect(&pair, "!");
    put_veiled(&pair, "abc\n");
    streampair_run(&pair, &line);
    assert_outcome(line, 0, "abc\n");
    veil.write_to_read = true;
    line = (struct outcome){ 0 };
    accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &line));
    put_veiled(&pair, "def\n");
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
                              &(struct iostream_options){ .transport = &plain_veil, .transport_context = &veil });
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

static void shake_hands(struct streampair *pair, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        streampair_expect(pair, "h");
        streampair_put(pair, "H");
    }
}

static void shakes_hands_before_anything_else(void **state)
{
    struct streampair pair;
    struct veil veil = { .rounds = 3 };
    struct outcome line = { 0 }, written = { 0 };

    open_veiled(&pair, &greeting_veil, &veil);
    accepted(iostream_write(pair.stream, "abc", 3, outcome_end, &written));
    accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &line));
    streampair_spin(&pair, 5);
    assert_int_equal(written.calls, 0);
    shake_hands(&pair, 3);
    streampair_expect(&pair, "476");
    streampair_run(&pair, &written);
    put_veiled(&pair, "def\n");
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
                              &(struct iostream_options){ .transport = &greeting_veil, .transport_context = &veil });
    shake_hands(&pair, 2);
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
            &(struct iostream_options){ .transport = &greeting_veil, .transport_context = &veil });
        if (!read_late)
            accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &line));
        shake_hands(&pair, 1);
        streampair_expect(&pair, "h");
        streampair_put(&pair, "H");
        put_veiled(&pair, "early\n");
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
                              &(struct iostream_options){ .transport = &greeting_veil, .transport_context = &veil });
    iostream_set_close_callback(pair.other, outcome_end, &pair.other_closed);
    accepted(iostream_connect(pair.other, (struct sockaddr *)&address, sizeof address, outcome_end, &connected));
    accepted(iostream_read_until(pair.other, "\n", 0, outcome_read, &line));
    streampair_hang_up(&pair);
    streampair_spin(&pair, 5);
    pair.peer = accept(listener, NULL, NULL);
    accepted(fcntl(pair.peer, F_SETFL, O_NONBLOCK));
    shake_hands(&pair, 2);
    streampair_run(&pair, &connected);
    assert_ended(connected, 0);
    put_veiled(&pair, "abc\n");
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

        open_veiled(&pair, &greeting_veil, &veil);
        accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &read));
        accepted(iostream_write(pair.stream, "abc", 3, outcome_end, &written));
        shake_hands(&pair, 1);
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

    open_veiled(&pair, &greeting_veil, &veil);
    accepted(iostream_shutdown(pair.stream));
    streampair_spin(&pair, 3);
    assert_int_equal(veil.shutdowns, 0);
    shake_hands(&pair, 2);
    streampair_expect_end(&pair);
    assert_int_equal(veil.shutdowns, 1);
    streampair_close(&pair);
}

static void closes_in_the_middle_of_the_handshake(void **state)
{
    struct streampair pair;
    struct veil veil = { .rounds = 2 };
    struct outcome written = { 0 };

    open_veiled(&pair, &greeting_veil, &veil);
    accepted(iostream_write(pair.stream, "abc", 3, outcome_end, &written));
    shake_hands(&pair, 1);
    iostream_close(pair.stream);
    streampair_run(&pair, &pair.closed);
    assert_ended(written, -ECANCELED);
    assert_int_equal(veil.closes, 1);
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
    cmocka_unit_test(reads_what_came_with_the_handshake),
};

STREAMPAIR_MAIN(at_all_sizes, once)
