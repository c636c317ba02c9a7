/* The URLs of files, with versions that change with them. */
#include "httpserver/webstatic.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/faults.h"
#include "tests/support/staticscene.h"
#include "tests/support/testing.h"

static void write_url(struct web_request *request)
{
    const char *path = web_path_argument(request, 1);
    const char *flags = web_path_argument(request, 0);
    assert_null(web_static_url(request, NULL, false, false));
    const char *url = web_static_url(request, path, strchr(flags, 'h') != NULL, strchr(flags, 'v') != NULL);

    web_write(request, url != NULL ? url : "none");
}

static const struct web_handler url_handler = { .get = write_url };
static const struct web_error gone = { 410 };

static void open_urls(struct staticscene *scene, const char *prefix)
{
    scene->files = (struct webstatic){ 0 };
    const struct web_route routes[] = { { .pattern = "/url/([-hv]+)/(.*)", .handler = &url_handler }, { 0 } };

    staticscene_open_routes(scene, routes, &(struct web_settings){ .static_path = "", .static_url_prefix = prefix });
    folder_write(&scene->folder, "root/robots.txt", "robots");
    folder_write(&scene->folder, "root/with blank?.txt", "blank");
}

static void expect_url(struct staticscene *scene, const char *target, const char *url)
{
    char request[128];

    snprintf(request, sizeof request, "GET /url/%s", target);
    staticscene_expect(scene, request, NULL, 200, url);
}

/* web_test:test_relative_version_exclusion
 * web_test:test_absolute_version_exclusion
 * web_test:test_include_host_override */
static void a_url_without_a_version_is_the_path_or_with_the_host(void **state)
{
    struct staticscene scene;

    open_urls(&scene, NULL);
    expect_url(&scene, "-/robots.txt", "/static/robots.txt");
    expect_url(&scene, "h/robots.txt", "http://example.org/static/robots.txt");
    expect_url(&scene, "-/none.txt", "/static/none.txt");
    expect_url(&scene, "-/with%20blank%3F.txt", "/static/with%20blank%3F.txt");
    staticscene_close(&scene);
    open_urls(&scene, "/s/t/");
    expect_url(&scene, "-/robots.txt", "/s/t/robots.txt");
    staticscene_expect(&scene, "GET /s/t/robots.txt", NULL, 200, "robots");
    staticscene_expect(&scene, "GET /static/robots.txt", NULL, 404, NULL);
    staticscene_close(&scene);
}

/* web_test:test_static_url
 * web_test:test_absolute_static_url */
static void a_url_with_a_version_leads_to_a_file_that_may_be_kept(void **state)
{
    char version[17], expected[128], request[160];
    struct staticscene scene;

    open_urls(&scene, NULL);
    scene.files.root = scene.root;
    assert_int_equal(webstatic_version(&scene.files, "robots.txt", version, sizeof version), 0);
    snprintf(expected, sizeof expected, "/static/robots.txt?v=%s", version);
    expect_url(&scene, "v/robots.txt", expected);
    snprintf(request, sizeof request, "GET %s", expected);
    staticscene_expect(&scene, request, NULL, 200, "robots");
    assert_non_null(staticscene_header(&scene, "Expires"));
    snprintf(expected, sizeof expected, "http://example.org/static/robots.txt?v=%s", version);
    expect_url(&scene, "hv/robots.txt", expected);
    expect_url(&scene, "v/none.txt", "/static/none.txt");
    staticscene_close(&scene);
}

/* The URL maker of a program that has files of its own: CustomStaticFileTest of web_test:test_static_url */
static void a_version_is_of_size_and_time_and_the_same_for_copies(void **state)
{
    struct staticscene scene;
    char first[17], second[17];

    staticscene_open(&scene, NULL);
    folder_write(&scene.folder, "root/a", "same");
    folder_write(&scene.folder, "root/b", "copy");
    folder_write(&scene.folder, "root/c", "longer");
    folder_set_time(&scene.folder, "root/a", 1000, 1);
    folder_set_time(&scene.folder, "root/b", 1000, 1);
    folder_set_time(&scene.folder, "root/c", 1000, 1);
    assert_int_equal(webstatic_version(&scene.files, "a", first, sizeof first), 0);
    assert_int_equal(strspn(first, "abcdefghijklmnop"), 16);
    assert_int_equal(strlen(first), 16);
    assert_int_equal(webstatic_version(&scene.files, "b", second, sizeof second), 0);
    assert_string_equal(first, second);
    assert_int_equal(webstatic_version(&scene.files, "c", second, sizeof second), 0);
    assert_string_not_equal(first, second);
    folder_set_time(&scene.folder, "root/b", 1000, 2);
    assert_int_equal(webstatic_version(&scene.files, "b", second, sizeof second), 0);
    assert_string_not_equal(first, second);
    folder_set_time(&scene.folder, "root/b", 1001, 1);
    assert_int_equal(webstatic_version(&scene.files, "b", second, sizeof second), 0);
    assert_string_not_equal(first, second);
    staticscene_close(&scene);
}

static void what_has_no_version_answers_why(void **state)
{
    struct staticscene scene;
    char version[40] = "unchanged";

    staticscene_open(&scene, NULL);
    folder_write(&scene.folder, "root/a", "a");
    folder_make(&scene.folder, "root/folder");
    assert_int_equal(webstatic_version(&scene.files, "none", version, sizeof version), -ENOENT);
    assert_int_equal(webstatic_version(&scene.files, "folder", version, sizeof version), -EISDIR);
    assert_int_equal(webstatic_version(&scene.files, "../a", version, sizeof version), -EPERM);
    assert_int_equal(webstatic_version(&scene.files, "a", version, 16), -ENOBUFS);
    faults_system_call("fstat", EIO, 1);
    assert_int_equal(webstatic_version(&scene.files, "a", version, sizeof version), -EIO);
    assert_string_equal(version, "unchanged");
    staticscene_close(&scene);
}

/* static_handler_args */
static void files_of_the_settings_are_served_as_these_say(void **state)
{
    struct staticscene scene = { .files = { .cache_control = "no-cache", .precompressed = true } };
    const struct web_route routes[] = { { .pattern = "/url/([-hv]+)/(.*)", .handler = &url_handler },
                                        { .pattern = "/(.*)", .handler = &web_error_handler, .arg = &gone },
                                        { 0 } };

    staticscene_open_routes(&scene, routes, &(struct web_settings){ .static_files = &scene.files });
    folder_write(&scene.folder, "root/robots.txt", "robots");
    folder_write(&scene.folder, "root/robots.txt.gz", "packed");
    folder_set_time(&scene.folder, "root/robots.txt", 1000, 1);
    expect_url(&scene, "-/robots.txt", "/static/robots.txt");
    staticscene_expect(&scene, "GET /static/robots.txt", "Accept-Encoding: gzip\r\n", 200, "packed");
    assert_string_equal(staticscene_header(&scene, "Cache-Control"), "no-cache");
    staticscene_expect(&scene, "GET /robots.txt", NULL, 200, "robots");
    staticscene_expect(&scene, "GET /other", NULL, 410, NULL);
    staticscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_url_without_a_version_is_the_path_or_with_the_host),
    cmocka_unit_test(a_url_with_a_version_leads_to_a_file_that_may_be_kept),
    cmocka_unit_test(a_version_is_of_size_and_time_and_the_same_for_copies),
    cmocka_unit_test(what_has_no_version_answers_why),
    cmocka_unit_test(files_of_the_settings_are_served_as_these_say),
};

TESTING_MAIN(tests)
