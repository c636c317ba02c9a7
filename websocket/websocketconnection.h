/* Internal: websocketconnection.h, one WebSocket, of either side.
 *
 * One that is idle is its stream and this struct; what only some have, and what is there only for a while, is in a part
 * of its own. What it does is which consumer its stream has: frames are read · it is paused (none) · what still comes
 * is dropped, as the connection is over but for the peer's part. In each it has a deadline.
 *
 * websocketconnection.c has its life, websocketincoming.c and websocketinflate.c what comes in, websocket.c what a
 * program asks for, websocketserver.c and websocketclient.c how it begins. */
#ifndef WEBSOCKET_WEBSOCKETCONNECTION_H
#define WEBSOCKET_WEBSOCKETCONNECTION_H

#include <netinet/in.h>

#include "ioloop/deadlines.h"
#include "ioloop/iostreamlayer.h"
#include "websocket/websocket.h"
#include "websocket/websocketframe.h"
#include "websocket/websocketloop.h"
#include "websocket/websocketreader.h"
#include "websocket/websocketutf8.h"

#define WEBSOCKETCONNECTION_MOST_UNSENT ((16u << 20) - 1024u) /* the stream's limit, but for control frames */
#define WEBSOCKETCONNECTION_CORKED      4096u                 /* longer messages are not worth copying */

struct websocketclient;
struct websocketdeflate;
struct websocketdeflate_terms;
struct websockettopics_membership;

/* What the deadline is for. */
enum websocketconnection_deadline {
    WEBSOCKETCONNECTION_QUIET, /* the peer says nothing: it is asked whether it is there */
    WEBSOCKETCONNECTION_PONG,  /* it was asked */
    WEBSOCKETCONNECTION_CLOSE, /* it has to do its part of closing */
};

struct websocketconnection_pong {
    size_t length;
    char data[WEBSOCKETFRAME_MOST_CONTROL];
};

/* What few have, or only for a while. */
struct websocketconnection_rare {
    struct websocketreader reader; /* of a message that has begun */
    struct websocketloop_block *block;
    size_t length;                    /* of the message in the block */
    uint32_t began;                   /* the message; a tick */
    struct websocketdeflate *deflate; /* agreed on; NULL: nothing is compressed */
    struct websocketutf8 inflated;    /* text of a compressed message so far */
    struct websockettopics_membership *topics;
    struct websocketclient *client; /* while its handshake goes on */
    char *subprotocol;
    char *reason; /* what the peer's close frame said */
    char *remote_ip;
    uint32_t topic_count;
    int status;
    bool is_reading;   /* reader is in use */
    bool is_inflating; /* it was paused while output waited in the window, and all bytes that there are were taken: */
    bool inflates_binary, inflates_last;   /* of these */
    struct websocketconnection_pong *pong; /* that waits until what was written before it is sent */
};

/* A server's is in the memory of iostream_user of its stream, a client's begins before there is one. */
struct websocket {
    struct deadline deadline;
    struct iostream *stream; /* NULL: a client's handshake goes on */
    const struct websocket_handler *handler;
    struct websocketconnection_rare *rare; /* NULL: it has none of that */
    uint16_t looks; /* at what is under way, without a sign of the peer: its time is counted in them */
    int16_t error;
    unsigned peer_code : 16;
    unsigned deadline_is : 2;
    unsigned has_waited : 1; /* there was something to send at the last look */
    unsigned got_close : 1;
    unsigned is_heard : 1; /* bytes have come since the last look */
    unsigned is_client : 1;
    unsigned is_plain : 1; /* short messages go the shortest way */
    unsigned is_open : 1;  /* messages may be sent: between the handshake and our close frame */
    unsigned is_ready : 1; /* open has returned: messages may be handed over */
    unsigned is_paused : 1;
    unsigned compresses : 1; /* it has a rare->deflate */
};

struct websocketconnection_client {
    struct websocket socket;
    struct looptask task; /* for its end */
    struct ioloop *loop;
    void *arg;
};

/* Where the program's arg is. The close callback of a server's stream needs none: that place is free. */
static inline void **websocketconnection_arg(const struct websocket *socket)
{
    return socket->is_client ? &((struct websocketconnection_client *)socket)->arg : &socket->stream->close_arg;
}

/* The text that is handed over to the program now. Who sends it on as it is need not have it checked again. */
struct websocketconnection_text {
    const void *data; /* NULL: none */
    size_t length;
};
extern _Thread_local struct websocketconnection_text websocketconnection_text
    __attribute__((tls_model("initial-exec")));

/* The block that holds the message which is handed over to the program now; NULL: it is in none. Who has to keep bytes
 * of it can hold the block instead. */
extern _Thread_local struct websocketloop_block *websocketconnection_lent __attribute__((tls_model("initial-exec")));

static inline bool websocketconnection_is_text(const void *data, size_t length)
{
    return (length == websocketconnection_text.length && data == websocketconnection_text.data) ||
           websocketutf8_is_text(data, length);
}

/* A socket with nothing in it; of a client, NULL: no memory. */
void websocketconnection_init(struct websocket *socket, const struct websocket_handler *handler, bool is_client);
struct websocket *websocketconnection_new_client(struct ioloop *loop, const struct websocket_handler *handler);

/* What few have, made when missing. NULL: no memory. */
struct websocketconnection_rare *websocketconnection_rare(struct websocket *socket);

/* Gives it back if there is nothing in it any more. */
void websocketconnection_drop_rare(struct websocket *socket);

/* Without a call to the program. */
void websocketconnection_free(struct websocket *socket);

/* What the handler wants of compression; and that was agreed on. -ENOMEM. */
void websocketconnection_want_deflate(const struct websocket_handler *handler, struct websocketdeflate_terms *wanted);
int websocketconnection_agree_deflate(struct websocket *socket, const struct websocketdeflate_terms *agreed);

/* What the stream has to know of the handler's limits. -ENOMEM. */
int websocketconnection_prepare(struct websocket *socket, struct iostream *stream);

/* The stream, which is the socket's from now on, has had its handshake: open, and then it is read. request: NULL of a
 * client. */
void websocketconnection_begin(struct websocket *socket, struct iostream *stream, struct web_request *request);

/* on_close, and the end of it. */
void websocketconnection_finish(struct websocket *socket);

/* Ends a connection that goes on no longer: the close frame leaves before it does. reason: of ours, for the peer. */
void websocketconnection_fail(struct websocket *socket, int code, int error, const char *reason);

/* The same without a word. */
void websocketconnection_break(struct websocket *socket, int error);

/* A control frame, masked where it has to be. Errors as of websocket_ping; the caller looks after the length. */
int websocketconnection_send_control(struct websocket *socket, enum websocketframe_opcode opcode, const void *data,
                                     size_t length);

/* Sends the close frame and waits for that of the peer, as long as it may take. */
void websocketconnection_send_close(struct websocket *socket, int code, const char *reason, size_t length);

/* Something was written: on_drain is to come once it is sent, if it is over high_water now. -ENOMEM, and the connection
 * ends. */
int websocketconnection_watch_drain(struct websocket *socket);

/* Reads frames, unless paused; and does so no longer. */
void websocketconnection_read(struct websocket *socket);
void websocketconnection_hold(struct websocket *socket);

/* Between the files of what comes in and websocketconnection.c. */

/* The connection is over: all that still comes is dropped. */
bool websocketconnection_has_ended(const struct websocket *socket);

/* Neither that, nor paused. */
bool websocketconnection_reads_frames(const struct websocket *socket);

/* Ends it with the code of a refusal. */
void websocketconnection_refuse(struct websocket *socket, int code, const char *problem);

/* Something has come from who was asked whether it is there. False: the connection has ended. */
bool websocketconnection_end_silence(struct websocket *socket);

/* Part of a message is in rare->reader: it has message_timeout from now on. */
void websocketconnection_begin_message(struct websocket *socket);

void websocketconnection_peer_closes(struct websocket *socket, const struct websocketreader_piece *piece);
void websocketconnection_peer_pings(struct websocket *socket, const struct websocketreader_piece *piece);

/* Keeps more of a message, of which perhaps so many bytes are still to come. False: no memory, and it was refused. */
bool websocketconnection_collect(struct websocket *socket, const char *data, size_t length, uint64_t coming);

/* What was collected is a message. */
void websocketconnection_hand_over_block(struct websocket *socket, bool is_binary);

/* A piece that is compressed. Answers how many of its bytes were not taken, as the program has paused in between. most:
 * bytes that a message may have. go_on: what waited in the window since then. */
size_t websocketconnection_inflate(struct websocket *socket, uint64_t most, struct websocketreader *reader,
                                   const struct websocketreader_piece *piece);
void websocketconnection_go_on_inflating(struct websocket *socket, uint64_t most);

static inline struct ioloop *websocketconnection_loop(const struct websocket *socket)
{
    return socket->is_client ? ((const struct websocketconnection_client *)socket)->loop : socket->stream->loop;
}

/* Seconds; 0: the default, below 0: never, which is 0 for deadline_set. */
static inline double websocketconnection_time(double seconds, double otherwise)
{
    return seconds > 0 ? seconds : seconds < 0 ? 0 : otherwise;
}

#endif
