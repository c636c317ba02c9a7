/* How connects of tcpclient end that do not succeed: cancelled, with what they hang on, for want of something. */
#include "ioloop/tcpclient.h"

#include <errno.h>

#include "ioloop/ioloop.h"
#include "ioloop/netutil.h"
#include "ioloop/resolver.h"
#include "ioloop/tcpserver.h"
#include "tests/support/faults.h"
#include "tests/support/tcpclientscene.h"
#include "tests/support/testing.h"

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
    while (faults_count("getsockopt") == 0)
        testing_spin(client->loop, 1);
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
    cmocka_unit_test(cancels_before_anything_happened), cmocka_unit_test(cancels_while_the_name_is_looked_up),
    cmocka_unit_test(cancels_while_connecting),         cmocka_unit_test(cancels_what_is_connected_and_not_told_yet),
    cmocka_unit_test(cancels_only_what_it_is_told_to),  cmocka_unit_test(may_be_cancelled_in_its_own_callback),
    cmocka_unit_test(ends_with_the_loop_at_each_stage), cmocka_unit_test(lets_its_callback_close_the_loop),
    cmocka_unit_test(ends_with_its_resolver),           cmocka_unit_test(connects_after_an_attempt_that_failed_at_once),
    cmocka_unit_test(loses_nothing_when_a_call_fails),  cmocka_unit_test(loses_nothing_when_memory_is_short),
};

TESTING_MAIN(tests)
