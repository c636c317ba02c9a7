/* Internal: iooptionslayer.h, what a set of options is, for the files that read, print and use it. */
#ifndef IOLOOP_IOOPTIONSLAYER_H
#define IOLOOP_IOOPTIONSLAYER_H

#include "ioloop/iooptions.h"

enum iooptions_kind {
    IOOPTIONS_BOOLEAN,
    IOOPTIONS_INTEGER,
    IOOPTIONS_INTEGER64,
    IOOPTIONS_NUMBER,
    IOOPTIONS_DURATION,
    IOOPTIONS_DATETIME,
    IOOPTIONS_STRING,
    IOOPTIONS_INTEGERS,
    IOOPTIONS_NUMBERS,
    IOOPTIONS_DURATIONS,
    IOOPTIONS_STRINGS,
    IOOPTIONS_CUSTOM
};

union iooptions_value {
    bool boolean;
    int integer;
    int64_t integer64;
    double number;
    struct tm datetime;
    const char *string;
    struct iooptions_integers integers;
    struct iooptions_numbers numbers;
    struct iooptions_strings strings;
};

struct iooptions_entry {
    struct iooption option;
    enum iooptions_kind kind;
    union iooptions_value otherwise; /* the default */
    void *owned;                     /* memory that the variable's value is in; NULL: none */
    bool is_set;
};

struct iooptions_parsed {
    iooptions_parsed_fn *callback;
    void *arg;
};

/* NULL is the set of the process. */
struct iooptions *iooptionslayer_set(struct iooptions *options);

/* By the first bytes of a text; NULL: none. "help" is not among the entries. */
struct iooptions_entry *iooptionslayer_find(const struct iooptions *options, const char *name, size_t length);
bool iooptionslayer_is_help(const char *name, size_t length);

/* Undefines all from that one on: their variables have their defaults. */
void iooptionslayer_forget(struct iooptions *options, size_t first);

/* What its variable has now; nothing of a type of the program's own. */
void iooptionslayer_load(const struct iooption *option, union iooptions_value *value);

/* The variable gets it, the entry what it owns, and the callback is called, whose answer this is. */
int iooptionslayer_assign(struct iooptions_entry *entry, const union iooptions_value *value, void *owned);

/* The same with checks, which may end with a reason in why. */
int iooptionslayer_assign_integer(struct iooptions_entry *entry, int64_t value, const char **why);
int iooptionslayer_assign_number(struct iooptions_entry *entry, double value, const char **why);
int iooptionslayer_set_text(struct iooptions_entry *entry, const char *text, size_t length, const char **why);

/* Of these reasons: not from its minimum to its maximum. NULL is that of -ENOMEM and of the program's own functions; a
 * list of choices stands for itself. */
extern const char iooptionslayer_out_of_bounds[];

/* As iooptions_format; "" when the default is not worth telling. */
void iooptionslayer_format_default(const struct iooptions_entry *entry, char *text, size_t size);

/* A line on the output of the set, escaped, and cut after some 500 bytes. */
void iooptionslayer_complain(const struct iooptions *options, const char *format, ...) IOAPI_PRINTF(2, 3);

/* The lines of a file of that name. The text is changed. */
int iooptionslayer_read_lines(struct iooptions *options, const char *name, char *text, size_t length);

void iooptionslayer_free_logging(struct iooptions_logging *logging);

#endif
