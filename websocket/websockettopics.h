/* Internal: websockettopics.h, the topics of a loop and the sockets that have subscribed to them. */
#ifndef WEBSOCKET_WEBSOCKETTOPICS_H
#define WEBSOCKET_WEBSOCKETTOPICS_H

struct websocket;
struct websockettopics;

enum {
    WEBSOCKETTOPICS_MOST = 64,     /* of one socket */
    WEBSOCKETTOPICS_LONGEST = 255, /* name */
};

/* The socket leaves all of them. */
void websockettopics_leave(struct websocket *socket);

/* When nobody is left in them. NULL is fine. */
void websockettopics_free(struct websockettopics *topics);

#endif
