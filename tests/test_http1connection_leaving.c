#include "httpserver/http1connection.h"

#include <errno.h>

#include "tests/support/httpscene.h"
#include "tests/support/httptexts.h"
#include "tests/support/testing.h"

/* Clients that leave. */

static void check_leaving(bool local, const char *text, bool told)
{
    struct httpscene scene;
    struct httpscene_client *client = local ? begin_unix(&scene, NULL) : begin(&scene, NULL);

    httpscene_put(&scene, client, text);
    httpscene_settle(&scene);
    assert_int_equal(scene.waiting_count, 1);
    if (local)
        httpscene_hang_up(client); /* of a Unix socket: both directions end */
    else
        httpscene_reset(client);
    httpscene_settle(&scene);
    assert_int_equal(scene.left, told);
    int error = httpscene_answer_next(&scene);
    assert_true(told ? error == -EBADF : error < 0);
    httpscene_settle(&scene);
    assert_int_equal(httpserver_connections(scene.server), 0);
    assert_int_equal(scene.requests, 1);
    assert_int_equal(testing_logs(NULL), 0);
    httpscene_expect_alive(&scene);
    httpscene_close(&scene);
}

static void a_request_is_told_when_its_client_leaves(void **state)
{
    check_leaving(false, GET("/later"), true);
    check_leaving(true, GET("/later"), true);
    check_leaving(true, "POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", true);
}

/* That is seen only when the answer does not go. httpserver_test:test_pipelined_cancel */
static void a_client_may_leave_with_requests_outstanding(void **state)
{
    check_leaving(false, GET("/later") GET("/later"), false);
    check_leaving(true, GET("/later") GET("/later") "GET / HT", false);
}

/* httpserver_test:test_cancel_during_download */
static void a_client_may_leave_during_a_long_answer(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_put(&scene, client, GET("/size/9000000") GET("/2"));
    httpscene_settle(&scene);
    assert_true(httpscene_take(client, 1000) > 0);
    httpscene_reset(client);
    httpscene_settle(&scene);
    assert_int_equal(httpserver_connections(scene.server), 0);
    assert_int_equal(testing_logs(NULL), 0);
    httpscene_close(&scene);
}

static void a_half_closed_client_gets_its_answers(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_put(&scene, client, GET("/1") GET("/2"));
    httpscene_finish(client);
    httpscene_expect(&scene, client, 200, "GET /1");
    httpscene_expect(&scene, client, 200, "GET /2");
    httpscene_expect_end(&scene, client);
    httpscene_close(&scene);
}

static void a_half_closed_client_gets_its_late_answer(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_put(&scene, client, GET("/later") GET("/2") GET("/later"));
    httpscene_finish(client);
    httpscene_settle(&scene);
    httpscene_expect_nothing(&scene, client);
    assert_int_equal(scene.left, 0);
    assert_int_equal(httpscene_answer_next(&scene), 0);
    httpscene_expect(&scene, client, 200, "later");
    httpscene_expect(&scene, client, 200, "GET /2");
    httpscene_expect_nothing(&scene, client);
    assert_int_equal(httpscene_answer_next(&scene), 0);
    httpscene_expect(&scene, client, 200, "later");
    httpscene_expect_end(&scene, client);
    httpscene_close(&scene);
}

static void check_half_closed(const char *text, size_t length)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_put(&scene, client, text);
    httpscene_finish(client);
    httpscene_settle(&scene);
    if (scene.waiting_count > 0) {
        httpscene_answer(scene.waiting[--scene.waiting_count]);
        httpscene_settle(&scene);
    }
    assert_int_equal(httpscene_next(&scene, client, false).length, length);
    httpscene_expect_end(&scene, client);
    httpscene_settle(&scene);
    assert_int_equal(httpserver_connections(scene.server), 0);
    httpscene_close(&scene);
}

static void a_half_closed_client_gets_all_of_a_long_answer(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    check_half_closed(GET("/size/9000000"), 9000000);
    check_half_closed(OLD_GET("/size/9000000"), 9000000);
    check_half_closed(GET("/size/9000000") "GET / HT", 9000000);
    check_half_closed(GET("/size/9000000") POST("5") "hel", 9000000);
    scene.on_request = httpscene_wait;
    httpscene_put(&scene, client, GET("/size/9000000"));
    httpscene_finish(client);
    httpscene_settle(&scene);
    httpscene_answer(scene.waiting[--scene.waiting_count]);
    httpscene_settle(&scene);
    assert_int_equal(httpscene_next(&scene, client, false).length, 9000000);
    httpscene_expect_end(&scene, client);
    httpscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_request_is_told_when_its_client_leaves),
    cmocka_unit_test(a_client_may_leave_with_requests_outstanding),
    cmocka_unit_test(a_client_may_leave_during_a_long_answer),
    cmocka_unit_test(a_half_closed_client_gets_its_answers),
    cmocka_unit_test(a_half_closed_client_gets_its_late_answer),
    cmocka_unit_test(a_half_closed_client_gets_all_of_a_long_answer),
};

TESTING_MAIN(tests)
