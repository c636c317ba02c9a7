#include "httpserver/http1connection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/faults.h"
#include "tests/support/httpscene.h"
#include "tests/support/httpstreamed.h"
#include "tests/support/httptexts.h"
#include "tests/support/testing.h"

/* A connection that leaves HTTP. */

static struct iostream *detached;
static int closes;
static char got[200];

static void stream_closed(struct iostream *stream, int error, void *arg)
{
    assert_ptr_equal(stream, detached);
    detached = NULL;
    closes++;
}

static size_t collect(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    strncat(got, data, length);
    if (error < 0)
        iostream_close(stream);
    return length;
}

/* httpserver_test:test_legacy_interface, as raw bytes can be written only so */
static void take_over(struct httprequest *request)
{
    got[0] = '\0';
    detached = httprequest_detach(request);
    assert_non_null(detached);
    iostream_set_close_callback(detached, stream_closed, NULL);
    assert_int_equal(iostream_set_consumer(detached, collect, NULL), 0);
    assert_int_equal(iostream_write(detached, "raw bytes", 9, NULL, NULL), 0);
}

static void detach_or_wait(struct httpscene *scene, struct httprequest *request)
{
    if (httprequest_path_is(request, "/detach"))
        take_over(request);
    else if (httprequest_path_is(request, "/first"))
        httpscene_answer(request);
    else
        httpscene_wait(scene, request);
}

static void check_detached(struct httpscene *scene, struct httpscene_client *client, const char *behind)
{
    httpscene_expect_text(scene, client, "raw bytes");
    httpscene_put(scene, client, " more");
    httpscene_settle(scene);
    char wanted[100];
    snprintf(wanted, sizeof wanted, "%s more", behind);
    assert_string_equal(got, wanted);
    assert_int_equal(httpserver_connections(scene->server), 0);
    assert_int_equal(scene->last_status, 101);
    for (int i = 0; i < 3; i++)
        httpscene_pass(scene, 1000); /* no deadline of ours is left on it */
    assert_int_equal(iostream_write(detached, "!", 1, NULL, NULL), 0);
    httpscene_expect_text(scene, client, "!");
    httpscene_hang_up(client);
    httpscene_settle(scene);
    assert_int_equal(closes, 1);
    assert_null(detached);
    closes = 0;
}

static void a_connection_can_be_taken_over_with_what_is_behind_the_request(void **state)
{
    static const char *const behinds[] = { "", "x", "GET /not/http HTTP/1.1\r\n\r\n" };

    for (size_t i = 0; i < 3; i++) {
        for (int later = 0; later < 2; later++) {
            for (int first = 0; first < 2; first++) {
                struct httpscene scene;
                struct httpscene_client *client = begin(&scene, NULL);
                char text[300];

                scene.on_request = detach_or_wait;
                snprintf(text, sizeof text, "%s%s%s", first ? GET("/first") : "", later ? GET("/wait") : GET("/detach"),
                         behinds[i]);
                httpscene_put(&scene, client, text);
                httpscene_settle(&scene);
                if (later)
                    take_over(scene.waiting[--scene.waiting_count]);
                if (first)
                    httpscene_expect(&scene, client, 200, "GET /first");
                check_detached(&scene, client, behinds[i]);
                assert_int_equal(scene.left, 0);
                httpscene_close(&scene);
            }
        }
    }
}

static void a_connection_can_be_taken_over_behind_a_body(void **state)
{
    struct httpscene scene;

    streamed_open(&scene, (struct httpserver_options){ 0 });
    struct httpscene_client *client = httpscene_connect(&scene);
    scene.on_request = detach_or_wait;
    httpscene_put(&scene, client, "POST /detach HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcdef");
    check_detached(&scene, client, "def");
    assert_string_equal(streamed.text, "abc|");
    assert_int_equal(streamed.left, 0);
    httpscene_close(&scene);
}

static void a_client_may_half_close_before_it_is_taken_over(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    scene.on_request = detach_or_wait;
    httpscene_put(&scene, client, GET("/wait") "abc");
    httpscene_finish(client);
    httpscene_settle(&scene);
    take_over(scene.waiting[--scene.waiting_count]);
    httpscene_expect_text(&scene, client, "raw bytes");
    httpscene_settle(&scene);
    assert_string_equal(got, "abc");
    assert_int_equal(closes, 1);
    closes = 0;
    httpscene_close(&scene);
}

static size_t collect_to_the_end(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    strncat(got, data, length);
    if (error < 0)
        *(int *)arg = error;
    return length;
}

/* Which one does that asks for nothing else. */
static void a_detached_stream_closes_at_its_clients_end(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);
    int end = 0;

    scene.on_request = detach_or_wait;
    httpscene_put(&scene, client, GET("/detach") "abc");
    httpscene_expect_text(&scene, client, "raw bytes");
    assert_int_equal(iostream_set_consumer(detached, collect_to_the_end, &end), 0);
    httpscene_finish(client);
    httpscene_expect_end(&scene, client);
    httpscene_settle(&scene);
    assert_string_equal(got, "abc");
    assert_int_equal(closes, 1);
    closes = 0;
    httpscene_close(&scene);
}

/* A tunnel: what the other side answers may come behind the end of what it was asked. */
static void a_detached_stream_may_outlive_its_clients_end(void **state)
{
    for (int early = 0; early < 2; early++) {
        struct httpscene scene;
        struct httpscene_client *client = begin(&scene, NULL);
        int end = 0;

        scene.on_request = detach_or_wait;
        httpscene_put(&scene, client, GET("/wait") "abc");
        if (early)
            httpscene_finish(client);
        httpscene_settle(&scene);
        take_over(scene.waiting[--scene.waiting_count]);
        assert_int_equal(iostream_set_half_close(detached, true), 0);
        assert_int_equal(iostream_set_consumer(detached, collect_to_the_end, &end), 0);
        if (!early)
            httpscene_finish(client);
        httpscene_expect_text(&scene, client, "raw bytes");
        httpscene_settle(&scene);
        assert_string_equal(got, "abc");
        assert_int_equal(end, -ESHUTDOWN);
        assert_int_equal(closes, 0);
        assert_int_equal(iostream_write(detached, "answer", 6, NULL, NULL), 0);
        assert_int_equal(iostream_shutdown(detached), 0);
        httpscene_expect_text(&scene, client, "answer");
        httpscene_expect_end(&scene, client);
        httpscene_settle(&scene);
        assert_int_equal(closes, 1);
        closes = 0;
        httpscene_close(&scene);
    }
}

static void try_too_early(struct httprequest *request)
{
    errno = 0;
    assert_null(httprequest_detach(request));
    assert_int_equal(errno, EALREADY);
}

static void a_connection_cannot_be_taken_over_before_its_body_is_through(void **state)
{
    struct httpscene scene;

    streamed_open(&scene, (struct httpserver_options){ 0 });
    struct httpscene_client *client = httpscene_connect(&scene);
    streamed.at_head = streamed.at_piece = try_too_early;
    httpscene_put(&scene, client, POST("3") "abc");
    httpscene_expect(&scene, client, 200, "abc|");
    httpscene_close(&scene);
}

static void detach_and_close(struct httpscene *scene, struct httprequest *request)
{
    struct iostream *stream = httprequest_detach(request);

    assert_non_null(stream);
    iostream_close(stream);
}

static void a_stream_may_be_closed_as_soon_as_it_is_taken_over(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    scene.on_request = detach_and_close;
    httpscene_put(&scene, client, GET("/"));
    httpscene_expect_end(&scene, client);
    assert_int_equal(httpserver_connections(scene.server), 0);
    httpscene_close(&scene);
}

/* Callbacks come from the loop only, the server's last one too. */
static void close_server_and_detach(struct httpscene *scene, struct httprequest *request)
{
    httpserver_close(scene->server);
    take_over(request);
    assert_int_equal(scene->closed, 0);
}

static void the_last_connection_of_a_closing_server_can_be_taken_over(void **state)
{
    for (int later = 0; later < 2; later++) {
        struct httpscene scene;
        struct httpscene_client *client = begin(&scene, NULL);

        scene.on_request = later ? httpscene_wait : close_server_and_detach;
        httpscene_put(&scene, client, GET("/"));
        httpscene_settle(&scene);
        if (later) {
            httpserver_close(scene.server);
            httpscene_settle(&scene);
            assert_int_equal(scene.closed, 0);
            take_over(scene.waiting[--scene.waiting_count]);
            assert_int_equal(scene.closed, 0);
        }
        httpscene_settle(&scene);
        assert_int_equal(scene.closed, 1);
        httpscene_expect_text(&scene, client, "raw bytes");
        httpscene_hang_up(client);
        httpscene_settle(&scene);
        assert_int_equal(closes, 1);
        closes = 0;
        httpscene_close(&scene);
    }
}

static void a_loop_that_closes_takes_along_what_was_taken_over(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    scene.on_request = detach_or_wait;
    httpscene_put(&scene, client, GET("/detach"));
    httpscene_settle(&scene);
    ioloop_close(scene.loop, false);
    scene.loop = NULL;
    assert_int_equal(closes, 1);
    closes = 0;
    httpscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_connection_can_be_taken_over_with_what_is_behind_the_request),
    cmocka_unit_test(a_connection_can_be_taken_over_behind_a_body),
    cmocka_unit_test(a_client_may_half_close_before_it_is_taken_over),
    cmocka_unit_test(a_detached_stream_closes_at_its_clients_end),
    cmocka_unit_test(a_detached_stream_may_outlive_its_clients_end),
    cmocka_unit_test(a_connection_cannot_be_taken_over_before_its_body_is_through),
    cmocka_unit_test(a_stream_may_be_closed_as_soon_as_it_is_taken_over),
    cmocka_unit_test(the_last_connection_of_a_closing_server_can_be_taken_over),
    cmocka_unit_test(a_loop_that_closes_takes_along_what_was_taken_over),
};

TESTING_MAIN(tests)
