/* Internal: formtrace.h, what a httpform told, as text: `[name|filename|type:content]`, with `-` for what is NULL. */
#ifndef TESTS_SUPPORT_FORMTRACE_H
#define TESTS_SUPPORT_FORMTRACE_H

#include <errno.h>
#include <string.h>

#include "httpserver/httpform.h"
#include "tests/support/guardpage.h"
#include "tests/support/testing.h"

enum { FORMTRACE_ROOM = 64 * 1024, FORMTRACE_REFUSAL = -ECANCELED };

struct formtrace {
    char bytes[FORMTRACE_ROOM];
    size_t length;
    int calls;
    int refused_call; /* which call of a callback is refused; 0: none */
    const struct httpform_part *part;
    int error;
    const char *reason;
};

static inline void formtrace_note(struct formtrace *trace, const char *bytes, size_t length)
{
    assert_true(trace->length + length < FORMTRACE_ROOM);
    memcpy(trace->bytes + trace->length, bytes, length);
    trace->length += length;
    trace->bytes[trace->length] = '\0';
}

static inline void formtrace_note_string(struct formtrace *trace, const char *text, const char *after)
{
    text = text != NULL ? text : "-";
    formtrace_note(trace, text, strlen(text));
    formtrace_note(trace, after, strlen(after));
}

static inline int formtrace_answer(struct formtrace *trace)
{
    assert_true(trace->refused_call == 0 || trace->calls < trace->refused_call);
    return ++trace->calls == trace->refused_call ? FORMTRACE_REFUSAL : 0;
}

static inline void formtrace_note_part(struct formtrace *trace, const struct httpform_part *part)
{
    formtrace_note(trace, "[", 1);
    formtrace_note_string(trace, part->name, "|");
    formtrace_note_string(trace, part->filename, "|");
    formtrace_note_string(trace, part->content_type, ":");
}

static inline int formtrace_begin(const struct httpform_part *part, void *arg)
{
    struct formtrace *trace = arg;

    assert_null(trace->part);
    trace->part = part;
    formtrace_note_part(trace, part);
    return formtrace_answer(trace);
}

static inline int formtrace_data(const char *data, size_t length, void *arg)
{
    struct formtrace *trace = arg;

    assert_non_null(trace->part);
    assert_true(length > 0);
    formtrace_note(trace, data, length);
    return formtrace_answer(trace);
}

/* The part is still there. */
static inline int formtrace_end(void *arg)
{
    struct formtrace *trace = arg;
    static struct formtrace again;

    assert_non_null(trace->part);
    again.length = 0;
    formtrace_note_part(&again, trace->part);
    assert_non_null(strstr(trace->bytes, again.bytes));
    trace->part = NULL;
    formtrace_note(trace, "]", 1);
    return formtrace_answer(trace);
}

static const struct httpform_functions formtrace_functions = { formtrace_begin, formtrace_data, formtrace_end };

/* Feeds pieces of `first` bytes, then of `step` bytes. An error stays, and nothing is called after it. */
static inline void formtrace_feed(struct httpform *form, const char *body, size_t length, size_t first, size_t step,
                                  struct formtrace *trace)
{
    size_t size = first < length ? first : length;

    assert_int_equal(httpform_feed(form, NULL, 0), 0);
    for (size_t at = 0; trace->error == 0 && at < length; at += size, size = step < length - at ? step : length - at) {
        assert_null(httpform_reason(form));
        trace->error = httpform_feed(form, guardpage_text(body + at, size), size);
    }
    int calls = trace->calls;
    if (trace->error != 0)
        assert_int_equal(httpform_feed(form, body, length), trace->error);
    if (trace->error != 0)
        assert_int_equal(httpform_finish(form), trace->error);
    else
        trace->error = httpform_finish(form);
    assert_int_equal(trace->calls, calls);
    trace->reason = httpform_reason(form);
    assert_true((trace->error != 0) == (trace->reason != NULL));
}

static inline void formtrace_run(const char *content_type, const struct httpform_limits *limits, const char *body,
                                 size_t length, size_t first, size_t step, struct formtrace *trace)
{
    struct httpform *form;

    trace->length = 0;
    trace->bytes[0] = '\0';
    trace->part = NULL;
    trace->reason = NULL;
    trace->calls = trace->error = 0;
    form = httpform_new(content_type, limits, &formtrace_functions, trace);
    assert_non_null(form);
    formtrace_feed(form, body, length, first > 0 ? first : step, step, trace);
    httpform_free(form);
}

static inline void formtrace_assert_same(const struct formtrace *a, const struct formtrace *b)
{
    assert_int_equal(a->error, b->error);
    if (a->error != 0)
        assert_string_equal(a->reason, b->reason);
    assert_int_equal(a->length, b->length);
    assert_memory_equal(a->bytes, b->bytes, a->length);
}

/* Whole, in two pieces cut at every byte, and in pieces of 1, 2, 3 and 7 bytes: always the same. */
static inline void formtrace_every_way(const char *content_type, const struct httpform_limits *limits, const char *body,
                                       size_t length, struct formtrace *whole)
{
    static const size_t steps[] = { 1, 2, 3, 7 };
    static struct formtrace part;

    formtrace_run(content_type, limits, body, length, length, length, whole);
    for (size_t first = 1; first < length; first++) {
        formtrace_run(content_type, limits, body, length, first, length, &part);
        formtrace_assert_same(&part, whole);
    }
    for (size_t i = 0; length > 0 && i < sizeof steps / sizeof *steps; i++) {
        formtrace_run(content_type, limits, body, length, steps[i], steps[i], &part);
        formtrace_assert_same(&part, whole);
    }
}

#endif
