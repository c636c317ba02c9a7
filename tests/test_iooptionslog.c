/* The options of logging, and what iolog does with them. */
#include <dirent.h>
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "ioloop/iolog.h"
#include "ioloop/iooptions.h"
#include "tests/support/folder.h"
#include "tests/support/optionscene.h"

static struct folder folder;
static long before;

static void open_logging(const char *level)
{
    before = faults_allocated();
    folder_open(&folder);
    open_options();
    assert_int_equal(iooptions_add_logging(&set, level), 0);
}

static void close_logging(void)
{
    iolog_close_file();
    close_options();
    iolog_set_stderr(true);
    iolog_set_level(IOLOG_WARNING);
    assert_int_equal(faults_allocated(), before);
    folder_close(&folder);
}

/* How many levels are said. */
static int said_levels(void)
{
    int count = 0;

    for (int level = IOLOG_DEBUG; level <= IOLOG_ERROR; level++)
        count += iolog_says((enum iolog_level)level);
    return count;
}

static const char *argument(const char *name, const char *file)
{
    static char texts[4][200];
    static int next;
    char *text = texts[next++ % 4];

    snprintf(text, sizeof texts[0], "--%s=%s", name, folder_place(&folder, file));
    return text;
}

static const char *contents(const char *name)
{
    static char text[4000];
    FILE *stream = fopen(folder_place(&folder, name), "r");

    if (stream == NULL)
        return "none";
    text[fread(text, 1, sizeof text - 1, stream)] = '\0';
    fclose(stream);
    return text;
}

/* What stderr gets. */
static const char *stderr_of(const char *line)
{
    static char text[2000];
    int fds[2], real = dup(2);

    assert_int_equal(pipe(fds), 0);
    dup2(fds[1], 2);
    iolog_set_rate(1000);
    iolog_write(IOLOG_APPLICATION, IOLOG_ERROR, "%s", line);
    iolog_set_rate(0);
    dup2(real, 2);
    close(real);
    close(fds[1]);
    ssize_t count = read(fds[0], text, sizeof text - 1);
    assert_true(count >= 0);
    text[count] = '\0';
    close(fds[0]);
    return text;
}

/* log_test:test_default: until options are parsed the log is as the program has it. */
static void defining_the_options_does_nothing(void **state)
{
    open_logging(NULL);
    assert_int_equal(said_levels(), 2);
    assert_string_equal(iooptions_string(&set, "logging"), "info");
    assert_int_equal(parse_a_part("--logging=debug"), 2);
    assert_int_equal(said_levels(), 2);
    close_logging();
}

/* log_test:test_tornado_default */
static void a_command_line_turns_logging_on(void **state)
{
    open_logging(NULL);
    assert_int_equal(parse_arguments(1, ARGUMENTS(""), true), 1);
    assert_int_equal(said_levels(), 3);
    assert_non_null(strstr(stderr_of("a line"), " application] a line\n"));
    close_logging();
}

static void the_level_is_that_of_the_option(void **state)
{
    static const struct {
        const char *argument;
        int levels;
    } rows[] = { { "--logging=debug", 4 },
                 { "--logging=info", 3 },
                 { "--logging=INFO", 3 },
                 { "--logging=warning", 2 },
                 { "--logging=error", 1 } };

    open_logging("debug");
    assert_int_equal(parse("--log-file-prefix="), 2);
    assert_int_equal(said_levels(), 4);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(parse(rows[i].argument), 2);
        assert_int_equal(said_levels(), rows[i].levels);
    }
    assert_int_equal(parse("--logging=loud"), -EINVAL);
    assert_non_null(strstr(what_was_said(), "--logging=loud: not one of debug|info|warning|error|none\n"));
    assert_int_equal(said_levels(), 1);
    close_logging();
}

static void assert_untouched(void)
{
    assert_int_equal(said_levels(), 1);
    assert_string_equal(contents("log"), "none");
    assert_non_null(strstr(stderr_of("a line"), " application] a line\n"));
}

/* log_test:test_disable_command_line, log_test:test_disable_command_line_case_insensitive */
static void logging_none_leaves_the_log_as_it_is(void **state)
{
    static const char *const arguments[] = { "--logging=none", "--logging=None", "--logging=NONE" };

    open_logging(NULL);
    iolog_set_level(IOLOG_ERROR);
    for (size_t i = 0; i < sizeof arguments / sizeof *arguments; i++) {
        assert_int_equal(parse(arguments[i], argument("log-file-prefix", "log"), "--no-log-to-stderr"), 4);
        assert_untouched();
    }
    close_logging();
}

/* log_test:test_disable_code_string, log_test:test_disable_code_none */
static void a_program_can_disable_it(void **state)
{
    open_logging(NULL);
    iolog_set_level(IOLOG_ERROR);
    assert_int_equal(iooptions_set_string(&set, "logging", "none"), 0);
    assert_int_equal(parse(argument("log-file-prefix", "log")), 2);
    assert_untouched();
    assert_int_equal(iooptions_set_string(&set, "logging", NULL), 0);
    assert_int_equal(parse(argument("log-file-prefix", "log")), 2);
    assert_untouched();
    close_logging();
}

/* log_test:test_disable_override */
static void a_command_line_overrides_the_program(void **state)
{
    open_logging(NULL);
    iolog_set_level(IOLOG_ERROR);
    assert_int_equal(iooptions_set_string(&set, "logging", NULL), 0);
    assert_int_equal(parse("--logging=info"), 2);
    assert_int_equal(said_levels(), 3);
    close_logging();
}

/* log_test:test_log_file */
static void lines_go_to_the_file_instead_of_stderr(void **state)
{
    open_logging(NULL);
    assert_int_equal(parse(argument("log-file-prefix", "log")), 2);
    assert_said("");
    assert_string_equal(stderr_of("hello"), "");
    const char *text = contents("log");
    assert_memory_equal(text, "[E ", 3);
    assert_non_null(strstr(text, " application] hello\n"));
    close_logging();
}

static void lines_go_to_stderr_too_when_that_is_said(void **state)
{
    static const struct {
        const char *argument;
        bool with_file, to_stderr;
    } rows[] = {
        { "--log-to-stderr", true, true },  { "--no-log-to-stderr", true, false },
        { "--log-to-stderr", false, true }, { "--log-to-stderr=false", false, false },
        { "--logging=info", true, false },  { "--logging=info", false, true },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        open_logging(NULL);
        assert_int_equal(
            parse(rows[i].argument, rows[i].with_file ? argument("log-file-prefix", "log") : "--logging=info"), 3);
        assert_int_equal(strstr(stderr_of("hello"), "hello") != NULL, rows[i].to_stderr);
        assert_int_equal(strstr(contents("log"), "hello") != NULL, rows[i].with_file);
        close_logging();
    }
}

static void a_file_is_closed_when_there_shall_be_none(void **state)
{
    open_logging(NULL);
    assert_int_equal(parse(argument("log-file-prefix", "log")), 2);
    assert_int_equal(parse("--log-file-prefix="), 2);
    assert_non_null(strstr(stderr_of("hello"), "hello"));
    assert_string_equal(contents("log"), "");
    close_logging();
}

static void sizes_and_numbers_are_those_of_the_options(void **state)
{
    open_logging(NULL);
    assert_int_equal(parse(argument("log-file-prefix", "log"), "--log-file-max-size=10", "--log-file-num-backups=2",
                           "--log-rotate-mode=size"),
                     5);
    for (int i = 0; i < 5; i++)
        iolog_write(IOLOG_GENERAL, IOLOG_ERROR, "line %d", i); /* five are not too many for the rate */
    assert_non_null(strstr(contents("log"), "line 4\n"));
    assert_non_null(strstr(contents("log.1"), "line 3\n"));
    assert_non_null(strstr(contents("log.2"), "line 2\n"));
    assert_string_equal(contents("log.3"), "none");
    close_logging();
}

/* log_test:test_log_file_with_timed_rotating */
static void a_file_may_end_with_the_time(void **state)
{
    static const struct {
        const char *when;
        int64_t seconds; /* that it is old, so that it is over in any case */
    } rows[] = { { "S", 2 },          { "M", 61 },         { "H", 3601 },
                 { "D", 86401 },      { "d", 86401 },      { "midnight", 2 * 86400 },
                 { "W0", 8 * 86400 }, { "W6", 8 * 86400 }, { "w3", 8 * 86400 } };
    char when[40];

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        open_logging(NULL);
        folder_write(&folder, "log", "an old line\n");
        folder_set_time(&folder, "log", time(NULL) - rows[i].seconds, 0);
        snprintf(when, sizeof when, "--log-rotate-when=%s", rows[i].when);
        assert_int_equal(
            parse(argument("log-file-prefix", "log"), "--log-rotate-mode=time", when, "--log-file-max-size=1"), 5);
        iolog_write(IOLOG_GENERAL, IOLOG_ERROR, "hello");
        assert_non_null(strstr(contents("log"), "hello\n"));
        assert_string_equal(contents("log.1"), "an old line\n");
        close_logging();
    }
}

static void a_file_may_end_after_several_spans_of_time(void **state)
{
    open_logging(NULL);
    folder_write(&folder, "log", "an old line\n");
    folder_set_time(&folder, "log", time(NULL) - 5000, 0);
    assert_int_equal(parse(argument("log-file-prefix", "log"), "--log-rotate-mode=time", "--log-rotate-when=H",
                           "--log-rotate-interval=1000000"),
                     5);
    iolog_write(IOLOG_GENERAL, IOLOG_ERROR, "hello");
    assert_memory_equal(contents("log"), "an old line\n[E ", 15);
    close_logging();
}

/* log_test:test_wrong_rotate_mode_value */
static void values_that_cannot_be_are_refused(void **state)
{
    static const struct {
        const char *argument, *why;
    } rows[] = {
        { "--log-rotate-mode=wrong_mode", "not one of size|time" },
        { "--log-rotate-when=W7", "not one of S|M|H|D|midnight|W0|W1|W2|W3|W4|W5|W6" },
        { "--log-rotate-when=", "not one of S|M|H|D|midnight|W0|W1|W2|W3|W4|W5|W6" },
        { "--log-rotate-interval=0", "not from 1 to 1000000" },
        { "--log-file-num-backups=1001", "not from 1 to 1000" },
        { "--log-file-max-size=0", "not from 1 to 1e+18" },
        { "--log-file-max-size=10MB", "not an integer" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        open_logging(NULL);
        assert_int_equal(parse(argument("log-file-prefix", "log"), rows[i].argument), -EINVAL);
        assert_non_null(strstr(what_was_said(), rows[i].why));
        assert_string_equal(contents("log"), "none");
        close_logging();
    }
}

static void a_file_that_cannot_be_opened_is_an_error(void **state)
{
    char wanted[300];

    open_logging(NULL);
    assert_int_equal(parse(argument("log-file-prefix", "no/log")), -ENOENT);
    snprintf(wanted, sizeof wanted, "main: --log-file-prefix=%s: No such file or directory\n",
             folder_place(&folder, "no/log"));
    assert_said(wanted);
    assert_int_equal(said_levels(), 2);
    close_logging();
}

static void logging_is_added_once(void **state)
{
    const char *other = NULL;

    open_logging("error");
    assert_int_equal(iooptions_add_logging(&set, NULL), -EEXIST);
    assert_string_equal(iooptions_string(&set, "logging"), "error");
    iooptions_free(&set);
    iooptions_set_output(&set, said.file);
    assert_int_equal(iooptions_add_logging(&set, "loud"), -EINVAL);
    define({ .name = "log-rotate-when", .string = &other });
    assert_int_equal(iooptions_add_logging(&set, NULL), -EEXIST);
    assert_null(iooptions_find(&set, "logging"));
    close_logging();
}

static void help_has_a_group_for_it(void **state)
{
    open_logging("warning");
    assert_int_equal(parse("--help"), 0);
    const char *help = what_was_said();
    assert_non_null(strstr(help, "\nLogging options:\n\n  --logging=debug|info|warning|error|none\n"));
    assert_non_null(strstr(help, "warning)\n"));
    assert_non_null(strstr(help, "  --log-file-max-size=N"));
    close_logging();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(defining_the_options_does_nothing),
    cmocka_unit_test(a_command_line_turns_logging_on),
    cmocka_unit_test(the_level_is_that_of_the_option),
    cmocka_unit_test(logging_none_leaves_the_log_as_it_is),
    cmocka_unit_test(a_program_can_disable_it),
    cmocka_unit_test(a_command_line_overrides_the_program),
    cmocka_unit_test(lines_go_to_the_file_instead_of_stderr),
    cmocka_unit_test(lines_go_to_stderr_too_when_that_is_said),
    cmocka_unit_test(a_file_is_closed_when_there_shall_be_none),
    cmocka_unit_test(sizes_and_numbers_are_those_of_the_options),
    cmocka_unit_test(a_file_may_end_with_the_time),
    cmocka_unit_test(a_file_may_end_after_several_spans_of_time),
    cmocka_unit_test(values_that_cannot_be_are_refused),
    cmocka_unit_test(a_file_that_cannot_be_opened_is_an_error),
    cmocka_unit_test(logging_is_added_once),
    cmocka_unit_test(help_has_a_group_for_it),
};

TESTING_MAIN(tests)
