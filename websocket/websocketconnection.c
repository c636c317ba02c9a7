#include "websocket/websocketconnection.h"

#include <errno.h>
#include <string.h>

#include "ioloop/ioalloc.h"
#include "ioloop/iolog.h"
#include "websocket/websocketdeflate.h"
#include "websocket/websockettopics.h"

#define DEFAULT_HIGH_WATER (256u << 10)
#define LEAST_WINDOW       9 /* other than 8, which not every encoder can do */
#define MOST_WINDOW        15
#define PLAIN_LIMIT        (2 * LOOPFRONT_CORK) /* a limit of unsent bytes that no cork can reach */
#define MESSAGE_SECONDS    60.0                 /* for a message, */
#define LEAST_RATE         1024.0               /* and bytes of it that give a second more */
#define PING_SECONDS       20.0
#define PONG_SECONDS       20.0
#define WRITE_SECONDS      30.0
#define CLOSE_SECONDS      5.0
#define MOST_LOOKS         UINT16_MAX
#define LEAST_APART        1.0 /* seconds: each look may be 0.13 s late, and there are many connections */
#define TICK_SECONDS       ((double)(1 << DEADLINE_TICK_BITS) / 1e9)

/* Life. */

void websocketconnection_init(struct websocket *socket, const struct websocket_handler *handler, bool is_client)
{
    *socket = (struct websocket){ .handler = handler, .is_client = is_client };
    socket->is_plain = !is_client && (handler->max_unsent == 0 || handler->max_unsent >= PLAIN_LIMIT);
}

struct websocket *websocketconnection_new_client(struct ioloop *loop, const struct websocket_handler *handler)
{
    struct websocketconnection_client *client = ioalloc_zeroed(sizeof *client);

    if (client == NULL)
        return NULL;
    websocketconnection_init(&client->socket, handler, true);
    client->loop = loop;
    return &client->socket;
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

static void free_client_socket(struct looptask *task)
{
    ioalloc_free((char *)task - offsetof(struct websocketconnection_client, task));
}

void websocketconnection_free(struct websocket *socket)
{
    deadline_clear(&socket->deadline);
    if (socket->rare != NULL)
        free_rare(socket);
    if (socket->is_client) {
        struct websocketconnection_client *client = (struct websocketconnection_client *)socket;
        looptask_end(client->loop, &client->task, free_client_socket);
    }
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

static void client_socket_ended(struct iostream *stream, int error, void *arg)
{
    struct websocket *socket = arg;

    if (!socket->got_close && socket->error == 0)
        socket->error = (int16_t)error;
    websocketconnection_finish(socket);
}

static void server_socket_ended(struct iostream *stream, int error, void *arg)
{
    client_socket_ended(stream, error, iostream_user(stream));
}

void websocketconnection_break(struct websocket *socket, int error)
{
    if (iostream_closed(socket->stream))
        return;
    if (socket->error == 0)
        socket->error = (int16_t)error;
    if (socket->stream->output != NULL && socket->stream->output->pending > 0)
        iostream_reset(socket->stream); /* the peer does not read: the kernel would keep what it has for minutes */
    else
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

/* A connection is looked at now and then: that is all the clock there is. What comes is only noted when it comes, and
 * what is under way then has its limits. Looks are as far apart as ping_interval / 4, or less where other limits want
 * it, and always the same: so time is the number of looks. */
struct look {
    double seconds; /* until the next one; 0: there is none */
    unsigned count; /* so many, and the state that the connection is in has had its time; 0: it may stay in it */
};

static double lesser_time(double a, double b)
{
    return a > 0 && (b == 0 || a < b) ? a : b;
}

/* Of a message that has begun; 0: as long as it likes. */
static double message_seconds(const struct websocket *socket)
{
    return websocketconnection_time(socket->handler->message_timeout, MESSAGE_SECONDS);
}

/* Without a byte taken of what waits; 0: for ever. */
static double write_seconds(const struct websocket *socket)
{
    return websocketconnection_time(socket->handler->write_timeout, WRITE_SECONDS);
}

/* In so many looks at least, no further apart than that. (What would be too many to count ends sooner, after days.) */
static struct look divide_time(double seconds, unsigned least, double apart)
{
    unsigned count = least;

    if (!(seconds > 0))
        return (struct look){ .seconds = apart };
    if (apart > 0 && seconds > count * apart)
        count = seconds / apart < MOST_LOOKS ? 1 + (unsigned)(seconds / apart) : MOST_LOOKS;
    return (struct look){ .seconds = lesser_time(seconds / count, apart), .count = count };
}

static struct look next_look(const struct websocket *socket)
{
    const struct websocket_handler *handler = socket->handler;
    double apart = lesser_time(message_seconds(socket), write_seconds(socket)) / 4;

    if (apart > 0 && apart < LEAST_APART)
        apart = LEAST_APART;
    switch ((enum websocketconnection_deadline)socket->deadline_is) {
    case WEBSOCKETCONNECTION_QUIET:
        return divide_time(websocketconnection_time(handler->ping_interval, PING_SECONDS), 4, apart);
    case WEBSOCKETCONNECTION_PONG:
        return divide_time(websocketconnection_time(handler->ping_timeout, PONG_SECONDS), 1, apart);
    case WEBSOCKETCONNECTION_CLOSE:
        break;
    }
    return divide_time(websocketconnection_time(handler->close_timeout, CLOSE_SECONDS), 1, apart);
}

static void look_later(struct websocket *socket)
{
    double seconds = next_look(socket).seconds;
    int error = deadline_set(socket->stream->loop, &socket->deadline, seconds, deadline_reached);

    if (error < 0)
        websocketconnection_break(socket, error == -EBADF ? -ECANCELED : error); /* the loop closes */
}

static void begin_state(struct websocket *socket, enum websocketconnection_deadline what)
{
    socket->deadline_is = what;
    socket->looks = 0;
    look_later(socket);
}

bool websocketconnection_end_silence(struct websocket *socket)
{
    socket->is_heard = false; /* the time begins with this byte */
    begin_state(socket, WEBSOCKETCONNECTION_QUIET);
    return !iostream_closed(socket->stream);
}

/* NULL: all is sent. */
static struct iooutput *waiting_output(const struct websocket *socket)
{
    struct iooutput *output = socket->stream->output;

    return output != NULL && output->pending > 0 ? output : NULL;
}

static double seconds_since(const struct websocket *socket, uint32_t tick)
{
    return (double)(deadline_now(socket->stream->loop) - tick) * TICK_SECONDS;
}

/* Has the peer taken something of what waits, since this was last asked? It may end the connection. */
static bool is_getting_through(struct websocket *socket)
{
    bool has_waited = socket->has_waited;

    iostreamlayer_send_output(socket->stream); /* the kernel has room for a byte long before it says so */
    struct iooutput *output = waiting_output(socket);
    socket->has_waited = output != NULL;
    if (output == NULL)
        return has_waited;
    if (!iooutput_has_moved(output) && output->moved_at != 0)
        return false;
    output->moved_at = deadline_now(socket->stream->loop);
    return true;
}

/* Nor does it help to talk, or that the program has paused: which is what it does until some is sent. */
static bool is_stalled(const struct websocket *socket)
{
    const struct iooutput *output = waiting_output(socket);
    double most = write_seconds(socket);

    return output != NULL && most > 0 && seconds_since(socket, output->moved_at) > most;
}

/* Who begins a message and then sends little or nothing of it would have its memory for as long as it answers pings. */
static bool is_message_late(const struct websocket *socket)
{
    const struct websocketconnection_rare *rare = socket->rare;
    double most = message_seconds(socket);

    if (rare == NULL || !rare->is_reading || socket->is_paused || most == 0)
        return false;
    return seconds_since(socket, rare->began) > most + (double)(rare->reader.message - rare->reader.left) / LEAST_RATE;
}

void websocketconnection_begin_message(struct websocket *socket)
{
    socket->rare->is_reading = true;
    socket->rare->began = deadline_now(socket->stream->loop);
}

/* Has the state had its time without a sign? */
static bool is_time_up(struct websocket *socket, bool has_sign)
{
    unsigned most = next_look(socket).count;

    socket->looks = has_sign ? 0 : (uint16_t)(socket->looks + 1);
    return most > 0 && socket->looks >= most;
}

/* Who is paused does not hear its peer. */
static void ask_peer(struct websocket *socket)
{
    bool asked = is_time_up(socket, socket->is_heard || socket->is_paused) &&
                 websocketconnection_send_control(socket, WEBSOCKETFRAME_PING, NULL, 0) == 0;

    socket->is_heard = false;
    if (iostream_closed(socket->stream))
        return;
    if (asked)
        begin_state(socket, WEBSOCKETCONNECTION_PONG);
    else
        look_later(socket);
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
    bool has_moved = is_getting_through(socket);
    if (iostream_closed(socket->stream))
        return;
    if (socket->deadline_is != WEBSOCKETCONNECTION_CLOSE && is_message_late(socket))
        websocketconnection_fail(socket, WEBSOCKET_POLICY, -ETIMEDOUT, "a message that does not come to its end");
    else if (is_stalled(socket))
        give_up_peer(socket);
    else if (socket->deadline_is == WEBSOCKETCONNECTION_QUIET)
        ask_peer(socket);
    else if (is_time_up(socket, has_moved))
        give_up_peer(socket);
    else
        look_later(socket);
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
    if (!iostream_closed(socket->stream))
        begin_state(socket, WEBSOCKETCONNECTION_CLOSE);
}

/* Ending. A socket that is closed with bytes unread resets its peer, who may then lose the close frame. So that is
 * followed by FIN, and what still comes is dropped for a while. */

static size_t drop_frames(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    return length;
}

bool websocketconnection_has_ended(const struct websocket *socket)
{
    return iostream_closed(socket->stream) || socket->stream->consumer == drop_frames;
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
void websocketconnection_peer_closes(struct websocket *socket, const struct websocketreader_piece *piece)
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

void websocketconnection_peer_pings(struct websocket *socket, const struct websocketreader_piece *piece)
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

/* Beginning. */

static void socket_drained(struct iostream *stream, void *arg)
{
    struct websocket *socket = arg;

    if (socket->is_open)
        socket->handler->on_drain(socket);
}

static uint64_t high_water(const struct websocket *socket)
{
    return socket->handler->high_water != 0 ? socket->handler->high_water : DEFAULT_HIGH_WATER;
}

/* A stream that looks after its drain is slower. So it does not before there is something to drain, where no cork can
 * hold so much that it would have to be told of at once. */
int websocketconnection_watch_drain(struct websocket *socket)
{
    struct iostream *stream = socket->stream;

    if (socket->handler->on_drain == NULL || (stream->extras != NULL && stream->extras->on_drain != NULL) ||
        iostream_closed(stream) || iostream_pending(stream) <= high_water(socket))
        return 0;
    int error = iostream_set_drain_callback(stream, high_water(socket), socket_drained, socket);
    if (error < 0)
        websocketconnection_break(socket, error);
    return error;
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
    if (handler->on_drain == NULL || (stream->extras == NULL && high_water(socket) >= LOOPFRONT_CORK))
        return 0;
    return iostream_set_drain_callback(stream, high_water(socket), socket_drained,
                                       socket->is_client ? socket : iostream_user(stream));
}

void websocketconnection_begin(struct websocket *socket, struct iostream *stream, struct web_request *request)
{
    socket->stream = stream;
    socket->is_open = true;
    websocketconnection_drop_rare(socket);
    if (socket->is_client)
        iostream_set_close_callback(stream, client_socket_ended, socket);
    else
        iostream_set_close_callback(stream, server_socket_ended, NULL);
    begin_state(socket, WEBSOCKETCONNECTION_QUIET);
    if (socket->handler->open != NULL)
        socket->handler->open(socket, request);
    socket->is_ready = true;
    websocketconnection_read(socket);
}
