/* Internal: httpchunked.h, the chunked transfer coding (RFC 9112 7.1), both ways.
 *
 *     struct httpchunked chunked = { 0 };
 *     do
 *         taken = httpchunked_decode(&chunked, &limits, bytes, length, &piece, &trailers);
 *     while (use(piece.data, piece.length), bytes += taken, length -= taken, taken > 0 && !piece.done);
 *
 * Strict, as two readers that differ about where a body ends are a way to smuggle requests: only CRLF ends a line, a
 * size is 1 to 16 digits, and nothing is skipped. However the bytes are split, the body, its end, the trailers and the
 * refusal are the same.
 *
 * Errors: the HTTP status that the message deserves, negative, and piece.reason. The connection is to be closed. */
#ifndef HTTPSERVER_HTTPCHUNKED_H
#define HTTPSERVER_HTTPCHUNKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ioloop/ioapi.h"

struct httpheaders;

enum {
    HTTPCHUNKED_MAX_BODY = 1024 * 1024, /* the limits below when they are 0 */
    HTTPCHUNKED_MAX_LINE = 256,
    HTTPCHUNKED_MAX_TRAILERS = 8192,
    HTTPCHUNKED_MAX_TRAILER_LINES = 16,
    HTTPCHUNKED_FREE_OVERHEAD = 16384, /* bytes of framing for nothing; then one for each four of the body */
};

/* 0: the default. */
struct httpchunked_limits {
    uint64_t body;          /* over it 413, as soon as a size says so */
    uint32_t line;          /* bytes of a chunk's first line without its CRLF; over it 413, as for too much framing */
    uint32_t trailers;      /* bytes of the trailer section, the empty line included; over it 431 */
    uint32_t trailer_lines; /* over it 431 */
    bool any_framing;       /* however much there is of it: of streams that go on for ever, a little at a time */
};

/* How far a body has come. Zeroed before its first byte. */
struct httpchunked {
    uint64_t body;     /* bytes of the chunks whose sizes are known */
    uint64_t left;     /* of the present chunk; while its first line is read, the size so far */
    uint64_t overhead; /* bytes of framing so far */
    uint32_t line;     /* bytes of the present first line; in a trailer section, where its last line begins */
    uint32_t scanned;  /* of an unfinished trailer section: bytes that need no second look */
    uint32_t lines;    /* whole ones in them */
    uint8_t state;
};

struct httpchunked_piece {
    const char *data; /* among the bytes given */
    size_t length;    /* 0: no piece */
    bool done;        /* the body has ended, right behind the bytes taken */
    const char *reason;
};

/* Decodes what is there up to the end of one piece of the body. Answers how many bytes were taken, or a negative
 * status: 400, 413, 431, or 503 when there was no memory for the trailers. To be called again with what is left until
 * it answers 0 (more bytes are needed, behind those that were not taken; to ask with less, or none, is fine, and
 * answers 0 again) or is done.
 *
 * trailers: what came in the trailer section is added, when the body is done, except what has no business there
 * (RFC 9110 6.5.1): framing, routing, authentication, conditions, what describes the content. NULL: it is only
 * checked. limits may be NULL. */
ssize_t httpchunked_decode(struct httpchunked *chunked, const struct httpchunked_limits *limits, const char *bytes,
                           size_t length, struct httpchunked_piece *piece, struct httpheaders *trailers) IOAPI_MUST_USE;

/* "1a2b\r\n", what goes before a chunk of so many bytes (and "\r\n" behind it); for 0 "0\r\n", the last chunk. Answers
 * the length of the line; it is not terminated. */
#define HTTPCHUNKED_LONGEST_LINE 18
size_t httpchunked_format(char place[HTTPCHUNKED_LONGEST_LINE], uint64_t length);

#endif
