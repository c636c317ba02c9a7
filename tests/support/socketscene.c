#include "tests/support/socketscene.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/faults.h"
#include "tests/support/testing.h"

struct socketscene *socketscene_current;

/* For handlers. */

static void note(const char *what, const void *data, size_t length)
{
    char word[200];

    assert_true(length < sizeof word);
    snprintf(word, sizeof word, "%s:%.*s", what, (int)length, (const char *)data);
    webscene_note(word);
}

void socketscene_echo(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    assert_int_equal(((const char *)data)[length], '\0');
    assert_int_equal(websocket_write(socket, data, length, is_binary), 0);
}

void socketscene_note_message(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    assert_int_equal(((const char *)data)[length], '\0');
    note(is_binary ? "binary" : "text", data, length);
}

void socketscene_note_ping(struct websocket *socket, const void *data, size_t length)
{
    note("ping", data, length);
}

void socketscene_note_pong(struct websocket *socket, const void *data, size_t length)
{
    note("pong", data, length);
}

void socketscene_note_drain(struct websocket *socket)
{
    webscene_note("drain");
}

const char *socketscene_error_name(int error)
{
    static const struct {
        int error;
        const char *name;
    } names[] = { { 0, "0" },
                  { -ECANCELED, "ECANCELED" },
                  { -ECONNREFUSED, "ECONNREFUSED" },
                  { -ECONNRESET, "ECONNRESET" },
                  { -EIO, "EIO" },
                  { -EMSGSIZE, "EMSGSIZE" },
                  { -ENOBUFS, "ENOBUFS" },
                  { -ENOMSG, "ENOMSG" },
                  { -EPROTO, "EPROTO" },
                  { -ESHUTDOWN, "ESHUTDOWN" },
                  { -ETIMEDOUT, "ETIMEDOUT" } };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i].error == error)
            return names[i].name;
    }
    return "another";
}

void socketscene_note_close(struct websocket *socket, int code, const char *reason)
{
    char word[200];

    snprintf(word, sizeof word, "close:%d:%s:%s", code, reason, socketscene_error_name(websocket_error(socket)));
    webscene_note(word);
}

void socketscene_check_closed(struct websocket *socket)
{
    assert_true(websocket_closing(socket));
    assert_int_equal(websocket_write_text(socket, "a"), -EBADF);
    assert_int_equal(websocket_ping(socket, "a", 1), -EBADF);
    assert_int_equal(websocket_subscribe(socket, "a"), -EBADF);
    websocket_pause(socket);
    websocket_resume(socket);
    assert_int_equal(websocket_close(socket, 1000, NULL), 0);
    websocket_abort(socket);
}

static void opened(struct websocket *socket, struct web_request *request)
{
    struct socketscene *scene = socketscene_current;

    scene->socket = socket;
    scene->opened++;
    if (!scene->is_mute)
        webscene_note("open");
    if (scene->open != NULL)
        scene->open(socket, request);
}

static void closed(struct websocket *socket, int code, const char *reason)
{
    struct socketscene *scene = socketscene_current;
    if (!scene->is_mute)
        socketscene_note_close(socket, code, reason);
    scene->closed++;
    assert_int_equal(scene->web.closed, 0); /* the server is the last */
    socketscene_check_closed(socket);
    if (scene->on_close != NULL)
        scene->on_close(socket, code, reason);
    if (scene->socket == socket)
        scene->socket = NULL;
}

/* Life. */

void socketscene_open_with(struct socketscene *scene, const struct websocket_handler *handler,
                           const struct web_settings *settings)
{
    memset(scene, 0, sizeof *scene);
    socketscene_current = scene;
    scene->handler = *handler;
    scene->open = handler->open;
    scene->on_close = handler->on_close;
    scene->handler.open = opened;
    scene->handler.on_close = closed;
    if (scene->handler.on_message == NULL && scene->handler.on_piece == NULL)
        scene->handler.on_message = socketscene_note_message;
    scene->frames.is_masked = true;
    webscene_open(&scene->web,
                  (struct web_route[]){ { "/ws", &websocket_route, &scene->handler, NULL },
                                        { "/ws/(.*)", &websocket_route, &scene->handler, NULL },
                                        { 0 } },
                  settings);
}

void socketscene_open(struct socketscene *scene, const struct websocket_handler *handler)
{
    socketscene_open_with(scene, handler, NULL);
}

/* The application may have closed before. */
static void close_web(struct webscene *scene)
{
    faults_end();
    for (int i = 0; i < scene->http.client_count; i++)
        httpscene_hang_up(&scene->http.clients[i]);
    httpscene_settle(&scene->http);
    if (scene->closed == 0) {
        webscene_close(scene);
        return;
    }
    ioloop_close(scene->http.loop, false);
    free(scene->text);
    free(scene->body);
    assert_int_equal(faults_allocated(), scene->http.allocated);
    testing_end_logs();
}

void socketscene_close(struct socketscene *scene)
{
    close_web(&scene->web);
    assert_int_equal(scene->opened, scene->closed);
    wsframes_free(&scene->frames);
    socketscene_current = NULL;
}

/* Clients. */

void socketscene_shake_hands(struct socketscene *scene, struct httpscene_client *client, const char *request,
                             const char *headers, char head[1024])
{
    char text[4096];

    snprintf(text, sizeof text, "%s HTTP/1.1\r\n%s%s\r\n", request, SOCKETSCENE_HANDSHAKE, headers);
    httpscene_put(&scene->web.http, client, text);
    while (client->length == 0 || strstr(client->bytes, "\r\n\r\n") == NULL) {
        testing_turn(scene->web.http.loop, client->fd);
        httpscene_take(client, SIZE_MAX);
    }
    const char *end = strstr(client->bytes, "\r\n\r\n");
    assert_non_null(end);
    size_t size = (size_t)(end - client->bytes) + 4;
    assert_true(size < 1024);
    memcpy(head, client->bytes, size);
    head[size] = '\0';
    client->length -= size;
    memmove(client->bytes, client->bytes + size, client->length + 1);
}

static struct httpscene_client *open_socket(struct socketscene *scene, struct httpscene_client *client,
                                            const char *headers)
{
    char head[1024];

    socketscene_shake_hands(scene, client, "GET /ws", headers, head);
    if (strncmp(head, "HTTP/1.1 101 Switching Protocols\r\n", 34) != 0)
        fail_msg("%s", head);
    assert_non_null(strstr(head, "\r\n" SOCKETSCENE_ACCEPT));
    return client;
}

struct httpscene_client *socketscene_connect(struct socketscene *scene, const char *headers)
{
    return open_socket(scene, httpscene_connect(&scene->web.http), headers);
}

struct httpscene_client *socketscene_connect_unix(struct socketscene *scene, const char *headers)
{
    if (scene->web.http.path[0] == '\0')
        httpscene_listen_unix(&scene->web.http, web_application_server(scene->web.app));
    return open_socket(scene, httpscene_connect_unix(&scene->web.http), headers);
}

struct httpscene_client *socketscene_begin(struct socketscene *scene, const struct websocket_handler *handler)
{
    socketscene_open(scene, handler);
    return socketscene_connect(scene, "");
}

static void put_all(struct socketscene *scene, struct httpscene_client *client)
{
    httpscene_put_bytes(&scene->web.http, client, scene->frames.bytes, scene->frames.length);
    scene->frames.length = 0;
    httpscene_settle(&scene->web.http);
}

void socketscene_put_bytes(struct socketscene *scene, struct httpscene_client *client, int first, const void *payload,
                           size_t length)
{
    wsframes_add(&scene->frames, first, payload, length);
    put_all(scene, client);
}

void socketscene_put(struct socketscene *scene, struct httpscene_client *client, int first, const char *payload)
{
    socketscene_put_bytes(scene, client, first, payload, strlen(payload));
}

void socketscene_put_close(struct socketscene *scene, struct httpscene_client *client, int code, const char *reason)
{
    wsframes_add_close(&scene->frames, code, reason);
    put_all(scene, client);
}

void socketscene_expect_bytes(struct socketscene *scene, struct httpscene_client *client, int first,
                              const void *payload, size_t length)
{
    struct wsframes_frame frame;
    size_t size = 0;

    for (int i = 0; i < 5000; i++) {
        size = client->length > 0 ? wsframes_take(client->bytes, client->length, &frame) : 0;
        if (size > 0 || client->ended)
            break;
        if (httpscene_take(client, SIZE_MAX) == 0)
            testing_turn(scene->web.http.loop, client->fd);
    }
    if (size == 0)
        fail_msg("no frame, but %zu bytes and %s", client->length, client->ended ? "the end" : "nothing");
    assert_false(frame.is_masked);
    assert_int_equal(frame.first, first);
    assert_int_equal(frame.length, length);
    assert_memory_equal(frame.payload, payload, length);
    client->length -= size;
    memmove(client->bytes, client->bytes + size, client->length + 1);
}

void socketscene_expect(struct socketscene *scene, struct httpscene_client *client, int first, const char *payload)
{
    socketscene_expect_bytes(scene, client, first, payload, strlen(payload));
}

void socketscene_expect_close(struct socketscene *scene, struct httpscene_client *client, int code, const char *reason)
{
    char payload[130] = { (char)(code >> 8), (char)code };

    memcpy(payload + 2, reason, strlen(reason));
    socketscene_expect_bytes(scene, client, SOCKETSCENE_CLOSE, payload, code != 0 ? 2 + strlen(reason) : 0);
}

void socketscene_pass(struct socketscene *scene, double seconds)
{
    for (int steps = (int)(seconds / 0.05 + 0.5); steps > 0; steps--)
        httpscene_pass(&scene->web.http, 0.05);
}

void socketscene_leave(struct socketscene *scene, struct httpscene_client *client)
{
    socketscene_put_close(scene, client, 1000, "");
    socketscene_expect_close(scene, client, 1000, "");
    httpscene_expect_end(&scene->web.http, client);
    httpscene_hang_up(client);
    httpscene_settle(&scene->web.http);
}
