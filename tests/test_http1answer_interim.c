/* An answer behind a 100 (Continue) that the kernel has not taken yet. */
#include "httpserver/http1connection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/faults.h"
#include "tests/support/httpscene.h"
#include "tests/support/httpstreamed.h"
#include "tests/support/httptexts.h"
#include "tests/support/testing.h"

enum { MOST_UNSENT = 1000, LONG = 3 * MOST_UNSENT };

static size_t length;
static bool by_and_by, in_chunks;

static void answer(struct httpscene *scene, struct httprequest *request)
{
    struct httpheaders headers = { 0 };
    char bytes[LONG + 1], text[24];

    filled(bytes, length);
    assert_int_equal(httprequest_pending(request), strlen(GO_AHEAD));
    if (!by_and_by) {
        assert_int_equal(httprequest_reply(request, 200, NULL, bytes, length), 0);
        return;
    }
    snprintf(text, sizeof text, "%zu", length);
    if (!in_chunks)
        assert_int_equal(httpheaders_add(&headers, "Content-Length", text), 0);
    assert_int_equal(httprequest_write_head(request, 200, NULL, &headers, bytes, length, NULL, NULL), 0);
    assert_int_equal(httprequest_finish(request), 0);
    httpheaders_free(&headers);
}

/* The client has been asked for its body, which nobody knows to have reached it, and sends it all the same. */
static void check_answer(void)
{
    struct httpscene scene;

    streamed_open(&scene, (struct httpserver_options){ .max_unsent = MOST_UNSENT });
    struct httpscene_client *client = httpscene_connect_unix(&scene);
    scene.on_request = answer;
    streamed.at_head = streamed_pause;
    httpscene_put(&scene, client, POST_EXPECTS("2") "ok");
    httpscene_settle(&scene);
    faults_system_call("send", EAGAIN, 1);
    streamed_resume(streamed.request);
    assert_true(faults_hit());
    httpscene_expect_text(&scene, client, GO_AHEAD);
    assert_int_equal(httpscene_next(&scene, client, false).length, length);
    assert_int_equal(testing_logs("max_write_buffer_size"), 0);
    scene.on_request = NULL;
    httpscene_put(&scene, client, GET("/2"));
    httpscene_expect(&scene, client, 200, "GET /2");
    httpscene_close(&scene);
}

static void the_first_bytes_of_an_answer_are_taken_however_many_they_are(void **state)
{
    static const size_t lengths[] = { 1, MOST_UNSENT - 200, MOST_UNSENT, LONG };

    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        length = lengths[i];
        by_and_by = false;
        check_answer();
        by_and_by = true;
        in_chunks = false;
        check_answer();
        in_chunks = true;
        check_answer();
    }
}

static void then_max_unsent_is_what_may_wait(struct httpscene *scene, struct httprequest *request)
{
    char bytes[LONG + 1];

    filled(bytes, LONG);
    assert_int_equal(httprequest_write_head(request, 200, NULL, NULL, bytes, LONG, NULL, NULL), 0);
    assert_int_equal(httprequest_write(request, "x", 1, NULL, NULL), -ENOBUFS);
    assert_int_equal(httprequest_finish(request), -EBADF);
}

static void what_follows_them_has_to_wait(void **state)
{
    struct httpscene scene;

    streamed_open(&scene, (struct httpserver_options){ .max_unsent = MOST_UNSENT });
    struct httpscene_client *client = httpscene_connect_unix(&scene);
    scene.on_request = then_max_unsent_is_what_may_wait;
    streamed.at_head = streamed_pause;
    httpscene_put(&scene, client, POST_EXPECTS("2") "ok");
    httpscene_settle(&scene);
    faults_system_call("send", EAGAIN, 1);
    streamed_resume(streamed.request);
    assert_true(faults_hit());
    httpscene_settle(&scene);
    assert_int_equal(scene.requests, 1);
    assert_int_equal(httpserver_connections(scene.server), 0);
    httpscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_first_bytes_of_an_answer_are_taken_however_many_they_are),
    cmocka_unit_test(what_follows_them_has_to_wait),
};

TESTING_MAIN(tests)
