/* connect_host and connect_port: a connection to somewhere else than the url says, and nothing else changes. */
#include "tests/support/testing.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "ioloop/ioexecutor.h"
#include "tests/support/fakenames.h"
#include "tests/support/fetchscene.h"
#include "tests/support/veil.h"

#define OK            "HTTP/1.1 200 OK\r\n"
#define HI            OK "Content-Length: 2\r\n\r\nhi"
#define REDIRECT(url) "HTTP/1.1 302 A\r\nLocation: " url "\r\nContent-Length: 0\r\n\r\n"

const struct fakename fakenames[] = {
    { "backend.test", { "127.0.0.1" } },
    { NULL, { NULL } },
};

static struct fetchscene scene;
static struct fetchscene_request seen;

static void open_scene(const struct httpclient_options *options)
{
    assert_non_null(ioexecutor_default());
    fetchscene_open(&scene, options);
}

static struct httpclient_request to_first(const char *url)
{
    return (struct httpclient_request){ .url = url,
                                        .connect_host = "127.0.0.1",
                                        .connect_port = scene.ports[FETCHSCENE_FIRST] };
}

/* Its request comes over this connection, or over a new one; host is what it says. */
static struct fetchscene_peer *take(struct fetchscene_peer *peer, const char *target, const char *host)
{
    if (peer == NULL)
        peer = fetchscene_accept(&scene);
    fetchscene_take_request(&scene, peer, &seen);
    assert_string_equal(seen.target, target);
    assert_string_equal(fetchscene_request_header(&seen, "Host"), host);
    return peer;
}

static struct fetchscene_peer *serve_hi(struct fetchscene_fetch *fetch, struct fetchscene_peer *peer, const char *host)
{
    peer = take(peer, "/", host);
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    return peer;
}

static void only_the_connection_goes_elsewhere(void **state)
{
    char host[] = "backend.test", url[] = "http://u:p@Example.org:8/a";

    open_scene(NULL);
    struct httpclient_request request = to_first(url);
    request.connect_host = host;
    struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, request);
    memset(host, '#', sizeof host - 1);
    memset(url, '#', sizeof url - 1);
    struct fetchscene_peer *peer = take(NULL, "/a", "Example.org:8");
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    assert_string_equal(fetch->url, "http://Example.org:8/a");
    fetchscene_close(&scene);
}

static void what_is_not_given_is_the_urls(void **state)
{
    char url[80], host[64];

    open_scene(NULL);
    snprintf(host, sizeof host, "nobody.test:%d", scene.ports[FETCHSCENE_FIRST]);
    snprintf(url, sizeof url, "http://%s/", host);
    serve_hi(fetchscene_fetch(&scene, (struct httpclient_request){ .url = url, .connect_host = "127.0.0.1" }), NULL,
             host);
    serve_hi(fetchscene_fetch(&scene, (struct httpclient_request){ .url = "http://127.0.0.1:1/",
                                                                   .connect_port = scene.ports[FETCHSCENE_FIRST] }),
             NULL, "127.0.0.1:1");
    fetchscene_close(&scene);
}

/* By what they are connected to, and by what they are asked for. */
static void connections_are_kept_apart(void **state)
{
    struct fetchscene_peer *peers[6];
    struct httpclient_request requests[6];

    open_scene(NULL);
    requests[0] = to_first("http://127.0.0.1:9/");
    requests[1] = to_first("http://127.0.0.1:9/");
    requests[1].connect_port = scene.ports[FETCHSCENE_SECOND];
    requests[2] = to_first("http://127.0.0.1:9/");
    requests[2].connect_host = "backend.test";
    requests[3] = to_first("http://127.0.0.1:9/");
    requests[3].connect_host = NULL;
    requests[4] = to_first("http://127.0.0.1:10/");
    requests[5] = to_first("http://example.org:9/");
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 6; i++) {
            struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, requests[i]);
            if (round == 0)
                peers[i] = fetchscene_accept_from(&scene, i == 1 ? FETCHSCENE_SECOND : FETCHSCENE_FIRST);
            fetchscene_serve(&scene, peers[i], HI);
            fetchscene_expect(&scene, fetch, 200, "hi");
            assert_int_equal(fetch->is_reused, round);
        }
    }
    fetchscene_expect_pool(&scene, 6, 6, 0);
    fetchscene_close(&scene);
}

static void a_mapping_does_not_count_then(void **state)
{
    static const struct httpclient_mapping mappings[] = { { "example.org", "127.0.0.2", 1 },
                                                          { "127.0.0.1", "127.0.0.2", 1 },
                                                          { NULL, NULL, 0 } };

    open_scene(&(struct httpclient_options){ .mappings = mappings });
    serve_hi(fetchscene_fetch(&scene, to_first("http://example.org/")), NULL, "example.org");
    serve_hi(fetchscene_fetch(&scene, (struct httpclient_request){ .url = "http://127.0.0.1:1/",
                                                                   .connect_port = scene.ports[FETCHSCENE_FIRST] }),
             NULL, "127.0.0.1:1");
    fetchscene_close(&scene);
}

/* TLS. */

static char named[100];
static struct veil veil;

static int start_veil(void *arg, const char *host, const struct iostream_transport **transport, void **context)
{
    strcat(strcat(named, host), " ");
    veil = (struct veil){ .rounds = 0 };
    *transport = &veil_plain;
    *context = &veil;
    return 0;
}

/* Redirects. */

static void a_redirect_within_the_origin_stays_there(void **state)
{
    static const char *const locations[] = { "/", "http://example.org/", "http://EXAMPLE.org:80/" };

    open_scene(NULL);
    for (size_t i = 0; i < 3; i++) {
        char answer[256];
        struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, to_first("http://example.org/a"));
        struct fetchscene_peer *peer = i == 0 ? fetchscene_accept(&scene) : &scene.peers[0];
        take(peer, "/a", "example.org");
        snprintf(answer, sizeof answer, "HTTP/1.1 302 A\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", locations[i]);
        fetchscene_put(&scene, peer, answer);
        serve_hi(fetch, peer, i == 2 ? "EXAMPLE.org" : "example.org");
        assert_true(fetch->is_reused);
    }
    fetchscene_close(&scene);
}

/* To the second listener, by its own name, and back. */
static void a_redirect_elsewhere_goes_there_and_one_back_comes_back(void **state)
{
    char answer[256], host[64];

    open_scene(NULL);
    struct httpclient_request request = to_first("http://example.org/a");
    request.auth_username = "u";
    struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, request);
    struct fetchscene_peer *first = take(NULL, "/a", "example.org");
    snprintf(host, sizeof host, "127.0.0.1:%d", scene.ports[FETCHSCENE_SECOND]);
    snprintf(answer, sizeof answer, "HTTP/1.1 302 A\r\nLocation: http://%s/b\r\nContent-Length: 0\r\n\r\n", host);
    fetchscene_put(&scene, first, answer);
    struct fetchscene_peer *second = take(fetchscene_accept_from(&scene, FETCHSCENE_SECOND), "/b", host);
    fetchscene_put(&scene, second, REDIRECT("http://example.org/"));
    serve_hi(fetch, first, "example.org");
    assert_null(fetchscene_request_header(&seen, "Authorization")); /* which does not come back */
    assert_true(fetch->is_reused);
    assert_int_equal(fetch->redirects, 2);
    fetchscene_close(&scene);
}

static void another_port_host_or_scheme_is_another_origin(void **state)
{
    static const struct {
        const char *answer;
        int error, phase;
    } rows[] = {
        { REDIRECT("http://example.org:81/"), -ENXIO, HTTPCLIENT_RESOLVE },
        { REDIRECT("http://www.example.org/"), -ENXIO, HTTPCLIENT_RESOLVE },
        { REDIRECT("http://example.org./"), -ENXIO, HTTPCLIENT_RESOLVE },
        { REDIRECT("http://example.or/"), -ENXIO, HTTPCLIENT_RESOLVE },
        { REDIRECT("https://example.org:80/"), -ENXIO, HTTPCLIENT_RESOLVE },
    };

    open_scene(&(struct httpclient_options){ .tls = { .start = start_veil } });
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, to_first("http://example.org/"));
        fetchscene_serve(&scene, i == 0 ? NULL : &scene.peers[0], rows[i].answer);
        fetchscene_expect_error(&scene, fetch, rows[i].error, rows[i].phase);
    }
    fetchscene_close(&scene);
}

/* What it has to verify. */
static void tls_is_asked_for_the_urls_host(void **state)
{
    named[0] = '\0';
    open_scene(&(struct httpclient_options){ .tls = { .start = start_veil } });
    struct httpclient_request request = to_first("https://Example.org/");
    request.connect_host = "backend.test";
    struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, request);
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    peer->mask = 0x55;
    serve_hi(fetch, peer, "Example.org");
    assert_string_equal(named, "example.org ");
    fetchscene_close(&scene);
}

/* Proxies. */

static struct fetchscene_peer *take_connect(struct fetchscene_peer *peer, const char *authority)
{
    peer = take(peer, authority, authority);
    assert_string_equal(seen.method, "CONNECT");
    fetchscene_put(&scene, peer, OK "\r\n");
    return peer;
}

static void through_a_proxy_it_is_what_the_tunnel_is_asked_for(void **state)
{
    static const struct {
        const char *url, *host;
        int port;
        const char *authority, *named;
    } rows[] = {
        { "http://example.org/", "backend.test", 81, "backend.test:81", "example.org" },
        { "http://example.org:8080/", "backend.test", 0, "backend.test:8080", "example.org:8080" },
        { "http://example.org/", NULL, 81, "example.org:81", "example.org" },
        { "http://example.org:080/", NULL, 8, "example.org:8", "example.org" },
        { "http://example.org/", "::1", 81, "[::1]:81", "example.org" },
        { "http://[::1]:9/", "10.0.0.1", 0, "10.0.0.1:9", "[::1]:9" },
        { "http://[::1]:9/", NULL, 10, "[::1]:10", "[::1]:9" },
    };

    open_scene(NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fetchscene_fetch *fetch =
            fetchscene_fetch(&scene, (struct httpclient_request){ .url = rows[i].url,
                                                                  .connect_host = rows[i].host,
                                                                  .connect_port = rows[i].port,
                                                                  .proxy_host = "127.0.0.1",
                                                                  .proxy_port = scene.ports[FETCHSCENE_FIRST] });
        struct fetchscene_peer *peer = take_connect(NULL, rows[i].authority);
        serve_hi(fetch, peer, rows[i].named);
        fetchscene_hang_up(peer);
        fetchscene_settle(&scene);
    }
    fetchscene_close(&scene);
}

static void a_redirect_elsewhere_needs_no_tunnel(void **state)
{
    open_scene(NULL);
    struct fetchscene_fetch *fetch =
        fetchscene_fetch(&scene, (struct httpclient_request){ .url = "http://example.org/",
                                                              .connect_host = "backend.test",
                                                              .proxy_host = "127.0.0.1",
                                                              .proxy_port = scene.ports[FETCHSCENE_FIRST] });
    struct fetchscene_peer *peer = take_connect(NULL, "backend.test:80");
    take(peer, "/", "example.org");
    fetchscene_put(&scene, peer, REDIRECT("http://example.net/b"));
    peer = take(NULL, "http://example.net/b", "example.net");
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_close(&scene);
}

/* What is asked for. */

static void what_is_no_host_or_port_is_refused(void **state)
{
    static const char *const hosts[] = { "",    " ",     "a b",      "a\r\nB: c", "a:80", "[::1]", "[::1]:80",
                                         "a/b", "a\x7f", "\xc3\xa4", "a@b",       "%61",  "1.2.3", "::g" };
    static const int ports[] = { -1, 65536, 1 << 30 };
    char longest[255];

    open_scene(NULL);
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        if (fetchscene_try(&scene, (struct httpclient_request){ .url = "http://a/", .connect_host = hosts[i] }) != NULL)
            fail_msg("\"%s\" is taken", hosts[i]);
        assert_int_equal(errno, EINVAL);
    }
    for (size_t i = 0; i < sizeof ports / sizeof *ports; i++) {
        assert_null(
            fetchscene_try(&scene, (struct httpclient_request){ .url = "http://a/", .connect_port = ports[i] }));
        assert_int_equal(errno, EINVAL);
    }
    for (int over = 0; over < 2; over++) {
        memset(longest, 'a', sizeof longest);
        longest[253 + over] = '\0';
        struct fetchscene_fetch *fetch =
            fetchscene_try(&scene, (struct httpclient_request){ .url = "http://a/", .connect_host = longest });
        assert_int_equal(fetch == NULL, over);
    }
    for (int i = 0; i < 2; i++) {
        assert_null(fetchscene_try(&scene, (struct httpclient_request){ .url = "http://a/",
                                                                        .unix_path = scene.path,
                                                                        .connect_host = i == 0 ? "a" : NULL,
                                                                        .connect_port = i }));
        assert_int_equal(errno, EINVAL);
    }
    fetchscene_close(&scene);
}

static void defaults_may_say_where_to_connect(void **state)
{
    char host[] = "127.0.0.1";
    struct httpclient_request defaults = { .connect_host = host };

    assert_non_null(ioexecutor_default());
    fetchscene_open_bare(&scene);
    defaults.connect_port = scene.ports[FETCHSCENE_FIRST];
    scene.client = httpclient_new(scene.loop, &(struct httpclient_options){ .defaults = &defaults });
    assert_non_null(scene.client);
    memset(host, '#', sizeof host - 1);
    serve_hi(fetchscene_get(&scene, "http://example.org/"), NULL, "example.org");

    /* A request's own place takes nothing of another's. */
    struct fetchscene_fetch *fetch =
        fetchscene_fetch(&scene, (struct httpclient_request){ .url = "http://example.net/", .unix_path = scene.path });
    serve_hi(fetch, fetchscene_accept_from(&scene, FETCHSCENE_UNIX), "example.net");
    fetch = fetchscene_fetch(&scene, (struct httpclient_request){ .url = "http://127.0.0.1:1/",
                                                                  .connect_port = scene.ports[FETCHSCENE_SECOND] });
    serve_hi(fetch, fetchscene_accept_from(&scene, FETCHSCENE_SECOND), "127.0.0.1:1");
    httpclient_close(scene.client);
    scene.client = NULL;
    fetchscene_close(&scene);
}

/* The filter sees what is connected to. */
static char filtered[100];

static bool note_address(const struct sockaddr *address, socklen_t length, void *arg)
{
    char text[INET6_ADDRSTRLEN];

    if (address->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, text, sizeof text);
    else
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, text, sizeof text);
    strcat(strcat(filtered, text), " ");
    return false;
}

static void the_filter_is_asked_for_that_address(void **state)
{
    static const char *const hosts[] = { "backend.test", "::1", "10.0.0.1" };

    filtered[0] = '\0';
    open_scene(&(struct httpclient_options){ .connect_filter = note_address });
    for (int i = 0; i < 3; i++) {
        struct fetchscene_fetch *fetch = fetchscene_fetch(
            &scene, (struct httpclient_request){ .url = "http://127.0.0.3/", .connect_host = hosts[i] });
        fetchscene_expect_error(&scene, fetch, -EACCES, HTTPCLIENT_CONNECT);
    }
    assert_string_equal(filtered, "127.0.0.1 ::1 10.0.0.1 ");
    fetchscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(only_the_connection_goes_elsewhere),
    cmocka_unit_test(what_is_not_given_is_the_urls),
    cmocka_unit_test(connections_are_kept_apart),
    cmocka_unit_test(a_mapping_does_not_count_then),
    cmocka_unit_test(a_redirect_within_the_origin_stays_there),
    cmocka_unit_test(a_redirect_elsewhere_goes_there_and_one_back_comes_back),
    cmocka_unit_test(another_port_host_or_scheme_is_another_origin),
    cmocka_unit_test(tls_is_asked_for_the_urls_host),
    cmocka_unit_test(through_a_proxy_it_is_what_the_tunnel_is_asked_for),
    cmocka_unit_test(a_redirect_elsewhere_needs_no_tunnel),
    cmocka_unit_test(what_is_no_host_or_port_is_refused),
    cmocka_unit_test(defaults_may_say_where_to_connect),
    cmocka_unit_test(the_filter_is_asked_for_that_address),
};

TESTING_MAIN(tests)
