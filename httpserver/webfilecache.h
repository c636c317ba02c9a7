/* Internal: webfilecache.h, small files that were served lately, of one application: a file that is asked for often is
 * neither opened nor read for each request.
 *
 * What is found was looked at within the last second. Each file is opened again after that, and read again if it has
 * changed (by the time that the kernel notes, which no program sets); so is one that had changed just before it was
 * read, as it may change again without a new time. */
#ifndef HTTPSERVER_WEBFILECACHE_H
#define HTTPSERVER_WEBFILECACHE_H

#include <stdbool.h>
#include <stddef.h>

#include "httpserver/httpheaders.h"
#include "httpserver/webfile.h"

enum {
    WEBFILECACHE_MAX_FILE = 65536,
    WEBFILECACHE_MAX_FILES = 64,
    WEBFILECACHE_MAX_SIZE = 4 << 20, /* of all of them */
};

struct webfilecache;

/* How webfile_open is called. */
struct webfilecache_key {
    const char *root, *path;
    bool no_links;
    unsigned codings;
};

/* NULL: no memory. */
struct webfilecache *webfilecache_new(void);
void webfilecache_free(struct webfilecache *cache);

/* The headers of a usual answer with a file of the cache: those who serve it put them there, and look for whom that
 * was. They go with the file. */
struct webfilecache_headers {
    struct httpheaders list;
    const void *owner; /* NULL: nobody has */
};

/* The content of a file, which stays until the next call; NULL: it is not there, or too old. now: of the loop. */
const char *webfilecache_find(struct webfilecache *cache, const struct webfilecache_key *key, double now,
                              struct webfile *file);

/* The content of a file that was just opened, by key, and is at most WEBFILECACHE_MAX_FILE. NULL with errno. wall_now:
 * in the time of files. */
const char *webfilecache_load(struct webfilecache *cache, const struct webfilecache_key *key, double now,
                              int64_t wall_now, const struct webfile *file);

/* Of the file whose content was answered last. */
struct webfilecache_headers *webfilecache_headers(struct webfilecache *cache);

/* The shortest way to the content of a file whose headers that owner has put there: fresh, by the path alone, which
 * together with the owner says all of the key. *hold has to be given to webfilecache_release, and until then content
 * and headers stay. NULL: there is none. */
const char *webfilecache_hold(struct webfilecache *cache, const void *owner, const char *path, size_t length,
                              double now, size_t *size, const struct httpheaders **headers, void **hold);

/* An iostream_release_fn, with the hold as its arg. */
void webfilecache_release(void *content, void *hold);

/* Bytes that it holds. */
size_t webfilecache_size(const struct webfilecache *cache);

#endif
