/* What comes in over a WebSocket: frames, and the messages that they make. Short messages are handed over from where
 * they were received; others are collected, the long ones received right where they are collected. */
#include <errno.h>
#include <string.h>

#include "websocket/websocketconnection.h"

#define DEFAULT_MESSAGE    (1u << 20)
#define MOST_KEPT_INFLATED 4096u  /* a block that stays with its socket for the next message */
#define LEAST_IN_PLACE     16384u /* bytes still to come of a frame that are received where they belong */

_Static_assert(MOST_KEPT_INFLATED <= WEBSOCKETCONNECTION_CORKED, "a block that is used again nobody else holds");

_Thread_local struct websocketconnection_text websocketconnection_text __attribute__((tls_model("initial-exec")));
_Thread_local struct websocketloop_block *websocketconnection_lent __attribute__((tls_model("initial-exec")));

static size_t consume_frames(struct iostream *stream, int error, const char *data, size_t length, void *arg);
static size_t consume_rest(struct iostream *stream, int error, const char *data, size_t length, void *arg);

/* Messages. */

/* The only way into on_message. */
static inline void hand_over_message(struct websocket *socket, char *data, size_t length, bool is_binary)
{
    websocket_message_fn *function = socket->handler->on_message;
    char behind = data[length];

    if (function == NULL)
        return;
    data[length] = '\0';
    if (!is_binary)
        websocketconnection_text = (struct websocketconnection_text){ data, length };
    function(socket, data, length, is_binary);
    websocketconnection_text.data = NULL;
    data[length] = behind;
}

/* In a child of fork() that a callback has called: what comes behind is the parent's to answer, as iostream has it for
 * the bytes of a consumer. A fork drops the cork, so most of the time that is all there is to ask. */
static inline bool is_parents_to_read(const struct iostream *stream)
{
    return loopfront_cork(stream->loop)->owner != stream && loopmember_is_stale(stream->loop);
}

static inline bool reads_frames(const struct iostream *stream)
{
    return stream->consumer == consume_frames && !stream->is_closed && !is_parents_to_read(stream);
}

bool websocketconnection_reads_frames(const struct websocket *socket)
{
    return reads_frames(socket->stream);
}

static bool is_in_place(const struct websocket *socket)
{
    return socket->rare != NULL && socket->rare->block != NULL && socket->rare->block->place.size > 0;
}

static void read_rest(struct websocket *socket)
{
    iostreamlayer_begin_placed_read(socket->stream, consume_rest, socket->rare->block, false);
}

void websocketconnection_refuse(struct websocket *socket, int code, const char *problem)
{
    int error = code == WEBSOCKET_TOO_BIG ? -EMSGSIZE : code == WEBSOCKET_INTERNAL ? -ENOMEM : -EPROTO;

    websocketconnection_fail(socket, code, error, problem);
}

/* A small one stays where the next message will need one. */
void websocketconnection_hand_over_block(struct websocket *socket, bool is_binary)
{
    struct websocketloop_block *block = socket->rare->block;
    size_t length = socket->rare->length;

    socket->rare->block = NULL;
    socket->rare->length = 0;
    websocketconnection_lent = block;
    hand_over_message(socket, block->bytes, length, is_binary);
    websocketconnection_lent = NULL;
    if (socket->compresses && block->capacity <= MOST_KEPT_INFLATED)
        socket->rare->block = block;
    else
        websocketloop_give(block);
    websocketconnection_drop_rare(socket);
}

/* More of a message, of which perhaps so many bytes are still to come. */
bool websocketconnection_collect(struct websocket *socket, const char *data, size_t length, uint64_t coming)
{
    struct websocketconnection_rare *rare = websocketconnection_rare(socket);
    struct websocketloop_block *block = NULL;

    if (rare != NULL && coming <= SIZE_MAX / 4) {
        size_t needed = rare->length + length;
        block = websocketloop_grow(socket->stream->loop, rare->block, rare->length, needed, needed + (size_t)coming);
    }
    if (block == NULL) {
        websocketconnection_refuse(socket, WEBSOCKET_INTERNAL, "no memory");
        return false;
    }
    rare->block = block;
    if (length > 0)
        memcpy(block->bytes + rare->length, data, length);
    rare->length += length;
    return true;
}

/* The next bytes of this frame, so many at most, go behind those that are there. Room grows with what has come. */
static void go_on_in_place(struct websocket *socket, uint64_t coming)
{
    struct websocketconnection_rare *rare = socket->rare;
    size_t length = rare->length;
    struct websocketloop_block *block = NULL;

    if (coming <= SIZE_MAX / 4)
        block = websocketloop_grow(socket->stream->loop, rare->block, length, length + 1, length + (size_t)coming);
    if (block == NULL) {
        websocketconnection_refuse(socket, WEBSOCKET_INTERNAL, "no memory");
        return;
    }
    size_t room = block->capacity - length;
    rare->block = block;
    block->socket = socket;
    block->place = (struct iostreamlayer_place){ block->bytes + length, room < coming ? room : (size_t)coming };
    read_rest(socket);
}

/* What is missing of a long frame is received behind what there is of it, and unmasked there. */
static void __attribute__((noinline)) collect_piece(struct websocket *socket, const struct websocketreader_piece *piece)
{
    if (!websocketconnection_collect(socket, piece->data, piece->length, piece->coming))
        return;
    if (piece->is_last)
        websocketconnection_hand_over_block(socket, piece->is_binary);
    else if (piece->coming >= LEAST_IN_PLACE)
        go_on_in_place(socket, piece->coming);
}

/* Also behind our close frame: until that of the peer has come, what it says is said to the program (RFC 6455 1.4). */
static inline void take_message_piece(struct websocket *socket, const struct websocketreader_piece *piece)
{
    if (socket->handler->on_piece != NULL)
        socket->handler->on_piece(socket, piece->data, piece->length, piece->is_binary, piece->is_last);
    else if (piece->is_first && piece->is_last)
        hand_over_message(socket, piece->data, piece->length, piece->is_binary);
    else
        collect_piece(socket, piece);
}

static void __attribute__((noinline))
take_control_frame(struct websocket *socket, const struct websocketreader_piece *piece)
{
    if (piece->what == WEBSOCKETREADER_CLOSE)
        websocketconnection_peer_closes(socket, piece);
    else if (piece->what == WEBSOCKETREADER_PING)
        websocketconnection_peer_pings(socket, piece);
    else if (piece->what == WEBSOCKETREADER_PONG && socket->is_open && socket->handler->on_pong != NULL)
        socket->handler->on_pong(socket, piece->data, piece->length);
}

/* Between messages there is nothing to remember. */
static void __attribute__((noinline)) keep_reader(struct websocket *socket, const struct websocketreader *reader)
{
    struct websocketconnection_rare *rare;

    if (websocketconnection_has_ended(socket))
        return;
    if (reader->opcode == 0) {
        socket->rare->is_reading = false;
        websocketconnection_drop_rare(socket);
        return;
    }
    rare = websocketconnection_rare(socket);
    if (rare == NULL) {
        websocketconnection_refuse(socket, WEBSOCKET_INTERNAL, "no memory");
        return;
    }
    if (reader != &rare->reader)
        rare->reader = *reader;
    websocketconnection_begin_message(socket);
}

/* Any byte will do as a sign of life. False: the connection has ended, without a deadline it cannot be. */
static inline bool hear_peer(struct websocket *socket)
{
    socket->is_heard = true;
    return socket->deadline_is != WEBSOCKETCONNECTION_PONG || websocketconnection_end_silence(socket);
}

/* Anything that may come. Answers how many bytes were taken. */
static size_t __attribute__((noinline))
consume_any_frames(struct websocket *socket, uint64_t most, const char *data, size_t length)
{
    struct websocketreader fresh = { 0 };
    struct websocketreader *reader = socket->rare != NULL && socket->rare->is_reading ? &socket->rare->reader : &fresh;
    const struct websocketreader_limits limits = { .message = most,
                                                   .fragments = socket->handler->max_fragments,
                                                   .is_client = socket->is_client,
                                                   .may_compress = socket->compresses };
    struct websocketreader_piece piece;
    size_t used = 0;
    ssize_t taken = 0;
    bool has_begun = false;

    if (socket->rare != NULL && socket->rare->is_inflating)
        websocketconnection_go_on_inflating(socket, most);
    while (used < length && reads_frames(socket->stream)) {
        has_begun |= reader->opcode == 0;
        taken = websocketreader_next(reader, &limits, (char *)data + used, length - used, &piece);
        if (taken <= 0)
            break;
        used += (size_t)taken;
        if (piece.is_compressed)
            used -= websocketconnection_inflate(socket, most, reader, &piece);
        else if (piece.what == WEBSOCKETREADER_MESSAGE)
            take_message_piece(socket, &piece);
        else
            take_control_frame(socket, &piece);
    }
    if (taken < 0) {
        websocketconnection_refuse(socket, (int)-taken, piece.problem);
        return length;
    }
    if ((reader == &fresh) != (reader->opcode == 0) || (has_begun && reader->opcode != 0))
        keep_reader(socket, reader);
    return used;
}

/* Short messages first, as many as there are: they leave nothing to remember. */
static size_t consume_frames(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct websocket *socket = arg;
    const struct websocket_handler *handler = socket->handler;
    uint64_t most = handler->max_message != 0 ? handler->max_message : DEFAULT_MESSAGE;
    struct websocketreader_piece piece;
    size_t used = 0;
    ssize_t taken;

    if (error < 0 || !hear_peer(socket))
        return length; /* the close callback tells */
    if (handler->on_piece != NULL || (socket->rare != NULL && (socket->rare->is_reading || socket->rare->is_inflating)))
        return consume_any_frames(socket, most, data, length);
    do {
        taken = websocketreader_short(socket->is_client, most, (char *)data + used, length - used, &piece);
        if (taken <= 0)
            break;
        used += (size_t)taken;
        hand_over_message(socket, piece.data, piece.length, piece.is_binary);
    } while (used < length && reads_frames(stream));
    if (taken < 0) {
        websocketconnection_refuse(socket, (int)-taken, piece.problem);
        return length;
    }
    return taken > 0 ? used : used + consume_any_frames(socket, most, data + used, length - used);
}

/* The end of what belongs in the block: of the frame, perhaps of the message, or of the room. */
static void end_place(struct websocket *socket, const struct websocketreader_piece *piece)
{
    struct websocketconnection_rare *rare = socket->rare;

    if (piece->coming > 0) {
        go_on_in_place(socket, piece->coming);
        return;
    }
    rare->is_reading = !piece->is_last;
    (void)!iostream_set_consumer(socket->stream, consume_frames, socket);
    if (piece->is_last)
        websocketconnection_hand_over_block(socket, piece->is_binary);
}

/* The rest of a long frame, as far as there is a place for it. Only what was unread has to be put there. */
static size_t consume_rest(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct websocketloop_block *block = arg;
    struct websocketreader_piece piece;

    if (error < 0 || !hear_peer(block->socket))
        return length; /* the close callback tells */
    struct websocket *socket = block->socket;
    struct iostreamlayer_place *place = &block->place;
    size_t count = length < place->size ? length : place->size;
    if (data != place->memory)
        memcpy(place->memory, data, count);
    ssize_t taken = websocketreader_next(&socket->rare->reader, &(struct websocketreader_limits){ 0 }, place->memory,
                                         count, &piece);
    if (taken < 0) {
        websocketconnection_refuse(socket, (int)-taken, piece.problem);
        return length;
    }
    socket->rare->length += count;
    place->memory += count;
    place->size -= count;
    if (place->size == 0)
        end_place(socket, &piece);
    return count;
}

void websocketconnection_read(struct websocket *socket)
{
    struct iostream *stream = socket->stream;

    if (!socket->is_ready || socket->is_paused || websocketconnection_has_ended(socket))
        return;
    if (socket->rare != NULL && socket->rare->is_reading)
        websocketconnection_begin_message(socket); /* the time of a pause is not the peer's */
    if (is_in_place(socket))
        read_rest(socket);
    else if (socket->rare != NULL && socket->rare->is_inflating)
        iostreamlayer_begin_read(stream, consume_frames, socket, true);
    else
        (void)!iostream_set_consumer(stream, consume_frames, socket); /* it may have come to its end */
}

/* Who does not hear the pong is not to wait for it. */
void websocketconnection_hold(struct websocket *socket)
{
    if (!socket->is_ready)
        return;
    iostream_set_consumer(socket->stream, NULL, NULL);
    if (socket->deadline_is == WEBSOCKETCONNECTION_PONG && !iostream_closed(socket->stream))
        (void)websocketconnection_end_silence(socket);
}
