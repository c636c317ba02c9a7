#include "httpserver/httpheaders.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ioloop/ioalloc.h"
#include "tests/support/faults.h"
#include "tests/support/guardpage.h"
#include "tests/support/testing.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { ROOM = 128 * 1024 };

/* A block that ends where nothing can be read or written. */
static char *guarded(size_t length)
{
    static char *end;

    if (end == NULL) {
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        char *memory = mmap(NULL, ROOM + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(memory != MAP_FAILED);
        assert_int_equal(mprotect(memory + ROOM, page, PROT_NONE), 0);
        end = memory + ROOM;
    }
    assert_true(length <= ROOM);
    return end - length;
}

static void assert_text(const struct httpheaders *headers, const char *wanted)
{
    size_t size = httpheaders_size(headers);
    char *place = guarded(size);

    assert_int_equal(size, strlen(wanted));
    assert_int_equal(httpheaders_serialize(headers, place), size);
    if (memcmp(place, wanted, size) != 0)
        fail_msg("%.*s", (int)size, place);
}

static void add(struct httpheaders *headers, const char *name, const char *value)
{
    assert_int_equal(httpheaders_add(headers, name, value), 0);
}

static int parse(struct httpheaders *headers, const char *text)
{
    size_t length = strlen(text);

    return httpheaders_parse(headers, memcpy(guarded(length), text, length), length);
}

/* What they hold. */

static void are_empty_when_zeroed(void **state)
{
    struct httpheaders headers = { 0 }, other = { 0 };
    const char *name = "x", *value = "y";

    assert_text(&headers, "");
    assert_int_equal(httpheaders_count(&headers), 0);
    assert_null(httpheaders_get(&headers, "A"));
    assert_null(httpheaders_get_next(&headers, "A", "b"));
    assert_null(httpheaders_get_next(&headers, "A", NULL));
    assert_false(httpheaders_at(&headers, 0, &name, &value));
    httpheaders_remove(&headers, "A");
    httpheaders_clear(&headers);
    assert_int_equal(httpheaders_copy(&other, &headers), 0);
    assert_int_equal(httpheaders_parse(&headers, NULL, 0), 0);
    httpheaders_free(&headers);
    assert_string_equal(name, "x");
    assert_int_equal(faults_allocations(), 0);
}

/* httputil_test:test_string */
static void are_written_in_order_as_they_were_given(void **state)
{
    struct httpheaders headers = { 0 };

    add(&headers, "Foo", "1");
    add(&headers, "x-lower", "");
    add(&headers, "Foo", "2");
    add(&headers, "UPPER", "a\tb \xc3\xa9");
    assert_text(&headers, "Foo: 1\r\nx-lower: \r\nFoo: 2\r\nUPPER: a\tb \xc3\xa9\r\n");
    assert_int_equal(httpheaders_count(&headers), 4);
    httpheaders_free(&headers);
}

static void are_found_by_name(void **state)
{
    struct httpheaders headers = { 0 };

    add(&headers, "Content-Length", "5");
    add(&headers, "Content_Length", "6"); /* A20 */
    add(&headers, "A", "1");
    add(&headers, "a", "2");
    add(&headers, "~", "3");
    assert_string_equal(httpheaders_get(&headers, "content-LENGTH"), "5");
    assert_string_equal(httpheaders_get(&headers, "Content_length"), "6");
    assert_string_equal(httpheaders_get(&headers, "a"), "1");
    assert_null(httpheaders_get(&headers, "^"));
    assert_null(httpheaders_get(&headers, ""));
    assert_null(httpheaders_get(&headers, "Content-Lengt"));
    assert_null(httpheaders_get(&headers, "Content-Length:"));
    assert_null(httpheaders_get(&headers, "B"));
    httpheaders_free(&headers);
}

static void values_of_one_name_are_got_in_turn(void **state)
{
    struct httpheaders headers = { 0 };

    add(&headers, "A", "1");
    add(&headers, "B", "2");
    add(&headers, "a", "");
    add(&headers, "A", "3");
    const char *value = httpheaders_get(&headers, "A");
    assert_string_equal(value, "1");
    value = httpheaders_get_next(&headers, "A", value);
    assert_string_equal(value, "");
    value = httpheaders_get_next(&headers, "A", value);
    assert_string_equal(value, "3");
    assert_null(httpheaders_get_next(&headers, "A", value));
    assert_null(httpheaders_get_next(&headers, "B", value));
    assert_null(httpheaders_get_next(&headers, "A", "1"));
    assert_null(httpheaders_get_next(&headers, "A", NULL));
    assert_string_equal(httpheaders_get_next(&headers, "B", httpheaders_get(&headers, "A")), "2");
    httpheaders_free(&headers);
}

static void are_listed_by_index(void **state)
{
    struct httpheaders headers = { 0 };
    const char *name, *value;

    add(&headers, "A", "1");
    add(&headers, "b", "2");
    assert_true(httpheaders_at(&headers, 1, &name, &value));
    assert_string_equal(name, "b");
    assert_string_equal(value, "2");
    assert_true(httpheaders_at(&headers, 0, &name, NULL));
    assert_string_equal(name, "A");
    assert_true(httpheaders_at(&headers, 0, NULL, &value));
    assert_string_equal(value, "1");
    assert_false(httpheaders_at(&headers, 2, &name, &value));
    assert_false(httpheaders_at(&headers, SIZE_MAX, &name, &value));
    assert_string_equal(name, "A");
    httpheaders_free(&headers);
}

static void assert_joined(const struct httpheaders *headers, const char *name, const char *wanted)
{
    char *joined = httpheaders_join(headers, name);

    assert_string_equal(joined, wanted);
    ioalloc_free(joined);
}

static void values_are_joined_with_commas(void **state)
{
    struct httpheaders headers = { 0 };

    add(&headers, "A", "1");
    add(&headers, "B", "");
    add(&headers, "C", "");
    add(&headers, "a", "2, 3");
    add(&headers, "C", "");
    assert_joined(&headers, "A", "1,2, 3");
    assert_joined(&headers, "B", "");
    assert_joined(&headers, "C", ",");
    errno = 0;
    assert_null(httpheaders_join(&headers, "D"));
    assert_int_equal(errno, ENOENT);
    httpheaders_free(&headers);
}

static void a_list_is_asked_for_a_token(void **state)
{
    static const struct {
        const char *list, *token;
        bool has;
    } cases[] = {
        { "close", "close", true },
        { "close", "clos", false },
        { "close", "closed", false },
        { "close", "", false },
        { "", "close", false },
        { "", "", false },
        { ",", "", false },
        { " , ", "", false },
        { "Keep-Alive, Upgrade", "upgrade", true },
        { "Keep-Alive, Upgrade", "KEEP-ALIVE", true },
        { "keep_alive", "keep-alive", false },
        { "keep-alive ,\tclose\t ", "close", true },
        { ",, close,,", "close", true },
        { "keep-alive close", "close", false },
        { "keep-alive;close", "close", false },
        { "gzip;q=0", "gzip", false },
        { "xclose, closex, clo se", "close", false },
        { "[\\]", "{|}", false }, /* no letters */
        { "Accept, *", "*", true },
        { "h2c, websocket", "websocket", true },
        { "a,b,c,close", "close", true },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (httpheaders_list_has(guardpage_string(cases[i].list), cases[i].token) != cases[i].has)
            fail_msg("\"%s\", \"%s\"", cases[i].list, cases[i].token);
    }
    assert_false(httpheaders_list_has(NULL, "close"));
    assert_false(httpheaders_list_has(NULL, ""));
}

/* Changing them. */

static void setting_replaces_all_of_that_name(void **state)
{
    struct httpheaders headers = { 0 };

    assert_int_equal(httpheaders_set(&headers, "A", "1"), 0);
    assert_int_equal(httpheaders_set(&headers, "a", "2"), 0);
    assert_text(&headers, "a: 2\r\n");
    add(&headers, "B", "3");
    add(&headers, "A", "4");
    add(&headers, "C", "5");
    assert_int_equal(httpheaders_set(&headers, "A", "longer than before"), 0);
    assert_text(&headers, "B: 3\r\nC: 5\r\nA: longer than before\r\n");
    assert_string_equal(httpheaders_get(&headers, "C"), "5");
    httpheaders_free(&headers);
}

/* httputil_test:test_setdefault */
static void a_default_is_set_only_where_there_is_none(void **state)
{
    struct httpheaders headers = { 0 };

    add(&headers, "foo", "bar");
    assert_int_equal(httpheaders_set_default(&headers, "FOO", "baz"), 0);
    assert_int_equal(httpheaders_set_default(&headers, "Quux", "xyzzy"), 0);
    assert_int_equal(httpheaders_set_default(&headers, "B\n", "x"), -EINVAL);
    assert_text(&headers, "foo: bar\r\nQuux: xyzzy\r\n");
    httpheaders_free(&headers);
}

static void lengths_stand_in_for_terminating_zeros(void **state)
{
    struct httpheaders headers = { 0 };

    assert_int_equal(httpheaders_add_bytes(&headers, "Name", 1, "value", 2), 0);
    assert_int_equal(httpheaders_set_bytes(&headers, "Many", 2, "value", 0), 0);
    assert_int_equal(httpheaders_set_bytes(&headers, "NAME", 1, "VALUE", 3), 0);
    assert_int_equal(httpheaders_add_bytes(&headers, "X", 1, "a\0b", 3), -EINVAL);
    assert_int_equal(httpheaders_set_bytes(&headers, "N\0", 2, "a", 1), -EINVAL);
    assert_int_equal(httpheaders_add_bytes(&headers, NULL, 0, "a", 1), -EINVAL);
    assert_int_equal(httpheaders_add_bytes(&headers, "E", 1, NULL, 0), 0);
    assert_text(&headers, "Ma: \r\nN: VAL\r\nE: \r\n");
    httpheaders_free(&headers);
}

static void removing_closes_the_gaps(void **state)
{
    struct httpheaders headers = { 0 };

    add(&headers, "A", "1");
    add(&headers, "Second", "22");
    add(&headers, "a", "333");
    add(&headers, "Third", "4");
    httpheaders_remove(&headers, "B");
    assert_int_equal(httpheaders_count(&headers), 4);
    httpheaders_remove(&headers, "A");
    assert_text(&headers, "Second: 22\r\nThird: 4\r\n");
    assert_string_equal(httpheaders_get(&headers, "third"), "4");
    add(&headers, "A", "5");
    httpheaders_remove(&headers, "Third");
    assert_text(&headers, "Second: 22\r\nA: 5\r\n");
    httpheaders_remove(&headers, "second");
    httpheaders_remove(&headers, "a");
    assert_text(&headers, "");
    httpheaders_free(&headers);
}

/* httputil_test:test_copy */
static void a_copy_is_independent(void **state)
{
    struct httpheaders headers = { 0 }, copy = { 0 };

    add(&headers, "A", "1");
    add(&headers, "B", "2");
    add(&copy, "Z", "9");
    assert_int_equal(httpheaders_copy(&copy, &headers), 0);
    assert_int_equal(httpheaders_copy(&copy, &copy), 0);
    assert_text(&copy, "A: 1\r\nB: 2\r\n");
    add(&copy, "C", "3");
    httpheaders_remove(&headers, "A");
    assert_text(&copy, "A: 1\r\nB: 2\r\nC: 3\r\n");
    assert_text(&headers, "B: 2\r\n");
    httpheaders_clear(&headers);
    assert_int_equal(httpheaders_copy(&copy, &headers), 0);
    assert_text(&copy, "");
    httpheaders_free(&headers);
    httpheaders_free(&copy);
}

static void a_copy_takes_the_place_of_what_was_there(void **state)
{
    struct httpheaders headers = { 0 }, copy = { 0 };
    long before = faults_allocated();

    add(&copy, "Z", "9");
    for (int i = 0; i < 50; i++)
        add(&headers, "A", "this and that");
    assert_int_equal(httpheaders_copy(&copy, &headers), 0);
    assert_int_equal(httpheaders_count(&copy), 50);
    assert_null(httpheaders_get(&copy, "Z"));
    httpheaders_free(&headers);
    httpheaders_free(&copy);
    assert_int_equal(faults_allocated(), before);
}

static void what_was_got_may_be_given_back(void **state)
{
    struct httpheaders headers = { 0 };
    const char *name;

    add(&headers, "A", "one value");
    add(&headers, "B", "another value");
    for (int i = 0; i < 60; i++) /* the memory is outgrown on the way */
        add(&headers, "Many", httpheaders_get(&headers, "A"));
    assert_int_equal(httpheaders_set(&headers, "A", httpheaders_get(&headers, "B")), 0);
    assert_true(httpheaders_at(&headers, 0, &name, NULL));
    assert_int_equal(httpheaders_set(&headers, name, httpheaders_get(&headers, name) + 1), 0);
    assert_true(httpheaders_at(&headers, 5, &name, NULL));
    assert_string_equal(name, "Many");
    httpheaders_remove(&headers, name);
    assert_text(&headers, "A: another value\r\nB: nother value\r\n");
    httpheaders_free(&headers);
}

static void clearing_keeps_the_memory(void **state)
{
    struct httpheaders headers = { 0 };

    assert_int_equal(httpheaders_set(&headers, "Content-Type", "text/html; charset=UTF-8"), 0);
    long allocations = faults_allocations();
    for (int i = 0; i < 1000; i++) {
        httpheaders_clear(&headers);
        assert_int_equal(httpheaders_set(&headers, "Content-Type", "text/html; charset=UTF-8"), 0);
        assert_int_equal(httpheaders_set(&headers, "Content-Length", "12"), 0);
    }
    assert_text(&headers, "Content-Type: text/html; charset=UTF-8\r\nContent-Length: 12\r\n");
    assert_int_equal(faults_allocations(), allocations);
    httpheaders_free(&headers);
    assert_int_equal(httpheaders_count(&headers), 0);
    assert_text(&headers, "");
}

/* What is refused. */

/* B1. httputil_test:test_invalid_header_names, httputil_test:test_forbidden_ascii_characters */
static void what_could_end_a_line_is_refused(void **state)
{
    static const char *const names[] = {
        "",    "A:",          "A B",   " A",  "A ",         "A\r\nB", "A\tB", "A\n",
        "(A)", "Caf\xc3\xa9", "A\x7f", "A/B", "Set@Cookie", "\r",     "A,B",  "\"A\""
    };
    static const char *const values[] = {
        "a\r\nSet-Cookie: x=1", "a\nb", "a\013b", "a\rb", "a\x7f", "\x01", "a\x1f", "a\r\n", "\r\n b", "\n"
    };
    struct httpheaders headers = { 0 };

    add(&headers, "A", "kept");
    for (size_t i = 0; i < COUNT(names); i++) {
        assert_int_equal(httpheaders_add(&headers, names[i], "x"), -EINVAL);
        assert_int_equal(httpheaders_set(&headers, names[i], "x"), -EINVAL);
    }
    for (size_t i = 0; i < COUNT(values); i++) {
        assert_int_equal(httpheaders_add(&headers, "A", values[i]), -EINVAL);
        assert_int_equal(httpheaders_set(&headers, "A", values[i]), -EINVAL);
    }
    assert_text(&headers, "A: kept\r\n");
    httpheaders_free(&headers);
}

/* The place of the new one holds what has been there before. */
static void a_refused_value_leaves_the_old_one(void **state)
{
    struct httpheaders headers = { 0 };

    add(&headers, "X", "1");
    add(&headers, "A", "1");
    httpheaders_clear(&headers);
    add(&headers, "A", "2");
    assert_int_equal(httpheaders_set(&headers, "A", "b\nc"), -EINVAL);
    assert_text(&headers, "A: 2\r\n");
    httpheaders_free(&headers);
}

/* httputil_test:test_unicode_whitespace */
static void only_spaces_and_tabs_around_a_value_go(void **state)
{
    struct httpheaders headers = { 0 };

    add(&headers, "A", " \t x \t y\t ");
    add(&headers, "B", " \t ");
    add(&headers, "C", "\xc2\xa0x\xc2\x85");
    add(&headers, "D", "\xe2\x80\xa8");
    assert_text(&headers, "A: x \t y\r\nB: \r\nC: \xc2\xa0x\xc2\x85\r\nD: \xe2\x80\xa8\r\n");
    httpheaders_free(&headers);
}

/* Adding n of one name is linear, as nothing is joined until it is asked for. httputil_test:test_linear_performance */
static void there_may_be_a_hundred(void **state)
{
    struct httpheaders headers = { 0 };
    char *joined;

    for (int i = 0; i < HTTPHEADERS_MAX_COUNT; i++)
        add(&headers, i % 2 == 0 ? "A" : "a", "b");
    assert_int_equal(httpheaders_add(&headers, "A", "b"), -ENOBUFS);
    assert_int_equal(httpheaders_set(&headers, "B", "b"), -ENOBUFS);
    assert_int_equal(httpheaders_set_default(&headers, "B", "b"), -ENOBUFS);
    assert_int_equal(parse(&headers, "B: b\r\n"), -ENOBUFS);
    assert_int_equal(httpheaders_count(&headers), HTTPHEADERS_MAX_COUNT);
    joined = httpheaders_join(&headers, "A");
    assert_int_equal(strlen(joined), 2 * HTTPHEADERS_MAX_COUNT - 1);
    ioalloc_free(joined);
    assert_int_equal(httpheaders_set(&headers, "A", "c"), 0); /* instead of all those */
    assert_text(&headers, "A: c\r\n");
    httpheaders_free(&headers);
}

static void a_hundred_different_ones_can_each_be_set_again(void **state)
{
    struct httpheaders headers = { 0 };
    char name[16];

    for (int i = 0; i < HTTPHEADERS_MAX_COUNT; i++) {
        snprintf(name, sizeof name, "N%d", i);
        add(&headers, name, "1");
    }
    for (int i = 0; i < HTTPHEADERS_MAX_COUNT; i++) {
        snprintf(name, sizeof name, "n%d", i);
        assert_int_equal(httpheaders_set(&headers, name, "22"), 0);
        assert_string_equal(httpheaders_get(&headers, name), "22");
    }
    assert_int_equal(httpheaders_count(&headers), HTTPHEADERS_MAX_COUNT);
    httpheaders_free(&headers);
}

static void there_may_be_64_kibibytes(void **state)
{
    static char big[HTTPHEADERS_MAX_SIZE + 1];
    struct httpheaders headers = { 0 };
    size_t most = HTTPHEADERS_MAX_SIZE - sizeof "A: \r\n" + 1;

    memset(big, 'x', sizeof big);
    assert_int_equal(httpheaders_add_bytes(&headers, "A", 1, big, sizeof big), -ENOBUFS);
    assert_int_equal(httpheaders_add_bytes(&headers, big, sizeof big, "x", 1), -ENOBUFS);
    assert_int_equal(httpheaders_add_bytes(&headers, "A", 1, big, most + 1), -ENOBUFS);
    assert_int_equal(httpheaders_add_bytes(&headers, "A", 1, big, most), 0);
    assert_int_equal(httpheaders_size(&headers), HTTPHEADERS_MAX_SIZE);
    assert_int_equal(strlen(httpheaders_get(&headers, "A")), most);
    assert_int_equal(httpheaders_add(&headers, "B", ""), -ENOBUFS);
    assert_int_equal(httpheaders_set(&headers, "B", ""), -ENOBUFS);
    assert_int_equal(httpheaders_set_bytes(&headers, "a", 1, big, most + 1), -ENOBUFS);
    assert_int_equal(httpheaders_set_bytes(&headers, "a", 1, big, most), 0);
    assert_int_equal(httpheaders_size(&headers), HTTPHEADERS_MAX_SIZE);
    assert_int_equal(httpheaders_set_bytes(&headers, big, most + 1, "", 0), -ENOBUFS);
    httpheaders_clear(&headers);
    assert_int_equal(httpheaders_add_bytes(&headers, big, most + 1, "", 0), 0);
    assert_int_equal(httpheaders_size(&headers), HTTPHEADERS_MAX_SIZE);
    httpheaders_free(&headers);
}

/* From text. */

/* httputil_test:test_multi_line has the repeated names; the folded lines are refused below. */
static void text_is_read_and_written_again(void **state)
{
    struct httpheaders headers = { 0 };

    assert_int_equal(parse(&headers, "Foo: bar\r\nAsdf:qwer \t zxcv\r\nfoo: even more\t\r\nEmpty:\r\n"), 0);
    assert_text(&headers, "Foo: bar\r\nAsdf: qwer \t zxcv\r\nfoo: even more\r\nEmpty: \r\n");
    assert_joined(&headers, "Foo", "bar,even more");
    assert_string_equal(httpheaders_get(&headers, "asdf"), "qwer \t zxcv");
    assert_string_equal(httpheaders_get(&headers, "empty"), "");
    assert_int_equal(parse(&headers, "Foo: last\r\n"), 0);
    assert_joined(&headers, "Foo", "bar,even more,last");
    httpheaders_free(&headers);
}

/* httputil_test:test_unicode_newlines */
static void only_crlf_ends_a_line(void **state)
{
    static const char *const newlines[] = { "\xe2\x80\xa8", "\xe2\x80\xa9", "\xc2\x85" };
    struct httpheaders headers = { 0 };
    char text[64], value[32];

    for (size_t i = 0; i < COUNT(newlines); i++) {
        httpheaders_clear(&headers);
        snprintf(value, sizeof value, "foo%sbar", newlines[i]);
        snprintf(text, sizeof text, "Cookie: %s\r\nB: c\r\n", value);
        assert_int_equal(parse(&headers, text), 0);
        assert_string_equal(httpheaders_get(&headers, "Cookie"), value);
        assert_int_equal(httpheaders_count(&headers), 2);
    }
    httpheaders_free(&headers);
}

/* httputil_test:test_continuation; httputil_test:test_optional_cr, but that here the CR is not optional */
static void malformed_text_is_refused(void **state)
{
    static const char *const texts[] = {
        "\r\n",
        "A: b",
        "A: b\r",
        "A: b\n",
        "A: b\nC: d\r\n",
        "A: b\r\n\r\n",
        "A\r\n",
        "A : b\r\n",
        ": b\r\n",
        " A: b\r\n",
        "\tA: b\r\n",
        "A: b\r\n c\r\n",
        "A: b\r\r\n",
        "A: b\rc: d\r\n",
        "A: b\r\n\tc: d\r\n",
        "A: b\r\nA\r\n",
        "A: b\x0b\r\n",
        "A: b\r\n\014c: d\r\n",
        "A: b\x7f\r\n",
        "A B: c\r\n",
        "A: b\n\r\n",
        "\n",
        "\xc3\xa9: b\r\n",
        "A: b\r\n: c\r\n",
    };
    struct httpheaders headers = { 0 };

    add(&headers, "X", "kept");
    for (size_t i = 0; i < COUNT(texts); i++) {
        if (parse(&headers, texts[i]) != -EINVAL)
            fail_msg("%s", texts[i]);
        assert_text(&headers, "X: kept\r\n");
    }
    httpheaders_free(&headers);
    assert_int_equal(httpheaders_parse(&headers, "A: b\0c\r\n", 8), -EINVAL);
    assert_int_equal(httpheaders_parse(&headers, "A\0: b\r\n", 7), -EINVAL);
    httpheaders_free(&headers);
}

/* Memory. */

static void use_memory(void)
{
    struct httpheaders headers = { 0 }, copy = { 0 };
    char name[8], *joined;
    int error = 0;

    for (int i = 0; error == 0 && i < 40; i++) {
        snprintf(name, sizeof name, "N%d", i % 40);
        size_t before = httpheaders_size(&headers);
        error = i % 2 == 0 ? httpheaders_add(&headers, name, "a value that is not too short")
                           : httpheaders_set(&headers, name, "one of the others, longer by some bytes");
        assert_true(error == 0 || (error == -ENOMEM && httpheaders_size(&headers) == before));
    }
    size_t before = httpheaders_size(&headers);
    error = parse(&headers, "A: b\r\nC: d\r\nE: f\r\nG: h\r\nI: j\r\nK: l\r\nM: n\r\nO: p\r\nQ: r\r\n");
    assert_true(error == 0 || (error == -ENOMEM && httpheaders_size(&headers) == before));
    error = httpheaders_copy(&copy, &headers);
    assert_int_equal(httpheaders_count(&copy), error == 0 ? httpheaders_count(&headers) : 0);
    errno = 0;
    joined = httpheaders_join(&headers, "N0");
    assert_true(joined != NULL || errno == ENOMEM || errno == ENOENT);
    ioalloc_free(joined);
    httpheaders_free(&headers);
    httpheaders_free(&copy);
}

static void nothing_is_lost_when_memory_is_short(void **state)
{
    long before = faults_allocated();

    for (int sticky = 0; sticky < 2; sticky++)
        for (int nth = 1; nth < 20; nth++) {
            faults_allocation(nth, sticky);
            use_memory();
            faults_end();
            assert_int_equal(faults_allocated(), before);
        }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(are_empty_when_zeroed),
    cmocka_unit_test(are_written_in_order_as_they_were_given),
    cmocka_unit_test(are_found_by_name),
    cmocka_unit_test(values_of_one_name_are_got_in_turn),
    cmocka_unit_test(are_listed_by_index),
    cmocka_unit_test(values_are_joined_with_commas),
    cmocka_unit_test(a_list_is_asked_for_a_token),
    cmocka_unit_test(setting_replaces_all_of_that_name),
    cmocka_unit_test(a_default_is_set_only_where_there_is_none),
    cmocka_unit_test(lengths_stand_in_for_terminating_zeros),
    cmocka_unit_test(removing_closes_the_gaps),
    cmocka_unit_test(a_copy_is_independent),
    cmocka_unit_test(a_copy_takes_the_place_of_what_was_there),
    cmocka_unit_test(what_was_got_may_be_given_back),
    cmocka_unit_test(clearing_keeps_the_memory),
    cmocka_unit_test(what_could_end_a_line_is_refused),
    cmocka_unit_test(a_refused_value_leaves_the_old_one),
    cmocka_unit_test(only_spaces_and_tabs_around_a_value_go),
    cmocka_unit_test(there_may_be_a_hundred),
    cmocka_unit_test(a_hundred_different_ones_can_each_be_set_again),
    cmocka_unit_test(there_may_be_64_kibibytes),
    cmocka_unit_test(text_is_read_and_written_again),
    cmocka_unit_test(only_crlf_ends_a_line),
    cmocka_unit_test(malformed_text_is_refused),
    cmocka_unit_test(nothing_is_lost_when_memory_is_short),
};

TESTING_MAIN(tests)
