/* Internal: loopfront.h, the part of a loop that the layers look at with every byte: the time of this iteration, the
 * memory that all streams receive into, and the cork, in which what a consumer writes is collected. It is the loop's
 * beginning, so that looking at it is no call. Also small blocks of memory, of which a loop keeps some. */
#ifndef IOLOOP_LOOPFRONT_H
#define IOLOOP_LOOPFRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ioloop;
struct iostream;

/* What the one stream whose consumer runs now has written, until the consumer returns: it leaves in one call. It is
 * copied into bytes; but the first, when it is a part of what the consumer is being shown, stays where it is, in the
 * loop's scratch memory. */
#define LOOPFRONT_CORK 65536u
struct loopfront_cork {
    struct iostream *owner; /* NULL: no consumer runs, or its stream is closed or shut down */
    char *data;             /* what was written: bytes, or a part of the scratch memory */
    size_t used;
    char *bytes; /* NULL until first needed */
    size_t size; /* of bytes: LOOPFRONT_CORK, or 0 */
};

static inline void loopfront_clear_cork(struct loopfront_cork *cork)
{
    cork->used = 0;
    cork->data = cork->bytes;
}

/* Where so many bytes can be put behind what was written; NULL: there is no room, or it lies in the scratch memory. */
static inline char *loopfront_cork_place(const struct loopfront_cork *cork, size_t length)
{
    return length <= cork->size - cork->used && cork->data == cork->bytes ? cork->data + cork->used : NULL;
}

/* The part of a loop that the layers look at with every byte: its beginning. */
struct loopfront {
    int64_t now;    /* in nanoseconds */
    bool knows_now; /* it was read in this iteration, since the loop has waited */
    char *scratch;  /* see loopfront_scratch */
    struct loopfront_cork cork;
};

static inline struct loopfront *loopfront_of(struct ioloop *loop)
{
    return (struct loopfront *)loop;
}

static inline struct loopfront_cork *loopfront_cork(struct ioloop *loop)
{
    return &loopfront_of(loop)->cork;
}

/* The time of this iteration in nanoseconds: the clock is read when somebody first asks. */
int64_t loopfront_read_now(struct ioloop *loop);

static inline int64_t loopfront_now(struct ioloop *loop)
{
    struct loopfront *front = loopfront_of(loop);

    return front->knows_now ? front->now : loopfront_read_now(loop);
}

/* The first time that was read since the loop has last waited: no time of this iteration that somebody noted is older,
 * although all that has happened since may have taken long. */
int64_t loopfront_began(const struct ioloop *loop);

/* The buffer that all streams of a loop receive into, LOOPFRONT_SCRATCH bytes, and one more for a NUL behind them. Its
 * bytes are nobody's from the end of a handler on. NULL: no memory. */
#define LOOPFRONT_SCRATCH 65536u
char *loopfront_new_scratch(struct ioloop *loop);

static inline char *loopfront_scratch(struct ioloop *loop)
{
    char *scratch = loopfront_of(loop)->scratch;

    return scratch != NULL ? scratch : loopfront_new_scratch(loop);
}

/* Blocks of LOOPFRONT_SPARE bytes for what comes and goes with every read; the loop keeps a few. NULL: no memory. */
#define LOOPFRONT_SPARE 88u
void *loopfront_take_spare(struct ioloop *loop);
void loopfront_give_spare(struct ioloop *loop, void *block);

#endif
