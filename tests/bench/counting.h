/* counting.h: how much memory the library holds, by its requests and by what malloc takes for them. */
#ifndef COUNTING_H
#define COUNTING_H

#include <malloc.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "ioloop/ioalloc.h"

#define COUNTING_HEADER sizeof(size_t) /* of an allocation of malloc, of which malloc_usable_size says nothing */

/* The size that was asked for stands before each allocation. The alignment is that of max_align_t. */
struct counting_allocation {
    _Alignas(16) size_t size;
    _Alignas(16) char bytes[];
};

static size_t counting_requested, counting_used; /* by the library; by malloc for it */

static inline void *counting_add(struct counting_allocation *allocation, size_t size)
{
    if (allocation == NULL)
        return NULL;
    allocation->size = size;
    counting_requested += size;
    counting_used += malloc_usable_size(allocation) + COUNTING_HEADER - sizeof *allocation;
    return allocation->bytes;
}

static inline struct counting_allocation *counting_remove(void *memory)
{
    if (memory == NULL)
        return NULL;
    struct counting_allocation *allocation =
        (struct counting_allocation *)((char *)memory - offsetof(struct counting_allocation, bytes));
    counting_requested -= allocation->size;
    counting_used -= malloc_usable_size(allocation) + COUNTING_HEADER - sizeof *allocation;
    return allocation;
}

static inline void *counting_malloc(size_t size)
{
    return counting_add(malloc(sizeof(struct counting_allocation) + size), size);
}

static inline void *counting_realloc(void *memory, size_t size)
{
    struct counting_allocation *allocation = counting_remove(memory);
    struct counting_allocation *resized = realloc(allocation, sizeof *allocation + size);

    if (resized == NULL && allocation != NULL)
        counting_add(allocation, allocation->size);
    return counting_add(resized, size);
}

static inline void counting_free(void *memory)
{
    free(counting_remove(memory));
}

/* Before anything else of the library is called. */
static inline void counting_start(void)
{
    ioalloc_set_functions(&(struct ioalloc_functions){ counting_malloc, counting_realloc, counting_free });
}

static inline void counting_report(int connections)
{
    printf("heap asked for\tbytes\t%.3f\n", (double)counting_requested / connections);
    printf("heap with malloc's own\tbytes\t%.3f\n", (double)counting_used / connections);
    fflush(stdout);
}

#endif
