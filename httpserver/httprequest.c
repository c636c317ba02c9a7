#include "httpserver/httprequest.h"

#include <errno.h>
#include <string.h>

#include "httpserver/http1connection.h"
#include "httpserver/httpserverlayer.h"

/* What follows a slice in the head is a delimiter, which nobody needs any more: it becomes the NUL. */
static const char *text(const struct httprequest *request, struct http1parser_slice slice)
{
    char *start = request->bytes + slice.offset;

    if (start[slice.length] != '\0')
        start[slice.length] = '\0';
    return start;
}

const char *httprequest_method(const struct httprequest *request)
{
    return text(request, request->head.method);
}

const char *httprequest_target(const struct httprequest *request)
{
    return text(request, request->head.target);
}

const char *httprequest_path(const struct httprequest *request, size_t *length)
{
    const char *path = request->bytes + request->head.path.offset;
    const char *query = memchr(path, '?', request->head.path.length);

    *length = query != NULL ? (size_t)(query - path) : request->head.path.length;
    return path;
}

const char *httprequest_query(const struct httprequest *request, size_t *length)
{
    size_t path_length;
    const char *path = httprequest_path(request, &path_length);

    if (path_length == request->head.path.length)
        return *length = 0, NULL;
    *length = request->head.path.length - path_length - 1;
    return path + path_length + 1;
}

bool httprequest_path_is(const struct httprequest *request, const char *path)
{
    size_t length;
    const char *ours = httprequest_path(request, &length);

    return strlen(path) == length && memcmp(ours, path, length) == 0;
}

int httprequest_minor_version(const struct httprequest *request)
{
    return request->head.minor_version;
}

bool httprequest_header_at(const struct httprequest *request, size_t index, const char **name, const char **value)
{
    if (index >= request->head.header_count)
        return false;
    *name = text(request, request->head.headers[index].name);
    *value = text(request, request->head.headers[index].value);
    return true;
}

/* Whatever the program's locale says of letters. */
static char to_lower(char letter)
{
    return letter >= 'A' && letter <= 'Z' ? (char)(letter | 0x20) : letter;
}

static bool is_same_name(const char *a, const char *b, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (to_lower(a[i]) != to_lower(b[i]))
            return false;
    }
    return true;
}

const char *httprequest_header(const struct httprequest *request, const char *name)
{
    size_t length = strlen(name);

    for (uint32_t i = 0; i < request->head.header_count; i++) {
        struct http1parser_header header = request->head.headers[i];

        if (header.name.length == length && is_same_name(request->bytes + header.name.offset, name, length))
            return text(request, header.value);
    }
    return NULL;
}

const void *httprequest_body(const struct httprequest *request, size_t *length)
{
    *length = iobuffer_length(request->body);
    return iobuffer_data(request->body);
}

socklen_t httprequest_remote_address(const struct httprequest *request, struct sockaddr_storage *address)
{
    socklen_t length = sizeof *address;

    memset(address, 0, sizeof *address);
    if (request->connection == NULL ||
        getpeername(iostream_fd(request->connection->stream), (struct sockaddr *)address, &length) < 0)
        return 0;
    return length;
}

void httprequest_set_close_callback(struct httprequest *request, httprequest_close_fn *callback, void *arg)
{
    request->on_close = callback;
    request->on_close_arg = arg;
}

static bool is_content_type(const char *value)
{
    size_t length = strlen(value);

    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)value[i];

        if ((byte < 0x20 && byte != '\t') || byte == 0x7f)
            return false;
    }
    return length <= HTTP1CONNECTION_LONGEST_TYPE;
}

int httprequest_reply(struct httprequest *request, int status, const char *content_type, const void *body,
                      size_t length)
{
    static const char broken[] = "500: Internal Server Error\n";
    struct http1connection *connection = request->connection;

    if (connection == NULL) {
        httpserverlayer_give_request(NULL, request);
        return -EBADF;
    }
    if (status < 200 || status > 999 || (content_type != NULL && !is_content_type(content_type))) {
        http1connection_answer(connection, 500, "text/plain", broken, sizeof broken - 1);
        return -EINVAL;
    }
    return http1connection_answer(connection, status, content_type, body, length);
}
