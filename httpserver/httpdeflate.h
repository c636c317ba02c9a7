/* Internal: httpdeflate.h, the encoder of deflate (RFC 1951) and gzip (RFC 1952), by pieces.
 *
 *     do {
 *         taken = httpdeflate_encode(deflate, bytes, length, HTTPDEFLATE_FINISH, &piece);
 *         use(piece.data, piece.length);
 *         bytes += taken, length -= taken;
 *     } while (piece.more);
 *
 * What comes out depends on the bytes and where they are flushed, not on how they are split.
 *
 * Memory: none but in httpdeflate_new; 242 KiB for a window of 2^15 bytes, 52 KiB for one of 2^12, 26 KiB for 2^9. */
#ifndef HTTPSERVER_HTTPDEFLATE_H
#define HTTPSERVER_HTTPDEFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct httpdeflate;

enum httpdeflate_format { HTTPDEFLATE_RAW, HTTPDEFLATE_GZIP };

enum httpdeflate_flush {
    HTTPDEFLATE_MORE,    /* more will come: nothing need come out yet */
    HTTPDEFLATE_SYNC,    /* all comes out, up to 00 00 FF FF; what follows may refer to it */
    HTTPDEFLATE_MESSAGE, /* the same without these four bytes (RFC 7692 7.2.1), also of nothing */
    HTTPDEFLATE_FINISH,  /* all comes out, and the end: then only reset */
};

enum { HTTPDEFLATE_LEVEL = 6 };

struct httpdeflate_piece {
    const char *data; /* until the next call */
    size_t length;    /* may be 0 */
    bool more;        /* it is to be called again, with the bytes that were not taken and the same flush */
};

/* level: 1 (fast) to 9 (small), 0 is HTTPDEFLATE_LEVEL. window_bits: 8 to 15. NULL: no memory. */
struct httpdeflate *httpdeflate_new(enum httpdeflate_format format, int level, int window_bits);
void httpdeflate_free(struct httpdeflate *deflate); /* NULL is fine */

/* As new: what comes out does not depend on what came before. */
void httpdeflate_reset(struct httpdeflate *deflate);

/* Answers how many bytes were taken. It cannot fail. */
size_t httpdeflate_encode(struct httpdeflate *deflate, const void *bytes, size_t length, enum httpdeflate_flush flush,
                          struct httpdeflate_piece *piece);

#endif
