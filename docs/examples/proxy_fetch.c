/* proxy_fetch: a handler that fetches from its own server, takes its time, and passes on what it got. Others are served
 * meanwhile.
 *
 *     proxy_fetch [--port=N] [--sleep=SECONDS]                         port 8899, 0: any; 20
 *
 *     curl 127.0.0.1:8899/test1                                        TEST2 1, at once
 *     curl 127.0.0.1:8899/test1                                        TEST2 2, after 20 s
 *     curl 127.0.0.1:8899/test2                                        TEST2 3, also while the second one sleeps */
#include "serve.h"

#include <errno.h>
#include <strings.h>

#include <httpclient/httpclient.h>
#include <ioloop/iogen.h>

static double pause_seconds = 20;
static int requests; /* for /test1 */
static int count;    /* for /test2 */

/* /test2. */

static void get_count(struct web_request *request)
{
    web_printf(request, "TEST2 %d", ++count);
}

static const struct web_handler count_handler = { .get = get_count };

/* /test1. What cannot wait in local variables of a function that is left at each yield. */
struct relay {
    struct web_request *request;
    struct iofuture *fetch;
    bool sleeps;
};

static struct iofuture *fetch_count(struct ioloop *loop)
{
    char url[64];

    snprintf(url, sizeof url, "http://127.0.0.1:%d/test2", serve_port);
    return httpclient_fetch_future(httpclient_current(loop),
                                   &(struct httpclient_request){ .url = url, .request_timeout = 120 });
}

/* What belongs to the one connection, or comes of how we answer, stays here. */
static bool may_pass(const char *name)
{
    static const char *const own[] = { "Connection", "Transfer-Encoding", "Content-Length", "Server", "Date" };

    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        if (strcasecmp(name, own[i]) == 0)
            return false;
    }
    return true;
}

static void pass_on(struct web_request *request, const struct httpclient_response *response)
{
    const char *name, *value;

    web_set_status(request, response->code, response->reason);
    for (size_t i = 0; httpheaders_at(response->headers, i, &name, &value); i++) {
        if (may_pass(name))
            web_set_header(request, name, value);
    }
    web_write_bytes(request, response->body, response->length);
    web_finish(request);
}

static void relay(struct iogen *gen, void *state)
{
    struct relay *my = state;

    IOGEN_BEGIN(gen);
    my->sleeps = ++requests % 2 == 0;
    my->fetch = fetch_count(iogen_loop(gen));
    if (my->fetch != NULL)
        iofuture_hold(my->fetch); /* and with it the response, beyond the next yield */
    IOGEN_YIELD(gen, my->fetch);
    if (gen->error == 0 && my->sleeps)
        IOGEN_YIELD(gen, iofuture_sleep(iogen_loop(gen), pause_seconds));
    if (gen->error == 0)
        pass_on(my->request, iofuture_result(my->fetch));
    else if (gen->error == -ECANCELED) /* the client has left */
        web_abort(my->request);
    else
        web_send_error_because(my->request, 502, NULL, ioloop_strerror(gen->error));
    if (my->fetch != NULL)
        iofuture_release(my->fetch);
    IOGEN_END(gen);
}

static void get_relayed(struct web_request *request)
{
    struct iofuture **end = web_state(request);

    *end = iogen_start(ioloop_current(), relay, &(struct relay){ .request = request }, sizeof(struct relay));
    if (*end == NULL)
        web_send_error(request, 503);
}

static void client_left(struct web_request *request)
{
    struct iofuture **end = web_state(request);

    iofuture_cancel(*end);
}

static const struct web_handler relay_handler = {
    .get = get_relayed, .on_connection_close = client_left, .asynchronous = true, .size = sizeof(struct iofuture *)
};

int main(int argc, char **argv)
{
    static const struct web_route routes[] = {
        { "/test1", &relay_handler, NULL, NULL },
        { "/test2", &count_handler, NULL, NULL },
        { NULL, NULL, NULL, NULL },
    };
    const struct web_settings settings = { .server.on_close = serve_closed, .server.xheaders = true };

    serve_port = 8899;
    const struct iooption options[] = {
        SERVE_PORT,
        { .name = "sleep", .duration = &pause_seconds, .help = "how long each second request takes" },
        { 0 },
    };
    serve_parse(options, argc, argv);
    return serve(web_application_new(routes, &settings), argv[0]);
}
