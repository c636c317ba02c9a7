/* idle_ioloop CONNECTIONS: an echo server that says, when so many connections have sent a message each and are silent,
 * how many bytes of memory the library holds, divided by their number. All of it counts: streams, the loop and its
 * tables, the server. */
#include "counting.h"
#include "ioloop/tcpserver.h"

static size_t echo(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    if (error < 0 || iostream_write(stream, data, length, NULL, NULL) < 0)
        iostream_close(stream);
    else
        counting_note_message();
    (void)arg;
    return length;
}

static void handle_stream(struct tcpserver *server, struct iostream *stream, const struct sockaddr *address,
                          socklen_t length, void *arg)
{
    (void)server, (void)address, (void)length, (void)arg;
    if (iostream_set_consumer(stream, echo, NULL) < 0)
        iostream_close(stream);
}

int main(int argc, char **argv)
{
    int connections = argc == 2 ? atoi(argv[1]) : 0;

    if (connections <= 0) {
        fprintf(stderr, "usage: %s CONNECTIONS\n", argv[0]);
        return 2;
    }
    counting_start(connections, connections);
    struct tcpserver_options options = { .max_connections = (size_t)connections + 1 };
    struct ioloop *loop = ioloop_current();
    struct tcpserver *server = loop != NULL ? tcpserver_new(loop, handle_stream, NULL, &options) : NULL;
    int port =
        server != NULL ? tcpserver_listen(server, 0, &(struct netutil_bind_options){ .address = "127.0.0.1" }) : -1;
    return counting_serve(argv[0], loop, port);
}
