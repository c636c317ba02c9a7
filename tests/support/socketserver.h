/* Internal: socketserver.h, for tests of WebSocket clients: a client's socket on a loop whose clock stands still, and a
 * hand-driven server.
 *
 *     struct socketserver server;
 *     socketserver_open(&server);
 *     socketserver_connect(&server, NULL, &handler, NULL);
 *     socketserver_accept(&server, "");
 *     socketserver_put(&server, WSFRAMES_FINAL | 1, "hello");
 *     socketserver_close(&server);
 *
 * What has happened is noted as in socketscene.h; the handler's functions may be those of there. */
#ifndef TESTS_SUPPORT_SOCKETSERVER_H
#define TESTS_SUPPORT_SOCKETSERVER_H

#include "tests/support/wsframes.h"
#include "websocket/websocket.h"

struct socketserver {
    struct ioloop *loop; /* NULL: closed */
    double clock;
    int listener, fd; /* -1: none */
    int port;
    char url[64];
    char request[4096]; /* the last one's head */
    char key[64];
    char *bytes; /* that came behind it and were not looked at yet */
    size_t length;
    bool ended;
    struct websocket_handler handler;
    websocket_open_fn *open;
    websocket_closed_fn *on_close;
    struct websocket *socket; /* NULL: it has closed */
    int opened, closed;
    struct wsframes frames;
    long allocated;
};

extern struct socketserver *socketserver_current;

void socketserver_open(struct socketserver *server);
void socketserver_close(struct socketserver *server);

/* A socket of a client; url NULL: to this server. */
void socketserver_connect(struct socketserver *server, const char *url, const struct websocket_handler *handler,
                          const struct websocket_options *options);

/* Waits for the next connection, and its request. */
void socketserver_wait(struct socketserver *server);

/* Both, and the right answer with these headers too. socketserver_answer: instead of that, in which "%s" is what is
 * right for Sec-WebSocket-Accept. */
void socketserver_accept(struct socketserver *server, const char *headers);
void socketserver_answer(struct socketserver *server, const char *text);

void socketserver_put(struct socketserver *server, int first, const char *payload);
void socketserver_put_bytes(struct socketserver *server, int first, const void *payload, size_t length);
void socketserver_put_close(struct socketserver *server, int code, const char *reason);
void socketserver_put_raw(struct socketserver *server, const void *bytes, size_t length);

/* The next frame, which is masked, is this. */
void socketserver_expect(struct socketserver *server, int first, const char *payload);
void socketserver_expect_bytes(struct socketserver *server, int first, const void *payload, size_t length);
void socketserver_expect_close(struct socketserver *server, int code, const char *reason);
void socketserver_expect_end(struct socketserver *server);

/* Its connection ends. */
void socketserver_hang_up(struct socketserver *server);

/* Runs the loop until nothing happens any more; lets time pass before. */
void socketserver_settle(struct socketserver *server);
void socketserver_pass(struct socketserver *server, double seconds);

#endif
