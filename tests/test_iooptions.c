/* Sets of options: defining, finding, setting from code. What command lines and files are is in
 * test_iooptionsread.c. */
#include "ioloop/iooptions.h"

#include <errno.h>
#include <limits.h>
#include <math.h>

#include "ioloop/iolog.h"
#include "tests/support/optionscene.h"

static int port;

/* options_test:test_error_redefine */
static void an_option_is_defined_once(void **state)
{
    int other;

    open_options();
    define({ .name = "foo", .integer = &port });
    assert_int_equal(iooptions_define(&set, &(struct iooption){ .name = "foo", .integer = &other }), -EEXIST);
    assert_int_equal(iooptions_define(&set, &(struct iooption){ .name = "help", .integer = &other }), -EEXIST);
    close_options();
}

/* options_test:test_error_redefine_underscore */
static void a_dash_and_an_underscore_are_the_same_name(void **state)
{
    static const struct {
        const char *first, *second;
    } rows[] = { { "foo-bar", "foo_bar" }, { "foo_bar", "foo-bar" }, { "a_b-c", "a-b_c" }, { "foo_bar", "foo_bar" } };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int value = 8;
        open_options();
        define({ .name = rows[i].first, .integer = &value });
        assert_int_equal(iooptions_define(&set, &(struct iooption){ .name = rows[i].second, .integer = &port }),
                         -EEXIST);
        assert_int_equal(iooptions_set_integer(&set, rows[i].second, 9), 0);
        assert_int_equal(value, 9);
        assert_int_equal(iooptions_integer(&set, rows[i].second), 9);
        close_options();
    }
}

static void names_that_no_command_line_could_have_are_refused(void **state)
{
    static const char *const names[] = { "", "-", "-a", "a=b", "a b", "a\tb", "a\n", "a#b", "a\"b", "'a", "a\x7f" };

    open_options();
    assert_int_equal(iooptions_define(&set, &(struct iooption){ .integer = &port }), -EINVAL);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(iooptions_define(&set, &(struct iooption){ .name = names[i], .integer = &port }), -EINVAL);
    define({ .name = "h\xc3\xa4.x-1", .integer = &port });
    close_options();
}

static int parse_nothing(const char *text, void *arg)
{
    return 0;
}

static void an_option_has_exactly_one_type(void **state)
{
    const char *string;

    open_options();
    assert_int_equal(iooptions_define(&set, &(struct iooption){ .name = "a" }), -EINVAL);
    assert_int_equal(iooptions_define(&set, &(struct iooption){ .name = "a", .integer = &port, .string = &string }),
                     -EINVAL);
    assert_int_equal(
        iooptions_define(&set, &(struct iooption){ .name = "a", .integer = &port, .parse = parse_nothing }), -EINVAL);
    assert_null(iooptions_find(&set, "a"));
    define({ .name = "a", .parse = parse_nothing });
    close_options();
}

static void a_table_is_defined_whole_or_not_at_all(void **state)
{
    int a = 1, b = 2;
    const struct iooption good[] = { { .name = "a", .integer = &a }, { .name = "b", .integer = &b }, { 0 } };
    const struct iooption bad[] = { { .name = "c", .integer = &a }, { .name = "a", .integer = &b }, { 0 } };

    open_options();
    assert_int_equal(iooptions_define_table(&set, good), 0);
    assert_int_equal(iooptions_define_table(&set, bad), -EEXIST);
    assert_null(iooptions_find(&set, "c"));
    assert_non_null(iooptions_find(&set, "b"));
    close_options();
}

/* options_test:test_setattr, options_test:test_setitem, options_test:test_getitem */
static void values_are_set_and_read_by_name(void **state)
{
    bool flag = false;
    int64_t large = 0;
    double number = 0, duration = 0;
    const char *text = "default";

    open_options();
    define({ .name = "foo", .integer = &port });
    define({ .name = "flag", .boolean = &flag });
    define({ .name = "large", .integer64 = &large });
    define({ .name = "number", .number = &number });
    define({ .name = "duration", .duration = &duration });
    define({ .name = "text", .string = &text });
    assert_string_equal(iooptions_string(&set, "text"), "default");
    assert_int_equal(iooptions_set_integer(&set, "foo", 2), 0);
    assert_int_equal(iooptions_set_boolean(&set, "flag", true), 0);
    assert_int_equal(iooptions_set_integer(&set, "large", INT64_MIN), 0);
    assert_int_equal(iooptions_set_number(&set, "number", 0.5), 0);
    assert_int_equal(iooptions_set_number(&set, "duration", 90), 0);
    assert_int_equal(iooptions_set_string(&set, "text", "a text"), 0);
    assert_int_equal(port, 2);
    assert_true(flag);
    assert_true(large == INT64_MIN);
    assert_int_equal(iooptions_integer(&set, "foo"), 2);
    assert_true(iooptions_boolean(&set, "flag"));
    assert_true(iooptions_integer(&set, "large") == INT64_MIN);
    assert_true(iooptions_number(&set, "number") == 0.5);
    assert_true(iooptions_number(&set, "duration") == 90);
    assert_string_equal(iooptions_string(&set, "text"), "a text");
    assert_int_equal(iooptions_set_string(&set, "text", NULL), 0);
    assert_null(text);
    close_options();
}

/* options_test:test_setattr_type_check */
static void a_value_of_another_type_is_refused(void **state)
{
    int integer = 1;
    bool flag = true;
    double number = 1.5;
    const char *text = "text";

    open_options();
    define({ .name = "integer", .integer = &integer });
    define({ .name = "flag", .boolean = &flag });
    define({ .name = "number", .number = &number });
    define({ .name = "text", .string = &text });
    define({ .name = "own", .parse = parse_nothing });
    static const char *const names[] = { "integer", "flag", "number", "text", "own" };
    for (int i = 0; i < 5; i++) {
        assert_int_equal(iooptions_set_integer(&set, names[i], 2), i == 0 ? 0 : -EINVAL);
        assert_int_equal(iooptions_set_boolean(&set, names[i], false), i == 1 ? 0 : -EINVAL);
        assert_int_equal(iooptions_set_number(&set, names[i], 2), i == 2 ? 0 : -EINVAL);
        assert_int_equal(iooptions_set_string(&set, names[i], "2"), i == 3 ? 0 : -EINVAL);
    }
    assert_int_equal(iooptions_set_integer(&set, "nothing", 2), -ENOENT);
    assert_int_equal(iooptions_set_boolean(&set, "nothing", false), -ENOENT);
    assert_int_equal(iooptions_set_number(&set, "nothing", 2), -ENOENT);
    assert_int_equal(iooptions_set_string(&set, "nothing", "2"), -ENOENT);
    assert_int_equal(iooptions_set(&set, "nothing", "2"), -ENOENT);
    assert_int_equal(iooptions_set(&set, "integer", "2.0"), -EINVAL);
    assert_int_equal(integer, 2);
    assert_true(number == 2);
    assert_string_equal(text, "2");
    assert_said("");
    close_options();
}

static void values_stay_within_their_bounds(void **state)
{
    int integer = 5;
    double number = 5;

    open_options();
    define({ .name = "integer", .integer = &integer, .minimum = -1, .maximum = 65535 });
    define({ .name = "number", .number = &number, .maximum = 10 });
    define({ .name = "any", .integer = &port });
    assert_int_equal(iooptions_set_integer(&set, "integer", -1), 0);
    assert_int_equal(iooptions_set_integer(&set, "integer", 65535), 0);
    assert_int_equal(iooptions_set_integer(&set, "integer", -2), -ERANGE);
    assert_int_equal(iooptions_set_integer(&set, "integer", 65536), -ERANGE);
    assert_int_equal(iooptions_set(&set, "integer", "65536"), -ERANGE);
    assert_int_equal(integer, 65535);
    assert_int_equal(iooptions_set_number(&set, "number", 0), 0);
    assert_int_equal(iooptions_set_number(&set, "number", 10.5), -ERANGE);
    assert_int_equal(iooptions_set_number(&set, "number", -0.5), -ERANGE);
    assert_int_equal(iooptions_set_number(&set, "number", (double)NAN), -ERANGE);
    assert_int_equal(iooptions_set_integer(&set, "any", INT_MAX), 0);
    assert_int_equal(iooptions_set_integer(&set, "any", INT_MIN), 0);
    assert_int_equal(iooptions_set_integer(&set, "any", (int64_t)INT_MAX + 1), -ERANGE);
    assert_int_equal(iooptions_set_integer(&set, "any", (int64_t)INT_MIN - 1), -ERANGE);
    assert_int_equal(port, INT_MIN);
    close_options();
}

static void numbers_that_are_not_finite_are_refused(void **state)
{
    double number = 5;

    open_options();
    define({ .name = "number", .number = &number });
    assert_int_equal(iooptions_set_number(&set, "number", (double)INFINITY), -ERANGE);
    assert_int_equal(iooptions_set_number(&set, "number", (double)-INFINITY), -ERANGE);
    assert_int_equal(iooptions_set_number(&set, "number", (double)NAN), -ERANGE);
    assert_true(number == 5);
    close_options();
}

static void a_choice_is_one_of_them(void **state)
{
    const char *mode = "size";

    open_options();
    define({ .name = "mode", .string = &mode, .choices = "size|time" });
    assert_int_equal(iooptions_set_string(&set, "mode", "both"), -EINVAL);
    assert_string_equal(mode, "size");
    assert_int_equal(iooptions_set_string(&set, "mode", "TIME"), 0);
    assert_string_equal(mode, "time");
    assert_int_equal(iooptions_set_string(&set, "mode", NULL), 0);
    assert_null(mode);
    close_options();
}

struct calls {
    int count, last, answer;
};

static int count_call(const struct iooption *option, void *arg)
{
    struct calls *calls = arg;

    calls->count++;
    calls->last = *option->integer;
    return calls->answer;
}

/* options_test:test_setattr_with_callback */
static void its_callback_is_called_whenever_it_is_set(void **state)
{
    struct calls calls = { 0, 0, 0 };

    open_options();
    define({ .name = "foo", .integer = &port, .callback = count_call, .arg = &calls });
    assert_int_equal(calls.count, 0);
    assert_int_equal(iooptions_set_integer(&set, "foo", 2), 0);
    assert_true(calls.count == 1 && calls.last == 2);
    assert_int_equal(iooptions_set(&set, "foo", "2"), 0);
    assert_int_equal(calls.count, 2);
    assert_int_equal(iooptions_set(&set, "foo", "x"), -EINVAL);
    assert_int_equal(calls.count, 2);
    assert_int_equal(parse("--foo=3", "--foo=4"), 3);
    assert_true(calls.count == 4 && calls.last == 4);
    calls.answer = -EPERM;
    assert_int_equal(iooptions_set_integer(&set, "foo", 5), -EPERM);
    close_options();
    assert_int_equal(calls.count, 5);
}

/* The second one is defined by the callback of the first, and is there at once. */
static int define_another(const struct iooption *option, void *arg)
{
    return iooptions_define(&set, &(struct iooption){ .name = arg, .integer = &port });
}

static void callbacks_may_define_options(void **state)
{
    bool flag;

    open_options();
    define({ .name = "more", .boolean = &flag, .callback = define_another, .arg = (void *)"another" });
    const struct iooption *found = iooptions_find(&set, "more");
    for (int i = 0; i < 100; i++) {
        static char names[100][16];
        snprintf(names[i], sizeof names[i], "n%d", i);
        define({ .name = names[i], .integer = &port });
    }
    assert_ptr_equal(iooptions_find(&set, "more"), found);
    assert_int_equal(parse("--more", "--another=7"), 3);
    assert_int_equal(port, 7);
    close_options();
}

/* options_test:test_iter, options_test:test_items, options_test:test_group_dict */
static void options_can_be_listed(void **state)
{
    int a = 1, b = 2;
    char text[100] = "", value[8];

    open_options();
    define({ .name = "a", .integer = &a });
    define({ .name = "b", .integer = &b, .group = "b_group" });
    const struct iooption *option;
    for (size_t i = 0; (option = iooptions_at(&set, i)) != NULL; i++) {
        assert_int_equal(iooptions_format(&set, option->name, value, sizeof value), i == 0 ? -ENOENT : 1);
        sprintf(text + strlen(text), "%s=%s in %s;", option->name, i == 0 ? "" : value,
                option->group != NULL ? option->group : "none");
    }
    assert_string_equal(text, "help= in none;a=1 in none;b=2 in b_group;");
    assert_null(iooptions_at(&set, 100));
    close_options();
}

/* options_test:test_dash_underscore_introspection */
static void a_list_has_names_as_they_were_defined(void **state)
{
    open_options();
    define({ .name = "with-dash", .integer = &port, .group = "g" });
    define({ .name = "with_underscore", .integer = &port, .group = "g" });
    assert_string_equal(iooptions_at(&set, 0)->name, "help");
    assert_string_equal(iooptions_at(&set, 1)->name, "with-dash");
    assert_string_equal(iooptions_at(&set, 2)->name, "with_underscore");
    assert_null(iooptions_at(&set, 3));
    assert_ptr_equal(iooptions_find(&set, "with_dash"), iooptions_at(&set, 1));
    assert_ptr_equal(iooptions_find(&set, "with-underscore"), iooptions_at(&set, 2));
    assert_ptr_equal(iooptions_find(&set, "help"), iooptions_at(&set, 0));
    assert_null(iooptions_find(&set, "with"));
    assert_null(iooptions_find(&set, "with-dash-"));
    assert_null(iooptions_find(&set, ""));
    iooptions_print_help(&set);
    const char *help = what_was_said();
    assert_non_null(strstr(help, "--with-dash=N"));
    assert_non_null(strstr(help, "--with-underscore=N"));
    close_options();
}

static void what_was_set_is_known(void **state)
{
    open_options();
    define({ .name = "a", .integer = &port });
    define({ .name = "b", .integer = &port });
    assert_false(iooptions_is_set(&set, "a"));
    assert_int_equal(parse("--a=1"), 2);
    assert_true(iooptions_is_set(&set, "a"));
    assert_int_equal(iooptions_set(&set, "b", "?"), -EINVAL);
    assert_false(iooptions_is_set(&set, "b"));
    assert_false(iooptions_is_set(&set, "c"));
    assert_false(iooptions_is_set(&set, "help"));
    close_options();
}

static void freeing_a_set_gives_the_variables_their_defaults(void **state)
{
    const char *text = "default";
    int number = 5;
    struct iooptions_strings list = { NULL, 0 };

    open_options();
    define({ .name = "text", .string = &text });
    define({ .name = "number", .integer = &number });
    define({ .name = "list", .strings = &list });
    assert_int_equal(parse("--text=a", "--text=b", "--number=6", "--list=a,b", "--list=c"), 6);
    assert_string_equal(text, "b");
    assert_int_equal(list.count, 1);
    iooptions_free(&set);
    assert_string_equal(text, "default");
    assert_int_equal(number, 5);
    assert_true(list.items == NULL && list.count == 0);
    assert_null(iooptions_find(&set, "text"));
    define({ .name = "text", .string = &text });
    close_options();
}

static void the_set_of_the_process_is_one_more(void **state)
{
    static int mine = 8888;
    static const struct iooption table[] = { { .name = "port", .integer = &mine }, { 0 } };
    const char *arguments[] = { "main", "--port=1", "--log-to-stderr", "rest", NULL };

    open_options();
    assert_int_equal(iooptions_parse(table, 4, (char **)arguments), 3);
    assert_int_equal(mine, 1);
    assert_int_equal(iooptions_integer(NULL, "port"), 1);
    assert_string_equal(iooptions_string(NULL, "logging"), "warning");
    assert_null(iooptions_find(&set, "port"));
    iooptions_set_output(NULL, said.file);
    assert_int_equal(iooptions_parse(table, 4, (char **)arguments), -EEXIST);
    assert_said("main: the options cannot be defined: exists already\n");
    iooptions_free(NULL);
    assert_int_equal(mine, 8888);
    arguments[1] = "--logging=error";
    assert_int_equal(iooptions_parse(table, 2, (char **)arguments), 2);
    assert_false(iolog_says(IOLOG_WARNING));
    iolog_set_level(IOLOG_WARNING);
    iooptions_free(NULL);
    close_options();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_option_is_defined_once),
    cmocka_unit_test(a_dash_and_an_underscore_are_the_same_name),
    cmocka_unit_test(names_that_no_command_line_could_have_are_refused),
    cmocka_unit_test(an_option_has_exactly_one_type),
    cmocka_unit_test(a_table_is_defined_whole_or_not_at_all),
    cmocka_unit_test(values_are_set_and_read_by_name),
    cmocka_unit_test(a_value_of_another_type_is_refused),
    cmocka_unit_test(values_stay_within_their_bounds),
    cmocka_unit_test(numbers_that_are_not_finite_are_refused),
    cmocka_unit_test(a_choice_is_one_of_them),
    cmocka_unit_test(its_callback_is_called_whenever_it_is_set),
    cmocka_unit_test(callbacks_may_define_options),
    cmocka_unit_test(options_can_be_listed),
    cmocka_unit_test(a_list_has_names_as_they_were_defined),
    cmocka_unit_test(what_was_set_is_known),
    cmocka_unit_test(freeing_a_set_gives_the_variables_their_defaults),
    cmocka_unit_test(the_set_of_the_process_is_one_more),
};

TESTING_MAIN(tests)
