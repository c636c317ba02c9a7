/* Internal: gzipanswer.h, for tests of responses in gzip: one to answer fetches with, in any framing.
 *
 *     fetchscene_open(&scene, NULL);
 *     pack("hello", 5);
 *     make_answer("200 OK", GZIP, IN_CHUNKS, 7);
 *     fetchscene_expect(&scene, fetch_answer(plain), 200, "hello");
 *     fetchscene_close(&scene); */
#ifndef TESTS_SUPPORT_GZIPANSWER_H
#define TESTS_SUPPORT_GZIPANSWER_H

#include <stdio.h>
#include <string.h>

#include "tests/support/fetchscene.h"
#include "tests/support/packed.h"
#include "tests/support/testing.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define GZIP         "Content-Encoding: gzip\r\n"

enum { BY_LENGTH, IN_CHUNKS, UNTIL_CLOSE, FRAMINGS };

static struct fetchscene scene;
static struct fetchscene_request seen;

static char answer[sizeof packed + 10000];
static size_t answer_length;

static const struct httpclient_request plain = { .url = "/", .decompress_response = true };
static const struct httpclient_request streamed = { .url = "/",
                                                    .decompress_response = true,
                                                    .header_callback = fetchscene_on_line,
                                                    .streaming_callback = fetchscene_on_data };

static inline void add_bytes(const char *bytes, size_t length)
{
    assert_true(answer_length + length <= sizeof answer);
    memcpy(answer + answer_length, bytes, length);
    answer_length += length;
}

static inline void add_text(const char *text)
{
    add_bytes(text, strlen(text));
}

static inline void add_chunks(size_t most)
{
    char line[32];

    for (size_t at = 0, size; at < packed_length; at += size) {
        size = packed_length - at < most ? packed_length - at : most;
        snprintf(line, sizeof line, "%zx\r\n", size);
        add_text(line);
        add_bytes(packed + at, size);
        add_text("\r\n");
    }
    add_text("0\r\n\r\n");
}

/* An answer with what is packed. */
static inline void make_answer(const char *status, const char *headers, int framing, size_t chunk)
{
    char line[64];

    answer_length = 0;
    add_text("HTTP/1.1 ");
    add_text(status);
    add_text("\r\n");
    add_text(headers);
    if (framing == BY_LENGTH) {
        snprintf(line, sizeof line, "Content-Length: %zu\r\n\r\n", packed_length);
        add_text(line);
        add_bytes(packed, packed_length);
    } else if (framing == IN_CHUNKS) {
        add_text("Transfer-Encoding: chunked\r\n\r\n");
        add_chunks(chunk);
    } else {
        add_text("\r\n");
        add_bytes(packed, packed_length);
    }
}

/* Sends it behind a request that comes over a new connection. */
static inline struct fetchscene_peer *send_answer(void)
{
    struct fetchscene_peer *peer = fetchscene_accept(&scene);

    fetchscene_take_request(&scene, peer, &seen);
    fetchscene_put_bytes(&scene, peer, answer, answer_length);
    return peer;
}

static inline void end_connection(struct fetchscene_peer *peer)
{
    fetchscene_hang_up(peer);
    fetchscene_settle(&scene);
}

/* Makes the request, sends the answer, and closes. */
static inline struct fetchscene_fetch *fetch_answer(struct httpclient_request request)
{
    struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, request);
    struct fetchscene_peer *peer = send_answer();

    fetchscene_finish(peer);
    fetchscene_settle(&scene);
    end_connection(peer);
    return fetch;
}

static inline void pause_always(struct fetchscene_fetch *fetch)
{
    httpclient_pause(scene.client, fetch->id);
}

/* Until it has ended, or been resumed so often. */
static inline void resume_at_most(struct fetchscene_fetch *fetch, int most)
{
    for (int i = 0; i < most && fetch->calls == 0; i++) {
        fetchscene_settle(&scene);
        httpclient_resume(scene.client, fetch->id);
    }
}

#endif
