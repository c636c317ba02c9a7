/* http1parser with http1scan. The first bytes of the input are limits and the place of a split.
 *
 * What has to hold: every way to take the bytes has the same outcome, with and without vectors, and whatever follows;
 * all slices lie in the head and say what they claim; limits are kept. */
#include <stdlib.h>
#include <string.h>

#include "httpserver/http1parser.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/requestwords.h"

enum { CAPACITY = 20, SETTINGS = 6 };

struct outcome {
    int result;
    struct http1parser_request request;
    struct http1parser_header headers[CAPACITY];
};

/* A copy of its own, so that no byte behind it can be read unseen. */
static int parse_copy(parse_fn *parse, const uint8_t *bytes, size_t length, const struct http1parser_limits *limits,
                      struct http1parser_scan *scan, struct outcome *outcome)
{
    uint8_t *copy = malloc(length + (length == 0));

    require(copy != NULL);
    memcpy(copy, bytes, length);
    outcome->request.headers = outcome->headers;
    outcome->request.header_capacity = CAPACITY;
    outcome->request.reason = NULL;
    outcome->result = parse(copy, length, limits, scan, &outcome->request);
    free(copy);
    return outcome->result;
}

static bool is_same_slice(struct http1parser_slice a, struct http1parser_slice b)
{
    return a.offset == b.offset && a.length == b.length;
}

static void require_same_request(const struct http1parser_request *a, const struct http1parser_request *b)
{
    require(is_same_slice(a->method, b->method) && is_same_slice(a->target, b->target));
    require(is_same_slice(a->authority, b->authority) && is_same_slice(a->path, b->path));
    require(is_same_slice(a->host, b->host) && a->content_length == b->content_length);
    require(a->method_code == b->method_code && a->form == b->form && a->framing == b->framing);
    require(a->minor_version == b->minor_version && a->keep_alive == b->keep_alive && a->upgrade == b->upgrade);
    require(a->expect_continue == b->expect_continue && a->expect_unknown == b->expect_unknown);
    require(a->header_count == b->header_count);
    for (uint32_t i = 0; i < a->header_count; i++)
        require(is_same_slice(a->headers[i].name, b->headers[i].name) &&
                is_same_slice(a->headers[i].value, b->headers[i].value));
}

static void require_same(const struct outcome *a, const struct outcome *b)
{
    require(a->result == b->result);
    if (a->result < 0)
        require(a->request.reason != NULL && strcmp(a->request.reason, b->request.reason) == 0);
    if (a->result > 0)
        require_same_request(&a->request, &b->request);
}

/* In pieces of so many bytes, the first one shorter or longer. */
static void require_same_in_pieces(parse_fn *parse, const uint8_t *bytes, size_t length, size_t first, size_t step,
                                   const struct http1parser_limits *limits, const struct outcome *whole)
{
    struct http1parser_scan scan = { 0 };
    struct outcome part;
    size_t given = first < length ? first : length;

    while (parse_copy(parse, bytes, given, limits, &scan, &part) == 0 && given < length) {
        require(scan.scanned <= given && scan.scanned + 1 >= given);
        given = length - given > step ? given + step : length;
    }
    require_same(&part, whole);
}

/* With one more byte behind what was accepted or refused, and without what is behind a head. */
static void require_same_whatever_follows(parse_fn *parse, const uint8_t *bytes, size_t length,
                                          const struct http1parser_limits *limits, const struct outcome *whole)
{
    struct http1parser_scan scan = { 0 };
    struct outcome other;
    uint8_t *longer = malloc(length + 1);

    require(longer != NULL);
    memcpy(longer, bytes, length);
    longer[length] = 'x';
    if (whole->result != 0) {
        parse_copy(parse, longer, length + 1, limits, &scan, &other);
        require_same(&other, whole);
    }
    if (whole->result > 0) {
        parse_copy(parse, bytes, (size_t)whole->result, limits, &scan, &other);
        require_same(&other, whole);
    }
    free(longer);
}

static void require_inside(struct http1parser_slice slice, int size)
{
    require(slice.offset <= (uint32_t)size && slice.length <= (uint32_t)size - slice.offset);
}

static bool has_control(const uint8_t *bytes, struct http1parser_slice slice)
{
    for (uint32_t i = 0; i < slice.length; i++)
        if ((bytes[slice.offset + i] < 0x20 && bytes[slice.offset + i] != '\t') || bytes[slice.offset + i] == 0x7f)
            return true;
    return false;
}

static void require_headers(const uint8_t *bytes, const struct outcome *outcome)
{
    const struct http1parser_request *request = &outcome->request;

    for (uint32_t i = 0; i < request->header_count; i++) {
        const struct http1parser_header *header = &request->headers[i];
        require_inside(header->name, outcome->result);
        require_inside(header->value, outcome->result);
        require(header->name.length > 0 && bytes[header->name.offset + header->name.length] == ':');
        require(!has_control(bytes, header->name) && !has_control(bytes, header->value));
        require(header->name.offset + header->name.length < header->value.offset);
        require(i == 0 || header->name.offset > header[-1].value.offset + header[-1].value.length);
    }
}

static void require_sound(const uint8_t *bytes, const struct outcome *outcome, const struct http1parser_limits *limits)
{
    const struct http1parser_request *request = &outcome->request;
    bool has_body = request->framing == HTTP1PARSER_CHUNKED || request->content_length > 0;

    require((uint32_t)outcome->result <= limits->head && memcmp(bytes + outcome->result - 4, "\r\n\r\n", 4) == 0);
    require_inside(request->method, outcome->result);
    require_inside(request->target, outcome->result);
    require_inside(request->authority, outcome->result);
    require_inside(request->path, outcome->result);
    require_inside(request->host, outcome->result);
    require(request->method.length > 0 && request->method.length <= HTTP1PARSER_MAX_METHOD);
    require(request->target.length > 0 && request->target.length <= limits->target);
    require(request->header_count <= CAPACITY && request->header_count <= limits->headers);
    require(request->minor_version == 0 || (request->minor_version == 1 && request->host.length > 0));
    require(request->content_length == 0 || request->framing == HTTP1PARSER_LENGTH);
    require(request->content_length <= 9999999999999999999u);
    require(request->framing != HTTP1PARSER_CHUNKED || request->minor_version == 1);
    require(!request->upgrade || (request->minor_version == 1 && !has_body));
    require(!request->expect_continue || (request->minor_version == 1 && has_body));
    require_headers(bytes, outcome);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http1parser_scan scan = { 0 };
    struct outcome whole;

    if (size < SETTINGS)
        return 0;
    const struct http1parser_limits limits = { .target = 1 + data[0] * 32u,
                                               .head = 16 + data[1] * 32u,
                                               .line = 1 + data[2] * 32u,
                                               .headers = 1 + data[3] % (CAPACITY + 5u) };
    const uint8_t *bytes = data + SETTINGS;
    size_t length = size - SETTINGS;
    size_t first = data[4] * (length + 1) / 256;

    parse_copy(http1parser_parse_request, bytes, length, &limits, &scan, &whole);
    if (whole.result > 0)
        require_sound(bytes, &whole, &limits);
    require_same_in_pieces(http1parser_parse_request, bytes, length, first, length, &limits, &whole);
    require_same_in_pieces(http1parser_parse_request, bytes, length, first, 1 + data[5] % 64u, &limits, &whole);
    require_same_whatever_follows(http1parser_parse_request, bytes, length, &limits, &whole);
    require_same_whatever_follows(parse_in_words, bytes, length, &limits, &whole);
    require_same_in_pieces(parse_in_words, bytes, length, length, 1, &limits, &whole);
    require_same_in_pieces(parse_in_words, bytes, length, first, 1 + data[5] % 32u, &limits, &whole);
    return 0;
}
