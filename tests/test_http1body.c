#include "httpserver/http1connection.h"
#include "httpserver/httpserverlayer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/faults.h"
#include "tests/support/httpscene.h"
#include "tests/support/httptexts.h"
#include "tests/support/testing.h"

/* Bodies. */

/* httpserver_test:test_uncompressed */
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

/* Chunks. */

struct chunked_case {
    const char *bytes;
    int status; /* of a refusal; else */
    const char *answer;
};

/* What follows each is never taken for a request that it is not. */
static void check_chunked(struct httpscene *scene, const struct chunked_case *each)
{
    struct httpscene_client *client = httpscene_connect(scene);
    int requests = scene->requests;

    httpscene_put(scene, client, each->bytes);
    httpscene_put(scene, client, GET("/2"));
    if (each->status != 0) {
        httpscene_expect_last(scene, client, each->status);
        assert_int_equal(scene->requests, requests);
    } else {
        httpscene_expect(scene, client, 200, each->answer);
        httpscene_expect(scene, client, 200, "GET /2");
        assert_int_equal(scene->requests, requests + 2);
    }
    httpscene_hang_up(client);
}

#define IN_CODING(coding) "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: " coding "\r\n\r\n"

static void a_body_in_chunks_is_put_together_or_refused(void **state)
{
    static const struct chunked_case cases[] = {
        { CHUNKED "0\r\n\r\n", 0, "POST /" },
        /* httpserver_test:test_chunked_request_body, httpserver_test:test_keepalive_chunked */
        { CHUNKED "4\r\nfoo=\r\n3\r\nbar\r\n0\r\n\r\n", 0, "POST / foo=bar" },
        { IN_CODING("Chunked") "3\r\nabc\r\n0\r\n\r\n", 0,
          "POST / abc" }, /* httpserver_test:test_chunked_request_uppercase */
        { CHUNKED "00a;x=y\r\n0123456789\r\n0;z\r\n\r\n", 0, "POST / 0123456789" },
        { CHUNKED "3\r\nabc\r\n0\r\nX: y\r\nContent-Length: 500\r\n\r\n", 0, "POST / abc" },
        { CHUNKED "1_a\r\n12345678901234567890123456\r\n0\r\n\r\n", 400,
          NULL }, /* httpserver_test:test_chunked_request_body_invalid_size */
        { CHUNKED "0x5\r\nhello\r\n0\r\n\r\n", 400, NULL },
        { CHUNKED "+5\r\nhello\r\n0\r\n\r\n", 400, NULL },
        { CHUNKED " 5\r\nhello\r\n0\r\n\r\n", 400, NULL },
        { CHUNKED "5 \r\nhello\r\n0\r\n\r\n", 400, NULL },
        { CHUNKED "\r\nhello\r\n0\r\n\r\n", 400, NULL },
        { CHUNKED "5\nhello\r\n0\r\n\r\n", 400, NULL },
        { CHUNKED "FFFFFFFFFFFFFFFF\r\nhello", 413, NULL },
        { CHUNKED "10000000000000005\r\nhello\r\n0\r\n\r\n", 400, NULL },
        { CHUNKED "5;a=b\nX\r\nhello\r\n0\r\n\r\n", 400, NULL },
        { CHUNKED "5;a\rX\r\nhello\r\n0\r\n\r\n", 400, NULL },
        { CHUNKED "5\r\r;ABCD\r\n34\r\nE\r\n0\r\n\r\n", 400, NULL },
        { CHUNKED "5\r\nhelloXX0\r\n\r\n", 400, NULL },
        { CHUNKED "3\r\nabc\r\n0\r\nXX", 400, NULL }, /* the next line is no trailer */
        { CHUNKED "0\r\nX : y\r\n\r\n", 400, NULL },
        { CHUNKED "0\r\n folded\r\n\r\n", 400, NULL },
        /* httpserver_test:test_chunked_request_body_duplicate_header */
        { "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
          400, NULL },
        /* httpserver_test:test_chunked_request_body_unsupported_transfer_encoding */
        { IN_CODING("gzip, chunked") "0\r\n\r\n", 400, NULL },
        { IN_CODING("xchunked") "0\r\n\r\n", 501, NULL },
        { IN_CODING("identity") "0\r\n\r\n", 501, NULL },
        /* httpserver_test:test_chunked_request_body_transfer_encoding_and_content_length */
        { "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n", 400, NULL },
        { "POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, NULL },
    };
    struct httpscene scene;

    httpscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_chunked(&scene, &cases[i]);
    httpscene_close(&scene);
}

/* Trailers are told apart from headers, and those that would mean something are dropped. */

static void look_at_trailers(struct httpscene *scene, struct httprequest *request)
{
    const struct httpheaders *trailers = httprequest_trailers(request);

    if (httprequest_path_is(request, "/with")) {
        assert_int_equal(httpheaders_count(trailers), 2);
        assert_string_equal(httpheaders_get(trailers, "checksum"), "abc");
        assert_string_equal(httpheaders_get(trailers, "x-last"), "");
        assert_null(httprequest_header(request, "Checksum"));
        assert_null(httprequest_header(request, "Cookie"));
    } else {
        assert_null(trailers);
    }
    httpscene_answer(request);
}

static void trailers_are_kept_apart_and_for_one_request(void **state)
{
    static const char with[] = "POST /with HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
                               "Checksum: abc\r\nCookie: admin=1\r\nHost: b\r\nX-Last:\r\n\r\n";
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    scene.on_request = look_at_trailers;
    for (int i = 0; i < 2; i++) {
        httpscene_put(&scene, client, with);
        httpscene_expect(&scene, client, 200, "POST /with x");
        httpscene_put(&scene, client,
                      GET("/none") CHUNKED "0\r\n\r\n" CHUNKED "0\r\nAuthorization: x\r\n\r\n" POST("1") "x");
        httpscene_expect(&scene, client, 200, "GET /none");
        httpscene_expect(&scene, client, 200, "POST /");
        httpscene_expect(&scene, client, 200, "POST /");
        httpscene_expect(&scene, client, 200, "POST / x");
    }
    httpscene_close(&scene);
}

/* Only the head's framing says whether there is a body. */
static void a_request_of_any_method_may_have_a_body(void **state)
{
    static const char *const methods[] = { "GET", "HEAD", "OPTIONS", "DELETE", "TRACE", "FOO" };
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        char text[200], wanted[100];
        bool to_head = strcmp(methods[i], "HEAD") == 0;

        snprintf(text, sizeof text, "%s / HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n%s", methods[i],
                 strlen(GET("/no")), GET("/no"));
        snprintf(wanted, sizeof wanted, "%s / %s", methods[i], GET("/no"));
        httpscene_put(&scene, client, text);
        struct httpscene_answer answer = httpscene_next(&scene, client, to_head);
        assert_int_equal(answer.length, strlen(wanted));
        assert_string_equal(answer.body, to_head ? "" : wanted);
        httpscene_expect_nothing(&scene, client);
    }
    assert_int_equal(scene.requests, sizeof methods / sizeof *methods);
    httpscene_close(&scene);
}

static void a_body_cut_short_is_no_request_however_it_is_framed(void **state)
{
    static const char *const texts[] = { CHUNKED,         CHUNKED "5\r\nhel",      CHUNKED "3\r\nabc\r\n",
                                         CHUNKED "0\r\n", CHUNKED "0\r\nX: y\r\n", POST("5") "hell" };
    struct httpscene scene;

    httpscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct httpscene_client *client = httpscene_connect(&scene);
        httpscene_put(&scene, client, texts[i]);
        httpscene_finish(client);
        httpscene_expect_end(&scene, client);
        httpscene_hang_up(client);
    }
    assert_int_equal(scene.requests + scene.logged, 0);
    httpscene_close(&scene);
}

/* Memory. */

static size_t kept_bodies; /* by the server, as it stood when the last request came */

static void look_at_kept_bodies(struct httpscene *scene, struct httprequest *request)
{
    kept_bodies = request->server->kept_bodies;
    httpscene_answer(request);
}

static void put_body(struct httpscene *scene, struct httpscene_client *client, size_t size)
{
    char head[100], *body = malloc(size + 1);

    filled(body, size);
    snprintf(head, sizeof head, POST("%zu"), size);
    httpscene_put(scene, client, head);
    httpscene_put_bytes(scene, client, body, size);
    assert_int_equal(httpscene_next(scene, client, false).length, size + strlen("POST / "));
    free(body);
}

/* It goes from request to request, of those too that have no body. The little that each may keep is not counted. */
static void memory_that_is_kept_is_counted_once(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    scene.on_request = look_at_kept_bodies;
    for (int i = 0; i < 3; i++) {
        put_body(&scene, client, 100);
        assert_int_equal(kept_bodies, 0);
    }
    put_body(&scene, client, 900000);
    for (int i = 0; i < 20; i++) {
        httpscene_put(&scene, client, GET("/"));
        httpscene_expect(&scene, client, 200, "GET /");
        assert_int_equal(kept_bodies, 0); /* this request has it */
    }
    httpscene_close(&scene);
}

static void memory_of_a_body_is_kept_for_the_next_unless_it_is_much(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, &(struct httpserver_options){ .max_body = 20000000 });

    put_body(&scene, client, 1);
    size_t before = faults_allocated_bytes();
    put_body(&scene, client, 10000000);
    httpscene_settle(&scene);
    assert_in_range(faults_allocated_bytes(), 0, before);
    put_body(&scene, client, 30000);
    assert_in_range(faults_allocated_bytes() - before, 20000, 65536);
    long allocations = faults_allocations();
    put_body(&scene, client, 30000);
    assert_int_equal(faults_allocations(), allocations);
    put_body(&scene, client, 900000);
    httpscene_settle(&scene);
    assert_in_range(faults_allocated_bytes() - before, 900000, 4000000);
    allocations = faults_allocations();
    put_body(&scene, client, 900000);
    put_body(&scene, client, 30000);
    assert_in_range(faults_allocations() - allocations, 0, 4); /* of answers that wait */
    httpscene_close(&scene);
}

static void a_body_that_comes_byte_by_byte_takes_no_more_memory(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_unix(&scene, NULL);

    httpscene_put(&scene, client, POST("40000"));
    httpscene_settle(&scene);
    size_t before = faults_allocated_bytes();
    for (int i = 0; i < 39999; i++) {
        httpscene_put(&scene, client, "x");
        assert_true(ioloop_run_once(scene.loop, 0) >= 0);
    }
    assert_in_range(faults_allocated_bytes() - before, 39999, 100000);
    httpscene_put(&scene, client, "x");
    assert_int_equal(httpscene_next(&scene, client, false).length, 40000 + strlen("POST / "));
    httpscene_close(&scene);
}

static void chunks_that_are_mostly_framing_are_refused(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);
    char *text = malloc(60001);

    assert_non_null(text);
    for (int i = 0; i < 10000; i++)
        memcpy(text + 6 * i, "1\r\nx\r\n", 6);
    httpscene_put(&scene, client, CHUNKED);
    httpscene_put_bytes(&scene, client, text, 60000);
    httpscene_expect_last(&scene, client, 413);
    httpscene_close(&scene);
    free(text);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_body_may_come_in_pieces_and_with_the_next_request_behind_it),
    cmocka_unit_test(a_body_may_be_as_long_as_max_body),
    cmocka_unit_test(a_body_over_the_limit_gets_an_answer_that_can_be_read),
    cmocka_unit_test(who_expects_100_gets_one_and_then_the_answer),
    cmocka_unit_test(who_expects_100_for_too_much_gets_413_instead),
    cmocka_unit_test(a_truncated_body_is_no_request),
    cmocka_unit_test(memory_grows_with_what_has_come_and_not_with_what_was_announced),
    cmocka_unit_test(a_body_in_chunks_is_put_together_or_refused),
    cmocka_unit_test(trailers_are_kept_apart_and_for_one_request),
    cmocka_unit_test(a_request_of_any_method_may_have_a_body),
    cmocka_unit_test(a_body_cut_short_is_no_request_however_it_is_framed),
    cmocka_unit_test(memory_that_is_kept_is_counted_once),
    cmocka_unit_test(memory_of_a_body_is_kept_for_the_next_unless_it_is_much),
    cmocka_unit_test(a_body_that_comes_byte_by_byte_takes_no_more_memory),
    cmocka_unit_test(chunks_that_are_mostly_framing_are_refused),
};

TESTING_MAIN(tests)
