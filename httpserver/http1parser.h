/* Internal: http1parser.h, the grammar of HTTP/1.1 request heads (RFC 9112) and what their fields say of the message.
 *
 *     struct http1parser_header headers[HTTP1PARSER_MAX_HEADERS];
 *     struct http1parser_request request = { .headers = headers, .header_capacity = HTTP1PARSER_MAX_HEADERS };
 *     int size = http1parser_parse_request(bytes, length, NULL, &scan, &request);
 *
 * A function of the bytes and nothing else: no memory, no input, no state but the scan. However the bytes are split,
 * the outcome is the same. Nothing is guessed or repaired: what is not in the grammar is refused, and so is what the
 * grammar allows but two readers have been seen to understand differently (hence no folded lines, no second
 * Content-Length or one with leading zeros, no transfer coding but a single `chunked`, only CRLF ends a line).
 *
 * Errors: the HTTP status that the message deserves, negative, and request->reason. The connection is to be closed. */
#ifndef HTTPSERVER_HTTP1PARSER_H
#define HTTPSERVER_HTTP1PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ioloop/ioapi.h"

enum {
    HTTP1PARSER_MAX_METHOD = 32,   /* bytes of a method; a longer one is refused with 501 */
    HTTP1PARSER_MAX_TARGET = 8192, /* the limits below when they are 0 */
    HTTP1PARSER_MAX_HEAD = 32768,
    HTTP1PARSER_MAX_LINE = 8192,
    HTTP1PARSER_MAX_HEADERS = 100,
    HTTP1PARSER_MOST = (1 << 24) - 1, /* for which a scan has room */
};

/* 0: the default. None may be over HTTP1PARSER_MOST. */
struct http1parser_limits {
    uint32_t target;  /* bytes of the request target; over it 414 */
    uint32_t head;    /* bytes of the whole head, the empty line and a leading one included; over it 431 (414 when not
                       * even the request line fits) */
    uint32_t line;    /* bytes of one header line without its CRLF; over it 431 */
    uint32_t headers; /* their number; over it 431 */
};

/* How far an unfinished head has been looked at. Zero before a head's first byte, and again when it has been found. */
struct http1parser_scan {
    uint32_t scanned;     /* bytes that need no second look */
    uint32_t line : 24;   /* where the line begins that scanned is in */
    uint32_t headers : 8; /* lines before that one and after the request line */
};

/* Part of the given bytes; still right after they were copied elsewhere. What is absent has length 0. */
struct http1parser_slice {
    uint32_t offset;
    uint32_t length;
};

struct http1parser_header {
    struct http1parser_slice name;
    struct http1parser_slice value; /* without the blanks around it */
};

enum http1parser_method {
    HTTP1PARSER_OTHER,
    HTTP1PARSER_GET,
    HTTP1PARSER_HEAD,
    HTTP1PARSER_POST,
    HTTP1PARSER_PUT,
    HTTP1PARSER_DELETE,
    HTTP1PARSER_CONNECT,
    HTTP1PARSER_OPTIONS,
    HTTP1PARSER_TRACE,
    HTTP1PARSER_PATCH,
};

/* The four forms of RFC 9112 3.2. */
enum http1parser_form {
    HTTP1PARSER_ORIGIN,    /* "/where?q": path is the target */
    HTTP1PARSER_ABSOLUTE,  /* "http://host/where?q": path may be empty, or begin with "?" */
    HTTP1PARSER_AUTHORITY, /* "host:port", with CONNECT and nothing else; no path */
    HTTP1PARSER_ASTERISK,  /* "*", with OPTIONS and nothing else; no path */
};

enum http1parser_framing {
    HTTP1PARSER_NO_BODY,
    HTTP1PARSER_LENGTH,
    HTTP1PARSER_CHUNKED,
};

struct http1parser_request {
    struct http1parser_header *headers; /* the caller's; room for so many as the next field says */
    uint32_t header_capacity;           /* at most 255; a limit like those above: more headers are refused with 431 */

    uint32_t header_count;
    struct http1parser_slice method;
    struct http1parser_slice target;
    struct http1parser_slice authority; /* of the target; only in absolute and authority form */
    struct http1parser_slice path;      /* and query, as they came */
    struct http1parser_slice host;      /* value of Host; only HTTP/1.0 may lack it */
    uint64_t content_length;            /* 0 unless framing is HTTP1PARSER_LENGTH */
    const char *reason;                 /* of a refusal, for logs; NULL otherwise */
    enum http1parser_method method_code;
    enum http1parser_form form;
    enum http1parser_framing framing;
    uint8_t minor_version; /* of HTTP/1 */
    bool keep_alive;       /* the client would like another request after this one */
    bool upgrade;          /* 1.1, no body, Upgrade given and named in Connection */
    bool expect_continue;  /* 1.1, a body, and the client waits for 100 (Continue) */
    bool expect_unknown;   /* expects what nobody can meet: 417 */
};

/* Looks for a whole request head at the beginning of the bytes. limits may be NULL.
 *
 * Answers its size, with the request filled in; 0 when more bytes are needed: then call again with the same bytes and
 * those that came since, and the same scan; or a negative status. The request is not to be read after 0, and only its
 * reason after a refusal; nothing in it has to be kept while more is awaited. What is hopeless is refused before it is
 * complete. */
int http1parser_parse_request(const void *bytes, size_t length, const struct http1parser_limits *limits,
                              struct http1parser_scan *scan, struct http1parser_request *request) IOAPI_MUST_USE;

#endif
