/* The handlers that are there already: errors, redirects, other functions. */
#include <stdio.h>
#include <string.h>

#include "httpserver/web.h"
#include "tests/support/testing.h"
#include "tests/support/webscene.h"

/* web_test:test_error_xsrf, web_test:test_404_xsrf */
static void an_error_is_for_any_method_and_needs_no_token(void **state)
{
    static const struct web_error gone = { 410 };
    static const struct web_route routes[] = { { .pattern = "/gone", .handler = &web_error_handler, .arg = &gone },
                                               { .pattern = "/none", .handler = &web_error_handler },
                                               { 0 } };
    struct webscene scene;

    webscene_open(&scene, routes, &(struct web_settings){ .xsrf_cookies = true });
    webscene_expect(&scene, "GET /gone", NULL, NULL, 410, NULL);
    webscene_expect(&scene, "POST /gone", NULL, "body", 410, NULL);
    webscene_expect(&scene, "POST /gone", "Content-Type: multipart/form-data\r\n", "no form", 410, NULL);
    webscene_expect(&scene, "UNKNOWN /gone", NULL, NULL, 410, NULL);
    webscene_expect(&scene, "GET /none", NULL, NULL, 404, NULL);
    webscene_expect(&scene, "POST /nowhere", NULL, "body", 404, NULL);
    webscene_close(&scene);
}

/* web_test:test_basic_redirect, web_test:test_redirect_with_argument, web_test:test_redirect_with_appending_argument,
 * web_test:test_redirect_pattern, web_test:test_web_redirect, web_test:test_web_redirect_double_slash */
static void a_redirect_fills_in_arguments_and_appends_the_query(void **state)
{
    static const struct {
        const char *pattern, *url, *request, *location;
    } cases[] = {
        { "/src", "/dst", "GET /src", "/dst" },
        { "/src", "/dst", "GET /src?foo=bar", "/dst?foo=bar" },
        { "/src", "/dst?foo=bar", "GET /src?foo2=bar2", "/dst?foo=bar&foo2=bar2" },
        { "/src", "/dst?a#end", "GET /src?b", "/dst?a&b#end" },
        { "/src", "/dst#end", "GET /src?b", "/dst?b#end" },
        { "/src", "/dst", "GET /src?", "/dst" },
        { "//src", "/dst", "GET //src", "/dst" },
        { "/([^/]+)/([^/]+)/([^/]+)", "/{2}/{0}/{1}", "GET /a/b/c", "/c/a/b" },
        { "/(.*)", "/{0}/{0}", "GET /a", "/a/a" },
        { "/(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)", "/{9}{10}{0}{11}", "GET /abcdefghijk", "/jka" },
        { "/(a)?b", "/x{0}y", "GET /b", "/xy" },
        { "/a", "/{0}{x}{}{12345678901}{1", "GET /a", "/{x}{}{12345678901}{1" },
        { "/(.*)", "http://example.org/{0}", "GET /a%20b%3Fc%23d%0D%0Ae", "http://example.org/a%20b%3Fc%23d%0D%0Ae" },
        { "/(.*)", "/{0}", "GET //evil.com", "/evil.com" },
        { "/(.*)", "/{0}", "GET /%2Fevil.com", "/evil.com" },
        { "/(.*)", "/{0}", "GET /%5Cevil.com", "/%5Cevil.com" },
        { "/(.*)", "{0}", "GET ///evil.com", "/evil.com" },
        { "/(.*)", "//cdn.example.org/{0}", "GET /a", "//cdn.example.org/a" },
        { "/(.*)", "{0}", "GET /https://evil.com/:a", "https%3A//evil.com/:a" },
        { "/(.*)", "{0}", "GET /javascript:alert(1)", "javascript%3Aalert%281%29" },
        { "/(.*)", "{0}", "GET /a/b:c", "a/b:c" },
        { "/(.*)/(.*)", "{0}{1}", "GET /https/:%2F%2Fevil.com", "https%3A//evil.com" },
        { "/(.*)", "/{0}", "GET /a:b", "/a:b" },
        { "/(.*)", "mailto:{0}", "GET /a@b", "mailto:a@b" },
        { "/(.*)", "http://{0}.example.org/", "GET /evil.com%2F", "http://evil.com%2F.example.org/" },
        { "/(.*)", "https://example.org{0}", "GET /@evil.com:1/", "https://example.org%40evil.com%3A1%2F" },
        { "/(.*)/(.*)", "//{0}.example.org/{1}", "GET /a/b@c:1", "//a.example.org/b@c:1" },
        { "(/.*)", "https://example.org{0}", "GET /a/b:c@d?e", "https://example.org/a/b:c@d?e" },
        { "(/.*)", "https://example.org:8443{0}", "GET //a", "https://example.org:8443//a" },
        { "/(.*)", "http://{0}.example.org/", "GET //evil.com/", "http://%2Fevil.com%2F.example.org/" },
        { "/(.*)", "http://example.org?{0}", "GET /a/b", "http://example.org?a/b" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct web_redirection permanent = { .url = cases[i].url };
        struct web_route routes[] = {
            { .pattern = cases[i].pattern, .handler = &web_redirect_handler, .arg = &permanent }, { 0 }
        };
        struct webscene scene;

        webscene_open(&scene, routes, NULL);
        webscene_expect(&scene, cases[i].request, NULL, NULL, 301, NULL);
        const char *location = webscene_header(&scene, "Location");
        if (location == NULL || strcmp(location, cases[i].location) != 0)
            fail_msg("%s: %s, not %s", cases[i].request, location, cases[i].location);
        webscene_close(&scene);
    }
}

static void a_redirect_may_be_temporary(void **state)
{
    static const struct web_redirection temporary = { .url = "/dst", .is_temporary = true };
    static const struct web_route routes[] = { { .pattern = "/", .handler = &web_redirect_handler, .arg = &temporary },
                                               { 0 } };
    struct webscene scene;

    webscene_open(&scene, routes, NULL);
    webscene_expect(&scene, "GET /", NULL, NULL, 302, NULL);
    webscene_expect(&scene, "HEAD /", NULL, NULL, 302, NULL);
    webscene_expect_header(&scene, "Location", "/dst");
    webscene_expect(&scene, "POST /", NULL, "x", 405, NULL);
    webscene_close(&scene);
}

/* Other functions. */

static void answer_itself(struct httprequest *request, void *arg)
{
    size_t length;
    const void *body = httprequest_body(request, &length);

    assert_null(httprequest_arg(request));
    httprequest_reply(request, 200, "text/plain", length > 0 ? body : arg, length > 0 ? length : strlen(arg));
}

static void say_hello(struct web_request *request)
{
    web_write(request, web_route_arg(request));
}

static void note_data(struct web_request *request, const void *data, size_t length)
{
    char piece[32];

    snprintf(piece, sizeof piece, "%.*s", (int)length, (const char *)data);
    webscene_note(piece);
}

static const struct web_handler says_hello = { .get = say_hello };
static const struct web_handler streams = { .post = say_hello, .data_received = note_data };
static const struct web_handler collects_little = { .post = say_hello, .max_body = 4, .body_timeout = 1 };
static const struct web_route of_inner[] = { { .pattern = "/inner/a", .handler = &says_hello, .arg = "inner" },
                                             { .pattern = "/inner/up", .handler = &streams, .arg = "up" },
                                             { .pattern = "/inner/little", .handler = &collects_little, .arg = "4" },
                                             { 0 } };

/* routing_test:test_rule_based_router, routing_test:test_delegate_not_found */
static void a_fallback_is_another_function_or_application(void **state)
{
    static struct web_fallback function = { answer_itself, (void *)"by itself" };
    static struct web_fallback application = { web_application_serve, NULL };
    static const struct web_route routes[] = {
        { .pattern = "/function.*", .handler = &web_fallback_handler, .arg = &function },
        { .pattern = "/inner/.*", .handler = &web_fallback_handler, .arg = &application },
        { .pattern = "/", .handler = &says_hello, .arg = "outer" },
        { 0 },
    };
    struct webscene scene;

    webscene_open(&scene, routes, &(struct web_settings){ .xsrf_cookies = true });
    application.arg = web_application_new(of_inner, &(struct web_settings){ .loop = scene.http.loop });
    assert_non_null(application.arg);
    webscene_expect(&scene, "GET /", NULL, NULL, 200, "outer");
    webscene_expect(&scene, "GET /function", NULL, NULL, 200, "by itself");
    webscene_expect(&scene, "UNKNOWN /function", NULL, NULL, 200, "by itself");
    webscene_expect(&scene, "POST /function", "Content-Type: multipart/form-data\r\n", "body", 200, "body");
    webscene_expect(&scene, "GET /inner/a", NULL, NULL, 200, "inner");
    webscene_expect(&scene, "GET /inner/b", NULL, NULL, 404, NULL);
    webscene_expect(&scene, "POST /inner/b", NULL, "body", 404, NULL);
    struct httpscene_client *client = httpscene_connect(&scene.http);
    httpscene_put(&scene.http, client,
                  "POST /inner/up HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\nab");
    httpscene_settle(&scene.http);
    webscene_expect_notes("ab ");
    httpscene_put(&scene.http, client, "cd");
    assert_int_equal(webscene_read(&scene, client, "POST"), 200);
    assert_string_equal(scene.body, "up");
    webscene_expect_notes("cd ");
    web_application_close(application.arg);
    webscene_close(&scene);
}

static void serve_from_other(struct httpscene *scene, struct httprequest *request)
{
    static struct web_application *app;

    if (request == NULL) {
        web_application_close(app);
        app = NULL;
        return;
    }
    if (app == NULL)
        app = web_application_new(of_inner, &(struct web_settings){ .loop = scene->loop });
    web_application_serve(request, app);
}

static void another_server_may_use_an_application(void **state)
{
    struct httpscene scene;

    httpscene_open(&scene, NULL);
    scene.on_request = serve_from_other;
    struct httpscene_client *client = httpscene_connect(&scene);
    httpscene_put(&scene, client, "GET /inner/a HTTP/1.1\r\nHost: a\r\n\r\n");
    httpscene_expect(&scene, client, 200, "inner");
    /* It does not tell of heads: the body comes at once. */
    httpscene_put(&scene, client, "POST /inner/up HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd");
    httpscene_expect(&scene, client, 200, "up");
    webscene_expect_notes("abcd ");
    httpscene_put(&scene, client, "POST /inner/up HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    httpscene_expect(&scene, client, 200, "up");
    webscene_expect_notes("");
    serve_from_other(&scene, NULL);
    httpscene_close(&scene);
}

/* Then pieces come as they come, and what a handler says of its bodies holds. */
static void another_server_may_tell_an_application_of_heads(void **state)
{
    static const char little[] = "POST /inner/little HTTP/1.1\r\nHost: a\r\n";
    struct webscene scene;

    webscene_open(&scene, of_inner, NULL);
    struct httpserver *other = httpserver_new(scene.http.loop, web_application_serve, scene.app,
                                              &(struct httpserver_options){ .on_head = web_application_serve_head });
    assert_non_null(other);
    scene.http.port = httpserver_listen(other, 0, &(struct netutil_bind_options){ .address = "127.0.0.1" });
    struct httpscene_client *client = httpscene_connect(&scene.http);
    httpscene_put(&scene.http, client, "POST /inner/up HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
    httpscene_settle(&scene.http);
    webscene_expect_notes("ab ");
    httpscene_put(&scene.http, client, "cd");
    httpscene_expect(&scene.http, client, 200, "up");
    webscene_expect_notes("cd ");
    httpscene_put(&scene.http, client, little);
    httpscene_put(&scene.http, client, "Content-Length: 4\r\n\r\nabcd");
    httpscene_expect(&scene.http, client, 200, "4");
    httpscene_put(&scene.http, client, little);
    httpscene_put(&scene.http, client, "Content-Length: 5\r\n\r\n");
    httpscene_expect_last(&scene.http, client, 413);
    client = httpscene_connect(&scene.http);
    httpscene_put(&scene.http, client, little);
    httpscene_put(&scene.http, client, "Content-Length: 4\r\n\r\nabc");
    httpscene_expect_nothing(&scene.http, client);
    httpscene_pass(&scene.http, 3);
    httpscene_expect_last(&scene.http, client, 408);
    httpserver_close(other);
    webscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_error_is_for_any_method_and_needs_no_token),
    cmocka_unit_test(a_redirect_fills_in_arguments_and_appends_the_query),
    cmocka_unit_test(a_redirect_may_be_temporary),
    cmocka_unit_test(a_fallback_is_another_function_or_application),
    cmocka_unit_test(another_server_may_use_an_application),
    cmocka_unit_test(another_server_may_tell_an_application_of_heads),
};

TESTING_MAIN(tests)
