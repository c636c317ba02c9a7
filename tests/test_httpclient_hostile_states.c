/* Servers that leave, lie or go on when they should not, in each phase of a fetch; and every byte of an answer changed.
 */
#include "tests/support/testing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/faults.h"
#include "tests/support/fetchscene.h"

#define OK      "HTTP/1.1 200 OK\r\n"
#define HI      OK "Content-Length: 2\r\n\r\nhi"
#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"

static struct fetchscene scene;
static struct fetchscene_request seen;

static void leave(struct fetchscene_peer *peer, bool by_reset)
{
    fetchscene_settle(&scene); /* a reset overtakes what was not received yet */
    if (by_reset)
        fetchscene_reset(peer);
    else
        fetchscene_hang_up(peer);
}

/* Leaving. */

static void a_server_that_leaves_before_it_reads_is_an_error(void **state)
{
    fetchscene_open(&scene, NULL);
    for (int by_reset = 0; by_reset < 2; by_reset++) {
        struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");

        leave(fetchscene_accept(&scene), by_reset);
        fetchscene_wait(&scene, fetch);
        assert_true(fetch->error == -ESHUTDOWN || fetch->error == -ECONNRESET || fetch->error == -EPIPE);
        assert_true(fetch->phase == HTTPCLIENT_SEND || fetch->phase == HTTPCLIENT_HEAD);
        assert_int_equal(fetch->code, 0);
        fetchscene_expect_no_connection(&scene);
        fetchscene_expect_pool(&scene, 0, 0, 0);
    }
    fetchscene_close(&scene);
}

/* Of more than the connection holds; its server has seen the head. */
static struct fetchscene_fetch *begin_upload(struct fetchscene_peer **peer)
{
    static char body[8000000];
    struct fetchscene_fetch *fetch = fetchscene_fetch(
        &scene, (struct httpclient_request){ .url = "/", .method = "PUT", .body = body, .body_length = sizeof body });

    *peer = fetchscene_accept(&scene);
    fetchscene_take_head(&scene, *peer, &seen);
    return fetch;
}

static void a_server_that_leaves_while_a_body_goes_out_is_an_error(void **state)
{
    fetchscene_open(&scene, NULL);
    for (int by_reset = 0; by_reset < 2; by_reset++) {
        struct fetchscene_peer *peer;
        struct fetchscene_fetch *fetch = begin_upload(&peer);

        leave(peer, by_reset);
        fetchscene_wait(&scene, fetch);
        assert_true(fetch->error == -ESHUTDOWN || fetch->error == -ECONNRESET || fetch->error == -EPIPE);
        assert_int_equal(fetch->phase, HTTPCLIENT_SEND);
        fetchscene_expect_pool(&scene, 0, 0, 0);
    }
    fetchscene_close(&scene);
}

/* It has said why: what has come counts, although the rest of the body cannot be sent. */
static void a_server_that_answers_and_leaves_while_a_body_goes_out_has_answered(void **state)
{
    fetchscene_open(&scene, NULL);
    for (int by_reset = 0; by_reset < 2; by_reset++) {
        struct fetchscene_peer *peer;
        struct fetchscene_fetch *fetch = begin_upload(&peer);

        fetchscene_put(&scene, peer, "HTTP/1.1 413 Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
        leave(peer, by_reset);
        fetchscene_expect(&scene, fetch, 413, "no");
        fetchscene_expect_pool(&scene, 0, 0, 0);
    }
    fetchscene_close(&scene);
}

static void many_fetches_of_a_server_that_resets_all_are_told_each(void **state)
{
    struct fetchscene_peer *peers[6];

    fetchscene_open(&scene, NULL);
    for (int i = 0; i < 30; i++)
        fetchscene_get(&scene, "/");
    for (int turn = 0; turn < 5; turn++) {
        for (int i = 0; i < 6; i++)
            peers[i] = fetchscene_accept(&scene);
        for (int i = 0; i < 6; i++)
            fetchscene_take_request(&scene, peers[i], &seen);
        for (int i = 0; i < 6; i++)
            fetchscene_reset(peers[i]);
    }
    for (size_t i = 0; i < scene.count; i++)
        fetchscene_expect_error(&scene, scene.fetches[i], -ECONNRESET, HTTPCLIENT_HEAD);
    fetchscene_expect_pool(&scene, 0, 0, 0);
    fetchscene_close(&scene);
}

/* Going on. F7: what comes after a timeout, or never comes, is told of no more. */

static void nothing_is_told_after_a_timeout(void **state)
{
    fetchscene_open(&scene, NULL);
    for (int i = 0; i < 3; i++) {
        struct fetchscene_fetch *fetch = fetchscene_fetch(
            &scene, (struct httpclient_request){
                        .url = "/", .request_timeout = i == 2 ? 0.5 : 5, .total_timeout = i == 1 ? 0.5 : 0 });
        struct fetchscene_peer *peer = fetchscene_accept(&scene);

        fetchscene_take_request(&scene, peer, &seen);
        fetchscene_pass(&scene, 5.2);
        fetchscene_expect_error(&scene, fetch, -ETIMEDOUT, HTTPCLIENT_HEAD);
        fetchscene_put(&scene, peer, HI);
        fetchscene_hang_up(peer);
        fetchscene_pass(&scene, 1000);
        assert_int_equal(fetch->calls, 1);
    }
    fetchscene_expect_pool(&scene, 0, 0, 0);
    fetchscene_close(&scene);
}

static void an_answer_that_drips_is_an_answer(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
    struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, "");
    for (const char *byte = HI; *byte != '\0'; byte++) {
        fetchscene_pass(&scene, 1);
        fetchscene_put_bytes(&scene, peer, byte, 1);
    }
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_expect_pool(&scene, 1, 1, 0);
    fetchscene_close(&scene);
}

/* One that pours does not keep the others from being served. */
static void a_server_that_pours_leaves_time_for_others(void **state)
{
    static char piece[65536];
    size_t poured = 0;

    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *flooded = fetchscene_fetch(
        &scene, (struct httpclient_request){ .url = "/flood", .streaming_callback = fetchscene_on_data });
    struct fetchscene_peer *flood = fetchscene_serve(&scene, NULL, OK "\r\n");
    for (int i = 0; i < 50; i++) {
        struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
        struct fetchscene_peer *peer = fetchscene_accept(&scene);

        for (int turn = 0; fetch->calls == 0; turn++) {
            poured += fetchscene_put_some(flood, piece, sizeof piece);
            if (turn == 3)
                fetchscene_serve(&scene, peer, "HTTP/1.1 204 No\r\nConnection: close\r\n\r\n");
            assert_true(testing_step(scene.loop) >= 0);
            assert_true(turn < 50);
        }
        fetchscene_hang_up(peer);
    }
    assert_true(poured > 1000000);
    httpclient_cancel(scene.client, flooded->id);
    fetchscene_close(&scene);
}

/* Redirects that are traps. */

static void a_redirect_with_a_body_without_end_is_followed_over_another_connection(void **state)
{
    static const char *const heads[] = {
        "HTTP/1.1 302 A\r\nLocation: /b\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 302 A\r\nLocation: /b\r\n\r\n",
        "HTTP/1.1 302 A\r\nLocation: /b\r\nContent-Length: 9999999999\r\n\r\n",
    };

    fetchscene_open(&scene, NULL);
    for (int i = 0; i < 3; i++) {
        struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
        struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, heads[i]);

        for (int turn = 0; turn < 5000 && httpclient_connections(scene.client) == 1 && !peer->ended; turn++) {
            fetchscene_put(&scene, peer, "20\r\n0123456789abcdef0123456789abcdef\r\n");
            assert_true(testing_step(scene.loop) >= 0);
            fetchscene_take(peer, 1);
        }
        struct fetchscene_peer *next = fetchscene_serve(&scene, NULL, HI);
        fetchscene_expect(&scene, fetch, 200, "hi");
        assert_false(fetch->is_reused);
        fetchscene_hang_up(peer);
        fetchscene_hang_up(next);
        fetchscene_settle(&scene);
    }
    fetchscene_close(&scene);
}

static void a_redirect_with_a_broken_body_is_an_error(void **state)
{
    static const struct {
        const char *answer;
        bool ends;
        int error;
    } rows[] = {
        { "HTTP/1.1 302 A\r\nLocation: /b\r\nTransfer-Encoding: chunked\r\n\r\ngarbage\r\n", false, -EPROTO },
        { "HTTP/1.1 302 A\r\nLocation: /b\r\nContent-Length: 5\r\n\r\nmov", true, -ESHUTDOWN },
        { "HTTP/1.1 302 A\r\nLocation: /b\r\nContent-Length: 5, 6\r\n\r\nmoved", false, -EPROTO },
    };

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
        struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, rows[i].answer);

        if (rows[i].ends)
            fetchscene_finish(peer);
        fetchscene_expect_error(&scene, fetch, rows[i].error, FETCHSCENE_ANY_PHASE);
        fetchscene_expect_no_connection(&scene);
        fetchscene_expect_pool(&scene, 0, 0, 0);
        fetchscene_hang_up(peer);
    }
    fetchscene_close(&scene);
}

/* The page that it leads to is not the one that redirected: nothing of that is left. */
static void nothing_of_a_redirect_is_in_the_answer(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
    struct fetchscene_peer *peer =
        fetchscene_serve(&scene, NULL,
                         "HTTP/1.1 302 Elsewhere\r\nLocation: /b\r\nA: b\r\nTransfer-Encoding: "
                         "chunked\r\n\r\n2\r\nno\r\n0\r\nT: t\r\n\r\n");
    fetchscene_serve(&scene, peer, "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi");
    fetchscene_expect(&scene, fetch, 200, "hi");
    assert_string_equal(fetch->headers.bytes, "Content-Length: 2\n");
    assert_string_equal(fetch->trailers.bytes, "");
    assert_string_equal(fetch->reason, "");
    fetchscene_close(&scene);
}

static void nothing_of_a_redirect_is_in_the_error_behind_it(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
    struct fetchscene_peer *peer = fetchscene_serve(
        &scene, NULL, "HTTP/1.1 302 Elsewhere\r\nLocation: /b\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
    fetchscene_hang_up(peer);
    peer = fetchscene_accept(&scene);
    fetchscene_take_request(&scene, peer, &seen);
    fetchscene_hang_up(peer);
    fetchscene_expect_error(&scene, fetch, -ESHUTDOWN, HTTPCLIENT_HEAD);
    assert_int_equal(fetch->code, 0);
    assert_int_equal(fetch->redirects, 1);
    assert_string_equal(fetch->headers.bytes, "");
    assert_string_equal(fetch->body.bytes, "");
    assert_string_equal(fetch->url + strlen(scene.base), "/b");
    fetchscene_close(&scene);
}

static void interim_responses_are_counted_anew_for_each_request(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    for (int hop = 0; hop < 3; hop++) {
        fetchscene_take_request(&scene, peer, &seen);
        for (int i = 0; i < 8; i++)
            fetchscene_put(&scene, peer, "HTTP/1.1 102 Processing\r\n\r\n");
        fetchscene_put(&scene, peer, hop == 2 ? HI : "HTTP/1.1 302 A\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n");
    }
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_close(&scene);
}

/* F5: what an answer has left behind is not in the next on its connection. */
static void nothing_of_an_answer_is_in_the_next(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
    struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, CHUNKED "5\r\nhello\r\n0\r\nB: t\r\n\r\n");
    fetchscene_expect(&scene, fetch, 200, "hello");
    assert_string_equal(fetch->trailers.bytes, "B: t\n");
    fetch = fetchscene_get(&scene, "/");
    fetchscene_serve(&scene, peer, "HTTP/1.1 204\r\n\r\n");
    fetchscene_expect(&scene, fetch, 204, "");
    assert_string_equal(fetch->headers.bytes, "");
    assert_string_equal(fetch->trailers.bytes, "");
    assert_string_equal(fetch->reason, "");
    fetch = fetchscene_get(&scene, "/");
    fetchscene_take_request(&scene, peer, &seen);
    fetchscene_hang_up(peer);
    leave(fetchscene_accept(&scene), false);
    fetchscene_wait(&scene, fetch);
    assert_int_equal(fetch->code, 0);
    assert_string_equal(fetch->headers.bytes, "");
    fetchscene_close(&scene);
}

/* Every byte. */

struct outcome {
    int error, code;
    size_t length;
    char body[64];
};

static struct outcome send_answer(const char *answer, size_t length, size_t step)
{
    struct outcome outcome = { 0 };
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
    struct fetchscene_peer *peer = fetchscene_accept(&scene);

    fetchscene_take_request(&scene, peer, &seen);
    for (size_t at = 0; at < length; at += step) {
        fetchscene_put_bytes(&scene, peer, answer + at, step < length - at ? step : length - at);
        testing_spin(scene.loop, 2);
    }
    fetchscene_finish(peer);
    fetchscene_wait(&scene, fetch);
    outcome.error = fetch->error;
    outcome.code = fetch->code;
    outcome.length = fetch->body.length;
    memcpy(outcome.body, fetch->body.bytes, outcome.length < 64 ? outcome.length : 64);
    fetchscene_hang_up(peer);
    fetchscene_expect_pool(&scene, 0, 0, 0);
    fetchscene_forget(&scene);
    return outcome;
}

static void an_answer_with_a_byte_changed_is_the_same_however_it_is_split(void **state)
{
    static const char *const answers[] = { OK "Content-Length: 2\r\nA: b\r\n\r\nhi",
                                           CHUNKED "2\r\nhi\r\n0\r\nA: b\r\n\r\n" };
    static const char bytes[] = { '\0', '\t', '\n', '\r', ' ', ':', ';', '0', '9', 'A', '\x7f', '\xff' };
    char answer[128];

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < 2; i++) {
        size_t length = strlen(answers[i]);
        for (size_t at = 0; at < length; at++) {
            for (size_t byte = 0; byte < sizeof bytes; byte++) {
                memcpy(answer, answers[i], length);
                answer[at] = bytes[byte];
                struct outcome whole = send_answer(answer, length, length);
                struct outcome split = send_answer(answer, length, at + 1);
                assert_memory_equal(&whole, &split, sizeof whole);
                assert_true(whole.error == 0 || whole.error == -EPROTO || whole.error == -ESHUTDOWN);
            }
        }
    }
    fetchscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_server_that_leaves_before_it_reads_is_an_error),
    cmocka_unit_test(a_server_that_leaves_while_a_body_goes_out_is_an_error),
    cmocka_unit_test(a_server_that_answers_and_leaves_while_a_body_goes_out_has_answered),
    cmocka_unit_test(many_fetches_of_a_server_that_resets_all_are_told_each),
    cmocka_unit_test(nothing_is_told_after_a_timeout),
    cmocka_unit_test(an_answer_that_drips_is_an_answer),
    cmocka_unit_test(a_server_that_pours_leaves_time_for_others),
    cmocka_unit_test(a_redirect_with_a_body_without_end_is_followed_over_another_connection),
    cmocka_unit_test(a_redirect_with_a_broken_body_is_an_error),
    cmocka_unit_test(nothing_of_a_redirect_is_in_the_answer),
    cmocka_unit_test(nothing_of_a_redirect_is_in_the_error_behind_it),
    cmocka_unit_test(interim_responses_are_counted_anew_for_each_request),
    cmocka_unit_test(nothing_of_an_answer_is_in_the_next),
    cmocka_unit_test(an_answer_with_a_byte_changed_is_the_same_however_it_is_split),
};

TESTING_MAIN(tests)
