#include "httpserver/http1scan.h"

#include <string.h>

#include "tests/support/guardpage.h"
#include "tests/support/testing.h"
#include "tests/support/text.h"

/* What http1parser refuses because of a scan is in test_http1parser_refusals.c, every way the bytes can be split. */

static const struct http1parser_limits limits = { .target = 100, .head = 1000, .line = 100, .headers = 10 };

static const uint8_t *guarded(const char *bytes, size_t length)
{
    return (const uint8_t *)guardpage_text(bytes, length);
}

static int find_end(struct text text, size_t length, struct http1parser_scan *scan, const char **reason)
{
    return http1scan_find_end(HTTP1SCAN_REQUEST, guarded(text.bytes, length), length, &limits, scan, reason);
}

static void assert_end(struct text text, int result)
{
    for (size_t split = 0; split <= text.length; split++) {
        struct http1parser_scan scan = { 0 };
        const char *reason = NULL;
        int part = find_end(text, split, &scan, &reason);
        if (part == 0)
            part = find_end(text, text.length, &scan, &reason);
        if (part != result)
            print_error("[%s] at %zu\n", text.bytes, split);
        assert_int_equal(part, result);
        assert_int_equal(reason != NULL, result < 0);
    }
}

static void finds_the_first_empty_line_behind_a_line(void **state)
{
    static const struct {
        struct text text;
        int end;
    } rows[] = {
        { TEXT("A\r\n\r\n"), 5 },
        { TEXT("A\r\n\r\nB\r\n\r\n"), 5 },
        { TEXT("\r\nA\r\n\r\n"), 7 },
        { TEXT("\r\n\r\n\r\n"), 4 },
        { TEXT("A\r\nB: c\r\n\r\n\n\0"), 11 },
        { TEXT("A\r\n:\t\xff\r\n\r\n"), 10 },
        { TEXT("a line that is as long as sixty-two bytes, so that CR is last\r\nB: cd\r\n\r\n"), 72 },
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        assert_end(rows[i].text, rows[i].end);
}

static void finds_no_end_where_none_is(void **state)
{
    static const struct text rows[] = {
        TEXT(""), TEXT("\r"), TEXT("\r\n"), TEXT("\r\n\r"), TEXT("A\r\n"), TEXT("A\r\n\r"), TEXT("A\r\nB: c\r\n"),
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        assert_end(rows[i], 0);
}

static void refuses_what_no_head_may_contain(void **state)
{
    static const struct text rows[] = {
        TEXT("A\n\n"), TEXT("A\r\r\n"), TEXT("A\r\nB\0\r\n\r\n"), TEXT("A\x7f\r\n\r\n"), TEXT("\n"), TEXT("\r\n\n"),
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        assert_end(rows[i], -400);
}

static void counts_lines_while_the_end_is_awaited(void **state)
{
    static const struct text text = TEXT("\r\nGET\r\nA: b\r\nC: d\r\nE");
    struct http1parser_scan scan = { 0 };
    const char *reason = NULL;

    assert_int_equal(find_end(text, text.length, &scan, &reason), 0);
    assert_int_equal(scan.scanned, text.length);
    assert_int_equal(scan.line, text.length - 1);
    assert_int_equal(scan.headers, 2);
}

static void looks_at_no_byte_twice(void **state)
{
    static const struct text text = TEXT("\r\nGET\r\nA: b\r\nC: d\r\n\r\n");
    char bytes[64];
    const char *reason = NULL;

    for (size_t split = 2; split < text.length; split++) {
        struct http1parser_scan scan = { 0 };
        assert_int_equal(find_end(text, split, &scan, &reason), 0);
        memcpy(bytes, text.bytes, text.length);
        memset(bytes + 2, 0, scan.scanned - 2);
        assert_int_equal(find_end((struct text){ bytes, text.length }, text.length, &scan, &reason), text.length);
    }
}

/* In bytes of one kind, and of the CR and LF that might pass for one, at every distance from where marks begin. */
static void finds_an_empty_line_anywhere(void **state)
{
    static const char fillers[] = "x\r\n\t";
    char bytes[200];

    for (size_t filler = 0; filler < sizeof fillers - 1; filler++) {
        for (size_t length = 0; length <= sizeof bytes; length++) {
            memset(bytes, fillers[filler], length);
            assert_int_equal(http1scan_find_empty_line(guarded(bytes, length), length), 0);
        }
        for (size_t place = 0; place + 4 <= sizeof bytes; place++) {
            memset(bytes, fillers[filler], sizeof bytes);
            memcpy(bytes + place, "\r\n\r\n", 4);
            for (size_t length = place; length <= sizeof bytes; length++)
                assert_int_equal(http1scan_find_empty_line(guarded(bytes, length), length),
                                 length < place + 4 ? 0 : place + 4);
        }
    }
}

/* Four control characters, one of them another: whoever looks at three of them alone is wrong. */
static void takes_nothing_else_for_an_empty_line(void **state)
{
    static const struct text rows[] = {
        TEXT("A\t\n\r\nB"), TEXT("A\r\t\r\nB"), TEXT("A\r\n\t\nB"),
        TEXT("A\r\n\r\tB"), TEXT("A\r\n\r\t"),  TEXT("A\r\r\n\r\r\n"),
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(http1scan_find_empty_line(guarded(rows[i].bytes, rows[i].length), rows[i].length), 0);
}

static void finds_the_first_of_two_empty_lines(void **state)
{
    static const char bytes[] = "GET /\r\nA: b\r\n\r\nGET /\r\n\r\n";

    assert_int_equal(http1scan_find_empty_line(guarded(bytes, sizeof bytes - 1), sizeof bytes - 1), 15);
}

/* No empty line comes before a status line, and that is as long as other lines may be. */
static void knows_the_first_line_of_a_response(void **state)
{
    static const char empty[] = "\r\nA\r\n\r\n";
    struct http1parser_scan scan = { 0 };
    const char *reason = NULL;
    char line[202];

    assert_int_equal(
        http1scan_find_end(HTTP1SCAN_RESPONSE, guarded(empty, sizeof empty - 1), 7, &limits, &scan, &reason), 2);
    memset(line, 'a', sizeof line);
    for (size_t length = 1; length < sizeof line; length++) {
        scan = (struct http1parser_scan){ 0 };
        int wanted = length <= limits.line ? 0 : -431;
        assert_int_equal(http1scan_find_end(HTTP1SCAN_RESPONSE, guarded(line, length), length, &limits, &scan, &reason),
                         wanted);
    }
    assert_string_equal(reason, "status line too long");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(finds_the_first_empty_line_behind_a_line),
    cmocka_unit_test(finds_no_end_where_none_is),
    cmocka_unit_test(refuses_what_no_head_may_contain),
    cmocka_unit_test(counts_lines_while_the_end_is_awaited),
    cmocka_unit_test(looks_at_no_byte_twice),
    cmocka_unit_test(finds_an_empty_line_anywhere),
    cmocka_unit_test(takes_nothing_else_for_an_empty_line),
    cmocka_unit_test(finds_the_first_of_two_empty_lines),
    cmocka_unit_test(knows_the_first_line_of_a_response),
};

TESTING_MAIN(tests)
