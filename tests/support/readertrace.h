/* Internal: readertrace.h, what a WebSocket reader says of bytes, as text, however they come.
 *
 *     readertrace_expect(&(struct websocketreader_limits){ .message = 100 }, frames.bytes, frames.length,
 *                        "text(hello) ping() close(1000 bye)");
 *
 * Of a message only its whole is told; a refusal ends it, as in "text(hello) refused(1002)". A message that is
 * compressed has a "z" before it. */
#ifndef TESTS_SUPPORT_READERTRACE_H
#define TESTS_SUPPORT_READERTRACE_H

#include <stdio.h>
#include <string.h>

#include "tests/support/guardpage.h"
#include "tests/support/testing.h"
#include "websocket/websocketreader.h"

enum { READERTRACE_ROOM = 300 * 1024 };

struct readertrace {
    struct websocketreader reader;
    const struct websocketreader_limits *limits;
    struct websocketreader_piece piece; /* the last one */
    ssize_t result;                     /* the last one */
    uint64_t coming;                    /* of the present frame, as the pieces say */
    size_t length, message;
    bool is_under_way;
    char text[READERTRACE_ROOM], payload[READERTRACE_ROOM];
};

static inline void readertrace_begin(struct readertrace *trace, const struct websocketreader_limits *limits)
{
    memset(&trace->reader, 0, sizeof trace->reader);
    trace->limits = limits;
    trace->length = trace->message = 0;
    trace->coming = 0;
    trace->is_under_way = false;
    trace->text[0] = '\0';
}

static inline void readertrace_add(struct readertrace *trace, const char *bytes, size_t length)
{
    assert_true(length < READERTRACE_ROOM - trace->length);
    if (length > 0)
        memcpy(trace->text + trace->length, bytes, length);
    trace->length += length;
    trace->text[trace->length] = '\0';
}

static inline void readertrace_add_event(struct readertrace *trace, const char *what, const char *data, size_t length)
{
    if (trace->length > 0)
        readertrace_add(trace, " ", 1);
    readertrace_add(trace, what, strlen(what));
    readertrace_add(trace, data, length);
    readertrace_add(trace, ")", 1);
}

static inline void readertrace_add_piece(struct readertrace *trace)
{
    const struct websocketreader_piece *piece = &trace->piece;
    static const char *const names[] = { "text(", "binary(", "ztext(", "zbinary(" };

    assert_int_equal(piece->is_first, !trace->is_under_way);
    assert_true(piece->length < READERTRACE_ROOM - trace->message);
    if (piece->length > 0)
        memcpy(trace->payload + trace->message, piece->data, piece->length);
    trace->message += piece->length;
    trace->is_under_way = !piece->is_last;
    if (!piece->is_last)
        return;
    assert_int_equal(piece->coming, 0);
    readertrace_add_event(trace, names[piece->is_binary + 2 * piece->is_compressed], trace->payload, trace->message);
    trace->message = 0;
}

static inline void readertrace_add_close(struct readertrace *trace)
{
    char what[32];

    snprintf(what, sizeof what, trace->piece.length > 0 ? "close(%d " : "close(%d", trace->piece.code);
    readertrace_add_event(trace, what, trace->piece.data, trace->piece.length);
}

/* One step with these bytes, which are copied to where the next one cannot be read. Answers how many were taken, 0 when
 * more are needed, or the refusal. */
static inline ssize_t readertrace_step(struct readertrace *trace, const char *bytes, size_t length)
{
    char *place = guardpage_place(length), what[32];

    if (length > 0)
        memcpy(place, bytes, length);
    ssize_t taken = trace->result = websocketreader_next(&trace->reader, trace->limits, place, length, &trace->piece);
    if (taken < 0) {
        assert_non_null(trace->piece.problem);
        snprintf(what, sizeof what, "refused(%d", (int)-taken);
        readertrace_add_event(trace, what, "", 0);
        return taken;
    }
    assert_true((size_t)taken <= length && trace->piece.problem == NULL);
    assert_memory_equal(place + taken, bytes + taken, length - (size_t)taken);
    assert_true(trace->piece.length <= (size_t)taken);
    if (trace->piece.length > 0)
        assert_true(trace->piece.data >= place && trace->piece.data + trace->piece.length <= place + taken);
    switch (trace->piece.what) {
    case WEBSOCKETREADER_NOTHING:
        break;
    case WEBSOCKETREADER_MESSAGE:
        readertrace_add_piece(trace);
        break;
    case WEBSOCKETREADER_PING:
        readertrace_add_event(trace, "ping(", trace->piece.data, trace->piece.length);
        break;
    case WEBSOCKETREADER_PONG:
        readertrace_add_event(trace, "pong(", trace->piece.data, trace->piece.length);
        break;
    case WEBSOCKETREADER_CLOSE:
        readertrace_add_close(trace);
        break;
    }
    return taken;
}

/* As many steps as these bytes are good for; from where and up to where they are there. False: it was refused. */
static inline bool readertrace_give(struct readertrace *trace, const char *bytes, size_t *at, size_t end)
{
    ssize_t taken;

    while ((taken = readertrace_step(trace, bytes + *at, end - *at)) > 0)
        *at += (size_t)taken;
    return taken == 0;
}

/* First so many bytes, then so many at a time. */
static inline void readertrace_read(struct readertrace *trace, const struct websocketreader_limits *limits,
                                    const char *bytes, size_t length, size_t first, size_t step)
{
    size_t at = 0;

    readertrace_begin(trace, limits);
    for (size_t end = first < length ? first : length; readertrace_give(trace, bytes, &at, end) && end < length;)
        end = length - end > step ? end + step : length;
}

/* Whole, cut anywhere (of long ones not everywhere), and byte by byte. */
static inline void readertrace_expect(const struct websocketreader_limits *limits, const char *bytes, size_t length,
                                      const char *wanted)
{
    static struct readertrace trace;
    size_t skip = 1 + length / 300;

    readertrace_read(&trace, limits, bytes, length, length, 1);
    assert_string_equal(trace.text, wanted);
    for (size_t cut = 0; cut < length; cut += cut < 40 ? 1 : skip) {
        readertrace_read(&trace, limits, bytes, length, cut, length);
        assert_string_equal(trace.text, wanted);
    }
    readertrace_read(&trace, limits, bytes, length, 1, 1);
    assert_string_equal(trace.text, wanted);
    readertrace_read(&trace, limits, bytes, length, 3, 7);
    assert_string_equal(trace.text, wanted);
}

#endif
