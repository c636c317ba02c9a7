/* Whatever a client does, at whatever byte of whatever request: its place, its descriptor and its memory come back, and
 * the next client is served. C15 of the catalogue of attacks. */
#include "tests/support/testing.h"

#include <string.h>

#include "tests/support/httpscene.h"
#include "tests/support/httptexts.h"

enum {
    CLOSES,
    RESETS,
    FINISHES,
    STAYS,
    WAYS
}; /* FINISHES: sends FIN and reads on; STAYS: is silent, and reads nothing */

static const char *const ways[] = { "closes", "resets", "finishes", "stays" };

static const char *const texts[] = {
    GET("/1"),
    KEPT_GET("/1"),
    LAST_GET("/1"),
    HEAD("/1"),
    POST("5") "hello",
    POST_EXPECTS("5") "hello",
    CHUNKED "5\r\nhello\r\n3;a=b\r\nyou\r\n0\r\nA: b\r\n\r\n",
    GET("/1") POST("2") "ab" CHUNKED "1\r\nx\r\n0\r\n\r\n" GET("/2"),
    GET("/later"),
    GET("/later") GET("/2"),
    GET("/size/400000") GET("/2"),
    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "\r\n\r\nGET /a b HTTP/1.1\r\n\r\n",
};

static void leave(struct httpscene_client *client, int way)
{
    if (way == CLOSES)
        httpscene_hang_up(client);
    else if (way == RESETS)
        httpscene_reset(client);
    else if (way == FINISHES)
        httpscene_finish(client);
}

/* Requests in work are answered, also to those who have left. */
static void answer_all(struct httpscene *scene)
{
    httpscene_settle(scene);
    while (scene->waiting_count > 0) {
        (void)!httpscene_answer_next(scene);
        httpscene_settle(scene);
    }
}

/* One that reads sees the end; for one that does not, some deadlines have to pass: idle, write, linger. */
static void wait_for_end(struct httpscene *scene, struct httpscene_client *client, int way)
{
    for (int i = 0; i < 100 && way == FINISHES && !client->ended; i++) {
        httpscene_take(client, SIZE_MAX);
        answer_all(scene);
    }
    for (int i = 0; i < 4 && way == STAYS; i++) {
        httpscene_pass(scene, 61);
        answer_all(scene);
    }
}

static void check_way(struct httpscene *scene, const char *text, size_t length, int way)
{
    int files = testing_count_fds();
    struct httpscene_client *client = httpscene_connect(scene);

    httpscene_put_bytes(scene, client, text, length);
    testing_spin(scene->loop, (int)(length % 3));
    leave(client, way);
    answer_all(scene);
    wait_for_end(scene, client, way);
    if (httpserver_connections(scene->server) != 0)
        fail_msg("a client that %s behind %zu bytes of %s has its place still", ways[way], length, text);
    httpscene_hang_up(client);
    assert_int_equal(testing_count_fds(), files);
}

static void every_place_comes_back_whatever_its_client_does(void **state)
{
    struct httpscene scene;

    httpscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        for (int way = 0; way < WAYS; way++) {
            for (size_t length = 0; length <= strlen(texts[i]); length++)
                check_way(&scene, texts[i], length, way);
            httpscene_expect_alive(&scene);
            httpscene_settle(&scene);
        }
    }
    httpscene_close(&scene);
}

/* All at once, and the server is full of them. */
static void a_full_server_has_all_its_places_again(void **state)
{
    enum { PLACES = 20 };
    struct httpscene_client *clients[PLACES];
    struct httpscene scene;

    httpscene_open(&scene, &(struct httpserver_options){ .max_connections = PLACES });
    for (int way = 0; way < WAYS; way++) {
        for (int i = 0; i < PLACES; i++) {
            const char *text = texts[(size_t)i % (sizeof texts / sizeof *texts)];
            clients[i] = httpscene_connect(&scene);
            httpscene_put_bytes(&scene, clients[i], text, strlen(text) - (size_t)i % 5);
        }
        httpscene_settle(&scene);
        for (int i = 0; i < PLACES; i++)
            leave(clients[i], way);
        answer_all(&scene);
        for (int i = 0; i < PLACES; i++) {
            wait_for_end(&scene, clients[i], way);
            httpscene_hang_up(clients[i]);
        }
        httpscene_settle(&scene);
        assert_int_equal(httpserver_connections(scene.server), 0);
        httpscene_expect_alive(&scene);
        httpscene_settle(&scene);
    }
    httpscene_close(&scene);
}

/* Nobody was idle when it came, and its server does not hear of those that are now: it looks again. */
static void a_client_that_waits_gets_a_place_soon_after_one_is_idle(void **state)
{
    struct httpscene scene;
    struct httpscene_client *first = begin(&scene, &(struct httpserver_options){ .max_connections = 2 });
    struct httpscene_client *second = httpscene_connect(&scene), *third = httpscene_connect(&scene);

    httpscene_put(&scene, first, GET("/later"));
    httpscene_put(&scene, second, GET("/later"));
    httpscene_put(&scene, third, GET("/3"));
    httpscene_expect_nothing(&scene, third);
    for (int i = 0; i < 3; i++)
        httpscene_pass(&scene, 0.11);
    httpscene_expect_nothing(&scene, third);
    assert_int_equal(httpscene_answer_next(&scene), 0);
    httpscene_expect(&scene, first, 200, "later");
    httpscene_pass(&scene, 0.11);
    httpscene_expect(&scene, third, 200, "GET /3");
    assert_int_equal(httpserver_connections(scene.server), 2);
    httpscene_expect_end(&scene, first);
    httpscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_place_comes_back_whatever_its_client_does),
    cmocka_unit_test(a_full_server_has_all_its_places_again),
    cmocka_unit_test(a_client_that_waits_gets_a_place_soon_after_one_is_idle),
};

TESTING_MAIN(tests)
