#include "httpserver/http1response.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>

#include "tests/support/responseparse.h"

#define OK "HTTP/1.1 200 OK\r\n"

/* What is accepted. */

/* httputil_test:test_parse_response_start_line */
static void finds_the_parts_of_a_response(void **state)
{
    struct text text =
        TEXT("HTTP/1.1 404 Not here, sorry\r\nServer: a/1\r\nX-Empty:\r\nX-Blank: \t \r\nx-TABS: \t a\tb \t \r\n"
             "Set-Cookie: a=b\r\nSet-Cookie: c=d\r\nText:\xc3\xa9 \"q\"\r\n\r\nbody");
    static const char *const headers[][2] = { { "Server", "a/1" },         { "X-Empty", "" },
                                              { "X-Blank", "" },           { "x-TABS", "a\tb" },
                                              { "Set-Cookie", "a=b" },     { "Set-Cookie", "c=d" },
                                              { "Text", "\xc3\xa9 \"q\"" } };
    struct outcome outcome;
    const struct http1response *response = &outcome.response;

    responseparse_every_way(text, HTTP1RESPONSE_TO_OTHER, NULL, &outcome);
    assert_int_equal(outcome.result, text.length - 4);
    assert_int_equal(response->status, 404);
    assert_int_equal(response->minor_version, 1);
    assert_string_equal(slice_text(text, response->reason), "Not here, sorry");
    assert_int_equal(response->header_count, COUNT(headers));
    for (size_t i = 0; i < COUNT(headers); i++) {
        assert_string_equal(slice_text(text, response->headers[i].name), headers[i][0]);
        assert_string_equal(slice_text(text, response->headers[i].value), headers[i][1]);
    }
}

/* RFC 9112 4 */
static void reads_status_lines(void **state)
{
    static const struct {
        struct text text;
        int minor_version, status;
        const char *reason;
    } rows[] = {
        { TEXT(OK "\r\n"), 1, 200, "OK" },
        { TEXT("HTTP/1.0 200 OK\r\n\r\n"), 0, 200, "OK" },
        { TEXT("HTTP/1.1 200 Ok\r\n\r\n"), 1, 200, "Ok" },
        { TEXT("HTTP/1.1 201 OK\r\n\r\n"), 1, 201, "OK" },
        { TEXT("HTTP/1.1 200 OK!\r\n\r\n"), 1, 200, "OK!" },
        { TEXT("HTTP/1.1 100 Continue\r\n\r\n"), 1, 100, "Continue" },
        { TEXT("HTTP/1.1 999 \r\n\r\n"), 1, 999, "" },
        { TEXT("HTTP/1.1 200\r\n\r\n"), 1, 200, "" }, /* not in the grammar, but what many send */
        { TEXT("HTTP/1.1 200  two  blanks \r\n\r\n"), 1, 200, " two  blanks " },
        { TEXT("HTTP/1.1 200 \ta\xe9\xff~\r\n\r\n"), 1, 200, "\ta\xe9\xff~" },
        { TEXT("HTTP/1.1 500 HTTP/1.1 200 OK\r\n\r\n"), 1, 500, "HTTP/1.1 200 OK" },
        { TEXT("HTTP/1.1 207 a reason that is as long as some are, which takes more than one block\r\n\r\n"), 1, 207,
          "a reason that is as long as some are, which takes more than one block" },
    };
    struct outcome outcome;

    for (size_t i = 0; i < COUNT(rows); i++) {
        responseparse_every_way(rows[i].text, HTTP1RESPONSE_TO_OTHER, NULL, &outcome);
        assert_int_equal(outcome.result, rows[i].text.length);
        assert_int_equal(outcome.response.minor_version, rows[i].minor_version);
        assert_int_equal(outcome.response.status, rows[i].status);
        assert_string_equal(slice_text(rows[i].text, outcome.response.reason), rows[i].reason);
        assert_int_equal(outcome.response.header_count, 0);
    }
}

static void leaves_what_follows_the_head(void **state)
{
    static const struct text rows[] = { TEXT(OK "\r\n" OK "\r\n"), TEXT(OK "\r\n\r\n"), TEXT(OK "\r\n\n"),
                                        TEXT(OK "\r\n\r\r"), TEXT(OK "\r\n\0\x7f") };
    struct outcome outcome;

    for (size_t i = 0; i < COUNT(rows); i++) {
        responseparse_every_way(rows[i], HTTP1RESPONSE_TO_OTHER, NULL, &outcome);
        assert_int_equal(outcome.result, sizeof OK "\r\n" - 1);
    }
}

static void wants_more_of_a_head_that_is_not_whole(void **state)
{
    static const char text[] = OK "A: b\r\nContent-Length: 5\r\n\r\n";
    struct outcome outcome;

    for (size_t length = 0; length < sizeof text - 1; length++) {
        responseparse_every_way((struct text){ text, length }, HTTP1RESPONSE_TO_OTHER, NULL, &outcome);
        assert_int_equal(outcome.result, 0);
    }
}

/* What is refused. */

/* A25 */
static void refuses_versions_other_than_1_0_and_1_1(void **state)
{
    static const struct text rows[] = {
        TEXT("http/1.1 200 OK\r\n\r\n"),
        TEXT("HTTP/1.10 200 OK\r\n\r\n"),
        TEXT("HTTP/1.1x 200 OK\r\n\r\n"),
        TEXT("HTTP/2.0 200 OK\r\n\r\n"),
        TEXT("HTTP/2 200 OK\r\n\r\n"),
        TEXT("HTTP/01.1 200 OK\r\n\r\n"),
        TEXT("HTTP/1.2 200 OK\r\n\r\n"),
        TEXT("HTTP/1. 200 OK\r\n\r\n"),
        TEXT("HTTP/0.9 200 OK\r\n\r\n"),
        TEXT("HTTP/4294967295.255 200 OK\r\n\r\n"),
        TEXT("ICY 200 OK\r\n\r\n"),
        TEXT("SSH-2.0-x\r\n"),
        TEXT("<html>"),
        TEXT("\x16\x03\x01"),
        TEXT(" HTTP/1.1 200 OK\r\n\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    };

    ASSERT_RESULTS(rows, -EPROTO);
}

static void refuses_malformed_status_lines(void **state)
{
    static const struct text rows[] = {
        TEXT("HTTP/1.1\r\n\r\n"),
        TEXT("HTTP/1.1 \r\n\r\n"),
        TEXT("HTTP/1.1 20\r\n\r\n"),
        TEXT("HTTP/1.1 20 OK\r\n\r\n"),
        TEXT("HTTP/1.1 2000\r\n\r\n"),
        TEXT("HTTP/1.1 2000 OK\r\n\r\n"),
        TEXT("HTTP/1.1 099 OK\r\n\r\n"),
        TEXT("HTTP/1.1 000 OK\r\n\r\n"),
        TEXT("HTTP/1.1 +20 OK\r\n\r\n"),
        TEXT("HTTP/1.1 -20 OK\r\n\r\n"),
        TEXT("HTTP/1.1 2 0 OK\r\n\r\n"),
        TEXT("HTTP/1.1 0x1 OK\r\n\r\n"),
        TEXT("HTTP/1.1 abc OK\r\n\r\n"),
        TEXT("HTTP/1.1 200OK\r\n\r\n"),
        TEXT("HTTP/1.1 200\tOK\r\n\r\n"),
        TEXT("HTTP/1.1\t200 OK\r\n\r\n"),
        TEXT("HTTP/1.1  200 OK\r\n\r\n"),
        TEXT("HTTP/1.1200 OK\r\n\r\n"),
        /* What comes behind a head does not change what is wrong in it. */
        TEXT("HTTP/1\r\n\r\n" OK "\r\n"),
        TEXT("HTTP/1.\r\n\r\n" OK "\r\n"),
        TEXT("HTTP/1.1\r\n\r\n" OK "\r\n"),
        TEXT("HTTP/1.1 \r\n\r\n" OK "\r\n"),
        TEXT("HTTP/1.1 2\r\n\r\n" OK "\r\n"),
        TEXT("HTTP/1.1 20\r\n\r\n" OK "\r\n"),
        TEXT("\r\n" OK "\r\n"),
        TEXT("\r\n\r\n"),
        TEXT("\r\n"),
    };

    ASSERT_RESULTS(rows, -EPROTO);
}

/* A5, A6 */
static void refuses_malformed_header_lines(void **state)
{
    static const struct text rows[] = {
        TEXT(OK " Folded: first\r\n\r\n"),
        TEXT(OK "\tFolded: first\r\n\r\n"),
        TEXT(OK "A: b\r\n folded\r\n\r\n"),
        TEXT(OK "Transfer-Encoding:\r\n chunked\r\n\r\n"),
        TEXT(OK "Content-Length : 5\r\n\r\n"),
        TEXT(OK "Content-Length\t: 5\r\n\r\n"),
        TEXT(OK "Foo Bar: x\r\n\r\n"),
        TEXT(OK "\xef"
                "oo: x\r\n\r\n"),
        TEXT(OK ":\r\n\r\n"),
        TEXT(OK ": x\r\n\r\n"),
        TEXT(OK "no colon\r\n\r\n"),
        TEXT(OK "nocolon\r\n\r\n"),
        TEXT(OK "(a): b\r\n\r\n"),
        TEXT(OK OK "\r\n"),
    };

    ASSERT_RESULTS(rows, -EPROTO);
}

/* A7, A8 */
static void refuses_anything_but_crlf_as_the_end_of_a_line(void **state)
{
    static const struct text rows[] = {
        TEXT("HTTP/1.1 200 OK\n\n"),
        TEXT("HTTP/1.1 200 OK\nA: b\r\n\r\n"),
        TEXT("HTTP/1.1 200 O\rK\r\n\r\n"),
        TEXT("HTTP/1.1 200 O\0K\r\n\r\n"),
        TEXT("HTTP/1.1 200 O\x7fK\r\n\r\n"),
        TEXT("HTTP/1.1 200\rOK\r\n\r\n"),
        TEXT("HTTP/1.1 200\n\r\n\r\n"),
        TEXT(OK "A: b\n\r\n"),
        TEXT(OK "A: b\r\r\n\r\n"),
        TEXT(OK "A: a\rb: c\r\n\r\n"),
        TEXT(OK "A: a\x00"
                "b\r\n\r\n"),
        TEXT(OK "A: a\x01"
                "b\r\n\r\n"),
        TEXT(OK "A: b\r\n\rXHTTP/1.1 200 OK\r\n\r\n"),
        TEXT(OK "A: b\r\n\n"),
    };

    ASSERT_RESULTS(rows, -EPROTO);
}

static bool may_be_first_digit(int byte)
{
    return byte >= '1' && byte <= '9';
}

static bool may_be_digit(int byte)
{
    return byte >= '0' && byte <= '9';
}

static bool may_be_version(int byte)
{
    return byte == '0' || byte == '1';
}

static bool may_be_behind_status(int byte)
{
    return byte == ' ';
}

static void takes_the_right_bytes_in_each_place(void **state)
{
    static const struct {
        size_t place;
        bool (*may_be)(int byte);
    } rows[] = {
        { 7, may_be_version },   { 9, may_be_first_digit },    { 10, may_be_digit },   { 11, may_be_digit },
        { 13, may_be_in_value }, { 12, may_be_behind_status }, { 20, may_be_in_name }, { 24, may_be_in_value },
    };
    struct text text = TEXT("HTTP/1.1 200 axb\r\nAxxB: xyz\r\n\r\n");
    char bytes[64];

    for (size_t i = 0; i < COUNT(rows); i++) {
        memcpy(bytes, text.bytes, text.length);
        for (int byte = 0; byte < 256; byte++) {
            struct outcome outcome;
            bytes[rows[i].place] = (char)byte;
            responseparse_every_way((struct text){ bytes, text.length }, HTTP1RESPONSE_TO_OTHER, NULL, &outcome);
            if ((outcome.result > 0) != rows[i].may_be(byte))
                print_error("place %zu, byte 0x%02x: %d\n", rows[i].place, (unsigned)byte, outcome.result);
            assert_int_equal(outcome.result, rows[i].may_be(byte) ? (int)text.length : -EPROTO);
        }
    }
}

static void does_not_care_about_the_locale(void **state)
{
    setlocale(LC_ALL, "tr_TR.UTF-8");
    takes_the_right_bytes_in_each_place(state);
    setlocale(LC_ALL, "C");
}

/* Limits: F6. */

/* In steps, too. */
static void assert_limit(struct text text, const struct http1parser_limits *limits, int result)
{
    const struct responseparse_way way = { http1response_parse, HTTP1RESPONSE_TO_OTHER, limits };
    static struct outcome outcome;
    struct http1parser_scan scan = { 0 };

    if (result == 0)
        result = (int)text.length;
    responseparse_whole(text, HTTP1RESPONSE_TO_OTHER, limits, &outcome);
    assert_int_equal(outcome.result, result);
    if (text.length < 600)
        responseparse_every_way(text, HTTP1RESPONSE_TO_OTHER, limits, &outcome);
    outcome.result = 0;
    for (size_t length = 0; outcome.result == 0 && length < text.length;) {
        length = length + 61 < text.length ? length + 61 : text.length;
        responseparse_part(&way, text.bytes, length, &scan, &outcome);
    }
    assert_int_equal(outcome.result, result);
}

static void limits_lines(void **state)
{
    const struct http1parser_limits thirty = { .line = 30 };
    const struct http1parser_limits fourteen = { .line = 14 };

    assert_limit(padded("HTTP/1.1 200 ", 8192 - 13, "\r\n\r\n"), NULL, 0);
    assert_limit(padded("HTTP/1.1 200 ", 8192 - 12, "\r\n\r\n"), NULL, -EMSGSIZE);
    assert_limit(padded("HTTP/1.1 200 ", 100000, "\r\n\r\n"), NULL, -EMSGSIZE);
    assert_limit(padded("HTTP/1.1 200 ", 17, "\r\n\r\n"), &thirty, 0);
    assert_limit(padded("HTTP/1.1 200 ", 18, "\r\n\r\n"), &thirty, -EMSGSIZE);
    assert_limit(padded(OK, 0, "\r\n"), &fourteen, -EMSGSIZE); /* this line goes another way */
    assert_limit(padded(OK "X: ", 8192 - 3, "\r\n\r\n"), NULL, 0);
    assert_limit(padded(OK "X: ", 8192 - 2, "\r\n\r\n"), NULL, -EMSGSIZE);
    assert_limit(padded(OK "X: ", 27, "\r\n\r\n"), &thirty, 0);
    assert_limit(padded(OK "X: ", 28, "\r\n\r\n"), &thirty, -EMSGSIZE);
    assert_limit(padded(OK "X: ", 300, ""), &thirty, -EMSGSIZE);
    /* The line's length counts, however far away the forbidden byte is. */
    assert_limit(padded(OK "X: ", 27, "\n\r\n\r\n"), &thirty, -EPROTO);
    assert_limit(padded(OK "X: ", 28, "\n\r\n\r\n"), &thirty, -EMSGSIZE);
}

static void limits_the_head(void **state)
{
    const struct http1parser_limits hundred = { .head = 100 };

    assert_limit(head_of(OK, 65535), NULL, 0);
    assert_limit(head_of(OK, 65536), NULL, 0);
    assert_limit(head_of(OK, 65537), NULL, -EMSGSIZE);
    assert_limit(head_of(OK, 100000), NULL, -EMSGSIZE);
    assert_limit(head_of(OK, 100), &hundred, 0);
    assert_limit(head_of(OK, 101), &hundred, -EMSGSIZE);
    assert_limit(head_of(OK, 150), &hundred, -EMSGSIZE);
    /* The end of a line at the limit is not the end of a head. */
    assert_limit(padded(OK "X: ", 100 - 22, "\r\nY: z\r\n\r\n"), &hundred, -EMSGSIZE);
}

/* However small the limits are, it does not matter how the bytes come. */
static void keeps_to_limits_smaller_than_a_status_line(void **state)
{
    static const struct text rows[] = { TEXT(OK "\r\n"),      TEXT("HTTX/1.1 200 OK\r\n\r\n"),
                                        TEXT("HTTP/1.1 x\n"), TEXT("HTTP/2"),
                                        TEXT("\r\n\r\n"),     TEXT("\n") };
    struct outcome outcome;

    for (size_t i = 0; i < COUNT(rows); i++)
        for (uint32_t limit = 1; limit < 20; limit++) {
            const struct http1parser_limits head = { .head = limit }, line = { .line = limit };
            responseparse_every_way(rows[i], HTTP1RESPONSE_TO_OTHER, &head, &outcome);
            responseparse_every_way(rows[i], HTTP1RESPONSE_TO_OTHER, &line, &outcome);
        }
}

static struct text head_with(unsigned headers)
{
    static char buffer[GUARDPAGE_ROOM];
    size_t length = sizeof OK - 1;

    memcpy(buffer, OK, length);
    for (unsigned i = 0; i < headers; i++)
        length += (size_t)snprintf(buffer + length, sizeof buffer - length, "X-%u: y\r\n", i);
    memcpy(buffer + length, "\r\n", 3);
    return (struct text){ buffer, length + 2 };
}

/* A18, C5 */
static void limits_the_number_of_headers(void **state)
{
    const struct http1parser_limits three = { .headers = 3 };
    const struct http1parser_limits many = { .headers = 1000 };

    assert_limit(head_with(100), NULL, 0);
    assert_limit(head_with(101), NULL, -EMSGSIZE);
    assert_limit(head_with(101), &many, -EMSGSIZE); /* what the array holds is a limit, too */
    assert_limit(head_with(3), &three, 0);
    assert_limit(head_with(4), &three, -EMSGSIZE);
    assert_limit(padded(OK "a: b\r\nc: d\r\ne: f\r\nContent-Length: 5\r\n\r\n", 5, ""), &three, -EMSGSIZE);
}

static int result_of(struct text text)
{
    static struct outcome outcome;

    responseparse_whole(text, HTTP1RESPONSE_TO_OTHER, NULL, &outcome);
    return outcome.result;
}

/* Also what does not speak HTTP, at the first byte that shows it. */
static void refuses_the_hopeless_before_it_is_whole(void **state)
{
    static const struct text hopeless[] = {
        TEXT("S"),    TEXT("HX"),         TEXT("HTTP/2"), TEXT("HTTP/1\n"), TEXT("HTTP/1.1 200 OK\n"),
        TEXT("\r\n"), TEXT(OK "X: \x7f"), TEXT(OK "\rX"), TEXT("\n"),       TEXT("HTTP/1.1 200\rO"),
    };

    for (size_t i = 0; i < COUNT(hopeless); i++) {
        assert_result(hopeless[i], -EPROTO);
        if (hopeless[i].bytes[0] != '\r')
            assert_int_equal(result_of((struct text){ hopeless[i].bytes, hopeless[i].length - 1 }), 0);
    }
    assert_int_equal(result_of((struct text){ head_of(OK, 65536).bytes, 65535 }), 0);
    assert_int_equal(result_of((struct text){ head_of(OK, 65537).bytes, 65536 }), -EMSGSIZE);
}

/* C1, C7: and nothing is parsed, the response is not even cleared. */
static void scans_no_byte_twice_while_bytes_drip_in(void **state)
{
    static struct outcome outcome, whole;
    struct text text = head_of(OK, 32768);
    struct http1parser_scan scan = { 0 };

    responseparse_whole(text, HTTP1RESPONSE_TO_OTHER, NULL, &whole);
    outcome.response.headers = outcome.headers;
    outcome.response.header_capacity = HTTP1PARSER_MAX_HEADERS;
    outcome.response.content_length = 77;
    for (size_t length = 0; length < text.length; length++) {
        assert_int_equal(
            http1response_parse(text.bytes, length, NULL, &scan, HTTP1RESPONSE_TO_OTHER, &outcome.response), 0);
        assert_int_equal(outcome.response.content_length, 77);
        assert_true(scan.scanned <= length && scan.scanned + 1 >= length);
    }
    outcome.result =
        http1response_parse(text.bytes, text.length, NULL, &scan, HTTP1RESPONSE_TO_OTHER, &outcome.response);
    assert_same(&outcome, &whole);
}

static void says_what_is_wrong(void **state)
{
    const struct http1parser_limits forty = { .line = 40, .head = 100 };
    static const struct {
        struct text text;
        const char *problem;
    } rows[] = {
        { TEXT("220 smtp\r\n"), "no status line" },
        { TEXT("HTTP/1.2 200 OK\r\n\r\n"), "HTTP version not supported" },
        { TEXT("HTTP/1.1 20x OK\r\n\r\n"), "malformed status code" },
        { TEXT("HTTP/1.1 2000\r\n\r\n"), "malformed status code" },
        { TEXT(OK " X: y\r\n\r\n"), "folded header line" },
        { TEXT(OK "X : y\r\n\r\n"), "malformed header name" },
        { TEXT(OK "X: \x01\r\n\r\n"), "control character" },
        { TEXT(OK "X: y\rz\r\n\r\n"), "CR without LF" },
        { TEXT("HTTP/1.1 200 a reason as long as forty bytes are\r\n\r\n"), "status line too long" },
        { TEXT(OK "X: a line of a header of more than forty bytes\r\n\r\n"), "header line too long" },
        { TEXT(OK "Content-Length: 1\r\nContent-Length: 1\r\n\r\n"),
          "more than one of Content-Length and Transfer-Encoding" },
        { TEXT(OK "Transfer-Encoding: gzip\r\n\r\n"), "unknown transfer coding" },
    };
    struct outcome outcome;

    for (size_t i = 0; i < COUNT(rows); i++) {
        responseparse_every_way(rows[i].text, HTTP1RESPONSE_TO_OTHER, &forty, &outcome);
        assert_true(outcome.result < 0);
        assert_string_equal(outcome.response.problem, rows[i].problem);
    }
}

/* Bytes changed at random in a response that has everything; a fixed seed. */
static void does_the_same_with_and_without_vectors(void **state)
{
    static const char original[] = OK "Server: x\r\nConnection: upgrade, close\r\nContent-Length: 123\r\n"
                                      "Transfer-Encodin: chunked\r\nX-Long-Name: \ta\tb \r\n\r\n";
    static const struct text bytes = TEXT("\r\n\t\0\x7f :,a0\x80\x1f%[]g#@\"=");
    static const enum http1response_to tos[] = { HTTP1RESPONSE_TO_OTHER, HTTP1RESPONSE_TO_HEAD,
                                                 HTTP1RESPONSE_TO_CONNECT };
    uint32_t random = 1;
    char changed[sizeof original];

    for (int i = 0; i < 20000; i++) {
        struct outcome vectors;
        memcpy(changed, original, sizeof changed);
        change_bytes(changed, sizeof changed - 1, bytes, 1 + i % 3, &random);
        struct text text = { changed, sizeof changed - 1 };
        const struct responseparse_way in_words = { parse_in_words, tos[i / 3 % 3], NULL };
        const struct responseparse_way in_vectors = { http1response_parse, tos[i / 3 % 3], NULL };
        responseparse_whole(text, tos[i / 3 % 3], NULL, &vectors);
        assert_same_when_split(&in_words, text, (random >> 4) % text.length, &vectors);
        assert_same_when_split(&in_words, text, text.length, &vectors);
        assert_same_when_split(&in_vectors, text, (random >> 6) % text.length, &vectors);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(finds_the_parts_of_a_response),
    cmocka_unit_test(reads_status_lines),
    cmocka_unit_test(leaves_what_follows_the_head),
    cmocka_unit_test(wants_more_of_a_head_that_is_not_whole),
    cmocka_unit_test(refuses_versions_other_than_1_0_and_1_1),
    cmocka_unit_test(refuses_malformed_status_lines),
    cmocka_unit_test(refuses_malformed_header_lines),
    cmocka_unit_test(refuses_anything_but_crlf_as_the_end_of_a_line),
    cmocka_unit_test(takes_the_right_bytes_in_each_place),
    cmocka_unit_test(does_not_care_about_the_locale),
    cmocka_unit_test(limits_lines),
    cmocka_unit_test(limits_the_head),
    cmocka_unit_test(keeps_to_limits_smaller_than_a_status_line),
    cmocka_unit_test(limits_the_number_of_headers),
    cmocka_unit_test(refuses_the_hopeless_before_it_is_whole),
    cmocka_unit_test(scans_no_byte_twice_while_bytes_drip_in),
    cmocka_unit_test(says_what_is_wrong),
    cmocka_unit_test(does_the_same_with_and_without_vectors),
};

TESTING_MAIN(tests)
