/* httpdate.h: dates as HTTP writes them, "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 5.6.7).
 *
 * Units: seconds since 1970, UTC. Threads: any; no locale, no time zone. */
#ifndef HTTPSERVER_HTTPDATE_H
#define HTTPSERVER_HTTPDATE_H

#include <stdint.h>

#include "ioloop/ioapi.h"

IOAPI_BEGIN

#define HTTPDATE_LENGTH 29

/* Years 1 to 9999; outside, the nearest. Terminated by NUL. */
void httpdate_format(int64_t seconds, char text[HTTPDATE_LENGTH + 1]);

IOAPI_END
#endif
