#include "websocket/websocketmessage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/faults.h"
#include "tests/support/socketscene.h"
#include "tests/support/socketserver.h"
#include "tests/support/testing.h"
#include "websocket/websocketconnection.h"

static const struct websocket_handler notes = { .on_ping = socketscene_note_ping };

static void a_message_is_text_or_binary(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client = socketscene_begin(&scene, &notes);

    const struct {
        const char *data;
        size_t length;
        bool is_binary;
    } rows[] = { { "", 0, false }, { "hello", 5, false }, { "a\xff", 2, true }, { NULL, 0, true } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct websocket_message *message = websocket_message_new(rows[i].data, rows[i].length, rows[i].is_binary);
        assert_non_null(message);
        assert_int_equal(websocket_send(scene.socket, message), 0);
        assert_int_equal(websocket_send(scene.socket, message), 0);
        websocket_message_release(message);
        for (int twice = 0; twice < 2; twice++)
            socketscene_expect_bytes(&scene, client, rows[i].is_binary ? SOCKETSCENE_BINARY : SOCKETSCENE_TEXT,
                                     rows[i].length > 0 ? rows[i].data : "", rows[i].length);
    }
    errno = 0;
    assert_null(websocket_message_new("a\xff", 2, false));
    assert_int_equal(errno, EINVAL);
    socketscene_close(&scene);
}

static void a_client_masks_it_anew_each_time(void **state)
{
    static const size_t lengths[] = { 5, 200, 70000 };
    struct socketserver server;
    char *bytes = calloc(1, 70000);

    socketserver_open(&server);
    socketserver_connect(&server, NULL, &notes, NULL);
    socketserver_accept(&server, "");
    socketserver_settle(&server);
    for (size_t i = 0; i < 3; i++) {
        struct websocket_message *message = websocket_message_new(bytes, lengths[i], i % 2 == 0);
        assert_int_equal(websocket_send(server.socket, message), 0);
        socketserver_expect_bytes(&server, i % 2 == 0 ? SOCKETSCENE_BINARY : SOCKETSCENE_TEXT, bytes, lengths[i]);
        websocket_message_release(message);
    }
    websocket_close(server.socket, 1000, NULL);
    struct websocket_message *message = websocket_message_new("a", 1, false);
    assert_int_equal(websocket_send(server.socket, message), -EBADF);
    websocket_message_release(message);
    socketserver_close(&server);
    free(bytes);
}

static void a_closing_socket_takes_no_reference(void **state)
{
    struct socketscene scene;
    char *bytes = calloc(1, 100000);

    socketscene_open(&scene, &notes);
    socketscene_connect(&scene, "");
    struct websocket_message *message = websocket_message_new(bytes, 100000, true);
    websocket_close(scene.socket, 1000, NULL);
    assert_int_equal(websocket_send(scene.socket, message), -EBADF);
    assert_int_equal(message->references, 1);
    websocket_message_release(message);
    socketscene_close(&scene);
    free(bytes);
}

/* One that does not read holds a reference, and no copy. */
static void what_a_slow_peer_has_not_read_is_held_once(void **state)
{
    enum { COUNT = 12, SIZE = 1 << 20 };
    struct httpscene_client *clients[2];
    struct websocket *sockets[2];
    char *bytes = calloc(1, SIZE);
    struct socketscene scene;

    socketscene_open(&scene, &notes);
    for (int i = 0; i < 2; i++) {
        clients[i] = socketscene_connect(&scene, "");
        sockets[i] = scene.socket;
    }
    struct websocket_message *message = websocket_message_new(bytes, SIZE, true);
    size_t before = faults_allocated_bytes();
    for (int i = 0; i < COUNT; i++)
        for (int each = 0; each < 2; each++)
            assert_int_equal(websocket_send(sockets[each], message), 0);
    assert_true(websocket_pending(sockets[0]) > 1 << 20);
    assert_true(message->references > 2);
    assert_true(faults_allocated_bytes() - before < 10000);
    websocket_message_release(message);
    websocket_abort(sockets[1]);
    for (int i = 0; i < COUNT; i++)
        socketscene_expect_bytes(&scene, clients[0], SOCKETSCENE_BINARY, bytes, SIZE);
    httpscene_settle(&scene.web.http);
    assert_true(faults_allocated_bytes() < before); /* the message is gone */
    socketscene_close(&scene);
    free(bytes);
}

static void order_is_kept_whatever_is_sent_how(void **state)
{
    char *bytes = calloc(1, 3 << 20);
    struct socketscene scene;

    memset(bytes, 'x', 3 << 20);
    struct httpscene_client *client = socketscene_begin(&scene, &notes);
    for (int i = 0; i < 6; i++) {
        struct websocket_message *longer = websocket_message_new(bytes, (size_t)(1 << 20) + (size_t)i, true);
        struct websocket_message *shorter = websocket_message_new(bytes, (size_t)(10 + i), true);

        assert_int_equal(websocket_write(scene.socket, bytes, (size_t)(2000 + i), true), 0);
        assert_int_equal(websocket_send(scene.socket, longer), 0);
        assert_int_equal(websocket_send(scene.socket, shorter), 0);
        websocket_message_release(longer);
        websocket_message_release(shorter);
    }
    for (size_t i = 0; i < 6; i++) {
        socketscene_expect_bytes(&scene, client, SOCKETSCENE_BINARY, bytes, 2000 + i);
        socketscene_expect_bytes(&scene, client, SOCKETSCENE_BINARY, bytes, (1 << 20) + i);
        socketscene_expect_bytes(&scene, client, SOCKETSCENE_BINARY, bytes, 10 + i);
    }
    socketscene_close(&scene);
    free(bytes);
}

/* The kernel may have room again before the stream hears of it. */
static void nothing_overtakes_what_waits(void **state)
{
    char *bytes = calloc(1, 1 << 20);
    struct socketscene scene;
    struct httpscene_client *client = socketscene_begin(&scene, &notes);

    size_t written = 0;
    for (; websocket_pending(scene.socket) == 0; written++)
        assert_int_equal(websocket_write(scene.socket, bytes, 1 << 20, true), 0);
    for (int i = 0; i < 50; i++) { /* without a turn of the loop */
        httpscene_take(client, SIZE_MAX);
        usleep(100);
    }
    struct websocket_message *message = websocket_message_new(bytes, 5000, true);
    assert_int_equal(websocket_send(scene.socket, message), 0);
    websocket_message_release(message);
    for (; written > 0; written--)
        socketscene_expect_bytes(&scene, client, SOCKETSCENE_BINARY, bytes, 1 << 20);
    socketscene_expect_bytes(&scene, client, SOCKETSCENE_BINARY, bytes, 5000);
    socketscene_close(&scene);
    free(bytes);
}

static void send_in_answer(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    static char bytes[50000];
    struct websocket_message *message = websocket_message_new(bytes, sizeof bytes, true);

    websocket_write_text(socket, "first");
    assert_int_equal(websocket_send(socket, message), 0);
    websocket_write_text(socket, "last");
    websocket_message_release(message);
}

static void it_may_be_sent_from_inside_a_callback(void **state)
{
    static char bytes[50000];
    struct socketscene scene;
    struct httpscene_client *client =
        socketscene_begin(&scene, &(struct websocket_handler){ .on_message = send_in_answer });

    socketscene_put(&scene, client, SOCKETSCENE_TEXT, "go");
    socketscene_expect(&scene, client, SOCKETSCENE_TEXT, "first");
    socketscene_expect_bytes(&scene, client, SOCKETSCENE_BINARY, bytes, sizeof bytes);
    socketscene_expect(&scene, client, SOCKETSCENE_TEXT, "last");
    socketscene_close(&scene);
}

static void what_does_not_fit_follows_the_policy(void **state)
{
    static char large[400000];
    struct socketscene scene;

    for (int drops = 0; drops < 2; drops++) {
        socketscene_open(&scene,
                         &(struct websocket_handler){ .max_unsent = 500000, .policy = (enum websocket_policy)drops });
        socketscene_connect(&scene, "");
        struct websocket_message *message = websocket_message_new(large, sizeof large, true);
        int error = 0;
        for (int i = 0; i < 100 && error == 0; i++)
            error = websocket_send(scene.socket, message);
        assert_int_equal(error, -ENOBUFS);
        assert_int_equal(websocket_closing(scene.socket), !drops);
        websocket_message_release(message);
        message = websocket_message_new("1234567", 7, true);
        assert_int_equal(websocket_send(scene.socket, message), drops ? 0 : -EBADF);
        websocket_message_release(message);
        socketscene_close(&scene);
    }
}

static void what_is_longer_than_may_ever_wait_is_refused(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client = socketscene_begin(&scene, &(struct websocket_handler){ .max_unsent = 9 });

    struct websocket_message *message = websocket_message_new("12345678", 8, true);
    assert_int_equal(websocket_send(scene.socket, message), -EMSGSIZE);
    websocket_message_release(message);
    message = websocket_message_new("1234567", 7, true);
    assert_int_equal(websocket_send(scene.socket, message), 0);
    websocket_message_release(message);
    socketscene_expect(&scene, client, SOCKETSCENE_BINARY, "1234567");
    socketscene_close(&scene);
}

/* A thousand sockets, one of which does not read: it holds up none of the others, and is left when it has too much. */

enum { CROWD = 1000, PIECE = 16384, PIECES = 40 };

static bool may_open(rlim_t count)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur >= count)
        return true;
    limit.rlim_cur = limit.rlim_max < count ? limit.rlim_max : count;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= count;
}

/* Small buffers of the kernel show sooner who does not read. */
static void narrow(int fd)
{
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){ 32768 }, sizeof(int)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){ 32768 }, sizeof(int)), 0);
}

static void read_exactly(struct socketscene *scene, int fd, size_t length)
{
    static char piece[2 * PIECE];
    size_t got = 0;

    while (got < length) {
        ssize_t count = recv(fd, piece, sizeof piece, MSG_DONTWAIT);

        assert_true(count > 0 || (count < 0 && errno == EAGAIN));
        got += count > 0 ? (size_t)count : 0;
        if (count < 0)
            testing_turn(scene->web.http.loop, fd);
    }
    assert_int_equal(got, length);
}

static void a_thousand_get_it_while_one_does_not_read(void **state)
{
    static char bytes[PIECE];
    static int fds[CROWD];
    struct socketscene scene;
    int sent = CROWD, round = 0;

    if (!may_open(2 * CROWD + 100))
        skip();
    socketscene_open_with(&scene, &(struct websocket_handler){ .max_unsent = 4 * PIECE },
                          &(struct web_settings){ .server.max_connections = CROWD + 10 });
    scene.is_mute = true;
    for (int i = 0; i < CROWD; i++) {
        struct httpscene_client *client = socketscene_connect(&scene, "");

        assert_int_equal(websocket_subscribe(scene.socket, "all"), 0);
        if (i == 0) {
            narrow(client->fd);
            narrow(iostream_fd(scene.socket->stream));
        }
        fds[i] = dup(client->fd);
        httpscene_hang_up(client);
    }
    assert_int_equal(websocket_subscribers(scene.web.http.loop, "all"), CROWD);
    size_t before = faults_allocated_bytes();
    for (; round < PIECES && sent == CROWD; round++) {
        sent = websocket_publish(scene.web.http.loop, "all", bytes, PIECE, true, NULL);
        assert_true(faults_allocated_bytes() - before < (size_t)(PIECE + 500) * (size_t)(round + 1));
        for (int i = 1; i < CROWD; i++)
            read_exactly(&scene, fds[i], PIECE + 4);
    }
    assert_in_range(round, 5, PIECES);
    assert_int_equal(sent, CROWD - 1);
    httpscene_settle(&scene.web.http);
    assert_int_equal(scene.closed, 1);
    assert_int_equal(testing_logs("max_unsent"), 1);
    assert_int_equal(websocket_subscribers(scene.web.http.loop, "all"), CROWD - 1);
    for (int i = 0; i < CROWD; i++)
        close(fds[i]);
    socketscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_message_is_text_or_binary),
    cmocka_unit_test(a_client_masks_it_anew_each_time),
    cmocka_unit_test(a_closing_socket_takes_no_reference),
    cmocka_unit_test(what_a_slow_peer_has_not_read_is_held_once),
    cmocka_unit_test(order_is_kept_whatever_is_sent_how),
    cmocka_unit_test(nothing_overtakes_what_waits),
    cmocka_unit_test(it_may_be_sent_from_inside_a_callback),
    cmocka_unit_test(what_does_not_fit_follows_the_policy),
    cmocka_unit_test(what_is_longer_than_may_ever_wait_is_refused),
    cmocka_unit_test(a_thousand_get_it_while_one_does_not_read),
};

TESTING_MAIN(tests)
