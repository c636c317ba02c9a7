#include "websocket/websocketconnection.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/support/faults.h"
#include "tests/support/socketscene.h"
#include "tests/support/testing.h"

/* Long messages: they come in where they belong, and go out from there. */

enum { SIZE = 1 << 20, ROOM = 40000 };

static const struct websocket_handler echo = { .on_message = socketscene_echo };

static char *new_pattern(size_t size)
{
    char *bytes = malloc(size);

    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)('a' + (i * 7 + i / 251) % 26);
    return bytes;
}

static int counted;

static void count_message(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    counted += length == SIZE;
    webscene_note(length == SIZE ? "long" : "other");
}

static void echo_and_count(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    counted += length == SIZE;
    socketscene_echo(socket, data, length, is_binary);
}

/* Long messages that have come; the kernel may take its time. Or the connection is over. */
static void await_messages(struct socketscene *scene, int count)
{
    while (counted < count && scene->socket != NULL && !websocket_closing(scene->socket))
        assert_true(ioloop_run_once(scene->web.http.loop, 0.01) >= 0);
}

/* So that what is sent waits with the sender. */
static void narrow(struct websocket *socket, struct httpscene_client *client)
{
    int size = 32768;

    assert_int_equal(setsockopt(iostream_fd(socket->stream), SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
    assert_int_equal(setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), 0);
}

/* Also where memory for them has to be found first. */
static void the_rest_of_a_long_frame_is_received_in_large_pieces(void **state)
{
    struct socketscene scene;
    char *bytes = new_pattern(SIZE);

    struct httpscene_client *client =
        socketscene_begin(&scene, &(struct websocket_handler){ .on_message = count_message });
    counted = 0;
    for (int round = 0; round < 2; round++) {
        wsframes_add(&scene.frames, SOCKETSCENE_BINARY, bytes, SIZE);
        size_t written = httpscene_put_some(client, scene.frames.bytes, scene.frames.length);
        assert_true(written > SIZE / 4);
        faults_count_reset();
        httpscene_settle(&scene.web.http);
        assert_true(faults_count("recv") <= 12);
        httpscene_put_bytes(&scene.web.http, client, scene.frames.bytes + written, scene.frames.length - written);
        scene.frames.length = 0;
        await_messages(&scene, round + 1);
        assert_null(scene.socket->rare);
        assert_null(websocketconnection_lent);
    }
    webscene_expect_notes("open long long ");
    socketscene_close(&scene);
    free(bytes);
}

/* One long message in frames of these lengths, cut anywhere, with a ping behind each frame. */
static void however_long_frames_are_split_the_same_is_handed_over(void **state)
{
    static const size_t lengths[] = { ROOM, 10, 3 * ROOM, ROOM };
    struct socketscene scene;
    struct wsframes all = { .is_masked = true };
    char *bytes = new_pattern(5 * ROOM + 10);
    size_t length = 0;

    for (size_t i = 0; i < 4; length += lengths[i++]) {
        wsframes_add(&all, (i == 0 ? 1 : 0) | (i == 3 ? WSFRAMES_FINAL : 0), bytes + length, lengths[i]);
        wsframes_add(&all, SOCKETSCENE_PING, "", 0);
    }
    wsframes_add(&all, SOCKETSCENE_TEXT, bytes, ROOM);
    struct httpscene_client *client = socketscene_begin(&scene, &echo);
    for (size_t step = 997; step < all.length; step = step * 3 + 1) {
        for (size_t at = 0; at < all.length; at += step) {
            size_t some = all.length - at < step ? all.length - at : step;
            httpscene_put_bytes(&scene.web.http, client, all.bytes + at, some);
            assert_true(ioloop_run_once(scene.web.http.loop, 0) >= 0);
        }
        for (int i = 0; i < 3; i++)
            socketscene_expect(&scene, client, SOCKETSCENE_PONG, "");
        socketscene_expect_bytes(&scene, client, SOCKETSCENE_TEXT, bytes, length);
        socketscene_expect(&scene, client, SOCKETSCENE_PONG, "");
        socketscene_expect_bytes(&scene, client, SOCKETSCENE_TEXT, bytes, ROOM);
    }
    wsframes_free(&all);
    socketscene_close(&scene);
    free(bytes);
}

static void a_long_text_is_refused_at_its_first_wrong_byte(void **state)
{
    struct socketscene scene;
    char *bytes = new_pattern(SIZE);

    bytes[SIZE / 2] = '\xff';
    struct httpscene_client *client = socketscene_begin(&scene, &echo);
    wsframes_add(&scene.frames, SOCKETSCENE_TEXT, bytes, SIZE);
    httpscene_put_bytes(&scene.web.http, client, scene.frames.bytes, 14 + SIZE / 2);
    httpscene_expect_nothing(&scene.web.http, client);
    httpscene_put_bytes(&scene.web.http, client, scene.frames.bytes + 14 + SIZE / 2, 1);
    socketscene_expect_close(&scene, client, WEBSOCKET_INVALID, "a text that is not UTF-8");
    scene.frames.length = 0;
    socketscene_close(&scene);
    free(bytes);
}

static void a_socket_may_pause_in_the_middle_of_a_long_frame(void **state)
{
    struct socketscene scene;
    char *bytes = new_pattern(SIZE);

    struct httpscene_client *client = socketscene_begin(&scene, &echo);
    wsframes_add(&scene.frames, SOCKETSCENE_BINARY, bytes, 10 * (size_t)ROOM);
    for (size_t at = 0; at < scene.frames.length; at += ROOM) {
        size_t some = scene.frames.length - at < ROOM ? scene.frames.length - at : ROOM;
        websocket_pause(scene.socket);
        httpscene_put_bytes(&scene.web.http, client, scene.frames.bytes + at, some);
        httpscene_settle(&scene.web.http);
        websocket_resume(scene.socket);
        httpscene_settle(&scene.web.http);
    }
    socketscene_expect_bytes(&scene, client, SOCKETSCENE_BINARY, bytes, 10 * (size_t)ROOM);
    scene.frames.length = 0;
    socketscene_put(&scene, client, SOCKETSCENE_TEXT, "and on");
    socketscene_expect(&scene, client, SOCKETSCENE_TEXT, "and on");
    socketscene_close(&scene);
    free(bytes);
}

/* In memory in which another one had begun, whose connection broke. */
static void nothing_is_left_of_a_long_message_that_never_ended(void **state)
{
    struct socketscene scene;
    char *bytes = new_pattern(SIZE);

    struct httpscene_client *client = socketscene_begin(&scene, &echo);
    wsframes_add(&scene.frames, SOCKETSCENE_BINARY, bytes, SIZE);
    httpscene_put_bytes(&scene.web.http, client, scene.frames.bytes, SIZE / 2);
    httpscene_settle(&scene.web.http);
    httpscene_reset(client);
    httpscene_settle(&scene.web.http);
    scene.frames.length = 0;
    client = socketscene_connect(&scene, "");
    wsframes_add(&scene.frames, SOCKETSCENE_BINARY, bytes, ROOM);
    httpscene_put_bytes(&scene.web.http, client, scene.frames.bytes, ROOM - 100);
    httpscene_settle(&scene.web.http);
    websocket_pause(scene.socket);
    websocket_resume(scene.socket);
    httpscene_put_bytes(&scene.web.http, client, scene.frames.bytes + ROOM - 100, scene.frames.length - ROOM + 100);
    scene.frames.length = 0;
    socketscene_expect_bytes(&scene, client, SOCKETSCENE_BINARY, bytes, ROOM);
    socketscene_close(&scene);
    free(bytes);
}

static void a_long_message_that_began_before_we_close_still_comes(void **state)
{
    struct socketscene scene;
    char *bytes = new_pattern(SIZE);

    struct httpscene_client *client =
        socketscene_begin(&scene, &(struct websocket_handler){ .on_message = count_message });
    wsframes_add(&scene.frames, SOCKETSCENE_BINARY, bytes, SIZE);
    httpscene_put_bytes(&scene.web.http, client, scene.frames.bytes, SIZE / 2);
    httpscene_settle(&scene.web.http);
    websocket_pause(scene.socket);
    assert_int_equal(websocket_close(scene.socket, 1000, NULL), 0);
    httpscene_put_bytes(&scene.web.http, client, scene.frames.bytes + SIZE / 2, scene.frames.length - SIZE / 2);
    scene.frames.length = 0;
    socketscene_put_close(&scene, client, 1000, "");
    socketscene_expect_close(&scene, client, 1000, "");
    httpscene_expect_end(&scene.web.http, client);
    httpscene_hang_up(client);
    httpscene_settle(&scene.web.http);
    webscene_expect_notes("open long close:1000::0 ");
    socketscene_close(&scene);
    free(bytes);
}

/* Memory grows with what has come; wherever it cannot, all that was there is given back. */
static void without_memory_for_the_rest_a_socket_says_so(void **state)
{
    char *bytes = new_pattern(SIZE);
    int ends = 0;

    for (int nth = 1; nth < 6; nth++) {
        struct socketscene scene;

        counted = 0;
        struct httpscene_client *client =
            socketscene_begin(&scene, &(struct websocket_handler){ .on_message = count_message });
        wsframes_add(&scene.frames, SOCKETSCENE_BINARY, bytes, SIZE);
        httpscene_put_bytes(&scene.web.http, client, scene.frames.bytes, 100000);
        httpscene_settle(&scene.web.http);
        faults_allocation(nth, false);
        httpscene_put_bytes(&scene.web.http, client, scene.frames.bytes + 100000, scene.frames.length - 100000);
        await_messages(&scene, 1);
        faults_allocation(0, false);
        if (counted == 0) {
            socketscene_expect_close(&scene, client, WEBSOCKET_INTERNAL, "no memory");
            ends++;
        }
        scene.frames.length = 0;
        socketscene_close(&scene);
    }
    assert_true(ends > 0 && ends < 5);
    free(bytes);
}

/* What the kernel does not take is held, not copied: 1 MiB that came is 1 MiB that waits. */
static void an_answer_that_waits_is_the_message_itself(void **state)
{
    struct socketscene scene;
    char *bytes = new_pattern(SIZE);

    socketscene_open(&scene, &(struct websocket_handler){ .on_message = echo_and_count });
    counted = 0;
    struct httpscene_client *client = socketscene_connect(&scene, "");
    narrow(scene.socket, client);
    socketscene_put_bytes(&scene, client, SOCKETSCENE_BINARY, bytes, 10); /* there is what a loop needs */
    socketscene_expect_bytes(&scene, client, SOCKETSCENE_BINARY, bytes, 10);
    size_t before = faults_allocated_bytes();
    for (size_t i = 1; i <= 3; i++) {
        bytes[0] = (char)i;
        socketscene_put_bytes(&scene, client, SOCKETSCENE_BINARY, bytes, SIZE);
        await_messages(&scene, (int)i);
        assert_true(websocket_pending(scene.socket) > (i - 1) * SIZE);
        assert_true(faults_allocated_bytes() - before < i * (SIZE + 10000));
    }
    for (size_t i = 1; i <= 3; i++) {
        bytes[0] = (char)i;
        socketscene_expect_bytes(&scene, client, SOCKETSCENE_BINARY, bytes, SIZE);
    }
    before = (size_t)faults_allocations();
    socketscene_put_bytes(&scene, client, SOCKETSCENE_BINARY, bytes, SIZE); /* in a block that was given back */
    assert_true((size_t)faults_allocations() - before < 6);
    socketscene_expect_bytes(&scene, client, SOCKETSCENE_BINARY, bytes, SIZE);
    socketscene_put_bytes(&scene, client, SOCKETSCENE_BINARY, bytes, SIZE);
    socketscene_close(&scene); /* with an answer that waits */
    free(bytes);
}

/* Twice to the sender, once to another, who goes. */
static struct websocket *other;

static void send_twice_and_on(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    counted++;
    assert_int_equal(websocket_write(socket, data, length, is_binary), 0);
    assert_int_equal(websocket_write(socket, (const char *)data + 1, length - 1, is_binary), 0);
    assert_int_equal(websocket_write(other, data, length, is_binary), 0);
    assert_int_equal(websocket_write(socket, data, 10000, is_binary), 0); /* few bytes hold no block */
}

static void one_message_may_be_held_by_many(void **state)
{
    struct socketscene scene;
    char *bytes = new_pattern(SIZE);

    struct httpscene_client *second =
        socketscene_begin(&scene, &(struct websocket_handler){ .on_message = send_twice_and_on });
    narrow(scene.socket, second);
    other = scene.socket;
    struct httpscene_client *first = socketscene_connect(&scene, "");
    narrow(scene.socket, first);
    wsframes_add(&scene.frames, SOCKETSCENE_BINARY, bytes, SIZE);
    httpscene_put_bytes(&scene.web.http, first, scene.frames.bytes, 100); /* there is what a loop needs */
    httpscene_settle(&scene.web.http);
    size_t before = faults_allocated_bytes();
    counted = 0;
    httpscene_put_bytes(&scene.web.http, first, scene.frames.bytes + 100, scene.frames.length - 100);
    scene.frames.length = 0;
    await_messages(&scene, 1);
    assert_true(faults_allocated_bytes() - before < SIZE + 20000);
    httpscene_reset(second);
    httpscene_settle(&scene.web.http);
    socketscene_expect_bytes(&scene, first, SOCKETSCENE_BINARY, bytes, SIZE);
    socketscene_expect_bytes(&scene, first, SOCKETSCENE_BINARY, bytes + 1, SIZE - 1);
    socketscene_expect_bytes(&scene, first, SOCKETSCENE_BINARY, bytes, 10000);
    socketscene_close(&scene);
    free(bytes);
}

static void answer_with_a_few_bytes(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    counted++;
    for (int i = 0; i < 50; i++)
        assert_int_equal(websocket_write(socket, data, 10000, is_binary), 0);
}

static void a_few_bytes_that_wait_hold_no_long_message(void **state)
{
    struct socketscene scene;
    char *bytes = new_pattern(SIZE);

    struct httpscene_client *client =
        socketscene_begin(&scene, &(struct websocket_handler){ .on_message = answer_with_a_few_bytes });
    narrow(scene.socket, client);
    counted = 0;
    socketscene_put_bytes(&scene, client, SOCKETSCENE_BINARY, bytes, SIZE);
    await_messages(&scene, 1);
    assert_true(websocket_pending(scene.socket) > 10000);
    assert_int_equal(websocketloop_find(scene.web.http.loop)->kept_bytes, SIZE);
    socketscene_close(&scene);
    free(bytes);
}

static void echo_three_times(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    for (int i = 0; i < 3; i++)
        assert_int_equal(websocket_write(socket, data, length, is_binary), 0);
}

static void short_answers_leave_together_also_from_collected_messages(void **state)
{
    struct socketscene scene;
    char bytes[1000] = { 0 };

    struct httpscene_client *client =
        socketscene_begin(&scene, &(struct websocket_handler){ .on_message = echo_three_times });
    socketscene_put_bytes(&scene, client, 2, bytes, 500);
    faults_count_reset();
    socketscene_put_bytes(&scene, client, WSFRAMES_FINAL, bytes, 500);
    assert_int_equal(faults_count("send") + faults_count("sendmsg"), 1);
    for (int i = 0; i < 3; i++)
        socketscene_expect_bytes(&scene, client, SOCKETSCENE_BINARY, bytes, 1000);
    socketscene_close(&scene);
}

static void echo_if_it_can(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    if (websocket_write(socket, data, length, is_binary) < 0)
        assert_true(websocket_closing(socket));
}

/* The first call for the answer takes the head only, or a part of it, or nothing; then there is no memory. */
static void an_answer_that_is_sent_in_part_is_whole_or_ends(void **state)
{
    static const size_t pieces[] = { 1, 9, 10, 11, 65536 };
    char *bytes = new_pattern(2 * (size_t)ROOM);

    for (size_t i = 0; i < 5; i++) {
        for (int nth = 0; nth < 6; nth++) {
            struct socketscene scene;
            struct httpscene_client *client =
                socketscene_begin(&scene, &(struct websocket_handler){ .on_message = echo_if_it_can });

            wsframes_add(&scene.frames, SOCKETSCENE_BINARY, bytes, 2 * (size_t)ROOM);
            httpscene_put_bytes(&scene.web.http, client, scene.frames.bytes, scene.frames.length - 1);
            httpscene_settle(&scene.web.http);
            httpscene_put_bytes(&scene.web.http, client, scene.frames.bytes + scene.frames.length - 1, 1);
            scene.frames.length = 0;
            faults_short_io(pieces[i]);
            faults_allocation(nth, false);
            assert_true(ioloop_run_once(scene.web.http.loop, 0) >= 0);
            faults_short_io(0);
            faults_allocation(0, false);
            if (scene.socket != NULL && !websocket_closing(scene.socket))
                socketscene_expect_bytes(&scene, client, SOCKETSCENE_BINARY, bytes, 2 * (size_t)ROOM);
            else
                assert_true(nth > 0);
            socketscene_close(&scene);
        }
    }
    free(bytes);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_rest_of_a_long_frame_is_received_in_large_pieces),
    cmocka_unit_test(however_long_frames_are_split_the_same_is_handed_over),
    cmocka_unit_test(a_long_text_is_refused_at_its_first_wrong_byte),
    cmocka_unit_test(a_socket_may_pause_in_the_middle_of_a_long_frame),
    cmocka_unit_test(nothing_is_left_of_a_long_message_that_never_ended),
    cmocka_unit_test(a_long_message_that_began_before_we_close_still_comes),
    cmocka_unit_test(without_memory_for_the_rest_a_socket_says_so),
    cmocka_unit_test(an_answer_that_waits_is_the_message_itself),
    cmocka_unit_test(one_message_may_be_held_by_many),
    cmocka_unit_test(a_few_bytes_that_wait_hold_no_long_message),
    cmocka_unit_test(short_answers_leave_together_also_from_collected_messages),
    cmocka_unit_test(an_answer_that_is_sent_in_part_is_whole_or_ends),
};

TESTING_MAIN(tests)
