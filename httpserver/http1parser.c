#include "httpserver/http1parser.h"

#include <string.h>

#include "httpserver/http1bytes.h"
#include "httpserver/http1scan.h"

/* What the fields say of the message itself: noted as they come by, and judged when all are there. */
enum {
    SEEN_HOST = 1,
    SEEN_HOST_AGAIN = 2,
    SEEN_LENGTH = 4, /* Content-Length */
    SEEN_LENGTH_AGAIN = 8,
    SEEN_CODING = 16, /* Transfer-Encoding */
    SEEN_CODING_AGAIN = 32,
    SEEN_CLOSE = 64, /* options of Connection */
    SEEN_KEEP_ALIVE = 128,
    SEEN_UPGRADE = 256,
    SEEN_UPGRADE_TO = 512, /* field Upgrade */
    SEEN_CONTINUE = 1024,  /* field Expect */
    SEEN_UNKNOWN = 2048,   /* the same, with anything else in it */
    SEEN_OF_FRAMING = SEEN_LENGTH | SEEN_LENGTH_AGAIN | SEEN_CODING | SEEN_CODING_AGAIN,
};

/* Goes through bytes that end with CR LF. So no search has to look for the end: the CR is in no class but that of
 * control characters, and there it stops at the latest. */
struct head_parser {
    const uint8_t *bytes;
    size_t end;
    size_t at; /* what is before has been parsed */
    struct http1parser_limits limits;
    struct http1parser_request *request;
    unsigned seen;
    struct http1parser_slice content_length, transfer_encoding;
};

/* What is rare is kept out of the way, here and below, and is given no pointer to the parser: so what that consists of
 * can stay in registers. */
static __attribute__((cold, noinline)) int refuse(struct http1parser_request *request, int status, const char *reason)
{
    request->reason = reason;
    return -status;
}

/* Not the last word on this: what http1scan says is, to which it does not matter where the bytes were split. */
static int leave_to_scan(struct http1parser_request *request)
{
    return refuse(request, 400, "no head within the limits");
}

static struct http1parser_slice slice_of(size_t from, size_t to)
{
    return (struct http1parser_slice){ (uint32_t)from, (uint32_t)(to - from) };
}

HTTP1BYTES_INLINE bool equals_word(const uint8_t *bytes, struct http1parser_slice slice, const char *word)
{
    return http1bytes_is_word(bytes + slice.offset, slice.length, word);
}

static bool is_line_end(const uint8_t *bytes)
{
    return memcmp(bytes, "\r\n", 2) == 0;
}

/* The request line: RFC 9112 3. */

static inline bool is_method(const uint8_t *name, size_t length, const char *method)
{
    return length == strlen(method) && memcmp(name, method, strlen(method)) == 0;
}

static enum http1parser_method known_method(const uint8_t *name, size_t length)
{
    if (is_method(name, length, "GET"))
        return HTTP1PARSER_GET;
    if (is_method(name, length, "POST"))
        return HTTP1PARSER_POST;
    if (is_method(name, length, "HEAD"))
        return HTTP1PARSER_HEAD;
    if (is_method(name, length, "PUT"))
        return HTTP1PARSER_PUT;
    if (is_method(name, length, "DELETE"))
        return HTTP1PARSER_DELETE;
    if (is_method(name, length, "OPTIONS"))
        return HTTP1PARSER_OPTIONS;
    if (is_method(name, length, "PATCH"))
        return HTTP1PARSER_PATCH;
    if (is_method(name, length, "CONNECT"))
        return HTTP1PARSER_CONNECT;
    return is_method(name, length, "TRACE") ? HTTP1PARSER_TRACE : HTTP1PARSER_OTHER;
}

/* method = token, RFC 9110 9.1. Which ones are served is not asked here. Where a second empty line came instead of a
 * request line, that is none, at the first byte, and the CR there no token. */
static int parse_method(struct head_parser *parser)
{
    struct http1parser_request *request = parser->request;
    const uint8_t *name = parser->bytes + parser->at;
    bool is_get = parser->end - parser->at >= 4 && memcmp(name, "GET ", 4) == 0; /* saves most requests the search */
    size_t length = is_get ? 3 : http1bytes_skip(name, 0, HTTP1BYTES_TOKEN);

    if (length == 0 || name[length] != ' ')
        return refuse(request, 400, "method is not a token");
    if (length > HTTP1PARSER_MAX_METHOD)
        return refuse(request, 501, "method too long");
    request->method = slice_of(parser->at, parser->at + length);
    request->method_code = is_get ? HTTP1PARSER_GET : known_method(name, length);
    parser->at += length + 1;
    return 0;
}

/* request-target, RFC 9112 3.2: its bytes, and the space behind it. */
static int parse_target(struct head_parser *parser)
{
    struct http1parser_request *request = parser->request;
    size_t end = http1bytes_skip_target(parser->bytes, parser->at, parser->end);

    if (parser->bytes[end] != ' ')
        return refuse(request, 400, parser->bytes[end] == '\r' ? "no HTTP version" : "forbidden byte in the target");
    request->target = slice_of(parser->at, end);
    if (request->target.length > parser->limits.target)
        return refuse(request, 414, "target too long");
    parser->at = end + 1;
    return 0;
}

/* HTTP-version, RFC 9112 2.3: what is left of the line. One that is well formed and not ours is 505. */
static int parse_version(struct head_parser *parser)
{
    struct http1parser_request *request = parser->request;
    const uint8_t *version = parser->bytes + parser->at;

    if (parser->end - parser->at < 8 + 2 || !is_line_end(version + 8))
        return refuse(request, 400, "malformed HTTP version");
    parser->at += 8 + 2;
    if (memcmp(version, "HTTP/1.1", 8) == 0) {
        request->minor_version = 1;
        return 0;
    }
    if (memcmp(version, "HTTP/1.0", 8) == 0)
        return 0;
    if (memcmp(version, "HTTP/", 5) != 0 || !http1bytes_is_a(version[5], HTTP1BYTES_DIGIT) || version[6] != '.' ||
        !http1bytes_is_a(version[7], HTTP1BYTES_DIGIT))
        return refuse(request, 400, "malformed HTTP version");
    return refuse(request, 505, "HTTP version not supported");
}

/* IP-literal, RFC 3986 3.2.2: the bytes of an IPv6 address in brackets. Nobody resolves it, so the places of the colons
 * are not checked. The position behind it; `at` where there is none. */
static size_t skip_ip_literal(const uint8_t *bytes, size_t at)
{
    size_t end = at + 1;

    if (bytes[at] != '[')
        return at;
    while (http1bytes_is_a(bytes[end], HTTP1BYTES_HEX) || bytes[end] == ':' || bytes[end] == '.')
        end++;
    return bytes[end] == ']' && end - at > sizeof "[:" - 1 ? end + 1 : at;
}

/* reg-name or IPv4address, RFC 3986 3.2.2. */
HTTP1BYTES_INLINE size_t skip_host_name(const uint8_t *bytes, size_t at)
{
    at = http1bytes_skip(bytes, at, HTTP1BYTES_HOST);
    while (bytes[at] == '%' && http1bytes_is_a(bytes[at + 1], HTTP1BYTES_HEX) &&
           http1bytes_is_a(bytes[at + 2], HTTP1BYTES_HEX))
        at = http1bytes_skip(bytes, at + 3, HTTP1BYTES_HOST);
    return at;
}

/* ":" and a port, which unlike in RFC 3986 3.2.3 is there, and can be one: up to 65535. */
static bool is_port(const uint8_t *bytes, size_t at, size_t end)
{
    size_t begin = at + 1;

    if (bytes[at] != ':' || http1bytes_skip(bytes, begin, HTTP1BYTES_DIGIT) != end || begin == end)
        return false;
    return end - begin < 5 || (end - begin == 5 && memcmp(bytes + begin, "65535", 5) <= 0);
}

/* uri-host [ ":" port ], RFC 9110 7.2. Not empty, which no http URI allows (RFC 9110 4.2.1), and no user information
 * (4.2.4). Both skips stop at what follows the slice, a CR, blank, space, "/" or "?", if not before. Inlined for Host,
 * which every request has. */
HTTP1BYTES_INLINE bool is_host(const uint8_t *bytes, struct http1parser_slice slice, bool needs_port)
{
    size_t begin = slice.offset;
    size_t end = begin + slice.length;
    size_t at = skip_host_name(bytes, begin);

    if (at == begin)
        at = skip_ip_literal(bytes, begin);
    if (at == begin)
        return false;
    return at == end ? !needs_port : is_port(bytes, at, end);
}

/* absolute-form, RFC 9112 3.2.2, of the schemes that a server of HTTP can be asked for. */
static __attribute__((cold, noinline)) int parse_absolute_form(const uint8_t *bytes,
                                                               struct http1parser_request *request)
{
    size_t begin = request->target.offset;
    size_t end = begin + request->target.length;
    size_t at = begin;

    while (bytes[at] != ':' && at < end)
        at++;
    struct http1parser_slice scheme = slice_of(begin, at);
    if (end - at < sizeof "://" - 1 || memcmp(bytes + at, "://", 3) != 0 ||
        !(equals_word(bytes, scheme, "http") || equals_word(bytes, scheme, "https")))
        return refuse(request, 400, "target in no known form");
    at += 3;
    begin = at;
    while (at < end && bytes[at] != '/' && bytes[at] != '?')
        at++;
    request->form = HTTP1PARSER_ABSOLUTE;
    request->authority = slice_of(begin, at);
    request->path = slice_of(at, end);
    return is_host(bytes, request->authority, false) ? 0 : refuse(request, 400, "invalid authority in the target");
}

/* authority-form, RFC 9112 3.2.3. */
static __attribute__((cold, noinline)) int parse_authority_form(const uint8_t *bytes,
                                                                struct http1parser_request *request)
{
    request->form = HTTP1PARSER_AUTHORITY;
    request->authority = request->target;
    return is_host(bytes, request->target, true) ? 0 : refuse(request, 400, "CONNECT without host:port");
}

/* The forms of RFC 9112 3.2. CONNECT goes first, as "a:1" could pass for a scheme. An empty
 * target is in none of them. */
static int parse_form(struct head_parser *parser)
{
    struct http1parser_request *request = parser->request;
    uint8_t first = parser->bytes[request->target.offset];

    if (request->method_code == HTTP1PARSER_CONNECT)
        return parse_authority_form(parser->bytes, request);
    if (first == '/') {
        request->path = request->target;
        return 0;
    }
    if (first == '*' && request->target.length == 1 && request->method_code == HTTP1PARSER_OPTIONS) {
        request->form = HTTP1PARSER_ASTERISK;
        return 0;
    }
    return parse_absolute_form(parser->bytes, request);
}

/* request-line = method SP request-target SP HTTP-version CRLF */
static int parse_request_line(struct head_parser *parser)
{
    int status = parse_method(parser);

    if (status == 0)
        status = parse_target(parser);
    if (status == 0)
        status = parse_version(parser);
    if (status == 0)
        status = parse_form(parser);
    return status;
}

/* Header lines: RFC 9112 5. */

static int refuse_name(struct http1parser_request *request, uint8_t first)
{
    if (http1bytes_is_a(first, HTTP1BYTES_BLANK))
        return refuse(request, 400, "folded header line");
    return refuse(request, 400, "malformed header name");
}

/* field-line = field-name ":" OWS field-value OWS, RFC 9112 5. The name is a token with the colon right behind it. */
static int parse_header(struct head_parser *parser, struct http1parser_header *header)
{
    const uint8_t *bytes = parser->bytes;
    size_t name_end = http1bytes_skip_token(bytes, parser->at, parser->end);

    if (name_end == parser->at || bytes[name_end] != ':')
        return refuse_name(parser->request, bytes[parser->at]);
    header->name = slice_of(parser->at, name_end);
    size_t begin = http1bytes_skip(bytes, name_end + 1, HTTP1BYTES_BLANK);
    size_t line_end = http1bytes_skip_text(bytes, begin, parser->end);
    size_t end = line_end;
    if (!is_line_end(bytes + line_end) || line_end - parser->at > parser->limits.line)
        return leave_to_scan(parser->request);
    while (end > begin && http1bytes_is_a(bytes[end - 1], HTTP1BYTES_BLANK))
        end--;
    header->value = slice_of(begin, end);
    parser->at = line_end + 2;
    return 0;
}

/* Connection = #connection-option, RFC 9110 7.6.1. Blanks end an option as commas do; options that are not
 * ours are for others. */
static unsigned read_connection(const uint8_t *bytes, struct http1parser_slice value)
{
    size_t end = value.offset + value.length;
    unsigned seen = 0;

    for (size_t at = value.offset; at < end; at++) {
        size_t begin = at;
        while (at < end && bytes[at] != ',' && !http1bytes_is_a(bytes[at], HTTP1BYTES_BLANK))
            at++;
        struct http1parser_slice option = slice_of(begin, at);
        if (equals_word(bytes, option, "close"))
            seen |= SEEN_CLOSE;
        else if (equals_word(bytes, option, "keep-alive"))
            seen |= SEEN_KEEP_ALIVE;
        else if (equals_word(bytes, option, "upgrade"))
            seen |= SEEN_UPGRADE;
    }
    return seen;
}

/* What is seen again sets the next bit, too. */
static void note_seen(struct head_parser *parser, unsigned what)
{
    parser->seen |= what | (parser->seen & what) << 1;
}

/* Names are compared in full and only letters fold: "Content_Length" is none of these. */
static void note_field(struct head_parser *parser, const struct http1parser_header *header)
{
    switch (header->name.length) {
    case 4:
        if (equals_word(parser->bytes, header->name, "host")) {
            parser->request->host = header->value;
            note_seen(parser, SEEN_HOST);
        }
        break;
    case 6:
        if (equals_word(parser->bytes, header->name, "expect"))
            parser->seen |= equals_word(parser->bytes, header->value, "100-continue") ? SEEN_CONTINUE : SEEN_UNKNOWN;
        break;
    case 7:
        if (equals_word(parser->bytes, header->name, "upgrade") && header->value.length > 0)
            parser->seen |= SEEN_UPGRADE_TO;
        break;
    case 10:
        if (equals_word(parser->bytes, header->name, "connection"))
            parser->seen |= read_connection(parser->bytes, header->value);
        break;
    case 14:
        if (equals_word(parser->bytes, header->name, "content-length")) {
            parser->content_length = header->value;
            note_seen(parser, SEEN_LENGTH);
        }
        break;
    case 17:
        if (equals_word(parser->bytes, header->name, "transfer-encoding")) {
            parser->transfer_encoding = header->value;
            note_seen(parser, SEEN_CODING);
        }
        break;
    }
}

/* *( field-line CRLF ) CRLF. No header is left out: what frames the message and what the application sees is the same
 * list. */
static int parse_headers(struct head_parser *parser)
{
    struct http1parser_request *request = parser->request;
    struct http1parser_header *header = request->headers;
    const struct http1parser_header *room_end = header + parser->limits.headers;

    for (; parser->at < parser->end && !is_line_end(parser->bytes + parser->at); header++) {
        int status = header == room_end ? leave_to_scan(request) : parse_header(parser, header);
        if (status != 0)
            return status;
        note_field(parser, header);
    }
    if (parser->at == parser->end)
        return leave_to_scan(request);
    parser->at += 2;
    request->header_count = (uint32_t)(header - request->headers);
    return 0;
}

/* What the fields mean for the message. */

/* Both are valid hosts, and of the bytes that may be in one only letters differ in no more than the bit 0x20. */
static bool equals_authority(const struct head_parser *parser)
{
    const struct http1parser_request *request = parser->request;
    const uint8_t *host = parser->bytes + request->host.offset;
    const uint8_t *authority = parser->bytes + request->authority.offset;

    if (request->host.length != request->authority.length)
        return false;
    for (uint32_t i = 0; i < request->host.length; i++)
        if ((host[i] | 0x20) != (authority[i] | 0x20))
            return false;
    return true;
}

/* RFC 9112 3.2 and 3.2.2. Where the RFC has a server ignore a Host that differs from the target, that is refused: it
 * is what requests look like that pass one guard as one host and are served as another. */
static int check_host(struct head_parser *parser)
{
    const struct http1parser_request *request = parser->request;

    if ((parser->seen & SEEN_HOST_AGAIN) != 0)
        return refuse(parser->request, 400, "second Host");
    if ((parser->seen & SEEN_HOST) == 0)
        return request->minor_version == 0 ? 0 : refuse(parser->request, 400, "no Host");
    if (!is_host(parser->bytes, request->host, false))
        return refuse(parser->request, 400, "invalid Host");
    if (request->form == HTTP1PARSER_ABSOLUTE && !equals_authority(parser))
        return refuse(parser->request, 400, "Host differs from the target");
    return 0;
}

/* Content-Length = 1*DIGIT, RFC 9110 8.6; up to 19 of them, which always fit, and no leading zeros, which some read as
 * octal. */
static bool read_content_length(const struct head_parser *parser, uint64_t *result)
{
    const uint8_t *digits = parser->bytes + parser->content_length.offset;
    uint32_t length = parser->content_length.length;
    uint64_t value = 0;

    if (length == 0 || length > 19 || (length > 1 && digits[0] == '0'))
        return false;
    if (http1bytes_skip(digits, 0, HTTP1BYTES_DIGIT) != length)
        return false;
    for (uint32_t i = 0; i < length; i++)
        value = value * 10 + (uint64_t)(digits[i] - '0');
    *result = value;
    return true;
}

static bool is_token(const struct head_parser *parser, struct http1parser_slice slice)
{
    return slice.length > 0 &&
           http1bytes_skip(parser->bytes, slice.offset, HTTP1BYTES_TOKEN) == slice.offset + slice.length;
}

/* How the body is framed, RFC 9112 6.3; the method has no say in it.
 *
 *     neither field                            no body
 *     one Content-Length, a number             that many bytes
 *     one Transfer-Encoding, "chunked", 1.1    chunked
 *     both fields, two of one, TE on 1.0       400
 *     Content-Length not a number              400
 *     another coding                           501
 *     Transfer-Encoding not a single token     400 */
static int decide_body(struct head_parser *parser)
{
    struct http1parser_request *request = parser->request;

    unsigned seen = parser->seen & SEEN_OF_FRAMING;

    if (seen == 0)
        return 0;
    if (seen == SEEN_LENGTH) {
        request->framing = HTTP1PARSER_LENGTH;
        return read_content_length(parser, &request->content_length) ? 0
                                                                     : refuse(request, 400, "invalid Content-Length");
    }
    if (seen != SEEN_CODING)
        return refuse(request, 400, "more than one of Content-Length and Transfer-Encoding");
    if (request->minor_version == 0)
        return refuse(parser->request, 400, "Transfer-Encoding in HTTP/1.0");
    if (!is_token(parser, parser->transfer_encoding))
        return refuse(parser->request, 400, "invalid Transfer-Encoding");
    if (!equals_word(parser->bytes, parser->transfer_encoding, "chunked"))
        return refuse(parser->request, 501, "unknown transfer coding");
    request->framing = HTTP1PARSER_CHUNKED;
    return 0;
}

/* Persistence (RFC 9112 9.3), Upgrade (RFC 9110 7.8), Expect (10.1.1). Upgrade and 100-continue are ignored in
 * HTTP/1.0. An upgrade of a request with a body is ignored too: the body would have to be read by one protocol, the
 * rest by the other. */
static void decide_connection(struct head_parser *parser)
{
    struct http1parser_request *request = parser->request;
    unsigned seen = parser->seen;

    request->keep_alive = request->minor_version == 1;
    if (seen < SEEN_CLOSE) /* nothing of what follows */
        return;
    bool has_body = request->framing == HTTP1PARSER_CHUNKED || request->content_length > 0;
    request->expect_unknown = (seen & SEEN_UNKNOWN) != 0;
    if (request->minor_version == 0) {
        request->keep_alive = (seen & (SEEN_KEEP_ALIVE | SEEN_CLOSE)) == SEEN_KEEP_ALIVE;
        return;
    }
    request->keep_alive = (seen & SEEN_CLOSE) == 0;
    request->upgrade = (seen & SEEN_UPGRADE) != 0 && (seen & SEEN_UPGRADE_TO) != 0 && !has_body;
    request->expect_continue = (seen & SEEN_CONTINUE) != 0 && has_body;
}

/* All but what the caller has set, and what is set in any case. */
static void clear_request(struct http1parser_request *request)
{
    request->authority = request->path = request->host = (struct http1parser_slice){ 0 };
    request->content_length = 0;
    request->reason = NULL;
    request->form = HTTP1PARSER_ORIGIN;
    request->framing = HTTP1PARSER_NO_BODY;
    request->minor_version = 0;
    request->upgrade = request->expect_continue = request->expect_unknown = false;
}

/* HTTP-message without its body, RFC 9112 2.1. One empty line may come before it, 2.2. Answers its size. */
static int parse_head(struct head_parser *parser)
{
    clear_request(parser->request);
    parser->at = is_line_end(parser->bytes) ? 2 : 0;
    int status = parse_request_line(parser);
    if (status == 0)
        status = parse_headers(parser);
    if (status == 0)
        status = check_host(parser);
    if (status == 0)
        status = decide_body(parser);
    if (status != 0)
        return status;
    decide_connection(parser);
    return (int)parser->at;
}

static struct http1parser_limits complete_limits(const struct http1parser_limits *given, uint32_t header_capacity)
{
    struct http1parser_limits limits = { 0 };

    if (given != NULL)
        limits = *given;
    if (limits.target == 0)
        limits.target = HTTP1PARSER_MAX_TARGET;
    if (limits.head == 0)
        limits.head = HTTP1PARSER_MAX_HEAD;
    if (limits.line == 0)
        limits.line = HTTP1PARSER_MAX_LINE;
    if (limits.headers == 0)
        limits.headers = HTTP1PARSER_MAX_HEADERS;
    if (limits.headers > header_capacity)
        limits.headers = header_capacity;
    return limits;
}

/* Where a head might end that is parsed before its lines are known: at the end of the bytes, as most heads come whole
 * and with nothing behind, or else at the first empty line. 0: nowhere. */
static size_t likely_end(const uint8_t *bytes, size_t length)
{
    if (length >= sizeof "\r\n\r\n" - 1 && is_line_end(bytes + length - 2))
        return length;
    return http1scan_find_empty_line(bytes, length);
}

/* Parsing has not been the end of it: the status, or 0 if it has not been tried. If it turns out that there is a head,
 * within the limits, the status is its own, whatever came behind: of what is wrong, parsing finds the first. */
static __attribute__((noinline)) int find_and_parse(const uint8_t *bytes, size_t length,
                                                    const struct http1parser_limits *given,
                                                    struct http1parser_scan *scan, struct http1parser_request *request,
                                                    int status)
{
    struct http1parser_limits limits = complete_limits(given, request->header_capacity);
    int size = http1scan_find_end(bytes, length, &limits, scan, &request->reason);

    if (size <= 0)
        return size;
    *scan = (struct http1parser_scan){ 0 };
    return status < 0 ? status : http1parser_parse_request(bytes, (size_t)size, given, scan, request);
}

/* What is accepted at once needs no scan: parsing has looked at every byte up to the end, and at the limits. */
int http1parser_parse_request(const void *bytes, size_t length, const struct http1parser_limits *limits,
                              struct http1parser_scan *scan, struct http1parser_request *request)
{
    struct head_parser parser = { .bytes = bytes, .request = request };
    int size = 0;

    parser.limits = complete_limits(limits, request->header_capacity);
    if (scan->scanned == 0)
        parser.end = likely_end(bytes, length < parser.limits.head ? length : parser.limits.head);
    if (parser.end > 0)
        size = parse_head(&parser);
    return size > 0 ? size : find_and_parse(bytes, length, limits, scan, request, size);
}
