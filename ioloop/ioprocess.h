/* ioprocess.h: several processes, tornado.process.
 *
 *     int id = ioprocess_fork_processes(0, 0);      // in each worker: its number; in the parent it does not return
 *
 * Before it: listeners that all workers share. After it: loops (one made before is opened anew by ioloop_reopen) and
 * threads.
 *
 * Units: a count of processes, seconds. */
#ifndef IOLOOP_IOPROCESS_H
#define IOLOOP_IOPROCESS_H

#include "ioloop/ioapi.h"

IOAPI_BEGIN

/* Processors that are online, 1 when that cannot be known. */
int ioprocess_cpu_count(void);

/* Forks count workers (0 or less: one a processor) and answers 0 to count - 1 in them. The parent supervises: a worker
 * that dies by a signal or with a status other than 0 is started again under the same number, max_restarts times over
 * all (0: 100; negative: never); one death more, and it ends the others by SIGTERM. SIGTERM, SIGINT and SIGHUP (those
 * it does not ignore) are passed on to the workers, which then are not restarted, and killed when they take too long
 * (ioprocess_set_end_timeout). When all have ended the parent exits: with 0 when each ended with 0, or by a signal that
 * was passed on; with 1 otherwise.
 *
 * Workers have the signal mask and handlers of the caller, stdio buffers that are empty, and rand() and random() seeded
 * anew. A negative errno value is answered, in the parent, only when not one worker could be started. */
int ioprocess_fork_processes(int count, int max_restarts);

/* Of the next ioprocess_fork_processes: how long its workers may take to end, from the first signal that is passed on.
 * Then they are killed (SIGKILL), and the parent exits with 1: one that hangs, or was stopped (SIGSTOP), would keep it
 * for ever. It should be more than what they take for requests in work (httpserver_options.close_timeout), and less
 * than the patience of who has started the parent: systemd has 90 s, Kubernetes 30 s, docker 10 s. 0: 60 s; INFINITY:
 * never. */
void ioprocess_set_end_timeout(double seconds);

/* This worker's number; -1 in a process that ioprocess_fork_processes did not make. */
int ioprocess_task_id(void);

IOAPI_END
#endif
