/* Internal: http1scan.h, where a head ends, and what may be nowhere in one: control characters but the CR LF of
 * its lines and HTAB, and more than the limits allow for.
 *
 * Answers the head's size, the last empty line included; 0: it does not end in these bytes, and the scan goes on from
 * where it was when there are more; or a negative status and the reason. All limits are given. */
#ifndef HTTPSERVER_HTTP1SCAN_H
#define HTTPSERVER_HTTP1SCAN_H

#include "httpserver/http1parser.h"

enum http1scan_kind {
    HTTP1SCAN_REQUEST,  /* perhaps behind an empty line; of the first line target is limited, too long is 414 */
    HTTP1SCAN_RESPONSE, /* the first line is as long as others */
};

int http1scan_find_end(enum http1scan_kind kind, const uint8_t *bytes, size_t length,
                       const struct http1parser_limits *limits, struct http1parser_scan *scan,
                       const char **reason) IOAPI_MUST_USE;

/* The position behind the first empty line that follows another line; 0: there is none. */
size_t http1scan_find_empty_line(const uint8_t *bytes, size_t length);

#endif
