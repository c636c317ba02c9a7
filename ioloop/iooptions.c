#include "ioloop/iooptions.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "ioloop/ioalloc.h"
#include "ioloop/iooptionslayer.h"

static struct iooptions process_options;

static const struct iooption help_option = { .name = "help", .help = "show this help information" };

struct iooptions *iooptionslayer_set(struct iooptions *options)
{
    return options != NULL ? options : &process_options;
}

/* Where the value is; NULL and no kind when that is not one variable. */
static void *variable_of(const struct iooption *option, enum iooptions_kind *kind)
{
    void *const variables[] = {
        [IOOPTIONS_BOOLEAN] = option->boolean,     [IOOPTIONS_INTEGER] = option->integer,
        [IOOPTIONS_INTEGER64] = option->integer64, [IOOPTIONS_NUMBER] = option->number,
        [IOOPTIONS_DURATION] = option->duration,   [IOOPTIONS_DATETIME] = option->datetime,
        [IOOPTIONS_STRING] = option->string,       [IOOPTIONS_INTEGERS] = option->integers,
        [IOOPTIONS_NUMBERS] = option->numbers,     [IOOPTIONS_DURATIONS] = option->durations,
        [IOOPTIONS_STRINGS] = option->strings,
    };
    void *found = NULL;
    int count = option->parse != NULL;

    *kind = IOOPTIONS_CUSTOM;
    for (int i = 0; i < IOOPTIONS_CUSTOM; i++) {
        if (variables[i] == NULL)
            continue;
        found = variables[i];
        *kind = (enum iooptions_kind)i;
        count++;
    }
    return count == 1 ? found : NULL;
}

static size_t size_of_kind(enum iooptions_kind kind)
{
    static const size_t sizes[] = {
        [IOOPTIONS_BOOLEAN] = sizeof(bool),
        [IOOPTIONS_INTEGER] = sizeof(int),
        [IOOPTIONS_INTEGER64] = sizeof(int64_t),
        [IOOPTIONS_NUMBER] = sizeof(double),
        [IOOPTIONS_DURATION] = sizeof(double),
        [IOOPTIONS_DATETIME] = sizeof(struct tm),
        [IOOPTIONS_STRING] = sizeof(const char *),
        [IOOPTIONS_INTEGERS] = sizeof(struct iooptions_integers),
        [IOOPTIONS_NUMBERS] = sizeof(struct iooptions_numbers),
        [IOOPTIONS_DURATIONS] = sizeof(struct iooptions_numbers),
        [IOOPTIONS_STRINGS] = sizeof(struct iooptions_strings),
        [IOOPTIONS_CUSTOM] = 0,
    };

    return sizes[kind];
}

void iooptionslayer_load(const struct iooption *option, union iooptions_value *value)
{
    enum iooptions_kind kind;
    const void *variable = variable_of(option, &kind);

    if (variable != NULL)
        memcpy(value, variable, size_of_kind(kind));
}

static void store(const struct iooption *option, const union iooptions_value *value)
{
    enum iooptions_kind kind;
    void *variable = variable_of(option, &kind);

    if (variable != NULL)
        memcpy(variable, value, size_of_kind(kind));
}

static bool is_name_equal(const char *name, const char *other, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char a = name[i] == '_' ? '-' : name[i], b = other[i] == '_' ? '-' : other[i];
        if (a != b || a == '\0')
            return false;
    }
    return name[length] == '\0';
}

bool iooptionslayer_is_help(const char *name, size_t length)
{
    return is_name_equal(help_option.name, name, length);
}

struct iooptions_entry *iooptionslayer_find(const struct iooptions *options, const char *name, size_t length)
{
    for (size_t i = 0; i < options->entry_count; i++) {
        if (is_name_equal(options->entries[i]->option.name, name, length))
            return options->entries[i];
    }
    return NULL;
}

static struct iooptions_entry *find_option(struct iooptions *options, const char *name)
{
    return iooptionslayer_find(iooptionslayer_set(options), name, strlen(name));
}

/* What can be written as --name=value, and as a line of a file. */
static bool is_option_name(const char *name)
{
    if (name == NULL || name[0] == '\0' || name[0] == '-')
        return false;
    for (; *name != '\0'; name++) {
        if ((unsigned char)*name <= ' ' || *name == '\x7f' || strchr("=#\"'", *name) != NULL)
            return false;
    }
    return true;
}

static int add_entry(struct iooptions *options, const struct iooption *option)
{
    struct iooptions_entry **entries =
        ioalloc_array_resize(options->entries, options->entry_count + 1, sizeof *entries);

    if (entries == NULL)
        return -ENOMEM;
    options->entries = entries;
    struct iooptions_entry *entry = ioalloc_zeroed(sizeof *entry);
    if (entry == NULL)
        return -ENOMEM;
    entry->option = *option;
    variable_of(option, &entry->kind);
    iooptionslayer_load(option, &entry->otherwise);
    entries[options->entry_count++] = entry;
    return 0;
}

int iooptions_define(struct iooptions *options, const struct iooption *option)
{
    enum iooptions_kind kind;

    if (!is_option_name(option->name))
        return -EINVAL;
    if (variable_of(option, &kind) == NULL && (kind != IOOPTIONS_CUSTOM || option->parse == NULL))
        return -EINVAL;
    if (iooptions_find(options, option->name) != NULL)
        return -EEXIST;
    return add_entry(iooptionslayer_set(options), option);
}

void iooptionslayer_forget(struct iooptions *options, size_t first)
{
    while (options->entry_count > first) {
        struct iooptions_entry *entry = options->entries[--options->entry_count];
        store(&entry->option, &entry->otherwise);
        ioalloc_free(entry->owned);
        ioalloc_free(entry);
    }
}

int iooptions_define_table(struct iooptions *options, const struct iooption *table)
{
    struct iooptions *set = iooptionslayer_set(options);
    size_t before = set->entry_count;

    for (; table->name != NULL; table++) {
        int error = iooptions_define(set, table);
        if (error < 0) {
            iooptionslayer_forget(set, before);
            return error;
        }
    }
    return 0;
}

void iooptions_free(struct iooptions *options)
{
    struct iooptions *set = iooptionslayer_set(options);

    iooptionslayer_forget(set, 0);
    ioalloc_free(set->entries);
    ioalloc_free(set->callbacks);
    iooptionslayer_free_logging(set->logging);
    *set = (struct iooptions){ 0 };
}

const struct iooption *iooptions_find(struct iooptions *options, const char *name)
{
    const struct iooptions_entry *entry = find_option(options, name);

    if (entry != NULL)
        return &entry->option;
    return iooptionslayer_is_help(name, strlen(name)) ? &help_option : NULL;
}

const struct iooption *iooptions_at(struct iooptions *options, size_t index)
{
    const struct iooptions *set = iooptionslayer_set(options);

    if (index == 0)
        return &help_option;
    return index <= set->entry_count ? &set->entries[index - 1]->option : NULL;
}

bool iooptions_is_set(struct iooptions *options, const char *name)
{
    const struct iooptions_entry *entry = find_option(options, name);

    return entry != NULL && entry->is_set;
}

void iooptions_set_output(struct iooptions *options, FILE *output)
{
    iooptionslayer_set(options)->output = output;
}

int iooptions_add_parse_callback(struct iooptions *options, iooptions_parsed_fn *callback, void *arg)
{
    struct iooptions *set = iooptionslayer_set(options);
    struct iooptions_parsed *callbacks =
        ioalloc_array_resize(set->callbacks, set->callback_count + 1, sizeof *callbacks);

    if (callbacks == NULL)
        return -ENOMEM;
    set->callbacks = callbacks;
    callbacks[set->callback_count++] = (struct iooptions_parsed){ callback, arg };
    return 0;
}

int iooptions_run_parse_callbacks(struct iooptions *options)
{
    struct iooptions *set = iooptionslayer_set(options);

    for (size_t i = 0; i < set->callback_count; i++) {
        int error = set->callbacks[i].callback(set, set->callbacks[i].arg);
        if (error < 0)
            return error;
    }
    return 0;
}

/* The one way in. What the variable had before is freed when it has the new value. */
int iooptionslayer_assign(struct iooptions_entry *entry, const union iooptions_value *value, void *owned)
{
    store(&entry->option, value);
    ioalloc_free(entry->owned);
    entry->owned = owned;
    entry->is_set = true;
    return entry->option.callback != NULL ? entry->option.callback(&entry->option, entry->option.arg) : 0;
}

int iooptions_set(struct iooptions *options, const char *name, const char *text)
{
    struct iooptions_entry *entry = find_option(options, name);
    const char *why;

    return entry != NULL ? iooptionslayer_set_text(entry, text, strlen(text), &why) : -ENOENT;
}

int iooptions_set_boolean(struct iooptions *options, const char *name, bool value)
{
    struct iooptions_entry *entry = find_option(options, name);

    if (entry == NULL)
        return -ENOENT;
    if (entry->kind != IOOPTIONS_BOOLEAN)
        return -EINVAL;
    return iooptionslayer_assign(entry, &(union iooptions_value){ .boolean = value }, NULL);
}

int iooptions_set_integer(struct iooptions *options, const char *name, int64_t value)
{
    struct iooptions_entry *entry = find_option(options, name);
    const char *why;

    if (entry == NULL)
        return -ENOENT;
    if (entry->kind != IOOPTIONS_INTEGER && entry->kind != IOOPTIONS_INTEGER64)
        return -EINVAL;
    return iooptionslayer_assign_integer(entry, value, &why);
}

int iooptions_set_number(struct iooptions *options, const char *name, double value)
{
    struct iooptions_entry *entry = find_option(options, name);
    const char *why;

    if (entry == NULL)
        return -ENOENT;
    if (entry->kind != IOOPTIONS_NUMBER && entry->kind != IOOPTIONS_DURATION)
        return -EINVAL;
    return iooptionslayer_assign_number(entry, value, &why);
}

int iooptions_set_string(struct iooptions *options, const char *name, const char *value)
{
    struct iooptions_entry *entry = find_option(options, name);
    const char *why;

    if (entry == NULL)
        return -ENOENT;
    if (entry->kind != IOOPTIONS_STRING)
        return -EINVAL;
    if (value == NULL)
        return iooptionslayer_assign(entry, &(union iooptions_value){ .string = NULL }, NULL);
    return iooptionslayer_set_text(entry, value, strlen(value), &why);
}

bool iooptions_boolean(struct iooptions *options, const char *name)
{
    const struct iooption *option = iooptions_find(options, name);

    assert(option != NULL && option->boolean != NULL);
    return *option->boolean;
}

int64_t iooptions_integer(struct iooptions *options, const char *name)
{
    const struct iooption *option = iooptions_find(options, name);

    assert(option != NULL && (option->integer != NULL || option->integer64 != NULL));
    return option->integer != NULL ? *option->integer : *option->integer64;
}

double iooptions_number(struct iooptions *options, const char *name)
{
    const struct iooption *option = iooptions_find(options, name);

    assert(option != NULL && (option->number != NULL || option->duration != NULL));
    return option->number != NULL ? *option->number : *option->duration;
}

const char *iooptions_string(struct iooptions *options, const char *name)
{
    const struct iooption *option = iooptions_find(options, name);

    assert(option != NULL && option->string != NULL);
    return *option->string;
}
