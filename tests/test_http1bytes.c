#include "tests/support/testing.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "httpserver/http1bytes.h"

/* Each function against what its comment says of single bytes, with every byte in every place of up to so many bytes
 * before or behind which none can be read. test_http1bytes_words.c is the same without vectors. */
enum { LENGTH = 80 };

static uint8_t *begin_of_page(void)
{
    static uint8_t *begin;

    if (begin == NULL) {
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        uint8_t *memory = mmap(NULL, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(memory != MAP_FAILED);
        begin = memory + page;
        assert_int_equal(mprotect(begin, page, PROT_READ | PROT_WRITE), 0);
    }
    return begin;
}

static uint8_t *end_of_page(void)
{
    return begin_of_page() + sysconf(_SC_PAGESIZE);
}

static bool is_letter_or_digit(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
}

static bool in_token(uint8_t byte)
{
    return is_letter_or_digit(byte) || (byte != 0 && strchr("!#$%&'*+-.^_`|~", byte) != NULL);
}

static bool in_host(uint8_t byte)
{
    return is_letter_or_digit(byte) || (byte != 0 && strchr("-._~!$&'()*+;=", byte) != NULL);
}

static bool in_target(uint8_t byte)
{
    return byte > 0x20 && byte < 0x7f && byte != '#';
}

static bool in_text(uint8_t byte)
{
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

static bool is_marked(uint8_t byte)
{
    return byte < 0x20 || byte == 0x7f;
}

static void knows_what_a_byte_may_be_part_of(void **state)
{
    for (int i = 0; i < 256; i++) {
        uint8_t byte = (uint8_t)i;
        bool is_hex = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
        assert_int_equal(http1bytes_is_a(byte, HTTP1BYTES_TOKEN), in_token(byte));
        assert_int_equal(http1bytes_is_a(byte, HTTP1BYTES_TARGET), in_target(byte));
        assert_int_equal(http1bytes_is_a(byte, HTTP1BYTES_HOST), in_host(byte));
        assert_int_equal(http1bytes_is_a(byte, HTTP1BYTES_HEX), is_hex);
        assert_int_equal(http1bytes_is_a(byte, HTTP1BYTES_DIGIT), byte >= '0' && byte <= '9');
        assert_int_equal(http1bytes_is_a(byte, HTTP1BYTES_BLANK), byte == ' ' || byte == '\t');
        assert_int_equal(http1bytes_is_a(byte, HTTP1BYTES_CONTROL), !in_text(byte));
    }
}

typedef size_t skip_fn(const uint8_t *bytes, size_t at, size_t end);

/* In bytes that all belong, one is another, and the last one is a CR. */
static void assert_skips_in(uint8_t *bytes, size_t length, skip_fn *pass, bool (*belongs)(uint8_t byte), uint8_t filler)
{
    memset(bytes, filler, length);
    bytes[length - 1] = '\r';
    for (size_t place = 0; place + 1 < length; place++) {
        for (int byte = 0; byte < 256; byte++) {
            bytes[place] = (uint8_t)byte;
            assert_int_equal(pass(bytes, 0, length), belongs((uint8_t)byte) ? length - 1 : place);
        }
        bytes[place] = filler;
    }
    for (size_t at = 0; at < length; at++)
        assert_int_equal(pass(bytes, at, length), length - 1);
}

static void assert_skips(skip_fn *pass, bool (*belongs)(uint8_t byte), uint8_t filler)
{
    for (size_t length = 1; length <= LENGTH; length++) {
        assert_skips_in(end_of_page() - length, length, pass, belongs, filler);
        assert_skips_in(begin_of_page(), length, pass, belongs, filler);
    }
}

static void skips_to_the_first_byte_that_does_not_belong(void **state)
{
    assert_skips(http1bytes_skip_token, in_token, 'x');
    assert_skips(http1bytes_skip_token, in_token, '-');
    assert_skips(http1bytes_skip_token, in_token, 'Z');
    assert_skips(http1bytes_skip_token, in_token, '7');
    assert_skips(http1bytes_skip_host, in_host, 'a');
    assert_skips(http1bytes_skip_host, in_host, '9');
    assert_skips(http1bytes_skip_host, in_host, '.');
    assert_skips(http1bytes_skip_target, in_target, '/');
    assert_skips(http1bytes_skip_text, in_text, ' ');
    assert_skips(http1bytes_skip_text, in_text, '\t');
}

static uint64_t marks_of(const uint8_t *bytes, size_t at, size_t end)
{
    uint64_t marks = 0;

    for (size_t i = 0; i < HTTP1BYTES_MARKS && at + i < end; i++)
        marks |= (uint64_t)is_marked(bytes[at + i]) << i;
    return marks;
}

static void assert_marks_one_by_one(uint8_t *bytes, size_t length)
{
    memset(bytes, 'x', length);
    for (size_t place = 0; place < length; place++) {
        for (int byte = 0; byte < 256; byte++) {
            bytes[place] = (uint8_t)byte;
            assert_true(http1bytes_controls(bytes, 0, length) == marks_of(bytes, 0, length));
        }
        bytes[place] = 'x';
    }
}

static void marks_control_characters_one_by_one(void **state)
{
    for (size_t length = 1; length <= LENGTH; length++) {
        assert_marks_one_by_one(end_of_page() - length, length);
        assert_marks_one_by_one(begin_of_page(), length);
    }
}

static void marks_control_characters_from_anywhere(void **state)
{
    static const uint8_t some[] = { 0, 0x1f, 0x20, 0x7e, 0x7f, 0x80, 0x9f, 0xff, '\r', '\n', '\t', 'a' };
    uint8_t *bytes = end_of_page() - LENGTH;
    uint32_t random = 1;

    for (int round = 0; round < 200; round++) {
        for (size_t i = 0; i < LENGTH; i++) {
            random = random * 1664525 + 1013904223;
            bytes[i] = some[(random >> 16) % sizeof some];
        }
        for (size_t at = 0; at < LENGTH; at++)
            for (size_t length = 1; length <= LENGTH - at; length++)
                assert_true(http1bytes_controls(bytes + LENGTH - at - length, at, at + length) ==
                            marks_of(bytes + LENGTH - at - length, at, at + length));
    }
}

static void knows_words_in_any_case(void **state)
{
    static const char *const yes[] = { "content-length", "CONTENT-LENGTH", "Content-Length", "cONTENT-lENGTH" };

    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        assert_true(http1bytes_is_word((const uint8_t *)yes[i], strlen(yes[i]), "content-length"));
    assert_true(http1bytes_is_word((const uint8_t *)"HoSt", 4, "host"));
    assert_true(http1bytes_is_word((const uint8_t *)"UpgradE", 7, "upgrade"));
    assert_true(http1bytes_is_word((const uint8_t *)"100-CONTINUE", 12, "100-continue"));
    assert_false(http1bytes_is_word((const uint8_t *)"host", 3, "host"));
    assert_false(http1bytes_is_word((const uint8_t *)"hosts", 5, "host"));
    assert_false(http1bytes_is_word((const uint8_t *)"content_length", 14, "content-length"));
}

/* Of all bytes that are no control characters, and in each place: comparisons go by 4 and 8 bytes that overlap. */
static void finds_every_difference_from_a_word(void **state)
{
    static const char word[] = "transfer-encoding";
    uint8_t *bytes = end_of_page() - (sizeof word - 1);

    memcpy(bytes, word, sizeof word - 1);
    for (size_t place = 0; place < sizeof word - 1; place++) {
        for (int byte = 0x20; byte < 256; byte++) {
            uint8_t letter = (uint8_t)word[place];
            bool is_same = byte == letter || (letter != '-' && byte == letter - 0x20);
            bytes[place] = (uint8_t)byte;
            assert_int_equal(http1bytes_is_word(bytes, sizeof word - 1, "transfer-encoding"), is_same);
        }
        bytes[place] = (uint8_t)word[place];
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(knows_what_a_byte_may_be_part_of),
    cmocka_unit_test(skips_to_the_first_byte_that_does_not_belong),
    cmocka_unit_test(marks_control_characters_one_by_one),
    cmocka_unit_test(marks_control_characters_from_anywhere),
    cmocka_unit_test(knows_words_in_any_case),
    cmocka_unit_test(finds_every_difference_from_a_word),
};

TESTING_MAIN(tests)
