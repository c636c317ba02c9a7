/* One fetch and its answer. */
#include "tests/support/testing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "httpclient/httpfetch.h"
#include "httpserver/httpserver.h"
#include "ioloop/ioalloc.h"
#include "ioloop/ioloop.h"
#include "tests/support/fetchscene.h"

#define HI "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

static struct fetchscene scene;

/* httpclient_test:test_hello_world */
static void a_fetch_has_a_code_a_reason_headers_and_a_body(void **state)
{
    fetchscene_open(&scene, NULL);
    for (int turn = 0; turn < 2; turn++) {
        struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/hello");

        fetchscene_serve(&scene, turn == 0 ? NULL : &scene.peers[0],
                         "HTTP/1.1 200 Fine\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\nHello world!");
        fetchscene_expect(&scene, fetch, 200, "Hello world!");
        assert_string_equal(fetch->reason, "Fine");
        assert_string_equal(fetch->headers.bytes, "Content-Type: text/plain\nContent-Length: 12\n");
        assert_int_equal(fetch->is_reused, turn);
        assert_int_equal(fetch->redirects, 0);
        assert_string_equal(fetch->url + strlen(scene.base), "/hello");
    }
    assert_int_equal(testing_logs(NULL), 0);
    fetchscene_close(&scene);
}

static void the_first_request_on_the_wire_is_what_the_grammar_says(void **state)
{
    char wanted[256];

    fetchscene_open(&scene, NULL);
    fetchscene_get(&scene, "/a?b=c#d");
    snprintf(wanted, sizeof wanted, "GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: ioloop\r\n\r\n",
             scene.ports[FETCHSCENE_FIRST]);
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    fetchscene_expect_text(&scene, peer, wanted);
    fetchscene_expect_nothing(&scene, peer);
    fetchscene_close(&scene);
}

/* How bodies end. */

struct ending {
    const char *answer;
    bool closes; /* the server, behind it */
    int code;
    const char *body;
};

static const struct ending endings[] = {
    { HI, false, 200, "hi" },
    { "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi", false, 200, "hi" },
    { "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nhi", false, 200, "hi" },
    { "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, 200, "" },
    { "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", false, 200, "hi" },
    { "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", true, 200, "hi" },
    /* httpclient_test:test_chunked */
    { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nasdf\r\n4\r\nqwer\r\n0\r\n\r\n", false, 200,
      "asdfqwer" },
    /* httpclient_test:test_chunked_close */
    { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n1\r\n1\r\n2\r\n0\r\n\r\n", true, 200, "12" },
    { "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n00002;a=b\r\nhi\r\n0\r\nA: b\r\n\r\n", false, 200, "hi" },
    /* simple_httpclient_test:test_no_content_length */
    { "HTTP/1.1 200 OK\r\n\r\nhello", true, 200, "hello" },
    { "HTTP/1.1 200 OK\r\n\r\n", true, 200, "" },
    /* http1connection_test:test_http10_no_content_length */
    { "HTTP/1.0 200 Not Modified\r\n\r\nhello", true, 200, "hello" },
    /* simple_httpclient_test:test_no_content */
    { "HTTP/1.1 204 No Content\r\n\r\n", false, 204, "" },
    /* simple_httpclient_test:test_204_no_content */
    { "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", false, 204, "" },
    { "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", false, 205, "" },
    /* httpclient_test:test_304_with_content_length */
    { "HTTP/1.1 304 Not Modified\r\nContent-Length: 42\r\n\r\n", false, 304, "" },
    { "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", false, 304, "" },
    { "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", false, 404, "no" },
    { "HTTP/1.1 999 What\r\nContent-Length: 2\r\n\r\nhi", false, 999, "hi" },
    /* simple_httpclient_test:test_100_continue */
    { "HTTP/1.1 100 CONTINUE\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nA", false, 200, "A" },
    { "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" HI, false, 200, "hi" },
};

enum { ENDINGS = sizeof endings / sizeof *endings };

static struct fetchscene_peer *begin(struct fetchscene_fetch **fetch)
{
    struct fetchscene_request request;

    *fetch = fetchscene_get(&scene, "/");
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    fetchscene_take_request(&scene, peer, &request);
    return peer;
}

/* step: 0: whole; else so many bytes at a time. */
static void expect_ending(const struct ending *ending, size_t first, size_t step)
{
    struct fetchscene_fetch *fetch;
    struct fetchscene_peer *peer = begin(&fetch);
    size_t length = strlen(ending->answer);

    for (size_t at = 0; at < length;) {
        size_t piece = at == 0 ? first : step;
        piece = piece > length - at ? length - at : piece;
        fetchscene_put_bytes(&scene, peer, ending->answer + at, piece);
        at += piece;
        if (at < length)
            fetchscene_settle(&scene);
    }
    if (ending->closes)
        fetchscene_hang_up(peer);
    fetchscene_expect(&scene, fetch, ending->code, ending->body);
    fetchscene_hang_up(peer);
    fetchscene_expect_pool(&scene, 0, 0, 0);
    fetchscene_forget(&scene);
}

static void a_response_ends_where_its_framing_says_whatever_the_segments(void **state)
{
    fetchscene_open(&scene, NULL);
    for (int i = 0; i < ENDINGS; i++) {
        expect_ending(&endings[i], SIZE_MAX, SIZE_MAX);
        expect_ending(&endings[i], 1, 1);
        for (size_t split = 1; split < strlen(endings[i].answer); split++)
            expect_ending(&endings[i], split, SIZE_MAX);
    }
    assert_int_equal(testing_logs(NULL), 0);
    fetchscene_close(&scene);
}

static void a_connection_is_kept_when_the_response_has_an_end_of_its_own(void **state)
{
    fetchscene_open(&scene, NULL);
    for (int i = 0; i < ENDINGS; i++) {
        struct fetchscene_fetch *fetch;
        struct fetchscene_peer *peer = begin(&fetch);
        bool is_old = strncmp(endings[i].answer, "HTTP/1.0", 8) == 0;

        fetchscene_put(&scene, peer, endings[i].answer);
        if (endings[i].closes)
            fetchscene_finish(peer);
        fetchscene_expect(&scene, fetch, endings[i].code, endings[i].body);
        bool kept = !endings[i].closes && !is_old;
        fetchscene_expect_pool(&scene, kept, kept, 0);
        if (!kept)
            fetchscene_expect_end(&scene, peer);
        fetchscene_hang_up(peer);
        fetchscene_settle(&scene);
    }
    fetchscene_close(&scene);
}

static void a_server_of_http_1_0_is_kept_only_if_it_says_so(void **state)
{
    struct fetchscene_fetch *fetch;

    fetchscene_open(&scene, NULL);
    struct fetchscene_peer *peer = begin(&fetch);
    fetchscene_put(&scene, peer, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi");
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_expect_pool(&scene, 1, 1, 0);
    fetchscene_close(&scene);
}

/* simple_httpclient_test:test_head_request */
static void the_answer_to_head_has_a_length_and_no_body(void **state)
{
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
    };
    struct fetchscene_peer *peer = NULL;

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct fetchscene_fetch *fetch =
            fetchscene_fetch(&scene, (struct httpclient_request){ .url = "/head", .method = "HEAD" });

        peer = fetchscene_serve(&scene, peer, answers[i]);
        fetchscene_expect(&scene, fetch, i == 2 ? 404 : 200, "");
        if (i == 0)
            assert_string_equal(fetchscene_header(fetch, "content-length"), "7");
        fetchscene_expect_pool(&scene, 1, 1, 0);
    }
    fetchscene_close(&scene);
}

static void trailers_stand_apart_from_headers(void **state)
{
    struct fetchscene_fetch *fetch;

    fetchscene_open(&scene, NULL);
    struct fetchscene_peer *peer = begin(&fetch);
    fetchscene_put(&scene, peer,
                   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: 1\r\n\r\n2\r\nhi\r\n0\r\nB: 2\r\nC: 3\r\n\r\n");
    fetchscene_expect(&scene, fetch, 200, "hi");
    assert_string_equal(fetch->headers.bytes, "Transfer-Encoding: chunked\nA: 1\n");
    assert_string_equal(fetch->trailers.bytes, "B: 2\nC: 3\n");
    fetchscene_close(&scene);
}

static void a_nul_in_a_body_is_a_byte_like_others(void **state)
{
    struct fetchscene_fetch *fetch;

    fetchscene_open(&scene, NULL);
    struct fetchscene_peer *peer = begin(&fetch);
    fetchscene_put_bytes(&scene, peer, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na\0b", 41);
    fetchscene_wait(&scene, fetch);
    assert_int_equal(fetch->body.length, 3);
    assert_memory_equal(fetch->body.bytes, "a\0b", 4);
    fetchscene_close(&scene);
}

/* httpclient_test:test_non_ascii_header */
static void bytes_above_ascii_in_a_header_are_handed_over(void **state)
{
    struct fetchscene_fetch *fetch;

    fetchscene_open(&scene, NULL);
    struct fetchscene_peer *peer = begin(&fetch);
    fetchscene_put(&scene, peer, "HTTP/1.1 200 \xe9\r\nX-Foo: \xe9t\xc3\xa9\r\nContent-Length: 0\r\n\r\n");
    fetchscene_expect(&scene, fetch, 200, "");
    assert_string_equal(fetch->reason, "\xe9");
    assert_string_equal(fetchscene_header(fetch, "X-Foo"), "\xe9t\xc3\xa9");
    fetchscene_close(&scene);
}

/* httpclient_test:test_multi_line_headers */
static void a_folded_header_is_refused(void **state)
{
    struct fetchscene_fetch *fetch;

    fetchscene_open(&scene, NULL);
    struct fetchscene_peer *peer = begin(&fetch);
    fetchscene_put(&scene, peer,
                   "HTTP/1.1 200 OK\r\nX-XSS-Protection: 1;\r\n\tmode=block\r\nContent-Length: 0\r\n\r\n");
    fetchscene_expect_error(&scene, fetch, -EPROTO, HTTPCLIENT_HEAD);
    fetchscene_expect_end(&scene, peer);
    fetchscene_close(&scene);
}

/* Errors by status. */

struct outcome {
    const char *status;
    bool raise;
    int error;
};

/* httpclient_test:test_future_http_error, httpclient_test:test_future_http_error_no_raise,
 * httpclient_test:test_error_with_response */
static void a_status_that_is_not_2xx_is_an_error_if_that_is_wanted(void **state)
{
    static const struct outcome outcomes[] = {
        { "200 OK", true, 0 },
        { "299 Odd", true, 0 },
        { "300 Choices", true, -ENOMSG },
        { "304 Not Modified", true, -ENOMSG },
        { "403 Forbidden", true, -ENOMSG },
        { "403 Forbidden", false, 0 },
        { "599 Far", true, -ENOMSG },
        { "500 No", false, 0 },
    };
    struct fetchscene_peer *peer = NULL;

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++) {
        const struct outcome *outcome = &outcomes[i];
        struct fetchscene_fetch *fetch =
            fetchscene_fetch(&scene, (struct httpclient_request){ .url = "/", .raise_error = outcome->raise });
        char answer[128];

        snprintf(answer, sizeof answer, "HTTP/1.1 %s\r\nContent-Length: 0\r\nA: b\r\n\r\n", outcome->status);
        peer = fetchscene_serve(&scene, peer, answer);
        fetchscene_wait(&scene, fetch);
        assert_int_equal(fetch->error, outcome->error);
        assert_int_equal(fetch->code, atoi(outcome->status));
        assert_string_equal(fetch->reason, outcome->status + 4);
        assert_string_equal(fetchscene_header(fetch, "A"), "b");
        fetchscene_expect_pool(&scene, 1, 1, 0); /* nothing is wrong with the connection */
    }
    fetchscene_close(&scene);
}

/* httpclient_test:test_plain_error */
static void an_error_by_status_says_so_and_has_the_body(void **state)
{
    static const char *const rows[][2] = {
        { "403 Forbidden", "HTTP 403: Forbidden" },
        { "404 \xff or what it likes", "HTTP 404: Not Found" },
        { "500 ", "HTTP 500: Internal Server Error" },
        { "511 A", "HTTP 511: Network Authentication Required" },
        { "999 A", "HTTP 999" },
    };
    struct fetchscene_peer *peer = NULL;
    char answer[128];

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fetchscene_fetch *fetch =
            fetchscene_fetch(&scene, (struct httpclient_request){ .url = "/", .raise_error = true });
        snprintf(answer, sizeof answer, "HTTP/1.1 %s\r\nContent-Length: 4\r\n\r\nlong", rows[i][0]);
        peer = fetchscene_serve(&scene, peer, answer);
        fetchscene_expect_error(&scene, fetch, -ENOMSG, HTTPCLIENT_DONE);
        assert_string_equal(fetch->detail, rows[i][1]);
        assert_string_equal(fetch->body.bytes, "long");
    }
    fetchscene_close(&scene);
}

/* Times. */

/* httpclient_test:test_response_times */
static void times_tell_where_a_fetch_has_spent_them(void **state)
{
    struct fetchscene_request request;

    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    fetchscene_take_request(&scene, peer, &request);
    fetchscene_pass(&scene, 2);
    fetchscene_put(&scene, peer, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
    fetchscene_pass(&scene, 3);
    fetchscene_put(&scene, peer, "hi");
    fetchscene_expect(&scene, fetch, 200, "hi");
    assert_true(fetch->request_time > 4.99 && fetch->request_time < 5.2);
    assert_true(fetch->queue_time == 0);
    assert_true(fetch->head_time > 1.99 && fetch->head_time < 2.2);
    assert_true(fetch->body_time > 2.99 && fetch->body_time < 3.2);
    fetchscene_close(&scene);
}

/* What the response lends, and what can be taken. */

static char *taken;
static size_t taken_length;

static void take_body(struct fetchscene_fetch *fetch, struct httpclient_response *response)
{
    size_t again = 7;

    taken = httpclient_take_body(response, &taken_length);
    assert_null(httpclient_take_body(response, &again));
    assert_int_equal(again, 0);
}

static void a_body_can_be_taken(void **state)
{
    static const char *const answers[] = {
        HI,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nhi",
    };

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");

        fetch->on_response = take_body;
        struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, answers[i]);
        fetchscene_hang_up(peer);
        fetchscene_expect(&scene, fetch, 200, "hi");
        fetchscene_settle(&scene);
        assert_int_equal(taken_length, 2);
        assert_memory_equal(taken, "hi", 2);
        ioalloc_free(taken);
    }
    fetchscene_close(&scene);
}

static void a_body_that_is_not_there_can_be_taken_too(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
    fetch->on_response = take_body;
    fetchscene_serve(&scene, NULL, "HTTP/1.1 204 No\r\n\r\n");
    fetchscene_expect(&scene, fetch, 204, "");
    assert_int_equal(taken_length, 0);
    ioalloc_free(taken);
    fetchscene_close(&scene);
}

static void a_long_body_comes_whole(void **state)
{
    enum { LENGTH = 5000000 };
    char head[128], *body = malloc(LENGTH);

    assert_non_null(body);
    for (size_t i = 0; i < LENGTH; i++)
        body[i] = (char)('a' + i % 23);
    fetchscene_open(&scene, NULL);
    for (int framing = 0; framing < 2; framing++) {
        struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");

        snprintf(head, sizeof head,
                 framing == 0 ? "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" : "HTTP/1.1 200 OK\r\n\r\n", LENGTH);
        struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, head);
        fetchscene_put_bytes(&scene, peer, body, LENGTH);
        fetchscene_hang_up(peer);
        fetchscene_wait(&scene, fetch);
        assert_int_equal(fetch->error, 0);
        assert_int_equal(fetch->body.length, LENGTH);
        assert_memory_equal(fetch->body.bytes, body, LENGTH);
    }
    free(body);
    fetchscene_close(&scene);
}

/* Against this library's server. */

static void echo(struct fetchscene *where, struct httprequest *request)
{
    size_t length;
    const void *body = httprequest_body(request, &length);

    assert_int_equal(httprequest_reply(request, 200, httprequest_header(request, "Content-Type"), body, length), 0);
}

static void a_thousand_fetches_are_answered_by_our_own_server_over_one_connection(void **state)
{
    fetchscene_open(&scene, &(struct httpclient_options){ .max_clients = 1 });
    fetchscene_start_server(&scene, echo);
    for (int i = 0; i < 1000; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        struct fetchscene_fetch *fetch = fetchscene_fetch(
            &scene,
            (struct httpclient_request){ .url = "/", .method = "POST", .body = text, .body_length = strlen(text) });
        fetch->arg = (void *)(intptr_t)i;
    }
    for (size_t i = 0; i < scene.count; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", (int)(intptr_t)scene.fetches[i]->arg);
        fetchscene_expect(&scene, scene.fetches[i], 200, text);
        assert_int_equal(scene.fetches[i]->place, i + 1);
        assert_int_equal(scene.fetches[i]->is_reused, i > 0);
    }
    assert_int_equal(scene.requests, 1000);
    fetchscene_close(&scene);
}

/* As many fetches later as it takes the numbers of 32 bits to come again. */
static void an_id_does_not_come_again(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *first = fetchscene_get(&scene, "/");
    uint64_t old = first->id;
    struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, HI);
    fetchscene_expect(&scene, first, 200, "hi");
    scene.client->slots[0].generation = UINT64_C(1) << 32;
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
    assert_true(fetch->id != old);
    httpclient_cancel(scene.client, old);
    fetchscene_serve(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_fetch_has_a_code_a_reason_headers_and_a_body),
    cmocka_unit_test(the_first_request_on_the_wire_is_what_the_grammar_says),
    cmocka_unit_test(a_response_ends_where_its_framing_says_whatever_the_segments),
    cmocka_unit_test(a_connection_is_kept_when_the_response_has_an_end_of_its_own),
    cmocka_unit_test(a_server_of_http_1_0_is_kept_only_if_it_says_so),
    cmocka_unit_test(the_answer_to_head_has_a_length_and_no_body),
    cmocka_unit_test(trailers_stand_apart_from_headers),
    cmocka_unit_test(a_nul_in_a_body_is_a_byte_like_others),
    cmocka_unit_test(bytes_above_ascii_in_a_header_are_handed_over),
    cmocka_unit_test(a_folded_header_is_refused),
    cmocka_unit_test(a_status_that_is_not_2xx_is_an_error_if_that_is_wanted),
    cmocka_unit_test(an_error_by_status_says_so_and_has_the_body),
    cmocka_unit_test(times_tell_where_a_fetch_has_spent_them),
    cmocka_unit_test(an_id_does_not_come_again),
    cmocka_unit_test(a_body_can_be_taken),
    cmocka_unit_test(a_body_that_is_not_there_can_be_taken_too),
    cmocka_unit_test(a_long_body_comes_whole),
    cmocka_unit_test(a_thousand_fetches_are_answered_by_our_own_server_over_one_connection),
};

TESTING_MAIN(tests)
