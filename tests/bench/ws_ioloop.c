/* ws_ioloop [CONNECTIONS]: a WebSocket server on this library, without an access log. /ws: a message comes back.
 * /broadcast: it goes to all of /broadcast.
 *
 * CONNECTIONS: it says, when so many have had a message each and are silent, how many bytes of memory the library
 * holds, divided by their number. All of it counts: connections, streams, the loop and its tables, the server. */
#include "counting.h"
#include "ioloop/ioloop.h"
#include "websocket/websocket.h"

#define SETTLE 0.05
#define TOPIC  "all"

static int expected, served;

static void report(void *arg)
{
    (void)arg;
    counting_report(expected);
}

static void echo(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    if (expected > 0 && ++served == expected)
        ioloop_call_later(websocket_loop(socket), SETTLE, report, NULL);
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

    if (argc == 2 && (expected = atoi(argv[1])) > 0) {
        settings.server.max_connections = (size_t)expected + 1;
        counting_start();
    } else if (argc != 1) {
        fprintf(stderr, "usage: %s [CONNECTIONS]\n", argv[0]);
        return 2;
    }
    struct ioloop *loop = ioloop_current();
    struct web_application *app = loop != NULL ? web_application_new(routes, &settings) : NULL;
    int port =
        app != NULL ? web_application_listen(app, 0, &(struct netutil_bind_options){ .address = "127.0.0.1" }) : -1;
    if (port < 0) {
        fprintf(stderr, "%s: %s\n", argv[0], ioloop_strerror(port));
        return 1;
    }
    printf("listening on 127.0.0.1:%d\n", port);
    fflush(stdout);
    return ioloop_start(loop) < 0;
}
