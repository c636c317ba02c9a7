#include "httpserver/httpescape.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/guardpage.h"
#include "tests/support/testing.h"
#include "tests/support/text.h"

typedef size_t escape_fn(const char *text, size_t length, char *place);

/* From memory that ends there, into no more than is promised to be enough. */
static void assert_escaped(escape_fn *escape, struct text text, const char *wanted, size_t wanted_length)
{
    char *place = guardpage_place(6 * text.length);
    size_t length = escape(guardpage_text(text.bytes, text.length), text.length, place);

    assert_int_equal(length, wanted_length);
    assert_memory_equal(place, wanted, length);
}

/* escape_test:test_xhtml_escape */
static void html_has_no_markup_left(void **state)
{
    static const struct {
        struct text text, wanted;
    } cases[] = {
        { TEXT(""), TEXT("") },
        { TEXT("abc"), TEXT("abc") },
        { TEXT("<foo>"), TEXT("&lt;foo&gt;") },
        { TEXT("<>&\"'"), TEXT("&lt;&gt;&amp;&quot;&#x27;") },
        { TEXT("&amp;"), TEXT("&amp;amp;") },
        { TEXT("\""), TEXT("&quot;") },
        { TEXT("'"), TEXT("&#x27;") },
        { TEXT("a\0<\xff"), TEXT("a\0&lt;\xff") },
        { TEXT("<\xc3\xa9>"), TEXT("&lt;\xc3\xa9&gt;") },
        { TEXT("`/=;#"), TEXT("`/=;#") },
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        assert_escaped(httpescape_html, cases[i].text, cases[i].wanted.bytes, cases[i].wanted.length);
}

/* escape_test:test_json_encode, what is in its strings */
static void json_is_escaped(void **state)
{
    static const struct {
        struct text text;
        const char *wanted;
    } cases[] = {
        { TEXT(""), "" },
        { TEXT("abc 123 ~\x7f"), "abc 123 ~\x7f" },
        { TEXT("\"\\"), "\\\"\\\\" },
        { TEXT("\b\f\n\r\t"), "\\b\\f\\n\\r\\t" },
        { TEXT("\0\x01\x0b\x0e\x1f"), "\\u0000\\u0001\\u000b\\u000e\\u001f" },
        { TEXT("</script>"), "<\\/script>" },
        { TEXT("/<//< /"), "/<\\//< /" },
        { TEXT("<!--<script>!"), "<\\u0021--<script>!" },
        { TEXT("<\\/"), "<\\\\/" },
        { TEXT("<!--&'"), "<\\u0021--&'" },
        { TEXT("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80" },
        { TEXT("\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa"), "\xe2\x80\xa7\\u2028\\u2029\xe2\x80\xaa" },
        { TEXT("\xe2\x81\xa8\xe3\x80\xa8"), "\xe2\x81\xa8\xe3\x80\xa8" },
        { TEXT("a\xff"
               "b"),
          "a\\ufffdb" },
        { TEXT("\xe2\x82"), "\\ufffd\\ufffd" },
        { TEXT("\xc3\""), "\\ufffd\\\"" },
        { TEXT("\xe2\x82\""), "\\ufffd\\ufffd\\\"" },
        { TEXT("\xf0\x9f\x98"), "\\ufffd\\ufffd\\ufffd" },
        { TEXT("\xed\xa0\x80"), "\\ufffd\\ufffd\\ufffd" },
        { TEXT("<\xff/"), "<\\ufffd/" },
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        assert_escaped(httpescape_json, cases[i].text, cases[i].wanted, strlen(cases[i].wanted));
    const char *place = strcpy(guardpage_place(3), "</");
    char escaped[12];
    assert_int_equal(httpescape_json(place + 1, 1, escaped), 1); /* what stands before the text does not count */
}

static bool is_utf8(const char *bytes, size_t length)
{
    return httpescape_is_utf8(guardpage_text(bytes, length), length);
}

/* Alone, and at each place of text that is looked at eight bytes at a time. */
static void assert_utf8(struct text text, bool wanted)
{
    char around[40];

    if (is_utf8(text.bytes, text.length) != wanted)
        fail_msg("%02x %02x ...", (uint8_t)text.bytes[0], (uint8_t)text.bytes[1]);
    for (size_t before = 0; before < 20; before++) {
        memset(around, 'a', sizeof around);
        memcpy(around + before, text.bytes, text.length);
        assert_int_equal(is_utf8(around, before + text.length), wanted);
        assert_int_equal(is_utf8(around, before + text.length + 1), wanted);
        assert_int_equal(is_utf8(around, before + text.length + 9), wanted);
    }
}

static void utf8_is_told_from_what_is_not(void **state)
{
    static const struct {
        struct text text;
        bool wanted;
    } cases[] = {
        { TEXT("\0"), true },
        { TEXT("\x7f"), true },
        { TEXT("\xc2\x80"), true },
        { TEXT("\xdf\xbf"), true },
        { TEXT("\xe0\xa0\x80"), true },
        { TEXT("\xec\xbf\xbf"), true },
        { TEXT("\xed\x80\x80"), true },
        { TEXT("\xed\x9f\xbf"), true },
        { TEXT("\xee\x80\x80"), true },
        { TEXT("\xef\xbf\xbf"), true },
        { TEXT("\xf0\x90\x80\x80"), true },
        { TEXT("\xf3\xbf\xbf\xbf"), true },
        { TEXT("\xf4\x8f\xbf\xbf"), true },
        { TEXT("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), true },
        { TEXT("\x80"), false },
        { TEXT("\xbf"), false },
        { TEXT("\xc0\x80"), false },
        { TEXT("\xc0\xaf"), false },
        { TEXT("\xc1\xbf"), false },
        { TEXT("\xc2"), false },
        { TEXT("\xc2\x7f"), false },
        { TEXT("\xc2\xc0"), false },
        { TEXT("\xc2\x80\x80"), false },
        { TEXT("\xe0\x80\xaf"), false },
        { TEXT("\xe0\x9f\xbf"), false },
        { TEXT("\xe1\x80"), false },
        { TEXT("\xe1\x80\x7f"), false },
        { TEXT("\xe1\x80\xc0"), false },
        { TEXT("\xe1\x7f\x80"), false },
        { TEXT("\xed\xa0\x80"), false },
        { TEXT("\xed\xbf\xbf"), false },
        { TEXT("\xf0\x80\x80\xaf"), false },
        { TEXT("\xf0\x8f\xbf\xbf"), false },
        { TEXT("\xf1\x80\x80"), false },
        { TEXT("\xf1\x80\x80\x7f"), false },
        { TEXT("\xf1\x80\xc0\x80"), false },
        { TEXT("\xf1\x7f\x80\x80"), false },
        { TEXT("\xf1\xc0\x80\x80"), false },
        { TEXT("\xf4\x90\x80\x80"), false },
        { TEXT("\xf5\x80\x80\x80"), false },
        { TEXT("\xf8\x88\x80\x80\x80"), false },
        { TEXT("\xfe"), false },
        { TEXT("\xff"), false },
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        assert_utf8(cases[i].text, cases[i].wanted);
    assert_true(is_utf8("", 0));
    assert_true(httpescape_is_utf8(NULL, 0));
}

static size_t put_character(char *place, unsigned character)
{
    if (character < 0x80)
        return (size_t)sprintf(place, "%c", (int)character);
    if (character < 0x800)
        return (size_t)sprintf(place, "%c%c", (int)(0xc0 | character >> 6), (int)(0x80 | (character & 0x3f)));
    if (character < 0x10000)
        return (size_t)sprintf(place, "%c%c%c", (int)(0xe0 | character >> 12), (int)(0x80 | (character >> 6 & 0x3f)),
                               (int)(0x80 | (character & 0x3f)));
    return (size_t)sprintf(place, "%c%c%c%c", (int)(0xf0 | character >> 18), (int)(0x80 | (character >> 12 & 0x3f)),
                           (int)(0x80 | (character >> 6 & 0x3f)), (int)(0x80 | (character & 0x3f)));
}

/* All the characters that there are, and as many bytes of four as are well formed. */
static void each_character_is_utf8(void **state)
{
    char text[8];

    for (unsigned character = 0; character < 0x120000; character++) {
        bool wanted = character < 0x110000 && (character < 0xd800 || character > 0xdfff);
        assert_int_equal(httpescape_is_utf8(text, put_character(text, character)), wanted);
    }
}

/* Of all texts of three bytes so many are UTF-8 as counting characters gives. */
static void nothing_else_is_utf8(void **state)
{
    unsigned count = 0, one = 0x80, two = 0x800 - 0x80, three = 0x10000 - 0x800 - 0x800;
    char text[3];

    for (unsigned word = 0; word < 0x1000000; word++) {
        text[0] = (char)(word >> 16);
        text[1] = (char)(word >> 8);
        text[2] = (char)word;
        count += httpescape_is_utf8(text, 3);
    }
    assert_int_equal(count, one * one * one + 2 * one * two + three);
}

static void assert_logged(struct text text, size_t size, const char *wanted)
{
    char *place = guardpage_place(size);
    size_t length = httpescape_log(guardpage_text(text.bytes, text.length), text.length, place, size);

    assert_int_equal(length, strlen(wanted));
    assert_string_equal(place, wanted);
}

/* B9 */
static void a_line_of_a_log_is_printable(void **state)
{
    static const struct {
        struct text text;
        const char *wanted;
    } cases[] = {
        { TEXT(""), "" },
        { TEXT("GET / HTTP/1.1 ~!'#%n"), "GET / HTTP/1.1 ~!'#%n" },
        { TEXT("/\x1b]0;x\x07%0aFAKE"), "/\\x1b]0;x\\x07%0aFAKE" },
        { TEXT("a\r\nb\0c\t"), "a\\x0d\\x0ab\\x00c\\x09" },
        { TEXT("\"\\"), "\\x22\\x5c" },
        { TEXT("\x1f \x7e\x7f\x80\xff"), "\\x1f ~\\x7f\\x80\\xff" },
        { TEXT("\xc2\x9b"
               "2J"),
          "\\xc2\\x9b2J" },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_logged(cases[i].text, strlen(cases[i].wanted) + 1, cases[i].wanted);
        assert_logged(cases[i].text, 200, cases[i].wanted);
    }
}

static void a_long_line_of_a_log_is_cut(void **state)
{
    static const struct {
        const char *text;
        size_t size;
        const char *wanted;
    } cases[] = {
        { "abcdefgh", 9, "abcdefgh" },
        { "abcdefgh", 8, "abcd..." },
        { "abcdefgh", 5, "a..." },
        { "abcdefgh", 4, "..." },
        { "abcdefgh", 3, ".." },
        { "abcdefgh", 2, "." },
        { "abcdefgh", 1, "" },
        { "abc", 4, "abc" },
        { "abcd", 4, "..." },
        { "abc", 3, ".." },
        { "", 1, "" },
        { "\n\n", 9, "\\x0a\\x0a" },
        { "\n\n", 8, "\\x0a..." },
        { "\n\n", 7, "..." },
        { "\n", 5, "\\x0a" },
        { "\n", 4, "..." },
        { "ab\n", 7, "ab\\x0a" },
        { "ab\n", 6, "ab..." },
        { "ab\n", 5, "a..." },
        { "\nabc", 8, "\\x0aabc" },
        { "\nabcd", 8, "\\x0a..." },
        { "\nabcd\n", 10, "\\x0aab..." },
    };
    char place[4] = "###";

    for (size_t i = 0; i < COUNT(cases); i++)
        assert_logged((struct text){ cases[i].text, strlen(cases[i].text) }, cases[i].size, cases[i].wanted);
    assert_int_equal(httpescape_log("abc", 3, place, 0), 0);
    assert_string_equal(place, "###");
}

static void a_flood_is_not_looked_at_beyond_the_cut(void **state)
{
    char wanted[256] = "", place[256];

    for (size_t i = 0; i < 252 / 4; i++)
        memcpy(wanted + 4 * i, "\\xff", 5);
    strcpy(wanted + 252, "...");
    assert_int_equal(httpescape_log(memset(guardpage_place(64), '\xff', 64), 1 << 20, place, sizeof place), 255);
    assert_string_equal(place, wanted);
}

/* Any byte in any place, into no more room than is promised. */
static void nothing_is_written_beyond_the_promise(void **state)
{
    char text[4];

    for (int byte = 0; byte < 256; byte++) {
        memset(text, byte, sizeof text);
        char *place = guardpage_place(6 * sizeof text);
        assert_true(httpescape_html(guardpage_text(text, sizeof text), sizeof text, place) <= 6 * sizeof text);
        assert_true(httpescape_json(guardpage_text(text, sizeof text), sizeof text, place) <= 6 * sizeof text);
        for (size_t size = 1; size < 20; size++)
            assert_true(httpescape_log(text, sizeof text, guardpage_place(size), size) < size);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(html_has_no_markup_left),
    cmocka_unit_test(json_is_escaped),
    cmocka_unit_test(utf8_is_told_from_what_is_not),
    cmocka_unit_test(each_character_is_utf8),
    cmocka_unit_test(nothing_else_is_utf8),
    cmocka_unit_test(a_line_of_a_log_is_printable),
    cmocka_unit_test(a_long_line_of_a_log_is_cut),
    cmocka_unit_test(a_flood_is_not_looked_at_beyond_the_cut),
    cmocka_unit_test(nothing_is_written_beyond_the_promise),
};

TESTING_MAIN(tests)
