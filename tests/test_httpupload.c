#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "httpclient/httpclient.h"
#include "tests/support/faults.h"
#include "tests/support/fetchscene.h"
#include "tests/support/testing.h"

#define FIVE "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

/* A producer that does one thing a call. */
static struct program {
    uint64_t upload; /* the fetch */
    const char *steps; /* "w": writes 5 bytes · "W": 100,000 · "0": none · "f": finishes · "x": fails · ".": nothing */
    int calls;
    int last; /* what the last write answered */
} program;

static void produce(struct httpclient *client, uint64_t fetch, void *arg)
{
    static const char many[100000];
    char step = *program.steps != '\0' ? *program.steps++ : '.';

    program.upload = fetch;
    program.calls++;
    if (step == 'w' || step == 'W' || step == '0')
        program.last = httpclient_upload_write(client, fetch, step == 'w' ? "hello" : many,
                                               step == 'w'   ? 5
                                               : step == 'W' ? sizeof many
                                                             : 0);
    else if (step == 'f')
        httpclient_upload_finish(client, fetch);
    else if (step == 'x')
        httpclient_upload_fail(client, fetch, -EIO);
}

static struct fetchscene_fetch *begin(struct fetchscene *scene, const char *steps, const char *length)
{
    struct httpheaders headers = { 0 };

    program = (struct program){ .steps = steps };
    fetchscene_open(scene, NULL);
    if (length != NULL)
        assert_int_equal(httpheaders_set(&headers, "Content-Length", length), 0);
    struct fetchscene_fetch *fetch = fetchscene_fetch(
        scene,
        (struct httpclient_request){ .url = "/", .method = "PUT", .headers = &headers, .body_producer = produce });
    httpheaders_free(&headers);
    return fetch;
}

static void a_body_that_is_not_as_long_as_was_said_is_not_sent_as_if_it_were(void **state)
{
    static const struct {
        const char *steps, *length;
        int error;
    } rows[] = {
        { "wf", "5", 0 },        { "wwf", "10", 0 }, { "ww", "9", -EMSGSIZE }, { "wf", "6", -EMSGSIZE },
        { "f", "1", -EMSGSIZE }, { "f", "0", 0 },    { "wx", "10", -EIO },     { "wx", NULL, -EIO },
        { "x", NULL, -EIO },     { "w0f", "5", 0 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fetchscene scene;
        struct fetchscene_request request;
        struct fetchscene_fetch *fetch = begin(&scene, rows[i].steps, rows[i].length);
        struct fetchscene_peer *peer = fetchscene_accept(&scene);
        if (rows[i].error == 0) {
            if (rows[i].steps[1] == '0') {
                fetchscene_settle(&scene);
                httpclient_upload_resume(scene.client, program.upload);
            }
            fetchscene_take_request(&scene, peer, &request);
            fetchscene_put(&scene, peer, FIVE);
            fetchscene_expect(&scene, fetch, 200, "hello");
            fetchscene_expect_pool(&scene, 1, 1, 0);
        } else {
            fetchscene_expect_error(&scene, fetch, rows[i].error, FETCHSCENE_ANY_PHASE);
            fetchscene_expect_pool(&scene, 0, 0, 0);
            fetchscene_settle(&scene);
            fetchscene_take(peer, 1 << 20);
            assert_true(peer->ended);
            assert_null(strstr(peer->bytes, "\r\n0\r\n\r\n")); /* hostile: never the end of what has none */
        }
        fetchscene_close(&scene);
    }
}

static void a_producer_that_writes_nothing_is_not_called_before_resume(void **state)
{
    struct fetchscene scene;
    struct fetchscene_request request;
    struct fetchscene_fetch *fetch = begin(&scene, "w..wf", NULL);
    struct fetchscene_peer *peer = fetchscene_accept(&scene);

    fetchscene_settle(&scene);
    assert_int_equal(program.calls, 2);
    httpclient_upload_resume(scene.client, program.upload);
    assert_int_equal(program.calls, 2);
    fetchscene_settle(&scene);
    assert_int_equal(program.calls, 3);
    assert_int_equal(httpclient_upload_write(scene.client, program.upload, "from outside", 12), 0);
    fetchscene_settle(&scene);
    assert_int_equal(program.calls, 3);
    httpclient_upload_resume(scene.client, program.upload);
    fetchscene_take_request(&scene, peer, &request);
    assert_string_equal(request.body, "hellofrom outsidehello");
    assert_int_equal(request.chunks, 3);
    assert_int_equal(httpclient_upload_write(scene.client, program.upload, "more", 4), -EPIPE);
    fetchscene_put(&scene, peer, FIVE);
    fetchscene_expect(&scene, fetch, 200, "hello");
    fetchscene_close(&scene);
}

static void a_producer_is_not_called_while_the_server_takes_nothing(void **state)
{
    static char steps[10001];
    struct fetchscene scene;

    memset(steps, 'W', sizeof steps - 1);
    struct fetchscene_fetch *fetch = begin(&scene, steps, NULL);
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    fetchscene_settle(&scene);
    int calls = program.calls;
    assert_in_range(calls, 1, 200);
    fetchscene_settle(&scene);
    assert_int_equal(program.calls, calls);
    assert_int_equal(program.last, 0);
    while (program.calls == calls) {
        fetchscene_take(peer, 1 << 22);
        fetchscene_settle(&scene);
    }
    httpclient_cancel(scene.client, fetch->id);
    assert_int_equal(httpclient_upload_write(scene.client, program.upload, "more", 4), -EBADF);
    fetchscene_expect_error(&scene, fetch, -ECANCELED, FETCHSCENE_ANY_PHASE);
    fetchscene_close(&scene);
}

/* What the server answers early is the answer, and the rest is not sent. */
static void an_early_answer_ends_the_upload(void **state)
{
    struct fetchscene scene;
    struct fetchscene_request request;
    struct fetchscene_fetch *fetch = begin(&scene, "w.wf", NULL);
    struct fetchscene_peer *peer = fetchscene_accept(&scene);

    fetchscene_take_head(&scene, peer, &request);
    fetchscene_put(&scene, peer, FIVE);
    fetchscene_expect(&scene, fetch, 200, "hello");
    fetchscene_expect_pool(&scene, 0, 0, 0);
    assert_int_equal(program.calls, 2);
    fetchscene_close(&scene);
}

/* 413, and the connection is reset, as there is more to read: writing fails, and what the program does then, the answer
 * counts. */
static void an_early_answer_counts_though_writing_fails(void **state)
{
    static const char answer[] = "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    static char many[50000];

    for (int i = 0; i < 4; i++) {
        struct fetchscene scene;
        struct fetchscene_fetch *fetch = begin(&scene, "W", i & 1 ? "90000000" : NULL);
        struct fetchscene_peer *peer = fetchscene_accept(&scene);
        fetchscene_settle(&scene);
        assert_int_equal(write(peer->fd, answer, sizeof answer - 1), sizeof answer - 1);
        fetchscene_hang_up(peer);
        int error = 0;
        while (error == 0) /* until the kernel knows of the reset */
            error = httpclient_upload_write(scene.client, program.upload, many, 1000);
        assert_true(error < 0);
        assert_int_equal(httpclient_upload_write(scene.client, program.upload, many, 1), -EBADF);
        if (i & 2)
            httpclient_upload_fail(scene.client, program.upload, error);
        else
            httpclient_upload_finish(scene.client, program.upload);
        fetchscene_expect(&scene, fetch, 413, "");
        fetchscene_close(&scene);
    }
}

/* time_info: sending lasts until the kernel has all of it, or until the server has answered; then it is waited for the
 * head. */
static double send_time, head_time;

static void note_times(struct fetchscene_fetch *fetch, struct httpclient_response *response)
{
    send_time = response->time_info.send;
    head_time = response->time_info.head;
}

static void serve_slowly(struct fetchscene *scene, struct fetchscene_peer *peer, size_t length, bool is_early)
{
    for (int i = 0; i < 10; i++)
        fetchscene_settle(scene); /* a part in each turn, until the kernel takes no more */
    fetchscene_pass(scene, 8);
    while (peer->length < length && !is_early) {
        fetchscene_take(peer, 1 << 22);
        fetchscene_settle(scene);
    }
    fetchscene_pass(scene, 1);
    fetchscene_put(scene, peer, FIVE);
}

static void the_time_of_sending_is_told(void **state)
{
    static char body[16000000];
    static const struct {
        size_t length;
        bool expects_100, is_early; /* the server answers before it has read */
        int send, head;
    } rows[] = {
        { sizeof body, false, false, 8, 1 }, { sizeof body, true, false, 8, 1 },
        { sizeof body, false, true, 9, 0 },  { 0, false, true, 9, 0 }, /* from a producer, which has not finished */
        { 5, false, false, 0, 9 },
    };
    struct fetchscene_request request;
    struct fetchscene scene;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        program = (struct program){ .steps = "w" };
        fetchscene_open(&scene, NULL);
        struct fetchscene_fetch *fetch =
            fetchscene_fetch(&scene, (struct httpclient_request){ .url = "/",
                                                                  .method = "POST",
                                                                  .body = rows[i].length > 0 ? body : NULL,
                                                                  .body_length = rows[i].length,
                                                                  .body_producer = rows[i].length > 0 ? NULL : produce,
                                                                  .expect_100_continue = rows[i].expects_100 });
        fetch->on_response = note_times;
        struct fetchscene_peer *peer = fetchscene_accept(&scene);
        fetchscene_take_head(&scene, peer, &request);
        if (rows[i].expects_100)
            fetchscene_put(&scene, peer, "HTTP/1.1 100 Continue\r\n\r\n");
        serve_slowly(&scene, peer, rows[i].length, rows[i].is_early);
        fetchscene_expect(&scene, fetch, 200, "hello");
        assert_int_equal((int)(send_time + 0.5), rows[i].send);
        assert_int_equal((int)(head_time + 0.5), rows[i].head);
        fetchscene_close(&scene);
    }
}

/* Nagle's algorithm would have small parts of it wait for the server. It is switched off once a connection, and not for
 * requests that are one write. */
static void only_a_request_that_goes_in_parts_switches_the_delay_off(void **state)
{
    static char many[100000];
    const struct {
        struct httpclient_request request;
        int calls;
    } rows[] = {
        { { .url = "/" }, 0 },
        { { .url = "/", .method = "POST", .body = "hello", .body_length = 5 }, 0 },
        { { .url = "/", .method = "PUT", .body_producer = produce }, 1 },
        { { .url = "/", .method = "POST", .body = many, .body_length = sizeof many }, 1 },
        { { .url = "/", .method = "POST", .body = "hello", .body_length = 5, .expect_100_continue = true }, 1 },
    };
    struct fetchscene_request request;
    struct fetchscene scene;

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fetchscene_peer *peer = NULL;

        for (int again = 0; again < 2; again++) {
            program = (struct program){ .steps = "wf" };
            faults_count_reset();
            struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, rows[i].request);
            peer = peer != NULL ? peer : fetchscene_accept(&scene);
            if (rows[i].request.expect_100_continue) {
                fetchscene_take_head(&scene, peer, &request);
                fetchscene_put(&scene, peer, "HTTP/1.1 100 Continue\r\n\r\n");
                fetchscene_expect_text(&scene, peer, "hello");
            } else {
                fetchscene_take_request(&scene, peer, &request);
            }
            fetchscene_put(&scene, peer, FIVE);
            fetchscene_expect(&scene, fetch, 200, "hello");
            assert_int_equal(faults_count("setsockopt"), again ? 0 : rows[i].calls);
        }
        fetchscene_hang_up(peer);
        fetchscene_settle(&scene);
    }
    fetchscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_body_that_is_not_as_long_as_was_said_is_not_sent_as_if_it_were),
    cmocka_unit_test(a_producer_that_writes_nothing_is_not_called_before_resume),
    cmocka_unit_test(a_producer_is_not_called_while_the_server_takes_nothing),
    cmocka_unit_test(an_early_answer_ends_the_upload),
    cmocka_unit_test(an_early_answer_counts_though_writing_fails),
    cmocka_unit_test(the_time_of_sending_is_told),
    cmocka_unit_test(only_a_request_that_goes_in_parts_switches_the_delay_off),
};

TESTING_MAIN(tests)
