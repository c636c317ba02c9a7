#include "httpserver/http1connection.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "httpserver/httpproxy.h"
#include "httpserver/httpserverlayer.h"
#include "httpserver/httpstatus.h"
#include "ioloop/ioalloc.h"
#include "ioloop/iolog.h"
#include "ioloop/iostreamlayer.h"
#include "ioloop/netutil.h"

#define LINGER_SECONDS 5
#define LINGER_AT_END  1 /* while the server closes */
#define LAST_CHANCE    1 /* to ask, then */
#define LINGER_BYTES   65536u
#define LONGEST_TURN   5e-3 /* seconds */
#define LOOK_EACH      16   /* requests that came together */

static size_t consume_head(struct iostream *stream, int error, const char *data, size_t length, void *arg);

/* Deadlines. */

static void deadline_passed(struct deadline *deadline);

void http1connection_set_deadline(struct http1connection *connection, double seconds,
                                  enum http1connection_deadline what)
{
    struct iostream *stream = http1connection_stream(connection);

    connection->deadline_is = (unsigned)what & 7u;
    if (deadline_set(stream->loop, &connection->deadline, seconds, deadline_passed) < 0)
        iostreamlayer_fail(stream, -ENOMEM);
}

/* Between requests: most of the time the deadline runs already, and starts again by one store. */
static void become_idle(struct http1connection *connection)
{
    struct httpserver *server = httpserverlayer_of(connection);
    uint32_t now = deadline_now(server->loop);

    if (connection->deadline_is != HTTP1CONNECTION_IDLE)
        http1connection_set_deadline(connection, server->options.idle_timeout, HTTP1CONNECTION_IDLE);
    else if (connection->deadline.touched == now)
        return;
    else
        deadline_touch(&connection->deadline, now);
    httpserverlayer_move_last(server, connection);
}

static struct httprequest *request_of(const struct http1connection *connection)
{
    return connection->head_began ? NULL : connection->request;
}

/* Nothing is under way, but perhaps the end of an answer, or requests that were not looked at. */
static bool is_idle(const struct http1connection *connection)
{
    return !connection->head_began && connection->request == NULL && !connection->finishing;
}

/* wait_until_sent has held it back, and it goes on in the next iteration at the latest when all is sent. */
static bool waits_until_sent(const struct http1connection *connection)
{
    return http1connection_stream(connection)->consumer == NULL && !connection->finishing;
}

/* The loop may not have come to what has arrived by now. */
static bool has_arrived_bytes(const struct iostream *stream)
{
    char byte;

    return recv(stream->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* A request that has been sent is not lost to a reset: it makes this one busy. Not so the rest of a head that has
 * begun, or whoever drips one would never make room. */
bool http1connection_is_idle(const struct http1connection *connection)
{
    const struct iostream *stream = http1connection_stream(connection);

    return request_of(connection) == NULL && !iostream_closed(stream) && iostream_pending(stream) == 0 &&
           !waits_until_sent(connection) && (connection->head_began || !has_arrived_bytes(stream));
}

/* Ending. */

/* After so many the client is held back, and waited for: to close would reset it, and it may not have read the answer
 * yet. */
static size_t drop_bytes(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct http1connection *connection = arg;

    connection->dropped += length < LINGER_BYTES ? (uint32_t)length : LINGER_BYTES;
    if (error >= 0 && connection->dropped < LINGER_BYTES)
        return length;
    if (error >= 0 || (error == -ESHUTDOWN && iostream_pending(stream) > 0))
        iostream_set_consumer(stream, NULL, NULL); /* until all is sent, or the deadline */
    else
        iostream_close(stream);
    return length;
}

/* Has the client taken anything since this was last asked? */
static bool has_output_moved(struct iostream *stream)
{
    return stream->output == NULL || iooutput_has_moved(stream->output);
}

void http1connection_watch_sending(struct http1connection *connection)
{
    struct iostream *stream = http1connection_stream(connection);

    if (connection->deadline_is == HTTP1CONNECTION_WRITE || iostream_pending(stream) == 0)
        return;
    (void)has_output_moved(stream);
    http1connection_set_deadline(connection, httpserverlayer_of(connection)->options.write_timeout,
                                 HTTP1CONNECTION_WRITE);
}

/* A socket that is closed with bytes unread resets its peer, who may then lose the answer. So the last answer is
 * followed by FIN, and what still comes is dropped for a while. A peer who has finished sending cannot be waited for:
 * there the stream ends by itself when all is sent. */
static void linger(struct http1connection *connection)
{
    struct iostream *stream = http1connection_stream(connection);

    connection->finishing = true;
    connection->dropped = 0;
    iostream_shutdown(stream);
    if (iostream_closed(stream))
        return;
    iostream_set_consumer(stream, drop_bytes, connection);
    if (iostream_pending(stream) > 0)
        http1connection_watch_sending(connection);
    else
        http1connection_set_deadline(connection,
                                     httpserverlayer_of(connection)->closing ? LINGER_AT_END : LINGER_SECONDS,
                                     HTTP1CONNECTION_LINGER);
}

/* Of a client that said it would close, and has sent nothing more: there is nothing to wait for but the answer. */
static void close_when_sent(struct http1connection *connection)
{
    struct iostream *stream = http1connection_stream(connection);

    if (iostream_pending(stream) > 0)
        iostreamlayer_flush_last(stream);
    if (iostream_pending(stream) > 0)
        linger(connection);
    else
        iostream_close(stream);
}

/* Between the requests of a client that sends no more, or inside one. It may still be reading. */
void http1connection_input_ended(struct http1connection *connection, int error)
{
    struct iostream *stream = http1connection_stream(connection);

    if (error == -ESHUTDOWN && iostream_pending(stream) > 0)
        linger(connection);
    else
        iostream_close(stream);
}

static void say_left(struct httprequest *request)
{
    httprequest_close_fn *callback = request->on_close;

    request->left = true;
    request->on_close = NULL;
    if (callback != NULL)
        callback(request, request->on_close_arg);
}

/* False: the program has ended the request meanwhile. */
static bool tell_left(struct httprequest *request)
{
    struct http1connection *connection = request->connection;

    say_left(request);
    return connection->request == request;
}

static void release_request(struct http1connection *connection)
{
    struct httprequest *request = connection->request;

    connection->request = NULL;
    connection->in_work = false;
    httpserverlayer_log(request);
    httpserverlayer_give_request(request);
}

static void read_next(struct http1connection *connection)
{
    struct iostream *stream = http1connection_stream(connection);

    if (stream->consumer != consume_head && iostream_set_consumer(stream, consume_head, connection) < 0)
        linger(connection);
    else
        become_idle(connection);
}

static void answer_sent(struct iostream *stream, int error, void *arg)
{
    struct http1connection *connection = arg;

    if (error == 0 && !connection->finishing && !iostream_closed(stream))
        read_next(connection);
}

/* Behind requests that came together: has it been the turn of this client for so long that others have to wait? Looked
 * at now and then, as the clock takes its time. It is enough that one of them gives way in that time. */
static bool is_turn_over(const struct http1connection *connection)
{
    struct httpserver *server = httpserverlayer_of(connection);

    if (!connection->behind || connection->requests % LOOK_EACH != 0)
        return false;
    double now = ioloop_time(server->loop);
    if (now - server->gave_way < LONGEST_TURN)
        return false;
    server->gave_way = now;
    return true;
}

/* A client that asks for more than it reads: its answers are not to pile up here, and each is to begin with nothing
 * before it, however large it is. One that has but to give way goes on in the next iteration. */
static void wait_until_sent(struct http1connection *connection)
{
    struct iostream *stream = http1connection_stream(connection);

    iostream_set_consumer(stream, NULL, NULL);
    if (iostream_write(stream, NULL, 0, answer_sent, connection) < 0)
        iostreamlayer_fail(stream, -ENOMEM);
    else
        http1connection_watch_sending(connection);
}

/* The end of one exchange, and the way to the next. */
void http1connection_end_request(struct httprequest *request)
{
    struct http1connection *connection = request->connection;
    bool keep_alive = request->keep_alive;
    bool nothing_follows = request->is_whole && !request->head.keep_alive && !connection->behind;
    struct iostream *stream = http1connection_stream(connection);

    release_request(connection);
    if (stream->is_closed)
        return;
    if (!keep_alive && nothing_follows && stream->input == NULL)
        close_when_sent(connection);
    else if (!keep_alive)
        linger(connection);
    else if (connection->finishing)
        return; /* on_log has closed the server */
    else if ((stream->output != NULL && stream->output->pending > 0) || is_turn_over(connection))
        wait_until_sent(connection);
    else
        read_next(connection);
}

/* One with nothing in its head. */
static struct httprequest *take_unread_request(struct httpserver *server)
{
    struct httprequest *request = httpserverlayer_take_request(server);

    if (request != NULL)
        request->head = (struct http1parser_request){ 0 };
    return request;
}

/* Who it is. */

/* Without the kernel. 0: not known. */
static socklen_t find_kept_address(const struct http1connection *connection, struct sockaddr_storage *address)
{
    if (!connection->has_proxy)
        return httpaddresses_find(&httpserverlayer_of(connection)->addresses, http1connection_stream(connection)->fd,
                                  address);
    *address = connection->proxy[0].remote;
    return connection->proxy[0].length;
}

socklen_t http1connection_address(struct http1connection *connection, struct sockaddr_storage *address, bool keep)
{
    int fd = http1connection_stream(connection)->fd;
    socklen_t length = find_kept_address(connection, address);

    if (length > 0 || fd < 0)
        return length;
    length = sizeof *address;
    if (getpeername(fd, (struct sockaddr *)address, &length) < 0)
        return 0;
    if (keep)
        httpaddresses_keep(&httpserverlayer_of(connection)->addresses, fd, (struct sockaddr *)address, length);
    return length;
}

static void set_peer_ip(struct httprequest *request, const struct sockaddr_storage *address)
{
    netutil_format_ip((const struct sockaddr *)address, request->remote_ip);
    request->has_peer_ip = true;
}

/* The descriptor may be another thread's by now: the kernel is not to be asked. */
void http1connection_keep_peer(struct http1connection *connection)
{
    struct httprequest *request = request_of(connection);
    struct sockaddr_storage address;

    if (request != NULL && !request->has_remote_ip && find_kept_address(connection, &address) > 0)
        set_peer_ip(request, &address);
}

/* For the log: who it is, whatever else has not been understood. */
static const char *format_peer(struct http1connection *connection, char ip[NETUTIL_IP_SIZE])
{
    struct sockaddr_storage address;

    (void)http1connection_address(connection, &address, false);
    return netutil_format_ip((struct sockaddr *)&address, ip);
}

/* What is not a request gets its status and nothing of what it sent. A request that the program has seen ends for it
 * as if the client had left; if its answer has begun, nothing but the end can tell the client that all is not well. */
void http1connection_refuse(struct http1connection *connection, int status, const char *why)
{
    char page[96];
    const char *reason = httpstatus_reason(status);
    size_t length = strlen(reason);
    char ip[NETUTIL_IP_SIZE];

    iolog_write(IOLOG_GENERAL, IOLOG_INFO, "refused with %d: %s (%s)", status, why, format_peer(connection, ip));
    connection->request = request_of(connection);
    connection->head_began = false;
    if (connection->request == NULL)
        connection->request = take_unread_request(httpserverlayer_of(connection));
    if (connection->request == NULL) {
        iostreamlayer_fail(http1connection_stream(connection), -ENOMEM);
        return;
    }
    connection->request->connection = connection;
    if (connection->request->is_known && !tell_left(connection->request))
        return;
    connection->finishing = true;
    if (connection->request->head_sent) {
        iostream_close(http1connection_stream(connection));
        return;
    }
    page[0] = (char)('0' + status / 100);
    page[1] = (char)('0' + status / 10 % 10);
    page[2] = (char)('0' + status % 10);
    memcpy(page + 3, ": ", 2);
    memcpy(page + 5, reason, length);
    page[5 + length] = '\n';
    http1answer_whole(connection->request, status, "text/plain", page, length + 6);
}

/* One in work stays until the program has answered it, and what the client gets is the answer to another. */
void http1connection_give_up(struct httprequest *request, int status, const char *why)
{
    struct http1connection *connection = request->connection;

    if (request->head_sent && !request->in_chunks && !request->by_length) {
        iostream_reset(http1connection_stream(connection)); /* by FIN it would seem whole */
    } else if (request->head_sent) {
        iostream_close(http1connection_stream(connection));
    } else if (!connection->in_work) {
        http1connection_refuse(connection, status, why);
    } else {
        http1connection_keep_peer(connection);
        request->connection = NULL;
        connection->request = NULL;
        http1connection_refuse(connection, status, why);
        say_left(request);
    }
}

/* Requests. */

/* In work: nothing is read, but the end of what the client sends is noticed, unless it has sent more before. Whether it
 * has left altogether cannot be seen. */
static size_t watch_client(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct http1connection *connection = arg;

    if (error >= 0)
        iostream_set_consumer(stream, NULL, NULL);
    else if (error == -ESHUTDOWN && connection->request != NULL && !connection->request->left)
        (void)tell_left(connection->request);
    return 0;
}

/* The client may have ended already, while its body was paused: who is to be told that has to stand there too. If the
 * stream is let go meanwhile, the memory of the connection is somebody else's. */
void http1connection_serve(struct http1connection *connection)
{
    struct httprequest *request = connection->request;
    struct httpserver *server = request->server;

    request->is_known = request->is_whole = true;
    connection->in_work = true;
    server->serving = connection;
    server->on_request(request, server->arg);
    if (server->serving != NULL && connection->request == request)
        iostreamlayer_begin_read(http1connection_stream(connection), watch_client, connection, false);
    server->serving = NULL;
}

/* The program may hold on to texts of the head until it answers: longer than the stream lends them. */
static inline bool copy_head(struct httprequest *request, const char *data, size_t size)
{
    char *bytes = size <= sizeof request->short_head ? request->short_head : ioalloc(size);

    request->bytes = bytes;
    if (bytes == NULL)
        return false;
    memcpy(bytes, data, size);
    return true;
}

static bool is_last_request(struct http1connection *connection)
{
    const struct httpserver *server = httpserverlayer_of(connection);

    return ++connection->requests >= server->options.max_requests || server->options.no_keep_alive ||
           deadline_now(server->loop) - connection->since >= server->max_age;
}

static void take_head(struct http1connection *connection, struct httprequest *request, const char *data, size_t size)
{
    request->connection = connection;
    connection->request = request;
    connection->head_began = false;
    request->began = loopfront_now(http1connection_stream(connection)->loop);
    request->keep_alive = request->head.keep_alive && !is_last_request(connection);
    if (request->head.expect_unknown)
        http1connection_refuse(connection, 417, "the expectation is unknown");
    else if (request->head.method_code == HTTP1PARSER_CONNECT)
        http1connection_refuse(connection, 501, "no tunnels");
    else if (!copy_head(request, data, size))
        http1connection_refuse(connection, 503, "no memory for a head");
    else if (request->head.content_length > 0 || request->head.framing == HTTP1PARSER_CHUNKED)
        http1body_begin(connection);
    else
        http1connection_serve(connection);
}

/* The deadline of a head is absolute: it does not start again with each byte. An empty line is not the beginning of a
 * head yet. */
static void wait_for_more(struct http1connection *connection, const char *data, size_t length)
{
    if (length <= 2 && data[0] == '\r') {
        connection->scan = (struct http1parser_scan){ 0 }; /* so there is none while none has begun */
        return;
    }
    connection->head_began = true;
    if (connection->deadline_is != HTTP1CONNECTION_HEAD)
        http1connection_set_deadline(connection, httpserverlayer_of(connection)->options.header_timeout,
                                     HTTP1CONNECTION_HEAD);
}

/* It may begin with the one empty line that a parser passes over. */
static bool is_asking_for_head(const char *data, size_t length)
{
    size_t at = length >= 2 && memcmp(data, "\r\n", 2) == 0 ? 2 : 0;

    return length - at >= sizeof "HEAD " - 1 && memcmp(data + at, "HEAD ", sizeof "HEAD " - 1) == 0;
}

/* What is not understood otherwise may still be seen to be a HEAD, and no answer to that has a body (RFC 9110
 * 9.3.2). */
static void refuse_head(struct http1connection *connection, int status, const char *why, bool without_body)
{
    connection->request = take_unread_request(httpserverlayer_of(connection));
    connection->head_began = false;
    if (connection->request != NULL && without_body)
        connection->request->head.method_code = HTTP1PARSER_HEAD;
    http1connection_refuse(connection, status, why);
}

static size_t consume_head(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct http1connection *connection = arg;
    struct httpserver *server = httpserverlayer_of(connection);
    struct httprequest *request;

    if (error < 0) {
        http1connection_input_ended(connection, error);
        return length;
    }
    request = httpserverlayer_take_request(server);
    if (request == NULL) {
        iostreamlayer_fail(stream, -ENOMEM);
        return length;
    }
    int size = http1parser_parse_request(data, length, &server->limits, &connection->scan, &request->head);
    if (size > 0) {
        connection->behind = length > (size_t)size;
        take_head(connection, request, data, (size_t)size);
        return (size_t)size;
    }
    const char *why = request->head.reason;
    httpserverlayer_give_request(request);
    if (size == 0)
        wait_for_more(connection, data, length);
    else
        refuse_head(connection, -size, why, is_asking_for_head(data, length));
    return size == 0 ? 0 : length;
}

static size_t consume_proxy_header(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct http1connection *connection = arg;
    struct httpproxy_address address;
    char ip[NETUTIL_IP_SIZE];
    int size = error < 0 ? error : httpproxy_parse(data, length, &address);

    if (size == 0)
        return 0;
    if (size < 0) {
        if (error >= 0)
            iolog_write(IOLOG_GENERAL, IOLOG_INFO, "refused: no PROXY header (%s)", format_peer(connection, ip));
        iostream_close(stream);
        return length;
    }
    if (address.remote.ss_family != AF_UNSPEC) {
        connection->proxy[0] = address;
        connection->has_proxy = true;
    }
    iostream_set_consumer(stream, consume_head, connection);
    return (size_t)size;
}

/* Life. */

/* What waits to be sent has not moved in a write_timeout: reset. It has, or was not watched until now: another one.
 * The program is at work (or its cork is in), or the last answer has just left: the time between requests. All was sent
 * only now, or the program has paused the body: the body's time anew. Idle, or closing: over. Else a request has not
 * come in time: 408. */
static void deadline_passed(struct deadline *deadline)
{
    struct http1connection *connection =
        (struct http1connection *)((char *)deadline - offsetof(struct http1connection, deadline));
    const struct httpserver_options *options = &httpserverlayer_of(connection)->options;
    struct iostream *stream = http1connection_stream(connection);
    struct httprequest *request = request_of(connection);
    bool watched = connection->deadline_is == HTTP1CONNECTION_WRITE;

    iostreamlayer_send_output(stream); /* the kernel has room for a byte long before it says so */
    if (iostream_closed(stream))
        return;
    if (iostream_pending(stream) > 0 && (request == NULL || !request->is_held)) {
        if (watched && !has_output_moved(stream)) {
            iostream_reset(stream); /* else the kernel would keep what it has for minutes */
            return;
        }
        connection->deadline_is = HTTP1CONNECTION_IDLE;
        http1connection_watch_sending(connection);
    } else if (connection->in_work || (watched && is_idle(connection))) {
        http1connection_set_deadline(connection, options->idle_timeout, HTTP1CONNECTION_IDLE);
    } else if (request != NULL && (watched || request->is_paused)) {
        http1connection_set_deadline(connection, request->reading.timeout, HTTP1CONNECTION_BODY);
    } else if (connection->finishing || is_idle(connection)) {
        iostream_close(stream);
    } else {
        http1connection_refuse(connection, 408, "the request did not come in time");
    }
}

/* Out of the server's sight. */
static void forget(struct http1connection *connection)
{
    deadline_clear(&connection->deadline);
    httpserverlayer_remove(httpserverlayer_of(connection), connection);
}

static void connection_closed(struct iostream *stream, int error, void *arg)
{
    struct http1connection *connection = arg;
    struct httprequest *request = request_of(connection);

    if (request != NULL && (!request->is_known || request->left || tell_left(request))) {
        if (connection->in_work)
            request->connection = NULL;
        else
            release_request(connection);
    }
    forget(connection);
}

size_t http1connection_size(const struct httpserver *server)
{
    struct http1connection *connection;

    return sizeof *connection + (server->options.proxy_protocol ? sizeof *connection->proxy : 0);
}

void http1connection_begin(struct httpserver *server, struct iostream *stream)
{
    struct http1connection *connection = iostream_user(stream);
    iostream_consumer_fn *consumer = server->options.proxy_protocol ? consume_proxy_header : consume_head;

    connection->since = deadline_now(server->loop);
    httpserverlayer_add(server, connection);
    iostream_set_close_callback(stream, connection_closed, connection);
    http1connection_set_deadline(connection, server->options.header_timeout, HTTP1CONNECTION_HEAD);
    (void)!iostream_set_consumer(stream, consumer, connection); /* it may have closed for lack of memory */
}

void http1connection_finish(struct http1connection *connection)
{
    struct iostream *stream = http1connection_stream(connection);

    if (connection->deadline_is == HTTP1CONNECTION_LINGER)
        http1connection_set_deadline(connection, LINGER_AT_END, HTTP1CONNECTION_LINGER);
    if (!is_idle(connection) || stream->input != NULL || has_arrived_bytes(stream))
        return;
    if (iostream_pending(stream) > 0)
        linger(connection);
    else
        iostream_close(stream);
}

void http1connection_hurry(struct http1connection *connection)
{
    http1connection_set_deadline(connection, LAST_CHANCE, HTTP1CONNECTION_IDLE);
}

static struct iostream *let_stream_go(struct http1connection *connection)
{
    struct httpserver *server = httpserverlayer_of(connection);
    struct iostream *stream = http1connection_stream(connection);

    iostream_set_consumer(stream, NULL, NULL);
    iostream_set_close_callback(stream, NULL, NULL);
    stream->half_close = false;
    forget(connection);
    stream->owner = server->streams;
    if (server->serving == connection)
        server->serving = NULL;
    return stream;
}

struct iostream *http1connection_detach(struct httprequest *request)
{
    struct http1connection *connection = request->connection;

    request->status = 101;
    release_request(connection);
    return let_stream_go(connection);
}

struct iostream *http1connection_leave(struct httprequest *request)
{
    struct http1connection *connection = request->connection;
    struct sockaddr_storage address;

    if (!request->has_remote_ip && http1connection_address(connection, &address, false) > 0)
        set_peer_ip(request, &address);
    request->status = 101;
    request->connection = NULL;
    connection->request = NULL;
    return let_stream_go(connection);
}
