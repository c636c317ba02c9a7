/* The options of logging, and what they do to iolog. */
#include "ioloop/iooptionslayer.h"

#include <errno.h>
#include <string.h>

#include "ioloop/ioalloc.h"
#include "ioloop/iolog.h"
#include "ioloop/iooptionvalue.h"

#define LEVELS "debug|info|warning|error|none"
#define WHENS  "S|M|H|D|midnight|W0|W1|W2|W3|W4|W5|W6"

struct iooptions_logging {
    const char *level; /* NULL: as "none" */
    bool to_stderr;
    const char *path; /* "": no file */
    int64_t max_size;
    int backups;
    const char *mode;
    const char *when;
    int interval;
};

/* Which of the choices it is. */
static int index_of_choice(const char *choices, const char *text)
{
    const char *place;
    size_t size;

    return iooptionvalue_choice(choices, text, strlen(text), &place, &size);
}

static int open_log_file(const struct iooptions *options, const struct iooptions_logging *logging)
{
    bool by_time = strcmp(logging->mode, "time") == 0;
    struct iolog_file_options file = {
        .when = by_time ? (enum iolog_when)(IOLOG_EVERY_SECOND + index_of_choice(WHENS, logging->when)) : IOLOG_BY_SIZE,
        .max_size = (uint64_t)logging->max_size,
        .interval = (unsigned)logging->interval,
        .backups = (unsigned)logging->backups,
    };
    int error = iolog_open_file(logging->path, &file);

    if (error < 0)
        iooptionslayer_complain(options, "%s: --log-file-prefix=%.200s: %s",
                                options->program != NULL ? options->program : "", logging->path, strerror(-error));
    return error;
}

/* Lines go to stderr when that is said, or else when there is no file. */
static int apply_logging(struct iooptions *options, void *arg)
{
    const struct iooptions_logging *logging = arg;
    bool has_file = logging->path != NULL && logging->path[0] != '\0';
    int level = logging->level != NULL ? index_of_choice(LEVELS, logging->level) : -1;

    if (level < 0 || level > (int)IOLOG_ERROR)
        return 0;
    if (has_file) {
        int error = open_log_file(options, logging);
        if (error < 0)
            return error;
    } else {
        iolog_close_file();
    }
    iolog_set_level((enum iolog_level)level);
    iolog_set_stderr(iooptions_is_set(options, "log-to-stderr") ? logging->to_stderr : !has_file);
    return 0;
}

static int define_logging(struct iooptions *options, struct iooptions_logging *logging)
{
    static const char group[] = "Logging";
    const struct iooption table[] = {
        { .name = "logging",
          .group = group,
          .string = &logging->level,
          .choices = LEVELS,
          .help = "what is logged: this and what is worse; none: logging is left as it is" },
        { .name = "log-to-stderr",
          .group = group,
          .boolean = &logging->to_stderr,
          .help = "log to stderr; the default without a file" },
        { .name = "log-file-prefix",
          .group = group,
          .string = &logging->path,
          .metavar = "PATH",
          .help = "log to this file; old ones are PATH.1, PATH.2 and so on" },
        { .name = "log-file-max-size",
          .group = group,
          .integer64 = &logging->max_size,
          .minimum = 1,
          .maximum = 1e18,
          .help = "bytes of a file before it is an old one" },
        { .name = "log-file-num-backups",
          .group = group,
          .integer = &logging->backups,
          .minimum = 1,
          .maximum = 1000,
          .help = "how many old files are kept" },
        { .name = "log-rotate-mode",
          .group = group,
          .string = &logging->mode,
          .choices = "size|time",
          .help = "whether a file becomes an old one by its size or by the time" },
        { .name = "log-rotate-when",
          .group = group,
          .string = &logging->when,
          .choices = WHENS,
          .metavar = "WHEN",
          .help = "of the mode time: S M H D for seconds, minutes, hours and days, midnight, W0 for Monday to W6" },
        { .name = "log-rotate-interval",
          .group = group,
          .integer = &logging->interval,
          .minimum = 1,
          .maximum = 1e6,
          .help = "every so many of what log-rotate-when says" },
        { .name = NULL },
    };

    return iooptions_define_table(options, table);
}

int iooptions_add_logging(struct iooptions *options, const char *level)
{
    static const struct iooptions_logging defaults = {
        .max_size = 100000000, .backups = 10, .mode = "size", .when = "midnight", .interval = 1, .path = ""
    };
    struct iooptions *set = iooptionslayer_set(options);

    if (level != NULL && index_of_choice(LEVELS, level) < 0)
        return -EINVAL;
    if (set->logging != NULL)
        return -EEXIST;
    struct iooptions_logging *logging = ioalloc(sizeof *logging);
    if (logging == NULL)
        return -ENOMEM;
    *logging = defaults;
    logging->level = level != NULL ? level : "info";
    size_t before = set->entry_count;
    int error = define_logging(set, logging);
    if (error == 0)
        error = iooptions_add_parse_callback(set, apply_logging, logging);
    if (error < 0) {
        iooptionslayer_forget(set, before);
        ioalloc_free(logging);
        return error;
    }
    set->logging = logging;
    return 0;
}

void iooptionslayer_free_logging(struct iooptions_logging *logging)
{
    ioalloc_free(logging);
}
