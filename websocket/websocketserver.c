/* How a server's socket begins: a request that asks for it, to a route with a handler of WebSockets. */
#include <errno.h>
#include <string.h>

#include "httpserver/http1connection.h"
#include "httpserver/httpfield.h"
#include "httpserver/httpserverlayer.h"
#include "httpserver/weblayer.h"
#include "ioloop/ioalloc.h"
#include "ioloop/iolog.h"
#include "websocket/websocketconnection.h"
#include "websocket/websocketdeflate.h"
#include "websocket/websockethandshake.h"

static const struct websocket_handler *handler_of(struct web_request *request)
{
    return web_route_arg(request);
}

/* What the client asks for. */

/* All values of that name with ", " between; what may come once only is malformed then. NULL: there is none, or no
 * memory, which the request knows. */
static const char *join_headers(struct web_request *request, const char *wanted)
{
    const char *name, *value, *only = NULL;
    size_t length = strlen(wanted), size = 0;
    int count = 0;

    for (size_t i = 0; httprequest_header_at(request->http, i, &name, &value); i++) {
        if (strlen(name) != length || !httpfield_is_same(name, wanted, length))
            continue;
        only = value;
        size += strlen(value) + 2;
        count++;
    }
    char *joined = count > 1 ? weblayer_new_text(request, size) : NULL;
    if (joined == NULL)
        return count == 1 ? only : NULL;
    char *end = joined;
    for (size_t i = 0; httprequest_header_at(request->http, i, &name, &value); i++) {
        if (strlen(name) != length || !httpfield_is_same(name, wanted, length))
            continue;
        size_t value_length = strlen(value);
        memcpy(end, value, value_length);
        memcpy(end + value_length, ", ", 2);
        end += value_length + 2;
    }
    end[-2] = '\0';
    return joined;
}

static void refuse_upgrade(struct web_request *request, int status, const char *why)
{
    if (request->failed != 0)
        status = 503;
    web_clear(request);
    web_set_status(request, status, NULL);
    (void)web_set_header(request, "Content-Type", "text/plain; charset=UTF-8");
    if (status == 426) {
        (void)web_set_header(request, "Sec-WebSocket-Version", "13");
        (void)web_set_header(request, "Upgrade", "websocket");
    }
    (void)web_write(request, why);
    (void)web_write(request, "\n");
    (void)web_finish(request);
}

/* The key; NULL: it is no handshake, and the request has been answered. */
static const char *check_handshake(struct web_request *request)
{
    const struct websockethandshake_request asked = {
        .method = httprequest_method(request->http),
        .minor_version = httprequest_minor_version(request->http),
        .host = httprequest_header(request->http, "Host"),
        .connection = join_headers(request, "Connection"),
        .upgrade = join_headers(request, "Upgrade"),
        .key = join_headers(request, "Sec-WebSocket-Key"),
        .version = join_headers(request, "Sec-WebSocket-Version"),
        .origin = join_headers(request, "Origin"),
    };
    const char *why = "no WebSocket";
    int status = websockethandshake_check_request(&asked, &why);

    if (status == 0 && request->http->has_body) {
        status = 400;
        why = "a handshake has no body";
    }
    if (status == 0 && request->http->server->closing) {
        status = 503;
        why = "the server is closing";
    }
    if (status == 0 && request->failed == 0)
        return asked.key;
    refuse_upgrade(request, status, why);
    return NULL;
}

/* A page that came over plain http can have been written by anybody on its way: to https it is another one. */
static bool is_origin_secret(struct web_request *request, const char *origin)
{
    size_t length = strlen(origin);

    return strcmp(httprequest_protocol(request->http), "https") != 0 ||
           (length >= 6 && httpfield_is_same(origin, "https:", 6)) ||
           (length >= 4 && httpfield_is_same(origin, "wss:", 4));
}

/* Browsers let any page connect to anywhere, cookies and all: so pages of others are refused here. */
static bool check_origin(struct web_request *request)
{
    const struct websocket_handler *handler = handler_of(request);
    const char *origin = join_headers(request, "Origin");
    bool allowed;

    if (origin == NULL)
        origin = join_headers(request, "Sec-WebSocket-Origin");
    if (origin == NULL)
        allowed = request->failed == 0;
    else if (handler->check_origin != NULL)
        allowed = handler->check_origin(request, origin);
    else
        allowed = is_origin_secret(request, origin) &&
                  websockethandshake_is_same_origin(origin, httprequest_header(request->http, "Host"));
    if (!allowed && !request->finished)
        refuse_upgrade(request, 403, "Cross origin websockets not allowed");
    return allowed && !request->finished;
}

static bool is_offered(const char *chosen, const char *const *names, int count)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(names[i], chosen) == 0)
            return true;
    }
    return false;
}

/* False: the request has been answered. */
static bool choose_subprotocol(struct web_request *request, const char **chosen)
{
    const struct websocket_handler *handler = handler_of(request);
    const char *names[WEBSOCKETHANDSHAKE_PROTOCOLS];
    const char *list = join_headers(request, "Sec-WebSocket-Protocol");
    char *copy = list != NULL ? weblayer_new_text(request, strlen(list)) : NULL;
    int count = copy != NULL ? websockethandshake_split_protocols(strcpy(copy, list), names) : 0;

    if (count < 0 || request->failed != 0) {
        refuse_upgrade(request, 400, "Sec-WebSocket-Protocol is malformed");
        return false;
    }
    *chosen = NULL;
    if (handler->select_subprotocol != NULL)
        *chosen = handler->select_subprotocol(request, names, (size_t)count);
    if (request->finished || *chosen == NULL || is_offered(*chosen, names, count))
        return !request->finished;
    web_send_error_because(request, 500, NULL, "a subprotocol was chosen that the client has not offered");
    return false;
}

/* 1: agreed on; 0: nothing is; -400: malformed. */
static int choose_deflate(struct web_request *request, struct websocketdeflate_terms *agreed)
{
    struct websocketdeflate_terms wanted;
    const char *list = handler_of(request)->compress ? join_headers(request, "Sec-WebSocket-Extensions") : NULL;
    char *copy = list != NULL ? weblayer_new_text(request, strlen(list)) : NULL;

    if (copy == NULL)
        return request->failed != 0 ? -400 : 0;
    websocketconnection_want_deflate(handler_of(request), &wanted);
    return websocketdeflate_accept(strcpy(copy, list), &wanted, agreed);
}

/* The answer. */

static int put_in_answer(struct web_request *request, const char *name, const char *separator, const char *value)
{
    const char *parts[] = { name, separator, value, "\r\n" };

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        int error = web_write(request, parts[i]);
        if (error < 0)
            return error;
    }
    return 0;
}

/* Those of a handshake are ours, and there is no body to be described. */
static bool is_left_out_of_handshake(const char *name)
{
    static const char *const names[] = { "Connection",
                                         "Content-Encoding",
                                         "Content-Length",
                                         "Content-Type",
                                         "Etag",
                                         "Sec-WebSocket-Accept",
                                         "Sec-WebSocket-Protocol",
                                         "Sec-WebSocket-Extensions",
                                         "Sec-WebSocket-Version",
                                         "Transfer-Encoding",
                                         "Upgrade",
                                         "Date" };
    size_t length = strlen(name);

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strlen(names[i]) == length && httpfield_is_same(name, names[i], length))
            return true;
    }
    return false;
}

static int put_headers_of(struct web_request *request, const struct httpheaders *headers)
{
    const char *name, *value;
    int error = 0;

    for (size_t i = 0; error == 0 && httpheaders_at(headers, i, &name, &value); i++) {
        if (!is_left_out_of_handshake(name))
            error = put_in_answer(request, name, ": ", value);
    }
    return error;
}

/* What was chosen of what the client asks for; NULL: nothing. */
struct handshake_choice {
    const char *key, *subprotocol;
    const struct websocketdeflate_terms *deflate;
};

static int put_extensions(struct web_request *request, const struct websocketdeflate_terms *deflate)
{
    char place[WEBSOCKETDEFLATE_LONGEST];

    websocketdeflate_format_answer(deflate, place);
    return put_in_answer(request, "Sec-WebSocket-Extensions", ": ", place);
}

/* Collected where else the body of an answer would be. */
static int put_answer(struct web_request *request, const struct handshake_choice *choice)
{
    char accept[WEBSOCKETHANDSHAKE_ACCEPT + 1];
    const char *date = httpserverlayer_ok(request->http->server) + sizeof HTTPSERVERLAYER_OK - 1;
    int error;

    if (httpheaders_get(web_headers(request), "Server") != NULL)
        date += sizeof HTTPSERVERLAYER_SERVER - 1;
    websockethandshake_accept(choice->key, accept);
    request->body.length = 0;
    error = web_write(request, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n");
    if (error == 0)
        error = put_in_answer(request, "Sec-WebSocket-Accept", ": ", accept);
    if (error == 0 && choice->subprotocol != NULL)
        error = put_in_answer(request, "Sec-WebSocket-Protocol", ": ", choice->subprotocol);
    if (error == 0 && choice->deflate != NULL)
        error = put_extensions(request, choice->deflate);
    if (error == 0)
        error = web_write(request, date);
    if (error == 0)
        error = put_headers_of(request, web_headers(request));
    if (error == 0)
        error = put_headers_of(request, &request->new_cookies);
    return error == 0 ? put_in_answer(request, "", "", "") : error;
}

/* The change. */

/* What a proxy says of the address is known only now. */
static int keep_remote_ip(struct websocket *socket, struct httprequest *http)
{
    struct websocketconnection_rare *rare;

    if (!http->server->options.xheaders && !http->connection->has_proxy)
        return 0;
    rare = websocketconnection_rare(socket);
    return rare != NULL && (rare->remote_ip = ioalloc_string(httprequest_remote_ip(http))) != NULL ? 0 : -ENOMEM;
}

static int keep_subprotocol(struct websocket *socket, const char *subprotocol)
{
    struct websocketconnection_rare *rare;

    if (subprotocol == NULL)
        return 0;
    rare = websocketconnection_rare(socket);
    return rare != NULL && (rare->subprotocol = ioalloc_string(subprotocol)) != NULL ? 0 : -ENOMEM;
}

static int prepare_server_socket(struct websocket *socket, struct web_request *request,
                                 const struct handshake_choice *choice)
{
    websocketconnection_init(socket, handler_of(request), false);
    socket->stream = http1connection_stream(request->http->connection);
    if (keep_subprotocol(socket, choice->subprotocol) < 0 || keep_remote_ip(socket, request->http) < 0 ||
        (choice->deflate != NULL && websocketconnection_agree_deflate(socket, choice->deflate) < 0) ||
        put_answer(request, choice) < 0 || websocketconnection_prepare(socket, socket->stream) < 0) {
        websocketconnection_free(socket);
        return -ENOMEM;
    }
    return 0;
}

static void dismiss_socket(struct iostream *stream)
{
    (void)websocket_close(iostream_user(stream), WEBSOCKET_GOING_AWAY, NULL);
}

_Static_assert(sizeof(struct websocket) <= sizeof(struct http1connection), "one takes the place of the other");

/* Out of HTTP. */
static struct websocket *take_over_stream(struct web_request *request, const struct websocket *prepared)
{
    struct httpserver *server = request->http->server;
    struct iostream *stream = http1connection_leave(request->http);
    struct websocket *socket = iostream_user(stream);

    httpserverlayer_add_guest(server, stream, dismiss_socket);
    *socket = *prepared;
    return socket;
}

/* The request stays until open has returned, but nothing can be answered to it any more. */
static void change_protocol(struct web_request *request, const struct handshake_choice *choice)
{
    struct httpserver *server = request->http->server;
    struct websocket prepared; /* where it will be is still the place of the connection */

    if (prepare_server_socket(&prepared, request, choice) < 0) {
        web_send_error(request, 503);
        return;
    }
    web_set_status(request, 101, NULL);
    request->finished = true;
    struct websocket *socket = take_over_stream(request, &prepared);
    struct iostream *stream = socket->stream;
    int error = iostream_write(stream, request->body.bytes, request->body.length, NULL, NULL);
    request->body.length = 0;
    if (error < 0)
        iostreamlayer_fail(stream, error);
    websocketconnection_begin(socket, stream, request);
    if (server->closing && !iostream_closed(stream))
        dismiss_socket(stream); /* since the handshake was looked at */
}

/* The handler. */

static void get_socket(struct web_request *request)
{
    struct handshake_choice choice = { 0 };
    struct websocketdeflate_terms deflate;

    if (httprequest_left(request->http)) {
        (void)web_finish(request);
        return;
    }
    choice.key = check_handshake(request);
    if (choice.key == NULL || !check_origin(request) || !choose_subprotocol(request, &choice.subprotocol))
        return;
    int found = choose_deflate(request, &deflate);
    if (found < 0) {
        refuse_upgrade(request, 400, "Sec-WebSocket-Extensions is malformed");
        return;
    }
    choice.deflate = found > 0 ? &deflate : NULL;
    if (httprequest_left(request->http)) /* ended by what was asked */
        (void)web_finish(request);
    else
        change_protocol(request, &choice);
}

static void prepare_upgrade(struct web_request *request)
{
    request->prepared = true;
    if (handler_of(request)->prepare != NULL)
        handler_of(request)->prepare(request);
}

/* One that has become a WebSocket ends here, too, behind open: the end of that is on_close. */
static void finish_upgrade(struct web_request *request)
{
    bool is_socket = request->http != NULL && request->http->status == 101;

    if (request->prepared && !is_socket && handler_of(request)->on_finish != NULL)
        handler_of(request)->on_finish(request);
}

static void set_upgrade_headers(struct web_request *request)
{
    if (handler_of(request)->set_default_headers != NULL)
        handler_of(request)->set_default_headers(request);
}

const struct web_handler websocket_route = {
    .get = get_socket,
    .set_default_headers = set_upgrade_headers,
    .prepare = prepare_upgrade,
    .on_finish = finish_upgrade,
    .asynchronous = true,
    .no_etag = true,
};
