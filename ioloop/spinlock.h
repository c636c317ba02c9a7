/* Internal: spinlock.h, a lock for what is over soon (a few instructions, at most one system call), and which threads
 * seldom want at the same time.
 *
 * Taking it is one atomic exchange and giving it back a plain store, half of what a mutex costs. Who finds it taken
 * looks on, since to sleep and be woken takes a hundred times as long as what the lock is mostly held for. Whoever had
 * to look on for long gives way, at last by sleeping: the thread that holds it was interrupted, and may be of a lower
 * priority.
 *
 * Zeroed memory is a free one. Not for signal handlers. */
#ifndef IOLOOP_SPINLOCK_H
#define IOLOOP_SPINLOCK_H

#include <stdatomic.h>
#include <stdbool.h>

struct spinlock {
    atomic_bool taken;
};

/* Returns when it looked free. */
void spinlock_wait(const struct spinlock *lock);

static inline void spinlock_lock(struct spinlock *lock)
{
    while (atomic_exchange_explicit(&lock->taken, true, memory_order_acquire))
        spinlock_wait(lock);
}

static inline void spinlock_unlock(struct spinlock *lock)
{
    atomic_store_explicit(&lock->taken, false, memory_order_release);
}

#endif
