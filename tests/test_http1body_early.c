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

/* Answers before the body is through, and what is said to those who ask first. */

static struct httpscene_client *begin_early(struct httpscene *scene)
{
    streamed_open(scene, (struct httpserver_options){ 0 });
    return httpscene_connect(scene);
}

static int refused_with;

static void refuse(struct httprequest *request)
{
    refused_with = 401;
    assert_int_equal(httprequest_reply(request, 401, "text/plain", "no", 2), 0);
}

/* What goes the short way behind a body that is through. */
static void refuse_with_200(struct httprequest *request)
{
    refused_with = 200;
    assert_int_equal(httprequest_reply(request, 200, "text/plain", "no", 2), 0);
}

static void pause_and_refuse(struct httprequest *request)
{
    httprequest_pause(request);
    refuse(request);
}

static void refuse_by_and_by(struct httprequest *request)
{
    refused_with = 401;
    assert_int_equal(httprequest_write_head(request, 401, NULL, NULL, "n", 1, NULL, NULL), 0);
    assert_int_equal(httprequest_write(request, "o", 1, NULL, NULL), 0);
    assert_int_equal(httprequest_finish(request), 0);
}

static void (*const refusals[])(struct httprequest *) = { refuse, refuse_with_200, pause_and_refuse, refuse_by_and_by };

enum { REFUSALS = sizeof refusals / sizeof *refusals };

static const char *const bodies[][2] = {
    { POST("30"), GET("/no") GET("/no") },
    { POST("2"), "abGET /no HTTP/1.1\r\nHost: a\r\n\r\n" },
    { CHUNKED, "2\r\nab\r\n0\r\n\r\n" GET("/no") },
    { CHUNKED, GET("/no") },
};

/* What was to be the body, and all behind it, is no request. */
static void check_refused(struct httpscene *scene, const char *const text[2], bool at_once)
{
    struct httpscene_client *client = httpscene_connect(scene);

    if (at_once) {
        char *both = malloc(strlen(text[0]) + strlen(text[1]) + 1);
        assert_non_null(both);
        strcpy(both, text[0]);
        strcat(both, text[1]);
        httpscene_put(scene, client, both);
        free(both);
    } else {
        httpscene_put(scene, client, text[0]);
        httpscene_settle(scene);
        httpscene_put(scene, client, text[1]);
    }
    httpscene_settle(scene);
    httpscene_put(scene, client, GET("/no"));
    struct httpscene_answer answer = httpscene_next(scene, client, false);
    assert_int_equal(answer.status, refused_with);
    assert_string_equal(answer.body, "no");
    assert_true(answer.closes);
    httpscene_expect_end(scene, client);
    assert_int_equal(scene->requests, 0);
    assert_int_equal(streamed.left, 0);
    assert_int_equal(scene->last_status, refused_with);
    httpscene_hang_up(client);
    httpscene_settle(scene);
    assert_int_equal(httpserver_connections(scene->server), 0);
}

/* web_test:test_early_return */
static void an_answer_in_on_head_ends_the_connection(void **state)
{
    struct httpscene scene;

    streamed_open(&scene, (struct httpserver_options){ 0 });
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        for (size_t way = 0; way < REFUSALS; way++) {
            streamed.at_head = refusals[way];
            check_refused(&scene, bodies[i], true);
            check_refused(&scene, bodies[i], false);
            assert_int_equal(streamed.pieces, 0);
        }
    }
    assert_int_equal(testing_logs(NULL), 0);
    httpscene_close(&scene);
}

/* web_test:test_early_return_with_data */
static void an_answer_to_a_piece_ends_the_connection(void **state)
{
    struct httpscene scene;

    streamed_open(&scene, (struct httpserver_options){ 0 });
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies - 1; i++) {
        for (size_t way = 0; way < REFUSALS; way++) {
            streamed.at_piece = refusals[way];
            check_refused(&scene, bodies[i], true);
            check_refused(&scene, bodies[i], false);
            assert_int_equal(streamed.pieces, 1);
        }
    }
    httpscene_close(&scene);
}

static void an_answer_may_come_while_the_body_does(void **state)
{
    for (size_t way = 0; way < REFUSALS; way++) {
        for (int paused = 0; paused < 2; paused++) {
            struct httpscene scene;
            struct httpscene_client *client = begin_early(&scene);

            httpscene_put(&scene, client, POST("300") "some");
            httpscene_settle(&scene);
            if (paused)
                httprequest_pause(streamed.request);
            httpscene_put(&scene, client, paused ? "more" : "");
            httpscene_settle(&scene);
            refusals[way](streamed.request);
            httpscene_put(&scene, client, GET("/no"));
            httpscene_expect_last(&scene, client, refused_with);
            assert_string_equal(streamed.text, "some|");
            assert_int_equal(scene.requests, 0);
            httpscene_close(&scene);
        }
    }
}

static void a_refused_body_is_dropped_for_64_kib_and_read_no_more(void **state)
{
    char *text = malloc(70001);
    struct httpscene scene;
    struct httpscene_client *client = begin_early(&scene);

    filled(text, 70000);
    streamed.at_head = refuse;
    httpscene_put(&scene, client, POST("1000000"));
    httpscene_settle(&scene);
    httpscene_put_bytes(&scene, client, text, 65535);
    httpscene_settle(&scene);
    faults_count_reset();
    httpscene_put_bytes(&scene, client, text, 1);
    httpscene_settle(&scene);
    for (int i = 0; i < 5; i++) {
        httpscene_put_bytes(&scene, client, text, 10000);
        httpscene_settle(&scene);
    }
    assert_in_range(faults_count("recv"), 1, 2); /* the last that is dropped, and one look whether that is the end */
    httpscene_expect_last(&scene, client, 401);
    assert_int_equal(httpserver_connections(scene.server), 1);
    httpscene_pass(&scene, 5.2);
    assert_int_equal(httpserver_connections(scene.server), 0);
    httpscene_close(&scene);
    free(text);
}

static void a_refused_body_is_dropped_for_5_s_and_not_longer(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_early(&scene);

    streamed.at_head = refuse;
    httpscene_put(&scene, client, POST("1000000"));
    httpscene_expect_last(&scene, client, 401);
    for (int i = 0; i < 4; i++) {
        httpscene_put(&scene, client, "x");
        httpscene_pass(&scene, 1.24);
        assert_int_equal(httpserver_connections(scene.server), 1);
    }
    httpscene_pass(&scene, 0.04 + LATE);
    assert_int_equal(httpserver_connections(scene.server), 0);
    httpscene_close(&scene);
}

/* Refused by the server, after the program has seen the head. */

static int replied;

static void reply_in_callback(struct httprequest *request, void *arg)
{
    streamed.left++;
    replied = httprequest_reply(request, 200, NULL, "mine", 4);
}

static void begin_in_callback(struct httprequest *request, void *arg)
{
    streamed.left++;
    replied = httprequest_write_head(request, 422, NULL, NULL, NULL, 0, NULL, NULL);
}

static void reply_to_refusal(struct httprequest *request)
{
    httprequest_set_close_callback(request, reply_in_callback, NULL);
}

static void begin_to_refusal(struct httprequest *request)
{
    httprequest_set_close_callback(request, begin_in_callback, NULL);
}

static void a_request_that_the_server_refuses_is_told_that_it_ends(void **state)
{
    static const struct {
        const char *text;
        int status;
    } cases[] = { { POST("1048577"), 413 }, { CHUNKED "1\r\nx\r\n100000\r\n", 413 }, { CHUNKED "g\r\n", 400 } };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct httpscene scene;
        struct httpscene_client *client = begin_early(&scene);

        httpscene_put(&scene, client, cases[i].text);
        httpscene_expect_last(&scene, client, cases[i].status);
        assert_int_equal(streamed.left, 1);
        assert_int_equal(scene.logged, 1);
        assert_int_equal(scene.last_status, cases[i].status);
        assert_int_equal(scene.requests, 0);
        httpscene_close(&scene);
    }
}

static void a_request_that_the_server_refuses_may_be_answered_by_the_program(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_early(&scene);

    streamed.at_head = reply_to_refusal;
    httpscene_put(&scene, client, POST("1048577") GET("/no"));
    httpscene_expect_last(&scene, client, 200);
    assert_int_equal(replied, 0);
    assert_int_equal(streamed.left, 1);
    assert_int_equal(scene.requests, 0);
    httpscene_hang_up(client);
    httpscene_settle(&scene);
    client = httpscene_connect(&scene);
    streamed.at_head = begin_to_refusal;
    httpscene_put(&scene, client, CHUNKED "g\r\n");
    httpscene_settle(&scene);
    assert_int_equal(replied, 0);
    assert_int_equal(httpserver_connections(scene.server), 0);
    httpscene_close(&scene);
}

/* 100 (Continue). */

static void (*const nothing)(struct httprequest *) = NULL;

struct expecting {
    const char *head, *body;
    void (*at_head)(struct httprequest *);
    int status; /* of the only answer; 0: 100 and then 200 */
};

static void check_expecting(const struct expecting *each)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_early(&scene);

    streamed.at_head = each->at_head;
    httpscene_put(&scene, client, each->head);
    if (each->status == 0) {
        httpscene_expect_text(&scene, client, GO_AHEAD);
        httpscene_expect_nothing(&scene, client);
        httpscene_put(&scene, client, each->body);
        httpscene_expect(&scene, client, 200, "ok|");
        httpscene_expect_nothing(&scene, client);
    } else if (each->status == 200) {
        httpscene_expect_nothing(&scene, client);
        httpscene_put(&scene, client, each->body);
        assert_int_equal(httpscene_next(&scene, client, false).status, 200);
    } else {
        httpscene_expect_last(&scene, client, each->status);
    }
    httpscene_close(&scene);
}

static void resume_at_once(struct httprequest *request)
{
    httprequest_pause(request);
    httprequest_resume(request);
}

static void who_expects_100_gets_it_only_if_the_body_is_wanted(void **state)
{
    const struct expecting cases[] = {
        { POST_EXPECTS("2"), "ok", nothing, 0 },
        { CHUNKED_EXPECTS, "2\r\nok\r\n0\r\n\r\n", nothing, 0 },
        { POST_EXPECTS("2"), "ok", resume_at_once, 0 },
        { POST_EXPECTS("2"), NULL, refuse, 401 }, /* simple_httpclient_test:test_100_continue_early_response */
        { CHUNKED_EXPECTS, NULL, refuse_by_and_by, 401 },
        { POST_EXPECTS("2"), NULL, pause_and_refuse, 401 },
        { POST_EXPECTS("1048577"), NULL, nothing, 413 },
        { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: x\r\n\r\n", NULL, nothing, 417 },
        { "POST / HTTP/1.0\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n", "ok", nothing, 200 },
        { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n", "ok", nothing, 200 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_expecting(&cases[i]);
}

static void who_does_not_wait_for_100_gets_it_too_and_once(void **state)
{
    struct httpscene scene;

    streamed_open(&scene, (struct httpserver_options){ 0 });
    struct httpscene_client *client = httpscene_connect_unix(&scene);
    httpscene_put(&scene, client, POST_EXPECTS("2") "ok" CHUNKED_EXPECTS "2\r\nok\r\n0\r\n\r\n");
    for (int i = 0; i < 2; i++) {
        httpscene_expect_text(&scene, client, GO_AHEAD);
        httpscene_expect(&scene, client, 200, "ok|");
    }
    httpscene_put(&scene, client, POST_EXPECTS("3"));
    httpscene_expect_text(&scene, client, GO_AHEAD);
    for (int i = 0; i < 3; i++) {
        httprequest_pause(streamed.request);
        httprequest_resume(streamed.request);
        httpscene_expect_nothing(&scene, client);
        httpscene_put(&scene, client, "x");
        httpscene_settle(&scene);
    }
    httpscene_expect(&scene, client, 200, "x|x|x|");
    httpscene_close(&scene);
}

static void a_go_ahead_without_memory_ends_the_connection(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_early(&scene);

    streamed.at_head = streamed_pause;
    httpscene_put(&scene, client, POST_EXPECTS("2"));
    httpscene_settle(&scene);
    faults_system_call_sticky("send", EAGAIN, 1);
    faults_allocation(1, true);
    streamed_resume(streamed.request);
    faults_end();
    httpscene_settle(&scene);
    assert_int_equal(streamed.left, 1);
    assert_int_equal(httpserver_connections(scene.server), 0);
    httpscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_answer_in_on_head_ends_the_connection),
    cmocka_unit_test(an_answer_to_a_piece_ends_the_connection),
    cmocka_unit_test(an_answer_may_come_while_the_body_does),
    cmocka_unit_test(a_refused_body_is_dropped_for_64_kib_and_read_no_more),
    cmocka_unit_test(a_refused_body_is_dropped_for_5_s_and_not_longer),
    cmocka_unit_test(a_request_that_the_server_refuses_is_told_that_it_ends),
    cmocka_unit_test(a_request_that_the_server_refuses_may_be_answered_by_the_program),
    cmocka_unit_test(who_expects_100_gets_it_only_if_the_body_is_wanted),
    cmocka_unit_test(who_does_not_wait_for_100_gets_it_too_and_once),
    cmocka_unit_test(a_go_ahead_without_memory_ends_the_connection),
};

TESTING_MAIN(tests)
