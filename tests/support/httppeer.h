/* Internal: httppeer.h, a client of an HTTP server in another process or thread: calls block, for some seconds at most.
 *
 *     struct httppeer peer;
 *     assert_true(httppeer_connect(&peer, port));
 *     assert_int_equal(httppeer_get(&peer, "/"), 200);
 *     httppeer_close(&peer);
 *
 * Threads: any, each with its own; nothing here fails a test by itself. */
#ifndef TESTS_SUPPORT_HTTPPEER_H
#define TESTS_SUPPORT_HTTPPEER_H

#include <stdbool.h>
#include <stddef.h>

/* Instead of a status. NONE: the connection had ended before a byte of the answer came. BROKEN: the answer is none, or
 * only its beginning, or did not come in time. */
enum { HTTPPEER_NONE = 0, HTTPPEER_BROKEN = -1 };

struct httppeer {
    int fd; /* -1: closed */
    size_t length;
    char bytes[4096];   /* that came behind the last answer, */
    bool closes;        /* which said Connection: close, */
    size_t body_length; /* and had so long a body, */
    char body[512];     /* which began so, as a string */
};

bool httppeer_connect(struct httppeer *peer, int port);

/* With a receive buffer as small as the kernel has. */
bool httppeer_connect_narrow(struct httppeer *peer, int port);

/* By FIN, or by RST. */
void httppeer_close(struct httppeer *peer);
void httppeer_reset(struct httppeer *peer);

/* Sends all. False: it cannot. */
bool httppeer_put(struct httppeer *peer, const char *text);

/* Waits for the next answer whole; its status. It has a Content-Length. */
int httppeer_next(struct httppeer *peer);

/* Both, for a GET of this target. */
int httppeer_get(struct httppeer *peer, const char *target);

/* Drops what comes until the end. False: there is none. */
bool httppeer_wait_for_end(struct httppeer *peer);

double httppeer_seconds(void);

#endif
