#include "httpserver/http1connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/httpscene.h"
#include "tests/support/httptexts.h"
#include "tests/support/testing.h"
#include "tests/support/text.h"

/* Answers that are given up, and clients that are. */

static const char *given; /* the body so far; NULL: no head either */
static bool has_length;

static void begin_and_abort(struct httprequest *request)
{
    struct httpheaders headers = { 0 };

    if (has_length)
        assert_int_equal(httpheaders_add(&headers, "Content-Length", "10"), 0);
    if (given != NULL)
        assert_int_equal(httprequest_write_head(request, 200, NULL, &headers, given, strlen(given), NULL, NULL), 0);
    httpheaders_free(&headers);
    httprequest_abort(request);
}

static void abort_at_once(struct httpscene *scene, struct httprequest *request)
{
    begin_and_abort(request);
}

/* How it ends, and what there is behind the head, which tells the client that it is not whole. */
static void an_answer_that_is_given_up_is_not_taken_for_a_whole_one(void **state)
{
    static const struct {
        const char *request, *given;
        bool has_length;
        int status, error;
        const char *body;
    } rows[] = {
        { GET("/") GET("/next"), NULL, false, 0, 0, NULL },
        { GET("/") GET("/next"), "", false, 200, 0, "" },
        { GET("/") GET("/next"), "ab", false, 200, 0, "2\r\nab\r\n" },
        { GET("/") GET("/next"), "ab", true, 200, 0, "ab" },
        { "GET / HTTP/1.0\r\n\r\n", NULL, false, 0, 0, NULL },
        { "GET / HTTP/1.0\r\n\r\n", "ab", true, 200, 0, "ab" },
        { "GET / HTTP/1.0\r\n\r\n", "ab", false, 200, ECONNRESET, NULL },
    };

    for (size_t i = 0; i < 2 * COUNT(rows); i++) {
        struct httpscene scene;
        struct httpscene_client *client = begin(&scene, NULL);

        given = rows[i / 2].given;
        has_length = rows[i / 2].has_length;
        scene.on_request = i % 2 ? httpscene_wait : abort_at_once;
        httpscene_put(&scene, client, rows[i / 2].request);
        httpscene_settle(&scene);
        if (scene.waiting_count > 0)
            begin_and_abort(scene.waiting[--scene.waiting_count]);
        httpscene_settle(&scene);
        httpscene_take(client, SIZE_MAX);
        assert_true(client->ended);
        assert_int_equal(client->error, rows[i / 2].error);
        if (rows[i / 2].body != NULL)
            assert_string_equal(strstr(client->bytes, "\r\n\r\n") + 4, rows[i / 2].body);
        else if (client->error == 0)
            assert_int_equal(client->length, 0);
        assert_int_equal(scene.logged, 1);
        assert_int_equal(scene.last_status, rows[i / 2].status);
        assert_int_equal(scene.requests, 1);
        httpscene_close(&scene);
    }
}

static void abort_in_callback(struct httpscene *scene, struct httprequest *request)
{
    scene->waiting_count = 0;
    httprequest_abort(request);
}

static void finish_in_callback(struct httpscene *scene, struct httprequest *request)
{
    scene->waiting_count = 0;
    assert_int_equal(httprequest_finish(request), -EBADF);
}

static void a_client_that_has_left_is_no_error_of_the_server(void **state)
{
    for (int i = 0; i < 4; i++) {
        struct httpscene scene;
        struct httpscene_client *client = begin(&scene, NULL);

        scene.on_request = httpscene_wait;
        scene.on_left = i % 2 ? finish_in_callback : abort_in_callback;
        httpscene_put(&scene, client, GET("/"));
        httpscene_settle(&scene);
        if (i < 2)
            httpscene_finish(client);
        else
            httpscene_reset(client);
        httpscene_settle(&scene);
        assert_int_equal(scene.left, 1);
        assert_int_equal(scene.logged, 1);
        assert_int_equal(scene.last_status, 0);
        assert_int_equal(httpserver_connections(scene.server), 0);
        httpscene_close(&scene);
    }
}

static void a_request_may_be_given_up_when_its_client_is_gone(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    scene.on_request = httpscene_wait;
    httpscene_put(&scene, client, GET("/"));
    httpscene_settle(&scene);
    httpscene_reset(client);
    httpscene_settle(&scene);
    httprequest_abort(scene.waiting[--scene.waiting_count]);
    assert_int_equal(scene.logged, 1);
    assert_int_equal(scene.last_status, 0);
    httpscene_close(&scene);
}

static int abort_in; /* 0: on_head, 1: the first piece of the body */
static int aborted;

static void abort_now(struct httprequest *request)
{
    aborted++;
    httprequest_abort(request);
}

static void abort_with_piece(struct httprequest *request, const void *data, size_t length, void *arg)
{
    abort_now(request);
}

static void abort_or_stream(struct httprequest *request, void *arg)
{
    if (abort_in == 0)
        abort_now(request);
    else
        httprequest_stream_body(request, abort_with_piece, NULL);
}

static void a_request_may_be_given_up_before_its_body_is_through(void **state)
{
    static const char *const texts[][2] = {
        { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\n", "abc" },
        { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", "abc" GET("/next") },
        { "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "3\r\nabc\r\n3\r\nabc\r\n0\r\n\r\n" },
    };

    for (size_t i = 0; i < 4 * COUNT(texts); i++) {
        struct httpscene scene;
        struct httpscene_client *client = begin(&scene, &(struct httpserver_options){ .on_head = abort_or_stream });
        char text[200];

        abort_in = i % 2;
        aborted = 0;
        strcpy(text, texts[i / 4][0]);
        if (i / 2 % 2)
            strcat(text, texts[i / 4][1]);
        httpscene_put(&scene, client, text);
        httpscene_settle(&scene);
        if (i / 2 % 2 == 0)
            httpscene_put_some(client, texts[i / 4][1], strlen(texts[i / 4][1]));
        httpscene_settle(&scene);
        assert_int_equal(aborted, 1);
        assert_int_equal(scene.requests, 0);
        assert_int_equal(httpserver_connections(scene.server), 0);
        assert_int_equal(httpscene_take(client, SIZE_MAX), 0);
        assert_true(client->ended);
        httpscene_close(&scene);
    }
}

/* What the kernel holds for it would stay there for as long as it answers probes. */
static void a_client_that_does_not_read_is_reset(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_put(&scene, client, GET("/size/9000000"));
    httpscene_settle(&scene);
    for (int i = 0; i < 5 && httpserver_connections(scene.server) > 0; i++)
        httpscene_pass(&scene, 30 + LATE); /* of TCP the kernel may take some more a moment later */
    assert_int_equal(httpserver_connections(scene.server), 0);
    httpscene_take(client, SIZE_MAX);
    assert_true(client->ended);
    assert_int_equal(client->error, ECONNRESET);
    httpscene_close(&scene);
}

/* Of those that linger there is nobody to serve: whether they do when it begins to close, or later. */
static void a_server_that_closes_lingers_for_1_s(void **state)
{
    for (int later = 0; later < 2; later++) {
        struct httpscene scene;
        struct httpscene_client *client = begin(&scene, NULL);

        if (later) {
            httpscene_put(&scene, client, GET("/later"));
            httpscene_settle(&scene);
        } else {
            httpscene_put(&scene, client, "asdf\r\n\r\n");
            httpscene_expect_last(&scene, client, 400);
        }
        httpserver_close(scene.server);
        if (later) {
            assert_int_equal(httpscene_answer_next(&scene), 0);
            httpscene_expect_last(&scene, client, 200);
        }
        httpscene_pass(&scene, 0.8);
        assert_int_equal(scene.closed, 0);
        httpscene_pass(&scene, 0.2 + LATE);
        assert_int_equal(scene.closed, 1);
        httpscene_close(&scene);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_answer_that_is_given_up_is_not_taken_for_a_whole_one),
    cmocka_unit_test(a_client_that_has_left_is_no_error_of_the_server),
    cmocka_unit_test(a_request_may_be_given_up_when_its_client_is_gone),
    cmocka_unit_test(a_request_may_be_given_up_before_its_body_is_through),
    cmocka_unit_test(a_client_that_does_not_read_is_reset),
    cmocka_unit_test(a_server_that_closes_lingers_for_1_s),
};

TESTING_MAIN(tests)
