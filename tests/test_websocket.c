#include "websocket/websocket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/faults.h"
#include "tests/support/socketscene.h"
#include "tests/support/testing.h"
#include "websocket/websocketconnection.h"

/* What a program asks of a socket. */

static const struct websocket_handler notes = { .on_ping = socketscene_note_ping };

static void each_socket_has_an_arg_of_its_own_and_that_of_its_handler(void **state)
{
    struct socketscene scene;
    int own, shared;

    socketscene_open(&scene, &(struct websocket_handler){ .arg = &shared });
    socketscene_connect(&scene, "");
    assert_null(websocket_arg(scene.socket));
    websocket_set_arg(scene.socket, &own);
    assert_ptr_equal(websocket_arg(scene.socket), &own);
    assert_ptr_equal(websocket_handler_arg(scene.socket), &shared);
    assert_ptr_equal(websocket_loop(scene.socket), scene.web.http.loop);
    assert_null(websocket_subprotocol(scene.socket));
    assert_false(websocket_compresses(scene.socket));
    assert_int_equal(websocket_status(scene.socket), 101);
    assert_int_equal(websocket_error(scene.socket), 0);
    assert_string_equal(websocket_remote_ip(scene.socket), "127.0.0.1");
    assert_string_equal(websocket_remote_ip(scene.socket), "127.0.0.1");
    socketscene_close(&scene);
}

static void text_has_to_be_utf_8(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client = socketscene_begin(&scene, &notes);

    assert_int_equal(websocket_write(scene.socket, "a\xff", 2, false), -EINVAL);
    assert_int_equal(websocket_write(scene.socket, "a\xc3", 2, false), -EINVAL);
    assert_int_equal(websocket_write_text(scene.socket, "\xed\xa0\x80"), -EINVAL);
    assert_int_equal(websocket_pending(scene.socket), 0);
    assert_int_equal(websocket_write(scene.socket, "a\xff", 2, true), 0);
    assert_int_equal(websocket_write_text(scene.socket, "\xc3\xa9"), 0);
    assert_int_equal(websocket_write(scene.socket, NULL, 0, false), 0);
    assert_int_equal(websocket_write(scene.socket, NULL, 0, true), 0);
    socketscene_expect_bytes(&scene, client, SOCKETSCENE_BINARY, "a\xff", 2);
    socketscene_expect(&scene, client, SOCKETSCENE_TEXT, "\xc3\xa9");
    socketscene_expect(&scene, client, SOCKETSCENE_TEXT, "");
    socketscene_expect(&scene, client, SOCKETSCENE_BINARY, "");
    socketscene_close(&scene);
}

static void echo_as_text(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    int error = websocket_write(socket, data, length, false);

    webscene_note(error == 0 ? "sent" : "refused");
    assert_int_equal(websocket_write(socket, data, length > 0 ? length - 1 : 0, false) == 0,
                     length < 2 || ((const char *)data)[0] == 'a');
}

/* What has come as text is not checked again; what lies there later is. */
static void a_text_that_is_sent_on_is_known_to_be_one(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client =
        socketscene_begin(&scene, &(struct websocket_handler){ .on_message = echo_as_text });

    socketscene_put(&scene, client, SOCKETSCENE_TEXT, "ab");
    socketscene_put_bytes(&scene, client, SOCKETSCENE_BINARY, "\xff\xff", 2);
    socketscene_put(&scene, client, SOCKETSCENE_TEXT, "");
    socketscene_put(&scene, client, SOCKETSCENE_BINARY, "ab");
    socketscene_put(&scene, client, SOCKETSCENE_TEXT, "\xc3\xa9"); /* the first byte alone is none */
    webscene_expect_notes("open sent refused sent sent sent ");
    socketscene_close(&scene);
}

/* Closing. */

/* websocket_test:test_server_close_reason, websocket_test:test_write_after_close */
static void a_socket_that_closes_sends_nothing_more(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client = socketscene_begin(&scene, &notes);

    assert_false(websocket_closing(scene.socket));
    assert_int_equal(websocket_close(scene.socket, 1001, "goodbye"), 0);
    assert_true(websocket_closing(scene.socket));
    assert_int_equal(websocket_close(scene.socket, 1000, "again"), 0);
    assert_int_equal(websocket_write_text(scene.socket, "a"), -EBADF);
    assert_int_equal(websocket_ping(scene.socket, NULL, 0), -EBADF);
    socketscene_expect_close(&scene, client, 1001, "goodbye");
    socketscene_put(&scene, client, SOCKETSCENE_PING, "not answered");
    socketscene_put(&scene, client, SOCKETSCENE_TEXT, "told");
    socketscene_put_close(&scene, client, 4001, "mine");
    socketscene_put(&scene, client, SOCKETSCENE_TEXT, "not told");
    httpscene_expect_end(&scene.web.http, client);
    httpscene_hang_up(client);
    httpscene_settle(&scene.web.http);
    webscene_expect_notes("open text:told close:4001:mine:0 ");
    socketscene_close(&scene);
}

static void every_way_to_close_sends_what_may_be_sent(void **state)
{
    char longest[124], too_long[125];
    memset(longest, 'x', 123);
    longest[123] = '\0';
    memset(too_long, 'x', 124);
    too_long[124] = '\0';
    const struct {
        int code;
        const char *reason;
        int result, sent;
        const char *sent_reason;
    } rows[] = {
        { 0, NULL, 0, 0, "" },
        { 0, "why", 0, 1000, "why" },
        { 0, "", 0, 0, "" },
        { 1000, NULL, 0, 1000, "" },
        { 1000, longest, 0, 1000, longest },
        { 3000, "", 0, 3000, "" },
        { 4999, "a", 0, 4999, "a" },
        { 1005, NULL, -EINVAL, 0, "" },
        { 1006, "a", -EINVAL, 0, "" },
        { 1015, NULL, -EINVAL, 0, "" },
        { 999, NULL, -EINVAL, 0, "" },
        { 5000, NULL, -EINVAL, 0, "" },
        { -1, NULL, -EINVAL, 0, "" },
        { 66536, NULL, -EINVAL, 0, "" }, /* 1000 in 16 bits */
        { 1000, too_long, -EINVAL, 0, "" },
        { 1000, "\xff", -EINVAL, 0, "" },
        { 1000, "\xc3", -EINVAL, 0, "" },
    };
    struct socketscene scene;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct httpscene_client *client = socketscene_begin(&scene, &notes);
        assert_int_equal(websocket_close(scene.socket, rows[i].code, rows[i].reason), rows[i].result);
        socketscene_expect_close(&scene, client, rows[i].sent, rows[i].sent_reason);
        socketscene_put_close(&scene, client, rows[i].sent, "");
        httpscene_expect_end(&scene.web.http, client);
        socketscene_close(&scene);
    }
}

static void an_aborted_socket_says_nothing(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client = socketscene_begin(&scene, &notes);

    websocket_abort(scene.socket);
    assert_true(websocket_closing(scene.socket));
    assert_int_equal(websocket_write_text(scene.socket, "a"), -EBADF);
    websocket_abort(scene.socket);
    assert_int_equal(scene.closed, 0); /* not inside the call */
    httpscene_expect_end(&scene.web.http, client);
    httpscene_settle(&scene.web.http);
    webscene_expect_notes("open close:1006::0 ");
    socketscene_close(&scene);
}

/* Holding back. */

static void pause_behind_each(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    socketscene_note_message(socket, data, length, is_binary);
    websocket_pause(socket);
    websocket_pause(socket);
}

/* websocket_test:test_coroutine */
static void messages_come_one_at_a_time(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client =
        socketscene_begin(&scene, &(struct websocket_handler){ .on_message = pause_behind_each });

    wsframes_add_text(&scene.frames, "1");
    wsframes_add(&scene.frames, 1, "2", 1);
    socketscene_put(&scene, client, 0, "3");
    socketscene_put(&scene, client, WSFRAMES_FINAL, "4");
    socketscene_put(&scene, client, SOCKETSCENE_TEXT, "5");
    webscene_expect_notes("open text:1 ");
    websocket_resume(scene.socket);
    webscene_expect_notes(""); /* not inside the call */
    httpscene_settle(&scene.web.http);
    webscene_expect_notes("text:234 ");
    websocket_resume(scene.socket);
    websocket_resume(scene.socket);
    httpscene_settle(&scene.web.http);
    webscene_expect_notes("text:5 ");
    websocket_resume(scene.socket);
    socketscene_leave(&scene, client);
    webscene_expect_notes("close:1000::0 ");
    socketscene_close(&scene);
}

static void pause_and_resume(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    socketscene_note_message(socket, data, length, is_binary);
    websocket_pause(socket);
    websocket_resume(socket);
}

static void a_pause_may_be_over_before_the_function_is(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client =
        socketscene_begin(&scene, &(struct websocket_handler){ .on_message = pause_and_resume });

    for (int i = 0; i < 5; i++)
        wsframes_add_text(&scene.frames, "a");
    socketscene_put(&scene, client, 1, "b");
    socketscene_put(&scene, client, WSFRAMES_FINAL, "c");
    webscene_expect_notes("open text:a text:a text:a text:a text:a text:bc ");
    socketscene_leave(&scene, client);
    socketscene_close(&scene);
}

static void a_peer_is_held_back_while_its_messages_wait(void **state)
{
    char *bytes = calloc(1, 1 << 20);
    struct socketscene scene;
    size_t taken = 0;

    struct httpscene_client *client = socketscene_begin(&scene, &notes);
    websocket_pause(scene.socket);
    size_t before = faults_allocated_bytes();
    for (int i = 0; i < 200; i++) {
        taken += httpscene_put_some(client, bytes, 1 << 20);
        httpscene_settle(&scene.web.http);
    }
    assert_true(taken < 32u << 20);
    assert_true(faults_allocated_bytes() - before < 600000);
    websocket_abort(scene.socket);
    socketscene_close(&scene);
    free(bytes);
}

static void a_paused_socket_can_close(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client =
        socketscene_begin(&scene, &(struct websocket_handler){ .on_message = pause_behind_each });

    wsframes_add_text(&scene.frames, "1");
    socketscene_put(&scene, client, SOCKETSCENE_TEXT, "2");
    websocket_close(scene.socket, 1000, NULL);
    websocket_pause(scene.socket); /* nothing more than that is read */
    socketscene_expect_close(&scene, client, 1000, "");
    socketscene_put_close(&scene, client, 1000, "");
    httpscene_expect_end(&scene.web.http, client);
    httpscene_hang_up(client);
    httpscene_settle(&scene.web.http);
    webscene_expect_notes("open text:1 text:2 close:1000::0 ");
    socketscene_close(&scene);
}

/* What is not sent yet. */

static char filler[1 << 20];

static size_t fill(struct websocket *socket, size_t until)
{
    while (websocket_pending(socket) < until)
        assert_int_equal(websocket_write(socket, filler, sizeof filler, true), 0);
    return (size_t)websocket_pending(socket);
}

static void the_program_is_told_when_a_slow_peer_has_caught_up(void **state)
{
    struct socketscene scene;

    for (int set = 0; set < 2; set++) {
        size_t high_water = set ? 2 << 20 : 256 << 10;

        struct httpscene_client *client =
            socketscene_begin(&scene, &(struct websocket_handler){ .on_drain = socketscene_note_drain,
                                                                   .high_water = set ? high_water : 0 });
        fill(scene.socket, high_water);
        httpscene_settle(&scene.web.http);
        webscene_expect_notes("open ");
        while (websocket_pending(scene.socket) > 0) {
            bool is_over = websocket_pending(scene.socket) > high_water / 4;
            httpscene_take(client, 1 << 18);
            httpscene_settle(&scene.web.http);
            if (is_over && websocket_pending(scene.socket) > high_water / 4)
                webscene_expect_notes("");
        }
        webscene_expect_notes("drain ");
        socketscene_close(&scene);
    }
}

static void echo_twice(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    for (int i = 0; i < 2; i++)
        assert_int_equal(websocket_write(socket, data, length, is_binary), 0);
}

static void a_handler_with_on_drain_still_answers_in_one_call(void **state)
{
    struct socketscene scene;

    socketscene_open(&scene,
                     &(struct websocket_handler){ .on_message = echo_twice, .on_drain = socketscene_note_drain });
    struct httpscene_client *client = socketscene_connect(&scene, "");
    assert_null(scene.socket->stream->extras); /* the short way is for streams that have none */
    faults_count_reset();
    socketscene_put(&scene, client, SOCKETSCENE_TEXT, "hello");
    assert_int_equal(faults_count("send") + faults_count("sendmsg"), 1);
    for (int i = 0; i < 2; i++)
        socketscene_expect(&scene, client, SOCKETSCENE_TEXT, "hello");
    socketscene_close(&scene);
}

static void answer_at_length(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    static const char bytes[4000];

    for (int i = 0; i < 10; i++)
        assert_int_equal(websocket_write(socket, bytes, sizeof bytes, true), 0);
}

static void a_low_high_water_is_looked_after_from_the_first_byte_on(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client = socketscene_begin(
        &scene, &(struct websocket_handler){
                    .on_message = answer_at_length, .on_drain = socketscene_note_drain, .high_water = 1000 });

    socketscene_put(&scene, client, SOCKETSCENE_PONG, "");
    wsframes_add_text(&scene.frames, "go");
    httpscene_put_bytes(&scene.web.http, client, scene.frames.bytes, scene.frames.length);
    scene.frames.length = 0;
    faults_short_io(100);
    assert_true(ioloop_run_once(scene.web.http.loop, 0) >= 0);
    assert_true(websocket_pending(scene.socket) > 1000);
    faults_short_io(0);
    httpscene_settle(&scene.web.http);
    assert_int_equal(websocket_pending(scene.socket), 0);
    webscene_expect_notes("open drain ");
    socketscene_close(&scene);
}

/* Whatever it was that went over high_water. */
static void a_ping_over_high_water_is_told_of_when_it_has_drained(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client = socketscene_begin(
        &scene, &(struct websocket_handler){ .on_drain = socketscene_note_drain, .high_water = 1 << 20 });

    char *bytes = calloc(1, 1 << 20);
    while (websocket_pending(scene.socket) == 0)
        assert_int_equal(websocket_write(scene.socket, bytes, 100000, true), 0);
    size_t left = (1 << 20) - (size_t)websocket_pending(scene.socket);
    assert_int_equal(websocket_write(scene.socket, bytes, left - 10, true), 0);
    assert_int_equal(websocket_pending(scene.socket), 1 << 20);
    assert_null(scene.socket->stream->extras);
    assert_int_equal(websocket_ping(scene.socket, "a", 1), 0);
    while (websocket_pending(scene.socket) > 0) {
        httpscene_take(client, 1 << 18);
        httpscene_settle(&scene.web.http);
    }
    webscene_expect_notes("open drain ");
    socketscene_close(&scene);
    free(bytes);
}

/* Nobody would go on who was not told. */
static void without_memory_to_look_after_the_drain_the_connection_ends(void **state)
{
    bool was_refused = false;

    for (int nth = 1; nth < 5; nth++) {
        struct socketscene scene;
        char *bytes = calloc(1, 4 << 20);

        socketscene_open(&scene, &(struct websocket_handler){ .on_drain = socketscene_note_drain });
        socketscene_connect(&scene, "");
        faults_allocation(nth, false);
        int error = websocket_write(scene.socket, bytes, 4 << 20, true);
        faults_allocation(0, false);
        assert_true(error == 0 || error == -ENOMEM);
        assert_int_equal(websocket_closing(scene.socket), error < 0);
        was_refused = error < 0;
        assert_true(nth < 4 || !was_refused);
        socketscene_close(&scene);
        free(bytes);
    }
}

static void what_is_too_much_ends_the_connection_or_is_dropped(void **state)
{
    struct socketscene scene;

    for (int drops = 0; drops < 2; drops++) {
        struct httpscene_client *client =
            socketscene_begin(&scene, &(struct websocket_handler){ .policy = drops ? WEBSOCKET_DROP_WHEN_FULL : 0 });
        size_t room = (16 << 20) - 1024 - fill(scene.socket, 14 << 20); /* between one and two of the filler */
        for (int i = 0; i < 2; i++)
            assert_int_equal(websocket_write(scene.socket, filler, (room - 100000) / 2, true), 0);
        room = (size_t)((16 << 20) - 1024 - websocket_pending(scene.socket));
        assert_in_range(room, 65536 + 10, sizeof filler);
        assert_int_equal(websocket_write(scene.socket, filler, room - 9, true), -ENOBUFS);
        if (drops) {
            assert_int_equal(websocket_write(scene.socket, filler, room - 10, true), 0);
            assert_int_equal(websocket_write(scene.socket, "", 0, true), -ENOBUFS);
            assert_int_equal(websocket_ping(scene.socket, "", 0), -ENOBUFS);
            assert_false(websocket_closing(scene.socket));
            socketscene_put(&scene, client, SOCKETSCENE_PING, "there is room for this");
            assert_int_equal(websocket_close(scene.socket, 1000, NULL), 0);
            assert_int_equal(scene.closed, 0);
        } else {
            assert_true(websocket_closing(scene.socket));
            httpscene_settle(&scene.web.http);
            webscene_expect_notes("open close:1006::ENOBUFS ");
            assert_int_equal(testing_logs("max_unsent"), 1);
        }
        socketscene_close(&scene);
    }
}

/* What is too long by itself is the program's mistake, and not the peer's: nothing is closed. */
static void the_limit_of_what_is_unsent_counts_bytes_of_frames(void **state)
{
    struct socketscene scene;

    for (int over = -1; over <= 1; over++) {
        socketscene_open(&scene, &(struct websocket_handler){ .max_unsent = 102 });
        socketscene_connect(&scene, "");
        assert_int_equal(websocket_write(scene.socket, filler, (size_t)(100 + over), true), over > 0 ? -EMSGSIZE : 0);
        assert_false(websocket_closing(scene.socket));
        socketscene_close(&scene);
    }
    socketscene_open(&scene, &(struct websocket_handler){ .max_unsent = 40 << 20, .policy = WEBSOCKET_DROP_WHEN_FULL });
    socketscene_connect(&scene, "");
    assert_true(fill(scene.socket, 38 << 20) >= 38 << 20); /* more than a stream allows by itself */
    assert_int_equal(websocket_write(scene.socket, filler, sizeof filler, true), 0);
    assert_int_equal(websocket_write(scene.socket, filler, sizeof filler, true), -ENOBUFS);
    socketscene_close(&scene);
}

static void a_server_with_a_limit_of_its_own_does_not_lower_that_of_a_socket(void **state)
{
    struct socketscene scene;

    socketscene_open_with(&scene, &notes, &(struct web_settings){ .server.max_unsent = 1000 });
    struct httpscene_client *client = socketscene_connect(&scene, "");
    fill(scene.socket, 2 << 20);
    assert_false(websocket_closing(scene.socket));
    socketscene_put(&scene, client, SOCKETSCENE_TEXT, "a");
    webscene_expect_notes("open text:a ");
    socketscene_close(&scene);
}

/* A flood of pings from who does not read the pongs. */
static void only_the_last_pong_waits(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client = socketscene_begin(&scene, &(struct websocket_handler){ .on_message = NULL });

    size_t pending = fill(scene.socket, 1 << 20);
    size_t messages = 0;
    size_t bytes = faults_allocated_bytes();
    for (int i = 0; i < 10000; i++) {
        char payload[20];
        snprintf(payload, sizeof payload, "%d", i);
        wsframes_add(&scene.frames, SOCKETSCENE_PING, payload, strlen(payload));
    }
    socketscene_put(&scene, client, SOCKETSCENE_PING, "last");
    assert_true(websocket_pending(scene.socket) <= pending); /* the kernel may have taken more */
    assert_true(faults_allocated_bytes() - bytes < 1000);
    for (;;) {
        struct wsframes_frame frame;
        size_t size = client->length > 0 ? wsframes_take(client->bytes, client->length, &frame) : 0;

        if (size == 0) {
            httpscene_take(client, SIZE_MAX);
            ioloop_run_once(scene.web.http.loop, 0.001);
            continue;
        }
        if (frame.first != SOCKETSCENE_BINARY)
            break;
        messages++;
        client->length -= size;
        memmove(client->bytes, client->bytes + size, client->length + 1);
    }
    assert_true(messages > 0);
    socketscene_expect(&scene, client, SOCKETSCENE_PONG, "last");
    assert_int_equal(client->length, 0);
    socketscene_put(&scene, client, SOCKETSCENE_PING, "one more");
    socketscene_expect(&scene, client, SOCKETSCENE_PONG, "one more");
    socketscene_close(&scene);
}

/* Nothing is sent behind a close frame. */
static void a_pong_that_waits_is_dropped_when_the_socket_closes(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client = socketscene_begin(&scene, &notes);

    fill(scene.socket, 1 << 20);
    socketscene_put(&scene, client, SOCKETSCENE_PING, "a");
    assert_int_equal(websocket_close(scene.socket, 1000, NULL), 0);
    while (client->length < 4 || memcmp(client->bytes + client->length - 4, "\x88\x02\x03\xe8", 4) != 0) {
        testing_turn(scene.web.http.loop, client->fd);
        httpscene_take(client, SIZE_MAX);
    }
    httpscene_settle(&scene.web.http);
    assert_int_equal(httpscene_take(client, SIZE_MAX), 0);
    socketscene_close(&scene);
}

static void abort_at_message(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    socketscene_note_message(socket, data, length, is_binary);
    ioloop_callback_failed(websocket_loop(socket), -EIO);
    websocket_abort(socket);
}

/* websocket_test:test_error_in_on_message */
static void an_error_in_on_message_ends_the_connection(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client =
        socketscene_begin(&scene, &(struct websocket_handler){ .on_message = abort_at_message });

    wsframes_add_text(&scene.frames, "1");
    socketscene_put(&scene, client, SOCKETSCENE_TEXT, "2");
    httpscene_settle(&scene.web.http);
    webscene_expect_notes("open text:1 close:1006::0 ");
    assert_int_equal(testing_logs("callback"), 1);
    socketscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_socket_has_an_arg_of_its_own_and_that_of_its_handler),
    cmocka_unit_test(text_has_to_be_utf_8),
    cmocka_unit_test(a_text_that_is_sent_on_is_known_to_be_one),
    cmocka_unit_test(a_socket_that_closes_sends_nothing_more),
    cmocka_unit_test(every_way_to_close_sends_what_may_be_sent),
    cmocka_unit_test(an_aborted_socket_says_nothing),
    cmocka_unit_test(messages_come_one_at_a_time),
    cmocka_unit_test(a_pause_may_be_over_before_the_function_is),
    cmocka_unit_test(a_peer_is_held_back_while_its_messages_wait),
    cmocka_unit_test(a_paused_socket_can_close),
    cmocka_unit_test(the_program_is_told_when_a_slow_peer_has_caught_up),
    cmocka_unit_test(a_handler_with_on_drain_still_answers_in_one_call),
    cmocka_unit_test(a_low_high_water_is_looked_after_from_the_first_byte_on),
    cmocka_unit_test(a_ping_over_high_water_is_told_of_when_it_has_drained),
    cmocka_unit_test(without_memory_to_look_after_the_drain_the_connection_ends),
    cmocka_unit_test(what_is_too_much_ends_the_connection_or_is_dropped),
    cmocka_unit_test(the_limit_of_what_is_unsent_counts_bytes_of_frames),
    cmocka_unit_test(a_server_with_a_limit_of_its_own_does_not_lower_that_of_a_socket),
    cmocka_unit_test(only_the_last_pong_waits),
    cmocka_unit_test(a_pong_that_waits_is_dropped_when_the_socket_closes),
    cmocka_unit_test(an_error_in_on_message_ends_the_connection),
};

TESTING_MAIN(tests)
