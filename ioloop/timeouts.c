#include "ioloop/timeouts.h"

#include <stddef.h>

#include "ioloop/ioalloc.h"

#define MIN_TOMBSTONES 512u

/* Large blocks of malloc begin 16 bytes behind a page or a cache line. With two nodes left out before the first, the
 * four children of a node then share a cache line. */
#define LEFT_OUT 2

#define MOST (UINT32_MAX / 2) /* timeouts at a time */

void timeouts_free(struct timeouts *timeouts)
{
    if (timeouts->nodes != NULL)
        ioalloc_free(timeouts->nodes - LEFT_OUT);
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

/* Four cache lines, some behind the end. */
static inline void prefetch_grandchildren(const struct timeouts_node *heap, uint32_t i)
{
    uintptr_t first = (uintptr_t)heap + sizeof *heap * (16 * (size_t)i + 5);

    for (uint32_t group = 0; group < 4; group++)
        __builtin_prefetch((const void *)(first + 4 * sizeof *heap * group));
}

/* The hole that the first leaves goes down to a leaf, where the last is put and goes up from: that one belongs near the
 * leaves, and this way it is not compared with at every step. The last young one goes where the heap has ended. */
static void pop(struct timeouts *timeouts)
{
    struct timeouts_node *heap = timeouts->nodes;
    uint32_t count = --timeouts->heap_count, hole = 0;

    /* One of these comes up next, and is_live will ask for its slot, which can be anywhere. */
    for (uint32_t next = 1; next <= 4 && next < count; next++)
        __builtin_prefetch(&timeouts->slots[heap[next].slot]);
    for (uint32_t first; (first = 4 * hole + 1) < count;) {
        prefetch_grandchildren(heap, hole);
        uint32_t child = earliest_child(heap, first, count);
        heap[hole] = heap[child];
        hole = child;
    }
    sift_up(heap, hole, heap[count]);
    if (--timeouts->count != count) {
        heap[count] = heap[timeouts->count];
        timeouts->moved = timeouts->order;
    }
    timeouts->settled = timeouts->count;
}

static void build_heap(struct timeouts *timeouts)
{
    uint32_t count = timeouts->heap_count;

    for (uint32_t i = count / 4 + 1; i-- > 0;) {
        if (i < count)
            sift_down(timeouts->nodes, count, i, timeouts->nodes[i]);
    }
}

/* Moves what is live of nodes[from..to) to place, and answers where that ends. */
static uint32_t keep_live(struct timeouts *timeouts, uint32_t from, uint32_t to, uint32_t place)
{
    for (uint32_t i = from; i < to; i++) {
        if (is_live(timeouts, &timeouts->nodes[i]))
            timeouts->nodes[place++] = timeouts->nodes[i];
    }
    return place;
}

static void drop_tombstones(struct timeouts *timeouts)
{
    uint32_t heap_count = timeouts->heap_count, settled = timeouts->settled, count = timeouts->count;

    timeouts->heap_count = keep_live(timeouts, 0, heap_count, 0);
    timeouts->settled = keep_live(timeouts, heap_count, settled, timeouts->heap_count);
    timeouts->count = keep_live(timeouts, settled, count, timeouts->settled);
    timeouts->moved = timeouts->order;
    build_heap(timeouts);
}

/* The young become part of the heap, one by one or, when they are many, by building it anew. */
static void take_in_young(struct timeouts *timeouts)
{
    struct timeouts_node *nodes = timeouts->nodes;
    uint32_t young = timeouts->heap_count, count = timeouts->count;

    if (count - young > young / 4) {
        timeouts->heap_count = keep_live(timeouts, young, count, young);
        build_heap(timeouts);
    } else {
        for (uint32_t i = young; i < count; i++) {
            if (is_live(timeouts, &nodes[i]))
                sift_up(nodes, timeouts->heap_count++, nodes[i]);
        }
    }
    timeouts->count = timeouts->settled = timeouts->heap_count;
    timeouts->moved = timeouts->order;
    timeouts->young_first = INT64_MAX;
}

static bool grow_nodes(struct timeouts *timeouts)
{
    uint32_t capacity = timeouts->capacity != 0 ? 2 * timeouts->capacity : 16;
    struct timeouts_node *old = timeouts->nodes != NULL ? timeouts->nodes - LEFT_OUT : NULL;
    struct timeouts_node *nodes =
        timeouts->capacity <= MOST / 2 ? ioalloc_array_resize(old, (size_t)capacity + LEFT_OUT, sizeof *nodes) : NULL;

    if (nodes == NULL)
        return false;
    timeouts->nodes = nodes + LEFT_OUT;
    timeouts->capacity = capacity;
    return true;
}

static bool grow_slots(struct timeouts *timeouts)
{
    uint32_t capacity = timeouts->slot_capacity != 0 ? 2 * timeouts->slot_capacity : 16;
    struct timeouts_slot *slots =
        timeouts->slot_capacity <= MOST / 2 ? ioalloc_array_resize(timeouts->slots, capacity, sizeof *slots) : NULL;

    if (slots == NULL)
        return false;
    timeouts->slots = slots;
    timeouts->slot_capacity = capacity;
    return true;
}

static bool __attribute__((noinline)) make_room_for_node(struct timeouts *timeouts)
{
    if (timeouts->due == NULL) {
        timeouts->due = ioalloc(TIMEOUTS_BATCH * sizeof *timeouts->due);
        if (timeouts->due == NULL)
            return false;
    }
    if (timeouts->count == timeouts->capacity && !grow_nodes(timeouts))
        return false;
    return timeouts->free_slot != 0 || timeouts->slot_count < timeouts->slot_capacity || grow_slots(timeouts);
}

static inline bool has_room_for_node(const struct timeouts *timeouts)
{
    return timeouts->count < timeouts->capacity &&
           (timeouts->free_slot != 0 || timeouts->slot_count < timeouts->slot_capacity);
}

/* A tombstone older than a whole turn of the order numbers could pass for a live node, and what a free slot remembers
 * for new: so nothing gets that old. 0 is the order number of a free slot. */
static uint32_t __attribute__((noinline)) begin_turn_of_orders(struct timeouts *timeouts)
{
    drop_tombstones(timeouts);
    for (uint32_t slot = 0; slot < timeouts->slot_count; slot++) {
        if (timeouts->slots[slot].order == 0)
            timeouts->slots[slot].last_order = timeouts->moved;
    }
    return timeouts->order |= 1;
}

static inline uint32_t next_order(struct timeouts *timeouts)
{
    uint32_t order = ++timeouts->order;

    return (order & 0x7fffffffu) != 0 ? order : begin_turn_of_orders(timeouts);
}

static inline uint32_t take_slot(struct timeouts *timeouts)
{
    if (timeouts->free_slot == 0) {
        timeouts->slots[timeouts->slot_count].last_order = timeouts->moved;
        return timeouts->slot_count++;
    }
    uint32_t slot = timeouts->free_slot - 1;
    timeouts->free_slot = timeouts->slots[slot].next_free;
    return slot;
}

static inline void give_back_slot(struct timeouts *timeouts, uint32_t index)
{
    struct timeouts_slot *slot = &timeouts->slots[index];

    slot->last_order = slot->order;
    slot->order = 0;
    slot->next_free = timeouts->free_slot;
    timeouts->free_slot = index + 1;
    timeouts->live--;
}

/* Its node takes the place of the tombstone that the last one of its slot has left among the young from first on, or
 * else goes to the end. These are as it is, settled or not. */
static inline uint64_t add_young(struct timeouts *timeouts, uint32_t first, int64_t time, ioloop_callback_fn *callback,
                                 void *arg)
{
    uint32_t order = next_order(timeouts), index = take_slot(timeouts);
    struct timeouts_slot *slot = &timeouts->slots[index];
    bool is_where_it_was_put = (int32_t)(slot->last_order - timeouts->moved) > 0;
    uint32_t place = is_where_it_was_put && slot->place >= first ? slot->place : timeouts->count++;

    slot->callback = callback;
    slot->arg = arg;
    slot->order = order;
    slot->place = place;
    timeouts->nodes[place] = (struct timeouts_node){ time, order, index };
    timeouts->live++;
    return (uint64_t)order << 32 | (index + 1);
}

uint64_t timeouts_add(struct timeouts *timeouts, int64_t deadline, ioloop_callback_fn *callback, void *arg)
{
    if (!has_room_for_node(timeouts) && !make_room_for_node(timeouts))
        return 0;
    if (timeouts->heap_count == timeouts->count || deadline < timeouts->young_first)
        timeouts->young_first = deadline;
    uint64_t id = add_young(timeouts, timeouts->heap_count, deadline, callback, arg);
    timeouts->settled = timeouts->count;
    return id;
}

uint64_t timeouts_add_delay(struct timeouts *timeouts, int64_t delay, ioloop_callback_fn *callback, void *arg)
{
    if (!has_room_for_node(timeouts) && !make_room_for_node(timeouts))
        return 0;
    timeouts->has_delays = true;
    return add_young(timeouts, timeouts->settled, delay, callback, arg);
}

/* What lies beyond the last nanosecond there is never comes, or was due always. */
static int64_t later_than(int64_t now, int64_t delay)
{
    int64_t deadline;

    if (__builtin_add_overflow(now, delay, &deadline))
        return delay < 0 ? INT64_MIN : INT64_MAX;
    return deadline;
}

void timeouts_settle(struct timeouts *timeouts, int64_t now)
{
    int64_t first = timeouts->heap_count == timeouts->settled ? INT64_MAX : timeouts->young_first;

    for (uint32_t i = timeouts->settled; i < timeouts->count; i++) {
        struct timeouts_node *node = &timeouts->nodes[i];

        node->deadline = later_than(now, node->deadline);
        if (node->deadline < first)
            first = node->deadline;
    }
    timeouts->young_first = first;
    timeouts->settled = timeouts->count;
    timeouts->has_delays = false;
}

void timeouts_remove(struct timeouts *timeouts, uint64_t id)
{
    uint32_t slot = (uint32_t)id - 1, order = (uint32_t)(id >> 32);

    if (slot >= timeouts->slot_count || order == 0 || timeouts->slots[slot].order != order)
        return;
    give_back_slot(timeouts, slot);
    uint32_t tombstones = timeouts->count - timeouts->live; /* at most: those that are due have no node here */
    if (timeouts->live <= timeouts->count && tombstones > MIN_TOMBSTONES && tombstones > timeouts->count / 2)
        drop_tombstones(timeouts);
}

int64_t timeouts_find_next(struct timeouts *timeouts)
{
    while (timeouts->count > 0) {
        const struct timeouts_node *first = timeouts->nodes;

        if (timeouts->heap_count == 0 ||
            (timeouts->heap_count < timeouts->count && timeouts->young_first < first->deadline))
            take_in_young(timeouts);
        else if (!is_live(timeouts, first))
            pop(timeouts);
        else
            return first->deadline;
    }
    return INT64_MAX;
}

void timeouts_collect_due(struct timeouts *timeouts, int64_t now)
{
    timeouts->due_first = timeouts->due_count = 0;
    while (timeouts->due_count < TIMEOUTS_BATCH && timeouts_next(timeouts) <= now && timeouts->count > 0) {
        timeouts->due[timeouts->due_count++] = timeouts->nodes[0];
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
