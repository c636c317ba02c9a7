/* httprequesthead: the first bytes are settings and where the input is cut into method, URL, values, and the lines of
 * the program's headers.
 *
 * What has to hold: what is written is one request to http1parser, whole and with nothing behind it, that says what was
 * meant: method, target, host, framing, each header that was given or that says why not; the same length for any room;
 * neither user nor password of the URL is in it, nor anything for a proxy that is not the request's own. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "httpclient/httprequesthead.h"
#include "httpserver/http1parser.h"
#include "httpserver/httpfield.h"
#include "ioloop/ioalloc.h"
#include "tests/fuzz/fuzz.h"

enum { SETTINGS = 7, ROOM = 16384 };

struct input {
    const uint8_t *bytes;
    size_t left;
};

static char *take_text(struct input *input, size_t length)
{
    length = length < input->left ? length : input->left;
    char *text = malloc(length + 1);
    require(text != NULL);
    memcpy(text, input->bytes, length);
    text[length] = '\0';
    input->bytes += length;
    input->left -= length;
    return text;
}

/* As it was given: the parser's slices are of the text. */
static bool is_text(const char *text, struct http1parser_slice slice, const char *wanted, size_t length)
{
    return slice.length == length && memcmp(text + slice.offset, wanted, length) == 0;
}

static bool is_named(const char *text, struct http1parser_slice slice, const char *name)
{
    return slice.length == strlen(name) && httpfield_is_same(text + slice.offset, name, slice.length);
}

static unsigned count_named(const char *text, const struct http1parser_request *request, const char *name)
{
    unsigned count = 0;

    for (uint32_t i = 0; i < request->header_count; i++)
        count += is_named(text, request->headers[i].name, name);
    return count;
}

static void require_target(const char *text, const struct httprequesthead *head,
                           const struct http1parser_request *request)
{
    const struct httpurl *url = head->url;
    const char *target = text + request->path.offset;
    size_t length = request->path.length;

    if (head->target == HTTPREQUESTHEAD_AUTHORITY) {
        require(request->form == HTTP1PARSER_AUTHORITY);
        return;
    }
    require(request->form == (head->target == HTTPREQUESTHEAD_ABSOLUTE ? HTTP1PARSER_ABSOLUTE : HTTP1PARSER_ORIGIN));
    if (url->path.length == 0) {
        require(length > 0 && target[0] == '/');
        target++, length--;
    }
    require(length >= url->path.length && memcmp(target, url->path.text, url->path.length) == 0);
    target += url->path.length, length -= url->path.length;
    require(length == (url->query.text != NULL ? 1 + url->query.length : 0));
    require(length == 0 || (target[0] == '?' && memcmp(target + 1, url->query.text, length - 1) == 0));
}

static void require_host(const char *text, const struct httprequesthead *head,
                         const struct http1parser_request *request)
{
    const struct httpurl *url = head->url;
    const char *own = head->target == HTTPREQUESTHEAD_ORIGIN ? httpheaders_get(head->headers, "Host") : NULL;
    struct httpurl_part host;
    int port;

    if (own != NULL) {
        require(is_text(text, request->host, own, strlen(own)));
        return;
    }
    require(httpurl_split_host_and_port(text + request->host.offset, request->host.length, &host, &port) == 0);
    require(host.length == url->host.length && memcmp(host.text, url->host.text, host.length) == 0);
    require(port == url->port || (port < 0 && url->port == httpurl_default_port(url)));
}

static void require_framing(const char *text, const struct httprequesthead *head,
                            const struct http1parser_request *request)
{
    require(count_named(text, request, "Content-Length") == (head->body == HTTPREQUESTHEAD_LENGTH));
    require(count_named(text, request, "Transfer-Encoding") == (head->body == HTTPREQUESTHEAD_CHUNKED));
    require(request->framing == (enum http1parser_framing)head->body);
    require(request->content_length == (head->body == HTTPREQUESTHEAD_LENGTH ? head->content_length : 0));
    require(head->upgrade || count_named(text, request, "Upgrade") == 0);
    require(head->upgrade || request->keep_alive == (count_named(text, request, "Connection") == 0));
    require(head->upgrade || !head->close || !request->keep_alive);
    require(head->closes == (!head->upgrade && !request->keep_alive));
    require(count_named(text, request, "Proxy-Authorization") == (head->proxy_authorization != NULL));
}

/* Each of the program's is there, in order, or one of those that are left out. */
static void require_headers(const char *text, const struct httpheaders *headers,
                            const struct http1parser_request *request)
{
    static const char *const left_out[] = {
        "host",   "connection",    "content-length",    "transfer-encoding",  "upgrade",
        "expect", "authorization", "if-modified-since", "proxy-authorization"
    };
    const char *name, *value;
    uint32_t at = 1;

    for (size_t i = 0; httpheaders_at(headers, i, &name, &value); i++) {
        size_t length = strlen(name);
        if (at < request->header_count && is_text(text, request->headers[at].name, name, length) &&
            is_text(text, request->headers[at].value, value, strlen(value))) {
            at++;
            continue;
        }
        bool is_left_out = false;
        for (size_t j = 0; j < sizeof left_out / sizeof *left_out; j++)
            is_left_out =
                is_left_out || (length == strlen(left_out[j]) && httpfield_is_same(name, left_out[j], length));
        require(is_left_out);
    }
}

static void require_read_back(const char *text, size_t length, const struct httprequesthead *head)
{
    const struct http1parser_limits limits = { .target = ROOM, .head = ROOM, .line = ROOM, .headers = 120 };
    struct http1parser_header headers[120];
    struct http1parser_request request = { .headers = headers, .header_capacity = 120 };
    struct http1parser_scan scan = { 0 };
    int size = http1parser_parse_request(text, length, &limits, &scan, &request);

    require(size > 0 && (size_t)size == length);
    require(is_text(text, request.method, head->method, strlen(head->method)));
    require(is_named(text, request.headers[0].name, "Host") && count_named(text, &request, "Host") == 1);
    require_target(text, head, &request);
    require_host(text, head, &request);
    require_framing(text, head, &request);
    require_headers(text, head->headers, &request);
}

static void add_headers(struct httpheaders *headers, char *lines)
{
    while (*lines != '\0') {
        char *end = strchr(lines, '\n'), *colon = strchr(lines, ':');
        if (end == NULL || colon == NULL || colon > end)
            return;
        if (httpheaders_add_bytes(headers, lines, (size_t)(colon - lines), colon + 1, (size_t)(end - colon - 1)) < 0)
            return;
        lines = end + 1;
    }
}

static void format_every_way(struct httprequesthead *head, size_t room)
{
    ssize_t length = httprequesthead_format(head, NULL, 0);

    require(length == -EINVAL || length > 0);
    char *place = malloc(room + 1);
    require(place != NULL && httprequesthead_format(head, place, room) == length);
    free(place);
    if (length < 0 || length > ROOM)
        return;
    place = malloc((size_t)length);
    require(place != NULL && httprequesthead_format(head, place, (size_t)length) == length);
    require_read_back(place, (size_t)length, head);
    free(place);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < SETTINGS)
        return 0;
    struct input input = { data + SETTINGS, size - SETTINGS };
    char *method = take_text(&input, data[0] % 40), *address = take_text(&input, data[1]);
    char *value = take_text(&input, data[2] % 32), *lines = take_text(&input, input.left);
    struct httpheaders headers = { 0 };
    struct httpurl url;

    add_headers(&headers, lines);
    struct httprequesthead head = { .method = data[3] & 1 ? "CONNECT" : method,
                                    .url = &url,
                                    .target = (enum httprequesthead_target)(data[3] / 2 % 3),
                                    .headers = &headers,
                                    .user_agent = data[4] & 1 ? value : NULL,
                                    .authorization = data[4] & 2 ? value : NULL,
                                    .proxy_authorization = data[4] & 4 ? value : NULL,
                                    .content_type = data[4] & 8 ? value : NULL,
                                    .if_modified_since = data[4] & 16 ? value : NULL,
                                    .body = (enum httprequesthead_body)(data[5] % 3),
                                    .content_length = data[6] * UINT64_C(12345678901234567),
                                    .close = data[5] & 4,
                                    .expect_continue = data[5] & 8,
                                    .accept_gzip = data[5] & 16,
                                    .upgrade = data[5] & 32 };
    if (httpurl_parse(address, strlen(address), &url) == 0)
        format_every_way(&head, data[6]);
    httpheaders_free(&headers);
    free(lines);
    free(value);
    free(address);
    free(method);
    return 0;
}
