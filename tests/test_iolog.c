/* What the library has to say, and to whom. */
#include "ioloop/iolog.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "tests/support/faults.h"
#include "tests/support/folder.h"
#include "tests/support/testing.h"

static struct {
    enum iolog_channel channel;
    enum iolog_level level;
    char text[2000];
    void *arg;
    int count;
} last;

static void keep(enum iolog_channel channel, enum iolog_level level, const char *text, void *arg)
{
    last.channel = channel;
    last.level = level;
    last.arg = arg;
    last.count++;
    assert_true(strlen(text) < sizeof last.text);
    strcpy(last.text, text);
}

static void the_function_of_the_program_is_told_all_of_it(void **state)
{
    int mark;

    last.count = 0;
    iolog_set_function(keep, &mark);
    iolog_write(IOLOG_ACCESS, IOLOG_WARNING, "%d %s", 404, "GET /");
    iolog_set_function(NULL, NULL);
    assert_int_equal(last.count, 1);
    assert_int_equal(last.channel, IOLOG_ACCESS);
    assert_int_equal(last.level, IOLOG_WARNING);
    assert_string_equal(last.text, "404 GET /");
    assert_ptr_equal(last.arg, &mark);
}

static int lines_at(enum iolog_level least)
{
    last.count = 0;
    iolog_set_level(least);
    iolog_set_rate(1000);
    for (int level = IOLOG_DEBUG; level <= IOLOG_ERROR; level++)
        iolog_write(IOLOG_GENERAL, (enum iolog_level)level, "x");
    iolog_set_rate(0);
    return last.count;
}

static void what_is_below_the_level_is_not_said(void **state)
{
    iolog_set_function(keep, NULL);
    last.count = 0;
    iolog_write(IOLOG_GENERAL, IOLOG_INFO, "x");
    assert_int_equal(last.count, 0); /* WARNING at the start */
    iolog_write(IOLOG_GENERAL, IOLOG_WARNING, "x");
    assert_int_equal(last.count, 1);
    assert_int_equal(lines_at(IOLOG_DEBUG), 4);
    assert_int_equal(lines_at(IOLOG_INFO), 3);
    assert_int_equal(lines_at(IOLOG_ERROR), 1);
    assert_int_equal(lines_at(IOLOG_WARNING), 2);
    iolog_set_function(NULL, NULL);
}

static int say(int times)
{
    last.count = 0;
    for (int i = 0; i < times; i++)
        iolog_write(IOLOG_GENERAL, IOLOG_WARNING, "a peer made me say this");
    return last.count;
}

/* Of what a peer can cause a log cannot be filled. A second may begin while the test runs. */
static void a_message_is_said_so_often_a_second(void **state)
{
    iolog_set_function(keep, NULL);
    int said = say(100000);
    assert_in_range(said, 10, 10 * 6);
    iolog_write(IOLOG_GENERAL, IOLOG_WARNING, "another one");
    assert_string_equal(last.text, "another one");
    iolog_set_rate(1000000000);
    iolog_write(IOLOG_GENERAL, IOLOG_WARNING, "a peer made me say this");
    iolog_set_rate(0);
    iolog_set_function(NULL, NULL);
}

static void what_was_left_out_is_counted(void **state)
{
    unsigned left_out = 0;
    char *number;

    iolog_set_function(keep, NULL);
    for (int i = 0; i < 50; i++)
        iolog_write(IOLOG_GENERAL, IOLOG_WARNING, "counted");
    assert_true(last.count < 50);
    iolog_set_rate(1000000000);
    iolog_write(IOLOG_GENERAL, IOLOG_WARNING, "counted");
    iolog_set_rate(0);
    iolog_set_function(NULL, NULL);
    number = strchr(last.text, '(');
    assert_non_null(number);
    left_out = (unsigned)strtoul(number + 1, NULL, 10);
    assert_in_range(left_out, 1, 40);
    assert_string_equal(strchr(number, ' '), " more of these were left out)");
}

/* Formats whose addresses are so far apart share a place in the table. */
static char formats[6][2048] = { "one", "two", "three", "four", "five", "six" };
static void (*const write_format)(enum iolog_channel, enum iolog_level, const char *, ...) = iolog_write;

static void messages_in_one_place_are_told_apart(void **state)
{
    iolog_set_function(keep, NULL);
    for (int i = 0; i < 40; i++)
        write_format(IOLOG_GENERAL, IOLOG_WARNING, formats[0]);
    write_format(IOLOG_GENERAL, IOLOG_WARNING, formats[1]);
    assert_string_equal(last.text, "two");
    iolog_set_function(NULL, NULL);
}

/* They do not push each other out, however many they are. */
static void messages_in_one_place_are_limited_too(void **state)
{
    for (int count = 2; count <= 6; count++) {
        iolog_set_function(keep, NULL);
        last.count = 0;
        for (int i = 0; i < 60000; i++)
            write_format(IOLOG_GENERAL, IOLOG_WARNING, formats[i % count]);
        assert_true(last.count <= 10 * 6 * count);
        iolog_set_function(NULL, NULL);
    }
}

static void the_access_log_is_whole_when_all_is_said(void **state)
{
    iolog_set_function(keep, NULL);
    iolog_set_level(IOLOG_INFO);
    last.count = 0;
    for (int i = 0; i < 100; i++)
        iolog_write(IOLOG_ACCESS, IOLOG_INFO, "200 GET /");
    assert_int_equal(last.count, 100);
    iolog_set_level(IOLOG_WARNING);
    last.count = 0;
    for (int i = 0; i < 100; i++)
        iolog_write(IOLOG_ACCESS, IOLOG_WARNING, "404 GET /");
    assert_in_range(last.count, 10, 20);
    assert_true(iolog_says(IOLOG_WARNING));
    assert_false(iolog_says(IOLOG_INFO));
    iolog_set_function(NULL, NULL);
}

static void long_text_is_cut(void **state)
{
    char text[1500];

    memset(text, 'a', sizeof text);
    iolog_set_function(keep, NULL);
    for (size_t length = 1022; length <= 1026; length++) {
        text[length] = '\0';
        iolog_write(IOLOG_GENERAL, IOLOG_ERROR, "%s", text);
        assert_int_equal(strlen(last.text), length < 1023 ? length : 1023);
        text[length] = 'a';
    }
    iolog_set_function(NULL, NULL);
}

/* What comes out of stderr while it is a pipe. */
static void read_stderr_of(void (*write_it)(void), char *text, size_t size)
{
    int fds[2], real = dup(2);

    assert_int_equal(pipe(fds), 0);
    dup2(fds[1], 2);
    write_it();
    dup2(real, 2);
    close(real);
    close(fds[1]);
    ssize_t count = read(fds[0], text, size - 1);
    assert_true(count >= 0);
    text[count] = '\0';
    close(fds[0]);
}

static void write_lines(void)
{
    iolog_write(IOLOG_GENERAL, IOLOG_WARNING, "first");
    iolog_write(IOLOG_APPLICATION, IOLOG_ERROR, "second");
    iolog_write(IOLOG_ACCESS, IOLOG_WARNING, "third");
    iolog_write(IOLOG_ACCESS, IOLOG_INFO, "fourth");
}

/* Each digit of a time becomes an underscore. */
static void hide_digits(char *text)
{
    while ((text = strpbrk(text, "0123456789")) != NULL)
        *text++ = '_';
}

/* log_test:test_basic_logging */
static void without_a_function_it_goes_to_stderr_a_line_each(void **state)
{
    char text[1000];

    read_stderr_of(write_lines, text, sizeof text);
    hide_digits(text);
    assert_string_equal(text, "[W ______ __:__:__ general] first\n"
                              "[E ______ __:__:__ application] second\n"
                              "[W ______ __:__:__ access] third\n");
}

static void write_lines_by_bytes(void)
{
    faults_short_io(1);
    write_lines();
    faults_end();
}

static void a_line_is_written_to_its_end(void **state)
{
    char text[1000];

    read_stderr_of(write_lines_by_bytes, text, sizeof text);
    assert_non_null(strstr(text, " general] first\n[E "));
    assert_non_null(strstr(text, " access] third\n"));
}

static void write_ugly_lines(void)
{
    iolog_write(IOLOG_GENERAL, IOLOG_ERROR, "two\nlines\n");
    iolog_write(IOLOG_GENERAL, IOLOG_ERROR, "%s", "\xe9 \xc3\xa9 \x1b[2J");
}

/* log_test:test_bytes_logging, log_test:test_utf8_logging; each byte is in test_iologline.c. */
static void what_a_terminal_would_act_on_is_escaped(void **state)
{
    char text[1000];

    read_stderr_of(write_ugly_lines, text, sizeof text);
    char *first = strstr(text, "two"), *second = strstr(text, "\\x");
    assert_non_null(first);
    assert_non_null(second);
    assert_memory_equal(first, "two\n    lines\n[E ", 17);
    assert_string_equal(second, "\\xe9 \xc3\xa9 \\x1b[2J\n");
}

static void write_the_longest_line(void)
{
    char text[1024];

    memset(text, '\n', sizeof text - 2);
    text[sizeof text - 2] = '.';
    text[sizeof text - 1] = '\0';
    iolog_write(IOLOG_GENERAL, IOLOG_ERROR, "%s", text);
}

static void the_longest_text_fits(void **state)
{
    static char text[8000];

    read_stderr_of(write_the_longest_line, text, sizeof text);
    assert_int_equal(strlen(text), strlen("[E 261121 10:00:00 general] .\n") + 5 * 1022);
}

/* What a terminal gets, of which stderr is one for the time. */
static void read_terminal_of(void (*write_it)(void), char *text, size_t size)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY), real = dup(2);
    struct termios modes;

    assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    int terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
    assert_true(terminal >= 0 && tcgetattr(terminal, &modes) == 0);
    modes.c_oflag &= ~(tcflag_t)OPOST;
    assert_int_equal(tcsetattr(terminal, TCSANOW, &modes), 0);
    dup2(terminal, 2);
    write_it();
    dup2(real, 2);
    ssize_t count = read(master, text, size - 1);
    assert_true(count >= 0);
    text[count] = '\0';
    close(real);
    close(terminal);
    close(master);
}

static void write_one_line(void)
{
    iolog_set_rate(1000);
    iolog_write(IOLOG_GENERAL, IOLOG_WARNING, "text");
    iolog_set_rate(0);
}

static void set_or_unset(const char *name, const char *value)
{
    if (value != NULL)
        setenv(name, value, 1);
    else
        unsetenv(name);
}

static void colours_are_for_terminals_that_want_them(void **state)
{
    static const struct {
        const char *terminal, *no_color;
        bool has_colours;
    } rows[] = {
        { "xterm", NULL, true }, { "xterm", "", true },   { "xterm", "1", false },
        { "xterm", "0", false }, { "dumb", NULL, false }, { NULL, NULL, false },
    };
    const char *terminal = getenv("TERM"), *no_color = getenv("NO_COLOR");
    char text[200], before[100], before_no_color[100];

    snprintf(before, sizeof before, "%s", terminal != NULL ? terminal : "");
    snprintf(before_no_color, sizeof before_no_color, "%s", no_color != NULL ? no_color : "");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        set_or_unset("TERM", rows[i].terminal);
        set_or_unset("NO_COLOR", rows[i].no_color);
        read_terminal_of(write_one_line, text, sizeof text);
        bool is_coloured = strncmp(text, "\033[33m[W ", 8) == 0 && strstr(text, " general]\033[0m text\n") != NULL;
        bool is_plain = strncmp(text, "[W ", 3) == 0 && strstr(text, " general] text\n") != NULL;
        assert_true(rows[i].has_colours ? is_coloured : is_plain);
        read_stderr_of(write_one_line, text, sizeof text);
        assert_memory_equal(text, "[W ", 3);
    }
    set_or_unset("TERM", terminal != NULL ? before : NULL);
    set_or_unset("NO_COLOR", no_color != NULL ? before_no_color : NULL);
}

static struct folder folder;

static void read_log(const char *name, char *text, size_t size)
{
    FILE *file = fopen(folder_place(&folder, name), "r");

    assert_non_null(file);
    size_t length = fread(text, 1, size - 1, file);
    text[length] = '\0';
    fclose(file);
}

/* log_test:test_log_file is in test_iooptionslog.c. */
static void lines_go_to_a_file_and_to_stderr(void **state)
{
    char text[1000];

    folder_open(&folder);
    assert_int_equal(iolog_open_file(folder_place(&folder, "log"), NULL), 0);
    read_stderr_of(write_lines, text, sizeof text);
    hide_digits(text);
    assert_string_equal(text, "[W ______ __:__:__ general] first\n"
                              "[E ______ __:__:__ application] second\n"
                              "[W ______ __:__:__ access] third\n");
    iolog_set_stderr(false);
    read_stderr_of(write_one_line, text, sizeof text);
    assert_string_equal(text, "");
    iolog_set_stderr(true);
    iolog_close_file();
    read_stderr_of(write_one_line, text, sizeof text);
    read_log("log", text, sizeof text);
    hide_digits(text);
    assert_string_equal(text, "[W ______ __:__:__ general] first\n"
                              "[E ______ __:__:__ application] second\n"
                              "[W ______ __:__:__ access] third\n"
                              "[W ______ __:__:__ general] text\n");
    iolog_close_file();
    folder_close(&folder);
}

static void another_file_takes_the_place_of_the_first(void **state)
{
    char text[1000];

    folder_open(&folder);
    iolog_set_stderr(false);
    assert_int_equal(iolog_open_file(folder_place(&folder, "a"), NULL), 0);
    assert_int_equal(iolog_open_file(folder_place(&folder, "b"), NULL), 0);
    assert_int_equal(iolog_open_file(folder_place(&folder, "no/c"), NULL), -ENOENT);
    write_one_line();
    read_log("a", text, sizeof text);
    assert_string_equal(text, "");
    read_log("b", text, sizeof text);
    assert_int_equal(strlen(text), strlen("[W 261121 10:00:00 general] text\n"));
    iolog_close_file();
    iolog_set_stderr(true);
    folder_close(&folder);
}

/* The reader of stderr has gone: neither a signal nor another harm. */
static void what_cannot_be_written_stops_nothing(void **state)
{
    int fds[2], real = dup(2);
    long before = faults_allocated();

    assert_int_equal(pipe(fds), 0);
    close(fds[0]);
    dup2(fds[1], 2);
    close(fds[1]);
    errno = EXDEV;
    write_one_line();
    assert_int_equal(errno, EXDEV);
    faults_system_call_sticky("write", EIO, 1);
    write_one_line();
    faults_end();
    close(2);
    write_one_line();
    dup2(real, 2);
    close(real);
    assert_int_equal(faults_allocated(), before);
}

/* The pipe is full after 64 KiB: what has gone into it are whole lines. */
static void a_reader_of_stderr_that_takes_nothing_is_not_waited_for(void **state)
{
    static char text[1 << 17];
    int fds[2], real = dup(2);

    assert_int_equal(pipe(fds), 0);
    dup2(fds[1], 2);
    close(fds[1]);
    iolog_set_rate(1000000);
    for (int i = 0; i < 3000; i++)
        iolog_write(IOLOG_GENERAL, IOLOG_ERROR, "a line that nobody reads");
    iolog_set_rate(0);
    dup2(real, 2);
    close(real);
    ssize_t count = read(fds[0], text, sizeof text);
    close(fds[0]);
    assert_in_range(count, 4096, 65536);
    assert_int_equal(text[count - 1], '\n');
}

static void *write_many(void *arg)
{
    for (int i = 0; i < 500; i++)
        iolog_write(IOLOG_ACCESS, IOLOG_ERROR, "thread %d line %03d", *(int *)arg, i);
    return NULL;
}

static void count_lines(char *text, int *whole)
{
    char *line;

    while ((line = strsep(&text, "\n")) != NULL) {
        int thread, number;
        const char *begin = strchr(line, ']');
        if (begin != NULL && sscanf(begin, "] thread %d line %3d", &thread, &number) == 2 && strlen(begin) == 19)
            ++*whole;
        else
            assert_string_equal(line, "");
    }
}

/* While files come and go. */
static void threads_write_whole_lines(void **state)
{
    enum { THREADS = 4 };
    static char text[200000];
    pthread_t threads[THREADS];
    int numbers[THREADS], whole = 0;

    folder_open(&folder);
    iolog_set_stderr(false);
    iolog_set_rate(1000000);
    assert_int_equal(iolog_open_file(folder_place(&folder, "a"), NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, &numbers[i]), 0);
    }
    for (int i = 0; i < 20; i++)
        assert_int_equal(iolog_open_file(folder_place(&folder, i % 2 == 0 ? "b" : "a"), NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    iolog_close_file();
    iolog_set_stderr(true);
    iolog_set_rate(0);
    read_log("a", text, sizeof text);
    count_lines(text, &whole);
    read_log("b", text, sizeof text);
    count_lines(text, &whole);
    assert_int_equal(whole, THREADS * 500);
    folder_close(&folder);
}

static void *write_until_told(void *told)
{
    while (!atomic_load((atomic_bool *)told)) {
        iolog_write(IOLOG_ACCESS, IOLOG_ERROR, "from a thread");
        sched_yield();
    }
    return NULL;
}

static void let_children_write(void)
{
    atomic_bool told = false;
    pthread_t thread;

    iolog_set_rate(1000000000);
    assert_int_equal(pthread_create(&thread, NULL, write_until_told, &told), 0);
    for (int i = 0; i < 100; i++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            testing_limit_time();
            iolog_write(IOLOG_GENERAL, IOLOG_ERROR, "from a child");
            _exit(0);
        }
        assert_true(waitpid(child, &status, 0) == child && status == 0);
    }
    atomic_store(&told, true);
    pthread_join(thread, NULL);
    iolog_set_rate(0);
}

/* Forked while another thread counts a message or holds the file, each child can still write; else it would hang, and
 * the test with it. */
static void a_child_can_write_whatever_threads_did_at_the_fork(void **state)
{
    folder_open(&folder);
    iolog_set_stderr(false);
    assert_int_equal(iolog_open_file(folder_place(&folder, "log"), NULL), 0);
    let_children_write();
    iolog_close_file();
    iolog_set_stderr(true);
    folder_close(&folder);
}

static void drop_line(enum iolog_channel channel, enum iolog_level level, const char *text, void *arg)
{
}

/* Before there ever was a file, therefore the first of those with one. */
static void a_child_can_say_something_whatever_threads_did_at_the_fork(void **state)
{
    iolog_set_function(drop_line, NULL);
    let_children_write();
    iolog_set_function(NULL, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_function_of_the_program_is_told_all_of_it),
    cmocka_unit_test(what_is_below_the_level_is_not_said),
    cmocka_unit_test(a_message_is_said_so_often_a_second),
    cmocka_unit_test(what_was_left_out_is_counted),
    cmocka_unit_test(a_child_can_say_something_whatever_threads_did_at_the_fork),
    cmocka_unit_test(messages_in_one_place_are_told_apart),
    cmocka_unit_test(the_access_log_is_whole_when_all_is_said),
    cmocka_unit_test(long_text_is_cut),
    cmocka_unit_test(without_a_function_it_goes_to_stderr_a_line_each),
    cmocka_unit_test(a_line_is_written_to_its_end),
    cmocka_unit_test(what_a_terminal_would_act_on_is_escaped),
    cmocka_unit_test(the_longest_text_fits),
    cmocka_unit_test(colours_are_for_terminals_that_want_them),
    cmocka_unit_test(lines_go_to_a_file_and_to_stderr),
    cmocka_unit_test(another_file_takes_the_place_of_the_first),
    cmocka_unit_test(what_cannot_be_written_stops_nothing),
    cmocka_unit_test(a_reader_of_stderr_that_takes_nothing_is_not_waited_for),
    cmocka_unit_test(threads_write_whole_lines),
    cmocka_unit_test(a_child_can_write_whatever_threads_did_at_the_fork),
    cmocka_unit_test(messages_in_one_place_are_limited_too), /* for a second they leave no room for others */
};

TESTING_MAIN(tests)
