#include "httpserver/http1connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/faults.h"
#include "tests/support/httpscene.h"
#include "tests/support/httptexts.h"
#include "tests/support/testing.h"

/* Keep-alive. */

/* httpserver_test:test_two_requests */
static void a_connection_serves_one_request_after_another(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_put(&scene, client, GET("/1"));
    httpscene_expect(&scene, client, 200, "GET /1");
    httpscene_put(&scene, client, GET("/2"));
    struct httpscene_answer answer = httpscene_next(&scene, client, false);
    assert_string_equal(answer.body, "GET /2");
    assert_null(strstr(answer.head, "Connection:"));
    httpscene_expect_nothing(&scene, client);
    httpscene_close(&scene);
}

/* httpserver_test:test_request_close */
static void closes_when_the_client_asks_for_it(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_put(&scene, client, LAST_GET("/") GET("/not/served"));
    httpscene_expect_last(&scene, client, 200);
    assert_int_equal(scene.requests, 1);
    httpscene_close(&scene);
}

/* httpserver_test:test_http10 */
static void closes_after_an_old_request(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_put(&scene, client, OLD_GET("/"));
    httpscene_expect_last(&scene, client, 200);
    httpscene_close(&scene);
}

/* httpserver_test:test_http10_keepalive */
static void keeps_an_old_connection_that_asks_for_it_and_says_so(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    for (int i = 0; i < 2; i++) {
        httpscene_put(&scene, client, KEPT_GET("/"));
        struct httpscene_answer answer = httpscene_next(&scene, client, false);
        assert_non_null(strstr(answer.head, "HTTP/1.1 200 OK\r\n"));
        assert_non_null(strstr(answer.head, "\r\nConnection: keep-alive\r\n"));
    }
    httpscene_put(&scene, client, OLD_GET("/"));
    httpscene_expect_last(&scene, client, 200);
    httpscene_close(&scene);
}

/* httpserver_test:test_http10_keepalive_extra_crlf */
static void an_empty_line_before_a_request_is_ignored(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_put(&scene, client, KEPT_GET("/1") "\r\n");
    assert_string_equal(httpscene_next(&scene, client, false).body, "GET /1");
    httpscene_put(&scene, client, KEPT_GET("/2"));
    assert_string_equal(httpscene_next(&scene, client, false).body, "GET /2");
    httpscene_close(&scene);
}

static void head_gets_the_length_and_no_body(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_put(&scene, client, "HEAD /size/70000 HTTP/1.1\r\nHost: a\r\n\r\n" GET("/next"));
    assert_int_equal(httpscene_next(&scene, client, true).length, 70000);
    httpscene_expect(&scene, client, 200, "GET /next");
    httpscene_close(&scene);
}

/* httpserver_test:test_empty_request */
static void a_connection_without_a_request_is_silent(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_settle(&scene);
    assert_int_equal(httpserver_connections(scene.server), 1);
    httpscene_hang_up(client);
    httpscene_settle(&scene);
    assert_int_equal(httpserver_connections(scene.server), 0);
    assert_int_equal(testing_logs(NULL), 0);
    httpscene_close(&scene);
}

/* Pipelining. */

/* httpserver_test:test_pipelined_requests */
static void pipelined_requests_are_answered_in_order_by_one_send(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_put(&scene, client, GET("/warm"));
    httpscene_expect(&scene, client, 200, "GET /warm");
    faults_count_reset();
    httpscene_put(&scene, client,
                  GET("/0") GET("/1") GET("/2") GET("/3") GET("/4") GET("/5") GET("/6") GET("/7") GET("/8") GET("/9"));
    httpscene_settle(&scene);
    assert_int_equal(faults_count("recv"), 1);
    assert_int_equal(faults_count("send") + faults_count("sendmsg"), 1);
    for (int i = 0; i < 10; i++) {
        char wanted[32];
        snprintf(wanted, sizeof wanted, "GET /%d", i);
        httpscene_expect(&scene, client, 200, wanted);
    }
    httpscene_close(&scene);
}

struct timed {
    struct httpscene *scene;
    int answered;
};

static void answer_one(void *arg)
{
    struct timed *timed = arg;

    assert_int_equal(timed->scene->waiting_count, 1); /* one request at a time */
    assert_int_equal(timed->scene->requests, timed->answered + 1);
    timed->answered++;
    assert_int_equal(httpscene_answer_next(timed->scene), 0);
}

static void the_next_request_waits_for_a_late_answer(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);
    struct timed timed = { &scene, 0 };

    httpscene_put(&scene, client, GET("/later") GET("/later") GET("/3") GET("/later"));
    httpscene_settle(&scene);
    assert_true(ioloop_call_later(scene.loop, 1, answer_one, &timed) != 0);
    httpscene_expect_nothing(&scene, client);
    httpscene_pass(&scene, 1);
    httpscene_expect(&scene, client, 200, "later");
    httpscene_expect_nothing(&scene, client);
    assert_true(ioloop_call_later(scene.loop, 1, answer_one, &timed) != 0);
    httpscene_pass(&scene, 1);
    httpscene_expect(&scene, client, 200, "later");
    httpscene_expect(&scene, client, 200, "GET /3");
    httpscene_expect_nothing(&scene, client);
    assert_int_equal(scene.requests, 4);
    assert_int_equal(httpscene_answer_next(&scene), 0);
    httpscene_expect(&scene, client, 200, "later");
    httpscene_close(&scene);
}

/* Sends the same text again and again, until nothing more is taken. Answers how many bytes. */
static size_t put_until_full(struct httpscene *scene, struct httpscene_client *client, const char *text)
{
    size_t length = strlen(text), all = 0;

    for (int idle = 0; idle < 5; idle++) {
        size_t count;
        while ((count = httpscene_put_some(client, text + all % length, length - all % length)) > 0) {
            all += count;
            idle = 0;
        }
        httpscene_settle(scene);
    }
    return all;
}

static void a_flood_of_requests_waits_in_the_kernel_while_one_is_in_work(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_unix(&scene, NULL);

    httpscene_put(&scene, client, GET("/later"));
    httpscene_settle(&scene);
    size_t before = faults_allocated_bytes();
    size_t sent = put_until_full(&scene, client, GET("/next"));
    assert_in_range(sent, 1, 4 << 20);
    assert_in_range(faults_allocated_bytes() - before, 0, 200000);
    assert_int_equal(scene.requests, 1);
    assert_int_equal(httpscene_answer_next(&scene), 0);
    httpscene_expect(&scene, client, 200, "later");
    for (size_t i = 0; i < sent / strlen(GET("/next")); i++)
        httpscene_expect(&scene, client, 200, "GET /next");
    httpscene_close(&scene);
}

static void a_flood_of_requests_whose_answers_nobody_reads_stops(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_unix(&scene, NULL);

    httpscene_put(&scene, client, GET("/size/900"));
    httpscene_settle(&scene);
    size_t before = faults_allocated_bytes();
    size_t sent = put_until_full(&scene, client, GET("/size/900"));
    size_t requests = 1 + sent / strlen(GET("/size/900"));
    assert_in_range(faults_allocated_bytes() - before, 0, 500000);
    assert_true((size_t)scene.requests < requests);
    for (size_t i = 0; i < requests; i++)
        assert_int_equal(httpscene_next(&scene, client, false).length, 900);
    assert_in_range(scene.requests, requests, requests);
    httpscene_close(&scene);
}

/* The outcome must not depend on how the bytes came. */

static const char *const streams[] = {
    GET("/1"),
    GET("/1") GET("/2") GET("/3"),
    "\r\n" GET("/1") "\r\n" GET("/2"),
    OLD_GET("/1"),
    KEPT_GET("/1") KEPT_GET("/2") OLD_GET("/3"),
    LAST_GET("/1") GET("/2"),
    "HEAD /1 HTTP/1.1\r\nHost: a\r\n\r\n" GET("/2"),
    POST("0") GET("/2"),
    POST("5") "hello" GET("/2"),
    POST("5") "GET /" POST("1") "x",
    "PUT /a?b HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\nConnection: close\r\n\r\nabc",
    POST("9") "short",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nokGET",
    POST("3000000") "too much",
    "GET / HTTP/1.1\r\n\r\n" GET("/2"),
    GET("/1") "GET / HTTP/1.1\r\nHost : a\r\n\r\n" GET("/3"),
    GET("/1") "GET / HTTP/1.1\nHost: a\n\n",
    "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" GET("/2"),
    "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
    GET("/1") "nonsense",
    CHUNKED "5\r\nhello\r\n6; a=\"b\"\r\n world\r\n0\r\n\r\n" GET("/2"),
    CHUNKED "1\r\na\r\n0\r\nX: y\r\nContent-Length: 5\r\n\r\n" CHUNKED "0\r\n\r\n" GET("/2"),
    CHUNKED "5\r\nhelloXX0\r\n\r\n" GET("/2"),
    CHUNKED "3\r\nabc\r\n0\r\nX : y\r\n\r\n" GET("/2"),
    CHUNKED "3\r\nabc\r\n0\r\nXX" GET("/2"),
    CHUNKED "3\r\nab",
    CHUNKED_EXPECTS "3\r\nabc\r\n0\r\n\r\n" GET("/2"),
    "",
};

static char *serve_in_pieces(struct httpscene *scene, const char *text, size_t first, size_t step, size_t *length)
{
    struct httpscene_client *client = httpscene_connect_unix(scene);

    for (size_t at = 0, end = first; at < strlen(text); at = end, end += step) {
        if (end > strlen(text))
            end = strlen(text);
        httpscene_put_bytes(scene, client, text + at, end - at);
        testing_spin(scene->loop, 2);
    }
    httpscene_finish(client);
    char *transcript = httpscene_transcript(scene, client, length);
    httpscene_hang_up(client);
    return transcript;
}

static void check_pieces(struct httpscene *scene, const char *text, size_t first, size_t step, const char *wanted,
                         size_t wanted_length)
{
    size_t length;
    char *got = serve_in_pieces(scene, text, first, step, &length);

    if (length != wanted_length || memcmp(got, wanted, length) != 0)
        fail_msg("pieces of %zu and %zu of:\n%s\ngave:\n%s\ninstead of:\n%s", first, step, text, got, wanted);
    free(got);
}

static void answers_do_not_depend_on_how_a_stream_is_split(void **state)
{
    struct httpscene scene;

    httpscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++) {
        size_t length, size = strlen(streams[i]);
        char *whole = serve_in_pieces(&scene, streams[i], size, size, &length);

        check_pieces(&scene, streams[i], 1, 1, whole, length);
        check_pieces(&scene, streams[i], 7, 3, whole, length);
        for (size_t first = 1; first < size; first++)
            check_pieces(&scene, streams[i], first, size, whole, length);
        free(whole);
    }
    httpscene_close(&scene);
}

static void answers_do_not_depend_on_how_much_a_call_moves(void **state)
{
    struct httpscene scene;

    httpscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++) {
        size_t length, size = strlen(streams[i]);
        char *whole = serve_in_pieces(&scene, streams[i], size, size, &length);

        for (size_t bytes = 1; bytes < 300; bytes = 3 * bytes + 1) {
            faults_short_io(bytes);
            check_pieces(&scene, streams[i], size, size, whole, length);
        }
        faults_short_io(0);
        free(whole);
    }
    httpscene_close(&scene);
}

/* What is refused. */

struct refused {
    const char *bytes;
    int status;
};

static const struct refused refusals[] = {
    { "GET / HTTP/1.1\r\n\r\n", 400 },
    { "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400 },
    { "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400 }, /* httpserver_test:test_invalid_host_header_with_whitespace */
    { "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: foo\r\n\r\n",
      400 }, /* httpserver_test:test_invalid_content_length */
    { "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +10\r\n\r\n", 400 },
    { "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1_0\r\n\r\n", 400 },
    { "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", 400 },
    { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 35\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" GET("/SMUG"),
      400 },
    { "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n", 400 },
    { "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501 },
    { "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 501 },
    { "GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", 417 },
    { "HTTP/1.1 200 OK\r\n\r\n", 400 },
    { "asdf\r\n\r\n", 400 },                             /* httpserver_test:test_malformed_first_line_response */
    { "GET / HTTP/1.1\r\nHost: a\r\nbad\r\n\r\n", 400 }, /* httpserver_test:test_malformed_headers */
    { "G[T / HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
    { "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505 },
    { "GET / HTTP/1.1\r\nHost: a\r\n folded: x\r\n\r\n", 400 },
    { "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400 },
    { "GET / HTTP/1.1\nHost: a\n\n", 400 }, /* httpserver_test:test_newlines, but that only CRLF ends a line */
    { "GET / HTTP/1.1\r\nHost: a\r\n\rXGET /SMUG HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
    { "GET / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\n", 400 },
    { "GET / HTTP/1.1\r\nHost: a\r\nFoo Bar: x\r\n\r\n", 400 },
    { "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400 },
    { "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", 400 },
    { "GET http://x/ HTTP/1.1\r\nHost: y\r\n\r\n", 400 },
    { "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
    { "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
    { "GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
    { "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
    { "GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400 },
    { "GET / http/1.1\r\nHost: a\r\n\r\n", 400 },
    { "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 },
    { "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 },
    { "\x16\x03\x01\x02\x01", 400 }, /* a ClientHello */
    { "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505 },
    { "GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n\r\n\r\nx", 0 },
};

/* Nothing that is refused may be answered twice, or its rest be taken for a request. */
static void check_refusal(struct httpscene *scene, const struct refused *refused, const char *before, size_t rest)
{
    struct httpscene_client *client = httpscene_connect(scene);
    char *garbage = malloc(rest + 1);
    int requests = scene->requests + (*before != '\0');

    filled(garbage, rest);
    httpscene_put(scene, client, before);
    httpscene_put(scene, client, refused->bytes);
    httpscene_put(scene, client, garbage);
    if (*before != '\0')
        httpscene_expect(scene, client, 200, "GET /before");
    httpscene_expect_last(scene, client, refused->status);
    assert_int_equal(scene->requests, requests);
    httpscene_put(scene, client, GET("/behind"));
    httpscene_settle(scene);
    assert_int_equal(scene->requests, requests);
    httpscene_hang_up(client);
    httpscene_settle(scene);
    assert_int_equal(httpserver_connections(scene->server), 0);
    free(garbage);
}

static void what_is_not_a_request_is_answered_once_and_dropped(void **state)
{
    struct httpscene scene;

    httpscene_open(&scene, NULL);
    for (size_t i = 0; refusals[i].status != 0; i++) {
        check_refusal(&scene, &refusals[i], "", 0);
        check_refusal(&scene, &refusals[i], GET("/before"), 0);
        check_refusal(&scene, &refusals[i], "", 60000);
    }
    httpscene_close(&scene);
}

/* RFC 9110 9.3.2. Also where no more is understood of it than that. */
static void a_head_request_that_is_refused_gets_no_body(void **state)
{
    static const struct refused cases[] = {
        { "HEAD / HTTP/1.1\r\n\r\n", 400 },
        { "\r\nHEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
        { "HEAD / HTTP/1.1\r\nHost: a\r\nX: a\rb", 400 },
        { "HEAD / HTTP/2.0\r\n\r\n", 505 },
        { "HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n", 413 },
        { "HEAD / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", 417 },
    };
    struct httpscene scene;

    httpscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct httpscene_client *client = httpscene_connect(&scene);
        httpscene_put(&scene, client, GET("/before"));
        httpscene_expect(&scene, client, 200, "GET /before");
        httpscene_put(&scene, client, cases[i].bytes);
        struct httpscene_answer answer = httpscene_next(&scene, client, true);
        assert_int_equal(answer.status, cases[i].status);
        assert_true(answer.closes);
        httpscene_expect_end(&scene, client);
        httpscene_hang_up(client);
    }
    struct httpscene_client *client = httpscene_connect(&scene);
    httpscene_put(&scene, client, "HEADER / HTTP/1.1\r\n\r\n");
    httpscene_expect_last(&scene, client, 400);
    httpscene_close(&scene);
}

/* httpserver_test:test_malformed_first_line_log */
static void a_refusal_is_logged_once_for_information(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_put(&scene, client, "asdf\r\n\r\nasdf\r\n\r\n");
    httpscene_expect_last(&scene, client, 400);
    assert_int_equal(testing_logs("I refused with 400: "), 1);
    assert_int_equal(testing_logs(" (127.0.0.1)"), 1); /* whose it was */
    assert_int_equal(testing_logs(NULL), 1);
    httpscene_close(&scene);
}

static void heads_over_their_limits_are_refused_before_they_are_whole(void **state)
{
    char *text = malloc(40001);
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, &(struct httpserver_options){ .max_header = 1000 });

    filled(text, 40000);
    httpscene_put(&scene, client, "GET /");
    httpscene_put_bytes(&scene, client, text, 9000);
    httpscene_expect_last(&scene, client, 414);
    client = httpscene_connect(&scene);
    httpscene_put(&scene, client, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
    httpscene_put_bytes(&scene, client, text, 960);
    httpscene_expect_nothing(&scene, client);
    httpscene_put_bytes(&scene, client, text, 40);
    httpscene_expect_last(&scene, client, 431);
    httpscene_close(&scene);
    free(text);
}

/* Then its client is held back, but not reset: it may have its answer still to read. */
static void lingers_for_64_kib_and_reads_no_more(void **state)
{
    char *text = malloc(70001);
    struct httpscene scene;
    struct httpscene_client *client = begin_unix(&scene, NULL);
    size_t put = 0;

    filled(text, 70000);
    httpscene_put(&scene, client, "asdf\r\n\r\n");
    httpscene_settle(&scene);
    httpscene_put_bytes(&scene, client, text, 60000);
    httpscene_settle(&scene);
    for (size_t some = 1; some > 0; put += some) {
        some = httpscene_put_some(client, text, 70000);
        httpscene_settle(&scene);
        assert_in_range(put, 0, 8 << 20);
    }
    assert_int_equal(httpserver_connections(scene.server), 1);
    httpscene_expect_last(&scene, client, 400);
    httpscene_pass(&scene, 5.2);
    assert_int_equal(httpserver_connections(scene.server), 0);
    httpscene_close(&scene);
    free(text);
}

static void lingers_for_5_s_and_not_longer(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_put(&scene, client, "asdf\r\n\r\n");
    httpscene_expect_last(&scene, client, 400);
    for (int i = 0; i < 4; i++) {
        httpscene_put(&scene, client, "x");
        httpscene_pass(&scene, 1.2);
        assert_int_equal(httpserver_connections(scene.server), 1);
    }
    httpscene_pass(&scene, 0.4);
    assert_int_equal(httpserver_connections(scene.server), 0);
    httpscene_close(&scene);
}

/* A client that goes on sending does not lose the rest of the last answer that it is still reading. */
static void the_last_answer_is_sent_in_full_whatever_still_comes(void **state)
{
    char *text = malloc(200001);
    struct httpscene scene;
    struct httpscene_client *client = begin_unix(&scene, NULL);

    filled(text, 200000);
    httpscene_put(&scene, client, LAST_GET("/size/3000000"));
    httpscene_put_bytes(&scene, client, text, 100000);
    httpscene_settle(&scene);
    httpscene_put_some(client, text, 100000);
    httpscene_settle(&scene);
    assert_int_equal(httpscene_next(&scene, client, false).length, 3000000);
    httpscene_expect_end(&scene, client);
    httpscene_pass(&scene, 30.2);
    assert_int_equal(httpserver_connections(scene.server), 0);
    httpscene_close(&scene);
    free(text);
}

/* What only looks like framing is none, and nobody is upgraded who is not detached. */
static void headers_that_look_like_others_mean_nothing(void **state)
{
    static const char *const heads[] = {
        "Content_Length: 5\r\n",
        "Transfer_Encoding: chunked\r\n",
        "Content-Lengths: 5\r\nXTransfer-Encoding: chunked\r\n",
        "Upgrade: h2c\r\nConnection: Upgrade\r\n",
        "Upgrade: websocket\r\n",
    };
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        char text[300];

        snprintf(text, sizeof text, "GET /1 HTTP/1.1\r\nHost: a\r\n%s\r\n%s", heads[i], GET("/2"));
        httpscene_put(&scene, client, text);
        httpscene_expect(&scene, client, 200, "GET /1");
        httpscene_expect(&scene, client, 200, "GET /2");
    }
    httpscene_put(&scene, client,
                  "POST /3 HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 3\r\n\r\n"
                  "abc" GET("/4"));
    httpscene_expect(&scene, client, 200, "POST /3 abc");
    httpscene_expect(&scene, client, 200, "GET /4");
    httpscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_connection_serves_one_request_after_another),
    cmocka_unit_test(closes_when_the_client_asks_for_it),
    cmocka_unit_test(closes_after_an_old_request),
    cmocka_unit_test(keeps_an_old_connection_that_asks_for_it_and_says_so),
    cmocka_unit_test(an_empty_line_before_a_request_is_ignored),
    cmocka_unit_test(head_gets_the_length_and_no_body),
    cmocka_unit_test(a_connection_without_a_request_is_silent),
    cmocka_unit_test(pipelined_requests_are_answered_in_order_by_one_send),
    cmocka_unit_test(the_next_request_waits_for_a_late_answer),
    cmocka_unit_test(a_flood_of_requests_waits_in_the_kernel_while_one_is_in_work),
    cmocka_unit_test(a_flood_of_requests_whose_answers_nobody_reads_stops),
    cmocka_unit_test(answers_do_not_depend_on_how_a_stream_is_split),
    cmocka_unit_test(answers_do_not_depend_on_how_much_a_call_moves),
    cmocka_unit_test(what_is_not_a_request_is_answered_once_and_dropped),
    cmocka_unit_test(a_head_request_that_is_refused_gets_no_body),
    cmocka_unit_test(a_refusal_is_logged_once_for_information),
    cmocka_unit_test(heads_over_their_limits_are_refused_before_they_are_whole),
    cmocka_unit_test(lingers_for_64_kib_and_reads_no_more),
    cmocka_unit_test(lingers_for_5_s_and_not_longer),
    cmocka_unit_test(the_last_answer_is_sent_in_full_whatever_still_comes),
    cmocka_unit_test(headers_that_look_like_others_mean_nothing),
};

TESTING_MAIN(tests)
