#include "httpserver/http1connection.h"

#include <errno.h>
#include <stdio.h>

#include "tests/support/faults.h"
#include "tests/support/httpscene.h"
#include "tests/support/httptexts.h"
#include "tests/support/testing.h"

static void a_slow_head_is_cut_ten_seconds_after_its_first_byte(void **state)
{
    static const char head[] = "GET /slow/and/never/whole HTTP/1.1\r\n";
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_put(&scene, client, "GET / HT");
    httpscene_settle(&scene);
    httpscene_put(&scene, client, "TP/1.1\r\nHost: a\r\n\r\n");
    httpscene_expect(&scene, client, 200, "GET /");
    httpscene_pass(&scene, 29);
    for (int i = 0; i < 10; i++) {
        httpscene_pass(&scene, 1);
        httpscene_put_bytes(&scene, client, head + i, 1);
        httpscene_expect_nothing(&scene, client);
    }
    expect_last_after(&scene, client, 1, 408);
    httpscene_close(&scene);
}

static void a_slow_head_on_a_new_connection_is_cut_too(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, &(struct httpserver_options){ .header_timeout = 3 });

    httpscene_settle(&scene);
    httpscene_pass(&scene, 1);
    httpscene_put(&scene, client, "G");
    expect_last_after(&scene, client, 2, 408);
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
    expect_end_after(&scene, client, 10);
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

static void an_empty_line_begins_no_head(void **state)
{
    static const char *const texts[] = { "\r", "\r\n" };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct httpscene scene;
        struct httpscene_client *client = begin(&scene, NULL);

        httpscene_put(&scene, client, GET("/"));
        httpscene_expect(&scene, client, 200, "GET /");
        httpscene_put(&scene, client, texts[i]);
        httpscene_settle(&scene);
        expect_end_after(&scene, client, 60);
        httpscene_close(&scene);
    }
}

static void work_for_50_seconds(struct httpscene *scene, struct httprequest *request)
{
    scene->clock += 50;
    httpscene_answer(request);
}

/* Of a handler that has blocked the loop, too: the log has looked at the clock. */
static void the_idle_time_begins_behind_the_answer(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    scene.on_request = work_for_50_seconds;
    httpscene_put(&scene, client, GET("/"));
    httpscene_expect(&scene, client, 200, "GET /");
    expect_end_after(&scene, client, 60);
    httpscene_close(&scene);
}

/* httpserver_test:test_timeout, but that the client is told */
static void a_body_that_stops_coming_is_cut(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client =
        begin(&scene, &(struct httpserver_options){ .min_body_rate = 1, .body_timeout = 160 });

    httpscene_put(&scene, client, POST("100"));
    for (int i = 0; i < 4; i++) {
        httpscene_settle(&scene);
        httpscene_pass(&scene, 19);
        httpscene_expect_nothing(&scene, client);
        httpscene_put(&scene, client, "x");
    }
    httpscene_settle(&scene);
    httpscene_pass(&scene, 160 + LATE);
    httpscene_expect_last(&scene, client, 408);
    assert_int_equal(scene.requests, 0);
    httpscene_close(&scene);
}

/* The client has all of its own behind that, with the first request and with the next. */
static void a_program_takes_all_the_time_it_wants(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    for (int requests = 0; requests < 2; requests++) {
        httpscene_put(&scene, client, GET("/later"));
        httpscene_settle(&scene);
        for (int i = 0; i < 20; i++) {
            httpscene_pass(&scene, 50);
            httpscene_expect_nothing(&scene, client);
        }
        assert_int_equal(httpscene_answer_next(&scene), 0);
        httpscene_expect(&scene, client, 200, "later");
    }
    expect_end_after(&scene, client, 60);
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
    /* What the kernel had room for counts when it is given it: perhaps only at the next deadline, and the turn after.
     */
    for (int i = 0; i < 18 && httpserver_connections(scene.server) > 0; i++)
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
    expect_cut_after(&scene, 30);
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
        if (iostream_pending(http1connection_stream(connection_seen)) > 0)
            break;
        httpscene_next(scene, client, false);
    }
    assert_in_range(iostream_pending(http1connection_stream(connection_seen)), 1, 60000);
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
    httpscene_pass(&scene, 20);
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
    httpscene_pass(&scene, 20);
    httpscene_next(&scene, client, false);
    httpscene_pass(&scene, 31); /* it is seen to have read it */
    httpscene_pass(&scene, 58);
    httpscene_expect_nothing(&scene, client);
    httpscene_pass(&scene, 2 + LATE);
    httpscene_expect_end(&scene, client);
    httpscene_close(&scene);
}

/* The rest of an answer waits here, and the next request could come: that is no idle connection. */
static void a_reader_that_stops_before_the_end_has_no_idle_time(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client =
        begin_unix(&scene, &(struct httpserver_options){ .idle_timeout = 1000, .write_timeout = 5 });

    ask_until_something_waits(&scene, client);
    expect_cut_after(&scene, 5);
    httpscene_close(&scene);
}

/* Of an answer that was still being collected when the connection began to end. */
static void a_reader_that_takes_nothing_of_the_last_answer_is_cut(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client =
        begin(&scene, &(struct httpserver_options){ .idle_timeout = 1000, .write_timeout = 5 });

    httpscene_put(&scene, client, GET("/"));
    httpscene_expect(&scene, client, 200, "GET /");
    faults_system_call_sticky("send", EAGAIN, 1);
    httpscene_put(&scene, client, LAST_GET("/") "x");
    httpscene_settle(&scene);
    expect_cut_after(&scene, 5);
    httpscene_close(&scene);
}

/* Nothing of the request before is left in a refusal: it has a body. */
static void a_refusal_behind_head_is_whole(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_put(&scene, client, HEAD("/"));
    httpscene_next(&scene, client, true);
    httpscene_put(&scene, client, "G");
    httpscene_settle(&scene);
    httpscene_pass(&scene, 10 + LATE);
    httpscene_expect_last(&scene, client, 408);
    httpscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_slow_head_is_cut_ten_seconds_after_its_first_byte),
    cmocka_unit_test(a_slow_head_on_a_new_connection_is_cut_too),
    cmocka_unit_test(a_head_that_came_early_is_not_late),
    cmocka_unit_test(a_connection_that_says_nothing_is_closed_silently),
    cmocka_unit_test(an_idle_connection_is_closed_silently),
    cmocka_unit_test(an_empty_line_begins_no_head),
    cmocka_unit_test(the_idle_time_begins_behind_the_answer),
    cmocka_unit_test(a_body_that_stops_coming_is_cut),
    cmocka_unit_test(a_program_takes_all_the_time_it_wants),
    cmocka_unit_test(a_slow_reader_is_cut_only_when_it_stops),
    cmocka_unit_test(a_reader_that_does_not_begin_is_cut),
    cmocka_unit_test(a_half_closed_client_gets_the_end_of_an_answer_too),
    cmocka_unit_test(a_reader_that_has_become_fast_again_has_no_more_than_the_idle_time),
    cmocka_unit_test(a_slow_reader_has_all_the_idle_time_when_it_is_through),
    cmocka_unit_test(an_answer_whose_end_is_read_late_leaves_the_idle_time_too),
    cmocka_unit_test(a_reader_that_stops_before_the_end_has_no_idle_time),
    cmocka_unit_test(a_reader_that_takes_nothing_of_the_last_answer_is_cut),
    cmocka_unit_test(a_refusal_behind_head_is_whole),
};

TESTING_MAIN(tests)
