#include "websocket/websocketmessage.h"

#include <errno.h>
#include <string.h>

#include "ioloop/ioalloc.h"
#include "ioloop/iobudget.h"
#include "ioloop/iolog.h"
#include "websocket/websocketconnection.h"
#include "websocket/websocketdeflate.h"

#define COPIED_AT_MOST   1024u /* shorter frames are copied behind what waits: less than a reference would cost */
#define LEAST_COMPRESSED 64u

/* Frames. */

int websocketmessage_check_room(struct websocket *socket, size_t size)
{
    uint64_t most = socket->handler->max_unsent != 0 ? socket->handler->max_unsent : WEBSOCKETCONNECTION_MOST_UNSENT;

    if (!socket->is_open || iostream_closed(socket->stream))
        return -EBADF;
    if (size > most)
        return -EMSGSIZE;
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
    iobudget_free(bytes);
}

/* What a write has answered, for the program. */
static int settle_sending(struct websocket *socket, int error)
{
    if (error == 0)
        return websocketconnection_watch_drain(socket);
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
    char *bytes = is_short ? few : iobudget_alloc(WEBSOCKETFRAME_LONGEST_HEAD + length);
    if (bytes == NULL)
        return -ENOMEM;
    size_t head = websocketframe_format(bytes, frame);
    websocketframe_mask(bytes + head, data, length, frame->mask, 0);
    if (is_short)
        return iostream_write(socket->stream, bytes, head + length, NULL, NULL);
    error = iostream_write_owned(socket->stream, bytes, head + length, release_frame, NULL, NULL, NULL);
    if (error < 0)
        iobudget_free(bytes);
    return error;
}

/* Nothing is before it that was not sent, nor in between. */
static inline bool is_first_to_send(const struct iostream *stream)
{
    const struct loopfront_cork *cork = loopfront_cork(stream->loop);

    return stream->output == NULL && stream->extras == NULL && !stream->is_closed &&
           (cork->owner != stream || cork->used == 0);
}

/* And nothing is about to be sent with it. */
static inline bool may_send_at_once(const struct iostream *stream)
{
    return is_first_to_send(stream) && loopfront_cork(stream->loop)->owner != stream;
}

/* The block of the message that is handed over now, if these are bytes of it, and so many that it is not held for a
 * few.
 */
static struct websocketloop_block *find_block(const void *data, size_t length)
{
    struct websocketloop_block *block = websocketconnection_lent;
    const char *bytes = data;

    if (block == NULL || length <= WEBSOCKETCONNECTION_CORKED || length < block->capacity / 2 || bytes < block->bytes ||
        bytes > block->bytes + block->capacity)
        return NULL;
    return block;
}

static void release_block(void *bytes, void *block)
{
    websocketloop_give(block);
}

/* What the kernel has not taken of the frame is not copied: its block is held until it is sent. */
static int hold_block(struct websocket *socket, struct websocketloop_block *block, struct iovec vector[2], size_t sent)
{
    size_t head = sent < vector[0].iov_len ? vector[0].iov_len - sent : 0;
    size_t gone = head > 0 ? 0 : sent - vector[0].iov_len;
    int error = 0;

    if (head > 0)
        error = iostream_write(socket->stream, (char *)vector[0].iov_base + sent, head, NULL, NULL);
    if (error == 0)
        error = iostream_write_owned(socket->stream, (char *)vector[1].iov_base + gone, vector[1].iov_len - gone,
                                     release_block, block, NULL, NULL);
    if (error == 0)
        block->holders++;
    else
        websocketconnection_break(socket, error); /* nobody could make sense of what follows half a frame */
    return error;
}

static int send_unmasked(struct websocket *socket, const struct websocketframe *frame, const void *data)
{
    char head[WEBSOCKETFRAME_LONGEST_HEAD];
    struct iovec vector[] = { { head, websocketframe_format(head, frame) }, { (void *)data, (size_t)frame->length } };
    struct websocketloop_block *block = find_block(data, vector[1].iov_len);

    if (block != NULL && socket->stream->output != NULL)
        return hold_block(socket, block, vector, 0);
    if (block == NULL || !is_first_to_send(socket->stream))
        return iostream_writev(socket->stream, vector, frame->length > 0 ? 2 : 1, NULL, NULL);
    ssize_t sent = iostreamlayer_transport_write(socket->stream, vector, 2, false);
    return sent == (ssize_t)(vector[0].iov_len + vector[1].iov_len)
               ? 0
               : hold_block(socket, block, vector, sent > 0 ? (size_t)sent : 0);
}

static int send_whole(struct websocket *socket, enum websocketframe_opcode opcode, const void *data, size_t length,
                      bool is_compressed)
{
    struct websocketframe frame = { .length = length,
                                    .opcode = (uint8_t)opcode,
                                    .is_final = true,
                                    .is_masked = socket->is_client,
                                    .is_compressed = is_compressed };
    char head[WEBSOCKETFRAME_LONGEST_HEAD];
    size_t size = websocketframe_format(head, &frame) + length;
    int error = size < length ? -ENOMEM : websocketmessage_check_room(socket, size);

    if (error < 0)
        return error;
    return settle_sending(socket,
                          socket->is_client ? send_masked(socket, &frame, data) : send_unmasked(socket, &frame, data));
}

/* Compressed. */

struct deflated_payload {
    const char *data; /* until the encoder is called again */
    size_t length;
    struct websocketloop_block *block; /* it lies there; NULL: in the encoder */
};

/* All that comes out, in a block of the loop; the first part has. */
static int collect_deflated(struct websocket *socket, const char *data, size_t left,
                            struct websocketdeflate_piece *part, struct deflated_payload *payload)
{
    struct ioloop *loop = socket->stream->loop;

    for (;;) {
        size_t needed = payload->length + part->length;
        struct websocketloop_block *block =
            websocketloop_grow(loop, payload->block, payload->length, needed, 2 * needed);
        if (block == NULL)
            return -ENOMEM;
        payload->block = block;
        if (part->length > 0)
            memcpy(block->bytes + payload->length, part->data, part->length);
        payload->data = block->bytes;
        payload->length = needed;
        if (!part->more)
            return 0;
        ssize_t taken = websocketdeflate_compress(socket->rare->deflate, data, left, true, part);
        if (taken < 0)
            return (int)taken;
        data += taken;
        left -= (size_t)taken;
    }
}

/* What goes into one part, as most do, is sent from where it lies. */
static int deflate_payload(struct websocket *socket, const char *data, size_t length, struct deflated_payload *payload)
{
    struct websocketdeflate_piece part;

    *payload = (struct deflated_payload){ 0 };
    ssize_t taken = websocketdeflate_compress(socket->rare->deflate, data, length, true, &part);
    if (taken < 0)
        return (int)taken;
    if (part.more)
        return collect_deflated(socket, data + taken, length - (size_t)taken, &part, payload);
    payload->data = part.data;
    payload->length = part.length;
    return 0;
}

static void free_payload(struct deflated_payload *payload)
{
    if (payload->block != NULL)
        websocketloop_give(payload->block);
}

static int send_deflated(struct websocket *socket, enum websocketframe_opcode opcode, const char *data, size_t length)
{
    struct deflated_payload payload;
    int error = deflate_payload(socket, data, length, &payload);

    if (error == 0)
        error = send_whole(socket, opcode, payload.data, payload.length, true);
    free_payload(&payload);
    return error;
}

static bool is_worth_deflating(const struct websocket *socket, size_t length)
{
    size_t least = socket->handler->compress_least != 0 ? socket->handler->compress_least : LEAST_COMPRESSED;

    return socket->compresses && length >= least;
}

int websocketmessage_send(struct websocket *socket, enum websocketframe_opcode opcode, const void *data, size_t length)
{
    if (!is_worth_deflating(socket, length))
        return send_whole(socket, opcode, data, length, false);
    int error = websocketmessage_check_room(socket, 0);
    if (error < 0)
        return error;
    error = send_deflated(socket, opcode, data, length);
    if (error < 0)
        websocketdeflate_forget(socket->rare->deflate); /* the peer has not seen it */
    return error;
}

/* To many. */

static struct websocket_message *new_message(const void *data, size_t length, bool is_binary, bool is_compressed)
{
    struct websocketframe frame = { .length = length, .is_final = true, .is_compressed = is_compressed };
    struct websocket_message *message;

    if (length > SIZE_MAX / 2 || (message = ioalloc(sizeof *message + WEBSOCKETFRAME_LONGEST_HEAD + length)) == NULL)
        return errno = ENOMEM, NULL;
    frame.opcode = is_binary ? WEBSOCKETFRAME_BINARY : WEBSOCKETFRAME_TEXT;
    *message = (struct websocket_message){ .references = 1, .is_binary = is_binary, .length = length };
    message->head = websocketframe_format(message->bytes, &frame);
    if (length > 0)
        memcpy(message->bytes + message->head, data, length);
    return message;
}

struct websocket_message *websocket_message_new(const void *data, size_t length, bool is_binary)
{
    if (!is_binary && !websocketconnection_is_text(data, length))
        return errno = EINVAL, NULL;
    return new_message(data, length, is_binary, false);
}

void websocket_message_release(struct websocket_message *message)
{
    if (message == NULL || --message->references > 0)
        return;
    if (message->deflated != NULL && --message->deflated->references == 0)
        ioalloc_free(message->deflated);
    ioalloc_free(message);
}

/* Compressed for all whose window is no smaller: with nothing before it that it could refer to. NULL: this socket's is,
 * or there is no memory. */
static struct websocket_message *deflated_message(struct websocket *socket, struct websocket_message *message)
{
    struct websocketdeflate *deflate = socket->rare->deflate;
    struct deflated_payload payload;

    if (message->deflated == NULL) {
        websocketdeflate_forget(deflate);
        if (deflate_payload(socket, message->bytes + message->head, message->length, &payload) == 0)
            message->deflated = new_message(payload.data, payload.length, message->is_binary, true);
        free_payload(&payload);
        message->window = websocketdeflate_send_window(deflate);
        websocketdeflate_forget(deflate);
    }
    return message->window <= websocketdeflate_send_window(deflate) ? message->deflated : NULL;
}

static void release_reference(void *bytes, void *message)
{
    websocket_message_release(message);
}

/* What the kernel has not taken is kept: a reference, or if it is short a copy. What an error of it means the next
 * write finds out. */
static int keep_rest_of_message(struct websocket *socket, struct websocket_message *message, ssize_t sent)
{
    size_t gone = sent > 0 ? (size_t)sent : 0, left = message->head + message->length - gone;
    bool is_short = left <= COPIED_AT_MOST;
    int error = is_short ? iostream_write(socket->stream, message->bytes + gone, left, NULL, NULL)
                         : iostream_write_owned(socket->stream, message->bytes + gone, left, release_reference, message,
                                                NULL, NULL);

    if (error == 0 && !is_short)
        message->references++;
    else if (error < 0 && gone > 0)
        websocketconnection_break(socket, error); /* nobody could make sense of what follows half a frame */
    return settle_sending(socket, error);
}

/* Offers the kernel the frame from where it lies. */
static inline int send_from_message(struct websocket *socket, struct websocket_message *message)
{
    struct iovec vector = { message->bytes, message->head + message->length };
    ssize_t sent = iostreamlayer_transport_write(socket->stream, &vector, 1, false);

    return sent == (ssize_t)vector.iov_len ? 0 : keep_rest_of_message(socket, message, sent);
}

static int send_framed(struct websocket *socket, struct websocket_message *message)
{
    size_t size = message->head + message->length;
    int error = websocketmessage_check_room(socket, size);

    if (error < 0)
        return error;
    if (size > COPIED_AT_MOST && may_send_at_once(socket->stream))
        return send_from_message(socket, message);
    return keep_rest_of_message(socket, message, 0);
}

static int __attribute__((noinline)) send_otherwise(struct websocket *socket, struct websocket_message *message)
{
    struct websocket_message *deflated = NULL;
    bool is_compressed = socket->is_open && is_worth_deflating(socket, message->length);

    if (is_compressed && !socket->is_client)
        deflated = deflated_message(socket, message);
    if (deflated != NULL) {
        websocketdeflate_forget(socket->rare->deflate); /* its window has something else than the peer's from now on */
        return send_framed(socket, deflated);
    }
    if (!socket->is_client && !is_compressed)
        return send_framed(socket, message);
    return websocketmessage_send(socket, message->is_binary ? WEBSOCKETFRAME_BINARY : WEBSOCKETFRAME_TEXT,
                                 message->bytes + message->head, message->length);
}

int websocket_send(struct websocket *socket, struct websocket_message *message)
{
    size_t size = message->head + message->length;

    /* Most of what goes to many: no limit can be in its way. */
    if (socket->is_plain && socket->is_open && size <= WEBSOCKETCONNECTION_CORKED && may_send_at_once(socket->stream))
        return send_from_message(socket, message);
    return send_otherwise(socket, message);
}
