/* https, with a transport from outside: one that changes every byte and greets first. */
#include "tests/support/testing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/fetchscene.h"
#include "tests/support/veil.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define HI OK "Content-Length: 2\r\n\r\nhi"

enum { VEILS = 8, MASK = 0x55 };

static struct fetchscene scene;
static struct fetchscene_request seen;
static struct veil veils[VEILS];
static int started, start_error;
static char asked[256]; /* the hosts, with a blank behind each */
static struct veil next_veil;

static int start_veil(void *arg, const char *host, const struct iostream_transport **transport, void **context)
{
    assert_ptr_equal(arg, &started);
    strcat(asked, host);
    strcat(asked, " ");
    if (start_error < 0)
        return start_error;
    assert_true(started < VEILS);
    veils[started] = next_veil;
    *transport = &veil_greeting;
    *context = &veils[started++];
    return 0;
}

/* Every name of which it is asked is the first listener. */
static void open_scene(void)
{
    static struct httpclient_mapping mappings[4];

    started = start_error = 0;
    asked[0] = '\0';
    next_veil = (struct veil){ .rounds = 2 };
    fetchscene_open_bare(&scene);
    int port = scene.ports[FETCHSCENE_FIRST];
    mappings[0] = (struct httpclient_mapping){ "a.test:443", "127.0.0.1", port };
    mappings[1] = (struct httpclient_mapping){ "a.test:80", "127.0.0.1", port };
    mappings[2] = (struct httpclient_mapping){ "b.test:443", "127.0.0.1", port };
    scene.client =
        httpclient_new(scene.loop, &(struct httpclient_options){ .mappings = mappings,
                                                                 .tls = { .start = start_veil, .arg = &started } });
    assert_non_null(scene.client);
}

/* Each context that was given out has been freed once. */
static void close_scene(void)
{
    httpclient_close(scene.client);
    scene.client = NULL;
    fetchscene_settle(&scene);
    fetchscene_close(&scene);
    for (int i = 0; i < started; i++)
        assert_int_equal(veils[i].closes, 1);
}

/* The server's part of the handshake. */
static void greet(struct fetchscene_peer *peer)
{
    for (int round = 0; round < 2; round++) {
        fetchscene_expect_text(&scene, peer, "h");
        fetchscene_put(&scene, peer, "h");
    }
    peer->mask = MASK;
}

static struct fetchscene_peer *accept_veiled(void)
{
    struct fetchscene_peer *peer = fetchscene_accept(&scene);

    greet(peer);
    fetchscene_take_request(&scene, peer, &seen);
    return peer;
}

static void https_goes_through_the_transport_of_its_host(void **state)
{
    open_scene();
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "https://u:p@A.test/b");
    struct fetchscene_peer *peer = accept_veiled();
    assert_string_equal(seen.target, "/b");
    assert_int_equal(strncmp(fetchscene_request_header(&seen, "Host") + 1, ".test", 6), 0);
    assert_string_equal(asked, "a.test ");
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    for (int i = 0; i < 2; i++) {
        fetch = fetchscene_get(&scene, "https://a.test/c");
        fetchscene_serve(&scene, peer, HI);
        fetchscene_expect(&scene, fetch, 200, "hi");
        assert_true(fetch->is_reused);
    }
    assert_int_equal(started, 1);
    fetchscene_expect_pool(&scene, 1, 1, 0);
    close_scene();
}

static void what_starts_no_tls_is_the_error_of_the_fetch(void **state)
{
    open_scene();
    start_error = -ECONNABORTED;
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "https://a.test/");
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    fetchscene_expect_error(&scene, fetch, -ECONNABORTED, HTTPCLIENT_CONNECT);
    fetchscene_expect_end(&scene, peer);
    fetchscene_expect_pool(&scene, 0, 0, 0);
    close_scene();
}

static void a_handshake_that_fails_is_the_error_of_the_fetch(void **state)
{
    open_scene();
    next_veil.failure = -ECONNABORTED;
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "https://a.test/");
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    greet(peer);
    fetchscene_expect_error(&scene, fetch, -ECONNABORTED, HTTPCLIENT_CONNECT);
    fetchscene_expect_end(&scene, peer);
    fetchscene_expect_pool(&scene, 0, 0, 0);
    close_scene();
}

static void a_server_that_goes_within_the_handshake_is_an_error(void **state)
{
    open_scene();
    for (int i = 0; i < 2; i++) {
        struct fetchscene_fetch *fetch = fetchscene_get(&scene, "https://a.test/");
        struct fetchscene_peer *peer = fetchscene_accept(&scene);
        fetchscene_expect_text(&scene, peer, "h");
        if (i == 0)
            fetchscene_hang_up(peer);
        else
            fetchscene_reset(peer);
        fetchscene_expect_error(&scene, fetch, -ECONNRESET, HTTPCLIENT_CONNECT);
    }
    fetchscene_expect_no_connection(&scene);
    close_scene();
}

/* A24: with the last byte of the handshake come bytes that nobody has asked for, or the end. */
static void what_comes_with_the_end_of_the_handshake_is_no_answer(void **state)
{
    static const char answer[] = HI;
    char bytes[sizeof answer + 1] = "h";

    for (size_t i = 0; i + 1 < sizeof answer; i++)
        bytes[1 + i] = answer[i] ^ MASK;
    open_scene();
    for (int i = 0; i < 4; i++) {
        struct fetchscene_fetch *fetch = fetchscene_get(&scene, "https://a.test/");
        struct fetchscene_peer *peer = fetchscene_accept(&scene);
        fetchscene_expect_text(&scene, peer, "h");
        fetchscene_put(&scene, peer, "h");
        fetchscene_expect_text(&scene, peer, "h");
        fetchscene_put_bytes(&scene, peer, bytes, i == 0 ? sizeof answer : i == 1 ? 2 : 1);
        if (i == 2)
            fetchscene_hang_up(peer);
        if (i == 3)
            fetchscene_reset(peer);
        fetchscene_wait(&scene, fetch);
        assert_int_equal(fetch->error, i < 2 ? -EPROTO : fetch->error);
        assert_true(fetch->error < 0 && fetch->code == 0);
    }
    fetchscene_expect_no_connection(&scene);
    close_scene();
}

/* Once the handshake is through the transport is asked for what there is; an end that it tells then is the fetch's. */
static int end_of_read;

static ssize_t read_end(void *context, int fd, void *buffer, size_t size)
{
    return end_of_read;
}

static void close_nothing(void *context, int fd)
{
    veils[0].closes++;
}

static int start_ending(void *arg, const char *host, const struct iostream_transport **transport, void **context)
{
    static struct iostream_transport ending;

    ending = veil_plain;
    ending.read = read_end;
    ending.close = close_nothing;
    *transport = &ending;
    *context = &veils[0];
    return 0;
}

static void an_end_that_comes_with_the_handshake_is_told_as_it_is(void **state)
{
    static const struct {
        int answer, error;
    } rows[] = { { 0, -ESHUTDOWN }, { -ECONNABORTED, -ECONNABORTED } };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        open_scene();
        veils[0] = (struct veil){ .rounds = 0 };
        end_of_read = rows[i].answer;
        struct httpclient *client =
            httpclient_new(scene.loop, &(struct httpclient_options){ .tls = { .start = start_ending } });
        struct fetchscene_fetch *fetch = fetchscene_try_with(
            &scene, client, (struct httpclient_request){ .url = "https://a.test/", .unix_path = scene.path });
        fetchscene_expect_error(&scene, fetch, rows[i].error, HTTPCLIENT_CONNECT);
        httpclient_close(client);
        fetchscene_settle(&scene);
        assert_int_equal(veils[0].closes, 1);
        close_scene();
    }
}

static void a_handshake_has_the_time_to_connect(void **state)
{
    open_scene();
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "https://a.test/");
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    fetchscene_pass(&scene, 9.9);
    fetchscene_expect_waiting(&scene, fetch);
    fetchscene_pass(&scene, 0.3);
    fetchscene_expect_error(&scene, fetch, -ETIMEDOUT, HTTPCLIENT_CONNECT);
    fetchscene_take(peer, SIZE_MAX);
    assert_true(peer->ended);
    close_scene();
}

static void a_fetch_can_be_cancelled_within_the_handshake(void **state)
{
    open_scene();
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "https://a.test/");
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    fetchscene_expect_text(&scene, peer, "h");
    httpclient_cancel(scene.client, fetch->id);
    fetchscene_expect_error(&scene, fetch, -ECANCELED, HTTPCLIENT_CONNECT);
    fetchscene_expect_end(&scene, peer);
    close_scene();
}

/* F5 */
static void http_and_https_and_other_hosts_share_no_connection(void **state)
{
    open_scene();
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "http://a.test:443/");
    fetchscene_serve(&scene, NULL, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    static const char *const urls[] = { "https://a.test/", "https://b.test/" };
    for (size_t i = 0; i < 2; i++) {
        fetch = fetchscene_get(&scene, urls[i]);
        struct fetchscene_peer *peer = accept_veiled();
        fetchscene_put(&scene, peer, HI);
        fetchscene_expect(&scene, fetch, 200, "hi");
        fetchscene_expect_pool(&scene, i + 2, i + 2, 0);
    }
    assert_string_equal(asked, "a.test b.test ");
    close_scene();
}

static void a_tunnel_is_opened_before_the_handshake(void **state)
{
    open_scene();
    struct httpclient_request request = { .url = "https://u:p@nobody.test/a",
                                          .proxy_host = "127.0.0.1",
                                          .proxy_port = scene.ports[FETCHSCENE_FIRST],
                                          .proxy_username = "x" };
    struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, request);
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    fetchscene_take_request(&scene, peer, &seen);
    assert_string_equal(seen.method, "CONNECT");
    assert_string_equal(seen.target, "nobody.test:443");
    assert_null(fetchscene_request_header(&seen, "Authorization"));
    assert_int_equal(started, 0);
    fetchscene_put(&scene, peer, OK "\r\n");
    greet(peer);
    assert_string_equal(asked, "nobody.test ");
    fetchscene_take_request(&scene, peer, &seen);
    assert_string_equal(seen.target, "/a");
    assert_string_equal(fetchscene_request_header(&seen, "Host"), "nobody.test");
    assert_null(fetchscene_request_header(&seen, "Proxy-Authorization"));
    assert_non_null(fetchscene_request_header(&seen, "Authorization"));
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_expect_pool(&scene, 1, 1, 0);
    close_scene();
}

/* What a proxy sends behind its answer would be in front of what the server says. */
static void bytes_of_a_proxy_do_not_get_under_the_veil(void **state)
{
    open_scene();
    struct httpclient_request request = { .url = "https://nobody.test/a",
                                          .proxy_host = "127.0.0.1",
                                          .proxy_port = scene.ports[FETCHSCENE_FIRST] };
    struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, request);
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    fetchscene_take_request(&scene, peer, &seen);
    fetchscene_put(&scene, peer, OK "\r\nh");
    fetchscene_expect_error(&scene, fetch, -EPROTO, HTTPCLIENT_CONNECT);
    assert_int_equal(started, 0);
    fetchscene_expect_end(&scene, peer);
    close_scene();
}

/* A24, where the kernel does not know of the bytes: they are in the transport. */
static void bytes_that_the_transport_has_behind_a_response_are_no_answer(void **state)
{
    open_scene();
    next_veil.most = 5;
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "https://a.test/");
    struct fetchscene_peer *peer = accept_veiled();
    fetchscene_put(&scene, peer, HI OK "Content-Length: 4\r\n\r\nevil");
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetch = fetchscene_get(&scene, "https://a.test/second");
    struct fetchscene_peer *second = accept_veiled();
    assert_string_equal(seen.target, "/second");
    fetchscene_put(&scene, second, OK "Content-Length: 4\r\n\r\ngood");
    fetchscene_expect(&scene, fetch, 200, "good");
    fetchscene_take(peer, SIZE_MAX);
    assert_true(peer->ended);
    close_scene();
}

static struct fetchscene_fetch *get_with_cookie(const char *url)
{
    struct httpheaders headers = { 0 };

    assert_int_equal(httpheaders_add(&headers, "Cookie", "secret"), 0);
    struct fetchscene_fetch *fetch =
        fetchscene_fetch(&scene, (struct httpclient_request){ .url = url, .headers = &headers });
    httpheaders_free(&headers);
    return fetch;
}

/* F1 */
static void a_redirect_may_lead_to_https_but_not_back(void **state)
{
    open_scene();
    struct fetchscene_fetch *fetch = get_with_cookie("http://a.test/");
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    fetchscene_take_request(&scene, peer, &seen);
    assert_non_null(fetchscene_request_header(&seen, "Cookie"));
    fetchscene_put(&scene, peer, "HTTP/1.1 301 A\r\nLocation: https://a.test/s\r\nContent-Length: 0\r\n\r\n");
    struct fetchscene_peer *veiled = accept_veiled();
    assert_null(fetchscene_request_header(&seen, "Cookie")); /* it is another origin */
    fetchscene_put(&scene, veiled, "HTTP/1.1 301 A\r\nLocation: http://a.test/t\r\nContent-Length: 0\r\n\r\n");
    fetchscene_expect_error(&scene, fetch, -EPROTONOSUPPORT, FETCHSCENE_ANY_PHASE);
    assert_string_equal(fetch->url, "https://a.test/s");
    fetchscene_expect_nothing(&scene, peer);
    fetchscene_expect_no_connection(&scene);
    close_scene();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(https_goes_through_the_transport_of_its_host),
    cmocka_unit_test(what_starts_no_tls_is_the_error_of_the_fetch),
    cmocka_unit_test(a_handshake_that_fails_is_the_error_of_the_fetch),
    cmocka_unit_test(a_server_that_goes_within_the_handshake_is_an_error),
    cmocka_unit_test(what_comes_with_the_end_of_the_handshake_is_no_answer),
    cmocka_unit_test(an_end_that_comes_with_the_handshake_is_told_as_it_is),
    cmocka_unit_test(a_handshake_has_the_time_to_connect),
    cmocka_unit_test(a_fetch_can_be_cancelled_within_the_handshake),
    cmocka_unit_test(http_and_https_and_other_hosts_share_no_connection),
    cmocka_unit_test(a_tunnel_is_opened_before_the_handshake),
    cmocka_unit_test(bytes_of_a_proxy_do_not_get_under_the_veil),
    cmocka_unit_test(bytes_that_the_transport_has_behind_a_response_are_no_answer),
    cmocka_unit_test(a_redirect_may_lead_to_https_but_not_back),
};

TESTING_MAIN(tests)
