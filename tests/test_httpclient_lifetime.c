/* Whatever a program does in any callback of a client, and at any moment of a fetch: each fetch that was accepted is
 * answered exactly once, nothing is named after it is gone, and nothing is left. To be run under a sanitizer, too. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "httpclient/httpclient.h"
#include "httpserver/httpserver.h"
#include "ioloop/ioloop.h"
#include "tests/support/faults.h"
#include "tests/support/testing.h"

enum { LONG_BODY = 200000, FETCHES = 8, MORE = 2, MOST_ROUNDS = 400, MOST_MOMENTS = 60 };

enum callback { ON_RESPONSE, ON_LINE, ON_PIECE, ON_PRODUCE, ON_FILTER, ON_RELEASE, ON_CLOSE, CALLBACKS };
enum action { CANCEL_ITSELF, CANCEL_ALL, CLOSE_CLIENT, CLOSE_LOOP, FETCH_MORE, PAUSE_ALL, FAIL_UPLOAD, ACTIONS };

static struct scene {
    struct ioloop *loop; /* NULL: closed */
    struct httpclient *client;
    struct httpserver *server;
    double clock;
    char url[64];
    uint64_t ids[FETCHES + MORE];
    int answers[FETCHES + MORE];
    int started, closed, released, lent, succeeded;
    bool client_closing, loop_closing, in_call;
    uint64_t upload; /* of the fetch that has a producer; known from its first call on, also when it is over */
    int pieces;
    enum callback callback; /* in which to act, the nth time; CALLBACKS: in none */
    enum action action;
    int countdown;
    bool acted;
} scene;

/* The server. */

static void no_log(struct httprequest *request, int status, uint64_t body_bytes, double seconds, void *arg)
{
}

static void redirect(struct httprequest *request)
{
    struct httpheaders headers = { 0 };

    assert_int_equal(httpheaders_set(&headers, "Location", "/after"), 0);
    httprequest_answer(request, 307, NULL, &headers, "elsewhere", 9);
    httpheaders_free(&headers);
}

/* A request lives until it is answered, also when nobody listens. */
static void client_left(struct httprequest *request, void *arg)
{
    httprequest_reply(request, 200, NULL, NULL, 0);
}

static void serve(struct httprequest *request, void *arg)
{
    static char bytes[LONG_BODY];
    const char *path = httprequest_target(request);

    if (strcmp(path, "/redirect") == 0) {
        redirect(request);
    } else if (strcmp(path, "/chunks") == 0) {
        httprequest_write_head(request, 200, NULL, NULL, "one", 3, NULL, NULL);
        httprequest_write(request, "two", 3, NULL, NULL);
        httprequest_finish(request);
    } else if (strcmp(path, "/long") == 0) {
        httprequest_reply(request, 200, "text/plain", bytes, sizeof bytes);
    } else if (strcmp(path, "/never") == 0) {
        httprequest_set_close_callback(request, client_left, NULL);
    } else {
        httprequest_reply(request, 200, "text/plain", "hello", 5);
    }
}

/* What a program may do. */

static uint64_t try_fetch(const char *path, struct httpclient_request request);

static void act(int which)
{
    switch (scene.action) {
    case CANCEL_ITSELF:
        httpclient_cancel(scene.client, which >= 0 ? scene.ids[which] : 0);
        break;
    case CANCEL_ALL:
        for (int i = 0; i < scene.started; i++)
            httpclient_cancel(scene.client, scene.ids[i]);
        break;
    case CLOSE_CLIENT:
        scene.client_closing = true;
        httpclient_close(scene.client);
        break;
    case CLOSE_LOOP:
        scene.loop_closing = scene.client_closing = true;
        ioloop_close(scene.loop, false);
        break;
    case FETCH_MORE:
        try_fetch("/more", (struct httpclient_request){ 0 });
        try_fetch("/more", (struct httpclient_request){ .unix_path = "/nowhere/at/all" });
        break;
    case PAUSE_ALL:
        for (int i = 0; i < scene.started; i++)
            httpclient_pause(scene.client, scene.ids[i]);
        for (int i = 0; i < scene.started; i++)
            httpclient_resume(scene.client, scene.ids[i]);
        break;
    case FAIL_UPLOAD:
        httpclient_upload_fail(scene.client, scene.upload, -EIO);
        httpclient_upload_resume(scene.client, scene.upload);
        (void)!httpclient_upload_write(scene.client, scene.upload, "x", 1);
        break;
    default:
        break;
    }
}

static void came_by(enum callback callback, int which)
{
    assert_false(scene.in_call);
    if (callback != scene.callback || --scene.countdown != 0)
        return;
    scene.acted = true;
    act(which);
}

/* Callbacks. */

static void on_response(struct httpclient_response *response, void *arg)
{
    int which = (int)((int *)arg - scene.answers);

    scene.answers[which]++;
    assert_int_equal(scene.answers[which], 1);
    scene.succeeded += response->error == 0;
    came_by(ON_RESPONSE, which);
}

static void on_line(const char *line, size_t length, void *arg)
{
    int which = (int)((int *)arg - scene.answers);

    assert_int_equal(scene.answers[which], 0);
    came_by(ON_LINE, which);
}

static void on_piece(const void *data, size_t length, void *arg)
{
    int which = (int)((int *)arg - scene.answers);

    assert_int_equal(scene.answers[which], 0);
    came_by(ON_PIECE, which);
}

static void produce(struct httpclient *client, uint64_t fetch, void *arg)
{
    static const char bytes[3000];

    scene.upload = fetch;
    if (scene.pieces++ < 10)
        (void)!httpclient_upload_write(client, fetch, bytes, sizeof bytes);
    else
        httpclient_upload_finish(client, fetch);
    came_by(ON_PRODUCE, 2);
}

static bool filter(const struct sockaddr *address, socklen_t length, void *arg)
{
    came_by(ON_FILTER, 0);
    return true;
}

static void release(void *data, void *arg)
{
    scene.released++;
    came_by(ON_RELEASE, 1);
}

static void on_close(struct httpclient *client, void *arg)
{
    scene.closed++;
    for (int i = 0; i < scene.started; i++)
        assert_int_equal(scene.answers[i], scene.ids[i] != 0);
    came_by(ON_CLOSE, -1);
}

/* A program. */

static uint64_t try_fetch(const char *path, struct httpclient_request request)
{
    char url[96];
    int which = scene.started++;

    assert_in_range(which, 0, FETCHES + MORE - 1);
    snprintf(url, sizeof url, "%s%s", scene.url, path);
    request.url = url;
    if (request.header_callback != NULL)
        request.callback_arg = &scene.answers[which];
    bool nested = scene.in_call;
    scene.in_call = true;
    scene.ids[which] = httpclient_fetch(scene.client, &request, on_response, &scene.answers[which]);
    scene.in_call = nested;
    assert_true(scene.ids[which] != 0 || scene.client_closing);
    return scene.ids[which];
}

static void begin(void)
{
    static char body[150000];

    memset(&scene, 0, sizeof scene);
    scene.callback = CALLBACKS;
    scene.clock = 1000;
    scene.loop = ioloop_new(&(struct ioloop_options){
        .clock = testing_clock, .clock_arg = &scene.clock, .make_current = IOLOOP_CURRENT_NEVER });
    scene.server = httpserver_new(scene.loop, serve, NULL, &(struct httpserver_options){ .on_log = no_log });
    int port = httpserver_listen(scene.server, 0, &(struct netutil_bind_options){ .address = "127.0.0.1" });
    assert_true(port > 0);
    snprintf(scene.url, sizeof scene.url, "http://127.0.0.1:%d", port);
    scene.client = httpclient_new(
        scene.loop, &(struct httpclient_options){ .max_clients = 3, .on_close = on_close, .connect_filter = filter });
    assert_non_null(scene.client);
    try_fetch("/redirect", (struct httpclient_request){ .header_callback = on_line });
    try_fetch("/redirect", (struct httpclient_request){
                               .method = "POST", .body = body, .body_length = sizeof body, .body_release = release });
    scene.lent = 1;
    try_fetch("/up", (struct httpclient_request){ .method = "PUT", .body_producer = produce });
    try_fetch("/chunks", (struct httpclient_request){ .header_callback = on_line, .streaming_callback = on_piece });
    try_fetch("/long", (struct httpclient_request){ 0 });
    try_fetch("/expect", (struct httpclient_request){
                             .method = "POST", .body = "x", .body_length = 1, .expect_100_continue = true });
    try_fetch("/never", (struct httpclient_request){ .request_timeout = 0.3 });
    try_fetch("/", (struct httpclient_request){ .unix_path = "/nowhere/at/all" });
}

static void turn(void)
{
    if (scene.loop_closing)
        return;
    ioloop_run_once(scene.loop, 0.0005);
    scene.clock += 0.02;
}

static bool is_settled(void)
{
    for (int i = 0; i < scene.started; i++) {
        if (scene.ids[i] != 0 && scene.answers[i] == 0)
            return false;
    }
    return true;
}

/* A loop that was closed in a callback ends when it is run the next time. */
static void end(void)
{
    for (int i = 0; i < MOST_ROUNDS && !is_settled() && !scene.loop_closing; i++)
        turn();
    if (!scene.loop_closing) {
        assert_true(is_settled());
        scene.client_closing = true;
        httpclient_close(scene.client);
        for (int i = 0; i < 5; i++)
            turn();
        if (!scene.loop_closing) {
            assert_int_equal(scene.closed, 1);
            ioloop_close(scene.loop, false);
        }
    }
    assert_true(is_settled());
    assert_int_equal(scene.closed, 1);
    assert_int_equal(scene.released, scene.lent);
}

/* The tests. */

static void anything_may_be_done_in_any_callback(void **state)
{
    for (enum callback callback = 0; callback < CALLBACKS; callback++) {
        for (enum action action = 0; action < ACTIONS; action++) {
            scene.acted = true;
            for (int nth = 1; nth <= 12 && scene.acted; nth += nth < 4 ? 1 : 4) {
                long before = faults_allocated();
                begin();
                scene.callback = callback;
                scene.action = action;
                scene.countdown = nth;
                end();
                assert_true(scene.acted || nth > 1); /* each callback comes once at least */
                if (faults_allocated() != before)
                    print_error("callback %d, action %d, time %d\n", callback, action, nth);
                assert_int_equal(faults_allocated(), before);
            }
        }
    }
}

static void anything_may_be_done_at_any_moment(void **state)
{
    for (enum action action = 0; action < ACTIONS; action++) {
        for (int moment = 0; moment < MOST_MOMENTS; moment += moment < 25 ? 1 : 5) {
            long before = faults_allocated();
            begin();
            scene.action = action;
            for (int i = 0; i < moment; i++)
                turn();
            scene.in_call = action != CLOSE_LOOP; /* which tells of all in there */
            act(moment % FETCHES);
            scene.in_call = false;
            end();
            if (faults_allocated() != before)
                print_error("action %d, moment %d\n", action, moment);
            assert_int_equal(faults_allocated(), before);
        }
    }
}

static void what_is_over_cannot_be_named(void **state)
{
    begin();
    for (int i = 0; i < MOST_ROUNDS && !is_settled(); i++)
        turn();
    for (int i = 0; i < scene.started; i++) {
        httpclient_cancel(scene.client, scene.ids[i]);
        httpclient_pause(scene.client, scene.ids[i]);
        httpclient_resume(scene.client, scene.ids[i]);
    }
    int before = scene.succeeded;
    uint64_t next = try_fetch("/next", (struct httpclient_request){ 0 });
    for (int i = 0; i + 1 < scene.started; i++) {
        assert_true(scene.ids[i] != next);
        httpclient_cancel(scene.client, scene.ids[i]); /* its slot may be that of the next */
    }
    httpclient_cancel(scene.client, 0);
    httpclient_cancel(scene.client, UINT64_MAX);
    for (int i = 0; i < MOST_ROUNDS && !is_settled(); i++)
        turn();
    assert_int_equal(scene.succeeded, before + 1);
    end();
}

static void a_client_that_closes_accepts_nothing(void **state)
{
    begin();
    scene.client_closing = true;
    httpclient_close(scene.client);
    httpclient_close(scene.client);
    assert_int_equal(try_fetch("/more", (struct httpclient_request){ 0 }), 0);
    assert_int_equal(errno, EBADF);
    assert_int_equal(httpclient_connections(scene.client), 0);
    assert_int_equal(scene.closed, 0);
    end();
}

static void the_loop_has_a_client_of_its_own(void **state)
{
    struct ioloop *loop = ioloop_new(&(struct ioloop_options){ .make_current = IOLOOP_CURRENT_NEVER });
    struct ioloop *other = ioloop_new(&(struct ioloop_options){ .make_current = IOLOOP_CURRENT_NEVER });
    struct httpclient *client = httpclient_current(loop); /* simple_httpclient_test:test_singleton */

    assert_non_null(client);
    assert_ptr_equal(httpclient_current(loop), client);
    assert_ptr_equal(httpclient_loop(client), loop);
    assert_ptr_not_equal(httpclient_current(other), client);
    struct httpclient *forced = httpclient_new(loop, NULL);
    assert_ptr_not_equal(forced, client);
    assert_ptr_equal(httpclient_current(loop), client);
    httpclient_close(client);
    client = httpclient_current(loop); /* another one */
    assert_non_null(client);
    assert_ptr_equal(httpclient_current(loop), client);
    ioloop_close(loop, false);
    ioloop_close(other, false);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(anything_may_be_done_in_any_callback), cmocka_unit_test(anything_may_be_done_at_any_moment),
    cmocka_unit_test(what_is_over_cannot_be_named),         cmocka_unit_test(a_client_that_closes_accepts_nothing),
    cmocka_unit_test(the_loop_has_a_client_of_its_own),
};

TESTING_MAIN(tests)
