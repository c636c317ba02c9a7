/* counting.h: what the servers on this library have in common: they say where they listen, and how much memory the
 * library holds for each connection, by its requests and by what malloc takes for them. */
#ifndef COUNTING_H
#define COUNTING_H

#include <malloc.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "ioloop/ioalloc.h"
#include "ioloop/ioloop.h"

#define COUNTING_SETTLE 0.05           /* seconds */
#define COUNTING_HEADER sizeof(size_t) /* of an allocation of malloc, of which malloc_usable_size says nothing */

/* The size that was asked for stands before each allocation. The alignment is that of max_align_t. */
struct counting_allocation {
    _Alignas(16) size_t size;
    _Alignas(16) char bytes[];
};

static int counting_connections, counting_left;  /* messages until it is said; 0: nothing is */
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

/* Before anything else of the library is called. It is said when so many messages have been answered. */
static inline void counting_start(int connections, int messages)
{
    counting_connections = connections;
    counting_left = messages;
    ioalloc_set_functions(&(struct ioalloc_functions){ counting_malloc, counting_realloc, counting_free });
}

static inline void counting_report(void *arg)
{
    (void)arg;
    printf("heap asked for\tbytes\t%.3f\n", (double)counting_requested / counting_connections);
    printf("heap with malloc's own\tbytes\t%.3f\n", (double)counting_used / counting_connections);
    fflush(stdout);
}

static inline void counting_note_message(void)
{
    if (counting_left > 0 && --counting_left == 0)
        ioloop_call_later(ioloop_current(), COUNTING_SETTLE, counting_report, NULL);
}

/* What is left of main when a server listens on this port, or has answered this error. */
static inline int counting_serve(const char *program, struct ioloop *loop, int port)
{
    if (port < 0) {
        fprintf(stderr, "%s: %s\n", program, ioloop_strerror(port));
        return 1;
    }
    printf("listening on 127.0.0.1:%d\n", port);
    fflush(stdout);
    return ioloop_start(loop) < 0;
}

#endif
