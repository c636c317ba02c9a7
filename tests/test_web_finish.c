/* Requests that their methods leave open: who may do that, and what becomes of those that nobody finishes. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "httpserver/web.h"
#include "tests/support/faults.h"
#include "tests/support/testing.h"
#include "tests/support/webscene.h"

#define HOUR 3600.0

static struct web_request *waiting;

static void wait_in_method(struct web_request *request)
{
    web_asynchronous(request);
    waiting = request;
}

static void write_at_once(struct web_request *request)
{
    web_write(request, "at once");
}

static void wait_by_field(struct web_request *request)
{
    waiting = request;
}

static void pause_here(struct web_request *request)
{
    waiting = request;
    web_pause(request);
}

static void pause_in_data(struct web_request *request, const void *data, size_t length)
{
    waiting = request;
    web_pause(request);
}

static void left(struct web_request *request)
{
    webscene_note(httprequest_left(web_http(request)) ? "left" : "still");
}

static void abort_left(struct web_request *request)
{
    left(request);
    web_abort(request);
}

static void note_end(struct web_request *request)
{
    webscene_note("on_finish");
}

static const struct web_handler one_waits = { .get = wait_in_method, .post = write_at_once };
static const struct web_handler is_told = { .get = wait_in_method, .on_connection_close = left, .on_finish = note_end };
static const struct web_handler aborts = { .get = wait_in_method, .on_connection_close = abort_left };
static const struct web_handler all_wait = { .get = wait_by_field, .asynchronous = true };
static const struct web_handler in_prepare = { .get = write_at_once, .prepare = wait_in_method };
static const struct web_handler finishes = { .get = wait_in_method, .prepare = web_asynchronous };
static const struct web_handler pauses = { .get = write_at_once, .prepare = pause_here };
static const struct web_handler both = { .get = wait_in_method, .prepare = pause_here };
static const struct web_handler unheard = { .post = write_at_once, .data_received = pause_in_data };
static const struct web_handler streams = { .post = write_at_once,
                                            .data_received = pause_in_data,
                                            .body_timeout = 1000,
                                            .on_connection_close = left,
                                            .on_finish = note_end };
static const struct web_handler quick = { .get = wait_in_method, .finish_timeout = 5 };
static const struct web_handler patient = { .get = wait_in_method, .finish_timeout = -1 };

static const struct web_route routes[] = {
    { .pattern = "/one", .handler = &one_waits },
    { .pattern = "/told", .handler = &is_told },
    { .pattern = "/aborts", .handler = &aborts },
    { .pattern = "/all", .handler = &all_wait },
    { .pattern = "/in_prepare", .handler = &in_prepare },
    { .pattern = "/twice", .handler = &finishes },
    { .pattern = "/pauses/(\\d+)", .handler = &pauses },
    { .pattern = "/streams", .handler = &streams },
    { .pattern = "/both", .handler = &both },
    { .pattern = "/unheard", .handler = &unheard },
    { .pattern = "/quick", .handler = &quick },
    { .pattern = "/patient", .handler = &patient },
    { 0 },
};

static void open_scene(struct webscene *scene)
{
    waiting = NULL;
    webscene_open(scene, routes, NULL);
}

static struct httpscene_client *ask_and_wait(struct webscene *scene, const char *request, const char *body)
{
    struct httpscene_client *client = httpscene_connect(&scene->http);

    webscene_put(scene, client, request, NULL, body);
    httpscene_settle(&scene->http);
    assert_non_null(waiting);
    return client;
}

static struct httpscene_client *open_and_wait(struct webscene *scene, const char *request)
{
    open_scene(scene);
    return ask_and_wait(scene, request, NULL);
}

static void finish_and_expect(struct webscene *scene, struct httpscene_client *client)
{
    web_finish(waiting);
    assert_int_equal(webscene_read(scene, client, "GET"), 200);
}

static void leave(struct webscene *scene, struct httpscene_client *client)
{
    httpscene_reset(client);
    httpscene_settle(&scene->http);
}

/* Who waits. */

static void a_method_says_itself_that_it_goes_on(void **state)
{
    static const char *const requests[] = { "GET /one", "GET /all", "GET /in_prepare", "GET /twice" };

    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        struct webscene scene;

        open_scene(&scene);
        struct httpscene_client *client = ask_and_wait(&scene, requests[i], NULL);
        httpscene_expect_nothing(&scene.http, client);
        assert_false(web_finished(waiting));
        web_write(waiting, ", later");
        assert_int_equal(web_finish(waiting), 0);
        web_asynchronous(waiting); /* too late, and fine */
        assert_int_equal(webscene_read(&scene, client, requests[i]), 200);
        assert_string_equal(scene.body, i == 2 ? "at once, later" : ", later");
        webscene_close(&scene);
    }
}

static void the_other_methods_of_its_handler_do_not(void **state)
{
    struct webscene scene;

    open_scene(&scene);
    webscene_expect(&scene, "POST /one", NULL, "", 200, "at once");
    struct httpscene_client *client = ask_and_wait(&scene, "GET /one", NULL);
    finish_and_expect(&scene, client);
    webscene_expect(&scene, "POST /one", NULL, "", 200, "at once"); /* with the same request, used again */
    webscene_close(&scene);
}

static void a_client_that_leaves_is_told_of_without_the_field(void **state)
{
    struct webscene scene;
    struct httpscene_client *client = open_and_wait(&scene, "GET /told");

    leave(&scene, client);
    webscene_expect_notes("left ");
    assert_int_equal(testing_logs("before it was answered"), 0);
    web_finish(waiting);
    webscene_expect_notes("on_finish ");
    webscene_close(&scene);
}

/* Where nobody is told the log is. */
static void a_client_that_leaves_unheard_is_logged(void **state)
{
    struct webscene scene;
    struct httpscene_client *client = open_and_wait(&scene, "GET /one");

    leave(&scene, client);
    assert_int_equal(testing_logs("): the client has left before it was answered"), 1);
    web_finish(waiting);
    client = ask_and_wait(&scene, "POST /unheard", "body"); /* whose request ends by that */
    leave(&scene, client);
    assert_int_equal(testing_logs("before it was answered"), 1);
    webscene_close(&scene);
}

/* What nobody finishes. */

static void what_nobody_finishes_is_answered_with_503_and_logged(void **state)
{
    static const struct {
        const char *request, *body, *pattern, *notes;
    } cases[] = {
        { "GET /one", NULL, "/one", "" },
        { "GET /all", NULL, "/all", "" },
        { "GET /told", NULL, "/told", "left " },
        { "GET /aborts", NULL, "/aborts", "left " },
        { "GET /in_prepare", NULL, "/in_prepare", "" },
        { "GET /pauses/1", NULL, "/pauses/(\\x5cd+)", "" },
        { "POST /streams", "body", "/streams", "still on_finish " },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[128];
        struct webscene scene;

        open_scene(&scene);
        struct httpscene_client *client = ask_and_wait(&scene, cases[i].request, cases[i].body);
        httpscene_pass(&scene.http, HOUR - 1);
        httpscene_expect_nothing(&scene.http, client);
        assert_int_equal(testing_logs("not finished in time"), 0);
        httpscene_pass(&scene.http, 2);
        assert_int_equal(webscene_read(&scene, client, cases[i].request), 503);
        assert_false(scene.broken);
        webscene_expect_header(&scene, "Connection", "close");
        webscene_expect_notes(cases[i].notes);
        snprintf(line, sizeof line, "503 %s (127.0.0.1): not finished in time by the handler of %s", cases[i].request,
                 cases[i].pattern);
        assert_int_equal(testing_logs(line), 1);
        assert_int_equal(testing_logs("before it was answered"), 0);
        if (cases[i].notes[0] == '\0') {
            assert_true(httprequest_left(web_http(waiting)));
            httpscene_pass(&scene.http, 3 * HOUR);
            assert_int_equal(testing_logs(line), 1); /* once is enough */
        }
        if (strcmp(cases[i].request, "GET /pauses/1") == 0)
            web_resume(waiting);
        else if (strcmp(cases[i].request, "GET /aborts") != 0 && cases[i].body == NULL)
            web_finish(waiting);
        webscene_close(&scene);
    }
}

/* The end of a request that was given up is the program's, as after any client that left. */
static void it_can_be_finished_when_its_client_has_been_given_up(void **state)
{
    struct webscene scene;
    struct httpscene_client *client = open_and_wait(&scene, "GET /told");

    httpscene_pass(&scene.http, HOUR + 1);
    assert_int_equal(webscene_read(&scene, client, "GET"), 503);
    webscene_expect_notes("left ");
    assert_string_equal(httprequest_remote_ip(web_http(waiting)), "127.0.0.1");
    assert_int_equal(web_write(waiting, "too late"), 0);
    assert_int_equal(web_flush(waiting, NULL, NULL), -EBADF);
    assert_int_equal(web_finish(waiting), -EBADF);
    webscene_expect_notes("on_finish ");
    webscene_close(&scene);
}

static void one_whose_client_left_before_is_logged_too(void **state)
{
    struct webscene scene;
    struct httpscene_client *client = open_and_wait(&scene, "GET /told");

    leave(&scene, client);
    webscene_expect_notes("left ");
    httpscene_pass(&scene.http, HOUR + 1);
    assert_int_equal(testing_logs("not finished in time by the handler of /told"), 1);
    webscene_expect_notes("");
    web_finish(waiting);
    webscene_close(&scene);
}

static void an_answer_that_has_begun_ends_with_its_connection(void **state)
{
    static const char *const versions[] = { "1.1", "1.0" };

    for (size_t i = 0; i < 2; i++) {
        struct webscene scene;
        char text[64];

        open_scene(&scene);
        struct httpscene_client *client = httpscene_connect(&scene.http);
        snprintf(text, sizeof text, "GET /told HTTP/%s\r\nHost: a\r\n\r\n", versions[i]);
        httpscene_put(&scene.http, client, text);
        httpscene_settle(&scene.http);
        web_write(waiting, "some");
        assert_int_equal(web_flush(waiting, NULL, NULL), 0);
        httpscene_pass(&scene.http, HOUR + 1); /* in which it has got something */
        testing_wait(scene.http.loop, -1);
        webscene_expect_notes("");
        httpscene_pass(&scene.http, HOUR + 1);
        testing_wait(scene.http.loop, -1);
        httpscene_pass(&scene.http, HOUR + 1);
        webscene_expect_notes("left ");
        assert_int_equal(webscene_read(&scene, client, "GET"), 200);
        assert_true(scene.broken || i == 1);
        assert_int_equal(client->error, i == 1 ? ECONNRESET : 0); /* what lasts until the end would seem whole */
        assert_int_equal(testing_logs("not finished in time"), 1);
        web_finish(waiting);
        webscene_close(&scene);
    }
}

static void who_gets_something_now_and_then_is_not_given_up(void **state)
{
    struct webscene scene;
    struct httpscene_client *client = open_and_wait(&scene, "GET /one");

    for (int i = 0; i < 10; i++) {
        web_write(waiting, "x");
        assert_int_equal(web_flush(waiting, NULL, NULL), 0);
        httpscene_pass(&scene.http, 0.75 * HOUR);
    }
    assert_int_equal(web_finish(waiting), 0);
    assert_int_equal(webscene_read(&scene, client, "GET"), 200);
    assert_string_equal(scene.body, "xxxxxxxxxx");
    assert_int_equal(testing_logs("not finished"), 0);
    webscene_close(&scene);
}

/* What a program holds back does not go anywhere. */
static void who_is_sent_nothing_for_a_forgotten_cork_is_given_up(void **state)
{
    struct webscene scene;
    struct httpscene_client *client = open_and_wait(&scene, "GET /one");

    httprequest_cork(web_http(waiting));
    assert_int_equal(web_flush(waiting, NULL, NULL), 0);
    assert_true(httprequest_pending(web_http(waiting)) > 0);
    httpscene_expect_nothing(&scene.http, client);
    httpscene_pass(&scene.http, HOUR + 1);
    assert_int_equal(testing_logs("not finished in time by"), 1);
    (void)webscene_read(&scene, client, "GET");
    assert_true(scene.broken);
    web_finish(waiting);
    webscene_close(&scene);
}

/* It is the client that is late, which has a deadline of its own: write_timeout. */
static void nor_is_the_program_while_its_client_does_not_read(void **state)
{
    static char much[8 << 20];
    struct webscene scene;

    waiting = NULL;
    webscene_open(&scene, routes, &(struct web_settings){ .server.write_timeout = 1e6, .finish_timeout = 5 });
    struct httpscene_client *client = ask_and_wait(&scene, "GET /one", NULL);
    assert_int_equal(web_write_bytes(waiting, much, sizeof much), 0);
    assert_int_equal(web_flush(waiting, NULL, NULL), 0);
    for (int i = 0; i < 6; i++)
        httpscene_pass(&scene.http, 6);
    assert_int_equal(testing_logs("not finished"), 0);
    assert_false(httprequest_left(web_http(waiting)));
    httpscene_hang_up(client);
    httpscene_settle(&scene.http);
    web_finish(waiting);
    webscene_close(&scene);
}

static void a_handler_has_a_time_of_its_own(void **state)
{
    struct webscene scene;
    struct httpscene_client *client = open_and_wait(&scene, "GET /quick");

    httpscene_pass(&scene.http, 4);
    httpscene_expect_nothing(&scene.http, client);
    httpscene_pass(&scene.http, 2);
    assert_int_equal(webscene_read(&scene, client, "GET"), 503);
    web_finish(waiting);
    client = ask_and_wait(&scene, "GET /quick", NULL); /* what it leaves behind is not for the next */
    finish_and_expect(&scene, client);
    client = ask_and_wait(&scene, "GET /one", NULL);
    httpscene_pass(&scene.http, 6);
    httpscene_expect_nothing(&scene.http, client);
    finish_and_expect(&scene, client);
    client = ask_and_wait(&scene, "GET /quick", NULL);
    web_finish(waiting);
    httpscene_expect_nothing(&scene.http, httpscene_connect(&scene.http));
    httpscene_pass(&scene.http, 6); /* when it would have been over */
    assert_int_equal(testing_logs("not finished in time by"), 1);
    client = ask_and_wait(&scene, "GET /patient", NULL);
    httpscene_pass(&scene.http, 100 * HOUR);
    httpscene_expect_nothing(&scene.http, client);
    finish_and_expect(&scene, client);
    webscene_close(&scene);
}

/* The body has its own deadline; that of the program does not run on while it comes. */
static void one_that_goes_on_is_not_overdue(void **state)
{
    struct webscene scene;

    open_scene(&scene);
    struct httpscene_client *client = httpscene_connect(&scene.http);
    httpscene_put(&scene.http, client, "POST /streams HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
    httpscene_settle(&scene.http);
    httpscene_pass(&scene.http, HOUR - 10);
    web_resume(waiting);
    httpscene_settle(&scene.http);
    httpscene_pass(&scene.http, 15);
    assert_int_equal(testing_logs("not finished"), 0);
    httpscene_put(&scene.http, client, "cd");
    httpscene_settle(&scene.http);
    web_resume(waiting);
    httpscene_expect(&scene.http, client, 200, "at once");
    webscene_close(&scene);
}

/* What runs for it begins its time anew. */
static void who_is_resumed_has_all_of_the_time_again(void **state)
{
    struct webscene scene;
    struct httpscene_client *client = open_and_wait(&scene, "GET /both");

    httpscene_expect_nothing(&scene.http, client);
    httpscene_pass(&scene.http, 0.9 * HOUR);
    web_resume(waiting);
    httpscene_expect_nothing(&scene.http, client);
    httpscene_pass(&scene.http, 0.9 * HOUR);
    httpscene_expect_nothing(&scene.http, client);
    httpscene_pass(&scene.http, 0.2 * HOUR);
    assert_int_equal(webscene_read(&scene, client, "GET"), 503);
    web_finish(waiting);
    webscene_close(&scene);
}

/* Memory. */

static void without_memory_for_its_deadline_a_request_waits_without_one(void **state)
{
    struct webscene scene;
    struct httpscene_client *client = open_and_wait(&scene, "GET /quick");

    finish_and_expect(&scene, client);
    for (int nth = 1; nth < 20; nth++) {
        client = httpscene_connect(&scene.http);
        httpscene_settle(&scene.http);
        waiting = NULL;
        faults_allocation(nth, false);
        webscene_put(&scene, client, "GET /quick", NULL, NULL);
        httpscene_settle(&scene.http);
        faults_end();
        if (waiting != NULL)
            web_finish(waiting);
        httpscene_hang_up(client);
        httpscene_settle(&scene.http);
    }
    webscene_expect(&scene, "POST /one", NULL, "", 200, "at once");
    webscene_close(&scene);
}

/* The end of all. */

static void what_is_unfinished_when_the_loop_closes_is_counted_in_the_log(void **state)
{
    struct webscene scene;

    open_scene(&scene);
    (void)ask_and_wait(&scene, "GET /one", NULL);
    struct web_request *first = waiting;
    (void)ask_and_wait(&scene, "GET /told", NULL);
    ioloop_close(scene.http.loop, false);
    assert_int_equal(testing_logs("the loop has closed before 2 requests were finished"), 1);
    webscene_expect_notes("left ");
    web_finish(waiting);
    web_finish(first);
    webscene_expect_notes("on_finish ");
    for (int i = 0; i < scene.http.client_count; i++)
        httpscene_hang_up(&scene.http.clients[i]);
    assert_int_equal(faults_allocated(), scene.http.allocated);
    testing_end_logs();
}

static void an_application_may_end_before_its_deadlines(void **state)
{
    struct webscene scene;
    struct httpscene_client *client = open_and_wait(&scene, "GET /quick");

    web_finish(waiting);
    httpscene_hang_up(client);
    httpscene_settle(&scene.http);
    web_application_close(scene.app);
    httpscene_settle(&scene.http);
    assert_int_equal(scene.closed, 1);
    httpscene_pass(&scene.http, 6);
    ioloop_close(scene.http.loop, false);
    assert_int_equal(faults_allocated(), scene.http.allocated);
    testing_end_logs();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_method_says_itself_that_it_goes_on),
    cmocka_unit_test(the_other_methods_of_its_handler_do_not),
    cmocka_unit_test(a_client_that_leaves_is_told_of_without_the_field),
    cmocka_unit_test(a_client_that_leaves_unheard_is_logged),
    cmocka_unit_test(what_nobody_finishes_is_answered_with_503_and_logged),
    cmocka_unit_test(it_can_be_finished_when_its_client_has_been_given_up),
    cmocka_unit_test(one_whose_client_left_before_is_logged_too),
    cmocka_unit_test(an_answer_that_has_begun_ends_with_its_connection),
    cmocka_unit_test(who_gets_something_now_and_then_is_not_given_up),
    cmocka_unit_test(who_is_sent_nothing_for_a_forgotten_cork_is_given_up),
    cmocka_unit_test(nor_is_the_program_while_its_client_does_not_read),
    cmocka_unit_test(a_handler_has_a_time_of_its_own),
    cmocka_unit_test(one_that_goes_on_is_not_overdue),
    cmocka_unit_test(who_is_resumed_has_all_of_the_time_again),
    cmocka_unit_test(without_memory_for_its_deadline_a_request_waits_without_one),
    cmocka_unit_test(what_is_unfinished_when_the_loop_closes_is_counted_in_the_log),
    cmocka_unit_test(an_application_may_end_before_its_deadlines),
};

TESTING_MAIN(tests)
