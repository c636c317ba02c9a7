#include "httpserver/httpbase64.h"

#include <errno.h>
#include <string.h>

#include "tests/support/guardpage.h"
#include "tests/support/testing.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Also checks that no byte is written that there is no room for. */
static ssize_t decode(const char *text, size_t length, unsigned char *place)
{
    memset(place, '#', length + 1);
    ssize_t result = httpbase64_decode(guardpage_text(text, length), length, place);
    assert_int_equal(place[length / 4 * 3], '#');
    return result;
}

static void assert_pair(const char *data, size_t length, const char *text)
{
    char encoded[64];
    unsigned char decoded[64];

    memset(encoded, '#', sizeof encoded);
    assert_int_equal(httpbase64_encode(guardpage_text(data, length), length, encoded), strlen(text));
    assert_int_equal(HTTPBASE64_LENGTH(length), strlen(text));
    assert_memory_equal(encoded, text, strlen(text));
    assert_int_equal(encoded[strlen(text)], '#');
    assert_int_equal(decode(text, strlen(text), decoded), length);
    assert_memory_equal(decoded, data, length);
}

/* RFC 4648 10. */
static void encodes_as_the_rfc_does(void **state)
{
    assert_pair("", 0, "");
    assert_pair("f", 1, "Zg==");
    assert_pair("fo", 2, "Zm8=");
    assert_pair("foo", 3, "Zm9v");
    assert_pair("foob", 4, "Zm9vYg==");
    assert_pair("fooba", 5, "Zm9vYmE=");
    assert_pair("foobar", 6, "Zm9vYmFy");
    assert_pair("\0\0", 2, "AAA=");
    assert_pair("\xfb\xef\xff\xff\0", 5, "++///wA=");
}

/* All 64 digits, in order, and the bytes that they are. */
static void knows_the_whole_alphabet(void **state)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char decoded[sizeof alphabet];
    char encoded[sizeof alphabet];

    assert_int_equal(decode(alphabet, 64, decoded), 48);
    for (unsigned i = 0; i < 64; i++) {
        unsigned word = (unsigned)decoded[i * 6 / 8] << 8 | (i < 63 ? decoded[i * 6 / 8 + 1] : 0);
        assert_int_equal(word >> (10 - i * 6 % 8) & 63, i);
    }
    assert_int_equal(httpbase64_encode(decoded, 48, encoded), 64);
    assert_memory_equal(encoded, alphabet, 64);
}

static void accepts_digits_only(void **state)
{
    for (int byte = 0; byte < 256; byte++) {
        bool is_digit = byte != 0 && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", byte);
        for (size_t place = 0; place < 8; place++) {
            char text[] = "AAAAAAAA";
            unsigned char decoded[sizeof text];
            text[place] = (char)byte;
            bool is_padding = place == 7 && byte == '=';
            assert_int_equal(decode(text, 8, decoded), is_digit ? 6 : is_padding ? 5 : -EINVAL);
        }
    }
}

/* So that a value has one text only. */
static void refuses_what_would_not_have_been_encoded(void **state)
{
    static const char *const cases[] = {
        "A",        "AA",       "AAA",       "AAAAA",    "AAAAAA",    "AAAAAAA",  "Zg",       "Zg=",        "Zm8",
        "=",        "==",       "===",       "====",     "A===",      "AA=A",     "A=A=",     "=AAA",       "Zg==Zg==",
        "Zm8=Zm8=", "Zg===",    "Zm8==",     "Zg====",   "AAAA====",  "AAAAA===", "Zh==",     "Zj==",       "Zo==",
        "Z/==",     "Zm9=",     "Zm+=",      "Zm9v\n",   " Zm9v",     "Zm 9v",    "Zm9v    ", "\nZm9",      "Zm-v",
        "Zm_v",     "Zm9v\r\n", "Zm9v=Zm9v", "Zm9vZm==", "Zm9v,m9v8", "Zm9vZm9=", "Zm9=Zm9v", "Zm\x80\xff",
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        unsigned char decoded[64];
        if (decode(cases[i], strlen(cases[i]), decoded) != -EINVAL)
            fail_msg("%s", cases[i]);
    }
}

static void gives_back_what_it_got_of_every_length(void **state)
{
    char data[256], encoded[HTTPBASE64_LENGTH(256)];
    unsigned char decoded[sizeof encoded + 1];

    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)(i * 89 + 7);
    for (size_t length = 0; length <= sizeof data; length++) {
        size_t size = httpbase64_encode(data, length, encoded);
        assert_int_equal(size, HTTPBASE64_LENGTH(length));
        assert_int_equal(decode(encoded, size, decoded), length);
        assert_memory_equal(decoded, data, length);
    }
}

static void decodes_in_place(void **state)
{
    char text[] = "Zm9vYmFyIGFuZCBtb3Jl";

    assert_int_equal(httpbase64_decode(text, strlen(text), text), 15);
    assert_memory_equal(text, "foobar and more", 15);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(encodes_as_the_rfc_does),
    cmocka_unit_test(knows_the_whole_alphabet),
    cmocka_unit_test(accepts_digits_only),
    cmocka_unit_test(refuses_what_would_not_have_been_encoded),
    cmocka_unit_test(gives_back_what_it_got_of_every_length),
    cmocka_unit_test(decodes_in_place),
};

TESTING_MAIN(tests)
