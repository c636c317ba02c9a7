#include "httpserver/httpinflate.h"

#include "tests/support/deflatebits.h"
#include "tests/support/faults.h"
#include "tests/support/inflatetrace.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct inflatetrace trace;

static void inflate_text(enum httpinflate_format format, int window_bits, const char *text)
{
    struct deflatebits bits = { .count = 0 };

    deflatebits_put(&bits, text);
    inflatetrace_every_way(format, window_bits, bits.bytes, deflatebits_length(&bits), &trace);
}

static void assert_output(const char *text, const char *output)
{
    if (trace.refused || !trace.done)
        fail_msg("[%s] %s", text, trace.refused ? trace.problem : "not done");
    if (trace.length != strlen(output) || memcmp(trace.output, output, trace.length) != 0)
        fail_msg("[%s] %.*s", text, (int)trace.length, trace.output);
}

static void assert_problem(const char *text, const char *problem)
{
    if (!trace.refused || strcmp(trace.problem, problem) != 0)
        fail_msg("[%s] %s", text, trace.refused ? trace.problem : "not refused");
}

struct row {
    const char *text, *output; /* or the problem */
};

/* What is decoded. */

static void stored_blocks_are_copied(void **state)
{
    static const struct row rows[] = {
        { "1/1 0/2 | #0000ffff", "" },
        { "1/1 0/2 | #0500faff #68656c6c6f", "hello" },
        { "0/1 0/2 | #0500faff #68656c6c6f 1/1 0/2 | #0100feff #21", "hello!" },
        { "0/1 0/2 | #0000ffff 0/1 0/2 | #0000ffff 1/1 0/2 | #0100feff #61", "a" },
        { "1/1 0/2 11111 #0100feff #61", "a" }, /* what fills the byte is nobody's business */
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        inflate_text(HTTPINFLATE_RAW, 15, rows[i].text);
        assert_output(rows[i].text, rows[i].output);
    }
}

static void a_stored_block_may_be_as_long_as_its_length_can_say(void **state)
{
    static char bytes[5 + 65535] = "\x01\xff\xff\x00";

    memset(bytes + 5, 'x', 65535);
    for (size_t step = 1; step < 70000; step = step * 3 + 1) {
        inflatetrace_run(HTTPINFLATE_RAW, 8, bytes, sizeof bytes, step, step, &trace);
        assert_true(trace.done);
        assert_int_equal(trace.length, 65535);
        assert_memory_equal(trace.output, bytes + 5, 65535);
    }
}

/* RFC 1951 3.2.6. */
static void fixed_codes_are_known(void **state)
{
    static const struct row rows[] = {
        { "1/1 1/2 0000000", "" },
        { "1/1 1/2 10010001 0000000", "a" },
        { "1/1 1/2 10111111 110010000 111111111 0000000", "\x8f\x90\xff" },
        { "1/1 1/2 10010001 0000001 00000 0000000", "aaaa" },              /* length 3, distance 1 */
        { "1/1 1/2 10010001 10010010 0000010 00001 0000000", "ababab" },   /* 4, 2 */
        { "1/1 1/2 10010001 0001000 00000 0000000", "aaaaaaaaaaa" },       /* 10 */
        { "1/1 1/2 10010001 0001001 1/1 00000 0000000", "aaaaaaaaaaaaa" }, /* 12: an extra bit */
        { "1/1 1/2 10010001 10010010 10010011 10010100 10010101 0000001 00100 0/1 10010001 0000000", "abcdeabca" },
        { "#f348cdc9c90700", "Hello" },                                       /* RFC 7692 7.2.3.1 */
        { "0/1 1/2 10010001 0000000 1/1 1/2 0000001 00000 0000000", "aaaa" }, /* from the block before */
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        inflate_text(HTTPINFLATE_RAW, 15, rows[i].text);
        assert_output(rows[i].text, rows[i].output);
    }
}

/* 285 is 258, and so is, at a length, 284 with all its extra bits. */
static void a_match_may_be_258_bytes_long(void **state)
{
    static const char *const texts[] = {
        "1/1 1/2 10010001 11000101 00000 0000000",
        "1/1 1/2 10010001 11000100 31/5 00000 0000000",
    };

    for (size_t i = 0; i < COUNT(texts); i++) {
        inflate_text(HTTPINFLATE_RAW, 8, texts[i]);
        assert_true(trace.done);
        assert_int_equal(trace.length, 259);
        for (size_t at = 0; at < 259; at++)
            assert_int_equal(trace.output[at], 'a');
    }
}

/* A block with codes of its own: lengths of literals, of distances, and what follows them. RFC 1951 3.2.7. */
static void inflate_block(const char *literals, const char *distances, const char *text)
{
    struct deflatebits bits = { .count = 0 };

    deflatebits_put_head(&bits, 286, 30);
    deflatebits_put_lengths(&bits, literals, 286);
    deflatebits_put_lengths(&bits, distances, 30);
    deflatebits_put(&bits, text);
    inflatetrace_every_way(HTTPINFLATE_RAW, 15, bits.bytes, deflatebits_length(&bits), &trace);
}

#define LONG_CODES "97:1 98:2 99:3 100:4 101:5 102:6 103:7 104:8 105:9 106:10 107:11 108:12 109:13 110:14 111:15 256:15"

static void a_block_may_have_codes_of_its_own(void **state)
{
    static const struct {
        const char *literals, *distances, *text, *output;
    } rows[] = {
        { "97:1 256:1", "", "0 0 0 1", "aaa" },
        { "256:1", "", "0", "" }, /* one code, of one bit */
        { "97:2 98:2 256:2 257:2", "0:1", "00 01 11 0 10", "abbbb" },
        { "97:2 98:2 256:2 257:2", "1:1", "00 01 11 0 10", "ababa" },
        { "97:2 98:2 256:2 285:2", "0:1 1:1", "00 01 10", "ab" },
        { LONG_CODES, "", "0 110 11111111111110 111111111111110 111111111111111", "acno" },
        { "97:2 98:3 256:3 257:1", "0:11 1:11 2:1 3:2 4:3 5:4 6:5 7:6 8:7 9:8 10:9 11:10",
          "10 110 0 11111111111 0 11111111110 111", "ababaaaa" },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        inflate_block(rows[i].literals, rows[i].distances, rows[i].text);
        assert_output(rows[i].literals, rows[i].output);
    }
}

/* Codes of 11 to 15 bits are in tables of their own, as large as they have to be. */
static void codes_of_all_lengths_are_found(void **state)
{
    static const char codes[] = LONG_CODES;
    struct deflatebits bits = { .count = 0 };

    deflatebits_put_head(&bits, 286, 1);
    deflatebits_put_lengths(&bits, codes, 286);
    deflatebits_put_lengths(&bits, "", 1);
    for (unsigned length = 1; length <= 15; length++)
        deflatebits_put_code(&bits, (1u << length) - 2, length);
    deflatebits_put(&bits, "111111111111111");
    inflatetrace_every_way(HTTPINFLATE_RAW, 15, bits.bytes, deflatebits_length(&bits), &trace);
    assert_output(codes, "abcdefghijklmno");
}

/* As many bits as a turn of the fast loop may meet. */
static void many_long_codes_follow_each_other(void **state)
{
    struct deflatebits bits = { .count = 0 };

    deflatebits_put_head(&bits, 286, 30);
    deflatebits_put_lengths(&bits,
                            "97:1 98:2 99:3 100:4 101:5 102:6 103:7 104:8 105:9 106:10 107:11 108:12 109:13 "
                            "110:14 284:15 256:15",
                            286);
    deflatebits_put_lengths(&bits, "0:15 29:15 1:14 2:13 3:12 4:11 5:10 6:9 7:8 8:7 9:6 10:5 11:4 12:3 13:2 14:1", 30);
    for (int i = 0; i < 200; i++)
        deflatebits_put_code(&bits, (1u << 14) - 2, 14);
    for (int i = 0; i < 20; i++) {
        deflatebits_put_code(&bits, (1u << 15) - 1, 15);
        deflatebits_put_number(&bits, i == 0 ? 0 : 31, 5);
        deflatebits_put_code(&bits, (1u << 15) - 2, 15);
    }
    deflatebits_put_code(&bits, (1u << 15) - 2, 15);
    inflatetrace_every_way(HTTPINFLATE_RAW, 15, bits.bytes, deflatebits_length(&bits), &trace);
    assert_true(trace.done);
    assert_int_equal(trace.length, 200 + 227 + 19 * 258);
    for (size_t i = 0; i < trace.length; i++)
        assert_int_equal(trace.output[i], 'n');
}

static void repeated_lengths_go_from_literals_to_distances(void **state)
{
    struct deflatebits bits = { .count = 0 };

    deflatebits_put_head(&bits, 257, 4);
    deflatebits_put_length(&bits, 18), deflatebits_put_number(&bits, 97 - 11, 7);
    deflatebits_put_length(&bits, 2);
    deflatebits_put_length(&bits, 2);
    deflatebits_put_length(&bits, 18), deflatebits_put_number(&bits, 138 - 11, 7);
    deflatebits_put_length(&bits, 17), deflatebits_put_number(&bits, 10 - 3, 3);
    deflatebits_put_length(&bits, 17), deflatebits_put_number(&bits, 7 - 3, 3);
    deflatebits_put_length(&bits, 0);
    deflatebits_put_length(&bits, 2);
    deflatebits_put_length(&bits, 16), deflatebits_put_number(&bits, 5 - 3, 2);
    deflatebits_put(&bits, "00 01 10 11");
    inflatetrace_every_way(HTTPINFLATE_RAW, 15, bits.bytes, deflatebits_length(&bits), &trace);
    assert_output("a run over the border", "ab\xff");
}

/* 484 bytes, compressed by zlib: with codes of the block's own, with fixed ones, and with a flush in the midst. */
static void what_another_encoder_makes_is_decoded(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
    } rows[] = {
#define ROW(bytes) { bytes, sizeof bytes - 1 }
        ROW("\x95\xcc\x59\x0e\x40\x30\x14\x46\xe1\xad\xfc\x0b\x10\x51\x34\x2c\xc4\x06\x8a\xaa\xb9\xa6\x9a\x56\xaf\xef"
            "\x92\x9b\xdc\xe7\x93\xf3\x15\xad\x46\x84\xd5\x75\xd5\x80\x72\xb3\xd7\x8c\xc6\xde\x7a\x47\xef\xa6"
            "\x05\xf6\xd4\x9b\xaf\xa3\x7a\x1f\xd4\xd6\xec\x01\xd4\x5c\xe3\xf0\xcb\x7f\x18\x95\x33\x6d\x88\xc2\x47\x41"
            "\x7a\x19\xdb\x8b\x49\x4f\xa4\x6c\x30\x21\xc1\x58\xb0\xc1\x94\x06\x73\x36\x28\x49\x30\x91\x2c\xf0"
            "\x03"),
        ROW("\x0b\xc9\x48\x55\x30\x50\x28\x2c\xcd\x4c\xce\x56\x48\x2a\xca\x2f\xcf\x53\x48\xcb\xaf\x48\x2d\x56\xc8\x2a"
            "\xcd\x2d\x50\xc8\x2f\x4b\x2d\x02\xca\xe6\x24\x56\x55\x2a\xa4\xe4\xa7\x17\xeb\x28\x24\xe6\xa5\x28"
            "\x94\x00\xb5\x60\x6a\xc8\x49\x2c\x4d\xcf\xd0\x53\x08\x01\x4a\x1a\xe2\x35\xcf\x9c\x64\xf3\x8c\xf0\x9a\x67"
            "\x68\x42\xb2\x81\xc6\x78\x0d\x34\x32\x24\xd9\x40\x13\xfc\x06\x5a\x90\x6c\xa0\x29\x5e\x03\x8d\x4d"
            "\x49\x32\x10\x00"),
        ROW("\x0a\xc9\x48\x55\x30\x50\x28\x2c\xcd\x4c\xce\x56\x48\x2a\xca\x2f\xcf\x53\x48\xcb\xaf\x48\x2d\x56\xc8\x2a"
            "\xcd\x2d\x50\xc8\x2f\x4b\x2d\x02\xca\xe6\x24\x56\x55\x2a\xa4\xe4\xa7\x17\xeb\x28\x24\xe6\xa5\x28"
            "\x94\x00\xb5\x60\x6a\xc8\x49\x2c\x4d\xcf\xd0\x53\x08\x01\x4a\x1a\xe2\x35\xcf\x9c\x64\xf3\x8c\xf0\x9a\x67"
            "\x68\x42\x9a\x81\x00\x00\x00\x00\xff\xff\x03\x4a\x1a\xe3\x35\xd0\xc8\x90\x64\x03\x4d\xf0\x1b\x68"
            "\x41\xb2\x81\xa6\x78\x0d\x34\x36\x25\xc9\x40\x00"),
    };
    char text[512];
    size_t length = 0;

    for (int i = 0; i < 6; i++)
        length += (size_t)snprintf(text + length, sizeof text - length,
                                   "The %d quick brown foxes jump over %d lazy dogs, and the quick brown foxes laugh. ",
                                   i, i * 7);
    for (size_t i = 0; i < COUNT(rows); i++) {
        inflatetrace_every_way(HTTPINFLATE_RAW, 9, rows[i].bytes, rows[i].length, &trace);
        assert_true(trace.done);
        assert_int_equal(trace.length, length);
        assert_memory_equal(trace.output, text, length);
    }
}

/* What is refused. */

static void a_malformed_block_is_refused(void **state)
{
    static const struct row rows[] = {
        { "1/1 3/2", "type of a block" },
        { "1/1 0/2 | #0500fbff #68656c6c6f", "length of a stored block" },
        { "1/1 0/2 | #0000feff", "length of a stored block" },
        { "1/1 1/2 0000001 00000 0000000", "distance beyond the window" },
        { "1/1 1/2 10010001 0000001 00001 0000000", "distance beyond the window" },
        { "1/1 1/2 10010001 0000001 11110 0000000", "code of a distance" },
        { "1/1 1/2 10010001 0000001 11111 0000000", "code of a distance" },
        { "1/1 1/2 11000110 00000 0000000", "code of a literal" },
        { "1/1 1/2 11000111 00000 0000000", "code of a literal" },
        { "1/1 2/2 30/5 0/5 15/4", "too many symbols" },
        { "1/1 2/2 0/5 30/5 15/4", "too many symbols" },
        { "1/1 2/2 0/5 0/5 0/4 0/3 0/3 0/3 0/3", "codes of lengths" },
        { "1/1 2/2 0/5 0/5 0/4 1/3 0/3 0/3 0/3", "codes of lengths" }, /* not a whole set of codes */
        { "1/1 2/2 0/5 0/5 0/4 1/3 1/3 1/3 0/3", "codes of lengths" }, /* more than whole */
        { "1/1 2/2 0/5 0/5 0/4 1/3 0/3 1/3 0/3 0/1", "a repeated length without one before it" },
        { "1/1 2/2 0/5 0/5 0/4 0/3 0/3 1/3 1/3 1/1 127/7 1/1 127/7", "too many lengths" },
        { "1/1 2/2 0/5 0/5 0/4 0/3 0/3 1/3 1/3 1/1 127/7 1/1 110/7", "too many lengths" },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        inflate_text(HTTPINFLATE_RAW, 15, rows[i].text);
        assert_problem(rows[i].text, rows[i].output);
    }
}

static void codes_that_are_no_code_are_refused(void **state)
{
    static const struct {
        const char *literals, *distances, *text, *problem;
    } rows[] = {
        { "97:1", "", "", "a block without an end" },
        { "97:1 98:1", "", "", "a block without an end" },
        { "97:1 98:1 256:1", "", "", "codes of literals" },
        { "97:1 256:2", "", "", "codes of literals" },
        { "256:2", "", "", "codes of literals" },
        { "97:2 98:2 99:2 256:3", "", "", "codes of literals" },
        { "97:1 256:1", "0:2", "", "codes of distances" },
        { "97:1 256:1", "0:1 1:2", "", "codes of distances" },
        { "97:1 256:1", "0:1 1:1 2:1", "", "codes of distances" },
        { "256:1", "", "1", "code of a literal" },
        { "97:2 256:2 257:1", "", "10 0 0", "code of a distance" },
        { "97:2 256:2 257:1", "0:1", "10 0 1", "code of a distance" },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        inflate_block(rows[i].literals, rows[i].distances, rows[i].text);
        assert_problem(rows[i].literals, rows[i].problem);
    }
}

/* So many bytes in stored blocks, then the three that were so far back. */
static void inflate_distance(int window_bits, unsigned before, unsigned slot, unsigned extra_bits, unsigned extra)
{
    static char bytes[80000];
    struct deflatebits last = { .count = 0 };
    size_t length = 0;

    for (unsigned left = before, count; left > 0; left -= count) {
        count = left < 1000 ? left : 1000;
        memcpy(bytes + length, (char[]){ 0, (char)count, (char)(count >> 8), (char)~count, (char)(~count >> 8) }, 5);
        for (unsigned i = 0; i < count; i++)
            bytes[length + 5 + i] = (char)((left - i) * 7 >> 3);
        length += 5 + count;
    }
    deflatebits_put(&last, "1/1 1/2 0000001");
    deflatebits_put_code(&last, slot, 5);
    deflatebits_put_number(&last, extra, extra_bits);
    deflatebits_put(&last, "0000000");
    memcpy(bytes + length, last.bytes, deflatebits_length(&last));
    length += deflatebits_length(&last);
    inflatetrace_run(HTTPINFLATE_RAW, window_bits, bytes, length, length, 1, &trace);
}

static void a_distance_goes_back_to_the_end_of_the_window_and_no_farther(void **state)
{
    static const struct {
        int window_bits;
        unsigned before, slot, extra_bits, extra, distance;
        bool is_refused;
    } rows[] = {
        { 8, 300, 15, 6, 63, 256, false },         { 8, 300, 16, 7, 0, 257, true },
        { 8, 2304, 15, 6, 63, 256, false },        { 8, 2500, 16, 7, 0, 257, true },
        { 8, 2305, 15, 6, 63, 256, false },        { 9, 3000, 17, 7, 127, 512, false },
        { 9, 3000, 18, 8, 0, 513, true },          { 12, 9000, 23, 10, 1023, 4096, false },
        { 12, 9000, 24, 11, 0, 4097, true },       { 15, 40000, 29, 13, 8191, 32768, false },
        { 15, 32768, 29, 13, 8191, 32768, false }, { 15, 32767, 29, 13, 8191, 32768, true },
        { 15, 34816, 29, 13, 8191, 32768, false }, { 15, 34817, 29, 13, 8191, 32768, false },
        { 15, 69633, 29, 13, 8191, 32768, false },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        inflate_distance(rows[i].window_bits, rows[i].before, rows[i].slot, rows[i].extra_bits, rows[i].extra);
        if (trace.refused != rows[i].is_refused)
            fail_msg("window %d, %u bytes, distance %u: %s", rows[i].window_bits, rows[i].before, rows[i].distance,
                     trace.problem);
        if (rows[i].is_refused)
            continue;
        assert_true(trace.done);
        assert_int_equal(trace.length, rows[i].before + 3);
        assert_memory_equal(trace.output + rows[i].before, trace.output + rows[i].before - rows[i].distance, 3);
    }
}

/* Tornado's 6.1 looped here for ever. */
static void an_unfinished_stream_is_not_done(void **state)
{
    static const char bytes[] =
        "\x95\xcc\x59\x0e\x40\x30\x14\x46\xe1\xad\xfc\x0b\x10\x51\x34\x2c\xc4\x06\x8a\xaa\xb9\xa6\x9a\x56\xaf\xef\x92"
        "\x9b\xdc\xe7\x93\xf3\x15\xad\x46\x84\xd5\x75\xd5\x80\x72\xb3\xd7\x8c\xc6\xde\x7a\x47\xef\xa6"
        "\x05\xf6\xd4\x9b\xaf\xa3\x7a\x1f\xd4\xd6\xec\x01\xd4\x5c\xe3\xf0\xcb\x7f\x18\x95\x33\x6d\x88\xc2\x47\x41\x7a"
        "\x19\xdb\x8b\x49\x4f\xa4\x6c\x30\x21\xc1\x58\xb0\xc1\x94\x06\x73\x36\x28\x49\x30\x91\x2c\xf0"
        "\x03";
    static struct inflatetrace part;

    inflatetrace_run(HTTPINFLATE_RAW, 15, bytes, sizeof bytes - 1, sizeof bytes, 1, &trace);
    for (size_t length = 0; length < sizeof bytes - 1; length++) {
        inflatetrace_every_way(HTTPINFLATE_RAW, 15, bytes, length, &part);
        assert_false(part.refused);
        assert_false(part.done);
        assert_true(part.length <= trace.length);
        assert_memory_equal(part.output, trace.output, part.length);
    }
}

static void an_error_stays_until_reset(void **state)
{
    struct httpinflate *inflate = httpinflate_new(HTTPINFLATE_RAW, 15);
    struct httpinflate_piece piece;

    assert_int_equal(httpinflate_decode(inflate, "\x07", 1, &piece), -EBADMSG);
    assert_non_null(httpinflate_problem(inflate));
    assert_int_equal(httpinflate_decode(inflate, NULL, 0, &piece), -EBADMSG);
    assert_int_equal(httpinflate_decode(inflate, "\x03\x00", 2, &piece), -EBADMSG);
    httpinflate_reset(inflate);
    assert_null(httpinflate_problem(inflate));
    assert_int_equal(httpinflate_decode(inflate, "\x03\x00", 2, &piece), 2);
    assert_true(httpinflate_done(inflate));
    httpinflate_free(inflate);
}

static void what_was_decoded_before_an_error_is_handed_over(void **state)
{
    struct httpinflate *inflate = httpinflate_new(HTTPINFLATE_RAW, 15);
    struct httpinflate_piece piece;
    ssize_t taken = httpinflate_decode(inflate, "\x00\x02\x00\xfd\xffhi\x07", 8, &piece);

    assert_int_equal(taken, 8);
    assert_int_equal(piece.length, 2);
    assert_memory_equal(piece.data, "hi", 2);
    assert_int_equal(httpinflate_decode(inflate, NULL, 0, &piece), -EBADMSG);
    httpinflate_free(inflate);
}

static void bytes_behind_the_end_are_refused(void **state)
{
    inflate_text(HTTPINFLATE_RAW, 15, "1/1 1/2 10010001 0000000 | #00");
    assert_problem("a byte more", "bytes behind the end");
    assert_int_equal(trace.length, 1);
}

static void the_window_is_forgotten_with_a_reset(void **state)
{
    struct httpinflate *inflate = httpinflate_new(HTTPINFLATE_RAW, 8);
    struct httpinflate_piece piece;
    struct deflatebits bits = { .count = 0 };

    deflatebits_put(&bits, "1/1 1/2 0000001 00000 0000000");
    for (size_t length = 1; length < 5000; length += 619) {
        char head[] = { 1, (char)length, (char)(length >> 8), (char)~length, (char)(~length >> 8) };
        static char bytes[5000];
        inflatetrace_with(inflate, head, 5, 5, 1, &trace);
        inflatetrace_with(inflate, bytes, length, length, 1, &trace);
        assert_true(trace.done);
        httpinflate_reset(inflate);
        assert_int_equal(httpinflate_decode(inflate, bits.bytes, deflatebits_length(&bits), &piece), -EBADMSG);
        httpinflate_reset(inflate);
    }
    httpinflate_free(inflate);
}

/* 258 bytes for two bits and a bit. */
static void a_bomb_comes_out_by_pieces_that_are_not_larger_than_the_window(void **state)
{
    struct httpinflate *inflate = httpinflate_new(HTTPINFLATE_RAW, 15);
    struct deflatebits bits = { .count = 0 };
    struct httpinflate_piece piece;
    size_t total = 0, taken = 0;
    int pieces = 0;

    deflatebits_put_head(&bits, 286, 1);
    deflatebits_put_lengths(&bits, "97:2 256:2 285:1", 286);
    deflatebits_put_lengths(&bits, "0:1", 1);
    deflatebits_put(&bits, "10");
    for (int i = 0; i < 10000; i++)
        deflatebits_put(&bits, "00");
    deflatebits_put(&bits, "11");
    for (;;) {
        ssize_t count = httpinflate_decode(inflate, bits.bytes + taken, deflatebits_length(&bits) - taken, &piece);
        assert_true(count >= 0);
        assert_true(piece.length <= 32768 + 2048);
        taken += (size_t)count;
        total += piece.length;
        if (count == 0 && piece.length == 0)
            break;
        pieces++;
    }
    assert_true(httpinflate_done(inflate));
    assert_int_equal(total, 1 + 10000 * 258);
    assert_true(pieces > 70);
    httpinflate_free(inflate);
}

static void without_memory_there_is_no_decoder(void **state)
{
    faults_allocation(1, false);
    assert_null(httpinflate_new(HTTPINFLATE_GZIP, 15));
    faults_end();
    httpinflate_free(NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(stored_blocks_are_copied),
    cmocka_unit_test(a_stored_block_may_be_as_long_as_its_length_can_say),
    cmocka_unit_test(fixed_codes_are_known),
    cmocka_unit_test(a_match_may_be_258_bytes_long),
    cmocka_unit_test(a_block_may_have_codes_of_its_own),
    cmocka_unit_test(codes_of_all_lengths_are_found),
    cmocka_unit_test(many_long_codes_follow_each_other),
    cmocka_unit_test(repeated_lengths_go_from_literals_to_distances),
    cmocka_unit_test(what_another_encoder_makes_is_decoded),
    cmocka_unit_test(a_malformed_block_is_refused),
    cmocka_unit_test(codes_that_are_no_code_are_refused),
    cmocka_unit_test(a_distance_goes_back_to_the_end_of_the_window_and_no_farther),
    cmocka_unit_test(an_unfinished_stream_is_not_done),
    cmocka_unit_test(an_error_stays_until_reset),
    cmocka_unit_test(what_was_decoded_before_an_error_is_handed_over),
    cmocka_unit_test(bytes_behind_the_end_are_refused),
    cmocka_unit_test(the_window_is_forgotten_with_a_reset),
    cmocka_unit_test(a_bomb_comes_out_by_pieces_that_are_not_larger_than_the_window),
    cmocka_unit_test(without_memory_there_is_no_decoder),
};

TESTING_MAIN(tests)
