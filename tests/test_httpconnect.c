#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "httpclient/httpclient.h"
#include "ioloop/netutil.h"
#include "tests/support/faults.h"
#include "tests/support/fetchscene.h"
#include "tests/support/testing.h"

#define FIVE "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

static int asked, allowed;

/* Allows the first so many. */
static bool filter(const struct sockaddr *address, socklen_t length, void *arg)
{
    assert_true(length >= sizeof(sa_family_t));
    assert_true(arg == NULL || netutil_port(address) > 0);
    return asked++ < allowed;
}

static void an_address_that_the_filter_refuses_is_not_connected_to(void **state)
{
    struct fetchscene scene;

    asked = allowed = 0;
    fetchscene_open(&scene, &(struct httpclient_options){ .connect_filter = filter, .connect_filter_arg = &asked });
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
    fetchscene_expect_error(&scene, fetch, -EACCES, HTTPCLIENT_CONNECT);
    assert_int_equal(asked, 1);
    fetchscene_expect_no_connection(&scene);
    fetchscene_close(&scene);
}

/* A name may lead elsewhere from one hop to the next (DNS rebinding). */
static void the_filter_is_asked_for_each_hop(void **state)
{
    struct fetchscene scene;
    char answer[128];

    asked = 0;
    allowed = 1;
    fetchscene_open(&scene, &(struct httpclient_options){ .connect_filter = filter, .connect_filter_arg = &asked });
    snprintf(answer, sizeof answer, "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/\r\nContent-Length: 0\r\n\r\n",
             scene.ports[FETCHSCENE_SECOND]);
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
    fetchscene_serve(&scene, NULL, answer);
    fetchscene_expect_error(&scene, fetch, -EACCES, HTTPCLIENT_CONNECT);
    assert_int_equal(asked, 2);
    fetchscene_close(&scene);
}

static void the_filter_sees_unix_sockets_too(void **state)
{
    struct fetchscene scene;

    asked = allowed = 0;
    fetchscene_open(&scene, &(struct httpclient_options){ .connect_filter = filter });
    struct fetchscene_fetch *fetch =
        fetchscene_fetch(&scene, (struct httpclient_request){ .url = "http://example.test/", .unix_path = scene.path });
    assert_int_equal(asked, 0); /* callbacks come from the loop */
    fetchscene_expect_error(&scene, fetch, -EACCES, HTTPCLIENT_CONNECT);
    assert_int_equal(asked, 1);
    fetchscene_close(&scene);
}

/* Whatever asks it has done its own work first. */
static void no_call_of_the_client_asks_the_filter(void **state)
{
    struct fetchscene scene;

    asked = 0;
    allowed = 99;
    fetchscene_open(&scene, &(struct httpclient_options){ .connect_filter = filter, .max_clients = 1 });
    struct httpclient_request request = { .url = "http://example.test/", .unix_path = scene.path };
    struct fetchscene_fetch *first = fetchscene_fetch(&scene, request), *second = fetchscene_fetch(&scene, request);
    fetchscene_settle(&scene);
    assert_int_equal(asked, 1);
    httpclient_cancel(scene.client, first->id); /* the second's turn */
    assert_int_equal(asked, 1);
    fetchscene_expect_error(&scene, first, -ECANCELED, FETCHSCENE_ANY_PHASE);
    assert_int_equal(asked, 2);
    struct fetchscene_fetch *third = fetchscene_fetch(&scene, request);
    httpclient_cancel(scene.client, second->id);
    httpclient_cancel(scene.client, third->id);
    fetchscene_expect_error(&scene, second, -ECANCELED, FETCHSCENE_ANY_PHASE);
    fetchscene_expect_error(&scene, third, -ECANCELED, FETCHSCENE_ANY_PHASE);
    assert_int_equal(asked, 2);
    fetchscene_expect_pool(&scene, 0, 0, 0);
    fetchscene_close(&scene);
}

static struct fetchscene *acting;
static uint64_t doomed;

static bool cancel_one(const struct sockaddr *address, socklen_t length, void *arg)
{
    if (address->sa_family == AF_UNIX)
        httpclient_cancel(acting->client, doomed);
    return true;
}

/* F5: who waits gets what falls free, whoever lets it. */
static void a_filter_may_cancel_its_own_fetch_or_another(void **state)
{
    for (int is_own = 0; is_own < 2; is_own++) {
        struct fetchscene scene;
        fetchscene_open(&scene, &(struct httpclient_options){
                                    .connect_filter = cancel_one, .max_clients = 2, .max_per_origin = 1 });
        acting = &scene;
        struct fetchscene_fetch *holder = fetchscene_get(&scene, "/a"), *parked = fetchscene_get(&scene, "/b");
        fetchscene_accept(&scene);
        struct fetchscene_fetch *unixed = fetchscene_fetch(
            &scene, (struct httpclient_request){ .url = "http://example.test/", .unix_path = scene.path });
        doomed = is_own ? unixed->id : holder->id;
        fetchscene_expect_error(&scene, is_own ? unixed : holder, -ECANCELED, FETCHSCENE_ANY_PHASE);
        if (is_own)
            httpclient_cancel(scene.client, holder->id);
        fetchscene_serve(&scene, fetchscene_accept(&scene), FIVE);
        fetchscene_expect(&scene, parked, 200, "hello");
        if (!is_own)
            fetchscene_serve(&scene, fetchscene_accept_from(&scene, FETCHSCENE_UNIX), FIVE);
        fetchscene_wait(&scene, unixed);
        fetchscene_close(&scene);
    }
}

static void a_mapping_with_a_port_counts_more_than_one_without(void **state)
{
    struct fetchscene scene;
    struct fetchscene_request request;
    struct httpclient_mapping mappings[] = {
        { "example.test", "127.0.0.1", 1 },
        { "Example.Test:81", "127.0.0.1", 0 },
        { NULL, NULL, 0 },
    };

    fetchscene_open_bare(&scene);
    mappings[1].port = scene.ports[FETCHSCENE_FIRST];
    struct httpclient *client = httpclient_new(scene.loop, &(struct httpclient_options){ .mappings = mappings });
    struct fetchscene_fetch *fetch =
        fetchscene_try_with(&scene, client, (struct httpclient_request){ .url = "http://example.test:81/" });
    assert_non_null(fetch);
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    fetchscene_take_request(&scene, peer, &request);
    assert_string_equal(fetchscene_request_header(&request, "Host"), "example.test:81");
    fetchscene_put(&scene, peer, FIVE);
    fetchscene_expect(&scene, fetch, 200, "hello");
    fetch = fetchscene_try_with(&scene, client, (struct httpclient_request){ .url = "http://example.test:82/" });
    fetchscene_expect_error(&scene, fetch, -ECONNREFUSED, HTTPCLIENT_CONNECT); /* port 1 */
    fetchscene_close(&scene);
}

/* What a proxy is to connect to is not for us to map. */
static void a_mapping_is_not_for_hosts_behind_a_proxy(void **state)
{
    struct fetchscene scene;
    const struct httpclient_mapping mappings[] = { { "example.test", "127.0.0.1", 1 }, { NULL, NULL, 0 } };

    fetchscene_open(&scene, &(struct httpclient_options){ .mappings = mappings });
    struct fetchscene_fetch *fetch =
        fetchscene_fetch(&scene, (struct httpclient_request){ .url = "http://example.test/",
                                                              .proxy_host = "127.0.0.1",
                                                              .proxy_port = scene.ports[FETCHSCENE_FIRST] });
    fetchscene_serve(&scene, NULL, FIVE);
    fetchscene_expect(&scene, fetch, 200, "hello");
    fetchscene_close(&scene);
}

static void a_unix_socket_that_is_not_there_is_an_error(void **state)
{
    static const struct {
        const char *path;
        int error;
    } rows[] = {
        { "/nowhere/at/all", -ENOENT },
        { "@nobody.listens.here", -ECONNREFUSED },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fetchscene scene;
        fetchscene_open(&scene, NULL);
        struct fetchscene_fetch *fetch = fetchscene_fetch(
            &scene, (struct httpclient_request){ .url = "http://example.test/", .unix_path = rows[i].path });
        fetchscene_expect_error(&scene, fetch, rows[i].error, FETCHSCENE_ANY_PHASE);
        fetchscene_expect_pool(&scene, 0, 0, 0);
        fetchscene_close(&scene);
    }
}

/* Within the machine: there is no name to find, and nothing to wait for. */
static void a_new_connection_costs_no_call_that_could_be_saved(void **state)
{
    static const struct {
        const char *call;
        int most;
    } calls[] = { { "socket", 1 },  { "connect", 1 },    { "poll", 1 },       { "send", 1 },
                  { "recv", 1 },    { "epoll_ctl", 2 },  { "close", 1 },      { "getsockopt", 0 },
                  { "sendmsg", 0 }, { "setsockopt", 0 }, { "getaddrinfo", 0 } };
    int counts[sizeof calls / sizeof *calls];
    struct fetchscene scene;

    fetchscene_open(&scene, NULL);
    faults_count_reset();
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
    fetchscene_serve(&scene, NULL, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello");
    fetchscene_expect(&scene, fetch, 200, "hello");
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        counts[i] = faults_count(calls[i].call);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        if (counts[i] > calls[i].most)
            fail_msg("%s: %d times", calls[i].call, counts[i]);
    }
    fetchscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_address_that_the_filter_refuses_is_not_connected_to),
    cmocka_unit_test(the_filter_is_asked_for_each_hop),
    cmocka_unit_test(the_filter_sees_unix_sockets_too),
    cmocka_unit_test(no_call_of_the_client_asks_the_filter),
    cmocka_unit_test(a_filter_may_cancel_its_own_fetch_or_another),
    cmocka_unit_test(a_mapping_with_a_port_counts_more_than_one_without),
    cmocka_unit_test(a_mapping_is_not_for_hosts_behind_a_proxy),
    cmocka_unit_test(a_unix_socket_that_is_not_there_is_an_error),
    cmocka_unit_test(a_new_connection_costs_no_call_that_could_be_saved),
};

TESTING_MAIN(tests)
