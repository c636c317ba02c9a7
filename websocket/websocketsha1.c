#include "websocket/websocketsha1.h"

#include <string.h>

enum { SHA1_ROUNDS = 80, SHA1_LENGTH_PLACE = WEBSOCKETSHA1_BLOCK - 8 };

/* FIPS 180-4 5.3.1. */
static const uint32_t sha1_first_state[5] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 };

static uint32_t sha1_rotated(uint32_t word, int bits)
{
    return word << bits | word >> (32 - bits);
}

static uint32_t sha1_load(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void sha1_store(unsigned char *place, uint32_t word)
{
    place[0] = (unsigned char)(word >> 24);
    place[1] = (unsigned char)(word >> 16);
    place[2] = (unsigned char)(word >> 8);
    place[3] = (unsigned char)word;
}

/* The message schedule, 6.1.2 step 1. */
static void sha1_expand(const unsigned char *block, uint32_t words[SHA1_ROUNDS])
{
    for (int i = 0; i < 16; i++)
        words[i] = sha1_load(block + 4 * i);
    for (int i = 16; i < SHA1_ROUNDS; i++)
        words[i] = sha1_rotated(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
}

/* The functions and constants of 4.1.1 and 4.2.1, by round. */
static uint32_t sha1_mixed(int round, uint32_t b, uint32_t c, uint32_t d)
{
    if (round < 20)
        return ((b & c) ^ (~b & d)) + 0x5a827999;
    if (round < 40)
        return (b ^ c ^ d) + 0x6ed9eba1;
    if (round < 60)
        return ((b & c) ^ (b & d) ^ (c & d)) + 0x8f1bbcdc;
    return (b ^ c ^ d) + 0xca62c1d6;
}

/* Steps 2 to 4; the letters are those of the standard. */
static void sha1_hash_block(uint32_t state[5], const unsigned char *block)
{
    uint32_t words[SHA1_ROUNDS];
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];

    sha1_expand(block, words);
    for (int i = 0; i < SHA1_ROUNDS; i++) {
        uint32_t t = sha1_rotated(a, 5) + sha1_mixed(i, b, c, d) + e + words[i];
        e = d, d = c, c = sha1_rotated(b, 30);
        b = a, a = t;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

void websocketsha1_init(struct websocketsha1 *hash)
{
    memcpy(hash->state, sha1_first_state, sizeof sha1_first_state);
    hash->length = 0;
}

void websocketsha1_update(struct websocketsha1 *hash, const void *data, size_t length)
{
    const unsigned char *bytes = data;
    size_t filled = hash->length % WEBSOCKETSHA1_BLOCK;

    if (length == 0)
        return; /* memcpy may not be given NULL */
    hash->length += length;
    if (length < WEBSOCKETSHA1_BLOCK - filled) {
        memcpy(hash->block + filled, bytes, length);
        return;
    }
    memcpy(hash->block + filled, bytes, WEBSOCKETSHA1_BLOCK - filled);
    sha1_hash_block(hash->state, hash->block);
    bytes += WEBSOCKETSHA1_BLOCK - filled;
    length -= WEBSOCKETSHA1_BLOCK - filled;
    for (; length >= WEBSOCKETSHA1_BLOCK; bytes += WEBSOCKETSHA1_BLOCK, length -= WEBSOCKETSHA1_BLOCK)
        sha1_hash_block(hash->state, bytes);
    memcpy(hash->block, bytes, length);
}

/* A one bit, zeros, and the length in bits so that it ends a block (5.1.1). */
void websocketsha1_final(struct websocketsha1 *hash, unsigned char digest[WEBSOCKETSHA1_DIGEST])
{
    static const unsigned char padding[WEBSOCKETSHA1_BLOCK] = { 0x80 };
    uint64_t bits = hash->length * 8;
    size_t filled = hash->length % WEBSOCKETSHA1_BLOCK;
    size_t end = filled < SHA1_LENGTH_PLACE ? SHA1_LENGTH_PLACE : SHA1_LENGTH_PLACE + WEBSOCKETSHA1_BLOCK;
    unsigned char length[8];

    sha1_store(length, (uint32_t)(bits >> 32));
    sha1_store(length + 4, (uint32_t)bits);
    websocketsha1_update(hash, padding, end - filled);
    websocketsha1_update(hash, length, sizeof length);
    for (int i = 0; i < 5; i++)
        sha1_store(digest + 4 * i, hash->state[i]);
}
