/* The token against forged requests: Tornado's XSRFTest. */
#include <stdio.h>
#include <string.h>

#include "httpserver/web.h"
#include "tests/support/testing.h"
#include "tests/support/webscene.h"

#define FORM "Content-Type: application/x-www-form-urlencoded\r\n"

static void say_token(struct web_request *request)
{
    const char *first = web_xsrf_token(request), *second = web_xsrf_token(request);

    assert_non_null(first);
    assert_non_null(second);
    assert_string_not_equal(first, second); /* each rendering is masked anew */
    web_write(request, first);
}

static void say_form(struct web_request *request)
{
    web_write(request, web_xsrf_form_html(request));
}

static void say_ok(struct web_request *request)
{
    web_write(request, "ok");
}

static const char *a_user(struct web_request *request)
{
    return "ann";
}

static void write_token(struct web_request *request, int status)
{
    web_write(request, web_xsrf_token(request));
}

static const struct web_handler handler = {
    .get = say_token, .head = say_ok, .options = say_ok, .post = say_ok, .put = say_ok, .delete_ = say_ok
};
static const struct web_handler form = { .get = say_form };
static const struct web_handler unchecked = { .post = say_ok, .no_xsrf_check = true };
static const struct web_handler offers = { .post = say_ok, .write_error = write_token };
static const struct web_handler with_user = { .get = say_token, .get_current_user = a_user };
static const struct web_route routes[] = { { .pattern = "/", .handler = &handler },
                                           { .pattern = "/form", .handler = &form },
                                           { .pattern = "/unchecked", .handler = &unchecked },
                                           { .pattern = "/offers", .handler = &offers },
                                           { .pattern = "/user", .handler = &with_user },
                                           { 0 } };

struct tokens {
    char token[256], cookie[320]; /* as given to a page, and as a header of the client */
};

static struct tokens get_tokens(struct webscene *scene, const char *cookie_name)
{
    struct tokens tokens;

    webscene_expect(scene, "GET /", NULL, NULL, 200, NULL);
    snprintf(tokens.token, sizeof tokens.token, "%s", scene->body);
    const char *cookie = webscene_header(scene, "Set-Cookie");
    assert_non_null(cookie);
    assert_ptr_equal(strstr(cookie, cookie_name), cookie);
    snprintf(tokens.cookie, sizeof tokens.cookie, "Cookie: %.*s\r\n", (int)strcspn(cookie, ";"), cookie);
    return tokens;
}

static void post(struct webscene *scene, const char *headers, const char *token, int status)
{
    char all[1024], body[512];

    snprintf(all, sizeof all, FORM "%s", headers);
    snprintf(body, sizeof body, "a=b&_xsrf=%s", token != NULL ? token : "");
    webscene_expect(scene, "POST /", all, token != NULL ? body : NULL, status, NULL);
}

static void open_scene(struct webscene *scene)
{
    webscene_open(scene, routes, &(struct web_settings){ .xsrf_cookies = true });
}

/* web_test:test_xsrf_fail_no_token, web_test:test_xsrf_fail_body_no_cookie, web_test:test_xsrf_fail_cookie_no_body,
 * web_test:test_xsrf_fail_argument_invalid_format, web_test:test_xsrf_fail_cookie_invalid_format */
static void without_the_token_it_is_403(void **state)
{
    struct webscene scene;

    open_scene(&scene);
    struct tokens tokens = get_tokens(&scene, "_xsrf=");
    post(&scene, "", NULL, 403);
    post(&scene, "", tokens.token, 403);
    post(&scene, tokens.cookie, NULL, 403);
    post(&scene, tokens.cookie, "", 403);
    post(&scene, tokens.cookie, "3|", 403);
    post(&scene, tokens.cookie, "2|zz|zz|1", 403);
    post(&scene, "Cookie: _xsrf=3|\r\n", tokens.token, 403);
    post(&scene, tokens.cookie, "x", 403);
    assert_int_equal(testing_logs("W 403 POST / (127.0.0.1): '_xsrf' argument missing"), 3);
    assert_int_equal(testing_logs("W 403 POST / (127.0.0.1): '_xsrf' argument has invalid format"), 2);
    assert_int_equal(testing_logs("W 403 POST / (127.0.0.1): XSRF cookie does not match"), 3);
    webscene_expect(&scene, "PUT /", tokens.cookie, NULL, 403, NULL);
    webscene_expect(&scene, "DELETE /", tokens.cookie, NULL, 403, NULL);
    webscene_expect(&scene, "DELETE /", "X-Requested-With: XMLHttpRequest\r\n", NULL, 403, NULL);
    webscene_expect(&scene, "HEAD /", NULL, NULL, 200, NULL);
    webscene_expect(&scene, "OPTIONS /", NULL, NULL, 200, NULL);
    webscene_expect(&scene, "POST /unchecked", NULL, "x", 200, "ok");
    webscene_close(&scene);
}

/* web_test:test_xsrf_success_post_body, web_test:test_xsrf_success_query_string, web_test:test_xsrf_success_header,
 * web_test:test_xsrf_success_short_token, web_test:test_xsrf_success_non_hex_token */
static void the_token_may_come_in_body_query_or_header(void **state)
{
    char request[512], headers[1024];
    struct webscene scene;

    open_scene(&scene);
    struct tokens tokens = get_tokens(&scene, "_xsrf=");
    post(&scene, tokens.cookie, tokens.token, 200);
    snprintf(request, sizeof request, "POST /?_xsrf=%s", tokens.token);
    webscene_expect(&scene, request, tokens.cookie, "x", 200, "ok");
    snprintf(headers, sizeof headers, "%sX-Xsrftoken: %s\r\n", tokens.cookie, tokens.token);
    webscene_expect(&scene, "POST /", headers, "x", 200, "ok");
    snprintf(headers, sizeof headers, "%sX-Csrftoken: %s\r\n", tokens.cookie, tokens.token);
    webscene_expect(&scene, "POST /", headers, "x", 200, "ok");
    snprintf(headers, sizeof headers, "%sX-Xsrftoken:\r\nX-Csrftoken: %s\r\n", tokens.cookie, tokens.token);
    webscene_expect(&scene, "POST /", headers, "x", 200, "ok");
    post(&scene, "Cookie: _xsrf=\"deadbeef\"\r\n", "deadbeef", 200);
    post(&scene, "Cookie: _xsrf=\"xoxo\"\r\n", "xoxo", 200);
    webscene_expect(&scene, "POST /?_xsrf=%FF", tokens.cookie, "x", 400, NULL);
    webscene_close(&scene);
}

/* web_test:test_distinct_tokens, web_test:test_cross_user, web_test:test_refresh_token */
static void a_token_is_of_one_browser(void **state)
{
    struct webscene scene;

    open_scene(&scene);
    struct tokens first = get_tokens(&scene, "_xsrf="), second = get_tokens(&scene, "_xsrf=");
    assert_string_not_equal(first.token, second.token);
    assert_string_not_equal(first.cookie, second.cookie);
    post(&scene, first.cookie, first.token, 200);
    post(&scene, second.cookie, second.token, 200);
    post(&scene, first.cookie, second.token, 403);
    post(&scene, second.cookie, first.token, 403);
    for (int i = 0; i < 3; i++) {
        webscene_expect(&scene, "GET /", first.cookie, NULL, 200, NULL);
        webscene_expect_header(&scene, "Set-Cookie", NULL);
        assert_string_not_equal(scene.body, first.token);
        post(&scene, first.cookie, scene.body, 200);
        post(&scene, first.cookie, first.token, 200);
    }
    webscene_close(&scene);
}

/* web_test:test_xsrf_fail_no_token, web_test:test_xsrf_fail_body_no_cookie, web_test:test_xsrf_success_post_body, of
 * XSRFCookieNameTest, and web_test:test_xsrf_httponly */
static void the_cookie_may_have_another_name_and_options(void **state)
{
    static const struct httpcookie_options options = { .http_only = true, .expires_days = 2, .same_site = "Strict" };
    struct webscene scene;

    webscene_open(&scene, routes,
                  &(struct web_settings){
                      .xsrf_cookies = true, .xsrf_cookie_name = "__Host-xsrf", .xsrf_cookie_options = &options });
    struct tokens tokens = get_tokens(&scene, "__Host-xsrf=");
    assert_non_null(strstr(webscene_header(&scene, "Set-Cookie"), "; HttpOnly; "));
    assert_non_null(strstr(webscene_header(&scene, "Set-Cookie"), "; SameSite=Strict"));
    assert_non_null(strstr(webscene_header(&scene, "Set-Cookie"), "; expires="));
    post(&scene, tokens.cookie, NULL, 403);
    post(&scene, "", tokens.token, 403);
    post(&scene, tokens.cookie, tokens.token, 200);
    webscene_close(&scene);
}

/* So that it may have a form to send again. */
static void the_page_of_a_403_has_the_token(void **state)
{
    struct webscene scene;

    open_scene(&scene);
    struct tokens tokens = get_tokens(&scene, "_xsrf=");
    (void)get_tokens(&scene, "_xsrf="); /* of another browser */
    webscene_expect(&scene, "POST /offers", tokens.cookie, NULL, 403, NULL);
    webscene_expect_header(&scene, "Set-Cookie", NULL);
    snprintf(tokens.token, sizeof tokens.token, "%s", scene.body);
    post(&scene, tokens.cookie, tokens.token, 200);
    webscene_close(&scene);
}

static void the_cookie_of_a_user_lasts(void **state)
{
    struct webscene scene;

    open_scene(&scene);
    webscene_expect(&scene, "GET /", NULL, NULL, 200, NULL);
    assert_null(strstr(webscene_header(&scene, "Set-Cookie"), "expires="));
    webscene_expect(&scene, "GET /user", NULL, NULL, 200, NULL);
    assert_non_null(strstr(webscene_header(&scene, "Set-Cookie"), "expires="));
    webscene_close(&scene);
}

static void a_form_has_the_token_hidden(void **state)
{
    static const char before[] = "<input type=\"hidden\" name=\"_xsrf\" value=\"2|", behind[] = "\"/>";
    struct webscene scene;

    open_scene(&scene);
    webscene_expect(&scene, "GET /form", NULL, NULL, 200, NULL);
    assert_memory_equal(scene.body, before, sizeof before - 1);
    assert_string_equal(scene.body + strlen(scene.body) - 3, behind);
    webscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(without_the_token_it_is_403),     cmocka_unit_test(the_token_may_come_in_body_query_or_header),
    cmocka_unit_test(a_token_is_of_one_browser),       cmocka_unit_test(the_cookie_may_have_another_name_and_options),
    cmocka_unit_test(the_page_of_a_403_has_the_token), cmocka_unit_test(the_cookie_of_a_user_lasts),
    cmocka_unit_test(a_form_has_the_token_hidden),
};

TESTING_MAIN(tests)
