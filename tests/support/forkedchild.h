/* Internal: forkedchild.h, for tests of what is left in a child of fork(): it says what is wrong there, and ends
 * with 1.
 *
 *     pid_t child = fork_child();
 *     if (child == 0) {
 *         CHECK(ioloop_start(loop) == -ESTALE);
 *         _exit(0);
 *     }
 *     wait_for(child); */
#ifndef TESTS_SUPPORT_FORKEDCHILD_H
#define TESTS_SUPPORT_FORKEDCHILD_H

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/testing.h"

/* In a child, where a failed assertion would go on with the tests. */
#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                                    \
            _exit(1);                                                                                                  \
        }                                                                                                              \
    } while (0)

static inline pid_t fork_child(void)
{
    fflush(stdout);
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        testing_limit_time();
    return pid;
}

/* Until it has ended, and well. */
static inline void wait_for(pid_t child)
{
    int status;

    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static inline pid_t begin_child(void (*child)(void))
{
    pid_t pid = fork_child();

    if (pid == 0) {
        child();
        _exit(0);
    }
    return pid;
}

static inline void run_child(void (*child)(void))
{
    wait_for(begin_child(child));
}

#endif
