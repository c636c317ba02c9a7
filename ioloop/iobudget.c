#include "ioloop/iobudget.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ioloop/ioalloc.h"
#include "ioloop/iolog.h"

#define DEFAULT_BUDGET ((size_t)256 << 20)
#define SMALL          4160u /* and less is never refused: a piece of output, the beginning of a head */

/* Before each block, as long as what malloc aligns to. */
union head {
    size_t size; /* with the head */
    max_align_t alignment;
};

static _Atomic size_t most = DEFAULT_BUDGET;
static _Atomic size_t used;

void ioalloc_set_budget(size_t bytes)
{
    atomic_store(&most, bytes != 0 ? bytes : DEFAULT_BUDGET);
}

size_t ioalloc_budget_used(void)
{
    return atomic_load(&used);
}

bool iobudget_count(size_t old, size_t size)
{
    size_t sum = atomic_fetch_add(&used, size - old) + size - old;

    if (size <= old || size <= SMALL || sum <= atomic_load(&most))
        return true;
    atomic_fetch_sub(&used, size - old);
    iolog_write(IOLOG_GENERAL, IOLOG_WARNING,
                "over the budget for what peers make this process hold: %zu bytes refused", size);
    return false;
}

static void *resize(union head *old, size_t old_size, size_t size)
{
    if (size > SIZE_MAX / 2 || !iobudget_count(old_size, size + sizeof *old))
        return NULL;
    union head *head = ioalloc_resize(old, size + sizeof *head);
    if (head == NULL) {
        atomic_fetch_sub(&used, size + sizeof *head - old_size);
        return NULL;
    }
    head->size = size + sizeof *head;
    return head + 1;
}

void *iobudget_alloc(size_t size)
{
    return resize(NULL, 0, size);
}

void *iobudget_resize(void *memory, size_t size)
{
    union head *head = memory;

    return head != NULL ? resize(head - 1, head[-1].size, size) : resize(NULL, 0, size);
}

void iobudget_free(void *memory)
{
    union head *head = memory;

    if (head == NULL)
        return;
    atomic_fetch_sub(&used, head[-1].size);
    ioalloc_free(head - 1);
}
