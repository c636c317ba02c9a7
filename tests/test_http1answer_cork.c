/* httprequest_cork: what is written of an answer outside the server's callbacks leaves in one call. */
#include "httpserver/httprequest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ioloop/iostreamlayer.h"
#include "httpserver/http1connection.h"
#include "tests/support/faults.h"
#include "tests/support/httpscene.h"
#include "tests/support/httptexts.h"
#include "tests/support/testing.h"

static int told, told_error;
static char large[8000000]; /* more than a client that does not read takes */

static void write_done(struct iostream *stream, int error, void *arg)
{
    told++;
    told_error = error;
}

static int count_sends(void)
{
    return faults_count("send") + faults_count("sendmsg") + faults_count("sendfile");
}

/* The request that waits; it is the test's to answer. */
static struct httprequest *take_waiting(struct httpscene *scene)
{
    httpscene_settle(scene);
    assert_int_equal(scene->waiting_count, 1);
    scene->waiting_count = 0;
    told = told_error = 0;
    faults_count_reset();
    return scene->waiting[0];
}

static struct httprequest *ask(struct httpscene *scene, struct httpscene_client *client, const char *text)
{
    httpscene_put(scene, client, text);
    return take_waiting(scene);
}

static void write_streamed(struct httprequest *request)
{
    assert_int_equal(httprequest_write_head(request, 200, NULL, NULL, NULL, 0, write_done, NULL), 0);
    assert_int_equal(httprequest_write(request, "one", 3, write_done, NULL), 0);
    assert_int_equal(httprequest_write(request, "two", 3, write_done, NULL), 0);
}

static void expect_streamed(struct httpscene *scene, struct httpscene_client *client)
{
    struct httpscene_answer answer = httpscene_next(scene, client, false);

    httpscene_settle(scene);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, "onetwo");
    assert_int_equal(answer.chunks, 2);
    assert_int_equal(told, 3);
    assert_int_equal(told_error, 0);
}

static void what_is_corked_leaves_in_one_call(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);
    struct httprequest *request = ask(&scene, client, GET("/later"));

    httprequest_cork(request);
    write_streamed(request);
    assert_int_equal(count_sends(), 0);
    httpscene_expect_nothing(&scene, client);
    assert_int_equal(told, 0);
    assert_true(httprequest_pending(request) > 0);
    httprequest_uncork(request);
    assert_int_equal(count_sends(), 1);
    assert_int_equal(httprequest_finish(request), 0);
    expect_streamed(&scene, client);
    assert_int_equal(count_sends(), 2);
    httpscene_close(&scene);
}

/* Without a cork: a head and two pieces in three calls, and the end in one more. */
static void the_end_of_the_request_takes_the_cork_out(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    for (int corked = 0; corked < 2; corked++) {
        struct httprequest *request = ask(&scene, client, GET("/later"));
        for (int i = 0; i < corked * 3; i++)
            httprequest_cork(request);
        write_streamed(request);
        assert_int_equal(httprequest_finish(request), 0);
        assert_int_equal(count_sends(), corked ? 1 : 4);
        expect_streamed(&scene, client);
    }
    httpscene_put(&scene, client, GET("/")); /* nothing is left of it */
    httpscene_expect(&scene, client, 200, "GET /");
    httpscene_close(&scene);
}

static void corks_nest(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);
    struct httprequest *request = ask(&scene, client, GET("/later"));

    httprequest_uncork(request); /* one too many is nothing */
    httprequest_cork(request);
    httprequest_cork(request);
    write_streamed(request);
    httprequest_uncork(request);
    httpscene_expect_nothing(&scene, client);
    httprequest_cork(request);
    httprequest_uncork(request);
    assert_int_equal(count_sends(), 0);
    httprequest_uncork(request);
    assert_int_equal(count_sends(), 1);
    httprequest_uncork(request);
    assert_int_equal(httprequest_write(request, "", 0, NULL, NULL), 0);
    assert_int_equal(httprequest_finish(request), 0);
    expect_streamed(&scene, client);
    httpscene_close(&scene);
}

static void cork_and_write(struct httpscene *scene, struct httprequest *request)
{
    httprequest_cork(request);
    write_streamed(request);
    httpscene_wait(scene, request);
}

static void one_that_is_put_on_in_a_callback_lasts_beyond_it(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    scene.on_request = cork_and_write;
    told = told_error = 0;
    faults_count_reset();
    httpscene_put(&scene, client, GET("/"));
    httpscene_expect_nothing(&scene, client);
    assert_int_equal(count_sends(), 0);
    scene.waiting_count = 0;
    assert_int_equal(httprequest_finish(scene.waiting[0]), 0);
    assert_int_equal(count_sends(), 1);
    expect_streamed(&scene, client);
    httpscene_close(&scene);
}

static void whole_answers_and_last_ones_go_out_at_their_end(void **state)
{
    static const char *const asks[] = { GET("/later"), LAST_GET("/later"), KEPT_GET("/later"), OLD_GET("/later") };

    for (int i = 0; i < 4; i++) {
        struct httpscene scene;
        struct httpscene_client *client = begin(&scene, NULL);
        struct httprequest *request = ask(&scene, client, asks[i]);

        httprequest_cork(request);
        assert_int_equal(httprequest_reply(request, 200, "text/plain", "later", 5), 0);
        assert_int_equal(count_sends(), 1);
        struct httpscene_answer answer = httpscene_next(&scene, client, false);
        assert_string_equal(answer.body, "later");
        if (i % 2 == 1)
            httpscene_expect_end(&scene, client);
        httpscene_close(&scene);
    }
}

static void a_request_that_is_detached_leaves_no_cork_behind(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);
    struct httprequest *request = ask(&scene, client, GET("/later"));

    httprequest_cork(request);
    struct iostream *stream = httprequest_detach(request);
    assert_non_null(stream);
    assert_int_equal(iostream_write(stream, "free", 4, NULL, NULL), 0);
    assert_int_equal(count_sends(), 1);
    httpscene_expect_text(&scene, client, "free");
    iostream_close(stream);
    httpscene_close(&scene);
}

/* What has been collected is offered once more, as with every stream that is closed. */
static void a_request_may_be_given_up_with_its_cork_on(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);
    struct httprequest *request = ask(&scene, client, GET("/later"));

    httprequest_cork(request);
    write_streamed(request);
    httprequest_abort(request);
    httpscene_settle(&scene);
    assert_int_equal(told, 3);
    assert_int_equal(told_error, -ECANCELED);
    assert_int_equal(httpserver_connections(scene.server), 0);
    httpscene_close(&scene);
}

static void a_client_that_leaves_takes_the_cork_along(void **state)
{
    for (int finish = 0; finish < 2; finish++) {
        struct httpscene scene;
        struct httpscene_client *client = begin(&scene, NULL);
        struct httprequest *request = ask(&scene, client, GET("/later"));

        httprequest_cork(request);
        write_streamed(request);
        httpscene_reset(client);
        httpscene_settle(&scene);
        assert_int_equal(scene.left, 1);
        assert_int_equal(told, 3);
        assert_true(told_error < 0);
        httprequest_cork(request);
        assert_int_equal(httprequest_write(request, "x", 1, NULL, NULL), -EBADF);
        httprequest_uncork(request);
        httprequest_uncork(request);
        if (finish)
            assert_int_equal(httprequest_finish(request), -EBADF);
        else
            httprequest_abort(request);
        httpscene_close(&scene);
    }
}

static void cork_at_head(struct httprequest *request, void *arg)
{
    httprequest_cork(request);
}

static void what_the_server_says_itself_is_not_held_back(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, &(struct httpserver_options){ .on_head = cork_at_head });

    httpscene_put(&scene, client, POST_EXPECTS("2"));
    httpscene_expect_text(&scene, client, GO_AHEAD);
    httpscene_put(&scene, client, "ab");
    httpscene_expect(&scene, client, 200, "POST / ab");
    httpscene_close(&scene);
}

/* The client cannot be blamed for what it was not sent; when it was, it has write_timeout as ever. */
static void while_it_is_on_no_time_runs_for_the_client(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, &(struct httpserver_options){ .write_timeout = 5 });
    struct httprequest *request = ask(&scene, client, GET("/later"));

    httprequest_cork(request);
    write_streamed(request);
    assert_int_equal(httprequest_write(request, large, sizeof large, NULL, NULL), 0);
    for (int i = 0; i < 10; i++)
        httpscene_pass(&scene, 20);
    assert_int_equal(scene.left, 0);
    httprequest_uncork(request);
    for (int i = 0; i < 4; i++)
        httpscene_pass(&scene, 5 + LATE);
    assert_int_equal(scene.left, 1);
    assert_int_equal(httprequest_finish(request), -EBADF);
    httpscene_close(&scene);
}

/* For a client that was slow already when the cork is put on. */
static struct httprequest *cork_behind_large(struct httpscene *scene, struct httpscene_client *client)
{
    struct httprequest *request = ask(scene, client, GET("/later"));

    assert_int_equal(httprequest_write_head(request, 200, NULL, NULL, large, sizeof large, NULL, NULL), 0);
    httprequest_cork(request);
    assert_int_equal(httprequest_write(request, "x", 1, NULL, NULL), 0);
    return request;
}

static void nor_for_one_that_was_slow_before(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, &(struct httpserver_options){ .write_timeout = 5 });
    struct httprequest *request = cork_behind_large(&scene, client);

    for (int i = 0; i < 10; i++)
        httpscene_pass(&scene, 20);
    assert_int_equal(scene.left, 0);
    assert_int_equal(httprequest_finish(request), 0);
    assert_int_equal(httpscene_next(&scene, client, false).length, sizeof large + 1);
    httpscene_close(&scene);
}

static void its_time_begins_when_the_cork_is_out(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, &(struct httpserver_options){ .write_timeout = 5 });
    struct httprequest *request = cork_behind_large(&scene, client);

    httpscene_pass(&scene, 4.5);
    httprequest_uncork(request);
    httpscene_pass(&scene, 4.5);
    assert_int_equal(scene.left, 0);
    for (int i = 0; i < 2; i++)
        httpscene_pass(&scene, 5 + LATE);
    assert_int_equal(scene.left, 1);
    httprequest_abort(request);
    httpscene_close(&scene);
}

static void too_much_is_too_much_with_a_cork_too(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, &(struct httpserver_options){ .max_unsent = 10000 });
    struct httprequest *request = ask(&scene, client, GET("/later"));
    static char piece[6000];

    httprequest_cork(request);
    assert_int_equal(httprequest_write_head(request, 200, NULL, NULL, "", 0, NULL, NULL), 0);
    httprequest_uncork(request); /* which takes no limit along */
    httprequest_cork(request);
    assert_int_equal(httprequest_write(request, piece, sizeof piece, NULL, NULL), 0);
    assert_int_equal(httprequest_write(request, piece, sizeof piece, NULL, NULL), -ENOBUFS);
    assert_int_equal(httprequest_finish(request), -EBADF);
    httpscene_close(&scene);
}

static int open_file(const char *text)
{
    FILE *temporary = tmpfile();

    assert_non_null(temporary);
    fputs(text, temporary);
    assert_int_equal(fflush(temporary), 0);
    int file = dup(fileno(temporary));
    fclose(temporary);
    return file;
}

static int file;

static void write_file(struct httpscene *scene, struct httprequest *request)
{
    assert_int_equal(httprequest_write_head(request, 200, NULL, NULL, NULL, 0, NULL, NULL), 0);
    assert_int_equal(httprequest_write_file(request, file, 0, 7, write_done, NULL), 0);
    assert_int_equal(httprequest_finish(request), 0);
}

static void expect_file(struct httpscene *scene, struct httpscene_client *client)
{
    struct httpscene_answer answer = httpscene_next(scene, client, false);

    assert_string_equal(answer.body, "content");
    assert_int_equal(answer.chunks, 1);
    httpscene_settle(scene);
    assert_int_equal(told, 1);
    assert_int_equal(told_error, 0);
}

/* Head and the chunk's line with MSG_MORE, the file, its end with that of the answer. */
static void a_file_in_chunks_takes_three_calls(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);
    struct httprequest *request = ask(&scene, client, GET("/later"));

    file = open_file("content");
    httprequest_cork(request);
    write_file(&scene, request);
    assert_int_equal(count_sends(), 3);
    expect_file(&scene, client);
    close(file);
    httpscene_close(&scene);
}

static void in_a_callback_it_takes_as_many_without_one(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    file = open_file("content");
    scene.on_request = write_file;
    told = told_error = 0;
    faults_count_reset();
    httpscene_put(&scene, client, GET("/"));
    expect_file(&scene, client);
    assert_int_equal(count_sends(), 3);
    close(file);
    httpscene_close(&scene);
}

/* What the kernel does not take goes on by itself, whether there is a cork or not. */
static void sends_that_move_little_are_continued(void **state)
{
    file = open_file("content");
    for (int corked = 0; corked < 2; corked++) {
        struct httpscene scene;
        struct httpscene_client *client = begin(&scene, NULL);
        struct httprequest *request = ask(&scene, client, GET("/later"));

        faults_short_io(1);
        for (int i = 0; i < corked; i++)
            httprequest_cork(request);
        write_file(&scene, request);
        faults_short_io(0);
        expect_file(&scene, client);
        httpscene_close(&scene);
    }
    close(file);
}

/* A connection is as it was: no memory is left of the cork, and it is as quick as before. */
static void nothing_is_left_of_it(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);
    struct httprequest *request = ask(&scene, client, GET("/later"));
    struct iostream *stream = http1connection_stream(request->connection);

    assert_null(stream->extras);
    httprequest_cork(request);
    write_streamed(request);
    assert_non_null(stream->extras);
    assert_int_equal(httprequest_finish(request), 0);
    assert_null(stream->extras);
    expect_streamed(&scene, client);
    httpscene_close(&scene);
}

/* It is refused or served whole, and nothing is lost. */
static void without_memory_nothing_is_lost(void **state)
{
    int nth = 1;

    for (bool hit = true; hit; nth++) {
        struct httpscene scene;
        struct httpscene_client *client = begin(&scene, NULL);
        struct httprequest *request = ask(&scene, client, GET("/later"));

        faults_allocation(nth, false);
        httprequest_cork(request);
        int error = httprequest_write_head(request, 200, NULL, NULL, "one", 3, NULL, NULL);
        if (error == 0)
            error = httprequest_write(request, "two", 3, NULL, NULL);
        int end = httprequest_finish(request);
        hit = faults_hit();
        if (error == 0 && end == 0)
            assert_string_equal(httpscene_next(&scene, client, false).body, "onetwo");
        else
            assert_true(hit);
        httpscene_close(&scene);
    }
    assert_in_range(nth, 3, 20);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_is_corked_leaves_in_one_call),
    cmocka_unit_test(the_end_of_the_request_takes_the_cork_out),
    cmocka_unit_test(corks_nest),
    cmocka_unit_test(one_that_is_put_on_in_a_callback_lasts_beyond_it),
    cmocka_unit_test(whole_answers_and_last_ones_go_out_at_their_end),
    cmocka_unit_test(a_request_that_is_detached_leaves_no_cork_behind),
    cmocka_unit_test(a_request_may_be_given_up_with_its_cork_on),
    cmocka_unit_test(a_client_that_leaves_takes_the_cork_along),
    cmocka_unit_test(what_the_server_says_itself_is_not_held_back),
    cmocka_unit_test(while_it_is_on_no_time_runs_for_the_client),
    cmocka_unit_test(nor_for_one_that_was_slow_before),
    cmocka_unit_test(its_time_begins_when_the_cork_is_out),
    cmocka_unit_test(too_much_is_too_much_with_a_cork_too),
    cmocka_unit_test(a_file_in_chunks_takes_three_calls),
    cmocka_unit_test(in_a_callback_it_takes_as_many_without_one),
    cmocka_unit_test(sends_that_move_little_are_continued),
    cmocka_unit_test(nothing_is_left_of_it),
    cmocka_unit_test(without_memory_nothing_is_lost),
};

TESTING_MAIN(tests)
