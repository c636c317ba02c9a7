#include "websocket/websocketconnection.h"

#include <errno.h>

#include "tests/support/socketscene.h"
#include "tests/support/testing.h"

/* Peers that do not read, or slowly, on a clock that stands still. */

static char much[12 << 20]; /* more than the kernel takes */

/* A client for which much waits. */
static struct httpscene_client *begin_stalled(struct socketscene *scene, const struct websocket_handler *handler)
{
    socketscene_open(scene, handler);
    struct httpscene_client *client = socketscene_connect_unix(scene, "");
    assert_int_equal(websocket_write(scene->socket, much, sizeof much, true), 0);
    return client;
}

/* What is written meanwhile is no sign of it. */
static void a_peer_that_takes_nothing_is_left_though_more_is_written(void **state)
{
    static char filler[1 << 20];

    for (int closes = 0; closes < 2; closes++) {
        struct socketscene scene;

        socketscene_open(&scene,
                         &(struct websocket_handler){ .ping_interval = 4, .ping_timeout = 2, .close_timeout = 2 });
        socketscene_connect_unix(&scene, "");
        while (websocket_pending(scene.socket) < 4 << 20)
            assert_int_equal(websocket_write(scene.socket, filler, sizeof filler, true), 0);
        for (int i = 0; i < 40 && scene.closed == 0; i++) {
            if (closes && i == 0)
                assert_int_equal(websocket_close(scene.socket, 1000, NULL), 0);
            else if (!closes)
                assert_int_equal(websocket_write(scene.socket, "a", 1, true), 0);
            socketscene_pass(&scene, 0.25);
        }
        assert_int_equal(scene.closed, 1);
        webscene_expect_notes("open close:1006::ETIMEDOUT ");
        socketscene_close(&scene);
    }
}

static void a_peer_that_does_not_read_is_left(void **state)
{
    struct socketscene scene;

    for (int closes = 0; closes < 2; closes++) {
        struct httpscene_client *client =
            begin_stalled(&scene, &(struct websocket_handler){ .ping_interval = 4, .ping_timeout = 3 });
        if (closes)
            websocket_close(scene.socket, 1000, NULL);
        socketscene_pass(&scene, closes ? 6 : 9);
        webscene_expect_notes("open close:1006::ETIMEDOUT ");
        httpscene_take(client, SIZE_MAX);
        assert_true(client->ended);
        socketscene_close(&scene);
    }
}

static void a_peer_that_reads_slowly_is_not_taken_for_dead(void **state)
{
    struct socketscene scene;

    struct httpscene_client *client =
        begin_stalled(&scene, &(struct websocket_handler){ .ping_interval = 4, .ping_timeout = 3 });
    while (websocket_pending(scene.socket) > 0) {
        httpscene_take(client, 2 << 20);
        socketscene_pass(&scene, 2);
        assert_int_equal(scene.closed, 0);
    }
    assert_true(scene.web.http.clock > 100 + 7);
    socketscene_expect_bytes(&scene, client, SOCKETSCENE_BINARY, much, sizeof much);
    socketscene_expect(&scene, client, SOCKETSCENE_PING, "");
    socketscene_close(&scene);
}

/* websocket_test:test_websocket_close_buffered_data */
static void what_was_written_before_closing_is_sent_however_slow_the_peer_reads(void **state)
{
    struct socketscene scene;

    struct httpscene_client *client = begin_stalled(&scene, &(struct websocket_handler){ .ping_interval = 20 });
    assert_int_equal(websocket_close(scene.socket, 1000, "done"), 0);
    assert_true(websocket_pending(scene.socket) > 0);
    while (websocket_pending(scene.socket) > 0) { /* longer than close_timeout in all */
        httpscene_take(client, 2 << 20);
        socketscene_pass(&scene, 3);
        assert_int_equal(scene.closed, 0);
    }
    assert_true(scene.web.http.clock > 100 + 10);
    socketscene_expect_bytes(&scene, client, SOCKETSCENE_BINARY, much, sizeof much);
    socketscene_expect_close(&scene, client, 1000, "done");
    socketscene_put_close(&scene, client, 1000, "");
    httpscene_hang_up(client);
    httpscene_settle(&scene.web.http);
    webscene_expect_notes("open close:1000::0 ");
    socketscene_close(&scene);
}

/* Peers that do not read, and are there all the same. */

/* Passes time in which the peer says something every second, and takes so many bytes in ten. Answers how long the
 * socket was there. */
static double talk(struct socketscene *scene, struct httpscene_client *client, int seconds, size_t bytes)
{
    double began = scene->web.http.clock;

    for (int i = 0; i < seconds && scene->closed == 0; i++) {
        socketscene_put(scene, client, SOCKETSCENE_PONG, "");
        if (bytes > 0 && i % 10 == 0)
            httpscene_take(client, bytes);
        socketscene_pass(scene, 1);
    }
    return scene->web.http.clock - began;
}

static void who_takes_nothing_is_left_though_it_talks(void **state)
{
    static const struct {
        struct websocket_handler handler;
        int seconds;
    } rows[] = {
        { { .ping_interval = 0 }, 30 },
        { { .ping_interval = 4, .ping_timeout = 3 }, 30 },
        { { .ping_interval = -1 }, 30 },
        { { .ping_interval = 1000 }, 30 },
        { { .ping_interval = 1000, .message_timeout = -1 }, 30 },
        { { .ping_interval = 1e300 }, 30 },
        { { .ping_interval = -1, .write_timeout = 100, .message_timeout = -1 }, 100 },
        { { .write_timeout = 8 }, 8 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct socketscene scene;

        socketscene_open(&scene, &rows[i].handler);
        struct httpscene_client *client = socketscene_connect(&scene, "");
        socketscene_pass(&scene, 7); /* it is not there that it begins */
        assert_int_equal(websocket_write(scene.socket, much, sizeof much, true), 0);
        int elapsed = (int)talk(&scene, client, 200, 0);
        assert_in_range(elapsed, rows[i].seconds, rows[i].seconds * 3 / 2 + 2); /* the kernel takes some at first */
        webscene_expect_notes("open close:1006::ETIMEDOUT ");
        httpscene_take(client, SIZE_MAX);
        assert_int_equal(client->error, ECONNRESET); /* the kernel holds nothing for it */
        socketscene_close(&scene);
    }
}

/* As the layer below may have done with what is its own. */
static void who_else_asks_whether_output_moves_does_no_harm(void **state)
{
    struct socketscene scene;

    struct httpscene_client *client = begin_stalled(&scene, &(struct websocket_handler){ .ping_interval = -1 });
    do {
        talk(&scene, client, 1, 0);
        iostreamlayer_send_output(scene.socket->stream);
    } while (iooutput_has_moved(scene.socket->stream->output));
    talk(&scene, client, 25, 0);
    assert_int_equal(scene.closed, 0);
    socketscene_close(&scene);
}

static void who_takes_some_now_and_then_is_not_left(void **state)
{
    struct socketscene scene;

    struct httpscene_client *client = begin_stalled(&scene, &(struct websocket_handler){ .write_timeout = 12 });
    talk(&scene, client, 100, 1 << 20);
    assert_int_equal(scene.closed, 0);
    while (websocket_pending(scene.socket) > 0) {
        httpscene_take(client, SIZE_MAX);
        httpscene_settle(&scene.web.http);
    }
    talk(&scene, client, 100, 0); /* nothing waits any more */
    assert_int_equal(scene.closed, 0);
    socketscene_close(&scene);
}

static void a_stall_may_last_for_ever_if_that_is_wanted(void **state)
{

    for (int pings = 0; pings < 2; pings++) {
        struct socketscene scene;

        struct httpscene_client *client =
            begin_stalled(&scene, &(struct websocket_handler){ .ping_interval = pings ? 4 : -1, .write_timeout = -1 });
        talk(&scene, client, 300, 0);
        assert_int_equal(scene.closed, 0);
        socketscene_close(&scene);
    }
}

/* As websocket.h has it: who has too much to send does not listen. */
static void echo_carefully(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    (void)!websocket_write(socket, data, length, is_binary);
    if (websocket_pending(socket) > 1 << 20)
        websocket_pause(socket);
}

static void who_takes_nothing_is_left_though_the_program_has_paused(void **state)
{
    static char bytes[1 << 20];
    struct socketscene scene;

    socketscene_open(&scene, &(struct websocket_handler){
                                 .high_water = 1 << 20, .on_message = echo_carefully, .on_drain = websocket_resume });
    struct httpscene_client *client = socketscene_connect_unix(&scene, "");
    wsframes_add(&scene.frames, SOCKETSCENE_BINARY, bytes, sizeof bytes);
    for (size_t at = 0; websocket_pending(scene.socket) <= 1 << 20;) {
        at += httpscene_put_some(client, scene.frames.bytes + at, scene.frames.length - at);
        if (at == scene.frames.length)
            at = 0;
        testing_spin(scene.web.http.loop, 3);
    }
    socketscene_pass(&scene, 29);
    assert_int_equal(scene.closed, 0);
    socketscene_pass(&scene, 9);
    webscene_expect_notes("open close:1006::ETIMEDOUT ");
    socketscene_close(&scene);
}

/* Also of who is waited for for ever. */
static void who_takes_nothing_is_left_though_it_is_closing(void **state)
{

    for (int answers = 0; answers < 2; answers++) {
        struct socketscene scene;

        struct httpscene_client *client = begin_stalled(&scene, &(struct websocket_handler){ .close_timeout = -1 });
        assert_int_equal(websocket_close(scene.socket, 1000, NULL), 0);
        if (answers)
            socketscene_put_close(&scene, client, 1000, "");
        socketscene_pass(&scene, 29);
        assert_int_equal(scene.closed, 0);
        socketscene_pass(&scene, 17);
        webscene_expect_notes(answers ? "open close:1000::0 " : "open close:1006::ETIMEDOUT ");
        socketscene_close(&scene);
    }
}

/* No pong ends it, but what waits for the peer does; and what waits for the rest of its message. */
static void who_was_asked_and_may_think_for_ever_has_its_limits(void **state)
{

    for (int stalls = 0; stalls < 2; stalls++) {
        struct socketscene scene;

        socketscene_open(&scene,
                         &(struct websocket_handler){
                             .ping_interval = 4, .ping_timeout = -1, .write_timeout = 20, .message_timeout = 20 });
        struct httpscene_client *client = socketscene_connect_unix(&scene, "");
        wsframes_add(&scene.frames, 1, "a", 1);
        if (stalls)
            assert_int_equal(websocket_write(scene.socket, much, sizeof much, true), 0);
        else
            httpscene_put_bytes(&scene.web.http, client, scene.frames.bytes, scene.frames.length);
        httpscene_settle(&scene.web.http);
        socketscene_pass(&scene, 18);
        assert_false(websocket_closing(scene.socket));
        socketscene_pass(&scene, 8);
        socketscene_pass(&scene, 5);
        webscene_expect_notes("open close:1006::ETIMEDOUT ");
        socketscene_close(&scene);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_peer_that_takes_nothing_is_left_though_more_is_written),
    cmocka_unit_test(a_peer_that_does_not_read_is_left),
    cmocka_unit_test(a_peer_that_reads_slowly_is_not_taken_for_dead),
    cmocka_unit_test(what_was_written_before_closing_is_sent_however_slow_the_peer_reads),
    cmocka_unit_test(who_takes_nothing_is_left_though_it_talks),
    cmocka_unit_test(who_else_asks_whether_output_moves_does_no_harm),
    cmocka_unit_test(who_takes_some_now_and_then_is_not_left),
    cmocka_unit_test(a_stall_may_last_for_ever_if_that_is_wanted),
    cmocka_unit_test(who_takes_nothing_is_left_though_the_program_has_paused),
    cmocka_unit_test(who_takes_nothing_is_left_though_it_is_closing),
    cmocka_unit_test(who_was_asked_and_may_think_for_ever_has_its_limits),
};

TESTING_MAIN(tests)
