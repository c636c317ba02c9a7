/* Files with options, command lines, single values, and lines of the log. The first byte chooses.
 *
 * What has to hold: a file or a command line is accepted without a word, or refused with some, none of them a control
 * character; all at once has the same outcome as in two parts; each value is written as a text that is read as the same
 * value; any string can be written in quotes; a line of the log is UTF-8 without control characters, and escaping it
 * again changes nothing but the indentation. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "httpserver/httpescape.h"
#include "ioloop/iologline.h"
#include "ioloop/iooptionslayer.h"
#include "tests/fuzz/fuzz.h"

enum { TYPES = 12, LONGEST = 20000 };

struct world {
    struct iooptions set;
    bool boolean;
    int integer;
    int64_t integer64;
    double number, duration;
    struct tm datetime;
    const char *string, *mode;
    struct iooptions_integers integers;
    struct iooptions_numbers numbers, durations;
    struct iooptions_strings strings;
    FILE *file;
    char *said;
    size_t size;
};

static void open_world(struct world *world)
{
    *world = (struct world){ .integer = 1 };
    const struct iooption table[] = {
        { .name = "boolean", .boolean = &world->boolean },
        { .name = "integer", .integer = &world->integer, .minimum = -9, .maximum = 99999 },
        { .name = "integer64", .integer64 = &world->integer64 },
        { .name = "number", .number = &world->number },
        { .name = "duration", .duration = &world->duration },
        { .name = "date-time", .datetime = &world->datetime },
        { .name = "string", .string = &world->string },
        { .name = "mode", .string = &world->mode, .choices = "size|time" },
        { .name = "integers", .integers = &world->integers },
        { .name = "numbers", .numbers = &world->numbers, .maximum = 1e9 },
        { .name = "durations", .durations = &world->durations },
        { .name = "strings", .strings = &world->strings },
        { 0 },
    };
    require(iooptions_define_table(&world->set, table) == 0);
    world->file = open_memstream(&world->said, &world->size);
    require(world->file != NULL);
    iooptions_set_output(&world->set, world->file);
}

static void close_world(struct world *world)
{
    iooptions_free(&world->set);
    fclose(world->file);
    free(world->said);
}

/* Lines end with LF; in them there are no control characters but tabs, and all is UTF-8. */
static void require_printable(const char *text, size_t length)
{
    char *place = malloc(5 * length + 1);

    require(place != NULL);
    for (size_t i = 0; i < length; i++)
        require((unsigned char)text[i] >= ' ' || text[i] == '\n' || text[i] == '\t');
    require(httpescape_is_utf8(text, length));
    for (const char *line = text; line < text + length;) {
        const char *newline = memchr(line, '\n', (size_t)(text + length - line));
        size_t size = (size_t)((newline != NULL ? newline : text + length) - line);
        require(iologline_escape(line, size, place) == size && memcmp(place, line, size) == 0);
        line += size + 1;
    }
    free(place);
}

static void require_consistent(struct world *world, bool is_accepted)
{
    fflush(world->file);
    require(is_accepted == (world->size == 0));
    require_printable(world->said, world->size);
}

/* As one text: which are set, and to what. */
static void describe(struct world *world, char *place, size_t size)
{
    const struct iooption *option;
    size_t length = 0;

    for (size_t i = 1; (option = iooptions_at(&world->set, i)) != NULL; i++) {
        int count = iooptions_format(&world->set, option->name, place + length, size - length);
        require(count >= 0);
        length += (size_t)count < size - length ? (size_t)count : size - length - 1;
        length += (size_t)snprintf(place + length, size - length, "%d;", iooptions_is_set(&world->set, option->name));
        if (length >= size - 10)
            return;
    }
}

static char descriptions[2][10 * LONGEST];

static void require_same(struct world *a, struct world *b)
{
    describe(a, descriptions[0], sizeof descriptions[0]);
    describe(b, descriptions[1], sizeof descriptions[1]);
    require(strcmp(descriptions[0], descriptions[1]) == 0);
}

/* What is written of a value is read, as the same value. */
static void require_round_trip(struct world *world)
{
    static char first[10 * LONGEST], second[10 * LONGEST];
    const struct iooption *option;

    for (size_t i = 1; (option = iooptions_at(&world->set, i)) != NULL; i++) {
        if (!iooptions_is_set(&world->set, option->name))
            continue;
        int length = iooptions_format(&world->set, option->name, first, sizeof first);
        if ((size_t)length >= sizeof first)
            continue;
        double number = world->number, duration = world->duration;
        require(iooptions_set(&world->set, option->name, first) == 0);
        require(iooptions_format(&world->set, option->name, second, sizeof second) == length);
        require(strcmp(first, second) == 0);
        require(world->number == number && world->duration == duration);
    }
}

static int read_copy(struct world *world, const uint8_t *bytes, size_t length)
{
    char *copy = malloc(length + 1);

    require(copy != NULL);
    memcpy(copy, bytes, length);
    int error = iooptionslayer_read_lines(&world->set, "file", copy, length);
    free(copy);
    return error;
}

/* The second part begins behind the line that the split is in. */
static void check_file(const uint8_t *bytes, size_t length, size_t split)
{
    struct world whole, parts;

    open_world(&whole);
    open_world(&parts);
    int error = read_copy(&whole, bytes, length);
    require(error == 0 || error == -EINVAL);
    require_consistent(&whole, error == 0);
    const uint8_t *newline = memchr(bytes + split, '\n', length - split);
    size_t first = newline != NULL ? (size_t)(newline - bytes) + 1 : length;
    bool has_mark = length - first >= 3 && memcmp(bytes + first, "\xef\xbb\xbf", 3) == 0;
    int error_of_parts = read_copy(&parts, bytes, first);
    if (error_of_parts == 0)
        error_of_parts = read_copy(&parts, bytes + first, length - first);
    if (!has_mark) {
        require(error_of_parts == error);
        require_same(&whole, &parts);
    }
    require_round_trip(&whole);
    close_world(&whole);
    close_world(&parts);
}

/* NULs separate the arguments. */
static void check_command_line(char *text, size_t length, size_t split)
{
    struct world whole, parts;
    char *arguments[66] = { (char *)"program" };
    int count = 1;

    for (char *end = text + length; text < end && count < 64; text += strlen(text) + 1)
        arguments[count++] = text;
    open_world(&whole);
    open_world(&parts);
    int rest = iooptions_parse_command_line(&whole.set, count, arguments, true);
    require(rest == -EINVAL || (rest >= 0 && rest <= count));
    require_consistent(&whole, rest > 0);
    int first = count > 1 ? (int)(split % (size_t)count) : 0, answer = first;
    char *before = arguments[first + 1];
    arguments[first + 1] = NULL;
    int rest_of_first = iooptions_parse_command_line(&parts.set, first + 1, arguments, false);
    arguments[first + 1] = before;
    if (rest_of_first == first + 1 && (first == 0 || strcmp(arguments[first], "--") != 0)) {
        answer = iooptions_parse_command_line(&parts.set, count - first, arguments + first, true);
        answer += answer > 0 ? first : 0;
    } else {
        answer = rest_of_first;
    }
    require(answer == rest);
    require_same(&whole, &parts);
    require_round_trip(&whole);
    close_world(&whole);
    close_world(&parts);
}

static void check_value(const char *text, size_t type)
{
    struct world world;
    char name[32];

    open_world(&world);
    snprintf(name, sizeof name, "%s", iooptions_at(&world.set, 1 + type % TYPES)->name);
    int error = iooptions_set(&world.set, name, text);
    require(error == 0 || error == -EINVAL || error == -ERANGE);
    require(iooptions_is_set(&world.set, name) == (error == 0));
    require_round_trip(&world);
    require_consistent(&world, true);
    close_world(&world);
}

static size_t quote(char *place, const char *text)
{
    size_t length = (size_t)sprintf(place, "string=\"");

    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            length += (size_t)sprintf(place + length, "\\%c", *text);
        else if ((unsigned char)*text < ' ' || *text == '\x7f')
            length += (size_t)sprintf(place + length, "\\x%02x", (unsigned)(unsigned char)*text);
        else
            place[length++] = *text;
    }
    place[length++] = '"';
    return length;
}

static void check_quotes(const char *text)
{
    char *line = malloc(4 * strlen(text) + 16);
    struct world world;

    require(line != NULL);
    open_world(&world);
    require(iooptionslayer_read_lines(&world.set, "file", line, quote(line, text)) == 0);
    require(strcmp(world.string, text) == 0);
    close_world(&world);
    free(line);
}

static void check_log_line(const char *text, size_t length)
{
    char *place = malloc(5 * length + 1);

    require(place != NULL);
    require_printable(place, iologline_escape(text, length, place));
    free(place);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > LONGEST)
        return 0;
    size_t length = size - 2, split = data[1] * (length + 1) / 256;
    char *text = malloc(length + 1);
    require(text != NULL);
    memcpy(text, data + 2, length);
    text[length] = '\0';
    switch (data[0] % 5) {
    case 0:
        check_file(data + 2, length, split);
        break;
    case 1:
        check_command_line(text, length, data[1]);
        break;
    case 2:
        check_value(text, data[1]);
        break;
    case 3:
        check_quotes(text);
        break;
    default:
        check_log_line(text, length);
        break;
    }
    free(text);
    return 0;
}
