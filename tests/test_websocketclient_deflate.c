#include "websocket/websocketclient.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "httpclient/httpclient.h"
#include "tests/support/deflatepeer.h"
#include "tests/support/faults.h"
#include "tests/support/socketscene.h"
#include "tests/support/socketserver.h"
#include "tests/support/testing.h"

/* Compression of a client's socket. */

enum { COMPRESSED_TEXT = SOCKETSCENE_TEXT | WSFRAMES_COMPRESSED };

static const struct websocket_handler plain, notes = { .compress = true };
static const struct websocket_handler anew = { .compress = true, .compress_anew = true, .compress_window = 10 };

/* What the client says, and what it makes of the answer. */
static void the_answer_has_to_be_one_to_the_offer(void **state)
{
    static const struct {
        const struct websocket_handler *handler;
        const char *offer, *answer; /* NULL: none */
        int compresses;             /* -1: it is refused */
    } rows[] = {
        { &plain, NULL, NULL, 0 },
        { &plain, NULL, "permessage-deflate", -1 },
        { &notes, "permessage-deflate; client_max_window_bits", NULL, 0 },
        { &notes, "permessage-deflate; client_max_window_bits", "permessage-deflate", 1 },
        { &notes, "permessage-deflate; client_max_window_bits", "permessage-deflate; client_max_window_bits=9", 1 },
        { &notes, "permessage-deflate; client_max_window_bits", "permessage-deflate; server_no_context_takeover", 1 },
        { &notes, "permessage-deflate; client_max_window_bits", "permessage-deflate; other", -1 },
        { &notes, "permessage-deflate; client_max_window_bits", "x-other", -1 },
        { &notes, "permessage-deflate; client_max_window_bits", "permessage-deflate, permessage-deflate", -1 },
        { &anew,
          "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; "
          "client_max_window_bits=10",
          "permessage-deflate; server_no_context_takeover; server_max_window_bits=10", 1 },
        { &anew,
          "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; "
          "client_max_window_bits=10",
          "permessage-deflate", -1 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct socketserver server;
        char line[300] = "";

        socketserver_open(&server);
        socketserver_connect(&server, NULL, rows[i].handler, NULL);
        if (rows[i].answer != NULL)
            snprintf(line, sizeof line, "Sec-WebSocket-Extensions: %s\r\n", rows[i].answer);
        socketserver_accept(&server, line);
        if (rows[i].offer != NULL)
            snprintf(line, sizeof line, "\r\nSec-WebSocket-Extensions: %s\r\n", rows[i].offer);
        if (rows[i].offer != NULL ? strstr(server.request, line) == NULL
                                  : strstr(server.request, "Sec-WebSocket-Extensions") != NULL)
            fail_msg("%zu: %s", i, server.request);
        socketserver_settle(&server);
        assert_int_equal(server.opened, rows[i].compresses >= 0);
        if (server.socket != NULL)
            assert_int_equal(websocket_compresses(server.socket), rows[i].compresses);
        socketserver_close(&server);
        webscene_expect_notes(rows[i].compresses < 0 ? "close:1006::EPROTO " : "open close:1006::ESHUTDOWN ");
    }
}

static void a_header_of_the_program_offers_nothing(void **state)
{
    struct httpheaders headers = { 0 };
    struct socketserver server;

    assert_int_equal(httpheaders_set(&headers, "Sec-WebSocket-Extensions", "x-other"), 0);
    socketserver_open(&server);
    socketserver_connect(&server, NULL, &notes,
                         &(struct websocket_options){ .request = &(struct httpclient_request){ .headers = &headers } });
    socketserver_accept(&server, "");
    assert_null(strstr(server.request, "x-other"));
    assert_non_null(strstr(server.request, "permessage-deflate"));
    socketserver_close(&server);
    httpheaders_free(&headers);
    webscene_forget_notes();
}

/* Both sides ours, each way of agreeing. */

static struct websocket *of_client;
static char *text;
static size_t sent_length, got_count;

static void send_next(struct websocket *socket)
{
    static const size_t lengths[] = { 0, 63, 64, 1000, 5000, 60000, 300000, 1 << 20 };

    if (got_count == sizeof lengths / sizeof *lengths) {
        (void)!websocket_close(socket, 1000, NULL);
        return;
    }
    sent_length = lengths[got_count];
    assert_int_equal(websocket_write(socket, text, sent_length, false), 0);
}

static void client_opened(struct websocket *socket, struct web_request *request)
{
    send_next(socket);
}

static void client_message(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    assert_false(is_binary);
    assert_int_equal(length, sent_length);
    assert_memory_equal(data, text, length);
    got_count++;
    send_next(socket);
}

static void client_closed(struct websocket *socket, int code, const char *reason)
{
    assert_int_equal(code, 1000);
    of_client = NULL;
}

/* websocket_test:test_message_sizes, the four ways to agree or not */
static void a_client_and_a_server_compress_if_both_want_it(void **state)
{
    text = malloc(1 << 20);
    assert_non_null(text);
    for (size_t i = 0; i < 1 << 20; i++)
        text[i] = "some words that come again, and 9 others "[(i + i / 1000) % 41];
    for (int way = 0; way < 8; way++) {
        struct websocket_handler handler = { .open = client_opened,
                                             .on_message = client_message,
                                             .on_close = client_closed,
                                             .compress = way & 1,
                                             .compress_anew = way & 4 };
        struct socketscene scene;
        char url[64];

        got_count = 0;
        socketscene_open(&scene, &(struct websocket_handler){ .on_message = socketscene_echo,
                                                              .compress = way & 2,
                                                              .compress_window = way & 4 ? 9 : 0 });
        snprintf(url, sizeof url, "ws://127.0.0.1:%d/ws", scene.web.http.port);
        of_client = websocket_connect(scene.web.http.loop, url, &handler, NULL);
        assert_non_null(of_client);
        while (of_client != NULL) {
            ioloop_run_once(scene.web.http.loop, 0.001);
            if (got_count == 1 && of_client != NULL)
                assert_int_equal(websocket_compresses(of_client), (way & 3) == 3);
        }
        assert_int_equal(got_count, 8);
        httpscene_settle(&scene.web.http);
        webscene_expect_notes("open close:1000::0 ");
        socketscene_close(&scene);
    }
    free(text);
}

static void a_client_sends_masked_and_compressed(void **state)
{
    struct socketserver server;
    struct deflatepeer peer;
    char words[200];

    for (size_t i = 0; i < sizeof words; i++)
        words[i] = "abcdefghij"[i % 10];
    socketserver_open(&server);
    socketserver_connect(&server, NULL, &notes, NULL);
    socketserver_accept(&server, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    socketserver_settle(&server);
    deflatepeer_open(&peer, NULL, true); /* what the client will say */
    for (int i = 0; i < 3; i++) {
        size_t size;
        char *payload = deflatepeer_compress(&peer, words, sizeof words, &size);

        assert_int_equal(websocket_write(server.socket, words, sizeof words, false), 0);
        socketserver_expect_bytes(&server, COMPRESSED_TEXT, payload, size);
        free(payload);
    }
    deflatepeer_close(&peer);
    socketserver_close(&server);
    webscene_forget_notes();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_answer_has_to_be_one_to_the_offer),
    cmocka_unit_test(a_header_of_the_program_offers_nothing),
    cmocka_unit_test(a_client_and_a_server_compress_if_both_want_it),
    cmocka_unit_test(a_client_sends_masked_and_compressed),
};

TESTING_MAIN(tests)
