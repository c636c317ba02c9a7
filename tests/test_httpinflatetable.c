#include "httpserver/httpinflatetable.h"

#include <string.h>

#include "httpserver/httpbits.h"
#include "tests/support/testing.h"

enum { CANARY = 0x5a5a5a5a };

static uint32_t entries[HTTPINFLATETABLE_LITERALS + 1];

static uint32_t next_random(void)
{
    static uint32_t random = 1;

    random = random * UINT32_C(1664525) + UINT32_C(1013904223);
    return random >> 8;
}

/* So many lengths whose sum is a whole: one after the other becomes two of one more. */
static void make_lengths(uint8_t *lengths, unsigned count, unsigned tendency)
{
    unsigned used = 1;

    lengths[0] = 0;
    while (used < count) {
        unsigned split = next_random() % 8 < tendency ? used - 1 : next_random() % used;
        if (lengths[split] == HTTPBITS_LONGEST_CODE)
            split = next_random() % used;
        if (lengths[split] == HTTPBITS_LONGEST_CODE)
            continue;
        lengths[used++] = ++lengths[split];
    }
}

/* Each code is found, whatever follows it. */
static void assert_found(enum httpinflatetable_alphabet alphabet, unsigned root, const uint8_t *lengths, unsigned count)
{
    unsigned code = 0;

    for (unsigned length = 1; length <= HTTPBITS_LONGEST_CODE; length++)
        for (unsigned symbol = 0; symbol < count; symbol++) {
            if (lengths[symbol] != length)
                continue;
            uint32_t entry = httpinflatetable_find(entries, root, code | (uint64_t)next_random() << length);
            assert_int_equal(entry >> 8 & 15, length);
            if (alphabet == HTTPINFLATETABLE_OF_LENGTHS || symbol < HTTPBITS_END)
                assert_true(alphabet == HTTPINFLATETABLE_OF_DISTANCES || entry >> 16 == symbol);
            code = httpbits_next_code(code, length);
        }
}

static void assert_whole(enum httpinflatetable_alphabet alphabet, unsigned root, unsigned size, unsigned most)
{
    uint8_t lengths[HTTPBITS_LITERALS];

    for (unsigned i = 0; i < 6000; i++) {
        unsigned count = 2 + next_random() % (most - 1);
        make_lengths(lengths, count, i % 9);
        entries[size] = CANARY;
        assert_true(httpinflatetable_make(alphabet, entries, root, lengths, count));
        assert_int_equal(entries[size], CANARY);
        assert_found(alphabet, root, lengths, count);
        lengths[next_random() % count]--;
        assert_false(count > 2 && httpinflatetable_make(alphabet, entries, root, lengths, count));
    }
}

static void each_code_of_a_whole_set_is_found(void **state)
{
    assert_whole(HTTPINFLATETABLE_OF_LITERALS, HTTPINFLATETABLE_LITERAL_ROOT, HTTPINFLATETABLE_LITERALS,
                 HTTPBITS_LITERALS);
    assert_whole(HTTPINFLATETABLE_OF_DISTANCES, HTTPINFLATETABLE_DISTANCE_ROOT, HTTPINFLATETABLE_DISTANCES,
                 HTTPBITS_DISTANCES);
}

static void one_code_is_enough_except_for_lengths(void **state)
{
    static const uint8_t none[HTTPBITS_LENGTHS], one[HTTPBITS_LENGTHS] = { [7] = 1 },
                                                 longer[HTTPBITS_LENGTHS] = { [7] = 2 };

    assert_false(httpinflatetable_make(HTTPINFLATETABLE_OF_LENGTHS, entries, 7, none, HTTPBITS_LENGTHS));
    assert_false(httpinflatetable_make(HTTPINFLATETABLE_OF_LENGTHS, entries, 7, one, HTTPBITS_LENGTHS));
    assert_false(httpinflatetable_make(HTTPINFLATETABLE_OF_DISTANCES, entries, 8, longer, HTTPBITS_LENGTHS));
    assert_true(httpinflatetable_make(HTTPINFLATETABLE_OF_DISTANCES, entries, 8, one, HTTPBITS_LENGTHS));
    assert_int_equal(httpinflatetable_find(entries, 8, 0xfe) >> 16, 13); /* distances from 13 on */
    assert_int_equal(httpinflatetable_find(entries, 8, 0xff), HTTPINFLATETABLE_SPECIAL | 1);
    assert_true(httpinflatetable_make(HTTPINFLATETABLE_OF_DISTANCES, entries, 8, none, HTTPBITS_LENGTHS));
    for (uint64_t bits = 0; bits < 256; bits++)
        assert_int_equal(httpinflatetable_find(entries, 8, bits), HTTPINFLATETABLE_SPECIAL | 1);
}

/* RFC 1951 3.2.5. */
static void extra_bits_are_added(void **state)
{
    static const uint8_t lengths[HTTPBITS_LITERALS] = { [256] = 2, [257] = 2, [270] = 2, [285] = 2 };

    assert_true(httpinflatetable_make(HTTPINFLATETABLE_OF_LITERALS, entries, 10, lengths, HTTPBITS_LITERALS));
    assert_int_equal(httpinflatetable_find(entries, 10, 0),
                     HTTPINFLATETABLE_SPECIAL | HTTPINFLATETABLE_END | 2 | 2 << 8);
    assert_int_equal(httpinflatetable_value(httpinflatetable_find(entries, 10, 2), 2), 3);
    uint32_t entry = httpinflatetable_find(entries, 10, 1 | 5 << 2);
    assert_int_equal(httpinflatetable_bits(entry), 2 + 2);
    assert_int_equal(httpinflatetable_value(entry, 1 | 5 << 2), 23 + 1); /* of 23 to 26 */
    assert_int_equal(httpinflatetable_value(httpinflatetable_find(entries, 10, 3), 3), 258);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_code_of_a_whole_set_is_found),
    cmocka_unit_test(one_code_is_enough_except_for_lengths),
    cmocka_unit_test(extra_bits_are_added),
};

TESTING_MAIN(tests)
