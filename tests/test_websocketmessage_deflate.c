#include "websocket/websocketmessage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/deflatescene.h"
#include "tests/support/faults.h"
#include "tests/support/socketscene.h"
#include "tests/support/testing.h"

/* Messages that a server's sockets send compressed: what is not sent, to many, memory. */

static const struct websocket_handler echo = { .on_message = socketscene_echo, .compress = true };
static const struct websocket_handler notes = { .on_ping = socketscene_note_ping, .compress = true };

/* What is not sent. */

static void a_message_that_is_dropped_is_not_referred_to(void **state)
{
    char *noise = malloc(400000);
    struct deflatescene all;
    int dropped = 0, sent = 0, last = 0;

    assert_non_null(noise);
    deflatescene_fill_with_noise(noise, 400000);
    deflatescene_open(&all, &(struct websocket_handler){
                                .compress = true, .max_unsent = 300000, .policy = WEBSOCKET_DROP_WHEN_FULL });
    for (int i = 0; i < 1000 && dropped < 3; i++) {
        int error = websocket_write(all.scene.socket, noise + i, 200000, true);
        if (error == 0)
            sent++;
        else
            assert_int_equal(error, -ENOBUFS), dropped++, last = i;
    }
    assert_int_equal(dropped, 3);
    for (int i = 0; i < sent; i++)
        deflatescene_expect(&all, DEFLATESCENE_BINARY, noise + i, 200000);
    const char *again = noise + last + 199000; /* the end of the last one that was dropped */
    assert_int_equal(websocket_write(all.scene.socket, again, 1000, true), 0);
    deflatescene_expect(&all, DEFLATESCENE_BINARY, again, 1000);
    free(noise);
    deflatescene_close(&all);
}

/* Without context takeover too, where one encoding may do for all. */
static void a_message_to_many_is_compressed_where_that_was_agreed_on(void **state)
{
    char text[3000];

    deflatescene_fill_with_text(text, sizeof text);
    for (int anew = 0; anew < 2; anew++) {
        struct websocketdeflate_terms terms = { 15, 15, anew, anew, false };
        struct deflatescene all, other;
        struct httpscene_client *plain;

        socketscene_open(&all.scene, &(struct websocket_handler){ .compress = true, .compress_anew = anew });
        all.client = socketscene_connect(&all.scene, DEFLATESCENE_OFFER);
        assert_int_equal(websocket_subscribe(all.scene.socket, "a"), 0);
        plain = socketscene_connect(&all.scene, "");
        assert_int_equal(websocket_subscribe(all.scene.socket, "a"), 0);
        other = all;
        other.client = socketscene_connect(&all.scene, DEFLATESCENE_OFFER);
        assert_int_equal(websocket_subscribe(all.scene.socket, "a"), 0);
        deflatepeer_open(&all.peer, &terms, true);
        deflatepeer_open(&other.peer, &terms, true);
        for (size_t length = 3000; length > 20; length /= 3) {
            int first = SOCKETSCENE_TEXT | (length >= 64 ? WSFRAMES_COMPRESSED : 0);
            assert_int_equal(websocket_publish(all.scene.web.http.loop, "a", text, length, false, NULL), 3);
            deflatescene_expect(&all, first, text, length);
            deflatescene_expect(&other, first, text, length);
            socketscene_expect_bytes(&all.scene, plain, SOCKETSCENE_TEXT, text, length);
            assert_int_equal(websocket_write(all.scene.socket, text + 10, length - 10, false), 0); /* of its own */
            deflatescene_expect(&other, length >= 74 ? first : SOCKETSCENE_TEXT, text + 10, length - 10);
        }
        deflatepeer_close(&other.peer);
        deflatescene_close(&all);
    }
}

static void a_message_to_many_is_compressed_once(void **state)
{
    struct deflatescene all;
    struct httpscene_client *clients[5];
    char text[1000];

    deflatescene_fill_with_text(text, sizeof text);
    socketscene_open(&all.scene, &notes);
    for (int i = 0; i < 5; i++) {
        clients[i] = socketscene_connect(&all.scene, DEFLATESCENE_OFFER);
        assert_int_equal(websocket_subscribe(all.scene.socket, "a"), 0);
    }
    size_t before = faults_allocated_bytes();
    assert_int_equal(websocket_publish(all.scene.web.http.loop, "a", text, sizeof text, false, NULL), 5);
    assert_true(faults_allocated_bytes() < before + 300000); /* one encoder */
    for (int i = 0; i < 5; i++) {
        all.client = clients[i];
        deflatepeer_open(&all.peer, NULL, true);
        deflatescene_expect(&all, DEFLATESCENE_TEXT, text, sizeof text);
        if (i < 4)
            deflatepeer_close(&all.peer);
    }
    deflatescene_close(&all);
}

/* Memory. */

static void memory_is_taken_with_the_first_message(void **state)
{
    struct deflatescene all;
    char text[100];

    deflatescene_fill_with_text(text, sizeof text);
    deflatescene_open(&all, &notes);
    size_t before = faults_allocated_bytes();
    assert_int_equal(websocket_write(all.scene.socket, text, 10, false), 0);
    assert_int_equal(faults_allocated_bytes(), before);
    assert_int_equal(websocket_write(all.scene.socket, text, 100, false), 0);
    assert_true(faults_allocated_bytes() > before + 100000);
    deflatescene_close(&all);
}

/* A client that has agreed on these, on a scene that is open. */
static void join(struct deflatescene *all, struct deflatescene *joined, const char *offer,
                 const struct websocketdeflate_terms *terms)
{
    joined->client = socketscene_connect(&all->scene, offer);
    assert_true(websocket_compresses(all->scene.socket));
    assert_int_equal(websocket_subscribe(all->scene.socket, "a"), 0);
    deflatepeer_open(&joined->peer, terms, true);
}

#define SMALL_OFFER                                                                                                    \
    "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9; client_max_window_bits=9\r\n"

static const struct websocketdeflate_terms small_windows = { 9, 9, false, false, false };

static void expect_frame_of(struct deflatescene *all, struct deflatescene *joined, int first, const void *data,
                            size_t length)
{
    struct deflatescene one = { .scene = all->scene, .client = joined->client, .peer = joined->peer };

    deflatescene_expect(&one, first, data, length);
}

/* What each has in its window makes no difference to the others. */
static void a_message_to_many_refers_to_nothing_and_nothing_to_it(void **state)
{
    struct deflatescene all, first, second;
    struct websocket *sockets[2];
    char own[500], shared[600];

    deflatescene_fill_with_noise(own, sizeof own);
    deflatescene_fill_with_text(shared, 100);
    memcpy(shared + 100, own, 500);
    socketscene_open(&all.scene, &notes);
    join(&all, &first, DEFLATESCENE_OFFER, NULL);
    sockets[0] = all.scene.socket;
    join(&all, &second, DEFLATESCENE_OFFER, NULL);
    sockets[1] = all.scene.socket;
    struct deflatescene *joined[] = { &first, &second };
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 2; i++) {
            assert_int_equal(websocket_write(sockets[i], own, sizeof own, true), 0);
            expect_frame_of(&all, joined[i], DEFLATESCENE_BINARY, own, sizeof own);
        }
        assert_int_equal(websocket_publish(all.scene.web.http.loop, "a", shared, sizeof shared, true, NULL), 2);
        for (int i = 0; i < 2; i++)
            expect_frame_of(&all, joined[i], DEFLATESCENE_BINARY, shared, sizeof shared);
    }
    deflatepeer_close(&first.peer);
    deflatepeer_close(&second.peer);
    socketscene_close(&all.scene);
}

static void a_message_to_many_keeps_to_the_smallest_window(void **state)
{
    static char bytes[4000];

    deflatescene_fill_with_noise(bytes, 2000);
    memcpy(bytes + 2000, bytes, 2000);
    for (int order = 0; order < 2; order++) {
        struct deflatescene all, large, small;

        socketscene_open(&all.scene, &notes);
        if (order)
            join(&all, &large, DEFLATESCENE_OFFER, NULL);
        join(&all, &small, SMALL_OFFER, &small_windows);
        if (!order)
            join(&all, &large, DEFLATESCENE_OFFER, NULL);
        assert_int_equal(websocket_publish(all.scene.web.http.loop, "a", bytes, sizeof bytes, true, NULL), 2);
        expect_frame_of(&all, &large, DEFLATESCENE_BINARY, bytes, sizeof bytes);
        expect_frame_of(&all, &small, DEFLATESCENE_BINARY, bytes, sizeof bytes);
        deflatepeer_close(&large.peer);
        deflatepeer_close(&small.peer);
        socketscene_close(&all.scene);
    }
}

/* Those who share have the windows that they have agreed on all the same. */
static void sockets_without_context_share_only_what_fits(void **state)
{
    static const struct websocketdeflate_terms terms[] = { { 15, 15, true, true, false }, { 9, 9, true, true, false } };
    static char bytes[4000];
    struct deflatescene all, joined[2];

    deflatescene_fill_with_noise(bytes, 2000);
    memcpy(bytes + 2000, bytes, 2000);
    socketscene_open(&all.scene, &(struct websocket_handler){
                                     .on_message = socketscene_echo, .compress = true, .compress_anew = true });
    join(&all, &joined[0], DEFLATESCENE_OFFER, &terms[0]);
    join(&all, &joined[1], SMALL_OFFER, &terms[1]);
    for (int i = 0; i < 6; i++) {
        size_t size;
        char *payload = deflatepeer_compress(&joined[i % 2].peer, bytes, sizeof bytes, &size);

        socketscene_put_bytes(&all.scene, joined[i % 2].client, DEFLATESCENE_BINARY, payload, size);
        expect_frame_of(&all, &joined[i % 2], DEFLATESCENE_BINARY, bytes, sizeof bytes);
        free(payload);
    }
    deflatepeer_close(&joined[0].peer);
    deflatepeer_close(&joined[1].peer);
    socketscene_close(&all.scene);
}

static void a_short_message_allocates_nothing(void **state)
{
    struct deflatescene all;
    char text[1000];

    deflatescene_fill_with_text(text, sizeof text);
    deflatescene_open(&all, &echo);
    deflatescene_put(&all, DEFLATESCENE_TEXT, text, sizeof text);
    deflatescene_expect(&all, DEFLATESCENE_TEXT, text, sizeof text);
    long before = faults_allocations();
    for (int i = 0; i < 5; i++) {
        deflatescene_put(&all, DEFLATESCENE_TEXT, text, sizeof text);
        deflatescene_expect(&all, DEFLATESCENE_TEXT, text, sizeof text);
    }
    assert_int_equal(faults_allocations(), before);
    deflatescene_close(&all);
}

/* One encoder and one decoder are enough for all of them. */
static void sockets_without_context_hold_no_memory_between_messages(void **state)
{
    enum { COUNT = 20 };
    static const struct websocketdeflate_terms terms = { 15, 15, true, true, false };
    struct deflatescene all;
    size_t before = 0, after;
    char text[100];

    deflatescene_fill_with_text(text, sizeof text);
    socketscene_open(&all.scene, &(struct websocket_handler){
                                     .on_message = socketscene_echo, .compress = true, .compress_anew = true });
    deflatepeer_open(&all.peer, &terms, true);
    for (int i = 0; i < COUNT; i++) {
        all.client = socketscene_connect(&all.scene, DEFLATESCENE_OFFER);
        deflatescene_put(&all, DEFLATESCENE_TEXT, text, sizeof text);
        deflatescene_expect(&all, DEFLATESCENE_TEXT, text, sizeof text);
        if (i == 0)
            before = faults_allocated_bytes();
    }
    after = faults_allocated_bytes();
    assert_true(after - before < COUNT * 2000);
    deflatescene_close(&all);
}

static void turn(struct deflatescene *all, int times)
{
    for (int i = 0; i < times; i++) {
        httpscene_take(all->client, SIZE_MAX);
        assert_true(ioloop_run_once(all->scene.web.http.loop, 0) >= 0);
    }
}

/* Frames of a peer, made before anything can fail. */
static void make_frames(struct wsframes *frames, char *text, size_t length)
{
    struct deflatepeer peer;

    deflatepeer_open(&peer, NULL, true);
    for (int i = 0; i < 3; i++) {
        size_t size;
        char *payload = deflatepeer_compress(&peer, text, i < 2 ? 100 : length, &size);
        wsframes_add(frames, DEFLATESCENE_TEXT, payload, size);
        free(payload);
    }
    wsframes_add_close(frames, 1000, "");
    deflatepeer_close(&peer);
}

static void answer_if_possible(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    (void)!websocket_write(socket, data, length, is_binary);
}

static void a_server_that_compresses_survives_each_allocation_that_fails(void **state)
{
    char *text = malloc(60000);
    struct wsframes frames = { .is_masked = true };
    int nth = 1;

    assert_non_null(text);
    deflatescene_fill_with_text(text, 60000);
    make_frames(&frames, text, 60000);
    for (bool hit = true; hit; nth++) {
        struct deflatescene all;
        const char *request = "GET /ws HTTP/1.1\r\n" SOCKETSCENE_HANDSHAKE DEFLATESCENE_OFFER "\r\n";

        socketscene_open(&all.scene, &(struct websocket_handler){ .on_message = answer_if_possible, .compress = true });
        all.scene.is_mute = true;
        all.client = httpscene_connect(&all.scene.web.http);
        faults_allocation(nth, false);
        httpscene_put_some(all.client, request, strlen(request));
        turn(&all, 5);
        if (all.scene.socket != NULL) {
            (void)!websocket_write(all.scene.socket, text, 60000, false);
            (void)!websocket_write(all.scene.socket, text, 100, false);
            httpscene_put_some(all.client, frames.bytes, frames.length);
            turn(&all, 10);
        }
        hit = faults_hit();
        faults_end();
        webscene_forget_notes();
        socketscene_close(&all.scene);
    }
    assert_true(nth > 10);
    wsframes_free(&frames);
    free(text);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_message_that_is_dropped_is_not_referred_to),
    cmocka_unit_test(a_message_to_many_is_compressed_where_that_was_agreed_on),
    cmocka_unit_test(a_message_to_many_is_compressed_once),
    cmocka_unit_test(a_message_to_many_refers_to_nothing_and_nothing_to_it),
    cmocka_unit_test(a_message_to_many_keeps_to_the_smallest_window),
    cmocka_unit_test(sockets_without_context_share_only_what_fits),
    cmocka_unit_test(a_short_message_allocates_nothing),
    cmocka_unit_test(sockets_without_context_hold_no_memory_between_messages),
    cmocka_unit_test(memory_is_taken_with_the_first_message),
    cmocka_unit_test(a_server_that_compresses_survives_each_allocation_that_fails),
};

TESTING_MAIN(tests)
