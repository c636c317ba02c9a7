/* Internal: httpformlayer.h, multipart/form-data as a client makes it.
 *
 *     char boundary[HTTPFORM_BOUNDARY + 1];
 *     if (httpform_boundary(boundary) == 0)
 *         httpform_encode(&body, boundary, parts, count);
 *
 * Source: httpformwrite.c; the parser is that of httpform.h. */
#ifndef HTTPSERVER_HTTPFORMLAYER_H
#define HTTPSERVER_HTTPFORMLAYER_H

#include <stdbool.h>
#include <stddef.h>

#include "httpserver/httpform.h"
#include "ioloop/iobuffer.h"

#define HTTPFORM_BOUNDARY 32

/* 128 random bits in hexadecimal, which no body can have been made to contain; NUL-terminated. 0, or a negative errno
 * value and no boundary: then nothing may be sent. */
int httpform_boundary(char place[HTTPFORM_BOUNDARY + 1]) IOAPI_MUST_USE;

/* Appends the whole body. A part without a filename is a field. content_type NULL: none for a field,
 * application/octet-stream for a file. In names and filenames quotes and line ends are written as browsers do, %22 %0D
 * %0A. 0; -EINVAL: no valid boundary, an empty name, other control characters, a backslash at the end of a name, which
 * could escape the closing quote; -ENOMEM. Then nothing has changed. */
int httpform_encode(struct iobuffer **body, const char *boundary, const struct httpform_file *parts,
                    size_t count) IOAPI_MUST_USE;

/* 1 to 70 bytes of bchars, the last no space (RFC 2046 5.1.1)? */
bool httpform_is_boundary(const char *text, size_t length);

#endif
