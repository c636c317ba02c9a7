/* idle_ioloop CONNECTIONS: an echo server that says, when so many connections have sent a message each and are silent,
 * how many bytes of memory the library holds, divided by their number. All of it counts: streams, the loop and its
 * tables, the server. */
#include "counting.h"
#include "ioloop/tcpserver.h"

#define SETTLE 0.05

static int expected, served;

static void report(void *arg)
{
    (void)arg;
    counting_report(expected);
}

static size_t echo(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    if (error < 0 || iostream_write(stream, data, length, NULL, NULL) < 0)
        iostream_close(stream);
    else if (++served == expected)
        ioloop_call_later(iostream_loop(stream), SETTLE, report, NULL);
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
    expected = argc == 2 ? atoi(argv[1]) : 0;
    if (expected <= 0) {
        fprintf(stderr, "usage: %s CONNECTIONS\n", argv[0]);
        return 2;
    }
    counting_start();
    struct tcpserver_options options = { .max_connections = (size_t)expected + 1 };
    struct ioloop *loop = ioloop_current();
    struct tcpserver *server = loop != NULL ? tcpserver_new(loop, handle_stream, NULL, &options) : NULL;
    int port =
        server != NULL ? tcpserver_listen(server, 0, &(struct netutil_bind_options){ .address = "127.0.0.1" }) : -1;
    if (port < 0) {
        fprintf(stderr, "%s: %s\n", argv[0], ioloop_strerror(port));
        return 1;
    }
    printf("listening on 127.0.0.1:%d\n", port);
    fflush(stdout);
    return ioloop_start(loop) < 0;
}
