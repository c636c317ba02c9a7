/* The handshake of a client: what it asks for, and what becomes of each answer. */
#include "websocket/websocket.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "httpclient/httpclient.h"
#include "tests/support/socketscene.h"
#include "tests/support/socketserver.h"
#include "tests/support/testing.h"

static const struct websocket_handler notes = { .on_message = socketscene_note_message,
                                                .on_ping = socketscene_note_ping,
                                                .on_pong = socketscene_note_pong };

/* A server that has been asked for a handshake. */
static void begin_asked(struct socketserver *server, const struct websocket_handler *handler)
{
    socketserver_open(server);
    socketserver_connect(server, NULL, handler, NULL);
    socketserver_wait(server);
}

static int count_lines(const char *text, const char *line)
{
    int count = 0;

    for (text = strstr(text, line); text != NULL; text = strstr(text + 1, line))
        count++;
    return count;
}

static void the_handshake_is_as_rfc_6455_wants_it(void **state)
{
    struct socketserver server;
    char host[64];

    socketserver_open(&server);
    socketserver_connect(&server, NULL, &notes, &(struct websocket_options){ .arg = &server });
    assert_ptr_equal(websocket_arg(server.socket), &server);
    assert_ptr_equal(websocket_loop(server.socket), server.loop);
    assert_int_equal(websocket_write_text(server.socket, "too early"), -EBADF);
    assert_int_equal(websocket_set_nodelay(server.socket, true), -EBADF);
    assert_int_equal(websocket_pending(server.socket), 0);
    assert_int_equal(websocket_status(server.socket), 0);
    assert_false(websocket_closing(server.socket));
    socketserver_wait(&server);
    assert_memory_equal(server.request, "GET /ws HTTP/1.1\r\n", 18);
    snprintf(host, sizeof host, "\r\nHost: 127.0.0.1:%d\r\n", server.port);
    assert_int_equal(count_lines(server.request, host), 1);
    assert_int_equal(count_lines(server.request, "\r\nUpgrade: websocket\r\n"), 1);
    assert_int_equal(count_lines(server.request, "\r\nConnection: Upgrade\r\n"), 1);
    assert_int_equal(count_lines(server.request, "\r\nConnection: "), 1);
    assert_int_equal(count_lines(server.request, "\r\nSec-WebSocket-Version: 13\r\n"), 1);
    assert_int_equal(count_lines(server.request, "\r\nSec-WebSocket-Protocol"), 0);
    assert_int_equal(count_lines(server.request, "\r\nSec-WebSocket-Extensions"), 0);
    assert_int_equal(count_lines(server.request, "\r\nOrigin"), 0);
    assert_int_equal(strlen(server.key), 24);
    webscene_expect_notes("");
    socketserver_answer(&server, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: upgrade\r\n"
                                 "Sec-WebSocket-Accept: %s\r\n\r\n\x81\x02hi\x89\x01p");
    webscene_expect_notes("open text:hi ping:p ");
    assert_int_equal(websocket_status(server.socket), 101);
    socketserver_expect(&server, SOCKETSCENE_PONG, "p");
    socketserver_close(&server);
    webscene_expect_notes("close:1006::ESHUTDOWN ");
}

static void a_handshake_may_go_elsewhere_than_the_url_says(void **state)
{
    struct socketserver server;

    socketserver_open(&server);
    struct httpclient_request there = { .connect_host = "127.0.0.1", .connect_port = server.port };
    socketserver_connect(&server, "ws://example.org/ws", &notes, &(struct websocket_options){ .request = &there });
    socketserver_wait(&server);
    assert_int_equal(count_lines(server.request, "\r\nHost: example.org\r\n"), 1);
    socketserver_answer(&server, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: upgrade\r\n"
                                 "Sec-WebSocket-Accept: %s\r\n\r\n");
    webscene_expect_notes("open ");
    socketserver_close(&server);
    webscene_expect_notes("close:1006::ESHUTDOWN ");
}

static void no_two_handshakes_have_the_same_key(void **state)
{
    struct socketserver server;
    char keys[20][64];

    socketserver_open(&server);
    for (int i = 0; i < 20; i++) {
        socketserver_connect(&server, NULL, &(struct websocket_handler){ 0 }, NULL);
        socketserver_wait(&server);
        strcpy(keys[i], server.key);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(keys[j], keys[i]);
        websocket_abort(server.socket);
        socketserver_settle(&server);
        assert_null(server.socket);
    }
    socketserver_close(&server);
}

/* websocket_test:test_websocket_headers, of the client */
static void headers_origin_and_authentication_go_along(void **state)
{
    struct httpheaders headers = { 0 };
    struct socketserver server;

    socketserver_open(&server);
    assert_int_equal(httpheaders_add(&headers, "X-Test", "hello"), 0);
    assert_int_equal(httpheaders_add(&headers, "Upgrade", "other"), 0);
    assert_int_equal(httpheaders_add(&headers, "Sec-WebSocket-Key", "mine"), 0);
    assert_int_equal(httpheaders_add(&headers, "Sec-WebSocket-Extensions", "x"), 0);
    assert_int_equal(httpheaders_add(&headers, "Sec-WebSocket-Protocol", "x"), 0);
    socketserver_connect(&server, NULL, &notes,
                         &(struct websocket_options){ .origin = "http://example.org",
                                                      .request = &(struct httpclient_request){
                                                          .url = "ignored",
                                                          .method = "POST",
                                                          .body = "ignored",
                                                          .body_length = 7,
                                                          .headers = &headers,
                                                          .auth_username = "a",
                                                          .auth_password = "b",
                                                      } });
    httpheaders_free(&headers);
    assert_non_null(server.socket);
    socketserver_accept(&server, "");
    assert_memory_equal(server.request, "GET /ws ", 8);
    assert_int_equal(count_lines(server.request, "\r\nX-Test: hello\r\n"), 1);
    assert_int_equal(count_lines(server.request, "\r\nOrigin: http://example.org\r\n"), 1);
    assert_int_equal(count_lines(server.request, "\r\nAuthorization: Basic YTpi\r\n"), 1);
    assert_int_equal(count_lines(server.request, "\r\nUpgrade: "), 1);
    assert_int_equal(count_lines(server.request, "\r\nSec-WebSocket-Key: "), 1);
    assert_int_equal(count_lines(server.request, "Extensions"), 0);
    assert_int_equal(count_lines(server.request, "Sec-WebSocket-Protocol"), 0);
    assert_int_equal(count_lines(server.request, "ignored"), 0);
    socketserver_settle(&server);
    socketserver_close(&server);
    webscene_expect_notes("open close:1006::ESHUTDOWN ");
}

static void refuse_line(const char *line, size_t length, void *arg)
{
    fail_msg("%s", line);
}

static void refuse_head(const struct httpclient_response *response, void *arg)
{
    fail_msg("%d", response->code);
}

static void refuse_data(const void *data, size_t length, void *arg)
{
    fail_msg("data");
}

static void the_defaults_of_a_client_do_not_change_what_a_handshake_is(void **state)
{
    static const struct httpclient_request defaults = { .url = "http://example.org",
                                                        .method = "HEAD",
                                                        .header_callback = refuse_line,
                                                        .on_head = refuse_head,
                                                        .streaming_callback = refuse_data,
                                                        .decompress_response = true,
                                                        .raise_error = true };
    static const struct httpclient_request callbacks = { .header_callback = refuse_line,
                                                         .on_head = refuse_head,
                                                         .streaming_callback = refuse_data };
    static const char *const notes_of[] = { "open close:1006::ESHUTDOWN ", "close:1006::ENOMSG " };

    for (int i = 0; i < 2; i++) {
        struct socketserver server;

        socketserver_open(&server);
        struct httpclient *http =
            httpclient_new(server.loop, &(struct httpclient_options){ .defaults = &defaults, .keep_time = -1 });
        assert_non_null(http);
        socketserver_connect(&server, NULL, &notes,
                             &(struct websocket_options){ .client = http, .request = &callbacks });
        socketserver_wait(&server);
        assert_memory_equal(server.request, "GET /ws HTTP/1.1\r\n", 18);
        if (i == 0)
            socketserver_answer(&server, "HTTP/1.1 101 A\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
                                         "Sec-WebSocket-Accept: %s\r\n\r\n");
        else
            socketserver_answer(&server, "HTTP/1.1 200 A\r\nContent-Length: 4\r\n\r\nbody");
        socketserver_settle(&server);
        socketserver_hang_up(&server);
        socketserver_settle(&server);
        webscene_expect_notes(notes_of[i]);
        httpclient_close(http);
        socketserver_settle(&server);
        socketserver_close(&server);
    }
}

static void subprotocols_are_offered_and_one_may_be_chosen(void **state)
{
    static const struct {
        const char *headers, *chosen;
        int error;
    } rows[] = {
        { "", NULL, 0 },
        { "Sec-WebSocket-Protocol: b\r\n", "b", 0 },
        { "Sec-WebSocket-Protocol: c\r\n", NULL, -EPROTO },
        { "Sec-WebSocket-Protocol: a, b\r\n", NULL, -EPROTO },
        { "Sec-WebSocket-Protocol: \r\n", NULL, -EPROTO },
    };
    struct socketserver server;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        socketserver_open(&server);
        socketserver_connect(&server, NULL, &notes,
                             &(struct websocket_options){ .subprotocols = (const char *[]){ "a", "b", NULL } });
        socketserver_accept(&server, rows[i].headers);
        assert_int_equal(count_lines(server.request, "\r\nSec-WebSocket-Protocol: a, b\r\n"), 1);
        socketserver_settle(&server);
        if (rows[i].error == 0 && rows[i].chosen != NULL)
            assert_string_equal(websocket_subprotocol(server.socket), rows[i].chosen);
        else if (rows[i].error == 0)
            assert_null(websocket_subprotocol(server.socket));
        webscene_expect_notes(rows[i].error == 0 ? "open " : "close:1006::EPROTO ");
        socketserver_close(&server);
        webscene_expect_notes(rows[i].error == 0 ? "close:1006::ESHUTDOWN " : "");
    }
}

static void what_cannot_be_asked_is_refused_at_once(void **state)
{
    static const char *const bad_names[][3] = { { "a b", NULL }, { "a", "a", NULL }, { "", NULL }, { "a\r\nb", NULL } };
    struct socketserver server;

    socketserver_open(&server);
    for (size_t i = 0; i < sizeof bad_names / sizeof *bad_names; i++) {
        errno = 0;
        if (i == 2)
            continue; /* nothing is offered then */
        assert_null(websocket_connect(server.loop, server.url, &notes,
                                      &(struct websocket_options){ .subprotocols = bad_names[i] }));
        assert_int_equal(errno, EINVAL);
    }
    errno = 0;
    assert_null(websocket_connect(server.loop, server.url, &notes, &(struct websocket_options){ .origin = "a\r\nb" }));
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_null(websocket_connect(server.loop, "ftp://a/", &notes, NULL));
    assert_true(errno == EPROTONOSUPPORT || errno == EINVAL);
    errno = 0;
    assert_null(websocket_connect(server.loop, "nonsense", &notes, NULL));
    assert_int_equal(errno, EINVAL);
    socketserver_close(&server);
    webscene_expect_notes("");
}

/* Answers that are none. */

/* websocket_test:test_websocket_http_fail, websocket_test:test_websocket_http_success,
 * websocket_test:test_websocket_http_redirect */
static void another_answer_than_101_is_an_error(void **state)
{
    static const struct {
        const char *text;
        int status;
        const char *notes;
    } rows[] = {
        { "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, "close:1006::ENOMSG " },
        { "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, "close:1006::ENOMSG " },
        { "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", 302, "close:1006::ENOMSG " },
        { "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 8\r\nContent-Length: 0\r\n\r\n", 426,
          "close:1006::ENOMSG " },
        { "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 101, "close:1006::EPROTO " },
        { "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n", 101,
          "close:1006::EPROTO " },
        { "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", 101, "close:1006::EPROTO " },
        { "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n", 101, "close:1006::EPROTO " },
        { "HTTP/1.0 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", 101,
          "close:1006::EPROTO " },
        { "HTTP/1.1 101 X\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", 101,
          "close:1006::EPROTO " },
        { "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n"
          "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
          101, "close:1006::EPROTO " },
        { "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n"
          "Sec-WebSocket-Protocol: a\r\n\r\n",
          101, "close:1006::EPROTO " },
        { "nonsense\r\n\r\n", 0, "close:1006::EPROTO " },
    };
    struct socketserver server;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_asked(&server, &notes);
        socketserver_answer(&server, rows[i].text);
        socketserver_settle(&server);
        webscene_expect_notes(rows[i].notes);
        if (rows[i].status == 101)
            socketserver_expect_end(&server);
        socketserver_close(&server);
    }
}

/* Whatever becomes of a body that nobody wants. */
static void another_answer_is_that_however_its_body_ends(void **state)
{
    static const char *const heads[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n", /* is not waited for */
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10001\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\nhi",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
        "HTTP/1.1 200 OK\r\n\r\nevent: for ever\n",
    };
    struct socketserver server;

    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        for (int hangs_up = 0; hangs_up < 2; hangs_up++) {
            begin_asked(&server, &notes);
            socketserver_answer(&server, heads[i]);
            socketserver_settle(&server);
            webscene_expect_notes(i < 2 ? "close:1006::ENOMSG " : "");
            if (hangs_up)
                socketserver_hang_up(&server);
            else
                socketserver_pass(&server, 11);
            socketserver_settle(&server);
            webscene_expect_notes(i < 2 ? "" : "close:1006::ENOMSG ");
            socketserver_close(&server);
        }
    }
}

/* A handshake that is answered with a 403. */
static void expect_forbidden(struct socketserver *server, const struct websocket_handler *handler)
{
    begin_asked(server, handler);
    socketserver_answer(server, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    socketserver_settle(server);
    webscene_expect_notes("close:1006::ENOMSG ");
}

static int seen_status;

static void note_status(struct websocket *socket, int code, const char *reason)
{
    seen_status = websocket_status(socket);
}

static void the_status_of_the_answer_is_told(void **state)
{
    struct socketserver server;

    expect_forbidden(&server, &(struct websocket_handler){ .on_close = note_status });
    assert_int_equal(seen_status, 403);
    socketserver_close(&server);
}

static void ask_everything(struct websocket *socket, int code, const char *reason)
{
    assert_string_equal(websocket_remote_ip(socket), "");
    assert_non_null(websocket_loop(socket));
    assert_int_equal(websocket_status(socket), 403);
    assert_int_equal(websocket_close(socket, 1000, NULL), 0);
    websocket_abort(socket);
    websocket_pause(socket);
    websocket_resume(socket);
    assert_true(websocket_closing(socket));
    assert_false(websocket_compresses(socket));
    assert_null(websocket_subprotocol(socket));
    assert_int_equal(websocket_pending(socket), 0);
    assert_int_equal(websocket_set_nodelay(socket, true), -EBADF);
    assert_int_equal(websocket_write_text(socket, "a"), -EBADF);
    websocket_unsubscribe(socket, "a");
    assert_int_equal(websocket_subscribe(socket, "a"), -EBADF);
    assert_string_equal(websocket_remote_ip(socket), "");
    assert_non_null(websocket_loop(socket));
}

static void every_call_is_legal_in_on_close_of_a_handshake_that_failed(void **state)
{
    struct socketserver server;

    expect_forbidden(&server, &(struct websocket_handler){ .on_close = ask_everything });
    socketserver_close(&server);
}

static void redirects_are_followed_if_that_is_wanted(void **state)
{
    struct socketserver server;

    socketserver_open(&server);
    socketserver_connect(&server, NULL, &notes, &(struct websocket_options){ .follow_redirects = true });
    socketserver_wait(&server);
    socketserver_answer(&server, "HTTP/1.1 302 Found\r\nLocation: /other\r\nConnection: close\r\n"
                                 "Content-Length: 0\r\n\r\n");
    socketserver_accept(&server, "");
    assert_memory_equal(server.request, "GET /other HTTP/1.1\r\n", 21);
    assert_int_equal(count_lines(server.request, "\r\nUpgrade: websocket\r\n"), 1);
    socketserver_settle(&server);
    webscene_expect_notes("open ");
    socketserver_close(&server);
    webscene_expect_notes("close:1006::ESHUTDOWN ");
}

/* websocket_test:test_websocket_network_fail */
static void a_server_that_is_not_there_is_told_of(void **state)
{
    struct socketserver server;

    socketserver_open(&server);
    socketserver_connect(&server, "ws://127.0.0.1:1/", &notes, NULL);
    assert_non_null(server.socket);
    while (server.socket != NULL)
        ioloop_run_once(server.loop, 0.001);
    webscene_expect_notes("close:1006::ECONNREFUSED ");
    socketserver_close(&server);
}

static void a_handshake_has_its_time(void **state)
{
    static const double timeouts[] = { 0, 3 };
    struct socketserver server;

    for (int i = 0; i < 2; i++) {
        socketserver_open(&server);
        socketserver_connect(&server, NULL, &notes, &(struct websocket_options){ .handshake_timeout = timeouts[i] });
        socketserver_wait(&server);
        socketserver_pass(&server, i == 0 ? 9.9 : 2.9);
        socketserver_answer(&server, "HTTP/1.1 101 Switching");
        webscene_expect_notes("");
        socketserver_pass(&server, 0.3);
        webscene_expect_notes("close:1006::ETIMEDOUT ");
        socketserver_close(&server);
    }
}

static void a_server_that_leaves_before_it_answers_is_told_of(void **state)
{
    struct socketserver server;

    begin_asked(&server, &notes);
    socketserver_hang_up(&server);
    socketserver_settle(&server);
    webscene_expect_notes("close:1006::ESHUTDOWN ");
    socketserver_close(&server);
}

static void a_handshake_can_be_given_up(void **state)
{
    struct socketserver server;

    for (int aborts = 0; aborts < 2; aborts++) {
        for (int waits = 0; waits < 2; waits++) {
            socketserver_open(&server);
            socketserver_connect(&server, NULL, &notes, NULL);
            if (waits)
                socketserver_wait(&server);
            if (aborts)
                websocket_abort(server.socket);
            else
                assert_int_equal(websocket_close(server.socket, 1000, NULL), 0);
            assert_true(websocket_closing(server.socket));
            webscene_expect_notes("");
            socketserver_settle(&server);
            webscene_expect_notes("close:1006::0 ");
            socketserver_close(&server);
        }
    }
}

static void a_loop_that_closes_ends_a_handshake(void **state)
{
    struct socketserver server;

    for (int waits = 0; waits < 3; waits++) {
        socketserver_open(&server);
        socketserver_connect(&server, NULL, &notes, NULL);
        if (waits == 1)
            socketserver_wait(&server);
        if (waits == 2)
            socketserver_accept(&server, "");
        ioloop_close(server.loop, false);
        server.loop = NULL;
        webscene_expect_notes(waits < 2 ? "close:1006::ECANCELED " : "open close:1006::ECANCELED ");
        socketserver_close(&server);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_handshake_is_as_rfc_6455_wants_it),
    cmocka_unit_test(a_handshake_may_go_elsewhere_than_the_url_says),
    cmocka_unit_test(no_two_handshakes_have_the_same_key),
    cmocka_unit_test(headers_origin_and_authentication_go_along),
    cmocka_unit_test(the_defaults_of_a_client_do_not_change_what_a_handshake_is),
    cmocka_unit_test(subprotocols_are_offered_and_one_may_be_chosen),
    cmocka_unit_test(what_cannot_be_asked_is_refused_at_once),
    cmocka_unit_test(another_answer_than_101_is_an_error),
    cmocka_unit_test(another_answer_is_that_however_its_body_ends),
    cmocka_unit_test(the_status_of_the_answer_is_told),
    cmocka_unit_test(every_call_is_legal_in_on_close_of_a_handshake_that_failed),
    cmocka_unit_test(redirects_are_followed_if_that_is_wanted),
    cmocka_unit_test(a_server_that_is_not_there_is_told_of),
    cmocka_unit_test(a_handshake_has_its_time),
    cmocka_unit_test(a_server_that_leaves_before_it_answers_is_told_of),
    cmocka_unit_test(a_handshake_can_be_given_up),
    cmocka_unit_test(a_loop_that_closes_ends_a_handshake),
};

TESTING_MAIN(tests)
