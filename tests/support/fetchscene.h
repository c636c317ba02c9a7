/* Internal: fetchscene.h, for tests of the HTTP client: one on a loop whose clock stands still, hand-driven servers,
 * and what came of each fetch.
 *
 *     struct fetchscene scene;
 *     fetchscene_open(&scene, NULL);
 *     struct fetchscene_fetch *fetch = fetchscene_get(&scene, "/");
 *     fetchscene_serve(&scene, NULL, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
 *     fetchscene_expect(&scene, fetch, 200, "hi");
 *     fetchscene_close(&scene);
 *
 * Every response is checked for what holds always, and each fetch for having been answered exactly once. Servers use
 * read and write, the client recv and send: so both can be counted. Logs go where testing_logs finds them. */
#ifndef TESTS_SUPPORT_FETCHSCENE_H
#define TESTS_SUPPORT_FETCHSCENE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "httpclient/httpclient.h"
#include "httpserver/httprequest.h"

enum { FETCHSCENE_PEERS = 64, FETCHSCENE_ANY_PHASE = -1 };
enum { FETCHSCENE_ROUNDS = 400 }; /* turns of the loop, of up to 10 ms, for what has to come */

/* Where servers listen: two origins on 127.0.0.1, and a Unix socket. */
enum { FETCHSCENE_FIRST, FETCHSCENE_SECOND, FETCHSCENE_UNIX, FETCHSCENE_LISTENERS };

struct fetchscene;
struct fetchscene_fetch;

/* Bytes with a NUL behind them; "" when there are none. */
struct fetchscene_text {
    char *bytes;
    size_t length, capacity;
};

/* A fetch, and what came of it. */
struct fetchscene_fetch {
    struct fetchscene *scene;
    uint64_t id;
    int calls; /* of on_response */
    int place; /* in the order in which the scene's fetches were answered, from 1 */
    int error;
    enum httpclient_phase phase;
    int code, redirects;
    bool is_reused;
    double request_time, queue_time, head_time, body_time;
    char reason[64], detail[256], url[512];
    struct fetchscene_text headers, trailers; /* lines, each with "\n" */
    struct fetchscene_text body;              /* what the response had, or what was streamed */
    struct fetchscene_text lines;             /* that header_callback got */
    int pieces;                               /* calls of fetchscene_on_data */
    bool may_be_lost;                         /* no answer has to come: it was refused */
    void *arg;                                /* of these, which are called after all has been noted */
    void (*on_response)(struct fetchscene_fetch *fetch, struct httpclient_response *response);
    void (*on_data)(struct fetchscene_fetch *fetch);
    void (*on_line)(struct fetchscene_fetch *fetch);
};

/* A connection, as a server sees it. */
struct fetchscene_peer {
    int fd;      /* -1: closed */
    char *bytes; /* that came and were not looked at yet, with a NUL behind them */
    size_t length;
    bool ended;
    int error; /* how: 0 by FIN */
    char mask; /* changes each byte on the wire, as the transports of veil.h do */
};

struct fetchscene_request {
    char method[40], target[1024];
    char head[4096]; /* all of it, request line and empty line too */
    char body[4096]; /* the beginning */
    size_t length;
    int chunks; /* in which the body came, the last one not counted; -1: it did not */
};

struct fetchscene {
    struct ioloop *loop; /* NULL: closed */
    double clock;
    struct httpclient *client; /* NULL: closed, and told */
    int closed;                /* calls of its on_close */
    int listeners[FETCHSCENE_LISTENERS];
    int ports[FETCHSCENE_LISTENERS];
    char path[64]; /* of the Unix socket */
    char base[64]; /* what stands before a target: "http://127.0.0.1:80" */
    struct httpserver *server;
    void (*on_request)(struct fetchscene *scene, struct httprequest *request);
    int requests; /* that on_request was called for */
    struct fetchscene_fetch **fetches;
    size_t count;
    int answered;
    bool in_call; /* of the client: no callback comes now */
    struct fetchscene_peer peers[FETCHSCENE_PEERS];
    int peer_count;
    long allocated;
};

/* The scene's own on_close is set; what of the options is 0 is the client's default. */
void fetchscene_open(struct fetchscene *scene, const struct httpclient_options *options);

/* Without a client: the test makes its own, on the loop. */
void fetchscene_open_bare(struct fetchscene *scene);

/* Closes all. Each fetch has been answered exactly once then, the client's on_close has come exactly once, and no
 * memory is left. */
void fetchscene_close(struct fetchscene *scene);

/* A server of this library on the same loop, whose port stands in base from now on. */
void fetchscene_start_server(struct fetchscene *scene,
                             void (*on_request)(struct fetchscene *scene, struct httprequest *request));

/* Fetches. A url that begins with "/" is behind base. The callbacks of the request, if it has any, are
 * fetchscene_on_line and fetchscene_on_data. try answers NULL when the client refuses, with its errno. */
struct fetchscene_fetch *fetchscene_get(struct fetchscene *scene, const char *url);
struct fetchscene_fetch *fetchscene_fetch(struct fetchscene *scene, struct httpclient_request request);
struct fetchscene_fetch *fetchscene_try(struct fetchscene *scene, struct httpclient_request request);
struct fetchscene_fetch *fetchscene_try_with(struct fetchscene *scene, struct httpclient *client,
                                             struct httpclient_request request);
httpclient_line_fn fetchscene_on_line;
httpclient_data_fn fetchscene_on_data;

/* The fetches so far have each been answered once; they are gone from here on. */
void fetchscene_forget(struct fetchscene *scene);

/* Lets time pass, on the loop's clock. */
void fetchscene_pass(struct fetchscene *scene, double seconds);

/* Runs the loop for a while, until nothing happens any more; or once, as the next of a number of rounds. */
void fetchscene_settle(struct fetchscene *scene);
void fetchscene_turn(struct fetchscene *scene, int round);

/* Servers. A slot is used again after it was closed. accept waits for the next connection. */
struct fetchscene_peer *fetchscene_accept(struct fetchscene *scene);
struct fetchscene_peer *fetchscene_accept_from(struct fetchscene *scene, int listener);
void fetchscene_expect_no_connection(struct fetchscene *scene);
void fetchscene_hang_up(struct fetchscene_peer *peer);
void fetchscene_reset(struct fetchscene_peer *peer);  /* with RST */
void fetchscene_finish(struct fetchscene_peer *peer); /* with FIN, and goes on reading */

/* Sends all, and runs the loop meanwhile. What the client does not take any more, as it has closed, goes nowhere. */
void fetchscene_put(struct fetchscene *scene, struct fetchscene_peer *peer, const char *text);
void fetchscene_put_bytes(struct fetchscene *scene, struct fetchscene_peer *peer, const char *bytes, size_t length);
size_t fetchscene_put_some(struct fetchscene_peer *peer, const char *bytes, size_t length);

/* Receives what there is, at most so many bytes. */
size_t fetchscene_take(struct fetchscene_peer *peer, size_t most);

/* Runs the loop until the next request is whole, which is checked for its form. */
void fetchscene_take_head(struct fetchscene *scene, struct fetchscene_peer *peer, struct fetchscene_request *request);
void fetchscene_take_request(struct fetchscene *scene, struct fetchscene_peer *peer,
                             struct fetchscene_request *request);

/* Accepts (when peer is NULL), takes a request, and answers. */
struct fetchscene_peer *fetchscene_serve(struct fetchscene *scene, struct fetchscene_peer *peer, const char *answer);

/* A fetch from its beginning to its end, over a connection of its own: the request, which is answered with "hi". */
void fetchscene_exchange(struct fetchscene *scene, struct httpclient_request request, struct fetchscene_request *seen);

/* Runs the loop until so many bytes are there and compares. expect_end: until the client has closed, with nothing
 * before that. */
void fetchscene_expect_text(struct fetchscene *scene, struct fetchscene_peer *peer, const char *text);
void fetchscene_expect_end(struct fetchscene *scene, struct fetchscene_peer *peer);

/* Nothing comes, and the connection stays. */
void fetchscene_expect_nothing(struct fetchscene *scene, struct fetchscene_peer *peer);

/* The value of the first header of this name, in a text of lines too; NULL: there is none. Valid until the call but
 * three. */
const char *fetchscene_line(const char *text, const char *name);
const char *fetchscene_request_header(const struct fetchscene_request *request, const char *name);
const char *fetchscene_header(const struct fetchscene_fetch *fetch, const char *name);

/* Runs the loop until it has been answered; then compares. */
void fetchscene_wait(struct fetchscene *scene, struct fetchscene_fetch *fetch);
void fetchscene_expect(struct fetchscene *scene, struct fetchscene_fetch *fetch, int code, const char *body);
void fetchscene_expect_error(struct fetchscene *scene, struct fetchscene_fetch *fetch, int error, int phase);

/* It has not been answered, and nothing happens that would. */
void fetchscene_expect_waiting(struct fetchscene *scene, const struct fetchscene_fetch *fetch);

/* What there is of the pool. */
void fetchscene_expect_pool(struct fetchscene *scene, size_t connections, size_t kept, size_t waiting);

#endif
