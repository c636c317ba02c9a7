/* Fetches of several hops: what goes along and what stays behind. Their URLs are httpredirect.h's affair. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "httpclient/httpclient.h"
#include "tests/support/fetchscene.h"
#include "tests/support/testing.h"

#define FIVE "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

static const char *moved_to(const struct fetchscene *scene, int status, int listener)
{
    static char answer[256];

    snprintf(answer, sizeof answer,
             "HTTP/1.1 %d Moved\r\nLocation: http://127.0.0.1:%d/next\r\nContent-Length: 0\r\n\r\n", status,
             scene->ports[listener]);
    return answer;
}

static void produce_hello(struct httpclient *client, uint64_t fetch, void *arg)
{
    ++*(int *)arg;
    (void)!httpclient_upload_write(client, fetch, "hello", 5);
    httpclient_upload_finish(client, fetch);
}

/* simple_httpclient_test:test_see_other_redirect */
static void a_body_goes_with_its_method_or_not_at_all(void **state)
{
    static const struct {
        int status;
        const char *method, *next;
    } rows[] = {
        { 301, "POST", "GET" }, { 302, "POST", "GET" }, { 303, "POST", "GET" },  { 303, "PUT", "GET" },
        { 301, "PUT", "PUT" },  { 302, "PUT", "PUT" },  { 307, "POST", "POST" }, { 308, "PUT", "PUT" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fetchscene scene;
        struct fetchscene_request request;
        fetchscene_open(&scene, NULL);
        struct fetchscene_fetch *fetch = fetchscene_fetch(
            &scene,
            (struct httpclient_request){ .url = "/", .method = rows[i].method, .body = "hello", .body_length = 5 });
        struct fetchscene_peer *peer = fetchscene_accept(&scene);
        fetchscene_take_request(&scene, peer, &request);
        assert_string_equal(request.body, "hello");
        fetchscene_put(&scene, peer, moved_to(&scene, rows[i].status, FETCHSCENE_FIRST));
        fetchscene_take_request(&scene, peer, &request);
        bool keeps = strcmp(rows[i].method, rows[i].next) == 0;
        assert_string_equal(request.method, rows[i].next);
        assert_string_equal(request.body, keeps ? "hello" : "");
        assert_true((fetchscene_request_header(&request, "Content-Length") != NULL) == keeps);
        assert_true((fetchscene_request_header(&request, "Content-Type") != NULL) ==
                    (keeps && strcmp(rows[i].method, "POST") == 0));
        fetchscene_put(&scene, peer, FIVE);
        fetchscene_expect(&scene, fetch, 200, "hello");
        fetchscene_close(&scene);
    }
}

static void a_body_that_was_produced_cannot_be_sent_again(void **state)
{
    for (int status = 303; status <= 307; status += 4) {
        struct fetchscene scene;
        struct fetchscene_request request;
        int calls = 0;
        fetchscene_open(&scene, NULL);
        struct fetchscene_fetch *fetch = fetchscene_fetch(
            &scene, (struct httpclient_request){
                        .url = "/", .method = "PUT", .body_producer = produce_hello, .body_producer_arg = &calls });
        struct fetchscene_peer *peer = fetchscene_accept(&scene);
        fetchscene_take_request(&scene, peer, &request);
        assert_string_equal(request.body, "hello");
        fetchscene_put(&scene, peer, moved_to(&scene, status, FETCHSCENE_FIRST));
        if (status == 303) {
            fetchscene_take_request(&scene, peer, &request);
            assert_string_equal(request.method, "GET");
            fetchscene_put(&scene, peer, FIVE);
            fetchscene_expect(&scene, fetch, 200, "hello");
        } else {
            fetchscene_expect_error(&scene, fetch, -ENOTSUP, FETCHSCENE_ANY_PHASE);
        }
        assert_int_equal(calls, 1);
        fetchscene_close(&scene);
    }
}

/* Of the URL, of the request, and of its headers; on the way back to the first server, too. */
static void credentials_stay_with_the_first_server_and_do_not_come_back(void **state)
{
    struct fetchscene scene;
    struct fetchscene_request request;
    struct httpheaders headers = { 0 };
    char url[64];

    assert_int_equal(httpheaders_set(&headers, "Cookie", "a=b"), 0);
    fetchscene_open(&scene, NULL);
    snprintf(url, sizeof url, "http://me:secret@127.0.0.1:%d/", scene.ports[FETCHSCENE_FIRST]);
    struct fetchscene_fetch *fetch =
        fetchscene_fetch(&scene, (struct httpclient_request){ .url = url, .headers = &headers });
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    fetchscene_take_request(&scene, peer, &request);
    assert_string_equal(fetchscene_request_header(&request, "Authorization"), "Basic bWU6c2VjcmV0");
    assert_string_equal(fetchscene_request_header(&request, "Cookie"), "a=b");
    assert_null(strstr(request.head, "secret"));
    fetchscene_put(&scene, peer, moved_to(&scene, 302, FETCHSCENE_FIRST)); /* the same server */
    fetchscene_take_request(&scene, peer, &request);
    assert_non_null(fetchscene_request_header(&request, "Authorization"));
    fetchscene_put(&scene, peer, moved_to(&scene, 302, FETCHSCENE_SECOND));
    for (int hop = 0; hop < 2; hop++) {
        struct fetchscene_peer *next = hop == 0 ? fetchscene_accept_from(&scene, FETCHSCENE_SECOND) : peer;
        fetchscene_take_request(&scene, next, &request);
        assert_null(fetchscene_request_header(&request, "Authorization"));
        assert_null(fetchscene_request_header(&request, "Cookie"));
        fetchscene_put(&scene, next, hop == 0 ? moved_to(&scene, 302, FETCHSCENE_FIRST) : FIVE);
    }
    fetchscene_expect(&scene, fetch, 200, "hello");
    assert_int_equal(httpheaders_count(&headers), 1); /* simple_httpclient_test:test_header_reuse */
    fetchscene_close(&scene);
    httpheaders_free(&headers);
}

static void one_redirect_more_than_max_redirects_is_an_error(void **state)
{
    for (int most = -1; most <= 2; most += most < 0 ? 2 : 1) {
        struct fetchscene scene;
        struct fetchscene_peer *peer = NULL;
        fetchscene_open(&scene, NULL);
        struct fetchscene_fetch *fetch =
            fetchscene_fetch(&scene, (struct httpclient_request){ .url = "/", .max_redirects = most });
        for (int hop = 0; hop <= (most > 0 ? most : 0); hop++)
            peer = fetchscene_serve(&scene, peer, moved_to(&scene, 302, FETCHSCENE_FIRST));
        fetchscene_expect_error(&scene, fetch, -ELOOP, FETCHSCENE_ANY_PHASE);
        assert_int_equal(fetch->redirects, most > 0 ? most : 0);
        assert_int_equal(fetch->code, 302);
        fetchscene_close(&scene);
    }
}

static void what_cannot_be_sent_is_refused_at_once(void **state)
{
    static const struct httpclient_request rows[] = {
        { .url = "http://127.0.0.1:0/" },
        { .url = "/", .method = "PUT", .body = "x", .body_length = 1, .body_producer = produce_hello },
        { .url = "/", .body = "x", .body_length = 1 },
        { .url = "/", .body_producer = produce_hello },
        { .url = "/", .method = "CONNECT", .allow_nonstandard_methods = true },
        { .url = "/", .connect_timeout = __builtin_nan("") },
        { .url = "/", .family = 99 },
        { .url = "/", .proxy_host = "127.0.0.1" },
        { .url = NULL },
    };
    struct fetchscene scene;

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_null(fetchscene_try(&scene, rows[i]));
        assert_int_equal(errno, EINVAL);
    }
    fetchscene_expect_pool(&scene, 0, 0, 0);
    fetchscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_body_goes_with_its_method_or_not_at_all),
    cmocka_unit_test(a_body_that_was_produced_cannot_be_sent_again),
    cmocka_unit_test(one_redirect_more_than_max_redirects_is_an_error),
    cmocka_unit_test(what_cannot_be_sent_is_refused_at_once),
    cmocka_unit_test(credentials_stay_with_the_first_server_and_do_not_come_back),
};

TESTING_MAIN(tests)
