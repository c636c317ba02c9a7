#include "ioloop/iologfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ioloop/ioalloc.h"
#include "ioloop/kernel.h"

enum { MOST_BACKUPS = 1000, SECONDS_UNTIL_RETRY = 10, LONGEST_SUFFIX = sizeof ".1000" };

struct iologfile {
    int fd;
    struct iolog_file_options options;
    time_t written; /* when something was last */
    time_t looked;  /* when it was last made sure that path is still this file */
    time_t failed;  /* when it could last not be rotated */
    uint64_t lost;  /* lines */
    bool torn;      /* it ends in part of a line */
    bool is_file;   /* a regular one, to which a write never raises SIGPIPE */
    char path[];    /* absolute: a program may go to another folder */
};

/* Whoever reads from a pipe or a terminal at path, or does not, is not waited for. */
static int open_to_append(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);

    return fd >= 0 ? fd : -errno;
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* The directory for a relative path; none for an absolute one. */
static int find_folder(const char *path, char folder[PATH_MAX])
{
    folder[0] = '\0';
    if (path[0] == '/')
        return 0;
    if (getcwd(folder, PATH_MAX - 1) == NULL)
        return -errno;
    strcat(folder, "/");
    return 0;
}

static void fill_in(struct iologfile *file, const struct iolog_file_options *options)
{
    if (options != NULL)
        file->options = *options;
    if (file->options.max_size == 0)
        file->options.max_size = 100000000;
    if (file->options.interval == 0)
        file->options.interval = 1;
    if (file->options.backups == 0)
        file->options.backups = 10;
}

/* Answers when it was last written. */
static time_t look_at_file(struct iologfile *file)
{
    struct stat status;
    bool is_known = fstat(file->fd, &status) == 0;

    file->is_file = is_known && S_ISREG(status.st_mode);
    return is_known ? status.st_mtime : 0;
}

/* What is due since a file was last written, as the kernel says, is done with the first line. */
static int open_first(struct iologfile *file)
{
    file->fd = open_to_append(file->path);
    if (file->fd < 0)
        return file->fd;
    file->written = look_at_file(file);
    return 0;
}

/* A file that another process has just made counts as written now: the kernel's clock, by which it has its times, is
 * some milliseconds late, and that may be in the span before. */
static int reopen(struct iologfile *file, time_t now)
{
    int fd = open_to_append(file->path);

    if (fd < 0)
        return fd;
    close(file->fd);
    file->fd = fd;
    (void)look_at_file(file);
    file->written = now;
    file->torn = false;
    return 0;
}

int iologfile_open(struct iologfile **file, const char *path, const struct iolog_file_options *options)
{
    char folder[PATH_MAX];
    int error = find_folder(path, folder);
    size_t size = strlen(path) + strlen(folder) + 1;

    if (error < 0)
        return error;
    if (path[0] == '\0' || (options != NULL && (options->backups > MOST_BACKUPS || options->when > IOLOG_ON_SUNDAY)))
        return -EINVAL;
    if (size + LONGEST_SUFFIX > PATH_MAX)
        return -ENAMETOOLONG;
    struct iologfile *opened = ioalloc_zeroed(sizeof *opened + size);
    if (opened == NULL)
        return -ENOMEM;
    fill_in(opened, options);
    snprintf(opened->path, size, "%s%s", folder, path);
    error = open_first(opened);
    if (error < 0)
        ioalloc_free(opened);
    else
        *file = opened;
    return error;
}

void iologfile_close(struct iologfile *file)
{
    if (file == NULL)
        return;
    close(file->fd);
    ioalloc_free(file);
}

/* Days since a Monday, by the local calendar: 0001-01-01 of the Gregorian one was one. */
static int64_t local_day(time_t time)
{
    struct tm local;

    localtime_r(&time, &local);
    int64_t years = local.tm_year + 1899; /* that are over */
    return years * 365 + years / 4 - years / 100 + years / 400 + local.tm_yday;
}

/* Which of all spans of time it belongs to. Nothing has to be remembered of when a file was begun: it is ended when its
 * last line belongs to another span than the next one. */
static int64_t span_of(const struct iolog_file_options *options, time_t time)
{
    int64_t interval = options->interval;

    switch (options->when) {
    case IOLOG_BY_SIZE:
        return 0;
    case IOLOG_EVERY_SECOND:
        return time / interval;
    case IOLOG_EVERY_MINUTE:
        return time / (60 * interval);
    case IOLOG_EVERY_HOUR:
        return time / (3600 * interval);
    case IOLOG_EVERY_DAY:
        return time / (86400 * interval);
    case IOLOG_AT_MIDNIGHT:
        return local_day(time) / interval;
    default:
        return (local_day(time) - (options->when - IOLOG_ON_MONDAY)) / (7 * interval);
    }
}

/* An empty file is not ended, nor one that is none but a pipe or a terminal. */
static bool is_due(const struct iologfile *file, size_t length, time_t now)
{
    const struct iolog_file_options *options = &file->options;
    struct stat status;

    if (options->when != IOLOG_BY_SIZE && now == file->written)
        return false;
    if (options->when != IOLOG_BY_SIZE && span_of(options, now) == span_of(options, file->written))
        return false;
    if (fstat(file->fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_size == 0)
        return false;
    return options->when != IOLOG_BY_SIZE || (uint64_t)status.st_size + length > options->max_size;
}

/* Is path another file than the one that is open, or none? */
static bool was_moved(const struct iologfile *file)
{
    struct stat open_one, there;

    if (fstat(file->fd, &open_one) < 0)
        return false;
    return stat(file->path, &there) < 0 ? errno == ENOENT : !is_same_file(&open_one, &there);
}

static int move_backups(const struct iologfile *file)
{
    char from[PATH_MAX], to[PATH_MAX];

    for (unsigned i = file->options.backups; i > 0; i--) {
        snprintf(to, sizeof to, "%s.%u", file->path, i);
        if (i > 1)
            snprintf(from, sizeof from, "%s.%u", file->path, i - 1);
        else
            snprintf(from, sizeof from, "%s", file->path);
        if (rename(from, to) < 0 && errno != ENOENT)
            return -errno;
    }
    return 0;
}

/* Of several processes with the same file one ends it: the one that locks it while it is still at path. The others find
 * it moved then. The lock is on a descriptor of its own, since one that was inherited by fork would be shared; and is
 * not waited for, as anybody who may read the file could hold one. */
static int end_file(struct iologfile *file)
{
    int lock = open_to_append(file->path);

    if (lock < 0)
        return lock;
    int error = flock(lock, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
    if (error == 0) {
        if (!was_moved(file))
            error = move_backups(file);
        flock(lock, LOCK_UN); /* a child may have been forked just now, and close would not be enough */
    }
    close(lock);
    return error;
}

/* When the new file cannot be opened, lines go on into the old one. */
static void rotate(struct iologfile *file, time_t now)
{
    if (now >= file->failed && now < file->failed + SECONDS_UNTIL_RETRY)
        return;
    int error = end_file(file);
    if (error == 0)
        error = reopen(file, now);
    if (error < 0 && error != -EWOULDBLOCK)
        file->failed = now;
}

static ssize_t write_some(const struct iologfile *file, const struct iovec *vector, int count)
{
    ssize_t written;

    if (!file->is_file)
        return kernel_write_pipe(file->fd, vector, count);
    do
        written = count == 1 ? write(file->fd, vector->iov_base, vector->iov_len) : writev(file->fd, vector, count);
    while (written < 0 && errno == EINTR);
    return written;
}

/* On a disk that is full, or into a pipe, a part may go. What comes next does not go on in that line, but begins with a
 * newline of its own. Answers whether the line is there whole. */
static bool write_line(struct iologfile *file, const char *line, size_t length)
{
    const char *at = line, *end = line + length;

    while (at < end) {
        struct iovec vector[] = { { (char *)"\n", 1 }, { (char *)at, (size_t)(end - at) } };
        int skip = file->torn && at == line ? 0 : 1;
        ssize_t count = write_some(file, vector + skip, 2 - skip);
        if (count <= 0)
            return false;
        at += count - (1 - skip);
        file->torn = at > line && at[-1] != '\n';
    }
    return true;
}

/* Before it is told nothing else is written. */
static bool tell_of_lost(struct iologfile *file)
{
    char text[64];
    int length = snprintf(text, sizeof text, "(%llu lines could not be written)\n", (unsigned long long)file->lost);

    if (file->lost > 0 && write_line(file, text, (size_t)length))
        file->lost = 0;
    return file->lost == 0;
}

void iologfile_write(struct iologfile *file, const char *line, size_t length, time_t now)
{
    if (file->looked != now && was_moved(file))
        reopen(file, now);
    file->looked = now;
    if (is_due(file, length, now))
        rotate(file, now);
    if (tell_of_lost(file) && write_line(file, line, length))
        file->written = now;
    else
        file->lost++;
}
