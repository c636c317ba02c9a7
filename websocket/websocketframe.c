#include "websocket/websocketframe.h"

#include <string.h>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

enum {
    FRAME_FINAL = 0x80,
    FRAME_COMPRESSED = 0x40,
    FRAME_CONTROL = 0x08, /* of the opcode */
    FRAME_OPCODE = 0x0f,
    FRAME_MASKED = 0x80,
    FRAME_LENGTH = 0x7f,
    FRAME_LENGTH_16 = 126, /* the length is in the next 2 bytes, */
    FRAME_LENGTH_64 = 127, /* or 8 */
    FRAME_PROTOCOL_ERROR = -1002,
};

/* The opcodes that the high half of a first byte may have, a bit each: continuation, text, binary; close, ping, pong
 * only final; compressed only the first of a message (RFC 7692 6). RSV2 and RSV3 are nobody's. */
static const uint16_t frame_opcodes[16] = { [0x0] = 0x007, [0x4] = 0x006, [0x8] = 0x707, [0xc] = 0x006 };

static bool is_first_byte(uint8_t byte)
{
    return (frame_opcodes[byte >> 4] >> (byte & FRAME_OPCODE) & 1) != 0;
}

static uint64_t load_length(const uint8_t *bytes, size_t size)
{
    uint64_t length = 0;

    for (size_t i = 0; i < size; i++)
        length = length << 8 | bytes[i];
    return length;
}

/* A length of 2 or 8 bytes: answers how many, 0 when they are not all there, or the error. Of 8 the first bit has to be
 * 0, and of 2 and 8 none may do with fewer bytes. */
static int parse_extended(const uint8_t *bytes, size_t there, uint8_t kind, uint64_t *length)
{
    size_t size = kind == FRAME_LENGTH_16 ? 2 : 8;
    uint64_t least = kind == FRAME_LENGTH_16 ? FRAME_LENGTH_16 : 65536;

    if (size == 8 && there > 0 && bytes[0] >= 0x80)
        return FRAME_PROTOCOL_ERROR;
    if (size == 8 && there >= 6 && load_length(bytes, 6) == 0)
        return FRAME_PROTOCOL_ERROR;
    if (there < size)
        return 0;
    *length = load_length(bytes, size);
    return *length < least ? FRAME_PROTOCOL_ERROR : (int)size;
}

int websocketframe_parse(const void *data, size_t length, struct websocketframe *frame)
{
    const uint8_t *bytes = data;
    int extended = 0;

    if (length == 0)
        return 0;
    if (!is_first_byte(bytes[0]))
        return FRAME_PROTOCOL_ERROR;
    frame->opcode = bytes[0] & FRAME_OPCODE;
    frame->is_final = (bytes[0] & FRAME_FINAL) != 0;
    frame->is_compressed = (bytes[0] & FRAME_COMPRESSED) != 0;
    if (length == 1)
        return 0;
    frame->is_masked = (bytes[1] & FRAME_MASKED) != 0;
    frame->length = bytes[1] & FRAME_LENGTH;
    frame->mask = 0;
    if (frame->length >= FRAME_LENGTH_16) {
        if ((bytes[0] & FRAME_CONTROL) != 0)
            return FRAME_PROTOCOL_ERROR;
        extended = parse_extended(bytes + 2, length - 2, bytes[1] & FRAME_LENGTH, &frame->length);
        if (extended <= 0)
            return extended;
    }
    if (!frame->is_masked)
        return 2 + extended;
    if (length < 6 + (size_t)extended)
        return 0;
    memcpy(&frame->mask, bytes + 2 + extended, 4);
    return 6 + extended;
}

static size_t format_length(uint8_t *place, uint64_t length)
{
    size_t size = length > 65535 ? 8 : 2;

    for (size_t i = 0; i < size; i++)
        place[i] = (uint8_t)(length >> (8 * (size - 1 - i)));
    return size;
}

size_t websocketframe_format(char place[WEBSOCKETFRAME_LONGEST_HEAD], const struct websocketframe *frame)
{
    uint8_t *bytes = (uint8_t *)place;
    uint8_t masked = frame->is_masked ? FRAME_MASKED : 0;
    size_t size = 2;

    bytes[0] =
        (uint8_t)((frame->is_final ? FRAME_FINAL : 0) | (frame->is_compressed ? FRAME_COMPRESSED : 0) | frame->opcode);
    if (frame->length < FRAME_LENGTH_16) {
        bytes[1] = (uint8_t)(masked | frame->length);
    } else {
        bytes[1] = (uint8_t)(masked | (frame->length > 65535 ? FRAME_LENGTH_64 : FRAME_LENGTH_16));
        size += format_length(bytes + 2, frame->length);
    }
    if (!frame->is_masked)
        return size;
    memcpy(bytes + size, &frame->mask, 4);
    return size + 4;
}

bool websocketframe_is_code(int code)
{
    if (code < 3000)
        return code >= 1000 && code <= 1014 && (code < 1004 || code > 1006);
    return code <= 4999;
}

/* The mask for a payload from this offset on. */
uint32_t websocketframe_mask_at(uint32_t mask, uint64_t offset)
{
    unsigned bits = (unsigned)(offset & 3) * 8;

    if (bits == 0)
        return mask;
    if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
        return mask >> bits | mask << (32 - bits);
    return mask << bits | mask >> (32 - bits);
}

/* Bytes wherever they lie. */
typedef uint32_t frame_word __attribute__((aligned(1), may_alias));
typedef uint64_t frame_double __attribute__((aligned(1), may_alias));
typedef uint32_t frame_block __attribute__((vector_size(16), aligned(1), may_alias));

enum { FRAME_STEP = 256 };

#define FRAME_HIGH_BITS 0x8080808080808080u
#define FRAME_INLINE    static inline __attribute__((always_inline))

/* Vectors of the machine's own only save instructions. With -DWEBSOCKETFRAME_NO_VECTORS there are those of the compiler
 * alone; tests hold the two against each other.
 *
 * What masks, from here on, answers whether any byte that came out is none of ASCII. Nobody pays for that who does not
 * look at it. */

FRAME_INLINE void mask_block(unsigned char *to, const unsigned char *from, const frame_block *mask, frame_block *seen)
{
    frame_block masked = *(const frame_block *)from ^ *mask;

    *(frame_block *)to = masked;
    *seen |= masked;
}

#if defined(__SSE2__) && !defined(WEBSOCKETFRAME_NO_VECTORS)
FRAME_INLINE bool has_high_bit(const frame_block *seen)
{
    return _mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)seen)) != 0;
}
#else
FRAME_INLINE bool has_high_bit(const frame_block *seen)
{
    return (((*seen)[0] | (*seen)[1] | (*seen)[2] | (*seen)[3]) & (uint32_t)FRAME_HIGH_BITS) != 0;
}
#endif

/* Whole steps. */
static bool mask_steps(unsigned char *to, const unsigned char *from, size_t length, uint32_t mask)
{
    const frame_block block = { mask, mask, mask, mask };
    frame_block seen = { 0 }, seen_too = { 0 };

    for (size_t at = 0; at < length; at += 4 * sizeof block) {
        mask_block(to + at, from + at, &block, &seen);
        mask_block(to + at + 16, from + at + 16, &block, &seen_too);
        mask_block(to + at + 32, from + at + 32, &block, &seen);
        mask_block(to + at + 48, from + at + 48, &block, &seen_too);
    }
    seen |= seen_too;
    return has_high_bit(&seen);
}

/* The same with vectors of twice the width, where the processor has them: a third of the instructions. */
#if defined(__x86_64__) && !defined(WEBSOCKETFRAME_NO_VECTORS)
#define FRAME_WIDE __attribute__((target("avx2")))

FRAME_WIDE FRAME_INLINE __m256i mask_wide_block(unsigned char *to, const unsigned char *from, __m256i mask)
{
    __m256i masked = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(const void *)from), mask);

    _mm256_storeu_si256((__m256i *)(void *)to, masked);
    return masked;
}

FRAME_WIDE FRAME_INLINE bool mask_wide_steps(unsigned char *to, const unsigned char *from, size_t length, uint32_t mask)
{
    const __m256i wide = _mm256_set1_epi32((int)mask);
    __m256i seen = _mm256_setzero_si256();

    for (size_t at = 0; at < length; at += FRAME_STEP) {
        seen |= mask_wide_block(to + at, from + at, wide);
        seen |= mask_wide_block(to + at + 32, from + at + 32, wide);
        seen |= mask_wide_block(to + at + 64, from + at + 64, wide);
        seen |= mask_wide_block(to + at + 96, from + at + 96, wide);
        seen |= mask_wide_block(to + at + 128, from + at + 128, wide);
        seen |= mask_wide_block(to + at + 160, from + at + 160, wide);
        seen |= mask_wide_block(to + at + 192, from + at + 192, wide);
        seen |= mask_wide_block(to + at + 224, from + at + 224, wide);
    }
    return _mm256_movemask_epi8(seen) != 0;
}

FRAME_WIDE static bool mask_wide_text(unsigned char *to, const unsigned char *from, size_t length, uint32_t mask)
{
    return mask_wide_steps(to, from, length, mask);
}

FRAME_WIDE static void mask_wide(unsigned char *to, const unsigned char *from, size_t length, uint32_t mask)
{
    mask_wide_steps(to, from, length, mask);
}

static bool mask_fast(unsigned char *to, const unsigned char *from, size_t length, uint32_t mask, bool is_text)
{
    if (!__builtin_cpu_supports("avx2"))
        return mask_steps(to, from, length, mask);
    if (is_text)
        return mask_wide_text(to, from, length, mask);
    mask_wide(to, from, length, mask);
    return false;
}
#else
static bool mask_fast(unsigned char *to, const unsigned char *from, size_t length, uint32_t mask, bool is_text)
{
    return mask_steps(to, from, length, mask);
}
#endif

/* 16 bytes and more. What is behind the last whole block is masked with the 16 bytes that end there: these were loaded
 * before the blocks, as `to` may be `from`. */
FRAME_INLINE bool mask_blocks(unsigned char *to, const unsigned char *from, size_t length, uint32_t mask)
{
    uint32_t end_mask = websocketframe_mask_at(mask, length);
    const frame_block block = { mask, mask, mask, mask }, end_block = { end_mask, end_mask, end_mask, end_mask };
    frame_block end = *(const frame_block *)(from + length - 16) ^ end_block, seen = end;

    for (size_t at = 0; at < length - 16; at += 16)
        mask_block(to + at, from + at, &block, &seen);
    *(frame_block *)(to + length - 16) = end;
    return has_high_bit(&seen);
}

FRAME_INLINE uint64_t twice_mask(uint32_t mask)
{
    return (uint64_t)mask << 32 | mask;
}

FRAME_INLINE unsigned char masked_byte(const unsigned char *from, size_t at, uint32_t mask)
{
    uint32_t key = websocketframe_mask_at(mask, at);

    return (unsigned char)(*(from + at) ^ (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? key : key >> 24));
}

/* Fewer: in two halves, or three bytes, of which some may be the same. */
FRAME_INLINE bool mask_short(unsigned char *to, const unsigned char *from, size_t length, uint32_t mask)
{
    uint32_t end_mask = websocketframe_mask_at(mask, length);

    if (length >= 8) {
        uint64_t end = *(const frame_double *)(from + length - 8) ^ twice_mask(end_mask);
        uint64_t begin = *(const frame_double *)from ^ twice_mask(mask);
        *(frame_double *)to = begin;
        *(frame_double *)(to + length - 8) = end;
        return ((begin | end) & FRAME_HIGH_BITS) != 0;
    }
    if (length >= 4) {
        uint32_t end = *(const frame_word *)(from + length - 4) ^ end_mask;
        uint32_t begin = *(const frame_word *)from ^ mask;
        *(frame_word *)to = begin;
        *(frame_word *)(to + length - 4) = end;
        return ((begin | end) & (uint32_t)FRAME_HIGH_BITS) != 0;
    }
    if (length == 0)
        return false;
    unsigned char begin = masked_byte(from, 0, mask), middle = masked_byte(from, length / 2, mask);
    unsigned char end = masked_byte(from, length - 1, mask);
    to[0] = begin;
    to[length / 2] = middle;
    to[length - 1] = end;
    return (begin | middle | end) >= 0x80;
}

/* Any number, with the mask as it is at the first. */
FRAME_INLINE bool mask_few(unsigned char *to, const unsigned char *from, size_t length, uint32_t mask)
{
    return length >= 16 ? mask_blocks(to, from, length, mask) : mask_short(to, from, length, mask);
}

/* Not inlined, as otherwise short payloads would save registers for it. */
__attribute__((noinline)) static bool mask_many(unsigned char *to, const unsigned char *from, size_t length,
                                                uint32_t mask, bool is_text)
{
    size_t steps = length / FRAME_STEP * FRAME_STEP;
    bool is_seen = mask_fast(to, from, steps, mask, is_text);

    return mask_few(to + steps, from + steps, length - steps, mask) || is_seen;
}

void websocketframe_mask(void *to, const void *from, size_t length, uint32_t mask, uint64_t offset)
{
    mask = websocketframe_mask_at(mask, offset);
    if (length >= FRAME_STEP)
        mask_many(to, from, length, mask, false);
    else
        mask_few(to, from, length, mask);
}

bool websocketframe_unmask_text(void *bytes, size_t length, uint32_t mask)
{
    if (length >= FRAME_STEP)
        return !mask_many(bytes, bytes, length, mask, true);
    return !mask_few(bytes, bytes, length, mask);
}
