/* bench.h on libevent. call_soon is a timeout of no time: an event made active by hand would be cheaper, but runs in
 * the same turn, and a chain of them would keep the loop from its descriptors. */
#include "bench.h"
#include "idletimer.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/thread.h>
#include <stdio.h>

#include "postlist.h"

struct item {
    struct event event;
    bench_fn *callback;
    void *arg;
};

const size_t bench_timer_size = sizeof(struct item);
const size_t bench_task_size = sizeof(struct item);
const size_t bench_watch_size = sizeof(struct item);
const size_t bench_idle_size = sizeof(struct item);

static struct event_base *base;
static struct event wake_up;
static struct postlist posted = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void check(int result)
{
    if (result < 0)
        abort();
}

const char *bench_version(void)
{
    static char text[64];

    snprintf(text, sizeof text, "libevent %s", event_get_version());
    return text;
}

static void call_item(evutil_socket_t fd, short what, void *arg)
{
    struct item *item = arg;

    (void)fd, (void)what;
    item->callback(item->arg);
}

static void on_wake_up(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg;
    postlist_run(&posted);
}

void bench_open(void)
{
    check(evthread_use_pthreads());
    base = event_base_new();
    if (base == NULL)
        abort();
    check(event_assign(&wake_up, base, -1, EV_PERSIST, on_wake_up, NULL));
}

void bench_run(void)
{
    check(event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY));
}

void bench_stop(void)
{
    event_base_loopbreak(base);
}

void bench_settle(void)
{
    check(event_base_loop(base, EVLOOP_NONBLOCK));
}

static void init_item(void *memory, int fd, short what, bench_fn *callback, void *arg)
{
    struct item *item = memory;

    item->callback = callback;
    item->arg = arg;
    check(event_assign(&item->event, base, fd, what, call_item, item));
}

void bench_timer_init(void *timer, bench_fn *callback, void *arg)
{
    init_item(timer, -1, 0, callback, arg);
}

void bench_timer_start(void *timer, double seconds)
{
    struct timeval interval = { (time_t)seconds, (suseconds_t)((seconds - (double)(time_t)seconds) * 1e6) };

    check(event_add(&((struct item *)timer)->event, &interval));
}

void bench_timer_again(void *timer, double seconds)
{
    bench_timer_start(timer, seconds);
}

void bench_timer_stop(void *timer)
{
    check(event_del(&((struct item *)timer)->event));
}

void bench_task_init(void *task, bench_fn *callback, void *arg)
{
    init_item(task, -1, 0, callback, arg);
}

void bench_call_soon(void *task)
{
    bench_timer_start(task, 0);
}

void bench_watch(void *watch, int fd, bench_fn *callback, void *arg)
{
    init_item(watch, fd, EV_READ | EV_PERSIST, callback, arg);
    check(event_add(&((struct item *)watch)->event, NULL));
}

void bench_unwatch(void *watch)
{
    check(event_del(&((struct item *)watch)->event));
}

void bench_post(bench_fn *callback, void *arg)
{
    if (postlist_add(&posted, callback, arg))
        event_active(&wake_up, EV_READ, 1);
}
