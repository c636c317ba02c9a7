/* Internal: ioprocesslayer.h, ioprocess_fork_processes for who holds something in the parent that only new workers
 * need. */
#ifndef IOLOOP_IOPROCESSLAYER_H
#define IOLOOP_IOPROCESSLAYER_H

typedef void ioprocesslayer_ending_fn(void *arg);

/* on_ending (NULL: nothing): in the parent, when from here on no worker is started any more; perhaps several times. */
int ioprocesslayer_fork(int count, int max_restarts, ioprocesslayer_ending_fn *on_ending, void *arg);

#endif
