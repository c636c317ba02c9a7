/* Internal: optionscene.h, a set of options for one test, and what it writes.
 *
 *     open_options();
 *     define({ .name = "port", .integer = &port });
 *     assert_int_equal(parse("--port=443", "rest"), 2);
 *     assert_said("");
 *     close_options(); */
#ifndef TESTS_SUPPORT_OPTIONSCENE_H
#define TESTS_SUPPORT_OPTIONSCENE_H

#include <stdlib.h>
#include <string.h>

#include "ioloop/iooptions.h"
#include "tests/support/faults.h"
#include "tests/support/testing.h"

static struct iooptions set;
static struct {
    FILE *file;
    char *text;
    size_t size;
    long allocated; /* before */
} said;

static inline void open_options(void)
{
    said.allocated = faults_allocated();
    set = (struct iooptions){ 0 };
    said.file = open_memstream(&said.text, &said.size);
    assert_non_null(said.file);
    iooptions_set_output(&set, said.file);
}

/* All that the set had allocated is freed with it. */
static inline void close_options(void)
{
    iooptions_free(&set);
    fclose(said.file);
    free(said.text);
    assert_int_equal(faults_allocated(), said.allocated);
}

#define define(...) assert_int_equal(iooptions_define(&set, &(struct iooption)__VA_ARGS__), 0)

/* A command line, of a program that is called main, to its end; and one to which more is to come. */
#define ARGUMENTS(...)    ((const char *[]){ "main", __VA_ARGS__, NULL })
#define COUNT_OF(array)   ((int)(sizeof(array) / sizeof *(array)) - 1)
#define parse(...)        parse_arguments(COUNT_OF(ARGUMENTS(__VA_ARGS__)), ARGUMENTS(__VA_ARGS__), true)
#define parse_a_part(...) parse_arguments(COUNT_OF(ARGUMENTS(__VA_ARGS__)), ARGUMENTS(__VA_ARGS__), false)

static inline int parse_arguments(int count, const char **arguments, bool final)
{
    return iooptions_parse_command_line(&set, count, (char **)arguments, final);
}

/* Since the last time. */
static inline const char *what_was_said(void)
{
    static char text[16384];

    fflush(said.file);
    assert_true(said.size < sizeof text);
    memcpy(text, said.text, said.size);
    text[said.size] = '\0';
    rewind(said.file);
    return text;
}

#define assert_said(wanted) assert_string_equal(what_was_said(), wanted)

#endif
