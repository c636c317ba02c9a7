/* Pages with texts of strangers in them: web_printf_html. */
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "httpserver/web.h"
#include "tests/support/faults.h"
#include "tests/support/testing.h"
#include "tests/support/webscene.h"

static web_fn *act;

static void do_act(struct web_request *request)
{
    act(request);
}

static const struct web_handler acts = { .get = do_act };
static const struct web_route routes[] = { { .pattern = "/", .handler = &acts }, { 0 } };

static void open_scene(struct webscene *scene, web_fn *function)
{
    act = function;
    webscene_open(scene, routes, NULL);
}

static void expect_page(web_fn *function, int status, const char *page)
{
    struct webscene scene;

    open_scene(&scene, function);
    webscene_expect(&scene, "GET /", NULL, NULL, status, page);
    webscene_close(&scene);
}

static void print_texts(struct web_request *request)
{
    assert_int_equal(web_printf_html(request, "<a href=\"/%s\">%s</a>", "x\" onclick=\"", "<b>&'\xc3\xa4"), 0);
    assert_int_equal(web_printf_html(request, "%s%s", "", "<"), 0);
    assert_int_equal(web_printf_html(request, "%.*s|%.*s|%.*s", 2, "<>&", 5, "ab", -1, "abc"), 0);
    assert_int_equal(web_printf_html(request, "%.*s", 0, "not looked at"), 0);
    assert_int_equal(web_printf_html(request, "100%% <br>"), 0);
}

static void texts_are_escaped_and_the_format_is_not(void **state)
{
    expect_page(print_texts, 200,
                "<a href=\"/x&quot; onclick=&quot;\">&lt;b&gt;&amp;&#x27;\xc3\xa4</a>&lt;"
                "&lt;&gt;|ab|abc100% <br>");
}

static void print_numbers(struct web_request *request)
{
    assert_int_equal(web_printf_html(request, "%d %i %u,", INT_MIN, 7, UINT_MAX), 0);
    assert_int_equal(web_printf_html(request, "%ld %lu,", -1L, 3000000000UL), 0);
    assert_int_equal(web_printf_html(request, "%lld %llu,", (long long)INT64_MIN, (unsigned long long)UINT64_MAX), 0);
    assert_int_equal(web_printf_html(request, "%zd %zu %s", (ssize_t)-5, (size_t)5, "<"), 0);
}

static void numbers_of_all_sizes_are_written(void **state)
{
    expect_page(print_numbers, 200,
                "-2147483648 7 4294967295,-1 3000000000,-9223372036854775808 18446744073709551615,-5 5 &lt;");
}

/* As web_write: what a call that failed has answered is no text, and the rest is. */
static void print_missing(struct web_request *request)
{
    const char *missing = web_get_arguments(request, "missing", 0);

    assert_int_equal(web_printf_html(request, "a%sb%.*sc%d", missing, 3, missing, 1), -EINVAL);
}

static void a_missing_text_is_told(void **state)
{
    expect_page(print_missing, 200, "abc1");
}

static void print_when_finished(struct web_request *request)
{
    web_finish(request);
    assert_int_equal(web_printf_html(request, "%s", "late"), -EPIPE);
}

static void behind_the_end_nothing_is_written(void **state)
{
    expect_page(print_when_finished, 200, "");
}

/* The compiler knows more conversions than these. */
static const char *format;

static void print_format(struct web_request *request)
{
    int (*print)(struct web_request * request, const char *format, ...) = web_printf_html;

    assert_int_equal(print(request, format, 1, "<"), -EINVAL);
    assert_int_equal(print(request, "x"), -EINVAL);
}

static void other_conversions_are_500_and_logged(void **state)
{
    static const char *const formats[] = { "%x %s", "%5d",   "%-5s", "%.2f", "%.5s", "%hd",
                                           "%jd",   "%llld", "%",    "a%",   "%l" };

    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        struct webscene scene;

        open_scene(&scene, print_format);
        format = formats[i];
        webscene_expect(&scene, "GET /", NULL, NULL, 500, "");
        assert_int_equal(testing_logs("web_printf_html has no such conversion"), 1);
        webscene_close(&scene);
    }
}

static void print_much(struct web_request *request)
{
    char text[2000];

    memset(text, '<', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (int i = 0; i < 8; i++)
        (void)!web_printf_html(request, "%s%s", text, text);
}

static void without_memory_it_is_500(void **state)
{
    struct webscene scene;
    int status = 0;

    for (int nth = 1; status != 200; nth++) {
        assert_true(nth < 100);
        open_scene(&scene, print_much);
        struct httpscene_client *client = httpscene_connect(&scene.http);
        httpscene_settle(&scene.http);
        faults_allocation(nth, false);
        webscene_put(&scene, client, "GET /", NULL, NULL);
        status = webscene_read(&scene, client, "GET");
        faults_end();
        if (status == 200)
            assert_int_equal(strlen(scene.body), 16 * 1999 * 4);
        webscene_close(&scene);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(texts_are_escaped_and_the_format_is_not),
    cmocka_unit_test(numbers_of_all_sizes_are_written),
    cmocka_unit_test(a_missing_text_is_told),
    cmocka_unit_test(behind_the_end_nothing_is_written),
    cmocka_unit_test(other_conversions_are_500_and_logged),
    cmocka_unit_test(without_memory_it_is_500),
};

TESTING_MAIN(tests)
