/* bench.h on libev. It has no call_soon: a task is an idle watcher that is started, and stops itself. (What a queue of
 * the program's own would cost, behind one such watcher, is the limit's row.) For idle timeouts its manual has several
 * ways; this is ev_timer_again, the one that is a single call. */
#include "bench.h"
#include "idletimer.h"

#include <ev.h>
#include <stdio.h>

#include "postlist.h"

struct timer {
    ev_timer timer;
    bench_fn *callback;
    void *arg;
};

struct task {
    ev_idle idle;
    bench_fn *callback;
    void *arg;
};

struct watch {
    ev_io io;
    bench_fn *callback;
    void *arg;
};

const size_t bench_timer_size = sizeof(struct timer);
const size_t bench_task_size = sizeof(struct task);
const size_t bench_watch_size = sizeof(struct watch);
const size_t bench_idle_size = sizeof(struct timer);

static struct ev_loop *loop;
static ev_async wake_up;
static struct postlist posted = { .lock = PTHREAD_MUTEX_INITIALIZER };

const char *bench_version(void)
{
    static char text[64];

    snprintf(text, sizeof text, "libev %d.%d", ev_version_major(), ev_version_minor());
    return text;
}

static void on_wake_up(struct ev_loop *in, ev_async *watcher, int events)
{
    (void)in, (void)watcher, (void)events;
    postlist_run(&posted);
}

void bench_open(void)
{
    loop = ev_loop_new(EVBACKEND_EPOLL);
    if (loop == NULL)
        abort();
    ev_async_init(&wake_up, on_wake_up);
    ev_async_start(loop, &wake_up);
}

void bench_run(void)
{
    ev_run(loop, 0);
}

void bench_stop(void)
{
    ev_break(loop, EVBREAK_ONE);
}

void bench_settle(void)
{
    ev_run(loop, EVRUN_NOWAIT);
}

static void on_timer(struct ev_loop *in, ev_timer *watcher, int events)
{
    struct timer *timer = (struct timer *)watcher;

    (void)in, (void)events;
    timer->callback(timer->arg);
}

void bench_timer_init(void *memory, bench_fn *callback, void *arg)
{
    struct timer *timer = memory;

    timer->callback = callback;
    timer->arg = arg;
    ev_timer_init(&timer->timer, on_timer, 0, 0);
}

void bench_timer_start(void *timer, double seconds)
{
    ev_timer_set((ev_timer *)timer, seconds, 0);
    ev_timer_start(loop, timer);
}

void bench_timer_again(void *timer, double seconds)
{
    ((ev_timer *)timer)->repeat = seconds;
    ev_timer_again(loop, timer);
}

void bench_timer_stop(void *timer)
{
    ev_timer_stop(loop, timer);
}

static void run_task(struct ev_loop *in, ev_idle *watcher, int events)
{
    struct task *task = (struct task *)watcher;

    (void)events;
    ev_idle_stop(in, watcher);
    task->callback(task->arg);
}

void bench_task_init(void *memory, bench_fn *callback, void *arg)
{
    struct task *task = memory;

    task->callback = callback;
    task->arg = arg;
    ev_idle_init(&task->idle, run_task);
}

void bench_call_soon(void *task)
{
    ev_idle_start(loop, task);
}

static void on_readable(struct ev_loop *in, ev_io *watcher, int events)
{
    struct watch *watch = (struct watch *)watcher;

    (void)in, (void)events;
    watch->callback(watch->arg);
}

void bench_watch(void *memory, int fd, bench_fn *callback, void *arg)
{
    struct watch *watch = memory;

    watch->callback = callback;
    watch->arg = arg;
    ev_io_init(&watch->io, on_readable, fd, EV_READ);
    ev_io_start(loop, &watch->io);
}

void bench_unwatch(void *watch)
{
    ev_io_stop(loop, watch);
}

void bench_post(bench_fn *callback, void *arg)
{
    if (postlist_add(&posted, callback, arg))
        ev_async_send(loop, &wake_up);
}
