/* Who waits for 100 (Continue) and is refused by what the head says: at once, and no body is asked for. */
#include "httpserver/web.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/faults.h"
#include "tests/support/httptexts.h"
#include "tests/support/testing.h"
#include "tests/support/webscene.h"

#define EXPECTS(request)  request " HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
#define CHUNKS(request)   request " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-Continue\r\n\r\n"
#define TO_KNOWN(request) request " HTTP/1.1\r\nHost: Known:80\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"

static void note_initialize(struct web_request *request)
{
    webscene_note("initialize");
}

static void note_defaults(struct web_request *request)
{
    webscene_note("defaults");
}

static void note_prepare(struct web_request *request)
{
    size_t length;

    (void)httprequest_body(web_http(request), &length);
    webscene_note(length == 5 ? "prepare" : "prepare_early");
}

static void note_get(struct web_request *request)
{
    webscene_note("get");
    web_write(request, "got");
}

static void note_post(struct web_request *request)
{
    size_t length;
    const char *body = httprequest_body(web_http(request), &length);

    webscene_note("post");
    web_write_bytes(request, body, length);
}

static void note_data(struct web_request *request, const void *data, size_t length)
{
    webscene_note("data");
}

static void note_error(struct web_request *request, int status)
{
    webscene_note("error");
    web_printf(request, "oh %d", status);
}

/* Its page goes out by and by. */
static void note_is_flushed(struct web_request *request, int error, void *arg)
{
    assert_int_equal(error, 0);
    webscene_note("flushed");
}

static void flush_error(struct web_request *request, int status)
{
    web_write(request, "oh ");
    assert_int_equal(web_flush(request, note_is_flushed, NULL), 0);
    web_printf(request, "%d", status);
}

static void note_finish(struct web_request *request)
{
    webscene_note("on_finish");
}

static void finish_early(struct web_request *request)
{
    web_set_status(request, 402, NULL);
    assert_int_equal(web_finish(request), 0);
    webscene_note("finished");
}

static void note_log(struct web_request *request, int status, double seconds)
{
    char word[16];

    snprintf(word, sizeof word, "log_%d", status);
    webscene_note(word);
}

static void serve_otherwise(struct httprequest *request, void *arg)
{
    (void)httprequest_reply(request, 203, NULL, "hello", 5);
}

static const struct web_handler gets = { .get = note_get };
static const struct web_handler posts = { .post = note_post };
static const struct web_handler tells = { .get = note_get,
                                          .initialize = note_initialize,
                                          .set_default_headers = note_defaults,
                                          .write_error = note_error,
                                          .on_finish = note_finish,
                                          .size = 8 };
static const struct web_handler finishes = { .initialize = finish_early, .on_finish = note_finish };
static const struct web_handler flushes = { .write_error = flush_error, .on_finish = note_finish };
static const struct web_handler prepares = { .get = note_get, .prepare = note_prepare };
static const struct web_handler streams = { .get = note_get, .prepare = note_prepare, .data_received = note_data };
static const struct web_handler has_little = { .post = note_post, .max_body = 4 };
static const struct web_error gone = { 410 };
static const struct web_fallback otherwise = { serve_otherwise, NULL };

static struct web_fallback to_behind = { web_application_serve, NULL };

static const struct web_route routes[] = {
    { .pattern = "/gets", .handler = &gets },
    { .pattern = "/posts", .handler = &posts },
    { .pattern = "/posts/(.*)", .handler = &posts },
    { .pattern = "/gone", .handler = &web_error_handler, .arg = &gone },
    { .pattern = "/tells", .handler = &tells },
    { .pattern = "/finishes", .handler = &finishes },
    { .pattern = "/flushes", .handler = &flushes },
    { .pattern = "/prepares(/.*)?", .handler = &prepares },
    { .pattern = "/otherwise/(.*)", .handler = &web_fallback_handler, .arg = &otherwise },
    { .pattern = "/behind/.*", .handler = &web_fallback_handler, .arg = &to_behind },
    { .pattern = "/moved", .handler = &web_redirect_handler, .arg = &(struct web_redirection){ .url = "/posts" } },
    { 0 }
};

/* None of these wants to know of a body, and so an application of no others looks at no head. */
static const struct web_route few[] = { { .pattern = "/gets", .handler = &gets },
                                        { .pattern = "/posts", .handler = &posts },
                                        { 0 } };
static const struct web_route streaming[] = { { .pattern = "/streams", .handler = &streams },
                                              { .pattern = "/little", .handler = &has_little },
                                              { 0 } };
static const struct web_route known[] = { { .pattern = "/known", .handler = &posts }, { 0 } };

static void open_scene(struct webscene *scene, const struct web_route *table)
{
    webscene_open(scene, table, &(struct web_settings){ .log_function = note_log });
    assert_int_equal(web_application_add_routes(scene->app, "known", known), 0);
}

static struct httpscene_client *put(struct webscene *scene, const char *text)
{
    struct httpscene_client *client = httpscene_connect(&scene->http);

    httpscene_put(&scene->http, client, text);
    httpscene_settle(&scene->http);
    return client;
}

static void expect_refused(struct webscene *scene, const char *text, int status, const char *notes)
{
    struct httpscene_client *client = put(scene, text);

    httpscene_expect_last(&scene->http, client, status);
    webscene_expect_notes(notes);
    httpscene_hang_up(client);
}

/* Behind the body it gets this. */
static void expect_asked(struct webscene *scene, const char *text, int status, const char *body, const char *notes)
{
    struct httpscene_client *client = put(scene, text);

    webscene_expect_notes("");
    httpscene_expect_text(&scene->http, client, GO_AHEAD);
    httpscene_put(&scene->http, client, "hello");
    if (body != NULL)
        httpscene_expect(&scene->http, client, status, body);
    else
        assert_int_equal(httpscene_next(&scene->http, client, false).status, status);
    webscene_expect_notes(notes);
    httpscene_hang_up(client);
}

static void what_the_head_refuses_is_refused_at_once(void **state)
{
    static const struct {
        const char *text;
        int status;
        const char *notes;
    } cases[] = {
        { EXPECTS("POST /nothing"), 404, "log_404 " },
        { CHUNKS("PUT /nothing?a"), 404, "log_404 " },
        { EXPECTS("POST /gets"), 405, "log_405 " },
        { CHUNKS("POST /gets"), 405, "log_405 " },
        { EXPECTS("GET /posts"), 405, "log_405 " },
        { EXPECTS("BREW /posts"), 405, "log_405 " },
        { EXPECTS("POST /known"), 404, "log_404 " }, /* of another host */
        { TO_KNOWN("GET /known"), 405, "log_405 " },
        { TO_KNOWN("POST /nothing"), 404, "log_404 " },
        { EXPECTS("POST /posts/%ff"), 400, "log_400 " },
        { EXPECTS("POST /prepares/%ff"), 400, "log_400 " },
        { EXPECTS("POST /gone"), 410, "log_410 " },
        { EXPECTS("POST /moved"), 405, "log_405 " },
        { EXPECTS("POST /tells"), 405, "initialize defaults defaults error log_405 on_finish " },
        { EXPECTS("POST /finishes"), 402, "finished log_402 on_finish " },
        { EXPECTS("POST /behind/nothing"), 404, "log_404 " },
        { EXPECTS("PUT /behind/posts"), 405, "log_405 " },
    };
    static const struct web_route behind_routes[] = { { .pattern = "/behind/posts", .handler = &posts }, { 0 } };
    struct webscene scene;

    open_scene(&scene, routes);
    struct web_application *behind =
        web_application_new(behind_routes, &(struct web_settings){ .loop = scene.http.loop, .log_function = note_log });
    assert_non_null(behind);
    to_behind.arg = behind;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_refused(&scene, cases[i].text, cases[i].status, cases[i].notes);
    expect_asked(&scene, EXPECTS("POST /behind/posts"), 200, "hello", "post log_200 ");
    web_application_close(behind);
    webscene_close(&scene);
}

static void what_the_head_does_not_refuse_has_its_body_asked_for(void **state)
{
    struct webscene scene;

    open_scene(&scene, routes);
    expect_asked(&scene, EXPECTS("POST /posts"), 200, "hello", "post log_200 ");
    expect_asked(&scene, TO_KNOWN("POST /known"), 200, "hello", "post log_200 ");
    expect_asked(&scene, EXPECTS("POST /posts/%41"), 200, "hello", "post log_200 ");
    expect_asked(&scene, EXPECTS("GET /gets"), 200, "got", "get log_200 ");
    expect_asked(&scene, EXPECTS("GET /tells"), 200, "got", "initialize defaults get log_200 on_finish ");
    expect_asked(&scene, EXPECTS("POST /otherwise/posts"), 203, "hello", "");
    expect_asked(&scene, EXPECTS("POST /otherwise/%ff"), 203, "hello", "");
    webscene_close(&scene);
}

/* Order in web.h: prepare comes before a method that is not there, with the body, unless that is streamed. */
static void a_handler_that_prepares_may_want_the_body_first(void **state)
{
    struct webscene scene;

    open_scene(&scene, routes);
    expect_asked(&scene, EXPECTS("POST /prepares"), 405, NULL, "prepare log_405 ");
    webscene_close(&scene);
    open_scene(&scene, streaming);
    expect_refused(&scene, EXPECTS("POST /streams"), 405, "prepare_early log_405 ");
    expect_refused(&scene, EXPECTS("POST /little"), 413, "");
    expect_refused(&scene, EXPECTS("PUT /little"), 405, "log_405 ");
    webscene_close(&scene);
}

/* The connection goes on then. */
static void check_refused_behind(const struct web_route *table, const char *text, int status)
{
    struct webscene scene;

    open_scene(&scene, table);
    struct httpscene_client *client = put(&scene, text);
    httpscene_expect_nothing(&scene.http, client);
    httpscene_put(&scene.http, client, "hello");
    assert_int_equal(httpscene_next(&scene.http, client, false).status, status);
    httpscene_expect_nothing(&scene.http, client);
    webscene_forget_notes();
    webscene_close(&scene);
}

static void who_does_not_wait_is_refused_behind_the_body(void **state)
{
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        { "POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", 404 },
        { "POST /gets HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", 405 },
        { "POST /nothing HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
          404 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_refused_behind(few, cases[i].text, cases[i].status);
        check_refused_behind(routes, cases[i].text, cases[i].status);
    }
}

/* Without a body there is nothing to wait for. */
static void a_request_without_a_body_keeps_its_connection(void **state)
{
    struct webscene scene;

    open_scene(&scene, few);
    struct httpscene_client *client =
        put(&scene, "POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n");
    assert_int_equal(httpscene_next(&scene.http, client, false).status, 404);
    httpscene_expect_nothing(&scene.http, client);
    httpscene_put(&scene.http, client, GET("/gets"));
    httpscene_expect(&scene.http, client, 200, "got");
    webscene_close(&scene);
}

/* Bytes. */

#define PAGE(status) "<html><title>" status "</title><body>" status "</body></html>"
#define LAST_HEAD(status, allow, length)                                                                               \
    "HTTP/1.1 " status "\r\nServer: ioloop\r\nDate: 0000000000000000000000000 GMT\r\n"                                 \
    "Content-Type: text/html; charset=UTF-8\r\n" allow "Content-Length: " length "\r\nConnection: close\r\n\r\n"

static void check_bytes(struct webscene *scene, const char *text, size_t length, size_t split, const char *expected)
{
    struct httpscene_client *client = httpscene_connect(&scene->http);
    size_t received;

    httpscene_put_bytes(&scene->http, client, text, split);
    httpscene_settle(&scene->http);
    httpscene_put_bytes(&scene->http, client, text + split, length - split);
    char *transcript = httpscene_transcript(&scene->http, client, &received);
    if (strcmp(transcript, expected) != 0)
        fail_msg("split at %zu: %s", split, transcript);
    free(transcript);
    httpscene_hang_up(client);
}

static void the_refusal_is_the_only_answer_at_every_split(void **state)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        { EXPECTS("POST /nothing"), LAST_HEAD("404 Not Found", "", "69") PAGE("404: Not Found") },
        { EXPECTS("POST /nothing") "hello", LAST_HEAD("404 Not Found", "", "69") PAGE("404: Not Found") },
        { CHUNKS("POST /gets") "5\r\nhello\r\n0\r\n\r\n" GET("/gets"),
          LAST_HEAD("405 Method Not Allowed", "Allow: GET\r\n", "87") PAGE("405: Method Not Allowed") },
        { EXPECTS("HEAD /posts") GET("/gets"), LAST_HEAD("405 Method Not Allowed", "Allow: POST\r\n", "87") },
    };
    struct webscene scene;

    open_scene(&scene, few);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t split = 0; split <= strlen(cases[i].text); split++)
            check_bytes(&scene, cases[i].text, strlen(cases[i].text), split, cases[i].expected);
    }
    webscene_forget_notes();
    webscene_close(&scene);
}

static void a_page_that_is_flushed_ends_the_request_when_it_is_sent(void **state)
{
    struct webscene scene;

    open_scene(&scene, routes);
    expect_refused(&scene, EXPECTS("POST /flushes"), 405, "log_405 on_finish flushed ");
    webscene_close(&scene);
}

/* The rest. */

/* The token may be in the body, which is not looked at: it is not for want of one that this is refused. */
static void a_method_that_is_not_there_needs_no_token(void **state)
{
    struct webscene scene;

    webscene_open(&scene, few, &(struct web_settings){ .log_function = note_log, .xsrf_cookies = true });
    expect_refused(&scene, EXPECTS("POST /gets"), 405, "log_405 ");
    expect_asked(&scene, EXPECTS("POST /posts"), 403, NULL, "log_403 ");
    webscene_close(&scene);
}

static const struct web_route *find_own(struct web_application *app, struct httprequest *request, void *arg)
{
    static const struct web_route own = { .handler = &posts };

    webscene_note("find");
    return httprequest_path_is(request, "/own") ? &own : NULL;
}

static void routes_of_the_program_s_own_are_asked_for_first(void **state)
{
    static const struct web_route usual = { .handler = &posts };
    struct webscene scene;

    webscene_open(&scene, few, &(struct web_settings){ .log_function = note_log, .find_route = find_own });
    expect_refused(&scene, EXPECTS("POST /nothing"), 404, "find log_404 ");
    expect_refused(&scene, EXPECTS("PUT /own"), 405, "find log_405 ");
    struct httpscene_client *client = put(&scene, EXPECTS("POST /own"));
    httpscene_expect_text(&scene.http, client, GO_AHEAD);
    httpscene_put(&scene.http, client, "hello");
    httpscene_expect(&scene.http, client, 200, "hello");
    webscene_expect_notes("find find post log_200 ");
    webscene_close(&scene);
    webscene_open(&scene, few, &(struct web_settings){ .log_function = note_log, .default_route = usual });
    expect_asked(&scene, EXPECTS("POST /nothing"), 200, "hello", "post log_200 ");
    expect_refused(&scene, EXPECTS("GET /nothing"), 405, "log_405 ");
    webscene_close(&scene);
}

/* Answers how many allocations there were. */
static long refuse_with_fault(int nth, char **transcript)
{
    struct webscene scene;
    size_t length;

    open_scene(&scene, routes);
    struct httpscene_client *client = httpscene_connect(&scene.http);
    httpscene_settle(&scene.http);
    long before = faults_allocations();
    faults_allocation(nth, false);
    httpscene_put(
        &scene.http, client,
        "POST /tells HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\n");
    httpscene_settle(&scene.http);
    faults_end();
    long made = faults_allocations() - before;
    (void)httpscene_put_some(client, "hello", 5); /* it may be closed */
    *transcript = httpscene_transcript(&scene.http, client, &length);
    webscene_forget_notes();
    webscene_close(&scene);
    return made;
}

/* It is refused behind the body then, or the answer is 500, or 503, or the connection ends. */
static void without_memory_nothing_is_taken_for_served(void **state)
{
    char *transcript;
    long allocations = refuse_with_fault(0, &transcript);

    assert_ptr_equal(strstr(transcript, "HTTP/1.1 405 "), transcript);
    free(transcript);
    assert_in_range(allocations, 2, 100);
    for (int nth = 1; nth <= allocations; nth++) {
        (void)refuse_with_fault(nth, &transcript);
        if (transcript[0] != '\0' && strstr(transcript, " 405 ") == NULL && strstr(transcript, " 503 ") == NULL &&
            strstr(transcript, " 500 ") == NULL)
            fail_msg("allocation %d: %s", nth, transcript);
        free(transcript);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_the_head_refuses_is_refused_at_once),
    cmocka_unit_test(what_the_head_does_not_refuse_has_its_body_asked_for),
    cmocka_unit_test(a_handler_that_prepares_may_want_the_body_first),
    cmocka_unit_test(who_does_not_wait_is_refused_behind_the_body),
    cmocka_unit_test(a_request_without_a_body_keeps_its_connection),
    cmocka_unit_test(the_refusal_is_the_only_answer_at_every_split),
    cmocka_unit_test(a_page_that_is_flushed_ends_the_request_when_it_is_sent),
    cmocka_unit_test(a_method_that_is_not_there_needs_no_token),
    cmocka_unit_test(routes_of_the_program_s_own_are_asked_for_first),
    cmocka_unit_test(without_memory_nothing_is_taken_for_served),
};

TESTING_MAIN(tests)
