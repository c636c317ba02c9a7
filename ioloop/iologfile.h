/* Internal: iologfile.h, a file that lines are added to, with old ones kept as path.1, path.2 and so on. */
#ifndef IOLOOP_IOLOGFILE_H
#define IOLOOP_IOLOGFILE_H

#include <stddef.h>
#include <time.h>

#include "ioloop/iolog.h"

struct iologfile;

/* A negative errno value: there is none. */
int iologfile_open(struct iologfile **file, const char *path, const struct iolog_file_options *options);
void iologfile_close(struct iologfile *file);

/* Whole lines. What could not be written is counted, and the number written when there is a way again; behind a part of
 * a line that begins with a newline. One thread at a time. */
void iologfile_write(struct iologfile *file, const char *line, size_t length, time_t now);

#endif
