/* Internal: gate.h, where threads stay until the test lets them go.
 *
 *     pass_gate();        // in a thread
 *     await_entered(1);   // in the test: it is in there
 *     open_gate();        // for it, and for who comes later
 *
 * close_gate begins anew, when no thread is in there. */
#ifndef TESTS_SUPPORT_GATE_H
#define TESTS_SUPPORT_GATE_H

#include <pthread.h>
#include <stdbool.h>

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_open;
    int entered; /* since close_gate */
    int inside;
    int most; /* that were inside at the same time */
} the_gate = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static inline void close_gate(void)
{
    the_gate.is_open = false;
    the_gate.entered = the_gate.inside = the_gate.most = 0;
}

static inline void open_gate(void)
{
    pthread_mutex_lock(&the_gate.lock);
    the_gate.is_open = true;
    pthread_cond_broadcast(&the_gate.changed);
    pthread_mutex_unlock(&the_gate.lock);
}

static inline void await_entered(int count)
{
    pthread_mutex_lock(&the_gate.lock);
    while (the_gate.entered < count)
        pthread_cond_wait(&the_gate.changed, &the_gate.lock);
    pthread_mutex_unlock(&the_gate.lock);
}

static inline void pass_gate(void)
{
    pthread_mutex_lock(&the_gate.lock);
    the_gate.entered++;
    the_gate.inside++;
    if (the_gate.inside > the_gate.most)
        the_gate.most = the_gate.inside;
    pthread_cond_broadcast(&the_gate.changed);
    while (!the_gate.is_open)
        pthread_cond_wait(&the_gate.changed, &the_gate.lock);
    the_gate.inside--;
    pthread_mutex_unlock(&the_gate.lock);
}

#endif
