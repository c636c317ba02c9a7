/* Internal: websocketsha1.h, SHA-1 (FIPS 180-4), which RFC 6455 1.3 wants for Sec-WebSocket-Accept, and nothing else
 * should.
 *
 * Threads: any. */
#ifndef WEBSOCKET_WEBSOCKETSHA1_H
#define WEBSOCKET_WEBSOCKETSHA1_H

#include <stddef.h>
#include <stdint.h>

enum { WEBSOCKETSHA1_DIGEST = 20, WEBSOCKETSHA1_BLOCK = 64 };

struct websocketsha1 {
    uint32_t state[5];
    uint64_t length;
    unsigned char block[WEBSOCKETSHA1_BLOCK];
};

void websocketsha1_init(struct websocketsha1 *hash);
void websocketsha1_update(struct websocketsha1 *hash, const void *data, size_t length);
void websocketsha1_final(struct websocketsha1 *hash, unsigned char digest[WEBSOCKETSHA1_DIGEST]);

#endif
