/* Internal: httphmac.h, SHA-256 (FIPS 180-4) and HMAC with it (RFC 2104).
 *
 *     struct httphmac hmac;
 *     httphmac_init(&hmac, secret, secret_length);
 *     httphmac_update(&hmac, data, length);
 *     httphmac_final(&hmac, digest);
 *
 * Threads: any. */
#ifndef HTTPSERVER_HTTPHMAC_H
#define HTTPSERVER_HTTPHMAC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HTTPHMAC_DIGEST = 32, HTTPHMAC_BLOCK = 64 };

struct httphmac_hash {
    uint32_t state[8];
    uint64_t length; /* bytes so far; those that fill no block yet are in block */
    unsigned char block[HTTPHMAC_BLOCK];
};

struct httphmac {
    struct httphmac_hash inner, outer;
};

void httphmac_sha256(const void *data, size_t length, unsigned char digest[HTTPHMAC_DIGEST]);

/* Key and data of any length. final ends it: init comes next. */
void httphmac_init(struct httphmac *hmac, const void *key, size_t length);
void httphmac_update(struct httphmac *hmac, const void *data, size_t length);
void httphmac_final(struct httphmac *hmac, unsigned char digest[HTTPHMAC_DIGEST]);

/* The time it takes depends on the length alone. */
bool httphmac_equal(const void *a, const void *b, size_t length);

#endif
