/* embed: a web server inside a program that has a loop of its own, here one of poll(2), which reads lines meanwhile.
 *
 *     embed [--port=N]        port 8888; 0: any. It ends with its standard input
 *
 * GET / answers the line that was read last. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include "serve.h"

static char line[1024] = "nothing yet";

static void get_line(struct web_request *request)
{
    web_set_header(request, "Content-Type", "text/plain");
    web_write(request, line);
}

static const struct web_handler handler = { .get = get_line };

/* Milliseconds, and no fewer than were asked for. */
static int milliseconds(double seconds)
{
    if (seconds < 0)
        return -1;
    return seconds < INT_MAX / 1000 ? (int)(seconds * 1000 + 0.999) : INT_MAX;
}

/* False at its end. */
static bool read_line(void)
{
    char bytes[sizeof line];
    ssize_t length = read(STDIN_FILENO, bytes, sizeof bytes - 1);

    if (length <= 0)
        return length < 0 && errno == EINTR;
    bytes[length] = '\0';
    bytes[strcspn(bytes, "\n")] = '\0';
    memcpy(line, bytes, sizeof line);
    return true;
}

/* The time to wait is asked for each time, directly before waiting. After each wait the loop has one iteration, which
 * does not wait, whether its descriptor was readable or not: a timeout may be due. */
static int run(struct ioloop *loop)
{
    struct pollfd fds[] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = ioloop_fd(loop), .events = POLLIN } };

    for (;;) {
        if (poll(fds, 2, milliseconds(ioloop_next_timeout(loop))) < 0) {
            if (errno != EINTR)
                return -errno;
            fds[0].revents = 0;
        }
        if (fds[0].revents != 0 && !read_line())
            return 0;
        int error = ioloop_run_once(loop, 0);
        if (error < 0)
            return error;
    }
}

int main(int argc, char **argv)
{
    static const struct iooption options[] = { SERVE_PORT, { 0 } };
    static const struct web_route routes[] = { { .pattern = "/", .handler = &handler }, { 0 } };

    serve_parse(options, argc, argv);
    struct ioloop *loop = ioloop_current();
    struct web_application *app =
        loop != NULL ? web_application_new(routes, &(struct web_settings){ .loop = loop }) : NULL;
    if (app == NULL)
        return perror("embed"), 1;
    int error = web_application_listen(app, serve_port, &(struct netutil_bind_options){ .address = "127.0.0.1" });
    if (error >= 0) {
        printf("listening on 127.0.0.1:%d\n", error);
        fflush(stdout);
        error = run(loop);
    }
    ioloop_close(loop, false);
    if (error < 0)
        fprintf(stderr, "embed: %s\n", ioloop_strerror(error));
    return error < 0;
}
