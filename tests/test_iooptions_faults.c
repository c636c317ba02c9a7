/* Every allocation and every system call of options fails, one after the other: the answer says so, what was set before
 * is as it was, and nothing leaks. */
#include "ioloop/iooptions.h"

#include <errno.h>

#include "ioloop/iolog.h"
#include "tests/support/folder.h"
#include "tests/support/optionscene.h"

static struct {
    const char *string;
    struct iooptions_integers integers;
    struct iooptions_numbers numbers;
    struct iooptions_strings strings;
} values;

static int parse_own(const char *text, void *arg)
{
    return 0;
}

static int do_nothing(struct iooptions *options, void *arg)
{
    return 0;
}

static const struct iooption table[] = {
    { .name = "string", .string = &values.string },
    { .name = "integers", .integers = &values.integers },
    { .name = "numbers", .numbers = &values.numbers },
    { .name = "strings", .strings = &values.strings },
    { .name = "own", .parse = parse_own },
    { 0 },
};

/* Each way to allocate, up to the first that cannot. */
static int use_all(void)
{
    int error = iooptions_define_table(&set, table);

    if (error == 0)
        error = iooptions_add_logging(&set, NULL);
    if (error == 0)
        error = iooptions_add_parse_callback(&set, do_nothing, NULL);
    if (error == 0)
        error = parse_a_part("--string=a", "--integers=1:100", "--numbers=1,2,3,4,5,6,7,8,9", "--strings=a,b",
                             "--own=x", "--logging=error");
    return error < 0 ? error : 0;
}

static void assert_defaults(void)
{
    assert_null(values.string);
    assert_true(values.integers.items == NULL && values.integers.count == 0);
    assert_true(values.numbers.items == NULL && values.numbers.count == 0);
    assert_true(values.strings.items == NULL && values.strings.count == 0);
}

static void any_allocation_may_fail(void **state)
{
    int nth = 0;

    for (bool is_through = false; !is_through;) {
        open_options();
        faults_allocation(++nth, false);
        int error = use_all();
        is_through = error == 0;
        assert_true(is_through || error == -ENOMEM);
        faults_allocation(0, false);
        close_options();
        assert_defaults();
    }
    assert_in_range(nth, 25, 200);
}

/* What failed is done again, on the same set, and is complete then. */
static void what_failed_can_be_done_again(void **state)
{
    for (int nth = 1; nth < 60; nth++) {
        open_options();
        faults_allocation(nth, false);
        int error = iooptions_define_table(&set, table);
        if (error < 0)
            error = iooptions_define_table(&set, table);
        assert_int_equal(error, 0);
        error = iooptions_add_logging(&set, NULL);
        if (error < 0)
            error = iooptions_add_logging(&set, NULL);
        assert_int_equal(error, 0);
        faults_allocation(0, false);
        assert_null(iooptions_at(&set, 1 + 5 + 8));
        assert_non_null(iooptions_at(&set, 5 + 8));
        close_options();
    }
}

static void a_value_that_has_no_room_leaves_the_old_one(void **state)
{
    static const char *const names[] = { "string", "integers", "numbers", "strings", "own" };
    static const char *const new_values[] = { "new", "1:100", "1,2,3,4,5,6,7,8,9", "x,y", "x" };
    char text[100];

    for (size_t i = 0; i < 5; i++) {
        for (int nth = 1;; nth++) {
            open_options();
            assert_int_equal(iooptions_define_table(&set, table), 0);
            assert_int_equal(iooptions_set(&set, names[i], "7"), 0);
            faults_allocation(nth, false);
            int error = iooptions_set(&set, names[i], new_values[i]);
            faults_allocation(0, false);
            if (error == -ENOMEM && i < 4) {
                assert_int_equal(iooptions_format(&set, names[i], text, sizeof text), 1);
                assert_string_equal(text, "7");
            }
            close_options();
            assert_true(error == 0 || error == -ENOMEM);
            assert_true(error == -ENOMEM || nth > 1);
            if (error == 0)
                break;
        }
    }
}

static void that_there_is_no_memory_is_said(void **state)
{
    open_options();
    assert_int_equal(iooptions_define_table(&set, table), 0);
    faults_allocation(1, false);
    assert_int_equal(parse("--string=a"), -ENOMEM);
    faults_allocation(0, false);
    assert_said("main: --string=a: out of memory\nUsage: main [OPTIONS], see main --help\n");
    close_options();
}

static void any_call_for_a_file_may_fail(void **state)
{
    static const struct {
        const char *call;
        int error;
    } rows[] = { { "open", EMFILE }, { "read", EIO } };
    struct folder folder;

    folder_open(&folder);
    folder_write(&folder, "options", "string = a\n");
    for (size_t i = 0; i < 2; i++) {
        open_options();
        assert_int_equal(iooptions_define_table(&set, table), 0);
        faults_system_call(rows[i].call, rows[i].error, 1);
        assert_int_equal(iooptions_parse_config_file(&set, folder_place(&folder, "options"), true), -rows[i].error);
        assert_true(faults_hit());
        assert_true(strlen(what_was_said()) > 0);
        assert_null(values.string);
        faults_allocation(1, false);
        assert_int_equal(iooptions_parse_config_file(&set, folder_place(&folder, "options"), true), -ENOMEM);
        faults_end();
        faults_system_call("read", EINTR, 1);
        faults_short_io(1);
        assert_int_equal(iooptions_parse_config_file(&set, folder_place(&folder, "options"), true), 0);
        faults_end();
        assert_string_equal(values.string, "a");
        close_options();
    }
    folder_close(&folder);
}

static void a_log_file_that_fails_is_told(void **state)
{
    struct folder folder;
    char argument[200];

    folder_open(&folder);
    snprintf(argument, sizeof argument, "--log-file-prefix=%s", folder_place(&folder, "log"));
    open_options();
    assert_int_equal(iooptions_add_logging(&set, NULL), 0);
    faults_system_call("open", EACCES, 1);
    assert_int_equal(parse(argument), -EACCES);
    faults_end();
    faults_allocation(2, false); /* the first is the text */
    assert_int_equal(parse(argument), -ENOMEM);
    faults_allocation(0, false);
    assert_true(iolog_says(IOLOG_WARNING) && !iolog_says(IOLOG_INFO));
    close_options();
    folder_close(&folder);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(any_allocation_may_fail),
    cmocka_unit_test(what_failed_can_be_done_again),
    cmocka_unit_test(a_value_that_has_no_room_leaves_the_old_one),
    cmocka_unit_test(that_there_is_no_memory_is_said),
    cmocka_unit_test(any_call_for_a_file_may_fail),
    cmocka_unit_test(a_log_file_that_fails_is_told),
};

TESTING_MAIN(tests)
