#include "ioloop/ioprocess.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ioloop/ioalloc.h"
#include "ioloop/iolog.h"
#include "ioloop/ioloop.h"
#include "ioloop/ioprocesslayer.h"
#include "ioloop/kernel.h"

#define MAX_RESTARTS 100
#define END_TIMEOUT  60.0

static const int supervised[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };

#define SUPERVISED (sizeof supervised / sizeof *supervised)

struct worker {
    pid_t pid; /* 0: does not run */
    bool due;  /* to be started */
};

struct supervisor {
    struct worker *workers;
    int count;
    int restarts_left;
    bool ending;                         /* nothing is started any more */
    double deadline;                     /* on the monotonic clock: then those who have not ended are killed */
    ioprocesslayer_ending_fn *on_ending; /* NULL: nobody wants to know that */
    void *on_ending_arg;
    bool failed;                          /* exits with 1 */
    bool told;                            /* that a worker cannot be started */
    int error;                            /* why the last one could not */
    sigset_t wanted;                      /* signals to wait for: those supervised that were not ignored */
    sigset_t passed;                      /* that the workers were sent */
    sigset_t mask;                        /* as it was before, */
    struct sigaction actions[SUPERVISED]; /* and as they were */
};

static int task_id = -1;
static double time_to_end = END_TIMEOUT;

static _Atomic(pthread_t) supervising_thread;

int ioprocess_cpu_count(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);

    return count > 0 ? (int)count : 1;
}

int ioprocess_task_id(void)
{
    return task_id;
}

void ioprocess_set_end_timeout(double seconds)
{
    time_to_end = seconds > 0 ? seconds : END_TIMEOUT;
}

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Signals. */

/* Another thread of the process got it. This one has it blocked, and finds it in its wait. */
static void hand_over_signal(int signal_number)
{
    int saved = errno;

    pthread_kill(supervising_thread, signal_number);
    errno = saved;
}

/* The signals stay blocked in this thread, which takes them one by one when it waits: so none can come between a look
 * and the wait. SIGCHLD needs a handler also because some systems forget a signal that would be ignored. What the
 * program itself ignores (nohup) stays ignored. */
static void take_signals(struct supervisor *supervisor)
{
    struct sigaction action = { .sa_handler = hand_over_signal, .sa_flags = SA_NOCLDSTOP | SA_RESTART };

    supervising_thread = pthread_self();
    sigemptyset(&supervisor->wanted);
    sigemptyset(&supervisor->passed);
    sigfillset(&action.sa_mask);
    for (size_t i = 0; i < SUPERVISED; i++) {
        sigaction(supervised[i], NULL, &supervisor->actions[i]);
        if (supervisor->actions[i].sa_handler != SIG_IGN || supervised[i] == SIGCHLD)
            sigaddset(&supervisor->wanted, supervised[i]);
    }
    pthread_sigmask(SIG_BLOCK, &supervisor->wanted, &supervisor->mask);
    for (size_t i = 0; i < SUPERVISED; i++) {
        if (sigismember(&supervisor->wanted, supervised[i]) == 1)
            sigaction(supervised[i], &action, NULL);
    }
}

/* The handlers first: what came since the fork is then treated as the program wants it. */
static void give_back_signals(const struct supervisor *supervisor)
{
    for (size_t i = 0; i < SUPERVISED; i++)
        sigaction(supervised[i], &supervisor->actions[i], NULL);
    pthread_sigmask(SIG_SETMASK, &supervisor->mask, NULL);
}

static bool is_any_due(const struct supervisor *supervisor)
{
    for (int i = 0; i < supervisor->count; i++) {
        if (supervisor->workers[i].due)
            return true;
    }
    return false;
}

static bool is_any_pending(const struct supervisor *supervisor)
{
    sigset_t pending;

    sigpending(&pending);
    for (size_t i = 0; i < SUPERVISED; i++) {
        if (sigismember(&supervisor->wanted, supervised[i]) == 1 && sigismember(&pending, supervised[i]) == 1)
            return true;
    }
    return false;
}

/* The number of the signal; 0 when none has come, and there is something else to do: a worker that could not be started
 * is due again, a second later, or the end has a deadline, which is looked at every 10 ms (not every system has
 * sigtimedwait). Of several the one with the lowest number, so that what makes workers end is seen before their end
 * is. */
static int wait_for_signal(const struct supervisor *supervisor)
{
    const struct timespec second = { .tv_sec = 1 }, moment = { .tv_nsec = 10000000 };
    bool is_due = is_any_due(supervisor);
    int signal_number = 0;

    if (is_due || (supervisor->ending && supervisor->deadline < HUGE_VAL)) {
        nanosleep(is_due ? &second : &moment, NULL);
        if (!is_any_pending(supervisor))
            return 0;
    }
    sigwait(&supervisor->wanted, &signal_number);
    return signal_number;
}

/* Workers. */

static void reseed(void)
{
    unsigned seed;

    if (kernel_random(&seed, sizeof seed) < 0)
        seed = (unsigned)getpid() << 16 ^ (unsigned)time(NULL); /* of two in one second or the next: not the same */
    srand(seed);
    srandom(seed);
}

/* Answers true in the worker. In the parent a worker that cannot be started stays due. */
static bool start_worker(struct supervisor *supervisor, int id)
{
    fflush(NULL); /* or each worker would write what waits there once more */
    pid_t pid = fork();

    if (pid > 0)
        supervisor->workers[id] = (struct worker){ .pid = pid };
    else if (pid < 0)
        supervisor->error = -errno;
    if (pid != 0)
        return false;
    give_back_signals(supervisor);
    ioalloc_free(supervisor->workers);
    task_id = id;
    reseed();
    return true;
}

static bool start_due_workers(struct supervisor *supervisor)
{
    for (int i = 0; i < supervisor->count; i++) {
        if (supervisor->workers[i].due && start_worker(supervisor, i))
            return true;
    }
    return false;
}

static int count_running(const struct supervisor *supervisor)
{
    int running = 0;

    for (int i = 0; i < supervisor->count; i++)
        running += supervisor->workers[i].pid != 0;
    return running;
}

static void end_workers(struct supervisor *supervisor, int signal_number)
{
    if (!supervisor->ending)
        supervisor->deadline = seconds_now() + time_to_end;
    supervisor->ending = true;
    if (supervisor->on_ending != NULL)
        supervisor->on_ending(supervisor->on_ending_arg);
    sigaddset(&supervisor->passed, signal_number);
    for (int i = 0; i < supervisor->count; i++) {
        struct worker *worker = &supervisor->workers[i];

        if (worker->due)
            supervisor->failed = true; /* the last it did was to die */
        worker->due = false;
        if (worker->pid != 0)
            kill(worker->pid, signal_number);
    }
}

/* Who has not ended by now hangs, or was stopped. */
static void kill_late_workers(struct supervisor *supervisor)
{
    if (!supervisor->ending || seconds_now() < supervisor->deadline)
        return;
    supervisor->deadline = HUGE_VAL;
    for (int i = 0; i < supervisor->count; i++) {
        pid_t pid = supervisor->workers[i].pid;

        if (pid == 0)
            continue;
        iolog_write(IOLOG_GENERAL, IOLOG_WARNING, "worker %d (pid %ld) does not end, killing it", i, (long)pid);
        kill(pid, SIGKILL);
    }
}

/* Supervision. */

static void log_death(int id, pid_t pid, int status, const char *what_now)
{
    if (WIFSIGNALED(status))
        iolog_write(IOLOG_GENERAL, IOLOG_WARNING, "worker %d (pid %ld) killed by signal %d, %s", id, (long)pid,
                    WTERMSIG(status), what_now);
    else
        iolog_write(IOLOG_GENERAL, IOLOG_WARNING, "worker %d (pid %ld) exited with status %d, %s", id, (long)pid,
                    WEXITSTATUS(status), what_now);
}

static void note_death(struct supervisor *supervisor, int id, int status)
{
    pid_t pid = supervisor->workers[id].pid;

    supervisor->workers[id].pid = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    if (supervisor->ending) {
        if (WIFSIGNALED(status) && sigismember(&supervisor->passed, WTERMSIG(status)) == 1)
            return;
        supervisor->failed = true;
        log_death(id, pid, status, "ending");
    } else if (supervisor->restarts_left > 0) {
        supervisor->restarts_left--;
        supervisor->workers[id].due = true;
        log_death(id, pid, status, "restarting");
    } else {
        supervisor->failed = true;
        log_death(id, pid, status, "too many restarts, giving up");
        end_workers(supervisor, SIGTERM);
    }
}

/* Any child, not only the workers: as the first process of a container this one also inherits orphans. */
static void reap(struct supervisor *supervisor)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (int i = 0; i < supervisor->count; i++) {
            if (supervisor->workers[i].pid == pid)
                note_death(supervisor, i, status);
        }
    }
}

static void log_lack_of_processes(struct supervisor *supervisor)
{
    bool short_of_processes = is_any_due(supervisor);

    if (short_of_processes && !supervisor->told)
        iolog_write(IOLOG_GENERAL, IOLOG_ERROR, "cannot start a worker, trying again every second: %s",
                    ioloop_strerror(supervisor->error));
    supervisor->told = short_of_processes;
}

/* Returns in a worker. */
static void supervise(struct supervisor *supervisor)
{
    while (count_running(supervisor) > 0 || is_any_due(supervisor)) {
        log_lack_of_processes(supervisor);
        int signal_number = wait_for_signal(supervisor);
        if (signal_number != 0 && signal_number != SIGCHLD)
            end_workers(supervisor, signal_number);
        reap(supervisor);
        kill_late_workers(supervisor);
        if (start_due_workers(supervisor))
            return;
    }
    exit(supervisor->failed ? 1 : 0);
}

int ioprocess_fork_processes(int count, int max_restarts)
{
    return ioprocesslayer_fork(count, max_restarts, NULL, NULL);
}

int ioprocesslayer_fork(int count, int max_restarts, ioprocesslayer_ending_fn *on_ending, void *arg)
{
    struct supervisor supervisor = { .count = count > 0 ? count : ioprocess_cpu_count(),
                                     .on_ending = on_ending,
                                     .on_ending_arg = arg };

    supervisor.restarts_left = max_restarts == 0 ? MAX_RESTARTS : max_restarts;
    supervisor.workers = ioalloc_array_resize(NULL, (size_t)supervisor.count, sizeof *supervisor.workers);
    if (supervisor.workers == NULL)
        return -ENOMEM;
    for (int i = 0; i < supervisor.count; i++)
        supervisor.workers[i] = (struct worker){ .due = true };
    take_signals(&supervisor);
    if (start_due_workers(&supervisor))
        return task_id;
    if (count_running(&supervisor) == 0) {
        give_back_signals(&supervisor);
        ioalloc_free(supervisor.workers);
        return supervisor.error;
    }
    supervise(&supervisor);
    return task_id;
}
