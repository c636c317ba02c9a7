/* Reading up to a delimiter or a match: limits, pieces, and how much is searched. */
#include "ioloop/iostream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ioloop/ioloop.h"
#include "tests/support/faults.h"
#include "tests/support/streampair.h"
#include "tests/support/testing.h"

/* In the place of libc's: counts what the library searches. */
static size_t searched;

void *memmem(const void *haystack, size_t length, const void *needle, size_t needle_length)
{
    const char *start = haystack;

    searched += length;
    for (const char *hit = start; (size_t)(hit - start) + needle_length <= length; hit++) {
        hit = memchr(hit, *(const char *)needle, length - (size_t)(hit - start) - needle_length + 1);
        if (hit == NULL)
            return NULL;
        if (memcmp(hit, needle, needle_length) == 0)
            return (void *)hit;
    }
    return NULL;
}

static regex_t compiled(const char *pattern)
{
    regex_t regex;

    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED), 0);
    return regex;
}

static void reads_line_by_line_from_one_packet(void **state)
{
    struct streampair pair;
    struct outcome lines[3] = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    streampair_put(&pair, "one\ntwo\nthree\n");
    for (int i = 0; i < 3; i++) {
        accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &lines[i]));
        streampair_run(&pair, &lines[i]);
    }
    assert_outcome(lines[0], 0, "one\n");
    assert_outcome(lines[1], 0, "two\n");
    assert_outcome(lines[2], 0, "three\n");
    streampair_close(&pair);
}

/* A delimiter that begins again and again before it comes, cut at each of its bytes and of those before it. */
static void find_split(struct streampair *pair, const char *message, size_t length, size_t delimiter_length,
                       size_t split)
{
    struct outcome part = { 0 };

    accepted(iostream_read_until_bytes(pair->stream, message + length - delimiter_length, delimiter_length, 0,
                                       outcome_read, &part));
    streampair_put_bytes(pair, message, split);
    streampair_spin(pair, (int)split + 2);
    assert_int_equal(part.calls, 0);
    streampair_put_bytes(pair, message + split, length - split);
    streampair_run(pair, &part);
    assert_ended(part, 0);
    assert_int_equal(part.length, length);
    assert_memory_equal(part.data, message, length);
}

static void finds_a_delimiter_wherever_it_is_cut(void **state)
{
    static const size_t lengths[] = { 1, 2, 16, 17, 256 };

    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct streampair pair;
        char message[20 + 256];
        size_t length = 20 + lengths[i];

        memset(message, 'a', sizeof message);
        message[length - 1] = 'b';
        streampair_open(&pair, STREAMPAIR_UNIX, NULL);
        for (size_t split = length > 40 ? length - 40 : 1; split < length; split++)
            find_split(&pair, message, length, lengths[i], split);
        for (size_t split = 1; split < 30 && split < length; split++)
            find_split(&pair, message, length, lengths[i], split);
        streampair_close(&pair);
    }
}

static void finds_a_delimiter_of_any_bytes(void **state)
{
    struct streampair pair;
    struct outcome part = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_until_bytes(pair.stream, "\0\xff", 2, 0, outcome_read, &part));
    streampair_put_bytes(&pair, "\0a\xff\0\0\xffz", 7);
    streampair_run(&pair, &part);
    assert_ended(part, 0);
    assert_int_equal(part.length, 6);
    assert_memory_equal(part.data, "\0a\xff\0\0\xff", 6);
    streampair_read(&pair, "z");
    streampair_close(&pair);
}

static void copies_the_delimiter(void **state)
{
    struct streampair pair;

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    for (size_t length = 1; length <= 256; length += 51) {
        char *delimiter = malloc(length);
        struct outcome part = { 0 };

        memset(delimiter, 'd', length);
        accepted(iostream_read_until_bytes(pair.stream, delimiter, length, 0, outcome_read, &part));
        streampair_put(&pair, "abc");
        streampair_put_bytes(&pair, delimiter, length);
        memset(delimiter, 'e', length);
        free(delimiter);
        streampair_run(&pair, &part);
        assert_ended(part, 0);
        assert_int_equal(part.length, 3 + length);
    }
    streampair_close(&pair);
}

/* Limits. */

/* Ends with a match that is as long as the limit, and leaves what is behind it. */
static void expect_within_limit(bool by_regex, const char *text)
{
    struct streampair pair;
    struct outcome part = { 0 }, rest = { 0 };
    regex_t regex = compiled("def");

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(by_regex ? iostream_read_until_regex(pair.stream, &regex, 6, outcome_read, &part)
                      : iostream_read_until(pair.stream, "def", 6, outcome_read, &part));
    streampair_put(&pair, text);
    streampair_run(&pair, &part);
    assert_outcome(part, 0, "abcdef");
    accepted(iostream_read_bytes(pair.stream, strlen(text) - 6, outcome_read, &rest));
    streampair_run(&pair, &rest);
    assert_string_equal(rest.data, text + 6);
    streampair_close(&pair);
    regfree(&regex);
}

/* iostream_test:test_read_until_max_bytes, iostream_test:test_read_until_regex_max_bytes */
static void accepts_a_match_that_ends_at_the_limit(void **state)
{
    for (int by_regex = 0; by_regex < 2; by_regex++) {
        expect_within_limit(by_regex, "abcdef");
        expect_within_limit(by_regex, "abcdefghi");
    }
}

static void expect_beyond_limit(bool by_regex, size_t max_bytes, const char *text, const char *leftover)
{
    struct streampair pair;
    struct outcome line = { .done = true }, part = { 0 };
    regex_t regex = compiled("def");

    testing_begin_logs();
    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    if (leftover != NULL) {
        line.done = false;
        accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &line));
        streampair_put(&pair, leftover);
        streampair_run(&pair, &line);
    }
    accepted(by_regex ? iostream_read_until_regex(pair.stream, &regex, max_bytes, outcome_read, &part)
                      : iostream_read_until(pair.stream, "def", max_bytes, outcome_read, &part));
    assert_int_equal(part.calls, 0);
    streampair_put(&pair, text);
    streampair_run(&pair, &pair.closed);
    assert_outcome(part, -EMSGSIZE, "");
    assert_ended(pair.closed, -EMSGSIZE);
    assert_true(part.order < pair.closed.order);
    assert_int_equal(testing_logs("I unsatisfiable read"), 1);
    assert_int_equal(testing_logs(NULL), 1);
    streampair_close(&pair);
    regfree(&regex);
}

/* iostream_test:test_read_until_max_bytes_ignores_extra, iostream_test:test_read_until_regex_max_bytes_ignores_extra */
static void refuses_a_match_that_ends_behind_the_limit(void **state)
{
    for (int by_regex = 0; by_regex < 2; by_regex++) {
        expect_beyond_limit(by_regex, 5, "abcdef", NULL);
        expect_beyond_limit(by_regex, 5, "abcdefdef", NULL);
        expect_beyond_limit(by_regex, 1, "def", NULL);
    }
}

static void refuses_bytes_that_reach_the_limit_without_a_match(void **state)
{
    for (int by_regex = 0; by_regex < 2; by_regex++) {
        expect_beyond_limit(by_regex, 5, "12345", NULL);
        expect_beyond_limit(by_regex, 5, "12de1", NULL);
        expect_beyond_limit(by_regex, 2, "de", NULL);
    }
}

/* iostream_test:test_read_until_max_bytes_inline, iostream_test:test_read_until_regex_max_bytes_inline */
static void refuses_what_was_unread_from_the_loop_only(void **state)
{
    for (int by_regex = 0; by_regex < 2; by_regex++)
        expect_beyond_limit(by_regex, 5, "", "line\n123456def");
}

static void waits_below_the_limit(void **state)
{
    struct streampair pair;
    struct outcome part = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_until(pair.stream, "def", 6, outcome_read, &part));
    streampair_put(&pair, "abcde");
    streampair_spin(&pair, 20);
    assert_int_equal(part.calls, 0);
    streampair_put(&pair, "f");
    streampair_run(&pair, &part);
    assert_outcome(part, 0, "abcdef");
    streampair_close(&pair);
}

/* 0 is 64 KiB. */
static void has_a_limit_when_none_is_given(void **state)
{
    for (int over = 0; over < 2; over++) {
        struct streampair pair;
        struct outcome part = { 0 };
        size_t length = 65535 + (size_t)over;
        char *bytes = malloc(length);

        testing_begin_logs();
        memset(bytes, 'a', length);
        streampair_open(&pair, STREAMPAIR_UNIX, NULL);
        accepted(iostream_read_until(pair.stream, "\n", 0, outcome_read, &part));
        streampair_put_bytes(&pair, bytes, length);
        streampair_put(&pair, "\n");
        streampair_run(&pair, &part);
        assert_ended(part, over ? -EMSGSIZE : 0);
        assert_int_equal(part.length, over ? 0 : 65536);
        free(bytes);
        streampair_close(&pair);
    }
}

/* A limit is of its read alone, also when it failed. */
static void forgets_a_limit_with_its_read(void **state)
{
    struct streampair pair;
    struct outcome cancelled = { 0 }, part = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_until(pair.stream, "def", 4, outcome_read, &cancelled));
    iostream_cancel_read(pair.stream);
    streampair_run(&pair, &cancelled);
    accepted(iostream_read_until(pair.stream, "def", 0, outcome_read, &part));
    streampair_put(&pair, "0123456789def");
    streampair_run(&pair, &part);
    assert_outcome(part, 0, "0123456789def");
    streampair_close(&pair);
}

/* The end of the peer. */

/* iostream_test:test_read_until_unsatisfied_after_close, iostream_test:test_future_close_while_reading */
static void ends_without_a_match_when_the_peer_closes(void **state)
{
    for (int bytes = 0; bytes < 2; bytes++) {
        struct streampair pair;
        struct outcome part = { 0 };

        streampair_open(&pair, STREAMPAIR_UNIX, NULL);
        accepted(bytes ? iostream_read_bytes(pair.stream, 10, outcome_read, &part)
                       : iostream_read_until(pair.stream, "\n", 10, outcome_read, &part));
        streampair_put(&pair, "abc");
        streampair_hang_up(&pair);
        streampair_run(&pair, &pair.closed);
        assert_outcome(part, -ESHUTDOWN, "");
        assert_ended(pair.closed, -ESHUTDOWN);
        streampair_close(&pair);
    }
}

/* iostream_test:test_read_until_with_close_after_second_packet */
static void finds_a_match_in_the_last_packet(void **state)
{
    struct streampair pair;
    struct outcome part = { 0 };

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_until(pair.stream, "done", 0, outcome_read, &part));
    for (int i = 0; i < 200; i++)
        streampair_put(&pair, ".");
    streampair_spin(&pair, 300);
    streampair_put(&pair, "done");
    streampair_hang_up(&pair);
    streampair_run(&pair, &pair.closed);
    assert_ended(part, 0);
    assert_int_equal(part.length, 204);
    streampair_close(&pair);
}

/* Expressions. */

static void matches_a_single_byte(void **state)
{
    struct streampair pair;
    struct outcome part = { 0 };
    regex_t regex = compiled("x");

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_until_regex(pair.stream, &regex, 0, outcome_read, &part));
    streampair_put(&pair, "x");
    streampair_run(&pair, &part);
    assert_outcome(part, 0, "x");
    streampair_close(&pair);
    regfree(&regex);
}

static void matches_expressions(void **state)
{
    struct streampair pair;
    struct outcome first = { 0 }, second = { 0 };
    regex_t regex = compiled("\r?\n\r?\n");

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_until_regex(pair.stream, &regex, 0, outcome_read, &first));
    streampair_put(&pair, "a\r\nb\r\n\r\nc\n");
    streampair_run(&pair, &first);
    assert_outcome(first, 0, "a\r\nb\r\n\r\n");
    accepted(iostream_read_until_regex(pair.stream, &regex, 0, outcome_read, &second));
    streampair_spin(&pair, 20);
    assert_int_equal(second.calls, 0);
    streampair_put(&pair, "\nd");
    streampair_run(&pair, &second);
    assert_outcome(second, 0, "c\n\n");
    streampair_close(&pair);
    regfree(&regex);
}

static void matches_expressions_over_nul_bytes(void **state)
{
    struct streampair pair;
    struct outcome part = { 0 };
    regex_t regex = compiled("b+c");

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_until_regex(pair.stream, &regex, 0, outcome_read, &part));
    streampair_put_bytes(&pair, "\0a\0\0bb\0bbcd", 12);
    streampair_run(&pair, &part);
    assert_ended(part, 0);
    assert_int_equal(part.length, 10);
    assert_memory_equal(part.data, "\0a\0\0bb\0bbc", 10);
    streampair_close(&pair);
    regfree(&regex);
}

/* It would be there without a byte, for ever. */
static void does_not_take_nothing_for_a_match(void **state)
{
    struct streampair pair;
    struct outcome part = { 0 };
    regex_t regex = compiled("x*");

    testing_begin_logs();
    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_until_regex(pair.stream, &regex, 3, outcome_read, &part));
    streampair_spin(&pair, 5);
    assert_int_equal(part.calls, 0);
    streampair_put(&pair, "abc");
    streampair_run(&pair, &part);
    assert_outcome(part, -EMSGSIZE, "");
    streampair_close(&pair);
    regfree(&regex);
}

static void refuses_expressions_over_more_than_an_int(void **state)
{
    struct streampair pair;
    struct outcome part = { 0 };
    regex_t regex = compiled("x");

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    for (int i = 0; i < 2; i++) {
        size_t most = i == 0 ? (size_t)INT32_MAX + 1 : SIZE_MAX;
        assert_int_equal(iostream_read_until_regex(pair.stream, &regex, most, outcome_read, &part), -EINVAL);
    }
    streampair_close(&pair);
    regfree(&regex);
}

/* Work. */

static void put_while_reading(struct streampair *pair, char byte, size_t length)
{
    char bytes[65536];

    memset(bytes, byte, sizeof bytes);
    for (size_t sent = 0; sent < length;) {
        size_t size = length - sent < sizeof bytes ? length - sent : sizeof bytes;
        streampair_put_bytes(pair, bytes, size);
        streampair_spin(pair, 1);
        sent += size;
    }
}

/* iostream_test:test_large_read_until */
static void searches_each_byte_about_once(void **state)
{
    struct streampair pair;
    struct outcome part = { 0 };
    size_t length = 4 << 20;

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_until(pair.stream, "\r\n", 2 * length, outcome_read, &part));
    searched = 0;
    long allocations = faults_allocations();
    put_while_reading(&pair, '\r', length);
    streampair_put(&pair, "\n");
    streampair_run(&pair, &part);
    assert_ended(part, 0);
    assert_int_equal(part.length, length + 1);
    assert_in_range(searched, length, length + length / 100);
    assert_in_range(faults_allocations() - allocations, 1, 20); /* it doubles, so each byte is moved about once */
    streampair_close(&pair);
}

/* The same for bytes that come one by one. */
static void searches_single_bytes_about_once(void **state)
{
    struct streampair pair;
    struct outcome part = { 0 };
    size_t length = 40000;

    streampair_open(&pair, STREAMPAIR_UNIX, NULL);
    accepted(iostream_read_until(pair.stream, "\r\n\r\n", 2 * length, outcome_read, &part));
    searched = 0;
    long allocations = faults_allocations();
    for (size_t i = 0; i < length; i++) {
        streampair_put(&pair, ".");
        streampair_spin(&pair, 1);
    }
    streampair_put(&pair, "\r\n\r\n");
    streampair_run(&pair, &part);
    assert_ended(part, 0);
    assert_in_range(searched, length, 5 * length);
    assert_in_range(faults_allocations() - allocations, 1, 12);
    streampair_close(&pair);
}

static const struct CMUnitTest at_all_sizes[] = {
    cmocka_unit_test(reads_line_by_line_from_one_packet),
    cmocka_unit_test(finds_a_delimiter_wherever_it_is_cut),
    cmocka_unit_test(finds_a_delimiter_of_any_bytes),
    cmocka_unit_test(copies_the_delimiter),
    cmocka_unit_test(accepts_a_match_that_ends_at_the_limit),
    cmocka_unit_test(refuses_bytes_that_reach_the_limit_without_a_match),
    cmocka_unit_test(refuses_a_match_that_ends_behind_the_limit),
    cmocka_unit_test(waits_below_the_limit),
    cmocka_unit_test(forgets_a_limit_with_its_read),
    cmocka_unit_test(ends_without_a_match_when_the_peer_closes),
    cmocka_unit_test(finds_a_match_in_the_last_packet),
    cmocka_unit_test(matches_a_single_byte),
    cmocka_unit_test(matches_expressions),
    cmocka_unit_test(matches_expressions_over_nul_bytes),
    cmocka_unit_test(does_not_take_nothing_for_a_match),
};

static const struct CMUnitTest once[] = {
    cmocka_unit_test(refuses_what_was_unread_from_the_loop_only), cmocka_unit_test(has_a_limit_when_none_is_given),
    cmocka_unit_test(refuses_expressions_over_more_than_an_int),  cmocka_unit_test(searches_each_byte_about_once),
    cmocka_unit_test(searches_single_bytes_about_once),
};

STREAMPAIR_MAIN(at_all_sizes, once)
