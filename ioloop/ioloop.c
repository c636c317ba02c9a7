#include "ioloop/ioloop.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "ioloop/deadlines.h"
#include "ioloop/ioalloc.h"
#include "ioloop/iolog.h"
#include "ioloop/loopstate.h"

_Thread_local struct ioloop *loopstate_running __attribute__((tls_model("initial-exec")));
unsigned loopstate_forks;
struct looptask loopstate_no_task;

static _Thread_local struct ioloop *current_loop;

/* Tasks that a turn has not come to are left for the next one. */
static void put_back_tasks(struct loopstate_tasks *tasks)
{
    struct looptask **end = &tasks->running;

    if (*end == &loopstate_no_task)
        return;
    while (*end != &loopstate_no_task)
        end = &(*end)->next;
    *end = tasks->first;
    if (*end == &loopstate_no_task)
        tasks->last = end;
    tasks->first = tasks->running;
    tasks->running = &loopstate_no_task;
}

/* What a consumer has written is for the parent to send. */
static void drop_cork(struct loopfront_cork *cork)
{
    loopfront_clear_cork(cork);
    cork->owner = NULL;
}

/* In a child of fork() that a callback has called: the turn ends here, with nothing left to do. So the functions that
 * run a turn, which look at what there is again after each callback, need not ask about forks. */
static void leave_turn_to_parent(struct ioloop *loop)
{
    taskqueue_exchange(&loop->due, &loop->left.due);
    taskqueue_exchange(&loop->taken, &loop->left.taken);
    loop->left.timeouts = timeouts_put_off_due(&loop->timeouts);
    loop->ready_count = 0;
    put_back_tasks(&loop->first_tasks);
    put_back_tasks(&loop->tasks);
    drop_cork(&loop->front.cork);
    atomic_fetch_or(&loop->asked, FORKED | SIGNALLED); /* SIGNALLED: it may have been in the middle of those */
}

static void count_fork(void)
{
    bool was_own = loopstate_running != NULL && loopstate_running->forks == loopstate_forks;

    loopstate_forks++;
    loopsignals_forked();
    if (was_own)
        leave_turn_to_parent(loopstate_running);
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, count_fork);
}

/* Times. */

int64_t loopstate_nanoseconds(double seconds)
{
    double nanoseconds = seconds * 1e9;

    if (nanoseconds >= 9.2e18)
        return INT64_MAX;
    if (nanoseconds <= -9.2e18)
        return INT64_MIN;
    return (int64_t)(nanoseconds + __builtin_copysign(0.5, nanoseconds));
}

double ioloop_time(struct ioloop *loop)
{
    return (double)loopstate_read_time(loop) / 1e9;
}

/* A clock may start so far below 0 that the difference is more than there are nanoseconds. */
int64_t loopstate_until(struct ioloop *loop, int64_t deadline)
{
    int64_t left;

    if (__builtin_sub_overflow(deadline, loopstate_read_time(loop), &left))
        return deadline < 0 ? 0 : INT64_MAX;
    return left > 0 ? left : 0;
}

/* Life. */

int loopstate_check(const struct ioloop *loop)
{
    if (loop->closing)
        return -EBADF;
    if (loop->forks != loopstate_forks)
        return -ESTALE;
    assert(!loop->running || loopstate_running == loop); /* called from a thread that does not run this loop */
    return 0;
}

static bool take_place_as_current(struct ioloop *loop, enum ioloop_make_current wanted)
{
    bool is_taken = ioloop_current_if_any() != NULL;

    if (wanted == IOLOOP_CURRENT_ALWAYS && is_taken)
        return errno = EBUSY, false;
    if (wanted != IOLOOP_CURRENT_NEVER && !is_taken)
        current_loop = loop;
    return true;
}

struct ioloop *ioloop_new(const struct ioloop_options *options)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static const struct ioloop_options defaults;
    struct ioloop *loop = ioalloc_zeroed(sizeof *loop);

    if (loop == NULL)
        return errno = ENOMEM, NULL;
    if (options == NULL)
        options = &defaults;
    pthread_once(&once, watch_forks);
    loop->poller = poller_new();
    if (loop->poller == NULL || !take_place_as_current(loop, options->make_current)) {
        int error = errno;
        if (loop->poller != NULL)
            poller_free(loop->poller);
        ioalloc_free(loop);
        return errno = error, NULL;
    }
    loopstate_clear_tasks(&loop->tasks);
    loopstate_clear_tasks(&loop->first_tasks);
    loop->tasks.running = loop->first_tasks.running = &loopstate_no_task;
    loop->forks = loopstate_forks;
    loop->has_waited = true;
    loop->clock = options->clock;
    loop->clock_arg = options->clock_arg;
    loop->slow_callback = options->slow_callback > 0 ? loopstate_nanoseconds(options->slow_callback) : 0;
    atomic_init(&loop->holders, 1);
    loopsignals_init(&loop->signals);
    return loop;
}

struct ioloop *ioloop_current_if_any(void)
{
    return loopstate_running != NULL ? loopstate_running : current_loop;
}

struct ioloop *ioloop_current(void)
{
    struct ioloop *loop = ioloop_current_if_any();

    return loop != NULL ? loop : ioloop_new(NULL);
}

void ioloop_make_current(struct ioloop *loop)
{
    current_loop = loop;
}

void ioloop_clear_current(void)
{
    current_loop = NULL;
}

void ioloop_hold(struct ioloop *loop)
{
    atomic_fetch_add(&loop->holders, 1);
}

void ioloop_release(struct ioloop *loop)
{
    if (atomic_fetch_sub(&loop->holders, 1) == 1)
        ioalloc_free(loop);
}

static void run_last_tasks(struct ioloop *loop)
{
    while (loopstate_has_tasks(loop))
        loopstate_run_tasks(loop);
}

/* The members' last callbacks run in here, as if from an iteration; what they try to start is refused. Those who wait
 * for futures go on in the first tasks, with all else as it was. */
static void close_members(struct ioloop *loop)
{
    while (loop->first_members != NULL)
        loop->first_members->close(loop->first_members);
    loopstate_run_first_tasks(loop);
    for (size_t fd = 0; fd < loop->handler_count; fd++) {
        struct handler handler = loop->handlers[fd];

        if (handler.function != 0 && handler.claimed)
            loop->functions.of[handler.function]((int)fd, LOOPMEMBER_CLOSING, handler.arg);
    }
    while (loop->members != NULL)
        loop->members->close(loop->members);
    run_last_tasks(loop);
    while (loop->last_members != NULL) {
        loop->last_members->close(loop->last_members);
        run_last_tasks(loop);
    }
}

/* What has ended meanwhile: from here on nobody is told anything who could name it. */
static void free_ended(struct ioloop *loop)
{
    struct looptask *next = loop->ended_tasks;

    loop->ended_tasks = NULL;
    while (next != &loopstate_no_task) {
        struct looptask *task = next;

        next = task->next;
        task->run(task);
    }
}

static void drop_handlers(struct ioloop *loop)
{
    for (size_t fd = 0; fd < loop->handler_count; fd++) {
        if (loop->handlers[fd].function == 0)
            continue;
        ioloop_remove_handler(loop, (int)fd);
        if (loop->close_all_fds)
            close((int)fd);
    }
}

/* Other threads and signal handlers may be at it: after this none of them touches the poller or adds a callback. */
static void refuse_others(struct ioloop *loop)
{
    spinlock_lock(&loop->lock);
    atomic_store(&loop->closed, true);
    spinlock_unlock(&loop->lock);
    while (atomic_load(&loop->wakers) > 0)
        sched_yield();
}

static void take_back_turn(struct ioloop *loop)
{
    taskqueue_exchange(&loop->due, &loop->left.due);
    taskqueue_exchange(&loop->taken, &loop->left.taken);
    timeouts_take_back_due(&loop->timeouts, loop->left.timeouts);
}

/* In a child of fork(): the other threads are gone, and what they were at stays as it was. */
static void forget_others(struct ioloop *loop)
{
    if (atomic_load(&loop->asked) & FORKED)
        take_back_turn(loop);
    drop_cork(&loop->front.cork); /* another thread may have been the loop's */
    if (atomic_load(&loop->lock.taken))
        loop->posted = (struct taskqueue){ 0 }; /* one was just changing it; what it holds is lost */
    spinlock_unlock(&loop->lock);
    atomic_fetch_and(&loop->asked, ~(unsigned)(POSTED | FORKED));
    if (!taskqueue_is_empty(&loop->posted))
        atomic_fetch_or(&loop->asked, POSTED);
    atomic_store(&loop->wakers, 0);
    atomic_store(&loop->sleeping, false);
}

void loopstate_close(struct ioloop *loop)
{
    struct ioloop *previous = loopstate_running;

    if (loop->forks != loopstate_forks)
        forget_others(loop);
    loopsignals_remove_all(&loop->signals);
    refuse_others(loop);
    loopstate_running = loop;
    loop->ended_tasks = &loopstate_no_task;
    close_members(loop);
    free_ended(loop);
    loopstate_running = previous;
    drop_handlers(loop);
    poller_free(loop->poller);
    deadlines_free(loop->deadlines);
    timeouts_free(&loop->timeouts);
    taskqueue_free(&loop->callbacks);
    taskqueue_free(&loop->due);
    taskqueue_free(&loop->taken);
    taskqueue_free(&loop->posted);
    ioalloc_free(loop->handlers);
    ioalloc_free(loop->front.scratch);
    ioalloc_free(loop->front.cork.bytes);
    while (loop->spares != NULL)
        ioalloc_free(loopfront_take_spare(loop));
    if (current_loop == loop)
        current_loop = NULL;
    ioloop_release(loop);
}

void ioloop_close(struct ioloop *loop, bool all_fds)
{
    if (loop->closing)
        return;
    loop->closing = true;
    loop->close_all_fds = all_fds;
    if (loop->running)
        ioloop_stop(loop);
    else
        loopstate_close(loop);
}

/* In the child: members give up what is the parent's. */
static void leave_to_parent(struct ioloop *loop)
{
    struct loopmember *next;

    for (struct loopmember *member = loop->reopened_members; member != NULL; member = next) {
        next = member->next;
        member->close(member);
    }
}

int ioloop_reopen(struct ioloop *loop)
{
    struct poller *poller;

    if (loop->forks == loopstate_forks || loop->closing)
        return -EINVAL;
    poller = poller_new();
    if (poller == NULL)
        return -errno;
    for (size_t fd = 0; fd < loop->handler_count; fd++) {
        struct handler *handler = &loop->handlers[fd];
        int error = handler->watched ? poller_add(poller, (int)fd, handler->events, handler->generation) : 0;

        if (error < 0) {
            poller_free(poller);
            return error;
        }
    }
    poller_free(loop->poller);
    loop->poller = poller;
    loop->forks = loopstate_forks;
    loop->running = loopstate_running == loop; /* else the thread that ran it is the parent's */
    loop->added = true;
    forget_others(loop);
    leave_to_parent(loop);
    return 0;
}

/* Callbacks. */

/* Of a poller that is known to live. */
static void wake(struct ioloop *loop)
{
    if (atomic_load(&loop->sleeping) && atomic_exchange(&loop->sleeping, false))
        poller_wake(loop->poller);
}

/* For those who hold no lock: the poller lives while wakers counts them. */
static void wake_unlocked(struct ioloop *loop)
{
    atomic_fetch_add(&loop->wakers, 1);
    if (!atomic_load(&loop->closed) && loop->forks == loopstate_forks)
        wake(loop);
    atomic_fetch_sub(&loop->wakers, 1);
}

static int post(struct ioloop *loop, ioloop_callback_fn *callback, void *arg)
{
    int error = 0;

    spinlock_lock(&loop->lock);
    if (atomic_load_explicit(&loop->closed, memory_order_relaxed))
        error = -EBADF;
    else if (!taskqueue_push(&loop->posted, callback, arg))
        error = -ENOMEM;
    else if (loop->posted.end == 1) {
        /* Who adds to a queue that is not empty finds that done. */
        atomic_fetch_or(&loop->asked, POSTED);
        wake(loop);
    }
    spinlock_unlock(&loop->lock);
    return error;
}

static int __attribute__((noinline)) add_callback(struct ioloop *loop, ioloop_callback_fn *callback, void *arg)
{
    if (loop->forks != loopstate_forks)
        return -ESTALE;
    if (loopstate_running != loop)
        return post(loop, callback, arg);
    if (loop->closing)
        return -EBADF;
    loop->added = true;
    return taskqueue_push(&loop->callbacks, callback, arg) ? 0 : -ENOMEM;
}

/* The shortest way first: from the loop's own thread, and there is room. */
int ioloop_add_callback(struct ioloop *loop, ioloop_callback_fn *callback, void *arg)
{
    struct taskqueue *queue = &loop->callbacks;

    if (loopstate_running != loop || queue->end == queue->capacity || loop->closing || loop->forks != loopstate_forks)
        return add_callback(loop, callback, arg);
    queue->entries[queue->end++] = (struct taskqueue_entry){ callback, arg };
    loop->added = true;
    return 0;
}

int ioloop_add_callback_from_signal(struct ioloop *loop, ioloop_callback_fn *callback, void *arg)
{
    if (atomic_load(&loop->closed))
        return -EBADF;
    if (loop->forks != loopstate_forks)
        return -ESTALE;
    if (!loopsignals_push(&loop->signals, callback, arg))
        return -EAGAIN;
    loopsignals_notify(loop);
    return 0;
}

void loopsignals_notify(struct ioloop *loop)
{
    atomic_fetch_or(&loop->asked, SIGNALLED);
    wake_unlocked(loop);
}

void ioloop_stop(struct ioloop *loop)
{
    atomic_fetch_or(&loop->asked, STOPPING);
    wake_unlocked(loop);
}

int ioloop_add_signal(struct ioloop *loop, int signal_number, ioloop_signal_fn *callback, void *arg)
{
    int error = loopstate_check(loop);

    return error < 0 ? error : loopsignals_add(&loop->signals, loop, signal_number, callback, arg);
}

void ioloop_remove_signal(struct ioloop *loop, int signal_number)
{
    loopsignals_remove(&loop->signals, signal_number);
}

/* Timeouts. */

/* A loop that does not run may be asleep all the same: another one waits for it, for as long as ioloop_next_timeout
 * said. */
static uint64_t tell_of_timeout(struct ioloop *loop, uint64_t id)
{
    if (id == 0)
        errno = ENOMEM;
    else if (!loop->running)
        wake(loop);
    return id;
}

static int check_time(const struct ioloop *loop, double seconds)
{
    return __builtin_isnan(seconds) ? -EINVAL : loopstate_check(loop);
}

static uint64_t __attribute__((noinline))
call_later(struct ioloop *loop, double seconds, ioloop_callback_fn *callback, void *arg)
{
    int error = check_time(loop, seconds);

    if (error < 0)
        return errno = -error, 0;
    if (loop->timeouts.delay_count == TIMEOUTS_DELAYS)
        loopstate_read_time(loop);
    uint64_t id = timeouts_add_delay(&loop->timeouts, loopstate_nanoseconds(seconds), callback, arg);
    if (id != 0 && (!loop->running || loop->clock != NULL))
        loopstate_read_time(loop);
    return tell_of_timeout(loop, id);
}

/* Reading the clock would be half of the cost. So it is read once for all that a callback puts off, or for as many as
 * may wait for it: when the callback returns, or asks for the time. That can make them a little later, never earlier.
 *
 * The shortest way is that from the loop's own thread, when nothing is unusual. */
static inline bool may_put_delay(const struct ioloop *loop, double delay)
{
    return loopstate_running == loop && delay > -9.2e18 && delay < 9.2e18 && !loop->closing && loop->clock == NULL &&
           loop->forks == loopstate_forks && timeouts_has_room(&loop->timeouts);
}

static inline int64_t nearest(double delay)
{
    return (int64_t)(delay + __builtin_copysign(0.5, delay));
}

uint64_t ioloop_call_later(struct ioloop *loop, double seconds, ioloop_callback_fn *callback, void *arg)
{
    double delay = seconds * 1e9;

    if (!may_put_delay(loop, delay))
        return call_later(loop, seconds, callback, arg);
    return timeouts_put_delay(&loop->timeouts, nearest(delay), callback, arg);
}

static uint64_t __attribute__((noinline))
replace_timeout(struct ioloop *loop, uint64_t timeout, double seconds, ioloop_callback_fn *callback, void *arg)
{
    uint64_t id = call_later(loop, seconds, callback, arg);

    if (id != 0)
        timeouts_remove(&loop->timeouts, timeout);
    return id;
}

uint64_t ioloop_replace_timeout(struct ioloop *loop, uint64_t timeout, double seconds, ioloop_callback_fn *callback,
                                void *arg)
{
    double delay = seconds * 1e9;

    if (!may_put_delay(loop, delay))
        return replace_timeout(loop, timeout, seconds, callback, arg);
    return timeouts_replace_by_delay(&loop->timeouts, timeout, nearest(delay), callback, arg);
}

uint64_t ioloop_call_at(struct ioloop *loop, double when, ioloop_callback_fn *callback, void *arg)
{
    int error = check_time(loop, when);

    if (error < 0)
        return errno = -error, 0;
    if (loop->timeouts.delay_count > 0)
        loopstate_read_time(loop);
    return tell_of_timeout(loop, timeouts_add(&loop->timeouts, loopstate_nanoseconds(when), callback, arg));
}

void ioloop_remove_timeout(struct ioloop *loop, uint64_t timeout)
{
    timeouts_remove(&loop->timeouts, timeout);
}

/* Errors. */

void ioloop_callback_failed(struct ioloop *loop, int error)
{
    if (loop->on_error != NULL)
        loop->on_error(loop, error, loop->on_error_arg);
    else
        iolog_write(IOLOG_APPLICATION, IOLOG_ERROR, "a callback failed: %s", ioloop_strerror(error));
}

void ioloop_set_error_callback(struct ioloop *loop, ioloop_error_fn *callback, void *arg)
{
    loop->on_error = callback;
    loop->on_error_arg = arg;
}
