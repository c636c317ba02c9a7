/* Internal: inflatetrace.h, what httpinflate makes of some bytes, whichever way they come.
 *
 *     inflatetrace_every_way(HTTPINFLATE_GZIP, 15, bytes, length, &trace); */
#ifndef TESTS_SUPPORT_INFLATETRACE_H
#define TESTS_SUPPORT_INFLATETRACE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "httpserver/httpinflate.h"
#include "tests/support/guardpage.h"
#include "tests/support/testing.h"

enum { INFLATETRACE_MOST = 1024 * 1024 };

/* All that can be seen of a decoding. */
struct inflatetrace {
    bool refused, done;
    size_t taken, length;
    char problem[64];
    char output[INFLATETRACE_MOST];
};

static inline ssize_t inflatetrace_call(struct httpinflate *inflate, const char *bytes, size_t length,
                                        struct inflatetrace *trace)
{
    struct httpinflate_piece piece;
    ssize_t taken = httpinflate_decode(inflate, guardpage_text(bytes, length), length, &piece);

    assert_true(taken <= (ssize_t)length);
    assert_true(taken >= 0 || (taken == -EBADMSG && piece.length == 0));
    assert_true(trace->length + piece.length <= INFLATETRACE_MOST);
    if (piece.length > 0)
        memcpy(trace->output + trace->length, piece.data, piece.length);
    trace->length += piece.length;
    return taken < 0 ? taken : taken > 0 || piece.length > 0 ? taken + 1 : 0;
}

/* The bytes, of which there are at most GUARDPAGE_ROOM, come first `first`, then `step` at a time. */
static inline void inflatetrace_with(struct httpinflate *inflate, const char *bytes, size_t length, size_t first,
                                     size_t step, struct inflatetrace *trace)
{
    size_t given = first < length ? first : length;

    trace->taken = trace->length = 0;
    for (ssize_t more = 1;;) {
        while ((more = inflatetrace_call(inflate, bytes + trace->taken, given - trace->taken, trace)) > 0)
            trace->taken += (size_t)more - 1;
        trace->refused = more < 0;
        if (more < 0 || given == length)
            break;
        given = length - given > step ? given + step : length;
    }
    trace->done = httpinflate_done(inflate);
    assert_true((httpinflate_problem(inflate) != NULL) == trace->refused);
    strcpy(trace->problem, trace->refused ? httpinflate_problem(inflate) : "");
}

static inline void inflatetrace_run(enum httpinflate_format format, int window_bits, const char *bytes, size_t length,
                                    size_t first, size_t step, struct inflatetrace *trace)
{
    struct httpinflate *inflate = httpinflate_new(format, window_bits);

    assert_non_null(inflate);
    inflatetrace_with(inflate, bytes, length, first, step, trace);
    httpinflate_free(inflate);
}

static inline void inflatetrace_assert_same(const struct inflatetrace *a, const struct inflatetrace *b)
{
    assert_int_equal(a->refused, b->refused);
    assert_int_equal(a->done, b->done);
    assert_int_equal(a->length, b->length);
    assert_memory_equal(a->output, b->output, a->length);
    assert_string_equal(a->problem, b->problem);
}

/* Whole, split at each place, byte by byte and so on: fails the test if that makes a difference. */
static inline void inflatetrace_every_way(enum httpinflate_format format, int window_bits, const char *bytes,
                                          size_t length, struct inflatetrace *whole)
{
    static struct inflatetrace part;

    inflatetrace_run(format, window_bits, bytes, length, length, 1, whole);
    for (size_t split = 0; split <= length; split++) {
        inflatetrace_run(format, window_bits, bytes, length, split, length, &part);
        inflatetrace_assert_same(&part, whole);
    }
    for (size_t step = 1; step <= 3; step++) {
        inflatetrace_run(format, window_bits, bytes, length, step, step, &part);
        inflatetrace_assert_same(&part, whole);
    }
}

#endif
