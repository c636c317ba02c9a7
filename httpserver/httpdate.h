/* httpdate.h: dates as HTTP writes them, "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 5.6.7).
 *
 *     int64_t since;
 *     if (httpdate_parse(text, strlen(text), now, &since) && modified <= since)
 *         return not_modified(request);
 *
 * Units: seconds since 1970, UTC. Threads: any; no locale, no time zone. */
#ifndef HTTPSERVER_HTTPDATE_H
#define HTTPSERVER_HTTPDATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ioloop/ioapi.h"

IOAPI_BEGIN

#define HTTPDATE_LENGTH 29

/* Years 1 to 9999; outside, the nearest. Terminated by NUL. */
void httpdate_format(int64_t seconds, char text[HTTPDATE_LENGTH + 1]);

/* A date in one of the three forms of the RFC, letter for letter, and nothing around it; false, with *seconds as it
 * was, for anything else and for days that no calendar has. The name of the day has to be one, but not the one of that
 * day. A leap second is the one before it. now, the current time, tells the century of the form whose years have two
 * digits: the latest that is at most 50 years ahead. */
bool httpdate_parse(const char *text, size_t length, int64_t now, int64_t *seconds) IOAPI_MUST_USE;

IOAPI_END
#endif
