/* A loop at work: one turn, and turn after turn. */
#include <errno.h>
#include <stdatomic.h>

#include "ioloop/iolog.h"
#include "ioloop/loopstate.h"

#define LONGEST_WAIT INT64_C(60000000000) /* ns: a clock that was set, or a bug, heals after so long */

/* Around everything that is the program's: says so when it took too long. */
static int64_t start_of_callback(struct ioloop *loop)
{
    return loop->slow_callback != 0 ? loopstate_read_clock(loop) : 0;
}

static void end_of_callback(struct ioloop *loop, int64_t start, void (*callback)(void))
{
    if (loop->slow_callback == 0)
        return;
    int64_t took = loopstate_read_clock(loop) - start;
    if (took > loop->slow_callback)
        iolog_write(IOLOG_APPLICATION, IOLOG_WARNING, "a callback blocked the loop for %.3f s: %p", (double)took / 1e9,
                    (void *)(uintptr_t)callback);
}

/* Behind everything that is the program's: what it has put off by some seconds counts from here. */
static inline void settle_timeouts(struct ioloop *loop)
{
    if (__builtin_expect(loop->timeouts.delay_count > 0, false))
        loopstate_read_time(loop);
}

static void __attribute__((noinline)) call_watched(struct ioloop *loop, ioloop_callback_fn *callback, void *arg)
{
    int64_t start = loopstate_read_clock(loop);

    callback(arg);
    end_of_callback(loop, start, (void (*)(void))callback);
}

static inline void call(struct ioloop *loop, ioloop_callback_fn *callback, void *arg)
{
    if (loop->slow_callback == 0)
        callback(arg);
    else
        call_watched(loop, callback, arg);
    settle_timeouts(loop);
}

static inline void begin_tasks(struct loopstate_tasks *tasks)
{
    if (tasks->first == &loopstate_no_task)
        return;
    tasks->running = tasks->first;
    loopstate_clear_tasks(tasks);
}

static inline void run_begun_tasks(struct ioloop *loop, struct loopstate_tasks *tasks)
{
    while (tasks->running != &loopstate_no_task) {
        struct looptask *task = tasks->running;

        tasks->running = task->next;
        task->next = NULL;
        int64_t start = start_of_callback(loop);
        void (*run)(struct looptask *) = task->run; /* which may free the task */
        run(task);
        end_of_callback(loop, start, (void (*)(void))run);
        settle_timeouts(loop);
    }
}

void loopstate_run_first_tasks(struct ioloop *loop)
{
    begin_tasks(&loop->first_tasks);
    run_begun_tasks(loop, &loop->first_tasks);
}

void loopstate_run_tasks(struct ioloop *loop)
{
    begin_tasks(&loop->first_tasks);
    begin_tasks(&loop->tasks);
    run_begun_tasks(loop, &loop->first_tasks);
    run_begun_tasks(loop, &loop->tasks);
}

static void take_posted(struct ioloop *loop)
{
    if (!(atomic_load_explicit(&loop->asked, memory_order_relaxed) & POSTED) || !taskqueue_is_empty(&loop->taken))
        return;
    spinlock_lock(&loop->lock);
    taskqueue_exchange(&loop->taken, &loop->posted);
    atomic_fetch_and(&loop->asked, ~(unsigned)POSTED);
    spinlock_unlock(&loop->lock);
}

/* False in a child of fork() that one of the callbacks has called. */
static bool is_of_this_process(const struct ioloop *loop)
{
    return loop->forks == loopstate_forks;
}

/* At most so many that a storm of signals leaves time for the rest. There are fewer signals than that, so those left
 * over have come meanwhile, and have asked anew. */
static void run_signals(struct ioloop *loop)
{
    struct loopsignals_call due;

    for (unsigned i = 0; i < LOOPSIGNALS_RING && is_of_this_process(loop) && loopsignals_take(&loop->signals, &due);
         i++) {
        int64_t start = start_of_callback(loop);

        due.callback(due.signal_number, due.arg);
        end_of_callback(loop, start, (void (*)(void))due.callback);
        settle_timeouts(loop);
    }
}

static void run_from_signals(struct ioloop *loop)
{
    ioloop_callback_fn *callback;
    void *arg;

    atomic_fetch_and(&loop->asked, ~(unsigned)SIGNALLED);
    run_signals(loop);
    for (unsigned i = 0;
         i < LOOPSIGNALS_RING && is_of_this_process(loop) && loopsignals_pop(&loop->signals, &callback, &arg); i++)
        call(loop, callback, arg);
}

static void run_queue(struct ioloop *loop, struct taskqueue *queue)
{
    const struct taskqueue_entry *entry;

    while ((entry = taskqueue_next(queue)) != NULL)
        call(loop, entry->callback, entry->arg);
}

static void run_due_timeouts(struct ioloop *loop)
{
    ioloop_callback_fn *callback;
    void *arg;

    while (timeouts_next_due(&loop->timeouts, &callback, &arg))
        call(loop, callback, arg);
}

static void __attribute__((noinline))
call_handler_watched(struct ioloop *loop, struct handler handler, int fd, unsigned events)
{
    ioloop_handler_fn *function = loopstate_function_of(loop, &handler); /* it may be gone afterwards */
    int64_t start = loopstate_read_clock(loop);

    loop->functions.of[handler.function](fd, events, handler.arg);
    end_of_callback(loop, start, (void (*)(void))function);
}

/* Calls the handlers of the descriptors that are ready, and counts them if that is asked for.
 *
 * A handler may remove any handler, close any descriptor, and open new ones that get the number of one just closed. So
 * an event counts only for the registration it was fetched for: same descriptor, same generation. In a child of fork()
 * none is ready any more: they are the parent's. */
static inline __attribute__((always_inline)) void run_handlers(struct ioloop *loop, int *called)
{
    for (int i = 0; i < loop->ready_count; i++) {
        const struct poller_event *event = &loop->ready[i];

        if (event->fd < 0)
            continue;                                         /* a wake-up, which has done all it was for */
        struct handler *handler = &loop->handlers[event->fd]; /* the table never shrinks */
        if (handler->generation != event->generation)
            continue;
        unsigned events = event->events & handler->told;
        if (events == 0)
            continue;
        if (called != NULL)
            ++*called;
        if (loop->slow_callback == 0)
            loop->functions.of[handler->function](event->fd, events, handler->arg);
        else
            call_handler_watched(loop, *handler, event->fd, events);
        settle_timeouts(loop);
    }
}

static bool has_something_to_run(const struct ioloop *loop)
{
    return loop->added || atomic_load(&loop->asked) != 0;
}

/* How long it is until the next timeout, in nanoseconds; 0: it is due; negative: there is none. */
static int64_t __attribute__((noinline)) next_timeout(struct ioloop *loop)
{
    int64_t next = timeouts_next(&loop->timeouts);

    if (next == INT64_MAX)
        return -1;
    int64_t now = loopstate_read_time(loop);
    if (next <= now)
        return 0;
    uint64_t wait = (uint64_t)next - (uint64_t)now; /* a clock may start far below 0 */
    return wait < LONGEST_WAIT ? (int64_t)wait : LONGEST_WAIT;
}

/* How long the poller may wait; 0: there is something to do before.
 *
 * Others that add something look at sleeping after they have added it; the loop looks at what was added after it has
 * set sleeping. So one of the two sees the other, and nothing is added unseen while the loop sleeps. */
static inline __attribute__((always_inline)) int64_t longest_wait(struct ioloop *loop)
{
    if (loop->added)
        return 0;
    atomic_store(&loop->sleeping, true);
    if (atomic_load(&loop->asked) != 0)
        return 0;
    return loop->timeouts.live > 0 ? next_timeout(loop) : -1;
}

/* Seen late it costs one wake-up, no more. */
static inline void stay_awake(struct ioloop *loop)
{
    atomic_store_explicit(&loop->sleeping, false, memory_order_relaxed);
}

static inline bool is_asked_to_end(struct ioloop *loop)
{
    return (atomic_load_explicit(&loop->asked, memory_order_relaxed) & (STOPPING | FORKED)) != 0;
}

/* All that is due in this turn but the descriptors. Those callbacks run that were there when it began. Not inlined, as
 * others here: the turn of a busy loop, which calls none of them, is short then. */
static void __attribute__((noinline)) run_what_is_due(struct ioloop *loop)
{
    loop->front.knows_now = false;
    if (timeouts_next(&loop->timeouts) != INT64_MAX)
        timeouts_collect_due(&loop->timeouts, loopstate_read_time(loop));
    loop->added = false;
    if (taskqueue_is_empty(&loop->due))
        taskqueue_exchange(&loop->due, &loop->callbacks);
    else
        loop->added = true; /* in a child of fork(), whose parent was in the middle of them */
    take_posted(loop);
    if (loopstate_has_tasks(loop))
        loopstate_run_tasks(loop);
    run_queue(loop, &loop->due);
    run_queue(loop, &loop->taken);
    if ((atomic_load_explicit(&loop->asked, memory_order_relaxed) & (SIGNALLED | FORKED)) == SIGNALLED)
        run_from_signals(loop);
    run_due_timeouts(loop);
}

/* One turn, in Tornado's order; docs/architecture.md tells it step by step. limit: how long it may wait, in nanoseconds;
 * negative: for as long as it takes. called may be NULL. */
static inline __attribute__((always_inline)) int run_iteration(struct ioloop *loop, int64_t limit, int *called)
{
    int64_t wait = longest_wait(loop);

    if (wait == 0) {
        stay_awake(loop);
        run_what_is_due(loop);
        if (is_asked_to_end(loop))
            return 0;
        wait = longest_wait(loop);
    }
    if (limit >= 0 && (wait < 0 || wait > limit))
        wait = limit;
    int count = poller_wait(loop->poller, loop->ready, READY_EVENTS, wait);
    stay_awake(loop);
    loop->front.knows_now = false;
    loop->has_waited = true;
    if (count < 0)
        return count;
    loop->ready_count = count;
    run_handlers(loop, called);
    return 0;
}

static int begin_running(struct ioloop *loop)
{
    int error = loopstate_check(loop);

    if (error == 0 && (loop->running || (loopstate_running != NULL && loopstate_running->forks == loopstate_forks)))
        error = -EBUSY;
    if (error < 0)
        return error;
    loop->running = true;
    loopstate_running = loop;
    stay_awake(loop); /* ioloop_next_timeout may have begun it */
    return 0;
}

/* Answers the result of the turns, or what has come between. */
static int end_running(struct ioloop *loop, int result)
{
    if (loop->forks != loopstate_forks)
        result = -ESTALE;
    atomic_fetch_and(&loop->asked, ~(unsigned)STOPPING);
    loop->running = false;
    loop->front.knows_now = false;
    loopstate_running = NULL;
    if (loop->closing)
        loopstate_close(loop);
    return result;
}

int ioloop_start(struct ioloop *loop)
{
    int result = begin_running(loop);

    if (result < 0)
        return result;
    while (!is_asked_to_end(loop)) {
        result = run_iteration(loop, -1, NULL);
        if (result < 0)
            break;
    }
    return end_running(loop, result);
}

int ioloop_run_once(struct ioloop *loop, double timeout)
{
    int called = 0;

    if (__builtin_isnan(timeout))
        return -EINVAL;
    int result = begin_running(loop);
    if (result < 0)
        return result;
    result = run_iteration(loop, timeout < 0 ? -1 : loopstate_nanoseconds(timeout), &called);
    return end_running(loop, result < 0 ? result : called);
}

int ioloop_fd(const struct ioloop *loop)
{
    return loop->closing ? -EBADF : poller_fd(loop->poller);
}

/* The program is about to wait for ioloop_fd: from here on that has to be woken, as in longest_wait. */
double ioloop_next_timeout(struct ioloop *loop)
{
    if (!loop->running)
        atomic_store(&loop->sleeping, true);
    if (has_something_to_run(loop))
        return 0;
    settle_timeouts(loop); /* asked from a callback */
    int64_t next = timeouts_next(&loop->timeouts);
    double wait = next == INT64_MAX ? -1 : (double)loopstate_until(loop, next) / 1e9;
    loop->has_waited = true;
    return wait;
}
