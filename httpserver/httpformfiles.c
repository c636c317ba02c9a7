/* A whole body at once, and names for its files: httpform.h. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "httpserver/httparguments.h"
#include "httpserver/httpform.h"
#include "ioloop/ioalloc.h"

enum {
    FEWEST_FILES = 4,
    LONGEST_FILE_NAME = 255, /* NAME_MAX of every system in use */
};

/* A file of the list, and what its strings point to. */
struct listed_file {
    struct httpform_file file;
    char texts[];
};

/* Where the parts of a body go. A part's content comes as one piece, as the body is fed as one, and stays where it is.
 */
struct part_collector {
    struct httparguments *fields;
    struct httpform_files *files;
    const struct httpform_part *part; /* that has begun */
    const char *content;
    size_t length;
    const char *reason; /* when the parser knows of none */
};

void httpform_files_free(struct httpform_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        ioalloc_free(files->list[i]);
    ioalloc_free(files->list);
    *files = (struct httpform_files){ 0 };
}

size_t httpform_files_count(const struct httpform_files *files)
{
    return files->count;
}

const struct httpform_file *httpform_files_at(const struct httpform_files *files, size_t index)
{
    return index < files->count ? files->list[index] : NULL;
}

static int make_room_for_file(struct httpform_files *files)
{
    size_t capacity = files->capacity != 0 ? 2 * files->capacity : FEWEST_FILES;

    if (files->count < files->capacity)
        return 0;
    struct httpform_file **list = ioalloc_array_resize(files->list, capacity, sizeof *list);
    if (list == NULL)
        return -ENOMEM;
    files->list = list;
    files->capacity = capacity;
    return 0;
}

/* Copies a string and moves the place behind it. */
static const char *put_string(char **place, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = memcpy(*place, text, size);

    *place += size;
    return copy;
}

static int add_file(const struct part_collector *collector)
{
    const struct httpform_part *part = collector->part;
    const char *type = part->content_type != NULL ? part->content_type : "application/unknown";
    size_t size = strlen(part->name) + strlen(part->filename) + strlen(type) + 3;
    struct listed_file *listed;

    if (make_room_for_file(collector->files) < 0 || (listed = ioalloc(sizeof *listed + size)) == NULL)
        return -ENOMEM;
    char *place = listed->texts;
    listed->file.name = put_string(&place, part->name);
    listed->file.filename = put_string(&place, part->filename);
    listed->file.content_type = put_string(&place, type);
    listed->file.body = collector->content;
    listed->file.length = collector->length;
    collector->files->list[collector->files->count++] = &listed->file;
    return 0;
}

/* What browsers send where no file was chosen has a filename, and it is empty. */
static bool is_file(const struct httpform_part *part)
{
    return part->filename != NULL && part->filename[0] != '\0';
}

static int collect_begin(const struct httpform_part *part, void *arg)
{
    struct part_collector *collector = arg;

    collector->part = part;
    collector->content = "";
    collector->length = 0;
    return 0;
}

static int collect_data(const char *data, size_t length, void *arg)
{
    struct part_collector *collector = arg;

    if (!is_file(collector->part) && length > HTTPFORM_MAX_FIELD) {
        collector->reason = "field too long";
        return -ENOBUFS;
    }
    collector->content = data;
    collector->length = length;
    return 0;
}

static int collect_end(void *arg)
{
    struct part_collector *collector = arg;
    const char *name = collector->part->name;
    int error = is_file(collector->part)
                    ? add_file(collector)
                    : httparguments_add(collector->fields, name, strlen(name), collector->content, collector->length);

    if (error < 0)
        collector->reason = "no memory";
    return error;
}

static const struct httpform_functions collect_functions = { collect_begin, collect_data, collect_end };

int httpform_parse(const char *content_type, const char *body, size_t length, const struct httpform_limits *limits,
                   struct httparguments *fields, struct httpform_files *files, const char **reason)
{
    struct part_collector collector = { .fields = fields, .files = files };
    struct httpform *form = httpform_new(content_type, limits, &collect_functions, &collector);
    int error = form != NULL ? httpform_feed(form, body, length) : -errno;

    if (error == 0)
        error = httpform_finish(form);
    if (form == NULL)
        collector.reason = error == -ENOMEM ? "no memory" : "not multipart/form-data, or without a valid boundary";
    else if (collector.reason == NULL)
        collector.reason = httpform_reason(form);
    if (reason != NULL)
        *reason = collector.reason;
    httpform_free(form);
    return error;
}

static const char *last_component(const char *path)
{
    const char *begin = path;

    for (; *path != '\0'; path++)
        if (*path == '/' || *path == '\\')
            begin = path + 1;
    return begin;
}

static size_t copy_without_controls(char *place, const char *text)
{
    size_t length = 0;

    for (; *text != '\0'; text++)
        if ((unsigned char)*text >= 0x20 && *text != 0x7f)
            place[length++] = *text;
    place[length] = '\0';
    return length;
}

/* Looked at when the control characters are gone: they could hide the dots, and be most of its length. */
static int judge_file_name(const char *name, size_t length)
{
    if (length == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return EINVAL;
    return length > LONGEST_FILE_NAME ? ENAMETOOLONG : 0;
}

char *httpform_basename(const char *filename)
{
    char *name = ioalloc_string(last_component(filename));
    int error = name != NULL ? judge_file_name(name, copy_without_controls(name, name)) : ENOMEM;

    if (error == 0)
        return name;
    ioalloc_free(name);
    errno = error;
    return NULL;
}
