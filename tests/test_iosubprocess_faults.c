/* Children where calls and allocations fail, where there are no pidfds, and on many threads. */
#include "ioloop/iosubprocess.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "ioloop/iofuture.h"
#include "tests/support/childscene.h"

static const struct iosubprocess_options with_streams = {
    .in = IOSUBPROCESS_STREAM,
    .out = IOSUBPROCESS_STREAM,
    .err = IOSUBPROCESS_STREAM,
};

/* A whole life, as far as it comes; the error that it met. */
static int live(void)
{
    struct exited exited = { .error = 1 };
    struct iosubprocess *child = start_shell("read -r line; exit 3", &with_streams);

    if (child == NULL)
        return -errno;
    iosubprocess_set_exit_callback(child, note_exit, &exited);
    struct iofuture *future = iosubprocess_wait_for_exit(child, true);
    int error = future == NULL ? -errno : 0;
    if (future != NULL)
        iofuture_hold(future);
    iostream_close(iosubprocess_stdin(child));
    iostream_close(iosubprocess_stdout(child));
    iostream_close(iosubprocess_stderr(child));
    testing_run_until(loop, &exited.told);
    assert_int_equal(exited.status, 3);
    if (future != NULL) {
        assert_int_equal(iofuture_error(future), -ECHILD);
        iofuture_release(future);
    }
    return error;
}

static void every_allocation_may_fail(void **state)
{
    bool was_hit = true;
    int failures = 0;

    for (int nth = 1; was_hit; nth++) {
        open_scene();
        faults_allocation(nth, false);
        int error = live();
        faults_allocation(0, false);
        was_hit = error < 0;
        if (was_hit)
            assert_int_equal(error, -ENOMEM);
        failures += was_hit;
        testing_spin(loop, 2);
        close_scene();
    }
    assert_in_range(failures, 5, 50);
}

static const struct {
    const char *call;
    int error;
} calls[] = {
    { "pipe2", EMFILE },      { "socketpair", ENFILE }, { "fork", EAGAIN },      { "fork", ENOMEM },
    { "pidfd_open", EMFILE }, { "fcntl", EBADF },       { "getsockopt", EBADF },
#ifdef __linux__
    { "epoll_ctl", ENOSPC },
#endif
};

/* Here, or in the child, which then tells. */
static void every_system_call_may_fail(void **state)
{
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        bool failed = true;

        for (int nth = 1; failed; nth++) {
            open_scene();
            int fds = testing_count_fds();
            faults_system_call(calls[i].call, calls[i].error, nth);
            struct iosubprocess *child = start_shell("exit 0", &with_streams);
            int error = errno;
            faults_end();
            failed = child == NULL;
            assert_true(failed || nth > 1);
            if (failed) {
                assert_int_equal(error, calls[i].error);
                assert_int_equal(testing_count_fds(), fds);
                assert_int_equal(live(), 0);
            } else {
                assert_int_equal(waitpid(iosubprocess_pid(child), NULL, 0), iosubprocess_pid(child));
                iosubprocess_close(child);
            }
            testing_spin(loop, 2);
            close_scene();
        }
    }
}

/* Without pidfds. */

static const int forbidden[] = { ENOSYS, EPERM };

static void handle(int signal_number)
{
}

static void handle_on_loop(int signal_number, void *arg)
{
}

static void sigchld_tells_where_there_are_no_pidfds(void **state)
{
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++) {
        struct exited exited[5] = { { .error = 1 } };
        struct sigaction after;

        signal(SIGCHLD, handle);
        open_scene();
        faults_system_call_sticky("pidfd_open", forbidden[i], 1);
        for (int j = 0; j < 5; j++) {
            const char *argv[] = { "sh", "-c", "exit $0", (const char *[]){ "0", "1", "2", "3", "4" }[j], NULL };
            struct iosubprocess *child = iosubprocess_new(loop, argv, NULL);
            assert_non_null(child);
            iosubprocess_set_exit_callback(child, note_exit, &exited[j]);
        }
        assert_true(faults_hit());
        for (int j = 4; j >= 0; j--)
            testing_run_until(loop, &exited[j].told);
        for (int j = 0; j < 5; j++) {
            assert_int_equal(exited[j].calls, 1);
            assert_int_equal(exited[j].error, 0);
            assert_int_equal(exited[j].status, j);
        }
        sigaction(SIGCHLD, NULL, &after);
        assert_true(after.sa_handler == handle); /* given back with the last of them */
        close_scene();
        signal(SIGCHLD, SIG_DFL);
    }
}

static void sigchld_is_for_those_without_a_pidfd_alone(void **state)
{
    struct exited first = { .error = 1 }, second = { .error = 1 }, third = { .error = 1 };
    struct iosubprocess_options options = { .in = IOSUBPROCESS_STREAM };
    struct sigaction after;

    open_scene();
    struct iosubprocess *with = run_shell("read -r line", &options, &first);
    faults_system_call_sticky("pidfd_open", ENOSYS, 1);
    struct iosubprocess *slow = run_shell("read -r line", &options, &second);
    run_shell("exit 3", NULL, &third);
    faults_end();
    testing_run_until(loop, &third.told); /* and is not held up by the slow one */
    assert_int_equal(third.status, 3);
    assert_int_equal(second.calls, 0);
    assert_int_equal(iosubprocess_kill(slow, SIGTERM), 0);
    testing_run_until(loop, &second.told);
    assert_int_equal(first.calls, 0);
    sigaction(SIGCHLD, NULL, &after);
    assert_true(after.sa_handler == SIG_DFL);
    assert_int_equal(iosubprocess_kill(with, SIGTERM), 0);
    testing_run_until(loop, &first.told);
    close_scene();
}

static void start_another(struct iosubprocess *child, int error, int status, void *arg)
{
    iosubprocess_close(child);
    assert_non_null(run_shell("exit 2", NULL, arg));
}

static void one_may_start_when_another_is_told(void **state)
{
    struct exited exited = { .error = 1 };

    open_scene();
    faults_system_call_sticky("pidfd_open", ENOSYS, 1);
    iosubprocess_set_exit_callback(run_shell("exit 1", NULL, NULL), start_another, &exited);
    testing_run_until(loop, &exited.told);
    assert_int_equal(exited.status, 2);
    faults_end();
    close_scene();
}

static void closed_ones_are_reaped_too(void **state)
{
    struct exited exited = { .error = 1 };
    struct iosubprocess_options options = { .in = IOSUBPROCESS_STREAM };

    open_scene();
    faults_system_call_sticky("pidfd_open", ENOSYS, 1);
    struct iosubprocess *closed = run_shell("read -r line", &options, NULL);
    struct iosubprocess *killed = run_shell("read -r line", &options, &exited);
    pid_t pid = iosubprocess_pid(closed);
    assert_int_equal(iosubprocess_kill(killed, SIGTERM), 0);
    iosubprocess_close(closed);
    testing_run_until(loop, &exited.told);
    assert_int_equal(exited.status, -SIGTERM);
    while (is_alive(pid))
        ioloop_run_once(loop, 0.01);
    faults_end();
    testing_spin(loop, 1);
    close_scene();
}

/* The program has taken it, or another loop. */
static void sigchld_may_be_taken(void **state)
{
    struct sigaction after;

    open_scene();
    struct ioloop *other = ioloop_new(NULL);
    assert_int_equal(ioloop_add_signal(other, SIGCHLD, handle_on_loop, NULL), 0);
    faults_system_call_sticky("pidfd_open", ENOSYS, 1);
    assert_null(start_shell("exit 0", &with_streams));
    assert_int_equal(errno, EEXIST);
    assert_true(faults_hit());
    ioloop_close(other, false);
    sigaction(SIGCHLD, NULL, &after);
    assert_true(after.sa_handler == SIG_DFL);
    testing_spin(loop, 1);
    close_scene();
}

static void a_failure_gives_sigchld_back(void **state)
{
    const char *argv[] = { "/nowhere", NULL };
    struct sigaction after;

    open_scene();
    faults_system_call_sticky("pidfd_open", ENOSYS, 1);
    assert_null(iosubprocess_new(loop, argv, NULL));
    assert_int_equal(errno, ENOENT);
    sigaction(SIGCHLD, NULL, &after);
    assert_true(after.sa_handler == SIG_DFL);
    assert_int_equal(live(), 0);
    faults_end();
    close_scene();
}

static void a_loop_that_closes_gives_sigchld_back(void **state)
{
    struct exited exited = { .error = 1 };
    struct sigaction after;

    open_scene();
    faults_system_call_sticky("pidfd_open", ENOSYS, 1);
    pid_t pid = iosubprocess_pid(run_shell("sleep 60", NULL, &exited));
    ioloop_close(loop, false);
    assert_int_equal(exited.error, -ECANCELED);
    sigaction(SIGCHLD, NULL, &after);
    assert_true(after.sa_handler == SIG_DFL);
    faults_end();
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(faults_allocated(), allocated);
}

static void kill_does_without_pidfds(void **state)
{
    struct exited exited = { .error = 1 };

    open_scene();
    struct iosubprocess *child = run_shell("sleep 60", NULL, &exited);
    faults_system_call_sticky("pidfd_send_signal", ENOSYS, 1);
    assert_int_equal(iosubprocess_kill(child, SIGTERM), 0);
    faults_end();
    testing_run_until(loop, &exited.told);
    assert_int_equal(exited.status, -SIGTERM);
    close_scene();
}

/* Reaped by somebody else, so that the kernel may give its number to another process: a pidfd says so. */
static void kill_never_hits_another_process(void **state)
{
    struct exited exited = { .error = 1 };
    struct iosubprocess_options options = { .in = IOSUBPROCESS_STREAM };

    open_scene();
    struct iosubprocess *child = run_shell("read -r line", &options, &exited);
    iostream_close(iosubprocess_stdin(child));
    assert_int_equal(waitpid(iosubprocess_pid(child), NULL, 0), iosubprocess_pid(child));
    faults_count_reset();
    assert_int_equal(iosubprocess_kill(child, SIGTERM), -ESRCH);
    assert_int_equal(faults_count("pidfd_send_signal"), 1);
    testing_run_until(loop, &exited.told);
    assert_int_equal(exited.error, -ECHILD);
    assert_int_equal(iosubprocess_kill(child, SIGTERM), -ESRCH);
    assert_int_equal(faults_count("pidfd_send_signal"), 1);
    assert_int_equal(faults_count("kill"), 0);
    close_scene();
}

/* Many at once. */

#define THREADS  8
#define CHILDREN 10

static atomic_int right;

struct many {
    struct ioloop *loop;
    int left;
};

static void count_exit(struct iosubprocess *child, int error, int status, void *arg)
{
    struct many *many = arg;

    if (error == 0 && status == 6)
        atomic_fetch_add(&right, 1);
    if (--many->left == 0)
        ioloop_stop(many->loop);
}

static void *run_many(void *arg)
{
    struct many many = { .loop = ioloop_new(NULL), .left = CHILDREN };
    const char *argv[] = { "sh", "-c", "cat; exit 6", NULL };

    for (int i = 0; i < CHILDREN; i++) {
        struct iosubprocess *child = iosubprocess_new(many.loop, argv, &with_streams);
        if (child == NULL)
            return NULL;
        iosubprocess_set_exit_callback(child, count_exit, &many);
        iostream_close(iosubprocess_stdin(child));
    }
    ioloop_start(many.loop);
    ioloop_close(many.loop, false);
    return arg;
}

/* All inherit the descriptors of the others for a moment; none may keep one, or an end of file never comes. */
static void many_threads_have_children_at_the_same_time(void **state)
{
    pthread_t threads[THREADS];

    open_scene();
    right = 0;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_many, &right), 0);
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_non_null(result);
    }
    assert_int_equal(right, THREADS * CHILDREN);
    close_scene();
}

static void one_loop_has_many_children(void **state)
{
    open_scene();
    right = 0;
    struct many many = { .loop = loop, .left = 100 };
    for (int i = 0; i < 100; i++)
        iosubprocess_set_exit_callback(run_shell("exit 6", NULL, NULL), count_exit, &many);
    assert_int_equal(ioloop_start(loop), 0);
    assert_int_equal(right, 100);
    close_scene();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_allocation_may_fail),
    cmocka_unit_test(every_system_call_may_fail),
    cmocka_unit_test(sigchld_tells_where_there_are_no_pidfds),
    cmocka_unit_test(sigchld_is_for_those_without_a_pidfd_alone),
    cmocka_unit_test(one_may_start_when_another_is_told),
    cmocka_unit_test(closed_ones_are_reaped_too),
    cmocka_unit_test(sigchld_may_be_taken),
    cmocka_unit_test(a_failure_gives_sigchld_back),
    cmocka_unit_test(a_loop_that_closes_gives_sigchld_back),
    cmocka_unit_test(kill_does_without_pidfds),
    cmocka_unit_test(kill_never_hits_another_process),
    cmocka_unit_test(many_threads_have_children_at_the_same_time),
    cmocka_unit_test(one_loop_has_many_children),
};

TESTING_MAIN(tests)
