/* Internal: childscene.h, what the tests of iosubprocess share: a loop, a child that runs a line of the shell, what its
 * exit was told as, what a stream of it brought, and that nothing of it is left.
 *
 *     open_scene();
 *     struct exited exited = { 0 };
 *     run_shell("exit 7", NULL, &exited);
 *     testing_run_until(loop, &exited.told);
 *     close_scene(); */
#ifndef TESTS_SUPPORT_CHILDSCENE_H
#define TESTS_SUPPORT_CHILDSCENE_H

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "ioloop/iostream.h"
#include "ioloop/iosubprocess.h"
#include "tests/support/faults.h"
#include "tests/support/testing.h"

static struct ioloop *loop;
static long allocated; /* before the loop was opened */

struct exited {
    int calls, error, status;
    bool told;
};

struct brought {
    char text[4096];
    size_t length;
    int error;
    bool done;
};

static inline void open_scene(void)
{
    allocated = faults_allocated();
    loop = ioloop_new(NULL);
    assert_non_null(loop);
}

/* No child is left, running or not reaped, and no memory. */
static inline void close_scene(void)
{
    ioloop_close(loop, false);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    assert_int_equal(faults_allocated(), allocated);
}

static inline void note_exit(struct iosubprocess *child, int error, int status, void *arg)
{
    struct exited *exited = arg;

    exited->calls++;
    exited->error = error;
    exited->status = status;
    exited->told = true;
}

static inline void note_bytes(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct brought *brought = arg;

    assert_true(length < sizeof brought->text);
    memcpy(brought->text, data, length);
    brought->text[length] = '\0';
    brought->length = length;
    brought->error = error;
    brought->done = true;
}

static inline struct iosubprocess *start_shell(const char *line, const struct iosubprocess_options *options)
{
    const char *argv[] = { "sh", "-c", line, NULL };

    return iosubprocess_new(loop, argv, options);
}

static inline struct iosubprocess *run_shell(const char *line, const struct iosubprocess_options *options,
                                             struct exited *exited)
{
    struct iosubprocess *child = start_shell(line, options);

    assert_non_null(child);
    if (exited != NULL)
        iosubprocess_set_exit_callback(child, note_exit, exited);
    return child;
}

/* Runs until the child has ended and all that it wrote has come. */
static inline void run_to_end(const char *line, struct iosubprocess_options options, struct exited *exited,
                              struct brought *brought)
{
    options.out = IOSUBPROCESS_STREAM;
    struct iosubprocess *child = run_shell(line, &options, exited);

    assert_int_equal(iostream_read_until_close(iosubprocess_stdout(child), 0, note_bytes, brought), 0);
    testing_run_until(loop, &brought->done);
    testing_run_until(loop, &exited->told);
    testing_spin(loop, 2);
    assert_int_equal(exited->calls, 1);
}

/* What it prints, and that it ends with 0. */
static inline void assert_prints(const char *line, struct iosubprocess_options options, const char *wanted)
{
    struct exited exited = { .error = 1 };
    struct brought brought = { .error = 1 };

    run_to_end(line, options, &exited, &brought);
    assert_string_equal(brought.text, wanted);
    assert_int_equal(exited.error, 0);
    assert_int_equal(exited.status, 0);
}

static inline bool is_alive(pid_t pid)
{
    return kill(pid, 0) == 0;
}

#endif
