/* Internal: fuzzloop.h, for fuzz targets with a loop: its clock, which stands still until the target moves it, numbers
 * that are the same in each run of an input, and no logs. */
#ifndef TESTS_FUZZ_FUZZLOOP_H
#define TESTS_FUZZ_FUZZLOOP_H

#include "ioloop/iolog.h"
#include "tests/fuzz/fuzz.h"

static double now = 100;

static inline double read_clock(void *arg)
{
    return now;
}

/* What the programs do is drawn from here. */
static uint32_t seed;

static inline uint32_t draw(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 16) % below;
}

static inline void say_nothing(enum iolog_channel channel, enum iolog_level level, const char *text, void *arg)
{
}

#endif
