#include "httpserver/http1connection.h"

#include <errno.h>
#include <string.h>

#include "httpserver/httpserverlayer.h"
#include "httpserver/httpstatus.h"
#include "ioloop/ioalloc.h"
#include "ioloop/iolog.h"
#include "ioloop/iostreamlayer.h"

#define LINGER_SECONDS 5
#define LINGER_BYTES   65536u
#define MOST_UNSENT    LOOPMEMBER_CORK /* with more of its answers unread, a client's next request has to wait */

static size_t consume_head(struct iostream *stream, int error, const char *data, size_t length, void *arg);

/* Deadlines. */

static void deadline_passed(struct deadline *deadline);

static void set_deadline(struct http1connection *connection, double seconds, enum http1connection_deadline what)
{
    connection->deadline_is = what;
    if (deadline_set(connection->server->loop, &connection->deadline, seconds, deadline_passed) < 0)
        iostreamlayer_fail(connection->stream, -ENOMEM);
}

/* Between requests: most of the time the deadline runs already, and starts again by one store. */
static void idle(struct http1connection *connection)
{
    connection->head_began = false;
    connection->unsent = 0;
    if (connection->deadline_is == HTTP1CONNECTION_IDLE)
        deadline_touch(&connection->deadline, deadline_now(connection->server->loop));
    else
        set_deadline(connection, connection->server->options.idle_timeout, HTTP1CONNECTION_IDLE);
}

/* Nothing is under way, but perhaps the end of an answer. */
static bool is_idle(const struct http1connection *connection)
{
    return connection->request == NULL && !connection->head_began && !connection->finishing;
}

/* Ending. */

static size_t drop_bytes(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct http1connection *connection = arg;

    connection->dropped += length < LINGER_BYTES ? (uint32_t)length : LINGER_BYTES;
    if (error >= 0 && connection->dropped < LINGER_BYTES)
        return length;
    if (iostream_pending(stream) > 0 && (error >= 0 || error == -ESHUTDOWN))
        iostream_set_consumer(stream, NULL, NULL); /* until all is sent, or the deadline */
    else
        iostream_close(stream);
    return length;
}

/* A socket that is closed with bytes unread resets its peer, who may then lose the answer. So the last answer is
 * followed by FIN, and what still comes is dropped for a while. A peer who has finished sending cannot be waited for:
 * there the stream ends by itself when all is sent. */
static void linger(struct http1connection *connection)
{
    struct iostream *stream = connection->stream;

    connection->finishing = true;
    iostream_shutdown(stream);
    if (iostream_closed(stream))
        return;
    iostream_set_consumer(stream, drop_bytes, connection);
    set_deadline(connection, LINGER_SECONDS, HTTP1CONNECTION_OTHER);
}

/* Between the requests of a client that sends no more, or inside one. It may still be reading. */
static void input_ended(struct http1connection *connection, int error)
{
    if (error == -ESHUTDOWN && iostream_pending(connection->stream) > 0)
        linger(connection);
    else
        iostream_close(connection->stream);
}

static void release_request(struct http1connection *connection)
{
    httpserverlayer_give_request(connection->server, connection->request);
    connection->request = NULL;
    connection->in_work = false;
}

static void read_next(struct http1connection *connection)
{
    if (iostream_set_consumer(connection->stream, consume_head, connection) < 0)
        linger(connection);
    else
        idle(connection);
}

static void answer_sent(struct iostream *stream, int error, void *arg)
{
    struct http1connection *connection = arg;

    if (error == 0 && !connection->finishing && !iostream_closed(stream))
        read_next(connection);
}

/* A client that asks for more than it reads: its answers are not to pile up here. */
static void wait_until_sent(struct http1connection *connection)
{
    struct iostream *stream = connection->stream;

    iostream_set_consumer(stream, NULL, NULL);
    connection->head_began = false;
    connection->unsent = iostream_pending(stream);
    if (iostream_write(stream, NULL, 0, answer_sent, connection) < 0)
        iostreamlayer_fail(stream, -ENOMEM);
    else
        set_deadline(connection, connection->server->options.body_timeout, HTTP1CONNECTION_OTHER);
}

/* The end of one exchange, and the way to the next. */
static void go_on(struct http1connection *connection, bool keep_alive)
{
    if (iostream_closed(connection->stream))
        return;
    if (!keep_alive)
        linger(connection);
    else if (iostream_pending(connection->stream) > MOST_UNSENT)
        wait_until_sent(connection);
    else
        read_next(connection);
}

/* Answers. */

static size_t put(char *place, const char *text, size_t length)
{
    memcpy(place, text, length);
    return length;
}

#define PUT(place, literal) put(place, literal, sizeof literal - 1)

static size_t put_number(char *place, uint64_t number)
{
    char digits[20];
    size_t count = 0;

    do
        digits[sizeof digits - ++count] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    return put(place, digits + sizeof digits - count, count);
}

static size_t put_status_line(char *place, int status)
{
    const char *reason = httpstatus_reason(status);
    size_t size = PUT(place, "HTTP/1.1 ");

    if (reason == NULL)
        reason = "Unknown";
    size += put_number(place + size, (uint64_t)status);
    place[size++] = ' ';
    size += put(place + size, reason, strlen(reason));
    return size + PUT(place + size, "\r\n");
}

#define LONGEST_HEAD (HTTP1CONNECTION_LONGEST_TYPE + 384) /* of what put_head puts */

/* 1xx is not sent from here. 204 has no length, and that of 304 would be that of the page (RFC 9110 8.6). */
static size_t put_head(struct http1connection *connection, char *place, int status, const char *content_type,
                       size_t length, bool keep_alive, int minor_version)
{
    size_t size = put_status_line(place, status);

    size += PUT(place + size, "Server: ioloop\r\nDate: ");
    size += put(place + size, httpserverlayer_date(connection->server), HTTPDATE_LENGTH);
    if (content_type != NULL) {
        size += PUT(place + size, "\r\nContent-Type: ");
        size += put(place + size, content_type, strlen(content_type));
    }
    if (status != 204 && status != 304) {
        size += PUT(place + size, "\r\nContent-Length: ");
        size += put_number(place + size, length);
    }
    if (!keep_alive)
        size += PUT(place + size, "\r\nConnection: close");
    else if (minor_version == 0)
        size += PUT(place + size, "\r\nConnection: keep-alive");
    return size + PUT(place + size, "\r\n\r\n");
}

int http1connection_answer(struct http1connection *connection, int status, const char *content_type, const void *body,
                           size_t length)
{
    struct httprequest *request = connection->request;
    bool keep_alive = request->head.keep_alive && !connection->server->closing && !connection->finishing;
    bool has_body = request->head.method_code != HTTP1PARSER_HEAD && status != 204 && status != 304;
    char head[LONGEST_HEAD];

    if (status == 205)
        length = 0; /* RFC 9110 15.3.6 */
    struct iovec vector[2] = { { head, 0 }, { (void *)body, length } };

    vector[0].iov_len =
        put_head(connection, head, status, content_type, length, keep_alive, request->head.minor_version);
    int error = iostream_writev(connection->stream, vector, has_body && length > 0 ? 2 : 1, NULL, NULL);
    release_request(connection);
    go_on(connection, keep_alive && error == 0);
    return error;
}

/* What is not a request gets its status and nothing of what it sent. */
static void refuse(struct http1connection *connection, int status, const char *why)
{
    char page[96];
    const char *reason = httpstatus_reason(status);
    size_t size = put_number(page, (uint64_t)status);

    iolog_write(IOLOG_GENERAL, IOLOG_INFO, "refused with %d: %s", status, why);
    size += PUT(page + size, ": ");
    size += put(page + size, reason, strlen(reason));
    page[size++] = '\n';
    if (connection->request == NULL)
        connection->request = httpserverlayer_take_request(connection->server);
    if (connection->request == NULL) {
        iostreamlayer_fail(connection->stream, -ENOMEM);
        return;
    }
    connection->finishing = true;
    http1connection_answer(connection, status, "text/plain", page, size);
}

/* Requests. */

/* The program may hold on to texts of the head until it answers: longer than the stream lends them. */
static bool copy_head(struct httprequest *request, const char *data, size_t size)
{
    request->bytes = size <= sizeof request->short_head ? request->short_head : ioalloc(size);
    if (request->bytes != NULL)
        memcpy(request->bytes, data, size);
    return request->bytes != NULL;
}

static void serve(struct http1connection *connection)
{
    struct httprequest *request = connection->request;
    struct httpserver *server = connection->server;

    connection->in_work = true;
    server->on_request(request, server->arg);
    if (connection->request == request && connection->in_work)
        iostream_set_consumer(connection->stream, NULL, NULL);
}

static size_t consume_body(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct http1connection *connection = arg;
    struct httprequest *request = connection->request;
    uint64_t missing = request->head.content_length - iobuffer_length(request->body);
    size_t count = length < missing ? length : (size_t)missing;

    if (error < 0) {
        input_ended(connection, error); /* truncated: not a request */
        return length;
    }
    deadline_touch(&connection->deadline, deadline_now(connection->server->loop));
    if (iobuffer_append(&request->body, data, count) < 0)
        refuse(connection, 503, "no memory for a body");
    else if (count == missing)
        serve(connection);
    return count;
}

/* Why a well-formed head is refused all the same; 0: it is not. */
static int status_for(const struct http1connection *connection, const struct http1parser_request *head,
                      const char **why)
{
    *why = "the expectation is unknown";
    if (head->expect_unknown)
        return 417;
    *why = "bodies in chunks are not supported yet";
    if (head->framing == HTTP1PARSER_CHUNKED)
        return 501;
    *why = "the body is over max_body";
    if (head->framing == HTTP1PARSER_LENGTH && head->content_length > connection->server->options.max_body)
        return 413;
    *why = "no tunnels";
    return head->method_code == HTTP1PARSER_CONNECT ? 501 : 0;
}

static void begin_body(struct http1connection *connection)
{
    static const char go_ahead[] = "HTTP/1.1 100 Continue\r\n\r\n";

    if (connection->request->head.expect_continue)
        iostream_write(connection->stream, go_ahead, sizeof go_ahead - 1, NULL, NULL);
    set_deadline(connection, connection->server->options.body_timeout, HTTP1CONNECTION_OTHER);
    if (!iostream_closed(connection->stream))
        iostream_set_consumer(connection->stream, consume_body, connection);
}

static void take_head(struct http1connection *connection, struct httprequest *request, const char *data, size_t size)
{
    const char *why;
    int status = status_for(connection, &request->head, &why);

    request->connection = connection;
    connection->request = request;
    if (status != 0)
        refuse(connection, status, why);
    else if (!copy_head(request, data, size))
        refuse(connection, 503, "no memory for a head");
    else if (request->head.content_length > 0)
        begin_body(connection);
    else
        serve(connection);
}

/* The deadline of a head is absolute: it does not start again with each byte. */
static void wait_for_more(struct http1connection *connection)
{
    connection->head_began = true;
    if (connection->deadline_is != HTTP1CONNECTION_HEAD)
        set_deadline(connection, connection->server->options.header_timeout, HTTP1CONNECTION_HEAD);
}

static size_t consume_head(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct http1connection *connection = arg;
    struct httprequest *request;

    if (error < 0) {
        input_ended(connection, error);
        return length;
    }
    request = httpserverlayer_take_request(connection->server);
    if (request == NULL) {
        iostreamlayer_fail(stream, -ENOMEM);
        return length;
    }
    int size = http1parser_parse_request(data, length, &connection->server->limits, &connection->scan, &request->head);
    if (size > 0) {
        take_head(connection, request, data, (size_t)size);
        return (size_t)size;
    }
    const char *why = request->head.reason;
    httpserverlayer_give_request(connection->server, request);
    if (size == 0)
        wait_for_more(connection);
    else
        refuse(connection, -size, why);
    return size == 0 ? 0 : length;
}

/* Life. */

static void deadline_passed(struct deadline *deadline)
{
    struct http1connection *connection =
        (struct http1connection *)((char *)deadline - offsetof(struct http1connection, deadline));
    const struct httpserver_options *options = &connection->server->options;
    uint64_t before = connection->unsent;

    /* The kernel has room for a byte long before it says so. */
    iostreamlayer_send_output(connection->stream);
    if (iostream_closed(connection->stream))
        return;
    connection->unsent = iostream_pending(connection->stream);
    if (connection->unsent > 0 && connection->unsent != before)
        set_deadline(connection, options->body_timeout, HTTP1CONNECTION_OTHER); /* slow, but it reads */
    else if (connection->in_work || (is_idle(connection) && connection->unsent != before))
        set_deadline(connection, options->idle_timeout, HTTP1CONNECTION_IDLE);
    else if (connection->finishing || is_idle(connection))
        iostream_close(connection->stream);
    else
        refuse(connection, 408, "the request did not come in time");
}

static void connection_closed(struct iostream *stream, int error, void *arg)
{
    struct http1connection *connection = arg;
    struct httprequest *request = connection->request;
    struct httpserver *server = connection->server;

    deadline_clear(&connection->deadline);
    if (request != NULL && !connection->in_work)
        release_request(connection);
    if (request != NULL && connection->in_work) {
        request->connection = NULL;
        if (request->on_close != NULL)
            request->on_close(request, request->on_close_arg);
    }
    httpserverlayer_remove(server, connection);
    ioalloc_free(connection);
}

bool http1connection_begin(struct httpserver *server, struct iostream *stream)
{
    struct http1connection *connection = ioalloc_zeroed(sizeof *connection);

    if (connection == NULL) {
        iostream_close(stream);
        return false;
    }
    connection->stream = stream;
    connection->server = server;
    httpserverlayer_add(server, connection);
    iostream_set_close_callback(stream, connection_closed, connection);
    set_deadline(connection, server->options.header_timeout, HTTP1CONNECTION_HEAD);
    if (!iostream_closed(stream))
        return iostream_set_consumer(stream, consume_head, connection) == 0;
    return false;
}

void http1connection_finish(struct http1connection *connection)
{
    if (!is_idle(connection))
        return;
    if (iostream_pending(connection->stream) > 0)
        linger(connection);
    else
        iostream_close(connection->stream);
}
