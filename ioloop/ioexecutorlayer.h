/* Internal: ioexecutorlayer.h, jobs of the library's own: with an arg that lives and goes with the job. */
#ifndef IOLOOP_IOEXECUTORLAYER_H
#define IOLOOP_IOEXECUTORLAYER_H

#include <stddef.h>

#include "ioloop/ioexecutor.h"

struct ioexecutorlayer_job {
    ioexecutor_work_fn *work;
    ioexecutor_done_fn *done;
    void (*discard)(void *arg); /* instead of done, when the loop has closed; on any thread. NULL: nothing */
    const void *arg;
    size_t size; /* not 0: so many bytes of arg are copied, and the functions get the copy, */
    const void *tail;
    size_t tail_size; /* with so many of tail behind them */
};

/* As ioexecutor_submit. */
uint64_t ioexecutorlayer_submit(struct ioexecutor *executor, struct ioloop *loop,
                                const struct ioexecutorlayer_job *what);

/* The loop has dropped its callbacks: what waited there to be told is discarded. */
void ioexecutorlayer_end_loop(struct ioloop *loop);

#endif
