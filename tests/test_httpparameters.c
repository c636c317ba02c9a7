#include "httpserver/httpparameters.h"

#include <errno.h>
#include <string.h>

#include "tests/support/guardpage.h"
#include "tests/support/testing.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { TRACE = 1024 };

/* What a walk found: `value;name=value;name="quoted";name,value`, and "!" where it was refused. */
struct trace {
    char bytes[TRACE];
    size_t length;
};

static void note(struct trace *trace, const char *bytes, size_t length)
{
    assert_true(trace->length + length < TRACE);
    if (length > 0)
        memcpy(trace->bytes + trace->length, bytes, length);
    trace->length += length;
    trace->bytes[trace->length] = '\0';
}

static void note_part(struct trace *trace, const char *before, struct httpparameters_part part, const char *after)
{
    note(trace, before, strlen(before));
    note(trace, part.text, part.length);
    note(trace, after, strlen(after));
}

static int trace_parameters(struct httpparameters *walk, struct trace *trace)
{
    struct httpparameters_parameter parameter;
    int more;

    while ((more = httpparameters_next(walk, &parameter)) > 0) {
        note_part(trace, ";", parameter.name, "");
        assert_true(parameter.name.length > 0);
        if (parameter.value.text == NULL)
            assert_false(parameter.is_quoted);
        else if (parameter.is_quoted)
            note_part(trace, "=\"", parameter.value, "\"");
        else
            note_part(trace, "=", parameter.value, "");
    }
    return more;
}

static void trace_walk(struct httpparameters *walk, struct trace *trace)
{
    struct httpparameters_part value;
    int more;

    while ((more = httpparameters_value(walk, &value)) > 0) {
        note_part(trace, trace->length > 0 ? "," : "", value, "");
        more = trace_parameters(walk, trace);
        if (more < 0 || !walk->is_list)
            break;
    }
    if (more < 0) {
        assert_int_equal(more, -EINVAL);
        note(trace, "!", 1);
    } else {
        assert_int_equal(walk->at, walk->length);
    }
}

typedef void begin_fn(struct httpparameters *walk, const char *text, size_t length, char *scratch);

static void assert_trace(begin_fn *begin, const char *text, size_t length, const char *wanted)
{
    struct httpparameters walk;
    struct trace apart = { .length = 0 }, in_place = { .length = 0 };

    begin(&walk, guardpage_text(text, length), length, guardpage_place(length));
    trace_walk(&walk, &apart);
    assert_string_equal(apart.bytes, wanted);
    assert_memory_equal(walk.text, text, length); /* the text itself is not touched */

    char *place = guardpage_place(length);
    memcpy(place, text, length);
    begin(&walk, place, length, place);
    trace_walk(&walk, &in_place);
    assert_string_equal(in_place.bytes, wanted);
}

struct row {
    const char *text;
    const char *wanted;
};

static void assert_rows(begin_fn *begin, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_trace(begin, rows[i].text, strlen(rows[i].text), rows[i].wanted);
}

static void finds_the_value_and_its_parameters(void **state)
{
    static const struct row rows[] = {
        { "form-data", "form-data" },
        { "text/html", "text/html" },
        { "text/html; charset=UTF-8", "text/html;charset=UTF-8" },
        { "text/html;charset=UTF-8", "text/html;charset=UTF-8" },
        { "a;b=c;d=e", "a;b=c;d=e" },
        { " \ta \t;\t b=c \t", "a;b=c" },
        { "a; b", "a;b" },
        { "a; b; c=d", "a;b;c=d" },
        { "a; b*=UTF-8'en'%20", "a;b*=UTF-8'en'%20" },
        { "a;", "a" },
        { "a;;;b=c; ;", "a;b=c" },
        { "a; B=c; b=C", "a;B=c;b=C" },
        { "!#$%&'*+-.^_`|~09azAZ/x; !#$%&'*+-.^_`|~=!#$%&'*+-.^_`|~09azAZ",
          "!#$%&'*+-.^_`|~09azAZ/x;!#$%&'*+-.^_`|~=!#$%&'*+-.^_`|~09azAZ" },
    };

    assert_rows(httpparameters_begin, rows, COUNT(rows));
}

static void takes_quotes_and_escapes_from_values(void **state)
{
    static const struct row rows[] = {
        { "a; b=\"c\"", "a;b=\"c\"" },
        { "a; b=\"\"", "a;b=\"\"" },
        { "a; b=\" c \" ; d=e", "a;b=\" c \";d=e" },
        { "a; b=\"c;d=e, f/g\"; h=\"i\"", "a;b=\"c;d=e, f/g\";h=\"i\"" },
        { "a; b=\"\\\"\"", "a;b=\"\"\"" },
        { "a; b=\"\\\\\"", "a;b=\"\\\"" },
        { "a; b=\"\\\\\\\"\\\\\"", "a;b=\"\\\"\\\"" },
        { "a; b=\"C:\\dir\\x.txt\"; c=\"\\\\d\"", "a;b=\"C:\\dir\\x.txt\";c=\"\\d\"" },
        { "a; b=\"\xc3\xa9\t\x80\xff\"", "a;b=\"\xc3\xa9\t\x80\xff\"" },
    };

    assert_rows(httpparameters_begin, rows, COUNT(rows));
}

static void refuses_what_is_not_in_the_grammar(void **state)
{
    static const struct row rows[] = {
        { "", "!" },
        { " ", "!" },
        { ";", "!" },
        { "; a=b", "!" },
        { "=", "!" },
        { "\"a\"", "!" },
        { "a/", "!" },
        { "/a", "!" },
        { "a/b/c", "a/b!" },
        { "a b", "a!" },
        { "a b=c", "a!" },
        { "a=b", "a!" },
        { "a; =b", "a!" },
        { "a; \"b\"=c", "a!" },
        { "a; b=", "a!" },
        { "a; b=;", "a!" },
        { "a; b =c", "a;b!" },
        { "a; b= c", "a!" },
        { "a; b=c d", "a;b=c!" },
        { "a; b=c=d", "a;b=c!" },
        { "a; b=c/d", "a;b=c!" },
        { "a; b=\"c", "a!" },
        { "a; b=\"", "a!" },
        { "a; b=\"c\\\"", "a!" },
        { "a; b=\"c\\", "a!" },
        { "a; b=\"c\"d", "a;b=\"c\"!" },
        { "a; b=\"c\"\"d\"", "a;b=\"c\"!" },
        { "a; b=c\"d\"", "a;b=c!" },
        { "a; b=\xc3\xa9", "a!" },
        { "a\xc3\xa9", "a!" },
        { "a; b=\"\x01\"", "a!" },
        { "a; b=\"\x1f\"", "a!" },
        { "a; b=\"\x7f\"", "a!" },
        { "a; b=\"\r\n\"", "a!" },
        { "a\r\n; b=c", "a!" },
        { "a, b", "a!" },
        { "a; b=c, d", "a;b=c!" },
        { ", a", "!" },
    };

    assert_rows(httpparameters_begin, rows, COUNT(rows));
    assert_trace(httpparameters_begin, "a\0", 2, "a!");
    assert_trace(httpparameters_begin, "a; b=c\0", 7, "a;b=c!");
    assert_trace(httpparameters_begin, "a; b=\"\0\"", 8, "a!");
}

static void walks_over_lists(void **state)
{
    static const struct row rows[] = {
        { "", "" },
        { " , ,\t, ", "" },
        { "a", "a" },
        { "a,b", "a,b" },
        { ", a ,, b ,", "a,b" },
        { "permessage-deflate; client_max_window_bits; server_max_window_bits=\"10\", permessage-deflate, x-y; z",
          "permessage-deflate;client_max_window_bits;server_max_window_bits=\"10\",permessage-deflate,x-y;z" },
        { "a; b=\"c, d\", e; f=g", "a;b=\"c, d\",e;f=g" },
        { "a;,b", "a,b" },
        { "a; b =c", "a;b=c" },
        { "a; b= c", "a;b=c" },
        { "a; b\t = \"c\" ; d , e; f \t=\t g ", "a;b=\"c\";d,e;f=g" },
        { "a; b =", "a!" },
        { "a; b = , c", "a!" },
        { "a; b c", "a;b!" },
        { "a; b = c d", "a;b=c!" },
        { "a, ;b", "a!" },
        { "a b, c", "a!" },
        { "a; b=, c", "a!" },
        { "a, \"b\"", "a!" },
        { "a; b=c d, e", "a;b=c!" },
    };

    assert_rows(httpparameters_begin_list, rows, COUNT(rows));
}

/* httputil_test:test_disposition_param_linear_performance. Counted, not timed: the scratch gets every quoted byte once,
 * and the walk only goes on. */
static void goes_over_every_byte_once(void **state)
{
    enum { ESCAPES = 60000, LENGTH = 4 + 2 * ESCAPES + 1 };
    static char text[LENGTH], scratch[LENGTH];
    struct httpparameters walk;
    struct httpparameters_part value;
    struct httpparameters_parameter parameter;

    memset(text, '\\', LENGTH);
    memcpy(text, "a;b=\"", 5);
    httpparameters_begin(&walk, text, LENGTH, scratch); /* no closing quote: to the end, and no second look */
    assert_int_equal(httpparameters_value(&walk, &value), 1);
    assert_int_equal(httpparameters_next(&walk, &parameter), -EINVAL);
    text[LENGTH - 1] = '"';
    httpparameters_begin(&walk, text, LENGTH, scratch);
    assert_int_equal(httpparameters_value(&walk, &value), 1);
    size_t before = walk.at;
    assert_int_equal(httpparameters_next(&walk, &parameter), -EINVAL); /* the last backslash escapes it */
    assert_int_equal(walk.at, before + 3);
    text[5] = 'x';
    httpparameters_begin(&walk, text, LENGTH, scratch);
    assert_int_equal(httpparameters_value(&walk, &value), 1);
    assert_int_equal(httpparameters_next(&walk, &parameter), 1);
    assert_int_equal(parameter.value.length, 1 + (LENGTH - 7) / 2);
    assert_int_equal(walk.at, LENGTH);
}

static void compares_without_case(void **state)
{
    const struct httpparameters_part part = { "Form-Data[", 9 };

    assert_true(httpparameters_is(part, "form-data"));
    assert_true(httpparameters_is(part, "FORM-DATA"));
    assert_false(httpparameters_is(part, "form-dat"));
    assert_false(httpparameters_is(part, "form-data["));
    assert_false(httpparameters_is(part, "form_data"));
    assert_false(httpparameters_is((struct httpparameters_part){ "[", 1 }, "{"));
    assert_false(httpparameters_is((struct httpparameters_part){ "@", 1 }, "`"));
    assert_true(httpparameters_is((struct httpparameters_part){ "", 0 }, ""));
}

static void knows_where_a_token_ends(void **state)
{
    for (int byte = 0; byte < 256; byte++) {
        char text[3] = { 'a', (char)byte, 'b' };
        bool is_token = byte > 0x20 && byte < 0x7f && strchr("\"(),/:;<=>?@[\\]{}", byte) == NULL;
        assert_int_equal(httpparameters_token(text, 3), is_token ? 3 : 1);
    }
    assert_int_equal(httpparameters_token(guardpage_text("ab", 2), 2), 2);
    assert_int_equal(httpparameters_token(guardpage_text("", 0), 0), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(finds_the_value_and_its_parameters), cmocka_unit_test(takes_quotes_and_escapes_from_values),
    cmocka_unit_test(refuses_what_is_not_in_the_grammar), cmocka_unit_test(walks_over_lists),
    cmocka_unit_test(goes_over_every_byte_once),          cmocka_unit_test(compares_without_case),
    cmocka_unit_test(knows_where_a_token_ends),
};

TESTING_MAIN(tests)
