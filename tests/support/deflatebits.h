/* Internal: deflatebits.h, streams of deflate (RFC 1951) written by hand, for tests.
 *
 *     struct deflatebits bits = { .count = 0 };
 *     deflatebits_put(&bits, "1/1 1/2 10010001 0000000");
 *
 * "5/3" is a number in so many bits, its lowest first; "0110" are bits as they are, as codes are given in the RFC; "|"
 * goes to a whole byte; "#0500" are bytes in hexadecimal. */
#ifndef TESTS_SUPPORT_DEFLATEBITS_H
#define TESTS_SUPPORT_DEFLATEBITS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/testing.h"

struct deflatebits {
    char bytes[4096];
    size_t count; /* of bits */
};

static inline void deflatebits_put_number(struct deflatebits *bits, unsigned long number, unsigned long count)
{
    for (; count > 0; count--, number >>= 1, bits->count++) {
        char *place = &bits->bytes[bits->count / 8];
        assert_true(bits->count < 8 * sizeof bits->bytes);
        if (bits->count % 8 == 0)
            *place = 0;
        *place = (char)(*place | (char)((number & 1) << bits->count % 8));
    }
}

static inline void deflatebits_put_code(struct deflatebits *bits, unsigned code, unsigned length)
{
    while (length-- > 0)
        deflatebits_put_number(bits, code >> length & 1, 1);
}

static inline void deflatebits_put_bytes(struct deflatebits *bits, const char *digits, size_t length)
{
    for (size_t i = 0; i < length; i += 2)
        deflatebits_put_number(bits, strtoul((char[]){ digits[i], digits[i + 1], 0 }, NULL, 16), 8);
}

static inline void deflatebits_put(struct deflatebits *bits, const char *text)
{
    for (size_t length; text += strspn(text, " "), length = strcspn(text, " "), length > 0; text += length) {
        const char *slash = memchr(text, '/', length);
        if (slash != NULL)
            deflatebits_put_number(bits, strtoul(text, NULL, 10), strtoul(slash + 1, NULL, 10));
        else if (*text == '#')
            deflatebits_put_bytes(bits, text + 1, length - 1);
        else if (*text == '|')
            deflatebits_put_number(bits, 0, (8 - bits->count % 8) % 8);
        else
            for (size_t i = 0; i < length; i++)
                deflatebits_put_number(bits, text[i] == '1', 1);
    }
}

static inline size_t deflatebits_length(const struct deflatebits *bits)
{
    return (bits->count + 7) / 8;
}

/* The head of a last block with codes of its own, up to their lengths. These are in a code that has all: 0 to 12 in
 * four bits, 13 to 18 in five. */
static inline void deflatebits_put_head(struct deflatebits *bits, unsigned literals, unsigned distances)
{
    static const unsigned order[] = { 16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15 };

    deflatebits_put(bits, "1/1 2/2");
    deflatebits_put_number(bits, literals - 257, 5);
    deflatebits_put_number(bits, distances - 1, 5);
    deflatebits_put_number(bits, 15, 4);
    for (unsigned i = 0; i < 19; i++)
        deflatebits_put_number(bits, order[i] < 13 ? 4 : 5, 3);
}

static inline void deflatebits_put_length(struct deflatebits *bits, unsigned symbol)
{
    if (symbol < 13)
        deflatebits_put_code(bits, symbol, 4);
    else
        deflatebits_put_code(bits, symbol + 13, 5);
}

/* "97:1 256:2": the lengths of these symbols, the others 0. */
static inline void deflatebits_put_lengths(struct deflatebits *bits, const char *text, unsigned count)
{
    unsigned lengths[320] = { 0 }, symbol, length;

    for (int size = 0; sscanf(text += size, " %u:%u%n", &symbol, &length, &size) == 2;)
        lengths[symbol] = length;
    for (unsigned i = 0; i < count; i++)
        deflatebits_put_length(bits, lengths[i]);
}

#endif
