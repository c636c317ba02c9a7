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

static struct httpscene_client *begin_streamed(struct httpscene *scene)
{
    streamed_open(scene, (struct httpserver_options){ 0 });
    return httpscene_connect(scene);
}

/* Pieces. */

/* httpserver_test:test_regular_body, but that a piece is what came, as the program sets no size */
static void pieces_come_as_they_are_sent(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_streamed(&scene);

    httpscene_put(&scene, client, POST("10"));
    httpscene_expect_nothing(&scene, client);
    assert_int_equal(streamed.heads, 1);
    assert_int_equal(streamed.pieces, 0);
    httpscene_put(&scene, client, "hello");
    httpscene_settle(&scene);
    assert_string_equal(streamed.text, "hello|");
    assert_int_equal(scene.requests, 0);
    httpscene_put(&scene, client, " wor");
    httpscene_settle(&scene);
    assert_string_equal(streamed.text, "hello| wor|");
    httpscene_put(&scene, client, "l");
    httpscene_expect(&scene, client, 200, "hello| wor|l|");
    httpscene_close(&scene);
}

static void a_piece_ends_where_the_body_does(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_streamed(&scene);

    httpscene_put(&scene, client, POST("5") "helloPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx" GET("/3"));
    httpscene_expect(&scene, client, 200, "hello|");
    httpscene_expect(&scene, client, 200, "x|");
    httpscene_expect(&scene, client, 200, "x|"); /* of the request before: a GET has no head to see */
    assert_int_equal(streamed.heads, 2);
    httpscene_close(&scene);
}

/* httpserver_test:test_chunked_body */
static void each_chunk_is_a_piece(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_streamed(&scene);

    httpscene_put(&scene, client,
                  CHUNKED "4\r\n0123\r\n6;a\r\n456789\r\n1\r\nx\r\n0\r\nX: y\r\n\r\n" CHUNKED "0\r\n\r\n");
    httpscene_expect(&scene, client, 200, "0123|456789|x|");
    httpscene_expect(&scene, client, 200, "");
    httpscene_close(&scene);
}

static void on_head_is_for_requests_with_a_body(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_streamed(&scene);

    httpscene_put(&scene, client, GET("/") POST("0") HEAD("/"));
    httpscene_next(&scene, client, false);
    httpscene_next(&scene, client, false);
    httpscene_next(&scene, client, true);
    assert_int_equal(streamed.heads, 0);
    assert_int_equal(scene.requests, 3);
    httpscene_close(&scene);
}

/* Splits. What happens at the pieces makes no difference either. */

static void pause_and_go_on(struct httprequest *request)
{
    streamed_pause(request);
    streamed_resume(request);
}

static void without_bars(char *text)
{
    char *to = text;

    for (; *text != '\0'; text++) {
        if (*text != '|')
            *to++ = *text;
    }
    *to = '\0';
}

static void put_in_pieces(struct httpscene *scene, struct httpscene_client *client, const char *text, size_t first,
                          size_t step)
{
    for (size_t at = 0, end = first; at < strlen(text); at = end, end += step) {
        if (end > strlen(text))
            end = strlen(text);
        httpscene_put_bytes(scene, client, text + at, end - at);
        for (int i = 0; i < 6; i++) {
            if (streamed.is_paused && i % 2 == 1)
                streamed_resume(streamed.request);
            assert_true(ioloop_run_once(scene->loop, 0) >= 0);
        }
    }
    while (streamed.is_paused) {
        streamed_resume(streamed.request);
        testing_spin(scene->loop, 2);
    }
}

static void check_split(struct httpscene *scene, const char *text, size_t first, size_t step)
{
    static void (*const ways[])(struct httprequest *) = { NULL, pause_and_go_on, streamed_pause };

    for (size_t way = 0; way < 6; way++) {
        struct httpscene_client *client = httpscene_connect_unix(scene);

        streamed.at_piece = ways[way % 3];
        streamed.at_head = way < 3 ? ways[way] : NULL;
        put_in_pieces(scene, client, text, first, step);
        struct httpscene_answer answer = httpscene_next(scene, client, false);
        without_bars(answer.body);
        assert_string_equal(answer.body, "hello world");
        httpscene_expect_nothing(scene, client);
        httpscene_hang_up(client);
    }
}

static void the_bytes_are_the_same_however_they_are_split_and_paused(void **state)
{
    static const char *const texts[] = {
        POST("11") "hello world",
        CHUNKED "6\r\nhello \r\n5;x=y\r\nworld\r\n0\r\nX: y\r\n\r\n",
    };
    struct httpscene scene;

    streamed_open(&scene, (struct httpserver_options){ 0 });
    for (size_t i = 0; i < 2; i++) {
        for (size_t first = 1; first <= strlen(texts[i]); first++)
            check_split(&scene, texts[i], first, 1000);
        check_split(&scene, texts[i], 1, 1);
        check_split(&scene, texts[i], 5, 3);
    }
    httpscene_close(&scene);
}

/* Pausing. */

/* web_test:test_flow_control_fixed_body */
static void a_pause_lets_no_piece_through(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_streamed(&scene);

    streamed.at_piece = streamed_pause;
    httpscene_put(&scene, client, CHUNKED "1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\n\r\n" GET("/2"));
    for (int i = 1; i <= 3; i++) {
        httpscene_expect_nothing(&scene, client);
        assert_int_equal(streamed.pieces, i);
        assert_int_equal(scene.requests, 0);
        streamed_resume(streamed.request);
    }
    httpscene_expect(&scene, client, 200, "a|bc|def|");
    httpscene_next(&scene, client, false);
    httpscene_close(&scene);
}

/* The request is not shown as long as its last piece may still be at work. */
static void a_pause_at_the_last_piece_holds_back_the_request(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_streamed(&scene);

    streamed.at_piece = streamed_pause;
    httpscene_put(&scene, client, POST("3") "abc" GET("/2"));
    httpscene_expect_nothing(&scene, client);
    assert_string_equal(streamed.text, "abc|");
    assert_int_equal(scene.requests, 0);
    httpscene_pass(&scene, 50);
    httpscene_expect_nothing(&scene, client);
    streamed_resume(streamed.request);
    httprequest_resume(streamed.request);
    assert_int_equal(scene.requests, 0); /* from the loop only */
    httpscene_expect(&scene, client, 200, "abc|");
    httpscene_expect(&scene, client, 200, "abc|");
    httpscene_close(&scene);
}

static void to_resume_what_is_not_paused_changes_nothing(void **state)
{
    struct httpscene scene;

    streamed_open(&scene, (struct httpserver_options){ 0 });
    struct httpscene_client *client = httpscene_connect(&scene);
    streamed.at_head = streamed.at_piece = httprequest_resume;
    httpscene_put(&scene, client, POST("3") "a");
    httpscene_settle(&scene);
    httpscene_pass(&scene, 1);
    httpscene_put(&scene, client, "bc");
    httpscene_expect(&scene, client, 200, "a|bc|");
    httpscene_close(&scene);
}

static void a_pause_in_on_head_holds_back_all(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_streamed(&scene);

    streamed.at_head = streamed_pause;
    httpscene_put(&scene, client, POST_EXPECTS("3"));
    httpscene_expect_nothing(&scene, client); /* not even the 100 */
    httpscene_pass(&scene, 100);
    httpscene_expect_nothing(&scene, client);
    streamed_resume(streamed.request);
    httpscene_expect_text(&scene, client, GO_AHEAD);
    httpscene_put(&scene, client, "ab");
    httpscene_settle(&scene);
    streamed_pause(streamed.request); /* from outside */
    httprequest_pause(streamed.request);
    httpscene_put(&scene, client, "c" GET("/2"));
    httpscene_expect_nothing(&scene, client);
    streamed_resume(streamed.request);
    httpscene_expect(&scene, client, 200, "ab|c|");
    httpscene_expect(&scene, client, 200, "ab|c|");
    httpscene_close(&scene);
}

static void pause_before_body(struct httprequest *request)
{
    httprequest_stream_body(request, NULL, NULL);
    streamed_pause(request);
}

static void a_body_that_is_collected_can_be_paused_too(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_streamed(&scene);

    scene.on_request = NULL;
    streamed.at_head = pause_before_body;
    httpscene_put(&scene, client, POST("3") "abc");
    httpscene_expect_nothing(&scene, client);
    streamed_resume(streamed.request);
    httpscene_expect(&scene, client, 200, "POST / abc");
    httpscene_close(&scene);
}

static void pause_too_late(struct httpscene *scene, struct httprequest *request)
{
    httprequest_pause(request);
    httprequest_resume(request);
    httprequest_pause(request);
    httpscene_wait(scene, request);
}

static void a_pause_in_or_after_on_request_is_nothing(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_streamed(&scene);

    scene.on_request = pause_too_late;
    for (int i = 0; i < 2; i++) {
        httpscene_put(&scene, client, i == 0 ? POST("3") "abc" GET("/2") : GET("/3") GET("/4"));
        for (int twice = 0; twice < 2; twice++) {
            httpscene_settle(&scene);
            httprequest_resume(scene.waiting[0]);
            httprequest_pause(scene.waiting[0]);
            httpscene_expect_nothing(&scene, client);
            assert_int_equal(httpscene_answer_next(&scene), 0);
            httpscene_expect(&scene, client, 200, "later");
        }
    }
    httpscene_put(&scene, client, GET("/"));
    httpscene_settle(&scene);
    httpscene_reset(client);
    httpscene_settle(&scene);
    httprequest_pause(scene.waiting[0]);
    httprequest_resume(scene.waiting[0]);
    httpscene_close(&scene);
}

/* As much as the kernel takes, and a few receives. */
static void a_paused_client_is_held_back_by_the_kernel(void **state)
{
    char *piece = malloc(65537);
    struct httpscene scene;
    size_t sent = 0, count;

    streamed_open(&scene, (struct httpserver_options){ .max_body = 1 << 30 });
    struct httpscene_client *client = httpscene_connect_unix(&scene);
    filled(piece, 65536);
    streamed.at_head = streamed_pause;
    httpscene_put(&scene, client, POST("100000000"));
    httpscene_settle(&scene);
    size_t before = faults_allocated_bytes();
    for (int idle = 0; idle < 5; idle++) {
        while ((count = httpscene_put_some(client, piece, 65536)) > 0) {
            sent += count;
            idle = 0;
        }
        httpscene_settle(&scene);
    }
    assert_in_range(sent, 1, 2 << 20);
    assert_in_range(faults_allocated_bytes() - before, 0, 600000);
    streamed_resume(streamed.request);
    httpscene_settle(&scene);
    assert_int_equal(streamed.length, sent);
    assert_in_range(faults_allocated_bytes() - before, 0, 1000);
    httpscene_close(&scene);
    free(piece);
}

/* Who leaves. */

static void check_leaving_while_paused(bool in_head, void (*leave)(struct httpscene_client *), bool local)
{
    struct httpscene scene;

    streamed_open(&scene, (struct httpserver_options){ 0 });
    struct httpscene_client *client = local ? httpscene_connect_unix(&scene) : httpscene_connect(&scene);
    streamed.at_head = in_head ? streamed_pause : NULL;
    streamed.at_piece = streamed_pause;
    httpscene_put(&scene, client, in_head ? POST("3") : POST("3") "a");
    httpscene_settle(&scene);
    assert_true(streamed.is_paused);
    leave(client);
    httpscene_settle(&scene);
    assert_int_equal(streamed.left, 1);
    assert_int_equal(httpserver_connections(scene.server), 0);
    assert_int_equal(scene.requests, 0);
    assert_int_equal(scene.last_status, 0);
    assert_int_equal(scene.logged, 1);
    httpscene_close(&scene);
}

static void a_client_may_leave_while_it_is_paused(void **state)
{
    check_leaving_while_paused(true, httpscene_reset, false);
    check_leaving_while_paused(false, httpscene_reset, false);
    check_leaving_while_paused(true, httpscene_hang_up, true);
    check_leaving_while_paused(false, httpscene_hang_up, true);
}

static void a_client_that_stops_sending_while_paused_is_told_of_when_it_is_missed(void **state)
{
    for (int whole = 0; whole < 2; whole++) {
        struct httpscene scene;
        struct httpscene_client *client = begin_streamed(&scene);

        streamed.at_piece = streamed_pause;
        httpscene_put(&scene, client, whole ? POST("3") "abc" : POST("3") "ab");
        httpscene_finish(client);
        httpscene_expect_nothing(&scene, client);
        assert_int_equal(streamed.left, 0);
        streamed_resume(streamed.request);
        if (whole)
            httpscene_expect(&scene, client, 200, "abc|");
        httpscene_expect_end(&scene, client);
        httpscene_settle(&scene);
        assert_int_equal(streamed.left, !whole);
        assert_int_equal(scene.requests, whole);
        httpscene_close(&scene);
    }
}

static void a_client_that_has_stopped_sending_gets_its_late_answer(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_streamed(&scene);

    streamed.at_piece = streamed_pause;
    scene.on_request = httpscene_wait;
    httpscene_put(&scene, client, POST("3") "abc");
    httpscene_finish(client);
    httpscene_settle(&scene);
    streamed_resume(streamed.request);
    httpscene_settle(&scene);
    assert_int_equal(scene.left, 1); /* as far as can be told */
    httpscene_expect_nothing(&scene, client);
    assert_int_equal(httpscene_answer_next(&scene), 0);
    assert_string_equal(httpscene_next(&scene, client, false).body, "later");
    httpscene_expect_end(&scene, client);
    httpscene_close(&scene);
}

/* web_test:test_close_during_upload */
static void a_client_that_leaves_in_the_middle_of_a_body_is_told_once(void **state)
{
    static const char *const texts[] = { POST("3") "a", CHUNKED "3\r\na", CHUNKED "1\r\na\r\n0\r\n" };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        for (int reset = 0; reset < 2; reset++) {
            struct httpscene scene;
            struct httpscene_client *client = begin_streamed(&scene);

            httpscene_put(&scene, client, texts[i]);
            httpscene_settle(&scene);
            assert_string_equal(streamed.text, "a|");
            if (reset)
                httpscene_reset(client);
            else
                httpscene_hang_up(client);
            httpscene_settle(&scene);
            assert_int_equal(streamed.left, 1);
            assert_int_equal(scene.requests, 0);
            assert_int_equal(scene.logged, 1);
            assert_int_equal(testing_logs(NULL), 0);
            assert_int_equal(httpserver_connections(scene.server), 0);
            httpscene_close(&scene);
        }
    }
}

static void a_server_may_close_while_a_body_is_paused(void **state)
{
    for (int resumes = 0; resumes < 2; resumes++) {
        struct httpscene scene;
        struct httpscene_client *client = begin_streamed(&scene);

        streamed.at_head = streamed_pause;
        httpscene_put(&scene, client, POST("3") "abc" GET("/2"));
        httpscene_settle(&scene);
        httpserver_close(scene.server);
        httpscene_expect_nothing(&scene, client);
        assert_int_equal(scene.closed, 0);
        if (resumes) {
            streamed_resume(streamed.request);
            httpscene_expect_last(&scene, client, 200);
        } else {
            httpscene_pass(&scene, 10 + LATE);
        }
        assert_int_equal(scene.requests, resumes);
        assert_int_equal(streamed.left, !resumes);
        httpscene_close(&scene);
    }
}

/* Two ways at once: the answer begins before the body is through. */

static void begin_answer(struct httprequest *request)
{
    assert_int_equal(httprequest_write_head(request, 200, NULL, NULL, NULL, 0, NULL, NULL), 0);
}

static void echo_text(struct httprequest *request)
{
    assert_int_equal(httprequest_write(request, streamed.text, strlen(streamed.text), NULL, NULL), 0);
    streamed.text[0] = '\0';
}

static void finish_answer(struct httpscene *scene, struct httprequest *request)
{
    assert_int_equal(httprequest_finish(request), 0);
}

static void an_answer_may_begin_before_the_body_is_through(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_streamed(&scene);

    streamed.at_head = begin_answer;
    streamed.at_piece = echo_text;
    scene.on_request = finish_answer;
    httpscene_put(&scene, client, CHUNKED_EXPECTS "2\r\nab\r\n");
    httpscene_settle(&scene);
    httpscene_take(client, SIZE_MAX);
    assert_null(strstr(client->bytes, "100 Continue")); /* it has its answer */
    assert_non_null(strstr(client->bytes, "\r\n\r\n3\r\nab|\r\n"));
    httpscene_put(&scene, client, "1\r\nc\r\n0\r\n\r\n" GET("/not/served"));
    struct httpscene_answer answer = httpscene_next(&scene, client, false);
    assert_string_equal(answer.body, "ab|c|");
    assert_true(answer.closes);
    httpscene_expect_end(&scene, client);
    assert_int_equal(scene.requests, 1);
    httpscene_close(&scene);
}

static void write_much(void)
{
    char *bytes = malloc(600001);

    assert_int_equal(httprequest_write(streamed.request, filled(bytes, 600000), 600000, NULL, NULL), 0);
    free(bytes);
}

/* A pause of the program's does not make the client's reading its own affair. */
static void a_paused_client_has_to_read_its_answer(void **state)
{
    struct httpscene scene;

    streamed_open(&scene, (struct httpserver_options){ 0 });
    struct httpscene_client *client = httpscene_connect_unix(&scene);
    streamed.at_head = begin_answer;
    httpscene_put(&scene, client, POST("3"));
    httpscene_settle(&scene);
    httprequest_pause(streamed.request);
    for (int i = 0; i < 3; i++) {
        write_much();
        while (httprequest_pending(streamed.request) > 0) {
            assert_true(httpscene_take(client, 100000) > 0);
            httpscene_settle(&scene);
        }
        httpscene_pass(&scene, 30 + LATE);
        httpscene_pass(&scene, 30 + LATE);
        assert_int_equal(streamed.left, 0);
    }
    write_much();
    httpscene_pass(&scene, 29);
    assert_int_equal(streamed.left, 0);
    httpscene_pass(&scene, 30);
    assert_int_equal(streamed.left, 1);
    httpscene_close(&scene);
}

/* There is no status left to say it with. */
static void a_bad_body_breaks_off_an_answer_that_has_begun(void **state)
{
    static const char *const rests[] = { "XX", "zz\r\n", "FFFFFFF\r\n" };

    for (size_t i = 0; i <= sizeof rests / sizeof *rests; i++) {
        struct httpscene scene;
        struct httpscene_client *client = begin_streamed(&scene);
        size_t length;

        streamed.at_head = begin_answer;
        httpscene_put(&scene, client, CHUNKED "2\r\nab\r\n");
        httpscene_settle(&scene);
        if (i < sizeof rests / sizeof *rests)
            httpscene_put(&scene, client, rests[i]);
        else
            httpscene_pass(&scene, 20 + LATE);
        char *transcript = httpscene_transcript(&scene, client, &length);
        assert_string_equal(strstr(transcript, "\r\n\r\n"), "\r\n\r\n");
        assert_non_null(strstr(transcript, "HTTP/1.1 200 OK\r\n"));
        httpscene_settle(&scene);
        assert_int_equal(streamed.left, 1);
        assert_int_equal(httpserver_connections(scene.server), 0);
        free(transcript);
        httpscene_close(&scene);
    }
}

static void write_too_much(struct httprequest *request)
{
    struct httpheaders headers = { 0 };

    assert_int_equal(httpheaders_add(&headers, "Content-Length", "1"), 0);
    assert_int_equal(httprequest_write_head(request, 200, NULL, &headers, "xx", 2, NULL, NULL), -EMSGSIZE);
    httpheaders_free(&headers);
}

static void a_connection_closed_at_the_last_piece_has_no_request(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_streamed(&scene);

    streamed.at_piece = write_too_much;
    httpscene_put(&scene, client, POST("3") "abc" GET("/2"));
    httpscene_settle(&scene);
    assert_int_equal(scene.requests, 0);
    assert_int_equal(streamed.left, 1);
    assert_int_equal(streamed.pieces, 1);
    assert_int_equal(httpserver_connections(scene.server), 0);
    httpscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(pieces_come_as_they_are_sent),
    cmocka_unit_test(a_piece_ends_where_the_body_does),
    cmocka_unit_test(each_chunk_is_a_piece),
    cmocka_unit_test(on_head_is_for_requests_with_a_body),
    cmocka_unit_test(the_bytes_are_the_same_however_they_are_split_and_paused),
    cmocka_unit_test(a_pause_lets_no_piece_through),
    cmocka_unit_test(a_pause_at_the_last_piece_holds_back_the_request),
    cmocka_unit_test(to_resume_what_is_not_paused_changes_nothing),
    cmocka_unit_test(a_pause_in_on_head_holds_back_all),
    cmocka_unit_test(a_body_that_is_collected_can_be_paused_too),
    cmocka_unit_test(a_pause_in_or_after_on_request_is_nothing),
    cmocka_unit_test(a_paused_client_is_held_back_by_the_kernel),
    cmocka_unit_test(a_client_may_leave_while_it_is_paused),
    cmocka_unit_test(a_client_that_stops_sending_while_paused_is_told_of_when_it_is_missed),
    cmocka_unit_test(a_client_that_has_stopped_sending_gets_its_late_answer),
    cmocka_unit_test(a_client_that_leaves_in_the_middle_of_a_body_is_told_once),
    cmocka_unit_test(a_server_may_close_while_a_body_is_paused),
    cmocka_unit_test(an_answer_may_begin_before_the_body_is_through),
    cmocka_unit_test(a_paused_client_has_to_read_its_answer),
    cmocka_unit_test(a_bad_body_breaks_off_an_answer_that_has_begun),
    cmocka_unit_test(a_connection_closed_at_the_last_piece_has_no_request),
};

TESTING_MAIN(tests)
