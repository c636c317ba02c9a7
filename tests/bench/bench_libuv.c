/* bench.h on libuv. It has no call_soon: a task is an idle handle that is started, and stops itself. (What a queue of
 * the program's own would cost, behind one such handle, is the limit's row.) */
#include "bench.h"
#include "idletimer.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "postlist.h"

struct timer {
    uv_timer_t timer;
    bench_fn *callback;
    void *arg;
};

struct task {
    uv_idle_t idle;
    bench_fn *callback;
    void *arg;
};

struct watch {
    uv_poll_t poll;
    bench_fn *callback;
    void *arg;
};

const size_t bench_timer_size = sizeof(struct timer);
const size_t bench_task_size = sizeof(struct task);
const size_t bench_watch_size = sizeof(struct watch);
const size_t bench_idle_size = sizeof(struct timer);

static uv_loop_t loop;
static uv_async_t wake_up;
static struct postlist posted = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void check(int result)
{
    if (result < 0)
        abort();
}

const char *bench_version(void)
{
    static char text[64];

    snprintf(text, sizeof text, "libuv %s", uv_version_string());
    return text;
}

static void on_wake_up(uv_async_t *handle)
{
    (void)handle;
    postlist_run(&posted);
}

void bench_open(void)
{
    check(uv_loop_init(&loop));
    check(uv_async_init(&loop, &wake_up, on_wake_up));
}

void bench_run(void)
{
    uv_run(&loop, UV_RUN_DEFAULT);
}

void bench_stop(void)
{
    uv_stop(&loop);
}

void bench_settle(void)
{
    uv_run(&loop, UV_RUN_NOWAIT);
}

static void on_timer(uv_timer_t *handle)
{
    struct timer *timer = (struct timer *)handle;

    timer->callback(timer->arg);
}

void bench_timer_init(void *memory, bench_fn *callback, void *arg)
{
    struct timer *timer = memory;

    timer->callback = callback;
    timer->arg = arg;
    check(uv_timer_init(&loop, &timer->timer));
}

void bench_timer_start(void *timer, double seconds)
{
    check(uv_timer_start(timer, on_timer, (uint64_t)(seconds * 1e3), 0));
}

void bench_timer_again(void *timer, double seconds)
{
    bench_timer_start(timer, seconds);
}

void bench_timer_stop(void *timer)
{
    check(uv_timer_stop(timer));
}

static void run_task(uv_idle_t *handle)
{
    struct task *task = (struct task *)handle;

    uv_idle_stop(handle);
    task->callback(task->arg);
}

void bench_task_init(void *memory, bench_fn *callback, void *arg)
{
    struct task *task = memory;

    task->callback = callback;
    task->arg = arg;
    check(uv_idle_init(&loop, &task->idle));
}

void bench_call_soon(void *task)
{
    check(uv_idle_start(task, run_task));
}

static void on_readable(uv_poll_t *handle, int status, int events)
{
    struct watch *watch = (struct watch *)handle;

    (void)status, (void)events;
    watch->callback(watch->arg);
}

void bench_watch(void *memory, int fd, bench_fn *callback, void *arg)
{
    struct watch *watch = memory;

    watch->callback = callback;
    watch->arg = arg;
    check(uv_poll_init(&loop, &watch->poll, fd));
    check(uv_poll_start(&watch->poll, UV_READABLE, on_readable));
}

void bench_unwatch(void *watch)
{
    uv_close(watch, NULL);
}

void bench_post(bench_fn *callback, void *arg)
{
    if (postlist_add(&posted, callback, arg))
        uv_async_send(&wake_up);
}
