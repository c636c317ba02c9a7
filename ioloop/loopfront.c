#include "ioloop/loopfront.h"

#include <string.h>

#include "ioloop/ioalloc.h"
#include "ioloop/loopstate.h"

#define MOST_SPARES 64

int64_t loopfront_read_now(struct ioloop *loop)
{
    return loopstate_read_time(loop);
}

int64_t loopfront_began(const struct ioloop *loop)
{
    return loop->began;
}

char *loopfront_new_scratch(struct ioloop *loop)
{
    return loop->front.scratch = ioalloc(LOOPFRONT_SCRATCH + 1);
}

void *loopfront_take_spare(struct ioloop *loop)
{
    void *block = loop->spares;

    if (block == NULL)
        return ioalloc(LOOPFRONT_SPARE);
    memcpy(&loop->spares, block, sizeof loop->spares);
    loop->spare_count--;
    return block;
}

void loopfront_give_spare(struct ioloop *loop, void *block)
{
    if (loop->spare_count == MOST_SPARES) {
        ioalloc_free(block);
        return;
    }
    memcpy(block, &loop->spares, sizeof loop->spares);
    loop->spares = block;
    loop->spare_count++;
}
