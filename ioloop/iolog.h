/* iolog.h: what the library has to say to whoever runs the program (tornado.log).
 *
 *     iolog_set_function(to_syslog, NULL);
 *
 * Without a function of the program's own, warnings and errors go to stderr, a line each: "[W 2026-11-21 10:00:00
 * general] text". Bytes that came from a peer are escaped by the caller before they get here.
 *
 * Threads: any; the function is called from the thread that has something to say. Set it before starting others. */
#ifndef IOLOOP_IOLOG_H
#define IOLOOP_IOLOG_H

#include <stdbool.h>

#include "ioloop/ioapi.h"

IOAPI_BEGIN

enum iolog_level { IOLOG_DEBUG, IOLOG_INFO, IOLOG_WARNING, IOLOG_ERROR };

/* The channels of Tornado: the server's log of requests, errors in the program's own callbacks, all else. */
enum iolog_channel { IOLOG_ACCESS, IOLOG_APPLICATION, IOLOG_GENERAL };

typedef void iolog_fn(enum iolog_channel channel, enum iolog_level level, const char *text, void *arg);

/* NULL: back to stderr. */
void iolog_set_function(iolog_fn *function, void *arg);

/* Less than this is not said at all; IOLOG_WARNING at the start. */
void iolog_set_level(enum iolog_level level);

/* Would it be said? For who first has to make the text. */
bool iolog_says(enum iolog_level level);

/* Of each message (each format) so many lines a second are said at most, as a peer may be what causes them; the next
 * that is says how many were left out. 0: 10. Lines of the access log are not counted while IOLOG_INFO is said, for
 * then all are wanted. */
void iolog_set_rate(unsigned lines_per_second);

/* Text over 1,023 bytes is cut. The format is a literal: it is what tells messages apart. */
void iolog_write(enum iolog_channel channel, enum iolog_level level, const char *format, ...) IOAPI_PRINTF(3, 4);

IOAPI_END
#endif
