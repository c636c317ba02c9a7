#include "tests/support/testing.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ioloop/iolog.h"
#include "ioloop/ioloop.h"
#include "ioloop/ioprocess.h"
#include "ioloop/tcpserver.h"
#include "tests/support/faults.h"

static const struct netutil_bind_options ipv4 = { .address = "127.0.0.1" };

/* A server in this process. Its clients are bare sockets: what connect has made waits in the kernel until the loop
 * runs. */

enum { MOST = 100 };

struct scene {
    struct ioloop *loop;
    double clock;
    struct tcpserver *server;
    int port;
    int handled; /* calls of handle_stream */
    struct iostream *streams[MOST];
    struct sockaddr_storage peer; /* of the last one */
    void (*on_stream)(struct scene *scene, struct iostream *stream);
    int full_calls, close_calls;
    void (*on_full)(struct scene *scene);
    int clients[MOST], client_count;
};

static size_t echo(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    if (error < 0 || iostream_write(stream, data, length, NULL, NULL) < 0)
        iostream_close(stream);
    return length;
}

static void handle_stream(struct tcpserver *server, struct iostream *stream, const struct sockaddr *address,
                          socklen_t length, void *arg)
{
    struct scene *scene = arg;

    assert_true(scene->handled < MOST);
    scene->streams[scene->handled++] = stream;
    scene->peer.ss_family = AF_UNSPEC;
    memcpy(&scene->peer, address, length);
    if (scene->on_stream != NULL)
        scene->on_stream(scene, stream);
    else if (iostream_set_consumer(stream, echo, NULL) < 0)
        iostream_close(stream);
}

static void on_full(struct tcpserver *server, void *arg)
{
    struct scene *scene = arg;

    scene->full_calls++;
    if (scene->on_full != NULL)
        scene->on_full(scene);
}

static void on_close(struct tcpserver *server, void *arg)
{
    struct scene *scene = arg;

    assert_ptr_equal(server, scene->server);
    tcpserver_close(server); /* legal, and nothing, until this returns */
    assert_int_equal(tcpserver_listen(server, 0, &ipv4), -EBADF);
    scene->close_calls++;
}

static void begin_idle(struct scene *scene, const struct tcpserver_options *options)
{
    *scene = (struct scene){ .clock = 100 };
    scene->loop = ioloop_new(&(struct ioloop_options){ .clock = testing_clock, .clock_arg = &scene->clock });
    assert_non_null(scene->loop);
    scene->server = tcpserver_new(scene->loop, handle_stream, scene, options);
    assert_non_null(scene->server);
    assert_ptr_equal(tcpserver_loop(scene->server), scene->loop);
}

static void begin(struct scene *scene, const struct tcpserver_options *options)
{
    begin_idle(scene, options);
    scene->port = tcpserver_listen(scene->server, 0, &ipv4);
    assert_true(scene->port > 0);
}

static void end(struct scene *scene)
{
    faults_end();
    for (int i = 0; i < scene->client_count; i++)
        close(scene->clients[i]);
    if (scene->loop != NULL)
        ioloop_close(scene->loop, false);
}

static int connect_port(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static void connect_clients(struct scene *scene, int count)
{
    for (int i = 0; i < count; i++) {
        int fd = connect_port(scene->port);
        assert_true(fd >= 0);
        scene->clients[scene->client_count++] = fd;
    }
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What a client has before it: a byte, 0 for nothing yet, -1 for the end. */
static int look(int fd)
{
    char byte;
    ssize_t count = recv(fd, &byte, 1, MSG_DONTWAIT);

    if (count == 1)
        return byte;
    return count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? 0 : -1;
}

static void assert_echo(struct scene *scene, int client)
{
    int byte = 0;

    say(scene->clients[client], "x");
    for (int i = 0; i < 10 && byte == 0; i++) {
        testing_spin(scene->loop, 1);
        byte = look(scene->clients[client]);
    }
    assert_int_equal(byte, 'x');
}

/* Serving. */

static void serves_each_connection_with_a_stream(void **state)
{
    struct scene scene;
    struct sockaddr_in own;
    socklen_t length = sizeof own;
    int nodelay = 0;

    begin(&scene, NULL);
    connect_clients(&scene, 2);
    assert_echo(&scene, 0);
    assert_echo(&scene, 1);
    assert_int_equal(scene.handled, 2);
    assert_int_equal(getsockname(scene.clients[1], (struct sockaddr *)&own, &length), 0);
    assert_int_equal(netutil_port((struct sockaddr *)&scene.peer), ntohs(own.sin_port));
    assert_int_equal(getsockopt(iostream_fd(scene.streams[0]), IPPROTO_TCP, TCP_NODELAY, &nodelay, &length), 0);
    assert_int_equal(nodelay, 1);
    end(&scene);
}

static void answers_what_came_with_the_connection_in_the_same_iteration(void **state)
{
    struct scene scene;

    begin(&scene, NULL);
    connect_clients(&scene, 1);
    say(scene.clients[0], "x");
    testing_spin(scene.loop, 1);
    assert_int_equal(look(scene.clients[0]), 'x');
    end(&scene);
}

static void listens_on_several_ports_and_paths(void **state)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    char name[64];
    struct scene scene;

    begin(&scene, NULL);
    int first = scene.port;
    scene.port = tcpserver_listen(scene.server, 0, &ipv4);
    assert_true(scene.port > 0 && scene.port != first);
    assert_int_equal(tcpserver_listen(scene.server, first, &ipv4), -EADDRINUSE);
    connect_clients(&scene, 1);
    scene.port = first;
    connect_clients(&scene, 1);
    snprintf(name, sizeof name, "@test_tcpserver_%d", (int)getpid());
    assert_int_equal(tcpserver_listen_unix(scene.server, name, 0), 0);
    assert_int_equal(tcpserver_listen_unix(scene.server, name, 0), -EADDRINUSE);
    strcpy(address.sun_path, name);
    address.sun_path[0] = '\0';
    int fd = scene.clients[scene.client_count++] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(
        connect(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
        0);
    for (int i = 0; i < 3; i++)
        assert_echo(&scene, i);
    end(&scene);
}

static void sets_nodelay_on_listeners_from_elsewhere(void **state)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int listener = socket(AF_INET, SOCK_STREAM, 0), nodelay = 0;
    socklen_t length = sizeof nodelay;
    struct scene scene;

    begin_idle(&scene, NULL);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 5), 0);
    assert_int_equal(tcpserver_add_sockets(scene.server, &listener, 1), 0);
    scene.port = netutil_bound_port(listener);
    connect_clients(&scene, 1);
    assert_echo(&scene, 0);
    assert_int_equal(getsockopt(iostream_fd(scene.streams[0]), IPPROTO_TCP, TCP_NODELAY, &nodelay, &length), 0);
    assert_int_equal(nodelay, 1);
    end(&scene);
    assert_int_equal(fcntl(listener, F_GETFD), -1); /* it was the server's */
}

static void serves_what_was_bound_when_it_is_started(void **state)
{
    struct scene scene;

    begin_idle(&scene, NULL);
    scene.port = tcpserver_bind(scene.server, 0, &ipv4);
    assert_true(scene.port > 0);
    connect_clients(&scene, 1);
    testing_spin(scene.loop, 3);
    assert_int_equal(scene.handled, 0);
    assert_int_equal(tcpserver_start(scene.server, 1, 0), 0);
    assert_echo(&scene, 0);
    assert_int_equal(tcpserver_start(scene.server, 1, 0), -EALREADY);
    scene.port = tcpserver_bind(scene.server, 0, &ipv4); /* from now on at once */
    connect_clients(&scene, 1);
    assert_echo(&scene, 1);
    end(&scene);
}

static void closes_what_was_bound_and_never_started(void **state)
{
    struct scene scene;

    begin_idle(&scene, NULL);
    scene.port = tcpserver_bind(scene.server, 0, &ipv4);
    assert_true(tcpserver_bind(scene.server, 0, &ipv4) > 0);
    tcpserver_stop(scene.server);
    assert_int_equal(connect_port(scene.port), -1);
    assert_int_equal(tcpserver_start(scene.server, 1, 0), 0);
    end(&scene);
}

static void gives_back_sockets_that_it_cannot_serve(void **state)
{
    struct scene scene;
    int fds[2], pipe_fds[2];

    begin_idle(&scene, NULL);
    assert_int_equal(netutil_bind_sockets(&fds[0], 1, 0, &ipv4), 1);
    assert_int_equal(pipe(pipe_fds), 0);
    fds[1] = pipe_fds[0];
    assert_int_equal(tcpserver_add_sockets(scene.server, fds, 2), -ENOTSOCK);
    fds[1] = fds[0];
    assert_int_equal(tcpserver_add_sockets(scene.server, fds, 2), -EEXIST);
    scene.port = netutil_bound_port(fds[0]);
    connect_clients(&scene, 1);
    testing_spin(scene.loop, 3);
    assert_int_equal(scene.handled, 0); /* nobody watches it */
    assert_int_equal(tcpserver_add_sockets(scene.server, fds, 1), 0);
    assert_echo(&scene, 0);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    end(&scene);
}

static void fail_in_callback(struct scene *scene, struct iostream *stream)
{
    ioloop_callback_failed(scene->loop, -EIO);
    iostream_close(stream);
}

/* tcpserver_test:test_handle_stream_coroutine_logging */
static void logs_an_error_in_handle_stream_and_goes_on(void **state)
{
    struct scene scene;

    begin(&scene, NULL);
    scene.on_stream = fail_in_callback;
    testing_begin_logs();
    connect_clients(&scene, 2);
    testing_spin(scene.loop, 2);
    assert_int_equal(scene.handled, 2);
    assert_int_equal(testing_logs("a callback failed"), 2);
    scene.on_stream = NULL;
    connect_clients(&scene, 1);
    assert_echo(&scene, 2);
    end(&scene);
}

/* Stopping and closing. */

/* tcpserver_test:test_stop_twice */
static void may_be_stopped_twice_and_leaves_connections_alone(void **state)
{
    struct scene scene;

    begin(&scene, NULL);
    connect_clients(&scene, 1);
    assert_echo(&scene, 0);
    tcpserver_stop(scene.server);
    tcpserver_stop(scene.server);
    assert_int_equal(connect_port(scene.port), -1);
    assert_echo(&scene, 0);
    assert_int_equal(tcpserver_connections(scene.server), 1);
    scene.port = tcpserver_listen(scene.server, 0, &ipv4); /* and it may be used again */
    connect_clients(&scene, 1);
    assert_echo(&scene, 1);
    end(&scene);
}

static void stop_in_callback(struct scene *scene, struct iostream *stream)
{
    tcpserver_stop(scene->server);
    iostream_close(stream);
}

/* tcpserver_test:test_stop_in_callback */
static void may_be_stopped_in_its_callback(void **state)
{
    struct scene scene;

    begin_idle(&scene, NULL);
    scene.port = tcpserver_listen(scene.server, 0, &(struct netutil_bind_options){ .address = NULL });
    scene.on_stream = stop_in_callback;
    connect_clients(&scene, 40);
    testing_spin(scene.loop, 3);
    assert_int_equal(scene.handled, 1);
    for (int i = 0; i < 40; i++)
        assert_int_equal(look(scene.clients[i]), -1);
    end(&scene);
}

static void close_in_callback(struct scene *scene, struct iostream *stream)
{
    tcpserver_close(scene->server);
    iostream_close(stream);
}

static void may_be_closed_in_its_callback(void **state)
{
    struct scene scene;

    begin(&scene, &(struct tcpserver_options){ .on_close = on_close });
    scene.on_stream = close_in_callback;
    connect_clients(&scene, 3);
    testing_spin(scene.loop, 1);
    assert_int_equal(scene.handled, 1);
    assert_int_equal(scene.close_calls, 0);
    testing_spin(scene.loop, 1);
    assert_int_equal(scene.close_calls, 1);
    end(&scene);
}

static void close_server_alone(struct scene *scene, struct iostream *stream)
{
    tcpserver_close(scene->server);
    assert_int_equal(iostream_set_consumer(stream, echo, NULL), 0);
}

static void leaves_streams_that_outlive_it(void **state)
{
    struct scene scene;

    faults_allocated();
    begin(&scene, &(struct tcpserver_options){ .on_close = on_close });
    scene.on_stream = close_server_alone;
    connect_clients(&scene, 1);
    testing_spin(scene.loop, 3);
    assert_int_equal(scene.close_calls, 1);
    assert_echo(&scene, 0);
    long allocated = faults_allocated();
    iostream_close(scene.streams[0]);
    testing_spin(scene.loop, 2);
    assert_true(faults_allocated() <= allocated - 2); /* the stream, and the memory of the server with its last one */
    end(&scene);
}

static void tells_once_that_it_has_closed(void **state)
{
    struct scene scene;

    begin(&scene, &(struct tcpserver_options){ .on_close = on_close });
    tcpserver_close(scene.server);
    tcpserver_close(scene.server);
    assert_int_equal(connect_port(scene.port), -1); /* at once */
    assert_int_equal(tcpserver_listen(scene.server, 0, &ipv4), -EBADF);
    assert_int_equal(tcpserver_listen_unix(scene.server, "@none", 0), -EBADF);
    assert_int_equal(tcpserver_bind(scene.server, 0, &ipv4), -EBADF);
    assert_int_equal(tcpserver_start(scene.server, 1, 0), -EBADF);
    assert_int_equal(scene.close_calls, 0);
    testing_spin(scene.loop, 3);
    assert_int_equal(scene.close_calls, 1);
    end(&scene);
    assert_int_equal(scene.close_calls, 1);
}

static void ends_with_the_loop_and_so_do_its_streams(void **state)
{
    struct scene scene;

    begin(&scene, &(struct tcpserver_options){ .on_close = on_close });
    connect_clients(&scene, 3);
    assert_echo(&scene, 2);
    ioloop_close(scene.loop, false);
    scene.loop = NULL;
    assert_int_equal(scene.close_calls, 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(look(scene.clients[i]), -1);
    end(&scene);
}

static void close_loop(struct scene *scene, struct iostream *stream)
{
    ioloop_close(scene->loop, false);
}

static void lets_its_callback_close_the_loop(void **state)
{
    struct scene scene;

    begin(&scene, &(struct tcpserver_options){ .on_close = on_close });
    scene.on_stream = close_loop;
    connect_clients(&scene, 3);
    assert_int_equal(ioloop_start(scene.loop), 0);
    assert_int_equal(scene.handled, 1);
    assert_int_equal(scene.close_calls, 1);
    scene.loop = NULL;
    end(&scene);
}

/* Counting. */

static void counts_streams_while_they_are_open(void **state)
{
    struct scene scene;

    begin(&scene, NULL);
    connect_clients(&scene, 3);
    for (int i = 0; i < 3; i++)
        assert_echo(&scene, i);
    assert_int_equal(tcpserver_connections(scene.server), 3);
    iostream_close(scene.streams[0]);
    assert_int_equal(tcpserver_connections(scene.server), 2); /* at once */
    close(scene.clients[1]);
    scene.clients[1] = scene.clients[--scene.client_count];
    testing_spin(scene.loop, 2);
    assert_int_equal(tcpserver_connections(scene.server), 1); /* whoever closes */
    end(&scene);
}

static void lets_connections_wait_when_it_is_full(void **state)
{
    struct scene scene;

    begin(&scene, &(struct tcpserver_options){ .max_connections = 2 });
    connect_clients(&scene, 5);
    faults_count_reset();
    testing_spin(scene.loop, 100);
    assert_int_equal(scene.handled, 2);
    assert_true(faults_count("accept4") <= 2); /* it does not look again and again */
    for (int i = 0; i < 5; i++)
        assert_int_equal(look(scene.clients[i]), 0);
    iostream_close(scene.streams[0]);
    testing_spin(scene.loop, 2);
    assert_int_equal(scene.handled, 3);
    iostream_close(scene.streams[1]);
    iostream_close(scene.streams[2]);
    testing_spin(scene.loop, 2);
    assert_int_equal(scene.handled, 5);
    assert_echo(&scene, 4);
    end(&scene);
}

static void asks_for_room_once_a_connection(void **state)
{
    struct scene scene;

    begin(&scene, &(struct tcpserver_options){ .max_connections = 2, .on_full = on_full });
    connect_clients(&scene, 2);
    testing_spin(scene.loop, 5);
    assert_int_equal(scene.full_calls, 0); /* nobody waits */
    connect_clients(&scene, 2);
    testing_spin(scene.loop, 100);
    assert_int_equal(scene.full_calls, 1);
    assert_int_equal(scene.handled, 2);
    iostream_close(scene.streams[0]);
    testing_spin(scene.loop, 5);
    assert_int_equal(scene.handled, 3);
    assert_int_equal(scene.full_calls, 2); /* for the one that still waits */
    end(&scene);
}

static void close_the_oldest(struct scene *scene)
{
    iostream_close(scene->streams[scene->full_calls - 1]);
}

static void makes_room_for_each_connection_by_closing_another(void **state)
{
    struct scene scene;

    begin(&scene, &(struct tcpserver_options){ .max_connections = 2, .on_full = on_full });
    scene.on_full = close_the_oldest;
    connect_clients(&scene, 5);
    testing_spin(scene.loop, 10);
    assert_int_equal(scene.handled, 5);
    assert_int_equal(scene.full_calls, 3);
    assert_int_equal(tcpserver_connections(scene.server), 2);
    for (int i = 0; i < 3; i++)
        assert_int_equal(look(scene.clients[i]), -1);
    assert_echo(&scene, 3);
    assert_echo(&scene, 4);
    end(&scene);
}

static void close_server_when_full(struct scene *scene)
{
    tcpserver_close(scene->server);
}

static void may_be_closed_when_it_is_full(void **state)
{
    struct scene scene;

    begin(&scene, &(struct tcpserver_options){ .max_connections = 1, .on_full = on_full, .on_close = on_close });
    scene.on_full = close_server_when_full;
    connect_clients(&scene, 3);
    testing_spin(scene.loop, 5);
    assert_int_equal(scene.handled, 1);
    assert_int_equal(scene.full_calls, 1);
    assert_int_equal(scene.close_calls, 1);
    assert_int_equal(look(scene.clients[2]), -1);
    assert_echo(&scene, 0);
    end(&scene);
}

static void stays_full_for_listeners_that_are_added(void **state)
{
    struct scene scene;

    begin(&scene, &(struct tcpserver_options){ .max_connections = 1 });
    connect_clients(&scene, 1);
    testing_spin(scene.loop, 2);
    scene.port = tcpserver_listen(scene.server, 0, &ipv4);
    connect_clients(&scene, 1);
    testing_spin(scene.loop, 5);
    assert_int_equal(scene.handled, 1);
    iostream_close(scene.streams[0]);
    testing_spin(scene.loop, 3);
    assert_int_equal(scene.handled, 2);
    end(&scene);
}

/* When something fails. */

static void rests_when_there_is_no_memory_for_a_stream(void **state)
{
    struct scene scene;

    begin(&scene, NULL);
    connect_clients(&scene, 1);
    testing_begin_logs();
    int fds = testing_count_fds();
    faults_allocation(1, false);
    testing_spin(scene.loop, 3);
    assert_true(faults_hit());
    assert_int_equal(scene.handled, 0);
    assert_int_equal(look(scene.clients[0]), -1);
    assert_int_equal(testing_count_fds(), fds);
    assert_int_equal(testing_logs("cannot accept connections"), 1);
    connect_clients(&scene, 1);
    testing_spin(scene.loop, 3);
    assert_int_equal(scene.handled, 0);
    scene.clock += 0.101;
    testing_spin(scene.loop, 1);
    assert_echo(&scene, 1);
    end(&scene);
}

static void ends_its_rest_when_a_connection_ends(void **state)
{
    struct scene scene;

    begin(&scene, NULL);
    connect_clients(&scene, 1);
    assert_echo(&scene, 0);
    testing_begin_logs();
    faults_system_call("accept4", EMFILE, 1);
    connect_clients(&scene, 1);
    testing_spin(scene.loop, 2);
    assert_true(faults_hit());
    assert_int_equal(look(scene.clients[1]), -1);
    connect_clients(&scene, 1);
    testing_spin(scene.loop, 2);
    assert_int_equal(scene.handled, 1);
    iostream_close(scene.streams[0]); /* a descriptor is free: there is no need to wait for the time */
    testing_spin(scene.loop, 1);
    assert_int_equal(scene.handled, 2);
    end(&scene);
}

struct baseline {
    int fds;
    long allocated;
};

/* A server, two clients, a stop; each part may fail, and then has to leave nothing. */
static void live_through(struct scene *scene)
{
    *scene = (struct scene){ .clock = 100 };
    scene->loop = ioloop_new(&(struct ioloop_options){ .clock = testing_clock, .clock_arg = &scene->clock });
    if (scene->loop == NULL)
        return;
    scene->server = tcpserver_new(scene->loop, handle_stream, scene,
                                  &(struct tcpserver_options){ .max_connections = 1, .on_close = on_close });
    scene->port = scene->server != NULL ? tcpserver_listen(scene->server, 0, &ipv4) : -1;
    for (int i = 0; i < 2 && scene->port > 0; i++) {
        int fd = connect_port(scene->port);
        if (fd >= 0) {
            scene->clients[scene->client_count++] = fd;
            (void)!send(fd, "x", 1, MSG_NOSIGNAL);
        }
    }
    for (int i = 0; i < 4; i++) {
        ioloop_run_once(scene->loop, 0);
        scene->clock += 0.3;
    }
    if (scene->handled > 0 && scene->client_count > 0)
        shutdown(scene->clients[0], SHUT_WR);
    for (int i = 0; i < 4; i++)
        ioloop_run_once(scene->loop, 0);
}

static void end_life(struct scene *scene, struct baseline baseline)
{
    bool has_server = scene->server != NULL;

    end(scene);
    assert_int_equal(scene->close_calls, has_server);
    assert_int_equal(testing_count_fds(), baseline.fds);
    assert_int_equal(faults_allocated(), baseline.allocated);
}

static struct baseline take_baseline(void)
{
    struct scene scene;
    struct baseline before = { testing_count_fds(), faults_allocated() };

    live_through(&scene);
    assert_int_equal(scene.handled, 2);
    end_life(&scene, before);
    testing_begin_logs();
    return before;
}

static void loses_nothing_when_a_call_fails(void **state)
{
    static const char *const calls[] = { "socket",        "setsockopt", "bind",       "listen",  "accept4",
                                         "epoll_create1", "epoll_ctl",  "epoll_wait", "eventfd", "fcntl",
                                         "getsockopt",    "recv",       "send",       "close" };
    static const int errors[] = { ENOMEM, EMFILE, ECONNRESET };
    struct baseline baseline = take_baseline();
    struct scene scene;

    for (size_t i = 0; i < sizeof calls / sizeof *calls * 3; i++) {
        bool hit = true;
        for (int nth = 1; hit && nth < 200; nth++) {
            faults_system_call(calls[i / 3], errors[i % 3], nth);
            /* The test's own sockets fail as well: then there are fewer clients. */
            live_through(&scene);
            hit = faults_hit();
            end_life(&scene, baseline);
        }
        assert_false(hit);
    }
}

static void loses_nothing_when_memory_is_short(void **state)
{
    struct baseline baseline = take_baseline();
    struct scene scene;

    for (int sticky = 0; sticky < 2; sticky++) {
        bool hit = true;
        for (int nth = 1; hit && nth < 500; nth++) {
            faults_allocation(nth, sticky);
            live_through(&scene);
            hit = faults_hit();
            end_life(&scene, baseline);
        }
        assert_false(hit);
    }
}

/* Servers in processes of their own. They end when the test does, by a pipe whose other end only the test holds. */

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

    assert_int_equal(poll(&(struct pollfd){ reports[0], POLLIN, 0 }, 1, 5000), 1);
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
    assert_int_equal(poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, 5000), 1);
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

static void serve_one_connection_a_worker(void)
{
    struct ioloop *loop = ioloop_new(NULL);
    struct tcpserver *server =
        tcpserver_new(loop, start_echo, NULL, &(struct tcpserver_options){ .max_connections = 1 });
    int port = tcpserver_bind(server, 0, &ipv4);

    if (port > 0 && tcpserver_start(server, WORKERS, -1) == 0)
        run_worker(loop, port);
}

/* The kernel wakes the same one first again and again: it must not be the one that is full. */
static void leaves_to_other_processes_what_one_is_too_full_for(void **state)
{
    int clients[WORKERS], port = 0;

    begin_processes();
    pid_t supervisor = start_process(serve_one_connection_a_worker);
    for (int i = 0; i < WORKERS; i++)
        port = read_report().port;
    for (int i = 0; i < WORKERS; i++) {
        clients[i] = connect_port(port);
        say(clients[i], "x");
        assert_int_equal(wait_for_answer(clients[i]), 'x');
    }
    for (int i = 0; i < WORKERS; i++)
        close(clients[i]);
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
        assert_int_equal(poll(&(struct pollfd){ clients[i], POLLIN, 0 }, 1, 5000), 1);
        answered += recv(clients[i], &digit, 1, 0) == 1;
        close(clients[i]);
    }
    workers[victim] = read_report(); /* started again */
    return answered;
}

/* hostile.md H2: one listener for all, so its queue belongs to none of them. */
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

static struct tcpserver_options short_of_fds = { .max_connections = 1000 };

static void serve_with_few_fds(void)
{
    struct rlimit limit = { 48, 48 };
    struct ioloop *loop = ioloop_new(NULL);

    setrlimit(RLIMIT_NOFILE, &limit);
    struct tcpserver *server = tcpserver_new(loop, start_echo, NULL, &short_of_fds);
    int port = tcpserver_listen(server, 0, &ipv4);
    if (ioloop_add_handler(loop, life[0], on_end_of_test, loop, IOLOOP_READ) < 0)
        return;
    faults_count_reset();
    testing_begin_logs();
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

/* hostile.md C14: 48 descriptors, 90 clients. */
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
    assert_true(seconds_now() - start < 1);
    close(late);
    close(life[1]);
    assert_in_range(read_report().port, CLIENTS, CLIENTS + 200); /* no spinning */
    assert_int_equal(read_report().port, 1);                     /* one line in 10 s */
    life[1] = dup(0);
    assert_int_equal(end_process(pid), 0);
}

static void serve_with_the_default_limit(void)
{
    short_of_fds.max_connections = 0;
    serve_with_few_fds();
}

static void leaves_descriptors_for_other_things_by_default(void **state)
{
    int clients[60];

    begin_processes();
    pid_t pid = start_process(serve_with_the_default_limit);
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
    cmocka_unit_test(serves_each_connection_with_a_stream),
    cmocka_unit_test(answers_what_came_with_the_connection_in_the_same_iteration),
    cmocka_unit_test(listens_on_several_ports_and_paths),
    cmocka_unit_test(sets_nodelay_on_listeners_from_elsewhere),
    cmocka_unit_test(serves_what_was_bound_when_it_is_started),
    cmocka_unit_test(closes_what_was_bound_and_never_started),
    cmocka_unit_test(gives_back_sockets_that_it_cannot_serve),
    cmocka_unit_test(logs_an_error_in_handle_stream_and_goes_on),
    cmocka_unit_test(may_be_stopped_twice_and_leaves_connections_alone),
    cmocka_unit_test(may_be_stopped_in_its_callback),
    cmocka_unit_test(may_be_closed_in_its_callback),
    cmocka_unit_test(leaves_streams_that_outlive_it),
    cmocka_unit_test(tells_once_that_it_has_closed),
    cmocka_unit_test(ends_with_the_loop_and_so_do_its_streams),
    cmocka_unit_test(lets_its_callback_close_the_loop),
    cmocka_unit_test(counts_streams_while_they_are_open),
    cmocka_unit_test(lets_connections_wait_when_it_is_full),
    cmocka_unit_test(asks_for_room_once_a_connection),
    cmocka_unit_test(makes_room_for_each_connection_by_closing_another),
    cmocka_unit_test(may_be_closed_when_it_is_full),
    cmocka_unit_test(stays_full_for_listeners_that_are_added),
    cmocka_unit_test(rests_when_there_is_no_memory_for_a_stream),
    cmocka_unit_test(ends_its_rest_when_a_connection_ends),
    cmocka_unit_test(loses_nothing_when_a_call_fails),
    cmocka_unit_test(loses_nothing_when_memory_is_short),
    cmocka_unit_test(listens_in_a_single_process),
    cmocka_unit_test(binds_then_starts_several_processes),
    cmocka_unit_test(leaves_to_other_processes_what_one_is_too_full_for),
    cmocka_unit_test(adds_sockets_after_the_fork),
    cmocka_unit_test(listens_with_reuse_port_after_the_fork),
    cmocka_unit_test(loses_no_queued_connection_with_a_worker_that_is_killed),
    cmocka_unit_test(serves_as_many_as_it_can_when_descriptors_run_out),
    cmocka_unit_test(leaves_descriptors_for_other_things_by_default),
};

TESTING_MAIN(tests)
