/* postlist.h: for loops whose own means between threads is no more than a wake-up: callbacks in a list with a lock.
 *
 *     if (postlist_add(&list, callback, arg))
 *         wake_the_loop();
 *
 * The loop, when woken, calls postlist_run. */
#ifndef POSTLIST_H
#define POSTLIST_H

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "bench.h"

struct postlist_entry {
    bench_fn *callback;
    void *arg;
};

struct postlist_block {
    struct postlist_entry *entries;
    size_t count, capacity;
};

struct postlist {
    pthread_mutex_t lock;
    struct postlist_block added, spare;
};

/* Without a lock, for one thread alone. Answers whether the block was empty. */
static inline bool postlist_block_add(struct postlist_block *block, bench_fn *callback, void *arg)
{
    if (block->count == block->capacity) {
        block->capacity = block->capacity != 0 ? 2 * block->capacity : 64;
        block->entries = realloc(block->entries, block->capacity * sizeof *block->entries);
        if (block->entries == NULL)
            abort();
    }
    block->entries[block->count++] = (struct postlist_entry){ callback, arg };
    return block->count == 1;
}

/* Answers whether the list was empty. */
static inline bool postlist_add(struct postlist *list, bench_fn *callback, void *arg)
{
    pthread_mutex_lock(&list->lock);
    bool was_empty = postlist_block_add(&list->added, callback, arg);
    pthread_mutex_unlock(&list->lock);
    return was_empty;
}

/* What was added before the call, all of it taken under one lock. */
static inline void postlist_run(struct postlist *list)
{
    pthread_mutex_lock(&list->lock);
    struct postlist_block taken = list->added;
    list->added = list->spare;
    pthread_mutex_unlock(&list->lock);
    for (size_t i = 0; i < taken.count; i++)
        taken.entries[i].callback(taken.entries[i].arg);
    taken.count = 0;
    list->spare = taken;
}

#endif
