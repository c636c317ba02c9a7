/* Bodies in gzip that are inflated on their way: Tornado's GzipTest. */
#include "httpserver/http1connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/faults.h"
#include "tests/support/httpscene.h"
#include "tests/support/httpstreamed.h"
#include "tests/support/httptexts.h"
#include "tests/support/packed.h"
#include "tests/support/testing.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { MOST = 3 * 1024 * 1024 };

static char text[sizeof packed + 10000];
static size_t text_length;

/* A request with what is packed, in chunks of so many bytes, or 0: by its length. headers: lines. */
static void write_request(const char *headers, size_t chunk)
{
    text_length = (size_t)snprintf(text, sizeof text, "POST / HTTP/1.1\r\nHost: a\r\n%s", headers);
    if (chunk == 0) {
        text_length += (size_t)sprintf(text + text_length, "Content-Length: %zu\r\n\r\n", packed_length);
        memcpy(text + text_length, packed, packed_length);
        text_length += packed_length;
        return;
    }
    text_length += (size_t)sprintf(text + text_length, "Transfer-Encoding: chunked\r\n\r\n");
    for (size_t at = 0, size; at < packed_length; at += size) {
        size = packed_length - at < chunk ? packed_length - at : chunk;
        text_length += (size_t)sprintf(text + text_length, "%zx\r\n", size);
        assert_true(text_length + size + 20 < sizeof text);
        memcpy(text + text_length, packed + at, size);
        memcpy(text + text_length + size, "\r\n", 2);
        text_length += size + 2;
    }
    text_length += (size_t)sprintf(text + text_length, "0\r\n\r\n");
}

#define GZIP "Content-Encoding: gzip\r\n"

static const struct httpserver_options inflating = { .decompress_request = true };

/* Bodies that are collected. */

/* httpserver_test:test_gzip, httpserver_test:test_gzip_case_insensitive */
static void a_body_in_gzip_is_inflated(void **state)
{
    static const char *const headers[] = { GZIP, "content-encoding: GZIP\r\n", "Content-Encoding:\tx-gzip \r\n",
                                           "A: b\r\n" GZIP "C: d\r\n" };
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, &inflating);

    pack("foo=bar", 7);
    for (size_t i = 0; i < COUNT(headers); i++)
        for (size_t chunk = 0; chunk < 4; chunk++) {
            write_request(headers[i], chunk);
            httpscene_put_bytes(&scene, client, text, text_length);
            httpscene_expect(&scene, client, 200, "POST / foo=bar");
        }
    httpscene_put(&scene, client, POST("5") "hello");
    httpscene_expect(&scene, client, 200, "POST / hello");
    httpscene_close(&scene);
}

/* However its length was told. */
static void a_body_that_is_empty_needs_no_gzip(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, &inflating);

    packed_length = 0;
    for (int i = 0; i < 3; i++)
        for (size_t chunk = 0; chunk < 2; chunk++) {
            write_request(GZIP, chunk);
            httpscene_put_bytes(&scene, client, text, text_length);
            httpscene_expect(&scene, client, 200, "POST /");
        }
    pack("foo=bar", 7); /* with what that one has left */
    write_request(GZIP, 5);
    httpscene_put_bytes(&scene, client, text, text_length);
    httpscene_expect(&scene, client, 200, "POST / foo=bar");
    packed_length = 1;
    write_request(GZIP, 1);
    httpscene_put_bytes(&scene, client, text, text_length);
    httpscene_expect_last(&scene, client, 400);
    httpscene_close(&scene);
}

/* httpserver_test:test_compressed_body, httpserver_test:test_chunked_compressed, but that a piece is what came */
static void a_body_in_gzip_may_come_in_any_parts(void **state)
{
    struct httpscene scene;

    pack("hello, hello, hello", 19);
    for (size_t chunk = 0; chunk < 3; chunk++) {
        struct httpscene_client *client = begin(&scene, &inflating);
        write_request(GZIP, chunk * 7);
        for (size_t split = 1; split < text_length; split += 3) {
            httpscene_put_bytes(&scene, client, text, split);
            httpscene_expect_nothing(&scene, client);
            httpscene_put_bytes(&scene, client, text + split, text_length - split);
            httpscene_expect(&scene, client, 200, "POST / hello, hello, hello");
        }
        for (size_t i = 0; i < text_length; i++) {
            httpscene_put_bytes(&scene, client, text + i, 1);
            httpscene_settle(&scene);
        }
        httpscene_expect(&scene, client, 200, "POST / hello, hello, hello");
        httpscene_close(&scene);
    }
}

/* What is no gzip, and no more than that, is the program's affair. */
static void other_codings_are_handed_over_as_they_are(void **state)
{
    static const char *const headers[] = {
        "Content-Encoding: br\r\n",
        "Content-Encoding: gzip, gzip\r\n",
        GZIP GZIP,
        "Content-Encoding: identity\r\n",
        "Content-Encoding:\r\n",
        "Content-Encoding: gzi\r\n",
        "X-Content-Encoding: gzip\r\n",
        "Content-Encodinh: gzip\r\n",
        GZIP "Content-Encoding: br\r\n",
        "Content-Encoding: y-gzip\r\n",
    };
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, &inflating);

    for (size_t i = 0; i < COUNT(headers); i++) {
        strcpy(packed, "hello");
        packed_length = 5;
        write_request(headers[i], 0);
        httpscene_put_bytes(&scene, client, text, text_length);
        httpscene_expect(&scene, client, 200, "POST / hello");
    }
    httpscene_close(&scene);
    client = begin(&scene, NULL);
    write_request(GZIP, 0);
    httpscene_put_bytes(&scene, client, text, text_length);
    httpscene_expect(&scene, client, 200, "POST / hello");
    httpscene_close(&scene);
}

static void show_headers(struct httpscene *scene, struct httprequest *request)
{
    char list[2000] = "";
    const char *name, *value;

    for (size_t i = 0; httprequest_header_at(request, i, &name, &value); i++) {
        assert_true(strlen(list) + strlen(name) + strlen(value) + 3 < sizeof list || strlen(value) > 500);
        if (strlen(value) <= 500)
            sprintf(list + strlen(list), "%s=%s;", name, value);
    }
    assert_null(httprequest_header(request, "Content-Encoding"));
    assert_string_equal(httprequest_header(request, "X-Consumed-Content-Encoding"), "gzip");
    assert_string_equal(httprequest_method(request), "POST");
    assert_string_equal(httprequest_target(request), "/");
    (void)!httprequest_reply(request, 200, "text/plain", list, strlen(list));
}

/* Wherever there is room for the name behind the head. */
static void the_coding_of_an_inflated_body_stands_under_another_name(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, &inflating);
    char headers[3000], filler[2000];

    scene.on_request = show_headers;
    pack("x", 1);
    for (size_t fill = 1; fill < 1100; fill += fill < 820 ? 273 : 1) {
        memset(filler, 'f', fill);
        filler[fill] = '\0';
        snprintf(headers, sizeof headers, GZIP "Filler: %s\r\n", filler);
        write_request(headers, 0);
        httpscene_put_bytes(&scene, client, text, text_length);
        struct httpscene_answer answer = httpscene_next(&scene, client, false);
        assert_int_equal(answer.status, 200);
        assert_memory_equal(answer.body, "Host=a;X-Consumed-Content-Encoding=gzip;", 40);
    }
    httpscene_close(&scene);
    client = begin(&scene, &inflating);
    scene.on_request = show_headers;
    write_request(GZIP, 1);
    httpscene_put_bytes(&scene, client, text, text_length);
    httpscene_expect(&scene, client, 200, "Host=a;X-Consumed-Content-Encoding=gzip;Transfer-Encoding=chunked;");
    httpscene_close(&scene);
}

/* RFC 1952 2.2 */
static void a_body_may_have_several_members(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, &inflating);

    pack("hello, ", 7);
    memcpy(packed + packed_length, packed, packed_length);
    packed_length *= 2;
    for (size_t chunk = 0; chunk < 60; chunk++) {
        write_request(GZIP, chunk);
        httpscene_put_bytes(&scene, client, text, text_length);
        httpscene_expect(&scene, client, 200, "POST / hello, hello, ");
    }
    httpscene_close(&scene);
}

/* What is refused. */

static void expect_refused(int status, const struct httpserver_options *options)
{
    for (size_t chunk = 0; chunk < 100; chunk += 41) {
        struct httpscene scene;
        struct httpscene_client *client = begin(&scene, options);

        write_request(GZIP, chunk);
        httpscene_put_bytes(&scene, client, text, text_length);
        httpscene_expect_last(&scene, client, status);
        assert_int_equal(scene.requests, 0);
        httpscene_expect_alive(&scene);
        httpscene_close(&scene);
    }
}

static void what_is_no_gzip_is_refused(void **state)
{
    pack("hello, hello, hello", 19);
    packed[0] ^= 1; /* what it begins with, */
    expect_refused(400, &inflating);
    packed[0] ^= 1;
    packed[packed_length - 6] ^= 1; /* its checksum, */
    expect_refused(400, &inflating);
    packed[packed_length - 6] ^= 1;
    packed[10] |= 6; /* its first block */
    expect_refused(400, &inflating);
}

static void a_body_that_ends_too_soon_or_too_late_is_refused(void **state)
{
    pack("hello, hello, hello", 19);
    size_t whole = packed_length;

    memcpy(packed + whole, packed, whole);
    for (packed_length = 1; packed_length < 2 * whole; packed_length++)
        if (packed_length != whole)
            expect_refused(400, &inflating);
}

/* httpserver_test:test_size_limit */
static void the_limit_is_of_what_is_inflated(void **state)
{
    const struct httpserver_options options = { .decompress_request = true, .max_body = 5000 };
    static char exact[5001];

    pack_bomb(5001);
    assert_true(packed_length < 100);
    expect_refused(413, &options);
    pack_bomb(MOST);
    expect_refused(413, &options);
    memset(exact, 'e', 5000);
    pack(exact, 5000);
    for (size_t chunk = 0; chunk < 20; chunk += 9) {
        struct httpscene scene;
        struct httpscene_client *client = begin(&scene, &options);
        write_request(GZIP, chunk);
        httpscene_put_bytes(&scene, client, text, text_length);
        assert_int_equal(httpscene_next(&scene, client, false).length, 5000 + 7);
        httpscene_close(&scene);
    }
}

/* Bodies that are streamed. */

static struct httpscene_client *begin_streamed(struct httpscene *scene, uint64_t max_body)
{
    streamed_open(scene, (struct httpserver_options){ .decompress_request = true, .max_body = max_body });
    return httpscene_connect(scene);
}

static void a_bomb_is_cut_off_at_the_limit(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_streamed(&scene, 100000);

    pack_bomb(MOST);
    write_request(GZIP, 0);
    httpscene_put_bytes(&scene, client, text, text_length);
    httpscene_expect_last(&scene, client, 413);
    assert_true(streamed.length <= 100000);
    httpscene_close(&scene);
}

/* web_test:test_flow_control_compressed_body. Much comes out of little, and each piece waits for the program. */
static void the_program_may_pause_amid_what_comes_out_of_a_piece(void **state)
{
    for (size_t chunk = 0; chunk < 2000; chunk += 333) {
        struct httpscene scene;
        struct httpscene_client *client = begin_streamed(&scene, MOST);
        int rounds = 0;

        streamed.at_piece = streamed_pause;
        pack_bomb(MOST);
        write_request(GZIP, chunk);
        httpscene_put_bytes(&scene, client, text, text_length);
        httpscene_put(&scene, client, GET("/next"));
        for (; scene.requests == 0; rounds++) {
            int pieces = streamed.pieces;
            httpscene_settle(&scene);
            assert_true(streamed.pieces <= pieces + 1);
            if (streamed.is_paused)
                streamed_resume(streamed.request);
        }
        assert_int_equal(streamed.length, MOST);
        assert_true(rounds > 80);
        assert_int_equal(httpscene_next(&scene, client, false).status, 200);
        assert_int_equal(httpscene_next(&scene, client, false).status, 200);
        httpscene_close(&scene);
    }
}

static void pause_and_resume(struct httprequest *request)
{
    httprequest_pause(request);
    httprequest_resume(request);
}

static void a_pause_may_be_over_in_the_piece_that_began_it(void **state)
{
    for (size_t chunk = 0; chunk < 1000; chunk += 300) {
        struct httpscene scene;
        struct httpscene_client *client = begin_streamed(&scene, MOST);

        streamed.at_piece = pause_and_resume;
        pack_bomb(MOST);
        write_request(GZIP, chunk);
        httpscene_put_bytes(&scene, client, text, text_length);
        httpscene_put(&scene, client, GET("/next"));
        httpscene_next(&scene, client, false);
        httpscene_next(&scene, client, false);
        assert_int_equal(streamed.length, MOST);
        httpscene_close(&scene);
    }
}

static void answer_early(struct httprequest *request)
{
    (void)!httprequest_reply(request, 403, "text/plain", "no", 2);
}

static void an_early_answer_is_the_end_of_the_body(void **state)
{
    for (size_t chunk = 0; chunk < 1000; chunk += 300) {
        struct httpscene scene;
        struct httpscene_client *client = begin_streamed(&scene, MOST);

        streamed.at_piece = answer_early;
        pack_bomb(MOST);
        write_request(GZIP, chunk);
        httpscene_put_bytes(&scene, client, text, text_length);
        httpscene_expect_last(&scene, client, 403);
        assert_int_equal(streamed.pieces, 1);
        httpscene_close(&scene);
    }
}

static void a_client_may_leave_while_the_program_pauses(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_streamed(&scene, MOST);

    streamed.at_piece = streamed_pause;
    pack_bomb(MOST);
    write_request(GZIP, 0);
    httpscene_put_bytes(&scene, client, text, text_length / 2);
    httpscene_settle(&scene);
    assert_true(streamed.is_paused);
    httpscene_reset(client);
    httpscene_settle(&scene);
    if (streamed.request != NULL) {
        streamed_resume(streamed.request);
        httpscene_settle(&scene);
    }
    assert_int_equal(scene.requests, 0);
    httpscene_close(&scene);
}

/* Memory. */

static void decoders_are_used_again(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, &inflating);
    long allocations = 0;

    pack("hello", 5);
    write_request(GZIP, 0);
    for (int i = 0; i < 20; i++) {
        if (i == 5)
            allocations = faults_allocations();
        httpscene_put_bytes(&scene, client, text, text_length);
        httpscene_expect(&scene, client, 200, "POST / hello");
    }
    assert_int_equal(faults_allocations(), allocations);
    httpscene_close(&scene);
}

static void without_memory_the_request_is_refused_or_served(void **state)
{
    int refused = 0;

    pack("hello", 5);
    write_request(GZIP, 3);
    for (int nth = 1; nth < 12; nth++) {
        struct httpscene scene;
        struct httpscene_client *client = begin(&scene, &inflating);

        httpscene_expect_alive(&scene);
        httpscene_settle(&scene);
        httpscene_put_bytes(&scene, client, text, text_length);
        faults_allocation(nth, false);
        struct httpscene_answer answer = httpscene_next(&scene, client, false);
        faults_allocation(0, false);
        assert_true(answer.status == 200 || answer.status == 503);
        refused += answer.status == 503;
        httpscene_hang_up(client);
        httpscene_expect_alive(&scene);
        httpscene_close(&scene);
    }
    assert_true(refused >= 1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_body_in_gzip_is_inflated),
    cmocka_unit_test(a_body_that_is_empty_needs_no_gzip),
    cmocka_unit_test(a_body_in_gzip_may_come_in_any_parts),
    cmocka_unit_test(other_codings_are_handed_over_as_they_are),
    cmocka_unit_test(the_coding_of_an_inflated_body_stands_under_another_name),
    cmocka_unit_test(what_is_no_gzip_is_refused),
    cmocka_unit_test(a_body_may_have_several_members),
    cmocka_unit_test(a_body_that_ends_too_soon_or_too_late_is_refused),
    cmocka_unit_test(the_limit_is_of_what_is_inflated),
    cmocka_unit_test(a_bomb_is_cut_off_at_the_limit),
    cmocka_unit_test(the_program_may_pause_amid_what_comes_out_of_a_piece),
    cmocka_unit_test(a_pause_may_be_over_in_the_piece_that_began_it),
    cmocka_unit_test(an_early_answer_is_the_end_of_the_body),
    cmocka_unit_test(a_client_may_leave_while_the_program_pauses),
    cmocka_unit_test(decoders_are_used_again),
    cmocka_unit_test(without_memory_the_request_is_refused_or_served),
};

TESTING_MAIN(tests)
