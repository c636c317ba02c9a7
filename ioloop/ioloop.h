/* ioloop.h: the event loop, tornado.ioloop.IOLoop.
 *
 *     struct ioloop *loop = ioloop_current();
 *     ioloop_add_handler(loop, fd, on_ready, client, IOLOOP_READ);
 *     ioloop_call_later(loop, 1.5, on_timeout, client);
 *     ioloop_start(loop);
 *
 * Lifetime: ioloop_close ends a loop and everything of the library that lives on it.
 * Callbacks: all run from ioloop_start or ioloop_run_once, never inside the call that asked for them.
 * Errors: 0 or a negative errno value (ioloop_strerror); -EBADF on a loop that is closed, -ESTALE in a child of
 *     fork() that has not called ioloop_reopen, -ENOMEM wherever memory is needed.
 * Threads: a loop belongs to the thread that runs it. Only ioloop_add_callback, ioloop_add_callback_from_signal,
 *     ioloop_stop, ioloop_hold and ioloop_release may be called from others.
 * Units: seconds, on the loop's own clock, which is monotonic and starts anywhere. */
#ifndef IOLOOP_IOLOOP_H
#define IOLOOP_IOLOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "ioloop/ioapi.h"

IOAPI_BEGIN

/* What a handler waits for, and what it is told. ERROR (the descriptor failed, or both sides have hung up) is told
 * whether it was asked for or not; it is more than one bit, so test events & IOLOOP_ERROR. */
#define IOLOOP_NONE  0x000u
#define IOLOOP_READ  0x001u
#define IOLOOP_WRITE 0x004u
#define IOLOOP_ERROR 0x018u

struct ioloop;

typedef void ioloop_callback_fn(void *arg);
typedef void ioloop_handler_fn(int fd, unsigned events, void *arg);
typedef void ioloop_signal_fn(int signal_number, void *arg);
typedef void ioloop_error_fn(struct ioloop *loop, int error, void *arg);
typedef double ioloop_clock_fn(void *arg);

enum ioloop_make_current { IOLOOP_CURRENT_IF_NONE, IOLOOP_CURRENT_ALWAYS, IOLOOP_CURRENT_NEVER };

struct ioloop_options {
    enum ioloop_make_current make_current; /* ALWAYS fails with EBUSY where the thread has a current loop */
    ioloop_clock_fn *clock;                /* seconds; must not run backwards. NULL: CLOCK_MONOTONIC */
    void *clock_arg;
    double slow_callback; /* seconds: warn of a callback that blocks the loop longer. 0: never */
};

/* Life. */

/* NULL options are the defaults. NULL with errno on failure. */
struct ioloop *ioloop_new(const struct ioloop_options *options);

/* The loop of this thread: the one that runs, else the one made current, else a new one (NULL with errno when that
 * fails). ioloop_current_if_any makes none. */
struct ioloop *ioloop_current(void);
struct ioloop *ioloop_current_if_any(void);
void ioloop_make_current(struct ioloop *loop);
void ioloop_clear_current(void);

/* Closes the library's objects on this loop (their operations end with -ECANCELED, their close callbacks run now),
 * drops handlers, timeouts and callbacks, and frees the loop. all_fds closes the descriptors of the remaining
 * handlers too. Inside a callback of the loop it stops the loop, and the rest happens when ioloop_start or
 * ioloop_run_once returns: who goes on with the loop behind these holds it, and asks ioloop_fd. A loop that is some
 * thread's current one is closed by that thread. */
void ioloop_close(struct ioloop *loop, bool all_fds);

/* A thread that may outlive the loop holds it: the memory stays, and add_callback answers -EBADF once it is closed. */
void ioloop_hold(struct ioloop *loop);
void ioloop_release(struct ioloop *loop);

/* In a child of fork(): a new kernel queue with the same handlers, timeouts and callbacks. Also inside the callback of
 * the loop that forked: it then goes on in the child too when the callback returns; without it the rest of the turn is
 * the parent's alone, and ioloop_start answers -ESTALE in the child. -EINVAL in a process that is no such child. A
 * child that has no use for the loop may close it, or just exit: the parent's is left alone. */
int ioloop_reopen(struct ioloop *loop) IOAPI_MUST_USE;

/* Running. */

/* Runs until ioloop_stop. -EBUSY when this loop, or another one on this thread, is running already. */
int ioloop_start(struct ioloop *loop);

/* Ends ioloop_start after the current turn; without one, makes the next start or run_once return at once. From any
 * thread, and from signal handlers. */
void ioloop_stop(struct ioloop *loop);

/* One iteration, for a program with a loop of its own: what is due runs, then it waits for events until the timeout at
 * most (seconds; negative: for as long as it takes) and calls their handlers. Answers the number of these. */
int ioloop_run_once(struct ioloop *loop, double timeout);

/* For that program (docs/examples/embed.c): the descriptor to watch for reading, and the seconds until ioloop_run_once
 * has something to do without it (0: now; negative: never). To be asked directly before each wait: it also sees to it
 * that callbacks and timeouts which are added from then on make the descriptor readable, this thread's too. After the
 * wait ioloop_run_once(loop, 0) is due in any case. ioloop_fd: -EBADF on a loop that is closed; it changes with
 * ioloop_reopen. */
int ioloop_fd(const struct ioloop *loop);
double ioloop_next_timeout(struct ioloop *loop);

/* The loop's clock, read anew. */
double ioloop_time(struct ioloop *loop);

/* Descriptors. */

/* The handler is called once an iteration with all that happened, until removed. -EEXIST when fd has a handler
 * already, -EPERM when the kernel cannot watch it (a regular file). */
int ioloop_add_handler(struct ioloop *loop, int fd, ioloop_handler_fn *handler, void *arg,
                       unsigned events) IOAPI_MUST_USE;

/* -ENOENT when fd has no handler. */
int ioloop_update_handler(struct ioloop *loop, int fd, unsigned events) IOAPI_MUST_USE;

/* Before the descriptor is closed. No event that was pending for it is told any more. Removing what is not there is
 * fine. */
void ioloop_remove_handler(struct ioloop *loop, int fd);

/* Callbacks. */

/* Runs the callback in the next iteration. From any thread; those of one thread keep their order. */
int ioloop_add_callback(struct ioloop *loop, ioloop_callback_fn *callback, void *arg);

/* The same for signal handlers, and nothing else: no lock, no allocation. -EAGAIN when 128 are waiting. */
int ioloop_add_callback_from_signal(struct ioloop *loop, ioloop_callback_fn *callback, void *arg);

/* Calls back from the loop for each run of one or more signals of that number. -EEXIST when a loop of this process
 * handles it already. Removing restores what was there before. */
int ioloop_add_signal(struct ioloop *loop, int signal_number, ioloop_signal_fn *callback, void *arg) IOAPI_MUST_USE;
void ioloop_remove_signal(struct ioloop *loop, int signal_number);

/* Timeouts: an id to remove them by, 0 with errno on failure. They never come early. A delay counts from a moment
 * between the call and the end of the callback that makes it, or ioloop_time in it. A negative delay or a time that has
 * passed: the next iteration. Beyond 292 years or infinite: never. NaN: EINVAL. Equal times run in the order in which
 * they were made. */
uint64_t ioloop_call_later(struct ioloop *loop, double seconds, ioloop_callback_fn *callback, void *arg);
uint64_t ioloop_call_at(struct ioloop *loop, double when, ioloop_callback_fn *callback, void *arg);

/* Removing one that has run, or 0, is fine. */
void ioloop_remove_timeout(struct ioloop *loop, uint64_t timeout);

/* Both in one, for what is put off again and again: call_later, and when that succeeds the old one, if it is there, is
 * removed. The id is a new one. */
uint64_t ioloop_replace_timeout(struct ioloop *loop, uint64_t timeout, double seconds, ioloop_callback_fn *callback,
                                void *arg);

/* Errors. */

/* For callbacks, which cannot return one: says that this callback failed. Logged, or told to the function that was
 * set (IOLoop.handle_callback_exception); the loop goes on. */
void ioloop_callback_failed(struct ioloop *loop, int error);
void ioloop_set_error_callback(struct ioloop *loop, ioloop_error_fn *callback, void *arg);

/* A text for any error code of this library, negative or positive. Static. Any thread. */
const char *ioloop_strerror(int error);

IOAPI_END
#endif
