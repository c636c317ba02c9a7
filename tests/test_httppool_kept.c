/* Connections that are kept, and what a hand-driven server does to them. */
#include "tests/support/testing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/faults.h"
#include "tests/support/poolscene.h"

static const char hello[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

static struct scene scene;

/* The hand-driven server. */
static struct {
    int listener, port;
    int fd; /* -1: none */
} peer;

static void open_with_peer(void)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;

    open_scene(&scene, NULL);
    int count = netutil_bind_sockets(&peer.listener, 1, 0, &(struct netutil_bind_options){ .address = "127.0.0.1" });
    assert_int_equal(count, 1);
    assert_int_equal(getsockname(peer.listener, (struct sockaddr *)&address, &length), 0);
    peer.port = netutil_port((struct sockaddr *)&address);
    peer.fd = -1;
}

static void peer_hang_up(void)
{
    if (peer.fd >= 0)
        close(peer.fd);
    testing_deliver();
    peer.fd = -1;
}

static void close_with_peer(void)
{
    peer_hang_up();
    close(peer.listener);
    close_scene(&scene);
}

/* Takes the next connection, and closes the one before. */
static void peer_accept(void)
{
    peer_hang_up();
    while ((peer.fd = accept4(peer.listener, NULL, NULL, SOCK_NONBLOCK)) < 0)
        ioloop_run_once(scene.loop, 0.01);
}

/* Takes a request whole, as far as its head goes. */
static void peer_take(const char *first)
{
    static char bytes[1 << 20];
    size_t length = 0;

    bytes[0] = '\0';
    while (strstr(bytes, "\r\n\r\n") == NULL) {
        ssize_t count = read(peer.fd, bytes + length, sizeof bytes - 1 - length);
        assert_true(count != 0);
        length += count > 0 ? (size_t)count : 0;
        bytes[length] = '\0';
        if (count < 0)
            ioloop_run_once(scene.loop, 0.01);
    }
    assert_memory_equal(bytes, first, strlen(first));
}

static void peer_put(const char *text)
{
    assert_int_equal(write(peer.fd, text, strlen(text)), strlen(text));
    testing_deliver();
}

static void fetch_from_peer(const char *path)
{
    assert_true(fetch_from(&scene, peer.port, path) != 0);
}

/* The next request comes over a connection of its own. */
static void peer_take_anew(const char *first)
{
    peer_accept();
    peer_take(first);
}

static void peer_serve_anew(const char *first)
{
    peer_take_anew(first);
    peer_put(hello);
}

/* All fetches so far have come to something, and so many to an answer. */
static void expect_done(int done, int ok)
{
    run_until_done(&scene, done);
    assert_int_equal(scene.ok, ok);
}

static void begin_kept(void)
{
    open_with_peer();
    fetch_from_peer("/a");
    peer_serve_anew("GET /a HTTP/1.1\r\n");
    run_until_done(&scene, 1);
    assert_int_equal(httpclient_kept(scene.client), 1);
}

static void expect_kept_is_closed(void)
{
    while (httpclient_kept(scene.client) > 0)
        ioloop_run_once(scene.loop, 0.01);
    assert_int_equal(httpclient_connections(scene.client), 0);
}

static void a_fetch_over_a_warm_connection_costs_one_send_and_one_receive(void **state)
{
    open_with_peer();
    scene.to_port = peer.port;
    scene.to_go = 5;
    fetch_from_peer("/");
    peer_accept();
    for (int i = 0; i < 5; i++) {
        peer_take("GET / HTTP/1.1\r\n");
        peer_put(hello);
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
    close_with_peer();
}

static void a_kept_connection_is_closed_when_the_server_says_something(void **state)
{
    begin_kept();
    peer_put(hello);
    expect_kept_is_closed();
    close_with_peer();
}

static void a_kept_connection_is_closed_when_the_server_closes_it(void **state)
{
    begin_kept();
    peer_hang_up();
    expect_kept_is_closed();
    close_with_peer();
}

/* The loop has not been told yet when the next request comes. */
static void a_second_answer_is_never_that_to_the_next_request(void **state)
{
    begin_kept();
    peer_put("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    scene.clock += 0.001;
    fetch_from_peer("/b");
    peer_serve_anew("GET /b HTTP/1.1\r\n");
    expect_done(2, 2);
    assert_int_equal(scene.reused, 0);
    close_with_peer();
}

/* The next request is sent from the response to the first, with the second answer there already. */
static void bytes_behind_an_answer_end_its_connection(void **state)
{
    char twice[2 * sizeof hello];

    open_with_peer();
    scene.to_go = 1;
    scene.to_port = peer.port;
    fetch_from_peer("/a");
    peer_take_anew("GET /a HTTP/1.1\r\n");
    snprintf(twice, sizeof twice, "%s%s", hello, hello);
    peer_put(twice);
    expect_done(1, 1);
    peer_serve_anew("GET / HTTP/1.1\r\n");
    expect_done(2, 2);
    assert_int_equal(scene.reused, 0);
    close_with_peer();
}

/* Of a body that is received where it belongs, what comes behind it is not seen with it. */
static void bytes_behind_a_long_body_end_its_connection_too(void **state)
{
    static char answer_and_more[300000];
    size_t head = (size_t)sprintf(answer_and_more, "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n");

    memset(answer_and_more + head, 'x', 200000);
    size_t length = head + 200000 + (size_t)sprintf(answer_and_more + head + 200000, "%s", hello);
    open_with_peer();
    scene.to_go = 1;
    scene.to_port = peer.port;
    fetch_from_peer("/a");
    peer_take_anew("GET /a HTTP/1.1\r\n");
    for (size_t at = 0; at < length;) {
        ssize_t count = write(peer.fd, answer_and_more + at, length - at);
        at += count > 0 ? (size_t)count : 0;
        if (at < length)
            ioloop_run_once(scene.loop, 0.001);
    }
    run_until_done(&scene, 1);
    peer_serve_anew("GET / HTTP/1.1\r\n");
    expect_done(2, 2);
    assert_int_equal(scene.reused, 0);
    close_with_peer();
}

static void count_release(void *data, void *arg)
{
    ++*(int *)arg;
}

static void an_answer_before_the_request_is_through_ends_both(void **state)
{
    static char body[8 << 20];
    char url[64];
    int released = 0;

    open_with_peer();
    url_of(&scene, url, peer.port, "/up");
    assert_true(httpclient_fetch(scene.client,
                                 &(struct httpclient_request){ .url = url,
                                                               .method = "PUT",
                                                               .body = body,
                                                               .body_length = sizeof body,
                                                               .body_release = count_release,
                                                               .body_release_arg = &released },
                                 on_response, &scene) != 0);
    peer_take_anew("PUT /up HTTP/1.1\r\n");
    assert_int_equal(released, 0);
    peer_put(hello);
    expect_done(1, 1);
    assert_int_equal(httpclient_connections(scene.client), 0);
    testing_spin(scene.loop, 3);
    assert_int_equal(released, 1);
    close_with_peer();
}

static void a_server_that_speaks_first_is_not_believed(void **state)
{
    open_with_peer();
    faults_system_call("poll", EINTR, 1);
    fetch_from_peer("/a");
    peer_accept(); /* the client does not know yet that it is connected */
    peer_put(hello);
    expect_done(1, 0);
    assert_int_equal(httpclient_connections(scene.client), 0);
    close_with_peer();
}

static void a_safe_request_is_repeated_once_when_its_kept_connection_had_gone(void **state)
{
    begin_kept();
    fetch_from_peer("/b");
    peer_take("GET /b HTTP/1.1\r\n");
    peer_serve_anew("GET /b HTTP/1.1\r\n"); /* which closes the first */
    expect_done(2, 2);
    fetch_from_peer("/c");
    peer_take("GET /c HTTP/1.1\r\n");
    peer_take_anew("GET /c HTTP/1.1\r\n");
    peer_hang_up(); /* the second time it is an error */
    expect_done(3, 2);
    close_with_peer();
}

static void post_to_peer(const char *path)
{
    char url[64];

    url_of(&scene, url, peer.port, path);
    httpclient_fetch(scene.client,
                     &(struct httpclient_request){ .url = url, .method = "POST", .body = "x", .body_length = 1 },
                     on_response, &scene);
}

static void what_is_repeated_is_said_by_method_and_resend(void **state)
{
    static const struct {
        const char *method;
        enum httpclient_resend resend;
        bool is_repeated;
    } rows[] = {
        { "GET", HTTPCLIENT_RESEND_SAFE, true },          { "GET", HTTPCLIENT_RESEND_IDEMPOTENT, true },
        { "GET", HTTPCLIENT_RESEND_NEVER, false },        { "HEAD", HTTPCLIENT_RESEND_SAFE, true },
        { "OPTIONS", HTTPCLIENT_RESEND_SAFE, true },      { "TRACE", HTTPCLIENT_RESEND_SAFE, true },
        { "TRACE", HTTPCLIENT_RESEND_NEVER, false },      { "DELETE", HTTPCLIENT_RESEND_SAFE, false },
        { "DELETE", HTTPCLIENT_RESEND_NEVER, false },     { "DELETE", HTTPCLIENT_RESEND_IDEMPOTENT, true },
        { "PUT", HTTPCLIENT_RESEND_SAFE, false },         { "PUT", HTTPCLIENT_RESEND_IDEMPOTENT, true },
        { "POST", HTTPCLIENT_RESEND_SAFE, false },        { "POST", HTTPCLIENT_RESEND_IDEMPOTENT, false },
        { "PATCH", HTTPCLIENT_RESEND_IDEMPOTENT, false }, { "FROB", HTTPCLIENT_RESEND_IDEMPOTENT, false },
    };
    char url[64], line[64];

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_kept();
        url_of(&scene, url, peer.port, "/b");
        httpclient_fetch(scene.client,
                         &(struct httpclient_request){ .url = url,
                                                       .method = rows[i].method,
                                                       .body = rows[i].method[0] == 'P' ? "x" : NULL,
                                                       .body_length = rows[i].method[0] == 'P',
                                                       .resend = rows[i].resend,
                                                       .allow_nonstandard_methods = true },
                         on_response, &scene);
        sprintf(line, "%s /b HTTP/1.1\r\n", rows[i].method);
        peer_take(line);
        if (rows[i].is_repeated)
            peer_serve_anew(line);
        else
            peer_hang_up();
        expect_done(2, rows[i].is_repeated ? 2 : 1);
        close_with_peer();
    }
}

/* Not a byte of it was sent: that can do no harm. */
static void a_request_of_which_no_byte_was_sent_is_repeated_whatever_it_is(void **state)
{
    begin_kept();
    faults_system_call("sendmsg", EPIPE, 1); /* head and body */
    post_to_peer("/b");
    peer_accept();
    assert_true(faults_hit());
    peer_take("POST /b HTTP/1.1\r\n");
    peer_put(hello);
    expect_done(2, 2);
    assert_int_equal(httpclient_connections(scene.client), 1);
    close_with_peer();
}

/* What the server has said meanwhile is not an answer to it. */
static void an_answer_to_nobody_is_not_that_to_a_request_that_could_not_be_sent(void **state)
{
    struct linger none = { .l_onoff = 1 };

    begin_kept();
    peer_put("HTTP/1.1 200 Late\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(setsockopt(peer.fd, SOL_SOCKET, SO_LINGER, &none, sizeof none), 0);
    peer_hang_up();
    faults_system_call("recv", EAGAIN, 1); /* the last look before the request: it comes right behind that */
    post_to_peer("/b");
    assert_true(faults_hit());
    peer_serve_anew("POST /b HTTP/1.1\r\n");
    expect_done(2, 2);
    close_with_peer();
}

/* The head went, and the body did not. */
static void a_request_of_which_a_part_was_sent_is_not_repeated(void **state)
{
    static char body[100000];
    char url[64];

    begin_kept();
    url_of(&scene, url, peer.port, "/b");
    faults_system_call("send", ECONNRESET, 2);
    httpclient_fetch(
        scene.client,
        &(struct httpclient_request){ .url = url, .method = "POST", .body = body, .body_length = sizeof body },
        on_response, &scene);
    run_until_done(&scene, 2);
    assert_true(faults_hit());
    assert_int_equal(scene.ok, 1);
    close_with_peer();
}

static void nothing_is_repeated_once_a_byte_of_the_answer_has_come(void **state)
{
    begin_kept();
    fetch_from_peer("/b");
    peer_take("GET /b HTTP/1.1\r\n");
    peer_put("H");
    testing_spin(scene.loop, 4);
    peer_hang_up();
    expect_done(2, 1);
    close_with_peer();
}

static void a_new_connection_that_is_closed_at_once_is_an_error_and_no_reason_to_repeat(void **state)
{
    open_with_peer();
    fetch_from_peer("/a");
    peer_take_anew("GET /a HTTP/1.1\r\n");
    peer_hang_up();
    expect_done(1, 0);
    close_with_peer();
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
    cmocka_unit_test(a_safe_request_is_repeated_once_when_its_kept_connection_had_gone),
    cmocka_unit_test(what_is_repeated_is_said_by_method_and_resend),
    cmocka_unit_test(a_request_of_which_no_byte_was_sent_is_repeated_whatever_it_is),
    cmocka_unit_test(an_answer_to_nobody_is_not_that_to_a_request_that_could_not_be_sent),
    cmocka_unit_test(a_request_of_which_a_part_was_sent_is_not_repeated),
    cmocka_unit_test(nothing_is_repeated_once_a_byte_of_the_answer_has_come),
    cmocka_unit_test(a_new_connection_that_is_closed_at_once_is_an_error_and_no_reason_to_repeat),
};

TESTING_MAIN(tests)
