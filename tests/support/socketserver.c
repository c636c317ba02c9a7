#include "tests/support/socketserver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/faults.h"
#include "tests/support/socketscene.h"
#include "tests/support/testing.h"
#include "tests/support/webscene.h"
#include "websocket/websockethandshake.h"

#define ROUNDS 3000

struct socketserver *socketserver_current;

static void note_opened(struct websocket *socket, struct web_request *request)
{
    struct socketserver *server = socketserver_current;

    assert_null(request);
    server->opened++;
    webscene_note("open");
    if (server->open != NULL)
        server->open(socket, request);
}

static void note_closed(struct websocket *socket, int code, const char *reason)
{
    struct socketserver *server = socketserver_current;

    socketscene_note_close(socket, code, reason);
    server->closed++;
    socketscene_check_closed(socket);
    if (server->on_close != NULL)
        server->on_close(socket, code, reason);
    server->socket = NULL;
}

void socketserver_open(struct socketserver *server)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;

    testing_begin_logs();
    webscene_forget_notes();
    *server = (struct socketserver){ .clock = 100, .fd = -1, .allocated = faults_allocated() };
    socketserver_current = server;
    server->loop = ioloop_new(&(struct ioloop_options){ .clock = testing_clock, .clock_arg = &server->clock });
    assert_non_null(server->loop);
    server->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(server->listener, 16), 0);
    assert_int_equal(fcntl(server->listener, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &length), 0);
    server->port = ntohs(address.sin_port);
    snprintf(server->url, sizeof server->url, "ws://127.0.0.1:%d/ws", server->port);
}

void socketserver_close(struct socketserver *server)
{
    faults_end();
    socketserver_hang_up(server);
    if (server->loop != NULL) {
        socketserver_settle(server);
        ioloop_close(server->loop, false);
    }
    close(server->listener);
    assert_null(server->socket);
    wsframes_free(&server->frames);
    free(server->bytes);
    assert_int_equal(faults_allocated(), server->allocated);
    testing_end_logs();
    socketserver_current = NULL;
}

void socketserver_connect(struct socketserver *server, const char *url, const struct websocket_handler *handler,
                          const struct websocket_options *options)
{
    server->handler = *handler;
    server->open = handler->open;
    server->on_close = handler->on_close;
    server->handler.open = note_opened;
    server->handler.on_close = note_closed;
    server->socket = websocket_connect(server->loop, url != NULL ? url : server->url, &server->handler, options);
}

void socketserver_settle(struct socketserver *server)
{
    for (int quiet = 0, rounds = 0; quiet < 4 && rounds < ROUNDS; rounds++) {
        int count = testing_step(server->loop);
        assert_true(count >= 0);
        quiet = count == 0 ? quiet + 1 : 0;
    }
}

void socketserver_pass(struct socketserver *server, double seconds)
{
    for (int steps = (int)(seconds / 0.05 + 0.5); steps > 0; steps--) {
        server->clock += 0.05;
        socketserver_settle(server);
    }
}

/* What the client sends. */

static bool take_some(struct socketserver *server)
{
    char piece[65536];
    ssize_t count = server->ended ? 0 : recv(server->fd, piece, sizeof piece, MSG_DONTWAIT);

    if (count == 0 || (count < 0 && errno != EAGAIN))
        server->ended = true;
    if (count <= 0)
        return false;
    server->bytes = realloc(server->bytes, server->length + (size_t)count + 1);
    assert_non_null(server->bytes);
    memcpy(server->bytes + server->length, piece, (size_t)count);
    server->length += (size_t)count;
    server->bytes[server->length] = '\0';
    return true;
}

static void drop_bytes_of(struct socketserver *server, size_t length)
{
    server->length -= length;
    memmove(server->bytes, server->bytes + length, server->length + 1);
}

void socketserver_wait(struct socketserver *server)
{
    const char *end = NULL;

    socketserver_hang_up(server);
    for (int i = 0; i < ROUNDS && (server->fd = accept(server->listener, NULL, NULL)) < 0; i++)
        testing_turn(server->loop, server->listener);
    assert_true(server->fd >= 0);
    assert_int_equal(setsockopt(server->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)), 0);
    server->ended = false;
    for (int i = 0; i < ROUNDS && end == NULL; i++) {
        if (!take_some(server))
            testing_turn(server->loop, server->fd);
        end = server->length > 0 ? strstr(server->bytes, "\r\n\r\n") : NULL;
    }
    assert_non_null(end);
    size_t size = (size_t)(end - server->bytes) + 4;
    assert_true(size < sizeof server->request);
    memcpy(server->request, server->bytes, size);
    server->request[size] = '\0';
    drop_bytes_of(server, size);
    const char *key = strstr(server->request, "\r\nSec-WebSocket-Key: ");
    server->key[0] = '\0';
    if (key != NULL)
        snprintf(server->key, sizeof server->key, "%.*s", (int)strcspn(key + 21, "\r"), key + 21);
}

void socketserver_answer(struct socketserver *server, const char *text)
{
    char accept_text[WEBSOCKETHANDSHAKE_ACCEPT + 1], all[4096];
    const char *mark = strstr(text, "%s");

    websockethandshake_accept(server->key, accept_text);
    if (mark != NULL)
        snprintf(all, sizeof all, "%.*s%s%s", (int)(mark - text), text, accept_text, mark + 2);
    else
        snprintf(all, sizeof all, "%s", text);
    socketserver_put_raw(server, all, strlen(all));
}

void socketserver_accept(struct socketserver *server, const char *headers)
{
    char text[4096];

    socketserver_wait(server);
    snprintf(text, sizeof text,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %%s\r\n%s\r\n",
             headers);
    socketserver_answer(server, text);
}

/* Frames. */

void socketserver_put_raw(struct socketserver *server, const void *bytes, size_t length)
{
    size_t sent = 0;

    for (int i = 0; i < ROUNDS * 10 && sent < length; i++) {
        ssize_t count = send(server->fd, (const char *)bytes + sent, length - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count < 0 && errno != EAGAIN)
            break; /* the client has gone */
        sent += count > 0 ? (size_t)count : 0;
        if (count < 0)
            assert_true(ioloop_run_once(server->loop, 0.001) >= 0);
    }
    socketserver_settle(server);
}

static void put_all_frames(struct socketserver *server)
{
    size_t length = server->frames.length;

    server->frames.length = 0;
    socketserver_put_raw(server, server->frames.bytes, length);
}

void socketserver_put_bytes(struct socketserver *server, int first, const void *payload, size_t length)
{
    wsframes_add(&server->frames, first, payload, length);
    put_all_frames(server);
}

void socketserver_put(struct socketserver *server, int first, const char *payload)
{
    socketserver_put_bytes(server, first, payload, strlen(payload));
}

void socketserver_put_close(struct socketserver *server, int code, const char *reason)
{
    wsframes_add_close(&server->frames, code, reason);
    put_all_frames(server);
}

void socketserver_expect_bytes(struct socketserver *server, int first, const void *payload, size_t length)
{
    struct wsframes_frame frame;
    size_t size = 0;

    for (int i = 0; i < ROUNDS && !server->ended; i++) {
        size = server->length > 0 ? wsframes_take(server->bytes, server->length, &frame) : 0;
        if (size > 0)
            break;
        if (!take_some(server))
            testing_turn(server->loop, server->fd);
    }
    if (size == 0)
        fail_msg("no frame, but %zu bytes and %s", server->length, server->ended ? "the end" : "nothing");
    assert_true(frame.is_masked);
    assert_int_equal(frame.first, first);
    assert_int_equal(frame.length, length);
    char *place = malloc(length + 1);
    assert_non_null(place);
    wsframes_unmask(&frame, place);
    assert_memory_equal(place, payload, length);
    free(place);
    drop_bytes_of(server, size);
}

void socketserver_expect(struct socketserver *server, int first, const char *payload)
{
    socketserver_expect_bytes(server, first, payload, strlen(payload));
}

void socketserver_expect_close(struct socketserver *server, int code, const char *reason)
{
    char payload[130] = { (char)(code >> 8), (char)code };

    memcpy(payload + 2, reason, strlen(reason));
    socketserver_expect_bytes(server, WSFRAMES_FINAL | 8, payload, code != 0 ? 2 + strlen(reason) : 0);
}

void socketserver_expect_end(struct socketserver *server)
{
    for (int i = 0; i < ROUNDS && !server->ended; i++) {
        if (!take_some(server))
            testing_turn(server->loop, server->fd);
    }
    assert_true(server->ended);
    assert_int_equal(server->length, 0);
}

void socketserver_hang_up(struct socketserver *server)
{
    if (server->fd >= 0)
        close(server->fd);
    testing_deliver();
    server->fd = -1;
    server->length = 0;
}
