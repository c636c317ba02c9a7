/* Internal: http1response.h, the grammar of HTTP/1.1 response heads (RFC 9112), as a client reads them; the twin of
 * http1parser.h, with which it shares limits, scan and header lines.
 *
 * A function of the bytes and nothing else. However they are split, the outcome is the same. As strict as with
 * requests: only CRLF ends a line, nothing is folded, a second Content-Length, or one beside Transfer-Encoding, is
 * refused, and so is any coding but a single `chunked`. Only the space before a reason that is empty may be missing.
 * What cannot become a response is refused at the first byte that shows it.
 *
 * Errors: -EPROTO, or -EMSGSIZE over a limit, and response->problem. */
#ifndef HTTPSERVER_HTTP1RESPONSE_H
#define HTTPSERVER_HTTP1RESPONSE_H

#include "httpserver/http1parser.h"

/* When limits.head is 0. limits.line counts for the status line, too; limits.target is not used. */
enum { HTTP1RESPONSE_MAX_HEAD = 65536 };

/* How the body ends, RFC 9112 6.3. */
enum http1response_framing {
    HTTP1RESPONSE_NO_BODY, /* 1xx, 204, 304, of HEAD, 2xx of CONNECT; or a length of 0 */
    HTTP1RESPONSE_LENGTH,
    HTTP1RESPONSE_CHUNKED,
    HTTP1RESPONSE_UNTIL_CLOSE,
};

struct http1response {
    struct http1parser_header *headers; /* the caller's; room for so many as the next field says */
    uint32_t header_capacity;

    uint32_t header_count;
    struct http1parser_slice reason; /* may be empty */
    uint64_t content_length;         /* what Content-Length says, also where there is no body; 0 without one */
    const char *problem;             /* of a refusal, for people; NULL otherwise */
    enum http1response_framing framing;
    uint16_t status; /* 100 to 999 */
    uint8_t minor_version;
    bool has_length; /* there is a Content-Length */
    bool keep_alive; /* the server would take another request behind this one (101 and 2xx of CONNECT: not) */
};

/* What was asked decides how the answer ends. A 2xx of CONNECT ends with its head, and neither Content-Length nor
 * Transfer-Encoding is looked at. */
enum http1response_to { HTTP1RESPONSE_TO_OTHER, HTTP1RESPONSE_TO_HEAD, HTTP1RESPONSE_TO_CONNECT };

/* As http1parser_parse_request: the head's size, 0 when more bytes are needed, or an error. No empty line may come
 * before it. limits may be NULL. */
int http1response_parse(const void *bytes, size_t length, const struct http1parser_limits *limits,
                        struct http1parser_scan *scan, enum http1response_to to,
                        struct http1response *response) IOAPI_MUST_USE;

#endif
