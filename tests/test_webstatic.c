/* Files as answers: headers, HEAD, conditions, times to keep, codings; Tornado's StaticFileTest but for ranges
 * (test_webstatic_range.c), paths (test_webstatic_paths.c), what is big or goes wrong (test_webstatic_send.c) and the
 * URLs of files (test_webstatic_url.c). */
#include "httpserver/webstatic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "httpserver/httpdate.h"
#include "tests/support/staticscene.h"
#include "tests/support/testing.h"

#define A_SUNDAY      784111777
#define A_SUNDAY_TEXT "Sun, 06 Nov 1994 08:49:37 GMT"

static void write_at(struct staticscene *scene, const char *path, const char *text, int64_t seconds)
{
    folder_write(&scene->folder, path, text);
    folder_set_time(&scene->folder, path, seconds, 0);
}

static void expect_header(const struct staticscene *scene, const char *name, const char *value)
{
    const char *got = staticscene_header(scene, name);

    if ((got == NULL) != (value == NULL) || (got != NULL && strcmp(got, value) != 0))
        fail_msg("%s: %s, not %s", name, got != NULL ? got : "none", value != NULL ? value : "none");
}

/* web_test:test_static_files */
static void a_file_is_served_with_its_type_and_validators(void **state)
{
    struct staticscene scene;

    staticscene_open_routes(&scene, NULL, &(struct web_settings){ .static_path = "" });
    write_at(&scene, "root/robots.txt", "User-agent: *\nDisallow: /\n", A_SUNDAY);
    folder_write(&scene.folder, "root/favicon.ico", "icon");
    folder_write(&scene.folder, "root/a.unknown", "?");
    staticscene_expect(&scene, "GET /robots.txt", NULL, 200, "User-agent: *\nDisallow: /\n");
    staticscene_expect(&scene, "GET /static/robots.txt", NULL, 200, "User-agent: *\nDisallow: /\n");
    expect_header(&scene, "Content-Type", "text/plain; charset=utf-8");
    expect_header(&scene, "Last-Modified", A_SUNDAY_TEXT);
    expect_header(&scene, "Accept-Ranges", "bytes");
    expect_header(&scene, "Content-Length", "26");
    expect_header(&scene, "Expires", NULL);
    expect_header(&scene, "Cache-Control", NULL);
    expect_header(&scene, "Vary", NULL);
    expect_header(&scene, "Content-Encoding", NULL);
    staticscene_expect(&scene, "GET /favicon.ico", NULL, 200, "icon");
    staticscene_expect(&scene, "GET /static/a.unknown", NULL, 200, "?");
    expect_header(&scene, "Content-Type", "application/octet-stream");
    staticscene_close(&scene);
}

/* web_test:test_static_files_cacheable */
static void a_file_with_a_version_may_be_kept_for_ten_years(void **state)
{
    static const struct {
        const char *query;
        bool is_version;
    } cases[] = {
        { "?v=1234", true }, { "?v=0", true },    { "?a=b&v=1", true }, { "?v=&v=2", true },
        { "?", false },      { "?v", false },     { "?v=", false },     { "?v=&a=b", false },
        { "?w=1", false },   { "?vv=1", false },  { "?aav=1", false },  { "?a=v=1", false },
        { "?V=1", false },   { "?a&b&&", false }, { "?=", false },      { "?&v=1", true },
    };
    char expires[HTTPDATE_LENGTH + 1], request[64];
    struct staticscene scene;

    staticscene_open(&scene, &(struct webstatic){ .cache_control = "no-cache" });
    folder_write(&scene.folder, "root/robots.txt", "x");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(request, sizeof request, "GET /static/robots.txt%s", cases[i].query);
        time_t before = time(NULL);
        staticscene_expect(&scene, request, NULL, 200, "x");
        time_t after = time(NULL);
        expect_header(&scene, "Cache-Control", cases[i].is_version ? "max-age=315360000" : "no-cache");
        if (!cases[i].is_version)
            expect_header(&scene, "Expires", NULL);
        for (time_t at = before; cases[i].is_version; at++) {
            assert_true(at <= after);
            httpdate_format(at + 10 * 365 * 86400LL, expires);
            if (strcmp(staticscene_header(&scene, "Expires"), expires) == 0)
                break;
        }
    }
    staticscene_close(&scene);
}

/* web_test:test_static_compressed_files */
static void compressed_files_are_of_their_own_type(void **state)
{
    static const char *const cases[][2] = {
        { "sample.xml", "application/xml" },
        { "sample.xml.gz", "application/gzip" },
        { "sample.xml.bz2", "application/octet-stream" },
    };
    char path[64], request[64];
    struct staticscene scene;

    staticscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(path, sizeof path, "root/%s", cases[i][0]);
        folder_write(&scene.folder, path, "x");
        snprintf(request, sizeof request, "GET /static/%s", cases[i][0]);
        staticscene_expect(&scene, request, NULL, 200, "x");
        expect_header(&scene, "Content-Type", cases[i][1]);
        expect_header(&scene, "Content-Encoding", NULL);
    }
    staticscene_close(&scene);
}

/* web_test:test_static_head */
static void head_has_the_headers_of_get_and_no_body(void **state)
{
    struct staticscene scene;

    staticscene_open(&scene, NULL);
    write_at(&scene, "root/robots.txt", "0123456789", A_SUNDAY);
    folder_write(&scene.folder, "root/empty", "");
    folder_write_pattern(&scene.folder, "root/large", 100000);
    folder_make(&scene.folder, "root/folder");
    staticscene_expect_same_head(&scene, "/static/robots.txt", NULL);
    expect_header(&scene, "Content-Length", "10");
    assert_non_null(staticscene_header(&scene, "Etag"));
    staticscene_expect_same_head(&scene, "/static/robots.txt?v=1", NULL);
    staticscene_expect_same_head(&scene, "/static/empty", NULL);
    expect_header(&scene, "Content-Length", "0");
    staticscene_expect_same_head(&scene, "/static/large", NULL);
    expect_header(&scene, "Content-Length", "100000");
    staticscene_expect_same_head(&scene, "/static/none", NULL);
    assert_int_equal(scene.answer.status, 404);
    staticscene_expect_same_head(&scene, "/static/folder", NULL);
    assert_int_equal(scene.answer.status, 403);
    staticscene_expect(&scene, "HEAD /static/robots.txt", NULL, 200, "");
    staticscene_expect(&scene, "GET /static/robots.txt", NULL, 200, "0123456789");
    staticscene_close(&scene);
}

static void other_methods_are_refused(void **state)
{
    static const char *const methods[] = { "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "NEW" };
    struct staticscene scene;
    char request[64];

    staticscene_open(&scene, NULL);
    folder_write(&scene.folder, "root/a", "a");
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        snprintf(request, sizeof request, "%s /static/a", methods[i]);
        staticscene_expect(&scene, request, "Content-Length: 0\r\n", 405, NULL);
    }
    staticscene_close(&scene);
}

/* Conditions. */

/* web_test:test_static_etag: ours is of the file's inode, size and time, which need no reading. */
static void the_tag_changes_with_the_file_and_only_then(void **state)
{
    struct staticscene scene;
    char first[64];

    staticscene_open(&scene, NULL);
    write_at(&scene, "root/a", "before", A_SUNDAY);
    staticscene_expect(&scene, "GET /static/a", NULL, 200, "before");
    strcpy(first, staticscene_header(&scene, "Etag"));
    assert_true(first[0] == '"' && first[strlen(first) - 1] == '"');
    httpscene_pass(&scene.http, 1);
    staticscene_expect(&scene, "GET /static/a", NULL, 200, "before");
    expect_header(&scene, "Etag", first);
    write_at(&scene, "root/a", "afterr", A_SUNDAY + 1);
    httpscene_pass(&scene.http, 1);
    staticscene_expect(&scene, "GET /static/a", NULL, 200, "afterr");
    assert_string_not_equal(staticscene_header(&scene, "Etag"), first);
    staticscene_close(&scene);
}

static const struct {
    const char *headers; /* #: the tag */
    int status;
} conditions[] = {
    /* web_test:test_static_304_if_none_match */
    { "If-None-Match: #\r\n", 304 },
    { "If-None-Match: W/#\r\n", 304 },
    { "If-None-Match: \"x\", #, \"y\"\r\n", 304 },
    { "If-None-Match: *\r\n", 304 },
    { "If-None-Match: \"x\"\r\n", 200 },
    { "If-None-Match: nonsense\r\n", 200 },
    { "If-None-Match: \"x\"\r\nIf-None-Match: #\r\n", 304 },
    { "If-None-Match: \"x\"\r\nif-none-match: W/#\r\nIf-None-Match: \"y\"\r\n", 304 },
    { "If-None-Match: #\r\nIf-None-Match: nonsense\r\n", 200 },
    { "If-None-Match: \"x\"\r\nIf-None-Mitch: #\r\n", 200 },
    { "If-None-Match: \"x\"\r\nIf-None-Matches: #\r\n", 200 },
    /* web_test:test_static_304_if_modified_since */
    { "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 304 },
    { "If-Modified-Since: Sun, 06 Nov 1994 08:49:38 GMT\r\n", 304 },
    { "If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT\r\n", 304 },
    { "If-Modified-Since: Sun Nov  6 08:49:37 1994\r\n", 304 },
    { "If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n", 200 },
    /* web_test:test_static_304_if_modified_since_invalid */
    { "If-Modified-Since: 2020-01-01T00:00:00Z\r\n", 200 },
    { "If-Modified-Since: Sun, 06 Nov 2094 08:49:37\r\n", 200 },
    { "If-Modified-Since: \r\n", 200 },
    /* web_test:test_static_if_modified_since_pre_epoch */
    { "If-Modified-Since: Fri, 01 Jan 1960 00:00:00 GMT\r\n", 200 },
    { "If-Modified-Since: Mon, 01 Jan 0001 00:00:00 GMT\r\n", 200 },
    /* web_test:test_static_304_etag_modified_bug: a tag that differs counts, whatever the date says. */
    { "If-None-Match: \"x\"\r\nIf-Modified-Since: Sun, 06 Nov 2094 08:49:37 GMT\r\n", 200 },
    { "If-None-Match: #\r\nIf-Modified-Since: Sun, 06 Nov 1960 08:49:37 GMT\r\n", 304 },
    /* RFC 9110 13.1.1, 13.1.4 */
    { "If-Match: #\r\n", 200 },
    { "If-Match: *\r\n", 200 },
    { "If-Match: W/#\r\n", 412 },
    { "If-Match: \"x\"\r\nIf-Match: #\r\n", 200 },
    { "If-Match: W/#\r\nIf-Match: \"x\"\r\n", 412 },
    { "If-Match: #\r\nIf-Match: nonsense\r\n", 412 },
    { "If-Match: nonsense\r\nIf-Match: #\r\n", 412 },
    { "If-Match: \"x\"\r\n", 412 },
    { "If-Match: \"x\"\r\nIf-None-Match: #\r\n", 412 },
    { "If-Match: #\r\nIf-None-Match: #\r\n", 304 },
    { "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 200 },
    { "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n", 412 },
    { "If-Unmodified-Since: nonsense\r\n", 200 },
    { "If-Match: #\r\nIf-Unmodified-Since: Sun, 06 Nov 1960 08:49:37 GMT\r\n", 200 },
};

/* The headers with the tag instead of each "#". */
static void put_tag(char *place, const char *headers, const char *tag)
{
    for (; *headers != '\0'; headers++) {
        if (*headers == '#')
            place = stpcpy(place, tag);
        else
            *place++ = *headers;
    }
    *place = '\0';
}

static void check_conditions(struct staticscene *scene, const char *request, size_t length)
{
    char tag[64], headers[512], length_text[24];

    staticscene_expect(scene, request, NULL, 200, NULL);
    strcpy(tag, staticscene_header(scene, "Etag"));
    snprintf(length_text, sizeof length_text, "%zu", length);
    for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++) {
        put_tag(headers, conditions[i].headers, tag);
        staticscene_expect(scene, request, headers, conditions[i].status, NULL);
        if (conditions[i].status != 412) {
            expect_header(scene, "Etag", tag);
            expect_header(scene, "Last-Modified", A_SUNDAY_TEXT);
            expect_header(scene, "Cache-Control", "max-age=315360000");
        }
        if (conditions[i].status == 200)
            expect_header(scene, "Content-Length", length_text);
        if (conditions[i].status == 304)
            expect_header(scene, "Content-Type", NULL);
    }
}

static void conditions_decide_in_the_order_of_the_rfc(void **state)
{
    struct staticscene scene;

    staticscene_open(&scene, NULL);
    write_at(&scene, "root/a.txt", "content", A_SUNDAY);
    folder_write_pattern(&scene.folder, "root/large.txt", 70000);
    folder_set_time(&scene.folder, "root/large.txt", A_SUNDAY, 0);
    check_conditions(&scene, "GET /static/a.txt?v=1", 7);
    check_conditions(&scene, "HEAD /static/a.txt?v=1", 7);
    check_conditions(&scene, "GET /static/large.txt?v=1", 70000);
    staticscene_close(&scene);
}

/* web_test:test_static_if_modified_since_time_zone */
static void dates_are_of_greenwich_whatever_the_time_zone(void **state)
{
    static const char *const zones[] = { "EST5EDT", "Asia/Tokyo", "UTC-14", "UTC+12" };
    struct staticscene scene;

    staticscene_open(&scene, NULL);
    write_at(&scene, "root/a", "content", A_SUNDAY);
    for (size_t i = 0; i < sizeof zones / sizeof *zones; i++) {
        setenv("TZ", zones[i], 1);
        tzset();
        staticscene_expect(&scene, "GET /static/a", "If-Modified-Since: " A_SUNDAY_TEXT "\r\n", 304, NULL);
        expect_header(&scene, "Last-Modified", A_SUNDAY_TEXT);
        staticscene_expect(&scene, "GET /static/a", "If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n", 200, NULL);
    }
    unsetenv("TZ");
    tzset();
    staticscene_close(&scene);
}

/* Codings. */

static void a_compressed_neighbour_is_sent_to_those_who_accept_it(void **state)
{
    static const struct {
        const char *headers, *body, *encoding;
    } cases[] = {
        { NULL, "plain", NULL },
        { "Accept-Encoding: gzip\r\n", "as gzip", "gzip" },
        { "Accept-Encoding: gzip, deflate, br\r\n", "as br", "br" },
        { "Accept-Encoding: br;q=0\r\n", "plain", NULL },
        { "Accept-Encoding: br;q=0, gzip\r\n", "as gzip", "gzip" },
        { "Accept-Encoding: br;q=0.5, gzip;q=0.6\r\n", "as gzip", "gzip" },
        { "Accept-Encoding: gzip\r\nAccept-Encoding: br\r\n", "as br", "br" },
        { "Accept-Encoding: *\r\naccept-encoding: br;q=0\r\n", "as gzip", "gzip" },
        { "Accept-Encoding: identity, gzip;q=0.9\r\n", "plain", NULL },
        { "Accept-Encodings: gzip\r\n", "plain", NULL },
    };
    struct staticscene scene;
    char tags[3][64];

    staticscene_open(&scene, &(struct webstatic){ .precompressed = true });
    write_at(&scene, "root/a.css", "plain", A_SUNDAY);
    write_at(&scene, "root/a.css.br", "as br", A_SUNDAY);
    write_at(&scene, "root/a.css.gz", "as gzip", A_SUNDAY);
    write_at(&scene, "root/b.css", "alone", A_SUNDAY);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        staticscene_expect(&scene, "GET /static/a.css", cases[i].headers, 200, cases[i].body);
        expect_header(&scene, "Content-Encoding", cases[i].encoding);
        expect_header(&scene, "Content-Type", "text/css; charset=utf-8");
        expect_header(&scene, "Vary", "Accept-Encoding");
        if (i < 3)
            strcpy(tags[i], staticscene_header(&scene, "Etag"));
    }
    assert_string_not_equal(tags[0], tags[1]);
    assert_string_not_equal(tags[1], tags[2]);
    assert_string_not_equal(tags[0], tags[2]);
    staticscene_expect(&scene, "GET /static/b.css", "Accept-Encoding: br\r\n", 200, "alone");
    expect_header(&scene, "Content-Encoding", NULL);
    expect_header(&scene, "Vary", "Accept-Encoding");
    staticscene_expect(&scene, "GET /static/a.css.br", "Accept-Encoding: br\r\n", 200, "as br");
    expect_header(&scene, "Content-Encoding", NULL);
    staticscene_expect(&scene, "GET /static/a.css", "Accept-Encoding: br\r\nIf-None-Match: *\r\n", 304, NULL);
    expect_header(&scene, "Vary", "Accept-Encoding");
    expect_header(&scene, "Content-Encoding", NULL);
    staticscene_expect(&scene, "GET /static/a.css", "Accept-Encoding: br\r\nRange: bytes=1-2\r\n", 206, "s ");
    expect_header(&scene, "Content-Encoding", "br");
    staticscene_expect(&scene, "GET /static/a.css", "Accept-Encoding: br\r\nRange: bytes=9-\r\n", 416, "");
    expect_header(&scene, "Content-Encoding", NULL);
    expect_header(&scene, "Content-Range", "bytes */5");
    staticscene_close(&scene);
}

static void neighbours_are_not_looked_for_unless_wanted(void **state)
{
    struct staticscene scene;

    staticscene_open(&scene, NULL);
    folder_write(&scene.folder, "root/a.css", "plain");
    folder_write(&scene.folder, "root/a.css.gz", "as gzip");
    staticscene_expect(&scene, "GET /static/a.css", "Accept-Encoding: gzip\r\n", 200, "plain");
    expect_header(&scene, "Vary", NULL);
    staticscene_close(&scene);
}

/* The program's own. */

static void add_headers(struct web_request *request, const char *path)
{
    web_set_header(request, "X-Path", path);
    web_add_header(request, "Vary", "Cookie");
    if (strcmp(path, "typed.txt") == 0)
        web_set_header(request, "Content-Type", "text/x-other");
    if (strcmp(path, "tagged.txt") == 0)
        web_set_etag(request, "\"own\"");
    if (strcmp(path, "weak.txt") == 0)
        web_set_etag(request, "W/\"own\"");
    if (strcmp(path, "refused.txt") == 0)
        web_send_error(request, 451);
}

static void the_program_may_add_headers_and_refuse(void **state)
{
    struct staticscene scene;

    staticscene_open(&scene, &(struct webstatic){ .set_extra_headers = add_headers, .default_filename = "index.html" });
    folder_write(&scene.folder, "root/a.txt", "a");
    folder_write(&scene.folder, "root/typed.txt", "typed");
    folder_write(&scene.folder, "root/tagged.txt", "tagged");
    folder_write(&scene.folder, "root/weak.txt", "weak");
    folder_write(&scene.folder, "root/refused.txt", "refused");
    folder_write(&scene.folder, "root/folder/index.html", "index");
    staticscene_expect(&scene, "GET /static/a.txt", NULL, 200, "a");
    expect_header(&scene, "X-Path", "a.txt");
    expect_header(&scene, "Vary", "Cookie");
    expect_header(&scene, "Content-Type", "text/plain; charset=utf-8");
    staticscene_expect(&scene, "GET /static/typed.txt", NULL, 200, "typed");
    expect_header(&scene, "Content-Type", "text/x-other");
    staticscene_expect(&scene, "GET /static/tagged.txt", NULL, 200, "tagged");
    expect_header(&scene, "Etag", "\"own\"");
    staticscene_expect(&scene, "GET /static/tagged.txt", "If-None-Match: \"own\"\r\n", 304, NULL);
    staticscene_expect(&scene, "GET /static/tagged.txt", "If-Range: \"own\"\r\nRange: bytes=1-1\r\n", 206, "a");
    staticscene_expect(&scene, "GET /static/weak.txt", "If-Range: \"own\"\r\nRange: bytes=1-1\r\n", 200, "weak");
    staticscene_expect(&scene, "GET /static/weak.txt", "If-None-Match: \"own\"\r\n", 304, NULL);
    staticscene_expect(&scene, "GET /static/folder/", NULL, 200, "index");
    expect_header(&scene, "X-Path", "folder/index.html");
    staticscene_expect(&scene, "GET /static/a.txt", "If-None-Match: *\r\n", 304, NULL);
    expect_header(&scene, "X-Path", "a.txt");
    staticscene_expect(&scene, "GET /static/refused.txt", NULL, 451, NULL);
    expect_header(&scene, "Etag", NULL);
    staticscene_expect(&scene, "GET /static/none.txt", NULL, 404, NULL);
    expect_header(&scene, "X-Path", NULL);
    staticscene_close(&scene);
}

static void replace_cache_control(struct web_request *request, const char *path)
{
    web_set_header(request, "Cache-Control", "private");
}

static void what_the_program_sets_replaces_what_the_library_has_set(void **state)
{
    struct staticscene scene;

    staticscene_open(&scene,
                     &(struct webstatic){ .set_extra_headers = replace_cache_control, .cache_control = "no-cache" });
    folder_write(&scene.folder, "root/a", "a");
    staticscene_expect(&scene, "GET /static/a", NULL, 200, "a");
    expect_header(&scene, "Cache-Control", "private");
    staticscene_close(&scene);
}

/* A change. */

static void a_change_is_seen_a_second_later_at_the_latest(void **state)
{
    struct staticscene scene;

    staticscene_open(&scene, NULL);
    write_at(&scene, "root/a", "before", A_SUNDAY);
    staticscene_expect(&scene, "GET /static/a", NULL, 200, "before");
    write_at(&scene, "root/a", "after it", A_SUNDAY + 1);
    httpscene_pass(&scene.http, 1);
    staticscene_expect(&scene, "GET /static/a", NULL, 200, "after it");
    folder_remove(&scene.folder, "root/a");
    httpscene_pass(&scene.http, 1);
    staticscene_expect(&scene, "GET /static/a", NULL, 404, NULL);
    staticscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_file_is_served_with_its_type_and_validators),
    cmocka_unit_test(a_file_with_a_version_may_be_kept_for_ten_years),
    cmocka_unit_test(compressed_files_are_of_their_own_type),
    cmocka_unit_test(head_has_the_headers_of_get_and_no_body),
    cmocka_unit_test(other_methods_are_refused),
    cmocka_unit_test(the_tag_changes_with_the_file_and_only_then),
    cmocka_unit_test(conditions_decide_in_the_order_of_the_rfc),
    cmocka_unit_test(dates_are_of_greenwich_whatever_the_time_zone),
    cmocka_unit_test(a_compressed_neighbour_is_sent_to_those_who_accept_it),
    cmocka_unit_test(neighbours_are_not_looked_for_unless_wanted),
    cmocka_unit_test(the_program_may_add_headers_and_refuse),
    cmocka_unit_test(what_the_program_sets_replaces_what_the_library_has_set),
    cmocka_unit_test(a_change_is_seen_a_second_later_at_the_latest),
};

TESTING_MAIN(tests)
