/* reverse_proxy: stands in front of another server and passes on what comes: requests and answers of any size, no
 * faster than who gets them takes them, and WebSockets as they are.
 *
 *     reverse_proxy [--port=N] [--upstream=HOST:PORT]                  port 8888, 0: any; 127.0.0.1:8000 */
#include "serve.h"

#include <errno.h>
#include <strings.h>

#include <httpclient/httpclient.h>
#include <httpserver/httpurl.h>
#include <ioloop/ioalloc.h>

#include "tunnel.h"

#define MOST_WAITING (256 * 1024) /* bytes that one side has not taken: the other is held back then */
#define PATIENCE     60.0         /* seconds for a server that says nothing */

static const char *upstream = "127.0.0.1:8000";
static char host[256];
static int port;
static struct httpclient *client;

/* Takes out what belongs to the one connection (RFC 9110 7.6.1). */
static int keep_end_to_end(struct httpheaders *headers)
{
    static const char *const own[] = { "Connection", "Keep-Alive",        "Proxy-Connection", "TE",
                                       "Trailer",    "Transfer-Encoding", "Upgrade",          "Expect" };
    char *options = httpheaders_join(headers, "Connection"), *rest = NULL;

    if (options == NULL && errno != ENOENT)
        return -ENOMEM;
    for (char *name = options; name != NULL && (name = strtok_r(name, ", \t", &rest)) != NULL; name = rest)
        httpheaders_remove(headers, name);
    ioalloc_free(options);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        httpheaders_remove(headers, own[i]);
    return 0;
}

/* Who asks. What a client says of that itself does not count: servers believe X-Real-Ip and X-Scheme first. */
static int say_who_asks(struct httpheaders *headers, const struct httprequest *request)
{
    const char *ip = httprequest_remote_ip(request);
    int error = httpheaders_set(headers, "X-Real-Ip", ip);

    httpheaders_remove(headers, "X-Scheme");
    if (error == 0)
        error = httpheaders_add(headers, "X-Forwarded-For", ip);
    return error == 0 ? httpheaders_set(headers, "X-Forwarded-Proto", httprequest_protocol(request)) : error;
}

/* headers: zeroed. */
static int make_headers(struct httpheaders *headers, const struct httprequest *request)
{
    const char *name, *value;
    int error = 0;

    for (size_t i = 0; error == 0 && httprequest_header_at(request, i, &name, &value); i++)
        error = httpheaders_add(headers, name, value);
    if (error == 0)
        error = keep_end_to_end(headers);
    if (error == 0)
        error = say_who_asks(headers, request);
    return error == 0 ? httpheaders_add(headers, "Via", "1.1 reverse_proxy") : error;
}

/* A request that has come, and the fetch that it becomes. */

struct exchange {
    struct httprequest *request; /* NULL: has ended */
    uint64_t fetch;
    int holders;    /* the request, the fetch, and a write: the last of them frees */
    bool is_whole;  /* the request with its body: it ends when it is ended here */
    bool is_corked; /* the head of the answer waits for what follows it at once */
};

static void release(struct exchange *exchange)
{
    if (--exchange->holders == 0)
        free(exchange);
}

static void cancel(struct exchange *exchange)
{
    exchange->request = NULL;
    httpclient_cancel(client, exchange->fetch);
    release(exchange);
}

/* The client cannot be answered. */
static void give_up(struct httprequest *request, struct exchange *exchange)
{
    httprequest_abort(request);
    cancel(exchange);
}

/* The client has left; or its body is refused, and the answer to that follows if the request is not ended here. */
static void on_left(struct httprequest *request, void *arg)
{
    struct exchange *exchange = arg;

    if (exchange->is_whole)
        httprequest_abort(request);
    cancel(exchange);
}

static void on_answer(const struct httpclient_response *response, void *arg)
{
    struct exchange *exchange = arg;
    struct httpheaders headers = { 0 };

    exchange->is_corked = exchange->request != NULL && httpheaders_get(response->headers, "Content-Length") != NULL;
    if (exchange->is_corked)
        httprequest_cork(exchange->request);
    if (exchange->request != NULL &&
        (httpheaders_copy(&headers, response->headers) < 0 || keep_end_to_end(&headers) < 0 ||
         httprequest_write_head(exchange->request, response->code, response->reason, &headers, NULL, 0, NULL, NULL) <
             0))
        give_up(exchange->request, exchange);
    httpheaders_free(&headers);
}

static void on_written(struct iostream *stream, int error, void *arg)
{
    struct exchange *exchange = arg;

    httpclient_resume(client, exchange->fetch);
    release(exchange);
}

static void on_answer_data(const void *data, size_t length, void *arg)
{
    struct exchange *exchange = arg;

    if (exchange->request == NULL)
        return;
    bool is_much = httprequest_pending(exchange->request) + length > MOST_WAITING;
    int error = httprequest_write(exchange->request, data, length, is_much ? on_written : NULL, exchange);
    if (exchange->is_corked)
        httprequest_uncork(exchange->request);
    exchange->is_corked = false;
    if (error < 0) {
        give_up(exchange->request, exchange);
    } else if (is_much) {
        exchange->holders++;
        httpclient_pause(client, exchange->fetch);
    }
}

static void end_answer(struct httprequest *request, int error)
{
    if (error == 0)
        httprequest_finish(request);
    else if (httprequest_head_sent(request))
        httprequest_abort(request);
    else
        httprequest_reply(request, error == -ETIMEDOUT ? 504 : 502, NULL, NULL, 0);
}

static void on_end(struct httpclient_response *response, void *arg)
{
    struct exchange *exchange = arg;
    struct httprequest *request = exchange->request;

    if (request != NULL) {
        exchange->request = NULL;
        exchange->holders--; /* the fetch is another */
        end_answer(request, response->error);
    }
    release(exchange);
}

/* A piece of a body goes on, and only when there is room is the next one asked for. */
static void on_data(struct httprequest *request, const void *data, size_t length, void *arg)
{
    struct exchange *exchange = httprequest_arg(request);

    if (httpclient_upload_write(client, exchange->fetch, data, length) < 0)
        return; /* nobody wants it: an answer or an error is on its way */
    httprequest_pause(request);
    httpclient_upload_resume(client, exchange->fetch);
}

static void on_room(struct httpclient *to, uint64_t fetch, void *arg)
{
    struct exchange *exchange = arg;

    if (exchange->request != NULL)
        httprequest_resume(exchange->request);
}

static void pass_on(struct httprequest *request, const struct httpheaders *headers, bool has_body)
{
    struct exchange *exchange = malloc(sizeof *exchange);
    size_t length, query_length = 0;
    const char *path = httprequest_path(request, &length), *query = httprequest_query(request, &query_length);
    char url[10000]; /* the server takes targets of 8 KiB */

    snprintf(url, sizeof url, "http://%s%.*s%s%.*s", upstream, (int)length, path, query != NULL ? "?" : "",
             (int)query_length, query != NULL ? query : "");
    const struct httpclient_request wanted = {
        .url = url,
        .method = httprequest_method(request),
        .headers = headers,
        .user_agent = "",
        .allow_nonstandard_methods = true,
        .no_follow_redirects = true,
        .body_producer = has_body ? on_room : NULL,
        .body_producer_arg = exchange,
        .expect_100_continue = has_body && httprequest_header(request, "Expect") != NULL,
        .on_head = on_answer,
        .streaming_callback = on_answer_data,
        .callback_arg = exchange,
        .idle_timeout = PATIENCE,
        .request_timeout = -1,
    };
    uint64_t fetch = exchange != NULL ? httpclient_fetch(client, &wanted, on_end, exchange) : 0;
    if (fetch == 0) {
        httprequest_reply(request, errno == EINVAL ? 400 : 503, NULL, NULL, 0);
        free(exchange);
        return;
    }
    *exchange = (struct exchange){ .request = request, .fetch = fetch, .holders = 2, .is_whole = !has_body };
    httprequest_set_arg(request, exchange);
    httprequest_set_close_callback(request, on_left, exchange);
}

/* The server. */

static void begin(struct httprequest *request, bool has_body)
{
    struct httpheaders headers = { 0 };
    const char *upgrade = httprequest_header(request, "Upgrade");

    if (make_headers(&headers, request) < 0)
        httprequest_reply(request, 503, NULL, NULL, 0);
    else if (!has_body && upgrade != NULL && strcasecmp(upgrade, "websocket") == 0)
        tunnel_upgrade(request, host, port, &headers);
    else
        pass_on(request, &headers, has_body);
    httpheaders_free(&headers);
}

static void on_head(struct httprequest *request, void *arg)
{
    httprequest_set_max_body(request, UINT64_MAX);
    httprequest_stream_body(request, on_data, NULL);
    httprequest_pause(request); /* until there is somebody to take it */
    begin(request, true);
}

static void on_request(struct httprequest *request, void *arg)
{
    struct exchange *exchange = httprequest_arg(request);

    if (exchange == NULL) {
        begin(request, false);
        return;
    }
    exchange->is_whole = true;
    httpclient_upload_finish(client, exchange->fetch);
}

/* The server is gone when this returns: no second signal may lead to it. */
static void on_closed(struct httpserver *server, void *arg)
{
    ioloop_remove_signal(ioloop_current(), SIGTERM);
    ioloop_stop(ioloop_current());
}

static void stop(int signal_number, void *server)
{
    httpserver_close(server); /* finishes what is in flight, then calls on_closed */
}

int main(int argc, char **argv)
{
    static const struct iooption options[] = {
        SERVE_PORT, { .name = "upstream", .string = &upstream, .metavar = "HOST:PORT", .help = "who answers" }, { 0 }
    };
    struct httpurl_part name;

    serve_parse(options, argc, argv);
    if (httpurl_split_host_and_port(upstream, strlen(upstream), &name, &port) < 0 || port < 0 ||
        name.length >= sizeof host)
        return fprintf(stderr, "%s: %s is no HOST:PORT\n", argv[0], upstream), 2;
    memcpy(host, name.text, name.length);
    struct ioloop *loop = ioloop_current();
    client = httpclient_new(loop, &(struct httpclient_options){ .max_clients = 1000, .max_per_origin = 1000 });
    struct httpserver *server = httpserver_new(
        loop, on_request, NULL, &(struct httpserver_options){ .on_head = on_head, .on_close = on_closed });
    if (client == NULL || server == NULL || ioloop_add_signal(loop, SIGTERM, stop, server) < 0)
        return perror(argv[0]), 1;
    int error = httpserver_listen(server, serve_port, &(struct netutil_bind_options){ .address = "127.0.0.1" });
    if (error >= 0) {
        printf("listening on 127.0.0.1:%d\n", error);
        fflush(stdout);
        error = ioloop_start(loop);
    }
    ioloop_close(loop, false);
    if (error < 0)
        fprintf(stderr, "%s: %s\n", argv[0], ioloop_strerror(error));
    return error < 0;
}
