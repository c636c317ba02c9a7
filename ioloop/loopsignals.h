/* Internal: loopsignals.h, what signal handlers leave for a loop. Everything they may call is free of locks and of
 * allocations and keeps errno.
 *
 * The ring is a bounded queue of many producers and one consumer: each cell has a turn number that says whose it is.
 * A producer that is itself interrupted between claiming a cell and filling it holds up the cells behind it only
 * until it goes on, which it does before the loop's thread can run on. */
#ifndef IOLOOP_LOOPSIGNALS_H
#define IOLOOP_LOOPSIGNALS_H

#include <stdatomic.h>
#include <stdbool.h>

#include "ioloop/ioloop.h"

#define LOOPSIGNALS_RING 128u

struct loopsignals_cell {
    atomic_uint turn;
    ioloop_callback_fn *callback;
    void *arg;
};

struct loopsignals_watch;

struct loopsignals {
    struct loopsignals_cell ring[LOOPSIGNALS_RING];
    atomic_uint tail;
    unsigned head;
    struct loopsignals_watch *watches;
};

void loopsignals_init(struct loopsignals *signals);

/* From signal handlers. False: full. */
bool loopsignals_push(struct loopsignals *signals, ioloop_callback_fn *callback, void *arg);

/* The loop's side. */
bool loopsignals_pop(struct loopsignals *signals, ioloop_callback_fn **callback, void **arg);

int loopsignals_add(struct loopsignals *signals, struct ioloop *loop, int signal_number, ioloop_signal_fn *callback,
                    void *arg);
void loopsignals_remove(struct loopsignals *signals, int signal_number);
void loopsignals_remove_all(struct loopsignals *signals);

/* One of the signals that came, and whom to call for it. False: none. */
struct loopsignals_call {
    ioloop_signal_fn *callback;
    void *arg;
    int signal_number;
};
bool loopsignals_take(struct loopsignals *signals, struct loopsignals_call *call);

/* In a child of fork(), whose one thread is not in a signal handler of ours. */
void loopsignals_forked(void);

/* The loop has something from a signal handler; wakes it. In ioloop.c. */
void loopsignals_notify(struct ioloop *loop);

#endif
