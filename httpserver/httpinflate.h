/* Internal: httpinflate.h, the decoder of deflate (RFC 1951) and gzip (RFC 1952), by pieces.
 *
 *     do {
 *         taken = httpinflate_decode(inflate, bytes, length, &piece);
 *         use(piece.data, piece.length);
 *         bytes += taken, length -= taken;
 *     } while (taken > 0 || piece.length > 0);
 *
 * A piece lies in the window of the decoder and is at most 2 KiB longer than that: who counts them, and stops, is never
 * further than that ahead of what he allows. However the bytes are split, the output, its end and the refusal are the
 * same.
 * Strict: what no encoder may write is an error, as it is for zlib. A gzip file has one member or more (RFC 1952 2.2),
 * and nothing behind the last.
 *
 * Memory: none but in httpinflate_new; the window and 9 KiB.
 * Errors: taken < 0, or in words: -EBADMSG, and httpinflate_problem says why; it stays so until the decoder is reset.
 */
#ifndef HTTPSERVER_HTTPINFLATE_H
#define HTTPSERVER_HTTPINFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ioloop/ioapi.h"

struct httpinflate;

enum httpinflate_format {
    HTTPINFLATE_RAW,      /* ends with its last block */
    HTTPINFLATE_GZIP,     /* ends with the trailer of any of its members; trailers are checked */
    HTTPINFLATE_MESSAGES, /* of permessage-deflate (RFC 7692): has no end */
};

struct httpinflate_piece {
    const char *data; /* until the next call */
    size_t length;    /* 0: no piece */
};

/* window_bits: 8 to 15; distances beyond are refused. NULL: no memory. */
struct httpinflate *httpinflate_new(enum httpinflate_format format, int window_bits);
void httpinflate_free(struct httpinflate *inflate); /* NULL is fine */

/* As new. */
void httpinflate_reset(struct httpinflate *inflate);

/* Decodes up to the end of a piece. Answers how many bytes were taken: all of them, unless the piece is as long as can
 * be or the end has come. Bytes behind the end are an error. */
ssize_t httpinflate_decode(struct httpinflate *inflate, const void *bytes, size_t length,
                           struct httpinflate_piece *piece) IOAPI_MUST_USE;

/* Has all come, up to the end? Of a gzip file: up to the end of a member. */
bool httpinflate_done(const struct httpinflate *inflate);

/* HTTPINFLATE_MESSAGES: the message has ended, and the 00 00 FF FF that its sender has cut off (RFC 7692 7.2.1) are to
 * be thought of. 0, or -EBADMSG: a message cannot end there. The window stays; httpinflate_reset forgets it. */
int httpinflate_end_message(struct httpinflate *inflate) IOAPI_MUST_USE;

/* Of an error, for logs; NULL: there was none. */
const char *httpinflate_problem(const struct httpinflate *inflate);

#endif
