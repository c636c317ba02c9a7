/* client_ioloop (client.h): an HTTP client on this library. */
#include "client.h"
#include "httpclient/httpclient.h"
#include "ioloop/ioloop.h"

static struct httpclient *http;
static struct httpclient_request request;

static void on_response(struct httpclient_response *response, void *arg);

static void ask(void)
{
    if (httpclient_fetch(http, &request, on_response, NULL) == 0)
        measure_fail("httpclient_fetch");
}

static void on_response(struct httpclient_response *response, void *arg)
{
    (void)arg;
    if (response->error < 0)
        fprintf(stderr, "%s: ", response->detail);
    client_answered(response->code, response->length);
    if (client_next())
        ask();
}

int main(int argc, char **argv)
{
    struct httpclient_options options = { 0 };
    char url[64];

    client_begin(argc, argv);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/plain", client.port);
    request.url = url;
    options.max_clients = options.max_per_origin = (size_t)client.at_once;
    if (client.closes)
        options.keep_time = -1;
    struct ioloop *loop = ioloop_current();
    http = loop != NULL ? httpclient_new(loop, &options) : NULL;
    if (http == NULL)
        measure_fail("httpclient_new");
    for (int i = 0; i < client.at_once && client_next(); i++)
        ask();
    return ioloop_start(loop) < 0;
}
