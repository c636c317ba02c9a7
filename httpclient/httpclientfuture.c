/* A fetch whose response is the value of a future. */
#include <errno.h>

#include "httpclient/httpfetch.h"
#include "ioloop/iofuturelayer.h"

struct fetch_future {
    struct iofuture future;
    struct httpclient *client; /* NULL: the fetch is over */
    uint64_t fetch;
};

static void cancel_fetch(struct iofuture *future)
{
    struct fetch_future *promise = (struct fetch_future *)future;

    if (promise->client != NULL)
        httpclient_cancel(promise->client, promise->fetch);
}

static const struct iofuture_kind fetch_kind = { .cancel = cancel_fetch };

static void free_response(void *value)
{
    httpfetch_free(HTTPPOOL_OWNER(value, struct httpfetch, response));
}

static void keep_response(struct httpclient_response *response, void *arg)
{
    struct fetch_future *promise = arg;

    promise->client = NULL;
    if (response->error < 0 || iofuture_cancelled(&promise->future)) {
        iofuture_set_error(&promise->future, response->error < 0 ? response->error : -ECANCELED);
        return;
    }
    httpfetch_take(HTTPPOOL_OWNER(response, struct httpfetch, response));
    iofuture_set_result(&promise->future, response, free_response);
}

struct iofuture *httpclient_fetch_future(struct httpclient *client, const struct httpclient_request *request)
{
    struct fetch_future *promise = iofuturelayer_new(client->loop, sizeof *promise, &fetch_kind);

    if (promise == NULL)
        return NULL;
    promise->fetch = httpclient_fetch(client, request, keep_response, promise);
    if (promise->fetch == 0) {
        int error = errno;
        iofuturelayer_discard(&promise->future);
        return errno = error, NULL;
    }
    promise->client = client;
    return &promise->future;
}
