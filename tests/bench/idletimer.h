/* idletimer.h: bench_idle_… by a timer that is started anew each time, for loops that have nothing of their own for it.
 * Included by bench_<loop>.c. */
#ifndef IDLETIMER_H
#define IDLETIMER_H

#include "bench.h"

static void on_idle(void *arg)
{
    (void)arg;
}

void bench_idle_init(void *idle, double seconds)
{
    bench_timer_init(idle, on_idle, NULL);
    bench_timer_start(idle, seconds);
}

void bench_idle_touch(void *idle, double seconds)
{
    bench_timer_again(idle, seconds);
}

#endif
