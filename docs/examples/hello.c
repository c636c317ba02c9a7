/* hello: a page from a web application, by one process or several.
 *
 *     hello [--port=N] [--processes=N]        port 8888; 0: any. One process; 0: one a core */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <httpserver/web.h>
#include <ioloop/ioloop.h>
#include <ioloop/iooptions.h>

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

static void get_page(struct web_request *request)
{
    web_write(request, page);
}

static void get_plain(struct web_request *request)
{
    web_set_header(request, "Content-Type", "text/plain");
    web_write(request, "Hello, world");
}

static const struct web_handler page_handler = { .get = get_page, .head = get_page };
static const struct web_handler plain_handler = { .get = get_plain, .head = get_plain };

/* app is gone when this returns: no second signal may lead to it. */
static void on_close(struct httpserver *server, void *app)
{
    ioloop_remove_signal(ioloop_current(), SIGTERM);
    ioloop_remove_signal(ioloop_current(), SIGINT);
    ioloop_stop(ioloop_current());
}

/* Before the loops, or the supervisor of several processes, take the signals: nothing is served yet. */
static void leave(int signal_number)
{
    _exit(0);
}

static void on_sigterm(int signal_number, void *app)
{
    web_application_close(app); /* finishes what is in flight, then calls on_close */
}

int main(int argc, char **argv)
{
    static int port = 8888, processes = 1;
    static const struct iooption options[] = {
        { .name = "port", .integer = &port, .maximum = 65535, .help = "where to listen; 0: any port" },
        { .name = "processes", .integer = &processes, .maximum = 65535, .help = "how many serve; 0: one a core" },
        { 0 },
    };
    int rest = iooptions_parse(options, argc, argv);

    if (rest <= 0)
        return rest < 0 ? 2 : 0;
    if (rest < argc)
        return fprintf(stderr, "hello: what is %s?\n", argv[rest]), 2;
    struct ioloop *loop = ioloop_current();
    const struct web_route routes[] = { { .pattern = "/", .handler = &page_handler },
                                        { .pattern = "/plain", .handler = &plain_handler },
                                        { 0 } };
    struct web_application *app =
        web_application_new(routes, &(struct web_settings){ .loop = loop, .server.on_close = on_close });
    if (app == NULL)
        return perror("hello"), 1;
    signal(SIGTERM, leave);
    signal(SIGINT, leave);
    struct httpserver *server = web_application_server(app);
    port = httpserver_bind(server, port, &(struct netutil_bind_options){ .address = "127.0.0.1" });
    if (port < 0)
        return fprintf(stderr, "hello: %s\n", ioloop_strerror(port)), 1;
    printf("listening on 127.0.0.1:%d\n", port);
    fflush(stdout);
    int error = httpserver_start(server, processes, 0);
    if (error == 0)
        error = ioloop_add_signal(loop, SIGTERM, on_sigterm, app);
    if (error == 0)
        error = ioloop_add_signal(loop, SIGINT, on_sigterm, app);
    if (error == 0)
        error = ioloop_start(loop);
    ioloop_close(loop, false);
    if (error < 0)
        fprintf(stderr, "hello: %s\n", ioloop_strerror(error));
    return error < 0;
}
