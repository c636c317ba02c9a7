/* bench.h: what bench.c asks of an event loop. bench_<loop>.c answers it, in the way that loop wants to be used.
 *
 *     bench_timer_init(timer, on_timer, NULL);     // bench_timer_size bytes, zeroed
 *     bench_timer_start(timer, 1.5);
 *     bench_run();
 *
 * Memory: timers, tasks and watches live in memory of bench.c's, as they would in a program's own objects. It is never
 * given back while the program runs.
 * Errors: what fails ends the program. Threads: only bench_post may be called from another one. Units: seconds. */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>

typedef void bench_fn(void *arg);

extern const size_t bench_timer_size, bench_task_size, bench_watch_size, bench_idle_size;

/* The name and version of the library. */
const char *bench_version(void);

void bench_open(void);

/* Runs until a callback calls bench_stop. */
void bench_run(void);
void bench_stop(void);

/* One turn that does not wait: what the loop has put off is done after it. */
void bench_settle(void);

/* One shot. */
void bench_timer_init(void *timer, bench_fn *callback, void *arg);
void bench_timer_start(void *timer, double seconds);
void bench_timer_again(void *timer, double seconds); /* one that is started: from now on */
void bench_timer_stop(void *timer);

/* Runs the task in the next turn. */
void bench_task_init(void *task, bench_fn *callback, void *arg);
void bench_call_soon(void *task);

/* Calls back while there is something to read. */
void bench_watch(void *watch, int fd, bench_fn *callback, void *arg);
void bench_unwatch(void *watch);

/* Runs the callback on the loop's thread. */
void bench_post(bench_fn *callback, void *arg);

/* A timeout of a connection that nothing has come from for so long, and the news that something has come. seconds is
 * the same for all, and grows a little: the loop does not run meanwhile, and its clock may stand still. */
void bench_idle_init(void *idle, double seconds);
void bench_idle_touch(void *idle, double seconds);

#endif
