#include "httpserver/web.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/testing.h"
#include "tests/support/webscene.h"

static void set_defaults(struct web_request *request)
{
    web_set_header(request, "X-Default", "yes");
}

static void send_status_of_query(struct web_request *request)
{
    const char *reason = web_get_argument(request, "reason", "");
    const char *digits = web_get_argument(request, "status", "500"), *why = web_get_argument(request, "why", "");
    int status = 0;

    web_set_header(request, "X-Gone", "1");
    web_set_cookie(request, "stays", "1", NULL);
    web_write(request, "what there was");
    while (*digits != '\0')
        status = status * 10 + (*digits++ - '0');
    web_send_error_because(request, status, reason[0] != '\0' ? reason : NULL, why[0] != '\0' ? why : NULL);
    assert_true(web_finished(request));
    web_write(request, "too late");
}

static void write_own_page(struct web_request *request, int status)
{
    assert_int_equal(web_get_status(request), status);
    web_set_header(request, "Content-Type", "text/plain");
    web_printf(request, "Status: %d", status);
}

static void finish_own_page(struct web_request *request, int status)
{
    write_own_page(request, status);
    web_finish(request);
}

static void fail_again(struct web_request *request, int status)
{
    web_write(request, "half a page");
    web_send_error(request, 503);
    assert_true(web_finished(request));
    web_write(request, "the other half");
    web_send_error(request, 504);
}

static void flush_and_fail(struct web_request *request)
{
    web_write(request, "the beginning");
    web_flush(request, NULL, NULL);
    web_write(request, "the middle");
    web_send_error(request, 500);
    assert_true(web_finished(request));
}

static void flush_all_and_fail(struct web_request *request)
{
    web_set_header(request, "Content-Length", "3");
    web_write(request, "all");
    web_flush(request, NULL, NULL);
    web_send_error(request, 500);
}

static void fail_in_defaults(struct web_request *request)
{
    web_send_error(request, 404);
}

static const struct web_handler usual = { .get = send_status_of_query, .set_default_headers = set_defaults };
static const struct web_handler own = { .get = send_status_of_query, .write_error = write_own_page };
static const struct web_handler finishing = { .get = send_status_of_query, .write_error = finish_own_page };
static const struct web_handler failing = { .get = send_status_of_query, .write_error = fail_again };
static const struct web_handler flushing = { .get = flush_and_fail };
static const struct web_handler flushing_all = { .get = flush_all_and_fail };
static const struct web_handler failing_always = { .get = send_status_of_query,
                                                   .set_default_headers = fail_in_defaults };

static const struct web_route routes[] = { { .pattern = "/", .handler = &usual },
                                           { .pattern = "/own", .handler = &own },
                                           { .pattern = "/finishing", .handler = &finishing },
                                           { .pattern = "/failing", .handler = &failing },
                                           { .pattern = "/flushing", .handler = &flushing },
                                           { .pattern = "/flushing/all", .handler = &flushing_all },
                                           { .pattern = "/always", .handler = &failing_always },
                                           { 0 } };

/* web_test:test_default, web_test:test_raise_with_reason, web_test:test_reason_xss, web_test:test_header_injection */
static void the_page_has_status_and_reason(void **state)
{
    static const struct {
        const char *query, *line, *body;
    } cases[] = {
        { "", "HTTP/1.1 500 Internal Server Error\r\n",
          "<html><title>500: Internal Server Error</title><body>500: Internal Server Error</body></html>" },
        { "status=503", "HTTP/1.1 503 Service Unavailable\r\n",
          "<html><title>503: Service Unavailable</title><body>503: Service Unavailable</body></html>" },
        { "status=435", "HTTP/1.1 435 Unknown\r\n",
          "<html><title>435: Unknown</title><body>435: Unknown</body></html>" },
        { "status=682&reason=Foo", "HTTP/1.1 682 Foo\r\n",
          "<html><title>682: Foo</title><body>682: Foo</body></html>" },
        { "status=400&reason=a%26%22b%27", "HTTP/1.1 400 a&\"b'\r\n",
          "<html><title>400: a&amp;&quot;b&#x27;</title><body>400: a&amp;&quot;b&#x27;</body></html>" },
        { "status=400&reason=%3Cscript%3E", "HTTP/1.1 400 Unknown\r\n",
          "<html><title>400: Unknown</title><body>400: Unknown</body></html>" },
        { "status=400&reason=a%0D%0AX-Injected:1", "HTTP/1.1 400 Unknown\r\n",
          "<html><title>400: Unknown</title><body>400: Unknown</body></html>" },
        { "status=999", "HTTP/1.1 999 Unknown\r\n",
          "<html><title>999: Unknown</title><body>999: Unknown</body></html>" },
        { "status=1000", "HTTP/1.1 500 Internal Server Error\r\n",
          "<html><title>500: Internal Server Error</title><body>500: Internal Server Error</body></html>" },
        { "status=100", "HTTP/1.1 500 Internal Server Error\r\n",
          "<html><title>500: Internal Server Error</title><body>500: Internal Server Error</body></html>" },
        { "status=9999", "HTTP/1.1 500 Internal Server Error\r\n",
          "<html><title>500: Internal Server Error</title><body>500: Internal Server Error</body></html>" },
    };
    char request[128];
    struct webscene scene;

    webscene_open(&scene, routes, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(request, sizeof request, "GET /?%s", cases[i].query);
        webscene_ask(&scene, request, NULL, NULL);
        if (strncmp(scene.text, cases[i].line, strlen(cases[i].line)) != 0)
            fail_msg("%s: %s", cases[i].line, scene.text);
        if (strcmp(scene.body, cases[i].body) != 0)
            fail_msg("%s: %s", cases[i].body, scene.body);
        webscene_expect_header(&scene, "X-Injected", NULL);
    }
    webscene_close(&scene);
}

static void an_error_forgets_all_headers_but_cookies(void **state)
{
    struct webscene scene;

    webscene_open(&scene, routes, NULL);
    webscene_expect(&scene, "GET /", NULL, NULL, 500, NULL);
    webscene_expect_header(&scene, "X-Gone", NULL);
    webscene_expect_header(&scene, "X-Default", "yes");
    webscene_expect_header(&scene, "Set-Cookie", "stays=1; Path=/");
    webscene_expect_header(&scene, "Content-Type", "text/html; charset=UTF-8");
    webscene_expect_header(&scene, "Etag", NULL);
    webscene_close(&scene);
}

/* web_test:test_write_error */
static void a_handler_may_write_its_own_page(void **state)
{
    struct webscene scene;

    webscene_open(&scene, routes, NULL);
    for (int i = 0; i < 2; i++) {
        webscene_expect(&scene, i == 0 ? "GET /own?status=503" : "GET /finishing?status=503", NULL, NULL, 503,
                        "Status: 503");
        webscene_expect_header(&scene, "Content-Type", "text/plain");
    }
    webscene_expect(&scene, "POST /own", NULL, "body", 405, "Status: 405");
    webscene_close(&scene);
}

/* web_test:test_failed_write_error */
static void a_page_that_fails_leaves_the_status(void **state)
{
    struct webscene scene;

    webscene_open(&scene, routes, NULL);
    webscene_expect(&scene, "GET /failing?status=501", NULL, NULL, 501, "");
    webscene_expect(&scene, "GET /always", NULL, NULL, 404, NULL);
    webscene_close(&scene);
}

static void what_has_been_sent_is_broken_off(void **state)
{
    struct webscene scene;

    webscene_open(&scene, routes, NULL);
    webscene_ask(&scene, "GET /flushing", NULL, NULL);
    assert_true(scene.broken);
    assert_null(strstr(scene.text, "middle"));
    webscene_ask(&scene, "GET /flushing/all", NULL, NULL);
    assert_true(scene.status == 0 || scene.status == 200);
    webscene_expect(&scene, "GET /own", NULL, NULL, 500, "Status: 500");
    webscene_close(&scene);
}

/* web_test:test_http_error, web_test:test_unknown_error, web_test:test_error, web_test:test_missing_remote_ip */
static void the_log_says_why_and_the_client_does_not_hear_it(void **state)
{
    struct webscene scene;

    webscene_open(&scene, routes, NULL);
    webscene_expect(&scene, "GET /?status=410&why=the%20reason%20why", NULL, NULL, 410, NULL);
    assert_null(strstr(scene.text, "reason why"));
    assert_int_equal(testing_logs("W 410 GET /?status=410&why=the%20reason%20why (127.0.0.1): the reason why"), 1);
    webscene_expect(&scene, "GET /?status=500&why=%25s%25n%0A%7Fx", NULL, NULL, 500, NULL);
    assert_int_equal(testing_logs("E 500 GET /?status=500&why=%25s%25n%0A%7Fx (127.0.0.1): %s%n\\x0a\\x7fx"), 1);
    assert_int_equal(testing_logs("\x7f"), 0);
    webscene_expect(&scene, "GET /?status=404", NULL, NULL, 404, NULL);
    assert_int_equal(testing_logs("): "), 2);
    webscene_close(&scene);
}

static void errors_over_a_unix_socket_have_an_address_too(void **state)
{
    struct webscene scene;

    webscene_open(&scene, routes, NULL);
    snprintf(scene.http.path, sizeof scene.http.path, "@weberror_test");
    assert_int_equal(httpserver_listen_unix(scene.http.server, scene.http.path, 0), 0);
    struct httpscene_client *client = httpscene_connect_unix(&scene.http);
    httpscene_put(&scene.http, client, "GET /?status=410&why=w HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_int_equal(webscene_read(&scene, client, "GET"), 410);
    assert_int_equal(testing_logs("410 GET /?status=410&why=w (0.0.0.0): w"), 1);
    webscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_page_has_status_and_reason),
    cmocka_unit_test(an_error_forgets_all_headers_but_cookies),
    cmocka_unit_test(a_handler_may_write_its_own_page),
    cmocka_unit_test(a_page_that_fails_leaves_the_status),
    cmocka_unit_test(what_has_been_sent_is_broken_off),
    cmocka_unit_test(the_log_says_why_and_the_client_does_not_hear_it),
    cmocka_unit_test(errors_over_a_unix_socket_have_an_address_too),
};

TESTING_MAIN(tests)
