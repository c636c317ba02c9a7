/* What --help says. */
#include "ioloop/iooptionslayer.h"

#include <string.h>

enum { WIDTH = 79, INDENTATION = 35, LONGEST_HEAD = 30 };

/* Text that goes from column INDENTATION to WIDTH. */
struct wrapped {
    FILE *file;
    int column;
};

static bool is_continuation(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

/* As far as characters are one wide each. */
static int columns_of(const char *text, size_t length)
{
    int columns = 0;

    for (size_t i = 0; i < length; i++)
        columns += !is_continuation(text[i]);
    return columns;
}

static void begin_line(struct wrapped *wrapped)
{
    fprintf(wrapped->file, "\n%*s", INDENTATION, "");
    wrapped->column = INDENTATION;
}

/* One that is longer than a line is broken. */
static void put_word(struct wrapped *wrapped, const char *word, size_t length)
{
    int blank = wrapped->column > INDENTATION;

    if (blank && wrapped->column + 1 + columns_of(word, length) > WIDTH) {
        begin_line(wrapped);
        blank = 0;
    }
    if (blank)
        fputc(' ', wrapped->file);
    wrapped->column += blank;
    for (size_t i = 0; i < length; i++) {
        if (!is_continuation(word[i]) && wrapped->column++ == WIDTH) {
            begin_line(wrapped);
            wrapped->column++;
        }
        fputc(word[i], wrapped->file);
    }
}

static void put_words(struct wrapped *wrapped, const char *text)
{
    static const char blanks[] = " \t\n";

    for (text += strspn(text, blanks); *text != '\0'; text += strspn(text, blanks)) {
        size_t length = strcspn(text, blanks);
        put_word(wrapped, text, length);
        text += length;
    }
}

static const char *metavar_of(const struct iooptions_entry *entry)
{
    static const char *const by_kind[] = {
        [IOOPTIONS_INTEGER] = "N",        [IOOPTIONS_INTEGER64] = "N",        [IOOPTIONS_NUMBER] = "NUMBER",
        [IOOPTIONS_DURATION] = "TIME",    [IOOPTIONS_DATETIME] = "DATE",      [IOOPTIONS_STRING] = "TEXT",
        [IOOPTIONS_INTEGERS] = "N,N:N",   [IOOPTIONS_NUMBERS] = "NUMBER,...", [IOOPTIONS_DURATIONS] = "TIME,...",
        [IOOPTIONS_STRINGS] = "TEXT,...", [IOOPTIONS_CUSTOM] = "VALUE",
    };

    if (entry->option.metavar != NULL || entry->kind == IOOPTIONS_BOOLEAN)
        return entry->option.metavar;
    return entry->option.choices != NULL ? entry->option.choices : by_kind[entry->kind];
}

/* "  --name=VALUE", with dashes whichever way it is written; answers at the column of the description. */
static void put_option_head(FILE *file, const char *name, const char *metavar)
{
    int length = columns_of(name, strlen(name));

    fputs("  --", file);
    for (; *name != '\0'; name++)
        fputc(*name == '_' ? '-' : *name, file);
    if (metavar != NULL)
        length += fprintf(file, "=%s", metavar) > 0 ? columns_of(metavar, strlen(metavar)) + 1 : 0;
    if (length > LONGEST_HEAD)
        fprintf(file, "\n%*s", INDENTATION, "");
    else
        fprintf(file, "%*s", LONGEST_HEAD - length + 1, "");
}

static void put_option(FILE *file, const struct iooptions_entry *entry)
{
    struct wrapped wrapped = { file, INDENTATION };
    char value[256], text[sizeof value + 16];

    put_option_head(file, entry->option.name, metavar_of(entry));
    if (entry->option.help != NULL)
        put_words(&wrapped, entry->option.help);
    iooptionslayer_format_default(entry, value, sizeof value);
    if (value[0] != '\0') {
        snprintf(text, sizeof text, "(default %s)", value);
        put_words(&wrapped, text);
    }
    fputc('\n', file);
}

static bool is_same_group(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void put_group(FILE *file, const struct iooptions *options, const char *group)
{
    if (group != NULL)
        fprintf(file, "\n%s options:\n\n", group);
    for (size_t i = 0; i < options->entry_count; i++) {
        if (is_same_group(options->entries[i]->option.group, group))
            put_option(file, options->entries[i]);
    }
}

static bool is_first_of_group(const struct iooptions *options, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (is_same_group(options->entries[i]->option.group, options->entries[index]->option.group))
            return false;
    }
    return true;
}

/* The form of Tornado; groups and options in the order in which they were defined. */
void iooptions_print_help(struct iooptions *options)
{
    const struct iooptions *set = iooptionslayer_set(options);
    FILE *file = set->output != NULL ? set->output : stderr;
    const struct iooption *help = iooptions_at(options, 0);

    fprintf(file, "Usage: %s [OPTIONS]\n\nOptions:\n\n", set->program != NULL ? set->program : "");
    put_option_head(file, help->name, NULL);
    fprintf(file, "%s\n", help->help);
    put_group(file, set, NULL);
    for (size_t i = 0; i < set->entry_count; i++) {
        const char *group = set->entries[i]->option.group;
        if (group != NULL && is_first_of_group(set, i))
            put_group(file, set, group);
    }
    fputc('\n', file);
}
