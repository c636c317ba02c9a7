#include "ioloop/spinlock.h"

#include <sched.h>
#include <time.h>

#define LOOKS  100 /* some ten times as long as the lock is mostly held */
#define YIELDS 20

void spinlock_wait(const struct spinlock *lock)
{
    static const struct timespec pause = { 0, 50000 };

    for (int i = 0; atomic_load_explicit(&lock->taken, memory_order_relaxed); i++) {
        if (i >= LOOKS + YIELDS)
            nanosleep(&pause, NULL);
        else if (i >= LOOKS)
            sched_yield();
    }
}
