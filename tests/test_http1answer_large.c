#include "httpserver/http1connection.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/support/httpscene.h"
#include "tests/support/httptexts.h"
#include "tests/support/testing.h"

/* Answers that are larger than what may wait for a client: it may take them as fast as it can. */

enum { LARGE = 4000000, HUGE_PAGE = (16 << 20) + 1000000 /* more than the default */ };

static const struct httpserver_options little_may_wait = { .max_unsent = 100000 };

static void reply(struct httpscene *scene, struct httprequest *request)
{
    char *bytes = malloc(LARGE + 1);

    assert_int_equal(httprequest_reply(request, 200, NULL, filled(bytes, LARGE), LARGE), 0);
    free(bytes);
}

static void begin_with_all(struct httpscene *scene, struct httprequest *request)
{
    char *bytes = malloc(LARGE + 1);

    assert_int_equal(httprequest_write_head(request, 200, NULL, NULL, filled(bytes, LARGE), LARGE, NULL, NULL), 0);
    assert_int_equal(httprequest_finish(request), 0);
    free(bytes);
}

static void end_behind_all(struct httpscene *scene, struct httprequest *request)
{
    char *bytes = malloc(LARGE + 1);

    assert_int_equal(httprequest_write_head(request, 200, NULL, NULL, NULL, 0, NULL, NULL), 0);
    assert_int_equal(httprequest_write(request, filled(bytes, LARGE), LARGE, NULL, NULL), 0);
    assert_int_equal(httprequest_finish(request), 0);
    free(bytes);
}

static void (*const ways[])(struct httpscene *, struct httprequest *) = { reply, begin_with_all, end_behind_all };

static void a_large_answer_is_whole_and_the_next_follows(void **state)
{
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        for (int at_once = 0; at_once < 2; at_once++) {
            struct httpscene scene;
            struct httpscene_client *client = begin_unix(&scene, &little_may_wait);

            scene.on_request = ways[i];
            httpscene_put(&scene, client, at_once ? GET("/1") GET("/2") : GET("/1"));
            assert_int_equal(httpscene_next(&scene, client, false).length, LARGE);
            httpscene_put(&scene, client, at_once ? "" : GET("/2"));
            assert_int_equal(httpscene_next(&scene, client, false).length, LARGE);
            assert_int_equal(scene.requests, 2);
            assert_int_equal(testing_logs("W "), 0);
            httpscene_close(&scene);
        }
    }
}

static void a_large_last_answer_is_whole(void **state)
{
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct httpscene scene;
        struct httpscene_client *client = begin_unix(&scene, &little_may_wait);

        scene.on_request = ways[i];
        httpscene_put(&scene, client, LAST_GET("/1"));
        assert_int_equal(httpscene_next(&scene, client, false).length, LARGE);
        httpscene_expect_end(&scene, client);
        httpscene_close(&scene);
    }
}

/* Only the end of an answer is taken behind so much. */
static void write_twice(struct httpscene *scene, struct httprequest *request)
{
    char *bytes = malloc(HUGE_PAGE + 1);

    assert_int_equal(httprequest_write_head(request, 200, NULL, NULL, filled(bytes, HUGE_PAGE), HUGE_PAGE, NULL, NULL),
                     0);
    assert_int_equal(httprequest_write(request, "x", 1, NULL, NULL), scene->last_status);
    (void)!httprequest_finish(request);
    free(bytes);
}

static void max_unsent_may_be_as_large_as_numbers_are(void **state)
{
    static const struct {
        uint64_t option;
        int wanted;
    } cases[] = {
        { UINT64_MAX, 0 }, { UINT64_MAX - 1, 0 }, { HUGE_PAGE + 1000, 0 }, { 0, -ENOBUFS }, { LARGE, -ENOBUFS }
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct httpscene scene;
        struct httpscene_client *client =
            begin_unix(&scene, &(struct httpserver_options){ .max_unsent = cases[i].option });

        scene.on_request = write_twice;
        scene.last_status = cases[i].wanted;
        httpscene_put(&scene, client, GET("/"));
        httpscene_settle(&scene);
        assert_int_equal(httpserver_connections(scene.server), cases[i].wanted == 0);
        httpscene_close(&scene);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_large_answer_is_whole_and_the_next_follows),
    cmocka_unit_test(a_large_last_answer_is_whole),
    cmocka_unit_test(max_unsent_may_be_as_large_as_numbers_are),
};

TESTING_MAIN(tests)
