#include "httpserver/httparguments.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/support/faults.h"
#include "tests/support/guardpage.h"
#include "tests/support/testing.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static int parse(struct httparguments *arguments, const char *text, size_t length, size_t max_count)
{
    return httparguments_parse(arguments, guardpage_text(text, length), length, max_count);
}

static int parse_text(struct httparguments *arguments, const char *text)
{
    return parse(arguments, text, strlen(text), 0);
}

/* Each as [name|value], a NUL as "0"; and that there is a NUL behind each name and value. */
static void describe(const struct httparguments *arguments, char *text, size_t size)
{
    size_t out = 0;

    text[0] = '\0';
    for (size_t i = 0; i < httparguments_count(arguments); i++) {
        const struct httpargument *argument = httparguments_at(arguments, i);
        size_t length = argument->name_length + argument->value_length + 3;

        assert_true(out + length < size);
        assert_int_equal(argument->name[argument->name_length], '\0');
        assert_int_equal(argument->value[argument->value_length], '\0');
        text[out] = '[';
        memcpy(text + out + 1, argument->name, argument->name_length);
        text[out + 1 + argument->name_length] = '|';
        memcpy(text + out + 2 + argument->name_length, argument->value, argument->value_length);
        text[out + length - 1] = ']';
        for (size_t j = out; j < out + length; j++)
            text[j] = text[j] != '\0' ? text[j] : '0';
        out += length;
        text[out] = '\0';
    }
}

static void assert_arguments(const struct httparguments *arguments, const char *wanted)
{
    char text[1024];

    describe(arguments, text, sizeof text);
    assert_string_equal(text, wanted);
}

static void a_query_is_taken_apart(void **state)
{
    static const struct {
        const char *text, *wanted;
    } cases[] = {
        { "", "" },
        { "a=1", "[a|1]" },
        { "a=1&b=2&a=3", "[a|1][b|2][a|3]" },
        { "a", "[a|]" },
        { "a=", "[a|]" },
        { "=", "[|]" },
        { "=b", "[|b]" },
        { "a=&b", "[a|][b|]" },
        { "a=b=c==", "[a|b=c==]" },
        { "a==", "[a|=]" },
        { "a=1&&b=2&", "[a|1][b|2]" },
        { "&", "" },
        { "&&&", "" },
        { "&a", "[a|]" },
        { "a&", "[a|]" },
        { "a;b=c;d", "[a;b|c;d]" },
        { "a=b?c/d#e", "[a|b?c/d#e]" },
        { "a+b=c+d", "[a b|c d]" },
        { "%2B=%20+%2b", "[+|  +]" },
        { "a%26b%3Dc=%26%3d", "[a&b=c|&=]" },
        { "%61=%c3%A9\xff", "[a|\xc3\xa9\xff]" },
        { "a%00b=%00", "[a0b|0]" },
        { "%=%&%4=%4&%zz=%zz&100%=%4z", "[%|%][%4|%4][%zz|%zz][100%|%4z]" },
        { "a%3&d=%2&5", "[a%3|][d|%2][5|]" },
        { "a=%3D%2", "[a|=%2]" },
        { " = ", "[ | ]" },
        { "[a]=b", "[[a]|b]" },
        { "ab=cd&efg", "[ab|cd][efg|]" },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct httparguments arguments = { 0 };
        assert_int_equal(parse_text(&arguments, cases[i].text), 0);
        assert_arguments(&arguments, cases[i].wanted);
        httparguments_free(&arguments);
    }
}

static void bytes_that_are_no_text_are_kept(void **state)
{
    static const char text[] = "a\0b=\0&\x01=\x80";
    struct httparguments arguments = { 0 };

    assert_int_equal(parse(&arguments, text, sizeof text - 1, 0), 0);
    assert_arguments(&arguments, "[a0b|0][\x01|\x80]");
    assert_int_equal(httparguments_parse(&arguments, NULL, 0, 0), 0);
    httparguments_free(&arguments);
}

/* httputil_test:test_parsing */
static void the_last_of_a_name_is_found(void **state)
{
    struct httparguments arguments = { 0 };

    assert_int_equal(parse_text(&arguments, "a=1&b=2&a=3&a%00=4&A=5&ab=6"), 0);
    assert_string_equal(httparguments_last(&arguments, "a")->value, "3");
    assert_string_equal(httparguments_last(&arguments, "b")->value, "2");
    assert_string_equal(httparguments_last(&arguments, "A")->value, "5");
    assert_null(httparguments_last(&arguments, "c"));
    assert_null(httparguments_last(&arguments, ""));
    assert_null(httparguments_last(&arguments, "a4"));
    httparguments_free(&arguments);
    assert_null(httparguments_last(&arguments, "a"));
}

static void those_of_a_name_are_found_in_turn(void **state)
{
    struct httparguments arguments = { 0 };
    const struct httpargument *found;

    assert_null(httparguments_next(&arguments, "a", NULL));
    assert_int_equal(parse_text(&arguments, "a=1&b=2&a=3&ab=4&a=5&b&b=6"), 0);
    found = httparguments_next(&arguments, "a", NULL);
    assert_ptr_equal(found, httparguments_at(&arguments, 0));
    found = httparguments_next(&arguments, "a", found);
    assert_ptr_equal(found, httparguments_at(&arguments, 2));
    assert_ptr_equal(httparguments_next(&arguments, "b", found), httparguments_at(&arguments, 5));
    found = httparguments_next(&arguments, "a", found);
    assert_ptr_equal(found, httparguments_at(&arguments, 4));
    assert_null(httparguments_next(&arguments, "a", found));
    found = httparguments_next(&arguments, "b", httparguments_at(&arguments, 5));
    assert_ptr_equal(found, httparguments_at(&arguments, 6));
    assert_null(httparguments_next(&arguments, "b", found));
    assert_null(httparguments_next(&arguments, "c", NULL));
    httparguments_free(&arguments);
}

static void they_are_numbered_from_0(void **state)
{
    struct httparguments arguments = { 0 };

    assert_null(httparguments_at(&arguments, 0));
    assert_int_equal(parse_text(&arguments, "a&b"), 0);
    assert_int_equal(httparguments_count(&arguments), 2);
    assert_string_equal(httparguments_at(&arguments, 1)->name, "b");
    assert_null(httparguments_at(&arguments, 2));
    assert_null(httparguments_at(&arguments, SIZE_MAX));
    httparguments_free(&arguments);
}

static void more_are_added_to_what_is_there(void **state)
{
    struct httparguments arguments = { 0 };
    char name[] = "n\0m", value[] = "v&=%41+";

    assert_int_equal(parse_text(&arguments, "a=1"), 0);
    assert_int_equal(httparguments_add(&arguments, name, 3, value, 7), 0);
    memset(name, '!', sizeof name);
    memset(value, '!', sizeof value);
    assert_int_equal(httparguments_add(&arguments, NULL, 0, NULL, 0), 0);
    assert_int_equal(parse_text(&arguments, "a=2"), 0);
    assert_arguments(&arguments, "[a|1][n0m|v&=%41+][|][a|2]");
    httparguments_free(&arguments);
}

/* Enough to move the list, and to fill some blocks of text, with names that come from a block. */
static void names_and_values_stay_where_they_are(void **state)
{
    enum { MANY = 1000 };
    struct httparguments arguments = { 0 };
    const char *names[MANY], *values[MANY];
    char name[32];

    assert_int_equal(parse_text(&arguments, "0=0"), 0);
    for (int i = 0; i < MANY; i++) {
        const struct httpargument *last = httparguments_at(&arguments, (size_t)i);
        names[i] = last->name;
        values[i] = last->value;
        if (i % 3 == 0)
            assert_int_equal(parse(&arguments, name, (size_t)sprintf(name, "%d=%d", i + 1, i + 1), MANY + 1), 0);
        else
            assert_int_equal(httparguments_add(&arguments, name, (size_t)sprintf(name, "%d", i + 1), name,
                                               (size_t)sprintf(name, "%d", i + 1)),
                             0);
    }
    for (int i = 0; i < MANY; i++) {
        const struct httpargument *argument = httparguments_at(&arguments, (size_t)i);
        assert_ptr_equal(argument->name, names[i]);
        assert_ptr_equal(argument->value, values[i]);
        sprintf(name, "%d", i);
        assert_string_equal(argument->name, name);
        assert_string_equal(argument->value, name);
    }
    httparguments_free(&arguments);
}

static void a_copy_may_be_made_of_what_is_there(void **state)
{
    struct httparguments arguments = { 0 };

    assert_int_equal(parse_text(&arguments, "name=value"), 0);
    for (int i = 0; i < 300; i++) {
        const struct httpargument *last = httparguments_last(&arguments, "name");
        assert_int_equal(httparguments_add(&arguments, last->name, last->name_length, last->value, last->value_length),
                         0);
    }
    assert_string_equal(httparguments_last(&arguments, "name")->value, "value");
    assert_int_equal(httparguments_count(&arguments), 301);
    httparguments_free(&arguments);
}

/* C12, H30. */
static void no_more_than_the_limit_are_taken(void **state)
{
    static const struct {
        const char *there, *text;
        size_t most;
        int wanted;
    } cases[] = {
        { "", "a&b&c", 3, 0 },
        { "", "a&b&c&", 3, 0 },
        { "", "&&a&&b&&c&&&&", 3, 0 },
        { "", "a&b&c&d", 3, -ENOBUFS },
        { "", "a&b&c&=", 3, -ENOBUFS },
        { "x", "a&b", 3, 0 },
        { "x", "a&b&c", 3, -ENOBUFS },
        { "x&y&z", "", 3, 0 },
        { "x&y&z", "&&", 3, 0 },
        { "x&y&z", "a", 3, -ENOBUFS },
        { "x&y&z", "a", 2, -ENOBUFS },
        { "x&y&z", "", 2, 0 },
        { "", "a", 1, 0 },
        { "", "a&b", 1, -ENOBUFS },
        { "", "a&b", SIZE_MAX, 0 },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct httparguments arguments = { 0 };
        assert_int_equal(parse_text(&arguments, cases[i].there), 0);
        size_t count = httparguments_count(&arguments);
        long allocations = faults_allocations();
        assert_int_equal(parse(&arguments, cases[i].text, strlen(cases[i].text), cases[i].most), cases[i].wanted);
        if (cases[i].wanted < 0) {
            assert_int_equal(httparguments_count(&arguments), count);
            assert_int_equal(faults_allocations(), allocations);
        }
        httparguments_free(&arguments);
    }
    faults_end();
}

static void the_limit_is_256_if_nothing_is_said(void **state)
{
    struct httparguments arguments = { 0 };
    char text[2 * 257];

    for (size_t i = 0; i < sizeof text; i++)
        text[i] = i % 2 == 0 ? 'a' : '&';
    assert_int_equal(parse(&arguments, text, sizeof text, 0), -ENOBUFS);
    assert_int_equal(httparguments_count(&arguments), 0);
    assert_int_equal(parse(&arguments, text, sizeof text - 2, 0), 0);
    assert_int_equal(httparguments_count(&arguments), 256);
    assert_int_equal(parse(&arguments, "b", 1, 0), -ENOBUFS);
    assert_int_equal(parse(&arguments, "b", 1, 257), 0);
    httparguments_free(&arguments);
}

static void one_text_takes_two_allocations(void **state)
{
    struct httparguments arguments = { 0 };
    char text[4 * 256];

    for (size_t i = 0; i < sizeof text; i++)
        text[i] = "a=b&"[i % 4];
    long before = faults_allocations();
    assert_int_equal(parse(&arguments, text, sizeof text, 0), 0);
    assert_int_equal(faults_allocations() - before, 2);
    httparguments_free(&arguments);
    assert_int_equal(faults_allocated(), 0);
    assert_int_equal(parse_text(&arguments, "&&&"), 0);
    assert_int_equal(faults_allocations() - before, 2);
    faults_end();
}

static void one_by_one_they_take_few_allocations(void **state)
{
    struct httparguments arguments = { 0 };
    long before = faults_allocations();

    for (int i = 0; i < 4096; i++)
        assert_int_equal(httparguments_add(&arguments, "", 0, "", 0), 0);
    assert_true(faults_allocations() - before <= 9 + 2 * 4096 / 1024);
    httparguments_free(&arguments);
    faults_end();
}

static void memory_is_kept_for_the_next(void **state)
{
    struct httparguments arguments = { 0 };
    size_t empty = faults_allocated_bytes();

    for (int i = 0; i < 40; i++)
        assert_int_equal(httparguments_add(&arguments, "name", 4, "some value that takes room", 26), 0);
    httparguments_clear(&arguments);
    assert_int_equal(httparguments_count(&arguments), 0);
    assert_null(httparguments_last(&arguments, "name"));
    long before = faults_allocations();
    assert_int_equal(faults_allocated(), 2);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(parse_text(&arguments, "a=1&b=2"), 0);
        assert_arguments(&arguments, "[a|1][b|2]");
        httparguments_clear(&arguments);
    }
    assert_int_equal(faults_allocations(), before);
    httparguments_free(&arguments);
    assert_int_equal(faults_allocated(), 0);
    httparguments_clear(&arguments);
    httparguments_free(&arguments);
    assert_int_equal(faults_allocated_bytes(), empty);
    faults_end();
}

static void no_more_than_8_kib_are_kept(void **state)
{
    static char text[64 * 1024];
    struct httparguments arguments = { 0 };

    memset(text, 'a', sizeof text);
    size_t empty = faults_allocated_bytes();
    for (size_t length = 1; length <= sizeof text; length *= 2) {
        assert_int_equal(parse(&arguments, text, length, 0), 0);
        httparguments_clear(&arguments);
        assert_true(faults_allocated_bytes() - empty <= 8 * 1024 + 32);
        httparguments_free(&arguments);
    }
    for (size_t count = 1; count <= 1024; count *= 2) {
        for (size_t i = 0; i < count; i++)
            assert_int_equal(httparguments_add(&arguments, "", 0, "", 0), 0);
        httparguments_clear(&arguments);
        assert_true(faults_allocated_bytes() - empty <= 8 * 1024 + 32);
        httparguments_free(&arguments);
    }
    faults_end();
}

/* The text is cut off where it ends: a body's last escape has no digits behind it that could be read. */
static void nothing_is_read_behind_the_end(void **state)
{
    static const char text[] = "%41=%42&c%zz=+%&%4=%4";

    for (size_t length = 0; length < sizeof text; length++) {
        struct httparguments arguments = { 0 };
        assert_int_equal(parse(&arguments, text, length, 0), 0);
        httparguments_free(&arguments);
    }
}

/* 1 MiB of what could cost more than its size; each takes milliseconds. */
static void long_texts_take_no_longer(void **state)
{
    static const char *const pieces[] = { "&", "=", "%", "+", "%41", "a=&", "%&", "a", "&&&&&&&&&&&&&&&a" };
    static char text[1024 * 1024];
    clock_t begin = clock();

    for (size_t i = 0; i < COUNT(pieces); i++) {
        size_t length = strlen(pieces[i]);
        for (size_t j = 0; j < sizeof text; j++)
            text[j] = pieces[i][j % length];
        struct httparguments arguments = { 0 };
        int result = httparguments_parse(&arguments, text, sizeof text, 1024 * 1024);
        assert_int_equal(result, 0);
        httparguments_free(&arguments);
        result = httparguments_parse(&arguments, text, sizeof text, 0);
        assert_true(result == 0 || result == -ENOBUFS);
        httparguments_free(&arguments);
    }
    assert_true((double)(clock() - begin) / CLOCKS_PER_SEC < 5.0);
}

static int fill(struct httparguments *arguments)
{
    static char long_value[3000];

    if (parse_text(arguments, "a=1&b=2") < 0)
        return -1;
    if (httparguments_add(arguments, "c", 1, long_value, sizeof long_value) < 0)
        return -2;
    for (int i = 0; i < 20; i++)
        if (httparguments_add(arguments, "d", 1, "4", 1) < 0)
            return -3;
    return parse_text(arguments, "e=5") < 0 ? -4 : 0;
}

/* Whichever allocation fails: what was there stays, nothing is lost, and it can be tried again. */
static void without_memory_nothing_changes(void **state)
{
    int result = -1, nth = 0;

    while (result != 0) {
        struct httparguments arguments = { 0 };
        assert_int_equal(faults_allocated(), 0);
        faults_allocation(++nth, false);
        result = fill(&arguments);
        faults_allocation(0, false);
        size_t count = httparguments_count(&arguments);
        assert_int_equal(count, result == 0 ? 24 : result == -1 ? 0 : result == -2 ? 2 : count);
        assert_int_equal(parse_text(&arguments, "f=6"), 0);
        assert_int_equal(httparguments_add(&arguments, "g", 1, "7", 1), 0);
        assert_int_equal(httparguments_count(&arguments), count + 2);
        assert_string_equal(httparguments_last(&arguments, "f")->value, "6");
        if (count > 0)
            assert_string_equal(httparguments_at(&arguments, 0)->value, "1");
        if (nth % 2 == 0)
            httparguments_clear(&arguments);
        httparguments_free(&arguments);
    }
    assert_true(nth > 4);
    assert_int_equal(faults_allocated(), 0);
    faults_end();
}

static void the_error_is_that_there_is_no_memory(void **state)
{
    struct httparguments arguments = { 0 };

    for (int nth = 1; nth <= 2; nth++) {
        faults_allocation(nth, false);
        assert_int_equal(parse_text(&arguments, "a=1"), -ENOMEM);
        httparguments_clear(&arguments);
        faults_allocation(nth, false);
        assert_int_equal(httparguments_add(&arguments, "a", 1, "1", 1), -ENOMEM);
        httparguments_free(&arguments);
    }
    faults_end();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_query_is_taken_apart),
    cmocka_unit_test(bytes_that_are_no_text_are_kept),
    cmocka_unit_test(the_last_of_a_name_is_found),
    cmocka_unit_test(those_of_a_name_are_found_in_turn),
    cmocka_unit_test(they_are_numbered_from_0),
    cmocka_unit_test(more_are_added_to_what_is_there),
    cmocka_unit_test(names_and_values_stay_where_they_are),
    cmocka_unit_test(a_copy_may_be_made_of_what_is_there),
    cmocka_unit_test(no_more_than_the_limit_are_taken),
    cmocka_unit_test(the_limit_is_256_if_nothing_is_said),
    cmocka_unit_test(one_text_takes_two_allocations),
    cmocka_unit_test(one_by_one_they_take_few_allocations),
    cmocka_unit_test(memory_is_kept_for_the_next),
    cmocka_unit_test(no_more_than_8_kib_are_kept),
    cmocka_unit_test(nothing_is_read_behind_the_end),
    cmocka_unit_test(long_texts_take_no_longer),
    cmocka_unit_test(without_memory_nothing_changes),
    cmocka_unit_test(the_error_is_that_there_is_no_memory),
};

TESTING_MAIN(tests)
