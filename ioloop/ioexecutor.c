#include "ioloop/ioexecutor.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "ioloop/ioalloc.h"
#include "ioloop/ioexecutorlayer.h"
#include "ioloop/loopmember.h"

#define DEFAULT_THREADS 4
#define DEFAULT_QUEUE   256
#define DEFAULT_LOOKUPS 4096     /* of names: each is somebody's connection, who gives up by himself */
#define RETRY_AFTER     10000000 /* ns */

struct job {
    struct job *next;
    struct job **link; /* what points to this one */
    uint64_t id;
    struct ioexecutor *executor;
    struct outbox *outbox;
    ioexecutor_work_fn *work;
    ioexecutor_done_fn *done;
    void (*discard)(void *arg); /* NULL: nothing to do when done cannot be called */
    void *arg;
    int error;
    unsigned forks;     /* the process that it belongs to: how many forks deep */
    max_align_t copy[]; /* of arg, where it is the job's own */
};

struct joblist {
    struct job *first, **last; /* last: where the next one is linked in */
    size_t count;
};

/* The finished jobs of one loop. It is there, and holds the loop, while the loop has jobs in any executor. */
struct outbox {
    struct outbox *next;
    struct ioloop *loop;
    struct joblist done; /* and not told yet */
    size_t jobs;         /* waiting, running and done */
    bool posted;         /* tell_done is among the callbacks of the loop */
};

struct ioexecutor {
    struct ioexecutor *next;
    pthread_cond_t work_waits;
    pthread_cond_t progress; /* for a close that waits */
    struct joblist waiting, running;
    size_t capacity; /* of both together */
    size_t idle;     /* threads that wait for work */
    size_t threads;  /* that have not ended */
    size_t started;  /* handles of them; none ends before the executor is closed */
    size_t max_threads;
    size_t references; /* one for its user, one each for threads and jobs */
    unsigned forks;    /* the process that threads and jobs belong to: how many forks deep */
    bool closed;
    pthread_t handles[];
};

/* One lock for all executors: little is done under it, and fork() has to take only this one. It is held while a loop
 * is given a callback, so that a loop's own lock is always the inner one, and free at every fork. */
static pthread_mutex_t executors_lock = PTHREAD_MUTEX_INITIALIZER;
static struct ioexecutor *executors;
static struct outbox *outboxes;
static struct ioexecutor *default_executor;
static struct job *discarded; /* done, but nobody can be told: for who unlocks next */
static uint64_t last_job;
static unsigned executor_forks;

/* The lock, and forks. */

static void lock_executors(void)
{
    pthread_mutex_lock(&executors_lock);
}

/* The one way into user code but work and done: without the lock. */
static void free_discarded(struct job *job)
{
    while (job != NULL) {
        struct job *next = job->next;

        if (job->discard != NULL)
            job->discard(job->arg);
        ioalloc_free(job);
        job = next;
    }
}

static void unlock_executors(void)
{
    struct job *jobs = discarded;

    discarded = NULL;
    pthread_mutex_unlock(&executors_lock);
    free_discarded(jobs);
}

static void unlock_executors_in_child(void)
{
    executor_forks++;
    pthread_mutex_unlock(&executors_lock);
}

static void register_for_forks(void)
{
    pthread_atfork(lock_executors, unlock_executors, unlock_executors_in_child);
}

static void follow_forks(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, register_for_forks);
}

/* Lists of jobs. */

static void clear_jobs(struct joblist *list)
{
    *list = (struct joblist){ .last = &list->first };
}

static void append_job(struct joblist *list, struct job *job)
{
    job->next = NULL;
    job->link = list->last;
    *list->last = job;
    list->last = &job->next;
    list->count++;
}

static void remove_job(struct joblist *list, struct job *job)
{
    *job->link = job->next;
    if (job->next != NULL)
        job->next->link = job->link;
    else
        list->last = job->link;
    list->count--;
}

static void free_outbox(struct outbox *outbox)
{
    struct outbox **link = &outboxes;

    while (*link != outbox)
        link = &(*link)->next;
    *link = outbox->next;
    ioloop_release(outbox->loop);
    ioalloc_free(outbox);
}

static void drop_reference(struct ioexecutor *executor)
{
    struct ioexecutor **link = &executors;

    if (--executor->references > 0)
        return;
    while (*link != executor)
        link = &(*link)->next;
    *link = executor->next;
    pthread_cond_destroy(&executor->work_waits);
    pthread_cond_destroy(&executor->progress);
    ioalloc_free(executor);
}

/* Of a job that is in no list any more. */
static void leave_executor(struct job *job)
{
    if (--job->outbox->jobs == 0)
        free_outbox(job->outbox);
    drop_reference(job->executor);
}

static void free_job(struct job *job)
{
    leave_executor(job);
    ioalloc_free(job);
}

/* Telling the loops. */

/* Those that were done and not told. */
static struct job *take_done_jobs(struct outbox *outbox)
{
    struct job *first = outbox->done.first;

    clear_jobs(&outbox->done);
    outbox->posted = false;
    return first;
}

/* The way into user code. In a child of fork() there may be jobs of the parent among them. */
static void tell_done(void *arg)
{
    lock_executors();
    struct job *next = take_done_jobs(arg);
    while (next != NULL) {
        struct job *job = next;

        next = job->next;
        unlock_executors();
        if (job->forks == executor_forks)
            job->done(job->error, job->arg);
        lock_executors();
        free_job(job);
    }
    unlock_executors();
}

/* The loop has closed, or is the parent's. The outbox goes with the last of its jobs. */
static void discard_done(struct outbox *outbox)
{
    struct job *next = take_done_jobs(outbox);

    while (next != NULL) {
        struct job *job = next;

        next = job->next;
        leave_executor(job);
        job->next = discarded;
        discarded = job;
    }
}

/* False: not now, for want of memory. What is done stays in the outbox until a thread of a pool has got through: all
 * try when they look for work, and go on trying. Where a job was, waiting or running, there is such a thread. */
static bool post_done(struct outbox *outbox)
{
    if (outbox->posted || outbox->done.first == NULL)
        return true;
    int error = ioloop_add_callback(outbox->loop, tell_done, outbox);
    outbox->posted = error == 0;
    bool is_gone = error == -EBADF || error == -ESTALE;
    if (is_gone)
        discard_done(outbox);
    return error == 0 || is_gone;
}

static bool post_all_done(void)
{
    bool posted = true;

    for (struct outbox *outbox = outboxes, *next; outbox != NULL; outbox = next) {
        next = outbox->next;
        posted &= post_done(outbox);
    }
    return posted;
}

static void ask_whether_closed(void *arg)
{
}

/* A loop that closes drops its callbacks without a word, tell_done among them, and only trying to add another shows
 * it. Not of the loop that runs on this thread: that answers so as soon as its close is asked for, and may call
 * tell_done yet. */
static void discard_what_closed_loops_dropped(void)
{
    for (struct outbox *outbox = outboxes, *next; outbox != NULL; outbox = next) {
        next = outbox->next;
        if (outbox->posted && outbox->loop != ioloop_current_if_any() &&
            ioloop_add_callback(outbox->loop, ask_whether_closed, NULL) == -EBADF)
            discard_done(outbox);
    }
}

static struct outbox *find_outbox(const struct ioloop *loop)
{
    struct outbox *outbox = outboxes;

    while (outbox != NULL && outbox->loop != loop)
        outbox = outbox->next;
    return outbox;
}

static struct outbox *find_or_add_outbox(struct ioloop *loop)
{
    struct outbox *outbox = find_outbox(loop);

    if (outbox != NULL)
        return outbox;
    discard_what_closed_loops_dropped();
    outbox = ioalloc(sizeof *outbox);
    if (outbox == NULL)
        return NULL;
    *outbox = (struct outbox){ .next = outboxes, .loop = loop };
    clear_jobs(&outbox->done);
    ioloop_hold(loop);
    return outboxes = outbox;
}

static void finish_job(struct joblist *list, struct job *job, int error)
{
    remove_job(list, job);
    job->error = error;
    append_job(&job->outbox->done, job);
    post_done(job->outbox);
}

/* Threads. */

static void run_first_job(struct ioexecutor *executor)
{
    struct job *job = executor->waiting.first;
    unsigned forks = executor_forks;

    remove_job(&executor->waiting, job);
    append_job(&executor->running, job);
    unlock_executors();
    job->work(job->arg);
    lock_executors();
    if (forks != executor_forks)
        return; /* the work has forked, and this is the child */
    finish_job(&executor->running, job, 0);
    pthread_cond_broadcast(&executor->progress);
}

static void wait_for_work(struct ioexecutor *executor)
{
    executor->idle++;
    pthread_cond_wait(&executor->work_waits, &executors_lock);
    executor->idle--;
}

static void wait_for_memory(void)
{
    const struct timespec pause = { .tv_nsec = RETRY_AFTER };

    unlock_executors();
    nanosleep(&pause, NULL);
    lock_executors();
}

static void relock_executors(void)
{
    unlock_executors();
    lock_executors();
}

static void *run_thread(void *arg)
{
    struct ioexecutor *executor = arg;

    lock_executors();
    unsigned forks = executor_forks;
    while (forks == executor_forks) {
        bool posted = post_all_done();

        if (executor->waiting.first != NULL)
            run_first_job(executor);
        else if (!posted)
            wait_for_memory();
        else if (discarded != NULL)
            relock_executors();
        else if (!executor->closed)
            wait_for_work(executor);
        else
            break;
    }
    if (forks == executor_forks) {
        executor->threads--;
        pthread_cond_broadcast(&executor->progress);
        drop_reference(executor);
    }
    unlock_executors();
    return NULL;
}

/* A new thread has the signal mask of its maker from the start. */
static void start_thread(struct ioexecutor *executor)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&executor->handles[executor->started], NULL, run_thread, executor) == 0) {
        executor->started++;
        executor->threads++;
        executor->references++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Life. */

static void drop_jobs(struct joblist *list)
{
    while (list->first != NULL) {
        struct job *job = list->first;

        remove_job(list, job);
        free_job(job);
    }
}

/* This is a child of the process that the executor was last used in: its threads are not here, and its conditions are
 * as those threads left them. Who calls holds a reference, so the executor itself stays. */
static void start_anew(struct ioexecutor *executor)
{
    executor->forks = executor_forks;
    executor->references -= executor->threads;
    executor->idle = executor->threads = executor->started = 0;
    pthread_cond_init(&executor->work_waits, NULL);
    pthread_cond_init(&executor->progress, NULL);
    drop_jobs(&executor->waiting);
    drop_jobs(&executor->running);
}

static void lock_executor(struct ioexecutor *executor)
{
    lock_executors();
    if (executor->forks != executor_forks)
        start_anew(executor);
}

static struct ioexecutor *make_executor(size_t threads, size_t queue)
{
    struct ioexecutor *executor = ioalloc_zeroed(sizeof *executor + threads * sizeof executor->handles[0]);

    if (executor == NULL)
        return errno = ENOMEM, NULL;
    executor->max_threads = threads;
    executor->capacity = threads + queue;
    executor->references = 1;
    executor->forks = executor_forks;
    clear_jobs(&executor->waiting);
    clear_jobs(&executor->running);
    pthread_cond_init(&executor->work_waits, NULL);
    pthread_cond_init(&executor->progress, NULL);
    executor->next = executors;
    return executors = executor;
}

struct ioexecutor *ioexecutor_new(int threads, int queue)
{
    if (threads < 0 || queue < 0)
        return errno = EINVAL, NULL;
    follow_forks();
    lock_executors();
    struct ioexecutor *executor =
        make_executor(threads != 0 ? (size_t)threads : DEFAULT_THREADS, queue != 0 ? (size_t)queue : DEFAULT_QUEUE);
    unlock_executors();
    return executor;
}

struct ioexecutor *ioexecutor_default(void)
{
    follow_forks();
    lock_executors();
    if (default_executor == NULL)
        default_executor = make_executor(DEFAULT_THREADS, DEFAULT_LOOKUPS);
    struct ioexecutor *executor = default_executor;
    unlock_executors();
    return executor;
}

/* Until all threads have ended; a thread that only stays to try again what post_done could not do is not waited for:
 * it may need this one, to free memory or to run the loop. Answers whether all have. */
static bool wait_for_threads(struct ioexecutor *executor)
{
    while (executor->threads > 0 && (executor->running.first != NULL || post_all_done()))
        pthread_cond_wait(&executor->progress, &executors_lock);
    return executor->threads == 0;
}

void ioexecutor_close(struct ioexecutor *executor, bool wait)
{
    lock_executor(executor);
    if (executor->closed) {
        unlock_executors();
        return;
    }
    executor->closed = true;
    if (executor == default_executor)
        default_executor = NULL;
    while (executor->waiting.first != NULL)
        finish_job(&executor->waiting, executor->waiting.first, -ECANCELED);
    discard_what_closed_loops_dropped();
    pthread_cond_broadcast(&executor->work_waits);
    bool ended = wait && wait_for_threads(executor);
    unlock_executors();

    for (size_t i = 0; i < executor->started; i++) {
        if (ended)
            pthread_join(executor->handles[i], NULL);
        else
            pthread_detach(executor->handles[i]);
    }
    lock_executors();
    drop_reference(executor);
    unlock_executors();
}

/* Jobs. */

static int accept_job(struct ioexecutor *executor, struct ioloop *loop, struct job *job)
{
    if (executor->closed)
        return EBADF;
    if (executor->waiting.count + executor->running.count >= executor->capacity)
        return EAGAIN;
    if (loopmember_is_stale(loop))
        return ESTALE;
    if (executor->waiting.count >= executor->idle && executor->threads < executor->max_threads)
        start_thread(executor);
    if (executor->threads == 0)
        return EAGAIN;
    job->outbox = find_or_add_outbox(loop);
    if (job->outbox == NULL)
        return ENOMEM;
    job->outbox->jobs++;
    executor->references++;
    job->id = ++last_job;
    job->forks = executor_forks;
    append_job(&executor->waiting, job);
    pthread_cond_signal(&executor->work_waits);
    return 0;
}

static struct job *new_job(struct ioexecutor *executor, const struct ioexecutorlayer_job *what)
{
    size_t size;
    bool is_too_large = __builtin_add_overflow(what->size, what->tail_size, &size) ||
                        __builtin_add_overflow(size, sizeof(struct job), &size);
    struct job *job = is_too_large ? NULL : ioalloc(size);

    if (job == NULL)
        return NULL;
    *job = (struct job){ .executor = executor, .work = what->work, .done = what->done, .discard = what->discard };
    job->arg = (void *)what->arg;
    if (what->size > 0)
        job->arg = memcpy(job->copy, what->arg, what->size);
    if (what->tail_size > 0)
        memcpy((char *)job->copy + what->size, what->tail, what->tail_size);
    return job;
}

uint64_t ioexecutorlayer_submit(struct ioexecutor *executor, struct ioloop *loop,
                                const struct ioexecutorlayer_job *what)
{
    struct job *job = new_job(executor, what);

    if (job == NULL)
        return errno = ENOMEM, 0;
    lock_executor(executor);
    int error = accept_job(executor, loop, job);
    uint64_t id = job->id; /* before it can be done and freed */
    unlock_executors();
    if (error == 0)
        return id;
    ioalloc_free(job);
    return errno = error, 0;
}

uint64_t ioexecutor_submit(struct ioexecutor *executor, struct ioloop *loop, ioexecutor_work_fn *work,
                           ioexecutor_done_fn *done, void *arg)
{
    const struct ioexecutorlayer_job what = { .work = work, .done = done, .arg = arg };

    if (executor == NULL && (executor = ioexecutor_default()) == NULL)
        return 0;
    return ioexecutorlayer_submit(executor, loop, &what);
}

void ioexecutorlayer_end_loop(struct ioloop *loop)
{
    lock_executors();
    struct outbox *outbox = find_outbox(loop);
    if (outbox != NULL)
        discard_done(outbox);
    unlock_executors();
}

static struct job *find_job(const struct joblist *list, uint64_t id)
{
    struct job *job = list->first;

    while (job != NULL && job->id != id)
        job = job->next;
    return job;
}

static int cancel_if_waiting(struct ioexecutor *executor, uint64_t id)
{
    struct job *job = find_job(&executor->waiting, id);

    if (job == NULL)
        return find_job(&executor->running, id) != NULL ? -EBUSY : -ENOENT;
    finish_job(&executor->waiting, job, -ECANCELED);
    return 0;
}

int ioexecutor_cancel(struct ioexecutor *executor, uint64_t id)
{
    int error = -ENOENT;

    lock_executors();
    for (struct ioexecutor *known = executors; known != NULL; known = known->next) {
        /* In a child of fork() the jobs are the parent's: unknown. */
        if (known == executor && known->forks == executor_forks) {
            error = cancel_if_waiting(executor, id);
            break;
        }
    }
    unlock_executors();
    return error;
}
