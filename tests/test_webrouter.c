/* Which route serves a request: paths, hosts, routers of the program's own; and paths of their names. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "httpserver/web.h"
#include "tests/support/testing.h"
#include "tests/support/webscene.h"

#define LONGEST_HOST 255

static void say_arg(struct web_request *request)
{
    web_write(request, web_route_arg(request));
}

static void say_groups(struct web_request *request)
{
    for (size_t i = 0; i < 4; i++) {
        const char *argument = web_path_argument(request, i);

        if (argument != NULL)
            web_printf(request, "[%s]", argument);
        else if (i < 2)
            web_write(request, "[]!");
    }
}

static void say_names(struct web_request *request)
{
    const char *path = web_path_argument_named(request, "path");

    assert_null(web_path_argument_named(request, "nobody"));
    web_printf(request, "path=%s", path != NULL ? path : "none");
}

static const struct web_handler says_arg = { .get = say_arg, .post = say_arg };
static const struct web_handler says_groups = { .get = say_groups };
static const struct web_handler says_groups_early = { .get = say_groups, .prepare = say_groups };
static const struct web_handler says_names = { .get = say_names, .prepare = say_names };

/* Paths. */

static void the_first_route_that_matches_serves(void **state)
{
    static const struct web_route routes[] = {
        { .pattern = "/a", .handler = &says_arg, .arg = "first" },
        { .pattern = "/a", .handler = &says_arg, .arg = "second" },
        { .pattern = "/a.*", .handler = &says_arg, .arg = "third" },
        { .pattern = "//a", .handler = &says_arg, .arg = "two slashes" },
        { .pattern = "/none", .handler = NULL },
        { 0 },
    };
    struct webscene scene;

    webscene_open(&scene, routes, NULL);
    webscene_expect(&scene, "GET /a", NULL, NULL, 200, "first");
    webscene_expect(&scene, "GET /a?query=/b", NULL, NULL, 200, "first");
    webscene_expect(&scene, "GET /ab", NULL, NULL, 200, "third");
    webscene_expect(&scene, "GET //a", NULL, NULL, 200, "two slashes"); /* httpserver_test:test_double_slash */
    webscene_expect(&scene, "GET http://example.org/a", NULL, NULL, 200, "first");
    webscene_expect(&scene, "GET /A", NULL, NULL, 404, NULL);
    webscene_expect(&scene, "GET /none", NULL, NULL, 404, NULL);
    webscene_close(&scene);
}

/* web_test:test_group_question_mark, web_test:test_group_encoding, web_test:test_slashes, web_test:test_optional_path,
 * web_test:test_decode_argument_plus, web_test:test_pos */
static void groups_are_decoded_behind_the_match(void **state)
{
    static const struct {
        const char *request, *body;
    } cases[] = {
        { "GET /one/%3F", "[?][]!" },
        { "GET /one/%3Fa?b", "[?a][]!" },
        { "GET /one/%C3%A9", "[\xc3\xa9][]!" },
        { "GET /one/a%2Fb%2fc", "[a/b/c][]!" },
        { "GET /one/1+1", "[1+1][]!" },
        { "GET /one/%20%25", "[ %][]!" },
        { "GET /one/", "[][]!" },
        { "GET /two/a%2Fb/c%2Fd", "[a/b][c/d]" },
        { "GET /slashes/foo%2Fbar", "[foo/bar][]!" },
        { "GET /slashes/foo/bar", NULL },
        { "GET /optional/", "[]![]!" },
        { "GET /optional/x", "[x][]!" },
        { "GET /early/x", "[x][]![x][]!" },
        { "GET /nested/a-b", "[a-b][a][b]" },
    };
    static const struct web_route routes[] = {
        { .pattern = "/one/(.*)", .handler = &says_groups },
        { .pattern = "/two/([^/]+)/([^/]+)", .handler = &says_groups },
        { .pattern = "/slashes/([^/]+)", .handler = &says_groups },
        { .pattern = "/optional/(.+)?", .handler = &says_groups },
        { .pattern = "/early/(.*)", .handler = &says_groups_early },
        { .pattern = "/nested/((.)-(.))", .handler = &says_groups },
        { 0 },
    };
    struct webscene scene;

    webscene_open(&scene, routes, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        webscene_expect(&scene, cases[i].request, NULL, NULL, cases[i].body != NULL ? 200 : 404, cases[i].body);
    webscene_close(&scene);
}

static void groups_may_be_long(void **state)
{
    static const struct web_route routes[] = { { .pattern = "/((.*)x)", .handler = &says_groups }, { 0 } };
    char request[2048], path[1024];
    struct webscene scene;

    webscene_open(&scene, routes, NULL);
    for (size_t length = 100; length < 1000; length += 100) {
        memset(path, 'y', length);
        memcpy(path + length, "x", 2);
        snprintf(request, sizeof request, "GET /%s", path);
        webscene_expect(&scene, request, NULL, NULL, 200, NULL);
        assert_int_equal(strlen(scene.body), 2 * length + 5);
        for (size_t i = 0; i < length; i++)
            assert_true(scene.body[1 + i] == 'y' && scene.body[length + 4 + i] == 'y');
        assert_int_equal(scene.body[length + 1], 'x');
    }
    webscene_close(&scene);
}

/* web_test:test_named_urlspec_groups, web_test:test_kw */
static void groups_have_names(void **state)
{
    static const struct web_route routes[] = { { .pattern = "/str/(?P<path>.*)", .handler = &says_names },
                                               { .pattern = "/other/(.)(?P<path>.)?", .handler = &says_names },
                                               { .pattern = "/", .handler = &says_names },
                                               { 0 } };
    struct webscene scene;

    webscene_open(&scene, routes, NULL);
    webscene_expect(&scene, "GET /str/bar", NULL, NULL, 200, "path=barpath=bar");
    webscene_expect(&scene, "GET /other/ab", NULL, NULL, 200, "path=bpath=b");
    webscene_expect(&scene, "GET /other/a", NULL, NULL, 200, "path=nonepath=none");
    webscene_expect(&scene, "GET /", NULL, NULL, 200, "path=nonepath=none");
    webscene_close(&scene);
}

/* web_test:test_decode_argument_invalid_unicode: of a path. */
static void a_group_that_is_no_text_is_400(void **state)
{
    static const char *const paths[] = { "%00", "a%00b", "%FF", "%C3", "%C0%AE", "%ED%A0%80", "%zz", "%", "%4", "x%" };
    static const struct web_route routes[] = { { .pattern = "/(.*)", .handler = &says_groups_early }, { 0 } };
    char request[64];
    struct webscene scene;

    webscene_open(&scene, routes, NULL);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        snprintf(request, sizeof request, "GET /%s", paths[i]);
        webscene_expect(&scene, request, NULL, NULL, 400, NULL);
    }
    webscene_close(&scene);
}

/* Hosts. */

static const struct web_route of_www[] = { { .pattern = "/foo", .handler = &says_arg, .arg = "www foo" },
                                           { .pattern = "/bar", .handler = &says_arg, .arg = "www bar" },
                                           { 0 } };
static const struct web_route of_wildcard[] = { { .pattern = "/baz", .handler = &says_arg, .arg = "wildcard baz" },
                                                { .pattern = "/foo", .handler = &says_arg, .arg = "wildcard foo" },
                                                { 0 } };
static const struct web_route of_all[] = { { .pattern = "/foo", .handler = &says_arg, .arg = "all foo" }, { 0 } };

static int ask_host(struct webscene *scene, const char *host, const char *target)
{
    char headers[512], request[64];

    snprintf(headers, sizeof headers, "Host: %s\r\n", host);
    snprintf(request, sizeof request, "GET %s", target);
    return webscene_ask(scene, request, headers, NULL);
}

/* web_test:test_host_matching, routing_test:test_rule_based_router */
/* Files of the application come first of all but those. */
static void routes_of_a_host_come_before_files(void **state)
{
    struct webscene scene;

    webscene_open(&scene, of_all, &(struct web_settings){ .static_path = "/nowhere" });
    assert_int_equal(web_application_add_routes(scene.app, "www.example.com", of_www), 0);
    assert_int_equal(ask_host(&scene, "www.example.com", "/foo"), 200);
    assert_string_equal(scene.body, "www foo");
    assert_int_equal(ask_host(&scene, "example.org", "/foo"), 200);
    assert_string_equal(scene.body, "all foo");
    webscene_close(&scene);
}

static void hosts_have_routes_of_their_own(void **state)
{
    static const struct {
        const char *host, *target, *body;
    } cases[] = {
        { "www.example.com", "/foo", "www foo" },
        { "WWW.Example.Com:8080", "/foo", "www foo" },
        { "www.example.com", "/baz", "wildcard baz" },
        { "www1.example.com", "/foo", "wildcard foo" },
        { "www1.example.com", "/bar", NULL },
        { "example.org", "/foo", "all foo" },
        { "wwwxexample.com", "/foo", "all foo" },
        { "a.www.example.com", "/bar", NULL },
        { "example.org", "/bar", NULL },
        { "[::1]:80", "/foo", "loopback" },
    };
    static const struct web_route loopback[] = { { .pattern = "/foo", .handler = &says_arg, .arg = "loopback" },
                                                 { 0 } };
    struct webscene scene;

    webscene_open(&scene, of_all, NULL);
    assert_int_equal(web_application_add_routes(scene.app, "www.example.com", of_www), 0);
    assert_int_equal(web_application_add_routes(scene.app, "www[0-9]*\\.example\\.com", of_wildcard), 0);
    assert_int_equal(web_application_add_routes(scene.app, "::1", loopback), 0);
    assert_int_equal(web_application_add_routes(scene.app, "(", of_www), -EINVAL);
    assert_int_equal(web_application_add_routes(scene.app, "x", (struct web_route[]){ { .pattern = "(" }, { 0 } }),
                     -EINVAL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int status = ask_host(&scene, cases[i].host, cases[i].target);

        if (status != (cases[i].body != NULL ? 200 : 404))
            fail_msg("%s%s: %d", cases[i].host, cases[i].target, status);
        if (cases[i].body != NULL)
            assert_string_equal(scene.body, cases[i].body);
    }
    webscene_close(&scene);
}

static void a_host_has_a_longest_name(void **state)
{
    char host[LONGEST_HOST + 2];
    struct webscene scene;

    webscene_open(&scene, of_all, NULL);
    assert_int_equal(web_application_add_routes(scene.app, "a+", of_www), 0);
    for (size_t length = LONGEST_HOST - 1; length <= LONGEST_HOST + 1; length++) {
        memset(host, 'a', length);
        host[length] = '\0';
        assert_int_equal(ask_host(&scene, host, "/foo"), 200);
        assert_string_equal(scene.body, length <= LONGEST_HOST ? "www foo" : "all foo");
    }
    webscene_close(&scene);
}

/* web_test:test_default_host_matching. A header that anybody can send changes nothing unless there is a proxy. */
static void unknown_hosts_are_the_default_host(void **state)
{
    for (int xheaders = 0; xheaders < 2; xheaders++) {
        struct webscene scene;

        webscene_open(&scene, of_all,
                      &(struct web_settings){ .default_host = "www.example.com", .server.xheaders = xheaders });
        assert_int_equal(web_application_add_routes(scene.app, "www.example.com", of_www), 0);
        assert_int_equal(ask_host(&scene, "127.0.0.1", "/bar"), 200);
        assert_string_equal(scene.body, "www bar");
        assert_int_equal(ask_host(&scene, "127.0.0.1", "/foo"), 200);
        assert_string_equal(scene.body, "all foo");
        assert_int_equal(ask_host(&scene, "127.0.0.1", "/baz"), 404);
        webscene_expect(&scene, "GET /bar", "X-Real-Ip: 127.0.0.1\r\n", NULL, xheaders ? 404 : 200, NULL);
        webscene_close(&scene);
    }
}

static void a_request_without_host_is_of_the_default_host(void **state)
{
    struct webscene scene;

    webscene_open(&scene, of_all, &(struct web_settings){ .default_host = "www.example.com" });
    assert_int_equal(web_application_add_routes(scene.app, "www.example.com", of_www), 0);
    struct httpscene_client *client = httpscene_connect(&scene.http);
    httpscene_put(&scene.http, client, "GET /bar HTTP/1.0\r\n\r\n");
    assert_int_equal(webscene_read(&scene, client, "GET"), 200);
    assert_string_equal(scene.body, "www bar");
    webscene_close(&scene);
}

/* RFC 3986 3.2.2; but an expression may mean something by a capital letter. */
static void the_case_of_a_host_means_nothing(void **state)
{
    static const char *const hosts[] = { "WWW.example.COM", "www.example.com", "Www.Example.Com:80" };
    struct webscene scene;

    for (size_t i = 0; i < 3; i++) {
        webscene_open(&scene, of_all, &(struct web_settings){ .default_host = "WWW.Example.com" });
        assert_int_equal(web_application_add_routes(scene.app, "Www.EXAMPLE.com", of_www), 0);
        assert_int_equal(ask_host(&scene, hosts[i], "/bar"), 200);
        assert_string_equal(scene.body, "www bar");
        assert_int_equal(ask_host(&scene, "127.0.0.1", "/bar"), 200); /* the default */
        assert_string_equal(scene.body, "www bar");
        webscene_close(&scene);
    }
    webscene_open(&scene, of_all, NULL);
    assert_int_equal(web_application_add_routes(scene.app, "(?P<Name>[^A-Z]*)\\.example\\.com", of_www), 0);
    assert_int_equal(ask_host(&scene, "WWW.example.com", "/foo"), 200);
    assert_string_equal(scene.body, "www foo");
    webscene_close(&scene);
}

/* RFC 9112 3.2.2: with a whole URL for a target the host is that of the target. HTTP/1.0 has no Host. */
static void the_target_may_name_the_host(void **state)
{
    static const struct {
        const char *target, *body;
    } cases[] = {
        { "http://www.example.com/bar", "www bar" },
        { "http://WWW.Example.Com:8080/bar?x", "www bar" },
        { "http://other.example.com/foo", "all foo" },
    };
    char text[128];
    struct webscene scene;

    webscene_open(&scene, of_all, NULL);
    assert_int_equal(web_application_add_routes(scene.app, "www.example.com", of_www), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct httpscene_client *client = httpscene_connect(&scene.http);

        snprintf(text, sizeof text, "GET %s HTTP/1.0\r\n\r\n", cases[i].target);
        httpscene_put(&scene.http, client, text);
        assert_int_equal(webscene_read(&scene, client, "GET"), 200);
        assert_string_equal(scene.body, cases[i].body);
    }
    webscene_close(&scene);
}

/* RFC 9110 4.2.3: it is that of "/", but with OPTIONS, where it is the server's. */
static void an_empty_path_is_the_root(void **state)
{
    static const struct web_handler says_group = { .get = say_groups, .options = say_groups };
    static const struct web_route roots[] = { { .pattern = "/", .handler = &says_arg, .arg = "root" },
                                              { .pattern = "(.*)", .handler = &says_group },
                                              { 0 } };
    static const struct {
        const char *request, *host, *body;
    } cases[] = {
        { "GET http://a", "a", "root" },      { "GET http://a?q", "a", "root" },
        { "GET http://a/", "a", "root" },     { "GET http://www.example.com?q", "www.example.com", "[/][]!" },
        { "OPTIONS http://a", "a", "[][]!" },
    };
    static const struct web_route of_group[] = { { .pattern = "(.*)", .handler = &says_group }, { 0 } };
    char host[64];
    struct webscene scene;

    webscene_open(&scene, roots, NULL);
    assert_int_equal(web_application_add_routes(scene.app, "www.example.com", of_group), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(host, sizeof host, "Host: %s\r\n", cases[i].host);
        webscene_expect(&scene, cases[i].request, host, NULL, 200, cases[i].body);
    }
    webscene_close(&scene);
}

/* What matches nothing. */

/* web_test:test_404 */
static void what_no_route_matches_is_404(void **state)
{
    struct webscene scene;

    webscene_open(&scene, of_all, NULL);
    webscene_expect(&scene, "GET /nothing", NULL, NULL, 404,
                    "<html><title>404: Not Found</title><body>404: Not Found</body></html>");
    webscene_expect_header(&scene, "Content-Type", "text/html; charset=UTF-8");
    webscene_expect(&scene, "UNKNOWN /nothing", NULL, "body", 404, NULL);
    webscene_expect(&scene, "POST /nothing", "Content-Type: multipart/form-data\r\n", "not one", 404, NULL);
    webscene_close(&scene);
    webscene_open(&scene, NULL, NULL);
    webscene_expect(&scene, "GET /", NULL, NULL, 404, NULL);
    webscene_close(&scene);
}

static void refuse(struct web_request *request)
{
    web_send_error(request, 403);
}

/* web_test:test_403, web_test:test_404: of a handler of the program's own. */
static void there_may_be_a_default_route(void **state)
{
    static const struct web_error forbidden = { 403 };
    static const struct web_handler refuses = { .prepare = refuse, .get = say_arg };
    struct webscene scene;

    webscene_open(&scene, NULL,
                  &(struct web_settings){ .default_route = { .handler = &web_error_handler, .arg = &forbidden } });
    webscene_expect(&scene, "GET /", NULL, NULL, 403, NULL);
    webscene_close(&scene);
    webscene_open(&scene, NULL, &(struct web_settings){ .default_route = { .handler = &says_arg, .arg = "default" } });
    webscene_expect(&scene, "GET /", NULL, NULL, 200, "default");
    webscene_close(&scene);
    webscene_open(&scene, NULL, &(struct web_settings){ .default_route = { .handler = &refuses } });
    webscene_expect(&scene, "GET /", NULL, NULL, 403, NULL);
    webscene_close(&scene);
}

/* Routers of the program's own. */

static const struct web_route by_get = { .handler = &says_arg, .arg = "by GET" };
static const struct web_route by_post = { .handler = &says_arg, .arg = "by POST" };

static const struct web_route *route_by_method(struct web_application *app, struct httprequest *request, void *arg)
{
    const char *method = httprequest_method(request);

    assert_string_equal(arg, "the router's");
    assert_ptr_equal(web_application_arg(app), arg);
    if (!httprequest_path_is(request, "/method"))
        return NULL;
    return strcmp(method, "GET") == 0 ? &by_get : strcmp(method, "POST") == 0 ? &by_post : NULL;
}

/* routing_test:test_basic_router, routing_test:test_http_method_router, routing_test:test_custom_router */
static void a_router_is_asked_before_the_routes(void **state)
{
    static const struct web_route routes[] = { { .pattern = "/method", .handler = &says_arg, .arg = "routes" },
                                               { .pattern = "/(.*)", .handler = &says_groups },
                                               { 0 } };
    struct webscene scene;

    webscene_open(&scene, routes, &(struct web_settings){ .find_route = route_by_method, .arg = "the router's" });
    webscene_expect(&scene, "GET /method", NULL, NULL, 200, "by GET");
    webscene_expect(&scene, "POST /method", NULL, "body", 200, "by POST");
    webscene_expect(&scene, "GET /other", NULL, NULL, 200, "[other][]!");
    webscene_expect(&scene, "PUT /method", NULL, NULL, 405, NULL);
    webscene_close(&scene);
}

/* Names. */

/* web_test:test_reverse_url */
static void routes_are_found_by_name(void **state)
{
    static const struct web_route routes[] = {
        { .pattern = "/", .handler = &says_arg },
        { .pattern = "/decode_arg/(.*)", .handler = &says_arg, .name = "decode_arg" },
        { .pattern = "/any/.*", .handler = &says_arg, .name = "any" },
        { 0 },
    };
    static const struct web_route of_host[] = { { .pattern = "/h", .handler = &says_arg, .name = "of a host" }, { 0 } };
    static const struct web_route of_next[] = { { .pattern = "/ij", .handler = &says_arg, .name = "next" }, { 0 } };
    static const struct {
        const char *argument, *path;
    } cases[] = {
        { "foo", "/decode_arg/foo" },           { "42", "/decode_arg/42" },
        { "\xe9", "/decode_arg/%E9" },          { "\xc3\xa9", "/decode_arg/%C3%A9" },
        { "1 + 1", "/decode_arg/1%20%2B%201" },
    };
    char place[64];
    struct webscene scene;

    webscene_open(&scene, routes, NULL);
    assert_int_equal(web_application_add_routes(scene.app, "h", of_host), 0);
    assert_int_equal(web_application_add_routes(scene.app, "i", of_next), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ssize_t length =
            web_application_reverse_url(scene.app, "decode_arg", &cases[i].argument, 1, place, sizeof place);
        assert_int_equal(length, strlen(cases[i].path));
        assert_string_equal(place, cases[i].path);
    }
    assert_int_equal(web_application_reverse_url(scene.app, "of a host", NULL, 0, place, sizeof place), 2);
    assert_int_equal(web_application_reverse_url(scene.app, "next", NULL, 0, place, sizeof place), 3);
    assert_int_equal(web_application_reverse_url(scene.app, "nobody", NULL, 0, place, sizeof place), -ENOENT);
    assert_int_equal(web_application_reverse_url(scene.app, "any", NULL, 0, place, sizeof place), -EINVAL);
    assert_int_equal(web_application_reverse_url(scene.app, "decode_arg", NULL, 0, place, sizeof place), -EINVAL);
    assert_int_equal(web_application_reverse_url(scene.app, "of a host", NULL, 0, place, 2), -ENOBUFS);
    webscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_first_route_that_matches_serves),
    cmocka_unit_test(groups_are_decoded_behind_the_match),
    cmocka_unit_test(groups_may_be_long),
    cmocka_unit_test(groups_have_names),
    cmocka_unit_test(a_group_that_is_no_text_is_400),
    cmocka_unit_test(routes_of_a_host_come_before_files),
    cmocka_unit_test(hosts_have_routes_of_their_own),
    cmocka_unit_test(a_host_has_a_longest_name),
    cmocka_unit_test(unknown_hosts_are_the_default_host),
    cmocka_unit_test(a_request_without_host_is_of_the_default_host),
    cmocka_unit_test(the_case_of_a_host_means_nothing),
    cmocka_unit_test(the_target_may_name_the_host),
    cmocka_unit_test(an_empty_path_is_the_root),
    cmocka_unit_test(what_no_route_matches_is_404),
    cmocka_unit_test(there_may_be_a_default_route),
    cmocka_unit_test(a_router_is_asked_before_the_routes),
    cmocka_unit_test(routes_are_found_by_name),
};

TESTING_MAIN(tests)
