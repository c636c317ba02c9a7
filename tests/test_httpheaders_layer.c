/* The shorter ways to headers of answers: what they make is what the longer ways make. */
#include "httpserver/httpheaderslayer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "httpserver/http1response.h"
#include "httpserver/httpetag.h"
#include "tests/support/faults.h"
#include "tests/support/testing.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct httpheaders make(const char *text)
{
    struct httpheaders headers = { 0 };

    assert_int_equal(httpheaders_parse(&headers, text, strlen(text)), 0);
    return headers;
}

static void assert_same_headers(const struct httpheaders *ours, const struct httpheaders *theirs)
{
    const char *name, *value, *wanted_name, *wanted_value;

    assert_int_equal(httpheaders_count(ours), httpheaders_count(theirs));
    assert_int_equal(httpheaders_size(ours), httpheaders_size(theirs));
    for (size_t i = 0; httpheaders_at(theirs, i, &wanted_name, &wanted_value); i++) {
        assert_true(httpheaders_at(ours, i, &name, &value));
        assert_string_equal(name, wanted_name);
        assert_string_equal(value, wanted_value);
        assert_non_null(httpheaders_get(ours, wanted_name));
    }
}

static void a_copy_with_a_header_is_a_copy_in_which_it_was_set(void **state)
{
    static const char *const lists[] = {
        "",
        "Content-Type: text/html; charset=UTF-8\r\n",
        "Content-Type: text/html; charset=UTF-8\r\nVary: Accept-Encoding\r\n",
        "A: 1\r\nB: 2\r\na: 3\r\nContent-type: x\r\nC: 4\r\n",
        "A: 1\r\nA: 2\r\nA: 3\r\nA: 4\r\nA: 5\r\nA: 6\r\nA: 7\r\nA: 8\r\n",
    };
    static const struct {
        const char *name, *value;
        int error;
    } fields[] = {
        { "Content-Type", "text/plain", 0 },
        { "content-TYPE", " \ttext/plain\t ", 0 },
        { "Content-Typo", "", 0 },
        { "A", "5", 0 },
        { "B", "  ", 0 },
        { "X-Something-That-Is-Rather-Long", "and has a value that is even longer than that", 0 },
        { "", "x", -EINVAL },
        { "A ", "x", -EINVAL },
        { "A", "x\r\ny", -EINVAL },
        { "Content-Type", "text/plain\n", -EINVAL },
    };

    for (size_t i = 0; i < COUNT(lists); i++) {
        for (size_t j = 0; j < COUNT(fields); j++) {
            struct httpheaders from = make(lists[i]), before = make(lists[i]), wanted = make(lists[i]), to = { 0 };
            for (int again = 0; again < 2; again++) { /* with memory of its own the second time */
                int error = httpheaderslayer_copy_with(&to, &from, fields[j].name, fields[j].value);
                assert_int_equal(error, fields[j].error);
                assert_same_headers(&from, &before);
                if (error == 0 && httpheaders_set(&wanted, fields[j].name, fields[j].value) == 0)
                    assert_same_headers(&to, &wanted);
                else
                    assert_int_equal(httpheaders_count(&to) + httpheaders_size(&to), 0);
                httpheaders_clear(&to);
            }
            httpheaders_free(&from);
            httpheaders_free(&before);
            httpheaders_free(&wanted);
            httpheaders_free(&to);
        }
    }
}

/* The value may be one of the list that is copied. */
static void a_value_of_the_copied_list_may_be_given(void **state)
{
    struct httpheaders from = make("A: 1\r\nB: two\r\n"), to = { 0 };

    assert_int_equal(httpheaderslayer_copy_with(&to, &from, "A", httpheaders_get(&from, "B")), 0);
    assert_string_equal(httpheaders_get(&to, "A"), "two");
    httpheaders_clear(&to);
    assert_int_equal(httpheaderslayer_copy_with(&to, &from, "B", httpheaders_get(&from, "B")), 0);
    assert_string_equal(httpheaders_get(&to, "B"), "two");
    httpheaders_free(&from);
    httpheaders_free(&to);
}

static void the_limits_hold_in_a_copy_too(void **state)
{
    static char big[HTTPHEADERS_MAX_SIZE];
    struct httpheaders from = { 0 }, to = { 0 };

    for (int i = 0; i < HTTPHEADERS_MAX_COUNT; i++)
        assert_int_equal(httpheaders_add(&from, "A", "b"), 0);
    assert_int_equal(httpheaderslayer_copy_with(&to, &from, "B", "b"), -ENOBUFS);
    assert_int_equal(httpheaders_count(&to), 0);
    assert_int_equal(httpheaderslayer_copy_with(&to, &from, "a", "b"), 0);
    assert_int_equal(httpheaders_count(&to), 1);
    httpheaders_clear(&from);
    httpheaders_clear(&to);
    memset(big, 'x', sizeof big - sizeof "A: \r\n");
    assert_int_equal(httpheaders_add(&from, "A", big), 0);
    assert_int_equal(httpheaderslayer_copy_with(&to, &from, "B", ""), -ENOBUFS);
    assert_int_equal(httpheaderslayer_copy_with(&to, &from, "A", "b"), 0);
    assert_string_equal(httpheaders_get(&to, "A"), "b");
    httpheaders_free(&from);
    httpheaders_free(&to);
}

static void a_tag_is_added_where_it_is_written(void **state)
{
    static const char tag[] = "\"0123456789abcdef\"";
    struct httpheaders ours = { 0 }, wanted = { 0 };
    char name[16];

    for (int i = 0; i < HTTPHEADERS_MAX_COUNT - 1; i++) {
        char *place = httpheaderslayer_add_etag(&ours);
        assert_non_null(place);
        assert_int_equal(httpheaders_add(&wanted, "Etag", tag), 0);
        memcpy(place, tag, HTTPETAG_SIZE);
        assert_same_headers(&ours, &wanted);
        httpheaders_remove(&ours, "Etag");
        httpheaders_remove(&wanted, "Etag");
        snprintf(name, sizeof name, "N%d", i);
        assert_int_equal(httpheaders_add(&ours, name, "value"), 0);
        assert_int_equal(httpheaders_add(&wanted, name, "value"), 0);
    }
    assert_non_null(httpheaderslayer_add_etag(&ours));
    assert_null(httpheaderslayer_add_etag(&ours));
    assert_int_equal(httpheaders_count(&ours), HTTPHEADERS_MAX_COUNT);
    httpheaders_free(&ours);
    httpheaders_free(&wanted);
}

static void a_tag_that_would_be_too_much_is_not_added(void **state)
{
    static char big[HTTPHEADERS_MAX_SIZE];
    struct httpheaders headers = { 0 };
    size_t tag_size = sizeof "Etag: \"0123456789abcdef\"\r\n" - 1;

    memset(big, 'x', sizeof big - tag_size - (sizeof "A: \r\n" - 1));
    assert_int_equal(httpheaders_add(&headers, "A", big), 0);
    assert_non_null(httpheaderslayer_add_etag(&headers));
    assert_int_equal(httpheaders_size(&headers), HTTPHEADERS_MAX_SIZE);
    assert_null(httpheaderslayer_add_etag(&headers));
    httpheaders_free(&headers);
}

static void without_memory_there_is_neither_copy_nor_tag(void **state)
{
    struct httpheaders from = make("A: 1\r\n"), to = { 0 };

    faults_allocation(1, false);
    assert_int_equal(httpheaderslayer_copy_with(&to, &from, "B", "2"), -ENOMEM);
    faults_end();
    assert_int_equal(httpheaders_count(&to), 0);
    faults_allocation(1, false);
    assert_null(httpheaderslayer_add_etag(&to));
    faults_end();
    assert_int_equal(httpheaders_count(&to), 0);
    httpheaders_free(&from);
    httpheaders_free(&to);
}

/* Parsed heads. */

static uint32_t parse_head(const char *text, size_t length, struct http1parser_header *fields)
{
    struct http1parser_limits limits = { .head = 1u << 20, .line = 1u << 19 };
    struct http1response response = { .headers = fields, .header_capacity = HTTP1PARSER_MAX_HEADERS };
    struct http1parser_scan scan = { 0 };
    int size = http1response_parse(text, length, &limits, &scan, HTTP1RESPONSE_TO_OTHER, &response);

    assert_int_equal(size, length);
    return response.header_count;
}

/* Takes it, and compares with what is added one by one. */
static void assert_taken(struct httpheaders *headers, const char *lines)
{
    static char text[200000];
    struct http1parser_header fields[HTTP1PARSER_MAX_HEADERS];
    struct httpheaders wanted = { 0 };
    int length = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\n%s\r\n", lines), error = 0;
    uint32_t count = parse_head(text, (size_t)length, fields);

    for (uint32_t i = 0; i < count && error == 0; i++)
        error = httpheaders_add_bytes(&wanted, text + fields[i].name.offset, fields[i].name.length,
                                      text + fields[i].value.offset, fields[i].value.length);
    if (error < 0)
        httpheaders_clear(&wanted);
    httpheaders_clear(headers);
    assert_int_equal(httpheaderslayer_take_parsed(headers, text, fields, count), error);
    assert_same_headers(headers, &wanted);
    char *ours = malloc(httpheaders_size(headers) + 1), *theirs = malloc(httpheaders_size(&wanted) + 1);
    assert_int_equal(httpheaders_serialize(headers, ours), httpheaders_serialize(&wanted, theirs));
    assert_memory_equal(ours, theirs, httpheaders_size(&wanted));
    assert_true(headers->kinds == wanted.kinds);
    free(ours);
    free(theirs);
    httpheaders_free(&wanted);
}

static void what_was_parsed_is_as_if_it_was_added(void **state)
{
    static const char *const lists[] = {
        "",
        "A: b\r\n",
        "Server: x\r\nContent-Type: text/plain; charset=UTF-8\r\nX-Y: z\r\na: 1\r\nA: 2\r\n",
        "A:b\r\nC: d\r\n",
        "A: b\r\nC:d\r\n",
        "A:\tb\r\nC: d\r\n",
        "A:  b\r\n",
        "A: b\r\nC: d \r\n",
        "A: b\t\r\nC: d\r\n",
        "A:\r\nC: \r\nD: e\r\n",
        "A: \r\n",
        "A:\r\n",
        "A: b\tc  d\r\nE: \xff\x80: ,\r\n",
        "1: 2\r\n3: 4\r\n5: 6\r\n7: 8\r\n9: 0\r\na: b\r\nc: d\r\ne: f\r\ng: h\r\ni: j\r\n",
    };
    struct httpheaders headers = { 0 };

    for (size_t i = 0; i < COUNT(lists) * COUNT(lists); i++) {
        assert_taken(&headers, lists[i / COUNT(lists)]);
        assert_taken(&headers, lists[i % COUNT(lists)]); /* into memory that is there */
    }
    for (size_t i = 0; i < COUNT(lists); i++) {
        httpheaders_free(&headers);
        assert_taken(&headers, lists[i]);
        assert_int_equal(httpheaders_add(&headers, "New", "one"), 0);
        assert_string_equal(httpheaders_get(&headers, "New"), "one");
    }
    httpheaders_free(&headers);
}

/* Without the blanks, of which there may be more. */
static void what_was_parsed_has_the_same_limits(void **state)
{
    static char lines[150000];
    struct httpheaders headers = { 0 };

    for (int too_much = -1; too_much <= 1; too_much++) {
        for (size_t blanks = 0; blanks < 70000; blanks += 69999) {
            size_t length = HTTPHEADERS_MAX_SIZE - sizeof "First: 1\r\nA: \r\n" + 1;
            memset(lines, ' ', sizeof lines);
            size_t at = (size_t)sprintf(lines, "First: 1\r\nA:");
            lines[at] = ' ';
            at += 1 + blanks;
            memset(lines + at, 'x', length + (size_t)(too_much + 1));
            strcpy(lines + at + length + (size_t)(too_much + 1) - 1, "\r\n");
            assert_taken(&headers, lines);
            assert_int_equal(httpheaders_count(&headers), too_much == 1 ? 0 : 2);
        }
    }
    httpheaders_free(&headers);
}

static void what_was_parsed_may_find_no_memory(void **state)
{
    static const char *const texts[] = { "HTTP/1.1 200 OK\r\nA: b\r\n\r\n", "HTTP/1.1 200 OK\r\nA:b\r\n\r\n" };
    struct http1parser_header fields[HTTP1PARSER_MAX_HEADERS];

    for (size_t i = 0; i < COUNT(texts); i++) {
        struct httpheaders headers = { 0 };
        uint32_t count = parse_head(texts[i], strlen(texts[i]), fields);
        faults_allocation(1, true);
        assert_int_equal(httpheaderslayer_take_parsed(&headers, texts[i], fields, count), -ENOMEM);
        faults_end();
        assert_int_equal(httpheaders_count(&headers), 0);
        assert_int_equal(httpheaderslayer_take_parsed(&headers, texts[i], fields, count), 0);
        assert_string_equal(httpheaders_get(&headers, "a"), "b");
        httpheaders_free(&headers);
    }
}

static void kinds_tell_of_names_that_are_not_there(void **state)
{
    struct httpheaders headers = make("Content-Type: a\r\nEtag: b\r\n");

    assert_true(httpheaderslayer_may_have(&headers, 4, 'e'));
    assert_true(httpheaderslayer_may_have(&headers, 12, 'c'));
    assert_false(httpheaderslayer_may_have(&headers, 14, 'c'));
    httpheaders_free(&headers);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_copy_with_a_header_is_a_copy_in_which_it_was_set),
    cmocka_unit_test(a_value_of_the_copied_list_may_be_given),
    cmocka_unit_test(the_limits_hold_in_a_copy_too),
    cmocka_unit_test(a_tag_is_added_where_it_is_written),
    cmocka_unit_test(a_tag_that_would_be_too_much_is_not_added),
    cmocka_unit_test(without_memory_there_is_neither_copy_nor_tag),
    cmocka_unit_test(what_was_parsed_is_as_if_it_was_added),
    cmocka_unit_test(what_was_parsed_has_the_same_limits),
    cmocka_unit_test(what_was_parsed_may_find_no_memory),
    cmocka_unit_test(kinds_tell_of_names_that_are_not_there),
};

TESTING_MAIN(tests)
