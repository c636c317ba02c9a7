#include "httpserver/http1connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/httpscene.h"
#include "tests/support/httpstreamed.h"
#include "tests/support/httptexts.h"
#include "tests/support/testing.h"

/* How much may come, and how slowly. */

static uint64_t own_limit;
static double own_timeout;

static void set_own_limits(struct httprequest *request)
{
    httprequest_set_max_body(request, own_limit);
    httprequest_set_body_timeout(request, own_timeout);
}

static void set_and_collect(struct httprequest *request)
{
    httprequest_stream_body(request, NULL, NULL);
    set_own_limits(request);
}

/* A body of so many bytes in the given framing, sent in steps, and what comes of it. */
static void put_body(struct httpscene *scene, struct httpscene_client *client, bool chunked, size_t size, size_t step)
{
    char *text = malloc(size + 200);
    int used;

    assert_non_null(text);
    if (!chunked) {
        used = sprintf(text, POST("%zu"), size);
        memset(text + used, 'x', size);
        used += (int)size;
    } else { /* in two chunks, of which only the second can be too much */
        used = sprintf(text, CHUNKED "1\r\nx\r\n%zx\r\n", size - 1);
        memset(text + used, 'x', size - 1);
        used += (int)size - 1;
        used += sprintf(text + used, "\r\n0\r\n\r\n");
    }
    for (size_t at = 0; at < (size_t)used; at += step) {
        httpscene_put_bytes(scene, client, text + at, at + step < (size_t)used ? step : (size_t)used - at);
        testing_spin(scene->loop, 1);
    }
    free(text);
}

static void check_limit(struct httpscene *scene, size_t limit, bool chunked, size_t step)
{
    for (size_t size = limit - 1; size <= limit + 1; size++) {
        struct httpscene_client *client = httpscene_connect_unix(scene);
        int requests = scene->requests;

        put_body(scene, client, chunked, size, step);
        if (size <= limit)
            assert_int_equal(httpscene_next(scene, client, false).status, 200);
        else
            httpscene_expect_last(scene, client, 413);
        assert_int_equal(scene->requests, requests + (size <= limit));
        httpscene_hang_up(client);
    }
}

/* httpserver_test:test_large_body_buffered, httpserver_test:test_large_body_buffered_chunked,
 * httpserver_test:test_large_body_streaming and httpserver_test:test_large_body_streaming_chunked, but with 413 */
static void a_body_may_have_max_body_bytes_and_not_one_more(void **state)
{
    struct httpscene scene;

    for (int collected = 0; collected < 2; collected++) {
        streamed_open(&scene, (struct httpserver_options){ .max_body = 4096 });
        streamed.at_head = collected ? set_and_collect : NULL;
        scene.on_request = collected ? NULL : streamed_answer;
        own_limit = 0; /* the server's */
        own_timeout = -1;
        for (int chunked = 0; chunked < 2; chunked++) {
            check_limit(&scene, 4096, chunked, 10000);
            check_limit(&scene, 4096, chunked, 1);
        }
        httpscene_close(&scene);
    }
}

/* httpserver_test:test_large_body_streaming_override, httpserver_test:test_large_body_streaming_chunked_override */
static void a_request_may_have_a_limit_of_its_own(void **state)
{
    static const size_t limits[] = { 2, 100, 4097, 70000 };
    struct httpscene scene;

    for (int collected = 0; collected < 2; collected++) {
        streamed_open(&scene, (struct httpserver_options){ .max_body = 4096 });
        streamed.at_head = collected ? set_and_collect : set_own_limits;
        scene.on_request = collected ? NULL : streamed_answer;
        for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
            own_limit = limits[i];
            check_limit(&scene, limits[i], false, 100000);
            check_limit(&scene, limits[i], true, 100000);
        }
        httpscene_close(&scene);
    }
}

/* httpserver_test:test_body_size_override_reset */
static void a_limit_of_its_own_is_for_one_request(void **state)
{
    for (int chunked = 0; chunked < 2; chunked++) {
        struct httpscene scene;

        streamed_open(&scene, (struct httpserver_options){ .max_body = 4096 });
        struct httpscene_client *client = httpscene_connect_unix(&scene);
        streamed.at_head = set_own_limits;
        own_limit = 10000;
        own_timeout = 1000;
        put_body(&scene, client, chunked, 10000, 100000);
        assert_int_equal(httpscene_next(&scene, client, false).status, 200);
        streamed.at_head = NULL;
        put_body(&scene, client, chunked, 4096, 100000);
        assert_int_equal(httpscene_next(&scene, client, false).status, 200);
        put_body(&scene, client, chunked, 4097, 100000);
        httpscene_expect_last(&scene, client, 413);
        client = httpscene_connect(&scene);
        httpscene_put(&scene, client, POST("5"));
        httpscene_settle(&scene);
        httpscene_pass(&scene, 20 + LATE);
        httpscene_expect_last(&scene, client, 408);
        httpscene_close(&scene);
    }
}

/* Time. */

static void a_request_may_have_a_timeout_of_its_own(void **state)
{
    static const double timeouts[] = { 3, 100, 0, -1 };
    struct httpscene scene;

    streamed_open(&scene, (struct httpserver_options){ .min_body_rate = 1 });
    streamed.at_head = set_own_limits;
    for (size_t i = 0; i < sizeof timeouts / sizeof *timeouts; i++) {
        double seconds = timeouts[i] > 0 ? timeouts[i] : 20;
        struct httpscene_client *client = httpscene_connect(&scene);

        own_limit = 0;
        own_timeout = timeouts[i];
        httpscene_put(&scene, client,
                      POST("500") "some, so that nobody may call it slow: it has to be more than a hundred "
                                  "bytes, one for each second there is to wait for what comes behind");
        httpscene_settle(&scene);
        httpscene_pass(&scene, seconds - 0.1);
        httpscene_expect_nothing(&scene, client);
        httpscene_put(&scene, client, "x"); /* from here on again */
        httpscene_settle(&scene);
        expect_last_after(&scene, client, seconds, 408);
        assert_int_equal(streamed.left, (int)i + 1);
        httpscene_hang_up(client);
    }
    httpscene_close(&scene);
}

/* Sends so many bytes a second. Answers after how many seconds the server had enough; 0: never in that time. */
static int drip(struct httpscene *scene, struct httpscene_client *client, int bytes, int seconds)
{
    char text[4096];

    filled(text, (size_t)bytes);
    for (int second = 1; second <= seconds; second++) {
        httpscene_pass(scene, 1);
        httpscene_put(scene, client, text);
        httpscene_settle(scene);
        httpscene_take(client, SIZE_MAX);
        if (client->length > 0)
            return second;
    }
    return 0;
}

static void a_body_that_drips_is_refused_after_half_its_timeout(void **state)
{
    for (int collected = 0; collected < 2; collected++) {
        struct httpscene scene;

        streamed_open(&scene, (struct httpserver_options){ 0 });
        streamed.at_head = collected ? set_and_collect : NULL;
        struct httpscene_client *client = httpscene_connect(&scene);
        httpscene_put(&scene, client, POST("100000"));
        httpscene_settle(&scene);
        assert_in_range(drip(&scene, client, 1, 30), 10, 11);
        httpscene_expect_last(&scene, client, 408);
        assert_int_equal(testing_logs("the body is too slow"), 1);
        assert_int_equal(scene.requests, 0);
        httpscene_close(&scene);
    }
}

static void the_rate_is_an_average(void **state)
{
    static const struct {
        uint64_t rate;
        int bytes, seconds;
        bool bursts;
        int until;
    } cases[] = {
        { 0, 1030, 60, false, 0 },  { 0, 1010, 60, false, 11 }, { 100, 101, 60, false, 0 },
        { 100, 99, 60, false, 11 }, { 0, 1030, 60, true, 0 }, /* it has been fast before */
        { 0, 100, 60, true, 33 },   { 1, 1, 100, true, 0 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct httpscene scene;
        char burst[4096];

        streamed_open(&scene, (struct httpserver_options){ .min_body_rate = cases[i].rate });
        struct httpscene_client *client = httpscene_connect(&scene);
        httpscene_put(&scene, client, POST("1000000"));
        for (int k = 0; cases[i].bursts && k < 10; k++)
            httpscene_put(&scene, client, filled(burst, 3000));
        httpscene_settle(&scene);
        int until = drip(&scene, client, cases[i].bytes, cases[i].seconds);
        assert_in_range(until, cases[i].until - (cases[i].until > 0), cases[i].until + (cases[i].until > 0));
        httpscene_close(&scene);
    }
}

static void a_pause_is_not_the_clients_time(void **state)
{
    struct httpscene scene;

    streamed_open(&scene, (struct httpserver_options){ 0 });
    struct httpscene_client *client = httpscene_connect(&scene);
    httpscene_put(&scene, client, POST("100000") "x");
    httpscene_settle(&scene);
    for (int i = 0; i < 9; i++) {
        streamed_pause(streamed.request);
        for (int k = 0; k < 5; k++)
            httpscene_pass(&scene, 19);
        streamed_resume(streamed.request);
        assert_int_equal(drip(&scene, client, 1, 1), 0);
    }
    assert_in_range(drip(&scene, client, 1, 5), 1, 2);
    httpscene_expect_last(&scene, client, 408);
    httpscene_close(&scene);
}

/* Nor is there less time than there was. */
static void after_a_pause_the_timeout_begins_again(void **state)
{
    struct httpscene scene;

    streamed_open(&scene, (struct httpserver_options){ 0 });
    struct httpscene_client *client = httpscene_connect(&scene);
    httpscene_put(&scene, client, POST("100"));
    httpscene_settle(&scene);
    httpscene_pass(&scene, 19);
    streamed_pause(streamed.request);
    httpscene_pass(&scene, 19);
    streamed_resume(streamed.request);
    expect_last_after(&scene, client, 20, 408);
    httpscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_body_may_have_max_body_bytes_and_not_one_more),
    cmocka_unit_test(a_request_may_have_a_limit_of_its_own),
    cmocka_unit_test(a_limit_of_its_own_is_for_one_request),
    cmocka_unit_test(a_request_may_have_a_timeout_of_its_own),
    cmocka_unit_test(a_body_that_drips_is_refused_after_half_its_timeout),
    cmocka_unit_test(the_rate_is_an_average),
    cmocka_unit_test(a_pause_is_not_the_clients_time),
    cmocka_unit_test(after_a_pause_the_timeout_begins_again),
};

TESTING_MAIN(tests)
