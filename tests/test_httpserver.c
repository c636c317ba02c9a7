#include "httpserver/httpserver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/faults.h"
#include "tests/support/httpscene.h"
#include "tests/support/testing.h"

#define GET(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"

/* The clock on the wall, which a test may set; 0: what the system says. */
static time_t wall;

time_t time(time_t *result)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    time_t seconds = wall != 0 ? wall : now.tv_sec;
    if (result != NULL)
        *result = seconds;
    return seconds;
}

static struct httpscene_client *begin(struct httpscene *scene, const struct httpserver_options *options)
{
    httpscene_open(scene, options);
    return httpscene_connect(scene);
}

static void close_server(struct httpscene *scene)
{
    httpserver_close(scene->server);
    httpscene_settle(scene);
}

/* Listening. */

static void a_new_server_has_no_connections(void **state)
{
    struct httpscene scene;

    httpscene_open(&scene, NULL);
    assert_int_equal(httpserver_connections(scene.server), 0);
    httpscene_close(&scene);
}

/* httpserver_test:test_unix_socket */
static void serves_on_a_unix_socket(void **state)
{
    struct httpscene scene;

    httpscene_open(&scene, NULL);
    struct httpscene_client *client = httpscene_connect_unix(&scene);
    httpscene_put(&scene, client, GET("/1"));
    httpscene_expect(&scene, client, 200, "GET /1");
    httpscene_put(&scene, client, GET("/2"));
    httpscene_expect(&scene, client, 200, "GET /2");
    httpscene_close(&scene);
}

/* httpserver_test:test_unix_socket_bad_request */
static void refuses_on_a_unix_socket(void **state)
{
    struct httpscene scene;

    httpscene_open(&scene, NULL);
    struct httpscene_client *client = httpscene_connect_unix(&scene);
    httpscene_put(&scene, client, "garbage\r\n\r\n");
    httpscene_expect_last(&scene, client, 400);
    httpscene_close(&scene);
}

static void serves_listeners_from_elsewhere_and_what_was_bound(void **state)
{
    static const struct netutil_bind_options ipv4 = { .address = "127.0.0.1" };
    struct httpscene scene;
    int fd;

    httpscene_open(&scene, NULL);
    assert_int_equal(netutil_bind_sockets(&fd, 1, 0, &ipv4), 1);
    scene.port = netutil_bound_port(fd);
    assert_int_equal(httpserver_add_sockets(scene.server, &fd, 1), 0);
    httpscene_expect_alive(&scene);
    scene.port = httpserver_bind(scene.server, 0, &ipv4);
    assert_true(scene.port > 0);
    struct httpscene_client *client = httpscene_connect(&scene);
    httpscene_put(&scene, client, GET("/bound"));
    httpscene_expect_nothing(&scene, client);
    assert_int_equal(httpserver_start(scene.server, 1, 0), 0);
    httpscene_expect(&scene, client, 200, "GET /bound");
    assert_int_equal(httpserver_start(scene.server, 1, 0), -EALREADY);
    httpscene_close(&scene);
}

static void a_server_that_closes_takes_no_listeners(void **state)
{
    static const struct netutil_bind_options ipv4 = { .address = "127.0.0.1" };
    struct httpscene scene;
    int fd;

    httpscene_open(&scene, NULL);
    assert_int_equal(netutil_bind_sockets(&fd, 1, 0, &ipv4), 1);
    httpserver_close(scene.server);
    assert_int_equal(httpserver_listen(scene.server, 0, &ipv4), -EBADF);
    assert_int_equal(httpserver_listen_unix(scene.server, "@httpserver_closed", 0), -EBADF);
    assert_int_equal(httpserver_add_sockets(scene.server, &fd, 1), -EBADF);
    assert_int_equal(httpserver_bind(scene.server, 0, &ipv4), -EBADF);
    assert_int_equal(httpserver_start(scene.server, 1, 0), -EBADF);
    close(fd);
    httpscene_close(&scene);
}

static void the_server_pauses_at_max_connections(void **state)
{
    struct httpscene scene;
    struct httpscene_client *first = begin(&scene, &(struct httpserver_options){ .max_connections = 2 });
    struct httpscene_client *second = httpscene_connect(&scene), *third = httpscene_connect(&scene);

    httpscene_put(&scene, first, GET("/later"));
    httpscene_put(&scene, second, GET("/later"));
    httpscene_put(&scene, third, GET("/3"));
    httpscene_expect_nothing(&scene, third);
    assert_int_equal(httpserver_connections(scene.server), 2);
    httpscene_reset(first);
    httpscene_expect(&scene, third, 200, "GET /3");
    assert_int_equal(httpserver_connections(scene.server), 2);
    httpscene_close(&scene);
}

/* The one that has been idle for longest has to go. */
static void an_idle_connection_makes_room_for_a_new_one(void **state)
{
    struct httpscene scene;
    struct httpscene_client *first = begin(&scene, &(struct httpserver_options){ .max_connections = 3 });
    struct httpscene_client *second = httpscene_connect(&scene), *busy = httpscene_connect(&scene);

    httpscene_put(&scene, busy, GET("/later"));
    httpscene_put(&scene, first, GET("/1"));
    httpscene_put(&scene, second, GET("/2"));
    httpscene_expect(&scene, first, 200, "GET /1");
    httpscene_expect(&scene, second, 200, "GET /2");
    httpscene_pass(&scene, 1);
    httpscene_put(&scene, first, GET("/1"));
    httpscene_expect(&scene, first, 200, "GET /1");
    struct httpscene_client *fourth = httpscene_connect(&scene);
    httpscene_put(&scene, fourth, GET("/4"));
    httpscene_expect(&scene, fourth, 200, "GET /4");
    httpscene_expect_end(&scene, second);
    httpscene_put(&scene, first, GET("/1"));
    httpscene_expect(&scene, first, 200, "GET /1");
    assert_int_equal(httpserver_connections(scene.server), 3);
    httpscene_answer_next(&scene);
    httpscene_expect(&scene, busy, 200, "later");
    httpscene_close(&scene);
}

/* Date. */

static void wanted_date(char *text, size_t size)
{
    struct tm tm;

    gmtime_r(&wall, &tm);
    assert_true(strftime(text, size, "\r\nDate: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm) > 0);
}

static void the_date_is_right_and_changes_each_second(void **state)
{
    static const int64_t days[] = { 784111777, 951827696, 1709164799, 4102444799 };
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);
    char wanted[64];

    for (size_t i = 0; i < 12; i++) {
        wall = (time_t)(days[i / 3] + (int64_t)(i % 3));
        if (wall < 0)
            continue; /* 32 bits end in 2038 */
        wanted_date(wanted, sizeof wanted);
        for (int twice = 0; twice < 2; twice++) {
            httpscene_put(&scene, client, GET("/"));
            struct httpscene_answer answer = httpscene_next(&scene, client, false);
            if (strstr(answer.head, wanted) == NULL)
                fail_msg("%s is not in:\n%s", wanted, answer.head);
            scene.clock += 0.5;
        }
    }
    wall = 0;
    httpscene_close(&scene);
}

/* As a program sees it, with the clock of the loop and that of the system. */
static void the_date_is_that_of_now(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);
    char before[64], after[64];

    wall = 0;
    wall = time(NULL);
    wanted_date(before, sizeof before);
    wall = 0;
    httpscene_put(&scene, client, GET("/"));
    struct httpscene_answer answer = httpscene_next(&scene, client, false);
    wall = time(NULL);
    wanted_date(after, sizeof after);
    wall = 0;
    assert_true(strstr(answer.head, before) != NULL || strstr(answer.head, after) != NULL);
    httpscene_close(&scene);
}

/* Closing. */

static void closing_ends_idle_connections_at_once(void **state)
{
    struct httpscene scene;
    struct httpscene_client *used = begin(&scene, NULL), *unused = httpscene_connect(&scene);

    httpscene_put(&scene, used, GET("/"));
    httpscene_expect(&scene, used, 200, "GET /");
    assert_int_equal(httpserver_connections(scene.server), 2);
    close_server(&scene);
    assert_int_equal(scene.closed, 1);
    httpscene_expect_end(&scene, used);
    httpscene_expect_end(&scene, unused);
    httpscene_close(&scene);
}

static void nothing_is_left_in_the_loop_of_a_server_that_has_closed(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, &(struct httpserver_options){ .close_timeout = 1000 });

    httpscene_put(&scene, client, GET("/"));
    httpscene_expect(&scene, client, 200, "GET /");
    close_server(&scene);
    assert_int_equal(scene.closed, 1);
    httpscene_pass(&scene, 100);
    assert_true(ioloop_next_timeout(scene.loop) < 0);
    httpscene_close(&scene);
}

static void closing_lets_a_request_in_work_be_answered(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_put(&scene, client, GET("/later") GET("/not/served"));
    httpscene_settle(&scene);
    close_server(&scene);
    httpserver_close(scene.server);
    httpscene_expect_nothing(&scene, client);
    assert_int_equal(scene.closed, 0);
    assert_int_equal(httpscene_answer_next(&scene), 0);
    httpscene_expect_last(&scene, client, 200);
    assert_int_equal(scene.closed, 0); /* it still waits for the client to have read that */
    httpscene_hang_up(client);
    httpscene_settle(&scene);
    assert_int_equal(scene.closed, 1);
    assert_int_equal(scene.requests, 1);
    httpscene_close(&scene);
}

static void closing_lets_a_request_be_finished_that_has_begun(void **state)
{
    struct httpscene scene;
    struct httpscene_client *head = begin(&scene, NULL), *body = httpscene_connect(&scene);

    httpscene_put(&scene, head, "GET /head HTTP/1.1\r\n");
    httpscene_put(&scene, body, "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo");
    httpscene_settle(&scene);
    close_server(&scene);
    httpscene_put(&scene, head, "Host: a\r\n\r\n");
    httpscene_put(&scene, body, "dy");
    httpscene_expect_last(&scene, head, 200);
    httpscene_expect_last(&scene, body, 200);
    assert_int_equal(scene.requests, 2);
    httpscene_close(&scene);
}

static void closing_does_not_cut_an_answer_that_is_being_sent(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL), *last = httpscene_connect(&scene);

    httpscene_put(&scene, client, GET("/size/9000000"));
    httpscene_put(&scene, last, "GET /size/9000000 HTTP/1.0\r\n\r\n");
    httpscene_settle(&scene);
    close_server(&scene);
    httpscene_put(&scene, client, GET("/not/served"));
    assert_int_equal(httpscene_next(&scene, client, false).length, 9000000);
    httpscene_expect_end(&scene, client);
    httpscene_put(&scene, client, GET("/not/served"));
    httpscene_settle(&scene);
    assert_int_equal(scene.requests, 2);
    assert_int_equal(httpscene_next(&scene, last, false).length, 9000000);
    httpscene_expect_end(&scene, last);
    httpscene_close(&scene);
}

/* What a refused client sent on does not reset the connection: the answer is not lost. */
static void closing_does_not_cut_a_lingering_connection(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_put(&scene, client, "garbage\r\n\r\n");
    httpscene_settle(&scene);
    httpscene_put(&scene, client, "more of it");
    close_server(&scene);
    assert_int_equal(scene.closed, 0);
    httpscene_expect_last(&scene, client, 400);
    httpscene_close(&scene);
}

static void closing_waits_for_close_timeout_and_not_longer(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, &(struct httpserver_options){ .close_timeout = 3 });
    struct httpscene_client *slow = httpscene_connect(&scene), *stalled = httpscene_connect(&scene);

    httpscene_put(&scene, client, GET("/later"));
    httpscene_put(&scene, slow, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n");
    httpscene_put(&scene, stalled, GET("/size/9000000"));
    httpscene_settle(&scene);
    close_server(&scene);
    httpscene_pass(&scene, 2.9);
    assert_int_equal(httpserver_connections(scene.server), 3);
    assert_int_equal(scene.left, 0);
    httpscene_pass(&scene, 0.2);
    assert_int_equal(scene.closed, 1);
    assert_int_equal(scene.left, 1);
    assert_int_equal(httpscene_answer_next(&scene), -EBADF); /* the server is gone by now */
    httpscene_expect_end(&scene, client);
    httpscene_close(&scene);
}

static void never(void *arg)
{
    fail();
}

static void closing_without_memory_for_a_timeout_does_not_wait(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    httpscene_put(&scene, client, GET("/later"));
    httpscene_settle(&scene);
    faults_allocation(1, true);
    while (ioloop_call_later(scene.loop, 1000, never, NULL) != 0)
        ;
    close_server(&scene);
    assert_int_equal(scene.closed, 1);
    assert_int_equal(scene.left, 1);
    httpscene_close(&scene);
}

static void close_now(struct httpscene *scene, struct httprequest *request)
{
    httpserver_close(scene->server);
    httpscene_answer(request);
    httpserver_close(scene->server);
}

static void close_behind(struct httpscene *scene, struct httprequest *request)
{
    httpscene_answer(request);
    httpserver_close(scene->server);
}

static void close_and_wait(struct httpscene *scene, struct httprequest *request)
{
    httpserver_close(scene->server);
    httpscene_wait(scene, request);
}

static void a_server_may_be_closed_in_on_request(void **state)
{
    void (*const ways[])(struct httpscene *, struct httprequest *) = { close_now, close_behind, close_and_wait };

    for (int i = 0; i < 3; i++) {
        struct httpscene scene;
        struct httpscene_client *client = begin(&scene, NULL), *idle = httpscene_connect(&scene);

        httpscene_settle(&scene);
        scene.on_request = ways[i];
        httpscene_put(&scene, client, GET("/") GET("/not/served"));
        httpscene_settle(&scene);
        if (scene.waiting_count > 0)
            assert_int_equal(httpscene_answer_next(&scene), 0);
        struct httpscene_answer answer = httpscene_next(&scene, client, false);
        assert_int_equal(answer.closes, ways[i] != close_behind);
        httpscene_expect_end(&scene, client);
        httpscene_expect_end(&scene, idle);
        assert_int_equal(scene.requests, 1);
        httpscene_close(&scene);
    }
}

/* The connection was accepted, its request read and the server closed in one go. */
static void a_server_may_be_closed_by_its_first_request(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL), *behind = httpscene_connect(&scene);

    scene.on_request = close_now;
    httpscene_put(&scene, client, GET("/"));
    httpscene_put(&scene, behind, GET("/"));
    httpscene_expect_last(&scene, client, 200);
    httpscene_close(&scene);
}

static void close_in_callback(struct httpscene *scene, struct httprequest *request)
{
    httpserver_close(scene->server);
    httpserver_close(scene->server);
}

static void a_server_may_be_closed_when_a_client_has_left(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL), *other = httpscene_connect(&scene);

    scene.on_left = close_in_callback;
    httpscene_put(&scene, client, GET("/later"));
    httpscene_put(&scene, other, GET("/later"));
    httpscene_settle(&scene);
    httpscene_reset(client);
    httpscene_settle(&scene);
    assert_int_equal(scene.closed, 0);
    assert_int_equal(httpscene_answer_next(&scene), -EBADF);
    assert_int_equal(httpscene_answer_next(&scene), 0);
    httpscene_expect_last(&scene, other, 200);
    httpscene_hang_up(other);
    httpscene_settle(&scene);
    assert_int_equal(scene.closed, 1);
    httpscene_close(&scene);
}

static void close_loop(struct httpscene *scene)
{
    ioloop_close(scene->loop, false); /* when ioloop_start returns */
}

static void a_loop_may_be_closed_in_on_close(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    scene.on_close = close_loop;
    scene.on_request = close_now;
    httpscene_put(&scene, client, "GET / HTTP/1.0\r\n\r\n");
    assert_int_equal(ioloop_start(scene.loop), 0);
    scene.loop = NULL;
    assert_int_equal(scene.closed, 1);
    httpscene_close(&scene);
}

/* A connection of each state. */
static void open_all_states(struct httpscene *scene, struct httpscene_client *clients[8])
{
    static const char *const texts[8] = {
        "",                                                          /* new */
        "GET / HT",                                                  /* a head */
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo", /* a body */
        GET("/later"),                                               /* in work, */
        GET("/later") GET("/later"),                                 /* and with more behind it */
        "garbage\r\n\r\n",                                           /* lingers */
        GET("/size/9000000"),                                        /* is being answered */
        GET("/"),                                                    /* idle */
    };

    for (int i = 0; i < 8; i++) {
        clients[i] = httpscene_connect(scene);
        httpscene_put(scene, clients[i], texts[i]);
    }
    httpscene_settle(scene);
    assert_int_equal(httpserver_connections(scene->server), 8);
    assert_int_equal(scene->waiting_count, 2);
}

static void check_closing_loop(bool closing, bool reply_first)
{
    struct httpscene_client *clients[8];
    struct httpscene scene;

    httpscene_open(&scene, NULL);
    open_all_states(&scene, clients);
    if (closing)
        httpserver_close(scene.server);
    if (reply_first)
        assert_int_equal(httpscene_answer_next(&scene), 0);
    ioloop_close(scene.loop, false);
    scene.loop = NULL;
    assert_int_equal(scene.closed, 1);
    assert_int_equal(scene.left, reply_first ? 1 : 2);
    for (int i = 0; i < 8; i++) {
        while (!clients[i]->ended)
            httpscene_take(clients[i], SIZE_MAX);
    }
    httpscene_close(&scene);
}

static void a_loop_that_closes_takes_connections_in_all_states_along(void **state)
{
    for (int i = 0; i < 4; i++)
        check_closing_loop((i & 1) != 0, (i & 2) != 0);
}

static void connections_in_all_states_end_by_themselves(void **state)
{
    struct httpscene_client *clients[8];
    struct httpscene scene;

    httpscene_open(&scene, NULL);
    open_all_states(&scene, clients);
    while (scene.waiting_count > 0)
        assert_int_equal(httpscene_answer_next(&scene), 0);
    httpscene_settle(&scene);
    assert_int_equal(httpscene_answer_next(&scene), 0);
    for (int i = 0; i < 12; i++)
        httpscene_pass(&scene, 10.1);
    assert_int_equal(httpserver_connections(scene.server), 0);
    httpscene_close(&scene);
}

/* Whatever a client does at whatever moment, its place is free again after a while. */
static void no_place_is_lost_to_odd_clients(void **state)
{
    static const char by_length[] = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" GET("/2");
    static const char chunked[] = "POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                                  "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n" GET("/2");
    struct httpscene scene;

    httpscene_open(&scene, NULL);
    for (size_t at = 0; at < sizeof by_length + sizeof chunked; at++) {
        for (int way = 0; way < 4; way++) {
            struct httpscene_client *client = httpscene_connect(&scene);

            if (at < sizeof by_length)
                httpscene_put_bytes(&scene, client, by_length, at);
            else
                httpscene_put_bytes(&scene, client, chunked, at - sizeof by_length);
            testing_spin(scene.loop, (int)(at % 3));
            if (way == 0)
                httpscene_finish(client);
            else if (way == 1)
                httpscene_reset(client);
            else if (way == 2)
                httpscene_hang_up(client);
            testing_spin(scene.loop, 2);
            if (way == 0 || way == 3)
                httpscene_hang_up(client);
        }
    }
    httpscene_settle(&scene);
    assert_int_equal(httpserver_connections(scene.server), 0);
    httpscene_expect_alive(&scene);
    httpscene_close(&scene);
}

/* Memory. */

static void a_server_needs_memory(void **state)
{
    struct ioloop *loop = ioloop_new(NULL);
    bool hit = true;

    assert_non_null(loop);
    for (int nth = 1; hit; nth++) {
        long before = faults_allocated();
        faults_allocation(nth, false);
        errno = 0;
        struct httpserver *server = httpserver_new(loop, NULL, NULL, NULL);
        int port =
            server != NULL ? httpserver_listen(server, 0, &(struct netutil_bind_options){ .address = "127.0.0.1" }) : 0;
        hit = faults_hit();
        faults_end();
        if (server == NULL)
            assert_int_equal(errno, ENOMEM);
        else if (hit)
            assert_true(port == -ENOMEM || port > 0);
        if (server != NULL)
            httpserver_close(server);
        testing_spin(loop, 2);
        assert_true(faults_allocated() - before <= 4); /* what the loop keeps */
        assert_true(nth < 50);
    }
    ioloop_close(loop, false);
}

static void a_server_without_on_close_just_goes(void **state)
{
    struct ioloop *loop = ioloop_new(NULL);
    long before = faults_allocated();

    assert_non_null(loop);
    struct httpserver *server = httpserver_new(loop, NULL, NULL, NULL);
    assert_non_null(server);
    httpserver_close(server);
    httpserver_close(server);
    ioloop_close(loop, false);
    assert_true(faults_allocated() <= before);
}

static void limits_may_be_as_large_as_one_likes(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, &(struct httpserver_options){ .max_header = UINT32_MAX,
                                                                                  .max_body = UINT64_MAX,
                                                                                  .header_timeout = 1e300,
                                                                                  .idle_timeout = 1e300,
                                                                                  .body_timeout = 1e300,
                                                                                  .write_timeout = 1e300,
                                                                                  .max_age = 1e300,
                                                                                  .max_target = UINT32_MAX,
                                                                                  .max_headers = UINT32_MAX,
                                                                                  .max_requests = UINT32_MAX,
                                                                                  .max_unsent = UINT64_MAX,
                                                                                  .close_timeout = 1e300 });

    httpscene_put(&scene, client, "GET /1 HTTP/1.1\r\nHo");
    httpscene_pass(&scene, 1e6);
    httpscene_put(&scene, client, "st: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo");
    httpscene_expect(&scene, client, 200, "GET /1");
    httpscene_pass(&scene, 1e6);
    httpscene_put(&scene, client, "dy");
    httpscene_expect(&scene, client, 200, "POST /2 body");
    httpscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_new_server_has_no_connections),
    cmocka_unit_test(serves_on_a_unix_socket),
    cmocka_unit_test(refuses_on_a_unix_socket),
    cmocka_unit_test(serves_listeners_from_elsewhere_and_what_was_bound),
    cmocka_unit_test(a_server_that_closes_takes_no_listeners),
    cmocka_unit_test(the_server_pauses_at_max_connections),
    cmocka_unit_test(an_idle_connection_makes_room_for_a_new_one),
    cmocka_unit_test(the_date_is_right_and_changes_each_second),
    cmocka_unit_test(the_date_is_that_of_now),
    cmocka_unit_test(closing_ends_idle_connections_at_once),
    cmocka_unit_test(nothing_is_left_in_the_loop_of_a_server_that_has_closed),
    cmocka_unit_test(closing_lets_a_request_in_work_be_answered),
    cmocka_unit_test(closing_lets_a_request_be_finished_that_has_begun),
    cmocka_unit_test(closing_does_not_cut_an_answer_that_is_being_sent),
    cmocka_unit_test(closing_does_not_cut_a_lingering_connection),
    cmocka_unit_test(closing_waits_for_close_timeout_and_not_longer),
    cmocka_unit_test(closing_without_memory_for_a_timeout_does_not_wait),
    cmocka_unit_test(a_server_may_be_closed_in_on_request),
    cmocka_unit_test(a_server_may_be_closed_by_its_first_request),
    cmocka_unit_test(a_server_may_be_closed_when_a_client_has_left),
    cmocka_unit_test(a_loop_may_be_closed_in_on_close),
    cmocka_unit_test(a_loop_that_closes_takes_connections_in_all_states_along),
    cmocka_unit_test(connections_in_all_states_end_by_themselves),
    cmocka_unit_test(no_place_is_lost_to_odd_clients),
    cmocka_unit_test(a_server_needs_memory),
    cmocka_unit_test(a_server_without_on_close_just_goes),
    cmocka_unit_test(limits_may_be_as_large_as_one_likes),
};

TESTING_MAIN(tests)
