/* Internal: websocketclient.h, a client's socket before its handshake is over. */
#ifndef WEBSOCKET_WEBSOCKETCLIENT_H
#define WEBSOCKET_WEBSOCKETCLIENT_H

#include <stdbool.h>

struct websocket;

/* It ends as if the connection had been closed; on_close follows, from the loop. */
void websocketclient_cancel(struct websocket *socket);
bool websocketclient_is_cancelled(const struct websocket *socket);

#endif
