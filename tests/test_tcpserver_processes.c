/* tcpserver in processes of their own. They end when the test does, by a pipe whose other end only the test holds. */
#include "ioloop/tcpserver.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ioloop/iolog.h"
#include "ioloop/ioloop.h"
#include "ioloop/ioprocess.h"
#include "ioloop/iostream.h"
#include "ioloop/netutil.h"
#include "tests/support/faults.h"
#include "tests/support/tcpserverscene.h"
#include "tests/support/testing.h"

static int life[2];    /* readable: the test has ended */
static int reports[2]; /* what processes tell: struct report */

struct report {
    pid_t pid;
    int id;   /* task id */
    int port; /* or a count */
};

static void begin_processes(void)
{
    assert_int_equal(pipe2(life, O_CLOEXEC), 0);
    assert_int_equal(pipe2(reports, O_CLOEXEC), 0);
    fflush(NULL);
}

static void report(int port)
{
    struct report entry = { getpid(), ioprocess_task_id(), port };

    if (write(reports[1], &entry, sizeof entry) != sizeof entry)
        _exit(9);
}

static struct report read_report(void)
{
    struct report entry = { 0 };

    assert_int_equal(poll(&(struct pollfd){ reports[0], POLLIN, 0 }, 1, 20000), 1);
    assert_int_equal(read(reports[0], &entry, sizeof entry), sizeof entry);
    return entry;
}

static void on_end_of_test(int fd, unsigned events, void *loop)
{
    ioloop_stop(loop);
}

static void on_sigterm(int signal_number, void *loop)
{
    ioloop_stop(loop);
}

/* Answers with the digit of this worker; with a loop to stop, that was the only connection it takes. */
static void answer_with_id(struct tcpserver *server, struct iostream *stream, const struct sockaddr *address,
                           socklen_t length, void *arg)
{
    char digit = (char)('0' + ioprocess_task_id());

    if (arg != NULL) {
        tcpserver_stop(server);
        ioloop_stop(arg);
    }
    iostream_write(stream, &digit, 1, NULL, NULL);
    iostream_close(stream);
}

/* In a worker: serves until told to end, then the process does. */
static void run_worker(struct ioloop *loop, int port)
{
    if (ioloop_add_handler(loop, life[0], on_end_of_test, loop, IOLOOP_READ) < 0 ||
        ioloop_add_signal(loop, SIGTERM, on_sigterm, loop) < 0)
        _exit(8);
    report(port);
    if (ioloop_start(loop) < 0)
        _exit(7);
    ioloop_close(loop, false);
    _exit(0);
}

static pid_t start_process(void (*run)(void))
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    close(life[1]);
    close(reports[0]);
    run();
    _exit(6);
}

/* Waits for the end of a process; answers its status as of waitpid. */
static int end_process(pid_t pid)
{
    int status = -1;

    close(life[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(life[0]);
    close(reports[0]);
    close(reports[1]);
    return status;
}

/* 'x' or -1, when it is there. */
static int wait_for_answer(int fd)
{
    assert_int_equal(poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, 20000), 1);
    return look(fd);
}

/* The byte that the server at this port answers; waits for it. -1: it has closed. */
static int ask(int port)
{
    int fd = connect_port(port), answer;

    assert_true(fd >= 0);
    answer = wait_for_answer(fd);
    close(fd);
    return answer;
}

static void listen_in_one_process(void)
{
    struct ioloop *loop = ioloop_new(NULL);
    struct tcpserver *server = tcpserver_new(loop, answer_with_id, NULL, NULL);
    int port = tcpserver_listen(server, 0, &ipv4);

    run_worker(loop, port);
}

/* tcpserver_test:test_listen_single */
static void listens_in_a_single_process(void **state)
{
    begin_processes();
    pid_t pid = start_process(listen_in_one_process);
    struct report entry = read_report();
    assert_int_equal(entry.id, -1);
    assert_int_equal(ask(entry.port), '0' - 1);
    assert_int_equal(end_process(pid), 0);
}

enum { WORKERS = 3 };

/* One connection a worker, which then ends: so all of them get one. */
static void assert_all_workers_answer(pid_t supervisor)
{
    int seen[WORKERS] = { 0 }, port = 0;

    for (int i = 0; i < WORKERS; i++) {
        struct report entry = read_report();
        assert_true(entry.id >= 0 && entry.id < WORKERS);
        assert_true(port == 0 || entry.port == port);
        port = entry.port;
    }
    for (int i = 0; i < WORKERS; i++) {
        int digit = ask(port);
        assert_true(digit >= '0' && digit < '0' + WORKERS);
        seen[digit - '0']++;
    }
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(seen[i], 1);
    assert_int_equal(end_process(supervisor), 0);
}

static void bind_and_start(void)
{
    struct ioloop *loop = ioloop_new(NULL);
    struct tcpserver *server = tcpserver_new(loop, answer_with_id, loop, NULL);
    int port = tcpserver_bind(server, 0, &ipv4);

    if (port > 0 && tcpserver_start(server, WORKERS, -1) == 0)
        run_worker(loop, port);
}

/* tcpserver_test:test_bind_start */
static void binds_then_starts_several_processes(void **state)
{
    begin_processes();
    assert_all_workers_answer(start_process(bind_and_start));
}

static void start_echo(struct tcpserver *server, struct iostream *stream, const struct sockaddr *address,
                       socklen_t length, void *arg)
{
    iostream_set_consumer(stream, echo, NULL);
}

static void make_no_room(struct tcpserver *server, void *arg)
{
}

static bool asks_for_room;

static void serve_one_connection_a_worker(void)
{
    struct ioloop *loop = ioloop_new(NULL);
    struct tcpserver *server = tcpserver_new(
        loop, start_echo, NULL,
        &(struct tcpserver_options){ .max_connections = 1, .on_full = asks_for_room ? make_no_room : NULL });
    int port = tcpserver_bind(server, 0, &ipv4), other = tcpserver_bind(server, 0, &ipv4);

    if (port < 0 || other < 0 || tcpserver_start(server, WORKERS, -1) < 0)
        return;
    report(other);
    run_worker(loop, port);
}

/* The kernel wakes the same one first again and again: it must not be the one that is full, or not only that one. */
static void leaves_to_other_processes_what_one_is_too_full_for(void **state)
{
    for (int asks = 0; asks < 2; asks++) {
        int clients[WORKERS], ports[2] = { 0 };

        asks_for_room = asks;
        begin_processes();
        pid_t supervisor = start_process(serve_one_connection_a_worker);
        for (int i = 0; i < 2 * WORKERS; i++) {
            int port = read_report().port;
            ports[i > 0 && port != ports[0]] = port;
        }
        for (int i = 0; i < WORKERS; i++) {
            clients[i] = connect_port(ports[i % 2]);
            say(clients[i], "x");
            assert_int_equal(wait_for_answer(clients[i]), 'x');
        }
        for (int i = 0; i < WORKERS; i++)
            close(clients[i]);
        assert_int_equal(end_process(supervisor), 0);
    }
}

static void stop_listening(int signal_number, void *server)
{
    tcpserver_stop(server);
    report(0);
}

static void serve_and_stop_listening(void)
{
    struct ioloop *loop = ioloop_new(NULL);
    struct tcpserver *server = tcpserver_new(loop, start_echo, NULL, NULL);
    int port = tcpserver_bind(server, 0, &ipv4);

    if (port < 0 || tcpserver_start(server, WORKERS, -1) < 0 ||
        ioloop_add_handler(loop, life[0], on_end_of_test, loop, IOLOOP_READ) < 0 ||
        ioloop_add_signal(loop, SIGTERM, stop_listening, server) < 0)
        return;
    report(port);
    ioloop_start(loop);
    ioloop_close(loop, false);
    _exit(0);
}

/* Nor does the parent keep it, which would have clients wait for nobody. */
static void when_all_end_nobody_has_the_listener(void **state)
{
    int port = 0;

    begin_processes();
    pid_t supervisor = start_process(serve_and_stop_listening);
    for (int i = 0; i < WORKERS; i++)
        port = read_report().port;
    kill(supervisor, SIGTERM);
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(read_report().port, 0);
    assert_int_equal(connect_port(port), -1);
    assert_int_equal(errno, ECONNREFUSED);
    assert_int_equal(end_process(supervisor), 0);
}

static void fork_and_add_sockets(void)
{
    int fd;

    if (netutil_bind_sockets(&fd, 1, 0, &ipv4) != 1 || ioprocess_fork_processes(WORKERS, -1) < 0)
        return;
    struct ioloop *loop = ioloop_new(NULL);
    struct tcpserver *server = tcpserver_new(loop, answer_with_id, loop, NULL);
    if (tcpserver_add_sockets(server, &fd, 1) == 0)
        run_worker(loop, netutil_bound_port(fd));
}

/* tcpserver_test:test_add_sockets */
static void adds_sockets_after_the_fork(void **state)
{
    begin_processes();
    assert_all_workers_answer(start_process(fork_and_add_sockets));
}

/* The first socket holds the port and never listens. */
static void fork_and_listen(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct netutil_bind_options options = { .address = "127.0.0.1", .reuse_port = true };
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

    if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || ioprocess_fork_processes(WORKERS, -1) < 0)
        return;
    struct ioloop *loop = ioloop_new(NULL);
    struct tcpserver *server = tcpserver_new(loop, answer_with_id, loop, NULL);
    int port = tcpserver_listen(server, netutil_bound_port(fd), &options);
    if (port > 0)
        run_worker(loop, port);
}

/* tcpserver_test:test_listen_multi_reuse_port */
static void listens_with_reuse_port_after_the_fork(void **state)
{
    begin_processes();
    assert_all_workers_answer(start_process(fork_and_listen));
}

static int gates[2][2]; /* where each of two workers waits when it was held up */

static void hold_up(int signal_number, void *arg)
{
    char byte;

    report(0);
    while (read(gates[ioprocess_task_id()][0], &byte, 1) < 0)
        continue;
}

static void serve_with_two_workers(void)
{
    struct ioloop *loop = ioloop_new(NULL);
    struct tcpserver *server = tcpserver_new(loop, answer_with_id, NULL, NULL);
    int port = tcpserver_bind(server, 0, &ipv4);

    close(gates[0][1]);
    close(gates[1][1]);
    iolog_set_level(IOLOG_ERROR); /* that a worker was killed is no news */
    if (port > 0 && tcpserver_start(server, 2, 0) == 0 && ioloop_add_signal(loop, SIGUSR1, hold_up, NULL) == 0)
        run_worker(loop, port);
}

enum { QUEUED = 50 };

/* So many connections come while both workers are busy; then one of them is killed. Answers how many were served. */
static int serve_after_a_kill(struct report workers[2], int victim, int port)
{
    int clients[QUEUED], answered = 0;
    char digit;

    for (int i = 0; i < 2; i++) {
        kill(workers[i].pid, SIGUSR1);
        read_report();
    }
    for (int i = 0; i < QUEUED; i++)
        clients[i] = connect_port(port);
    kill(workers[victim].pid, SIGKILL);
    assert_int_equal(write(gates[!victim][1], "x", 1), 1);
    for (int i = 0; i < QUEUED; i++) {
        assert_int_equal(poll(&(struct pollfd){ clients[i], POLLIN, 0 }, 1, 20000), 1);
        answered += recv(clients[i], &digit, 1, 0) == 1;
        close(clients[i]);
    }
    workers[victim] = read_report(); /* started again */
    return answered;
}

/* One listener for all, so its queue belongs to none of them. */
static void loses_no_queued_connection_with_a_worker_that_is_killed(void **state)
{
    struct report workers[2];

    begin_processes();
    for (int i = 0; i < 2; i++)
        assert_int_equal(pipe2(gates[i], O_CLOEXEC), 0);
    pid_t supervisor = start_process(serve_with_two_workers);
    for (int i = 0; i < 2; i++) {
        struct report entry = read_report();
        workers[entry.id] = entry;
    }
    int port = workers[0].port;
    for (int round = 0; round < 4; round++)
        assert_int_equal(serve_after_a_kill(workers, round % 2, port), QUEUED);
    kill(supervisor, SIGTERM);
    assert_int_equal(end_process(supervisor), 0);
    for (int i = 0; i < 2; i++) {
        close(gates[i][0]);
        close(gates[i][1]);
    }
}

/* Running out of descriptors. */

/* What a server knows of when it begins to listen it keeps to. */
static bool falls_short_later = true;

static void serve_with_few_fds(void)
{
    struct rlimit limit = { 48, 48 };
    struct ioloop *loop = ioloop_new(NULL);

    if (!falls_short_later)
        setrlimit(RLIMIT_NOFILE, &limit);
    struct tcpserver *server =
        tcpserver_new(loop, start_echo, NULL, &(struct tcpserver_options){ .max_connections = 100 });
    testing_begin_logs();
    int port = tcpserver_listen(server, 0, &ipv4);
    setrlimit(RLIMIT_NOFILE, &limit);
    if (ioloop_add_handler(loop, life[0], on_end_of_test, loop, IOLOOP_READ) < 0)
        return;
    faults_count_reset();
    report(port);
    ioloop_start(loop);
    report(faults_count("accept4"));
    report(testing_logs("cannot accept"));
    testing_end_logs();
    ioloop_close(loop, false);
    _exit(0);
}

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* 48 descriptors, 90 clients. */
static void serves_as_many_as_it_can_when_descriptors_run_out(void **state)
{
    enum { CLIENTS = 90 };
    int clients[CLIENTS], served = 0;

    begin_processes();
    pid_t pid = start_process(serve_with_few_fds);
    int port = read_report().port;
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = connect_port(port);
        (void)!send(clients[i], "x", 1, MSG_NOSIGNAL);
    }
    for (int i = 0; i < CLIENTS; i++)
        served += wait_for_answer(clients[i]) == 'x';
    assert_in_range(served, 20, 47);
    /* Those that are served are served on, and whoever comes is told soon that there is no room. */
    assert_int_equal(ask(port), -1);
    for (int i = 0; i < CLIENTS; i++)
        close(clients[i]);
    double start = seconds_now();
    int late = connect_port(port), answer = -1;
    say(late, "x");
    answer = wait_for_answer(late);
    while (answer != 'x') { /* the server may not have noticed yet who has gone */
        close(late);
        late = connect_port(port);
        (void)!send(late, "x", 1, MSG_NOSIGNAL);
        answer = wait_for_answer(late);
    }
    assert_true(seconds_now() - start < 5); /* it rests for a second at most */
    close(late);
    close(life[1]);
    assert_in_range(read_report().port, CLIENTS, CLIENTS + 200); /* no spinning */
    assert_int_equal(read_report().port, 1);                     /* one line in 10 s */
    life[1] = dup(0);
    assert_int_equal(end_process(pid), 0);
}

static void know_of_few_fds(void)
{
    falls_short_later = false;
    serve_with_few_fds();
}

static void leaves_descriptors_for_other_things(void **state)
{
    int clients[60];

    begin_processes();
    pid_t pid = start_process(know_of_few_fds);
    int port = read_report().port;
    for (int i = 0; i < 60; i++) {
        clients[i] = connect_port(port);
        say(clients[i], "x");
    }
    for (int i = 0; i < 60; i++) {
        assert_int_equal(wait_for_answer(clients[i]), 'x'); /* each in its turn, and none is turned away */
        close(clients[i]);
    }
    close(life[1]);
    assert_in_range(read_report().port, 60, 120);
    assert_int_equal(read_report().port, 0);
    life[1] = dup(0);
    assert_int_equal(end_process(pid), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(listens_in_a_single_process),
    cmocka_unit_test(binds_then_starts_several_processes),
    cmocka_unit_test(leaves_to_other_processes_what_one_is_too_full_for),
    cmocka_unit_test(when_all_end_nobody_has_the_listener),
    cmocka_unit_test(adds_sockets_after_the_fork),
    cmocka_unit_test(listens_with_reuse_port_after_the_fork),
    cmocka_unit_test(loses_no_queued_connection_with_a_worker_that_is_killed),
    cmocka_unit_test(serves_as_many_as_it_can_when_descriptors_run_out),
    cmocka_unit_test(leaves_descriptors_for_other_things),
};

TESTING_MAIN(tests)
