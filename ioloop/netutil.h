/* netutil.h: listening sockets, tornado.netutil.
 *
 *     int fds[8];
 *     int count = netutil_bind_sockets(fds, 8, 8888, &(struct netutil_bind_options){ .address = "localhost" });
 *     netutil_add_accept_handler(loop, fds[0], on_accept, NULL);
 *
 * Errors: a count or a negative errno value; a name that cannot be resolved is -ENXIO. */
#ifndef IOLOOP_NETUTIL_H
#define IOLOOP_NETUTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "ioloop/ioloop.h"

IOAPI_BEGIN

struct netutil_bind_options {
    const char *address; /* a name or a literal, all whose addresses are bound; NULL or "": all interfaces */
    int family;          /* AF_UNSPEC (0), AF_INET, AF_INET6 */
    int backlog;         /* 0: 1024; the kernel lowers it to its own limit */
    bool reuse_port;     /* SO_REUSEPORT: connections queued for a process that dies are lost with it */
};

/* Non-blocking close-on-exec listeners for every address, IPv4 first, with SO_REUSEADDR, IPV6_V6ONLY and TCP_NODELAY
 * (which accepted sockets inherit). Port 0: one free port, the same for all. Blocks while a name is resolved. Answers
 * how many were put into fds; on an error there are none, which is -ENOSPC when there are more than capacity. options
 * may be NULL. */
int netutil_bind_sockets(int *fds, int capacity, int port, const struct netutil_bind_options *options) IOAPI_MUST_USE;

/* A Unix listener; a path that begins with '@' is in Linux's abstract name space. A socket file that nobody listens on
 * is replaced, any other file is -EEXIST, a live server -EADDRINUSE. mode 0: 0600. backlog 0: 1024. Answers the
 * descriptor. */
int netutil_bind_unix_socket(const char *path, unsigned mode, int backlog) IOAPI_MUST_USE;

/* fd: non-blocking, close-on-exec, the callback's to close. */
typedef void netutil_accept_fn(int fd, const struct sockaddr *address, socklen_t length, void *arg);

/* Accepts up to 64 connections an iteration. Out of descriptors or memory it closes what waits, with the help of a
 * spare descriptor, stops watching the listener for 0.1 s, then longer up to 1 s, and says so once in 10 s. The
 * listener stays the caller's: remove the handler before closing it. */
int netutil_add_accept_handler(struct ioloop *loop, int listener, netutil_accept_fn *callback,
                               void *arg) IOAPI_MUST_USE;
void netutil_remove_accept_handler(struct ioloop *loop, int listener);

/* Stops watching the listener, its queue in the kernel stays; and watches it again. -ENOENT without a handler. */
int netutil_pause_accept_handler(struct ioloop *loop, int listener);
int netutil_resume_accept_handler(struct ioloop *loop, int listener);

/* Is this text, NUL-terminated, an IPv4 or IPv6 address? */
bool netutil_is_valid_ip(const char *text);

/* "127.0.0.1:80", "[::1]:80", "unix:/path", "unix:@abstract" or "unix:" into text, with '?' for what is not printable;
 * cut to size - 1 bytes. Answers its length. */
size_t netutil_format_address(const struct sockaddr *address, socklen_t length, char *text, size_t size);

/* The port of an IPv4 or IPv6 address, 0 for others; and of a socket's own address. */
int netutil_port(const struct sockaddr *address);
int netutil_bound_port(int fd);

/* The address without its port, as text: "0.0.0.0" for a Unix socket, "" for what is neither. Answers text. */
#define NETUTIL_IP_SIZE 46
const char *netutil_format_ip(const struct sockaddr *address, char text[NETUTIL_IP_SIZE]);

IOAPI_END
#endif
