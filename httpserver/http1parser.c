#include "httpserver/http1parser.h"

#include <string.h>

#if defined(__SSE2__) && !defined(HTTP1PARSER_NO_VECTORS)
#include <emmintrin.h>
#endif

/* What the client wishes of the connection. */
enum {
    WISH_CLOSE = 1, /* options of Connection */
    WISH_KEEP_ALIVE = 2,
    WISH_UPGRADE = 4,
    WISH_UPGRADE_TO = 8, /* field Upgrade */
    WISH_CONTINUE = 16,  /* field Expect */
    WISH_UNKNOWN = 32,   /* the same, with anything else in it */
};

struct head_parser {
    const uint8_t *bytes;
    struct http1parser_request *request;
    struct http1parser_limits limits;
    struct http1parser_scan scan;
    struct http1parser_slice request_line;

    /* Fields that concern the message itself, noted as they come by and judged when all are there. */
    unsigned hosts, content_lengths, transfer_encodings;
    struct http1parser_slice content_length, transfer_encoding;
    unsigned wishes;
};

#define EACH_BYTE(byte) (0x0101010101010101u * (uint64_t)(byte))

static int refuse(struct head_parser *parser, int status, const char *reason)
{
    parser->request->reason = reason;
    return -status;
}

static struct http1parser_slice slice_of(size_t from, size_t to)
{
    return (struct http1parser_slice){ (uint32_t)from, (uint32_t)(to - from) };
}

/* What a byte may be part of. Not ctype: its answers depend on the locale. */
enum {
    CLASS_TOKEN = 1,  /* tchar, RFC 9110 5.6.2 */
    CLASS_TARGET = 2, /* VCHAR but "#", which no request target has, RFC 9112 3.2 */
    CLASS_HOST = 4,   /* unreserved and sub-delims, RFC 3986 2, but no comma: a list of hosts is not a host */
    CLASS_HEX = 8,
    CLASS_DIGIT = 16,
};

/* clang-format off */
#define T CLASS_TOKEN
#define V CLASS_TARGET
#define W (CLASS_TOKEN | CLASS_TARGET)
#define H (CLASS_TARGET | CLASS_HOST)
#define A (CLASS_TOKEN | CLASS_TARGET | CLASS_HOST)
#define X (A | CLASS_HEX)
#define D (A | CLASS_HEX | CLASS_DIGIT)
static const uint8_t classes[256] = {
    [0x20] = /*  !"#$%&'()*+,-./ */ 0, A, V, T, A, W, A, A, H, H, A, A, V, A, A, V,
    [0x30] = /* 0123456789:;<=>? */ D, D, D, D, D, D, D, D, D, D, V, H, V, H, V, V,
    [0x40] = /* @ABCDEFGHIJKLMNO */ V, X, X, X, X, X, X, A, A, A, A, A, A, A, A, A,
    [0x50] = /* PQRSTUVWXYZ[\]^_ */ A, A, A, A, A, A, A, A, A, A, A, V, V, V, W, A,
    [0x60] = /* `abcdefghijklmno */ W, X, X, X, X, X, X, A, A, A, A, A, A, A, A, A,
    [0x70] = /* pqrstuvwxyz{|}~  */ A, A, A, A, A, A, A, A, A, A, A, V, W, V, A, 0,
};
#undef T
#undef V
#undef W
#undef H
#undef A
#undef X
#undef D
/* clang-format on */

static bool is_a(uint8_t byte, unsigned class)
{
    return (classes[byte] & class) != 0;
}

/* The position of the first byte of another class. What ends a line is in none. */
static size_t skip_class(const uint8_t *bytes, size_t at, unsigned class)
{
    while (is_a(bytes[at], class))
        at++;
    return at;
}

/* The control characters of a block of bytes, 0x00-0x1F and 0x7F: CONTROL_BITS bits for each byte, the first byte's
 * lowest. The word version is for machines without SSE2; tests hold the two against each other. */
#if defined(__SSE2__) && !defined(HTTP1PARSER_NO_VECTORS)
enum { CONTROL_BLOCK = 16, CONTROL_BITS = 1 };

static uint64_t mark_controls(const uint8_t *block)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)block);
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
    __m128i delete = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));

    return (unsigned)_mm_movemask_epi8(_mm_or_si128(low, delete));
}
#else
enum { CONTROL_BLOCK = 8, CONTROL_BITS = 8 };

/* Compilers make one load of this. */
static uint64_t load_word(const uint8_t *at)
{
    return (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 | (uint64_t)at[3] << 24 |
           (uint64_t)at[4] << 32 | (uint64_t)at[5] << 40 | (uint64_t)at[6] << 48 | (uint64_t)at[7] << 56;
}

/* Neither sum carries from one byte into the next, so the top bit of each tells of that byte alone. */
static uint64_t mark_controls(const uint8_t *block)
{
    uint64_t word = load_word(block);
    uint64_t not_low = (word & EACH_BYTE(0x7f)) + EACH_BYTE(0x80 - 0x20);
    uint64_t not_delete = ((word ^ EACH_BYTE(0x7f)) & EACH_BYTE(0x7f)) + EACH_BYTE(0x7f);

    return ~((not_low & not_delete) | word) & EACH_BYTE(0x80);
}
#endif

static size_t first_marked(uint64_t marks)
{
    return (size_t)__builtin_ctzll(marks) / CONTROL_BITS;
}

/* The same of [at, end), which is less than a block: the last block before the end without what comes before `at`. */
static uint64_t mark_last_controls(const uint8_t *bytes, size_t at, size_t end)
{
    uint64_t marks = 0;

    if (end >= CONTROL_BLOCK)
        return mark_controls(bytes + end - CONTROL_BLOCK) >> (at + CONTROL_BLOCK - end) * CONTROL_BITS;
    while (end-- > at)
        marks = marks << CONTROL_BITS | (bytes[end] < 0x20 || bytes[end] == 0x7f);
    return marks;
}

/* The difference of so many bytes, 4 or 8, when upper case is read as lower case. */
static inline uint64_t folded_difference(const uint8_t *bytes, const char *word, size_t size)
{
    uint64_t a = 0, b = 0;

    memcpy(&a, bytes, size);
    memcpy(&b, word, size);
    return (a | EACH_BYTE(0x20)) ^ (b | EACH_BYTE(0x20));
}

/* The word, of 4 bytes or more, has only letters, digits and "-". Then setting the bit 0x20 is an exact way to fold:
 * the bytes that it makes equal and are not letters are control characters, of which there are none here. Inlined, as
 * then the compiler knows the length and leaves one or two comparisons. */
static inline __attribute__((always_inline)) bool equals_word(const struct head_parser *parser,
                                                              struct http1parser_slice slice, const char *word)
{
    const uint8_t *bytes = parser->bytes + slice.offset;
    size_t length = strlen(word);
    size_t step = length < 8 ? 4 : 8;
    uint64_t difference = 0;

    if (slice.length != length)
        return false;
    for (size_t i = 0; i + step < length; i += step)
        difference |= folded_difference(bytes + i, word + i, step);
    return (difference | folded_difference(bytes + length - step, word + length - step, step)) == 0;
}

/* Finding the lines of the head. */

/* One empty line may come before the request line, so that starts at 0 or 2; a header line never does. */
static bool in_request_line(const struct head_parser *parser)
{
    return parser->scan.line <= 2;
}

static bool is_line_too_long(const struct head_parser *parser, size_t end)
{
    size_t length = end - parser->scan.line;

    if (!in_request_line(parser))
        return length > parser->limits.line;
    return length > HTTP1PARSER_MAX_METHOD + sizeof " " - 1 + (size_t)parser->limits.target + sizeof " HTTP/1.1" - 1;
}

static int refuse_long_line(struct head_parser *parser)
{
    if (in_request_line(parser))
        return refuse(parser, 414, "request line too long");
    return refuse(parser, 431, "header line too long");
}

static bool is_line_end(const uint8_t *bytes)
{
    return memcmp(bytes, "\r\n", 2) == 0;
}

/* A control character that does not end a line. HTAB is as good as a space, and the LF of a CR LF has already been
 * dealt with; a CR at the very end has a future. */
static int judge_control(struct head_parser *parser, size_t at, size_t end)
{
    const uint8_t *bytes = parser->bytes;

    if (bytes[at] == '\t' || (bytes[at] == '\n' && at > 0 && bytes[at - 1] == '\r'))
        return 0;
    if (bytes[at] == '\r' && at + 1 == end)
        return 0;
    if (is_line_too_long(parser, at))
        return refuse_long_line(parser);
    return refuse(parser, 400, bytes[at] == '\r' ? "CR without LF" : "control character");
}

/* Notes the line that ends at `at`. */
static int note_line(struct head_parser *parser, size_t at)
{
    struct http1parser_slice line = slice_of(parser->scan.line, at);

    if (is_line_too_long(parser, at))
        return refuse_long_line(parser);
    if (in_request_line(parser))
        parser->request_line = line;
    else if (parser->scan.headers < parser->limits.headers)
        parser->request->headers[parser->scan.headers++].name = line;
    else
        return refuse(parser, 431, "too many headers");
    parser->scan.line = (uint32_t)at + 2;
    return 0;
}

/* All that is there has been looked at, and the head does not end in it. */
static int need_more(struct head_parser *parser, size_t end)
{
    size_t at = end > 0 && parser->bytes[end - 1] == '\r' ? end - 1 : end;

    if (is_line_too_long(parser, at))
        return refuse_long_line(parser);
    if (end == parser->limits.head)
        return in_request_line(parser) ? refuse_long_line(parser) : refuse(parser, 431, "head too long");
    parser->scan.scanned = (uint32_t)at;
    return 0;
}

/* Finds the lines up to the first empty one, with which the head ends (RFC 9112 2.1). Every byte up to there has then
 * been seen to be no control character but CR LF and HTAB, which is what the functions below rely on: a search for
 * anything else stops at the CR of the line at the latest. */
static int find_lines(struct head_parser *parser, size_t end)
{
    const uint8_t *bytes = parser->bytes;
    int status;

    if (parser->scan.line == 0 && end >= 2 && is_line_end(bytes))
        parser->scan = (struct http1parser_scan){ .scanned = 2, .line = 2 };
    for (size_t at = parser->scan.scanned; at < end; at += CONTROL_BLOCK) {
        uint64_t marks = at + CONTROL_BLOCK <= end ? mark_controls(bytes + at) : mark_last_controls(bytes, at, end);
        for (; marks != 0; marks &= marks - 1) {
            size_t here = at + first_marked(marks);
            if (here + 1 >= end || !is_line_end(bytes + here)) {
                status = judge_control(parser, here, end);
            } else {
                if (here == parser->scan.line)
                    return (int)here + 2;
                status = note_line(parser, here);
                marks &= marks - 1; /* so that what goes next is the LF, or nothing: it is in the next block */
            }
            if (status != 0)
                return status;
        }
    }
    return need_more(parser, end);
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
    size_t begin = parser->request_line.offset;
    size_t end = skip_class(parser->bytes, begin, CLASS_TOKEN);

    request->method = slice_of(begin, end);
    if (request->method.length == 0 || parser->bytes[end] != ' ')
        return refuse(parser, 400, "method is not a token");
    if (request->method.length > HTTP1PARSER_MAX_METHOD)
        return refuse(parser, 501, "method too long");
    request->method_code = known_method(parser->bytes + begin, request->method.length);
    return 0;
}

/* request-target, RFC 9112 3.2: its bytes, and the space behind it. */
static int parse_target(struct head_parser *parser)
{
    struct http1parser_request *request = parser->request;
    size_t begin = request->method.offset + request->method.length + 1;
    size_t end = skip_class(parser->bytes, begin, CLASS_TARGET);

    request->target = slice_of(begin, end);
    if (parser->bytes[end] != ' ')
        return refuse(parser, 400, parser->bytes[end] == '\r' ? "no HTTP version" : "forbidden byte in the target");
    if (request->target.length > parser->limits.target)
        return refuse(parser, 414, "target too long");
    return 0;
}

/* HTTP-version, RFC 9112 2.3: what is left of the line. One that is well formed and not ours is 505. */
static int parse_version(struct head_parser *parser)
{
    struct http1parser_request *request = parser->request;
    size_t begin = request->target.offset + request->target.length + 1;
    const uint8_t *version = parser->bytes + begin;

    if (begin + 8 != parser->request_line.offset + parser->request_line.length)
        return refuse(parser, 400, "malformed HTTP version");
    if (memcmp(version, "HTTP/1.1", 8) == 0) {
        request->minor_version = 1;
        return 0;
    }
    if (memcmp(version, "HTTP/1.0", 8) == 0)
        return 0;
    if (memcmp(version, "HTTP/", 5) != 0 || !is_a(version[5], CLASS_DIGIT) || version[6] != '.' ||
        !is_a(version[7], CLASS_DIGIT))
        return refuse(parser, 400, "malformed HTTP version");
    return refuse(parser, 505, "HTTP version not supported");
}

/* IP-literal, RFC 3986 3.2.2: the bytes of an IPv6 address in brackets. Nobody resolves it, so the places of the colons
 * are not checked. The position behind it; `at` where there is none. */
static size_t skip_ip_literal(const uint8_t *bytes, size_t at)
{
    size_t end = at + 1;

    while (is_a(bytes[end], CLASS_HEX) || bytes[end] == ':' || bytes[end] == '.')
        end++;
    return bytes[end] == ']' && end - at > sizeof "[:" - 1 ? end + 1 : at;
}

/* reg-name or IPv4address, RFC 3986 3.2.2. */
static size_t skip_host_name(const uint8_t *bytes, size_t at)
{
    at = skip_class(bytes, at, CLASS_HOST);
    while (bytes[at] == '%' && is_a(bytes[at + 1], CLASS_HEX) && is_a(bytes[at + 2], CLASS_HEX))
        at = skip_class(bytes, at + 3, CLASS_HOST);
    return at;
}

/* ":" and a port, which unlike in RFC 3986 3.2.3 is there, and can be one: up to 65535. */
static bool is_port(const uint8_t *bytes, size_t at, size_t end)
{
    size_t begin = at + 1;

    if (bytes[at] != ':' || skip_class(bytes, begin, CLASS_DIGIT) != end || begin == end)
        return false;
    return end - begin < 5 || (end - begin == 5 && memcmp(bytes + begin, "65535", 5) <= 0);
}

/* uri-host [ ":" port ], RFC 9110 7.2. Not empty, which no http URI allows (RFC 9110 4.2.1), and no user information
 * (4.2.4). Both skips stop at what follows the slice, a CR, blank, space, "/" or "?", if not before. */
static bool is_host(const struct head_parser *parser, struct http1parser_slice slice, bool needs_port)
{
    const uint8_t *bytes = parser->bytes;
    size_t begin = slice.offset;
    size_t end = begin + slice.length;
    size_t at = bytes[begin] == '[' ? skip_ip_literal(bytes, begin) : skip_host_name(bytes, begin);

    if (at == begin)
        return false;
    return at == end ? !needs_port : is_port(bytes, at, end);
}

/* absolute-form, RFC 9112 3.2.2, of the schemes that a server of HTTP can be asked for. */
static int parse_absolute_form(struct head_parser *parser)
{
    struct http1parser_request *request = parser->request;
    const uint8_t *bytes = parser->bytes;
    size_t begin = request->target.offset;
    size_t end = begin + request->target.length;
    size_t at = begin;

    while (bytes[at] != ':' && at < end)
        at++;
    struct http1parser_slice scheme = slice_of(begin, at);
    if (end - at < sizeof "://" - 1 || memcmp(bytes + at, "://", 3) != 0 ||
        !(equals_word(parser, scheme, "http") || equals_word(parser, scheme, "https")))
        return refuse(parser, 400, "target in no known form");
    at += 3;
    begin = at;
    while (at < end && bytes[at] != '/' && bytes[at] != '?')
        at++;
    request->form = HTTP1PARSER_ABSOLUTE;
    request->authority = slice_of(begin, at);
    request->path = slice_of(at, end);
    return is_host(parser, request->authority, false) ? 0 : refuse(parser, 400, "invalid authority in the target");
}

/* authority-form, RFC 9112 3.2.3. */
static int parse_authority_form(struct head_parser *parser)
{
    struct http1parser_request *request = parser->request;

    request->form = HTTP1PARSER_AUTHORITY;
    request->authority = request->target;
    return is_host(parser, request->target, true) ? 0 : refuse(parser, 400, "CONNECT without host:port");
}

/* The forms of RFC 9112 3.2. CONNECT goes first, as "a:1" could pass for a scheme. An empty
 * target is in none of them. */
static int parse_form(struct head_parser *parser)
{
    struct http1parser_request *request = parser->request;
    uint8_t first = parser->bytes[request->target.offset];

    if (request->method_code == HTTP1PARSER_CONNECT)
        return parse_authority_form(parser);
    if (first == '/') {
        request->path = request->target;
        return 0;
    }
    if (first == '*' && request->target.length == 1 && request->method_code == HTTP1PARSER_OPTIONS) {
        request->form = HTTP1PARSER_ASTERISK;
        return 0;
    }
    return parse_absolute_form(parser);
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

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

/* field-line = field-name ":" OWS field-value OWS, RFC 9112 5. The name is a token with the colon right behind it. The
 * value's bytes have been looked at when its line was found; 0x80 and above may be any text. */
static int parse_header(struct head_parser *parser, struct http1parser_header *header)
{
    const uint8_t *bytes = parser->bytes;
    size_t begin = header->name.offset;
    size_t end = begin + header->name.length;
    size_t at = skip_class(bytes, begin, CLASS_TOKEN);

    if (at == begin && is_blank(bytes[at]))
        return refuse(parser, 400, "folded header line");
    if (at == begin || bytes[at] != ':')
        return refuse(parser, 400, "malformed header name");
    header->name.length = (uint32_t)(at - begin);
    do
        at++;
    while (is_blank(bytes[at]));
    while (end > at && is_blank(bytes[end - 1]))
        end--;
    header->value = slice_of(at, end);
    return 0;
}

/* Connection = #connection-option, RFC 9110 7.6.1. Blanks end an option as commas do; options that are not
 * ours are for others. */
static void note_connection(struct head_parser *parser, struct http1parser_slice value)
{
    const uint8_t *bytes = parser->bytes;
    size_t end = value.offset + value.length;

    for (size_t at = value.offset; at < end; at++) {
        size_t begin = at;
        while (at < end && bytes[at] != ',' && !is_blank(bytes[at]))
            at++;
        struct http1parser_slice option = slice_of(begin, at);
        if (equals_word(parser, option, "close"))
            parser->wishes |= WISH_CLOSE;
        else if (equals_word(parser, option, "keep-alive"))
            parser->wishes |= WISH_KEEP_ALIVE;
        else if (equals_word(parser, option, "upgrade"))
            parser->wishes |= WISH_UPGRADE;
    }
}

/* Names are compared in full and only letters fold: "Content_Length" is none of these. */
static void note_field(struct head_parser *parser, const struct http1parser_header *header)
{
    switch (header->name.length) {
    case 4:
        if (equals_word(parser, header->name, "host")) {
            parser->request->host = header->value;
            parser->hosts++;
        }
        break;
    case 6:
        if (equals_word(parser, header->name, "expect"))
            parser->wishes |= equals_word(parser, header->value, "100-continue") ? WISH_CONTINUE : WISH_UNKNOWN;
        break;
    case 7:
        if (equals_word(parser, header->name, "upgrade") && header->value.length > 0)
            parser->wishes |= WISH_UPGRADE_TO;
        break;
    case 10:
        if (equals_word(parser, header->name, "connection"))
            note_connection(parser, header->value);
        break;
    case 14:
        if (equals_word(parser, header->name, "content-length")) {
            parser->content_length = header->value;
            parser->content_lengths++;
        }
        break;
    case 17:
        if (equals_word(parser, header->name, "transfer-encoding")) {
            parser->transfer_encoding = header->value;
            parser->transfer_encodings++;
        }
        break;
    }
}

/* *( field-line CRLF ). No header is left out: what frames the message and what the application sees is the same list.
 */
static int parse_headers(struct head_parser *parser)
{
    struct http1parser_request *request = parser->request;

    for (uint32_t i = 0; i < request->header_count; i++) {
        int status = parse_header(parser, &request->headers[i]);
        if (status != 0)
            return status;
        note_field(parser, &request->headers[i]);
    }
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

    if (parser->hosts > 1)
        return refuse(parser, 400, "second Host");
    if (parser->hosts == 0)
        return request->minor_version == 0 ? 0 : refuse(parser, 400, "no Host");
    if (!is_host(parser, request->host, false))
        return refuse(parser, 400, "invalid Host");
    if (request->form == HTTP1PARSER_ABSOLUTE && !equals_authority(parser))
        return refuse(parser, 400, "Host differs from the target");
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
    if (skip_class(digits, 0, CLASS_DIGIT) != length)
        return false;
    for (uint32_t i = 0; i < length; i++)
        value = value * 10 + (uint64_t)(digits[i] - '0');
    *result = value;
    return true;
}

static bool is_token(const struct head_parser *parser, struct http1parser_slice slice)
{
    return slice.length > 0 && skip_class(parser->bytes, slice.offset, CLASS_TOKEN) == slice.offset + slice.length;
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
static int decide_framing(struct head_parser *parser)
{
    struct http1parser_request *request = parser->request;

    if (parser->content_lengths + parser->transfer_encodings == 0)
        return 0;
    if (parser->content_lengths + parser->transfer_encodings > 1)
        return refuse(parser, 400, "more than one of Content-Length and Transfer-Encoding");
    if (parser->content_lengths == 1) {
        request->framing = HTTP1PARSER_LENGTH;
        return read_content_length(parser, &request->content_length) ? 0
                                                                     : refuse(parser, 400, "invalid Content-Length");
    }
    if (request->minor_version == 0)
        return refuse(parser, 400, "Transfer-Encoding in HTTP/1.0");
    if (!is_token(parser, parser->transfer_encoding))
        return refuse(parser, 400, "invalid Transfer-Encoding");
    if (!equals_word(parser, parser->transfer_encoding, "chunked"))
        return refuse(parser, 501, "unknown transfer coding");
    request->framing = HTTP1PARSER_CHUNKED;
    return 0;
}

/* Persistence (RFC 9112 9.3), Upgrade (RFC 9110 7.8), Expect (10.1.1). Upgrade and 100-continue are ignored in
 * HTTP/1.0. An upgrade of a request with a body is ignored too: the body would have to be read by one protocol, the
 * rest by the other. */
static void decide_connection(struct head_parser *parser)
{
    struct http1parser_request *request = parser->request;
    unsigned wishes = parser->wishes;
    bool has_body = request->framing == HTTP1PARSER_CHUNKED || request->content_length > 0;

    request->keep_alive = request->minor_version == 1;
    if (wishes == 0)
        return;
    request->expect_unknown = (wishes & WISH_UNKNOWN) != 0;
    if (request->minor_version == 0) {
        request->keep_alive = (wishes & (WISH_KEEP_ALIVE | WISH_CLOSE)) == WISH_KEEP_ALIVE;
        return;
    }
    request->keep_alive = (wishes & WISH_CLOSE) == 0;
    request->upgrade = (wishes & WISH_UPGRADE) != 0 && (wishes & WISH_UPGRADE_TO) != 0 && !has_body;
    request->expect_continue = (wishes & WISH_CONTINUE) != 0 && has_body;
}

/* All but what the caller has set, and what is set in any case. */
static void clear_request(const struct head_parser *parser)
{
    struct http1parser_request *request = parser->request;

    request->header_count = parser->scan.headers;
    request->authority = request->path = request->host = (struct http1parser_slice){ 0 };
    request->content_length = 0;
    request->reason = NULL;
    request->minor_version = 0;
    request->form = HTTP1PARSER_ORIGIN;
    request->framing = HTTP1PARSER_NO_BODY;
    request->keep_alive = request->upgrade = request->expect_continue = request->expect_unknown = false;
}

static int parse_head(struct head_parser *parser)
{
    clear_request(parser);
    int status = parse_request_line(parser);
    if (status == 0)
        status = parse_headers(parser);
    if (status == 0)
        status = check_host(parser);
    if (status == 0)
        status = decide_framing(parser);
    if (status == 0)
        decide_connection(parser);
    return status;
}

static void set_limits(struct head_parser *parser, const struct http1parser_limits *given)
{
    struct http1parser_limits *limits = &parser->limits;

    if (given != NULL)
        *limits = *given;
    if (limits->target == 0)
        limits->target = HTTP1PARSER_MAX_TARGET;
    if (limits->head == 0)
        limits->head = HTTP1PARSER_MAX_HEAD;
    if (limits->line == 0)
        limits->line = HTTP1PARSER_MAX_LINE;
    if (limits->headers == 0)
        limits->headers = HTTP1PARSER_MAX_HEADERS;
    if (limits->headers > parser->request->header_capacity)
        limits->headers = parser->request->header_capacity;
}

/* Only a scan that began with the first byte knows all lines. So a head that came in pieces is scanned once more when
 * it is complete: each byte twice at most, and nobody has to keep the lines of unfinished heads. */
int http1parser_parse_request(const void *bytes, size_t length, const struct http1parser_limits *limits,
                              struct http1parser_scan *scan, struct http1parser_request *request)
{
    struct head_parser parser = { .bytes = bytes, .request = request, .scan = *scan };

    set_limits(&parser, limits);
    int size = find_lines(&parser, length < parser.limits.head ? length : parser.limits.head);
    if (size == 0)
        *scan = parser.scan;
    if (size <= 0)
        return size;
    bool is_resumed = scan->scanned > 0;
    *scan = (struct http1parser_scan){ 0 };
    if (is_resumed)
        return http1parser_parse_request(bytes, (size_t)size, limits, scan, request);
    int status = parse_head(&parser);
    return status != 0 ? status : size;
}
