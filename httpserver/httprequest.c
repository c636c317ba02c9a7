#include "httpserver/httprequest.h"

#include <errno.h>
#include <string.h>

#include "httpserver/http1connection.h"
#include "httpserver/httpfield.h"
#include "httpserver/httpproxy.h"
#include "httpserver/httpserverlayer.h"
#include "ioloop/ioalloc.h"
#include "ioloop/netutil.h"

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
    const char *ours = request->bytes + request->head.path.offset;
    size_t length = strlen(path), most = request->head.path.length;

    if (length > most || (length < most && ours[length] != '?') || memcmp(ours, path, length) != 0)
        return false;
    return memchr(path, '?', length) == NULL;
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

enum { FEW_HEADERS = 4 }; /* it takes no longer to look through them than to ask for their kinds */

/* A bit of 64: names of different kinds differ. With this factor the names that requests have and those that servers
 * ask for are hardly ever of one kind. */
static uint64_t header_kind(size_t length, char first)
{
    return UINT64_C(1) << (((uint8_t)(first | 0x20) + 13 * length) & 63);
}

/* Of all names; found when first asked for. */
static uint64_t header_kinds(const struct httprequest *request)
{
    struct httprequest *ours = (struct httprequest *)request;
    const struct http1parser_header *headers = request->head.headers;
    uint64_t kinds = 0;

    if (request->header_kinds != 0)
        return request->header_kinds;
    for (uint32_t i = 0; i < request->head.header_count; i++)
        kinds |= header_kind(headers[i].name.length, request->bytes[headers[i].name.offset]);
    return ours->header_kinds = kinds;
}

/* Most names differ in length or in their first letter. 0x20 folds that: where it makes others the same, is_same knows.
 */
const char *httprequest_header(const struct httprequest *request, const char *name)
{
    const struct http1parser_header *header = request->head.headers, *end = header + request->head.header_count;
    size_t length = strlen(name);

    if (end - header > FEW_HEADERS && (header_kinds(request) & header_kind(length, *name)) == 0)
        return NULL;
    for (; header < end; header++) {
        if (header->name.length != length)
            continue;
        const char *ours = request->bytes + header->name.offset;
        if ((ours[0] | 0x20) == (name[0] | 0x20) && httpfield_is_same(ours, name, length))
            return text(request, header->value);
    }
    return NULL;
}

const char *httprequest_host(const struct httprequest *request)
{
    return request->head.host.length > 0 ? text(request, request->head.host) : "";
}

const void *httprequest_body(const struct httprequest *request, size_t *length)
{
    *length = iobuffer_length(request->body);
    return iobuffer_data(request->body);
}

const struct httpheaders *httprequest_trailers(const struct httprequest *request)
{
    const struct httpheaders *trailers = &request->reading.trailers;

    return request->has_body && httpheaders_count(trailers) > 0 ? trailers : NULL;
}

/* Who asks. */

static socklen_t find_address(const struct httprequest *request, struct sockaddr_storage *address, bool keep)
{
    if (request->connection != NULL)
        return http1connection_address(request->connection, address, keep);
    memset(address, 0, sizeof *address);
    return 0;
}

socklen_t httprequest_remote_address(const struct httprequest *request, struct sockaddr_storage *address)
{
    return find_address(request, address, true);
}

/* All values of a name as one list; NULL without any, or without memory. *list: what they were joined in, to be freed.
 */
static const char *join(const struct httprequest *request, const char *name, struct iobuffer **list)
{
    const char *only = NULL, *each, *value;
    size_t length = strlen(name), count = 0;

    for (size_t i = 0; httprequest_header_at(request, i, &each, &value); i++) {
        if (request->head.headers[i].name.length != length || !httpfield_is_same(each, name, length))
            continue;
        only = value;
        count++;
        if (iobuffer_append(list, value, strlen(value)) < 0 || iobuffer_append(list, ",", 1) < 0)
            return NULL;
    }
    if (count < 2)
        return only;
    char *joined = (*list)->bytes + (*list)->start;
    joined[(*list)->length - 1] = '\0';
    return joined;
}

static bool find_forwarded_ip(const struct httprequest *request, char place[INET6_ADDRSTRLEN])
{
    const char *const *trusted = request->server->options.trusted_downstream;
    size_t count = 0;
    struct iobuffer *list = NULL;

    while (trusted != NULL && trusted[count] != NULL)
        count++;
    const char *forwarded_for = join(request, "X-Forwarded-For", &list);
    bool found = httpproxy_forwarded_ip(forwarded_for, httprequest_header(request, "X-Real-Ip"), trusted, count, place);
    iobuffer_free(&list);
    return found;
}

/* Found when first asked for. When the client has left it is for logs, and what has been kept for them. */
static const char *find_remote_ip(const struct httprequest *request, bool keep)
{
    struct httprequest *ours = (struct httprequest *)request;
    struct sockaddr_storage address;

    if (request->has_remote_ip)
        return request->remote_ip;
    bool is_forwarded = request->server->options.xheaders && find_forwarded_ip(request, ours->remote_ip);
    if (!is_forwarded && !request->has_peer_ip) {
        (void)find_address(request, &address, keep);
        netutil_format_ip((struct sockaddr *)&address, ours->remote_ip);
    }
    ours->has_remote_ip = true;
    return request->remote_ip;
}

const char *httprequest_remote_ip(const struct httprequest *request)
{
    return find_remote_ip(request, true);
}

const char *httpserverlayer_remote_ip(const struct httprequest *request)
{
    return find_remote_ip(request, false);
}

const char *httprequest_protocol(const struct httprequest *request)
{
    const char *scheme = NULL;
    struct iobuffer *list = NULL;

    if (request->server->options.xheaders) {
        const char *forwarded = join(request, "X-Forwarded-Proto", &list);
        scheme = httpproxy_scheme(httprequest_header(request, "X-Scheme"), forwarded);
        iobuffer_free(&list);
    }
    return scheme != NULL ? scheme : request->server->options.protocol;
}

double httprequest_time(const struct httprequest *request)
{
    return (double)(loopfront_read_now(request->server->loop) - request->began) / 1e9;
}

struct httpserver *httprequest_server(const struct httprequest *request)
{
    return request->server;
}

struct ioloop *httprequest_loop(const struct httprequest *request)
{
    return request->server->loop;
}

void httprequest_set_arg(struct httprequest *request, void *arg)
{
    request->arg = arg;
}

void *httprequest_arg(const struct httprequest *request)
{
    return request->arg;
}

void httprequest_set_close_callback(struct httprequest *request, httprequest_close_fn *callback, void *arg)
{
    request->on_close = callback;
    request->on_close_arg = arg;
}

/* The body on its way. */

void httprequest_stream_body(struct httprequest *request, httprequest_data_fn *callback, void *arg)
{
    request->reading.on_data = callback;
    request->reading.on_data_arg = arg;
}

void httprequest_set_max_body(struct httprequest *request, uint64_t bytes)
{
    request->reading.most = bytes > 0 ? bytes : request->server->options.max_body;
}

void httprequest_set_body_timeout(struct httprequest *request, double seconds)
{
    request->reading.timeout = seconds > 0 ? seconds : request->server->options.body_timeout;
}

void httprequest_pause(struct httprequest *request)
{
    http1body_pause(request);
}

void httprequest_resume(struct httprequest *request)
{
    http1body_resume(request);
}

/* Answers. */

int httprequest_reply(struct httprequest *request, int status, const char *content_type, const void *body,
                      size_t length)
{
    return http1answer_whole(request, status, content_type, body, length);
}

int httprequest_answer(struct httprequest *request, int status, const char *reason, const struct httpheaders *headers,
                       const void *body, size_t length)
{
    return http1answer_with_headers(request, status, reason, headers, body, length);
}

int httprequest_write_head(struct httprequest *request, int status, const char *reason,
                           const struct httpheaders *headers, const void *body, size_t length,
                           iostream_write_fn *callback, void *arg)
{
    return http1answer_begin(request, status, reason, headers, body, length, callback, arg);
}

int httprequest_write(struct httprequest *request, const void *data, size_t length, iostream_write_fn *callback,
                      void *arg)
{
    return http1answer_write(request, data, length, callback, arg);
}

int httprequest_write_file(struct httprequest *request, int file, int64_t offset, uint64_t length,
                           iostream_write_fn *callback, void *arg)
{
    return http1answer_write_file(request, file, offset, length, callback, arg);
}

void httprequest_cork(struct httprequest *request)
{
    http1answer_cork(request);
}

void httprequest_uncork(struct httprequest *request)
{
    http1answer_uncork(request);
}

int httprequest_finish(struct httprequest *request)
{
    return http1answer_finish(request);
}

void httprequest_abort(struct httprequest *request)
{
    http1answer_abort(request);
}

uint64_t httprequest_pending(const struct httprequest *request)
{
    return request->connection != NULL ? iostream_pending(http1connection_stream(request->connection)) : 0;
}

bool httprequest_head_sent(const struct httprequest *request)
{
    return request->head_sent;
}

bool httprequest_left(const struct httprequest *request)
{
    return request->connection == NULL || iostream_closed(http1connection_stream(request->connection));
}

struct iostream *httprequest_detach(struct httprequest *request)
{
    if (httprequest_left(request))
        return errno = EBADF, NULL;
    if (request->head_sent || !request->connection->in_work)
        return errno = EALREADY, NULL;
    return http1connection_detach(request);
}
