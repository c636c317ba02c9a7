/* A client at work, while each of its allocations and system calls fails in turn, in every way that it may. Of each
 * case: no crash, no leak, no descriptor lost, each fetch that was accepted answered exactly once, and a loop that
 * works afterwards. The server is another process, which nothing befalls. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "httpclient/httpclient.h"
#include "httpserver/httpserver.h"
#include "ioloop/iolog.h"
#include "ioloop/ioloop.h"
#include "tests/support/faults.h"
#include "tests/support/testing.h"

enum { LONG_BODY = 300000, UPLOAD = 200000, MOST_ROUNDS = 3000 };

/* The server. */

static void no_log(struct httprequest *request, int status, uint64_t body_bytes, double seconds, void *arg)
{
}

static void redirect(struct httprequest *request)
{
    struct httpheaders headers = { 0 };

    (void)!httpheaders_set(&headers, "Location", "/after");
    httprequest_answer(request, 307, NULL, &headers, "elsewhere", 9);
    httpheaders_free(&headers);
}

static void in_chunks(struct httprequest *request)
{
    httprequest_write_head(request, 200, NULL, NULL, "one", 3, NULL, NULL);
    httprequest_write(request, "two", 3, NULL, NULL);
    httprequest_finish(request);
}

static void serve(struct httprequest *request, void *arg)
{
    static char bytes[LONG_BODY];
    const char *path = httprequest_target(request);

    if (strcmp(path, "/redirect") == 0)
        redirect(request);
    else if (strcmp(path, "/chunks") == 0)
        in_chunks(request);
    else if (strcmp(path, "/long") == 0)
        httprequest_reply(request, 200, "text/plain", bytes, sizeof bytes);
    else if (strcmp(path, "/never") != 0)
        httprequest_reply(request, 200, "text/plain", "hello", 5);
}

static pid_t server_pid;
static int server_port, server_life;

static void die(int fd, unsigned events, void *arg)
{
    _exit(0);
}

/* life: its other end is open as long as the test is there. */
static void run_server(int tell, int life)
{
    struct ioloop *loop = ioloop_new(NULL);
    struct httpserver *server =
        httpserver_new(loop, serve, NULL,
                       &(struct httpserver_options){ .on_log = no_log, .max_requests = 1u << 30, .max_body = 1 << 20 });
    int port = httpserver_listen(server, 0, &(struct netutil_bind_options){ .address = "127.0.0.1" });

    if (write(tell, &port, sizeof port) == sizeof port && ioloop_add_handler(loop, life, die, NULL, IOLOOP_READ) == 0)
        ioloop_start(loop);
    _exit(0);
}

static void start_server(void)
{
    int tell[2], life[2];

    assert_int_equal(pipe(tell), 0);
    assert_int_equal(pipe(life), 0);
    server_pid = fork();
    assert_true(server_pid >= 0);
    if (server_pid == 0) {
        close(life[1]);
        run_server(tell[1], life[0]);
    }
    server_life = life[1];
    close(life[0]);
    bool told = read(tell[0], &server_port, sizeof server_port) == sizeof server_port;
    close(tell[0]);
    close(tell[1]);
    assert_true(told);
    testing_begin_logs();
    iolog_write(IOLOG_GENERAL, IOLOG_ERROR, "the log has its memory from here on");
}

static void end_server(void)
{
    close(server_life);
    waitpid(server_pid, NULL, 0);
    testing_end_logs();
}

/* The client. */

static struct scene {
    struct ioloop *loop;
    double clock;
    struct httpclient *client;
    char url[64];
    int accepted, answered, succeeded, released, lent;
    int closed;
    bool ends_early; /* the loop closes while all goes on */
    int pieces;
} scene;

static double read_clock(void *arg)
{
    return scene.clock;
}

static void spin(int rounds)
{
    for (int i = 0; i < rounds; i++) {
        ioloop_run_once(scene.loop, 0.001);
        scene.clock += 0.01;
    }
}

static void spin_until_answered(void)
{
    for (int i = 0; i < MOST_ROUNDS && scene.answered < scene.accepted; i++) {
        if (ioloop_run_once(scene.loop, 0.001) <= 0)
            scene.clock += 0.01;
    }
}

static void on_response(struct httpclient_response *response, void *arg)
{
    scene.answered++;
    scene.succeeded += response->error == 0;
    assert_true(response->request_time >= 0);
    if (response->code == 0)
        assert_int_equal(httpheaders_count(response->headers), 0);
}

static void on_close(struct httpclient *client, void *arg)
{
    scene.closed++;
}

static void count_released(void *data, void *arg)
{
    scene.released++;
}

static uint64_t try_fetch(const char *path, struct httpclient_request request)
{
    char url[96];

    snprintf(url, sizeof url, "%s%s", scene.url, path);
    request.url = url;
    uint64_t id = httpclient_fetch(scene.client, &request, on_response, NULL);
    scene.accepted += id != 0;
    scene.lent += id != 0 && request.body_release != NULL;
    return id;
}

static void fetch(const char *path, struct httpclient_request request)
{
    try_fetch(path, request);
    spin_until_answered();
}

static void produce(struct httpclient *client, uint64_t fetch, void *arg)
{
    static const char bytes[3000];

    if (scene.pieces++ < 10)
        (void)!httpclient_upload_write(client, fetch, bytes, sizeof bytes);
    else
        httpclient_upload_finish(client, fetch);
}

static void on_line(const char *line, size_t length, void *arg)
{
}

static void on_piece(const void *data, size_t length, void *arg)
{
}

static void on_future(struct iofuture *future, void *arg)
{
    scene.answered++;
    scene.succeeded += iofuture_error(future) == 0 && iofuture_result(future) != NULL;
}

static void fetch_future(void)
{
    char url[96];

    snprintf(url, sizeof url, "%s/f", scene.url);
    struct iofuture *future = httpclient_fetch_future(scene.client, &(struct httpclient_request){ .url = url });
    if (future == NULL)
        return;
    scene.accepted++;
    if (iofuture_add_callback(future, on_future, NULL) < 0) {
        scene.accepted--;
        (void)iofuture_error(future);
        iofuture_cancel(future);
    }
    spin_until_answered();
}

static void pause_and_resume(void)
{
    uint64_t id =
        try_fetch("/chunks", (struct httpclient_request){ .header_callback = on_line, .streaming_callback = on_piece });

    httpclient_pause(scene.client, id);
    spin(3);
    httpclient_resume(scene.client, id);
    spin_until_answered();
}

/* Some of all there is. */
static void try_everything(void)
{
    static char body[UPLOAD];
    struct httpheaders headers = { 0 };
    static const char *const names[] = { "X-Test", NULL };
    struct httpclient_request defaults = {
        .user_agent = "faults", .request_timeout = 3, .connect_timeout = 2, .private_headers = names
    };

    scene.client = httpclient_new(
        scene.loop, &(struct httpclient_options){ .defaults = &defaults, .max_clients = 3, .on_close = on_close });
    if (scene.client == NULL)
        return;
    int error = httpheaders_set(&headers, "X-Test", "yes");
    scene.pieces = 0;
    fetch("/a", (struct httpclient_request){ .auth_username = "u", .auth_password = "p" });
    fetch("/redirect", (struct httpclient_request){ .headers = error == 0 ? &headers : NULL });
    fetch("/redirect",
          (struct httpclient_request){
              .method = "POST", .body = body, .body_length = sizeof body, .body_release = count_released });
    fetch("/up", (struct httpclient_request){ .method = "PUT", .body_producer = produce });
    fetch("/expect",
          (struct httpclient_request){ .method = "POST", .body = "x", .body_length = 1, .expect_100_continue = true });
    fetch("/long", (struct httpclient_request){ .if_modified_since = 1 });
    fetch_future();
    pause_and_resume();
    for (int i = 0; i < 5; i++)
        try_fetch("/never", (struct httpclient_request){ .request_timeout = i == 0 ? 0.05 : 0 });
    spin(6);
    if (!scene.ends_early)
        httpclient_close(scene.client);
    httpheaders_free(&headers);
}

/* As many as have to be told are told, and nothing is left. The loop goes on, or ends. */
static void run_case(bool ends_early)
{
    scene.accepted = scene.answered = scene.succeeded = scene.released = scene.lent = scene.closed = 0;
    scene.ends_early = ends_early;
    try_everything();
    if (!ends_early)
        spin_until_answered();
}

static void check_case(const char *what, int error, int nth)
{
    bool had_client = scene.client != NULL;

    spin(5);
    if (scene.accepted != scene.answered || scene.closed != had_client || scene.released != scene.lent)
        print_error("%s, %d, occurrence %d\n", what, error, nth);
    assert_int_equal(scene.answered, scene.accepted);
    assert_int_equal(scene.released, scene.lent);
    assert_int_equal(scene.closed, had_client);
}

static long allocated_before;
static int fds_before;

static void begin_case(void)
{
    allocated_before = faults_allocated();
    fds_before = testing_count_fds();
    scene.clock = 1000;
    scene.client = NULL;
    scene.loop = ioloop_new(&(struct ioloop_options){ .clock = read_clock, .make_current = IOLOOP_CURRENT_NEVER });
    assert_non_null(scene.loop);
    snprintf(scene.url, sizeof scene.url, "http://127.0.0.1:%d", server_port);
}

static void loop_still_works(void)
{
    int before = scene.succeeded;

    scene.client = httpclient_new(scene.loop, NULL);
    assert_non_null(scene.client);
    fetch("/again", (struct httpclient_request){ 0 });
    assert_int_equal(scene.succeeded, before + 1);
    httpclient_close(scene.client);
}

static void end_case(const char *what, int error, int nth)
{
    bool had_client = scene.client != NULL;

    if (scene.ends_early) {
        ioloop_close(scene.loop, false);
        faults_end();
        assert_int_equal(scene.answered, scene.accepted);
        assert_int_equal(scene.released, scene.lent);
        assert_int_equal(scene.closed, had_client);
    } else {
        faults_end();
        check_case(what, error, nth);
        loop_still_works();
        ioloop_close(scene.loop, false);
    }
    if (faults_allocated() != allocated_before || testing_count_fds() != fds_before)
        print_error("%s, %d, occurrence %d\n", what, error, nth);
    assert_int_equal(faults_allocated(), allocated_before);
    assert_int_equal(testing_count_fds(), fds_before);
}

static void without_failures_all_succeeds(void **state)
{
    start_server();
    begin_case();
    run_case(false);
    assert_int_equal(scene.accepted, 8 + 5);
    assert_int_equal(scene.answered, scene.accepted);
    assert_int_equal(scene.succeeded, 8);
    end_case("nothing", 0, 0);
    end_server();
}

static void sweep_allocations(bool ends_early, bool sticky)
{
    bool hit = true;

    start_server();
    for (int nth = 1; hit; nth++) {
        begin_case();
        long before = faults_allocations();
        faults_allocation(nth, sticky);
        run_case(ends_early);
        hit = faults_allocations() - before >= nth;
        end_case("allocation", sticky, nth);
    }
    end_server();
}

static void each_allocation_may_fail(void **state)
{
    sweep_allocations(false, false);
}

static void all_allocations_from_one_on_may_fail(void **state)
{
    sweep_allocations(false, true);
}

static void each_allocation_may_fail_and_the_loop_close(void **state)
{
    sweep_allocations(true, false);
    sweep_allocations(true, true);
}

struct failure {
    const char *name;
    int error;
};

static void sweep(const struct failure *failures, size_t count)
{
    start_server();
    for (size_t i = 0; i < count; i++) {
        bool hit = true;
        for (int nth = 1; hit; nth++) {
            begin_case();
            faults_system_call(failures[i].name, failures[i].error, nth);
            run_case(nth % 4 == 0);
            hit = faults_hit();
            end_case(failures[i].name, failures[i].error, nth);
        }
    }
    end_server();
}

static void each_receive_may_fail(void **state)
{
    static const struct failure failures[] = {
        { "recv", ECONNRESET }, { "recv", EINTR }, { "recv", EAGAIN }, { "recv", ETIMEDOUT }, { "recv", ENOMEM },
    };

    sweep(failures, sizeof failures / sizeof *failures);
}

static void each_send_may_fail(void **state)
{
    static const struct failure failures[] = {
        { "send", EPIPE },      { "send", EAGAIN },   { "send", EINTR },     { "send", ENOBUFS },
        { "send", ECONNRESET }, { "sendmsg", EPIPE }, { "sendmsg", EAGAIN }, { "sendmsg", ECONNRESET },
    };

    sweep(failures, sizeof failures / sizeof *failures);
}

static void each_connect_may_fail(void **state)
{
    static const struct failure failures[] = {
        { "socket", EMFILE }, { "socket", ENOBUFS },        { "connect", ECONNREFUSED }, { "connect", ENETUNREACH },
        { "connect", EINTR }, { "connect", EADDRNOTAVAIL }, { "getsockopt", EBADF },     { "setsockopt", ENOMEM },
    };

    sweep(failures, sizeof failures / sizeof *failures);
}

static void each_wait_and_each_close_may_fail(void **state)
{
    static const struct failure failures[] = {
        { "epoll_ctl", ENOMEM }, { "epoll_ctl", ENOSPC }, { "epoll_wait", EINTR }, { "close", EINTR }, { "close", EIO },
    };

    sweep(failures, sizeof failures / sizeof *failures);
}

static void reads_and_writes_of_few_bytes_change_nothing(void **state)
{
    start_server();
    for (size_t bytes = 1; bytes <= 4096; bytes = bytes * 7 + 1) {
        begin_case();
        faults_short_io(bytes < 50 ? 0 : bytes);
        run_case(false);
        faults_short_io(0);
        assert_int_equal(scene.succeeded, 8);
        end_case("short", (int)bytes, 0);
    }
    end_server();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(without_failures_all_succeeds),
    cmocka_unit_test(each_allocation_may_fail),
    cmocka_unit_test(all_allocations_from_one_on_may_fail),
    cmocka_unit_test(each_allocation_may_fail_and_the_loop_close),
    cmocka_unit_test(each_receive_may_fail),
    cmocka_unit_test(each_send_may_fail),
    cmocka_unit_test(each_connect_may_fail),
    cmocka_unit_test(each_wait_and_each_close_may_fail),
    cmocka_unit_test(reads_and_writes_of_few_bytes_change_nothing),
};

TESTING_MAIN(tests)
