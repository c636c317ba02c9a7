#include "ioloop/loopsignals.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>

#include "ioloop/ioalloc.h"

#define SIGNALS 65 /* 1 to 64 on every system that has one of our pollers */

struct loopsignals_watch {
    struct loopsignals_watch *next;
    ioloop_signal_fn *callback;
    void *arg;
    int signal_number;
    struct sigaction previous;
};

/* One loop of the process has a signal. handlers counts the signal handlers that are looking at owners now. */
static _Atomic(struct ioloop *) owners[SIGNALS];
static atomic_bool raised[SIGNALS];
static atomic_int handlers;

void loopsignals_init(struct loopsignals *signals)
{
    for (unsigned i = 0; i < LOOPSIGNALS_RING; i++)
        atomic_init(&signals->ring[i].turn, i);
    atomic_init(&signals->tail, 0);
    signals->head = 0;
    signals->watches = NULL;
}

bool loopsignals_push(struct loopsignals *signals, ioloop_callback_fn *callback, void *arg)
{
    unsigned position = atomic_load_explicit(&signals->tail, memory_order_relaxed);

    for (;;) {
        struct loopsignals_cell *cell = &signals->ring[position % LOOPSIGNALS_RING];
        int ahead = (int)(atomic_load_explicit(&cell->turn, memory_order_acquire) - position);

        if (ahead < 0)
            return false;
        if (ahead > 0) {
            position = atomic_load_explicit(&signals->tail, memory_order_relaxed);
        } else if (atomic_compare_exchange_weak(&signals->tail, &position, position + 1)) {
            cell->callback = callback;
            cell->arg = arg;
            atomic_store_explicit(&cell->turn, position + 1, memory_order_release);
            return true;
        }
    }
}

bool loopsignals_pop(struct loopsignals *signals, ioloop_callback_fn **callback, void **arg)
{
    struct loopsignals_cell *cell = &signals->ring[signals->head % LOOPSIGNALS_RING];

    if (atomic_load_explicit(&cell->turn, memory_order_acquire) != signals->head + 1)
        return false;
    *callback = cell->callback;
    *arg = cell->arg;
    atomic_store_explicit(&cell->turn, signals->head + LOOPSIGNALS_RING, memory_order_release);
    signals->head++;
    return true;
}

static void on_signal(int signal_number)
{
    int saved = errno;

    atomic_fetch_add(&handlers, 1);
    struct ioloop *loop = atomic_load(&owners[signal_number]);
    if (loop != NULL) {
        atomic_store(&raised[signal_number], true);
        loopsignals_notify(loop);
    }
    atomic_fetch_sub(&handlers, 1);
    errno = saved;
}

int loopsignals_add(struct loopsignals *signals, struct ioloop *loop, int signal_number, ioloop_signal_fn *callback,
                    void *arg)
{
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    struct ioloop *nobody = NULL;

    if (signal_number <= 0 || signal_number >= SIGNALS)
        return -EINVAL;
    struct loopsignals_watch *watch = ioalloc(sizeof *watch);
    if (watch == NULL)
        return -ENOMEM;
    *watch = (struct loopsignals_watch){ signals->watches, callback, arg, signal_number, { .sa_flags = 0 } };

    if (!atomic_compare_exchange_strong(&owners[signal_number], &nobody, loop)) {
        ioalloc_free(watch);
        return -EEXIST;
    }
    atomic_store(&raised[signal_number], false);
    sigfillset(&action.sa_mask);
    if (sigaction(signal_number, &action, &watch->previous) < 0) {
        int error = -errno;
        atomic_store(&owners[signal_number], NULL);
        ioalloc_free(watch);
        return error;
    }
    signals->watches = watch;
    return 0;
}

/* When this returns no signal handler, on no thread, looks at the loop any more. */
static void remove_watch(struct loopsignals_watch **link)
{
    struct loopsignals_watch *watch = *link;

    *link = watch->next;
    sigaction(watch->signal_number, &watch->previous, NULL);
    atomic_store(&owners[watch->signal_number], NULL);
    while (atomic_load(&handlers) != 0)
        sched_yield();
    ioalloc_free(watch);
}

void loopsignals_remove(struct loopsignals *signals, int signal_number)
{
    for (struct loopsignals_watch **link = &signals->watches; *link != NULL; link = &(*link)->next) {
        if ((*link)->signal_number == signal_number) {
            remove_watch(link);
            return;
        }
    }
}

void loopsignals_remove_all(struct loopsignals *signals)
{
    while (signals->watches != NULL)
        remove_watch(&signals->watches);
}

/* Each search starts anew: a callback may add and remove signals. */
bool loopsignals_take(struct loopsignals *signals, struct loopsignals_call *call)
{
    for (struct loopsignals_watch *watch = signals->watches; watch != NULL; watch = watch->next) {
        if (atomic_exchange(&raised[watch->signal_number], false)) {
            *call = (struct loopsignals_call){ watch->callback, watch->arg, watch->signal_number };
            return true;
        }
    }
    return false;
}

void loopsignals_forked(void)
{
    atomic_store(&handlers, 0);
}
