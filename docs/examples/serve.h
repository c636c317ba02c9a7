/* serve.h: what the main functions of the examples have in common: --port=N, SIGTERM, and saying where they listen. */
#ifndef EXAMPLES_SERVE_H
#define EXAMPLES_SERVE_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <httpserver/web.h>
#include <ioloop/ioloop.h>

static inline void serve_closed(struct httpserver *server, void *app)
{
    ioloop_stop(ioloop_current());
}

static inline void serve_stop(int signal_number, void *app)
{
    web_application_close(app); /* finishes what is in flight, then calls serve_closed */
}

/* The value of --name=VALUE, or otherwise. */
static inline const char *serve_option(int argc, char **argv, const char *name, const char *otherwise)
{
    size_t length = strlen(name);

    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) == 0 && strncmp(argv[i] + 2, name, length) == 0 && argv[i][2 + length] == '=')
            return argv[i] + 2 + length + 1;
    }
    return otherwise;
}

/* Runs an application, whose settings have serve_closed as server.on_close, until SIGTERM; the status of the program. */
static inline int serve(struct web_application *app, int argc, char **argv, const char *default_port)
{
    struct ioloop *loop = ioloop_current();
    const char *text = serve_option(argc, argv, "port", default_port);
    char *end;
    long port = strtol(text, &end, 10);

    if (app == NULL)
        return perror(argv[0]), 1;
    if (*end != '\0' || port < 0 || port > 65535)
        return fprintf(stderr, "%s: %s is no port\n", argv[0], text), 2;
    int error = web_application_listen(app, (int)port, &(struct netutil_bind_options){ .address = "127.0.0.1" });
    if (error >= 0) {
        printf("listening on 127.0.0.1:%d\n", error);
        fflush(stdout);
        error = ioloop_add_signal(loop, SIGTERM, serve_stop, app);
    }
    if (error == 0)
        error = ioloop_add_signal(loop, SIGINT, serve_stop, app);
    if (error == 0)
        error = ioloop_start(loop);
    ioloop_close(loop, false);
    if (error < 0)
        fprintf(stderr, "%s: %s\n", argv[0], ioloop_strerror(error));
    return error < 0;
}

#endif
