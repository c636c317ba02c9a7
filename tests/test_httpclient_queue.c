/* Which connection a fetch goes over, and what waits for one. */
#include "tests/support/testing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/faults.h"
#include "tests/support/fetchscene.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define HI OK "Content-Length: 2\r\n\r\nhi"

static struct fetchscene scene;
static struct fetchscene_request seen;

static struct fetchscene_fetch *get_from(int listener, const char *target)
{
    char url[128];

    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", scene.ports[listener], target);
    return fetchscene_get(&scene, url);
}

/* A fetch over a connection that is kept then. */
static struct fetchscene_peer *keep_one(int listener)
{
    struct fetchscene_fetch *fetch = get_from(listener, "/");
    struct fetchscene_peer *peer = fetchscene_accept_from(&scene, listener);

    fetchscene_serve(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    return peer;
}

/* Reuse. */

static void a_kept_connection_is_used_again_and_needs_two_system_calls(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_peer *peer = keep_one(FETCHSCENE_FIRST);
    for (int i = 0; i < 3; i++) {
        faults_count_reset();
        struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
        fetchscene_serve(&scene, peer, HI);
        fetchscene_expect(&scene, fetch, 200, "hi");
        assert_true(fetch->is_reused);
        assert_in_range(faults_count("send") + faults_count("sendmsg"), 1, 1);
        assert_in_range(faults_count("recv"), 1, 2);
        assert_int_equal(faults_count("epoll_ctl"), 0);
        assert_int_equal(faults_count("setsockopt"), 0);
    }
    fetchscene_expect_pool(&scene, 1, 1, 0);
    fetchscene_close(&scene);
}

static void fetch_second(struct fetchscene_fetch *fetch, struct httpclient_response *response)
{
    fetchscene_get(&scene, "/second");
}

/* Its place is free when it is told. */
static void a_fetch_from_a_callback_goes_over_the_connection_of_the_one_before(void **state)
{
    fetchscene_open(&scene, &(struct httpclient_options){ .max_clients = 1 });
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/first");
    fetch->on_response = fetch_second;
    struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, HI);
    fetchscene_take_request(&scene, peer, &seen);
    assert_string_equal(seen.target, "/second");
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, scene.fetches[1], 200, "hi");
    assert_true(scene.fetches[1]->is_reused);
    fetchscene_close(&scene);
}

static void who_waits_goes_before_who_is_asked_for_in_a_callback(void **state)
{
    fetchscene_open(&scene, &(struct httpclient_options){ .max_clients = 1 });
    fetchscene_get(&scene, "/first")->on_response = fetch_second;
    fetchscene_get(&scene, "/waiting");
    struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, HI);
    fetchscene_take_request(&scene, peer, &seen);
    assert_string_equal(seen.target, "/waiting");
    fetchscene_put(&scene, peer, HI);
    fetchscene_take_request(&scene, peer, &seen);
    assert_string_equal(seen.target, "/second");
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, scene.fetches[2], 200, "hi");
    fetchscene_close(&scene);
}

static void a_connection_is_kept_for_a_time(void **state)
{
    static const double times[][2] = { { 0, 15 }, { 5, 5 }, { 100, 100 } };

    for (size_t i = 0; i < 3; i++) {
        fetchscene_open(&scene, &(struct httpclient_options){ .keep_time = times[i][0] });
        struct fetchscene_peer *peer = keep_one(FETCHSCENE_FIRST);
        fetchscene_pass(&scene, times[i][1] - 0.1);
        fetchscene_expect_pool(&scene, 1, 1, 0);
        fetchscene_expect_nothing(&scene, peer);
        fetchscene_pass(&scene, 0.3);
        fetchscene_expect_pool(&scene, 0, 0, 0);
        fetchscene_expect_end(&scene, peer);
        fetchscene_close(&scene);
    }
}

static void the_time_begins_with_each_use(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_peer *peer = keep_one(FETCHSCENE_FIRST);
    for (int i = 0; i < 5; i++) {
        fetchscene_pass(&scene, 10);
        struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
        fetchscene_take_request(&scene, peer, &seen);
        fetchscene_pass(&scene, 10);
        fetchscene_put(&scene, peer, HI);
        fetchscene_expect(&scene, fetch, 200, "hi");
    }
    fetchscene_expect_pool(&scene, 1, 1, 0);
    fetchscene_close(&scene);
}

static void no_connection_is_kept_where_keep_time_is_below_0(void **state)
{
    fetchscene_open(&scene, &(struct httpclient_options){ .keep_time = -1 });
    for (int i = 0; i < 2; i++) {
        struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
        struct fetchscene_peer *peer = fetchscene_accept(&scene);

        fetchscene_take_request(&scene, peer, &seen);
        assert_string_equal(fetchscene_request_header(&seen, "Connection"), "close");
        fetchscene_put(&scene, peer, HI);
        fetchscene_expect(&scene, fetch, 200, "hi");
        fetchscene_expect_end(&scene, peer);
        fetchscene_expect_pool(&scene, 0, 0, 0);
    }
    fetchscene_close(&scene);
}

static void a_connection_has_so_many_uses_as_it_may(void **state)
{
    fetchscene_open(&scene, &(struct httpclient_options){ .max_uses = 3 });
    struct fetchscene_peer *peer = keep_one(FETCHSCENE_FIRST);
    for (int i = 1; i < 3; i++) {
        struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
        fetchscene_serve(&scene, peer, HI);
        fetchscene_expect(&scene, fetch, 200, "hi");
    }
    fetchscene_expect_end(&scene, peer);
    fetchscene_expect_pool(&scene, 0, 0, 0);
    fetchscene_close(&scene);
}

static void the_connection_that_was_used_last_is_used_first(void **state)
{
    struct fetchscene_peer *peers[3];

    fetchscene_open(&scene, NULL);
    for (int i = 0; i < 3; i++)
        fetchscene_get(&scene, "/");
    for (int i = 0; i < 3; i++) {
        peers[i] = fetchscene_accept(&scene);
        fetchscene_take_request(&scene, peers[i], &seen);
    }
    static const int order[] = { 1, 0, 2 };
    for (int i = 0; i < 3; i++) {
        fetchscene_put(&scene, peers[order[i]], HI);
        fetchscene_settle(&scene);
        scene.clock += 1;
    }
    fetchscene_expect_pool(&scene, 3, 3, 0);
    fetchscene_get(&scene, "/");
    fetchscene_take_request(&scene, peers[2], &seen);
    fetchscene_expect_nothing(&scene, peers[0]);
    fetchscene_close(&scene);
}

/* F5: what else makes a connection another one is in the tests of addresses and proxies. */
static void another_origin_has_another_connection(void **state)
{
    fetchscene_open(&scene, NULL);
    keep_one(FETCHSCENE_FIRST);
    keep_one(FETCHSCENE_SECOND);
    fetchscene_expect_pool(&scene, 2, 2, 0);
    fetchscene_close(&scene);
}

/* Stale ones. */

static void a_kept_connection_that_the_server_closes_is_forgotten(void **state)
{
    fetchscene_open(&scene, NULL);
    for (int i = 0; i < 2; i++) {
        struct fetchscene_peer *peer = keep_one(FETCHSCENE_FIRST);

        fetchscene_expect_pool(&scene, 1, 1, 0);
        if (i == 0)
            fetchscene_hang_up(peer);
        else
            fetchscene_reset(peer);
        fetchscene_expect_pool(&scene, 0, 0, 0);
    }
    assert_int_equal(testing_logs(NULL), 0);
    fetchscene_close(&scene);
}

struct stale {
    const char *method, *body;
    bool reads; /* the server has read it, before it closed */
    bool retried;
    const char *bytes; /* that it sends before it closes */
};

static void expect_stale(const struct stale *row, bool by_reset)
{
    struct fetchscene_peer *peer = keep_one(FETCHSCENE_FIRST);
    struct httpclient_request request = { .url = "/", .method = row->method, .body = row->body };

    request.body_length = row->body != NULL ? strlen(row->body) : 0;
    struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, request);
    fetchscene_take_request(&scene, peer, &seen);
    fetchscene_put(&scene, peer, row->bytes);
    if (row->bytes[0] != '\0')
        fetchscene_settle(&scene);
    if (by_reset)
        fetchscene_reset(peer);
    else
        fetchscene_hang_up(peer);
    if (row->retried) {
        peer = fetchscene_accept(&scene);
        fetchscene_take_request(&scene, peer, &seen);
        assert_string_equal(seen.method, row->method);
        assert_string_equal(seen.body, row->body != NULL ? row->body : "");
        fetchscene_put(&scene, peer, strcmp(row->method, "HEAD") == 0 ? OK "Content-Length: 2\r\n\r\n" : HI);
        fetchscene_expect(&scene, fetch, 200, strcmp(row->method, "HEAD") == 0 ? "" : "hi");
        assert_false(fetch->is_reused);
        fetchscene_hang_up(peer);
    } else {
        fetchscene_wait(&scene, fetch);
        assert_true(fetch->error == -ESHUTDOWN || fetch->error == -ECONNRESET);
        fetchscene_expect_no_connection(&scene);
    }
    fetchscene_expect_pool(&scene, 0, 0, 0);
}

static void what_may_be_sent_twice_is_when_a_kept_connection_was_stale(void **state)
{
    static const struct stale rows[] = {
        { "GET", NULL, true, true, "" },
        { "HEAD", NULL, true, true, "" },
        { "OPTIONS", NULL, true, true, "" },
        { "DELETE", NULL, true, false, "" },
        { "PUT", "body", true, false, "" },
        { "POST", "body", true, false, "" },
        { "PATCH", "body", true, false, "" },
        { "GET", NULL, true, false, "H" },
        { "GET", NULL, true, false, "HTTP/1.1 100 Continue\r\n\r\n" },
    };

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        expect_stale(&rows[i], false);
        expect_stale(&rows[i], true);
    }
    fetchscene_close(&scene);
}

static void a_fetch_is_sent_a_second_time_once(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_peer *peer = keep_one(FETCHSCENE_FIRST);
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
    fetchscene_take_request(&scene, peer, &seen);
    fetchscene_hang_up(peer);
    peer = fetchscene_accept(&scene);
    fetchscene_take_request(&scene, peer, &seen);
    fetchscene_hang_up(peer);
    fetchscene_expect_error(&scene, fetch, -ESHUTDOWN, HTTPCLIENT_HEAD);
    fetchscene_expect_no_connection(&scene);
    fetchscene_close(&scene);
}

/* Not over another that is kept, which may be as stale. */
static void the_second_time_is_over_a_new_connection(void **state)
{
    struct fetchscene_peer *peers[2];

    fetchscene_open(&scene, NULL);
    fetchscene_get(&scene, "/");
    fetchscene_get(&scene, "/");
    for (int i = 0; i < 2; i++)
        peers[i] = fetchscene_serve(&scene, NULL, HI);
    fetchscene_expect_pool(&scene, 2, 2, 0);
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
    fetchscene_settle(&scene);
    int used = fetchscene_take(peers[1], 1) > 0;
    fetchscene_hang_up(peers[used]);
    struct fetchscene_peer *third = fetchscene_serve(&scene, NULL, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_expect_nothing(&scene, peers[!used]);
    fetchscene_expect_nothing(&scene, third);
    fetchscene_close(&scene);
}

static void a_new_connection_that_ends_is_no_stale_one(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    fetchscene_take_request(&scene, peer, &seen);
    fetchscene_hang_up(peer);
    fetchscene_expect_error(&scene, fetch, -ESHUTDOWN, HTTPCLIENT_HEAD);
    fetchscene_expect_no_connection(&scene);
    fetchscene_close(&scene);
}

static void produce_once(struct httpclient *client, uint64_t fetch, void *arg)
{
    assert_int_equal(httpclient_upload_write(client, fetch, "body", 4), 0);
    httpclient_upload_finish(client, fetch);
}

/* PUT may be sent twice, but this body cannot. */
static void what_was_produced_is_not_sent_a_second_time(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_peer *peer = keep_one(FETCHSCENE_FIRST);
    struct fetchscene_fetch *fetch = fetchscene_fetch(
        &scene, (struct httpclient_request){ .url = "/", .method = "PUT", .body_producer = produce_once });
    fetchscene_take_request(&scene, peer, &seen);
    fetchscene_hang_up(peer);
    fetchscene_expect_error(&scene, fetch, -ESHUTDOWN, HTTPCLIENT_HEAD);
    fetchscene_expect_no_connection(&scene);
    fetchscene_close(&scene);
}

/* Limits. */

/* simple_httpclient_test:test_connection_limit */
static void fetches_beyond_the_limit_wait_in_order(void **state)
{
    static const char *const targets[] = { "/0", "/1", "/2", "/3" };
    struct fetchscene_peer *peers[2];

    fetchscene_open(&scene, &(struct httpclient_options){ .max_clients = 2 });
    for (int i = 0; i < 4; i++)
        fetchscene_get(&scene, targets[i]);
    for (int i = 0; i < 2; i++) {
        peers[i] = fetchscene_accept(&scene);
        fetchscene_take_request(&scene, peers[i], &seen);
        assert_string_equal(seen.target, targets[i]);
    }
    fetchscene_expect_no_connection(&scene);
    fetchscene_expect_pool(&scene, 2, 0, 2);
    fetchscene_put(&scene, peers[1], HI);
    fetchscene_take_request(&scene, peers[1], &seen);
    assert_string_equal(seen.target, "/2");
    fetchscene_expect_pool(&scene, 2, 0, 1);
    fetchscene_put(&scene, peers[0], HI);
    fetchscene_take_request(&scene, peers[0], &seen);
    assert_string_equal(seen.target, "/3");
    fetchscene_put(&scene, peers[0], HI);
    fetchscene_put(&scene, peers[1], HI);
    fetchscene_expect_pool(&scene, 2, 2, 0);
    static const int places[] = { 2, 1, 3, 4 };
    for (size_t i = 0; i < 4; i++) {
        fetchscene_expect(&scene, scene.fetches[i], 200, "hi");
        assert_true(scene.fetches[i]->place == places[i] || i >= 2);
    }
    fetchscene_close(&scene);
}

/* simple_httpclient_test:test_max_clients */
static void each_client_has_its_own_limit(void **state)
{
    static const size_t given[] = { 0, 1, 70 }, most[] = { 64, 1, 70 };

    for (int i = 0; i < 3; i++) {
        fetchscene_open(&scene, &(struct httpclient_options){ .max_clients = given[i], .max_per_origin = 100 });
        for (int fetch = 0; fetch < 80; fetch++)
            fetchscene_get(&scene, "/");
        fetchscene_expect_pool(&scene, most[i], 0, 80 - most[i]);
        fetchscene_close(&scene);
    }
}

static void an_origin_has_at_most_six_connections_and_holds_up_no_other(void **state)
{
    static const size_t given[] = { 0, 2 }, most[] = { 6, 2 };

    for (int i = 0; i < 2; i++) {
        fetchscene_open(&scene, &(struct httpclient_options){ .max_per_origin = given[i] });
        for (int fetch = 0; fetch < 10; fetch++)
            get_from(FETCHSCENE_FIRST, "/");
        fetchscene_expect_pool(&scene, most[i], 0, 10 - most[i]);
        keep_one(FETCHSCENE_SECOND);
        fetchscene_expect_pool(&scene, most[i] + 1, 1, 10 - most[i]);
        fetchscene_close(&scene);
    }
}

static struct fetchscene_fetch *get_from_unix(void)
{
    return fetchscene_fetch(&scene, (struct httpclient_request){ .url = "http://a/", .unix_path = scene.path });
}

/* One that waits first in the queue, and whose origin has become full meanwhile, steps aside. */
static void an_origin_that_becomes_full_holds_up_no_other(void **state)
{
    struct fetchscene_peer *peers[2];
    static const char closes[] = "HTTP/1.1 204 No\r\nConnection: close\r\n\r\n";

    fetchscene_open(&scene, &(struct httpclient_options){ .max_clients = 3, .max_per_origin = 2 });
    get_from(FETCHSCENE_FIRST, "/0");
    get_from(FETCHSCENE_SECOND, "/1");
    get_from(FETCHSCENE_SECOND, "/2");
    get_from(FETCHSCENE_FIRST, "/3");
    get_from(FETCHSCENE_FIRST, "/4");
    struct fetchscene_fetch *last = get_from_unix();
    struct fetchscene_peer *first = fetchscene_accept(&scene);
    for (int i = 0; i < 2; i++) {
        peers[i] = fetchscene_accept_from(&scene, FETCHSCENE_SECOND);
        fetchscene_take_request(&scene, peers[i], &seen);
    }
    fetchscene_expect_pool(&scene, 3, 0, 3);
    fetchscene_put(&scene, peers[0], closes);
    fetchscene_take_request(&scene, fetchscene_accept(&scene), &seen);
    assert_string_equal(seen.target, "/3");
    fetchscene_expect_pool(&scene, 3, 0, 2);
    fetchscene_put(&scene, peers[1], closes);
    fetchscene_serve(&scene, fetchscene_accept_from(&scene, FETCHSCENE_UNIX), HI);
    fetchscene_expect(&scene, last, 200, "hi");
    fetchscene_serve(&scene, first, HI);
    fetchscene_take_request(&scene, first, &seen);
    assert_string_equal(seen.target, "/4");
    fetchscene_close(&scene);
}

static void a_kept_connection_makes_room_for_another_origin(void **state)
{
    fetchscene_open(&scene, &(struct httpclient_options){ .max_clients = 2 });
    struct fetchscene_peer *first = keep_one(FETCHSCENE_FIRST);
    fetchscene_pass(&scene, 1);
    fetchscene_get(&scene, "/");
    fetchscene_get(&scene, "/");
    fetchscene_take_request(&scene, first, &seen);
    struct fetchscene_peer *second = fetchscene_serve(&scene, NULL, HI);
    fetchscene_pass(&scene, 1);
    fetchscene_put(&scene, first, HI); /* so the second is idle for longer */
    fetchscene_expect_pool(&scene, 2, 2, 0);
    keep_one(FETCHSCENE_SECOND);
    fetchscene_expect_end(&scene, second);
    fetchscene_expect_nothing(&scene, first);
    fetchscene_expect_pool(&scene, 2, 2, 0);
    fetchscene_close(&scene);
}

static void who_waits_for_another_origin_gets_the_place_that_falls_free(void **state)
{
    fetchscene_open(&scene, &(struct httpclient_options){ .max_clients = 1 });
    struct fetchscene_fetch *first = fetchscene_get(&scene, "/");
    struct fetchscene_fetch *second = get_from(FETCHSCENE_SECOND, "/");
    struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, HI);
    fetchscene_expect(&scene, first, 200, "hi");
    fetchscene_serve(&scene, fetchscene_accept_from(&scene, FETCHSCENE_SECOND), HI);
    fetchscene_expect(&scene, second, 200, "hi");
    fetchscene_expect_end(&scene, peer);
    fetchscene_close(&scene);
}

static void ask_again(struct fetchscene_fetch *fetch, struct httpclient_response *response)
{
    get_from(FETCHSCENE_FIRST, "/again")->on_response = ask_again;
}

static void an_origin_that_is_asked_again_and_again_does_not_keep_the_others_out(void **state)
{
    fetchscene_open(&scene, &(struct httpclient_options){ .max_clients = 1, .max_per_origin = 1 });
    get_from(FETCHSCENE_FIRST, "/")->on_response = ask_again;
    get_from(FETCHSCENE_FIRST, "/")->on_response = ask_again;
    struct fetchscene_fetch *other = get_from(FETCHSCENE_SECOND, "/other");
    struct fetchscene_peer *peer = fetchscene_accept_from(&scene, FETCHSCENE_FIRST);
    for (int i = 0; i < 2; i++) {
        fetchscene_pass(&scene, 0.25);
        fetchscene_serve(&scene, peer, HI);
        fetchscene_settle(&scene);
    }
    fetchscene_serve(&scene, fetchscene_accept_from(&scene, FETCHSCENE_SECOND), HI);
    fetchscene_expect(&scene, other, 200, "hi");
    for (size_t i = 0; i < scene.count; i++)
        scene.fetches[i]->on_response = NULL;
    fetchscene_close(&scene);
}

/* Its origin has no connection any more, which could be given back: any other has to do. */
static void who_was_passed_over_gets_the_next_place_of_any_origin(void **state)
{
    static const char closes[] = "HTTP/1.1 204 No\r\nConnection: close\r\n\r\n";

    for (int is_kept = 0; is_kept < 2; is_kept++) {
        fetchscene_open(&scene, &(struct httpclient_options){ .max_clients = 1, .max_per_origin = 1 });
        get_from(FETCHSCENE_FIRST, "/a");
        struct fetchscene_fetch *other = get_from(FETCHSCENE_SECOND, "/b");
        fetchscene_pass(&scene, 0.25);
        struct fetchscene_fetch *parked = get_from(FETCHSCENE_FIRST, "/c");
        fetchscene_serve(&scene, NULL, closes);
        struct fetchscene_peer *peer = fetchscene_accept_from(&scene, FETCHSCENE_SECOND);
        fetchscene_expect_pool(&scene, 1, 0, 1);
        fetchscene_serve(&scene, peer, is_kept ? HI : closes);
        fetchscene_wait(&scene, other);
        fetchscene_serve(&scene, NULL, HI);
        fetchscene_expect(&scene, parked, 200, "hi");
        fetchscene_expect_pool(&scene, 1, 1, 0);
        fetchscene_close(&scene);
    }
}

/* Nothing is left of an origin of which all that waited has gone. */
static void who_was_passed_over_can_be_cancelled(void **state)
{
    static const char closes[] = "HTTP/1.1 204 No\r\nConnection: close\r\n\r\n";

    fetchscene_open(&scene, &(struct httpclient_options){ .max_clients = 1, .max_per_origin = 1 });
    get_from(FETCHSCENE_FIRST, "/a");
    struct fetchscene_fetch *other = get_from(FETCHSCENE_SECOND, "/b");
    fetchscene_pass(&scene, 0.25);
    struct fetchscene_fetch *parked = get_from(FETCHSCENE_FIRST, "/c"), *last = get_from_unix();
    fetchscene_serve(&scene, NULL, closes);
    struct fetchscene_peer *peer = fetchscene_accept_from(&scene, FETCHSCENE_SECOND);
    httpclient_cancel(scene.client, parked->id);
    fetchscene_expect_error(&scene, parked, -ECANCELED, HTTPCLIENT_QUEUE);
    fetchscene_serve(&scene, peer, HI);
    fetchscene_expect(&scene, other, 200, "hi");
    fetchscene_serve(&scene, fetchscene_accept_from(&scene, FETCHSCENE_UNIX), HI);
    fetchscene_expect(&scene, last, 200, "hi");
    fetchscene_close(&scene);
}

static void a_connection_that_fails_gives_its_place_to_the_next(void **state)
{
    fetchscene_open(&scene, &(struct httpclient_options){ .max_clients = 1 });
    struct fetchscene_fetch *first = fetchscene_get(&scene, "/");
    struct fetchscene_fetch *second = fetchscene_get(&scene, "/");
    fetchscene_serve(&scene, NULL, "garbage\r\n\r\n");
    fetchscene_expect_error(&scene, first, -EPROTO, HTTPCLIENT_HEAD);
    fetchscene_serve(&scene, NULL, HI);
    fetchscene_expect(&scene, second, 200, "hi");
    fetchscene_close(&scene);
}

static void what_waits_can_be_cancelled(void **state)
{
    fetchscene_open(&scene, &(struct httpclient_options){ .max_clients = 1 });
    for (int i = 0; i < 4; i++)
        fetchscene_get(&scene, "/");
    fetchscene_expect_pool(&scene, 1, 0, 3);
    httpclient_cancel(scene.client, scene.fetches[2]->id);
    fetchscene_expect_error(&scene, scene.fetches[2], -ECANCELED, HTTPCLIENT_QUEUE);
    fetchscene_expect_pool(&scene, 1, 0, 2);
    struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, HI);
    fetchscene_serve(&scene, peer, HI);
    fetchscene_serve(&scene, peer, HI);
    fetchscene_expect(&scene, scene.fetches[3], 200, "hi");
    assert_true(scene.fetches[1]->place < scene.fetches[3]->place);
    fetchscene_close(&scene);
}

static void the_queue_has_a_limit(void **state)
{
    fetchscene_open(&scene, &(struct httpclient_options){ .max_clients = 1, .max_queue = 3 });
    for (int i = 0; i < 4; i++)
        fetchscene_get(&scene, "/");
    for (int i = 0; i < 2; i++) {
        assert_null(fetchscene_try(&scene, (struct httpclient_request){ .url = "/" }));
        assert_int_equal(errno, EAGAIN);
    }
    httpclient_cancel(scene.client, scene.fetches[1]->id);
    fetchscene_settle(&scene);
    fetchscene_get(&scene, "/");
    assert_null(fetchscene_try(&scene, (struct httpclient_request){ .url = "/" }));
    fetchscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_kept_connection_is_used_again_and_needs_two_system_calls),
    cmocka_unit_test(a_fetch_from_a_callback_goes_over_the_connection_of_the_one_before),
    cmocka_unit_test(who_waits_goes_before_who_is_asked_for_in_a_callback),
    cmocka_unit_test(a_connection_is_kept_for_a_time),
    cmocka_unit_test(the_time_begins_with_each_use),
    cmocka_unit_test(no_connection_is_kept_where_keep_time_is_below_0),
    cmocka_unit_test(a_connection_has_so_many_uses_as_it_may),
    cmocka_unit_test(the_connection_that_was_used_last_is_used_first),
    cmocka_unit_test(another_origin_has_another_connection),
    cmocka_unit_test(a_kept_connection_that_the_server_closes_is_forgotten),
    cmocka_unit_test(what_may_be_sent_twice_is_when_a_kept_connection_was_stale),
    cmocka_unit_test(a_fetch_is_sent_a_second_time_once),
    cmocka_unit_test(the_second_time_is_over_a_new_connection),
    cmocka_unit_test(a_new_connection_that_ends_is_no_stale_one),
    cmocka_unit_test(what_was_produced_is_not_sent_a_second_time),
    cmocka_unit_test(fetches_beyond_the_limit_wait_in_order),
    cmocka_unit_test(each_client_has_its_own_limit),
    cmocka_unit_test(an_origin_has_at_most_six_connections_and_holds_up_no_other),
    cmocka_unit_test(an_origin_that_becomes_full_holds_up_no_other),
    cmocka_unit_test(a_kept_connection_makes_room_for_another_origin),
    cmocka_unit_test(who_waits_for_another_origin_gets_the_place_that_falls_free),
    cmocka_unit_test(an_origin_that_is_asked_again_and_again_does_not_keep_the_others_out),
    cmocka_unit_test(a_connection_that_fails_gives_its_place_to_the_next),
    cmocka_unit_test(who_was_passed_over_gets_the_next_place_of_any_origin),
    cmocka_unit_test(who_was_passed_over_can_be_cancelled),
    cmocka_unit_test(what_waits_can_be_cancelled),
    cmocka_unit_test(the_queue_has_a_limit),
};

TESTING_MAIN(tests)
