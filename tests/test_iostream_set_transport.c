/* A transport that is put on an open stream, as start_tls does. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "ioloop/iostream.h"
#include "tests/support/faults.h"
#include "tests/support/streampair.h"
#include "tests/support/testing.h"
#include "tests/support/veil.h"

static void open_with_transport(struct streampair *pair, const struct iostream_transport *transport, struct veil *veil)
{
    streampair_open(pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_set_transport(pair->stream, transport, veil));
}

/* TestIOStreamStartTLS: iostream_test:test_start_tls_smtp */
static void talks_plainly_until_a_transport_is_put_on(void **state)
{
    struct streampair pair;
    struct veil veil = { .rounds = 2 };
    struct outcome plain = { 0 }, begun = { 0 }, line = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_write(pair.stream, "plain", 5, NULL, NULL));
    streampair_expect(&pair, "plain");
    accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &plain));
    streampair_put(&pair, "go on\n");
    streampair_run(&pair, &plain);
    accepted(iostream_set_transport(pair.stream, &veil_greeting, &veil));
    accepted(iostream_write(pair.stream, NULL, 0, outcome_end, &begun));
    accepted(iostream_write(pair.stream, "abc", 3, NULL, NULL));
    accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &line));
    veil_shake_hands(&pair, 1);
    assert_int_equal(begun.calls, 0);
    veil_shake_hands(&pair, 1);
    streampair_expect(&pair, "476");
    streampair_run(&pair, &begun);
    assert_ended(begun, 0);
    veil_put(&pair, "def\n");
    streampair_run(&pair, &line);
    assert_outcome(plain, 0, "go on\n");
    assert_outcome(line, 0, "def\n");
    streampair_close(&pair);
    assert_int_equal(veil.closes, 1);
}

/* The moment that counts: the peer has said yes, and its answer is being read. */
struct upgrade {
    const struct iostream_transport *transport;
    struct veil *veil;
    struct outcome line;
    size_t takes; /* of a consumer; 0: a read */
    bool reads_nothing_first;
    struct outcome nothing;
};

static void put_on(struct iostream *stream, struct upgrade *upgrade)
{
    accepted(iostream_set_transport(stream, upgrade->transport, upgrade->veil));
    assert_int_equal(iostream_set_transport(stream, upgrade->transport, upgrade->veil), -EBUSY);
    accepted(iostream_write(stream, "abc", 3, NULL, NULL));
    if (upgrade->reads_nothing_first)
        accepted(iostream_read_bytes(stream, 0, outcome_read, &upgrade->nothing));
    else
        accepted(iostream_read_until(stream, "\n", 0, outcome_read, &upgrade->line));
}

static void put_on_after_read(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    assert_int_equal(error, 0);
    put_on(stream, arg);
}

static size_t put_on_after_some(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct upgrade *upgrade = arg;

    if (length < upgrade->takes)
        return 0;
    accepted(iostream_set_consumer(stream, NULL, NULL));
    put_on(stream, upgrade);
    return upgrade->takes;
}

static void is_put_on_by_what_reads(void **state)
{
    static const struct {
        const struct iostream_transport *transport;
        size_t takes;
        bool in_parts, unwatched;
    } cases[] = {
        { &veil_greeting, 0, false, false },  { &veil_greeting, 0, true, false }, { &veil_greeting, 4, false, false },
        { &veil_greeting, 4, true, false },   { &veil_plain, 0, false, false },   { &veil_plain, 4, true, false },
        { &veil_buffering, 4, false, false }, { &veil_plain, 0, true, true },     { &veil_greeting, 0, false, true },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct streampair pair;
        struct veil veil = { .rounds = cases[i].transport == &veil_greeting ? 2 : 0 };
        struct upgrade upgrade = { .transport = cases[i].transport, .veil = &veil, .takes = cases[i].takes };
        int rounds = veil.rounds;

        (cases[i].unwatched ? streampair_open_unwatched : streampair_open)(&pair, STREAMPAIR_UNIX, NULL);
        if (upgrade.takes > 0)
            accepted(iostream_set_consumer(pair.stream, put_on_after_some, &upgrade));
        else
            accepted(iostream_read_until(pair.stream, "\r\n", 0, put_on_after_read, &upgrade));
        streampair_put(&pair, cases[i].in_parts ? "2" : "20\r\n");
        streampair_spin(&pair, 5);
        if (cases[i].in_parts)
            streampair_put(&pair, "0\r\n");
        veil_shake_hands(&pair, rounds);
        streampair_expect(&pair, "476");
        veil_put(&pair, "def\n");
        streampair_run(&pair, &upgrade.line);
        assert_outcome(upgrade.line, 0, "def\n");
        streampair_close(&pair);
    }
}

/* Whoever sits between could put in words of its own before the handshake, which would be taken for the peer's. */
static void takes_nothing_that_was_said_before_the_handshake(void **state)
{
    static const struct {
        const struct iostream_transport *transport;
        const char *before, *text;
        size_t takes;
    } cases[] = {
        { &veil_greeting, "", "20\r\ndef\n", 0 }, { &veil_greeting, "2", "0\r\ndef\n", 0 },
        { &veil_greeting, "", "20\r\nd", 4 },     { &veil_greeting, "2", "0\r\ndef\n", 4 },
        { &veil_plain, "", "20\r\ndef\n", 0 },    { &veil_plain, "2", "0\r\ndef\n", 0 },
        { &veil_plain, "", "20\r\nd", 4 },        { &veil_buffering, "2", "0\r\ndef\n", 4 },
    };

    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        struct streampair pair;
        struct veil veil = { 0 };
        struct upgrade upgrade = { .transport = cases[i / 2].transport,
                                   .veil = &veil,
                                   .takes = cases[i / 2].takes,
                                   .reads_nothing_first = i % 2 };

        streampair_open(&pair, STREAMPAIR_UNIX, NULL);
        if (upgrade.takes > 0)
            accepted(iostream_set_consumer(pair.stream, put_on_after_some, &upgrade));
        else
            accepted(iostream_read_until(pair.stream, "\r\n", 0, put_on_after_read, &upgrade));
        streampair_put(&pair, cases[i / 2].before);
        streampair_spin(&pair, 3);
        streampair_put(&pair, cases[i / 2].text);
        streampair_run(&pair, &pair.closed);
        assert_ended(pair.closed, -EPROTO);
        assert_int_equal(upgrade.line.length + upgrade.nothing.length, 0);
        if (!upgrade.reads_nothing_first)
            assert_ended(upgrade.line, -EPROTO);
        assert_int_equal(veil.handshakes, 0);
        assert_int_equal(veil.closes, 1);
        streampair_close(&pair);
    }
}

/* WaitForHandshakeTest: iostream_test:test_wait_for_handshake_future */
static void reads_nothing_at_once_after_the_handshake(void **state)
{
    struct streampair pair;
    struct veil veil = { .rounds = 1 };
    struct outcome nothing = { 0 };

    open_with_transport(&pair, &veil_greeting, &veil);
    accepted(iostream_read_bytes(pair.stream, 0, outcome_read, &nothing));
    streampair_spin(&pair, 3);
    assert_int_equal(nothing.calls, 0);
    veil_shake_hands(&pair, 1);
    streampair_run(&pair, &nothing);
    assert_outcome(nothing, 0, "");
    streampair_close(&pair);
}

/* TestIOStreamStartTLS: iostream_test:test_handshake_fail */
static void tells_everybody_that_a_later_handshake_failed(void **state)
{
    struct streampair pair;
    struct veil veil = { .rounds = 1, .failure = -EPROTO };
    struct outcome begun = { 0 }, read = { 0 };

    open_with_transport(&pair, &veil_greeting, &veil);
    accepted(iostream_write(pair.stream, NULL, 0, outcome_end, &begun));
    accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &read));
    veil_shake_hands(&pair, 1);
    streampair_run(&pair, &pair.closed);
    assert_ended(begun, -EPROTO);
    assert_ended(read, -EPROTO);
    assert_ended(pair.closed, -EPROTO);
    assert_int_equal(veil.closes, 1);
    streampair_close(&pair);
}

static size_t count_bytes(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    *(size_t *)arg += length;
    return length;
}

static void refuses_a_transport_in_the_middle_of_something(void **state)
{
    enum { READS, CONSUMES, UNREAD, UNSENT, CORKED, SHUTS_DOWN, HAS_ONE, ENDED, CLOSED, CASES };

    for (int what = READS; what < CASES; what++) {
        struct streampair pair;
        struct veil veil = { 0 };
        struct outcome line = { 0 };
        size_t got = 0;
        int error = what == CLOSED ? -EBADF : what == ENDED ? -ESHUTDOWN : -EBUSY;

        streampair_open(&pair, STREAMPAIR_UNIX, &(struct iostream_options){ .half_close = true });
        if (what == READS)
            accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &line));
        if (what == CONSUMES)
            accepted(iostream_set_consumer(pair.stream, count_bytes, &got));
        if (what == UNREAD) {
            accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &line));
            streampair_put(&pair, "line\nand more");
            streampair_run(&pair, &line);
        }
        if (what == UNSENT)
            assert_true(streampair_fill(&pair) > 0);
        if (what == CORKED) {
            iostream_cork(pair.stream);
            accepted(iostream_write(pair.stream, "a", 1, NULL, NULL));
        }
        if (what == SHUTS_DOWN)
            accepted(iostream_shutdown(pair.stream));
        if (what == HAS_ONE)
            accepted(iostream_set_transport(pair.stream, &veil_plain, &veil));
        if (what == ENDED) {
            accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &line));
            accepted(shutdown(pair.peer, SHUT_WR));
            streampair_run(&pair, &line);
        }
        if (what == CLOSED)
            iostream_close(pair.stream);
        assert_int_equal(iostream_set_transport(pair.stream, &veil_plain, &veil), error);
        assert_int_equal(veil.closes, 0);
        streampair_close(&pair);
        assert_int_equal(veil.closes, what == HAS_ONE);
    }
}

static size_t write_then_put_on(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    accepted(iostream_set_consumer(stream, NULL, NULL));
    accepted(iostream_write(stream, "yes", 3, NULL, NULL));
    *(int *)arg = iostream_set_transport(stream, &veil_plain, NULL);
    return length;
}

/* What waits in the loop's cork is not sent yet. */
static void refuses_a_transport_behind_what_is_not_sent_yet(void **state)
{
    struct streampair pair;
    int result = 1;

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_set_consumer(pair.stream, write_then_put_on, &result));
    streampair_put(&pair, "?");
    streampair_expect(&pair, "yes");
    assert_int_equal(result, -EBUSY);
    streampair_close(&pair);
}

/* A Unix socket is connected at once, TCP may not be; the program has heard of neither. */
static void refuses_a_transport_before_it_is_connected(void **state)
{
    static const int families[] = { AF_UNIX, AF_INET };

    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        struct streampair pair;
        struct veil veil = { 0 };
        struct outcome connected = { 0 };
        struct sockaddr_storage address = { .ss_family = (sa_family_t)families[i] };
        socklen_t length = families[i] == AF_INET ? sizeof(struct sockaddr_in) : sizeof(sa_family_t);
        int listener = socket(families[i], SOCK_STREAM, 0);

        if (families[i] == AF_INET)
            ((struct sockaddr_in *)&address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        accepted(bind(listener, (struct sockaddr *)&address, length));
        length = sizeof address;
        accepted(getsockname(listener, (struct sockaddr *)&address, &length));
        accepted(listen(listener, 1));
        streampair_open(&pair, STREAMPAIR_UNIX, NULL);
        pair.other = iostream_new(pair.loop, socket(families[i], SOCK_STREAM, 0), NULL);
        iostream_set_close_callback(pair.other, outcome_end, &pair.other_closed);
        accepted(iostream_connect(pair.other, (struct sockaddr *)&address, length, outcome_end, &connected));
        assert_int_equal(iostream_set_transport(pair.other, &veil_plain, &veil), -EBUSY);
        streampair_run(&pair, &connected);
        accepted(iostream_set_transport(pair.other, &veil_plain, &veil));
        streampair_hang_up(&pair);
        pair.peer = accept(listener, NULL, NULL);
        accepted(fcntl(pair.peer, F_SETFL, O_NONBLOCK));
        accepted(iostream_write(pair.other, "abc", 3, NULL, NULL));
        streampair_expect(&pair, "476");
        close(listener);
        streampair_close(&pair);
        assert_int_equal(veil.closes, 1);
    }
}

/* On an error nothing has changed, and the context is the caller's. */
static void puts_a_transport_on_without_memory_or_not_at_all(void **state)
{
    struct streampair pair;
    struct veil veil = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    faults_allocation(1, false);
    assert_int_equal(iostream_set_transport(pair.stream, &veil_plain, &veil), -ENOMEM);
    faults_allocation(0, false);
    accepted(iostream_write(pair.stream, "abc", 3, NULL, NULL));
    streampair_expect(&pair, "abc");
    accepted(iostream_set_transport(pair.stream, &veil_plain, &veil));
    streampair_spin(&pair, 1);
    accepted(iostream_write(pair.stream, "abc", 3, NULL, NULL));
    streampair_expect(&pair, "476");
    streampair_close(&pair);
    assert_int_equal(veil.closes, 1);
}

/* Each allocation between an answer that is read and the first line over the transport fails in turn. */
static void loses_nothing_when_memory_ends_around_a_transport(void **state)
{
    int failed = 0;

    bool hit = true;

    for (int nth = 1; hit; nth++) {
        struct streampair pair;
        struct veil veil = { 0 };
        struct outcome line = { 0 }, written = { 0 };
        bool reads, writes;

        streampair_open(&pair, STREAMPAIR_UNIX, NULL);
        faults_allocation(nth, false);
        int error = iostream_set_transport(pair.stream, &veil_buffering, &veil);
        reads = iostream_read_until(pair.stream, "\n", 0, outcome_read, &line) == 0;
        writes = iostream_write(pair.stream, "abc", 3, outcome_end, &written) == 0;
        veil_put(&pair, "de");
        streampair_spin(&pair, 5);
        if (!pair.closed.done)
            veil_put(&pair, "f\n");
        streampair_spin(&pair, 5);
        hit = faults_hit();
        failed += hit;
        streampair_close(&pair);
        assert_int_equal(line.calls, reads);
        assert_int_equal(written.calls, writes);
        assert_int_equal(veil.closes, error == 0);
    }
    assert_true(failed > 3);
}

static void closes_before_the_transport_has_begun(void **state)
{
    struct streampair pair;
    struct veil veil = { .rounds = 2 };

    open_with_transport(&pair, &veil_greeting, &veil);
    iostream_close(pair.stream);
    streampair_run(&pair, &pair.closed);
    assert_ended(pair.closed, 0);
    assert_int_equal(veil.handshakes, 0);
    assert_int_equal(veil.closes, 1);
    streampair_close(&pair);
}

static const struct CMUnitTest at_all_sizes[] = {
    cmocka_unit_test(talks_plainly_until_a_transport_is_put_on),
    cmocka_unit_test(reads_nothing_at_once_after_the_handshake),
    cmocka_unit_test(tells_everybody_that_a_later_handshake_failed),
    cmocka_unit_test(closes_before_the_transport_has_begun),
};

static const struct CMUnitTest once[] = {
    cmocka_unit_test(is_put_on_by_what_reads),
    cmocka_unit_test(takes_nothing_that_was_said_before_the_handshake),
    cmocka_unit_test(refuses_a_transport_in_the_middle_of_something),
    cmocka_unit_test(refuses_a_transport_behind_what_is_not_sent_yet),
    cmocka_unit_test(refuses_a_transport_before_it_is_connected),
    cmocka_unit_test(puts_a_transport_on_without_memory_or_not_at_all),
    cmocka_unit_test(loses_nothing_when_memory_ends_around_a_transport),
};

STREAMPAIR_MAIN(at_all_sizes, once)
