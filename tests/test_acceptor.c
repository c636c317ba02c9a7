#include "tests/support/testing.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "ioloop/netutil.h"
#include "tests/support/faults.h"

static const struct netutil_bind_options ipv4 = { .address = "127.0.0.1" };

static void close_fds(const int *fds, int count)
{
    for (int i = 0; i < count; i++)
        close(fds[i]);
}

static int option_of(int fd, int level, int name)
{
    int value = -1;
    socklen_t length = sizeof value;

    assert_int_equal(getsockopt(fd, level, name, &value, &length), 0);
    return value;
}

enum { MOST = 200 };

struct accepting {
    struct ioloop *loop;
    int listener, port;
    double clock;
    int fds[MOST], count;
    void (*on_accept)(struct accepting *accepting); /* what the callback does beyond counting */
    bool done;                                      /* wanted connections are there */
    int wanted;
    int clients[MOST], client_count;
};

static void begin_accepting(struct accepting *accepting)
{
    *accepting = (struct accepting){ .clock = 1000 };
    accepting->loop = ioloop_new(&(struct ioloop_options){ .clock = testing_clock, .clock_arg = &accepting->clock });
    assert_non_null(accepting->loop);
    assert_int_equal(netutil_bind_sockets(&accepting->listener, 1, 0, &ipv4), 1);
    accepting->port = netutil_bound_port(accepting->listener);
}

static void end_accepting(struct accepting *accepting)
{
    faults_end();
    close_fds(accepting->fds, accepting->count);
    close_fds(accepting->clients, accepting->client_count);
    if (accepting->loop != NULL)
        ioloop_close(accepting->loop, false);
    if (accepting->listener >= 0)
        close(accepting->listener);
}

static void on_accept(int fd, const struct sockaddr *address, socklen_t length, void *arg)
{
    struct accepting *accepting = arg;

    assert_true(accepting->count < MOST);
    accepting->fds[accepting->count++] = fd;
    accepting->done = accepting->count == accepting->wanted;
    if (accepting->on_accept != NULL)
        accepting->on_accept(accepting);
}

static void add_handler(struct accepting *accepting)
{
    assert_int_equal(netutil_add_accept_handler(accepting->loop, accepting->listener, on_accept, accepting), 0);
}

/* A connection over loopback is in the listener's queue when connect returns. */
static void connect_clients(struct accepting *accepting, int count)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)accepting->port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

    for (int i = 0; i < count; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
        accepting->clients[accepting->client_count++] = fd;
    }
}

/* With its handler, and so many clients that wait. */
static void begin_with_clients(struct accepting *accepting, int count)
{
    begin_accepting(accepting);
    add_handler(accepting);
    connect_clients(accepting, count);
}

static void run_until_count(struct accepting *accepting, int count)
{
    accepting->wanted = count;
    accepting->done = accepting->count == count;
    testing_run_until(accepting->loop, &accepting->done);
    accepting->wanted = 0;
}

static bool is_closed_by_server(int client)
{
    char byte;

    return recv(client, &byte, 1, MSG_DONTWAIT) == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

static struct sockaddr_in peer_address;

static void note_peer(int fd, const struct sockaddr *address, socklen_t length, void *arg)
{
    assert_int_equal(length, sizeof peer_address);
    memcpy(&peer_address, address, sizeof peer_address);
    on_accept(fd, address, length, arg);
}

static void hands_over_connections_ready_to_use(void **state)
{
    struct accepting accepting;
    struct sockaddr_in own;
    socklen_t length = sizeof own;

    begin_accepting(&accepting);
    assert_int_equal(netutil_add_accept_handler(accepting.loop, accepting.listener, note_peer, &accepting), 0);
    connect_clients(&accepting, 1);
    run_until_count(&accepting, 1);
    assert_true(fcntl(accepting.fds[0], F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(accepting.fds[0], F_GETFD) & FD_CLOEXEC);
    assert_int_equal(option_of(accepting.fds[0], IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(getsockname(accepting.clients[0], (struct sockaddr *)&own, &length), 0);
    assert_int_equal(own.sin_port, peer_address.sin_port);
    end_accepting(&accepting);
}

static void makes_a_blocking_listener_non_blocking(void **state)
{
    struct accepting accepting;

    begin_accepting(&accepting);
    fcntl(accepting.listener, F_SETFL, 0);
    add_handler(&accepting);
    connect_clients(&accepting, 1);
    run_until_count(&accepting, 1); /* or it would hang in the second accept */
    end_accepting(&accepting);
}

static void accepts_64_connections_an_iteration(void **state)
{
    struct accepting accepting;

    begin_with_clients(&accepting, 150);
    testing_spin(accepting.loop, 1);
    assert_int_equal(accepting.count, 64);
    testing_spin(accepting.loop, 1);
    assert_int_equal(accepting.count, 128);
    testing_spin(accepting.loop, 1);
    assert_int_equal(accepting.count, 150);
    end_accepting(&accepting);
}

static void remove_handler(struct accepting *accepting)
{
    netutil_remove_accept_handler(accepting->loop, accepting->listener);
}

static void stops_at_once_when_a_callback_removes_the_handler(void **state)
{
    struct accepting accepting;

    begin_with_clients(&accepting, 3);
    accepting.on_accept = remove_handler;
    testing_spin(accepting.loop, 3);
    assert_int_equal(accepting.count, 1);
    accepting.on_accept = NULL;
    add_handler(&accepting); /* the others still wait */
    run_until_count(&accepting, 3);
    end_accepting(&accepting);
}

static void remove_handler_and_close(struct accepting *accepting)
{
    remove_handler(accepting);
    close(accepting->listener);
    accepting->listener = -1;
}

static void lets_a_callback_close_the_listener(void **state)
{
    struct accepting accepting;

    begin_with_clients(&accepting, 3);
    accepting.on_accept = remove_handler_and_close;
    testing_spin(accepting.loop, 3);
    assert_int_equal(accepting.count, 1);
    end_accepting(&accepting);
}

static void remove_and_add_handler(struct accepting *accepting)
{
    remove_handler(accepting);
    add_handler(accepting);
}

static void lets_a_callback_put_another_handler_in_place(void **state)
{
    struct accepting accepting;

    begin_with_clients(&accepting, 3);
    accepting.on_accept = remove_and_add_handler;
    testing_spin(accepting.loop, 1);
    assert_int_equal(accepting.count, 1);
    run_until_count(&accepting, 3);
    end_accepting(&accepting);
}

static void pause_handler(struct accepting *accepting)
{
    assert_int_equal(netutil_pause_accept_handler(accepting->loop, accepting->listener), 0);
}

static void resume_handler(struct accepting *accepting)
{
    assert_int_equal(netutil_resume_accept_handler(accepting->loop, accepting->listener), 0);
}

static void leaves_connections_in_the_queue_while_paused(void **state)
{
    struct accepting accepting;

    begin_with_clients(&accepting, 3);
    accepting.on_accept = pause_handler;
    testing_spin(accepting.loop, 3);
    assert_int_equal(accepting.count, 1);
    accepting.on_accept = NULL;
    resume_handler(&accepting);
    run_until_count(&accepting, 3);
    assert_false(is_closed_by_server(accepting.clients[2]));
    end_accepting(&accepting);
}

static void close_loop(struct accepting *accepting)
{
    ioloop_close(accepting->loop, false);
}

static void stops_at_once_when_a_callback_closes_the_loop(void **state)
{
    struct accepting accepting;

    begin_with_clients(&accepting, 3);
    accepting.on_accept = close_loop;
    assert_int_equal(ioloop_start(accepting.loop), 0);
    assert_int_equal(accepting.count, 1);
    accepting.loop = NULL;
    end_accepting(&accepting);
}

static void ends_with_the_loop_and_leaves_the_listener(void **state)
{
    struct accepting accepting;

    begin_accepting(&accepting);
    add_handler(&accepting);
    ioloop_close(accepting.loop, false);
    accepting.loop = NULL;
    assert_int_equal(option_of(accepting.listener, SOL_SOCKET, SO_ACCEPTCONN), 1);
    end_accepting(&accepting);
}

static void closes_the_listener_with_the_loop_when_told_to(void **state)
{
    struct accepting accepting;

    begin_accepting(&accepting);
    add_handler(&accepting);
    ioloop_close(accepting.loop, true);
    accepting.loop = NULL;
    assert_int_equal(fcntl(accepting.listener, F_GETFD), -1);
    accepting.listener = -1;
    end_accepting(&accepting);
}

static void answers_errors_for_what_is_not_there(void **state)
{
    struct accepting accepting;
    int pipe_fds[2];

    begin_accepting(&accepting);
    assert_int_equal(netutil_pause_accept_handler(accepting.loop, accepting.listener), -ENOENT);
    assert_int_equal(netutil_resume_accept_handler(accepting.loop, accepting.listener), -ENOENT);
    netutil_remove_accept_handler(accepting.loop, accepting.listener);
    add_handler(&accepting);
    assert_int_equal(netutil_add_accept_handler(accepting.loop, accepting.listener, on_accept, NULL), -EEXIST);
    assert_int_equal(pipe(pipe_fds), 0);
    assert_int_equal(netutil_add_accept_handler(accepting.loop, pipe_fds[0], on_accept, NULL), -ENOTSOCK);
    close_fds(pipe_fds, 2);
    assert_int_equal(netutil_add_accept_handler(accepting.loop, -1, on_accept, NULL), -EBADF);
    end_accepting(&accepting);
}

static void handlers_of_one_loop_know_their_listeners(void **state)
{
    struct accepting accepting;
    int other;

    begin_accepting(&accepting);
    assert_int_equal(netutil_bind_sockets(&other, 1, 0, &(struct netutil_bind_options){ .address = "127.0.0.1" }), 1);
    add_handler(&accepting);
    assert_int_equal(netutil_add_accept_handler(accepting.loop, other, on_accept, NULL), 0);
    assert_int_equal(netutil_pause_accept_handler(accepting.loop, accepting.listener), 0);
    assert_int_equal(netutil_resume_accept_handler(accepting.loop, accepting.listener), 0);
    assert_int_equal(netutil_pause_accept_handler(accepting.loop, other), 0);
    connect_clients(&accepting, 1);
    run_until_count(&accepting, 1);
    netutil_remove_accept_handler(accepting.loop, accepting.listener);
    assert_int_equal(netutil_resume_accept_handler(accepting.loop, accepting.listener), -ENOENT);
    assert_int_equal(netutil_resume_accept_handler(accepting.loop, other), 0);
    netutil_remove_accept_handler(accepting.loop, other);
    close(other);
    end_accepting(&accepting);
}

/* When accept fails. */

static void begin_with_error(struct accepting *accepting, int clients, int error)
{
    begin_with_clients(accepting, clients);
    testing_begin_logs();
    faults_system_call("accept4", error, 1);
}

/* Each time. */
static void begin_without_descriptors(struct accepting *accepting)
{
    begin_with_clients(accepting, 1);
    testing_begin_logs();
    faults_system_call_sticky("accept4", EMFILE, 1);
    testing_spin(accepting->loop, 1);
}

static void goes_on_after_a_connection_that_came_to_nothing(void **state)
{
    static const int errors[] = { ECONNABORTED, EPROTO,    EINTR,        EPERM,       ENETDOWN,
                                  ENETUNREACH,  EHOSTDOWN, EHOSTUNREACH, ENOPROTOOPT, ETIMEDOUT };

    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        struct accepting accepting;
        begin_with_clients(&accepting, 2);
        testing_begin_logs();
        faults_system_call("accept4", errors[i], 2);
        testing_spin(accepting.loop, 1);
        assert_true(faults_hit());
        assert_int_equal(accepting.count, 2);
        assert_int_equal(testing_logs(NULL), 0);
        end_accepting(&accepting);
    }
}

/* Moves the clock and runs; answers how many connections were accepted meanwhile. */
static int accepted_after(struct accepting *accepting, double seconds)
{
    int before = accepting->count;

    accepting->clock += seconds;
    testing_spin(accepting->loop, 3);
    return accepting->count - before;
}

static void rests_when_it_runs_short_and_recovers(void **state)
{
    static const int errors[] = { EMFILE, ENFILE, ENOMEM, ENOBUFS };

    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        struct accepting accepting;
        begin_with_error(&accepting, 2, errors[i]);
        testing_spin(accepting.loop, 3);
        assert_true(faults_hit());
        assert_int_equal(testing_logs("cannot accept connections on 127.0.0.1:"), 1);
        /* What waited was turned away, what comes now waits. */
        assert_int_equal(accepting.count, 0);
        assert_true(is_closed_by_server(accepting.clients[0]));
        assert_true(is_closed_by_server(accepting.clients[1]));
        connect_clients(&accepting, 1);
        assert_int_equal(accepted_after(&accepting, 0.099), 0);
        assert_int_equal(accepted_after(&accepting, 0.002), 1);
        assert_false(is_closed_by_server(accepting.clients[2]));
        end_accepting(&accepting);
    }
}

static void rests_longer_each_time_up_to_a_second(void **state)
{
    static const double rests[] = { 0.1, 0.2, 0.4, 0.8, 1.0, 1.0 };
    struct accepting accepting;

    begin_without_descriptors(&accepting);
    for (size_t i = 0; i < sizeof rests / sizeof *rests; i++) {
        faults_count_reset();
        accepting.clock += rests[i] - 0.001;
        testing_spin(accepting.loop, 100);
        assert_int_equal(faults_count("accept4"), 0);
        accepting.clock += 0.002;
        testing_spin(accepting.loop, 100);
        /* One that fails, one with the spare descriptor, and no spinning. */
        assert_int_equal(faults_count("accept4"), 2);
    }
    assert_int_equal(testing_logs(NULL), 1);
    for (int i = 0; i < 7; i++)
        accepted_after(&accepting, 1.001);
    assert_int_equal(testing_logs(NULL), 2);
    faults_end();
    assert_int_equal(accepted_after(&accepting, 1.001), 1);
    /* Once it has gone well the next rest is short again. */
    connect_clients(&accepting, 1);
    faults_system_call("accept4", EMFILE, 1);
    testing_spin(accepting.loop, 2);
    connect_clients(&accepting, 1);
    assert_int_equal(accepted_after(&accepting, 0.101), 1);
    end_accepting(&accepting);
}

/* An error that stays must neither be mistaken for a lack of descriptors nor spin. */
static void rests_after_an_error_it_does_not_know(void **state)
{
    struct accepting accepting;

    begin_with_error(&accepting, 1, EINVAL);
    testing_spin(accepting.loop, 5);
    assert_true(faults_hit());
    assert_int_equal(testing_logs("cannot accept"), 1);
    assert_false(is_closed_by_server(accepting.clients[0]));
    assert_int_equal(accepted_after(&accepting, 0.101), 1);
    end_accepting(&accepting);
}

static void recovers_without_memory_for_a_timeout(void **state)
{
    struct accepting accepting;

    begin_with_error(&accepting, 1, EINVAL);
    faults_allocation(1, true);
    testing_spin(accepting.loop, 3);
    assert_true(faults_hit());
    assert_int_equal(accepting.count, 1);
    end_accepting(&accepting);
}

static void tries_again_when_the_kernel_does_not_watch(void **state)
{
    struct accepting accepting;

    begin_with_clients(&accepting, 1);
    testing_begin_logs();
    pause_handler(&accepting);
    faults_system_call("epoll_ctl", ENOMEM, 1);
    resume_handler(&accepting);
    if (faults_hit()) /* not where kqueue stands in */
        assert_int_equal(accepted_after(&accepting, 0.099), 0);
    assert_int_equal(accepted_after(&accepting, 0.101), 1);
    end_accepting(&accepting);
}

static void stays_paused_when_a_rest_ends(void **state)
{
    struct accepting accepting;

    begin_with_error(&accepting, 1, EINVAL);
    testing_spin(accepting.loop, 1);
    faults_end();
    pause_handler(&accepting);
    assert_int_equal(accepted_after(&accepting, 2), 0);
    resume_handler(&accepting);
    assert_int_equal(accepted_after(&accepting, 0), 1);
    end_accepting(&accepting);
}

static void may_be_removed_while_it_rests(void **state)
{
    struct accepting accepting;

    begin_without_descriptors(&accepting);
    faults_end();
    remove_handler(&accepting);
    assert_int_equal(accepted_after(&accepting, 2), 0);
    end_accepting(&accepting);
}

/* Another thread, say, may take the descriptor that was given up. */
static void gets_a_spare_descriptor_again_when_there_are_some(void **state)
{
    struct accepting accepting;
    struct rlimit limit, none;

    begin_with_clients(&accepting, 1);
    int before = testing_count_fds();
    testing_begin_logs();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 3;
    faults_system_call("accept4", EMFILE, 1);
    setrlimit(RLIMIT_NOFILE, &none);
    testing_spin(accepting.loop, 1);
    setrlimit(RLIMIT_NOFILE, &limit);
    assert_true(faults_hit());
    assert_int_equal(testing_count_fds(), before - 1);
    accepting.clock += 0.101;
    testing_spin(accepting.loop, 1);
    assert_int_equal(accepting.count, 1);
    assert_int_equal(testing_count_fds(), before + 1);
    end_accepting(&accepting);
}

static void adds_no_handler_when_something_fails(void **state)
{
    static const char *const calls[] = { "getsockopt", "fcntl", "epoll_ctl" };
    struct accepting accepting;

    begin_accepting(&accepting);
    int before = testing_count_fds();
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        for (int nth = 1;; nth++) {
            faults_system_call(calls[i], ENOMEM, nth);
            int error = netutil_add_accept_handler(accepting.loop, accepting.listener, on_accept, &accepting);
            bool hit = faults_hit();
            if (!hit)
                assert_int_equal(error, 0);
            if (!hit)
                break;
            assert_int_equal(error, -ENOMEM);
            assert_int_equal(testing_count_fds(), before);
        }
        remove_handler(&accepting);
        assert_int_equal(testing_count_fds(), before);
    }
    long allocated = faults_allocated();
    for (int nth = 1;; nth++) {
        faults_allocation(nth, false);
        int error = netutil_add_accept_handler(accepting.loop, accepting.listener, on_accept, &accepting);
        if (!faults_hit())
            break;
        assert_int_equal(error, -ENOMEM);
        assert_int_equal(faults_allocated(), allocated);
    }
    end_accepting(&accepting);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(hands_over_connections_ready_to_use),
    cmocka_unit_test(makes_a_blocking_listener_non_blocking),
    cmocka_unit_test(accepts_64_connections_an_iteration),
    cmocka_unit_test(stops_at_once_when_a_callback_removes_the_handler),
    cmocka_unit_test(lets_a_callback_close_the_listener),
    cmocka_unit_test(lets_a_callback_put_another_handler_in_place),
    cmocka_unit_test(leaves_connections_in_the_queue_while_paused),
    cmocka_unit_test(stops_at_once_when_a_callback_closes_the_loop),
    cmocka_unit_test(ends_with_the_loop_and_leaves_the_listener),
    cmocka_unit_test(closes_the_listener_with_the_loop_when_told_to),
    cmocka_unit_test(answers_errors_for_what_is_not_there),
    cmocka_unit_test(handlers_of_one_loop_know_their_listeners),
    cmocka_unit_test(goes_on_after_a_connection_that_came_to_nothing),
    cmocka_unit_test(rests_when_it_runs_short_and_recovers),
    cmocka_unit_test(rests_longer_each_time_up_to_a_second),
    cmocka_unit_test(rests_after_an_error_it_does_not_know),
    cmocka_unit_test(recovers_without_memory_for_a_timeout),
    cmocka_unit_test(tries_again_when_the_kernel_does_not_watch),
    cmocka_unit_test(stays_paused_when_a_rest_ends),
    cmocka_unit_test(may_be_removed_while_it_rests),
    cmocka_unit_test(gets_a_spare_descriptor_again_when_there_are_some),
    cmocka_unit_test(adds_no_handler_when_something_fails),
};

TESTING_MAIN(tests)
