/* Internal: socketscene.h, for tests of WebSockets on a server: an application with one handler at "/ws" and
 * "/ws/(.*)", on a loop whose clock stands still, and hand-driven clients.
 *
 *     struct socketscene scene;
 *     struct httpscene_client *client =
 *         socketscene_begin(&scene, &(struct websocket_handler){ .on_message = socketscene_echo });
 *     socketscene_put(&scene, client, WSFRAMES_FINAL | 1, "hello");
 *     socketscene_expect(&scene, client, WSFRAMES_FINAL | 1, "hello");
 *     socketscene_close(&scene);
 *
 * What has happened is noted with webscene_note: "open", "text:hello", "binary:hello", "ping:a", "pong:a", "drain",
 * "close:1000:reason:0", "close:1006::EPROTO" (code, reason, error); those of note_… that the handler has not got
 * itself are put in. */
#ifndef TESTS_SUPPORT_SOCKETSCENE_H
#define TESTS_SUPPORT_SOCKETSCENE_H

#include "tests/support/webscene.h"
#include "tests/support/wsframes.h"
#include "websocket/websocket.h"

enum { SOCKETSCENE_TEXT = WSFRAMES_FINAL | 1, SOCKETSCENE_BINARY = WSFRAMES_FINAL | 2 };
enum {
    SOCKETSCENE_CLOSE = WSFRAMES_FINAL | 8,
    SOCKETSCENE_PING = WSFRAMES_FINAL | 9,
    SOCKETSCENE_PONG = WSFRAMES_FINAL | 10
};

struct socketscene {
    struct webscene web;
    struct websocket_handler handler;
    websocket_open_fn *open;
    websocket_closed_fn *on_close;
    struct websocket *socket; /* the one that was opened last; NULL: it has closed */
    int opened, closed;
    bool is_mute;           /* opening and closing are counted, not noted */
    struct wsframes frames; /* for put: their masks go on */
};

/* The one that is open. */
extern struct socketscene *socketscene_current;

void socketscene_open(struct socketscene *scene, const struct websocket_handler *handler);
void socketscene_open_with(struct socketscene *scene, const struct websocket_handler *handler,
                           const struct web_settings *settings);
void socketscene_close(struct socketscene *scene);

/* The lines of a good handshake, to which others can be added; and its key's answer. */
#define SOCKETSCENE_HANDSHAKE                                                                                          \
    "Host: example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"                  \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define SOCKETSCENE_ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

/* With a handshake that has these headers too, and succeeds; its answer is behind client->bytes[0], in head. By a Unix
 * socket where it matters how much the kernel takes: of TCP it takes more a moment later. begin opens the scene,
 * too. */
struct httpscene_client *socketscene_connect(struct socketscene *scene, const char *headers);
struct httpscene_client *socketscene_connect_unix(struct socketscene *scene, const char *headers);
struct httpscene_client *socketscene_begin(struct socketscene *scene, const struct websocket_handler *handler);
void socketscene_shake_hands(struct socketscene *scene, struct httpscene_client *client, const char *request,
                             const char *headers, char head[1024]);

/* Sends a frame. */
void socketscene_put(struct socketscene *scene, struct httpscene_client *client, int first, const char *payload);
void socketscene_put_bytes(struct socketscene *scene, struct httpscene_client *client, int first, const void *payload,
                           size_t length);
void socketscene_put_close(struct socketscene *scene, struct httpscene_client *client, int code, const char *reason);

/* Waits for the next frame, which is this; unmasked. */
void socketscene_expect(struct socketscene *scene, struct httpscene_client *client, int first, const char *payload);
void socketscene_expect_bytes(struct socketscene *scene, struct httpscene_client *client, int first,
                              const void *payload, size_t length);
void socketscene_expect_close(struct socketscene *scene, struct httpscene_client *client, int code, const char *reason);

/* Time passes in steps, as a loop that sleeps sees it. */
void socketscene_pass(struct socketscene *scene, double seconds);

/* Closes, as the client that began; a whole ending. */
void socketscene_leave(struct socketscene *scene, struct httpscene_client *client);

/* Of those that sockets end with; "0" of none. */
const char *socketscene_error_name(int error);

/* In on_close: notes why; and what holds of each socket then, which is that everything is legal and nothing works. */
void socketscene_note_close(struct websocket *socket, int code, const char *reason);
void socketscene_check_closed(struct websocket *socket);

/* For handlers. */
websocket_message_fn socketscene_echo, socketscene_note_message;
websocket_control_fn socketscene_note_ping, socketscene_note_pong;
websocket_drain_fn socketscene_note_drain;

#endif
