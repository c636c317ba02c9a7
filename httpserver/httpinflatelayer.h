/* Internal: httpinflatelayer.h, what the parts of the decoder share. httpinflate.c goes from block to block,
 * httpinflatesymbols.c decodes what is in them, httpinflategzip.c what is around them.
 *
 * A decoder takes atoms: what is whole or nothing, such as a literal, a length with its distance, or a field of a head.
 * None is longer than 48 bits, and none is begun before it is there, so that a split of the input is nothing to it. */
#ifndef HTTPSERVER_HTTPINFLATELAYER_H
#define HTTPSERVER_HTTPINFLATELAYER_H

#include "httpserver/httpbits.h"
#include "httpserver/httpinflate.h"
#include "httpserver/httpinflatetable.h"

enum httpinflatelayer_state {
    HTTPINFLATELAYER_IN_GZIP_HEAD,
    HTTPINFLATELAYER_IN_GZIP_EXTRA_LENGTH,
    HTTPINFLATELAYER_IN_GZIP_EXTRA,
    HTTPINFLATELAYER_IN_GZIP_NAME,
    HTTPINFLATELAYER_IN_GZIP_COMMENT,
    HTTPINFLATELAYER_IN_GZIP_CHECK,
    HTTPINFLATELAYER_IN_BLOCK_HEAD,
    HTTPINFLATELAYER_IN_STORED_LENGTH,
    HTTPINFLATELAYER_IN_STORED,
    HTTPINFLATELAYER_IN_COUNTS,
    HTTPINFLATELAYER_IN_LENGTHS_OF_LENGTHS,
    HTTPINFLATELAYER_IN_LENGTHS,
    HTTPINFLATELAYER_IN_SYMBOLS,
    HTTPINFLATELAYER_IN_MATCH,
    HTTPINFLATELAYER_IN_CRC,
    HTTPINFLATELAYER_IN_SIZE,
    HTTPINFLATELAYER_IN_NOTHING, /* the end has come */
    HTTPINFLATELAYER_IN_ERROR,
};

/* What comes after an atom. */
enum httpinflatelayer_step { HTTPINFLATELAYER_ON, HTTPINFLATELAYER_WANTS_INPUT, HTTPINFLATELAYER_STOPS };

struct httpinflate {
    const uint8_t *in, *end; /* of the present call */
    uint64_t bits;           /* that have been taken from there and not decoded; above count 0 */
    unsigned count;
    uint8_t format, state;
    bool is_last;       /* block */
    bool has_lapped;    /* the ring is full of output */
    bool has_fixed;     /* the tables are those of RFC 1951 3.2.6 */
    uint8_t gzip_flags; /* of fields that are still to come */
    uint16_t length;    /* bytes left of a match, a stored block or a field */
    uint16_t distance;
    uint16_t literals, distances, length_codes; /* their numbers in the head of a block */
    uint16_t read;                              /* of these lengths, or bytes of a field */
    uint32_t at;                                /* in the ring */
    uint32_t summed;                            /* where crc ends */
    uint32_t size, window;                      /* of the ring; how far back a distance may go */
    uint32_t crc, total;                        /* of the output; before that, crc of the gzip head */
    const char *problem;
    uint32_t literal_table[HTTPINFLATETABLE_LITERALS];
    uint32_t distance_table[HTTPINFLATETABLE_DISTANCES]; /* before that of the codes of lengths */
    uint8_t lengths[HTTPBITS_LITERALS + HTTPBITS_DISTANCES];
    uint8_t ring[];
};

static inline bool httpinflatelayer_has_bits(struct httpinflate *inflate, unsigned count)
{
    while (inflate->count < 56 && inflate->in < inflate->end) {
        inflate->bits |= (uint64_t)*inflate->in++ << inflate->count;
        inflate->count += 8;
    }
    return inflate->count >= count;
}

static inline void httpinflatelayer_drop_bits(struct httpinflate *inflate, unsigned count)
{
    inflate->bits >>= count;
    inflate->count -= count;
}

static inline uint32_t httpinflatelayer_take_bits(struct httpinflate *inflate, unsigned count)
{
    uint32_t bits = httpinflatetable_low_bits(inflate->bits, count);

    httpinflatelayer_drop_bits(inflate, count);
    return bits;
}

/* The end of decoding. */
enum httpinflatelayer_step httpinflatelayer_fail(struct httpinflate *inflate, const char *problem);

/* The next atom of the head of a gzip file, or of its end. */
enum httpinflatelayer_step httpinflatelayer_read_gzip(struct httpinflate *inflate);

/* Adds what was output since the last time to crc and total. */
void httpinflatelayer_sum_up(struct httpinflate *inflate);

/* The symbols of a block: all that there is input and room for. */
enum httpinflatelayer_step httpinflatelayer_read_symbols(struct httpinflate *inflate);

/* The block has no more symbols or bytes. */
enum httpinflatelayer_step httpinflatelayer_end_block(struct httpinflate *inflate);

#endif
