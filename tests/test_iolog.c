/* What the library has to say, and to whom. */
#include "ioloop/iolog.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* Each digit of the time becomes an underscore. */
static void without_a_function_it_goes_to_stderr_a_line_each(void **state)
{
    char text[1000];

    read_stderr_of(write_lines, text, sizeof text);
    for (char *digit = text; (digit = strpbrk(digit, "0123456789")) != NULL;)
        *digit++ = '_';
    assert_string_equal(text, "[W ____-__-__ __:__:__ general] first\n"
                              "[E ____-__-__ __:__:__ application] second\n"
                              "[W ____-__-__ __:__:__ access] third\n");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_function_of_the_program_is_told_all_of_it),
    cmocka_unit_test(what_is_below_the_level_is_not_said),
    cmocka_unit_test(a_message_is_said_so_often_a_second),
    cmocka_unit_test(what_was_left_out_is_counted),
    cmocka_unit_test(the_access_log_is_whole_when_all_is_said),
    cmocka_unit_test(long_text_is_cut),
    cmocka_unit_test(without_a_function_it_goes_to_stderr_a_line_each),
};

TESTING_MAIN(tests)
