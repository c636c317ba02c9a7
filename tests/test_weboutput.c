/* What a handler says and what the client gets: status, headers, body, redirects. Pieces are in
 * test_webanswer_flush.c, what is wrong with their framing in test_webanswer_framing.c, entity tags in
 * test_webanswer_etag.c, error pages in test_weberror.c. */
#include "httpserver/web.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/testing.h"
#include "tests/support/webscene.h"

/* The handler of this test; the scene has one route, and any method. */
static web_fn *act;

static void do_act(struct web_request *request)
{
    act(request);
}

static const struct web_method any_method[] = { { "*", do_act }, { NULL, NULL } };
static const struct web_handler acts = { .others = any_method };
static const struct web_route routes[] = { { .pattern = "/", .handler = &acts }, { 0 } };

static void open_scene(struct webscene *scene, web_fn *function)
{
    act = function;
    webscene_open(scene, routes, NULL);
}

static void expect_once(web_fn *function, const char *request, int status, const char *body)
{
    struct webscene scene;

    open_scene(&scene, function);
    webscene_expect(&scene, request, NULL, NULL, status, body);
    webscene_close(&scene);
}

/* Headers. */

static void write_nothing(struct web_request *request)
{
}

/* web_test:test_date_header, web_test:test_no_gzip */
static void an_answer_has_the_usual_headers(void **state)
{
    struct webscene scene;

    open_scene(&scene, write_nothing);
    webscene_expect(&scene, "GET /", "Accept-Encoding: gzip\r\n", NULL, 200, "");
    webscene_expect_header(&scene, "Content-Type", "text/html; charset=UTF-8");
    webscene_expect_header(&scene, "Content-Length", "0");
    webscene_expect_header(&scene, "Content-Encoding", NULL);
    webscene_expect_header(&scene, "Vary", NULL);
    assert_non_null(webscene_header(&scene, "Date"));
    assert_non_null(webscene_header(&scene, "Server"));
    webscene_close(&scene);
}

/* web_test:test_multi_header */
static void set_several_headers(struct web_request *request)
{
    assert_int_equal(web_set_header(request, "x-overwrite", "1"), 0);
    assert_int_equal(web_set_header(request, "X-Overwrite", "2"), 0);
    assert_int_equal(web_add_header(request, "x-multi", "3"), 0);
    assert_int_equal(web_add_header(request, "X-Multi", "4"), 0);
    assert_string_equal(httpheaders_get(web_headers(request), "X-OVERWRITE"), "2");
}

static void set_replaces_and_add_adds(void **state)
{
    struct webscene scene;

    open_scene(&scene, set_several_headers);
    webscene_expect(&scene, "GET /", NULL, NULL, 200, "");
    webscene_expect_header(&scene, "X-Overwrite", "2");
    assert_null(webscene_header_at(&scene, "X-Overwrite", 1));
    assert_null(webscene_header(&scene, "x-overwrite"));
    webscene_expect_header(&scene, "x-multi", "3");
    webscene_expect_header(&scene, "X-Multi", "4");
    webscene_close(&scene);
}

/* web_test:test_clear_header */
static void clear_headers(struct web_request *request)
{
    assert_string_equal(httpheaders_get(web_headers(request), "Content-Type"), "text/html; charset=UTF-8");
    web_clear_header(request, "X-Nobody");
    web_set_header(request, "h1", "foo");
    web_set_header(request, "h2", "bar");
    web_clear_header(request, "H1");
    web_clear_header(request, "Content-Type");
}

static void headers_can_be_taken_back(void **state)
{
    struct webscene scene;

    open_scene(&scene, clear_headers);
    for (int i = 0; i < 2; i++) { /* the next request has them again */
        webscene_expect(&scene, "GET /", NULL, NULL, 200, "");
        webscene_expect_header(&scene, "h1", NULL);
        webscene_expect_header(&scene, "h2", "bar");
        webscene_expect_header(&scene, "Content-Type", NULL);
    }
    webscene_close(&scene);
}

/* web_test:test_header_injection, web_test:test_set_header */
static void set_odd_headers(struct web_request *request)
{
    static const struct {
        const char *name, *value;
        int error;
    } cases[] = {
        { "X-Foo", "foo\r\nX-Bar: baz", -EINVAL },
        { "X-Foo", "foo\nX-Bar: baz", -EINVAL },
        { "X-Foo", "foo\rbar", -EINVAL },
        { "X-Foo", "foo\x01", -EINVAL },
        { "X-Foo", "foo\x0b", -EINVAL },
        { "X-Foo", "foo\x7f", -EINVAL },
        { "X-Foo\r\nX-Bar", "foo", -EINVAL },
        { "X Foo", "foo", -EINVAL },
        { "X-Foo:", "foo", -EINVAL },
        { "", "foo", -EINVAL },
        { "X-Tab", "a\tb", 0 },
        { "X-Latin", "caf\xe9", 0 },
        { "X-Utf8", "caf\xc3\xa9", 0 },
        { "X-Number", "42", 0 },
        { "X-Empty", "", 0 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (web_set_header(request, cases[i].name, cases[i].value) != cases[i].error)
            fail_msg("%s: %s", cases[i].name, cases[i].value);
        if (cases[i].error < 0)
            assert_int_equal(web_add_header(request, cases[i].name, cases[i].value), cases[i].error);
    }
    assert_int_equal(web_set_header(request, "X-Null", NULL), -EINVAL);
    assert_int_equal(web_add_header(request, "X-Null", NULL), -EINVAL);
    assert_int_equal(web_write(request, NULL), -EINVAL);
}

static void a_header_that_could_be_two_is_not_set(void **state)
{
    struct webscene scene;

    open_scene(&scene, set_odd_headers);
    webscene_expect(&scene, "GET /", NULL, NULL, 200, "");
    webscene_expect_header(&scene, "X-Foo", NULL);
    webscene_expect_header(&scene, "X-Bar", NULL);
    webscene_expect_header(&scene, "X-Tab", "a\tb");
    webscene_expect_header(&scene, "X-Latin", "caf\xe9");
    webscene_expect_header(&scene, "X-Utf8", "caf\xc3\xa9");
    webscene_expect_header(&scene, "X-Empty", "");
    webscene_close(&scene);
}

static void add_many_headers(struct web_request *request)
{
    for (int i = 0; i < 200; i++)
        web_add_header(request, "X-Many", "1");
    web_write(request, "text");
}

static void too_many_headers_are_500(void **state)
{
    expect_once(add_many_headers, "GET /", 500, "");
}

/* Status. */

static int wanted_status;
static const char *wanted_reason;

static void set_wanted_status(struct web_request *request)
{
    assert_int_equal(web_get_status(request), 200);
    web_set_status(request, wanted_status, wanted_reason);
    assert_int_equal(web_get_status(request), wanted_status);
}

/* web_test:test_status, web_test:test_header_injection (StatusReasonTest), web_test:test_reason_xss */
static void a_reason_is_the_usual_one_or_what_was_given(void **state)
{
    static const struct {
        int status;
        const char *reason, *line;
    } cases[] = {
        { 304, NULL, "HTTP/1.1 304 Not Modified\r\n" },
        { 304, "Foo", "HTTP/1.1 304 Foo\r\n" },
        { 682, "Bar", "HTTP/1.1 682 Bar\r\n" },
        { 682, NULL, "HTTP/1.1 682 Unknown\r\n" },
        { 200, "a\r\nX-Injected: yes", "HTTP/1.1 200 Unknown\r\n" },
        { 200, "a\x01", "HTTP/1.1 200 Unknown\r\n" },
        { 200, "<script>alert(1)</script>", "HTTP/1.1 200 Unknown\r\n" },
        { 200, "d\xc3\xa9j\xc3\xa0 vu", "HTTP/1.1 200 d\xc3\xa9j\xc3\xa0 vu\r\n" },
        { 200, "a\tb", "HTTP/1.1 200 a\tb\r\n" },
        { 201, "", "HTTP/1.1 201 Created\r\n" },
        { 600, "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
          "HTTP/1.1 600 Unknown\r\n" },
        { 99, NULL, "HTTP/1.1 500 Internal Server Error\r\n" },
        { 101, NULL, "HTTP/1.1 500 Internal Server Error\r\n" },
        { 1000, NULL, "HTTP/1.1 500 Internal Server Error\r\n" },
    };
    struct webscene scene;

    open_scene(&scene, set_wanted_status);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wanted_status = cases[i].status;
        wanted_reason = cases[i].reason;
        webscene_ask(&scene, "GET /", NULL, NULL);
        if (strncmp(scene.text, cases[i].line, strlen(cases[i].line)) != 0)
            fail_msg("%s: %s", cases[i].line, scene.text);
        webscene_expect_header(&scene, "X-Injected", NULL);
    }
    webscene_close(&scene);
}

static void clear_everything(struct web_request *request)
{
    web_set_status(request, 404, "Reason");
    web_set_header(request, "X-Gone", "1");
    web_write(request, "gone");
    web_clear(request);
    web_write(request, "stays");
}

static void set_usual_header(struct web_request *request)
{
    web_set_header(request, "X-Usual", "1");
}

/* But the headers that each answer of the handler has. */
static void clear_forgets_everything(void **state)
{
    static const struct web_handler handler = { .get = clear_everything, .set_default_headers = set_usual_header };
    static const struct web_route only[] = { { .pattern = "/", .handler = &handler }, { 0 } };
    struct webscene scene;

    webscene_open(&scene, only, NULL);
    webscene_expect(&scene, "GET /", NULL, NULL, 200, "stays");
    assert_memory_equal(scene.text, "HTTP/1.1 200 OK\r\n", 17);
    webscene_expect_header(&scene, "X-Gone", NULL);
    webscene_expect_header(&scene, "X-Usual", "1");
    webscene_close(&scene);
}

/* Bodies. */

static void write_in_all_ways(struct web_request *request)
{
    assert_int_equal(web_write(request, "a"), 0);
    assert_int_equal(web_write_bytes(request, "b\0c", 3), 0);
    assert_int_equal(web_write_bytes(request, NULL, 0), 0);
    assert_int_equal(web_printf(request, "-%s-%d", "text", 42), 0);
    assert_int_equal(web_printf(request, "%s", ""), 0);
    assert_int_equal(web_printf(request, "%0700d", 1), 0);
}

static void what_is_written_is_put_together(void **state)
{
    struct webscene scene;

    open_scene(&scene, write_in_all_ways);
    webscene_expect(&scene, "GET /", NULL, NULL, 200, NULL);
    webscene_expect_header(&scene, "Content-Length", "712");
    const char *body = strstr(scene.text, "\r\n\r\n") + 4;
    assert_memory_equal(body, "ab\0c-text-42000", 15);
    assert_int_equal(body[711], '1');
    webscene_close(&scene);
}

static void write_much(struct web_request *request)
{
    for (int i = 0; i < 20000; i++)
        web_write(request, "0123456789");
}

static void a_long_body_goes_out_whole(void **state)
{
    struct webscene scene;

    open_scene(&scene, write_much);
    webscene_expect(&scene, "GET /", NULL, NULL, 200, NULL);
    assert_int_equal(strlen(scene.body), 200000);
    webscene_expect(&scene, "GET /", NULL, NULL, 200, NULL);
    webscene_close(&scene);
}

static void write_some_json(struct web_request *request)
{
    assert_int_equal(web_write_json(request, "{\"a\":1}"), 0);
}

static void json_has_its_type(void **state)
{
    struct webscene scene;

    open_scene(&scene, write_some_json);
    webscene_expect(&scene, "GET /", NULL, NULL, 200, "{\"a\":1}");
    webscene_expect_header(&scene, "Content-Type", "application/json; charset=UTF-8");
    webscene_close(&scene);
}

static void write_hello(struct web_request *request)
{
    web_write(request, "hello");
}

static void the_answer_to_head_has_the_length_and_no_body(void **state)
{
    struct webscene scene;

    open_scene(&scene, write_hello);
    webscene_expect(&scene, "HEAD /", NULL, NULL, 200, "");
    webscene_expect_header(&scene, "Content-Length", "5");
    webscene_close(&scene);
}

static void set_204(struct web_request *request)
{
    web_set_status(request, 204, NULL);
    web_write(request, strcmp(httprequest_method(web_http(request)), "POST") == 0 ? "what should not be" : "");
}

/* web_test:test_204_headers */
static void a_204_has_no_body_and_does_not_speak_of_one(void **state)
{
    struct webscene scene;

    open_scene(&scene, set_204);
    for (int i = 0; i < 2; i++) {
        webscene_expect(&scene, i == 0 ? "GET /" : "POST /", NULL, NULL, 204, "");
        webscene_expect_header(&scene, "Content-Length", NULL);
        webscene_expect_header(&scene, "Transfer-Encoding", NULL);
        webscene_expect_header(&scene, "Content-Type", NULL);
    }
    webscene_close(&scene);
}

static void write_with_language(struct web_request *request)
{
    web_set_header(request, "Content-Language", "en_US");
    web_write(request, "hello");
}

/* web_test:test_304_headers */
static void a_304_does_not_speak_of_a_body(void **state)
{
    char header[128];
    struct webscene scene;

    open_scene(&scene, write_with_language);
    webscene_expect(&scene, "GET /", NULL, NULL, 200, "hello");
    webscene_expect_header(&scene, "Content-Length", "5");
    webscene_expect_header(&scene, "Content-Language", "en_US");
    snprintf(header, sizeof header, "If-None-Match: %s\r\n", webscene_header(&scene, "Etag"));
    webscene_expect(&scene, "GET /", header, NULL, 304, "");
    webscene_expect_header(&scene, "Content-Length", NULL);
    webscene_expect_header(&scene, "Content-Language", NULL);
    webscene_expect_header(&scene, "Content-Type", NULL);
    webscene_expect_header(&scene, "Transfer-Encoding", NULL);
    assert_non_null(webscene_header(&scene, "Etag"));
    webscene_close(&scene);
}

/* Redirects. */

static const char *location;
static int redirect_status, redirect_error;

static void redirect(struct web_request *request)
{
    web_write(request, "what was there");
    redirect_error = redirect_status == 0   ? web_redirect(request, location, false)
                     : redirect_status == 1 ? web_redirect(request, location, true)
                                            : web_redirect_with_status(request, location, redirect_status);
    assert_true(web_finished(request));
    assert_int_equal(web_redirect(request, "/other", false), -EPIPE);
}

/* web_test:test_redirect */
static void a_redirect_says_where(void **state)
{
    static const struct {
        const char *location;
        int status, expected;
    } cases[] = {
        { "/", 0, 302 },
        { "/", 1, 301 },
        { "/", 307, 307 },
        { "http://example.org/\xc3\xa9?a b", 0, 302 },
        { "//example.org/", 0, 302 },
        { "/a\r\nX-Injected: yes", 0, 500 },
        { "/a\nb", 1, 500 },
        { "/\t/example.org", 0, 500 }, /* which browsers take for "//example.org" */
        { "/", 200, 500 },
        { "/", 299, 500 },
        { "/", 399, 399 },
        { "/", 400, 500 },
    };
    struct webscene scene;

    open_scene(&scene, redirect);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        location = cases[i].location;
        redirect_status = cases[i].status;
        webscene_expect(&scene, "GET /", NULL, NULL, cases[i].expected, NULL);
        assert_int_equal(redirect_error, cases[i].expected == 500 ? -EINVAL : 0);
        webscene_expect_header(&scene, "Location", cases[i].expected == 500 ? NULL : location);
        webscene_expect_header(&scene, "X-Injected", NULL);
    }
    webscene_close(&scene);
}

/* The end. */

static void finish_early(struct web_request *request)
{
    web_set_status(request, 201, NULL);
    web_write(request, "final");
    web_finish(request);
    web_set_status(request, 500, NULL);
    assert_int_equal(web_set_header(request, "X", "y"), -EPIPE);
    assert_int_equal(web_printf(request, "late"), -EPIPE);
    assert_int_equal(web_write_json(request, "{}"), -EPIPE);
    assert_int_equal(web_flush(request, NULL, NULL), -EPIPE);
    assert_int_equal(web_set_cookie(request, "a", "b", NULL), -EPIPE);
    assert_null(web_detach(request));
    assert_int_equal(errno, EPIPE);
    web_clear(request);
    web_clear_header(request, "Content-Type");
    web_send_error(request, 500);
    web_abort(request);
    assert_non_null(httprequest_target(web_http(request))); /* until the handler returns */
}

/* web_test:test_finish_exception */
static void nothing_changes_what_is_finished(void **state)
{
    struct webscene scene;

    open_scene(&scene, finish_early);
    webscene_expect(&scene, "GET /", NULL, NULL, 201, "final");
    webscene_expect_header(&scene, "Content-Type", "text/html; charset=UTF-8");
    webscene_close(&scene);
}

static void note_log(struct web_request *request, int status, double seconds)
{
    char line[128];

    assert_true(seconds >= 0);
    snprintf(line, sizeof line, "%d:%s:%s", status, httprequest_method(web_http(request)),
             httprequest_target(web_http(request)));
    webscene_note(line);
    assert_int_equal(web_write(request, "too late"), -EPIPE);
    web_send_error(request, 500);
}

static void note_finish(struct web_request *request)
{
    webscene_note("on_finish");
}

static void set_no_status(struct web_request *request)
{
    web_set_status(request, 1, NULL);
}

static void write_in_pieces(struct web_request *request)
{
    web_write(request, "one");
    assert_int_equal(web_flush(request, NULL, NULL), 0);
    web_write(request, "two");
}

/* web_test:test_buggy_log_exception, web_test:test_known_error: the log of a program's own changes no answer. */
static void the_log_comes_before_on_finish(void **state)
{
    static const struct web_handler handler = { .others = any_method, .on_finish = note_finish };
    static const struct web_route own[] = { { .pattern = "/", .handler = &handler }, { 0 } };
    struct webscene scene;

    act = write_hello;
    webscene_open(&scene, own, &(struct web_settings){ .log_function = note_log });
    webscene_expect(&scene, "GET /", NULL, NULL, 200, "hello");
    webscene_expect_header(&scene, "Content-Length", "5");
    webscene_expect_notes("200:GET:/ on_finish ");
    webscene_expect(&scene, "HEAD /", NULL, NULL, 200, "");
    webscene_expect_header(&scene, "Content-Length", "5");
    webscene_expect_notes("200:HEAD:/ on_finish ");
    webscene_expect(&scene, "GET /nowhere?a", NULL, NULL, 404, NULL);
    webscene_expect_notes("404:GET:/nowhere?a ");
    act = set_204;
    webscene_expect(&scene, "GET /", NULL, NULL, 204, "");
    webscene_expect_header(&scene, "Content-Length", NULL);
    act = set_no_status;
    webscene_expect(&scene, "GET /", NULL, NULL, 500, NULL);
    act = write_in_pieces;
    webscene_expect(&scene, "GET /", NULL, NULL, 200, "onetwo");
    webscene_expect_notes("204:GET:/ on_finish 500:GET:/ on_finish 200:GET:/ on_finish ");
    assert_int_equal(testing_logs("GET"), 0);
    webscene_close(&scene);
}

static struct web_request *waiting;

static void wait_for_test(struct web_request *request)
{
    waiting = request;
}

/* A client of whom all is gone; one that only stopped sending may read what was sent. */
static void the_log_tells_of_an_answer_that_nobody_got(void **state)
{
    static const struct {
        bool resets;
        bool flushes;
        const char *notes;
    } cases[] = {
        { true, false, "0:GET:/ " },
        { true, true, "200:GET:/ " },
        { false, false, "200:GET:/ " },
    };
    static const struct web_handler handler = { .get = wait_for_test, .asynchronous = true };
    static const struct web_route own[] = { { .pattern = "/", .handler = &handler }, { 0 } };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct webscene scene;

        webscene_open(&scene, own, &(struct web_settings){ .log_function = note_log });
        struct httpscene_client *client = httpscene_connect(&scene.http);
        httpscene_put(&scene.http, client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        httpscene_settle(&scene.http);
        if (cases[i].flushes)
            assert_int_equal(web_flush(waiting, NULL, NULL), 0);
        if (cases[i].resets)
            httpscene_reset(client);
        else
            httpscene_finish(client);
        httpscene_settle(&scene.http);
        web_write(waiting, "text");
        assert_int_equal(web_finish(waiting), cases[i].resets ? -EBADF : 0);
        webscene_expect_notes(cases[i].notes);
        webscene_close(&scene);
    }
}

/* Leaving HTTP. */

static void upgrade(struct web_request *request)
{
    struct iostream *stream = web_detach(request);

    assert_non_null(stream);
    assert_null(web_http(request));
    assert_true(web_finished(request));
    assert_int_equal(web_write(request, "no"), -EPIPE);
    assert_int_equal(iostream_write(stream, "raw bytes", 9, NULL, NULL), 0);
    iostream_close(stream);
}

static void note_detached_end(struct web_request *request)
{
    assert_null(web_http(request));
    webscene_note("on_finish");
}

static void a_handler_can_detach_the_stream(void **state)
{
    static const struct web_handler handler = { .others = any_method, .on_finish = note_detached_end };
    static const struct web_route own[] = { { .pattern = "/", .handler = &handler }, { 0 } };
    struct webscene scene;

    act = upgrade;
    webscene_open(&scene, own, NULL);
    webscene_ask(&scene, "GET /", NULL, NULL);
    assert_string_equal(scene.text, "raw bytes");
    webscene_expect_notes("on_finish ");
    webscene_close(&scene);
}

static void detach_too_late(struct web_request *request)
{
    web_flush(request, NULL, NULL);
    assert_null(web_detach(request));
    assert_int_equal(errno, EALREADY);
    web_write(request, "goes on");
}

static void the_stream_cannot_be_detached_behind_the_head(void **state)
{
    expect_once(detach_too_late, "GET /", 200, "goes on");
}

/* Text from elsewhere. */

static void write_text(struct web_request *request)
{
    assert_int_equal(web_write(request, "<p>"), 0);
    assert_int_equal(web_write_html_text(request, "<b>&\"'\xc3\xa4</b>"), 0);
    assert_int_equal(web_write_html_text(request, ""), 0);
    assert_int_equal(web_write_html_text(request, NULL), -EINVAL);
    assert_int_equal(web_write(request, "</p>"), 0);
}

static void write_strings(struct web_request *request)
{
    assert_int_equal(web_write_json_string(request, "a\"b\\\n</script>\xff"), 0);
    assert_int_equal(web_write_json_string(request, ""), 0);
    assert_int_equal(web_write_json_string(request, NULL), -EINVAL);
    web_finish(request);
    assert_int_equal(web_write_json_string(request, "x"), -EPIPE);
    assert_int_equal(web_write_html_text(request, "x"), -EPIPE);
}

static void text_becomes_no_markup_and_no_syntax(void **state)
{
    expect_once(write_text, "GET /", 200, "<p>&lt;b&gt;&amp;&quot;&#x27;\xc3\xa4&lt;/b&gt;</p>");
    expect_once(write_strings, "GET /", 200, "\"a\\\"b\\\\\\n<\\/script>\\ufffd\"\"\"");
}

static void say_reasons(struct web_request *request)
{
    assert_string_equal(web_get_reason(request), "OK");
    web_set_status(request, 404, NULL);
    assert_string_equal(web_get_reason(request), "Not Found");
    web_set_status(request, 299, NULL);
    assert_string_equal(web_get_reason(request), "Unknown");
    web_set_status(request, 200, "Fine");
    web_write(request, web_get_reason(request));
}

static void the_reason_can_be_asked_for(void **state)
{
    expect_once(say_reasons, "GET /", 200, "Fine");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_answer_has_the_usual_headers),
    cmocka_unit_test(set_replaces_and_add_adds),
    cmocka_unit_test(headers_can_be_taken_back),
    cmocka_unit_test(a_header_that_could_be_two_is_not_set),
    cmocka_unit_test(too_many_headers_are_500),
    cmocka_unit_test(a_reason_is_the_usual_one_or_what_was_given),
    cmocka_unit_test(clear_forgets_everything),
    cmocka_unit_test(what_is_written_is_put_together),
    cmocka_unit_test(a_long_body_goes_out_whole),
    cmocka_unit_test(json_has_its_type),
    cmocka_unit_test(the_answer_to_head_has_the_length_and_no_body),
    cmocka_unit_test(a_204_has_no_body_and_does_not_speak_of_one),
    cmocka_unit_test(a_304_does_not_speak_of_a_body),
    cmocka_unit_test(a_redirect_says_where),
    cmocka_unit_test(nothing_changes_what_is_finished),
    cmocka_unit_test(the_log_comes_before_on_finish),
    cmocka_unit_test(the_log_tells_of_an_answer_that_nobody_got),
    cmocka_unit_test(a_handler_can_detach_the_stream),
    cmocka_unit_test(the_stream_cannot_be_detached_behind_the_head),
    cmocka_unit_test(text_becomes_no_markup_and_no_syntax),
    cmocka_unit_test(the_reason_can_be_asked_for),
};

TESTING_MAIN(tests)
