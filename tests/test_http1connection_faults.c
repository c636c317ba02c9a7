#include "httpserver/http1connection.h"

#include <errno.h>
#include <string.h>

#include "tests/support/faults.h"
#include "tests/support/httpscene.h"
#include "tests/support/httptexts.h"
#include "tests/support/testing.h"

static const struct http1connection *connection_seen;

static void see_connection(struct httpscene *scene, struct httprequest *request)
{
    connection_seen = request->connection;
    httpscene_answer(request);
}

/* The cost of a request. */

static void a_warm_request_costs_one_receive_and_one_send(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    scene.on_request = see_connection;
    for (int i = 0; i < 3; i++) {
        httpscene_put(&scene, client, GET("/"));
        httpscene_expect(&scene, client, 200, "GET /");
    }
    for (int i = 0; i < 5; i++) {
        scene.clock += 1;
        httpscene_put(&scene, client, GET("/"));
        struct deadline deadline = connection_seen->deadline;
        long allocations = faults_allocations();
        faults_count_reset();
        assert_int_equal(ioloop_run_once(scene.loop, 1), 1);
        assert_int_equal(faults_count("recv"), 1);
        assert_int_equal(faults_count("send"), 1);
        assert_int_equal(faults_count("sendmsg") + faults_count("epoll_ctl") + faults_count("fcntl"), 0);
        assert_int_equal(faults_allocations(), allocations);
        assert_ptr_equal(connection_seen->deadline.link, deadline.link);
        assert_true(connection_seen->deadline.touched > deadline.touched);
        httpscene_expect(&scene, client, 200, "GET /");
    }
    httpscene_close(&scene);
}

static void a_connection_that_waits_owns_no_buffer(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_put(&scene, client, GET("/"));
    httpscene_expect(&scene, client, 200, "GET /");
    size_t before = faults_allocated_bytes();
    for (int i = 0; i < 50; i++) {
        client = httpscene_connect(&scene);
        httpscene_put(&scene, client, GET("/"));
        httpscene_expect(&scene, client, 200, "GET /");
    }
    assert_in_range((faults_allocated_bytes() - before) / 50, 0, 512);
    httpscene_close(&scene);
}

/* Failures. */

/* Some of all there is, by clients that do not care what they get. The last one has an answer waiting. */
static void try_everything(struct httpscene *scene)
{
    static const char *const texts[] = {
        GET("/1") GET("/2") "GET / HT",
        POST("5") "he",
        "asdf\r\n\r\n",
        GET("/size/300000"),
        LAST_GET("/1"),
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n",
        GET("/later") GET("/2"),
    };
    enum { COUNT = sizeof texts / sizeof *texts };
    struct httpscene_client *clients[COUNT];

    for (int i = 0; i < COUNT; i++) {
        clients[i] = i % 2 == 0 ? httpscene_connect_unix(scene) : httpscene_connect(scene);
        httpscene_put_some(clients[i], texts[i], strlen(texts[i]));
        testing_spin(scene->loop, 2);
    }
    httpscene_settle(scene);
    httpscene_put_some(clients[1], "llo", 3);
    httpscene_put_some(clients[5], "ok" GET("/2"), 2 + sizeof GET("/2") - 1);
    httpscene_take(clients[3], SIZE_MAX);
    httpscene_settle(scene);
    while (scene->waiting_count > 0)
        (void)!httpscene_answer_next(scene);
    httpscene_settle(scene);
    httpscene_pass(scene, 11);
    for (int i = 0; i < COUNT; i++)
        httpscene_hang_up(clients[i]);
    httpscene_settle(scene);
}

/* Then all is as if nothing had been, but for the listeners' pause after a failure to accept. */
static void check_recovery(struct httpscene *scene)
{
    faults_end();
    while (scene->waiting_count > 0)
        (void)!httpscene_answer_next(scene);
    httpscene_settle(scene);
    for (int i = 0; i < 4; i++)
        httpscene_pass(scene, 30);
    assert_int_equal(httpserver_connections(scene->server), 0);
    httpscene_expect_alive(scene);
    httpscene_close(scene);
}

static void survives_each_allocation_that_fails(void **state)
{
    bool hit = true;

    for (int nth = 1; hit; nth++) {
        struct httpscene scene;

        httpscene_open(&scene, NULL);
        faults_allocation(nth, nth % 3 == 0);
        try_everything(&scene);
        hit = faults_hit();
        check_recovery(&scene);
        assert_true(nth < 500);
    }
}

static void check_call(const char *name, int error)
{
    bool hit = true;

    for (int nth = 1; hit && nth < 200; nth++) {
        struct httpscene scene;

        httpscene_open(&scene, NULL);
        faults_system_call(name, error, nth);
        try_everything(&scene);
        hit = faults_hit();
        check_recovery(&scene);
    }
}

static void survives_each_system_call_that_fails(void **state)
{
    static const struct {
        const char *name;
        int error;
    } calls[] = {
        { "recv", ECONNRESET },      { "recv", EAGAIN },      { "recv", EINTR },         { "recv", ENOMEM },
        { "send", EPIPE },           { "send", EAGAIN },      { "send", EINTR },         { "send", ENOBUFS },
        { "sendmsg", EPIPE },        { "sendmsg", EAGAIN },   { "accept4", EMFILE },     { "accept4", EAGAIN },
        { "accept4", ECONNABORTED }, { "epoll_ctl", ENOMEM }, { "epoll_wait", EINTR },   { "shutdown", ENOTCONN },
        { "close", EINTR },          { "close", EIO },        { "getsockopt", ENOBUFS },
    };

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        check_call(calls[i].name, calls[i].error);
}

/* Nobody stays for ever because there was no memory to look after him. */
static void no_connection_stays_without_memory_for_its_deadline(void **state)
{
    bool hit = true;

    for (int nth = 1; hit; nth++) {
        struct httpscene scene;

        httpscene_open(&scene, NULL);
        struct httpscene_client *client = httpscene_connect(&scene);
        faults_allocation(nth, false);
        httpscene_settle(&scene);
        hit = faults_hit();
        faults_end();
        for (int i = 0; i < 3; i++)
            httpscene_pass(&scene, 11);
        assert_int_equal(httpserver_connections(scene.server), 0);
        httpscene_hang_up(client);
        httpscene_close(&scene);
        assert_true(nth < 50);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_warm_request_costs_one_receive_and_one_send),
    cmocka_unit_test(a_connection_that_waits_owns_no_buffer),
    cmocka_unit_test(no_connection_stays_without_memory_for_its_deadline),
    cmocka_unit_test(survives_each_allocation_that_fails),
    cmocka_unit_test(survives_each_system_call_that_fails),
};

TESTING_MAIN(tests)
