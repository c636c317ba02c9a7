/* iosubprocess.h: a program run as a child, its pipes as streams, tornado.process.Subprocess.
 *
 *     const char *argv[] = { "sort", "-u", NULL };
 *     struct iosubprocess_options options = { .in = IOSUBPROCESS_STREAM, .out = IOSUBPROCESS_STREAM };
 *     struct iosubprocess *child = iosubprocess_new(loop, argv, &options);
 *     iostream_write(iosubprocess_stdin(child), text, length, NULL, NULL);
 *     iostream_shutdown(iosubprocess_stdin(child));               // behind what was written: there is no more
 *     iosubprocess_set_exit_callback(child, on_exit, NULL);       // void on_exit(child, error, status, arg)
 *
 * Lifetime: until iosubprocess_close, also when it has ended. Its streams live as streams do, but end with it.
 * Order: the exit is told when the child has ended and was reaped, be its output read by then or not. A stream ends
 *     with the last process that holds the other end, which may be a child of the child.
 * Loop: ioloop_close closes the streams, tells -ECANCELED, and leaves the child alone, which nobody reaps then.
 * Signals: where the kernel has neither pidfds (Linux 5.3) nor kqueue, one loop of the process can have children, and
 *     takes SIGCHLD while it has: -EEXIST on another. Nothing here waits for children that it did not make; who waits
 *     for any, or ignores SIGCHLD, takes the status of ours: -ECHILD.
 * Threads: the loop's. A program with other threads may start children. */
#ifndef IOLOOP_IOSUBPROCESS_H
#define IOLOOP_IOSUBPROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "ioloop/ioapi.h"

IOAPI_BEGIN

struct iofuture;
struct ioloop;
struct iostream;
struct iosubprocess;

/* What a standard descriptor of the child is: a descriptor of this process above 0, which stays open here, or: */
#define IOSUBPROCESS_INHERIT 0    /* that of this process */
#define IOSUBPROCESS_STREAM  (-1) /* a pipe whose other end is a stream */
#define IOSUBPROCESS_NULL    (-2) /* /dev/null */
#define IOSUBPROCESS_STDOUT  (-3) /* .err only: where .out goes */

struct iosubprocess_options {
    int in, out, err;
    const char *const *environment; /* "NAME=value", ended by NULL. NULL: this process's */
    const char *directory;          /* to start in. NULL: this process's */
    bool new_session;               /* setsid: away from the terminal, and the first of a process group */
};

/* error 0: status is the exit status, or the negative number of the signal that ended it. Else -ECANCELED: closed
 * before; -ECHILD: it has ended, and somebody else took its status. */
typedef void iosubprocess_exit_fn(struct iosubprocess *child, int error, int status, void *arg);

/* Runs argv[0] with these arguments, ended by NULL; sought in the child's PATH if there is no slash in it. The child
 * has no descriptor but the three, no signal blocked, and none ignored but SIGHUP, SIGINT and SIGQUIT where they are
 * here. Returns when the program runs: NULL with errno: why it does not (ENOENT, EACCES, …), EMFILE, EAGAIN, ENOMEM. */
struct iosubprocess *iosubprocess_new(struct ioloop *loop, const char *const *argv,
                                      const struct iosubprocess_options *options);

/* Closes the streams that are still open. A child that still runs is left alone, and reaped when it ends: so one that
 * is of no further interest may be closed at once. Any number of times. */
void iosubprocess_close(struct iosubprocess *child);

/* Called once, also when it has ended already. */
void iosubprocess_set_exit_callback(struct iosubprocess *child, iosubprocess_exit_fn *callback, void *arg);

/* A future whose value is the status, as (void *)(intptr_t)status. raise_error: a status other than 0 is the error
 * -ECHILD. It is set before the exit callback is called. NULL with errno: EALREADY there is one, EBADF, ENOMEM. */
struct iofuture *iosubprocess_wait_for_exit(struct iosubprocess *child, bool raise_error);

/* Sends it a signal, and never to another process that has its number now. -ESRCH: it has ended. */
int iosubprocess_kill(struct iosubprocess *child, int signal_number);

/* NULL: that is no stream, or it is closed. */
struct iostream *iosubprocess_stdin(const struct iosubprocess *child);
struct iostream *iosubprocess_stdout(const struct iosubprocess *child);
struct iostream *iosubprocess_stderr(const struct iosubprocess *child);

/* To be shown. When the child has ended another process may have this number; iosubprocess_kill knows better. */
pid_t iosubprocess_pid(const struct iosubprocess *child);

IOAPI_END
#endif
