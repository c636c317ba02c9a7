#include "httpserver/httpetag.h"

#include <errno.h>
#include <string.h>

/* Comparing: RFC 9110 8.8.3 and 13.1. */

struct entity_tag {
    const char *opaque; /* with its quotes */
    size_t length;
    bool is_weak;
};

/* entity-tag = [ %s"W/" ] DQUOTE *etagc DQUOTE. A comma may be part of it, a backslash has no meaning. Moves *at behind
 * it; false, and anywhere, where there is none. */
static bool read_tag(const char **at, struct entity_tag *tag)
{
    tag->is_weak = **at == 'W';
    if (tag->is_weak) {
        if ((*at)[1] != '/')
            return false;
        *at += 2;
    }
    if (**at != '"')
        return false;
    tag->opaque = *at;
    for (++*at; **at != '"'; ++*at)
        if ((unsigned char)**at <= ' ' || **at == 0x7f)
            return false;
    ++*at;
    tag->length = (size_t)(*at - tag->opaque);
    return true;
}

static bool is_same_tag(const struct entity_tag *a, const struct entity_tag *b, bool weak_comparison)
{
    if (!weak_comparison && (a->is_weak || b->is_weak))
        return false;
    return a->length == b->length && memcmp(a->opaque, b->opaque, a->length) == 0;
}

static const char *skip_tag_blanks(const char *at)
{
    while (*at == ' ' || *at == '\t')
        at++;
    return at;
}

/* #entity-tag, RFC 9110 5.6.1: members may be empty. What is wrong behind the tag that was looked for makes the list
 * wrong, too: If-Match has to fail then, and a needless 200 to If-None-Match does no harm. */
static int find_in_list(const char *at, const struct entity_tag *wanted, bool weak_comparison)
{
    int is_found = 0;

    for (;;) {
        struct entity_tag tag;
        at = skip_tag_blanks(at);
        if (*at != ',' && *at != '\0') {
            if (!read_tag(&at, &tag))
                return -EINVAL;
            is_found |= is_same_tag(&tag, wanted, weak_comparison);
            at = skip_tag_blanks(at);
        }
        if (*at == '\0')
            return is_found;
        if (*at++ != ',')
            return -EINVAL;
    }
}

int httpetag_find(const char *header_value, const char *etag, bool weak_comparison)
{
    struct entity_tag wanted = { "", 0, true }; /* which is like no other */

    header_value = skip_tag_blanks(header_value);
    if (*header_value == '*')
        return *skip_tag_blanks(header_value + 1) == '\0' ? 1 : -EINVAL;
    if (etag != NULL && (!read_tag(&etag, &wanted) || *etag != '\0'))
        wanted.length = 0;
    return find_in_list(header_value, &wanted, weak_comparison);
}

bool httpetag_matches(const char *header_value, const char *etag, bool weak_comparison)
{
    return header_value != NULL && httpetag_find(header_value, etag, weak_comparison) > 0;
}

/* Making.
 *
 * The hash is 128 bits of state and one round for every 16 bytes. For one block a round is a bijection of the state,
 * and for one state an injection of the block: contents of one length that differ in a single block never end in the
 * same state. The rest, and that half of the state is the tag, is chance: multiplications bring each bit up, rotations
 * and shifts down. */

#define HASH_MULTIPLIER_A UINT64_C(0x9e3779b97f4a7c15) /* the fractions of the golden ratio, */
#define HASH_MULTIPLIER_B UINT64_C(0xbb67ae8584caa73b) /* of the square root of 3, */
#define HASH_START        UINT64_C(0x6a09e667f3bcc908) /* and of that of 2 */

#define EACH_OF_8(byte) (UINT64_C(0x0101010101010101) * (byte))

struct tag_hash {
    uint64_t a, b;
};

/* Compilers make one load of each. The first byte is the lowest on every machine, so that all make the same tags. */
static inline uint64_t load_hash_4(const uint8_t *at)
{
    return (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 | (uint64_t)at[3] << 24;
}

static inline uint64_t load_hash_8(const uint8_t *at)
{
    return load_hash_4(at) | load_hash_4(at + 4) << 32;
}

static inline uint64_t rotate_left(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static inline struct tag_hash mix_hash(struct tag_hash hash, uint64_t first, uint64_t second)
{
    hash.a = rotate_left(hash.a + first * HASH_MULTIPLIER_A, 31) * HASH_MULTIPLIER_B + hash.b;
    hash.b = rotate_left(hash.b + second * HASH_MULTIPLIER_A, 29) * HASH_MULTIPLIER_B + hash.a;
    return hash;
}

/* Less than a block: 8 to 15, 4 to 7, or 1 to 3 bytes, each in one of the two words at least. */
static inline struct tag_hash mix_short_hash(struct tag_hash hash, const uint8_t *bytes, size_t length)
{
    if (length >= 8)
        return mix_hash(hash, load_hash_8(bytes), load_hash_8(bytes + length - 8));
    if (length >= 4)
        return mix_hash(hash, load_hash_4(bytes), load_hash_4(bytes + length - 4));
    if (length > 0)
        return mix_hash(hash, bytes[0], (uint64_t)bytes[length / 2] << 8 | bytes[length - 1]);
    return hash;
}

/* The last block is the last 16 bytes, whatever of them has been seen. */
static inline struct tag_hash hash_bytes(const uint8_t *bytes, size_t length)
{
    struct tag_hash hash = { HASH_START ^ length, HASH_START + length * HASH_MULTIPLIER_B };

    if (length < 16)
        return mix_short_hash(hash, bytes, length);
    const uint8_t *last = bytes + length - 16;
    for (; last - bytes > 16; bytes += 32) {
        hash = mix_hash(hash, load_hash_8(bytes), load_hash_8(bytes + 8));
        hash = mix_hash(hash, load_hash_8(bytes + 16), load_hash_8(bytes + 24));
    }
    if (bytes < last)
        hash = mix_hash(hash, load_hash_8(bytes), load_hash_8(bytes + 8));
    return mix_hash(hash, load_hash_8(last), load_hash_8(last + 8));
}

/* Half as many bits; each bit of the state decides about each of them. */
static inline uint64_t finish_hash(struct tag_hash hash)
{
    uint64_t word = (hash.a ^ hash.a >> 32) * HASH_MULTIPLIER_A + hash.b;

    word = (word ^ word >> 29) * HASH_MULTIPLIER_B;
    return word ^ word >> 32;
}

/* Eight numbers of 0 to 15, one a byte, as the letters from "a" to "p": any may be in a tag, and those of hexadecimal
 * digits are two ranges. */
static inline void put_tag_letters(char *place, uint64_t numbers)
{
    uint64_t letters = numbers + EACH_OF_8('a');

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    letters = __builtin_bswap64(letters);
#endif
    memcpy(place, &letters, sizeof letters);
}

/* The lower halves of the bytes, then the upper ones: the order means nothing to anybody, and this one is cheap. */
static inline void put_tag(char place[HTTPETAG_SIZE], struct tag_hash hash)
{
    uint64_t word = finish_hash(hash);

    place[0] = '"';
    put_tag_letters(place + 1, word & EACH_OF_8(15));
    put_tag_letters(place + 9, word >> 4 & EACH_OF_8(15));
    memcpy(place + 17, "\"", 2);
}

void httpetag_of_bytes(const void *data, size_t length, char place[HTTPETAG_SIZE])
{
    put_tag(place, hash_bytes(data, length));
}

/* Not the device: the kernel numbers many of them anew each time they are mounted. */
void httpetag_of_file(uint64_t inode, uint64_t size, int64_t seconds, int64_t nanoseconds, char place[HTTPETAG_SIZE])
{
    struct tag_hash hash = mix_hash((struct tag_hash){ HASH_START, HASH_START }, inode, size);

    put_tag(place, mix_hash(hash, (uint64_t)seconds, (uint64_t)nanoseconds));
}
