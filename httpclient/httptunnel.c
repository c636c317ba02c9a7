/* A tunnel through a proxy: CONNECT, RFC 9110 9.3.6. What the proxy says when it refuses is not the server's answer,
 * and is not shown as one. */
#include <errno.h>
#include <string.h>

#include "httpclient/httpfetch.h"
#include "httpclient/httprequesthead.h"
#include "ioloop/ioalloc.h"
#include "ioloop/iostreamlayer.h"

#define MAX_INTERIMS_OF_PROXY 10

static void refuse_tunnel(struct httpfetch *fetch, int status)
{
    stpcpy(httpfetch_put_status(stpcpy(fetch->detail, "the proxy answered "), status), " to CONNECT");
    httpfetch_fail(fetch, -ECONNREFUSED, fetch->detail);
}

/* The proxy has nothing more to say: what comes next is the server's, once it is asked. */
static void tunnel_is_open(struct httppool_connection *connection, bool is_alone)
{
    struct httpfetch *fetch = connection->fetch;
    int error = 0;

    iostream_set_consumer(connection->stream, NULL, NULL);
    if (!is_alone)
        httpfetch_fail(fetch, -EPROTO, "bytes came through the tunnel unasked");
    else if (connection->origin->key.is_secure)
        error = httpconnect_start_tls(connection);
    else
        httpconnect_tunnel_ready(connection);
    if (error < 0)
        httpfetch_fail(fetch, error, NULL);
}

static size_t consume_answer_of_proxy(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct httppool_connection *connection = arg;
    struct httpfetch *fetch = connection->fetch;

    if (fetch == NULL)
        return length;
    if (error < 0) {
        httpfetch_fail(fetch, error, error == -ESHUTDOWN ? "the proxy closed the connection" : NULL);
        return length;
    }
    fetch->parsed.headers = connection->client->headers;
    fetch->parsed.header_capacity = HTTP1PARSER_MAX_HEADERS;
    int size =
        http1response_parse(data, length, &fetch->limits, &fetch->scan, HTTP1RESPONSE_TO_CONNECT, &fetch->parsed);
    if (size == 0)
        return 0;
    int status = size > 0 ? fetch->parsed.status : 0;
    if (size < 0) {
        httpfetch_fail(fetch, size, fetch->parsed.problem);
    } else if (status < 200 && status != 101) {
        if (++fetch->interims <= MAX_INTERIMS_OF_PROXY)
            return (size_t)size;
        httpfetch_fail(fetch, -EPROTO, "too many interim responses");
    } else if (status > 299 || status == 101) {
        refuse_tunnel(fetch, status);
    } else {
        fetch->interims = 0;
        tunnel_is_open(connection, length == (size_t)size);
        return connection->fetch == fetch ? (size_t)size : length;
    }
    return length;
}

/* What the proxy is to connect to. */
static struct httpurl url_behind_tunnel(const struct httpfetch *fetch)
{
    const struct httppool_key *key = &fetch->connection->origin->key;
    struct httpurl url = fetch->url;

    if (key->connect_host != NULL) {
        url.host = (struct httpurl_part){ key->connect_host, strlen(key->connect_host) };
        url.is_ipv6 = strchr(key->connect_host, ':') != NULL;
    }
    if (key->connect_port != 0) {
        url.port = key->connect_port;
        url.port_text = (struct httpurl_part){ 0 };
    }
    return url;
}

/* Answers an error, or writes the request. */
static int ask_proxy(struct httppool_connection *connection, struct httpfetch *fetch)
{
    struct httpurl url = url_behind_tunnel(fetch);
    struct httprequesthead head = {
        .method = "CONNECT",
        .url = &url,
        .target = HTTPREQUESTHEAD_AUTHORITY,
        .user_agent = fetch->user_agent,
        .proxy_authorization = connection->origin->key.proxy_authorization,
    };
    ssize_t length = httprequesthead_format(&head, NULL, 0);
    char *place = length > 0 ? ioalloc((size_t)length) : NULL;

    if (place == NULL)
        return length < 0 ? (int)length : -ENOMEM;
    length = httprequesthead_format(&head, place, (size_t)length);
    int error = iostream_write(connection->stream, place, (size_t)length, NULL, NULL);
    ioalloc_free(place);
    return error;
}

void httptunnel_begin(struct httppool_connection *connection)
{
    struct httpfetch *fetch = connection->fetch;
    int error = iostream_set_consumer(connection->stream, consume_answer_of_proxy, connection);

    fetch->scan = (struct http1parser_scan){ 0 };
    connection->stream->began_silent = false; /* behind the tunnel somebody else may speak first */
    if (error == 0)
        error = ask_proxy(connection, fetch);
    if (error < 0)
        httpfetch_fail(fetch, error, NULL);
}
