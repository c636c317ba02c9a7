/* ws_echo_client: a WebSocket client that echoes.
 *
 *     ws_echo_client URL               echoes every message until the other side closes; with --compress, or
 *                                      --compress-anew without context takeover and with a window of 512 bytes, it
 *                                      offers permessage-deflate, and says "compressed" if that is agreed on
 *     ws_echo_client --autobahn URL    runs all the cases of a fuzzing server, and has it write its report
 *
 * Ends with status 0 when the other side has closed, or all cases were run; else 1. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ioloop/ioloop.h>
#include <websocket/websocket.h>

#define AGENT       "ioloop"
#define MOST_A_TIME (64u << 20) /* cases of the fuzzing server have messages of 16 MiB */
#define MOST_AHEAD  (16u << 20) /* of bytes that are not sent: then nothing is read */

static const char *base;
static int case_number, case_count;
static int status;

static void run_next_case(void);

static void echo(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    websocket_write(socket, data, length, is_binary);
    if (websocket_pending(socket) > MOST_AHEAD)
        websocket_pause(socket);
}

/* One URL, until it ends. */

static void echo_closed(struct websocket *socket, int code, const char *reason)
{
    int error = websocket_error(socket);

    if (error < 0)
        fprintf(stderr, "ws_echo_client: %s\n", ioloop_strerror(error));
    printf("closed %d %s\n", code, reason);
    status = error < 0;
    ioloop_stop(websocket_loop(socket));
}

static void echo_opened(struct websocket *socket, struct web_request *request)
{
    if (websocket_compresses(socket))
        printf("compressed\n");
}

#define ECHO                                                                                                           \
    .on_message = echo, .on_drain = websocket_resume, .max_message = MOST_A_TIME, .high_water = MOST_AHEAD,            \
    .max_unsent = MOST_A_TIME + 2 * MOST_AHEAD

static const struct websocket_handler echoing = { ECHO, .on_close = echo_closed };
static const struct websocket_handler compressing = { ECHO, .open = echo_opened, .on_close = echo_closed,
                                                      .compress = true };
static const struct websocket_handler compressing_anew = { ECHO,
                                                           .open = echo_opened,
                                                           .on_close = echo_closed,
                                                           .compress = true,
                                                           .compress_anew = true,
                                                           .compress_window = 9,
                                                           .compress_least = 1 };

/* All cases. */

static void count_came(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    case_count = atoi(data);
}

static void case_closed(struct websocket *socket, int code, const char *reason)
{
    if (websocket_status(socket) != 101 || case_count == 0) {
        fprintf(stderr, "ws_echo_client: no case: %s\n", ioloop_strerror(websocket_error(socket)));
        status = 1;
    }
    if (status != 0 || case_number > case_count)
        ioloop_stop(websocket_loop(socket));
    else
        run_next_case();
}

static const struct websocket_handler counting = { .on_message = count_came, .on_close = case_closed };
static const struct websocket_handler running = { ECHO, .on_close = case_closed, .compress = true };
static const struct websocket_handler reporting = { .on_close = case_closed };

static void open_url(const char *url, const struct websocket_handler *handler)
{
    if (websocket_connect(ioloop_current(), url, handler, NULL) != NULL)
        return;
    perror("ws_echo_client");
    status = 1;
    ioloop_stop(ioloop_current());
}

static void run_next_case(void)
{
    char url[512];

    if (++case_number <= case_count) {
        printf("case %d of %d\n", case_number, case_count);
        snprintf(url, sizeof url, "%s/runCase?case=%d&agent=" AGENT, base, case_number);
    } else {
        snprintf(url, sizeof url, "%s/updateReports?agent=" AGENT, base);
    }
    open_url(url, case_number <= case_count ? &running : &reporting);
}

static void run_all_cases(void)
{
    char url[512];

    snprintf(url, sizeof url, "%s/getCaseCount", base);
    open_url(url, &counting);
}

/* NULL: all cases. */
static bool choose_handler(const char *option, const struct websocket_handler **handler)
{
    *handler = strcmp(option, "--compress") == 0        ? &compressing
               : strcmp(option, "--compress-anew") == 0 ? &compressing_anew
                                                        : NULL;
    return *handler != NULL || strcmp(option, "--autobahn") == 0;
}

int main(int argc, char **argv)
{
    const struct websocket_handler *handler = &echoing;

    if (argc < 2 || argc > 3 || (argc == 3 && !choose_handler(argv[1], &handler)))
        return fprintf(stderr, "usage: ws_echo_client [--autobahn | --compress | --compress-anew] URL\n"), 2;
    base = argv[argc - 1];
    if (handler == NULL)
        run_all_cases();
    else
        open_url(base, handler);
    if (status == 0)
        ioloop_start(ioloop_current());
    ioloop_close(ioloop_current(), false);
    return status;
}
