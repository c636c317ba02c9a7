#include "httpserver/httpcrc32.h"

#include <string.h>

#include "tests/support/guardpage.h"
#include "tests/support/testing.h"

/* Bit by bit, as RFC 1952 8 says. */
static uint32_t crc_by_bits(const unsigned char *bytes, size_t length)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ UINT32_C(0xedb88320) : crc >> 1;
    }
    return ~crc;
}

static void the_sum_is_that_of_gzip(void **state)
{
    assert_int_equal(httpcrc32(0, "", 0), 0);
    assert_int_equal(httpcrc32(0, NULL, 0), 0);
    assert_int_equal(httpcrc32(0, "123456789", 9), 0xcbf43926);
    assert_int_equal(httpcrc32(0, "The quick brown fox jumps over the lazy dog", 43), 0x414fa339);
}

static void it_is_the_same_in_parts(void **state)
{
    unsigned char bytes[600];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * i >> 3);
    for (size_t length = 0; length <= sizeof bytes; length += length < 40 ? 1 : 61) {
        const char *copy = guardpage_text((const char *)bytes, length);
        uint32_t crc = crc_by_bits(bytes, length);
        for (size_t split = 0; split <= length; split++)
            assert_int_equal(httpcrc32(httpcrc32(0, copy, split), copy + split, length - split), crc);
    }
}

/* One byte and zeroes behind it go through each table. */
static void each_entry_of_the_tables_is_right(void **state)
{
    for (unsigned byte = 0; byte < 256; byte++)
        for (size_t at = 0; at < 8; at++) {
            unsigned char bytes[8] = { 0 };
            bytes[at] = (unsigned char)byte;
            assert_int_equal(httpcrc32(0, bytes, 8), crc_by_bits(bytes, 8));
        }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_sum_is_that_of_gzip),
    cmocka_unit_test(it_is_the_same_in_parts),
    cmocka_unit_test(each_entry_of_the_tables_is_right),
};

TESTING_MAIN(tests)
