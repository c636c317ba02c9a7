#include "ioloop/iosubprocess.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ioloop/childprocess.h"
#include "ioloop/ioalloc.h"
#include "ioloop/iofuture.h"
#include "ioloop/ioloop.h"
#include "ioloop/iostreamlayer.h"
#include "ioloop/kernel.h"
#include "ioloop/loopmember.h"
#include "ioloop/looptask.h"

extern char **environ;

struct child_stream {
    struct iostreamlayer_owner owner;
    struct iostream *stream; /* NULL: none, or closed */
};

struct iosubprocess {
    struct loopmember member;
    struct looptask task; /* tells */
    struct ioloop *loop;
    struct child_stream streams[3];
    pid_t pid;
    int fd;         /* readable when it ends; -1: SIGCHLD says so */
    bool is_closed; /* by the program */
    bool has_ended; /* and was reaped */
    bool raise_error;
    int error, status;
    iosubprocess_exit_fn *callback;
    void *arg;
    struct iofuture *future;
};

static void close_child_with_loop(struct loopmember *member);

/* Streams. */

static void forget_stream(struct iostreamlayer_owner *owner, struct iostream *stream)
{
    ((struct child_stream *)owner)->stream = NULL;
}

static void close_streams(struct iosubprocess *child)
{
    for (int i = 0; i < 3; i++) {
        if (child->streams[i].stream != NULL)
            iostream_close(child->streams[i].stream);
    }
}

static int open_stream(struct iosubprocess *child, int number, int *theirs)
{
    int fds[2];
    int ours = number == STDIN_FILENO ? 1 : 0;
    int error = kernel_child_pipe(fds);

    if (error < 0)
        return error;
    struct iostream *stream = iostream_new_pipe(child->loop, fds[ours], NULL);
    if (stream == NULL) {
        error = -errno;
        close(fds[0]);
        close(fds[1]);
        return error;
    }
    child->streams[number] = (struct child_stream){ { forget_stream }, stream };
    stream->owner = &child->streams[number].owner;
    *theirs = fds[!ours];
    return 0;
}

/* Noticing the end. */

/* A child of this loop, from the member on, that SIGCHLD is for. */
static struct iosubprocess *find_signalled(struct loopmember *member)
{
    for (; member != NULL; member = member->next) {
        struct iosubprocess *child = (struct iosubprocess *)member;

        if (member->close == close_child_with_loop && !child->has_ended && child->fd < 0)
            return child;
    }
    return NULL;
}

static void unwatch_child(struct iosubprocess *child)
{
    if (child->fd >= 0) {
        ioloop_remove_handler(child->loop, child->fd);
        close(child->fd);
        child->fd = -1;
    } else if (find_signalled(loopmember_first(child->loop)) == NULL) {
        ioloop_remove_signal(child->loop, SIGCHLD);
    }
}

static struct iosubprocess *child_of_task(struct looptask *task)
{
    return (struct iosubprocess *)((char *)task - offsetof(struct iosubprocess, task));
}

static void free_child(struct looptask *task)
{
    ioalloc_free(child_of_task(task));
}

static void resolve_future(struct iosubprocess *child, int error)
{
    struct iofuture *future = child->future;

    child->future = NULL;
    if (error == 0 && child->raise_error && child->status != 0)
        error = -ECHILD;
    if (error == 0 || iofuture_cancelled(future))
        iofuture_set_result(future, (void *)(intptr_t)child->status, NULL);
    else
        iofuture_set_error(future, error);
}

/* The way into user code. */
static void tell_exit(struct iosubprocess *child, int error)
{
    iosubprocess_exit_fn *callback = child->callback;

    child->callback = NULL;
    if (child->future != NULL)
        resolve_future(child, error);
    if (callback != NULL)
        callback(child, error, child->status, child->arg);
}

/* One that is closed, but has not ended, stays to be reaped; then this comes again, and there is nobody to tell. It
 * also comes again after what a callback has asked for. */
static void tell_and_end(struct looptask *task)
{
    struct iosubprocess *child = child_of_task(task);

    tell_exit(child, child->has_ended ? child->error : -ECANCELED);
    if (!child->has_ended || !child->is_closed || looptask_waits(task))
        return;
    loopmember_remove(&child->member);
    looptask_end(child->loop, task, free_child);
}

static void end_child(struct iosubprocess *child, int error, int status)
{
    child->has_ended = true;
    unwatch_child(child);
    child->error = error;
    child->status = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
    looptask_add(child->loop, &child->task);
}

/* Only this one child: others are others'. Answers whether it has ended. */
static bool reap_child(struct iosubprocess *child, int options)
{
    int status = 0;
    pid_t pid;

    do
        pid = waitpid(child->pid, &status, options);
    while (pid < 0 && errno == EINTR);
    if (pid == 0)
        return false;
    end_child(child, pid < 0 ? -errno : 0, status);
    return true;
}

/* Waits: some kernels tell this a moment before it can be reaped. */
static void child_has_ended(int fd, unsigned events, void *arg)
{
    if (events != LOOPMEMBER_CLOSING)
        reap_child(arg, 0);
}

static void some_child_has_ended(int signal_number, void *arg)
{
    struct iosubprocess *child, *next;

    for (child = find_signalled(loopmember_first(arg)); child != NULL; child = next) {
        next = find_signalled(child->member.next);
        reap_child(child, WNOHANG);
    }
}

static int watch_by_fd(struct iosubprocess *child)
{
    int fd = kernel_child_fd(child->pid);

    if (fd < 0)
        return fd;
    int error = loopmember_claim_fd(child->loop, fd, child_has_ended, child);
    if (error == 0)
        error = ioloop_update_handler(child->loop, fd, IOLOOP_READ);
    if (error == 0) {
        child->fd = fd;
        return 0;
    }
    ioloop_remove_handler(child->loop, fd);
    close(fd);
    return error;
}

static int watch_by_signal(struct iosubprocess *child)
{
    child->fd = -1;
    if (find_signalled(loopmember_first(child->loop)) != NULL)
        return 0;
    return ioloop_add_signal(child->loop, SIGCHLD, some_child_has_ended, child->loop);
}

static int watch_child(struct iosubprocess *child)
{
    int error = watch_by_fd(child);

    return error == -ENOSYS || error == -EPERM ? watch_by_signal(child) : error;
}

/* One that has ended by now is told how; one that has not is left alone. */
static void close_child_with_loop(struct loopmember *member)
{
    struct iosubprocess *child = (struct iosubprocess *)member;

    loopmember_remove(member);
    iosubprocess_close(child);
    if (!child->has_ended && !reap_child(child, WNOHANG))
        end_child(child, -ECANCELED, 0);
}

/* Life. */

static int run_child(struct iosubprocess *child, const struct childprocess_plan *plan)
{
    struct childprocess process;
    int error = childprocess_start(&process, plan);

    if (error < 0)
        return error;
    child->pid = process.pid;
    error = watch_child(child);
    if (error < 0) {
        childprocess_abandon(&process);
        return error;
    }
    error = childprocess_go(&process);
    if (error < 0)
        unwatch_child(child);
    else
        loopmember_add(child->loop, &child->member);
    return error;
}

static int find_and_run(struct iosubprocess *child, struct childprocess_plan *plan)
{
    plan->files = childprocess_find(plan->argv[0], plan->environment);
    if (plan->files == NULL)
        return -ENOMEM;
    int error = run_child(child, plan);
    ioalloc_free((void *)plan->files);
    return error;
}

/* theirs: what is not to stay open here. */
static int plan_descriptor(struct iosubprocess *child, int number, int wanted, int fds[3], int theirs[3])
{
    if (wanted == IOSUBPROCESS_STREAM) {
        int error = open_stream(child, number, &theirs[number]);
        fds[number] = theirs[number];
        return error;
    }
    if (wanted < IOSUBPROCESS_STDOUT || (wanted == IOSUBPROCESS_STDOUT && number != STDERR_FILENO))
        return -EINVAL;
    if (wanted == IOSUBPROCESS_STDOUT)
        fds[number] = fds[STDOUT_FILENO] == CHILDPROCESS_INHERIT ? STDOUT_FILENO : fds[STDOUT_FILENO];
    else if (wanted == IOSUBPROCESS_NULL)
        fds[number] = CHILDPROCESS_NULL;
    else
        fds[number] = wanted == IOSUBPROCESS_INHERIT ? CHILDPROCESS_INHERIT : wanted;
    return 0;
}

static int start_child(struct iosubprocess *child, const char *const *argv, const struct iosubprocess_options *options)
{
    struct childprocess_plan plan = {
        .argv = argv,
        .environment = options->environment != NULL ? options->environment : (const char *const *)environ,
        .directory = options->directory,
        .new_session = options->new_session,
    };
    const int wanted[3] = { options->in, options->out, options->err };
    int theirs[3] = { -1, -1, -1 };
    int error = 0;

    for (int i = 0; i < 3 && error == 0; i++)
        error = plan_descriptor(child, i, wanted[i], plan.fds, theirs);
    if (error == 0)
        error = find_and_run(child, &plan);
    for (int i = 0; i < 3; i++) {
        if (theirs[i] >= 0)
            close(theirs[i]);
    }
    return error;
}

struct iosubprocess *iosubprocess_new(struct ioloop *loop, const char *const *argv,
                                      const struct iosubprocess_options *options)
{
    static const struct iosubprocess_options defaults;
    struct iosubprocess *child;

    if (argv[0] == NULL)
        return errno = EINVAL, NULL;
    child = ioalloc_zeroed(sizeof *child);
    if (child == NULL)
        return errno = ENOMEM, NULL;
    child->loop = loop;
    child->task.run = tell_and_end;
    child->member.close = close_child_with_loop;
    int error = start_child(child, argv, options != NULL ? options : &defaults);
    if (error == 0)
        return child;
    close_streams(child);
    ioalloc_free(child);
    return errno = -error, NULL;
}

void iosubprocess_close(struct iosubprocess *child)
{
    child->is_closed = true;
    close_streams(child);
    looptask_add(child->loop, &child->task);
}

/* Asking. */

void iosubprocess_set_exit_callback(struct iosubprocess *child, iosubprocess_exit_fn *callback, void *arg)
{
    if (child->is_closed)
        return;
    child->callback = callback;
    child->arg = arg;
    if (child->has_ended)
        looptask_add(child->loop, &child->task);
}

struct iofuture *iosubprocess_wait_for_exit(struct iosubprocess *child, bool raise_error)
{
    if (child->is_closed)
        return errno = EBADF, NULL;
    if (child->future != NULL)
        return errno = EALREADY, NULL;
    child->future = iofuture_new(child->loop);
    if (child->future == NULL)
        return NULL;
    child->raise_error = raise_error;
    if (child->has_ended)
        looptask_add(child->loop, &child->task);
    return child->future;
}

int iosubprocess_kill(struct iosubprocess *child, int signal_number)
{
    if (child->is_closed)
        return -EBADF;
    if (child->has_ended)
        return -ESRCH;
    return kernel_signal_child(child->fd, child->pid, signal_number);
}

struct iostream *iosubprocess_stdin(const struct iosubprocess *child)
{
    return child->streams[STDIN_FILENO].stream;
}

struct iostream *iosubprocess_stdout(const struct iosubprocess *child)
{
    return child->streams[STDOUT_FILENO].stream;
}

struct iostream *iosubprocess_stderr(const struct iosubprocess *child)
{
    return child->streams[STDERR_FILENO].stream;
}

pid_t iosubprocess_pid(const struct iosubprocess *child)
{
    return child->pid;
}
