/* A server in a child of fork() that one of its callbacks has made: the connection, and the request on it, are the
 * parent's. */
#include "httpserver/httpserver.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "tests/support/httpscene.h"
#include "tests/support/httpstreamed.h"
#include "tests/support/packed.h"
#include "tests/support/testing.h"

#define POST "POST / HTTP/1.1\r\nHost: a\r\n"

static pid_t forked; /* -1: not yet; 0: this is the child */

static void fork_once(struct httprequest *request)
{
    if (forked >= 0)
        return;
    fflush(stdout);
    forked = fork();
    assert_true(forked >= 0);
    if (forked == 0)
        testing_limit_time();
}

static struct httpscene_client *begin(struct httpscene *scene)
{
    streamed_open(scene, (struct httpserver_options){ .decompress_request = true });
    forked = -1;
    return httpscene_connect(scene);
}

/* Sends it, and runs until it has made the server fork. In the child no more is to happen than until then. */
static void serve_bytes(struct httpscene *scene, struct httpscene_client *client, const char *bytes, size_t length,
                        int pieces)
{
    int status;

    assert_int_equal(httpscene_put_some(client, bytes, length), length);
    while (forked < 0)
        ioloop_run_once(scene->loop, -1);
    if (forked == 0)
        _exit(scene->requests == 0 && streamed.pieces == pieces ? 0 : 1);
    assert_int_equal(waitpid(forked, &status, 0), forked);
    assert_int_equal(status, 0);
}

static void serve(struct httpscene *scene, struct httpscene_client *client, const char *text, int pieces)
{
    serve_bytes(scene, client, text, strlen(text), pieces);
}

static void what_follows_a_piece_is_the_parents(void **state)
{
    static const char *const requests[] = {
        POST "Content-Length: 5\r\n\r\nhello",
        POST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    };

    for (int i = 0; i < 2; i++) {
        struct httpscene scene;
        struct httpscene_client *client = begin(&scene);

        streamed.at_piece = fork_once;
        serve(&scene, client, requests[i], 1);
        httpscene_expect(&scene, client, 200, "hello|");
        httpscene_expect_nothing(&scene, client);
        httpscene_close(&scene);
    }
}

static void the_next_chunk_is_the_parents(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene);

    streamed.at_piece = fork_once;
    serve(&scene, client, POST "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", 1);
    httpscene_expect(&scene, client, 200, "he|llo|");
    httpscene_close(&scene);
}

static void answer_with_length(struct httpscene *scene, struct httprequest *request)
{
    char text[40];

    snprintf(text, sizeof text, "%zu", streamed.length);
    (void)!httprequest_reply(request, 200, NULL, text, strlen(text));
}

static void the_next_of_what_is_inflated_is_the_parents(void **state)
{
    static const char zeros[300000];
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene);
    char request[2000];

    pack(zeros, sizeof zeros);
    int head = sprintf(request, POST "Content-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n", packed_length);
    assert_true((size_t)head + packed_length <= sizeof request);
    memcpy(request + head, packed, packed_length);
    scene.on_request = answer_with_length;
    streamed.at_piece = fork_once;
    serve_bytes(&scene, client, request, (size_t)head + packed_length, 1);
    httpscene_expect(&scene, client, 200, "300000");
    httpscene_close(&scene);
}

static void to_say_go_ahead_is_the_parents(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene);

    streamed.at_head = fork_once;
    serve(&scene, client, POST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", 0);
    httpscene_expect_text(&scene, client, "HTTP/1.1 100 Continue\r\n\r\n");
    httpscene_put(&scene, client, "hello");
    httpscene_expect(&scene, client, 200, "hello|");
    httpscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_follows_a_piece_is_the_parents),
    cmocka_unit_test(the_next_chunk_is_the_parents),
    cmocka_unit_test(the_next_of_what_is_inflated_is_the_parents),
    cmocka_unit_test(to_say_go_ahead_is_the_parents),
};

TESTING_MAIN(tests)
