/* Command lines and files: what they set, where they end, and what is said of what is wrong with them. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ioloop/iooptions.h"
#include "tests/support/folder.h"
#include "tests/support/optionscene.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define USAGE        "Usage: main [OPTIONS], see main --help\n"

static int port;
static bool verbose, quiet;
static const char *name;
static const char *mode;

static void open_some(void)
{
    port = 80;
    verbose = quiet = false;
    name = mode = NULL;
    open_options();
    define({ .name = "port", .integer = &port, .maximum = 65535 });
    define({ .name = "verbose", .boolean = &verbose });
    define({ .name = "no-quiet", .boolean = &quiet });
    define({ .name = "user_name", .string = &name });
    define({ .name = "mode", .string = &mode, .choices = "size|time" });
}

/* options_test:test_parse_command_line */
static void a_command_line_sets_options(void **state)
{
    open_some();
    assert_int_equal(parse("--port=443"), 2);
    assert_int_equal(port, 443);
    assert_int_equal(parse("--port=1", "--user-name=a=b", "--port=2"), 4);
    assert_int_equal(port, 2);
    assert_string_equal(name, "a=b");
    assert_int_equal(parse("--user-name="), 2);
    assert_string_equal(name, "");
    assert_said("");
    close_options();
}

static void any_number_of_dashes_will_do(void **state)
{
    static const char *const arguments[] = { "-port=1", "--port=1", "---port=1", "----------port=1" };

    for (size_t i = 0; i < COUNT(arguments); i++) {
        open_some();
        assert_int_equal(parse(arguments[i]), 2);
        assert_int_equal(port, 1);
        close_options();
    }
}

/* options_test:test_dash_underscore_cli */
static void a_dash_is_an_underscore_on_a_command_line(void **state)
{
    static const char *const names[] = { "foo-bar", "foo_bar" };
    static const char *const arguments[] = { "--foo-bar=a", "--foo_bar=a" };

    for (int i = 0; i < 4; i++) {
        const char *value = NULL;
        open_options();
        define({ .name = names[i / 2], .string = &value });
        assert_int_equal(parse(arguments[i % 2]), 2);
        assert_string_equal(value, "a");
        iooptions_print_help(&set);
        assert_non_null(strstr(what_was_said(), "--foo-bar=TEXT"));
        close_options();
    }
}

static void a_boolean_needs_no_value(void **state)
{
    static const struct {
        const char *argument;
        int verbose; /* -1: refused */
    } rows[] = {
        { "--verbose", 1 },       { "--verbose=true", 1 }, { "--verbose=0", 0 },   { "--verbose=F", 0 },
        { "--no-verbose", 0 },    { "--no_verbose", 0 },   { "--verbose=", -1 },   { "--verbose=maybe", -1 },
        { "--no-verbose=1", -1 }, { "--noverbose", -1 },   { "--no-", -1 },        { "--no-no-verbose", -1 },
        { "--na-verbose", -1 },   { "--xo-verbose", -1 },  { "--no.verbose", -1 }, { "--no-port", -1 },
        { "--no-user-name", -1 },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        for (int before = 0; before < 2; before++) {
            open_some();
            verbose = before;
            assert_int_equal(parse(rows[i].argument), rows[i].verbose < 0 ? -EINVAL : 2);
            assert_int_equal(verbose, rows[i].verbose < 0 ? before : rows[i].verbose);
            close_options();
        }
    }
}

/* One that is called no-quiet is no other's opposite; its own opposite has two. */
static void a_name_that_begins_with_no_is_a_name(void **state)
{
    bool other = true;

    open_some();
    define({ .name = "quiet", .boolean = &other });
    assert_int_equal(parse("--no-quiet"), 2);
    assert_true(quiet && other);
    assert_int_equal(parse("--no-no-quiet"), 2);
    assert_true(!quiet && other);
    define({ .name = "q", .boolean = &other });
    assert_int_equal(parse("--no-q"), 2);
    assert_false(other);
    close_options();
}

/* options_test:test_subcommand */
static void a_command_line_ends_at_the_first_that_is_no_option(void **state)
{
    static const struct {
        const char *arguments[5];
        int rest;
    } rows[] = {
        { { "main" }, 1 },
        { { "main", "rest" }, 1 },
        { { "main", "--verbose", "subcommand", "--foo=bar" }, 2 },
        { { "main", "--verbose", "--", "--foo=bar" }, 3 },
        { { "main", "--verbose", "--" }, 3 },
        { { "main", "--verbose", "-", "--foo=bar" }, 2 },
        { { "main", "--verbose", "", "--foo=bar" }, 2 },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        int count = 0;
        open_some();
        while (rows[i].arguments[count] != NULL)
            count++;
        assert_int_equal(parse_arguments(count, (const char **)rows[i].arguments, true), rows[i].rest);
        assert_said("");
        close_options();
    }
}

static void the_rest_is_the_command_line_of_another_set(void **state)
{
    const char *arguments[] = { "main", "--verbose", "subcommand", "--foo=bar", NULL };
    struct iooptions sub = { 0 };
    const char *foo = NULL;

    open_some();
    iooptions_set_output(&sub, said.file);
    assert_int_equal(iooptions_define(&sub, &(struct iooption){ .name = "foo", .string = &foo }), 0);
    int rest = parse_arguments(4, arguments, true);
    assert_int_equal(rest, 2);
    assert_true(verbose);
    assert_int_equal(iooptions_parse_command_line(&sub, 4 - rest, (char **)arguments + rest, true), 2);
    assert_string_equal(foo, "bar");
    arguments[3] = "--verbose";
    assert_int_equal(iooptions_parse_command_line(&sub, 4 - rest, (char **)arguments + rest, true), -EINVAL);
    assert_said("subcommand: unknown option --verbose\n"
                "Usage: subcommand [OPTIONS], see subcommand --help\n");
    iooptions_free(&sub);
    close_options();
}

static void what_is_wrong_with_an_argument_is_said(void **state)
{
    static const struct {
        const char *argument, *text;
    } rows[] = {
        { "--prot=1", "unknown option --prot=1" },
        { "-x", "unknown option -x" },
        { "---", "unknown option ---" },
        { "--=1", "unknown option --=1" },
        { "--por=1", "unknown option --por=1" },
        { "--port-=1", "unknown option --port-=1" },
        { "--Port=1", "unknown option --Port=1" },
        { "--port", "a value is wanted by --port" },
        { "--no-verbose=1", "no value is wanted by --no-verbose=1" },
        { "--port=", "--port=: not an integer" },
        { "--port=a", "--port=a: not an integer" },
        { "--port=65536", "--port=65536: not from 0 to 65535" },
        { "--verbose=maybe", "--verbose=maybe: neither true nor false" },
        { "--mode=both", "--mode=both: not one of size|time" },
        { "--user_nam\x1b[2J\n", "unknown option --user_nam\\x1b[2J" },
        { "--port=\xff\x9b", "--port=\\xff\\x9b: not an integer" },
    };
    char wanted[300];

    for (size_t i = 0; i < COUNT(rows); i++) {
        open_some();
        assert_int_equal(parse("--verbose", rows[i].argument, "--user-name=x"), -EINVAL);
        snprintf(wanted, sizeof wanted, "main: %s\n%s", rows[i].text, USAGE);
        assert_said(wanted);
        assert_true(verbose);
        assert_null(name);
        assert_int_equal(port, 80);
        close_options();
    }
}

static void a_long_argument_is_cut_where_it_is_shown(void **state)
{
    static char argument[100000] = "--port=";

    memset(argument + 7, 'x', sizeof argument - 8);
    open_some();
    assert_int_equal(parse(argument), -EINVAL);
    assert_in_range(strlen(what_was_said()), 100, 250);
    argument[0] = argument[3] = 'p';
    argument[0] = '-';
    assert_int_equal(parse(argument), -EINVAL);
    assert_in_range(strlen(what_was_said()), 200, 400);
    memset(argument, '\x01', sizeof argument - 1);
    argument[0] = '-';
    assert_int_equal(parse(argument), -EINVAL);
    assert_in_range(strlen(what_was_said()), 4 * 199, 4 * 199 + 100);
    close_options();
}

static void the_program_is_called_by_its_last_name(void **state)
{
    const char *arguments[] = { "/usr/bin/server", "-x", NULL };

    open_some();
    assert_int_equal(parse_arguments(2, arguments, true), -EINVAL);
    assert_said("server: unknown option -x\nUsage: server [OPTIONS], see server --help\n");
    arguments[0] = NULL;
    assert_int_equal(parse_arguments(0, arguments, true), 1);
    close_options();
}

/* options_test:test_help, without the exit, which is the program's: 0 stands for it. */
static void help_is_an_option(void **state)
{
    static const char *const arguments[] = { "--help", "-help", "--help=true" };

    for (size_t i = 0; i < COUNT(arguments); i++) {
        open_some();
        assert_int_equal(parse("--verbose", arguments[i], "--port=1"), 0);
        assert_memory_equal(what_was_said(), "Usage: main [OPTIONS]\n", 22);
        assert_int_equal(port, 80);
        close_options();
    }
}

static void help_goes_to_stderr(void **state)
{
    const char *arguments[] = { "main", "--help", NULL };
    char text[2000];
    int fds[2], real = dup(2);

    open_some();
    iooptions_set_output(&set, NULL);
    assert_int_equal(pipe(fds), 0);
    dup2(fds[1], 2);
    assert_int_equal(parse_arguments(2, arguments, true), 0);
    dup2(real, 2);
    close(real);
    close(fds[1]);
    ssize_t count = read(fds[0], text, sizeof text - 1);
    assert_true(count > 0);
    close(fds[0]);
    text[count] = '\0';
    assert_non_null(strstr(text, "--verbose"));
    close_options();
}

static int count_call(struct iooptions *options, void *arg)
{
    assert_ptr_equal(options, &set);
    return ++*(int *)arg < 100 ? 0 : -EPERM;
}

/* options_test:test_parse_callbacks */
static void parse_callbacks_are_called_after_the_last_parse(void **state)
{
    struct folder folder;
    int calls = 0, others = 0;

    open_some();
    folder_open(&folder);
    folder_write(&folder, "options", "port = 1\n");
    assert_int_equal(iooptions_add_parse_callback(&set, count_call, &calls), 0);
    assert_int_equal(iooptions_add_parse_callback(&set, count_call, &others), 0);
    assert_int_equal(parse_a_part("--port=1"), 2);
    assert_int_equal(iooptions_parse_config_file(&set, folder_place(&folder, "options"), false), 0);
    assert_int_equal(calls, 0);
    assert_int_equal(parse("--port=1"), 2);
    assert_int_equal(calls, 1);
    assert_int_equal(parse_a_part("--port=1"), 2);
    assert_int_equal(calls, 1);
    assert_int_equal(iooptions_parse_config_file(&set, folder_place(&folder, "options"), true), 0);
    assert_int_equal(calls, 2);
    assert_int_equal(iooptions_run_parse_callbacks(&set), 0);
    assert_int_equal(calls, 3);
    assert_int_equal(parse("--help"), 0);
    assert_int_equal(parse("--port=x"), -EINVAL);
    assert_int_equal(calls, 3);
    calls = 99;
    assert_int_equal(parse("--port=1"), -EPERM);
    assert_int_equal(others, 3);
    folder_close(&folder);
    close_options();
}

static struct folder files;

static int read_options(const char *text)
{
    folder_write(&files, "options", text);
    return iooptions_parse_config_file(&set, folder_place(&files, "options"), true);
}

/* options_test:test_parse_config_file */
static void a_file_sets_options(void **state)
{
    open_some();
    folder_open(&files);
    assert_int_equal(read_options("# a comment\n"
                                  "port = 443\n"
                                  "\n"
                                  "user_name = \"\xe6\x9d\x8e\xe5\xba\xb7\"  # who it is\n"
                                  "verbose=true"),
                     0);
    assert_int_equal(port, 443);
    assert_string_equal(name, "\xe6\x9d\x8e\xe5\xba\xb7");
    assert_true(verbose);
    assert_said("");
    folder_close(&files);
    close_options();
}

/* options_test:test_types_with_conf_file */
static void all_types_stand_in_files(void **state)
{
    static const char text[] = "str = asdf\n"
                               "int = 42\n"
                               "float = 1.5\n"
                               "datetime = 2013-04-28 05:16\n"
                               "timedelta = 45s\n"
                               "list_of_int = 1,2,3\n"
                               "list_of_str = 'a,b,c'\n";
    const char *string = NULL;
    int integer = 0;
    double number = 0, duration = 0;
    struct tm datetime = { 0 };
    struct iooptions_integers integers = { NULL, 0 };
    struct iooptions_strings strings = { NULL, 0 };

    open_options();
    folder_open(&files);
    define({ .name = "str", .string = &string });
    define({ .name = "int", .integer = &integer });
    define({ .name = "float", .number = &number });
    define({ .name = "datetime", .datetime = &datetime });
    define({ .name = "timedelta", .duration = &duration });
    define({ .name = "list-of-int", .integers = &integers });
    define({ .name = "list-of-str", .strings = &strings });
    assert_int_equal(read_options(text), 0);
    assert_string_equal(string, "asdf");
    assert_int_equal(integer, 42);
    assert_true(number == 1.5 && duration == 45);
    assert_true(datetime.tm_year == 113 && datetime.tm_mon == 3 && datetime.tm_mday == 28 && datetime.tm_hour == 5);
    assert_int_equal(integers.count, 3);
    assert_int_equal(strings.count, 3);
    assert_string_equal(strings.items[1], "b");
    folder_close(&files);
    close_options();
}

/* options_test:test_dash_underscore_file */
static void a_dash_is_an_underscore_in_a_file(void **state)
{
    static const char *const lines[] = { "user_name = a", "user-name = a" };

    for (size_t i = 0; i < COUNT(lines); i++) {
        open_some();
        folder_open(&files);
        assert_int_equal(read_options(lines[i]), 0);
        assert_string_equal(name, "a");
        folder_close(&files);
        close_options();
    }
}

static void lines_are_a_name_and_a_value(void **state)
{
    static const struct {
        const char *line, *value;
    } rows[] = {
        { "user-name = a", "a" },
        { "user-name=a", "a" },
        { "\t user-name\t=\t a \t", "a" },
        { "user-name = a\r\n", "a" },
        { "user-name = a\r", "a" },
        { "\n\r\n  \n\t#x\nuser-name = a\n# user-name = b\n", "a" },
        { "\xef\xbb\xbfuser-name = a", "a" },
        { "user-name = a\nuser_name = b\n", "b" },
        { "user-name = a b  c", "a b  c" },
        { "user-name = a # b", "a" },
        { "user-name = a\t# b", "a" },
        { "user-name = a#b", "a#b" },
        { "user-name = #b", "" },
        { "user-name =#b", "" },
        { "user-name =", "" },
        { "user-name = a=b", "a=b" },
        { "user-name = == #", "==" },
        { "user-name = a\"b\"", "a\"b\"" },
        { "user-name = a'", "a'" },
        { "user-name = \\n", "\\n" },
        { "user-name = \xff\xfe", "\xff\xfe" },
        { "user-name = \"\"", "" },
        { "user-name = ''#", "" },
        { "user-name = ' a # b '  # c", " a # b " },
        { "user-name = \"it's\"", "it's" },
        { "user-name = 'a \"b\"'", "a \"b\"" },
        { "user-name = \"a\\n\\t\\r\\\\\\\"\\'b\"", "a\n\t\r\\\"'b" },
        { "user-name = '\\x41\\xc3\\xA4\\x0ab'", "A\xc3\xa4\nb" },
        { "user-name = 'a\tb'", "a\tb" },
        { "user-name = '\\x50'", "P" },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        open_some();
        folder_open(&files);
        if (read_options(rows[i].line) != 0)
            fail_msg("%s: %s", rows[i].line, what_was_said());
        assert_string_equal(name, rows[i].value);
        folder_close(&files);
        close_options();
    }
}

static void what_is_wrong_with_a_line_is_said_with_its_number(void **state)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        { "prot = 1", ":1: unknown option prot" },
        { "\n\n# x\n prot = 1", ":4: unknown option prot" },
        { "verbose = on\r\nprot = 1\r\nport = 1", ":2: unknown option prot" },
        { "= 1", ":1: unknown option " },
        { "help = true", ":1: unknown option help" },
        { "port", ":1: no line of a name, '=' and a value" },
        { "port 80", ":1: no line of a name, '=' and a value" },
        { "[section]", ":1: no line of a name, '=' and a value" },
        { "--port=80", ":1: unknown option --port" },
        { "no-verbose = true", ":1: unknown option no-verbose" },
        { "port = x", ":1: port=x: not an integer" },
        { "port =", ":1: port=: not an integer" },
        { "port = 70000 # many", ":1: port=70000: not from 0 to 65535" },
        { "port = '80", ":1: the closing quote is missing" },
        { "port = \"80'", ":1: the closing quote is missing" },
        { "port = '80\\'", ":1: the closing quote is missing" },
        { "port = '80\\", ":1: no such escape: \\n \\t \\r \\\\ \\\" \\' \\xHH" },
        { "port = '80' 1", ":1: something stands behind the closing quote" },
        { "port = '80'1", ":1: something stands behind the closing quote" },
        { "port = '\\q'", ":1: no such escape: \\n \\t \\r \\\\ \\\" \\' \\xHH" },
        { "port = '\\x0'", ":1: no such escape: \\n \\t \\r \\\\ \\\" \\' \\xHH" },
        { "port = '\\x", ":1: no such escape: \\n \\t \\r \\\\ \\\" \\' \\xHH" },
        { "port = '\\xg0'", ":1: no such escape: \\n \\t \\r \\\\ \\\" \\' \\xHH" },
        { "port = '\\x00'", ":1: no such escape: \\n \\t \\r \\\\ \\\" \\' \\xHH" },
        { "port = 8\x1b[0m", ":1: a control character" },
        { "port = 8\x7f", ":1: a control character" },
        { "port = 8\r\r\n", ":1: a control character" },
        { "# \x01", ":1: a control character" },
    };
    char wanted[300];

    for (size_t i = 0; i < COUNT(rows); i++) {
        open_some();
        folder_open(&files);
        assert_int_equal(read_options(rows[i].text), -EINVAL);
        snprintf(wanted, sizeof wanted, "%s%s\n", folder_place(&files, "options"), rows[i].why);
        assert_said(wanted);
        assert_int_equal(port, 80);
        folder_close(&files);
        close_options();
    }
}

static void a_file_may_have_nothing_in_it(void **state)
{
    static const char *const texts[] = { "", "\n", "\r\n", "\xef\xbb\xbf", "\xef\xbb\xbf\n", " ", "#" };

    open_some();
    folder_open(&files);
    for (size_t i = 0; i < COUNT(texts); i++)
        assert_int_equal(read_options(texts[i]), 0);
    assert_said("");
    folder_close(&files);
    close_options();
}

static void a_nul_is_a_control_character(void **state)
{
    open_some();
    folder_open(&files);
    folder_write_bytes(&files, "options", "port = 8\0 0\n", 12);
    assert_int_equal(iooptions_parse_config_file(&set, folder_place(&files, "options"), true), -EINVAL);
    assert_non_null(strstr(what_was_said(), "options:1: a control character\n"));
    folder_close(&files);
    close_options();
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
    char wanted[300];

    open_some();
    folder_open(&files);
    folder_make(&files, "folder");
    assert_int_equal(iooptions_parse_config_file(&set, folder_place(&files, "nothing"), true), -ENOENT);
    snprintf(wanted, sizeof wanted, "%s: No such file or directory\n", folder_place(&files, "nothing"));
    assert_said(wanted);
    assert_int_equal(iooptions_parse_config_file(&set, folder_place(&files, "folder"), true), -EISDIR);
    assert_non_null(strstr(what_was_said(), "folder: Is a directory\n"));
    folder_close(&files);
    close_options();
}

static void a_file_has_a_mebibyte_at_most(void **state)
{
    enum { MEBIBYTE = 1024 * 1024 };
    static char text[MEBIBYTE + 1];

    open_some();
    folder_open(&files);
    memset(text, '\n', sizeof text);
    memcpy(text + MEBIBYTE - 7, "port=81", 7);
    folder_write_bytes(&files, "options", text, MEBIBYTE);
    assert_int_equal(iooptions_parse_config_file(&set, folder_place(&files, "options"), true), 0);
    assert_int_equal(port, 81);
    folder_write_bytes(&files, "options", text, MEBIBYTE + 1);
    assert_int_equal(iooptions_parse_config_file(&set, folder_place(&files, "options"), true), -EFBIG);
    assert_non_null(strstr(what_was_said(), "options: File too large\n"));
    folder_close(&files);
    close_options();
}

static int read_another(const struct iooption *option, void *arg)
{
    return iooptions_parse_config_file(&set, *option->string, false);
}

/* As Tornado's documentation has it: --config, whose callback reads the file. What comes behind it is later. */
static void an_option_may_name_a_file(void **state)
{
    const char *config = NULL;
    char argument[200];

    open_some();
    folder_open(&files);
    define({ .name = "config", .string = &config, .callback = read_another });
    folder_write(&files, "options", "port = 1\nuser-name = file");
    snprintf(argument, sizeof argument, "--config=%s", folder_place(&files, "options"));
    assert_int_equal(parse("--port=2", argument, "--user-name=line"), 4);
    assert_int_equal(port, 1);
    assert_string_equal(name, "line");
    folder_write(&files, "options", "\nport = x");
    assert_int_equal(parse(argument), -EINVAL);
    assert_non_null(strstr(what_was_said(), "options:2: port=x: not an integer\nmain: --config="));
    folder_close(&files);
    close_options();
}

static void a_file_that_names_itself_comes_to_an_end(void **state)
{
    const char *config = NULL;
    char text[200];

    open_some();
    folder_open(&files);
    define({ .name = "config", .string = &config, .callback = read_another });
    snprintf(text, sizeof text, "config = %s", folder_place(&files, "options"));
    assert_int_equal(read_options(text), -ELOOP);
    assert_non_null(strstr(what_was_said(), "options: files of files of files\n"));
    assert_int_equal(read_options("port = 5"), 0);
    folder_close(&files);
    close_options();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_command_line_sets_options),
    cmocka_unit_test(any_number_of_dashes_will_do),
    cmocka_unit_test(a_dash_is_an_underscore_on_a_command_line),
    cmocka_unit_test(a_boolean_needs_no_value),
    cmocka_unit_test(a_name_that_begins_with_no_is_a_name),
    cmocka_unit_test(a_command_line_ends_at_the_first_that_is_no_option),
    cmocka_unit_test(the_rest_is_the_command_line_of_another_set),
    cmocka_unit_test(what_is_wrong_with_an_argument_is_said),
    cmocka_unit_test(a_long_argument_is_cut_where_it_is_shown),
    cmocka_unit_test(the_program_is_called_by_its_last_name),
    cmocka_unit_test(help_is_an_option),
    cmocka_unit_test(help_goes_to_stderr),
    cmocka_unit_test(parse_callbacks_are_called_after_the_last_parse),
    cmocka_unit_test(a_file_sets_options),
    cmocka_unit_test(all_types_stand_in_files),
    cmocka_unit_test(a_dash_is_an_underscore_in_a_file),
    cmocka_unit_test(lines_are_a_name_and_a_value),
    cmocka_unit_test(what_is_wrong_with_a_line_is_said_with_its_number),
    cmocka_unit_test(a_file_may_have_nothing_in_it),
    cmocka_unit_test(a_nul_is_a_control_character),
    cmocka_unit_test(a_file_that_cannot_be_read_is_named),
    cmocka_unit_test(a_file_has_a_mebibyte_at_most),
    cmocka_unit_test(an_option_may_name_a_file),
    cmocka_unit_test(a_file_that_names_itself_comes_to_an_end),
};

TESTING_MAIN(tests)
