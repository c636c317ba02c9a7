#include "httpserver/http1connection.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/httpscene.h"
#include "tests/support/httptexts.h"
#include "tests/support/testing.h"

/* Requests that come together, or lie in the kernel, while the loop is at something else. */

static char order[2000]; /* of the requests: the first letter behind the slash */

static void take_a_millisecond(struct httpscene *scene, struct httprequest *request)
{
    order[scene->requests - 1] = httprequest_target(request)[1];
    scene->clock += 0.001;
    httpscene_answer(request);
}

/* In one piece. */
static void ask_many_times(struct httpscene_client *client, size_t count)
{
    static const char one[] = GET("/many");
    size_t length = count * (sizeof one - 1);
    char *text = malloc(length);

    assert_non_null(text);
    for (size_t i = 0; i < count; i++)
        memcpy(text + i * (sizeof one - 1), one, sizeof one - 1);
    assert_int_equal(httpscene_put_some(client, text, length), length);
    free(text);
}

/* Where in the order, the first is 1; 0: nowhere. */
static int position(char letter)
{
    const char *found = strchr(order, letter);

    return found != NULL ? (int)(found - order) + 1 : 0;
}

static void many_requests_at_once_leave_others_their_turn(void **state)
{
    struct httpscene scene;
    struct httpscene_client *greedy = begin(&scene, NULL), *honest = httpscene_connect(&scene);

    memset(order, 0, sizeof order);
    scene.on_request = take_a_millisecond;
    httpscene_settle(&scene);
    ask_many_times(greedy, 500);
    (void)!ioloop_run_once(scene.loop, 0);
    assert_in_range(scene.requests, 1, 40);
    httpscene_put(&scene, honest, GET("/one"));
    httpscene_expect(&scene, honest, 200, "GET /one");
    assert_in_range(position('o'), 2, 80);
    for (int i = 0; i < 500; i++)
        httpscene_expect(&scene, greedy, 200, "GET /many");
    httpscene_put(&scene, greedy, GET("/more"));
    httpscene_expect(&scene, greedy, 200, "GET /more");
    httpscene_close(&scene);
}

/* Where each takes no time they are served in one turn, and sent in one piece. */
static void short_requests_at_once_are_served_at_once(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_settle(&scene);
    scene.clock += 1;
    ask_many_times(client, 200);
    for (int i = 0; i < 5; i++)
        (void)!ioloop_run_once(scene.loop, 0);
    assert_int_equal(scene.requests, 200);
    httpscene_close(&scene);
}

/* One that has given way is not idle: it has asked for more. */
static void who_gives_way_is_not_closed_for_room(void **state)
{
    struct httpscene scene;
    struct httpscene_client *greedy = begin(&scene, &(struct httpserver_options){ .max_connections = 1 });

    scene.on_request = take_a_millisecond;
    httpscene_settle(&scene);
    ask_many_times(greedy, 100);
    (void)!ioloop_run_once(scene.loop, 0);
    assert_in_range(scene.requests, 1, 40);
    httpscene_connect(&scene);
    for (int i = 0; i < 100; i++)
        httpscene_expect(&scene, greedy, 200, "GET /many");
    httpscene_close(&scene);
}

/* The server closes. */

static const char *const waiting[] = { GET("/"), POST("5") "hello", GET("/") GET("/no"), "GE" };

static void requests_that_have_come_are_answered_by_a_server_that_closes(void **state)
{
    for (int i = 0; i < 3; i++) {
        struct httpscene scene;
        struct httpscene_client *client = begin(&scene, NULL), *idle = httpscene_connect(&scene);

        httpscene_put(&scene, client, GET("/first"));
        httpscene_expect(&scene, client, 200, "GET /first");
        httpscene_settle(&scene);
        assert_int_equal(httpscene_put_some(client, waiting[i], strlen(waiting[i])), strlen(waiting[i]));
        httpserver_close(scene.server);
        httpscene_expect_last(&scene, client, 200);
        httpscene_expect_end(&scene, idle);
        assert_int_equal(scene.requests, 2);
        httpscene_settle(&scene);
        httpscene_pass(&scene, 2);
        assert_int_equal(scene.closed, 1);
        httpscene_close(&scene);
    }
}

static void who_has_given_way_gets_one_more_answer_then(void **state)
{
    struct httpscene scene;
    struct httpscene_client *greedy = begin(&scene, NULL);

    scene.on_request = take_a_millisecond;
    httpscene_settle(&scene);
    ask_many_times(greedy, 100);
    (void)!ioloop_run_once(scene.loop, 0);
    int before = scene.requests;
    assert_in_range(before, 1, 40);
    httpserver_close(scene.server);
    for (int i = 0; i < before; i++)
        httpscene_expect(&scene, greedy, 200, "GET /many");
    httpscene_expect_last(&scene, greedy, 200);
    assert_int_equal(scene.requests, before + 1);
    httpscene_close(&scene);
}

static void who_has_begun_a_request_does_not_hold_a_server_that_closes(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_settle(&scene);
    assert_int_equal(httpscene_put_some(client, "GE", 2), 2);
    httpserver_close(scene.server);
    httpscene_settle(&scene);
    assert_int_equal(scene.closed, 0);
    httpscene_pass(&scene, 10 + LATE);
    assert_int_equal(scene.closed, 1);
    httpscene_close(&scene);
}

static void close_at_first_log(struct httprequest *request, int status, uint64_t body_bytes, double seconds, void *arg)
{
    struct httpscene *scene = arg;

    scene->logged++;
    httpserver_close(httprequest_server(request));
}

/* Else the program would do what it is asked for, and nobody would hear of it. */
static void a_server_that_is_closed_in_on_log_serves_no_further_request(void **state)
{
    static const char *const texts[] = { GET("/1") GET("/2") GET("/3"), GET("/1"), LAST_GET("/1"),
                                         GET("/1") "asdf\r\n\r\n" };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct httpscene scene;
        struct httpscene_client *client = begin(&scene, &(struct httpserver_options){ .on_log = close_at_first_log });

        httpscene_put(&scene, client, texts[i]);
        assert_int_equal(httpscene_next(&scene, client, false).status, 200);
        httpscene_expect_end(&scene, client);
        assert_int_equal(scene.requests, 1);
        assert_int_equal(scene.logged, 1);
        httpscene_close(&scene);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(many_requests_at_once_leave_others_their_turn),
    cmocka_unit_test(short_requests_at_once_are_served_at_once),
    cmocka_unit_test(who_gives_way_is_not_closed_for_room),
    cmocka_unit_test(requests_that_have_come_are_answered_by_a_server_that_closes),
    cmocka_unit_test(who_has_given_way_gets_one_more_answer_then),
    cmocka_unit_test(who_has_begun_a_request_does_not_hold_a_server_that_closes),
    cmocka_unit_test(a_server_that_is_closed_in_on_log_serves_no_further_request),
};

TESTING_MAIN(tests)
