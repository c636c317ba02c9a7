#include "httpserver/httphmac.h"

#include <string.h>

enum { HASH_ROUNDS = 64, HASH_LENGTH_PLACE = HTTPHMAC_BLOCK - 8 };

/* The first 32 bits of the fractions of the cube roots of the first 64 primes (FIPS 180-4 4.2.2). */
static const uint32_t round_constants[HASH_ROUNDS] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

/* The same of the square roots of the first eight (5.3.3). */
static const uint32_t first_state[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

static uint32_t rotated_right(uint32_t word, int bits)
{
    return word >> bits | word << (32 - bits);
}

static uint32_t load_big_endian(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void store_big_endian(unsigned char *place, uint32_t word)
{
    place[0] = (unsigned char)(word >> 24);
    place[1] = (unsigned char)(word >> 16);
    place[2] = (unsigned char)(word >> 8);
    place[3] = (unsigned char)word;
}

/* The message schedule, 6.2.2 step 1. */
static void expand_block(const unsigned char *block, uint32_t words[HASH_ROUNDS])
{
    for (int i = 0; i < 16; i++)
        words[i] = load_big_endian(block + 4 * i);
    for (int i = 16; i < HASH_ROUNDS; i++) {
        uint32_t early = words[i - 15], late = words[i - 2];
        uint32_t sigma0 = rotated_right(early, 7) ^ rotated_right(early, 18) ^ early >> 3;
        uint32_t sigma1 = rotated_right(late, 17) ^ rotated_right(late, 19) ^ late >> 10;
        words[i] = sigma1 + words[i - 7] + sigma0 + words[i - 16];
    }
}

/* Steps 2 to 4; the letters are those of the standard. */
static void hash_block(uint32_t state[8], const unsigned char *block)
{
    uint32_t words[HASH_ROUNDS];
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];

    expand_block(block, words);
    for (int i = 0; i < HASH_ROUNDS; i++) {
        uint32_t sum1 = rotated_right(e, 6) ^ rotated_right(e, 11) ^ rotated_right(e, 25);
        uint32_t sum0 = rotated_right(a, 2) ^ rotated_right(a, 13) ^ rotated_right(a, 22);
        uint32_t t1 = h + sum1 + ((e & f) ^ (~e & g)) + round_constants[i] + words[i];
        uint32_t t2 = sum0 + ((a & b) ^ (a & c) ^ (b & c));
        h = g, g = f, f = e, e = d + t1;
        d = c, c = b, b = a, a = t1 + t2;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
    state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

static void hash_start(struct httphmac_hash *hash)
{
    memcpy(hash->state, first_state, sizeof first_state);
    hash->length = 0;
}

static void hash_update(struct httphmac_hash *hash, const void *data, size_t length)
{
    const unsigned char *bytes = data;
    size_t filled = hash->length % HTTPHMAC_BLOCK;

    if (length == 0)
        return; /* memcpy may not be given NULL */
    hash->length += length;
    if (length < HTTPHMAC_BLOCK - filled) {
        memcpy(hash->block + filled, bytes, length);
        return;
    }
    memcpy(hash->block + filled, bytes, HTTPHMAC_BLOCK - filled);
    hash_block(hash->state, hash->block);
    bytes += HTTPHMAC_BLOCK - filled;
    length -= HTTPHMAC_BLOCK - filled;
    for (; length >= HTTPHMAC_BLOCK; bytes += HTTPHMAC_BLOCK, length -= HTTPHMAC_BLOCK)
        hash_block(hash->state, bytes);
    memcpy(hash->block, bytes, length);
}

/* A one bit, zeros, and the length in bits so that it ends a block (5.1.1). */
static void hash_final(struct httphmac_hash *hash, unsigned char digest[HTTPHMAC_DIGEST])
{
    static const unsigned char padding[HTTPHMAC_BLOCK] = { 0x80 };
    uint64_t bits = hash->length * 8;
    size_t filled = hash->length % HTTPHMAC_BLOCK;
    unsigned char length[8];

    store_big_endian(length, (uint32_t)(bits >> 32));
    store_big_endian(length + 4, (uint32_t)bits);
    hash_update(hash, padding,
                (filled < HASH_LENGTH_PLACE ? HASH_LENGTH_PLACE : HASH_LENGTH_PLACE + HTTPHMAC_BLOCK) - filled);
    hash_update(hash, length, sizeof length);
    for (int i = 0; i < 8; i++)
        store_big_endian(digest + 4 * i, hash->state[i]);
}

void httphmac_sha256(const void *data, size_t length, unsigned char digest[HTTPHMAC_DIGEST])
{
    struct httphmac_hash hash;

    hash_start(&hash);
    hash_update(&hash, data, length);
    hash_final(&hash, digest);
}

static void hash_padded_key(struct httphmac_hash *hash, const unsigned char key[HTTPHMAC_BLOCK], unsigned char pad)
{
    unsigned char block[HTTPHMAC_BLOCK];

    for (int i = 0; i < HTTPHMAC_BLOCK; i++)
        block[i] = key[i] ^ pad;
    hash_start(hash);
    hash_update(hash, block, sizeof block);
}

void httphmac_init(struct httphmac *hmac, const void *key, size_t length)
{
    unsigned char block[HTTPHMAC_BLOCK] = { 0 };

    if (length > HTTPHMAC_BLOCK)
        httphmac_sha256(key, length, block);
    else if (length > 0)
        memcpy(block, key, length);
    hash_padded_key(&hmac->inner, block, 0x36);
    hash_padded_key(&hmac->outer, block, 0x5c);
}

void httphmac_update(struct httphmac *hmac, const void *data, size_t length)
{
    hash_update(&hmac->inner, data, length);
}

void httphmac_final(struct httphmac *hmac, unsigned char digest[HTTPHMAC_DIGEST])
{
    hash_final(&hmac->inner, digest);
    hash_update(&hmac->outer, digest, HTTPHMAC_DIGEST);
    hash_final(&hmac->outer, digest);
}

/* volatile: a compiler that sees where the loop could end may end it there. */
bool httphmac_equal(const void *a, const void *b, size_t length)
{
    const volatile unsigned char *left = a, *right = b;
    unsigned char difference = 0;

    for (size_t i = 0; i < length; i++)
        difference = (unsigned char)(difference | (left[i] ^ right[i]));
    return difference == 0;
}
