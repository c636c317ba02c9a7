/* ws_libwebsockets: a WebSocket server on libwebsockets. /ws: a message comes back, in the pieces in which it is handed
 * over. /broadcast: it goes to all of /broadcast. */
#include <libwebsockets.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "server.h"

#define SESSIONS 32768

/* A piece of a message, for as many sessions as it waits in. */
struct piece {
    size_t length;
    int sessions;
    enum lws_write_protocol kind;
    unsigned char bytes[]; /* LWS_PRE of them are the library's */
};

struct entry {
    struct entry *next;
    struct piece *piece;
};

struct session {
    struct lws *socket;
    struct entry *first, **end;
    bool broadcasts;
};

static struct session *all[SESSIONS]; /* that broadcast */
static int count;

static struct piece *copy_piece(struct lws *socket, const void *bytes, size_t length)
{
    struct piece *piece = malloc(sizeof *piece + LWS_PRE + length);
    int kind = lws_frame_is_binary(socket) ? LWS_WRITE_BINARY : LWS_WRITE_TEXT;

    if (piece == NULL)
        server_fail("malloc");
    piece->length = length;
    piece->sessions = 0;
    piece->kind =
        (enum lws_write_protocol)lws_write_ws_flags(kind, lws_is_first_fragment(socket), lws_is_final_fragment(socket));
    memcpy(piece->bytes + LWS_PRE, bytes, length);
    return piece;
}

static void add_piece(struct session *session, struct piece *piece)
{
    struct entry *entry = malloc(sizeof *entry);

    if (entry == NULL)
        server_fail("malloc");
    *entry = (struct entry){ .piece = piece };
    piece->sessions++;
    *session->end = entry;
    session->end = &entry->next;
    lws_callback_on_writable(session->socket);
}

static void remove_piece(struct session *session)
{
    struct entry *entry = session->first;

    session->first = entry->next;
    if (session->first == NULL)
        session->end = &session->first;
    if (--entry->piece->sessions == 0)
        free(entry->piece);
    free(entry);
}

static void begin_session(struct session *session, struct lws *socket)
{
    char path[32] = "";

    lws_hdr_copy(socket, path, sizeof path, WSI_TOKEN_GET_URI);
    *session = (struct session){ .socket = socket, .broadcasts = strcmp(path, "/broadcast") == 0 };
    session->end = &session->first;
    if (session->broadcasts && count < SESSIONS)
        all[count++] = session;
}

static void end_session(struct session *session)
{
    while (session->first != NULL)
        remove_piece(session);
    for (int i = 0; i < count; i++) {
        if (all[i] == session)
            all[i] = all[--count];
    }
}

static void receive(struct session *session, const void *bytes, size_t length)
{
    struct piece *piece = copy_piece(session->socket, bytes, length);

    if (!session->broadcasts) {
        add_piece(session, piece);
        return;
    }
    for (int i = 0; i < count; i++)
        add_piece(all[i], piece);
}

static int send_pieces(struct session *session)
{
    while (session->first != NULL && !lws_send_pipe_choked(session->socket)) {
        struct piece *piece = session->first->piece;
        if (lws_write(session->socket, piece->bytes + LWS_PRE, piece->length, piece->kind) < 0)
            return -1;
        remove_piece(session);
    }
    if (session->first != NULL)
        lws_callback_on_writable(session->socket);
    return 0;
}

static int on_event(struct lws *socket, enum lws_callback_reasons reason, void *user, void *bytes, size_t length)
{
    struct session *session = user;

    if (reason == LWS_CALLBACK_ESTABLISHED)
        begin_session(session, socket);
    else if (reason == LWS_CALLBACK_RECEIVE)
        receive(session, bytes, length);
    else if (reason == LWS_CALLBACK_SERVER_WRITEABLE)
        return send_pieces(session);
    else if (reason == LWS_CALLBACK_CLOSED)
        end_session(session);
    return 0;
}

int main(void)
{
    static const struct lws_protocols protocols[] = {
        { .name = "echo",
          .callback = on_event,
          .per_session_data_size = sizeof(struct session),
          .rx_buffer_size = 65536 },
        { 0 },
    };
    struct lws_context_creation_info information = {
        .iface = "127.0.0.1",
        .protocols = protocols,
        .pt_serv_buf_size = 65536,
        .options = LWS_SERVER_OPTION_DISABLE_IPV6,
    };

    lws_set_log_level(LLL_ERR, NULL);
    struct lws_context *context = lws_create_context(&information);
    if (context == NULL)
        server_fail("lws_create_context");
    printf("listening on 127.0.0.1:%d\n", lws_get_vhost_listen_port(lws_get_vhost_by_name(context, "default")));
    fflush(stdout);
    while (lws_service(context, 0) >= 0)
        continue;
    return 1;
}
