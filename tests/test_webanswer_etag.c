/* Entity tags of answers: Tornado's CacheTest. */
#include <stdio.h>
#include <string.h>

#include "httpserver/httpetag.h"
#include "httpserver/web.h"
#include "tests/support/testing.h"
#include "tests/support/webscene.h"

static const char *tag; /* that the handler sets; NULL: none, "": one of the body */
static bool flushes;
static int status;

static void hello(struct web_request *request)
{
    assert_false(web_check_etag(request));
    web_write(request, "hello");
    if (tag != NULL)
        assert_int_equal(web_set_etag(request, tag[0] != '\0' ? tag : NULL), 0);
    if (status != 0)
        web_set_status(request, status, NULL);
    if (flushes)
        web_flush(request, NULL, NULL);
}

static void ask_itself(struct web_request *request)
{
    web_set_etag(request, "\"mine\"");
    web_write(request, web_check_etag(request) ? "the client has it" : "it has not");
    web_set_status(request, 201, NULL);
}

static void head_without_body(struct web_request *request)
{
}

static const struct web_handler tagged = { .get = hello, .head = hello, .post = hello };
static const struct web_handler untagged = { .get = hello, .no_etag = true };
static const struct web_handler asks = { .get = ask_itself };
static const struct web_handler empty = { .get = head_without_body, .head = head_without_body };

static const struct web_route routes[] = { { .pattern = "/", .handler = &tagged },
                                           { .pattern = "/untagged", .handler = &untagged },
                                           { .pattern = "/asks", .handler = &asks },
                                           { .pattern = "/empty", .handler = &empty },
                                           { 0 } };

static void open_scene(struct webscene *scene)
{
    tag = NULL;
    flushes = false;
    status = 0;
    webscene_open(scene, routes, NULL);
}

/* web_test:test_wildcard_etag, web_test:test_strong_etag_match, web_test:test_multiple_strong_etag_match,
 * web_test:test_strong_etag_not_match, web_test:test_multiple_strong_etag_not_match, web_test:test_weak_etag_match,
 * web_test:test_multiple_weak_etag_match, web_test:test_weak_etag_not_match,
 * web_test:test_multiple_weak_etag_not_match */
static void a_client_that_has_it_gets_304(void **state)
{
    static const struct {
        const char *tag, *wanted;
        int status;
    } cases[] = {
        { "\"etag\"", "*", 304 },
        { "\"etag\"", "\"etag\"", 304 },
        { "\"etag\"", "\"etag1\", \"etag\", \"etag3\"", 304 },
        { "\"etag\"", "\"etag1\"", 200 },
        { "\"etag\"", "\"etag1\", \"etag3\"", 200 },
        { "W/\"etag1\"", "W/\"etag1\"", 304 },
        { "W/\"etag2\"", "W/\"etag1\", W/\"etag2\", W/\"etag3\"", 304 },
        { "W/\"etag2\"", "W/\"etag1\"", 200 },
        { "W/\"etag2\"", "W/\"etag1\", W/\"etag3\"", 200 },
        { "W/\"etag\"", "\"etag\"", 304 },
        { "\"etag\"", "W/\"etag\"", 304 },
        { "\"etag\"", "etag", 200 },
        { "\"etag\"", "", 200 },
        { NULL, "*", 304 },
        { NULL, "\"other\"", 200 },
        { "", "\"other\"", 200 },
    };
    char header[128];
    struct webscene scene;

    open_scene(&scene);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tag = cases[i].tag;
        snprintf(header, sizeof header, "If-None-Match: %s\r\n", cases[i].wanted);
        webscene_expect(&scene, "GET /", header, NULL, cases[i].status, cases[i].status == 304 ? "" : "hello");
        if (tag != NULL && tag[0] != '\0')
            webscene_expect_header(&scene, "Etag", tag);
        webscene_expect(&scene, "HEAD /", header, NULL, cases[i].status, "");
        webscene_expect(&scene, "POST /", header, NULL, 200, "hello");
    }
    webscene_close(&scene);
}

static void a_tag_is_made_of_the_body(void **state)
{
    char expected[HTTPETAG_SIZE];
    struct webscene scene;

    open_scene(&scene);
    httpetag_of_bytes("hello", 5, expected);
    webscene_expect(&scene, "GET /", NULL, NULL, 200, "hello");
    webscene_expect_header(&scene, "Etag", expected);
    webscene_expect(&scene, "HEAD /", NULL, NULL, 200, "");
    webscene_expect_header(&scene, "Etag", expected);
    tag = "";
    webscene_expect(&scene, "POST /", NULL, NULL, 200, "hello");
    webscene_expect_header(&scene, "Etag", expected);
    httpetag_of_bytes("", 0, expected);
    webscene_expect(&scene, "GET /empty", NULL, NULL, 200, "");
    webscene_expect_header(&scene, "Etag", expected);
    webscene_close(&scene);
}

static void not_everything_has_a_tag(void **state)
{
    struct webscene scene;

    open_scene(&scene);
    webscene_expect(&scene, "POST /", NULL, NULL, 200, "hello");
    webscene_expect_header(&scene, "Etag", NULL);
    webscene_expect(&scene, "GET /untagged", "If-None-Match: *\r\n", NULL, 200, "hello");
    webscene_expect_header(&scene, "Etag", NULL);
    webscene_expect(&scene, "HEAD /empty", NULL, NULL, 200, "");
    webscene_expect_header(&scene, "Etag", NULL);
    status = 404;
    webscene_expect(&scene, "GET /", "If-None-Match: *\r\n", NULL, 404, "hello");
    webscene_expect_header(&scene, "Etag", NULL);
    status = 0;
    flushes = true;
    webscene_expect(&scene, "GET /", "If-None-Match: *\r\n", NULL, 200, "hello");
    webscene_expect_header(&scene, "Etag", NULL);
    webscene_close(&scene);
}

/* RFC 9110 5.3. */
static void several_lines_are_one_list(void **state)
{
    struct webscene scene;

    open_scene(&scene);
    tag = "\"mine\"";
    webscene_expect(&scene, "GET /", "If-None-Match: \"x\"\r\nIf-None-Match: \"mine\"\r\n", NULL, 304, "");
    webscene_expect(&scene, "GET /", "If-None-Match: \"x\"\r\nIf-None-Match: \"y\"\r\n", NULL, 200, "hello");
    webscene_expect(&scene, "GET /", "If-None-Match: \"mine\"\r\nIf-None-Match: y\r\n", NULL, 200, "hello");
    webscene_close(&scene);
}

static void a_handler_can_ask_what_the_client_has(void **state)
{
    struct webscene scene;

    open_scene(&scene);
    webscene_expect(&scene, "GET /asks", "If-None-Match: \"mine\"\r\n", NULL, 201, "the client has it");
    webscene_expect(&scene, "GET /asks", "If-None-Match: \"other\"\r\n", NULL, 201, "it has not");
    webscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_client_that_has_it_gets_304),
    cmocka_unit_test(a_tag_is_made_of_the_body),
    cmocka_unit_test(not_everything_has_a_tag),
    cmocka_unit_test(several_lines_are_one_list),
    cmocka_unit_test(a_handler_can_ask_what_the_client_has),
};

TESTING_MAIN(tests)
