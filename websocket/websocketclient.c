#include "websocket/websocketclient.h"

#include <errno.h>
#include <string.h>

#include "httpclient/httpclientlayer.h"
#include "ioloop/ioalloc.h"
#include "ioloop/iolog.h"
#include "websocket/websocketconnection.h"
#include "websocket/websocketdeflate.h"
#include "websocket/websockethandshake.h"

#define DEFAULT_HANDSHAKE 10
#define MOST_OF_REFUSAL   65536u /* bytes of its body, so that the connection can be used again */

/* A socket whose handshake goes on. */
struct websocketclient {
    struct httpclient *http;
    uint64_t fetch;
    bool is_cancelled;
    char key[WEBSOCKETHANDSHAKE_KEY + 1];
    const char *offered[WEBSOCKETHANDSHAKE_PROTOCOLS + 1]; /* ended by NULL; in names */
    char names[];
};

/* The question. */

/* With ", " between; place NULL: how long that is. */
static size_t join_names(const char *const *names, char *place)
{
    size_t size = 0;

    for (; names != NULL && *names != NULL; names++) {
        size_t length = strlen(*names);

        if (place != NULL && size > 0)
            memcpy(place + size, ", ", 2);
        size += size > 0 ? 2 : 0;
        if (place != NULL)
            memcpy(place + size, *names, length);
        size += length;
    }
    if (place != NULL)
        place[size] = '\0';
    return size;
}

static int make_key(struct ioloop *loop, char key[WEBSOCKETHANDSHAKE_KEY + 1])
{
    unsigned char random[16];
    int error = websocketloop_random(loop, random, sizeof random);

    if (error == 0)
        websockethandshake_key(random, key);
    return error;
}

/* Names that cannot be sent are not offered: EINVAL. */
static int offer_names(struct websocketclient *client, const char *const *subprotocols, struct httpheaders *headers)
{
    int error;

    if (join_names(subprotocols, client->names) == 0)
        return 0;
    error = httpheaders_set(headers, "Sec-WebSocket-Protocol", client->names);
    if (error == 0 && websockethandshake_split_protocols(client->names, client->offered) < 0)
        error = -EINVAL;
    return error;
}

static int offer_deflate(const struct websocket_handler *handler, struct httpheaders *headers)
{
    struct websocketdeflate_terms wanted;
    char place[WEBSOCKETDEFLATE_LONGEST];

    if (!handler->compress)
        return 0;
    websocketconnection_want_deflate(handler, &wanted);
    websocketdeflate_format_offer(&wanted, place);
    return httpheaders_set(headers, "Sec-WebSocket-Extensions", place);
}

static int make_handshake_headers(struct websocketclient *client, const struct websocket_handler *handler,
                                  const struct websocket_options *options, struct httpheaders *headers)
{
    const struct httpheaders *given = options->request != NULL ? options->request->headers : NULL;
    int error = given != NULL ? httpheaders_copy(headers, given) : 0;

    if (error == 0)
        error = httpheaders_set(headers, "Upgrade", "websocket");
    if (error == 0)
        error = httpheaders_set(headers, "Connection", "Upgrade");
    if (error == 0)
        error = httpheaders_set(headers, "Sec-WebSocket-Key", client->key);
    if (error == 0)
        error = httpheaders_set(headers, "Sec-WebSocket-Version", "13");
    if (error == 0)
        httpheaders_remove(headers, "Sec-WebSocket-Extensions");
    if (error == 0)
        httpheaders_remove(headers, "Sec-WebSocket-Protocol");
    if (error == 0)
        error = offer_deflate(handler, headers);
    if (error == 0 && options->origin != NULL)
        error = httpheaders_set(headers, "Origin", options->origin);
    return error == 0 ? offer_names(client, options->subprotocols, headers) : error;
}

/* The answer. */

/* The caller's, to be freed; NULL without one. */
static char *join_answer_headers(const struct httpheaders *headers, const char *name, int *error)
{
    char *text = httpheaders_join(headers, name);

    if (text == NULL && errno != ENOENT)
        *error = -ENOMEM;
    return text;
}

/* text: Sec-WebSocket-Extensions of the answer; taken apart. */
static int accept_deflate(struct websocket *socket, char *text)
{
    struct websocketdeflate_terms wanted, agreed;

    if (!socket->handler->compress)
        return 0;
    websocketconnection_want_deflate(socket->handler, &wanted);
    int found = websocketdeflate_check_answer(text, &wanted, &agreed);
    return found > 0 ? websocketconnection_agree_deflate(socket, &agreed) : found;
}

static int check_handshake_answer(struct websocket *socket, const struct httpclient_response *response)
{
    const struct websocketclient *client = socket->rare->client;
    static const char *const names[] = { "Connection", "Upgrade", "Sec-WebSocket-Accept", "Sec-WebSocket-Protocol",
                                         "Sec-WebSocket-Extensions" };
    char *values[sizeof names / sizeof *names];
    const char *why = "";
    int error = 0;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        values[i] = join_answer_headers(response->headers, names[i], &error);
    const struct websockethandshake_answer answer = { response->code, values[0], values[1],
                                                      values[2],      values[3], values[4] };
    if (error == 0)
        error = websockethandshake_check_answer(&answer, client->key, client->offered, socket->handler->compress, &why);
    if (error == 0) {
        why = "it agrees on a compression that was not offered";
        error = accept_deflate(socket, values[4]);
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        ioalloc_free(values[i]);
    if (error < 0)
        iolog_write(IOLOG_GENERAL, IOLOG_INFO, "a WebSocket's handshake has failed: %s", why);
    return error;
}

static int keep_chosen(struct websocket *socket, const struct httpclient_response *response)
{
    const char *chosen = httpheaders_get(response->headers, "Sec-WebSocket-Protocol");

    if (chosen != NULL)
        socket->rare->subprotocol = ioalloc_string(chosen);
    return chosen == NULL || socket->rare->subprotocol != NULL ? 0 : -ENOMEM;
}

/* That it is another answer than 101 was known from its head, whatever became of its body, which nobody wants. */
static bool is_refusal_of_upgrade(const struct httpclient_response *response)
{
    int error = response->error;

    return response->phase == HTTPCLIENT_BODY && response->code != 0 && response->code != 101 &&
           (error == -EMSGSIZE || error == -ETIMEDOUT || error == -ESHUTDOWN || error == -ECONNRESET);
}

static int accept_answer(struct websocket *socket, const struct httpclient_response *response, struct iostream *stream)
{
    int error = response->error;

    if ((error == 0 && stream == NULL) || is_refusal_of_upgrade(response))
        error = -ENOMSG;
    if (error == 0)
        error = check_handshake_answer(socket, response);
    if (error == 0)
        error = keep_chosen(socket, response);
    if (error == 0)
        error = websocketconnection_prepare(socket, stream);
    return error;
}

static void free_handshake(struct websocket *socket)
{
    ioalloc_free(socket->rare->client);
    socket->rare->client = NULL;
}

static void handshake_done(struct httpclient_response *response, struct iostream *stream, void *arg)
{
    struct websocket *socket = arg;
    bool is_cancelled = socket->rare->client->is_cancelled;
    int error = is_cancelled ? 0 : accept_answer(socket, response, stream);

    socket->rare->status = response->code;
    free_handshake(socket);
    if (error == 0 && !is_cancelled) {
        socket->rare->status = 0; /* it can be no other */
        websocketconnection_begin(socket, stream, NULL);
        return;
    }
    if (stream != NULL)
        iostream_close(stream);
    socket->error = (int16_t)error;
    websocketconnection_finish(socket);
}

/* Life. */

static uint64_t ask_for_upgrade(struct websocket *socket, const char *url, const struct websocket_options *options,
                                const struct httpheaders *headers)
{
    struct httpclient_request request = { 0 };

    if (options->request != NULL)
        request = *options->request;
    request.url = url;
    request.method = "GET";
    request.headers = headers;
    request.body = NULL;
    request.body_release = NULL;
    request.body_producer = NULL;
    request.header_callback = NULL;
    request.on_head = NULL;
    request.streaming_callback = NULL;
    request.callback_arg = socket; /* these are our own now: the client has no defaults for them */
    request.expect_100_continue = request.decompress_response = request.raise_error = false;
    request.no_follow_redirects = !options->follow_redirects;
    request.max_body = MOST_OF_REFUSAL;
    request.total_timeout = options->handshake_timeout != 0 ? options->handshake_timeout : DEFAULT_HANDSHAKE;
    return httpclientlayer_upgrade(socket->rare->client->http, &request, handshake_done, socket);
}

/* 0 or an error, with nothing begun. */
static int begin_handshake(struct websocket *socket, const char *url, const struct websocket_options *options)
{
    struct ioloop *loop = websocketconnection_loop(socket);
    struct websocketclient *client = ioalloc_zeroed(sizeof *client + join_names(options->subprotocols, NULL) + 1);
    struct httpheaders headers = { 0 };
    int error = -ENOMEM;

    socket->rare->client = client;
    if (client == NULL)
        return error;
    client->http = options->client != NULL ? options->client : httpclient_current(loop);
    error = client->http == NULL ? -errno : make_key(loop, client->key);
    if (error == 0)
        error = make_handshake_headers(client, socket->handler, options, &headers);
    if (error == 0)
        client->fetch = ask_for_upgrade(socket, url, options, &headers);
    if (error == 0 && client->fetch == 0)
        error = -errno;
    httpheaders_free(&headers);
    if (error < 0)
        free_handshake(socket);
    return error;
}

struct websocket *websocket_connect(struct ioloop *loop, const char *url, const struct websocket_handler *handler,
                                    const struct websocket_options *options)
{
    static const struct websocket_options defaults;
    struct websocket *socket = websocketconnection_new_client(loop, handler);
    int error = -ENOMEM;

    if (options == NULL)
        options = &defaults;
    if (socket != NULL && websocketconnection_rare(socket) != NULL) {
        websocket_set_arg(socket, options->arg);
        error = begin_handshake(socket, url, options);
    }
    if (error == 0)
        return socket;
    if (socket != NULL)
        websocketconnection_free(socket);
    return errno = -error, NULL;
}

/* NULL: there is none, or it is over. */
static struct websocketclient *handshake_of(const struct websocket *socket)
{
    return socket->rare != NULL ? socket->rare->client : NULL;
}

/* What the handshake's end says then does not count. */
void websocketclient_cancel(struct websocket *socket)
{
    struct websocketclient *client = handshake_of(socket);

    if (client == NULL || client->is_cancelled)
        return;
    client->is_cancelled = true;
    httpclient_cancel(client->http, client->fetch);
}

bool websocketclient_is_cancelled(const struct websocket *socket)
{
    const struct websocketclient *client = handshake_of(socket);

    return client == NULL || client->is_cancelled;
}
