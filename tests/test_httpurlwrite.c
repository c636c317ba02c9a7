/* References as seen from another URL, and arguments that are put into one. */
#include "httpserver/httpurl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/guardpage.h"
#include "tests/support/testing.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct example {
    const char *reference, *wanted;
};

static ssize_t resolve(const char *base, const char *reference, char *place, size_t size)
{
    struct httpurl from, to;

    assert_int_equal(httpurl_parse(base, strlen(base), &from), 0);
    assert_int_equal(httpurl_parse(guardpage_text(reference, strlen(reference)), strlen(reference), &to), 0);
    return httpurl_resolve(&from, &to, place, size);
}

/* In the room that is always enough. */
static void assert_resolved(const char *base, const char *reference, const char *wanted)
{
    size_t size = strlen(base) + strlen(reference) + 3;
    char *place = guardpage_place(size);
    ssize_t length = resolve(base, reference, place, size);

    if (length < 0)
        fail_msg("%s as seen from %s: %zd", reference, base, length);
    assert_string_equal(place, wanted);
    assert_int_equal(length, strlen(wanted));
}

static void assert_all_resolved(const char *base, const struct example *examples, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_resolved(base, examples[i].reference, examples[i].wanted);
}

static void normal_examples_of_the_rfc(void **state) /* RFC 3986 5.4.1, all of them */
{
    static const struct example examples[] = {
        { "g:h", "g:h" },
        { "g", "http://a/b/c/g" },
        { "./g", "http://a/b/c/g" },
        { "g/", "http://a/b/c/g/" },
        { "/g", "http://a/g" },
        { "//g", "http://g" },
        { "?y", "http://a/b/c/d;p?y" },
        { "g?y", "http://a/b/c/g?y" },
        { "#s", "http://a/b/c/d;p?q#s" },
        { "g#s", "http://a/b/c/g#s" },
        { "g?y#s", "http://a/b/c/g?y#s" },
        { ";x", "http://a/b/c/;x" },
        { "g;x", "http://a/b/c/g;x" },
        { "g;x?y#s", "http://a/b/c/g;x?y#s" },
        { "", "http://a/b/c/d;p?q" },
        { ".", "http://a/b/c/" },
        { "./", "http://a/b/c/" },
        { "..", "http://a/b/" },
        { "../", "http://a/b/" },
        { "../g", "http://a/b/g" },
        { "../..", "http://a/" },
        { "../../", "http://a/" },
        { "../../g", "http://a/g" },
    };

    assert_all_resolved("http://a/b/c/d;p?q", examples, COUNT(examples));
}

static void abnormal_examples_of_the_rfc(void **state) /* RFC 3986 5.4.2, all of them; the last as strict readers do */
{
    static const struct example examples[] = {
        { "../../../g", "http://a/g" },
        { "../../../../g", "http://a/g" },
        { "/./g", "http://a/g" },
        { "/../g", "http://a/g" },
        { "g.", "http://a/b/c/g." },
        { ".g", "http://a/b/c/.g" },
        { "g..", "http://a/b/c/g.." },
        { "..g", "http://a/b/c/..g" },
        { "./../g", "http://a/b/g" },
        { "./g/.", "http://a/b/c/g/" },
        { "g/./h", "http://a/b/c/g/h" },
        { "g/../h", "http://a/b/c/h" },
        { "g;x=1/./y", "http://a/b/c/g;x=1/y" },
        { "g;x=1/../y", "http://a/b/c/y" },
        { "g?y/./x", "http://a/b/c/g?y/./x" },
        { "g?y/../x", "http://a/b/c/g?y/../x" },
        { "g#s/./x", "http://a/b/c/g#s/./x" },
        { "g#s/../x", "http://a/b/c/g#s/../x" },
        { "http:g", "http:g" },
    };

    assert_all_resolved("http://a/b/c/d;p?q", examples, COUNT(examples));
}

static void each_part_comes_from_the_right_side(void **state)
{
    static const struct example examples[] = {
        { "", "http://u:p@a:81/b/c?q" },
        { "#", "http://u:p@a:81/b/c?q#" },
        { "?", "http://u:p@a:81/b/c?" },
        { "?#", "http://u:p@a:81/b/c?#" },
        { "d", "http://u:p@a:81/b/d" },
        { "/", "http://u:p@a:81/" },
        { "//g:82", "http://g:82" },
        { "//g:", "http://g:" },
        { "//v@g", "http://v@g" },
        { "//@g", "http://@g" },
        { "//[::1]:82/x", "http://[::1]:82/x" },
        { "//g/./x/..", "http://g/" },
        { "//g?y", "http://g?y" },
        { "ws://g/../x#s", "ws://g/x#s" },
        { "http:/x", "http:/x" },
        { "http://g", "http://g" },
    };

    assert_all_resolved("http://u:p@a:81/b/c?q#f", examples, COUNT(examples));
    assert_resolved("http://[::1]", "x", "http://[::1]/x");
    assert_resolved("http://@a:/", "x", "http://@a:/x");
}

static void a_base_without_a_path_has_a_slash(void **state)
{
    assert_resolved("http://a", "b", "http://a/b");
    assert_resolved("http://a", "../b", "http://a/b");
    assert_resolved("http://a?q", "b", "http://a/b");
    assert_resolved("http://a?q", ".", "http://a/");
    assert_resolved("http://a", "", "http://a");
    assert_resolved("http://a", "?y", "http://a?y");
    assert_resolved("http://a", "/", "http://a/");
    assert_resolved("file://", "a", "file:///a");
    assert_resolved("file:///a", "b", "file:///b");
}

static void segments_of_dots_are_taken_out(void **state)
{
    static const struct example examples[] = {
        { "/a/b/c/./../../g", "http://h/a/g" }, /* RFC 3986 5.2.4 */
        { "mid/content=5/../6", "http://h/mid/6" },
        { "/.", "http://h/" },
        { "/..", "http://h/" },
        { "/../..", "http://h/" },
        { "/./.", "http://h/" },
        { "/...", "http://h/..." },
        { "/a/...", "http://h/a/..." },
        { "/a/.../..", "http://h/a/" },
        { "/a//../b", "http://h/a/b" },
        { "/a///../../b", "http://h/a/b" },
        { "/..//b", "http://h//b" },
        { "//h2//b", "http://h2//b" },
        { "/.a/..b/.", "http://h/.a/..b/" },
        { "/a/./", "http://h/a/" },
        { "/a/../", "http://h/" },
        { "/%2e%2e/a", "http://h/%2e%2e/a" },
        { "/a/..;/b", "http://h/a/..;/b" },
        { "/a/.;/b", "http://h/a/.;/b" },
        { "..", "http://h/" },
        { ".././..", "http://h/" },
    };

    assert_all_resolved("http://h/", examples, COUNT(examples));
}

static void paths_without_a_slash_keep_their_first_segment(void **state)
{
    assert_resolved("urn:a/b", "c", "urn:a/c");
    assert_resolved("urn:a/b", "../c", "urn:/c");
    assert_resolved("urn:a", "c", "urn:c");
    assert_resolved("urn:a", "..", "urn:");
    assert_resolved("urn:a", ".", "urn:");
    assert_resolved("urn:a", "../../c", "urn:c");
    assert_resolved("urn:a", "./../c", "urn:c");
    assert_resolved("urn:a", "..c", "urn:..c");
    assert_resolved("urn:a", ".c", "urn:.c");
    assert_resolved("urn:a", "./..", "urn:");
    assert_resolved("urn:", "", "urn:");
    assert_resolved("http://h", "g:a/../b", "g:/b");
    assert_resolved("http://h", "g:../b", "g:b");
    assert_resolved("http://h", "g:./b:c", "g:b:c");
    assert_resolved("http://h", "g:..", "g:");
}

/* Else the last part of a path would become a host. */
static void a_path_never_turns_into_a_host(void **state)
{
    assert_resolved("g:/a", "..//b", "g:/.//b");
    assert_resolved("g:/a", "/.//b", "g:/.//b");
    assert_resolved("g:/a", "/..//b/../c", "g:/.//c");
    assert_resolved("g:/a", ".///b", "g:/.///b");
    assert_resolved("g:/a", "..//", "g:/.//");
    assert_resolved("g:/a", "/..//x/../..", "g:/");
    assert_resolved("g:a", ".//b", "g:/b");
    assert_resolved("g:a", ".///b", "g:/.//b");
    assert_resolved("g:/.//a", "b", "g:/.//b");
    assert_resolved("g:/.//a", "", "g:/.//a");
    assert_resolved("http://h", "g:/.//b", "g:/.//b");
    assert_resolved("http://h", "..//b", "http://h//b");
}

static void a_url_seen_from_itself_is_itself(void **state)
{
    static const char *const texts[] = { "urn:a/b/c?d", "http://a/b/c?d#e", "http://a", "g:/.//a" };
    struct httpurl url;
    char place[64];

    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_int_equal(httpurl_parse(texts[i], strlen(texts[i]), &url), 0);
        assert_int_equal(httpurl_resolve(&url, &url, place, sizeof place), strlen(texts[i]));
        assert_string_equal(place, texts[i]);
    }
}

static void a_base_has_to_be_absolute(void **state)
{
    char place[64];

    assert_int_equal(resolve("//a/b", "c", place, sizeof place), -EINVAL);
    assert_int_equal(resolve("/a/b", "http://a", place, sizeof place), -EINVAL);
    assert_int_equal(resolve("", "", place, sizeof place), -EINVAL);
}

/* Where there is less room than the result takes, with its NUL. */
static void what_does_not_fit_is_refused(void **state)
{
    static const struct example cases[] = {
        { "", "http://u@a:1/b?c" },        { "?d", "http://u@a:1/b?d" },      { "#d", "http://u@a:1/b?c#d" },
        { "//[::1]:2", "http://[::1]:2" }, { "x/y?z", "http://u@a:1/x/y?z" }, { "g://h/i?j#k", "g://h/i?j#k" },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t size = 0; size <= strlen(cases[i].wanted); size++)
            assert_int_equal(resolve("http://u@a:1/b?c", cases[i].reference, guardpage_place(size), size), -ENOBUFS);
        char *place = guardpage_place(strlen(cases[i].wanted) + 1);
        assert_int_equal(resolve("http://u@a:1/b?c", cases[i].reference, place, strlen(cases[i].wanted) + 1),
                         strlen(cases[i].wanted));
        assert_string_equal(place, cases[i].wanted);
    }
    for (size_t size = 0; size < sizeof "g:/.//b"; size++)
        assert_int_equal(resolve("g:/a", "/.//b", guardpage_place(size), size), -ENOBUFS);
    assert_int_equal(resolve("g:/a", "/.//b", guardpage_place(sizeof "g:/.//b"), sizeof "g:/.//b"), 7);
    assert_int_equal(resolve("g:/a", "/.//b", NULL, 0), -ENOBUFS);
}

/* 64 KiB of "../", of "a/../" and of slashes: each byte is moved a few times and no more, or this takes minutes. */
static void long_paths_take_no_longer(void **state)
{
    static const char *const pieces[] = { "../", "a/../", "a/", "//", "./", "//../", "aaaaaaaaaaaaaaa/" };
    static char reference[64 * 1024 + 32];

    for (size_t i = 0; i < COUNT(pieces); i++) {
        size_t length = 0;
        for (length = (size_t)sprintf(reference, "/a/"); length < sizeof reference - 32; length += strlen(pieces[i]))
            strcpy(reference + length, pieces[i]);
        for (int repeat = 0; repeat < 100; repeat++) {
            char *place = guardpage_place(length + 16);
            assert_true(resolve("http://a/", reference, place, length + 16) > 0);
        }
    }
}

static void assert_concat(const char *url, const struct httpurl_pair *pairs, size_t count, const char *wanted)
{
    size_t length = strlen(wanted);

    for (size_t size = 0; size <= length; size++)
        assert_int_equal(httpurl_concat(url, pairs, count, guardpage_place(size), size), -ENOBUFS);
    char *place = guardpage_place(length + 1);
    assert_int_equal(httpurl_concat(url, pairs, count, place, length + 1), length);
    assert_string_equal(place, wanted);
}

#define PAIRS(...) (const struct httpurl_pair[]){ __VA_ARGS__ }, COUNT(((const struct httpurl_pair[]){ __VA_ARGS__ }))

static void arguments_are_added_to_a_url(void **state)
{
    /* httputil_test:test_url_concat_no_query_params */
    assert_concat("https://localhost/path", PAIRS({ "y", "y" }, { "z", "z" }), "https://localhost/path?y=y&z=z");
    /* httputil_test:test_url_concat_encode_args */
    assert_concat("https://localhost/path", PAIRS({ "y", "/y" }, { "z", "z" }), "https://localhost/path?y=%2Fy&z=z");
    /* httputil_test:test_url_concat_trailing_q */
    assert_concat("https://localhost/path?", PAIRS({ "y", "y" }, { "z", "z" }), "https://localhost/path?y=y&z=z");
    /* httputil_test:test_url_concat_q_with_no_trailing_amp */
    assert_concat("https://localhost/path?x", PAIRS({ "y", "y" }, { "z", "z" }), "https://localhost/path?x=&y=y&z=z");
    /* httputil_test:test_url_concat_trailing_amp */
    assert_concat("https://localhost/path?x&", PAIRS({ "y", "y" }, { "z", "z" }), "https://localhost/path?x=&y=y&z=z");
    /* httputil_test:test_url_concat_mult_params */
    assert_concat("https://localhost/path?a=1&b=2", PAIRS({ "y", "y" }, { "z", "z" }),
                  "https://localhost/path?a=1&b=2&y=y&z=z");
    /* httputil_test:test_url_concat_with_frag */
    assert_concat("https://localhost/path#tab", PAIRS({ "y", "y" }, { "z", "z" }),
                  "https://localhost/path?y=y&z=z#tab");
    /* httputil_test:test_url_concat_multi_same_params */
    assert_concat("https://localhost/path", PAIRS({ "y", "y1" }, { "y", "y2" }), "https://localhost/path?y=y1&y=y2");
    /* httputil_test:test_url_concat_multi_same_query_params */
    assert_concat("https://localhost/path?r=1&r=2", PAIRS({ "y", "y" }), "https://localhost/path?r=1&r=2&y=y");
}

static void without_arguments_a_url_stays_as_it_is(void **state)
{
    /* httputil_test:test_url_concat_no_params, httputil_test:test_url_concat_none_params */
    assert_concat("https://localhost/path?r=1&t=2", (struct httpurl_pair[1]){ { 0 } }, 0,
                  "https://localhost/path?r=1&t=2");
    assert_concat("https://localhost/path?r=1&t=2", NULL, 0, "https://localhost/path?r=1&t=2");
    assert_concat("/?&&a#b", NULL, 0, "/?&&a#b");
}

static void what_is_in_a_url_stays_there(void **state)
{
    assert_concat("", PAIRS({ "a", "b" }), "?a=b");
    assert_concat("?", PAIRS({ "a", "b" }), "?a=b");
    assert_concat("#", PAIRS({ "a", "b" }), "?a=b#");
    assert_concat("#c?d", PAIRS({ "a", "b" }), "?a=b#c?d");
    assert_concat("?&&c&&d=e&", PAIRS({ "a", "b" }), "?c=&d=e&a=b");
    assert_concat("?c=%7e+%20=d?/", PAIRS({ "a", "b" }), "?c=%7e+%20=d?/&a=b");
    assert_concat("?=", PAIRS({ "a", "b" }), "?=&a=b");
    assert_concat("http://u@h:1?c#d#e", PAIRS({ "a", "b" }), "http://u@h:1?c=&a=b#d#e");
    assert_concat("/a", PAIRS({ "", "" }), "/a?=");
    assert_concat("/a", PAIRS({ "b", NULL }), "/a?b=");
    assert_concat("/a", PAIRS({ "a b", "c+d&e=f#\xff" }), "/a?a+b=c%2Bd%26e%3Df%23%FF");
    assert_concat("/a", PAIRS({ "~", "-._" }), "/a?~=-._");
}

static void arguments_are_added_to_urls_only(void **state)
{
    char place[64];

    assert_int_equal(httpurl_concat("http://h/ a", PAIRS({ "a", "b" }), place, sizeof place), -EINVAL);
    assert_int_equal(httpurl_concat("http://h/\r\nA: b", NULL, 0, place, sizeof place), -EINVAL);
    assert_int_equal(httpurl_concat("http:///", NULL, 0, place, sizeof place), -EINVAL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(normal_examples_of_the_rfc),
    cmocka_unit_test(abnormal_examples_of_the_rfc),
    cmocka_unit_test(each_part_comes_from_the_right_side),
    cmocka_unit_test(a_base_without_a_path_has_a_slash),
    cmocka_unit_test(segments_of_dots_are_taken_out),
    cmocka_unit_test(paths_without_a_slash_keep_their_first_segment),
    cmocka_unit_test(a_path_never_turns_into_a_host),
    cmocka_unit_test(a_url_seen_from_itself_is_itself),
    cmocka_unit_test(a_base_has_to_be_absolute),
    cmocka_unit_test(what_does_not_fit_is_refused),
    cmocka_unit_test(long_paths_take_no_longer),
    cmocka_unit_test(arguments_are_added_to_a_url),
    cmocka_unit_test(without_arguments_a_url_stays_as_it_is),
    cmocka_unit_test(what_is_in_a_url_stays_there),
    cmocka_unit_test(arguments_are_added_to_urls_only),
};

TESTING_MAIN(tests)
