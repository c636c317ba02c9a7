/* httpetag.h: entity tags, which name the state of a representation (RFC 9110 8.8.3, 13.1).
 *
 *     httpetag_of_bytes(body, length, etag);
 *     if (httpetag_matches(if_none_match, etag, true))
 *         return not_modified(request);
 *
 * Threads: any. */
#ifndef HTTPSERVER_HTTPETAG_H
#define HTTPSERVER_HTTPETAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ioloop/ioapi.h"

IOAPI_BEGIN

#define HTTPETAG_SIZE 19 /* of the tags made here, with quotes and NUL */

/* Is the tag in the value of If-None-Match (weak comparison) or If-Match (strong: not if either tag is weak)? "*"
 * stands for any. A value that is not, as a whole, "*" or a list of tags matches nothing. header_value NULL: no such
 * field, false. etag NULL, for what has none: only "*" matches. */
bool httpetag_matches(const char *header_value, const char *etag, bool weak_comparison) IOAPI_MUST_USE;

/* The same for one line of a field that may have several, which are one list: 1, 0, or -EINVAL, it is neither "*" nor a
 * list of tags. Then the whole list is none, and matches nothing. */
int httpetag_find(const char *header_value, const char *etag, bool weak_comparison) IOAPI_MUST_USE;

/* The quoted strong tag of these bytes: 64 bits of a fast hash in 16 letters, the same on every machine. Different
 * contents have different tags as far as chance goes, but who wants two that share one can make them: enough to save a
 * transfer, not to prove anything. */
void httpetag_of_bytes(const void *data, size_t length, char place[HTTPETAG_SIZE]);

/* The same of a file that is not read: its inode, size and time of modification, of which the nanoseconds are those
 * below one second. It stays the same when the file is written twice, at the same size, within one tick of the kernel's
 * clock, some milliseconds. Copies on several machines have different tags. */
void httpetag_of_file(uint64_t inode, uint64_t size, int64_t seconds, int64_t nanoseconds, char place[HTTPETAG_SIZE]);

IOAPI_END
#endif
