/* The calls of FreeBSD, DragonFly, NetBSD, OpenBSD and macOS: kernel.h.
 *
 * Against SIGPIPE a socket has SO_NOSIGPIPE (not with OpenBSD) and each call MSG_NOSIGNAL (not with macOS). Pipes have
 * F_SETNOSIGPIPE with NetBSD and macOS, whose signal goes to the process, where no thread could hold it back. The
 * others send it to the thread that writes, which takes it back. */
#include "ioloop/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/event.h>
#include <unistd.h>
#ifdef __APPLE__
#include <xlocale.h>
#endif

#include "ioloop/pathwalk.h"

/* Where not even a socket can be made non-blocking at birth. */
#if !defined SOCK_NONBLOCK || !defined SOCK_CLOEXEC
#define SET_LATER
#endif

static int set_flags(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || ((flags & O_NONBLOCK) == 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return -errno;
    return 0;
}

static int silence_socket(int fd)
{
#ifdef SO_NOSIGPIPE
    if (setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &(int){ 1 }, sizeof(int)) < 0)
        return -errno;
#endif
    return 0;
}

static int silence_pipe(int fd)
{
#ifdef F_SETNOSIGPIPE
    if (fcntl(fd, F_SETNOSIGPIPE, 1) < 0)
        return -errno;
#endif
    return 0;
}

/* Takes over a socket that was just made: closed again if it cannot be prepared. */
static int prepare_socket(int fd)
{
    int error = silence_socket(fd);

#ifdef SET_LATER
    if (error == 0)
        error = set_flags(fd);
#endif
    if (error == 0)
        return fd;
    close(fd);
    return error;
}

int kernel_socket(int family, int type)
{
#ifndef SET_LATER
    type |= SOCK_NONBLOCK | SOCK_CLOEXEC;
#endif
    int fd = socket(family, type, 0);

    return fd < 0 ? -errno : prepare_socket(fd);
}

int kernel_accept(int listener, struct sockaddr *address, socklen_t *length)
{
    int fd;

    do
#ifdef SET_LATER
        fd = accept(listener, address, length);
#else
        fd = accept4(listener, address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
#endif
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return -errno;
    fd = prepare_socket(fd);
    return fd == -EINVAL ? -ECONNABORTED : fd; /* macOS: it was reset before it was accepted */
}

/* Answers the error. */
static int close_pair(const int fds[2], int error)
{
    close(fds[0]);
    close(fds[1]);
    return error;
}

int kernel_pipe(int fds[2])
{
    int error = 0;

#ifdef SET_LATER
    if (pipe(fds) < 0)
        return -errno;
    error = set_flags(fds[0]);
    if (error == 0)
        error = set_flags(fds[1]);
#else
    if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) < 0)
        return -errno;
#endif
    if (error == 0)
        error = silence_pipe(fds[1]);
    return error == 0 ? 0 : close_pair(fds, error);
}

int kernel_socketpair(int fds[2])
{
    int type = SOCK_STREAM, error = 0;

#ifndef SET_LATER
    type |= SOCK_NONBLOCK | SOCK_CLOEXEC;
#endif
    if (socketpair(AF_UNIX, type, 0, fds) < 0)
        return -errno;
    for (int i = 0; i < 2 && error == 0; i++) {
        error = silence_socket(fds[i]);
#ifdef SET_LATER
        if (error == 0)
            error = set_flags(fds[i]);
#endif
    }
    return error == 0 ? 0 : close_pair(fds, error);
}

int kernel_child_pipe(int fds[2])
{
#ifdef SET_LATER
    if (pipe(fds) < 0)
        return -errno;
    if (fcntl(fds[0], F_SETFD, FD_CLOEXEC) < 0 || fcntl(fds[1], F_SETFD, FD_CLOEXEC) < 0)
        return close_pair(fds, -errno);
    return 0;
#else
    return pipe2(fds, O_CLOEXEC) < 0 ? -errno : 0;
#endif
}

int kernel_adopt(int fd)
{
    int type;
    socklen_t length = sizeof type;
    bool is_socket = getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0;

    if (!is_socket && errno != ENOTSOCK)
        return -errno;
    int error = is_socket ? silence_socket(fd) : silence_pipe(fd);
    if (error == 0)
        error = set_flags(fd);
    return error < 0 ? error : is_socket;
}

#ifdef __APPLE__
#define SEND_FLAGS 0
#else
#define SEND_FLAGS MSG_NOSIGNAL
#endif

ssize_t kernel_send_bytes(int fd, const void *data, size_t length)
{
    return send(fd, data, length, SEND_FLAGS);
}

/* None of these systems offers a program to hold a segment back for more; TCP_NOPUSH would cost two calls. */
ssize_t kernel_send(int fd, const struct iovec *vector, int count, bool more)
{
    struct msghdr message = { .msg_iov = (struct iovec *)vector };
    ssize_t sent;

    message.msg_iovlen = (__typeof__(message.msg_iovlen))count;
    do
        sent = count == 1 ? send(fd, vector->iov_base, vector->iov_len, SEND_FLAGS) : sendmsg(fd, &message, SEND_FLAGS);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

static ssize_t write_vector(int fd, const struct iovec *vector, int count)
{
    ssize_t written;

    do
        written = count == 1 ? write(fd, vector->iov_base, vector->iov_len) : writev(fd, vector, count);
    while (written < 0 && errno == EINTR);
    return written < 0 ? -errno : written;
}

#ifdef F_SETNOSIGPIPE

ssize_t kernel_write_pipe(int fd, const struct iovec *vector, int count)
{
    return write_vector(fd, vector, count);
}

#else

static bool is_sigpipe_pending(void)
{
    sigset_t set;

    return sigpending(&set) == 0 && sigismember(&set, SIGPIPE) == 1;
}

/* The disposition of SIGPIPE belongs to the program, and so does one that it has blocked and that waits already. */
ssize_t kernel_write_pipe(int fd, const struct iovec *vector, int count)
{
    sigset_t set, before;
    int signal_number;

    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, &before);
    bool was_blocked = sigismember(&before, SIGPIPE) == 1;
    bool was_pending = was_blocked && is_sigpipe_pending();

    ssize_t written = write_vector(fd, vector, count);
    if (written == -EPIPE && !was_pending && is_sigpipe_pending())
        sigwait(&set, &signal_number);
    if (!was_blocked)
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    return written;
}

#endif

#if defined __FreeBSD__ || defined __DragonFly__

bool kernel_cork(int fd)
{
    return setsockopt(fd, IPPROTO_TCP, TCP_NOPUSH, &(int){ 1 }, sizeof(int)) == 0;
}

void kernel_uncork(int fd)
{
    setsockopt(fd, IPPROTO_TCP, TCP_NOPUSH, &(int){ 0 }, sizeof(int));
}

#else

/* macOS does not send what it has kept when it is told to let go of it; the others have no sendfile. */
bool kernel_cork(int fd)
{
    (void)fd;
    return false;
}

void kernel_uncork(int fd)
{
    (void)fd;
}

#endif

/* Those with a sendfile of their own answer an error also when part was sent, and take a count of 0 for everything. */
#if defined __FreeBSD__ || defined __DragonFly__ || defined __APPLE__

static ssize_t send_file_once(int fd, int file, int64_t offset, size_t count)
{
#ifdef __APPLE__
    off_t sent = (off_t)count;
    int result = sendfile(file, fd, offset, &sent, NULL, 0);
#else
    off_t sent = 0;
    int result = sendfile(file, fd, offset, count, NULL, &sent, 0);
#endif

    if (result < 0 && (sent == 0 || (errno != EAGAIN && errno != EINTR && errno != EBUSY)))
        return -errno; /* how much was sent is told with those three errors only */
    return (ssize_t)sent;
}

#else

static ssize_t send_file_once(int fd, int file, int64_t offset, size_t count)
{
    char bytes[64 * 1024];
    ssize_t got = pread(file, bytes, count < sizeof bytes ? count : sizeof bytes, offset);

    if (got <= 0)
        return got < 0 ? -errno : 0;
    return kernel_send(fd, &(struct iovec){ bytes, (size_t)got }, 1, false);
}

#endif

ssize_t kernel_sendfile(int fd, int file, int64_t offset, size_t count)
{
    ssize_t sent;

    if (count == 0)
        return 0;
    do
        sent = send_file_once(fd, file, offset, count);
    while (sent == -EINTR);
    return sent;
}

int kernel_socket_error(int fd)
{
    int error = 0;
    socklen_t length = sizeof error;

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0 ? -errno : -error;
}

#if defined __FreeBSD__ && defined O_RESOLVE_BENEATH

static int open_below(int root, const char *path)
{
    int fd;

    do
        fd = openat(root, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY | O_RESOLVE_BENEATH);
    while (fd < 0 && errno == EINTR);
    if (fd >= 0)
        return fd;
    return errno == ENOTCAPABLE ? -EXDEV : -errno;
}

int kernel_open_beneath(int root, const char *path, bool no_links)
{
    return no_links ? pathwalk_open(root, path) : open_below(root, path);
}

#else

int kernel_open_beneath(int root, const char *path, bool no_links)
{
    return pathwalk_open(root, path);
}

#endif

struct timespec kernel_modified(const struct stat *status)
{
#ifdef __APPLE__
    return status->st_mtimespec;
#else
    return status->st_mtim;
#endif
}

struct timespec kernel_changed(const struct stat *status)
{
#ifdef __APPLE__
    return status->st_ctimespec;
#else
    return status->st_ctim;
#endif
}

/* A queue of its own for each child, which the poller's watches like any descriptor. */
int kernel_child_fd(pid_t pid)
{
    struct kevent change;
    int fd = kqueue();

    if (fd < 0)
        return -errno;
    EV_SET(&change, (uintptr_t)pid, EVFILT_PROC, EV_ADD | EV_ONESHOT, NOTE_EXIT, 0, 0);
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && kevent(fd, &change, 1, NULL, 0, NULL) == 0)
        return fd;
    int error = -errno;
    close(fd);
    return error;
}

int kernel_signal_child(int child_fd, pid_t pid, int signal_number)
{
    return kill(pid, signal_number) < 0 ? -errno : 0;
}

#ifdef __APPLE__

/* Also the limit where there is none. */
#define MOST_DESCRIPTORS 65536

void kernel_close_from(int fd)
{
    long limit = sysconf(_SC_OPEN_MAX);

    if (limit < 0 || limit > MOST_DESCRIPTORS)
        limit = MOST_DESCRIPTORS;
    for (; fd < limit; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
}

#else

void kernel_close_from(int fd)
{
    closefrom(fd);
}

#endif

int kernel_random(void *bytes, size_t size)
{
    arc4random_buf(bytes, size);
    return 0;
}

#ifdef __NetBSD__

int kernel_regcomp(regex_t *regex, const char *text, int flags)
{
    return regcomp(regex, text, flags);
}

#else

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

#endif
