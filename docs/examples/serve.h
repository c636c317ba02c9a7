/* serve.h: what the main functions of the examples have in common: options, SIGTERM, and saying where they listen. */
#ifndef EXAMPLES_SERVE_H
#define EXAMPLES_SERVE_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <httpserver/web.h>
#include <ioloop/iooptions.h>
#include <ioloop/ioloop.h>

static int serve_port = 8888; /* once it listens: the port it really is */

/* A row of the table of options. */
#define SERVE_PORT                                                                                                     \
    {                                                                                                                  \
        .name = "port", .integer = &serve_port, .maximum = 65535, .help = "where to listen; 0: any port"               \
    }

/* Does not return when the options make no sense, or were a question for help. */
static inline void serve_parse(const struct iooption *options, int argc, char **argv)
{
    int rest = iooptions_parse(options, argc, argv);

    if (rest <= 0)
        exit(rest < 0 ? 2 : 0);
    if (rest < argc) {
        fprintf(stderr, "%s: what is %s?\n", argv[0], argv[rest]);
        exit(2);
    }
}

/* The server is gone when this returns, and the application with it: no second signal may lead to them. */
static inline void serve_closed(struct httpserver *server, void *app)
{
    ioloop_remove_signal(ioloop_current(), SIGTERM);
    ioloop_remove_signal(ioloop_current(), SIGINT);
    ioloop_stop(ioloop_current());
}

static inline void serve_stop(int signal_number, void *app)
{
    web_application_close(app); /* finishes what is in flight, then calls serve_closed */
}

/* Runs an application, whose settings have serve_closed as server.on_close, until SIGTERM; the status of the program.
 */
static inline int serve(struct web_application *app, const char *program)
{
    struct ioloop *loop = ioloop_current();

    if (app == NULL)
        return perror(program), 1;
    int error = ioloop_add_signal(loop, SIGTERM, serve_stop, app);
    if (error == 0)
        error = ioloop_add_signal(loop, SIGINT, serve_stop, app);
    if (error == 0)
        error = web_application_listen(app, serve_port, &(struct netutil_bind_options){ .address = "127.0.0.1" });
    if (error >= 0) {
        serve_port = error;
        printf("listening on 127.0.0.1:%d\n", serve_port);
        fflush(stdout);
        error = ioloop_start(loop);
    }
    ioloop_close(loop, false);
    if (error < 0)
        fprintf(stderr, "%s: %s\n", program, ioloop_strerror(error));
    return error < 0;
}

#endif
