#include "ioloop/timeouts.h"

#include <stddef.h>

#include "ioloop/ioalloc.h"

#define MIN_USELESS 512u /* Tornado's rule: so many, and more than half, are worth the dropping */

/* Large blocks of malloc begin 16 bytes behind a page or a cache line. With two nodes left out before the first, the
 * four children of a node then share a cache line. */
#define LEFT_OUT 2

#define MOST_TIMEOUTS (UINT32_MAX / 2) /* at a time */
#define LAST_ORDER    0x7fffffffu      /* of a half turn */

void timeouts_free(struct timeouts *timeouts)
{
    if (timeouts->heap != NULL)
        ioalloc_free(timeouts->heap - LEFT_OUT);
    ioalloc_free(timeouts->slots);
    ioalloc_free(timeouts->young);
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

/* That the node was made for the timeout which its slot has now. */
static inline bool is_exact(const struct timeouts *timeouts, const struct timeouts_node *node)
{
    return timeouts->slots[node->slot].order == node->order;
}

static inline bool is_in_heap(const struct timeouts_slot *slot)
{
    return (slot->node_order & ~TIMEOUTS_YOUNG) != 0;
}

/* Whether a node is still of use. If not, it must be dropped. */
static inline bool keep_node(struct timeouts *timeouts, const struct timeouts_node *node)
{
    struct timeouts_slot *slot = &timeouts->slots[node->slot];

    if (slot->node_order != node->order)
        return false;
    if (slot->order == 0)
        slot->node_order = 0;
    return slot->order != 0;
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
 * leaves, and this way it is not compared with at every step. */
static void pop_earliest(struct timeouts *timeouts)
{
    struct timeouts_node *heap = timeouts->heap;
    uint32_t count = --timeouts->heap_count, hole = 0;

    /* One of these comes up next, and is_exact will ask for its slot, which can be anywhere. */
    for (uint32_t next = 1; next <= 4 && next < count; next++)
        __builtin_prefetch(&timeouts->slots[heap[next].slot]);
    for (uint32_t first; (first = 4 * hole + 1) < count;) {
        prefetch_grandchildren(heap, hole);
        uint32_t child = earliest_child(heap, first, count);
        heap[hole] = heap[child];
        hole = child;
    }
    sift_up(heap, hole, heap[count]);
}

static void build_heap(struct timeouts *timeouts)
{
    uint32_t count = timeouts->heap_count;

    for (uint32_t i = count / 4 + 1; i-- > 0;) {
        if (i < count)
            sift_down(timeouts->heap, count, i, timeouts->heap[i]);
    }
}

static void drop_useless(struct timeouts *timeouts)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < timeouts->heap_count; i++) {
        if (keep_node(timeouts, &timeouts->heap[i]))
            timeouts->heap[kept++] = timeouts->heap[i];
    }
    timeouts->heap_count = kept;
    timeouts->useless = 0;
    build_heap(timeouts);
}

static inline void drop_useless_if_many(struct timeouts *timeouts)
{
    if (timeouts->useless > MIN_USELESS && timeouts->useless > timeouts->heap_count / 2)
        drop_useless(timeouts);
}

/* The young come into the heap, one by one or, when they are many, by building it anew. */
static void take_in_young(struct timeouts *timeouts)
{
    bool are_many = timeouts->young_count > timeouts->heap_count / 4;

    for (uint32_t i = 0; i < timeouts->young_count; i++) {
        uint32_t index = timeouts->young[i];
        struct timeouts_slot *slot = &timeouts->slots[index];
        struct timeouts_node node = { slot->deadline, slot->order, index };

        slot->node_order = slot->order;
        if (slot->order == 0)
            continue;
        if (are_many)
            timeouts->heap[timeouts->heap_count++] = node;
        else
            sift_up(timeouts->heap, timeouts->heap_count++, node);
    }
    timeouts->young_count = 0;
    timeouts->young_first = INT64_MAX;
    if (are_many)
        build_heap(timeouts);
}

/* The first node was not made for what its slot has now: it goes, or takes the time of that. */
static void correct_first(struct timeouts *timeouts)
{
    struct timeouts_node first = timeouts->heap[0];
    struct timeouts_slot *slot = &timeouts->slots[first.slot];

    if (!keep_node(timeouts, &first)) {
        timeouts->useless--;
        pop_earliest(timeouts);
        return;
    }
    slot->node_order = slot->order;
    sift_down(timeouts->heap, timeouts->heap_count, 0,
              (struct timeouts_node){ slot->deadline, slot->order, first.slot });
}

static bool grow_heap(struct timeouts *timeouts)
{
    uint32_t capacity = timeouts->heap_capacity != 0 ? 2 * timeouts->heap_capacity : 16;
    struct timeouts_node *old = timeouts->heap != NULL ? timeouts->heap - LEFT_OUT : NULL;

    if (timeouts->heap_capacity > MOST_TIMEOUTS / 2)
        return false;
    struct timeouts_node *heap = ioalloc_array_resize(old, (size_t)capacity + LEFT_OUT, sizeof *heap);
    if (heap == NULL)
        return false;
    timeouts->heap = heap + LEFT_OUT;
    timeouts->heap_capacity = capacity;
    return true;
}

static bool grow_slots(struct timeouts *timeouts)
{
    uint32_t capacity = timeouts->slot_capacity != 0 ? 2 * timeouts->slot_capacity : 16;

    if (timeouts->slot_capacity > MOST_TIMEOUTS / 2)
        return false;
    uint32_t *young = ioalloc_array_resize(timeouts->young, capacity, sizeof *young);
    if (young == NULL)
        return false;
    timeouts->young = young;
    struct timeouts_slot *slots = ioalloc_array_resize(timeouts->slots, capacity, sizeof *slots);
    if (slots == NULL)
        return false;
    timeouts->slots = slots;
    timeouts->slot_capacity = capacity;
    return true;
}

static inline uint32_t least_of(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* A useless node older than a whole turn of the order numbers could pass for that of its slot, so they are dropped
 * every half turn. (What was of use for longer than a turn can do so still: one in 2^32 of those.) */
static uint32_t orders_left(struct timeouts *timeouts)
{
    if ((timeouts->order & LAST_ORDER) == LAST_ORDER) {
        drop_useless(timeouts);
        timeouts->order++; /* 0, the order number of a free slot, or TIMEOUTS_YOUNG: the next is in use again */
    }
    return LAST_ORDER - (timeouts->order & LAST_ORDER);
}

/* Each that is added takes an order number, a slot and in the end a node. */
static bool __attribute__((noinline)) make_room_for_timeout(struct timeouts *timeouts)
{
    drop_useless_if_many(timeouts); /* replacing does not ask */
    uint32_t nodes = timeouts->heap_count + timeouts->young_count + timeouts->delay_count;

    if (timeouts->due == NULL) {
        timeouts->due = ioalloc(TIMEOUTS_BATCH * sizeof *timeouts->due);
        if (timeouts->due == NULL)
            return false;
    }
    if (nodes == timeouts->heap_capacity && !grow_heap(timeouts))
        return false;
    if (timeouts->live == timeouts->slot_capacity && !grow_slots(timeouts))
        return false;
    timeouts->room = least_of(timeouts->heap_capacity - nodes, timeouts->slot_capacity - timeouts->live);
    timeouts->room = least_of(timeouts->room, orders_left(timeouts));
    return true;
}

static inline uint32_t take_slot(struct timeouts *timeouts)
{
    if (timeouts->free_slot == 0) {
        timeouts->slots[timeouts->slot_count].node_order = 0;
        return timeouts->slot_count++;
    }
    uint32_t slot = timeouts->free_slot - 1;
    timeouts->free_slot = timeouts->slots[slot].next_free;
    return slot;
}

/* The slot of a new timeout, which a node has yet to be found for. */
static inline struct timeouts_node fill_slot(struct timeouts *timeouts, uint32_t index, int64_t time,
                                             ioloop_callback_fn *callback, void *arg)
{
    struct timeouts_slot *slot = &timeouts->slots[index];
    uint32_t order = ++timeouts->order;

    slot->callback = callback;
    slot->arg = arg;
    slot->order = order;
    timeouts->room--;
    return (struct timeouts_node){ time, order, index };
}

static inline struct timeouts_node begin_timeout(struct timeouts *timeouts, int64_t time, ioloop_callback_fn *callback,
                                                 void *arg)
{
    uint32_t index = take_slot(timeouts);

    timeouts->useless -= is_in_heap(&timeouts->slots[index]);
    timeouts->live++;
    return fill_slot(timeouts, index, time, callback, arg);
}

/* When none is left, all begins anew, so that what comes next lies close together. */
static inline void end_timeout(struct timeouts *timeouts, uint32_t index)
{
    struct timeouts_slot *slot = &timeouts->slots[index];

    slot->order = 0;
    slot->next_free = timeouts->free_slot;
    timeouts->free_slot = index + 1;
    timeouts->useless += is_in_heap(slot);
    if (--timeouts->live == 0) {
        timeouts->free_slot = timeouts->slot_count = timeouts->young_count = 0;
        timeouts->heap_count = timeouts->useless = timeouts->delay_count = 0;
        timeouts->young_first = INT64_MAX;
    }
}

/* The node that the slot has will do, unless it comes up too late. */
static inline void put_timeout(struct timeouts *timeouts, const struct timeouts_node *node)
{
    struct timeouts_slot *slot = &timeouts->slots[node->slot];
    bool was_in_heap = is_in_heap(slot);

    if (!was_in_heap || node->deadline < slot->deadline) {
        if (node->deadline < timeouts->young_first)
            timeouts->young_first = node->deadline;
        if (slot->node_order != TIMEOUTS_YOUNG)
            timeouts->young[timeouts->young_count++] = node->slot;
        slot->node_order = TIMEOUTS_YOUNG;
        timeouts->useless += was_in_heap;
    }
    slot->deadline = node->deadline;
}

static inline uint64_t id_of(const struct timeouts_node *node)
{
    return (uint64_t)node->order << 32 | (node->slot + 1);
}

static inline bool is_there(const struct timeouts *timeouts, uint64_t id)
{
    uint32_t slot = (uint32_t)id - 1, order = (uint32_t)(id >> 32);

    return slot < timeouts->slot_count && order != 0 && timeouts->slots[slot].order == order;
}

uint64_t timeouts_add(struct timeouts *timeouts, int64_t deadline, ioloop_callback_fn *callback, void *arg)
{
    if (timeouts->room == 0 && !make_room_for_timeout(timeouts))
        return 0;
    struct timeouts_node node = begin_timeout(timeouts, deadline, callback, arg);
    put_timeout(timeouts, &node);
    return id_of(&node);
}

static inline uint64_t put_delay(struct timeouts *timeouts, struct timeouts_node node)
{
    timeouts->delays[timeouts->delay_count++] = node;
    return id_of(&node);
}

uint64_t timeouts_put_delay(struct timeouts *timeouts, int64_t delay, ioloop_callback_fn *callback, void *arg)
{
    return put_delay(timeouts, begin_timeout(timeouts, delay, callback, arg));
}

uint64_t timeouts_replace_by_delay(struct timeouts *timeouts, uint64_t id, int64_t delay, ioloop_callback_fn *callback,
                                   void *arg)
{
    if (!is_there(timeouts, id))
        return timeouts_put_delay(timeouts, delay, callback, arg);
    return put_delay(timeouts, fill_slot(timeouts, (uint32_t)id - 1, delay, callback, arg));
}

uint64_t timeouts_add_delay(struct timeouts *timeouts, int64_t delay, ioloop_callback_fn *callback, void *arg)
{
    if (timeouts->room == 0 && !make_room_for_timeout(timeouts))
        return 0;
    return timeouts_put_delay(timeouts, delay, callback, arg);
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
    for (uint32_t i = 0; i < timeouts->delay_count; i++) {
        struct timeouts_node *node = &timeouts->delays[i];

        if (!is_exact(timeouts, node))
            continue; /* removed meanwhile */
        node->deadline = later_than(now, node->deadline);
        put_timeout(timeouts, node);
    }
    timeouts->delay_count = 0;
}

void timeouts_remove(struct timeouts *timeouts, uint64_t id)
{
    if (!is_there(timeouts, id))
        return;
    end_timeout(timeouts, (uint32_t)id - 1);
    drop_useless_if_many(timeouts);
}

int64_t timeouts_find_next(struct timeouts *timeouts)
{
    for (;;) {
        const struct timeouts_node *first = timeouts->heap;

        if (timeouts->young_count > 0 && (timeouts->heap_count == 0 || timeouts->young_first <= first->deadline))
            take_in_young(timeouts);
        else if (timeouts->heap_count == 0)
            return INT64_MAX;
        else if (is_exact(timeouts, first))
            return first->deadline;
        else
            correct_first(timeouts);
    }
}

void timeouts_collect_due(struct timeouts *timeouts, int64_t now)
{
    if (timeouts->due_first < timeouts->due_count)
        return;
    timeouts->due_first = timeouts->due_count = 0;
    while (timeouts->due_count < TIMEOUTS_BATCH && timeouts_next(timeouts) <= now && timeouts->heap_count > 0) {
        timeouts->due[timeouts->due_count++] = timeouts->heap[0];
        timeouts->slots[timeouts->heap[0].slot].node_order = 0;
        pop_earliest(timeouts);
    }
}

bool timeouts_next_due(struct timeouts *timeouts, ioloop_callback_fn **callback, void **arg)
{
    while (timeouts->due_first < timeouts->due_count) {
        struct timeouts_node *node = &timeouts->due[timeouts->due_first++];

        if (!is_exact(timeouts, node))
            continue; /* removed meanwhile */
        *callback = timeouts->slots[node->slot].callback;
        *arg = timeouts->slots[node->slot].arg;
        end_timeout(timeouts, node->slot);
        return true;
    }
    return false;
}

uint32_t timeouts_put_off_due(struct timeouts *timeouts)
{
    uint32_t first = timeouts->due_first;

    timeouts->due_first = timeouts->due_count;
    return first;
}

void timeouts_take_back_due(struct timeouts *timeouts, uint32_t put_off)
{
    timeouts->due_first = put_off;
}
