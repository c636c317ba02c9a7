/* What a connection that is idle keeps. */
#include "httpserver/http1connection.h"

#include "httpserver/httpserverlayer.h"
#include "tests/support/faults.h"
#include "tests/support/httpscene.h"
#include "tests/support/socketscene.h"
#include "tests/support/testing.h"

enum { MANY = 20, EACH = 160 }; /* with malloc's own */

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

static void connect_and_ask(struct httpscene *scene)
{
    struct httpscene_client *client = httpscene_connect(scene);

    httpscene_put(scene, client, GET);
    httpscene_expect(scene, client, 200, "GET /");
}

static void one_that_has_had_an_answer_is_one_small_allocation(void **state)
{
    struct httpscene scene;

    if (sizeof(void *) != 8)
        skip();
    httpscene_open(&scene, NULL);
    connect_and_ask(&scene);
    long allocated = faults_allocated();
    size_t bytes = faults_allocated_bytes();
    for (int i = 0; i < MANY; i++)
        connect_and_ask(&scene);
    assert_int_equal(faults_allocated() - allocated, MANY);
    assert_int_equal(faults_allocated_bytes() - bytes, MANY * EACH);
    httpscene_close(&scene);
}

static void one_behind_a_proxy_has_room_for_its_address_too(void **state)
{
    struct httpscene scene;

    httpscene_open(&scene, &(struct httpserver_options){ .proxy_protocol = true });
    for (int i = 0; i < MANY; i++) {
        long allocated = faults_allocated();
        struct httpscene_client *client = httpscene_connect(&scene);
        httpscene_put(&scene, client, "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" GET);
        httpscene_expect(&scene, client, 200, "GET /");
        assert_true(i == 0 || faults_allocated() == allocated + 1);
    }
    httpscene_close(&scene);
}

static void a_silent_websocket_is_one_small_allocation(void **state)
{
    struct socketscene scene;
    long allocated = 0;
    size_t bytes = 0;

    if (sizeof(void *) != 8)
        skip();
    socketscene_open(&scene, &(struct websocket_handler){ .on_message = socketscene_echo });
    scene.is_mute = true;
    for (int i = 0; i <= MANY; i++) {
        struct httpscene_client *client = socketscene_connect(&scene, "");
        socketscene_put(&scene, client, SOCKETSCENE_TEXT, "a");
        socketscene_expect(&scene, client, SOCKETSCENE_TEXT, "a");
        if (i == 0) {
            allocated = faults_allocated();
            bytes = faults_allocated_bytes();
        }
    }
    assert_int_equal(faults_allocated() - allocated, MANY);
    assert_int_equal(faults_allocated_bytes() - bytes, MANY * EACH);
    socketscene_close(&scene);
}

static struct iostream *detached;

static void detach_and_write(struct httpscene *scene, struct httprequest *request)
{
    detached = httprequest_detach(request);
    struct httprequest **room = iostream_user(detached);
    for (size_t i = 0; i < sizeof(struct http1connection) / sizeof *room; i++)
        room[i] = request;
}

/* Whoever has taken over the stream. */
static void the_memory_of_one_that_has_left_is_not_looked_at(void **state)
{
    struct httpscene scene;

    httpscene_open(&scene, NULL);
    scene.on_request = detach_and_write;
    struct httpscene_client *client = httpscene_connect(&scene);
    httpscene_put(&scene, client, GET);
    httpscene_settle(&scene);
    assert_int_equal(scene.requests, 1);
    assert_false(iostream_reading(detached));
    assert_ptr_equal(detached->owner, scene.server->streams);
    iostream_close(detached);
    httpscene_close(&scene);
}

/* So a scan has room in it for all that is remembered of a head. */
static void limits_of_heads_have_a_limit(void **state)
{
    struct httpscene scene;

    httpscene_open(&scene, &(struct httpserver_options){
                               .max_target = UINT32_MAX, .max_header = UINT32_MAX, .max_headers = UINT32_MAX });
    assert_int_equal(scene.server->limits.target, HTTP1PARSER_MOST);
    assert_int_equal(scene.server->limits.head, HTTP1PARSER_MOST);
    assert_int_equal(scene.server->limits.headers, HTTP1PARSER_MOST);
    httpscene_expect_alive(&scene);
    httpscene_close(&scene);
}

/* A head that is refused or cut in the middle: what is remembered of it is never taken for a request. */
static void a_head_may_end_anywhere(void **state)
{
    static const char head[] = "\r\n" GET;

    for (size_t length = 1; length < sizeof head - 1; length += length < 4 ? 1 : 5) {
        for (int end = 0; end < 5; end++) {
            struct httpscene scene;

            httpscene_open(&scene, NULL);
            struct httpscene_client *client = httpscene_connect(&scene);
            httpscene_put_bytes(&scene, client, head, length - 1);
            httpscene_put_bytes(&scene, client, head + length - 1, 1);
            if (end == 0)
                httpscene_finish(client);
            else if (end == 1)
                httpscene_reset(client);
            else if (end == 2)
                httpscene_pass(&scene, 11);
            else if (end == 3)
                httpscene_put(&scene, client, "\x01\r\n\r\n");
            else
                httpserver_close(scene.server);
            httpscene_settle(&scene);
            assert_int_equal(scene.requests, 0);
            httpscene_close(&scene);
        }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(one_that_has_had_an_answer_is_one_small_allocation),
    cmocka_unit_test(one_behind_a_proxy_has_room_for_its_address_too),
    cmocka_unit_test(a_silent_websocket_is_one_small_allocation),
    cmocka_unit_test(the_memory_of_one_that_has_left_is_not_looked_at),
    cmocka_unit_test(limits_of_heads_have_a_limit),
    cmocka_unit_test(a_head_may_end_anywhere),
};

TESTING_MAIN(tests)
