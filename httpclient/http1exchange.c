/* One request and its response over one connection: what a client makes of RFC 9112 6 and 9.
 *
 * Which consumer the stream has says what is awaited: a head · a body (httpdownload.c) · nothing (paused, or the head
 * has to be told first). */
#include <errno.h>
#include <string.h>

#include "httpclient/httpfetch.h"
#include "httpclient/httpredirect.h"
#include "httpserver/httpheaderslayer.h"
#include "ioloop/ioalloc.h"
#include "ioloop/iostreamlayer.h"

#define MAX_INTERIMS 10

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
           end == loopfront_scratch(connection->client->loop) + LOOPFRONT_SCRATCH;
}

static void fail_cut_off(struct httpfetch *fetch)
{
    httpfetch_fail(fetch, -EPROTO, "the body, in gzip, is not whole");
}

void http1exchange_end(struct httppool_connection *connection, struct httpfetch *fetch, bool is_alone, const char *end)
{
    if (httpdownload_is_cut_off(fetch)) {
        fail_cut_off(fetch);
        return;
    }
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
    connection->stream->reads_on = false;
    iostream_set_nodelay(connection->stream, true);
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
    return httpfetch_may_resend(fetch) || fetch->is_unsent;
}

/* Some bodies end with their connection; by FIN, as a reset may have cut them off. */
static bool ends_with_connection(const struct httpfetch *fetch, int error)
{
    return error == -ESHUTDOWN && fetch->phase == HTTPCLIENT_BODY && fetch->parsed.framing == HTTP1RESPONSE_UNTIL_CLOSE;
}

/* Of what has come: lines, the head, a part of the body, or that this is all, which a pause holds back, too. */
static bool has_more_to_tell(const struct httpfetch *fetch)
{
    enum http1response_framing framing = fetch->parsed.framing;
    bool is_all = framing == HTTP1RESPONSE_NO_BODY || (framing == HTTP1RESPONSE_UNTIL_CLOSE && fetch->is_paused);

    return fetch->lines_told < fetch->lines.length || fetch->owes_head || fetch->download.has_more ||
           (fetch->phase == HTTPCLIENT_BODY && is_all);
}

void http1exchange_lost(struct httppool_connection *connection, int error)
{
    struct httpfetch *fetch = connection->fetch;

    if (loopmember_check(connection->client->loop) < 0)
        error = -ECANCELED;
    if (has_more_to_tell(fetch)) {
        fetch->is_lost = true;
        fetch->lost_error = error;
        leave_connection(connection, fetch);
        httppool_drop(connection);
        looptask_add(fetch->client->loop, &fetch->resume_task); /* it may have been resumed before this was known */
    } else if (ends_with_connection(fetch, error)) {
        http1exchange_end(connection, fetch, false, NULL);
    } else if (may_retry(connection, fetch, error)) {
        httpfetch_retry(fetch);
    } else if (error == -ESHUTDOWN) {
        httpfetch_fail(fetch, error, "the connection was closed");
    } else {
        httpfetch_fail(fetch, error, NULL);
    }
}

/* The head. */

/* What is still the exchange of this connection: what the program did meanwhile may have ended it. */
static bool is_current(const struct httppool_connection *connection, const struct httpfetch *fetch)
{
    return connection->fetch == fetch;
}

static bool may_go_on(const struct httpfetch *fetch)
{
    return !fetch->is_paused && !fetch->is_over;
}

/* Tells what has not been told: the lines, then the head as a whole. False: the fetch is paused, or over, or in here
 * has become the parent's. */
static bool tell_head(struct httpfetch *fetch)
{
    struct httpfetch_room *lines = &fetch->lines;
    bool is_ours = true;

    while (is_ours && lines->bytes != NULL && fetch->lines_told < lines->length && may_go_on(fetch)) {
        const char *line = lines->bytes + fetch->lines_told;
        const char *end = memchr(line, '\n', lines->length - fetch->lines_told);
        size_t length = (size_t)(end + 1 - line);
        fetch->lines_told += length;
        fetch->on_line(line, length, fetch->callback_arg);
        is_ours = !httpfetch_is_parents(fetch);
    }
    if (is_ours && fetch->owes_head && may_go_on(fetch)) {
        httpfetch_tell_head(fetch);
        is_ours = !httpfetch_is_parents(fetch);
    }
    return is_ours && may_go_on(fetch);
}

/* What is to be told of the head. False: it is over. */
static bool keep_lines(struct httpfetch *fetch, const char *data, size_t size)
{
    fetch->lines.length = fetch->lines_told = 0;
    if (fetch->is_redirect)
        return true;
    if (fetch->on_head != NULL)
        fetch->owes_head = true;
    if (fetch->on_line == NULL)
        return true;
    if (!httpfetch_make_room(&fetch->lines, size)) {
        httpfetch_fail(fetch, -ENOMEM, NULL);
        return false;
    }
    memcpy(fetch->lines.bytes, data, size);
    fetch->lines.length = size;
    return true;
}

/* All of it, or nothing. */
static int keep_head(struct httpfetch *fetch, const char *data)
{
    const struct http1response *parsed = &fetch->parsed;

    httpheaderslayer_clear(&fetch->response_headers);
    if (!httpfetch_make_room(&fetch->reason, parsed->reason.length + 1))
        return -ENOMEM;
    int error = httpheaderslayer_take_parsed(&fetch->response_headers, data, parsed->headers, parsed->header_count);
    if (error < 0)
        return error == -ENOBUFS ? -EMSGSIZE : error == -ENOMEM ? -ENOMEM : -EPROTO;
    memcpy(fetch->reason.bytes, data + parsed->reason.offset, parsed->reason.length);
    fetch->reason.bytes[parsed->reason.length] = '\0';
    fetch->response.code = parsed->status;
    fetch->has_head = true;
    return 0;
}

/* A redirect that leads nowhere is an answer like any other. */
static bool is_to_be_followed(const struct httpfetch *fetch)
{
    return fetch->follows && httpredirect_is_status(fetch->parsed.status) &&
           httpheaders_get(&fetch->response_headers, "Location") != NULL;
}

/* RFC 9112 6.1, 6.2: 204 has no body, and does not say that it has. */
static bool contradicts_itself(const struct httpfetch *fetch)
{
    return fetch->parsed.status == 204 &&
           (fetch->parsed.content_length > 0 || httpheaders_get(&fetch->response_headers, "Transfer-Encoding") != NULL);
}

/* Of which the end is not worth waiting for. */
static bool has_long_body(const struct httpfetch *fetch)
{
    return fetch->parsed.framing == HTTP1RESPONSE_UNTIL_CLOSE ||
           (fetch->parsed.framing == HTTP1RESPONSE_LENGTH && fetch->parsed.content_length > HTTPFETCH_MOST_DRAINED);
}

static void begin_body(struct httpfetch *fetch)
{
    if (fetch->upload.waits_for_100)
        httpupload_stop(fetch); /* a final answer: the body is not wanted */
    fetch->phase = HTTPCLIENT_BODY;
    fetch->answered = httpfetch_now(fetch);
    fetch->body_in.length = 0;
    memset(&fetch->download, 0, sizeof fetch->download);
    if (fetch->sent == 0) /* it is sending until then */
        fetch->sent = fetch->answered;
}

/* The final head. Answers how many bytes were taken, all of them once the exchange is over. */
static size_t take_response_head(struct httppool_connection *connection, struct httpfetch *fetch, const char *data,
                                 size_t size, size_t length)
{
    int error = keep_head(fetch, data);

    begin_body(fetch);
    if (error == 0 && contradicts_itself(fetch)) {
        fetch->phase = HTTPCLIENT_HEAD;
        httpfetch_fail(fetch, -EPROTO, "204 (No Content), but it has a body");
        return length;
    }
    fetch->is_redirect = error == 0 && is_to_be_followed(fetch);
    if (error == 0)
        error = httpdownload_begin(fetch);
    if (error < 0)
        httpfetch_fail(fetch, error, NULL);
    else if (fetch->is_redirect && fetch->redirects >= fetch->max_redirects)
        httpfetch_fail(fetch, -ELOOP, "too many redirects");
    else if (fetch->is_redirect && has_long_body(fetch))
        http1exchange_end(connection, fetch, false, NULL);
    else if (fetch->parsed.framing == HTTP1RESPONSE_LENGTH && fetch->parsed.content_length > fetch->max_body &&
             !fetch->is_redirect)
        httpfetch_fail(fetch, -EMSGSIZE, "the body is over max_body");
    else if (keep_lines(fetch, data, size) && tell_head(fetch)) {
        if (fetch->parsed.framing != HTTP1RESPONSE_NO_BODY)
            return size + httpdownload_go_on(connection, fetch, data + size, length - size);
        http1exchange_end(connection, fetch, length == size, data + length);
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
    return fetch->method[0] == 'H' && strcmp(fetch->method, "HEAD") == 0 ? HTTP1RESPONSE_TO_HEAD
                                                                         : HTTP1RESPONSE_TO_OTHER;
}

/* HTTP/1.0 knows neither Upgrade nor 1xx (RFC 9110 7.8, 15.2): such a 101 is of somebody who does not know what it
 * says.
 */
static void take_upgrade(struct httppool_connection *connection, struct httpfetch *fetch, const char *data)
{
    int error = keep_head(fetch, data);

    begin_body(fetch);
    if (error < 0)
        httpfetch_fail(fetch, error, NULL);
    else if (fetch->parsed.minor_version == 0)
        httpfetch_fail(fetch, -EPROTO, "it changes to another protocol in HTTP/1.0");
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

/* The connection went while something had to wait, which is told now. */
static void go_on_without_connection(struct httpfetch *fetch)
{
    if (fetch->parsed.framing != HTTP1RESPONSE_NO_BODY)
        (void)httpdownload_take(fetch, "", 0);
    if (fetch->is_over)
        return;
    bool is_done = fetch->parsed.framing == HTTP1RESPONSE_NO_BODY || httpdownload_is_done(fetch);
    if (!is_done && fetch->is_paused)
        return;
    if (!is_done && !ends_with_connection(fetch, fetch->lost_error))
        httpfetch_fail(fetch, fetch->lost_error, NULL);
    else if (httpdownload_is_cut_off(fetch))
        fail_cut_off(fetch);
    else
        httpfetch_finish(fetch);
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
        (connection == NULL && !fetch->is_lost) ||
        (connection != NULL && (connection->stream->is_read_op || iostream_closed(connection->stream))))
        return;
    if (fetch->phase != HTTPCLIENT_BODY)
        go_on_with_head(connection);
    else if (!tell_head(fetch))
        return;
    else if (connection == NULL)
        go_on_without_connection(fetch);
    else if (fetch->parsed.framing == HTTP1RESPONSE_NO_BODY)
        http1exchange_end(connection, fetch, connection->stream->input == NULL, NULL);
    else
        httpdownload_go_on(connection, fetch, "", 0);
}
