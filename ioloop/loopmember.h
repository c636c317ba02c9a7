/* Internal: loopmember.h, objects of the library that end with their loop. ioloop_close calls close for each member
 * that is left, newest first; close has to take the member out, and may put off the rest to a looptask, which still
 * runs before ioloop_close returns.
 *
 * Members that were added as first ones are closed before all else, and the first tasks (looptask.h) that wait then are
 * run: whoever waits for a future can tidy up with everything still there.
 *
 * What owns a descriptor and little else claims that instead: ioloop_close calls the handler of a claimed descriptor
 * with LOOPMEMBER_CLOSING. */
#ifndef IOLOOP_LOOPMEMBER_H
#define IOLOOP_LOOPMEMBER_H

#include <stdbool.h>

#include "ioloop/ioloop.h"

struct deadlines;

struct loopmember {
    struct loopmember *next;
    struct loopmember **link; /* what points to this one; NULL: no member */
    void (*close)(struct loopmember *member);
};

void loopmember_add(struct ioloop *loop, struct loopmember *member);
void loopmember_remove(struct loopmember *member);

/* As loopmember_add; see above. */
void loopmember_add_first(struct ioloop *loop, struct loopmember *member);

/* As loopmember_add, but close is called when all the other members are closed and no looptask is left. */
void loopmember_add_last(struct ioloop *loop, struct loopmember *member);

/* As loopmember_add, but close is called by ioloop_reopen, and the member stays: in a child of fork() it gives up what
 * is the parent's. Whoever adds it takes it out before the loop ends. */
void loopmember_add_reopened(struct ioloop *loop, struct loopmember *member);

/* The newest one; the others follow by next. NULL: there is none. */
struct loopmember *loopmember_first(const struct ioloop *loop);

/* 0, or why nothing can be started on this loop: -EBADF, -ESTALE. */
int loopmember_check(const struct ioloop *loop);

/* Whether that would be -ESTALE. Any thread. */
bool loopmember_is_stale(const struct ioloop *loop);

/* How many forks this process is away from the first. */
unsigned loopmember_forks(void);

#define LOOPMEMBER_CLOSING 0x8000u

/* Takes the handler's place for a descriptor without telling the kernel: ioloop_update_handler does that. -EEXIST,
 * -ENOMEM. */
int loopmember_claim_fd(struct ioloop *loop, int fd, ioloop_handler_fn *handler, void *arg);

/* The arg of the first descriptor, from *fd on, that is claimed for this handler; *fd is then the one behind it. NULL:
 * there is none. */
void *loopmember_next_claimed(const struct ioloop *loop, ioloop_handler_fn *handler, int *fd);

/* The kernel forgets the descriptor, its handler stays. */
void loopmember_unwatch_fd(struct ioloop *loop, int fd);

/* As ioloop_update_handler(READ) on a claimed descriptor, with POLLER_EXCLUSIVE: for listeners that processes share. */
int loopmember_watch_exclusive(struct ioloop *loop, int fd);

/* Room for what a layer keeps for the loop: the executor, the client and the WebSockets of the loop. NULL at first. */
enum loopmember_room { LOOPMEMBER_EXECUTORS, LOOPMEMBER_CLIENT, LOOPMEMBER_WEBSOCKETS, LOOPMEMBER_ROOMS };
void **loopmember_room(struct ioloop *loop, enum loopmember_room room);

/* The loop's wheel, made when first asked for; NULL: no memory. */
struct deadlines *loopmember_deadlines(struct ioloop *loop);

#endif
