/* http1response with http1scan. The first bytes of the input are limits, the place of a split, and what was asked.
 *
 * What has to hold: every way to take the bytes has the same outcome, with and without vectors, and whatever follows;
 * all slices lie in the head and say what they claim; limits are kept; no body but where one can be; what is kept of
 * the headers is what they are. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "httpserver/http1response.h"
#include "httpserver/httpheaderslayer.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/responsewords.h"

enum { CAPACITY = 20, SETTINGS = 7 };

struct outcome {
    int result;
    struct http1response response;
    struct http1parser_header headers[CAPACITY];
};

/* The same in every call of one run. */
static struct http1parser_limits limits;
static enum http1response_to to;

/* A copy of its own, so that no byte behind it can be read unseen. */
static int parse_copy(parse_fn *parse, const uint8_t *bytes, size_t length, struct http1parser_scan *scan,
                      struct outcome *outcome)
{
    uint8_t *copy = malloc(length + (length == 0));

    require(copy != NULL);
    memcpy(copy, bytes, length);
    outcome->response.headers = outcome->headers;
    outcome->response.header_capacity = CAPACITY;
    outcome->response.problem = NULL;
    outcome->result = parse(copy, length, &limits, scan, to, &outcome->response);
    free(copy);
    return outcome->result;
}

static bool is_same_slice(struct http1parser_slice a, struct http1parser_slice b)
{
    return a.offset == b.offset && a.length == b.length;
}

static void require_same(const struct outcome *a, const struct outcome *b)
{
    const struct http1response *first = &a->response, *second = &b->response;

    require(a->result == b->result);
    if (a->result < 0)
        require(first->problem != NULL && strcmp(first->problem, second->problem) == 0);
    if (a->result <= 0)
        return;
    require(is_same_slice(first->reason, second->reason) && first->content_length == second->content_length);
    require(first->framing == second->framing && first->status == second->status);
    require(first->minor_version == second->minor_version && first->has_length == second->has_length);
    require(first->keep_alive == second->keep_alive && first->header_count == second->header_count);
    for (uint32_t i = 0; i < first->header_count; i++)
        require(is_same_slice(first->headers[i].name, second->headers[i].name) &&
                is_same_slice(first->headers[i].value, second->headers[i].value));
}

/* In pieces of so many bytes, the first one shorter or longer. */
static void require_same_in_pieces(parse_fn *parse, const uint8_t *bytes, size_t length, size_t first, size_t step,
                                   const struct outcome *whole)
{
    struct http1parser_scan scan = { 0 };
    struct outcome part;
    size_t given = first < length ? first : length;

    while (parse_copy(parse, bytes, given, &scan, &part) == 0 && given < length) {
        require(scan.scanned <= given && scan.scanned + 1 >= given);
        given = length - given > step ? given + step : length;
    }
    require_same(&part, whole);
}

/* With one more byte behind what was accepted or refused, and without what is behind a head. */
static void require_same_whatever_follows(parse_fn *parse, const uint8_t *bytes, size_t length,
                                          const struct outcome *whole)
{
    struct http1parser_scan scan = { 0 };
    struct outcome other;
    uint8_t *longer = malloc(length + 1);

    require(longer != NULL);
    memcpy(longer, bytes, length);
    longer[length] = 'x';
    if (whole->result != 0) {
        parse_copy(parse, longer, length + 1, &scan, &other);
        require_same(&other, whole);
    }
    if (whole->result > 0) {
        parse_copy(parse, bytes, (size_t)whole->result, &scan, &other);
        require_same(&other, whole);
    }
    free(longer);
}

static void require_text(const uint8_t *bytes, struct http1parser_slice slice, int size)
{
    require(slice.offset <= (uint32_t)size && slice.length <= (uint32_t)size - slice.offset);
    for (uint32_t i = 0; i < slice.length; i++) {
        uint8_t byte = bytes[slice.offset + i];
        require((byte >= 0x20 || byte == '\t') && byte != 0x7f);
    }
}

static void require_headers(const uint8_t *bytes, const struct outcome *outcome)
{
    const struct http1response *response = &outcome->response;

    require(response->header_count <= CAPACITY && response->header_count <= limits.headers);
    for (uint32_t i = 0; i < response->header_count; i++) {
        const struct http1parser_header *header = &response->headers[i];
        require_text(bytes, header->name, outcome->result);
        require_text(bytes, header->value, outcome->result);
        require(header->name.length > 0 && bytes[header->name.offset + header->name.length] == ':');
        require(header->name.offset + header->name.length < header->value.offset);
        require(i == 0 || header->name.offset > header[-1].value.offset + header[-1].value.length);
    }
}

/* As they are kept: the same as when each is looked at once more. */
static void require_kept(const uint8_t *bytes, const struct http1response *response)
{
    struct httpheaders taken = { 0 }, added = { 0 };

    require(httpheaderslayer_take_parsed(&taken, (const char *)bytes, response->headers, response->header_count) == 0);
    for (uint32_t i = 0; i < response->header_count; i++) {
        struct http1parser_slice name = response->headers[i].name, value = response->headers[i].value;
        require(httpheaders_add_bytes(&added, (const char *)bytes + name.offset, name.length,
                                      (const char *)bytes + value.offset, value.length) == 0);
    }
    require(taken.count == added.count && taken.length == added.length && taken.kinds == added.kinds);
    require(taken.length == 0 || memcmp(taken.text, added.text, added.length) == 0);
    for (uint32_t i = 0; i < added.count; i++)
        require(memcmp(&taken.entries[i], &added.entries[i], sizeof *added.entries) == 0);
    httpheaders_free(&taken);
    httpheaders_free(&added);
}

static void require_framing(const struct http1response *response)
{
    bool has_body = response->framing != HTTP1RESPONSE_NO_BODY;

    require(!has_body || (to != HTTP1RESPONSE_TO_HEAD && response->status >= 200));
    require(!has_body || (response->status != 204 && response->status != 304));
    require(to != HTTP1RESPONSE_TO_CONNECT || response->status / 100 != 2 || (!has_body && !response->keep_alive));
    require(response->framing != HTTP1RESPONSE_UNTIL_CLOSE || !response->keep_alive);
    require(response->framing != HTTP1RESPONSE_CHUNKED || response->minor_version == 1);
    require((response->framing == HTTP1RESPONSE_LENGTH) <= (response->has_length && response->content_length > 0));
    require(response->has_length || response->content_length == 0);
    require(response->content_length <= 9999999999999999999u);
    require(response->status != 101 || !response->keep_alive);
}

static void require_sound(const uint8_t *bytes, const struct outcome *outcome)
{
    const struct http1response *response = &outcome->response;

    require((uint32_t)outcome->result <= limits.head && memcmp(bytes + outcome->result - 4, "\r\n\r\n", 4) == 0);
    require(memcmp(bytes, "HTTP/1.", 7) == 0 && bytes[7] == '0' + response->minor_version);
    require(response->minor_version <= 1 && response->status >= 100 && response->status <= 999);
    require_text(bytes, response->reason, outcome->result);
    require(response->reason.offset + response->reason.length <= limits.line);
    require_headers(bytes, outcome);
    require_kept(bytes, &outcome->response);
    require_framing(response);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http1parser_scan scan = { 0 };
    struct outcome whole;

    if (size < SETTINGS)
        return 0;
    limits = (struct http1parser_limits){ .head = 1 + data[1] * 32u,
                                          .line = 1 + data[2] * 32u,
                                          .headers = 1 + data[3] % (CAPACITY + 5u) };
    to = (enum http1response_to)(data[6] % 3);
    const uint8_t *bytes = data + SETTINGS;
    size_t length = size - SETTINGS;
    size_t first = data[4] * (length + 1) / 256;

    int result = parse_copy(http1response_parse, bytes, length, &scan, &whole);
    require(result >= 0 || result == -EPROTO || result == -EMSGSIZE);
    if (result > 0)
        require_sound(bytes, &whole);
    require_same_in_pieces(http1response_parse, bytes, length, first, length, &whole);
    require_same_in_pieces(http1response_parse, bytes, length, first, 1 + data[5] % 64u, &whole);
    require_same_whatever_follows(http1response_parse, bytes, length, &whole);
    require_same_whatever_follows(parse_in_words, bytes, length, &whole);
    require_same_in_pieces(parse_in_words, bytes, length, length, 1, &whole);
    require_same_in_pieces(parse_in_words, bytes, length, first, 1 + data[5] % 32u, &whole);
    return 0;
}
