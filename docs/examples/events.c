/* events: server-sent events (HTML 9.2): a page whose clock is the server's.
 *
 *     events [--port=N] [--seconds=S]                                  port 8888; an event every second
 *     curl -N 127.0.0.1:8888/events */
#include "serve.h"

#include <ioloop/periodiccallback.h>

static const char page[] = "<!doctype html>\n<title>events</title>\n<h1 id=tick>-</h1>\n"
                           "<script>\n"
                           "new EventSource('/events').onmessage = event => {\n"
                           "    document.getElementById('tick').textContent = event.data;\n"
                           "};\n"
                           "</script>\n";

static double seconds = 1;
static unsigned ticks;

/* Who listens: their states make a list. */
struct listener {
    struct web_request *request;
    struct listener *next, **link;
};

static struct listener *listeners;

static void take_out(struct listener *listener)
{
    if (listener->link == NULL)
        return;
    *listener->link = listener->next;
    if (listener->next != NULL)
        listener->next->link = listener->link;
    listener->link = NULL;
}

static void get_events(struct web_request *request)
{
    struct listener *listener = web_state(request);

    web_asynchronous(request);
    web_set_header(request, "Content-Type", "text/event-stream");
    web_set_header(request, "Cache-Control", "no-store");
    if (web_flush(request, NULL, NULL) < 0) {
        web_finish(request);
        return;
    }
    *listener = (struct listener){ request, listeners, &listeners };
    if (listeners != NULL)
        listeners->link = &listener->next;
    listeners = listener;
}

static void listener_left(struct web_request *request)
{
    take_out(web_state(request));
    web_abort(request);
}

/* A listener that does not read is sent nothing until it does, and misses some. */
static void tick(void *arg)
{
    ticks++;
    for (struct listener *listener = listeners, *next; listener != NULL; listener = next) {
        next = listener->next;
        if (httprequest_pending(web_http(listener->request)) > 0)
            continue;
        web_printf(listener->request, "id: %u\ndata: %u\n\n", ticks, ticks);
        web_flush(listener->request, NULL, NULL);
    }
}

static void get_page(struct web_request *request)
{
    web_write(request, page);
}

static const struct web_handler page_handler = { .get = get_page };
static const struct web_handler events_handler = {
    .get = get_events,
    .on_connection_close = listener_left,
    .size = sizeof(struct listener),
};

int main(int argc, char **argv)
{
    static const struct web_route routes[] = {
        { "/", &page_handler, NULL, NULL },
        { "/events", &events_handler, NULL, NULL },
        { NULL, NULL, NULL, NULL },
    };
    static const struct iooption options[] = {
        SERVE_PORT,
        { .name = "seconds", .duration = &seconds, .minimum = 0.001, .maximum = 1e6, .help = "from event to event" },
        { 0 },
    };
    struct web_settings settings = { .server.on_close = serve_closed };

    serve_parse(options, argc, argv);
    struct periodiccallback *clock = periodiccallback_new(ioloop_current(), seconds, tick, NULL);
    if (clock == NULL || periodiccallback_start(clock) < 0)
        return perror("events"), 1;
    return serve(web_application_new(routes, &settings), argv[0]);
}
