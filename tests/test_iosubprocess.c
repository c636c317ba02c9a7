#include "ioloop/iosubprocess.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>

#include "ioloop/iofuture.h"
#include "tests/support/childscene.h"

static const struct iosubprocess_options with_streams = {
    .in = IOSUBPROCESS_STREAM,
    .out = IOSUBPROCESS_STREAM,
    .err = IOSUBPROCESS_STREAM,
};

static void read_line(struct iostream *stream, struct brought *brought)
{
    brought->done = false;
    assert_int_equal(iostream_read_until(stream, "\n", 0, note_bytes, brought), 0);
    testing_run_until(loop, &brought->done);
}

/* process_test:test_subprocess */
static void talks_with_a_child_until_that_ends(void **state)
{
    open_scene();
    struct exited exited = { .error = 1 };
    struct brought brought = { .error = 1 };
    const char *line = "echo hello; while read -r word; do [ \"$word\" = bye ] && exit 3; echo \"<$word>\"; done";
    struct iosubprocess *child = run_shell(line, &with_streams, &exited);

    assert_int_equal(iosubprocess_kill(child, 0), 0);
    read_line(iosubprocess_stdout(child), &brought);
    assert_string_equal(brought.text, "hello\n");
    assert_int_equal(iostream_write(iosubprocess_stdin(child), "one\n", 4, NULL, NULL), 0);
    read_line(iosubprocess_stdout(child), &brought);
    assert_string_equal(brought.text, "<one>\n");
    assert_int_equal(iostream_write(iosubprocess_stdin(child), "bye\n", 4, NULL, NULL), 0);
    brought.done = false;
    assert_int_equal(iostream_read_until_close(iosubprocess_stdout(child), 0, note_bytes, &brought), 0);
    iostream_close(iosubprocess_stderr(child));
    iostream_close(iosubprocess_stdin(child));
    testing_run_until(loop, &brought.done);
    assert_int_equal(brought.length, 0);
    testing_run_until(loop, &exited.told);
    assert_int_equal(exited.error, 0);
    assert_int_equal(exited.status, 3);
    close_scene();
}

/* process_test:test_close_stdin */
static void closing_its_input_is_an_end_of_file_for_the_child(void **state)
{
    open_scene();
    struct exited exited = { .error = 1 };
    struct brought brought = { .error = 1 };
    struct iosubprocess_options options = { .in = IOSUBPROCESS_STREAM, .out = IOSUBPROCESS_STREAM };
    struct iosubprocess *child = run_shell("cat; echo end", &options, &exited);

    assert_int_equal(iostream_write(iosubprocess_stdin(child), "a\n", 2, NULL, NULL), 0);
    iostream_close(iosubprocess_stdin(child));
    assert_null(iosubprocess_stdin(child));
    assert_int_equal(iostream_read_until_close(iosubprocess_stdout(child), 0, note_bytes, &brought), 0);
    testing_run_until(loop, &brought.done);
    assert_string_equal(brought.text, "a\nend\n");
    testing_run_until(loop, &exited.told);
    close_scene();
}

/* process_test:test_stderr */
static void reads_what_a_child_says_on_stderr(void **state)
{
    open_scene();
    struct exited exited = { .error = 1 };
    struct brought brought = { .error = 1 };
    struct iosubprocess_options options = { .err = IOSUBPROCESS_STREAM };
    struct iosubprocess *child = run_shell("printf hello >&2", &options, &exited);

    assert_null(iosubprocess_stdin(child));
    assert_null(iosubprocess_stdout(child));
    assert_int_equal(iostream_read_until_close(iosubprocess_stderr(child), 0, note_bytes, &brought), 0);
    testing_run_until(loop, &brought.done);
    assert_string_equal(brought.text, "hello");
    testing_run_until(loop, &exited.told);
    close_scene();
}

static const struct {
    const char *line;
    int status;
} ends[] = {
    { "exit 0", 0 },
    { "exit 1", 1 },
    { "exit 255", 255 },
    { "kill -TERM $$", -SIGTERM },
    { "kill -KILL $$", -SIGKILL },
    { "kill -PIPE $$", -SIGPIPE },
};

/* process_test:test_sigchild */
static void tells_once_how_a_child_has_ended(void **state)
{
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        open_scene();
        struct exited exited = { .error = 1 };

        run_shell(ends[i].line, NULL, &exited);
        testing_run_until(loop, &exited.told);
        testing_spin(loop, 3);
        assert_int_equal(exited.calls, 1);
        assert_int_equal(exited.error, 0);
        assert_int_equal(exited.status, ends[i].status);
        close_scene();
    }
}

/* process_test:test_sigchild_signal */
static void kills_a_child(void **state)
{
    const int signals[] = { SIGTERM, SIGKILL, SIGINT };

    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        open_scene();
        struct exited exited = { .error = 1 };
        struct iosubprocess_options options = { .in = IOSUBPROCESS_STREAM };
        struct iosubprocess *child = run_shell("read -r line", &options, &exited);

        assert_int_equal(iosubprocess_kill(child, signals[i]), 0);
        assert_int_equal(iosubprocess_kill(child, 12345), -EINVAL);
        testing_run_until(loop, &exited.told);
        assert_int_equal(exited.status, -signals[i]);
        close_scene();
    }
}

static void note_future(struct iofuture *future, void *arg)
{
    *(bool *)arg = true;
}

/* Holds it. */
static void wait_for_future(struct iofuture *future)
{
    bool done = false;

    assert_non_null(future);
    iofuture_hold(future);
    assert_int_equal(iofuture_add_callback(future, note_future, &done), 0);
    testing_run_until(loop, &done);
}

/* process_test:test_sigchild_future, process_test:test_wait_for_exit_raise,
 * process_test:test_wait_for_exit_raise_disabled */
static void waits_for_the_exit_as_a_future(void **state)
{
    static const struct {
        const char *line;
        bool raise_error;
        int error, status;
    } cases[] = {
        { "exit 0", true, 0, 0 },
        { "exit 0", false, 0, 0 },
        { "exit 1", true, -ECHILD, 0 },
        { "exit 1", false, 0, 1 },
        { "kill -TERM $$", true, -ECHILD, 0 },
        { "kill -TERM $$", false, 0, -SIGTERM },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        open_scene();
        struct iosubprocess *child = run_shell(cases[i].line, NULL, NULL);
        struct iofuture *future = iosubprocess_wait_for_exit(child, cases[i].raise_error);

        assert_null(iosubprocess_wait_for_exit(child, false));
        assert_int_equal(errno, EALREADY);
        wait_for_future(future);
        assert_int_equal(iofuture_error(future), cases[i].error);
        assert_int_equal((intptr_t)iofuture_result(future), cases[i].status);
        iofuture_release(future);
        assert_int_equal(iosubprocess_kill(child, SIGTERM), -ESRCH);
        iosubprocess_close(child);
        close_scene();
    }
}

static bool future_was_done;

static void look_at_future(struct iosubprocess *child, int error, int status, void *arg)
{
    struct iofuture **future = arg;

    future_was_done = iofuture_done(*future);
    iofuture_release(*future);
    *future = NULL;
}

static void the_future_is_set_before_the_callback_is_called(void **state)
{
    open_scene();
    struct iosubprocess *child = run_shell("exit 0", NULL, NULL);
    struct iofuture *future = iosubprocess_wait_for_exit(child, true);
    bool done = false;

    iofuture_hold(future);
    iosubprocess_set_exit_callback(child, look_at_future, &future);
    assert_int_equal(iofuture_add_callback(future, note_future, &done), 0);
    testing_run_until(loop, &done);
    assert_null(future);
    assert_true(future_was_done);
    close_scene();
}

static void a_future_may_be_cancelled(void **state)
{
    open_scene();
    struct exited exited = { .error = 1 };
    struct iosubprocess *child = run_shell("exit 1", NULL, &exited);

    testing_begin_logs();
    iofuture_cancel(iosubprocess_wait_for_exit(child, true));
    testing_run_until(loop, &exited.told);
    assert_int_equal(exited.status, 1);
    close_scene();
    assert_int_equal(testing_logs(NULL), 0);
}

static void tells_also_who_asks_when_it_has_ended(void **state)
{
    open_scene();
    struct exited exited = { .error = 1 };
    struct brought brought = { .error = 1 };
    struct iosubprocess_options options = { .out = IOSUBPROCESS_STREAM };
    struct iosubprocess *child = run_shell("exit 5", &options, NULL);
    struct iofuture *future = iosubprocess_wait_for_exit(child, false);

    assert_int_equal(iostream_read_until_close(iosubprocess_stdout(child), 0, note_bytes, &brought), 0);
    testing_run_until(loop, &brought.done);
    wait_for_future(future);
    iofuture_release(future);
    future = iosubprocess_wait_for_exit(child, false);
    wait_for_future(future);
    assert_int_equal((intptr_t)iofuture_result(future), 5);
    assert_int_equal(exited.calls, 0);
    iosubprocess_set_exit_callback(child, note_exit, &exited);
    assert_int_equal(exited.calls, 0);
    testing_spin(loop, 3);
    assert_int_equal(exited.calls, 1);
    assert_int_equal(exited.status, 5);
    iofuture_release(future);
    close_scene();
}

static void a_callback_may_be_taken_back(void **state)
{
    open_scene();
    struct exited exited = { .error = 1 };
    struct iosubprocess *child = run_shell("exit 5", NULL, NULL);
    struct iofuture *future = iosubprocess_wait_for_exit(child, false);

    wait_for_future(future);
    iofuture_release(future);
    iosubprocess_set_exit_callback(child, note_exit, &exited);
    iosubprocess_set_exit_callback(child, NULL, NULL);
    testing_spin(loop, 3);
    assert_int_equal(exited.calls, 0);
    iosubprocess_close(child);
    close_scene();
}

/* Closing. */

static void await_end_of(pid_t pid)
{
    while (is_alive(pid)) /* not even as a zombie */
        assert_true(ioloop_run_once(loop, 0.01) >= 0);
}

static void a_closed_one_goes_on_and_is_reaped(void **state)
{
    open_scene();
    struct exited exited = { .error = 1 };
    struct iosubprocess *child = run_shell("cat > /dev/null", &with_streams, &exited);
    pid_t pid = iosubprocess_pid(child);

    iosubprocess_close(child);
    iosubprocess_close(child);
    assert_int_equal(exited.calls, 0);
    assert_null(iosubprocess_stdin(child));
    assert_null(iosubprocess_stdout(child));
    assert_int_equal(iosubprocess_kill(child, SIGTERM), -EBADF);
    assert_null(iosubprocess_wait_for_exit(child, false));
    assert_int_equal(errno, EBADF);
    testing_spin(loop, 1);
    assert_int_equal(exited.calls, 1);
    assert_int_equal(exited.error, -ECANCELED);
    long before = faults_allocated();
    await_end_of(pid); /* of its input */
    testing_spin(loop, 2);
    assert_int_equal(faults_allocated(), before - 1);
    assert_int_equal(exited.calls, 1);
    close_scene();
}

static void closing_ends_the_future(void **state)
{
    open_scene();
    struct iosubprocess_options options = { .in = IOSUBPROCESS_STREAM };
    struct iosubprocess *child = run_shell("read -r line", &options, NULL);
    pid_t pid = iosubprocess_pid(child);
    struct iofuture *future = iosubprocess_wait_for_exit(child, true);

    iosubprocess_close(child);
    wait_for_future(future);
    assert_int_equal(iofuture_error(future), -ECANCELED);
    iofuture_release(future);
    await_end_of(pid);
    close_scene();
}

static struct iofuture *second_future;

static void use_and_close(struct iosubprocess *child, int error, int status, void *arg)
{
    note_exit(child, error, status, arg);
    assert_int_equal(iosubprocess_kill(child, SIGTERM), -ESRCH);
    second_future = iosubprocess_wait_for_exit(child, true);
    iofuture_hold(second_future);
    iosubprocess_set_exit_callback(child, use_and_close, arg);
    iosubprocess_set_exit_callback(child, NULL, NULL);
    assert_non_null(iosubprocess_stdout(child));
    iosubprocess_close(child);
    assert_int_equal(iosubprocess_kill(child, SIGTERM), -EBADF);
    iosubprocess_set_exit_callback(child, use_and_close, arg);
    assert_null(iosubprocess_wait_for_exit(child, true));
    assert_int_equal(errno, EBADF);
    assert_null(iosubprocess_stdout(child));
    iosubprocess_close(child);
}

static void a_callback_may_do_anything_with_its_child(void **state)
{
    open_scene();
    struct exited exited = { .error = 1 };
    struct iosubprocess *child = run_shell("exit 0", &with_streams, NULL);
    long before = faults_allocated();

    iosubprocess_set_exit_callback(child, use_and_close, &exited);
    testing_run_until(loop, &exited.told);
    testing_spin(loop, 3);
    assert_int_equal(exited.calls, 1);
    assert_true(iofuture_done(second_future));
    assert_int_equal(iofuture_error(second_future), 0);
    iofuture_release(second_future);
    testing_spin(loop, 1);
    assert_true(faults_allocated() < before); /* it is gone */
    close_scene();
}

/* A grandchild has the other end of the pipe, so the exit is told first. */
static void streams_live_on_when_the_exit_was_told(void **state)
{
    open_scene();
    struct exited exited = { .error = 1 };
    struct brought brought = { .error = 1 };
    struct iosubprocess *child =
        run_shell("exec 3<&0; (read -r line <&3; echo \"$line\") & exit 0", &with_streams, &exited);
    struct iostream *in = iosubprocess_stdin(child), *out = iosubprocess_stdout(child);

    iostream_close(iosubprocess_stderr(child));
    assert_int_equal(iostream_read_until_close(out, 0, note_bytes, &brought), 0);
    testing_run_until(loop, &exited.told);
    assert_false(brought.done);
    assert_int_equal(iostream_write(in, "late\n", 5, NULL, NULL), 0);
    testing_run_until(loop, &brought.done);
    assert_string_equal(brought.text, "late\n");
    iostream_close(in);
    close_scene();
}

static void a_loop_that_closes_leaves_the_child_alone(void **state)
{
    open_scene();
    struct exited exited = { .error = 1 };
    struct iosubprocess_options options = { .in = IOSUBPROCESS_STREAM };
    struct iosubprocess *child = run_shell("cat > /dev/null; sleep 60", &options, &exited);
    struct iosubprocess *closed = run_shell("sleep 60", NULL, NULL);
    pid_t pids[2] = { iosubprocess_pid(child), iosubprocess_pid(closed) };
    struct iofuture *future = iosubprocess_wait_for_exit(child, true);

    iofuture_hold(future);
    iosubprocess_close(closed);
    testing_spin(loop, 2);
    ioloop_close(loop, false);
    assert_int_equal(exited.calls, 1);
    assert_int_equal(exited.error, -ECANCELED);
    assert_int_equal(iofuture_error(future), -ECANCELED);
    iofuture_release(future);
    for (int i = 0; i < 2; i++) {
        assert_true(is_alive(pids[i]));
        kill(pids[i], SIGKILL);
        assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
    }
    assert_int_equal(faults_allocated(), allocated);
}

/* Ended, but the loop has not run since. */
static void a_loop_that_closes_tells_of_one_that_has_ended(void **state)
{
    open_scene();
    struct exited exited = { .error = 1 };
    siginfo_t info;
    struct iosubprocess *child = run_shell("exit 4", NULL, &exited);
    struct iosubprocess *silent = run_shell("exit 5", NULL, NULL);

    assert_int_equal(waitid(P_PID, (id_t)iosubprocess_pid(child), &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(waitid(P_PID, (id_t)iosubprocess_pid(silent), &info, WEXITED | WNOWAIT), 0);
    close_scene();
    assert_int_equal(exited.calls, 1);
    assert_int_equal(exited.error, 0);
    assert_int_equal(exited.status, 4);
}

static void a_closed_loop_starts_nothing(void **state)
{
    struct exited exited = { .error = 1 };

    open_scene();
    ioloop_hold(loop);
    ioloop_close(loop, false);
    assert_null(start_shell("exit 0", NULL));
    assert_int_equal(errno, EBADF);
    assert_null(start_shell("exit 0", &with_streams));
    assert_int_equal(errno, EBADF);
    assert_int_equal(exited.calls, 0);
    ioloop_release(loop);
    assert_int_equal(faults_allocated(), allocated);
}

static void takes_nobody_elses_child(void **state)
{
    open_scene();
    struct exited exited = { .error = 1 };
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(9);
    run_shell("exit 0", NULL, &exited);
    testing_run_until(loop, &exited.told);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 9);
    close_scene();
}

static void says_when_somebody_else_took_the_status(void **state)
{
    open_scene();
    struct exited exited = { .error = 1 };
    struct iosubprocess_options options = { .in = IOSUBPROCESS_STREAM };
    struct iosubprocess *child = run_shell("read -r line", &options, &exited);
    pid_t pid = iosubprocess_pid(child);
    struct iofuture *future = iosubprocess_wait_for_exit(child, false);

    iostream_close(iosubprocess_stdin(child));
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    wait_for_future(future);
    assert_int_equal(exited.calls, 1);
    assert_int_equal(exited.error, -ECHILD);
    assert_int_equal(iofuture_error(future), -ECHILD);
    iofuture_release(future);
    close_scene();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(talks_with_a_child_until_that_ends),
    cmocka_unit_test(closing_its_input_is_an_end_of_file_for_the_child),
    cmocka_unit_test(reads_what_a_child_says_on_stderr),
    cmocka_unit_test(tells_once_how_a_child_has_ended),
    cmocka_unit_test(kills_a_child),
    cmocka_unit_test(waits_for_the_exit_as_a_future),
    cmocka_unit_test(the_future_is_set_before_the_callback_is_called),
    cmocka_unit_test(a_future_may_be_cancelled),
    cmocka_unit_test(tells_also_who_asks_when_it_has_ended),
    cmocka_unit_test(a_callback_may_be_taken_back),
    cmocka_unit_test(a_closed_one_goes_on_and_is_reaped),
    cmocka_unit_test(closing_ends_the_future),
    cmocka_unit_test(a_callback_may_do_anything_with_its_child),
    cmocka_unit_test(streams_live_on_when_the_exit_was_told),
    cmocka_unit_test(a_loop_that_closes_leaves_the_child_alone),
    cmocka_unit_test(a_loop_that_closes_tells_of_one_that_has_ended),
    cmocka_unit_test(a_closed_loop_starts_nothing),
    cmocka_unit_test(takes_nobody_elses_child),
    cmocka_unit_test(says_when_somebody_else_took_the_status),
};

TESTING_MAIN(tests)
