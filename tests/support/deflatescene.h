/* Internal: deflatescene.h, for tests of a server's sockets that compress: a scene of socketscene.h with a client that
 * has agreed on it. */
#ifndef TESTS_SUPPORT_DEFLATESCENE_H
#define TESTS_SUPPORT_DEFLATESCENE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/deflatepeer.h"
#include "tests/support/socketscene.h"
#include "tests/support/testing.h"

#define DEFLATESCENE_OFFER "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"

enum { DEFLATESCENE_TEXT = SOCKETSCENE_TEXT | WSFRAMES_COMPRESSED };
enum { DEFLATESCENE_BINARY = SOCKETSCENE_BINARY | WSFRAMES_COMPRESSED };

/* What comes again and again, and what does not. */
static inline void deflatescene_fill_with_text(char *place, size_t length)
{
    for (size_t i = 0; i < length; i++)
        place[i] = "the quick brown fox jumps over the lazy dog, "[i % 45];
}

static inline void deflatescene_fill_with_noise(char *place, size_t length)
{
    uint32_t seed = 7692;

    for (size_t i = 0; i < length; i++) {
        seed = seed * 1664525u + 1013904223u;
        place[i] = (char)(seed >> 24);
    }
}

/* A scene with a client that has agreed on it. */
struct deflatescene {
    struct socketscene scene;
    struct httpscene_client *client;
    struct deflatepeer peer;
};

static inline void deflatescene_open(struct deflatescene *all, const struct websocket_handler *handler)
{
    socketscene_open(&all->scene, handler);
    all->client = socketscene_connect(&all->scene, DEFLATESCENE_OFFER);
    assert_true(websocket_compresses(all->scene.socket));
    deflatepeer_open(&all->peer, NULL, true);
}

static inline void deflatescene_close(struct deflatescene *all)
{
    deflatepeer_close(&all->peer);
    socketscene_close(&all->scene);
}

static inline void deflatescene_put(struct deflatescene *all, int first, const void *data, size_t length)
{
    size_t size;
    char *payload = deflatepeer_compress(&all->peer, data, length, &size);

    socketscene_put_bytes(&all->scene, all->client, first, payload, size);
    free(payload);
}

/* Answers the bytes of its payload as it came. */
static inline size_t deflatescene_expect(struct deflatescene *all, int first, const void *data, size_t length)
{
    struct httpscene_client *client = all->client;
    struct wsframes_frame frame;
    size_t size = 0, got = 0;

    while (size == 0) {
        if (httpscene_take(client, SIZE_MAX) == 0)
            testing_turn(all->scene.web.http.loop, client->fd);
        size = client->length > 0 ? wsframes_take(client->bytes, client->length, &frame) : 0;
    }
    assert_int_equal(frame.first, first);
    if (first & WSFRAMES_COMPRESSED) {
        char *payload = deflatepeer_decompress(&all->peer, frame.payload, frame.length, &got);
        assert_int_equal(got, length);
        assert_memory_equal(payload, data, length);
        free(payload);
    } else {
        assert_int_equal(frame.length, length);
        assert_memory_equal(frame.payload, data, length);
    }
    client->length -= size;
    memmove(client->bytes, client->bytes + size, client->length + 1);
    return frame.length;
}

#endif
