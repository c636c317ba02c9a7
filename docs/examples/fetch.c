/* fetch: gets what is at a URL, to stdout or into a file.
 *
 *     fetch [-o FILE] [--head] [--header='Name: value' ...] [--method=M] [--data=TEXT] [--timeout=S] URL
 *
 * --head: headers only. --data: posts this; @FILE: what is in that file, however long it is. --timeout: without a byte;
 * 20 s. A long download to a file shows how far it is, on a terminal. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <httpclient/httpclient.h>
#include <ioloop/iooptions.h>
#include <ioloop/ioloop.h>

#define PIECE 65536

struct transfer {
    struct httpclient *client;
    uint64_t id;
    FILE *output;
    FILE *upload; /* NULL: none */
    bool shows_progress;
    double began, shown;
    uint64_t received, total; /* total 0: not known */
    int status;               /* the program's */
};

static const char *file_name;
static bool only_head;
static struct httpheaders headers;

/* Progress: a line that is written over again and again. */

static void show_progress(struct transfer *transfer, bool is_last)
{
    double now = ioloop_time(httpclient_loop(transfer->client)), seconds = now - transfer->began;
    double megabytes = (double)transfer->received / 1e6;

    if (!transfer->shows_progress || seconds < 0.5 || (!is_last && now - transfer->shown < 0.2))
        return;
    transfer->shown = now;
    fprintf(stderr, "\r%.1f MB", megabytes);
    if (transfer->total > 0)
        fprintf(stderr, " of %.1f MB", (double)transfer->total / 1e6);
    fprintf(stderr, ", %.1f MB/s   %s", megabytes / seconds, is_last ? "\n" : "");
}

/* What comes. */

static void give_up(struct transfer *transfer, const char *what)
{
    perror(what);
    transfer->status = 1;
    httpclient_cancel(transfer->client, transfer->id);
}

static void on_line(const char *line, size_t length, void *arg)
{
    struct transfer *transfer = arg;

    if (only_head)
        fwrite(line, 1, length, transfer->output);
}

static void on_head(const struct httpclient_response *response, void *arg)
{
    const char *length = httpheaders_get(response->headers, "Content-Length");
    struct transfer *transfer = arg;

    transfer->total = length != NULL ? strtoull(length, NULL, 10) : 0;
}

static void on_data(const void *data, size_t length, void *arg)
{
    struct transfer *transfer = arg;

    transfer->received += length;
    if (fwrite(data, 1, length, transfer->output) < length)
        give_up(transfer, file_name != NULL ? file_name : "stdout");
    else
        show_progress(transfer, false);
}

static void on_response(struct httpclient_response *response, void *arg)
{
    struct transfer *transfer = arg;

    show_progress(transfer, true);
    if (response->error < 0 && response->error != -ECANCELED)
        fprintf(stderr, "%s: %s\n", response->effective_url, response->detail);
    else if (response->code >= 400)
        fprintf(stderr, "%s: %d %s\n", response->effective_url, response->code, response->reason);
    if (response->error < 0 || response->code >= 400)
        transfer->status = 1;
    ioloop_stop(httpclient_loop(transfer->client));
}

/* What goes out: called whenever there is room for more. */
static void send_file(struct httpclient *client, uint64_t fetch, void *arg)
{
    struct transfer *transfer = arg;
    static char bytes[PIECE];
    size_t length = fread(bytes, 1, sizeof bytes, transfer->upload);

    if (ferror(transfer->upload))
        httpclient_upload_fail(client, fetch, -EIO);
    else if (length == 0)
        httpclient_upload_finish(client, fetch);
    else if (httpclient_upload_write(client, fetch, bytes, length) < 0)
        httpclient_upload_fail(client, fetch, -EPIPE);
}

/* The command line. */

static int add_header(const char *text, void *arg)
{
    const char *colon = strchr(text, ':');

    if (colon == NULL)
        return -EINVAL;
    return httpheaders_add_bytes(&headers, text, (size_t)(colon - text), colon + 1, strlen(colon + 1));
}

/* "-o FILE", as everybody is used to; all other options have their value behind "=". Answers the new argc. */
static int take_output(int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], "-o") == 0) {
            file_name = argv[i + 1];
            memmove(&argv[i], &argv[i + 2], (size_t)(argc - i - 1) * sizeof *argv);
            return argc - 2;
        }
    }
    return argc;
}

/* data: a text, or @ and the name of a file. */
static bool set_body(struct httpclient_request *request, struct transfer *transfer, const char *data)
{
    if (data[0] != '@') {
        request->body = data;
        request->body_length = strlen(data);
        return true;
    }
    transfer->upload = fopen(data + 1, "rb");
    request->body_producer = send_file;
    return transfer->upload != NULL;
}

static int run(struct transfer *transfer, const struct httpclient_request *request)
{
    struct ioloop *loop = ioloop_current();
    int error = 0;

    transfer->client = loop != NULL ? httpclient_new(loop, NULL) : NULL;
    if (transfer->client == NULL)
        return -errno;
    transfer->began = ioloop_time(loop);
    transfer->id = httpclient_fetch(transfer->client, request, on_response, transfer);
    error = transfer->id != 0 ? ioloop_start(loop) : -errno;
    ioloop_close(loop, false);
    return error;
}

int main(int argc, char **argv)
{
    struct transfer transfer = { .output = stdout };
    static struct httpclient_request request = { .headers = &headers,
                                                 .header_callback = on_line,
                                                 .on_head = on_head,
                                                 .streaming_callback = on_data,
                                                 .idle_timeout = 20 };
    static const char *data;
    static const struct iooption options[] = {
        { .name = "output", .string = &file_name, .metavar = "FILE", .help = "where it goes to; also -o FILE" },
        { .name = "head", .boolean = &only_head, .help = "only the headers" },
        { .name = "header", .parse = add_header, .metavar = "NAME: VALUE", .help = "sends this; any number of them" },
        { .name = "method", .string = &request.method, .help = "GET, or with --data POST" },
        { .name = "data", .string = &data, .metavar = "TEXT", .help = "sends this; @FILE: what is in there" },
        { .name = "timeout", .duration = &request.idle_timeout, .help = "without a byte" },
        { 0 },
    };
    argc = take_output(argc, argv);
    int rest = iooptions_parse(options, argc, argv);

    if (rest <= 0)
        return rest < 0 ? 2 : 0;
    if (rest != argc - 1)
        return fprintf(stderr, "fetch: one URL, please\n"), 2;
    request.url = argv[rest];
    request.callback_arg = request.body_producer_arg = &transfer;
    request.total_timeout = request.request_timeout = -1; /* however long it takes, as long as something comes */
    if (request.method == NULL && (only_head || data != NULL))
        request.method = only_head ? "HEAD" : "POST";
    if (data != NULL && !set_body(&request, &transfer, data))
        return perror(data + 1), 1;
    if (file_name != NULL)
        transfer.output = fopen(file_name, "wb");
    if (transfer.output == NULL)
        return perror(file_name), 1;
    transfer.shows_progress = file_name != NULL && isatty(STDERR_FILENO);

    int error = run(&transfer, &request);
    if (error < 0)
        fprintf(stderr, "fetch: %s: %s\n", request.url, ioloop_strerror(error));
    if (fclose(transfer.output) != 0)
        return perror(file_name != NULL ? file_name : "stdout"), 1;
    if (transfer.upload != NULL)
        fclose(transfer.upload);
    httpheaders_free(&headers);
    return error < 0 || transfer.status != 0;
}
