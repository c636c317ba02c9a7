/* A server that stops: it accepts nothing more, and each answer is the last of its connection. */
#include "tests/support/testing.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ioloop/netutil.h"
#include "tests/support/httpscene.h"
#include "tests/support/httptexts.h"

static struct httpscene scene;

static void stop(void)
{
    httpserver_stop(scene.server);
    httpscene_settle(&scene);
}

/* 0 or the error of connect. */
static int try_to_connect(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)scene.port) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int error = connect(fd, (struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
    close(fd);
    return error;
}

static void a_server_that_has_stopped_accepts_nothing_and_listens_nowhere(void **state)
{
    static const struct netutil_bind_options ipv4 = { .address = "127.0.0.1" };
    int fd;

    httpscene_open(&scene, NULL);
    assert_int_equal(netutil_bind_sockets(&fd, 1, 0, &ipv4), 1);
    assert_int_equal(try_to_connect(), 0);
    stop();
    assert_int_equal(try_to_connect(), ECONNREFUSED);
    assert_int_equal(httpserver_listen(scene.server, 0, &ipv4), -EBADF);
    assert_int_equal(httpserver_add_sockets(scene.server, &fd, 1), -EBADF);
    assert_int_equal(httpserver_start(scene.server, 1, 0), -EBADF);
    assert_int_equal(scene.closed, 0); /* that is for httpserver_close */
    close(fd);
    httpscene_close(&scene);
}

/* One that has asked before, one that has not, and one of which a half has come. */
static void connections_stay_for_one_request(void **state)
{
    httpscene_open(&scene, NULL);
    struct httpscene_client *kept = httpscene_connect(&scene), *fresh = httpscene_connect(&scene);
    struct httpscene_client *begun = httpscene_connect(&scene);
    httpscene_put(&scene, kept, GET("/"));
    httpscene_expect(&scene, kept, 200, "GET /");
    httpscene_put(&scene, begun, "GET / HT");
    httpscene_settle(&scene);
    stop();
    httpserver_stop(scene.server);
    httpscene_expect_nothing(&scene, kept);
    httpscene_expect_nothing(&scene, fresh);
    assert_int_equal(httpserver_connections(scene.server), 3);
    httpscene_put(&scene, kept, GET("/"));
    httpscene_expect_last(&scene, kept, 200);
    httpscene_put(&scene, fresh, POST("5") "hello");
    httpscene_expect_last(&scene, fresh, 200);
    httpscene_put(&scene, begun, "TP/1.1\r\nHost: a\r\n\r\n");
    httpscene_expect_last(&scene, begun, 200);
    httpscene_close(&scene);
}

static void a_request_in_work_is_answered_and_the_last(void **state)
{
    httpscene_open(&scene, NULL);
    struct httpscene_client *client = httpscene_connect(&scene);
    httpscene_put(&scene, client, GET("/later") GET("/not/served"));
    httpscene_settle(&scene);
    stop();
    assert_int_equal(httpscene_answer_next(&scene), 0);
    httpscene_expect_last(&scene, client, 200);
    assert_int_equal(scene.requests, 1);
    httpscene_close(&scene);
}

/* Whom the kernel has accepted, and the loop has not seen yet. */
static void those_who_wait_to_be_accepted_are_served(void **state)
{
    enum { COUNT = 40 };
    struct httpscene_client *clients[COUNT];

    for (int closes = 0; closes < 2; closes++) {
        httpscene_open(&scene, NULL);
        for (int i = 0; i < COUNT; i++) {
            clients[i] = httpscene_connect(&scene);
            assert_int_equal(httpscene_put_some(clients[i], GET("/"), strlen(GET("/"))), strlen(GET("/")));
        }
        assert_int_equal(scene.requests, 0);
        if (closes)
            httpserver_close(scene.server);
        else
            httpserver_stop(scene.server);
        assert_int_equal(scene.requests, 0); /* from the loop only */
        assert_int_equal(try_to_connect(), ECONNREFUSED);
        for (int i = 0; i < COUNT; i++) {
            httpscene_expect_last(&scene, clients[i], 200);
            httpscene_hang_up(clients[i]);
        }
        httpscene_settle(&scene);
        assert_int_equal(scene.closed, closes);
        httpscene_close(&scene);
    }
}

/* A stop leaves it the usual time, a close a second; one that had been idle before has none. */
static void of_those_one_that_has_not_asked_yet_still_may(void **state)
{
    for (int closes = 0; closes < 2; closes++) {
        httpscene_open(&scene, NULL);
        struct httpscene_client *idle = httpscene_connect(&scene);
        httpscene_settle(&scene);
        struct httpscene_client *client = httpscene_connect(&scene), *silent = httpscene_connect(&scene);
        struct httpscene_client *slow = httpscene_connect(&scene);
        if (closes)
            httpserver_close(scene.server);
        else
            httpserver_stop(scene.server);
        httpscene_settle(&scene);
        assert_int_equal(httpserver_connections(scene.server), 4 - closes);
        if (closes)
            httpscene_expect_end(&scene, idle);
        httpscene_put(&scene, slow, "GET / HT");
        httpscene_pass(&scene, 0.9);
        httpscene_expect_nothing(&scene, silent);
        httpscene_put(&scene, client, GET("/"));
        httpscene_expect_last(&scene, client, 200);
        httpscene_pass(&scene, 0.1 + LATE);
        if (closes)
            httpscene_expect_end(&scene, silent);
        else
            httpscene_expect_nothing(&scene, silent);
        httpscene_put(&scene, slow, "TP/1.1\r\nHost: a\r\n\r\n");
        httpscene_expect_last(&scene, slow, 200);
        httpscene_close(&scene);
    }
}

static void there_are_never_more_than_there_may_be(void **state)
{
    httpscene_open(&scene, &(struct httpserver_options){ .max_connections = 3 });
    struct httpscene_client *clients[5];
    for (int i = 0; i < 5; i++) {
        clients[i] = httpscene_connect(&scene);
        httpscene_put_some(clients[i], GET("/"), strlen(GET("/")));
    }
    httpserver_stop(scene.server);
    for (int i = 0; i < 3; i++)
        httpscene_expect_last(&scene, clients[i], 200);
    httpscene_settle(&scene);
    assert_int_equal(scene.requests, 3);
    httpscene_close(&scene);
}

static void stopping_one_that_closes_is_nothing(void **state)
{
    httpscene_open(&scene, NULL);
    struct httpscene_client *client = httpscene_connect(&scene);
    httpscene_put(&scene, client, GET("/later"));
    httpscene_settle(&scene);
    httpserver_close(scene.server);
    httpscene_settle(&scene);
    stop();
    assert_int_equal(httpscene_answer_next(&scene), 0);
    httpscene_expect_last(&scene, client, 200);
    httpscene_close(&scene);
}

static void stop_in_request(struct httpscene *where, struct httprequest *request)
{
    httpserver_stop(where->server);
    httpscene_answer(request);
}

static void it_may_be_stopped_in_a_request_and_closed_later(void **state)
{
    httpscene_open(&scene, NULL);
    scene.on_request = stop_in_request;
    struct httpscene_client *client = httpscene_connect(&scene), *idle = httpscene_connect(&scene);
    httpscene_settle(&scene);
    httpscene_put(&scene, client, GET("/"));
    httpscene_expect_last(&scene, client, 200);
    httpscene_hang_up(client);
    httpscene_expect_nothing(&scene, idle);
    assert_int_equal(httpserver_connections(scene.server), 1);
    httpserver_close(scene.server);
    httpserver_stop(scene.server);
    httpscene_expect_end(&scene, idle);
    httpscene_settle(&scene);
    assert_int_equal(scene.closed, 1);
    httpscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_server_that_has_stopped_accepts_nothing_and_listens_nowhere),
    cmocka_unit_test(connections_stay_for_one_request),
    cmocka_unit_test(a_request_in_work_is_answered_and_the_last),
    cmocka_unit_test(those_who_wait_to_be_accepted_are_served),
    cmocka_unit_test(of_those_one_that_has_not_asked_yet_still_may),
    cmocka_unit_test(there_are_never_more_than_there_may_be),
    cmocka_unit_test(stopping_one_that_closes_is_nothing),
    cmocka_unit_test(it_may_be_stopped_in_a_request_and_closed_later),
};

TESTING_MAIN(tests)
