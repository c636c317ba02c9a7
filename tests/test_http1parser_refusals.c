/* What http1parser refuses: the rows of the table of attacks, by their ids there. */
#include "httpserver/http1parser.h"

#include <locale.h>
#include <string.h>

#include "tests/support/requestparse.h"
#include "tests/support/testing.h"

/* A1, A3, A4 */
static void refuses_doubtful_framing(void **state)
{
    static const struct text rows[] = {
        TEXT(POST
             "Content-Length: 35\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /SMUG HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT(POST "Transfer-Encoding: chunked\r\nContent-Length: 35\r\n\r\n"),
        TEXT(POST "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n"),
        TEXT(POST "Transfer-Encoding: chunked\r\nContent-Length:\r\n\r\n"),
        TEXT(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
        TEXT(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n"),
        TEXT(POST "Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n\r\n"),
        TEXT("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        TEXT("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n"),
        TEXT("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"),
    };

    ASSERT_RESULTS(rows, -400);
}

/* A2; Tornado: test_chunked_request_body_unsupported_transfer_encoding */
static void refuses_transfer_encodings_other_than_chunked(void **state)
{
    static const struct {
        const char *value;
        int status;
    } rows[] = {
        { "xchunked", 501 },
        { "chunke", 501 },
        { "chunkedx", 501 },
        { "identity", 501 },
        { "gzip", 501 },
        { "deflate", 501 },
        { "chunked-", 501 },
        { "c", 501 },
        { ",chunked", 400 },
        { "chunked,", 400 },
        { "chunked, identity", 400 },
        { "gzip, chunked", 400 },
        { "chunked, chunked", 400 },
        { "\013chunked", 400 },
        { "chunked\x0c", 400 },
        { "\240chunked", 400 },
        { "chunked;a=b", 400 },
        { "\"chunked\"", 400 },
        { "'chunked", 501 },
        { "", 400 },
        { " ", 400 },
        { "chunked chunked", 400 },
        { "chun ked", 400 },
        { "\205chunked", 400 },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_value_result(POST "Transfer-Encoding: ", rows[i].value, "\r\n\r\n", -rows[i].status);
        assert_value_result(POST "Content-Length: 5\r\nTransfer-Encoding: ", rows[i].value, "\r\n\r\n", -400);
        assert_value_result(POST "Transfer-Encoding: ", rows[i].value, "\r\nContent-Length: 5\r\n\r\n", -400);
    }
}

/* A5 */
static void refuses_folded_lines(void **state)
{
    static const struct text rows[] = {
        TEXT(POST "Transfer-Encoding:\r\n chunked\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\n\tHost: a\r\nHost: a\r\n\r\n"),
        TEXT(GET "X: a\r\n\tb\r\n\r\n"),
        TEXT(GET " \r\n\r\n"),
        TEXT(GET "X: a\r\n \r\n\r\n"),
    };

    ASSERT_RESULTS(rows, -400);
}

/* A6, A18 */
static void refuses_malformed_names(void **state)
{
    static const struct text rows[] = {
        TEXT(POST "Content-Length : 5\r\n\r\n"),
        TEXT(POST " Content-Length: 5\r\n\r\n"),
        TEXT(GET "X\t: 5\r\n\r\n"),
        TEXT(GET "Foo Bar: x\r\n\r\n"),
        TEXT(GET "\357foo: x\r\n\r\n"),
        TEXT(GET ":\r\n\r\n"),
        TEXT(GET ": x\r\n\r\n"),
        TEXT(GET "X\r\n\r\n"),
        TEXT(GET "X\r\nY: z\r\n\r\n"),
        TEXT(GET "\"X\": y\r\n\r\n"),
        TEXT(GET "X(: y\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost\r\n: a\r\n\r\n"),
        TEXT(GET "[X]: y\r\n\r\n"),
        TEXT(GET "X=Y\r\n\r\n"),
    };

    ASSERT_RESULTS(rows, -400);
}

/* A7, A8; Tornado accepts LF alone (test_newlines) */
static void refuses_anything_but_crlf_as_the_end_of_a_line(void **state)
{
    static const struct text rows[] = {
        TEXT("GET / HTTP/1.1\nHost: a\n\n"),
        TEXT("GET / HTTP/1.1\r\nHost: a\n\r\n"),
        TEXT("GET / HTTP/1.1\rHost: a\r\r"),
        TEXT("GET / HTTP/1.1\n\rHost: a\n\r\n\r"),
        TEXT(GET "X: a\rb: c\r\n\r\n"),
        TEXT(GET "X: a\nb: c\r\n\r\n"),
        TEXT(GET "X: a\r\r\n\r\n"),
        TEXT(GET "X: a\r\n\n"),
        TEXT(GET "\n"),
        TEXT(GET "\r\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost: a\r\n\rXGET /SMUG HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT(GET "X: a\0b\r\n\r\n"),
        TEXT(GET "X: a\001b\r\n\r\n"),
        TEXT(GET "X: a\177b\r\n\r\n"),
        TEXT(GET "X\0: a\r\n\r\n"),
        TEXT(GET "X: a\x0b\r\n\r\n"),
        TEXT(GET "X: a\x0c\r\n\r\n"),
        TEXT(GET "X: a\x1b[0m\r\n\r\n"),
        TEXT("\0"),
    };

    ASSERT_RESULTS(rows, -400);
}

/* A9; Tornado: test_invalid_content_length */
static void refuses_malformed_content_lengths(void **state)
{
    static const char *const values[] = {
        "+5",
        "-1",
        "-0",
        "0x5",
        "1_0",
        "5 5",
        "",
        "5,5",
        "5,6",
        "5,",
        ",5",
        "007",
        "00",
        "010",
        "5a",
        "a",
        "5.0",
        "1e3",
        "\"5\"",
        "5;",
        "18446744073709551621",
        "99999999999999999999",
        "10000000000000000000",
        "\xd9\xa5",
        "5\t5",
        "\xb2",
    };

    for (size_t i = 0; i < COUNT(values); i++)
        assert_value_result(POST "Content-Length: ", values[i], "\r\n\r\n", -400);
    assert_value_result(POST "Content-Length: 5\r\nContent-Length: ", "0", "\r\n\r\n", -400);
    assert_value_result(POST "Content-Length: 5\r\nContent-Length: ", "5", "\r\n\r\n", -400);
    assert_value_result(POST "Content-Length: 5\r\nX: y\r\ncontent-length: ", "", "\r\n\r\n", -400);
    assert_value_result("POST / HTTP/1.0\r\nContent-Length: ", "5", "\r\nContent-Length: 5\r\n\r\n", -400);
}

/* A19; Tornado: test_invalid_host_header_with_whitespace */
static void refuses_doubtful_hosts(void **state)
{
    static const char *const invalid[] = {
        "",        "a/b@c",   "a b",      "a,b",    "a, b",     "user@a", "user:1@a", "a:",       "a:b",   "a:1:2",
        "a:65536", "a:99999", "a:000080", ":80",    "a:-1",     "a:+1",   "http://a", "a/",       "/",     "a?b",
        "a#b",     "a\\b",    "[::1",     "[::1x",  "[::1x:80", "a%4z",   "::1",      ":::1]",    "/::1]", "[]",
        "[x]",     "[::1]x",  "[::1]:",   "x[::1]", "a%",       "a%4",    "a%zz",     "\xc3\xa9", "a\"b",  "<a>",
        "a|b",     "a^b",     "{a}",      "a`b",    "[1:",      "a:8 0",
    };
    static const char *const valid[] = {
        "a",
        "A.b-C_d~e",
        "127.0.0.1",
        "127.0.0.1:8080",
        "localhost:0",
        "a:65535",
        "a:00080",
        "[::1]",
        "[::1]:80",
        "[::ffff:1.2.3.4]:443",
        "xn--e1afmkfd",
        "a%41",
        "%c3%a9.example:1",
        "!$&'()*+;=",
        "a ",
    };

    for (size_t i = 0; i < COUNT(invalid); i++) {
        assert_value_result("GET / HTTP/1.1\r\nHost: ", invalid[i], "\r\n\r\n", -400);
        assert_value_result("GET / HTTP/1.0\r\nHost: ", invalid[i], "\r\n\r\n", -400);
    }
    for (size_t i = 0; i < COUNT(valid); i++) {
        assert_value_result("GET / HTTP/1.1\r\nHost: ", valid[i], "\r\n\r\n", 0);
        assert_value_result("GET / HTTP/1.1\r\nX: y\r\nHost: ", valid[i], "\r\n\r\n", 0);
    }
}

/* Whatever its line looks like, and wherever it is. */
static void finds_the_host(void **state)
{
    static const struct text rows[] = {
        TEXT("GET / HTTP/1.1\r\nHost: a-1.example:65535\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost: a-1.example:65535\r\nX: y\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nX: y\r\nHost: a-1.example:65535\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nhost:a-1.example:65535 \t\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost:\ta-1.example:65535\r\n\r\n"),
    };
    static struct outcome outcome;

    for (size_t i = 0; i < COUNT(rows); i++) {
        parse_every_way(rows[i], NULL, &outcome);
        assert_int_equal(outcome.result, rows[i].length);
        assert_int_equal(outcome.request.host.length, strlen("a-1.example:65535"));
        assert_memory_equal(rows[i].bytes + outcome.request.host.offset, "a-1.example:65535",
                            strlen("a-1.example:65535"));
        assert_int_equal(outcome.request.header_count, memchr(rows[i].bytes, 'X', rows[i].length) != NULL ? 2 : 1);
    }
}

static void wants_exactly_one_host_that_is_the_targets(void **state)
{
    static const struct text refused[] = {
        TEXT("GET / HTTP/1.1\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nX-Host: a\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nhOST: b\r\n\r\n"),
        TEXT("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"),
        TEXT("GET http://x/ HTTP/1.1\r\nHost: y\r\n\r\n"),
        TEXT("GET http://x/ HTTP/1.1\r\n\r\n"),
        TEXT("GET http://x/ HTTP/1.0\r\nHost: y\r\n\r\n"),
        TEXT("GET http://x:80/ HTTP/1.1\r\nHost: x\r\n\r\n"),
        TEXT("GET http://x/ HTTP/1.1\r\nHost: xy\r\n\r\n"),
        TEXT("OPTIONS http://x HTTP/1.1\r\nHost: y\r\n\r\n"),
    };
    static const struct text accepted[] = {
        TEXT("GET / HTTP/1.0\r\n\r\n"),
        TEXT("GET http://x/ HTTP/1.0\r\n\r\n"),
        TEXT("GET http://EXAMPLE.com:1/ HTTP/1.1\r\nHost: example.COM:1\r\n\r\n"),
    };

    ASSERT_RESULTS(refused, -400);
    ASSERT_RESULTS(accepted, 0);
}

/* A25 */
static void refuses_versions_other_than_1_0_and_1_1(void **state)
{
    static const char *const malformed[] = {
        "http/1.1", "HTTP/1.10", "HTTP/1.1x",  "HTTP/01.1",  "HTTP/4294967295.255",
        "HTTP/1",   "HTTP/1.",   "HTTP/.1",    "HTTP/",      "HTTP",
        "",         " HTTP/1.1", "HTTP/1.1 ",  "HTTP /1.1",  "HTTP/1,1",
        "HTTP/1.a", "HTTP/a.1",  "HTTPS/1.",   "XTTP/1.1",   "HTTP/1 1",
        "HTTP/-1.", "HTTP\t1.1", "HTTP/1.1\t", "x HTTP/1.1",
    };
    static const char *const unsupported[] = { "HTTP/2.0", "HTTP/1.2", "HTTP/1.9", "HTTP/0.9", "HTTP/3.0", "HTTP/0.0" };

    for (size_t i = 0; i < COUNT(malformed); i++)
        assert_value_result("GET / ", malformed[i], "\r\nHost: a\r\n\r\n", -400);
    for (size_t i = 0; i < COUNT(unsupported); i++)
        assert_value_result("GET / ", unsupported[i], "\r\nHost: a\r\n\r\n", -505);
    assert_value_result("PRI * HTTP/2.0\r\n\r\n", "SM", "\r\n\r\n", -505);
}

/* A21, A26; Tornado: test_malformed_first_line_response, test_parse_request_start_line */
static void refuses_malformed_request_lines(void **state)
{
    static const struct text rows[] = {
        TEXT("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET /#x HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET /\tHTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET /  HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT(" GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT(" / HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET  HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("CONNECT  HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("OPTIONS ** HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("OPTIONS *x HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
        TEXT("GET /\r\n\r\n"),
        TEXT("GET\r\n\r\n"),
        TEXT("GET \r\n\r\n"),
        TEXT("/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET / \r\n\r\n"),
        TEXT(" \r\n\r\n"),
        TEXT("A\r\n\r\n"),
        TEXT("GET HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("G@T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("G\xc3\x89T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("(GET) / HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("GET: / HTTP/1.1\r\nHost: a\r\n\r\n"),
        TEXT("\r\nA\r\n\r\n"),
        TEXT("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        TEXT("GET / HTTP/1.1\r\n"),
    };

    for (size_t i = 0; i + 1 < COUNT(rows); i++)
        assert_result(rows[i], -400);
    assert_result(rows[COUNT(rows) - 1], 0);
}

/* RFC 9112 3.2 */
static void refuses_targets_in_no_form(void **state)
{
    static const char *const targets[] = {
        "a",
        "a/b",
        "?x",
        "*",
        "**",
        "http:/a/",
        "http:xxa/",
        "http//a/",
        "http:a",
        "http:",
        "http://",
        "http:///x",
        "http://?x",
        "://a/",
        "ftp://a/",
        "httpx://a/",
        "xhttp://a/",
        "http://u@a/",
        "http://u:1@a/",
        "http://a:/",
        "http://a:x/",
        "http://a,b/",
        "http://[::1/",
        "a:80",
        "[::1]:80",
        "javascript:1",
        "..",
        "http://a:65536/",
        "http:/",
        "\\a",
        ";/",
        "h://a/",
    };
    static const char *const connect_targets[] = { "/",    "*",   "a",     "a:",      ":1",   "http://a/",
                                                   "a:1/", "a:x", "u@a:1", "a:65536", "[::1]" };

    for (size_t i = 0; i < COUNT(targets); i++) {
        assert_value_result("GET ", targets[i], " HTTP/1.1\r\nHost: a\r\n\r\n", -400);
        assert_value_result("GET ", targets[i], " HTTP/1.0\r\n\r\n", -400);
    }
    for (size_t i = 0; i < COUNT(connect_targets); i++)
        assert_value_result("CONNECT ", connect_targets[i], " HTTP/1.1\r\nHost: a\r\n\r\n", -400);
}

/* A7, A26, A27: which bytes may stand where, by the words of the RFCs. */

static bool may_be_in_target(int byte)
{
    return byte > 0x20 && byte < 0x7f && byte != '#';
}

static bool may_be_in_host(int byte)
{
    return is_alphanumeric(byte) || (byte != 0 && strchr("-._~!$&'()*+;=", byte) != NULL);
}

static void takes_the_right_bytes_in_each_place(void **state)
{
    static const struct {
        struct text text;
        size_t place;
        bool (*may_be)(int byte);
    } rows[] = {
        { TEXT("GxT / HTTP/1.1\r\nHost: a\r\n\r\n"), 1, may_be_in_token },
        { TEXT("GET /xy HTTP/1.1\r\nHost: a\r\n\r\n"), 5, may_be_in_target },
        { TEXT(GET "AxB: b\r\n\r\n"), sizeof GET, may_be_in_name },
        { TEXT(GET "A: xyz\r\n\r\n"), sizeof GET + 3, may_be_in_value },
        { TEXT("GET / HTTP/1.1\r\nHost: axb\r\n\r\n"), 23, may_be_in_host },
    };
    char bytes[64];

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct text text = { bytes, rows[i].text.length };
        memcpy(bytes, rows[i].text.bytes, text.length);
        for (int byte = 0; byte < 256; byte++) {
            struct outcome outcome;
            bytes[rows[i].place] = (char)byte;
            parse_every_way(text, NULL, &outcome);
            if ((outcome.result > 0) != rows[i].may_be(byte))
                print_error("place %zu, byte 0x%02x: %d\n", i, (unsigned)byte, outcome.result);
            assert_int_equal(outcome.result, rows[i].may_be(byte) ? (int)text.length : -400);
        }
    }
}

static void does_not_care_about_the_locale(void **state)
{
    setlocale(LC_ALL, "tr_TR.UTF-8");
    takes_the_right_bytes_in_each_place(state);
    assert_value_result(POST "CONTENT-LENGTH: ", "5", "\r\nTRANSFER-ENCODING: CHUNKED\r\n\r\n", -400);
    setlocale(LC_ALL, "C");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(refuses_doubtful_framing),
    cmocka_unit_test(refuses_transfer_encodings_other_than_chunked),
    cmocka_unit_test(refuses_folded_lines),
    cmocka_unit_test(refuses_malformed_names),
    cmocka_unit_test(refuses_anything_but_crlf_as_the_end_of_a_line),
    cmocka_unit_test(refuses_malformed_content_lengths),
    cmocka_unit_test(refuses_doubtful_hosts),
    cmocka_unit_test(finds_the_host),
    cmocka_unit_test(wants_exactly_one_host_that_is_the_targets),
    cmocka_unit_test(refuses_versions_other_than_1_0_and_1_1),
    cmocka_unit_test(refuses_malformed_request_lines),
    cmocka_unit_test(refuses_targets_in_no_form),
    cmocka_unit_test(takes_the_right_bytes_in_each_place),
    cmocka_unit_test(does_not_care_about_the_locale),
};

TESTING_MAIN(tests)
