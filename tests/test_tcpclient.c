#include "ioloop/tcpclient.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ioloop/netutil.h"
#include "ioloop/resolver.h"
#include "tests/support/faults.h"
#include "tests/support/tcpclientscene.h"
#include "tests/support/testing.h"

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
    if (testing_has_ipv6())
        assert_hello("::1", "::1", AF_INET6, AF_INET6);
}

/* tcpclient_test:test_connect_ipv6_dual */
static void connects_to_the_ipv6_address_of_a_name_with_both(void **state)
{
    if (testing_has_ipv6())
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
    if (!testing_has_ipv6())
        return;
    assert_hello("::1", "::1", AF_UNSPEC, AF_INET6);
    assert_hello("::1", "dual4.test", AF_UNSPEC, AF_INET6);
}

/* tcpclient_test:test_connect_unspec_dual */
static void prefers_the_family_of_the_first_address(void **state)
{
    if (!testing_has_ipv6())
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

/* Also when it has to wait until it is told that it is connected. */
static void does_not_take_itself_for_a_server_later_either(void **state)
{
    struct client client;

    begin_client(&client);
    for (int tries = 0; tries < 50; tries++) {
        struct tcpclient_options options = { .source_port = free_port() };
        client.port = options.source_port;
        client.calls = 0;
        faults_system_call("poll", EINTR, 1);
        if (connect_to(&client, "127.0.0.1", &options) != -EADDRINUSE && faults_hit())
            break;
        faults_end();
    }
    assert_int_equal(client.error, -ECONNREFUSED);
    end_client(&client);
}

/* A port that is chosen for nobody who has not asked for it; needs the right to. */
static void a_low_port_is_a_server_or_itself_as_any_other(void **state)
{
    struct client client;
    int port = 1023;

    begin_client(&client);
    client.server = tcpserver_new(client.loop, say_hello, &client, NULL);
    while (port > 1000 && (client.port = tcpserver_listen(
                               client.server, port, &(struct netutil_bind_options){ .address = "127.0.0.1" })) < 0)
        port--;
    if (client.port > 0) {
        assert_int_equal(connect_to(&client, "127.0.0.1", NULL), 0);
        iostream_close(client.stream);
        client.stream = NULL;
        client.error = -EADDRINUSE; /* as it is for a while after this test */
        for (int own = port - 1; own > port - 300 && client.error == -EADDRINUSE; own--) {
            struct tcpclient_options options = { .source_port = client.port = own };
            client.calls = 0;
            connect_to(&client, "127.0.0.1", &options);
        }
        assert_int_equal(client.error, -ECONNREFUSED);
    }
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

static void turns_to_the_other_family_when_the_first_is_silent(void **state)
{
    struct client client;
    struct silence silence;

    if (!testing_has_ipv6())
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

/* The name is an address, and the kernel connects within the machine before connect returns. */
static void does_not_wait_for_what_is_connected_at_once(void **state)
{
    static const char *const addresses[] = { "127.0.0.1", "::1" };
    struct client client;
    int count = testing_has_ipv6() ? 2 : 1;

    for (int i = 0; i < count; i++) {
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
    cmocka_unit_test(does_not_take_itself_for_a_server_later_either),
    cmocka_unit_test(a_low_port_is_a_server_or_itself_as_any_other),
    cmocka_unit_test(refuses_what_makes_no_sense),
    cmocka_unit_test(turns_to_the_other_family_when_the_first_is_silent),
    cmocka_unit_test(gives_up_a_silent_address_in_time),
    cmocka_unit_test(counts_the_time_that_the_name_takes),
    cmocka_unit_test(leaves_the_connection_what_the_name_has_left_over),
    cmocka_unit_test(does_not_wait_for_what_is_connected_at_once),
    cmocka_unit_test(leaves_nagles_algorithm_on_when_it_is_told_to),
    cmocka_unit_test(asks_the_resolver_it_was_given),
    cmocka_unit_test(gives_its_transport_to_the_winner_alone),
};

TESTING_MAIN(tests)
