/* httpform.h: multipart/form-data (RFC 7578), what a form with files sends; tornado.httputil.parse_multipart_form_data.
 *
 *     struct httpform *form = httpform_new(content_type, NULL, &functions, arg);
 *     httpform_feed(form, data, length);      // as often as data comes: a part at a time, nothing of it is kept
 *     httpform_finish(form);
 *     httpform_free(form);
 *
 * Strict: only CRLF ends a line, every part has one Content-Disposition `form-data` with a name, and no control
 * characters in its head; the first defect ends it. What comes before the first boundary (as much as part_head) and
 * after the last one is ignored. Memory: the head of one part, no more.
 *
 * Names are what the client sent, never paths: see httpform_basename. They are mostly UTF-8, which only that of
 * `filename*` has to be. Browsers write quotes and line ends in them as %22 %0D %0A, and these stay so, as with
 * Tornado, Python and PHP: a name that really has %22 looks the same, and no name brings line ends. A backslash before
 * a quote or another backslash is an escape (RFC 822), which browsers do not write: of theirs, two become one.
 *
 * Callbacks: this is a parser, no part of a loop: they are run by httpform_feed, and must neither feed nor free.
 * Errors: -EINVAL malformed, -ENOBUFS a limit, -ENOMEM; httpform_reason says more. Threads: any, one at a time. */
#ifndef HTTPSERVER_HTTPFORM_H
#define HTTPSERVER_HTTPFORM_H

#include <stddef.h>
#include <stdint.h>

#include "ioloop/ioapi.h"

IOAPI_BEGIN

enum {
    HTTPFORM_MAX_PARTS = 100, /* the limits below when they are 0 */
    HTTPFORM_MAX_PART_HEAD = 8192,
    HTTPFORM_MAX_PART_HEADERS = 16,
    HTTPFORM_MAX_FIELD = 65536, /* bytes of a field's value, httpform_parse */
};

/* 0: the default. */
struct httpform_limits {
    uint32_t parts;        /* their number */
    uint32_t part_head;    /* bytes of a part's head, the empty line included */
    uint32_t part_headers; /* lines of it */
};

/* Lent until part_end has returned. */
struct httpform_part {
    const char *name;         /* never "" */
    const char *filename;     /* NULL: a field; "": a file was asked for and none was chosen */
    const char *content_type; /* NULL: not given */
};

/* All three are needed. A negative answer ends the parsing and is what httpform_feed answers. */
struct httpform_functions {
    int (*part_begin)(const struct httpform_part *part, void *arg);
    int (*part_data)(const char *data, size_t length, void *arg); /* any number of times; length is never 0 */
    int (*part_end)(void *arg);
};

struct httpform;

/* content_type: the header's value. limits may be NULL. functions are copied. NULL with errno: EINVAL, not
 * multipart/form-data or without a boundary of 1 to 70 bytes that RFC 2046 allows; ENOMEM. */
struct httpform *httpform_new(const char *content_type, const struct httpform_limits *limits,
                              const struct httpform_functions *functions, void *arg);
void httpform_free(struct httpform *form);

/* 0 or the error, which stays: no callback comes after it, part_end included. */
int httpform_feed(struct httpform *form, const char *data, size_t length) IOAPI_MUST_USE;

/* The body is over: -EINVAL if the last boundary has not come. */
int httpform_finish(struct httpform *form) IOAPI_MUST_USE;

/* For logs, static; NULL while nothing is wrong. */
const char *httpform_reason(const struct httpform *form);

/* A whole body at once. */

struct httpform_file {
    const char *name;
    const char *filename;
    const char *content_type; /* "application/unknown" when not given */
    const char *body;         /* part of the body that was parsed */
    size_t length;
};

/* Zeroed it is empty and owns no memory. */
struct httpform_files {
    struct httpform_file **list;
    size_t count;
    size_t capacity;
};

void httpform_files_free(struct httpform_files *files);
size_t httpform_files_count(const struct httpform_files *files);

/* NULL behind the last one. */
const struct httpform_file *httpform_files_at(const struct httpform_files *files, size_t index);

struct httparguments;

/* Adds fields (and files without a name, as Tornado does) to the arguments, copied, and files to the list, whose
 * bodies are not: `body` has to stay as long as they are used. A field over HTTPFORM_MAX_FIELD is -ENOBUFS. After an
 * error what came before it has been added. limits and reason may be NULL. */
int httpform_parse(const char *content_type, const char *body, size_t length, const struct httpform_limits *limits,
                   struct httparguments *fields, struct httpform_files *files, const char **reason) IOAPI_MUST_USE;

/* A form to send, as the body of a request: parts in their order, one without a filename a field. content_type NULL:
 * none for a field, application/octet-stream for a file. The boundary is of 128 random bits. In names quotes and line
 * ends are escaped as browsers do, %22 %0D %0A, and nothing else: two backslashes are one for some readers. */
struct httpform_body {
    char *bytes; /* ioalloc_free */
    size_t length;
    char content_type[72]; /* the header that has to go with it */
};

/* 0; -EINVAL: an empty name, one with a backslash at its end, other control characters in one or in a type; -ENOMEM. */
int httpform_write(const struct httpform_file *parts, size_t count, struct httpform_body *body) IOAPI_MUST_USE;

/* A name that a file can be given in a folder: what follows the last / or \, without control characters. In new memory
 * (ioalloc_free). NULL with errno: EINVAL, nothing is left, or "." or ".."; ENAMETOOLONG, over 255 bytes; ENOMEM. It
 * may still be the name of a file that is there. */
char *httpform_basename(const char *filename);

IOAPI_END
#endif
