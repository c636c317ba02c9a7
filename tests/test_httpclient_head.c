/* on_head of the HTTP client: what is known of a response before its body, and what may be done then. */
#include "tests/support/testing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ioloop/iofuture.h"
#include "tests/support/faults.h"
#include "tests/support/fetchscene.h"

#define OK      "HTTP/1.1 200 OK\r\n"
#define HI      OK "Content-Length: 2\r\n\r\nhi"
#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"

static struct fetchscene scene;
static struct fetchscene_request seen;

/* What was told, in order: "." a line, "[200]" the head, the bytes of the body, "!" the end. */
static struct story {
    char text[128];
    struct fetchscene_fetch *fetch;
    void (*act)(struct story *story, const struct httpclient_response *response); /* in on_head */
    bool pauses_in_lines;
} story;

static void tell(const char *what, size_t length)
{
    size_t at = strlen(story.text);

    assert_true(at + length < sizeof story.text);
    memcpy(story.text + at, what, length);
    story.text[at + length] = '\0';
}

static void tell_line(const char *line, size_t length, void *arg)
{
    assert_ptr_equal(arg, &story);
    tell(".", 1);
    if (story.pauses_in_lines && length == 2)
        httpclient_pause(scene.client, story.fetch->id);
}

static void tell_data(const void *data, size_t length, void *arg)
{
    assert_ptr_equal(arg, &story);
    tell(data, length);
}

static void tell_head(const struct httpclient_response *response, void *arg)
{
    char text[16];

    assert_ptr_equal(arg, &story);
    assert_false(scene.in_call);
    assert_int_equal(response->error, 0);
    assert_null(response->detail);
    assert_int_equal(response->phase, HTTPCLIENT_BODY);
    assert_string_equal(response->body, "");
    assert_int_equal(response->length, 0);
    assert_int_equal(httpheaders_count(response->trailers), 0);
    assert_true(httpclient_response_id(response) == story.fetch->id);
    tell(text, (size_t)snprintf(text, sizeof text, "[%d]", response->code));
    if (story.act != NULL)
        story.act(&story, response);
}

static void tell_end(struct fetchscene_fetch *fetch, struct httpclient_response *response)
{
    tell("!", 1);
}

static struct httpclient_request told_of(bool is_streamed)
{
    return (struct httpclient_request){ .url = "/a",
                                        .header_callback = tell_line,
                                        .on_head = tell_head,
                                        .streaming_callback = is_streamed ? tell_data : NULL,
                                        .callback_arg = &story };
}

static void begin_story(struct httpclient_request request)
{
    story = (struct story){ .act = story.act, .pauses_in_lines = story.pauses_in_lines };
    story.fetch = fetchscene_fetch(&scene, request);
    story.fetch->on_response = tell_end;
}

static struct fetchscene_peer *accept_story(void)
{
    struct fetchscene_peer *peer = fetchscene_accept(&scene);

    fetchscene_take_request(&scene, peer, &seen);
    return peer;
}

/* The next one is a connection of its own. */
static void end_story(struct fetchscene_peer *peer)
{
    fetchscene_hang_up(peer);
    fetchscene_settle(&scene);
}

/* Each of which the server follows by FIN. */
static const struct answer {
    const char *method, *text, *story;
} answers[] = {
    { "GET", HI, "...[200]hi!" },
    { "GET", CHUNKED "1\r\nh\r\n1\r\ni\r\n0\r\nA: b\r\n\r\n", "...[200]hi!" },
    { "GET", OK "\r\nhi", "..[200]hi!" },
    { "GET", "HTTP/1.0 200 OK\r\n\r\nhi", "..[200]hi!" },
    { "GET", OK "\r\n", "..[200]!" },
    { "GET", OK "Content-Length: 0\r\n\r\n", "...[200]!" },
    { "GET", CHUNKED "0\r\n\r\n", "...[200]!" },
    { "GET", "HTTP/1.1 204 No\r\n\r\n", "..[204]!" },
    { "GET", "HTTP/1.1 304 Same\r\nContent-Length: 5\r\n\r\n", "...[304]!" },
    { "HEAD", OK "Content-Length: 5\r\n\r\n", "...[200]!" },
    { "GET", "HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nhi", "...[404]hi!" },
    { "GET", "HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\n" HI, "...[200]hi!" },
    { "GET", "HTTP/1.1 302 Found\r\nContent-Length: 2\r\n\r\nhi", "...[302]hi!" }, /* to nowhere */
};
enum { ANSWERS = sizeof answers / sizeof *answers };

static struct httpclient_request asked_for(const struct answer *answer, bool is_streamed)
{
    struct httpclient_request request = told_of(is_streamed);

    request.method = answer->method;
    return request;
}

/* Without streaming_callback the body is not among what was told. */
static void expect_story(const char *text, bool is_streamed)
{
    char without[128] = "";

    for (const char *c = text; *c != '\0'; c++) {
        if (is_streamed || (*c != 'h' && *c != 'i'))
            strncat(without, c, 1);
    }
    assert_string_equal(story.text, without);
}

static void the_head_comes_once_behind_its_lines_and_before_the_body(void **state)
{
    fetchscene_open(&scene, NULL);
    for (int i = 0; i < 2 * ANSWERS; i++) {
        const struct answer *answer = &answers[i / 2];
        for (size_t split = 1; split <= strlen(answer->text); split++) {
            begin_story(asked_for(answer, i % 2 == 1));
            struct fetchscene_peer *peer = accept_story();
            fetchscene_put_bytes(&scene, peer, answer->text, split);
            testing_spin(scene.loop, 2);
            fetchscene_put(&scene, peer, answer->text + split);
            fetchscene_finish(peer);
            fetchscene_wait(&scene, story.fetch);
            assert_int_equal(story.fetch->error, 0);
            expect_story(answer->story, i % 2 == 1);
            end_story(peer);
        }
        fetchscene_forget(&scene);
    }
    fetchscene_close(&scene);
}

static void the_head_comes_when_it_is_there(void **state)
{
    fetchscene_open(&scene, NULL);
    begin_story(told_of(true));
    struct fetchscene_peer *peer = accept_story();
    fetchscene_put(&scene, peer, "HTTP/1.1 100 Go\r\n\r\n" OK "Content-Length: 2\r\n");
    fetchscene_expect_waiting(&scene, story.fetch);
    assert_string_equal(story.text, "");
    fetchscene_put(&scene, peer, "\r\n");
    fetchscene_expect_waiting(&scene, story.fetch);
    assert_string_equal(story.text, "...[200]");
    fetchscene_put(&scene, peer, "hi");
    fetchscene_expect(&scene, story.fetch, 200, "");
    assert_string_equal(story.text, "...[200]hi!");
    fetchscene_close(&scene);
}

/* What is known. */

static void check_second_hop(struct story *of, const struct httpclient_response *response)
{
    const char *path = strrchr(response->effective_url, '/');

    assert_int_equal(response->code, 201);
    assert_string_equal(response->reason, "Made of it");
    assert_string_equal(httpheaders_get(response->headers, "a"), "b");
    assert_int_equal(httpheaders_count(response->headers), 2);
    assert_string_equal(path, "/b");
    assert_null(memchr(response->effective_url, '@', strlen(response->effective_url)));
    assert_int_equal(response->redirects, 1);
    assert_true(response->is_reused);
    assert_float_equal(response->request_time, 5, 0.001);
    assert_float_equal(response->time_info.head, 2, 0.001);
    assert_float_equal(response->time_info.body, 0, 0.001);
}

static void it_has_all_that_is_known_by_then_and_no_redirect(void **state)
{
    char url[128];

    fetchscene_open(&scene, NULL);
    story.act = check_second_hop;
    struct httpclient_request request = told_of(true);
    snprintf(url, sizeof url, "http://me:mine@127.0.0.1:%d/a", scene.ports[FETCHSCENE_FIRST]);
    request.url = url;
    begin_story(request);
    struct fetchscene_peer *peer = accept_story();
    fetchscene_pass(&scene, 3);
    fetchscene_put(&scene, peer, "HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 5\r\n\r\nmoved");
    fetchscene_take_request(&scene, peer, &seen);
    fetchscene_pass(&scene, 2);
    fetchscene_put(&scene, peer, "HTTP/1.1 201 Made of it\r\nA: b\r\nContent-Length: 2\r\n\r\n");
    fetchscene_pass(&scene, 1);
    fetchscene_put(&scene, peer, "hi");
    fetchscene_expect(&scene, story.fetch, 201, "");
    assert_string_equal(story.text, "....[201]hi!");
    assert_float_equal(story.fetch->request_time, 6, 0.001);
    assert_float_equal(story.fetch->body_time, 1, 0.001);
    story.act = NULL;
    fetchscene_close(&scene);
}

static void check_gzip(struct story *of, const struct httpclient_response *response)
{
    assert_null(httpheaders_get(response->headers, "Content-Encoding"));
    assert_string_equal(httpheaders_get(response->headers, "X-Consumed-Content-Encoding"), "gzip");
}

/* "hi", stored. */
static void a_coding_that_is_undone_has_its_new_name_already(void **state)
{
    static const char packed[] = OK "Content-Encoding: gzip\r\nContent-Length: 25\r\n\r\n"
                                    "\x1f\x8b\x08\0\0\0\0\0\0\xff\x01\x02\0\xfd\xffhi\xac\x2a\x93\xd8\x02\0\0\0";

    fetchscene_open(&scene, NULL);
    story.act = check_gzip;
    struct httpclient_request request = told_of(true);
    request.decompress_response = true;
    begin_story(request);
    fetchscene_put_bytes(&scene, accept_story(), packed, sizeof packed - 1);
    fetchscene_expect(&scene, story.fetch, 200, "");
    assert_string_equal(story.text, "....[200]hi!");
    story.act = NULL;
    fetchscene_close(&scene);
}

static void heads_that_are_errors_by_themselves_are_not_told(void **state)
{
    static const struct {
        const char *text;
        int error;
    } rows[] = {
        { "HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\nhi", -EPROTO },
        { OK "Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi", -EPROTO },
        { OK "Content-Length: 11\r\n\r\nhello world", -EMSGSIZE },
        { "HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n", -ELOOP },
        { "HTTP/1.1 101 Other\r\nUpgrade: x\r\n\r\n", -EPROTO },
    };

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct httpclient_request request = told_of(true);
        request.max_body = 10;
        request.max_redirects = -1;
        begin_story(request);
        struct fetchscene_peer *peer = accept_story();
        fetchscene_put(&scene, peer, rows[i].text);
        fetchscene_expect_error(&scene, story.fetch, rows[i].error, FETCHSCENE_ANY_PHASE);
        assert_string_equal(story.text, "!");
        end_story(peer);
    }
    fetchscene_close(&scene);
}

static void what_goes_wrong_behind_the_head_is_told_after_it(void **state)
{
    static const struct {
        const char *text, *story;
        int error;
    } rows[] = {
        { OK "Content-Length: 3\r\n\r\nhi", "...[200]hi!", -ESHUTDOWN },
        { CHUNKED "2\r\nhi\r\nx", "...[200]hi!", -EPROTO },
        { "HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nhi", "...[404]hi!", -ENOMSG },
        { "HTTP/1.1 304 Same\r\n\r\n", "..[304]!", -ENOMSG },
    };

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct httpclient_request request = told_of(true);
        request.raise_error = true;
        begin_story(request);
        struct fetchscene_peer *peer = accept_story();
        fetchscene_put(&scene, peer, rows[i].text);
        fetchscene_finish(peer);
        fetchscene_expect_error(&scene, story.fetch, rows[i].error, FETCHSCENE_ANY_PHASE);
        assert_string_equal(story.text, rows[i].story);
        end_story(peer);
    }
    fetchscene_close(&scene);
}

/* The server had closed the connection that was kept: the request goes once more. */
static void a_request_that_goes_once_more_has_one_head(void **state)
{
    fetchscene_open(&scene, NULL);
    begin_story(told_of(true));
    struct fetchscene_peer *peer = accept_story();
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, story.fetch, 200, "");
    begin_story(told_of(true));
    fetchscene_take_request(&scene, peer, &seen);
    fetchscene_hang_up(peer);
    fetchscene_put(&scene, accept_story(), HI);
    fetchscene_expect(&scene, story.fetch, 200, "");
    assert_string_equal(story.text, "...[200]hi!");
    fetchscene_close(&scene);
}

/* What may be done in it. */

static void cancel_story(struct story *of, const struct httpclient_response *response)
{
    httpclient_cancel(scene.client, of->fetch->id);
}

static void close_the_client(struct story *of, const struct httpclient_response *response)
{
    httpclient_close(scene.client);
}

static void nothing_comes_behind_a_head_in_which_the_fetch_is_ended(void **state)
{
    for (int i = 0; i < 2 * ANSWERS; i++) {
        const struct answer *answer = &answers[i / 2];
        size_t length = strcspn(answer->story, "]") + 1;
        bool closes = i % 2 == 1;

        fetchscene_open(&scene, NULL);
        story.act = closes ? close_the_client : cancel_story;
        begin_story(asked_for(answer, true));
        struct fetchscene_peer *peer = accept_story();
        fetchscene_put(&scene, peer, answer->text);
        fetchscene_expect_error(&scene, story.fetch, -ECANCELED, HTTPCLIENT_BODY);
        assert_int_equal(story.fetch->code, strstr(answer->story, "[200]") != NULL ? 200 : story.fetch->code);
        assert_memory_equal(story.text, answer->story, length);
        assert_string_equal(story.text + length, "!");
        fetchscene_settle(&scene);
        assert_int_equal(scene.closed, closes);
        if (!closes)
            fetchscene_expect_pool(&scene, 0, 0, 0);
        fetchscene_close(&scene);
    }
    story.act = NULL;
}

static void pause_story(struct story *of, const struct httpclient_response *response)
{
    httpclient_pause(scene.client, of->fetch->id);
}

/* The server may have left meanwhile. */
static void a_pause_in_it_holds_the_body_and_the_end_back(void **state)
{
    fetchscene_open(&scene, NULL);
    story.act = pause_story;
    for (int i = 0; i < 2 * ANSWERS; i++) {
        const struct answer *answer = &answers[i / 2];
        size_t length = strcspn(answer->story, "]") + 1;

        begin_story(asked_for(answer, i % 2 == 1));
        struct fetchscene_peer *peer = accept_story();
        fetchscene_put(&scene, peer, answer->text);
        testing_spin(scene.loop, 3);
        fetchscene_hang_up(peer);
        fetchscene_expect_waiting(&scene, story.fetch);
        assert_memory_equal(story.text, answer->story, length);
        assert_string_equal(story.text + length, "");
        httpclient_resume(scene.client, story.fetch->id);
        assert_string_equal(story.text + length, ""); /* never inside the call */
        fetchscene_wait(&scene, story.fetch);
        assert_int_equal(story.fetch->error, 0);
        expect_story(answer->story, i % 2 == 1);
        fetchscene_settle(&scene);
    }
    story.act = NULL;
    fetchscene_close(&scene);
}

static struct fetchscene_peer *leaving;

static void hang_up_and_resume(void *arg)
{
    fetchscene_hang_up(leaving);
    httpclient_resume(scene.client, story.fetch->id);
}

/* The server finishes sending, or leaves, which may be seen before the fetch goes on. */
static void a_pause_in_the_last_line_holds_the_head_back_too(void **state)
{
    fetchscene_open(&scene, NULL);
    story.pauses_in_lines = true;
    for (int i = 0; i < 3 * ANSWERS; i++) {
        const struct answer *answer = &answers[i / 3];
        size_t lines = strspn(answer->story, ".");

        begin_story(asked_for(answer, true));
        struct fetchscene_peer *peer = accept_story();
        fetchscene_put(&scene, peer, answer->text);
        testing_spin(scene.loop, 3);
        if (i % 3 == 0)
            fetchscene_finish(peer);
        else if (i % 3 == 1)
            fetchscene_hang_up(peer);
        fetchscene_expect_waiting(&scene, story.fetch);
        assert_int_equal(strlen(story.text), lines);
        leaving = peer;
        if (i % 3 == 2)
            assert_int_equal(ioloop_add_callback(scene.loop, hang_up_and_resume, NULL), 0);
        else
            httpclient_resume(scene.client, story.fetch->id);
        fetchscene_wait(&scene, story.fetch);
        assert_string_equal(story.text, answer->story);
        end_story(peer);
    }
    story.pauses_in_lines = false;
    fetchscene_close(&scene);
}

static void pause_and_resume(struct story *of, const struct httpclient_response *response)
{
    httpclient_pause(scene.client, of->fetch->id);
    httpclient_resume(scene.client, of->fetch->id);
}

static void fetch_another(struct story *of, const struct httpclient_response *response)
{
    of->act = NULL;
    fetchscene_get(&scene, "/other");
}

static void it_may_be_paused_and_resumed_in_one_call_or_fetch_something_else(void **state)
{
    fetchscene_open(&scene, NULL);
    for (int i = 0; i < 2 * ANSWERS; i++) {
        story.act = i % 2 == 0 ? pause_and_resume : fetch_another;
        begin_story(asked_for(&answers[i / 2], true));
        struct fetchscene_peer *peer = accept_story();
        fetchscene_put(&scene, peer, answers[i / 2].text);
        fetchscene_finish(peer);
        fetchscene_wait(&scene, story.fetch);
        assert_string_equal(story.text, answers[i / 2].story);
        end_story(peer);
        if (i % 2 == 1) {
            peer = fetchscene_serve(&scene, NULL, HI);
            fetchscene_expect(&scene, scene.fetches[scene.count - 1], 200, "hi");
            end_story(peer);
        }
        fetchscene_forget(&scene);
    }
    story.act = NULL;
    fetchscene_close(&scene);
}

/* A timeout passes while it is paused, before the head was told or after. */
static void a_deadline_ends_a_pause_in_it(void **state)
{
    fetchscene_open(&scene, NULL);
    for (int i = 0; i < 2; i++) {
        struct httpclient_request request = told_of(true);
        story.act = pause_story;
        story.pauses_in_lines = i == 1;
        request.request_timeout = 5;
        begin_story(request);
        struct fetchscene_peer *peer = accept_story();
        fetchscene_put(&scene, peer, HI);
        fetchscene_expect_waiting(&scene, story.fetch);
        fetchscene_pass(&scene, 6);
        fetchscene_expect_error(&scene, story.fetch, -ETIMEDOUT, HTTPCLIENT_BODY);
        assert_string_equal(story.text, i == 0 ? "...[200]!" : "...!");
        end_story(peer);
    }
    story.act = NULL;
    story.pauses_in_lines = false;
    fetchscene_close(&scene);
}

/* Where it comes from. */

static void tell_no_head(const struct httpclient_response *response, void *arg)
{
    assert_null(arg);
    tell("?", 1);
}

static void a_client_may_have_it_for_all_its_fetches(void **state)
{
    struct httpclient_request defaults = told_of(true);

    fetchscene_open(&scene, &(struct httpclient_options){ .defaults = &defaults });
    begin_story((struct httpclient_request){ .url = "/a" });
    struct fetchscene_peer *peer = accept_story();
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, story.fetch, 200, "");
    assert_string_equal(story.text, "...[200]hi!");
    begin_story((struct httpclient_request){ .url = "/a", .on_head = tell_head, .callback_arg = &story });
    fetchscene_serve(&scene, peer, HI);
    fetchscene_expect(&scene, story.fetch, 200, "hi");
    assert_string_equal(story.text, "[200]!");
    begin_story((struct httpclient_request){ .url = "/a", .on_head = tell_no_head });
    fetchscene_serve(&scene, peer, HI);
    fetchscene_expect(&scene, story.fetch, 200, "hi");
    assert_string_equal(story.text, "?!");
    fetchscene_close(&scene);
}

static void count_head(const struct httpclient_response *response, void *arg)
{
    ++*(int *)arg;
    assert_int_equal(response->code, 200);
}

static void note_done(struct iofuture *future, void *arg)
{
    *(bool *)arg = true;
    assert_int_equal(((struct httpclient_response *)iofuture_result(future))->length, 2);
}

static void a_future_may_have_it_too(void **state)
{
    int heads = 0;
    bool is_done = false;
    char url[128];

    fetchscene_open(&scene, NULL);
    snprintf(url, sizeof url, "%s/a", scene.base);
    struct iofuture *future = httpclient_fetch_future(
        scene.client, &(struct httpclient_request){ .url = url, .on_head = count_head, .callback_arg = &heads });
    assert_int_equal(iofuture_add_callback(future, note_done, &is_done), 0);
    fetchscene_put(&scene, accept_story(), HI);
    fetchscene_settle(&scene);
    assert_true(is_done);
    assert_int_equal(heads, 1);
    fetchscene_close(&scene);
}

/* However an allocation fails: at most one head, and one that succeeds has had it. */
static void each_failure_of_memory_is_told_once_and_the_head_before(void **state)
{
    int nth = 1;
    bool has_hit = true;

    for (; has_hit; nth++) {
        assert_true(nth < 200);
        fetchscene_open(&scene, NULL);
        story = (struct story){ .fetch = NULL };
        faults_allocation(nth, false);
        story.fetch = fetchscene_try(&scene, told_of(true));
        if (story.fetch != NULL) {
            story.fetch->on_response = tell_end;
            fetchscene_settle(&scene);
            struct fetchscene_peer *peer = story.fetch->calls == 0 ? fetchscene_accept(&scene) : NULL;
            if (peer != NULL)
                fetchscene_put(&scene, peer, OK "Content-Length: 2\r\nA: b\r\n\r\nhi");
            fetchscene_wait(&scene, story.fetch);
            if (story.fetch->error == 0)
                assert_string_equal(story.text, "....[200]hi!");
            else
                assert_true(strstr(story.text, "hi") == NULL || strstr(story.text, "[200]hi") != NULL);
        }
        has_hit = faults_hit();
        fetchscene_close(&scene);
    }
    assert_in_range(nth, 5, 200);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_head_comes_once_behind_its_lines_and_before_the_body),
    cmocka_unit_test(the_head_comes_when_it_is_there),
    cmocka_unit_test(it_has_all_that_is_known_by_then_and_no_redirect),
    cmocka_unit_test(a_coding_that_is_undone_has_its_new_name_already),
    cmocka_unit_test(heads_that_are_errors_by_themselves_are_not_told),
    cmocka_unit_test(what_goes_wrong_behind_the_head_is_told_after_it),
    cmocka_unit_test(a_request_that_goes_once_more_has_one_head),
    cmocka_unit_test(nothing_comes_behind_a_head_in_which_the_fetch_is_ended),
    cmocka_unit_test(a_pause_in_it_holds_the_body_and_the_end_back),
    cmocka_unit_test(a_pause_in_the_last_line_holds_the_head_back_too),
    cmocka_unit_test(it_may_be_paused_and_resumed_in_one_call_or_fetch_something_else),
    cmocka_unit_test(a_deadline_ends_a_pause_in_it),
    cmocka_unit_test(a_client_may_have_it_for_all_its_fetches),
    cmocka_unit_test(a_future_may_have_it_too),
    cmocka_unit_test(each_failure_of_memory_is_told_once_and_the_head_before),
};

TESTING_MAIN(tests)
