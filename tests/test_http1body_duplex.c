#include "httpserver/http1connection.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/httpscene.h"
#include "tests/support/httpstreamed.h"
#include "tests/support/httptexts.h"
#include "tests/support/testing.h"

/* Answers that begin before their body is through: the client has two things to do, and a deadline for each. */

static bool pauses;

static void begin_long_answer(struct httprequest *request)
{
    char *bytes = malloc(1000001);

    if (pauses)
        streamed_pause(request);
    assert_int_equal(httprequest_write_head(request, 200, NULL, NULL, filled(bytes, 1000000), 1000000, NULL, NULL), 0);
    assert_true(httprequest_pending(request) > 0);
    free(bytes);
}

static void finish_answer(struct httpscene *scene, struct httprequest *request)
{
    assert_int_equal(httprequest_finish(request), 0);
}

static struct httpscene_client *begin_duplex(struct httpscene *scene)
{
    streamed_open(scene, (struct httpserver_options){ .body_timeout = 50, .write_timeout = 5, .min_body_rate = 1 });
    streamed.at_head = begin_long_answer;
    scene->on_request = finish_answer;
    struct httpscene_client *client = httpscene_connect_unix(scene);
    httpscene_put(scene, client, POST("100"));
    httpscene_settle(scene);
    if (pauses)
        streamed_resume(streamed.request);
    return client;
}

static void read_all_there_is(struct httpscene *scene, struct httpscene_client *client)
{
    for (int quiet = 0; quiet < 10; quiet++) {
        httpscene_settle(scene);
        if (httpscene_take(client, SIZE_MAX) > 0)
            quiet = 0;
    }
}

/* One by one. */
static void pass_49_seconds(struct httpscene *scene)
{
    for (int i = 0; i < 49; i++)
        httpscene_pass(scene, 1);
    assert_int_equal(httpserver_connections(scene->server), 1);
}

static void a_slow_reader_has_its_time_for_the_body_too(void **state)
{
    for (int i = 0; i < 2; i++) {
        struct httpscene scene;

        pauses = i > 0;
        struct httpscene_client *client = begin_duplex(&scene);
        read_all_there_is(&scene, client);
        pass_49_seconds(&scene);
        char part[61];
        httpscene_put_bytes(&scene, client, filled(part, 60), 60);
        pass_49_seconds(&scene);
        httpscene_put_bytes(&scene, client, part, 40);
        struct httpscene_answer answer = httpscene_next(&scene, client, false);
        assert_int_equal(answer.status, 200);
        assert_int_equal(answer.length, 1000000);
        httpscene_close(&scene);
    }
}

static void who_sends_no_more_of_the_body_is_cut_when_it_has_read_the_answer(void **state)
{
    struct httpscene scene;

    pauses = false;
    struct httpscene_client *client = begin_duplex(&scene);
    read_all_there_is(&scene, client);
    httpscene_pass(&scene, 5 + LATE);
    httpscene_pass(&scene, 49.8);
    assert_int_equal(httpserver_connections(scene.server), 1);
    httpscene_pass(&scene, 0.2 + LATE);
    assert_int_equal(httpserver_connections(scene.server), 0);
    httpscene_close(&scene);
}

/* Whatever it sends meanwhile. */
static void who_reads_nothing_of_the_answer_is_cut(void **state)
{
    for (int i = 0; i < 4; i++) {
        struct httpscene scene;

        pauses = i > 1;
        struct httpscene_client *client = begin_duplex(&scene);
        for (int half_seconds = 0; half_seconds < 9; half_seconds++) {
            httpscene_pass(&scene, 0.5);
            if (i % 2 == 0)
                httpscene_put(&scene, client, "x");
            httpscene_settle(&scene);
        }
        assert_int_equal(httpserver_connections(scene.server), 1);
        httpscene_pass(&scene, 0.5 + LATE);
        assert_int_equal(httpserver_connections(scene.server), 0);
        httpscene_close(&scene);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_slow_reader_has_its_time_for_the_body_too),
    cmocka_unit_test(who_sends_no_more_of_the_body_is_cut_when_it_has_read_the_answer),
    cmocka_unit_test(who_reads_nothing_of_the_answer_is_cut),
};

TESTING_MAIN(tests)
