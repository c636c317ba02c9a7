#include "websocket/websocket.h"

#include <errno.h>
#include <string.h>

#include "ioloop/ioalloc.h"
#include "ioloop/netutil.h"
#include "websocket/websocketclient.h"
#include "websocket/websocketconnection.h"
#include "websocket/websocketmessage.h"
#include "websocket/websocketutf8.h"

#define LONGEST_REASON (WEBSOCKETFRAME_MOST_CONTROL - 2)

/* The program's own. */

void websocket_set_arg(struct websocket *socket, void *arg)
{
    *websocketconnection_arg(socket) = arg;
}

void *websocket_arg(const struct websocket *socket)
{
    return *websocketconnection_arg(socket);
}

void *websocket_handler_arg(const struct websocket *socket)
{
    return socket->handler->arg;
}

/* Sending. */

/* The shortest way: into the cork. Only a server's sockets go it, whose frames are not masked. */
static inline bool cork_frame(struct websocket *socket, enum websocketframe_opcode opcode, const void *data,
                              size_t length)
{
    size_t head = length < 126 ? 2 : 4;
    char *place = iostreamlayer_cork_place(socket->stream, head + length);

    if (place == NULL)
        return false;
    place[0] = (char)(0x80 | (int)opcode);
    place[1] = (char)length;
    if (head == 4) {
        place[1] = 126;
        place[2] = (char)(length >> 8);
        place[3] = (char)length;
    }
    if (length > 0)
        memcpy(place + head, data, length);
    iostreamlayer_put_in_cork(socket->stream, head + length);
    return true;
}

int websocket_write(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    enum websocketframe_opcode opcode = is_binary ? WEBSOCKETFRAME_BINARY : WEBSOCKETFRAME_TEXT;

    if (!socket->is_open)
        return -EBADF;
    if (!is_binary && !websocketconnection_is_text(data, length))
        return -EINVAL;
    if (socket->is_plain && length <= WEBSOCKETCONNECTION_CORKED && cork_frame(socket, opcode, data, length))
        return 0;
    return websocketmessage_send(socket, opcode, data, length);
}

int websocket_write_text(struct websocket *socket, const char *text)
{
    return websocket_write(socket, text, strlen(text), false);
}

int websocket_ping(struct websocket *socket, const void *data, size_t length)
{
    if (length > WEBSOCKETFRAME_MOST_CONTROL)
        return -EINVAL;
    int error = websocketmessage_check_room(socket, length + WEBSOCKETFRAME_LONGEST_HEAD);
    if (error == 0)
        error = websocketconnection_send_control(socket, WEBSOCKETFRAME_PING, data, length);
    return error < 0 ? error : websocketconnection_watch_drain(socket);
}

/* Closing. */

int websocket_close(struct websocket *socket, int code, const char *reason)
{
    size_t length = reason != NULL ? strlen(reason) : 0;
    int error = 0;

    if (code == 0 && length > 0)
        code = WEBSOCKET_NORMAL;
    if ((code != 0 && !websocketframe_is_code(code)) || length > LONGEST_REASON ||
        !websocketutf8_is_text(reason, length)) {
        error = -EINVAL;
        code = 0;
        length = 0;
    }
    if (socket->stream == NULL) {
        websocketclient_cancel(socket);
        return error;
    }
    if (!socket->is_open)
        return error;
    websocketconnection_send_close(socket, code, reason, length);
    socket->is_paused = false; /* the peer's close frame is to be read */
    websocketconnection_read(socket);
    return error;
}

void websocket_abort(struct websocket *socket)
{
    if (socket->stream == NULL)
        websocketclient_cancel(socket);
    else
        websocketconnection_break(socket, 0);
}

bool websocket_closing(const struct websocket *socket)
{
    return socket->stream == NULL ? websocketclient_is_cancelled(socket)
                                  : !socket->is_open || iostream_closed(socket->stream);
}

/* Holding back. */

void websocket_pause(struct websocket *socket)
{
    if (socket->is_paused || (socket->stream != NULL && !socket->is_open))
        return;
    socket->is_paused = true;
    websocketconnection_hold(socket);
}

void websocket_resume(struct websocket *socket)
{
    if (!socket->is_paused)
        return;
    socket->is_paused = false;
    if (socket->is_ready)
        websocketconnection_read(socket);
}

/* Asking. */

uint64_t websocket_pending(const struct websocket *socket)
{
    return socket->stream != NULL ? iostream_pending(socket->stream) : 0;
}

const char *websocket_subprotocol(const struct websocket *socket)
{
    return socket->rare != NULL ? socket->rare->subprotocol : NULL;
}

bool websocket_compresses(const struct websocket *socket)
{
    return socket->compresses;
}

static void find_peer_ip(const struct websocket *socket, char place[NETUTIL_IP_SIZE])
{
    struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
    socklen_t length = sizeof address;

    if (socket->stream != NULL && getpeername(iostream_fd(socket->stream), (struct sockaddr *)&address, &length) < 0)
        address.ss_family = AF_UNSPEC;
    netutil_format_ip((struct sockaddr *)&address, place);
}

/* Found when first asked for: it takes a system call, and memory. A client's that never had a stream and has ended has
 * no room for it any more. */
const char *websocket_remote_ip(const struct websocket *socket)
{
    struct websocketconnection_rare *rare =
        socket->stream != NULL ? websocketconnection_rare((struct websocket *)socket) : socket->rare;
    char place[NETUTIL_IP_SIZE];

    if (rare != NULL && rare->remote_ip == NULL) {
        find_peer_ip(socket, place);
        if (place[0] != '\0')
            rare->remote_ip = ioalloc_string(place);
        else
            websocketconnection_drop_rare((struct websocket *)socket);
    }
    return socket->rare != NULL && socket->rare->remote_ip != NULL ? socket->rare->remote_ip : "";
}

int websocket_set_nodelay(struct websocket *socket, bool on)
{
    return socket->stream != NULL ? iostream_set_nodelay(socket->stream, on) : -EBADF;
}

struct ioloop *websocket_loop(const struct websocket *socket)
{
    return websocketconnection_loop(socket);
}

int websocket_error(const struct websocket *socket)
{
    return socket->error;
}

int websocket_status(const struct websocket *socket)
{
    if (socket->rare != NULL && socket->rare->status != 0)
        return socket->rare->status;
    return socket->stream != NULL ? 101 : 0;
}
