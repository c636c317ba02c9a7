/* Who is closed for a client that waits, when there are max_connections. */
#include "httpserver/httpserver.h"

#include <string.h>

#include "tests/support/httpscene.h"
#include "tests/support/httptexts.h"
#include "tests/support/testing.h"

#define AGAIN (0.1 + LATE) /* until the server looks again */

/* So many that have had an answer, the one that has been idle for longest first. */
static void open_with_idle_ones(struct httpscene *scene, struct httpscene_client *idle[], size_t count)
{
    httpscene_open(scene, &(struct httpserver_options){ .max_connections = count });
    for (size_t i = 0; i < count; i++) {
        idle[i] = httpscene_connect(scene);
        httpscene_put(scene, idle[i], GET("/"));
        httpscene_expect(scene, idle[i], 200, "GET /");
        httpscene_pass(scene, 1);
    }
}

/* The loop is told of the one that waits before it is told of what the others have sent. */
static struct httpscene_client *connect_one_more(struct httpscene *scene)
{
    struct httpscene_client *client = httpscene_connect(scene);

    httpscene_put_some(client, GET("/new"), strlen(GET("/new")));
    return client;
}

static void a_request_that_has_arrived_is_not_lost_for_room(void **state)
{
    struct httpscene scene;
    struct httpscene_client *idle[3];

    open_with_idle_ones(&scene, idle, 3);
    struct httpscene_client *client = connect_one_more(&scene);
    httpscene_put_some(idle[0], GET("/0"), strlen(GET("/0")));
    httpscene_put_some(idle[1], "G", 1);
    httpscene_expect(&scene, client, 200, "GET /new");
    httpscene_expect(&scene, idle[0], 200, "GET /0");
    httpscene_put(&scene, idle[1], &GET("/1")[1]);
    httpscene_expect(&scene, idle[1], 200, "GET /1");
    httpscene_expect_end(&scene, idle[2]);
    httpscene_close(&scene);
}

static void where_all_have_asked_the_first_that_is_answered_makes_room(void **state)
{
    struct httpscene scene;
    struct httpscene_client *idle[1];

    open_with_idle_ones(&scene, idle, 1);
    struct httpscene_client *client = connect_one_more(&scene);
    httpscene_put_some(idle[0], GET("/0"), strlen(GET("/0")));
    httpscene_expect(&scene, idle[0], 200, "GET /0");
    httpscene_pass(&scene, AGAIN);
    httpscene_expect(&scene, client, 200, "GET /new");
    httpscene_expect_end(&scene, idle[0]);
    httpscene_close(&scene);
}

static void the_end_of_a_client_is_no_request(void **state)
{
    struct httpscene scene;
    struct httpscene_client *idle[2];

    open_with_idle_ones(&scene, idle, 2);
    struct httpscene_client *client = connect_one_more(&scene);
    httpscene_finish(idle[0]);
    httpscene_expect(&scene, client, 200, "GET /new");
    httpscene_expect_end(&scene, idle[0]);
    httpscene_put(&scene, idle[1], GET("/1"));
    httpscene_expect(&scene, idle[1], 200, "GET /1");
    httpscene_close(&scene);
}

/* Else it would cost a byte now and then to have a place for ever. */
static void who_drips_a_head_makes_room_with_the_next_bytes_on_their_way(void **state)
{
    static const char *const beginnings[] = { "GET / HT", "\r" };

    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
        struct httpscene scene;
        struct httpscene_client *idle[1];

        open_with_idle_ones(&scene, idle, 1);
        httpscene_put(&scene, idle[0], beginnings[i]);
        httpscene_settle(&scene);
        struct httpscene_client *client = connect_one_more(&scene);
        if (i == 0)
            httpscene_put_some(idle[0], "TP", 2);
        httpscene_expect(&scene, client, 200, "GET /new");
        httpscene_settle(&scene);
        assert_int_equal(httpserver_connections(scene.server), 1);
        httpscene_close(&scene);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_request_that_has_arrived_is_not_lost_for_room),
    cmocka_unit_test(where_all_have_asked_the_first_that_is_answered_makes_room),
    cmocka_unit_test(the_end_of_a_client_is_no_request),
    cmocka_unit_test(who_drips_a_head_makes_room_with_the_next_bytes_on_their_way),
};

TESTING_MAIN(tests)
