/* Answers in pieces: web_flush. */
#include <errno.h>
#include <string.h>

#include "httpserver/web.h"
#include "tests/support/testing.h"
#include "tests/support/webscene.h"

/* The handler of this test; the scene has two routes, and any method. */
static web_fn *act;

static void do_act(struct web_request *request)
{
    act(request);
}

static const struct web_method any_method[] = { { "*", do_act }, { NULL, NULL } };
static const struct web_handler acts = { .others = any_method };
static const struct web_handler acts_later = { .others = any_method, .asynchronous = true };
static const struct web_route routes[] = { { .pattern = "/", .handler = &acts },
                                           { .pattern = "/later", .handler = &acts_later },
                                           { 0 } };

static void open_scene(struct webscene *scene, web_fn *function)
{
    act = function;
    webscene_open(scene, routes, NULL);
}

static int flushes_done, flush_error;

static void flushed(struct web_request *request, int error, void *arg)
{
    assert_ptr_equal(arg, &flushes_done);
    flushes_done++;
    flush_error = error;
}

static void flush_in_vain(struct web_request *request)
{
    flushes_done = 0;
    web_write(request, "more");
    assert_int_equal(web_set_header(request, "Content-Length", "many"), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(web_flush(request, flushed, &flushes_done), -EINVAL);
}

/* And nothing of it stays behind. */
static void a_flush_that_fails_is_not_told_of(void **state)
{
    struct webscene scene;

    open_scene(&scene, flush_in_vain);
    webscene_ask(&scene, "GET /", NULL, NULL);
    httpscene_settle(&scene.http);
    assert_int_equal(flushes_done, 0);
    webscene_close(&scene);
}

static void flush_twice(struct web_request *request)
{
    flushes_done = 0;
    web_write(request, "one");
    assert_int_equal(web_flush(request, flushed, &flushes_done), 0);
    assert_int_equal(web_set_header(request, "X", "late"), -EALREADY);
    assert_int_equal(web_add_header(request, "X", "late"), -EALREADY);
    assert_int_equal(web_redirect(request, "/", false), -EALREADY);
    assert_int_equal(web_set_cookie(request, "a", "b", NULL), -EALREADY);
    web_clear(request);
    web_write(request, "two");
    assert_int_equal(web_flush(request, flushed, &flushes_done), 0);
    assert_int_equal(web_flush(request, flushed, &flushes_done), 0);
    assert_int_equal(web_flush(request, NULL, NULL), 0);
    web_write(request, "three");
    assert_int_equal(flushes_done, 0); /* from the loop only */
}

static void flushed_pieces_go_out_as_they_come(void **state)
{
    struct webscene scene;

    open_scene(&scene, flush_twice);
    webscene_expect(&scene, "GET /", NULL, NULL, 200, "onetwothree");
    webscene_expect_header(&scene, "Transfer-Encoding", "chunked");
    webscene_expect_header(&scene, "Etag", NULL);
    httpscene_settle(&scene.http);
    assert_int_equal(flushes_done, 3);
    webscene_expect(&scene, "HEAD /", NULL, NULL, 200, "");
    webscene_expect_header(&scene, "Transfer-Encoding", NULL);
    httpscene_settle(&scene.http);
    assert_int_equal(flushes_done, 3);
    webscene_close(&scene);
}

static void to_http_1_0_they_go_until_the_end(void **state)
{
    struct webscene scene;

    open_scene(&scene, flush_twice);
    struct httpscene_client *client = httpscene_connect(&scene.http);
    httpscene_put(&scene.http, client, "GET / HTTP/1.0\r\n\r\n");
    assert_int_equal(webscene_read(&scene, client, "GET"), 200);
    assert_string_equal(scene.body, "onetwothree");
    webscene_close(&scene);
}

static void go_on_empty(struct web_request *request, int error, void *arg)
{
    assert_int_equal(error, 0);
    if (arg == NULL) {
        assert_int_equal(web_flush(request, go_on_empty, request), 0);
        return;
    }
    web_write(request, "ok");
    web_finish(request);
}

static void flush_nothing(struct web_request *request)
{
    assert_int_equal(web_flush(request, go_on_empty, NULL), 0);
}

/* web_test:test_empty_flush */
static void a_flush_of_nothing_completes(void **state)
{
    struct webscene scene;

    open_scene(&scene, flush_nothing);
    webscene_expect(&scene, "GET /later", NULL, NULL, 200, "ok");
    webscene_close(&scene);
}

static int pieces_left;

static void write_next_piece(struct web_request *request, int error, void *arg)
{
    assert_int_equal(error, 0);
    if (pieces_left-- == 0) {
        assert_int_equal(web_finish(request), 0);
        return;
    }
    for (int i = 0; i < 1000; i++)
        web_write(request, "0123456789");
    assert_int_equal(web_flush(request, write_next_piece, NULL), 0);
}

static void begin_pieces(struct web_request *request)
{
    pieces_left = 200;
    write_next_piece(request, 0, NULL);
}

/* web_test:test_flow_control */
static void each_piece_waits_for_the_one_before(void **state)
{
    struct webscene scene;

    open_scene(&scene, begin_pieces);
    webscene_expect(&scene, "GET /later", NULL, NULL, 200, NULL);
    assert_false(scene.broken);
    assert_int_equal(strlen(scene.body), 2000000);
    webscene_close(&scene);
}

static void write_to_nobody(struct web_request *request)
{
    flushes_done = 0;
    for (int i = 0; i < 1200000; i++)
        web_write(request, "0123456789");
    assert_int_equal(web_flush(request, flushed, &flushes_done), 0);
}

/* web_test:test_client_close */
static void a_client_that_leaves_is_no_error(void **state)
{
    struct webscene scene;

    open_scene(&scene, write_to_nobody);
    struct httpscene_client *client = httpscene_connect(&scene.http);
    httpscene_put(&scene.http, client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    httpscene_settle(&scene.http);
    httpscene_reset(client);
    httpscene_settle(&scene.http);
    assert_int_equal(flushes_done, 1);
    assert_true(flush_error < 0);
    assert_int_equal(testing_logs("W ") + testing_logs("E "), 0);
    webscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_flush_that_fails_is_not_told_of),   cmocka_unit_test(flushed_pieces_go_out_as_they_come),
    cmocka_unit_test(to_http_1_0_they_go_until_the_end),   cmocka_unit_test(a_flush_of_nothing_completes),
    cmocka_unit_test(each_piece_waits_for_the_one_before), cmocka_unit_test(a_client_that_leaves_is_no_error),
};

TESTING_MAIN(tests)
