/* ioprocess.h: several processes, tornado.process.
 *
 *     int id = ioprocess_fork_processes(0, 0);      // in each worker: its number; in the parent it does not return
 *
 * Before it: listeners that all workers share. After it: loops (one made before is opened anew by ioloop_reopen) and
 * threads.
 *
 * Units: a count of processes. */
#ifndef IOLOOP_IOPROCESS_H
#define IOLOOP_IOPROCESS_H

#include "ioloop/ioapi.h"

IOAPI_BEGIN

/* Processors that are online, 1 when that cannot be known. */
int ioprocess_cpu_count(void);

/* Forks count workers (0 or less: one a processor) and answers 0 to count - 1 in them. The parent supervises: a worker
 * that dies by a signal or with a status other than 0 is started again under the same number, max_restarts times over
 * all (0: 100; negative: never); one death more, and it ends the others by SIGTERM. SIGTERM, SIGINT and SIGHUP (those
 * it does not ignore) are passed on to the workers, which then are not restarted. When all have ended the parent exits:
 * with 0 when each ended with 0, or by a signal that was passed on; with 1 otherwise.
 *
 * Workers have the signal mask and handlers of the caller, stdio buffers that are empty, and rand() and random() seeded
 * anew. A negative errno value is answered, in the parent, only when not one worker could be started. */
int ioprocess_fork_processes(int count, int max_restarts);

/* This worker's number; -1 in a process that ioprocess_fork_processes did not make. */
int ioprocess_task_id(void);

IOAPI_END
#endif
