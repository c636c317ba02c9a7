#include "tests/support/testing.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "ioloop/netutil.h"
#include "ioloop/tcpclient.h"
#include "ioloop/tcpserver.h"
#include "tests/support/fakenames.h"
#include "tests/support/faults.h"

const struct fakename fakenames[] = {
    { "dual.test", { "::1", "127.0.0.1" } },
    { "dual4.test", { "127.0.0.1", "::1" } },
    { "far.test", { "127.0.0.1", "127.0.0.2" } },
    { "slow.test", { "127.0.0.1" } },
    { NULL, { NULL } },
};

/* Connections. */

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

static bool has_ipv6(void)
{
    struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;

    if (fd >= 0)
        close(fd);
    if (!has)
        print_message("this machine has no IPv6: the test is skipped\n");
    return has;
}

static void say_hello(struct tcpserver *server, struct iostream *stream, const struct sockaddr *address,
                      socklen_t length, void *arg)
{
    struct client *client = arg;

    memcpy(&client->seen, address, length);
    iostream_write_static(stream, "hello", 5, NULL, NULL); /* may fail on order */
    iostream_close(stream);
}

static void begin_client(struct client *client)
{
    *client = (struct client){ .clock = 100 };
    client->loop = ioloop_new(&(struct ioloop_options){ .clock = testing_clock, .clock_arg = &client->clock });
    assert_non_null(client->loop);
}

/* address NULL: no server. */
static void begin_with_server(struct client *client, const char *address)
{
    begin_client(client);
    client->server = tcpserver_new(client->loop, say_hello, client, NULL);
    client->port = tcpserver_listen(client->server, 0, &(struct netutil_bind_options){ .address = address });
    assert_true(client->port > 0);
}

static void end_client(struct client *client)
{
    faults_end();
    if (client->stream != NULL)
        iostream_close(client->stream);
    if (client->loop != NULL)
        ioloop_close(client->loop, false);
}

static void on_connect(int error, struct iostream *stream, void *arg)
{
    struct client *client = arg;

    assert_true((error == 0) == (stream != NULL));
    client->calls++;
    client->called = true;
    client->error = error;
    client->stream = stream;
    ioloop_stop(client->loop); /* this iteration need not wait for events */
}

static void start_connect(struct client *client, const char *host, const struct tcpclient_options *options)
{
    client->called = false;
    client->id = tcpclient_connect(client->loop, host, client->port, options, on_connect, client);
    assert_int_not_equal(client->id, 0);
    assert_false(client->called); /* never inside the call */
}

static int connect_to(struct client *client, const char *host, const struct tcpclient_options *options)
{
    start_connect(client, host, options);
    testing_run_until(client->loop, &client->called);
    assert_int_equal(client->calls, 1);
    return client->error;
}

static void on_hello(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct client *client = arg;

    assert_int_equal(error, 0);
    assert_memory_equal(data, "hello", 5);
    client->has_hello = true;
}

static int family_of_stream(struct client *client)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;

    assert_int_equal(getpeername(iostream_fd(client->stream), (struct sockaddr *)&address, &length), 0);
    return address.ss_family;
}

static void assert_hello(const char *server, const char *host, int family, int expected)
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

/* tcpclient_test:test_connect_ipv4_ipv4 */
static void connects_over_ipv4(void **state)
{
    assert_hello("127.0.0.1", "127.0.0.1", AF_INET, AF_INET);
}

/* tcpclient_test:test_connect_ipv4_dual */
static void connects_to_the_ipv4_address_of_a_name_with_both(void **state)
{
    assert_hello("127.0.0.1", "dual.test", AF_INET, AF_INET);
}

/* tcpclient_test:test_connect_ipv6_ipv6 */
static void connects_over_ipv6(void **state)
{
    if (has_ipv6())
        assert_hello("::1", "::1", AF_INET6, AF_INET6);
}

/* tcpclient_test:test_connect_ipv6_dual */
static void connects_to_the_ipv6_address_of_a_name_with_both(void **state)
{
    if (has_ipv6())
        assert_hello("::1", "dual4.test", AF_INET6, AF_INET6);
}

/* tcpclient_test:test_connect_unspec_ipv4 */
static void finds_a_server_that_is_on_ipv4_alone(void **state)
{
    assert_hello("127.0.0.1", "127.0.0.1", AF_UNSPEC, AF_INET);
    assert_hello("127.0.0.1", "dual.test", AF_UNSPEC, AF_INET);
}

/* tcpclient_test:test_connect_unspec_ipv6 */
static void finds_a_server_that_is_on_ipv6_alone(void **state)
{
    if (!has_ipv6())
        return;
    assert_hello("::1", "::1", AF_UNSPEC, AF_INET6);
    assert_hello("::1", "dual4.test", AF_UNSPEC, AF_INET6);
}

/* tcpclient_test:test_connect_unspec_dual */
static void prefers_the_family_of_the_first_address(void **state)
{
    if (!has_ipv6())
        return;
    assert_hello("dual.test", "dual.test", AF_UNSPEC, AF_INET6);
    assert_hello("dual.test", "dual4.test", AF_UNSPEC, AF_INET);
}

/* A port that is bound, but not listened on: connecting is refused, and nobody else gets it meanwhile. */
static int bind_refusing(struct client *client)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    client->port = netutil_bound_port(fd);
    return fd;
}

/* tcpclient_test:test_refused_ipv4 */
static void tells_of_a_refused_connection(void **state)
{
    struct client client;

    begin_client(&client);
    int fd = bind_refusing(&client);
    assert_int_equal(connect_to(&client, "127.0.0.1", NULL), -ECONNREFUSED);
    close(fd);
    end_client(&client);
}

/* iostream_test:test_gaierror: there the stream itself connects by name, here that is the client's work. */
static void tells_of_a_name_that_does_not_exist(void **state)
{
    struct client client;

    begin_client(&client);
    client.port = 80;
    assert_int_equal(connect_to(&client, "nowhere.test", NULL), -ENXIO);
    end_client(&client);
}

/* tcpclient_test:test_source_ip_fail */
static void tells_of_a_source_address_that_is_not_its_own(void **state)
{
    struct client client;

    begin_with_server(&client, "127.0.0.1");
    assert_int_equal(connect_to(&client, "127.0.0.1", &(struct tcpclient_options){ .source_ip = "8.8.8.8" }),
                     -EADDRNOTAVAIL);
    end_client(&client);
}

/* tcpclient_test:test_source_ip_success */
static void connects_from_a_source_address(void **state)
{
    struct client client;

    begin_with_server(&client, "127.0.0.1");
    assert_int_equal(connect_to(&client, "dual.test", &(struct tcpclient_options){ .source_ip = "127.0.0.3" }), 0);
    assert_int_equal(iostream_read_bytes(client.stream, 5, on_hello, &client), 0);
    testing_run_until(client.loop, &client.has_hello);
    assert_int_equal(((struct sockaddr_in *)&client.seen)->sin_addr.s_addr, htonl(0x7f000003));
    end_client(&client);
}

/* tcpclient_test:test_source_port_fail */
static void tells_of_a_source_port_that_is_not_to_be_had(void **state)
{
    struct tcpclient_options options = { .source_port = 1 };
    struct client client;

    begin_with_server(&client, "127.0.0.1");
    faults_system_call("bind", EACCES, 1);
    assert_int_equal(connect_to(&client, "far.test", &options), -EACCES); /* no second address is tried */
    assert_true(faults_hit());
    end_client(&client);

    begin_with_server(&client, "127.0.0.1");
    options.source_port = client.port; /* that of the server */
    assert_int_equal(connect_to(&client, "127.0.0.1", &options), -EADDRINUSE);
    end_client(&client);
}

static int free_port(void)
{
    int fd;

    assert_int_equal(netutil_bind_sockets(&fd, 1, 0, &(struct netutil_bind_options){ .address = "127.0.0.1" }), 1);
    int port = netutil_bound_port(fd);
    close(fd);
    return port;
}

/* From a port that was free a moment ago: when another program has taken it since, from another one. to_itself: that is
 * the port it connects to as well. Answers the port; the client has the result. */
static int connect_from_a_port(struct client *client, bool to_itself)
{
    for (int tries = 0; tries < 50; tries++) {
        struct tcpclient_options options = { .source_port = free_port() };
        if (to_itself)
            client->port = options.source_port;
        client->calls = 0;
        if (connect_to(client, "127.0.0.1", &options) != -EADDRINUSE)
            return options.source_port;
    }
    return -1;
}

static void connects_from_a_source_port_on_loopback(void **state)
{
    struct client client;

    begin_with_server(&client, "127.0.0.1");
    int port = connect_from_a_port(&client, false);
    assert_int_equal(client.error, 0);
    assert_int_equal(iostream_read_bytes(client.stream, 5, on_hello, &client), 0);
    testing_run_until(client.loop, &client.has_hello);
    assert_int_equal(netutil_port((struct sockaddr *)&client.seen), port);
    end_client(&client);
}

/* With the source port that it connects to, a socket connects to itself. */
static void does_not_take_itself_for_a_server(void **state)
{
    struct client client;

    begin_client(&client);
    connect_from_a_port(&client, true);
    assert_int_equal(client.error, -ECONNREFUSED);
    end_client(&client);
}

static void refuses_what_makes_no_sense(void **state)
{
    static const struct {
        const char *host;
        int port;
        struct tcpclient_options options;
    } cases[] = {
        { "", 80, { 0 } },
        { "127.0.0.1", 0, { 0 } },
        { "127.0.0.1", 65536, { 0 } },
        { "127.0.0.1", 80, { .family = AF_UNIX } },
        { "127.0.0.1", 80, { .timeout = -1 } },
        { "127.0.0.1", 80, { .eyeballs_delay = -1 } },
        { "127.0.0.1", 80, { .source_ip = "localhost" } },
        { "127.0.0.1", 80, { .source_port = 65536 } },
        { "127.0.0.1", 80, { .source_ip = "::1", .family = AF_INET } },
    };
    struct client client;

    begin_client(&client);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        errno = 0;
        assert_int_equal(
            tcpclient_connect(client.loop, cases[i].host, cases[i].port, &cases[i].options, on_connect, &client), 0);
        assert_int_equal(errno, EINVAL);
    }
    testing_spin(client.loop, 3);
    assert_int_equal(client.calls, 0);
    end_client(&client);
}

/* An address that does not answer: its queue is full, so the kernel drops what comes. */
struct silence {
    int listener, fillers[8], count;
};

static void begin_silence(struct silence *silence, const char *address, int port)
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
    } while (poll(&entry, 1, 0) == 1);
}

static void end_silence(struct silence *silence)
{
    for (int i = 0; i < silence->count; i++)
        close(silence->fillers[i]);
    close(silence->listener);
}

static void start_in_silence(struct client *client, struct silence *silence, const struct tcpclient_options *options)
{
    begin_client(client);
    begin_silence(silence, "127.0.0.1", 0);
    client->port = netutil_bound_port(silence->listener);
    start_connect(client, "127.0.0.1", options);
    testing_spin(client->loop, 3);
    assert_false(client->called);
}

static void turns_to_the_other_family_when_the_first_is_silent(void **state)
{
    struct client client;
    struct silence silence;

    if (!has_ipv6())
        return;
    begin_with_server(&client, "127.0.0.1");
    begin_silence(&silence, "::1", client.port);
    faults_count_reset();
    start_connect(&client, "dual.test", NULL);
    while (faults_count("connect") == 0)
        testing_spin(client.loop, 1);
    client.clock += 0.299;
    testing_spin(client.loop, 3);
    assert_false(client.called);
    client.clock += 0.002;
    testing_run_until(client.loop, &client.called);
    assert_int_equal(client.error, 0);
    assert_int_equal(family_of_stream(&client), AF_INET);
    end_silence(&silence);
    end_client(&client);
}

static void gives_up_a_silent_address_in_time(void **state)
{
    struct client client;
    struct silence silence;

    start_in_silence(&client, &silence, NULL);
    client.clock += 9.99;
    testing_spin(client.loop, 3);
    assert_false(client.called);
    client.clock += 0.02;
    testing_spin(client.loop, 3);
    assert_int_equal(client.error, -ETIMEDOUT);
    assert_int_equal(client.calls, 1);
    end_silence(&silence);
    end_client(&client);
}

/* A name that is not resolved before release_name; on a thread of its own, whose end end_slow_name waits for. */
static void start_slow_name(struct client *client, struct tcpclient_options options)
{
    assert_int_equal(pipe(fakenames_gate), 0);
    client->executor = ioexecutor_new(1, 1);
    options.resolver = client->resolver = resolver_new(client->executor);
    assert_non_null(client->resolver);
    start_connect(client, "slow.test", &options);
    testing_spin(client->loop, 3);
    assert_false(client->called);
}

static void begin_slow_name(struct client *client, struct tcpclient_options options)
{
    begin_with_server(client, "127.0.0.1");
    start_slow_name(client, options);
}

static void release_name(void)
{
    assert_int_equal(write(fakenames_gate[1], "x", 1), 1);
}

static void end_slow_name(struct client *client)
{
    release_name();
    end_client(client);
    if (client->resolver != NULL)
        resolver_close(client->resolver);
    ioexecutor_close(client->executor, true);
    close(fakenames_gate[0]);
    close(fakenames_gate[1]);
}

/* tcpclient_test:test_connect_timeout */
static void counts_the_time_that_the_name_takes(void **state)
{
    struct client client;

    begin_slow_name(&client, (struct tcpclient_options){ .timeout = 0.05 });
    client.clock += 0.049;
    testing_spin(client.loop, 3);
    assert_false(client.called);
    client.clock += 0.002;
    testing_run_until(client.loop, &client.called);
    assert_int_equal(client.error, -ETIMEDOUT);
    end_slow_name(&client);
}

static void leaves_the_connection_what_the_name_has_left_over(void **state)
{
    struct client client;
    struct silence silence;

    begin_client(&client);
    begin_silence(&silence, "127.0.0.1", 0);
    client.port = netutil_bound_port(silence.listener);
    start_slow_name(&client, (struct tcpclient_options){ .timeout = 1 });
    faults_count_reset();
    client.clock += 0.9;
    testing_spin(client.loop, 3);
    release_name();
    while (faults_count("connect") == 0)
        testing_spin(client.loop, 1);
    client.clock += 0.09;
    testing_spin(client.loop, 3);
    assert_false(client.called);
    client.clock += 0.02;
    testing_spin(client.loop, 3);
    assert_int_equal(client.calls, 1);
    assert_int_equal(client.error, -ETIMEDOUT);
    end_silence(&silence);
    end_slow_name(&client);
}

/* Cancelling. */

static void cancel_and_wait(struct client *client)
{
    tcpclient_cancel(client->loop, client->id);
    assert_false(client->called);
    tcpclient_cancel(client->loop, client->id);
    testing_run_until(client->loop, &client->called);
    assert_int_equal(client->error, -ECANCELED);
    tcpclient_cancel(client->loop, client->id);
    testing_spin(client->loop, 5);
    assert_int_equal(client->calls, 1);
}

static void cancels_before_anything_happened(void **state)
{
    struct client client;

    begin_with_server(&client, "127.0.0.1");
    start_connect(&client, "127.0.0.1", NULL);
    cancel_and_wait(&client);
    end_client(&client);
}

static void cancels_while_the_name_is_looked_up(void **state)
{
    struct client client;

    begin_slow_name(&client, (struct tcpclient_options){ 0 });
    cancel_and_wait(&client);
    end_slow_name(&client);
}

/* After what went wrong, on the descriptor that was closed then. */
static void assert_connects_now(struct client *client)
{
    client->server = tcpserver_new(client->loop, say_hello, client, NULL);
    client->calls = 0;
    client->port = tcpserver_listen(client->server, 0, &(struct netutil_bind_options){ .address = "127.0.0.1" });
    assert_true(client->port > 0);
    assert_int_equal(connect_to(client, "127.0.0.1", NULL), 0);
}

static void cancels_while_connecting(void **state)
{
    struct client client;
    struct silence silence;

    start_in_silence(&client, &silence, NULL);
    int fds = testing_count_fds();
    tcpclient_cancel(client.loop, client.id);
    assert_int_equal(testing_count_fds(), fds - 1); /* at once */
    cancel_and_wait(&client);
    assert_connects_now(&client);
    end_silence(&silence);
    end_client(&client);
}

/* Runs iteration by iteration up to the point where the connection stands and nobody was told. At first the kernel says
 * that there is something to wait for. */
static void run_until_connected(struct client *client)
{
    faults_count_reset();
    faults_system_call("poll", EINTR, 1);
    for (int i = 0; faults_count("getsockopt") == 0; i++) {
        assert_true(i < 1000);
        testing_spin(client->loop, 1);
    }
    assert_false(client->called);
}

static void cancels_what_is_connected_and_not_told_yet(void **state)
{
    struct client client;

    begin_with_server(&client, "127.0.0.1");
    start_connect(&client, "127.0.0.1", NULL);
    run_until_connected(&client);
    cancel_and_wait(&client);
    end_client(&client);
}

/* The name is an address, and the kernel connects within the machine before connect returns. */
static void does_not_wait_for_what_is_connected_at_once(void **state)
{
    static const char *const addresses[] = { "127.0.0.1", "::1" };
    struct client client;

    for (int i = 0; i < 2; i++) {
        begin_with_server(&client, addresses[i]);
        faults_count_reset();
        start_connect(&client, addresses[i], NULL);
        testing_run_until(client.loop, &client.called);
        assert_int_equal(client.error, 0);
        assert_int_equal(faults_count("epoll_ctl"), 0); /* the stream will be watched, and nothing else was */
        assert_int_equal(faults_count("getsockopt"), 0);
        end_client(&client);
    }
}

static void leaves_nagles_algorithm_on_when_it_is_told_to(void **state)
{
    struct client client;

    for (int nagle = 0; nagle < 2; nagle++) {
        int value = -1;
        socklen_t size = sizeof value;

        begin_with_server(&client, "127.0.0.1");
        assert_int_equal(connect_to(&client, "127.0.0.1", &(struct tcpclient_options){ .nagle = nagle == 1 }), 0);
        assert_int_equal(getsockopt(iostream_fd(client.stream), IPPROTO_TCP, TCP_NODELAY, &value, &size), 0);
        assert_true((value != 0) == (nagle == 0));
        end_client(&client);
    }
}

static void cancels_only_what_it_is_told_to(void **state)
{
    struct client client, other = { 0 };

    begin_with_server(&client, "127.0.0.1");
    start_connect(&client, "127.0.0.1", NULL);
    other.loop = client.loop;
    uint64_t second = tcpclient_connect(client.loop, "127.0.0.1", client.port, NULL, on_connect, &other);
    assert_int_not_equal(second, client.id);
    tcpclient_cancel(client.loop, 0);
    tcpclient_cancel(client.loop, second + 1000);
    tcpclient_cancel(client.loop, client.id);
    testing_run_until(client.loop, &other.called);
    testing_run_until(client.loop, &client.called);
    assert_int_equal(client.error, -ECANCELED);
    assert_int_equal(other.error, 0);
    iostream_close(other.stream);
    end_client(&client);
}

static void on_connect_cancel(int error, struct iostream *stream, void *arg)
{
    struct client *client = arg;

    tcpclient_cancel(client->loop, client->id); /* what is done already is fine */
    on_connect(error, stream, arg);
}

static void may_be_cancelled_in_its_own_callback(void **state)
{
    struct client client;

    begin_with_server(&client, "127.0.0.1");
    client.id = tcpclient_connect(client.loop, "127.0.0.1", client.port, NULL, on_connect_cancel, &client);
    testing_run_until(client.loop, &client.called);
    assert_int_equal(client.error, 0);
    assert_false(iostream_closed(client.stream));
    end_client(&client);
}

static void close_loop_now(struct client *client)
{
    ioloop_close(client->loop, false);
    client->loop = NULL;
    assert_int_equal(client->calls, 1);
    assert_int_equal(client->error, -ECANCELED);
}

static void ends_with_the_loop_at_each_stage(void **state)
{
    struct client client;
    struct silence silence;

    begin_with_server(&client, "127.0.0.1");
    start_connect(&client, "127.0.0.1", NULL);
    close_loop_now(&client);
    begin_slow_name(&client, (struct tcpclient_options){ 0 });
    close_loop_now(&client);
    end_slow_name(&client);
    start_in_silence(&client, &silence, NULL);
    close_loop_now(&client);
    end_silence(&silence);
    begin_with_server(&client, "127.0.0.1");
    start_connect(&client, "127.0.0.1", NULL);
    run_until_connected(&client);
    close_loop_now(&client);
}

static void on_connect_close_loop(int error, struct iostream *stream, void *arg)
{
    struct client *client = arg;

    ioloop_close(client->loop, false);
    assert_int_equal(tcpclient_connect(client->loop, "127.0.0.1", client->port, NULL, on_connect, client), 0);
    assert_int_equal(errno, EBADF);
    on_connect(error, stream, arg);
    client->stream = NULL; /* the loop's */
}

static void lets_its_callback_close_the_loop(void **state)
{
    struct client client;

    begin_with_server(&client, "127.0.0.1");
    client.id = tcpclient_connect(client.loop, "127.0.0.1", client.port, NULL, on_connect_close_loop, &client);
    assert_int_equal(ioloop_start(client.loop), 0);
    assert_int_equal(client.calls, 1);
    assert_int_equal(client.error, 0);
}

static void ends_with_its_resolver(void **state)
{
    struct client client;

    begin_slow_name(&client, (struct tcpclient_options){ 0 });
    resolver_close(client.resolver);
    client.resolver = NULL;
    testing_run_until(client.loop, &client.called);
    assert_int_equal(client.error, -ECANCELED);
    end_slow_name(&client);
}

static void asks_the_resolver_it_was_given(void **state)
{
    struct resolver *resolver = resolver_new(NULL);
    struct client client;

    assert_int_equal(resolver_add_override(resolver, "elsewhere.test", 0, AF_UNSPEC, "127.0.0.1", 0), 0);
    begin_with_server(&client, "127.0.0.1");
    assert_int_equal(connect_to(&client, "elsewhere.test", &(struct tcpclient_options){ .resolver = resolver }), 0);
    resolver_close(resolver);
    end_client(&client);
}

/* Transports from outside. */

struct transport {
    int writes, closes;
};

static ssize_t transport_read(void *context, int fd, void *buffer, size_t size)
{
    ssize_t count = recv(fd, buffer, size, 0);

    return count < 0 ? -errno : count;
}

static ssize_t transport_write(void *context, int fd, const struct iovec *vector, int count)
{
    ssize_t sent = send(fd, vector->iov_base, vector->iov_len, MSG_NOSIGNAL);

    ((struct transport *)context)->writes++;
    return sent < 0 ? -errno : sent;
}

static void transport_close(void *context, int fd)
{
    ((struct transport *)context)->closes++;
}

static const struct iostream_transport plain = { .read = transport_read,
                                                 .write = transport_write,
                                                 .close = transport_close };

static void gives_its_transport_to_the_winner_alone(void **state)
{
    struct transport transport = { 0 };
    struct tcpclient_options options = { .stream = { .transport = &plain, .transport_context = &transport } };
    struct client client;

    begin_with_server(&client, "127.0.0.1");
    assert_int_equal(connect_to(&client, "dual.test", &options), 0); /* ::1 refuses */
    assert_int_equal(transport.closes, 0);
    assert_int_equal(iostream_write(client.stream, "x", 1, NULL, NULL), 0);
    assert_int_equal(transport.writes, 1);
    end_client(&client);
    assert_int_equal(transport.closes, 1);

    transport = (struct transport){ 0 };
    begin_client(&client);
    int fd = bind_refusing(&client);
    assert_int_equal(connect_to(&client, "127.0.0.1", &options), -ECONNREFUSED);
    assert_int_equal(transport.closes, 0); /* still the caller's */
    close(fd);
    end_client(&client);
}

/* When calls fail. */

struct baseline {
    int fds;
    long allocated;
};

static void connect_and_close(struct client *client, const char *host)
{
    client->id = tcpclient_connect(client->loop, host, client->port, NULL, on_connect, client);
    if (client->id != 0)
        testing_run_until(client->loop, &client->called);
    testing_spin(client->loop, 4);
    assert_int_equal(client->calls, client->id != 0);
}

static void assert_baseline(struct baseline baseline)
{
    assert_int_equal(testing_count_fds(), baseline.fds);
    assert_int_equal(faults_allocated(), baseline.allocated);
}

/* Once without a fault: what is made then and kept is no loss. */
static struct baseline take_baseline(void)
{
    struct client client;

    faults_allocated();
    begin_with_server(&client, "127.0.0.1");
    connect_and_close(&client, "dual.test");
    end_client(&client);
    testing_begin_logs();
    return (struct baseline){ testing_count_fds(), faults_allocated() };
}

static void connects_after_an_attempt_that_failed_at_once(void **state)
{
    struct client client;

    begin_with_server(&client, "127.0.0.1");
    faults_system_call("connect", ENETUNREACH, 1);
    assert_int_equal(connect_to(&client, "127.0.0.1", NULL), -ENETUNREACH);
    assert_true(faults_hit());
    client.calls = 0;
    assert_int_equal(connect_to(&client, "127.0.0.1", NULL), 0);
    end_client(&client);
}

static void loses_nothing_when_a_call_fails(void **state)
{
    static const char *const calls[] = { "socket",  "connect", "epoll_ctl", "getsockopt", "setsockopt",
                                         "accept4", "send",    "recv",      "fcntl",      "eventfd" };
    struct baseline baseline = take_baseline();
    struct client client;

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        bool hit = true;
        for (int nth = 1; hit; nth++) {
            begin_with_server(&client, "127.0.0.1");
            faults_system_call(calls[i], ENOBUFS, nth);
            connect_and_close(&client, "dual.test");
            hit = faults_hit();
            end_client(&client);
            assert_baseline(baseline);
        }
    }
}

static void loses_nothing_when_memory_is_short(void **state)
{
    struct baseline baseline = take_baseline();
    struct client client;

    for (int sticky = 0; sticky < 2; sticky++) {
        bool hit = true;
        for (int nth = 1; hit; nth++) {
            begin_with_server(&client, "127.0.0.1");
            faults_allocation(nth, sticky);
            /* A thread that cannot tell its result waits for memory, which in the sticky case never comes. */
            connect_and_close(&client, sticky ? "127.0.0.1" : "dual.test");
            hit = faults_hit();
            end_client(&client);
            assert_baseline(baseline);
        }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(connects_over_ipv4),
    cmocka_unit_test(connects_to_the_ipv4_address_of_a_name_with_both),
    cmocka_unit_test(connects_over_ipv6),
    cmocka_unit_test(connects_to_the_ipv6_address_of_a_name_with_both),
    cmocka_unit_test(finds_a_server_that_is_on_ipv4_alone),
    cmocka_unit_test(finds_a_server_that_is_on_ipv6_alone),
    cmocka_unit_test(prefers_the_family_of_the_first_address),
    cmocka_unit_test(tells_of_a_refused_connection),
    cmocka_unit_test(tells_of_a_name_that_does_not_exist),
    cmocka_unit_test(tells_of_a_source_address_that_is_not_its_own),
    cmocka_unit_test(connects_from_a_source_address),
    cmocka_unit_test(tells_of_a_source_port_that_is_not_to_be_had),
    cmocka_unit_test(connects_from_a_source_port_on_loopback),
    cmocka_unit_test(does_not_take_itself_for_a_server),
    cmocka_unit_test(refuses_what_makes_no_sense),
    cmocka_unit_test(turns_to_the_other_family_when_the_first_is_silent),
    cmocka_unit_test(gives_up_a_silent_address_in_time),
    cmocka_unit_test(counts_the_time_that_the_name_takes),
    cmocka_unit_test(leaves_the_connection_what_the_name_has_left_over),
    cmocka_unit_test(cancels_before_anything_happened),
    cmocka_unit_test(cancels_while_the_name_is_looked_up),
    cmocka_unit_test(cancels_while_connecting),
    cmocka_unit_test(cancels_what_is_connected_and_not_told_yet),
    cmocka_unit_test(does_not_wait_for_what_is_connected_at_once),
    cmocka_unit_test(leaves_nagles_algorithm_on_when_it_is_told_to),
    cmocka_unit_test(cancels_only_what_it_is_told_to),
    cmocka_unit_test(may_be_cancelled_in_its_own_callback),
    cmocka_unit_test(ends_with_the_loop_at_each_stage),
    cmocka_unit_test(lets_its_callback_close_the_loop),
    cmocka_unit_test(ends_with_its_resolver),
    cmocka_unit_test(asks_the_resolver_it_was_given),
    cmocka_unit_test(gives_its_transport_to_the_winner_alone),
    cmocka_unit_test(connects_after_an_attempt_that_failed_at_once),
    cmocka_unit_test(loses_nothing_when_a_call_fails),
    cmocka_unit_test(loses_nothing_when_memory_is_short),
};

TESTING_MAIN(tests)
