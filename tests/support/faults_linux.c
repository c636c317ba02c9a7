/* System calls that fail on order: what the linker's --wrap puts in their place. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/support/faultcalls.h"

/* Defines __wrap_NAME, which fails on order and else does what the call does. */
#define WRAP(type, name, parameters, arguments)                                                                        \
    type __real_##name parameters;                                                                                     \
    type __wrap_##name parameters;                                                                                     \
    type __wrap_##name parameters                                                                                      \
    {                                                                                                                  \
        int error = faultcalls_error(CALL_##name);                                                                     \
        if (error != 0)                                                                                                \
            return errno = error, (type)-1;                                                                            \
        return __real_##name arguments;                                                                                \
    }

WRAP(ssize_t, recv, (int fd, void *data, size_t size, int flags), (fd, data, faultcalls_limited(size), flags))
WRAP(ssize_t, send, (int fd, const void *data, size_t size, int flags), (fd, data, faultcalls_limited(size), flags))
WRAP(ssize_t, read, (int fd, void *data, size_t size), (fd, data, faultcalls_limited(size)))
WRAP(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, faultcalls_limited(size)))
WRAP(int, accept4, (int fd, struct sockaddr *address, socklen_t *length, int flags), (fd, address, length, flags))
WRAP(int, socket, (int family, int type, int protocol), (family, type, protocol))
WRAP(int, bind, (int fd, const struct sockaddr *address, socklen_t length), (fd, address, length))
WRAP(int, listen, (int fd, int backlog), (fd, backlog))
WRAP(int, setsockopt, (int fd, int level, int name, const void *value, socklen_t length),
     (fd, level, name, value, length))
WRAP(int, getsockopt, (int fd, int level, int name, void *value, socklen_t *length), (fd, level, name, value, length))
WRAP(int, getpeername, (int fd, struct sockaddr *address, socklen_t *length), (fd, address, length))
WRAP(int, epoll_create1, (int flags), (flags))
WRAP(int, epoll_ctl, (int epoll, int operation, int fd, struct epoll_event *event), (epoll, operation, fd, event))
WRAP(int, epoll_wait, (int epoll, struct epoll_event *events, int count, int timeout), (epoll, events, count, timeout))
WRAP(int, eventfd, (unsigned initial, int flags), (initial, flags))
WRAP(int, pipe2, (int fds[2], int flags), (fds, flags))
WRAP(ssize_t, sendfile, (int out, int in, off_t *offset, size_t count), (out, in, offset, faultcalls_limited(count)))
WRAP(int, shutdown, (int fd, int how), (fd, how))
WRAP(int, poll, (struct pollfd * fds, nfds_t count, int timeout), (fds, count, timeout))
WRAP(int, fstat, (int fd, struct stat *status), (fd, status))
WRAP(ssize_t, pread, (int fd, void *data, size_t size, off_t offset), (fd, data, faultcalls_limited(size), offset))

/* Of testing.h; fuzz targets have none. */
void testing_deliver(void) __attribute__((weak));

int __real_connect(int fd, const struct sockaddr *address, socklen_t length);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t length);

/* Within the machine a connection is there, or refused, when this returns: what asks is delivered, and what answers. */
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t length)
{
    int error = faultcalls_error(CALL_connect);

    if (error != 0)
        return errno = error, -1;
    int result = __real_connect(fd, address, length);
    error = errno;
    for (int i = 0; i < 2 && testing_deliver != NULL; i++)
        testing_deliver();
    return errno = error, result;
}

static bool is_limited(void)
{
    return faultcalls_limited(SIZE_MAX) != SIZE_MAX;
}

ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
    int error = faultcalls_error(CALL_sendmsg);

    if (error != 0)
        return errno = error, -1;
    if (!is_limited() || message->msg_iovlen == 0)
        return __real_sendmsg(fd, message, flags);
    return __real_send(fd, message->msg_iov[0].iov_base, faultcalls_limited(message->msg_iov[0].iov_len), flags);
}

ssize_t __real_writev(int fd, const struct iovec *vector, int count);
ssize_t __wrap_writev(int fd, const struct iovec *vector, int count);
ssize_t __wrap_writev(int fd, const struct iovec *vector, int count)
{
    int error = faultcalls_error(CALL_writev);

    if (error != 0)
        return errno = error, -1;
    if (!is_limited() || count == 0)
        return __real_writev(fd, vector, count);
    return __real_write(fd, vector[0].iov_base, faultcalls_limited(vector[0].iov_len));
}

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...)
{
    va_list list;
    va_start(list, command);
    void *argument = va_arg(list, void *);
    va_end(list);

    int error = faultcalls_error(CALL_fcntl);
    if (error != 0)
        return errno = error, -1;
    return __real_fcntl(fd, command, argument);
}

static bool has_mode(int flags)
{
    return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    mode_t mode = has_mode(flags) ? va_arg(list, mode_t) : 0;
    va_end(list);

    int error = faultcalls_error(CALL_open);
    if (error != 0)
        return errno = error, -1;
    return __real_open(path, flags, mode);
}

int __real_openat(int folder, const char *path, int flags, ...);
int __wrap_openat(int folder, const char *path, int flags, ...);
int __wrap_openat(int folder, const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    mode_t mode = has_mode(flags) ? va_arg(list, mode_t) : 0;
    va_end(list);

    int error = faultcalls_error(CALL_openat);
    if (error != 0)
        return errno = error, -1;
    return __real_openat(folder, path, flags, mode);
}

WRAP(int, socketpair, (int family, int type, int protocol, int fds[2]), (family, type, protocol, fds))

WRAP(int, kill, (pid_t pid, int signal_number), (pid, signal_number))

pid_t __real_fork(void);
pid_t __wrap_fork(void);
pid_t __wrap_fork(void)
{
    int error = faultcalls_error(CALL_fork);

    return error != 0 ? errno = error, -1 : __real_fork();
}

/* Those for which libc has no name. */
static int find_raw_call(long number)
{
    return number == SYS_openat2             ? CALL_openat2
           : number == SYS_pidfd_open        ? CALL_pidfd_open
           : number == SYS_pidfd_send_signal ? CALL_pidfd_send_signal
           : number == SYS_close_range       ? CALL_close_range
                                             : FAULTCALLS_COUNT;
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    int call = find_raw_call(number);
    int count = call != FAULTCALLS_COUNT ? 4 : 6; /* those of the other, epoll_pwait2 */
    long arguments[6] = { 0 };
    va_list list;
    va_start(list, number);
    for (int i = 0; i < count; i++)
        arguments[i] = va_arg(list, long);
    va_end(list);

    int error = call != FAULTCALLS_COUNT ? faultcalls_error((enum faultcall)call) : 0;
    if (error != 0)
        return errno = error, -1;
    return __real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
    int error = faultcalls_error(CALL_close);
    int result = __real_close(fd);

    if (result < 0 && errno == EBADF)
        abort(); /* closed twice: somebody else's descriptor the next time */
    if (error != 0)
        return errno = error, -1;
    return result;
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *arg)
{
    int error = faultcalls_error(CALL_pthread_create);

    return error != 0 ? error : __real_pthread_create(thread, attributes, start, arg);
}

int __real_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **result);
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **result);
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
    int error = faultcalls_error(CALL_getaddrinfo);

    return error != 0 ? error : __real_getaddrinfo(host, service, hints, result);
}

/* With what malloc keeps before it. */
size_t faultcalls_block_size(void *memory)
{
    return malloc_usable_size(memory) + sizeof(size_t);
}
