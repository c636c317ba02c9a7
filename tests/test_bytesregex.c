#include "ioloop/bytesregex.h"

#include "tests/support/testing.h"
#include "tests/support/text.h"

struct row {
    const char *expression, *bytes;
    size_t length, whole, strings; /* what both ways answer */
};

#define ROW(expression, bytes, whole, strings)                                                                         \
    {                                                                                                                  \
        expression, bytes, sizeof bytes - 1, whole, strings                                                            \
    }

static void answers_where_the_first_match_ends(void **state)
{
    static const struct row rows[] = {
        ROW("b", "abc", 2, 2),       ROW("b+", "abbbc", 4, 4),        ROW("x", "abc", 0, 0),
        ROW("x", "", 0, 0),          ROW("x*", "abc", 0, 0),          ROW("\r?\n\r?\n", "ab\r\n\r\ncd\n\n", 6, 6),
        ROW("b", "a\0b", 3, 3),      ROW("b", "\0\0\0b\0b", 4, 4),    ROW("^b", "a\0b", 0, 0),
        ROW("a$", "a\0b", 0, 0),     ROW("b$", "a\0b", 3, 3),         ROW("b", "a\0", 0, 0),
        ROW("c", "a\0b\0", 0, 0),    ROW("a[^b]b", "a\0b a.b", 3, 7), /* matches a NUL with REG_STARTEND only; a dot
                                                                         does nowhere */
        ROW("a[^b]b", "a\0b", 3, 0),
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        regex_t regex;

        assert_int_equal(regcomp(&regex, rows[i].expression, REG_EXTENDED), 0);
#ifdef REG_STARTEND
        assert_int_equal(bytesregex_find(&regex, rows[i].bytes, rows[i].length), rows[i].whole);
#else
        assert_int_equal(bytesregex_find(&regex, rows[i].bytes, rows[i].length), rows[i].strings);
#endif
        assert_int_equal(bytesregex_find_in_strings(&regex, rows[i].bytes, rows[i].length), rows[i].strings);
        regfree(&regex);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(answers_where_the_first_match_ends),
};

TESTING_MAIN(tests)
