/* An open socket of a client. test_websocketclient_handshake.c has the way there. */
#include "websocket/websocket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

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
    while (of_client != NULL)
        ioloop_run_once(scene.web.http.loop, 0.001);
    assert_string_equal(words, "opened hello binary 1000::0 ");
    httpscene_settle(&scene.web.http);
    webscene_expect_notes("open close:1000:bye:0 ");
    socketscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
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
