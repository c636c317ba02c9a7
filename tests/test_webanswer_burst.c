/* How many calls it takes to send the end of an answer in pieces. */
#include <errno.h>
#include <string.h>

#include "httpserver/web.h"
#include "tests/support/faults.h"
#include "tests/support/testing.h"
#include "tests/support/webscene.h"

static struct web_request *waiting;

static void begin_answer(struct web_request *request)
{
    web_write(request, "one");
    assert_int_equal(web_flush(request, NULL, NULL), 0);
    waiting = request;
}

static const struct web_handler later = { .get = begin_answer, .asynchronous = true };
static const struct web_route routes[] = { { .pattern = "/", .handler = &later }, { 0 } };

static int count_sends(void)
{
    return faults_count("send") + faults_count("sendmsg");
}

static struct httpscene_client *ask(struct webscene *scene)
{
    struct httpscene_client *client = httpscene_connect(&scene->http);

    httpscene_put(&scene->http, client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    httpscene_settle(&scene->http);
    assert_non_null(waiting);
    web_write(waiting, "two");
    faults_count_reset();
    return client;
}

static void expect_answer(struct webscene *scene, struct httpscene_client *client)
{
    struct httpscene_answer answer = httpscene_next(&scene->http, client, false);

    assert_string_equal(answer.body, "onetwo");
    assert_int_equal(answer.chunks, 2);
    httpscene_hang_up(client);
}

static void the_last_piece_and_the_end_leave_together(void **state)
{
    struct webscene scene;

    webscene_open(&scene, routes, NULL);
    struct httpscene_client *client = ask(&scene);
    assert_int_equal(web_finish(waiting), 0);
    assert_int_equal(count_sends(), 1);
    expect_answer(&scene, client);
    webscene_close(&scene);
}

static void what_the_kernel_does_not_take_follows(void **state)
{
    struct webscene scene;

    webscene_open(&scene, routes, NULL);
    struct httpscene_client *client = ask(&scene);
    faults_short_io(1);
    assert_int_equal(web_finish(waiting), 0);
    faults_short_io(0);
    expect_answer(&scene, client);
    webscene_close(&scene);
}

static struct web_request *other;

static void finish_other(struct web_request *request)
{
    assert_int_equal(web_finish(other), 0);
    web_write(request, "done");
}

static const struct web_handler finishes_other = { .get = finish_other };
static const struct web_route two_routes[] = { { .pattern = "/", .handler = &later },
                                               { .pattern = "/other", .handler = &finishes_other },
                                               { 0 } };

/* Whose cork the loop has then. */
static void inside_the_callback_of_another_each_gets_its_own(void **state)
{
    struct webscene scene;

    webscene_open(&scene, two_routes, NULL);
    struct httpscene_client *client = ask(&scene);
    other = waiting;
    webscene_expect(&scene, "GET /other", NULL, NULL, 200, "done");
    expect_answer(&scene, client);
    webscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_last_piece_and_the_end_leave_together),
    cmocka_unit_test(what_the_kernel_does_not_take_follows),
    cmocka_unit_test(inside_the_callback_of_another_each_gets_its_own),
};

TESTING_MAIN(tests)
