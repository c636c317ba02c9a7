#include "websocket/websocketutf8.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* Eight bytes wherever they lie. */
typedef uint64_t utf8_word __attribute__((aligned(1), may_alias));

enum {
    UTF8_STEP = 4 * sizeof(utf8_word),
    UTF8_NEAR = 4 * UTF8_STEP,
    UTF8_SHORT = 8 * UTF8_STEP,
    UTF8_LONGEST = 4, /* bytes of a character */
};

#define UTF8_HIGH_BITS 0x8080808080808080u

/* What follows the first bytes from 0xC0 on: how many bytes, and what the next one may be. RFC 3629 4: no longer forms
 * than needed, no surrogates, nothing over U+10FFFF. */
/* clang-format off */
#define X { 0, 0, 0 }
#define B { 1, 0x80, 0xbf }
#define C { 2, 0x80, 0xbf }
#define D { 3, 0x80, 0xbf }
static const struct websocketutf8 utf8_leads[64] = {
    X, X, B, B, B, B, B, B, B, B, B, B, B, B, B, B,
    B, B, B, B, B, B, B, B, B, B, B, B, B, B, B, B,
    { 2, 0xa0, 0xbf }, C, C, C, C, C, C, C, C, C, C, C, C, { 2, 0x80, 0x9f }, C, C,
    { 3, 0x90, 0xbf }, D, D, D, { 3, 0x80, 0x8f }, X, X, X, X, X, X, X, X, X, X, X,
};
#undef X
#undef B
#undef C
#undef D
/* clang-format on */

/* Long texts go in the vectors of processors that have them, with a third of the instructions for ASCII, and a tenth
 * for others. Not with -DWEBSOCKETUTF8_NO_VECTORS; tests hold the two against each other. */
#if defined(__x86_64__) && !defined(WEBSOCKETUTF8_NO_VECTORS)
enum { UTF8_BLOCK = sizeof(__m256i), UTF8_WIDE_STEP = 8 * UTF8_BLOCK };

#define UTF8_WIDE       __attribute__((target("avx2")))
#define UTF8_EACH(byte) _mm256_set1_epi8((char)(byte))

UTF8_WIDE static const uint8_t *pass_wide_ascii(const uint8_t *at, const uint8_t *end)
{
    const __m256i high_bits = UTF8_EACH(0x80);

    for (; end - at >= UTF8_WIDE_STEP; at += UTF8_WIDE_STEP) {
        const __m256i *blocks = (const __m256i *)(const void *)at;
        __m256i all = _mm256_loadu_si256(blocks) | _mm256_loadu_si256(blocks + 1);
        all |= _mm256_loadu_si256(blocks + 2) | _mm256_loadu_si256(blocks + 3);
        all |= _mm256_loadu_si256(blocks + 4) | _mm256_loadu_si256(blocks + 5);
        all |= _mm256_loadu_si256(blocks + 6) | _mm256_loadu_si256(blocks + 7);
        if (_mm256_testz_si256(all, high_bits) == 0)
            return at;
    }
    return at;
}

UTF8_WIDE static inline __m256i load_wide(const uint8_t *at)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)at);
}

/* Bytes that are in no text, or not behind these, RFC 3629 4. */
UTF8_WIDE static inline __m256i find_wrong(__m256i before, __m256i bytes)
{
    __m256i wrong = _mm256_subs_epu8(bytes, UTF8_EACH(0xf4));

    wrong |= _mm256_cmpeq_epi8(bytes & UTF8_EACH(0xfe), UTF8_EACH(0xc0));
    wrong |= _mm256_cmpeq_epi8(before, UTF8_EACH(0xe0)) & _mm256_cmpgt_epi8(UTF8_EACH(0xa0), bytes);
    wrong |= _mm256_cmpeq_epi8(before, UTF8_EACH(0xed)) & _mm256_cmpgt_epi8(bytes, UTF8_EACH(0x9f));
    wrong |= _mm256_cmpeq_epi8(before, UTF8_EACH(0xf0)) & _mm256_cmpgt_epi8(UTF8_EACH(0x90), bytes);
    wrong |= _mm256_cmpeq_epi8(before, UTF8_EACH(0xf4)) & _mm256_cmpgt_epi8(bytes, UTF8_EACH(0x8f));
    return wrong;
}

/* Bytes from 0x80 to 0xBF have to be where a first byte one, two or three before calls for them, and nowhere else.
 * Comparisons are of signed bytes. */
UTF8_WIDE static inline bool is_right_block(const uint8_t *at)
{
    __m256i bytes = load_wide(at), before = load_wide(at - 1), third = load_wide(at - 3);

    if (_mm256_testz_si256(bytes | third, UTF8_EACH(0x80)) != 0)
        return true;
    __m256i wanted = _mm256_subs_epu8(before, UTF8_EACH(0xbf)) | _mm256_subs_epu8(load_wide(at - 2), UTF8_EACH(0xdf)) |
                     _mm256_subs_epu8(third, UTF8_EACH(0xef));
    __m256i is_unwanted = _mm256_cmpeq_epi8(wanted, _mm256_setzero_si256());
    __m256i is_tail = _mm256_cmpgt_epi8(UTF8_EACH(0xc0), bytes);
    __m256i wrong = find_wrong(before, bytes) | _mm256_cmpeq_epi8(is_unwanted, is_tail);
    return _mm256_testz_si256(wrong, wrong) != 0;
}

/* How many of these last bytes, that are right so far, belong to a character that goes on. */
static size_t count_begun(const uint8_t *end)
{
    if (end[-1] >= 0xc0)
        return 1;
    if (end[-2] >= 0xe0)
        return 2;
    return end[-3] >= 0xf0 ? 3 : 0;
}

/* Past right characters of any length, from the beginning of one on, with three bytes before it. It stops at a
 * character, some bytes before the end or before the first wrong byte. */
UTF8_WIDE static const uint8_t *pass_wide_text(const uint8_t *at, const uint8_t *end)
{
    while (end - at >= UTF8_BLOCK && is_right_block(at))
        at += UTF8_BLOCK;
    return at - count_begun(at);
}

static bool can_pass_wide(size_t length)
{
    return length >= UTF8_WIDE_STEP && __builtin_cpu_supports("avx2");
}
#else
static const uint8_t *pass_wide_ascii(const uint8_t *at, const uint8_t *end)
{
    return at;
}

static const uint8_t *pass_wide_text(const uint8_t *at, const uint8_t *end)
{
    return at;
}

static bool can_pass_wide(size_t length)
{
    return false;
}
#endif

/* How many bytes of a word come before the first of these marks, of which there is one. */
static size_t count_before(uint64_t marks)
{
    bool is_little = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

    return (size_t)(is_little ? __builtin_ctzll(marks) : __builtin_clzll(marks)) / 8;
}

/* Where to look for something wider: not at once, as that might be for nothing. */
static const uint8_t *find_near(const uint8_t *at, const uint8_t *end)
{
    return end - at > UTF8_NEAR ? at + UTF8_NEAR : end;
}

static inline bool is_step_ascii(const uint8_t *at)
{
    const utf8_word *words = (const utf8_word *)at;

    return ((words[0] | words[1] | words[2] | words[3]) & UTF8_HIGH_BITS) == 0;
}

/* Past whole steps of ASCII. */
static const uint8_t *pass_steps(const uint8_t *at, const uint8_t *end)
{
    while (end - at >= UTF8_STEP && is_step_ascii(at))
        at += UTF8_STEP;
    return at;
}

/* The first byte that is none of ASCII, or the end. */
static const uint8_t *pass_ascii(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *near = find_near(at, end);

    at = pass_steps(at, near);
    if (at == near && can_pass_wide((size_t)(end - at)))
        at = pass_wide_ascii(at, end);
    if (near < end)
        at = pass_steps(at, end);
    for (; end - at >= 8; at += 8) {
        uint64_t marks = *(const utf8_word *)at & UTF8_HIGH_BITS;
        if (marks != 0)
            return at + count_before(marks);
    }
    while (at < end && *at < 0x80)
        at++;
    return at;
}

static bool take_utf8_byte(struct websocketutf8 *utf8, uint8_t byte)
{
    if (utf8->missing == 0) {
        if (byte < 0xc0)
            return byte < 0x80;
        *utf8 = utf8_leads[byte - 0xc0];
        return utf8->missing != 0;
    }
    if (byte < utf8->least || byte > utf8->most)
        return false;
    utf8->missing--;
    utf8->least = 0x80;
    utf8->most = 0xbf;
    return true;
}

/* The size of the character that begins here, of more than one byte; 0: there is none. All bytes that one may have can
 * be read. */
static size_t measure_character(const uint8_t *at)
{
    if (at[0] < 0xc0)
        return 0;
    const struct websocketutf8 *lead = &utf8_leads[at[0] - 0xc0];
    if (lead->missing == 0 || at[1] < lead->least || at[1] > lead->most)
        return 0;
    if (lead->missing == 1)
        return 2;
    if ((at[2] & 0xc0) != 0x80)
        return 0;
    if (lead->missing == 2)
        return 3;
    return (at[3] & 0xc0) == 0x80 ? 4 : 0;
}

/* Past characters of more than one byte, and single ones of ASCII between them: words of most languages have a blank
 * behind them. NULL: there is a wrong one. */
static const uint8_t *pass_characters(const uint8_t *at, const uint8_t *end)
{
    while (end - at >= UTF8_LONGEST) {
        if (at[0] < 0x80)
            at++;
        if (at[0] < 0x80 || end - at < UTF8_LONGEST)
            break;
        size_t size = measure_character(at);
        if (size == 0)
            return NULL;
        at += size;
    }
    return at;
}

/* Characters that are whole, up to less than the longest one from the end. NULL: there is a wrong one. */
static const uint8_t *pass_text(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *begin = at;

    while (at != NULL && end - at >= UTF8_LONGEST) {
        at = pass_ascii(at, end);
        if (at - begin >= UTF8_LONGEST - 1 && can_pass_wide((size_t)(end - at)))
            at = pass_wide_text(at, end);
        at = pass_characters(at, find_near(at, end));
    }
    return at;
}

/* Not inlined, as otherwise short texts would save registers for it. */
__attribute__((noinline)) static bool check_any_text(struct websocketutf8 *utf8, const uint8_t *at, size_t length)
{
    if (length == 0) /* the bytes may be NULL, to which not even 0 is added */
        return true;
    const uint8_t *end = at + length;
    for (; utf8->missing != 0 && at < end; at++)
        if (!take_utf8_byte(utf8, *at))
            return false;
    at = pass_text(at, end);
    if (at == NULL)
        return false;
    for (; at < end; at++)
        if (!take_utf8_byte(utf8, *at))
            return false;
    return true;
}

/* In steps, words or bytes, whichever fit. The last one ends with the text, and may have bytes in common with the one
 * before. */
static inline bool is_short_ascii(const uint8_t *bytes, size_t length)
{
    size_t at = 0;

    if (length >= UTF8_STEP) {
        for (; at < length - UTF8_STEP; at += UTF8_STEP)
            if (!is_step_ascii(bytes + at))
                return false;
        return is_step_ascii(bytes + length - UTF8_STEP);
    }
    uint64_t seen = length >= 8 ? *(const utf8_word *)(bytes + length - 8) : 0;
    for (; at + 8 <= length; at += 8)
        seen |= *(const utf8_word *)(bytes + at);
    for (; length < 8 && at < length; at++)
        seen |= bytes[at];
    return (seen & UTF8_HIGH_BITS) == 0;
}

bool websocketutf8_check(struct websocketutf8 *utf8, const void *bytes, size_t length)
{
    if (length <= UTF8_SHORT && utf8->missing == 0 && is_short_ascii(bytes, length))
        return true;
    return check_any_text(utf8, bytes, length);
}
