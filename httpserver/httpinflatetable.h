/* Internal: httpinflatetable.h, how the decoder of deflate finds what the next code means: RFC 1951 3.2.2 to 3.2.7. */
#ifndef HTTPSERVER_HTTPINFLATETABLE_H
#define HTTPSERVER_HTTPINFLATETABLE_H

#include <stdbool.h>
#include <stdint.h>

/* A table has entries for codes up to so many bits, and behind them those of longer ones. That no set of codes needs
 * more of them is known from trying all (enough.c of zlib: 288 10 15, and 32 8 15). */
enum {
    HTTPINFLATETABLE_LITERAL_ROOT = 10,
    HTTPINFLATETABLE_DISTANCE_ROOT = 8,
    HTTPINFLATETABLE_LENGTHS_ROOT = 7,
    HTTPINFLATETABLE_LITERALS = 1334,
    HTTPINFLATETABLE_DISTANCES = 402,
};

/* An entry: bits 0-7 how many bits it is, with extra bits; 8-11 those of its code; 16-31 a literal, or the smallest
 * length or distance, to which the extra bits are added. Of a further table: 8-11 log2 of its size, 16-31 where it is.
 */
enum {
    HTTPINFLATETABLE_LITERAL = 0x8000,
    HTTPINFLATETABLE_SPECIAL = 0x4000, /* one of these, or a code that means nothing */
    HTTPINFLATETABLE_FURTHER = 0x2000,
    HTTPINFLATETABLE_END = 0x1000,
};

enum httpinflatetable_alphabet {
    HTTPINFLATETABLE_OF_LENGTHS,
    HTTPINFLATETABLE_OF_LITERALS,
    HTTPINFLATETABLE_OF_DISTANCES
};

/* False: these are no lengths of codes. Their sum has to be a whole; or, of literals and distances, there is one code,
 * of one bit, or none at all. */
bool httpinflatetable_make(enum httpinflatetable_alphabet alphabet, uint32_t *entries, unsigned root,
                           const uint8_t *lengths, unsigned count);

static inline uint32_t httpinflatetable_low_bits(uint64_t bits, unsigned count)
{
    return (uint32_t)(bits & ((UINT64_C(1) << count) - 1));
}

static inline uint32_t httpinflatetable_find(const uint32_t *entries, unsigned root, uint64_t bits)
{
    uint32_t entry = entries[httpinflatetable_low_bits(bits, root)];

    if (entry & HTTPINFLATETABLE_FURTHER)
        entry = entries[(entry >> 16) + httpinflatetable_low_bits(bits >> root, entry >> 8 & 15)];
    return entry;
}

static inline unsigned httpinflatetable_bits(uint32_t entry)
{
    return entry & 0xff;
}

static inline unsigned httpinflatetable_value(uint32_t entry, uint64_t bits)
{
    return (entry >> 16) + (httpinflatetable_low_bits(bits, httpinflatetable_bits(entry)) >> (entry >> 8 & 15));
}

#endif
