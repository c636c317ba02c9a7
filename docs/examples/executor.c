/* executor: requests whose work blocks a thread, on a pool of ten, while others are served; 504 when it takes too long.
 *
 *     executor [--port=N] [--timeout=S]                                port 8888; 0: any. 5 seconds
 *
 *     curl '127.0.0.1:8888/work?seconds=1' & curl 127.0.0.1:8888/ */
#include "serve.h"

#include <errno.h>
#include <time.h>

#include <ioloop/ioexecutor.h>

static struct ioexecutor *pool;
static double timeout = 5;

struct work {
    struct iofuture *result; /* of the thread; held */
    struct iofuture *timed;  /* the same, or -ETIMEDOUT */
};

/* Stands for a database, or a library that knows no other way. On a thread, with a copy of its argument. */
static int work(void **result, void *arg)
{
    double seconds = *(double *)arg;
    struct timespec left = { .tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9) };
    char *text = malloc(64);

    if (text == NULL)
        return -ENOMEM;
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        continue;
    snprintf(text, 64, "worked for %g seconds\n", seconds);
    *result = text;
    return 0;
}

/* Cancelling does nothing to what is done; what has not begun is not begun any more. */
static void forget(struct work *state)
{
    iofuture_cancel(state->result);
    iofuture_release(state->result);
    state->result = NULL;
}

static void answer(struct iofuture *timed, void *arg)
{
    struct web_request *request = arg;
    int error = iofuture_error(timed);

    if (error == 0)
        web_write(request, iofuture_result(timed));
    forget(web_state(request));
    if (error == 0)
        web_finish(request);
    else
        web_send_error(request, error == -ETIMEDOUT ? 504 : 500);
}

static void get_work(struct web_request *request)
{
    struct ioloop *loop = ioloop_current();
    struct work *state = web_state(request);
    const char *text = web_get_argument(request, "seconds", "1");

    web_asynchronous(request);
    if (text == NULL)
        return; /* it is no text, and the request has been answered */
    double seconds = strtod(text, NULL);
    if (!(seconds >= 0 && seconds <= 3600)) {
        web_send_error(request, 400);
        return;
    }
    state->result = ioexecutor_run(pool, loop, work, &seconds, sizeof seconds, free);
    if (state->result == NULL) {
        web_send_error(request, errno == EAGAIN ? 503 : 500);
        return;
    }
    iofuture_hold(state->result);
    state->timed = iofuture_with_timeout(loop, state->result, timeout, true);
    if (state->timed == NULL || iofuture_add_callback(state->timed, answer, request) < 0) {
        forget(state);
        web_send_error(request, 500);
    }
}

static void client_left(struct web_request *request)
{
    struct work *state = web_state(request);

    if (state->result != NULL) {
        iofuture_remove_callback(state->timed, answer, request);
        iofuture_cancel(state->timed);
        forget(state);
    }
    web_abort(request);
}

static void get_page(struct web_request *request)
{
    web_write(request, "Served at once. /work?seconds=1 takes its time.\n");
}

static const struct web_handler page_handler = { .get = get_page };
static const struct web_handler work_handler = {
    .get = get_work,
    .on_connection_close = client_left,
    .size = sizeof(struct work),
};

int main(int argc, char **argv)
{
    static const struct web_route routes[] = {
        { "/", &page_handler, NULL, NULL },
        { "/work", &work_handler, NULL, NULL },
        { NULL, NULL, NULL, NULL },
    };
    static const struct iooption options[] = {
        SERVE_PORT,
        { .name = "timeout", .duration = &timeout, .help = "how long an answer may take" },
        { 0 },
    };
    const struct web_settings settings = { .server.on_close = serve_closed };

    serve_parse(options, argc, argv);
    pool = ioexecutor_new(10, 100);
    if (pool == NULL)
        return perror(argv[0]), 1;
    int status = serve(web_application_new(routes, &settings), argv[0]);
    ioexecutor_close(pool, false);
    return status;
}
