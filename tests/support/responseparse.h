/* Internal: responseparse.h, a response head parsed in every way that its bytes can come, with and without vectors: at
 * once, in two parts, byte by byte, and with bytes behind it. All have to agree. The bytes end at a guard page.
 *
 *     struct outcome outcome;
 *     responseparse_every_way(text, HTTP1RESPONSE_TO_OTHER, NULL, &outcome); */
#ifndef TESTS_SUPPORT_RESPONSEPARSE_H
#define TESTS_SUPPORT_RESPONSEPARSE_H

#include <string.h>

#include "httpserver/http1response.h"
#include "tests/support/guardpage.h"
#include "tests/support/headtext.h"
#include "tests/support/responsewords.h"
#include "tests/support/testing.h"

struct outcome {
    int result;
    struct http1response response;
    struct http1parser_header headers[HTTP1PARSER_MAX_HEADERS];
};

/* How every call is made. */
struct responseparse_way {
    parse_fn *parse;
    enum http1response_to to;
    const struct http1parser_limits *limits;
};

static inline void responseparse_part(const struct responseparse_way *way, const char *bytes, size_t length,
                                      struct http1parser_scan *scan, struct outcome *outcome)
{
    outcome->response.headers = outcome->headers;
    outcome->response.header_capacity = HTTP1PARSER_MAX_HEADERS;
    outcome->response.problem = "";
    outcome->response.content_length = 77;
    outcome->response.has_length = outcome->response.keep_alive = true;
    outcome->result = way->parse(guardpage_text(bytes, length), length, way->limits, scan, way->to, &outcome->response);
}

static inline void assert_same(const struct outcome *a, const struct outcome *b)
{
    const struct http1response *first = &a->response, *second = &b->response;

    assert_int_equal(a->result, b->result);
    if (a->result < 0)
        assert_string_equal(first->problem, second->problem);
    if (a->result <= 0)
        return;
    assert_null(first->problem);
    assert_same_slice(first->reason, second->reason);
    assert_int_equal(first->status, second->status);
    assert_int_equal(first->minor_version, second->minor_version);
    assert_int_equal(first->framing, second->framing);
    assert_int_equal(first->content_length, second->content_length);
    assert_int_equal(first->has_length, second->has_length);
    assert_int_equal(first->keep_alive, second->keep_alive);
    assert_int_equal(first->header_count, second->header_count);
    assert_same_headers(first->headers, second->headers, first->header_count);
}

/* First so many bytes, then all. */
static inline void assert_same_when_split(const struct responseparse_way *way, struct text text, size_t split,
                                          const struct outcome *whole)
{
    struct http1parser_scan scan = { 0 };
    struct outcome part;

    responseparse_part(way, text.bytes, split, &scan, &part);
    if (part.result == 0)
        responseparse_part(way, text.bytes, text.length, &scan, &part);
    assert_same(&part, whole);
}

/* No byte is scanned again but a CR whose LF was not there. */
static inline void assert_same_byte_by_byte(const struct responseparse_way *way, struct text text,
                                            const struct outcome *whole)
{
    struct http1parser_scan scan = { 0 };
    struct outcome part = { 0 };

    for (size_t length = 0; part.result == 0 && length <= text.length; length++) {
        responseparse_part(way, text.bytes, length, &scan, &part);
        assert_true(part.result != 0 || (scan.scanned <= length && scan.scanned + 1 >= length));
    }
    assert_same(&part, whole);
}

/* A byte behind what is accepted or refused, or none behind a head. */
static inline void assert_same_whatever_follows(const struct responseparse_way *way, struct text text,
                                                const struct outcome *whole)
{
    static char longer[GUARDPAGE_ROOM];
    struct http1parser_scan scan = { 0 };
    struct outcome other;

    if (whole->result == 0)
        return;
    memcpy(longer, text.bytes, text.length);
    longer[text.length] = 'x';
    responseparse_part(way, longer, text.length + 1, &scan, &other);
    assert_same(&other, whole);
    if (whole->result < 0)
        return;
    responseparse_part(way, text.bytes, (size_t)whole->result, &scan, &other);
    assert_same(&other, whole);
}

static inline void responseparse_whole(struct text text, enum http1response_to to,
                                       const struct http1parser_limits *limits, struct outcome *whole)
{
    const struct responseparse_way way = { http1response_parse, to, limits };
    struct http1parser_scan scan = { 0 };

    responseparse_part(&way, text.bytes, text.length, &scan, whole);
    if (whole->result > 0)
        assert_true(scan.scanned == 0 && scan.line == 0 && scan.headers == 0);
}

static inline void responseparse_every_way(struct text text, enum http1response_to to,
                                           const struct http1parser_limits *limits, struct outcome *whole)
{
    static parse_fn *const parsers[] = { http1response_parse, parse_in_words };

    responseparse_whole(text, to, limits, whole);
    for (size_t i = 0; i < COUNT(parsers); i++) {
        const struct responseparse_way way = { parsers[i], to, limits };
        for (size_t split = 0; split <= text.length; split++)
            assert_same_when_split(&way, text, split, whole);
        assert_same_byte_by_byte(&way, text, whole);
        assert_same_whatever_follows(&way, text, whole);
    }
}

/* Is the text refused with this error, or (0) accepted to its last byte? */
static inline void assert_result(struct text text, int result)
{
    static struct outcome outcome;

    responseparse_every_way(text, HTTP1RESPONSE_TO_OTHER, NULL, &outcome);
    if (outcome.result != (result != 0 ? result : (int)text.length))
        print_error("[%.*s]\n", (int)text.length, text.bytes);
    assert_int_equal(outcome.result, result != 0 ? result : (int)text.length);
    assert_true(outcome.result >= 0 || outcome.response.problem[0] != '\0');
}

static inline void assert_results(const struct text *texts, size_t count, int result)
{
    for (size_t i = 0; i < count; i++)
        assert_result(texts[i], result);
}

#define ASSERT_RESULTS(texts, result) assert_results(texts, COUNT(texts), result)

#endif
