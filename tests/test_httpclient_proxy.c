/* Proxies: plain, and through a tunnel. */
#include "tests/support/testing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/fetchscene.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define HI OK "Content-Length: 2\r\n\r\nhi"

static struct fetchscene scene;
static struct fetchscene_request seen;

/* Through the first listener. */
static struct httpclient_request through_proxy(const char *url, bool tunnel)
{
    return (struct httpclient_request){
        .url = url, .proxy_host = "127.0.0.1", .proxy_port = scene.ports[FETCHSCENE_FIRST], .proxy_tunnel = tunnel
    };
}

static void a_plain_proxy_gets_the_whole_url(void **state)
{
    static const char *const rows[][3] = {
        { "http://example.org/a?b#c", "http://example.org/a?b", "example.org" },
        { "http://example.org", "http://example.org/", "example.org" },
        { "http://u:p@example.org:81/", "http://example.org:81/", "example.org:81" },
        { "http://[::1]:81/a", "http://[::1]:81/a", "[::1]:81" },
    };
    struct fetchscene_peer *peer = NULL;

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, through_proxy(rows[i][0], false));

        if (peer == NULL)
            peer = fetchscene_accept(&scene);
        else if (i >= 2)
            peer = fetchscene_accept(&scene); /* an origin is an origin, behind a proxy too */
        fetchscene_take_request(&scene, peer, &seen);
        assert_string_equal(seen.method, "GET");
        assert_string_equal(seen.target, rows[i][1]);
        assert_string_equal(fetchscene_request_header(&seen, "Host"), rows[i][2]);
        assert_null(fetchscene_request_header(&seen, "Proxy-Authorization"));
        fetchscene_put(&scene, peer, HI);
        fetchscene_expect(&scene, fetch, 200, "hi");
    }
    fetchscene_close(&scene);
}

static void a_proxy_gets_its_own_user_and_password(void **state)
{
    fetchscene_open(&scene, NULL);
    struct httpclient_request request = through_proxy("http://u:p@example.org/", false);
    request.proxy_username = "Aladdin";
    request.proxy_password = "open sesame";
    struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, request);
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    fetchscene_take_request(&scene, peer, &seen);
    assert_string_equal(fetchscene_request_header(&seen, "Proxy-Authorization"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    assert_string_equal(fetchscene_request_header(&seen, "Authorization"), "Basic dTpw");
    fetchscene_put(&scene, peer, "HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno");
    fetchscene_expect(&scene, fetch, 407, "no");
    fetchscene_close(&scene);
}

/* A connection to a proxy is not one to its host; a proxy's user is part of what a connection is. F5 */
static void connections_of_proxies_are_for_their_own_fetches(void **state)
{
    struct httpclient_request requests[4];

    fetchscene_open(&scene, NULL);
    char url[128];
    snprintf(url, sizeof url, "%s/", scene.base);
    requests[0] = (struct httpclient_request){ .url = url };
    requests[1] = through_proxy(url, false);
    requests[2] = through_proxy(url, false);
    requests[2].proxy_username = "a";
    requests[3] = through_proxy(url, false);
    requests[3].proxy_username = "b";
    for (size_t i = 0; i < 4; i++) {
        struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, requests[i]);
        fetchscene_serve(&scene, NULL, HI);
        fetchscene_expect(&scene, fetch, 200, "hi");
        assert_false(fetch->is_reused);
        fetchscene_expect_pool(&scene, i + 1, i + 1, 0);
    }
    requests[1].proxy_tunnel = true;
    struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, requests[1]);
    struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, OK "\r\n");
    fetchscene_serve(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    assert_false(fetch->is_reused);
    requests[2].proxy_host = "127.0.0.2"; /* where nobody listens */
    fetch = fetchscene_fetch(&scene, requests[2]);
    fetchscene_expect_error(&scene, fetch, -ECONNREFUSED, HTTPCLIENT_CONNECT);
    fetchscene_close(&scene);
}

/* Proxy-Authorization of the program's own headers: for the proxy, and nobody behind it. F1 */

static struct fetchscene_fetch *fetch_with_token(struct httpclient_request request, const char *token)
{
    struct httpheaders headers = { 0 };

    assert_int_equal(httpheaders_add(&headers, "Proxy-Authorization", token), 0);
    request.headers = &headers;
    struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, request);
    httpheaders_free(&headers);
    return fetch;
}

static struct fetchscene_peer *take_token(struct fetchscene_peer *peer, const char *method, const char *token)
{
    if (peer == NULL)
        peer = fetchscene_accept(&scene);
    fetchscene_take_request(&scene, peer, &seen);
    assert_string_equal(seen.method, method);
    const char *value = fetchscene_request_header(&seen, "Proxy-Authorization");
    if (token == NULL)
        assert_null(value);
    else
        assert_string_equal(value, token);
    return peer;
}

static void a_token_of_the_programs_headers_is_for_the_proxy_alone(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = fetch_with_token((struct httpclient_request){ .url = "/" }, "Bearer a");
    struct fetchscene_peer *peer = take_token(NULL, "GET", NULL); /* no proxy */
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetch = fetch_with_token((struct httpclient_request){ .url = "/" }, "Bearer b");
    fetchscene_put(&scene, take_token(peer, "GET", NULL), HI); /* no reason for another connection */
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetch = fetch_with_token(through_proxy("http://a/", false), "Bearer a");
    fetchscene_put(&scene, take_token(NULL, "GET", "Bearer a"), HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetch = fetch_with_token(through_proxy("http://a/", true), "Bearer a");
    peer = take_token(NULL, "CONNECT", "Bearer a");
    fetchscene_put(&scene, peer, OK "\r\n");
    fetchscene_put(&scene, take_token(peer, "GET", NULL), HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    struct httpclient_request request = through_proxy("http://a/", false);
    request.proxy_username = "a";
    fetch = fetch_with_token(request, "Bearer a");
    fetchscene_put(&scene, take_token(NULL, "GET", "Basic YTo="), HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_close(&scene);
}

/* F5 */
static void a_tunnel_is_for_the_token_that_opened_it(void **state)
{
    static const char *const tokens[] = { "Bearer a", "Bearer b", "Bearer a" };
    struct fetchscene_peer *first = NULL;

    fetchscene_open(&scene, NULL);
    for (int i = 0; i < 3; i++) {
        struct fetchscene_fetch *fetch = fetch_with_token(through_proxy("http://a/", true), tokens[i]);
        struct fetchscene_peer *peer = first;
        if (i < 2) {
            peer = take_token(NULL, "CONNECT", tokens[i]);
            fetchscene_put(&scene, peer, OK "\r\n");
        }
        fetchscene_put(&scene, take_token(peer, "GET", NULL), HI);
        fetchscene_expect(&scene, fetch, 200, "hi");
        assert_int_equal(fetch->is_reused, i == 2);
        first = i == 0 ? peer : first;
    }
    fetchscene_close(&scene);
}

static void a_token_does_not_go_along_to_another_origin(void **state)
{
    for (int tunnel = 0; tunnel < 2; tunnel++) {
        fetchscene_open(&scene, NULL);
        struct fetchscene_fetch *fetch = fetch_with_token(through_proxy("http://a/", tunnel), "Bearer a");
        struct fetchscene_peer *peer = take_token(NULL, tunnel ? "CONNECT" : "GET", "Bearer a");
        if (tunnel) {
            fetchscene_put(&scene, peer, OK "\r\n");
            take_token(peer, "GET", NULL);
        }
        fetchscene_put(&scene, peer, "HTTP/1.1 302 A\r\nLocation: http://b/\r\nContent-Length: 0\r\n\r\n");
        peer = take_token(NULL, tunnel ? "CONNECT" : "GET", NULL);
        if (tunnel) {
            fetchscene_put(&scene, peer, OK "\r\n");
            take_token(peer, "GET", NULL);
        }
        fetchscene_put(&scene, peer, HI);
        fetchscene_expect(&scene, fetch, 200, "hi");
        fetchscene_close(&scene);
    }
}

/* Tunnels. */

static struct fetchscene_fetch *begin_tunnel(struct fetchscene_peer **peer)
{
    struct httpclient_request request = through_proxy("http://u:p@example.org/a", true);

    request.proxy_username = "Aladdin";
    request.proxy_password = "open sesame";
    struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, request);
    *peer = fetchscene_accept(&scene);
    fetchscene_take_request(&scene, *peer, &seen);
    return fetch;
}

static void a_tunnel_is_asked_for_first(void **state)
{
    struct fetchscene_peer *peer;

    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = begin_tunnel(&peer);
    assert_string_equal(seen.method, "CONNECT");
    assert_string_equal(seen.target, "example.org:80");
    assert_string_equal(fetchscene_request_header(&seen, "Host"), "example.org:80");
    assert_string_equal(fetchscene_request_header(&seen, "Proxy-Authorization"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    assert_null(fetchscene_request_header(&seen, "Authorization"));
    fetchscene_expect_nothing(&scene, peer);
    fetchscene_put(&scene, peer, "HTTP/1.1 200 Connection established\r\nContent-Length: 99\r\n\r\n");
    fetchscene_take_request(&scene, peer, &seen);
    assert_string_equal(seen.method, "GET");
    assert_string_equal(seen.target, "/a");
    assert_string_equal(fetchscene_request_header(&seen, "Host"), "example.org");
    assert_string_equal(fetchscene_request_header(&seen, "Authorization"), "Basic dTpw");
    assert_null(fetchscene_request_header(&seen, "Proxy-Authorization"));
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_expect_pool(&scene, 1, 1, 0);

    fetch = fetchscene_fetch(&scene, (struct httpclient_request){ .url = "http://example.org/b",
                                                                  .proxy_host = "127.0.0.1",
                                                                  .proxy_port = scene.ports[FETCHSCENE_FIRST],
                                                                  .proxy_username = "Aladdin",
                                                                  .proxy_password = "open sesame",
                                                                  .proxy_tunnel = true });
    fetchscene_take_request(&scene, peer, &seen);
    assert_string_equal(seen.target, "/b");
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    assert_true(fetch->is_reused);
    fetchscene_close(&scene);
}

static void a_tunnel_to_an_ipv6_address_has_brackets(void **state)
{
    fetchscene_open(&scene, NULL);
    fetchscene_fetch(&scene, through_proxy("http://[::1]/a", true));
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    fetchscene_take_request(&scene, peer, &seen);
    assert_string_equal(seen.target, "[::1]:80");
    fetchscene_close(&scene);
}

struct refusal {
    const char *answer;
    bool ends;
    int error;
};

static void a_tunnel_that_does_not_open_is_an_error(void **state)
{
    static const struct refusal refusals[] = {
        { "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 2\r\n\r\nno", false, -ECONNREFUSED },
        { "HTTP/1.1 502 Bad Gateway\r\n\r\n", true, -ECONNREFUSED },
        { "HTTP/1.1 302 Found\r\nLocation: http://evil/\r\nContent-Length: 0\r\n\r\n", false, -ECONNREFUSED },
        { "garbage\r\n\r\n", false, -EPROTO },
        { OK "A: b\n\r\n", false, -EPROTO },
        { "", true, -ESHUTDOWN },
        { OK "A: b", true, -ESHUTDOWN },
        { "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n", false, -ECONNREFUSED },
        { OK "\r\n" HI, false, -EPROTO }, /* A24: an answer before the request */
        { OK "\r\nx", false, -EPROTO },
    };

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct fetchscene_peer *peer;
        struct fetchscene_fetch *fetch = begin_tunnel(&peer);

        fetchscene_put(&scene, peer, refusals[i].answer);
        if (refusals[i].ends)
            fetchscene_hang_up(peer);
        fetchscene_wait(&scene, fetch);
        if (fetch->error != refusals[i].error)
            fail_msg("%s: %s, %s", refusals[i].answer, ioloop_strerror(fetch->error), fetch->detail);
        assert_null(strstr(fetch->detail, "sesame"));
        fetchscene_expect_pool(&scene, 0, 0, 0);
        fetchscene_expect_no_connection(&scene);
        fetchscene_hang_up(peer);
    }
    fetchscene_close(&scene);
}

static void interim_responses_of_a_proxy_are_passed_over_and_counted(void **state)
{
    fetchscene_open(&scene, NULL);
    for (int count = 9; count < 12; count++) {
        struct fetchscene_peer *peer;
        struct fetchscene_fetch *fetch = begin_tunnel(&peer);

        for (int i = 0; i < count; i++)
            fetchscene_put(&scene, peer, "HTTP/1.1 102 Processing\r\n\r\n");
        fetchscene_put(&scene, peer, OK "\r\n");
        if (count <= 10) {
            fetchscene_serve(&scene, peer, HI);
            fetchscene_expect(&scene, fetch, 200, "hi");
        } else {
            fetchscene_expect_error(&scene, fetch, -EPROTO, HTTPCLIENT_CONNECT);
        }
        fetchscene_hang_up(peer);
        fetchscene_settle(&scene);
    }
    fetchscene_close(&scene);
}

static void a_proxy_that_is_silent_has_the_time_to_connect(void **state)
{
    struct fetchscene_peer *peer;

    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = begin_tunnel(&peer);
    fetchscene_pass(&scene, 9.9);
    fetchscene_expect_waiting(&scene, fetch);
    fetchscene_pass(&scene, 0.3);
    fetchscene_expect_error(&scene, fetch, -ETIMEDOUT, HTTPCLIENT_CONNECT);
    fetchscene_expect_end(&scene, peer);
    fetchscene_close(&scene);
}

static void the_head_of_a_proxys_answer_has_a_limit(void **state)
{
    struct fetchscene_peer *peer;

    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = begin_tunnel(&peer);
    fetchscene_put(&scene, peer, OK);
    while (fetch->calls == 0) {
        fetchscene_put(&scene, peer, "Aaaaaaaaaaaaaaaaaaaaaaaaaa: bbbbbbbbbbbbbbbbbbbbbb\r\n");
        fetchscene_settle(&scene);
    }
    fetchscene_expect_error(&scene, fetch, -EMSGSIZE, HTTPCLIENT_CONNECT);
    fetchscene_close(&scene);
}

static void https_through_a_proxy_needs_tls_too(void **state)
{
    fetchscene_open(&scene, NULL);
    assert_null(fetchscene_try(&scene, through_proxy("https://example.org/", false)));
    assert_int_equal(errno, EPROTONOSUPPORT);
    fetchscene_expect_no_connection(&scene);
    fetchscene_close(&scene);
}

static void proxies_that_are_none_are_refused(void **state)
{
    static const struct {
        const char *host;
        int port;
        const char *user;
    } rows[] = { { "", 80, NULL },           { "127.0.0.1", 0, NULL },
                 { "127.0.0.1", -1, NULL },  { "127.0.0.1", 65536, NULL },
                 { "127.0.0.1", 80, "a:b" }, { "127.0.0.1", 80, "a\r\nb" } };

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_null(fetchscene_try(&scene, (struct httpclient_request){ .url = "http://a/",
                                                                        .proxy_host = rows[i].host,
                                                                        .proxy_port = rows[i].port,
                                                                        .proxy_username = rows[i].user }));
        assert_int_equal(errno, EINVAL);
    }
    fetchscene_close(&scene);
}

/* Names are the proxy's business. */
static void a_mapping_is_not_for_what_goes_through_a_proxy(void **state)
{
    static const struct httpclient_mapping mappings[] = { { "example.org", "127.0.0.2", 1 }, { NULL, NULL, 0 } };

    fetchscene_open(&scene, &(struct httpclient_options){ .mappings = mappings });
    struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, through_proxy("http://example.org/", false));
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    fetchscene_take_request(&scene, peer, &seen);
    assert_string_equal(seen.target, "http://example.org/");
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_close(&scene);
}

static void a_redirect_goes_through_the_proxy_too(void **state)
{
    fetchscene_open(&scene, NULL);
    struct httpclient_request request = through_proxy("http://example.org/", false);
    request.proxy_username = "a";
    struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, request);
    fetchscene_serve(&scene, NULL, "HTTP/1.1 302 A\r\nLocation: http://example.net/b\r\nContent-Length: 0\r\n\r\n");
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    fetchscene_take_request(&scene, peer, &seen);
    assert_string_equal(seen.target, "http://example.net/b");
    assert_string_equal(fetchscene_request_header(&seen, "Proxy-Authorization"), "Basic YTo="); /* still this proxy's */
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_plain_proxy_gets_the_whole_url),
    cmocka_unit_test(a_proxy_gets_its_own_user_and_password),
    cmocka_unit_test(connections_of_proxies_are_for_their_own_fetches),
    cmocka_unit_test(a_token_of_the_programs_headers_is_for_the_proxy_alone),
    cmocka_unit_test(a_tunnel_is_for_the_token_that_opened_it),
    cmocka_unit_test(a_token_does_not_go_along_to_another_origin),
    cmocka_unit_test(a_tunnel_is_asked_for_first),
    cmocka_unit_test(a_tunnel_to_an_ipv6_address_has_brackets),
    cmocka_unit_test(a_tunnel_that_does_not_open_is_an_error),
    cmocka_unit_test(interim_responses_of_a_proxy_are_passed_over_and_counted),
    cmocka_unit_test(a_proxy_that_is_silent_has_the_time_to_connect),
    cmocka_unit_test(the_head_of_a_proxys_answer_has_a_limit),
    cmocka_unit_test(https_through_a_proxy_needs_tls_too),
    cmocka_unit_test(proxies_that_are_none_are_refused),
    cmocka_unit_test(a_mapping_is_not_for_what_goes_through_a_proxy),
    cmocka_unit_test(a_redirect_goes_through_the_proxy_too),
};

TESTING_MAIN(tests)
