/* conformance_client: fetches what outside test suites have; a JSON object a response, a line each, in order.
 *
 *     conformance_client URL [--method=M] [--data=TEXT] [--header='Name: value' ...] [--timeout=S]
 * [--connect-timeout=S]
 *         [--max-redirects=N] [--no-follow] [--max-body=N] [--repeat=N] [--concurrency=M] [--body]
 *
 * also --details, --data-size=N (a body of N bytes, sent by and by), --stream (the body is not collected),
 * --idle-timeout=S,
 * --max-header=N, --decompress, --expect-continue, --auth=USER:PASSWORD, --proxy=HOST:PORT, --proxy-auth=USER:PASSWORD,
 * --tunnel, --unix=PATH, --interface=ADDRESS, --family=4|6.
 *
 * Repeats share one client. Its status is 0, whatever comes of the fetches; 2: the options make no sense. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <httpclient/httpclient.h>
#include <httpserver/httpescape.h>
#include <ioloop/iooptions.h>
#include <ioloop/ioloop.h>

#include "websocket/websocketsha1.h"

#define MOST_FETCHES 10000000
#define PIECE        16384u

/* One of the fetches. */
struct fetching {
    int64_t number;
    struct websocketsha1 hash; /* of a body that is streamed, */
    uint64_t length;           /* and what there was of it */
    uint64_t left;             /* to be sent */
};

static struct httpclient *client;
static struct httpclient_request request;
static struct httpheaders headers;
static char **lines; /* that wait for those before them */
static int64_t repeat = 1, begun, printed;
static int64_t data_size = -1;
static bool with_body, with_details, streams;

/* The line of a response. */

static const char *name_error(const struct httpclient_response *response)
{
    static const struct {
        int error;
        const char *name;
    } names[] = {
        { -ETIMEDOUT, "timeout" },
        { -ECONNREFUSED, "refused" },
        { -EPROTO, "protocol" },
        { -EMSGSIZE, "too large" },
        { -ELOOP, "too many redirects" },
        { -ESHUTDOWN, "closed" },
        { -ECONNRESET, "closed" },
        { -ECONNABORTED, "closed" },
        { -EPIPE, "closed" },
        { -ENXIO, "resolve" },
        { -EPROTONOSUPPORT, "unsupported" },
        { -ENOTSUP, "unsupported" },
        { -EINVAL, "invalid" },
        { -ENOMSG, "status" },
        { -EHOSTUNREACH, "unreachable" },
        { -ENETUNREACH, "unreachable" },
        { -ECANCELED, "cancelled" },
        { -EAGAIN, "queue full" },
        { -ENOMEM, "memory" },
    };

    if (response->phase == HTTPCLIENT_RESOLVE && response->error != -ETIMEDOUT && response->error != -EPROTONOSUPPORT)
        return "resolve";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i].error == response->error)
            return names[i].name;
    }
    return ioloop_strerror(response->error);
}

static void print_string(FILE *line, const char *text)
{
    size_t length = text != NULL ? strlen(text) : 0;
    char *escaped = malloc(6 * length + 1);

    if (text == NULL || escaped == NULL)
        fputs("null", line);
    else
        fprintf(line, "\"%.*s\"", (int)httpescape_json(text, length, escaped), escaped);
    free(escaped);
}

static void print_hex(FILE *line, const void *bytes, size_t length)
{
    const unsigned char *byte = bytes;

    putc('"', line);
    for (size_t i = 0; i < length; i++)
        fprintf(line, "%02x", byte[i]);
    putc('"', line);
}

static void print_digest(FILE *line, struct fetching *fetching, const struct httpclient_response *response)
{
    unsigned char digest[WEBSOCKETSHA1_DIGEST];

    if (!streams && response->length > 0)
        websocketsha1_update(&fetching->hash, response->body, response->length);
    websocketsha1_final(&fetching->hash, digest);
    print_hex(line, digest, sizeof digest);
}

static char *describe(struct fetching *fetching, const struct httpclient_response *response)
{
    char *text = NULL;
    size_t size;
    FILE *line = open_memstream(&text, &size);

    if (line == NULL)
        return NULL;
    fprintf(line, "{\"code\":%d,\"reason\":", response->code);
    print_string(line, response->reason != NULL ? response->reason : "");
    fprintf(line, ",\"length\":%" PRIu64 ",\"body_sha1\":", streams ? fetching->length : (uint64_t)response->length);
    print_digest(line, fetching, response);
    fputs(",\"effective_url\":", line);
    print_string(line, response->effective_url);
    fputs(",\"error\":", line);
    print_string(line, response->error != 0 ? name_error(response) : NULL);
    if (with_body) {
        fputs(",\"body_hex\":", line);
        print_hex(line, response->body, response->length);
    }
    if (with_details) {
        fprintf(line, ",\"redirects\":%d,\"reused\":%s,\"detail\":", response->redirects,
                response->is_reused ? "true" : "false");
        print_string(line, response->error != 0 ? response->detail : NULL);
    }
    fputs("}\n", line);
    return fclose(line) == 0 ? text : (free(text), NULL);
}

static void print_in_order(int64_t number, char *line)
{
    lines[number] = line != NULL ? line : strdup("{\"code\":0,\"error\":\"memory\"}\n");
    while (printed < repeat && lines[printed] != NULL) {
        fputs(lines[printed], stdout);
        free(lines[printed++]);
    }
}

/* Fetching. */

static void hash_data(const void *data, size_t length, void *arg)
{
    struct fetching *fetching = arg;

    websocketsha1_update(&fetching->hash, data, length);
    fetching->length += length;
}

static void produce(struct httpclient *from, uint64_t fetch, void *arg)
{
    struct fetching *fetching = arg;
    static char filler[PIECE];
    size_t size = fetching->left < PIECE ? (size_t)fetching->left : PIECE;

    memset(filler, 'x', sizeof filler);
    fetching->left -= size;
    if (size == 0)
        httpclient_upload_finish(from, fetch);
    else if (httpclient_upload_write(from, fetch, filler, size) < 0)
        httpclient_upload_fail(from, fetch, -EPIPE);
}

static void fetch_next(struct fetching *fetching);

static void on_response(struct httpclient_response *response, void *arg)
{
    struct fetching *fetching = arg;

    print_in_order(fetching->number, describe(fetching, response));
    fetch_next(fetching);
}

/* False: it was refused, and the line says so. */
static bool begin_fetch(struct fetching *fetching)
{
    struct httpclient_request mine = request;

    fetching->number = begun++;
    fetching->length = 0;
    fetching->left = (uint64_t)data_size;
    websocketsha1_init(&fetching->hash);
    mine.callback_arg = mine.body_producer_arg = fetching;
    if (httpclient_fetch(client, &mine, on_response, fetching) != 0)
        return true;
    int error = -errno;
    struct httpclient_response refused = { .error = error, /* without the url, which may have a password */
                                           .detail = ioloop_strerror(error),
                                           .effective_url = "" };
    print_in_order(fetching->number, describe(fetching, &refused));
    return false;
}

static void fetch_next(struct fetching *fetching)
{
    while (begun < repeat) {
        if (begin_fetch(fetching))
            return;
    }
    if (printed == repeat)
        ioloop_stop(ioloop_current());
}

static void start(void *fetching)
{
    fetch_next(fetching);
}

/* The command line. */

static int add_header(const char *text, void *arg)
{
    const char *colon = strchr(text, ':');

    if (colon == NULL)
        return -EINVAL;
    return httpheaders_add_bytes(&headers, text, (size_t)(colon - text), colon + 1, strlen(colon + 1));
}

/* "user:password" in two; a password may have a colon, and so may an address. */
static void split(char *text, char *colon, const char **first, const char **second)
{
    if (colon != NULL) {
        *colon = '\0';
        *second = colon + 1;
    }
    *first = text;
}

/* Options may follow the URL. */
static void move_url_last(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-') {
            char *url = argv[i];
            memmove(&argv[i], &argv[i + 1], (size_t)(argc - i - 1) * sizeof *argv);
            argv[argc - 1] = url;
            return;
        }
    }
}

int main(int argc, char **argv)
{
    static const char *data, *auth, *proxy, *proxy_auth;
    static int64_t max_body, max_header;
    static int concurrency = 1, max_redirects = 5, family;
    static bool follow = true;
    static const struct iooption table[] = {
        { .name = "method", .string = &request.method },
        { .name = "data", .string = &data, .help = "the body" },
        { .name = "data-size", .integer64 = &data_size, .help = "a body of so many bytes, by and by" },
        { .name = "header", .parse = add_header, .metavar = "NAME: VALUE", .help = "any number of them" },
        { .name = "timeout", .duration = &request.request_timeout },
        { .name = "connect-timeout", .duration = &request.connect_timeout },
        { .name = "idle-timeout", .duration = &request.idle_timeout },
        { .name = "max-redirects", .integer = &max_redirects },
        { .name = "follow", .boolean = &follow },
        { .name = "max-body", .integer64 = &max_body, .maximum = 1e18 },
        { .name = "max-header", .integer64 = &max_header, .maximum = UINT32_MAX },
        { .name = "repeat", .integer64 = &repeat, .minimum = 1, .maximum = MOST_FETCHES },
        { .name = "concurrency", .integer = &concurrency, .minimum = 1, .maximum = 10000 },
        { .name = "body", .boolean = &with_body, .help = "also the body, in hexadecimal" },
        { .name = "details", .boolean = &with_details, .help = "also redirects, reused and detail" },
        { .name = "stream", .boolean = &streams, .help = "the body is hashed as it comes" },
        { .name = "decompress", .boolean = &request.decompress_response },
        { .name = "expect-continue", .boolean = &request.expect_100_continue },
        { .name = "auth", .string = &auth, .metavar = "USER:PASSWORD" },
        { .name = "proxy", .string = &proxy, .metavar = "HOST:PORT" },
        { .name = "proxy-auth", .string = &proxy_auth, .metavar = "USER:PASSWORD" },
        { .name = "tunnel", .boolean = &request.proxy_tunnel, .help = "through the proxy, by CONNECT" },
        { .name = "unix", .string = &request.unix_path, .help = "connect to this socket" },
        { .name = "interface", .string = &request.network_interface, .help = "connect from this address" },
        { .name = "family", .integer = &family, .help = "4 or 6" },
        { 0 },
    };
    move_url_last(argc, argv);
    int rest = iooptions_parse(table, argc, argv);

    if (rest <= 0)
        return rest < 0 ? 2 : 0;
    if (rest != argc - 1)
        return fprintf(stderr, "conformance_client: one URL, please\n"), 2;
    request.url = argv[rest];
    request.headers = &headers;
    request.allow_nonstandard_methods = true;
    request.no_follow_redirects = !follow;
    request.max_redirects = max_redirects > 0 ? max_redirects : -1;
    request.max_body = (uint64_t)max_body;
    request.max_header = (uint32_t)max_header;
    request.family = family == 4 ? AF_INET : family == 6 ? AF_INET6 : AF_UNSPEC;
    request.body = data;
    request.body_length = data != NULL ? strlen(data) : 0;
    request.body_producer = data_size >= 0 ? produce : NULL;
    request.streaming_callback = streams ? hash_data : NULL;
    if ((data != NULL || data_size >= 0) && request.method == NULL)
        request.method = "POST";
    if (auth != NULL)
        split((char *)auth, strchr(auth, ':'), &request.auth_username, &request.auth_password);
    if (proxy_auth != NULL)
        split((char *)proxy_auth, strchr(proxy_auth, ':'), &request.proxy_username, &request.proxy_password);
    const char *port = "";
    if (proxy != NULL)
        split((char *)proxy, strrchr(proxy, ':'), &request.proxy_host, &port);
    request.proxy_port = atoi(port);

    struct ioloop *loop = ioloop_current();
    struct httpclient_options options = { .max_clients = (size_t)concurrency, .max_per_origin = (size_t)concurrency };
    client = loop != NULL ? httpclient_new(loop, &options) : NULL;
    lines = calloc((size_t)repeat, sizeof *lines);
    struct fetching *fetchings = calloc((size_t)concurrency, sizeof *fetchings);
    int error = client != NULL && lines != NULL && fetchings != NULL ? 0 : -ENOMEM;
    for (int i = 0; i < concurrency && error == 0; i++)
        error = ioloop_add_callback(loop, start, &fetchings[i]);
    if (error == 0)
        error = ioloop_start(loop);
    if (loop != NULL)
        ioloop_close(loop, false);
    httpheaders_free(&headers);
    free(lines);
    free(fetchings);
    if (error < 0)
        fprintf(stderr, "conformance_client: %s\n", ioloop_strerror(error));
    return error < 0;
}
