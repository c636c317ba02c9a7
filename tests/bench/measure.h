/* measure.h: clocks, processors and descriptors of the programs that measure and are measured. */
#ifndef MEASURE_H
#define MEASURE_H

#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static inline double measure_clock(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static inline double measure_time(void)
{
    return measure_clock(CLOCK_MONOTONIC);
}

/* Seconds of processor time of all threads. */
static inline double measure_cpu(void)
{
    return measure_clock(CLOCK_PROCESS_CPUTIME_ID);
}

/* Keeps this thread on the n-th of the processors that the process could use at the first call. Where there are not so
 * many nothing is changed. */
static inline void measure_on_cpu(int n)
{
    static cpu_set_t allowed;
    static int count = -1;
    cpu_set_t one;

    if (count < 0)
        count = sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : 0;
    if (n >= count)
        return;
    CPU_ZERO(&one);
    for (unsigned cpu = 0, found = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &allowed) && found++ == (unsigned)n)
            CPU_SET(cpu, &one);
    }
    sched_setaffinity(0, sizeof one, &one);
}

/* As many descriptors as the process may have; answers how many. */
static inline rlim_t measure_raise_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

_Noreturn static inline void measure_fail(const char *what)
{
    perror(what);
    exit(1);
}

/* The same numbers in each program and each run (xorshift). */
static inline uint32_t measure_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    return *state ^= *state << 5;
}

#endif
