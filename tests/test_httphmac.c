#include "httpserver/httphmac.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/testing.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { MILLION = 1000000 };

static void to_hexadecimal(const unsigned char digest[HTTPHMAC_DIGEST], char text[2 * HTTPHMAC_DIGEST + 1])
{
    for (size_t i = 0; i < HTTPHMAC_DIGEST; i++) {
        text[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    text[2 * HTTPHMAC_DIGEST] = '\0';
}

static void assert_digest(const unsigned char digest[HTTPHMAC_DIGEST], const char *wanted)
{
    char text[2 * HTTPHMAC_DIGEST + 1];

    to_hexadecimal(digest, text);
    assert_string_equal(text, wanted);
}

static void assert_sha256(const void *data, size_t length, const char *wanted)
{
    unsigned char digest[HTTPHMAC_DIGEST];

    httphmac_sha256(data, length, digest);
    assert_digest(digest, wanted);
}

static void sign(const void *key, size_t key_length, const void *data, size_t length,
                 unsigned char digest[HTTPHMAC_DIGEST])
{
    struct httphmac hmac;

    httphmac_init(&hmac, key, key_length);
    httphmac_update(&hmac, data, length);
    httphmac_final(&hmac, digest);
}

static void fill_pattern(unsigned char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = (unsigned char)(i * 7);
}

/* The examples that NIST publishes with FIPS 180-4. */
static void hashes_what_the_standard_hashes(void **state)
{
    static const struct {
        const char *text, *digest;
    } cases[] = {
        { "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        { "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
        { "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopq"
          "r"
          "stu",
          "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1" },
    };
    unsigned char *many = malloc(MILLION);

    for (size_t i = 0; i < COUNT(cases); i++)
        assert_sha256(cases[i].text, strlen(cases[i].text), cases[i].digest);
    assert_non_null(many);
    memset(many, 'a', MILLION);
    assert_sha256(many, MILLION, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(many);
}

/* Where the padding just fits into the last block, and just not. The digests are those of another implementation, and
 * the last is of all digests of 0 to 512 bytes. */
static void pads_messages_of_every_length(void **state)
{
    static const struct {
        size_t length;
        const char *digest;
    } cases[] = {
        { 1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d" },
        { 55, "576a1bf8d4478657e6dc4af9398544765c2a92cde28478b019235cfed315fc09" },
        { 56, "9b20501dfd1d99161c257950f3444f3e49230c351c5c8e0943ef369f85f5205d" },
        { 57, "a5534a9d0694341dfde5b1bb3d8addcb38bd46f44a629dc97b3f8fb2721b0720" },
        { 63, "30b345906b493f06f69444b6521113511c242f30e29840462950035043682f1e" },
        { 64, "d8bc63b4fc1156e5e7d95a418b9bf54cd3174bedbc2db40f74895349b229b3c0" },
        { 65, "1ee23b0fbcaecc1aff4a9e8f1645f35ab2c8e13609cd73b68df8b5e3f63ce073" },
        { 119, "7a6589821178918ca8d9edaba5abfc1e9b2669564f4469b66885379c1530b2c8" },
        { 120, "655250427d56b1b0eeb8497d21428704273458a01772d6881b65c0abac0f8a98" },
        { 121, "45f58104c4de6fb3c56974bce12a36de36198024612e48629871796548d4620c" },
        { 127, "67d79933e3c9aa8e89f481e071cfca1e9a16c09d7263b5efa3bb01f1a9f8d065" },
        { 128, "54c9eb041badfd7064645067b107661fed6113197ce2dd066ba69618abd3732f" },
        { 129, "5b55715b51c54661ed0cbd75ba5b00cf1ffee3b7c113a636eca613d9425116a6" },
        { 1000, "89f4ff56a25dd1db06a4ce6033603775d705fb96f30f8693733fef602a1ca532" },
    };
    unsigned char bytes[1000], digests[513][HTTPHMAC_DIGEST];

    fill_pattern(bytes, sizeof bytes);
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_sha256(bytes, cases[i].length, cases[i].digest);
    for (size_t length = 0; length < COUNT(digests); length++)
        httphmac_sha256(bytes, length, digests[length]);
    assert_sha256(digests, sizeof digests, "6d15deb77b7fb519143c7993326c238179a5d0479b5ed26e21277ff06b82fa6b");
}

static void signs_as_rfc_4231_does(void **state)
{
    static const struct {
        const char *key; /* NULL: bytes of key_byte; so is data */
        size_t key_length;
        int key_byte;
        const char *data;
        size_t length;
        int data_byte;
        const char *digest;
    } cases[] = {
        { NULL, 20, 0x0b, "Hi There", 8, 0, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
        { "Jefe", 4, 0, "what do ya want for nothing?", 28, 0,
          "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
        { NULL, 20, 0xaa, NULL, 50, 0xdd, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe" },
        { "\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20\21\22\23\24\25\26\27\30\31", 25, 0, NULL, 50, 0xcd,
          "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b" },
        { NULL, 20, 0x0c, "Test With Truncation", 20, 0,
          "a3b6167473100ee06e0c796c2955552bfa6f7c0a6a8aef8b93f860aab0cd20c5" },
        { NULL, 131, 0xaa, "Test Using Larger Than Block-Size Key - Hash Key First", 54, 0,
          "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
        { NULL, 131, 0xaa,
          "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be "
          "hashed before being used by the HMAC algorithm.",
          152, 0, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2" },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        unsigned char key[131], data[50], digest[HTTPHMAC_DIGEST];
        memset(key, cases[i].key_byte, sizeof key);
        memset(data, cases[i].data_byte, sizeof data);
        sign(cases[i].key != NULL ? (const void *)cases[i].key : key, cases[i].key_length,
             cases[i].data != NULL ? (const void *)cases[i].data : data, cases[i].length, digest);
        assert_digest(digest, cases[i].digest);
    }
}

/* 131 * 27 signatures of another implementation, hashed. */
static void signs_with_keys_of_every_length(void **state)
{
    enum { KEYS = 131, STEP = 5, LENGTHS = (KEYS + STEP - 1) / STEP };
    static unsigned char digests[KEYS][LENGTHS][HTTPHMAC_DIGEST];
    unsigned char bytes[KEYS];

    fill_pattern(bytes, sizeof bytes);
    for (size_t key = 0; key < KEYS; key++) {
        for (size_t i = 0; i < LENGTHS; i++)
            sign(bytes, key, bytes, i * STEP, digests[key][i]);
    }
    assert_sha256(digests, sizeof digests, "58fbc3cfe67d731ed88383e5db4c7a0f16d9b0cadc49797800494c9a5a446e0f");
}

static void takes_data_in_any_pieces(void **state)
{
    unsigned char bytes[200], whole[HTTPHMAC_DIGEST], digest[HTTPHMAC_DIGEST];
    struct httphmac hmac;

    fill_pattern(bytes, sizeof bytes);
    sign("key", 3, bytes, sizeof bytes, whole);
    for (size_t first = 0; first <= sizeof bytes; first++) {
        for (size_t second = first; second <= sizeof bytes; second++) {
            httphmac_init(&hmac, "key", 3);
            httphmac_update(&hmac, bytes, first);
            httphmac_update(&hmac, bytes + first, second - first);
            httphmac_update(&hmac, bytes + second, sizeof bytes - second);
            httphmac_final(&hmac, digest);
            assert_memory_equal(digest, whole, sizeof whole);
        }
    }
}

static void a_null_pointer_stands_for_no_bytes(void **state)
{
    unsigned char digest[HTTPHMAC_DIGEST];

    assert_sha256(NULL, 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sign(NULL, 0, NULL, 0, digest);
    assert_digest(digest, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

/* More than 2^32 bits: the length has two words. */
static void counts_bits_beyond_32(void **state)
{
    static unsigned char zeros[1 << 16];
    unsigned char digest[HTTPHMAC_DIGEST];
    struct httphmac hmac;

    httphmac_init(&hmac, "key", 3);
    hmac.inner.length += UINT64_C(1) << 32; /* as if so many had been hashed before */
    httphmac_update(&hmac, zeros, sizeof zeros);
    httphmac_final(&hmac, digest);
    unsigned char short_digest[HTTPHMAC_DIGEST];
    sign("key", 3, zeros, sizeof zeros, short_digest);
    assert_memory_not_equal(digest, short_digest, sizeof digest);
}

static void compares_every_byte(void **state)
{
    unsigned char a[HTTPHMAC_DIGEST], b[HTTPHMAC_DIGEST];

    fill_pattern(a, sizeof a);
    memcpy(b, a, sizeof a);
    assert_true(httphmac_equal(a, b, sizeof a));
    assert_true(httphmac_equal(a, "", 0));
    for (size_t i = 0; i < 8 * sizeof a; i++) {
        b[i / 8] ^= (unsigned char)(1 << i % 8);
        assert_false(httphmac_equal(a, b, sizeof a));
        assert_true(httphmac_equal(a, b, i / 8));
        b[i / 8] ^= (unsigned char)(1 << i % 8);
    }
}

/* Two differences must not make up for each other. */
static void finds_differences_that_would_cancel_out(void **state)
{
    assert_false(httphmac_equal("\1\1", "\2\2", 2));
    assert_false(httphmac_equal("\1\377", "\2\376", 2));
    assert_false(httphmac_equal("ab", "ba", 2));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(hashes_what_the_standard_hashes),
    cmocka_unit_test(pads_messages_of_every_length),
    cmocka_unit_test(signs_as_rfc_4231_does),
    cmocka_unit_test(signs_with_keys_of_every_length),
    cmocka_unit_test(takes_data_in_any_pieces),
    cmocka_unit_test(a_null_pointer_stands_for_no_bytes),
    cmocka_unit_test(counts_bits_beyond_32),
    cmocka_unit_test(compares_every_byte),
    cmocka_unit_test(finds_differences_that_would_cancel_out),
};

TESTING_MAIN(tests)
