#include "ioloop/taskqueue.h"

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
    queue->entries = entries;
    queue->capacity = capacity;
    return true;
}
