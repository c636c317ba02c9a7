/* fetch_handler: a handler that fetches something before it answers, without keeping anybody else waiting. Twice the
 * same: with callbacks and as a generator.
 *
 *     fetch_handler [--port=N] [--url=URL]                             port 8888, 0: any; http://example.org/
 *
 *     curl 127.0.0.1:8888/callbacks                                    Downloaded!
 *     curl 127.0.0.1:8888/generator                                    Downloaded! */
#include "serve.h"

#include <errno.h>

#include <httpclient/httpclient.h>
#include <ioloop/iogen.h>

static struct httpclient_request wanted = { .url = "http://example.org/", .raise_error = true };

static void answer(struct web_request *request, int error)
{
    if (error == 0) {
        web_write(request, "Downloaded!");
        web_finish(request);
    } else if (error == -ECANCELED) { /* the client has left */
        web_abort(request);
    } else {
        web_send_error_because(request, 502, NULL, ioloop_strerror(error));
    }
}

/* With callbacks. The state of a request is the fetch's id. */

static void on_response(struct httpclient_response *response, void *arg)
{
    answer(arg, response->error);
}

static void get_with_callbacks(struct web_request *request)
{
    struct ioloop *loop = httprequest_loop(web_http(request));
    uint64_t *fetch = web_state(request);

    web_asynchronous(request);
    *fetch = httpclient_fetch(httpclient_current(loop), &wanted, on_response, request);
    if (*fetch == 0)
        web_send_error(request, 503);
}

/* Nobody waits for it any more; on_response comes all the same. */
static void cancel_fetch(struct web_request *request)
{
    uint64_t *fetch = web_state(request);

    httpclient_cancel(httpclient_current(ioloop_current()), *fetch);
}

static const struct web_handler callbacks_handler = { .get = get_with_callbacks,
                                                      .on_connection_close = cancel_fetch,
                                                      .size = sizeof(uint64_t) };

/* As a generator. The state of a request is the generator's future. */

struct download {
    struct web_request *request;
};

static void download(struct iogen *gen, void *state)
{
    struct download *my = state;

    IOGEN_BEGIN(gen);
    IOGEN_YIELD(gen, httpclient_fetch_future(httpclient_current(iogen_loop(gen)), &wanted));
    answer(my->request, gen->error);
    IOGEN_END(gen);
}

static void get_with_generator(struct web_request *request)
{
    struct ioloop *loop = httprequest_loop(web_http(request));
    struct iofuture **end = web_state(request);

    web_asynchronous(request);
    *end = iogen_start(loop, download, &(struct download){ request }, sizeof(struct download));
    if (*end == NULL)
        web_send_error(request, 503);
}

static void cancel_generator(struct web_request *request)
{
    struct iofuture **end = web_state(request);

    iofuture_cancel(*end);
}

static const struct web_handler generator_handler = { .get = get_with_generator,
                                                      .on_connection_close = cancel_generator,
                                                      .size = sizeof(struct iofuture *) };

int main(int argc, char **argv)
{
    static const struct iooption options[] = { SERVE_PORT,
                                               { .name = "url", .string = &wanted.url, .help = "what is downloaded" },
                                               { 0 } };
    static const struct web_route routes[] = {
        { "/callbacks", &callbacks_handler, NULL, NULL },
        { "/generator", &generator_handler, NULL, NULL },
        { NULL, NULL, NULL, NULL },
    };
    const struct web_settings settings = { .server.on_close = serve_closed };

    serve_parse(options, argc, argv);
    return serve(web_application_new(routes, &settings), argv[0]);
}
