#include "httpserver/httpserver.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "httpserver/http1connection.h"
#include "httpserver/httpserverlayer.h"
#include "httpserver/httpescape.h"
#include "httpserver/httpinflate.h"
#include "ioloop/ioalloc.h"
#include "ioloop/iolog.h"
#include "ioloop/iostreamlayer.h"
#include "ioloop/loopmember.h"
#include "ioloop/tcpserver.h"

#define MOST_SPARE_REQUESTS 16
#define MOST_KEPT_BODY      65536u     /* memory for a body that a spare request keeps in any case, */
#define MOST_KEPT_BODIES    (8u << 20) /* and that those which keep more may have together */
#define MOST_LOOKED_AT      1024       /* connections that might make room */

/* Life. A server is gone for the program when it was closed, its listeners are, and the last connection has ended; its
 * memory goes with the last request, which may be one whose client has left. */

static void free_request(struct httprequest *request)
{
    iobuffer_free(&request->body);
    ioalloc_free(request);
}

static struct httpserver *server_of_task(struct looptask *task)
{
    return (struct httpserver *)((char *)task - offsetof(struct httpserver, task));
}

static void free_server(struct looptask *task)
{
    struct httpserver *server = server_of_task(task);

    while (server->spare_requests != NULL) {
        struct httprequest *request = server->spare_requests;
        server->spare_requests = request->next_spare;
        free_request(request);
    }
    httpinflate_free(server->spare_inflate);
    httpaddresses_free(&server->addresses);
    ioloop_release(server->loop);
    ioalloc_free(server);
}

/* In the loop: the last connection may have been detached, inside a call of the program's. */
static void end_if_done(struct looptask *task)
{
    struct httpserver *server = server_of_task(task);

    if (server->tcp != NULL || server->connections != NULL || server->guest_count > 0 || server->told)
        return;
    if (server->guest_left) {
        server->guest_left = false;
        looptask_add(server->loop, &server->task); /* behind the stream's own */
        return;
    }
    ioloop_remove_timeout(server->loop, server->close_timeout);
    if (server->options.on_close != NULL)
        server->options.on_close(server, server->arg);
    server->told = true;
    if (server->request_count == 0)
        looptask_end(server->loop, task, free_server);
}

static void listeners_closed(struct tcpserver *tcp, void *arg)
{
    struct httpserver *server = arg;

    server->stopping = server->closing = true; /* also when it was the loop that closed */
    server->tcp = NULL;
    looptask_add(server->loop, &server->task);
}

/* One more connection waits, and there are as many as there may be. Those that have waited for longest are first in the
 * list, but for those that have got something to do since. */
static void make_room(struct tcpserver *tcp, void *arg)
{
    struct httpserver *server = arg;

    for (int i = 0; i < MOST_LOOKED_AT && server->connections != NULL; i++) {
        struct http1connection *connection = server->connections;
        httpserverlayer_move_last(server, connection);
        if (http1connection_is_idle(connection)) {
            iostream_close(http1connection_stream(connection));
            return;
        }
    }
}

/* With a line for each request; errors alone are not worth the memory. */
static bool writes_access_log(const struct httpserver *server)
{
    return server->options.on_log == NULL && iolog_says(IOLOG_INFO);
}

static void handle_stream(struct tcpserver *tcp, struct iostream *stream, const struct sockaddr *address,
                          socklen_t length, void *arg)
{
    struct httpserver *server = arg;

    if (server->addresses.count > 0 || writes_access_log(server))
        httpaddresses_keep(&server->addresses, stream->fd, address, length);
    server->streams = stream->owner;
    stream->owner = &server->owner;
    http1connection_begin(server, stream);
    if (server->closing)
        http1connection_hurry(iostream_user(stream)); /* it waited to be accepted when the listeners were closed */
}

/* Comes from inside iostream_close, so from anywhere. */
static void stream_gone(struct iostreamlayer_owner *owner, struct iostream *stream)
{
    struct httpserver *server = (struct httpserver *)((char *)owner - offsetof(struct httpserver, owner));

    http1connection_keep_peer(iostream_user(stream));
    server->streams->gone(server->streams, stream);
}

/* Comes from inside iostream_close, so from anywhere; the program hears of it later. */
static void guest_gone(struct iostreamlayer_owner *owner, struct iostream *stream)
{
    struct httpserver *server = (struct httpserver *)((char *)owner - offsetof(struct httpserver, guests));

    server->streams->gone(server->streams, stream);
    server->guest_count--;
    server->guest_left = true;
    if (server->closing)
        looptask_add(server->loop, &server->task);
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
    options->write_timeout = or_default(options->write_timeout, 30);
    options->close_timeout = or_default(options->close_timeout, 10);
    options->max_age = or_default(options->max_age, 3600);
    if (options->max_body == 0)
        options->max_body = 1u << 20;
    if (options->max_requests == 0)
        options->max_requests = 1000;
    if (options->max_requests > HTTP1CONNECTION_MAX_REQUESTS)
        options->max_requests = HTTP1CONNECTION_MAX_REQUESTS;
    if (options->min_body_rate == 0)
        options->min_body_rate = 1024;
    if (options->protocol == NULL)
        options->protocol = options->start_transport != NULL ? "https" : "http";
}

/* Without a limit it is as much as there can be. */
static size_t most_unsent(const struct httpserver_options *options)
{
    return options->max_unsent < SIZE_MAX ? (size_t)options->max_unsent : SIZE_MAX;
}

static uint32_t at_most(uint32_t value, uint32_t most)
{
    return value < most ? value : most;
}

static void set_limits(struct httpserver *server)
{
    const struct httpserver_options *options = &server->options;

    server->limits.head = at_most(options->max_header, HTTP1PARSER_MOST);
    server->limits.target = at_most(options->max_target, HTTP1PARSER_MOST);
    server->limits.line = at_most(options->max_header_line, HTTP1PARSER_MOST);
    server->limits.headers = at_most(options->max_headers, HTTP1PARSER_MOST);
    double ticks = options->max_age * 1e9 / (double)(1 << DEADLINE_TICK_BITS);
    server->max_age = ticks < (double)INT32_MAX ? (uint32_t)ticks : INT32_MAX;
}

struct httpserver *httpserver_new(struct ioloop *loop, httpserver_request_fn *on_request, void *arg,
                                  const struct httpserver_options *options)
{
    struct httpserver *server = ioalloc_zeroed(sizeof *server);

    if (server == NULL)
        return errno = ENOMEM, NULL;
    if (options != NULL && options->proxy_protocol && options->start_transport != NULL) {
        ioalloc_free(server); /* the PROXY header comes before TLS */
        return errno = EINVAL, NULL;
    }
    if (options != NULL)
        server->options = *options;
    set_defaults(&server->options);
    server->task.run = end_if_done;
    server->owner.gone = stream_gone;
    server->guests.gone = guest_gone;
    server->loop = loop;
    server->on_request = on_request;
    server->arg = arg;
    server->last = &server->connections;
    set_limits(server);
    server->tcp =
        tcpserver_new(loop, handle_stream, server,
                      &(struct tcpserver_options){ .stream.half_close = true,
                                                   .stream.max_write_buffer_size = most_unsent(&server->options),
                                                   .stream.user_size = http1connection_size(server),
                                                   .start_transport = server->options.start_transport,
                                                   .start_transport_arg = server->options.start_transport_arg,
                                                   .max_connections = server->options.max_connections,
                                                   .on_full = make_room,
                                                   .on_close = listeners_closed });
    if (server->tcp == NULL) {
        int error = errno;
        ioalloc_free(server);
        return errno = error, NULL;
    }
    ioloop_hold(loop); /* requests may outlive it */
    return server;
}

/* Guests. There is no list of them: the loop knows all streams, and these know their owner. */

static void for_each_guest(struct httpserver *server, httpserverlayer_dismiss_fn *function)
{
    struct iostream *stream;

    for (int fd = 0; server->guest_count > 0 &&
                     (stream = loopmember_next_claimed(server->loop, iostreamlayer_handle_events, &fd)) != NULL;) {
        if (stream->owner == &server->guests)
            function(stream);
    }
}

void httpserverlayer_add_guest(struct httpserver *server, struct iostream *stream, httpserverlayer_dismiss_fn *dismiss)
{
    server->dismiss = dismiss;
    server->guest_count++;
    stream->owner = &server->guests;
}

static void close_connections(void *arg)
{
    struct httpserver *server = arg;

    server->close_timeout = 0;
    for (struct http1connection *connection = server->connections; connection != NULL; connection = connection->next)
        iostream_close(http1connection_stream(connection));
    for_each_guest(server, iostream_close);
}

void httpserver_stop(struct httpserver *server)
{
    if (server->stopping)
        return;
    server->stopping = true;
    tcpserver_stop(server->tcp);
}

void httpserver_close(struct httpserver *server)
{
    if (server->closing)
        return;
    server->stopping = server->closing = true;
    for (struct http1connection *connection = server->connections; connection != NULL; connection = connection->next)
        http1connection_finish(connection);
    server->close_timeout = ioloop_call_later(server->loop, server->options.close_timeout, close_connections, server);
    if (server->close_timeout == 0)
        close_connections(server); /* without memory there is no waiting */
    for_each_guest(server, server->dismiss);
    tcpserver_stop(server->tcp); /* who has asked already is served, too */
    tcpserver_close(server->tcp);
}

/* Listening. */

int httpserver_listen(struct httpserver *server, int port, const struct netutil_bind_options *options)
{
    return server->stopping ? -EBADF : tcpserver_listen(server->tcp, port, options);
}

int httpserver_listen_unix(struct httpserver *server, const char *path, unsigned mode)
{
    return server->stopping ? -EBADF : tcpserver_listen_unix(server->tcp, path, mode);
}

int httpserver_add_sockets(struct httpserver *server, const int *fds, size_t count)
{
    return server->stopping ? -EBADF : tcpserver_add_sockets(server->tcp, fds, count);
}

int httpserver_bind(struct httpserver *server, int port, const struct netutil_bind_options *options)
{
    return server->stopping ? -EBADF : tcpserver_bind(server->tcp, port, options);
}

int httpserver_start(struct httpserver *server, int processes, int max_restarts)
{
    return server->stopping ? -EBADF : tcpserver_start(server->tcp, processes, max_restarts);
}

size_t httpserver_connections(const struct httpserver *server)
{
    return server->connection_count + server->guest_count;
}

struct ioloop *httpserver_loop(const struct httpserver *server)
{
    return server->loop;
}

void *httpserver_arg(const struct httpserver *server)
{
    return server->arg;
}

/* For connections. */

static void append(struct httpserver *server, struct http1connection *connection)
{
    connection->next = NULL;
    connection->link = server->last;
    *server->last = connection;
    server->last = &connection->next;
}

static void take_out(struct httpserver *server, struct http1connection *connection)
{
    *connection->link = connection->next;
    if (connection->next != NULL)
        connection->next->link = connection->link;
    else
        server->last = connection->link;
}

void httpserverlayer_add(struct httpserver *server, struct http1connection *connection)
{
    append(server, connection);
    server->connection_count++;
}

void httpserverlayer_remove(struct httpserver *server, struct http1connection *connection)
{
    take_out(server, connection);
    server->connection_count--;
    if (server->closing)
        looptask_add(server->loop, &server->task);
}

void httpserverlayer_move_last(struct httpserver *server, struct http1connection *connection)
{
    if (connection->next == NULL)
        return;
    take_out(server, connection);
    append(server, connection);
}

/* Requests. */

struct httprequest *httpserverlayer_take_request(struct httpserver *server)
{
    struct httprequest *request = server->spare_requests;

    if (request != NULL) {
        server->spare_requests = request->next_spare;
        server->spare_count--;
        if (request->body != NULL && request->body->capacity > MOST_KEPT_BODY)
            server->kept_bodies -= request->body->capacity;
    } else {
        request = ioalloc(sizeof *request);
        if (request == NULL)
            return NULL;
        request->body = NULL;
    }
    memset(request, 0, offsetof(struct httprequest, server));
    request->server = server;
    request->head.headers = request->headers;
    request->head.header_capacity = HTTP1PARSER_MAX_HEADERS;
    server->request_count++;
    return request;
}

/* An empty buffer is kept for the next body, as long as those that are large are not too many: fresh memory costs a
 * page fault for each 4 KiB. The request may have had no body itself: then its buffer is from one before. */
static void keep_body(struct httprequest *request)
{
    struct httpserver *server = request->server;
    struct iobuffer *body = request->body;

    body->start = body->length = 0;
    if (body->capacity <= MOST_KEPT_BODY)
        return;
    if (server->spare_count < MOST_SPARE_REQUESTS && body->capacity <= MOST_KEPT_BODIES - server->kept_bodies)
        server->kept_bodies += body->capacity;
    else
        iobuffer_free(&request->body);
}

struct httpinflate *httpserverlayer_take_inflate(struct httpserver *server)
{
    struct httpinflate *inflate = server->spare_inflate;

    server->spare_inflate = NULL;
    return inflate != NULL ? inflate : httpinflate_new(HTTPINFLATE_GZIP, 15);
}

void httpserverlayer_give_inflate(struct httpserver *server, struct httpinflate *inflate)
{
    if (inflate == NULL || server->spare_inflate != NULL) {
        httpinflate_free(inflate);
        return;
    }
    httpinflate_reset(inflate);
    server->spare_inflate = inflate;
}

void httpserverlayer_give_request(struct httprequest *request)
{
    struct httpserver *server = request->server;

    if (request->bytes != request->short_head && request->bytes != NULL)
        ioalloc_free(request->bytes);
    if (request->has_body) {
        httpheaders_free(&request->reading.trailers);
        httpserverlayer_give_inflate(server, request->reading.inflate);
    }
    if (request->body != NULL)
        keep_body(request);
    server->request_count--;
    if (server->spare_count < MOST_SPARE_REQUESTS && !server->told) {
        request->next_spare = server->spare_requests;
        server->spare_requests = request;
        server->spare_count++;
        return;
    }
    free_request(request);
    if (server->told && server->request_count == 0)
        looptask_end(server->loop, &server->task, free_server);
}

/* The access log. */

static enum iolog_level level_of(int status)
{
    return status >= 500 ? IOLOG_ERROR : status >= 400 ? IOLOG_WARNING : IOLOG_INFO;
}

static void write_access_log(struct httprequest *request)
{
    char method[2 * HTTP1PARSER_MAX_METHOD], target[512], ip[64];
    const char *remote_ip = httpserverlayer_remote_ip(request);
    unsigned long hundredths = (unsigned long)(httprequest_time(request) * 1e5); /* of ms; a locale has no say in it */

    httpescape_log(httprequest_method(request), request->head.method.length, method, sizeof method);
    httpescape_log(httprequest_target(request), request->head.target.length, target, sizeof target);
    httpescape_log(remote_ip, strlen(remote_ip), ip, sizeof ip);
    iolog_write(IOLOG_ACCESS, level_of(request->status), "%d %s %s (%s) %lu.%02lums", request->status, method, target,
                ip[0] != '\0' ? ip : "-", hundredths / 100, hundredths % 100);
}

void httpserverlayer_log(struct httprequest *request)
{
    struct httpserver *server = request->server;

    if (!request->is_known)
        return;
    if (server->options.on_log != NULL)
        server->options.on_log(request, request->status, request->body_sent, httprequest_time(request), server->arg);
    else if (iolog_says(level_of(request->status)))
        write_access_log(request);
}

void httpserverlayer_renew_ok(struct httpserver *server, uint32_t tick)
{
    static const char beginning[] = HTTPSERVERLAYER_OK HTTPSERVERLAYER_SERVER HTTPSERVERLAYER_DATE;
    int64_t second = time(NULL);

    server->date_tick = tick;
    if (second != server->date_second || server->ok[0] == '\0') {
        memcpy(server->ok, beginning, sizeof beginning);
        httpdate_format(second, server->ok + HTTPSERVERLAYER_DATE_AT);
        memcpy(server->ok + HTTPSERVERLAYER_OK_LENGTH - 2, "\r\n", 3);
    }
    server->date_second = second;
}
