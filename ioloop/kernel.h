/* Internal: kernel.h, the calls that Linux and the BSDs (and macOS) spell differently. kernel_linux.c and kernel_bsd.c;
 * one of them is linked. Only these two and the pollers know what system they are on.
 *
 * Errors: negative errno values. Every descriptor made here is non-blocking and close-on-exec; none raises SIGPIPE.
 * Threads: any. */
#ifndef IOLOOP_KERNEL_H
#define IOLOOP_KERNEL_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

int kernel_socket(int family, int type);
int kernel_accept(int listener, struct sockaddr *address, socklen_t *length);
int kernel_pipe(int fds[2]);
int kernel_socketpair(int fds[2]);

/* One end is for a child, and it has to be as programs expect: so both of them block and raise SIGPIPE. */
int kernel_child_pipe(int fds[2]);

/* Makes a descriptor from elsewhere non-blocking; a socket also free of SIGPIPE. Answers 1 for a socket, 0 for others.
 */
int kernel_adopt(int fd);

/* Sends to a socket: send(2) without a signal, -1 with errno. */
ssize_t kernel_send_bytes(int fd, const void *data, size_t length);

/* Sends to a socket; more: further bytes follow at once. */
ssize_t kernel_send(int fd, const struct iovec *vector, int count, bool more);

/* Writes to what is no socket. */
ssize_t kernel_write_pipe(int fd, const struct iovec *vector, int count);

/* Has the kernel keep what is no whole segment of TCP, until it is told to let go of it; 200 ms at most. False: it
 * cannot, or paces what it sends by estimates which what it keeps makes worse (BBR). */
bool kernel_cork(int fd);
void kernel_uncork(int fd);

/* From a file to a socket: how many bytes were sent, 0 at the end of the file. */
ssize_t kernel_sendfile(int fd, int file, int64_t offset, size_t count);

/* The error that waits on a socket, cleared: a negative errno value or 0. */
int kernel_socket_error(int fd);

/* Opens what is at path below the folder root, for reading; without waiting for what may be at the other side of a
 * FIFO. Neither ".." nor links lead out of it: -EXDEV. The path is relative, with no empty segments. no_links: no
 * symbolic links are followed, inside of it neither: -ELOOP; some systems never follow any here. */
int kernel_open_beneath(int root, const char *path, bool no_links);

/* When a file was modified, which programs may set; and when anything of it changed last, which they may not. */
struct timespec kernel_modified(const struct stat *status);
struct timespec kernel_changed(const struct stat *status);

/* A descriptor that is readable when this child has ended, or is about to: a wait for it is short then. -ENOSYS,
 * -EPERM: there is none here. */
int kernel_child_fd(pid_t pid);

/* child_fd: as above, or -1. */
int kernel_signal_child(int child_fd, pid_t pid, int signal_number);

/* Closes all descriptors from this number on, when the next program is run at the latest. Safe between fork and exec.
 */
void kernel_close_from(int fd);

/* Fit for secrets: 0, or a negative errno value when the system gives no random bytes; then none may be used. */
int kernel_random(void *bytes, size_t size);

/* regcomp(3) where letters are those of ASCII, whatever locale the program has set; REG_ESPACE: no memory. Threads of
 * NetBSD have no locale of their own: there it is that of the program. */
int kernel_regcomp(regex_t *regex, const char *text, int flags);

#endif
