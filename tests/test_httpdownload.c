/* Bodies of responses that come behind a pause, or while nothing more can be sent. */
#include "tests/support/testing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/faults.h"
#include "tests/support/fetchscene.h"

#define OK      "HTTP/1.1 200 OK\r\n"
#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"

static struct fetchscene scene;
static struct fetchscene_request seen;

static const struct httpclient_request streamed = { .url = "/",
                                                    .header_callback = fetchscene_on_line,
                                                    .streaming_callback = fetchscene_on_data };

/* Pausing. */

static void pause_always(struct fetchscene_fetch *fetch)
{
    httpclient_pause(scene.client, fetch->id);
}

static void resume_until_answered(struct fetchscene_fetch *fetch)
{
    for (int resumed = 0; fetch->calls == 0; resumed++) {
        int before = fetch->pieces;
        size_t lines = fetch->lines.length;
        fetchscene_expect_waiting(&scene, fetch);
        assert_int_equal(fetch->pieces, before);
        assert_int_equal(fetch->lines.length, lines);
        httpclient_resume(scene.client, fetch->id);
        fetchscene_settle(&scene);
        assert_true(fetch->pieces <= before + 1);
        assert_true(resumed < 20);
    }
}

static void begin(struct fetchscene_fetch **fetch, struct fetchscene_peer **peer, const char *answer)
{
    *fetch = fetchscene_fetch(&scene, streamed);
    *peer = fetchscene_accept(&scene);
    (*fetch)->on_data = pause_always;
    fetchscene_take_request(&scene, *peer, &seen);
    fetchscene_put(&scene, *peer, answer);
}

/* The connection is gone, but what it brought is not. */
static void pieces_wait_for_the_program_when_the_server_has_left(void **state)
{
    static const char *const answers[] = {
        CHUNKED "1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n",
        CHUNKED "1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\nT: u\r\n\r\n",
        OK "Content-Length: 3\r\n\r\nabc",
        OK "\r\nabc",
    };

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        for (int with_lines = 0; with_lines < 2; with_lines++) {
            struct fetchscene_fetch *fetch;
            struct fetchscene_peer *peer;

            begin(&fetch, &peer, answers[i]);
            fetch->on_line = with_lines ? pause_always : NULL;
            fetchscene_finish(peer);
            fetchscene_settle(&scene);
            resume_until_answered(fetch);
            fetchscene_expect(&scene, fetch, 200, "abc");
            assert_string_equal(fetch->trailers.bytes, i == 1 ? "T: u\n" : "");
            fetchscene_hang_up(peer);
            fetchscene_settle(&scene);
        }
    }
    fetchscene_close(&scene);
}

static void what_the_server_did_not_send_is_missed_behind_the_pieces(void **state)
{
    static const char *const answers[] = {
        CHUNKED "1\r\na\r\n1\r\nb\r\n1\r\nc\r\n",
        CHUNKED "1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n",
        OK "Content-Length: 4\r\n\r\nabc",
    };

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct fetchscene_fetch *fetch;
        struct fetchscene_peer *peer;

        begin(&fetch, &peer, answers[i]);
        fetchscene_finish(peer);
        fetchscene_settle(&scene);
        resume_until_answered(fetch);
        fetchscene_expect_error(&scene, fetch, -ESHUTDOWN, HTTPCLIENT_BODY);
        assert_string_equal(fetch->body.bytes, "abc");
        fetchscene_hang_up(peer);
        fetchscene_settle(&scene);
    }
    fetchscene_close(&scene);
}

/* Redirects. */

/* Which is not waited for; what would come is not to be taken for an answer. */
static void the_connection_of_a_redirect_that_goes_on_is_not_used_again(void **state)
{
    static char much[70000];

    memset(much, 'x', sizeof much);
    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
    struct fetchscene_peer *first = fetchscene_serve(
        &scene, NULL, "HTTP/1.1 302 Found\r\nLocation: /b\r\nTransfer-Encoding: chunked\r\n\r\n20000\r\n");
    fetchscene_settle(&scene);
    fetchscene_put_bytes(&scene, first, much, sizeof much);
    struct fetchscene_peer *second = fetchscene_serve(&scene, NULL, OK "Content-Length: 2\r\n\r\nhi");
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_expect_end(&scene, first);
    fetchscene_expect_pool(&scene, 1, 1, 0);
    fetchscene_hang_up(second);
    fetchscene_close(&scene);
}

/* Answers of servers that have stopped listening. */

static char piece[1000];

static void wait_for_test(struct httpclient *client, uint64_t fetch, void *arg)
{
}

/* The answer and the reset are there before the client writes, and is told that nobody listens. */
static struct fetchscene_fetch *upload_to_who_has_left(const char *answer, bool is_paused)
{
    struct httpclient_request request = streamed;

    request.method = "PUT";
    request.body_producer = wait_for_test;
    struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, request);
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    fetchscene_take_head(&scene, peer, &seen);
    fetchscene_settle(&scene);
    if (is_paused)
        fetch->on_data = fetch->on_line = pause_always;
    fetchscene_put(&scene, peer, answer);
    fetchscene_reset(peer);
    assert_int_equal(httpclient_upload_write(scene.client, fetch->id, piece, sizeof piece), -ECONNRESET);
    (void)!httpclient_upload_write(scene.client, fetch->id, piece, sizeof piece);
    fetchscene_settle(&scene);
    if (is_paused)
        resume_until_answered(fetch);
    fetchscene_wait(&scene, fetch);
    fetchscene_expect_pool(&scene, 0, 0, 0);
    return fetch;
}

static void an_answer_that_came_before_a_write_failed_is_the_answer(void **state)
{
    static const char *const answers[] = {
        "HTTP/1.1 413 Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 413 Large\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 413 Large\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 413 Large\r\nContent-Length: 3\r\n\r\nabc",
    };

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
        for (int is_paused = 0; is_paused < 2; is_paused++)
            fetchscene_expect(&scene, upload_to_who_has_left(answers[i], is_paused), 413, "abc");
    fetchscene_close(&scene);
}

/* One that ends with its connection has been cut off. */
static void half_an_answer_before_a_write_failed_is_none(void **state)
{
    static const struct {
        const char *answer;
        enum httpclient_phase phase;
    } cases[] = {
        { "", HTTPCLIENT_SEND },
        { "HTTP/1.1 100 Continue\r\n\r\n", HTTPCLIENT_SEND },
        { "HTTP/1.1 413 Large\r\nContent-Length: 3\r\n\r", HTTPCLIENT_SEND },
        { "HTTP/1.1 413 Large\r\nContent-Length: 3\r\n\r\nab", HTTPCLIENT_BODY },
        { "HTTP/1.1 413 Large\r\n\r\nabc", HTTPCLIENT_BODY },
        { "HTTP/1.1 413 Large\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n", HTTPCLIENT_BODY },
    };

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int is_paused = 0; is_paused < 2; is_paused++)
            fetchscene_expect_error(&scene, upload_to_who_has_left(cases[i].answer, is_paused), -ECONNRESET,
                                    (int)cases[i].phase);
    fetchscene_close(&scene);
}

/* Larger than what is received at once, and collected in place. */
static void a_long_answer_that_came_before_a_write_failed_is_whole(void **state)
{
    static char body[100001], answer[100100];
    struct httpclient_request request = { .url = "/", .method = "PUT", .body_producer = wait_for_test };

    memset(body, 'x', sizeof body - 1);
    int length = snprintf(answer, sizeof answer, "HTTP/1.1 413 Large\r\nContent-Length: 100000\r\n\r\n%s", body);
    fetchscene_open(&scene, NULL);
    for (int is_begun = 0; is_begun < 2; is_begun++) {
        struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, request);
        struct fetchscene_peer *peer = fetchscene_accept(&scene);
        fetchscene_take_head(&scene, peer, &seen);
        fetchscene_settle(&scene);
        fetchscene_put_bytes(&scene, peer, answer, is_begun ? 100 : 0);
        fetchscene_settle(&scene);
        fetchscene_put_bytes(&scene, peer, answer + (is_begun ? 100 : 0), (size_t)length - (is_begun ? 100 : 0));
        fetchscene_reset(peer);
        assert_int_equal(httpclient_upload_write(scene.client, fetch->id, piece, sizeof piece), -ECONNRESET);
        fetchscene_expect(&scene, fetch, 413, body);
    }
    fetchscene_close(&scene);
}

static void check_nothing_is_kept(struct fetchscene_fetch *fetch, struct httpclient_response *response)
{
    assert_int_equal(httpclient_kept(scene.client), 0);
}

static void a_connection_that_takes_no_more_is_not_kept(void **state)
{
    static char body[100000];
    const struct httpclient_request requests[] = {
        { .url = "/", .method = "PUT", .body = body, .body_length = sizeof body, .expect_100_continue = true },
        { .url = "/", .method = "PUT", .body_producer = wait_for_test },
    };

    fetchscene_open(&scene, NULL);
    for (int i = 0; i < 2; i++) {
        struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, requests[i]);
        struct fetchscene_peer *peer = fetchscene_accept(&scene);
        fetchscene_take_head(&scene, peer, &seen);
        fetchscene_settle(&scene);
        fetchscene_put(&scene, peer, "HTTP/1.1 100 Continue\r\n\r\n" OK "Content-Length: 2\r\n\r\nhi");
        fetchscene_reset(peer);
        if (requests[i].body_producer != NULL)
            httpclient_upload_finish(scene.client, fetch->id);
        fetch->on_response = check_nothing_is_kept;
        fetchscene_wait(&scene, fetch);
        assert_int_equal(fetch->error, 0);
        assert_string_equal(fetch->body.bytes, "hi");
        fetchscene_expect_pool(&scene, 0, 0, 0);
    }
    fetchscene_close(&scene);
}

/* The kernel does not have to say more than that once. */
static void a_write_that_fails_ends_the_fetch_though_the_server_is_there(void **state)
{
    struct httpclient_request request = { .url = "/", .method = "PUT", .body_producer = wait_for_test };

    fetchscene_open(&scene, NULL);
    for (int is_paused = 0; is_paused < 2; is_paused++) {
        struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, request);
        struct fetchscene_peer *peer = fetchscene_accept(&scene);
        fetchscene_take_head(&scene, peer, &seen);
        fetchscene_settle(&scene);
        if (is_paused)
            httpclient_pause(scene.client, fetch->id);
        faults_system_call("sendmsg", EPIPE, 1);
        assert_int_equal(httpclient_upload_write(scene.client, fetch->id, piece, sizeof piece), -EPIPE);
        assert_true(faults_hit());
        if (is_paused)
            fetchscene_expect_waiting(&scene, fetch);
        httpclient_resume(scene.client, fetch->id);
        fetchscene_expect_error(&scene, fetch, -ECONNRESET, HTTPCLIENT_SEND);
        fetchscene_expect_end(&scene, peer);
        fetchscene_hang_up(peer);
    }
    fetchscene_close(&scene);
}

/* As many headers as there can be, one of which is renamed. */
static void the_coding_of_a_body_may_be_among_a_hundred_headers(void **state)
{
    static const unsigned char hello[] = { 0x1f, 0x8b, 8,   0,   0,   0,   0,    0,    0,    255,  1, 5, 0, 0xfa,
                                           0xff, 'h',  'e', 'l', 'l', 'o', 0x86, 0xa6, 0x10, 0x36, 5, 0, 0, 0 };
    static char answer[4096];

    for (int count = 99; count <= 101; count++) {
        char *place = answer + snprintf(answer, sizeof answer, OK "Content-Length: %zu\r\nContent-Encoding: gzip\r\n",
                                        sizeof hello);
        for (int i = 2; i < count; i++)
            place = stpcpy(place, "X: a\r\n");
        place = stpcpy(place, "\r\n");
        memcpy(place, hello, sizeof hello);
        fetchscene_open(&scene, NULL);
        struct fetchscene_fetch *fetch =
            fetchscene_fetch(&scene, (struct httpclient_request){ .url = "/", .decompress_response = true });
        struct fetchscene_peer *peer = fetchscene_accept(&scene);
        fetchscene_take_request(&scene, peer, &seen);
        fetchscene_put_bytes(&scene, peer, answer, (size_t)(place - answer) + sizeof hello);
        if (count <= 100) {
            fetchscene_expect(&scene, fetch, 200, "hello");
            assert_string_equal(fetchscene_header(fetch, "X-Consumed-Content-Encoding"), "gzip");
            assert_null(fetchscene_header(fetch, "Content-Encoding"));
        } else {
            fetchscene_expect_error(&scene, fetch, -EMSGSIZE, FETCHSCENE_ANY_PHASE);
        }
        fetchscene_close(&scene);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(pieces_wait_for_the_program_when_the_server_has_left),
    cmocka_unit_test(what_the_server_did_not_send_is_missed_behind_the_pieces),
    cmocka_unit_test(the_connection_of_a_redirect_that_goes_on_is_not_used_again),
    cmocka_unit_test(an_answer_that_came_before_a_write_failed_is_the_answer),
    cmocka_unit_test(half_an_answer_before_a_write_failed_is_none),
    cmocka_unit_test(a_long_answer_that_came_before_a_write_failed_is_whole),
    cmocka_unit_test(a_connection_that_takes_no_more_is_not_kept),
    cmocka_unit_test(a_write_that_fails_ends_the_fetch_though_the_server_is_there),
    cmocka_unit_test(the_coding_of_a_body_may_be_among_a_hundred_headers),
};

TESTING_MAIN(tests)
