/* Responses that end, or never do, while the program reads them as it likes: pauses, heartbeats, answers in pieces. */
#include "httpclient/httpclient.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/fetchscene.h"
#include "tests/support/testing.h"

#define OK "HTTP/1.1 200 OK\r\n"

static struct fetchscene scene;

static void pause_it(struct fetchscene_fetch *fetch)
{
    httpclient_pause(scene.client, fetch->id);
}

static void pause_once(struct fetchscene_fetch *fetch)
{
    httpclient_pause(scene.client, fetch->id);
    fetch->on_line = NULL;
}

/* Chunks of so many bytes, 150 KB of them, and their number. Freed by the caller. */
static char *write_chunks(size_t size, size_t *length, size_t *count)
{
    char *text = malloc(400000);

    assert_non_null(text);
    *length = (size_t)sprintf(text, OK "Transfer-Encoding: chunked\r\n\r\n");
    for (*count = 0; *length < 150000; ++*count) {
        *length += (size_t)sprintf(text + *length, "%zx\r\n", size);
        memset(text + *length, 'a', size);
        *length += size;
        *length += (size_t)sprintf(text + *length, "\r\n");
    }
    *length += (size_t)sprintf(text + *length, "0\r\n\r\n");
    return text;
}

static void a_body_that_is_paused_at_each_piece_is_whole_when_its_server_has_left(void **state)
{
    static const size_t sizes[] = { 100, 2000, 40000 };

    for (size_t i = 0; i < 2 * (sizeof sizes / sizeof *sizes); i++) {
        size_t length, count;
        char *text = write_chunks(sizes[i / 2], &length, &count);

        fetchscene_open(&scene, NULL);
        struct fetchscene_fetch *fetch = fetchscene_fetch(
            &scene, (struct httpclient_request){ .url = "/", .streaming_callback = fetchscene_on_data });
        fetch->on_data = pause_it;
        struct fetchscene_peer *peer = fetchscene_accept(&scene);
        fetchscene_settle(&scene);
        fetchscene_put_bytes(&scene, peer, text, length);
        if (i % 2 == 0)
            fetchscene_finish(peer);
        while (fetch->calls == 0) {
            httpclient_resume(scene.client, fetch->id);
            assert_true(testing_step(scene.loop) >= 0);
        }
        assert_int_equal(fetch->calls, 1);
        assert_int_equal(fetch->error, 0);
        assert_int_equal(fetch->body.length, count * sizes[i / 2]);
        fetchscene_close(&scene);
        free(text);
    }
}

static void a_response_that_came_in_a_pause_counts_when_its_server_has_left(void **state)
{
    static const char *const texts[] = { OK "Content-Length: 2\r\n\r\nhi", OK "\r\nhi" };

    for (int i = 0; i < 4; i++) {
        fetchscene_open(&scene, NULL);
        struct fetchscene_fetch *fetch =
            fetchscene_fetch(&scene, (struct httpclient_request){ .url = "/", .header_callback = fetchscene_on_line });
        if (i < 2)
            httpclient_pause(scene.client, fetch->id);
        else
            fetch->on_line = pause_once;
        struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, texts[i % 2]);
        fetchscene_settle(&scene);
        fetchscene_finish(peer);
        httpclient_resume(scene.client, fetch->id);
        fetchscene_expect(&scene, fetch, 200, "hi");
        fetchscene_close(&scene);
    }
}

/* What is a waste of framing from a client of a server is an event a second here. */
static void a_stream_of_small_chunks_may_go_on_for_ever(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = fetchscene_fetch(
        &scene,
        (struct httpclient_request){ .url = "/", .streaming_callback = fetchscene_on_data, .request_timeout = -1 });
    struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, OK "Transfer-Encoding: chunked\r\n\r\n");

    for (int i = 0; i < 6000; i++) {
        fetchscene_put(&scene, peer, "1\r\n\n\r\n");
        if (i % 50 == 0)
            fetchscene_settle(&scene);
    }
    fetchscene_settle(&scene);
    assert_int_equal(fetch->calls, 0);
    assert_int_equal(fetch->body.length, 6000);
    fetchscene_put(&scene, peer, "0\r\n\r\n");
    fetchscene_settle(&scene);
    assert_int_equal(fetch->error, 0);
    assert_int_equal(fetch->code, 200);
    fetchscene_close(&scene);
}

static void an_answer_to_connect_may_come_in_pieces(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch =
        fetchscene_fetch(&scene, (struct httpclient_request){ .url = "http://example.org/",
                                                              .proxy_host = "127.0.0.1",
                                                              .proxy_port = scene.ports[FETCHSCENE_FIRST],
                                                              .proxy_tunnel = true });
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    struct fetchscene_request seen;

    fetchscene_take_head(&scene, peer, &seen);
    fetchscene_put(&scene, peer, "HTTP/1.1 200 OK\r\n");
    fetchscene_settle(&scene);
    fetchscene_put(&scene, peer, "\r\n");
    fetchscene_settle(&scene);
    fetchscene_serve(&scene, peer, OK "Content-Length: 2\r\n\r\nhi");
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_close(&scene);
}

static uint64_t cancelled;

static void cancel_it(void *body, void *arg)
{
    httpclient_cancel(scene.client, cancelled);
}

/* A redirect that drops the body gives it back, and who gets it back may have had enough. */
static void a_fetch_can_be_cancelled_when_a_redirect_gives_its_body_back(void **state)
{
    static char body[] = "body";

    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = fetchscene_fetch(
        &scene, (struct httpclient_request){
                    .url = "/", .method = "POST", .body = body, .body_length = 4, .body_release = cancel_it });
    cancelled = fetch->id;
    fetchscene_serve(&scene, NULL, "HTTP/1.1 303 See Other\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n");
    fetchscene_settle(&scene);
    assert_int_equal(fetch->calls, 1);
    assert_int_equal(fetch->error, -ECANCELED);
    fetchscene_close(&scene);
}

/* A server that closes behind its answer and has not said so: both are there before the client looks. What cannot be
 * asked again does not go over that connection, though the next request is made while its last bytes are told. */
static struct httpclient_request next_request;
static struct fetchscene_fetch *next;

static void fetch_next(struct fetchscene_fetch *fetch, struct httpclient_response *response)
{
    scene.in_call = false;
    next = fetchscene_fetch(&scene, next_request);
}

static void produce_five(struct httpclient *client, uint64_t fetch, void *arg)
{
    assert_int_equal(httpclient_upload_write(client, fetch, "hello", 5), 0);
    httpclient_upload_finish(client, fetch);
}

static void a_request_does_not_go_over_a_connection_that_has_ended_unseen(void **state)
{
    static const char hi[] = OK "Content-Length: 2\r\n\r\nhi";
    static const struct httpclient_request requests[] = {
        { .url = "/" },
        { .url = "/", .method = "POST", .body = "a", .body_length = 1 },
        { .url = "/", .resend = HTTPCLIENT_RESEND_NEVER },
        { .url = "/", .method = "DELETE" },
        { .url = "/", .method = "PUT", .body = "a", .body_length = 1 },
        { .url = "/", .method = "PUT", .body = "a", .body_length = 1, .resend = HTTPCLIENT_RESEND_IDEMPOTENT },
        { .url = "/", .method = "PUT", .body_producer = produce_five },
        { .url = "/", .method = "PATCH", .body_producer = produce_five },
        { .url = "/", .method = "PURGE", .allow_nonstandard_methods = true },
    };

    for (size_t i = 0; i < 2 * sizeof requests / sizeof *requests; i++) {
        next_request = requests[i / 2];
        fetchscene_open(&scene, &(struct httpclient_options){ .max_per_origin = 1 });
        struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
        if (i % 2 == 0)
            fetch->on_response = fetch_next;
        else
            next = fetchscene_fetch(&scene, next_request); /* waits for the connection */
        struct fetchscene_peer *peer = fetchscene_accept(&scene);
        fetchscene_settle(&scene);
        assert_int_equal(write(peer->fd, hi, sizeof hi - 1), sizeof hi - 1);
        fetchscene_hang_up(peer);
        fetchscene_expect(&scene, fetch, 200, "hi");
        fetchscene_serve(&scene, NULL, hi);
        fetchscene_expect(&scene, next, 200, "hi");
        fetchscene_close(&scene);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_body_that_is_paused_at_each_piece_is_whole_when_its_server_has_left),
    cmocka_unit_test(a_response_that_came_in_a_pause_counts_when_its_server_has_left),
    cmocka_unit_test(a_stream_of_small_chunks_may_go_on_for_ever),
    cmocka_unit_test(a_request_does_not_go_over_a_connection_that_has_ended_unseen),
    cmocka_unit_test(an_answer_to_connect_may_come_in_pieces),
    cmocka_unit_test(a_fetch_can_be_cancelled_when_a_redirect_gives_its_body_back),
};

TESTING_MAIN(tests)
