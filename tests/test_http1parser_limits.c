/* The limits of http1parser, and that what is hopeless is refused before it is whole. */
#include "httpserver/http1parser.h"

#include <stdio.h>
#include <string.h>

#include "httpserver/http1parser.h"
#include "tests/support/guardpage.h"
#include "tests/support/requestparse.h"
#include "tests/support/testing.h"

/* Where a text of many bytes is refused, in steps. */
static void assert_dripping_result(struct text text, const struct http1parser_limits *limits, int result)
{
    static struct outcome outcome;
    struct http1parser_scan scan = { 0 };

    outcome.result = 0;
    for (size_t length = 0; outcome.result == 0 && length < text.length;) {
        length = length + 61 < text.length ? length + 61 : text.length;
        parse_part(http1parser_parse_request, text.bytes, length, limits, &scan, &outcome);
    }
    assert_int_equal(outcome.result, result);
}

static void assert_limit(struct text text, const struct http1parser_limits *limits, int result)
{
    struct outcome outcome;

    if (result > 0)
        result = (int)text.length;
    parse_whole(text, limits, &outcome);
    assert_int_equal(outcome.result, result);
    if (text.length < 600)
        parse_every_way(text, limits, &outcome);
    assert_dripping_result(text, limits, result);
}

static void limits_the_target(void **state)
{
    static const char end[] = " HTTP/1.1\r\nHost: a\r\n\r\n";
    const struct http1parser_limits ten = { .target = 10 };

    assert_limit(padded("GET /", 8190, end), NULL, 1);
    assert_limit(padded("GET /", 8191, end), NULL, 1);
    assert_limit(padded("GET /", 8192, end), NULL, -414);
    assert_limit(padded("GET /", 20000, end), NULL, -414);
    assert_limit(padded("GET /", 8, end), &ten, 1);
    assert_limit(padded("GET /", 9, end), &ten, 1);
    assert_limit(padded("GET /", 10, end), &ten, -414);
    assert_limit(padded("GET /", 100, end), &ten, -414);
    assert_limit(padded("\r\nGET /", 9, end), &ten, 1);
    assert_limit(padded("\r\nGET /", 10, end), &ten, -414);
}

static void limits_the_method(void **state)
{
    static const char end[] = " / HTTP/1.1\r\nHost: a\r\n\r\n";

    assert_limit(padded("", 31, end), NULL, 1);
    assert_limit(padded("", 32, end), NULL, 1);
    assert_limit(padded("", 33, end), NULL, -501);
    assert_limit(padded("", 9000, end), NULL, -414);
}

static void limits_header_lines(void **state)
{
    const struct http1parser_limits twenty = { .line = 20 };

    assert_limit(padded(GET "X: ", 8192 - 4, "\r\n\r\n"), NULL, 1);
    assert_limit(padded(GET "X: ", 8192 - 3, "\r\n\r\n"), NULL, 1);
    assert_limit(padded(GET "X: ", 8192 - 2, "\r\n\r\n"), NULL, -431);
    assert_limit(padded(GET, 8192, ":\r\n\r\n"), NULL, -431);
    assert_limit(padded(GET "X: ", 16, "\r\n\r\n"), &twenty, 1);
    assert_limit(padded(GET "X: ", 17, "\r\n\r\n"), &twenty, 1);
    assert_limit(padded(GET "X: ", 18, "\r\n\r\n"), &twenty, -431);
    assert_limit(padded(GET "X: ", 300, "\r\n\r\n"), &twenty, -431);
    assert_limit(padded("GET / HTTP/1.1\r\nHost: ", 14, "\r\n\r\n"), &twenty, 1);
    assert_limit(padded("GET / HTTP/1.1\r\nHost: ", 15, "\r\n\r\n"), &twenty, -431);
    /* The line's length counts, however far away the forbidden byte is. */
    assert_limit(padded(GET "X: ", 17, "\n\r\n\r\n"), &twenty, -400);
    assert_limit(padded(GET "X: ", 18, "\n\r\n\r\n"), &twenty, -431);
    assert_limit(padded(GET "X: \t\t", 16, "\n\r\n\r\n"), &twenty, -431);
}

static void limits_the_head(void **state)
{
    const struct http1parser_limits hundred = { .head = 100 };
    const struct http1parser_limits twenty = { .head = 20 };

    assert_limit(head_of(GET, 32767), NULL, 1);
    assert_limit(head_of(GET, 32768), NULL, 1);
    assert_limit(head_of(GET, 32769), NULL, -431);
    assert_limit(head_of(GET, 50000), NULL, -431);
    assert_limit(head_of(GET, 99), &hundred, 1);
    assert_limit(head_of(GET, 100), &hundred, 1);
    assert_limit(head_of(GET, 101), &hundred, -431);
    assert_limit(head_of(GET, 150), &hundred, -431);
    assert_limit(padded("GET /", 2, " HTTP/1.0\r\n\r\n"), &twenty, 1);
    assert_limit(padded("GET /", 3, " HTTP/1.0\r\n\r\n"), &twenty, -431);
    assert_limit(padded("GET /", 4, " HTTP/1.0\r\n\r\n"), &twenty, -431);
    assert_limit(padded("GET /", 5, " HTTP/1.0\r\n\r\n"), &twenty, -414);
    assert_limit(padded("GET /", 100, " HTTP/1.0\r\n\r\n"), &twenty, -414);
}

static struct text head_with(unsigned headers)
{
    static char buffer[GUARDPAGE_ROOM];
    size_t length = sizeof GET - 1;

    memcpy(buffer, GET, length);
    for (unsigned i = 1; i < headers; i++)
        length += (size_t)snprintf(buffer + length, sizeof buffer - length, "X-%u: y\r\n", i);
    memcpy(buffer + length, "\r\n", 3);
    return (struct text){ buffer, length + 2 };
}

/* A18 */
static void limits_the_number_of_headers(void **state)
{
    const struct http1parser_limits three = { .headers = 3 };
    const struct http1parser_limits many = { .headers = 1000 };
    struct http1parser_header headers[3];
    struct http1parser_request request = { .headers = headers, .header_capacity = 2 };
    struct http1parser_scan scan = { 0 };
    struct text text = head_with(3);

    assert_int_equal(http1parser_parse_request(text.bytes, text.length, NULL, &scan, &request), -431);
    request.header_capacity = 0;
    text = head_with(1);
    assert_int_equal(http1parser_parse_request(text.bytes, text.length, NULL, &scan, &request), -431);
    assert_limit(head_with(99), NULL, 1);
    assert_limit(head_with(100), NULL, 1);
    assert_limit(head_with(101), NULL, -431);
    assert_limit(head_with(101), &many, -431); /* what the array holds is a limit, too */
    assert_limit(head_with(2), &three, 1);
    assert_limit(head_with(3), &three, 1);
    assert_limit(head_with(4), &three, -431);
    assert_limit(padded(POST "a: b\r\nc: d\r\nContent-Length: 5\r\n\r\n", 5, ""), &three, -431);
}

static int result_of(struct text text, const struct http1parser_limits *limits)
{
    static struct outcome outcome;

    parse_whole(text, limits, &outcome);
    return outcome.result;
}

static void refuses_the_hopeless_before_it_is_whole(void **state)
{
    static const struct text hopeless[] = {
        TEXT("GET / HTTP/1.1\n"), TEXT("\r\n\r\n"),         TEXT("GET / HTTP/1.1\r\n\rX"), TEXT("\n"), TEXT("G\0"),
        TEXT(GET "X: \x7f"),      TEXT("GET / HTTP/1.1\rH")
    };
    const struct http1parser_limits small = { .target = 10, .head = 100, .line = 20, .headers = 1 };
    const size_t request_line = HTTP1PARSER_MAX_METHOD + 1 + 10 + 1 + 8;

    for (size_t i = 0; i < COUNT(hopeless); i++) {
        assert_result(hopeless[i], -400);
        assert_int_equal(result_of((struct text){ hopeless[i].bytes, hopeless[i].length - 1 }, NULL), 0);
    }
    assert_int_equal(result_of(padded("", request_line, ""), &small), 0);
    assert_int_equal(result_of(padded("", request_line, "\r"), &small), 0);
    assert_int_equal(result_of(padded("", request_line + 1, ""), &small), -414);
    assert_int_equal(result_of(padded(GET, 20, ""), &small), 0);
    assert_int_equal(result_of(padded(GET, 20, "\r"), &small), 0);
    assert_int_equal(result_of(padded(GET, 21, ""), &small), -431);
    assert_int_equal(result_of(padded(GET "X:", 8, "\r"), &small), 0);
    assert_int_equal(result_of(padded(GET "X:", 8, "\r\n"), &small), -431);
    assert_int_equal(result_of((struct text){ head_of(GET, 32768).bytes, 32767 }, NULL), 0);
    assert_int_equal(result_of((struct text){ head_of(GET, 32769).bytes, 32768 }, NULL), -431);
}

/* What is left of work when the bytes come one by one is what the scan says: it goes on where it was. And nothing is
 * parsed: the request is not even cleared. */
static void scans_no_byte_twice_while_bytes_drip_in(void **state)
{
    static struct outcome outcome, whole;
    struct text text = head_of(GET, 32768);
    struct http1parser_scan scan = { 0 };

    parse_whole(text, NULL, &whole);
    outcome.request.headers = outcome.headers;
    outcome.request.header_capacity = HTTP1PARSER_MAX_HEADERS;
    outcome.request.content_length = 77;
    for (size_t length = 0; length < text.length; length++) {
        assert_int_equal(http1parser_parse_request(text.bytes, length, NULL, &scan, &outcome.request), 0);
        assert_int_equal(outcome.request.content_length, 77);
        assert_true(scan.scanned <= length && scan.scanned + 1 >= length);
    }
    outcome.result = http1parser_parse_request(text.bytes, text.length, NULL, &scan, &outcome.request);
    assert_same(&outcome, &whole);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(limits_the_target),
    cmocka_unit_test(limits_the_method),
    cmocka_unit_test(limits_header_lines),
    cmocka_unit_test(limits_the_head),
    cmocka_unit_test(limits_the_number_of_headers),
    cmocka_unit_test(refuses_the_hopeless_before_it_is_whole),
    cmocka_unit_test(scans_no_byte_twice_while_bytes_drip_in),
};

TESTING_MAIN(tests)
