/* Redirects. */
#include "tests/support/testing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "httpserver/httpserver.h"
#include "tests/support/fetchscene.h"

#define HI "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

static struct fetchscene scene;
static struct fetchscene_request seen;

/* "/countdown/3" redirects to "/countdown/2", and so on to "/countdown/0", which is "Zero". */
static void count_down(struct fetchscene *where, struct httprequest *request)
{
    struct httpheaders headers = { 0 };
    int count = atoi(httprequest_target(request) + strlen("/countdown/"));
    char location[32];

    if (count == 0) {
        assert_int_equal(httprequest_reply(request, 200, "text/plain", "Zero", 4), 0);
        return;
    }
    snprintf(location, sizeof location, "/countdown/%d", count - 1);
    assert_int_equal(httpheaders_add(&headers, "Location", location), 0);
    assert_int_equal(httprequest_answer(request, 302, NULL, &headers, "moved", 5), 0);
    httpheaders_free(&headers);
}

/* The head of an answer that leads there. */
static const char *leads_to(int status, const char *location)
{
    static char answer[1024];

    snprintf(answer, sizeof answer, "HTTP/1.1 %d Elsewhere\r\nLocation: %s\r\nContent-Length: 5\r\n\r\nmoved", status,
             location);
    return answer;
}

/* httpclient_test:test_follow_redirect */
static void a_redirect_is_followed_unless_it_should_not(void **state)
{
    fetchscene_open(&scene, NULL);
    fetchscene_start_server(&scene, count_down);
    struct fetchscene_fetch *fetch =
        fetchscene_fetch(&scene, (struct httpclient_request){ .url = "/countdown/2", .no_follow_redirects = true });
    fetchscene_expect(&scene, fetch, 302, "moved");
    assert_string_equal(fetchscene_header(fetch, "Location"), "/countdown/1");
    assert_string_equal(fetch->url + strlen(scene.base), "/countdown/2");
    assert_int_equal(fetch->redirects, 0);

    fetch = fetchscene_get(&scene, "/countdown/2");
    fetchscene_expect(&scene, fetch, 200, "Zero");
    assert_string_equal(fetch->url + strlen(scene.base), "/countdown/0");
    assert_int_equal(fetch->redirects, 2);
    assert_null(fetchscene_header(fetch, "Location"));
    assert_int_equal(scene.requests, 4);
    fetchscene_expect_pool(&scene, 1, 1, 0);
    fetchscene_close(&scene);
}

/* simple_httpclient_test:test_max_redirects: the redirect beyond is an error here, with the response that it was. */
static void redirects_are_followed_up_to_a_number(void **state)
{
    static const int rows[][3] = { /* given, length of the chain, 0 or the error */
                                   { 3, 3, 0 },      { 3, 5, -ELOOP },  { 3, 4, -ELOOP }, { 0, 5, 0 },
                                   { 0, 6, -ELOOP }, { -1, 1, -ELOOP }, { -1, 0, 0 },     { 1, 1, 0 }
    };

    fetchscene_open(&scene, NULL);
    fetchscene_start_server(&scene, count_down);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char url[32];
        snprintf(url, sizeof url, "/countdown/%d", rows[i][1]);
        struct fetchscene_fetch *fetch =
            fetchscene_fetch(&scene, (struct httpclient_request){ .url = url, .max_redirects = rows[i][0] });
        fetchscene_wait(&scene, fetch);
        assert_int_equal(fetch->error, rows[i][2]);
        assert_int_equal(fetch->code, rows[i][2] == 0 ? 200 : 302);
        if (i == 1)
            assert_string_equal(fetch->url + strlen(scene.base), "/countdown/2");
    }
    fetchscene_close(&scene);
}

static void a_loop_of_redirects_ends(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    for (int i = 0; i < 6; i++)
        fetchscene_serve(&scene, peer, leads_to(302, "/"));
    fetchscene_expect_error(&scene, fetch, -ELOOP, FETCHSCENE_ANY_PHASE);
    fetchscene_close(&scene);
}

/* simple_httpclient_test:test_redirect_connection_limit */
static void a_redirect_needs_no_second_place_among_max_clients(void **state)
{
    fetchscene_open(&scene, &(struct httpclient_options){ .max_clients = 1 });
    fetchscene_start_server(&scene, count_down);
    for (int i = 0; i < 4; i++)
        fetchscene_get(&scene, "/countdown/3");
    for (size_t i = 0; i < 4; i++)
        fetchscene_expect(&scene, scene.fetches[i], 200, "Zero");
    fetchscene_close(&scene);
}

/* httpclient_test:test_redirect_without_location */
static void a_redirect_without_location_is_the_result(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
    fetchscene_serve(&scene, NULL, "HTTP/1.1 301 Moved\r\nContent-Length: 2\r\n\r\nhi");
    fetchscene_expect(&scene, fetch, 301, "hi");
    fetchscene_close(&scene);
}

static void statuses_that_are_not_for_redirects_are_results(void **state)
{
    static const int statuses[] = { 200, 201, 300, 304, 305, 306, 309, 404 };
    struct fetchscene_peer *peer = NULL;

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
        char answer[128];

        snprintf(answer, sizeof answer, "HTTP/1.1 %d A\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n", statuses[i]);
        peer = fetchscene_serve(&scene, peer, answer);
        fetchscene_expect(&scene, fetch, statuses[i], "");
    }
    fetchscene_close(&scene);
}

/* Methods. */

struct turn {
    int status;
    const char *method, *next;
};

static void expect_turn(const struct turn *turn)
{
    static const char lines[] = "Content-Type: a/b\r\nContent-Language: de\r\nKept: 1\r\n";
    bool had_body = strcmp(turn->method, "POST") == 0 || strcmp(turn->method, "PUT") == 0;
    bool has_body = had_body && strcmp(turn->method, turn->next) == 0;
    struct httpheaders headers = { 0 };
    assert_int_equal(httpheaders_parse(&headers, lines, strlen(lines)), 0);
    struct fetchscene_fetch *fetch =
        fetchscene_fetch(&scene, (struct httpclient_request){ .url = "/first",
                                                              .method = turn->method,
                                                              .headers = &headers,
                                                              .body = had_body ? "body" : NULL,
                                                              .body_length = 4 * had_body });
    httpheaders_free(&headers);
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    fetchscene_take_request(&scene, peer, &seen);
    bool to_head = strcmp(turn->method, "HEAD") == 0;
    const char *answer = leads_to(turn->status, "/second");
    fetchscene_put_bytes(&scene, peer, answer, strlen(answer) - (to_head ? strlen("moved") : 0));
    fetchscene_take_request(&scene, peer, &seen);
    assert_string_equal(seen.method, turn->next);
    assert_string_equal(seen.target, "/second");
    assert_string_equal(seen.body, has_body ? "body" : "");
    assert_int_equal(fetchscene_request_header(&seen, "Content-Length") != NULL, has_body);
    bool same = strcmp(turn->method, turn->next) == 0;
    if (had_body) {
        assert_int_equal(fetchscene_request_header(&seen, "Content-Type") != NULL, same);
        assert_int_equal(fetchscene_request_header(&seen, "Content-Language") != NULL, same);
    }
    assert_string_equal(fetchscene_request_header(&seen, "Kept"), "1");
    fetchscene_put(&scene, peer, to_head ? "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" : HI);
    fetchscene_expect(&scene, fetch, 200, to_head ? "" : "hi");
    fetchscene_hang_up(peer);
    fetchscene_settle(&scene);
}

/* httpclient_test:test_method_after_redirect, simple_httpclient_test:test_see_other_redirect,
 * httpclient_test:test_put_307, httpclient_test:test_redirect_put_with_body */
static void the_method_after_a_redirect_depends_on_its_status(void **state)
{
    static const struct turn turns[] = {
        { 301, "GET", "GET" },         { 301, "HEAD", "HEAD" },     { 301, "POST", "GET" },
        { 301, "PUT", "PUT" },         { 301, "DELETE", "DELETE" }, { 301, "OPTIONS", "OPTIONS" },
        { 302, "GET", "GET" },         { 302, "HEAD", "HEAD" },     { 302, "POST", "GET" },
        { 302, "PUT", "PUT" },         { 302, "DELETE", "DELETE" }, { 302, "OPTIONS", "OPTIONS" },
        { 303, "GET", "GET" },         { 303, "HEAD", "HEAD" },     { 303, "POST", "GET" },
        { 303, "PUT", "GET" },         { 303, "DELETE", "GET" },    { 303, "OPTIONS", "GET" },
        { 307, "GET", "GET" },         { 307, "HEAD", "HEAD" },     { 307, "POST", "POST" },
        { 307, "PUT", "PUT" },         { 307, "DELETE", "DELETE" }, { 308, "GET", "GET" },
        { 308, "HEAD", "HEAD" },       { 308, "POST", "POST" },     { 308, "PUT", "PUT" },
        { 308, "OPTIONS", "OPTIONS" },
    };

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof turns / sizeof *turns; i++)
        expect_turn(&turns[i]);
    fetchscene_close(&scene);
}

/* httpclient_test:test_redirect_put_without_body */
static void a_put_without_a_body_has_none_after_a_redirect(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = fetchscene_fetch(
        &scene, (struct httpclient_request){ .url = "/", .method = "PUT", .allow_nonstandard_methods = true });
    struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, leads_to(307, "/put"));
    fetchscene_take_request(&scene, peer, &seen);
    assert_string_equal(seen.method, "PUT");
    assert_int_equal(seen.length, 0);
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_close(&scene);
}

/* Bodies that cannot be had again. */

static int produced, released;

static void produce(struct httpclient *client, uint64_t fetch, void *arg)
{
    produced++;
    assert_int_equal(httpclient_upload_write(client, fetch, "body", 4), 0);
    httpclient_upload_finish(client, fetch);
}

static void what_was_produced_is_not_sent_again(void **state)
{
    struct httpclient_request request = { .url = "/", .method = "POST", .body_producer = produce };

    fetchscene_open(&scene, NULL);
    produced = 0;
    struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, request);
    struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, leads_to(307, "/second"));
    fetchscene_expect_error(&scene, fetch, -ENOTSUP, FETCHSCENE_ANY_PHASE);
    assert_int_equal(fetch->code, 307);

    fetch = fetchscene_fetch(&scene, request);
    fetchscene_serve(&scene, peer, leads_to(303, "/second"));
    fetchscene_take_request(&scene, peer, &seen);
    assert_string_equal(seen.method, "GET");
    assert_null(fetchscene_request_header(&seen, "Transfer-Encoding"));
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    assert_int_equal(produced, 2);
    fetchscene_close(&scene);
}

/* The first hop has not asked for the body, so it can be had; the second has. */
static void a_producer_that_was_not_asked_yet_serves_the_next_hop(void **state)
{
    fetchscene_open(&scene, NULL);
    produced = 0;
    struct fetchscene_fetch *fetch = fetchscene_fetch(
        &scene, (struct httpclient_request){
                    .url = "/", .method = "POST", .body_producer = produce, .expect_100_continue = true });
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    fetchscene_take_head(&scene, peer, &seen);
    fetchscene_put(&scene, peer, leads_to(307, "/second"));
    struct fetchscene_peer *next = fetchscene_accept(&scene);
    fetchscene_take_head(&scene, next, &seen);
    assert_string_equal(seen.target, "/second");
    assert_int_equal(produced, 0);
    fetchscene_put(&scene, next, "HTTP/1.1 100 Continue\r\n\r\n");
    fetchscene_expect_text(&scene, next, "4\r\nbody\r\n0\r\n\r\n");
    fetchscene_put(&scene, next, leads_to(307, "/third"));
    fetchscene_expect_error(&scene, fetch, -ENOTSUP, FETCHSCENE_ANY_PHASE);
    assert_string_equal(fetch->url + strlen(scene.base), "/second");
    assert_int_equal(produced, 1);
    fetchscene_close(&scene);
}

static void count_release(void *memory, void *arg)
{
    released++;
}

static void a_lent_body_is_kept_until_the_last_hop_has_it(void **state)
{
    fetchscene_open(&scene, NULL);
    released = 0;
    struct fetchscene_fetch *fetch = fetchscene_fetch(
        &scene, (struct httpclient_request){
                    .url = "/", .method = "PUT", .body = "lent", .body_length = 4, .body_release = count_release });
    struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, leads_to(308, "/second"));
    fetchscene_take_request(&scene, peer, &seen);
    assert_string_equal(seen.body, "lent");
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_settle(&scene);
    assert_int_equal(released, 1);
    fetchscene_close(&scene);
}

/* Where to. F4 */

struct place {
    const char *location, *target;
};

static void a_location_is_resolved_against_the_url(void **state)
{
    static const struct place places[] = {
        { "/b", "/b" },          { "b", "/dir/b" },         { "../b", "/b" },
        { "?q", "/dir/file?q" }, { "./b", "/dir/b" },       { "/b?c=d#e", "/b?c=d" },
        { "../../../b", "/b" },  { "#e", "/dir/file?old" }, { "/%41", "/%41" },
    };

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/dir/file?old");
        struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, leads_to(302, places[i].location));

        fetchscene_take_request(&scene, peer, &seen);
        assert_string_equal(seen.target, places[i].target);
        fetchscene_put(&scene, peer, HI);
        fetchscene_expect(&scene, fetch, 200, "hi");
        assert_string_equal(fetch->url + strlen(scene.base), places[i].target);
        fetchscene_hang_up(peer);
        fetchscene_settle(&scene);
    }
    fetchscene_close(&scene);
}

static void a_location_that_leads_nowhere_is_an_error(void **state)
{
    static const char out[] = "it redirects out of http, or from https to what is not";
    static const char no_url[] = "it redirects to what is no URL";
    static const struct {
        const char *location;
        int error;
        const char *detail;
    } rows[] = {
        { "file:///etc/passwd", -EPROTONOSUPPORT, out },
        { "ftp://127.0.0.1/", -EPROTONOSUPPORT, out },
        { "ws://127.0.0.1/", -EPROTONOSUPPORT, out },
        { "javascript:alert(1)", -EPROTONOSUPPORT, out },
        { "https://127.0.0.1/", -EPROTONOSUPPORT, "it redirects to https, which needs options.tls" },
        { "http://[::1/", -EPROTO, no_url },
        { "http://a:99999/", -EPROTO, no_url },
        { "http://127.1/", -EPROTO, no_url },
        { "http:///x", -EPROTO, no_url },
        { "http://a b/", -EPROTO, no_url },
        { "/a\tb", -EPROTO, no_url },
        { "http://a%2fb/", -EPROTO, no_url },
        { "/a\r\nLocation: /b", -EPROTO, "it redirects to two places" },
        { "/a\r\nA: b\r\nlocation: /a\r\nLOCATION: /b", -EPROTO, "it redirects to two places" },
        { "/a\r\nLocation:", -EPROTO, "it redirects to two places" },
    };

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
        struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, leads_to(302, rows[i].location));

        fetchscene_wait(&scene, fetch);
        if (fetch->error != rows[i].error)
            fail_msg("%s: %s (%s)", rows[i].location, ioloop_strerror(fetch->error), fetch->detail);
        assert_string_equal(fetch->detail, rows[i].detail);
        assert_int_equal(fetch->code, 302);
        fetchscene_hang_up(peer);
        fetchscene_settle(&scene);
    }
    fetchscene_expect_no_connection(&scene);
    fetchscene_close(&scene);
}

static void the_same_location_in_two_fields_is_one(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
    struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, leads_to(302, "/b\r\nA: b\r\nLocation: /b"));
    fetchscene_take_request(&scene, peer, &seen);
    assert_string_equal(seen.target, "/b");
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_close(&scene);
}

/* It is an answer, and not to be followed. */
static void two_locations_are_no_error_of_what_is_not_followed(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch =
        fetchscene_fetch(&scene, (struct httpclient_request){ .url = "/", .no_follow_redirects = true });
    fetchscene_serve(&scene, NULL, leads_to(302, "/a\r\nLocation: /b"));
    fetchscene_expect(&scene, fetch, 302, "moved");
    fetchscene_close(&scene);
}

static void a_location_that_is_too_long_is_an_error(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
    struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, "HTTP/1.1 302 A\r\nContent-Length: 0\r\nLocation: /");
    for (int i = 0; i < 1000; i++)
        fetchscene_put(&scene, peer, "0123456789");
    fetchscene_put(&scene, peer, "\r\n\r\n");
    fetchscene_wait(&scene, fetch);
    assert_true(fetch->error == -EPROTO || fetch->error == -EMSGSIZE);
    fetchscene_close(&scene);
}

/* Which connection. */

/* What is longer is not even waited for. */
static void the_body_of_a_redirect_is_read_if_it_is_short(void **state)
{
    static char body[70000];

    fetchscene_open(&scene, NULL);
    memset(body, 'x', sizeof body);
    for (int i = 0; i < 2; i++) {
        int length = i == 0 ? 60000 : 70000;
        char head[128];
        struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
        struct fetchscene_peer *peer = fetchscene_accept(&scene);

        fetchscene_take_request(&scene, peer, &seen);
        snprintf(head, sizeof head, "HTTP/1.1 302 A\r\nLocation: /b\r\nContent-Length: %d\r\n\r\n", length);
        fetchscene_put(&scene, peer, head);
        if (i == 0)
            fetchscene_put_bytes(&scene, peer, body, (size_t)length);
        struct fetchscene_peer *next = i == 0 ? peer : fetchscene_accept(&scene);
        fetchscene_serve(&scene, next, HI);
        fetchscene_expect(&scene, fetch, 200, "hi");
        assert_int_equal(fetch->is_reused, i == 0);
        fetchscene_hang_up(peer);
        fetchscene_hang_up(next);
        fetchscene_settle(&scene);
    }
    fetchscene_close(&scene);
}

static void the_body_of_a_redirect_that_does_not_come_is_not_waited_for_without_end(void **state)
{
    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch =
        fetchscene_fetch(&scene, (struct httpclient_request){ .url = "/", .idle_timeout = 5 });
    fetchscene_serve(&scene, NULL, "HTTP/1.1 302 A\r\nLocation: /b\r\nContent-Length: 5\r\n\r\nmov");
    fetchscene_pass(&scene, 5.2);
    if (fetch->calls == 0) /* it has gone on */
        fetchscene_serve(&scene, NULL, HI);
    fetchscene_wait(&scene, fetch);
    fetchscene_close(&scene);
}

static void a_host_of_the_program_goes_along_within_its_origin(void **state)
{
    struct httpheaders headers = { 0 };
    char location[64], second_host[64];

    fetchscene_open(&scene, NULL);
    assert_int_equal(httpheaders_add(&headers, "Host", "public.example"), 0);
    struct fetchscene_fetch *fetch =
        fetchscene_fetch(&scene, (struct httpclient_request){ .url = "/", .headers = &headers });
    httpheaders_free(&headers);
    struct fetchscene_peer *first = fetchscene_accept(&scene);
    fetchscene_take_request(&scene, first, &seen);
    fetchscene_put(&scene, first, leads_to(302, "/b"));
    fetchscene_take_request(&scene, first, &seen);
    assert_string_equal(fetchscene_request_header(&seen, "Host"), "public.example");
    snprintf(location, sizeof location, "//127.0.0.1:%d/c", scene.ports[FETCHSCENE_SECOND]);
    fetchscene_put(&scene, first, leads_to(307, location));
    struct fetchscene_peer *second = fetchscene_accept_from(&scene, FETCHSCENE_SECOND);
    fetchscene_take_request(&scene, second, &seen);
    snprintf(second_host, sizeof second_host, "127.0.0.1:%d", scene.ports[FETCHSCENE_SECOND]);
    assert_string_equal(fetchscene_request_header(&seen, "Host"), second_host);
    fetchscene_put(&scene, second, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_close(&scene);
}

static void a_redirect_leads_to_another_origin(void **state)
{
    char location[64], host[64];

    fetchscene_open(&scene, NULL);
    snprintf(location, sizeof location, "//127.0.0.1:%d/b", scene.ports[FETCHSCENE_SECOND]);
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
    fetchscene_serve(&scene, NULL, leads_to(302, location));
    struct fetchscene_peer *second = fetchscene_accept_from(&scene, FETCHSCENE_SECOND);
    fetchscene_take_request(&scene, second, &seen);
    snprintf(host, sizeof host, "127.0.0.1:%d", scene.ports[FETCHSCENE_SECOND]);
    assert_string_equal(fetchscene_request_header(&seen, "Host"), host);
    fetchscene_put(&scene, second, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_expect_pool(&scene, 2, 2, 0);
    fetchscene_close(&scene);
}

/* Credentials. F1 */

/* httpclient_test:test_strip_headers_on_redirect */
static const char *const secrets[] = { "Authorization", "Cookie", "X-Api-Key", "X-Token" };
enum { SECRETS = sizeof secrets / sizeof *secrets };

static struct fetchscene_fetch *fetch_with_secrets(const char *const *private_headers)
{
    struct httpheaders headers = { 0 };

    for (size_t i = 0; i < SECRETS; i++)
        assert_int_equal(httpheaders_add(&headers, secrets[i], "secret"), 0);
    assert_int_equal(httpheaders_add(&headers, "Other", "text"), 0);
    assert_int_equal(httpheaders_add(&headers, "x-api-key", "once more"), 0);
    struct fetchscene_fetch *fetch = fetchscene_fetch(
        &scene, (struct httpclient_request){ .url = "/", .headers = &headers, .private_headers = private_headers });
    httpheaders_free(&headers);
    return fetch;
}

static void expect_secrets(bool are_there)
{
    for (size_t i = 0; i < SECRETS; i++)
        assert_int_equal(fetchscene_request_header(&seen, secrets[i]) != NULL, are_there);
    assert_string_equal(fetchscene_request_header(&seen, "Other"), "text");
}

/* Some are said by the request, some by the client's defaults, which are copied. */
static void bounce_with_secrets(bool is_default)
{
    char key[] = "x-api-KEY", token[] = "X-Token";
    const char *names[] = { "", "X-Nowhere", key, token, NULL };
    struct httpclient_request defaults = { .url = "http://a/", .private_headers = names };
    char there[64], back[64];

    fetchscene_open(&scene, &(struct httpclient_options){ .defaults = is_default ? &defaults : NULL });
    snprintf(there, sizeof there, "http://127.0.0.1:%d/b", scene.ports[FETCHSCENE_SECOND]);
    snprintf(back, sizeof back, "http://127.0.0.1:%d/d", scene.ports[FETCHSCENE_FIRST]);
    struct fetchscene_fetch *fetch = is_default ? NULL : fetch_with_secrets(names);
    memset(names, 0, sizeof names);
    memset(key, 0, sizeof key);
    memset(token, 0, sizeof token);
    if (is_default)
        fetch = fetch_with_secrets(NULL);
    struct fetchscene_peer *first = fetchscene_accept(&scene);
    fetchscene_take_request(&scene, first, &seen);
    expect_secrets(true);
    fetchscene_put(&scene, first, leads_to(302, "/a"));
    fetchscene_take_request(&scene, first, &seen);
    assert_string_equal(seen.target, "/a");
    expect_secrets(true);
    fetchscene_put(&scene, first, leads_to(302, there));
    struct fetchscene_peer *second = fetchscene_accept_from(&scene, FETCHSCENE_SECOND);
    fetchscene_take_request(&scene, second, &seen);
    expect_secrets(false);
    fetchscene_put(&scene, second, leads_to(302, "/c"));
    fetchscene_take_request(&scene, second, &seen);
    expect_secrets(false);
    fetchscene_put(&scene, second, leads_to(302, back));
    fetchscene_take_request(&scene, first, &seen);
    assert_string_equal(seen.target, "/d");
    expect_secrets(false);
    fetchscene_put(&scene, first, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_close(&scene);
}

static void secrets_stay_within_an_origin_and_do_not_come_back(void **state)
{
    bounce_with_secrets(false);
    bounce_with_secrets(true);
}

/* What is not named goes along. */
static void other_headers_go_to_another_origin(void **state)
{
    static const char *const names[] = { "X-Api-Key", NULL };
    char there[64];

    fetchscene_open(&scene, NULL);
    snprintf(there, sizeof there, "http://127.0.0.1:%d/b", scene.ports[FETCHSCENE_SECOND]);
    struct fetchscene_fetch *fetch = fetch_with_secrets(names);
    fetchscene_serve(&scene, NULL, leads_to(302, there));
    struct fetchscene_peer *second = fetchscene_accept_from(&scene, FETCHSCENE_SECOND);
    fetchscene_take_request(&scene, second, &seen);
    assert_null(fetchscene_request_header(&seen, "X-Api-Key"));
    assert_non_null(fetchscene_request_header(&seen, "X-Token"));
    fetchscene_put(&scene, second, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_close(&scene);
}

/* The client's defaults do not give them back either. */
static void user_and_password_stay_within_an_origin(void **state)
{
    struct httpclient_request defaults = { .auth_username = "defaultuser", .auth_password = "defaultpassword" };
    char url[128], there[128];

    fetchscene_open(&scene, &(struct httpclient_options){ .defaults = &defaults });
    for (int how = 0; how < 3; how++) {
        struct httpclient_request request = { .url = "/" };
        snprintf(url, sizeof url, "http://user:password@127.0.0.1:%d/", scene.ports[FETCHSCENE_FIRST]);
        if (how == 0)
            request.url = url;
        if (how == 1) {
            request.auth_username = "user";
            request.auth_password = "password";
        }
        struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, request);
        struct fetchscene_peer *first = fetchscene_accept(&scene);
        fetchscene_take_request(&scene, first, &seen);
        assert_non_null(fetchscene_request_header(&seen, "Authorization"));
        snprintf(there, sizeof there, "http://evil:twin@127.0.0.1:%d/b", scene.ports[FETCHSCENE_SECOND]);
        fetchscene_put(&scene, first, leads_to(302, there));
        struct fetchscene_peer *second = fetchscene_accept_from(&scene, FETCHSCENE_SECOND);
        fetchscene_take_request(&scene, second, &seen);
        assert_null(fetchscene_request_header(&seen, "Authorization"));
        assert_null(strstr(seen.head, "evil"));
        fetchscene_put(&scene, second, HI);
        fetchscene_expect(&scene, fetch, 200, "hi");
        assert_null(strstr(fetch->url, "evil"));
        fetchscene_hang_up(first);
        fetchscene_hang_up(second);
        fetchscene_settle(&scene);
    }
    fetchscene_close(&scene);
}

static void user_and_password_stay_with_a_redirect_within_their_origin(void **state)
{
    char url[128];

    fetchscene_open(&scene, NULL);
    snprintf(url, sizeof url, "http://user:password@127.0.0.1:%d/", scene.ports[FETCHSCENE_FIRST]);
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, url);
    struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, leads_to(302, "/b"));
    fetchscene_take_request(&scene, peer, &seen);
    assert_string_equal(fetchscene_request_header(&seen, "Authorization"), "Basic dXNlcjpwYXNzd29yZA==");
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_redirect_is_followed_unless_it_should_not),
    cmocka_unit_test(redirects_are_followed_up_to_a_number),
    cmocka_unit_test(a_loop_of_redirects_ends),
    cmocka_unit_test(a_redirect_needs_no_second_place_among_max_clients),
    cmocka_unit_test(a_redirect_without_location_is_the_result),
    cmocka_unit_test(statuses_that_are_not_for_redirects_are_results),
    cmocka_unit_test(the_method_after_a_redirect_depends_on_its_status),
    cmocka_unit_test(a_put_without_a_body_has_none_after_a_redirect),
    cmocka_unit_test(what_was_produced_is_not_sent_again),
    cmocka_unit_test(a_producer_that_was_not_asked_yet_serves_the_next_hop),
    cmocka_unit_test(a_lent_body_is_kept_until_the_last_hop_has_it),
    cmocka_unit_test(a_location_is_resolved_against_the_url),
    cmocka_unit_test(a_location_that_leads_nowhere_is_an_error),
    cmocka_unit_test(the_same_location_in_two_fields_is_one),
    cmocka_unit_test(two_locations_are_no_error_of_what_is_not_followed),
    cmocka_unit_test(a_location_that_is_too_long_is_an_error),
    cmocka_unit_test(the_body_of_a_redirect_is_read_if_it_is_short),
    cmocka_unit_test(the_body_of_a_redirect_that_does_not_come_is_not_waited_for_without_end),
    cmocka_unit_test(a_redirect_leads_to_another_origin),
    cmocka_unit_test(a_host_of_the_program_goes_along_within_its_origin),
    cmocka_unit_test(secrets_stay_within_an_origin_and_do_not_come_back),
    cmocka_unit_test(other_headers_go_to_another_origin),
    cmocka_unit_test(user_and_password_stay_within_an_origin),
    cmocka_unit_test(user_and_password_stay_with_a_redirect_within_their_origin),
};

TESTING_MAIN(tests)
