/* Internal: httpscene.h, for tests of the HTTP server: one in this process, on a loop whose clock stands still, and
 * hand-driven clients.
 *
 *     struct httpscene scene;
 *     httpscene_open(&scene, NULL);
 *     struct httpscene_client *client = httpscene_connect(&scene);
 *     httpscene_put(&scene, client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
 *     httpscene_expect(&scene, client, 200, "GET /");
 *     httpscene_close(&scene);
 *
 * The server answers with method, target and body, separated by blanks. "/later" waits for httpscene_answer_next;
 * "/size/N" is answered with N bytes. Clients use read and write, the server recv and send: so both can be counted.
 * Logs go where testing_logs finds them. */
#ifndef TESTS_SUPPORT_HTTPSCENE_H
#define TESTS_SUPPORT_HTTPSCENE_H

#include <stdbool.h>
#include <stddef.h>

#include "httpserver/httpserver.h"

enum { HTTPSCENE_CLIENTS = 64, HTTPSCENE_WAITING = 64 };

struct httpscene_client {
    int fd;      /* -1: closed */
    char *bytes; /* that came and were not looked at yet, with a NUL behind them */
    size_t length;
    bool ended;
    int error; /* how: 0 by FIN */
};

struct httpscene {
    struct ioloop *loop; /* NULL: closed */
    double clock;
    struct httpserver *server;
    int port;
    char path[64];                                                            /* of the Unix socket */
    void (*on_request)(struct httpscene *scene, struct httprequest *request); /* instead of the usual answer */
    void (*on_left)(struct httpscene *scene, struct httprequest *request);    /* in the close callback */
    void (*on_close)(struct httpscene *scene);
    int requests; /* that on_request was called for */
    int left;     /* close callbacks of those that wait */
    int closed;   /* calls of the server's on_close */
    int logged;   /* calls of on_log, unless the options say otherwise, and what the last one said */
    int last_status;
    struct httprequest *waiting[HTTPSCENE_WAITING];
    int waiting_count;
    struct httpscene_client clients[HTTPSCENE_CLIENTS];
    int client_count;
    long allocated;
};

/* One response, which was checked for its form. */
struct httpscene_answer {
    int status;
    bool closes;
    size_t length;               /* of the body, or what HEAD was told; -1: none was told */
    int chunks;                  /* in which it came; -1: it did not */
    char head[1024], body[1024]; /* the beginning, as strings */
};

void httpscene_open(struct httpscene *scene, const struct httpserver_options *options);

/* Closes clients, server and loop; the server's on_close has come exactly once then, no memory is left. */
void httpscene_close(struct httpscene *scene);

/* Where httpscene_connect_unix leads to. open has done it. */
void httpscene_listen_unix(struct httpscene *scene, struct httpserver *server);

/* The answer that the server gives by itself; and to the oldest of those that wait, which answers what reply does. */
void httpscene_answer(struct httprequest *request);
int httpscene_answer_next(struct httpscene *scene);
void httpscene_wait(struct httpscene *scene, struct httprequest *request);

/* Lets time pass, on the loop's clock. */
void httpscene_pass(struct httpscene *scene, double seconds);

/* Runs the loop for a while, until nothing happens any more. */
void httpscene_settle(struct httpscene *scene);

/* Clients. A slot is used again after hang_up. */
struct httpscene_client *httpscene_connect(struct httpscene *scene);
struct httpscene_client *httpscene_connect_unix(struct httpscene *scene);
void httpscene_hang_up(struct httpscene_client *client);
void httpscene_reset(struct httpscene_client *client);  /* with RST */
void httpscene_finish(struct httpscene_client *client); /* with FIN, and goes on reading */

/* Sends all, and runs the loop meanwhile. put_some sends what the kernel takes. */
void httpscene_put(struct httpscene *scene, struct httpscene_client *client, const char *text);
void httpscene_put_bytes(struct httpscene *scene, struct httpscene_client *client, const char *bytes, size_t length);
size_t httpscene_put_some(struct httpscene_client *client, const char *bytes, size_t length);

/* Receives what there is, at most so many bytes. */
size_t httpscene_take(struct httpscene_client *client, size_t most);

/* Runs the loop until the next response is whole. to_head: it is one without a body. */
struct httpscene_answer httpscene_next(struct httpscene *scene, struct httpscene_client *client, bool to_head);

/* The same, and compares. What expect_last gets says Connection: close, and the end follows, by FIN. */
void httpscene_expect(struct httpscene *scene, struct httpscene_client *client, int status, const char *body);
void httpscene_expect_last(struct httpscene *scene, struct httpscene_client *client, int status);

/* Runs the loop until the connection has ended by FIN, with nothing before it. */
void httpscene_expect_end(struct httpscene *scene, struct httpscene_client *client);

/* Nothing comes, and the connection stays. */
void httpscene_expect_nothing(struct httpscene *scene, struct httpscene_client *client);

/* Exactly one interim response. */
void httpscene_expect_text(struct httpscene *scene, struct httpscene_client *client, const char *text);

/* Runs the loop until the end; what came, with the digits of dates as zeros. Freed by the caller. */
char *httpscene_transcript(struct httpscene *scene, struct httpscene_client *client, size_t *length);

/* A GET of this target succeeds on a new connection. */
void httpscene_expect_alive(struct httpscene *scene);

#endif
