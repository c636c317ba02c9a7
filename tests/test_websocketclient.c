#include "websocket/websocket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "httpclient/httpclient.h"
#include "tests/support/faults.h"
#include "tests/support/socketscene.h"
#include "tests/support/socketserver.h"
#include "tests/support/testing.h"
#include "websocket/websocketconnection.h"

static const struct websocket_handler notes = { .on_message = socketscene_note_message,
                                                .on_ping = socketscene_note_ping,
                                                .on_pong = socketscene_note_pong };

/* Begins a socket whose handshake has succeeded. */
static void begin_open(struct socketserver *server, const struct websocket_handler *handler)
{
    socketserver_open(server);
    socketserver_connect(server, NULL, handler, NULL);
    assert_non_null(server->socket);
    socketserver_accept(server, "");
    socketserver_settle(server);
    assert_int_equal(server->opened, 1);
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

static void refuse_data(const void *data, size_t length, void *arg)
{
    fail_msg("data");
}

static void the_defaults_of_a_client_do_not_change_what_a_handshake_is(void **state)
{
    static const struct httpclient_request defaults = { .url = "http://example.org",
                                                        .method = "HEAD",
                                                        .header_callback = refuse_line,
                                                        .streaming_callback = refuse_data,
                                                        .decompress_response = true,
                                                        .raise_error = true };
    static const char *const notes_of[] = { "open close:1006::ESHUTDOWN ", "close:1006::ENOMSG " };

    for (int i = 0; i < 2; i++) {
        struct socketserver server;

        socketserver_open(&server);
        struct httpclient *http =
            httpclient_new(server.loop, &(struct httpclient_options){ .defaults = &defaults, .keep_time = -1 });
        assert_non_null(http);
        socketserver_connect(&server, NULL, &notes, &(struct websocket_options){ .client = http });
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
        socketserver_open(&server);
        socketserver_connect(&server, NULL, &notes, NULL);
        socketserver_wait(&server);
        socketserver_answer(&server, rows[i].text);
        socketserver_settle(&server);
        webscene_expect_notes(rows[i].notes);
        if (rows[i].status == 101)
            socketserver_expect_end(&server);
        socketserver_close(&server);
    }
}

static int seen_status;

static void note_status(struct websocket *socket, int code, const char *reason)
{
    seen_status = websocket_status(socket);
}

static void the_status_of_the_answer_is_told(void **state)
{
    struct socketserver server;

    socketserver_open(&server);
    socketserver_connect(&server, NULL, &(struct websocket_handler){ .on_close = note_status }, NULL);
    socketserver_wait(&server);
    socketserver_answer(&server, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    socketserver_settle(&server);
    webscene_expect_notes("close:1006::ENOMSG ");
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

    socketserver_open(&server);
    socketserver_connect(&server, NULL, &(struct websocket_handler){ .on_close = ask_everything }, NULL);
    socketserver_wait(&server);
    socketserver_answer(&server, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    socketserver_settle(&server);
    webscene_expect_notes("close:1006::ENOMSG ");
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
    for (int i = 0; i < 1000 && server.socket != NULL; i++)
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

    socketserver_open(&server);
    socketserver_connect(&server, NULL, &notes, NULL);
    socketserver_wait(&server);
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

/* An open socket. */

static void nothing_is_left_of_the_handshake(void **state)
{
    struct socketserver server;

    begin_open(&server, &notes);
    socketserver_settle(&server);
    assert_non_null(server.socket);
    assert_null(server.socket->rare);
    socketserver_put(&server, 1, "in ");
    socketserver_put(&server, WSFRAMES_FINAL, "parts");
    socketserver_settle(&server);
    assert_null(server.socket->rare); /* nor of a message */
    socketserver_close(&server);
    webscene_expect_notes("open text:in parts close:1006::ESHUTDOWN ");
}

/* websocket_test:test_message_sizes, of a client, without compression */
static void messages_go_both_ways_in_all_lengths(void **state)
{
    static const size_t lengths[] = { 0, 1, 2, 3, 64, 125, 126, 127, 4095, 4096, 4097, 65535, 65536, 300000 };
    struct socketserver server;
    char *bytes = malloc(300000);

    for (size_t i = 0; i < 300000; i++)
        bytes[i] = (char)(i * 13);
    begin_open(&server, &(struct websocket_handler){ .on_message = socketscene_echo });
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        socketserver_put_bytes(&server, SOCKETSCENE_BINARY, bytes, lengths[i]);
        socketserver_expect_bytes(&server, SOCKETSCENE_BINARY, bytes, lengths[i]);
        assert_int_equal(websocket_write(server.socket, bytes, lengths[i], true), 0);
        socketserver_expect_bytes(&server, SOCKETSCENE_BINARY, bytes, lengths[i]);
    }
    assert_int_equal(websocket_write_text(server.socket, "hello"), 0);
    faults_end();
    socketserver_settle(&server);
    socketserver_expect(&server, SOCKETSCENE_TEXT, "hello");
    assert_int_equal(server.length, 0);
    free(bytes);
    socketserver_close(&server);
    webscene_expect_notes("open close:1006::ESHUTDOWN ");
}

/* E5 */
static void each_frame_has_a_mask_of_its_own(void **state)
{
    enum { FRAMES = 3000 };
    static uint32_t masks[FRAMES];
    struct socketserver server;
    size_t at = 0;

    begin_open(&server, &notes);
    faults_count_reset();
    for (int i = 0; i < FRAMES; i++)
        assert_int_equal(websocket_write_text(server.socket, "same"), 0);
    socketserver_settle(&server);
    for (int i = 0; i < FRAMES; i++) {
        struct wsframes_frame frame = { 0 };
        char text[4];

        while (server.length < at + 10) {
            char piece[65536];
            ssize_t count = recv(server.fd, piece, sizeof piece, 0);
            assert_true(count > 0);
            server.bytes = realloc(server.bytes, server.length + (size_t)count + 1);
            memcpy(server.bytes + server.length, piece, (size_t)count);
            server.length += (size_t)count;
        }
        assert_int_equal(wsframes_take(server.bytes + at, server.length - at, &frame), 10);
        wsframes_unmask(&frame, text);
        assert_memory_equal(text, "same", 4);
        memcpy(&masks[i], frame.mask, 4);
        at += 10;
    }
    int repeated = 0;
    for (int i = 1; i < FRAMES; i++)
        for (int j = 0; j < i; j++)
            repeated += masks[i] == masks[j];
    assert_true(repeated < 3); /* by chance, 1 in 1000 times one */
    socketserver_close(&server);
    webscene_expect_notes("open close:1006::ESHUTDOWN ");
}

#ifdef __linux__
/* Instead of libc's. */
static bool no_random;

ssize_t getrandom(void *place, size_t size, unsigned flags);

ssize_t getrandom(void *place, size_t size, unsigned flags)
{
    if (no_random)
        return errno = EIO, -1;
    return syscall(SYS_getrandom, place, size, flags);
}

static void a_frame_that_cannot_be_masked_is_not_sent(void **state)
{
    struct socketserver server;
    int sent = 0;

    begin_open(&server, &notes);
    no_random = true;
    while (websocket_write_text(server.socket, "a") == 0)
        sent++;
    assert_in_range(sent, 1, 1100);
    assert_int_equal(websocket_write_text(server.socket, "a"), -EIO);
    assert_int_equal(websocket_ping(server.socket, "a", 1), -EIO);
    assert_int_equal(websocket_write(server.socket, (char[5000]){ 0 }, 5000, true), -EIO);
    socketserver_put(&server, SOCKETSCENE_PING, "not answered");
    no_random = false;
    assert_int_equal(websocket_write_text(server.socket, "b"), 0);
    while (sent-- > 0)
        socketserver_expect(&server, SOCKETSCENE_TEXT, "a");
    socketserver_expect(&server, SOCKETSCENE_TEXT, "b");
    no_random = true;
    errno = 0;
    while (websocket_write_text(server.socket, "a") == 0)
        ;
    assert_null(websocket_connect(server.loop, server.url, &notes, NULL)); /* without a key */
    assert_int_equal(errno, EIO);
    websocket_close(server.socket, 1000, NULL);
    socketserver_settle(&server);
    webscene_expect_notes("open ping:not answered close:1006::EIO ");
    no_random = false;
    socketserver_close(&server);
}
#endif

/* websocket_test:test_error_in_closed_client_write_message, websocket_test:test_server_close_reason */
static void the_server_closes_first(void **state)
{
    struct socketserver server;

    begin_open(&server, &notes);
    socketserver_put_close(&server, 1001, "goodbye");
    socketserver_expect_close(&server, 1001, "");
    assert_int_equal(websocket_write_text(server.socket, "a"), -EBADF);
    socketserver_pass(&server, 4.9);
    assert_false(server.ended);
    webscene_expect_notes("open "); /* it is the server's part to end the connection */
    socketserver_hang_up(&server);
    socketserver_settle(&server);
    webscene_expect_notes("close:1001:goodbye:0 ");
    socketserver_close(&server);
}

static void a_server_that_does_not_close_is_not_waited_for_for_ever(void **state)
{
    struct socketserver server;

    for (int answers = 0; answers < 2; answers++) {
        begin_open(&server, &notes);
        assert_int_equal(websocket_close(server.socket, 1000, "enough"), 0);
        socketserver_expect_close(&server, 1000, "enough");
        if (answers)
            socketserver_put_close(&server, 1000, "");
        socketserver_pass(&server, 4.9);
        webscene_expect_notes("open ");
        socketserver_pass(&server, 0.4);
        webscene_expect_notes(answers ? "close:1000::0 " : "close:1006::ETIMEDOUT ");
        socketserver_expect_end(&server);
        socketserver_close(&server);
    }
}

static void frames_that_are_masked_are_refused(void **state)
{
    struct socketserver server;

    begin_open(&server, &notes);
    socketserver_put_raw(&server, "\x81\x81\1\2\3\4a", 7);
    socketserver_expect_close(&server, 1002, "a masked frame of a server");
    socketserver_hang_up(&server);
    socketserver_settle(&server);
    webscene_expect_notes("open close:1006::EPROTO ");
    socketserver_close(&server);
}

static void a_message_that_is_too_long_is_refused(void **state)
{
    struct socketserver server;

    begin_open(&server, &(struct websocket_handler){ .max_message = 3, .on_message = socketscene_note_message });
    socketserver_put(&server, SOCKETSCENE_TEXT, "123");
    socketserver_put(&server, SOCKETSCENE_TEXT, "1234");
    socketserver_expect_close(&server, 1009, "a message over the limit");
    socketserver_hang_up(&server);
    socketserver_settle(&server);
    webscene_expect_notes("open text:123 close:1006::EMSGSIZE ");
    socketserver_close(&server);
}

/* websocket_test:test_client_ping */
static void a_silent_server_is_asked_whether_it_is_there(void **state)
{
    struct socketserver server;

    begin_open(&server,
               &(struct websocket_handler){ .ping_interval = 4, .ping_timeout = 2, .on_pong = socketscene_note_pong });
    for (int i = 0; i < 3; i++) {
        socketserver_pass(&server, 4.8);
        socketserver_expect(&server, SOCKETSCENE_PING, "");
        socketserver_put(&server, SOCKETSCENE_PONG, "");
    }
    socketserver_pass(&server, 4.8);
    socketserver_pass(&server, 2.2);
    webscene_expect_notes("open pong: pong: pong: close:1006::ETIMEDOUT ");
    socketserver_close(&server);
}

/* Both sides are ours. */

static struct websocket *of_client;
static char words[500];

static void add_word(const char *word)
{
    strcat(strcat(words, word), " ");
}

static void client_opened(struct websocket *socket, struct web_request *request)
{
    add_word("opened");
    assert_int_equal(websocket_write_text(socket, "hello"), 0);
}

static void client_message(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    add_word(data);
    if (strcmp(data, "hello") == 0)
        websocket_write(socket, "binary", 6, true);
    else
        websocket_close(socket, 1000, "bye");
}

static void client_closed(struct websocket *socket, int code, const char *reason)
{
    char word[100];

    snprintf(word, sizeof word, "%d:%s:%d", code, reason, websocket_error(socket));
    add_word(word);
    of_client = NULL;
}

static void a_client_and_a_server_understand_each_other(void **state)
{
    static const struct websocket_handler handler = { .open = client_opened,
                                                      .on_message = client_message,
                                                      .on_close = client_closed };
    struct socketscene scene;
    char url[64];

    words[0] = '\0';
    socketscene_open(&scene, &(struct websocket_handler){ .on_message = socketscene_echo });
    snprintf(url, sizeof url, "ws://127.0.0.1:%d/ws", scene.web.http.port);
    of_client = websocket_connect(scene.web.http.loop, url, &handler, NULL);
    assert_non_null(of_client);
    for (int i = 0; i < 2000 && of_client != NULL; i++)
        ioloop_run_once(scene.web.http.loop, 0.001);
    assert_null(of_client);
    assert_string_equal(words, "opened hello binary 1000::0 ");
    httpscene_settle(&scene.web.http);
    webscene_expect_notes("open close:1000:bye:0 ");
    socketscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_handshake_is_as_rfc_6455_wants_it),
    cmocka_unit_test(no_two_handshakes_have_the_same_key),
    cmocka_unit_test(headers_origin_and_authentication_go_along),
    cmocka_unit_test(the_defaults_of_a_client_do_not_change_what_a_handshake_is),
    cmocka_unit_test(subprotocols_are_offered_and_one_may_be_chosen),
    cmocka_unit_test(what_cannot_be_asked_is_refused_at_once),
    cmocka_unit_test(another_answer_than_101_is_an_error),
    cmocka_unit_test(the_status_of_the_answer_is_told),
    cmocka_unit_test(every_call_is_legal_in_on_close_of_a_handshake_that_failed),
    cmocka_unit_test(redirects_are_followed_if_that_is_wanted),
    cmocka_unit_test(a_server_that_is_not_there_is_told_of),
    cmocka_unit_test(a_handshake_has_its_time),
    cmocka_unit_test(a_server_that_leaves_before_it_answers_is_told_of),
    cmocka_unit_test(a_handshake_can_be_given_up),
    cmocka_unit_test(a_loop_that_closes_ends_a_handshake),
    cmocka_unit_test(nothing_is_left_of_the_handshake),
    cmocka_unit_test(messages_go_both_ways_in_all_lengths),
    cmocka_unit_test(each_frame_has_a_mask_of_its_own),
#ifdef __linux__
    cmocka_unit_test(a_frame_that_cannot_be_masked_is_not_sent),
#endif
    cmocka_unit_test(the_server_closes_first),
    cmocka_unit_test(a_server_that_does_not_close_is_not_waited_for_for_ever),
    cmocka_unit_test(frames_that_are_masked_are_refused),
    cmocka_unit_test(a_message_that_is_too_long_is_refused),
    cmocka_unit_test(a_silent_server_is_asked_whether_it_is_there),
    cmocka_unit_test(a_client_and_a_server_understand_each_other),
};

TESTING_MAIN(tests)
