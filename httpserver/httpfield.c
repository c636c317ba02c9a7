#include "httpserver/httpfield.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

/* What a token is made of, tchar in RFC 9110 5.6.2: a bit for each byte below 0x80. Not ctype: its answers depend on
 * the locale. */
static const uint32_t token_bits[4] = { 0, 0x03ff6cfa, 0xc7fffffe, 0x57ffffff };

static bool is_token_byte(uint8_t byte)
{
    return byte < 0x80 && (token_bits[byte / 32] >> byte % 32 & 1) != 0;
}

static bool is_value_byte(uint8_t byte)
{
    return (byte >= 0x20 && byte != 0x7f) || byte == '\t';
}

bool httpfield_is_name(const char *name, size_t length)
{
    size_t at = 0;

    while (at < length && is_token_byte((uint8_t)name[at]))
        at++;
    return at == length && length > 0;
}

bool httpfield_is_value(const char *value, size_t length)
{
    size_t at = 0;

    while (at < length && is_value_byte((uint8_t)value[at]))
        at++;
    return at == length;
}

/* The usual names and values 16 bytes at once, by the vectors that gcc and clang have for every machine. A comparison
 * answers 0xff in each byte for which it holds. */
typedef uint8_t field_block __attribute__((vector_size(16)));

enum { FIELD_BLOCK = sizeof(field_block), SHORTEST_BLOCK = 4 };

static inline field_block load_block(const void *bytes)
{
    field_block block;

    memcpy(&block, bytes, sizeof block);
    return block;
}

static inline field_block copy_block(char *place, const char *bytes)
{
    field_block block = load_block(bytes);

    memcpy(place, &block, sizeof block);
    return block;
}

/* SHORTEST_BLOCK bytes to 15, some of them more than once so that the block is full. None behind them is read. */
static inline field_block load_short_block(const char *bytes, size_t length)
{
    uint64_t halves[2];
    uint32_t quarters[2];

    if (length >= sizeof halves[0]) {
        memcpy(&halves[0], bytes, sizeof halves[0]);
        memcpy(&halves[1], bytes + length - sizeof halves[1], sizeof halves[1]);
        return load_block(halves);
    }
    memcpy(&quarters[0], bytes, sizeof quarters[0]);
    memcpy(&quarters[1], bytes + length - sizeof quarters[1], sizeof quarters[1]);
    halves[0] = halves[1] = quarters[0] | (uint64_t)quarters[1] << 32;
    return load_block(halves);
}

/* Copies as many bytes. */
static inline void copy_short(char *place, const char *bytes, size_t length)
{
    if (length >= sizeof(uint64_t)) {
        memcpy(place, bytes, sizeof(uint64_t));
        memcpy(place + length - sizeof(uint64_t), bytes + length - sizeof(uint64_t), sizeof(uint64_t));
        return;
    }
    memcpy(place, bytes, sizeof(uint32_t));
    memcpy(place + length - sizeof(uint32_t), bytes + length - sizeof(uint32_t), sizeof(uint32_t));
}

static inline bool is_every_byte_set(field_block block)
{
    uint64_t halves[2];

    memcpy(halves, &block, sizeof halves);
    return (halves[0] & halves[1]) == UINT64_MAX;
}

static inline field_block from_to(field_block block, uint8_t first, uint8_t last)
{
    return (field_block)(block - first <= (uint8_t)(last - first));
}

/* Letters and "-". */
static inline field_block usual_in_name(field_block block)
{
    return from_to(block | 0x20, 'a', 'z') | from_to(block, '-', '-');
}

/* Printable ASCII. */
static inline field_block usual_in_value(field_block block)
{
    return from_to(block, 0x20, 0x7e);
}

/* Copies SHORTEST_BLOCK bytes or more, and answers a block in which every byte is set if all of them are usual. */
static inline __attribute__((always_inline)) field_block copy_usual(char *place, const char *bytes, size_t length,
                                                                    field_block usual(field_block))
{
    if (length < FIELD_BLOCK) {
        copy_short(place, bytes, length);
        return usual(load_short_block(bytes, length));
    }
    field_block so_far = usual(copy_block(place + length - FIELD_BLOCK, bytes + length - FIELD_BLOCK));
    for (size_t at = 0; at + FIELD_BLOCK < length; at += FIELD_BLOCK)
        so_far &= usual(copy_block(place + at, bytes + at));
    return so_far;
}

static __attribute__((noinline)) bool copy_unusual_name(char *place, const char *name, size_t length)
{
    if (length > 0) /* memcpy wants no NULL */
        memcpy(place, name, length);
    return httpfield_is_name(place, length);
}

static __attribute__((noinline)) bool copy_unusual_value(char *place, const char *value, size_t length)
{
    if (length > 0) /* memcpy wants no NULL */
        memcpy(place, value, length);
    return httpfield_is_value(place, length);
}

bool httpfield_copy_value(char *place, const char *value, size_t length)
{
    if (length >= SHORTEST_BLOCK && is_every_byte_set(copy_usual(place, value, length, usual_in_value)))
        return true;
    return copy_unusual_value(place, value, length);
}

bool httpfield_copy(char *place, const struct httpfield *field)
{
    size_t name_length = field->name_length, value_length = field->value_length;
    char *value_place = place + name_length + sizeof "\0 " - 1;

    if (name_length < SHORTEST_BLOCK || value_length < SHORTEST_BLOCK ||
        !is_every_byte_set(copy_usual(place, field->name, name_length, usual_in_name) &
                           copy_usual(value_place, field->value, value_length, usual_in_value))) {
        if (!copy_unusual_name(place, field->name, name_length) ||
            !copy_unusual_value(value_place, field->value, value_length))
            return false;
    }
    memcpy(place + name_length, "\0 ", 2);
    memcpy(value_place + value_length, "\0\n", 2);
    return true;
}

static inline field_block fold_block(field_block block)
{
    return block | (from_to(block, 'A', 'Z') & 0x20);
}

/* Where they are the same. */
static inline field_block same_in(field_block a, field_block b)
{
    return (field_block)(fold_block(a) == fold_block(b));
}

static char fold_byte(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte | 0x20) : byte;
}

static bool are_few_same(const char *a, const char *b, size_t length)
{
    while (length > 0 && fold_byte(a[length - 1]) == fold_byte(b[length - 1]))
        length--;
    return length == 0;
}

/* Bits in which SHORTEST_BLOCK bytes to 15 differ. */
static inline uint64_t differences(const char *a, const char *b, size_t length)
{
    uint64_t ours[2], theirs[2];
    uint32_t our_half[2], their_half[2];

    if (length >= sizeof ours[0]) {
        memcpy(&ours[0], a, sizeof ours[0]);
        memcpy(&theirs[0], b, sizeof theirs[0]);
        memcpy(&ours[1], a + length - sizeof ours[1], sizeof ours[1]);
        memcpy(&theirs[1], b + length - sizeof theirs[1], sizeof theirs[1]);
        return (ours[0] ^ theirs[0]) | (ours[1] ^ theirs[1]);
    }
    memcpy(&our_half[0], a, sizeof our_half[0]);
    memcpy(&their_half[0], b, sizeof their_half[0]);
    memcpy(&our_half[1], a + length - sizeof our_half[1], sizeof our_half[1]);
    memcpy(&their_half[1], b + length - sizeof their_half[1], sizeof their_half[1]);
    return (our_half[0] ^ their_half[0]) | (our_half[1] ^ their_half[1]);
}

/* Most names are written as they always are, or are different ones. */
static inline bool are_usual_same(const char *a, const char *b, size_t length)
{
    const uint64_t but_case = ~(UINT64_C(0x0101010101010101) * 0x20);
    uint64_t different = differences(a, b, length);

    if (different == 0 || (different & but_case) != 0)
        return different == 0;
    return is_every_byte_set(same_in(load_short_block(a, length), load_short_block(b, length)));
}

bool httpfield_is_same(const char *a, const char *b, size_t length)
{
    if (length < SHORTEST_BLOCK)
        return are_few_same(a, b, length);
    if (length < FIELD_BLOCK)
        return are_usual_same(a, b, length);
    field_block same = same_in(load_block(a + length - FIELD_BLOCK), load_block(b + length - FIELD_BLOCK));
    for (size_t at = 0; at + FIELD_BLOCK < length; at += FIELD_BLOCK)
        same &= same_in(load_block(a + at), load_block(b + at));
    return is_every_byte_set(same);
}

/* field-line = field-name ":" OWS field-value OWS, RFC 9112 5. */
ssize_t httpfield_read_line(const char *text, size_t length, struct httpfield *field)
{
    const char *line_feed = memchr(text, '\n', length);

    if (line_feed == NULL || line_feed == text || line_feed[-1] != '\r')
        return -EINVAL;
    size_t line = (size_t)(line_feed - text) - 1;
    const char *colon = memchr(text, ':', line);
    if (colon == NULL)
        return -EINVAL;
    field->name = text;
    field->name_length = (size_t)(colon - text);
    field->value = colon + 1;
    field->value_length = line - field->name_length - 1;
    httpfield_trim(field);
    return (ssize_t)line + 2;
}
