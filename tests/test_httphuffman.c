#include "httpserver/httphuffman.h"

#include "httpserver/httpbits.h"
#include "tests/support/testing.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct httphuffman_code codes[HTTPHUFFMAN_MOST];

/* In units of 2^-15: a whole. */
static unsigned sum_of(unsigned count)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < count; i++)
        sum += codes[i].length > 0 ? 1u << (15 - codes[i].length) : 0;
    return sum;
}

static unsigned long cost_of(const uint16_t *frequencies, unsigned count)
{
    unsigned long cost = 0;

    for (unsigned i = 0; i < count; i++)
        cost += (unsigned long)frequencies[i] * codes[i].length;
    return cost;
}

/* None is the beginning of another. */
static void assert_codes_differ(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        for (unsigned j = 0; j < count; j++) {
            unsigned length = codes[i].length;
            if (i != j && length > 0 && codes[j].length >= length)
                assert_int_not_equal(codes[i].bits, codes[j].bits & ((1u << length) - 1));
        }
}

static void the_shortest_codes_are_found(void **state)
{
    static const struct {
        uint16_t frequencies[8];
        unsigned long cost; /* by hand */
    } rows[] = {
        { { 1, 1 }, 2 },
        { { 5, 0, 7 }, 12 },
        { { 1, 1, 2, 3, 5, 8, 13, 21 }, 132 },
        { { 10, 10, 10, 10 }, 80 },
        { { 45, 13, 12, 16, 9, 5 }, 224 },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        httphuffman_make(codes, rows[i].frequencies, 8, 15);
        assert_int_equal(cost_of(rows[i].frequencies, 8), rows[i].cost);
        assert_int_equal(sum_of(8), 1u << 15);
        assert_codes_differ(8);
    }
}

static void two_symbols_have_codes_even_if_fewer_come(void **state)
{
    static const uint16_t rows[][4] = { { 0, 0, 0, 0 }, { 9, 0, 0, 0 }, { 0, 9, 0, 0 }, { 0, 0, 0, 9 } };

    for (size_t i = 0; i < COUNT(rows); i++) {
        httphuffman_make(codes, rows[i], 4, 7);
        assert_int_equal(sum_of(4), 1u << 15);
        for (unsigned symbol = 0; symbol < 4; symbol++)
            assert_true(rows[i][symbol] == 0 || codes[symbol].length == 1);
    }
}

static void no_code_is_longer_than_the_limit(void **state)
{
    uint16_t frequencies[HTTPHUFFMAN_MOST];
    unsigned random = 7;

    for (unsigned count = 2; count <= HTTPHUFFMAN_MOST; count++)
        for (unsigned shape = 0; shape < 3; shape++) {
            for (unsigned i = 0; i < count; i++) {
                random = random * 1664525 + 1013904223;
                frequencies[i] = (uint16_t)(shape == 0   ? 1u << (i % 16)
                                            : shape == 1 ? random >> 17 >> (random >> 8) % 15
                                                         : (i < 22 ? 1u << i % 16 : 0));
            }
            for (unsigned limit = count <= 128 ? 7 : 9; limit <= 15; limit += 2) {
                httphuffman_make(codes, frequencies, count, limit);
                assert_int_equal(sum_of(count), 1u << 15);
                for (unsigned i = 0; i < count; i++) {
                    assert_true(codes[i].length <= limit);
                    assert_true(frequencies[i] == 0 || codes[i].length > 0);
                }
            }
        }
    assert_codes_differ(HTTPHUFFMAN_MOST);
}

/* Those that come more often have no longer ones. */
static void the_rarer_have_the_longer_codes(void **state)
{
    static const uint16_t frequencies[] = { 1,  1,   2,   3,   5,   8,   13,   21,   34,  55,
                                            89, 144, 233, 377, 610, 987, 1597, 2584, 4181 };

    for (unsigned limit = 5; limit <= 15; limit++) {
        httphuffman_make(codes, frequencies, COUNT(frequencies), limit);
        for (unsigned i = 1; i < COUNT(frequencies); i++)
            assert_true(codes[i].length <= codes[i - 1].length);
        assert_int_equal(codes[0].length, limit);
        assert_int_equal(sum_of(COUNT(frequencies)), 1u << 15);
    }
}

/* RFC 1951 3.2.2, the second example: lengths 3, 3, 3, 3, 3, 2, 4, 4. Bits the other way round. */
static void codes_are_numbered_as_the_rfc_says(void **state)
{
    static const uint8_t lengths[] = { 3, 3, 3, 3, 3, 2, 4, 4 };
    static const uint16_t wanted[] = { 02, 06, 01, 05, 03, 0, 7, 15 };

    for (unsigned i = 0; i < 8; i++)
        codes[i].length = lengths[i];
    httphuffman_number(codes, 8);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(codes[i].bits, wanted[i]);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_shortest_codes_are_found),       cmocka_unit_test(two_symbols_have_codes_even_if_fewer_come),
    cmocka_unit_test(no_code_is_longer_than_the_limit),   cmocka_unit_test(the_rarer_have_the_longer_codes),
    cmocka_unit_test(codes_are_numbered_as_the_rfc_says),
};

TESTING_MAIN(tests)
