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
#include <stddef.h>
#include <stdint.h>

#include "ioloop/ioloop.h"

struct deadlines;
struct iostream;

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

/* Room for what ioexecutor.h keeps for the loop; NULL at first. */
void **loopmember_executors(struct ioloop *loop);

/* Room for what websocketloop.h keeps for the loop; NULL at first. */
void **loopmember_websockets(struct ioloop *loop);

/* Room for the loop's own httpclient. */
void **loopmember_client(struct ioloop *loop);

/* The loop's wheel, made when first asked for; NULL: no memory. */
struct deadlines *loopmember_deadlines(struct ioloop *loop);

/* What the one stream whose consumer runs now has written, until the consumer returns: it leaves in one call. It is
 * copied into bytes; but the first, when it is a part of what the consumer is being shown, stays where it is, in the
 * loop's scratch memory. */
#define LOOPMEMBER_CORK 65536u
struct loopcork {
    struct iostream *owner; /* NULL: no consumer runs, or its stream is closed or shut down */
    char *data;             /* what was written: bytes, or a part of the scratch memory */
    size_t used;
    char *bytes; /* NULL until first needed */
    size_t size; /* of bytes: LOOPMEMBER_CORK, or 0 */
};

static inline void loopcork_clear(struct loopcork *cork)
{
    cork->used = 0;
    cork->data = cork->bytes;
}

/* Where so many bytes can be put behind what was written; NULL: there is no room, or it lies in the scratch memory. */
static inline char *loopcork_place(const struct loopcork *cork, size_t length)
{
    return length <= cork->size - cork->used && cork->data == cork->bytes ? cork->data + cork->used : NULL;
}

/* The part of a loop that the layers look at with every byte: its beginning. */
struct loopfront {
    int64_t now;    /* in nanoseconds */
    bool knows_now; /* it was read in this iteration, since the loop has waited */
    char *scratch;  /* see loopmember_scratch */
    struct loopcork cork;
};

static inline struct loopfront *loopmember_front(struct ioloop *loop)
{
    return (struct loopfront *)loop;
}

/* The time of this iteration in nanoseconds: the clock is read when somebody first asks. */
int64_t loopmember_read_now(struct ioloop *loop);

static inline int64_t loopmember_now(struct ioloop *loop)
{
    struct loopfront *front = loopmember_front(loop);

    return front->knows_now ? front->now : loopmember_read_now(loop);
}

/* The first time that was read since the loop has last waited: no time of this iteration that somebody noted is older,
 * although all that has happened since may have taken long. */
int64_t loopmember_began(const struct ioloop *loop);

static inline struct loopcork *loopmember_cork(struct ioloop *loop)
{
    return &loopmember_front(loop)->cork;
}

/* The buffer that all streams of a loop receive into, LOOPMEMBER_SCRATCH bytes, and one more for a NUL behind them. Its
 * bytes are nobody's from the end of a handler on. NULL: no memory. */
#define LOOPMEMBER_SCRATCH 65536u
char *loopmember_new_scratch(struct ioloop *loop);

static inline char *loopmember_scratch(struct ioloop *loop)
{
    char *scratch = loopmember_front(loop)->scratch;

    return scratch != NULL ? scratch : loopmember_new_scratch(loop);
}

/* Blocks of LOOPMEMBER_SPARE bytes for what comes and goes with every read; the loop keeps a few. NULL: no memory. */
#define LOOPMEMBER_SPARE 88u
void *loopmember_take_spare(struct ioloop *loop);
void loopmember_give_spare(struct ioloop *loop, void *block);

#endif
