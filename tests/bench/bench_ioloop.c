/* bench.h on this library. Timers need no memory of the program's but their id. */
#include "bench.h"

#include <stdint.h>
#include <stdlib.h>

#include "ioloop/deadlines.h"
#include "ioloop/ioloop.h"

struct timer {
    uint64_t id;
    bench_fn *callback;
    void *arg;
};

struct task {
    bench_fn *callback;
    void *arg;
};

struct watch {
    int fd;
    bench_fn *callback;
    void *arg;
};

const size_t bench_timer_size = sizeof(struct timer);
const size_t bench_task_size = sizeof(struct task);
const size_t bench_watch_size = sizeof(struct watch);
const size_t bench_idle_size = sizeof(struct deadline);

static struct ioloop *loop;

static void check(int result)
{
    if (result < 0)
        abort();
}

const char *bench_version(void)
{
    return "ioloop of this tree";
}

void bench_open(void)
{
    loop = ioloop_current();
    if (loop == NULL)
        abort();
}

void bench_run(void)
{
    check(ioloop_start(loop));
}

void bench_stop(void)
{
    ioloop_stop(loop);
}

void bench_settle(void)
{
    check(ioloop_run_once(loop, 0));
}

void bench_timer_init(void *timer, bench_fn *callback, void *arg)
{
    *(struct timer *)timer = (struct timer){ 0, callback, arg };
}

void bench_timer_start(void *memory, double seconds)
{
    struct timer *timer = memory;

    timer->id = ioloop_call_later(loop, seconds, timer->callback, timer->arg);
    if (timer->id == 0)
        abort();
}

void bench_timer_stop(void *memory)
{
    struct timer *timer = memory;

    ioloop_remove_timeout(loop, timer->id);
}

void bench_timer_again(void *memory, double seconds)
{
    struct timer *timer = memory;

    timer->id = ioloop_replace_timeout(loop, timer->id, seconds, timer->callback, timer->arg);
    if (timer->id == 0)
        abort();
}

void bench_task_init(void *task, bench_fn *callback, void *arg)
{
    *(struct task *)task = (struct task){ callback, arg };
}

void bench_call_soon(void *memory)
{
    struct task *task = memory;

    check(ioloop_add_callback(loop, task->callback, task->arg));
}

static void on_readable(int fd, unsigned events, void *arg)
{
    struct watch *watch = arg;

    (void)fd, (void)events;
    watch->callback(watch->arg);
}

void bench_watch(void *memory, int fd, bench_fn *callback, void *arg)
{
    struct watch *watch = memory;

    *watch = (struct watch){ fd, callback, arg };
    check(ioloop_add_handler(loop, fd, on_readable, watch, IOLOOP_READ));
}

void bench_unwatch(void *memory)
{
    struct watch *watch = memory;

    ioloop_remove_handler(loop, watch->fd);
}

void bench_post(bench_fn *callback, void *arg)
{
    check(ioloop_add_callback(loop, callback, arg));
}

static void on_idle(struct deadline *deadline)
{
    (void)deadline;
}

void bench_idle_init(void *idle, double seconds)
{
    check(deadline_set(loop, idle, seconds, on_idle));
}

void bench_idle_touch(void *idle, double seconds)
{
    (void)seconds;
    deadline_touch(idle, deadline_now(loop));
}
