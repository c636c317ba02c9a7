/* Parts of files: a range at each edge, of small files and of big ones, alone and with conditions. */
#include "httpserver/webstatic.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "httpserver/httpdate.h"
#include "tests/support/staticscene.h"
#include "tests/support/testing.h"

#define A_SUNDAY 784111777

static void expect_text(const struct staticscene *scene, const char *name, const char *value)
{
    const char *got = staticscene_header(scene, name);

    if ((got == NULL) != (value == NULL) || (got != NULL && strcmp(got, value) != 0))
        fail_msg("%s: %s, not %s", name, got != NULL ? got : "none", value != NULL ? value : "none");
}

static void open_ten(struct staticscene *scene)
{
    staticscene_open(scene, NULL);
    folder_write(&scene->folder, "root/ten.txt", "0123456789");
}

static const struct {
    const char *range;
    int status;
    const char *body, *content_range;
} cases[] = {
    /* web_test:test_static_with_range */
    { "bytes=0-4", 206, "01234", "bytes 0-4/10" },
    { "bytes=5-9", 206, "56789", "bytes 5-9/10" },
    { "bytes=3-3", 206, "3", "bytes 3-3/10" },
    { "bytes=0-8", 206, "012345678", "bytes 0-8/10" },
    { "bytes=1-", 206, "123456789", "bytes 1-9/10" },
    /* web_test:test_static_with_range_full_file */
    { "bytes=0-", 200, "0123456789", NULL },
    { "bytes=0-9", 200, "0123456789", NULL },
    /* web_test:test_static_with_range_full_past_end */
    { "bytes=0-10000000", 200, "0123456789", NULL },
    { "bytes=0-18446744073709551615", 200, "0123456789", NULL },
    /* web_test:test_static_with_range_partial_past_end */
    { "bytes=1-10000000", 206, "123456789", "bytes 1-9/10" },
    { "bytes=1-99999999999999999999999999", 206, "123456789", "bytes 1-9/10" },
    /* web_test:test_static_with_range_end_edge */
    { "bytes=9-", 206, "9", "bytes 9-9/10" },
    { "bytes=9-9", 206, "9", "bytes 9-9/10" },
    { "bytes=9-10", 206, "9", "bytes 9-9/10" },
    /* web_test:test_static_with_range_neg_end */
    { "bytes=-4", 206, "6789", "bytes 6-9/10" },
    { "bytes=-1", 206, "9", "bytes 9-9/10" },
    { "bytes=-9", 206, "123456789", "bytes 1-9/10" },
    /* web_test:test_static_with_range_neg_past_start */
    { "bytes=-10", 200, "0123456789", NULL },
    { "bytes=-1000000", 200, "0123456789", NULL },
    { "bytes=-9223372036854775808", 200, "0123456789", NULL },
    /* web_test:test_static_invalid_range */
    { "asdf", 200, "0123456789", NULL },
    { "bytes", 200, "0123456789", NULL },
    { "bytes=", 200, "0123456789", NULL },
    { "bytes=-", 200, "0123456789", NULL },
    { "bytes=a-b", 200, "0123456789", NULL },
    { "bytes=+1-2", 200, "0123456789", NULL },
    { "bytes=1-2,4-5", 200, "0123456789", NULL },
    { "bytes=0-,0-,0-,0-,0-", 200, "0123456789", NULL },
    { "items=1-2", 200, "0123456789", NULL },
    /* web_test:test_static_unsatisfiable_range_zero_suffix */
    { "bytes=-0", 416, "", "bytes */10" },
    /* web_test:test_static_unsatisfiable_range_invalid_start */
    { "bytes=10-", 416, "", "bytes */10" },
    { "bytes=10-10", 416, "", "bytes */10" },
    { "bytes=26-", 416, "", "bytes */10" },
    { "bytes=18446744073709551615-", 416, "", "bytes */10" },
    { "bytes=18446744073709551616-", 416, "", "bytes */10" },
    /* web_test:test_static_unsatisfiable_range_end_less_than_start */
    { "bytes=5-4", 416, "", "bytes */10" },
};

static void each_range_has_its_part_or_its_status(void **state)
{
    struct staticscene scene;
    char headers[128];

    open_ten(&scene);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(headers, sizeof headers, "Range: %s\r\n", cases[i].range);
        staticscene_expect(&scene, "GET /static/ten.txt", headers, cases[i].status, cases[i].body);
        expect_text(&scene, "Content-Range", cases[i].content_range);
        expect_text(&scene, "Content-Type", cases[i].status == 416 ? "text/plain" : "text/plain; charset=utf-8");
        assert_int_equal(scene.answer.length, strlen(cases[i].body));
        /* web_test:test_static_head_range */
        staticscene_expect_same_head(&scene, "/static/ten.txt", headers);
    }
    staticscene_close(&scene);
}

static void that_there_is_no_such_part_is_not_kept_for_ten_years(void **state)
{
    struct staticscene scene;

    staticscene_open(&scene, &(struct webstatic){ .cache_control = "max-age=60" });
    folder_write(&scene.folder, "root/ten.txt", "0123456789");
    staticscene_expect(&scene, "GET /static/ten.txt?v=1", "Range: bytes=1-2\r\n", 206, "12");
    expect_text(&scene, "Cache-Control", "max-age=315360000");
    staticscene_expect(&scene, "GET /static/ten.txt?v=1", "Range: bytes=10-\r\n", 416, "");
    expect_text(&scene, "Cache-Control", NULL);
    expect_text(&scene, "Expires", NULL);
    staticscene_expect(&scene, "GET /static/ten.txt", "Range: bytes=10-\r\n", 416, "");
    expect_text(&scene, "Cache-Control", NULL);
    staticscene_close(&scene);
}

static void an_empty_file_has_no_parts(void **state)
{
    struct staticscene scene;

    staticscene_open(&scene, NULL);
    folder_write(&scene.folder, "root/empty", "");
    staticscene_expect(&scene, "GET /static/empty", "Range: bytes=0-\r\n", 416, "");
    expect_text(&scene, "Content-Range", "bytes */0");
    staticscene_expect(&scene, "GET /static/empty", NULL, 200, "");
    staticscene_close(&scene);
}

/* web_test:test_static_range_if_none_match */
static void what_the_client_has_is_not_sent_in_part_either(void **state)
{
    struct staticscene scene;
    char headers[128];

    open_ten(&scene);
    staticscene_expect(&scene, "GET /static/ten.txt", NULL, 200, NULL);
    snprintf(headers, sizeof headers, "If-None-Match: %s\r\nRange: bytes=0-4\r\n", staticscene_header(&scene, "Etag"));
    staticscene_expect(&scene, "GET /static/ten.txt", headers, 304, "");
    expect_text(&scene, "Content-Range", NULL);
    staticscene_expect(&scene, "GET /static/ten.txt", "If-None-Match: \"x\"\r\nRange: bytes=50-\r\n", 416, "");
    staticscene_close(&scene);
}

/* If-Range: RFC 9110 13.1.5. */
static const struct {
    const char *before, *after;
    bool is_tag, is_part;
} if_range_cases[] = {
    { "", "", true, true },
    { "W/", "", true, false },
    { "", ", \"x\"", true, false },
    { "\"x\", ", "", true, false },
    { "\"x\"", "", false, false },
    { "*", "", false, false },
    { "Sun, 06 Nov 1994 08:49:37 GMT", "", false, true },
    { "Sun, 06 Nov 1994 08:49:36 GMT", "", false, false },
    { "Sun, 06 Nov 1994 08:49:38 GMT", "", false, false }, /* exactly, not at least */
    { "nonsense", "", false, false },
    { "", "", false, false },
};

static void a_part_of_another_file_is_not_sent(void **state)
{
    struct staticscene scene;
    char tag[64], headers[256];

    open_ten(&scene);
    folder_set_time(&scene.folder, "root/ten.txt", A_SUNDAY, 0);
    staticscene_expect(&scene, "GET /static/ten.txt", NULL, 200, NULL);
    strcpy(tag, staticscene_header(&scene, "Etag"));
    for (size_t i = 0; i < sizeof if_range_cases / sizeof *if_range_cases; i++) {
        snprintf(headers, sizeof headers, "If-Range: %s%s%s\r\nRange: bytes=1-2\r\n", if_range_cases[i].before,
                 if_range_cases[i].is_tag ? tag : "", if_range_cases[i].after);
        staticscene_expect(&scene, "GET /static/ten.txt", headers, if_range_cases[i].is_part ? 206 : 200,
                           if_range_cases[i].is_part ? "12" : "0123456789");
    }
    staticscene_expect(&scene, "GET /static/ten.txt", "If-Range: \"x\"\r\nRange: bytes=50-\r\n", 200, "0123456789");
    staticscene_close(&scene);
}

/* None of these may be there twice (RFC 9110 5.3): which of them would be meant? */
static void what_is_asked_twice_is_not_asked(void **state)
{
    static const struct {
        const char *headers;
        int status;
    } twice[] = {
        { "Range: bytes=0-1\r\nRange: bytes=0-1\r\n", 200 },
        { "Range: bytes=50-\r\nRange: bytes=0-1\r\n", 200 },
        { "Range: bytes=0-1\r\nIf-Range: Sun, 06 Nov 1994 08:49:37 GMT\r\nIf-Range: \"x\"\r\n", 200 },
        { "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\nIf-Modified-Since: x\r\n", 200 },
        { "If-Unmodified-Since: Sat, 05 Nov 1994 08:49:37 GMT\r\nIf-Unmodified-Since: x\r\n", 200 },
        { "If-Match: \"x\"\r\nIf-Match: \"y\"\r\n", 412 },
    };
    struct staticscene scene;

    open_ten(&scene);
    folder_set_time(&scene.folder, "root/ten.txt", A_SUNDAY, 0);
    for (size_t i = 0; i < sizeof twice / sizeof *twice; i++)
        staticscene_expect(&scene, "GET /static/ten.txt", twice[i].headers, twice[i].status, NULL);
    staticscene_close(&scene);
}

static void serve_ten(struct web_request *request)
{
    webstatic_serve(request, web_route_arg(request), "ten.txt");
}

static const struct web_handler posts_handler = { .get = serve_ten, .post = serve_ten };

/* RFC 9110 13.2.1, 14.2: what is the answer to a POST is not the file that the client may have. */
static void conditions_and_ranges_are_for_get_alone(void **state)
{
    static const char *const headers[] = {
        "Range: bytes=0-1\r\n",
        "If-None-Match: *\r\n",
        "If-Match: \"x\"\r\n",
        "If-Modified-Since: Sun, 06 Nov 2094 08:49:37 GMT\r\n",
    };
    static const int of_get[] = { 206, 304, 412, 304 };
    struct staticscene scene;
    const struct web_route routes[] = { { .pattern = "/ten", .handler = &posts_handler, .arg = &scene.files }, { 0 } };

    scene.files = (struct webstatic){ 0 };
    staticscene_open_routes(&scene, routes, NULL);
    folder_write(&scene.folder, "root/ten.txt", "0123456789");
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        staticscene_expect(&scene, "GET /ten", headers[i], of_get[i], NULL);
        staticscene_expect(&scene, "POST /ten", headers[i], 200, "0123456789");
    }
    staticscene_close(&scene);
}

/* A date tells nothing of what has changed in the second that it names. */
static void a_date_that_is_not_over_is_no_condition_for_a_part(void **state)
{
    static const char headers[] = "If-Range: Mon, 01 Jan 2125 00:00:00 GMT\r\nRange: bytes=1-2\r\n";
    struct staticscene scene;

    open_ten(&scene);
    folder_set_time(&scene.folder, "root/ten.txt", 4891363200, 0);
    staticscene_expect(&scene, "GET /static/ten.txt", NULL, 200, NULL);
    staticscene_expect(&scene, "GET /static/ten.txt", headers, 200, "0123456789");
    staticscene_close(&scene);
}

static int64_t seconds_of(const struct staticscene *scene, const char *name)
{
    const char *value = staticscene_header(scene, name);
    int64_t seconds;

    assert_true(httpdate_parse(value, strlen(value), time(NULL), &seconds));
    return seconds;
}

/* RFC 9110 8.8.2.1. */
static void a_file_of_the_future_was_modified_no_later_than_now(void **state)
{
    static const int64_t ahead[] = { 30, 86400, 1000000000 };
    struct staticscene scene;

    open_ten(&scene);
    for (size_t i = 0; i < sizeof ahead / sizeof *ahead; i++) {
        int64_t before = time(NULL);
        if (sizeof(time_t) < sizeof(int64_t) && before + ahead[i] > INT32_MAX)
            continue;
        folder_set_time(&scene.folder, "root/ten.txt", before + ahead[i], 0);
        httpscene_pass(&scene.http, 1);
        staticscene_expect(&scene, "GET /static/ten.txt", NULL, 200, "0123456789");
        assert_true(seconds_of(&scene, "Last-Modified") <= seconds_of(&scene, "Date"));
        assert_true(seconds_of(&scene, "Last-Modified") >= before - 1);
    }
    staticscene_close(&scene);
}

/* Big files go another way. */
static void parts_of_big_files_are_exact(void **state)
{
    enum { SIZE = 300000 };
    static const struct {
        unsigned first, last;
    } parts[] = { { 0, 0 }, { 0, 999 }, { 1, 1000 }, { 65535, 65536 }, { 299000, 299999 }, { 299999, 299999 } };
    struct staticscene scene;
    char headers[64], expected[64];

    staticscene_open(&scene, NULL);
    folder_write_pattern(&scene.folder, "root/big", SIZE);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        snprintf(headers, sizeof headers, "Range: bytes=%u-%u\r\n", parts[i].first, parts[i].last);
        snprintf(expected, sizeof expected, "bytes %u-%u/%d", parts[i].first, parts[i].last, SIZE);
        staticscene_expect(&scene, "GET /static/big", headers, 206, NULL);
        expect_text(&scene, "Content-Range", expected);
        assert_int_equal(scene.answer.length, parts[i].last - parts[i].first + 1);
        for (unsigned at = 0; at < scene.answer.length; at++)
            assert_int_equal((unsigned char)scene.answer.body[at], (parts[i].first + at) % 251);
        staticscene_expect_same_head(&scene, "/static/big", headers);
    }
    staticscene_expect(&scene, "GET /static/big", "Range: bytes=300000-\r\n", 416, "");
    expect_text(&scene, "Content-Range", "bytes */300000");
    staticscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_range_has_its_part_or_its_status),
    cmocka_unit_test(that_there_is_no_such_part_is_not_kept_for_ten_years),
    cmocka_unit_test(an_empty_file_has_no_parts),
    cmocka_unit_test(what_the_client_has_is_not_sent_in_part_either),
    cmocka_unit_test(a_part_of_another_file_is_not_sent),
    cmocka_unit_test(what_is_asked_twice_is_not_asked),
    cmocka_unit_test(conditions_and_ranges_are_for_get_alone),
    cmocka_unit_test(a_date_that_is_not_over_is_no_condition_for_a_part),
    cmocka_unit_test(a_file_of_the_future_was_modified_no_later_than_now),
    cmocka_unit_test(parts_of_big_files_are_exact),
};

TESTING_MAIN(tests)
