#include "websocket/websocketmessage.h"

#include <errno.h>
#include <string.h>

#include "ioloop/ioalloc.h"
#include "ioloop/iolog.h"
#include "websocket/websocketconnection.h"

#define COPIED_AT_MOST 1024u /* shorter frames are copied behind what waits: less than a reference would cost */

/* Frames. */

int websocketmessage_check_room(struct websocket *socket, size_t size)
{
    uint64_t most = socket->handler->max_unsent != 0 ? socket->handler->max_unsent : WEBSOCKETCONNECTION_MOST_UNSENT;

    if (!socket->is_open || iostream_closed(socket->stream))
        return -EBADF;
    uint64_t pending = iostream_pending(socket->stream);
    if (pending <= most && size <= most - pending)
        return 0;
    if (socket->handler->policy == WEBSOCKET_CLOSE_WHEN_FULL) {
        iolog_write(IOLOG_GENERAL, IOLOG_WARNING, "a WebSocket is over max_unsent, its peer does not read");
        websocketconnection_break(socket, -ENOBUFS);
    }
    return -ENOBUFS;
}

static void release_frame(void *bytes, void *arg)
{
    ioalloc_free(bytes);
}

static int as_socket_error(int error)
{
    return error == -EPIPE ? -EBADF : error;
}

/* Of a client: the payload has to be copied, as it is masked. */
static int send_masked(struct websocket *socket, struct websocketframe *frame, const void *data)
{
    char few[WEBSOCKETFRAME_LONGEST_HEAD + WEBSOCKETCONNECTION_CORKED];
    size_t length = (size_t)frame->length;
    bool is_short = length <= WEBSOCKETCONNECTION_CORKED;
    int error = websocketloop_random(socket->stream->loop, &frame->mask, sizeof frame->mask);

    if (error < 0)
        return error;
    char *bytes = is_short ? few : ioalloc(WEBSOCKETFRAME_LONGEST_HEAD + length);
    if (bytes == NULL)
        return -ENOMEM;
    size_t head = websocketframe_format(bytes, frame);
    websocketframe_mask(bytes + head, data, length, frame->mask, 0);
    if (is_short)
        return iostream_write(socket->stream, bytes, head + length, NULL, NULL);
    error = iostream_write_owned(socket->stream, bytes, head + length, release_frame, NULL, NULL, NULL);
    if (error < 0)
        ioalloc_free(bytes);
    return error;
}

static int send_unmasked(struct websocket *socket, const struct websocketframe *frame, const void *data)
{
    char head[WEBSOCKETFRAME_LONGEST_HEAD];
    struct iovec vector[] = { { head, websocketframe_format(head, frame) }, { (void *)data, (size_t)frame->length } };

    return iostream_writev(socket->stream, vector, 2, NULL, NULL);
}

int websocketmessage_send_frame(struct websocket *socket, enum websocketframe_opcode opcode, const void *data,
                                size_t length)
{
    struct websocketframe frame = {
        .length = length, .opcode = (uint8_t)opcode, .is_final = true, .is_masked = socket->is_client
    };
    char head[WEBSOCKETFRAME_LONGEST_HEAD];
    size_t size = websocketframe_format(head, &frame) + length;
    int error = size < length ? -ENOMEM : websocketmessage_check_room(socket, size);

    if (error < 0)
        return error;
    return as_socket_error(socket->is_client ? send_masked(socket, &frame, data) : send_unmasked(socket, &frame, data));
}

/* To many. */

struct websocket_message *websocket_message_new(const void *data, size_t length, bool is_binary)
{
    struct websocketframe frame = { .length = length, .is_final = true };
    struct websocket_message *message;

    if (!is_binary && !websocketconnection_is_text(data, length))
        return errno = EINVAL, NULL;
    if (length > SIZE_MAX / 2 || (message = ioalloc(sizeof *message + WEBSOCKETFRAME_LONGEST_HEAD + length)) == NULL)
        return errno = ENOMEM, NULL;
    frame.opcode = is_binary ? WEBSOCKETFRAME_BINARY : WEBSOCKETFRAME_TEXT;
    *message = (struct websocket_message){ .references = 1, .is_binary = is_binary, .length = length };
    message->head = websocketframe_format(message->bytes, &frame);
    if (length > 0)
        memcpy(message->bytes + message->head, data, length);
    return message;
}

void websocket_message_release(struct websocket_message *message)
{
    if (message == NULL)
        return;
    if (--message->references == 0)
        ioalloc_free(message);
}

static void release_reference(void *bytes, void *message)
{
    websocket_message_release(message);
}

/* Nothing is before it that was not sent, nor in between. */
static bool may_send_at_once(const struct iostream *stream)
{
    const struct loopcork *cork = loopmember_cork(stream->loop);

    return stream->output == NULL && stream->extras == NULL && !(cork->owner == stream && cork->used > 0);
}

/* Offers the kernel the frame, and keeps a reference for what is left of it. */
static int send_referenced(struct websocket *socket, struct websocket_message *message)
{
    struct iostream *stream = socket->stream;
    struct iovec vector = { message->bytes, message->head + message->length };
    ssize_t sent = may_send_at_once(stream) ? iostreamlayer_transport_write(stream, &vector, 1, false) : 0;

    if (sent == (ssize_t)vector.iov_len)
        return 0;
    size_t gone = sent > 0 ? (size_t)sent : 0; /* what an error means is found out by the next write */
    int error = iostream_write_owned(stream, message->bytes + gone, vector.iov_len - gone, release_reference, message,
                                     NULL, NULL);
    if (error == 0)
        message->references++;
    else if (gone > 0)
        websocketconnection_break(socket, error); /* nobody could make sense of what follows half a frame */
    return error;
}

int websocket_send(struct websocket *socket, struct websocket_message *message)
{
    size_t size = message->head + message->length;

    if (socket->is_client)
        return websocketmessage_send_frame(socket, message->is_binary ? WEBSOCKETFRAME_BINARY : WEBSOCKETFRAME_TEXT,
                                           message->bytes + message->head, message->length);
    int error = websocketmessage_check_room(socket, size);
    if (error < 0)
        return error;
    if (size <= COPIED_AT_MOST)
        return as_socket_error(iostream_write(socket->stream, message->bytes, size, NULL, NULL));
    return as_socket_error(send_referenced(socket, message));
}
