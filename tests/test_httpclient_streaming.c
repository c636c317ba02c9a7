/* Responses that are handed over as they come: header_callback, streaming_callback, pause and resume. */
#include "tests/support/testing.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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

static const struct httpclient_request streamed = { .url = "/",
                                                    .header_callback = fetchscene_on_line,
                                                    .streaming_callback = fetchscene_on_data };

static struct fetchscene_peer *begin(struct fetchscene_fetch **fetch)
{
    *fetch = fetchscene_fetch(&scene, streamed);
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    fetchscene_take_request(&scene, peer, &seen);
    return peer;
}

/* The response itself has no body then. */
static void check_empty(struct fetchscene_fetch *fetch, struct httpclient_response *response)
{
    assert_string_equal(response->body, "");
    assert_int_equal(response->length, 0);
}

/* httpclient_test:test_streaming_callback */
static void the_pieces_of_a_body_go_to_the_callback(void **state)
{
    static const char *const answers[] = {
        HI,
        CHUNKED "1\r\nh\r\n1\r\ni\r\n0\r\n\r\n",
        OK "\r\nhi",
        "HTTP/1.0 200 OK\r\n\r\nhi",
    };

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        for (size_t split = 1; split <= strlen(answers[i]); split++) {
            struct fetchscene_fetch *fetch;
            struct fetchscene_peer *peer = begin(&fetch);

            fetch->on_response = check_empty;
            fetchscene_put_bytes(&scene, peer, answers[i], split);
            fetchscene_settle(&scene);
            fetchscene_put(&scene, peer, answers[i] + split);
            fetchscene_finish(peer);
            fetchscene_expect(&scene, fetch, 200, "hi");
            assert_in_range(fetch->pieces, 1, 2);
            assert_memory_equal(fetch->lines.bytes, answers[i], fetch->lines.length);
            assert_memory_equal(fetch->lines.bytes + fetch->lines.length - 4, "\r\n\r\n", 4);
            fetchscene_hang_up(peer);
            fetchscene_settle(&scene);
        }
    }
    fetchscene_close(&scene);
}

static void a_piece_is_handed_over_when_it_comes(void **state)
{
    struct fetchscene_fetch *fetch;

    fetchscene_open(&scene, NULL);
    struct fetchscene_peer *peer = begin(&fetch);
    fetchscene_put(&scene, peer, OK "Content-Length: 6\r\n\r\nab");
    fetchscene_expect_waiting(&scene, fetch);
    assert_string_equal(fetch->body.bytes, "ab");
    fetchscene_put(&scene, peer, "cd");
    fetchscene_expect_waiting(&scene, fetch);
    assert_string_equal(fetch->body.bytes, "abcd");
    fetchscene_put(&scene, peer, "ef");
    fetchscene_expect(&scene, fetch, 200, "abcdef");
    assert_int_equal(fetch->pieces, 3);
    fetchscene_close(&scene);
}

static void an_empty_body_has_no_pieces(void **state)
{
    static const char *const answers[] = { OK "Content-Length: 0\r\n\r\n", "HTTP/1.1 204 No\r\n\r\n",
                                           CHUNKED "0\r\n\r\n" };

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct fetchscene_fetch *fetch;
        struct fetchscene_peer *peer = begin(&fetch);

        fetchscene_put(&scene, peer, answers[i]);
        fetchscene_expect(&scene, fetch, i == 1 ? 204 : 200, "");
        assert_int_equal(fetch->pieces, 0);
        fetchscene_hang_up(peer);
        fetchscene_settle(&scene);
    }
    fetchscene_close(&scene);
}

/* httpclient_test:test_header_callback, httpclient_test:test_header_callback_to_parse_line */
static void lines_of_the_head_go_to_the_callback_with_both_ends(void **state)
{
    struct httpheaders headers = { 0 };
    struct fetchscene_fetch *fetch;

    fetchscene_open(&scene, NULL);
    struct fetchscene_peer *peer = begin(&fetch);
    fetchscene_put(&scene, peer, "HTTP/1.1 100 Continue\r\nNot: this\r\n\r\n");
    fetchscene_put(&scene, peer, OK "Foo: bar\r\ncontent-length:2\r\nFoo:  baz \r\n\r\nhi");
    fetchscene_expect(&scene, fetch, 200, "hi");
    assert_string_equal(fetch->lines.bytes, OK "Foo: bar\r\ncontent-length:2\r\nFoo:  baz \r\n\r\n");
    const char *first = strstr(fetch->lines.bytes, "Foo");
    assert_int_equal(httpheaders_parse(&headers, first, strlen(first) - 2), 0);
    assert_string_equal(httpheaders_get(&headers, "Foo"), "bar");
    assert_string_equal(httpheaders_get_next(&headers, "Foo", httpheaders_get(&headers, "Foo")), "baz");
    httpheaders_free(&headers);
    fetchscene_close(&scene);
}

static void header_lines_come_before_the_body_and_without_streaming_too(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch =
        fetchscene_fetch(&scene, (struct httpclient_request){ .url = "/", .header_callback = fetchscene_on_line });
    struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, OK "Content-Length: 2\r\n\r\n");
    fetchscene_expect_waiting(&scene, fetch);
    assert_string_equal(fetch->lines.bytes, OK "Content-Length: 2\r\n\r\n");
    fetchscene_put(&scene, peer, "hi");
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_close(&scene);
}

/* simple_httpclient_test:test_streaming_follow_redirects */
static void callbacks_see_the_last_response_only(void **state)
{
    struct fetchscene_fetch *fetch;

    fetchscene_open(&scene, NULL);
    struct fetchscene_peer *peer = begin(&fetch);
    fetchscene_put(&scene, peer, "HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 5\r\n\r\nmoved");
    fetchscene_serve(&scene, peer, CHUNKED "2\r\nhi\r\n0\r\n\r\n");
    fetchscene_expect(&scene, fetch, 200, "hi");
    assert_string_equal(fetch->lines.bytes, CHUNKED);
    assert_int_equal(fetch->pieces, 1);
    fetchscene_close(&scene);
}

static void callbacks_see_a_redirect_that_is_not_followed(void **state)
{
    struct httpclient_request request = streamed;

    fetchscene_open(&scene, NULL);
    request.no_follow_redirects = true;
    struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, request);
    fetchscene_serve(&scene, NULL, "HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 2\r\n\r\nhi");
    fetchscene_expect(&scene, fetch, 302, "hi");
    assert_non_null(strstr(fetch->lines.bytes, "HTTP/1.1 302 Found\r\n"));
    fetchscene_close(&scene);
}

static void what_was_streamed_before_an_error_has_been_told(void **state)
{
    struct fetchscene_fetch *fetch;

    fetchscene_open(&scene, NULL);
    struct fetchscene_peer *peer = begin(&fetch);
    fetchscene_put(&scene, peer, OK "Content-Length: 6\r\n\r\nabc");
    fetchscene_finish(peer);
    fetchscene_expect_error(&scene, fetch, -ESHUTDOWN, HTTPCLIENT_BODY);
    assert_string_equal(fetch->body.bytes, "abc");
    assert_int_equal(fetch->code, 200);
    fetchscene_close(&scene);
}

/* Limits. */

static void a_streamed_body_has_no_limit_but_one_that_is_given(void **state)
{
    static char piece[65536];
    struct httpclient_request request = streamed;
    struct fetchscene_fetch *fetch;

    fetchscene_open(&scene, NULL);
    struct fetchscene_peer *peer = begin(&fetch);
    fetchscene_put(&scene, peer, OK "Content-Length: 20971520\r\n\r\n");
    for (int i = 0; i < 320; i++)
        fetchscene_put_bytes(&scene, peer, piece, sizeof piece);
    fetchscene_wait(&scene, fetch);
    assert_int_equal(fetch->error, 0);
    assert_int_equal(fetch->body.length, 20971520);

    request.max_body = 5;
    fetch = fetchscene_fetch(&scene, request);
    fetchscene_serve(&scene, peer, CHUNKED "5\r\nabcde\r\n");
    fetchscene_expect_waiting(&scene, fetch);
    fetchscene_put(&scene, peer, "1\r\nf\r\n");
    fetchscene_expect_error(&scene, fetch, -EMSGSIZE, HTTPCLIENT_BODY);
    assert_string_equal(fetch->body.bytes, "abcde");
    fetchscene_close(&scene);
}

/* Back-pressure. */

static void pause_always(struct fetchscene_fetch *fetch)
{
    httpclient_pause(scene.client, fetch->id);
}

/* simple_httpclient_test:test_streaming_callback_coroutine */
static void a_paused_fetch_gets_its_pieces_one_by_one(void **state)
{
    static const char *const answers[] = {
        CHUNKED "1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n",
        OK "Content-Length: 3\r\n\r\nabc",
    };

    fetchscene_open(&scene, NULL);
    for (int i = 0; i < 2; i++) {
        struct fetchscene_fetch *fetch;
        struct fetchscene_peer *peer = begin(&fetch);
        int resumed = 0;

        fetch->on_data = pause_always;
        fetchscene_put(&scene, peer, answers[i]);
        fetchscene_settle(&scene);
        assert_int_equal(fetch->pieces, 1);
        while (fetch->calls == 0) {
            int before = fetch->pieces;
            fetchscene_expect_waiting(&scene, fetch);
            assert_int_equal(fetch->pieces, before);
            httpclient_resume(scene.client, fetch->id);
            assert_int_equal(fetch->pieces, before); /* never inside the call */
            fetchscene_settle(&scene);
            assert_true(++resumed < 10);
        }
        assert_string_equal(fetch->body.bytes, "abc");
        fetchscene_expect_pool(&scene, 1, 1, 0);
        fetchscene_hang_up(peer);
        fetchscene_settle(&scene);
    }
    fetchscene_close(&scene);
}

static void a_pause_between_lines_of_the_head_holds_too(void **state)
{
    struct fetchscene_fetch *fetch;

    fetchscene_open(&scene, NULL);
    struct fetchscene_peer *peer = begin(&fetch);
    fetch->on_line = pause_always;
    fetchscene_put(&scene, peer, OK "A: b\r\nContent-Length: 2\r\n\r\nhi");
    fetchscene_settle(&scene);
    assert_string_equal(fetch->lines.bytes, OK);
    int resumed = 0;
    for (; fetch->calls == 0; resumed++) {
        size_t before = fetch->lines.length;
        fetchscene_expect_waiting(&scene, fetch);
        assert_int_equal(fetch->lines.length, before);
        httpclient_resume(scene.client, fetch->id);
        fetchscene_settle(&scene);
        assert_true(resumed < 10);
    }
    assert_string_equal(fetch->lines.bytes, OK "A: b\r\nContent-Length: 2\r\n\r\n");
    assert_string_equal(fetch->body.bytes, "hi");
    assert_int_equal(resumed, 4);
    fetchscene_close(&scene);
}

static void pauses_and_resumes_are_not_counted(void **state)
{
    struct fetchscene_fetch *fetch;

    fetchscene_open(&scene, NULL);
    struct fetchscene_peer *peer = begin(&fetch);
    httpclient_resume(scene.client, fetch->id);
    httpclient_pause(scene.client, fetch->id);
    httpclient_pause(scene.client, fetch->id);
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect_waiting(&scene, fetch);
    assert_int_equal(fetch->lines.length, 0);
    httpclient_resume(scene.client, fetch->id);
    fetchscene_expect(&scene, fetch, 200, "hi");
    httpclient_pause(scene.client, fetch->id); /* of what is over, or never was */
    httpclient_resume(scene.client, fetch->id);
    httpclient_pause(scene.client, 0);
    httpclient_resume(scene.client, 12345678901234);
    fetchscene_close(&scene);
}

/* Also where nothing of what has come can be told yet. */
static void a_pause_may_come_at_any_byte(void **state)
{
    static const struct {
        const char *answer, *trailers;
    } rows[] = {
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n02\r\nlo\r\n0\r\nA: b\r\nC: d\r\n\r\n",
          "A: b\nC: d\n" },
        { "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "" },
    };
    struct fetchscene_peer *peer = NULL;
    int on = 1;

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t length = strlen(rows[i].answer);
        for (size_t split = 0; split < length; split++) {
            struct fetchscene_fetch *fetch = fetchscene_fetch(
                &scene,
                (struct httpclient_request){ .url = "/", .streaming_callback = split % 2 ? fetchscene_on_data : NULL });
            peer = peer != NULL ? peer : fetchscene_accept(&scene);
            fetchscene_take_request(&scene, peer, &seen);
            assert_int_equal(setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
            fetchscene_put_bytes(&scene, peer, rows[i].answer, split);
            for (int pauses = 0; pauses < 2; pauses++) {
                httpclient_pause(scene.client, fetch->id);
                if (pauses == 1)
                    testing_spin(scene.loop, 3);
                httpclient_resume(scene.client, fetch->id);
                testing_spin(scene.loop, 3);
            }
            fetchscene_put_bytes(&scene, peer, rows[i].answer + split, length - split);
            fetchscene_expect(&scene, fetch, 200, "hello");
            assert_string_equal(fetch->trailers.bytes, rows[i].trailers);
            fetchscene_forget(&scene);
        }
    }
    fetchscene_expect_pool(&scene, 1, 1, 0);
    fetchscene_close(&scene);
}

static void a_paused_fetch_holds_the_server_back(void **state)
{
    static char piece[65536];
    struct fetchscene_fetch *fetch;
    size_t sent = 0;

    fetchscene_open(&scene, NULL);
    struct fetchscene_peer *peer = begin(&fetch);
    fetch->on_data = pause_always;
    fetchscene_put(&scene, peer, OK "Content-Length: 67108864\r\n\r\n");
    for (int quiet = 0; quiet < 20;) {
        size_t count = fetchscene_put_some(peer, piece, sizeof piece);
        sent += count;
        quiet = count == 0 ? quiet + 1 : 0;
        fetchscene_settle(&scene);
        assert_true(sent < 40000000);
    }
    assert_int_equal(fetch->pieces, 1);
    assert_true(faults_allocated_bytes() < 1000000);
    fetch->on_data = NULL;
    httpclient_resume(scene.client, fetch->id);
    fetchscene_put_bytes(&scene, peer, piece, (67108864 - sent) % sizeof piece);
    sent += (67108864 - sent) % sizeof piece;
    for (; sent < 67108864; sent += sizeof piece)
        fetchscene_put_bytes(&scene, peer, piece, sizeof piece);
    fetchscene_wait(&scene, fetch);
    assert_int_equal(fetch->error, 0);
    assert_int_equal(fetch->body.length, 67108864);
    fetchscene_close(&scene);
}

/* A server that has closed is noticed when the fetch goes on; what it had sent is handed over first. */
static void the_end_behind_a_pause_is_told_after_the_pieces(void **state)
{
    static const char *const answers[] = { OK "Content-Length: 9\r\n\r\nabc", OK "\r\nabc" };

    fetchscene_open(&scene, NULL);
    for (int i = 0; i < 2; i++) {
        struct fetchscene_fetch *fetch;
        struct fetchscene_peer *peer = begin(&fetch);

        httpclient_pause(scene.client, fetch->id);
        fetchscene_put(&scene, peer, answers[i]);
        fetchscene_hang_up(peer);
        fetchscene_expect_waiting(&scene, fetch);
        httpclient_resume(scene.client, fetch->id);
        fetchscene_wait(&scene, fetch);
        assert_int_equal(fetch->error, i == 0 ? -ESHUTDOWN : 0);
        assert_string_equal(fetch->body.bytes, "abc");
    }
    fetchscene_close(&scene);
}

static void a_pause_stops_the_idle_timeout_and_no_other(void **state)
{
    struct httpclient_request request = streamed;

    fetchscene_open(&scene, NULL);
    request.idle_timeout = 5;
    request.request_timeout = 50;
    struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, request);
    struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, OK "Content-Length: 6\r\n\r\nabc");
    fetchscene_settle(&scene);
    httpclient_pause(scene.client, fetch->id);
    fetchscene_pass(&scene, 20);
    fetchscene_expect_waiting(&scene, fetch);
    httpclient_resume(scene.client, fetch->id);
    fetchscene_pass(&scene, 4.5);
    fetchscene_expect_waiting(&scene, fetch);
    fetchscene_pass(&scene, 0.7);
    fetchscene_expect_error(&scene, fetch, -ETIMEDOUT, HTTPCLIENT_BODY);
    fetchscene_hang_up(peer);

    fetch = fetchscene_fetch(&scene, request);
    peer = fetchscene_serve(&scene, NULL, OK "Content-Length: 6\r\n\r\nabc");
    fetchscene_settle(&scene);
    httpclient_pause(scene.client, fetch->id);
    fetchscene_pass(&scene, 49);
    fetchscene_expect_waiting(&scene, fetch);
    fetchscene_pass(&scene, 1.2);
    fetchscene_expect_error(&scene, fetch, -ETIMEDOUT, HTTPCLIENT_BODY);
    fetchscene_close(&scene);
}

/* Before it has a connection: one that is kept, or a new one. */
static void a_fetch_can_be_paused_while_it_waits(void **state)
{
    for (int is_kept = 0; is_kept < 2; is_kept++) {
        for (int with_lines = 0; with_lines < 2; with_lines++) {
            fetchscene_open(&scene, &(struct httpclient_options){ .max_clients = 1 });
            struct fetchscene_fetch *first = fetchscene_get(&scene, "/first");
            struct httpclient_request request = streamed;
            request.header_callback = with_lines ? fetchscene_on_line : NULL;
            struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, request);
            httpclient_pause(scene.client, fetch->id);
            struct fetchscene_peer *peer =
                fetchscene_serve(&scene, NULL, is_kept ? HI : OK "Connection: close\r\nContent-Length: 2\r\n\r\nhi");
            fetchscene_expect(&scene, first, 200, "hi");
            fetchscene_serve(&scene, is_kept ? peer : NULL, OK "Content-Length: 3\r\n\r\nabc");
            fetchscene_expect_waiting(&scene, fetch);
            assert_int_equal(fetch->pieces, 0);
            assert_int_equal(fetch->lines.length, 0);
            httpclient_resume(scene.client, fetch->id);
            fetchscene_expect(&scene, fetch, 200, "abc");
            fetchscene_close(&scene);
        }
    }
}

static void pause_and_resume(struct fetchscene_fetch *fetch)
{
    httpclient_pause(scene.client, fetch->id);
    httpclient_resume(scene.client, fetch->id);
}

static void a_fetch_can_be_paused_and_resumed_in_one_callback(void **state)
{
    static const char *const answers[] = {
        CHUNKED "1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n",
        OK "Content-Length: 3\r\n\r\nabc",
        OK "\r\nabc",
    };

    fetchscene_open(&scene, NULL);
    for (int i = 0; i < 3; i++) {
        struct fetchscene_fetch *fetch;
        struct fetchscene_peer *peer = begin(&fetch);

        fetch->on_data = fetch->on_line = pause_and_resume;
        fetchscene_put(&scene, peer, answers[i]);
        fetchscene_finish(peer);
        fetchscene_expect(&scene, fetch, 200, "abc");
        assert_memory_equal(fetch->lines.bytes, answers[i], fetch->lines.length);
        fetchscene_hang_up(peer);
        fetchscene_settle(&scene);
    }
    fetchscene_close(&scene);
}

/* The last line of an answer that has no body, and the server leaves meanwhile. */
static void an_answer_without_a_body_waits_for_its_lines_to_be_told(void **state)
{
    fetchscene_open(&scene, NULL);
    for (int leaves = 0; leaves < 2; leaves++) {
        struct fetchscene_fetch *fetch;
        struct fetchscene_peer *peer = begin(&fetch);

        fetch->on_line = pause_always;
        fetchscene_put(&scene, peer, "HTTP/1.1 204 No\r\nA: b\r\n\r\n");
        fetchscene_expect_waiting(&scene, fetch);
        if (leaves)
            fetchscene_hang_up(peer);
        for (int i = 0; i < 5 && fetch->calls == 0; i++) {
            httpclient_resume(scene.client, fetch->id);
            fetchscene_settle(&scene);
        }
        fetchscene_expect(&scene, fetch, 204, "");
        assert_string_equal(fetch->lines.bytes, "HTTP/1.1 204 No\r\nA: b\r\n\r\n");
        fetchscene_hang_up(peer);
        fetchscene_settle(&scene);
    }
    fetchscene_close(&scene);
}

static void cancel_now(struct fetchscene_fetch *fetch)
{
    httpclient_cancel(scene.client, fetch->id);
}

static void a_fetch_can_be_cancelled_in_its_callbacks_and_in_a_pause(void **state)
{
    fetchscene_open(&scene, NULL);
    for (int i = 0; i < 3; i++) {
        struct fetchscene_fetch *fetch;
        struct fetchscene_peer *peer = begin(&fetch);

        fetch->on_line = i == 0 ? cancel_now : NULL;
        fetch->on_data = i == 1 ? cancel_now : pause_always;
        fetchscene_put(&scene, peer, OK "Content-Length: 3\r\n\r\nhi");
        if (i == 2) {
            fetchscene_expect_waiting(&scene, fetch);
            cancel_now(fetch);
        }
        fetchscene_expect_error(&scene, fetch, -ECANCELED, FETCHSCENE_ANY_PHASE);
        assert_true(i > 0 || strcmp(fetch->lines.bytes, OK) == 0);
        assert_int_equal(fetch->pieces, i > 0);
        fetchscene_expect_end(&scene, peer);
        fetchscene_hang_up(peer);
    }
    fetchscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_pieces_of_a_body_go_to_the_callback),
    cmocka_unit_test(a_piece_is_handed_over_when_it_comes),
    cmocka_unit_test(an_empty_body_has_no_pieces),
    cmocka_unit_test(lines_of_the_head_go_to_the_callback_with_both_ends),
    cmocka_unit_test(header_lines_come_before_the_body_and_without_streaming_too),
    cmocka_unit_test(callbacks_see_the_last_response_only),
    cmocka_unit_test(callbacks_see_a_redirect_that_is_not_followed),
    cmocka_unit_test(what_was_streamed_before_an_error_has_been_told),
    cmocka_unit_test(a_streamed_body_has_no_limit_but_one_that_is_given),
    cmocka_unit_test(a_paused_fetch_gets_its_pieces_one_by_one),
    cmocka_unit_test(a_pause_between_lines_of_the_head_holds_too),
    cmocka_unit_test(a_pause_may_come_at_any_byte),
    cmocka_unit_test(pauses_and_resumes_are_not_counted),
    cmocka_unit_test(a_paused_fetch_holds_the_server_back),
    cmocka_unit_test(the_end_behind_a_pause_is_told_after_the_pieces),
    cmocka_unit_test(a_pause_stops_the_idle_timeout_and_no_other),
    cmocka_unit_test(a_fetch_can_be_paused_while_it_waits),
    cmocka_unit_test(a_fetch_can_be_paused_and_resumed_in_one_callback),
    cmocka_unit_test(an_answer_without_a_body_waits_for_its_lines_to_be_told),
    cmocka_unit_test(a_fetch_can_be_cancelled_in_its_callbacks_and_in_a_pause),
};

TESTING_MAIN(tests)
