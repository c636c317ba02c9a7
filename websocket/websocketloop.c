#include "websocket/websocketloop.h"

#include <errno.h>
#include <string.h>

#include "ioloop/ioalloc.h"
#include "ioloop/iobudget.h"
#include "websocket/websocketmask.h"
#include "websocket/websockettopics.h"

#define BLOCK_AHEAD      65536u /* of what has been announced, before anything has come */
#define LEAST_KEPT_BLOCK 32768u
#define MOST_KEPT_BLOCKS (8u << 20) /* bytes of them all */

/* Life. */

static void free_with_loop(struct loopmember *member)
{
    struct websocketloop *shared = (struct websocketloop *)member;

    loopmember_remove(member);
    *loopmember_room(shared->loop, LOOPMEMBER_WEBSOCKETS) = NULL;
    while (shared->kept != NULL) {
        struct websocketloop_block *block = shared->kept;
        shared->kept = block->next;
        iobudget_free(block);
    }
    if (shared->masks != NULL)
        memset(shared->masks, 0, sizeof *shared->masks);
    ioalloc_free(shared->masks);
    websockettopics_free(shared->topics);
    websocketdeflate_free_spare(&shared->deflate);
    ioalloc_free(shared);
}

struct websocketloop *websocketloop_find(struct ioloop *loop)
{
    return *loopmember_room(loop, LOOPMEMBER_WEBSOCKETS);
}

struct websocketloop *websocketloop_of(struct ioloop *loop)
{
    struct websocketloop *shared = websocketloop_find(loop);

    if (shared != NULL || loopmember_check(loop) < 0)
        return shared;
    shared = ioalloc_zeroed(sizeof *shared);
    if (shared == NULL)
        return NULL;
    shared->loop = loop;
    shared->member.close = free_with_loop;
    loopmember_add_last(loop, &shared->member);
    *loopmember_room(loop, LOOPMEMBER_WEBSOCKETS) = shared;
    return shared;
}

/* Random bytes. */

int websocketloop_random(struct ioloop *loop, void *bytes, size_t size)
{
    struct websocketloop *shared = websocketloop_of(loop);

    if (shared == NULL)
        return -ENOMEM;
    if (shared->masks == NULL)
        shared->masks = ioalloc_zeroed(sizeof *shared->masks);
    return shared->masks != NULL ? websocketmask_take(shared->masks, bytes, size) : -ENOMEM;
}

/* Blocks. */

static struct websocketloop_block *take_kept_block(struct websocketloop *shared, size_t capacity)
{
    struct websocketloop_block **link = &shared->kept;

    while (*link != NULL && (*link)->capacity < capacity)
        link = &(*link)->next;
    struct websocketloop_block *block = *link;
    if (block != NULL) {
        *link = block->next;
        shared->kept_bytes -= block->capacity;
        block->holders = 1;
    }
    return block;
}

static struct websocketloop_block *resize_block(struct ioloop *loop, struct websocketloop_block *block, size_t capacity)
{
    struct websocketloop_block *resized;

    if (capacity > SIZE_MAX - sizeof *block - 1)
        return NULL;
    resized = iobudget_resize(block, sizeof *block + capacity + 1);
    if (resized == NULL)
        return NULL;
    if (block == NULL)
        *resized = (struct websocketloop_block){ .loop = loop, .holders = 1 };
    resized->capacity = capacity;
    return resized;
}

/* A quarter more at least: fragments are expected one by one, and a byte is to be moved a constant number of times. But
 * what is expected is not missed by so little that another quarter would have to follow. */
static size_t grown_block(const struct websocketloop_block *block, size_t used, size_t needed, size_t expected)
{
    size_t ahead = used < BLOCK_AHEAD / 2 ? BLOCK_AHEAD : 2 * used;
    size_t least = block != NULL ? block->capacity + block->capacity / 4 : 0;

    if (ahead > expected - expected / 4)
        ahead = expected;
    if (ahead < least)
        ahead = least;
    return needed > ahead ? needed : ahead;
}

struct websocketloop_block *websocketloop_grow(struct ioloop *loop, struct websocketloop_block *block, size_t used,
                                               size_t needed, size_t expected)
{
    struct websocketloop *shared = websocketloop_find(loop);
    struct websocketloop_block *kept = NULL;

    if (block != NULL && block->capacity >= needed)
        return block;
    if (shared != NULL && expected >= LEAST_KEPT_BLOCK)
        kept = take_kept_block(shared, expected);
    if (kept == NULL)
        return resize_block(loop, block, grown_block(block, used, needed, expected));
    if (block != NULL) {
        memcpy(kept->bytes, block->bytes, used);
        websocketloop_give(block);
    }
    return kept;
}

/* Smaller ones make way: they would stay for ever where all that comes is too long for them. */
static bool make_room_for_block(struct websocketloop *shared, size_t capacity)
{
    while (capacity > MOST_KEPT_BLOCKS - shared->kept_bytes) {
        struct websocketloop_block *smallest = shared->kept;

        if (smallest == NULL || smallest->capacity >= capacity)
            return false;
        shared->kept = smallest->next;
        shared->kept_bytes -= smallest->capacity;
        iobudget_free(smallest);
    }
    return true;
}

/* In order, the smallest first. The shared part is made for this only where there is something to keep, and not if that
 * needs memory. */
void websocketloop_give(struct websocketloop_block *block)
{
    struct websocketloop *shared = NULL;

    if (--block->holders > 0)
        return;
    block->place = (struct iostreamlayer_place){ 0 };
    if (block->capacity >= LEAST_KEPT_BLOCK)
        shared = websocketloop_of(block->loop);
    if (shared == NULL || block->capacity > MOST_KEPT_BLOCKS || !make_room_for_block(shared, block->capacity)) {
        iobudget_free(block);
        return;
    }
    struct websocketloop_block **link = &shared->kept;
    while (*link != NULL && (*link)->capacity < block->capacity)
        link = &(*link)->next;
    block->next = *link;
    *link = block;
    shared->kept_bytes += block->capacity;
}
