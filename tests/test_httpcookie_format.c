#include "httpserver/httpcookie.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/guardpage.h"
#include "tests/support/testing.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define A_DAY        INT64_C(86400)
#define NOW          INT64_C(784111777) /* Sun, 06 Nov 1994 08:49:37 GMT */

static void assert_format(const char *name, const char *value, const struct httpcookie_options *options,
                          const char *wanted)
{
    char text[1024];
    ssize_t length = httpcookie_format(text, sizeof text, name, guardpage_string(value), options, NOW);

    assert_string_equal(text, wanted);
    assert_int_equal(length, strlen(wanted));
}

static ssize_t format(const char *name, const struct httpcookie_options *options)
{
    char text[1024] = "#";
    ssize_t length = httpcookie_format(text, sizeof text, name, "bar", options, NOW);

    assert_int_equal(strlen(text), length < 0 ? 0 : length);
    return length;
}

#define OPTIONS(...)                                                                                                   \
    &(struct httpcookie_options)                                                                                       \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }

/* web_test:test_set_cookie, web_test:test_set_cookie_domain, web_test:test_set_cookie_max_age,
 * web_test:test_set_cookie_false_flags */
static void writes_attributes_as_tornado_does(void **state)
{
    assert_format("str", "asdf", NULL, "str=asdf; Path=/");
    assert_format("unicode_args", "blah", OPTIONS(.domain = "foo.com", .path = "/foo"),
                  "unicode_args=blah; Domain=foo.com; Path=/foo");
    assert_format("foo", "bar", OPTIONS(.max_age = 10), "foo=bar; Max-Age=10; Path=/");
    assert_format("a", "1", OPTIONS(.secure = true), "a=1; Path=/; Secure");
    assert_format("b", "1", OPTIONS(.secure = false), "b=1; Path=/");
    assert_format("c", "1", OPTIONS(.http_only = true), "c=1; HttpOnly; Path=/");
    assert_format("d", "1", OPTIONS(.http_only = false), "d=1; Path=/");
    assert_format("e", "1", OPTIONS(.same_site = "Lax"), "e=1; Path=/; SameSite=Lax");
}

static void writes_all_attributes_in_the_order_of_their_names(void **state)
{
    struct httpcookie_options all = { .domain = ".Example-1.org",
                                      .path = "/a/b",
                                      .expires = NOW,
                                      .max_age = 3600,
                                      .same_site = "Strict",
                                      .secure = true,
                                      .http_only = true };

    assert_format("n", "v", &all,
                  "n=v; Domain=.Example-1.org; expires=Sun, 06 Nov 1994 08:49:37 GMT; HttpOnly; Max-Age=3600; "
                  "Path=/a/b; SameSite=Strict; Secure");
}

static void leaves_out_what_is_empty(void **state)
{
    assert_format("n", "v", OPTIONS(.domain = "", .path = "", .same_site = ""), "n=v");
    assert_format("n", "v", OPTIONS(.path = NULL), "n=v; Path=/");
}

/* web_test:test_set_cookie_expires_days */
static void writes_when_it_expires(void **state)
{
    static const struct {
        int64_t expires;
        double days;
        const char *date;
    } cases[] = {
        { 0, 10, "Wed, 16 Nov 1994 08:49:37 GMT" },          { 0, 0.5, "Sun, 06 Nov 1994 20:49:37 GMT" },
        { 0, 1 / 86400.0, "Sun, 06 Nov 1994 08:49:38 GMT" }, { 0, -365, "Sat, 06 Nov 1993 08:49:37 GMT" },
        { 1, 10, "Thu, 01 Jan 1970 00:00:01 GMT" },          { -1, 0, "Wed, 31 Dec 1969 23:59:59 GMT" },
        { NOW + A_DAY, 0, "Mon, 07 Nov 1994 08:49:37 GMT" }, { 0, 1e9, "Fri, 31 Dec 9999 23:59:59 GMT" },
        { 0, 1e300, "Fri, 31 Dec 9999 23:59:59 GMT" },       { 0, INFINITY, "Fri, 31 Dec 9999 23:59:59 GMT" },
        { INT64_MAX, 0, "Fri, 31 Dec 9999 23:59:59 GMT" },   { 0, -1e9, "Mon, 01 Jan 0001 00:00:00 GMT" },
        { 0, -1e300, "Mon, 01 Jan 0001 00:00:00 GMT" },      { 0, -INFINITY, "Mon, 01 Jan 0001 00:00:00 GMT" },
        { INT64_MIN, 0, "Mon, 01 Jan 0001 00:00:00 GMT" },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        char wanted[128];
        snprintf(wanted, sizeof wanted, "foo=bar; expires=%s; Path=/", cases[i].date);
        assert_format("foo", "bar", OPTIONS(.expires = cases[i].expires, .expires_days = cases[i].days), wanted);
    }
    assert_int_equal(format("foo", OPTIONS(.expires_days = NAN)), -EINVAL);
}

static void writes_any_age(void **state)
{
    assert_format("a", "b", OPTIONS(.max_age = 1), "a=b; Max-Age=1; Path=/");
    assert_format("a", "b", OPTIONS(.max_age = -1), "a=b; Max-Age=0; Path=/");
    assert_format("a", "b", OPTIONS(.max_age = INT64_MIN), "a=b; Max-Age=0; Path=/");
    assert_format("a", "b", OPTIONS(.max_age = INT64_MAX), "a=b; Max-Age=9223372036854775807; Path=/");
}

/* The writing half of web_test:test_cookie_special_char. */
static void quotes_values_that_are_not_plain(void **state)
{
    static const struct {
        const char *value, *wanted;
    } cases[] = {
        { "a=b", "n=\"a=b\"; Path=/" },
        { "a;b", "n=\"a\\073b\"; Path=/" },
        { "a\"b", "n=\"a\\\"b\"; Path=/" },
        { "a\\b", "n=\"a\\\\b\"; Path=/" },
        { "a,b", "n=\"a\\054b\"; Path=/" },
        { "a b", "n=\"a b\"; Path=/" },
        { "\r\nSet-Cookie: x=1", "n=\"\\015\\012Set-Cookie: x=1\"; Path=/" },
        { "\x01\x1f\x7f\x80\xff", "n=\"\\001\\037\\177\\200\\377\"; Path=/" },
        { "\xc3\xa9", "n=\"\\303\\251\"; Path=/" },
        { "\"quoted\"", "n=\"\\\"quoted\\\"\"; Path=/" },
        { "", "n=\"\"; Path=/" },
        { "!#$%&'*+-.^_`|~:azAZ09", "n=!#$%&'*+-.^_`|~:azAZ09; Path=/" },
        { " ()/<=>?@[]{}", "n=\" ()/<=>?@[]{}\"; Path=/" },
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        assert_format("n", cases[i].value, NULL, cases[i].wanted);
}

/* What a browser makes of it is what parse is given. */
static void every_value_comes_back(void **state)
{
    struct httpcookies cookies = { 0 };
    char value[257] = "", text[2048];

    for (size_t i = 0; i < 256; i++) {
        for (size_t j = 0; j < 255; j++)
            value[j] = (char)((i + j) % 255 + 1);
        value[i] = '\0';
        ssize_t length = httpcookie_format(text, sizeof text, "name", value, OPTIONS(.path = ""), NOW);
        assert_true(length > 0);
        for (ssize_t j = 0; j < length; j++)
            assert_true(text[j] >= ' ' && text[j] < 0x7f && text[j] != ';' && text[j] != ',');
        assert_int_equal(httpcookies_parse(&cookies, text), 0);
        assert_int_equal(httpcookies_count(&cookies), 1);
        assert_string_equal(httpcookies_get(&cookies, "name"), value);
    }
    httpcookies_free(&cookies);
}

/* web_test:test_set_cookie_forbidden_char, for all bytes. */
static void refuses_bytes_that_an_attribute_cannot_have(void **state)
{
    static const char punctuation[] = "!#$%&'*+-.^_`|~";

    for (int byte = 1; byte < 256; byte++) {
        const char text[] = { '/', (char)byte, '\0' };
        bool is_word = (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z');
        bool is_token = is_word || strchr(punctuation, byte) != NULL;
        bool is_domain = is_word || byte == '.' || byte == '-' || byte == '_';
        bool is_path = byte > 0x20 && byte < 0x7f && byte != ';' && byte != ',';
        assert_int_equal(format(text + 1, NULL), is_token ? 13 : -EINVAL);
        assert_int_equal(format("foo", OPTIONS(.domain = text + 1)), is_domain ? 25 : -EINVAL);
        assert_int_equal(format("foo", OPTIONS(.path = text)), is_path ? 16 : -EINVAL);
        assert_int_equal(format("foo", OPTIONS(.same_site = text + 1)), -EINVAL);
    }
}

static void refuses_them_anywhere_in_an_attribute(void **state)
{
    static const char *const names[] = { "", "a=b", "a;b", "a b", " a", "a ", "\"a\"", "a\r\n", "a,b", "\xc3\xa9" };
    static const char *const domains[] = { "foo.com;",     ";foo.com", "foo com", "foo.com\n", "a,b",
                                           "f\xc3\xb6.de", "[::1]",    "foo:80",  "http://a" };
    static const char *const paths[] = { "/; Domain=evil", "/;", "/ ", "/a\r\nb", "/\x7f", "a", "a/", " /", ";",
                                         "/\xc3\xa9" };
    static const char *const same_sites[] = { "Lax;",     "Lax ",     " Lax", "Lax; Secure", "La",     "Laxx",
                                              "Strict\n", "Strictly", "no",   "L\x81x",      "\014ax", "Lax\x80" };

    for (size_t i = 0; i < COUNT(names); i++)
        assert_int_equal(format(names[i], NULL), -EINVAL);
    for (size_t i = 0; i < COUNT(domains); i++)
        assert_int_equal(format("foo", OPTIONS(.domain = domains[i])), -EINVAL);
    for (size_t i = 0; i < COUNT(paths); i++)
        assert_int_equal(format("foo", OPTIONS(.path = paths[i])), -EINVAL);
    for (size_t i = 0; i < COUNT(same_sites); i++)
        assert_int_equal(format("foo", OPTIONS(.same_site = same_sites[i])), -EINVAL);
}

static void knows_same_site_in_whatever_case(void **state)
{
    assert_format("a", "b", OPTIONS(.same_site = "strict"), "a=b; Path=/; SameSite=Strict");
    assert_format("a", "b", OPTIONS(.same_site = "LAX"), "a=b; Path=/; SameSite=Lax");
    assert_format("a", "b", OPTIONS(.same_site = "nOnE", .secure = true), "a=b; Path=/; SameSite=None; Secure");
}

static void writes_into_as_much_as_it_needs(void **state)
{
    static const char wanted[] = "n=\"\\012\"; Domain=a.b; expires=Sun, 06 Nov 1994 08:49:37 GMT; HttpOnly; "
                                 "Max-Age=10; Path=/c; SameSite=None; Secure";
    struct httpcookie_options all = { "a.b", "/c", NOW, 0, 10, "None", true, true };

    for (size_t size = 0; size <= sizeof wanted + 1; size++) {
        char text[sizeof wanted + 2];
        memset(text, '#', sizeof text);
        ssize_t length = httpcookie_format(text, size, "n", "\n", &all, NOW);
        assert_int_equal(length, size < sizeof wanted ? -ENOBUFS : (ssize_t)sizeof wanted - 1);
        assert_int_equal(text[size], '#');
        if (size > 0)
            assert_string_equal(text, length < 0 ? "" : wanted);
    }
    assert_int_equal(httpcookie_format(NULL, 0, "n", "v", NULL, NOW), -ENOBUFS);
    assert_int_equal(httpcookie_format(NULL, 0, "", "v", NULL, NOW), -EINVAL);
    char byte = '#';
    assert_int_equal(httpcookie_format(&byte, 1, "", "v", NULL, NOW), -EINVAL);
    assert_int_equal(byte, '\0');
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(writes_attributes_as_tornado_does),
    cmocka_unit_test(writes_all_attributes_in_the_order_of_their_names),
    cmocka_unit_test(leaves_out_what_is_empty),
    cmocka_unit_test(writes_when_it_expires),
    cmocka_unit_test(writes_any_age),
    cmocka_unit_test(quotes_values_that_are_not_plain),
    cmocka_unit_test(every_value_comes_back),
    cmocka_unit_test(refuses_bytes_that_an_attribute_cannot_have),
    cmocka_unit_test(refuses_them_anywhere_in_an_attribute),
    cmocka_unit_test(knows_same_site_in_whatever_case),
    cmocka_unit_test(writes_into_as_much_as_it_needs),
};

TESTING_MAIN(tests)
