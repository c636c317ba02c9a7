/* The decoder of chunked bodies. The first bytes of the input are limits and the place of a split.
 *
 * What has to hold: however the bytes are split, the body, its end, the trailers and the refusal are the same; limits
 * are kept; there is progress; what a decoded body is encoded to is decoded to the same. */
#include <stdlib.h>
#include <string.h>

#include "httpserver/httpchunked.h"
#include "httpserver/httpheaders.h"
#include "tests/fuzz/fuzz.h"

enum { SETTINGS = 6, MOST = 8192 };

struct trace {
    ssize_t status; /* 0, or of the refusal */
    bool done;
    size_t taken, body_length, trailers_length;
    const char *reason;
    char body[MOST];
    char trailers[MOST];
};

/* One call with a copy of its own, so that no byte behind it can be read unseen. */
static ssize_t decode_copy(struct httpchunked *chunked, const struct httpchunked_limits *limits, const char *bytes,
                           size_t length, struct httpheaders *trailers, struct trace *trace)
{
    char *copy = malloc(length + (length == 0));
    struct httpchunked_piece piece;

    require(copy != NULL);
    memcpy(copy, bytes, length);
    ssize_t taken = httpchunked_decode(chunked, limits, copy, length, &piece, trailers);
    require(taken <= (ssize_t)length && (taken < 0) == (piece.reason != NULL));
    require(taken >= 0 || taken == -400 || taken == -413 || taken == -431);
    require(piece.length == 0 || (piece.data >= copy && piece.data + piece.length <= copy + taken));
    require(taken > 0 || piece.length == 0);
    if (piece.length > 0)
        memcpy(trace->body + trace->body_length, piece.data, piece.length);
    trace->body_length += piece.length;
    trace->done = piece.done;
    trace->reason = piece.reason;
    free(copy);
    return taken;
}

/* First so many bytes, then so many at a time. */
static void decode(const char *bytes, size_t length, size_t first, size_t step, const struct httpchunked_limits *limits,
                   struct trace *trace)
{
    struct httpchunked chunked = { 0 };
    struct httpheaders trailers = { 0 };
    size_t given = first < length ? first : length;
    ssize_t taken = 0;

    trace->taken = trace->body_length = 0;
    trace->done = false;
    for (;;) {
        while ((taken = decode_copy(&chunked, limits, bytes + trace->taken, given - trace->taken, &trailers, trace)) >
               0) {
            trace->taken += (size_t)taken;
            if (trace->done)
                break;
        }
        if (taken < 0 || trace->done || given == length)
            break;
        given = length - given > step ? given + step : length;
    }
    trace->status = taken < 0 ? taken : 0;
    require(trace->done || taken < 0 || trace->taken == length || chunked.scanned > 0);
    require(trace->body_length <= limits->body && chunked.body <= limits->body);
    require(httpheaders_count(&trailers) <= limits->trailer_lines);
    trace->trailers_length = httpheaders_serialize(&trailers, trace->trailers);
    require(trace->done || trace->trailers_length == 0);
    httpheaders_free(&trailers);
}

static void require_same(const struct trace *a, const struct trace *b)
{
    require(a->status == b->status && a->done == b->done);
    require(a->body_length == b->body_length && memcmp(a->body, b->body, a->body_length) == 0);
    require(a->trailers_length == b->trailers_length && memcmp(a->trailers, b->trailers, a->trailers_length) == 0);
    require(!a->done || a->taken == b->taken);
    require((a->reason == NULL) == (b->reason == NULL) && (a->reason == NULL || strcmp(a->reason, b->reason) == 0));
}

/* None of what would mean something in a head. */
static void require_harmless(const struct trace *trace)
{
    static char head[MOST];
    struct httpheaders trailers = { 0 };

    memcpy(head, trace->trailers, trace->trailers_length);
    require(httpheaders_parse(&trailers, head, trace->trailers_length) == 0);
    require(httpheaders_get(&trailers, "Content-Length") == NULL);
    require(httpheaders_get(&trailers, "Transfer-Encoding") == NULL);
    require(httpheaders_get(&trailers, "Host") == NULL && httpheaders_get(&trailers, "Cookie") == NULL);
    httpheaders_free(&trailers);
}

/* The body in chunks of so many bytes, with the trailers. */
static void require_same_when_encoded(const struct trace *trace, size_t step)
{
    static char text[MOST * 8];
    static struct trace again;
    const struct httpchunked_limits limits = { .body = MOST, .trailer_lines = 1000 };
    size_t length = 0;

    for (size_t at = 0; at < trace->body_length; at += step) {
        size_t part = trace->body_length - at < step ? trace->body_length - at : step;
        length += httpchunked_format(text + length, part);
        memcpy(text + length, trace->body + at, part);
        memcpy(text + length + part, "\r\n", 2);
        length += part + 2;
    }
    length += httpchunked_format(text + length, 0);
    memcpy(text + length, trace->trailers, trace->trailers_length);
    memcpy(text + length + trace->trailers_length, "\r\n", 2);
    decode(text, length + trace->trailers_length + 2, step, step + 1, &limits, &again);
    require(again.done && again.taken == length + trace->trailers_length + 2);
    require(again.body_length == trace->body_length && memcmp(again.body, trace->body, again.body_length) == 0);
    require(again.trailers_length == trace->trailers_length);
    require(memcmp(again.trailers, trace->trailers, again.trailers_length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct trace whole, part;

    if (size < SETTINGS || size > MOST)
        return 0;
    const struct httpchunked_limits limits = {
        .body = 1 + data[0] * 32u, .line = 1 + data[1], .trailers = 2 + data[2] * 8u, .trailer_lines = 1 + data[3] % 20u
    };
    const char *bytes = (const char *)data + SETTINGS;
    size_t length = size - SETTINGS;

    decode(bytes, length, length, 1, &limits, &whole);
    decode(bytes, length, data[4] * (length + 1) / 256, length, &limits, &part);
    require_same(&part, &whole);
    decode(bytes, length, 1, 1, &limits, &part);
    require_same(&part, &whole);
    decode(bytes, length, data[4], 1 + data[5] % 64u, &limits, &part);
    require_same(&part, &whole);
    if (!whole.done)
        return 0;
    require_harmless(&whole);
    require_same_when_encoded(&whole, 1 + (data[5] > 32 ? data[5] * 16u : data[5] + 8u));
    return 0;
}
