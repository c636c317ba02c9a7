/* Internal: pathwalk.h, opening a file below a folder segment by segment, where the kernel has no call for it. */
#ifndef IOLOOP_PATHWALK_H
#define IOLOOP_PATHWALK_H

/* Opens what is at path below the folder root, for reading, non-blocking and close-on-exec. The path is relative, and
 * its segments are neither empty nor "." nor ".." (-EXDEV), but one slash may end it, and then, or for ".", it has to
 * be a folder. Symbolic links are not followed: -ELOOP. Others are as openat has them. Threads: any. */
int pathwalk_open(int root, const char *path);

#endif
