/* What a URL is, and what is none. */
#include "httpserver/httpurl.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/guardpage.h"
#include "tests/support/testing.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static int parse(const char *text, size_t length, struct httpurl *url)
{
    memset(url, 0x5a, sizeof *url);
    return httpurl_parse(guardpage_text(text, length), length, url);
}

static size_t describe_part(char *text, struct httpurl_part part)
{
    if (part.text == NULL)
        return (size_t)sprintf(text, "- ");
    return (size_t)sprintf(text, "%.*s ", (int)part.length, part.text);
}

/* Scheme, user, host, port, path, query, fragment, each with a space behind it and "-" when it is absent; then the
 * number of the port, and "6" behind it with an IPv6 address. */
static void describe(const struct httpurl *url, char text[256])
{
    text += describe_part(text, url->scheme);
    text += describe_part(text, url->userinfo);
    text += describe_part(text, url->host);
    text += describe_part(text, url->port_text);
    text += describe_part(text, url->path);
    text += describe_part(text, url->query);
    text += describe_part(text, url->fragment);
    sprintf(text, "%d%s", url->port, url->is_ipv6 ? "6" : "");
}

static void assert_parts(const char *text, const char *wanted)
{
    struct httpurl url;
    char parts[256];

    if (parse(text, strlen(text), &url) != 0)
        fail_msg("refused: %s", text);
    describe(&url, parts);
    assert_string_equal(parts, wanted);
}

/* And what is refused leaves the URL alone. */
static void assert_refused(const char *text, size_t length)
{
    struct httpurl url, before;

    memset(&before, 0x5a, sizeof before);
    if (parse(text, length, &url) != -EINVAL)
        fail_msg("accepted: %.*s", (int)length, text);
    assert_memory_equal(&url, &before, sizeof url);
}

static void a_url_is_taken_apart(void **state)
{
    static const struct {
        const char *text, *parts;
    } cases[] = {
        { "http://a", "http - a -  - - 80" },
        { "http://a/", "http - a - / - - 80" },
        { "https://a/b/c", "https - a - /b/c - - 443" },
        { "ws://a/", "ws - a - / - - 80" },
        { "wss://a/", "wss - a - / - - 443" },
        { "HTTPS://A/", "HTTPS - A - / - - 443" },
        { "http://a:8080/b?c#d", "http - a 8080 /b c d 8080" },
        { "http://a?b", "http - a -  b - 80" },
        { "http://a#b", "http - a -  - b 80" },
        { "http://a/?", "http - a - /  - 80" },
        { "http://a/#", "http - a - / -  80" },
        { "http://a/?#", "http - a - /   80" },
        { "http://a/?b?c#d?e", "http - a - / b?c d?e 80" },
        { "http://a/#b#c", "http - a - / - b#c 80" },
        { "http://u:p@a:1/", "http u:p a 1 / - - 1" },
        { "http://u:8@a/", "http u:8 a - / - - 80" },
        { "http://1:8@a:", "http 1:8 a   - - 80" },
        { "http://u:99999@a/", "http u:99999 a - / - - 80" },
        { "http://@a/", "http  a - / - - 80" },
        { "http://u%40:%3a@a/", "http u%40:%3a a - / - - 80" },
        { "http://a:/", "http - a  / - - 80" },
        { "http://a:0/", "http - a 0 / - - 0" },
        { "http://a:65535/", "http - a 65535 / - - 65535" },
        { "http://a:00080/", "http - a 00080 / - - 80" },
        { "http://a-b.c_d~e.example./", "http - a-b.c_d~e.example. - / - - 80" },
        { "http://a!$&'()*+;=b/", "http - a!$&'()*+;=b - / - - 80" },
        { "http://a/@b:c", "http - a - /@b:c - - 80" },
        { "http://a/b//c", "http - a - /b//c - - 80" },
        { "http://a/b|c[d]{e}^`\"<>?|[]{}#|[]", "http - a - /b|c[d]{e}^`\"<> |[]{} |[] 80" },
        { "http://a#@b/", "http - a -  - @b/ 80" },
        { "http://a?@b/", "http - a -  @b/ - 80" },
        { "http://a/%2F%00?%ff#%aB", "http - a - /%2F%00 %ff %aB 80" },
        { "ftp://a/b", "ftp - a - /b - - -1" },
        { "ftp://a:21/b", "ftp - a 21 /b - - 21" },
        { "file:///etc/passwd", "file -  - /etc/passwd - - -1" },
        { "mailto:u@a", "mailto - - - u@a - - -1" },
        { "urn:a:b:c", "urn - - - a:b:c - - -1" },
        { "a+b-c.1:d", "a+b-c.1 - - - d - - -1" },
        { "http:a", "http - - - a - - 80" },
        { "http:", "http - - -  - - 80" },
        { "httpx://a", "httpx - a -  - - -1" },
        { "htt://a", "htt - a -  - - -1" },
        { "wx://a", "wx - a -  - - -1" },
        { "xs://a", "xs - a -  - - -1" },
        { "wsx://a", "wsx - a -  - - -1" },
        { "wxs://a", "wxs - a -  - - -1" },
        { "zzz:", "zzz - - -  - - -1" },
        { "A:", "A - - -  - - -1" },
        { "Z:", "Z - - -  - - -1" },
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        assert_parts(cases[i].text, cases[i].parts);
}

static void a_reference_may_lack_what_stands_in_front(void **state)
{
    static const struct {
        const char *text, *parts;
    } cases[] = {
        { "", "- - - -  - - -1" },
        { "a", "- - - - a - - -1" },
        { "/", "- - - - / - - -1" },
        { "/a/b?c#d", "- - - - /a/b c d -1" },
        { "?", "- - - -   - -1" },
        { "#", "- - - -  -  -1" },
        { "?a:b/c", "- - - -  a:b/c - -1" },
        { "#a:b/c", "- - - -  - a:b/c -1" },
        { "//a", "- - a -  - - -1" },
        { "//a:80/b", "- - a 80 /b - - 80" },
        { "//a/b:c", "- - a - /b:c - - -1" },
        { "//1.2.3.4:5", "- - 1.2.3.4 5  - - 5" },
        { "./a:b", "- - - - ./a:b - - -1" },
        { "/1:b", "- - - - /1:b - - -1" },
        { "a/b:c", "- - - - a/b:c - - -1" },
        { "/a//b", "- - - - /a//b - - -1" },
        { "*", "- - - - * - - -1" },
    };
    struct httpurl url;

    for (size_t i = 0; i < COUNT(cases); i++)
        assert_parts(cases[i].text, cases[i].parts);
    assert_int_equal(httpurl_parse(NULL, 0, &url), 0);
    assert_true(url.path.text != NULL && url.path.length == 0);
}

static void addresses_of_ipv6_stand_in_brackets(void **state)
{
    static const char *const refused[] = {
        "http://[]/",
        "http://[::1",
        "http://[::1/",
        "http://::1]/",
        "http://::1/",
        "http://[1::2::3]/",
        "http://[::12345]/",
        "http://[::g]/",
        "http://[fe80::1%25eth0]/",
        "http://[v1.a]/",
        "http://[::1]a/",
        "http://[::1]80/",
        "http://a[::1]/",
        "http://[::1.2.3]/",
        "http://[::1.2.3.256]/",
        "http://[[::1]]/",
        "http://[1:2:3:4:5:6:7:8:9]/",
        "http://[1:2:3:4:5:6:7]/",
        "http://[::1]]/",
        "http://[a]/",
        "http://[::1]:a/",
        "http://[1111:2222:3333:4444:5555:6666:123.123.123.1234]/",
        "http://[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]/",
    };

    assert_parts("http://[::1]/", "http - ::1 - / - - 806");
    assert_parts("http://[2001:DB8::a]:8080", "http - 2001:DB8::a 8080  - - 80806");
    assert_parts("http://u@[::ffff:1.2.3.4]:/", "http u ::ffff:1.2.3.4  / - - 806");
    assert_parts("//[1:2:3:4:5:6:7:8]", "- - 1:2:3:4:5:6:7:8 -  - - -16");
    assert_parts("//[1111:2222:3333:4444:5555:6666:123.123.123.123]",
                 "- - 1111:2222:3333:4444:5555:6666:123.123.123.123 -  - - -16");
    for (size_t i = 0; i < COUNT(refused); i++)
        assert_refused(refused[i], strlen(refused[i]));
}

/* What inet_aton takes for an address is either one that everybody reads alike, or refused. */
static void an_address_of_ipv4_is_four_decimal_numbers(void **state)
{
    static const char *const accepted[] = {
        "0.0.0.0",     "255.255.255.255",
        "127.0.0.1",   "1.2.3.4a",
        "1.2.3.a4",    "1a.example",
        "0x.example",  "1.example",
        "1.2.3.4.ab",  "x1",
        "0xg",         "1.2.3.0xg",
        "1-",          "a.b.c.d",
        "12e",         "x0",
        "0y1",         "1.2.3.+4",
        "10.20.30.40", ".",
        "..",          "a..b",
    };
    static const char *const refused[] = {
        "127.1",     "1.2.3",      "1",          "2130706433", "0x7f.1",           "0x7f000001", "0X7F000001",
        "017.0.0.1", "1.2.3.04",   "1.2.3.00",   "256.0.0.1",  "1.2.3.256",        "1.2.3.999",  "1.2.3.4.5",
        "1.2.3.4.",  "a.1",        "a.0x1",      "a.0x1.",     "1.2.3.0x",         "0x",         "1..2",
        "1.2.3.",    "1.",         ".1",         "1.2..4",     "1.2.3.4294967297", "1.2.3.0x4",  "+1.2.3.4",
        "01.2.3.4",  "1.2.3.-4.5", "0000.0.0.0", "12.1e.3.4",  "1.2.3.0001",       "1,2,3,4",    "1.2.3.0xAf",
        "1.2.3:4.5", "a.b.c.4",
    };
    char text[64], parts[80];

    for (size_t i = 0; i < COUNT(accepted); i++) {
        sprintf(text, "http://%s/", accepted[i]);
        sprintf(parts, "http - %s - / - - 80", accepted[i]);
        assert_parts(text, parts);
    }
    for (size_t i = 0; i < COUNT(refused); i++)
        assert_refused(text, (size_t)sprintf(text, "http://%s/", refused[i]));
}

/* B5, B6, F3: each of these has been read differently by two programs, or has split a request in two. */
static void what_two_readers_could_understand_differently_is_refused(void **state)
{
    static const char *const cases[] = {
        "http://h/a\r\nX: y",
        "http://h/\xc4\x8d",
        "http://h\xc4\x8d/",
        "http://h/a b",
        " http://h/",
        "http://h/ ",
        "http://h/\t",
        "http://h/\x7f",
        "http://a\\@b/",
        "http://a/\\b",
        "http:\\\\a/",
        "http://a/?\\",
        "http://a/#\\",
        "http://a%2fb/",
        "http://a%00.b/",
        "http://%61/",
        "http://a@b@c/",
        "http://u p@a/",
        "http://[u@a/",
        "http://a,b/",
        "http://a|b/",
        "http://a<b/",
        "http://a^b/",
        "http://a:b/",
        "http://a:99999/",
        "http://a:65536/",
        "http://a:+80/",
        "http://a:-1/",
        "http://a:000080/",
        "http://a:80:80/",
        "http://a:8a/",
        "http://a: 80/",
        "http://a:4294967376/",
        "http:///x",
        "http://",
        "https:///",
        "ws:///x",
        "wss://?",
        "HTTP:///x",
        "http://:80/",
        "http://u@/",
        "http://u@:80/",
        "///x",
        "//",
        "//:80",
        "//u@",
        "//?a",
        "http://?a",
        "http://a/%",
        "http://a/%4",
        "http://a/%zz",
        "http://a/%4z",
        "http://a/%z4",
        "http://a/?%",
        "http://a/?%4",
        "http://a/#%",
        "http://a/#%4g",
        "http://%@a/",
        "http://u%4@a/",
        "%",
        "%4",
        "%4@",
        "%@0",
        "1:b",
        ":b",
        ":",
        "1a:b",
        "+:b",
        "a_b:c",
        "a%41:b",
        "a@b:c",
        "%41:b",
        "http ://a/",
        "http://u\"@a/",
        "http://u[@a/",
        "ftp://a b/",
        "file://%41/",
        "http://a/\x80",
        "http://a/\xff",
        "http://a\x01/",
        "a!:b",
        ".:b",
        "-a:b",
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        assert_refused(cases[i], strlen(cases[i]));
    assert_refused("http://good.com\0.evil.com/", sizeof "http://good.com\0.evil.com/" - 1);
    assert_refused("http://a/\0", sizeof "http://a/\0" - 1);
    assert_refused("\0", 1);
}

/* The text with that byte at the place of "\\". */
static int parse_with_byte(const char *text, int byte, struct httpurl *url)
{
    char copy[32];
    size_t length = strlen(text);

    memcpy(copy, text, length);
    *(char *)memchr(copy, '\\', length) = (char)byte;
    return parse(copy, length, url);
}

static bool is_one_of(int byte, const char *bytes)
{
    return byte != 0 && strchr(bytes, byte) != NULL;
}

/* A byte that ends the part is fine as well. */
static void each_part_has_bytes_of_its_own(void **state)
{
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    struct httpurl url;

    for (int byte = 0; byte < 256; byte++) {
        bool is_text = byte > 0x20 && byte < 0x7f && byte != '\\' && byte != '%';
        bool is_host = is_one_of(byte, unreserved) || is_one_of(byte, "!$&'()*+;=");
        bool is_user = is_host || is_one_of(byte, ",:");
        bool is_scheme = is_one_of(byte, "+") || (is_one_of(byte, unreserved) && !is_one_of(byte, "_~"));

        assert_int_equal(parse_with_byte("http://a/\\", byte, &url), is_text ? 0 : -EINVAL);
        assert_int_equal(parse_with_byte("http://a/?\\", byte, &url), is_text ? 0 : -EINVAL);
        assert_int_equal(parse_with_byte("http://a/#\\", byte, &url), is_text ? 0 : -EINVAL);
        assert_int_equal(parse_with_byte("http://a\\a/", byte, &url), is_host || is_one_of(byte, "/?#@") ? 0 : -EINVAL);
        assert_int_equal(parse_with_byte("http://u\\@a", byte, &url), is_user || is_one_of(byte, "/?#") ? 0 : -EINVAL);
        assert_int_equal(parse_with_byte("a\\:b", byte, &url), is_scheme || is_one_of(byte, "/?#:") ? 0 : -EINVAL);
        assert_int_equal(is_scheme, is_scheme && url.scheme.length == 2);
    }
}

/* Each beginning of a URL, where no byte behind it can be read. */
static void a_cut_url_is_not_read_beyond_its_end(void **state)
{
    static const char *const texts[] = { "http://u%40:p@a.example:8080/b%2f/../c?d=%20&e#f%aa",
                                         "ws://[1:2::3:1.2.3.4]:65535/", "//127.0.0.1:80", "//a.0x12", "./../a/." };
    struct httpurl url;

    for (size_t i = 0; i < COUNT(texts); i++)
        for (size_t length = 0; length <= strlen(texts[i]); length++)
            if (parse(texts[i], length, &url) == 0)
                assert_true(url.path.length <= length);
}

static void the_locale_changes_nothing(void **state)
{
    setlocale(LC_ALL, "tr_TR.UTF-8");
    assert_parts("FILE://I/", "FILE - I - / - - -1");
    assert_parts("HTTP://I/", "HTTP - I - / - - 80");
    assert_refused("http://\xfd/", 9);
    setlocale(LC_ALL, "C");
}

static bool are_same_origin(const char *a, const char *b)
{
    struct httpurl first, second;

    assert_int_equal(httpurl_parse(a, strlen(a), &first), 0);
    assert_int_equal(httpurl_parse(b, strlen(b), &second), 0);
    assert_int_equal(httpurl_same_origin(&first, &second), httpurl_same_origin(&second, &first));
    return httpurl_same_origin(&first, &second);
}

static void an_origin_is_scheme_and_host_and_port(void **state)
{
    assert_true(are_same_origin("http://a/b", "http://a/c?d#e"));
    assert_true(are_same_origin("http://a", "HTTP://A:80/"));
    assert_true(are_same_origin("http://a:/", "http://a:0080/"));
    assert_true(are_same_origin("https://u:p@a/", "https://a:443"));
    assert_true(are_same_origin("http://[::A]/", "http://[::a]:80/"));
    assert_true(are_same_origin("ftp://a/", "ftp://a/b"));
    assert_false(are_same_origin("http://a/", "https://a/"));
    assert_false(are_same_origin("http://a:443/", "https://a/"));
    assert_false(are_same_origin("http://a/", "ws://a/"));
    assert_false(are_same_origin("http://a/", "http://a:81/"));
    assert_false(are_same_origin("http://a/", "http://b/"));
    assert_false(are_same_origin("http://a/", "http://a./"));
    assert_false(are_same_origin("http://a/", "http://aa/"));
    assert_false(are_same_origin("http://a/", "//a/"));
    assert_false(are_same_origin("//a/", "//a/"));
    assert_false(are_same_origin("http:a", "http:a"));
    assert_false(are_same_origin("file:///a", "file:a"));
    assert_false(are_same_origin("a", "a"));
}

static void a_scheme_may_imply_a_port(void **state)
{
    static const struct {
        const char *text, *scheme;
        int port;
    } rows[] = {
        { "http://a/", "http", 80 }, { "HTTPS://a:1/", "https", 443 }, { "ws://a:1/", "ws", 80 },
        { "wsS://a/", "wss", 443 },  { "ftp://a:21/", "ftp", -1 },     { "httpx://a:1/", "httpx", -1 },
        { "http:a", "http", 80 },
    };
    struct httpurl url;

    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(httpurl_parse(rows[i].text, strlen(rows[i].text), &url), 0);
        assert_int_equal(httpurl_default_port(&url), rows[i].port);
        for (size_t j = 0; j < COUNT(rows); j++)
            assert_int_equal(httpurl_has_scheme(&url, rows[j].scheme), strcmp(rows[i].scheme, rows[j].scheme) == 0);
    }
    assert_int_equal(httpurl_parse("//a/", 4, &url), 0);
    assert_int_equal(httpurl_default_port(&url), -1);
    assert_false(httpurl_has_scheme(&url, "http"));
}

static void assert_split(const char *text, const char *host, int port)
{
    struct httpurl_part part = { 0 };
    int number = -2;
    int result = httpurl_split_host_and_port(guardpage_text(text, strlen(text)), strlen(text), &part, &number);

    if (host == NULL) {
        assert_int_equal(result, -EINVAL);
        assert_true(part.text == NULL && number == -2);
        return;
    }
    assert_int_equal(result, 0);
    assert_int_equal(number, port);
    assert_int_equal(part.length, strlen(host));
    assert_memory_equal(part.text, host, part.length);
}

static void host_and_port_are_split(void **state)
{
    assert_split("a", "a", -1);
    assert_split("a:80", "a", 80);
    assert_split("a:", "a", -1);
    assert_split("a:0", "a", 0);
    assert_split("127.0.0.1:65535", "127.0.0.1", 65535);
    assert_split("[::1]", "::1", -1);
    assert_split("[::1]:8080", "::1", 8080);
    assert_split("", NULL, 0);
    assert_split(":80", NULL, 0);
    assert_split(":", NULL, 0);
    assert_split("::1", NULL, 0);
    assert_split("a:65536", NULL, 0);
    assert_split("a:b", NULL, 0);
    assert_split("a:80:80", NULL, 0);
    assert_split("u@a", NULL, 0);
    assert_split("a/", NULL, 0);
    assert_split("a b", NULL, 0);
    assert_split("[]", NULL, 0);
    assert_split("[::1", NULL, 0);
    assert_split("[", NULL, 0);
    assert_split("a%20", NULL, 0);
    assert_split("127.1:80", NULL, 0);
}

static void a_nul_in_a_host_does_not_end_it(void **state)
{
    struct httpurl_part host;
    int port;

    assert_int_equal(httpurl_split_host_and_port("a\0b:80", 6, &host, &port), -EINVAL);
    assert_int_equal(httpurl_split_host_and_port("a\0:80", 5, &host, &port), -EINVAL);
    assert_int_equal(httpurl_split_host_and_port("[::1\0]:80", 9, &host, &port), -EINVAL);
    assert_int_equal(httpurl_split_host_and_port("[::1]\0:80", 9, &host, &port), -EINVAL);
    assert_int_equal(httpurl_split_host_and_port("a:8\0", 4, &host, &port), -EINVAL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_url_is_taken_apart),
    cmocka_unit_test(a_reference_may_lack_what_stands_in_front),
    cmocka_unit_test(addresses_of_ipv6_stand_in_brackets),
    cmocka_unit_test(an_address_of_ipv4_is_four_decimal_numbers),
    cmocka_unit_test(what_two_readers_could_understand_differently_is_refused),
    cmocka_unit_test(each_part_has_bytes_of_its_own),
    cmocka_unit_test(a_cut_url_is_not_read_beyond_its_end),
    cmocka_unit_test(the_locale_changes_nothing),
    cmocka_unit_test(an_origin_is_scheme_and_host_and_port),
    cmocka_unit_test(a_scheme_may_imply_a_port),
    cmocka_unit_test(host_and_port_are_split),
    cmocka_unit_test(a_nul_in_a_host_does_not_end_it),
};

TESTING_MAIN(tests)
