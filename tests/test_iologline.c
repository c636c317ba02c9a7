#include "ioloop/iologline.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/guardpage.h"
#include "tests/support/testing.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *escape(const char *text, size_t length)
{
    static char place[5 * 100 + 1];
    char *guarded = guardpage_place(5 * length);

    assert_true(length <= 100);
    size_t size = iologline_escape(guardpage_text(text, length), length, guarded);
    memcpy(place, guarded, size);
    place[size] = '\0';
    return place;
}

/* log_test:test_bytes_logging, log_test:test_utf8_logging */
static void what_is_not_utf8_and_what_terminals_act_on_is_escaped(void **state)
{
    static const struct {
        const char *text, *escaped;
    } rows[] = {
        { "", "" },
        { "plain text ~", "plain text ~" },
        { "tab\tbed", "tab\tbed" },
        { "back\\slash \"quoted\"", "back\\slash \"quoted\"" },
        { "\xe9", "\\xe9" },
        { "\xc3\xa9", "\xc3\xa9" },                                 /* é */
        { "\xe6\x9d\x8e\xe5\xba\xb7", "\xe6\x9d\x8e\xe5\xba\xb7" }, /* three bytes each */
        { "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },                 /* four */
        { "\x1b[2J\a", "\\x1b[2J\\x07" },
        { "\x01\x1f\x7f", "\\x01\\x1f\\x7f" },
        { "a\rb", "a\\x0db" },
        { "\xc2\x80\xc2\x9b"
          "1m\xc2\x9f",
          "\\xc2\\x80\\xc2\\x9b"
          "1m\\xc2\\x9f" }, /* C1 in UTF-8 */
        { "\xc2\xa0", "\xc2\xa0" },
        { "\x9b"
          "1m",
          "\\x9b"
          "1m" },
        { "\xc3", "\\xc3" },
        { "\xc3(", "\\xc3(" },
        { "\xe6\x9d", "\\xe6\\x9d" },
        { "\xe6\x9d(", "\\xe6\\x9d(" },
        { "\xc0\x80", "\\xc0\\x80" }, /* overlong */
        { "\xc1\xbf", "\\xc1\\xbf" },
        { "\xe0\x9f\xbf", "\\xe0\\x9f\\xbf" },
        { "\xe0\xa0\x80", "\xe0\xa0\x80" },
        { "\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf" },
        { "\xf0\x90\x80\x80", "\xf0\x90\x80\x80" },
        { "\xed\x9f\xbf", "\xed\x9f\xbf" },
        { "\xed\xa0\x80", "\\xed\\xa0\\x80" }, /* surrogates */
        { "\xed\xbf\xbf", "\\xed\\xbf\\xbf" },
        { "\xee\x80\x80", "\xee\x80\x80" },
        { "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf" },
        { "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" }, /* over U+10FFFF */
        { "\xf5\x80\x80\x80", "\\xf5\\x80\\x80\\x80" },
        { "\x80", "\\x80" },
        { "\xff\xfe", "\\xff\\xfe" },
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        assert_string_equal(escape(rows[i].text, strlen(rows[i].text)), rows[i].escaped);
    assert_string_equal(escape("a\0b", 3), "a\\x00b");
}

static void further_lines_are_indented_by_four(void **state)
{
    assert_string_equal(escape("a\nb\nc", 5), "a\n    b\n    c");
    assert_string_equal(escape("a\n\nb", 4), "a\n    \n    b");
    assert_string_equal(escape("\na", 2), "\n    a");
    assert_string_equal(escape("a\n", 2), "a");
    assert_string_equal(escape("a\n\n\n", 4), "a");
    assert_string_equal(escape("\n", 1), "");
    assert_string_equal(escape("a\r\nb", 4), "a\\x0d\n    b");
}

/* No byte of the place behind five for each is written, whatever the text is. */
static void there_is_room_for_all_texts(void **state)
{
    char text[100];

    srand(1);
    for (int i = 0; i < 100000; i++) {
        size_t length = (size_t)rand() % sizeof text;
        for (size_t k = 0; k < length; k++)
            text[k] = (char)(i % 2 == 0 ? rand() : "\n\xc3\xa9\x1b\xe2\x82\xac"[rand() % 7]);
        const char *escaped = escape(text, length);
        for (; *escaped != '\0'; escaped++)
            assert_true((unsigned char)*escaped >= ' ' || *escaped == '\n' || *escaped == '\t');
    }
}

/* log_test:test_basic_logging */
static void a_line_says_level_time_and_channel(void **state)
{
    static const struct {
        enum iolog_channel channel;
        enum iolog_level level;
        bool in_colours;
        const char *line;
    } rows[] = {
        { IOLOG_ACCESS, IOLOG_DEBUG, false, "[D 090307 01:02:03 access] text\n" },
        { IOLOG_APPLICATION, IOLOG_INFO, false, "[I 090307 01:02:03 application] text\n" },
        { IOLOG_GENERAL, IOLOG_WARNING, false, "[W 090307 01:02:03 general] text\n" },
        { IOLOG_GENERAL, IOLOG_ERROR, false, "[E 090307 01:02:03 general] text\n" },
        { IOLOG_GENERAL, IOLOG_DEBUG, true, "\033[34m[D 090307 01:02:03 general]\033[0m text\n" },
        { IOLOG_GENERAL, IOLOG_INFO, true, "\033[32m[I 090307 01:02:03 general]\033[0m text\n" },
        { IOLOG_GENERAL, IOLOG_WARNING, true, "\033[33m[W 090307 01:02:03 general]\033[0m text\n" },
        { IOLOG_APPLICATION, IOLOG_ERROR, true, "\033[31m[E 090307 01:02:03 application]\033[0m text\n" },
    };
    const struct tm local = { .tm_year = 109, .tm_mon = 2, .tm_mday = 7, .tm_hour = 1, .tm_min = 2, .tm_sec = 3 };

    for (size_t i = 0; i < COUNT(rows); i++) {
        char *place = guardpage_place(IOLOGLINE_SIZE(5));
        size_t length = iologline_format(place, rows[i].channel, rows[i].level, &local, "text", rows[i].in_colours);
        assert_int_equal(length, strlen(rows[i].line));
        assert_memory_equal(place, rows[i].line, length);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_is_not_utf8_and_what_terminals_act_on_is_escaped),
    cmocka_unit_test(further_lines_are_indented_by_four),
    cmocka_unit_test(there_is_room_for_all_texts),
    cmocka_unit_test(a_line_says_level_time_and_channel),
};

TESTING_MAIN(tests)
