#include "tests/support/testing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "httpclient/httpclient.h"
#include "httpserver/httpserver.h"
#include "ioloop/ioloop.h"
#include "ioloop/netutil.h"
#include "ioloop/tcpserver.h"
#include "tests/support/faults.h"

#define MOST_FETCHES 64
#define MOST_HELD    64

/* A client, and a server of its own that counts. */
struct scene {
    struct ioloop *loop;
    struct httpclient *client;
    struct httpserver *server, *second;
    int port, second_port;
    int accepted; /* connections, of both */
    struct httprequest *held[MOST_HELD];
    int held_count;
    int done, ok;
    bool all_done;
    int wanted;
    char order[128]; /* the last letter of each URL, as their responses came */
    int to_go;       /* fetches that a response starts, */
    int to_port;     /* from there */
    int reused;
    long allocated;
    double clock;
};

static void count_connection(struct httprequest *request, int status, uint64_t body_bytes, double seconds, void *arg)
{
}

static void answer(struct httprequest *request, void *arg)
{
    struct scene *scene = arg;

    if (strncmp(httprequest_target(request), "/hold", 5) == 0 && scene->held_count < MOST_HELD) {
        scene->held[scene->held_count++] = request;
        return;
    }
    if (strcmp(httprequest_target(request), "/last") == 0) {
        struct httpheaders headers = { 0 };
        assert_int_equal(httpheaders_set(&headers, "Connection", "close"), 0);
        httprequest_answer(request, 200, NULL, &headers, "bye", 3);
        httpheaders_free(&headers);
        return;
    }
    httprequest_reply(request, 200, "text/plain", "hello", 5);
}

static void let_go(struct scene *scene)
{
    for (int i = 0; i < scene->held_count; i++)
        httprequest_reply(scene->held[i], 200, "text/plain", "held", 4);
    scene->held_count = 0;
}

static void open_scene(struct scene *scene, const struct httpclient_options *options)
{
    memset(scene, 0, sizeof *scene);
    scene->allocated = faults_allocated();
    scene->clock = 1000;
    scene->loop = ioloop_new(&(struct ioloop_options){ .clock = testing_clock, .clock_arg = &scene->clock });
    struct httpserver_options quiet = { .on_log = count_connection, .max_requests = 1000000 };
    scene->server = httpserver_new(scene->loop, answer, scene, &quiet);
    scene->second = httpserver_new(scene->loop, answer, scene, &quiet);
    scene->port = httpserver_listen(scene->server, 0, &(struct netutil_bind_options){ .address = "0.0.0.0" });
    scene->second_port = httpserver_listen(scene->second, 0, &(struct netutil_bind_options){ .address = "127.0.0.1" });
    assert_true(scene->port > 0 && scene->second_port > 0);
    scene->client = httpclient_new(scene->loop, options);
    assert_non_null(scene->client);
}

static void close_scene(struct scene *scene)
{
    ioloop_close(scene->loop, false);
    assert_int_equal(faults_allocated(), scene->allocated);
}

static void url_of(const struct scene *scene, char url[64], int port, const char *path)
{
    snprintf(url, 64, "http://127.0.0.1:%d%s", port != 0 ? port : scene->port, path);
}

static void on_response(struct httpclient_response *response, void *arg)
{
    struct scene *scene = arg;
    char url[64];

    scene->order[scene->done % 127] = response->effective_url[strlen(response->effective_url) - 1];
    scene->done++;
    scene->ok += response->error == 0 && response->code == 200;
    scene->reused += response->is_reused;
    if (scene->to_go > 0) {
        scene->to_go--;
        url_of(scene, url, scene->to_port, "/");
        assert_true(httpclient_fetch(scene->client, &(struct httpclient_request){ .url = url }, on_response, scene) !=
                    0);
    }
    scene->all_done = scene->done == scene->wanted;
}

static uint64_t fetch_from(struct scene *scene, int port, const char *path)
{
    char url[64];

    url_of(scene, url, port, path);
    return httpclient_fetch(scene->client, &(struct httpclient_request){ .url = url }, on_response, scene);
}

static uint64_t fetch(struct scene *scene, const char *path)
{
    return fetch_from(scene, 0, path);
}

static void run_until_done(struct scene *scene, int wanted)
{
    scene->wanted = wanted;
    scene->all_done = scene->done == wanted;
    testing_run_until(scene->loop, &scene->all_done);
}

static void ten_thousand_fetches_over_eight_connections_open_eight(void **state)
{
    struct scene scene;

    open_scene(&scene, &(struct httpclient_options){ .max_per_origin = 8 });
    faults_count_reset();
    for (int i = 0; i < 8; i++)
        assert_true(fetch(&scene, "/") != 0);
    scene.to_go = 10000 - 8;
    run_until_done(&scene, 10000);
    assert_int_equal(scene.ok, 10000);
    assert_int_equal(scene.reused, 10000 - 8);
    assert_int_equal(faults_count("connect"), 8);
    assert_int_equal(httpclient_connections(scene.client), 8);
    assert_int_equal(httpclient_kept(scene.client), 8);
    close_scene(&scene);
}

/* Those who wait. */

static void fetches_over_the_limit_of_an_origin_wait_and_go_in_their_order(void **state)
{
    struct scene scene;

    open_scene(&scene, &(struct httpclient_options){ .max_per_origin = 1 });
    fetch(&scene, "/a");
    fetch(&scene, "/b");
    fetch(&scene, "/c");
    fetch(&scene, "/d");
    assert_int_equal(httpclient_waiting(scene.client), 3);
    assert_int_equal(httpclient_connections(scene.client), 1);
    run_until_done(&scene, 4);
    assert_string_equal(scene.order, "abcd");
    assert_int_equal(scene.ok, 4);
    assert_int_equal(httpclient_waiting(scene.client), 0);
    close_scene(&scene);
}

static void a_fetch_from_a_response_goes_behind_those_that_wait(void **state)
{
    struct scene scene;

    open_scene(&scene, &(struct httpclient_options){ .max_clients = 1 });
    fetch(&scene, "/a");
    fetch(&scene, "/b");
    fetch(&scene, "/c");
    scene.to_go = 1; /* fetches "/" from the response to "/a" */
    run_until_done(&scene, 4);
    assert_string_equal(scene.order, "abc/");
    close_scene(&scene);
}

static void an_origin_that_is_full_holds_up_no_other(void **state)
{
    struct scene scene;

    open_scene(&scene, &(struct httpclient_options){ .max_per_origin = 1, .max_clients = 2 });
    fetch(&scene, "/hold1");
    fetch(&scene, "/hold2");
    fetch(&scene, "/hold3");
    fetch_from(&scene, scene.second_port, "/x");
    fetch_from(&scene, scene.second_port, "/y");
    run_until_done(&scene, 2);
    assert_string_equal(scene.order, "xy");
    assert_int_equal(httpclient_waiting(scene.client), 2);
    for (int left = 3; left > 0; left--) {
        while (scene.held_count == 0)
            testing_spin(scene.loop, 1);
        let_go(&scene);
        run_until_done(&scene, 6 - left);
    }
    assert_string_equal(scene.order, "xy123");
    close_scene(&scene);
}

static void fetch_from_address(struct scene *scene, int last, const char *path)
{
    char url[64];

    snprintf(url, sizeof url, "http://127.0.0.%d:%d%s", last, scene->port, path);
    assert_true(httpclient_fetch(scene->client, &(struct httpclient_request){ .url = url }, on_response, scene) != 0);
}

static void one_whose_turn_comes_when_its_origin_is_full_lets_others_pass(void **state)
{
    struct scene scene;

    open_scene(&scene, &(struct httpclient_options){ .max_per_origin = 1, .max_clients = 2 });
    fetch_from_address(&scene, 1, "/a");
    fetch_from_address(&scene, 2, "/b");
    fetch_from_address(&scene, 3, "/hold1");
    fetch_from_address(&scene, 3, "/2");
    fetch_from_address(&scene, 4, "/d");
    run_until_done(&scene, 3);
    assert_int_equal(scene.order[2], 'd');
    assert_int_equal(httpclient_waiting(scene.client), 1);
    let_go(&scene);
    run_until_done(&scene, 5);
    assert_int_equal(scene.ok, 5);
    close_scene(&scene);
}

static void one_of_an_origin_that_was_full_goes_before_what_came_later(void **state)
{
    struct scene scene;

    open_scene(&scene, &(struct httpclient_options){ .max_per_origin = 1, .max_clients = 1 });
    fetch(&scene, "/holda");
    fetch(&scene, "/b"); /* its origin is full: parked */
    fetch_from(&scene, scene.second_port, "/c");
    while (scene.held_count == 0)
        testing_spin(scene.loop, 1);
    let_go(&scene);
    run_until_done(&scene, 3);
    assert_string_equal(scene.order, "abc");
    close_scene(&scene);
}

static void the_longest_idle_connection_makes_room_for_another_origin(void **state)
{
    struct scene scene;

    open_scene(&scene, &(struct httpclient_options){ .max_clients = 2 });
    fetch(&scene, "/hold");
    fetch(&scene, "/b");
    while (scene.done < 1 || scene.held_count == 0)
        testing_spin(scene.loop, 1);
    let_go(&scene);
    run_until_done(&scene, 2);
    assert_int_equal(httpclient_kept(scene.client), 2);
    fetch_from(&scene, scene.second_port, "/c");
    assert_int_equal(httpclient_kept(scene.client), 1);
    assert_int_equal(httpclient_connections(scene.client), 2);
    run_until_done(&scene, 3);
    assert_int_equal(scene.ok, 3);
    fetch(&scene, "/d"); /* the other one of that origin is still there */
    run_until_done(&scene, 4);
    assert_int_equal(scene.reused, 1);
    close_scene(&scene);
}

static void more_than_max_queue_are_refused(void **state)
{
    struct scene scene;

    open_scene(&scene, &(struct httpclient_options){ .max_clients = 1, .max_queue = 2 });
    assert_true(fetch(&scene, "/a") != 0);
    assert_true(fetch(&scene, "/b") != 0);
    assert_true(fetch(&scene, "/c") != 0);
    assert_int_equal(fetch(&scene, "/d"), 0);
    assert_int_equal(errno, EAGAIN);
    run_until_done(&scene, 3);
    assert_string_equal(scene.order, "abc");
    close_scene(&scene);
}

static void one_that_waits_can_be_cancelled_and_the_others_go_on(void **state)
{
    struct scene scene;

    open_scene(&scene, &(struct httpclient_options){ .max_clients = 1 });
    fetch(&scene, "/a");
    uint64_t second = fetch(&scene, "/b");
    fetch(&scene, "/c");
    httpclient_cancel(scene.client, second);
    assert_int_equal(scene.done, 0);
    assert_int_equal(httpclient_waiting(scene.client), 1);
    run_until_done(&scene, 3);
    assert_string_equal(scene.order, "bac");
    assert_int_equal(scene.ok, 2);
    close_scene(&scene);
}

/* Being kept. */

static void a_connection_that_is_not_used_is_closed_after_keep_time(void **state)
{
    struct scene scene;

    open_scene(&scene, &(struct httpclient_options){ .keep_time = 5 });
    fetch(&scene, "/a");
    run_until_done(&scene, 1);
    scene.clock += 4.8;
    testing_spin(scene.loop, 4);
    assert_int_equal(httpclient_kept(scene.client), 1);
    fetch(&scene, "/b");
    run_until_done(&scene, 2);
    assert_int_equal(scene.reused, 1);
    scene.clock += 4.8;
    testing_spin(scene.loop, 4);
    assert_int_equal(httpclient_kept(scene.client), 1);
    scene.clock += 0.4;
    testing_spin(scene.loop, 4);
    assert_int_equal(httpclient_kept(scene.client), 0);
    assert_int_equal(httpclient_connections(scene.client), 0);
    close_scene(&scene);
}

static void below_zero_no_connection_is_kept(void **state)
{
    struct scene scene;

    open_scene(&scene, &(struct httpclient_options){ .keep_time = -1 });
    fetch(&scene, "/a");
    run_until_done(&scene, 1);
    assert_int_equal(httpclient_connections(scene.client), 0);
    close_scene(&scene);
}

static void a_connection_is_used_max_uses_times(void **state)
{
    struct scene scene;

    open_scene(&scene, &(struct httpclient_options){ .max_uses = 3 });
    faults_count_reset();
    fetch(&scene, "/a");
    scene.to_go = 5;
    run_until_done(&scene, 6);
    assert_int_equal(faults_count("connect"), 2);
    assert_int_equal(httpclient_connections(scene.client), 0);
    close_scene(&scene);
}

static void a_connection_that_the_server_or_the_request_ends_is_not_kept(void **state)
{
    struct scene scene;
    struct httpheaders headers = { 0 };
    char url[64];

    open_scene(&scene, NULL);
    fetch(&scene, "/last");
    run_until_done(&scene, 1);
    assert_int_equal(httpclient_connections(scene.client), 0);
    assert_int_equal(httpheaders_set(&headers, "Connection", "close"), 0);
    url_of(&scene, url, 0, "/");
    httpclient_fetch(scene.client, &(struct httpclient_request){ .url = url, .headers = &headers }, on_response,
                     &scene);
    run_until_done(&scene, 2);
    assert_int_equal(scene.ok, 2);
    assert_int_equal(httpclient_connections(scene.client), 0);
    httpheaders_free(&headers);
    close_scene(&scene);
}

/* What makes connections different: a fetch with each of these needs one of its own. */
static void connections_are_shared_by_what_is_the_same_in_every_respect(void **state)
{
    struct scene scene;
    char url[64], upper[64], path[64];
    const struct httpclient_mapping mappings[] = { { "example.test", "127.0.0.1", 0 }, { NULL, NULL, 0 } };

    open_scene(&scene, &(struct httpclient_options){ .mappings = mappings });
    snprintf(path, sizeof path, "@test_httppool.%d", (int)getpid());
    assert_int_equal(httpserver_listen_unix(scene.server, path, 0), 0);
    snprintf(url, sizeof url, "http://example.test:%d/", scene.port);
    snprintf(upper, sizeof upper, "HTTP://Example.TEST:%d/", scene.port);
    const struct {
        struct httpclient_request request;
        int connections;
    } rows[] = {
        { { .url = url, .family = AF_INET }, 1 },
        { { .url = upper, .family = AF_INET }, 1 },
        { { .url = url, .family = AF_INET, .network_interface = "127.0.0.1" }, 2 },
        { { .url = url, .family = AF_INET, .network_interface = "127.0.0.2" }, 3 },
        { { .url = url, .unix_path = path }, 4 },
        { { .url = url, .proxy_host = "127.0.0.1", .proxy_port = scene.port }, 5 },
        { { .url = url, .proxy_host = "127.0.0.1", .proxy_port = scene.second_port }, 6 },
        { { .url = url, .proxy_host = "127.0.0.1", .proxy_port = scene.port, .proxy_username = "u" }, 7 },
        { { .url = url, .proxy_host = "127.0.0.1", .proxy_port = scene.port, .proxy_username = "v" }, 8 },
        { { .url = url,
            .proxy_host = "127.0.0.1",
            .proxy_port = scene.port,
            .proxy_username = "u",
            .proxy_password = "p" },
          9 },
        { { .url = url, .unix_path = path }, 9 },
        { { .url = url }, 10 },
        { { .url = url, .family = AF_INET, .unix_path = path }, 11 },
        { { .url = url, .family = AF_INET, .network_interface = "127.0.0.2" }, 11 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_true(httpclient_fetch(scene.client, &rows[i].request, on_response, &scene) != 0);
        run_until_done(&scene, (int)i + 1);
        assert_int_equal(httpclient_connections(scene.client), rows[i].connections);
    }
    close_scene(&scene);
}

static void many_origins_are_told_apart_and_forgotten(void **state)
{
    struct scene scene;
    char url[64];

    open_scene(&scene, NULL);
    for (int round = 0; round < 2; round++) {
        for (int i = 1; i <= 100; i++) {
            snprintf(url, sizeof url, "http://127.0.0.%d:%d/", i, scene.port);
            httpclient_fetch(scene.client, &(struct httpclient_request){ .url = url }, on_response, &scene);
        }
        run_until_done(&scene, 100 * (round + 1));
    }
    assert_int_equal(scene.ok, 200);
    assert_true(httpclient_connections(scene.client) <= 64);
    close_scene(&scene);
}

/* A hand-driven server. */

struct peer {
    struct scene *scene;
    int listener, fd, port;
};

static void peer_open(struct peer *peer, struct scene *scene)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;

    *peer = (struct peer){ .scene = scene, .fd = -1 };
    int count = netutil_bind_sockets(&peer->listener, 1, 0, &(struct netutil_bind_options){ .address = "127.0.0.1" });
    assert_int_equal(count, 1);
    assert_int_equal(getsockname(peer->listener, (struct sockaddr *)&address, &length), 0);
    peer->port = netutil_port((struct sockaddr *)&address);
}

static void peer_accept(struct peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    for (int i = 0; (peer->fd = accept4(peer->listener, NULL, NULL, SOCK_NONBLOCK)) < 0; i++) {
        assert_true(i < 1000);
        ioloop_run_once(peer->scene->loop, 0.01);
    }
}

/* Takes a request whole, as far as its head goes. */
static void peer_take(struct peer *peer, const char *first)
{
    static char bytes[1 << 20];
    size_t length = 0;

    bytes[0] = '\0';
    for (int i = 0; strstr(bytes, "\r\n\r\n") == NULL; i++) {
        assert_true(i < 1000);
        ssize_t count = read(peer->fd, bytes + length, sizeof bytes - 1 - length);
        assert_true(count != 0);
        length += count > 0 ? (size_t)count : 0;
        bytes[length] = '\0';
        if (count < 0)
            ioloop_run_once(peer->scene->loop, 0.01);
    }
    assert_memory_equal(bytes, first, strlen(first));
}

static void peer_put(struct peer *peer, const char *text)
{
    assert_int_equal(write(peer->fd, text, strlen(text)), strlen(text));
}

static void peer_close(struct peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    close(peer->listener);
}

static const char hello[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

static void begin_kept(struct scene *scene, struct peer *peer)
{
    open_scene(scene, NULL);
    peer_open(peer, scene);
    fetch_from(scene, peer->port, "/a");
    peer_accept(peer);
    peer_take(peer, "GET /a HTTP/1.1\r\n");
    peer_put(peer, hello);
    run_until_done(scene, 1);
    assert_int_equal(httpclient_kept(scene->client), 1);
}

static void a_fetch_over_a_warm_connection_costs_one_send_and_one_receive(void **state)
{
    struct scene scene;
    struct peer peer;

    open_scene(&scene, NULL);
    peer_open(&peer, &scene);
    scene.to_port = peer.port;
    scene.to_go = 5;
    fetch_from(&scene, peer.port, "/");
    peer_accept(&peer);
    for (int i = 0; i < 5; i++) {
        peer_take(&peer, "GET / HTTP/1.1\r\n");
        peer_put(&peer, hello);
        long allocations = faults_allocations();
        faults_count_reset();
        while (scene.done == i)
            ioloop_run_once(scene.loop, 0.1);
        assert_int_equal(faults_count("recv"), 1);
        assert_int_equal(faults_count("send"), 1); /* the next request */
        assert_int_equal(faults_count("sendmsg") + faults_count("epoll_ctl"), 0);
        if (i > 2)
            assert_int_equal(faults_allocations(), allocations);
    }
    assert_int_equal(scene.ok, 5);
    peer_close(&peer);
    close_scene(&scene);
}

static void a_kept_connection_is_closed_when_the_server_says_something(void **state)
{
    struct scene scene;
    struct peer peer;

    begin_kept(&scene, &peer);
    peer_put(&peer, hello);
    for (int i = 0; i < 100 && httpclient_kept(scene.client) > 0; i++)
        ioloop_run_once(scene.loop, 0.01);
    assert_int_equal(httpclient_connections(scene.client), 0);
    peer_close(&peer);
    close_scene(&scene);
}

static void a_kept_connection_is_closed_when_the_server_closes_it(void **state)
{
    struct scene scene;
    struct peer peer;

    begin_kept(&scene, &peer);
    close(peer.fd);
    peer.fd = -1;
    for (int i = 0; i < 100 && httpclient_kept(scene.client) > 0; i++)
        ioloop_run_once(scene.loop, 0.01);
    assert_int_equal(httpclient_connections(scene.client), 0);
    peer_close(&peer);
    close_scene(&scene);
}

/* The loop has not been told yet when the next request comes. */
static void a_second_answer_is_never_that_to_the_next_request(void **state)
{
    struct scene scene;
    struct peer peer;

    begin_kept(&scene, &peer);
    peer_put(&peer, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    scene.clock += 0.001;
    fetch_from(&scene, peer.port, "/b");
    peer_accept(&peer); /* another connection */
    peer_take(&peer, "GET /b HTTP/1.1\r\n");
    peer_put(&peer, hello);
    run_until_done(&scene, 2);
    assert_int_equal(scene.ok, 2);
    assert_int_equal(scene.reused, 0);
    peer_close(&peer);
    close_scene(&scene);
}

/* The next request is sent from the response to the first, with the second answer there already. */
static void bytes_behind_an_answer_end_its_connection(void **state)
{
    struct scene scene;
    struct peer peer;
    char twice[2 * sizeof hello];

    open_scene(&scene, NULL);
    peer_open(&peer, &scene);
    scene.to_go = 1;
    scene.to_port = peer.port;
    fetch_from(&scene, peer.port, "/a");
    peer_accept(&peer);
    peer_take(&peer, "GET /a HTTP/1.1\r\n");
    snprintf(twice, sizeof twice, "%s%s", hello, hello);
    peer_put(&peer, twice);
    run_until_done(&scene, 1);
    assert_int_equal(scene.ok, 1);
    peer_accept(&peer);
    peer_take(&peer, "GET / HTTP/1.1\r\n");
    peer_put(&peer, hello);
    run_until_done(&scene, 2);
    assert_int_equal(scene.ok, 2);
    assert_int_equal(scene.reused, 0);
    peer_close(&peer);
    close_scene(&scene);
}

/* Of a body that is received where it belongs, what comes behind it is not seen with it. */
static void bytes_behind_a_long_body_end_its_connection_too(void **state)
{
    static char answer_and_more[300000];
    struct scene scene;
    struct peer peer;
    size_t head = (size_t)sprintf(answer_and_more, "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n");

    memset(answer_and_more + head, 'x', 200000);
    size_t length = head + 200000 + (size_t)sprintf(answer_and_more + head + 200000, "%s", hello);
    open_scene(&scene, NULL);
    peer_open(&peer, &scene);
    scene.to_go = 1;
    scene.to_port = peer.port;
    fetch_from(&scene, peer.port, "/a");
    peer_accept(&peer);
    peer_take(&peer, "GET /a HTTP/1.1\r\n");
    for (size_t at = 0; at < length;) {
        ssize_t count = write(peer.fd, answer_and_more + at, length - at);
        at += count > 0 ? (size_t)count : 0;
        if (at < length)
            ioloop_run_once(scene.loop, 0.001);
    }
    run_until_done(&scene, 1);
    peer_accept(&peer);
    peer_take(&peer, "GET / HTTP/1.1\r\n");
    peer_put(&peer, hello);
    run_until_done(&scene, 2);
    assert_int_equal(scene.ok, 2);
    assert_int_equal(scene.reused, 0);
    peer_close(&peer);
    close_scene(&scene);
}

static void count_release(void *data, void *arg)
{
    ++*(int *)arg;
}

static void an_answer_before_the_request_is_through_ends_both(void **state)
{
    static char body[8 << 20];
    struct scene scene;
    struct peer peer;
    char url[64];
    int released = 0;

    open_scene(&scene, NULL);
    peer_open(&peer, &scene);
    url_of(&scene, url, peer.port, "/up");
    assert_true(httpclient_fetch(scene.client,
                                 &(struct httpclient_request){ .url = url,
                                                               .method = "PUT",
                                                               .body = body,
                                                               .body_length = sizeof body,
                                                               .body_release = count_release,
                                                               .body_release_arg = &released },
                                 on_response, &scene) != 0);
    peer_accept(&peer);
    peer_take(&peer, "PUT /up HTTP/1.1\r\n");
    assert_int_equal(released, 0);
    peer_put(&peer, hello);
    run_until_done(&scene, 1);
    assert_int_equal(scene.ok, 1);
    assert_int_equal(httpclient_connections(scene.client), 0);
    testing_spin(scene.loop, 3);
    assert_int_equal(released, 1);
    peer_close(&peer);
    close_scene(&scene);
}

static void a_server_that_speaks_first_is_not_believed(void **state)
{
    struct scene scene;
    struct peer peer;

    open_scene(&scene, NULL);
    peer_open(&peer, &scene);
    fetch_from(&scene, peer.port, "/a");
    peer_accept(&peer); /* the client does not know yet that it is connected */
    peer_put(&peer, hello);
    run_until_done(&scene, 1);
    assert_int_equal(scene.ok, 0);
    assert_int_equal(httpclient_connections(scene.client), 0);
    peer_close(&peer);
    close_scene(&scene);
}

static void an_idempotent_request_is_repeated_once_when_its_kept_connection_had_gone(void **state)
{
    struct scene scene;
    struct peer peer;

    begin_kept(&scene, &peer);
    fetch_from(&scene, peer.port, "/b");
    peer_take(&peer, "GET /b HTTP/1.1\r\n");
    peer_accept(&peer); /* which closes the first */
    peer_take(&peer, "GET /b HTTP/1.1\r\n");
    peer_put(&peer, hello);
    run_until_done(&scene, 2);
    assert_int_equal(scene.ok, 2);
    fetch_from(&scene, peer.port, "/c");
    peer_take(&peer, "GET /c HTTP/1.1\r\n");
    peer_accept(&peer);
    peer_take(&peer, "GET /c HTTP/1.1\r\n");
    close(peer.fd); /* the second time it is an error */
    peer.fd = -1;
    run_until_done(&scene, 3);
    assert_int_equal(scene.ok, 2);
    peer_close(&peer);
    close_scene(&scene);
}

static void a_request_that_is_not_idempotent_is_not_repeated(void **state)
{
    struct scene scene;
    struct peer peer;
    char url[64];

    begin_kept(&scene, &peer);
    url_of(&scene, url, peer.port, "/b");
    httpclient_fetch(scene.client,
                     &(struct httpclient_request){ .url = url, .method = "POST", .body = "x", .body_length = 1 },
                     on_response, &scene);
    peer_take(&peer, "POST /b HTTP/1.1\r\n");
    close(peer.fd);
    peer.fd = -1;
    run_until_done(&scene, 2);
    assert_int_equal(scene.ok, 1);
    peer_close(&peer);
    close_scene(&scene);
}

static void nothing_is_repeated_once_a_byte_of_the_answer_has_come(void **state)
{
    struct scene scene;
    struct peer peer;

    begin_kept(&scene, &peer);
    fetch_from(&scene, peer.port, "/b");
    peer_take(&peer, "GET /b HTTP/1.1\r\n");
    peer_put(&peer, "H");
    testing_spin(scene.loop, 4);
    close(peer.fd);
    peer.fd = -1;
    run_until_done(&scene, 2);
    assert_int_equal(scene.ok, 1);
    peer_close(&peer);
    close_scene(&scene);
}

static void a_new_connection_that_is_closed_at_once_is_an_error_and_no_reason_to_repeat(void **state)
{
    struct scene scene;
    struct peer peer;

    open_scene(&scene, NULL);
    peer_open(&peer, &scene);
    fetch_from(&scene, peer.port, "/a");
    peer_accept(&peer);
    peer_take(&peer, "GET /a HTTP/1.1\r\n");
    close(peer.fd);
    peer.fd = -1;
    run_until_done(&scene, 1);
    assert_int_equal(scene.ok, 0);
    peer_close(&peer);
    close_scene(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(ten_thousand_fetches_over_eight_connections_open_eight),
    cmocka_unit_test(fetches_over_the_limit_of_an_origin_wait_and_go_in_their_order),
    cmocka_unit_test(a_fetch_from_a_response_goes_behind_those_that_wait),
    cmocka_unit_test(an_origin_that_is_full_holds_up_no_other),
    cmocka_unit_test(one_whose_turn_comes_when_its_origin_is_full_lets_others_pass),
    cmocka_unit_test(one_of_an_origin_that_was_full_goes_before_what_came_later),
    cmocka_unit_test(the_longest_idle_connection_makes_room_for_another_origin),
    cmocka_unit_test(more_than_max_queue_are_refused),
    cmocka_unit_test(one_that_waits_can_be_cancelled_and_the_others_go_on),
    cmocka_unit_test(a_connection_that_is_not_used_is_closed_after_keep_time),
    cmocka_unit_test(below_zero_no_connection_is_kept),
    cmocka_unit_test(a_connection_is_used_max_uses_times),
    cmocka_unit_test(a_connection_that_the_server_or_the_request_ends_is_not_kept),
    cmocka_unit_test(connections_are_shared_by_what_is_the_same_in_every_respect),
    cmocka_unit_test(many_origins_are_told_apart_and_forgotten),
    cmocka_unit_test(a_fetch_over_a_warm_connection_costs_one_send_and_one_receive),
    cmocka_unit_test(a_kept_connection_is_closed_when_the_server_says_something),
    cmocka_unit_test(a_kept_connection_is_closed_when_the_server_closes_it),
    cmocka_unit_test(a_second_answer_is_never_that_to_the_next_request),
    cmocka_unit_test(bytes_behind_an_answer_end_its_connection),
    cmocka_unit_test(bytes_behind_a_long_body_end_its_connection_too),
    cmocka_unit_test(an_answer_before_the_request_is_through_ends_both),
    cmocka_unit_test(a_server_that_speaks_first_is_not_believed),
    cmocka_unit_test(an_idempotent_request_is_repeated_once_when_its_kept_connection_had_gone),
    cmocka_unit_test(a_request_that_is_not_idempotent_is_not_repeated),
    cmocka_unit_test(nothing_is_repeated_once_a_byte_of_the_answer_has_come),
    cmocka_unit_test(a_new_connection_that_is_closed_at_once_is_an_error_and_no_reason_to_repeat),
};

TESTING_MAIN(tests)
