/* Internal: faultcalls.h, what faults.c, which gives orders, shares with faults_linux.c, which carries them out. */
#ifndef TESTS_SUPPORT_FAULTCALLS_H
#define TESTS_SUPPORT_FAULTCALLS_H

#include <stddef.h>

/* Those that come by here: of faults.mk, and with syscall those for which libc has no name. */
/* clang-format off */
#define FAULTCALLS(X)                                                                                                  \
    X(recv) X(send) X(sendmsg) X(read) X(write) X(writev) X(accept4) X(socket) X(bind) X(listen) X(connect)            \
    X(setsockopt) X(getsockopt) X(getpeername) X(epoll_create1) X(epoll_ctl) X(epoll_wait) X(eventfd) X(fcntl)         \
    X(close) X(pipe2) X(sendfile) X(shutdown) X(poll) X(pthread_create) X(getaddrinfo) X(open) X(openat) X(openat2)    \
    X(fstat) X(pread) X(socketpair) X(fork) X(kill) X(pidfd_open) X(pidfd_send_signal) X(close_range)
/* clang-format on */

#define FAULTCALLS_NUMBER(name) CALL_##name,
enum faultcall { FAULTCALLS(FAULTCALLS_NUMBER) FAULTCALLS_COUNT };

/* Counts the call. Answers the error that it is to fail with, or 0. */
int faultcalls_error(enum faultcall call);

/* How much of this many bytes may be moved at once. */
size_t faultcalls_limited(size_t size);

/* What a block of malloc takes of memory; 0 where nobody tells. */
size_t faultcalls_block_size(void *memory);

#endif
