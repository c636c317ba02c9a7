/* Connections that are kept, and what a hand-driven server does to them. */
#include "tests/support/testing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/faults.h"
#include "tests/support/poolscene.h"

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
    faults_system_call("poll", EINTR, 1);
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

static void post_to(struct scene *scene, int port, const char *path)
{
    char url[64];

    url_of(scene, url, port, path);
    httpclient_fetch(scene->client,
                     &(struct httpclient_request){ .url = url, .method = "POST", .body = "x", .body_length = 1 },
                     on_response, scene);
}

static void a_request_that_is_not_idempotent_is_not_repeated(void **state)
{
    struct scene scene;
    struct peer peer;

    begin_kept(&scene, &peer);
    post_to(&scene, peer.port, "/b");
    peer_take(&peer, "POST /b HTTP/1.1\r\n");
    close(peer.fd);
    peer.fd = -1;
    run_until_done(&scene, 2);
    assert_int_equal(scene.ok, 1);
    peer_close(&peer);
    close_scene(&scene);
}

/* Not a byte of it was sent: that can do no harm. */
static void a_request_of_which_no_byte_was_sent_is_repeated_whatever_it_is(void **state)
{
    struct scene scene;
    struct peer peer;

    begin_kept(&scene, &peer);
    faults_system_call("sendmsg", EPIPE, 1); /* head and body */
    post_to(&scene, peer.port, "/b");
    peer_accept(&peer);
    assert_true(faults_hit());
    peer_take(&peer, "POST /b HTTP/1.1\r\n");
    peer_put(&peer, hello);
    run_until_done(&scene, 2);
    assert_int_equal(scene.ok, 2);
    assert_int_equal(httpclient_connections(scene.client), 1);
    peer_close(&peer);
    close_scene(&scene);
}

/* What the server has said meanwhile is not an answer to it. */
static void an_answer_to_nobody_is_not_that_to_a_request_that_could_not_be_sent(void **state)
{
    struct linger none = { .l_onoff = 1 };
    struct scene scene;
    struct peer peer;

    begin_kept(&scene, &peer);
    peer_put(&peer, "HTTP/1.1 200 Late\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(setsockopt(peer.fd, SOL_SOCKET, SO_LINGER, &none, sizeof none), 0);
    close(peer.fd);
    peer.fd = -1;
    faults_system_call("recv", EAGAIN, 1); /* the last look before the request: it comes right behind that */
    post_to(&scene, peer.port, "/b");
    assert_true(faults_hit());
    peer_accept(&peer);
    peer_take(&peer, "POST /b HTTP/1.1\r\n");
    peer_put(&peer, hello);
    run_until_done(&scene, 2);
    assert_int_equal(scene.ok, 2);
    peer_close(&peer);
    close_scene(&scene);
}

/* The head went, and the body did not. */
static void a_request_of_which_a_part_was_sent_is_not_repeated(void **state)
{
    static char body[100000];
    struct scene scene;
    struct peer peer;
    char url[64];

    begin_kept(&scene, &peer);
    url_of(&scene, url, peer.port, "/b");
    faults_system_call("send", ECONNRESET, 2);
    httpclient_fetch(
        scene.client,
        &(struct httpclient_request){ .url = url, .method = "POST", .body = body, .body_length = sizeof body },
        on_response, &scene);
    run_until_done(&scene, 2);
    assert_true(faults_hit());
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
    cmocka_unit_test(a_request_of_which_no_byte_was_sent_is_repeated_whatever_it_is),
    cmocka_unit_test(an_answer_to_nobody_is_not_that_to_a_request_that_could_not_be_sent),
    cmocka_unit_test(a_request_of_which_a_part_was_sent_is_not_repeated),
    cmocka_unit_test(nothing_is_repeated_once_a_byte_of_the_answer_has_come),
    cmocka_unit_test(a_new_connection_that_is_closed_at_once_is_an_error_and_no_reason_to_repeat),
};

TESTING_MAIN(tests)
