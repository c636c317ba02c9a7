#include "httpserver/httpserver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/httpscene.h"
#include "tests/support/httptexts.h"
#include "tests/support/testing.h"

/* A server or its loop that ends while requests are in each state there is: each is told once, and ends. */

static int seen, left, logged;
static struct httprequest *half_answered, *paused;

static void request_left(struct httprequest *request, void *arg)
{
    left++;
    if (request == paused)
        paused = NULL; /* it ends by itself */
}

static void see_request(struct httprequest *request)
{
    if (httprequest_arg(request) != NULL)
        return;
    seen++;
    httprequest_set_arg(request, &seen);
    httprequest_set_close_callback(request, request_left, NULL);
}

static void drop_piece(struct httprequest *request, const void *data, size_t length, void *arg)
{
}

static void on_head(struct httprequest *request, void *arg)
{
    see_request(request);
    if (httprequest_path_is(request, "/stream"))
        httprequest_stream_body(request, drop_piece, NULL);
    if (httprequest_path_is(request, "/paused")) {
        httprequest_pause(request);
        paused = request;
    }
    if (httprequest_path_is(request, "/refused"))
        assert_int_equal(httprequest_reply(request, 403, NULL, NULL, 0), 0);
}

static void act(struct httpscene *scene, struct httprequest *request)
{
    see_request(request);
    if (httprequest_path_is(request, "/half")) {
        assert_int_equal(httprequest_write_head(request, 200, NULL, NULL, "half", 4, NULL, NULL), 0);
        half_answered = request;
    } else if (httprequest_path_is(request, "/later")) {
        scene->waiting[scene->waiting_count++] = request;
    } else {
        httpscene_answer(request);
    }
}

static void count_end(struct httprequest *request, int status, uint64_t body_bytes, double seconds, void *arg)
{
    logged++;
}

#define POST_TO(path) "POST " path " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

static const char *const texts[] = {
    "",
    "GET / HT",
    GET("/") "GET / HT",
    POST_TO("/stream") "3\r\nab",
    POST_TO("/collect") "3\r\nab",
    POST_TO("/paused") "3\r\nab",
    POST_TO("/refused") "3\r\nab",
    POST_TO("/last") "3\r\nabc\r\n0\r\nX: y\r\n",
    GET("/half") GET("/behind"),
    GET("/later"),
    GET("/size/9000000"),
    LAST_GET("/size/9000000"),
    "nonsense\r\n\r\n",
    GET("/"),
};

enum { STATES = sizeof texts / sizeof *texts };

static void open_states(struct httpscene *scene)
{
    seen = left = logged = 0;
    half_answered = paused = NULL;
    httpscene_open(scene, &(struct httpserver_options){ .on_head = on_head, .on_log = count_end });
    scene->on_request = act;
    for (int i = 0; i < STATES; i++)
        httpscene_put(scene, httpscene_connect(scene), texts[i]);
    httpscene_settle(scene);
    assert_int_equal(httpserver_connections(scene->server), STATES);
    assert_true(half_answered != NULL && paused != NULL);
    assert_int_equal(seen, 11);
    assert_int_equal(logged, 5); /* of each that was answered whole */
}

/* The program is told of six that were not; four of them end by themselves, as they were not shown whole. */
static void check_ended(struct httpscene *scene)
{
    assert_int_equal(left, 6);
    assert_int_equal(logged, 9);
    assert_null(paused);
    assert_true(httprequest_left(half_answered));
    assert_true(httprequest_finish(half_answered) < 0);
    assert_true(httpscene_answer_next(scene) < 0);
    assert_int_equal(logged, seen);
    httpscene_close(scene);
}

static void a_loop_takes_along_requests_in_all_states(void **state)
{
    for (int closing = 0; closing < 2; closing++) {
        struct httpscene scene;

        open_states(&scene);
        if (closing)
            httpserver_close(scene.server);
        ioloop_close(scene.loop, false);
        scene.loop = NULL;
        check_ended(&scene);
    }
}

static void a_server_waits_for_requests_in_all_states_for_close_timeout(void **state)
{
    struct httpscene scene;

    open_states(&scene);
    httpserver_close(scene.server);
    httpscene_settle(&scene);
    assert_int_equal(left, 0);
    assert_int_equal(scene.closed, 0);
    httpscene_pass(&scene, 4); /* before anybody is too late by himself */
    assert_int_equal(left, 0);
    httpscene_pass(&scene, 6 + LATE);
    assert_int_equal(scene.closed, 1);
    check_ended(&scene);
}

static void what_a_server_that_closes_waits_for_is_answered(void **state)
{
    static const char *const rests[STATES] = {
        [1] = "TP/1.1\r\nHost: a\r\n\r\n",
        [2] = "TP/1.1\r\nHost: a\r\n\r\n",
        [3] = "c\r\n0\r\n\r\n",
        [4] = "c\r\n0\r\n\r\n",
        [5] = "c\r\n0\r\n\r\n",
        [7] = "\r\n",
    };
    struct httpscene scene;

    open_states(&scene);
    httpserver_close(scene.server);
    httprequest_resume(paused);
    for (int i = 0; i < STATES; i++)
        httpscene_put(&scene, &scene.clients[i], rests[i] != NULL ? rests[i] : "");
    assert_int_equal(httprequest_write(half_answered, "half", 4, NULL, NULL), 0);
    assert_int_equal(httprequest_finish(half_answered), 0);
    assert_int_equal(httpscene_answer_next(&scene), 0);
    for (int i = 1; i < STATES; i++) {
        if (i == 2)
            assert_int_equal(httpscene_next(&scene, &scene.clients[i], false).status, 200);
        int status = httpscene_next(&scene, &scene.clients[i], false).status;
        assert_int_equal(status, i == 6 ? 403 : i == 12 ? 400 : 200);
        httpscene_expect_end(&scene, &scene.clients[i]);
        httpscene_hang_up(&scene.clients[i]);
    }
    httpscene_settle(&scene);
    assert_int_equal(scene.closed, 1);
    assert_int_equal(left, 0);
    assert_int_equal(logged, seen);
    httpscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_loop_takes_along_requests_in_all_states),
    cmocka_unit_test(a_server_waits_for_requests_in_all_states_for_close_timeout),
    cmocka_unit_test(what_a_server_that_closes_waits_for_is_answered),
};

TESTING_MAIN(tests)
