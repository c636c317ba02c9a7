#include "ioloop/tcpclient.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "ioloop/connector.h"
#include "ioloop/ioalloc.h"
#include "ioloop/iostreamlayer.h"
#include "ioloop/kernel.h"
#include "ioloop/loopmember.h"
#include "ioloop/looptask.h"

#define DEFAULT_TIMEOUT 10.0
#define DEFAULT_DELAY   0.3
#define LEAST_CHOSEN    1024 /* ports that a kernel gives to who has not asked for one are not below */

/* One tcpclient_connect. Attempts are bare descriptors: only the one that wins becomes a stream, so a transport from
 * outside, of which there is one a stream, never sees the others. */
struct connecting {
    struct loopmember member;
    struct looptask task; /* tells how it ended: no caller of the callback has anything of this on its stack */
    struct connector connector;
    struct ioloop *loop;
    uint64_t id;
    uint64_t query; /* the resolver's; 0: it has answered */
    struct tcpclient_options options;
    struct sockaddr_storage source;
    socklen_t source_length;
    double deadline;
    int fds[2]; /* of the attempts, -1: none */
    int winner; /* connected, on its way to the program; -1: none */
    int error;
    bool ended;
    bool is_starting; /* whoever starts it tells how it ended */
    bool is_silent;   /* the winner: nothing had come */
    tcpclient_connect_fn *callback;
    void *arg;
};

/* The end. */

static void end_with(struct connecting *connecting, int error)
{
    connecting->error = error;
    connecting->ended = true;
    if (connecting->is_starting)
        return;
    connecting->is_silent = false; /* bytes may come before it is told */
    looptask_add(connecting->loop, &connecting->task);
}

static struct iostream *make_stream(struct connecting *connecting)
{
    struct iostream *stream =
        iostreamlayer_new_accepted(connecting->loop, connecting->winner, &connecting->options.stream);

    if (stream == NULL)
        return NULL;
    connecting->winner = -1;
    iostreamlayer_read_now(stream); /* nobody reads yet: from here on it is a stream like any other */
    stream->began_silent = connecting->is_silent;
    if (!connecting->options.nagle)
        iostream_set_nodelay(stream, true);
    return stream;
}

/* The way into the program, and the end of the struct. */
static void tell_ended(struct looptask *task)
{
    struct connecting *connecting = (struct connecting *)((char *)task - offsetof(struct connecting, task));
    struct iostream *stream = connecting->error == 0 ? make_stream(connecting) : NULL;
    int error = connecting->error == 0 && stream == NULL ? -errno : connecting->error;

    if (connecting->winner >= 0)
        close(connecting->winner);
    loopmember_remove(&connecting->member);
    connector_free(&connecting->connector);
    connecting->callback(error, stream, connecting->arg);
    ioalloc_free(connecting);
}

/* The resolver calls back in any case, and the connector its owner. */
static void cancel_connecting(struct connecting *connecting)
{
    if (connecting->ended)
        connecting->error = -ECANCELED;
    else if (connecting->query != 0)
        resolver_cancel(connecting->loop, connecting->query);
    else
        connector_stop(&connecting->connector, -ECANCELED);
}

static void close_connecting(struct loopmember *member)
{
    loopmember_remove(member);
    cancel_connecting((struct connecting *)member);
}

/* Attempts. */

/* Answers the length of the address. */
static int parse_ip(const char *text, int port, struct sockaddr_storage *address)
{
    struct sockaddr_in *ipv4 = (struct sockaddr_in *)address;
    struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)address;

    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, text, &ipv4->sin_addr) == 1) {
        ipv4->sin_family = AF_INET;
        ipv4->sin_port = htons((uint16_t)port);
        return sizeof *ipv4;
    }
    if (inet_pton(AF_INET6, text, &ipv6->sin6_addr) == 1) {
        ipv6->sin6_family = AF_INET6;
        ipv6->sin6_port = htons((uint16_t)port);
        return sizeof *ipv6;
    }
    return -EINVAL;
}

static int bind_source(struct connecting *connecting, int fd, int family)
{
    if (connecting->source_length == 0 && connecting->options.source_port != 0) {
        const char *loopback = family == AF_INET6 ? "::1" : "127.0.0.1";
        struct sockaddr_storage address;
        int length = parse_ip(loopback, connecting->options.source_port, &address);
        return bind(fd, (struct sockaddr *)&address, (socklen_t)length) < 0 ? -errno : 0;
    }
    if (connecting->source_length == 0)
        return 0;
    return bind(fd, (struct sockaddr *)&connecting->source, connecting->source_length) < 0 ? -errno : 0;
}

static in_port_t port_of(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)address)->sin6_port
                                          : ((const struct sockaddr_in *)address)->sin_port;
}

/* A port that nobody listens on may be the very one the kernel chose for this side: then the socket has met itself.
 * Only who has the port of the other side may be the other side. */
static bool may_be_itself(const struct connecting *connecting, int fd, const struct resolver_address *address)
{
    struct sockaddr_storage own;
    socklen_t length = sizeof own;

    if (connecting->options.source_port == 0 && ntohs(port_of(&address->address)) < LEAST_CHOSEN)
        return false;
    return getsockname(fd, (struct sockaddr *)&own, &length) < 0 || port_of(&own) == port_of(&address->address);
}

static bool is_connected_to_itself(int fd)
{
    struct sockaddr_storage own, peer;
    socklen_t own_length = sizeof own, peer_length = sizeof peer;

    return getsockname(fd, (struct sockaddr *)&own, &own_length) == 0 &&
           getpeername(fd, (struct sockaddr *)&peer, &peer_length) == 0 && own_length == peer_length &&
           memcmp(&own, &peer, own_length) == 0;
}

static void on_writable(int fd, unsigned events, void *arg)
{
    struct connecting *connecting = arg;
    int side = fd == connecting->fds[1];

    if ((events & LOOPMEMBER_CLOSING) != 0) {
        cancel_connecting(connecting);
        return;
    }
    const struct connector *connector = &connecting->connector;
    const struct resolver_address *address = &connector->addresses[connector->sides[side].next - 1];
    int error = kernel_socket_error(fd);
    if (error == 0 && may_be_itself(connecting, fd, address) && is_connected_to_itself(fd))
        error = -ECONNREFUSED;
    ioloop_remove_handler(connecting->loop, fd);
    if (error < 0) {
        close(fd);
        connecting->fds[side] = -1;
    }
    connector_tell(&connecting->connector, side, error);
}

static int wait_for_connection(struct connecting *connecting, int fd)
{
    int error = loopmember_claim_fd(connecting->loop, fd, on_writable, connecting);

    if (error < 0)
        return error;
    error = ioloop_update_handler(connecting->loop, fd, IOLOOP_WRITE);
    if (error < 0)
        ioloop_remove_handler(connecting->loop, fd);
    return error;
}

/* Is there nothing to wait for? Within one machine that is so, though connect does not say it. Whatever is not as it
 * should be is left to on_writable. */
static bool is_connected_now(struct connecting *connecting, int fd, const struct resolver_address *address)
{
    struct pollfd state = { .fd = fd, .events = POLLIN | POLLOUT };

    if (poll(&state, 1, 0) != 1 || (state.revents & (POLLOUT | POLLERR | POLLHUP)) != POLLOUT)
        return false;
    connecting->is_silent = (state.revents & POLLIN) == 0;
    return !may_be_itself(connecting, fd, address);
}

static struct connecting *connecting_of(struct connector *connector)
{
    return (struct connecting *)((char *)connector - offsetof(struct connecting, connector));
}

/* EINTR: it goes on in the kernel. */
static int start_connect(struct connector *connector, int side, int fd, const struct resolver_address *address)
{
    struct connecting *connecting = connecting_of(connector);

    if (connect(fd, (const struct sockaddr *)&address->address, address->length) < 0 && errno != EINPROGRESS &&
        errno != EINTR)
        return -errno;
    if (!is_connected_now(connecting, fd, address)) {
        connecting->is_silent = false;
        return wait_for_connection(connecting, fd);
    }
    connecting->fds[side] = fd;
    connector_tell(connector, side, 0);
    return 0;
}

static bool is_refused(const struct connecting *connecting, const struct resolver_address *address)
{
    const struct tcpclient_options *options = &connecting->options;

    return options->filter != NULL &&
           !options->filter((const struct sockaddr *)&address->address, address->length, options->filter_arg);
}

/* An unusable source address is the program's mistake: other addresses would not do better, or hide it. */
static int start_attempt(struct connector *connector, int side, const struct resolver_address *address)
{
    struct connecting *connecting = connecting_of(connector);
    int family = address->address.ss_family;

    if (is_refused(connecting, address))
        return -EACCES;
    if (connecting->ended) /* the filter has cancelled it */
        return -ECANCELED;
    int fd = kernel_socket(family, SOCK_STREAM);
    if (fd < 0)
        return fd;
    int error = bind_source(connecting, fd, family);
    if (error < 0) {
        close(fd);
        connector_stop(connector, error);
        return 0;
    }
    error = start_connect(connector, side, fd, address);
    if (error < 0)
        close(fd);
    else if (!connector->over)
        connecting->fds[side] = fd;
    return error;
}

static void abandon_attempt(struct connector *connector, int side)
{
    struct connecting *connecting = connecting_of(connector);
    int fd = connecting->fds[side];

    if (fd < 0)
        return;
    connecting->fds[side] = -1;
    ioloop_remove_handler(connecting->loop, fd);
    close(fd);
}

static void end_attempts(struct connector *connector, int error, int side)
{
    struct connecting *connecting = connecting_of(connector);

    if (error == 0) {
        connecting->winner = connecting->fds[side];
        connecting->fds[side] = -1;
    }
    end_with(connecting, error);
}

static const struct connector_functions attempts_by_socket = { start_attempt, abandon_attempt, end_attempts };

/* The beginning. */

/* What is connected at once is told at once: the resolver calls from the loop, and has nothing on its stack either. */
static void start_attempts(struct connecting *connecting)
{
    connecting->is_starting = true;
    connector_start(&connecting->connector, connecting->options.eyeballs_delay, connecting->deadline);
    connecting->is_starting = false;
    if (connecting->ended && connecting->error == 0)
        tell_ended(&connecting->task);
    else if (connecting->ended)
        looptask_add(connecting->loop, &connecting->task);
}

static void on_resolved(int error, const struct resolver_address *addresses, size_t count, void *arg)
{
    struct connecting *connecting = arg;

    connecting->query = 0;
    if (error == 0)
        error = connector_init(&connecting->connector, connecting->loop, &attempts_by_socket, addresses, count);
    if (error < 0)
        end_with(connecting, error);
    else
        start_attempts(connecting);
}

/* With a source address only destinations of its family can be reached. */
static int set_source(struct connecting *connecting)
{
    struct tcpclient_options *options = &connecting->options;

    if (options->source_port < 0 || options->source_port > 65535)
        return -EINVAL;
    if (options->source_ip == NULL)
        return 0;
    int length = parse_ip(options->source_ip, options->source_port, &connecting->source);
    if (length < 0)
        return length;
    connecting->source_length = (socklen_t)length;
    if (options->family == AF_UNSPEC)
        options->family = connecting->source.ss_family;
    return options->family == connecting->source.ss_family ? 0 : -EINVAL;
}

static int take_options(struct connecting *connecting, const struct tcpclient_options *options)
{
    if (options != NULL)
        connecting->options = *options;
    if (connecting->options.timeout == 0)
        connecting->options.timeout = DEFAULT_TIMEOUT;
    if (connecting->options.eyeballs_delay == 0)
        connecting->options.eyeballs_delay = DEFAULT_DELAY;
    if (!(connecting->options.timeout > 0) || !(connecting->options.eyeballs_delay > 0))
        return -EINVAL;
    return set_source(connecting);
}

static int start_resolving(struct connecting *connecting, const char *host, int port,
                           const struct tcpclient_options *options)
{
    int error = port > 0 && port <= 65535 ? take_options(connecting, options) : -EINVAL;

    if (error < 0)
        return error;
    const struct tcpclient_options *ours = &connecting->options;
    connecting->deadline = ioloop_time(connecting->loop) + ours->timeout;
    connecting->query = resolver_resolve(ours->resolver, connecting->loop, host, port, ours->family, ours->timeout,
                                         on_resolved, connecting);
    return connecting->query != 0 ? 0 : -errno;
}

uint64_t tcpclient_connect(struct ioloop *loop, const char *host, int port, const struct tcpclient_options *options,
                           tcpclient_connect_fn *callback, void *arg)
{
    static atomic_uint_fast64_t last_id;
    struct connecting *connecting = ioalloc_zeroed(sizeof *connecting);

    if (connecting == NULL)
        return errno = ENOMEM, 0;
    connecting->member.close = close_connecting;
    connecting->task.run = tell_ended;
    connecting->loop = loop;
    connecting->id = atomic_fetch_add(&last_id, 1) + 1;
    connecting->fds[0] = connecting->fds[1] = connecting->winner = -1;
    connecting->callback = callback;
    connecting->arg = arg;
    int error = start_resolving(connecting, host, port, options);
    if (error < 0) {
        ioalloc_free(connecting);
        return errno = -error, 0;
    }
    loopmember_add(loop, &connecting->member);
    return connecting->id;
}

/* Among the members of the loop; a new one leads to the others. */
static struct connecting *find_connecting(struct ioloop *loop, uint64_t id)
{
    struct loopmember newest = { .close = NULL };

    loopmember_add(loop, &newest);
    struct loopmember *member = newest.next;
    loopmember_remove(&newest);
    while (member != NULL && !(member->close == close_connecting && ((struct connecting *)member)->id == id))
        member = member->next;
    return (struct connecting *)member;
}

void tcpclient_cancel(struct ioloop *loop, uint64_t connect)
{
    struct connecting *connecting = find_connecting(loop, connect);

    if (connecting != NULL)
        cancel_connecting(connecting);
}
