#include "ioloop/childprocess.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ioloop/ioalloc.h"
#include "ioloop/kernel.h"

#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"
#define CHANNEL      3  /* its number in the child when the program is run */
#define LAST_SIGNAL  64 /* as in loopsignals.c */

/* Where the program is. */

static const char *find_path(const char *const *environment)
{
    for (; *environment != NULL; environment++) {
        if (strncmp(*environment, "PATH=", 5) == 0)
            return *environment + 5;
    }
    return DEFAULT_PATH;
}

static size_t count_folders(const char *path)
{
    size_t count = 1;

    for (; *path != '\0'; path++)
        count += *path == ':';
    return count;
}

/* An empty folder is the current one. */
static char *join_path(char *place, const char *folder, size_t length, const char *name)
{
    memcpy(place, folder, length);
    place += length;
    if (length > 0)
        *place++ = '/';
    size_t size = strlen(name) + 1;
    memcpy(place, name, size);
    return place + size;
}

const char *const *childprocess_find(const char *name, const char *const *environment)
{
    bool is_path = *name == '\0' || strchr(name, '/') != NULL;
    const char *path = is_path ? "" : find_path(environment);
    size_t count = count_folders(path);
    char **files;
    size_t texts, size;

    if (__builtin_mul_overflow(count, strlen(name) + 2, &texts) ||
        __builtin_mul_overflow(count + 1, sizeof *files, &size) ||
        __builtin_add_overflow(size, texts + strlen(path), &size))
        return NULL;
    files = ioalloc(size);
    if (files == NULL)
        return NULL;
    char *place = (char *)(files + count + 1);
    for (size_t i = 0; i < count; i++) {
        size_t length = strcspn(path, ":");

        files[i] = place;
        place = join_path(place, path, length, name);
        path += length + (path[length] == ':');
    }
    files[count] = NULL;
    return (const char *const *)files;
}

/* In the child. */

static void block_signals(sigset_t *before)
{
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, before);
}

/* What a shell has told this process to ignore is meant for its children too: nohup, jobs in the background. The rest
 * that is ignored, SIGPIPE above all, is ignored for reasons of this program. */
static bool stays_ignored(int signal_number)
{
    struct sigaction action;

    return (signal_number == SIGHUP || signal_number == SIGINT || signal_number == SIGQUIT) &&
           sigaction(signal_number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static void reset_signals(void)
{
    struct sigaction action = { .sa_handler = SIG_DFL };
    sigset_t none;

    sigemptyset(&action.sa_mask);
    for (int i = 1; i <= LAST_SIGNAL; i++) {
        if (!stays_ignored(i))
            sigaction(i, &action, NULL);
    }
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
}

/* The byte that childprocess_go sends; not when the parent has ended instead. */
static bool may_go(int channel)
{
    struct pollfd entry = { .fd = channel, .events = POLLIN };
    char go;

    while (poll(&entry, 1, -1) < 0 && errno == EINTR)
        continue;
    return recv(channel, &go, 1, 0) == 1;
}

static int lift(int fd)
{
    return fd >= 0 && fd <= STDERR_FILENO ? fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1) : fd;
}

static int open_null(int number)
{
    return open("/dev/null", (number == STDIN_FILENO ? O_RDONLY : O_WRONLY) | O_CLOEXEC);
}

/* A descriptor that lies where another one has to go is lifted out of the way first. */
static bool lift_descriptors(int fds[3])
{
    for (int i = 0; i < 3; i++) {
        if (fds[i] == CHILDPROCESS_INHERIT)
            continue;
        fds[i] = lift(fds[i] == CHILDPROCESS_NULL ? open_null(i) : fds[i]);
        if (fds[i] < 0)
            return false;
    }
    return true;
}

static bool move(int fd, int to)
{
    int result;

    do
        result = dup2(fd, to);
    while (result < 0 && errno == EINTR);
    return result >= 0;
}

/* All that the library opens is close-on-exec; what the program has opened need not be. */
static bool place_descriptors(const struct childprocess_plan *plan, int *channel)
{
    int fds[3] = { plan->fds[0], plan->fds[1], plan->fds[2] };

    if (!lift_descriptors(fds))
        return false;
    for (int i = 0; i < 3; i++) {
        if (fds[i] != CHILDPROCESS_INHERIT && !move(fds[i], i))
            return false;
    }
    if (!move(*channel, CHANNEL) || fcntl(CHANNEL, F_SETFD, FD_CLOEXEC) < 0)
        return false;
    *channel = CHANNEL;
    kernel_close_from(CHANNEL + 1);
    return true;
}

/* As execvp does: a file that may not be run counts only if there is no other. Returns when none could be run. */
static void run_first_file(const struct childprocess_plan *plan)
{
    bool is_denied = false;

    for (const char *const *file = plan->files; *file != NULL; file++) {
        execve(*file, (char *const *)plan->argv, (char *const *)plan->environment);
        is_denied |= errno == EACCES;
        if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
            return;
    }
    if (is_denied)
        errno = EACCES;
}

static void run_program(const struct childprocess_plan *plan, int *channel)
{
    if ((plan->new_session && setsid() < 0) || (plan->directory != NULL && chdir(plan->directory) < 0) ||
        !place_descriptors(plan, channel))
        return;
    reset_signals();
    run_first_file(plan);
}

static _Noreturn void be_child(const struct childprocess_plan *plan, const int channels[2])
{
    close(channels[0]);
    int channel = lift(channels[1]);
    if (channel >= 0 && may_go(channel)) {
        run_program(plan, &channel);
        int error = errno;
        kernel_send_bytes(channel, &error, sizeof error);
    }
    _exit(127);
}

/* In the parent. */

int childprocess_start(struct childprocess *child, const struct childprocess_plan *plan)
{
    int channels[2];
    sigset_t before;
    int error = kernel_socketpair(channels);

    if (error < 0)
        return error;
    block_signals(&before); /* a handler of this program must not run in the child */
    child->pid = fork();
    if (child->pid == 0)
        be_child(plan, channels);
    error = child->pid < 0 ? -errno : 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(channels[1]);
    child->channel = channels[0];
    if (error < 0)
        close(channels[0]);
    return error;
}

static void reap_at_once(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

/* Killed, not only told by the end of the channel: another child that is being made just now may have inherited it. */
void childprocess_abandon(struct childprocess *child)
{
    kill(child->pid, SIGKILL);
    close(child->channel);
    reap_at_once(child->pid);
}

/* The channel closes when the program is run; before that, an error comes through it. */
static int read_report(int channel)
{
    struct pollfd entry = { .fd = channel, .events = POLLIN };
    int error = 0;

    while (poll(&entry, 1, -1) < 0 && errno == EINTR)
        continue;
    return recv(channel, &error, sizeof error, 0) == sizeof error ? -error : 0;
}

int childprocess_go(struct childprocess *child)
{
    int error = kernel_send_bytes(child->channel, "", 1) < 0 ? -errno : 0;

    if (error < 0 && error != -EPIPE && error != -ECONNRESET) {
        childprocess_abandon(child);
        return error;
    }
    error = read_report(child->channel);
    close(child->channel);
    if (error < 0)
        reap_at_once(child->pid);
    return error;
}
