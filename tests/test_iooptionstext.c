/* What texts make of variables, and variables of texts. Of a single value see test_iooptionvalue.c. */
#include <errno.h>
#include <math.h>

#include "ioloop/iooptions.h"
#include "tests/support/optionscene.h"

static struct {
    bool boolean;
    int integer;
    int64_t integer64;
    double number, duration;
    struct tm datetime;
    const char *string, *mode;
    struct iooptions_integers integers;
    struct iooptions_numbers numbers, durations;
    struct iooptions_strings strings, modes;
    char own[32];
} values;

/* A type of the program's own: what contains an @. */
static int parse_address(const char *text, void *arg)
{
    if (strchr(text, '@') == NULL)
        return -EBADMSG;
    assert_ptr_equal(arg, values.own);
    strncpy(values.own, text, sizeof values.own - 1);
    return 0;
}

static void open_all(void)
{
    memset(&values, 0, sizeof values);
    open_options();
    define({ .name = "boolean", .boolean = &values.boolean });
    define({ .name = "integer", .integer = &values.integer });
    define({ .name = "integer64", .integer64 = &values.integer64 });
    define({ .name = "number", .number = &values.number });
    define({ .name = "duration", .duration = &values.duration });
    define({ .name = "datetime", .datetime = &values.datetime });
    define({ .name = "string", .string = &values.string });
    define({ .name = "mode", .string = &values.mode, .choices = "size|time" });
    define({ .name = "integers", .integers = &values.integers });
    define({ .name = "numbers", .numbers = &values.numbers });
    define({ .name = "durations", .durations = &values.durations });
    define({ .name = "strings", .strings = &values.strings });
    define({ .name = "modes", .strings = &values.modes, .choices = "size|time" });
    define({ .name = "own", .parse = parse_address, .arg = values.own });
}

/* What has been set comes back as wanted; NULL: as it was written. */
static void assert_text(const char *name, const char *text, const char *wanted)
{
    char back[1000];

    wanted = wanted != NULL ? wanted : text;
    if (iooptions_set(&set, name, text) != 0)
        fail_msg("%s=%s is refused", name, text);
    assert_int_equal(iooptions_format(&set, name, back, sizeof back), strlen(wanted));
    assert_string_equal(back, wanted);
    if (iooptions_set(&set, name, back) != 0)
        fail_msg("%s=%s, which was written, is refused", name, back);
    assert_int_equal(iooptions_format(&set, name, back, sizeof back), strlen(wanted));
    assert_string_equal(back, wanted);
}

/* options_test:test_types, with --name=value; the same in a file is in test_iooptionsread.c. */
static void each_type_is_read(void **state)
{
    open_all();
    assert_int_equal(parse("--string=asdf", "--integer=42", "--integer64=-42", "--number=1.5", "--boolean",
                           "--datetime=2013-04-28 05:16", "--duration=45s", "--own=tornado@web.com", "--integers=1,2,3",
                           "--strings=a,b,c"),
                     11);
    assert_string_equal(values.string, "asdf");
    assert_int_equal(values.integer, 42);
    assert_int_equal(values.integer64, -42);
    assert_true(values.number == 1.5);
    assert_true(values.boolean);
    assert_int_equal(values.datetime.tm_year, 113);
    assert_int_equal(values.datetime.tm_min, 16);
    assert_true(values.duration == 45);
    assert_string_equal(values.own, "tornado@web.com");
    assert_int_equal(values.integers.count, 3);
    assert_int_equal(values.integers.items[2], 3);
    assert_int_equal(values.strings.count, 3);
    assert_string_equal(values.strings.items[2], "c");
    close_options();
}

static void a_text_comes_back_as_one_of_the_same_value(void **state)
{
    open_all();
    assert_text("boolean", "YES", "true");
    assert_text("boolean", "0", "false");
    assert_text("integer", "-42", NULL);
    assert_text("integer64", "-9223372036854775808", NULL);
    assert_text("number", "1.50", "1.5");
    assert_text("duration", "1h30m", "5400s");
    assert_text("duration", "1us", "1e-06s");
    assert_text("datetime", "20130428 5:16", "2013-04-28 05:16:00");
    assert_text("datetime", "10:30", "1900-01-01 10:30:00");
    assert_text("string", "any text, with 'all' of it\t", NULL);
    assert_text("string", "", NULL);
    assert_text("mode", "TIME", "time");
    assert_text("integers", "1, 2,3:5", "1,2,3,4,5");
    assert_text("numbers", "1.5,2 , 1e3", "1.5,2,1000");
    assert_text("durations", "1h,500ms, 3", "3600s,0.5s,3s");
    assert_text("strings", "a, b,,c", NULL);
    assert_text("modes", "Size,TIME,size", "size,time,size");
    close_options();
}

static void what_is_no_value_changes_nothing(void **state)
{
    static const struct {
        const char *name, *good, *bad;
        int error;
    } rows[] = {
        { "boolean", "true", "maybe", -EINVAL },
        { "integer", "1", "1.5", -EINVAL },
        { "integer", "1", "2147483648", -ERANGE },
        { "integer", "1", "9223372036854775808", -EINVAL },
        { "integer64", "1", "9223372036854775808", -EINVAL },
        { "number", "1.5", "1,5", -EINVAL },
        { "duration", "90s", "1 fortnight", -EINVAL },
        { "datetime", "2013-04-28 05:16:00", "2013-04-31", -EINVAL },
        { "mode", "size", "both", -EINVAL },
        { "integers", "1,2", "1,x", -EINVAL },
        { "integers", "1,2", "1,", -EINVAL },
        { "integers", "1,2", "5:1", -EINVAL },
        { "numbers", "1,2", "1,,2", -EINVAL },
        { "numbers", "1,2", "1:2", -EINVAL },
        { "durations", "1s,2s", "1s,x", -EINVAL },
        { "modes", "size,time", "size,both", -EINVAL },
        { "own", "", "no address", -EBADMSG },
    };
    char text[100];

    open_all();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool is_own = strcmp(rows[i].name, "own") == 0;
        if (!is_own)
            assert_int_equal(iooptions_set(&set, rows[i].name, rows[i].good), 0);
        if (iooptions_set(&set, rows[i].name, rows[i].bad) != rows[i].error)
            fail_msg("%s=%s does not fail", rows[i].name, rows[i].bad);
        assert_int_equal(iooptions_format(&set, rows[i].name, text, sizeof text),
                         is_own ? -ENOTSUP : (int)strlen(rows[i].good));
        if (!is_own)
            assert_string_equal(text, rows[i].good);
    }
    close_options();
}

/* options_test:test_multiple_string */
static void strings_are_separated_by_commas(void **state)
{
    static const struct {
        const char *text;
        const char *items[4];
    } rows[] = {
        { "--strings=a,b,c", { "a", "b", "c" } },
        { "--strings=a", { "a" } },
        { "--strings=", { NULL } },
        { "--strings=,", { "", "" } },
        { "--strings=a,", { "a", "" } },
        { "--strings= a b ,c=d", { " a b ", "c=d" } },
    };

    open_all();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t count = 0;
        assert_int_equal(parse(rows[i].text), 2);
        for (; rows[i].items[count] != NULL; count++) {
            assert_true(count < values.strings.count);
            assert_string_equal(values.strings.items[count], rows[i].items[count]);
        }
        assert_int_equal(values.strings.count, count);
    }
    close_options();
}

/* options_test:test_multiple_int */
static void integers_may_be_ranges(void **state)
{
    static const struct {
        const char *text;
        int64_t items[6], count;
    } rows[] = {
        { "--integers=1,3,5:7", { 1, 3, 5, 6, 7 }, 5 },
        { "--integers=-1:1", { -1, 0, 1 }, 3 },
        { "--integers=9223372036854775806:9223372036854775807", { INT64_MAX - 1, INT64_MAX }, 2 },
        { "--integers=7:7", { 7 }, 1 },
        { "--integers=", { 0 }, 0 },
        { "--integers= 1 , 2:3 ", { 1, 2, 3 }, 3 },
    };

    open_all();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(parse(rows[i].text), 2);
        assert_int_equal(values.integers.count, rows[i].count);
        for (size_t k = 0; k < values.integers.count; k++)
            assert_true(values.integers.items[k] == rows[i].items[k]);
    }
    close_options();
}

static void bounds_hold_for_each_of_a_list(void **state)
{
    struct iooptions_integers ports = { NULL, 0 };
    struct iooptions_numbers shares = { NULL, 0 };

    open_options();
    define({ .name = "ports", .integers = &ports, .minimum = 1, .maximum = 10 });
    define({ .name = "shares", .numbers = &shares, .maximum = 1 });
    assert_int_equal(iooptions_set(&set, "ports", "1,10,2:9"), 0);
    assert_int_equal(iooptions_set(&set, "ports", "1,11"), -ERANGE);
    assert_int_equal(iooptions_set(&set, "ports", "5:11"), -ERANGE);
    assert_int_equal(iooptions_set(&set, "ports", "0:5"), -ERANGE);
    assert_int_equal(ports.count, 10);
    assert_int_equal(iooptions_set(&set, "shares", "0,0.5,1"), 0);
    assert_int_equal(iooptions_set(&set, "shares", "0,0.5,1.5"), -ERANGE);
    assert_int_equal(shares.count, 3);
    close_options();
}

static void a_list_has_ten_thousand_values_at_most(void **state)
{
    static char text[2 * 10001 + 1];
    static const struct {
        const char *range;
        int error;
    } rows[] = { { "1:10000", 0 },
                 { "0:10000", -EINVAL },
                 { "5,1:9999", 0 },
                 { "5,1:10000", -EINVAL },
                 { "-9223372036854775808:9223372036854775807", -EINVAL } };

    open_all();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(iooptions_set(&set, "integers", rows[i].range), rows[i].error);
    assert_int_equal(values.integers.count, 10000);
    for (int i = 0; i < 10001; i++)
        memcpy(text + 2 * i, "1,", 2);
    text[2 * 10001 - 1] = '\0'; /* 10,001 values */
    assert_int_equal(iooptions_set(&set, "numbers", text), -EINVAL);
    assert_int_equal(iooptions_set(&set, "strings", text), -EINVAL);
    assert_int_equal(iooptions_set(&set, "numbers", text + 2), 0);
    assert_int_equal(iooptions_set(&set, "strings", text + 2), 0);
    assert_int_equal(values.numbers.count, 10000);
    assert_int_equal(values.strings.count, 10000);
    assert_string_equal(values.strings.items[9999], "1");
    close_options();
}

static void what_is_too_long_for_the_place_is_cut(void **state)
{
    char place[1 + 8], *text = place + 1;

    open_all();
    assert_int_equal(iooptions_set(&set, "strings", "ab,cd,ef"), 0);
    for (size_t size = 0; size <= 8; size++) {
        memset(place, '#', sizeof place);
        assert_int_equal(iooptions_format(&set, "strings", text, size), 8);
        assert_int_equal(place[0], '#');
        for (size_t i = 0; i < 8; i++)
            assert_int_equal(text[i], i + 1 < size ? "ab,cd,ef"[i] : i + 1 == size ? '\0' : '#');
    }
    close_options();
}

static int count_call(const struct iooption *option, void *arg)
{
    assert_string_equal(option->name, "own");
    ++*(int *)arg;
    return 0;
}

static int check_text(const char *text, void *arg)
{
    return strcmp(text, "a text of 20 letters") == 0 || strcmp(text, "a text of 23 letters...") == 0 ? 0 : -EINVAL;
}

static void a_type_of_the_program_gets_the_text_and_nothing_behind_it(void **state)
{
    int calls = 0;

    open_options();
    define({ .name = "own", .parse = check_text, .callback = count_call, .arg = &calls });
    assert_int_equal(iooptions_set(&set, "own", "a text of 24 letters...."), -EINVAL);
    assert_false(iooptions_is_set(&set, "own"));
    assert_int_equal(calls, 0);
    assert_int_equal(iooptions_set(&set, "own", "a text of 23 letters..."), 0);
    assert_int_equal(iooptions_set(&set, "own", "a text of 20 letters"), 0);
    assert_true(iooptions_is_set(&set, "own"));
    assert_int_equal(calls, 2);
    close_options();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_type_is_read),
    cmocka_unit_test(a_text_comes_back_as_one_of_the_same_value),
    cmocka_unit_test(what_is_no_value_changes_nothing),
    cmocka_unit_test(strings_are_separated_by_commas),
    cmocka_unit_test(integers_may_be_ranges),
    cmocka_unit_test(bounds_hold_for_each_of_a_list),
    cmocka_unit_test(a_list_has_ten_thousand_values_at_most),
    cmocka_unit_test(a_type_of_the_program_gets_the_text_and_nothing_behind_it),
    cmocka_unit_test(what_is_too_long_for_the_place_is_cut),
};

TESTING_MAIN(tests)
