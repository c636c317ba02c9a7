#include "websocket/websocket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/faults.h"
#include "tests/support/socketscene.h"
#include "tests/support/socketserver.h"
#include "tests/support/testing.h"

/* Allocations and system calls that fail, each in its turn: no socket is lost or told of twice, no memory leaks, and
 * the server goes on serving. */

static char bytes[200000];

static void open_with_topics(struct websocket *socket, struct web_request *request)
{
    (void)!websocket_subscribe(socket, "a");
    (void)!websocket_subscribe(socket, "b");
    (void)!websocket_write_text(socket, "hello");
    (void)websocket_remote_ip(socket);
}

static void answer_all(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    (void)!websocket_write(socket, data, length, is_binary);
    (void)!websocket_publish(websocket_loop(socket), "a", data, length, is_binary, NULL);
}

static const char *select_first(struct web_request *request, const char *const *names, size_t count)
{
    return count > 0 ? names[0] : NULL;
}

static const struct websocket_handler busy = { .open = open_with_topics,
                                               .on_message = answer_all,
                                               .select_subprotocol = select_first,
                                               .on_drain = socketscene_note_drain,
                                               .ping_interval = 4 };

static void turn(struct socketscene *scene, struct httpscene_client *client, int times)
{
    for (int i = 0; i < times; i++) {
        httpscene_take(client, SIZE_MAX);
        assert_true(ioloop_run_once(scene->web.http.loop, 0) >= 0);
    }
}

static void put_and_turn(struct socketscene *scene, struct httpscene_client *client)
{
    struct wsframes *frames = &scene->frames;

    for (size_t sent = 0, tries = 0; sent < frames->length && tries < 100; tries++) {
        sent += httpscene_put_some(client, frames->bytes + sent, frames->length - sent);
        turn(scene, client, 2);
    }
    frames->length = 0;
}

/* A client with everything a server's socket can have. */
static void visit_server(struct socketscene *scene)
{
    struct httpscene_client *client = httpscene_connect(&scene->web.http);
    const char *text = "GET /ws/x?a=b HTTP/1.1\r\n" SOCKETSCENE_HANDSHAKE
                       "Cookie: a=b\r\nSec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b\r\n"
                       "Origin: http://example.org\r\n\r\n";

    httpscene_put_some(client, text, strlen(text));
    turn(scene, client, 6);
    wsframes_add_text(&scene->frames, "short");
    wsframes_add(&scene->frames, 1, "in ", 3);
    wsframes_add(&scene->frames, SOCKETSCENE_PING, "ping", 4);
    wsframes_add(&scene->frames, WSFRAMES_FINAL, "parts", 5);
    put_and_turn(scene, client);
    wsframes_add(&scene->frames, SOCKETSCENE_BINARY, bytes, sizeof bytes);
    put_and_turn(scene, client);
    turn(scene, client, 10);
    for (int i = 0; i < 100; i++) {
        scene->web.http.clock += 0.05;
        turn(scene, client, 1);
    }
    wsframes_add_close(&scene->frames, 1000, "bye");
    put_and_turn(scene, client);
    turn(scene, client, 6);
    if (client->length >= 9)
        assert_memory_equal(client->bytes, "HTTP/1.1 ", 9); /* no frames without a handshake */
    httpscene_hang_up(client);
    for (int i = 0; i < 6; i++)
        assert_true(ioloop_run_once(scene->web.http.loop, 0) >= 0);
}

static void expect_alive(struct socketscene *scene)
{
    faults_end();
    for (int i = 0; i < scene->web.http.client_count; i++)
        httpscene_hang_up(&scene->web.http.clients[i]);
    scene->web.http.clock += 100; /* what waits for memory, waits no more */
    httpscene_settle(&scene->web.http);
    assert_int_equal(scene->opened, scene->closed);
    struct httpscene_client *client = socketscene_connect(scene, "");
    socketscene_put(scene, client, SOCKETSCENE_TEXT, "alive");
    socketscene_expect(scene, client, SOCKETSCENE_TEXT, "hello");
    socketscene_expect(scene, client, SOCKETSCENE_TEXT, "alive");
    httpscene_hang_up(client);
    httpscene_settle(&scene->web.http);
}

static void begin_busy(struct socketscene *scene)
{
    socketscene_open(scene, &busy);
    scene->is_mute = true;
}

static void end_busy(struct socketscene *scene)
{
    expect_alive(scene);
    webscene_forget_notes();
    socketscene_close(scene);
}

/* sticky: and all behind it. Answers how many there are. */
static int fail_each_allocation(bool sticky)
{
    int nth = 1;

    for (bool hit = true; hit; nth++) {
        struct socketscene scene;

        begin_busy(&scene);
        faults_allocation(nth, sticky);
        visit_server(&scene);
        hit = faults_hit();
        end_busy(&scene);
        assert_true(nth < 1000);
    }
    return nth;
}

static void a_server_survives_each_allocation_that_fails(void **state)
{
    assert_true(fail_each_allocation(false) > 20);
}

static void a_server_survives_when_there_is_no_memory_any_more(void **state)
{
    fail_each_allocation(true);
}

static void a_server_survives_each_system_call_that_fails(void **state)
{
    static const struct {
        const char *name;
        int error;
    } rows[] = { { "recv", ECONNRESET },  { "recv", EINTR },         { "recv", EAGAIN },    { "send", EPIPE },
                 { "send", EAGAIN },      { "sendmsg", ECONNRESET }, { "sendmsg", EAGAIN }, { "sendmsg", EINTR },
                 { "epoll_ctl", ENOMEM }, { "shutdown", ENOTCONN },  { "close", EIO },      { "accept4", EMFILE } };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int nth = 1;

        for (bool hit = true; hit; nth++) {
            struct socketscene scene;

            begin_busy(&scene);
            faults_system_call(rows[i].name, rows[i].error, nth);
            visit_server(&scene);
            hit = faults_hit();
            end_busy(&scene);
            assert_true(nth < 1000);
        }
    }
}

static void short_writes_change_nothing(void **state)
{
    static const size_t most[] = { 1, 7, 100, 5000 };

    for (size_t i = 0; i < sizeof most / sizeof *most; i++) {
        struct socketscene scene;
        struct httpscene_client *client =
            socketscene_begin(&scene, &(struct websocket_handler){ .on_message = socketscene_echo });

        faults_short_io(most[i]);
        size_t length = most[i] < 100 ? 300 : 100000;
        socketscene_put_bytes(&scene, client, SOCKETSCENE_BINARY, bytes, length);
        socketscene_expect_bytes(&scene, client, SOCKETSCENE_BINARY, bytes, length);
        faults_end();
        socketscene_leave(&scene, client);
        socketscene_close(&scene);
    }
}

/* Where the answer to a handshake is lost, no frames follow. */
static void no_frame_comes_without_a_handshake(void **state)
{
    int nth = 1;

    for (bool hit = true; hit; nth++) {
        struct socketscene scene;
        const char *first = "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n";
        const char *second = "GET /ws HTTP/1.1\r\n" SOCKETSCENE_HANDSHAKE "\r\n";

        begin_busy(&scene);
        struct httpscene_client *client = httpscene_connect(&scene.web.http);
        faults_system_call_sticky("send", EAGAIN, 1);
        httpscene_put_some(client, first, strlen(first));
        turn(&scene, client, 4);
        assert_int_equal(client->length, 0); /* the answer waits, and what follows has to wait behind it */
        faults_end();
        faults_allocation(nth, false);
        httpscene_put_some(client, second, strlen(second));
        for (int i = 0; i < 8; i++)
            assert_true(ioloop_run_once(scene.web.http.loop, 0) >= 0);
        hit = faults_hit();
        turn(&scene, client, 8);
        const char *behind = client->length > 0 ? strstr(client->bytes, "</html>") : NULL;
        if (behind != NULL && behind[7] != '\0')
            assert_memory_equal(behind + 7, "HTTP/1.1 ", 9);
        end_busy(&scene);
        assert_true(nth < 1000);
    }
    assert_true(nth > 5);
}

/* A client. */

static void visit_as_client(struct socketserver *server)
{
    errno = 0;
    socketserver_connect(server, NULL, &busy,
                         &(struct websocket_options){ .subprotocols = (const char *[]){ "a", "b", NULL },
                                                      .origin = "http://example.org" });
    if (server->socket == NULL) {
        assert_true(errno != 0);
        return;
    }
    for (int i = 0; i < 20 && server->socket != NULL && server->fd < 0; i++) {
        assert_true(ioloop_run_once(server->loop, 0.001) >= 0);
        server->fd = accept(server->listener, NULL, NULL);
    }
    server->ended = false;
    if (server->fd < 0 || server->socket == NULL)
        return;
    char request[2048] = "";
    size_t length = 0;
    for (int i = 0; i < 200 && strstr(request, "\r\n\r\n") == NULL && server->socket != NULL; i++) {
        assert_true(ioloop_run_once(server->loop, 0.001) >= 0);
        ssize_t count = recv(server->fd, request + length, sizeof request - 1 - length, MSG_DONTWAIT);
        length += count > 0 ? (size_t)count : 0;
    }
    const char *key = strstr(request, "\r\nSec-WebSocket-Key: ");
    if (key == NULL)
        return;
    snprintf(server->key, sizeof server->key, "%.24s", key + 21);
    socketserver_answer(server, "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: b\r\n\r\n");
    socketserver_put(server, 1, "first");
    socketserver_put(server, WSFRAMES_FINAL, "last");
    socketserver_put(server, SOCKETSCENE_PING, "ping");
    socketserver_put_bytes(server, SOCKETSCENE_BINARY, bytes, 100000);
    socketserver_pass(server, 5);
    socketserver_put_close(server, 1000, "bye");
    socketserver_settle(server);
}

static void end_client_scene(struct socketserver *server)
{
    faults_end();
    socketserver_hang_up(server);
    socketserver_settle(server);
    socketserver_pass(server, 11);
    assert_null(server->socket);
    assert_in_range(server->closed, 0, 1);
    assert_true(server->opened <= server->closed);
    webscene_forget_notes();
    socketserver_close(server);
}

static void a_client_survives_each_allocation_that_fails(void **state)
{
    for (int sticky = 0; sticky < 2; sticky++) {
        int nth = 1;

        for (bool hit = true; hit; nth++) {
            struct socketserver server;

            socketserver_open(&server);
            faults_allocation(nth, sticky);
            visit_as_client(&server);
            hit = faults_hit();
            end_client_scene(&server);
            assert_true(nth < 1000);
        }
        assert_true(nth > 20);
    }
}

static void a_client_survives_each_system_call_that_fails(void **state)
{
    static const struct {
        const char *name;
        int error;
    } rows[] = { { "recv", ECONNRESET },  { "send", EPIPE },          { "sendmsg", EAGAIN }, { "sendmsg", ECONNRESET },
                 { "epoll_ctl", ENOMEM }, { "connect", ENETUNREACH }, { "socket", EMFILE },  { "close", EIO } };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int nth = 1;

        for (bool hit = true; hit && nth < 60; nth++) {
            struct socketserver server;

            socketserver_open(&server);
            faults_system_call(rows[i].name, rows[i].error, nth);
            visit_as_client(&server);
            hit = faults_hit();
            end_client_scene(&server);
        }
    }
}

static void note_piece(struct websocket *socket, const void *data, size_t length, bool is_binary, bool is_last)
{
    webscene_note("piece");
}

static void pause_without_memory(struct websocket *socket, const void *data, size_t length)
{
    websocket_pause(socket);
    faults_allocation(1, true);
}

/* What was begun cannot be remembered then: that is the end of it, also for a program that resumes. */
static void a_socket_that_fails_while_it_is_paused_hands_over_nothing_more(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client = socketscene_begin(
        &scene, &(struct websocket_handler){ .on_piece = note_piece, .on_ping = pause_without_memory });

    wsframes_add(&scene.frames, 1, "abc", 3);
    socketscene_put(&scene, client, SOCKETSCENE_PING, "");
    faults_end();
    socketscene_expect(&scene, client, SOCKETSCENE_PONG, "");
    socketscene_expect_close(&scene, client, 1011, "no memory");
    websocket_resume(scene.socket);
    socketscene_put(&scene, client, WSFRAMES_FINAL, "def");
    socketscene_put(&scene, client, SOCKETSCENE_TEXT, "ghi");
    httpscene_hang_up(client);
    httpscene_settle(&scene.web.http);
    webscene_expect_notes("open piece close:1006::another ");
    socketscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_server_survives_each_allocation_that_fails),
    cmocka_unit_test(a_server_survives_when_there_is_no_memory_any_more),
    cmocka_unit_test(a_server_survives_each_system_call_that_fails),
    cmocka_unit_test(short_writes_change_nothing),
    cmocka_unit_test(no_frame_comes_without_a_handshake),
    cmocka_unit_test(a_client_survives_each_allocation_that_fails),
    cmocka_unit_test(a_client_survives_each_system_call_that_fails),
    cmocka_unit_test(a_socket_that_fails_while_it_is_paused_hands_over_nothing_more),
};

TESTING_MAIN(tests)
