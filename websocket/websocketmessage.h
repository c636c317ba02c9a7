/* Internal: websocketmessage.h, a message that is framed once and sent to many; and how frames are sent. */
#ifndef WEBSOCKET_WEBSOCKETMESSAGE_H
#define WEBSOCKET_WEBSOCKETMESSAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "websocket/websocketframe.h"

struct websocket;

struct websocket_message {
    unsigned references;
    bool is_binary;
    size_t head, length;                /* of its frame as a server sends it, and of the payload behind */
    struct websocket_message *deflated; /* the same, compressed; NULL: nobody has wanted that yet */
    int window;                         /* log2 of the one that was compressed with */
    char bytes[];
};

/* 0, or -EBADF; -ENOBUFS so many bytes more would be too many, and the policy has been followed. */
int websocketmessage_check_room(struct websocket *socket, size_t size);

/* Sends a message that is known to be what it says, compressed if that was agreed on and it is long enough; errors as
 * of websocket_write. */
int websocketmessage_send(struct websocket *socket, enum websocketframe_opcode opcode, const void *data, size_t length);

#endif
