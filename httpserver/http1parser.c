#include "httpserver/http1parser.h"

#include <string.h>

#include "httpserver/http1head.h"

static int refuse(struct http1parser_request *request, int status, const char *reason)
{
    return http1head_refuse(&request->reason, status, reason);
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
static int parse_method(struct http1head *head, struct http1parser_request *request)
{
    const uint8_t *name = head->bytes + head->at;
    bool is_get = head->end - head->at >= 4 && memcmp(name, "GET ", 4) == 0; /* saves most requests the search */
    size_t length = is_get ? 3 : http1bytes_skip(name, 0, HTTP1BYTES_TOKEN);

    if (length == 0 || name[length] != ' ')
        return refuse(request, 400, "method is not a token");
    if (length > HTTP1PARSER_MAX_METHOD)
        return refuse(request, 501, "method too long");
    request->method = http1head_slice(head->at, head->at + length);
    request->method_code = is_get ? HTTP1PARSER_GET : known_method(name, length);
    head->at += length + 1;
    return 0;
}

/* request-target, RFC 9112 3.2: its bytes, and the space behind it. */
static int parse_target(struct http1head *head, struct http1parser_request *request)
{
    size_t end = http1bytes_skip_target(head->bytes, head->at, head->end);

    if (head->bytes[end] != ' ')
        return refuse(request, 400, head->bytes[end] == '\r' ? "no HTTP version" : "forbidden byte in the target");
    request->target = http1head_slice(head->at, end);
    if (request->target.length > head->limits.target)
        return refuse(request, 414, "target too long");
    head->at = end + 1;
    return 0;
}

/* HTTP-version, RFC 9112 2.3: what is left of the line. One that is well formed and not ours is 505. */
static int parse_version(struct http1head *head, struct http1parser_request *request)
{
    const uint8_t *version = head->bytes + head->at;

    if (head->end - head->at < 8 + 2 || !http1head_is_line_end(version + 8))
        return refuse(request, 400, "malformed HTTP version");
    head->at += 8 + 2;
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
static size_t skip_host_name(const uint8_t *bytes, size_t at)
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
 * (4.2.4). Both skips stop at what follows the slice, a CR, blank, space, "/" or "?", if not before. */
static __attribute__((noinline)) bool is_host(const uint8_t *bytes, struct http1parser_slice slice, bool needs_port)
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
    struct http1parser_slice scheme = http1head_slice(begin, at);
    if (end - at < sizeof "://" - 1 || memcmp(bytes + at, "://", 3) != 0 ||
        !(http1head_is_word(bytes, scheme, "http") || http1head_is_word(bytes, scheme, "https")))
        return refuse(request, 400, "target in no known form");
    at += 3;
    begin = at;
    while (at < end && bytes[at] != '/' && bytes[at] != '?')
        at++;
    request->form = HTTP1PARSER_ABSOLUTE;
    request->authority = http1head_slice(begin, at);
    request->path = http1head_slice(at, end);
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

/* The forms of RFC 9112 3.2. CONNECT goes first, as "a:1" could pass for a scheme. An empty target is in none of them.
 */
static int parse_form(struct http1head *head, struct http1parser_request *request)
{
    uint8_t first = head->bytes[request->target.offset];

    if (request->method_code == HTTP1PARSER_CONNECT)
        return parse_authority_form(head->bytes, request);
    if (first == '/') {
        request->path = request->target;
        return 0;
    }
    if (first == '*' && request->target.length == 1 && request->method_code == HTTP1PARSER_OPTIONS) {
        request->form = HTTP1PARSER_ASTERISK;
        return 0;
    }
    return parse_absolute_form(head->bytes, request);
}

/* request-line = method SP request-target SP HTTP-version CRLF */
static int parse_request_line(struct http1head *head, struct http1parser_request *request)
{
    int status = parse_method(head, request);

    if (status == 0)
        status = parse_target(head, request);
    if (status == 0)
        status = parse_version(head, request);
    if (status == 0)
        status = parse_form(head, request);
    return status;
}

/* The line that nearly all requests begin with, and all spell like this: with "Host: ", a host, and nothing around it,
 * all is known when the host has been looked at. Answers how many headers that was: 0 where it has to be parsed as any
 * other line. */
static inline size_t parse_usual_host(struct http1head *head, struct http1parser_request *request)
{
    const uint8_t *bytes = head->bytes;
    size_t begin = head->at + sizeof "Host: " - 1;

    if (begin >= head->end || memcmp(bytes + head->at, "Host: ", sizeof "Host: " - 1) != 0)
        return 0;
    size_t name_end = http1bytes_skip_host(bytes, begin, head->end);
    size_t end = bytes[name_end] == ':' ? http1bytes_skip(bytes, name_end + 1, HTTP1BYTES_DIGIT) : name_end;
    if (name_end == begin || !http1head_is_line_end(bytes + end) || end - head->at > head->limits.line ||
        head->limits.headers == 0 || (end > name_end && !is_port(bytes, name_end, end)))
        return 0;
    request->headers[0].name = http1head_slice(head->at, begin - 2);
    request->headers[0].value = request->host = http1head_slice(begin, end);
    head->seen = HTTP1HEAD_HOST | HTTP1HEAD_HOST_CHECKED;
    head->at = end + 2;
    return 1;
}

/* What the fields mean for the message. */

/* Both are valid hosts, and of the bytes that may be in one only letters differ in no more than the bit 0x20. */
static bool equals_authority(const struct http1head *head, const struct http1parser_request *request)
{
    const uint8_t *host = head->bytes + request->host.offset;
    const uint8_t *authority = head->bytes + request->authority.offset;

    if (request->host.length != request->authority.length)
        return false;
    for (uint32_t i = 0; i < request->host.length; i++)
        if ((host[i] | 0x20) != (authority[i] | 0x20))
            return false;
    return true;
}

/* RFC 9112 3.2 and 3.2.2. Where the RFC has a server ignore a Host that differs from the target, that is refused: it
 * is what requests look like that pass one guard as one host and are served as another. */
static int check_host(const struct http1head *head, struct http1parser_request *request)
{
    if ((head->seen & HTTP1HEAD_HOST_AGAIN) != 0)
        return refuse(request, 400, "second Host");
    if ((head->seen & HTTP1HEAD_HOST) == 0)
        return request->minor_version == 0 ? 0 : refuse(request, 400, "no Host");
    if ((head->seen & HTTP1HEAD_HOST_CHECKED) == 0 && !is_host(head->bytes, request->host, false))
        return refuse(request, 400, "invalid Host");
    if (request->form == HTTP1PARSER_ABSOLUTE && !equals_authority(head, request))
        return refuse(request, 400, "Host differs from the target");
    return 0;
}

/* Persistence (RFC 9112 9.3), Upgrade (RFC 9110 7.8), Expect (10.1.1). Upgrade and 100-continue are ignored in
 * HTTP/1.0. An upgrade of a request with a body is ignored too: the body would have to be read by one protocol, the
 * rest by the other. */
static void decide_connection(const struct http1head *head, struct http1parser_request *request)
{
    unsigned seen = head->seen;

    request->keep_alive = request->minor_version == 1;
    if (seen < HTTP1HEAD_CLOSE) /* nothing of what follows */
        return;
    bool has_body = request->framing == HTTP1PARSER_CHUNKED || request->content_length > 0;
    request->expect_unknown = (seen & HTTP1HEAD_UNKNOWN) != 0;
    request->keep_alive = http1head_keeps_alive(head, request->minor_version);
    if (request->minor_version == 0)
        return;
    request->upgrade = (seen & HTTP1HEAD_UPGRADE) != 0 && (seen & HTTP1HEAD_UPGRADE_TO) != 0 && !has_body;
    request->expect_continue = (seen & HTTP1HEAD_CONTINUE) != 0 && has_body;
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
static int parse_head(struct http1head *head, struct http1parser_request *request)
{
    clear_request(request);
    head->at = http1head_is_line_end(head->bytes) ? 2 : 0;
    int result = parse_request_line(head, request);
    if (result == 0)
        result =
            http1head_parse_more_headers(head, request->headers, parse_usual_host(head, request), &request->reason);
    if (result < 0)
        return result;
    request->header_count = (uint32_t)result;
    int status = check_host(head, request);
    if (status == 0)
        status = http1head_decide_framing(head, request->minor_version, &request->framing, &request->content_length,
                                          &request->reason);
    if (status != 0)
        return status;
    decide_connection(head, request);
    return (int)head->at;
}

/* Parsing has not been the end of it: the status, or 0 if it has not been tried. If it turns out that there is a head,
 * within the limits, the status is its own, whatever came behind: of what is wrong, parsing finds the first. */
static __attribute__((noinline)) int find_and_parse(const uint8_t *bytes, size_t length,
                                                    const struct http1parser_limits *given,
                                                    struct http1parser_scan *scan, struct http1parser_request *request,
                                                    int status)
{
    struct http1parser_limits limits = http1head_complete_limits(given, HTTP1PARSER_MAX_HEAD, request->header_capacity);
    int size = http1scan_find_end(HTTP1SCAN_REQUEST, bytes, length, &limits, scan, &request->reason);

    if (size <= 0)
        return size;
    *scan = (struct http1parser_scan){ 0 };
    return status < 0 ? status : http1parser_parse_request(bytes, (size_t)size, given, scan, request);
}

/* What is accepted at once needs no scan: parsing has looked at every byte up to the end, and at the limits. */
int http1parser_parse_request(const void *bytes, size_t length, const struct http1parser_limits *limits,
                              struct http1parser_scan *scan, struct http1parser_request *request)
{
    struct http1head head = { .bytes = bytes, .host = &request->host };
    int size = 0;

    head.limits = http1head_complete_limits(limits, HTTP1PARSER_MAX_HEAD, request->header_capacity);
    if (scan->scanned == 0)
        head.end = http1head_likely_end(bytes, length < head.limits.head ? length : head.limits.head);
    if (head.end > 0)
        size = parse_head(&head, request);
    return size > 0 ? size : find_and_parse(bytes, length, limits, scan, request, size);
}
