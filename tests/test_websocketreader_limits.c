/* Closing, and the limits, of websocketreader.h. */
#include "websocket/websocketreader.h"

#include <string.h>

#include "tests/support/readertrace.h"
#include "tests/support/testing.h"
#include "tests/support/wsframes.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { FINAL = WSFRAMES_FINAL, MORE = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9 };

static const struct websocketreader_limits of_server = { .message = 1 << 20 };

static void expect_frames(const struct websocketreader_limits *limits, struct wsframes *sent, const char *wanted)
{
    readertrace_expect(limits, sent->bytes, sent->length, wanted);
    sent->length = 0;
}

/* E8 */
static void reads_close_frames(void **state)
{
    static const struct {
        const char *payload;
        size_t length;
        const char *wanted;
    } cases[] = {
        { "", 0, "close(1005)" },
        { "\x03\xe8", 2, "close(1000)" },
        { "\x03\xe8OK", 4, "close(1000 OK)" },
        { "\x0f\xa0\xce\xba", 4, "close(4000 \xce\xba)" },
        { "\x03", 1, "refused(1002)" },
        { "\x03\xe8\xff", 3, "refused(1007)" },
        { "\x03\xe8 \xce", 4, "refused(1007)" },
        { "\x03\xe8\xed\xa0\x80", 5, "refused(1007)" },
        { "\x03\xed", 2, "refused(1002)" },
        { "\x03\xed\xff", 3, "refused(1002)" },
        { "\x00\x00", 2, "refused(1002)" },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wsframes sent = { .is_masked = true };
        wsframes_add(&sent, FINAL | CLOSE, cases[i].payload, cases[i].length);
        expect_frames(&of_server, &sent, cases[i].wanted);
        wsframes_free(&sent);
    }
}

static void reads_reasons_of_every_length(void **state)
{
    char reason[124], wanted[160];
    struct wsframes sent = { .is_masked = true };

    memset(reason, 'r', sizeof reason);
    for (size_t length = 1; length <= 123; length++) {
        reason[length] = '\0';
        wsframes_add_close(&sent, 1001, reason);
        reason[length] = 'r';
        snprintf(wanted, sizeof wanted, "close(1001 %.*s)", (int)length, reason);
        expect_frames(&of_server, &sent, wanted);
    }
    wsframes_free(&sent);
}

static void knows_which_codes_may_come(void **state)
{
    static struct readertrace trace;
    struct wsframes sent = { .is_masked = true };
    char wanted[32];

    for (int code = 1; code < 65536; code++) {
        bool is_named = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
        sent.length = 0;
        wsframes_add_close(&sent, code, "");
        readertrace_read(&trace, &of_server, sent.bytes, sent.length, sent.length, 1);
        snprintf(wanted, sizeof wanted, "close(%d)", code);
        assert_string_equal(trace.text, is_named || (code >= 3000 && code <= 4999) ? wanted : "refused(1002)");
    }
    wsframes_free(&sent);
}

/* Neither right frames nor wrong ones; also within a message, and before the close frame all counts. */
static void passes_over_all_behind_a_close_frame(void **state)
{
    static const struct {
        int first;
        const char *payload;
    } behind[] = { { FINAL | TEXT, "more" }, { FINAL | 3, "wrong" }, { FINAL | CLOSE, "x" }, { FINAL | PING, "" } };
    struct wsframes sent = { .is_masked = true };

    for (size_t i = 0; i < COUNT(behind); i++) {
        wsframes_add(&sent, FINAL | TEXT, "one", 3);
        wsframes_add(&sent, TEXT, "two", 3);
        wsframes_add_close(&sent, 1000, "bye");
        wsframes_add(&sent, behind[i].first, behind[i].payload, strlen(behind[i].payload));
        expect_frames(&of_server, &sent, "text(one) close(1000 bye)");
    }
    wsframes_free(&sent);
}

/* websocket_test:test_large_message: by the length that is declared, over all fragments; control frames do not count.
 */
static void limits_messages_by_what_their_heads_declare(void **state)
{
    static const struct websocketreader_limits ten = { .message = 10 };
    struct wsframes sent = { .is_masked = true };

    wsframes_add(&sent, FINAL | TEXT, "0123456789", 10);
    wsframes_add(&sent, FINAL | BINARY, "0123456789", 10);
    expect_frames(&ten, &sent, "text(0123456789) binary(0123456789)");
    wsframes_add_head(&sent, FINAL | TEXT, 11);
    expect_frames(&ten, &sent, "refused(1009)");
    wsframes_add_head(&sent, BINARY, 11);
    expect_frames(&ten, &sent, "refused(1009)");
    wsframes_add(&sent, TEXT, "01234", 5);
    wsframes_add(&sent, MORE, "56789", 5);
    wsframes_add(&sent, FINAL | PING, "0123456789abcdef", 16);
    wsframes_add(&sent, MORE, "", 0);
    wsframes_add(&sent, FINAL | MORE, "", 0);
    wsframes_add(&sent, FINAL | TEXT, "0123456789", 10);
    expect_frames(&ten, &sent, "ping(0123456789abcdef) text(0123456789) text(0123456789)");
    wsframes_add(&sent, TEXT, "01234", 5);
    wsframes_add_head(&sent, FINAL | MORE, 6);
    expect_frames(&ten, &sent, "refused(1009)");
    wsframes_add(&sent, TEXT, "01234", 5);
    wsframes_add_head(&sent, FINAL | MORE, INT64_MAX);
    expect_frames(&ten, &sent, "refused(1009)");
    wsframes_free(&sent);
}

/* The sum may not come around to 0. */
static void adds_up_lengths_without_overflow(void **state)
{
    static const struct websocketreader_limits all = { .message = UINT64_MAX };
    struct websocketreader reader = { .opcode = BINARY, .message = UINT64_MAX - 10, .is_under_way = true };
    struct websocketreader_piece piece;
    char right[] = "\x80\x8a\0\0\0\0", wrong[] = "\x80\x8b\0\0\0\0";

    assert_int_equal(websocketreader_next(&reader, &all, wrong, 6, &piece), -1009);
    reader = (struct websocketreader){ .opcode = BINARY, .message = UINT64_MAX - 10, .is_under_way = true };
    assert_int_equal(websocketreader_next(&reader, &all, right, 6, &piece), 6);
    assert_int_equal(reader.left, 10);
}

static size_t count_fragments(const struct websocketreader_limits *limits)
{
    static struct readertrace trace;
    static const char first[] = "\x01\x80\0\0\0\0", more[] = "\x00\x80\0\0\0\0";
    size_t count = 1;

    readertrace_begin(&trace, limits);
    assert_int_equal(readertrace_step(&trace, first, 6), 6);
    while (readertrace_step(&trace, more, 6) > 0)
        count++;
    assert_string_equal(trace.text, "refused(1009)");
    return count;
}

/* E3: 200,000 empty ones. */
static void limits_the_number_of_fragments(void **state)
{
    static const struct {
        uint64_t message;
        uint32_t fragments;
        size_t wanted;
    } cases[] = {
        { 1 << 20, 0, 4096 },    { 0, 0, 1024 },    { 1024 * 256, 0, 1024 }, { 1025 * 256 - 1, 0, 1024 },
        { 1025 * 256, 0, 1025 }, { 1 << 20, 3, 3 }, { 0, 2000, 2000 },
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(count_fragments(&(struct websocketreader_limits){ .message = cases[i].message,
                                                                           .fragments = cases[i].fragments }),
                         cases[i].wanted);
}

/* However large messages may be: the count does not come around to 0. */
static void counts_fragments_without_overflow(void **state)
{
    static const struct websocketreader_limits all = { .message = UINT64_C(256) * UINT32_MAX };
    struct websocketreader reader = { .opcode = BINARY, .fragments = UINT32_MAX - 2 };
    struct websocketreader_piece piece;
    char more[] = "\x00\x80\0\0\0\0";

    assert_int_equal(websocketreader_next(&reader, &all, more, 6, &piece), 6);
    assert_int_equal(websocketreader_next(&reader, &all, more, 6, &piece), -1009);
}

/* Each message has its own, and one that is not in fragments is none. */
static void counts_fragments_of_each_message(void **state)
{
    static const struct websocketreader_limits two = { .message = 100, .fragments = 2 };
    struct wsframes sent = { .is_masked = true };

    for (int i = 0; i < 3; i++) {
        wsframes_add(&sent, TEXT, "a", 1);
        wsframes_add(&sent, FINAL | PING, "", 0);
        wsframes_add(&sent, FINAL | MORE, "b", 1);
        wsframes_add(&sent, FINAL | TEXT, "c", 1);
    }
    expect_frames(&two, &sent, "ping() text(ab) text(c) ping() text(ab) text(c) ping() text(ab) text(c)");
    wsframes_add(&sent, TEXT, "a", 1);
    wsframes_add(&sent, MORE, "b", 1);
    wsframes_add(&sent, FINAL | MORE, "c", 1);
    expect_frames(&two, &sent, "refused(1009)");
    wsframes_free(&sent);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(reads_close_frames),
    cmocka_unit_test(reads_reasons_of_every_length),
    cmocka_unit_test(knows_which_codes_may_come),
    cmocka_unit_test(passes_over_all_behind_a_close_frame),
    cmocka_unit_test(limits_messages_by_what_their_heads_declare),
    cmocka_unit_test(adds_up_lengths_without_overflow),
    cmocka_unit_test(limits_the_number_of_fragments),
    cmocka_unit_test(counts_fragments_without_overflow),
    cmocka_unit_test(counts_fragments_of_each_message),
};
TESTING_MAIN(tests)
