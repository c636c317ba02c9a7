/* Tunnels through a proxy, which the test plays. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "httpclient/httpclient.h"
#include "tests/support/faults.h"
#include "tests/support/fetchscene.h"
#include "tests/support/testing.h"

#define FIVE "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

static struct fetchscene scene;
static struct fetchscene_request seen;

static struct fetchscene_fetch *fetch_through(const char *url, const char *user)
{
    return fetchscene_fetch(&scene, (struct httpclient_request){ .url = url,
                                                                 .proxy_host = "127.0.0.1",
                                                                 .proxy_port = scene.ports[FETCHSCENE_FIRST],
                                                                 .proxy_username = user,
                                                                 .proxy_password = user != NULL ? "secret" : NULL,
                                                                 .auth_username = user != NULL ? "server's" : NULL,
                                                                 .proxy_tunnel = true });
}

/* The next client of the proxy, and what it asks for. */
static struct fetchscene_peer *accept_connect(void)
{
    struct fetchscene_peer *proxy = fetchscene_accept(&scene);

    fetchscene_take_head(&scene, proxy, &seen);
    assert_string_equal(seen.method, "CONNECT");
    return proxy;
}

static void what_the_proxy_is_told_is_not_what_the_server_is_told(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = fetch_through("http://example.test/path", "me");
    struct fetchscene_peer *proxy = accept_connect();
    assert_string_equal(seen.target, "example.test:80");
    assert_string_equal(fetchscene_request_header(&seen, "Host"), "example.test:80");
    assert_string_equal(fetchscene_request_header(&seen, "Proxy-Authorization"), "Basic bWU6c2VjcmV0");
    assert_null(fetchscene_request_header(&seen, "Authorization"));
    fetchscene_put(&scene, proxy, "HTTP/1.1 200 Connection established\r\n\r\n");
    fetchscene_take_request(&scene, proxy, &seen);
    assert_string_equal(seen.method, "GET");
    assert_string_equal(seen.target, "/path");
    assert_null(fetchscene_request_header(&seen, "Proxy-Authorization"));
    assert_non_null(fetchscene_request_header(&seen, "Authorization"));
    fetchscene_put(&scene, proxy, FIVE);
    fetchscene_expect(&scene, fetch, 200, "hello");
    fetchscene_close(&scene);
}

static void a_tunnel_is_used_again_for_the_same_server_and_for_no_other(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = fetch_through("http://example.test/1", NULL);
    struct fetchscene_peer *proxy = accept_connect();
    fetchscene_put(&scene, proxy, "HTTP/1.1 200 OK\r\n\r\n");
    fetchscene_serve(&scene, proxy, FIVE);
    fetchscene_expect(&scene, fetch, 200, "hello");
    fetch = fetch_through("http://example.test/2", NULL);
    fetchscene_serve(&scene, proxy, FIVE);
    fetchscene_expect(&scene, fetch, 200, "hello");
    assert_true(fetch->is_reused);
    fetch_through("http://other.test/", NULL);
    accept_connect();
    assert_string_equal(seen.target, "other.test:80");
    fetchscene_close(&scene);
}

static void what_is_no_tunnel_is_an_error_of_connecting(void **state)
{
    static const struct {
        const char *answer;
        int error;
        const char *detail;
    } rows[] = {
        { "HTTP/1.1 407 Who are you\r\nContent-Length: 4\r\n\r\nevil", -ECONNREFUSED,
          "the proxy answered 407 to CONNECT" },
        { "HTTP/1.1 502 No\r\n\r\n", -ECONNREFUSED, "the proxy answered 502 to CONNECT" },
        { "HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", -ECONNREFUSED, "the proxy answered 302 to CONNECT" },
        { "HTTP/1.1 101 Upgrade\r\n\r\n", -ECONNREFUSED, "the proxy answered 101 to CONNECT" },
        { "HTTP/1.1 200 OK\r\n\r\n" FIVE, -EPROTO, "bytes came through the tunnel unasked" },
        { "nonsense\r\n\r\n", -EPROTO, NULL },
        { "HTTP/1.1 200", -ESHUTDOWN, "the proxy closed the connection" },
        { "HTTP/1.1 103 A\r\n\r\nHTTP/1.1 204 B\r\n\r\n", -ECONNRESET, NULL }, /* a tunnel, and nobody there */
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fetchscene_open(&scene, NULL);
        struct fetchscene_fetch *fetch = fetch_through("http://example.test/", NULL);
        struct fetchscene_peer *proxy = accept_connect();
        fetchscene_put(&scene, proxy, rows[i].answer);
        fetchscene_settle(&scene);
        fetchscene_hang_up(proxy);
        fetchscene_expect_error(&scene, fetch, rows[i].error, FETCHSCENE_ANY_PHASE);
        if (rows[i].detail != NULL)
            assert_string_equal(fetch->detail, rows[i].detail);
        assert_int_equal(fetch->code, 0); /* it is not the server's answer */
        assert_string_equal(fetch->body.bytes, "");
        fetchscene_close(&scene);
    }
}

static void a_proxy_that_says_nothing_runs_into_connect_timeout(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = fetch_through("http://example.test/", NULL);
    accept_connect();
    fetchscene_pass(&scene, 9.5);
    fetchscene_expect_waiting(&scene, fetch);
    fetchscene_pass(&scene, 0.7);
    fetchscene_expect_error(&scene, fetch, -ETIMEDOUT, HTTPCLIENT_CONNECT);
    fetchscene_close(&scene);
}

/* What is there before the request has gone through the tunnel is not its answer. */
static void a_server_behind_a_tunnel_that_speaks_first_is_not_believed(void **state)
{
    static const char opens[] = "HTTP/1.1 200 OK\r\n\r\n";
    fetchscene_open(&scene, NULL);
    for (int at_once = 0; at_once < 2; at_once++) {
        struct fetchscene_fetch *fetch = fetch_through("http://example.test/1", NULL);
        struct fetchscene_peer *proxy = accept_connect();
        fetchscene_put_bytes(&scene, proxy, opens, sizeof opens - 1);
        fetchscene_put(&scene, proxy, FIVE);
        faults_short_io(at_once ? 0 : sizeof opens - 1);
        fetchscene_wait(&scene, fetch);
        faults_short_io(0);
        assert_int_equal(fetch->error, -EPROTO);
        fetchscene_expect_pool(&scene, 0, 0, 0);
        fetchscene_hang_up(proxy);
    }
    fetchscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_the_proxy_is_told_is_not_what_the_server_is_told),
    cmocka_unit_test(a_tunnel_is_used_again_for_the_same_server_and_for_no_other),
    cmocka_unit_test(what_is_no_tunnel_is_an_error_of_connecting),
    cmocka_unit_test(a_proxy_that_says_nothing_runs_into_connect_timeout),
    cmocka_unit_test(a_server_behind_a_tunnel_that_speaks_first_is_not_believed),
};

TESTING_MAIN(tests)
