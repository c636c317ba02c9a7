/* What a client sends, and what it refuses to. */
#include "tests/support/testing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/fetchscene.h"

#define HI "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

static struct fetchscene scene;
static struct fetchscene_peer *peer; /* the server's one connection */

/* Fetches, and answers; what the server saw. */
static struct fetchscene_request exchange(struct httpclient_request request)
{
    struct fetchscene_request seen;
    struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, request);

    if (peer == NULL)
        peer = fetchscene_accept(&scene);
    fetchscene_take_request(&scene, peer, &seen);
    bool to_head = strcmp(seen.method, "HEAD") == 0;
    fetchscene_put(&scene, peer, to_head ? "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" : HI);
    fetchscene_expect(&scene, fetch, 200, to_head ? "" : "hi");
    return seen;
}

static void open_scene(const struct httpclient_options *options)
{
    peer = NULL;
    fetchscene_open(&scene, options);
}

static struct httpheaders headers_of(const char *name, const char *value)
{
    struct httpheaders headers = { 0 };

    assert_int_equal(httpheaders_add(&headers, name, value), 0);
    return headers;
}

/* Methods and bodies. */

struct method {
    const char *method, *body;
    bool nonstandard, accepted;
};

/* httpclient_test:test_all_methods, httpclient_test:test_body_sanity_checks,
 * simple_httpclient_test:test_options_request, httpclient_test:test_patch_receives_payload,
 * httpclient_test:test_body */
static void methods_have_the_bodies_that_they_should(void **state)
{
    static const struct method methods[] = {
        { "GET", NULL, false, true },
        { "HEAD", NULL, false, true },
        { "DELETE", NULL, false, true },
        { "OPTIONS", NULL, false, true },
        { "POST", "", false, true },
        { "PUT", "", false, true },
        { "PATCH", "", false, true },
        { "POST", "a=b", false, true },
        { "PUT", "a=b", false, true },
        { "PATCH", "a=b", false, true },
        { "GET", "a", false, false },
        { "HEAD", "", false, false },
        { "DELETE", "a", false, false },
        { "OPTIONS", "a", false, false },
        { "POST", NULL, false, false },
        { "PUT", NULL, false, false },
        { "PATCH", NULL, false, false },
        { "OTHER", NULL, false, false },
        { "OTHER", NULL, true, true },
        { "OTHER", "a", true, true },
        { "GET", "a", true, true },
        { "DELETE", "a", true, true },
        { "POST", NULL, true, true },
        { "PATCH", NULL, true, true },
        { "PATCH", "a=b", true, true },
        { "get", NULL, false, false },
        { "get", NULL, true, true },
        { "GET / HTTP/1.1\r\nX: y", NULL, true, false },
        { "G T", NULL, true, false },
        { "", NULL, true, false },
        { "G\xc3\x84T", NULL, true, false },
        { "A:", NULL, true, false },
        { "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", NULL, true, false },
        { "TRACE", NULL, false, false },
    };

    open_scene(NULL);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        const struct method *row = &methods[i];
        struct httpclient_request request = { .url = "/",
                                              .method = row->method,
                                              .body = row->body,
                                              .body_length = row->body != NULL ? strlen(row->body) : 0,
                                              .allow_nonstandard_methods = row->nonstandard };

        if (!row->accepted) {
            if (fetchscene_try(&scene, request) != NULL)
                fail_msg("%s with %s is accepted", row->method, row->body != NULL ? row->body : "no body");
            assert_int_equal(errno, EINVAL);
            continue;
        }
        struct fetchscene_request seen = exchange(request);
        assert_string_equal(seen.method, row->method);
        assert_string_equal(seen.body, row->body != NULL ? row->body : "");
        const char *length = fetchscene_request_header(&seen, "Content-Length");
        if (row->body != NULL)
            assert_int_equal(atoi(length), strlen(row->body));
        else if (strcmp(row->method, "POST") != 0 && strcmp(row->method, "PATCH") != 0)
            assert_null(length);
    }
    fetchscene_expect_no_connection(&scene);
    fetchscene_close(&scene);
}

/* httpclient_test:test_post */
static void a_post_is_a_form_unless_it_says_what_it_is(void **state)
{
    open_scene(NULL);
    struct httpheaders headers = headers_of("content-type", "text/plain");

    struct httpclient_request request = { .url = "/", .method = "POST", .body = "a=b&c=d", .body_length = 7 };
    struct fetchscene_request seen = exchange(request);
    assert_string_equal(fetchscene_request_header(&seen, "Content-Type"), "application/x-www-form-urlencoded");
    assert_string_equal(seen.body, "a=b&c=d");
    request.headers = &headers;
    seen = exchange(request);
    assert_string_equal(fetchscene_request_header(&seen, "Content-Type"), "text/plain");
    assert_string_equal(seen.body, "a=b&c=d");
    request = (struct httpclient_request){ .url = "/", .method = "PUT", .body = "a", .body_length = 1 };
    seen = exchange(request);
    assert_null(fetchscene_request_header(&seen, "Content-Type"));
    httpheaders_free(&headers);
    fetchscene_close(&scene);
}

/* httpclient_test:test_body_encoding, httpclient_test:test_body_setter */
static void a_body_is_sent_byte_for_byte(void **state)
{
    static const char bytes[] = "\xe9\0\xff\r\n\r\n";
    char text[4] = "\xc3\xa9";

    open_scene(NULL);
    struct httpclient_request request = { .url = "/", .method = "POST", .body = bytes, .body_length = 7 };
    struct fetchscene_request seen = exchange(request);
    assert_int_equal(seen.length, 7);
    assert_memory_equal(seen.body, bytes, 7);
    request.body = text;
    request.body_length = 2;
    seen = exchange(request);
    assert_string_equal(seen.body, "\xc3\xa9");
    fetchscene_close(&scene);
}

static void what_a_fetch_was_given_may_go_when_the_call_returns(void **state)
{
    open_scene(&(struct httpclient_options){ .max_clients = 1 });
    struct fetchscene_request seen;
    struct httpheaders headers = headers_of("A", "b");
    char url[128], method[] = "PUT", body[] = "body", agent[] = "agent", user[] = "user", password[] = "password";

    struct fetchscene_fetch *first = fetchscene_get(&scene, "/first");
    snprintf(url, sizeof url, "%s/second", scene.base);
    struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, (struct httpclient_request){ .url = url,
                                                                                           .method = method,
                                                                                           .headers = &headers,
                                                                                           .body = body,
                                                                                           .body_length = 4,
                                                                                           .user_agent = agent,
                                                                                           .auth_username = user,
                                                                                           .auth_password = password });
    memset(url, '#', sizeof url);
    memset(method, '#', 3);
    memset(body, '#', 4);
    memset(agent, '#', 5);
    memset(user, '#', 4);
    memset(password, '#', 8);
    httpheaders_free(&headers);
    peer = fetchscene_serve(&scene, NULL, HI);
    fetchscene_expect(&scene, first, 200, "hi");
    fetchscene_take_request(&scene, peer, &seen);
    assert_string_equal(seen.method, "PUT");
    assert_string_equal(seen.target, "/second");
    assert_string_equal(seen.body, "body");
    assert_string_equal(fetchscene_request_header(&seen, "A"), "b");
    assert_string_equal(fetchscene_request_header(&seen, "User-Agent"), "agent");
    assert_string_equal(fetchscene_request_header(&seen, "Authorization"), "Basic dXNlcjpwYXNzd29yZA==");
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_close(&scene);
}

/* Lent bodies. */

static int released;

static void count_release(void *memory, void *arg)
{
    released++;
    assert_ptr_equal(memory, arg);
}

static struct httpclient_request with_lent_body(char *body)
{
    return (struct httpclient_request){ .url = "/",
                                        .method = "POST",
                                        .body = body,
                                        .body_length = strlen(body),
                                        .body_release = count_release,
                                        .body_release_arg = body };
}

static void a_lent_body_is_given_back_once_when_it_is_sent_refused_or_dropped(void **state)
{
    char body[] = "lent";

    open_scene(NULL);
    released = 0;
    struct fetchscene_request seen = exchange(with_lent_body(body));
    assert_string_equal(seen.body, "lent");
    fetchscene_settle(&scene);
    assert_int_equal(released, 1);

    struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, with_lent_body(body));
    httpclient_cancel(scene.client, fetch->id);
    fetchscene_expect_error(&scene, fetch, -ECANCELED, FETCHSCENE_ANY_PHASE);
    fetchscene_settle(&scene);
    assert_int_equal(released, 2);

    fetch = fetchscene_fetch(&scene, with_lent_body(body));
    fetchscene_close(&scene);
    assert_int_equal(released, 3);
}

static void a_lent_body_of_a_refused_fetch_stays_the_callers(void **state)
{
    char body[] = "lent";

    open_scene(NULL);
    released = 0;
    struct httpclient_request request = with_lent_body(body);
    request.url = "nonsense";
    assert_null(fetchscene_try(&scene, request));
    fetchscene_close(&scene);
    assert_int_equal(released, 0);
}

/* Headers. */

/* httpclient_test:test_headers, httpclient_test:test_headers_setter, httpclient_test:test_null_headers_setter */
static void headers_are_sent_as_they_are_in_their_order(void **state)
{
    open_scene(NULL);
    struct httpheaders headers = headers_of("bar", "baz");

    assert_int_equal(httpheaders_add(&headers, "X-Two", "1"), 0);
    assert_int_equal(httpheaders_add(&headers, "X-Two", "2"), 0);
    struct fetchscene_request seen = exchange((struct httpclient_request){ .url = "/", .headers = &headers });
    assert_non_null(strstr(seen.head, "\r\nbar: baz\r\nX-Two: 1\r\nX-Two: 2\r\n"));
    httpheaders_clear(&headers);
    assert_int_equal(httpheaders_add(&headers, "other", "text"), 0);
    seen = exchange((struct httpclient_request){ .url = "/", .headers = &headers });
    assert_null(fetchscene_request_header(&seen, "bar"));
    assert_string_equal(fetchscene_request_header(&seen, "other"), "text");
    seen = exchange((struct httpclient_request){ .url = "/", .headers = NULL });
    assert_null(fetchscene_request_header(&seen, "other"));
    httpheaders_free(&headers);
    fetchscene_close(&scene);
}

/* simple_httpclient_test:test_header_reuse, httpclient_test:test_reuse_request_from_response */
static void a_request_and_its_headers_may_be_used_again(void **state)
{
    open_scene(NULL);
    struct httpheaders headers = headers_of("User-Agent", "Foo");
    struct httpclient_request request = { .url = "/", .headers = &headers };

    for (int turn = 0; turn < 3; turn++) {
        struct fetchscene_request seen = exchange(request);

        assert_string_equal(fetchscene_request_header(&seen, "User-Agent"), "Foo");
        assert_int_equal(httpheaders_count(&headers), 1);
        assert_string_equal(httpheaders_get(&headers, "User-Agent"), "Foo");
    }
    httpheaders_free(&headers);
    fetchscene_close(&scene);
}

/* httpclient_test:test_header_encoding */
static void bytes_above_ascii_in_a_header_are_sent_as_they_are(void **state)
{
    open_scene(NULL);
    struct httpheaders headers = headers_of("Foo", "b\xe4r");

    struct fetchscene_request seen = exchange((struct httpclient_request){ .url = "/", .headers = &headers });
    assert_string_equal(fetchscene_request_header(&seen, "Foo"), "b\xe4r");
    httpheaders_free(&headers);
    fetchscene_close(&scene);
}

/* httpclient_test:test_header_crlf, and B4: a list of headers does not take what is none. What is sent and is no header
 * of the list goes the same way. */
static void no_text_of_a_request_can_begin_a_line(void **state)
{
    static const char *const evil[] = { "a\r\nb: c", "a\nb: c", "a\rb", "a\x01", "a\x7f" };
    struct httpheaders headers = { 0 };

    open_scene(NULL);
    for (size_t i = 0; i < sizeof evil / sizeof *evil; i++) {
        assert_int_equal(httpheaders_add(&headers, "foo", evil[i]), -EINVAL);
        assert_int_equal(httpheaders_add(&headers, evil[i], "foo"), -EINVAL);
        assert_null(fetchscene_try(&scene, (struct httpclient_request){ .url = "/", .user_agent = evil[i] }));
        assert_int_equal(errno, EINVAL);
        assert_null(fetchscene_try(&scene, (struct httpclient_request){ .url = "/", .auth_username = evil[i] }));
        assert_int_equal(errno, EINVAL);
    }
    assert_int_equal(httpheaders_add_bytes(&headers, "a\0b", 3, "c", 1), -EINVAL); /* B6 */
    assert_int_equal(httpheaders_add_bytes(&headers, "a", 1, "b\0c", 3), -EINVAL);
    fetchscene_expect_no_connection(&scene);
    httpheaders_free(&headers);
    fetchscene_close(&scene);
}

/* simple_httpclient_test:test_host_header */
static void host_is_the_authority_without_user_and_without_a_usual_port(void **state)
{
    static const struct httpclient_mapping mappings[] = { { "example.org:80", "127.0.0.1", 1 },
                                                          { "example.org:81", "127.0.0.1", 1 },
                                                          { NULL, NULL, 0 } };
    struct httpclient_mapping own[3];
    static const char *const rows[][2] = {
        { "http://example.org/", "example.org" },         { "http://example.org:80/", "example.org" },
        { "http://example.org:81/", "example.org:81" },   { "http://u:p@example.org:81", "example.org:81" },
        { "http://example.org:0081/", "example.org:81" },
    };

    fetchscene_open_bare(&scene);
    memcpy(own, mappings, sizeof own);
    own[0].port = own[1].port = scene.ports[FETCHSCENE_FIRST];
    struct httpclient *client =
        httpclient_new(scene.loop, &(struct httpclient_options){ .mappings = own, .keep_time = -1 });
    assert_non_null(client);
    memset(own, 0, sizeof own);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fetchscene_request seen;
        struct fetchscene_fetch *fetch =
            fetchscene_try_with(&scene, client, (struct httpclient_request){ .url = rows[i][0] });

        assert_non_null(fetch);
        peer = fetchscene_accept(&scene);
        fetchscene_take_request(&scene, peer, &seen);
        assert_string_equal(fetchscene_request_header(&seen, "Host"), rows[i][1]);
        assert_string_equal(seen.target, "/");
        fetchscene_put(&scene, peer, HI);
        fetchscene_expect(&scene, fetch, 200, "hi");
        fetchscene_expect_end(&scene, peer);
        fetchscene_hang_up(peer);
    }
    fetchscene_close(&scene);
}

/* simple_httpclient_test:test_default_user_agent */
static void the_user_agent_is_ours_the_requests_or_that_of_its_headers(void **state)
{
    open_scene(NULL);
    struct httpheaders headers = headers_of("USER-AGENT", "third");

    struct fetchscene_request seen = exchange((struct httpclient_request){ .url = "/" });
    assert_string_equal(fetchscene_request_header(&seen, "User-Agent"), "ioloop");
    seen = exchange((struct httpclient_request){ .url = "/", .user_agent = "second" });
    assert_string_equal(fetchscene_request_header(&seen, "User-Agent"), "second");
    seen = exchange((struct httpclient_request){ .url = "/", .user_agent = "second", .headers = &headers });
    assert_string_equal(fetchscene_request_header(&seen, "User-Agent"), "third");
    assert_null(strstr(seen.head, "second"));
    seen = exchange((struct httpclient_request){ .url = "/", .user_agent = "" });
    assert_null(fetchscene_request_header(&seen, "User-Agent"));
    httpheaders_free(&headers);
    fetchscene_close(&scene);
}

static void framing_headers_of_the_program_do_not_go_out(void **state)
{
    static const char *const names[] = { "Connection", "Content-Length", "Transfer-Encoding" };
    static const char *const values[] = { "x-hop", "1", "chunked" };

    open_scene(NULL);
    for (size_t i = 0; i < 3; i++) {
        struct httpheaders headers = headers_of(names[i], values[i]);
        struct httpclient_request request = {
            .url = "/", .method = "POST", .body = "body", .body_length = 4, .headers = &headers
        };

        struct fetchscene_request seen = exchange(request);
        assert_string_equal(seen.body, "body");
        assert_string_equal(fetchscene_request_header(&seen, "Content-Length"), "4");
        assert_null(fetchscene_request_header(&seen, "Transfer-Encoding"));
        assert_null(fetchscene_request_header(&seen, "Connection"));
        assert_string_equal(fetchscene_request_header(&seen, "Host"), scene.base + strlen("http://"));
        httpheaders_free(&headers);
    }
    fetchscene_close(&scene);
}

/* As a proxy that keeps its client's: what is connected to is the url's, and so are connections that are kept. */
static void a_host_of_the_program_goes_out_instead_of_the_urls(void **state)
{
    open_scene(NULL);
    struct httpheaders headers = headers_of("Host", "public.example");
    struct fetchscene_request seen = exchange((struct httpclient_request){ .url = "/a", .headers = &headers });
    assert_string_equal(seen.target, "/a");
    assert_string_equal(fetchscene_request_header(&seen, "Host"), "public.example");
    assert_int_equal(httpheaders_add(&headers, "Host", "public.example"), 0);
    assert_null(fetchscene_try(&scene, (struct httpclient_request){ .url = "/", .headers = &headers }));
    assert_int_equal(errno, EINVAL);
    httpheaders_free(&headers);
    fetchscene_close(&scene);
}

static void a_request_that_says_close_has_a_connection_of_its_own(void **state)
{
    open_scene(NULL);
    struct httpheaders headers = headers_of("Connection", "Close");

    struct fetchscene_request seen = exchange((struct httpclient_request){ .url = "/", .headers = &headers });
    assert_string_equal(fetchscene_request_header(&seen, "Connection"), "close");
    fetchscene_expect_pool(&scene, 0, 0, 0);
    httpheaders_free(&headers);
    fetchscene_close(&scene);
}

/* httpclient_test:test_if_modified_since */
static void if_modified_since_is_a_date(void **state)
{
    open_scene(NULL);
    struct fetchscene_request seen =
        exchange((struct httpclient_request){ .url = "/", .if_modified_since = 784111777 });
    assert_string_equal(fetchscene_request_header(&seen, "If-Modified-Since"), "Sun, 06 Nov 1994 08:49:37 GMT");
    seen = exchange((struct httpclient_request){ .url = "/" });
    assert_null(fetchscene_request_header(&seen, "If-Modified-Since"));
    fetchscene_close(&scene);
}

/* URLs. F3, B5, B6 */

static void urls_that_are_none_are_refused(void **state)
{
    static const char *const urls[] = {
        "",
        "http",
        "http:",
        "http://",
        "http:///x",
        "//127.0.0.1/",
        "http:/127.0.0.1/",
        "http://h/a\r\nX: y",
        "http://h/a\nX: y",
        "http://h/a b",
        "http://h/a\tb",
        "http://h/a\x7f",
        "http://h\r\nX: y/",
        "http://h /",
        " http://h/",
        "http://h/ ",
        "http://a%2fb/",
        "http://a%00b/",
        "http://a\\@b/",
        "http://a\\b/",
        "http://127.1/",
        "http://0x7f.1/",
        "http://017.0.0.1/",
        "http://2130706433/",
        "http://127.0.0.256/",
        "http://[::1",
        "http://::1/",
        "http://[::1]x/",
        "http://[::g]/",
        "http://a:99999/",
        "http://a:65536/",
        "http://a:0/",
        "http://a:+80/",
        "http://a:-1/",
        "http://a:8 0/",
        "http://a:x/",
        "http://u@v@h/",
        "http://u\r\nX:y@h/",
        "http://\xc3\xa9/",
    };

    open_scene(NULL);
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        if (fetchscene_try(&scene, (struct httpclient_request){ .url = urls[i] }) != NULL)
            fail_msg("%s is accepted", urls[i]);
        assert_int_equal(errno, EINVAL);
    }
    errno = 0;
    assert_null(fetchscene_try(&scene, (struct httpclient_request){ .url = NULL }));
    assert_int_equal(errno, EINVAL);
    fetchscene_expect_pool(&scene, 0, 0, 0);
    fetchscene_close(&scene);
}

static void schemes_that_are_not_there_are_refused(void **state)
{
    static const char *const urls[] = { "https://127.0.0.1/", "file:///etc/passwd", "ftp://a/", "ws://a/",
                                        "javascript:1" };

    open_scene(NULL);
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        assert_null(fetchscene_try(&scene, (struct httpclient_request){ .url = urls[i] }));
        assert_true(errno == EPROTONOSUPPORT || errno == EINVAL);
    }
    assert_null(fetchscene_try(&scene, (struct httpclient_request){ .url = "https://127.0.0.1/" }));
    assert_int_equal(errno, EPROTONOSUPPORT);
    fetchscene_close(&scene);
}

static void targets_are_what_the_url_says(void **state)
{
    static const char *const rows[][2] = {
        { "", "/" },        { "/", "/" },           { "?a=b", "/?a=b" },        { "#a", "/" },
        { "/a#b?c", "/a" }, { "/a?b#c", "/a?b" },   { "/a/../b", NULL },        { "//b", "//b" },
        { "/%41", "/%41" }, { "/a?b?c", "/a?b?c" }, { "/\xc3\xa9", "/%C3%A9" }, { "/a?\xff", "/a?%FF" },
        { "/@", "/@" },     { "/a:b", "/a:b" },     { "/a;b", "/a;b" },
    };
    char url[128];

    open_scene(NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(url, sizeof url, "%s%s", scene.base, rows[i][0]);
        struct fetchscene_request seen = exchange((struct httpclient_request){ .url = url });
        if (rows[i][1] != NULL)
            assert_string_equal(seen.target, rows[i][1]);
    }
    fetchscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(methods_have_the_bodies_that_they_should),
    cmocka_unit_test(a_post_is_a_form_unless_it_says_what_it_is),
    cmocka_unit_test(a_body_is_sent_byte_for_byte),
    cmocka_unit_test(what_a_fetch_was_given_may_go_when_the_call_returns),
    cmocka_unit_test(a_lent_body_is_given_back_once_when_it_is_sent_refused_or_dropped),
    cmocka_unit_test(a_lent_body_of_a_refused_fetch_stays_the_callers),
    cmocka_unit_test(headers_are_sent_as_they_are_in_their_order),
    cmocka_unit_test(a_request_and_its_headers_may_be_used_again),
    cmocka_unit_test(bytes_above_ascii_in_a_header_are_sent_as_they_are),
    cmocka_unit_test(no_text_of_a_request_can_begin_a_line),
    cmocka_unit_test(host_is_the_authority_without_user_and_without_a_usual_port),
    cmocka_unit_test(the_user_agent_is_ours_the_requests_or_that_of_its_headers),
    cmocka_unit_test(framing_headers_of_the_program_do_not_go_out),
    cmocka_unit_test(a_host_of_the_program_goes_out_instead_of_the_urls),
    cmocka_unit_test(a_request_that_says_close_has_a_connection_of_its_own),
    cmocka_unit_test(if_modified_since_is_a_date),
    cmocka_unit_test(urls_that_are_none_are_refused),
    cmocka_unit_test(schemes_that_are_not_there_are_refused),
    cmocka_unit_test(targets_are_what_the_url_says),
};

TESTING_MAIN(tests)
