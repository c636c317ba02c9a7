/* iolog.h: what the library has to say to whoever runs the program (tornado.log).
 *
 *     iolog_set_function(to_syslog, NULL);
 *
 * Without a function of the program's own, warnings and errors go to stderr, a line each: "[W 261121 10:00:00 general]
 * text", in colours on a terminal unless NO_COLOR is set. Lines of the text but the first are indented by four. Bytes
 * that are no UTF-8, and control characters, are written as \xHH; what came from a peer is escaped by the caller
 * before. What cannot be written does not stop the program, and a reader of stderr that takes nothing is not waited
 * for: its lines are dropped.
 *
 * Threads: any; the function is called from the thread that has something to say. Set it before starting others. */
#ifndef IOLOOP_IOLOG_H
#define IOLOOP_IOLOG_H

#include <stdbool.h>
#include <stdint.h>

#include "ioloop/ioapi.h"

IOAPI_BEGIN

enum iolog_level { IOLOG_DEBUG, IOLOG_INFO, IOLOG_WARNING, IOLOG_ERROR };

/* The channels of Tornado: the server's log of requests, errors in the program's own callbacks, all else. */
enum iolog_channel { IOLOG_ACCESS, IOLOG_APPLICATION, IOLOG_GENERAL };

typedef void iolog_fn(enum iolog_channel channel, enum iolog_level level, const char *text, void *arg);

/* NULL: back to stderr and the file. */
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

/* Whether lines go to stderr; they do at the start. */
void iolog_set_stderr(bool on);

/* When a file is ended and another begun. Seconds, minutes, hours and days are those of UTC, the others local. */
enum iolog_when {
    IOLOG_BY_SIZE,
    IOLOG_EVERY_SECOND,
    IOLOG_EVERY_MINUTE,
    IOLOG_EVERY_HOUR,
    IOLOG_EVERY_DAY,
    IOLOG_AT_MIDNIGHT,
    IOLOG_ON_MONDAY, /* and so on, at its beginning */
    IOLOG_ON_TUESDAY,
    IOLOG_ON_WEDNESDAY,
    IOLOG_ON_THURSDAY,
    IOLOG_ON_FRIDAY,
    IOLOG_ON_SATURDAY,
    IOLOG_ON_SUNDAY
};

struct iolog_file_options {
    enum iolog_when when;
    uint64_t max_size; /* by size: bytes that a file may have; 0: 100,000,000 */
    unsigned interval; /* by time: every so many of them; 0: 1 */
    unsigned backups;  /* how many old files are kept, path.1 the newest; 0: 10; at most 1,000 (-EINVAL) */
};

/* From now on lines also go to the end of the file at path, instead of to another one. Processes may share it: of those
 * one ends it, under a lock (flock), and what the others write meanwhile goes into it even above max_size. One that was
 * moved away, or deleted, is made anew within a second. Where path is a symbolic link it is the link that becomes
 * path.1. A pipe without a reader is -ENXIO. A negative errno value: all is as before. */
int iolog_open_file(const char *path, const struct iolog_file_options *options) IOAPI_MUST_USE;
void iolog_close_file(void);

IOAPI_END
#endif
