/* The body of a request: by its length or in chunks, into memory or to the program, as fast as the program takes it and
 * not slower than the client may be. */
#include <errno.h>
#include <string.h>

#include "httpserver/http1connection.h"
#include "httpserver/httpserverlayer.h"
#include "ioloop/iostreamlayer.h"

#define TICK_SECONDS ((double)(1 << DEADLINE_TICK_BITS) / 1e9)

static size_t consume_body(struct iostream *stream, int error, const char *data, size_t length, void *arg);

/* A client that has had half of body_timeout has to have kept up the average, with what has just come. */
static bool is_too_slow(const struct httprequest *request, size_t length, uint32_t now)
{
    double elapsed = (double)(now - request->reading.began) * TICK_SECONDS;

    return elapsed > request->reading.timeout / 2 && (double)request->reading.received + (double)length <
                                                         elapsed * (double)request->server->options.min_body_rate;
}

/* False: it was refused, or answered. */
static bool take_piece(struct http1connection *connection, struct httprequest *request, const char *data, size_t length)
{
    request->reading.received += length;
    if (request->reading.on_data != NULL)
        request->reading.on_data(request, data, length, request->reading.on_data_arg);
    else if (iobuffer_append(&request->body, data, length) < 0)
        http1connection_refuse(connection, 503, "no memory for a body");
    return connection->request == request;
}

/* Takes a piece. Answers how many bytes that were, all of them when the request is over; *done: it was the last. */
static size_t take_by_length(struct http1connection *connection, const char *data, size_t length, bool *done)
{
    struct httprequest *request = connection->request;
    uint64_t missing = request->head.content_length - request->reading.received;
    size_t count = length < missing ? length : (size_t)missing;

    *done = count == missing;
    return count == 0 || take_piece(connection, request, data, count) ? count : length;
}

static size_t take_chunked(struct http1connection *connection, const char *data, size_t length, bool *done)
{
    struct httprequest *request = connection->request;
    struct httpchunked_limits limits = { .body = request->reading.most };
    struct httpchunked_piece piece;
    ssize_t count =
        httpchunked_decode(&request->reading.chunked, &limits, data, length, &piece, &request->reading.trailers);

    if (count < 0) {
        http1connection_refuse(connection, (int)-count, piece.reason);
        return length;
    }
    *done = piece.done;
    return piece.length == 0 || take_piece(connection, request, piece.data, piece.length) ? (size_t)count : length;
}

static size_t consume_body(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct http1connection *connection = arg;
    struct httprequest *request = connection->request;
    uint32_t now = deadline_now(connection->server->loop);
    size_t taken = 0;

    if (error < 0) {
        http1connection_input_ended(connection, error); /* truncated: not a request */
        return length;
    }
    bool done = request->is_whole;
    deadline_touch(&connection->deadline, now);
    if (!done && is_too_slow(request, length, now)) {
        http1connection_refuse(connection, 408, "the body is too slow");
        return length;
    }
    if (!done)
        taken = request->head.framing == HTTP1PARSER_LENGTH ? take_by_length(connection, data, length, &done)
                                                            : take_chunked(connection, data, length, &done);
    if (connection->request != request || iostream_closed(stream))
        return taken;
    request->is_whole = done;
    connection->behind = length > taken;
    if (done && !request->is_paused)
        http1connection_serve(connection);
    return taken;
}

/* Paused or not, the body goes on here. Behind the head of an answer there is nothing to be said of going ahead. */
static void read_body(struct http1connection *connection)
{
    static const char go_ahead[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct httprequest *request = connection->request;

    if (request->head.expect_continue && !request->head_sent &&
        iostream_write(connection->stream, go_ahead, sizeof go_ahead - 1, NULL, NULL) < 0)
        iostreamlayer_fail(connection->stream, -ENOMEM);
    request->head.expect_continue = false;
    if (iostream_closed(connection->stream))
        return;
    http1connection_set_deadline(connection, request->reading.timeout, HTTP1CONNECTION_BODY);
    if (!iostream_closed(connection->stream))
        iostreamlayer_begin_read(connection->stream, consume_body, connection, request->is_whole);
}

/* False: it has been answered. */
static bool show_head(struct http1connection *connection, struct httprequest *request)
{
    struct httpserver *server = connection->server;

    request->is_known = true;
    server->options.on_head(request, server->arg);
    return connection->request == request;
}

void http1body_begin(struct http1connection *connection)
{
    struct httprequest *request = connection->request;
    struct httpserver *server = connection->server;

    request->has_body = true;
    memset(&request->reading, 0, sizeof request->reading);
    request->reading.most = server->options.max_body;
    request->reading.timeout = server->options.body_timeout;
    request->reading.began = deadline_now(server->loop);
    if (server->options.on_head != NULL && !show_head(connection, request))
        return;
    if (request->head.framing == HTTP1PARSER_LENGTH && request->head.content_length > request->reading.most)
        http1connection_refuse(connection, 413, "the body is over max_body");
    else if (!request->is_paused)
        read_body(connection);
    else
        iostream_set_consumer(connection->stream, NULL, NULL);
}

void http1body_pause(struct httprequest *request)
{
    struct http1connection *connection = request->connection;

    if (connection == NULL || connection->in_work || request->is_paused)
        return;
    request->is_paused = true;
    request->reading.paused_at = deadline_now(connection->server->loop);
    if (connection->stream->consumer == consume_body)
        iostream_set_consumer(connection->stream, NULL, NULL);
}

/* The time of the pause is not the client's. */
void http1body_resume(struct httprequest *request)
{
    struct http1connection *connection = request->connection;

    if (connection == NULL || connection->in_work || !request->is_paused)
        return;
    request->is_paused = false;
    request->reading.began += deadline_now(connection->server->loop) - request->reading.paused_at;
    if (connection->stream->consumer == NULL)
        read_body(connection);
}
