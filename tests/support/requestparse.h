/* Internal: requestparse.h, a request head parsed in every way that its bytes can come, with and without vectors: at
 * once, in two parts, byte by byte, and with bytes behind it. All have to agree. The bytes end at a guard page.
 *
 *     struct outcome outcome;
 *     parse_every_way(text, NULL, &outcome);
 *     assert_int_equal(outcome.result, text.length); */
#ifndef TESTS_SUPPORT_REQUESTPARSE_H
#define TESTS_SUPPORT_REQUESTPARSE_H

#include <stdio.h>
#include <string.h>

#include "httpserver/http1parser.h"
#include "tests/support/guardpage.h"
#include "tests/support/headtext.h"
#include "tests/support/requestwords.h"
#include "tests/support/testing.h"

struct outcome {
    int result;
    struct http1parser_request request;
    struct http1parser_header headers[HTTP1PARSER_MAX_HEADERS];
};

static inline void parse_part(parse_fn *parse, const char *bytes, size_t length,
                              const struct http1parser_limits *limits, struct http1parser_scan *scan,
                              struct outcome *outcome)
{
    outcome->request.headers = outcome->headers;
    outcome->request.header_capacity = HTTP1PARSER_MAX_HEADERS;
    outcome->request.reason = "";
    outcome->result = parse(guardpage_text(bytes, length), length, limits, scan, &outcome->request);
}

static inline void parse_whole(struct text text, const struct http1parser_limits *limits, struct outcome *outcome)
{
    struct http1parser_scan scan = { 0 };

    parse_part(http1parser_parse_request, text.bytes, text.length, limits, &scan, outcome);
    if (outcome->result > 0)
        assert_true(scan.scanned == 0 && scan.line == 0 && scan.headers == 0);
}

static inline void assert_same_request(const struct http1parser_request *a, const struct http1parser_request *b)
{
    assert_same_slice(a->method, b->method);
    assert_same_slice(a->target, b->target);
    assert_same_slice(a->authority, b->authority);
    assert_same_slice(a->path, b->path);
    assert_same_slice(a->host, b->host);
    assert_int_equal(a->content_length, b->content_length);
    assert_int_equal(a->method_code, b->method_code);
    assert_int_equal(a->form, b->form);
    assert_int_equal(a->framing, b->framing);
    assert_int_equal(a->minor_version, b->minor_version);
    assert_int_equal(a->keep_alive, b->keep_alive);
    assert_int_equal(a->upgrade, b->upgrade);
    assert_int_equal(a->expect_continue, b->expect_continue);
    assert_int_equal(a->expect_unknown, b->expect_unknown);
    assert_int_equal(a->header_count, b->header_count);
    assert_same_headers(a->headers, b->headers, a->header_count);
}

static inline void assert_same(const struct outcome *a, const struct outcome *b)
{
    assert_int_equal(a->result, b->result);
    if (a->result < 0)
        assert_string_equal(a->request.reason, b->request.reason);
    if (a->result > 0) {
        assert_null(a->request.reason);
        assert_same_request(&a->request, &b->request);
    }
}

/* First so many bytes, then all. What is known before the rest comes has to be right, too. */
static inline void assert_same_when_split(parse_fn *parse, struct text text, size_t split,
                                          const struct http1parser_limits *limits, const struct outcome *whole)
{
    struct http1parser_scan scan = { 0 };
    struct outcome part;

    parse_part(parse, text.bytes, split, limits, &scan, &part);
    if (part.result == 0)
        parse_part(parse, text.bytes, text.length, limits, &scan, &part);
    assert_same(&part, whole);
}

/* No byte is scanned again but a CR whose LF was not there. */
static inline void assert_same_byte_by_byte(parse_fn *parse, struct text text, const struct http1parser_limits *limits,
                                            const struct outcome *whole)
{
    struct http1parser_scan scan = { 0 };
    struct outcome part = { 0 };

    for (size_t length = 0; part.result == 0 && length <= text.length; length++) {
        parse_part(parse, text.bytes, length, limits, &scan, &part);
        assert_true(part.result != 0 || (scan.scanned <= length && scan.scanned + 1 >= length));
    }
    assert_same(&part, whole);
}

/* Nor does it change what follows: a byte behind what is accepted or refused, or none behind a head. */
static inline void assert_same_whatever_follows(parse_fn *parse, struct text text,
                                                const struct http1parser_limits *limits, const struct outcome *whole)
{
    static char longer[GUARDPAGE_ROOM];
    struct http1parser_scan scan = { 0 };
    struct outcome other;

    if (whole->result == 0)
        return;
    memcpy(longer, text.bytes, text.length);
    longer[text.length] = 'x';
    parse_part(parse, longer, text.length + 1, limits, &scan, &other);
    assert_same(&other, whole);
    if (whole->result < 0)
        return;
    parse_part(parse, text.bytes, (size_t)whole->result, limits, &scan, &other);
    assert_same(&other, whole);
}

/* Every way to take the bytes has the same outcome. */
static inline void parse_every_way(struct text text, const struct http1parser_limits *limits, struct outcome *whole)
{
    static parse_fn *const parsers[] = { http1parser_parse_request, parse_in_words };

    parse_whole(text, limits, whole);
    for (size_t i = 0; i < COUNT(parsers); i++) {
        for (size_t split = 0; split <= text.length; split++)
            assert_same_when_split(parsers[i], text, split, limits, whole);
        assert_same_byte_by_byte(parsers[i], text, limits, whole);
        assert_same_whatever_follows(parsers[i], text, limits, whole);
    }
}

static inline void assert_result(struct text text, int result)
{
    static struct outcome outcome;

    parse_every_way(text, NULL, &outcome);
    if (outcome.result != result)
        print_error("[%.*s]\n", (int)text.length, text.bytes);
    assert_int_equal(outcome.result, result);
    assert_true(result >= 0 || outcome.request.reason[0] != '\0');
}

static inline void assert_results(const struct text *texts, size_t count, int result)
{
    for (size_t i = 0; i < count; i++)
        assert_result(texts[i], result != 0 ? result : (int)texts[i].length);
}

/* Every row is refused with this status, or (0) accepted to its last byte. */
#define ASSERT_RESULTS(texts, result) assert_results(texts, COUNT(texts), result)

static inline struct text join(char *buffer, size_t size, const char *before, const char *value, const char *after)
{
    int length = snprintf(buffer, size, "%s%s%s", before, value, after);

    assert_true(length > 0 && (size_t)length < size);
    return (struct text){ buffer, (size_t)length };
}

static inline void assert_value_result(const char *before, const char *value, const char *after, int result)
{
    char buffer[1024];
    struct text text = join(buffer, sizeof buffer, before, value, after);

    assert_result(text, result != 0 ? result : (int)text.length);
}

#define GET  "GET / HTTP/1.1\r\nHost: a\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\n"

#endif
