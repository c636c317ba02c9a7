/* Internal: http1head.h, what the heads of requests and responses have in common: lines of headers (RFC 9112 5), and
 * what Connection, Content-Length and Transfer-Encoding say of the message. For http1parser.c and http1response.c, of
 * which it becomes a part: what a head consists of can stay in registers then.
 *
 * Errors: negative statuses, as those of http1parser.h, and the reason. */
#ifndef HTTPSERVER_HTTP1HEAD_H
#define HTTPSERVER_HTTP1HEAD_H

#include <string.h>

#include "httpserver/http1bytes.h"
#include "httpserver/http1parser.h"
#include "httpserver/http1scan.h"

/* What the fields say of the message itself: noted as they come by, and judged when all are there. */
enum {
    HTTP1HEAD_HOST = 1,
    HTTP1HEAD_HOST_AGAIN = 2,
    HTTP1HEAD_HOST_CHECKED = 4, /* the first one is a host */
    HTTP1HEAD_LENGTH = 8,       /* Content-Length */
    HTTP1HEAD_LENGTH_AGAIN = 16,
    HTTP1HEAD_CODING = 32, /* Transfer-Encoding */
    HTTP1HEAD_CODING_AGAIN = 64,
    HTTP1HEAD_CLOSE = 128, /* options of Connection; these and the following are rare */
    HTTP1HEAD_KEEP_ALIVE = 256,
    HTTP1HEAD_UPGRADE = 512,
    HTTP1HEAD_UPGRADE_TO = 1024, /* field Upgrade */
    HTTP1HEAD_CONTINUE = 2048,   /* field Expect */
    HTTP1HEAD_UNKNOWN = 4096,    /* the same, with anything else in it */
    HTTP1HEAD_OF_FRAMING = HTTP1HEAD_LENGTH | HTTP1HEAD_LENGTH_AGAIN | HTTP1HEAD_CODING | HTTP1HEAD_CODING_AGAIN,
};

/* Goes through bytes that end with CR LF. So no search has to look for the end: the CR is in no class but that of
 * control characters, and there it stops at the latest. */
struct http1head {
    const uint8_t *bytes;
    size_t end;
    size_t at; /* what is before has been parsed */
    struct http1parser_limits limits;
    unsigned seen;
    struct http1parser_slice content_length, transfer_encoding; /* values */
    struct http1parser_slice *host;
};

/* What is rare is kept out of the way, and is given no pointer to the head. */
static __attribute__((cold, noinline)) int http1head_refuse(const char **reason, int status, const char *why)
{
    *reason = why;
    return -status;
}

/* Not the last word on this: what http1scan says is, to which it does not matter where the bytes were split. */
static inline int http1head_leave_to_scan(const char **reason)
{
    return http1head_refuse(reason, 400, "no head within the limits");
}

static inline struct http1parser_slice http1head_slice(size_t from, size_t to)
{
    return (struct http1parser_slice){ (uint32_t)from, (uint32_t)(to - from) };
}

HTTP1BYTES_INLINE bool http1head_is_word(const uint8_t *bytes, struct http1parser_slice slice, const char *word)
{
    return http1bytes_is_word(bytes + slice.offset, slice.length, word);
}

static inline bool http1head_is_line_end(const uint8_t *bytes)
{
    return memcmp(bytes, "\r\n", 2) == 0;
}

/* most: of the whole head, when the limits leave it open. */
static inline struct http1parser_limits http1head_complete_limits(const struct http1parser_limits *given, uint32_t most,
                                                                  uint32_t header_capacity)
{
    struct http1parser_limits limits = { 0 };

    if (given != NULL)
        limits = *given;
    if (limits.target == 0)
        limits.target = HTTP1PARSER_MAX_TARGET;
    if (limits.head == 0)
        limits.head = most;
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
static inline size_t http1head_likely_end(const uint8_t *bytes, size_t length)
{
    if (length >= sizeof "\r\n\r\n" - 1 && http1head_is_line_end(bytes + length - 2))
        return length;
    return http1scan_find_empty_line(bytes, length);
}

/* field-line = field-name ":" OWS field-value OWS, RFC 9112 5. The name is a token with the colon right behind it. */
static inline int http1head_parse_line(struct http1head *head, struct http1parser_header *header, const char **reason)
{
    const uint8_t *bytes = head->bytes;
    size_t name_end = http1bytes_skip_token(bytes, head->at, head->end);

    if (name_end == head->at || bytes[name_end] != ':')
        return http1head_refuse(reason, 400,
                                http1bytes_is_a(bytes[head->at], HTTP1BYTES_BLANK) ? "folded header line"
                                                                                   : "malformed header name");
    header->name = http1head_slice(head->at, name_end);
    size_t begin = http1bytes_skip(bytes, name_end + 1, HTTP1BYTES_BLANK);
    size_t line_end = http1bytes_skip_text(bytes, begin, head->end);
    size_t end = line_end;
    if (!http1head_is_line_end(bytes + line_end) || line_end - head->at > head->limits.line)
        return http1head_leave_to_scan(reason);
    while (end > begin && http1bytes_is_a(bytes[end - 1], HTTP1BYTES_BLANK))
        end--;
    header->value = http1head_slice(begin, end);
    head->at = line_end + 2;
    return 0;
}

/* Connection = #connection-option, RFC 9110 7.6.1. Blanks end an option as commas do; options that are not
 * ours are for others. */
static inline unsigned http1head_read_connection(const uint8_t *bytes, struct http1parser_slice value)
{
    size_t end = value.offset + value.length;
    unsigned seen = 0;

    for (size_t at = value.offset; at < end; at++) {
        size_t begin = at;
        while (at < end && bytes[at] != ',' && !http1bytes_is_a(bytes[at], HTTP1BYTES_BLANK))
            at++;
        struct http1parser_slice option = http1head_slice(begin, at);
        if (http1head_is_word(bytes, option, "close"))
            seen |= HTTP1HEAD_CLOSE;
        else if (http1head_is_word(bytes, option, "keep-alive"))
            seen |= HTTP1HEAD_KEEP_ALIVE;
        else if (http1head_is_word(bytes, option, "upgrade"))
            seen |= HTTP1HEAD_UPGRADE;
    }
    return seen;
}

/* What is seen again sets the next bit, too. */
static inline void http1head_note_seen(struct http1head *head, unsigned what)
{
    head->seen |= what | (head->seen & what) << 1;
}

/* Names are compared in full and only letters fold: "Content_Length" is none of these. */
static inline void http1head_note_field(struct http1head *head, const struct http1parser_header *header)
{
    switch (header->name.length) {
    case 4:
        if (http1head_is_word(head->bytes, header->name, "host")) {
            *head->host = header->value;
            http1head_note_seen(head, HTTP1HEAD_HOST);
        }
        break;
    case 6:
        if (http1head_is_word(head->bytes, header->name, "expect"))
            head->seen |=
                http1head_is_word(head->bytes, header->value, "100-continue") ? HTTP1HEAD_CONTINUE : HTTP1HEAD_UNKNOWN;
        break;
    case 7:
        if (http1head_is_word(head->bytes, header->name, "upgrade") && header->value.length > 0)
            head->seen |= HTTP1HEAD_UPGRADE_TO;
        break;
    case 10:
        if (http1head_is_word(head->bytes, header->name, "connection"))
            head->seen |= http1head_read_connection(head->bytes, header->value);
        break;
    case 14:
        if (http1head_is_word(head->bytes, header->name, "content-length")) {
            head->content_length = header->value;
            http1head_note_seen(head, HTTP1HEAD_LENGTH);
        }
        break;
    case 17:
        if (http1head_is_word(head->bytes, header->name, "transfer-encoding")) {
            head->transfer_encoding = header->value;
            http1head_note_seen(head, HTTP1HEAD_CODING);
        }
        break;
    }
}

/* *( field-line CRLF ) CRLF, of which the first `count` are there already. No header is left out: what frames the
 * message and what the application sees is the same list. Answers their number. */
static inline int http1head_parse_more_headers(struct http1head *head, struct http1parser_header *headers, size_t count,
                                               const char **reason)
{
    struct http1parser_header *header = headers + count;
    const struct http1parser_header *room_end = headers + head->limits.headers;

    for (; head->at < head->end && !http1head_is_line_end(head->bytes + head->at); header++) {
        int status = header == room_end ? http1head_leave_to_scan(reason) : http1head_parse_line(head, header, reason);
        if (status != 0)
            return status;
        http1head_note_field(head, header);
    }
    if (head->at == head->end)
        return http1head_leave_to_scan(reason);
    head->at += 2;
    return (int)(header - headers);
}

static inline int http1head_parse_headers(struct http1head *head, struct http1parser_header *headers,
                                          const char **reason)
{
    return http1head_parse_more_headers(head, headers, 0, reason);
}

/* Content-Length = 1*DIGIT, RFC 9110 8.6; up to 19 of them, which always fit, and no leading zeros, which some read as
 * octal. */
static inline bool http1head_read_length(const struct http1head *head, uint64_t *result)
{
    const uint8_t *digits = head->bytes + head->content_length.offset;
    uint32_t length = head->content_length.length;
    uint64_t value = 0;

    if (length == 0 || length > 19 || (length > 1 && digits[0] == '0'))
        return false;
    for (uint32_t i = 0; i < length; i++) {
        unsigned digit = digits[i] - (unsigned)'0';
        if (digit > 9)
            return false;
        value = value * 10 + digit;
    }
    *result = value;
    return true;
}

static inline bool http1head_is_token(const uint8_t *bytes, struct http1parser_slice slice)
{
    return slice.length > 0 && http1bytes_skip(bytes, slice.offset, HTTP1BYTES_TOKEN) == slice.offset + slice.length;
}

/* How the fields say that the body is framed, RFC 9112 6.3; what is given is for neither of them.
 *
 *     neither field                            NO_BODY
 *     one Content-Length, a number             LENGTH, and that many bytes
 *     one Transfer-Encoding, "chunked", 1.1    CHUNKED
 *     both fields, two of one, TE on 1.0       400
 *     Content-Length not a number              400
 *     another coding                           501
 *     Transfer-Encoding not a single token     400 */
static inline int http1head_decide_framing(const struct http1head *head, unsigned minor_version,
                                           enum http1parser_framing *framing, uint64_t *length, const char **reason)
{
    unsigned seen = head->seen & HTTP1HEAD_OF_FRAMING;

    if (seen == 0)
        return 0;
    if (seen == HTTP1HEAD_LENGTH) {
        *framing = HTTP1PARSER_LENGTH;
        return http1head_read_length(head, length) ? 0 : http1head_refuse(reason, 400, "invalid Content-Length");
    }
    if (seen != HTTP1HEAD_CODING)
        return http1head_refuse(reason, 400, "more than one of Content-Length and Transfer-Encoding");
    if (minor_version == 0)
        return http1head_refuse(reason, 400, "Transfer-Encoding in HTTP/1.0");
    if (!http1head_is_token(head->bytes, head->transfer_encoding))
        return http1head_refuse(reason, 400, "invalid Transfer-Encoding");
    if (!http1head_is_word(head->bytes, head->transfer_encoding, "chunked"))
        return http1head_refuse(reason, 501, "unknown transfer coding");
    *framing = HTTP1PARSER_CHUNKED;
    return 0;
}

/* Persistence, RFC 9112 9.3. */
static inline bool http1head_keeps_alive(const struct http1head *head, unsigned minor_version)
{
    unsigned options = head->seen & (HTTP1HEAD_KEEP_ALIVE | HTTP1HEAD_CLOSE);

    return minor_version == 1 ? (options & HTTP1HEAD_CLOSE) == 0 : options == HTTP1HEAD_KEEP_ALIVE;
}

#endif
