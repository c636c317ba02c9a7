#include "ioloop/tcpserver.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ioloop/acceptor.h"
#include "ioloop/ioalloc.h"
#include "ioloop/iolog.h"
#include "ioloop/ioprocesslayer.h"
#include "ioloop/iostreamlayer.h"
#include "ioloop/loopmember.h"
#include "ioloop/looptask.h"

#define MOST_CONNECTIONS 10000
#define SPARED_FDS       64 /* of RLIMIT_NOFILE: for files, upstreams and the library */
#define MOST_LISTENERS   64 /* of one name */
#define ASK_AGAIN        0.1
#define HANDED_A_TURN    64 /* connections of those that were taken when it stopped */

/* A server that has closed stays in memory until on_close was told and the last of its streams, which count
 * themselves out, is gone. */
struct tcpserver {
    struct loopmember member;
    struct looptask task; /* hands over what was taken, then tells on_close */
    struct iostreamlayer_owner owner;
    struct ioloop *loop;
    tcpserver_handle_stream_fn *handle_stream;
    void *arg;
    struct tcpserver_options options;
    size_t most; /* connections: max_connections, but no more than there can be descriptors */
    struct acceptor **acceptors;
    size_t acceptor_count;
    int *bound; /* listeners that wait for tcpserver_start */
    size_t bound_count;
    int *taken; /* connections that waited when it stopped, not handed over yet: [handed, taken_count) */
    size_t handed, taken_count, taken_capacity;
    size_t connections; /* with those that were taken */
    uint64_t timeout;   /* while full, and there is on_full: asks again */
    bool started;
    bool full;   /* the listeners are paused */
    bool shares; /* there is no room without on_full */
    bool warned; /* that there are fewer descriptors than max_connections, if anybody has asked for so many */
    bool closed, told;
};

/* Connections. */

static struct tcpserver *tcpserver_of_task(struct looptask *task)
{
    return (struct tcpserver *)((char *)task - offsetof(struct tcpserver, task));
}

static void free_tcpserver(struct looptask *task)
{
    struct tcpserver *server = tcpserver_of_task(task);

    ioalloc_free(server->acceptors);
    ioalloc_free(server->bound);
    ioalloc_free(server->taken);
    ioalloc_free(server);
}

/* As many as are wanted, if there can be so many descriptors. A process that has few altogether keeps half of them. */
static size_t find_most_connections(size_t wanted)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || (uintmax_t)limit.rlim_cur > SIZE_MAX / 2)
        return wanted;
    size_t fds = (size_t)limit.rlim_cur;
    size_t possible = fds > 2 * SPARED_FDS ? fds - SPARED_FDS : fds / 2 + 1;
    return wanted < possible ? wanted : possible;
}

/* Who has raised the limit meanwhile gets what it is for. */
static bool __attribute__((noinline)) finds_more_room(struct tcpserver *server)
{
    if (server->most < server->options.max_connections)
        server->most = find_most_connections(server->options.max_connections);
    return server->connections < server->most;
}

static bool has_room(struct tcpserver *server)
{
    return server->connections < server->most || finds_more_room(server);
}

static void pause_listeners(struct tcpserver *server)
{
    server->full = true;
    for (size_t i = 0; i < server->acceptor_count; i++)
        acceptor_pause(server->acceptors[i]);
}

static void stop_asking(struct tcpserver *server)
{
    ioloop_remove_timeout(server->loop, server->timeout);
    server->timeout = 0;
}

static void resume_listeners(struct tcpserver *server)
{
    stop_asking(server);
    server->full = false;
    for (size_t i = 0; i < server->acceptor_count; i++)
        acceptor_resume(server->acceptors[i]);
}

static void ask_again(void *arg)
{
    struct tcpserver *server = arg;

    if (server->full)
        resume_listeners(server);
}

/* A connection waits. Perhaps on_full can close another a little later, which nobody says. */
static void wait_for_room(struct tcpserver *server)
{
    pause_listeners(server);
    if (server->options.on_full != NULL && server->acceptor_count > 0 && server->timeout == 0)
        server->timeout = ioloop_call_later(server->loop, ASK_AGAIN, ask_again, server);
}

static void share_listeners(struct tcpserver *server, bool shares)
{
    server->shares = shares;
    for (size_t i = 0; i < server->acceptor_count; i++)
        acceptor_share(server->acceptors[i], shares);
}

/* Only an event shows that a connection waits, so later in a turn nobody is asked to make room for what may not be
 * there. */
static bool has_room_for_next(bool first, void *arg)
{
    struct tcpserver *server = arg;

    if (!has_room(server) && first && server->options.on_full != NULL)
        server->options.on_full(server, server->arg);
    if (!has_room(server) && first)
        wait_for_room(server);
    return has_room(server);
}

/* Comes from inside iostream_close, so from anywhere. */
static void count_out(struct iostreamlayer_owner *owner, struct iostream *stream)
{
    struct tcpserver *server = (struct tcpserver *)((char *)owner - offsetof(struct tcpserver, owner));

    server->connections--;
    if (server->told && server->connections == 0) {
        looptask_end(server->loop, &server->task, free_tcpserver);
        return;
    }
    if (server->full && has_room(server))
        resume_listeners(server);
    if (server->shares && server->connections <= server->most / 2)
        share_listeners(server, false);
    for (size_t i = 0; i < server->acceptor_count; i++)
        acceptor_wake(server->acceptors[i]);
}

/* Who cannot make room has no use for an event. Among processes that share the listener it would do harm: the kernel
 * wakes one of them, and a connection for which that was the one that is full would wait. Who can make room perhaps is
 * told of connections along with another. */
static void pause_when_full(struct tcpserver *server)
{
    if (has_room(server))
        return;
    if (server->options.on_full == NULL)
        pause_listeners(server);
    else if (!server->shares)
        share_listeners(server, true);
}

/* With a transport of its own. NULL with errno: refused, or no memory; the descriptor is still the caller's. */
static struct iostream *new_wrapped_stream(struct tcpserver *server, int fd)
{
    struct iostream_options options = server->options.stream;
    int error = server->options.start_transport(server->options.start_transport_arg, &options.transport,
                                                &options.transport_context);

    if (error != 0)
        return errno = -error, NULL;
    struct iostream *stream = iostreamlayer_new_accepted(server->loop, fd, &options);
    if (stream == NULL && options.transport != NULL && options.transport->close != NULL) {
        error = errno;
        options.transport->close(options.transport_context, fd);
        errno = error;
    }
    return stream;
}

static struct iostream *new_server_stream(struct tcpserver *server, int fd)
{
    if (server->options.start_transport != NULL)
        return new_wrapped_stream(server, fd);
    return iostreamlayer_new_accepted(server->loop, fd, &server->options.stream);
}

static int serve_connection(int fd, const struct sockaddr *address, socklen_t length, void *arg)
{
    struct tcpserver *server = arg;
    struct iostream *stream = new_server_stream(server, fd);

    if (stream == NULL) {
        int error = -errno;
        close(fd);
        /* That one was refused; the listener rests when there is no memory. */
        return server->options.start_transport != NULL && error != -ENOMEM ? 0 : error;
    }
    stream->owner = &server->owner;
    server->connections++;
    server->handle_stream(server, stream, address, length, server->arg);
    iostreamlayer_read_now(stream);
    pause_when_full(server);
    return 0;
}

static const struct acceptor_functions serving = { .may_accept = has_room_for_next, .accepted = serve_connection };

/* Life. */

static void close_member(struct loopmember *member)
{
    tcpserver_close((struct tcpserver *)member);
}

/* The way into on_close, and the end of the server unless streams are left. */
static void tell_closed(struct tcpserver *server)
{
    if (server->options.on_close != NULL)
        server->options.on_close(server, server->arg);
    server->told = true;
    if (server->connections == 0)
        looptask_end(server->loop, &server->task, free_tcpserver);
}

/* A connection whose client has left since has no address. */
static void hand_over_connection(struct tcpserver *server, int fd)
{
    struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
    socklen_t length = sizeof address;

    if (getpeername(fd, (struct sockaddr *)&address, &length) < 0)
        length = 0;
    server->connections--; /* it is counted anew */
    (void)!serve_connection(fd, (struct sockaddr *)&address, length, server);
}

/* As many as an event of a listener would have brought, so that others have their turn too. */
static void hand_over_taken(struct tcpserver *server)
{
    for (int i = 0; i < HANDED_A_TURN && server->handed < server->taken_count; i++)
        hand_over_connection(server, server->taken[server->handed++]);
    if (server->handed == server->taken_count)
        server->handed = server->taken_count = 0;
}

static void run_tcpserver(struct looptask *task)
{
    struct tcpserver *server = tcpserver_of_task(task);

    hand_over_taken(server);
    if (server->taken_count > 0)
        looptask_add(server->loop, task);
    else if (server->closed && !looptask_waits(task))
        tell_closed(server);
}

struct tcpserver *tcpserver_new(struct ioloop *loop, tcpserver_handle_stream_fn *handle_stream, void *arg,
                                const struct tcpserver_options *options)
{
    int error = loopmember_check(loop);

    if (error < 0)
        return errno = -error, NULL;
    struct tcpserver *server = ioalloc_zeroed(sizeof *server);
    if (server == NULL)
        return errno = ENOMEM, NULL;
    server->member.close = close_member;
    server->task.run = run_tcpserver;
    server->owner.gone = count_out;
    server->loop = loop;
    server->handle_stream = handle_stream;
    server->arg = arg;
    if (options != NULL)
        server->options = *options;
    server->warned = server->options.max_connections == 0;
    if (server->options.max_connections == 0)
        server->options.max_connections = MOST_CONNECTIONS;
    loopmember_add(loop, &server->member);
    return server;
}

static void close_bound(void *arg)
{
    struct tcpserver *server = arg;

    while (server->bound_count > 0)
        close(server->bound[--server->bound_count]);
}

/* False: no memory. */
static bool keep_taken(struct tcpserver *server, int fd)
{
    if (server->taken_count == server->taken_capacity) {
        size_t capacity = server->taken_capacity > 0 ? 2 * server->taken_capacity : HANDED_A_TURN;
        int *taken = ioalloc_array_resize(server->taken, capacity, sizeof *taken);
        if (taken == NULL)
            return false;
        server->taken = taken;
        server->taken_capacity = capacity;
    }
    server->taken[server->taken_count++] = fd;
    server->connections++;
    return true;
}

/* The kernel has accepted these for us, and would reset them when their listener closes. */
static void take_waiting(struct tcpserver *server, struct acceptor *acceptor)
{
    while (has_room(server)) {
        int fd = acceptor_take(acceptor);
        if (fd < 0)
            return;
        if (!keep_taken(server, fd)) {
            close(fd);
            return;
        }
    }
}

static void close_listeners(struct tcpserver *server)
{
    stop_asking(server);
    while (server->acceptor_count > 0)
        acceptor_close(server->acceptors[--server->acceptor_count], true);
    close_bound(server);
}

void tcpserver_stop(struct tcpserver *server)
{
    for (size_t i = 0; i < server->acceptor_count; i++)
        take_waiting(server, server->acceptors[i]);
    if (server->taken_count > 0)
        looptask_add(server->loop, &server->task);
    close_listeners(server);
}

void tcpserver_close(struct tcpserver *server)
{
    if (server->closed)
        return;
    server->closed = true;
    close_listeners(server);
    loopmember_remove(&server->member);
    looptask_add(server->loop, &server->task);
}

/* Listeners. */

static int add_acceptor(struct tcpserver *server, int listener)
{
    struct acceptor *acceptor = acceptor_new(server->loop, listener, &serving, server);

    if (acceptor == NULL)
        return -errno;
    server->acceptors[server->acceptor_count++] = acceptor;
    if (server->shares)
        acceptor_share(acceptor, true);
    /* For listeners from elsewhere. Unix sockets have no such thing, which is fine. */
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    return 0;
}

/* When it begins to listen: until then the program may have raised the limit. */
static void look_at_descriptors(struct tcpserver *server)
{
    server->most = find_most_connections(server->options.max_connections);
    if (server->warned || server->most >= server->options.max_connections)
        return;
    server->warned = true;
    iolog_write(IOLOG_GENERAL, IOLOG_WARNING,
                "max_connections is %zu, but there are descriptors for %zu: RLIMIT_NOFILE (ulimit -n) is too low",
                server->options.max_connections, server->most);
}

int tcpserver_add_sockets(struct tcpserver *server, const int *fds, size_t count)
{
    size_t before = server->acceptor_count;
    struct acceptor **acceptors;
    int error = 0;

    if (server->closed)
        return -EBADF;
    if (count == 0)
        return 0;
    look_at_descriptors(server);
    acceptors = ioalloc_array_resize(server->acceptors, before + count, sizeof *acceptors);
    if (acceptors == NULL)
        return -ENOMEM;
    server->acceptors = acceptors;
    for (size_t i = 0; i < count && error == 0; i++)
        error = add_acceptor(server, fds[i]);
    if (error < 0) {
        while (server->acceptor_count > before)
            acceptor_close(server->acceptors[--server->acceptor_count], false);
    }
    return error;
}

static int keep_bound(struct tcpserver *server, const int *fds, size_t count)
{
    int *bound = ioalloc_array_resize(server->bound, server->bound_count + count, sizeof *bound);

    if (bound == NULL)
        return -ENOMEM;
    memcpy(bound + server->bound_count, fds, count * sizeof *fds);
    server->bound = bound;
    server->bound_count += count;
    return 0;
}

/* Takes over the count listeners in fds, or closes them; answers the port of the first. */
static int serve_or_keep(struct tcpserver *server, const int *fds, int count, bool keep)
{
    int port = netutil_bound_port(fds[0]);
    int error = keep ? keep_bound(server, fds, (size_t)count) : tcpserver_add_sockets(server, fds, (size_t)count);

    if (error == 0)
        return port;
    while (count > 0)
        close(fds[--count]);
    return error;
}

int tcpserver_listen(struct tcpserver *server, int port, const struct netutil_bind_options *options)
{
    int fds[MOST_LISTENERS];
    int count = server->closed ? -EBADF : netutil_bind_sockets(fds, MOST_LISTENERS, port, options);

    return count < 0 ? count : serve_or_keep(server, fds, count, false);
}

int tcpserver_listen_unix(struct tcpserver *server, const char *path, unsigned mode)
{
    int fd = server->closed ? -EBADF : netutil_bind_unix_socket(path, mode, 0);

    return fd < 0 ? fd : serve_or_keep(server, &fd, 1, false);
}

int tcpserver_bind(struct tcpserver *server, int port, const struct netutil_bind_options *options)
{
    int fds[MOST_LISTENERS];
    int count = server->closed ? -EBADF : netutil_bind_sockets(fds, MOST_LISTENERS, port, options);

    return count < 0 ? count : serve_or_keep(server, fds, count, !server->started);
}

/* A worker reopens the loop, whose kernel queue is the parent's. The parent lets go of the listeners when its workers
 * end: it would keep clients waiting whom nobody accepts. */
static int fork_workers(struct tcpserver *server, int processes, int max_restarts)
{
    int id = ioprocesslayer_fork(processes, max_restarts, close_bound, server);

    return id < 0 ? id : ioloop_reopen(server->loop);
}

int tcpserver_start(struct tcpserver *server, int processes, int max_restarts)
{
    int error = server->closed ? -EBADF : server->started ? -EALREADY : 0;

    if (error == 0 && processes != 1)
        error = fork_workers(server, processes, max_restarts);
    if (error == 0)
        error = tcpserver_add_sockets(server, server->bound, server->bound_count);
    if (error < 0)
        return error;
    server->started = true;
    server->bound_count = 0;
    return 0;
}

/* Asking. */

size_t tcpserver_connections(const struct tcpserver *server)
{
    return server->connections - (server->taken_count - server->handed);
}

struct ioloop *tcpserver_loop(const struct tcpserver *server)
{
    return server->loop;
}
