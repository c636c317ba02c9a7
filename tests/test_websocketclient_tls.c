/* wss on both sides, with a transport from outside: one that changes every byte, greets first and reads ahead. */
#include "tests/support/testing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "httpclient/httpclient.h"
#include "tests/support/socketscene.h"
#include "tests/support/veil.h"
#include "websocket/websocket.h"

static struct veil veils[2]; /* server, client */

static int start_server_veil(void *arg, const struct iostream_transport **transport, void **context)
{
    *transport = &veil_greeting;
    *context = &veils[0];
    return 0;
}

static int start_client_veil(void *arg, const char *host, const struct iostream_transport **transport, void **context)
{
    *transport = &veil_greeting;
    *context = &veils[1];
    return 0;
}

enum { COUNT = 8 };

static const size_t lengths[COUNT] = { 0, 1, 125, 126, 4096, 5000, 70000, 300000 };
static char bytes[300000];
static int echoed, ended;

static void send_next(struct websocket *socket)
{
    if (echoed == COUNT)
        websocket_close(socket, 1000, "done");
    else
        assert_int_equal(websocket_write(socket, bytes, lengths[echoed], true), 0);
}

static void client_opened(struct websocket *socket, struct web_request *request)
{
    send_next(socket);
}

static void client_got(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    assert_int_equal(length, lengths[echoed]);
    assert_memory_equal(data, bytes, length);
    echoed++;
    send_next(socket);
}

static void client_ended(struct websocket *socket, int code, const char *reason)
{
    assert_int_equal(code, 1000);
    assert_int_equal(websocket_error(socket), 0);
    ended++;
}

static const struct websocket_handler asking = { .open = client_opened,
                                                 .on_message = client_got,
                                                 .on_close = client_ended };

static void messages_pass_through_a_transport_from_outside(void **state)
{
    struct socketscene scene;
    char url[64];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 11);
    echoed = ended = 0;
    veils[0] = veils[1] = (struct veil){ .rounds = 2 };
    socketscene_open_with(&scene, &(struct websocket_handler){ .on_message = socketscene_echo },
                          &(struct web_settings){ .server.start_transport = start_server_veil });
    struct httpclient *client = httpclient_new(
        scene.web.http.loop, &(struct httpclient_options){ .tls = { .start = start_client_veil, .arg = &ended } });
    assert_non_null(client);
    snprintf(url, sizeof url, "wss://127.0.0.1:%d/ws", scene.web.http.port);
    assert_non_null(
        websocket_connect(scene.web.http.loop, url, &asking, &(struct websocket_options){ .client = client }));
    while (ended == 0)
        assert_true(ioloop_run_once(scene.web.http.loop, 0.001) >= 0);
    assert_int_equal(echoed, COUNT);
    assert_int_equal(ended, 1);
    httpscene_settle(&scene.web.http);
    webscene_expect_notes("open close:1000:done:0 ");
    httpclient_close(client);
    httpscene_settle(&scene.web.http);
    assert_int_equal(veils[0].closes, 1);
    assert_int_equal(veils[1].closes, 1);
    socketscene_close(&scene);
}

static void wss_without_a_transport_is_refused(void **state)
{
    struct ioloop *loop = ioloop_new(NULL);

    errno = 0;
    assert_null(websocket_connect(loop, "wss://127.0.0.1:1/", &asking, NULL));
    assert_int_equal(errno, EPROTONOSUPPORT);
    ioloop_close(loop, false);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(messages_pass_through_a_transport_from_outside),
    cmocka_unit_test(wss_without_a_transport_is_refused),
};

TESTING_MAIN(tests)
