/* Internal: httpdeflatelayer.h, what the parts of the encoder share. httpdeflate.c finds matches, httpdeflateblock.c
 * writes them. */
#ifndef HTTPSERVER_HTTPDEFLATELAYER_H
#define HTTPSERVER_HTTPDEFLATELAYER_H

#include "httpserver/httpbits.h"
#include "httpserver/httpdeflate.h"
#include "httpserver/httphuffman.h"

enum {
    HTTPDEFLATELAYER_OUT = 8192,
    HTTPDEFLATELAYER_HEAD = 1024, /* room for the head of a block, or the end of a file */
};

struct httpdeflatelayer_level {
    uint16_t chain; /* how many places are looked at for a match */
    uint16_t nice;  /* a length that is good enough to look no further */
    uint16_t lazy;  /* is the next byte looked at too, for a better one, before a match of less is taken? */
};

enum httpdeflatelayer_task {
    HTTPDEFLATELAYER_COLLECT, /* symbols of the next block */
    HTTPDEFLATELAYER_SYMBOLS, /* they are written */
    HTTPDEFLATELAYER_STORED,  /* the bytes themselves are */
};

struct httpdeflate {
    /* Bytes that have come: those up to at are in symbols, or gone out. */
    uint8_t *buffer;
    uint32_t size, window;
    uint32_t at, end;
    uint32_t indexed;    /* those before are in the chains */
    int32_t block;       /* where the present block begins; below 0: it is no longer all there */
    uint16_t *heads;     /* by a hash of four bytes, where they came last */
    uint16_t *chains;    /* by a place, modulo the window, where the same hash came before it */
    uint16_t *threes;    /* as heads, of three bytes */
    unsigned hash_shift; /* of 32 bits */
    const struct httpdeflatelayer_level *level;

    /* A literal; or length and distance, in the high and low half. */
    uint32_t *symbols;
    uint32_t symbol_count, symbol_most;
    uint32_t written; /* of them; of a stored block, the next byte */
    uint16_t literal_counts[HTTPBITS_LITERALS], distance_counts[HTTPBITS_DISTANCES];
    struct httphuffman_code literal_codes[HTTPBITS_LITERALS], distance_codes[HTTPBITS_DISTANCES];

    uint64_t bits; /* that fill no byte yet */
    unsigned bit_count;
    uint32_t crc, total;
    uint8_t format, task;
    bool has_fixed; /* the codes are those of RFC 1951 3.2.6 */
    bool has_begun, is_last, has_finished;
    bool is_fresh; /* nothing has come since the last flush */
    size_t out_length;
    uint8_t out[HTTPDEFLATELAYER_OUT];
};

static inline bool httpdeflatelayer_has_room(const struct httpdeflate *deflate)
{
    return deflate->out_length + HTTPDEFLATELAYER_HEAD <= HTTPDEFLATELAYER_OUT;
}

/* 57 - 7 bits at most. */
static inline void httpdeflatelayer_put(struct httpdeflate *deflate, uint64_t bits, unsigned count)
{
    deflate->bits |= bits << deflate->bit_count;
    deflate->bit_count += count;
    httpbits_store64(deflate->out + deflate->out_length, deflate->bits);
    deflate->out_length += deflate->bit_count / 8;
    deflate->bits >>= deflate->bit_count & ~7u;
    deflate->bit_count &= 7;
}

static inline unsigned httpdeflatelayer_log2(unsigned value)
{
    return 31u - (unsigned)__builtin_clz(value);
}

/* Of a length of 3 to 258, and a distance of 1 to 32768, RFC 1951 3.2.5. */
static inline unsigned httpdeflatelayer_length_slot(unsigned length)
{
    unsigned rest = length - 3;

    if (rest < 8 || rest == 255)
        return rest < 8 ? rest : 28;
    unsigned high = httpdeflatelayer_log2(rest);
    return 4 * (high - 1) + (rest >> (high - 2) & 3);
}

static inline unsigned httpdeflatelayer_distance_slot(unsigned distance)
{
    unsigned rest = distance - 1;

    if (rest < 4)
        return rest;
    unsigned high = httpdeflatelayer_log2(rest);
    return 2 * high + (rest >> (high - 1) & 1);
}

/* Begins to write the block of these symbols, in the way that is shortest. There has to be room. */
void httpdeflatelayer_begin_block(struct httpdeflate *deflate, bool is_last);

/* Goes on with it. False: there is no more room. */
bool httpdeflatelayer_write_block(struct httpdeflate *deflate);

/* Zeroes up to a whole byte. */
void httpdeflatelayer_align(struct httpdeflate *deflate);

#endif
