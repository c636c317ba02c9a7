/* An echo server on streams: tcp_echo [--port=N] (default 8888; 0: any free port).
 *
 * Back-pressure: a client that sends but does not read is read no further once HIGH_WATER bytes wait for it; the
 * kernel's window then holds it back until it has read. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <ioloop/tcpserver.h>

#define HIGH_WATER (256u << 10)

static size_t echo(struct iostream *stream, int error, const char *data, size_t length, void *arg);

static void go_on(struct iostream *stream, void *arg)
{
    if (iostream_set_consumer(stream, echo, NULL) < 0)
        iostream_close(stream);
}

static void hold_back(struct iostream *stream)
{
    iostream_set_consumer(stream, NULL, NULL);
    if (iostream_set_drain_callback(stream, HIGH_WATER, go_on, NULL) < 0)
        iostream_close(stream);
}

/* Shown what has come, answers how much of it was used: all. */
static size_t echo(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    if (error == -ESHUTDOWN)
        iostream_shutdown(stream); /* sends what is left, then closes */
    else if (error < 0 || iostream_write(stream, data, length, NULL, NULL) < 0)
        iostream_close(stream);
    else if (iostream_pending(stream) > HIGH_WATER)
        hold_back(stream);
    return length;
}

static void handle_stream(struct tcpserver *server, struct iostream *stream, const struct sockaddr *address,
                          socklen_t length, void *arg)
{
    go_on(stream, NULL);
}

static void stop(void *loop)
{
    ioloop_stop(loop);
}

/* After one more turn, in which what has come is answered. */
static void on_sigterm(int signal_number, void *arg)
{
    struct tcpserver *server = arg;

    tcpserver_stop(server);
    if (ioloop_add_callback(tcpserver_loop(server), stop, tcpserver_loop(server)) < 0)
        stop(tcpserver_loop(server));
}

/* Answers the port, -1 when the options make no sense. */
static int parse_options(int argc, char **argv)
{
    int port = 8888;
    char rest;

    for (int i = 1; i < argc; i++) {
        if (sscanf(argv[i], "--port=%5d%c", &port, &rest) != 1 || port < 0 || port > 65535)
            return -1;
    }
    return port;
}

int main(int argc, char **argv)
{
    int port = parse_options(argc, argv);

    if (port < 0) {
        fprintf(stderr, "usage: %s [--port=N]\n", argv[0]);
        return 2;
    }
    /* half_close: who has sent all is still sent the answer. */
    struct tcpserver_options options = { .stream = { .half_close = true } };
    struct ioloop *loop = ioloop_current();
    struct tcpserver *server = loop != NULL ? tcpserver_new(loop, handle_stream, NULL, &options) : NULL;
    if (server == NULL || ioloop_add_signal(loop, SIGTERM, on_sigterm, server) < 0)
        return 1;
    port = tcpserver_listen(server, port, &(struct netutil_bind_options){ .address = "127.0.0.1" });
    if (port < 0) {
        fprintf(stderr, "%s: %s\n", argv[0], ioloop_strerror(port));
        return 1;
    }
    printf("listening on 127.0.0.1:%d\n", port);
    fflush(stdout);
    int error = ioloop_start(loop);
    ioloop_close(loop, false); /* and with it the server and all streams */
    return error < 0;
}
