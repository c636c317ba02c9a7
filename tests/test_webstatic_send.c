/* How files are sent: in how many calls, what is big, what changes meanwhile, clients that leave, and what fails. */
#include "httpserver/webstatic.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "httpserver/webfilecache.h"
#include "tests/support/faults.h"
#include "tests/support/staticscene.h"
#include "tests/support/testing.h"

enum { BIG = 3 << 20 };

static void open_with(struct staticscene *scene, const char *path, size_t size)
{
    char place[64];

    staticscene_open(scene, &(struct webstatic){ .precompressed = true, .default_filename = "index.html" });
    snprintf(place, sizeof place, "root/%s", path);
    folder_write_pattern(&scene->folder, place, size);
    folder_set_time(&scene->folder, place, 1000000000, 0);
}

static void expect_pattern(const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)bytes[i] != i % 251)
            fail_msg("byte %zu is %d", i, (unsigned char)bytes[i]);
    }
}

/* Receives until the body is so long, or the end; answers where it is. */
static const char *take_body(struct staticscene *scene, size_t length, size_t *taken)
{
    struct httpscene_client *client = scene->client;

    for (int rounds = 0; rounds < 20000; rounds++) {
        httpscene_take(client, SIZE_MAX);
        const char *end = client->length > 0 ? strstr(client->bytes, "\r\n\r\n") : NULL;
        *taken = end != NULL ? client->length - (size_t)(end + 4 - client->bytes) : 0;
        if (client->ended || (end != NULL && *taken >= length))
            return end + 4;
        assert_true(ioloop_run_once(scene->http.loop, 0.01) >= 0);
    }
    fail_msg("%s", "the body does not come");
    return NULL;
}

/* The whole of a file, and no more. */
static void expect_body(struct staticscene *scene, size_t length)
{
    size_t taken;
    const char *body = take_body(scene, length, &taken);

    assert_int_equal(taken, length);
    expect_pattern(body, taken);
}

static void forget_bytes(struct staticscene *scene)
{
    scene->client->length = 0;
    scene->client->bytes[0] = '\0';
}

/* Slow enough that the server has to wait. */
static void narrow(struct staticscene *scene)
{
    int size = 4096;

    httpscene_hang_up(scene->client);
    scene->client = httpscene_connect_unix(&scene->http);
    assert_int_equal(setsockopt(scene->client->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), 0);
}

/* A file that is on its way to such a client. */
static void begin_big(struct staticscene *scene)
{
    open_with(scene, "big", BIG);
    narrow(scene);
    staticscene_put(scene, "GET /static/big", NULL);
    httpscene_settle(&scene->http);
}

/* Calls. */

static void a_small_file_that_was_served_before_costs_one_call(void **state)
{
    struct staticscene scene;

    open_with(&scene, "a", 1024);
    staticscene_expect(&scene, "GET /static/a", NULL, 200, NULL);
    long allocations = faults_allocations();
    staticscene_put(&scene, "GET /static/a", NULL);
    faults_count_reset();
    assert_int_equal(staticscene_next(&scene, "GET"), 200);
    assert_int_equal(faults_count("send") + faults_count("sendmsg"), 1);
    assert_int_equal(faults_count("open") + faults_count("openat2") + faults_count("fstat") + faults_count("pread"), 0);
    assert_int_equal(faults_count("sendfile") + faults_count("close"), 0);
    assert_int_equal(faults_allocations(), allocations);
    staticscene_close(&scene);
}

static void a_small_file_is_read_in_one_call_and_sent_in_one(void **state)
{
    static const size_t sizes[] = { 1, 1024, 4096, 5000, WEBFILECACHE_MAX_FILE };
    struct staticscene scene;

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        open_with(&scene, "a", sizes[i]);
        httpscene_settle(&scene.http);
        staticscene_put(&scene, "GET /static/a", NULL);
        faults_count_reset();
        expect_body(&scene, sizes[i]);
        assert_int_equal(faults_count("open"), 1);
        assert_int_equal(faults_count("openat2"), 1);
        assert_int_equal(faults_count("fstat"), 1);
        assert_int_equal(faults_count("pread"), 1);
        assert_int_equal(faults_count("close"), 2);
        assert_int_equal(faults_count("sendfile"), 0);
        assert_int_equal(faults_count("send") + faults_count("sendmsg"), 1);
        forget_bytes(&scene);
        staticscene_close(&scene);
    }
}

static void a_big_file_is_sent_by_the_kernel(void **state)
{
    static const size_t sizes[] = { WEBFILECACHE_MAX_FILE + 1, 1 << 20, BIG };
    struct staticscene scene;

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        open_with(&scene, "big", sizes[i]);
        for (int again = 0; again < 2; again++) {
            staticscene_put(&scene, "GET /static/big", NULL);
            faults_count_reset();
            expect_body(&scene, sizes[i]);
            assert_int_equal(faults_count("pread"), 0);
            assert_true(faults_count("sendfile") > 0);
            assert_int_equal(faults_count("send"), 1); /* the head */
            forget_bytes(&scene);
        }
        staticscene_close(&scene);
    }
}

static unsigned segments_received(const struct httpscene_client *client)
{
    struct tcp_info info = { 0 };
    socklen_t length = sizeof info;

    assert_int_equal(getsockopt(client->fd, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
    return info.tcpi_data_segs_in;
}

static void the_head_leaves_with_the_beginning_of_the_file(void **state)
{
    struct staticscene scene;

    open_with(&scene, "big", BIG);
    staticscene_expect(&scene, "GET /static/big", "Range: bytes=0-99\r\n", 206, NULL);
    unsigned before = segments_received(scene.client);
    staticscene_expect(&scene, "GET /static/big", "Range: bytes=0-99\r\n", 206, NULL);
    assert_int_equal(segments_received(scene.client), before + 1);
    staticscene_close(&scene);
}

static void answers_come_in_order_on_one_connection(void **state)
{
    static const char text[] = "GET /static/big HTTP/1.1\r\nHost: a\r\n\r\n"
                               "GET /static/a HTTP/1.1\r\nHost: a\r\n\r\n"
                               "HEAD /static/big HTTP/1.1\r\nHost: a\r\n\r\n"
                               "GET /static/none HTTP/1.1\r\nHost: a\r\n\r\n"
                               "GET /static/big HTTP/1.1\r\nHost: a\r\nRange: bytes=1-3\r\n\r\n";
    struct staticscene scene;

    open_with(&scene, "big", BIG);
    folder_write(&scene.folder, "root/a", "small");
    httpscene_put(&scene.http, scene.client, text);
    scene.answer = httpscene_next(&scene.http, scene.client, false);
    assert_int_equal(scene.answer.length, BIG);
    expect_pattern(scene.answer.body, sizeof scene.answer.body - 1);
    httpscene_expect(&scene.http, scene.client, 200, "small");
    scene.answer = httpscene_next(&scene.http, scene.client, true);
    assert_int_equal(scene.answer.length, BIG);
    assert_int_equal(httpscene_next(&scene.http, scene.client, false).status, 404);
    httpscene_expect(&scene.http, scene.client, 206, "\1\2\3");
    staticscene_close(&scene);
}

static void a_client_of_http_1_0_gets_the_file_and_the_end(void **state)
{
    struct staticscene scene;
    size_t taken;

    open_with(&scene, "big", BIG);
    httpscene_put(&scene.http, scene.client, "GET /static/big HTTP/1.0\r\n\r\n");
    const char *body = take_body(&scene, SIZE_MAX, &taken);
    assert_int_equal(taken, BIG);
    expect_pattern(body, taken);
    assert_int_equal(scene.client->error, 0);
    staticscene_close(&scene);
}

/* Changes meanwhile. */

static void a_file_that_shrinks_on_its_way_closes_the_connection(void **state)
{
    struct staticscene scene;
    size_t taken;

    begin_big(&scene);
    folder_truncate(&scene.folder, "root/big", 2 << 20);
    const char *body = take_body(&scene, SIZE_MAX, &taken);
    assert_true(scene.client->ended);
    assert_non_null(strstr(scene.client->bytes, "Content-Length: 3145728\r\n"));
    assert_int_equal(taken, 2 << 20); /* nothing is filled up */
    expect_pattern(body, taken);
    scene.client = httpscene_connect(&scene.http);
    staticscene_expect(&scene, "HEAD /static/big", NULL, 200, "");
    staticscene_close(&scene);
}

static void a_file_that_grows_on_its_way_is_sent_as_long_as_it_was(void **state)
{
    struct staticscene scene;

    begin_big(&scene);
    folder_write_pattern(&scene.folder, "root/other", BIG + 100000);
    FILE *file = fopen(folder_place(&scene.folder, "root/big"), "a");
    assert_non_null(file);
    for (int i = 0; i < 100000; i++)
        fputc('#', file);
    fclose(file);
    expect_body(&scene, BIG);
    forget_bytes(&scene);
    httpscene_expect_nothing(&scene.http, scene.client);
    staticscene_expect(&scene, "HEAD /static/big", NULL, 200, "");
    assert_int_equal(scene.answer.length, BIG + 100000);
    staticscene_close(&scene);
}

static void a_file_that_is_replaced_or_gone_on_its_way_is_sent_as_it_was(void **state)
{
    struct staticscene scene;

    begin_big(&scene);
    folder_remove(&scene.folder, "root/big");
    folder_write(&scene.folder, "root/big", "other");
    expect_body(&scene, BIG);
    staticscene_close(&scene);
}

/* Nothing was sent yet, so that the client can be told. */
static void a_small_file_that_shrinks_before_it_is_read_is_an_error(void **state)
{
    struct staticscene scene;

    open_with(&scene, "a", 100);
    for (int error = EIO; error != 0; error = error == EIO ? ENOMEM : 0) {
        faults_system_call("pread", error, 1);
        staticscene_expect(&scene, "GET /static/a", NULL, error == EIO ? 500 : 503, NULL);
        assert_true(faults_hit());
        assert_null(staticscene_header(&scene, "Etag"));
    }
    staticscene_expect(&scene, "GET /static/a", NULL, 200, NULL);
    staticscene_close(&scene);
}

/* Clients that leave; that no descriptor is left open, each test checks. */

static void a_client_that_leaves_in_the_middle_ends_the_transfer(void **state)
{
    struct staticscene scene;

    for (int with_reset = 0; with_reset < 2; with_reset++) {
        open_with(&scene, "big", BIG);
        httpscene_settle(&scene.http);
        int before = testing_count_fds();
        narrow(&scene);
        staticscene_put(&scene, "GET /static/big", NULL);
        httpscene_settle(&scene.http);
        assert_int_equal(testing_count_fds(), before + 1); /* the file: it is on its way */
        if (with_reset)
            httpscene_reset(scene.client);
        else
            httpscene_hang_up(scene.client);
        httpscene_settle(&scene.http);
        assert_int_equal(testing_count_fds(), before - 2);
        scene.client = httpscene_connect(&scene.http);
        staticscene_expect(&scene, "HEAD /static/big", NULL, 200, "");
        staticscene_close(&scene);
    }
}

static void a_server_that_closes_in_the_middle_closes_the_file(void **state)
{
    struct staticscene scene;

    begin_big(&scene);
    httpserver_close(scene.http.server);
    httpscene_pass(&scene.http, 11);
    staticscene_close(&scene);
}

/* The application is gone, but not what it has begun to send. */
static void an_application_may_close_before_its_file_is_sent(void **state)
{
    struct staticscene scene;

    begin_big(&scene);
    web_application_close(scene.app);
    httpscene_settle(&scene.http);
    expect_body(&scene, BIG);
    scene.app = web_application_new(NULL, &(struct web_settings){ .loop = scene.http.loop });
    staticscene_close(&scene);
}

/* Failures. */

static void each_error_of_opening_has_its_status(void **state)
{
    static const struct {
        const char *call;
        int error, status;
    } cases[] = {
        { "open", EMFILE, 503 },     { "open", ENFILE, 503 },
        { "open", ENOMEM, 503 },     { "open", EACCES, 403 },
        { "open", ENOENT, 404 },     { "open", EIO, 500 },
        { "openat2", EMFILE, 503 },  { "openat2", ENFILE, 503 },
        { "openat2", ENOMEM, 503 },  { "openat2", EACCES, 403 },
        { "openat2", ELOOP, 403 },   { "openat2", EXDEV, 403 },
        { "openat2", ENXIO, 403 },   { "openat2", ENOENT, 404 },
        { "openat2", ENOTDIR, 404 }, { "openat2", ENAMETOOLONG, 404 },
        { "openat2", EIO, 500 },     { "openat2", EOVERFLOW, 500 },
        { "fstat", EIO, 500 },       { "fstat", ENOMEM, 503 },
    };
    struct staticscene scene;

    open_with(&scene, "a", 10);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        faults_system_call(cases[i].call, cases[i].error, 1);
        staticscene_expect(&scene, "GET /static/a", NULL, cases[i].status, NULL);
        assert_true(faults_hit());
    }
    faults_system_call_sticky("openat2", EAGAIN, 1);
    staticscene_expect(&scene, "GET /static/a", NULL, 503, NULL);
    faults_end();
    staticscene_expect(&scene, "GET /static/a", NULL, 200, NULL);
    staticscene_close(&scene);
}

/* Either the whole file, or the connection ends short of it. */
static void each_error_of_sending_ends_the_connection_or_is_overcome(void **state)
{
    static const int errors[] = { EIO, EINTR, EAGAIN, EINVAL, ENOMEM, EPIPE, ECONNRESET };

    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        for (int nth = 1; nth < 6; nth++) {
            struct staticscene scene;
            size_t taken;

            open_with(&scene, "big", BIG);
            narrow(&scene);
            faults_system_call("sendfile", errors[i], nth);
            staticscene_put(&scene, "GET /static/big", NULL);
            const char *body = take_body(&scene, BIG, &taken);
            bool is_hit = faults_hit();
            bool is_fatal = errors[i] != EINTR && errors[i] != EAGAIN && errors[i] != EINVAL;
            if (is_hit && is_fatal)
                assert_true(scene.client->ended && taken < BIG);
            else
                assert_int_equal(taken, BIG);
            expect_pattern(body, taken);
            httpscene_hang_up(scene.client);
            scene.client = httpscene_connect(&scene.http);
            staticscene_expect(&scene, "HEAD /static/big", NULL, 200, "");
            staticscene_close(&scene);
        }
    }
}

static void short_calls_change_nothing(void **state)
{
    struct staticscene scene;

    open_with(&scene, "a", 5000);
    folder_write_pattern(&scene.folder, "root/big", 100000);
    for (size_t limit = 1; limit < 5000; limit = limit * 7 + 1) {
        httpscene_pass(&scene.http, 1);
        faults_short_io(limit < 50 ? 50 : limit);
        staticscene_put(&scene, "GET /static/a", NULL);
        expect_body(&scene, 5000);
        forget_bytes(&scene);
        staticscene_put(&scene, "GET /static/big", NULL);
        expect_body(&scene, 100000);
        forget_bytes(&scene);
    }
    faults_short_io(0);
    staticscene_close(&scene);
}

/* The answer is right, or an error, or the connection ends; nothing leaks, and the next request is served. */
static void sweep_allocations(const char *target, const char *headers, size_t size, int expected, bool sticky)
{
    char request[64], path[64];
    int hits = 0;

    snprintf(request, sizeof request, "GET /static/%s", target);
    snprintf(path, sizeof path, "%.*s", (int)strcspn(target, "?"), target);
    for (int nth = 1, hit = 1; hit; nth++) {
        struct staticscene scene;
        size_t taken;

        open_with(&scene, strcmp(path, "folder") != 0 ? path : "file", size);
        folder_make(&scene.folder, "root/folder");
        httpscene_settle(&scene.http); /* the connection is there */
        faults_allocation(nth, sticky);
        staticscene_put(&scene, request, headers);
        const char *body = take_body(&scene, 0, &taken);
        for (int i = 0; i < 50; i++)
            httpscene_settle(&scene.http);
        hit = faults_hit();
        faults_allocation(0, false);
        hits += hit;
        httpscene_take(scene.client, SIZE_MAX);
        if (body != NULL && scene.client->length > 12) {
            int status = atoi(scene.client->bytes + 9);
            assert_true(status == expected || (hit && (status == 500 || status == 503)));
        }
        assert_true(hit || body != NULL);
        staticscene_reconnect(&scene);
        staticscene_expect(&scene, "HEAD /static/folder/", NULL, 404, "");
        staticscene_close(&scene);
    }
    assert_true(hits > 0);
}

static void each_allocation_may_fail(void **state)
{
    for (int sticky = 0; sticky < 2; sticky++) {
        sweep_allocations("a", "Accept-Encoding: br\r\n", 1000, 200, sticky);
        sweep_allocations("a?v=1", "Range: bytes=1-3\r\n", 1000, 206, sticky);
        sweep_allocations("big", NULL, 100000, 200, sticky);
        sweep_allocations("big", "Range: bytes=1-3\r\n", 100000, 206, sticky);
        sweep_allocations("big", "Range: bytes=100000-\r\n", 100000, 416, sticky);
        sweep_allocations("folder", NULL, 10, 301, sticky);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_small_file_that_was_served_before_costs_one_call),
    cmocka_unit_test(a_small_file_is_read_in_one_call_and_sent_in_one),
    cmocka_unit_test(a_big_file_is_sent_by_the_kernel),
    cmocka_unit_test(the_head_leaves_with_the_beginning_of_the_file),
    cmocka_unit_test(answers_come_in_order_on_one_connection),
    cmocka_unit_test(a_client_of_http_1_0_gets_the_file_and_the_end),
    cmocka_unit_test(a_file_that_shrinks_on_its_way_closes_the_connection),
    cmocka_unit_test(a_file_that_grows_on_its_way_is_sent_as_long_as_it_was),
    cmocka_unit_test(a_file_that_is_replaced_or_gone_on_its_way_is_sent_as_it_was),
    cmocka_unit_test(a_small_file_that_shrinks_before_it_is_read_is_an_error),
    cmocka_unit_test(a_client_that_leaves_in_the_middle_ends_the_transfer),
    cmocka_unit_test(a_server_that_closes_in_the_middle_closes_the_file),
    cmocka_unit_test(an_application_may_close_before_its_file_is_sent),
    cmocka_unit_test(each_error_of_opening_has_its_status),
    cmocka_unit_test(each_error_of_sending_ends_the_connection_or_is_overcome),
    cmocka_unit_test(short_calls_change_nothing),
    cmocka_unit_test(each_allocation_may_fail),
};

TESTING_MAIN(tests)
