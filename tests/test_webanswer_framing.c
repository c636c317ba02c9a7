/* What a handler may say about the framing of its answer, and what becomes of it when that is wrong. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "httpserver/web.h"
#include "tests/support/testing.h"
#include "tests/support/webscene.h"

/* The handler of this test. Whether somebody hears of the end changes nothing of what the client gets. */
static web_fn *act;

static void do_act(struct web_request *request)
{
    act(request);
}

static void hear_of_end(struct web_request *request)
{
    char status[16];

    snprintf(status, sizeof status, "%d", web_get_status(request));
    webscene_note(status);
}

static const struct web_method any_method[] = { { "*", do_act }, { NULL, NULL } };
static const struct web_handler acts = { .others = any_method };
static const struct web_handler acts_heard = { .others = any_method, .on_finish = hear_of_end };
static const struct web_route routes[] = { { .pattern = "/", .handler = &acts },
                                           { .pattern = "/heard", .handler = &acts_heard },
                                           { 0 } };

static void open_scene(struct webscene *scene, web_fn *function)
{
    act = function;
    webscene_open(scene, routes, NULL);
}

/* What is the server's. */

static void set_what_is_the_servers(struct web_request *request)
{
    static const char *const refused[][2] = {
        { "Transfer-Encoding", "identity" },
        { "transfer-encoding", "chunked" },
        { "Connection", "keep-alive" },
        { "connection", "Upgrade" },
        { "CONNECTION", "close, x" },
        { "Connection", "" },
        { "Connection", "clos" },
    };

    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        assert_int_equal(web_set_header(request, refused[i][0], refused[i][1]), -EINVAL);
        assert_int_equal(web_add_header(request, refused[i][0], refused[i][1]), -EINVAL);
        assert_null(httpheaders_get(web_headers(request), refused[i][0]));
    }
}

static void set_them_among_others(struct web_request *request)
{
    set_what_is_the_servers(request);
    assert_int_equal(web_set_header(request, "Connectiom", "keep-alive"), 0);
    set_what_is_the_servers(request);
    assert_int_equal(web_set_header(request, "Content-Length", "4"), 0);
    assert_int_equal(web_add_header(request, "content-length", "4"), -EINVAL);
    assert_int_equal(web_set_header(request, "Content-Length", "4"), 0);
    assert_int_equal(web_set_header(request, "Content-Type", "text/event-stream"), 0);
    web_write(request, "text");
}

static void set_them_and_flush(struct web_request *request)
{
    set_them_among_others(request);
    assert_int_equal(web_flush(request, NULL, NULL), 0);
}

static void the_framing_is_the_librarys(void **state)
{
    static web_fn *const functions[] = { set_them_among_others, set_them_and_flush };

    for (size_t i = 0; i < 2; i++) {
        struct webscene scene;

        open_scene(&scene, functions[i]);
        webscene_expect(&scene, "GET /", NULL, NULL, 200, "text");
        webscene_expect_header(&scene, "Content-Type", "text/event-stream");
        webscene_expect_header(&scene, "Connectiom", "keep-alive");
        webscene_expect_header(&scene, "Content-Length", "4");
        webscene_expect_header(&scene, "Transfer-Encoding", NULL);
        webscene_close(&scene);
    }
}

static void say_that_it_closes(struct web_request *request)
{
    assert_int_equal(web_set_header(request, "Connection", " Close "), 0);
    assert_int_equal(web_set_header(request, "X", "y"), 0);
    assert_int_equal(web_set_header(request, "Connection", "close\t "), 0);
}

static void a_connection_may_be_closed(void **state)
{
    struct webscene scene;

    open_scene(&scene, say_that_it_closes);
    struct httpscene_client *client = httpscene_connect(&scene.http);
    httpscene_put(&scene.http, client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    httpscene_expect_last(&scene.http, client, 200);
    webscene_close(&scene);
}

static void flush_no_status(struct web_request *request)
{
    web_set_status(request, 1000, NULL);
    web_write(request, "text");
    assert_int_equal(web_flush(request, NULL, NULL), -EINVAL);
    assert_int_equal(web_write(request, "more"), 0);
}

static void what_cannot_be_flushed_can_be_mended(struct web_request *request)
{
    flush_no_status(request);
    web_set_status(request, 200, NULL);
    assert_int_equal(web_flush(request, NULL, NULL), 0);
}

static void a_flush_that_is_refused_sends_nothing(void **state)
{
    struct webscene scene;

    open_scene(&scene, flush_no_status);
    webscene_expect(&scene, "GET /", NULL, NULL, 500, NULL);
    assert_int_equal(testing_logs("an answer cannot be sent: status 1000"), 1);
    act = what_cannot_be_flushed_can_be_mended;
    webscene_expect(&scene, "GET /", NULL, NULL, 200, "textmore");
    webscene_close(&scene);
}

/* Lengths of the handler's own. */

static void say_more(struct web_request *request)
{
    web_set_header(request, "Content-Length", "42");
    web_write(request, "ok");
}

static void say_less(struct web_request *request)
{
    web_set_header(request, "Content-Length", "2");
    web_write(request, "hello");
}

static void say_right(struct web_request *request)
{
    web_set_header(request, "Content-Length", "5");
    web_write(request, "hello");
}

static void say_more_and_flush(struct web_request *request)
{
    web_set_header(request, "Content-Length", "42");
    web_write(request, "ok");
    assert_int_equal(web_flush(request, NULL, NULL), 0);
}

static void say_less_and_flush(struct web_request *request)
{
    web_set_header(request, "Content-Length", "2");
    web_write(request, "ok");
    assert_int_equal(web_flush(request, NULL, NULL), 0);
    web_write(request, "more");
}

static void say_right_and_flush(struct web_request *request)
{
    web_set_header(request, "Content-Length", "6");
    web_write(request, "one");
    assert_int_equal(web_flush(request, NULL, NULL), 0);
    web_write(request, "two");
}

static void say_nonsense(struct web_request *request)
{
    web_set_header(request, "Content-Length", "1_0");
    web_write(request, "ok");
}

static void reset_with_a_text(struct web_request *request)
{
    web_set_status(request, 205, NULL);
    web_write(request, "text");
}

static void reset_with_a_length(struct web_request *request)
{
    reset_with_a_text(request);
    web_set_header(request, "Content-Length", "4");
}

/* web_test:test_content_length_too_high, web_test:test_content_length_too_low,
 * httpserver_test:test_invalid_output_content_length */
static void a_length_that_is_wrong_is_never_silent(void **state)
{
    static const struct {
        web_fn *function;
        int status;
        bool broken, logged;
        const char *body;
    } cases[] = {
        { say_right, 200, false, false, "hello" },
        { say_more, 500, false, true, NULL },
        { say_less, 500, false, true, NULL },
        { say_nonsense, 500, false, true, NULL },
        { say_more_and_flush, 200, true, true, NULL },
        { say_less_and_flush, 200, false, true, NULL },
        { say_right_and_flush, 200, false, false, "onetwo" },
        { reset_with_a_text, 205, false, false, "" },
        { reset_with_a_length, 500, false, true, NULL },
    };
    char note[16];

    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        struct webscene scene;

        open_scene(&scene, cases[i / 2].function);
        webscene_expect(&scene, i % 2 == 0 ? "GET /" : "GET /heard", NULL, NULL, cases[i / 2].status,
                        cases[i / 2].body);
        assert_true(scene.broken == cases[i / 2].broken);
        assert_int_equal(testing_logs("E ") > 0, cases[i / 2].logged);
        snprintf(note, sizeof note, "%d ", cases[i / 2].status);
        webscene_expect_notes(i % 2 == 0 ? "" : note);
        webscene_close(&scene);
    }
}

static void the_log_names_a_length_that_is_wrong(void **state)
{
    struct webscene scene;

    open_scene(&scene, say_more);
    webscene_expect(&scene, "GET /", NULL, NULL, 500, NULL);
    webscene_expect(&scene, "GET /heard", NULL, NULL, 500, NULL);
    assert_int_equal(testing_logs("status 200, Content-Length \"42\", a body of 2"), 2);
    webscene_close(&scene);
}

static void say_length_only(struct web_request *request)
{
    web_set_header(request, "Content-Length", "42");
}

static void the_answer_to_head_may_say_any_length(void **state)
{
    static const char *const requests[] = { "HEAD /", "HEAD /heard" };

    for (size_t i = 0; i < 2; i++) {
        struct webscene scene;

        open_scene(&scene, say_length_only);
        webscene_expect(&scene, requests[i], NULL, NULL, 200, "");
        webscene_expect_header(&scene, "Content-Length", "42");
        webscene_expect_header(&scene, "Etag", NULL); /* that of nothing would be wrong */
        webscene_close(&scene);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_framing_is_the_librarys),           cmocka_unit_test(a_connection_may_be_closed),
    cmocka_unit_test(a_flush_that_is_refused_sends_nothing), cmocka_unit_test(a_length_that_is_wrong_is_never_silent),
    cmocka_unit_test(the_log_names_a_length_that_is_wrong),  cmocka_unit_test(the_answer_to_head_may_say_any_length),
};

TESTING_MAIN(tests)
