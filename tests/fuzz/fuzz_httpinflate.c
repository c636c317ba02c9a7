/* The decoder of deflate and gzip. The first bytes of the input are the format, the window and places of splits.
 *
 * What has to hold: however the bytes are split, output, end and refusal are the same; there is progress; with the
 * largest window it is all the same as zlib's. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "httpserver/httpinflate.h"
#include "tests/fuzz/fuzz.h"

#if __has_include(<zlib.h>)
#include <zlib.h>
#endif

enum { SETTINGS = 4, MOST = 4 * 1024 * 1024 };

struct trace {
    bool refused, done;
    size_t taken, length;
    const char *problem;
    uint8_t output[MOST];
};

/* One call with a copy of its own. Answers whether there is more to come from it. */
static bool decode_copy(struct httpinflate *inflate, const uint8_t *bytes, size_t length, int window_bits,
                        struct trace *trace)
{
    uint8_t *copy = malloc(length + (length == 0));
    struct httpinflate_piece piece;

    require(copy != NULL);
    memcpy(copy, bytes, length);
    ssize_t taken = httpinflate_decode(inflate, copy, length, &piece);
    free(copy);
    require(taken <= (ssize_t)length && (taken >= 0 || (taken == -EBADMSG && piece.length == 0)));
    require(piece.length <= (1u << window_bits) + 2048);
    require(trace->length + piece.length <= MOST);
    if (piece.length > 0)
        memcpy(trace->output + trace->length, piece.data, piece.length);
    trace->length += piece.length;
    trace->refused = taken < 0;
    trace->taken += taken > 0 ? (size_t)taken : 0;
    return taken > 0 || piece.length > 0;
}

/* False: it is a bomb, and not looked at further. */
static bool decode(enum httpinflate_format format, int window_bits, const uint8_t *bytes, size_t length, size_t first,
                   size_t step, struct trace *trace)
{
    struct httpinflate *inflate = httpinflate_new(format, window_bits);
    size_t given = first < length ? first : length;

    require(inflate != NULL);
    trace->taken = trace->length = 0;
    trace->refused = false;
    for (;;) {
        while (decode_copy(inflate, bytes + trace->taken, given - trace->taken, window_bits, trace))
            if (trace->length > MOST - 65536)
                return httpinflate_free(inflate), false;
        if (trace->refused || given == length)
            break;
        given = length - given > step ? given + step : length;
    }
    trace->done = httpinflate_done(inflate);
    trace->problem = httpinflate_problem(inflate);
    require(trace->refused == (trace->problem != NULL));
    require(trace->refused || trace->done || trace->taken == length);
    httpinflate_free(inflate);
    return true;
}

static void require_same(const struct trace *a, const struct trace *b)
{
    require(a->refused == b->refused && a->done == b->done && a->problem == b->problem);
    require(a->length == b->length && memcmp(a->output, b->output, a->length) == 0);
}

#ifdef ZLIB_VERSION
/* zlib says so some bytes later. */
static bool is_refused_early(const struct trace *trace)
{
    static const char *const problems[] = { "codes of lengths", "not gzip", "reserved flags of gzip" };

    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++)
        if (strcmp(trace->problem, problems[i]) == 0)
            return true;
    return false;
}

static void require_as_zlib(enum httpinflate_format format, const uint8_t *bytes, size_t length,
                            const struct trace *trace)
{
    static uint8_t output[MOST];
    z_stream stream = {
        .next_in = (uint8_t *)(uintptr_t)bytes, .avail_in = (unsigned)length, .next_out = output, .avail_out = MOST
    };

    require(inflateInit2(&stream, format == HTTPINFLATE_GZIP ? 31 : -15) == Z_OK);
    int result = inflate(&stream, Z_SYNC_FLUSH);
    while (format == HTTPINFLATE_GZIP && result == Z_STREAM_END && stream.avail_in > 0 && inflateReset(&stream) == Z_OK)
        result = inflate(&stream, Z_SYNC_FLUSH); /* the next member */
    inflateEnd(&stream);
    require((size_t)(stream.next_out - output) == trace->length && memcmp(output, trace->output, trace->length) == 0);
    if (result == Z_STREAM_END)
        require(stream.avail_in > 0 ? trace->refused && strcmp(trace->problem, "bytes behind the end") == 0
                                    : trace->done);
    else if (result == Z_DATA_ERROR)
        require(trace->refused);
    else
        require(!trace->done && (!trace->refused || is_refused_early(trace)));
}
#else
static void require_as_zlib(enum httpinflate_format format, const uint8_t *bytes, size_t length,
                            const struct trace *trace)
{
}
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct trace whole, part;

    if (size < SETTINGS)
        return 0;
    enum httpinflate_format format = data[0] % 3;
    int window_bits = data[0] & 0x80 ? 8 + data[1] % 8 : 15;
    const uint8_t *bytes = data + SETTINGS;
    size_t length = size - SETTINGS;

    if (!decode(format, window_bits, bytes, length, length, 1, &whole))
        return 0;
    require(decode(format, window_bits, bytes, length, data[2] * (length + 1) / 256, length, &part));
    require_same(&part, &whole);
    require(decode(format, window_bits, bytes, length, data[2], 1 + data[3] % 32u, &part));
    require_same(&part, &whole);
    if (window_bits == 15 && format != HTTPINFLATE_MESSAGES)
        require_as_zlib(format, bytes, length, &whole);
    return 0;
}
