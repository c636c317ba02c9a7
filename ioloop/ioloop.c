#include "ioloop/ioloop.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ioloop/deadlines.h"
#include "ioloop/ioalloc.h"
#include "ioloop/iolog.h"
#include "ioloop/loopmember.h"
#include "ioloop/loopsignals.h"
#include "ioloop/looptask.h"
#include "ioloop/poller.h"
#include "ioloop/taskqueue.h"
#include "ioloop/timeouts.h"

#define READY_EVENTS 512
#define MOST_SPARES  64
#define LONGEST_WAIT INT64_C(60000000000) /* ns: a clock that was set, or a bug, heals after so long */

/* The table of handlers is indexed by descriptor. A generation outlives its registration, so that the next one of the
 * same number gets another. */
struct handler {
    ioloop_handler_fn *function; /* NULL: none */
    void *arg;
    uint32_t generation;
    uint16_t events; /* what the kernel was asked for */
    uint8_t told;    /* what the handler is told: of that what it asked for, and ERROR */
    bool watched : 1; /* the kernel knows it */
    bool claimed : 1; /* by an object of the library */
};

/* What others may ask of a loop. */
enum {
    STOPPING = 1,
    POSTED = 2,    /* posted is not empty */
    SIGNALLED = 4, /* signals has something */
};

struct ioloop {
    struct loopfront front; /* has to come first */
    struct poller *poller;
    struct handler *handlers;
    size_t handler_count;

    struct looptask *tasks, **last_task;
    struct looptask *running_tasks;
    struct taskqueue callbacks; /* added by this thread while the loop runs */
    struct taskqueue due;       /* those of this turn */
    struct taskqueue taken;     /* posted ones of this turn */
    struct timeouts timeouts;
    struct deadlines *deadlines;
    struct loopmember *members;
    void *spares; /* a list through their first bytes */
    unsigned spare_count;

    bool added; /* a task or a callback waits for the next turn */
    bool running, closing, close_all_fds;
    unsigned forks; /* the process it was made in: how many forks deep */
    ioloop_clock_fn *clock;
    void *clock_arg;
    int64_t slow_callback;
    ioloop_error_fn *on_error;
    void *on_error_arg;

    /* From here on other threads and signal handlers take part. */
    atomic_bool sleeping; /* whoever turns this off wakes the poller */
    atomic_uint asked;    /* STOPPING, POSTED, SIGNALLED */
    atomic_bool closed;
    atomic_int holders;
    atomic_int wakers; /* signal handlers and stops that use the poller now */
    pthread_mutex_t lock; /* of posted, and of the poller's life for those who post */
    struct taskqueue posted;
    struct loopsignals signals;
    struct poller_event ready[READY_EVENTS];
};

static _Thread_local struct ioloop *current_loop;
static _Thread_local struct ioloop *running_loop;
static unsigned forks;

/* A task list ends here and not in NULL, so that next != NULL says that a task waits. */
static struct looptask no_task;

static void count_fork(void)
{
    forks++;
    loopsignals_forked();
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, count_fork);
}

/* Times. */

static int64_t to_nanoseconds(double seconds)
{
    double nanoseconds = seconds * 1e9;

    if (nanoseconds >= 9.2e18)
        return INT64_MAX;
    if (nanoseconds <= -9.2e18)
        return INT64_MIN;
    return (int64_t)(nanoseconds + (nanoseconds < 0 ? -0.5 : 0.5));
}

static int64_t read_clock(struct ioloop *loop)
{
    struct timespec now;

    if (loop->clock != NULL)
        return to_nanoseconds(loop->clock(loop->clock_arg));
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t read_time(struct ioloop *loop)
{
    loop->front.knows_now = loop->running;
    return loop->front.now = read_clock(loop);
}

double ioloop_time(struct ioloop *loop)
{
    return (double)read_time(loop) / 1e9;
}

int64_t loopmember_read_now(struct ioloop *loop)
{
    return read_time(loop);
}

/* A clock may start so far below 0 that the difference is more than there are nanoseconds. */
static int64_t nanoseconds_until(struct ioloop *loop, int64_t deadline)
{
    int64_t left;

    if (__builtin_sub_overflow(deadline, read_time(loop), &left))
        return deadline < 0 ? 0 : INT64_MAX;
    return left > 0 ? left : 0;
}

/* Life. */

static int check_usable(const struct ioloop *loop)
{
    if (loop->closing)
        return -EBADF;
    if (loop->forks != forks)
        return -ESTALE;
    assert(!loop->running || running_loop == loop); /* called from a thread that does not run this loop */
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
    loop->tasks = &no_task;
    loop->last_task = &loop->tasks;
    loop->running_tasks = &no_task;
    loop->forks = forks;
    loop->clock = options->clock;
    loop->clock_arg = options->clock_arg;
    loop->slow_callback = options->slow_callback > 0 ? to_nanoseconds(options->slow_callback) : 0;
    atomic_init(&loop->holders, 1);
    pthread_mutex_init(&loop->lock, NULL);
    loopsignals_init(&loop->signals);
    return loop;
}

struct ioloop *ioloop_current_if_any(void)
{
    return running_loop != NULL ? running_loop : current_loop;
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
    if (atomic_fetch_sub(&loop->holders, 1) != 1)
        return;
    pthread_mutex_destroy(&loop->lock);
    ioalloc_free(loop);
}

static void run_tasks(struct ioloop *loop);

/* The members' last callbacks run in here, as if from an iteration; what they try to start is refused. */
static void close_members(struct ioloop *loop)
{
    for (size_t fd = 0; fd < loop->handler_count; fd++) {
        struct handler handler = loop->handlers[fd];

        if (handler.function != NULL && handler.claimed)
            handler.function((int)fd, LOOPMEMBER_CLOSING, handler.arg);
    }
    while (loop->members != NULL)
        loop->members->close(loop->members);
    while (loop->tasks != &no_task)
        run_tasks(loop);
}

static void drop_handlers(struct ioloop *loop)
{
    for (size_t fd = 0; fd < loop->handler_count; fd++) {
        if (loop->handlers[fd].function == NULL)
            continue;
        ioloop_remove_handler(loop, (int)fd);
        if (loop->close_all_fds)
            close((int)fd);
    }
}

/* Other threads and signal handlers may be at it: after this none of them touches the poller or adds a callback. */
static void refuse_others(struct ioloop *loop)
{
    pthread_mutex_lock(&loop->lock);
    atomic_store(&loop->closed, true);
    pthread_mutex_unlock(&loop->lock);
    while (atomic_load(&loop->wakers) > 0)
        sched_yield();
}

/* In a child of fork(): the other threads are gone, and what they were at stays as it was. */
static void forget_others(struct ioloop *loop)
{
    if (pthread_mutex_trylock(&loop->lock) == 0)
        pthread_mutex_unlock(&loop->lock);
    else
        loop->posted = (struct taskqueue){ 0 }; /* one was just changing it; what it holds is lost */
    pthread_mutex_init(&loop->lock, NULL);
    atomic_fetch_and(&loop->asked, ~(unsigned)POSTED);
    if (!taskqueue_is_empty(&loop->posted))
        atomic_fetch_or(&loop->asked, POSTED);
    atomic_store(&loop->wakers, 0);
    atomic_store(&loop->sleeping, false);
}

static void close_loop(struct ioloop *loop)
{
    struct ioloop *previous = running_loop;

    if (loop->forks != forks)
        forget_others(loop);
    loopsignals_remove_all(&loop->signals);
    refuse_others(loop);
    running_loop = loop;
    close_members(loop);
    running_loop = previous;
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
        ioalloc_free(loopmember_take_spare(loop));
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
        close_loop(loop);
}

int ioloop_reopen(struct ioloop *loop)
{
    struct poller *poller;

    if (loop->forks == forks || loop->closing)
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
    loop->forks = forks;
    loop->running = running_loop == loop; /* else the thread that ran it is the parent's */
    loop->added = true;
    forget_others(loop);
    return 0;
}

/* Members. */

void loopmember_add(struct ioloop *loop, struct loopmember *member)
{
    member->next = loop->members;
    member->link = &loop->members;
    if (member->next != NULL)
        member->next->link = &member->next;
    loop->members = member;
}

void loopmember_remove(struct loopmember *member)
{
    if (member->link == NULL)
        return;
    *member->link = member->next;
    if (member->next != NULL)
        member->next->link = member->link;
    member->link = NULL;
}

struct deadlines *loopmember_deadlines(struct ioloop *loop)
{
    if (loop->deadlines == NULL)
        loop->deadlines = deadlines_new(loop);
    return loop->deadlines;
}

char *loopmember_new_scratch(struct ioloop *loop)
{
    return loop->front.scratch = ioalloc(LOOPMEMBER_SCRATCH + 1);
}

void *loopmember_take_spare(struct ioloop *loop)
{
    void *block = loop->spares;

    if (block == NULL)
        return ioalloc(LOOPMEMBER_SPARE);
    memcpy(&loop->spares, block, sizeof loop->spares);
    loop->spare_count--;
    return block;
}

void loopmember_give_spare(struct ioloop *loop, void *block)
{
    if (loop->spare_count == MOST_SPARES) {
        ioalloc_free(block);
        return;
    }
    memcpy(block, &loop->spares, sizeof loop->spares);
    loop->spares = block;
    loop->spare_count++;
}

/* Handlers. */

static struct handler *find_handler(struct ioloop *loop, int fd)
{
    if (fd < 0 || (size_t)fd >= loop->handler_count || loop->handlers[fd].function == NULL)
        return NULL;
    return &loop->handlers[fd];
}

static int make_room_for(struct ioloop *loop, int fd)
{
    size_t count = (size_t)fd + 1;

    if (count <= loop->handler_count)
        return 0;
    if (fcntl(fd, F_GETFD) < 0) /* before a number that is none makes the table gigabytes long */
        return -errno;
    count = (count + count / 4 + 63) & ~(size_t)63;
    struct handler *handlers = ioalloc_array_resize(loop->handlers, count, sizeof *handlers);
    if (handlers == NULL)
        return -ENOMEM;
    memset(handlers + loop->handler_count, 0, (count - loop->handler_count) * sizeof *handlers);
    loop->handlers = handlers;
    loop->handler_count = count;
    return 0;
}

static void set_events(struct handler *handler, unsigned events)
{
    handler->events = (uint16_t)events;
    handler->told = (uint8_t)((events & (IOLOOP_READ | IOLOOP_WRITE)) | IOLOOP_ERROR);
}

static int put_handler(struct ioloop *loop, int fd, ioloop_handler_fn *function, void *arg, struct handler **result)
{
    int error = check_usable(loop);

    if (error == 0 && fd < 0)
        error = -EBADF;
    if (error == 0)
        error = make_room_for(loop, fd);
    if (error < 0)
        return error;
    struct handler *handler = *result = &loop->handlers[fd];
    if (handler->function != NULL)
        return -EEXIST;
    *handler = (struct handler){ .function = function, .arg = arg, .generation = handler->generation + 1 };
    return 0;
}

int ioloop_add_handler(struct ioloop *loop, int fd, ioloop_handler_fn *function, void *arg, unsigned events)
{
    struct handler *handler;
    int error = put_handler(loop, fd, function, arg, &handler);

    if (error < 0)
        return error;
    set_events(handler, events & (IOLOOP_READ | IOLOOP_WRITE));
    error = poller_add(loop->poller, fd, handler->events, handler->generation);
    handler->watched = error == 0;
    if (error < 0)
        handler->function = NULL;
    return error;
}

int loopmember_claim_fd(struct ioloop *loop, int fd, ioloop_handler_fn *function, void *arg)
{
    struct handler *handler;
    int error = put_handler(loop, fd, function, arg, &handler);

    if (error == 0)
        handler->claimed = true;
    return error;
}

static void unwatch(struct ioloop *loop, int fd, struct handler *handler)
{
    /* In a child of fork() the kernel queue is the parent's: hands off. */
    if (handler->watched && loop->forks == forks)
        poller_remove(loop->poller, fd, handler->events);
    handler->watched = false;
    handler->events = 0;
    handler->generation++; /* what is pending for it is not told any more */
}

/* EPOLLEXCLUSIVE cannot be changed once it is there, only taken out and put in again. */
static int watch(struct ioloop *loop, int fd, unsigned events)
{
    int error = check_usable(loop);
    struct handler *handler = find_handler(loop, fd);

    if (error < 0)
        return error;
    if (handler == NULL)
        return -ENOENT;
    if (handler->watched && handler->events == events)
        return 0;
    if (handler->watched && ((handler->events | events) & POLLER_EXCLUSIVE) != 0)
        unwatch(loop, fd, handler);
    error = handler->watched ? poller_update(loop->poller, fd, handler->events, events, handler->generation)
                             : poller_add(loop->poller, fd, events, handler->generation);
    if (error < 0)
        return error;
    handler->watched = true;
    set_events(handler, events);
    return 0;
}

int ioloop_update_handler(struct ioloop *loop, int fd, unsigned events)
{
    return watch(loop, fd, events & (IOLOOP_READ | IOLOOP_WRITE));
}

int loopmember_watch_exclusive(struct ioloop *loop, int fd)
{
    return watch(loop, fd, IOLOOP_READ | POLLER_EXCLUSIVE);
}

void loopmember_unwatch_fd(struct ioloop *loop, int fd)
{
    struct handler *handler = find_handler(loop, fd);

    if (handler != NULL)
        unwatch(loop, fd, handler);
}

void ioloop_remove_handler(struct ioloop *loop, int fd)
{
    struct handler *handler = find_handler(loop, fd);

    if (handler == NULL)
        return;
    unwatch(loop, fd, handler);
    handler->function = NULL;
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
    if (!atomic_load(&loop->closed) && loop->forks == forks)
        wake(loop);
    atomic_fetch_sub(&loop->wakers, 1);
}

static int post(struct ioloop *loop, ioloop_callback_fn *callback, void *arg)
{
    int error = 0;

    pthread_mutex_lock(&loop->lock);
    if (atomic_load_explicit(&loop->closed, memory_order_relaxed))
        error = -EBADF;
    else if (!taskqueue_push(&loop->posted, callback, arg))
        error = -ENOMEM;
    else if (loop->posted.end == 1) {
        /* Who adds to a queue that is not empty finds that done. */
        atomic_fetch_or(&loop->asked, POSTED);
        wake(loop);
    }
    pthread_mutex_unlock(&loop->lock);
    return error;
}

int ioloop_add_callback(struct ioloop *loop, ioloop_callback_fn *callback, void *arg)
{
    if (loop->forks != forks)
        return -ESTALE;
    if (running_loop != loop)
        return post(loop, callback, arg);
    if (loop->closing)
        return -EBADF;
    loop->added = true;
    return taskqueue_push(&loop->callbacks, callback, arg) ? 0 : -ENOMEM;
}

int ioloop_add_callback_from_signal(struct ioloop *loop, ioloop_callback_fn *callback, void *arg)
{
    if (atomic_load(&loop->closed))
        return -EBADF;
    if (loop->forks != forks)
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

int ioloop_add_signal(struct ioloop *loop, int signal_number, ioloop_signal_fn *callback, void *arg)
{
    int error = check_usable(loop);

    return error < 0 ? error : loopsignals_add(&loop->signals, loop, signal_number, callback, arg);
}

void ioloop_remove_signal(struct ioloop *loop, int signal_number)
{
    loopsignals_remove(&loop->signals, signal_number);
}

void looptask_add(struct ioloop *loop, struct looptask *task)
{
    if (task->next != NULL)
        return;
    task->next = &no_task;
    *loop->last_task = task;
    loop->last_task = &task->next;
    loop->added = true;
}

static bool remove_task(struct looptask **link, struct looptask *task)
{
    for (; *link != &no_task; link = &(*link)->next) {
        if (*link == task) {
            *link = task->next;
            return true;
        }
    }
    return false;
}

void looptask_remove(struct ioloop *loop, struct looptask *task)
{
    if (task->next == NULL)
        return;
    if (remove_task(&loop->tasks, task)) {
        loop->last_task = &loop->tasks;
        while (*loop->last_task != &no_task)
            loop->last_task = &(*loop->last_task)->next;
    } else {
        remove_task(&loop->running_tasks, task);
    }
    task->next = NULL;
}

/* Timeouts. */

static uint64_t add_timeout(struct ioloop *loop, int64_t deadline, ioloop_callback_fn *callback, void *arg)
{
    uint64_t id = timeouts_add(&loop->timeouts, deadline, callback, arg);

    if (id == 0)
        errno = ENOMEM;
    return id;
}

static int check_time(const struct ioloop *loop, double seconds)
{
    return __builtin_isnan(seconds) ? -EINVAL : check_usable(loop);
}

uint64_t ioloop_call_later(struct ioloop *loop, double seconds, ioloop_callback_fn *callback, void *arg)
{
    int error = check_time(loop, seconds);
    int64_t deadline;

    if (error < 0)
        return errno = -error, 0;
    if (__builtin_add_overflow(read_clock(loop), to_nanoseconds(seconds), &deadline))
        deadline = seconds < 0 ? INT64_MIN : INT64_MAX;
    return add_timeout(loop, deadline, callback, arg);
}

uint64_t ioloop_call_at(struct ioloop *loop, double when, ioloop_callback_fn *callback, void *arg)
{
    int error = check_time(loop, when);

    if (error < 0)
        return errno = -error, 0;
    return add_timeout(loop, to_nanoseconds(when), callback, arg);
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

/* Running. */

/* Around everything that is the program's: says so when it took too long. */
static int64_t start_of_callback(struct ioloop *loop)
{
    return loop->slow_callback != 0 ? read_clock(loop) : 0;
}

static void end_of_callback(struct ioloop *loop, int64_t start, void (*callback)(void))
{
    if (loop->slow_callback == 0)
        return;
    int64_t took = read_clock(loop) - start;
    if (took > loop->slow_callback)
        iolog_write(IOLOG_APPLICATION, IOLOG_WARNING, "a callback blocked the loop for %.3f s: %p", (double)took / 1e9,
                    (void *)(uintptr_t)callback);
}

static void __attribute__((noinline)) call_watched(struct ioloop *loop, ioloop_callback_fn *callback, void *arg)
{
    int64_t start = read_clock(loop);

    callback(arg);
    end_of_callback(loop, start, (void (*)(void))callback);
}

static inline void call(struct ioloop *loop, ioloop_callback_fn *callback, void *arg)
{
    if (loop->slow_callback == 0)
        callback(arg);
    else
        call_watched(loop, callback, arg);
}

/* Those that are there now; what they add waits for the next iteration. */
static void run_tasks(struct ioloop *loop)
{
    loop->running_tasks = loop->tasks;
    loop->tasks = &no_task;
    loop->last_task = &loop->tasks;
    while (loop->running_tasks != &no_task) {
        struct looptask *task = loop->running_tasks;

        loop->running_tasks = task->next;
        task->next = NULL;
        int64_t start = start_of_callback(loop);
        void (*run)(struct looptask *) = task->run; /* which may free the task */
        run(task);
        end_of_callback(loop, start, (void (*)(void))run);
    }
}

static void take_posted(struct ioloop *loop)
{
    if (!(atomic_load_explicit(&loop->asked, memory_order_relaxed) & POSTED) || !taskqueue_is_empty(&loop->taken))
        return;
    pthread_mutex_lock(&loop->lock);
    taskqueue_exchange(&loop->taken, &loop->posted);
    atomic_fetch_and(&loop->asked, ~(unsigned)POSTED);
    pthread_mutex_unlock(&loop->lock);
}

/* At most so many that a storm of signals leaves time for the rest. */
static void run_signals(struct ioloop *loop)
{
    struct loopsignals_call due;

    for (unsigned i = 0; i < LOOPSIGNALS_RING; i++) {
        if (!loopsignals_take(&loop->signals, &due))
            return;
        int64_t start = start_of_callback(loop);
        due.callback(due.signal_number, due.arg);
        end_of_callback(loop, start, (void (*)(void))due.callback);
    }
    atomic_fetch_or(&loop->asked, SIGNALLED);
}

static void run_from_signals(struct ioloop *loop)
{
    ioloop_callback_fn *callback;
    void *arg;

    atomic_fetch_and(&loop->asked, ~(unsigned)SIGNALLED);
    run_signals(loop);
    for (unsigned i = 0; i < LOOPSIGNALS_RING && loopsignals_pop(&loop->signals, &callback, &arg); i++)
        call(loop, callback, arg);
}

static void run_queue(struct ioloop *loop, struct taskqueue *queue)
{
    struct taskqueue_entry entry;

    while (taskqueue_next(queue, &entry))
        call(loop, entry.callback, entry.arg);
}

static void run_due_timeouts(struct ioloop *loop)
{
    ioloop_callback_fn *callback;
    void *arg;

    while (timeouts_next_due(&loop->timeouts, &callback, &arg))
        call(loop, callback, arg);
}

static void __attribute__((noinline)) call_handler_watched(struct ioloop *loop, struct handler handler, int fd, unsigned events)
{
    int64_t start = read_clock(loop);

    handler.function(fd, events, handler.arg);
    end_of_callback(loop, start, (void (*)(void))handler.function);
}

/* Calls the handlers of the descriptors in ready[0..count) and answers how many.
 *
 * A handler may remove any handler, close any descriptor, and open new ones that get the number of one just closed. So
 * an event counts only for the registration it was fetched for: same descriptor, same generation. One that returns
 * in a child of fork() leaves the rest to the parent. */
static inline __attribute__((always_inline)) int run_handlers(struct ioloop *loop, int count)
{
    unsigned process = forks;
    int called = 0;

    for (int i = 0; i < count && process == forks; i++) {
        struct poller_event event = loop->ready[i];
        struct handler *handler = &loop->handlers[event.fd]; /* the table never shrinks */

        if (handler->generation != event.generation)
            continue;
        unsigned events = event.events & handler->told;
        if (events == 0)
            continue;
        called++;
        if (loop->slow_callback == 0)
            handler->function(event.fd, events, handler->arg);
        else
            call_handler_watched(loop, *handler, event.fd, events);
    }
    return loop->forks == forks ? called : -ESTALE;
}

static bool has_something_to_run(const struct ioloop *loop)
{
    return loop->added || atomic_load(&loop->asked) != 0;
}

/* How long the poller may wait, in nanoseconds; negative: without end. */
static int64_t __attribute__((noinline)) longest_wait(struct ioloop *loop)
{
    if (has_something_to_run(loop))
        return 0;
    if (loop->timeouts.heap_count == 0)
        return -1;
    int64_t next = timeouts_next(&loop->timeouts);
    if (next == INT64_MAX)
        return -1;
    int64_t wait = nanoseconds_until(loop, next);
    return wait < LONGEST_WAIT ? wait : LONGEST_WAIT;
}

/* Others that add something look at sleeping after they have added it; the loop looks at what was added after it has
 * set sleeping. So one of the two sees the other, and nothing is added unseen while the loop sleeps. */
static inline int wait_for_events(struct ioloop *loop, int64_t wait)
{
    if (wait == 0)
        return poller_wait(loop->poller, loop->ready, READY_EVENTS, 0);
    atomic_store(&loop->sleeping, true);
    if (atomic_load(&loop->asked) != 0)
        wait = 0;
    int count = poller_wait(loop->poller, loop->ready, READY_EVENTS, wait);
    atomic_store_explicit(&loop->sleeping, false, memory_order_relaxed); /* seen late it costs one wake-up, no more */
    return count;
}

/* The functions that are not inlined keep the turn of a busy loop, which calls none of them, short. */

/* All that is due in this turn but the descriptors. Those callbacks run that were there when it began. */
static void __attribute__((noinline)) run_what_is_due(struct ioloop *loop)
{
    if (timeouts_next(&loop->timeouts) != INT64_MAX)
        timeouts_collect_due(&loop->timeouts, read_time(loop));
    loop->added = false;
    if (taskqueue_is_empty(&loop->due))
        taskqueue_exchange(&loop->due, &loop->callbacks);
    else
        loop->added = true; /* in a child of fork(), whose parent was in the middle of them */
    take_posted(loop);
    run_tasks(loop);
    run_queue(loop, &loop->due);
    run_queue(loop, &loop->taken);
    if (atomic_load_explicit(&loop->asked, memory_order_relaxed) & SIGNALLED)
        run_from_signals(loop);
    run_due_timeouts(loop);
}

/* One turn, in Tornado's order; docs/architecture.md tells it step by step. */
static inline __attribute__((always_inline)) int run_iteration(struct ioloop *loop, int64_t limit)
{
    int64_t wait = -1;

    loop->front.knows_now = false;
    if (loop->timeouts.heap_count > 0 || has_something_to_run(loop)) {
        run_what_is_due(loop);
        if (atomic_load_explicit(&loop->asked, memory_order_relaxed) & STOPPING)
            return 0;
        wait = longest_wait(loop);
    }
    if (loop->forks != forks)
        return -ESTALE; /* a callback or a handler has forked, and this is the child */
    if (limit >= 0 && (wait < 0 || wait > limit))
        wait = limit;
    int count = wait_for_events(loop, wait);
    loop->front.knows_now = false;
    return count > 0 ? run_handlers(loop, count) : count;
}

static int begin_running(struct ioloop *loop)
{
    int error = check_usable(loop);

    if (error == 0 && (loop->running || (running_loop != NULL && running_loop->forks == forks)))
        error = -EBUSY;
    if (error < 0)
        return error;
    loop->running = true;
    running_loop = loop;
    atomic_store_explicit(&loop->sleeping, false, memory_order_relaxed); /* ioloop_next_timeout may have set it */
    return 0;
}

static void end_running(struct ioloop *loop)
{
    loop->running = false;
    loop->front.knows_now = false;
    running_loop = NULL;
    if (loop->closing)
        close_loop(loop);
}

int ioloop_start(struct ioloop *loop)
{
    int result = begin_running(loop);

    if (result < 0)
        return result;
    while (!(atomic_load_explicit(&loop->asked, memory_order_relaxed) & STOPPING) && result >= 0)
        result = run_iteration(loop, -1);
    atomic_fetch_and(&loop->asked, ~(unsigned)STOPPING);
    end_running(loop);
    return result < 0 ? result : 0;
}

int ioloop_run_once(struct ioloop *loop, double timeout)
{
    int result = __builtin_isnan(timeout) ? -EINVAL : begin_running(loop);

    if (result < 0)
        return result;
    result = run_iteration(loop, timeout < 0 ? -1 : to_nanoseconds(timeout));
    atomic_fetch_and(&loop->asked, ~(unsigned)STOPPING);
    end_running(loop);
    return result;
}

void ioloop_stop(struct ioloop *loop)
{
    atomic_fetch_or(&loop->asked, STOPPING);
    wake_unlocked(loop);
}

int ioloop_fd(const struct ioloop *loop)
{
    return poller_fd(loop->poller);
}

/* The program is about to wait for ioloop_fd: from here on that has to be woken, as in wait_for_events. */
double ioloop_next_timeout(struct ioloop *loop)
{
    if (!loop->running)
        atomic_store(&loop->sleeping, true);
    if (has_something_to_run(loop))
        return 0;
    int64_t next = timeouts_next(&loop->timeouts);
    return next == INT64_MAX ? -1 : (double)nanoseconds_until(loop, next) / 1e9;
}
