/* Limits of httpform, the memory it takes, and the work it does: counted, as the bytes that memchr goes over, in the
 * source itself. What is compared with the delimiter lies between two such searches, and none goes back. */
#include <stddef.h>
#include <string.h>

static size_t work;

static const void *counted_memchr(const void *bytes, int byte, size_t length)
{
    const void *found = memchr(bytes, byte, length);

    work += 1 + (found != NULL ? (size_t)((const char *)found - (const char *)bytes) : length);
    return found;
}

#define memchr(bytes, byte, length) counted_memchr(bytes, byte, length)
#include "httpserver/httpform.c"
#undef memchr

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/faults.h"
#include "tests/support/formtrace.h"
#include "tests/support/testing.h"

#define TYPE "multipart/form-data; boundary=1234"
#define HEAD "Content-Disposition: form-data; name=a\r\n"

static void append_times(char *body, size_t *length, const char *text, size_t times)
{
    for (size_t i = 0; i < times; i++) {
        memcpy(body + *length, text, strlen(text));
        *length += strlen(text);
    }
}

static char *new_body(size_t capacity)
{
    char *body = malloc(capacity);

    assert_non_null(body);
    return body;
}

/* Whole and in pieces. */
static void assert_outcome(const struct httpform_limits *limits, const char *body, size_t length, int error,
                           const char *word)
{
    static const size_t steps[] = { SIZE_MAX, 1, 61 };
    static struct formtrace trace;

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        formtrace_run(TYPE, limits, body, length, steps[i], steps[i], &trace);
        assert_int_equal(trace.error, error);
        assert_true(error == 0 || strstr(trace.reason, word) != NULL);
    }
}

static void assert_parts(const struct httpform_limits *limits, size_t parts, int error)
{
    char *body = new_body(64 * (parts + 1));
    size_t length = 0;

    append_times(body, &length, "--1234\r\n" HEAD "\r\n\r\n", parts);
    append_times(body, &length, "--1234--", 1);
    assert_outcome(limits, body, length, error, "too many parts");
    free(body);
}

/* httputil_test:test_multipart_config: the limits; not to parse at all is the caller's. */
static void takes_so_many_parts(void **state)
{
    const struct httpform_limits seven = { .parts = 7 };

    assert_parts(NULL, 100, 0);
    assert_parts(NULL, 101, -ENOBUFS);
    assert_parts(NULL, 1000, -ENOBUFS);
    assert_parts(&seven, 7, 0);
    assert_parts(&seven, 8, -ENOBUFS);
}

/* A head of so many bytes, the empty line among them, in so many lines. */
static void assert_head(const struct httpform_limits *limits, size_t size, size_t lines, int error, const char *word)
{
    char *body = new_body(size + 256);
    size_t length = 0, begin;

    append_times(body, &length, "--1234\r\n", 1);
    begin = length;
    append_times(body, &length, HEAD, 1);
    append_times(body, &length, "A:\r\n", lines - 2);
    append_times(body, &length, "B:", 1);
    assert_true(length - begin + 4 <= size);
    append_times(body, &length, "x", size - (length - begin + 4));
    append_times(body, &length, "\r\n\r\n", 1);
    assert_int_equal(length - begin, size);
    append_times(body, &length, "\r\n--1234--", 1);
    assert_outcome(limits, body, length, error, word);
    free(body);
}

static void takes_heads_of_such_a_size(void **state)
{
    const struct httpform_limits small = { .part_head = 100, .part_headers = 5 };
    const struct httpform_limits large = { .part_head = 100000, .part_headers = UINT32_MAX };

    assert_head(NULL, 8192, 2, 0, "");
    assert_head(NULL, 8193, 2, -ENOBUFS, "head of a part too long");
    assert_head(NULL, 60000, 2, -ENOBUFS, "head of a part too long");
    assert_head(NULL, 8192, 16, 0, "");
    assert_head(NULL, 200, 17, -ENOBUFS, "too many headers of a part");
    assert_head(&small, 100, 5, 0, "");
    assert_head(&small, 101, 5, -ENOBUFS, "head of a part too long");
    assert_head(&small, 100, 6, -ENOBUFS, "too many headers of a part");
    assert_head(&large, 100000, 10000, 0, "");
    assert_head(&large, 100001, 2, -ENOBUFS, "head of a part too long");
}

static void assert_preamble(const struct httpform_limits *limits, size_t size, int error)
{
    char *body = new_body(size + 64);
    size_t length = 0;

    append_times(body, &length, "x", size);
    append_times(body, &length, "\r\n--1234\r\n" HEAD "\r\n\r\n--1234--", 1);
    assert_outcome(limits, body, length, error, "before the first boundary");
    free(body);
}

static void takes_so_much_before_the_first_boundary(void **state)
{
    const struct httpform_limits limits = { .part_head = 100 };

    assert_preamble(NULL, 8192, 0);
    assert_preamble(NULL, 8193, -ENOBUFS);
    assert_preamble(&limits, 100, 0);
    assert_preamble(&limits, 101, -ENOBUFS);
}

static int count_data(const char *data, size_t length, void *arg)
{
    *(size_t *)arg += length;
    return 0;
}

static int begin_counted(const struct httpform_part *part, void *arg)
{
    return 0;
}

static int end_counted(void *arg)
{
    return 0;
}

static const struct httpform_functions counting = { begin_counted, count_data, end_counted };

/* The head of each part may be of the largest size; nothing of the content is kept. */
static void keeps_the_head_of_one_part_and_no_more(void **state)
{
    static char content[100000];
    char value[8192 - sizeof HEAD + 1 - 6 + 1];
    struct httpform *form;
    size_t before = faults_allocated_bytes(), given = 0;

    memset(content, '\r', sizeof content);
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    form = httpform_new(TYPE, NULL, &counting, &given);
    assert_true(faults_allocated_bytes() - before < 512);
    for (int part = 0; part < 50; part++) {
        const char *const pieces[] = { "--1234\r\n" HEAD "B:", value, "\r\n\r\n" };
        for (size_t i = 0; i < 3; i++)
            assert_int_equal(httpform_feed(form, pieces[i], strlen(pieces[i])), 0);
        assert_int_equal(httpform_feed(form, content, sizeof content), 0);
        assert_int_equal(httpform_feed(form, "\r\n", 2), 0);
        assert_true(faults_allocated_bytes() - before < 8192 + 1024);
    }
    assert_int_equal(given, 50 * sizeof content);
    httpform_free(form);
    assert_int_equal(faults_allocated_bytes(), before);
}

/* The work for so many bytes of content that repeats this. */
static size_t work_for(const char *repeated, size_t repeated_length, size_t length, size_t step)
{
    static const char begin[] = "--0123456789abcdef\r\n" HEAD "\r\n";
    char *content = new_body(length);
    size_t given = 0;
    struct httpform *form = httpform_new("multipart/form-data; boundary=0123456789abcdef", NULL, &counting, &given);

    for (size_t i = 0; i < length; i++)
        content[i] = repeated[i % repeated_length];
    assert_int_equal(httpform_feed(form, begin, sizeof begin - 1), 0);
    work = 0;
    for (size_t at = 0; at < length; at += step)
        assert_int_equal(httpform_feed(form, content + at, step < length - at ? step : length - at), 0);
    assert_true(given <= length && given + form->delimiter_length > length); /* all but what may be a delimiter */
    httpform_free(form);
    free(content);
    return work;
}

static void looks_at_every_byte_a_constant_number_of_times(void **state)
{
    static const char *const bodies[] = {
        "-",
        "\r",
        "\n",
        "\r\n",
        "\r\n-",
        "\r\n--",
        "x",
        "\r\n--0123456789abcde",
        "\r\n--0123456789abcde\r",
        "--",
        "\r\r\n",
        "\r\n--0123456789abcdeg",
        "0123456789abcdef",
    };
    static const size_t steps[] = { 1, 2, 16, 4096, SIZE_MAX };
    enum { LENGTH = 65536 };

    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        for (size_t j = 0; j < sizeof steps / sizeof *steps; j++) {
            size_t step = steps[j], once, twice;
            once = work_for(bodies[i], strlen(bodies[i]), LENGTH, step);
            twice = work_for(bodies[i], strlen(bodies[i]), 2 * LENGTH, step);
            assert_true(once <= 2 * LENGTH);
            assert_true(twice * 10 <= once * 21 + 20);
        }
}

/* Small pieces of a head do not make it be looked at again: only the new bytes are searched for the end of the line. */
static void looks_at_heads_once(void **state)
{
    struct httpform *form;
    size_t given = 0;

    form = httpform_new(TYPE, NULL, &counting, &given);
    assert_int_equal(httpform_feed(form, "--1234\r\n" HEAD "B:", strlen("--1234\r\n" HEAD "B:")), 0);
    work = 0;
    for (int i = 0; i < 8000; i++)
        assert_int_equal(httpform_feed(form, "x", 1), 0);
    assert_true(work <= 16000);
    work = 0;
    assert_int_equal(httpform_feed(form, "\r\n\r\n", 4), 0);
    assert_true(work <= 8192 + 100);
    httpform_free(form);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(takes_so_many_parts),
    cmocka_unit_test(takes_heads_of_such_a_size),
    cmocka_unit_test(takes_so_much_before_the_first_boundary),
    cmocka_unit_test(keeps_the_head_of_one_part_and_no_more),
    cmocka_unit_test(looks_at_every_byte_a_constant_number_of_times),
    cmocka_unit_test(looks_at_heads_once),
};

TESTING_MAIN(tests)
