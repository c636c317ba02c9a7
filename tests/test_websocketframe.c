#include "websocket/websocketframe.h"

#include <string.h>

#include "tests/support/guardpage.h"
#include "tests/support/testing.h"
#include "tests/support/wsframes.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define REFUSED      (-1002)

struct head {
    const char *bytes;
    size_t length;
    int result;      /* of all bytes */
    size_t known_at; /* so many bytes are needed to say so */
};

#define HEAD(literal, result, known_at)                                                                                \
    {                                                                                                                  \
        literal, sizeof literal - 1, result, known_at                                                                  \
    }

static int parse(const char *bytes, size_t length, struct websocketframe *frame)
{
    return websocketframe_parse(guardpage_text(bytes, length), length, frame);
}

static void assert_head(const struct head *head)
{
    struct websocketframe frame;

    for (size_t length = 0; length <= head->length; length++)
        assert_int_equal(parse(head->bytes, length, &frame), length < head->known_at ? 0 : head->result);
}

static void takes_heads_apart_and_waits_for_all_of_each(void **state)
{
    static const struct head heads[] = {
        HEAD("\x81\x05", 2, 2),
        HEAD("\x81\x00", 2, 2),
        HEAD("\x82\x7d", 2, 2),
        HEAD("\x02\x05", 2, 2),
        HEAD("\x00\x05", 2, 2),
        HEAD("\x80\x00", 2, 2),
        HEAD("\x82\x7e\x00\x7e", 4, 4),
        HEAD("\x82\x7e\xff\xff", 4, 4),
        HEAD("\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10, 10),
        HEAD("\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", 10, 10),
        HEAD("\x88\x00", 2, 2),
        HEAD("\x89\x7d", 2, 2),
        HEAD("\x8a\x00payload", 2, 2),
        /* websocket_test:test_length_validation: a mask is of four bytes */
        HEAD("\x81\x85\x01\x02\x03\x04payload", 6, 6),
        HEAD("\x81\x80\x00\x00\x00\x00", 6, 6),
        HEAD("\x82\xfe\x01\x00\x01\x02\x03\x04", 8, 8),
        HEAD("\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00\x01\x02\x03\x04", 14, 14),
        /* the first frame of a message may be compressed */
        HEAD("\xc1\x05", 2, 2),
        HEAD("\xc2\x05", 2, 2),
        HEAD("\x41\x05", 2, 2),
        HEAD("\x42\x05", 2, 2),
    };

    for (size_t i = 0; i < COUNT(heads); i++)
        assert_head(&heads[i]);
}

static void refuses_what_is_no_head_at_its_first_wrong_byte(void **state)
{
    static const struct head heads[] = {
        /* E1: lengths; the highest bit, and longer forms than needed */
        HEAD("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04", REFUSED, 3),
        HEAD("\x82\x7f\x80\x00\x00\x00\x00\x01\x00\x00", REFUSED, 3),
        HEAD("\x82\x7e\x00\x05", REFUSED, 4),
        HEAD("\x82\xfe\x00\x7d\x01\x02\x03\x04", REFUSED, 4),
        HEAD("\x82\xff\x00\x00\x00\x00\x00\x00\x00\x7d", REFUSED, 8),
        HEAD("\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff", REFUSED, 8),
        /* E6: reserved bits, opcodes, control frames that are long or in fragments */
        HEAD("\xa1\x05", REFUSED, 1),
        HEAD("\x91\x05", REFUSED, 1),
        HEAD("\xf1\x05", REFUSED, 1),
        HEAD("\x83\x05", REFUSED, 1),
        HEAD("\x87\x05", REFUSED, 1),
        HEAD("\x8b\x05", REFUSED, 1),
        HEAD("\x8f\x05", REFUSED, 1),
        HEAD("\x89\x7e", REFUSED, 2),
        HEAD("\x89\x7f", REFUSED, 2),
        HEAD("\x88\xfe\x00\x7e\x01\x02\x03\x04", REFUSED, 2),
        HEAD("\x08\x00", REFUSED, 1),
        HEAD("\x09\x00", REFUSED, 1),
        HEAD("\x0a\x00", REFUSED, 1),
        /* a compressed frame that is no first one of a message, RFC 7692 6 */
        HEAD("\xc0\x05", REFUSED, 1),
        HEAD("\x40\x05", REFUSED, 1),
        HEAD("\xc8\x00", REFUSED, 1),
        HEAD("\xc9\x00", REFUSED, 1),
        HEAD("\xca\x00", REFUSED, 1),
    };

    for (size_t i = 0; i < COUNT(heads); i++)
        assert_head(&heads[i]);
}

/* The grammar of a first byte once more, in words. */
static bool is_first_byte_allowed(unsigned byte)
{
    unsigned opcode = byte & 15, reserved = byte >> 4 & 7;
    bool is_final = byte >= 0x80, is_control = opcode >= 8;

    if (opcode > 10 || (opcode > 2 && opcode < 8))
        return false;
    if (reserved != 0 && (reserved != 4 || is_control || opcode == 0))
        return false;
    return is_final || !is_control;
}

static void knows_every_first_and_second_byte(void **state)
{
    for (unsigned first = 0; first < 256; first++)
        for (unsigned second = 0; second < 256; second++) {
            char bytes[14] = { (char)first, (char)second, 0, 0, 0, 0, 0, 1 };
            unsigned size = second & 127;
            bool is_long = size > 125, is_masked = second >= 128;
            struct websocketframe frame;
            if (size == 126)
                bytes[2] = 1;
            int wanted = 2 + (size == 126 ? 2 : size == 127 ? 8 : 0) + (is_masked ? 4 : 0);
            if (!is_first_byte_allowed(first) || (is_long && (first & 8) != 0))
                wanted = REFUSED;
            assert_int_equal(parse(bytes, sizeof bytes, &frame), wanted);
            if (wanted < 0)
                continue;
            assert_int_equal(frame.opcode, first & 15);
            assert_int_equal(frame.is_final, first >= 128);
            assert_int_equal(frame.is_compressed, (first & 64) != 0);
            assert_int_equal(frame.is_masked, is_masked);
            assert_int_equal(frame.length, size < 126 ? size : size == 126 ? 256 : 65536);
        }
}

static void says_of_a_begun_head_what_is_known(void **state)
{
    struct websocketframe frame = { 0 };

    assert_int_equal(parse("\xc2", 1, &frame), 0);
    assert_true(frame.opcode == WEBSOCKETFRAME_BINARY && frame.is_final && frame.is_compressed);
    assert_int_equal(parse("\x01\xfe", 2, &frame), 0);
    assert_true(frame.opcode == WEBSOCKETFRAME_TEXT && !frame.is_final && !frame.is_compressed && frame.is_masked);
    assert_int_equal(parse("\x01\x7e", 2, &frame), 0);
    assert_false(frame.is_masked);
}

static void parses_what_it_formats(void **state)
{
    static const uint64_t lengths[] = {
        0, 1, 125, 126, 127, 128, 255, 256, 65534, 65535, 65536, 65537, UINT32_MAX, INT64_MAX - 1, INT64_MAX,
    };
    static const int firsts[] = { 0x00, 0x80, 0x01, 0x81, 0x02, 0x82, 0x41, 0xc2 };

    for (size_t i = 0; i < COUNT(lengths); i++)
        for (size_t j = 0; j < COUNT(firsts); j++)
            for (int is_masked = 0; is_masked < 2; is_masked++) {
                struct wsframes wanted = { .is_masked = is_masked };
                struct websocketframe frame = { .length = lengths[i],
                                                .opcode = (uint8_t)(firsts[j] & 15),
                                                .is_final = firsts[j] >= 0x80,
                                                .is_compressed = (firsts[j] & 0x40) != 0,
                                                .is_masked = is_masked };
                struct websocketframe parsed;
                const unsigned char *mask = wsframes_add_head(&wanted, firsts[j], lengths[i]);
                memcpy(&frame.mask, mask, 4);
                char *place = guardpage_place(wanted.length);
                size_t size = websocketframe_format(place, &frame);
                assert_int_equal(size, wanted.length);
                assert_memory_equal(place, wanted.bytes, size);
                assert_int_equal(parse(place, size, &parsed), (int)size);
                assert_int_equal(parse(place, size - 1, &parsed), 0);
                assert_int_equal(parse(place, size, &parsed), (int)size);
                assert_true(parsed.length == frame.length && parsed.opcode == frame.opcode);
                assert_true(parsed.is_final == frame.is_final && parsed.is_compressed == frame.is_compressed);
                assert_true(parsed.is_masked == frame.is_masked && parsed.mask == frame.mask);
                wsframes_free(&wanted);
            }
}

/* E8. 1012 to 1014 are no RFC's, but registered. */
static void knows_every_close_code(void **state)
{
    for (int code = -1; code <= 65536; code++) {
        bool is_named = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
        assert_int_equal(websocketframe_is_code(code), is_named || (code >= 3000 && code <= 4999));
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(takes_heads_apart_and_waits_for_all_of_each),
    cmocka_unit_test(refuses_what_is_no_head_at_its_first_wrong_byte),
    cmocka_unit_test(knows_every_first_and_second_byte),
    cmocka_unit_test(says_of_a_begun_head_what_is_known),
    cmocka_unit_test(parses_what_it_formats),
    cmocka_unit_test(knows_every_close_code),
};
TESTING_MAIN(tests)
