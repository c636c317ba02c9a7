/* What a client sends: the head, and a body that is there, or that a producer has by and by. */
#include <errno.h>
#include <string.h>

#include "httpclient/httpfetch.h"
#include "ioloop/ioalloc.h"
#include "ioloop/iostreamlayer.h"

#define SHORT_BODY   65536u /* goes with the head; what the kernel does not take of it is copied */
#define HIGH_WATER   65536u /* with more than this unsent no more is asked for */
#define CALLS        16     /* of a producer in one iteration */
#define EXPECT_AFTER 1.0    /* seconds */

/* Bodies. */

struct httpfetch_body *httpupload_new_body(const struct httpclient_request *request)
{
    bool is_lent = request->body_release != NULL;
    struct httpfetch_body *body = ioalloc(sizeof *body + (is_lent ? 0 : request->body_length));

    if (body == NULL)
        return NULL;
    *body = (struct httpfetch_body){
        .holders = 1,
        .release = request->body_release,
        .release_arg = request->body_release_arg,
        .data = is_lent ? (void *)request->body : body + 1,
        .length = request->body_length,
    };
    if (!is_lent)
        memcpy(body->data, request->body, body->length);
    return body;
}

void httpupload_release_body(struct httpfetch_body *body)
{
    if (body == NULL || --body->holders > 0)
        return;
    if (body->release != NULL)
        body->release(body->data, body->release_arg);
    ioalloc_free(body);
}

static void release_sent_body(void *data, void *arg)
{
    httpupload_release_body(arg);
}

/* Sending. */

/* A stream that could not take bytes is no use, but to read an answer that may be there. Whoever owns it learns why
 * from its end. */
static void fail_sending(struct iostream *stream, int error)
{
    if (!iostream_closed(stream) && !stream->cannot_send)
        iostreamlayer_fail(stream, error);
}

static void long_body_is_sent(struct iostream *stream, int error, void *arg)
{
    struct httppool_connection *connection = arg;
    struct httpfetch *fetch = connection->fetch;

    if (fetch != NULL)
        fetch->sent = httpfetch_now(fetch);
}

static int write_long_body(struct iostream *stream, struct httpfetch *fetch)
{
    struct httpfetch_body *body = fetch->body;
    int error = iostream_write_owned(stream, body->data, body->length, release_sent_body, body, long_body_is_sent,
                                     fetch->connection);

    fetch->sent = 0;
    if (error == 0)
        body->holders++;
    return error;
}

/* The head, and a body that may go at once; nothing waits before them. Nothing can be the answer to a request of which
 * no byte was sent. */
static int write_beginning(struct iostream *stream, struct httpfetch *fetch, const struct httpfetch_body *body)
{
    struct iovec both[2] = { { fetch->head.bytes, fetch->head.length }, { NULL, 0 } };

    if (body != NULL && body->length <= SHORT_BODY)
        both[1] = (struct iovec){ body->data, body->length };
    int error = both[1].iov_len > 0 ? iostream_writev(stream, both, 2, NULL, NULL)
                                    : iostream_write(stream, fetch->head.bytes, fetch->head.length, NULL, NULL);
    fetch->is_unsent = error == -EPIPE || error == -ECONNRESET;
    if (fetch->is_unsent)
        iostreamlayer_fail(stream, error);
    return error;
}

static int write_request(struct iostream *stream, struct httpfetch *fetch, bool with_body)
{
    struct httpfetch_body *body = with_body ? fetch->body : NULL;
    int error = write_beginning(stream, fetch, body);

    return error == 0 && body != NULL && body->length > SHORT_BODY ? write_long_body(stream, fetch) : error;
}

/* A request that goes by and by: no part of it is to wait until the one before is acknowledged. */
static void send_without_delay(struct httppool_connection *connection, struct httpfetch *fetch)
{
    bool is_one_write =
        fetch->producer == NULL && !fetch->expects_100 && (fetch->body == NULL || fetch->body->length <= SHORT_BODY);

    if (!is_one_write && !connection->has_nodelay)
        connection->has_nodelay = iostream_set_nodelay(connection->stream, true) == 0;
}

static void begin_producing(struct httpfetch *fetch)
{
    fetch->sent = 0;
    fetch->upload.is_begun = true;
    fetch->upload.left = fetch->producer_length;
    looptask_add(fetch->client->loop, &fetch->upload_task);
}

static void waited_for_100(void *arg)
{
    struct httpfetch *fetch = arg;

    fetch->expect_timer = 0;
    httpupload_go_ahead(fetch);
}

/* 0, or an error: then it is not waited for. */
static int wait_for_100(struct httpfetch *fetch)
{
    fetch->expect_timer = ioloop_call_later(fetch->client->loop, EXPECT_AFTER, waited_for_100, fetch);
    if (fetch->expect_timer == 0)
        return -errno;
    fetch->upload.waits_for_100 = true;
    return 0;
}

void httpupload_send(struct httppool_connection *connection, struct httpfetch *fetch)
{
    struct iostream *stream = connection->stream;

    memset(&fetch->upload, 0, sizeof fetch->upload);
    send_without_delay(connection, fetch);
    int error = fetch->expects_100 ? wait_for_100(fetch) : 0;
    fetch->sent = fetch->connected;
    if (error == 0)
        error = write_request(stream, fetch, !fetch->expects_100);
    if (error < 0) {
        fail_sending(stream, error);
        return;
    }
    fetch->upload.pending = iostream_pending(stream);
    fetch->upload.is_finished = fetch->producer == NULL && !fetch->expects_100;
    if (fetch->producer != NULL && !fetch->expects_100)
        begin_producing(fetch);
}

void httpupload_go_ahead(struct httpfetch *fetch)
{
    if (!fetch->upload.waits_for_100 || fetch->connection == NULL)
        return;
    struct iostream *stream = fetch->connection->stream;
    ioloop_remove_timeout(fetch->client->loop, fetch->expect_timer);
    fetch->expect_timer = 0;
    fetch->upload.waits_for_100 = false;
    if (fetch->producer != NULL) {
        begin_producing(fetch);
        return;
    }
    fetch->upload.is_finished = true;
    int error = fetch->body->length > 0 ? write_long_body(stream, fetch) : 0;
    if (error < 0)
        fail_sending(stream, error);
}

void httpupload_stop(struct httpfetch *fetch)
{
    if (fetch->expect_timer != 0)
        ioloop_remove_timeout(fetch->client->loop, fetch->expect_timer);
    fetch->expect_timer = 0;
    fetch->upload.waits_for_100 = false;
    fetch->upload.is_begun = false;
}

bool httpupload_is_sent(const struct httpfetch *fetch)
{
    if (!fetch->upload.is_finished || fetch->connection == NULL)
        return false;
    struct iostream *stream = fetch->connection->stream;
    if (stream->cannot_send)
        return false;
    bool is_lost = iostream_closed(stream) ||
                   (stream->end != 0 && iostreamlayer_end(stream) != -ESHUTDOWN); /* what was pending, too */
    return (is_lost ? fetch->upload.pending : iostream_pending(stream)) == 0;
}

bool httpupload_waits_for_program(const struct httpfetch *fetch)
{
    return fetch->upload.is_begun && !fetch->upload.is_finished && fetch->connection != NULL &&
           iostream_pending(fetch->connection->stream) == 0;
}

void httpupload_note_progress(struct httpfetch *fetch, int64_t now)
{
    if (fetch->connection == NULL || fetch->phase < HTTPCLIENT_SEND)
        return;
    uint64_t pending = iostream_pending(fetch->connection->stream);
    if (pending != fetch->upload.pending)
        fetch->progress = now;
    fetch->upload.pending = pending;
}

/* Producers. */

static void upload_drained(struct iostream *stream, int error, void *arg)
{
    struct httppool_connection *connection = arg;
    struct httpfetch *fetch = connection->fetch;

    if (fetch == NULL || error < 0 || !fetch->upload.is_draining)
        return;
    fetch->upload.is_draining = false;
    fetch->progress = httpfetch_now(fetch);
    looptask_add(fetch->client->loop, &fetch->upload_task);
}

/* Comes back when all that is written so far has gone. */
static void wait_until_drained(struct httpfetch *fetch)
{
    struct iostream *stream = fetch->connection->stream;

    fetch->upload.is_draining = true;
    int error = iostream_write(stream, NULL, 0, upload_drained, fetch->connection);
    if (error < 0)
        fail_sending(stream, error);
}

static bool may_produce(const struct httpfetch *fetch)
{
    const struct httpfetch_upload *upload = &fetch->upload;

    return !fetch->is_over && fetch->producer != NULL && fetch->connection != NULL && upload->is_begun &&
           !upload->is_finished && !upload->is_waiting && !upload->is_draining &&
           !iostream_closed(fetch->connection->stream);
}

/* The way into producers. */
void httpupload_call_producer(struct looptask *task)
{
    struct httpfetch *fetch = HTTPPOOL_OWNER(task, struct httpfetch, upload_task);
    struct httpfetch_upload *upload = &fetch->upload;

    for (int i = 0; may_produce(fetch); i++) {
        if (i == CALLS) {
            looptask_add(fetch->client->loop, task);
        } else if (iostream_pending(fetch->connection->stream) > HIGH_WATER) {
            wait_until_drained(fetch);
        } else {
            upload->is_called = true;
            upload->wrote = false;
            upload->is_waiting = true;
            fetch->producer(fetch->client, fetch->id, fetch->producer_arg);
            upload->is_waiting = upload->is_waiting && !upload->wrote;
            if (!httpfetch_is_parents(fetch))
                continue;
        }
        return;
    }
}

static int write_chunk(struct iostream *stream, const void *data, size_t length)
{
    char line[HTTPCHUNKED_LONGEST_LINE];
    struct iovec parts[3] = {
        { line, httpchunked_format(line, length) },
        { (void *)data, length },
        { (char *)"\r\n", 2 },
    };

    return iostream_writev(stream, parts, 3, NULL, NULL);
}

/* The fetch whose body goes by and by, now. NULL: there is none, *error says why. */
static struct httpfetch *find_upload(const struct httpclient *client, uint64_t id, int *error)
{
    struct httpfetch *fetch = httpclient_find_fetch(client, id);
    bool is_begun = fetch != NULL && !fetch->is_over && fetch->connection != NULL && fetch->upload.is_begun;

    *error = !is_begun ? -EBADF : fetch->upload.is_finished ? -EPIPE : 0;
    return *error == 0 ? fetch : NULL;
}

/* What is written is no progress of a server that takes nothing: only from when it has something to take is it waited
 * for. before: what was pending. */
static void note_written(struct httpfetch *fetch, uint64_t before)
{
    struct httpfetch_upload *upload = &fetch->upload;

    if (before == 0 || before != upload->pending)
        fetch->progress = httpfetch_now(fetch);
    upload->pending = iostream_pending(fetch->connection->stream);
    if (before == 0 && upload->pending > 0)
        httpfetch_watch(fetch);
}

int httpclient_upload_write(struct httpclient *client, uint64_t id, const void *data, size_t length)
{
    int error;
    struct httpfetch *fetch = find_upload(client, id, &error);

    if (fetch == NULL || length == 0)
        return error;
    struct httpfetch_upload *upload = &fetch->upload;
    if (fetch->has_length && length > upload->left) {
        httpfetch_fail(fetch, -EMSGSIZE, "the producer has more than its Content-Length");
        return -EMSGSIZE;
    }
    struct iostream *stream = fetch->connection->stream;
    uint64_t before = iostream_pending(stream);
    error = fetch->has_length ? iostream_write(stream, data, length, NULL, NULL) : write_chunk(stream, data, length);
    if (error < 0) {
        upload->is_begun = false; /* nothing more is wanted; an answer may be there */
        fail_sending(stream, error);
        httpfetch_watch(fetch);
        return error;
    }
    upload->left -= fetch->has_length ? length : 0;
    upload->wrote = true;
    note_written(fetch, before);
    return 0;
}

void httpclient_upload_finish(struct httpclient *client, uint64_t id)
{
    int error;
    struct httpfetch *fetch = find_upload(client, id, &error);

    if (fetch == NULL)
        return;
    if (fetch->has_length && fetch->upload.left > 0) {
        httpfetch_fail(fetch, -EMSGSIZE, "the producer has less than its Content-Length");
        return;
    }
    fetch->upload.is_finished = true;
    fetch->sent = fetch->progress = httpfetch_now(fetch);
    if (!fetch->has_length)
        error = iostream_write(fetch->connection->stream, "0\r\n\r\n", 5, NULL, NULL);
    if (error < 0) {
        fail_sending(fetch->connection->stream, error);
        return;
    }
    fetch->upload.pending = iostream_pending(fetch->connection->stream);
    httpfetch_watch(fetch);
}

void httpclient_upload_fail(struct httpclient *client, uint64_t id, int reason)
{
    int error;
    struct httpfetch *fetch = find_upload(client, id, &error);

    if (fetch != NULL)
        httpfetch_fail(fetch, reason < 0 ? reason : -EINVAL, "the producer failed");
}

void httpclient_upload_resume(struct httpclient *client, uint64_t id)
{
    int error;
    struct httpfetch *fetch = find_upload(client, id, &error);

    if (fetch == NULL)
        return;
    fetch->upload.is_waiting = false;
    looptask_add(client->loop, &fetch->upload_task);
}
