/* Internal: deflatepeer.h, for tests of WebSockets: the other side of permessage-deflate, whole messages at a time.
 *
 *     struct deflatepeer peer;
 *     deflatepeer_open(&peer, &terms, true);
 *     size_t length;
 *     char *payload = deflatepeer_compress(&peer, "hello", 5, &length);
 *     free(payload);
 *     deflatepeer_close(&peer);
 */
#ifndef TESTS_SUPPORT_DEFLATEPEER_H
#define TESTS_SUPPORT_DEFLATEPEER_H

#include <stdlib.h>
#include <string.h>

#include "tests/support/testing.h"
#include "websocket/websocketdeflate.h"

struct deflatepeer {
    struct websocketdeflate *deflate;
};

static inline void deflatepeer_open(struct deflatepeer *peer, const struct websocketdeflate_terms *terms,
                                    bool is_client)
{
    static const struct websocketdeflate_terms usual = { .server_window = 15, .client_window = 15 };

    peer->deflate = websocketdeflate_new(terms != NULL ? terms : &usual, is_client, 0);
    assert_non_null(peer->deflate);
}

static inline void deflatepeer_close(struct deflatepeer *peer)
{
    websocketdeflate_free(peer->deflate);
}

/* Answers what is to be freed. */
static inline char *deflatepeer_run(struct deflatepeer *peer, bool compresses, const void *data, size_t length,
                                    size_t *size)
{
    const char *at = data;
    char *all = malloc(1);
    struct websocketdeflate_piece piece;

    *size = 0;
    do {
        ssize_t taken = compresses ? websocketdeflate_compress(peer->deflate, at, length, true, &piece)
                                   : websocketdeflate_decompress(peer->deflate, at, length, true, UINT64_MAX, &piece);
        assert_true(taken >= 0);
        at += taken;
        length -= (size_t)taken;
        all = realloc(all, *size + piece.length + 1);
        assert_non_null(all);
        if (piece.length > 0)
            memcpy(all + *size, piece.data, piece.length);
        *size += piece.length;
    } while (piece.more);
    return all;
}

static inline char *deflatepeer_compress(struct deflatepeer *peer, const void *data, size_t length, size_t *size)
{
    return deflatepeer_run(peer, true, data, length, size);
}

static inline char *deflatepeer_decompress(struct deflatepeer *peer, const void *data, size_t length, size_t *size)
{
    return deflatepeer_run(peer, false, data, length, size);
}

#endif
