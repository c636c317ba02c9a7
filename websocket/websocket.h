/* websocket.h: WebSockets (RFC 6455), server and client; tornado.websocket.
 *
 *     static void on_message(struct websocket *socket, const void *data, size_t length, bool is_binary)
 *     {
 *         websocket_write(socket, data, length, is_binary);
 *     }
 *     static const struct websocket_handler echo = { .on_message = on_message };
 *     ... (struct web_route[]){ { .pattern = "/ws", .handler = &websocket_route, .arg = &echo }, { 0 } } ...
 *
 * Lifetime: from its handshake until on_close returns, which comes once, whoever closed first. In the functions of the
 *     handler, and between them, every call is legal until then.
 * Order: prepare, check_origin, select_subprotocol, open; then messages one at a time, pings and pongs; on_close. A
 *     request that ends before open has no on_close, but on_finish.
 * Errors: of a call that sends: -EBADF the connection is closing, closed, or not open yet; -ENOBUFS it would be more
 *     than max_unsent (the policy says what becomes of it); -EMSGSIZE it is that by itself; -EINVAL; -ENOMEM; of a
 *     client also what the kernel says when it has no random bytes to mask with. They have sent nothing, but for
 *     -ENOMEM and what the kernel says of a broken connection, which then ends.
 * Processes: when a function of the handler forks, what has come behind that message is the parent's: the child is not
 *     told of it, and answers no ping, unless it has called ioloop_reopen in there.
 * Threads: the loop's.
 * Units: seconds, bytes. Times: 0 is the default, below 0 is never; where it may be a quarter more, it may also be a
 *     second more. */
#ifndef WEBSOCKET_WEBSOCKET_H
#define WEBSOCKET_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "httpserver/web.h"
#include "ioloop/ioapi.h"

IOAPI_BEGIN

struct httpclient;
struct httpclient_request;
struct websocket;
struct websocket_message;

/* Codes of RFC 6455 7.4.1; 3000 to 4999 are the programs'. The last three are never sent. */
enum websocket_code {
    WEBSOCKET_NORMAL = 1000,
    WEBSOCKET_GOING_AWAY = 1001,
    WEBSOCKET_PROTOCOL_ERROR = 1002,
    WEBSOCKET_UNSUPPORTED = 1003,
    WEBSOCKET_INVALID = 1007,
    WEBSOCKET_POLICY = 1008,
    WEBSOCKET_TOO_BIG = 1009,
    WEBSOCKET_EXTENSION = 1010,
    WEBSOCKET_INTERNAL = 1011,
    WEBSOCKET_NO_CODE = 1005,
    WEBSOCKET_ABNORMAL = 1006,
    WEBSOCKET_TLS = 1015,
};

/* request is there in a server's prepare, check_origin, select_subprotocol and open: its headers, arguments and cookies
 * can be read; NULL in a client's open. */
typedef void websocket_open_fn(struct websocket *socket, struct web_request *request);
typedef bool websocket_origin_fn(struct web_request *request, const char *origin);
typedef const char *websocket_select_fn(struct web_request *request, const char *const *names, size_t count);
typedef void websocket_message_fn(struct websocket *socket, const void *data, size_t length, bool is_binary);
typedef void websocket_piece_fn(struct websocket *socket, const void *data, size_t length, bool is_binary,
                                bool is_last);
typedef void websocket_control_fn(struct websocket *socket, const void *data, size_t length);
typedef void websocket_drain_fn(struct websocket *socket);
typedef void websocket_closed_fn(struct websocket *socket, int code, const char *reason);

/* What becomes of a message that would be more than max_unsent. */
enum websocket_policy {
    WEBSOCKET_CLOSE_WHEN_FULL, /* the connection ends: its peer does not read */
    WEBSOCKET_DROP_WHEN_FULL,  /* this message is dropped, and -ENOBUFS answered */
};

/* 0 is the default in every field. Lent for as long as it is used. */
struct websocket_handler {
    /* Of the server. prepare: as a web_handler's, also with web_pause and web_resume; what it finishes is no WebSocket.
     * on_finish: once behind it, when the request has ended without becoming one: it was refused, or finished or
     * detached by the program, or its client has left (in a pause: noticed behind web_resume). Else on_close comes. */
    web_fn *prepare, *on_finish;
    web_fn *set_default_headers;             /* go out with the handshake's answer */
    websocket_origin_fn *check_origin;       /* false: 403. NULL: only from pages of this host; not asked without one */
    websocket_select_fn *select_subprotocol; /* one of the names, or NULL; asked once, also with none offered. More than
                                                16 are refused: 400 */
    websocket_open_fn *open;
    websocket_message_fn *on_message; /* data is lent, and has a NUL behind it. Comes also when the socket is closing */
    websocket_piece_fn *on_piece;     /* instead of on_message: messages as they come in, and not collected; the last
                                         piece may be empty. A text is UTF-8, but a piece may end within a character */
    websocket_control_fn *on_ping;    /* has been answered already */
    websocket_control_fn *on_pong;
    websocket_drain_fn *on_drain;  /* pending bytes have fallen to a quarter of high_water, after they were over it: who
                                      stops sending when websocket_pending is over it goes on here */
    websocket_closed_fn *on_close; /* what the peer said; WEBSOCKET_NO_CODE it said no code, WEBSOCKET_ABNORMAL no
                                      close frame came; reason "" */
    void *arg;                     /* websocket_handler_arg */

    uint64_t max_message;   /* 1 MiB; beyond, 1009. With on_piece too */
    uint32_t max_fragments; /* of a message: the greater of 1,024 and max_message / 256 */
    uint64_t high_water;    /* of bytes that are not sent: 256 KiB; counts with on_drain */
    uint64_t max_unsent;    /* of frames, as bytes: 16 MiB less 1 KiB */
    enum websocket_policy policy;
    double message_timeout; /* for a message that has begun: 60 s, and a second more for each KiB of it that has come;
                               then 1008, and -ETIMEDOUT. Up to a quarter more. Not while paused */
    double ping_interval;   /* without a byte from the peer: 20 s; up to a quarter more */
    double ping_timeout;    /* for one behind the ping, or for it to take some of what waits: 20 s; then it is closed */
    double write_timeout;   /* for the peer to take some of what waits, though it talks or is paused: 30 s; up to a
                               quarter more; then the connection is reset, -ETIMEDOUT */
    double close_timeout;   /* for the peer's part of closing, or for that: 5 s */

    bool compress;         /* permessage-deflate (RFC 7692), if the other side can. What comes is inflated up to
                              max_message; 1007 if it is not deflated. A connection that has sent and received so
                              holds 290 KiB, */
    int compress_window;   /* with a window of less, less: log2 of it, both ways: 9 to 15; 15 */
    bool compress_anew;    /* no context is kept between messages: they hold nothing. What compresses secrets
                              together with what a peer has chosen tells of them by its length */
    size_t compress_least; /* shorter messages go as they are: 64 bytes */
};

/* A server's: the handler of a route whose arg is a struct websocket_handler. */
extern const struct web_handler websocket_route;

/* The program's own. */
void websocket_set_arg(struct websocket *socket, void *arg);
void *websocket_arg(const struct websocket *socket);
void *websocket_handler_arg(const struct websocket *socket);

/* Sends a message: text, which has to be UTF-8 (-EINVAL, nothing was sent), or binary. The bytes are sent or copied
 * before it returns. */
int websocket_write(struct websocket *socket, const void *data, size_t length, bool is_binary);
int websocket_write_text(struct websocket *socket, const char *text);

/* -EINVAL: more than 125 bytes. */
int websocket_ping(struct websocket *socket, const void *data, size_t length);

/* Begins the closing handshake behind what was written; any number of times. Messages that the peer sends before its
 * own close frame are still handed over, also where they were held back: for who is not to be heard any more there is
 * websocket_abort, and on_message can ask websocket_closing. code 0: none is sent, or 1000 if there is a reason (NULL:
 * none; at most 123 bytes of UTF-8). -EINVAL: a code that may not be sent, or a reason that is too long or no UTF-8;
 * then it is closed without them. */
int websocket_close(struct websocket *socket, int code, const char *reason);

/* Without a handshake, at once. */
void websocket_abort(struct websocket *socket);

/* Until resume no message is handed over, the peer is held back, and not asked whether it is there; also from inside
 * on_message or open. close ends it. */
void websocket_pause(struct websocket *socket);
void websocket_resume(struct websocket *socket);

uint64_t websocket_pending(const struct websocket *socket);        /* bytes not sent yet */
bool websocket_closing(const struct websocket *socket);            /* nothing more can be sent */
const char *websocket_subprotocol(const struct websocket *socket); /* NULL: none */
bool websocket_compresses(const struct websocket *socket);
const char *websocket_remote_ip(const struct websocket *socket); /* "" when it is not known; in on_close, unless it was
                                                                    asked for before */
int websocket_set_nodelay(struct websocket *socket, bool on);    /* it is on */
struct ioloop *websocket_loop(const struct websocket *socket);

/* To many: framed once, compressed once for those that compress, and held by each connection until it is sent. Of one
 * thread. */

/* One reference, the caller's. NULL with errno: EINVAL no UTF-8, ENOMEM. To release NULL is fine. */
struct websocket_message *websocket_message_new(const void *data, size_t length, bool is_binary);
void websocket_message_release(struct websocket_message *message);
int websocket_send(struct websocket *socket, struct websocket_message *message);

/* Topics: names on a loop, for its sockets; one that has closed has left them, before on_close. subscribe: 0 also when
 * it is there already; -ENOBUFS over 64 topics of one socket; -EINVAL a name over 255 bytes; subscribers:
 * also those that are closing; publish: how many it was sent to, or an error; except: not to this one, or NULL. */
int websocket_subscribe(struct websocket *socket, const char *topic);
void websocket_unsubscribe(struct websocket *socket, const char *topic);
size_t websocket_subscribers(struct ioloop *loop, const char *topic);
int websocket_publish(struct ioloop *loop, const char *topic, const void *data, size_t length, bool is_binary,
                      const struct websocket *except);

/* A client's. */

struct websocket_options {
    struct httpclient *client;                /* NULL: the loop's own (httpclient_current) */
    const struct httpclient_request *request; /* headers, auth, timeouts, proxy, address; its url, method, body and
                                                 callbacks do not count */
    const char *const *subprotocols;          /* that are offered; ended by NULL; at most 16 */
    const char *origin;
    double handshake_timeout; /* all before open: 10 s; instead of the request's total_timeout */
    bool follow_redirects;
    void *arg; /* websocket_arg */
};

/* ws or wss (or http, https). The socket is the library's, as above: open, or on_close with WEBSOCKET_ABNORMAL, when
 * websocket_error says why. All but the handler is copied. Also from on_close, to connect again: better later, by
 * ioloop_call_later. NULL with errno: EINVAL a url or header that cannot be sent, EPROTONOSUPPORT wss without TLS,
 * EBADF the loop closes, ENOMEM. */
struct websocket *websocket_connect(struct ioloop *loop, const char *url, const struct websocket_handler *handler,
                                    const struct websocket_options *options);

/* In on_close: 0 it was closed by the peer, or aborted here; or why it ended: -ENOMSG the handshake was answered
 * with another status than 101 (of that answer's body 64 KiB are read); -EPROTO the peer broke the rules, -EMSGSIZE a
 * limit; -ETIMEDOUT; -ESHUTDOWN the connection ended without a close frame; -ENOBUFS the peer does not read;
 * -ECANCELED the loop closes; -ECONNREFUSED, … And the status of the handshake's answer; 0: there was none. */
int websocket_error(const struct websocket *socket);
int websocket_status(const struct websocket *socket);

IOAPI_END
#endif
