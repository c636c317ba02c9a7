/* The calls of Linux: kernel.h. */
#include "ioloop/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "ioloop/pathwalk.h"

int kernel_socket(int family, int type)
{
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    return fd < 0 ? -errno : fd;
}

int kernel_accept(int listener, struct sockaddr *address, socklen_t *length)
{
    int fd;

    do
        fd = accept4(listener, address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

int kernel_pipe(int fds[2])
{
    return pipe2(fds, O_NONBLOCK | O_CLOEXEC) < 0 ? -errno : 0;
}

int kernel_socketpair(int fds[2])
{
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0 ? -errno : 0;
}

int kernel_child_pipe(int fds[2])
{
    return pipe2(fds, O_CLOEXEC) < 0 ? -errno : 0;
}

int kernel_adopt(int fd)
{
    int type, flags;
    socklen_t length = sizeof type;
    bool is_socket = getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0;

    if (!is_socket && errno != ENOTSOCK)
        return -errno;
    flags = fcntl(fd, F_GETFL);
    if (flags < 0 || ((flags & O_NONBLOCK) == 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return -errno;
    return is_socket;
}

ssize_t kernel_send_bytes(int fd, const void *data, size_t length)
{
    return send(fd, data, length, MSG_NOSIGNAL);
}

ssize_t kernel_send(int fd, const struct iovec *vector, int count, bool more)
{
    int flags = MSG_NOSIGNAL | (more ? MSG_MORE : 0);
    struct msghdr message = { .msg_iov = (struct iovec *)vector, .msg_iovlen = (size_t)count };
    ssize_t sent;

    do
        sent = count == 1 ? send(fd, vector->iov_base, vector->iov_len, flags) : sendmsg(fd, &message, flags);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

/* SIGPIPE, held back around a call that has no flag against it; its disposition belongs to the program. */
struct sigpipe {
    sigset_t mask; /* of the thread, before */
    bool blocked;  /* by the program itself, */
    bool pending;  /* with one waiting, which stays its own */
};

static sigset_t sigpipe_alone(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    return set;
}

static void hold_sigpipe(struct sigpipe *sigpipe)
{
    sigset_t set = sigpipe_alone();

    pthread_sigmask(SIG_BLOCK, &set, &sigpipe->mask);
    sigpipe->blocked = sigismember(&sigpipe->mask, SIGPIPE) == 1;
    sigpipe->pending = sigpipe->blocked && sigpending(&set) == 0 && sigismember(&set, SIGPIPE) == 1;
}

/* Takes back the signal that a call which failed with EPIPE has sent to this thread. A thread that had not blocked it
 * had none waiting before; one sent to the process meanwhile is left alone, since a thread's own come first. */
static void release_sigpipe(const struct sigpipe *sigpipe, bool raised)
{
    sigset_t set = sigpipe_alone();
    int error = errno;

    if (raised && !sigpipe->pending) {
        while (sigtimedwait(&set, NULL, &(struct timespec){ 0 }) < 0 && errno == EINTR)
            continue;
    }
    if (!sigpipe->blocked)
        pthread_sigmask(SIG_SETMASK, &sigpipe->mask, NULL);
    errno = error;
}

ssize_t kernel_write_pipe(int fd, const struct iovec *vector, int count)
{
    struct sigpipe sigpipe;
    ssize_t written;

    hold_sigpipe(&sigpipe);
    do
        written = count == 1 ? write(fd, vector->iov_base, vector->iov_len) : writev(fd, vector, count);
    while (written < 0 && errno == EINTR);
    release_sigpipe(&sigpipe, written < 0 && errno == EPIPE);
    return written < 0 ? -errno : written;
}

static bool is_paced(int fd)
{
    char name[16] = { 0 }; /* TCP_CA_NAME_MAX; nothing where there is no TCP */
    socklen_t length = sizeof name - 1;

    getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &length);
    return strncmp(name, "bbr", 3) == 0;
}

bool kernel_cork(int fd)
{
    return !is_paced(fd) && setsockopt(fd, IPPROTO_TCP, TCP_CORK, &(int){ 1 }, sizeof(int)) == 0;
}

void kernel_uncork(int fd)
{
    setsockopt(fd, IPPROTO_TCP, TCP_CORK, &(int){ 0 }, sizeof(int));
}

/* sendfile has no flags: to a socket that was shut down it raises SIGPIPE as a pipe does; also when that happens behind
 * bytes that it could send, of which it tells. */
ssize_t kernel_sendfile(int fd, int file, int64_t offset, size_t count)
{
    struct sigpipe sigpipe;
    off_t position = (off_t)offset;
    ssize_t sent;

    hold_sigpipe(&sigpipe);
    do
        sent = sendfile(fd, file, &position, count);
    while (sent < 0 && errno == EINTR);
    release_sigpipe(&sigpipe, sent < 0 ? errno == EPIPE : (size_t)sent < count);
    return sent < 0 ? -errno : sent;
}

int kernel_socket_error(int fd)
{
    int error = 0;
    socklen_t length = sizeof error;

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0 ? -errno : -error;
}

#ifdef SYS_openat2

/* As in <linux/openat2.h>, which comes with the kernel's headers, not with libc. */
struct open_below {
    uint64_t flags, mode, resolve;
};

enum { NO_MAGIC_LINKS = 0x02, NO_LINKS = 0x04, BENEATH = 0x08 };

enum { OPEN_ATTEMPTS = 8 };

/* EAGAIN: something was renamed meanwhile, so that the kernel cannot tell whether a ".." in a link leads out. */
static int open_below(int root, const char *path, bool no_links)
{
    struct open_below how = {
        .flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY,
        .resolve = BENEATH | NO_MAGIC_LINKS | (no_links ? NO_LINKS : 0),
    };
    int attempts = 0;
    long fd;

    do
        fd = syscall(SYS_openat2, root, path, &how, sizeof how);
    while (fd < 0 && (errno == EINTR || (errno == EAGAIN && ++attempts < OPEN_ATTEMPTS)));
    return fd < 0 ? -errno : (int)fd;
}

#else

static int open_below(int root, const char *path, bool no_links)
{
    return -ENOSYS;
}

#endif

/* Kernels before 5.6 do not know the call, and some sandboxes forbid with EPERM what they do not know. */
int kernel_open_beneath(int root, const char *path, bool no_links)
{
    int fd = open_below(root, path, no_links);

    return fd == -ENOSYS || fd == -EPERM ? pathwalk_open(root, path) : fd;
}

struct timespec kernel_modified(const struct stat *status)
{
    return status->st_mtim;
}

struct timespec kernel_changed(const struct stat *status)
{
    return status->st_ctim;
}

/* Since Linux 5.3, 5.1 and 5.9; libc may be older than the kernel. pidfds are close-on-exec. */

static long call_kernel(long number, long first, long second, long third, long fourth)
{
    long result = number < 0 ? (errno = ENOSYS, -1) : syscall(number, first, second, third, fourth);

    return result < 0 ? -errno : result;
}

#ifndef SYS_pidfd_open
#define SYS_pidfd_open (-1)
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal (-1)
#endif
#ifndef SYS_close_range
#define SYS_close_range (-1)
#endif

int kernel_child_fd(pid_t pid)
{
    return (int)call_kernel(SYS_pidfd_open, pid, 0, 0, 0);
}

int kernel_signal_child(int child_fd, pid_t pid, int signal_number)
{
    int error = child_fd >= 0 ? (int)call_kernel(SYS_pidfd_send_signal, child_fd, signal_number, 0, 0) : -ENOSYS;

    if (error != -ENOSYS && error != -EPERM)
        return error;
    return kill(pid, signal_number) < 0 ? -errno : 0;
}

/* A limit on descriptors may be in the billions. */
#define MOST_DESCRIPTORS 65536

void kernel_close_from(int fd)
{
    long limit = MOST_DESCRIPTORS;

    if (call_kernel(SYS_close_range, fd, (long)UINT_MAX, 0, 0) == 0)
        return;
    long allowed = sysconf(_SC_OPEN_MAX);
    if (allowed >= 0 && allowed < limit)
        limit = allowed;
    for (; fd < limit; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
}

int kernel_random(void *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t got = getrandom((char *)bytes + done, size - done, 0);

        if (got < 0 && errno != EINTR)
            return -errno;
        done += got < 0 ? 0 : (size_t)got;
    }
    return 0;
}

int kernel_regcomp(regex_t *regex, const char *text, int flags)
{
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);

    if (plain == (locale_t)0)
        return REG_ESPACE;
    locale_t before = uselocale(plain);
    int result = regcomp(regex, text, flags);
    uselocale(before);
    freelocale(plain);
    return result;
}
