/* Internal: webfile.h, a file below a folder, opened for a request.
 *
 * Whatever the path says, and whatever links there are: what is opened is below the folder, and only what was opened is
 * looked at, never what the path would lead to a moment later.
 *
 * Errors: -EPERM a path that is not served; -EISDIR a folder; -ENOTSUP neither a file nor a folder; else of open. */
#ifndef HTTPSERVER_WEBFILE_H
#define HTTPSERVER_WEBFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "httpserver/httpdate.h"
#include "httpserver/httpencoding.h"
#include "httpserver/httpetag.h"

#define WEBFILE_LONGEST_PATH 4000 /* systems have 4096, or less, with the root */

struct webfile {
    int fd; /* -1: closed */
    enum httpencoding_coding coding;
    uint64_t inode, size;
    int64_t seconds, nanoseconds;                 /* when it was modified */
    int64_t changed_seconds, changed_nanoseconds; /* when that or anything else of it was: nobody can set this */
    const char *type;                             /* without the coding */
    char etag[HTTPETAG_SIZE];
    char last_modified[HTTPDATE_LENGTH + 1]; /* never in the future */
};

/* May this be asked for? The path is relative, and decoded; one slash may end it. Not served are paths with
 * backslashes, and those with segments that are empty or begin with a dot, but for a first one of ".well-known". */
bool webfile_is_path(const char *path);

/* Opens it, or a neighbour with the suffix of one of the codings, as httpencoding_order has them: one that is not older
 * than the file. "" is the root. */
int webfile_open(struct webfile *file, const char *root, const char *path, bool no_links, unsigned codings);
void webfile_close(struct webfile *file);

/* All of it; -EIO: it has become shorter. */
int webfile_read(const struct webfile *file, char *place);

/* Is it still the one that it was? */
bool webfile_is_same(const struct webfile *file, const struct webfile *before);

/* What to answer to an error. */
int webfile_status(int error);

#endif
