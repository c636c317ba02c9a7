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

static bool lists(const char *list, const char *name)
{
    size_t length = strlen(name);

    for (; *list != '\0'; list += strcspn(list, ",")) {
        list += strspn(list, ", \t");
        if (strncasecmp(list, name, length) == 0 && strchr(", \t", list[length]) != NULL)
            return true;
    }
    return false;
}

/* What belongs to the one connection (RFC 9110 7.6.1), or comes of how we answer, stays here. */
static bool may_pass(const struct httpheaders *headers, const char *name)
{
    static const char *const own[] = { "Connection", "Transfer-Encoding", "Content-Length",    "Server",
                                       "Date",       "Keep-Alive",        "Upgrade",           "TE",
                                       "Trailer",    "Proxy-Connection",  "Proxy-Authenticate" };

    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        if (strcasecmp(name, own[i]) == 0)
            return false;
    }
    const char *options = httpheaders_get(headers, "Connection");
    while (options != NULL && !lists(options, name))
        options = httpheaders_get_next(headers, "Connection", options);
    return options == NULL;
}

/* Some there are several of, Set-Cookie above all; they replace those that an answer has by itself. */
static void pass_headers(struct web_request *request, const struct httpheaders *headers)
{
    const char *name, *value;

    for (size_t i = 0; httpheaders_at(headers, i, &name, NULL); i++) {
        if (may_pass(headers, name))
            web_clear_header(request, name);
    }
    for (size_t i = 0; httpheaders_at(headers, i, &name, &value); i++) {
        if (may_pass(headers, name))
            web_add_header(request, name, value);
    }
}

static void pass_on(struct web_request *request, const struct httpclient_response *response)
{
    web_set_status(request, response->code, response->reason);
    pass_headers(request, response->headers);
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

    web_asynchronous(request);
    *end = iogen_start(ioloop_current(), relay, &(struct relay){ .request = request }, sizeof(struct relay));
    if (*end == NULL)
        web_send_error(request, 503);
}

static void client_left(struct web_request *request)
{
    struct iofuture **end = web_state(request);

    iofuture_cancel(*end);
}

static const struct web_handler relay_handler = { .get = get_relayed,
                                                  .on_connection_close = client_left,
                                                  .size = sizeof(struct iofuture *) };

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
