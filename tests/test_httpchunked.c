#include "httpserver/httpchunked.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/chunktrace.h"
#include "tests/support/faults.h"
#include "tests/support/testing.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* What is accepted. */

/* httpserver_test:test_chunked_request_body */
static void joins_the_chunks(void **state)
{
    static const struct chunktrace_row rows[] = {
        { "0\r\n\r\n", 0, "", "" },
        { "0\r\n\r\nGET / HTTP/1.1\r\n", 0, "", "GET / HTTP/1.1\r\n" },
        { "4\r\nfoob\r\n3\r\nar\n\r\n0\r\n\r\nX", 0, "foobar\n", "X" },
        { "5\r\nhello\r\n0\r\n\r\n0\r\n\r\n", 0, "hello", "0\r\n\r\n" },
        { "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", 0, "01234567890123456789", "" },
        { "2\r\n\r\n\r\n0\r\n\r\n", 0, "\r\n", "" },
        { "0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n", 0, "hello", "" },
        { "000\r\n\r\n", 0, "", "" },
        { "1b\r\nabcdefghijklmnopqrstuvwxyz!\r\n0\r\n\r\n", 0, "abcdefghijklmnopqrstuvwxyz!", "" },
        { "1B\r\nabcdefghijklmnopqrstuvwxyz!\r\n0\r\n\r\n", 0, "abcdefghijklmnopqrstuvwxyz!", "" },
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        chunktrace_assert_row(&rows[i], NULL);
}

static void passes_over_extensions(void **state)
{
    static const struct chunktrace_row rows[] = {
        { "5;\r\nhello\r\n0;\r\n\r\n", 0, "hello", "" },
        { "5;a=b;c=\"d e\"\r\nhello\r\n0;x\r\n\r\n", 0, "hello", "" },
        { "5; \t\xc3\xa9~!\r\nhello\r\n0\r\n\r\n", 0, "hello", "" },
        { "5;5\r\nhello\r\n0;1\r\n\r\n", 0, "hello", "" },
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        chunktrace_assert_row(&rows[i], NULL);
}

/* A14: the connection says what the end of the stream means; nothing is done that is not whole. */
static void an_unfinished_body_is_not_done(void **state)
{
    static const char text[] = "5;x\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\nA: b\r\n\r\n";
    static struct chunktrace trace;

    for (size_t length = 0; length < sizeof text - 1; length++) {
        chunktrace_decode_every_way(text, length, NULL, &trace);
        assert_int_equal(trace.status, 0);
        assert_false(trace.done);
        assert_string_equal(trace.trailers, "");
    }
    chunktrace_decode_every_way(text, sizeof text - 1, NULL, &trace);
    assert_true(trace.done);
}

static void hands_on_data_before_its_chunk_is_whole(void **state)
{
    struct httpchunked chunked = { 0 };
    struct httpchunked_piece piece;

    assert_int_equal(httpchunked_decode(&chunked, NULL, "64\r\nabc", 7, &piece, NULL), 7);
    assert_int_equal(piece.length, 3);
    assert_memory_equal(piece.data, "abc", 3);
    assert_int_equal(httpchunked_decode(&chunked, NULL, "", 0, &piece, NULL), 0);
    assert_int_equal(piece.length, 0);
    assert_int_equal(httpchunked_decode(&chunked, NULL, "d", 1, &piece, NULL), 1);
    assert_memory_equal(piece.data, "d", 1);
    assert_int_equal(chunked.left, 96);
}

static void stays_done(void **state)
{
    struct httpchunked chunked = { 0 };
    struct httpchunked_piece piece;

    assert_int_equal(httpchunked_decode(&chunked, NULL, "0\r\n\r\n5", 6, &piece, NULL), 5);
    assert_true(piece.done);
    assert_int_equal(httpchunked_decode(&chunked, NULL, "5", 1, &piece, NULL), 0);
    assert_true(piece.done);
    assert_true(sizeof chunked <= 48);
}

/* What is refused. */

/* A10. httpserver_test:test_chunked_request_body_invalid_size */
static void a_size_is_1_to_16_digits(void **state)
{
    static const char *const malformed[] = {
        "0x5",
        "+5",
        "-5",
        " 5",
        "5 ",
        "0_5",
        "5z",
        "g",
        "",
        "10000000000000005",
        "00000000000000000005",
        "5\t",
        "5 ;a",
        "\t5",
        "5,",
        "5\"",
        "5:",
        "@",
        "`",
        "/",
        "00000000000000000",
        "FFFFFFFFFFFFFFFFF",
        "G",
        "5.",
        "\xef\xbc\x95",
        ";",
        ";5",
        "5\v",
        "5\x7f",
        "1_a",
        "1_000",
        "12345678901234567;a",
    };
    char text[64];

    for (size_t i = 0; i < COUNT(malformed); i++) {
        snprintf(text, sizeof text, "%s\r\nhello\r\n0\r\n\r\n", malformed[i]);
        chunktrace_assert_status(text, NULL, -400);
    }
    chunktrace_assert_status("FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n", NULL, -413);
    chunktrace_assert_status("8000000000000000\r\nhello\r\n0\r\n\r\n", NULL, -413);
}

/* Each byte where a digit could be: a digit counts, others are refused (";" and CR need one before). */
static void only_hexadecimal_digits_are_digits(void **state)
{
    static const char digits[] = "0123456789abcdefABCDEF";

    for (int byte = 0; byte < 256; byte++) {
        char text[] = { '1', (char)byte };
        bool is_digit = byte != 0 && strchr(digits, byte) != NULL;
        struct httpchunked chunked = { 0 };
        struct httpchunked_piece piece;
        assert_int_equal(httpchunked_decode(&chunked, NULL, text + 1, 1, &piece, NULL), is_digit ? 1 : -400);
        chunked = (struct httpchunked){ 0 };
        assert_int_equal(httpchunked_decode(&chunked, NULL, text, 2, &piece, NULL),
                         is_digit || byte == ';' || byte == '\r' ? 2 : -400);
        if (is_digit) {
            text[0] = '0';
            assert_int_equal(chunked.left, 16 + strtoul((char[]){ '0', (char)byte, '\0' }, NULL, 16));
        }
    }
}

/* A11 */
static void only_crlf_ends_a_chunk_line(void **state)
{
    static const char *const texts[] = {
        "5\nhello\r\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "5\r\r\nhello\r\n0\r\n\r\n",
        "5\n\r\nhello\r\n0\r\n\r\n",
        "5;a=b\nX\r\nhello\r\n0\r\n\r\n",
        "5;a\rX\r\nhello\r\n0\r\n\r\n",
        "5\r\r;ABCD\r\n34\r\nE\r\n0\r\n\r\n",
        "5;a\r\r\nhello\r\n0\r\n\r\n",
        "5;\x0b\r\nhello\r\n0\r\n\r\n",
        "5;a\x7f\r\nhello\r\n0\r\n\r\n",
        "0\n\r\n",
        "0;\n\r\n",
        "0\rX\r\n\r\n",
    };

    for (size_t i = 0; i < COUNT(texts); i++)
        chunktrace_assert_status(texts[i], NULL, -400);
}

static void an_extension_has_no_control_characters_but_tabs(void **state)
{
    for (int byte = 0; byte < 256; byte++) {
        char text[] = { '5', ';', (char)byte };
        bool is_allowed = byte == '\t' || byte == '\r' || (byte >= 0x20 && byte != 0x7f);
        struct httpchunked chunked = { 0 };
        struct httpchunked_piece piece;
        assert_int_equal(httpchunked_decode(&chunked, NULL, text, 3, &piece, NULL), is_allowed ? 3 : -400);
    }
}

/* A12 */
static void crlf_follows_each_chunk(void **state)
{
    static const char *const texts[] = {
        "5\r\nhelloXX0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\rX0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello!\r\n0\r\n\r\n",
        "5\r\nhello\r\r\n0\r\n\r\n",
        "3\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n\r\n0\r\n\r\n",
        "0\r\nXXGET /SMUG HTTP/1.1\r\n\r\n",
        "0\r\n\n",
        "0\r\n\rX\n",
        "0\r\n\r\r\n",
    };

    for (size_t i = 0; i < COUNT(texts); i++)
        chunktrace_assert_status(texts[i], NULL, -400);
}

static void a_refusal_can_be_repeated(void **state)
{
    static const char text[] = "5\r\nhello\r\n1;a\nb\r\n";
    struct httpchunked chunked = { 0 };
    struct httpchunked_piece piece;
    const char *reason;

    assert_int_equal(httpchunked_decode(&chunked, NULL, text, sizeof text - 1, &piece, NULL), 8);
    assert_int_equal(httpchunked_decode(&chunked, NULL, text + 8, sizeof text - 9, &piece, NULL), -400);
    reason = piece.reason;
    assert_int_equal(httpchunked_decode(&chunked, NULL, text + 8, sizeof text - 9, &piece, NULL), -400);
    assert_ptr_equal(piece.reason, reason);
    assert_int_equal(httpchunked_decode(&chunked, NULL, "\r\n0\r\n\r\n", 7, &piece, NULL), 7);
    assert_true(piece.done);
}

/* Limits. */

/* The size alone is enough. httpserver_test:test_large_body_buffered_chunked */
static void a_body_over_the_limit_is_refused_by_its_sizes(void **state)
{
    static const struct httpchunked_limits limits = { .body = 10 };

    chunktrace_assert_row(&(struct chunktrace_row){ "a\r\n0123456789\r\n0\r\n\r\n", 0, "0123456789", "" }, &limits);
    chunktrace_assert_row(&(struct chunktrace_row){ "5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n", 0, "helloworld", "" },
                          &limits);
    chunktrace_assert_status("b\r\n", &limits, -413);
    chunktrace_assert_status("5\r\nhello\r\n6\r\n", &limits, -413);
    chunktrace_assert_status("a\r\n0123456789\r\n1\r\n", &limits, -413);
    chunktrace_assert_status("100001\r\n", NULL, -413);
    chunktrace_assert_status("10000b\r\n", &limits, -413);
}

static ssize_t decode_head(struct httpchunked *chunked, const struct httpchunked_limits *limits, const char *text)
{
    struct httpchunked_piece piece;

    return httpchunked_decode(chunked, limits, text, strlen(text), &piece, NULL);
}

static void the_greatest_sizes_do_not_overflow(void **state)
{
    static const struct httpchunked_limits limits = { .body = UINT64_MAX };
    struct httpchunked chunked = { 0 };

    assert_int_equal(decode_head(&chunked, &limits, "FFFFFFFFFFFFFFFF\r\n"), 18);
    assert_true(chunked.left == UINT64_MAX && chunked.body == UINT64_MAX);
    chunked = (struct httpchunked){ .body = UINT64_MAX - 1 };
    assert_int_equal(decode_head(&chunked, &limits, "2\r\n"), -413);
    assert_int_equal(decode_head(&chunked, &limits, "1\r\n"), 3);
    chunked = (struct httpchunked){ .body = 5 };
    assert_int_equal(decode_head(&chunked, &(struct httpchunked_limits){ .body = 4 }, "1\r\n"), -413);
    chunked = (struct httpchunked){ 0 };
    assert_int_equal(decode_head(&chunked, NULL, "100000\r\n"), 8); /* 1 MiB */
}

/* C6 */
static void a_chunk_line_has_a_limit(void **state)
{
    static const struct httpchunked_limits limits = { .line = 3 };
    static char text[66 * 1024];
    static struct chunktrace trace;
    int length = snprintf(text, sizeof text, "1;%0*d\r\nX\r\n0\r\n\r\n", HTTPCHUNKED_MAX_LINE - 2, 0);

    chunktrace_decode_every_way(text, (size_t)length, NULL, &trace);
    assert_true(trace.done);
    length = snprintf(text, sizeof text, "1;%0*d\r\nX\r\n0\r\n\r\n", HTTPCHUNKED_MAX_LINE - 1, 0);
    chunktrace_decode_every_way(text, (size_t)length, NULL, &trace);
    assert_int_equal(trace.status, -413);
    memset(text, 'x', sizeof text);
    memcpy(text, "5;", 2);
    chunktrace_decode(text, sizeof text, sizeof text, 1, NULL, &trace);
    assert_int_equal(trace.status, -413);
    chunktrace_assert_row(&(struct chunktrace_row){ "1;a\r\nX\r\n000\r\n\r\n", 0, "X", "" }, &limits);
    chunktrace_assert_status("1;ab\r\nX\r\n0\r\n\r\n", &limits, -413);
    chunktrace_assert_status("0001\r\nX\r\n0\r\n\r\n", &limits, -413);
}

/* Chunks of so many bytes that are accepted, of at most so many; each with its size in the same number of digits. */
static int count_chunks(const char *line, size_t size, int most)
{
    static char data[8192];
    struct httpchunked chunked = { 0 };
    struct httpchunked_limits limits = { .body = UINT64_MAX };
    struct httpchunked_piece piece;

    for (int i = 0; i < most; i++) {
        if (httpchunked_decode(&chunked, &limits, line, strlen(line), &piece, NULL) != (ssize_t)strlen(line))
            return i;
        assert_int_equal(httpchunked_decode(&chunked, &limits, data, size, &piece, NULL), size);
        assert_int_equal(httpchunked_decode(&chunked, &limits, "\r\n", 2, &piece, NULL), 2);
    }
    return most;
}

/* C6. n chunks before have n * 5 bytes of framing, and the line 3: that may be 16384 + n / 4. */
static void framing_may_not_cost_more_than_the_body(void **state)
{
    int n = 0;

    while (n * 5 + 3 <= HTTPCHUNKED_FREE_OVERHEAD + n / 4)
        n++;
    assert_int_equal(count_chunks("1\r\n", 1, 1000000), n);
    assert_true(count_chunks("13\r\n", 19, 1000000) < 20000);
    assert_int_equal(count_chunks("18\r\n", 24, 100000), 100000);
    assert_int_equal(count_chunks("2000\r\n", 8192, 100000), 100000);
    assert_true(count_chunks("1;0123456789012345678901234567890123456789\r\n", 1, 1000000) < 500);
}

/* Only trailers that somebody wants need memory. */
static void decoding_allocates_nothing(void **state)
{
    static const char text[] = "5\r\nhello\r\n0\r\nHost: x\r\nA: b\r\n\r\n";
    struct httpchunked chunked = { 0 };
    struct httpchunked_piece piece;
    long before = faults_allocations();

    assert_int_equal(httpchunked_decode(&chunked, NULL, text, sizeof text - 1, &piece, NULL), 8);
    assert_int_equal(httpchunked_decode(&chunked, NULL, text + 8, sizeof text - 9, &piece, NULL), sizeof text - 9);
    assert_true(piece.done);
    assert_int_equal(faults_allocations(), before);
}

/* Encoding. */

static void writes_sizes_in_as_few_digits_as_there_are(void **state)
{
    static const struct {
        uint64_t length;
        const char *line;
    } rows[] = {
        { 0, "0\r\n" },
        { 1, "1\r\n" },
        { 9, "9\r\n" },
        { 10, "a\r\n" },
        { 15, "f\r\n" },
        { 16, "10\r\n" },
        { 255, "ff\r\n" },
        { 0x1a2b, "1a2b\r\n" },
        { 0x10000, "10000\r\n" },
        { UINT64_MAX, "ffffffffffffffff\r\n" },
        { UINT64_MAX / 16 + 1, "1000000000000000\r\n" },
    };
    char place[HTTPCHUNKED_LONGEST_LINE + 1];

    for (size_t i = 0; i < COUNT(rows); i++) {
        memset(place, '#', sizeof place);
        size_t length = httpchunked_format(place, rows[i].length);
        assert_int_equal(length, strlen(rows[i].line));
        assert_memory_equal(place, rows[i].line, length);
        assert_int_equal(place[length], '#');
    }
}

static void reads_what_it_wrote(void **state)
{
    static const struct httpchunked_limits limits = { .body = UINT64_MAX };
    char place[HTTPCHUNKED_LONGEST_LINE];

    for (uint64_t length = 1; length != 0; length <<= 1)
        for (unsigned less = 0; less < 2; less++) {
            struct httpchunked chunked = { 0 };
            struct httpchunked_piece piece;
            size_t size = httpchunked_format(place, length - less);
            assert_int_equal(httpchunked_decode(&chunked, &limits, place, size, &piece, NULL), size);
            assert_int_equal(chunked.left, length - less);
        }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(joins_the_chunks),
    cmocka_unit_test(passes_over_extensions),
    cmocka_unit_test(an_unfinished_body_is_not_done),
    cmocka_unit_test(hands_on_data_before_its_chunk_is_whole),
    cmocka_unit_test(stays_done),
    cmocka_unit_test(a_size_is_1_to_16_digits),
    cmocka_unit_test(only_hexadecimal_digits_are_digits),
    cmocka_unit_test(only_crlf_ends_a_chunk_line),
    cmocka_unit_test(an_extension_has_no_control_characters_but_tabs),
    cmocka_unit_test(crlf_follows_each_chunk),
    cmocka_unit_test(a_refusal_can_be_repeated),
    cmocka_unit_test(a_body_over_the_limit_is_refused_by_its_sizes),
    cmocka_unit_test(the_greatest_sizes_do_not_overflow),
    cmocka_unit_test(a_chunk_line_has_a_limit),
    cmocka_unit_test(framing_may_not_cost_more_than_the_body),
    cmocka_unit_test(decoding_allocates_nothing),
    cmocka_unit_test(writes_sizes_in_as_few_digits_as_there_are),
    cmocka_unit_test(reads_what_it_wrote),
};

TESTING_MAIN(tests)
