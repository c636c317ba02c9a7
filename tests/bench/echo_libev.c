/* An echo server on libev, which has no streams: recv and send, and a second watcher for what send leaves. */
#include <errno.h>
#include <ev.h>
#include <string.h>

#include "server.h"

struct connection {
    ev_io in, out;
    char *rest;
    size_t length, sent;
};

static char buffer[SERVER_BUFFER];

static void close_connection(struct ev_loop *loop, struct connection *connection)
{
    ev_io_stop(loop, &connection->in);
    ev_io_stop(loop, &connection->out);
    close(connection->in.fd);
    free(connection->rest);
    free(connection);
}

/* Nothing more is read before it is sent. */
static void keep_rest(struct ev_loop *loop, struct connection *connection, const char *data, size_t length)
{
    connection->rest = malloc(length);
    if (connection->rest == NULL)
        server_fail("malloc");
    memcpy(connection->rest, data, length);
    connection->length = length;
    connection->sent = 0;
    ev_io_stop(loop, &connection->in);
    ev_io_start(loop, &connection->out);
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct connection *connection = watcher->data;
    ssize_t sent =
        send(watcher->fd, connection->rest + connection->sent, connection->length - connection->sent, MSG_NOSIGNAL);

    (void)events;
    if (sent < 0 && errno != EAGAIN) {
        close_connection(loop, connection);
        return;
    }
    connection->sent += sent > 0 ? (size_t)sent : 0;
    if (connection->sent < connection->length)
        return;
    free(connection->rest);
    connection->rest = NULL;
    ev_io_stop(loop, &connection->out);
    ev_io_start(loop, &connection->in);
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct connection *connection = watcher->data;
    ssize_t received = recv(watcher->fd, buffer, sizeof buffer, 0);

    (void)events;
    if (received < 0 && errno == EAGAIN)
        return;
    ssize_t sent = received > 0 ? send(watcher->fd, buffer, (size_t)received, MSG_NOSIGNAL) : -1;
    if (received <= 0 || (sent < 0 && errno != EAGAIN)) {
        close_connection(loop, connection);
        return;
    }
    if (sent < received)
        keep_rest(loop, connection, buffer + (sent > 0 ? sent : 0), (size_t)(received - (sent > 0 ? sent : 0)));
}

static void on_connection(struct ev_loop *loop, ev_io *listener, int events)
{
    int fd;

    (void)events;
    while ((fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *connection = calloc(1, sizeof *connection);

        if (connection == NULL)
            server_fail("calloc");
        ev_io_init(&connection->in, on_readable, fd, EV_READ);
        ev_io_init(&connection->out, on_writable, fd, EV_WRITE);
        connection->in.data = connection->out.data = connection;
        ev_io_start(loop, &connection->in);
    }
}

int main(void)
{
    struct ev_loop *loop = ev_default_loop(EVBACKEND_EPOLL);
    ev_io listener;

    ev_io_init(&listener, on_connection, server_listen(), EV_READ);
    ev_io_start(loop, &listener);
    ev_run(loop, 0);
    return 0;
}
