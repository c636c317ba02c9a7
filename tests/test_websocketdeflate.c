#include "websocket/websocketdeflate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/faults.h"
#include "tests/support/guardpage.h"
#include "tests/support/testing.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct websocketdeflate_terms usual = { .server_window = 15, .client_window = 15 };

/* A place that may be changed, and ends at a guard page. */
static char *copy_of(const char *text)
{
    return text != NULL ? memcpy(guardpage_place(strlen(text) + 1), text, strlen(text) + 1) : NULL;
}

/* The server's side. */

/* answer NULL: it is declined. */
static void expect_answer(const char *offer, const struct websocketdeflate_terms *wanted, const char *answer)
{
    struct websocketdeflate_terms agreed;
    char place[WEBSOCKETDEFLATE_LONGEST];
    int found = websocketdeflate_accept(copy_of(offer), wanted, &agreed);

    if (found != (answer != NULL))
        fail_msg("[%s] %d", offer, found);
    if (answer == NULL)
        return;
    websocketdeflate_format_answer(&agreed, place);
    if (strcmp(place, answer) != 0)
        fail_msg("[%s] %s", offer, place);
}

/* RFC 7692 7.1. */
static void an_offer_is_answered(void **state)
{
    static const struct {
        const char *offer, *answer;
    } rows[] = {
        { NULL, NULL },
        { "", NULL },
        { ",", NULL },
        { "permessage-deflate", "permessage-deflate" },
        { "permessage-deflate; client_max_window_bits", "permessage-deflate" },
        { " permessage-deflate ;client_max_window_bits", "permessage-deflate" },
        { "permessage-deflate; client_max_window_bits=10", "permessage-deflate; client_max_window_bits=10" },
        { "permessage-deflate; client_max_window_bits=\"10\"", "permessage-deflate; client_max_window_bits=10" },
        { "permessage-deflate; client_max_window_bits=15", "permessage-deflate" },
        { "permessage-deflate; client_max_window_bits = 10", "permessage-deflate; client_max_window_bits=10" },
        { "foo; a\t=b, permessage-deflate; server_max_window_bits= \"9\"",
          "permessage-deflate; server_max_window_bits=9" },
        { "permessage-deflate; client_max_window_bits=8", "permessage-deflate; client_max_window_bits=8" },
        { "permessage-deflate; server_max_window_bits=8", "permessage-deflate; server_max_window_bits=8" },
        { "permessage-deflate; server_max_window_bits=9", "permessage-deflate; server_max_window_bits=9" },
        { "permessage-deflate; server_max_window_bits=15", "permessage-deflate; server_max_window_bits=15" },
        { "permessage-deflate; server_no_context_takeover", "permessage-deflate; server_no_context_takeover" },
        { "permessage-deflate; client_no_context_takeover", "permessage-deflate; client_no_context_takeover" },
        { "permessage-deflate; client_no_context_takeover; server_no_context_takeover; server_max_window_bits=12; "
          "client_max_window_bits=11",
          "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12; "
          "client_max_window_bits=11" },
        { "x-webkit-deflate-frame, permessage-deflate", "permessage-deflate" },
        { "permessage-bzip2; a=b, permessage-deflate; server_max_window_bits=10, permessage-deflate",
          "permessage-deflate; server_max_window_bits=10" },
        { "permessage-foo; server_max_window_bits=10", NULL },
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        expect_answer(rows[i].offer, &usual, rows[i].answer);
}

static void an_offer_that_may_not_be_is_passed_over(void **state)
{
    static const char *const parameters[] = {
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=08",
        "server_max_window_bits=010",
        "server_max_window_bits=100",
        "server_max_window_bits=1",
        "server_max_window_bits=1x",
        "server_max_window_bits=x5",
        "server_max_window_bits=20",
        "server_max_window_bits=\"\"",
        "server_max_window_bits=10; server_max_window_bits=10",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=-9",
        "client_max_window_bits=\"\"",
        "client_max_window_bits; client_max_window_bits",
        "client_max_window_bits=9; client_max_window_bits",
        "server_no_context_takeover=1",
        "server_no_context_takeover=\"\"",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover=true",
        "client_no_context_takeover; client_no_context_takeover",
        "server_max_window",
        "server_max_window_bits_=10",
        "foo",
        "foo=bar",
    };

    for (size_t i = 0; i < COUNT(parameters); i++) {
        char text[200];
        snprintf(text, sizeof text, "permessage-deflate; %s", parameters[i]);
        expect_answer(text, &usual, NULL);
        snprintf(text, sizeof text, "permessage-deflate; %s, permessage-deflate; client_max_window_bits",
                 parameters[i]);
        expect_answer(text, &usual, "permessage-deflate");
    }
}

static void what_is_no_list_of_extensions_is_refused(void **state)
{
    static const char *const texts[] = {
        "permessage-deflate; server_max_window_bits=",
        "permessage-deflate; =10",
        "permessage-deflate, ;",
        "permessage-deflate client_max_window_bits",
        "permessage-deflate; \"a\"",
        "\"permessage-deflate\"",
        "permessage-deflate; a=\"b",
        "permessage deflate",
        "permessage-deflate, a b",
    };
    struct websocketdeflate_terms agreed;

    for (size_t i = 0; i < COUNT(texts); i++)
        if (websocketdeflate_accept(copy_of(texts[i]), &usual, &agreed) != -400)
            fail_msg("[%s]", texts[i]);
}

static void the_server_may_want_less(void **state)
{
    static const struct websocketdeflate_terms wanted = { .server_window = 11, .client_window = 10 };
    static const struct websocketdeflate_terms anew = { 15, 15, .server_anew = true, .client_anew = true };

    expect_answer("permessage-deflate", &wanted, "permessage-deflate; server_max_window_bits=11");
    expect_answer("permessage-deflate; client_max_window_bits", &wanted,
                  "permessage-deflate; server_max_window_bits=11; client_max_window_bits=10");
    expect_answer("permessage-deflate; client_max_window_bits=9; server_max_window_bits=15", &wanted,
                  "permessage-deflate; server_max_window_bits=11; client_max_window_bits=9");
    expect_answer("permessage-deflate; client_max_window_bits=12; server_max_window_bits=9", &wanted,
                  "permessage-deflate; server_max_window_bits=9; client_max_window_bits=10");
    expect_answer("permessage-deflate", &anew,
                  "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
}

/* One that cannot be told about its window has the largest. */
static void a_client_that_names_no_window_may_use_any(void **state)
{
    static const struct websocketdeflate_terms wanted = { .server_window = 9, .client_window = 9 };
    struct websocketdeflate_terms agreed;

    assert_int_equal(websocketdeflate_accept(copy_of("permessage-deflate"), &wanted, &agreed), 1);
    assert_int_equal(agreed.client_window, 15);
    assert_int_equal(agreed.server_window, 9);
}

static void the_longest_answer_and_offer_fit(void **state)
{
    static const struct websocketdeflate_terms all = { 10, 10, true, true, true };
    char place[WEBSOCKETDEFLATE_LONGEST];

    websocketdeflate_format_answer(&all, place);
    assert_true(strlen(place) + 1 < sizeof place);
    assert_non_null(strstr(place, "client_max_window_bits=10"));
    websocketdeflate_format_offer(&all, place);
    assert_true(strlen(place) + 1 < sizeof place);
    assert_non_null(strstr(place, "client_max_window_bits=10"));
}

/* The client's side. */

static void an_offer_says_what_is_wanted(void **state)
{
    static const struct {
        struct websocketdeflate_terms wanted;
        const char *offer;
    } rows[] = {
        { { 15, 15, false, false, false }, "permessage-deflate; client_max_window_bits" },
        { { 15, 9, false, false, false }, "permessage-deflate; client_max_window_bits=9" },
        { { 8, 15, false, false, false }, "permessage-deflate; server_max_window_bits=8; client_max_window_bits" },
        { { 15, 15, true, true, false },
          "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits" },
    };
    char place[WEBSOCKETDEFLATE_LONGEST];

    for (size_t i = 0; i < COUNT(rows); i++) {
        websocketdeflate_format_offer(&rows[i].wanted, place);
        assert_string_equal(place, rows[i].offer);
    }
}

static void an_answer_is_held_against_the_offer(void **state)
{
    static const struct {
        struct websocketdeflate_terms wanted;
        const char *answer;
        int found;
        struct websocketdeflate_terms agreed;
    } rows[] = {
#define USUAL { 15, 15, false, false, false }
#define NARROW                                                                                                         \
    {                                                                                                                  \
        10, 10, false, false, false                                                                                    \
    }
#define ANEW                                                                                                           \
    {                                                                                                                  \
        15, 15, true, true, false                                                                                      \
    }
#define D       "permessage-deflate"
#define REFUSED -EPROTO, USUAL
        { USUAL, NULL, 0, USUAL },
        { USUAL, "", 0, USUAL },
        { USUAL, D, 1, USUAL },
        { USUAL, D "; server_max_window_bits=9", 1, { 9, 15, false, false, true } },
        { USUAL, D "; server_max_window_bits=15", 1, { 15, 15, false, false, true } },
        { USUAL, D "; client_max_window_bits=8", 1, { 15, 8, false, false, false } },
        { USUAL, D "; client_max_window_bits=\"12\"", 1, { 15, 12, false, false, false } },
        { USUAL, D "; server_no_context_takeover", 1, { 15, 15, true, false, false } },
        { USUAL, D "; client_no_context_takeover", 1, { 15, 15, false, true, false } },
        { NARROW, D "; server_max_window_bits=10", 1, { 10, 10, false, false, true } },
        { NARROW, D "; server_max_window_bits=9; client_max_window_bits=10", 1, { 9, 10, false, false, true } },
        { ANEW, D "; server_no_context_takeover", 1, { 15, 15, true, true, false } },
        { NARROW, D, REFUSED },
        { NARROW, D "; server_max_window_bits=11", REFUSED },
        { NARROW, D "; server_max_window_bits=10; client_max_window_bits=11", REFUSED },
        { ANEW, D, REFUSED },
        { ANEW, D "; client_no_context_takeover", REFUSED },
        { USUAL, D "; client_max_window_bits", REFUSED },
        { USUAL, D "; server_max_window_bits", REFUSED },
        { USUAL, D "; server_max_window_bits=16", REFUSED },
        { USUAL, D "; server_max_window_bits=9; server_max_window_bits=9", REFUSED },
        { USUAL, D "; server_no_context_takeover=1", REFUSED },
        { USUAL, D "; foo", REFUSED },
        { USUAL, D ", " D, REFUSED },
        { USUAL, D ", x", REFUSED },
        { USUAL, "x, " D, REFUSED },
        { USUAL, "x", REFUSED },
        { USUAL, "permessage-deflated", REFUSED },
        { USUAL, D ";;=", REFUSED },
        { USUAL, ",", REFUSED },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct websocketdeflate_terms agreed;
        int found = websocketdeflate_check_answer(copy_of(rows[i].answer), &rows[i].wanted, &agreed);
        if (found != rows[i].found)
            fail_msg("[%s] %d", rows[i].answer, found);
        if (found > 0 &&
            (agreed.server_window != rows[i].agreed.server_window ||
             agreed.client_window != rows[i].agreed.client_window || agreed.server_anew != rows[i].agreed.server_anew ||
             agreed.client_anew != rows[i].agreed.client_anew))
            fail_msg("[%s]", rows[i].answer);
    }
}

/* Whatever each side wants, they understand each other. */
static void what_one_side_offers_and_the_other_answers_is_agreed_on(void **state)
{
    for (int bits = 0; bits < 4096; bits++) {
        struct websocketdeflate_terms client = { 8 + (bits & 7), 8 + (bits >> 3 & 7), bits & 64, bits & 128, false };
        struct websocketdeflate_terms server = { 15 - (bits >> 8 & 3) * 2, 15 - (bits & 3) * 2, bits & 1024,
                                                 bits & 2048, false };
        struct websocketdeflate_terms of_server, of_client;
        char place[WEBSOCKETDEFLATE_LONGEST];

        websocketdeflate_format_offer(&client, place);
        assert_int_equal(websocketdeflate_accept(copy_of(place), &server, &of_server), 1);
        websocketdeflate_format_answer(&of_server, place);
        assert_int_equal(websocketdeflate_check_answer(copy_of(place), &client, &of_client), 1);
        assert_int_equal(of_server.server_window, of_client.server_window);
        assert_true(of_client.client_window <= of_server.client_window);
        assert_int_equal(of_server.server_anew, of_client.server_anew);
        assert_int_equal(of_server.client_anew, of_client.client_anew);
    }
}

/* Messages. */

enum { MOST = 300000 };

static char message[MOST], payload[MOST + 1000];

static size_t compress(struct websocketdeflate *deflate, const char *bytes, size_t length, size_t step)
{
    struct websocketdeflate_piece piece;
    size_t at = 0, size = 0;

    do {
        size_t given = length - at < step ? length - at : step;
        ssize_t taken = websocketdeflate_compress(deflate, bytes + at, given, at + given == length, &piece);
        assert_true(taken >= 0);
        assert_true(size + piece.length <= sizeof payload);
        memcpy(payload + size, piece.data, piece.length);
        size += piece.length;
        at += (size_t)taken;
    } while (piece.more || at < length);
    return size;
}

/* Answers the code of a refusal, or 0: it was this message. */
static int decompress(struct websocketdeflate *deflate, const char *bytes, size_t size, size_t step, uint64_t most,
                      const char *wanted, size_t length)
{
    struct websocketdeflate_piece piece;
    size_t at = 0, total = 0;

    do {
        size_t given = size - at < step ? size - at : step;
        ssize_t taken = websocketdeflate_decompress(deflate, guardpage_text(bytes + at, given), given,
                                                    at + given == size, most, &piece);
        if (taken < 0)
            return (int)taken;
        assert_true(total + piece.length <= length && total + piece.length <= most);
        if (piece.length > 0)
            assert_memory_equal(piece.data, wanted + total, piece.length);
        total += piece.length;
        at += (size_t)taken;
    } while (piece.more || at < size);
    assert_int_equal(total, length);
    return 0;
}

static void make_message(size_t length, unsigned seed)
{
    for (size_t i = 0; i < length; i++)
        message[i] = (char)("abcdefgh {}:,\"1"[(i * i / 5 + i / 1000 * seed + seed) % 15]);
}

static void messages_go_to_and_fro(void **state)
{
    static const size_t lengths[] = { 5, 0, 100, 1, 60000, 0, 3, MOST, 2000 };

    for (int bits = 0; bits < 32; bits++) {
        struct websocketdeflate_terms terms = { 8 + bits % 8, 15 - bits % 7, bits & 8, bits & 16, false };
        struct websocketdeflate *ends[2] = { websocketdeflate_new(&terms, false, 6),
                                             websocketdeflate_new(&terms, true, 1) };
        for (size_t i = 0; i < 2 * COUNT(lengths); i++) {
            size_t length = lengths[i % COUNT(lengths)];
            make_message(length, (unsigned)i);
            size_t size = compress(ends[i % 2], message, length, 5000);
            assert_true(size > 0);
            assert_int_equal(decompress(ends[(i + 1) % 2], payload, size, 700, MOST, message, length), 0);
        }
        websocketdeflate_free(ends[0]);
        websocketdeflate_free(ends[1]);
    }
}

static void what_came_before_makes_the_next_shorter_unless_it_is_forgotten(void **state)
{
    struct websocketdeflate_terms kept = { 15, 15, false, false, false }, anew = { 15, 15, true, true, false };
    struct websocketdeflate *deflate = websocketdeflate_new(&kept, false, 0);

    make_message(1000, 1);
    size_t first = compress(deflate, message, 1000, MOST), second = compress(deflate, message, 1000, MOST);
    assert_true(second < first / 3);
    websocketdeflate_free(deflate);
    for (int i = 0; i < 2; i++) {
        deflate = websocketdeflate_new(&anew, i, 0);
        assert_int_equal(compress(deflate, message, 1000, MOST), first);
        assert_int_equal(compress(deflate, message, 1000, MOST), first);
        websocketdeflate_free(deflate);
    }
}

/* RFC 7692 7.2.3.2: with a window that each message has anew, the second refers to nothing. */
static void a_message_may_not_refer_to_what_is_forgotten(void **state)
{
    static const char first[] = "\xf2\x48\xcd\xc9\xc9\x07\x00", second[] = "\xf2\x00\x11\x00\x00";
    struct websocketdeflate_terms kept = { 15, 15, false, false, false }, anew = { 15, 15, false, true, false };
    struct websocketdeflate *deflate = websocketdeflate_new(&kept, false, 0);

    assert_int_equal(decompress(deflate, first, 7, 1, 5, "Hello", 5), 0);
    assert_int_equal(decompress(deflate, second, 5, 1, 5, "Hello", 5), 0);
    websocketdeflate_free(deflate);
    deflate = websocketdeflate_new(&anew, false, 0);
    assert_int_equal(decompress(deflate, first, 7, 1, 5, "Hello", 5), 0);
    assert_int_equal(decompress(deflate, second, 5, 1, 5, "Hello", 5), -1007);
    websocketdeflate_free(deflate);
}

static void what_is_not_deflated_is_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
    } rows[] = { { "", 0 }, { "\x07", 1 }, { "\xf2\x48\xcd\xc9\xc9\x07", 6 }, { "Hello", 5 }, { "\x00\x00", 2 } };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct websocketdeflate *deflate = websocketdeflate_new(&usual, true, 0);
        if (decompress(deflate, rows[i].bytes, rows[i].length, 1, 100, "Hello", 5) != -1007)
            fail_msg("%zu", i);
        websocketdeflate_free(deflate);
    }
}

/* The limit is of each message, inflated; not a byte more is handed over. */
static void a_message_that_is_too_big_is_refused(void **state)
{
    struct websocketdeflate *ends[2] = { websocketdeflate_new(&usual, false, 0),
                                         websocketdeflate_new(&usual, true, 0) };

    memset(message, 'm', MOST);
    for (int i = 0; i < 3; i++)
        assert_int_equal(decompress(ends[1], payload, compress(ends[0], message, 1000, MOST), 3, 1000, message, 1000),
                         0);
    assert_int_equal(decompress(ends[1], payload, compress(ends[0], message, 1001, MOST), 3, 1000, message, 1001),
                     -1009);
    websocketdeflate_free(ends[0]);
    websocketdeflate_free(ends[1]);
    ends[0] = websocketdeflate_new(&usual, false, 0);
    ends[1] = websocketdeflate_new(&usual, true, 0);
    assert_int_equal(decompress(ends[1], payload, compress(ends[0], message, MOST, MOST), MOST, 100000, message, MOST),
                     -1009);
    websocketdeflate_free(ends[0]);
    websocketdeflate_free(ends[1]);
}

static void memory_is_taken_when_it_is_needed(void **state)
{
    struct websocketdeflate_piece piece;

    faults_allocation(1, false);
    assert_null(websocketdeflate_new(&usual, false, 0));
    struct websocketdeflate *deflate = websocketdeflate_new(&usual, false, 0);
    assert_true(faults_allocated_bytes() < 200);
    faults_allocation(1, false);
    assert_int_equal(websocketdeflate_compress(deflate, "a", 1, true, &piece), -ENOMEM);
    faults_allocation(1, false);
    assert_int_equal(websocketdeflate_decompress(deflate, "a", 1, true, 100, &piece), -1011);
    faults_allocation(0, false);
    long allocations = faults_allocations();
    for (int i = 0; i < 3; i++)
        compress(deflate, "aaaa", 4, 1);
    assert_int_equal(faults_allocations(), allocations + 1);
    websocketdeflate_free(deflate);
    websocketdeflate_free(NULL);
    faults_end();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_offer_is_answered),
    cmocka_unit_test(an_offer_that_may_not_be_is_passed_over),
    cmocka_unit_test(what_is_no_list_of_extensions_is_refused),
    cmocka_unit_test(the_server_may_want_less),
    cmocka_unit_test(a_client_that_names_no_window_may_use_any),
    cmocka_unit_test(the_longest_answer_and_offer_fit),
    cmocka_unit_test(an_offer_says_what_is_wanted),
    cmocka_unit_test(an_answer_is_held_against_the_offer),
    cmocka_unit_test(what_one_side_offers_and_the_other_answers_is_agreed_on),
    cmocka_unit_test(messages_go_to_and_fro),
    cmocka_unit_test(what_came_before_makes_the_next_shorter_unless_it_is_forgotten),
    cmocka_unit_test(a_message_may_not_refer_to_what_is_forgotten),
    cmocka_unit_test(what_is_not_deflated_is_refused),
    cmocka_unit_test(a_message_that_is_too_big_is_refused),
    cmocka_unit_test(memory_is_taken_when_it_is_needed),
};

TESTING_MAIN(tests)
