/* Internal: http1bytes.h, the bytes of a head: what each may be part of, and passing over many of them at once.
 *
 * The table is the grammar. Vectors only save looking up byte after byte: what they pass over the table would pass over
 * too, and where they stop the table has the last word. Without SSE2, or with -DHTTP1PARSER_NO_VECTORS, it has the only
 * one; tests hold the two against each other.
 *
 * `end` is where the bytes end; nothing from there on is read. */
#ifndef HTTPSERVER_HTTP1BYTES_H
#define HTTPSERVER_HTTP1BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* For small things called from several places for every line; compilers do not inline those unasked. */
#define HTTP1BYTES_INLINE static inline __attribute__((always_inline))

/* What a byte may be part of. Not ctype: its answers depend on the locale. */
enum {
    HTTP1BYTES_TOKEN = 1,  /* tchar, RFC 9110 5.6.2 */
    HTTP1BYTES_TARGET = 2, /* VCHAR but "#", which no request target has, RFC 9112 3.2 */
    HTTP1BYTES_HOST = 4,   /* unreserved and sub-delims, RFC 3986 2, but no comma: a list of hosts is not a host */
    HTTP1BYTES_HEX = 8,
    HTTP1BYTES_DIGIT = 16,
    HTTP1BYTES_BLANK = 32,   /* SP and HTAB */
    HTTP1BYTES_CONTROL = 64, /* CTL, RFC 5234 B.1, but HTAB; what is none may be in a value: 0x80 and above any text */
};

/* clang-format off */
#define B HTTP1BYTES_BLANK
#define C HTTP1BYTES_CONTROL
#define T HTTP1BYTES_TOKEN
#define V HTTP1BYTES_TARGET
#define W (T | V)
#define H (V | HTTP1BYTES_HOST)
#define A (T | V | HTTP1BYTES_HOST)
#define X (A | HTTP1BYTES_HEX)
#define D (X | HTTP1BYTES_DIGIT)
static const uint8_t http1bytes_classes[256] = {
    [0x00] = /*   HTAB is the blank  */ C, C, C, C, C, C, C, C, C, B, C, C, C, C, C, C,
    [0x10] = /*                      */ C, C, C, C, C, C, C, C, C, C, C, C, C, C, C, C,
    [0x20] = /*  !"#$%&'()*+,-./     */ B, A, V, T, A, W, A, A, H, H, A, A, V, A, A, V,
    [0x30] = /* 0123456789:;<=>?     */ D, D, D, D, D, D, D, D, D, D, V, H, V, H, V, V,
    [0x40] = /* @ABCDEFGHIJKLMNO     */ V, X, X, X, X, X, X, A, A, A, A, A, A, A, A, A,
    [0x50] = /* PQRSTUVWXYZ[\]^_     */ A, A, A, A, A, A, A, A, A, A, A, V, V, V, W, A,
    [0x60] = /* `abcdefghijklmno     */ W, X, X, X, X, X, X, A, A, A, A, A, A, A, A, A,
    [0x70] = /* pqrstuvwxyz{|}~ DEL  */ A, A, A, A, A, A, A, A, A, A, A, V, W, V, A, C,
};
#undef B
#undef C
#undef T
#undef V
#undef W
#undef H
#undef A
#undef X
#undef D
/* clang-format on */

static inline bool http1bytes_is_a(uint8_t byte, unsigned classes)
{
    return (http1bytes_classes[byte] & classes) != 0;
}

/* The position of the first byte of another class. There has to be one: CR and LF are controls and nothing else. */
static inline size_t http1bytes_skip(const uint8_t *bytes, size_t at, unsigned classes)
{
    while (http1bytes_is_a(bytes[at], classes))
        at++;
    return at;
}

/* A block of bytes is looked at as a whole. Of marks, the first byte's is the lowest bit. */
enum { HTTP1BYTES_BLOCK = 16, HTTP1BYTES_MARKS = 64 };

#define HTTP1BYTES_EACH(byte) (0x0101010101010101u * (uint64_t)(byte))

#if defined(__SSE2__) && !defined(HTTP1PARSER_NO_VECTORS)
#include <emmintrin.h>

static inline __m128i http1bytes_load(const uint8_t *block)
{
    return _mm_loadu_si128((const __m128i *)(const void *)block);
}

/* Marks of the control characters, 0x00-0x1F and 0x7F. */
static inline uint64_t http1bytes_block_controls(const uint8_t *block)
{
    __m128i bytes = http1bytes_load(block);
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
    __m128i delete = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));

    return (unsigned)_mm_movemask_epi8(_mm_or_si128(low, delete));
}

/* How many bytes come before the first marked one, all of the block at most. */
static inline size_t http1bytes_before(unsigned marks)
{
    return (unsigned)__builtin_ctz(marks | 1u << HTTP1BYTES_BLOCK);
}

/* Which bytes are letters. Comparisons are of signed bytes: the 26 letters are moved to the lowest values that there
 * are. */
static inline __m128i http1bytes_letters(__m128i bytes)
{
    __m128i folded = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
    __m128i moved = _mm_add_epi8(folded, _mm_set1_epi8((char)(-128 - 'a')));

    return _mm_cmplt_epi8(moved, _mm_set1_epi8(-128 + 26));
}

/* How many bytes are letters or "-". */
static inline size_t http1bytes_count_letters(const uint8_t *block)
{
    __m128i bytes = http1bytes_load(block);
    __m128i dashes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('-'));

    return http1bytes_before(~(unsigned)_mm_movemask_epi8(_mm_or_si128(http1bytes_letters(bytes), dashes)));
}

/* Marks of the bytes that are letters, digits, "-" or ".": from "-" to "9" there is only "/" besides. */
static inline unsigned http1bytes_block_hosts(const uint8_t *block)
{
    __m128i bytes = http1bytes_load(block);
    __m128i moved = _mm_add_epi8(bytes, _mm_set1_epi8((char)(-128 - '-')));
    __m128i others = _mm_cmplt_epi8(moved, _mm_set1_epi8(-128 + '9' + 1 - '-'));
    __m128i slashes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('/'));

    return (unsigned)_mm_movemask_epi8(_mm_or_si128(http1bytes_letters(bytes), _mm_andnot_si128(slashes, others)));
}

/* How many bytes a target may have. Those from 0x80 on, being negative, are not over the blank either. */
static inline size_t http1bytes_count_target(const uint8_t *block)
{
    __m128i bytes = http1bytes_load(block);
    __m128i over_blank = _mm_cmpgt_epi8(bytes, _mm_set1_epi8(' '));
    __m128i hash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('#'));
    __m128i delete = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));

    return http1bytes_before(~(unsigned)_mm_movemask_epi8(_mm_andnot_si128(_mm_or_si128(hash, delete), over_blank)));
}

static inline size_t http1bytes_count_text(const uint8_t *block)
{
    return http1bytes_before((unsigned)http1bytes_block_controls(block));
}

#else

/* Compilers make one load of this. */
static inline uint64_t http1bytes_load(const uint8_t *at)
{
    return (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 | (uint64_t)at[3] << 24 |
           (uint64_t)at[4] << 32 | (uint64_t)at[5] << 40 | (uint64_t)at[6] << 48 | (uint64_t)at[7] << 56;
}

/* Neither sum carries from one byte into the next, so the top bit of each tells of that byte alone. The product moves
 * each of the eight bits to a place of its own among the highest eight. */
static inline uint64_t http1bytes_word_controls(const uint8_t *at)
{
    uint64_t word = http1bytes_load(at);
    uint64_t not_low = (word & HTTP1BYTES_EACH(0x7f)) + HTTP1BYTES_EACH(0x80 - 0x20);
    uint64_t not_delete = ((word ^ HTTP1BYTES_EACH(0x7f)) & HTTP1BYTES_EACH(0x7f)) + HTTP1BYTES_EACH(0x7f);
    uint64_t controls = ~((not_low & not_delete) | word) & HTTP1BYTES_EACH(0x80);

    return (controls >> 7) * 0x0102040810204080u >> 56;
}

static inline uint64_t http1bytes_block_controls(const uint8_t *block)
{
    return http1bytes_word_controls(block) | http1bytes_word_controls(block + 8) << 8;
}

/* These leave all to the table. */
static inline unsigned http1bytes_block_hosts(const uint8_t *block)
{
    return 0;
}

static inline size_t http1bytes_count_letters(const uint8_t *block)
{
    return 0;
}

static inline size_t http1bytes_count_target(const uint8_t *block)
{
    return 0;
}

static inline size_t http1bytes_count_text(const uint8_t *block)
{
    return 0;
}
#endif

/* Past as many bytes as one counts, block after block. Inlined, and the counting function with it. */
HTTP1BYTES_INLINE size_t http1bytes_pass(const uint8_t *bytes, size_t at, size_t end,
                                         size_t count(const uint8_t *block))
{
    for (size_t passed = HTTP1BYTES_BLOCK; passed == HTTP1BYTES_BLOCK && at + HTTP1BYTES_BLOCK <= end; at += passed)
        passed = count(bytes + at);
    return at;
}

/* The position of the first byte that is in no token. Nearly all names consist of letters and "-", and fit a block. */
static inline size_t http1bytes_skip_token(const uint8_t *bytes, size_t at, size_t end)
{
    if (at + HTTP1BYTES_BLOCK <= end)
        at += http1bytes_count_letters(bytes + at);
    return http1bytes_skip(bytes, at, HTTP1BYTES_TOKEN);
}

/* The same of hosts. Nearly all fit a block, which is the last one when the bytes end before it. */
static inline size_t http1bytes_skip_host(const uint8_t *bytes, size_t at, size_t end)
{
    if (end >= HTTP1BYTES_BLOCK) {
        size_t begin = at + HTTP1BYTES_BLOCK <= end ? at : end - HTTP1BYTES_BLOCK;

        at += (unsigned)__builtin_ctz(~http1bytes_block_hosts(bytes + begin) >> (at - begin));
    }
    return http1bytes_skip(bytes, at, HTTP1BYTES_HOST);
}

static inline size_t http1bytes_skip_target(const uint8_t *bytes, size_t at, size_t end)
{
    return http1bytes_skip(bytes, http1bytes_pass(bytes, at, end, http1bytes_count_target), HTTP1BYTES_TARGET);
}

/* The position of the first control character. HTAB is none to the table; so from the first one on it is alone. */
static inline size_t http1bytes_skip_text(const uint8_t *bytes, size_t at, size_t end)
{
    at = http1bytes_pass(bytes, at, end, http1bytes_count_text);
    while (!http1bytes_is_a(bytes[at], HTTP1BYTES_CONTROL))
        at++;
    return at;
}

/* Marks of the control characters, with HTAB, of less than a block before the end: those of the last block without what
 * comes before `at`. */
static inline uint64_t http1bytes_last_controls(const uint8_t *bytes, size_t at, size_t end)
{
    uint64_t marks = 0;

    if (end >= HTTP1BYTES_BLOCK)
        return http1bytes_block_controls(bytes + end - HTTP1BYTES_BLOCK) >> (at + HTTP1BYTES_BLOCK - end);
    while (end-- > at)
        marks = marks << 1 | (bytes[end] < 0x20 || bytes[end] == 0x7f);
    return marks;
}

/* The same of the next HTTP1BYTES_MARKS bytes, or as many as there are. */
static inline uint64_t http1bytes_controls(const uint8_t *bytes, size_t at, size_t end)
{
    uint64_t marks = 0;

    for (unsigned place = 0; place < HTTP1BYTES_MARKS; place += HTTP1BYTES_BLOCK, at += HTTP1BYTES_BLOCK) {
        if (at + HTTP1BYTES_BLOCK > end)
            return marks | http1bytes_last_controls(bytes, at, end) << place;
        marks |= http1bytes_block_controls(bytes + at) << place;
    }
    return marks;
}

/* 4 or 8 bytes, letters in lower case. */
static inline uint64_t http1bytes_load_folded(const void *at, size_t size)
{
    uint32_t half;
    uint64_t word;

    if (size == 8) {
        memcpy(&word, at, 8);
        return word | HTTP1BYTES_EACH(0x20);
    }
    memcpy(&half, at, 4);
    return half | (uint32_t)HTTP1BYTES_EACH(0x20);
}

/* Whether the bytes are the word, in any case. The word, of 4 bytes or more, has only letters, digits and "-". Then
 * setting the bit 0x20 is an exact way to fold: the bytes that it makes equal and are not letters are control
 * characters, of which the bytes have none. Inlined, as then the compiler knows the word and leaves one or two
 * comparisons. */
HTTP1BYTES_INLINE bool http1bytes_is_word(const uint8_t *bytes, size_t length, const char *word)
{
    size_t step = strlen(word) < 8 ? 4 : 8;

    if (length != strlen(word))
        return false;
    for (size_t i = 0; i + step < length; i += step)
        if (http1bytes_load_folded(bytes + i, step) != http1bytes_load_folded(word + i, step))
            return false;
    return http1bytes_load_folded(bytes + length - step, step) == http1bytes_load_folded(word + length - step, step);
}

#endif
