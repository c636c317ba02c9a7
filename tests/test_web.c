/* The life of a request: what is called, in which order, and when it ends. Routes, input and output have tests of their
 * own. */
#include "httpserver/web.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/faults.h"
#include "tests/support/testing.h"
#include "tests/support/webscene.h"

/* What a handler is to finish in: "initialize", "prepare" ... */
static const char *finishes_in = "";
static struct web_request *waiting;

static void note(struct web_request *request, const char *word)
{
    webscene_note(word);
    if (strcmp(finishes_in, word) == 0) {
        web_write(request, word);
        assert_int_equal(web_finish(request), 0);
        assert_int_equal(web_finish(request), -EPIPE);
        assert_int_equal(web_write(request, "too late"), -EPIPE);
    }
}

static void initialize(struct web_request *request)
{
    assert_string_equal(web_route_arg(request), "of the route");
    note(request, "initialize");
}

static void set_default_headers(struct web_request *request)
{
    web_set_header(request, "X-Default", "yes");
    note(request, "set_default_headers");
}

static void prepare(struct web_request *request)
{
    note(request, "prepare");
}

static void on_finish(struct web_request *request)
{
    assert_true(web_finished(request));
    assert_non_null(httprequest_method(web_http(request)));
    assert_int_equal(web_finish(request), -EPIPE);
    webscene_note("on_finish");
}

static void note_method(struct web_request *request)
{
    note(request, httprequest_method(web_http(request)));
    web_write(request, httprequest_method(web_http(request)));
}

static void left(struct web_request *request)
{
    webscene_note("left");
}

static void wait_for_test(struct web_request *request)
{
    note(request, "waits");
    waiting = request;
}

static const struct web_method other_methods[] = { { "OTHER", note_method }, { NULL, NULL } };
static const struct web_method any_method[] = { { "KNOWN", note_method }, { "*", wait_for_test }, { NULL, NULL } };

static const struct web_handler everything = { .get = note_method,
                                               .head = note_method,
                                               .post = note_method,
                                               .put = note_method,
                                               .patch = note_method,
                                               .delete_ = note_method,
                                               .options = note_method,
                                               .others = other_methods,
                                               .initialize = initialize,
                                               .set_default_headers = set_default_headers,
                                               .prepare = prepare,
                                               .on_finish = on_finish };
static const struct web_handler nothing = { .on_finish = on_finish };
static const struct web_handler some = { .get = note_method, .put = note_method, .others = other_methods };
static const struct web_handler any = { .others = any_method };
static const struct web_handler later = { .get = wait_for_test,
                                          .post = wait_for_test,
                                          .asynchronous = true,
                                          .on_connection_close = left,
                                          .on_finish = on_finish };

static const struct web_route routes[] = {
    { .pattern = "/", .handler = &everything, .arg = "of the route" },
    { .pattern = "/nothing", .handler = &nothing },
    { .pattern = "/some", .handler = &some },
    { .pattern = "/any", .handler = &any },
    { .pattern = "/later", .handler = &later },
    { 0 },
};

static void open_scene(struct webscene *scene)
{
    finishes_in = "";
    waiting = NULL;
    webscene_open(scene, routes, NULL);
}

/* Order. */

static void everything_is_called_in_order(void **state)
{
    struct webscene scene;

    open_scene(&scene);
    webscene_expect(&scene, "GET /", NULL, NULL, 200, "GET");
    webscene_expect_notes("initialize set_default_headers prepare GET on_finish ");
    webscene_expect_header(&scene, "X-Default", "yes");
    webscene_expect(&scene, "POST /", NULL, "body", 200, "POST");
    webscene_expect_notes("initialize set_default_headers prepare POST on_finish ");
    webscene_close(&scene);
}

/* web_test:test_standard_methods, web_test:test_patch, web_test:test_other */
static void each_method_has_its_function(void **state)
{
    static const char *const methods[] = { "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "OTHER" };
    char request[32];
    struct webscene scene;

    open_scene(&scene);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        snprintf(request, sizeof request, "%s /", methods[i]);
        webscene_expect(&scene, request, NULL, NULL, 200, methods[i]);
    }
    assert_int_equal(webscene_ask(&scene, "HEAD /", NULL, NULL), 200);
    webscene_expect_header(&scene, "Content-Length", "4");
    webscene_close(&scene);
}

/* web_test:test_unimplemented_standard_methods, web_test:test_unimplemented_patch, web_test:test_unimplemented_other,
 * httpserver_test:test_invalid_methods */
static void a_method_that_is_not_there_is_405(void **state)
{
    static const char *const methods[] = { "GET",   "HEAD", "POST",  "PUT", "PATCH", "DELETE", "OPTIONS",
                                           "OTHER", "G",    "GETTT", "POS", "Get",   "PUTS",   "*" };
    char request[32];
    struct webscene scene;

    open_scene(&scene);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        snprintf(request, sizeof request, "%s /nothing", methods[i]);
        webscene_expect(&scene, request, NULL, NULL, 405, NULL);
        webscene_expect_notes("on_finish ");
        webscene_expect_header(&scene, "Allow", "");
    }
    webscene_expect(&scene, "GETTT /some", NULL, NULL, 405, NULL);
    webscene_expect(&scene, "G /some", NULL, NULL, 405, NULL);
    webscene_expect(&scene, "PUTS /some", NULL, NULL, 405, NULL);
    webscene_expect(&scene, "HEADER /", NULL, NULL, 405, NULL);
    webscene_expect(&scene, "POST /some", NULL, NULL, 405,
                    "<html><title>405: Method Not Allowed</title><body>405: Method Not Allowed</body></html>");
    webscene_expect_header(&scene, "Allow", "GET, PUT, OTHER");
    webscene_close(&scene);
}

static void answer_in_prepare(struct web_request *request)
{
    webscene_note("prepare");
    if (httprequest_query(web_http(request), &(size_t){ 0 }) != NULL)
        return;
    web_set_status(request, 404, NULL);
    web_write(request, "of prepare");
    web_finish(request);
}

/* Tornado's documentation has such a default_handler_class. */
static void prepare_may_answer_a_method_that_is_not_there(void **state)
{
    static const char *const methods[] = { "GET", "POST", "OPTIONS", "OTHER" };
    static const struct web_handler in_prepare = { .prepare = answer_in_prepare, .on_finish = on_finish };
    struct webscene scene;
    char request[32];

    webscene_open(&scene, NULL, &(struct web_settings){ .default_route = { .handler = &in_prepare } });
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        snprintf(request, sizeof request, "%s /", methods[i]);
        webscene_expect(&scene, request, NULL, "body", 404, "of prepare");
        webscene_expect_notes("prepare on_finish ");
        snprintf(request, sizeof request, "%s /?", methods[i]);
        webscene_expect(&scene, request, NULL, "body", 405, NULL);
        webscene_expect_notes("prepare on_finish ");
    }
    webscene_close(&scene);
}

static void a_star_is_any_other_method(void **state)
{
    struct webscene scene;

    open_scene(&scene);
    webscene_expect(&scene, "KNOWN /any", NULL, NULL, 200, "KNOWN");
    webscene_expect(&scene, "GET /any", NULL, NULL, 200, "");
    webscene_expect_notes("KNOWN waits ");
    webscene_close(&scene);
}

/* web_test:test_finish_in_prepare */
static void nothing_is_called_behind_the_end(void **state)
{
    static const struct {
        const char *finishes_in, *notes;
    } cases[] = {
        { "initialize", "initialize on_finish " },
        { "set_default_headers", "initialize set_default_headers on_finish " },
        { "prepare", "initialize set_default_headers prepare on_finish " },
        { "GET", "initialize set_default_headers prepare GET on_finish " },
    };
    struct webscene scene;

    open_scene(&scene);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        finishes_in = cases[i].finishes_in;
        webscene_expect(&scene, "GET /", NULL, NULL, 200, finishes_in);
        webscene_expect_notes(cases[i].notes);
    }
    webscene_close(&scene);
}

/* Later. */

static struct httpscene_client *ask_for_later(struct webscene *scene, const char *request)
{
    struct httpscene_client *client = httpscene_connect(&scene->http);

    waiting = NULL;
    httpscene_put(&scene->http, client, request);
    while (waiting == NULL)
        assert_true(ioloop_run_once(scene->http.loop, 0.01) >= 0);
    return client;
}

/* web_test:test_finish_method_return_future */
static void an_asynchronous_handler_answers_when_it_likes(void **state)
{
    struct webscene scene;

    open_scene(&scene);
    struct httpscene_client *client = ask_for_later(&scene, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    httpscene_expect_nothing(&scene.http, client);
    assert_int_equal(web_write(waiting, "at last"), 0);
    assert_int_equal(web_finish(waiting), 0);
    webscene_expect_notes("waits on_finish ");
    /* It may be looked at until the loop has it again. */
    assert_int_equal(web_finish(waiting), -EPIPE);
    assert_null(web_http(waiting));
    assert_null(web_get_argument(waiting, "a", NULL));
    assert_string_equal(web_get_cookie(waiting, "a", "none"), "none");
    assert_false(web_check_etag(waiting));
    web_send_error(waiting, 500);
    httpscene_expect(&scene.http, client, 200, "at last");
    webscene_close(&scene);
}

static void an_error_page_may_come_later_too(void **state)
{
    struct webscene scene;

    open_scene(&scene);
    struct httpscene_client *client = ask_for_later(&scene, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    web_write(waiting, "not this");
    web_send_error(waiting, 404);
    assert_int_equal(web_write(waiting, "nor that"), -EPIPE);
    httpscene_expect(&scene.http, client, 404, "<html><title>404: Not Found</title><body>404: Not Found</body></html>");
    webscene_close(&scene);
}

/* web_test:test_connection_close, httpserver_test:test_finish_while_closed */
static void a_client_that_leaves_is_told_of_once(void **state)
{
    struct webscene scene;

    open_scene(&scene);
    struct httpscene_client *client = ask_for_later(&scene, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    httpscene_reset(client);
    httpscene_settle(&scene.http);
    webscene_expect_notes("waits left ");
    web_write(waiting, "to nobody");
    assert_int_equal(web_flush(waiting, NULL, NULL), -EBADF);
    assert_int_equal(web_finish(waiting), -EBADF);
    webscene_expect_notes("on_finish ");
    assert_int_equal(testing_logs("W ") + testing_logs("E "), 0);
    webscene_close(&scene);
}

static void a_client_that_leaves_behind_the_end_is_not_told_of(void **state)
{
    struct webscene scene;

    open_scene(&scene);
    struct httpscene_client *client = ask_for_later(&scene, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    web_finish(waiting);
    httpscene_hang_up(client);
    httpscene_settle(&scene.http);
    webscene_expect_notes("waits on_finish ");
    webscene_close(&scene);
}

static void a_request_may_outlive_server_and_loop(void **state)
{
    for (int keeps_loop = 0; keeps_loop < 2; keeps_loop++) {
        struct webscene scene;

        open_scene(&scene);
        struct httpscene_client *client = ask_for_later(&scene, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
        httpscene_reset(client);
        httpscene_settle(&scene.http);
        web_application_close(scene.app);
        web_application_close(scene.app);
        httpscene_settle(&scene.http);
        assert_int_equal(scene.closed, 1);
        if (!keeps_loop)
            ioloop_close(scene.http.loop, false);
        assert_int_equal(web_application_listen(web_get_application(waiting), 0, NULL), -EBADF);
        assert_null(web_application_server(web_get_application(waiting)));
        assert_int_equal(web_write(waiting, "to nobody"), 0);
        assert_int_equal(web_finish(waiting), -EBADF);
        if (keeps_loop) {
            assert_true(web_finished(waiting));
            ioloop_close(scene.http.loop, false);
        }
        assert_int_equal(faults_allocated(), scene.http.allocated);
        testing_end_logs();
    }
}

static void the_application_closes_when_what_is_in_work_is_answered(void **state)
{
    struct webscene scene;

    open_scene(&scene);
    struct httpscene_client *client = ask_for_later(&scene, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    web_application_close(scene.app);
    httpscene_settle(&scene.http);
    assert_int_equal(scene.closed, 0);
    web_write(waiting, "the last");
    assert_int_equal(web_finish(waiting), 0);
    struct httpscene_answer answer = httpscene_next(&scene.http, client, false);
    assert_string_equal(answer.body, "the last");
    assert_true(answer.closes);
    httpscene_expect_end(&scene.http, client);
    httpscene_hang_up(client);
    httpscene_settle(&scene.http);
    assert_int_equal(scene.closed, 1);
    ioloop_close(scene.http.loop, false);
    assert_int_equal(faults_allocated(), scene.http.allocated);
    testing_end_logs();
}

/* What belongs to a request. */

struct state {
    char bytes[600];
    int number;
};

static void use_state(struct web_request *request)
{
    struct state *mine = web_state(request);

    for (size_t i = 0; i < sizeof mine->bytes; i++)
        assert_int_equal(mine->bytes[i], 0);
    assert_int_equal(mine->number, 0);
    memset(mine, 'x', sizeof *mine);
    web_set_arg(request, mine);
}

static void read_state(struct web_request *request)
{
    struct state *mine = web_arg(request);

    assert_ptr_equal(mine, web_state(request));
    assert_int_equal(mine->bytes[599], 'x');
    assert_non_null(web_application_arg(web_get_application(request)));
}

static void use_little_state(struct web_request *request)
{
    char *mine = web_state(request);

    assert_non_null(mine);
    assert_int_equal(*mine, 0);
    *mine = 'x';
}

static void check_no_state(struct web_request *request)
{
    assert_null(web_state(request));
    assert_null(web_arg(request));
    assert_null(web_route_arg(request));
}

static void state_is_zeroed_for_each_request(void **state)
{
    static const struct web_handler with = { .initialize = use_state, .get = read_state, .size = sizeof(struct state) };
    static const struct web_handler with_little = { .get = use_little_state, .size = 1 };
    static const struct web_handler without = { .get = check_no_state };
    static const struct web_route all[] = { { .pattern = "/with", .handler = &with },
                                            { .pattern = "/with/little", .handler = &with_little },
                                            { .pattern = "/without", .handler = &without },
                                            { 0 } };
    struct webscene scene;

    webscene_open(&scene, all, NULL);
    for (int i = 0; i < 3; i++) {
        webscene_expect(&scene, "GET /with", NULL, NULL, 200, "");
        webscene_expect(&scene, "GET /with/little", NULL, NULL, 200, "");
        webscene_expect(&scene, "GET /without", NULL, NULL, 200, "");
    }
    webscene_close(&scene);
}

/* web_test:test_listen */
static void an_application_listens_and_closes(void **state)
{
    struct webscene scene;

    open_scene(&scene);
    assert_true(scene.http.port > 0);
    assert_int_equal(httpserver_connections(web_application_server(scene.app)), 0);
    webscene_expect(&scene, "GET /", NULL, NULL, 200, "GET");
    webscene_close(&scene);
    assert_int_equal(scene.closed, 1);
}

/* Pauses. */

static int pauses;

static void pause_in_prepare(struct web_request *request)
{
    webscene_note("prepare");
    web_pause(request);
    web_pause(request);
    if (pauses == 0)
        web_resume(request);
    waiting = request;
}

static void a_pause_in_prepare_holds_the_method(void **state)
{
    static const struct web_handler paused = { .get = note_method, .post = note_method, .prepare = pause_in_prepare };
    static const struct web_route only[] = { { .pattern = "/", .handler = &paused }, { 0 } };
    struct webscene scene;

    webscene_open(&scene, only, NULL);
    pauses = 0;
    webscene_expect(&scene, "GET /", NULL, NULL, 200, "GET");
    webscene_expect_notes("prepare GET ");
    pauses = 1;
    struct httpscene_client *client = ask_for_later(&scene, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    httpscene_expect_nothing(&scene.http, client);
    webscene_expect_notes("prepare ");
    web_resume(waiting);
    webscene_expect_notes(""); /* from the loop only */
    web_pause(waiting);
    httpscene_expect_nothing(&scene.http, client);
    web_resume(waiting);
    web_resume(waiting);
    httpscene_expect(&scene.http, client, 200, "GET");
    webscene_expect_notes("GET ");
    client = ask_for_later(&scene, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
    web_resume(waiting);
    web_write(waiting, "before the method");
    web_finish(waiting);
    httpscene_expect(&scene.http, client, 200, "before the method");
    httpscene_settle(&scene.http);
    webscene_expect_notes("prepare ");
    client = ask_for_later(&scene, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
    httpscene_expect_nothing(&scene.http, client);
    web_resume(waiting);
    httpscene_expect(&scene.http, client, 405,
                     "<html><title>405: Method Not Allowed</title><body>405: Method Not Allowed</body></html>");
    client = ask_for_later(&scene, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
    web_write(waiting, "before the method");
    web_finish(waiting);
    httpscene_expect(&scene.http, client, 200, "before the method");
    webscene_expect_notes("prepare prepare ");
    webscene_close(&scene);
}

static void pause_in_method(struct web_request *request)
{
    web_pause(request);
    web_write(request, "once");
}

static void resume_in_method(struct web_request *request)
{
    webscene_note("method");
    web_pause(request);
    web_resume(request);
    waiting = request;
}

static void a_pause_in_the_method_holds_nothing_back(void **state)
{
    static const struct web_handler handler = { .get = pause_in_method };
    static const struct web_handler resumes = { .get = resume_in_method, .asynchronous = true };
    static const struct web_route both[] = { { .pattern = "/", .handler = &handler },
                                             { .pattern = "/later", .handler = &resumes },
                                             { 0 } };
    struct webscene scene;

    webscene_open(&scene, both, NULL);
    webscene_expect(&scene, "GET /", NULL, NULL, 200, "once");
    struct httpscene_client *client = ask_for_later(&scene, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    httpscene_expect_nothing(&scene.http, client);
    web_write(waiting, "later");
    web_finish(waiting);
    httpscene_expect(&scene.http, client, 200, "later");
    webscene_expect_notes("method ");
    webscene_close(&scene);
}

static void resume(struct web_request *request, int error, void *arg)
{
    web_resume(request);
}

static void flush_in_prepare(struct web_request *request)
{
    web_pause(request);
    web_write(request, "first ");
    assert_int_equal(web_flush(request, resume, NULL), 0);
}

static void a_flush_that_is_through_may_resume(void **state)
{
    static const struct web_handler handler = { .prepare = flush_in_prepare,
                                                .get = note_method,
                                                .on_finish = on_finish };
    static const struct web_route only[] = { { .pattern = "/", .handler = &handler }, { 0 } };
    struct webscene scene;

    webscene_open(&scene, only, NULL);
    finishes_in = "";
    webscene_expect(&scene, "GET /", NULL, NULL, 200, "first GET");
    webscene_expect_notes("GET on_finish ");
    webscene_close(&scene);
}

static void resume_for_nobody(struct web_request *request)
{
    webscene_note("left");
    web_resume(request);
    webscene_expect_notes("prepare left "); /* from the loop only */
}

static void a_request_may_go_on_when_its_client_has_left(void **state)
{
    static const struct web_handler handler = { .prepare = pause_in_prepare,
                                                .get = note_method,
                                                .on_connection_close = resume_for_nobody,
                                                .on_finish = on_finish };
    static const struct web_route only[] = { { .pattern = "/", .handler = &handler }, { 0 } };

    pauses = 1;
    finishes_in = "";
    for (int i = 0; i < 2; i++) {
        struct webscene scene;

        webscene_open(&scene, only, NULL);
        struct httpscene_client *client = ask_for_later(&scene, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        if (i == 0)
            httpscene_reset(client);
        else
            httpscene_finish(client);
        httpscene_settle(&scene.http);
        webscene_expect_notes("GET on_finish ");
        if (i == 1)
            httpscene_expect(&scene.http, client, 200, "GET");
        webscene_close(&scene);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(everything_is_called_in_order),
    cmocka_unit_test(each_method_has_its_function),
    cmocka_unit_test(a_method_that_is_not_there_is_405),
    cmocka_unit_test(prepare_may_answer_a_method_that_is_not_there),
    cmocka_unit_test(a_star_is_any_other_method),
    cmocka_unit_test(nothing_is_called_behind_the_end),
    cmocka_unit_test(an_asynchronous_handler_answers_when_it_likes),
    cmocka_unit_test(an_error_page_may_come_later_too),
    cmocka_unit_test(a_client_that_leaves_is_told_of_once),
    cmocka_unit_test(a_client_that_leaves_behind_the_end_is_not_told_of),
    cmocka_unit_test(a_request_may_outlive_server_and_loop),
    cmocka_unit_test(the_application_closes_when_what_is_in_work_is_answered),
    cmocka_unit_test(state_is_zeroed_for_each_request),
    cmocka_unit_test(an_application_listens_and_closes),
    cmocka_unit_test(a_pause_in_prepare_holds_the_method),
    cmocka_unit_test(a_pause_in_the_method_holds_nothing_back),
    cmocka_unit_test(a_flush_that_is_through_may_resume),
    cmocka_unit_test(a_request_may_go_on_when_its_client_has_left),
};

TESTING_MAIN(tests)
