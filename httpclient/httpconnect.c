/* New connections: to a host, a proxy or a Unix socket; TLS on top of them. */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "httpclient/httpfetch.h"
#include "httpserver/httpfield.h"
#include "ioloop/ioalloc.h"
#include "ioloop/iostreamlayer.h"
#include "ioloop/kernel.h"
#include "ioloop/tcpclient.h"

#define LONGEST 1e8 /* seconds of what has no timeout */

/* The end. */

/* It could not be made: whoever waits for it fails. */
static void fail_connecting(struct httppool_connection *connection, int error)
{
    if (connection->fetch == NULL)
        return;
    if (error == -ETIMEDOUT)
        httpfetch_fail(connection->fetch, error, "timeout while connecting");
    else
        httpfetch_fail(connection->fetch, error, NULL);
}

/* The last that is heard of a stream. */
static void connection_ended(struct iostream *stream, int error, void *arg)
{
    struct httppool_connection *connection = arg;

    if (connection->fetch != NULL && connection->fetch->phase > HTTPCLIENT_CONNECT)
        http1exchange_lost(connection, error != 0 ? error : -ECANCELED);
    else
        fail_connecting(connection, error != 0 ? error : -ECANCELED);
    httppool_forget(connection);
}

/* TLS. */

static void tls_is_ready(struct iostream *stream, int error, void *arg)
{
    struct httppool_connection *connection = arg;

    if (error == 0 && connection->fetch != NULL)
        httpconnect_ready(connection);
}

/* The host's name goes to the transport, which verifies it: never one of a mapping or of a proxy. */
int httpconnect_start_tls(struct httppool_connection *connection)
{
    const struct httpclient_tls *tls = &connection->client->options.tls;
    const struct iostream_transport *transport = NULL;
    void *context = NULL;
    int error = tls->start(tls->arg, connection->origin->key.host.text, &transport, &context);

    if (error < 0)
        return error;
    if (connection->is_dropped) /* by the program, in there */
        error = -ECANCELED;
    else
        error = iostream_set_transport(connection->stream, transport, context);
    if (error < 0) {
        if (transport->close != NULL)
            transport->close(context, -1);
        return error;
    }
    return iostream_write(connection->stream, NULL, 0, tls_is_ready, connection);
}

/* Connected. */

static bool has_bytes_in_kernel(const struct iostream *stream)
{
    char byte;

    return recv(stream->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* Bytes that are there before anything was asked are not an answer. */
static void begin_if_silent(struct httppool_connection *connection, bool has_spoken)
{
    if (has_spoken)
        httpfetch_fail(connection->fetch, -EPROTO, "the server spoke before it was asked");
    else
        http1exchange_begin(connection, connection->fetch);
}

/* Only the transport knows what has come with the end of its handshake: a byte, or why there will be none, which it may
 * tell but once. */
static void begin_with_transport(struct httppool_connection *connection)
{
    struct iostream *stream = connection->stream;
    char byte;

    if (iostream_closed(stream)) /* which is told next */
        return;
    ssize_t count = iostreamlayer_transport(stream)->read(iostreamlayer_context(stream), stream->fd, &byte, 1);
    if (count == 0)
        fail_connecting(connection, -ESHUTDOWN);
    else if (count < 0 && count != -EAGAIN && count != -EWOULDBLOCK && count != -EINTR)
        fail_connecting(connection, (int)count);
    else
        begin_if_silent(connection, count > 0);
}

void httpconnect_ready(struct httppool_connection *connection)
{
    const struct iostream *stream = connection->stream;

    if (stream->is_custom)
        begin_with_transport(connection);
    else
        begin_if_silent(connection, stream->input != NULL || (!stream->began_silent && has_bytes_in_kernel(stream)));
}

void httpconnect_tunnel_ready(struct httppool_connection *connection)
{
    begin_if_silent(connection, has_bytes_in_kernel(connection->stream));
}

static void go_on_connected(struct httppool_connection *connection)
{
    const struct httppool_key *key = &connection->origin->key;
    int error = 0;

    if (key->is_tunnel)
        httptunnel_begin(connection);
    else if (key->is_secure)
        error = httpconnect_start_tls(connection);
    else
        httpconnect_ready(connection);
    if (error < 0)
        fail_connecting(connection, error);
}

static void take_stream(struct httppool_connection *connection, struct iostream *stream)
{
    connection->stream = stream;
    stream->reads_on = true; /* an answer may have come before the server stopped listening */
    connection->fetch->phase = HTTPCLIENT_CONNECT;
    iostream_set_close_callback(stream, connection_ended, connection);
}

static void tcp_is_connected(int error, struct iostream *stream, void *arg)
{
    struct httppool_connection *connection = arg;

    connection->connecting = 0;
    if (connection->fetch == NULL) {
        if (stream != NULL)
            iostream_close(stream);
        httppool_forget(connection);
    } else if (error < 0) {
        fail_connecting(connection, error);
        httppool_forget(connection);
    } else {
        take_stream(connection, stream);
        go_on_connected(connection);
    }
}

/* Addresses. */

static bool is_allowed(const struct sockaddr *address, socklen_t length, void *arg)
{
    struct httppool_connection *connection = arg;
    const struct httpclient_options *options = &connection->client->options;

    if (connection->fetch != NULL)
        connection->fetch->phase = HTTPCLIENT_CONNECT; /* the name is known */
    return options->connect_filter == NULL || options->connect_filter(address, length, options->connect_filter_arg);
}

/* "example.org:80" counts more than "example.org". */
static const struct httpclient_mapping *find_mapping(const struct httpclient *client, const struct httppool_key *key)
{
    const struct httpclient_mapping *mapping = client->options.mappings, *found = NULL;
    struct httpurl_part host;
    int port;

    for (; mapping != NULL && mapping->from != NULL; mapping++) {
        if (httpurl_split_host_and_port(mapping->from, strlen(mapping->from), &host, &port) < 0 ||
            host.length != key->host.length || !httpfield_is_same(host.text, key->host.text, host.length))
            continue;
        if (port == key->port)
            return mapping;
        if (port == -1 && found == NULL)
            found = mapping;
    }
    return found;
}

/* What the connection is made to: the proxy, what the request says, what a mapping says, or what the URL does. */
static void find_target(const struct httpclient *client, const struct httppool_key *key, const char **host, int *port)
{
    *host = key->proxy_host;
    *port = key->proxy_port;
    if (*host != NULL)
        return;
    bool is_chosen = key->connect_host != NULL || key->connect_port != 0;
    const struct httpclient_mapping *mapping = is_chosen ? NULL : find_mapping(client, key);
    const char *instead = mapping != NULL ? mapping->host : key->connect_host;
    int port_instead = mapping != NULL ? mapping->port : key->connect_port;
    *host = instead != NULL ? instead : key->host.text;
    *port = port_instead != 0 ? port_instead : key->port;
}

static double seconds_left(const struct httpfetch *fetch)
{
    return fetch->connect_timeout == HTTPFETCH_NEVER ? LONGEST : (double)fetch->connect_timeout / 1e9;
}

static int connect_tcp(struct httppool_connection *connection, struct httpfetch *fetch)
{
    struct httpclient *client = connection->client;
    const struct httppool_key *key = &connection->origin->key;
    const char *host;
    int port;
    struct tcpclient_options options = {
        .resolver = client->options.resolver,
        .family = key->family,
        .source_ip = key->network_interface,
        .timeout = seconds_left(fetch),
        .filter = is_allowed,
        .filter_arg = connection,
        .nagle = !key->is_secure && !key->is_tunnel,
    };

    find_target(client, key, &host, &port);
    connection->connecting = tcpclient_connect(client->loop, host, port, &options, tcp_is_connected, connection);
    return connection->connecting != 0 ? 0 : -errno;
}

/* Unix sockets. */

static void unix_is_connected(struct iostream *stream, int error, void *arg)
{
    struct httppool_connection *connection = arg;

    if (error == 0 && connection->fetch != NULL)
        go_on_connected(connection);
}

bool httpconnect_is_unix_path(const char *path)
{
    return path[0] != '\0' && strlen(path) < sizeof((struct sockaddr_un *)NULL)->sun_path;
}

/* "@name" is in Linux's abstract name space. */
static socklen_t set_unix_address(struct sockaddr_un *address, const char *path)
{
    size_t length = strlen(path);

    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, path, length);
    if (path[0] != '@')
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
    address->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

static int connect_unix(struct httppool_connection *connection)
{
    struct ioloop *loop = connection->client->loop;
    struct sockaddr_un address;
    socklen_t length = set_unix_address(&address, connection->origin->key.unix_path);

    if (!is_allowed((const struct sockaddr *)&address, length, connection))
        return -EACCES;
    if (connection->is_dropped) /* by the program, in there */
        return -ECANCELED;
    int fd = kernel_socket(AF_UNIX, SOCK_STREAM);
    if (fd < 0)
        return fd;
    struct iostream *stream = iostream_new(loop, fd, NULL);
    if (stream == NULL) {
        close(fd);
        return -errno;
    }
    take_stream(connection, stream);
    int error = iostream_connect(stream, (const struct sockaddr *)&address, length, unix_is_connected, connection);
    if (error < 0)
        iostreamlayer_fail(stream, error);
    return 0;
}

/* From a task: the filter is the program's, and perhaps in httpclient_fetch, or serving others. */
static void begin_unix(struct looptask *task)
{
    struct httppool_connection *connection = HTTPPOOL_OWNER(task, struct httppool_connection, task);
    int error = connection->fetch != NULL ? connect_unix(connection) : -ECANCELED;

    if (error < 0)
        fail_connecting(connection, error);
    if (connection->stream == NULL)
        httppool_forget(connection);
}

/* The beginning. */

static int begin_connecting(struct httppool_connection *connection, struct httpfetch *fetch)
{
    if (connection->origin->key.unix_path == NULL)
        return connect_tcp(connection, fetch);
    connection->task.run = begin_unix;
    looptask_add(connection->client->loop, &connection->task);
    return 0;
}

void httpconnect_open(struct httppool_connection *connection, struct httpfetch *fetch)
{
    httpfetch_watch(fetch);
    int error = fetch->is_over ? fetch->response.error : begin_connecting(connection, fetch);
    if (error == 0)
        return;
    fail_connecting(connection, error);
    httppool_forget(connection);
}
