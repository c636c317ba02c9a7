/* The body of a request: by its length or in chunks, inflated perhaps, into memory or to the program, as fast as the
 * program takes it and not slower than the client may be. */
#include <errno.h>
#include <string.h>

#include "httpserver/http1connection.h"
#include "httpserver/httpfield.h"
#include "httpserver/httpinflate.h"
#include "httpserver/httpserverlayer.h"
#include "ioloop/ioalloc.h"
#include "ioloop/iostreamlayer.h"
#include "ioloop/loopmember.h"

#define TICK_SECONDS ((double)(1 << DEADLINE_TICK_BITS) / 1e9)

/* When so many bytes of a body have come and are still to come, these are received right behind those; so many at once,
 * as others have their turn too. */
#define LEAST_IN_PLACE 16384u
#define MOST_IN_PLACE  262144u

static size_t consume_body(struct iostream *stream, int error, const char *data, size_t length, void *arg);

/* A client that has had half of body_timeout has to have kept up the average, with what has just come. */
static bool is_too_slow(const struct httprequest *request, size_t length, uint32_t now)
{
    double elapsed = (double)(now - request->reading.began) * TICK_SECONDS;

    return elapsed > request->reading.timeout / 2 && (double)request->reading.received + (double)length <
                                                         elapsed * (double)request->server->options.min_body_rate;
}

/* Behind a callback: it has not been refused, or answered. In a child of fork() that this has made it is the
 * parent's. */
static bool goes_on(const struct http1connection *connection, const struct httprequest *request)
{
    return connection->request == request && !loopmember_is_stale(http1connection_stream(connection)->loop);
}

/* What was received in its place is there already. False: that was all. */
static bool hand_over_piece(struct http1connection *connection, struct httprequest *request, const char *data,
                            size_t length)
{
    if (request->reading.on_data != NULL)
        request->reading.on_data(request, data, length, request->reading.on_data_arg);
    else if (data == request->reading.place.memory)
        iobuffer_commit(request->body, length);
    else if (iobuffer_append(&request->body, data, length) < 0)
        http1connection_refuse(connection, 503, "no memory for a body");
    return goes_on(connection, request);
}

/* Bytes of the body as they came. Answers how many were taken, which are not all when the program pauses. */
static size_t inflate_piece(struct http1connection *connection, struct httprequest *request, const char *data,
                            size_t length)
{
    struct httpinflate *inflate = request->reading.inflate;
    struct httpinflate_piece piece;
    size_t at = 0;

    do {
        ssize_t taken = httpinflate_decode(inflate, data + at, length - at, &piece);
        request->reading.inflated += piece.length;
        if (taken < 0) {
            http1connection_refuse(connection, 400, httpinflate_problem(inflate));
            return length;
        }
        if (request->reading.inflated > request->reading.most) {
            http1connection_refuse(connection, 413, "the body, inflated, is over max_body");
            return length;
        }
        at += (size_t)taken;
        request->reading.has_more = taken > 0 || piece.length > 0;
        if (piece.length > 0 && !hand_over_piece(connection, request, piece.data, piece.length))
            return length;
    } while (request->reading.has_more && !request->is_paused);
    return at;
}

/* Answers how many bytes were taken; all of them when the request is over. */
static size_t take_piece(struct http1connection *connection, struct httprequest *request, const char *data,
                         size_t length)
{
    size_t taken = length;

    if (request->reading.inflate != NULL)
        taken = inflate_piece(connection, request, data, length);
    else if (length > 0)
        (void)hand_over_piece(connection, request, data, length);
    if (connection->request == request)
        request->reading.received += taken;
    return taken;
}

/* The whole body has come. None at all is fine, as it is with a length of 0. False: it was refused. */
static bool end_coding(struct http1connection *connection, struct httprequest *request)
{
    struct httpserver *server = request->server;
    struct httpinflate *inflate = request->reading.inflate;

    if (inflate == NULL)
        return true;
    if (!httpinflate_done(inflate) && request->reading.received > 0) {
        http1connection_refuse(connection, 400, "the body, in gzip, is not whole");
        return false;
    }
    request->reading.inflate = NULL;
    httpserverlayer_give_inflate(server, inflate);
    return true;
}

/* Takes a piece. Answers how many bytes that were, all of them when the request is over; *done: it was the last. */
static size_t take_by_length(struct http1connection *connection, const char *data, size_t length, bool *done)
{
    struct httprequest *request = connection->request;
    uint64_t missing = request->head.content_length - request->reading.received;
    size_t count = length < missing ? length : (size_t)missing;
    size_t taken = take_piece(connection, request, data, count);

    if (connection->request != request)
        return length;
    *done = taken == missing && !request->reading.has_more;
    return *done && !end_coding(connection, request) ? length : taken;
}

/* The chunk goes back to where the program has paused. */
static size_t undo_chunk(struct httprequest *request, const struct httpchunked *before,
                         const struct httpchunked_limits *limits, const char *data, size_t length)
{
    struct httpchunked_piece piece;

    request->reading.chunked = *before;
    ssize_t count =
        httpchunked_decode(&request->reading.chunked, limits, data, length, &piece, &request->reading.trailers);
    return count > 0 ? (size_t)count : 0;
}

static size_t take_chunked(struct http1connection *connection, const char *data, size_t length, bool *done)
{
    struct httprequest *request = connection->request;
    struct httpchunked_limits limits = { .body = request->reading.most };
    struct httpchunked before = request->reading.chunked;
    struct httpchunked_piece piece;
    ssize_t count =
        httpchunked_decode(&request->reading.chunked, &limits, data, length, &piece, &request->reading.trailers);

    if (count < 0) {
        http1connection_refuse(connection, (int)-count, piece.reason);
        return length;
    }
    size_t taken = take_piece(connection, request, piece.data, piece.length);
    if (connection->request != request)
        return length;
    if (taken < piece.length)
        return undo_chunk(request, &before, &limits, data, (size_t)(piece.data - data) + taken);
    *done = piece.done && !request->reading.has_more;
    return *done && !end_coding(connection, request) ? length : (size_t)count;
}

/* The rest of a long body is received where it is collected. Room for it grows with what has come, never with what was
 * only announced. Where there is no memory, the next bytes come by the usual way, and are refused if there still is
 * none. */
static void find_place(struct http1connection *connection, struct httprequest *request)
{
    struct iostreamlayer_place *place = &request->reading.place;
    struct iostream *stream = http1connection_stream(connection);
    uint64_t missing = request->head.content_length - request->reading.received;

    *place = (struct iostreamlayer_place){ 0 };
    if (missing > MOST_IN_PLACE)
        missing = MOST_IN_PLACE;
    if (request->head.framing != HTTP1PARSER_LENGTH || request->reading.inflate != NULL ||
        request->reading.on_data != NULL || missing < LEAST_IN_PLACE || request->reading.received < LEAST_IN_PLACE)
        return;
    place->memory = iobuffer_reserve(&request->body, LEAST_IN_PLACE);
    if (place->memory == NULL)
        return;
    size_t room = iobuffer_room(request->body);
    place->size = room < missing ? room : (size_t)missing;
    if (!stream->has_place)
        iostreamlayer_begin_placed_read(stream, consume_body, place, false);
}

/* By something that nobody has looked for: a body that was received in its place. */
static bool is_followed(const struct httprequest *request, const char *data)
{
    return data == request->reading.place.memory && !request->head.keep_alive;
}

/* arg is the connection's, or the place's, which goes with the request. */
static size_t consume_body(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct http1connection *connection = iostream_user(stream);
    struct httprequest *request = connection->request;
    uint32_t now = deadline_now(stream->loop);
    size_t taken = 0;

    if (error < 0) {
        http1connection_input_ended(connection, error); /* truncated: not a request */
        return length;
    }
    bool done = request->is_whole;
    if (connection->deadline_is == HTTP1CONNECTION_BODY) /* not what it has to read meanwhile */
        deadline_touch(&connection->deadline, now);
    if (!done && is_too_slow(request, length, now)) {
        http1connection_refuse(connection, 408, "the body is too slow");
        return length;
    }
    if (!done)
        taken = request->head.framing == HTTP1PARSER_LENGTH ? take_by_length(connection, data, length, &done)
                                                            : take_chunked(connection, data, length, &done);
    if (!goes_on(connection, request) || iostream_closed(stream))
        return taken;
    request->is_whole = done;
    connection->behind = length > taken || is_followed(request, data);
    if (!done)
        find_place(connection, request);
    else if (!request->is_paused)
        http1connection_serve(connection);
    return taken;
}

/* Paused or not, the body goes on here. Behind the head of an answer there is nothing to be said of going ahead. */
static void read_body(struct http1connection *connection)
{
    static const char go_ahead[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct httprequest *request = connection->request;

    if (request->head.expect_continue && !request->head_sent &&
        iostream_write(http1connection_stream(connection), go_ahead, sizeof go_ahead - 1, NULL, NULL) < 0)
        iostreamlayer_fail(http1connection_stream(connection), -ENOMEM);
    request->head.expect_continue = false;
    if (connection->deadline_is != HTTP1CONNECTION_WRITE) /* else it follows when the client has read what it has to */
        http1connection_set_deadline(connection, request->reading.timeout, HTTP1CONNECTION_BODY);
    if (!iostream_closed(http1connection_stream(connection)))
        iostreamlayer_begin_read(http1connection_stream(connection), consume_body, connection,
                                 request->is_whole || request->reading.has_more);
}

/* Content codings, RFC 9110 8.4. */

/* Of one coding and no more; x-gzip is another name. */
static struct http1parser_header *find_gzip(struct httprequest *request)
{
    struct http1parser_header *found = NULL;

    for (uint32_t i = 0; i < request->head.header_count; i++) {
        struct http1parser_header *header = &request->head.headers[i];
        const char *value = request->bytes + header->value.offset;
        size_t length = header->value.length;

        if (header->name.length != 16 ||
            !httpfield_is_same(request->bytes + header->name.offset, "Content-Encoding", 16))
            continue;
        if (found != NULL || !((length == 4 && httpfield_is_same(value, "gzip", 4)) ||
                               (length == 6 && httpfield_is_same(value, "x-gzip", 6))))
            return NULL;
        found = header;
    }
    return found;
}

/* It does not describe the body that the program gets. The new name is put behind the head: the last header, and a NUL,
 * are the end of what is still needed there. */
static int rename_coding(struct httprequest *request, struct http1parser_header *header)
{
    static const char name[] = "X-Consumed-Content-Encoding";
    struct http1parser_slice last = request->head.headers[request->head.header_count - 1].value;
    size_t end = last.offset + (size_t)last.length + 1;
    bool is_short = request->bytes == request->short_head;

    if (!is_short || end + sizeof name > sizeof request->short_head) {
        char *bytes = ioalloc_resize(is_short ? NULL : request->bytes, end + sizeof name);
        if (bytes == NULL)
            return -ENOMEM;
        if (is_short)
            memcpy(bytes, request->bytes, end);
        request->bytes = bytes;
    }
    memcpy(request->bytes + end, name, sizeof name);
    header->name = (struct http1parser_slice){ (uint32_t)end, sizeof name - 1 };
    return 0;
}

/* False: no memory. */
static bool begin_coding(struct httprequest *request)
{
    struct http1parser_header *header = request->server->options.decompress_request ? find_gzip(request) : NULL;

    if (header == NULL)
        return true;
    request->reading.inflate = httpserverlayer_take_inflate(request->server);
    return request->reading.inflate != NULL && rename_coding(request, header) == 0;
}

/* False: it goes on no further. */
static bool show_head(struct http1connection *connection, struct httprequest *request)
{
    struct httpserver *server = request->server;

    request->is_known = true;
    server->options.on_head(request, server->arg);
    return goes_on(connection, request);
}

void http1body_begin(struct http1connection *connection)
{
    struct httprequest *request = connection->request;
    struct httpserver *server = request->server;

    request->has_body = true;
    memset(&request->reading, 0, sizeof request->reading);
    request->reading.most = server->options.max_body;
    request->reading.timeout = server->options.body_timeout;
    request->reading.began = deadline_now(server->loop);
    if (!begin_coding(request)) {
        http1connection_refuse(connection, 503, "no memory to inflate a body");
        return;
    }
    if (server->options.on_head != NULL && !show_head(connection, request))
        return;
    if (request->head.framing == HTTP1PARSER_LENGTH && request->head.content_length > request->reading.most)
        http1connection_refuse(connection, 413, "the body is over max_body");
    else if (!request->is_paused)
        read_body(connection);
    else
        iostream_set_consumer(http1connection_stream(connection), NULL, NULL);
}

void http1body_pause(struct httprequest *request)
{
    struct http1connection *connection = request->connection;

    if (connection == NULL || connection->in_work || request->is_paused)
        return;
    request->is_paused = true;
    request->reading.paused_at = deadline_now(request->server->loop);
    if (http1connection_stream(connection)->consumer == consume_body)
        iostream_set_consumer(http1connection_stream(connection), NULL, NULL);
}

/* The time of the pause is not the client's. */
void http1body_resume(struct httprequest *request)
{
    struct http1connection *connection = request->connection;

    if (connection == NULL || connection->in_work || !request->is_paused)
        return;
    request->is_paused = false;
    request->reading.began += deadline_now(request->server->loop) - request->reading.paused_at;
    if (http1connection_stream(connection)->consumer == NULL)
        read_body(connection);
}
