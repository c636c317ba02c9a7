/* Memory that is not there: no crash, nothing leaks, no answer looks whole that is not, and the next request is served.
 * And a warm request that needs none. */
#include <stdio.h>
#include <string.h>

#include "httpserver/web.h"
#include "tests/support/faults.h"
#include "tests/support/testing.h"
#include "tests/support/webscene.h"

#define SECRET "0123456789abcdef0123456789abcdef"

static int finished, begun;

static void begin(struct web_request *request)
{
    begun++;
}

static void count_finish(struct web_request *request)
{
    finished++;
}

static void hello(struct web_request *request)
{
    web_write(request, "hello");
}

static int argument_uses;

static void use_arguments(struct web_request *request)
{
    argument_uses++;
    const char *foo = web_get_argument(request, "foo", ""), *bar = web_get_argument(request, "bar", "");
    const struct httpform_file *file = web_get_file(request, "file", 0);

    if (foo != NULL && bar != NULL)
        web_printf(request, "%s|%s|%s|%.*s", web_path_argument(request, 0), foo, bar,
                   file != NULL ? (int)file->length : 0, file != NULL ? file->body : "");
}

static void use_headers(struct web_request *request)
{
    char name[32];

    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof name, "X-Header-%d", i);
        web_set_header(request, name, "a value that is not short");
    }
    web_clear_header(request, "Content-Type");
    for (int i = 0; i < 300; i++)
        web_write(request, "0123456789");
}

static void use_cookies(struct web_request *request)
{
    char value[401] = "";

    memset(value, '1', sizeof value - 1); /* two of them are not in one allocation */
    web_set_cookie(request, "first", value, NULL);
    web_set_cookie(request, "second", value, NULL);
    web_set_cookie(request, "a", "b", NULL);
    web_set_cookie(request, "a", "c", NULL);
    web_set_signed_cookie(request, "user", "ann", 3, NULL);
    const char *token = web_xsrf_form_html(request);
    web_write(request, token != NULL ? "token" : "none");
    web_write(request, web_get_cookie(request, "a", "-"));
    web_clear_all_cookies(request);
}

static void use_flushes(struct web_request *request)
{
    web_write(request, "one");
    web_flush(request, NULL, NULL);
    web_write(request, "two");
    web_flush(request, NULL, NULL);
    for (int i = 0; i < 1000; i++)
        web_write(request, "three");
}

static void flushed(struct web_request *request, int error, void *arg)
{
    if (arg == NULL && error == 0 && web_flush(request, flushed, request) == 0)
        return;
    if (error == 0)
        web_write(request, "end");
    web_finish(request);
}

static void flush_on(struct web_request *request)
{
    web_write(request, "one");
    if (web_flush(request, flushed, NULL) < 0)
        web_finish(request);
}

static void send_page(struct web_request *request)
{
    web_send_error_because(request, 410, "Reason", "why");
}

static void write_page(struct web_request *request, int status)
{
    web_set_header(request, "X-Page", "own");
    web_printf(request, "%d", status);
}

static void go_elsewhere(struct web_request *request)
{
    web_redirect(request, web_full_url(request) != NULL ? web_full_url(request) : "/", false);
}

static const char *no_user(struct web_request *request)
{
    return NULL;
}

static void need_user(struct web_request *request)
{
    web_authenticated(request);
}

static void take_piece(struct web_request *request, const void *data, size_t length)
{
    web_write_bytes(request, data, length);
}

static void write_nothing(struct web_request *request)
{
}

static const struct web_handler says_hello = { .get = hello };
static const struct web_handler states = { .get = hello, .size = 3000, .initialize = begin, .on_finish = count_finish };
static const struct web_handler arguments = { .get = use_arguments, .post = use_arguments };
static const struct web_handler headers = { .get = use_headers };
static const struct web_handler cookies = { .get = use_cookies };
static const struct web_handler flushes = { .get = use_flushes, .initialize = begin, .on_finish = count_finish };
static const struct web_handler flushes_on = {
    .get = flush_on, .asynchronous = true, .initialize = begin, .on_finish = count_finish
};
static const struct web_handler errors = { .get = send_page, .write_error = write_page };
static const struct web_handler elsewhere = { .get = go_elsewhere };
static const struct web_handler users = { .get = need_user, .get_current_user = no_user };
static const struct web_handler streams = { .post = write_nothing,
                                            .data_received = take_piece,
                                            .initialize = begin,
                                            .on_finish = count_finish,
                                            .no_xsrf_check = true };
static const struct web_redirection target = { .url = "/x/{0}?a" };
static const struct web_route routes[] = {
    { .pattern = "/hello", .handler = &says_hello, .name = "hello" },
    { .pattern = "/states", .handler = &states },
    { .pattern = "/arguments/(.+)", .handler = &arguments },
    { .pattern = "/headers", .handler = &headers },
    { .pattern = "/cookies", .handler = &cookies },
    { .pattern = "/flushes", .handler = &flushes },
    { .pattern = "/flushes/on", .handler = &flushes_on },
    { .pattern = "/errors", .handler = &errors },
    { .pattern = "/elsewhere", .handler = &elsewhere },
    { .pattern = "/redirect/(.*)", .handler = &web_redirect_handler, .arg = &target },
    { .pattern = "/users", .handler = &users },
    { .pattern = "/streams", .handler = &streams },
    { 0 },
};

#define URLENCODED "Content-Type: application/x-www-form-urlencoded\r\n"
#define MULTIPART  "Content-Type: multipart/form-data; boundary=x\r\n"

static const struct {
    const char *request, *headers, *body;
    int status;
} cases[] = {
    { "GET /hello", NULL, NULL, 200 },
    { "GET /states", NULL, NULL, 200 },
    { "GET /arguments/a%20b?foo=1&bar=2", NULL, NULL, 200 },
    { "POST /arguments/a?foo=1", "X-Xsrftoken: t\r\nCookie: _xsrf=t\r\n" URLENCODED, "bar=2&baz=3", 200 },
    { "POST /arguments/a", "X-Xsrftoken: t\r\nCookie: _xsrf=t\r\n" MULTIPART,
      "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\ntext\r\n"
      "--x\r\nContent-Disposition: form-data; name=\"bar\"\r\n\r\n2\r\n--x--\r\n",
      200 },
    { "POST /arguments/a?foo=1", "X-Xsrftoken: t\r\nCookie: _xsrf=another\r\n" URLENCODED, "bar=2", 403 },
    { "GET /headers", NULL, NULL, 200 },
    { "GET /cookies", "Cookie: one=1; two=2\r\n", NULL, 200 },
    { "GET /flushes", NULL, NULL, 200 },
    { "GET /flushes/on", NULL, NULL, 200 },
    { "GET /errors", NULL, NULL, 410 },
    { "GET /elsewhere", NULL, NULL, 302 },
    { "GET /redirect/a?b", NULL, NULL, 301 },
    { "GET /users?a", NULL, NULL, 302 },
    { "POST /streams", NULL, "the body", 200 },
    { "GET /nowhere", NULL, NULL, 404 },
    { "PUT /hello", "X-Xsrftoken: t\r\nCookie: _xsrf=t\r\n", NULL, 405 },
    { "PUT /hello", NULL, NULL, 403 },
};

static int count_cookies(const struct webscene *scene)
{
    int count = 0;

    while (webscene_header_at(scene, "Set-Cookie", count) != NULL)
        count++;
    return count;
}

/* The body of a whole answer is the one that it would be without a fault, and so are its cookies. */
static void check_answer(const struct webscene *scene, size_t i, const char *body, int cookie_count)
{
    if (scene->status == cases[i].status && !scene->broken) {
        if (scene->status == 200 && (strcmp(scene->body, body) != 0 || count_cookies(scene) != cookie_count))
            fail_msg("%s: %s, not %s", cases[i].request, scene->text, body);
    } else if (!scene->broken && scene->status != 500 && scene->status != 503) {
        fail_msg("%s: %s", cases[i].request, scene->text);
    }
}

static int sweep_case(size_t i, bool sticky, bool warm)
{
    static const struct web_settings settings = {
        .cookie_secret = SECRET, .xsrf_cookies = true, .login_url = "/login", .default_host = "h"
    };
    struct webscene scene;
    char body[8192];
    int nth = 0;
    bool hit;

    webscene_open(&scene, routes, &settings);
    webscene_expect(&scene, cases[i].request, cases[i].headers, cases[i].body, cases[i].status, NULL);
    snprintf(body, sizeof body, "%s", scene.body);
    int cookie_count = count_cookies(&scene);
    webscene_close(&scene);
    do {

        webscene_open(&scene, routes, &settings);
        if (warm)
            webscene_expect(&scene, cases[i].request, cases[i].headers, cases[i].body, cases[i].status, NULL);
        begun = finished = argument_uses = 0;
        struct httpscene_client *client = httpscene_connect(&scene.http);
        httpscene_settle(&scene.http);
        faults_allocation(++nth, sticky);
        webscene_put(&scene, client, cases[i].request, cases[i].headers, cases[i].body);
        webscene_read(&scene, client, cases[i].request);
        hit = faults_hit();
        faults_allocation(0, false);
        check_answer(&scene, i, body, cookie_count);
        assert_true(cases[i].status != 403 || argument_uses == 0); /* nor what might have been allowed */
        httpscene_settle(&scene.http);
        assert_int_equal(begun, finished);
        webscene_expect(&scene, "GET /hello", NULL, NULL, 200, "hello");
        webscene_close(&scene);
        assert_true(nth < 200);
    } while (hit);
    return nth;
}

static void every_allocation_may_fail(void **state)
{
    int sum = 0;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int how = 0; how < 4; how++)
            sum += sweep_case(i, how % 2 != 0, how / 2 != 0);
    }
    assert_true(sum > 250);
}

/* Warm: of one connection, the second request and all after it. */
static void a_warm_request_allocates_nothing(void **state)
{
    static const struct {
        const char *request;
        int status;
    } warm[] = {
        { "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", 200 },
        { "GET /states HTTP/1.1\r\nHost: a\r\n\r\n", 200 },
        { "GET /headers HTTP/1.1\r\nHost: a\r\n\r\n", 200 },
        { "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", 404 },
    };
    struct webscene scene;

    webscene_open(&scene, routes, NULL);
    struct httpscene_client *client = httpscene_connect(&scene.http);
    for (size_t i = 0; i < sizeof warm / sizeof *warm; i++) {
        long before = 0;

        for (int round = 0; round < 6; round++) {
            if (round == 2)
                before = faults_allocations();
            httpscene_put(&scene.http, client, warm[i].request);
            assert_int_equal(httpscene_next(&scene.http, client, false).status, warm[i].status);
        }
        if (faults_allocations() != before)
            fail_msg("%s: %ld allocations", warm[i].request, faults_allocations() - before);
    }
    webscene_close(&scene);
}

static void write_much(struct web_request *request)
{
    static const char much[100000];

    assert_int_equal(web_write_bytes(request, much, sizeof much), 0);
}

static void what_was_long_is_not_kept(void **state)
{
    static const struct web_handler writes_much = { .get = write_much }, has_much = { .get = hello, .size = 100000 };
    static const struct web_route of_much[] = { { .pattern = "/written", .handler = &writes_much },
                                                { .pattern = "/had", .handler = &has_much },
                                                { .pattern = "/hello", .handler = &says_hello },
                                                { 0 } };
    static const char *const requests[] = { "GET /written", "GET /had" };
    struct webscene scene;

    webscene_open(&scene, of_much, NULL);
    webscene_expect(&scene, "GET /hello", NULL, NULL, 200, NULL);
    size_t before = faults_allocated_bytes();
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        webscene_expect(&scene, requests[i], NULL, NULL, 200, NULL);
        httpscene_settle(&scene.http);
        assert_in_range(faults_allocated_bytes(), 0, before + 20000);
    }
    webscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_allocation_may_fail),
    cmocka_unit_test(what_was_long_is_not_kept),
    cmocka_unit_test(a_warm_request_allocates_nothing),
};

TESTING_MAIN(tests)
