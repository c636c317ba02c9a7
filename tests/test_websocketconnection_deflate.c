#include "websocket/websocketconnection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/deflatescene.h"
#include "tests/support/faults.h"
#include "tests/support/socketscene.h"
#include "tests/support/testing.h"

/* Messages of a server's socket that are compressed. */

static const struct websocket_handler echo = { .on_message = socketscene_echo, .compress = true };
static const struct websocket_handler notes = { .on_ping = socketscene_note_ping, .compress = true };

/* The handshake. */

static void both_sides_have_to_want_it(void **state)
{
    static const struct {
        bool compress;
        int window;
        bool anew;
        const char *offer, *answer; /* NULL: none */
    } rows[] = {
        { false, 0, false, "", NULL },
        { false, 0, false, DEFLATESCENE_OFFER, NULL },
        { true, 0, false, "", NULL },
        { true, 0, false, "Sec-WebSocket-Extensions: x-other\r\n", NULL },
        { true, 0, false, DEFLATESCENE_OFFER, "permessage-deflate" },
        { true, 0, false, "Sec-WebSocket-Extensions: x-other\r\n" DEFLATESCENE_OFFER, "permessage-deflate" },
        { true, 15, false, DEFLATESCENE_OFFER, "permessage-deflate" },
        { true, 16, false, DEFLATESCENE_OFFER, "permessage-deflate" },
        { true, 8, false, DEFLATESCENE_OFFER,
          "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9" },
        { true, 12, true, DEFLATESCENE_OFFER,
          "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12; "
          "client_max_window_bits=12" },
        { false, 0, false, "Sec-WebSocket-Extensions: =\r\n", NULL },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct socketscene scene;
        char head[1024], line[300] = "";

        socketscene_open(&scene, &(struct websocket_handler){ .compress = rows[i].compress,
                                                              .compress_window = rows[i].window,
                                                              .compress_anew = rows[i].anew });
        struct httpscene_client *client = httpscene_connect(&scene.web.http);
        socketscene_shake_hands(&scene, client, "GET /ws", rows[i].offer, head);
        assert_memory_equal(head, "HTTP/1.1 101 ", 13);
        if (rows[i].answer != NULL)
            snprintf(line, sizeof line, "\r\nSec-WebSocket-Extensions: %s\r\n", rows[i].answer);
        if (strstr(head, line) == NULL)
            fail_msg("%zu: %s", i, head);
        assert_int_equal(strstr(head, "Sec-WebSocket-Extensions") != NULL, rows[i].answer != NULL);
        assert_int_equal(websocket_compresses(scene.socket), rows[i].answer != NULL);
        socketscene_close(&scene);
    }
}

static void an_offer_that_is_malformed_is_refused(void **state)
{
    struct socketscene scene;
    char head[1024];

    socketscene_open(&scene, &notes);
    struct httpscene_client *client = httpscene_connect(&scene.web.http);
    socketscene_shake_hands(&scene, client, "GET /ws", "Sec-WebSocket-Extensions: permessage-deflate; =\r\n", head);
    assert_memory_equal(head, "HTTP/1.1 400 ", 13);
    socketscene_close(&scene);
}

/* To and fro. */

/* websocket_test:test_message_sizes, of a server, with compression */
static void messages_of_all_lengths_are_echoed_compressed(void **state)
{
    static const size_t lengths[] = { 0,    1,    63,    64,    65,    125,    126,    127,    128,    4095,    4096,
                                      4097, 8191, 32768, 65535, 65536, 100000, 200000, 300000, 524288, 1048576, 64 };
    char *bytes = malloc(1 << 20);
    struct deflatescene all;

    assert_non_null(bytes);
    for (int set = 0; set < 2; set++) {
        set ? deflatescene_fill_with_noise(bytes, 1 << 20) : deflatescene_fill_with_text(bytes, 1 << 20);
        deflatescene_open(&all, &echo);
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            size_t length = lengths[i];
            bool is_compressed = length >= 64;
            int first = set ? SOCKETSCENE_BINARY : SOCKETSCENE_TEXT;

            deflatescene_put(&all, first | WSFRAMES_COMPRESSED, bytes, length);
            size_t size = deflatescene_expect(&all, first | (is_compressed ? WSFRAMES_COMPRESSED : 0), bytes, length);
            if (length >= 4096 && !set)
                assert_true(size < length / 20);
            assert_true(size <= length + length / 1000 + 16);
        }
        socketscene_leave(&all.scene, all.client);
        deflatescene_close(&all);
    }
    free(bytes);
}

static void a_window_larger_than_there_are_is_not_used(void **state)
{
    static char noise[80000];
    struct deflatescene all;

    deflatescene_fill_with_noise(noise, 40000);
    memcpy(noise + 40000, noise, 40000);
    deflatescene_open(&all, &(struct websocket_handler){ .compress = true, .compress_window = 16 });
    assert_int_equal(websocket_write(all.scene.socket, noise, sizeof noise, true), 0);
    deflatescene_expect(&all, DEFLATESCENE_BINARY, noise, sizeof noise);
    deflatescene_close(&all);
}

static void what_came_before_is_referred_to_unless_each_message_begins_anew(void **state)
{
    char text[200];
    size_t sizes[2][3];

    deflatescene_fill_with_noise(text, sizeof text);
    for (int anew = 0; anew < 2; anew++) {
        struct websocketdeflate_terms terms = { 15, 15, anew, anew, false };
        struct deflatescene all;

        socketscene_open(&all.scene, &(struct websocket_handler){
                                         .on_message = socketscene_echo, .compress = true, .compress_anew = anew });
        all.client = socketscene_connect(&all.scene, DEFLATESCENE_OFFER);
        deflatepeer_open(&all.peer, &terms, true);
        for (int i = 0; i < 3; i++) {
            deflatescene_put(&all, DEFLATESCENE_BINARY, text, sizeof text);
            sizes[anew][i] = deflatescene_expect(&all, DEFLATESCENE_BINARY, text, sizeof text);
        }
        deflatescene_close(&all);
    }
    assert_true(sizes[0][0] >= 200 && sizes[0][1] < 20 && sizes[0][2] < 20);
    assert_true(sizes[1][0] >= 200 && sizes[1][1] == sizes[1][0] && sizes[1][2] == sizes[1][0]);
}

static void how_long_a_message_has_to_be_can_be_said(void **state)
{
    static const size_t least[] = { 0, 1, 10, 1000 };
    char text[1000];

    deflatescene_fill_with_text(text, sizeof text);
    for (size_t i = 0; i < sizeof least / sizeof *least; i++) {
        size_t limit = least[i] != 0 ? least[i] : 64;
        struct deflatescene all;

        deflatescene_open(&all, &(struct websocket_handler){ .compress = true, .compress_least = least[i] });
        assert_int_equal(websocket_write(all.scene.socket, text, limit - 1, false), 0);
        assert_int_equal(websocket_write(all.scene.socket, text, limit, false), 0);
        deflatescene_expect(&all, SOCKETSCENE_TEXT, text, limit - 1);
        deflatescene_expect(&all, DEFLATESCENE_TEXT, text, limit);
        deflatescene_close(&all);
    }
}

static void a_message_may_also_come_as_it_is(void **state)
{
    struct deflatescene all;

    deflatescene_open(&all, &notes);
    deflatescene_put(&all, DEFLATESCENE_TEXT, "one", 3);
    socketscene_put(&all.scene, all.client, SOCKETSCENE_TEXT, "two");
    socketscene_put(&all.scene, all.client, 1, "th");
    socketscene_put(&all.scene, all.client, WSFRAMES_FINAL, "ree");
    deflatescene_put(&all, DEFLATESCENE_BINARY, "one", 3);
    deflatescene_put(&all, DEFLATESCENE_TEXT, "", 0);
    webscene_expect_notes("open text:one text:two text:three binary:one text: ");
    deflatescene_close(&all);
}

/* A control frame between fragments ends nothing: the whole message is compressed, or none of it is. Each byte may come
 * alone. */
static void fragments_may_have_pings_between_them(void **state)
{
    static const char *const messages[] = { "a message that comes in parts", "5Xq-7.Kw2+Zb9/Yc4:Vd1" };
    struct deflatescene all;

    deflatescene_open(&all, &notes);
    for (int alone = 0; alone < 2; alone++) {
        size_t size;
        char *payload = deflatepeer_compress(&all.peer, messages[alone], strlen(messages[alone]), &size);

        assert_true(size > 10);
        wsframes_add(&all.scene.frames, 1 | WSFRAMES_COMPRESSED, payload, 3);
        wsframes_add(&all.scene.frames, SOCKETSCENE_PING, "1", 1);
        wsframes_add(&all.scene.frames, 0, payload + 3, 0);
        wsframes_add(&all.scene.frames, 0, payload + 3, size - 7);
        wsframes_add(&all.scene.frames, SOCKETSCENE_PING, "2", 1);
        wsframes_add(&all.scene.frames, alone ? 0 : WSFRAMES_FINAL, payload + size - 4, 4);
        if (alone)
            wsframes_add(&all.scene.frames, WSFRAMES_FINAL, "", 0);
        for (size_t at = 0; at < all.scene.frames.length;) {
            size_t length = alone ? 1 : all.scene.frames.length;
            httpscene_put_bytes(&all.scene.web.http, all.client, all.scene.frames.bytes + at, length);
            httpscene_settle(&all.scene.web.http);
            at += length;
        }
        all.scene.frames.length = 0;
        free(payload);
    }
    webscene_expect_notes("open ping:1 ping:2 text:a message that comes in parts ping:1 ping:2 "
                          "text:5Xq-7.Kw2+Zb9/Yc4:Vd1 ");
    deflatescene_close(&all);
}

static char pieces[1 << 20];
static size_t piece_count, piece_bytes, message_count;

static void collect_pieces(struct websocket *socket, const void *data, size_t length, bool is_binary, bool is_last)
{
    assert_true(piece_bytes + length <= sizeof pieces);
    assert_true(length > 0 || is_last);
    memcpy(pieces + piece_bytes, data, length);
    piece_bytes += length;
    piece_count++;
    message_count += is_last;
}

static void pieces_are_handed_over_as_they_are_inflated(void **state)
{
    char *text = malloc(300000);
    struct deflatescene all;

    assert_non_null(text);
    deflatescene_fill_with_text(text, 300000);
    piece_count = piece_bytes = message_count = 0;
    deflatescene_open(&all, &(struct websocket_handler){ .on_piece = collect_pieces, .compress = true });
    deflatescene_put(&all, DEFLATESCENE_TEXT, text, 300000);
    assert_int_equal(message_count, 1);
    assert_true(piece_count > 5);
    assert_int_equal(piece_bytes, 300000);
    assert_memory_equal(pieces, text, 300000);
    deflatescene_put(&all, DEFLATESCENE_TEXT, "", 0);
    assert_int_equal(message_count, 2);
    assert_int_equal(piece_bytes, 300000);
    free(text);
    deflatescene_close(&all);
}

static void pause_behind_each(struct websocket *socket, const void *data, size_t length, bool is_binary, bool is_last)
{
    collect_pieces(socket, data, length, is_binary, is_last);
    assert_true(is_binary);
    websocket_pause(socket);
}

/* What is left of a frame that was read stays unread, and what is inflated already stays in the window. */
static void no_piece_comes_during_a_pause(void **state)
{
    static char bytes[200000];
    struct deflatescene all;

    for (int set = 0; set < 3; set++) {
        set == 0   ? deflatescene_fill_with_text(bytes, sizeof bytes)
        : set == 1 ? deflatescene_fill_with_noise(bytes, sizeof bytes)
                   : (void)memset(bytes, 0, sizeof bytes);
        piece_count = piece_bytes = message_count = 0;
        deflatescene_open(&all, &(struct websocket_handler){ .on_piece = pause_behind_each, .compress = true });
        deflatescene_put(&all, DEFLATESCENE_BINARY, bytes, 150000);
        deflatescene_put(&all, DEFLATESCENE_BINARY, bytes, 100);
        size_t resumed = 0;
        for (; message_count < 2 && resumed < 1000; resumed++) {
            size_t before = piece_count;
            httpscene_settle(&all.scene.web.http);
            assert_int_equal(piece_count, before);
            websocket_resume(all.scene.socket);
            assert_int_equal(piece_count, before); /* only from the loop */
            httpscene_settle(&all.scene.web.http);
            assert_int_equal(piece_count, before + 1);
        }
        assert_int_equal(message_count, 2);
        assert_int_equal(piece_bytes, 150100);
        assert_memory_equal(pieces, bytes, 150000);
        assert_memory_equal(pieces + 150000, bytes, 100);
        websocket_resume(all.scene.socket);
        socketscene_leave(&all.scene, all.client);
        deflatescene_close(&all);
    }
}

static void abort_at_once(struct websocket *socket, const void *data, size_t length, bool is_binary, bool is_last)
{
    webscene_note("piece");
    websocket_abort(socket);
}

static void an_aborted_socket_inflates_nothing_more(void **state)
{
    char *text = calloc(1, 300000);
    struct deflatescene all;
    size_t size;

    assert_non_null(text);
    deflatescene_open(&all, &(struct websocket_handler){ .on_piece = abort_at_once, .compress = true });
    char *payload = deflatepeer_compress(&all.peer, text, 300000, &size);
    wsframes_add(&all.scene.frames, DEFLATESCENE_BINARY, payload, size);
    httpscene_put_bytes(&all.scene.web.http, all.client, all.scene.frames.bytes, all.scene.frames.length);
    httpscene_settle(&all.scene.web.http);
    webscene_expect_notes("open piece close:1006::0 ");
    free(payload);
    free(text);
    deflatescene_close(&all);
}

/* What is refused. */

static void expect_refusal(struct deflatescene *all, int code, const char *reason, const char *expected)
{
    socketscene_expect_close(&all->scene, all->client, code, reason);
    httpscene_expect_end(&all->scene.web.http, all->client);
    httpscene_hang_up(all->client);
    httpscene_settle(&all->scene.web.http);
    webscene_expect_notes(expected);
    deflatescene_close(all);
}

/* websocket_test:test_size_limit, of what is inflated */
static void the_limit_is_for_what_is_inflated(void **state)
{
    static const size_t limits[] = { 1, 100, 4096, 100000, 1 << 20 };
    char *bytes = malloc((1 << 20) + 1);

    assert_non_null(bytes);
    for (size_t i = 0; i < 2 * sizeof limits / sizeof *limits; i++) {
        size_t limit = limits[i / 2];
        bool is_noise = i % 2;
        const struct websocket_handler handler = { .on_message = socketscene_echo,
                                                   .compress = true,
                                                   .compress_least = SIZE_MAX,
                                                   .max_message = limit == 1 << 20 ? 0 : limit };
        struct deflatescene all;

        is_noise ? deflatescene_fill_with_noise(bytes, limit + 1) : (void)memset(bytes, 'a', limit + 1);
        deflatescene_open(&all, &handler);
        deflatescene_put(&all, DEFLATESCENE_BINARY, bytes, limit);
        deflatescene_expect(&all, SOCKETSCENE_BINARY, bytes, limit);
        deflatescene_put(&all, DEFLATESCENE_BINARY, bytes, limit); /* each begins to count anew */
        deflatescene_expect(&all, SOCKETSCENE_BINARY, bytes, limit);
        deflatescene_put(&all, DEFLATESCENE_BINARY, bytes, limit + 1);
        expect_refusal(&all, 1009, "a message over the limit", "open close:1006::EMSGSIZE ");
    }
    free(bytes);
}

static void a_frame_too_large_for_any_message_is_refused_by_its_head(void **state)
{
    struct deflatescene all;

    deflatescene_open(&all, &(struct websocket_handler){ .max_message = 1000, .compress = true });
    wsframes_add_head(&all.scene.frames, DEFLATESCENE_BINARY, 1000 + 1000 / 8 + 1024 + 1);
    httpscene_put_bytes(&all.scene.web.http, all.client, all.scene.frames.bytes, all.scene.frames.length);
    expect_refusal(&all, 1009, "a message over the limit", "open close:1006::EMSGSIZE ");
}

static void a_bomb_is_refused_before_it_is_large(void **state)
{
    static char zeroes[1 << 20];
    struct deflatescene all;
    size_t before;

    deflatescene_open(&all, &(struct websocket_handler){ .max_message = 3000, .compress = true });
    deflatescene_put(&all, DEFLATESCENE_BINARY, "a", 1); /* now it has its memory */
    before = faults_allocated_bytes();
    deflatescene_put(&all, DEFLATESCENE_BINARY, zeroes, sizeof zeroes);
    assert_true(faults_allocated_bytes() < before + 600000); /* what this peer has made of it too */
    expect_refusal(&all, 1009, "a message over the limit", "open binary:a close:1006::EMSGSIZE ");
}

static void a_text_has_to_be_utf_8_when_it_is_inflated(void **state)
{
    static const struct {
        const char *text;
        size_t length;
    } rows[] = { { "\xff", 1 }, { "a\xc3", 2 }, { "\xc3\xa9\xed\xa0\x80", 5 }, { "\xf4\x90\x80\x80", 4 } };
    struct deflatescene all;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int with_pieces = 0; with_pieces < 2; with_pieces++) {
            piece_bytes = 0;
            deflatescene_open(
                &all, &(struct websocket_handler){ .on_piece = with_pieces ? collect_pieces : NULL, .compress = true });
            deflatescene_put(&all, DEFLATESCENE_BINARY, rows[i].text, 1); /* is none of its business */
            if (!with_pieces)
                httpscene_settle(&all.scene.web.http);
            deflatescene_put(&all, DEFLATESCENE_TEXT, "\xc3\xa9", 2);
            webscene_forget_notes();
            deflatescene_put(&all, DEFLATESCENE_TEXT, rows[i].text, rows[i].length);
            expect_refusal(&all, 1007, "a text that is not UTF-8", "close:1006::EPROTO ");
        }
    }
}

static void a_character_may_lie_in_two_frames(void **state)
{
    struct deflatescene all;
    size_t size;

    deflatescene_open(&all, &notes);
    char *payload = deflatepeer_compress(&all.peer, "\xe2\x82\xac", 3, &size);
    for (size_t i = 0; i < size; i++)
        wsframes_add(&all.scene.frames,
                     i == 0          ? 1 | WSFRAMES_COMPRESSED
                     : i == size - 1 ? WSFRAMES_FINAL
                                     : 0,
                     payload + i, 1);
    httpscene_put_bytes(&all.scene.web.http, all.client, all.scene.frames.bytes, all.scene.frames.length);
    httpscene_settle(&all.scene.web.http);
    webscene_expect_notes("open text:\xe2\x82\xac ");
    free(payload);
    deflatescene_close(&all);
}

static void what_is_not_deflated_is_refused(void **state)
{
    static const struct {
        const char *payload;
        size_t length;
    } rows[] = { { "\x07", 1 }, { "hello", 5 }, { "\xca\x48", 2 }, { "\x02\x7f\xff", 3 } };
    struct deflatescene all;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        deflatescene_open(&all, &notes);
        socketscene_put_bytes(&all.scene, all.client, DEFLATESCENE_BINARY, rows[i].payload, rows[i].length);
        expect_refusal(&all, 1007, "a message that is not deflated", "open close:1006::EPROTO ");
    }
}

static void only_the_first_frame_of_a_message_says_that_it_is_compressed(void **state)
{
    static const int wrong[] = { WSFRAMES_FINAL | WSFRAMES_COMPRESSED, SOCKETSCENE_PING | WSFRAMES_COMPRESSED,
                                 SOCKETSCENE_CLOSE | WSFRAMES_COMPRESSED };
    struct deflatescene all;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        deflatescene_open(&all, &notes);
        socketscene_put(&all.scene, all.client, 1, "a");
        socketscene_put(&all.scene, all.client, wrong[i], "");
        expect_refusal(&all, 1002, "no frame", "open close:1006::EPROTO ");
    }
    socketscene_open(&all.scene, &notes);
    all.client = socketscene_connect(&all.scene, "");
    deflatepeer_open(&all.peer, NULL, true);
    deflatescene_put(&all, DEFLATESCENE_TEXT, "a", 1);
    expect_refusal(&all, 1002, "RSV1 without an extension", "open close:1006::EPROTO ");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(both_sides_have_to_want_it),
    cmocka_unit_test(an_offer_that_is_malformed_is_refused),
    cmocka_unit_test(messages_of_all_lengths_are_echoed_compressed),
    cmocka_unit_test(a_window_larger_than_there_are_is_not_used),
    cmocka_unit_test(what_came_before_is_referred_to_unless_each_message_begins_anew),
    cmocka_unit_test(how_long_a_message_has_to_be_can_be_said),
    cmocka_unit_test(a_message_may_also_come_as_it_is),
    cmocka_unit_test(fragments_may_have_pings_between_them),
    cmocka_unit_test(pieces_are_handed_over_as_they_are_inflated),
    cmocka_unit_test(no_piece_comes_during_a_pause),
    cmocka_unit_test(an_aborted_socket_inflates_nothing_more),
    cmocka_unit_test(the_limit_is_for_what_is_inflated),
    cmocka_unit_test(a_frame_too_large_for_any_message_is_refused_by_its_head),
    cmocka_unit_test(a_bomb_is_refused_before_it_is_large),
    cmocka_unit_test(a_text_has_to_be_utf_8_when_it_is_inflated),
    cmocka_unit_test(a_character_may_lie_in_two_frames),
    cmocka_unit_test(what_is_not_deflated_is_refused),
    cmocka_unit_test(only_the_first_frame_of_a_message_says_that_it_is_compressed),
};

TESTING_MAIN(tests)
