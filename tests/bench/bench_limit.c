/* bench.h on the kernel and nothing else: epoll, an eventfd, a heap of timers, a queue. What is left out is what makes
 * a library: no handler may be removed while another one runs, nothing is checked, nothing can fail. */
#include "bench.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "postlist.h"

#define EVENTS 512

struct timer {
    size_t place; /* in the heap */
    bench_fn *callback;
    void *arg;
};

struct node {
    int64_t deadline;
    struct timer *timer;
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

struct idle {
    int64_t touched;
    double seconds;
};

const size_t bench_timer_size = sizeof(struct timer);
const size_t bench_task_size = sizeof(struct task);
const size_t bench_watch_size = sizeof(struct watch);
const size_t bench_idle_size = sizeof(struct idle);

static int queue, wake_up;
static bool stopping;
static int64_t now;
static struct node *heap;
static size_t heap_count, heap_capacity;
static struct task *tasks, *running;
static size_t task_count, task_capacity, running_capacity;
static struct postlist posted = { .lock = PTHREAD_MUTEX_INITIALIZER };
static struct watch waker;

static void *resize(void *memory, size_t count, size_t size)
{
    void *resized = realloc(memory, count * size);

    if (resized == NULL)
        abort();
    return resized;
}

static void check(bool fine)
{
    if (!fine)
        abort();
}

static int64_t read_clock(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

const char *bench_version(void)
{
    return "limit: epoll, a heap, a queue";
}

static void on_wake_up(void *arg)
{
    uint64_t value;

    (void)arg;
    if (read(wake_up, &value, sizeof value) == sizeof value)
        postlist_run(&posted);
}

void bench_open(void)
{
    queue = epoll_create1(0);
    wake_up = eventfd(0, EFD_NONBLOCK);
    bench_watch(&waker, wake_up, on_wake_up, NULL);
    now = read_clock();
}

/* Timers. */

static void put(size_t place, struct node node)
{
    heap[place] = node;
    node.timer->place = place;
}

static void sift_up(size_t place, struct node node)
{
    while (place > 0 && heap[(place - 1) / 4].deadline > node.deadline) {
        put(place, heap[(place - 1) / 4]);
        place = (place - 1) / 4;
    }
    put(place, node);
}

static void sift_down(size_t place, struct node node)
{
    for (size_t first; (first = 4 * place + 1) < heap_count;) {
        size_t end = first + 4 < heap_count ? first + 4 : heap_count, least = first;

        for (size_t child = first + 1; child < end; child++) {
            if (heap[child].deadline < heap[least].deadline)
                least = child;
        }
        if (heap[least].deadline >= node.deadline)
            break;
        put(place, heap[least]);
        place = least;
    }
    put(place, node);
}

static void move(size_t place, struct node node)
{
    if (place > 0 && heap[(place - 1) / 4].deadline > node.deadline)
        sift_up(place, node);
    else
        sift_down(place, node);
}

static int64_t from_now(double seconds)
{
    return read_clock() + (int64_t)(seconds * 1e9);
}

void bench_timer_init(void *timer, bench_fn *callback, void *arg)
{
    *(struct timer *)timer = (struct timer){ 0, callback, arg };
}

void bench_timer_start(void *timer, double seconds)
{
    if (heap_count == heap_capacity) {
        heap_capacity = heap_capacity != 0 ? 2 * heap_capacity : 64;
        heap = resize(heap, heap_capacity, sizeof *heap);
    }
    heap_count++;
    sift_up(heap_count - 1, (struct node){ from_now(seconds), timer });
}

void bench_timer_again(void *memory, double seconds)
{
    struct timer *timer = memory;

    move(timer->place, (struct node){ from_now(seconds), timer });
}

void bench_timer_stop(void *memory)
{
    struct timer *timer = memory;
    struct node last = heap[--heap_count];

    if (last.timer != timer)
        move(timer->place, last);
}

static void fire_timers(void)
{
    if (heap_count == 0)
        return;
    now = read_clock();
    while (heap_count > 0 && heap[0].deadline <= now && !stopping) {
        struct timer *timer = heap[0].timer;
        bench_timer_stop(timer);
        timer->callback(timer->arg);
    }
}

/* Tasks. */

void bench_task_init(void *task, bench_fn *callback, void *arg)
{
    *(struct task *)task = (struct task){ callback, arg };
}

void bench_call_soon(void *task)
{
    if (task_count == task_capacity) {
        task_capacity = task_capacity != 0 ? 2 * task_capacity : 64;
        tasks = resize(tasks, task_capacity, sizeof *tasks);
    }
    tasks[task_count++] = *(struct task *)task;
}

static void run_tasks(void)
{
    struct task *taken = tasks;
    size_t count = task_count, capacity = task_capacity;

    tasks = running;
    task_capacity = running_capacity;
    task_count = 0;
    for (size_t i = 0; i < count; i++)
        taken[i].callback(taken[i].arg);
    running = taken;
    running_capacity = capacity;
}

/* Descriptors. */

void bench_watch(void *memory, int fd, bench_fn *callback, void *arg)
{
    struct watch *watch = memory;
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = watch };

    *watch = (struct watch){ fd, callback, arg };
    check(epoll_ctl(queue, EPOLL_CTL_ADD, fd, &event) == 0);
}

void bench_unwatch(void *memory)
{
    struct watch *watch = memory;

    check(epoll_ctl(queue, EPOLL_CTL_DEL, watch->fd, NULL) == 0);
}

void bench_post(bench_fn *callback, void *arg)
{
    if (postlist_add(&posted, callback, arg))
        check(write(wake_up, &(uint64_t){ 1 }, sizeof(uint64_t)) == sizeof(uint64_t));
}

/* Running. */

static int longest_wait(void)
{
    if (task_count > 0)
        return 0;
    if (heap_count == 0)
        return -1;
    now = read_clock();
    return heap[0].deadline <= now ? 0 : (int)((heap[0].deadline - now + 999999) / 1000000);
}

static void run_turn(int milliseconds)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(queue, events, EVENTS, milliseconds);

    for (int i = 0; i < count; i++) {
        struct watch *watch = events[i].data.ptr;
        watch->callback(watch->arg);
    }
    fire_timers();
    run_tasks();
}

void bench_run(void)
{
    for (stopping = false; !stopping;)
        run_turn(longest_wait());
}

void bench_stop(void)
{
    stopping = true;
}

void bench_settle(void)
{
    run_turn(0);
}

/* A store: whoever looks for idle connections now and then compares. */

void bench_idle_init(void *idle, double seconds)
{
    *(struct idle *)idle = (struct idle){ now, seconds };
}

void bench_idle_touch(void *idle, double seconds)
{
    (void)seconds;
    ((struct idle *)idle)->touched = now;
}
