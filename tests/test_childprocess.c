#include "ioloop/childprocess.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ioloop/ioalloc.h"
#include "tests/support/faults.h"
#include "tests/support/testing.h"

static const struct {
    const char *name, *environment[3];
    const char *files[5];
} finds[] = {
    { "sh", { "PATH=/bin" }, { "/bin/sh" } },
    { "sh", { "HOME=/", "PATH=/a:/b/c:d" }, { "/a/sh", "/b/c/sh", "d/sh" } },
    { "sh", { "PATH=/a", "PATH=/b" }, { "/a/sh" } },
    { "sh", { "PATH=:/a::" }, { "sh", "/a/sh", "sh", "sh" } },
    { "sh", { "PATH=" }, { "sh" } },
    { "sh", { "PATHS=/a", "XPATH=/b" }, { "/usr/local/bin/sh", "/usr/bin/sh", "/bin/sh" } },
    { "sh", { NULL }, { "/usr/local/bin/sh", "/usr/bin/sh", "/bin/sh" } },
    { "./sh", { "PATH=/a:/b" }, { "./sh" } },
    { "/x/sh", { "PATH=/a:/b" }, { "/x/sh" } },
    { "", { "PATH=/a:/b" }, { "" } },
};

static void seeks_a_name_without_a_slash_in_the_folders_of_path(void **state)
{
    for (size_t i = 0; i < sizeof finds / sizeof *finds; i++) {
        const char *const *files = childprocess_find(finds[i].name, finds[i].environment);
        size_t count = 0;

        assert_non_null(files);
        for (; files[count] != NULL; count++) {
            assert_non_null(finds[i].files[count]);
            assert_string_equal(files[count], finds[i].files[count]);
        }
        assert_null(finds[i].files[count]);
        ioalloc_free((void *)files);
    }
}

static void finds_nothing_without_memory(void **state)
{
    faults_allocation(1, false);
    assert_null(childprocess_find("sh", (const char *[]){ "PATH=/a", NULL }));
    faults_end();
}

/* Children, in a folder of their own. */

static char folder[] = "/tmp/ioloop_childprocess_XXXXXX";

static void put_file(const char *name, const char *text, int mode)
{
    char path[100];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, mode);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void in_folder(void (*test)(void))
{
    strcpy(strrchr(folder, '_') + 1, "XXXXXX");
    assert_non_null(mkdtemp(folder));
    put_file("denied", "#!/bin/sh\nexit 1\n", 0600);
    put_file("seven", "#!/bin/sh\nexit 7\n", 0700);
    put_file("strange", "\001\002\003\004", 0700);
    put_file("lost", "#!/nowhere/sh\n", 0700);
    test();

    char command[100];
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

static struct childprocess_plan plan_of(const char *const *files)
{
    static const char *const argv[] = { "test", NULL };
    static const char *const environment[] = { NULL };

    return (struct childprocess_plan){ .files = files,
                                       .argv = argv,
                                       .environment = environment,
                                       .directory = folder,
                                       .fds = { CHILDPROCESS_NULL, CHILDPROCESS_NULL, CHILDPROCESS_NULL } };
}

/* What childprocess_go says, or else the status. */
static int run_files(const char *const *files)
{
    struct childprocess_plan plan = plan_of(files);
    struct childprocess child;
    int status;

    assert_int_equal(childprocess_start(&child, &plan), 0);
    int error = childprocess_go(&child);
    if (error < 0) {
        assert_int_equal(waitpid(child.pid, NULL, 0), -1); /* it was reaped */
        return error;
    }
    assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static const struct {
    const char *files[4];
    int result;
} runs[] = {
    { { "seven" }, 7 },
    { { "/bin/false", "seven" }, 1 },
    { { "nothing", "nothing/more", "seven" }, 7 },
    { { "seven/file", "seven" }, 7 },
    { { "denied", "seven" }, 7 },
    { { "nothing" }, -ENOENT },
    { { "lost" }, -ENOENT },
    { { "lost", "seven" }, 7 },
    { { "seven/file" }, -ENOTDIR },
    { { "denied" }, -EACCES },
    { { "nothing", "denied", "nothing" }, -EACCES },
    { { "strange", "seven" }, -ENOEXEC },
    { { "" }, -ENOENT },
};

static void run_all(void)
{
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++)
        assert_int_equal(run_files(runs[i].files), runs[i].result);
}

static void runs_the_first_file_that_can_be_run(void **state)
{
    in_folder(run_all);
}

static bool exists(const char *name)
{
    char path[100];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

static void abandon_one(void)
{
    static const char *const argv[] = { "touch", "trace", NULL };
    static const char *const files[] = { "/usr/bin/touch", "/bin/touch", NULL };
    struct childprocess_plan plan = plan_of(files);
    struct childprocess child;

    plan.argv = argv;
    assert_int_equal(childprocess_start(&child, &plan), 0);
    childprocess_abandon(&child);
    assert_int_equal(waitpid(child.pid, NULL, 0), -1);
    assert_false(exists("trace"));
    assert_int_equal(childprocess_start(&child, &plan), 0);
    assert_int_equal(childprocess_go(&child), 0);
    assert_int_equal(waitpid(child.pid, NULL, 0), child.pid);
    assert_true(exists("trace"));
}

static void one_that_is_abandoned_never_runs(void **state)
{
    in_folder(abandon_one);
}

/* The parent of the child to be ends first: with it goes the other end of the channel. */
static void abandon_by_ending(void)
{
    static const char *const argv[] = { "touch", "trace", NULL };
    static const char *const files[] = { "/usr/bin/touch", "/bin/touch", NULL };
    struct childprocess_plan plan = plan_of(files);
    int fds[2];
    char byte;

    assert_int_equal(pipe(fds), 0); /* which all of them have until they end, the program as its output */
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct childprocess child;
        plan.argv = argv;
        plan.fds[1] = fds[1];
        _exit(childprocess_start(&child, &plan) == 0 ? 0 : 1);
    }
    close(fds[1]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(read(fds[0], &byte, 1), 0);
    close(fds[0]);
    assert_false(exists("trace"));
}

static void one_whose_parent_has_ended_never_runs(void **state)
{
    in_folder(abandon_by_ending);
}

static void go_after_a_kill(void)
{
    static const char *const files[] = { "seven", NULL };
    struct childprocess_plan plan = plan_of(files);
    struct childprocess child;
    siginfo_t info;
    int status;

    assert_int_equal(childprocess_start(&child, &plan), 0);
    kill(child.pid, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)child.pid, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(childprocess_go(&child), 0);
    assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
    assert_true(WIFSIGNALED(status));
}

static void one_that_was_killed_before_it_ran_has_run(void **state)
{
    in_folder(go_after_a_kill);
}

/* As another child that is being made on another thread may have it. */
static void abandon_with_a_copy_of_the_channel(void)
{
    static const char *const files[] = { "seven", NULL };
    struct childprocess_plan plan = plan_of(files);
    struct childprocess child;

    assert_int_equal(childprocess_start(&child, &plan), 0);
    int copy = dup(child.channel);
    assert_true(copy >= 0);
    childprocess_abandon(&child);
    close(copy);
}

static void abandoning_does_not_wait_for_who_has_the_channel(void **state)
{
    in_folder(abandon_with_a_copy_of_the_channel);
}

static int handled[2];

static void handle(int signal_number)
{
    if (write(handled[1], "x", 1) != 1)
        abort();
}

/* It comes before the program runs: neither is it lost, nor does our handler see it. */
static void signal_a_child_that_waits(void)
{
    static const char *const files[] = { "seven", NULL };
    struct childprocess_plan plan = plan_of(files);
    struct childprocess child;
    char byte;
    int status;

    assert_int_equal(pipe2(handled, O_NONBLOCK | O_CLOEXEC), 0);
    signal(SIGTERM, handle);
    assert_int_equal(childprocess_start(&child, &plan), 0);
    kill(child.pid, SIGTERM);
    assert_int_equal(childprocess_go(&child), 0);
    assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
    signal(SIGTERM, SIG_DFL);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGTERM);
    assert_int_equal(read(handled[0], &byte, 1), -1);
    close(handled[0]);
    close(handled[1]);
}

static void handlers_do_not_run_in_the_child(void **state)
{
    in_folder(signal_a_child_that_waits);
}

/* The channel gets their numbers. */
static void start_without_standard_descriptors(void)
{
    static const char *const files[] = { "seven", NULL }, *const nothing[] = { "nothing", NULL };
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        struct childprocess_plan plan = plan_of(files);
        struct childprocess child, lost;

        for (int i = 0; i < 3; i++)
            close(i);
        if (childprocess_start(&child, &plan) != 0 || childprocess_go(&child) != 0)
            _exit(1);
        plan.files = nothing;
        if (childprocess_start(&lost, &plan) != 0 || childprocess_go(&lost) != -ENOENT)
            _exit(3);
        _exit(waitpid(child.pid, &status, 0) == child.pid && WEXITSTATUS(status) == 7 ? 0 : 2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void needs_no_standard_descriptors(void **state)
{
    in_folder(start_without_standard_descriptors);
}

static void fail_calls(void)
{
    static const char *const files[] = { "seven", NULL };
    struct childprocess_plan plan = plan_of(files);
    struct childprocess child;

    faults_system_call("socketpair", EMFILE, 1);
    assert_int_equal(childprocess_start(&child, &plan), -EMFILE);
    faults_system_call("fork", EAGAIN, 1);
    assert_int_equal(childprocess_start(&child, &plan), -EAGAIN);
    assert_true(faults_hit());
    assert_int_equal(childprocess_start(&child, &plan), 0);
    faults_system_call("send", ENOBUFS, 1);
    assert_int_equal(childprocess_go(&child), -ENOBUFS);
    assert_true(faults_hit());
    assert_int_equal(waitpid(-1, NULL, 0), -1);
    faults_system_call("open", ENFILE, 1); /* in the child: of /dev/null */
    assert_int_equal(childprocess_start(&child, &plan), 0);
    faults_end();
    assert_int_equal(childprocess_go(&child), -ENFILE);
    faults_system_call("fcntl", EMFILE, 1);
    assert_int_equal(childprocess_start(&child, &plan), 0);
    faults_end();
    assert_int_equal(childprocess_go(&child), -EMFILE);
    assert_int_equal(waitpid(-1, NULL, 0), -1);
}

static void calls_that_fail_leave_no_child(void **state)
{
    in_folder(fail_calls);
}

static void signals_stay_as_they_were(void)
{
    sigset_t before, after;

    pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(run_files((const char *[]){ "seven", NULL }), 7);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int i = 1; i < 65; i++)
        assert_int_equal(sigismember(&before, i), sigismember(&after, i));
    faults_system_call("fork", EAGAIN, 1);
    struct childprocess child;
    struct childprocess_plan plan = plan_of((const char *[]){ "seven", NULL });
    assert_int_equal(childprocess_start(&child, &plan), -EAGAIN);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    assert_int_equal(sigismember(&after, SIGTERM), 0);
    faults_end();
}

static void the_parents_mask_stays_as_it_was(void **state)
{
    in_folder(signals_stay_as_they_were);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(seeks_a_name_without_a_slash_in_the_folders_of_path),
    cmocka_unit_test(finds_nothing_without_memory),
    cmocka_unit_test(runs_the_first_file_that_can_be_run),
    cmocka_unit_test(one_that_is_abandoned_never_runs),
    cmocka_unit_test(one_whose_parent_has_ended_never_runs),
    cmocka_unit_test(one_that_was_killed_before_it_ran_has_run),
    cmocka_unit_test(abandoning_does_not_wait_for_who_has_the_channel),
    cmocka_unit_test(handlers_do_not_run_in_the_child),
    cmocka_unit_test(needs_no_standard_descriptors),
    cmocka_unit_test(calls_that_fail_leave_no_child),
    cmocka_unit_test(the_parents_mask_stays_as_it_was),
};

TESTING_MAIN(tests)
