#include "ioloop/timeouts.h"

#include <stddef.h>

#include "ioloop/ioalloc.h"

#define MIN_TOMBSTONES 512u

void timeouts_free(struct timeouts *timeouts)
{
    ioalloc_free(timeouts->heap);
    ioalloc_free(timeouts->slots);
    ioalloc_free(timeouts->due);
    *timeouts = (struct timeouts){ 0 };
}

/* Order numbers wrap around; those of equal deadlines are never half a turn apart. Without branches, which nobody could
 * predict. */
static inline bool earlier(const struct timeouts_node *a, const struct timeouts_node *b)
{
    bool older = (int32_t)(a->order - b->order) < 0;

    return (a->deadline < b->deadline) | ((a->deadline == b->deadline) & older);
}

static inline bool is_live(const struct timeouts *timeouts, const struct timeouts_node *node)
{
    return timeouts->slots[node->slot].order == node->order;
}

static void sift_up(struct timeouts_node *heap, uint32_t i, struct timeouts_node node)
{
    while (i > 0) {
        uint32_t parent = (i - 1) / 4;

        if (!earlier(&node, &heap[parent]))
            break;
        heap[i] = heap[parent];
        i = parent;
    }
    heap[i] = node;
}

static inline uint32_t earlier_of(const struct timeouts_node *heap, uint32_t a, uint32_t b)
{
    return earlier(&heap[b], &heap[a]) ? b : a;
}

static inline uint32_t earliest_child(const struct timeouts_node *heap, uint32_t first, uint32_t count)
{
    uint32_t best = first;

    if (count - first >= 4)
        return earlier_of(heap, earlier_of(heap, first, first + 1), earlier_of(heap, first + 2, first + 3));
    for (uint32_t child = first + 1; child < count; child++)
        best = earlier_of(heap, best, child);
    return best;
}

static void sift_down(struct timeouts_node *heap, uint32_t count, uint32_t i, struct timeouts_node node)
{
    for (uint32_t first; (first = 4 * i + 1) < count;) {
        uint32_t child = earliest_child(heap, first, count);

        if (!earlier(&heap[child], &node))
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = node;
}

/* The hole that the first leaves goes down to a leaf, where the last is put and goes up from: that one belongs near the
 * leaves, and this way it is not compared with at every step. */
static void pop(struct timeouts *timeouts)
{
    struct timeouts_node *heap = timeouts->heap;
    uint32_t count = --timeouts->heap_count, hole = 0;

    if (count == 0)
        return;
    /* One of these comes up next, and is_live will ask for its slot, which can be anywhere. */
    for (uint32_t next = 1; next <= 4 && next < count; next++)
        __builtin_prefetch(&timeouts->slots[heap[next].slot]);
    for (uint32_t first; (first = 4 * hole + 1) < count;) {
        uint32_t child = earliest_child(heap, first, count);

        heap[hole] = heap[child];
        hole = child;
    }
    sift_up(heap, hole, heap[count]);
}

/* Builds the heap anew from the nodes that are live. */
static void drop_tombstones(struct timeouts *timeouts)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < timeouts->heap_count; i++) {
        if (is_live(timeouts, &timeouts->heap[i]))
            timeouts->heap[count++] = timeouts->heap[i];
    }
    timeouts->heap_count = count;
    for (uint32_t i = count / 4 + 1; i-- > 0;) {
        if (i < count)
            sift_down(timeouts->heap, count, i, timeouts->heap[i]);
    }
}

/* Answers the array with twice the room, NULL if there is no memory. */
static void *grown(void *array, uint32_t *capacity, size_t size)
{
    if (*capacity > UINT32_MAX / 4)
        return NULL;
    uint32_t twice = *capacity != 0 ? 2 * *capacity : 16;
    void *result = ioalloc_array_resize(array, twice, size);
    if (result != NULL)
        *capacity = twice;
    return result;
}

static bool make_room_in_heap(struct timeouts *timeouts)
{
    if (timeouts->due == NULL) {
        timeouts->due = ioalloc(TIMEOUTS_BATCH * sizeof *timeouts->due);
        if (timeouts->due == NULL)
            return false;
    }
    if (timeouts->heap_count == timeouts->heap_capacity) {
        void *heap = grown(timeouts->heap, &timeouts->heap_capacity, sizeof *timeouts->heap);
        if (heap == NULL)
            return false;
        timeouts->heap = heap;
    }
    if (timeouts->free_slot == 0 && timeouts->slot_count == timeouts->slot_capacity) {
        void *slots = grown(timeouts->slots, &timeouts->slot_capacity, sizeof *timeouts->slots);
        if (slots == NULL)
            return false;
        timeouts->slots = slots;
    }
    return true;
}

/* A tombstone older than a whole turn of the order numbers could pass for a live node, so there are none that old. 0
 * is the order number of a free slot. */
static uint32_t next_order(struct timeouts *timeouts)
{
    timeouts->order++;
    if ((timeouts->order & 0x7fffffffu) == 0) {
        drop_tombstones(timeouts);
        timeouts->order |= 1;
    }
    return timeouts->order;
}

static uint32_t take_slot(struct timeouts *timeouts)
{
    if (timeouts->free_slot == 0)
        return timeouts->slot_count++;
    uint32_t slot = timeouts->free_slot - 1;
    timeouts->free_slot = timeouts->slots[slot].next_free;
    return slot;
}

static void give_back_slot(struct timeouts *timeouts, uint32_t slot)
{
    timeouts->slots[slot].order = 0;
    timeouts->slots[slot].next_free = timeouts->free_slot;
    timeouts->free_slot = slot + 1;
    timeouts->live--;
}

uint64_t timeouts_add(struct timeouts *timeouts, int64_t deadline, ioloop_callback_fn *callback, void *arg)
{
    if (!make_room_in_heap(timeouts))
        return 0;
    uint32_t order = next_order(timeouts);
    uint32_t slot = take_slot(timeouts);

    timeouts->slots[slot] = (struct timeouts_slot){ callback, arg, order, 0 };
    sift_up(timeouts->heap, timeouts->heap_count++, (struct timeouts_node){ deadline, order, slot });
    timeouts->live++;
    return (uint64_t)order << 32 | (slot + 1);
}

void timeouts_remove(struct timeouts *timeouts, uint64_t id)
{
    uint32_t slot = (uint32_t)id - 1, order = (uint32_t)(id >> 32);

    if (slot >= timeouts->slot_count || order == 0 || timeouts->slots[slot].order != order)
        return;
    give_back_slot(timeouts, slot);
    uint32_t tombstones = timeouts->heap_count - timeouts->live; /* at most: those that are due have left the heap */
    if (timeouts->live <= timeouts->heap_count && tombstones > MIN_TOMBSTONES && tombstones > timeouts->heap_count / 2)
        drop_tombstones(timeouts);
}

int64_t timeouts_next_live(struct timeouts *timeouts)
{
    while (timeouts->heap_count > 0 && !is_live(timeouts, &timeouts->heap[0]))
        pop(timeouts);
    return timeouts->heap_count > 0 ? timeouts->heap[0].deadline : INT64_MAX;
}

void timeouts_collect_due(struct timeouts *timeouts, int64_t now)
{
    timeouts->due_first = timeouts->due_count = 0;
    while (timeouts->due_count < TIMEOUTS_BATCH && timeouts_next(timeouts) <= now && timeouts->heap_count > 0) {
        timeouts->due[timeouts->due_count++] = timeouts->heap[0];
        pop(timeouts);
    }
}

bool timeouts_next_due(struct timeouts *timeouts, ioloop_callback_fn **callback, void **arg)
{
    while (timeouts->due_first < timeouts->due_count) {
        struct timeouts_node *node = &timeouts->due[timeouts->due_first++];

        if (!is_live(timeouts, node))
            continue;
        *callback = timeouts->slots[node->slot].callback;
        *arg = timeouts->slots[node->slot].arg;
        give_back_slot(timeouts, node->slot);
        return true;
    }
    return false;
}
