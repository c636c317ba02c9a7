/* Requests that end without an answer, and clients that have stopped sending, of which nobody knows whether they still
 * read. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "httpserver/web.h"
#include "tests/support/testing.h"
#include "tests/support/webscene.h"

static const char *acts_in; /* "prepare", "data", "post", "later" or "left" */
static web_fn *act;
static struct web_request *waiting;

static void act_in(struct web_request *request, const char *place)
{
    if (strcmp(acts_in, place) == 0)
        act(request);
}

static void prepare(struct web_request *request)
{
    waiting = request;
    act_in(request, "prepare");
}

static void take_data(struct web_request *request, const void *data, size_t length)
{
    act_in(request, "data");
}

static void post(struct web_request *request)
{
    act_in(request, "post");
}

static void left(struct web_request *request)
{
    webscene_note("left");
    act_in(request, "left");
}

static void note_end(struct web_request *request)
{
    assert_non_null(web_http(request));
    webscene_note("on_finish");
}

static void note_log(struct web_request *request, int status, double seconds)
{
    char word[16];

    snprintf(word, sizeof word, "%d", status);
    webscene_note(word);
}

static const struct web_handler collects = { .post = post, .prepare = prepare, .asynchronous = true };
static const struct web_handler collects_heard = {
    .post = post, .prepare = prepare, .on_connection_close = left, .on_finish = note_end, .asynchronous = true
};
static const struct web_handler streams = {
    .post = post, .prepare = prepare, .data_received = take_data, .on_finish = note_end, .asynchronous = true
};
static const struct web_route routes[] = { { .pattern = "/collects", .handler = &collects },
                                           { .pattern = "/heard", .handler = &collects_heard },
                                           { .pattern = "/streams", .handler = &streams },
                                           { 0 } };

static void open_scene(struct webscene *scene, const char *place, web_fn *function)
{
    acts_in = place;
    act = function;
    waiting = NULL;
    webscene_open(scene, routes, &(struct web_settings){ .log_function = note_log });
}

static struct httpscene_client *ask(struct webscene *scene, const char *target, const char *version)
{
    struct httpscene_client *client = httpscene_connect(&scene->http);
    char text[128];

    snprintf(text, sizeof text, "POST %s HTTP/%s\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", target, version);
    httpscene_put(&scene->http, client, text);
    httpscene_settle(&scene->http);
    assert_non_null(waiting);
    return client;
}

/* Giving up. */

static void give_up(struct web_request *request)
{
    web_write(request, "not this");
    web_abort(request);
    assert_true(web_finished(request));
    assert_int_equal(web_write(request, "nor this"), -EPIPE);
    assert_int_equal(web_finish(request), -EPIPE);
    web_abort(request);
}

static void give_up_the_rest(struct web_request *request)
{
    web_write(request, "some");
    assert_int_equal(web_flush(request, NULL, NULL), 0);
    give_up(request);
}

static void a_request_may_be_given_up_at_any_time(void **state)
{
    static const char *const places[] = { "prepare", "data", "post", "later" };
    static const char *const targets[] = { "/collects", "/heard", "/streams" };

    for (size_t i = 0; i < 24; i++) {
        const char *place = places[i / 3 % 4], *target = targets[i % 3];
        bool flushes = i >= 12;
        struct webscene scene;

        if (strcmp(place, "data") == 0 && i % 3 < 2)
            continue;
        open_scene(&scene, place, flushes ? give_up_the_rest : give_up);
        struct httpscene_client *client = ask(&scene, target, "1.1");
        act_in(waiting, "later");
        assert_int_equal(webscene_read(&scene, client, "POST"), flushes ? 200 : 0);
        assert_true(scene.broken);
        assert_string_equal(scene.body, flushes ? "some" : "");
        webscene_expect_notes(i % 3 > 0 ? flushes ? "200 on_finish " : "0 on_finish " : flushes ? "200 " : "0 ");
        webscene_close(&scene);
    }
}

static void what_lasts_until_the_end_is_given_up_by_a_reset(void **state)
{
    struct webscene scene;

    open_scene(&scene, "later", give_up_the_rest);
    struct httpscene_client *client = ask(&scene, "/heard", "1.0");
    act_in(waiting, "later");
    httpscene_settle(&scene.http);
    (void)httpscene_take(client, 4096);
    assert_int_equal(client->error, ECONNRESET);
    webscene_expect_notes("200 on_finish ");
    webscene_close(&scene);
}

static void one_whose_client_has_left_can_be_given_up(void **state)
{
    struct webscene scene;

    open_scene(&scene, "later", give_up);
    struct httpscene_client *client = ask(&scene, "/heard", "1.1");
    httpscene_reset(client);
    httpscene_settle(&scene.http);
    webscene_expect_notes("left ");
    act_in(waiting, "later");
    webscene_expect_notes("0 on_finish ");
    webscene_close(&scene);
}

/* Clients that have stopped sending. */

static void finish(struct web_request *request)
{
    (void)!web_finish(request);
}

static void finish_with_text(struct web_request *request)
{
    web_write(request, "text");
    (void)!web_finish(request);
}

static void flush_some(struct web_request *request)
{
    web_write(request, "some");
    assert_int_equal(web_flush(request, NULL, NULL), 0);
}

/* It would take the end of the request for that of the answer. */
static void what_ends_when_a_client_seems_to_have_left_is_given_up(void **state)
{
    static const struct {
        web_fn *before, *in_callback;
        int status;
        const char *notes;
    } cases[] = {
        { NULL, finish, 0, "left 0 on_finish " },
        { NULL, finish_with_text, 0, "left 0 on_finish " },
        { NULL, web_abort, 0, "left 0 on_finish " },
        { flush_some, finish, 200, "left 200 on_finish " },
        { flush_some, web_abort, 200, "left 200 on_finish " },
    };

    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        struct webscene scene;

        open_scene(&scene, "left", cases[i / 2].in_callback);
        struct httpscene_client *client = ask(&scene, "/heard", "1.1");
        if (cases[i / 2].before != NULL)
            cases[i / 2].before(waiting);
        if (i % 2 == 0)
            httpscene_finish(client);
        else
            httpscene_reset(client);
        httpscene_settle(&scene.http);
        webscene_expect_notes(cases[i / 2].notes);
        if (i % 2 == 0) {
            assert_int_equal(webscene_read(&scene, client, "POST"), cases[i / 2].status);
            assert_true(scene.broken);
        }
        webscene_close(&scene);
    }
}

static void a_client_that_has_stopped_sending_can_be_answered_later(void **state)
{
    static const char *const targets[] = { "/collects", "/heard" };

    for (size_t i = 0; i < 2; i++) {
        struct webscene scene;

        open_scene(&scene, "later", finish_with_text);
        struct httpscene_client *client = ask(&scene, targets[i], "1.1");
        httpscene_finish(client);
        httpscene_settle(&scene.http);
        webscene_expect_notes(i == 0 ? "" : "left ");
        act_in(waiting, "later");
        httpscene_expect(&scene.http, client, 200, "text");
        webscene_expect_notes(i == 0 ? "200 " : "200 on_finish ");
        webscene_close(&scene);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_request_may_be_given_up_at_any_time),
    cmocka_unit_test(what_lasts_until_the_end_is_given_up_by_a_reset),
    cmocka_unit_test(one_whose_client_has_left_can_be_given_up),
    cmocka_unit_test(what_ends_when_a_client_seems_to_have_left_is_given_up),
    cmocka_unit_test(a_client_that_has_stopped_sending_can_be_answered_later),
};

TESTING_MAIN(tests)
