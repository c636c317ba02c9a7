/* Users and passwords. */
#include "tests/support/testing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/fetchscene.h"

#define HI "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

static struct fetchscene scene;
static struct fetchscene_request seen;

/* A url with this user and password. */
static const char *url_with(const char *userinfo)
{
    static char url[256];

    snprintf(url, sizeof url, "http://%s@127.0.0.1:%d/path", userinfo, scene.ports[FETCHSCENE_FIRST]);
    return url;
}

/* httpclient_test:test_basic_auth, httpclient_test:test_basic_auth_explicit_mode (there is no other here),
 * httpclient_test:test_basic_auth_unicode */
static void user_and_password_go_out_as_basic_authentication(void **state)
{
    static const char *const rows[][3] = {
        { "Aladdin", "open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==" },
        { "Aladdin", "", "Basic QWxhZGRpbjo=" },
        { "Aladdin", NULL, "Basic QWxhZGRpbjo=" },
        { "", "open sesame", "Basic Om9wZW4gc2VzYW1l" },
        { "Aladdin", "open:sesame", "Basic QWxhZGRpbjpvcGVuOnNlc2FtZQ==" },
        { "test", "123\xc2\xa3", "Basic dGVzdDoxMjPCow==" }, /* RFC 7617 2.1 */
        { "caf\xc3\xa9", "\xc3\xbc", "Basic Y2Fmw6k6w7w=" },
    };

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fetchscene_exchange(
            &scene, (struct httpclient_request){ .url = "/", .auth_username = rows[i][0], .auth_password = rows[i][1] },
            &seen);
        assert_string_equal(fetchscene_request_header(&seen, "Authorization"), rows[i][2]);
    }
    fetchscene_close(&scene);
}

/* httpclient_test:test_unsupported_auth_mode: there is Basic only, and what that cannot carry is refused. */
static void what_basic_cannot_carry_is_refused(void **state)
{
    static const char *const rows[][2] = { { "a:b", "c" }, { "a\n", "c" }, { "a", "c\r\nX: y" }, { "a", "\x7f" } };

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_null(fetchscene_try(&scene, (struct httpclient_request){
                                               .url = "/", .auth_username = rows[i][0], .auth_password = rows[i][1] }));
        assert_int_equal(errno, EINVAL);
    }
    assert_null(fetchscene_try(&scene, (struct httpclient_request){ .url = url_with("a%0ab:c") }));
    assert_int_equal(errno, EINVAL);
    assert_null(fetchscene_try(&scene, (struct httpclient_request){ .url = url_with("a%3ab:c") }));
    assert_int_equal(errno, EINVAL);
    assert_null(fetchscene_try(&scene, (struct httpclient_request){ .url = url_with("a:b%00c") }));
    assert_int_equal(errno, EINVAL);
    fetchscene_expect_no_connection(&scene);
    fetchscene_close(&scene);
}

/* httpclient_test:test_credentials_in_url */
static void user_and_password_of_the_url_are_decoded(void **state)
{
    static const char *const rows[][2] = {
        { "me:secret", "Basic bWU6c2VjcmV0" },
        { "me", "Basic bWU6" },
        { "me:", "Basic bWU6" },
        { "u:p%40x", "Basic dTpwQHg=" },
        { "u:p:x", "Basic dTpwOng=" },
        { "%63af%C3%A9:%20", "Basic Y2Fmw6k6IA==" },
    };

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fetchscene_exchange(&scene, (struct httpclient_request){ .url = url_with(rows[i][0]) }, &seen);
        assert_string_equal(fetchscene_request_header(&seen, "Authorization"), rows[i][1]);
        assert_string_equal(seen.target, "/path");
        assert_string_equal(fetchscene_request_header(&seen, "Host"), scene.base + strlen("http://"));
        assert_null(fetchscene_request_header(&seen, "Referer"));
    }
    fetchscene_close(&scene);
}

static void the_url_wins_over_the_fields_and_they_over_headers(void **state)
{
    struct httpheaders headers = { 0 };

    fetchscene_open(&scene, NULL);
    assert_int_equal(httpheaders_add(&headers, "authorization", "Other"), 0);
    struct httpclient_request request = { .url = "/", .headers = &headers };
    fetchscene_exchange(&scene, request, &seen);
    assert_string_equal(fetchscene_request_header(&seen, "Authorization"), "Other");
    request.auth_username = "Aladdin";
    request.auth_password = "open sesame";
    fetchscene_exchange(&scene, request, &seen);
    assert_string_equal(fetchscene_request_header(&seen, "Authorization"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    assert_null(strstr(seen.head, "Other"));
    request.url = url_with("me:secret");
    fetchscene_exchange(&scene, request, &seen);
    assert_string_equal(fetchscene_request_header(&seen, "Authorization"), "Basic bWU6c2VjcmV0");
    httpheaders_free(&headers);
    fetchscene_close(&scene);
}

/* F2 */
static void a_password_is_told_to_nobody(void **state)
{
    char url[128];

    fetchscene_open(&scene, NULL);
    int port = scene.ports[FETCHSCENE_SECOND];
    close(scene.listeners[FETCHSCENE_SECOND]);
    scene.listeners[FETCHSCENE_SECOND] = dup(scene.listeners[FETCHSCENE_FIRST]);
    snprintf(url, sizeof url, "http://joe:hunter2@127.0.0.1:%d/", port);
    struct fetchscene_fetch *fetch = fetchscene_get(&scene, url);
    fetchscene_expect_error(&scene, fetch, -ECONNREFUSED, HTTPCLIENT_CONNECT);
    assert_null(strstr(fetch->detail, "hunter2"));
    assert_null(strstr(fetch->detail, "joe"));
    assert_null(strstr(fetch->url, "joe"));

    fetch = fetchscene_get(&scene, url_with("joe:hunter2"));
    struct fetchscene_peer *peer = fetchscene_serve(&scene, NULL, "garbage\r\n\r\n");
    fetchscene_expect_error(&scene, fetch, -EPROTO, HTTPCLIENT_HEAD);
    assert_null(strstr(fetch->detail, "hunter2"));
    assert_null(strstr(fetch->url, "joe"));
    fetchscene_hang_up(peer);

    fetch = fetchscene_get(&scene, url_with("joe:hunter2"));
    fetchscene_pass(&scene, 100);
    fetchscene_expect_error(&scene, fetch, -ETIMEDOUT, FETCHSCENE_ANY_PHASE);
    assert_null(fetchscene_try(&scene, (struct httpclient_request){ .url = "http://joe:hunter2@a b/" }));
    assert_int_equal(testing_logs("hunter2"), 0);
    assert_int_equal(testing_logs("joe"), 0);
    fetchscene_close(&scene);
    testing_end_logs();
}

/* F5: on one connection, the next request's own. */
static void users_of_one_request_are_not_those_of_the_next(void **state)
{
    struct fetchscene_peer *peer = NULL;

    fetchscene_open(&scene, NULL);
    for (int turn = 0; turn < 3; turn++) {
        struct fetchscene_fetch *fetch =
            fetchscene_fetch(&scene, (struct httpclient_request){ .url = "/",
                                                                  .auth_username = turn == 1   ? NULL
                                                                                   : turn == 0 ? "a"
                                                                                               : "b" });

        if (peer == NULL)
            peer = fetchscene_accept(&scene);
        fetchscene_take_request(&scene, peer, &seen);
        if (turn == 1)
            assert_null(fetchscene_request_header(&seen, "Authorization"));
        else
            assert_string_equal(fetchscene_request_header(&seen, "Authorization"),
                                turn == 0 ? "Basic YTo=" : "Basic Yjo=");
        fetchscene_put(&scene, peer, HI);
        fetchscene_expect(&scene, fetch, 200, "hi");
    }
    fetchscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(user_and_password_go_out_as_basic_authentication),
    cmocka_unit_test(what_basic_cannot_carry_is_refused),
    cmocka_unit_test(user_and_password_of_the_url_are_decoded),
    cmocka_unit_test(the_url_wins_over_the_fields_and_they_over_headers),
    cmocka_unit_test(a_password_is_told_to_nobody),
    cmocka_unit_test(users_of_one_request_are_not_those_of_the_next),
};

TESTING_MAIN(tests)
