#include "websocket/websocketconnection.h"

#include <errno.h>
#include <string.h>

#include "ioloop/ioalloc.h"
#include "ioloop/iolog.h"
#include "websocket/websocketdeflate.h"
#include "websocket/websockettopics.h"

#define DEFAULT_MESSAGE    (1u << 20)
#define DEFAULT_HIGH_WATER (256u << 10)
#define LEAST_WINDOW       9 /* other than 8, which not every encoder can do */
#define MOST_WINDOW        15
#define LEAST_INFLATED     512u   /* room for a message that was compressed, at first */
#define MOST_KEPT_INFLATED 4096u  /* a block that stays with its socket for the next one */
#define LEAST_IN_PLACE     16384u /* bytes still to come of a frame that are received where they belong */
#define PLAIN_LIMIT        (2 * LOOPMEMBER_CORK) /* a limit of unsent bytes that no cork can reach */

_Static_assert(MOST_KEPT_INFLATED <= WEBSOCKETCONNECTION_CORKED, "a block that is used again nobody else holds");

_Thread_local struct websocketconnection_text websocketconnection_text;
_Thread_local struct websocketloop_block *websocketconnection_lent;

static size_t consume_frames(struct iostream *stream, int error, const char *data, size_t length, void *arg);
static size_t consume_rest(struct iostream *stream, int error, const char *data, size_t length, void *arg);

/* Life. */

struct websocket *websocketconnection_new(const struct websocket_handler *handler, bool is_client)
{
    struct websocket *socket = ioalloc_zeroed(sizeof *socket);

    if (socket == NULL)
        return NULL;
    socket->handler = handler;
    socket->is_client = is_client;
    socket->is_plain = !is_client && (handler->max_unsent == 0 || handler->max_unsent >= PLAIN_LIMIT);
    return socket;
}

struct websocketconnection_rare *websocketconnection_rare(struct websocket *socket)
{
    if (socket->rare == NULL)
        socket->rare = ioalloc_zeroed(sizeof *socket->rare);
    return socket->rare;
}

static void free_rare(struct websocket *socket)
{
    struct websocketconnection_rare *rare = socket->rare;

    if (rare->block != NULL)
        websocketloop_give(rare->block);
    websocketdeflate_free(rare->deflate);
    ioalloc_free(rare->subprotocol);
    ioalloc_free(rare->reason);
    ioalloc_free(rare->remote_ip);
    ioalloc_free(rare->pong);
    ioalloc_free(rare);
    socket->rare = NULL;
}

void websocketconnection_drop_rare(struct websocket *socket)
{
    const struct websocketconnection_rare *rare = socket->rare;

    if (rare != NULL && socket->stream != NULL && !rare->is_reading && !rare->is_inflating && rare->block == NULL &&
        rare->deflate == NULL && rare->topics == NULL && rare->client == NULL && rare->subprotocol == NULL &&
        rare->reason == NULL && rare->remote_ip == NULL && rare->pong == NULL)
        free_rare(socket);
}

void websocketconnection_free(struct websocket *socket)
{
    deadline_clear(&socket->deadline);
    if (socket->rare != NULL)
        free_rare(socket);
    ioalloc_free(socket);
}

/* The only way into on_close. */
void websocketconnection_finish(struct websocket *socket)
{
    const char *reason = socket->rare != NULL && socket->rare->reason != NULL ? socket->rare->reason : "";

    socket->is_open = false;
    websockettopics_leave(socket);
    if (socket->handler->on_close != NULL)
        socket->handler->on_close(socket, socket->got_close ? (int)socket->peer_code : WEBSOCKET_ABNORMAL, reason);
    websocketconnection_free(socket);
}

static void socket_ended(struct iostream *stream, int error, void *arg)
{
    struct websocket *socket = arg;

    if (!socket->got_close && socket->error == 0)
        socket->error = (int16_t)error;
    websocketconnection_finish(socket);
}

void websocketconnection_break(struct websocket *socket, int error)
{
    if (iostream_closed(socket->stream))
        return;
    if (socket->error == 0)
        socket->error = (int16_t)error;
    iostream_close(socket->stream);
}

/* Compression. */

void websocketconnection_want_deflate(const struct websocket_handler *handler, struct websocketdeflate_terms *wanted)
{
    int window = handler->compress_window;

    if (window == 0 || window > MOST_WINDOW)
        window = MOST_WINDOW;
    else if (window < LEAST_WINDOW)
        window = LEAST_WINDOW;
    *wanted = (struct websocketdeflate_terms){ .server_window = window,
                                               .client_window = window,
                                               .server_anew = handler->compress_anew,
                                               .client_anew = handler->compress_anew };
}

/* Without memory for that it has its own. */
static void share_coders(const struct websocket *socket, struct websocketdeflate *deflate)
{
    struct websocketloop *shared = websocketloop_of(websocketconnection_loop(socket));

    if (shared != NULL)
        websocketdeflate_share(deflate, &shared->deflate);
}

int websocketconnection_agree_deflate(struct websocket *socket, const struct websocketdeflate_terms *agreed)
{
    struct websocketconnection_rare *rare = websocketconnection_rare(socket);

    if (rare == NULL || (rare->deflate = websocketdeflate_new(agreed, socket->is_client, 0)) == NULL)
        return -ENOMEM;
    share_coders(socket, rare->deflate);
    socket->compresses = true;
    socket->is_plain = false;
    return 0;
}

/* Deadlines. */

static void deadline_reached(struct deadline *deadline);

static const double default_seconds[] = {
    [WEBSOCKETCONNECTION_QUIET] = 20.0 / 4, [WEBSOCKETCONNECTION_PONG] = 20, [WEBSOCKETCONNECTION_CLOSE] = 5
};

static void set_socket_deadline(struct websocket *socket, enum websocketconnection_deadline what)
{
    const struct websocket_handler *handler = socket->handler;
    double seconds = what == WEBSOCKETCONNECTION_QUIET  ? handler->ping_interval / 4
                     : what == WEBSOCKETCONNECTION_PONG ? handler->ping_timeout
                                                        : handler->close_timeout;

    socket->deadline_is = what;
    if (deadline_set(socket->stream->loop, &socket->deadline, websocketconnection_time(seconds, default_seconds[what]),
                     deadline_reached) < 0)
        websocketconnection_break(socket, -ENOMEM);
}

/* Has the peer taken something of what waits, since this was last asked? Of the number of bytes that it has taken a few
 * bits of its hash are remembered. */
static bool is_getting_through(struct websocket *socket)
{
    iostreamlayer_send_output(socket->stream); /* the kernel has room for a byte long before it says so */
    uint64_t gone = socket->stream->output != NULL ? socket->stream->output->gone + UINT64_C(1) : 0;
    uint16_t mark = (uint16_t)(gone * UINT64_C(0x9e3779b97f4a7c15) >> 48);
    bool is_same = mark == socket->taken;

    socket->taken = mark;
    return !is_same;
}

/* A quarter of ping_interval has gone by. That there were bytes is all that is noted when they come: nobody has to ask
 * the clock then. Who is paused does not hear them. */
static bool is_silent(struct websocket *socket)
{
    bool hears = !socket->is_heard && !socket->is_paused;

    socket->is_heard = false;
    socket->quarters = hears ? (socket->quarters + 1u) & 3 : 0;
    return hears && socket->quarters == 0;
}

static void ask_peer(struct websocket *socket)
{
    bool asked = is_silent(socket) && websocketconnection_send_control(socket, WEBSOCKETFRAME_PING, NULL, 0) == 0;

    if (iostream_closed(socket->stream))
        return;
    if (asked)
        (void)is_getting_through(socket);
    set_socket_deadline(socket, asked ? WEBSOCKETCONNECTION_PONG : WEBSOCKETCONNECTION_QUIET);
}

static void give_up_peer(struct websocket *socket)
{
    static const char frame[] = "\x03\xf3ping timed out";

    if (socket->deadline_is == WEBSOCKETCONNECTION_PONG && iostream_pending(socket->stream) == 0)
        (void)!websocketconnection_send_control(socket, WEBSOCKETFRAME_CLOSE, frame, sizeof frame - 1);
    websocketconnection_break(socket, socket->got_close ? 0 : -ETIMEDOUT);
}

static void deadline_reached(struct deadline *deadline)
{
    struct websocket *socket = (struct websocket *)deadline;

    if (iostream_closed(socket->stream))
        return;
    if (socket->deadline_is == WEBSOCKETCONNECTION_QUIET)
        ask_peer(socket);
    else if (!is_getting_through(socket))
        give_up_peer(socket);
    else if (!iostream_closed(socket->stream))
        set_socket_deadline(socket, socket->deadline_is);
}

/* Sending. */

int websocketconnection_send_control(struct websocket *socket, enum websocketframe_opcode opcode, const void *data,
                                     size_t length)
{
    char bytes[WEBSOCKETFRAME_LONGEST_HEAD + WEBSOCKETFRAME_MOST_CONTROL];
    struct websocketframe frame = {
        .length = length, .opcode = (uint8_t)opcode, .is_final = true, .is_masked = socket->is_client
    };
    int error = 0;

    if (socket->is_client)
        error = websocketloop_random(socket->stream->loop, &frame.mask, sizeof frame.mask);
    if (error < 0)
        return error;
    size_t head = websocketframe_format(bytes, &frame);
    if (length > 0)
        memcpy(bytes + head, data, length);
    if (socket->is_client)
        websocketframe_mask(bytes + head, bytes + head, length, frame.mask, 0);
    error = iostream_write(socket->stream, bytes, head + length, NULL, NULL);
    return error == -EPIPE ? -EBADF : error;
}

void websocketconnection_send_close(struct websocket *socket, int code, const char *reason, size_t length)
{
    char payload[WEBSOCKETFRAME_MOST_CONTROL] = { (char)(code >> 8), (char)code };

    if (length > 0)
        memcpy(payload + 2, reason, length);
    socket->is_open = false;
    int error = websocketconnection_send_control(socket, WEBSOCKETFRAME_CLOSE, payload, code != 0 ? length + 2 : 0);
    if (error < 0)
        websocketconnection_break(socket, error);
    if (iostream_closed(socket->stream))
        return;
    (void)is_getting_through(socket);
    set_socket_deadline(socket, WEBSOCKETCONNECTION_CLOSE);
}

/* Ending. A socket that is closed with bytes unread resets its peer, who may then lose the close frame. So that is
 * followed by FIN, and what still comes is dropped for a while. */

static size_t drop_frames(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    return length;
}

static void drop_what_comes(struct websocket *socket)
{
    (void)!iostream_set_consumer(socket->stream, drop_frames, socket); /* it may have closed */
}

static void end_sending(struct websocket *socket)
{
    iostream_shutdown(socket->stream);
    drop_what_comes(socket);
}

void websocketconnection_fail(struct websocket *socket, int code, int error, const char *reason)
{
    size_t length = strlen(reason);

    iolog_write(IOLOG_GENERAL, IOLOG_INFO, "a WebSocket ends with %d: %s", code, reason);
    if (socket->error == 0)
        socket->error = (int16_t)error;
    if (socket->is_open)
        websocketconnection_send_close(socket, code, reason, length);
    end_sending(socket);
}

static void keep_reason(struct websocket *socket, const char *reason, size_t length)
{
    struct websocketconnection_rare *rare = length > 0 ? websocketconnection_rare(socket) : NULL;

    if (rare == NULL || (rare->reason = ioalloc(length + 1)) == NULL)
        return;
    memcpy(rare->reason, reason, length);
    rare->reason[length] = '\0';
}

/* The server's part of ending is to close the connection, the client's to wait for that (RFC 6455 7.1.1). */
static void peer_closes(struct websocket *socket, const struct websocketreader_piece *piece)
{
    socket->got_close = true;
    socket->peer_code = (unsigned)piece->code & 0xffff;
    keep_reason(socket, piece->data, piece->length);
    if (socket->is_open)
        websocketconnection_send_close(socket, piece->code == WEBSOCKET_NO_CODE ? 0 : piece->code, NULL, 0);
    if (socket->is_client)
        drop_what_comes(socket);
    else
        end_sending(socket);
}

/* Pings. While its peer does not read, only the last pong waits (RFC 6455 5.5.3). */

static void send_pong(struct iostream *stream, int error, void *arg)
{
    struct websocket *socket = arg;
    struct websocketconnection_pong *pong = socket->rare->pong;

    socket->rare->pong = NULL;
    if (error == 0 && socket->is_open)
        (void)!websocketconnection_send_control(socket, WEBSOCKETFRAME_PONG, pong->data, pong->length);
    ioalloc_free(pong);
    websocketconnection_drop_rare(socket);
}

static struct websocketconnection_pong *new_pong(struct websocket *socket)
{
    struct websocketconnection_rare *rare = websocketconnection_rare(socket);
    struct websocketconnection_pong *pong = rare != NULL ? ioalloc(sizeof *pong) : NULL;

    if (pong == NULL)
        return NULL;
    if (iostream_write(socket->stream, NULL, 0, send_pong, socket) < 0) {
        ioalloc_free(pong);
        return NULL;
    }
    return rare->pong = pong;
}

/* Without memory it is as if there had been no ping. */
static void keep_pong(struct websocket *socket, const char *data, size_t length)
{
    struct websocketconnection_pong *pong =
        socket->rare != NULL && socket->rare->pong != NULL ? socket->rare->pong : new_pong(socket);

    if (pong == NULL)
        return;
    pong->length = length;
    memcpy(pong->data, data, length);
}

static void peer_pings(struct websocket *socket, const struct websocketreader_piece *piece)
{
    const struct iooutput *output = socket->stream->output;

    if (!socket->is_open)
        return;
    if (output != NULL && output->pending > 0)
        keep_pong(socket, piece->data, piece->length);
    else
        (void)!websocketconnection_send_control(socket, WEBSOCKETFRAME_PONG, piece->data, piece->length);
    if (socket->handler->on_ping != NULL)
        socket->handler->on_ping(socket, piece->data, piece->length);
}

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

static inline bool reads_frames(const struct iostream *stream)
{
    return stream->consumer == consume_frames && !stream->is_closed;
}

static bool has_ended(const struct iostream *stream)
{
    return stream->is_closed || stream->consumer == drop_frames;
}

static bool is_in_place(const struct websocket *socket)
{
    return socket->rare != NULL && socket->rare->block != NULL && socket->rare->block->place.size > 0;
}

static void read_rest(struct websocket *socket)
{
    iostreamlayer_begin_placed_read(socket->stream, consume_rest, socket->rare->block, false);
}

static void refuse_frames(struct websocket *socket, int code, const char *problem)
{
    int error = code == WEBSOCKET_TOO_BIG ? -EMSGSIZE : code == WEBSOCKET_INTERNAL ? -ENOMEM : -EPROTO;

    websocketconnection_fail(socket, code, error, problem);
}

/* A small one stays where the next message will need one. */
static void hand_over_block(struct websocket *socket, bool is_binary)
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
static bool collect_bytes(struct websocket *socket, const char *data, size_t length, uint64_t coming)
{
    struct websocketconnection_rare *rare = websocketconnection_rare(socket);
    struct websocketloop_block *block = NULL;

    if (rare != NULL && coming <= SIZE_MAX / 4) {
        size_t needed = rare->length + length;
        block = websocketloop_grow(socket->stream->loop, rare->block, rare->length, needed, needed + (size_t)coming);
    }
    if (block == NULL) {
        refuse_frames(socket, WEBSOCKET_INTERNAL, "no memory");
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
    struct websocketloop_block *block = coming <= SIZE_MAX / 4 ? websocketloop_grow(socket->stream->loop, rare->block,
                                                                                    length, length + 1, length + coming)
                                                               : NULL;

    if (block == NULL) {
        refuse_frames(socket, WEBSOCKET_INTERNAL, "no memory");
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
    if (!collect_bytes(socket, piece->data, piece->length, piece->coming))
        return;
    if (piece->is_last)
        hand_over_block(socket, piece->is_binary);
    else if (piece->coming >= LEAST_IN_PLACE)
        go_on_in_place(socket, piece->coming);
}

/* Messages that are compressed. */

static bool is_text_so_far(struct websocketutf8 *utf8, const struct websocketdeflate_piece *part, bool is_last)
{
    if (!websocketutf8_check(utf8, part->data, part->length) || (is_last && !websocketutf8_is_whole(utf8)))
        return false;
    return true;
}

/* How long a message will be is not known: it gets as much room again as it has. */
static void take_inflated(struct websocket *socket, const struct websocketdeflate_piece *part, bool is_binary,
                          bool is_last)
{
    struct websocketconnection_rare *rare = socket->rare;

    if (!is_binary && !is_text_so_far(&rare->inflated, part, is_last)) {
        refuse_frames(socket, WEBSOCKET_INVALID, "a text that is not UTF-8");
    } else if (socket->handler->on_piece != NULL) {
        if (part->length > 0 || is_last)
            socket->handler->on_piece(socket, part->data, part->length, is_binary, is_last);
    } else if (collect_bytes(socket, part->data, part->length, rare->length + part->length + LEAST_INFLATED)) {
        if (is_last)
            hand_over_block(socket, is_binary);
    }
}

static const char *problem_of_inflating(int code)
{
    return code == WEBSOCKET_TOO_BIG    ? "a message over the limit"
           : code == WEBSOCKET_INTERNAL ? "no memory"
                                        : "a message that is not deflated";
}

/* Answers how many bytes were not taken, as the program has paused in between; what had been inflated already waits in
 * the window. */
static size_t inflate_bytes(struct websocket *socket, uint64_t most, const char *data, size_t length, bool is_binary,
                            bool is_last)
{
    struct websocketdeflate_piece part;

    do {
        ssize_t taken = websocketdeflate_decompress(socket->rare->deflate, data, length, is_last, most, &part);
        if (taken < 0) {
            refuse_frames(socket, (int)-taken, problem_of_inflating((int)-taken));
            return 0;
        }
        data += taken;
        length -= (size_t)taken;
        take_inflated(socket, &part, is_binary, is_last && !part.more);
    } while (part.more && reads_frames(socket->stream));
    if (!part.more || has_ended(socket->stream))
        return 0;
    if (length == 0) {
        socket->rare->is_inflating = true;
        socket->rare->inflates_binary = is_binary;
        socket->rare->inflates_last = is_last;
    }
    return length;
}

static size_t __attribute__((noinline))
inflate_message_piece(struct websocket *socket, uint64_t most, struct websocketreader *reader,
                      const struct websocketreader_piece *piece)
{
    size_t left = inflate_bytes(socket, most, piece->data, piece->length, piece->is_binary, piece->is_last);

    websocketreader_give_back(reader, piece, left);
    return left;
}

/* What waited in the window while the program had paused. */
static void __attribute__((noinline)) go_on_inflating(struct websocket *socket, uint64_t most)
{
    struct websocketconnection_rare *rare = socket->rare;

    rare->is_inflating = false;
    socket->stream->takes_nothing = false;
    inflate_bytes(socket, most, "", 0, rare->inflates_binary, rare->inflates_last);
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
        peer_closes(socket, piece);
    else if (piece->what == WEBSOCKETREADER_PING)
        peer_pings(socket, piece);
    else if (piece->what == WEBSOCKETREADER_PONG && socket->is_open && socket->handler->on_pong != NULL)
        socket->handler->on_pong(socket, piece->data, piece->length);
}

/* Between messages there is nothing to remember. */
static void __attribute__((noinline)) keep_reader(struct websocket *socket, const struct websocketreader *reader)
{
    struct websocketconnection_rare *rare;

    if (has_ended(socket->stream))
        return;
    if (reader->opcode == 0) {
        socket->rare->is_reading = false;
        websocketconnection_drop_rare(socket);
        return;
    }
    rare = websocketconnection_rare(socket);
    if (rare == NULL) {
        websocketconnection_fail(socket, WEBSOCKET_INTERNAL, -ENOMEM, "no memory");
        return;
    }
    rare->reader = *reader;
    rare->is_reading = true;
}

static void __attribute__((noinline)) end_silence(struct websocket *socket)
{
    socket->is_heard = false; /* the time begins with this byte */
    set_socket_deadline(socket, WEBSOCKETCONNECTION_QUIET);
}

/* Any byte will do as a sign of life. */
static inline void hear_peer(struct websocket *socket)
{
    socket->is_heard = true;
    if (socket->deadline_is == WEBSOCKETCONNECTION_PONG)
        end_silence(socket);
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

    if (socket->rare != NULL && socket->rare->is_inflating)
        go_on_inflating(socket, most);
    while (used < length && reads_frames(socket->stream)) {
        taken = websocketreader_next(reader, &limits, (char *)data + used, length - used, &piece);
        if (taken <= 0)
            break;
        used += (size_t)taken;
        if (piece.is_compressed)
            used -= inflate_message_piece(socket, most, reader, &piece);
        else if (piece.what == WEBSOCKETREADER_MESSAGE)
            take_message_piece(socket, &piece);
        else
            take_control_frame(socket, &piece);
    }
    if (taken < 0) {
        refuse_frames(socket, (int)-taken, piece.problem);
        return length;
    }
    if ((reader == &fresh) != (reader->opcode == 0))
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

    if (error < 0)
        return length; /* the close callback tells */
    hear_peer(socket);
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
        refuse_frames(socket, (int)-taken, piece.problem);
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
        hand_over_block(socket, piece->is_binary);
}

/* The rest of a long frame, as far as there is a place for it. Only what was unread has to be put there. */
static size_t consume_rest(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    struct websocketloop_block *block = arg;
    struct websocket *socket = block->socket;
    struct iostreamlayer_place *place = &block->place;
    size_t count = length < place->size ? length : place->size;
    struct websocketreader_piece piece;

    if (error < 0)
        return length; /* the close callback tells */
    hear_peer(socket);
    if (data != place->memory)
        memcpy(place->memory, data, count);
    ssize_t taken = websocketreader_next(&socket->rare->reader, &(struct websocketreader_limits){ 0 }, place->memory,
                                         count, &piece);
    if (taken < 0) {
        refuse_frames(socket, (int)-taken, piece.problem);
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

    if (!socket->is_ready || socket->is_paused || has_ended(stream))
        return;
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
        end_silence(socket);
}

/* Beginning. */

static void socket_drained(struct iostream *stream, void *arg)
{
    struct websocket *socket = arg;

    if (socket->is_open)
        socket->handler->on_drain(socket);
}

/* Most streams have none of this, which makes them small and fast. */
int websocketconnection_prepare(struct websocket *socket, struct iostream *stream)
{
    const struct websocket_handler *handler = socket->handler;
    uint64_t unsent = handler->max_unsent != 0 ? handler->max_unsent : WEBSOCKETCONNECTION_MOST_UNSENT;
    uint64_t room = unsent < SIZE_MAX / 2 ? unsent + 1024 : SIZE_MAX / 2;

    if (unsent > WEBSOCKETCONNECTION_MOST_UNSENT || stream->extras != NULL) {
        struct iostreamlayer_extras *extras = iostreamlayer_extras(stream);
        if (extras == NULL)
            return -ENOMEM;
        extras->options.max_write_buffer_size = (size_t)room;
    }
    if (handler->on_drain == NULL)
        return 0;
    return iostream_set_drain_callback(stream, handler->high_water != 0 ? handler->high_water : DEFAULT_HIGH_WATER,
                                       socket_drained, socket);
}

void websocketconnection_begin(struct websocket *socket, struct iostream *stream, struct web_request *request)
{
    socket->stream = stream;
    socket->is_open = true;
    websocketconnection_drop_rare(socket);
    iostream_set_close_callback(stream, socket_ended, socket);
    set_socket_deadline(socket, WEBSOCKETCONNECTION_QUIET);
    if (socket->handler->open != NULL)
        socket->handler->open(socket, request);
    socket->is_ready = true;
    websocketconnection_read(socket);
}
