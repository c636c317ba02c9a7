/* Command lines and files with options. */
#include "ioloop/iooptionslayer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "ioloop/ioalloc.h"
#include "ioloop/iologline.h"
#include "ioloop/ioloop.h"
#include "ioloop/iooptionvalue.h"

enum { LARGEST_FILE = 1024 * 1024, DEEPEST_FILE = 8 };

void iooptionslayer_complain(const struct iooptions *options, const char *format, ...)
{
    char text[512], line[5 * sizeof text + 1];
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    size_t size = iologline_escape(text, strlen(text), line);
    line[size++] = '\n';
    fwrite(line, 1, size, options->output != NULL ? options->output : stderr);
}

/* Why an option could not be set. where: "program: --" or "file:line: ". */
static void complain_of_value(const struct iooptions *options, const char *where, const struct iooptions_entry *entry,
                              const char *text, int error, const char *why)
{
    const struct iooption *option = &entry->option;
    char least[IOOPTIONVALUE_NUMBER_SIZE], most[IOOPTIONVALUE_NUMBER_SIZE];

    if (why == iooptionslayer_out_of_bounds) {
        iooptionvalue_format_number(option->minimum, least);
        iooptionvalue_format_number(option->maximum, most);
        iooptionslayer_complain(options, "%s%s=%.100s: not from %s to %s", where, option->name, text, least, most);
    } else if (why != NULL && why == option->choices) {
        iooptionslayer_complain(options, "%s%s=%.100s: not one of %s", where, option->name, text, why);
    } else {
        iooptionslayer_complain(options, "%s%s=%.100s: %s", where, option->name, text,
                                why != NULL ? why : ioloop_strerror(error));
    }
}

/* That a value is not in its bounds is only of interest to who sets it from code. */
static int set_and_complain(const struct iooptions *options, const char *where, struct iooptions_entry *entry,
                            const char *text, size_t length)
{
    const char *why;
    int error = iooptionslayer_set_text(entry, text, length, &why);

    if (error < 0)
        complain_of_value(options, where, entry, text, error, why);
    return error < 0 && why != NULL ? -EINVAL : error;
}

static int complain_of_argument(const struct iooptions *options, const char *argument, const char *why)
{
    iooptionslayer_complain(options, "%s: %s %.200s", options->program, why, argument);
    return -EINVAL;
}

/* --no-name of a boolean. */
static struct iooptions_entry *find_negated(const struct iooptions *options, const char *name, size_t length)
{
    if (length < 4 || name[0] != 'n' || name[1] != 'o' || (name[2] != '-' && name[2] != '_'))
        return NULL;
    struct iooptions_entry *entry = iooptionslayer_find(options, name + 3, length - 3);
    return entry != NULL && entry->kind == IOOPTIONS_BOOLEAN ? entry : NULL;
}

/* argument: "--name=value", with any number of dashes, or "--name", or "--no-name". */
static int take_argument(const struct iooptions *options, const char *argument)
{
    const char *name = argument + strspn(argument, "-"), *equals = strchr(name, '=');
    size_t length = equals != NULL ? (size_t)(equals - name) : strlen(name);
    struct iooptions_entry *entry = iooptionslayer_find(options, name, length);
    struct iooptions_entry *negated = entry == NULL ? find_negated(options, name, length) : NULL;
    char where[128];

    if (entry == NULL && negated == NULL)
        return complain_of_argument(options, argument, "unknown option");
    if (negated != NULL && equals != NULL)
        return complain_of_argument(options, argument, "no value is wanted by");
    if (entry != NULL && equals == NULL && entry->kind != IOOPTIONS_BOOLEAN)
        return complain_of_argument(options, argument, "a value is wanted by");
    const char *value = equals != NULL ? equals + 1 : entry != NULL ? "true" : "false";
    snprintf(where, sizeof where, "%.100s: --", options->program);
    return set_and_complain(options, where, entry != NULL ? entry : negated, value, strlen(value));
}

static bool is_help(const char *argument)
{
    const char *name = argument + strspn(argument, "-");

    return iooptionslayer_is_help(name, strcspn(name, "="));
}

static const char *name_of_program(const char *path)
{
    const char *slash = path != NULL ? strrchr(path, '/') : NULL;

    return slash != NULL ? slash + 1 : path != NULL ? path : "";
}

int iooptions_parse_command_line(struct iooptions *options, int argc, char **argv, bool final)
{
    struct iooptions *set = iooptionslayer_set(options);
    int i = 1, error = 0;

    set->program = name_of_program(argc > 0 ? argv[0] : NULL);
    for (; i < argc && argv[i][0] == '-' && argv[i][1] != '\0'; i++) { /* "-" is the name of a file to many programs */
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        if (is_help(argv[i])) {
            iooptions_print_help(set);
            return 0;
        }
        error = take_argument(set, argv[i]);
        if (error < 0) {
            iooptionslayer_complain(set, "Usage: %s [OPTIONS], see %s --help", set->program, set->program);
            return error;
        }
    }
    if (final)
        error = iooptions_run_parse_callbacks(set);
    return error < 0 ? error : i;
}

int iooptions_parse(const struct iooption *table, int argc, char **argv)
{
    int error = iooptions_define_table(NULL, table);

    if (error == 0)
        error = iooptions_add_logging(NULL, "warning");
    if (error == 0)
        return iooptions_parse_command_line(NULL, argc, argv, true);
    iooptionslayer_complain(iooptionslayer_set(NULL), "%s: the options cannot be defined: %s",
                            name_of_program(argc > 0 ? argv[0] : NULL), ioloop_strerror(error));
    return error;
}

static bool is_blank_or_end(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\0';
}

static char *after_blanks(char *at)
{
    return at + strspn(at, " \t");
}

static int escape_digit(char byte)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *found = byte != '\0' ? strchr(digits, byte) : NULL;

    return found != NULL ? (int)(found - digits) % 16 : -1;
}

/* What stands behind a backslash. Answers how many bytes that are; 0: it is no escape. */
static size_t unescape(const char *at, char *byte)
{
    static const char names[] = "ntr\\\"'", bytes[] = "\n\t\r\\\"'";
    const char *found = *at != '\0' ? strchr(names, *at) : NULL;

    if (found != NULL) {
        *byte = bytes[found - names];
        return 1;
    }
    if (*at != 'x' || escape_digit(at[1]) < 0 || escape_digit(at[2]) < 0)
        return 0;
    *byte = (char)(escape_digit(at[1]) * 16 + escape_digit(at[2]));
    return *byte != '\0' ? 3 : 0;
}

/* Of a line: its name, or its value. */
struct line_part {
    char *text;
    size_t length;
};

/* In place: what is read is never shorter than what it stands for. at: the quote. NULL, or what is wrong. */
static const char *read_quoted(char *at, struct line_part *value)
{
    char quote = *at++, *out = at;

    value->text = out;
    for (; *at != quote; at++) {
        char byte = *at;
        if (byte == '\0')
            return "the closing quote is missing";
        if (byte == '\\') {
            size_t size = unescape(at + 1, &byte);
            if (size == 0)
                return "no such escape: \\n \\t \\r \\\\ \\\" \\' \\xHH";
            at += size;
        }
        *out++ = byte;
    }
    value->length = (size_t)(out - value->text);
    at = after_blanks(at + 1);
    if (*at != '\0' && *at != '#')
        return "something stands behind the closing quote";
    *out = '\0';
    return NULL;
}

/* Up to the comment, which a blank precedes. */
static void read_plain(char *at, struct line_part *value)
{
    char *end = at;

    value->text = at;
    for (; *at != '\0'; at++) {
        if (*at == '#' && (at == value->text || is_blank_or_end(at[-1])))
            break;
        if (!is_blank_or_end(*at))
            end = at + 1;
    }
    value->length = (size_t)(end - value->text);
    *end = '\0';
}

/* "name = value". NULL, or what is wrong. */
static const char *read_assignment(char *line, struct line_part *name, struct line_part *value)
{
    char *end = line + strcspn(line, " \t=");
    char *equals = after_blanks(end);

    if (*equals != '=')
        return "no line of a name, '=' and a value";
    *name = (struct line_part){ line, (size_t)(end - line) };
    char *begin = after_blanks(equals + 1);
    if (*begin == '"' || *begin == '\'')
        return read_quoted(begin, value);
    read_plain(begin, value);
    return NULL;
}

static int take_line(const struct iooptions *options, const char *where, char *line)
{
    struct line_part name, value;
    const char *why = read_assignment(line, &name, &value);

    if (why != NULL) {
        iooptionslayer_complain(options, "%s%s", where, why);
        return -EINVAL;
    }
    struct iooptions_entry *entry = iooptionslayer_find(options, name.text, name.length);
    if (entry == NULL) {
        iooptionslayer_complain(options, "%sunknown option %.*s", where, (int)(name.length < 100 ? name.length : 100),
                                name.text);
        return -EINVAL;
    }
    return set_and_complain(options, where, entry, value.text, value.length);
}

/* Tabs are no harm, and a file may come from a system whose lines end with CR and LF. */
static bool has_control_byte(const char *line, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (((unsigned char)line[i] < ' ' && line[i] != '\t') || line[i] == '\x7f')
            return true;
    }
    return false;
}

static int read_line(const struct iooptions *options, const char *name, int number, char *line, size_t length)
{
    char where[300];

    snprintf(where, sizeof where, "%.200s:%d: ", name, number);
    if (length > 0 && line[length - 1] == '\r')
        length--;
    if (has_control_byte(line, length)) {
        iooptionslayer_complain(options, "%sa control character", where);
        return -EINVAL;
    }
    line[length] = '\0';
    line = after_blanks(line);
    return *line == '\0' || *line == '#' ? 0 : take_line(options, where, line);
}

int iooptionslayer_read_lines(struct iooptions *options, const char *name, char *text, size_t length)
{
    char *end = text + length;
    int error = 0;

    if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) /* the mark that some editors put before UTF-8 */
        text += 3;
    for (int number = 1; text < end && error == 0; number++) {
        char *newline = memchr(text, '\n', (size_t)(end - text));
        char *line_end = newline != NULL ? newline : end;
        error = read_line(options, name, number, text, (size_t)(line_end - text));
        text = line_end + 1;
    }
    return error;
}

/* All of it, with room for a NUL behind. Answers how much. */
static ssize_t read_file(int fd, char *text)
{
    size_t length = 0;

    for (;;) {
        ssize_t count = read(fd, text + length, LARGEST_FILE + 1 - length);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return count < 0 ? -errno : (ssize_t)length;
        length += (size_t)count;
        if (length > LARGEST_FILE)
            return -EFBIG;
    }
}

static int read_options(struct iooptions *options, const char *path, int fd)
{
    char *text = ioalloc(LARGEST_FILE + 2);
    ssize_t length = text != NULL ? read_file(fd, text) : -ENOMEM;
    int error = (int)length;

    if (length >= 0)
        error = iooptionslayer_read_lines(options, path, text, (size_t)length);
    else
        iooptionslayer_complain(options, "%.200s: %s", path, strerror((int)-length));
    ioalloc_free(text);
    return error;
}

static int open_and_read(struct iooptions *options, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0) {
        int error = errno;
        iooptionslayer_complain(options, "%.200s: %s", path, strerror(error));
        return -error;
    }
    int error = read_options(options, path, fd);
    close(fd);
    return error;
}

/* A callback may read another file, which may do the same. */
int iooptions_parse_config_file(struct iooptions *options, const char *path, bool final)
{
    struct iooptions *set = iooptionslayer_set(options);

    if (set->depth == DEEPEST_FILE) {
        iooptionslayer_complain(set, "%.200s: files of files of files", path);
        return -ELOOP;
    }
    set->depth++;
    int error = open_and_read(set, path);
    set->depth--;
    return error == 0 && final ? iooptions_run_parse_callbacks(set) : error;
}
