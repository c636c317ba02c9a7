/* rolling_restart: a server that is replaced by what its file has become, and no request is lost by that.
 *
 *     rolling_restart [--port=N]                       port 8888, 0: any
 *     kill -HUP PID                                    a new generation takes over
 *
 * The first process keeps the listener and runs generations: the program anew, the listener its standard input. When
 * one says on its standard output that it serves, the one before accepts no more and finishes what it has. One that
 * does not come so far changes nothing. */
#include "serve.h"

#include <fcntl.h>
#include <unistd.h>

#include <ioloop/ioprocess.h>
#include <ioloop/iostream.h>
#include <ioloop/iosubprocess.h>

#define MARK     "ROLLING_RESTART_GENERATION" /* in its environment */
#define WORKERS  2
#define PATIENCE 10.0 /* seconds until it has to serve */
#define DRAIN    1.0  /* seconds for clients whose next request is on its way */

/* A generation. */

static void on_request(struct httprequest *request, void *arg)
{
    char page[64];

    httprequest_reply(request, 200, "text/plain", page, (size_t)sprintf(page, "served by %ld\n", (long)getpid()));
}

static void close_server(void *server)
{
    httpserver_close(server);
}

/* Each answer is the last of its connection from here on. */
static void drain(int signal_number, void *server)
{
    static bool drains;

    if (drains)
        return; /* the first call_later closes, and there is nothing for a second one to close */
    drains = true;
    httpserver_stop(server);
    ioloop_call_later(ioloop_current(), DRAIN, close_server, server);
}

static int run_generation(void)
{
    const struct httpserver_options options = { .on_close = serve_closed };
    int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    int error = ioprocess_fork_processes(WORKERS, 0); /* what follows is done by each worker */
    struct ioloop *loop = ioloop_current();
    struct httpserver *server = error >= 0 ? httpserver_new(loop, on_request, NULL, &options) : NULL;

    if (server == NULL || ioloop_add_signal(loop, SIGTERM, drain, server) < 0 ||
        httpserver_add_sockets(server, &fd, 1) < 0)
        return perror("rolling_restart"), 1;
    if (ioprocess_task_id() == 0)
        puts("serving");
    fflush(stdout);
    dup2(STDERR_FILENO, STDOUT_FILENO); /* nobody reads the other any more */
    error = ioloop_start(loop);
    ioloop_close(loop, false);
    return error < 0;
}

/* The first process. */

static const char *const *arguments;
static int listener, running, status = 1;
static struct iosubprocess *serving, *starting; /* NULL: none */

static void stop(struct iosubprocess *generation)
{
    if (generation != NULL)
        iosubprocess_kill(generation, SIGTERM);
}

static void on_serving(struct iostream *stream, int error, const char *line, size_t length, void *generation)
{
    if (generation != starting)
        return; /* it has ended */
    starting = NULL;
    if (error < 0) {
        stop(generation);
        return;
    }
    fprintf(stderr, "generation %ld serves\n", (long)iosubprocess_pid(generation));
    stop(serving);
    serving = generation;
}

static void on_end(struct iosubprocess *generation, int error, int how, void *arg)
{
    fprintf(stderr, "generation %ld ended with %d\n", (long)iosubprocess_pid(generation), how);
    iosubprocess_close(generation);
    serving = serving == generation ? NULL : serving;
    starting = starting == generation ? NULL : starting;
    if (--running == 0)
        ioloop_stop(ioloop_current());
}

static void start_generation(int signal_number, void *arg)
{
    const struct iosubprocess_options options = { .in = listener, .out = IOSUBPROCESS_STREAM, .new_session = true };

    if (starting != NULL || status == 0)
        return;
    starting = iosubprocess_new(ioloop_current(), arguments, &options);
    if (starting == NULL) {
        perror(arguments[0]);
        return;
    }
    running++;
    iosubprocess_set_exit_callback(starting, on_end, NULL);
    struct iostream *says = iosubprocess_stdout(starting);
    if (iostream_set_read_timeout(says, PATIENCE) < 0 ||
        iostream_read_until(says, "serving\n", 1000, on_serving, starting) < 0)
        stop(starting);
}

static void end(int signal_number, void *arg)
{
    status = 0;
    stop(serving);
    stop(starting);
}

int main(int argc, char **argv)
{
    static const struct iooption options[] = { SERVE_PORT, { 0 } };
    const struct netutil_bind_options here = { .address = "127.0.0.1" };

    serve_parse(options, argc, argv);
    if (getenv(MARK) != NULL)
        return run_generation();
    struct ioloop *loop = ioloop_current();
    arguments = (const char *const *)argv;
    if (setenv(MARK, "1", 1) != 0 || netutil_bind_sockets(&listener, 1, serve_port, &here) != 1 ||
        ioloop_add_signal(loop, SIGHUP, start_generation, NULL) < 0 || ioloop_add_signal(loop, SIGTERM, end, NULL) < 0)
        return perror(argv[0]), 1;
    start_generation(SIGHUP, NULL);
    printf("listening on 127.0.0.1:%d\n", netutil_bound_port(listener));
    fflush(stdout);
    if (running > 0)
        ioloop_start(loop);
    ioloop_close(loop, false);
    return status;
}
