/* Internal: childprocess.h, fork and exec in two steps: childprocess_start makes a child that waits, so that whatever
 * else it needs can be made ready, or fail, while the program has not run; childprocess_go runs the program, or says
 * why that cannot be.
 *
 * Between fork and exec there are only calls that are safe in a signal handler: the process may have other threads,
 * and what locks they held stay taken in the child. */
#ifndef IOLOOP_CHILDPROCESS_H
#define IOLOOP_CHILDPROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#define CHILDPROCESS_INHERIT (-1)
#define CHILDPROCESS_NULL    (-2)

/* All of it is lent. */
struct childprocess_plan {
    const char *const *files; /* to try in this order: childprocess_find */
    const char *const *argv;
    const char *const *environment;
    const char *directory; /* NULL: as it is */
    int fds[3];            /* what becomes 0, 1 and 2: a descriptor, or one of the above */
    bool new_session;
};

struct childprocess {
    pid_t pid;
    int channel;
};

/* Where a program of that name may be, ended by NULL and in one block of memory. NULL: no memory. */
const char *const *childprocess_find(const char *name, const char *const *environment);

int childprocess_start(struct childprocess *child, const struct childprocess_plan *plan);

/* 0: the program runs (or something has ended it already). An error: the child has never been. */
int childprocess_go(struct childprocess *child);

/* Instead of it. */
void childprocess_abandon(struct childprocess *child);

#endif
