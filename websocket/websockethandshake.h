/* Internal: websockethandshake.h, the opening handshake, both sides of it: RFC 6455 4. Pure.
 *
 * Any header may be absent, and none is trusted to be well formed. Lists are read in one pass. */
#ifndef WEBSOCKET_WEBSOCKETHANDSHAKE_H
#define WEBSOCKET_WEBSOCKETHANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WEBSOCKETHANDSHAKE_KEY = 24,       /* characters of Sec-WebSocket-Key, */
    WEBSOCKETHANDSHAKE_ACCEPT = 28,    /* and of Sec-WebSocket-Accept */
    WEBSOCKETHANDSHAKE_PROTOCOLS = 16, /* subprotocols that are looked at; more are a refusal */
};

/* Values of headers, NULL: absent. Where a header came several times, all values with ", " between (of Connection,
 * Upgrade, Sec-WebSocket-Protocol), else it is malformed. The origin is not looked at by check_request. */
struct websockethandshake_request {
    const char *method;
    int minor_version;
    const char *host, *connection, *upgrade, *key, *version, *origin;
};

/* 0: it is one; or the status to answer with: 405 it is no GET, 400, 426 of another version than 13 (the answer then
 * has Sec-WebSocket-Version: 13). *why: for the log. */
int websockethandshake_check_request(const struct websockethandshake_request *request, const char **why);

/* The default for check_origin (Tornado's): absent is fine; else its host and port, without regard to case, are those
 * of Host, where a port that is the scheme's own is as good as none. Pages have http, https, ws or wss. */
bool websockethandshake_is_same_origin(const char *origin, const char *host);

/* The names in Sec-WebSocket-Protocol (NULL: none), in place: of text a copy that is taken apart, and terminates each.
 * Answers their number, or -400: one is empty or no token, one comes twice, or there are too many. */
int websockethandshake_split_protocols(char *text, const char *names[WEBSOCKETHANDSHAKE_PROTOCOLS]);

/* Sec-WebSocket-Accept for a key, NUL-terminated. */
void websockethandshake_accept(const char *key, char place[WEBSOCKETHANDSHAKE_ACCEPT + 1]);

/* A key of 16 random bytes, which are given; NUL-terminated. */
void websockethandshake_key(const unsigned char random[16], char place[WEBSOCKETHANDSHAKE_KEY + 1]);

struct websockethandshake_answer {
    int status;
    const char *connection, *upgrade, *accept, *protocol, *extensions; /* as above */
};

/* The client's side. 0, or -EPROTO and *why: status, Upgrade, Connection, Accept (of this key), a subprotocol that was
 * not among the offered ones (NULL: none were; ended by NULL), an extension that was not offered (of which the caller
 * looks after permessage-deflate itself, if it did). */
int websockethandshake_check_answer(const struct websockethandshake_answer *answer, const char *key,
                                    const char *const *offered, bool offered_deflate, const char **why);

/* Is the token in the list (RFC 9110 5.6.1), without regard to case? list NULL: no. */
bool websockethandshake_has_token(const char *list, const char *token);

#endif
