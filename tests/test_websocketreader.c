#include "websocket/websocketreader.h"

#include <string.h>

#include "tests/support/readertrace.h"
#include "tests/support/testing.h"
#include "tests/support/wsframes.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { FINAL = WSFRAMES_FINAL, COMPRESSED = WSFRAMES_COMPRESSED };
enum { MORE = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };

static const struct websocketreader_limits of_server = { .message = 1 << 20 };
static const struct websocketreader_limits of_client = { .message = 1 << 20, .is_client = true };
static const struct websocketreader_limits with_deflate = { .message = 1 << 20, .may_compress = true };

struct frame {
    int first;
    const char *payload;
};

/* Up to 8 frames; as a client sends them, and as a server does. */
struct sequence {
    const char *wanted;
    struct frame frames[8];
};

static void add_frames(struct wsframes *sent, const struct sequence *sequence)
{
    for (size_t i = 0; i < COUNT(sequence->frames) && sequence->frames[i].payload != NULL; i++)
        wsframes_add(sent, sequence->frames[i].first, sequence->frames[i].payload, strlen(sequence->frames[i].payload));
}

static void expect_sequence(const struct sequence *sequence, const struct websocketreader_limits *limits)
{
    struct wsframes sent = { .is_masked = !limits->is_client };

    add_frames(&sent, sequence);
    readertrace_expect(limits, sent.bytes, sent.length, sequence->wanted);
    wsframes_free(&sent);
}

static void reads_messages_and_control_frames(void **state)
{
    static const struct sequence sequences[] = {
        { "text(hello)", { { FINAL | TEXT, "hello" } } },
        { "binary(hello)", { { FINAL | BINARY, "hello" } } },
        { "text()", { { FINAL | TEXT, "" } } },
        { "binary()", { { FINAL | BINARY, "" } } },
        { "text(a) binary(b) text(c)", { { FINAL | TEXT, "a" }, { FINAL | BINARY, "b" }, { FINAL | TEXT, "c" } } },
        { "text(hello)", { { TEXT, "hel" }, { FINAL | MORE, "lo" } } },
        { "binary(hello)", { { BINARY, "h" }, { MORE, "el" }, { FINAL | MORE, "lo" } } },
        { "text(hello)", { { TEXT, "" }, { MORE, "" }, { MORE, "hello" }, { MORE, "" }, { FINAL | MORE, "" } } },
        { "text()", { { TEXT, "" }, { FINAL | MORE, "" } } },
        { "binary()", { { BINARY, "" }, { MORE, "" }, { MORE, "" }, { FINAL | MORE, "" } } },
        { "text(a) text(bc)", { { FINAL | TEXT, "a" }, { TEXT, "b" }, { FINAL | MORE, "c" } } },
        { "text(ab) text(c)", { { TEXT, "a" }, { FINAL | MORE, "b" }, { FINAL | TEXT, "c" } } },
        { "ping() pong()", { { FINAL | PING, "" }, { FINAL | PONG, "" } } },
        { "ping(one) pong(two)", { { FINAL | PING, "one" }, { FINAL | PONG, "two" } } },
        { "ping(one) pong(two) text(hello)",
          { { TEXT, "hel" }, { FINAL | PING, "one" }, { FINAL | PONG, "two" }, { FINAL | MORE, "lo" } } },
        { "ping() ping() binary(ab)",
          { { BINARY, "" }, { FINAL | PING, "" }, { MORE, "ab" }, { FINAL | PING, "" }, { FINAL | MORE, "" } } },
        { "text(\xce\xba\xe1\xbd\xb9)", { { FINAL | TEXT, "\xce\xba\xe1\xbd\xb9" } } },
        { "text(\xce\xba\xe1\xbd\xb9)", { { TEXT, "\xce\xba\xe1" }, { MORE, "\xbd" }, { FINAL | MORE, "\xb9" } } },
        { "ping(\xff) text(\xce\xba)", { { TEXT, "\xce" }, { FINAL | PING, "\xff" }, { FINAL | MORE, "\xba" } } },
        { "binary(\xff\xce)", { { BINARY, "\xff" }, { FINAL | MORE, "\xce" } } },
    };

    for (size_t i = 0; i < COUNT(sequences); i++) {
        expect_sequence(&sequences[i], &of_server);
        expect_sequence(&sequences[i], &of_client);
    }
}

/* Whether a control frame comes between makes no difference to the message. */
static void tells_compressed_messages_from_others(void **state)
{
    static const struct sequence sequences[] = {
        { "ztext(\xff\xff)", { { FINAL | COMPRESSED | TEXT, "\xff\xff" } } },
        { "zbinary(ab)", { { COMPRESSED | BINARY, "a" }, { FINAL | MORE, "b" } } },
        { "ztext(a) text(b)", { { FINAL | COMPRESSED | TEXT, "a" }, { FINAL | TEXT, "b" } } },
        { "text(a) ztext(b)", { { FINAL | TEXT, "a" }, { FINAL | COMPRESSED | TEXT, "b" } } },
        { "ping() ztext(\xff\xfe)", { { COMPRESSED | TEXT, "\xff" }, { FINAL | PING, "" }, { FINAL | MORE, "\xfe" } } },
        { "ping() text(ab)", { { TEXT, "a" }, { FINAL | PING, "" }, { FINAL | MORE, "b" } } },
        { "refused(1007)", { { FINAL | TEXT, "\xff" } } },
        { "ztext(\xff) refused(1007)", { { FINAL | COMPRESSED | TEXT, "\xff" }, { FINAL | TEXT, "a\xff" } } },
        { "refused(1002)", { { COMPRESSED | TEXT, "a" }, { FINAL | COMPRESSED | MORE, "b" } } },
        { "refused(1002)", { { FINAL | COMPRESSED | PING, "" } } },
        { "refused(1002)", { { FINAL | 0x20 | TEXT, "" } } },
    };

    for (size_t i = 0; i < COUNT(sequences); i++)
        expect_sequence(&sequences[i], &with_deflate);
}

/* E6, E14. */
static void refuses_what_may_not_come(void **state)
{
    static const struct sequence sequences[] = {
        /* E14: RSV1 that was not negotiated, and the other two, that never are */
        { "refused(1002)", { { FINAL | COMPRESSED | TEXT, "hello" } } },
        { "text(a) refused(1002)", { { FINAL | TEXT, "a" }, { FINAL | COMPRESSED | BINARY, "hello" } } },
        { "refused(1002)", { { FINAL | 0x20 | TEXT, "hello" } } },
        { "refused(1002)", { { FINAL | 0x10 | TEXT, "hello" } } },
        { "ping() refused(1002)", { { FINAL | PING, "" }, { FINAL | 0x70 | PING, "" } } },
        { "refused(1002)", { { TEXT, "a" }, { FINAL | 0x10 | MORE, "b" } } },
        /* E6: opcodes, fragments of control frames, a stray continuation, a message within another */
        { "refused(1002)", { { FINAL | 3, "hello" } } },
        { "refused(1002)", { { FINAL | 7, "hello" } } },
        { "refused(1002)", { { FINAL | 11, "hello" } } },
        { "text(a) refused(1002)", { { FINAL | TEXT, "a" }, { FINAL | 15, "" } } },
        { "refused(1002)", { { PING, "hello" } } },
        { "refused(1002)", { { CLOSE, "" } } },
        { "refused(1002)", { { PONG, "" }, { FINAL | MORE, "" } } },
        { "refused(1002)", { { FINAL | MORE, "hello" } } },
        { "refused(1002)", { { MORE, "" } } },
        { "text(a) refused(1002)", { { FINAL | TEXT, "a" }, { FINAL | MORE, "b" } } },
        { "text(ab) refused(1002)", { { TEXT, "a" }, { FINAL | MORE, "b" }, { FINAL | MORE, "c" } } },
        { "ping() refused(1002)", { { FINAL | PING, "" }, { MORE, "b" } } },
        { "refused(1002)", { { TEXT, "a" }, { FINAL | TEXT, "b" } } },
        { "refused(1002)", { { TEXT, "a" }, { FINAL | BINARY, "" } } },
        { "refused(1002)", { { BINARY, "" }, { BINARY, "" } } },
        { "ping() refused(1002)", { { TEXT, "a" }, { FINAL | PING, "" }, { TEXT, "b" } } },
        /* E7 */
        { "refused(1007)", { { FINAL | TEXT, "\xed\xa0\x80" } } },
        { "refused(1007)", { { FINAL | TEXT, "\xf4\x90\x80\x80" } } },
        { "refused(1007)", { { FINAL | TEXT, "\xc0\xaf" } } },
        { "refused(1007)", { { FINAL | TEXT, "\xce\xba\xe1\xbd" } } },
        { "refused(1007)", { { TEXT, "\xce" }, { FINAL | MORE, "" } } },
        { "refused(1007)", { { TEXT, "\xce" }, { MORE, "" }, { FINAL | MORE, "a" } } },
        { "text(a) refused(1007)", { { FINAL | TEXT, "a" }, { FINAL | TEXT, "a\xce" }, { FINAL | TEXT, "\xba" } } },
        { "ping(\xce) refused(1007)", { { TEXT, "\xce" }, { FINAL | PING, "\xce" }, { FINAL | MORE, "x" } } },
    };

    for (size_t i = 0; i < COUNT(sequences); i++) {
        expect_sequence(&sequences[i], &of_server);
        expect_sequence(&sequences[i], &of_client);
    }
}

struct bytes {
    const char *bytes;
    size_t length;
    const char *wanted;
};

#define BYTES(literal, wanted)                                                                                         \
    {                                                                                                                  \
        literal, sizeof literal - 1, wanted                                                                            \
    }

/* The rows of what hostile peers send, byte by byte. */
static void refuses_hostile_frames(void **state)
{
    static const struct bytes cases[] = {
        /* E1: lengths */
        BYTES("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04", "refused(1002)"),
        BYTES("\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00\x01\x02\x03\x04", "refused(1002)"),
        BYTES("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04", "refused(1009)"),
        BYTES("\x82\xfe\x00\x05\x01\x02\x03\x04", "refused(1002)"),
        BYTES("\x82\xff\x00\x00\x00\x00\x00\x00\x00\x7d\x01\x02\x03\x04", "refused(1002)"),
        /* E2: a length of 2^40 and silence */
        BYTES("\x82\xff\x00\x00\x01\x00\x00\x00\x00\x00\x01\x02\x03\x04", "refused(1009)"),
        /* E4: not masked */
        BYTES("\x81\x05hello", "refused(1002)"),
        BYTES("\x81\x00", "refused(1002)"),
        BYTES("\x89\x00", "refused(1002)"),
        BYTES("\x82\x7e\x01\x00", "refused(1002)"),
        /* E6: control frames over 125 bytes */
        BYTES("\x89\xfe\x00\x7e\x01\x02\x03\x04", "refused(1002)"),
        BYTES("\x88\xff\x00\x00\x00\x00\x00\x01\x00\x00\x01\x02\x03\x04", "refused(1002)"),
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        readertrace_expect(&of_server, cases[i].bytes, cases[i].length, cases[i].wanted);
    /* E4: masked, by a server */
    readertrace_expect(&of_client, "\x81\x85\0\0\0\0hello", 11, "refused(1002)");
    readertrace_expect(&of_client, "\x8a\x80\0\0\0\0", 6, "refused(1002)");
}

/* What a begun head says is refused before the rest is there. */
static void refuses_at_the_first_wrong_byte(void **state)
{
    static const struct bytes cases[] = {
        BYTES("\xc1", "refused(1002)"),
        BYTES("\x00", "refused(1002)"),
        BYTES("\x80", "refused(1002)"),
        BYTES("\x83", "refused(1002)"),
        BYTES("\x08", "refused(1002)"),
        BYTES("\x81\x05", "refused(1002)"),
        BYTES("\x89\xfe", "refused(1002)"),
        BYTES("\x82\xff\x80", "refused(1002)"),
        BYTES("\x81\xfd", ""),
        BYTES("\x01", ""),
    };
    static struct readertrace trace;

    for (size_t i = 0; i < COUNT(cases); i++)
        readertrace_expect(&of_server, cases[i].bytes, cases[i].length, cases[i].wanted);
    /* the third byte of the payload, of many */
    readertrace_read(&trace, &of_server, "\x81\xfd\0\0\0\0ab\xff", 9, 8, 1);
    assert_string_equal(trace.text, "refused(1007)");
    readertrace_read(&trace, &of_server, "\x81\xfd\0\0\0\0ab\xc3", 9, 8, 1);
    assert_string_equal(trace.text, "");
}

static void reads_payloads_of_every_length(void **state)
{
    static const size_t lengths[] = { 1,   2,   3,   4,   7,   8,   15,  16,   17,   31,    64,    124,
                                      125, 126, 127, 255, 256, 257, 511, 1000, 4096, 65535, 65536, 70001 };
    static char payload[70001], wanted[sizeof payload + 16];

    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = "abcdefghijklmnopqrstuvwxyz*"[i % 27];
    for (size_t i = 0; i < COUNT(lengths); i++)
        for (int is_client = 0; is_client < 2; is_client++) {
            struct wsframes sent = { .is_masked = !is_client };
            wsframes_add(&sent, FINAL | TEXT, payload, lengths[i]);
            snprintf(wanted, sizeof wanted, "text(%.*s)", (int)lengths[i], payload);
            readertrace_expect(is_client ? &of_client : &of_server, sent.bytes, sent.length, wanted);
            sent.length = 0;
            wsframes_add(&sent, FINAL | BINARY, payload, lengths[i]);
            snprintf(wanted, sizeof wanted, "binary(%.*s)", (int)lengths[i], payload);
            readertrace_expect(is_client ? &of_client : &of_server, sent.bytes, sent.length, wanted);
            wsframes_free(&sent);
        }
}

/* One wrong byte at every place of a text, in one frame and in two. */
static void finds_a_wrong_byte_anywhere_in_a_text(void **state)
{
    static struct readertrace trace;
    char payload[150];

    memset(payload, 'a', sizeof payload);
    for (size_t length = 1; length <= sizeof payload; length += 1 + length / 10)
        for (size_t at = 0; at < length; at++)
            for (size_t cut = 0; cut <= length; cut += 1 + length / 5) {
                struct wsframes sent = { .is_masked = true };
                payload[at] = '\xf8';
                wsframes_add(&sent, TEXT, payload, cut);
                wsframes_add(&sent, FINAL | MORE, payload + cut, length - cut);
                readertrace_read(&trace, &of_server, sent.bytes, sent.length, sent.length, 1);
                assert_string_equal(trace.text, "refused(1007)");
                sent.length = 0;
                wsframes_add(&sent, FINAL | TEXT, payload, length);
                readertrace_read(&trace, &of_server, sent.bytes, sent.length, sent.length, 1);
                assert_string_equal(trace.text, "refused(1007)");
                payload[at] = 'a';
                wsframes_free(&sent);
            }
}

/* A whole one is one piece, also in one frame among others; and pieces of others come as soon as they are there. */
static void hands_over_pieces_at_once(void **state)
{
    struct websocketreader reader = { 0 };
    struct websocketreader_piece piece;
    char bytes[] = "\x81\x83\0\0\0\0abc\x02\xfe\x01\x00\0\0\0\0def";
    size_t length = sizeof bytes - 1;

    assert_int_equal(websocketreader_next(&reader, &of_server, bytes, length, &piece), 9);
    assert_true(piece.is_first && piece.is_last && piece.length == 3 && piece.data == bytes + 6);
    assert_int_equal(websocketreader_next(&reader, &of_server, bytes + 9, 8, &piece), 8);
    assert_true(piece.what == WEBSOCKETREADER_NOTHING);
    assert_int_equal(websocketreader_next(&reader, &of_server, bytes + 17, 2, &piece), 2);
    assert_true(piece.what == WEBSOCKETREADER_MESSAGE && piece.is_first && !piece.is_last && piece.is_binary);
    assert_true(piece.data == bytes + 17 && piece.length == 2 && piece.coming == 254);
    assert_int_equal(websocketreader_next(&reader, &of_server, bytes + 19, 0, &piece), 0);
    assert_int_equal(websocketreader_next(&reader, &of_server, bytes + 19, 1, &piece), 1);
    assert_true(!piece.is_first && piece.coming == 253);
    assert_true(sizeof reader <= 48);
}

/* All but a control frame and a head are taken as they come. */
static void waits_for_whole_control_frames(void **state)
{
    struct websocketreader reader = { 0 };
    struct websocketreader_piece piece;
    char bytes[] = "\x89\x83\1\0\0\0abc";

    for (size_t length = 0; length < sizeof bytes - 1; length++)
        assert_int_equal(websocketreader_next(&reader, &of_server, bytes, length, &piece), 0);
    assert_int_equal(websocketreader_next(&reader, &of_server, bytes, sizeof bytes - 1, &piece), 9);
    assert_true(piece.what == WEBSOCKETREADER_PING && piece.length == 3 && memcmp(piece.data, "`bc", 3) == 0);
}

/* E13: whatever frames come together. */
static void reads_many_frames_in_one_piece(void **state)
{
    enum { COUNT_OF_FRAMES = 300 };
    struct wsframes sent = { .is_masked = true };
    static char wanted[COUNT_OF_FRAMES * 16];
    size_t length = 0;

    for (int i = 0; i < COUNT_OF_FRAMES; i++) {
        char text[8];
        int size = snprintf(text, sizeof text, "%d", i);
        wsframes_add(&sent, FINAL | (i % 3 == 0 ? PING : i % 3), text, (size_t)size);
        length += (size_t)snprintf(wanted + length, sizeof wanted - length, "%s%s(%s)", i == 0 ? "" : " ",
                                   i % 3 == 0   ? "ping"
                                   : i % 3 == 1 ? "text"
                                                : "binary",
                                   text);
    }
    readertrace_expect(&of_server, sent.bytes, sent.length, wanted);
    wsframes_free(&sent);
}

/* Any number of the bytes of a piece, in any fragment, masked or not. */
static void what_was_not_taken_comes_again(void **state)
{
    for (int masked = 0; masked < 2; masked++) {
        const struct websocketreader_limits *limits = masked ? &of_server : &of_client;
        struct wsframes sent = { .is_masked = masked };
        char got[64];

        for (size_t back = 0; back <= 11; back++) {
            struct websocketreader reader = { 0 };
            struct websocketreader_piece piece;
            size_t used = 0, length = 0;
            bool is_last = false;

            sent.length = 0;
            wsframes_add(&sent, BINARY, "some bytes, ", 12);
            wsframes_add(&sent, FINAL | MORE, "and others", 10);
            for (int i = 0; !is_last; i++) {
                ssize_t taken = websocketreader_next(&reader, limits, sent.bytes + used, sent.length - used, &piece);
                size_t count = i % 2 == 0 && back <= piece.length ? back : 0;
                assert_true(taken > 0 && piece.is_binary);
                assert_int_equal(piece.is_first, length == 0 && i == 0);
                is_last = piece.is_last && count == 0;
                websocketreader_give_back(&reader, &piece, count);
                used += (size_t)taken - count;
                memcpy(got + length, piece.data, piece.length - count);
                length += piece.length - count;
            }
            assert_int_equal(length, 22);
            assert_memory_equal(got, "some bytes, and others", 22);
            assert_int_equal(used, sent.length);
            assert_int_equal(reader.opcode, 0);
        }
        wsframes_free(&sent);
    }
}

static void a_short_message_has_a_way_of_its_own(void **state)
{
    static const struct {
        int first;
        const char *payload;
        size_t most;
        bool is_taken;
    } rows[] = {
        { FINAL | TEXT, "hello", 125, true },
        { FINAL | BINARY, "", 125, true },
        { FINAL | BINARY, "\xff", 125, true },
        { FINAL | TEXT, "\xc3\xa9", 125, true },
        { FINAL | TEXT, "hello", 5, true },
        { FINAL | TEXT, "hello", 4, false },
        { TEXT, "hello", 125, false },
        { FINAL | MORE, "hello", 125, false },
        { FINAL | PING, "hello", 125, false },
        { FINAL | CLOSE, "", 125, false },
        { FINAL | COMPRESSED | TEXT, "a", 5, false },
    };

    for (size_t i = 0; i < 2 * COUNT(rows); i++) {
        bool is_client = i % 2;
        struct wsframes sent = { .is_masked = !is_client };
        struct websocketreader_piece piece;

        wsframes_add(&sent, rows[i / 2].first, rows[i / 2].payload, strlen(rows[i / 2].payload));
        for (size_t length = 0; length < sent.length; length++)
            assert_int_equal(websocketreader_short(is_client, rows[i / 2].most, sent.bytes, length, &piece), 0);
        ssize_t taken = websocketreader_short(is_client, rows[i / 2].most, sent.bytes, sent.length, &piece);
        assert_int_equal(taken, rows[i / 2].is_taken ? sent.length : 0);
        if (taken > 0) {
            assert_int_equal(piece.length, strlen(rows[i / 2].payload));
            assert_memory_equal(piece.data, rows[i / 2].payload, piece.length);
            assert_int_equal(piece.is_binary, (rows[i / 2].first & 15) == BINARY);
        }
        wsframes_free(&sent);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(reads_messages_and_control_frames),
    cmocka_unit_test(tells_compressed_messages_from_others),
    cmocka_unit_test(refuses_what_may_not_come),
    cmocka_unit_test(refuses_hostile_frames),
    cmocka_unit_test(refuses_at_the_first_wrong_byte),
    cmocka_unit_test(reads_payloads_of_every_length),
    cmocka_unit_test(finds_a_wrong_byte_anywhere_in_a_text),
    cmocka_unit_test(hands_over_pieces_at_once),
    cmocka_unit_test(waits_for_whole_control_frames),
    cmocka_unit_test(reads_many_frames_in_one_piece),
    cmocka_unit_test(what_was_not_taken_comes_again),
    cmocka_unit_test(a_short_message_has_a_way_of_its_own),
};
TESTING_MAIN(tests)
