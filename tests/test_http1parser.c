#include "httpserver/http1parser.h"

#include <string.h>

#include "tests/support/requestparse.h"
#include "tests/support/testing.h"

/* What is accepted. */

/* httputil_test:test_parse_request_start_line */
static void finds_the_parts_of_a_request(void **state)
{
    struct text text = TEXT("PUT /a/b?c=d HTTP/1.1\r\nHost: example.com:8080\r\nX-Empty:\r\nx-TABS: \t a\tb \t \r\n"
                            "Text:\xc3\xa9 \"q\"\r\n\r\nbody");
    static const char *const headers[][2] = {
        { "Host", "example.com:8080" }, { "X-Empty", "" }, { "x-TABS", "a\tb" }, { "Text", "\xc3\xa9 \"q\"" }
    };
    struct outcome outcome;
    const struct http1parser_request *request = &outcome.request;

    parse_every_way(text, NULL, &outcome);
    assert_int_equal(outcome.result, text.length - 4);
    assert_string_equal(slice_text(text, request->method), "PUT");
    assert_int_equal(request->method_code, HTTP1PARSER_PUT);
    assert_string_equal(slice_text(text, request->target), "/a/b?c=d");
    assert_string_equal(slice_text(text, request->path), "/a/b?c=d");
    assert_string_equal(slice_text(text, request->host), "example.com:8080");
    assert_int_equal(request->authority.length, 0);
    assert_int_equal(request->minor_version, 1);
    assert_int_equal(request->header_count, COUNT(headers));
    assert_null(request->reason);
    for (size_t i = 0; i < COUNT(headers); i++) {
        assert_string_equal(slice_text(text, request->headers[i].name), headers[i][0]);
        assert_string_equal(slice_text(text, request->headers[i].value), headers[i][1]);
    }
}

static void knows_methods_by_their_exact_names(void **state)
{
    static const struct {
        const char *name;
        enum http1parser_method code;
    } rows[] = {
        { "GET", HTTP1PARSER_GET },        { "HEAD", HTTP1PARSER_HEAD },
        { "POST", HTTP1PARSER_POST },      { "PUT", HTTP1PARSER_PUT },
        { "DELETE", HTTP1PARSER_DELETE },  { "OPTIONS", HTTP1PARSER_OPTIONS },
        { "TRACE", HTTP1PARSER_TRACE },    { "PATCH", HTTP1PARSER_PATCH },
        { "get", HTTP1PARSER_OTHER },      { "Get", HTTP1PARSER_OTHER },
        { "GETS", HTTP1PARSER_OTHER },     { "G", HTTP1PARSER_OTHER },
        { "PROPFIND", HTTP1PARSER_OTHER }, { "PATCHES", HTTP1PARSER_OTHER },
        { "M-SEARCH", HTTP1PARSER_OTHER }, { "!#$%&'*+-.^_`|~", HTTP1PARSER_OTHER },
        { "CONNECTS", HTTP1PARSER_OTHER }, { "TRAC", HTTP1PARSER_OTHER },
    };
    char buffer[256];
    struct outcome outcome;

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct text text = join(buffer, sizeof buffer, "", rows[i].name, " / HTTP/1.1\r\nHost: a\r\n\r\n");
        parse_every_way(text, NULL, &outcome);
        assert_int_equal(outcome.result, text.length);
        assert_string_equal(slice_text(text, outcome.request.method), rows[i].name);
        assert_int_equal(outcome.request.method_code, rows[i].code);
    }
}

static void knows_the_forms_of_targets(void **state)
{
    static const struct {
        struct text text;
        enum http1parser_form form;
        const char *authority, *path;
    } rows[] = {
        { TEXT("GET /x?y HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP1PARSER_ORIGIN, "", "/x?y" },
        { TEXT("GET //x/y HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP1PARSER_ORIGIN, "", "//x/y" },
        { TEXT("GET /http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP1PARSER_ORIGIN, "", "/http://b/" },
        { TEXT("GET http://a/x?y HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP1PARSER_ABSOLUTE, "a", "/x?y" },
        { TEXT("GET HTTPS://A:1/ HTTP/1.1\r\nHost: a:1\r\n\r\n"), HTTP1PARSER_ABSOLUTE, "A:1", "/" },
        { TEXT("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP1PARSER_ABSOLUTE, "a", "" },
        { TEXT("GET http://a?x=/ HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP1PARSER_ABSOLUTE, "a", "?x=/" },
        { TEXT("OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP1PARSER_ABSOLUTE, "a", "" },
        { TEXT("GET http://[::1]:1/x HTTP/1.0\r\n\r\n"), HTTP1PARSER_ABSOLUTE, "[::1]:1", "/x" },
        { TEXT("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP1PARSER_ASTERISK, "", "" },
        { TEXT("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP1PARSER_AUTHORITY, "a:1", "" },
        { TEXT("CONNECT [::1]:443 HTTP/1.0\r\n\r\n"), HTTP1PARSER_AUTHORITY, "[::1]:443", "" },
    };
    struct outcome outcome;

    for (size_t i = 0; i < COUNT(rows); i++) {
        parse_every_way(rows[i].text, NULL, &outcome);
        assert_int_equal(outcome.result, rows[i].text.length);
        assert_int_equal(outcome.request.form, rows[i].form);
        assert_string_equal(slice_text(rows[i].text, outcome.request.authority), rows[i].authority);
        assert_string_equal(slice_text(rows[i].text, outcome.request.path), rows[i].path);
    }
}

enum { NONE = HTTP1PARSER_NO_BODY, LENGTH = HTTP1PARSER_LENGTH, CHUNKED = HTTP1PARSER_CHUNKED };
enum { KEEP = 1, UPGRADE = 2, CONTINUE = 4, UNKNOWN = 8 };
static const struct {
    struct text text;
    unsigned framing;
    uint64_t length;
    unsigned flags;
} semantics[] = {
    { TEXT(GET "\r\n"), NONE, 0, KEEP },
    { TEXT("GET / HTTP/1.0\r\n\r\n"), NONE, 0, 0 },
    /* A15: the method has no say. */
    { TEXT(GET "Content-Length: 5\r\n\r\n"), LENGTH, 5, KEEP },
    { TEXT("HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"), LENGTH, 5, KEEP },
    { TEXT("FOO / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n"), CHUNKED, 0, KEEP },
    { TEXT(POST "\r\n"), NONE, 0, KEEP },
    { TEXT(POST "Content-Length: 0\r\n\r\n"), LENGTH, 0, KEEP },
    { TEXT(POST "CONTENT-LENGTH:\t42 \r\n\r\n"), LENGTH, 42, KEEP },
    { TEXT(POST "Content-Length: 9999999999999999999\r\n\r\n"), LENGTH, 9999999999999999999u, KEEP },
    { TEXT(POST "Transfer-Encoding: chunked\r\n\r\n"), CHUNKED, 0, KEEP },
    { TEXT(POST "Transfer-Encoding:\t CHUNKed \t\r\n\r\n"), CHUNKED, 0, KEEP },
    { TEXT("POST / HTTP/1.0\r\nContent-Length: 7\r\nConnection: keep-alive\r\n\r\n"), LENGTH, 7, KEEP },
    /* A20 */
    { TEXT(POST "Content_Length: 5\r\nTransfer_Encoding: chunked\r\n\r\n"), NONE, 0, KEEP },
    { TEXT(POST "Content-Lengths: 5\r\nXContent-Length: 5\r\n\r\n"), NONE, 0, KEEP },
    { TEXT(GET "Connection: close\r\n\r\n"), NONE, 0, 0 },
    { TEXT(GET "Connection: CLOSE\r\n\r\n"), NONE, 0, 0 },
    { TEXT(GET "Connection: x, ,close ,y\r\n\r\n"), NONE, 0, 0 },
    { TEXT(GET "Connection: keep-alive, close\r\n\r\n"), NONE, 0, 0 },
    { TEXT(GET "Connection: keep-alive\r\nConnection: close\r\n\r\n"), NONE, 0, 0 },
    { TEXT(GET "Connection: closed, xclose, clos, clo-e\r\n\r\n"), NONE, 0, KEEP },
    { TEXT(GET "Connection:\r\n\r\n"), NONE, 0, KEEP },
    { TEXT(GET "Connections: close\r\n\r\n"), NONE, 0, KEEP },
    { TEXT("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), NONE, 0, KEEP },
    { TEXT("GET / HTTP/1.0\r\nConnection: te,\tkeep-alive\t\r\n\r\n"), NONE, 0, KEEP },
    { TEXT("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n"), NONE, 0, 0 },
    { TEXT("GET / HTTP/1.0\r\nKeep-Alive: 5\r\n\r\n"), NONE, 0, 0 },
    { TEXT(GET "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n"), NONE, 0, KEEP | UPGRADE },
    { TEXT(GET "Connection: keep-alive, UPGRADE\r\nupgrade: websocket\r\n\r\n"), NONE, 0, KEEP | UPGRADE },
    { TEXT(GET "Upgrade: a\r\nConnection: upgrade\r\nContent-Length: 0\r\n\r\n"), LENGTH, 0, KEEP | UPGRADE },
    { TEXT(GET "Upgrade: websocket\r\n\r\n"), NONE, 0, KEEP },
    { TEXT(GET "Connection: upgrade\r\n\r\n"), NONE, 0, KEEP },
    { TEXT(GET "Upgrade: \r\nConnection: upgrade\r\n\r\n"), NONE, 0, KEEP },
    /* A21 */
    { TEXT("GET / HTTP/1.0\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"), NONE, 0, 0 },
    { TEXT(POST "Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 1\r\n\r\n"), LENGTH, 1, KEEP },
    { TEXT(POST "Upgrade: h2c\r\nConnection: Upgrade\r\nTransfer-Encoding: chunked\r\n\r\n"), CHUNKED, 0, KEEP },
    /* A22 */
    { TEXT(POST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"), LENGTH, 5, KEEP | CONTINUE },
    { TEXT(POST "Expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n\r\n"), CHUNKED, 0, KEEP | CONTINUE },
    { TEXT(POST "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n"), LENGTH, 0, KEEP },
    { TEXT(GET "Expect: 100-continue\r\n\r\n"), NONE, 0, KEEP },
    { TEXT("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"), LENGTH, 5, 0 },
    { TEXT(POST "Expect: x\r\nContent-Length: 5\r\n\r\n"), LENGTH, 5, KEEP | UNKNOWN },
    { TEXT(POST "Expect: 100-continue, x\r\nContent-Length: 5\r\n\r\n"), LENGTH, 5, KEEP | UNKNOWN },
    { TEXT(POST "Expect: 200-continue\r\n\r\n"), NONE, 0, KEEP | UNKNOWN },
    { TEXT(POST "Expect: 100-continue\r\nExpect: x\r\nContent-Length: 5\r\n\r\n"), LENGTH, 5,
      KEEP | CONTINUE | UNKNOWN },
    { TEXT(GET "Expect:\r\n\r\n"), NONE, 0, KEEP | UNKNOWN },
};

static void decides_on_framing_and_connection(void **state)
{
    struct outcome outcome;
    const struct http1parser_request *request = &outcome.request;

    for (size_t i = 0; i < COUNT(semantics); i++) {
        parse_every_way(semantics[i].text, NULL, &outcome);
        assert_int_equal(outcome.result, semantics[i].text.length);
        unsigned flags = (request->keep_alive ? KEEP : 0) | (request->upgrade ? UPGRADE : 0) |
                         (request->expect_continue ? CONTINUE : 0) | (request->expect_unknown ? UNKNOWN : 0);
        if (request->framing != semantics[i].framing || flags != semantics[i].flags)
            print_error("row %zu [%s]\n", i, semantics[i].text.bytes);
        assert_int_equal(request->framing, semantics[i].framing);
        assert_int_equal(request->content_length, semantics[i].length);
        assert_int_equal(flags, semantics[i].flags);
    }
}

/* RFC 9112 2.2; Tornado: test_http10_keepalive_extra_crlf */
static void skips_one_empty_line_before_the_request_line(void **state)
{
    static const struct text accepted[] = { TEXT("\r\n" GET "\r\n"), TEXT("\r\nGET / HTTP/1.0\r\n\r\n") };
    static const struct text refused[] = { TEXT("\r\n\r\n"),      TEXT("\r\n\r\n" GET "\r\n"), TEXT("\n" GET "\r\n"),
                                           TEXT("\r" GET "\r\n"), TEXT(" \r\n" GET "\r\n"),    TEXT("\r\n\n") };
    struct outcome outcome;

    ASSERT_RESULTS(accepted, 0);
    ASSERT_RESULTS(refused, -400);
    parse_whole(accepted[0], NULL, &outcome);
    assert_int_equal(outcome.request.method.offset, 2);
    assert_int_equal(outcome.request.header_count, 1);
}

static void leaves_what_follows_the_head(void **state)
{
    static const struct text rows[] = {
        TEXT(GET "\r\n" GET "\r\n"), TEXT(GET "\r\n\r\n"),   TEXT(GET "\r\n\n"),
        TEXT(GET "\r\n\r\r"),        TEXT(GET "\r\n\0\x7f"),
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        assert_result(rows[i], sizeof GET "\r\n" - 1);
}

static void wants_more_of_a_head_that_is_not_whole(void **state)
{
    static const struct text text = TEXT("\r\n" GET "Content-Length: 5\r\nX:\ty\r\n\r\n");
    struct outcome outcome;

    for (size_t length = 0; length < text.length; length++) {
        parse_whole((struct text){ text.bytes, length }, NULL, &outcome);
        assert_int_equal(outcome.result, 0);
    }
}

static void says_what_is_wrong(void **state)
{
    static const struct {
        struct text text;
        const char *reason;
    } rows[] = {
        { TEXT(GET " X: y\r\n\r\n"), "folded header line" },
        { TEXT(GET "X : y\r\n\r\n"), "malformed header name" },
        { TEXT(GET "X: \x01\r\n\r\n"), "control character" },
        { TEXT(GET "X: y\rz\r\n\r\n"), "CR without LF" },
        { TEXT("GET /\r\n\r\n"), "no HTTP version" },
        { TEXT("GET /#\r\n\r\n"), "forbidden byte in the target" },
        { TEXT("GET / HTTP/1.2\r\n\r\n"), "HTTP version not supported" },
        { TEXT("G@T / HTTP/1.1\r\n\r\n\n"), "method is not a token" },
        { TEXT("G@T / HTTP/1.1\r\nX: \x01"), "control character" }, /* before it is known where the head ends */
    };
    struct outcome outcome;

    for (size_t i = 0; i < COUNT(rows); i++) {
        parse_every_way(rows[i].text, NULL, &outcome);
        assert_true(outcome.result < 0);
        assert_string_equal(outcome.request.reason, rows[i].reason);
    }
}

/* Bytes changed at random in a request that has everything; a fixed seed. */
static void does_the_same_with_and_without_vectors(void **state)
{
    static const char original[] =
        "POST http://example.com:80/x?y=z HTTP/1.1\r\nHost: example.com:80\r\nConnection: upgrade, close"
        "\r\nExpect: 100-continue\r\nContent-Length: 123\r\nUpgrade: h2c\r\nX-Long-Name: \ta\tb \r\n\r\n";
    static const struct text bytes = TEXT("\r\n\t\0\x7f :,a0\x80\x1f%[]/#@\"=");
    uint32_t random = 1;
    char changed[sizeof original];

    for (int i = 0; i < 20000; i++) {
        struct outcome vectors;
        memcpy(changed, original, sizeof changed);
        change_bytes(changed, sizeof changed - 1, bytes, 1 + i % 3, &random);
        struct text text = { changed, sizeof changed - 1 };
        parse_whole(text, NULL, &vectors);
        assert_same_when_split(parse_in_words, text, (random >> 4) % text.length, NULL, &vectors);
        assert_same_when_split(parse_in_words, text, text.length, NULL, &vectors);
        assert_same_when_split(http1parser_parse_request, text, (random >> 6) % text.length, NULL, &vectors);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(finds_the_parts_of_a_request),
    cmocka_unit_test(knows_methods_by_their_exact_names),
    cmocka_unit_test(knows_the_forms_of_targets),
    cmocka_unit_test(decides_on_framing_and_connection),
    cmocka_unit_test(skips_one_empty_line_before_the_request_line),
    cmocka_unit_test(leaves_what_follows_the_head),
    cmocka_unit_test(wants_more_of_a_head_that_is_not_whole),
    cmocka_unit_test(says_what_is_wrong),
    cmocka_unit_test(does_the_same_with_and_without_vectors),
};

TESTING_MAIN(tests)
