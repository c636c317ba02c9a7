/* Responses in gzip that are inflated on their way: decompress_response. test_httpdownload_gzip_errors.c has those that
 * come to nothing. */
#include "tests/support/testing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/faults.h"
#include "tests/support/gzipanswer.h"

/* What is asked for. */

static void gzip_is_asked_for_when_it_would_be_undone(void **state)
{
    struct httpheaders headers = { 0 };

    assert_int_equal(httpheaders_add(&headers, "Accept-Encoding", "br"), 0);
    static const char *const wanted[] = { "gzip", NULL, "br", "br" };
    const struct httpclient_request requests[] = { plain,
                                                   { .url = "/" },
                                                   { .url = "/", .headers = &headers },
                                                   { .url = "/", .headers = &headers, .decompress_response = true } };
    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < COUNT(requests); i++) {
        struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, requests[i]);
        struct fetchscene_peer *peer = fetchscene_accept(&scene);
        fetchscene_take_request(&scene, peer, &seen);
        const char *value = fetchscene_request_header(&seen, "Accept-Encoding");
        assert_true(wanted[i] == NULL ? value == NULL : value != NULL && strcmp(value, wanted[i]) == 0);
        fetchscene_put(&scene, peer, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
        fetchscene_expect(&scene, fetch, 200, "hi");
        end_connection(peer);
    }
    fetchscene_close(&scene);
    httpheaders_free(&headers);
}

/* What is undone. */

/* httpclient_test:test_gzip, simple_httpclient_test:test_gzip */
static void a_body_in_gzip_is_inflated(void **state)
{
    static const char *const headers[] = { GZIP, "content-encoding: GZip\r\n",
                                           "A: b\r\nContent-Encoding:\tx-gzip \r\n" };

    pack("hello, hello, hello", 19);
    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < COUNT(headers); i++) {
        for (int framing = 0; framing < FRAMINGS; framing++) {
            make_answer("200 OK", headers[i], framing, 7);
            struct fetchscene_fetch *fetch = fetch_answer(plain);
            fetchscene_expect(&scene, fetch, 200, "hello, hello, hello");
            assert_null(fetchscene_header(fetch, "Content-Encoding"));
            assert_non_null(fetchscene_header(fetch, "X-Consumed-Content-Encoding"));
            fetch = fetch_answer(streamed);
            fetchscene_expect(&scene, fetch, 200, "hello, hello, hello");
            assert_memory_equal(fetch->lines.bytes, answer, fetch->lines.length); /* as they came */
        }
    }
    fetchscene_close(&scene);
}

/* What is packed, so many times behind itself. */
static void pack_members(const char *text, int count)
{
    pack(text, strlen(text));
    size_t length = packed_length;
    for (int i = 1; i < count; i++) {
        assert_true(packed_length + length <= sizeof packed);
        memcpy(packed + packed_length, packed, length);
        packed_length += length;
    }
}

/* RFC 1952 2.2: so are files that were joined. */
static void a_body_in_gzip_may_have_several_members(void **state)
{
    fetchscene_open(&scene, NULL);
    for (int framing = 0; framing < FRAMINGS; framing++) {
        for (size_t chunk = 1; chunk < 60; chunk++) {
            pack_members("hello, ", 3);
            make_answer("200 OK", GZIP, framing, chunk);
            fetchscene_expect(&scene, fetch_answer(plain), 200, "hello, hello, hello, ");
            struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, streamed);
            fetch->on_data = pause_always;
            struct fetchscene_peer *peer = send_answer();
            fetchscene_finish(peer);
            resume_at_most(fetch, 200);
            fetchscene_expect(&scene, fetch, 200, "hello, hello, hello, ");
            end_connection(peer);
            fetchscene_forget(&scene);
        }
    }
    fetchscene_close(&scene);
}

/* As it comes, and inflated. */
static void all_members_together_have_the_limits_of_a_body(void **state)
{
    static char text[1001];
    struct httpclient_request request = plain;

    memset(text, 'x', sizeof text - 1);
    fetchscene_open(&scene, NULL);
    for (int i = 0; i < 4; i++) {
        pack_members(i < 2 ? text : "", i < 2 ? 5 : 50); /* members of nothing are bytes that come */
        make_answer("200 OK", GZIP, IN_CHUNKS, 30);
        request.max_body = (i < 2 ? 5000 : packed_length) - (i % 2 == 0);
        struct fetchscene_fetch *fetch = fetch_answer(request);
        if (i % 2 == 0)
            fetchscene_expect_error(&scene, fetch, -EMSGSIZE, HTTPCLIENT_BODY);
        else
            assert_int_equal(fetch->error, 0);
    }
    fetchscene_close(&scene);
}

static void a_connection_is_kept_behind_a_body_in_gzip(void **state)
{
    struct fetchscene_peer *peer = NULL;

    pack("hello, hello, hello", 19);
    fetchscene_open(&scene, NULL);
    for (int i = 0; i < 6; i++) {
        make_answer("200 OK", GZIP, i % 2, 5);
        struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, i < 3 ? plain : streamed);
        peer = peer != NULL ? peer : fetchscene_accept(&scene);
        fetchscene_take_request(&scene, peer, &seen);
        fetchscene_put_bytes(&scene, peer, answer, answer_length);
        fetchscene_expect(&scene, fetch, 200, "hello, hello, hello");
        fetchscene_expect_pool(&scene, 1, 1, 0);
    }
    fetchscene_close(&scene);
}

static void a_body_in_gzip_may_come_in_any_parts(void **state)
{
    pack("hello, hello, hello", 19);
    fetchscene_open(&scene, NULL);
    for (int framing = 0; framing < FRAMINGS; framing++) {
        make_answer("200 OK", GZIP, framing, 7);
        for (size_t split = 1; split < answer_length; split += 2) {
            struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, split % 4 == 1 ? streamed : plain);
            struct fetchscene_peer *peer = fetchscene_accept(&scene);
            fetchscene_take_request(&scene, peer, &seen);
            fetchscene_put_bytes(&scene, peer, answer, split);
            fetchscene_expect_waiting(&scene, fetch);
            fetchscene_put_bytes(&scene, peer, answer + split, answer_length - split);
            fetchscene_finish(peer);
            fetchscene_expect(&scene, fetch, 200, "hello, hello, hello");
            end_connection(peer);
            fetchscene_forget(&scene);
        }
    }
    fetchscene_close(&scene);
}

/* Half of it compresses well. */
static char *make_long_text(size_t length)
{
    char *text = malloc(length + 1);
    uint32_t random = 1;

    assert_non_null(text);
    for (size_t i = 0; i < length; i++) {
        random = random * 1664525 + 1013904223;
        text[i] = (char)('a' + (i / 5000 % 2 == 0 ? (random >> 20) % 26 : i % 7));
    }
    text[length] = '\0';
    return text;
}

static void long_bodies_are_inflated_piece_by_piece(void **state)
{
    char *text = make_long_text(400000);

    pack(text, 400000);
    fetchscene_open(&scene, NULL);
    for (int framing = 0; framing < FRAMINGS; framing++) {
        make_answer("200 OK", GZIP, framing, 5000);
        long before = faults_allocations();
        fetchscene_expect(&scene, fetch_answer(plain), 200, text);
        assert_true(faults_allocations() < before + 30); /* not one a piece */
        struct fetchscene_fetch *fetch = fetch_answer(streamed);
        fetchscene_expect(&scene, fetch, 200, text);
        assert_true(fetch->pieces > 10);
    }
    fetchscene_close(&scene);
    free(text);
}

/* Also when the server has left long ago, by FIN or right behind. */
static void a_pause_holds_between_any_two_pieces(void **state)
{
    char *text = calloc(1, 300001);

    assert_non_null(text);
    memset(text, 'x', 300000);
    pack(text, 300000);
    fetchscene_open(&scene, NULL);
    for (int framing = 0; framing < FRAMINGS; framing++) {
        for (int leaves = 0; leaves < 2; leaves++) {
            make_answer("200 OK", GZIP, framing, 60);
            struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, streamed);
            int resumed = 0;

            fetch->on_data = pause_always;
            struct fetchscene_peer *peer = send_answer();
            if (leaves || framing == UNTIL_CLOSE)
                fetchscene_finish(peer);
            fetchscene_settle(&scene);
            assert_int_equal(fetch->pieces, 1);
            for (; fetch->calls == 0; resumed++) {
                int before = fetch->pieces;
                fetchscene_expect_waiting(&scene, fetch);
                assert_int_equal(fetch->pieces, before);
                httpclient_resume(scene.client, fetch->id);
                assert_int_equal(fetch->pieces, before);
                fetchscene_settle(&scene);
                assert_true(fetch->pieces <= before + 1);
                assert_true(resumed < 100);
            }
            assert_in_range(resumed, 5, 50);
            fetchscene_expect(&scene, fetch, 200, text);
            end_connection(peer);
        }
    }
    fetchscene_close(&scene);
    free(text);
}

static void cancel_fetch(struct fetchscene_fetch *fetch)
{
    httpclient_cancel(scene.client, fetch->id);
    assert_int_equal(fetch->body.bytes[fetch->body.length - 1], 'x');
}

static void close_client(struct fetchscene_fetch *fetch)
{
    httpclient_close(scene.client);
}

static void a_fetch_may_end_between_two_pieces(void **state)
{
    static char text[300000];

    memset(text, 'x', sizeof text);
    pack(text, sizeof text);
    make_answer("200 OK", GZIP, BY_LENGTH, 0);
    for (int i = 0; i < 2; i++) {
        fetchscene_open(&scene, NULL);
        struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, streamed);
        fetch->on_data = i == 0 ? cancel_fetch : close_client;
        send_answer();
        fetchscene_expect_error(&scene, fetch, -ECANCELED, HTTPCLIENT_BODY);
        assert_int_equal(fetch->pieces, 1);
        fetchscene_close(&scene);
    }
}

/* What is not. */

static void other_codings_are_handed_over_as_they_are(void **state)
{
    static const char *const headers[] = {
        "Content-Encoding: br\r\n",
        "Content-Encoding: gzip, gzip\r\n",
        "Content-Encoding: gzip, identity\r\n",
        GZIP GZIP,
        GZIP "Content-Encoding: br\r\n",
        "Content-Encoding: identity\r\n",
        "Content-Encoding:\r\n",
        "Content-Encoding: gzi\r\n",
        "Content-Encoding: y-gzip\r\n",
        "X-Content-Encoding: gzip\r\n",
        "",
    };

    strcpy(packed, "hello");
    packed_length = 5;
    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < COUNT(headers); i++) {
        make_answer("200 OK", headers[i], BY_LENGTH, 0);
        struct fetchscene_fetch *fetch = fetch_answer(plain);
        fetchscene_expect(&scene, fetch, 200, "hello");
        assert_null(fetchscene_header(fetch, "X-Consumed-Content-Encoding"));
        assert_true((fetchscene_header(fetch, "Content-Encoding") != NULL) == (strncmp(headers[i], "Con", 3) == 0));
    }
    fetchscene_close(&scene);
}

static void without_being_asked_nothing_is_undone(void **state)
{
    strcpy(packed, "hello");
    packed_length = 5;
    make_answer("200 OK", GZIP, BY_LENGTH, 0);
    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = fetch_answer((struct httpclient_request){ .url = "/" });
    fetchscene_expect(&scene, fetch, 200, "hello");
    assert_string_equal(fetchscene_header(fetch, "Content-Encoding"), "gzip");
    fetchscene_close(&scene);
}

/* 206 is a part of the file in gzip; of what has no body there is nothing to undo. */
static void what_has_no_body_or_a_part_of_one_is_as_it_came(void **state)
{
    static const struct {
        const char *method, *answer, *body;
    } cases[] = {
        { "HEAD", "HTTP/1.1 200 OK\r\n" GZIP "Content-Length: 5\r\n\r\n", "" },
        { "HEAD", "HTTP/1.1 200 OK\r\n" GZIP "Transfer-Encoding: chunked\r\n\r\n", "" },
        { "GET", "HTTP/1.1 204 No\r\n" GZIP "\r\n", "" },
        { "GET", "HTTP/1.1 304 No\r\n" GZIP "Content-Length: 5\r\n\r\n", "" },
        { "GET", "HTTP/1.1 200 OK\r\n" GZIP "Content-Length: 0\r\n\r\n", "" },
        { "GET", "HTTP/1.1 206 Some\r\n" GZIP "Content-Length: 5\r\n\r\nhello", "hello" },
    };

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct fetchscene_fetch *fetch = fetchscene_fetch(
            &scene, (struct httpclient_request){ .url = "/", .method = cases[i].method, .decompress_response = true });
        struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, cases[i].answer);
        fetchscene_wait(&scene, fetch);
        assert_int_equal(fetch->error, 0);
        assert_string_equal(fetch->body.bytes, cases[i].body);
        assert_string_equal(fetchscene_header(fetch, "Content-Encoding"), "gzip");
        fetchscene_expect_pool(&scene, 1, 1, 0);
        end_connection(peer);
    }
    fetchscene_close(&scene);
}

/* Nothing was said of how empty a body in gzip has to be. */
static void a_body_of_no_bytes_is_an_empty_one(void **state)
{
    packed_length = 0;
    fetchscene_open(&scene, NULL);
    for (int framing = 0; framing < FRAMINGS; framing++) {
        make_answer("200 OK", GZIP, framing, 1);
        fetchscene_expect(&scene, fetch_answer(plain), 200, "");
        fetchscene_expect(&scene, fetch_answer(streamed), 200, "");
    }
    pack("", 0);
    for (int framing = 0; framing < FRAMINGS; framing++) {
        make_answer("200 OK", GZIP, framing, 1);
        fetchscene_expect(&scene, fetch_answer(plain), 200, "");
    }
    fetchscene_close(&scene);
}

/* It is dropped, whatever it is. */
static void the_body_of_a_redirect_is_not_looked_at(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, plain);
    struct fetchscene_peer *peer =
        fetchscene_serve(&scene, NULL, "HTTP/1.1 302 Found\r\nLocation: /b\r\n" GZIP "Content-Length: 5\r\n\r\nhello");

    pack("hello", 5);
    make_answer("200 OK", GZIP, BY_LENGTH, 0);
    fetchscene_take_request(&scene, peer, &seen);
    fetchscene_put_bytes(&scene, peer, answer, answer_length);
    fetchscene_expect(&scene, fetch, 200, "hello");
    fetchscene_close(&scene);
}

/* Memory. */

static void what_inflates_is_kept_for_the_next_response(void **state)
{
    long counts[4];
    size_t most = 0;
    struct fetchscene_peer *peer = NULL;

    pack("hello, hello, hello", 19);
    make_answer("200 OK", GZIP, BY_LENGTH, 0);
    fetchscene_open(&scene, NULL);
    for (int i = 0; i < 4; i++) {
        counts[i] = -faults_allocations();
        struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, plain);
        peer = peer != NULL ? peer : fetchscene_accept(&scene);
        fetchscene_take_request(&scene, peer, &seen);
        fetchscene_put_bytes(&scene, peer, answer, answer_length);
        fetchscene_expect(&scene, fetch, 200, "hello, hello, hello");
        counts[i] += faults_allocations();
        if (i == 0)
            most = faults_allocated_bytes();
    }
    assert_true(counts[0] > 0);
    assert_int_equal(counts[2], 0);
    assert_int_equal(counts[3], 0);
    assert_true(faults_allocated_bytes() < most + 10000);
    fetchscene_close(&scene);
}

/* Two at once need two; one of them is kept. */
static void two_at_once_do_not_disturb_each_other(void **state)
{
    struct fetchscene_fetch *fetches[2];
    struct fetchscene_peer *peers[2];

    pack("hello, hello, hello", 19);
    make_answer("200 OK", GZIP, BY_LENGTH, 0);
    fetchscene_open(&scene, NULL);
    for (int i = 0; i < 2; i++) {
        fetches[i] = fetchscene_fetch(&scene, plain);
        peers[i] = fetchscene_accept(&scene);
        fetchscene_take_request(&scene, peers[i], &seen);
    }
    for (size_t at = 0; at < answer_length; at++) {
        for (int i = 0; i < 2; i++)
            fetchscene_put_bytes(&scene, peers[i], answer + at, 1);
        fetchscene_settle(&scene);
    }
    for (int i = 0; i < 2; i++)
        fetchscene_expect(&scene, fetches[i], 200, "hello, hello, hello");
    fetchscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(gzip_is_asked_for_when_it_would_be_undone),
    cmocka_unit_test(a_body_in_gzip_is_inflated),
    cmocka_unit_test(a_body_in_gzip_may_have_several_members),
    cmocka_unit_test(all_members_together_have_the_limits_of_a_body),
    cmocka_unit_test(a_connection_is_kept_behind_a_body_in_gzip),
    cmocka_unit_test(a_body_in_gzip_may_come_in_any_parts),
    cmocka_unit_test(long_bodies_are_inflated_piece_by_piece),
    cmocka_unit_test(a_pause_holds_between_any_two_pieces),
    cmocka_unit_test(a_fetch_may_end_between_two_pieces),
    cmocka_unit_test(other_codings_are_handed_over_as_they_are),
    cmocka_unit_test(without_being_asked_nothing_is_undone),
    cmocka_unit_test(what_has_no_body_or_a_part_of_one_is_as_it_came),
    cmocka_unit_test(a_body_of_no_bytes_is_an_empty_one),
    cmocka_unit_test(the_body_of_a_redirect_is_not_looked_at),
    cmocka_unit_test(what_inflates_is_kept_for_the_next_response),
    cmocka_unit_test(two_at_once_do_not_disturb_each_other),
};

TESTING_MAIN(tests)
