/* The body of a response: by its length, in chunks or until the end of the connection, inflated perhaps, into memory or
 * to the program, as fast as the program takes it. Long bodies of known length are received where they belong. */
#include <errno.h>
#include <string.h>

#include "httpclient/httpfetch.h"
#include "httpserver/httpfield.h"
#include "httpserver/httpinflate.h"
#include "ioloop/iobudget.h"
#include "ioloop/iostreamlayer.h"

#define AHEAD        65536u /* memory for bytes that are announced, more than for those that have come */
#define LEAST_IN_ONE 16384u /* bytes that are missing of a body for it to be received in place */
#define FIRST_BODY   1024u

/* Content codings, RFC 9110 8.4. */

/* One coding and no more; x-gzip is another name. NULL: it is another, or none. */
static const char *find_gzip_coding(const struct httpheaders *headers)
{
    const char *value = httpheaders_get(headers, "Content-Encoding");
    size_t length = value != NULL ? strlen(value) : 0;
    bool is_gzip =
        (length == 4 && httpfield_is_same(value, "gzip", 4)) || (length == 6 && httpfield_is_same(value, "x-gzip", 6));

    return is_gzip && httpheaders_get_next(headers, "Content-Encoding", value) == NULL ? value : NULL;
}

/* It does not describe the body that the program gets. */
static int rename_response_coding(struct httpheaders *headers, const char *value)
{
    char coding[sizeof "x-gzip"];

    strcpy(coding, value);
    httpheaders_remove(headers, "Content-Encoding"); /* first: there may be as many as there can be */
    int error = httpheaders_add(headers, "X-Consumed-Content-Encoding", coding);
    return error == -ENOBUFS ? -EMSGSIZE : error;
}

static struct httpinflate *take_spare_inflate(struct httpclient *client)
{
    struct httpinflate *inflate = client->spare_inflate;

    client->spare_inflate = NULL;
    return inflate != NULL ? inflate : httpinflate_new(HTTPINFLATE_GZIP, 15);
}

/* The body of a redirect is nobody's, and 206 (Partial Content) is a part of the file in gzip. */
static bool may_be_inflated(const struct httpfetch *fetch)
{
    return fetch->decompresses && !fetch->is_redirect && fetch->parsed.framing != HTTP1RESPONSE_NO_BODY &&
           fetch->parsed.status != 206;
}

int httpdownload_begin(struct httpfetch *fetch)
{
    const char *coding = may_be_inflated(fetch) ? find_gzip_coding(&fetch->response_headers) : NULL;

    if (coding == NULL)
        return 0;
    fetch->download.inflate = take_spare_inflate(fetch->client);
    return fetch->download.inflate != NULL ? rename_response_coding(&fetch->response_headers, coding) : -ENOMEM;
}

void httpdownload_release_inflate(struct httpfetch *fetch)
{
    struct httpclient *client = fetch->client;
    struct httpinflate *inflate = fetch->download.inflate;

    if (inflate == NULL)
        return;
    fetch->download.inflate = NULL;
    if (client->spare_inflate != NULL) {
        httpinflate_free(inflate);
        return;
    }
    httpinflate_reset(inflate);
    client->spare_inflate = inflate;
}

/* Into memory, or to the program. */

/* A room that a fetch before this one has left is not counted: there are not many, and they have 64 KiB at most. */
static bool __attribute__((noinline)) grow_body(struct httpfetch *fetch, size_t size)
{
    struct httpfetch_room *body = &fetch->body_in;
    const char *problem = NULL;
    bool is_counted = iobudget_count(body->counted, size);

    if (is_counted && httpfetch_make_room(body, size)) {
        body->counted = size;
        return true;
    }
    if (is_counted)
        (void)iobudget_count(size, body->counted);
    else
        problem = "over the budget for what peers make the process hold";
    httpfetch_fail(fetch, -ENOMEM, problem);
    return false;
}

/* False: it is over. Capacity grows with what has come, whatever is announced; one byte is for a NUL. */
static bool make_room_for_body(struct httpfetch *fetch, size_t length)
{
    struct httpfetch_room *body = &fetch->body_in;
    size_t least = body->length + length + 1;
    bool is_known = fetch->parsed.framing == HTTP1RESPONSE_LENGTH && fetch->download.inflate == NULL;

    if (least <= body->capacity)
        return true;
    size_t size = body->length < AHEAD ? body->length + AHEAD : body->length * 2;
    if (is_known && size > fetch->parsed.content_length)
        size = (size_t)fetch->parsed.content_length + 1;
    else if (!is_known && body->length < AHEAD)
        size = body->length + FIRST_BODY;
    return grow_body(fetch, size > least ? size : least);
}

static void collect(struct httpfetch *fetch, const char *data, size_t length)
{
    if (!make_room_for_body(fetch, length))
        return;
    memcpy(fetch->body_in.bytes + fetch->body_in.length, data, length);
    fetch->body_in.length += length;
}

/* False: it is over, or the parent's from here on. */
static inline __attribute__((always_inline)) bool hand_over_data(struct httpfetch *fetch, const char *data,
                                                                 size_t length)
{
    if (fetch->on_data == NULL) {
        collect(fetch, data, length);
        return !fetch->is_over;
    }
    fetch->on_data(data, length, fetch->callback_arg);
    return !fetch->is_over && !httpfetch_is_parents(fetch);
}

/* Answers how many bytes were taken, which are not all when the program pauses. */
static size_t inflate_data(struct httpfetch *fetch, const char *data, size_t length)
{
    struct httpfetch_download *download = &fetch->download;
    struct httpinflate_piece piece;
    size_t at = 0;

    do {
        ssize_t taken = httpinflate_decode(download->inflate, data + at, length - at, &piece);
        if (taken < 0) {
            httpfetch_fail(fetch, -EPROTO, httpinflate_problem(download->inflate));
            return length;
        }
        at += (size_t)taken;
        download->inflated += piece.length;
        download->has_more = taken > 0 || piece.length > 0;
        if (download->inflated > fetch->max_body) {
            httpfetch_fail(fetch, -EMSGSIZE, "the body, inflated, is over max_body");
            return length;
        }
        if (piece.length > 0 && !hand_over_data(fetch, piece.data, piece.length))
            return length;
    } while (download->has_more && !fetch->is_paused);
    return at;
}

/* A piece of the body as it came. Answers how many bytes of it were taken; all of them when the fetch is over. */
static size_t take_response_piece(struct httpfetch *fetch, const char *data, size_t length)
{
    struct httpfetch_download *download = &fetch->download;
    size_t taken = length;

    if (fetch->is_redirect)
        download->is_enough = download->received + length > HTTPFETCH_MOST_DRAINED;
    else if (download->received + length > fetch->max_body)
        httpfetch_fail(fetch, -EMSGSIZE, "the body is over max_body");
    else if (download->inflate != NULL)
        taken = inflate_data(fetch, data, length);
    else
        (void)hand_over_data(fetch, data, length);
    download->received += taken;
    return taken;
}

/* Framing. */

static int error_of_chunks(int status)
{
    return status == 413 || status == 431 ? -EMSGSIZE : status == 503 ? -ENOMEM : -EPROTO;
}

/* Decodes up to the end of a piece. 0: more bytes are needed. */
static size_t take_response_chunks(struct httpfetch *fetch, const char *data, size_t length)
{
    struct httpchunked_limits limits = {
        .body = fetch->is_redirect ? UINT64_MAX : fetch->max_body,
        .any_framing = fetch->on_data != NULL && !fetch->is_redirect,
    };
    struct httpchunked before = fetch->download.chunked;
    struct httpchunked_piece piece;
    ssize_t count = httpchunked_decode(&fetch->download.chunked, &limits, data, length, &piece, &fetch->trailers);

    if (count < 0) {
        httpfetch_fail(fetch, error_of_chunks((int)-count), piece.reason);
        return length;
    }
    size_t taken = piece.length > 0 ? take_response_piece(fetch, piece.data, piece.length) : 0;
    if (taken < piece.length) { /* the program has paused: back to there */
        fetch->download.chunked = before;
        count = httpchunked_decode(&fetch->download.chunked, &limits, data, (size_t)(piece.data - data) + taken, &piece,
                                   &fetch->trailers);
    } else {
        fetch->download.is_whole = piece.done;
    }
    return count > 0 ? (size_t)count : 0;
}

/* Also what goes on until the end. */
static size_t take_response_by_length(struct httpfetch *fetch, const char *data, size_t length)
{
    bool has_end = fetch->parsed.framing == HTTP1RESPONSE_LENGTH;
    uint64_t missing = has_end ? fetch->parsed.content_length - fetch->download.received : UINT64_MAX;
    size_t count = length < missing ? length : (size_t)missing;
    size_t taken = count > 0 ? take_response_piece(fetch, data, count) : 0;

    fetch->download.is_whole = taken == missing;
    return taken;
}

static bool may_tell_more(const struct httpfetch *fetch)
{
    return !fetch->is_paused && !fetch->is_over && !(fetch->on_data != NULL && httpfetch_is_parents(fetch));
}

/* What is left of what the last bytes were inflated to. False: it waits again, or is over. */
static bool inflate_rest(struct httpfetch *fetch)
{
    if (fetch->download.has_more && may_tell_more(fetch))
        (void)inflate_data(fetch, "", 0);
    return may_tell_more(fetch);
}

size_t httpdownload_take(struct httpfetch *fetch, const char *data, size_t length)
{
    struct httpfetch_download *download = &fetch->download;
    size_t taken = 0;

    while (inflate_rest(fetch) && !download->is_whole && !download->is_enough) {
        size_t some;
        if (fetch->parsed.framing == HTTP1RESPONSE_CHUNKED)
            some = take_response_chunks(fetch, data + taken, length - taken);
        else
            some = take_response_by_length(fetch, data + taken, length - taken);
        taken += some;
        if (some == 0)
            break;
    }
    return taken;
}

/* All has been told. An empty body is one in gzip, too. */
bool httpdownload_is_done(const struct httpfetch *fetch)
{
    return (fetch->download.is_whole && !fetch->download.has_more) || fetch->download.is_enough;
}

bool httpdownload_is_cut_off(const struct httpfetch *fetch)
{
    return fetch->download.inflate != NULL && fetch->download.received > 0 &&
           !httpinflate_done(fetch->download.inflate);
}

/* From the stream. */

static void receive_in_place(struct httppool_connection *connection, struct httpfetch *fetch);

static void received_in_place(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct httppool_connection *connection = arg;
    struct httpfetch *fetch = connection->fetch;

    if (fetch == NULL)
        return;
    fetch->progress = httpfetch_now(fetch);
    fetch->body_in.length += length;
    fetch->download.received += length;
    if (error < 0)
        http1exchange_lost(connection, error);
    else if (fetch->download.received == fetch->parsed.content_length)
        http1exchange_end(connection, fetch, true, NULL);
    else if (!fetch->is_paused)
        receive_in_place(connection, fetch);
}

static void receive_in_place(struct httppool_connection *connection, struct httpfetch *fetch)
{
    uint64_t missing = fetch->parsed.content_length - fetch->download.received;

    if (!make_room_for_body(fetch, 1))
        return;
    struct httpfetch_room *body = &fetch->body_in;
    size_t size = body->capacity - body->length - 1;
    int error = iostream_read_into_partial(connection->stream, body->bytes + body->length,
                                           size < missing ? size : (size_t)missing, received_in_place, connection);
    if (error < 0)
        http1exchange_lost(connection, error);
}

static size_t consume_response_body(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct httppool_connection *connection = arg;
    struct httpfetch *fetch = connection->fetch;

    if (fetch == NULL)
        return length;
    if (error == 0)
        fetch->progress = httpfetch_now(fetch);
    size_t taken = length > 0 ? httpdownload_go_on(connection, fetch, data, length) : 0;
    if (error < 0 && connection->fetch == fetch)
        http1exchange_lost(connection, error);
    return taken;
}

/* Goes on to wait for what is missing. */
static void await_body(struct httppool_connection *connection, struct httpfetch *fetch)
{
    struct iostream *stream = connection->stream;
    bool in_place = fetch->parsed.framing == HTTP1RESPONSE_LENGTH && fetch->on_data == NULL && !fetch->is_redirect &&
                    fetch->download.inflate == NULL &&
                    fetch->parsed.content_length - fetch->download.received >= LEAST_IN_ONE;

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

size_t httpdownload_go_on(struct httppool_connection *connection, struct httpfetch *fetch, const char *data,
                          size_t length)
{
    size_t taken = httpdownload_take(fetch, data, length);
    bool is_alone = length > 0 ? taken == length : connection->stream->input == NULL;

    if (fetch->is_over || (fetch->on_data != NULL && httpfetch_is_parents(fetch)))
        return length;
    if (httpdownload_is_done(fetch))
        http1exchange_end(connection, fetch, is_alone && !fetch->download.is_enough, length > 0 ? data + length : NULL);
    else if (!fetch->is_paused)
        await_body(connection, fetch);
    return taken;
}
