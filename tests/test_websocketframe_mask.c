/* The mask of websocketframe.h, against one that goes byte by byte. */
#include "websocket/websocketframe.h"

#include <string.h>

#include "tests/support/guardpage.h"
#include "tests/support/testing.h"

/* The same source once more without the machine's own vectors: the two have to agree on everything. */
int parse_in_words(const void *bytes, size_t length, struct websocketframe *frame);
size_t format_in_words(char place[WEBSOCKETFRAME_LONGEST_HEAD], const struct websocketframe *frame);
bool is_code_in_words(int code);
uint32_t mask_at_in_words(uint32_t mask, uint64_t offset);
void mask_in_words(void *to, const void *from, size_t length, uint32_t mask, uint64_t offset);
bool unmask_text_in_words(void *bytes, size_t length, uint32_t mask);
#define WEBSOCKETFRAME_NO_VECTORS  1
#define websocketframe_parse       parse_in_words
#define websocketframe_format      format_in_words
#define websocketframe_is_code     is_code_in_words
#define websocketframe_mask_at     mask_at_in_words
#define websocketframe_mask        mask_in_words
#define websocketframe_unmask_text unmask_text_in_words
#include "websocket/websocketframe.c"
#undef websocketframe_parse
#undef websocketframe_format
#undef websocketframe_is_code
#undef websocketframe_mask_at
#undef websocketframe_mask
#undef websocketframe_unmask_text

#define COUNT(array) (sizeof(array) / sizeof *(array))

typedef void mask_fn(void *, const void *, size_t, uint32_t, uint64_t);
typedef bool unmask_text_fn(void *, size_t, uint32_t);

enum { ALL_LENGTHS = 600, LONGEST = 70000, ALIGNMENTS = 33 };

static mask_fn *const mask_functions[] = { websocketframe_mask, mask_in_words };
static unmask_text_fn *const text_functions[] = { websocketframe_unmask_text, unmask_text_in_words };

static uint32_t mask_of(const char bytes[4])
{
    uint32_t mask;

    memcpy(&mask, bytes, 4);
    return mask;
}

static void mask_bytewise(char *to, const char *from, size_t length, const char mask[4], uint64_t offset)
{
    for (size_t i = 0; i < length; i++)
        to[i] = (char)(from[i] ^ mask[(offset + i) % 4]);
}

static void fill_odd(char *bytes, size_t length)
{
    uint32_t number = 1;

    for (size_t i = 0; i < length; i++) {
        number = number * 1664525u + 1013904223u;
        bytes[i] = (char)(unsigned char)(number >> 24);
    }
}

/* websocket_test:test_mask */
static void masks_as_tornado_does(void **state)
{
    static const struct {
        const char *mask, *from, *to;
        size_t length;
    } cases[] = {
        { "abcd", "", "", 0 },
        { "abcd", "b", "\x03", 1 },
        { "abcd", "54321", "TVPVP", 5 },
        { "ZXCV", "98765432", "c`t`olpd", 8 },
        { "\x00\x01\x02\x03", "\xff\xfb\xfd\xfc\xfe\xfa", "\xff\xfa\xff\xff\xfe\xfb", 6 },
        { "\xff\xfb\xfd\xfc", "\x00\x01\x02\x03\x04\x05", "\xff\xfa\xff\xff\xfb\xfe", 6 },
    };
    char place[8];

    for (size_t i = 0; i < COUNT(cases); i++)
        for (size_t j = 0; j < COUNT(mask_functions); j++) {
            mask_functions[j](place, cases[i].from, cases[i].length, mask_of(cases[i].mask), 0);
            assert_memory_equal(place, cases[i].to, cases[i].length);
        }
}

/* Where it lies at a guard page, and from and to everywhere; nothing is touched before and behind. */
static void assert_masked(mask_fn *mask, const char *bytes, size_t length, uint64_t offset)
{
    static const char key[4] = "\x9e\x37\x01\xf9";
    static char wanted[LONGEST], far[LONGEST + 2 * ALIGNMENTS];
    char *place = guardpage_place(length + 1) + 1;
    size_t shift = length % ALIGNMENTS;

    mask_bytewise(wanted, bytes, length, key, offset);
    mask(place, guardpage_text(bytes, length), length, mask_of(key), offset);
    assert_memory_equal(place, wanted, length);
    if (length > 0)
        memcpy(place, bytes, length);
    mask(place, place, length, mask_of(key), offset);
    assert_memory_equal(place, wanted, length);
    assert_int_equal(place[-1], '#');
    memset(far, '#', length + 2 * ALIGNMENTS);
    mask(far + shift, bytes, length, mask_of(key), offset);
    assert_memory_equal(far + shift, wanted, length);
    for (size_t i = 0; i < ALIGNMENTS; i++)
        assert_true((i >= shift || far[i] == '#') && far[shift + length + i] == '#');
}

static void masks_every_length_at_every_offset(void **state)
{
    static char bytes[ALL_LENGTHS];

    fill_odd(bytes, sizeof bytes);
    for (size_t length = 0; length <= ALL_LENGTHS; length++)
        for (uint64_t offset = 0; offset < 5; offset++)
            for (size_t i = 0; i < COUNT(mask_functions); i++)
                assert_masked(mask_functions[i], bytes, length, offset);
}

static void masks_at_every_alignment(void **state)
{
    static char bytes[ALL_LENGTHS + ALIGNMENTS];

    fill_odd(bytes, sizeof bytes);
    for (size_t shift = 0; shift < ALIGNMENTS; shift++)
        for (size_t length = 0; length <= ALL_LENGTHS; length += 1 + length / 23)
            for (size_t i = 0; i < COUNT(mask_functions); i++)
                assert_masked(mask_functions[i], bytes + shift, length, shift);
}

static void masks_long_payloads_and_far_offsets(void **state)
{
    static char bytes[LONGEST];

    fill_odd(bytes, sizeof bytes);
    for (size_t i = 0; i < COUNT(mask_functions); i++) {
        assert_masked(mask_functions[i], bytes, LONGEST, 0);
        assert_masked(mask_functions[i], bytes, LONGEST - 1, UINT64_C(0x7fffffffffffffff));
        assert_masked(mask_functions[i], bytes, 65536, UINT64_C(0xffffffff) + 3);
        assert_masked(mask_functions[i], bytes, 16384, 2);
    }
}

static void masks_in_pieces_as_in_one(void **state)
{
    static const char key[4] = "\x01\x80\xfe\x7f";
    static char bytes[ALL_LENGTHS], wanted[ALL_LENGTHS], place[ALL_LENGTHS];

    fill_odd(bytes, sizeof bytes);
    mask_bytewise(wanted, bytes, sizeof bytes, key, 0);
    for (size_t cut = 0; cut <= ALL_LENGTHS; cut++) {
        websocketframe_mask(place, bytes, cut, mask_of(key), 0);
        websocketframe_mask(place + cut, bytes + cut, ALL_LENGTHS - cut, mask_of(key), cut);
        assert_memory_equal(place, wanted, sizeof wanted);
        websocketframe_mask(place + cut, bytes + cut, ALL_LENGTHS - cut, websocketframe_mask_at(mask_of(key), cut), 0);
        assert_memory_equal(place, wanted, sizeof wanted);
    }
}

/* One byte over 0x7F at a time, and without. */
static void tells_whether_a_text_is_ascii(void **state)
{
    static const char key[4] = "\x9e\x37\x01\xf9";
    static char text[ALL_LENGTHS];

    for (size_t i = 0; i < ALL_LENGTHS; i++)
        text[i] = (char)(i % 128);
    for (size_t length = 0; length < ALL_LENGTHS; length += 1 + length / 60)
        for (size_t high = 0; high <= length; high++)
            for (size_t i = 0; i < COUNT(text_functions); i++) {
                char *place = guardpage_place(length);
                mask_bytewise(place, text, length, key, 0);
                if (high < length)
                    place[high] = (char)(place[high] ^ 0x80);
                assert_int_equal(text_functions[i](place, length, mask_of(key)), high == length);
                if (high < length)
                    place[high] = (char)(place[high] ^ 0x80);
                assert_memory_equal(place, text, length);
            }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(masks_as_tornado_does),     cmocka_unit_test(masks_every_length_at_every_offset),
    cmocka_unit_test(masks_at_every_alignment),  cmocka_unit_test(masks_long_payloads_and_far_offsets),
    cmocka_unit_test(masks_in_pieces_as_in_one), cmocka_unit_test(tells_whether_a_text_is_ascii),
};
TESTING_MAIN(tests)
