/* future_rendezvous: a request for /main waits until there is one for /index. Meanwhile others are served.
 *
 *     future_rendezvous [--port=N]                                     port 8888; 0: any
 *
 *     curl 127.0.0.1:8888/main & curl 127.0.0.1:8888/index */
#include "serve.h"

#include <ioloop/iofuture.h>

/* What those who wait now wait for; NULL: nobody waits. */
static struct iofuture *meeting;

struct waiting {
    struct iofuture *meeting;
};

static void meet(struct iofuture *future, void *request)
{
    web_write(request, "Main");
    web_finish(request);
}

static void get_main(struct web_request *request)
{
    struct waiting *waiting = web_state(request);

    web_asynchronous(request);
    if (meeting == NULL)
        meeting = iofuture_new(ioloop_current());
    if (meeting == NULL || iofuture_add_callback(meeting, meet, request) < 0) {
        web_send_error(request, 500);
        return;
    }
    waiting->meeting = meeting;
}

/* The future would call back for a request that is not there any more. */
static void client_left(struct web_request *request)
{
    struct waiting *waiting = web_state(request);

    if (waiting->meeting != NULL)
        iofuture_remove_callback(waiting->meeting, meet, request);
    fprintf(stderr, "a client of /main has left\n");
    web_abort(request);
}

static void get_index(struct web_request *request)
{
    if (meeting != NULL)
        iofuture_set_result(meeting, NULL, NULL);
    meeting = NULL;
    web_write(request, "Index");
}

static const struct web_handler main_handler = {
    .get = get_main,
    .on_connection_close = client_left,
    .size = sizeof(struct waiting),
};
static const struct web_handler index_handler = { .get = get_index };

int main(int argc, char **argv)
{
    static const struct web_route routes[] = {
        { "/main", &main_handler, NULL, NULL },
        { "/index", &index_handler, NULL, NULL },
        { NULL, NULL, NULL, NULL },
    };
    static const struct iooption options[] = { SERVE_PORT, { 0 } };
    const struct web_settings settings = { .server.on_close = serve_closed };

    serve_parse(options, argc, argv);
    return serve(web_application_new(routes, &settings), argv[0]);
}
