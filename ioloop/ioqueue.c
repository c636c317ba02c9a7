#include "ioloop/ioqueue.h"

#include <errno.h>
#include <stdint.h>

#include "ioloop/ioalloc.h"
#include "ioloop/iowaiter.h"

#define FIRST_CAPACITY 8

struct ioqueue_entry {
    void *item;
    uint64_t order; /* among equals */
};

/* In which order things come out. */
struct queuekind {
    void (*push)(struct ioqueue *queue, struct ioqueue_entry entry);
    void *(*pop)(struct ioqueue *queue);
};

struct ioqueue {
    struct iowaiting waiting;    /* for an item: then there is none */
    struct iowaiterline putters; /* then it is full */
    struct iowaiterline joiners;
    const struct queuekind *kind;
    ioqueue_compare_fn *compare;
    iofuture_free_fn *free_item;
    struct ioqueue_entry *entries;
    size_t first, count, capacity;
    size_t maxsize; /* SIZE_MAX: any number */
    size_t unfinished;
    uint64_t order;
};

/* First in, first out: a ring. Its first entry comes out. */

static struct ioqueue_entry *nth_entry(const struct ioqueue *queue, size_t n)
{
    size_t place = queue->first + n;

    return &queue->entries[place < queue->capacity ? place : place - queue->capacity];
}

static void push_last(struct ioqueue *queue, struct ioqueue_entry entry)
{
    *nth_entry(queue, queue->count++) = entry;
}

static void *pop_first(struct ioqueue *queue)
{
    void *item = queue->entries[queue->first].item;

    queue->count--;
    if (++queue->first == queue->capacity)
        queue->first = 0;
    return item;
}

static const struct queuekind fifo_kind = { push_last, pop_first };

/* Last in, first out. */

static void *pop_last(struct ioqueue *queue)
{
    return queue->entries[--queue->count].item;
}

static const struct queuekind lifo_kind = { push_last, pop_last };

/* The least first: a heap. */

static bool comes_before(const struct ioqueue *queue, const struct ioqueue_entry *a, const struct ioqueue_entry *b)
{
    int order = queue->compare(a->item, b->item);

    return order != 0 ? order < 0 : a->order < b->order;
}

static void push_by_priority(struct ioqueue *queue, struct ioqueue_entry entry)
{
    struct ioqueue_entry *heap = queue->entries;
    size_t place = queue->count++;

    while (place > 0 && comes_before(queue, &entry, &heap[(place - 1) / 2])) {
        heap[place] = heap[(place - 1) / 2];
        place = (place - 1) / 2;
    }
    heap[place] = entry;
}

static void *pop_least(struct ioqueue *queue)
{
    struct ioqueue_entry *heap = queue->entries;
    void *item = heap[0].item;
    size_t count = --queue->count, place = 0;

    for (size_t child; (child = 2 * place + 1) < count; place = child) {
        child += child + 1 < count && comes_before(queue, &heap[child + 1], &heap[child]);
        if (!comes_before(queue, &heap[child], &heap[count]))
            break;
        heap[place] = heap[child];
    }
    heap[place] = heap[count];
    return item;
}

static const struct queuekind priority_kind = { push_by_priority, pop_least };

/* Life. */

static void end_queue(struct iowaiting *waiting)
{
    struct ioqueue *queue = (struct ioqueue *)waiting;

    iowaiterline_cancel(&queue->putters);
    iowaiterline_cancel(&queue->joiners);
    while (queue->count > 0) {
        void *item = queue->kind->pop(queue);
        if (queue->free_item != NULL)
            queue->free_item(item);
    }
    ioalloc_free(queue->entries);
}

static struct ioqueue *new_queue(struct ioloop *loop, int maxsize, const struct queuekind *kind)
{
    if (maxsize < 0)
        return errno = EINVAL, NULL;
    struct ioqueue *queue = iowaiting_new(loop, sizeof *queue, end_queue);
    if (queue == NULL)
        return NULL;
    iowaiterline_init(&queue->putters);
    iowaiterline_init(&queue->joiners);
    queue->kind = kind;
    queue->maxsize = maxsize > 0 ? (size_t)maxsize : SIZE_MAX;
    return queue;
}

struct ioqueue *ioqueue_new(struct ioloop *loop, int maxsize)
{
    return new_queue(loop, maxsize, &fifo_kind);
}

struct ioqueue *ioqueue_new_lifo(struct ioloop *loop, int maxsize)
{
    return new_queue(loop, maxsize, &lifo_kind);
}

struct ioqueue *ioqueue_new_priority(struct ioloop *loop, int maxsize, ioqueue_compare_fn *compare)
{
    struct ioqueue *queue = new_queue(loop, maxsize, &priority_kind);

    if (queue != NULL)
        queue->compare = compare;
    return queue;
}

void ioqueue_close(struct ioqueue *queue)
{
    iowaiting_close(&queue->waiting);
}

void ioqueue_set_free_item(struct ioqueue *queue, iofuture_free_fn *free_item)
{
    queue->free_item = free_item;
}

size_t ioqueue_qsize(const struct ioqueue *queue)
{
    return queue->count;
}

size_t ioqueue_maxsize(const struct ioqueue *queue)
{
    return queue->maxsize != SIZE_MAX ? queue->maxsize : 0;
}

bool ioqueue_empty(const struct ioqueue *queue)
{
    return queue->count == 0;
}

bool ioqueue_full(const struct ioqueue *queue)
{
    return queue->count >= queue->maxsize;
}

/* Putting. */

/* For one more: also for one that waits while the queue is full, which comes in before another goes out. */
static bool make_room_for_entry(struct ioqueue *queue)
{
    size_t capacity = queue->capacity > 0 ? 2 * queue->capacity : FIRST_CAPACITY;

    if (queue->count < queue->capacity)
        return true;
    struct ioqueue_entry *entries = ioalloc_array_resize(NULL, capacity, sizeof *entries);
    if (entries == NULL)
        return false;
    for (size_t i = 0; i < queue->count; i++)
        entries[i] = *nth_entry(queue, i);
    ioalloc_free(queue->entries);
    queue->entries = entries;
    queue->first = 0;
    queue->capacity = capacity;
    return true;
}

static void push_item(struct ioqueue *queue, void *item)
{
    queue->kind->push(queue, (struct ioqueue_entry){ item, queue->order++ });
}

int ioqueue_put_nowait(struct ioqueue *queue, void *item)
{
    if (queue->waiting.closed)
        return -EBADF;
    struct iowaiter *getter = iowaiterline_take(&queue->waiting.line);
    if (getter == NULL) {
        if (!make_room_for_entry(queue))
            return -ENOMEM;
        if (ioqueue_full(queue))
            return -EAGAIN;
        push_item(queue, item);
    } else {
        iofuture_set_result(&getter->future, item, queue->free_item);
    }
    queue->unfinished++;
    return 0;
}

struct iofuture *ioqueue_put(struct ioqueue *queue, void *item, double timeout)
{
    struct iowaiter *putter = iowaiter_new(&queue->waiting);

    if (putter == NULL)
        return NULL;
    int error = ioqueue_put_nowait(queue, item);
    if (error == 0)
        return iowaiter_have(putter, NULL, NULL);
    if (error == -EAGAIN) {
        putter->item = item;
        return iowaiter_wait(putter, &queue->putters, timeout, -ETIMEDOUT);
    }
    iofuturelayer_discard(&putter->future);
    return errno = -error, NULL;
}

/* Getting. */

int ioqueue_get_nowait(struct ioqueue *queue, void **item)
{
    if (queue->waiting.closed)
        return -EBADF;
    struct iowaiter *putter = iowaiterline_take(&queue->putters);
    if (putter != NULL) {
        push_item(queue, putter->item);
        queue->unfinished++;
        iofuture_set_result(&putter->future, NULL, NULL);
    }
    if (queue->count == 0)
        return -EAGAIN;
    *item = queue->kind->pop(queue);
    return 0;
}

struct iofuture *ioqueue_get(struct ioqueue *queue, double timeout)
{
    struct iowaiter *getter = iowaiter_new(&queue->waiting);
    void *item;

    if (getter == NULL)
        return NULL;
    if (ioqueue_get_nowait(queue, &item) == 0)
        return iowaiter_have(getter, item, queue->free_item);
    return iowaiter_wait(getter, &queue->waiting.line, timeout, -ETIMEDOUT);
}

/* Joining. */

int ioqueue_task_done(struct ioqueue *queue)
{
    struct iowaiter *joiner;

    if (queue->unfinished == 0)
        return -EINVAL;
    if (--queue->unfinished > 0)
        return 0;
    while ((joiner = iowaiterline_take(&queue->joiners)) != NULL)
        iofuture_set_result(&joiner->future, NULL, NULL);
    return 0;
}

struct iofuture *ioqueue_join(struct ioqueue *queue, double timeout)
{
    struct iowaiter *joiner = iowaiter_new(&queue->waiting);

    if (joiner == NULL)
        return NULL;
    if (queue->unfinished == 0)
        return iowaiter_have(joiner, NULL, NULL);
    return iowaiter_wait(joiner, &queue->joiners, timeout, -ETIMEDOUT);
}
