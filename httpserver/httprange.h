/* httprange.h: the part of a representation that a request asks for, field Range (RFC 9110 14).
 *
 *     uint64_t first, length;
 *     if (httprange_parse(httprequest_header(request, "Range"), size, &first, &length) == HTTPRANGE_PART)
 *         httprange_format(content_range, first, length, size);
 *
 * Threads: any. */
#ifndef HTTPSERVER_HTTPRANGE_H
#define HTTPSERVER_HTTPRANGE_H

#include <stdint.h>
#include <stddef.h>

#include "ioloop/ioapi.h"

IOAPI_BEGIN

enum httprange_outcome {
    HTTPRANGE_WHOLE,         /* 200: nothing is asked for that can be answered with one part */
    HTTPRANGE_PART,          /* 206: [first, first + length), at least a byte and less than all */
    HTTPRANGE_UNSATISFIABLE, /* 416: none of the size bytes is in it */
};

/* Of `bytes=first-last`, `bytes=first-` and `bytes=-suffix`. What is not exactly one of these, several ranges included,
 * is ignored, as the RFC allows. A last byte before the first is HTTPRANGE_UNSATISFIABLE, as Tornado has it. value
 * NULL: no such field. With HTTPRANGE_WHOLE *first is 0 and *length the size, with HTTPRANGE_UNSATISFIABLE both are 0.
 */
enum httprange_outcome httprange_parse(const char *value, uint64_t size, uint64_t *first,
                                       uint64_t *length) IOAPI_MUST_USE;

#define HTTPRANGE_SIZE 72

/* The value of Content-Range, "bytes 0-9/100"; with length 0, for a 416, an asterisk in the place of "0-9". Terminated
 * by NUL; answers its length. The part has to be within the size. */
size_t httprange_format(char place[HTTPRANGE_SIZE], uint64_t first, uint64_t length, uint64_t size);

IOAPI_END
#endif
