#include "httpserver/webroute.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/faults.h"
#include "tests/support/guardpage.h"
#include "tests/support/testing.h"

static struct webroute route_of(const char *pattern)
{
    struct webroute route;
    int error = webroute_init(&route, &(struct web_route){ .pattern = pattern });

    if (error < 0)
        fail_msg("%s: %d", pattern, error);
    return route;
}

/* A path whose NUL is the last byte before a page that cannot be read. */
static const char *at_guard(const char *path, size_t length)
{
    char *place = guardpage_place(length + 1);

    memcpy(place, path, length);
    place[length] = '\0';
    return place;
}

/* The groups, each in brackets; "" for no match. */
static const char *match(const struct webroute *route, const char *path, size_t length)
{
    static char text[512];
    struct webroute_group groups[WEBROUTE_GROUPS];
    const char *guarded = at_guard(path, length);
    int matches = webroute_match(route, guarded, length, groups);
    size_t used = 0;

    text[0] = '\0';
    assert_in_range(matches, 0, 1);
    if (matches == 0)
        return text;
    used += (size_t)sprintf(text, "yes");
    for (uint32_t i = 0; i < route->group_count; i++) {
        if (groups[i].offset < 0)
            used += (size_t)sprintf(text + used, "[]!");
        else
            used += (size_t)sprintf(text + used, "[%.*s]", (int)groups[i].length, guarded + groups[i].offset);
    }
    return text;
}

static void a_pattern_matches_whole_paths(void **state)
{
    static const struct {
        const char *pattern, *path, *groups;
        enum webroute_kind kind;
    } cases[] = {
        { "/", "/", "yes", WEBROUTE_LITERAL },
        { "/", "", "", WEBROUTE_LITERAL },
        { "/", "//", "", WEBROUTE_LITERAL },
        { "/a.b", "/a.b", "yes", WEBROUTE_LITERAL },
        { "/a.b", "/axb", "", WEBROUTE_LITERAL },
        { "/%C3%A9", "/%C3%A9", "yes", WEBROUTE_LITERAL },
        { "/a\\.b", "/a.b", "yes", WEBROUTE_LITERAL },
        { "/a\\.b", "/axb", "", WEBROUTE_LITERAL },
        { "^/a$", "/a", "yes", WEBROUTE_LITERAL },
        { "/a\\+\\*\\\\\\[\\]\\{\\}\\(\\)\\|\\^\\$\\/\\-", "/a+*\\[]{}()|^$/-", "yes", WEBROUTE_LITERAL },
        { "/(.*)", "/", "yes[]", WEBROUTE_REST },
        { "/(.*)", "/a/b", "yes[a/b]", WEBROUTE_REST },
        { "/(.*)", "a", "", WEBROUTE_REST },
        { "/s/(?P<path>.*)$", "/s/x", "yes[x]", WEBROUTE_REST },
        { "/s/(.*)", "/s", "", WEBROUTE_REST },
        { "(.*)", "x", "yes[x]", WEBROUTE_REST },
        { "/(a)/(.*)", "/a/x", "yes[a][x]", WEBROUTE_REGEX },
        { "/(?:a)/(.*)", "/a/x", "yes[x]", WEBROUTE_REGEX },
        { "/(a(.*))", "/abc", "yes[abc][bc]", WEBROUTE_REGEX },
        { "/s/(.+)", "/s/", "", WEBROUTE_REGEX },
        { "/s/(.+)", "/s/x", "yes[x]", WEBROUTE_REGEX },
        { "/a.*", "/a", "yes", WEBROUTE_REGEX },
        { "/a.*", "/b", "", WEBROUTE_REGEX },
        { "/ab*", "/a", "yes", WEBROUTE_REGEX },
        { "/ab*", "/abb", "yes", WEBROUTE_REGEX },
        { "/ab?c", "/ac", "yes", WEBROUTE_REGEX },
        { "/ab{2}", "/abb", "yes", WEBROUTE_REGEX },
        { "/ab{2}", "/ab", "", WEBROUTE_REGEX },
        { "/ab{0,1}", "/a", "yes", WEBROUTE_REGEX },
        { "/ab{9}", "/abbbbbbbbb", "yes", WEBROUTE_REGEX },
        { "/ab{1,}", "/abbb", "yes", WEBROUTE_REGEX },
        { "/a|/b", "/b", "yes", WEBROUTE_REGEX },
        { "/a|/b", "/a/b", "", WEBROUTE_REGEX },
        { "/a|/b", "x/b", "", WEBROUTE_REGEX },
        { "/(a|b)/c", "/b/c", "yes[b]", WEBROUTE_REGEX },
        { "/(ab*)", "/a", "yes[a]", WEBROUTE_REGEX },
        { "/(abc)?d", "/d", "yes[]!", WEBROUTE_REGEX },
        { "/(a(b|c))", "/ac", "yes[ac][c]", WEBROUTE_REGEX },
        { "/(xa)(b)?", "/xa", "yes[xa][]!", WEBROUTE_REGEX },
        { "/(a)/(b)*x", "/a/x", "yes[a][]!", WEBROUTE_REGEX },
        { "/(favicon\\.ico)", "/favicon.ico", "yes[favicon.ico]", WEBROUTE_REGEX },
        { "/(favicon\\.ico)", "/faviconxico", "", WEBROUTE_REGEX },
        { "/([0-9]+)/([a-z]*)", "/12/", "yes[12][]", WEBROUTE_REGEX },
        { "/([^/]+)/(.*)", "/a/b/c", "yes[a][b/c]", WEBROUTE_REGEX },
        { "/([]x]+)", "/x]", "yes[x]]", WEBROUTE_REGEX },
        { "/([^]x]+)", "/ab", "yes[ab]", WEBROUTE_REGEX },
        { "/([[:digit:]x]+)", "/1x2", "yes[1x2]", WEBROUTE_REGEX },
        { "/(\\d+)", "/123", "yes[123]", WEBROUTE_REGEX },
        { "/(\\d+)", "/d", "", WEBROUTE_REGEX },
        { "/(\\w+)", "/a_9", "yes[a_9]", WEBROUTE_REGEX },
        { "/(\\w+)", "/a-9", "", WEBROUTE_REGEX },
        { "/(?:a|b)/(c)", "/a/c", "yes[c]", WEBROUTE_REGEX },
        { "/x(?:(a)|(b))", "/xb", "yes[]![b]", WEBROUTE_REGEX },
        { "/(?P<a>x)?/y", "//y", "yes[]!", WEBROUTE_REGEX },
        { "/a\\.(b)", "/a.b", "yes[b]", WEBROUTE_REGEX },
        { "/a.(b)", "/a-b", "yes[b]", WEBROUTE_REGEX },
        { "^/(a)$", "/a", "yes[a]", WEBROUTE_REGEX },
        { "/}]", "/}]", "yes", WEBROUTE_REGEX },
        { "/a}(.)", "/a}b", "yes[b]", WEBROUTE_REGEX },
        { "/a](.)", "/a]b", "yes[b]", WEBROUTE_REGEX },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct webroute route = route_of(cases[i].pattern);
        const char *groups = match(&route, cases[i].path, strlen(cases[i].path));

        if (strcmp(groups, cases[i].groups) != 0)
            fail_msg("%s, %s: %s, not %s", cases[i].pattern, cases[i].path, groups, cases[i].groups);
        if (route.kind != cases[i].kind && strcmp(cases[i].pattern, "/}]") != 0)
            fail_msg("%s: %d, not %d", cases[i].pattern, route.kind, cases[i].kind);
        webroute_free(&route);
    }
}

/* What Tornado and POSIX do not understand alike, or what takes long to match. */
static void a_pattern_that_could_mean_anything_is_refused(void **state)
{
    static const char *const patterns[] = {
        "/(a)\\1",
        "/(a)(b)\\2",
        "/\\b",
        "/\\s",
        "/\\",
        "/a\\n",
        "/(a",
        "/a)",
        "/[a",
        "/[[:digit:",
        "/[\\d]",
        "/[a\\]]",
        "*a",
        "+",
        "/(*a)",
        "/a|*",
        "/a**",
        "/a*?",
        "/a+?",
        "/a{2}{3}",
        "/a{",
        "/a{x}",
        "/a{1",
        "/a{,3}",
        "/a{1,2,3}",
        "/a{99999999}",
        "/(?=a)",
        "/(?!a)",
        "/(?<a>b)",
        "/(?P<>a)",
        "/(?P<a b>c)",
        "/(?P<a",
        "/(?P<n>a)(?P<n>b)",
        "/(?P<n>a)(?P<m>b)(?P<m>c)",
        "/(?P=n)",
        "/a^b*",
        "/a$b",
        "/(a$)",
        "/(^a)",
        "/^*",
        "/[[:nothing:]]",
        "/[z-a]",
        "/()()()()()()()()()()()()()()()()()",
    };

    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        struct webroute route;
        int error = webroute_init(&route, &(struct web_route){ .pattern = patterns[i] });

        if (error != -EINVAL)
            fail_msg("%s: %d", patterns[i], error);
    }
}

/* What is in {n,m}, and in {n,m} around these, libc writes out. A count of more than 255 not every libc takes. */
static void a_pattern_repeats_no_more_than_so_many_signs(void **state)
{
    static const struct {
        const char *pattern;
        bool is_taken;
    } rows[] = {
        { "/(a{0,50}-?){0,50}(.*)", false },
        { "/([a-z]{1,63}-?){1,8}(.*)", true },
        { "/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{12}", true },
        { "/a{255}", true },
        { "/a{0,1001}", false },
        { "/a{1001,}", false },
        { "/(ab){0,200}(cd){0,200}(ef){0,100}", true },
        { "/(ab){0,200}(cd){0,200}(ef){0,101}", false },
        { "/((a{0,9}){0,9}){0,9}", true },
        { "/((a{0,10}){0,10}){0,10}", false },
        { "/((a|b)*c+){200}", true },
        { "/((a|b)*c+){250}(?:.[x])?(\\d){251}", false },
        { "/(((((((a{2}){2}){2}){2}){2}){2}){2}){2}x{245}x{245}", true },
        { "/(((((((a{2}){2}){2}){2}){2}){2}){2}){2}x{245}x{246}", false },
        { "/(((((((((a{9}){9}){9}){9}){9}){9}){9}){9}){9}){9}", false },
        { "/(){0,255}", true },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct webroute route;
        int error = webroute_init(&route, &(struct web_route){ .pattern = rows[i].pattern });

        if (error != (rows[i].is_taken ? 0 : -EINVAL))
            fail_msg("%s: %d", rows[i].pattern, error);
        if (error == 0)
            webroute_free(&route);
    }
}

static void a_pattern_has_a_longest(void **state)
{
    char pattern[WEBROUTE_PATTERN + 2];
    struct webroute route;

    memset(pattern, 'a', sizeof pattern);
    pattern[WEBROUTE_PATTERN] = '\0';
    route = route_of(pattern);
    webroute_free(&route);
    pattern[WEBROUTE_PATTERN - 1] = '*';
    route = route_of(pattern);
    assert_string_equal(match(&route, pattern, WEBROUTE_PATTERN - 2), "yes");
    webroute_free(&route);
    pattern[WEBROUTE_PATTERN] = 'a';
    pattern[WEBROUTE_PATTERN + 1] = '\0';
    assert_int_equal(webroute_init(&route, &(struct web_route){ .pattern = pattern }), -EINVAL);
}

static void sixteen_groups_are_the_most(void **state)
{
    char pattern[4 * WEBROUTE_GROUPS + 1] = "";
    struct webroute_group groups[WEBROUTE_GROUPS];

    for (int i = 0; i < WEBROUTE_GROUPS; i++)
        strcat(pattern, "(.)");
    struct webroute route = route_of(pattern);
    assert_int_equal(webroute_match(&route, "0123456789abcdef", 16, groups), 1);
    for (int i = 0; i < WEBROUTE_GROUPS; i++) {
        assert_int_equal(groups[i].offset, i);
        assert_int_equal(groups[i].length, 1);
    }
    webroute_free(&route);
}

/* A regular expression stops at a NUL, and would have seen another path. */
static void a_path_with_a_nul_matches_no_expression(void **state)
{
    static const char *const patterns[] = { "/a.*", "/a(.*)", "/a(.)?" };

    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        struct webroute route = route_of(patterns[i]);

        assert_string_equal(match(&route, "/a\0b", 4), "");
        webroute_free(&route);
    }
}

static void long_paths_take_linear_time(void **state)
{
    static const char *const patterns[] = { "/(a*)*b", "/(a|aa)+", "/(.*)(.*)(.*)x", "/((a*)(a*))*$" };
    size_t length = 8192;
    char *path = malloc(length + 1);
    struct webroute_group groups[WEBROUTE_GROUPS];

    assert_non_null(path);
    memset(path, 'a', length);
    path[0] = '/';
    path[length] = '\0';
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        struct webroute route = route_of(patterns[i]);

        assert_in_range(webroute_match(&route, path, length, groups), 0, 1);
        webroute_free(&route);
    }
    free(path);
}

static void groups_are_found_by_name(void **state)
{
    struct webroute route = route_of("/(?P<first>a)/(b)/(?P<third>c)(?P<az_AZ_09>d)?");

    assert_int_equal(webroute_find_group(&route, "first"), 0);
    assert_int_equal(webroute_find_group(&route, "third"), 2);
    assert_int_equal(webroute_find_group(&route, "az_AZ_09"), 3);
    assert_int_equal(webroute_find_group(&route, "fir"), -1);
    assert_int_equal(webroute_find_group(&route, "firsts"), -1);
    assert_int_equal(webroute_find_group(&route, ""), -1);
    webroute_free(&route);
}

static void the_programs_locale_does_not_matter(void **state)
{
    setlocale(LC_ALL, "C.UTF-8");
    struct webroute route = route_of("/([a-z]+)(\\w)(.)");
    assert_true(uselocale((locale_t)0) == LC_GLOBAL_LOCALE);
    setlocale(LC_ALL, "C");
    assert_string_equal(match(&route, "/ab_\xff", 5), "yes[ab][_][\xff]");
    webroute_free(&route);
}

/* web_test:test_reverse, web_test:test_reverse_arguments, web_test:test_non_reversible */
static void a_path_is_made_of_literals_and_arguments(void **state)
{
    static const struct {
        const char *pattern, *arguments[3];
        const char *path; /* NULL: it cannot be */
    } cases[] = {
        { "/favicon\\.ico", { NULL }, "/favicon.ico" },
        { "^/favicon\\.ico$", { NULL }, "/favicon.ico" },
        { "/favicon.ico", { NULL }, "/favicon.ico" },
        { "/favicon.ic(o)", { "o" }, "/favicon.ico" },
        { "^/api/v1/foo/(\\w+)$", { "bar" }, "/api/v1/foo/bar" },
        { "/api/v1/foo/(\\w+)", { "bar" }, "/api/v1/foo/bar" },
        { "/api\\.v1/foo/([0-9]+)/icon\\.png", { "5" }, "/api.v1/foo/5/icon.png" },
        { "/(a)(b)", { "1", "2" }, "/12" },
        { "/(?P<name>.*)x", { "y" }, "/yx" },
        { "/(.*)", { "a/b c+d%\xc3\xa9" }, "/a/b%20c%2Bd%25%C3%A9" },
        { "/(.*)", { "/a.example/" }, "/%2Fa.example/" },
        { "/(.*)", { "//a.example" }, "/%2F/a.example" },
        { "/s/(.+)", { "css/x.css" }, "/s/css/x.css" },
        { "/s/(.*)", { "/x" }, "/s//x" },
        { "/s/([^/]+)/(.*)", { "a/b", "c/d" }, "/s/a%2Fb/c/d" },
        { "/s/([^?]+)/([ab]+)", { "a/b", "e/f" }, "/s/a/b/e%2Ff" },
        { "/s/([a/]+)", { "c/d" }, "/s/c/d" },
        { "/s/(\\w+)", { "a/b c+d" }, "/s/a%2Fb%20c%2Bd" },
        { "/s/(a/b)/(c)", { "a/b", "c/d" }, "/s/a/b/c%2Fd" },
        { "/(.*)", { "" }, "/" },
        { "/a", { "too many" }, NULL },
        { "/(a)", { NULL }, NULL },
        { "/api/v\\d+/foo/(\\w+)", { "bar" }, NULL },
        { "/a*", { NULL }, NULL },
        { "/[a]", { NULL }, NULL },
        { "/a|/b", { NULL }, NULL },
        { "/(a)?", { "a" }, NULL },
        { "/(?:a)", { NULL }, NULL },
        { "/((a))", { "a", "a" }, NULL },
        { "/.*", { NULL }, NULL },
    };
    char place[128];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct webroute route = route_of(cases[i].pattern);
        size_t count = 0, size = cases[i].path != NULL ? strlen(cases[i].path) : 0;

        while (cases[i].arguments[count] != NULL)
            count++;
        ssize_t length = webroute_reverse(&route, cases[i].arguments, count, place, sizeof place);
        if (length != (cases[i].path != NULL ? (ssize_t)size : -EINVAL))
            fail_msg("%s: %zd", cases[i].pattern, length);
        if (cases[i].path != NULL)
            assert_string_equal(place, cases[i].path);
        webroute_free(&route);
    }
}

static void a_path_that_does_not_fit_is_not_made(void **state)
{
    struct webroute route = route_of("/a/(.*)/b");
    const char *argument = "xyz";

    for (size_t size = 0; size < 40; size++) {
        char *place = malloc(size + 1);
        assert_non_null(place);
        ssize_t length = webroute_reverse(&route, &argument, 1, place, size);
        assert_int_equal(length, size < 13 ? -ENOBUFS : 8); /* as if each byte had to be escaped */
        free(place);
    }
    webroute_free(&route);
}

static void a_table_is_copied_or_there_is_none(void **state)
{
    struct web_route routes[] = { { .pattern = "/a" }, { .pattern = "/(b+)" }, { .pattern = "/(.*)" }, { 0 } };
    struct webroute_table table;
    long before = faults_allocated();
    int nth = 0, error;

    do {
        faults_allocation(++nth, false);
        error = webroute_table_init(&table, routes);
        faults_allocation(0, false);
        if (error < 0) {
            assert_int_equal(error, -ENOMEM);
            assert_int_equal(faults_allocated(), before);
        }
    } while (error < 0);
    assert_true(nth > 8);
    assert_int_equal(table.count, 3);
    webroute_table_free(&table);
    assert_int_equal(faults_allocated(), before);
    routes[2].pattern = "/(";
    assert_int_equal(webroute_table_init(&table, routes), -EINVAL);
    assert_int_equal(faults_allocated(), before);
    assert_int_equal(webroute_table_init(&table, NULL), 0);
    assert_int_equal(table.count, 0);
    webroute_table_free(&table);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_pattern_matches_whole_paths),
    cmocka_unit_test(a_pattern_that_could_mean_anything_is_refused),
    cmocka_unit_test(a_pattern_repeats_no_more_than_so_many_signs),
    cmocka_unit_test(a_pattern_has_a_longest),
    cmocka_unit_test(sixteen_groups_are_the_most),
    cmocka_unit_test(a_path_with_a_nul_matches_no_expression),
    cmocka_unit_test(long_paths_take_linear_time),
    cmocka_unit_test(groups_are_found_by_name),
    cmocka_unit_test(the_programs_locale_does_not_matter),
    cmocka_unit_test(a_path_is_made_of_literals_and_arguments),
    cmocka_unit_test(a_path_that_does_not_fit_is_not_made),
    cmocka_unit_test(a_table_is_copied_or_there_is_none),
};

TESTING_MAIN(tests)
