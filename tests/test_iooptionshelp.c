#include "ioloop/iooptions.h"

#include <errno.h>

#include "tests/support/optionscene.h"

/* The whole of it, of a set with everything. */
static void help_lists_groups_wrapped_at_79_columns(void **state)
{
    int port = 8888;
    bool verbose = false, color = true;
    double timeout = 90, share = 0.5;
    const char *root = ".", *mode = "size", *none = NULL;
    struct tm when = { 0 };
    struct iooptions_strings names = { NULL, 0 };
    struct iooptions_integers ports = { (const int64_t[]){ 1, 2 }, 2 };

    open_options();
    define({ .name = "port", .integer = &port, .help = "listen here" });
    define({ .name = "verbose", .boolean = &verbose, .help = "say more" });
    define({ .name = "ratio", .number = &share, .group = "More" });
    define({ .name = "color", .boolean = &color, .help = "in colours" });
    define({ .name = "time_out",
             .duration = &timeout,
             .help = "how long a client may take for all of this before it is told that it takes too long" });
    define({ .name = "root", .string = &root, .metavar = "FOLDER", .group = "Other" });
    define({ .name = "an-option-with-a-name-so-long", .string = &none, .help = "just too long" });
    define({ .name = "this-option-fits-in-exactly", .integer = &port, .metavar = "XX", .help = "fits" });
    define({ .name = "mode", .string = &mode, .choices = "size|time", .group = "More" });
    define({ .name = "when", .datetime = &when, .help = "\n a  b\tc " });
    define({ .name = "names", .strings = &names });
    define({ .name = "ports", .integers = &ports });
    assert_int_equal(parse("--port=1", "--help"), 0);
    assert_said("Usage: main [OPTIONS]\n"
                "\n"
                "Options:\n"
                "\n"
                "  --help                           show this help information\n"
                "  --port=N                         listen here (default 8888)\n"
                "  --verbose                        say more\n"
                "  --color                          in colours (default true)\n"
                "  --time-out=TIME                  how long a client may take for all of this\n"
                "                                   before it is told that it takes too long\n"
                "                                   (default 90s)\n"
                "  --an-option-with-a-name-so-long=TEXT\n"
                "                                   just too long\n"
                "  --this-option-fits-in-exactly=XX fits (default 8888)\n"
                "  --when=DATE                      a b c\n"
                "  --names=TEXT,...                 \n"
                "  --ports=N,N:N                    (default 1,2)\n"
                "\n"
                "More options:\n"
                "\n"
                "  --ratio=NUMBER                   (default 0.5)\n"
                "  --mode=size|time                 (default size)\n"
                "\n"
                "Other options:\n"
                "\n"
                "  --root=FOLDER                    (default .)\n"
                "\n");
    close_options();
}

static void a_word_longer_than_a_line_is_broken(void **state)
{
    bool flag = false;
    char help[200];

    memset(help, 'x', sizeof help);
    help[5] = ' ';
    help[6 + 44 + 44 + 1] = '\0';
    open_options();
    define({ .name = "a", .boolean = &flag, .help = help });
    assert_int_equal(parse("--help"), 0);
    const char *text = strstr(what_was_said(), "  --a ");
    assert_non_null(text);
    char wanted[400];
    snprintf(wanted, sizeof wanted, "  --a%30sxxxxx\n%35s%.44s\n%35s%.44s\n%35sx\n\n", "", "", help + 6, "", help + 6,
             "");
    assert_string_equal(text, wanted);
    close_options();
}

static void a_line_is_used_to_its_last_column(void **state)
{
    bool flag = false;
    static const char fits[] = "xxxxxxxxxxxxxxxxxxxxx yyyyyyyyyyyyyyyyyyyyyy",
                      over[] = "xxxxxxxxxxxxxxxxxxxxxx yyyyyyyyyyyyyyyyyyyyyy";

    open_options();
    define({ .name = "a", .boolean = &flag, .help = fits });
    define({ .name = "b", .boolean = &flag, .help = over });
    assert_int_equal(parse("--help"), 0);
    const char *text = what_was_said();
    assert_non_null(strstr(text, "xxxxxxxxxxxxxxxxxxxxx yyyyyyyyyyyyyyyyyyyyyy\n"));
    assert_non_null(strstr(text, "xxxxxxxxxxxxxxxxxxxxxx\n"));
    close_options();
}

/* As wide as they are long in characters, not in bytes. */
static void a_line_counts_characters(void **state)
{
    bool flag = false;
    char help[200] = "", wanted[300];

    for (int i = 0; i < 44; i++)
        strcat(help, "\xc3\xa4");
    strcat(help, " b");
    open_options();
    define({ .name = "\xc3\xa4", .boolean = &flag, .help = help });
    assert_int_equal(parse("--help"), 0);
    snprintf(wanted, sizeof wanted, "  --\xc3\xa4%30s%.88s\n%35sb\n\n", "", help, "");
    assert_string_equal(strstr(what_was_said(), "  --\xc3\xa4"), wanted);
    close_options();
}

static void every_line_of_long_words_fits(void **state)
{
    bool flag = false;

    for (size_t length = 1; length < 100; length++) {
        char help[400] = "";
        for (size_t i = 0; i < sizeof help - 1; i++)
            help[i] = (i + 1) % (length + 1) == 0 ? ' ' : 'x';
        open_options();
        define({ .name = "a", .boolean = &flag, .help = help });
        assert_int_equal(parse("--help"), 0);
        char *text = strstr(what_was_said(), "  --a "), *line;
        size_t letters = 0, wanted = 0;
        for (const char *at = text + 5; *at != '\0'; at++)
            letters += *at == 'x';
        for (const char *at = help; *at != '\0'; at++)
            wanted += *at == 'x';
        assert_int_equal(letters, wanted);
        while ((line = strsep(&text, "\n")) != NULL)
            assert_true(strlen(line) <= 79 && (line[0] == '\0' || line[strlen(line) - 1] == 'x'));
        close_options();
    }
}

static void every_type_says_what_its_value_is(void **state)
{
    int64_t large = 7;
    struct iooptions_numbers numbers = { NULL, 0 };
    const char *text = NULL;

    open_options();
    define({ .name = "large", .integer64 = &large });
    define({ .name = "numbers", .numbers = &numbers });
    define({ .name = "durations", .durations = &numbers });
    define({ .name = "text", .string = &text });
    assert_int_equal(parse("--help"), 0);
    const char *help = what_was_said();
    assert_non_null(strstr(help, "  --large=N                        (default 7)\n"));
    assert_non_null(strstr(help, "  --numbers=NUMBER,...             \n"));
    assert_non_null(strstr(help, "  --durations=TIME,...             \n"));
    assert_non_null(strstr(help, "  --text=TEXT                      \n"));
    close_options();
}

static void a_set_without_options_has_help(void **state)
{
    open_options();
    iooptions_print_help(&set);
    assert_said("Usage:  [OPTIONS]\n\nOptions:\n\n  --help                           show this help information\n\n");
    close_options();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(help_lists_groups_wrapped_at_79_columns), cmocka_unit_test(a_word_longer_than_a_line_is_broken),
    cmocka_unit_test(a_line_is_used_to_its_last_column),       cmocka_unit_test(a_line_counts_characters),
    cmocka_unit_test(every_line_of_long_words_fits),           cmocka_unit_test(every_type_says_what_its_value_is),
    cmocka_unit_test(a_set_without_options_has_help),
};

TESTING_MAIN(tests)
