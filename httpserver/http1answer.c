/* Answers: how they are framed (RFC 9112 6), what the server adds to them, and their way to the stream. */
#include <errno.h>
#include <string.h>

#include "httpserver/http1connection.h"
#include "httpserver/httpfield.h"
#include "httpserver/httpheaderslayer.h"
#include "httpserver/httpserverlayer.h"
#include "httpserver/httpstatus.h"
#include "ioloop/ioalloc.h"
#include "ioloop/iolog.h"
#include "ioloop/iostreamlayer.h"

#define ON_STACK     1024u
#define COPIED_BODY  4096u /* a body up to this goes into the cork with its head */
#define LONGEST_TYPE 256u  /* and reason */
#define REST         320u  /* of a head: all but reason, content_type and headers */

struct answer {
    struct httprequest *request;
    int status;
    const char *reason;
    size_t reason_length;
    const char *content_type;
    size_t type_length;
    const struct httpheaders *headers;
    uint64_t length;                                       /* of the body, if by_length */
    bool has_length, has_date, has_server, has_connection; /* among the headers */
    bool usual;                                            /* 200 OK, with the reason that it always has */
};

/* What can be sent. */

static bool is_name(const char *name, const char *lower)
{
    while (*lower != '\0' && (*name | 0x20) == *lower)
        name++, lower++;
    return *name == *lower;
}

/* As http1head_read_length reads it: digits only, not too many, and no leading zeros, which some take for octal. */
static bool read_length(const char *text, uint64_t *length)
{
    size_t count = strlen(text);

    *length = 0;
    for (size_t i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        *length = *length * 10 + (uint64_t)(text[i] - '0');
    }
    return count > 0 && count < 20 && *length <= INT64_MAX && (count == 1 || text[0] != '0');
}

/* Framing and the connection are the server's: the program may only say how long the body is, and that it is the last.
 * Names are lower-cased by a bit, which makes equal to a letter only that letter, as the rest of a name is no
 * control. */
static int look_at_header(struct answer *answer, const char *name, const char *value)
{
    switch (name[0] | 0x20) {
    case 'c':
        if (is_name(name, "content-length")) {
            if (answer->has_length || !read_length(value, &answer->length))
                return -EINVAL;
            answer->has_length = true;
        } else if (is_name(name, "connection")) {
            if (!is_name(value, "close"))
                return -EINVAL;
            answer->request->keep_alive = false;
            answer->has_connection = true;
        }
        break;
    case 'd':
        answer->has_date = answer->has_date || is_name(name, "date");
        break;
    case 's':
        answer->has_server = answer->has_server || is_name(name, "server");
        break;
    case 't':
        return is_name(name, "transfer-encoding") ? -EINVAL : 0;
    }
    return 0;
}

/* Kinds of the names that mean something here. */
#define LOOKED_AT                                                                                                      \
    (HTTPHEADERS_KIND(sizeof "content-length" - 1, 'c') | HTTPHEADERS_KIND(sizeof "connection" - 1, 'c') |             \
     HTTPHEADERS_KIND(sizeof "date" - 1, 'd') | HTTPHEADERS_KIND(sizeof "server" - 1, 's') |                           \
     HTTPHEADERS_KIND(sizeof "transfer-encoding" - 1, 't'))

static int look_at_headers(struct answer *answer)
{
    const char *name, *value;

    if ((answer->headers->kinds & LOOKED_AT) == 0)
        return 0;

    for (size_t i = 0; httpheaders_at(answer->headers, i, &name, &value); i++) {
        int error = look_at_header(answer, name, value);
        if (error < 0)
            return error;
    }
    return 0;
}

/* What has no body cannot announce one; that of HEAD and 304 would have been so long. */
static bool may_have_length(const struct answer *answer)
{
    return !answer->has_length || (answer->status != 204 && (answer->status != 205 || answer->length == 0));
}

/* 0 or -EINVAL. */
static int check_answer(struct answer *answer)
{
    if (answer->status < 200 || answer->status > 999)
        return -EINVAL;
    answer->usual = answer->status == 200 && answer->reason == NULL;
    if (answer->reason == NULL) {
        answer->reason = answer->usual ? "" : httpstatus_reason(answer->status);
        if (answer->reason == NULL)
            answer->reason = "Unknown";
    }
    answer->reason_length = strlen(answer->reason);
    answer->type_length = answer->content_type != NULL ? strlen(answer->content_type) : 0;
    if (!answer->usual &&
        (answer->reason_length > LONGEST_TYPE || !httpfield_is_value(answer->reason, answer->reason_length)))
        return -EINVAL;
    if (answer->type_length > LONGEST_TYPE || !httpfield_is_value(answer->content_type, answer->type_length))
        return -EINVAL;
    if (answer->headers != NULL && (look_at_headers(answer) < 0 || !may_have_length(answer)))
        return -EINVAL;
    return 0;
}

/* How the body goes out (RFC 9112 6.3):
 *
 *     HEAD, 204, 304                   none, and nothing is said of it but what the headers say (204: nothing)
 *     205                              none, Content-Length: 0
 *     length known                     Content-Length
 *     not known, HTTP/1.1              chunked
 *     not known, HTTP/1.0              until the end of the connection */
static void decide_framing(struct answer *answer, bool length_known)
{
    struct httprequest *request = answer->request;
    int status = answer->status;

    request->without_body =
        request->head.method_code == HTTP1PARSER_HEAD || status == 204 || status == 205 || status == 304;
    request->by_length = length_known && status != 204 && status != 304;
    if (status == 205) {
        request->by_length = true;
        answer->length = 0;
    }
    if (!length_known && !request->without_body) {
        request->in_chunks = request->head.minor_version == 1;
        request->keep_alive = request->keep_alive && request->in_chunks;
    }
}

/* The head. */

static size_t put(char *place, const void *bytes, size_t length)
{
    memcpy(place, bytes, length);
    return length;
}

#define PUT(place, literal) put(place, literal, sizeof literal - 1)

static size_t __attribute__((noinline)) put_long_number(char *place, uint64_t number)
{
    size_t count = 1;

    for (uint64_t power = 10; power <= number && count < 20; power *= 10)
        count++;
    for (size_t at = count; at-- > 0; number /= 10)
        place[at] = (char)('0' + number % 10);
    return count;
}

/* Two digits are what the lengths of many short answers have. */
static inline size_t put_number(char *place, uint64_t number)
{
    if (number - 10 >= 90)
        return put_long_number(place, number);
    place[0] = (char)('0' + number / 10);
    place[1] = (char)('0' + number % 10);
    return 2;
}

static size_t put_beginning(const struct answer *answer, char *place)
{
    const char *ok = httpserverlayer_ok(answer->request->server);
    size_t size;

    if (answer->usual && !answer->has_date && !answer->has_server)
        return put(place, ok, HTTPSERVERLAYER_OK_LENGTH);
    size = PUT(place, "HTTP/1.1 ");
    size += put_number(place + size, (uint64_t)answer->status);
    place[size++] = ' ';
    size += answer->usual ? PUT(place + size, "OK") : put(place + size, answer->reason, answer->reason_length);
    size += PUT(place + size, "\r\n");
    if (!answer->has_server)
        size += PUT(place + size, HTTPSERVERLAYER_SERVER);
    if (!answer->has_date) {
        size += PUT(place + size, HTTPSERVERLAYER_DATE);
        size += put(place + size, ok + HTTPSERVERLAYER_DATE_AT, HTTPDATE_LENGTH + 2);
    }
    return size;
}

static size_t put_connection(const struct httprequest *request, char *place)
{
    if (!request->keep_alive)
        return PUT(place, "Connection: close\r\n");
    return request->head.minor_version == 0 ? PUT(place, "Connection: keep-alive\r\n") : 0;
}

static size_t put_head(const struct answer *answer, char *place)
{
    const struct httprequest *request = answer->request;
    size_t size = put_beginning(answer, place);

    if (answer->content_type != NULL) {
        size += PUT(place + size, "Content-Type: ");
        size += put(place + size, answer->content_type, answer->type_length);
        size += PUT(place + size, "\r\n");
    }
    if (answer->headers != NULL)
        size += httpheaders_serialize(answer->headers, place + size);
    if (request->by_length && !answer->has_length) {
        size += PUT(place + size, "Content-Length: ");
        size += put_number(place + size, answer->length);
        size += PUT(place + size, "\r\n");
    } else if (request->in_chunks) {
        size += PUT(place + size, "Transfer-Encoding: chunked\r\n");
    }
    if ((!request->keep_alive || request->head.minor_version == 0) && !answer->has_connection)
        size += put_connection(request, place + size);
    if (answer->status == 426) /* has to have Upgrade, and what has it that option: RFC 9110 15.5.22 and 7.8 */
        size += PUT(place + size, "Connection: Upgrade\r\n");
    return size + PUT(place + size, "\r\n");
}

static size_t longest_head(const struct answer *answer)
{
    return REST + answer->reason_length + answer->type_length +
           (answer->headers != NULL ? httpheaders_size(answer->headers) : 0);
}

/* Sending. */

/* What was not sent is not to be followed by anything. */
static int check_sent(struct httprequest *request, int error)
{
    struct http1connection *connection = request->connection;

    if (error < 0)
        iostreamlayer_fail(http1connection_stream(connection), error);
    else if (http1connection_stream(connection)->output != NULL)
        http1connection_watch_sending(connection);
    return error;
}

/* A cork is put on with the first bytes of the answer: what the server says before them goes at once. */
static struct iostream *stream_to_answer(struct httprequest *request)
{
    struct iostream *stream = http1connection_stream(request->connection);

    if (request->corks > 0 && !request->is_held) {
        request->is_held = true;
        iostream_cork(stream);
    }
    return stream;
}

static void let_go(struct httprequest *request)
{
    struct http1connection *connection = request->connection;

    if (!request->is_held || connection == NULL)
        return;
    struct iostream *stream = http1connection_stream(connection);
    request->is_held = false;
    iostream_uncork(stream);
    if (stream->is_closed)
        return;
    iostreamlayer_drop_extras(stream);
    if (connection->deadline_is == HTTP1CONNECTION_WRITE)
        connection->deadline_is = HTTP1CONNECTION_IDLE; /* the client's time begins now */
    http1connection_watch_sending(connection);
}

void http1answer_cork(struct httprequest *request)
{
    request->corks++;
}

void http1answer_uncork(struct httprequest *request)
{
    if (request->corks > 0 && --request->corks == 0)
        let_go(request);
}

/* The end of an answer is that of its corks. */
static void end_answer(struct httprequest *request)
{
    let_go(request);
    http1connection_end_request(request);
}

struct iostream *http1answer_begin_burst(struct httprequest *request)
{
    struct iostream *stream = request->connection != NULL ? http1connection_stream(request->connection) : NULL;

    if (stream == NULL || stream->is_closed || loopfront_cork(stream->loop)->owner != NULL)
        return NULL;
    iostreamlayer_begin_cork(stream);
    return stream;
}

void http1answer_end_burst(struct iostream *stream)
{
    if (stream == NULL)
        return;
    iostreamlayer_end_cork(stream);
    if (!stream->is_closed)
        iostreamlayer_update_interest(stream);
}

/* An answer that cannot be what the program said: there is no way to tell the client but to end. */
static int break_off(struct httprequest *request, const char *why)
{
    iolog_write(IOLOG_GENERAL, IOLOG_ERROR, "an answer is broken off: %s", why);
    iostream_close(http1connection_stream(request->connection));
    return -EMSGSIZE;
}

static int send_vector(struct httprequest *request, const struct iovec *vector, int count, iostream_write_fn *callback,
                       void *arg)
{
    return check_sent(request, iostream_writev(stream_to_answer(request), vector, count, callback, arg));
}

/* Of the beginning of an answer, before which nothing but a 100 (Continue) can wait, and of its end. */
static int send_anyway(struct httprequest *request, const struct iovec *vector, int count, iostream_write_fn *callback,
                       void *arg)
{
    return check_sent(request, iostreamlayer_write_anyway(stream_to_answer(request), vector, count, callback, arg));
}

/* Head and body at once, the body perhaps as the first chunk. */
static int send_head(const struct answer *answer, const void *body, size_t length, iostream_write_fn *callback,
                     void *arg)
{
    struct httprequest *request = answer->request;
    char on_stack[ON_STACK], line[HTTPCHUNKED_LONGEST_LINE];
    size_t longest = longest_head(answer);
    char *place = longest <= sizeof on_stack ? on_stack : ioalloc(longest);

    if (place == NULL)
        return check_sent(request, -ENOMEM);
    struct iovec vector[4] = { { place, put_head(answer, place) } };
    int count = 1;
    if (length > 0 && request->in_chunks)
        vector[count++] = (struct iovec){ line, httpchunked_format(line, length) };
    if (length > 0)
        vector[count++] = (struct iovec){ (void *)body, length };
    if (length > 0 && request->in_chunks)
        vector[count++] = (struct iovec){ (char *)"\r\n", 2 };
    int error = send_anyway(request, vector, count, callback, arg);
    if (place != on_stack)
        ioalloc_free(place);
    return error;
}

/* What is told to the client when the program has given what cannot be sent. */
static void answer_broken(struct httprequest *request)
{
    static const char page[] = "500: Internal Server Error\n";
    struct answer answer = { .request = request,
                             .status = 500,
                             .reason = "Internal Server Error",
                             .content_type = "text/plain",
                             .length = sizeof page - 1 };

    (void)check_answer(&answer);
    decide_framing(&answer, true);
    request->status = 500;
    size_t length = request->without_body ? 0 : sizeof page - 1;
    request->body_sent = length;
    (void)!send_head(&answer, page, length, NULL, NULL);
    end_answer(request);
}

/* Behind an answer the next request is read, if both sides want it and the body of this one is through. */
static inline void decide_keep_alive(struct httprequest *request)
{
    const struct http1connection *connection = request->connection;

    if (!request->is_whole || connection->finishing || request->server->stopping)
        request->keep_alive = false;
}

static int __attribute__((noinline))
answer_the_long_way(struct httprequest *request, int status, const char *reason, const char *content_type,
                    const struct httpheaders *headers, const void *body, size_t length)
{
    struct answer answer = { .request = request,
                             .status = status,
                             .reason = reason,
                             .content_type = content_type,
                             .headers = headers,
                             .length = length };

    if (request->head_sent)
        return -EALREADY;
    if (request->connection == NULL)
        return http1answer_finish(request); /* -EBADF */
    decide_keep_alive(request);
    int error = check_answer(&answer);
    decide_framing(&answer, true);
    if (error == 0 && answer.has_length && !request->without_body && answer.length != length)
        error = -EINVAL;
    if (error < 0) {
        answer_broken(request);
        return error;
    }
    if (request->without_body)
        length = 0;
    request->body_sent = length;
    error = send_head(&answer, body, length, NULL, NULL);
    if (error == 0)
        request->status = (uint16_t)status;
    end_answer(request);
    return error;
}

/* Of nearly all answers: 200 to a GET or the like of HTTP/1.1, short, behind which the next request is read, with
 * nothing among its headers that concerns framing. What goes out is what the long way would send. */
static inline bool is_usual(const struct httprequest *request, int status, const char *reason,
                            const struct httpheaders *headers, size_t length)
{
    return status == 200 && reason == NULL && request->keep_alive && request->is_whole && !request->head_sent &&
           request->head.minor_version == 1 && request->head.method_code != HTTP1PARSER_HEAD && length <= COPIED_BODY &&
           !request->connection->finishing && !request->server->stopping &&
           (headers == NULL || (headers->kinds & LOOKED_AT) == 0);
}

/* False: nothing was sent. Inlined twice, as callers have either a type or headers. */
static inline __attribute__((always_inline)) bool answer_as_usual(struct httprequest *request, const char *content_type,
                                                                  const struct httpheaders *headers, const void *body,
                                                                  size_t length)
{
    size_t type_length = content_type != NULL ? strlen(content_type) : 0;
    size_t size = headers != NULL ? headers->length : 0;

    if (type_length > LONGEST_TYPE)
        return false;
    char *place =
        iostreamlayer_cork_place(http1connection_stream(request->connection), REST + type_length + size + length);
    if (place == NULL)
        return false;
    size = put(place, httpserverlayer_ok(request->server), HTTPSERVERLAYER_OK_LENGTH);
    if (content_type != NULL) {
        size += PUT(place + size, "Content-Type: ");
        if (!httpfield_copy_value(place + size, content_type, type_length))
            return false;
        size += type_length;
        size += PUT(place + size, "\r\n");
    }
    if (headers != NULL)
        size += httpheaderslayer_serialize(headers, place + size);
    size += PUT(place + size, "Content-Length: ");
    size += put_number(place + size, length);
    size += PUT(place + size, "\r\n\r\n");
    if (length > 0)
        size += put(place + size, body, length);
    iostreamlayer_put_in_cork(http1connection_stream(request->connection), size);
    request->body_sent = length;
    request->status = 200;
    return true;
}

int http1answer_whole(struct httprequest *request, int status, const char *content_type, const void *body,
                      size_t length)
{
    if (request->connection != NULL && is_usual(request, status, NULL, NULL, length) &&
        answer_as_usual(request, content_type, NULL, body, length)) {
        http1connection_end_request(request);
        return 0;
    }
    return answer_the_long_way(request, status, NULL, content_type, NULL, body, length);
}

int http1answer_with_headers(struct httprequest *request, int status, const char *reason,
                             const struct httpheaders *headers, const void *body, size_t length)
{
    if (request->connection != NULL && is_usual(request, status, reason, headers, length) &&
        answer_as_usual(request, NULL, headers, body, length)) {
        http1connection_end_request(request);
        return 0;
    }
    return answer_the_long_way(request, status, reason, NULL, headers, body, length);
}

/* By and by. */

int http1answer_begin(struct httprequest *request, int status, const char *reason, const struct httpheaders *headers,
                      const void *body, size_t length, iostream_write_fn *callback, void *arg)
{
    struct answer answer = { .request = request, .status = status, .reason = reason, .headers = headers };

    if (request->connection == NULL)
        return -EBADF;
    if (request->head_sent)
        return -EALREADY;
    decide_keep_alive(request);
    int error = check_answer(&answer);
    if (error < 0)
        return error;
    decide_framing(&answer, answer.has_length);
    request->head_sent = true;
    request->body_left = answer.length;
    if (request->by_length && !request->without_body && length > request->body_left)
        return break_off(request, "its body is longer than Content-Length");
    if (request->without_body)
        length = 0;
    request->body_sent += length;
    request->body_left -= request->by_length ? length : 0;
    error = send_head(&answer, body, length, callback, arg);
    if (error == 0)
        request->status = (uint16_t)status;
    return error;
}

/* Why nothing more can be sent: the client has left, or a file was not what it was said to be. */
static int closed_error(const struct httprequest *request)
{
    if (request->connection == NULL || iostream_error(http1connection_stream(request->connection)) != -EIO)
        return -EBADF;
    return -EIO;
}

/* Counts bytes of a body that are about to be sent. */
static int account(struct httprequest *request, uint64_t length)
{
    if (request->connection == NULL || iostream_closed(http1connection_stream(request->connection)))
        return closed_error(request);
    if (!request->head_sent)
        return -EINVAL;
    if (request->by_length && !request->without_body) {
        if (length > request->body_left)
            return break_off(request, "its body is longer than Content-Length");
        request->body_left -= length;
    }
    request->body_sent += request->without_body ? 0 : length;
    return 0;
}

int http1answer_write(struct httprequest *request, const void *data, size_t length, iostream_write_fn *callback,
                      void *arg)
{
    char line[HTTPCHUNKED_LONGEST_LINE];
    struct iovec vector[3] = { { line, 0 }, { (void *)data, length }, { (char *)"\r\n", 2 } };
    int error = account(request, length);

    if (error < 0)
        return error;
    if (request->without_body || length == 0) /* an empty chunk would be the end */
        return send_vector(request, vector, 0, callback, arg);
    if (!request->in_chunks)
        return send_vector(request, vector + 1, 1, callback, arg);
    vector[0].iov_len = httpchunked_format(line, length);
    return send_vector(request, vector, 3, callback, arg);
}

static int send_file(struct httprequest *request, int file, int64_t offset, uint64_t length,
                     iostream_write_fn *callback, void *arg)
{
    return check_sent(request, iostream_sendfile(stream_to_answer(request), file, offset, length, callback, arg));
}

/* Nobody has a file that long; what adds up lengths does not have to look. */
static bool is_in_file(int file, int64_t offset, uint64_t length)
{
    return file >= 0 && offset >= 0 && offset <= INT64_MAX / 4 && length <= INT64_MAX / 4;
}

static int send_file_chunk(struct httprequest *request, int file, int64_t offset, uint64_t length,
                           iostream_write_fn *callback, void *arg)
{
    char line[HTTPCHUNKED_LONGEST_LINE];
    struct iovec begin = { line, httpchunked_format(line, length) }, end = { (char *)"\r\n", 2 };
    int error = send_vector(request, &begin, 1, NULL, NULL);

    if (error == 0)
        error = send_file(request, file, offset, length, NULL, NULL);
    if (error == 0 && iostream_closed(http1connection_stream(request->connection)))
        error = closed_error(request);
    return error < 0 ? error : send_vector(request, &end, 1, callback, arg);
}

int http1answer_write_file(struct httprequest *request, int file, int64_t offset, uint64_t length,
                           iostream_write_fn *callback, void *arg)
{
    const struct iovec none = { 0 };
    int error = is_in_file(file, offset, length) ? account(request, length) : -EINVAL;

    if (error < 0)
        return error;
    if (request->without_body || length == 0)
        return send_vector(request, &none, 0, callback, arg);
    if (!request->in_chunks)
        return send_file(request, file, offset, length, callback, arg);
    struct iostream *burst = http1answer_begin_burst(request);
    error = send_file_chunk(request, file, offset, length, callback, arg);
    http1answer_end_burst(burst);
    return error;
}

/* A body that lasts until the end of the connection is not whole only if that is a reset. */
void http1answer_abort(struct httprequest *request)
{
    struct http1connection *connection = request->connection;

    if (connection == NULL) {
        httpserverlayer_log(request);
        httpserverlayer_give_request(request);
        return;
    }
    if (request->head_sent && !request->in_chunks && !request->by_length)
        iostream_reset(http1connection_stream(connection));
    else
        iostream_close(http1connection_stream(connection));
    end_answer(request);
}

int http1answer_finish(struct httprequest *request)
{
    struct http1connection *connection = request->connection;
    int error = 0;

    if (connection == NULL || (request->left && !request->head_sent)) {
        http1answer_abort(request);
        return -EBADF;
    }
    if (iostream_closed(http1connection_stream(connection))) {
        error = closed_error(request);
    } else if (!request->head_sent) {
        answer_broken(request);
        return -EINVAL;
    } else if (request->by_length && !request->without_body && request->body_left > 0) {
        error = break_off(request, "its body is shorter than Content-Length");
    } else if (request->in_chunks && !request->without_body) {
        error = send_anyway(request, &(struct iovec){ (char *)"0\r\n\r\n", 5 }, 1, NULL, NULL);
    }
    if (request->server->stopping)
        request->keep_alive = false; /* whatever its head has said */
    end_answer(request);
    return error;
}
