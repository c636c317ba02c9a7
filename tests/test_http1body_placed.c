/* A long body is received where it is collected. */
#include "httpserver/http1connection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "httpserver/httpserverlayer.h"
#include "ioloop/ioalloc.h"
#include "tests/support/faults.h"
#include "tests/support/httpscene.h"
#include "tests/support/httpstreamed.h"
#include "tests/support/httptexts.h"
#include "tests/support/streampair.h"
#include "tests/support/testing.h"

enum { LEAST = 16384, LARGE = 1 << 20 };

static const struct httpserver_options large_bodies = { .max_body = 64 << 20 };

/* Of the last request: its body was the pattern. */
static size_t got;

static void check_body(struct httpscene *scene, struct httprequest *request)
{
    const char *body = httprequest_body(request, &got);

    if (got > 0)
        assert_true(streampair_is_pattern(body, 0, got));
    httpscene_answer(request);
}

/* A head, and a body that is the pattern, with some text behind it. Freed by the caller. */
static char *post(const char *more_headers, size_t size, const char *behind, size_t *length)
{
    char *bytes = malloc(size + 500);

    assert_non_null(bytes);
    int head = sprintf(bytes, "POST /size/3 HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n%s\r\n", size, more_headers);
    streampair_pattern(bytes + head, 0, size);
    strcpy(bytes + (size_t)head + size, behind);
    *length = (size_t)head + size + strlen(behind);
    return bytes;
}

static struct http1connection *connection_of(const struct httpscene *scene)
{
    assert_non_null(scene->server->connections);
    return scene->server->connections;
}

static bool is_placed(const struct httpscene *scene)
{
    const struct http1connection *connection = connection_of(scene);

    return http1connection_stream(connection)->has_place && connection->request->reading.place.size > 0;
}

/* Sends the bytes in steps, each of which is received before the next. */
static void put_in_steps(struct httpscene *scene, struct httpscene_client *client, const char *bytes, size_t length,
                         size_t step)
{
    for (size_t at = 0; at < length; at += step) {
        httpscene_put_bytes(scene, client, bytes + at, at + step < length ? step : length - at);
        testing_spin(scene->loop, 1);
    }
}

/* Framing and content. */

static void a_body_of_any_length_in_any_pieces_is_what_was_sent(void **state)
{
    static const size_t sizes[] = { 1,      LEAST - 1, LEAST,     2 * LEAST - 1, 2 * LEAST, 2 * LEAST + 1,
                                    65535,  65537,     131072,    131073,        262143,    262145,
                                    300000, 524288,    LARGE - 1, LARGE,         LARGE + 1, 3000000 };
    static const size_t steps[] = { 1000, LEAST, LEAST + 1, 65536, 100000, 4000000 };
    struct httpscene scene;

    httpscene_open(&scene, &large_bodies);
    scene.on_request = check_body;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t length;
        char *bytes = post("", sizes[i], GET("/next"), &length);

        for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
            struct httpscene_client *client = k % 2 ? httpscene_connect(&scene) : httpscene_connect_unix(&scene);
            if (sizes[i] / steps[k] > 1000)
                continue;
            put_in_steps(&scene, client, bytes, length, steps[k]);
            assert_int_equal(httpscene_next(&scene, client, false).length, 3);
            assert_true(got == sizes[i] || got == 0);
            httpscene_expect(&scene, client, 200, "GET /next");
            httpscene_hang_up(client);
        }
        free(bytes);
    }
    httpscene_close(&scene);
}

static void short_receives_change_nothing(void **state)
{
    static const size_t limits[] = { 1, 777, LEAST, LEAST + 1 };

    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct httpscene scene;
        struct httpscene_client *client = begin_unix(&scene, &large_bodies);
        size_t length, size = limits[i] == 1 ? 3 * LEAST : 500000;
        char *bytes = post("", size, "", &length);

        scene.on_request = check_body;
        faults_short_io(limits[i]);
        for (size_t at = 0; at < length;) {
            at += httpscene_put_some(client, bytes + at, length - at);
            testing_spin(scene.loop, 1);
        }
        assert_int_equal(httpscene_next(&scene, client, false).status, 200);
        assert_int_equal(got, size);
        free(bytes);
        httpscene_close(&scene);
    }
}

/* The first bytes come with the head, into memory of the loop's. */
static void all_but_the_beginning_is_received_in_its_place(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_unix(&scene, NULL);
    size_t length;
    char *bytes = post("", LARGE, "", &length);

    scene.on_request = check_body;
    for (int round = 0; round < 3; round++) {
        size_t least = 0, most = 0;
        for (size_t at = 0; at < length;) {
            size_t step = httpscene_put_some(client, bytes + at, length - at);
            at += step;
            testing_spin(scene.loop, 1);
            if (at == length)
                break;
            size_t missing = length - at;
            bool placed = is_placed(&scene);
            assert_int_equal(placed, missing >= LEAST);
            const struct httprequest *request = connection_of(&scene)->request;
            const struct iostreamlayer_place *place = &request->reading.place;
            if (!placed)
                continue;
            assert_ptr_equal(place->memory, iobuffer_data(request->body) + iobuffer_length(request->body));
            assert_in_range(place->size, 1, missing);
            least = least == 0 || place->size < least ? place->size : least;
            most = place->size > most ? place->size : most;
        }
        assert_int_equal(httpscene_next(&scene, client, false).status, 200);
        assert_int_equal(got, LARGE);
        assert_in_range(least, LEAST, most);
        assert_in_range(most, LEAST, 262144);
    }
    free(bytes);
    httpscene_close(&scene);
}

/* Which it does in a buffer that is there already, too. */
static void a_second_body_of_the_same_length_allocates_nothing(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_unix(&scene, NULL);
    size_t length;
    char *bytes = post("", LARGE, "", &length);

    scene.on_request = check_body;
    for (int round = 0; round < 3; round++) {
        long before = faults_allocations();
        put_in_steps(&scene, client, bytes, length, length);
        assert_int_equal(httpscene_next(&scene, client, false).status, 200);
        assert_true(round == 0 || faults_allocations() == before);
    }
    free(bytes);
    httpscene_close(&scene);
}

/* What is collected in another way. */

/* Sends a head and what it announces, of which none is to have a place. */
static void check_unplaced(struct httpscene *scene, const char *head, const char *piece, size_t length)
{
    struct httpscene_client *client = httpscene_connect_unix(scene);

    httpscene_put(scene, client, head);
    for (int i = 0; i < 10; i++) {
        httpscene_put_bytes(scene, client, piece, length);
        httpscene_settle(scene);
        assert_int_equal(connection_of(scene)->request->reading.received, (size_t)(i + 1) * length);
        assert_false(is_placed(scene));
    }
    assert_int_equal(httpserver_connections(scene->server), 1);
    httpscene_close(scene);
}

static void streamed_bodies_have_no_place(void **state)
{
    struct httpscene scene;
    char piece[LEAST + 1];

    streamed_open(&scene, (struct httpserver_options){ 0 });
    check_unplaced(&scene, POST("1000000"), filled(piece, LEAST), LEAST);
    assert_int_equal(streamed.length, 10 * LEAST);
}

static void bodies_in_gzip_have_no_place(void **state)
{
    static const char beginning[] = "\x1f\x8b\x08\x08time-\xff"
                                    "a file's name that does not end";
    struct httpscene scene;
    char piece[LEAST];

    memset(piece, 'x', sizeof piece); /* more of that name */
    memcpy(piece, beginning, sizeof beginning - 1);
    httpscene_open(&scene, &(struct httpserver_options){ .decompress_request = true });
    check_unplaced(&scene, "POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 1000000\r\n\r\n",
                   piece, sizeof piece);
}

/* Each piece is a chunk of its own. */
static void bodies_in_chunks_have_no_place(void **state)
{
    struct httpscene scene;
    char piece[LEAST + 9];

    memcpy(piece, "4000\r\n", 6);
    memset(piece + 6, 'x', LEAST);
    memcpy(piece + 6 + LEAST, "\r\n", 3);
    httpscene_open(&scene, NULL);
    struct httpscene_client *client = httpscene_connect_unix(&scene);
    httpscene_put(&scene, client, CHUNKED);
    for (int i = 0; i < 10; i++) {
        httpscene_put(&scene, client, piece);
        httpscene_settle(&scene);
        assert_int_equal(connection_of(&scene)->request->reading.received, (size_t)(i + 1) * LEAST);
        assert_false(is_placed(&scene));
    }
    httpscene_close(&scene);
}

/* Memory. */

/* Whatever was announced. */
static void memory_grows_with_what_has_come(void **state)
{
    static const char *const heads[] = { POST("9223372036854775807"), POST("10000000") };

    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        struct httpscene scene;
        struct httpscene_client *client = begin_unix(&scene, &(struct httpserver_options){ .max_body = UINT64_MAX });
        char bytes[10001];

        httpscene_put(&scene, client, GET("/"));
        httpscene_expect(&scene, client, 200, "GET /");
        size_t before = faults_allocated_bytes();
        filled(bytes, 10000);
        httpscene_put(&scene, client, heads[i]);
        for (size_t sent = 0; sent < 4000000; sent += 10000) {
            httpscene_put_bytes(&scene, client, bytes, 10000);
            testing_spin(scene.loop, 1);
            assert_in_range(faults_allocated_bytes() - before, sent, 4 * (sent + 10000) + 1024);
        }
        httpscene_close(&scene);
    }
}

static void each_allocation_may_fail(void **state)
{
    size_t length;
    char *bytes = post("", 400000, "", &length);
    bool hit = true;
    int refused = 0;

    for (int nth = 1; hit; nth++) {
        struct httpscene scene;
        struct httpscene_client *client = begin_unix(&scene, NULL);

        scene.on_request = check_body;
        httpscene_settle(&scene);
        faults_allocation((nth + 1) / 2, nth % 2 == 0);
        for (size_t at = 0, count = 1; at < length && count > 0; at += count) { /* as long as it is read */
            count = httpscene_put_some(client, bytes + at, at + 30000 < length ? 30000 : length - at);
            testing_spin(scene.loop, 1);
        }
        hit = faults_hit();
        faults_end();
        httpscene_settle(&scene);
        httpscene_take(client, SIZE_MAX);
        if (client->length > 0 && httpscene_next(&scene, client, false).status != 200)
            refused++;
        httpscene_expect_alive(&scene);
        httpscene_close(&scene);
        assert_true(nth < 100);
    }
    assert_true(refused > 0);
    free(bytes);
}

/* One that finds no room in its place may still find it by the piece. */
static void over_the_budget_it_is_refused(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_unix(&scene, NULL);
    size_t length;
    char *bytes = post("", LARGE, "", &length);

    ioalloc_set_budget(ioalloc_budget_used() + 300000);
    for (size_t at = 0; at < length; at += 50000) {
        httpscene_put_bytes(&scene, client, bytes + at, at + 50000 < length ? 50000 : length - at);
        testing_spin(scene.loop, 1);
    }
    ioalloc_set_budget(0);
    assert_int_equal(httpscene_next(&scene, client, false).status, 503);
    assert_int_equal(scene.requests, 0);
    free(bytes);
    httpscene_close(&scene);
}

/* Ends. */

/* Begins a body, so that the next bytes have their place. */
static struct httpscene_client *begin_body(struct httpscene *scene, struct httpserver_options options)
{
    size_t length;
    char *bytes = post("", LARGE, "", &length);

    httpscene_open(scene, &options);
    scene->on_request = check_body;
    struct httpscene_client *client = httpscene_connect_unix(scene);
    put_in_steps(scene, client, bytes, length - LARGE + 3 * LEAST, 10000);
    httpscene_settle(scene);
    assert_true(is_placed(scene));
    free(bytes);
    return client;
}

static void put_more(struct httpscene *scene, struct httpscene_client *client, size_t from, size_t to)
{
    char *bytes = malloc(to - from);

    streampair_pattern(bytes, from, to - from);
    httpscene_put_bytes(scene, client, bytes, to - from);
    httpscene_settle(scene);
    free(bytes);
}

static void a_client_that_leaves_leaves_nothing(void **state)
{
    for (int reset = 0; reset < 3; reset++) {
        struct httpscene scene;
        struct httpscene_client *client = begin_body(&scene, (struct httpserver_options){ 0 });

        if (reset == 0)
            httpscene_hang_up(client);
        else if (reset == 1)
            httpscene_finish(client);
        else
            httpserver_close(scene.server);
        httpscene_pass(&scene, reset == 2 ? 20 : 0);
        assert_int_equal(scene.requests, 0);
        assert_true(reset == 2 || httpserver_connections(scene.server) == 0);
        httpscene_close(&scene);
    }
}

static void a_late_one_is_refused_and_the_rest_dropped(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_body(&scene, (struct httpserver_options){ 0 });

    httpscene_pass(&scene, 20 + LATE);
    put_more(&scene, client, 3 * LEAST, 4 * LEAST);
    assert_int_equal(httpscene_next(&scene, client, false).status, 408);
    assert_int_equal(scene.requests, 0);
    httpscene_close(&scene);
}

static void a_slow_one_is_refused(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_body(&scene, (struct httpserver_options){ .min_body_rate = 10000 });

    httpscene_pass(&scene, 11);
    put_more(&scene, client, 3 * LEAST, 3 * LEAST + 100);
    assert_int_equal(httpscene_next(&scene, client, false).status, 408);
    assert_int_equal(testing_logs("the body is too slow"), 1);
    httpscene_close(&scene);
}

static struct httprequest *in_work;

static void keep_request(struct httprequest *request, void *arg)
{
    in_work = request;
}

static void an_early_answer_ends_it(void **state)
{
    for (int aborts = 0; aborts < 2; aborts++) {
        struct httpscene scene;
        struct httpscene_client *client = begin_body(&scene, (struct httpserver_options){ .on_head = keep_request });

        if (aborts)
            httprequest_abort(in_work);
        else
            assert_int_equal(httprequest_reply(in_work, 401, NULL, "no", 2), 0);
        put_more(&scene, client, 3 * LEAST, 6 * LEAST);
        if (!aborts)
            assert_int_equal(httpscene_next(&scene, client, false).status, 401);
        assert_int_equal(scene.requests, 0);
        httpscene_close(&scene);
    }
}

static void a_pause_takes_the_place_away_for_a_while(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_body(&scene, (struct httpserver_options){ .on_head = keep_request });

    for (size_t at = 3 * LEAST; at < LARGE; at += 4 * LEAST) {
        size_t to = at + 4 * LEAST < LARGE ? at + 4 * LEAST : LARGE;
        httprequest_pause(in_work);
        put_more(&scene, client, at, to);
        uint64_t received = in_work->reading.received;
        httpscene_settle(&scene);
        assert_int_equal(in_work->reading.received, received);
        assert_int_equal(scene.requests, 0);
        httprequest_resume(in_work);
        httpscene_settle(&scene);
    }
    assert_int_equal(httpscene_next(&scene, client, false).status, 200);
    assert_int_equal(got, LARGE);
    httpscene_close(&scene);
}

/* Nobody has looked at what follows a body that was received in its place: the answer is not to be lost to a reset. */
static void who_closes_behind_it_is_waited_for(void **state)
{
    for (int more = 0; more < 2; more++) {
        struct httpscene scene;
        struct httpscene_client *client = begin_unix(&scene, NULL);
        size_t length;
        char *bytes = post("Connection: close\r\n", 200000, more ? "more, that nobody will read" : "", &length);

        scene.on_request = check_body;
        put_in_steps(&scene, client, bytes, length, length);
        httpscene_expect_last(&scene, client, 200);
        httpscene_hang_up(client);
        httpscene_settle(&scene);
        assert_int_equal(httpserver_connections(scene.server), 0);
        free(bytes);
        httpscene_close(&scene);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_body_of_any_length_in_any_pieces_is_what_was_sent),
    cmocka_unit_test(short_receives_change_nothing),
    cmocka_unit_test(all_but_the_beginning_is_received_in_its_place),
    cmocka_unit_test(a_second_body_of_the_same_length_allocates_nothing),
    cmocka_unit_test(streamed_bodies_have_no_place),
    cmocka_unit_test(bodies_in_gzip_have_no_place),
    cmocka_unit_test(bodies_in_chunks_have_no_place),
    cmocka_unit_test(memory_grows_with_what_has_come),
    cmocka_unit_test(each_allocation_may_fail),
    cmocka_unit_test(over_the_budget_it_is_refused),
    cmocka_unit_test(a_client_that_leaves_leaves_nothing),
    cmocka_unit_test(a_late_one_is_refused_and_the_rest_dropped),
    cmocka_unit_test(a_slow_one_is_refused),
    cmocka_unit_test(an_early_answer_ends_it),
    cmocka_unit_test(a_pause_takes_the_place_away_for_a_while),
    cmocka_unit_test(who_closes_behind_it_is_waited_for),
};

TESTING_MAIN(tests)
