/* What a child starts with: descriptors, environment, folder, signals. */
#include "ioloop/iosubprocess.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "ioloop/kernel.h"
#include "tests/support/childscene.h"

static void gives_the_child_its_arguments(void **state)
{
    open_scene();
    const char *argv[] = { "printf", "<%s>", "a b", "", "$HOME", NULL };
    struct iosubprocess_options options = { .out = IOSUBPROCESS_STREAM };
    struct exited exited = { .error = 1 };
    struct brought brought = { .error = 1 };
    struct iosubprocess *child = iosubprocess_new(loop, argv, &options);

    assert_non_null(child);
    iosubprocess_set_exit_callback(child, note_exit, &exited);
    assert_int_equal(iostream_read_until_close(iosubprocess_stdout(child), 0, note_bytes, &brought), 0);
    testing_run_until(loop, &brought.done);
    assert_string_equal(brought.text, "<a b><><$HOME>");
    testing_run_until(loop, &exited.told);
    close_scene();
}

static void gives_it_this_environment_or_another(void **state)
{
    const char *environment[] = { "PATH=/usr/bin:/bin", "WORD=there", NULL };

    open_scene();
    assert_int_equal(setenv("WORD", "here", 1), 0);
    assert_prints("printf \"$WORD\"", (struct iosubprocess_options){ 0 }, "here");
    assert_prints("printf \"$WORD$HOME\"", (struct iosubprocess_options){ .environment = environment }, "there");
    unsetenv("WORD");
    close_scene();
}

static void seeks_the_program_in_the_path_of_the_child(void **state)
{
    const char *argv[] = { "sh", "-c", "exit 0", NULL };
    const char *environment[] = { "PATH=/nowhere", NULL };

    open_scene();
    assert_null(iosubprocess_new(loop, argv, &(struct iosubprocess_options){ .environment = environment }));
    assert_int_equal(errno, ENOENT);
    close_scene();
}

static void starts_in_a_folder(void **state)
{
    open_scene();
    assert_prints("pwd", (struct iosubprocess_options){ .directory = "/usr" }, "/usr\n");
    assert_null(start_shell("exit 0", &(struct iosubprocess_options){ .directory = "/nowhere" }));
    assert_int_equal(errno, ENOENT);
    assert_null(start_shell("exit 0", &(struct iosubprocess_options){ .directory = "/dev/null" }));
    assert_int_equal(errno, ENOTDIR);
    close_scene();
}

static void says_why_a_program_does_not_run(void **state)
{
    static const struct {
        const char *file;
        int error;
    } cases[] = {
        { "/nowhere/sh", ENOENT }, { "no-such-program", ENOENT }, { "/", EACCES }, { "/dev/null/x", ENOTDIR }
    };

    open_scene();
    assert_int_equal(setenv("PATH", "/usr/bin:/bin", 1), 0); /* a folder of it that may not be read is EACCES */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *argv[] = { cases[i].file, NULL };
        struct iosubprocess_options options = { .in = IOSUBPROCESS_STREAM, .err = IOSUBPROCESS_STREAM };
        assert_null(iosubprocess_new(loop, argv, &options));
        assert_int_equal(errno, cases[i].error);
    }
    close_scene();
}

static void refuses_what_makes_no_sense(void **state)
{
    static const struct iosubprocess_options cases[] = {
        { .in = -4 },
        { .in = IOSUBPROCESS_STDOUT },
        { .out = IOSUBPROCESS_STDOUT },
        { .in = IOSUBPROCESS_STREAM, .err = -100 },
    };
    const char *nothing[] = { NULL };

    open_scene();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_null(start_shell("exit 0", &cases[i]));
        assert_int_equal(errno, EINVAL);
    }
    assert_null(iosubprocess_new(loop, nothing, NULL));
    assert_int_equal(errno, EINVAL);
    assert_null(start_shell("exit 0", &(struct iosubprocess_options){ .in = 999 }));
    assert_int_equal(errno, EBADF);
    close_scene();
}

static void err_may_go_where_out_goes(void **state)
{
    open_scene();
    assert_prints("echo a; echo b >&2; echo c", (struct iosubprocess_options){ .err = IOSUBPROCESS_STDOUT },
                  "a\nb\nc\n");
    close_scene();
}

static void what_is_null_is_empty(void **state)
{
    struct iosubprocess_options options = { .in = IOSUBPROCESS_NULL, .err = IOSUBPROCESS_NULL };

    open_scene();
    assert_prints("cat && echo lost >&2 && echo end", options, "end\n");
    close_scene();
}

static void a_descriptor_that_is_given_stays_open_here(void **state)
{
    struct exited exited = { .error = 1 };
    struct iosubprocess_options options = { 0 };
    char bytes[10];
    int fds[2];

    open_scene();
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    options.out = options.err = fds[1];
    run_shell("echo a; echo b >&2", &options, &exited);
    testing_run_until(loop, &exited.told);
    assert_int_equal(write(fds[1], "c", 1), 1);
    assert_int_equal(read(fds[0], bytes, sizeof bytes), 5);
    assert_memory_equal(bytes, "a\nb\nc", 5);
    close(fds[0]);
    close(fds[1]);
    close_scene();
}

static size_t counted;

static size_t count_bytes(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    counted += length;
    *(bool *)arg = error != 0;
    return length;
}

/* Many programs do not know what to do with EAGAIN. */
static void the_childs_end_of_a_pipe_blocks(void **state)
{
    struct exited exited = { .error = 1 };
    struct iosubprocess_options options = { .out = IOSUBPROCESS_STREAM };
    bool done = false;

    open_scene();
    counted = 0;
    struct iosubprocess *child = run_shell("exec head -c 300000 /dev/zero", &options, &exited);
    testing_spin(loop, 5); /* the pipe fills, and nobody reads */
    assert_int_equal(iostream_set_consumer(iosubprocess_stdout(child), count_bytes, &done), 0);
    testing_run_until(loop, &done);
    testing_run_until(loop, &exited.told);
    assert_int_equal(counted, 300000);
    assert_int_equal(exited.status, 0);
    close_scene();
}

/* The second of the two processes is there to have other descriptors than a test has. */
static void check_in_process(int (*check)(void))
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        testing_limit_time();
        _exit(check());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static bool run_quietly(struct ioloop *own, const bool *done)
{
    while (!*done)
        ioloop_run_once(own, 0.01);
    return true;
}

static int talk_without_standard_descriptors(void)
{
    struct exited exited = { .error = 1 };
    struct brought brought = { .error = 1 };
    const char *argv[] = { "sh", "-c", "cat; echo error >&2", NULL };

    for (int i = 0; i < 3; i++)
        close(i);
    struct ioloop *own = ioloop_new(NULL);
    struct iosubprocess_options options = {
        .in = IOSUBPROCESS_STREAM,
        .out = IOSUBPROCESS_STREAM,
        .err = IOSUBPROCESS_STDOUT,
    };
    struct iosubprocess *child = own != NULL ? iosubprocess_new(own, argv, &options) : NULL;
    if (child == NULL)
        return 1;
    iosubprocess_set_exit_callback(child, note_exit, &exited);
    iostream_write(iosubprocess_stdin(child), "text ", 5, NULL, NULL);
    iostream_close(iosubprocess_stdin(child));
    if (iostream_read_until_close(iosubprocess_stdout(child), 0, note_bytes, &brought) != 0)
        return 2;
    if (!run_quietly(own, &brought.done) || !run_quietly(own, &exited.told))
        return 3;
    if (strcmp(brought.text, "text error\n") != 0)
        return 4;
    return exited.error == 0 && exited.status == 0 ? 0 : 5;
}

static void needs_no_standard_descriptors_here(void **state)
{
    check_in_process(talk_without_standard_descriptors);
}

/* Each has to be out of the way before another takes its place. */
static int give_descriptors_that_change_places(void)
{
    struct exited exited = { .error = 1 };
    struct brought brought = { .error = 1 };
    struct iosubprocess_options options = { .in = 2, .out = IOSUBPROCESS_STREAM, .err = 1 };
    struct ioloop *own = ioloop_new(NULL);
    char bytes[10];
    int in[2], err[2];

    if (own == NULL || pipe(in) < 0 || pipe(err) < 0 || write(in[1], "input", 5) != 5 || dup2(in[0], 2) < 0 ||
        dup2(err[1], 1) < 0)
        return 1;
    close(in[1]);
    loop = own;
    struct iosubprocess *child = run_shell("cat; printf error >&2", &options, &exited);
    if (iostream_read_until_close(iosubprocess_stdout(child), 0, note_bytes, &brought) != 0)
        return 2;
    if (!run_quietly(own, &brought.done) || !run_quietly(own, &exited.told))
        return 3;
    if (strcmp(brought.text, "input") != 0)
        return 4;
    return read(err[0], bytes, sizeof bytes) == 5 && memcmp(bytes, "error", 5) == 0 ? 0 : 5;
}

static void descriptors_may_change_places(void **state)
{
    check_in_process(give_descriptors_that_change_places);
}

static int give_descriptors_that_are_in_place(void)
{
    struct exited exited = { .error = 1 };
    struct iosubprocess_options options = { .err = 2 };
    char bytes[10];
    int err[2];

    loop = ioloop_new(NULL);
    if (loop == NULL || pipe(err) < 0 || dup2(err[1], 2) < 0 || fcntl(2, F_SETFD, FD_CLOEXEC) < 0)
        return 1;
    run_shell("printf error >&2", &options, &exited);
    if (!run_quietly(loop, &exited.told))
        return 2;
    return read(err[0], bytes, sizeof bytes) == 5 ? 0 : 3;
}

static void a_descriptor_in_its_place_is_given_too(void **state)
{
    check_in_process(give_descriptors_that_are_in_place);
}

static int send_errors_where_our_output_goes(void)
{
    struct exited exited = { .error = 1 };
    struct iosubprocess_options options = { .err = IOSUBPROCESS_STDOUT };
    char bytes[10];
    int out[2];

    loop = ioloop_new(NULL);
    if (loop == NULL || pipe(out) < 0 || dup2(out[1], 1) < 0)
        return 1;
    run_shell("printf error >&2", &options, &exited);
    if (!run_quietly(loop, &exited.told) || fcntl(out[0], F_SETFL, O_NONBLOCK) < 0)
        return 2;
    return read(out[0], bytes, sizeof bytes) == 5 ? 0 : 3;
}

static void err_may_go_where_an_inherited_out_goes(void **state)
{
    check_in_process(send_errors_where_our_output_goes);
}

static void pipes_for_children_are_close_on_exec(void **state)
{
    int fds[2];

    assert_int_equal(kernel_child_pipe(fds), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
        assert_int_equal(fcntl(fds[i], F_GETFL) & O_NONBLOCK, 0);
        close(fds[i]);
    }
    assert_int_equal(kernel_socketpair(fds), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
        assert_int_equal(fcntl(fds[i], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
        close(fds[i]);
    }
}

#ifdef __linux__

static void both_ends_of_pipes_block_in_the_child(void **state)
{
    struct iosubprocess_options options = { .in = IOSUBPROCESS_STREAM };

    open_scene();
    struct exited exited = { .error = 1 };
    struct brought brought = { .error = 1 };
    options.out = IOSUBPROCESS_STREAM;
    struct iosubprocess *child =
        run_shell("exec grep -h flags /proc/self/fdinfo/0 /proc/self/fdinfo/1", &options, &exited);
    assert_int_equal(iostream_read_until_close(iosubprocess_stdout(child), 0, note_bytes, &brought), 0);
    testing_run_until(loop, &brought.done);
    assert_string_equal(brought.text, "flags:\t00\nflags:\t01\n");
    iostream_close(iosubprocess_stdin(child));
    testing_run_until(loop, &exited.told);
    close_scene();
}

static void inherits_no_descriptor(void **state)
{
    int fds[2], high;

    open_scene();
    assert_int_equal(pipe(fds), 0); /* not close-on-exec */
    high = fcntl(fds[0], F_DUPFD, 500);
    assert_true(high >= 500);
    for (int times = 0; times < 2; times++) {
        const char *argv[] = { "ls", "/proc/self/fd", NULL };
        struct iosubprocess_options options = { .in = IOSUBPROCESS_STREAM, .out = IOSUBPROCESS_STREAM };
        struct exited exited = { .error = 1 };
        struct brought brought = { .error = 1 };

        if (times == 1)
            faults_system_call_sticky("close_range", ENOSYS, 1); /* in an old kernel */
        struct iosubprocess *child = iosubprocess_new(loop, argv, &options);
        faults_end();
        assert_non_null(child);
        iosubprocess_set_exit_callback(child, note_exit, &exited);
        assert_int_equal(iostream_read_until_close(iosubprocess_stdout(child), 0, note_bytes, &brought), 0);
        testing_run_until(loop, &brought.done);
        assert_string_equal(brought.text, "0\n1\n2\n3\n");
        iostream_close(iosubprocess_stdin(child));
        testing_run_until(loop, &exited.told);
    }
    close(fds[0]);
    close(fds[1]);
    close(high);
    close_scene();
}

static void ignore(int signal_number)
{
    signal(signal_number, SIG_IGN);
}

static void handle(int signal_number)
{
}

/* Signals 32 and 33 are libc's own: whoever has started this program may have made it ignore them, and no program can
 * change that. */
#define BUT_LIBC_S " | sed 's/000[01]8000/00000000/'"

static void has_no_signal_blocked_or_ignored(void **state)
{
    struct iosubprocess_options options = { .out = IOSUBPROCESS_STREAM };
    struct exited exited = { .error = 1 };
    struct brought brought = { .error = 1 };
    sigset_t all, before;

    open_scene();
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    ignore(SIGPIPE);
    ignore(SIGUSR1);
    ignore(SIGRTMAX);
    signal(SIGUSR2, handle);
    struct iosubprocess *child = run_shell("grep -E '^Sig(Blk|Ign)' /proc/self/status" BUT_LIBC_S, &options, &exited);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGUSR1, SIG_DFL);
    signal(SIGRTMAX, SIG_DFL);
    signal(SIGUSR2, SIG_DFL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert_int_equal(iostream_read_until_close(iosubprocess_stdout(child), 0, note_bytes, &brought), 0);
    testing_run_until(loop, &brought.done);
    assert_string_equal(brought.text, "SigBlk:\t0000000000000000\n"
                                      "SigIgn:\t0000000000000000\n");
    testing_run_until(loop, &exited.told);
    close_scene();
}

static void what_a_shell_made_us_ignore_it_ignores(void **state)
{
    open_scene();
    ignore(SIGHUP);
    ignore(SIGQUIT);
    assert_prints("grep '^SigIgn' /proc/self/status" BUT_LIBC_S, (struct iosubprocess_options){ 0 },
                  "SigIgn:\t0000000000000005\n");
    signal(SIGHUP, SIG_DFL);
    signal(SIGQUIT, SIG_DFL);
    close_scene();
}

#endif

static void may_be_the_first_of_a_session(void **state)
{
    for (int times = 0; times < 2; times++) {
        struct exited exited = { .error = 1 };
        struct iosubprocess_options options = { .in = IOSUBPROCESS_STREAM, .new_session = times == 1 };

        open_scene();
        struct iosubprocess *child = run_shell("read -r line", &options, &exited);
        pid_t pid = iosubprocess_pid(child);
        assert_int_equal(getsid(pid), times == 1 ? pid : getsid(0));
        assert_int_equal(iosubprocess_kill(child, SIGKILL), 0);
        iostream_close(iosubprocess_stdin(child));
        testing_run_until(loop, &exited.told);
        close_scene();
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(gives_the_child_its_arguments),
    cmocka_unit_test(gives_it_this_environment_or_another),
    cmocka_unit_test(seeks_the_program_in_the_path_of_the_child),
    cmocka_unit_test(starts_in_a_folder),
    cmocka_unit_test(says_why_a_program_does_not_run),
    cmocka_unit_test(refuses_what_makes_no_sense),
    cmocka_unit_test(err_may_go_where_out_goes),
    cmocka_unit_test(what_is_null_is_empty),
    cmocka_unit_test(a_descriptor_that_is_given_stays_open_here),
    cmocka_unit_test(the_childs_end_of_a_pipe_blocks),
    cmocka_unit_test(needs_no_standard_descriptors_here),
    cmocka_unit_test(descriptors_may_change_places),
    cmocka_unit_test(a_descriptor_in_its_place_is_given_too),
    cmocka_unit_test(err_may_go_where_an_inherited_out_goes),
    cmocka_unit_test(pipes_for_children_are_close_on_exec),
#ifdef __linux__
    cmocka_unit_test(both_ends_of_pipes_block_in_the_child),
    cmocka_unit_test(inherits_no_descriptor),
    cmocka_unit_test(has_no_signal_blocked_or_ignored),
    cmocka_unit_test(what_a_shell_made_us_ignore_it_ignores),
#endif
    cmocka_unit_test(may_be_the_first_of_a_session),
};

TESTING_MAIN(tests)
