/* ws_ioloop [CONNECTIONS]: a WebSocket server on this library, without an access log. /ws: a message comes back.
 * /broadcast: it goes to all of /broadcast.
 *
 * CONNECTIONS: it says, when so many have had a message each and are silent, how many bytes of memory the library
 * holds, divided by their number. All of it counts: connections, streams, the loop and its tables, the server. */
#include "counting.h"
#include "ioloop/ioloop.h"
#include "websocket/websocket.h"

#define TOPIC "all"

static void echo(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    counting_note_message();
    if (websocket_write(socket, data, length, is_binary) < 0)
        websocket_abort(socket);
}

static void enter(struct websocket *socket, struct web_request *request)
{
    (void)request;
    if (websocket_subscribe(socket, TOPIC) < 0)
        websocket_abort(socket);
}

static void send_to_all(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    if (websocket_publish(websocket_loop(socket), TOPIC, data, length, is_binary, NULL) < 0)
        websocket_abort(socket);
}

static void log_nothing(struct web_request *request, int status, double seconds)
{
    (void)request, (void)status, (void)seconds;
}

int main(int argc, char **argv)
{
    static const struct websocket_handler echoes = { .on_message = echo };
    static const struct websocket_handler broadcasts = { .open = enter, .on_message = send_to_all };
    static const struct web_route routes[] = {
        { "/ws", &websocket_route, &echoes, NULL },
        { "/broadcast", &websocket_route, &broadcasts, NULL },
        { 0 },
    };
    struct web_settings settings = { .log_function = log_nothing };
    int connections;

    if (argc == 2 && (connections = atoi(argv[1])) > 0) {
        settings.server.max_connections = (size_t)connections + 1;
        counting_start(connections, connections);
    } else if (argc != 1) {
        fprintf(stderr, "usage: %s [CONNECTIONS]\n", argv[0]);
        return 2;
    }
    struct ioloop *loop = ioloop_current();
    struct web_application *app = loop != NULL ? web_application_new(routes, &settings) : NULL;
    int port =
        app != NULL ? web_application_listen(app, 0, &(struct netutil_bind_options){ .address = "127.0.0.1" }) : -1;
    return counting_serve(argv[0], loop, port);
}
