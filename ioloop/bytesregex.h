/* Internal: bytesregex.h, where a regular expression matches in bytes, which may be NUL.
 *
 * POSIX knows strings only. glibc, the BSDs and macOS have REG_STARTEND, which takes a length; musl has not. There each
 * piece from NUL to NUL is a string of its own: an expression that would have to match a NUL finds nothing.
 *
 * The byte behind the bytes has to be NUL: also for implementations that look for one all the same
 * (AddressSanitizer's).
 */
#ifndef IOLOOP_BYTESREGEX_H
#define IOLOOP_BYTESREGEX_H

#include <regex.h>
#include <stddef.h>

/* How many bytes there are up to the end of the first match; 0: none. An empty match at the beginning is none. */
size_t bytesregex_find(const regex_t *regex, const char *bytes, size_t length);

/* The way without REG_STARTEND. */
size_t bytesregex_find_in_strings(const regex_t *regex, const char *bytes, size_t length);

#endif
