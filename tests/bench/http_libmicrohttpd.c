/* http_libmicrohttpd FOLDER: an HTTP server on libmicrohttpd, one thread with epoll. GET /plain: 12 bytes. POST /echo:
 * the body. GET /static/NAME: a file of FOLDER/static, opened once. */
#include <fcntl.h>
#include <microhttpd.h>
#include <string.h>
#include <sys/stat.h>

#include "server.h"

#define CONNECTIONS 16000

struct body {
    char *bytes;
    size_t length, capacity;
};

static enum MHD_Result reply(struct MHD_Connection *connection, struct MHD_Response *response)
{
    enum MHD_Result result = MHD_NO;

    if (response != NULL) {
        MHD_add_response_header(response, "Content-Type", "text/plain");
        result = MHD_queue_response(connection, MHD_HTTP_OK, response);
        MHD_destroy_response(response);
    }
    return result;
}

static enum MHD_Result add_to_body(struct body *body, const char *data, size_t *length)
{
    if (*length > body->capacity - body->length) {
        body->capacity = (body->length + *length) * 2;
        body->bytes = realloc(body->bytes, body->capacity);
    }
    if (body->bytes == NULL)
        server_fail("realloc");
    memcpy(body->bytes + body->length, data, *length);
    body->length += *length;
    *length = 0;
    return MHD_YES;
}

/* One file a server: no more is measured. */
static enum MHD_Result reply_file(struct MHD_Connection *connection, const char *name)
{
    static struct MHD_Response *response;
    struct stat information;

    if (response == NULL) {
        int fd = open(name, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &information) < 0)
            return MHD_NO;
        response = MHD_create_response_from_fd64((uint64_t)information.st_size, fd);
        MHD_add_response_header(response, "Content-Type", "text/plain");
    }
    return MHD_queue_response(connection, MHD_HTTP_OK, response);
}

/* Called for the head of a request, for each piece of its body, and when it is whole. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path, const char *method,
                                  const char *version, const char *data, size_t *length, void **of_request)
{
    static struct body none;
    struct body *body = *of_request;

    (void)arg, (void)version;
    if (body == NULL) {
        *of_request = strcmp(method, "POST") == 0 ? calloc(1, sizeof *body) : &none;
        return *of_request != NULL ? MHD_YES : MHD_NO;
    }
    if (*length > 0)
        return add_to_body(body, data, length);
    if (body == &none && strcmp(path, "/plain") != 0)
        return reply_file(connection, path + 1);
    *of_request = NULL;
    if (body == &none)
        return reply(connection, MHD_create_response_from_buffer(12, (char *)"Hello, world", MHD_RESPMEM_PERSISTENT));
    enum MHD_Result result =
        reply(connection, MHD_create_response_from_buffer(body->length, body->bytes, MHD_RESPMEM_MUST_FREE));
    free(body);
    return result;
}

int main(int argc, char **argv)
{
    if (argc != 2 || chdir(argv[1]) < 0 ||
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, NULL, MHD_OPTION_LISTEN_SOCKET,
                         server_listen(), MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, 0u,
                         MHD_OPTION_END) == NULL)
        server_fail("http_libmicrohttpd");
    for (;;)
        pause();
}
