#include "tests/support/chunktrace.h"

#include <string.h>

#include "httpserver/httpheaders.h"
#include "tests/support/guardpage.h"
#include "tests/support/testing.h"

static void note_piece(struct chunktrace *trace, const struct httpchunked_piece *piece, const char *bytes, size_t taken)
{
    assert_true(piece->length == 0 || (piece->data >= bytes && piece->data + piece->length <= bytes + taken));
    assert_true(trace->body_length + piece->length <= CHUNKTRACE_LONGEST_BODY);
    if (piece->length > 0)
        memcpy(trace->body + trace->body_length, piece->data, piece->length);
    trace->body_length += piece->length;
    trace->done = piece->done;
}

/* One call with what has not been taken. Was there progress? */
static bool decode_once(struct httpchunked *chunked, const struct httpchunked_limits *limits, const char *bytes,
                        size_t length, struct httpheaders *trailers, struct chunktrace *trace)
{
    size_t unread = length - trace->taken;
    const char *copy = guardpage_text(bytes + trace->taken, unread);
    struct httpchunked before = *chunked;
    struct httpchunked_piece piece;
    ssize_t taken = httpchunked_decode(chunked, limits, copy, unread, &piece, trailers);

    if (taken <= 0) {
        trace->status = taken;
        trace->reason = piece.reason;
        assert_true((taken < 0) == (piece.reason != NULL));
        assert_int_equal(piece.length, 0);
        assert_int_equal(chunked->state, before.state);
        assert_true(chunked->body == before.body && chunked->left == before.left);
        return false;
    }
    assert_true((size_t)taken <= unread);
    note_piece(trace, &piece, copy, (size_t)taken);
    trace->taken += (size_t)taken;
    return !piece.done;
}

void chunktrace_decode(const char *bytes, size_t length, size_t first, size_t step,
                       const struct httpchunked_limits *limits, struct chunktrace *trace)
{
    struct httpchunked chunked = { 0 };
    struct httpheaders trailers = { 0 };
    size_t given = first < length ? first : length;

    trace->status = 0;
    trace->done = false;
    trace->taken = trace->body_length = 0;
    trace->reason = NULL;
    for (;;) {
        while (decode_once(&chunked, limits, bytes, given, &trailers, trace))
            ;
        if (trace->status < 0 || trace->done || given == length)
            break;
        given = length - given > step ? given + step : length;
    }
    assert_true(httpheaders_size(&trailers) < sizeof trace->trailers);
    trace->trailers[httpheaders_serialize(&trailers, trace->trailers)] = '\0';
    httpheaders_free(&trailers);
}

static void assert_same(const struct chunktrace *a, const struct chunktrace *b)
{
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->done, b->done);
    assert_int_equal(a->body_length, b->body_length);
    assert_memory_equal(a->body, b->body, a->body_length);
    assert_string_equal(a->trailers, b->trailers);
    if (a->reason != NULL)
        assert_string_equal(a->reason, b->reason);
    if (a->done)
        assert_int_equal(a->taken, b->taken);
}

void chunktrace_decode_every_way(const char *bytes, size_t length, const struct httpchunked_limits *limits,
                                 struct chunktrace *whole)
{
    static struct chunktrace part;

    chunktrace_decode(bytes, length, length, 1, limits, whole);
    for (size_t split = 0; split <= length; split++) {
        chunktrace_decode(bytes, length, split, length, limits, &part);
        assert_same(&part, whole);
    }
    for (size_t step = 1; step <= 3; step++) {
        chunktrace_decode(bytes, length, step, step, limits, &part);
        assert_same(&part, whole);
    }
}

void chunktrace_assert_row(const struct chunktrace_row *row, const struct httpchunked_limits *limits)
{
    static struct chunktrace trace;
    size_t length = strlen(row->text);

    chunktrace_decode_every_way(row->text, length, limits, &trace);
    if (trace.status != row->status || trace.done != (row->status == 0))
        fail_msg("[%s] %zd %s", row->text, trace.status, trace.done ? "done" : "");
    if (row->status != 0)
        return;
    assert_int_equal(trace.body_length, strlen(row->body));
    assert_memory_equal(trace.body, row->body, trace.body_length);
    assert_string_equal(row->text + trace.taken, row->rest);
}

void chunktrace_assert_status(const char *text, const struct httpchunked_limits *limits, int status)
{
    chunktrace_assert_row(&(struct chunktrace_row){ text, status, "", "" }, limits);
}
