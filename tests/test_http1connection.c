#include "httpserver/http1connection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/support/faults.h"
#include "tests/support/httpscene.h"
#include "tests/support/testing.h"

#define GET(target)      "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"
#define OLD_GET(target)  "GET " target " HTTP/1.0\r\n\r\n"
#define KEPT_GET(target) "GET " target " HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
#define LAST_GET(target) "GET " target " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
#define POST(length)     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " length "\r\n\r\n"

static struct httpscene_client *begin(struct httpscene *scene, const struct httpserver_options *options)
{
    httpscene_open(scene, options);
    return httpscene_connect(scene);
}

static struct httpscene_client *begin_unix(struct httpscene *scene, const struct httpserver_options *options)
{
    httpscene_open(scene, options);
    return httpscene_connect_unix(scene);
}

static const char *filled(char *bytes, size_t length)
{
    assert_non_null(bytes);
    memset(bytes, 'b', length);
    bytes[length] = '\0';
    return bytes;
}

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
        char wanted[16];
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

/* Clients that leave. */

static void check_leaving(bool local, const char *text, bool told)
{
    struct httpscene scene;
    struct httpscene_client *client = local ? begin_unix(&scene, NULL) : begin(&scene, NULL);

    httpscene_put(&scene, client, text);
    httpscene_settle(&scene);
    assert_int_equal(scene.waiting_count, 1);
    if (local)
        httpscene_hang_up(client); /* of a Unix socket: both directions end */
    else
        httpscene_reset(client);
    httpscene_settle(&scene);
    assert_int_equal(scene.left, told);
    int error = httpscene_answer_next(&scene);
    assert_true(told ? error == -EBADF : error < 0);
    httpscene_settle(&scene);
    assert_int_equal(httpserver_connections(scene.server), 0);
    assert_int_equal(scene.requests, 1);
    assert_int_equal(testing_logs(NULL), 0);
    httpscene_expect_alive(&scene);
    httpscene_close(&scene);
}

static void a_request_is_told_when_its_client_leaves(void **state)
{
    check_leaving(false, GET("/later"), true);
    check_leaving(true, GET("/later"), true);
    check_leaving(true, "POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", true);
}

/* That is seen only when the answer does not go. httpserver_test:test_pipelined_cancel */
static void a_client_may_leave_with_requests_outstanding(void **state)
{
    check_leaving(false, GET("/later") GET("/later"), false);
    check_leaving(true, GET("/later") GET("/later") "GET / HT", false);
}

/* httpserver_test:test_cancel_during_download */
static void a_client_may_leave_during_a_long_answer(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_put(&scene, client, GET("/size/9000000") GET("/2"));
    httpscene_settle(&scene);
    assert_true(httpscene_take(client, 1000) > 0);
    httpscene_reset(client);
    httpscene_settle(&scene);
    assert_int_equal(httpserver_connections(scene.server), 0);
    assert_int_equal(testing_logs(NULL), 0);
    httpscene_close(&scene);
}

static void a_half_closed_client_gets_its_answers(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_put(&scene, client, GET("/1") GET("/2"));
    httpscene_finish(client);
    httpscene_expect(&scene, client, 200, "GET /1");
    httpscene_expect(&scene, client, 200, "GET /2");
    httpscene_expect_end(&scene, client);
    httpscene_close(&scene);
}

static void a_half_closed_client_gets_its_late_answer(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_put(&scene, client, GET("/later") GET("/2") GET("/later"));
    httpscene_finish(client);
    httpscene_settle(&scene);
    httpscene_expect_nothing(&scene, client);
    assert_int_equal(scene.left, 0);
    assert_int_equal(httpscene_answer_next(&scene), 0);
    httpscene_expect(&scene, client, 200, "later");
    httpscene_expect(&scene, client, 200, "GET /2");
    httpscene_expect_nothing(&scene, client);
    assert_int_equal(httpscene_answer_next(&scene), 0);
    httpscene_expect(&scene, client, 200, "later");
    httpscene_expect_end(&scene, client);
    httpscene_close(&scene);
}

static void check_half_closed(const char *text, size_t length)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_put(&scene, client, text);
    httpscene_finish(client);
    httpscene_settle(&scene);
    if (scene.waiting_count > 0) {
        httpscene_answer(scene.waiting[--scene.waiting_count]);
        httpscene_settle(&scene);
    }
    assert_int_equal(httpscene_next(&scene, client, false).length, length);
    httpscene_expect_end(&scene, client);
    httpscene_settle(&scene);
    assert_int_equal(httpserver_connections(scene.server), 0);
    httpscene_close(&scene);
}

static void a_half_closed_client_gets_all_of_a_long_answer(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    check_half_closed(GET("/size/9000000"), 9000000);
    check_half_closed(OLD_GET("/size/9000000"), 9000000);
    check_half_closed(GET("/size/9000000") "GET / HT", 9000000);
    check_half_closed(GET("/size/9000000") POST("5") "hel", 9000000);
    scene.on_request = httpscene_wait;
    httpscene_put(&scene, client, GET("/size/9000000"));
    httpscene_finish(client);
    httpscene_settle(&scene);
    httpscene_answer(scene.waiting[--scene.waiting_count]);
    httpscene_settle(&scene);
    assert_int_equal(httpscene_next(&scene, client, false).length, 9000000);
    httpscene_expect_end(&scene, client);
    httpscene_close(&scene);
}

/* Bodies. */

static void a_body_may_come_in_pieces_and_with_the_next_request_behind_it(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_put(&scene, client, POST("5") "hello");
    httpscene_expect(&scene, client, 200, "POST / hello");
    httpscene_put(&scene, client, POST("10"));
    httpscene_expect_nothing(&scene, client);
    httpscene_put(&scene, client, "hel");
    httpscene_expect_nothing(&scene, client);
    httpscene_put(&scene, client, "lo wor");
    httpscene_expect_nothing(&scene, client);
    assert_int_equal(scene.requests, 1);
    httpscene_put(&scene, client, "l" GET("/2") POST("1") "x");
    httpscene_expect(&scene, client, 200, "POST / hello worl");
    httpscene_expect(&scene, client, 200, "GET /2");
    httpscene_expect(&scene, client, 200, "POST / x");
    httpscene_close(&scene);
}

/* httpserver_test:test_small_body */
static void a_body_may_be_as_long_as_max_body(void **state)
{
    char *body = malloc(65537);
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, &(struct httpserver_options){ .max_body = 65536 });

    filled(body, 65536);
    httpscene_put(&scene, client, POST("65536"));
    httpscene_put(&scene, client, body);
    assert_int_equal(httpscene_next(&scene, client, false).length, strlen("POST / ") + 65536);
    httpscene_put(&scene, client, POST("65537"));
    httpscene_expect_last(&scene, client, 413);
    httpscene_close(&scene);
    free(body);
}

/* It sends all before it reads, until it cannot. (httpserver_test:test_large_body_buffered, but with 413.) */
static void a_body_over_the_limit_gets_an_answer_that_can_be_read(void **state)
{
    char *piece = malloc(65537);
    size_t left = 10 << 20;
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    filled(piece, 65536);
    httpscene_put(&scene, client, POST("10485760"));
    for (int idle = 0; left > 0 && idle < 100; idle++) {
        size_t count = httpscene_put_some(client, piece, left < 65536 ? left : 65536);
        left -= count;
        if (count > 0)
            idle = 0;
        testing_spin(scene.loop, 1);
    }
    struct httpscene_answer answer = httpscene_next(&scene, client, false);
    assert_int_equal(answer.status, 413);
    assert_true(answer.closes);
    assert_int_equal(scene.requests, 0);
    httpscene_close(&scene);
    free(piece);
}

/* httpserver_test:test_100_continue */
static void who_expects_100_gets_one_and_then_the_answer(void **state)
{
    static const char ask[] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    for (int i = 0; i < 2; i++) {
        httpscene_put(&scene, client, ask);
        httpscene_expect_text(&scene, client, "HTTP/1.1 100 Continue\r\n\r\n");
        httpscene_expect_nothing(&scene, client);
        httpscene_put(&scene, client, "bo");
        httpscene_expect_nothing(&scene, client);
        httpscene_put(&scene, client, "dy");
        httpscene_expect(&scene, client, 200, "POST / body");
    }
    httpscene_put(&scene, client,
                  "POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 1\r\n"
                  "Expect: 100-continue\r\n\r\nx");
    httpscene_expect(&scene, client, 200, "POST / x");
    httpscene_put(&scene, client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n");
    httpscene_expect(&scene, client, 200, "POST /");
    httpscene_close(&scene);
}

static void who_expects_100_for_too_much_gets_413_instead(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_put(&scene, client,
                  "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\nExpect: 100-continue\r\n\r\n");
    httpscene_expect_last(&scene, client, 413);
    httpscene_close(&scene);
}

static void a_truncated_body_is_no_request(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_put(&scene, client, POST("5") "hel");
    httpscene_finish(client);
    httpscene_expect_end(&scene, client);
    assert_int_equal(scene.requests, 0);
    httpscene_close(&scene);
}

static void memory_grows_with_what_has_come_and_not_with_what_was_announced(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, &(struct httpserver_options){ .max_body = UINT64_MAX });

    httpscene_put(&scene, client, GET("/"));
    httpscene_expect(&scene, client, 200, "GET /");
    size_t before = faults_allocated_bytes();
    httpscene_put(&scene, client, POST("9223372036854775807") "some");
    httpscene_expect_nothing(&scene, client);
    assert_in_range(faults_allocated_bytes() - before, 0, 1024);
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
    { "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 501 },
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

/* httpserver_test:test_malformed_first_line_log */
static void a_refusal_is_logged_once_for_information(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_put(&scene, client, "asdf\r\n\r\nasdf\r\n\r\n");
    httpscene_expect_last(&scene, client, 400);
    assert_int_equal(testing_logs("I refused with 400: "), 1);
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

static void lingers_for_64_kib_and_not_more(void **state)
{
    char *text = malloc(70001);
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    filled(text, 70000);
    httpscene_put(&scene, client, "asdf\r\n\r\n");
    httpscene_settle(&scene);
    httpscene_put_bytes(&scene, client, text, 60000);
    httpscene_settle(&scene);
    assert_int_equal(httpserver_connections(scene.server), 1);
    httpscene_put_bytes(&scene, client, text, 6000);
    httpscene_settle(&scene);
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
    httpscene_pass(&scene, 25);
    assert_int_equal(httpserver_connections(scene.server), 0);
    httpscene_close(&scene);
    free(text);
}

/* Deadlines. A tick of the wheel is 0.067 s, and they may be two late. */

#define LATE 0.14

static void a_slow_head_is_cut_ten_seconds_after_its_first_byte(void **state)
{
    static const char head[] = "GET /slow/and/never/whole HTTP/1.1\r\n";
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_put(&scene, client, "GET / HT");
    httpscene_settle(&scene);
    httpscene_put(&scene, client, "TP/1.1\r\nHost: a\r\n\r\n");
    httpscene_expect(&scene, client, 200, "GET /");
    httpscene_pass(&scene, 30);
    for (int i = 0; i < 10; i++) {
        httpscene_put_bytes(&scene, client, head + i, 1);
        httpscene_expect_nothing(&scene, client);
        httpscene_pass(&scene, i < 9 ? 1 : 0.9);
    }
    httpscene_expect_nothing(&scene, client);
    httpscene_pass(&scene, 0.1 + LATE);
    httpscene_expect_last(&scene, client, 408);
    httpscene_close(&scene);
}

static void a_slow_head_on_a_new_connection_is_cut_too(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, &(struct httpserver_options){ .header_timeout = 3 });

    httpscene_settle(&scene);
    httpscene_pass(&scene, 1);
    httpscene_put(&scene, client, "G");
    httpscene_pass(&scene, 1.9);
    httpscene_expect_nothing(&scene, client);
    httpscene_pass(&scene, 0.1 + LATE);
    httpscene_expect_last(&scene, client, 408);
    httpscene_close(&scene);
}

/* Behind a request that was in work for longer than that, it has its time. */
static void a_head_that_came_early_is_not_late(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_put(&scene, client, GET("/later") "GET /next HTTP/1.1\r\n");
    httpscene_settle(&scene);
    for (int i = 0; i < 5; i++)
        httpscene_pass(&scene, 30);
    assert_int_equal(httpscene_answer_next(&scene), 0);
    httpscene_expect(&scene, client, 200, "later");
    httpscene_pass(&scene, 9);
    httpscene_put(&scene, client, "Host: a\r\n\r\n");
    httpscene_expect(&scene, client, 200, "GET /next");
    httpscene_close(&scene);
}

/* httpserver_test:test_unused_connection */
static void a_connection_that_says_nothing_is_closed_silently(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_settle(&scene);
    httpscene_pass(&scene, 9.9);
    httpscene_expect_nothing(&scene, client);
    httpscene_pass(&scene, 0.1 + LATE);
    httpscene_expect_end(&scene, client);
    httpscene_close(&scene);
}

/* httpserver_test:test_idle_after_use */
static void an_idle_connection_is_closed_silently(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    for (int i = 0; i < 3; i++) {
        httpscene_put(&scene, client, "GET / HT");
        httpscene_settle(&scene);
        httpscene_put(&scene, client, "TP/1.1\r\nHost: a\r\n\r\n");
        httpscene_expect(&scene, client, 200, "GET /");
        httpscene_pass(&scene, 59.9);
        httpscene_expect_nothing(&scene, client);
    }
    httpscene_pass(&scene, 0.1 + LATE);
    httpscene_expect_end(&scene, client);
    httpscene_close(&scene);
}

/* httpserver_test:test_timeout, but that the client is told */
static void a_body_that_stops_coming_is_cut(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_put(&scene, client, POST("100"));
    for (int i = 0; i < 4; i++) {
        httpscene_settle(&scene);
        httpscene_pass(&scene, 19);
        httpscene_expect_nothing(&scene, client);
        httpscene_put(&scene, client, "x");
    }
    httpscene_settle(&scene);
    httpscene_pass(&scene, 20 + LATE);
    httpscene_expect_last(&scene, client, 408);
    assert_int_equal(scene.requests, 0);
    httpscene_close(&scene);
}

static void a_program_takes_all_the_time_it_wants(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_put(&scene, client, GET("/later"));
    httpscene_settle(&scene);
    for (int i = 0; i < 20; i++) {
        httpscene_pass(&scene, 50);
        httpscene_expect_nothing(&scene, client);
    }
    assert_int_equal(httpscene_answer_next(&scene), 0);
    httpscene_expect(&scene, client, 200, "later");
    httpscene_pass(&scene, 59);
    httpscene_expect_nothing(&scene, client);
    httpscene_pass(&scene, 1 + LATE);
    httpscene_expect_end(&scene, client);
    httpscene_close(&scene);
}

/* A long answer to a client that reads a little every ten seconds. Answers how much it has read. */
static size_t read_slowly(struct httpscene *scene, struct httpscene_client *client, int times)
{
    size_t taken = 0;

    for (int i = 0; i < times; i++) {
        httpscene_settle(scene);
        size_t some = httpscene_take(client, 40000);
        assert_true(some > 0);
        taken += some;
        httpscene_settle(scene);
        httpscene_pass(scene, 10);
        assert_int_equal(httpserver_connections(scene->server), 1);
    }
    return taken;
}

static void check_slow_reader(const char *text)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_unix(&scene, NULL);

    httpscene_put(&scene, client, text);
    assert_true(read_slowly(&scene, client, 40) < 4000000);
    for (int i = 0; i < 10 && httpserver_connections(scene.server) > 0; i++)
        httpscene_pass(&scene, 5);
    assert_int_equal(httpserver_connections(scene.server), 0);
    httpscene_close(&scene);
}

static void a_slow_reader_is_cut_only_when_it_stops(void **state)
{
    check_slow_reader(GET("/size/4000000"));
    check_slow_reader(LAST_GET("/size/4000000"));
    check_slow_reader(OLD_GET("/size/4000000"));
    check_slow_reader(GET("/size/4000000") "GET / HT");
}

static void a_slow_reader_has_all_the_idle_time_when_it_is_through(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_unix(&scene, NULL);

    httpscene_put(&scene, client, GET("/size/2000000"));
    read_slowly(&scene, client, 13);
    assert_int_equal(httpscene_next(&scene, client, false).length, 2000000);
    httpscene_settle(&scene);
    httpscene_pass(&scene, 59);
    httpscene_expect_nothing(&scene, client);
    httpscene_put(&scene, client, GET("/2"));
    httpscene_expect(&scene, client, 200, "GET /2");
    httpscene_close(&scene);
}

static const struct http1connection *connection_seen;

static void see_connection(struct httpscene *scene, struct httprequest *request)
{
    connection_seen = request->connection;
    httpscene_answer(request);
}

static void a_reader_that_does_not_begin_is_cut(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_unix(&scene, NULL);

    httpscene_put(&scene, client, GET("/size/4000000"));
    httpscene_settle(&scene);
    httpscene_pass(&scene, 19.9);
    assert_int_equal(httpserver_connections(scene.server), 1);
    httpscene_pass(&scene, 0.1 + LATE);
    assert_int_equal(httpserver_connections(scene.server), 0);
    httpscene_close(&scene);
}

/* Asks for more and more, until a little of it has to wait here. Answers how much that was. */
static int ask_until_something_waits(struct httpscene *scene, struct httpscene_client *client)
{
    int size = 10000;

    scene->on_request = see_connection;
    for (; size < 4000000; size += 20000) {
        char text[64];

        snprintf(text, sizeof text, GET("/size/%d"), size);
        httpscene_put(scene, client, text);
        httpscene_settle(scene);
        if (iostream_pending(connection_seen->stream) > 0)
            break;
        httpscene_next(scene, client, false);
    }
    assert_in_range(iostream_pending(connection_seen->stream), 1, 60000);
    return size;
}

static void a_half_closed_client_gets_the_end_of_an_answer_too(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_unix(&scene, NULL);
    size_t size = (size_t)ask_until_something_waits(&scene, client);
    char text[64];

    client = httpscene_connect_unix(&scene);
    scene.on_request = httpscene_wait;
    snprintf(text, sizeof text, GET("/size/%zu"), size);
    httpscene_put(&scene, client, text);
    httpscene_finish(client);
    httpscene_settle(&scene);
    httpscene_answer(scene.waiting[--scene.waiting_count]);
    httpscene_settle(&scene);
    assert_int_equal(httpscene_next(&scene, client, false).length, size);
    httpscene_expect_end(&scene, client);
    httpscene_close(&scene);
}

static void a_reader_that_has_become_fast_again_has_no_more_than_the_idle_time(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_unix(&scene, NULL);

    ask_until_something_waits(&scene, client);
    httpscene_pass(&scene, 61); /* it is seen to be slow */
    httpscene_next(&scene, client, false);
    httpscene_put(&scene, client, GET("/"));
    httpscene_expect(&scene, client, 200, "GET /");
    httpscene_pass(&scene, 60 + LATE);
    httpscene_expect_end(&scene, client);
    httpscene_close(&scene);
}

static void an_answer_whose_end_is_read_late_leaves_the_idle_time_too(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_unix(&scene, NULL);

    ask_until_something_waits(&scene, client);
    httpscene_pass(&scene, 61); /* it is seen to be slow, */
    httpscene_next(&scene, client, false);
    httpscene_pass(&scene, 21); /* and that it is not any more */
    httpscene_pass(&scene, 58);
    httpscene_expect_nothing(&scene, client);
    httpscene_pass(&scene, 2 + LATE);
    httpscene_expect_end(&scene, client);
    httpscene_close(&scene);
}

/* The cost of a request. */

static void a_warm_request_costs_one_receive_and_one_send(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    scene.on_request = see_connection;
    for (int i = 0; i < 3; i++) {
        httpscene_put(&scene, client, GET("/"));
        httpscene_expect(&scene, client, 200, "GET /");
    }
    for (int i = 0; i < 5; i++) {
        scene.clock += 1;
        httpscene_put(&scene, client, GET("/"));
        struct deadline deadline = connection_seen->deadline;
        long allocations = faults_allocations();
        faults_count_reset();
        assert_int_equal(ioloop_run_once(scene.loop, 1), 1);
        assert_int_equal(faults_count("recv"), 1);
        assert_int_equal(faults_count("send"), 1);
        assert_int_equal(faults_count("sendmsg") + faults_count("epoll_ctl") + faults_count("fcntl"), 0);
        assert_int_equal(faults_allocations(), allocations);
        assert_ptr_equal(connection_seen->deadline.link, deadline.link);
        assert_true(connection_seen->deadline.touched > deadline.touched);
        httpscene_expect(&scene, client, 200, "GET /");
    }
    httpscene_close(&scene);
}

static void a_connection_that_waits_owns_no_buffer(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_put(&scene, client, GET("/"));
    httpscene_expect(&scene, client, 200, "GET /");
    size_t before = faults_allocated_bytes();
    for (int i = 0; i < 50; i++) {
        client = httpscene_connect(&scene);
        httpscene_put(&scene, client, GET("/"));
        httpscene_expect(&scene, client, 200, "GET /");
    }
    assert_in_range((faults_allocated_bytes() - before) / 50, 0, 512);
    httpscene_close(&scene);
}

/* Failures. */

/* Some of all there is, by clients that do not care what they get. The last one has an answer waiting. */
static void try_everything(struct httpscene *scene)
{
    static const char *const texts[] = {
        GET("/1") GET("/2") "GET / HT",
        POST("5") "he",
        "asdf\r\n\r\n",
        GET("/size/300000"),
        LAST_GET("/1"),
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n",
        GET("/later") GET("/2"),
    };
    enum { COUNT = sizeof texts / sizeof *texts };
    struct httpscene_client *clients[COUNT];

    for (int i = 0; i < COUNT; i++) {
        clients[i] = i % 2 == 0 ? httpscene_connect_unix(scene) : httpscene_connect(scene);
        httpscene_put_some(clients[i], texts[i], strlen(texts[i]));
        testing_spin(scene->loop, 2);
    }
    httpscene_settle(scene);
    httpscene_put_some(clients[1], "llo", 3);
    httpscene_put_some(clients[5], "ok" GET("/2"), 2 + sizeof GET("/2") - 1);
    httpscene_take(clients[3], SIZE_MAX);
    httpscene_settle(scene);
    while (scene->waiting_count > 0)
        (void)!httpscene_answer_next(scene);
    httpscene_settle(scene);
    httpscene_pass(scene, 11);
    for (int i = 0; i < COUNT; i++)
        httpscene_hang_up(clients[i]);
    httpscene_settle(scene);
}

/* Then all is as if nothing had been, but for the listeners' pause after a failure to accept. */
static void check_recovery(struct httpscene *scene)
{
    faults_end();
    while (scene->waiting_count > 0)
        (void)!httpscene_answer_next(scene);
    httpscene_settle(scene);
    for (int i = 0; i < 4; i++)
        httpscene_pass(scene, 30);
    assert_int_equal(httpserver_connections(scene->server), 0);
    httpscene_expect_alive(scene);
    httpscene_close(scene);
}

static void survives_each_allocation_that_fails(void **state)
{
    bool hit = true;

    for (int nth = 1; hit; nth++) {
        struct httpscene scene;

        httpscene_open(&scene, NULL);
        faults_allocation(nth, nth % 3 == 0);
        try_everything(&scene);
        hit = faults_hit();
        check_recovery(&scene);
        assert_true(nth < 500);
    }
}

static void check_call(const char *name, int error)
{
    bool hit = true;

    for (int nth = 1; hit && nth < 200; nth++) {
        struct httpscene scene;

        httpscene_open(&scene, NULL);
        faults_system_call(name, error, nth);
        try_everything(&scene);
        hit = faults_hit();
        check_recovery(&scene);
    }
}

static void survives_each_system_call_that_fails(void **state)
{
    static const struct {
        const char *name;
        int error;
    } calls[] = {
        { "recv", ECONNRESET },      { "recv", EAGAIN },      { "recv", EINTR },         { "recv", ENOMEM },
        { "send", EPIPE },           { "send", EAGAIN },      { "send", EINTR },         { "send", ENOBUFS },
        { "sendmsg", EPIPE },        { "sendmsg", EAGAIN },   { "accept4", EMFILE },     { "accept4", EAGAIN },
        { "accept4", ECONNABORTED }, { "epoll_ctl", ENOMEM }, { "epoll_wait", EINTR },   { "shutdown", ENOTCONN },
        { "close", EINTR },          { "close", EIO },        { "getsockopt", ENOBUFS },
    };

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        check_call(calls[i].name, calls[i].error);
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
    cmocka_unit_test(a_request_is_told_when_its_client_leaves),
    cmocka_unit_test(a_client_may_leave_with_requests_outstanding),
    cmocka_unit_test(a_client_may_leave_during_a_long_answer),
    cmocka_unit_test(a_half_closed_client_gets_its_answers),
    cmocka_unit_test(a_half_closed_client_gets_its_late_answer),
    cmocka_unit_test(a_half_closed_client_gets_all_of_a_long_answer),
    cmocka_unit_test(a_body_may_come_in_pieces_and_with_the_next_request_behind_it),
    cmocka_unit_test(a_body_may_be_as_long_as_max_body),
    cmocka_unit_test(a_body_over_the_limit_gets_an_answer_that_can_be_read),
    cmocka_unit_test(who_expects_100_gets_one_and_then_the_answer),
    cmocka_unit_test(who_expects_100_for_too_much_gets_413_instead),
    cmocka_unit_test(a_truncated_body_is_no_request),
    cmocka_unit_test(memory_grows_with_what_has_come_and_not_with_what_was_announced),
    cmocka_unit_test(what_is_not_a_request_is_answered_once_and_dropped),
    cmocka_unit_test(a_refusal_is_logged_once_for_information),
    cmocka_unit_test(heads_over_their_limits_are_refused_before_they_are_whole),
    cmocka_unit_test(lingers_for_64_kib_and_not_more),
    cmocka_unit_test(lingers_for_5_s_and_not_longer),
    cmocka_unit_test(the_last_answer_is_sent_in_full_whatever_still_comes),
    cmocka_unit_test(a_slow_head_is_cut_ten_seconds_after_its_first_byte),
    cmocka_unit_test(a_slow_head_on_a_new_connection_is_cut_too),
    cmocka_unit_test(a_head_that_came_early_is_not_late),
    cmocka_unit_test(a_connection_that_says_nothing_is_closed_silently),
    cmocka_unit_test(an_idle_connection_is_closed_silently),
    cmocka_unit_test(a_body_that_stops_coming_is_cut),
    cmocka_unit_test(a_program_takes_all_the_time_it_wants),
    cmocka_unit_test(a_slow_reader_is_cut_only_when_it_stops),
    cmocka_unit_test(a_reader_that_does_not_begin_is_cut),
    cmocka_unit_test(a_half_closed_client_gets_the_end_of_an_answer_too),
    cmocka_unit_test(a_reader_that_has_become_fast_again_has_no_more_than_the_idle_time),
    cmocka_unit_test(a_slow_reader_has_all_the_idle_time_when_it_is_through),
    cmocka_unit_test(an_answer_whose_end_is_read_late_leaves_the_idle_time_too),
    cmocka_unit_test(a_warm_request_costs_one_receive_and_one_send),
    cmocka_unit_test(a_connection_that_waits_owns_no_buffer),
    cmocka_unit_test(survives_each_allocation_that_fails),
    cmocka_unit_test(survives_each_system_call_that_fails),
};

TESTING_MAIN(tests)
