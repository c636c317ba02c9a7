#include "ioloop/netutil.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ioloop/acceptor.h"
#include "ioloop/ioalloc.h"
#include "ioloop/kernel.h"
#include "ioloop/loopmember.h"

#define DEFAULT_BACKLOG 1024
#define PORT_TRIES      16

/* Listening on IP. */

static int look_up_for_binding(const struct netutil_bind_options *options, int port, struct addrinfo **addresses)
{
    const char *host = options->address != NULL && options->address[0] != '\0' ? options->address : NULL;
    struct addrinfo hints = { .ai_family = options->family,
                              .ai_socktype = SOCK_STREAM,
                              .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
    char service[sizeof "65535"];

    snprintf(service, sizeof service, "%u", (unsigned)port & 0xffffu);
    switch (getaddrinfo(host, service, &hints, addresses)) {
    case 0:
        return 0;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_SYSTEM:
        return -errno;
    default:
        return -ENXIO;
    }
}

static int set_option(int fd, int level, int name)
{
    return setsockopt(fd, level, name, &(int){ 1 }, sizeof(int)) < 0 ? -errno : 0;
}

/* IPV6_V6ONLY, so that the same port can be bound for IPv4 on its own. */
static int set_listener_options(int fd, int family, bool reuse_port)
{
    int error = set_option(fd, SOL_SOCKET, SO_REUSEADDR);

    if (error == 0 && reuse_port)
        error = set_option(fd, SOL_SOCKET, SO_REUSEPORT);
    if (error == 0 && family == AF_INET6)
        error = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY);
    if (error == 0)
        error = set_option(fd, IPPROTO_TCP, TCP_NODELAY);
    return error;
}

static int start_listening(int fd, int backlog)
{
    return listen(fd, backlog > 0 ? backlog : DEFAULT_BACKLOG) < 0 ? -errno : 0;
}

static void set_port(struct sockaddr *address, int port)
{
    if (address->sa_family == AF_INET)
        ((struct sockaddr_in *)address)->sin_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in6 *)address)->sin6_port = htons((uint16_t)port);
}

/* Answers the listener. */
static int listen_on(const struct addrinfo *info, int port, const struct netutil_bind_options *options)
{
    struct sockaddr_storage address = { 0 };
    int fd = kernel_socket(info->ai_family, SOCK_STREAM);

    if (fd < 0)
        return fd;
    memcpy(&address, info->ai_addr, info->ai_addrlen);
    set_port((struct sockaddr *)&address, port);
    int error = set_listener_options(fd, info->ai_family, options->reuse_port);
    if (error == 0 && bind(fd, (struct sockaddr *)&address, info->ai_addrlen) < 0)
        error = -errno;
    if (error == 0)
        error = start_listening(fd, options->backlog);
    if (error < 0)
        close(fd);
    return error < 0 ? error : fd;
}

/* /etc/hosts may name an address twice. */
static bool is_repetition(const struct addrinfo *first, const struct addrinfo *info)
{
    for (; first != info; first = first->ai_next) {
        if (first->ai_addrlen == info->ai_addrlen && memcmp(first->ai_addr, info->ai_addr, info->ai_addrlen) == 0)
            return true;
    }
    return false;
}

/* Where localhost has a link-local address (macOS) it is no loopback. */
static bool is_link_local_localhost(const struct addrinfo *info, const char *name)
{
    return name != NULL && strcmp(name, "localhost") == 0 && info->ai_family == AF_INET6 &&
           ((const struct sockaddr_in6 *)info->ai_addr)->sin6_scope_id != 0;
}

/* A kernel without IPv6, and one that knows ::1 but has it on no interface (containers), serve IPv4. */
static bool is_missing_family(int error, const struct addrinfo *info, const char *name)
{
    if (error == -EAFNOSUPPORT)
        return true;
    return error == -EADDRNOTAVAIL && info->ai_family == AF_INET6 && name != NULL && strcmp(name, "localhost") == 0;
}

/* Those that are being made by one netutil_bind_sockets. */
struct listeners {
    int *fds;
    int count, capacity;
    int port;    /* 0: the first to be bound settles it */
    int missing; /* the error of an address that was left out; the answer if there is no other */
    const struct netutil_bind_options *options;
};

static int add_listener(struct listeners *listeners, const struct addrinfo *info)
{
    const char *name = listeners->options->address;
    int fd = listeners->count < listeners->capacity ? listen_on(info, listeners->port, listeners->options) : -ENOSPC;

    if (is_missing_family(fd, info, name)) {
        listeners->missing = fd;
        return 0;
    }
    if (fd < 0)
        return fd;
    listeners->fds[listeners->count++] = fd;
    if (listeners->port == 0)
        listeners->port = netutil_bound_port(fd);
    return 0;
}

static int add_listeners(struct listeners *listeners, const struct addrinfo *addresses, int family)
{
    int error = 0;

    for (const struct addrinfo *info = addresses; info != NULL && error == 0; info = info->ai_next) {
        if (info->ai_family == family && !is_repetition(addresses, info) &&
            !is_link_local_localhost(info, listeners->options->address))
            error = add_listener(listeners, info);
    }
    return error;
}

static int bind_all(struct listeners listeners, const struct addrinfo *addresses)
{
    int error = add_listeners(&listeners, addresses, AF_INET);

    if (error == 0)
        error = add_listeners(&listeners, addresses, AF_INET6);
    if (error == 0 && listeners.count == 0)
        error = listeners.missing;
    if (error == 0)
        return listeners.count;
    while (listeners.count > 0)
        close(listeners.fds[--listeners.count]);
    return error;
}

int netutil_bind_sockets(int *fds, int capacity, int port, const struct netutil_bind_options *options)
{
    static const struct netutil_bind_options defaults;
    struct listeners listeners = { fds, 0, capacity, port, -EADDRNOTAVAIL, options != NULL ? options : &defaults };
    int family = listeners.options->family;
    struct addrinfo *addresses;

    if (port < 0 || port > 65535 || (family != AF_UNSPEC && family != AF_INET && family != AF_INET6))
        return -EINVAL;
    int result = look_up_for_binding(listeners.options, port, &addresses);
    if (result < 0)
        return result;
    /* A port that is free for IPv4 may be taken for IPv6; then the kernel is asked for another one. */
    for (int tries = port == 0 ? PORT_TRIES : 1; tries > 0; tries--) {
        result = bind_all(listeners, addresses);
        if (result != -EADDRINUSE)
            break;
    }
    freeaddrinfo(addresses);
    return result;
}

/* Listening on Unix sockets. */

/* Answers the length of the address. */
static int set_path(struct sockaddr_un *address, const char *path)
{
    size_t length = path != NULL ? strlen(path) : 0;
    bool is_abstract = length > 0 && path[0] == '@';

    if (length == 0)
        return -EINVAL;
    if (length >= sizeof address->sun_path)
        return -ENAMETOOLONG;
    *address = (struct sockaddr_un){ .sun_family = AF_UNIX };
    memcpy(address->sun_path, path, length);
    if (is_abstract)
        address->sun_path[0] = '\0';
    /* The end of an abstract name is that of the address, that of a path its NUL. */
    return (int)(offsetof(struct sockaddr_un, sun_path) + length + !is_abstract);
}

/* Only a connection tells a socket file that is served from one left behind: that refuses. */
static int remove_stale_socket(const struct sockaddr_un *address, socklen_t length)
{
    struct stat status;
    int result = -EADDRINUSE;

    if (lstat(address->sun_path, &status) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(status.st_mode))
        return -EEXIST;
    int fd = kernel_socket(AF_UNIX, SOCK_STREAM);
    if (fd < 0)
        return fd;
    if (connect(fd, (const struct sockaddr *)address, length) < 0 && errno == ECONNREFUSED)
        result = unlink(address->sun_path) < 0 && errno != ENOENT ? -errno : 0;
    close(fd);
    return result;
}

static int bind_path(int fd, const struct sockaddr_un *address, socklen_t length)
{
    int error = bind(fd, (const struct sockaddr *)address, length) < 0 ? -errno : 0;

    if (error != -EADDRINUSE || address->sun_path[0] == '\0')
        return error;
    error = remove_stale_socket(address, length);
    if (error == 0 && bind(fd, (const struct sockaddr *)address, length) < 0)
        error = -errno;
    return error;
}

/* Nobody can connect before listen: so the mode is there in time. */
static int open_to(unsigned mode, int fd, const struct sockaddr_un *address, int backlog)
{
    bool is_abstract = address->sun_path[0] == '\0';
    int error = 0;

    if (!is_abstract && chmod(address->sun_path, mode != 0 ? (mode_t)mode : 0600) < 0)
        error = -errno;
    if (error == 0)
        error = start_listening(fd, backlog);
    if (error < 0 && !is_abstract)
        unlink(address->sun_path);
    return error;
}

int netutil_bind_unix_socket(const char *path, unsigned mode, int backlog)
{
    struct sockaddr_un address;
    int length = set_path(&address, path);
    int fd = length < 0 ? length : kernel_socket(AF_UNIX, SOCK_STREAM);

    if (fd < 0)
        return fd;
    int error = bind_path(fd, &address, (socklen_t)length);
    if (error == 0)
        error = open_to(mode, fd, &address, backlog);
    if (error < 0)
        close(fd);
    return error < 0 ? error : fd;
}

/* Accepting. */

struct accept_handler {
    struct loopmember member;
    int listener;
    struct acceptor *acceptor;
    netutil_accept_fn *callback;
    void *arg;
};

/* After the callback the handler may be gone. */
static int call_back(int fd, const struct sockaddr *address, socklen_t length, void *arg)
{
    struct accept_handler *handler = arg;

    handler->callback(fd, address, length, handler->arg);
    return 0;
}

static const struct acceptor_functions calling_back = { .accepted = call_back };

static void close_handler(struct loopmember *member)
{
    struct accept_handler *handler = (struct accept_handler *)member;

    loopmember_remove(member);
    acceptor_close(handler->acceptor, false);
    ioalloc_free(handler);
}

/* Among the members of the loop. NULL: there is none. */
static struct accept_handler *find_accept_handler(const struct ioloop *loop, int listener)
{
    for (struct loopmember *member = loopmember_first(loop); member != NULL; member = member->next) {
        struct accept_handler *handler = (struct accept_handler *)member;

        if (member->close == close_handler && handler->listener == listener)
            return handler;
    }
    return NULL;
}

int netutil_add_accept_handler(struct ioloop *loop, int listener, netutil_accept_fn *callback, void *arg)
{
    struct accept_handler *handler = ioalloc(sizeof *handler);

    if (handler == NULL)
        return -ENOMEM;
    *handler = (struct accept_handler){ { .close = close_handler }, listener, NULL, callback, arg };
    handler->acceptor = acceptor_new(loop, listener, &calling_back, handler);
    if (handler->acceptor == NULL) {
        int error = -errno;
        ioalloc_free(handler);
        return error;
    }
    loopmember_add(loop, &handler->member);
    return 0;
}

void netutil_remove_accept_handler(struct ioloop *loop, int listener)
{
    struct accept_handler *handler = find_accept_handler(loop, listener);

    if (handler != NULL)
        close_handler(&handler->member);
}

int netutil_pause_accept_handler(struct ioloop *loop, int listener)
{
    struct accept_handler *handler = find_accept_handler(loop, listener);

    if (handler == NULL)
        return -ENOENT;
    acceptor_pause(handler->acceptor);
    return 0;
}

int netutil_resume_accept_handler(struct ioloop *loop, int listener)
{
    struct accept_handler *handler = find_accept_handler(loop, listener);

    return handler != NULL ? acceptor_resume(handler->acceptor) : -ENOENT;
}
