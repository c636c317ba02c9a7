/* Internal: httpbits.h, what the encoder and the decoder of deflate (RFC 1951) share: words of bytes, the lowest first,
 * and the order of codes. */
#ifndef HTTPSERVER_HTTPBITS_H
#define HTTPSERVER_HTTPBITS_H

#include <stdint.h>

enum {
    HTTPBITS_LITERALS = 288, /* symbols of literals and lengths, two of which nobody may use, */
    HTTPBITS_DISTANCES = 32, /* of distances, the same, */
    HTTPBITS_LENGTHS = 19,   /* and of lengths of codes */
    HTTPBITS_END = 256,      /* of a block */
    HTTPBITS_LONGEST_CODE = 15,
    HTTPBITS_LONGEST_MATCH = 258,
};

/* The order in which lengths of the codes of lengths are written, RFC 1951 3.2.7. */
static const uint8_t httpbits_order[HTTPBITS_LENGTHS] = { 16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                                          11, 4,  12, 3, 13, 2, 14, 1, 15 };

/* Compilers make one load or store of these. */
static inline uint32_t httpbits_load32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline uint64_t httpbits_load64(const uint8_t *at)
{
    return (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 | (uint64_t)at[3] << 24 |
           (uint64_t)at[4] << 32 | (uint64_t)at[5] << 40 | (uint64_t)at[6] << 48 | (uint64_t)at[7] << 56;
}

static inline void httpbits_store64(uint8_t *at, uint64_t word)
{
    at[0] = (uint8_t)word;
    at[1] = (uint8_t)(word >> 8);
    at[2] = (uint8_t)(word >> 16);
    at[3] = (uint8_t)(word >> 24);
    at[4] = (uint8_t)(word >> 32);
    at[5] = (uint8_t)(word >> 40);
    at[6] = (uint8_t)(word >> 48);
    at[7] = (uint8_t)(word >> 56);
}

/* Codes are written with their first bit lowest: the next one of that many bits is one more from the other end. */
static inline unsigned httpbits_next_code(unsigned code, unsigned length)
{
    unsigned bit = 1u << (length - 1);

    while (code & bit)
        bit >>= 1;
    return bit > 0 ? (code & (bit - 1)) | bit : 0;
}

/* How many bits of a length or distance, of the codes from the first on, are extra bits. */
static inline unsigned httpbits_length_extra(unsigned slot)
{
    return slot < 8 || slot == 28 ? 0 : slot / 4 - 1;
}

static inline unsigned httpbits_distance_extra(unsigned slot)
{
    return slot < 4 ? 0 : slot / 2 - 1;
}

#endif
