/* webstatic.h: files below a folder, tornado.web.StaticFileHandler.
 *
 *     { "/static/(.*)", &webstatic_handler, &(struct webstatic){ .root = "assets", .default_filename = "index.html" } }
 *
 * GET and HEAD. ETag, Last-Modified, If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since, If-Range, a
 * single Range; with "?v=" in the query, ten years to keep it. The path is the first group of the pattern; without one
 * it is that of the root. A folder without a slash at its end is redirected to it. A Range of what compress_response
 * compresses is not looked at: the answer is the whole.
 *
 * Nothing outside the root is served, whatever links and dots say: 403; nor are names that begin with a dot, but
 * for ".well-known" (RFC 8615) at the beginning of the path, nor anything but regular files. Some systems follow no
 * symbolic links here at all: those but Linux and FreeBSD. 404: there is no such file; 503: no descriptors or no
 * memory.
 *
 * The 64 files of at most 64 KiB that were served last are kept in memory, 4 MiB in all, by each application: a change
 * is seen a second later at the latest. The ETag is of inode, size and time of modification: what changes and keeps all
 * three is sent anew, but is a 304 to those who have it. Bigger ones are sent by the kernel; one that becomes shorter
 * on its way closes the connection.
 *
 * Lifetime: struct webstatic, and what it points to, as long as the application. */
#ifndef HTTPSERVER_WEBSTATIC_H
#define HTTPSERVER_WEBSTATIC_H

#include "httpserver/web.h"

IOAPI_BEGIN

/* 0 is the default in every field but the root. */
struct webstatic {
    const char *root;             /* a folder; opened anew by its path, so that it may be replaced */
    const char *default_filename; /* for a folder's path; NULL: 403 */
    const char *cache_control;    /* of files without "?v="; NULL: none is sent */
    bool precompressed; /* file.br or file.gz instead of file, for clients that accept them, unless it is older */
    bool no_links;      /* symbolic links are not followed, inside the root neither */
    /* Adds or replaces headers of the file of that path, or refuses it with web_send_error, and serves no other request
     * meanwhile; NULL: none. */
    void (*set_extra_headers)(struct web_request *request, const char *path);
};

extern const struct web_handler webstatic_handler;

/* Serves one file of a root as the answer to a request, which is finished then. For handlers that have paths of their
 * own; the path is decoded. */
void webstatic_serve(struct web_request *request, const struct webstatic *files, const char *path);

/* A version of that file for "?v=", of its size and time, so that copies of the file have the same: into place, at
 * least 17 bytes. 0; -ENOENT and others. */
int webstatic_version(const struct webstatic *files, const char *path, char *place, size_t size);

IOAPI_END
#endif
