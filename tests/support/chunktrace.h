/* Internal: chunktrace.h, what httpchunked makes of some bytes, whichever way they come.
 *
 *     chunktrace_assert_row(&(struct chunktrace_row){ "1\r\na\r\n0\r\n\r\nX", 0, "a", "X" }, NULL);
 *     chunktrace_assert_status("g\r\n", NULL, -400); */
#ifndef TESTS_SUPPORT_CHUNKTRACE_H
#define TESTS_SUPPORT_CHUNKTRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "httpserver/httpchunked.h"

enum { CHUNKTRACE_LONGEST_BODY = 16 * 1024 };

/* All that can be seen of a decoding. */
struct chunktrace {
    ssize_t status; /* 0, or of the refusal */
    bool done;
    size_t taken, body_length;
    const char *reason;
    char body[CHUNKTRACE_LONGEST_BODY];
    char trailers[4096];
};

/* The bytes, of which there are at most 128 KiB, come first `first`, then `step` at a time; behind them is a guard
 * page. */
void chunktrace_decode(const char *bytes, size_t length, size_t first, size_t step,
                       const struct httpchunked_limits *limits, struct chunktrace *trace);

/* Whole, split at each place, byte by byte and so on: fails the test if that makes a difference. */
void chunktrace_decode_every_way(const char *bytes, size_t length, const struct httpchunked_limits *limits,
                                 struct chunktrace *whole);

struct chunktrace_row {
    const char *text;
    int status; /* 0: the body ends, the rest is left */
    const char *body, *rest;
};

/* Every way, this is the outcome; the other is of a text that is refused. */
void chunktrace_assert_row(const struct chunktrace_row *row, const struct httpchunked_limits *limits);
void chunktrace_assert_status(const char *text, const struct httpchunked_limits *limits, int status);

#endif
