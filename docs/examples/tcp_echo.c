/* An echo server on streams: tcp_echo [--port=N] (default 8888; 0: any free port).
 *
 * Back-pressure is an option: a client that sends but does not read is read no further once much waits for it; the
 * kernel's window then holds it back until it has read. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include <ioloop/iooptions.h>
#include <ioloop/tcpserver.h>

/* With an error nothing more comes; -ESHUTDOWN: the client has sent all. */
static void end(struct iostream *stream, int error)
{
    if (error == -ESHUTDOWN)
        iostream_shutdown(stream); /* sends what is left, then closes */
    else
        iostream_close(stream);
}

/* Shown what has come, answers how much of it was used: all. */
static size_t echo(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    if (error == 0)
        error = iostream_write(stream, data, length, NULL, NULL);
    if (error < 0)
        end(stream, error);
    return length;
}

static void handle_stream(struct tcpserver *server, struct iostream *stream, const struct sockaddr *address,
                          socklen_t length, void *arg)
{
    iostream_set_consumer(stream, echo, NULL);
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

int main(int argc, char **argv)
{
    static int port = 8888;
    static const struct iooption table[] = {
        { .name = "port", .integer = &port, .maximum = 65535, .help = "where to listen; 0: any port" }, { 0 }
    };
    int rest = iooptions_parse(table, argc, argv);

    if (rest <= 0)
        return rest < 0 ? 2 : 0;
    if (rest < argc)
        return fprintf(stderr, "tcp_echo: what is %s?\n", argv[rest]), 2;
    /* half_close: who has sent all is still sent the answer. hold_back: who does not read it is read no further. */
    struct tcpserver_options options = { .stream = { .half_close = true, .hold_back = true } };
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
