#include "httpclient/httpredirect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "httpserver/httpurl.h"
#include "ioloop/ioalloc.h"
#include "tests/support/faults.h"
#include "tests/support/testing.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Follows, and frees what came of it. */
static int follow(const char *from, const char *method, int status, const char *location, struct httpredirect *redirect)
{
    int error = httpredirect_follow(from, method, status, location, redirect);

    if (error == 0)
        ioalloc_free(redirect->url);
    return error;
}

static void assert_leads_to(const char *from, const char *location, const char *wanted, bool drops_credentials)
{
    struct httpredirect redirect;
    int error = httpredirect_follow(from, "GET", 302, location, &redirect);

    if (error != 0)
        fail_msg("from %s to %s: %d", from, location, error);
    assert_string_equal(redirect.url, wanted);
    if (redirect.drops_credentials != drops_credentials)
        fail_msg("from %s to %s: credentials", from, location);
    ioalloc_free(redirect.url);
}

static void assert_refused(const char *from, const char *location, int wanted)
{
    struct httpredirect redirect = { .url = NULL, .method = "untouched" };
    int error = follow(from, "GET", 302, location, &redirect);

    if (error != wanted)
        fail_msg("from %s to %s: %d", from, location, error);
    assert_null(redirect.url);
    assert_string_equal(redirect.method, "untouched");
}

static void knows_the_statuses_that_redirect(void **state)
{
    static const int redirects[] = { 301, 302, 303, 307, 308 };
    struct httpredirect redirect;

    for (int status = 0; status < 1000; status++) {
        bool is_one = false;
        for (size_t i = 0; i < COUNT(redirects); i++)
            is_one = is_one || redirects[i] == status;
        assert_int_equal(httpredirect_is_status(status), is_one);
        assert_int_equal(follow("http://a/", "GET", status, "/b", &redirect), is_one ? 0 : -EINVAL);
    }
}

/* httpclient_test:test_method_after_redirect; simple_httpclient_test:test_see_other_redirect; RFC 9110 15.4 */
static void the_status_decides_on_method_and_body(void **state)
{
    static const struct {
        int status;
        const char *method, *wanted;
        bool drops_body;
    } rows[] = {
        { 301, "GET", "GET", false },   { 301, "HEAD", "HEAD", false },     { 301, "POST", "GET", true },
        { 301, "PUT", "PUT", false },   { 301, "DELETE", "DELETE", false }, { 301, "PATCH", "PATCH", false },
        { 302, "GET", "GET", false },   { 302, "HEAD", "HEAD", false },     { 302, "POST", "GET", true },
        { 302, "PUT", "PUT", false },   { 302, "post", "post", false },     { 302, "POSTS", "POSTS", false },
        { 303, "GET", "GET", true },    { 303, "HEAD", "HEAD", true },      { 303, "POST", "GET", true },
        { 303, "PUT", "GET", true },    { 303, "DELETE", "GET", true },     { 303, "OPTIONS", "GET", true },
        { 303, "head", "GET", true },   { 307, "GET", "GET", false },       { 307, "POST", "POST", false },
        { 307, "PUT", "PUT", false },   { 307, "HEAD", "HEAD", false },     { 308, "GET", "GET", false },
        { 308, "POST", "POST", false }, { 308, "PUT", "PUT", false },       { 308, "OTHER", "OTHER", false },
    };
    struct httpredirect redirect;

    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(follow("http://a/", rows[i].method, rows[i].status, "/b", &redirect), 0);
        if (strcmp(redirect.method, rows[i].wanted) != 0 || redirect.drops_body != rows[i].drops_body)
            print_error("%d %s\n", rows[i].status, rows[i].method);
        assert_string_equal(redirect.method, rows[i].wanted);
        assert_int_equal(redirect.drops_body, rows[i].drops_body);
        assert_false(redirect.drops_credentials);
    }
}

/* Where the path and query come from is in test_httpurlwrite.c. */
static void resolves_the_location(void **state)
{
    static const char from[] = "http://a/b/c?d";

    assert_leads_to(from, "http://a/x", "http://a/x", false);
    assert_leads_to(from, "/x", "http://a/x", false);
    assert_leads_to(from, "x", "http://a/b/x", false);
    assert_leads_to(from, "../x", "http://a/x", false);
    assert_leads_to(from, "?x", "http://a/b/c?x", false);
    assert_leads_to(from, "//a/x", "http://a/x", false);
    assert_leads_to(from, "//b/x", "http://b/x", true);
    assert_leads_to(from, "//b", "http://b", true);
    assert_leads_to(from, "", "http://a/b/c?d", false); /* the same again: how often is for the limit to say */
    assert_leads_to("https://[::1]:8443/x", "/y?z", "https://[::1]:8443/y?z", false);
    assert_leads_to("http://a", "b", "http://a/b", false);
}

/* C10; F2 */
static void drops_fragments_users_and_passwords(void **state)
{
    assert_leads_to("http://a/b", "/c#d", "http://a/c", false);
    assert_leads_to("http://a/b", "#d", "http://a/b", false);
    assert_leads_to("http://a/b#d", "c", "http://a/c", false);
    assert_leads_to("http://u:p@a/b", "c", "http://a/c", false);
    assert_leads_to("http://u:p@a/b", "", "http://a/b", false);
    assert_leads_to("http://u:p@a/b", "//b/", "http://b/", true);
    assert_leads_to("http://a/b", "http://u:p@a/c", "http://a/c", false);
    assert_leads_to("http://a/b", "//u@a/c", "http://a/c", false);
    assert_leads_to("http://u:p@a/b", "http://v:q@b/c#d", "http://b/c", true);
}

/* B5: names as they are, not in escapes. */
static void escapes_what_is_not_ascii(void **state)
{
    assert_leads_to("http://a/", "/\xc3\xa9?\xff", "http://a/%C3%A9?%FF", false);
    assert_leads_to("http://a/", "/%C3%A9", "http://a/%C3%A9", false);
    assert_refused("http://a/", "//\xc3\xa9/", -EINVAL);
}

/* httpclient_test:test_strip_headers_on_redirect; F1: scheme, host or port. */
static void another_origin_gets_no_credentials(void **state)
{
    static const struct {
        const char *from, *location;
        bool drops;
    } rows[] = {
        { "http://a/", "http://a:80/", false },
        { "http://a:80/", "http://a/", false },
        { "http://A/", "http://a/", false },
        { "HTTP://a/", "http://a/", false },
        { "https://a/", "https://a:443/", false },
        { "http://a:0080/", "http://a/", false },
        { "http://a/", "http://a:81/", true },
        { "http://a:81/", "http://a/", true },
        { "http://a/", "http://b/", true },
        { "http://a/", "http://a.b/", true },
        { "http://a.b/", "http://b/", true },
        { "http://a/", "http://a./", true },
        { "http://a/", "https://a/", true },
        { "http://a:443/", "https://a/", true },
        { "http://127.0.0.1/", "http://localhost/", true },
        { "ws://a/", "http://a/", true },
        { "http://u@a/", "http://a/", false },
        { "http://a/", "http://a@b/", true },
    };
    struct httpredirect redirect;

    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(follow(rows[i].from, "GET", 307, rows[i].location, &redirect), 0);
        if (redirect.drops_credentials != rows[i].drops)
            print_error("%s to %s\n", rows[i].from, rows[i].location);
        assert_int_equal(redirect.drops_credentials, rows[i].drops);
    }
}

/* F4 */
static void never_leads_out_of_http(void **state)
{
    static const char *const locations[] = {
        "file:///etc/passwd",
        "file:/etc/passwd",
        "ftp://a/",
        "gopher://a:70/",
        "javascript:alert(1)",
        "data:,x",
        "httpx://a/",
        "xhttp://a/",
        "h:a",
        "ws://a/",
        "wss://a/",
        "mailto:x@y",
    };

    for (size_t i = 0; i < COUNT(locations); i++) {
        assert_refused("http://a/", locations[i], -EPROTONOSUPPORT);
        assert_refused("https://a/", locations[i], -EPROTONOSUPPORT);
    }
    assert_refused("wss://a/", "file:///etc/passwd", -EPROTONOSUPPORT);
    assert_refused("ws://a/", "ftp://a/", -EPROTONOSUPPORT);
}

static void never_leads_back_from_tls(void **state)
{
    assert_refused("https://a/", "http://a/", -EPROTONOSUPPORT);
    assert_refused("HTTPS://a/", "HTTP://a/", -EPROTONOSUPPORT);
    assert_refused("https://a/", "http://a:443/", -EPROTONOSUPPORT);
    assert_refused("wss://a/", "ws://a/", -EPROTONOSUPPORT);
    assert_refused("wss://a/", "http://a/", -EPROTONOSUPPORT);
    assert_leads_to("http://a/", "https://a/", "https://a/", true);
    assert_leads_to("https://a/", "https://b/", "https://b/", true);
}

/* A handshake of WebSocket, as httpclientlayer_upgrade sends. */
static void a_websocket_may_be_led_on(void **state)
{
    assert_leads_to("ws://a/", "/x", "ws://a/x", false);
    assert_leads_to("ws://a/", "wss://a/x", "wss://a/x", true);
    assert_leads_to("ws://a/", "https://a/x", "https://a/x", true);
    assert_leads_to("wss://a/", "https://a/x", "https://a/x", true);
    assert_leads_to("wss://a/", "wss://a:443/x", "wss://a:443/x", false);
}

/* F3, F4, and a reader stricter than a guess */
static void refuses_what_is_no_url(void **state)
{
    static const char *const locations[] = {
        "http://",
        "http:///x",
        "http:a",
        "http:",
        "//",
        "///x",
        "http://a:99999/",
        "http://a:+80/",
        "http://a:0/",
        "http://[::1",
        "http://a b/",
        "/a b",
        "a\tb",
        " /a",
        "/a\r\nX: y",
        "/\x01",
        "/\x7f",
        "/%",
        "/%4",
        "/%zz",
        "/a\\b",
        "\\\\b\\",
        "http://a%2fb/",
        "http://127.1/",
        "http://0x7f.1/",
        "http://a\\@b/",
        ":b",
        "1:b",
    };

    for (size_t i = 0; i < COUNT(locations); i++)
        assert_refused("http://a/", locations[i], -EINVAL);
    assert_refused("/relative", "http://a/", -EINVAL);
    assert_refused("/relative", "b", -EINVAL);
    assert_refused("http://a b/", "/c", -EINVAL);
}

static void limits_the_length_of_a_location(void **state)
{
    static char location[65537];
    struct httpredirect redirect;

    memset(location, 'a', sizeof location - 1);
    assert_refused("http://a/", location, -EINVAL);
    location[HTTPREDIRECT_MAX_LOCATION + 1] = '\0';
    assert_refused("http://a/", location, -EINVAL);
    location[HTTPREDIRECT_MAX_LOCATION] = '\0';
    assert_int_equal(follow("http://a/", "GET", 302, location, &redirect), 0);
    memset(location, 0xff, HTTPREDIRECT_MAX_LOCATION);
    assert_int_equal(follow("http://a/", "GET", 302, location, &redirect), 0);
}

static struct httpheaders all_headers(void)
{
    static const char *const names[] = { "Accept",
                                         "Authorization",
                                         "authorization",
                                         "Cookie",
                                         "COOKIE",
                                         "Content-Encoding",
                                         "Content-Language",
                                         "Content-Length",
                                         "Content-Location",
                                         "Content-Type",
                                         "Expect",
                                         "Proxy-Authorization",
                                         "Transfer-Encoding",
                                         "X-Authorization",
                                         "Content-Types",
                                         "Host",
                                         "Hosts" };
    struct httpheaders headers = { 0 };

    for (size_t i = 0; i < COUNT(names); i++)
        assert_int_equal(httpheaders_add(&headers, names[i], "x"), 0);
    return headers;
}

static void assert_stripped(bool drops_body, bool drops_credentials, const char *wanted)
{
    const struct httpredirect redirect = { .drops_body = drops_body, .drops_credentials = drops_credentials };
    struct httpheaders headers = all_headers();
    char text[1024] = "";
    const char *name;

    httpredirect_strip(&redirect, &headers);
    for (size_t i = 0; httpheaders_at(&headers, i, &name, NULL); i++) {
        strcat(text, " ");
        strcat(text, name);
    }
    assert_string_equal(text, wanted);
    httpheaders_free(&headers);
}

/* httpclient_test:test_strip_headers_on_redirect */
static void headers_stay_behind_with_what_they_describe(void **state)
{
    assert_stripped(false, false,
                    " Accept Authorization authorization Cookie COOKIE Content-Encoding Content-Language Content-Length"
                    " Content-Location Content-Type Expect Proxy-Authorization Transfer-Encoding X-Authorization"
                    " Content-Types Host Hosts");
    assert_stripped(true, false,
                    " Accept Authorization authorization Cookie COOKIE Proxy-Authorization X-Authorization"
                    " Content-Types Host Hosts");
    assert_stripped(false, true,
                    " Accept Content-Encoding Content-Language Content-Length Content-Location Content-Type Expect"
                    " Transfer-Encoding X-Authorization Content-Types Hosts");
    assert_stripped(true, true, " Accept X-Authorization Content-Types Hosts");
}

static void loses_nothing_without_memory(void **state)
{
    struct httpredirect redirect = { .method = "untouched" };
    int nth = 1, error;
    long before = faults_allocated();

    for (;; nth++) {
        faults_allocation(nth, false);
        error = httpredirect_follow("http://a/", "GET", 302, "/b", &redirect);
        if (!faults_hit())
            break;
        assert_int_equal(error, -ENOMEM);
        assert_string_equal(redirect.method, "untouched");
        assert_int_equal(faults_allocated(), before);
    }
    faults_end();
    assert_true(nth > 2);
    assert_int_equal(error, 0);
    ioalloc_free(redirect.url);
    assert_refused("http://a/", "ftp://a/", -EPROTONOSUPPORT);
    assert_int_equal(faults_allocated(), before);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(knows_the_statuses_that_redirect),
    cmocka_unit_test(the_status_decides_on_method_and_body),
    cmocka_unit_test(resolves_the_location),
    cmocka_unit_test(drops_fragments_users_and_passwords),
    cmocka_unit_test(escapes_what_is_not_ascii),
    cmocka_unit_test(another_origin_gets_no_credentials),
    cmocka_unit_test(never_leads_out_of_http),
    cmocka_unit_test(never_leads_back_from_tls),
    cmocka_unit_test(a_websocket_may_be_led_on),
    cmocka_unit_test(refuses_what_is_no_url),
    cmocka_unit_test(limits_the_length_of_a_location),
    cmocka_unit_test(headers_stay_behind_with_what_they_describe),
    cmocka_unit_test(loses_nothing_without_memory),
};

TESTING_MAIN(tests)
