/* Internal: tcpserverscene.h, what the tests of tcpserver share: a server that echoes, and clients that are bare
 * sockets.
 *
 *     begin(&scene, NULL);
 *     connect_clients(&scene, 1);
 *     assert_echo(&scene, 0);
 *     end(&scene);
 */
#ifndef TESTS_SUPPORT_TCPSERVERSCENE_H
#define TESTS_SUPPORT_TCPSERVERSCENE_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "ioloop/iostream.h"
#include "ioloop/netutil.h"
#include "ioloop/tcpserver.h"
#include "tests/support/faults.h"
#include "tests/support/testing.h"

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

static inline size_t echo(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    if (error < 0 || iostream_write(stream, data, length, NULL, NULL) < 0)
        iostream_close(stream);
    return length;
}

static inline void handle_stream(struct tcpserver *server, struct iostream *stream, const struct sockaddr *address,
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

static inline void on_full(struct tcpserver *server, void *arg)
{
    struct scene *scene = arg;

    scene->full_calls++;
    if (scene->on_full != NULL)
        scene->on_full(scene);
}

static inline void on_close(struct tcpserver *server, void *arg)
{
    struct scene *scene = arg;

    assert_ptr_equal(server, scene->server);
    tcpserver_close(server); /* legal, and nothing, until this returns */
    assert_int_equal(tcpserver_listen(server, 0, &ipv4), -EBADF);
    scene->close_calls++;
}

static inline void begin_idle(struct scene *scene, const struct tcpserver_options *options)
{
    *scene = (struct scene){ .clock = 100 };
    scene->loop = ioloop_new(&(struct ioloop_options){ .clock = testing_clock, .clock_arg = &scene->clock });
    assert_non_null(scene->loop);
    scene->server = tcpserver_new(scene->loop, handle_stream, scene, options);
    assert_non_null(scene->server);
    assert_ptr_equal(tcpserver_loop(scene->server), scene->loop);
}

static inline void begin(struct scene *scene, const struct tcpserver_options *options)
{
    begin_idle(scene, options);
    scene->port = tcpserver_listen(scene->server, 0, &ipv4);
    assert_true(scene->port > 0);
}

static inline void end(struct scene *scene)
{
    faults_end();
    for (int i = 0; i < scene->client_count; i++)
        close(scene->clients[i]);
    if (scene->loop != NULL)
        ioloop_close(scene->loop, false);
}

static inline int connect_port(int port)
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

static inline void connect_clients(struct scene *scene, int count)
{
    for (int i = 0; i < count; i++) {
        int fd = connect_port(scene->port);
        assert_true(fd >= 0);
        scene->clients[scene->client_count++] = fd;
    }
}

static inline void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What a client has before it: a byte, 0 for nothing yet, -1 for the end. */
static inline int look(int fd)
{
    char byte;

    testing_deliver();
    ssize_t count = recv(fd, &byte, 1, MSG_DONTWAIT);

    if (count == 1)
        return byte;
    return count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? 0 : -1;
}

static inline void assert_echo(struct scene *scene, int client)
{
    int byte = 0;

    say(scene->clients[client], "x");
    while (byte == 0) {
        testing_spin(scene->loop, 1);
        byte = look(scene->clients[client]);
    }
    assert_int_equal(byte, 'x');
}

#endif
