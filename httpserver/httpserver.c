#include "httpserver/httpserver.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "httpserver/http1connection.h"
#include "httpserver/httpserverlayer.h"
#include "ioloop/ioalloc.h"
#include "ioloop/tcpserver.h"

#define MOST_SPARE_REQUESTS 16

/* Life. A server is gone when it was closed, its listeners are, and the last connection has ended. */

static void free_if_done(struct httpserver *server)
{
    if (server->tcp != NULL || server->connections != NULL)
        return;
    ioloop_remove_timeout(server->loop, server->close_timeout);
    if (server->options.on_close != NULL)
        server->options.on_close(server, server->arg);
    while (server->spare_requests != NULL) {
        struct httprequest *request = server->spare_requests;
        server->spare_requests = request->next_spare;
        ioalloc_free(request);
    }
    ioalloc_free(server);
}

static void listeners_closed(struct tcpserver *tcp, void *arg)
{
    struct httpserver *server = arg;

    server->closing = true; /* also when it was the loop that closed */
    server->tcp = NULL;
    free_if_done(server);
}

static void handle_stream(struct tcpserver *tcp, struct iostream *stream, const struct sockaddr *address,
                          socklen_t length, void *arg)
{
    http1connection_begin(arg, stream);
}

static double or_default(double seconds, double otherwise)
{
    return seconds > 0 ? seconds : otherwise;
}

static void set_defaults(struct httpserver_options *options)
{
    options->header_timeout = or_default(options->header_timeout, 10);
    options->idle_timeout = or_default(options->idle_timeout, 60);
    options->body_timeout = or_default(options->body_timeout, 20);
    options->close_timeout = or_default(options->close_timeout, 10);
    if (options->max_body == 0)
        options->max_body = 1u << 20;
    if (options->max_header == 0)
        options->max_header = HTTP1PARSER_MAX_HEAD;
}

struct httpserver *httpserver_new(struct ioloop *loop, httpserver_request_fn *on_request, void *arg,
                                  const struct httpserver_options *options)
{
    struct httpserver *server = ioalloc_zeroed(sizeof *server);

    if (server == NULL)
        return errno = ENOMEM, NULL;
    if (options != NULL)
        server->options = *options;
    set_defaults(&server->options);
    server->loop = loop;
    server->on_request = on_request;
    server->arg = arg;
    server->limits.head = server->options.max_header;
    server->tcp = tcpserver_new(loop, handle_stream, server,
                                &(struct tcpserver_options){ .stream.half_close = true,
                                                             .max_connections = server->options.max_connections,
                                                             .on_close = listeners_closed });
    if (server->tcp == NULL) {
        int error = errno;
        ioalloc_free(server);
        return errno = error, NULL;
    }
    return server;
}

static void close_connections(void *arg)
{
    struct httpserver *server = arg;

    server->close_timeout = 0;
    for (struct http1connection *connection = server->connections; connection != NULL; connection = connection->next)
        iostream_close(connection->stream);
}

void httpserver_close(struct httpserver *server)
{
    if (server->closing)
        return;
    server->closing = true;
    for (struct http1connection *connection = server->connections; connection != NULL; connection = connection->next)
        http1connection_finish(connection);
    server->close_timeout = ioloop_call_later(server->loop, server->options.close_timeout, close_connections, server);
    if (server->close_timeout == 0)
        close_connections(server); /* without memory there is no waiting */
    tcpserver_close(server->tcp);
}

/* Listening. */

int httpserver_listen(struct httpserver *server, int port, const struct netutil_bind_options *options)
{
    return server->closing ? -EBADF : tcpserver_listen(server->tcp, port, options);
}

int httpserver_listen_unix(struct httpserver *server, const char *path, unsigned mode)
{
    return server->closing ? -EBADF : tcpserver_listen_unix(server->tcp, path, mode);
}

int httpserver_add_sockets(struct httpserver *server, const int *fds, size_t count)
{
    return server->closing ? -EBADF : tcpserver_add_sockets(server->tcp, fds, count);
}

int httpserver_bind(struct httpserver *server, int port, const struct netutil_bind_options *options)
{
    return server->closing ? -EBADF : tcpserver_bind(server->tcp, port, options);
}

int httpserver_start(struct httpserver *server, int processes, int max_restarts)
{
    return server->closing ? -EBADF : tcpserver_start(server->tcp, processes, max_restarts);
}

size_t httpserver_connections(const struct httpserver *server)
{
    return server->connection_count;
}

/* For connections. */

void httpserverlayer_add(struct httpserver *server, struct http1connection *connection)
{
    connection->next = server->connections;
    connection->link = &server->connections;
    if (connection->next != NULL)
        connection->next->link = &connection->next;
    server->connections = connection;
    server->connection_count++;
}

void httpserverlayer_remove(struct httpserver *server, struct http1connection *connection)
{
    *connection->link = connection->next;
    if (connection->next != NULL)
        connection->next->link = connection->link;
    server->connection_count--;
    if (server->closing)
        free_if_done(server);
}

struct httprequest *httpserverlayer_take_request(struct httpserver *server)
{
    struct httprequest *request = server->spare_requests;

    if (request != NULL) {
        server->spare_requests = request->next_spare;
        server->spare_count--;
    } else {
        request = ioalloc(sizeof *request);
        if (request == NULL)
            return NULL;
    }
    memset(request, 0, offsetof(struct httprequest, headers));
    request->head.headers = request->headers;
    request->head.header_capacity = HTTP1PARSER_MAX_HEADERS;
    return request;
}

void httpserverlayer_give_request(struct httpserver *server, struct httprequest *request)
{
    if (request->bytes != request->short_head)
        ioalloc_free(request->bytes);
    iobuffer_free(&request->body);
    if (server == NULL || server->spare_count == MOST_SPARE_REQUESTS) {
        ioalloc_free(request);
        return;
    }
    request->next_spare = server->spare_requests;
    server->spare_requests = request;
    server->spare_count++;
}

/* The tick tells cheaply whether the second can have changed. */
const char *httpserverlayer_date(struct httpserver *server)
{
    uint32_t tick = deadline_now(server->loop);

    if (tick != server->date_tick || server->date[0] == '\0') {
        int64_t second = time(NULL);

        server->date_tick = tick;
        if (second != server->date_second || server->date[0] == '\0')
            httpdate_format(second, server->date);
        server->date_second = second;
    }
    return server->date;
}
