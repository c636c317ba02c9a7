/* Internal: iofuturelayer.h, what a future consists of, for those of the library that are more than a future: a struct
 * that begins with one, on memory of ioalloc, so that both are one allocation.
 *
 *     static const struct iofuture_kind sleep_kind = { .cancel = stop_sleeping };
 *     struct sleeper *sleeper = iofuturelayer_new(loop, sizeof *sleeper, &sleep_kind);
 *
 * A future has a maker, who owes it an outcome, and those who wait for it. It is done when either the maker has set it
 * or somebody has cancelled it; it may go only when nobody owes it anything any more. */
#ifndef IOLOOP_IOFUTURELAYER_H
#define IOLOOP_IOFUTURELAYER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ioloop/iofuture.h"
#include "ioloop/loopmember.h"
#include "ioloop/looptask.h"

struct iofuture_ring {
    struct iofuture_ring *next, *previous;
};

/* A callback, in the memory of who waits: to add and to remove it costs nothing and cannot fail. */
struct iofuture_link {
    struct iofuture_ring ring; /* next is NULL: not added */
    iofuture_fn *callback;
    void *arg;
    bool allocated; /* by iofuture_add_callback */
};

struct iofuture_kind {
    /* It was cancelled, or its loop closes: stop working for it. Sooner or later iofuturelayer_let_go, or set it, which
     * does the same. */
    void (*cancel)(struct iofuture *future);
    /* It goes. NULL: nothing to do. */
    void (*free)(struct iofuture *future);
};

struct iofuture {
    struct loopmember member;
    struct looptask task;             /* runs the callbacks of one that is done, and frees it */
    struct ioloop *loop;              /* NULL: it is closed */
    const struct iofuture_kind *kind; /* NULL: a future and no more, and whoever made it will set it */
    void *value;
    iofuture_free_fn *free_value;
    struct iofuture *source;        /* the one whose value it is; held. NULL: its own */
    struct iofuture_ring callbacks; /* and those of them that run in this iteration */
    struct iofuture_ring due;
    struct iofuture_link first; /* room for one */
    int error;
    uint32_t holds;
    bool owed; /* whoever made it has not set it yet */
    bool done, cancelled;
    bool observed; /* somebody knows of the error */
};

/* Zeroed behind the future. NULL with errno. */
void *iofuturelayer_new(struct ioloop *loop, size_t size, const struct iofuture_kind *kind);

/* One that nobody has been given. */
void iofuturelayer_discard(struct iofuture *future);

/* Of one that is cancelled. */
void iofuturelayer_let_go(struct iofuture *future);

/* Gives it the outcome of another, which is done. Nothing when it is done itself. */
void iofuturelayer_copy(struct iofuture *from, struct iofuture *to);

/* As iofuture_add_callback. The link is out of the ring when the callback runs. */
void iofuturelayer_add(struct iofuture *future, struct iofuture_link *link, iofuture_fn *callback, void *arg);

/* Removing one that is not added is fine. */
void iofuturelayer_remove(struct iofuture_link *link);

/* 0, or why a future cannot be waited for by something on this loop: -EBADF, -EINVAL. */
int iofuturelayer_check(struct ioloop *loop, struct iofuture *const *futures, size_t count);

#endif
