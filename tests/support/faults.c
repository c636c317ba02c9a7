#include "tests/support/faults.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ioloop/ioalloc.h"

enum call {
    CALL_recv,
    CALL_send,
    CALL_sendmsg,
    CALL_read,
    CALL_write,
    CALL_writev,
    CALL_accept4,
    CALL_socket,
    CALL_bind,
    CALL_listen,
    CALL_connect,
    CALL_setsockopt,
    CALL_getsockopt,
    CALL_epoll_create1,
    CALL_epoll_ctl,
    CALL_epoll_wait,
    CALL_eventfd,
    CALL_fcntl,
    CALL_close,
    CALL_pipe2,
    CALL_sendfile,
    CALL_shutdown,
    CALL_poll,
    CALL_pthread_create,
    CALL_getaddrinfo,
    CALL_open,
    CALL_openat,
    CALL_openat2,
    CALL_fstat,
    CALL_pread,
    CALL_socketpair,
    CALL_fork,
    CALL_kill,
    CALL_pidfd_open,
    CALL_pidfd_send_signal,
    CALL_close_range,
    CALLS
};

static const char *const names[CALLS] = {
    "recv",        "send",       "sendmsg",        "read",        "write",      "writev",     "accept4",
    "socket",      "bind",       "listen",         "connect",     "setsockopt", "getsockopt", "epoll_create1",
    "epoll_ctl",   "epoll_wait", "eventfd",        "fcntl",       "close",      "pipe2",      "sendfile",
    "shutdown",    "poll",       "pthread_create", "getaddrinfo", "open",       "openat",     "openat2",
    "fstat",       "pread",      "socketpair",     "fork",        "kill",       "pidfd_open", "pidfd_send_signal",
    "close_range",
};

static atomic_int counts[CALLS];
static atomic_int countdown;
static atomic_int fault_call = -1, fault_error;
static atomic_bool fault_sticky;
static atomic_bool was_hit;
static atomic_size_t io_limit;

static int find_call(const char *name)
{
    for (int call = 0; call < CALLS; call++) {
        if (strcmp(names[call], name) == 0)
            return call;
    }
    abort();
}

static void order(const char *name, int error, int nth, bool sticky)
{
    fault_call = -1;
    fault_error = error;
    fault_sticky = sticky;
    was_hit = false;
    countdown = nth;
    fault_call = find_call(name);
}

void faults_system_call(const char *name, int error, int nth)
{
    order(name, error, nth, false);
}

void faults_system_call_sticky(const char *name, int error, int nth)
{
    order(name, error, nth, true);
}

bool faults_hit(void)
{
    fault_call = -1;
    return was_hit;
}

void faults_short_io(size_t bytes)
{
    io_limit = bytes;
}

int faults_count(const char *name)
{
    return counts[find_call(name)];
}

void faults_count_reset(void)
{
    for (int call = 0; call < CALLS; call++)
        counts[call] = 0;
}

/* The error that this call is to fail with, or 0. */
static int fault(enum call call)
{
    atomic_fetch_add(&counts[call], 1);
    if (fault_call != (int)call)
        return 0;
    int left = atomic_fetch_sub(&countdown, 1);
    if (left > 1 || (left < 1 && !fault_sticky))
        return 0;
    was_hit = true;
    return fault_error;
}

static size_t limited(size_t size)
{
    return io_limit != 0 && size > io_limit ? io_limit : size;
}

/* Defines __wrap_NAME, which fails on order and else does what the call does. */
#define WRAP(type, name, parameters, arguments)                                                                        \
    type __real_##name parameters;                                                                                     \
    type __wrap_##name parameters;                                                                                     \
    type __wrap_##name parameters                                                                                      \
    {                                                                                                                  \
        int error = fault(CALL_##name);                                                                                \
        if (error != 0)                                                                                                \
            return errno = error, (type)-1;                                                                            \
        return __real_##name arguments;                                                                                \
    }

WRAP(ssize_t, recv, (int fd, void *data, size_t size, int flags), (fd, data, limited(size), flags))
WRAP(ssize_t, send, (int fd, const void *data, size_t size, int flags), (fd, data, limited(size), flags))
WRAP(ssize_t, read, (int fd, void *data, size_t size), (fd, data, limited(size)))
WRAP(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, limited(size)))
WRAP(int, accept4, (int fd, struct sockaddr *address, socklen_t *length, int flags), (fd, address, length, flags))
WRAP(int, socket, (int family, int type, int protocol), (family, type, protocol))
WRAP(int, bind, (int fd, const struct sockaddr *address, socklen_t length), (fd, address, length))
WRAP(int, listen, (int fd, int backlog), (fd, backlog))
WRAP(int, connect, (int fd, const struct sockaddr *address, socklen_t length), (fd, address, length))
WRAP(int, setsockopt, (int fd, int level, int name, const void *value, socklen_t length),
     (fd, level, name, value, length))
WRAP(int, getsockopt, (int fd, int level, int name, void *value, socklen_t *length), (fd, level, name, value, length))
WRAP(int, epoll_create1, (int flags), (flags))
WRAP(int, epoll_ctl, (int epoll, int operation, int fd, struct epoll_event *event), (epoll, operation, fd, event))
WRAP(int, epoll_wait, (int epoll, struct epoll_event *events, int count, int timeout), (epoll, events, count, timeout))
WRAP(int, eventfd, (unsigned initial, int flags), (initial, flags))
WRAP(int, pipe2, (int fds[2], int flags), (fds, flags))
WRAP(ssize_t, sendfile, (int out, int in, off_t *offset, size_t count), (out, in, offset, limited(count)))
WRAP(int, shutdown, (int fd, int how), (fd, how))
WRAP(int, poll, (struct pollfd * fds, nfds_t count, int timeout), (fds, count, timeout))
WRAP(int, fstat, (int fd, struct stat *status), (fd, status))
WRAP(ssize_t, pread, (int fd, void *data, size_t size, off_t offset), (fd, data, limited(size), offset))

ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
    int error = fault(CALL_sendmsg);

    if (error != 0)
        return errno = error, -1;
    if (io_limit == 0 || message->msg_iovlen == 0)
        return __real_sendmsg(fd, message, flags);
    return __real_send(fd, message->msg_iov[0].iov_base, limited(message->msg_iov[0].iov_len), flags);
}

ssize_t __real_writev(int fd, const struct iovec *vector, int count);
ssize_t __wrap_writev(int fd, const struct iovec *vector, int count);
ssize_t __wrap_writev(int fd, const struct iovec *vector, int count)
{
    int error = fault(CALL_writev);

    if (error != 0)
        return errno = error, -1;
    if (io_limit == 0 || count == 0)
        return __real_writev(fd, vector, count);
    return __real_write(fd, vector[0].iov_base, limited(vector[0].iov_len));
}

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...)
{
    va_list list;
    va_start(list, command);
    void *argument = va_arg(list, void *);
    va_end(list);

    int error = fault(CALL_fcntl);
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

    int error = fault(CALL_open);
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

    int error = fault(CALL_openat);
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
    int error = fault(CALL_fork);

    return error != 0 ? errno = error, -1 : __real_fork();
}

/* Those for which libc has no name. */
static int find_raw_call(long number)
{
    return number == SYS_openat2             ? CALL_openat2
           : number == SYS_pidfd_open        ? CALL_pidfd_open
           : number == SYS_pidfd_send_signal ? CALL_pidfd_send_signal
           : number == SYS_close_range       ? CALL_close_range
                                             : CALLS;
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    int call = find_raw_call(number);
    int count = call != CALLS ? 4 : 6; /* those of the other, epoll_pwait2 */
    long arguments[6] = { 0 };
    va_list list;
    va_start(list, number);
    for (int i = 0; i < count; i++)
        arguments[i] = va_arg(list, long);
    va_end(list);

    int error = call != CALLS ? fault((enum call)call) : 0;
    if (error != 0)
        return errno = error, -1;
    return __real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
    int error = fault(CALL_close);
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
    int error = fault(CALL_pthread_create);

    return error != 0 ? error : __real_pthread_create(thread, attributes, start, arg);
}

int __real_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **result);
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **result);
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
    int error = fault(CALL_getaddrinfo);

    return error != 0 ? error : __real_getaddrinfo(host, service, hints, result);
}

static atomic_long allocated, allocations;
static atomic_size_t allocated_bytes;
static atomic_int allocation_countdown;
static atomic_bool allocation_sticky;

static bool allocation_fails(void)
{
    if (allocation_countdown <= 0)
        return allocation_sticky && allocation_countdown < 0;
    if (atomic_fetch_sub(&allocation_countdown, 1) != 1)
        return false;
    if (allocation_sticky)
        allocation_countdown = -1;
    was_hit = true;
    return true;
}

static void *counted(void *memory)
{
    if (memory != NULL) {
        atomic_fetch_add(&allocated, 1);
        atomic_fetch_add(&allocated_bytes, malloc_usable_size(memory) + sizeof(size_t));
    }
    return memory;
}

static void uncount(void *memory)
{
    if (memory == NULL)
        return;
    atomic_fetch_sub(&allocated, 1);
    atomic_fetch_sub(&allocated_bytes, malloc_usable_size(memory) + sizeof(size_t));
}

static void *faulty_malloc(size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return allocation_fails() ? NULL : counted(malloc(size));
}

static void *faulty_realloc(void *memory, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    if (allocation_fails())
        return NULL;
    uncount(memory);
    return counted(realloc(memory, size));
}

static void faulty_free(void *memory)
{
    uncount(memory);
    free(memory);
}

static void set_faulty_allocator(void)
{
    ioalloc_set_functions(&(struct ioalloc_functions){ faulty_malloc, faulty_realloc, faulty_free });
}

static void use_faulty_allocator(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, set_faulty_allocator);
}

void faults_allocation(int nth, bool sticky)
{
    use_faulty_allocator();
    was_hit = false;
    allocation_sticky = sticky;
    allocation_countdown = nth;
}

long faults_allocated(void)
{
    use_faulty_allocator();
    return allocated;
}

long faults_allocations(void)
{
    use_faulty_allocator();
    return allocations;
}

size_t faults_allocated_bytes(void)
{
    use_faulty_allocator();
    return allocated_bytes;
}

void faults_end(void)
{
    fault_call = -1;
    io_limit = 0;
    allocation_countdown = 0;
    allocation_sticky = false;
}
