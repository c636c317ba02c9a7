/* conformance_server: what outside test suites talk to.
 *
 *     conformance_server [--port=N] [--unix=PATH] [--processes=N] [--static=DIR] [--xheaders] [--proxy-protocol]
 *         [--max-body=N] [--max-header=N] [--max-connections=N] [--max-requests=N]
 *         [--idle-timeout=S] [--header-timeout=S] [--body-timeout=S] [--write-timeout=S]
 *         [--max-message=N] [--ping-interval=S]
 *
 * GET /                 Hello, World!
 * POST /echo            the body
 * GET /bytes/N          N bytes; /chunked/N in chunks
 * GET /slow?seconds=S   answers after so long
 * GET /headers          the request's headers, a line each
 * GET /ip               the client's address and the protocol
 * GET /static/PATH      a file below DIR
 * GET /redirect/N       N hops to /
 * POST /upload          the length of the body, which is not kept
 * POST /form            fields and files, a line each
 * /ws                   a WebSocket that echoes; /ws-deflate with permessage-deflate; /ws-deflate/anew without context
 *                       takeover, and with a window of 512 bytes
 * GET /fetch?url=U      what U answers, fetched by our client; &timeout=S: 504 after so long */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <httpclient/httpclient.h>
#include <httpserver/httparguments.h>
#include <httpserver/web.h>
#include <httpserver/webstatic.h>
#include <ioloop/ioloop.h>
#include <websocket/websocket.h>

#define PIECE     16384u
#define MOST_SIZE (1u << 30)

static char filler[PIECE];

/* Digits only; false: too large, or none. */
static bool parse_size(const char *text, uint64_t *size)
{
    *size = 0;
    for (const char *digit = text; *digit != '\0'; digit++) {
        if (*digit < '0' || *digit > '9' || *size > MOST_SIZE)
            return false;
        *size = *size * 10 + (uint64_t)(*digit - '0');
    }
    return *text != '\0';
}

static void say_plain(struct web_request *request)
{
    web_set_header(request, "Content-Type", "text/plain; charset=utf-8");
}

static void get_root(struct web_request *request)
{
    web_set_header(request, "Content-Type", "text/plain");
    web_write(request, "Hello, World!");
}

static void post_echo(struct web_request *request)
{
    size_t length;
    const void *body = httprequest_body(web_http(request), &length);
    const char *type = httprequest_header(web_http(request), "Content-Type");

    web_set_header(request, "Content-Type", type != NULL ? type : "application/octet-stream");
    web_write_bytes(request, body, length);
}

/* So many bytes by and by, as fast as the client takes them. */
struct download {
    uint64_t left;
};

static void send_pieces(struct web_request *request, int error, void *arg)
{
    struct download *download = web_state(request);

    if (error < 0 || download->left == 0) {
        web_finish(request);
        return;
    }
    size_t size = download->left < sizeof filler ? (size_t)download->left : sizeof filler;
    download->left -= size;
    web_write_bytes(request, filler, size);
    if (web_flush(request, send_pieces, NULL) < 0)
        web_finish(request);
}

static void download(struct web_request *request, bool length_known)
{
    struct download *state = web_state(request);
    char length[24];

    if (!parse_size(web_path_argument(request, 0), &state->left)) {
        web_send_error(request, 400);
        return;
    }
    web_set_header(request, "Content-Type", "application/octet-stream");
    snprintf(length, sizeof length, "%" PRIu64, state->left);
    if (length_known)
        web_set_header(request, "Content-Length", length);
    else if (state->left == 0)
        (void)!web_flush(request, NULL, NULL); /* else its length would be told */
    send_pieces(request, 0, NULL);
}

static void get_bytes(struct web_request *request)
{
    download(request, true);
}

static void get_chunked(struct web_request *request)
{
    download(request, false);
}

/* Answers after a while; a client that leaves is not waited for. */
struct slow {
    uint64_t timeout;
};

static void awake(void *arg)
{
    struct web_request *request = arg;

    say_plain(request);
    web_write(request, "slept\n");
    web_finish(request);
}

/* False: there is none, and the request has been answered. */
static bool get_seconds(struct web_request *request, const char *name, const char *otherwise, double *seconds)
{
    const char *text = web_get_argument(request, name, otherwise);
    char *end;

    if (text == NULL)
        return false;
    *seconds = strtod(text, &end);
    if (end != text && *end == '\0' && *seconds >= 0 && *seconds <= 3600)
        return true;
    web_send_error(request, 400);
    return false;
}

static void get_slow(struct web_request *request)
{
    struct slow *slow = web_state(request);
    double seconds;

    if (!get_seconds(request, "seconds", "1", &seconds))
        return;
    slow->timeout = ioloop_call_later(httprequest_loop(web_http(request)), seconds, awake, request);
    if (slow->timeout == 0)
        web_send_error(request, 503);
}

/* One that has only stopped sending gets its answer. */
static void slow_client_left(struct web_request *request)
{
    struct slow *slow = web_state(request);

    if (!httprequest_left(web_http(request)))
        return;
    ioloop_remove_timeout(httprequest_loop(web_http(request)), slow->timeout);
    web_abort(request);
}

static void get_headers(struct web_request *request)
{
    const char *name, *value;

    say_plain(request);
    for (size_t i = 0; httprequest_header_at(web_http(request), i, &name, &value); i++)
        web_printf(request, "%s: %s\n", name, value);
}

static void get_ip(struct web_request *request)
{
    say_plain(request);
    web_printf(request, "%s %s\n", httprequest_remote_ip(web_http(request)), httprequest_protocol(web_http(request)));
}

static void get_redirect(struct web_request *request)
{
    char url[64] = "/";
    uint64_t hops;

    if (!parse_size(web_path_argument(request, 0), &hops)) {
        web_send_error(request, 400);
        return;
    }
    if (hops > 1)
        snprintf(url, sizeof url, "/redirect/%" PRIu64, hops - 1);
    web_redirect(request, url, false);
}

static void count_upload(struct web_request *request, const void *data, size_t length)
{
    uint64_t *received = web_state(request);

    *received += length;
}

static void post_upload(struct web_request *request)
{
    say_plain(request);
    web_printf(request, "%" PRIu64 "\n", *(uint64_t *)web_state(request));
}

static void post_form(struct web_request *request)
{
    const struct httpargument *argument;
    const struct httpform_file *file;

    say_plain(request);
    for (size_t i = 0; (argument = web_body_argument_at(request, i)) != NULL; i++)
        web_printf(request, "field %s=%s\n", argument->name, argument->value);
    for (size_t i = 0; (file = web_get_file(request, NULL, i)) != NULL; i++)
        web_printf(request, "file %s filename=%s type=%s length=%zu\n", file->name, file->filename, file->content_type,
                   file->length);
}

/* Relays what another server answers, as it comes. */
struct relay {
    struct web_request *request;
    uint64_t fetch;
    bool is_flushing; /* the client has not taken the last piece yet: no more comes meanwhile */
    bool is_over;
    int error;
};

static struct httpclient *my_client(void)
{
    return httpclient_current(ioloop_current());
}

static void end_relay(struct relay *relay)
{
    struct web_request *request = relay->request;

    if (relay->error == 0)
        web_finish(request);
    else if (relay->error == -ECANCELED) /* the client has left */
        web_abort(request);
    else /* behind a head that has gone this closes the connection, and nobody takes the answer for whole */
        web_send_error(request, relay->error == -ETIMEDOUT ? 504 : 502);
}

static void on_fetched(struct httpclient_response *response, void *arg)
{
    struct relay *relay = arg;

    relay->is_over = true;
    relay->error = response->error;
    if (!relay->is_flushing)
        end_relay(relay);
}

static void on_flushed(struct web_request *request, int error, void *arg)
{
    struct relay *relay = arg;

    relay->is_flushing = false;
    if (relay->is_over)
        end_relay(relay);
    else
        httpclient_resume(my_client(), relay->fetch);
}

static void relay_data(const void *data, size_t length, void *arg)
{
    struct relay *relay = arg;

    web_write_bytes(relay->request, data, length);
    int error = web_flush(relay->request, on_flushed, relay);
    relay->is_flushing = error == 0;
    if (relay->is_flushing)
        httpclient_pause(my_client(), relay->fetch);
    else if (error == -EBADF) /* the client has left, and had stopped sending before */
        httpclient_cancel(my_client(), relay->fetch);
}

/* What concerns one connection only (RFC 9110 7.6.1), or is the server's own. */
static bool is_relayed(const char *name)
{
    static const char *const others[] = { "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate",
                                          "Upgrade",    "TE",         "Trailer",          "Transfer-Encoding",
                                          "Server",     "Date" };

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (strcasecmp(name, others[i]) == 0)
            return false;
    }
    return true;
}

static void relay_line(const char *line, size_t length, void *arg)
{
    struct relay *relay = arg;
    struct httpheaders headers = { 0 };
    const char *name, *value;

    if (length > 12 && memcmp(line, "HTTP/", 5) == 0) {
        web_set_status(relay->request, (line[9] - '0') * 100 + (line[10] - '0') * 10 + line[11] - '0', NULL);
        web_clear_header(relay->request, "Content-Type");
    } else if (httpheaders_parse(&headers, line, length) == 0 && httpheaders_at(&headers, 0, &name, &value) &&
               is_relayed(name)) {
        web_add_header(relay->request, name, value);
    }
    httpheaders_free(&headers);
}

static void get_fetch(struct web_request *request)
{
    struct relay *relay = web_state(request);
    struct httpclient_request wanted = { .url = web_get_argument(request, "url", NULL),
                                         .header_callback = relay_line,
                                         .streaming_callback = relay_data,
                                         .callback_arg = relay };

    if (wanted.url == NULL || !get_seconds(request, "timeout", "0", &wanted.request_timeout))
        return;
    relay->request = request;
    relay->fetch = my_client() != NULL ? httpclient_fetch(my_client(), &wanted, on_fetched, relay) : 0;
    if (relay->fetch == 0)
        web_send_error(request, errno == EINVAL || errno == EPROTONOSUPPORT ? 400 : 503);
}

/* The end comes as -ECANCELED. */
static void relay_client_left(struct web_request *request)
{
    struct relay *relay = web_state(request);

    if (httprequest_left(web_http(request)))
        httpclient_cancel(my_client(), relay->fetch);
}

static const struct web_handler root_handler = { .get = get_root, .head = get_root };
static const struct web_handler echo_handler = { .post = post_echo, .put = post_echo, .lazy_form = true };
static const struct web_handler bytes_handler = {
    .get = get_bytes, .head = get_bytes, .asynchronous = true, .size = sizeof(struct download)
};
static const struct web_handler chunked_handler = {
    .get = get_chunked, .head = get_chunked, .asynchronous = true, .size = sizeof(struct download)
};
static const struct web_handler slow_handler = {
    .get = get_slow, .on_connection_close = slow_client_left, .asynchronous = true, .size = sizeof(struct slow)
};
static const struct web_handler headers_handler = { .get = get_headers, .head = get_headers };
static const struct web_handler ip_handler = { .get = get_ip, .head = get_ip };
static const struct web_handler redirect_handler = { .get = get_redirect };
static const struct web_handler upload_handler = { .post = post_upload,
                                                   .put = post_upload,
                                                   .data_received = count_upload,
                                                   .size = sizeof(uint64_t),
                                                   .max_body = UINT64_C(1) << 40 };
static const struct web_handler form_handler = { .post = post_form };
static const struct web_handler fetch_handler = {
    .get = get_fetch, .on_connection_close = relay_client_left, .asynchronous = true, .size = sizeof(struct relay)
};

static void echo_message(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    websocket_write(socket, data, length, is_binary);
}

/* Where messages are large, a client that sends before it reads is held back. */
#define MOST_AHEAD (16u << 20)

static void echo_slowly(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    websocket_write(socket, data, length, is_binary);
    if (websocket_pending(socket) > MOST_AHEAD)
        websocket_pause(socket);
}

static void take_large_messages(struct websocket_handler *handler, uint64_t most)
{
    handler->max_message = most;
    handler->max_unsent = most + 2 * MOST_AHEAD;
    handler->high_water = MOST_AHEAD;
    handler->on_message = echo_slowly;
    handler->on_drain = websocket_resume;
}

/* What the command line says. */
struct settings {
    struct web_settings web;
    struct webstatic files;
    struct websocket_handler socket, deflate, anew;
    const char *unix_path;
    int port, processes;
};

static void add_compression(struct settings *settings)
{
    settings->deflate = settings->anew = settings->socket;
    settings->deflate.compress = settings->anew.compress = true;
    settings->anew.compress_anew = true;
    settings->anew.compress_window = 9;
    settings->anew.compress_least = 1;
}

static bool starts_with(const char *word, const char *name, const char **value)
{
    size_t length = strlen(name);

    if (strncmp(word, name, length) != 0)
        return false;
    *value = word + length;
    return true;
}

static bool parse_number(const char *text, double most, double *number)
{
    char *end;

    *number = strtod(text, &end);
    return end != text && *end == '\0' && *number >= 0 && *number <= most;
}

static bool parse_option(struct settings *settings, const char *word)
{
    struct httpserver_options *server = &settings->web.server;
    const struct {
        const char *name;
        double *seconds;
    } times[] = {
        { "--idle-timeout=", &server->idle_timeout },
        { "--header-timeout=", &server->header_timeout },
        { "--body-timeout=", &server->body_timeout },
        { "--write-timeout=", &server->write_timeout },
    };
    const char *value;
    double number;

    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        if (starts_with(word, times[i].name, &value))
            return parse_number(value, 1e6, times[i].seconds);
    }
    if (strcmp(word, "--xheaders") == 0)
        return server->xheaders = true;
    if (strcmp(word, "--proxy-protocol") == 0)
        return server->proxy_protocol = true;
    if (starts_with(word, "--static=", &settings->files.root) || starts_with(word, "--unix=", &settings->unix_path))
        return true;
    if (starts_with(word, "--port=", &value) && parse_number(value, 65535, &number))
        return settings->port = (int)number, true;
    if (starts_with(word, "--processes=", &value) && parse_number(value, 1024, &number))
        return settings->processes = (int)number, true;
    if (starts_with(word, "--max-body=", &value) && parse_number(value, 1e15, &number))
        return server->max_body = (uint64_t)number, true;
    if (starts_with(word, "--max-header=", &value) && parse_number(value, 1e9, &number))
        return server->max_header = (uint32_t)number, true;
    if (starts_with(word, "--max-connections=", &value) && parse_number(value, 1e9, &number))
        return server->max_connections = (size_t)number, true;
    if (starts_with(word, "--max-requests=", &value) && parse_number(value, 4e9, &number))
        return server->max_requests = (uint32_t)number, true;
    if (starts_with(word, "--max-message=", &value) && parse_number(value, 1e15, &number))
        return take_large_messages(&settings->socket, (uint64_t)number), true;
    return starts_with(word, "--ping-interval=", &value) && parse_number(value, 1e6, &settings->socket.ping_interval);
}

/* The application is gone when this returns: no second signal may lead to it. */
static void on_close(struct httpserver *server, void *arg)
{
    ioloop_remove_signal(ioloop_current(), SIGTERM);
    ioloop_remove_signal(ioloop_current(), SIGINT);
    ioloop_stop(ioloop_current());
}

static void on_sigterm(int signal_number, void *app)
{
    web_application_close(app);
}

/* Before the loops, or the supervisor of several processes, take the signals: nothing is served yet. */
static void leave(int signal_number)
{
    _exit(0);
}

static int listen_and_start(struct web_application *app, const struct settings *settings)
{
    struct httpserver *server = web_application_server(app);
    int error = 0;

    signal(SIGTERM, leave);
    signal(SIGINT, leave);
    if (settings->unix_path != NULL)
        error = httpserver_listen_unix(server, settings->unix_path, 0);
    if (error < 0)
        return error;
    int port = httpserver_bind(server, settings->port, &(struct netutil_bind_options){ .address = "127.0.0.1" });
    if (port < 0)
        return port;
    printf("listening on 127.0.0.1:%d\n", port);
    fflush(stdout);
    error = httpserver_start(server, settings->processes, 0);
    if (error == 0)
        error = ioloop_add_signal(ioloop_current(), SIGTERM, on_sigterm, app);
    if (error == 0)
        error = ioloop_add_signal(ioloop_current(), SIGINT, on_sigterm, app);
    return error == 0 ? ioloop_start(ioloop_current()) : error;
}

int main(int argc, char **argv)
{
    struct settings settings = {
        .processes = 1, .files.root = ".", .socket.on_message = echo_message, .web.server.on_close = on_close
    };
    const struct web_route routes[] = {
        { "/", &root_handler, NULL, NULL },
        { "/echo", &echo_handler, NULL, NULL },
        { "/bytes/([0-9]+)", &bytes_handler, NULL, NULL },
        { "/chunked/([0-9]+)", &chunked_handler, NULL, NULL },
        { "/slow", &slow_handler, NULL, NULL },
        { "/headers", &headers_handler, NULL, NULL },
        { "/ip", &ip_handler, NULL, NULL },
        { "/static/(.*)", &webstatic_handler, &settings.files, NULL },
        { "/redirect/([0-9]+)", &redirect_handler, NULL, NULL },
        { "/upload", &upload_handler, NULL, NULL },
        { "/form", &form_handler, NULL, NULL },
        { "/ws", &websocket_route, &settings.socket, NULL },
        { "/ws-deflate", &websocket_route, &settings.deflate, NULL },
        { "/ws-deflate/anew", &websocket_route, &settings.anew, NULL },
        { "/fetch", &fetch_handler, NULL, NULL },
        { NULL, NULL, NULL, NULL },
    };

    memset(filler, 'x', sizeof filler);
    for (int i = 1; i < argc; i++) {
        if (!parse_option(&settings, argv[i]))
            return fprintf(stderr, "conformance_server: what is %s?\n", argv[i]), 2;
    }
    add_compression(&settings);
    struct web_application *app = ioloop_current() != NULL ? web_application_new(routes, &settings.web) : NULL;
    if (app == NULL)
        return perror("conformance_server"), 1;
    int error = listen_and_start(app, &settings);
    ioloop_close(ioloop_current(), false);
    if (error < 0)
        fprintf(stderr, "conformance_server: %s\n", ioloop_strerror(error));
    return error < 0;
}
