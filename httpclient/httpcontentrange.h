/* httpcontentrange.h: which part of a representation a response has, field Content-Range (RFC 9110 14.4).
 *
 *     struct httpcontentrange range;
 *     const char *value = httpheaders_get(response->headers, "Content-Range");
 *     if (response->code == 206 && httpcontentrange_parse(value, &range) == 0 && range.first == asked_for)
 *         append(response->body, response->length);
 *
 * A server may answer with less than was asked for, or with another part: look before the bytes are put anywhere. What
 * a request asks with is Range, "bytes=100-" (httprange.h).
 *
 * Errors: -EINVAL no such field, or not in its grammar, or in itself impossible; -ENOTSUP another unit than bytes.
 * Threads: any. */
#ifndef HTTPCLIENT_HTTPCONTENTRANGE_H
#define HTTPCLIENT_HTTPCONTENTRANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "ioloop/ioapi.h"

IOAPI_BEGIN

/* Positions are below 2^63. */
struct httpcontentrange {
    uint64_t first;  /* of the part */
    uint64_t length; /* 0: of a 416, none of the representation ("*"), whose size then is known */
    uint64_t size;   /* of the whole; 0 if it is not known */
    bool has_size;
};

/* Of "bytes 0-9/100"; with an asterisk in the place of "100" the size is not known, with one in that of "0-9" there is
 * no part. Sets *range on success only. value NULL: no such field. */
int httpcontentrange_parse(const char *value, struct httpcontentrange *range) IOAPI_MUST_USE;

IOAPI_END
#endif
