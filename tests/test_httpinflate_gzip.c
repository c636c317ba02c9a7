#include "httpserver/httpinflate.h"

#include "tests/support/deflatebits.h"
#include "tests/support/inflatetrace.h"

/* RFC 1952, and the messages of RFC 7692. */

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define HELLO        "#f348cdc9c90700 "
#define TRAILER      "#8289d1f705000000"
#define MEMBER       "#1f8b0800000000000003 " HELLO TRAILER " "
#define EMPTY        "#1f8b0800000000000003 #0300 #0000000000000000 "

static struct inflatetrace trace;

static void inflate_text(enum httpinflate_format format, const char *text)
{
    struct deflatebits bits = { .count = 0 };

    deflatebits_put(&bits, text);
    inflatetrace_every_way(format, 15, bits.bytes, deflatebits_length(&bits), &trace);
}

/* gzip. */

static void a_gzip_head_may_have_fields(void **state)
{
    static const char *const heads[] = {
        "#1f8b0800000000000003 ",
        "#1f8b0801ffffffff02ff ",                             /* it is text, and has a time; maybe */
        "#1f8b0804000000000003 #0000 ",                       /* no extra bytes */
        "#1f8b0804000000000003 #0300 #616263 ",               /* three of them */
        "#1f8b0808000000000003 #612e74787400 ",               /* a name */
        "#1f8b0810000000000003 #00 ",                         /* a comment, empty */
        "#1f8b0802000000000003 #a777 ",                       /* a checksum */
        "#1f8b081e0000000000030500aabbccddee61006300 #8a47 ", /* all of them */
    };

    for (size_t i = 0; i < COUNT(heads); i++) {
        char text[256];
        snprintf(text, sizeof text, "%s" HELLO TRAILER, heads[i]);
        inflate_text(HTTPINFLATE_GZIP, text);
        if (!trace.done || trace.refused)
            fail_msg("[%s] %s", text, trace.problem);
        assert_int_equal(trace.length, 5);
        assert_memory_equal(trace.output, "Hello", 5);
    }
}

static void a_malformed_gzip_file_is_refused(void **state)
{
    static const struct {
        const char *text, *problem;
    } rows[] = {
        { "#1e8b", "not gzip" },
        { "#1f8c", "not gzip" },
        { "#1f8b09", "not gzip" },
        { "#789c", "not gzip" },
        { "#1f8b0820", "reserved flags of gzip" },
        { "#1f8b0840", "reserved flags of gzip" },
        { "#1f8b0880", "reserved flags of gzip" },
        { "#1f8b0802000000000003 #a677 " HELLO TRAILER, "checksum of a gzip head" },
        { "#1f8b0800000000000003 " HELLO "#00000000 #05000000", "checksum" },
        { "#1f8b0800000000000003 " HELLO "#8289d1f7 #06000000", "size" },
        { "#1f8b0800000000000003 " HELLO "#8289d1f7 #05000001", "size" },
        { MEMBER " #00", "not gzip" },
        { MEMBER " #1f8c", "not gzip" },
        { MEMBER " #1f8b0820", "reserved flags of gzip" },
        { MEMBER " #1f8b0800000000000003 " HELLO "#00000000 #05000000", "checksum" },
        { MEMBER " #1f8b0800000000000003 " HELLO "#8289d1f7 #0a000000", "size" }, /* not that of both */
        { MEMBER "#1f8b0800000000000003 1/1 1/2 0000001 00000", "distance beyond the window" },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        inflate_text(HTTPINFLATE_GZIP, rows[i].text);
        if (!trace.refused || strcmp(trace.problem, rows[i].problem) != 0)
            fail_msg("[%s] %s", rows[i].text, trace.refused ? trace.problem : "not refused");
    }
}

/* RFC 1952 2.2 */
static void a_gzip_file_has_any_number_of_members(void **state)
{
    static const struct {
        const char *text, *output;
    } rows[] = {
        { MEMBER MEMBER, "HelloHello" },
        { "#1f8b081e0000000000030500aabbccddee61006300 #8a47 " HELLO TRAILER " " MEMBER MEMBER, "HelloHelloHello" },
        { EMPTY EMPTY MEMBER EMPTY, "Hello" },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        inflate_text(HTTPINFLATE_GZIP, rows[i].text);
        if (!trace.done || trace.refused)
            fail_msg("[%s] %s", rows[i].text, trace.problem);
        assert_int_equal(trace.length, strlen(rows[i].output));
        assert_memory_equal(trace.output, rows[i].output, trace.length);
    }
}

static void only_between_members_a_gzip_file_may_end(void **state)
{
    struct deflatebits bits = { .count = 0 };

    deflatebits_put(&bits, MEMBER MEMBER);
    size_t whole = deflatebits_length(&bits);
    for (size_t length = 1; length <= whole; length++) {
        inflatetrace_every_way(HTTPINFLATE_GZIP, 15, bits.bytes, length, &trace);
        assert_false(trace.refused);
        assert_int_equal(trace.done, length % (whole / 2) == 0);
    }
}

static void an_unfinished_gzip_file_is_not_done(void **state)
{
    struct deflatebits bits = { .count = 0 };

    deflatebits_put(&bits, "#1f8b081e0000000000030500aabbccddee61006300 #8a47 " HELLO TRAILER);
    for (size_t length = 0; length < deflatebits_length(&bits); length++) {
        inflatetrace_every_way(HTTPINFLATE_GZIP, 15, bits.bytes, length, &trace);
        assert_false(trace.refused);
        assert_false(trace.done);
    }
}

/* Whichever bit is wrong: it is refused, or never done, or it was in what means nothing to us. */
static void no_wrong_bit_goes_unnoticed(void **state)
{
    struct deflatebits bits = { .count = 0 };

    deflatebits_put(&bits, "#1f8b0800000000000003 " HELLO TRAILER);
    for (size_t i = 0; i < bits.count; i++) {
        bits.bytes[i / 8] ^= (char)(1 << i % 8);
        inflatetrace_run(HTTPINFLATE_GZIP, 15, bits.bytes, bits.count / 8, bits.count / 8, 1, &trace);
        bits.bytes[i / 8] ^= (char)(1 << i % 8);
        if (!trace.done || trace.refused)
            continue;
        assert_true(i == 8 * 3 || i >= 8 * 4); /* the flag of text, time and system, and zeroes that fill a byte */
        assert_true(i < 8 * 10 || (i >= 8 * 16 && i < 8 * 17));
        assert_int_equal(trace.length, 5);
        assert_memory_equal(trace.output, "Hello", 5);
    }
}

static void a_decoder_of_gzip_can_be_used_again(void **state)
{
    struct httpinflate *inflate = httpinflate_new(HTTPINFLATE_GZIP, 15);
    struct deflatebits bits = { .count = 0 };

    deflatebits_put(&bits, "#1f8b081e0000000000030500aabbccddee61006300 #8a47 " HELLO TRAILER);
    for (size_t length = deflatebits_length(&bits); length > 0; length--) {
        inflatetrace_with(inflate, bits.bytes, length, 7, 11, &trace);
        assert_int_equal(trace.done, length == deflatebits_length(&bits));
        httpinflate_reset(inflate);
    }
    inflatetrace_with(inflate, bits.bytes, deflatebits_length(&bits), 1, 1, &trace);
    assert_true(trace.done);
    httpinflate_free(inflate);
}

/* Messages. */

/* The examples of RFC 7692 7.2.3, after each other: they leave the window to the next. */
static void messages_of_the_rfc_are_decoded(void **state)
{
    static const char *const texts[] = {
        "#f248cdc9c90700",                /* one block */
        "#f200110000",                    /* from the window */
        "#000500faff48656c6c6f00",        /* not compressed */
        "#f348cdc9c9070000",              /* the last block, which it is not */
        "#f248050000 #00ffff cac9c90700", /* two blocks */
        "#00",                            /* nothing */
    };
    struct httpinflate *inflate = httpinflate_new(HTTPINFLATE_MESSAGES, 15);

    for (size_t i = 0; i < 4; i++) {
        struct deflatebits bits = { .count = 0 };
        deflatebits_put(&bits, texts[i]);
        for (size_t step = 1; step < 9; step++) {
            inflatetrace_with(inflate, bits.bytes, deflatebits_length(&bits), step, step, &trace);
            assert_false(trace.refused || trace.done);
            assert_int_equal(trace.length, 5);
            assert_memory_equal(trace.output, "Hello", 5);
            assert_int_equal(httpinflate_end_message(inflate), 0);
        }
    }
    inflatetrace_with(inflate, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13, 5, 8, &trace);
    assert_int_equal(trace.length, 5);
    assert_int_equal(httpinflate_end_message(inflate), 0);
    inflatetrace_with(inflate, "", 1, 1, 1, &trace);
    assert_int_equal(trace.length, 0);
    assert_int_equal(httpinflate_end_message(inflate), 0);
    httpinflate_free(inflate);
}

static void a_message_ends_with_an_empty_block(void **state)
{
    static const char *const texts[] = {
        "",                        /* nothing at all */
        "#f248cdc9c907",           /* the block goes on */
        "#f248cdc9c9",             /* inside of it */
        "#f348cdc9c90700",         /* the last block and no empty one */
        "#f248cdc9c907000000ffff", /* what should have been cut off */
        "#000500faff48656c6c",     /* inside a stored block */
        "#000500faff48656c6c6f",   /* behind it */
        "#0000",                   /* inside a length */
    };

    for (size_t i = 0; i < COUNT(texts); i++) {
        struct httpinflate *inflate = httpinflate_new(HTTPINFLATE_MESSAGES, 15);
        struct deflatebits bits = { .count = 0 };
        deflatebits_put(&bits, texts[i]);
        inflatetrace_with(inflate, bits.bytes, deflatebits_length(&bits), 100, 1, &trace);
        assert_false(trace.refused);
        if (httpinflate_end_message(inflate) != -EBADMSG)
            fail_msg("[%s]", texts[i]);
        assert_non_null(httpinflate_problem(inflate));
        httpinflate_free(inflate);
    }
}

static void without_the_window_a_message_that_needs_it_is_refused(void **state)
{
    struct httpinflate *inflate = httpinflate_new(HTTPINFLATE_MESSAGES, 15);

    inflatetrace_with(inflate, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7, 7, 1, &trace);
    assert_int_equal(httpinflate_end_message(inflate), 0);
    httpinflate_reset(inflate);
    inflatetrace_with(inflate, "\xf2\x00\x11\x00\x00", 5, 5, 1, &trace);
    assert_true(trace.refused);
    httpinflate_free(inflate);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_gzip_head_may_have_fields),
    cmocka_unit_test(a_malformed_gzip_file_is_refused),
    cmocka_unit_test(a_gzip_file_has_any_number_of_members),
    cmocka_unit_test(only_between_members_a_gzip_file_may_end),
    cmocka_unit_test(an_unfinished_gzip_file_is_not_done),
    cmocka_unit_test(no_wrong_bit_goes_unnoticed),
    cmocka_unit_test(a_decoder_of_gzip_can_be_used_again),
    cmocka_unit_test(messages_of_the_rfc_are_decoded),
    cmocka_unit_test(a_message_ends_with_an_empty_block),
    cmocka_unit_test(without_the_window_a_message_that_needs_it_is_refused),
};

TESTING_MAIN(tests)
