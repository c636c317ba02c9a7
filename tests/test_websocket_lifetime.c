#include "websocket/websocket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/faults.h"
#include "tests/support/socketscene.h"
#include "tests/support/socketserver.h"
#include "tests/support/testing.h"
#include "websocket/websockethandshake.h"

/* Everything that ends a socket, from inside everything that is called for it: on_close comes once, and nothing is
 * touched behind it. */

enum when { IN_OPEN, IN_MESSAGE, IN_PIECE, IN_PING, IN_PONG, IN_DRAIN, IN_CLOSE, BETWEEN, WHENS };
enum action {
    CLOSE,
    CLOSE_AND_ABORT,
    ABORT,
    ABORT_AND_WRITE,
    FILL_AND_CLOSE,
    OVERFILL,
    PAUSE_AND_CLOSE,
    PAUSE_AND_ABORT,
    CLOSE_SERVER,
    CLOSE_LOOP,
    ACTIONS
};

static enum when now;
static enum action what;
static struct web_application *app; /* NULL: a client's test */
static int acted;

static char block[1 << 20];

static void fill_up(struct websocket *socket, size_t size)
{
    while (websocket_pending(socket) < size && websocket_write(socket, block, sizeof block, true) == 0)
        ;
}

static void act(struct websocket *socket)
{
    acted++;
    websocket_subscribe(socket, "topic");
    switch (what) {
    case CLOSE_AND_ABORT:
        websocket_close(socket, 1000, NULL);
        websocket_abort(socket);
        break;
    case ABORT:
        websocket_abort(socket);
        break;
    case ABORT_AND_WRITE:
        websocket_abort(socket);
        assert_int_equal(websocket_write_text(socket, "a"), -EBADF);
        websocket_resume(socket);
        websocket_unsubscribe(socket, "topic");
        break;
    case FILL_AND_CLOSE:
        fill_up(socket, 512 << 10);
        websocket_close(socket, 1000, "full");
        break;
    case OVERFILL:
        fill_up(socket, 64 << 20);
        break;
    case PAUSE_AND_CLOSE:
        websocket_pause(socket);
        websocket_close(socket, 1000, NULL);
        break;
    case PAUSE_AND_ABORT:
        websocket_pause(socket);
        websocket_abort(socket);
        break;
    case CLOSE_SERVER:
        if (app != NULL)
            web_application_close(app);
        break;
    case CLOSE_LOOP:
        ioloop_close(websocket_loop(socket), false);
        break;
    default:
        websocket_close(socket, 1000, NULL);
    }
}

static void act_if(struct websocket *socket, enum when when)
{
    if (now == when)
        act(socket);
}

static void opened(struct websocket *socket, struct web_request *request)
{
    act_if(socket, IN_OPEN);
}

static void got_message(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    act_if(socket, IN_MESSAGE);
}

static void got_piece(struct websocket *socket, const void *data, size_t length, bool is_binary, bool is_last)
{
    act_if(socket, IN_PIECE);
}

static void got_ping(struct websocket *socket, const void *data, size_t length)
{
    act_if(socket, IN_PING);
}

static void got_pong(struct websocket *socket, const void *data, size_t length)
{
    act_if(socket, IN_PONG);
}

static void drained(struct websocket *socket)
{
    act_if(socket, IN_DRAIN);
}

static void closed(struct websocket *socket, int code, const char *reason)
{
    if (what == CLOSE_LOOP && acted > 0)
        assert_int_equal(websocket_error(socket), -ECANCELED);
    act_if(socket, IN_CLOSE);
}

static struct websocket_handler make_handler(void)
{
    return (struct websocket_handler){ .open = opened,
                                       .on_message = now == IN_PIECE ? NULL : got_message,
                                       .on_piece = now == IN_PIECE ? got_piece : NULL,
                                       .on_ping = got_ping,
                                       .on_pong = got_pong,
                                       .on_drain = now == IN_DRAIN ? drained : NULL,
                                       .on_close = closed,
                                       .max_unsent = 4 << 20 };
}

/* A bit of everything, from the other side. */
static void add_frames(struct wsframes *frames)
{
    wsframes_add(frames, 1, "a", 1);
    wsframes_add(frames, SOCKETSCENE_PING, "b", 1);
    wsframes_add(frames, WSFRAMES_FINAL, "c", 1);
    wsframes_add_text(frames, "whole");
    wsframes_add(frames, SOCKETSCENE_PONG, "d", 1);
    wsframes_add_text(frames, "last");
}

static void end_scene(struct socketscene *scene)
{
    assert_int_equal(scene->opened, scene->closed);
    wsframes_free(&scene->frames);
    for (int i = 0; i < scene->web.http.client_count; i++)
        httpscene_hang_up(&scene->web.http.clients[i]);
    assert_int_equal(faults_allocated(), scene->web.http.allocated);
    testing_end_logs();
}

static void run_with_server(bool split)
{
    const struct websocket_handler handler = make_handler();
    struct socketscene scene;

    acted = 0;
    socketscene_open(&scene, &handler);
    app = scene.web.app;
    scene.is_mute = true;
    struct httpscene_client *client = httpscene_connect(&scene.web.http);
    assert_int_equal(setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)), 0);
    httpscene_put(&scene.web.http, client, "GET /ws HTTP/1.1\r\n" SOCKETSCENE_HANDSHAKE "\r\n");
    while (scene.opened == 0)
        ioloop_run_once(scene.web.http.loop, 0.01);
    assert_int_equal(scene.opened, 1);
    if (now == IN_DRAIN)
        fill_up(scene.socket, 512 << 10);
    if (now == BETWEEN)
        act(scene.socket);
    add_frames(&scene.frames);
    bool loop_closes = what == CLOSE_LOOP;
    for (size_t i = 0; i < scene.frames.length && (acted == 0 || !loop_closes); i += split ? 1 : scene.frames.length) {
        httpscene_put_some(client, scene.frames.bytes + i, split ? 1 : scene.frames.length);
        if (ioloop_run_once(scene.web.http.loop, 0) < 0)
            break;
    }
    if (now == IN_CLOSE)
        httpscene_reset(client);
    while (acted == 0) {
        if (now == IN_DRAIN)
            httpscene_take(client, SIZE_MAX);
        ioloop_run_once(scene.web.http.loop, 0.001);
    }
    if (loop_closes)
        end_scene(&scene);
    else
        socketscene_close(&scene);
}

static void a_server_socket_may_end_in_all_its_callbacks(void **state)
{
    for (now = 0; now < WHENS; now++) {
        for (what = 0; what < ACTIONS; what++)
            run_with_server(false);
    }
}

static void a_server_socket_may_end_between_any_two_bytes(void **state)
{
    for (now = IN_MESSAGE; now < IN_DRAIN; now++) {
        for (what = 0; what < ACTIONS; what++)
            run_with_server(true);
    }
}

/* The loop may close meanwhile. */
static void send_answer(struct socketserver *server)
{
    char accept_text[WEBSOCKETHANDSHAKE_ACCEPT + 1], text[300];

    websockethandshake_accept(server->key, accept_text);
    int length = snprintf(text, sizeof text,
                          "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Accept: %s\r\n\r\n",
                          accept_text);
    assert_int_equal(send(server->fd, text, (size_t)length, MSG_NOSIGNAL), length);
    while (server->opened == 0)
        ioloop_run_once(server->loop, 0.001);
    assert_int_equal(server->opened, 1);
}

static void run_with_client(bool split)
{
    const struct websocket_handler handler = make_handler();
    struct socketserver server;

    app = NULL;
    acted = 0;
    socketserver_open(&server);
    socketserver_connect(&server, NULL, &handler, NULL);
    socketserver_wait(&server);
    bool loop_closes = what == CLOSE_LOOP;
    struct wsframes frames = { 0 };
    add_frames(&frames);
    send_answer(&server);
    if (now == IN_DRAIN)
        fill_up(server.socket, 512 << 10);
    if (now == BETWEEN)
        act(server.socket);
    for (size_t i = 0; i < frames.length && acted == 0; i += split ? 1 : frames.length) {
        (void)!send(server.fd, frames.bytes + i, split ? 1 : frames.length, MSG_NOSIGNAL);
        ioloop_run_once(server.loop, 0);
    }
    if (now == IN_CLOSE)
        socketserver_hang_up(&server);
    while (acted == 0) {
        static char piece[1 << 20];

        while (now == IN_DRAIN && recv(server.fd, piece, sizeof piece, MSG_DONTWAIT) > 0)
            ;
        ioloop_run_once(server.loop, 0.001);
    }
    if (loop_closes)
        server.loop = NULL;
    wsframes_free(&frames);
    if (server.loop != NULL)
        socketserver_settle(&server);
    socketserver_hang_up(&server);
    if (server.loop != NULL)
        socketserver_pass(&server, 6);
    webscene_forget_notes();
    assert_int_equal(server.closed, 1);
    socketserver_close(&server);
}

static void a_client_socket_may_end_in_all_its_callbacks(void **state)
{
    for (now = 0; now < WHENS; now++) {
        for (what = 0; what < ACTIONS; what++)
            run_with_client(false);
    }
}

static void a_client_socket_may_end_between_any_two_bytes(void **state)
{
    for (now = IN_MESSAGE; now < IN_DRAIN; now++) {
        for (what = 0; what < ACTIONS; what++)
            run_with_client(true);
    }
}

/* In the turn in which the peer answers a ping. */

static void close_loop(int fd, unsigned events, void *arg)
{
    acted++;
    ioloop_close(arg, false);
}

static void refuse_message(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    fail_msg("a message behind the end");
}

static void wait_for_ping(struct socketscene *scene, struct httpscene_client *client)
{
    for (int i = 0; i < 5; i++)
        httpscene_pass(&scene->web.http, 1.2);
    socketscene_expect(scene, client, SOCKETSCENE_PING, "");
}

/* With no deadline any more the connection ends, and with it what had come of the message. */
static void a_loop_may_close_before_the_answer_to_a_ping_is_looked_at(void **state)
{
    static const size_t befores[] = { 0, 1, 200, 19000 }; /* bytes of the frame that come before the ping */
    static char payload[20000];

    for (size_t i = 0; i < 2 * sizeof befores / sizeof *befores; i++) {
        struct socketscene scene;
        struct ioloop *loop;
        size_t before = befores[i / 2];
        int fds[2];

        what = CLOSE_LOOP;
        now = WHENS;
        acted = 0;
        socketscene_open(&scene, &(struct websocket_handler){
                                     .ping_interval = 4, .on_message = refuse_message, .on_close = closed });
        scene.is_mute = true;
        loop = scene.web.http.loop;
        struct httpscene_client *client = socketscene_connect(&scene, "");
        wsframes_add(&scene.frames, i % 2 ? SOCKETSCENE_BINARY : 2, payload, before > 0 ? sizeof payload : 5);
        httpscene_put_bytes(&scene.web.http, client, scene.frames.bytes, before);
        httpscene_settle(&scene.web.http);
        wait_for_ping(&scene, client);
        testing_socketpair(fds);
        assert_int_equal(ioloop_add_handler(loop, fds[0], close_loop, loop, IOLOOP_READ), 0);
        testing_spin(loop, 2);
        assert_int_equal(write(fds[1], "a", 1), 1);
        httpscene_put_some(client, scene.frames.bytes + before, scene.frames.length - before);
        while (acted == 0)
            (void)!ioloop_run_once(loop, 0);
        assert_int_equal(scene.closed, 1);
        end_scene(&scene);
        close(fds[0]);
        close(fds[1]);
    }
}

/* In the callbacks of the handshake. */

static bool end_in_origin(struct web_request *request, const char *origin)
{
    acted++;
    if (what == CLOSE_SERVER)
        web_application_close(app);
    else if (what == CLOSE_LOOP)
        ioloop_close(httprequest_loop(web_http(request)), false);
    else
        web_send_error(request, 403);
    return true;
}

static const char *end_in_selection(struct web_request *request, const char *const *names, size_t count)
{
    end_in_origin(request, "");
    return NULL;
}

static void end_in_prepare(struct web_request *request)
{
    end_in_origin(request, "");
}

static void what_is_refused_in_a_handshake_leaves_nothing(void **state)
{
    static const struct websocket_handler handlers[] = { { .check_origin = end_in_origin },
                                                         { .select_subprotocol = end_in_selection },
                                                         { .prepare = end_in_prepare },
                                                         { .set_default_headers = end_in_prepare } };
    static const enum action actions[] = { ABORT, CLOSE_SERVER, CLOSE_LOOP };

    for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++) {
        for (size_t j = 0; j < sizeof actions / sizeof *actions; j++) {
            struct socketscene scene;

            what = actions[j];
            acted = 0;
            socketscene_open(&scene, &handlers[i]);
            app = scene.web.app;
            struct httpscene_client *client = httpscene_connect(&scene.web.http);
            httpscene_put(&scene.web.http, client,
                          "GET /ws HTTP/1.1\r\n" SOCKETSCENE_HANDSHAKE "Origin: http://example.org\r\n\r\n");
            while (acted == 0)
                ioloop_run_once(scene.web.http.loop, 0.001);
            assert_true(acted > 0);
            if (what == CLOSE_LOOP)
                end_scene(&scene);
            else
                socketscene_close(&scene);
        }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_server_socket_may_end_in_all_its_callbacks),
    cmocka_unit_test(a_server_socket_may_end_between_any_two_bytes),
    cmocka_unit_test(a_client_socket_may_end_in_all_its_callbacks),
    cmocka_unit_test(a_client_socket_may_end_between_any_two_bytes),
    cmocka_unit_test(a_loop_may_close_before_the_answer_to_a_ping_is_looked_at),
    cmocka_unit_test(what_is_refused_in_a_handshake_leaves_nothing),
};

TESTING_MAIN(tests)
