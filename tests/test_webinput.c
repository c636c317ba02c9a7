/* What the client has sent: arguments of query and body, files. Path arguments are in test_webrouter.c. */
#include "httpserver/web.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/faults.h"
#include "tests/support/testing.h"
#include "tests/support/webscene.h"

#define FORM "Content-Type: application/x-www-form-urlencoded\r\n"

static void say(struct web_request *request, const char *text)
{
    web_printf(request, "[%s]", text != NULL ? text : "none");
}

static void get_one(struct web_request *request)
{
    say(request, web_get_argument(request, "foo", "otherwise"));
    say(request, web_get_query_argument(request, "foo", "otherwise"));
    say(request, web_get_body_argument(request, "foo", "otherwise"));
}

static int failing; /* which allocation */

static void get_unstripped(struct web_request *request)
{
    say(request, web_get_argument(request, "foo", "otherwise"));
    faults_allocation(failing, false);
    say(request, web_get_argument_unstripped(request, "foo", failing != 0 ? NULL : "otherwise"));
    faults_allocation(0, false);
    if (failing != 0)
        return;
    say(request, web_get_query_argument_unstripped(request, "foo", "otherwise"));
    say(request, web_get_body_argument_unstripped(request, "foo", "otherwise"));
    say(request, web_get_argument(request, "foo", "otherwise"));
}

static void need_unstripped(struct web_request *request)
{
    const char *value = web_get_argument_unstripped(request, "foo", NULL);

    assert_true((value == NULL) == web_finished(request));
    say(request, value);
}

static void get_all(struct web_request *request)
{
    const char *value;

    for (size_t i = 0; (value = web_get_arguments(request, "foo", i)) != NULL; i++)
        say(request, value);
    web_write(request, "-");
    for (size_t i = 0; (value = web_get_query_arguments(request, "foo", i)) != NULL; i++)
        say(request, value);
    web_write(request, "-");
    for (size_t i = 0; (value = web_get_body_arguments(request, "foo", i)) != NULL; i++)
        say(request, value);
}

static void get_needed(struct web_request *request)
{
    const char *value = web_get_argument(request, "foo", NULL);

    if (value == NULL)
        assert_true(web_finished(request));
    say(request, value);
}

static void get_files(struct web_request *request)
{
    const struct httpform_file *file;

    say(request, web_get_body_argument(request, "arg1", NULL));
    for (size_t i = 0; (file = web_get_file(request, NULL, i)) != NULL; i++)
        web_printf(request, "(%s,%s,%s,%.*s)", file->name, file->filename, file->content_type, (int)file->length,
                   file->body);
    file = web_get_file(request, "file2", 1);
    assert_null(file);
    assert_null(web_get_file(request, "nobody", 0));
}

static const struct web_handler one = { .get = get_one, .post = get_one };
static const struct web_handler lazy = { .get = get_one, .post = get_one, .lazy_form = true };
static const struct web_handler all = { .get = get_all, .post = get_all };
static const struct web_handler needed = { .get = get_needed, .post = get_needed };
static const struct web_handler files = { .post = get_files };
static const struct web_handler unstripped = { .get = get_unstripped, .post = get_unstripped };
static const struct web_handler unstripped_needed = { .get = need_unstripped };
static const struct web_route routes[] = { { .pattern = "/one", .handler = &one },
                                           { .pattern = "/lazy", .handler = &lazy },
                                           { .pattern = "/all", .handler = &all },
                                           { .pattern = "/needed", .handler = &needed },
                                           { .pattern = "/files", .handler = &files },
                                           { .pattern = "/unstripped", .handler = &unstripped },
                                           { .pattern = "/unstripped/needed", .handler = &unstripped_needed },
                                           { 0 } };

static void open_scene(struct webscene *scene)
{
    webscene_open(scene, routes, NULL);
}

/* web_test:test_get_argument, web_test:test_get_query_arguments, web_test:test_get_body_arguments,
 * httpserver_test:test_empty_query_string, httpserver_test:test_empty_post_parameters */
static void the_last_value_counts_and_the_bodys_come_last(void **state)
{
    static const struct {
        const char *query, *form, *body;
    } cases[] = {
        { "", NULL, "[otherwise][otherwise][otherwise]" },
        { "foo=bar", NULL, "[bar][bar][otherwise]" },
        { "foo=a&foo=b", NULL, "[b][b][otherwise]" },
        { "foo=", NULL, "[][][otherwise]" },
        { "foo", NULL, "[][][otherwise]" },
        { "bar=foo", NULL, "[otherwise][otherwise][otherwise]" },
        { "foo=query", "foo=body", "[body][query][body]" },
        { "foo=query", "bar=body", "[query][query][otherwise]" },
        { "foo=query", "foo=", "[][query][]" },
        { "", "foo=a&foo=b", "[b][otherwise][b]" },
        { "foo=%20%09a%20b%0D%0A", NULL, "[a b][a b][otherwise]" },
        { "foo=a%00b%01c", NULL, "[a b c][a b c][otherwise]" },
        { "foo=%00", NULL, "[][][otherwise]" },
        { "foo=a%0Db%0Ac%0Bd", NULL, "[a\rb\nc\vd][a\rb\nc\vd][otherwise]" },
        { "foo=a%09b", NULL, "[a\tb][a\tb][otherwise]" },
        { "foo=%1F%0Ba%0Eb", NULL, "[a b][a b][otherwise]" },
        { "foo=1%2B1+1", NULL, "[1+1 1][1+1 1][otherwise]" },
        { "foo=%C3%A9", NULL, "[\xc3\xa9][\xc3\xa9][otherwise]" },
    };
    char request[128];
    struct webscene scene;

    open_scene(&scene);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(request, sizeof request, "%s /one?%s", cases[i].form != NULL ? "POST" : "GET", cases[i].query);
        webscene_ask(&scene, request, cases[i].form != NULL ? FORM : NULL, cases[i].form);
        if (strcmp(scene.body, cases[i].body) != 0)
            fail_msg("%s, %s: %s, not %s", cases[i].query, cases[i].form, scene.body, cases[i].body);
    }
    webscene_close(&scene);
}

#define SHORT_MULTIPART "Content-Type: multipart/form-data; boundary=b\r\n"
#define AND_FILE        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\ntext\r\n"
#define FIELD           "--b\r\nContent-Disposition: form-data; name=\"foo\"\r\n\r\n a\r\n\r\n--b--\r\n"

static void the_blanks_around_a_value_may_be_wanted(void **state)
{
    static const struct {
        const char *query, *type, *form, *body;
    } cases[] = {
        { "", NULL, NULL, "[otherwise][otherwise][otherwise][otherwise][otherwise]" },
        { "foo=%20a%20%09", NULL, NULL, "[a][ a \t][ a \t][otherwise][a]" },
        { "foo=x&foo=%00a%0A&bar=%20", NULL, NULL, "[a][ a\n][ a\n][otherwise][a]" },
        { "foo=+", NULL, NULL, "[][ ][ ][otherwise][]" },
        { "foo=a", NULL, NULL, "[a][a][a][otherwise][a]" },
        { "foo=+a", FORM, "x=y&foo=b+", "[b][b ][ a][b ][b]" },
        { "foo=+a", FORM, "x=+y", "[a][ a][ a][otherwise][a]" },
        { "foo=q+", SHORT_MULTIPART, FIELD, "[a][ a\r\n][q ][ a\r\n][a]" },
        { "foo=q+", SHORT_MULTIPART, AND_FILE FIELD, "[a][ a\r\n][q ][ a\r\n][a]" },
    };
    char request[128];
    struct webscene scene;

    open_scene(&scene);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(request, sizeof request, "%s /unstripped?%s", cases[i].form != NULL ? "POST" : "GET", cases[i].query);
        webscene_expect(&scene, request, cases[i].type, cases[i].form, 200, cases[i].body);
    }
    webscene_expect(&scene, "GET /unstripped/needed?foo=+x", NULL, NULL, 200, "[ x]");
    webscene_expect(&scene, "GET /unstripped/needed?bar=+x", NULL, NULL, 400, NULL);
    webscene_expect(&scene, "GET /unstripped/needed?foo=+%FF", NULL, NULL, 400, NULL);
    webscene_close(&scene);
}

static void without_memory_for_the_blanks_the_answer_is_an_error(void **state)
{
    struct webscene scene;
    int refused = 0;

    open_scene(&scene);
    for (failing = 1; webscene_ask(&scene, "POST /unstripped", SHORT_MULTIPART, FIELD) != 200; failing++) {
        assert_true(scene.status == 500 || scene.status == 503);
        refused++;
    }
    assert_true(refused >= 2);
    assert_string_equal(scene.body, "[a][ a\r\n]");
    failing = 0;
    webscene_close(&scene);
}

static void all_values_come_in_order(void **state)
{
    struct webscene scene;

    open_scene(&scene);
    webscene_expect(&scene, "POST /all?foo=a&x=y&foo=b%20", FORM, "foo=c&foo=+d", 200, "[a][b][c][d]-[a][b]-[c][d]");
    webscene_expect(&scene, "GET /all", NULL, NULL, 200, "--");
    webscene_close(&scene);
}

/* web_test:test_catch_error */
static void an_argument_that_is_needed_is_there_or_the_answer_is_400(void **state)
{
    struct webscene scene;

    open_scene(&scene);
    webscene_expect(&scene, "GET /needed?foo=x", NULL, NULL, 200, "[x]");
    webscene_expect(&scene, "GET /needed", NULL, NULL, 400,
                    "<html><title>400: Bad Request</title><body>400: Bad Request</body></html>");
    assert_int_equal(testing_logs("Missing argument foo"), 1);
    webscene_close(&scene);
}

/* web_test:test_decode_argument, web_test:test_decode_argument_invalid_unicode,
 * httpserver_test:test_query_string_encoding */
static void what_is_not_utf8_is_400_where_it_is_asked_for(void **state)
{
    static const char *const values[] = { "%E9", "%C3", "%C0%80", "%ED%A0%80", "%F5%80%80%80", "%FF" };
    char request[64], body[64];
    struct webscene scene;

    open_scene(&scene);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        snprintf(request, sizeof request, "GET /needed?foo=%s", values[i]);
        webscene_expect(&scene, request, NULL, NULL, 400, NULL);
        snprintf(request, sizeof request, "GET /all?foo=%s", values[i]);
        webscene_expect(&scene, request, NULL, NULL, 400, NULL);
        snprintf(request, sizeof request, "GET /needed?bar=%s&foo=1", values[i]);
        webscene_expect(&scene, request, NULL, NULL, 200, "[1]");
        snprintf(body, sizeof body, "foo=%s", values[i]);
        webscene_expect(&scene, "POST /needed", FORM, body, 400, NULL);
    }
    webscene_close(&scene);
}

/* Forms. */

/* httpserver_test:test_post_encodings, httpserver_test:test_chunked_request_body */
static void a_body_is_a_form_if_it_says_so(void **state)
{
    static const struct {
        const char *type, *body, *expected;
    } cases[] = {
        { "application/x-www-form-urlencoded", "foo=1", "[1][otherwise][1]" },
        { "Application/X-WWW-Form-URLEncoded", "foo=1", "[1][otherwise][1]" },
        { "application/x-www-form-urlencoded; charset=UTF-8", "foo=\xc3\xa9", "[\xc3\xa9][otherwise][\xc3\xa9]" },
        { "application/x-www-form-urlencoded ;x", "foo=1", "[1][otherwise][1]" },
        { "application/x-www-form-urlencodedx", "foo=1", "[otherwise][otherwise][otherwise]" },
        { "application/x-www-form-urlencode", "foo=1", "[otherwise][otherwise][otherwise]" },
        { "text/plain", "foo=1", "[otherwise][otherwise][otherwise]" },
        { "multipart/form-datax; boundary=x", "foo=1", "[otherwise][otherwise][otherwise]" },
    };
    char header[128];
    struct webscene scene;

    open_scene(&scene);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(header, sizeof header, "Content-Type: %s\r\n", cases[i].type);
        webscene_expect(&scene, "POST /one", header, cases[i].body, 200, cases[i].expected);
        webscene_expect(&scene, "POST /lazy", header, cases[i].body, 200, cases[i].expected);
    }
    webscene_expect(&scene, "POST /one", NULL, "foo=1", 200, "[otherwise][otherwise][otherwise]");
    struct httpscene_client *client = httpscene_connect(&scene.http);
    httpscene_put(&scene.http, client,
                  "POST /one HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n" FORM
                  "\r\n4\r\nfoo=\r\n3\r\nbar\r\n0\r\n\r\n");
    assert_int_equal(webscene_read(&scene, client, "POST"), 200);
    assert_string_equal(scene.body, "[bar][otherwise][bar]");
    webscene_close(&scene);
}

#define MULTIPART "Content-Type: multipart/form-data; boundary=1234567890\r\n"

/* httpserver_test:test_multipart_form */
static void a_multipart_form_has_fields_and_files(void **state)
{
    struct webscene scene;

    open_scene(&scene);
    webscene_expect(&scene, "POST /files", MULTIPART,
                    "--1234567890\r\n"
                    "Content-Disposition: form-data; name=\"files\"; filename=\"\xc3\xb3\"\r\n"
                    "\r\n"
                    "\xc3\xba\r\n"
                    "--1234567890\r\n"
                    "Content-Disposition: form-data; name=file2; filename=\"../../b\"\r\n"
                    "Content-Type: text/plain\r\n"
                    "\r\n"
                    "second\r\n"
                    "--1234567890\r\n"
                    "Content-Disposition: form-data; name=\"arg1\"\r\n"
                    "\r\n"
                    " value \r\n"
                    "--1234567890--\r\n",
                    200, "[value](files,\xc3\xb3,application/unknown,\xc3\xba)(file2,../../b,text/plain,second)");
    webscene_close(&scene);
}

/* httpserver_test:test_malformed_body, httpserver_test:test_gzip_unsupported */
static void a_form_that_is_none_is_400_before_anything_else(void **state)
{
    static const struct {
        const char *headers, *body, *why;
    } cases[] = {
        { MULTIPART, "not a form", NULL },
        { "Content-Type: multipart/form-data\r\n", "x", NULL },
        { "Content-Type: multipart/form-data; boundary=\"\"\r\n", "x", NULL },
        { FORM "Content-Encoding: gzip\r\n", "foo=bar", "a form in a Content-Encoding" },
        { MULTIPART "Content-Encoding: gzip\r\n", "foo=bar", "a form in a Content-Encoding" },
    };
    struct webscene scene;

    open_scene(&scene);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        webscene_expect(&scene, "POST /one", cases[i].headers, cases[i].body, 400, NULL);
        assert_int_equal(testing_logs("W 400 POST /one (127.0.0.1): "), i + 1);
        if (cases[i].why != NULL)
            assert_true(testing_logs(cases[i].why) > 0);
        webscene_expect(&scene, "POST /lazy", cases[i].headers, cases[i].body, 400, NULL);
    }
    webscene_expect(&scene, "POST /one", "Content-Encoding: gzip\r\n", "x", 200, NULL);
    webscene_close(&scene);
}

static void note_prepare(struct web_request *request)
{
    webscene_note("prepare");
}

static void ask_for_nothing(struct web_request *request)
{
    web_write(request, "did not ask");
}

static void ignore_data(struct web_request *request, const void *data, size_t length)
{
}

static void a_form_is_read_though_nobody_asks_unless_it_is_lazy(void **state)
{
    static const struct web_handler eager = { .post = ask_for_nothing, .prepare = note_prepare };
    static const struct web_handler unasked = { .post = ask_for_nothing, .prepare = note_prepare, .lazy_form = true };
    static const struct web_handler streams = { .post = ask_for_nothing, .data_received = ignore_data };
    static const struct web_route own[] = { { .pattern = "/eager", .handler = &eager },
                                            { .pattern = "/lazy", .handler = &unasked },
                                            { .pattern = "/streams", .handler = &streams },
                                            { 0 } };
    struct webscene scene;

    webscene_open(&scene, own, NULL);
    webscene_expect(&scene, "POST /eager", MULTIPART, "not a form", 400, NULL);
    webscene_expect_notes("");
    webscene_expect(&scene, "POST /lazy", MULTIPART, "not a form", 200, "did not ask");
    webscene_expect_notes("prepare ");
    webscene_expect(&scene, "POST /streams", MULTIPART, "not a form", 200, "did not ask");
    webscene_close(&scene);
}

/* Limits. */

static char *many(const char *word, size_t count)
{
    char *text = malloc(count * strlen(word) + 1);

    assert_non_null(text);
    text[0] = '\0';
    for (size_t i = 0; i < count; i++)
        memcpy(text + i * strlen(word), word, strlen(word) + 1);
    return text;
}

static void expect_many(struct webscene *scene, size_t in_query, size_t in_body, int status)
{
    char *query = many("foo=&", in_query), *body = many("foo=&", in_body), *request = malloc(strlen(query) + 32);

    assert_non_null(request);
    sprintf(request, "POST /one?%s", query);
    webscene_expect(scene, request, FORM, in_body > 0 ? body : NULL, status, NULL);
    free(query);
    free(body);
    free(request);
}

static void arguments_of_query_and_body_together_have_a_limit(void **state)
{
    struct webscene scene;

    open_scene(&scene);
    expect_many(&scene, 256, 0, 200);
    expect_many(&scene, 257, 0, 400);
    expect_many(&scene, 0, 256, 200);
    expect_many(&scene, 0, 257, 400);
    expect_many(&scene, 100, 156, 200);
    expect_many(&scene, 100, 157, 400);
    expect_many(&scene, 256, 1, 400);
    webscene_close(&scene);
    webscene_open(&scene, routes, &(struct web_settings){ .max_arguments = 2 });
    webscene_expect(&scene, "GET /one?a=b&c=d", NULL, NULL, 200, NULL);
    webscene_expect(&scene, "GET /one?a=b&c=d&e=f", NULL, NULL, 400, NULL);
    webscene_expect(&scene, "POST /files?a=b", MULTIPART,
                    "--1234567890\r\nContent-Disposition: form-data; name=arg1\r\n\r\n1\r\n--1234567890--\r\n", 200,
                    "[1]");
    webscene_expect(&scene, "POST /files?a=b&c=d", MULTIPART,
                    "--1234567890\r\nContent-Disposition: form-data; name=arg1\r\n\r\n1\r\n--1234567890--\r\n", 400,
                    NULL);
    webscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_last_value_counts_and_the_bodys_come_last),
    cmocka_unit_test(the_blanks_around_a_value_may_be_wanted),
    cmocka_unit_test(without_memory_for_the_blanks_the_answer_is_an_error),
    cmocka_unit_test(all_values_come_in_order),
    cmocka_unit_test(an_argument_that_is_needed_is_there_or_the_answer_is_400),
    cmocka_unit_test(what_is_not_utf8_is_400_where_it_is_asked_for),
    cmocka_unit_test(a_body_is_a_form_if_it_says_so),
    cmocka_unit_test(a_multipart_form_has_fields_and_files),
    cmocka_unit_test(a_form_that_is_none_is_400_before_anything_else),
    cmocka_unit_test(a_form_is_read_though_nobody_asks_unless_it_is_lazy),
    cmocka_unit_test(arguments_of_query_and_body_together_have_a_limit),
};

TESTING_MAIN(tests)
