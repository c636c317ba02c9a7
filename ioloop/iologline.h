/* Internal: iologline.h, one line of the log as a terminal or a file gets it. Pure functions. */
#ifndef IOLOOP_IOLOGLINE_H
#define IOLOOP_IOLOGLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "ioloop/iolog.h"

/* Room for any text of so many bytes: a byte becomes five at most. */
#define IOLOGLINE_HEAD       64
#define IOLOGLINE_SIZE(text) (IOLOGLINE_HEAD + 5 * (text))

/* What is not UTF-8, or is a control character (those of C1 and DEL too) but a tab, becomes \xHH; behind a newline come
 * four blanks. Newlines at the end are dropped. The place has 5 * length bytes. Answers how many it got. */
size_t iologline_escape(const char *text, size_t length, char *place);

/* "[W 261121 10:00:00 general] text\n", with the head in colours or without. Answers its length. */
size_t iologline_format(char *place, enum iolog_channel channel, enum iolog_level level, const struct tm *local,
                        const char *text, bool in_colours);

#endif
