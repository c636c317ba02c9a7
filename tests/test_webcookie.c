/* Cookies and users; the token against forged requests is in test_webcookie_xsrf.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "httpserver/httpdate.h"
#include "httpserver/web.h"
#include "tests/support/testing.h"
#include "tests/support/webscene.h"

#define SECRET "0123456789abcdef0123456789abcdef"

static web_fn *act;

static void do_act(struct web_request *request)
{
    act(request);
}

static const struct web_handler acts = { .get = do_act, .head = do_act, .post = do_act };
static const struct web_route routes[] = { { .pattern = "/.*", .handler = &acts }, { 0 } };

static void open_scene(struct webscene *scene, web_fn *function, const struct web_settings *settings)
{
    act = function;
    webscene_open(scene, routes, settings);
}

/* Reading. */

static void say_cookie(struct web_request *request)
{
    web_write(request, web_get_cookie(request, "foo", "default"));
    assert_null(web_get_cookie(request, "nobody", NULL));
}

/* web_test:test_get_cookie */
static void cookies_are_read(void **state)
{
    static const struct {
        const char *header, *value;
    } cases[] = {
        { "Cookie: foo=bar\r\n", "bar" },
        { "Cookie: foo=\"bar\"\r\n", "bar" },
        { "Cookie: /=exception;\r\n", "default" },
        { "", "default" },
        { "Cookie: foo=\r\n", "" },
        { "Cookie: a=b; foo=c; foo=d\r\n", "d" },
    };
    struct webscene scene;

    open_scene(&scene, say_cookie, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        webscene_expect(&scene, "GET /", cases[i].header, NULL, 200, cases[i].value);
    webscene_close(&scene);
}

static void too_many_cookies_are_told_to_the_log(void **state)
{
    char header[2048] = "Cookie: ";
    struct webscene scene;

    open_scene(&scene, say_cookie, NULL);
    for (int i = 0; i < HTTPCOOKIES_MAX; i++)
        sprintf(header + strlen(header), "c%d=x; ", i);
    strcat(header, "foo=bar\r\n");
    webscene_expect(&scene, "GET /", header, NULL, 200, "default");
    assert_int_equal(testing_logs("W not all cookies are read"), 1);
    webscene_close(&scene);
}

/* Setting. */

static void set_several(struct web_request *request)
{
    assert_int_equal(web_set_cookie(request, "str", "asdf", NULL), 0);
    assert_int_equal(web_set_cookie(request, "a", "b", NULL), 0);
    assert_int_equal(web_set_cookie(request, "A", "other", NULL), 0);
    assert_int_equal(web_set_cookie(request, "ab", "longer", NULL), 0);
    assert_int_equal(
        web_set_cookie(request, "domain", "blah", &(struct httpcookie_options){ .domain = "foo.com", .path = "/foo" }),
        0);
    assert_int_equal(web_set_cookie(request, "a", "c", &(struct httpcookie_options){ .path = "/x" }), 0);
    assert_int_equal(web_set_cookie(request, "equals", "a=b", NULL), 0);
    assert_int_equal(web_set_cookie(request, "semicolon", "a;b", NULL), 0);
    assert_int_equal(web_set_cookie(request, "quote", "a\"b", NULL), 0);
    assert_int_equal(web_set_cookie(request, "age", "x", &(struct httpcookie_options){ .max_age = 10 }), 0);
    assert_int_equal(
        web_set_cookie(request, "flags", "x", &(struct httpcookie_options){ .secure = false, .http_only = true }), 0);
}

/* web_test:test_set_cookie, web_test:test_set_cookie_domain, web_test:test_cookie_special_char,
 * web_test:test_set_cookie_overwrite, web_test:test_set_cookie_max_age, web_test:test_set_cookie_false_flags */
static void cookies_are_set(void **state)
{
    static const char *const expected[] = {
        "str=asdf; Path=/",
        "A=other; Path=/",
        "ab=longer; Path=/",
        "domain=blah; Domain=foo.com; Path=/foo",
        "a=c; Path=/x",
        "equals=\"a=b\"; Path=/",
        "semicolon=\"a\\073b\"; Path=/",
        "quote=\"a\\\"b\"; Path=/",
        "age=x; Max-Age=10; Path=/",
        "flags=x; HttpOnly; Path=/",
        NULL,
    };
    struct webscene scene;

    open_scene(&scene, set_several, NULL);
    webscene_expect(&scene, "GET /", NULL, NULL, 200, "");
    for (int i = 0; i < (int)(sizeof expected / sizeof *expected); i++) {
        const char *value = webscene_header_at(&scene, "Set-Cookie", i);
        if ((value == NULL) != (expected[i] == NULL) || (value != NULL && strcmp(value, expected[i]) != 0))
            fail_msg("%s, not %s", value, expected[i]);
    }
    webscene_close(&scene);
}

static void set_forbidden(struct web_request *request)
{
    static const struct httpcookie_options domain = { .domain = "a;b" }, path = { .path = "/; Domain=evil" },
                                           same_site = { .same_site = "None; Secure" }, control = { .path = "/\x01" };

    assert_int_equal(web_set_cookie(request, "a b", "x", NULL), -EINVAL);
    assert_int_equal(web_set_cookie(request, "a;b", "x", NULL), -EINVAL);
    assert_int_equal(web_set_cookie(request, "", "x", NULL), -EINVAL);
    assert_int_equal(web_set_cookie(request, "a", "x", &domain), -EINVAL);
    assert_int_equal(web_set_cookie(request, "a", "x", &path), -EINVAL);
    assert_int_equal(web_set_cookie(request, "a", "x", &same_site), -EINVAL);
    assert_int_equal(web_set_cookie(request, "a", "x", &control), -EINVAL);
    assert_int_equal(web_clear_cookie(request, "a b", NULL), -EINVAL);
    web_write(request, "fine");
}

/* web_test:test_set_cookie_forbidden_char */
static void what_cannot_be_in_a_cookie_is_not_set(void **state)
{
    struct webscene scene;

    open_scene(&scene, set_forbidden, NULL);
    webscene_expect(&scene, "GET /", NULL, NULL, 200, "fine");
    webscene_expect_header(&scene, "Set-Cookie", NULL);
    webscene_close(&scene);
}

/* Is the expiry of this cookie so many days from now? */
static void expect_expiry(const char *cookie, const char *name, double days)
{
    char word[64];
    int64_t expires, now = time(NULL);

    assert_non_null(cookie);
    snprintf(word, sizeof word, "%s=", name);
    assert_ptr_equal(strstr(cookie, word), cookie);
    const char *date = strstr(cookie, "expires=");
    assert_non_null(date);
    assert_true(httpdate_parse(date + 8, HTTPDATE_LENGTH, now, &expires));
    assert_in_range(expires - now - (int64_t)(days * 86400) + 10, 0, 20);
}

static void set_for_days(struct web_request *request)
{
    web_set_cookie(request, "foo", "bar", &(struct httpcookie_options){ .expires_days = 10 });
    web_clear_all_cookies(request);
    web_clear_cookie(request, "other",
                     &(struct httpcookie_options){ .expires = 4102444800, .max_age = 60, .domain = "foo.com" });
}

/* web_test:test_set_cookie_expires_days, web_test:test_clear_all_cookies */
static void cookies_expire_after_days_or_when_they_are_cleared(void **state)
{
    struct webscene scene;

    open_scene(&scene, set_for_days, NULL);
    webscene_expect(&scene, "GET /", "Cookie: baz=asdf; odd name=x; =y; bar=qwer\r\n", NULL, 200, "");
    expect_expiry(webscene_header_at(&scene, "Set-Cookie", 0), "foo", 10);
    expect_expiry(webscene_header_at(&scene, "Set-Cookie", 1), "baz", -365);
    expect_expiry(webscene_header_at(&scene, "Set-Cookie", 2), "bar", -365);
    assert_non_null(strstr(webscene_header_at(&scene, "Set-Cookie", 2), "bar=\"\"; "));
    expect_expiry(webscene_header_at(&scene, "Set-Cookie", 3), "other", -365);
    assert_null(strstr(webscene_header_at(&scene, "Set-Cookie", 3), "Max-Age"));
    assert_non_null(strstr(webscene_header_at(&scene, "Set-Cookie", 3), "Domain=foo.com"));
    assert_null(webscene_header_at(&scene, "Set-Cookie", 4));
    webscene_close(&scene);
}

static char long_path[1000];

static void set_attributes(struct web_request *request)
{
    assert_int_equal(web_set_cookie(request, "a", "b", &(struct httpcookie_options){ .path = long_path }), 0);
}

static void attributes_may_be_long(void **state)
{
    struct webscene scene;

    memset(long_path, '/', sizeof long_path - 1);
    open_scene(&scene, set_attributes, NULL);
    webscene_expect(&scene, "GET /", NULL, NULL, 200, "");
    assert_non_null(strstr(webscene_header(&scene, "Set-Cookie"), long_path));
    webscene_close(&scene);
}

static void set_long(struct web_request *request)
{
    char value[3001];

    memset(value, ';', sizeof value - 1); /* each becomes four bytes */
    value[sizeof value - 1] = '\0';
    assert_int_equal(web_set_cookie(request, "long", value, NULL), 0);
    for (int i = 0; i < 150; i++) {
        snprintf(value, sizeof value, "name%d", i);
        web_set_cookie(request, value, "x", NULL);
    }
}

static void too_much_of_cookies_is_500(void **state)
{
    struct webscene scene;

    open_scene(&scene, set_long, NULL);
    webscene_expect(&scene, "GET /", NULL, NULL, 500, "");
    webscene_close(&scene);
}

/* What a call that failed has answered: no cookie is better than an empty one. */
static void set_none(struct web_request *request)
{
    assert_int_equal(web_set_cookie(request, "a", NULL, NULL), -EINVAL);
    web_write(request, "none");
}

static void set_missing(struct web_request *request)
{
    assert_int_equal(web_set_cookie(request, "a", web_get_argument(request, "missing", NULL), NULL), -EPIPE);
}

static void a_cookie_without_a_value_is_not_set(void **state)
{
    struct webscene scene;

    open_scene(&scene, set_none, NULL);
    webscene_expect(&scene, "GET /", NULL, NULL, 200, "none");
    webscene_expect_header(&scene, "Set-Cookie", NULL);
    act = set_missing;
    webscene_expect(&scene, "GET /", NULL, NULL, 400, NULL);
    webscene_close(&scene);
}

/* Signed ones. */

static void set_signed(struct web_request *request)
{
    assert_int_equal(web_set_signed_cookie(request, "user", "b\0n", 3, NULL), 0);
    assert_int_equal(web_set_signed_cookie(request, "short", "x", 1, &(struct httpcookie_options){ .max_age = 60 }), 0);
}

static void get_signed(struct web_request *request)
{
    size_t length = 99;
    const char *value = web_get_signed_cookie(request, "user", 0, &length);

    if (value == NULL)
        assert_int_equal(length, 0);
    web_printf(request, "%zu:%s:%d", length, value != NULL ? value : "none",
               web_get_signed_cookie_key_version(request, "user"));
    assert_true(web_get_signed_cookie(request, "user", 0, NULL) == NULL || value != NULL);
}

static void copy_cookie(const struct webscene *scene, char *header, size_t size)
{
    const char *cookie = webscene_header(scene, "Set-Cookie");

    assert_non_null(cookie);
    snprintf(header, size, "Cookie: %.*s\r\n", (int)strcspn(cookie, ";"), cookie);
}

/* web_test:test_round_trip */
static void a_signed_cookie_comes_back(void **state)
{
    char header[512];
    struct webscene scene;

    open_scene(&scene, set_signed, &(struct web_settings){ .cookie_secret = SECRET });
    webscene_expect(&scene, "GET /", NULL, NULL, 200, "");
    expect_expiry(webscene_header_at(&scene, "Set-Cookie", 0), "user", 30);
    assert_null(strstr(webscene_header_at(&scene, "Set-Cookie", 1), "expires"));
    copy_cookie(&scene, header, sizeof header);
    act = get_signed;
    webscene_expect(&scene, "GET /", header, NULL, 200, "3:b:0");
    webscene_expect(&scene, "GET /", NULL, NULL, 200, "0:none:-2");
    webscene_expect(&scene, "GET /", "Cookie: user=forged\r\n", NULL, 200, "0:none:-22");
    header[strlen(header) - 3] ^= 1;
    webscene_expect(&scene, "GET /", header, NULL, 200, "0:none:0");
    webscene_close(&scene);
}

static void set_signed_emptiness(struct web_request *request)
{
    assert_int_equal(web_set_signed_cookie(request, "user", "", 0, NULL), 0);
}

static void a_signed_cookie_may_be_empty(void **state)
{
    char header[512];
    struct webscene scene;

    open_scene(&scene, set_signed_emptiness, &(struct web_settings){ .cookie_secret = SECRET });
    webscene_expect(&scene, "GET /", NULL, NULL, 200, "");
    copy_cookie(&scene, header, sizeof header);
    act = get_signed;
    webscene_expect(&scene, "GET /", header, NULL, 200, "0::0");
    webscene_close(&scene);
}

static void set_without_secret(struct web_request *request)
{
    assert_int_equal(web_set_signed_cookie(request, "user", "x", 1, NULL), -EINVAL);
    assert_null(web_get_signed_cookie(request, "user", 0, NULL));
    web_write(request, "no secret");
}

static void without_a_secret_nothing_is_signed(void **state)
{
    struct webscene scene;

    open_scene(&scene, set_without_secret, NULL);
    webscene_expect(&scene, "GET /", "Cookie: user=x\r\n", NULL, 200, "no secret");
    assert_int_equal(testing_logs("E a signed cookie needs cookie_secret"), 1);
    webscene_close(&scene);
}

/* web_test:test_key_version_roundtrip, web_test:test_key_version_roundtrip_differing_version,
 * web_test:test_key_version_increment_version, web_test:test_key_version_invalidate_version */
static void keys_can_be_changed(void **state)
{
    static const struct httpsigned_key both[] = { { 0, "ajklasdf0ojaisdf" }, { 1, "aslkjasaolwkjsdf" }, { 0, NULL } };
    static const struct httpsigned_key second[] = { { 1, "aslkjasaolwkjsdf" }, { 0, NULL } };
    static const struct {
        const struct httpsigned_key *keys;
        int version;
        const struct httpsigned_key *later;
        const char *body;
    } cases[] = {
        { both, 0, both, "3:b:0" },
        { both, 1, both, "3:b:1" },
        { both, 1, second, "3:b:1" },
        { both, 0, second, "0:none:0" },
    };
    char header[512];
    struct webscene scene;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        open_scene(&scene, set_signed,
                   &(struct web_settings){ .cookie_keys = cases[i].keys, .key_version = cases[i].version });
        webscene_expect(&scene, "GET /", NULL, NULL, 200, "");
        copy_cookie(&scene, header, sizeof header);
        webscene_close(&scene);
        open_scene(&scene, get_signed, &(struct web_settings){ .cookie_keys = cases[i].later, .key_version = 1 });
        webscene_expect(&scene, "GET /", header, NULL, 200, cases[i].body);
        webscene_close(&scene);
    }
}

/* Users. */

static int asked;

static const char *user_of_cookie(struct web_request *request)
{
    asked++;
    return web_get_cookie(request, "user", NULL);
}

static void say_user(struct web_request *request)
{
    const char *user = web_current_user(request);

    assert_ptr_equal(web_current_user(request), user);
    web_write(request, user != NULL ? user : "nobody");
}

static void set_user(struct web_request *request)
{
    char name[] = "Ben";

    web_set_current_user(request, name);
    name[0] = 'X';
}

static void forget_user(struct web_request *request)
{
    web_set_current_user(request, NULL);
}

static void say_nothing(struct web_request *request)
{
    web_write(request, "ok");
}

/* web_test:test_set_properties, web_test:test_get_current_user_is_lazy, web_test:test_get_current_user_works */
static void the_user_is_asked_for_once_or_set(void **state)
{
    static const struct web_handler asks = { .get = say_user, .get_current_user = user_of_cookie };
    static const struct web_handler sets = { .get = say_user, .get_current_user = user_of_cookie, .prepare = set_user };
    static const struct web_handler forgets = { .get = say_user,
                                                .get_current_user = user_of_cookie,
                                                .prepare = forget_user };
    static const struct web_handler lazy = { .get = say_nothing, .get_current_user = user_of_cookie };
    static const struct web_handler without = { .get = say_user };
    static const struct web_route own[] = {
        { .pattern = "/asks", .handler = &asks },       { .pattern = "/sets", .handler = &sets },
        { .pattern = "/forgets", .handler = &forgets }, { .pattern = "/lazy", .handler = &lazy },
        { .pattern = "/without", .handler = &without }, { 0 },
    };
    struct webscene scene;

    webscene_open(&scene, own, NULL);
    asked = 0;
    webscene_expect(&scene, "GET /lazy", "Cookie: user=ann\r\n", NULL, 200, "ok");
    webscene_expect(&scene, "GET /sets", "Cookie: user=ann\r\n", NULL, 200, "Ben");
    webscene_expect(&scene, "GET /forgets", "Cookie: user=ann\r\n", NULL, 200, "nobody");
    assert_int_equal(asked, 0);
    webscene_expect(&scene, "GET /asks", "Cookie: user=ann\r\n", NULL, 200, "ann");
    assert_int_equal(asked, 1);
    webscene_expect(&scene, "GET /asks", NULL, NULL, 200, "nobody");
    assert_int_equal(asked, 2);
    webscene_expect(&scene, "GET /without", NULL, NULL, 200, "nobody");
    webscene_close(&scene);
}

static void need_user(struct web_request *request)
{
    bool is_somebody = web_authenticated(request);

    assert_true(web_finished(request) != is_somebody);
    web_write(request, "welcome");
}

/* web_test:test_relative_auth_redirect, web_test:test_absolute_auth_redirect */
static void who_is_nobody_is_sent_to_log_in(void **state)
{
    static const struct {
        const char *login_url, *request, *location; /* NULL: 403 */
    } cases[] = {
        { "/login", "GET /relative", "/login?next=%2Frelative" },
        { "/login", "GET //evil.example/x", "/login?next=%2Fevil.example%2Fx" },
        { "/login", "GET /\\evil.example", "/login?next=%2Fevil.example" },
        { "/login", "HEAD /relative?a=b&c", "/login?next=%2Frelative%3Fa%3Db%26c" },
        { "http://example.com/login", "GET /absolute",
          "http://example.com/login?next=http%3A%2F%2Fexample.org%2Fabsolute" },
        { "/login?from=here", "GET /relative", "/login?from=here" },
        { "/login", "POST /relative", NULL },
        { NULL, "GET /relative", NULL },
    };
    static const struct web_handler handler = {
        .get = need_user, .head = need_user, .post = need_user, .get_current_user = user_of_cookie
    };
    static const struct web_route own[] = { { .pattern = "/.*", .handler = &handler }, { 0 } };
    struct webscene scene;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        webscene_open(&scene, own, &(struct web_settings){ .login_url = cases[i].login_url });
        webscene_expect(&scene, cases[i].request, NULL, NULL, cases[i].location != NULL ? 302 : 403, NULL);
        webscene_expect_header(&scene, "Location", cases[i].location);
        webscene_expect(&scene, "GET /", "Cookie: user=ann\r\n", NULL, 200, "welcome");
        webscene_close(&scene);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(cookies_are_read),
    cmocka_unit_test(too_many_cookies_are_told_to_the_log),
    cmocka_unit_test(cookies_are_set),
    cmocka_unit_test(what_cannot_be_in_a_cookie_is_not_set),
    cmocka_unit_test(cookies_expire_after_days_or_when_they_are_cleared),
    cmocka_unit_test(attributes_may_be_long),
    cmocka_unit_test(too_much_of_cookies_is_500),
    cmocka_unit_test(a_cookie_without_a_value_is_not_set),
    cmocka_unit_test(a_signed_cookie_comes_back),
    cmocka_unit_test(a_signed_cookie_may_be_empty),
    cmocka_unit_test(without_a_secret_nothing_is_signed),
    cmocka_unit_test(keys_can_be_changed),
    cmocka_unit_test(the_user_is_asked_for_once_or_set),
    cmocka_unit_test(who_is_nobody_is_sent_to_log_in),
};

TESTING_MAIN(tests)
