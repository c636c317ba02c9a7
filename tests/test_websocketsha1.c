#include "websocket/websocketsha1.h"

#include <string.h>

#include "tests/support/guardpage.h"
#include "tests/support/testing.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { MILLION = 1000000, LENGTHS = 300 };

static void assert_digest(const unsigned char digest[WEBSOCKETSHA1_DIGEST], const char *wanted)
{
    char text[2 * WEBSOCKETSHA1_DIGEST + 1] = { 0 };

    for (size_t i = 0; i < WEBSOCKETSHA1_DIGEST; i++) {
        text[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    assert_string_equal(text, wanted);
}

static void hash(const void *data, size_t length, unsigned char digest[WEBSOCKETSHA1_DIGEST])
{
    struct websocketsha1 sha1;

    websocketsha1_init(&sha1);
    websocketsha1_update(&sha1, data, length);
    websocketsha1_final(&sha1, digest);
}

static void fill_pattern(char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = (char)(unsigned char)(i * 7);
}

/* The examples that NIST publishes with FIPS 180-4. */
static void hashes_what_the_standard_hashes(void **state)
{
    static const struct {
        const char *text, *digest;
    } cases[] = {
        { "", "da39a3ee5e6b4b0d3255bfef95601890afd80709" },
        { "abc", "a9993e364706816aba3e25717850c26c9cd0d89d" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "84983e441c3bd26ebaae4aa1f95129e5e54670f1" },
        { "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrst"
          "nopqrstu",
          "a49b2446a02c645bf419f995b67091253a04a259" },
    };
    unsigned char digest[WEBSOCKETSHA1_DIGEST];

    for (size_t i = 0; i < COUNT(cases); i++) {
        hash(guardpage_text(cases[i].text, strlen(cases[i].text)), strlen(cases[i].text), digest);
        assert_digest(digest, cases[i].digest);
    }
    hash(NULL, 0, digest);
    assert_digest(digest, cases[0].digest);
}

static void hashes_a_million_bytes(void **state)
{
    unsigned char digest[WEBSOCKETSHA1_DIGEST];
    struct websocketsha1 sha1;
    char piece[1000];

    memset(piece, 'a', sizeof piece);
    websocketsha1_init(&sha1);
    for (size_t given = 0; given < MILLION; given += sizeof piece)
        websocketsha1_update(&sha1, piece, sizeof piece);
    websocketsha1_final(&sha1, digest);
    assert_digest(digest, "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

/* The hash of all hashes was made with another program. */
static void hashes_every_length_up_to_several_blocks(void **state)
{
    unsigned char digest[WEBSOCKETSHA1_DIGEST];
    struct websocketsha1 all;
    char bytes[LENGTHS];

    fill_pattern(bytes, sizeof bytes);
    websocketsha1_init(&all);
    for (size_t length = 0; length < LENGTHS; length++) {
        hash(guardpage_text(bytes, length), length, digest);
        websocketsha1_update(&all, digest, sizeof digest);
    }
    websocketsha1_final(&all, digest);
    assert_digest(digest, "d86f432ef2b3a77b72697e5684cf65ebf943b865");
}

static void hashes_the_same_however_the_bytes_are_split(void **state)
{
    unsigned char digest[WEBSOCKETSHA1_DIGEST], wanted[WEBSOCKETSHA1_DIGEST];
    struct websocketsha1 sha1;
    char bytes[LENGTHS];

    fill_pattern(bytes, sizeof bytes);
    hash(bytes, sizeof bytes, wanted);
    for (size_t first = 0; first <= LENGTHS; first++) {
        size_t second = (LENGTHS - first) / 3;
        websocketsha1_init(&sha1);
        websocketsha1_update(&sha1, bytes, first);
        websocketsha1_update(&sha1, bytes + first, second);
        websocketsha1_update(&sha1, bytes + first + second, LENGTHS - first - second);
        websocketsha1_final(&sha1, digest);
        assert_memory_equal(digest, wanted, sizeof wanted);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(hashes_what_the_standard_hashes),
    cmocka_unit_test(hashes_a_million_bytes),
    cmocka_unit_test(hashes_every_length_up_to_several_blocks),
    cmocka_unit_test(hashes_the_same_however_the_bytes_are_split),
};
TESTING_MAIN(tests)
