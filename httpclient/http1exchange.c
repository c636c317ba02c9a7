/* One request and its response over one connection: what a client makes of RFC 9112 6 and 9.
 *
 * Which consumer the stream has says what is awaited: a head · a body · nothing (paused, or lines have to be told
 * first). Long bodies of known length are received where they belong. */
#include <errno.h>
#include <string.h>

#include "httpclient/httpfetch.h"
#include "httpclient/httpredirect.h"
#include "httpclient/httprequesthead.h"
#include "ioloop/ioalloc.h"
#include "ioloop/iostreamlayer.h"

#define MAX_INTERIMS 10
#define MOST_DRAINED 65536u /* bytes of a redirect's body: beyond, a new connection is cheaper */
#define AHEAD        65536u /* memory for bytes that are announced, more than for those that have come */
#define LEAST_IN_ONE 16384u /* bytes that are missing of a body for it to be received in place */
#define FIRST_BODY   1024u

static size_t consume_response_body(struct iostream *stream, int error, const char *data, size_t length, void *arg);

/* The end of an exchange. */

static bool may_be_kept(const struct httppool_connection *connection, const struct httpfetch *fetch, bool is_alone)
{
    const struct httpclient_options *options = &connection->client->options;

    return is_alone && fetch->parsed.keep_alive && fetch->parsed.framing != HTTP1RESPONSE_UNTIL_CLOSE &&
           !fetch->closes && httpupload_is_sent(fetch) && !connection->client->closing && options->keep_time > 0 &&
           (options->max_uses == 0 || connection->uses < options->max_uses) && !iostream_closed(connection->stream);
}

/* Could there be more in the kernel than what came until here? Then it is looked for before the next request. */
static bool may_have_more(const struct httppool_connection *connection, const char *end)
{
    return end == NULL || connection->stream->input != NULL ||
           end == loopmember_scratch(connection->client->loop) + LOOPMEMBER_SCRATCH;
}

/* The response is whole. is_alone: no byte came behind it. end: where its last bytes end; NULL: not known. */
static void end_exchange(struct httppool_connection *connection, struct httpfetch *fetch, bool is_alone,
                         const char *end)
{
    if (may_be_kept(connection, fetch, is_alone))
        httppool_release(connection, may_have_more(connection, end));
    else
        httppool_drop(connection);
    httpfetch_finish(fetch);
}

static void leave_connection(struct httppool_connection *connection, struct httpfetch *fetch)
{
    connection->fetch = NULL;
    fetch->connection = NULL;
}

/* Out of the pool with its stream, which is the program's. */
static void hand_over(struct httppool_connection *connection, struct httpfetch *fetch)
{
    iostream_set_consumer(connection->stream, NULL, NULL);
    iostream_set_close_callback(connection->stream, NULL, NULL);
    fetch->upgraded = connection->stream;
    leave_connection(connection, fetch);
    httppool_detach(connection);
    httpfetch_finish(fetch);
}

/* A connection that was kept may have been closed by the server at the same moment: nothing came, so the request may
 * go once more, if that can do no harm, over one that is new. */
static bool may_retry(const struct httppool_connection *connection, const struct httpfetch *fetch, int error)
{
    if (connection->uses < 2 || fetch->has_received || fetch->upload.is_called)
        return false;
    if (error != -ESHUTDOWN && error != -ECONNRESET && error != -EPIPE)
        return false;
    return httprequesthead_is_idempotent(fetch->method) || fetch->is_unsent;
}

/* Some bodies end with their connection; by FIN, as a reset may have cut them off. */
static bool ends_with_connection(const struct httpfetch *fetch, int error)
{
    return error == -ESHUTDOWN && fetch->phase == HTTPCLIENT_BODY && fetch->parsed.framing == HTTP1RESPONSE_UNTIL_CLOSE;
}

void http1exchange_lost(struct httppool_connection *connection, int error)
{
    struct httpfetch *fetch = connection->fetch;

    if (loopmember_check(connection->client->loop) < 0)
        error = -ECANCELED;
    if (fetch->is_paused && fetch->lines_told < fetch->lines.length) {
        fetch->is_lost = true;
        fetch->lost_error = error;
        leave_connection(connection, fetch);
        httppool_drop(connection);
    } else if (ends_with_connection(fetch, error)) {
        end_exchange(connection, fetch, false, NULL);
    } else if (may_retry(connection, fetch, error)) {
        httpfetch_retry(fetch);
    } else if (error == -ESHUTDOWN) {
        httpfetch_fail(fetch, error, "the connection was closed");
    } else {
        httpfetch_fail(fetch, error, NULL);
    }
}

/* The body. */

/* False: no memory. Capacity grows with what has come, whatever is announced; one byte is for a NUL. */
static bool make_room_for_body(struct httpfetch *fetch, size_t length)
{
    struct httpfetch_room *body = &fetch->body_in;
    size_t least = body->length + length + 1;

    if (least <= body->capacity)
        return true;
    size_t size = body->length < AHEAD ? body->length + AHEAD : body->length * 2;
    if (fetch->parsed.framing == HTTP1RESPONSE_LENGTH && size > fetch->parsed.content_length)
        size = (size_t)fetch->parsed.content_length + 1;
    else if (fetch->parsed.framing != HTTP1RESPONSE_LENGTH && body->length < AHEAD)
        size = body->length + FIRST_BODY;
    return httpfetch_make_room(body, size > least ? size : least);
}

static void collect(struct httpfetch *fetch, const char *data, size_t length)
{
    if (!make_room_for_body(fetch, length)) {
        httpfetch_fail(fetch, -ENOMEM, NULL);
        return;
    }
    memcpy(fetch->body_in.bytes + fetch->body_in.length, data, length);
    fetch->body_in.length += length;
}

/* A piece of the body. A content coding would be undone here. */
static void take_response_piece(struct httpfetch *fetch, const char *data, size_t length)
{
    fetch->received += length;
    if (fetch->is_redirect) {
        if (fetch->received > MOST_DRAINED)
            end_exchange(fetch->connection, fetch, false, NULL);
    } else if (fetch->received > fetch->max_body) {
        httpfetch_fail(fetch, -EMSGSIZE, "the body is over max_body");
    } else if (fetch->on_data != NULL) {
        fetch->on_data(data, length, fetch->callback_arg);
    } else {
        collect(fetch, data, length);
    }
}

static int error_of_chunks(int status)
{
    return status == 413 || status == 431 ? -EMSGSIZE : status == 503 ? -ENOMEM : -EPROTO;
}

/* Decodes up to the end of a piece. 0: more bytes are needed. */
static size_t take_response_chunks(struct httpfetch *fetch, const char *data, size_t length, bool *done)
{
    struct httpchunked_limits limits = { .body = fetch->is_redirect ? UINT64_MAX : fetch->max_body };
    struct httpchunked_piece piece;
    ssize_t count = httpchunked_decode(&fetch->chunked, &limits, data, length, &piece, &fetch->trailers);

    if (count < 0) {
        httpfetch_fail(fetch, error_of_chunks((int)-count), piece.reason);
        return length;
    }
    *done = piece.done;
    if (piece.length > 0)
        take_response_piece(fetch, piece.data, piece.length);
    return (size_t)count;
}

/* Also what goes on until the end. */
static size_t take_response_by_length(struct httpfetch *fetch, const char *data, size_t length, bool *done)
{
    bool has_end = fetch->parsed.framing == HTTP1RESPONSE_LENGTH;
    uint64_t missing = has_end ? fetch->parsed.content_length - fetch->received : UINT64_MAX;
    size_t count = length < missing ? length : (size_t)missing;

    *done = count == missing;
    if (count > 0)
        take_response_piece(fetch, data, count);
    return count;
}

/* What is still the exchange of this connection: what the program did meanwhile may have ended it. */
static bool is_current(const struct httppool_connection *connection, const struct httpfetch *fetch)
{
    return connection->fetch == fetch;
}

static void receive_in_place(struct httppool_connection *connection, struct httpfetch *fetch);

static void received_in_place(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct httppool_connection *connection = arg;
    struct httpfetch *fetch = connection->fetch;

    if (fetch == NULL)
        return;
    fetch->progress = httpfetch_now(fetch);
    fetch->body_in.length += length;
    fetch->received += length;
    if (error < 0)
        http1exchange_lost(connection, error);
    else if (fetch->received == fetch->parsed.content_length)
        end_exchange(connection, fetch, true, NULL);
    else if (!fetch->is_paused)
        receive_in_place(connection, fetch);
}

static void receive_in_place(struct httppool_connection *connection, struct httpfetch *fetch)
{
    uint64_t missing = fetch->parsed.content_length - fetch->received;

    if (!make_room_for_body(fetch, 1)) {
        httpfetch_fail(fetch, -ENOMEM, NULL);
        return;
    }
    struct httpfetch_room *body = &fetch->body_in;
    size_t size = body->capacity - body->length - 1;
    int error = iostream_read_into_partial(connection->stream, body->bytes + body->length,
                                           size < missing ? size : (size_t)missing, received_in_place, connection);
    if (error < 0)
        http1exchange_lost(connection, error);
}

/* Goes on to wait for what is missing. */
static void await_body(struct httppool_connection *connection, struct httpfetch *fetch)
{
    struct iostream *stream = connection->stream;
    bool in_place = fetch->parsed.framing == HTTP1RESPONSE_LENGTH && fetch->on_data == NULL && !fetch->is_redirect &&
                    fetch->parsed.content_length - fetch->received >= LEAST_IN_ONE;

    if (in_place) {
        iostream_set_consumer(stream, NULL, NULL);
        receive_in_place(connection, fetch);
        return;
    }
    if (stream->consumer == consume_response_body)
        return;
    int error = iostream_set_consumer(stream, consume_response_body, connection);
    if (error < 0)
        http1exchange_lost(connection, error);
}

/* Takes what there is. Answers how much that was. */
static size_t go_on_with_body(struct httppool_connection *connection, struct httpfetch *fetch, const char *data,
                              size_t length)
{
    size_t taken = 0;
    bool done = false;

    while (!done && is_current(connection, fetch) && !fetch->is_paused) {
        size_t some;
        if (fetch->parsed.framing == HTTP1RESPONSE_CHUNKED)
            some = take_response_chunks(fetch, data + taken, length - taken, &done);
        else
            some = take_response_by_length(fetch, data + taken, length - taken, &done);
        taken += some;
        if (some == 0)
            break;
    }
    if (!is_current(connection, fetch))
        return length;
    if (done)
        end_exchange(connection, fetch, taken == length, data + length);
    else if (!fetch->is_paused)
        await_body(connection, fetch);
    return taken;
}

static size_t consume_response_body(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct httppool_connection *connection = arg;
    struct httpfetch *fetch = connection->fetch;

    if (fetch == NULL)
        return length;
    if (error < 0 && length == 0) {
        http1exchange_lost(connection, error);
        return 0;
    }
    if (error == 0)
        fetch->progress = httpfetch_now(fetch);
    size_t taken = go_on_with_body(connection, fetch, data, length);
    if (error < 0 && connection->fetch == fetch && !fetch->is_paused)
        http1exchange_lost(connection, error);
    return taken;
}

/* The head. */

/* Tells the lines that have not been told. False: the fetch is paused, or over. */
static bool tell_lines(struct httpfetch *fetch)
{
    struct httpfetch_room *lines = &fetch->lines;
    uint64_t id = fetch->id;

    while (lines->bytes != NULL && fetch->lines_told < lines->length && !fetch->is_paused && !fetch->is_over) {
        const char *line = lines->bytes + fetch->lines_told;
        const char *end = memchr(line, '\n', lines->length - fetch->lines_told);
        size_t length = (size_t)(end + 1 - line);
        fetch->lines_told += length;
        fetch->on_line(line, length, fetch->callback_arg);
    }
    return fetch->id == id && !fetch->is_paused && !fetch->is_over;
}

/* False: it is over. */
static bool keep_lines(struct httpfetch *fetch, const char *data, size_t size)
{
    fetch->lines.length = fetch->lines_told = 0;
    if (fetch->on_line == NULL || fetch->is_redirect)
        return true;
    if (!httpfetch_make_room(&fetch->lines, size)) {
        httpfetch_fail(fetch, -ENOMEM, NULL);
        return false;
    }
    memcpy(fetch->lines.bytes, data, size);
    fetch->lines.length = size;
    return true;
}

static int keep_headers(struct httpfetch *fetch, const char *data)
{
    const struct http1response *parsed = &fetch->parsed;
    int error = 0;

    httpheaders_clear(&fetch->response_headers);
    for (uint32_t i = 0; i < parsed->header_count && error == 0; i++) {
        const struct http1parser_header *header = &parsed->headers[i];
        error = httpheaders_add_bytes(&fetch->response_headers, data + header->name.offset, header->name.length,
                                      data + header->value.offset, header->value.length);
    }
    if (error < 0)
        return error == -ENOBUFS ? -EMSGSIZE : error == -ENOMEM ? -ENOMEM : -EPROTO;
    if (!httpfetch_make_room(&fetch->reason, parsed->reason.length + 1))
        return -ENOMEM;
    memcpy(fetch->reason.bytes, data + parsed->reason.offset, parsed->reason.length);
    fetch->reason.bytes[parsed->reason.length] = '\0';
    fetch->response.code = parsed->status;
    fetch->has_head = true;
    return 0;
}

/* C5: a redirect that leads nowhere is an answer like any other. */
static bool is_to_be_followed(const struct httpfetch *fetch)
{
    return fetch->follows && httpredirect_is_status(fetch->parsed.status) &&
           httpheaders_get(&fetch->response_headers, "Location") != NULL;
}

/* Of which the end is not worth waiting for. */
static bool has_long_body(const struct httpfetch *fetch)
{
    return fetch->parsed.framing == HTTP1RESPONSE_UNTIL_CLOSE ||
           (fetch->parsed.framing == HTTP1RESPONSE_LENGTH && fetch->parsed.content_length > MOST_DRAINED);
}

static void begin_body(struct httpfetch *fetch)
{
    fetch->phase = HTTPCLIENT_BODY;
    fetch->answered = httpfetch_now(fetch);
    fetch->received = 0;
    fetch->body_in.length = 0;
    memset(&fetch->chunked, 0, sizeof fetch->chunked);
    if (fetch->sent == 0)
        fetch->sent = fetch->connected;
}

/* The final head. Answers how many bytes were taken, all of them once the exchange is over. */
static size_t take_response_head(struct httppool_connection *connection, struct httpfetch *fetch, const char *data,
                                 size_t size, size_t length)
{
    int error = keep_headers(fetch, data);

    begin_body(fetch);
    if (error < 0) {
        httpfetch_fail(fetch, error, NULL);
        return length;
    }
    fetch->is_redirect = is_to_be_followed(fetch);
    if (fetch->is_redirect && fetch->redirects >= fetch->max_redirects)
        httpfetch_fail(fetch, -ELOOP, "too many redirects");
    else if (fetch->is_redirect && has_long_body(fetch))
        end_exchange(connection, fetch, false, NULL);
    else if (fetch->parsed.framing == HTTP1RESPONSE_LENGTH && fetch->parsed.content_length > fetch->max_body &&
             !fetch->is_redirect)
        httpfetch_fail(fetch, -EMSGSIZE, "the body is over max_body");
    else if (keep_lines(fetch, data, size) && tell_lines(fetch)) {
        if (fetch->parsed.framing != HTTP1RESPONSE_NO_BODY)
            return size + go_on_with_body(connection, fetch, data + size, length - size);
        end_exchange(connection, fetch, length == size, data + length);
    }
    return is_current(connection, fetch) ? size : length;
}

/* 1xx. */
static void take_interim(struct httpfetch *fetch)
{
    if (fetch->parsed.status == 101 && !fetch->upgrades)
        httpfetch_fail(fetch, -EPROTO, "it changes to another protocol unasked");
    else if (++fetch->interims > MAX_INTERIMS)
        httpfetch_fail(fetch, -EPROTO, "too many interim responses");
    else if (fetch->parsed.status == 100)
        httpupload_go_ahead(fetch);
}

static enum http1response_to asked_with(const struct httpfetch *fetch)
{
    return strcmp(fetch->method, "HEAD") == 0 ? HTTP1RESPONSE_TO_HEAD : HTTP1RESPONSE_TO_OTHER;
}

static void take_upgrade(struct httppool_connection *connection, struct httpfetch *fetch, const char *data)
{
    int error = keep_headers(fetch, data);

    begin_body(fetch);
    if (error < 0)
        httpfetch_fail(fetch, error, NULL);
    else
        hand_over(connection, fetch);
}

static size_t consume_response(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct httppool_connection *connection = arg;
    struct httpfetch *fetch = connection->fetch;

    if (fetch == NULL)
        return length;
    if (error < 0) {
        http1exchange_lost(connection, error);
        return length;
    }
    fetch->progress = httpfetch_now(fetch);
    fetch->has_received = true;
    fetch->parsed.headers = connection->client->headers;
    fetch->parsed.header_capacity = HTTP1PARSER_MAX_HEADERS;
    int size = http1response_parse(data, length, &fetch->limits, &fetch->scan, asked_with(fetch), &fetch->parsed);
    if (size == 0)
        return 0;
    if (size < 0) {
        httpfetch_fail(fetch, size, fetch->parsed.problem);
        return length;
    }
    if (fetch->parsed.status == 101 && fetch->upgrades) {
        take_upgrade(connection, fetch, data);
        return (size_t)size;
    }
    if (fetch->parsed.status < 200) {
        take_interim(fetch);
        return is_current(connection, fetch) ? (size_t)size : length;
    }
    return take_response_head(connection, fetch, data, (size_t)size, length);
}

/* The beginning. */

void http1exchange_begin(struct httppool_connection *connection, struct httpfetch *fetch)
{
    int64_t now = httpfetch_now(fetch);

    connection->fetch = fetch;
    connection->uses++;
    fetch->connection = connection;
    fetch->phase = HTTPCLIENT_SEND;
    fetch->connected = fetch->progress = now;
    fetch->response.is_reused = connection->uses > 1;
    int error = iostream_set_consumer(connection->stream, fetch->is_paused ? NULL : consume_response, connection);
    if (error < 0)
        iostreamlayer_fail(connection->stream, error);
    else
        httpupload_send(connection, fetch);
    if (!fetch->is_over)
        httpfetch_watch(fetch);
}

/* Pausing. */

/* A read in place goes on until something has come. */
void http1exchange_pause(struct httpfetch *fetch)
{
    fetch->is_paused = true;
    if (fetch->connection != NULL && fetch->phase >= HTTPCLIENT_SEND)
        iostream_set_consumer(fetch->connection->stream, NULL, NULL);
}

void http1exchange_resume(struct httpfetch *fetch)
{
    if (!fetch->is_paused)
        return;
    fetch->is_paused = false;
    fetch->progress = httpfetch_now(fetch);
    httpfetch_watch(fetch);
    looptask_add(fetch->client->loop, &fetch->resume_task);
}

/* The connection went while lines waited, which have been told now. */
static void end_without_connection(struct httpfetch *fetch)
{
    if (fetch->parsed.framing == HTTP1RESPONSE_NO_BODY || ends_with_connection(fetch, fetch->lost_error))
        httpfetch_finish(fetch);
    else
        httpfetch_fail(fetch, fetch->lost_error, NULL);
}

static void go_on_with_head(struct httppool_connection *connection)
{
    int error = iostream_set_consumer(connection->stream, consume_response, connection);

    if (error < 0)
        http1exchange_lost(connection, error);
}

/* Goes on where it was paused. */
void http1exchange_go_on(struct looptask *task)
{
    struct httpfetch *fetch = HTTPPOOL_OWNER(task, struct httpfetch, resume_task);
    struct httppool_connection *connection = fetch->connection;

    if (fetch->is_over || fetch->is_paused || fetch->phase < HTTPCLIENT_SEND ||
        (connection == NULL && !fetch->is_lost) || (connection != NULL && connection->stream->is_read_op))
        return;
    if (fetch->phase != HTTPCLIENT_BODY)
        go_on_with_head(connection);
    else if (!tell_lines(fetch))
        return;
    else if (connection == NULL)
        end_without_connection(fetch);
    else if (fetch->parsed.framing == HTTP1RESPONSE_NO_BODY)
        end_exchange(connection, fetch, connection->stream->input == NULL, NULL);
    else
        await_body(connection, fetch);
}
