/* httpmimetype.h: what to call the content of a file, by its name; Python's mimetypes.
 *
 *     web_set_header(request, "Content-Type", httpmimetype_of("index.html", 10));
 *
 * Threads: any. */
#ifndef HTTPSERVER_HTTPMIMETYPE_H
#define HTTPSERVER_HTTPMIMETYPE_H

#include <stddef.h>

#include "ioloop/ioapi.h"

IOAPI_BEGIN

/* A value for Content-Type, by what follows the last dot of the last segment of the path; its case does not matter.
 * Texts are said to be UTF-8. "application/octet-stream" for what is not known, and for a name that begins with its
 * only dot. Never NULL. */
const char *httpmimetype_of(const char *path, size_t length);

IOAPI_END
#endif
