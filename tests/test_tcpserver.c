#include "ioloop/tcpserver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "ioloop/iostream.h"
#include "ioloop/netutil.h"
#include "tests/support/faults.h"
#include "tests/support/tcpserverscene.h"
#include "tests/support/testing.h"

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
    assert_int_equal(scene.handled, 40); /* those that waited, too */
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

static void make_another(struct tcpserver *server, void *arg)
{
    struct scene *scene = arg;

    errno = 0;
    assert_null(tcpserver_new(scene->loop, handle_stream, scene, NULL));
    assert_int_equal(errno, EBADF);
    scene->close_calls++;
}

static void is_not_made_on_a_loop_that_closes(void **state)
{
    struct scene scene;

    begin(&scene, &(struct tcpserver_options){ .on_close = make_another });
    ioloop_hold(scene.loop);
    ioloop_close(scene.loop, false);
    make_another(NULL, &scene);
    assert_int_equal(scene.close_calls, 2);
    ioloop_release(scene.loop);
    scene.loop = NULL;
    end(&scene);
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
    cmocka_unit_test(is_not_made_on_a_loop_that_closes),
};

TESTING_MAIN(tests)
