/* Connecting: what waits for it, and how it fails. */
#include "ioloop/iostream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "tests/support/faults.h"
#include "tests/support/streampair.h"
#include "tests/support/testing.h"

/* A stream that is not connected yet, and where it may connect to. */
struct place {
    struct streampair pair;
    struct outcome connected;
    struct sockaddr_storage address;
    socklen_t length;
    int listener;
};

static void open_place(struct place *place, int family)
{
    struct sockaddr_in *inet = (struct sockaddr_in *)&place->address;
    struct sockaddr_un *local = (struct sockaddr_un *)&place->address;

    *place = (struct place){ .listener = socket(family, SOCK_STREAM, 0) };
    streampair_open_unwatched(&place->pair, STREAMPAIR_UNIX, NULL);
    iostream_close(place->pair.stream);
    streampair_spin(&place->pair, 1);
    streampair_hang_up(&place->pair);
    if (family == AF_INET) {
        inet->sin_family = AF_INET;
        inet->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        place->length = sizeof *inet;
    } else {
        local->sun_family = AF_UNIX;
        snprintf(local->sun_path, sizeof local->sun_path, "/tmp/test_iostream_connect.%d", (int)getpid());
        place->length = sizeof *local;
    }
    assert_int_equal(bind(place->listener, (struct sockaddr *)&place->address, place->length), 0);
    place->length = sizeof place->address;
    assert_int_equal(getsockname(place->listener, (struct sockaddr *)&place->address, &place->length), 0);
    assert_int_equal(listen(place->listener, 5), 0);
    place->pair.stream = iostream_new(place->pair.loop, socket(family, SOCK_STREAM, 0), NULL);
    assert_non_null(place->pair.stream);
    iostream_set_close_callback(place->pair.stream, outcome_end, &place->pair.closed);
}

static void begin_connecting(struct place *place)
{
    accepted(iostream_connect(place->pair.stream, (struct sockaddr *)&place->address, place->length, outcome_end,
                              &place->connected));
    assert_int_equal(place->connected.calls, 0);
}

static void accept_peer(struct place *place)
{
    place->pair.peer = accept(place->listener, NULL, NULL);
    assert_true(place->pair.peer >= 0);
    assert_int_equal(fcntl(place->pair.peer, F_SETFL, O_NONBLOCK), 0);
}

static void stop_listening(struct place *place)
{
    close(place->listener);
    place->listener = -1;
    if (place->address.ss_family == AF_UNIX)
        unlink(((struct sockaddr_un *)&place->address)->sun_path);
}

static void close_place(struct place *place)
{
    if (place->listener >= 0)
        stop_listening(place);
    streampair_close(&place->pair);
}

static const int families[] = { AF_INET, AF_UNIX };

/* iostream_test:test_write_while_connecting */
static void sends_what_was_written_while_it_connected(void **state)
{
    for (int i = 0; i < 2; i++) {
        struct place place;
        struct outcome written = { 0 }, empty = { 0 };

        open_place(&place, families[i]);
        begin_connecting(&place);
        accepted(iostream_write(place.pair.stream, "early", 5, outcome_end, &written));
        accepted(iostream_write(place.pair.stream, "", 0, outcome_end, &empty));
        assert_int_equal(iostream_pending(place.pair.stream), 5);
        streampair_run(&place.pair, &empty);
        accept_peer(&place);
        streampair_expect(&place.pair, "early");
        assert_ended(place.connected, 0);
        assert_ended(written, 0);
        assert_true(place.connected.order < written.order);
        close_place(&place);
    }
}

static void serves_a_read_that_was_asked_for_while_it_connected(void **state)
{
    for (int i = 0; i < 2; i++) {
        struct place place;
        struct outcome line = { 0 };

        open_place(&place, families[i]);
        begin_connecting(&place);
        accepted(iostream_read_until(place.pair.stream, "\n", 0, outcome_read, &line));
        streampair_run(&place.pair, &place.connected);
        accept_peer(&place);
        streampair_put(&place.pair, "welcome\n");
        streampair_run(&place.pair, &line);
        assert_outcome(line, 0, "welcome\n");
        close_place(&place);
    }
}

static void connects_once_at_a_time(void **state)
{
    struct place place;
    struct outcome second = { 0 };

    open_place(&place, AF_INET);
    begin_connecting(&place);
    assert_int_equal(
        iostream_connect(place.pair.stream, (struct sockaddr *)&place.address, place.length, outcome_end, &second),
        -EALREADY);
    streampair_run(&place.pair, &place.connected);
    assert_int_equal(second.calls, 0);
    close_place(&place);
}

static void connects_without_a_callback(void **state)
{
    for (int i = 0; i < 2; i++) {
        struct place place;
        struct outcome written = { 0 };

        open_place(&place, families[i]);
        accepted(iostream_connect(place.pair.stream, (struct sockaddr *)&place.address, place.length, NULL, NULL));
        accepted(iostream_write(place.pair.stream, "a", 1, outcome_end, &written));
        streampair_run(&place.pair, &written);
        assert_ended(written, 0);
        close_place(&place);
    }
}

/* It was asked for while nothing could be sent yet. */
static void shuts_down_once_it_is_connected(void **state)
{
    for (int i = 0; i < 2; i++) {
        struct place place;

        open_place(&place, families[i]);
        begin_connecting(&place);
        accepted(iostream_shutdown(place.pair.stream));
        streampair_run(&place.pair, &place.connected);
        accept_peer(&place);
        streampair_expect_end(&place.pair);
        assert_int_equal(place.pair.closed.calls, 0);
        close_place(&place);
    }
}

static void write_pieces(struct iostream *stream, int error, void *arg)
{
    outcome_end(stream, error, arg);
    faults_count_reset();
    for (int i = 0; i < 5; i++)
        accepted(iostream_write(stream, &"hello"[i], 1, NULL, NULL));
}

static void corks_what_the_connect_callback_writes(void **state)
{
    struct place place;

    open_place(&place, AF_INET);
    accepted(iostream_connect(place.pair.stream, (struct sockaddr *)&place.address, place.length, write_pieces,
                              &place.connected));
    streampair_run(&place.pair, &place.connected);
    assert_int_equal(faults_count("send") + faults_count("sendmsg"), 1);
    accept_peer(&place);
    streampair_expect(&place.pair, "hello");
    close_place(&place);
}

/* Failing. */

/* iostream_test:test_connection_refused. Ours is told to the connect callback too. */
static void tells_why_it_did_not_connect(void **state)
{
    for (int i = 0; i < 2; i++) {
        struct place place;
        struct outcome read = { 0 }, written = { 0 };
        int error = i == 0 ? -ECONNREFUSED : -ENOENT;

        testing_begin_logs();
        open_place(&place, families[i]);
        stop_listening(&place);
        begin_connecting(&place);
        if (!iostream_closed(place.pair.stream)) { /* a Unix socket knows at once */
            accepted(iostream_read_bytes(place.pair.stream, 1, outcome_read, &read));
            accepted(iostream_write(place.pair.stream, "a", 1, outcome_end, &written));
        }
        streampair_run(&place.pair, &place.pair.closed);
        assert_ended(place.connected, error);
        assert_ended(place.pair.closed, error);
        assert_int_equal(place.connected.order, 1);
        assert_int_equal(read.calls, i == 0);
        assert_int_equal(written.calls, i == 0);
        assert_int_equal(testing_logs(NULL), 0);
        close_place(&place);
    }
}

static void ends_a_connect_that_is_closed(void **state)
{
    for (int i = 0; i < 2; i++) {
        struct place place;
        struct outcome written = { 0 };

        open_place(&place, families[i]);
        begin_connecting(&place);
        accepted(iostream_write(place.pair.stream, "a", 1, outcome_end, &written));
        iostream_close(place.pair.stream);
        streampair_run(&place.pair, &place.pair.closed);
        assert_ended(place.connected, -ECANCELED);
        assert_ended(written, -ECANCELED);
        assert_ended(place.pair.closed, 0);
        assert_true(place.connected.order < written.order);
        close_place(&place);
    }
}

static void close_and_note(struct iostream *stream, int error, void *arg)
{
    outcome_end(stream, error, arg);
    iostream_close(stream);
}

static void closes_from_inside_the_connect_callback(void **state)
{
    for (int i = 0; i < 2; i++) {
        struct place place;

        open_place(&place, families[i]);
        accepted(iostream_connect(place.pair.stream, (struct sockaddr *)&place.address, place.length, close_and_note,
                                  &place.connected));
        streampair_run(&place.pair, &place.pair.closed);
        assert_ended(place.connected, 0);
        close_place(&place);
    }
}

static void survives_a_connect_that_is_interrupted(void **state)
{
    struct place place;

    open_place(&place, AF_INET);
    faults_system_call("connect", EINTR, 1); /* the kernel would go on with it: here nothing was begun */
    begin_connecting(&place);
    assert_false(iostream_closed(place.pair.stream));
    close_place(&place);
}

/* TCP_NODELAY. */

static void sets_nodelay_on_everything(void **state)
{
    for (enum streampair_kind kind = STREAMPAIR_UNIX; kind <= STREAMPAIR_TERMINAL; kind++) {
        struct streampair pair;
        int value = 0;
        socklen_t length = sizeof value;

        streampair_open(&pair, kind, NULL);
        accepted(iostream_set_nodelay(pair.stream, true));
        if (kind == STREAMPAIR_TCP) {
            accepted(getsockopt(iostream_fd(pair.stream), IPPROTO_TCP, TCP_NODELAY, &value, &length));
            assert_true(value != 0);
            accepted(iostream_set_nodelay(pair.stream, false));
            accepted(getsockopt(iostream_fd(pair.stream), IPPROTO_TCP, TCP_NODELAY, &value, &length));
            assert_int_equal(value, 0);
            streampair_reset(&pair);
            accepted(iostream_set_nodelay(pair.stream, true));
        }
        streampair_close(&pair);
    }
}

static const struct CMUnitTest at_all_sizes[] = {
    cmocka_unit_test(sends_what_was_written_while_it_connected),
    cmocka_unit_test(serves_a_read_that_was_asked_for_while_it_connected),
    cmocka_unit_test(shuts_down_once_it_is_connected),
};

static const struct CMUnitTest once[] = {
    cmocka_unit_test(connects_once_at_a_time),
    cmocka_unit_test(connects_without_a_callback),
    cmocka_unit_test(corks_what_the_connect_callback_writes),
    cmocka_unit_test(tells_why_it_did_not_connect),
    cmocka_unit_test(ends_a_connect_that_is_closed),
    cmocka_unit_test(closes_from_inside_the_connect_callback),
    cmocka_unit_test(survives_a_connect_that_is_interrupted),
    cmocka_unit_test(sets_nodelay_on_everything),
};

STREAMPAIR_MAIN(at_all_sizes, once)
