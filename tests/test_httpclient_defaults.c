/* Clients: several, the loop's own, and what they make of fields that a request leaves out; limits of responses. */
#include "tests/support/testing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ioloop/ioloop.h"
#include "tests/support/faults.h"
#include "tests/support/fetchscene.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define HI OK "Content-Length: 2\r\n\r\nhi"

static struct fetchscene scene;
static struct fetchscene_request seen;

/* simple_httpclient_test:test_singleton */
static void a_loop_has_one_client_of_its_own_and_any_number_of_others(void **state)
{
    fetchscene_open(&scene, NULL);
    struct ioloop *other = ioloop_new(NULL);
    struct httpclient *own = httpclient_current(scene.loop);
    assert_non_null(own);
    assert_ptr_equal(httpclient_current(scene.loop), own);
    assert_ptr_not_equal(own, scene.client);
    assert_ptr_equal(httpclient_loop(own), scene.loop);
    struct httpclient *others = httpclient_current(other);
    assert_non_null(others);
    assert_ptr_not_equal(others, own);
    assert_ptr_equal(httpclient_loop(others), other);
    ioloop_close(other, false);
    fetchscene_close(&scene);
}

static void the_loops_own_client_fetches_and_ends_with_the_loop(void **state)
{
    fetchscene_open(&scene, NULL);
    struct httpclient *own = httpclient_current(scene.loop);
    struct fetchscene_fetch *fetch = fetchscene_try_with(&scene, own, (struct httpclient_request){ .url = "/" });
    assert_non_null(fetch);
    fetchscene_serve(&scene, NULL, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetch = fetchscene_try_with(&scene, own, (struct httpclient_request){ .url = "/" });
    assert_non_null(fetch);
    fetchscene_settle(&scene);
    fetchscene_close(&scene); /* it is answered */
}

static void the_loops_own_client_is_made_anew_after_it_was_closed(void **state)
{
    fetchscene_open(&scene, NULL);
    struct httpclient *own = httpclient_current(scene.loop);
    assert_non_null(own);
    httpclient_close(own);
    httpclient_close(own);
    fetchscene_settle(&scene);
    own = httpclient_current(scene.loop);
    assert_non_null(own);
    struct fetchscene_fetch *fetch = fetchscene_try_with(&scene, own, (struct httpclient_request){ .url = "/" });
    fetchscene_serve(&scene, NULL, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_close(&scene);
}

/* F5 */
static void clients_of_a_loop_share_no_connections(void **state)
{
    fetchscene_open(&scene, NULL);
    struct httpclient *second = httpclient_new(scene.loop, &(struct httpclient_options){ .max_clients = 1 });
    struct fetchscene_fetch *first = fetchscene_get(&scene, "/");
    fetchscene_serve(&scene, NULL, HI);
    fetchscene_expect(&scene, first, 200, "hi");
    struct fetchscene_fetch *other = fetchscene_try_with(&scene, second, (struct httpclient_request){ .url = "/" });
    struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, HI);
    fetchscene_expect(&scene, other, 200, "hi");
    assert_false(other->is_reused);
    assert_int_equal(httpclient_kept(second), 1);
    assert_int_equal(httpclient_kept(scene.client), 1);
    httpclient_cancel(second, first->id); /* an id is one of its client */
    httpclient_close(second);
    fetchscene_expect_end(&scene, peer);
    fetchscene_expect_pool(&scene, 1, 1, 0);
    fetchscene_close(&scene);
}

/* Closing. */

static void closing_ends_what_is_under_way_and_what_waits_in_order(void **state)
{
    fetchscene_open(&scene, &(struct httpclient_options){ .max_clients = 1 });
    for (int i = 0; i < 4; i++)
        fetchscene_get(&scene, "/");
    fetchscene_serve(&scene, NULL, OK "Content-Length: 3\r\n\r\nhi");
    fetchscene_settle(&scene);
    httpclient_close(scene.client);
    assert_int_equal(scene.answered, 0);
    assert_null(fetchscene_try(&scene, (struct httpclient_request){ .url = "/" }));
    assert_int_equal(errno, EBADF);
    httpclient_cancel(scene.client, scene.fetches[0]->id);
    httpclient_pause(scene.client, scene.fetches[0]->id);
    for (size_t i = 0; i < 4; i++) {
        fetchscene_expect_error(&scene, scene.fetches[i], -ECANCELED, FETCHSCENE_ANY_PHASE);
        assert_int_equal(scene.fetches[i]->place, i + 1);
    }
    fetchscene_settle(&scene);
    assert_int_equal(scene.closed, 1);
    fetchscene_close(&scene);
}

static void fetch_from_a_dead_client(struct fetchscene_fetch *fetch, struct httpclient_response *response)
{
    httpclient_close(scene.client);
    assert_null(fetchscene_try(&scene, (struct httpclient_request){ .url = "/" }));
    assert_int_equal(errno, EBADF);
    assert_int_equal(scene.closed, 0);
}

static void a_client_may_be_closed_in_a_response(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
    fetch->on_response = fetch_from_a_dead_client;
    struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_expect_end(&scene, peer);
    fetchscene_settle(&scene);
    assert_int_equal(scene.closed, 1);
    fetchscene_close(&scene);
}

/* Cancelling. */

/* httpclient_test:test_error_after_cancel: here nothing is lost, as the fetch is told of. */
static void a_fetch_can_be_cancelled_in_each_phase(void **state)
{
    static const struct {
        const char *bytes;
        int phase;
    } rows[] = {
        { NULL, HTTPCLIENT_CONNECT }, /* in the turn of the call */
        { "", HTTPCLIENT_HEAD },         { "HTTP/1.1 100 Continue\r\n\r\n", HTTPCLIENT_HEAD },
        { OK "A: ", HTTPCLIENT_HEAD },   { OK "Content-Length: 2\r\n\r\nh", HTTPCLIENT_BODY },
        { OK "\r\nh", HTTPCLIENT_BODY },
    };

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
        struct fetchscene_peer *peer = NULL;

        if (rows[i].bytes != NULL) {
            peer = fetchscene_serve(&scene, NULL, rows[i].bytes);
            fetchscene_settle(&scene);
        }
        httpclient_cancel(scene.client, fetch->id);
        httpclient_cancel(scene.client, fetch->id);
        assert_int_equal(fetch->calls, 0);
        fetchscene_expect_error(&scene, fetch, -ECANCELED, i == 0 ? FETCHSCENE_ANY_PHASE : rows[i].phase);
        assert_int_equal(fetch->code, rows[i].phase == HTTPCLIENT_BODY ? 200 : 0);
        httpclient_cancel(scene.client, fetch->id);
        fetchscene_expect_pool(&scene, 0, 0, 0);
        if (peer != NULL) {
            fetchscene_expect_end(&scene, peer);
            fetchscene_hang_up(peer);
        }
    }
    httpclient_cancel(scene.client, 0);
    httpclient_cancel(scene.client, UINT64_MAX);
    assert_int_equal(testing_logs(NULL), 0);
    fetchscene_close(&scene);
}

/* Though another one has its place now. */
static void the_number_of_a_fetch_that_is_over_means_nothing(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *old = fetchscene_get(&scene, "/");
    struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, HI);
    fetchscene_expect(&scene, old, 200, "hi");
    for (int i = 0; i < 3; i++) {
        struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
        assert_true(fetch->id != old->id);
        httpclient_cancel(scene.client, old->id);
        httpclient_pause(scene.client, old->id);
        fetchscene_serve(&scene, peer, HI);
        fetchscene_expect(&scene, fetch, 200, "hi");
    }
    fetchscene_close(&scene);
}

static void cancel_next(struct fetchscene_fetch *fetch, struct httpclient_response *response)
{
    httpclient_cancel(scene.client, fetch->id); /* itself: it is over */
    httpclient_cancel(scene.client, scene.fetches[1]->id);
}

static void one_fetch_may_cancel_another(void **state)
{
    fetchscene_open(&scene, NULL);
    fetchscene_get(&scene, "/")->on_response = cancel_next;
    fetchscene_get(&scene, "/");
    struct fetchscene_peer *first = fetchscene_accept(&scene);
    struct fetchscene_peer *second = fetchscene_accept(&scene);
    fetchscene_take_request(&scene, first, &seen);
    fetchscene_take_request(&scene, second, &seen);
    fetchscene_put(&scene, first, HI);
    fetchscene_expect(&scene, scene.fetches[0], 200, "hi");
    fetchscene_expect_error(&scene, scene.fetches[1], -ECANCELED, HTTPCLIENT_HEAD);
    fetchscene_close(&scene);
}

/* Defaults. */

/* httpclient_test:test_configure_defaults, httpclient_test:test_request_set, httpclient_test:test_default_set,
 * httpclient_test:test_both_set, httpclient_test:test_neither_set, httpclient_test:test_defaults_none */
static void what_a_request_leaves_out_is_the_clients_default(void **state)
{
    char agent[] = "default";
    struct httpclient_request defaults = { .user_agent = agent };
    static const char *const rows[][3] = {
        { NULL, "own", "own" }, { "default", NULL, "default" }, { "default", "own", "own" }, { NULL, NULL, "ioloop" }
    };

    for (size_t i = 0; i < 4; i++) {
        memcpy(agent, "default", sizeof agent);
        fetchscene_open(&scene, &(struct httpclient_options){ .defaults = rows[i][0] != NULL ? &defaults : NULL });
        memset(agent, '#', sizeof agent - 1);
        fetchscene_exchange(&scene, (struct httpclient_request){ .url = "/", .user_agent = rows[i][1] }, &seen);
        assert_string_equal(fetchscene_request_header(&seen, "User-Agent"), rows[i][2]);
        fetchscene_close(&scene);
    }
}

static void there_are_defaults_for_every_kind_of_field(void **state)
{
    struct httpheaders headers = { 0 };
    char url[128];

    fetchscene_open_bare(&scene);
    assert_int_equal(httpheaders_add(&headers, "X-Default", "1"), 0);
    snprintf(url, sizeof url, "%s/default", scene.base);
    struct httpclient_request defaults = { .url = url,
                                           .method = "POST",
                                           .headers = &headers,
                                           .auth_username = "a",
                                           .if_modified_since = 784111777,
                                           .raise_error = true,
                                           .resend = HTTPCLIENT_RESEND_NEVER,
                                           .max_body = 3,
                                           .request_timeout = 5 };
    scene.client = httpclient_new(scene.loop, &(struct httpclient_options){ .defaults = &defaults });
    assert_non_null(scene.client);
    httpheaders_free(&headers);
    memset(&defaults, 0, sizeof defaults);
    memset(url, '#', sizeof url);
    fetchscene_exchange(&scene, (struct httpclient_request){ .body = "own", .body_length = 3 }, &seen);
    assert_string_equal(seen.method, "POST");
    assert_string_equal(seen.target, "/default");
    assert_string_equal(seen.body, "own");
    assert_string_equal(fetchscene_request_header(&seen, "X-Default"), "1");
    assert_string_equal(fetchscene_request_header(&seen, "Authorization"), "Basic YTo=");
    assert_string_equal(fetchscene_request_header(&seen, "If-Modified-Since"), "Sun, 06 Nov 1994 08:49:37 GMT");
    struct fetchscene_fetch *fetch =
        fetchscene_fetch(&scene, (struct httpclient_request){ .url = "/own", .method = "GET" });
    struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, "HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno");
    fetchscene_expect_error(&scene, fetch, -ENOMSG, HTTPCLIENT_DONE);
    fetch = fetchscene_fetch(&scene, (struct httpclient_request){ .url = "/own", .method = "GET" });
    fetchscene_take_request(&scene, peer, &seen);
    fetchscene_hang_up(peer);
    fetchscene_expect_error(&scene, fetch, -ESHUTDOWN, FETCHSCENE_ANY_PHASE);
    fetch = fetchscene_fetch(&scene, (struct httpclient_request){ .url = "/own", .method = "GET" });
    fetchscene_serve(&scene, NULL, OK "Content-Length: 4\r\n\r\nlong");
    fetchscene_expect_error(&scene, fetch, -EMSGSIZE, FETCHSCENE_ANY_PHASE);
    fetch = fetchscene_fetch(&scene, (struct httpclient_request){ .url = "/own", .method = "GET" });
    fetchscene_pass(&scene, 5.2);
    fetchscene_expect_error(&scene, fetch, -ETIMEDOUT, FETCHSCENE_ANY_PHASE);
    httpclient_close(scene.client);
    scene.client = NULL;
    fetchscene_close(&scene);
}

static void release_of_defaults(void *data, void *arg)
{
    fail();
}

static void produce_defaults(struct httpclient *client, uint64_t fetch, void *arg)
{
    fail();
}

/* They are for many fetches, and a body is for one. */
static void defaults_have_no_body(void **state)
{
    const struct httpclient_request rows[] = {
        { .method = "POST", .body = "a", .body_length = 1 },
        { .method = "POST", .body = "a", .body_length = 1, .body_release = release_of_defaults },
        { .body_release = release_of_defaults },
        { .method = "POST", .body_producer = produce_defaults },
    };

    fetchscene_open_bare(&scene);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_null(httpclient_new(scene.loop, &(struct httpclient_options){ .defaults = &rows[i] }));
        assert_int_equal(errno, EINVAL);
    }
    fetchscene_close(&scene);
}

/* Limits of responses. */

struct limit {
    uint64_t max_body;
    uint32_t max_header;
    const char *answer;
    int error, phase;
};

/* simple_httpclient_test:test_small_body, simple_httpclient_test:test_large_body (of both classes: here is one limit,
 * and a body within it may be larger than any buffer), simple_httpclient_test:test_small_headers,
 * simple_httpclient_test:test_large_headers */
static void responses_have_limits(void **state)
{
    static const struct limit limits[] = {
        { 4, 0, OK "Content-Length: 4\r\n\r\nabcd", 0, HTTPCLIENT_DONE },
        { 4, 0, OK "Content-Length: 5\r\n\r\n", -EMSGSIZE, HTTPCLIENT_BODY },
        { 4, 0, OK "Content-Length: 9999999999999\r\n\r\n", -EMSGSIZE, HTTPCLIENT_BODY },
        { 0, 0, OK "Content-Length: 16777217\r\n\r\n", -EMSGSIZE, HTTPCLIENT_BODY },
        { 4, 0, OK "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n", 0, HTTPCLIENT_DONE },
        { 4, 0, OK "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\n", -EMSGSIZE, HTTPCLIENT_BODY },
        { 4, 0, OK "\r\nabcd", 0, HTTPCLIENT_DONE },
        { 4, 0, OK "\r\nabcde", -EMSGSIZE, HTTPCLIENT_BODY },
        { 4, 0, "HTTP/1.0 200 OK\r\n\r\nabcde", -EMSGSIZE, HTTPCLIENT_BODY },
        { 0, 60, OK "Content-Length: 4\r\nA: 0123456789\r\n\r\nabcd", 0, HTTPCLIENT_DONE },
        { 0, 50, OK "Content-Length: 4\r\nA: 0123456789\r\n\r\nabcd", -EMSGSIZE, HTTPCLIENT_HEAD },
        { 0, 50, "HTTP/1.1 100 Continue\r\n\r\n" OK "Content-Length: 4\r\n\r\nabcd", 0, HTTPCLIENT_DONE },
    };

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        for (size_t split = 1; split < strlen(limits[i].answer); split++) {
            struct fetchscene_fetch *fetch = fetchscene_fetch(
                &scene, (struct httpclient_request){
                            .url = "/", .max_body = limits[i].max_body, .max_header = limits[i].max_header });
            struct fetchscene_peer *peer = fetchscene_accept(&scene);

            fetchscene_take_request(&scene, peer, &seen);
            fetchscene_put_bytes(&scene, peer, limits[i].answer, split);
            fetchscene_settle(&scene);
            fetchscene_put(&scene, peer, limits[i].answer + split);
            if (limits[i].error == 0) {
                fetchscene_finish(peer);
                fetchscene_expect(&scene, fetch, 200, "abcd");
            } else {
                fetchscene_expect_error(&scene, fetch, limits[i].error, limits[i].phase);
                fetchscene_expect_end(&scene, peer);
            }
            fetchscene_hang_up(peer);
            fetchscene_expect_pool(&scene, 0, 0, 0);
            fetchscene_forget(&scene);
        }
    }
    fetchscene_close(&scene);
}

/* What a server says of a length is no reason to take so much memory. */
static void memory_is_taken_for_what_has_come(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch =
        fetchscene_fetch(&scene, (struct httpclient_request){ .url = "/", .max_body = UINT64_MAX });
    size_t before = faults_allocated_bytes();
    struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, OK "Content-Length: 9000000000000000000\r\n\r\nabc");
    fetchscene_expect_waiting(&scene, fetch);
    assert_true(faults_allocated_bytes() < before + 300000);
    fetchscene_finish(peer);
    fetchscene_expect_error(&scene, fetch, -ESHUTDOWN, HTTPCLIENT_BODY);
    fetchscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_loop_has_one_client_of_its_own_and_any_number_of_others),
    cmocka_unit_test(the_loops_own_client_fetches_and_ends_with_the_loop),
    cmocka_unit_test(the_loops_own_client_is_made_anew_after_it_was_closed),
    cmocka_unit_test(clients_of_a_loop_share_no_connections),
    cmocka_unit_test(closing_ends_what_is_under_way_and_what_waits_in_order),
    cmocka_unit_test(a_client_may_be_closed_in_a_response),
    cmocka_unit_test(a_fetch_can_be_cancelled_in_each_phase),
    cmocka_unit_test(the_number_of_a_fetch_that_is_over_means_nothing),
    cmocka_unit_test(one_fetch_may_cancel_another),
    cmocka_unit_test(what_a_request_leaves_out_is_the_clients_default),
    cmocka_unit_test(there_are_defaults_for_every_kind_of_field),
    cmocka_unit_test(defaults_have_no_body),
    cmocka_unit_test(responses_have_limits),
    cmocka_unit_test(memory_is_taken_for_what_has_come),
};

TESTING_MAIN(tests)
