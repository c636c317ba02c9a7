/* URLs of a request, and those it is sent to. web_static_url is in test_webstatic_url.c. */
#include <stdio.h>
#include <string.h>

#include "httpserver/web.h"
#include "tests/support/testing.h"
#include "tests/support/webscene.h"

static void say_slashless(struct web_request *request)
{
    bool goes_on = web_removeslash(request);

    assert_int_equal(goes_on, !web_finished(request));
    if (goes_on)
        web_write(request, "without");
}

static void say_slashed(struct web_request *request)
{
    bool goes_on = web_addslash(request);

    assert_int_equal(goes_on, !web_finished(request));
    if (goes_on)
        web_write(request, "with");
}

static void say_urls(struct web_request *request)
{
    static char long_text[5000];
    const char *argument = "a/b c", *long_argument = memset(long_text, ' ', sizeof long_text - 1);

    web_printf(request, "%s %s", web_full_url(request), web_reverse_url(request, "named", &argument, 1));
    const char *long_url = web_reverse_url(request, "named", &long_argument, 1);
    assert_non_null(long_url);
    assert_int_equal(strlen(long_url), strlen("/named/") + 3 * (sizeof long_text - 1));
    assert_null(web_reverse_url(request, "nobody", NULL, 0));
    assert_null(web_reverse_url(request, "named", NULL, 0));
    assert_null(web_reverse_url(request, "named", &(const char *){ NULL }, 1));
    assert_null(web_static_url(request, "robots.txt", false, false)); /* there is no static_path */
}

static const struct web_handler slashless = { .get = say_slashless, .head = say_slashless, .post = say_slashless };
static const struct web_handler slashed = { .get = say_slashed, .head = say_slashed, .post = say_slashed };
static const struct web_handler urls = { .get = say_urls };
static const struct web_route routes[] = {
    { .pattern = "/urls", .handler = &urls },
    { .pattern = "/named/(.*)", .handler = &urls, .name = "named" },
    { .pattern = "/add.*|//.*add", .handler = &slashed },
    { .pattern = ".*", .handler = &slashless },
    { 0 },
};

/* web_test:test_removeslash, web_test:test_addslash */
static void a_slash_at_the_end_is_added_or_removed(void **state)
{
    static const struct {
        const char *request;
        int status;
        const char *location;
    } cases[] = {
        { "GET /removeslash", 200, NULL },
        { "GET /removeslash/", 301, "/removeslash" },
        { "GET /removeslash///", 301, "/removeslash" },
        { "GET /removeslash/?foo=bar", 301, "/removeslash?foo=bar" },
        { "GET /removeslash/?foo=bar/", 301, "/removeslash?foo=bar/" },
        { "HEAD /removeslash/", 301, "/removeslash" },
        { "POST /removeslash/", 404, NULL },
        { "GET /", 200, NULL },
        { "GET ///", 200, NULL },
        { "GET //evil.com/", 301, "/evil.com" },
        { "GET ///evil.com/", 301, "/evil.com" },
        { "GET /%5Cevil.com/", 301, "/%5Cevil.com" },
        { "GET /\\evil.com/", 301, "/evil.com" },
        { "GET /addslash/", 200, NULL },
        { "GET /addslash", 301, "/addslash/" },
        { "GET /addslash?", 301, "/addslash/?" },
        { "GET /addslash?foo=bar", 301, "/addslash/?foo=bar" },
        { "HEAD /addslash", 301, "/addslash/" },
        { "POST /addslash", 404, NULL },
        { "GET //evil.com/add", 301, "/evil.com/add/" },
    };
    struct webscene scene;

    webscene_open(&scene, routes, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int status = webscene_ask(&scene, cases[i].request, NULL, NULL);
        const char *location = webscene_header(&scene, "Location");

        if (status != cases[i].status || (location == NULL) != (cases[i].location == NULL) ||
            (location != NULL && strcmp(location, cases[i].location) != 0))
            fail_msg("%s: %d, %s", cases[i].request, status, location);
    }
    webscene_close(&scene);
}

static void urls_of_a_request_are_complete(void **state)
{
    struct webscene scene;

    webscene_open(&scene, routes, &(struct web_settings){ .server.xheaders = true });
    webscene_expect(&scene, "GET /urls?a=b", "Host: example.org:8080\r\n", NULL, 200,
                    "http://example.org:8080/urls?a=b /named/a/b%20c");
    webscene_expect(&scene, "GET /urls", "X-Scheme: https\r\n", NULL, 200, "https://example.org/urls /named/a/b%20c");
    webscene_expect(&scene, "GET http://example.org/urls?x", NULL, NULL, 200,
                    "http://example.org/urls?x /named/a/b%20c");
    struct httpscene_client *client = httpscene_connect(&scene.http);
    httpscene_put(&scene.http, client, "GET /urls HTTP/1.0\r\n\r\n");
    assert_int_equal(webscene_read(&scene, client, "GET"), 200);
    assert_string_equal(scene.body, "http://127.0.0.1/urls /named/a/b%20c");
    client = httpscene_connect(&scene.http);
    httpscene_put(&scene.http, client, "GET http://example.org:8080/urls?a HTTP/1.0\r\n\r\n");
    assert_int_equal(webscene_read(&scene, client, "GET"), 200);
    assert_string_equal(scene.body, "http://example.org:8080/urls?a /named/a/b%20c");
    webscene_close(&scene);
}

static void what_leads_to_another_host_is_not_local(void **state)
{
    static const struct {
        const char *url;
        bool is_local;
    } cases[] = {
        { "/", true },
        { "/a/b?c=http://d#e", true },
        { "/a//b", true },
        { "/.//a", true },
        { "/\xc3\xa4", true },
        { NULL, false },
        { "", false },
        { "a", false },
        { "?a", false },
        { "//evil.com", false },
        { "///evil.com", false },
        { "/\\evil.com", false },
        { "\\/evil.com", false },
        { "/\t/evil.com", false },
        { "/a\t/evil.com", false },
        { "/\n/evil.com", false },
        { "\t//evil.com", false },
        { " /a", false },
        { "/ a", false },
        { "/a\x7f", false },
        { "http://evil.com", false },
        { "javascript:alert(1)", false },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (web_is_local_url(cases[i].url) != cases[i].is_local)
            fail_msg("%s", cases[i].url != NULL ? cases[i].url : "NULL");
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_slash_at_the_end_is_added_or_removed),
    cmocka_unit_test(urls_of_a_request_are_complete),
    cmocka_unit_test(what_leads_to_another_host_is_not_local),
};

TESTING_MAIN(tests)
