/* httpstatus.h: the reason phrases of status codes (RFC 9110 15, IANA registry), httputil.responses.
 *
 * Errors: NULL for a code that has none. Threads: any. */
#ifndef HTTPSERVER_HTTPSTATUS_H
#define HTTPSERVER_HTTPSTATUS_H

#include "ioloop/ioapi.h"

IOAPI_BEGIN

const char *httpstatus_reason(int status);

IOAPI_END
#endif
