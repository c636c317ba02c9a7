/* Bodies that go to the handler in pieces: Tornado's StreamingRequestBodyTest and the tests of its limits. */
#include "httpserver/web.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/testing.h"
#include "tests/support/webscene.h"

static struct web_request *streaming; /* the last one that prepare has seen */
static const char *acts_on = "";      /* a word that is noted, or a piece */
static web_fn *act;

static void note(struct web_request *request, const char *word)
{
    webscene_note(word);
    if (act != NULL && strcmp(word, acts_on) == 0)
        act(request);
}

static void note_prepare(struct web_request *request)
{
    streaming = request;
    note(request, "prepare");
}

static void note_data(struct web_request *request, const void *data, size_t length)
{
    char piece[64];

    assert_in_range(length, 1, sizeof piece - 1);
    memcpy(piece, data, length);
    piece[length] = '\0';
    note(request, piece);
}

static void note_post(struct web_request *request)
{
    note(request, "post");
    web_write(request, "all of it");
}

static void note_left(struct web_request *request)
{
    assert_non_null(web_http(request));
    note(request, "left");
}

static void note_finish(struct web_request *request)
{
    assert_true(web_finished(request));
    webscene_note("on_finish");
}

static const struct web_handler streams = { .post = note_post,
                                            .prepare = note_prepare,
                                            .data_received = note_data,
                                            .on_connection_close = note_left,
                                            .on_finish = note_finish };
static const struct web_handler streams_little = { .post = note_post, .data_received = note_data, .max_body = 4 };
static const struct web_handler collects_little = { .post = note_post, .max_body = 4, .lazy_form = true };
static const struct web_handler collects = { .post = note_post };
static const struct web_handler hurries = { .post = note_post, .body_timeout = 1 };
static const struct web_route routes[] = { { .pattern = "/", .handler = &streams },
                                           { .pattern = "/little", .handler = &streams_little },
                                           { .pattern = "/collects/little", .handler = &collects_little },
                                           { .pattern = "/collects", .handler = &collects },
                                           { .pattern = "/hurries", .handler = &hurries },
                                           { 0 } };

static void open_scene(struct webscene *scene)
{
    streaming = NULL;
    act = NULL;
    acts_on = "";
    webscene_open(scene, routes, NULL);
}

static struct httpscene_client *begin_upload(struct webscene *scene, const char *rest)
{
    struct httpscene_client *client = httpscene_connect(&scene->http);
    char text[256];

    snprintf(text, sizeof text, "POST / HTTP/1.1\r\nHost: a\r\n%s", rest);
    httpscene_put(&scene->http, client, text);
    httpscene_settle(&scene->http);
    return client;
}

static void put(struct webscene *scene, struct httpscene_client *client, const char *text)
{
    httpscene_put(&scene->http, client, text);
    httpscene_settle(&scene->http);
}

/* web_test:test_streaming_body, httpserver_test:test_regular_body, httpserver_test:test_chunked_body */
static void the_pieces_come_between_prepare_and_the_method(void **state)
{
    struct webscene scene;

    open_scene(&scene);
    struct httpscene_client *client = begin_upload(&scene, "Transfer-Encoding: chunked\r\n\r\n");
    webscene_expect_notes("prepare ");
    put(&scene, client, "4\r\nasdf\r\n");
    webscene_expect_notes("asdf ");
    put(&scene, client, "4\r\nqw");
    webscene_expect_notes("qw ");
    put(&scene, client, "er\r\n");
    webscene_expect_notes("er ");
    put(&scene, client, "0\r\n\r\n");
    webscene_expect_notes("post on_finish ");
    httpscene_expect(&scene.http, client, 200, "all of it");
    put(&scene, client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    webscene_expect_notes("prepare abc post on_finish ");
    httpscene_expect(&scene.http, client, 200, "all of it");
    put(&scene, client, "POST / HTTP/1.1\r\nHost: a\r\n\r\n");
    webscene_expect_notes("prepare post on_finish ");
    httpscene_expect(&scene.http, client, 200, "all of it");
    webscene_close(&scene);
}

static void a_method_that_is_not_there_needs_no_body(void **state)
{
    struct webscene scene;

    open_scene(&scene);
    struct httpscene_client *client = httpscene_connect(&scene.http);
    httpscene_put(&scene.http, client, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
    httpscene_expect_last(&scene.http, client, 405);
    webscene_expect_notes("prepare on_finish ");
    webscene_close(&scene);
}

static void answer_early(struct web_request *request)
{
    web_set_status(request, 401, NULL);
    web_write(request, "early");
    assert_int_equal(web_finish(request), 0);
}

static void refuse_early(struct web_request *request)
{
    web_send_error(request, 403);
}

/* web_test:test_early_return, web_test:test_early_return_with_data */
static void an_early_answer_ends_the_request_and_the_connection(void **state)
{
    static const struct {
        const char *acts_on, *rest, *notes;
        web_fn *act;
        int status;
    } cases[] = {
        { "prepare", "Content-Length: 1000\r\n\r\n", "prepare on_finish ", answer_early, 401 },
        { "prepare", "Content-Length: 1000\r\n\r\nsome", "prepare on_finish ", answer_early, 401 },
        { "prepare", "Content-Length: 1000\r\n\r\nsome", "prepare on_finish ", refuse_early, 403 },
        { "some", "Content-Length: 1000\r\n\r\nsome", "prepare some on_finish ", answer_early, 401 },
        { "some", "Content-Length: 1000\r\n\r\nsome", "prepare some on_finish ", refuse_early, 403 },
        { "some", "Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n3\r\nabc\r\n", "prepare some on_finish ",
          answer_early, 401 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct webscene scene;

        open_scene(&scene);
        acts_on = cases[i].acts_on;
        act = cases[i].act;
        struct httpscene_client *client = begin_upload(&scene, cases[i].rest);
        httpscene_expect_last(&scene.http, client, cases[i].status);
        webscene_expect_notes(cases[i].notes);
        webscene_close(&scene);
    }
}

/* web_test:test_close_during_upload */
static void a_client_that_leaves_during_its_body_ends_the_request(void **state)
{
    for (int i = 0; i < 4; i++) {
        struct webscene scene;

        open_scene(&scene);
        acts_on = "left";
        act = i < 2 ? NULL : answer_early; /* into the void */
        struct httpscene_client *client = begin_upload(&scene, "Content-Length: 1000\r\n\r\nsome");
        webscene_expect_notes("prepare some ");
        if (i % 2 == 0)
            httpscene_hang_up(client);
        else
            httpscene_reset(client);
        httpscene_settle(&scene.http);
        webscene_expect_notes("left on_finish ");
        webscene_close(&scene);
    }
}

static void note_log(struct web_request *request, int status, double seconds)
{
    char word[16];

    snprintf(word, sizeof word, "%d", status);
    webscene_note(word);
}

static void a_client_that_leaves_is_logged_without_a_status(void **state)
{
    struct webscene scene;

    act = NULL;
    webscene_open(&scene, routes, &(struct web_settings){ .log_function = note_log });
    struct httpscene_client *client = begin_upload(&scene, "Content-Length: 1000\r\n\r\nsome");
    httpscene_hang_up(client);
    httpscene_settle(&scene.http);
    webscene_expect_notes("prepare some left 0 on_finish ");
    webscene_close(&scene);
}

static void resume_at_once(struct web_request *request)
{
    web_pause(request);
    web_resume(request);
}

/* web_test:test_flow_control_fixed_body, web_test:test_flow_control_chunked_body */
static void a_pause_holds_pieces_and_method(void **state)
{
    static const struct {
        const char *head, *first, *rest;
    } cases[] = {
        { "Content-Length: 6\r\n\r\n", "abc", "def" },
        { "Transfer-Encoding: chunked\r\n\r\n", "3\r\nabc\r\n", "3\r\ndef\r\n0\r\n\r\n" },
    };

    for (size_t i = 0; i < 2; i++) {
        struct webscene scene;

        open_scene(&scene);
        act = web_pause;
        acts_on = "prepare";
        struct httpscene_client *client = begin_upload(&scene, cases[i].head);
        put(&scene, client, cases[i].first);
        webscene_expect_notes("prepare ");
        acts_on = "abc";
        web_resume(streaming);
        webscene_expect_notes(""); /* from the loop only */
        httpscene_settle(&scene.http);
        webscene_expect_notes("abc ");
        put(&scene, client, cases[i].rest);
        webscene_expect_notes("");
        acts_on = "def";
        web_resume(streaming);
        httpscene_settle(&scene.http);
        webscene_expect_notes("def ");
        httpscene_expect_nothing(&scene.http, client);
        web_resume(streaming);
        httpscene_settle(&scene.http);
        webscene_expect_notes("post on_finish ");
        httpscene_expect(&scene.http, client, 200, "all of it");
        webscene_close(&scene);
    }
}

static void a_resume_may_come_inside(void **state)
{
    static const char *const places[] = { "prepare", "abc", "post" };

    for (size_t i = 0; i < 3; i++) {
        struct webscene scene;

        open_scene(&scene);
        act = resume_at_once;
        acts_on = places[i];
        struct httpscene_client *client = begin_upload(&scene, "Content-Length: 3\r\n\r\nabc");
        webscene_expect_notes("prepare abc post on_finish ");
        httpscene_expect(&scene.http, client, 200, "all of it");
        webscene_close(&scene);
    }
}

static void a_paused_request_may_be_finished(void **state)
{
    struct webscene scene;

    open_scene(&scene);
    act = web_pause;
    acts_on = "abc";
    struct httpscene_client *client = begin_upload(&scene, "Content-Length: 6\r\n\r\nabc");
    web_send_error(streaming, 413);
    web_resume(streaming);
    httpscene_expect_last(&scene.http, client, 413);
    webscene_expect_notes("prepare abc on_finish ");
    webscene_close(&scene);
}

static void a_client_may_leave_while_it_is_paused(void **state)
{
    struct webscene scene;

    open_scene(&scene);
    act = web_pause;
    acts_on = "abc";
    struct httpscene_client *client = begin_upload(&scene, "Content-Length: 6\r\n\r\nabc");
    httpscene_reset(client);
    httpscene_settle(&scene.http);
    webscene_expect_notes("prepare abc left on_finish ");
    webscene_close(&scene);
}

static int own_arg;

static void set_arg(struct web_request *request)
{
    assert_null(httprequest_arg(web_http(request)));
    httprequest_set_arg(web_http(request), &own_arg);
}

static const struct web_route *set_arg_in_router(struct web_application *app, struct httprequest *request, void *arg)
{
    httprequest_set_arg(request, &own_arg);
    return NULL;
}

static void note_arg(struct web_request *request)
{
    assert_ptr_equal(httprequest_arg(web_http(request)), &own_arg);
    webscene_note("its arg");
}

static void the_arg_of_its_http_request_is_the_programs(void **state)
{
    static const char post[] = "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    static const struct web_handler collects_with_arg = { .post = note_arg };
    static const struct web_route own[] = { { .pattern = "/collects", .handler = &collects_with_arg },
                                            { .pattern = "/", .handler = &streams },
                                            { 0 } };
    char text[128];
    struct webscene scene;

    open_scene(&scene);
    acts_on = "prepare";
    act = set_arg;
    struct httpscene_client *client = begin_upload(&scene, "Content-Length: 3\r\n\r\n");
    act = note_arg;
    acts_on = "post";
    put(&scene, client, "abc");
    webscene_expect_notes("prepare abc post its arg on_finish ");
    httpscene_expect(&scene.http, client, 200, "all of it");
    webscene_close(&scene);
    webscene_open(&scene, own, &(struct web_settings){ .find_route = set_arg_in_router });
    for (int i = 0; i < 2; i++) {
        client = httpscene_connect(&scene.http);
        snprintf(text, sizeof text, post, own[i].pattern);
        httpscene_put(&scene.http, client, text);
        httpscene_expect(&scene.http, client, 200, i == 0 ? "" : "all of it");
        webscene_expect_notes(i == 0 ? "its arg " : "prepare abc post its arg on_finish ");
    }
    webscene_close(&scene);
}

/* Limits. */

/* httpserver_test:test_small_body, httpserver_test:test_large_body_buffered, httpserver_test:test_large_body_streaming,
 * httpserver_test:test_large_body_buffered_chunked, httpserver_test:test_large_body_streaming_chunked */
static void a_handler_has_its_own_max_body(void **state)
{
    static const struct {
        const char *target, *rest;
        int status;
    } cases[] = {
        { "/little", "Content-Length: 4\r\n\r\nabcd", 200 },
        { "/little", "Content-Length: 5\r\n\r\n", 413 },
        { "/little", "Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n", 200 },
        { "/little", "Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n1\r\n", 413 },
        { "/collects/little", "Content-Length: 4\r\n\r\nabcd", 200 },
        { "/collects/little", "Content-Length: 5\r\n\r\n", 413 },
        { "/collects/little", "Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n1\r\n", 413 },
        { "/collects", "Content-Length: 5\r\n\r\nabcde", 200 },
    };
    char text[256];
    struct webscene scene;

    open_scene(&scene);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct httpscene_client *client = httpscene_connect(&scene.http);

        snprintf(text, sizeof text, "POST %s HTTP/1.1\r\nHost: a\r\n%s", cases[i].target, cases[i].rest);
        httpscene_put(&scene.http, client, text);
        if (cases[i].status == 200)
            httpscene_expect(&scene.http, client, 200, "all of it");
        else
            httpscene_expect_last(&scene.http, client, 413);
        httpscene_hang_up(client);
    }
    webscene_close(&scene);
}

static void raise_limit(struct web_request *request)
{
    httprequest_set_max_body(web_http(request), 2 << 20);
}

/* httpserver_test:test_large_body_streaming_override, httpserver_test:test_large_body_streaming_chunked_override,
 * httpserver_test:test_body_size_override_reset */
static void prepare_may_raise_the_limit_for_this_request(void **state)
{
    static const char *const heads[] = { "Content-Length: 1048577\r\n\r\nabc",
                                         "Transfer-Encoding: chunked\r\n\r\n100001\r\nabc" };

    for (size_t i = 0; i < 2; i++) {
        struct webscene scene;

        open_scene(&scene);
        acts_on = "prepare";
        act = raise_limit;
        struct httpscene_client *client = begin_upload(&scene, heads[i]);
        webscene_expect_notes("prepare abc ");
        httpscene_hang_up(client);
        httpscene_settle(&scene.http);
        act = NULL;
        client = begin_upload(&scene, heads[i]);
        httpscene_expect_last(&scene.http, client, 413);
        webscene_close(&scene);
    }
}

/* httpserver_test:test_timeout */
static void a_handler_has_its_own_body_timeout(void **state)
{
    struct webscene scene;

    open_scene(&scene);
    struct httpscene_client *client = httpscene_connect(&scene.http);
    httpscene_put(&scene.http, client, "POST /hurries HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc");
    httpscene_expect_nothing(&scene.http, client);
    httpscene_pass(&scene.http, 3);
    httpscene_expect_last(&scene.http, client, 408);
    webscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_pieces_come_between_prepare_and_the_method),
    cmocka_unit_test(a_method_that_is_not_there_needs_no_body),
    cmocka_unit_test(an_early_answer_ends_the_request_and_the_connection),
    cmocka_unit_test(a_client_that_leaves_during_its_body_ends_the_request),
    cmocka_unit_test(a_client_that_leaves_is_logged_without_a_status),
    cmocka_unit_test(a_pause_holds_pieces_and_method),
    cmocka_unit_test(a_resume_may_come_inside),
    cmocka_unit_test(a_paused_request_may_be_finished),
    cmocka_unit_test(a_client_may_leave_while_it_is_paused),
    cmocka_unit_test(the_arg_of_its_http_request_is_the_programs),
    cmocka_unit_test(a_handler_has_its_own_max_body),
    cmocka_unit_test(prepare_may_raise_the_limit_for_this_request),
    cmocka_unit_test(a_handler_has_its_own_body_timeout),
};

TESTING_MAIN(tests)
