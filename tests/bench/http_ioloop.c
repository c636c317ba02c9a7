/* http_ioloop [CONNECTIONS | FILE]: an HTTP server on this library, without its layer for applications, and with no
 * line of a log, as is the default for what goes well; a connection may have as many requests as it likes. GET /plain:
 * 12 bytes. POST /echo: the body. GET of anything else: the file, opened once.
 *
 * CONNECTIONS: it says, when so many have been answered once and are silent, how many bytes of memory the library
 * holds, divided by their number. All of it counts: connections, streams, the loop and its tables, the server. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "counting.h"
#include "httpserver/httpserver.h"

#define MAX_BODY (2 << 20)

static struct {
    int fd;
    uint64_t length;
    struct httpheaders headers;
} file = { .fd = -1 };

static bool open_file(const char *name)
{
    struct stat information;
    char length[24];

    file.fd = open(name, O_RDONLY | O_CLOEXEC);
    if (file.fd < 0 || fstat(file.fd, &information) < 0)
        return false;
    file.length = (uint64_t)information.st_size;
    snprintf(length, sizeof length, "%lld", (long long)information.st_size);
    return httpheaders_set(&file.headers, "Content-Type", "text/plain") == 0 &&
           httpheaders_set(&file.headers, "Content-Length", length) == 0;
}

static void reply_file(struct httprequest *request)
{
    if (httprequest_write_head(request, 200, NULL, &file.headers, NULL, 0, NULL, NULL) == 0)
        httprequest_write_file(request, file.fd, 0, file.length, NULL, NULL);
    httprequest_finish(request);
}

static void on_request(struct httprequest *request, void *arg)
{
    size_t length;
    const void *body = httprequest_body(request, &length);

    (void)arg;
    counting_note_message();
    if (httprequest_path_is(request, "/plain"))
        httprequest_reply(request, 200, "text/plain", "Hello, world", 12);
    else if (httprequest_path_is(request, "/echo"))
        httprequest_reply(request, 200, "text/plain", body, length);
    else if (file.fd >= 0)
        reply_file(request);
    else
        httprequest_reply(request, 404, NULL, NULL, 0);
}

int main(int argc, char **argv)
{
    struct httpserver_options options = { .max_requests = UINT32_MAX, .max_body = MAX_BODY };
    int connections;

    if (argc == 2 && (connections = atoi(argv[1])) > 0) {
        options.max_connections = (size_t)connections + 1;
        /* The first request is the load's to look at the answer, and its connection is closed again. */
        counting_start(connections, connections + 1);
    } else if (argc > 2 || (argc == 2 && !open_file(argv[1]))) {
        fprintf(stderr, "usage: %s [CONNECTIONS | FILE]\n", argv[0]);
        return 2;
    }
    struct ioloop *loop = ioloop_current();
    struct httpserver *server = loop != NULL ? httpserver_new(loop, on_request, NULL, &options) : NULL;
    int port =
        server != NULL ? httpserver_listen(server, 0, &(struct netutil_bind_options){ .address = "127.0.0.1" }) : -1;
    return counting_serve(argv[0], loop, port);
}
