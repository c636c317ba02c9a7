/* Headers of answers with files, which are kept with the file: the second answer is the first again, and nothing of one
 * request gets into another. */
#include "httpserver/webstatic.h"

#include <stdlib.h>
#include <string.h>

#include "httpserver/webfilecache.h"
#include "httpserver/weblayer.h"
#include "tests/support/staticscene.h"
#include "tests/support/testing.h"

static struct staticscene scene;

/* Not kept by scene: the same root with another Cache-Control, and with a header of the handler's own. */
static struct webstatic hourly;

static void serve_hourly(struct web_request *request)
{
    webstatic_serve(request, &hourly, "a.txt");
}

static void serve_with_a_header_of_its_own(struct web_request *request)
{
    web_set_header(request, "X-Own", "1");
    webstatic_serve(request, &scene.files, "a.txt");
}

/* Before the answer is sent, as another answer might do it. */
static void serve_and_empty_the_cache(struct web_request *request)
{
    struct web_application *app = web_get_application(request);

    webstatic_serve(request, &scene.files, "a.txt");
    webfilecache_free(app->file_cache);
    app->file_cache = NULL;
}

static void serve_behind_a_status(struct web_request *request)
{
    web_set_status(request, 203, NULL);
    webstatic_serve(request, &scene.files, "a.txt");
}

static void serve_behind_a_text(struct web_request *request)
{
    web_write(request, "text ");
    webstatic_serve(request, &scene.files, "a.txt");
}

static const struct web_handler emptying_handler = { .get = serve_and_empty_the_cache };
static const struct web_handler status_handler = { .get = serve_behind_a_status };
static const struct web_handler text_handler = { .get = serve_behind_a_text };
static const struct web_handler hourly_handler = { .get = serve_hourly };
static const struct web_handler own_handler = { .get = serve_with_a_header_of_its_own };
static const struct web_route routes[] = {
    { .pattern = "/static/(.*)", .handler = &webstatic_handler, .arg = &scene.files },
    { .pattern = "/hourly", .handler = &hourly_handler },
    { .pattern = "/own", .handler = &own_handler },
    { .pattern = "/emptying", .handler = &emptying_handler },
    { .pattern = "/status", .handler = &status_handler },
    { .pattern = "/text", .handler = &text_handler },
    { 0 }
};

static void open_kept(void)
{
    scene.files = (struct webstatic){ 0 };
    staticscene_open_routes(&scene, routes, NULL);
    hourly = scene.files;
    hourly.cache_control = "max-age=3600";
    folder_write(&scene.folder, "root/a.txt", "abc");
    folder_set_time(&scene.folder, "root/a.txt", 1000000000, 0);
}

/* The head, in memory of its own. */
static char *head_of(const char *request, const char *headers, int status)
{
    staticscene_expect(&scene, request, headers, status, NULL);
    return strdup(scene.answer.head);
}

static void expect_head(const char *request, const char *headers, int status, const char *head)
{
    char *now = head_of(request, headers, status);

    assert_string_equal(now, head);
    free(now);
}

static void the_second_answer_has_the_headers_of_the_first(void **state)
{
    open_kept();
    char *first = head_of("GET /static/a.txt", NULL, 200);
    expect_head("GET /static/a.txt", NULL, 200, first);
    expect_head("GET /static/a.txt", "If-None-Match: \"other\"\r\n", 200, first);
    staticscene_expect_same_head(&scene, "/static/a.txt", NULL);
    expect_head("GET /static/a.txt", NULL, 200, first);
    free(first);
    staticscene_close(&scene);
}

static void answers_that_are_not_the_usual_one_leave_nothing_behind(void **state)
{
    static const struct {
        const char *request, *headers;
        int status;
    } others[] = {
        { "GET /static/a.txt", "Range: bytes=1-1\r\n", 206 },
        { "GET /static/a.txt", "Range: bytes=9-\r\n", 416 },
        { "GET /static/a.txt", "If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT\r\n", 304 },
        { "GET /static/a.txt", "If-Match: \"other\"\r\n", 412 },
        { "GET /static/a.txt?v=1", NULL, 200 },
        { "GET /hourly", NULL, 200 },
        { "GET /own", NULL, 200 },
    };

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        open_kept();
        /* Before the headers are kept, and after. */
        free(head_of(others[i].request, others[i].headers, others[i].status));
        char *usual = head_of("GET /static/a.txt", NULL, 200);
        char *other = head_of(others[i].request, others[i].headers, others[i].status);
        expect_head("GET /static/a.txt", NULL, 200, usual);
        expect_head(others[i].request, others[i].headers, others[i].status, other);
        assert_string_not_equal(usual, other);
        free(usual);
        free(other);
        staticscene_close(&scene);
    }
}

static void each_handler_of_a_file_has_its_own_headers(void **state)
{
    open_kept();
    for (int i = 0; i < 2; i++) {
        staticscene_expect(&scene, "GET /static/a.txt", NULL, 200, "abc");
        assert_null(staticscene_header(&scene, "Cache-Control"));
        assert_null(staticscene_header(&scene, "X-Own"));
        staticscene_expect(&scene, "GET /hourly", NULL, 200, "abc");
        assert_string_equal(staticscene_header(&scene, "Cache-Control"), "max-age=3600");
        staticscene_expect(&scene, "GET /own", NULL, 200, "abc");
        assert_string_equal(staticscene_header(&scene, "X-Own"), "1");
        staticscene_expect(&scene, "GET /static/a.txt?v=1", NULL, 200, "abc");
        assert_string_equal(staticscene_header(&scene, "Cache-Control"), "max-age=315360000");
    }
    staticscene_close(&scene);
}

static void a_file_that_has_changed_has_its_own_headers(void **state)
{
    open_kept();
    staticscene_expect(&scene, "GET /static/a.txt", NULL, 200, "abc");
    folder_write(&scene.folder, "root/a.txt", "abcd");
    folder_set_time(&scene.folder, "root/a.txt", 1000000001, 0);
    httpscene_pass(&scene.http, 2);
    staticscene_expect(&scene, "GET /static/a.txt", NULL, 200, "abcd");
    assert_string_equal(staticscene_header(&scene, "Last-Modified"), "Sun, 09 Sep 2001 01:46:41 GMT");
    staticscene_close(&scene);
}

static void an_answer_holds_what_it_is_made_of(void **state)
{
    open_kept();
    for (int i = 0; i < 3; i++) {
        staticscene_expect(&scene, "GET /static/a.txt", NULL, 200, "abc");
        staticscene_expect(&scene, "GET /emptying", NULL, 200, "abc");
        assert_non_null(staticscene_header(&scene, "Etag"));
    }
    staticscene_close(&scene);
}

static void what_the_handler_has_said_before_counts(void **state)
{
    open_kept();
    for (int i = 0; i < 2; i++) {
        staticscene_expect(&scene, "GET /status", NULL, 203, "abc");
        staticscene_expect(&scene, "GET /text", NULL, 200, "text abc");
        staticscene_expect(&scene, "GET /static/a.txt", NULL, 200, "abc");
    }
    staticscene_close(&scene);
}

/* Browsers say who refers; each of the others asks for something else than the whole. */
static void what_is_kept_is_not_the_answer_to_everything(void **state)
{
    static const struct {
        const char *headers;
        int status;
    } cases[] = {
        { "Referer: http://a/\r\nImportance: high\r\nRanges: 1\r\nX-Range: bytes=1-1\r\n", 200 },
        { "range: bytes=1-1\r\n", 206 },
        { "IF-NONE-MATCH: *\r\n", 304 },
        { "if-match: \"x\"\r\n", 412 },
        { "If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT\r\n", 304 },
        { "If-Unmodified-Since: Sun, 09 Sep 2000 01:46:40 GMT\r\n", 412 },
        { "Range: bytes=1-1\r\nIf-Range: \"x\"\r\n", 200 },
    };

    open_kept();
    staticscene_expect(&scene, "GET /static/a.txt", NULL, 200, "abc");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        staticscene_expect(&scene, "GET /static/a.txt", cases[i].headers, cases[i].status, NULL);
        staticscene_expect(&scene, "GET /static/a.txt", NULL, 200, "abc");
    }
    staticscene_expect(&scene, "HEAD /static/a.txt", NULL, 200, "");
    staticscene_expect(&scene, "GET /static/%61.txt", NULL, 200, "abc");
    staticscene_expect(&scene, "GET /static/a.tx", NULL, 404, NULL);
    staticscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_second_answer_has_the_headers_of_the_first),
    cmocka_unit_test(answers_that_are_not_the_usual_one_leave_nothing_behind),
    cmocka_unit_test(each_handler_of_a_file_has_its_own_headers),
    cmocka_unit_test(a_file_that_has_changed_has_its_own_headers),
    cmocka_unit_test(an_answer_holds_what_it_is_made_of),
    cmocka_unit_test(what_the_handler_has_said_before_counts),
    cmocka_unit_test(what_is_kept_is_not_the_answer_to_everything),
};

TESTING_MAIN(tests)
