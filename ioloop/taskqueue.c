#include "ioloop/taskqueue.h"

#include <string.h>

#include "ioloop/ioalloc.h"

void taskqueue_free(struct taskqueue *queue)
{
    ioalloc_free(queue->entries);
    *queue = (struct taskqueue){ 0 };
}

bool taskqueue_grow(struct taskqueue *queue)
{
    size_t capacity = queue->capacity != 0 ? 2 * queue->capacity : 16;
    struct taskqueue_entry *entries = ioalloc_array_resize(queue->entries, capacity, sizeof *entries);

    if (entries == NULL)
        return false;
    /* The ring was full: what stood before first has wrapped around and now goes behind the rest. */
    if (queue->first != 0)
        memcpy(entries + queue->capacity, entries, queue->first * sizeof *entries);
    queue->entries = entries;
    queue->capacity = capacity;
    return true;
}
