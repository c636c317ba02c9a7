#include "httpserver/httpdeflate.h"

#include <stdlib.h>
#include <string.h>

#include "httpserver/httpcrc32.h"
#include "httpserver/httpinflate.h"
#include "tests/support/faults.h"
#include "tests/support/guardpage.h"
#include "tests/support/testing.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { MOST = 400000 };

static char input[MOST], output[2 * MOST], again[2 * MOST];

/* Inputs. */

static uint32_t next_random(void)
{
    static uint32_t random = 1;

    random = random * UINT32_C(1664525) + UINT32_C(1013904223);
    return random >> 8;
}

static size_t make_nothing(size_t length)
{
    return 0;
}

static size_t make_zeroes(size_t length)
{
    memset(input, 0, length);
    return length;
}

static size_t make_noise(size_t length)
{
    for (size_t i = 0; i < length; i++)
        input[i] = (char)next_random();
    return length;
}

/* Words, some far more frequent than others. */
static size_t make_text(size_t length)
{
    static const char *const words[] = { "the ",    "of ",  "and ",    "request ", "a ",
                                         "stream ", "<td>", "</td>\n", "is ",      "0.25" };

    for (size_t at = 0, size; at < length; at += size) {
        const char *word = words[next_random() % (1 + next_random() % COUNT(words))];
        size = strlen(word);
        memcpy(input + at, word, size < length - at ? size : length - at);
        if (next_random() % 8 == 0)
            input[at] = (char)('0' + next_random() % 75);
    }
    return length;
}

/* A period that is at the border of a window. */
static size_t make_repeats(size_t length)
{
    make_noise(length < 32768 ? length : 32768);
    for (size_t i = 32768; i < length; i++)
        input[i] = input[i - 32768];
    return length;
}

/* Frequencies like Fibonacci numbers, so that Huffman's codes would be longer than 15 bits. */
static size_t make_skewed(size_t length)
{
    size_t at = 0;

    for (size_t weight = 1, before = 1, symbol = 0; at < length && symbol < 24; symbol++) {
        for (size_t i = 0; i < weight && at < length; i++)
            input[at++] = (char)(next_random() % 6 == 0 ? 'a' + next_random() % (symbol + 1) : 'a' + symbol);
        weight += before;
        before = weight - before;
    }
    return at;
}

static size_t make_noise_and_text(size_t length)
{
    static char noise[MOST];

    make_noise(length);
    memcpy(noise, input, length);
    make_text(length);
    for (size_t i = 0; i < length; i += 7000)
        memcpy(input + i, noise + i, length - i < 3500 ? length - i : 3500);
    return length;
}

static size_t (*const inputs[])(size_t length) = {
    make_nothing, make_zeroes, make_noise, make_text, make_repeats, make_skewed, make_noise_and_text,
};

/* Encoding and decoding. */

static size_t encode_with(struct httpdeflate *deflate, const char *bytes, size_t length, size_t step,
                          enum httpdeflate_flush flush, char *place)
{
    struct httpdeflate_piece piece;
    size_t at = 0, size = 0;

    do {
        size_t given = length - at < step ? length - at : step;
        size_t taken =
            httpdeflate_encode(deflate, bytes + at, given, at + given == length ? flush : HTTPDEFLATE_MORE, &piece);
        assert_true(taken <= given);
        assert_true(piece.more || taken == given);
        assert_true(piece.length <= 8192);
        memcpy(place + size, piece.data, piece.length);
        size += piece.length;
        at += taken;
    } while (piece.more || at < length);
    return size;
}

static size_t encode(enum httpdeflate_format format, int level, int window_bits, size_t length, size_t step)
{
    struct httpdeflate *deflate = httpdeflate_new(format, level, window_bits);

    assert_non_null(deflate);
    size_t size = encode_with(deflate, input, length, step, HTTPDEFLATE_FINISH, output);
    httpdeflate_free(deflate);
    return size;
}

/* As long as that, all is what has come. */
static void decode_with(struct httpinflate *inflate, const char *bytes, size_t size, const char *wanted, size_t length)
{
    struct httpinflate_piece piece;
    size_t at = 0, total = 0;
    ssize_t taken;

    do {
        taken = httpinflate_decode(inflate, bytes + at, size - at, &piece);
        if (taken < 0)
            fail_msg("%s at %zu of %zu", httpinflate_problem(inflate), at, size);
        assert_true(total + piece.length <= length);
        assert_memory_equal(wanted + total, piece.data, piece.length);
        total += piece.length;
        at += (size_t)taken;
    } while (taken > 0 || piece.length > 0);
    assert_int_equal(total, length);
    assert_int_equal(at, size);
}

static void assert_round_trip(enum httpdeflate_format format, int level, int window_bits, size_t length, size_t step)
{
    size_t size = encode(format, level, window_bits, length, step);
    struct httpinflate *inflate =
        httpinflate_new(format == HTTPDEFLATE_GZIP ? HTTPINFLATE_GZIP : HTTPINFLATE_RAW, window_bits);

    decode_with(inflate, output, size, input, length);
    assert_true(httpinflate_done(inflate));
    httpinflate_free(inflate);
}

/* Round trips. A window of the decoder that is not larger sees that no distance is. */

static void what_is_encoded_is_decoded_to_the_same_at_each_level(void **state)
{
    for (size_t i = 0; i < COUNT(inputs); i++)
        for (int level = 0; level <= 10; level++)
            assert_round_trip(HTTPDEFLATE_GZIP, level, 15, inputs[i](100000), MOST);
}

static void what_is_encoded_is_decoded_to_the_same_with_each_window(void **state)
{
    for (size_t i = 0; i < COUNT(inputs); i++)
        for (int window_bits = 8; window_bits <= 15; window_bits++)
            assert_round_trip(HTTPDEFLATE_RAW, i % 2 ? 6 : 3, window_bits, inputs[i](200000), MOST);
}

static void any_length_is_encoded(void **state)
{
    for (size_t i = 0; i < COUNT(inputs); i++) {
        for (size_t length = 0; length < 600; length = length < 20 ? length + 1 : length + 37)
            assert_round_trip(HTTPDEFLATE_GZIP, 6, 15, inputs[i](length), MOST);
        for (size_t length = 65536 - 600; length < 65536 + 600; length += length / 16 == 65536 / 16 - 1 ? 1 : 16)
            assert_round_trip(HTTPDEFLATE_RAW, 6, 15, inputs[i](length), MOST);
    }
}

static void what_comes_out_does_not_depend_on_splits(void **state)
{
    static const size_t steps[] = { 1, 2, 3, 100, 8191, 65535, 65536, 65537 };

    for (size_t i = 0; i < COUNT(inputs); i++) {
        size_t length = inputs[i](140000), size = encode(HTTPDEFLATE_GZIP, 6, 15, length, MOST);
        memcpy(again, output, size);
        for (size_t j = 0; j < COUNT(steps); j++) {
            assert_int_equal(encode(HTTPDEFLATE_GZIP, 6, 15, length, steps[j]), size);
            assert_memory_equal(output, again, size);
        }
    }
}

static void nothing_is_read_behind_the_input(void **state)
{
    struct httpdeflate *deflate = httpdeflate_new(HTTPDEFLATE_RAW, 6, 9);

    for (size_t length = 1; length < 3000; length += 101) {
        make_text(length);
        encode_with(deflate, guardpage_text(input, length), length, length, HTTPDEFLATE_FINISH, output);
        httpdeflate_reset(deflate);
    }
    httpdeflate_free(deflate);
}

/* Flushes. */

static void a_sync_flush_brings_out_all_that_has_come(void **state)
{
    static const size_t steps[] = { 1, 2, 5, 300, 3000, 20000, 70000 };

    for (size_t i = 0; i < COUNT(inputs); i++)
        for (size_t j = 0; j < COUNT(steps); j++) {
            size_t length = inputs[i](steps[j] * 20 < 150000 ? steps[j] * 20 : 150000);
            struct httpdeflate *deflate = httpdeflate_new(HTTPDEFLATE_GZIP, 6, 12);
            struct httpinflate *inflate = httpinflate_new(HTTPINFLATE_GZIP, 12);
            for (size_t at = 0, count; at < length; at += count) {
                count = length - at < steps[j] ? length - at : steps[j];
                size_t size = encode_with(deflate, input + at, count, MOST, HTTPDEFLATE_SYNC, output);
                assert_memory_equal(output + size - 4, "\0\0\xff\xff", 4);
                decode_with(inflate, output, size, input + at, count);
            }
            decode_with(inflate, output, encode_with(deflate, "", 0, MOST, HTTPDEFLATE_FINISH, output), "", 0);
            assert_true(httpinflate_done(inflate));
            httpinflate_free(inflate);
            httpdeflate_free(deflate);
        }
}

static void a_second_sync_flush_of_nothing_is_nothing(void **state)
{
    struct httpdeflate *deflate = httpdeflate_new(HTTPDEFLATE_RAW, 6, 15);

    assert_int_equal(encode_with(deflate, "", 0, MOST, HTTPDEFLATE_SYNC, output), 0);
    assert_true(encode_with(deflate, "a", 1, MOST, HTTPDEFLATE_SYNC, output) > 4);
    assert_int_equal(encode_with(deflate, "", 0, MOST, HTTPDEFLATE_SYNC, output), 0);
    assert_int_equal(encode_with(deflate, "", 0, MOST, HTTPDEFLATE_FINISH, output), 2);
    assert_memory_equal(output, "\x03\x00", 2);
    httpdeflate_free(deflate);
}

static void after_the_end_there_is_nothing(void **state)
{
    struct httpdeflate *deflate = httpdeflate_new(HTTPDEFLATE_GZIP, 6, 15);
    struct httpdeflate_piece piece;

    assert_int_equal(encode_with(deflate, "a", 1, MOST, HTTPDEFLATE_FINISH, output), 10 + 3 + 8);
    assert_int_equal(httpdeflate_encode(deflate, "b", 1, HTTPDEFLATE_FINISH, &piece), 0);
    assert_int_equal(piece.length, 0);
    assert_false(piece.more);
    httpdeflate_free(deflate);
}

/* RFC 7692 7.2.1. The decoder adds what was cut off. */
static void messages_end_without_the_four_bytes(void **state)
{
    static const size_t lengths[] = { 5, 0, 0, 1, 1000, 130000, 3, 0, 64 };

    for (int window_bits = 8; window_bits <= 15; window_bits++) {
        struct httpdeflate *deflate = httpdeflate_new(HTTPDEFLATE_RAW, 6, window_bits);
        struct httpinflate *inflate = httpinflate_new(HTTPINFLATE_MESSAGES, window_bits);
        for (size_t i = 0; i < COUNT(lengths); i++) {
            make_text(lengths[i]);
            size_t size = encode_with(deflate, input, lengths[i], 777, HTTPDEFLATE_MESSAGE, output);
            assert_true(size > 0);
            decode_with(inflate, output, size, input, lengths[i]);
            assert_int_equal(httpinflate_end_message(inflate), 0);
        }
        httpinflate_free(inflate);
        httpdeflate_free(deflate);
    }
}

/* RFC 7692 7.2.3.1 and 7.2.3.2. */
static void a_message_may_refer_to_the_one_before(void **state)
{
    struct httpdeflate *deflate = httpdeflate_new(HTTPDEFLATE_RAW, 6, 15);

    assert_int_equal(encode_with(deflate, "Hello", 5, MOST, HTTPDEFLATE_MESSAGE, output), 7);
    assert_memory_equal(output, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7);
    assert_int_equal(encode_with(deflate, "Hello", 5, MOST, HTTPDEFLATE_MESSAGE, output), 4);
    httpdeflate_reset(deflate);
    assert_int_equal(encode_with(deflate, "Hello", 5, MOST, HTTPDEFLATE_MESSAGE, output), 7);
    httpdeflate_free(deflate);
}

static void after_a_reset_it_is_as_new(void **state)
{
    struct httpdeflate *deflate = httpdeflate_new(HTTPDEFLATE_GZIP, 6, 15);

    for (size_t i = 0; i < 3 * COUNT(inputs); i++) {
        size_t length = inputs[i * 5 % COUNT(inputs)](30000 + i * 9000);
        size_t size = encode_with(deflate, input, length, 5000, i % 3 ? HTTPDEFLATE_FINISH : HTTPDEFLATE_SYNC, output);
        struct httpinflate *inflate = httpinflate_new(HTTPINFLATE_GZIP, 15);
        decode_with(inflate, output, size, input, length);
        assert_int_equal(httpinflate_done(inflate), i % 3 != 0);
        httpinflate_free(inflate);
        httpdeflate_reset(deflate);
    }
    for (size_t i = 0; i < 8; i++) { /* amid a byte, and a block */
        encode_with(deflate, input, make_noise_and_text(200000 + i * 20000), MOST, HTTPDEFLATE_MORE, output);
        httpdeflate_reset(deflate);
        assert_int_equal(encode_with(deflate, "a", 1, MOST, HTTPDEFLATE_FINISH, output), 10 + 3 + 8);
        assert_memory_equal(output + 10, "\x4b\x04\x00\x43\xbe\xb7\xe8\x01\0\0\0", 11);
        httpdeflate_reset(deflate);
    }
    httpdeflate_free(deflate);
}

/* Few kinds of letters: nearly everything has come before, if only three bytes of it. */
static void after_a_reset_nothing_of_what_came_before_shows(void **state)
{
    static char fresh[8192];
    struct httpdeflate *used = httpdeflate_new(HTTPDEFLATE_GZIP, 6, 12);

    for (size_t i = 0; i < 500; i++) {
        size_t length = 50 + next_random() % 3000;
        uint32_t kinds = 2 + next_random() % 20;
        for (size_t j = 0; j < length; j++)
            input[j] = (char)('a' + next_random() % kinds);
        httpdeflate_reset(used);
        size_t size = encode_with(used, input, length, MOST, HTTPDEFLATE_FINISH, fresh);
        assert_int_equal(size, encode(HTTPDEFLATE_GZIP, 6, 12, length, MOST));
        assert_memory_equal(fresh, output, size);
    }
    httpdeflate_free(used);
}

/* How well. */

static void noise_is_stored(void **state)
{
    for (int window_bits = 12; window_bits <= 15; window_bits++) {
        size_t size = encode(HTTPDEFLATE_RAW, 6, window_bits, make_noise(300000), MOST);
        assert_true(size < 300000 + 300000 / 300);
    }
    assert_true(encode(HTTPDEFLATE_RAW, 6, 8, make_noise(300000), MOST) < 300000 * 105 / 100);
}

static void repetition_is_found(void **state)
{
    assert_true(encode(HTTPDEFLATE_RAW, 6, 15, make_zeroes(MOST), MOST) < 600);
    assert_true(encode(HTTPDEFLATE_RAW, 1, 15, make_zeroes(MOST), MOST) < 600);
    assert_true(encode(HTTPDEFLATE_RAW, 6, 15, make_repeats(MOST), MOST) < 40000);
    assert_true(encode(HTTPDEFLATE_RAW, 6, 14, make_repeats(MOST), MOST) > 400000);
}

static void a_higher_level_is_not_worse(void **state)
{
    size_t before = MOST;

    for (int level = 1; level <= 9; level += 4) {
        make_text(MOST);
        size_t size = encode(HTTPDEFLATE_RAW, level, 15, MOST, MOST);
        assert_true(size < before);
        before = size;
    }
}

static void a_short_text_has_the_fixed_codes(void **state)
{
    memcpy(input, "aaaaaaaaaaaa", 12);
    assert_int_equal(encode(HTTPDEFLATE_RAW, 6, 15, 12, MOST), 4);
    assert_memory_equal(output, "\x4b\x44\x02\x00", 4);
    assert_int_equal(encode(HTTPDEFLATE_RAW, 6, 15, 0, MOST), 2);
    assert_memory_equal(output, "\x03\x00", 2);
}

/* RFC 1952 2.3. */
static void gzip_has_head_and_trailer(void **state)
{
    size_t length = make_text(70000), size = encode(HTTPDEFLATE_GZIP, 6, 15, length, 1000);
    uint32_t crc = httpcrc32(0, input, length);
    const char trailer[] = { (char)crc, (char)(crc >> 8), (char)(crc >> 16), (char)(crc >> 24), 0x70, 0x11, 1, 0 };

    assert_memory_equal(output, "\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
    assert_memory_equal(output + size - 8, trailer, 8);
}

static void memory_is_as_much_as_the_window_needs(void **state)
{
    static const struct {
        int window_bits;
        size_t most;
    } rows[] = { { 15, 256 * 1024 }, { 12, 64 * 1024 }, { 9, 32 * 1024 } };

    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t before = faults_allocated_bytes();
        struct httpdeflate *deflate = httpdeflate_new(HTTPDEFLATE_GZIP, 6, rows[i].window_bits);
        assert_true(faults_allocated_bytes() - before <= rows[i].most);
        httpdeflate_free(deflate);
    }
    faults_end();
}

static void without_memory_there_is_no_encoder(void **state)
{
    faults_allocation(1, false);
    assert_null(httpdeflate_new(HTTPDEFLATE_RAW, 6, 15));
    faults_end();
    httpdeflate_free(NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_is_encoded_is_decoded_to_the_same_at_each_level),
    cmocka_unit_test(what_is_encoded_is_decoded_to_the_same_with_each_window),
    cmocka_unit_test(any_length_is_encoded),
    cmocka_unit_test(what_comes_out_does_not_depend_on_splits),
    cmocka_unit_test(nothing_is_read_behind_the_input),
    cmocka_unit_test(a_sync_flush_brings_out_all_that_has_come),
    cmocka_unit_test(a_second_sync_flush_of_nothing_is_nothing),
    cmocka_unit_test(after_the_end_there_is_nothing),
    cmocka_unit_test(messages_end_without_the_four_bytes),
    cmocka_unit_test(a_message_may_refer_to_the_one_before),
    cmocka_unit_test(after_a_reset_it_is_as_new),
    cmocka_unit_test(after_a_reset_nothing_of_what_came_before_shows),
    cmocka_unit_test(noise_is_stored),
    cmocka_unit_test(repetition_is_found),
    cmocka_unit_test(a_higher_level_is_not_worse),
    cmocka_unit_test(a_short_text_has_the_fixed_codes),
    cmocka_unit_test(gzip_has_head_and_trailer),
    cmocka_unit_test(memory_is_as_much_as_the_window_needs),
    cmocka_unit_test(without_memory_there_is_no_encoder),
};

TESTING_MAIN(tests)
