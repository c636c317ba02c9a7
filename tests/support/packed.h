/* Internal: packed.h, a body in gzip, for tests of what inflates it.
 *
 *     pack("hello", 5);
 *     write(fd, packed, packed_length); */
#ifndef TESTS_SUPPORT_PACKED_H
#define TESTS_SUPPORT_PACKED_H

#include <stdlib.h>
#include <string.h>

#include "httpserver/httpdeflate.h"
#include "tests/support/testing.h"

static char packed[3 << 20];
static size_t packed_length;

static inline void pack(const char *bytes, size_t length)
{
    struct httpdeflate *deflate = httpdeflate_new(HTTPDEFLATE_GZIP, 6, 15);
    struct httpdeflate_piece piece;
    size_t at = 0;

    assert_non_null(deflate);
    packed_length = 0;
    do {
        at += httpdeflate_encode(deflate, bytes + at, length - at, HTTPDEFLATE_FINISH, &piece);
        assert_true(packed_length + piece.length <= sizeof packed);
        memcpy(packed + packed_length, piece.data, piece.length);
        packed_length += piece.length;
    } while (piece.more);
    httpdeflate_free(deflate);
}

/* So many zeroes. */
static inline void pack_bomb(size_t length)
{
    char *zeroes = calloc(1, length);

    assert_non_null(zeroes);
    pack(zeroes, length);
    free(zeroes);
}

#endif
