/* The texts of options: to their variables, and back. */
#include "ioloop/iooptionslayer.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <string.h>

#include "ioloop/ioalloc.h"
#include "ioloop/iooptionvalue.h"

enum { MOST_ITEMS = 10000 };

const char iooptionslayer_out_of_bounds[] = "out of bounds";

/* An infinite number is within no bounds, nor is what is none. */
static int check_bounds(const struct iooption *option, double value, const char **why)
{
    bool has_bounds = option->minimum != 0 || option->maximum != 0;

    if (isfinite(value) && (!has_bounds || (value >= option->minimum && value <= option->maximum)))
        return 0;
    *why = iooptionslayer_out_of_bounds;
    return -ERANGE;
}

int iooptionslayer_assign_integer(struct iooptions_entry *entry, int64_t value, const char **why)
{
    int error = check_bounds(&entry->option, (double)value, why);

    if (error < 0)
        return error;
    if (entry->kind == IOOPTIONS_INTEGER64)
        return iooptionslayer_assign(entry, &(union iooptions_value){ .integer64 = value }, NULL);
    if (value < INT_MIN || value > INT_MAX) {
        *why = "too large";
        return -ERANGE;
    }
    return iooptionslayer_assign(entry, &(union iooptions_value){ .integer = (int)value }, NULL);
}

int iooptionslayer_assign_number(struct iooptions_entry *entry, double value, const char **why)
{
    int error = check_bounds(&entry->option, value, why);

    if (error < 0)
        return error;
    return iooptionslayer_assign(entry, &(union iooptions_value){ .number = value }, NULL);
}

/* choices: NULL, or what one of them stands for is taken instead of the text. */
static int check_choice(const char *choices, const char **text, size_t *length, const char **why)
{
    if (choices == NULL || iooptionvalue_choice(choices, *text, *length, text, length) >= 0)
        return 0;
    *why = choices;
    return -EINVAL;
}

/* With a NUL behind it. NULL: no memory. */
static char *copy_part(const char *text, size_t length)
{
    char *copy = ioalloc(length + 1);

    if (copy == NULL)
        return NULL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

static int assign_string(struct iooptions_entry *entry, const char *text, size_t length, const char **why)
{
    int error = check_choice(entry->option.choices, &text, &length, why);

    if (error < 0)
        return error;
    char *copy = copy_part(text, length);
    if (copy == NULL)
        return -ENOMEM;
    return iooptionslayer_assign(entry, &(union iooptions_value){ .string = copy }, copy);
}

static size_t count_items(const char *text, size_t length)
{
    size_t count = length > 0;

    for (size_t i = 0; i < length; i++)
        count += text[i] == ',';
    return count;
}

/* In place: each comma becomes the end of a string, and a choice what it stands for, which is as long. */
static int split_strings(const char *choices, char *at, size_t length, char **items, const char **why)
{
    char *end = at + length;
    int error = 0;

    for (size_t left = count_items(at, length); left > 0 && error == 0; left--) {
        const char *item = at;
        char *comma = memchr(at, ',', (size_t)(end - at));
        size_t size = (size_t)((comma != NULL ? comma : end) - at);
        error = check_choice(choices, &item, &size, why);
        memmove(at, item, size);
        at[size] = '\0';
        *items++ = at;
        at += size + 1;
    }
    return error;
}

/* One block: the pointers, then the text. */
static int assign_strings(struct iooptions_entry *entry, const char *text, size_t length, const char **why)
{
    size_t count = count_items(text, length);

    if (count > MOST_ITEMS) {
        *why = "more than 10,000 values";
        return -EINVAL;
    }
    char **items = ioalloc(count * sizeof *items + length + 1);
    if (items == NULL)
        return -ENOMEM;
    char *copy = (char *)(items + count);
    memcpy(copy, text, length);
    int error = split_strings(entry->option.choices, copy, length, items, why);
    if (error < 0) {
        ioalloc_free(items);
        return error;
    }
    union iooptions_value value = { .strings = { .items = (const char *const *)items, .count = count } };
    return iooptionslayer_assign(entry, &value, items);
}

/* A list of integers or of numbers that is being read. */
struct item_list {
    const struct iooption *option;
    union {
        int64_t integer;
        double number;
    } * items;
    size_t count, capacity;
};

static int make_list_room(struct item_list *list, const char **why)
{
    if (list->count < list->capacity)
        return 0;
    if (list->count == MOST_ITEMS) {
        *why = "more than 10,000 values";
        return -EINVAL;
    }
    size_t capacity = list->capacity < 8 ? 8 : list->capacity * 2 < MOST_ITEMS ? list->capacity * 2 : MOST_ITEMS;
    void *items = ioalloc_array_resize(list->items, capacity, sizeof *list->items);
    if (items == NULL)
        return -ENOMEM;
    list->items = items;
    list->capacity = capacity;
    return 0;
}

/* Counts from first upwards, so that the largest integer is no trap. */
static int add_integers(struct item_list *list, const char *text, size_t length, const char **why)
{
    int64_t first, last;

    *why = iooptionvalue_range(text, length, &first, &last);
    if (*why != NULL)
        return -EINVAL;
    int error = check_bounds(list->option, (double)first, why);
    if (error == 0)
        error = check_bounds(list->option, (double)last, why);
    for (uint64_t i = 0, count = (uint64_t)last - (uint64_t)first; error == 0 && i <= count; i++) {
        error = make_list_room(list, why);
        if (error == 0)
            list->items[list->count++].integer = first + (int64_t)i;
    }
    return error;
}

static int add_number(struct item_list *list, const char *text, size_t length, const char **why)
{
    double number;

    *why = list->option->durations != NULL ? iooptionvalue_duration(text, length, &number)
                                           : iooptionvalue_number(text, length, &number);
    if (*why != NULL)
        return -EINVAL;
    int error = check_bounds(list->option, number, why);
    if (error == 0)
        error = make_list_room(list, why);
    if (error == 0)
        list->items[list->count++].number = number;
    return error;
}

static int add_items(struct item_list *list, const char *text, size_t length, const char **why)
{
    const char *end = text + length;
    int error = 0;

    for (size_t left = count_items(text, length); left > 0 && error == 0; left--) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        size_t size = (size_t)((comma != NULL ? comma : end) - text);
        error =
            list->option->integers != NULL ? add_integers(list, text, size, why) : add_number(list, text, size, why);
        text += size + 1;
    }
    return error;
}

static int assign_list(struct iooptions_entry *entry, const char *text, size_t length, const char **why)
{
    struct item_list list = { .option = &entry->option };
    union iooptions_value value = { .numbers = { .count = 0 } };
    int error = add_items(&list, text, length, why);

    if (error < 0) {
        ioalloc_free(list.items);
        return error;
    }
    if (entry->kind == IOOPTIONS_INTEGERS)
        value.integers = (struct iooptions_integers){ .items = (const int64_t *)list.items, .count = list.count };
    else
        value.numbers = (struct iooptions_numbers){ .items = (const double *)list.items, .count = list.count };
    return iooptionslayer_assign(entry, &value, list.items);
}

static int assign_custom(struct iooptions_entry *entry, const char *text, size_t length)
{
    char *copy = copy_part(text, length);

    if (copy == NULL)
        return -ENOMEM;
    int error = entry->option.parse(copy, entry->option.arg);
    ioalloc_free(copy);
    return error < 0 ? error : iooptionslayer_assign(entry, &entry->otherwise, NULL);
}

int iooptionslayer_set_text(struct iooptions_entry *entry, const char *text, size_t length, const char **why)
{
    union iooptions_value value;
    int64_t integer;
    double number;

    *why = NULL;
    switch (entry->kind) {
    case IOOPTIONS_BOOLEAN:
        *why = iooptionvalue_boolean(text, length, &value.boolean);
        return *why != NULL ? -EINVAL : iooptionslayer_assign(entry, &value, NULL);
    case IOOPTIONS_INTEGER:
    case IOOPTIONS_INTEGER64:
        *why = iooptionvalue_integer(text, length, &integer);
        return *why != NULL ? -EINVAL : iooptionslayer_assign_integer(entry, integer, why);
    case IOOPTIONS_NUMBER:
        *why = iooptionvalue_number(text, length, &number);
        return *why != NULL ? -EINVAL : iooptionslayer_assign_number(entry, number, why);
    case IOOPTIONS_DURATION:
        *why = iooptionvalue_duration(text, length, &number);
        return *why != NULL ? -EINVAL : iooptionslayer_assign_number(entry, number, why);
    case IOOPTIONS_DATETIME:
        *why = iooptionvalue_datetime(text, length, &value.datetime);
        return *why != NULL ? -EINVAL : iooptionslayer_assign(entry, &value, NULL);
    case IOOPTIONS_STRING:
        return assign_string(entry, text, length, why);
    case IOOPTIONS_STRINGS:
        return assign_strings(entry, text, length, why);
    case IOOPTIONS_INTEGERS:
    case IOOPTIONS_NUMBERS:
    case IOOPTIONS_DURATIONS:
        return assign_list(entry, text, length, why);
    case IOOPTIONS_CUSTOM:
        return assign_custom(entry, text, length);
    }
    return -EINVAL;
}

/* What does not fit is only counted. */
struct written {
    char *place;
    size_t size, length;
};

static void put_characters(struct written *written, const char *text)
{
    for (; *text != '\0'; text++) {
        if (written->length + 1 < written->size)
            written->place[written->length] = *text;
        written->length++;
    }
}

static void put_decimal(struct written *written, double value, const char *unit)
{
    char text[IOOPTIONVALUE_NUMBER_SIZE];

    iooptionvalue_format_number(value, text);
    put_characters(written, text);
    put_characters(written, unit);
}

static void put_integer(struct written *written, int64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRId64, value);
    put_characters(written, text);
}

static void put_datetime(struct written *written, const struct tm *value)
{
    char text[80];

    snprintf(text, sizeof text, "%04d-%02d-%02d %02d:%02d:%02d", value->tm_year + 1900, value->tm_mon + 1,
             value->tm_mday, value->tm_hour, value->tm_min, value->tm_sec);
    put_characters(written, text);
}

static void put_list(struct written *written, enum iooptions_kind kind, const union iooptions_value *value)
{
    size_t count = kind == IOOPTIONS_STRINGS    ? value->strings.count
                   : kind == IOOPTIONS_INTEGERS ? value->integers.count
                                                : value->numbers.count;

    for (size_t i = 0; i < count; i++) {
        put_characters(written, i > 0 ? "," : "");
        if (kind == IOOPTIONS_STRINGS)
            put_characters(written, value->strings.items[i]);
        else if (kind == IOOPTIONS_INTEGERS)
            put_integer(written, value->integers.items[i]);
        else
            put_decimal(written, value->numbers.items[i], kind == IOOPTIONS_DURATIONS ? "s" : "");
    }
}

static void put_value(struct written *written, enum iooptions_kind kind, const union iooptions_value *value)
{
    switch (kind) {
    case IOOPTIONS_BOOLEAN:
        put_characters(written, value->boolean ? "true" : "false");
        break;
    case IOOPTIONS_INTEGER:
        put_integer(written, value->integer);
        break;
    case IOOPTIONS_INTEGER64:
        put_integer(written, value->integer64);
        break;
    case IOOPTIONS_NUMBER:
        put_decimal(written, value->number, "");
        break;
    case IOOPTIONS_DURATION:
        put_decimal(written, value->number, "s");
        break;
    case IOOPTIONS_DATETIME:
        put_datetime(written, &value->datetime);
        break;
    case IOOPTIONS_STRING:
        put_characters(written, value->string != NULL ? value->string : "");
        break;
    case IOOPTIONS_CUSTOM:
        break;
    default:
        put_list(written, kind, value);
        break;
    }
}

static int format_value(enum iooptions_kind kind, const union iooptions_value *value, char *text, size_t size)
{
    struct written written = { text, size, 0 };

    if (kind == IOOPTIONS_CUSTOM)
        return -ENOTSUP;
    put_value(&written, kind, value);
    if (size > 0)
        text[written.length < size ? written.length : size - 1] = '\0';
    return written.length <= INT_MAX ? (int)written.length : -EOVERFLOW;
}

int iooptions_format(struct iooptions *options, const char *name, char *text, size_t size)
{
    const struct iooptions *set = iooptionslayer_set(options);
    const struct iooptions_entry *entry = iooptionslayer_find(set, name, strlen(name));
    union iooptions_value value;

    if (entry == NULL)
        return -ENOENT;
    iooptionslayer_load(&entry->option, &value);
    return format_value(entry->kind, &value, text, size);
}

void iooptionslayer_format_default(const struct iooptions_entry *entry, char *text, size_t size)
{
    bool is_false = entry->kind == IOOPTIONS_BOOLEAN && !entry->otherwise.boolean;
    bool is_no_day = entry->kind == IOOPTIONS_DATETIME && entry->otherwise.datetime.tm_mday == 0;

    text[0] = '\0';
    if (!is_false && !is_no_day)
        format_value(entry->kind, &entry->otherwise, text, size);
}
