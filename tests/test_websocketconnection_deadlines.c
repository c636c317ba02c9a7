#include "websocket/websocketconnection.h"

#include "tests/support/faults.h"
#include "tests/support/socketscene.h"
#include "tests/support/testing.h"

/* Pings and times, on a clock that stands still. A deadline may be two ticks late, 0.135 s. */

#define LATE 0.14

static const struct websocket_handler pinging = { .on_pong = socketscene_note_pong };

static void expect_quiet(struct socketscene *scene, struct httpscene_client *client, double seconds)
{
    httpscene_pass(&scene->web.http, seconds);
    httpscene_take(client, SIZE_MAX);
    assert_int_equal(client->length, 0);
    assert_false(client->ended);
}

/* websocket_test:test_server_ping, websocket_test:test_ping_sleep_time */
static void a_silent_peer_is_asked_whether_it_is_there(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client = socketscene_begin(&scene, &pinging);

    for (int i = 0; i < 3; i++) {
        socketscene_pass(&scene, 19.95);
        expect_quiet(&scene, client, 0);
        socketscene_pass(&scene, 4 * LATE + 0.1);
        socketscene_expect(&scene, client, SOCKETSCENE_PING, "");
        socketscene_put(&scene, client, SOCKETSCENE_PONG, "");
        assert_int_equal(client->length, 0);
    }
    webscene_expect_notes("open pong: pong: pong: ");
    socketscene_close(&scene);
}

static void who_says_something_is_not_asked(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client = socketscene_begin(&scene, &(struct websocket_handler){ .ping_interval = 4 });

    for (int i = 0; i < 10; i++) {
        socketscene_pass(&scene, 3.5);
        socketscene_put(&scene, client, i % 2 ? SOCKETSCENE_TEXT : SOCKETSCENE_PONG, "a");
    }
    expect_quiet(&scene, client, 0);
    socketscene_pass(&scene, 6);
    socketscene_expect(&scene, client, SOCKETSCENE_PING, "");
    socketscene_close(&scene);
}

/* A client that was asked whether it is there, and has three seconds to say so. */
static struct httpscene_client *begin_asked(struct socketscene *scene)
{
    struct httpscene_client *client =
        socketscene_begin(scene, &(struct websocket_handler){ .ping_interval = 8, .ping_timeout = 3 });

    socketscene_pass(scene, 9);
    socketscene_expect(scene, client, SOCKETSCENE_PING, "");
    return client;
}

/* websocket_test:test_client_ping_timeout, of a client that does not answer */
static void who_does_not_answer_is_left(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client = begin_asked(&scene);

    httpscene_pass(&scene.web.http, 1.8);
    assert_int_equal(scene.closed, 0);
    httpscene_pass(&scene.web.http, 1.5);
    webscene_expect_notes("open close:1006::ETIMEDOUT ");
    socketscene_expect_close(&scene, client, 1011, "ping timed out");
    httpscene_expect_end(&scene.web.http, client);
    socketscene_close(&scene);
}

/* The pong would not be read. */
static void who_is_paused_is_not_left_for_a_ping_before(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client = begin_asked(&scene);

    websocket_pause(scene.socket);
    socketscene_put(&scene, client, SOCKETSCENE_PONG, "");
    socketscene_pass(&scene, 30);
    assert_int_equal(scene.closed, 0);
    expect_quiet(&scene, client, 0);
    websocket_resume(scene.socket);
    httpscene_settle(&scene.web.http);
    socketscene_pass(&scene, 7.5);
    expect_quiet(&scene, client, 0);
    socketscene_pass(&scene, 3);
    socketscene_expect(&scene, client, SOCKETSCENE_PING, ""); /* and now it is heard again */
    socketscene_pass(&scene, 4);
    webscene_expect_notes("open close:1006::ETIMEDOUT ");
    socketscene_close(&scene);
}

static void any_byte_is_an_answer(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client = begin_asked(&scene);

    httpscene_put_bytes(&scene.web.http, client, "\x81", 1);
    httpscene_settle(&scene.web.http);
    socketscene_pass(&scene, 5);
    assert_int_equal(scene.closed, 0);
    socketscene_pass(&scene, 5);
    socketscene_expect(&scene, client, SOCKETSCENE_PING, "");
    socketscene_close(&scene);
}

static void pings_can_be_turned_off(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client = socketscene_begin(&scene, &(struct websocket_handler){ .ping_interval = -1 });

    socketscene_pass(&scene, 100);
    expect_quiet(&scene, client, 1000);
    socketscene_put(&scene, client, SOCKETSCENE_TEXT, "a");
    webscene_expect_notes("open text:a ");
    socketscene_close(&scene);
    client = socketscene_begin(&scene, &(struct websocket_handler){ .ping_interval = 4, .ping_timeout = -1 });
    socketscene_pass(&scene, 100);
    socketscene_expect(&scene, client, SOCKETSCENE_PING, "");
    expect_quiet(&scene, client, 1000);
    socketscene_close(&scene);
}

static void who_is_held_back_is_not_asked(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client =
        socketscene_begin(&scene, &(struct websocket_handler){ .ping_interval = 4, .ping_timeout = 1 });

    websocket_pause(scene.socket);
    socketscene_pass(&scene, 60);
    expect_quiet(&scene, client, 0);
    websocket_resume(scene.socket);
    socketscene_pass(&scene, 4.5);
    socketscene_expect(&scene, client, SOCKETSCENE_PING, "");
    socketscene_close(&scene);
}

/* Closing. */

static void a_peer_that_does_not_close_is_not_waited_for_for_ever(void **state)
{
    static const double timeouts[] = { 0, 2 };
    struct socketscene scene;

    for (int i = 0; i < 2; i++) {
        double seconds = i == 0 ? 5 : 2;

        struct httpscene_client *client =
            socketscene_begin(&scene, &(struct websocket_handler){ .close_timeout = timeouts[i] });
        assert_int_equal(websocket_close(scene.socket, 1000, "bye"), 0);
        socketscene_expect_close(&scene, client, 1000, "bye");
        socketscene_put(&scene, client, SOCKETSCENE_TEXT, "I stay");
        httpscene_pass(&scene.web.http, seconds - 0.1);
        assert_int_equal(scene.closed, 0);
        httpscene_pass(&scene.web.http, LATE + 0.1);
        webscene_expect_notes("open text:I stay close:1006::ETIMEDOUT ");
        httpscene_expect_end(&scene.web.http, client); /* one close frame was enough */
        socketscene_close(&scene);
    }
}

static void a_peer_that_keeps_its_end_open_is_not_waited_for_for_ever(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client = socketscene_begin(&scene, &pinging);

    socketscene_put_close(&scene, client, 1000, "");
    socketscene_expect_close(&scene, client, 1000, "");
    httpscene_expect_end(&scene.web.http, client); /* the server's part: FIN */
    httpscene_pass(&scene.web.http, 4.9);
    assert_int_equal(scene.closed, 0);
    httpscene_pass(&scene.web.http, 0.3);
    webscene_expect_notes("open close:1000::0 ");
    socketscene_close(&scene);
}

/* What a message costs: no timer is set. */
static void a_message_sets_no_timer(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client =
        socketscene_begin(&scene, &(struct websocket_handler){ .on_message = socketscene_echo });

    socketscene_put(&scene, client, SOCKETSCENE_TEXT, "warm");
    long before = faults_allocations();
    faults_count_reset();
    for (int i = 0; i < 10; i++)
        socketscene_put(&scene, client, SOCKETSCENE_TEXT, "hello");
    assert_int_equal(faults_allocations(), before);
    assert_int_equal(faults_count("recv"), 10);
    assert_int_equal(faults_count("send"), 10);
    assert_int_equal(faults_count("epoll_ctl"), 0);
    socketscene_close(&scene);
}

/* Messages that have begun. */

/* Time passes, and the peer is there: it sends pongs, and so many bytes of its message each second. */
static void pass_with_signs(struct socketscene *scene, struct httpscene_client *client, int seconds, size_t bytes)
{
    char some[4096] = { 0 };

    for (int i = 0; i < seconds && scene->closed == 0; i++) {
        socketscene_pass(scene, 1);
        if (bytes > 0)
            httpscene_put_bytes(&scene->web.http, client, some, bytes);
        httpscene_settle(&scene->web.http);
    }
}

static void begin_long_message(struct socketscene *scene, struct httpscene_client *client)
{
    wsframes_add_head(&scene->frames, SOCKETSCENE_BINARY, 1 << 20);
    httpscene_put_bytes(&scene->web.http, client, scene->frames.bytes, scene->frames.length);
    httpscene_put_bytes(&scene->web.http, client, "abc", 3);
    scene->frames.length = 0;
    httpscene_settle(&scene->web.http);
}

/* A client in the middle of one. */
static struct httpscene_client *begin_message(struct socketscene *scene, double message_timeout, double ping_interval)
{
    socketscene_open(scene,
                     &(struct websocket_handler){ .message_timeout = message_timeout, .ping_interval = ping_interval });
    struct httpscene_client *client = socketscene_connect(scene, "");
    begin_long_message(scene, client);
    return client;
}

static void a_message_that_does_not_come_to_its_end_is_given_up(void **state)
{
    static const struct {
        double message_timeout, ping_interval;
        int least, most; /* seconds */
    } rows[] = { { 0, -1, 60, 76 }, { 0, 1000, 60, 76 }, { 4, -1, 4, 6 }, { 4, 1000, 4, 6 }, { 100, 400, 100, 126 } };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct socketscene scene;
        struct httpscene_client *client = begin_message(&scene, rows[i].message_timeout, rows[i].ping_interval);

        pass_with_signs(&scene, client, rows[i].least - 1, 0);
        expect_quiet(&scene, client, 0);
        pass_with_signs(&scene, client, rows[i].most - rows[i].least + 1, 0);
        socketscene_expect_close(&scene, client, WEBSOCKET_POLICY, "a message that does not come to its end");
        httpscene_hang_up(client);
        httpscene_settle(&scene.web.http);
        webscene_expect_notes("open close:1006::ETIMEDOUT ");
        socketscene_close(&scene);
    }
}

/* Pongs do not keep a message that begins and does not go on. */
static void a_message_that_does_not_go_on_is_given_up_though_its_peer_answers(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client =
        socketscene_begin(&scene, &(struct websocket_handler){ .message_timeout = 10, .ping_interval = 4 });

    socketscene_put(&scene, client, 1, "a fragment");
    for (int i = 0; i < 12 && scene.closed == 0 && !websocket_closing(scene.socket); i++) {
        socketscene_pass(&scene, 1);
        socketscene_put(&scene, client, SOCKETSCENE_PONG, "");
        assert_true(i >= 9 || !websocket_closing(scene.socket));
    }
    socketscene_expect_close(&scene, client, WEBSOCKET_POLICY, "a message that does not come to its end");
    socketscene_close(&scene);
}

static void a_message_that_comes_slowly_may_go_on(void **state)
{
    static const struct websocket_handler handlers[] = {
        { .message_timeout = 4, .ping_interval = -1 },
        { .message_timeout = 4 },
        { .message_timeout = -1, .ping_interval = 10 }, /* at any rate */
        { .message_timeout = -1, .ping_interval = -1 },
    };
    static const size_t rates[] = { 1100, 1100, 1, 0 };

    for (size_t i = 0; i < 4; i++) {
        struct socketscene scene;
        struct httpscene_client *client = socketscene_begin(&scene, &handlers[i]);

        begin_long_message(&scene, client);
        pass_with_signs(&scene, client, 100, rates[i]);
        expect_quiet(&scene, client, 0);
        assert_false(websocket_closing(scene.socket));
        socketscene_close(&scene);
    }
}

static void who_has_begun_a_message_is_asked_as_everybody_is(void **state)
{
    static const struct {
        double message_timeout, ping_interval;
        bool is_asked; /* within 8 s */
    } rows[] = { { 4, -1, false }, { -1, 4, true }, { 100, 4, true }, { 4, 100, false } };
    char some[20000] = { 0 };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct socketscene scene;
        struct httpscene_client *client = begin_message(&scene, rows[i].message_timeout, rows[i].ping_interval);

        httpscene_put_bytes(&scene.web.http, client, some, sizeof some);
        pass_with_signs(&scene, client, 8, 0);
        if (rows[i].is_asked)
            socketscene_expect(&scene, client, SOCKETSCENE_PING, "");
        else
            expect_quiet(&scene, client, 0);
        socketscene_close(&scene);
    }
}

/* Also where it is looked at more often for the sake of its message. */
static void a_message_under_way_does_not_bring_pings_forward(void **state)
{
    static const struct {
        double message_timeout, write_timeout, ping_interval, ping_timeout;
    } rows[] = { { 8, 0, 100, 3 },  { 0, 8, 100, 30 },   { -1, -1, 100, 30 },
                 { 1, 1, 100, 50 }, { -1, 0, 400, 100 }, { 40, 40, 49, 30 } };
    static char some[400000];

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double interval = rows[i].ping_interval, timeout = rows[i].ping_timeout;
        struct socketscene scene;
        struct httpscene_client *client =
            socketscene_begin(&scene, &(struct websocket_handler){ .message_timeout = rows[i].message_timeout,
                                                                   .write_timeout = rows[i].write_timeout,
                                                                   .ping_interval = interval,
                                                                   .ping_timeout = timeout });

        begin_long_message(&scene, client);
        httpscene_put_bytes(&scene.web.http, client, some, sizeof some);
        socketscene_pass(&scene, interval - 2);
        expect_quiet(&scene, client, 0);
        for (int j = 0; j < (int)interval / 4 + 5 && client->length == 0; j++) {
            socketscene_pass(&scene, 1);
            httpscene_take(client, SIZE_MAX);
        }
        socketscene_expect(&scene, client, SOCKETSCENE_PING, "");
        socketscene_pass(&scene, timeout - 1);
        assert_int_equal(scene.closed, 0);
        socketscene_pass(&scene, timeout / 4 + 5);
        assert_int_equal(scene.closed, 1);
        webscene_expect_notes("open close:1006::ETIMEDOUT ");
        socketscene_close(&scene);
    }
}

static void a_message_that_never_ends_does_not_keep_who_is_closed(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client = begin_message(&scene, 1, -1);

    assert_int_equal(websocket_close(scene.socket, 1000, NULL), 0);
    socketscene_pass(&scene, 6);
    webscene_expect_notes("open close:1006::ETIMEDOUT ");
    socketscene_expect_close(&scene, client, 1000, "");
    socketscene_close(&scene);
}

/* Message upon message, each from the segment in which the one before it ends. */
static void each_message_has_its_own_time(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client =
        socketscene_begin(&scene, &(struct websocket_handler){ .message_timeout = 4, .ping_interval = 1 });

    socketscene_put(&scene, client, 1, "a");
    for (int i = 0; i < 10; i++) {
        socketscene_pass(&scene, 3);
        wsframes_add(&scene.frames, WSFRAMES_FINAL, "b", 1);
        wsframes_add(&scene.frames, 1, "c", i % 2 == 0 ? 1 : 0);
        httpscene_put_bytes(&scene.web.http, client, scene.frames.bytes, scene.frames.length);
        scene.frames.length = 0;
        httpscene_settle(&scene.web.http);
        assert_false(websocket_closing(scene.socket));
    }
    socketscene_close(&scene);
}

static void a_pause_is_not_the_time_of_a_message(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client = begin_message(&scene, 4, -1);

    socketscene_pass(&scene, 3);
    websocket_pause(scene.socket);
    socketscene_pass(&scene, 20);
    expect_quiet(&scene, client, 0);
    websocket_resume(scene.socket);
    socketscene_pass(&scene, 3);
    assert_false(websocket_closing(scene.socket));
    socketscene_pass(&scene, 2);
    assert_true(websocket_closing(scene.socket));
    socketscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_silent_peer_is_asked_whether_it_is_there),
    cmocka_unit_test(who_says_something_is_not_asked),
    cmocka_unit_test(who_does_not_answer_is_left),
    cmocka_unit_test(who_is_paused_is_not_left_for_a_ping_before),
    cmocka_unit_test(any_byte_is_an_answer),
    cmocka_unit_test(pings_can_be_turned_off),
    cmocka_unit_test(who_is_held_back_is_not_asked),
    cmocka_unit_test(a_peer_that_does_not_close_is_not_waited_for_for_ever),
    cmocka_unit_test(a_peer_that_keeps_its_end_open_is_not_waited_for_for_ever),
    cmocka_unit_test(a_message_sets_no_timer),
    cmocka_unit_test(a_message_that_does_not_come_to_its_end_is_given_up),
    cmocka_unit_test(a_message_that_does_not_go_on_is_given_up_though_its_peer_answers),
    cmocka_unit_test(a_message_that_comes_slowly_may_go_on),
    cmocka_unit_test(who_has_begun_a_message_is_asked_as_everybody_is),
    cmocka_unit_test(a_message_under_way_does_not_bring_pings_forward),
    cmocka_unit_test(a_message_that_never_ends_does_not_keep_who_is_closed),
    cmocka_unit_test(each_message_has_its_own_time),
    cmocka_unit_test(a_pause_is_not_the_time_of_a_message),
};

TESTING_MAIN(tests)
