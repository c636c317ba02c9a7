/* client_libevent (client.h): an HTTP client on libevent's evhttp. */
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <signal.h>

#include "client.h"

static void ask(struct evhttp_connection *connection);

static void on_answer(struct evhttp_request *request, void *connection)
{
    if (request == NULL)
        client_answered(0, 0);
    else
        client_answered(evhttp_request_get_response_code(request),
                        evbuffer_get_length(evhttp_request_get_input_buffer(request)));
    if (client_next())
        ask(connection);
}

static void ask(struct evhttp_connection *connection)
{
    struct evhttp_request *request = evhttp_request_new(on_answer, connection);
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);

    evhttp_add_header(headers, "Host", "127.0.0.1");
    if (client.closes)
        evhttp_add_header(headers, "Connection", "close");
    if (evhttp_make_request(connection, request, EVHTTP_REQ_GET, "/plain") < 0)
        measure_fail("evhttp_make_request");
}

int main(int argc, char **argv)
{
    client_begin(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    struct event_base *base = event_base_new();
    for (int i = 0; i < client.at_once && client_next(); i++)
        ask(evhttp_connection_base_new(base, NULL, "127.0.0.1", (unsigned short)client.port));
    return event_base_dispatch(base);
}
