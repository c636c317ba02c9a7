/* Which paths are served, and what happens to the others: out of the root, folders, links, what is no file. */
#include "httpserver/webstatic.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/faults.h"
#include "tests/support/staticscene.h"
#include "tests/support/testing.h"

static void make_files(struct staticscene *scene)
{
    folder_write(&scene->folder, "secret", "secret");
    folder_write(&scene->folder, "root_foo.txt", "secret");
    folder_write(&scene->folder, "root_secret/x", "secret");
    folder_write(&scene->folder, "root/a.txt", "a");
    folder_write(&scene->folder, "root/dir/index.html", "index");
    folder_write(&scene->folder, "root/dir/b.txt", "b");
    folder_write(&scene->folder, "root/.hidden", "secret");
    folder_write(&scene->folder, "root/.git/config", "secret");
    folder_write(&scene->folder, "root/with blank", "blank");
    folder_write(&scene->folder, "root/a+b", "plus");
    folder_write(&scene->folder, "root/\xc3\xa4", "umlaut");
    folder_write(&scene->folder, "root/%2e", "percent");
    folder_write(&scene->folder, "root/index.html", "root index");
    folder_make(&scene->folder, "root/empty");
    folder_make(&scene->folder, "root/odd/index.html/x");
    folder_make_fifo(&scene->folder, "root/fifo");
    folder_link(&scene->folder, "root/inside", "a.txt");
    folder_link(&scene->folder, "root/outside", "../secret");
    folder_link(&scene->folder, "root/up", "..");
    folder_link(&scene->folder, "root/passwd", "/etc/passwd");
    folder_link(&scene->folder, "root/zero", "/dev/zero");
    folder_link(&scene->folder, "root/loop", "loop");
}

/* web_test:test_path_traversal_protection
 * web_test:test_static_404 */
static const struct {
    const char *path;
    int status, without_default; /* 0: the same */
    const char *body;
} cases[] = {
    { "a.txt", 200, 0, "a" },
    { "dir/b.txt", 200, 0, "b" },
    { "dir%2Fb.txt", 200, 0, "b" },
    { "%61.txt", 200, 0, "a" },
    { "a.txt?x=../../secret", 200, 0, "a" },
    { "with%20blank", 200, 0, "blank" },
    { "a+b", 200, 0, "plus" },
    { "a%2Bb", 200, 0, "plus" },
    { "%C3%A4", 200, 0, "umlaut" },
    { "%252e", 200, 0, "percent" }, /* decoded once */
    { "inside", 200, 0, "a" },
    { "none.txt", 404, 0, NULL },
    { "none/none.txt", 404, 0, NULL },
    { "a.txt/", 404, 0, NULL },
    { "a.txt/x", 404, 0, NULL },
    { "%252e%252e/secret", 404, 0, NULL },
    { "..%c0%af/x", 400, 0, NULL },
    { "%c0%ae%c0%ae/x", 400, 0, NULL },
    { "a%00.txt", 400, 0, NULL },
    { "a.txt%00", 400, 0, NULL },
    { "%zz", 400, 0, NULL },
    { "a%", 400, 0, NULL },
    { "../secret", 403, 0, NULL },
    { "../root_foo.txt", 403, 0, NULL },
    { "../root_secret/x", 403, 0, NULL },
    { "%2e%2e/secret", 403, 0, NULL },
    { ".%2e/secret", 403, 0, NULL },
    { "..%2fsecret", 403, 0, NULL },
    { "%2e%2e%2fsecret", 403, 0, NULL },
    { "..%5csecret", 403, 0, NULL },
    { "dir/../../secret", 403, 0, NULL },
    { "dir/../a.txt", 403, 0, NULL },
    { "dir/./b.txt", 403, 0, NULL },
    { "dir/..;/b.txt", 403, 0, NULL },
    { "dir//b.txt", 403, 0, NULL },
    { "dir%5cb.txt", 403, 0, NULL },
    { "/etc/passwd", 403, 0, NULL },
    { "//etc/passwd", 403, 0, NULL },
    { "%2fetc/passwd", 403, 0, NULL },
    { "..", 403, 0, NULL },
    { ".", 403, 0, NULL },
    { "...", 403, 0, NULL },
    { "/", 403, 0, NULL },
    { ".hidden", 403, 0, NULL },
    { "%2ehidden", 403, 0, NULL },
    { ".git/config", 403, 0, NULL },
    { ".nothing", 403, 0, NULL },
    { "outside", 403, 0, NULL },
    { "up/secret", 403, 0, NULL },
    { "up/root/a.txt", 403, 0, NULL },
    { "passwd", 403, 0, NULL },
    { "zero", 403, 0, NULL },
    { "loop", 403, 0, NULL },
    { "fifo", 403, 0, NULL },
    { "fifo/", 404, 0, NULL },
    /* Folders. */
    { "dir/", 200, 403, "index" },
    { "dir", 301, 403, NULL },
    { "", 200, 403, "root index" },
    { "empty/", 404, 403, NULL },
    { "empty", 301, 403, NULL },
    { "none/", 404, 0, NULL },
    { "odd/", 403, 0, NULL },
    { "dir/index.html/", 404, 0, NULL },
};

static void ask_for_all(struct staticscene *scene, bool has_default)
{
    char request[256];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int status = has_default || cases[i].without_default == 0 ? cases[i].status : cases[i].without_default;

        snprintf(request, sizeof request, "GET /static/%s", cases[i].path);
        staticscene_expect(scene, request, NULL, status, status == 200 ? cases[i].body : NULL);
        assert_null(strstr(scene->answer.body, "secret"));
        assert_null(strstr(scene->answer.body, "root:"));
        snprintf(request, sizeof request, "HEAD /static/%s", cases[i].path);
        staticscene_expect(scene, request, NULL, status, "");
    }
}

static void nothing_is_served_but_files_below_the_root(void **state)
{
    struct staticscene scene;

    if (!folder_follows_links())
        skip();
    staticscene_open(&scene, &(struct webstatic){ .default_filename = "index.html" });
    make_files(&scene);
    ask_for_all(&scene, true);
    ask_for_all(&scene, true); /* some from memory now */
    staticscene_close(&scene);

    staticscene_open(&scene, NULL);
    make_files(&scene);
    ask_for_all(&scene, false);
    staticscene_close(&scene);
}

static void links_are_not_followed_if_they_are_not_to_be(void **state)
{
    struct staticscene scene;

    staticscene_open(&scene, &(struct webstatic){ .no_links = true });
    make_files(&scene);
    folder_link(&scene.folder, "root/dir2", "dir");
    staticscene_expect(&scene, "GET /static/a.txt", NULL, 200, "a");
    staticscene_expect(&scene, "GET /static/inside", NULL, 403, NULL);
    staticscene_expect(&scene, "GET /static/dir2/b.txt", NULL, 403, NULL);
    staticscene_close(&scene);
}

/* What was checked is what is sent: only the descriptor is looked at. And what was a file may be a link a second later.
 */
static void a_file_that_becomes_a_link_out_is_not_served_any_more(void **state)
{
    struct staticscene scene;

    staticscene_open(&scene, NULL);
    make_files(&scene);
    staticscene_expect(&scene, "GET /static/a.txt", NULL, 200, "a");
    folder_remove(&scene.folder, "root/a.txt");
    folder_link(&scene.folder, "root/a.txt", "../secret");
    httpscene_pass(&scene.http, 1);
    staticscene_expect(&scene, "GET /static/a.txt", NULL, 403, NULL);
    staticscene_close(&scene);
}

static void without_the_kernels_help_the_same_is_served_but_no_links(void **state)
{
    struct staticscene scene;
    char request[256];

    staticscene_open(&scene, &(struct webstatic){ .default_filename = "index.html" });
    make_files(&scene);
    faults_system_call_sticky("openat2", ENOSYS, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(request, sizeof request, "GET /static/%s", cases[i].path);
        bool is_link = strcmp(cases[i].path, "inside") == 0;
        staticscene_expect(&scene, request, NULL, is_link ? 403 : cases[i].status,
                           is_link || cases[i].status != 200 ? NULL : cases[i].body);
    }
    staticscene_close(&scene);
}

/* web_test:test_root_static_path */
static void the_root_may_be_that_of_the_system(void **state)
{
    static const struct webstatic whole_system = { .root = "/" };
    const struct web_route routes[] = {
        { .pattern = "/root_static/(.*)", .handler = &webstatic_handler, .arg = &whole_system }, { 0 }
    };
    struct staticscene scene;
    char request[256];

    staticscene_open_routes(&scene, routes, NULL);
    folder_write(&scene.folder, "root/robots.txt", "robots");
    snprintf(request, sizeof request, "GET /root_static%s/robots.txt", scene.root);
    staticscene_expect(&scene, request, NULL, 200, "robots");
    staticscene_close(&scene);
}

static void the_root_may_be_missing_or_replaced(void **state)
{
    struct staticscene scene;

    staticscene_open(&scene, NULL);
    folder_write(&scene.folder, "root/a", "first");
    folder_write(&scene.folder, "next/a", "second");
    folder_set_time(&scene.folder, "root/a", 1000, 0);
    staticscene_expect(&scene, "GET /static/a", NULL, 200, "first");
    folder_remove(&scene.folder, "root/a");
    folder_remove(&scene.folder, "root");
    httpscene_pass(&scene.http, 1);
    staticscene_expect(&scene, "GET /static/a", NULL, 404, NULL);
    char from[256];
    strcpy(from, folder_place(&scene.folder, "next"));
    assert_int_equal(rename(from, folder_place(&scene.folder, "root")), 0);
    staticscene_expect(&scene, "GET /static/a", NULL, 200, "second");
    staticscene_close(&scene);
}

static void paths_may_be_long_but_not_longer(void **state)
{
    struct staticscene scene;
    char *request = malloc(8000);

    assert_non_null(request);
    staticscene_open(&scene, &(struct webstatic){ .default_filename = "index.html" });
    for (int length = 3970; length < 4120; length++) {
        int used = sprintf(request, "GET /static/");
        for (int i = 0; i < length; i++)
            request[used++] = i % 2 == 0 ? 'a' : '/';
        request[used] = '\0';
        staticscene_expect(&scene, request, NULL, 404, NULL);
    }
    memset(request + 12, 'n', 300);
    request[312] = '\0';
    staticscene_expect(&scene, request, NULL, 404, NULL);
    free(request);
    staticscene_close(&scene);
}

/* Folders. */

/* web_test:test_static_default_filename
 * web_test:test_static_default_redirect */
static void a_folder_is_redirected_to_its_slash(void **state)
{
    static const char *const redirects[][2] = {
        { "/static/dir", "/static/dir/" },
        { "/static/dir?a=b&c", "/static/dir/?a=b&c" },
        { "/static/dir?", "/static/dir/?" },
        { "/static/%64ir", "/static/%64ir/" },
        { "http://example.org/static/dir", "/static/dir/" },
    };
    struct staticscene scene;
    char request[128];

    staticscene_open(&scene, &(struct webstatic){ .default_filename = "index.html" });
    make_files(&scene);
    for (size_t i = 0; i < sizeof redirects / sizeof *redirects; i++) {
        snprintf(request, sizeof request, "GET %s", redirects[i][0]);
        staticscene_expect(&scene, request, NULL, 301, NULL);
        assert_string_equal(staticscene_header(&scene, "Location"), redirects[i][1]);
        assert_null(staticscene_header(&scene, "Etag"));
    }
    staticscene_expect(&scene, "GET /static/dir/", NULL, 200, "index");
    assert_string_equal(staticscene_header(&scene, "Content-Type"), "text/html; charset=utf-8");
    staticscene_close(&scene);
}

/* web_test:test_no_open_redirect: "//evil.com/dir" is a URL of another host, where dir is a folder of ours. */
static void no_redirect_leads_to_another_host(void **state)
{
    static const char *const targets[] = {
        "//dir",          "//dir/",   "//evil.com/dir",    "/%2fdir", "/%5cdir",  "/%5c/dir",
        "//evil.com/..",  "///dir",   "//evil.com/../dir", "/.//dir", "/..//dir", "//evil.com/%2e%2e/dir",
        "//example.org/", "/%09/dir", "//%2fdir",          "/;//dir", "/\\dir",   "/\\evil.com/dir",
    };
    static const char *const patterns[] = { "/(.*)", "/+(.*)" };
    char request[128];

    for (size_t p = 0; p < 2; p++) {
        struct staticscene scene;
        const struct web_route routes[] = {
            { .pattern = patterns[p], .handler = &webstatic_handler, .arg = &scene.files }, { 0 }
        };

        scene.files = (struct webstatic){ .default_filename = "index.html" };
        staticscene_open_routes(&scene, routes, NULL);
        folder_write(&scene.folder, "root/dir/index.html", "index");
        folder_write(&scene.folder, "root/evil.com/dir/index.html", "index");
        for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
            snprintf(request, sizeof request, "GET %s", targets[i]);
            int status = staticscene_ask(&scene, request, NULL);
            if (status == 301 || staticscene_header(&scene, "Location") != NULL)
                fail_msg("%s, %s: %d to %s", patterns[p], targets[i], status, staticscene_header(&scene, "Location"));
        }
        staticscene_expect(&scene, "GET /dir", NULL, 301, NULL);
        staticscene_close(&scene);
    }
}

static void serve_a_folder(struct web_request *request)
{
    webstatic_serve(request, web_route_arg(request), "dir");
}

static const struct web_handler folder_handler = { .get = serve_a_folder };

/* A redirect to itself would never end. */
static void a_url_with_a_slash_is_not_redirected(void **state)
{
    struct staticscene scene;
    const struct web_route routes[] = { { .pattern = "/", .handler = &folder_handler, .arg = &scene.files },
                                        { .pattern = "/x/", .handler = &folder_handler, .arg = &scene.files },
                                        { .pattern = "/x", .handler = &folder_handler, .arg = &scene.files },
                                        { 0 } };

    scene.files = (struct webstatic){ .default_filename = "index.html" };
    staticscene_open_routes(&scene, routes, NULL);
    make_files(&scene);
    staticscene_expect(&scene, "GET /", NULL, 403, NULL);
    staticscene_expect(&scene, "GET /x/", NULL, 403, NULL);
    staticscene_expect(&scene, "GET /x", NULL, 301, NULL);
    staticscene_close(&scene);
}

static void a_route_without_a_group_is_the_root(void **state)
{
    struct staticscene scene;
    const struct web_route routes[] = { { .pattern = "/", .handler = &webstatic_handler, .arg = &scene.files },
                                        { .pattern = "/(a.txt)?b", .handler = &webstatic_handler, .arg = &scene.files },
                                        { 0 } };

    scene.files = (struct webstatic){ .default_filename = "index.html" };
    staticscene_open_routes(&scene, routes, NULL);
    make_files(&scene);
    staticscene_expect(&scene, "GET /", NULL, 200, "root index");
    staticscene_expect(&scene, "GET /b", NULL, 200, "root index");
    staticscene_close(&scene);
}

/* web_test:test_serve: the program maps URLs to files, and says what it wants of them. */
static void serve_by_language(struct web_request *request)
{
    const char *language = web_path_argument(request, 0);
    char path[64];

    snprintf(path, sizeof path, "pages/%.16s.html", language);
    webstatic_serve(request, web_route_arg(request), path);
}

static void add_language(struct web_request *request, const char *path)
{
    web_set_header(request, "Content-Language", strstr(path, "de.html") != NULL ? "de" : "en");
}

static const struct web_handler language_handler = { .get = serve_by_language, .head = serve_by_language };

static void a_handler_of_the_program_may_serve_files(void **state)
{
    struct staticscene scene;
    const struct web_route routes[] = { { .pattern = "/page/(..)", .handler = &language_handler, .arg = &scene.files },
                                        { 0 } };

    scene.files = (struct webstatic){ .set_extra_headers = add_language };
    staticscene_open_routes(&scene, routes, NULL);
    folder_write(&scene.folder, "root/pages/de.html", "Seite");
    folder_write(&scene.folder, "root/pages/en.html", "page");
    staticscene_expect(&scene, "GET /page/de", NULL, 200, "Seite");
    assert_string_equal(staticscene_header(&scene, "Content-Language"), "de");
    staticscene_expect(&scene, "GET /page/en", NULL, 200, "page");
    staticscene_expect(&scene, "GET /page/fr", NULL, 404, NULL);
    staticscene_expect(&scene, "GET /page/..", NULL, 403, NULL);
    staticscene_expect_same_head(&scene, "/page/en", NULL);
    staticscene_close(&scene);
}

static struct web_request *waiting;

static void wait_for_it(struct web_request *request)
{
    waiting = request;
}

static const struct web_handler later_handler = { .get = wait_for_it, .asynchronous = true };

static void a_file_may_be_served_later_but_not_behind_the_end(void **state)
{
    static const char *const paths[] = { "a.txt", "large", "none", "dir" };
    static const int statuses[] = { 200, 200, 404, 301 };
    struct staticscene scene;
    const struct web_route routes[] = { { .pattern = "/later", .handler = &later_handler }, { 0 } };

    scene.files = (struct webstatic){ .default_filename = "index.html" };
    staticscene_open_routes(&scene, routes, NULL);
    make_files(&scene);
    folder_write_pattern(&scene.folder, "root/large", 100000);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        staticscene_put(&scene, "GET /later", NULL);
        httpscene_settle(&scene.http);
        webstatic_serve(waiting, &scene.files, paths[i]);
        webstatic_serve(waiting, &scene.files, "a.txt");
        assert_int_equal(staticscene_next(&scene, "GET"), statuses[i]);
    }
    httpscene_expect_nothing(&scene.http, scene.client);
    staticscene_put(&scene, "GET /later", NULL);
    httpscene_settle(&scene.http);
    staticscene_reconnect(&scene); /* it has left */
    webstatic_serve(waiting, &scene.files, "large");
    staticscene_expect(&scene, "GET /other", NULL, 404, NULL);
    staticscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(nothing_is_served_but_files_below_the_root),
    cmocka_unit_test(links_are_not_followed_if_they_are_not_to_be),
    cmocka_unit_test(a_file_that_becomes_a_link_out_is_not_served_any_more),
    cmocka_unit_test(without_the_kernels_help_the_same_is_served_but_no_links),
    cmocka_unit_test(the_root_may_be_that_of_the_system),
    cmocka_unit_test(the_root_may_be_missing_or_replaced),
    cmocka_unit_test(paths_may_be_long_but_not_longer),
    cmocka_unit_test(a_folder_is_redirected_to_its_slash),
    cmocka_unit_test(no_redirect_leads_to_another_host),
    cmocka_unit_test(a_url_with_a_slash_is_not_redirected),
    cmocka_unit_test(a_route_without_a_group_is_the_root),
    cmocka_unit_test(a_handler_of_the_program_may_serve_files),
    cmocka_unit_test(a_file_may_be_served_later_but_not_behind_the_end),
};

TESTING_MAIN(tests)
