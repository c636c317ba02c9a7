#include "tests/support/faults.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "ioloop/ioalloc.h"
#include "tests/support/faultcalls.h"

#define NAME_OF_CALL(name) #name,
static const char *const names[FAULTCALLS_COUNT] = { FAULTCALLS(NAME_OF_CALL) };

static atomic_int counts[FAULTCALLS_COUNT];
static atomic_size_t asked[FAULTCALLS_COUNT];
static _Thread_local enum faultcall last_call; /* of this thread, which is asked how many bytes it may move next */
static atomic_int countdown;
static atomic_int fault_call = -1, fault_error;
static atomic_bool fault_sticky;
static atomic_bool was_hit;
static atomic_size_t io_limit;

static int find_call(const char *name)
{
    for (int call = 0; call < FAULTCALLS_COUNT; call++) {
        if (strcmp(names[call], name) == 0)
            return call;
    }
    abort();
}

static void order(const char *name, int error, int nth, bool sticky)
{
    fault_call = -1;
    fault_error = error;
    fault_sticky = sticky;
    was_hit = false;
    countdown = nth;
    fault_call = find_call(name);
}

void faults_system_call(const char *name, int error, int nth)
{
    order(name, error, nth, false);
}

void faults_system_call_sticky(const char *name, int error, int nth)
{
    order(name, error, nth, true);
}

bool faults_hit(void)
{
    fault_call = -1;
    return was_hit;
}

void faults_short_io(size_t bytes)
{
    io_limit = bytes;
}

int faults_count(const char *name)
{
    return counts[find_call(name)];
}

void faults_count_reset(void)
{
    for (int call = 0; call < FAULTCALLS_COUNT; call++)
        counts[call] = 0;
}

size_t faults_asked(const char *name)
{
    return asked[find_call(name)];
}

int faultcalls_error(enum faultcall call)
{
    atomic_fetch_add(&counts[call], 1);
    last_call = call;
    if (fault_call != (int)call)
        return 0;
    int left = atomic_fetch_sub(&countdown, 1);
    if (left > 1 || (left < 1 && !fault_sticky))
        return 0;
    was_hit = true;
    return fault_error;
}

size_t faultcalls_limited(size_t size)
{
    asked[last_call] = size;
    return io_limit != 0 && size > io_limit ? io_limit : size;
}

/* Allocations. */

static atomic_long allocated, allocations;
static atomic_size_t allocated_bytes;
static atomic_int allocation_countdown;
static atomic_bool allocation_sticky;

static bool allocation_fails(void)
{
    if (allocation_countdown <= 0)
        return allocation_sticky && allocation_countdown < 0;
    if (atomic_fetch_sub(&allocation_countdown, 1) != 1)
        return false;
    if (allocation_sticky)
        allocation_countdown = -1;
    was_hit = true;
    return true;
}

static void *counted(void *memory)
{
    if (memory != NULL) {
        atomic_fetch_add(&allocated, 1);
        atomic_fetch_add(&allocated_bytes, faultcalls_block_size(memory));
    }
    return memory;
}

static void uncount(void *memory)
{
    if (memory == NULL)
        return;
    atomic_fetch_sub(&allocated, 1);
    atomic_fetch_sub(&allocated_bytes, faultcalls_block_size(memory));
}

static void *faulty_malloc(size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return allocation_fails() ? NULL : counted(malloc(size));
}

static void *faulty_realloc(void *memory, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    if (allocation_fails())
        return NULL;
    uncount(memory);
    return counted(realloc(memory, size));
}

static void faulty_free(void *memory)
{
    uncount(memory);
    free(memory);
}

static void set_faulty_allocator(void)
{
    ioalloc_set_functions(&(struct ioalloc_functions){ faulty_malloc, faulty_realloc, faulty_free });
}

static void use_faulty_allocator(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, set_faulty_allocator);
}

void faults_allocation(int nth, bool sticky)
{
    use_faulty_allocator();
    was_hit = false;
    allocation_sticky = sticky;
    allocation_countdown = nth;
}

long faults_allocated(void)
{
    use_faulty_allocator();
    return allocated;
}

long faults_allocations(void)
{
    use_faulty_allocator();
    return allocations;
}

size_t faults_allocated_bytes(void)
{
    use_faulty_allocator();
    return allocated_bytes;
}

void faults_end(void)
{
    fault_call = -1;
    io_limit = 0;
    allocation_countdown = 0;
    allocation_sticky = false;
}
