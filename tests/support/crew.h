/* Internal: crew.h, for tests of ioprocess.h: a supervising parent and its workers, who tell the test by a pipe where
 * they are, and by memory that all share what they have seen.
 *
 *     struct crew crew = start_crew(3, 0, NULL, wait_for_the_end);
 *     hear(crew, 3);
 *     kill(crew.parent, SIGTERM);
 *     assert_int_equal(status_of(crew), 0);
 *
 * fork is this file's: it fails on order. */
#ifndef TESTS_SUPPORT_CREW_H
#define TESTS_SUPPORT_CREW_H

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ioloop/iolog.h"
#include "ioloop/ioloop.h"
#include "ioloop/ioprocess.h"
#include "tests/support/testing.h"

/* What all processes of a test see. */
static struct {
    atomic_int starts[256]; /* of the workers, by number */
    atomic_int pids[256];
    atomic_int numbers[8];
    atomic_int warnings, give_ups, shortages, signalled;
    atomic_int clock;              /* of the supervising parent, ms; 0: the system's */
    atomic_int looks, naps;        /* of that: at its clock, and sleeps */
    atomic_int has_no_random;      /* the kernel, for workers */
    atomic_int forks;              /* of the supervising parent */
    atomic_int forks_that_succeed; /* before so many fail; */
    atomic_int forks_that_fail;
} * shared;

/* fork, as the library sees it: on order it fails. */
pid_t fork(void)
{
    static pid_t (*real)(void);

    if (real == NULL) {
        void *found = dlsym(RTLD_NEXT, "fork");
        memcpy(&real, &found, sizeof real);
    }
    if (atomic_fetch_add(&shared->forks, 1) >= shared->forks_that_succeed && shared->forks_that_fail > 0) {
        atomic_fetch_sub(&shared->forks_that_fail, 1);
        return errno = ENOMEM, -1;
    }
    return real();
}

static inline void count_logs(enum iolog_channel channel, enum iolog_level level, const char *text, void *arg)
{
    atomic_fetch_add(&shared->warnings, level == IOLOG_WARNING);
    atomic_fetch_add(&shared->give_ups, strstr(text, "too many restarts") != NULL);
    atomic_fetch_add(&shared->shortages,
                     strstr(text, "cannot start") != NULL && strstr(text, ioloop_strerror(-ENOMEM)));
    atomic_fetch_add(&shared->signalled, strstr(text, "killed by signal") != NULL);
}

/* A supervising parent. The pipe's other end is in it and in all its workers: at the end of file they are gone. */
struct crew {
    pid_t parent;
    int fd;
};

static int to_test; /* the other end */

typedef int worker_fn(int id, int life);

static inline int run_worker(int id, worker_fn *function)
{
    testing_limit_time();
    if (ioprocess_task_id() != id)
        return 99;
    shared->pids[id] = getpid();
    return function(id, atomic_fetch_add(&shared->starts[id], 1));
}

static inline struct crew start_crew(int count, int max_restarts, void (*prepare)(void), worker_fn *function)
{
    struct crew crew;
    int fds[2];

    memset(shared, 0, sizeof *shared);
    assert_int_equal(pipe(fds), 0);
    fflush(NULL);
    crew = (struct crew){ fork(), fds[0] };
    assert_true(crew.parent >= 0);
    if (crew.parent != 0) {
        close(fds[1]);
        return crew;
    }
    close(fds[0]);
    to_test = fds[1];
    signal(SIGALRM, SIG_DFL);
    testing_limit_time();
    iolog_set_function(count_logs, NULL);
    iolog_set_rate(UINT_MAX);
    if (prepare != NULL)
        prepare();
    shared->forks = 0;
    int id = ioprocess_fork_processes(count, max_restarts);
    _exit(id < 0 ? 100 - id : run_worker(id, function));
}

static inline void say(char what)
{
    if (write(to_test, &what, 1) != 1)
        _exit(98);
}

static inline void hear(struct crew crew, int count)
{
    for (char byte; count > 0; count--)
        assert_int_equal(read(crew.fd, &byte, 1), 1);
}

/* Until all processes are gone. Answers how many bytes came; the status is the parent's, or -signal. */
static inline int end_crew(struct crew crew, int *status)
{
    char bytes[256];
    int count = 0;

    for (ssize_t got; (got = read(crew.fd, bytes, sizeof bytes)) > 0;)
        count += (int)got;
    close(crew.fd);
    assert_int_equal(waitpid(crew.parent, status, 0), crew.parent);
    *status = WIFEXITED(*status) ? WEXITSTATUS(*status) : -WTERMSIG(*status);
    return count;
}

static inline int status_of(struct crew crew)
{
    int status;

    end_crew(crew, &status);
    return status;
}

static inline int wait_forever(void)
{
    while (pause() < 0)
        continue;
    return 1;
}

static inline int wait_for_the_end(int id, int life)
{
    say('r');
    return wait_forever();
}

/* The main of a program of tests. */
#define CREW_MAIN(tests)                                                                                               \
    int main(void)                                                                                                     \
    {                                                                                                                  \
        shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);                \
        if (shared == MAP_FAILED)                                                                                      \
            return 2;                                                                                                  \
        return testing_run(__FILE__, tests, sizeof tests / sizeof *tests);                                             \
    }

#endif
