#include "httpserver/httpcookie.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/faults.h"
#include "tests/support/guardpage.h"
#include "tests/support/testing.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct httpcookies parsed(const char *header)
{
    struct httpcookies cookies = { 0 };

    assert_int_equal(httpcookies_parse(&cookies, guardpage_string(header)), 0);
    return cookies;
}

/* All cookies of the header, in their order; wanted: "name", "value", ..., NULL. */
static void assert_cookies(const char *header, const char *const *wanted)
{
    struct httpcookies cookies = parsed(header);
    size_t count = 0;

    for (; wanted[0] != NULL; wanted += 2, count++) {
        const struct httpcookie *cookie = httpcookies_at(&cookies, count);
        if (cookie == NULL || strcmp(cookie->name, wanted[0]) != 0 || strcmp(cookie->value, wanted[1]) != 0)
            fail_msg("%s: %s", header, wanted[0]);
        assert_ptr_equal(httpcookies_get(&cookies, wanted[0]), cookie->value);
    }
    if (httpcookies_count(&cookies) != count)
        fail_msg("%s: %zu cookies", header, httpcookies_count(&cookies));
    assert_null(httpcookies_at(&cookies, count));
    httpcookies_free(&cookies);
}

#define assert_parsed(header, ...) assert_cookies(header, (const char *const[]){ __VA_ARGS__, NULL })

/* httputil_test:test_python_cookies */
static void reads_what_browsers_send(void **state)
{
    assert_parsed("chips=ahoy; vienna=finger", "chips", "ahoy", "vienna", "finger");
    assert_parsed("keebler=\"E=mc2; L=\\\"Loves\\\"; fudge=\\012;\"", "keebler", "\"E=mc2", "L", "\\\"Loves\\\"",
                  "fudge", "\\012", "", "\"");
    assert_parsed("keebler=E=mc2", "keebler", "E=mc2");
    assert_parsed("key:term=value:term", "key:term", "value:term");
    assert_parsed("a=b; c=[; d=r; f=h", "a", "b", "c", "[", "d", "r", "f", "h");
}

/* httputil_test:test_cookie_edgecases */
static void knows_no_attributes_and_takes_the_last_duplicate(void **state)
{
    assert_parsed("a=b; Domain=example.com", "a", "b", "Domain", "example.com");
    assert_parsed("a=b; h=i; a=c", "a", "c", "h", "i");
    assert_parsed("a=b; A=c; a=; a", "a", "", "A", "c", "", "a");
    assert_parsed("a=1;b=2;a=3;b=4;a=5", "a", "5", "b", "4");
}

/* httputil_test:test_invalid_cookies; the last one is of our own. */
static void reads_junk_as_browsers_do(void **state)
{
    assert_parsed("abc=def; unnamed; django_language=en", "abc", "def", "", "unnamed", "django_language", "en");
    assert_parsed("a=b; \"; c=d", "a", "b", "", "\"", "c", "d");
    assert_parsed("a b c=d e = f; gh=i", "a b c", "d e = f", "gh", "i");
    assert_parsed("a   b,c<>@:/[]?{}=d  \"  =e,f g", "a   b,c<>@:/[]?{}", "d  \"  =e,f g");
    assert_parsed("saint=Andr\xc3\xa9 Bessette", "saint", "Andr\xc3\xa9 Bessette");
    assert_parsed("  =  b  ;  ;  =  ;   c  =  ;  ", "", "b", "c", "");
    assert_parsed("a=b; c; =d; \"e;f\"=g; a=2", "a", "2", "", "\"e", "f\"", "g");
}

static void trims_blanks_and_nothing_else(void **state)
{
    assert_parsed(" \t a \t = \t b c \t ;\t", "a", "b c");
    assert_parsed("a=\vb\f;\rc=\n", "a", "\vb\f", "\rc", "\n");
    assert_parsed("a=\xc2\xa0", "a", "\xc2\xa0");
    assert_parsed("a=\" b \"", "a", " b ");
    assert_parsed("a=\"\tb\" ", "a", "\tb");
}

static void finds_nothing_in_nothing(void **state)
{
    static const char *const headers[] = { "", ";", " ", ";;;;", "=", " = ", "=;=", "\t;\t=\t;" };
    struct httpcookies cookies = { 0 };

    for (size_t i = 0; i < COUNT(headers); i++)
        assert_cookies(headers[i], (const char *const[]){ NULL });
    assert_int_equal(httpcookies_parse(&cookies, NULL), 0);
    assert_int_equal(httpcookies_count(&cookies), 0);
    assert_null(httpcookies_get(&cookies, ""));
    assert_null(httpcookies_at(&cookies, 0));
    httpcookies_free(&cookies);
}

static void gets_by_the_exact_name(void **state)
{
    struct httpcookies cookies = parsed("ab=1; abc=2; =3; a=4");

    assert_string_equal(httpcookies_get(&cookies, "ab"), "1");
    assert_string_equal(httpcookies_get(&cookies, "abc"), "2");
    assert_string_equal(httpcookies_get(&cookies, ""), "3");
    assert_string_equal(httpcookies_get(&cookies, "a"), "4");
    assert_null(httpcookies_get(&cookies, "AB"));
    assert_null(httpcookies_get(&cookies, "abcd"));
    assert_null(httpcookies_get(&cookies, "b"));
    assert_null(httpcookies_get(&cookies, "ab "));
    assert_null(httpcookies_at(&cookies, 4));
    assert_null(httpcookies_at(&cookies, SIZE_MAX));
    httpcookies_free(&cookies);
}

/* httputil_test:test_unquote */
static void unquotes_values(void **state)
{
    static const struct {
        const char *header, *value;
    } cases[] = {
        { "a=\"b=\\\"\"", "b=\"" },
        { "a=\"b=\\\\\"", "b=\\" },
        { "a=\"b=\\=\"", "b==" },
        { "a=\"b=\\n\"", "b=n" },
        { "a=\"b=\\042\"", "b=\"" },
        { "a=\"b=\\134\"", "b=\\" },
        { "a=\"b=\\377\"", "b=\xff" },
        { "a=\"b=\\400\"", "b=400" },
        { "a=\"b=\\42\"", "b=42" },
        { "a=\"b=\\\\042\"", "b=\\042" },
        { "a=\"b=\\\\134\"", "b=\\134" },
        { "a=\"b=\\\\\\\"\"", "b=\\\"" },
        { "a=\"b=\\\\\\042\"", "b=\\\"" },
        { "a=\"b=\\134\\\"\"", "b=\\\"" },
        { "a=\"b=\\134\\042\"", "b=\\\"" },
        { "a=\"\"", "" },
        { "a=\"", "\"" },
        { "a=\"\"\"", "\"" },
        { "a=\"\\\"", "\\" },
        { "a=\"b\\\"", "b\\" },
        { "a=\"\\1\"", "1" },
        { "a=\"\\12\"", "12" },
        { "a=\"\\0012\"", "\0012" },
        { "a=\"\\081\"", "081" },
        { "a=\"\\018\"", "018" },
        { "a=\"\\01/\"", "01/" },
        { "a=\"\\/00\"", "/00" },
        { "a=\"\\3777\"", "\xff"
                          "7" },
        { "a=\"b", "\"b" },
        { "a=b\"", "b\"" },
        { "a=b\"c\\\"\"", "b\"c\\\"\"" },
        { "a=\"b\"c", "\"b\"c" },
        { "a=\"b\" \"c\"", "b\" \"c" },
        { "a=\\\"b\\\"", "\\\"b\\\"" },
        { "a=\\042", "\\042" },
        { "a='b'", "'b'" },
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        assert_parsed(cases[i].header, "a", cases[i].value);
}

/* The reading half of web_test:test_get_cookie and web_test:test_cookie_special_char. */
static void reads_special_characters(void **state)
{
    static const struct {
        const char *header, *value;
    } cases[] = {
        { "foo=bar", "bar" },         { "foo=\"bar\"", "bar" },     { "/=exception;", NULL },
        { "foo=a=b", "a=b" },         { "foo=\"a=b\"", "a=b" },     { "foo=\"a;b\"", "\"a" },
        { "foo=a\\073b", "a\\073b" }, { "foo=\"a\\073b\"", "a;b" }, { "foo=\"a\\\"b\"", "a\"b" },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct httpcookies cookies = parsed(cases[i].header);
        const char *value = httpcookies_get(&cookies, "foo");
        if (cases[i].value == NULL)
            assert_null(value);
        else
            assert_string_equal(value, cases[i].value);
        httpcookies_free(&cookies);
    }
}

/* Cut off at the NUL it would be another value than the one that was sent. web_test:test_get_cookie: the others stay.
 */
static void drops_a_cookie_whose_value_has_a_nul(void **state)
{
    assert_parsed("a=1; b=\"x\\000y\"; c=2", "a", "1", "c", "2");
    assert_parsed("b=old; b=\"\\000\"", "b", "old");
    assert_parsed("b=\"\\000\"; b=new", "b", "new");
    assert_parsed("b=\"\\00\"", "b", "00");
    assert_parsed("b=\"\\001\"", "b", "\001");
    assert_parsed("b=\\000", "b", "\\000");
}

static char *repeated(const char *text, size_t count)
{
    size_t length = strlen(text);
    char *all = malloc(length * count + 1);

    assert_non_null(all);
    for (size_t i = 0; i < count; i++)
        memcpy(all + i * length, text, length);
    all[count * length] = '\0';
    return all;
}

static char *many_cookies(size_t count)
{
    char *header = malloc(count * 10 + 1);

    assert_non_null(header);
    header[0] = '\0';
    for (size_t i = 0; i < count; i++)
        sprintf(header + strlen(header), ";a%zu=%zu", i % 1000, i % 1000);
    return header;
}

static void says_that_there_are_more_than_64(void **state)
{
    struct httpcookies cookies = { 0 };
    char *header = many_cookies(HTTPCOOKIES_MAX);

    assert_int_equal(httpcookies_parse(&cookies, header), 0);
    assert_int_equal(httpcookies_count(&cookies), HTTPCOOKIES_MAX);
    assert_string_equal(httpcookies_get(&cookies, "a63"), "63");
    free(header);
    header = many_cookies(HTTPCOOKIES_MAX + 1);
    assert_int_equal(httpcookies_parse(&cookies, guardpage_string(header)), -ENOBUFS);
    assert_int_equal(httpcookies_count(&cookies), HTTPCOOKIES_MAX);
    assert_string_equal(httpcookies_get(&cookies, "a0"), "0");
    assert_string_equal(httpcookies_get(&cookies, "a63"), "63");
    assert_null(httpcookies_get(&cookies, "a64"));
    free(header);
    httpcookies_free(&cookies);
}

/* Else each of them would be compared with all that are there. */
static void counts_duplicates_and_dropped_ones_but_not_empty_ones(void **state)
{
    static const struct {
        const char *pair;
        size_t count;
        int result;
        size_t cookies;
    } cases[] = {
        { "a=b;", 64, 0, 1 },         { "a=b;", 65, -ENOBUFS, 1 },
        { "a=\"\\000\";", 64, 0, 0 }, { "a=\"\\000\";", 65, -ENOBUFS, 0 },
        { ";", 60000, 0, 0 },         { " = ;", 10000, 0, 0 },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct httpcookies cookies = { 0 };
        char *header = repeated(cases[i].pair, cases[i].count);
        assert_int_equal(httpcookies_parse(&cookies, guardpage_string(header)), cases[i].result);
        assert_int_equal(httpcookies_count(&cookies), cases[i].cookies);
        httpcookies_free(&cookies);
        free(header);
    }
}

/* httputil_test:test_unquote_large */
static void unquotes_long_values(void **state)
{
    static const struct {
        const char *escape;
        char byte;
    } cases[] = { { "\\042", '"' }, { "\\\"", '"' }, { "\\\\", '\\' }, { "\\377", '\xff' }, { "\"", '"' } };

    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t count = 30000;
        char *inner = repeated(cases[i].escape, count);
        char *header = malloc(strlen(inner) + 5);
        assert_non_null(header);
        sprintf(header, "a=\"%s\"", inner);
        struct httpcookies cookies = parsed(header);
        const char *value = httpcookies_get(&cookies, "a");
        assert_int_equal(strlen(value), count);
        assert_int_equal(strspn(value, (char[]){ cases[i].byte, '\0' }), count);
        httpcookies_free(&cookies);
        free(header);
        free(inner);
    }
}

static void forgets_the_cookies_that_were_there(void **state)
{
    struct httpcookies cookies = parsed("a=b; c=d");

    assert_int_equal(httpcookies_parse(&cookies, "e=f"), 0);
    assert_int_equal(httpcookies_count(&cookies), 1);
    assert_null(httpcookies_get(&cookies, "a"));
    assert_string_equal(httpcookies_get(&cookies, "e"), "f");
    assert_int_equal(httpcookies_parse(&cookies, NULL), 0);
    assert_int_equal(httpcookies_count(&cookies), 0);
    assert_int_equal(httpcookies_parse(&cookies, "g=h"), 0);
    httpcookies_clear(&cookies);
    assert_null(httpcookies_get(&cookies, "g"));
    httpcookies_free(&cookies);
    httpcookies_free(&cookies);
    httpcookies_clear(&cookies);
    assert_int_equal(httpcookies_parse(&cookies, "i=j"), 0);
    assert_string_equal(httpcookies_get(&cookies, "i"), "j");
    httpcookies_free(&cookies);
}

static void allocates_once_and_uses_it_again(void **state)
{
    long before = faults_allocated(), allocations = faults_allocations();
    struct httpcookies cookies = parsed("a=b; c=d");

    assert_int_equal(faults_allocations(), allocations + 1);
    for (int i = 0; i < 10; i++)
        assert_int_equal(httpcookies_parse(&cookies, "a=1; b=2"), 0);
    assert_int_equal(faults_allocations(), allocations + 1);
    assert_int_equal(httpcookies_parse(&cookies, "a=b; c=de"), 0);
    assert_int_equal(faults_allocations(), allocations + 2);
    assert_int_equal(faults_allocated(), before + 1);
    httpcookies_free(&cookies);
    assert_int_equal(faults_allocated(), before);
    faults_end();
}

static void says_that_there_is_no_memory(void **state)
{
    struct httpcookies cookies = { 0 };
    long before = faults_allocated();

    for (int i = 0; i < 2; i++) { /* without anything, and with cookies that are there */
        faults_allocation(1, false);
        assert_int_equal(httpcookies_parse(&cookies, "a=b; and=some; more=than before"), -ENOMEM);
        assert_int_equal(httpcookies_count(&cookies), 0);
        assert_null(httpcookies_get(&cookies, "a"));
        assert_int_equal(httpcookies_parse(&cookies, "a=b"), 0);
        assert_string_equal(httpcookies_get(&cookies, "a"), "b");
    }
    httpcookies_free(&cookies);
    assert_int_equal(faults_allocated(), before);
    faults_end();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(reads_what_browsers_send),
    cmocka_unit_test(knows_no_attributes_and_takes_the_last_duplicate),
    cmocka_unit_test(reads_junk_as_browsers_do),
    cmocka_unit_test(trims_blanks_and_nothing_else),
    cmocka_unit_test(finds_nothing_in_nothing),
    cmocka_unit_test(gets_by_the_exact_name),
    cmocka_unit_test(unquotes_values),
    cmocka_unit_test(reads_special_characters),
    cmocka_unit_test(drops_a_cookie_whose_value_has_a_nul),
    cmocka_unit_test(says_that_there_are_more_than_64),
    cmocka_unit_test(counts_duplicates_and_dropped_ones_but_not_empty_ones),
    cmocka_unit_test(unquotes_long_values),
    cmocka_unit_test(forgets_the_cookies_that_were_there),
    cmocka_unit_test(allocates_once_and_uses_it_again),
    cmocka_unit_test(says_that_there_is_no_memory),
};

TESTING_MAIN(tests)
