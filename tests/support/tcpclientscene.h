/* Internal: tcpclientscene.h, what the tests of tcpclient share: a client, a server that says hello, names, addresses
 * that are silent.
 *
 *     begin_with_server(&client, "127.0.0.1");
 *     assert_int_equal(connect_to(&client, "dual.test", NULL), 0);
 *     end_client(&client);
 *
 * For one source of a program. */
#ifndef TESTS_SUPPORT_TCPCLIENTSCENE_H
#define TESTS_SUPPORT_TCPCLIENTSCENE_H

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "ioloop/netutil.h"
#include "ioloop/resolver.h"
#include "ioloop/tcpclient.h"
#include "ioloop/tcpserver.h"
#include "tests/support/fakenames.h"
#include "tests/support/faults.h"
#include "tests/support/testing.h"

const struct fakename fakenames[] = {
    { "dual.test", { "::1", "127.0.0.1" } },
    { "dual4.test", { "127.0.0.1", "::1" } },
    { "far.test", { "127.0.0.1", "127.0.0.2" } },
    { "slow.test", { "127.0.0.1" } },
    { NULL, { NULL } },
};

struct client {
    struct ioloop *loop;
    double clock;
    struct tcpserver *server; /* answers "hello" */
    int port;
    struct sockaddr_storage seen; /* the client's address at the server */
    uint64_t id;
    int calls, error;
    bool called, has_hello;
    struct iostream *stream;
    struct ioexecutor *executor; /* of slow names */
    struct resolver *resolver;
};

static inline void say_hello(struct tcpserver *server, struct iostream *stream, const struct sockaddr *address,
                             socklen_t length, void *arg)
{
    struct client *client = arg;

    memcpy(&client->seen, address, length);
    iostream_write_static(stream, "hello", 5, NULL, NULL); /* may fail on order */
    iostream_close(stream);
}

static inline void begin_client(struct client *client)
{
    *client = (struct client){ .clock = 100 };
    client->loop = ioloop_new(&(struct ioloop_options){ .clock = testing_clock, .clock_arg = &client->clock });
    assert_non_null(client->loop);
}

/* address NULL: no server. */
static inline void begin_with_server(struct client *client, const char *address)
{
    begin_client(client);
    client->server = tcpserver_new(client->loop, say_hello, client, NULL);
    client->port = tcpserver_listen(client->server, 0, &(struct netutil_bind_options){ .address = address });
    assert_true(client->port > 0);
}

static inline void end_client(struct client *client)
{
    faults_end();
    if (client->stream != NULL)
        iostream_close(client->stream);
    if (client->loop != NULL)
        ioloop_close(client->loop, false);
}

static inline void on_connect(int error, struct iostream *stream, void *arg)
{
    struct client *client = arg;

    assert_true((error == 0) == (stream != NULL));
    client->calls++;
    client->called = true;
    client->error = error;
    client->stream = stream;
    ioloop_stop(client->loop); /* this iteration need not wait for events */
}

static inline void start_connect(struct client *client, const char *host, const struct tcpclient_options *options)
{
    client->called = false;
    client->id = tcpclient_connect(client->loop, host, client->port, options, on_connect, client);
    assert_int_not_equal(client->id, 0);
    assert_false(client->called); /* never inside the call */
}

static inline int connect_to(struct client *client, const char *host, const struct tcpclient_options *options)
{
    start_connect(client, host, options);
    testing_run_until(client->loop, &client->called);
    assert_int_equal(client->calls, 1);
    return client->error;
}

static inline void on_hello(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct client *client = arg;

    assert_int_equal(error, 0);
    assert_memory_equal(data, "hello", 5);
    client->has_hello = true;
}

static inline int family_of_stream(struct client *client)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;

    assert_int_equal(getpeername(iostream_fd(client->stream), (struct sockaddr *)&address, &length), 0);
    return address.ss_family;
}

static inline void assert_hello(const char *server, const char *host, int family, int expected)
{
    struct client client;
    int nodelay = 0;
    socklen_t length = sizeof nodelay;

    begin_with_server(&client, server);
    assert_int_equal(connect_to(&client, host, &(struct tcpclient_options){ .family = family }), 0);
    assert_int_equal(getsockopt(iostream_fd(client.stream), IPPROTO_TCP, TCP_NODELAY, &nodelay, &length), 0);
    assert_int_equal(nodelay, 1);
    assert_int_equal(family_of_stream(&client), expected);
    assert_int_equal(iostream_read_bytes(client.stream, 5, on_hello, &client), 0);
    testing_run_until(client.loop, &client.has_hello);
    end_client(&client);
}

/* An address that does not answer: its queue is full, so the kernel drops what comes. */
struct silence {
    int listener, fillers[8], count;
};

static inline void begin_silence(struct silence *silence, const char *address, int port)
{
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    struct netutil_bind_options options = { .address = address, .backlog = 1 };
    struct pollfd entry = { .events = POLLOUT };

    silence->count = 0;
    assert_int_equal(netutil_bind_sockets(&silence->listener, 1, port, &options), 1);
    assert_int_equal(getsockname(silence->listener, (struct sockaddr *)&name, &length), 0);
    do {
        assert_true(silence->count < 8);
        entry.fd = socket(name.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        silence->fillers[silence->count++] = entry.fd;
        assert_int_equal(connect(entry.fd, (struct sockaddr *)&name, length), -1);
        for (int i = 0; i < 2; i++) /* what asks, what answers */
            testing_deliver();
    } while (poll(&entry, 1, 0) == 1);
}

static inline void end_silence(struct silence *silence)
{
    for (int i = 0; i < silence->count; i++)
        close(silence->fillers[i]);
    close(silence->listener);
}

static inline void start_in_silence(struct client *client, struct silence *silence,
                                    const struct tcpclient_options *options)
{
    begin_client(client);
    begin_silence(silence, "127.0.0.1", 0);
    client->port = netutil_bound_port(silence->listener);
    start_connect(client, "127.0.0.1", options);
    testing_spin(client->loop, 3);
    assert_false(client->called);
}

/* A name that is not resolved before release_name; on a thread of its own, whose end end_slow_name waits for. */
static inline void start_slow_name(struct client *client, struct tcpclient_options options)
{
    assert_int_equal(pipe(fakenames_gate), 0);
    client->executor = ioexecutor_new(1, 1);
    options.resolver = client->resolver = resolver_new(client->executor);
    assert_non_null(client->resolver);
    start_connect(client, "slow.test", &options);
    testing_spin(client->loop, 3);
    assert_false(client->called);
}

static inline void begin_slow_name(struct client *client, struct tcpclient_options options)
{
    begin_with_server(client, "127.0.0.1");
    start_slow_name(client, options);
}

static inline void release_name(void)
{
    assert_int_equal(write(fakenames_gate[1], "x", 1), 1);
}

static inline void end_slow_name(struct client *client)
{
    release_name();
    end_client(client);
    if (client->resolver != NULL)
        resolver_close(client->resolver);
    ioexecutor_close(client->executor, true);
    close(fakenames_gate[0]);
    close(fakenames_gate[1]);
}

#endif
