#include "websocket/websocketconnection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/faults.h"
#include "tests/support/socketscene.h"
#include "tests/support/testing.h"

/* Messages of a server's socket, and what is none. */

static const struct websocket_handler notes = { .on_ping = socketscene_note_ping, .on_pong = socketscene_note_pong };
static const struct websocket_handler echo = { .on_message = socketscene_echo };

static void an_idle_socket_is_small(void **state)
{
    assert_true(sizeof(struct websocket) <= 72); /* with malloc's 8, and the stream's 112: below 224 */
}

/* websocket_test:test_binary_message, websocket_test:test_unicode_message, websocket_test:test_websocket_callbacks */
static void messages_arrive_as_they_were_sent(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client = socketscene_begin(&scene, &notes);

    socketscene_put(&scene, client, SOCKETSCENE_TEXT, "hello \xc3\xa9");
    socketscene_put_bytes(&scene, client, SOCKETSCENE_BINARY, "hello \xe9", 7);
    socketscene_put(&scene, client, SOCKETSCENE_TEXT, "");
    webscene_expect_notes("open text:hello \xc3\xa9 binary:hello \xe9 text: ");
    socketscene_leave(&scene, client);
    socketscene_close(&scene);
}

/* websocket_test:test_message_sizes, of a server, without compression */
static void messages_of_all_lengths_are_echoed(void **state)
{
    static const size_t lengths[] = { 0,     1,     2,     124,    125,    126,     127,    128,   4091,
                                      4092,  4093,  4096,  4097,   65521,  65522,   65523,  65534, 65535,
                                      65536, 65537, 70000, 131072, 200000, 1048575, 1048576 };
    struct socketscene scene;
    char *bytes = malloc(1 << 20);

    assert_non_null(bytes);
    for (size_t i = 0; i < 1 << 20; i++)
        bytes[i] = (char)(i * 7 + i / 251);
    struct httpscene_client *client = socketscene_begin(&scene, &echo);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        socketscene_put_bytes(&scene, client, SOCKETSCENE_BINARY, bytes, lengths[i]);
        httpscene_take(client, SIZE_MAX);
        socketscene_expect_bytes(&scene, client, SOCKETSCENE_BINARY, bytes, lengths[i]);
        assert_int_equal(client->length, 0);
    }
    socketscene_leave(&scene, client);
    socketscene_close(&scene);
    free(bytes);
}

static void a_message_over_the_limit_is_refused_by_its_head(void **state)
{
    static const size_t limits[] = { 1, 125, 126, 65535, 65536, 1 << 20 };
    char *bytes = calloc(1, (1 << 20) + 1);
    struct socketscene scene;

    assert_non_null(bytes);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        for (int over = -1; over <= 1; over++) {
            size_t length = (size_t)((long)limits[i] + over);

            struct httpscene_client *client =
                socketscene_begin(&scene, &(struct websocket_handler){ .max_message = i == 5 ? 0 : limits[i],
                                                                       .on_message = socketscene_echo });
            if (over <= 0) {
                socketscene_put_bytes(&scene, client, SOCKETSCENE_BINARY, bytes, length);
                socketscene_expect_bytes(&scene, client, SOCKETSCENE_BINARY, bytes, length);
            } else {
                wsframes_add_head(&scene.frames, SOCKETSCENE_BINARY, length);
                httpscene_put_bytes(&scene.web.http, client, scene.frames.bytes, scene.frames.length);
                socketscene_expect_close(&scene, client, 1009, "a message over the limit");
                httpscene_expect_end(&scene.web.http, client);
                httpscene_hang_up(client);
                httpscene_settle(&scene.web.http);
                webscene_expect_notes("open close:1006::EMSGSIZE ");
            }
            socketscene_close(&scene);
        }
    }
    free(bytes);
}

/* websocket_test:test_large_message, websocket_test:test_size_limit */
static void fragments_count_together(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client = socketscene_begin(&scene, &(struct websocket_handler){ .max_message = 10 });

    socketscene_put(&scene, client, 1, "12345");
    socketscene_put(&scene, client, 0, "6789");
    socketscene_put(&scene, client, WSFRAMES_FINAL, "0");
    webscene_expect_notes("open text:1234567890 ");
    socketscene_put(&scene, client, 1, "12345");
    socketscene_put(&scene, client, 0, "6789");
    wsframes_add_head(&scene.frames, WSFRAMES_FINAL, 2);
    httpscene_put_bytes(&scene.web.http, client, scene.frames.bytes, scene.frames.length);
    socketscene_expect_close(&scene, client, 1009, "a message over the limit");
    socketscene_close(&scene);
}

static void too_many_fragments_are_refused(void **state)
{
    struct socketscene scene;

    for (int set = 0; set < 2; set++) {
        int most = set ? 3 : 4096; /* 1 MiB / 256 */

        struct httpscene_client *client =
            socketscene_begin(&scene, &(struct websocket_handler){ .max_fragments = set ? 3 : 0 });
        wsframes_add(&scene.frames, 1, "a", 1);
        for (int i = 1; i < most; i++)
            wsframes_add(&scene.frames, 0, "", 0);
        socketscene_put(&scene, client, 0, "");
        socketscene_expect_close(&scene, client, 1009, "too many fragments");
        socketscene_close(&scene);
    }
}

/* Memory is for what has come, not for what was announced. */
static void a_head_alone_takes_no_memory_for_its_payload(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client =
        socketscene_begin(&scene, &(struct websocket_handler){ .max_message = UINT64_C(1) << 40 });

    size_t before = faults_allocated_bytes();
    wsframes_add_head(&scene.frames, SOCKETSCENE_BINARY, UINT64_C(1) << 40);
    wsframes_add_raw(&scene.frames, "abc", 3);
    httpscene_put_bytes(&scene.web.http, client, scene.frames.bytes, scene.frames.length);
    httpscene_settle(&scene.web.http);
    assert_true(faults_allocated_bytes() - before < 70000);
    socketscene_close(&scene);
}

static void an_idle_socket_keeps_nothing_of_a_message(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client = socketscene_begin(&scene, &notes);

    socketscene_put(&scene, client, SOCKETSCENE_TEXT, "a");
    size_t before = faults_allocated_bytes();
    for (int i = 0; i < 3; i++) {
        socketscene_put(&scene, client, 1, "first");
        assert_true(faults_allocated_bytes() > before);
        socketscene_put(&scene, client, WSFRAMES_FINAL, "last");
        assert_int_equal(faults_allocated_bytes(), before);
    }
    socketscene_close(&scene);
}

static int counted;

static void count_message(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    counted++;
}

/* The kernel may take its time. */
static void await_messages(struct socketscene *scene, int count)
{
    while (counted < count)
        assert_true(ioloop_run_once(scene->web.http.loop, 0.01) >= 0);
    assert_int_equal(counted, count);
}

/* Memory of long messages is kept for the next ones, and not allocated again. */
static void the_memory_of_long_messages_is_used_again(void **state)
{
    char *bytes = calloc(1, 1 << 20);
    struct socketscene scene;
    struct httpscene_client *client =
        socketscene_begin(&scene, &(struct websocket_handler){ .on_message = count_message });

    counted = 0;
    socketscene_put_bytes(&scene, client, SOCKETSCENE_BINARY, bytes, 1 << 20);
    await_messages(&scene, 1);
    size_t kept = faults_allocated_bytes();
    for (int i = 0; i < 12; i++) {
        wsframes_add(&scene.frames, SOCKETSCENE_BINARY, bytes, 1 << 20);
        httpscene_put_bytes(&scene.web.http, client, scene.frames.bytes, 500000);
        httpscene_settle(&scene.web.http);
        assert_true(faults_allocated_bytes() < kept + 1000);
        httpscene_put_bytes(&scene.web.http, client, scene.frames.bytes + 500000, scene.frames.length - 500000);
        scene.frames.length = 0;
        await_messages(&scene, i + 2);
        assert_int_equal(faults_allocated_bytes(), kept);
    }
    socketscene_close(&scene);
    free(bytes);
}

static void a_message_may_grow_from_a_small_fragment_into_kept_memory(void **state)
{
    char *bytes = malloc(200000);
    struct socketscene scene;

    for (size_t i = 0; i < 200000; i++)
        bytes[i] = (char)(i * 31);
    struct httpscene_client *client = socketscene_begin(&scene, &echo);
    for (int i = 0; i < 3; i++) {
        socketscene_put_bytes(&scene, client, 2, bytes, 10);
        socketscene_put_bytes(&scene, client, 0, bytes + 10, 90000);
        socketscene_put_bytes(&scene, client, WSFRAMES_FINAL, bytes + 90010, 109990);
        socketscene_expect_bytes(&scene, client, SOCKETSCENE_BINARY, bytes, 200000);
    }
    socketscene_close(&scene);
    free(bytes);
}

/* All splits. */

static void check_split(struct socketscene *scene, const struct wsframes *all, size_t first, size_t second)
{
    struct httpscene_client *client = socketscene_connect(scene, "");
    const size_t cuts[] = { 0, first, second, all->length };

    for (int i = 0; i < 3; i++) {
        httpscene_put_bytes(&scene->web.http, client, all->bytes + cuts[i], cuts[i + 1] - cuts[i]);
        httpscene_settle(&scene->web.http);
    }
    socketscene_expect(scene, client, SOCKETSCENE_PONG, "ping");
    socketscene_expect_close(scene, client, 3000, "");
    httpscene_expect_end(&scene->web.http, client);
    httpscene_hang_up(client);
    httpscene_settle(&scene->web.http);
    webscene_expect_notes("open text:hello ping:ping binary:ab\xff text: pong: text:last close:3000:why:0 ");
}

static void however_frames_are_split_the_same_is_handed_over(void **state)
{
    struct wsframes all = { .is_masked = true };
    struct socketscene scene;

    wsframes_add_text(&all, "hello");
    wsframes_add(&all, 2, "ab", 2);
    wsframes_add(&all, SOCKETSCENE_PING, "ping", 4);
    wsframes_add(&all, WSFRAMES_FINAL, "\xff", 1);
    wsframes_add(&all, SOCKETSCENE_TEXT, "", 0);
    wsframes_add(&all, SOCKETSCENE_PONG, "", 0);
    wsframes_add_text(&all, "last");
    wsframes_add_close(&all, 3000, "why");
    socketscene_open(&scene, &notes);
    for (size_t first = 0; first <= all.length; first++)
        check_split(&scene, &all, first, first + (all.length - first) / 2);
    wsframes_free(&all);
    socketscene_close(&scene);
}

/* Pieces. */

static void note_piece(struct websocket *socket, const void *data, size_t length, bool is_binary, bool is_last)
{
    char word[100];

    snprintf(word, sizeof word, "%s%.*s%s", is_binary ? "binary:" : "", (int)length, (const char *)data,
             is_last ? "." : "-");
    webscene_note(word);
}

static void messages_can_be_had_in_pieces_as_they_come(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client =
        socketscene_begin(&scene, &(struct websocket_handler){ .on_piece = note_piece, .max_message = 10 });

    socketscene_put(&scene, client, SOCKETSCENE_TEXT, "whole");
    socketscene_put(&scene, client, 2, "ab");
    socketscene_put(&scene, client, 0, "cd");
    socketscene_put(&scene, client, WSFRAMES_FINAL, "");
    size_t before = faults_allocated_bytes();
    wsframes_add(&scene.frames, SOCKETSCENE_TEXT, "0123456789", 10);
    for (size_t i = 0; i < scene.frames.length; i++) {
        httpscene_put_bytes(&scene.web.http, client, scene.frames.bytes + i, 1);
        httpscene_settle(&scene.web.http);
        assert_true(faults_allocated_bytes() < before + 400);
    }
    scene.frames.length = 0;
    webscene_expect_notes("open whole. binary:ab- binary:cd- binary:. 0- 1- 2- 3- 4- 5- 6- 7- 8- 9. ");
    wsframes_add_head(&scene.frames, SOCKETSCENE_BINARY, 11);
    socketscene_put(&scene, client, SOCKETSCENE_TEXT, "");
    socketscene_expect_close(&scene, client, 1009, "a message over the limit");
    socketscene_close(&scene);
}

/* Control frames. */

/* websocket_test:test_manual_ping */
static void pings_are_answered_with_what_they_said(void **state)
{
    struct socketscene scene;
    char data[126];

    memset(data, 'x', sizeof data);
    struct httpscene_client *client = socketscene_begin(&scene, &echo);
    for (size_t length = 0; length <= 125; length++) {
        socketscene_put_bytes(&scene, client, SOCKETSCENE_PING, data, length);
        socketscene_expect_bytes(&scene, client, SOCKETSCENE_PONG, data, length);
        assert_int_equal(websocket_ping(scene.socket, data, length), 0);
        socketscene_expect_bytes(&scene, client, SOCKETSCENE_PING, data, length);
    }
    assert_int_equal(websocket_ping(scene.socket, data, 126), -EINVAL);
    socketscene_leave(&scene, client);
    socketscene_close(&scene);
}

static void pings_and_pongs_are_told_of(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client = socketscene_begin(&scene, &notes);

    socketscene_put(&scene, client, SOCKETSCENE_PING, "a");
    socketscene_put(&scene, client, SOCKETSCENE_PONG, "b");
    webscene_expect_notes("open ping:a pong:b ");
    socketscene_close(&scene);
}

/* What breaks the rules: hostile input, on a live connection. */
static void what_is_no_frame_ends_the_connection_with_its_code(void **state)
{
#define ROW(bytes, code)                                                                                               \
    {                                                                                                                  \
        bytes, sizeof bytes - 1, code                                                                                  \
    }
    static const struct {
        const char *bytes;
        size_t length;
        int code;
    } rows[] = {
        ROW("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff", 1002), /* E1: the highest bit */
        ROW("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff", 1009),
        ROW("\x82\xfe\x00\x05", 1002), /* not minimal */
        ROW("\x82\xff\x00\x00\x00\x00\x00\x00\x00\x7d", 1002),
        ROW("\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff", 1002),
        ROW("\x81\x05hello", 1002), /* E4: not masked */
        ROW("\xc1\x85", 1002),      /* E14: RSV1 */
        ROW("\xa1\x85", 1002),
        ROW("\x91\x85", 1002),
        ROW("\x83\x80", 1002), /* E6: unknown */
        ROW("\x87\x80", 1002),
        ROW("\x8b\x80", 1002),
        ROW("\x8f\x80", 1002),
        ROW("\x89\xfe\x00\x7e", 1002), /* a long ping */
        ROW("\x09\x80", 1002),         /* a fragment of one */
        ROW("\x08\x80", 1002),
        ROW("\x80\x80\1\2\3\4", 1002),                   /* of no message */
        ROW("\x01\x81\0\0\0\0a\x81\x81\0\0\0\0b", 1002), /* two messages */
        ROW("\x81\x81\0\0\0\0\xff", 1007),               /* E7 */
        ROW("\x81\x81\x80\x80\x80\x80\x7f", 1007), /* which is ASCII before it is unmasked, and after that twice */
        ROW("\x81\x83\0\0\0\0\xed\xa0\x80", 1007),
        ROW("\x81\x84\0\0\0\0\xf4\x90\x80\x80", 1007),
        ROW("\x81\x82\0\0\0\0\xc0\xaf", 1007),
        ROW("\x81\x81\0\0\0\0\xc3", 1007),
        ROW("\x81\x8a\0\0\0\0a\xf5", 1007),    /* at its first wrong byte */
        ROW("\x88\x81\0\0\0\0\x03", 1002),     /* E8 */
        ROW("\x88\x82\0\0\0\0\x03\xe7", 1002), /* 999 */
        ROW("\x88\x82\0\0\0\0\x03\xec", 1002), /* 1004 */
        ROW("\x88\x82\0\0\0\0\x03\xed", 1002), /* 1005 */
        ROW("\x88\x82\0\0\0\0\x03\xee", 1002), /* 1006 */
        ROW("\x88\x82\0\0\0\0\x03\xf7", 1002), /* 1015 */
        ROW("\x88\x82\0\0\0\0\x0b\xb7", 1002), /* 2999 */
        ROW("\x88\x82\0\0\0\0\x13\x88", 1002), /* 5000 */
        ROW("\x88\x83\0\0\0\0\x03\xe8\xff", 1007),
        ROW("GET / HTTP/1.1\r\n", 1002),
    };
#undef ROW
    struct socketscene scene;

    socketscene_open(&scene, &notes);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct httpscene_client *client = socketscene_connect(&scene, "");

        httpscene_put_bytes(&scene.web.http, client, rows[i].bytes, rows[i].length);
        httpscene_settle(&scene.web.http);
        httpscene_put(&scene.web.http, client, "what comes behind is dropped");
        httpscene_settle(&scene.web.http);
        httpscene_take(client, SIZE_MAX);
        assert_true(client->length >= 4);
        assert_int_equal((unsigned char)client->bytes[0], 0x88);
        if (((unsigned char)client->bytes[2] << 8 | (unsigned char)client->bytes[3]) != rows[i].code)
            fail_msg("row %zu", i);
        client->length = 0;
        httpscene_expect_end(&scene.web.http, client);
        httpscene_hang_up(client);
        httpscene_settle(&scene.web.http);
        webscene_expect_notes(rows[i].code == 1009 ? "open close:1006::EMSGSIZE " : "open close:1006::EPROTO ");
    }
    socketscene_close(&scene);
}

/* Closing. */

static void every_code_that_may_be_sent_is_answered(void **state)
{
    struct socketscene scene;

    socketscene_open(&scene, &notes);
    for (int code = 1000; code <= 5001; code += code < 1020 || code > 4990 ? 1 : code < 2995 ? 395 : 97) {
        bool is_fine = (code < 1015 && code != 1004 && code != 1005 && code != 1006) || (code >= 3000 && code < 5000);
        struct httpscene_client *client = socketscene_connect(&scene, "");
        char expected[100];

        socketscene_put_close(&scene, client, code, "because");
        socketscene_expect_close(&scene, client, is_fine ? code : 1002,
                                 is_fine ? "" : "a close code that none may send");
        httpscene_expect_end(&scene.web.http, client);
        httpscene_hang_up(client);
        httpscene_settle(&scene.web.http);
        if (is_fine)
            snprintf(expected, sizeof expected, "open close:%d:because:0 ", code);
        else
            snprintf(expected, sizeof expected, "open close:1006::EPROTO ");
        webscene_expect_notes(expected);
    }
    socketscene_close(&scene);
}

/* websocket_test:test_client_close_reason */
static void a_close_without_a_code_is_answered_without_one(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client = socketscene_begin(&scene, &notes);

    socketscene_put_close(&scene, client, 0, "");
    socketscene_expect_close(&scene, client, 0, "");
    httpscene_expect_end(&scene.web.http, client);
    httpscene_hang_up(client);
    httpscene_settle(&scene.web.http);
    webscene_expect_notes("open close:1005::0 ");
    socketscene_close(&scene);
}

static void nothing_behind_a_close_frame_counts(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client = socketscene_begin(&scene, &notes);

    wsframes_add_text(&scene.frames, "before");
    wsframes_add_close(&scene.frames, 1001, "bye");
    wsframes_add_text(&scene.frames, "behind");
    wsframes_add_raw(&scene.frames, "no frame", 8);
    socketscene_put(&scene, client, SOCKETSCENE_PING, "");
    socketscene_expect_close(&scene, client, 1001, "");
    httpscene_expect_end(&scene.web.http, client);
    socketscene_put(&scene, client, SOCKETSCENE_TEXT, "still");
    httpscene_hang_up(client);
    httpscene_settle(&scene.web.http);
    webscene_expect_notes("open text:before close:1001:bye:0 ");
    socketscene_close(&scene);
}

/* Bytes that were not read would make the kernel reset the connection, and the close frame could be lost. */
static void the_close_frame_is_not_lost_to_a_reset(void **state)
{
    char *bytes = calloc(1, 300000);
    struct socketscene scene;
    struct httpscene_client *client = socketscene_begin(&scene, &(struct websocket_handler){ .max_message = 1000 });

    wsframes_add(&scene.frames, SOCKETSCENE_BINARY, bytes, 300000);
    socketscene_put(&scene, client, SOCKETSCENE_TEXT, "behind");
    httpscene_settle(&scene.web.http);
    socketscene_expect_close(&scene, client, 1009, "a message over the limit");
    httpscene_expect_end(&scene.web.http, client);
    httpscene_hang_up(client);
    httpscene_settle(&scene.web.http);
    socketscene_close(&scene);
    free(bytes);
}

static void a_connection_that_ends_without_a_close_frame_is_told_so(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client = socketscene_begin(&scene, &notes);

    socketscene_put(&scene, client, 1, "half a mess");
    httpscene_finish(client);
    httpscene_settle(&scene.web.http);
    webscene_expect_notes("open close:1006::ESHUTDOWN ");
    client = socketscene_connect(&scene, "");
    httpscene_reset(client);
    httpscene_settle(&scene.web.http);
    webscene_expect_notes("open close:1006::ECONNRESET ");
    socketscene_close(&scene);
}

static void answer_three_times(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    for (int i = 0; i < 3; i++)
        websocket_write(socket, data, length, is_binary);
}

/* E11: nothing but what was given goes out, and many answers leave in one call. */
static void all_answers_to_one_segment_leave_in_one_call(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client =
        socketscene_begin(&scene, &(struct websocket_handler){ .on_message = answer_three_times });

    for (int i = 0; i < 16; i++)
        wsframes_add_text(&scene.frames, "hello");
    faults_count_reset();
    socketscene_put(&scene, client, SOCKETSCENE_PING, "");
    assert_int_equal(faults_count("send") + faults_count("sendmsg"), 1);
    assert_int_equal(faults_count("recv"), 1);
    for (int i = 0; i < 48; i++)
        socketscene_expect(&scene, client, SOCKETSCENE_TEXT, "hello");
    socketscene_expect(&scene, client, SOCKETSCENE_PONG, "");
    socketscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_idle_socket_is_small),
    cmocka_unit_test(messages_arrive_as_they_were_sent),
    cmocka_unit_test(messages_of_all_lengths_are_echoed),
    cmocka_unit_test(a_message_over_the_limit_is_refused_by_its_head),
    cmocka_unit_test(fragments_count_together),
    cmocka_unit_test(too_many_fragments_are_refused),
    cmocka_unit_test(a_head_alone_takes_no_memory_for_its_payload),
    cmocka_unit_test(an_idle_socket_keeps_nothing_of_a_message),
    cmocka_unit_test(the_memory_of_long_messages_is_used_again),
    cmocka_unit_test(a_message_may_grow_from_a_small_fragment_into_kept_memory),
    cmocka_unit_test(however_frames_are_split_the_same_is_handed_over),
    cmocka_unit_test(messages_can_be_had_in_pieces_as_they_come),
    cmocka_unit_test(pings_are_answered_with_what_they_said),
    cmocka_unit_test(pings_and_pongs_are_told_of),
    cmocka_unit_test(what_is_no_frame_ends_the_connection_with_its_code),
    cmocka_unit_test(every_code_that_may_be_sent_is_answered),
    cmocka_unit_test(a_close_without_a_code_is_answered_without_one),
    cmocka_unit_test(nothing_behind_a_close_frame_counts),
    cmocka_unit_test(the_close_frame_is_not_lost_to_a_reset),
    cmocka_unit_test(a_connection_that_ends_without_a_close_frame_is_told_so),
    cmocka_unit_test(all_answers_to_one_segment_leave_in_one_call),
};

TESTING_MAIN(tests)
