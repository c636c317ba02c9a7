/* The encoder of deflate and gzip. The first bytes of the input are format, level, window, how often what follows
 * comes, where it is flushed, and how it is split.
 *
 * What has to hold: our decoder, and zlib's, with a window of that size, make the same bytes of it again, and at each
 * flush all that have come; splits make no difference; what is incompressible grows by little. */
#include <string.h>

#include "httpserver/httpdeflate.h"
#include "httpserver/httpinflate.h"
#include "tests/fuzz/fuzz.h"

#if __has_include(<zlib.h>)
#include <zlib.h>
#endif

enum { SETTINGS = 7, MOST = 60000, FLUSHES = 40 };

struct plan {
    enum httpdeflate_format format;
    int level, window_bits;
    enum httpdeflate_flush flush; /* at all places but the last */
    size_t flushes[FLUSHES], flush_count;
};

struct encoded {
    size_t length, ends[FLUSHES];
    uint8_t bytes[2 * MOST];
};

static void encode_part(struct httpdeflate *deflate, const uint8_t *bytes, size_t length, size_t step,
                        enum httpdeflate_flush flush, struct encoded *encoded)
{
    struct httpdeflate_piece piece;
    size_t at = 0;

    do {
        size_t given = length - at < step ? length - at : step;
        size_t taken =
            httpdeflate_encode(deflate, bytes + at, given, at + given == length ? flush : HTTPDEFLATE_MORE, &piece);
        require(taken <= given && (piece.more || taken == given));
        require(encoded->length + piece.length <= sizeof encoded->bytes);
        memcpy(encoded->bytes + encoded->length, piece.data, piece.length);
        encoded->length += piece.length;
        at += taken;
    } while (piece.more || at < length);
}

static void encode(const struct plan *plan, struct httpdeflate *deflate, const uint8_t *bytes, size_t length,
                   size_t step, struct encoded *encoded)
{
    size_t at = 0;

    encoded->length = 0;
    for (size_t i = 0; i < plan->flush_count; at = plan->flushes[i++]) {
        encode_part(deflate, bytes + at, plan->flushes[i] - at, step, plan->flush, encoded);
        encoded->ends[i] = encoded->length;
    }
    encode_part(deflate, bytes + at, length - at, step, HTTPDEFLATE_FINISH, encoded);
}

/* These bytes are exactly what is wanted. */
static void require_decoded(struct httpinflate *inflate, const uint8_t *bytes, size_t size, const uint8_t *wanted,
                            size_t length)
{
    struct httpinflate_piece piece;
    size_t at = 0, total = 0;
    ssize_t taken;

    do {
        taken = httpinflate_decode(inflate, bytes + at, size - at, &piece);
        require(taken >= 0 && total + piece.length <= length);
        require(piece.length == 0 || memcmp(wanted + total, piece.data, piece.length) == 0);
        total += piece.length;
        at += (size_t)taken;
    } while (taken > 0 || piece.length > 0);
    require(total == length && at == size);
}

static void decode(const struct plan *plan, const struct encoded *encoded, const uint8_t *bytes, size_t length)
{
    enum httpinflate_format format = plan->format == HTTPDEFLATE_GZIP     ? HTTPINFLATE_GZIP
                                     : plan->flush == HTTPDEFLATE_MESSAGE ? HTTPINFLATE_MESSAGES
                                                                          : HTTPINFLATE_RAW;
    struct httpinflate *inflate = httpinflate_new(format, plan->window_bits);
    size_t at = 0, end = 0;

    require(inflate != NULL);
    for (size_t i = 0; i < plan->flush_count; at = plan->flushes[i], end = encoded->ends[i++]) {
        require_decoded(inflate, encoded->bytes + end, encoded->ends[i] - end, bytes + at, plan->flushes[i] - at);
        require(format != HTTPINFLATE_MESSAGES || httpinflate_end_message(inflate) == 0);
    }
    require_decoded(inflate, encoded->bytes + end, encoded->length - end, bytes + at, length - at);
    require(httpinflate_done(inflate) == (format != HTTPINFLATE_MESSAGES));
    httpinflate_free(inflate);
}

#ifdef ZLIB_VERSION
static void decode_with_zlib(const struct plan *plan, struct encoded *encoded, const uint8_t *bytes, size_t length)
{
    static uint8_t output[MOST];
    z_stream stream = { .next_in = encoded->bytes, .avail_in = (unsigned)encoded->length };

    if (plan->flush == HTTPDEFLATE_MESSAGE)
        return;
    require(inflateInit2(&stream, plan->format == HTTPDEFLATE_GZIP ? 16 + plan->window_bits : -plan->window_bits) ==
            Z_OK);
    for (int result = Z_OK; result != Z_STREAM_END;) { /* by pieces, so that it has little more than the window */
        stream.next_out = output + stream.total_out;
        stream.avail_out = (unsigned)(length - stream.total_out < 32 ? length - stream.total_out : 32);
        result = inflate(&stream, Z_SYNC_FLUSH);
        require(result == Z_OK || result == Z_STREAM_END);
    }
    require(stream.total_out == length && stream.avail_in == 0 && memcmp(output, bytes, length) == 0);
    inflateEnd(&stream);
}
#else
static void decode_with_zlib(const struct plan *plan, struct encoded *encoded, const uint8_t *bytes, size_t length)
{
}
#endif

/* The bytes so many times, each time a little different. */
static size_t repeat(const uint8_t *data, size_t size, unsigned times, uint8_t *place)
{
    size_t length = 0;

    for (unsigned i = 0; i < times && length + size <= MOST; i++, length += size) {
        memcpy(place + length, data, size);
        if (size > 0)
            place[length + i * 31 % size] ^= (uint8_t)i;
    }
    return length;
}

static void place_flushes(struct plan *plan, size_t length, size_t every)
{
    for (size_t at = every; every > 0 && at < length && plan->flush_count < FLUSHES; at += every)
        plan->flushes[plan->flush_count++] = at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t bytes[MOST];
    static struct encoded encoded, again;

    if (size < SETTINGS)
        return 0;
    struct plan plan = { .format = data[0] & 1 ? HTTPDEFLATE_GZIP : HTTPDEFLATE_RAW,
                         .level = data[1] % 10,
                         .window_bits = 8 + data[2] % 8,
                         .flush = (data[0] & 7) == 6 ? HTTPDEFLATE_MESSAGE : HTTPDEFLATE_SYNC };
    size_t length = repeat(data + SETTINGS, size - SETTINGS, 1 + data[3] % 64u, bytes);
    struct httpdeflate *deflate = httpdeflate_new(plan.format, plan.level, plan.window_bits);

    require(deflate != NULL);
    place_flushes(&plan, length, data[4] * (size_t)(data[5] & 0x0f) * 4);
    encode(&plan, deflate, bytes, length, MOST, &encoded);
    decode(&plan, &encoded, bytes, length);
    decode_with_zlib(&plan, &encoded, bytes, length);
    require(encoded.length <= length + length / 16 + 64 + 12 * plan.flush_count);
    httpdeflate_free(deflate);
    deflate = httpdeflate_new(plan.format, plan.level, plan.window_bits);
    require(deflate != NULL);
    encode(&plan, deflate, bytes, length, 1 + data[6] * (size_t)(data[5] >> 4), &again);
    require(again.length == encoded.length && memcmp(again.bytes, encoded.bytes, encoded.length) == 0);
    httpdeflate_reset(deflate);
    encode(&plan, deflate, bytes, length, MOST, &again);
    decode(&plan, &again, bytes, length);
    httpdeflate_free(deflate);
    return 0;
}
