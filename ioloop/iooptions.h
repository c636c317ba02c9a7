/* iooptions.h: the options of a program, from its command line and from files (tornado.options).
 *
 *     static int port = 8888;
 *     static const struct iooption table[] = { { "port", .integer = &port, .help = "listen here" }, { 0 } };
 *     int rest = iooptions_parse(table, argc, argv);
 *     if (rest <= 0)
 *         return rest < 0 ? 2 : 0;
 *
 * An option is bound to a variable, whose kind is the option's type and whose first value is the default. '-' and '_'
 * in names are the same. Functions that are given NULL as options act on the set of the whole process.
 *
 * Lifetime: names, texts and variables are the program's, and stay. Strings and lists that a variable gets belong to
 * the set, until the option is set again.
 * Errors: what is wrong with a command line or a file is written to stderr, with its name or its file and line, and
 * answered with -EINVAL; options before it are set. Nothing here ends the program.
 * Threads: one; set all before others start. */
#ifndef IOLOOP_IOOPTIONS_H
#define IOLOOP_IOOPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "ioloop/ioapi.h"

IOAPI_BEGIN

struct iooptions;
struct iooption;

/* Several values, separated by commas; of integers also ranges: "80,8000:8003". At most 10,000. */
struct iooptions_strings {
    const char *const *items;
    size_t count;
};
struct iooptions_integers {
    const int64_t *items;
    size_t count;
};
struct iooptions_numbers {
    const double *items;
    size_t count;
};

/* Of a type of the program's own. Answers 0, or a negative errno value when the text is none. */
typedef int iooptions_parse_fn(const char *text, void *arg);

/* The option has been set, by whatever. A negative errno value ends the parsing, and is its answer. */
typedef int iooptions_callback_fn(const struct iooption *option, void *arg);

struct iooption {
    const char *name;

    /* Its type: one of these, where its value is. */
    bool *boolean;       /* --name, --no-name; true, yes, on, t, y or 1, false, no, off, f, n or 0 in any case */
    int *integer;        /* decimal */
    int64_t *integer64;  /* the same */
    double *number;      /* 12, 1.5, 3e8; finite */
    double *duration;    /* in seconds: 1h30m, 1.5 h, 500ms, or 90. Units: w d h m min s sec ms us, days and so on */
    struct tm *datetime; /* in no zone: "2026-11-21 10:30:00", without seconds, with T; "2026-11-21", "20261121", both
                          * with a time; "10:30"; "Sat Nov 21 10:30:00 2026". No date: 1900-01-01. tm_isdst: -1 */
    const char **string;
    struct iooptions_integers *integers;
    struct iooptions_numbers *numbers;
    struct iooptions_numbers *durations;
    struct iooptions_strings *strings;
    iooptions_parse_fn *parse;

    const char *help;
    const char *metavar;     /* of what the value is, for the help; NULL: by type */
    const char *group;       /* under which head the help lists it; NULL: that of the program */
    const char *choices;     /* of strings: "size|time", in any case; the value is as it is here. NULL: any */
    double minimum, maximum; /* of what is a number; both 0: any */

    iooptions_callback_fn *callback;
    void *arg; /* of parse and callback */
};

/* All for most programs. The table ends with a NULL name. Defines its options and the logging options (warnings are
 * said) in the set of the process, and parses a command line to the end: see iooptions_parse_command_line. */
int iooptions_parse(const struct iooption *table, int argc, char **argv) IOAPI_MUST_USE;

/* A set; all zero, it is empty. Every set has --help. The fields are internal. */
struct iooptions {
    struct iooptions_entry **entries;
    struct iooptions_parsed *callbacks;
    struct iooptions_logging *logging;
    const char *program;
    FILE *output;
    size_t entry_count, callback_count;
    unsigned depth;
};

/* The variables have their defaults again. The set is empty then, and may be used again. */
void iooptions_free(struct iooptions *options);

/* The option is copied, the texts in it are not. -EEXIST: there is one of that name; -EINVAL: not exactly one variable,
 * or no name. Of a table all are defined or none. */
int iooptions_define(struct iooptions *options, const struct iooption *option) IOAPI_MUST_USE;
int iooptions_define_table(struct iooptions *options, const struct iooption *table) IOAPI_MUST_USE;

/* Tornado's define_logging_options: --logging, --log-to-stderr, --log-file-prefix and so on, which act on iolog.h after
 * each parse that is the final one. level: the default of --logging; NULL: "info", as Tornado's. "none" leaves the log
 * as the program has set it. */
int iooptions_add_logging(struct iooptions *options, const char *level) IOAPI_MUST_USE;

/* Options, with any number of dashes, up to the first argument that is none or behind "--": answers its index, from 1
 * to argc, so that a command with options of its own is (argc - rest, argv + rest). 0: it was --help, which is written.
 * final: no more is to come, and parse callbacks are called. */
int iooptions_parse_command_line(struct iooptions *options, int argc, char **argv, bool final) IOAPI_MUST_USE;

/* Lines "name = value"; a value may be in single or double quotes, with \n \t \r \\ \" \' \xHH. # begins a comment,
 * behind a value after a blank. Later wins. At most 1 MiB. Also a negative errno value of open and read. */
int iooptions_parse_config_file(struct iooptions *options, const char *path, bool final) IOAPI_MUST_USE;

/* Called in their order, up to one that answers a negative errno value. */
typedef int iooptions_parsed_fn(struct iooptions *options, void *arg);
int iooptions_add_parse_callback(struct iooptions *options, iooptions_parsed_fn *callback, void *arg) IOAPI_MUST_USE;
int iooptions_run_parse_callbacks(struct iooptions *options);

/* Where help and what is wrong are written; NULL: stderr. */
void iooptions_set_output(struct iooptions *options, FILE *output);
void iooptions_print_help(struct iooptions *options);

/* By name, and by number: the first is "help", NULL after the last one. */
const struct iooption *iooptions_find(struct iooptions *options, const char *name);
const struct iooption *iooptions_at(struct iooptions *options, size_t index);

/* Has it been given, or set from code? */
bool iooptions_is_set(struct iooptions *options, const char *name);

/* From code. The callback is called. -ENOENT: no such option; -EINVAL: it is of another type; -ERANGE: not between
 * minimum and maximum. set takes the text of any type; set_number is for durations, too. */
int iooptions_set(struct iooptions *options, const char *name, const char *text);
int iooptions_set_boolean(struct iooptions *options, const char *name, bool value);
int iooptions_set_integer(struct iooptions *options, const char *name, int64_t value);
int iooptions_set_number(struct iooptions *options, const char *name, double value);
int iooptions_set_string(struct iooptions *options, const char *name, const char *value);

/* The value of an option that exists and is of that type (asserted). */
bool iooptions_boolean(struct iooptions *options, const char *name);
int64_t iooptions_integer(struct iooptions *options, const char *name);
double iooptions_number(struct iooptions *options, const char *name);
const char *iooptions_string(struct iooptions *options, const char *name);

/* The value as a text that iooptions_set would take, cut to size - 1 bytes; as snprintf, answers the whole length.
 * -ENOENT: no such option; -ENOTSUP: its type is the program's own. */
int iooptions_format(struct iooptions *options, const char *name, char *text, size_t size);

IOAPI_END
#endif
