/* Internal: httpbase64.h, base64 with the standard alphabet (RFC 4648 4), padded.
 *
 * Threads: any. */
#ifndef HTTPSERVER_HTTPBASE64_H
#define HTTPSERVER_HTTPBASE64_H

#include <stddef.h>
#include <sys/types.h>

#define HTTPBASE64_LENGTH(length) (((size_t)(length) + 2) / 3 * 4)

/* place: HTTPBASE64_LENGTH(length) bytes, which it answers. No NUL is added. */
size_t httpbase64_encode(const void *data, size_t length, char *place);

/* place: length / 4 * 3 bytes; it may be text. Answers how many bytes it is. -EINVAL: anything that encode would not
 * have made: other characters, blanks, padding that is missing or too much, bits behind the last byte. */
ssize_t httpbase64_decode(const char *text, size_t length, void *place);

#endif
