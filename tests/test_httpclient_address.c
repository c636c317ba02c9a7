/* Where a client connects to, and from. */
#include "tests/support/testing.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ioloop/ioexecutor.h"
#include "ioloop/resolver.h"
#include "tests/support/fakenames.h"
#include "tests/support/fetchscene.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define HI OK "Content-Length: 2\r\n\r\nhi"

const struct fakename fakenames[] = {
    { "www.example.com", { "127.0.0.1" } },
    { "both.test", { "::1", "127.0.0.1" } },
    { "two.test", { "127.0.0.2", "127.0.0.1" } },
    { "far.test", { "10.0.0.1", "192.168.0.1" } },
    { NULL, { NULL } },
};

static struct fetchscene scene;
static struct fetchscene_request seen;

static const char *url_of(const char *host)
{
    static char url[128];

    snprintf(url, sizeof url, "http://%s:%d/", host, scene.ports[FETCHSCENE_FIRST]);
    return url;
}

/* The threads that look up names stay when they were there once. */
static void open_scene(const struct httpclient_options *options)
{
    assert_non_null(ioexecutor_default());
    fetchscene_open(&scene, options);
}

/* Errors. */

/* simple_httpclient_test:test_connection_refused */
static void a_server_that_is_not_there_is_told_as_such(void **state)
{
    char url[64];

    open_scene(NULL);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", scene.ports[FETCHSCENE_SECOND]);
    close(scene.listeners[FETCHSCENE_SECOND]);
    scene.listeners[FETCHSCENE_SECOND] = dup(scene.listeners[FETCHSCENE_FIRST]);
    for (int i = 0; i < 2; i++) {
        struct fetchscene_fetch *fetch =
            fetchscene_fetch(&scene, (struct httpclient_request){ .url = url, .raise_error = i == 0 });
        fetchscene_expect_error(&scene, fetch, -ECONNREFUSED, HTTPCLIENT_CONNECT);
        assert_int_equal(fetch->code, 0);
        assert_string_equal(fetch->headers.bytes, "");
    }
    fetchscene_expect_pool(&scene, 0, 0, 0);
    assert_int_equal(testing_logs(NULL), 0);
    fetchscene_close(&scene);
}

static void a_name_that_is_not_there_is_told_as_such(void **state)
{
    open_scene(NULL);
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, url_of("nobody.test"));
    fetchscene_expect_error(&scene, fetch, -ENXIO, HTTPCLIENT_RESOLVE);
    fetchscene_expect_pool(&scene, 0, 0, 0);
    fetchscene_close(&scene);
}

/* Names. */

static void expect_served(struct httpclient_request request, const char *host)
{
    struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, request);
    struct fetchscene_peer *peer = fetchscene_accept(&scene);

    fetchscene_take_request(&scene, peer, &seen);
    size_t length = strlen(host);
    assert_memory_equal(fetchscene_request_header(&seen, "Host"), host, length);
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_hang_up(peer);
    fetchscene_settle(&scene);
}

static void names_are_looked_up(void **state)
{
    open_scene(NULL);
    expect_served((struct httpclient_request){ .url = url_of("www.example.com") }, "www.example.com");
    expect_served((struct httpclient_request){ .url = url_of("www.EXAMPLE.com") }, "www.");
    fetchscene_close(&scene);
}

static void the_second_address_is_tried_when_the_first_is_refused(void **state)
{
    open_scene(NULL);
    expect_served((struct httpclient_request){ .url = url_of("two.test") }, "two.test");
    fetchscene_close(&scene);
}

static void mappings_have_to_lead_somewhere(void **state)
{
    static const struct httpclient_mapping bad[][2] = { { { "a", NULL, 80 } },
                                                        { { "a", "b", -1 } },
                                                        { { "a", "b", 65536 } } };
    struct ioloop *loop = ioloop_new(NULL);

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        errno = 0;
        assert_null(httpclient_new(loop, &(struct httpclient_options){ .mappings = bad[i] }));
        assert_int_equal(errno, EINVAL);
    }
    ioloop_close(loop, false);
}

/* simple_httpclient_test:test_hostname_mapping, simple_httpclient_test:test_port_mapping */
static void mappings_lead_elsewhere_and_host_stays(void **state)
{
    struct httpclient_mapping mappings[4] = { { "mapped.test", "127.0.0.1", 0 },
                                              { "mapped.test:81", "127.0.0.1", 0 },
                                              { "other.test", "www.example.com", 0 } };
    struct httpclient_options options = { .mappings = mappings };

    assert_non_null(ioexecutor_default());
    fetchscene_open_bare(&scene);
    mappings[1].port = mappings[2].port = scene.ports[FETCHSCENE_FIRST];
    scene.client = httpclient_new(scene.loop, &options);
    assert_non_null(scene.client);
    memset(mappings, 0, sizeof mappings);
    expect_served((struct httpclient_request){ .url = url_of("mapped.test") }, "mapped.test:");
    expect_served((struct httpclient_request){ .url = "http://mapped.test:81/" }, "mapped.test:81");
    expect_served((struct httpclient_request){ .url = "http://mapped.TEST:81/" }, "mapped.");
    expect_served((struct httpclient_request){ .url = "http://other.test/" }, "other.test");
    expect_served((struct httpclient_request){ .url = "http://other.test:1234/" }, "other.test:1234");
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "http://xmapped.test:81/");
    fetchscene_expect_error(&scene, fetch, -ENXIO, HTTPCLIENT_RESOLVE);
    httpclient_close(scene.client);
    scene.client = NULL;
    fetchscene_close(&scene);
}

static void a_resolver_of_ones_own_is_asked(void **state)
{
    assert_non_null(ioexecutor_default());
    fetchscene_open_bare(&scene);
    struct resolver *resolver = resolver_new(NULL);
    assert_non_null(resolver);
    assert_int_equal(resolver_add_override(resolver, "own.test", 0, AF_UNSPEC, "127.0.0.1", 0), 0);
    scene.client = httpclient_new(scene.loop, &(struct httpclient_options){ .resolver = resolver });
    assert_non_null(scene.client);
    expect_served((struct httpclient_request){ .url = url_of("own.test") }, "own.test");
    httpclient_close(scene.client);
    scene.client = NULL;
    fetchscene_settle(&scene);
    resolver_close(resolver);
    fetchscene_close(&scene);
}

/* Families and our own address. */

static int listen_on_ipv6(int *port)
{
    struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
    socklen_t length = sizeof address;
    int fd = socket(AF_INET6, SOCK_STREAM, 0);

    if (fd < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || bind(fd, (struct sockaddr *)&address, length) < 0 ||
        listen(fd, 5) < 0) {
        if (fd >= 0)
            close(fd);
        print_message("this machine has no IPv6: the test is skipped\n");
        return -1;
    }
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    *port = ntohs(address.sin6_port);
    return fd;
}

/* simple_httpclient_test:test_ipv6 */
static void an_ipv6_address_stands_in_brackets(void **state)
{
    char url[64], host[32];
    int port, fd = listen_on_ipv6(&port);

    if (fd < 0)
        return;
    open_scene(NULL);
    close(scene.listeners[FETCHSCENE_SECOND]);
    scene.listeners[FETCHSCENE_SECOND] = fd;
    snprintf(url, sizeof url, "http://[::1]:%d/", port);
    snprintf(host, sizeof host, "[::1]:%d", port);
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, url);
    struct fetchscene_peer *peer = fetchscene_accept_from(&scene, FETCHSCENE_SECOND);
    fetchscene_take_request(&scene, peer, &seen);
    assert_string_equal(fetchscene_request_header(&seen, "Host"), host);
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");

    fetch = fetchscene_fetch(&scene, (struct httpclient_request){ .url = url, .family = AF_INET });
    fetchscene_wait(&scene, fetch);
    assert_true(fetch->error < 0 && fetch->error != -ETIMEDOUT);
    fetch = fetchscene_fetch(&scene, (struct httpclient_request){ .url = url, .family = AF_INET6 });
    peer = fetchscene_accept_from(&scene, FETCHSCENE_SECOND); /* the one that is kept is of any family */
    fetchscene_serve(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_close(&scene);
}

static void a_family_chooses_among_the_addresses_of_a_name(void **state)
{
    open_scene(NULL);
    expect_served((struct httpclient_request){ .url = url_of("both.test"), .family = AF_INET }, "both.test");
    struct fetchscene_fetch *fetch =
        fetchscene_fetch(&scene, (struct httpclient_request){ .url = url_of("two.test"), .family = AF_INET6 });
    fetchscene_expect_error(&scene, fetch, -ENXIO, HTTPCLIENT_RESOLVE);
    assert_null(fetchscene_try(&scene, (struct httpclient_request){ .url = "/", .family = AF_UNIX }));
    assert_int_equal(errno, EINVAL);
    fetchscene_close(&scene);
}

/* httpclient_test:test_bind_source_ip */
static void a_connection_comes_from_the_address_that_was_given(void **state)
{
    static const char *const addresses[] = { "127.0.0.1", "127.0.0.3" };
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    char text[32];

    open_scene(NULL);
    for (size_t i = 0; i < 2; i++) {
        struct fetchscene_fetch *fetch =
            fetchscene_fetch(&scene, (struct httpclient_request){ .url = "/", .network_interface = addresses[i] });
        struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, HI);

        fetchscene_expect(&scene, fetch, 200, "hi");
        assert_int_equal(getpeername(peer->fd, (struct sockaddr *)&address, &length), 0);
        assert_string_equal(inet_ntop(AF_INET, &address.sin_addr, text, sizeof text), addresses[i]);
        fetchscene_expect_pool(&scene, i + 1, i + 1, 0); /* not for each other: F5 */
    }
    assert_null(
        fetchscene_try(&scene, (struct httpclient_request){ .url = "/", .network_interface = "not-an-interface" }));
    assert_int_equal(errno, EINVAL);
    struct fetchscene_fetch *fetch =
        fetchscene_fetch(&scene, (struct httpclient_request){ .url = "/", .network_interface = "192.0.2.1" });
    fetchscene_expect_error(&scene, fetch, -EADDRNOTAVAIL, HTTPCLIENT_CONNECT);
    fetchscene_close(&scene);
}

/* Unix sockets. */

static void a_unix_socket_is_connected_to_whatever_the_url_names(void **state)
{
    struct fetchscene_peer *peer = NULL;

    open_scene(NULL);
    for (int i = 0; i < 2; i++) {
        struct fetchscene_fetch *fetch = fetchscene_fetch(
            &scene, (struct httpclient_request){ .url = "http://nobody.test/a", .unix_path = scene.path });

        if (peer == NULL)
            peer = fetchscene_accept_from(&scene, FETCHSCENE_UNIX);
        fetchscene_take_request(&scene, peer, &seen);
        assert_string_equal(seen.target, "/a");
        assert_string_equal(fetchscene_request_header(&seen, "Host"), "nobody.test");
        fetchscene_put(&scene, peer, HI);
        fetchscene_expect(&scene, fetch, 200, "hi");
        assert_int_equal(fetch->is_reused, i);
    }
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "http://nobody.test/a"); /* not that connection */
    fetchscene_expect_error(&scene, fetch, -ENXIO, HTTPCLIENT_RESOLVE);
    fetchscene_close(&scene);
}

/* With a NUL behind it, as not every system does without. */
static void a_path_that_no_socket_can_have_is_refused_at_once(void **state)
{
    static const size_t most = sizeof((struct sockaddr_un *)NULL)->sun_path - 1;
    const size_t lengths[] = { 0, most + 1, most + 2, 2 * most };
    char path[256] = "";

    open_scene(NULL);
    memset(path, 'a', most);
    struct fetchscene_fetch *fetch =
        fetchscene_fetch(&scene, (struct httpclient_request){ .url = "http://a/", .unix_path = path });
    fetchscene_expect_error(&scene, fetch, -ENOENT, HTTPCLIENT_CONNECT);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        memset(path, 'a', sizeof path);
        path[lengths[i]] = '\0';
        errno = 0;
        assert_null(fetchscene_try(&scene, (struct httpclient_request){ .url = "http://a/", .unix_path = path }));
        assert_int_equal(errno, EINVAL);
    }
    fetchscene_close(&scene);
}

static void a_unix_socket_that_is_not_there_is_told_as_such(void **state)
{
    open_scene(NULL);
    struct fetchscene_fetch *fetch =
        fetchscene_fetch(&scene, (struct httpclient_request){ .url = "http://a/", .unix_path = "/nowhere/socket" });
    fetchscene_expect_error(&scene, fetch, -ENOENT, HTTPCLIENT_CONNECT);
    fetch = fetchscene_fetch(&scene, (struct httpclient_request){ .url = "http://a/", .unix_path = "@nobody_there" });
    fetchscene_expect_error(&scene, fetch, -ECONNREFUSED, HTTPCLIENT_CONNECT);
    fetchscene_close(&scene);
}

/* A redirect of a Unix socket's server leads to that socket again, never to the host it names. */
static void a_redirect_stays_on_the_unix_socket(void **state)
{
    open_scene(NULL);
    struct fetchscene_fetch *fetch =
        fetchscene_fetch(&scene, (struct httpclient_request){ .url = "http://a/", .unix_path = scene.path });
    struct fetchscene_peer *peer = fetchscene_accept_from(&scene, FETCHSCENE_UNIX);
    fetchscene_serve(&scene, peer, "HTTP/1.1 302 A\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n");
    fetchscene_serve(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_close(&scene);
}

/* Filters. F8 */

static char asked[256];
static const char *allowed;

static bool filter_addresses(const struct sockaddr *address, socklen_t length, void *arg)
{
    char text[64];

    assert_int_equal(address->sa_family, AF_INET);
    assert_true(length >= sizeof(struct sockaddr_in));
    assert_ptr_equal(arg, asked);
    inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, text, sizeof text);
    strcat(asked, text);
    strcat(asked, " ");
    return allowed != NULL && strcmp(text, allowed) == 0;
}

static void open_filtered(void)
{
    asked[0] = '\0';
    allowed = NULL;
    open_scene(&(struct httpclient_options){ .connect_filter = filter_addresses, .connect_filter_arg = asked });
}

static void addresses_that_the_filter_refuses_are_not_connected_to(void **state)
{
    open_filtered();
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
    fetchscene_expect_error(&scene, fetch, -EACCES, HTTPCLIENT_CONNECT);
    assert_string_equal(asked, "127.0.0.1 ");
    asked[0] = '\0';
    fetch = fetchscene_get(&scene, url_of("far.test"));
    fetchscene_expect_error(&scene, fetch, -EACCES, HTTPCLIENT_CONNECT);
    assert_string_equal(asked, "10.0.0.1 192.168.0.1 ");
    fetchscene_expect_no_connection(&scene);

    allowed = "127.0.0.1";
    asked[0] = '\0';
    expect_served((struct httpclient_request){ .url = url_of("two.test") }, "two.test");
    assert_string_equal(asked, "127.0.0.2 127.0.0.1 ");
    fetchscene_close(&scene);
}

static void the_filter_is_asked_for_every_hop(void **state)
{
    open_filtered();
    allowed = "127.0.0.1";
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
    fetchscene_serve(&scene, NULL, "HTTP/1.1 302 A\r\nLocation: http://10.0.0.1/\r\nContent-Length: 0\r\n\r\n");
    fetchscene_expect_error(&scene, fetch, -EACCES, HTTPCLIENT_CONNECT);
    assert_string_equal(asked, "127.0.0.1 10.0.0.1 ");
    fetchscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_server_that_is_not_there_is_told_as_such),
    cmocka_unit_test(a_name_that_is_not_there_is_told_as_such),
    cmocka_unit_test(names_are_looked_up),
    cmocka_unit_test(the_second_address_is_tried_when_the_first_is_refused),
    cmocka_unit_test(mappings_have_to_lead_somewhere),
    cmocka_unit_test(mappings_lead_elsewhere_and_host_stays),
    cmocka_unit_test(a_resolver_of_ones_own_is_asked),
    cmocka_unit_test(an_ipv6_address_stands_in_brackets),
    cmocka_unit_test(a_family_chooses_among_the_addresses_of_a_name),
    cmocka_unit_test(a_connection_comes_from_the_address_that_was_given),
    cmocka_unit_test(a_unix_socket_is_connected_to_whatever_the_url_names),
    cmocka_unit_test(a_path_that_no_socket_can_have_is_refused_at_once),
    cmocka_unit_test(a_unix_socket_that_is_not_there_is_told_as_such),
    cmocka_unit_test(a_redirect_stays_on_the_unix_socket),
    cmocka_unit_test(addresses_that_the_filter_refuses_are_not_connected_to),
    cmocka_unit_test(the_filter_is_asked_for_every_hop),
};

TESTING_MAIN(tests)
