/* hello: a page from an HTTP server, by one process or several.
 *
 *     hello [--port=N] [--processes=N]        port 8888; 0: any. One process; 0: one a core */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <httpserver/httpserver.h>
#include <ioloop/ioloop.h>

static const char page[] =
    "<!doctype html>\n"
    "<html lang=\"en\"><head><meta charset=\"utf-8\"><title>ioloop</title>\n"
    "<style>body{font:18px/1.5 system-ui,sans-serif;max-width:34em;margin:4em auto;padding:0 1em}\n"
    "code{background:#eee;padding:.1em .3em}</style></head>\n"
    "<body><h1>Hello, world</h1>\n"
    "<p>This page was served by <b>ioloop</b>: an event loop, streams and an HTTP/1.1 server in C,\n"
    "on raw epoll or kqueue, with nothing beyond libc.</p>\n"
    "<p>Its source is <code>docs/examples/hello.c</code>. <code>/plain</code> is\n"
    "<a href=\"/plain\">the short version</a>.</p></body></html>\n";

static void on_request(struct httprequest *request, void *arg)
{
    const char *method = httprequest_method(request);

    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        httprequest_reply(request, 405, "text/plain", "405: Method Not Allowed\n", 24);
    else if (httprequest_path_is(request, "/"))
        httprequest_reply(request, 200, "text/html; charset=utf-8", page, sizeof page - 1);
    else if (httprequest_path_is(request, "/plain"))
        httprequest_reply(request, 200, "text/plain", "Hello, world", 12);
    else
        httprequest_reply(request, 404, "text/plain", "404: Not Found\n", 15);
}

static void on_close(struct httpserver *server, void *arg)
{
    ioloop_stop(ioloop_current());
}

static void on_sigterm(int signal_number, void *server)
{
    httpserver_close(server); /* finishes what is in flight, then calls on_close */
}

static int usage(void)
{
    fprintf(stderr, "usage: hello [--port=N] [--processes=N]\n");
    return 2;
}

static bool parse_number(const char *text, int *number)
{
    char *end;
    long value = strtol(text, &end, 10);

    *number = (int)value;
    return end != text && *end == '\0' && value >= 0 && value <= 65535;
}

int main(int argc, char **argv)
{
    int port = 8888, processes = 1;

    for (int i = 1; i < argc; i++) {
        if (!(strncmp(argv[i], "--port=", 7) == 0 && parse_number(argv[i] + 7, &port)) &&
            !(strncmp(argv[i], "--processes=", 12) == 0 && parse_number(argv[i] + 12, &processes)))
            return usage();
    }
    struct ioloop *loop = ioloop_current();
    struct httpserver *server =
        loop != NULL ? httpserver_new(loop, on_request, NULL, &(struct httpserver_options){ .on_close = on_close })
                     : NULL;
    if (server == NULL)
        return perror("hello"), 1;
    port = httpserver_bind(server, port, &(struct netutil_bind_options){ .address = "127.0.0.1" });
    if (port < 0)
        return fprintf(stderr, "hello: %s\n", ioloop_strerror(port)), 1;
    printf("listening on 127.0.0.1:%d\n", port);
    fflush(stdout);
    int error = httpserver_start(server, processes, 0);
    if (error == 0)
        error = ioloop_add_signal(loop, SIGTERM, on_sigterm, server);
    if (error == 0)
        error = ioloop_add_signal(loop, SIGINT, on_sigterm, server);
    if (error == 0)
        error = ioloop_start(loop);
    ioloop_close(loop, false);
    if (error < 0)
        fprintf(stderr, "hello: %s\n", ioloop_strerror(error));
    return error < 0;
}
