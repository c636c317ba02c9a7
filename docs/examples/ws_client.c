/* ws_client: talks to a WebSocket from a terminal: what is typed is sent, a line a message, and what comes is printed,
 * a line a message. The end of the input (Ctrl-D) closes it.
 *
 *     ws_client [--origin=O] [--subprotocol=NAME] [--compress] URL     ws://127.0.0.1:8888/chat?name=me */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <ioloop/iooptions.h>
#include <websocket/websocket.h>

#define LONGEST_LINE 65536u

static struct ioloop *loop;
static struct websocket *connection;
static int status = 1;

/* What was typed, up to the end of a line. A longer one goes as several messages. */
static char typed[LONGEST_LINE];
static size_t typed_length;

static void send_lines(void)
{
    size_t from = 0;

    for (char *end; (end = memchr(typed + from, '\n', typed_length - from)) != NULL; from = (size_t)(end + 1 - typed)) {
        if (websocket_write(connection, typed + from, (size_t)(end - typed) - from, false) == -EINVAL)
            fprintf(stderr, "not sent: a line has to be UTF-8\n");
    }
    memmove(typed, typed + from, typed_length - from);
    typed_length -= from;
}

static void on_input(int fd, unsigned events, void *arg);

/* The kernel does not wait for files: they are always ready. */
static void read_file(void *arg)
{
    on_input(STDIN_FILENO, IOLOOP_READ, arg);
    if (connection != NULL && !websocket_closing(connection))
        ioloop_add_callback(loop, read_file, arg);
}

static void end_input(void)
{
    ioloop_remove_handler(loop, STDIN_FILENO);
    websocket_close(connection, WEBSOCKET_NORMAL, NULL);
}

static void on_input(int fd, unsigned events, void *arg)
{
    ssize_t count = read(fd, typed + typed_length, sizeof typed - typed_length);

    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    typed_length += count > 0 ? (size_t)count : 0;
    if (typed_length == sizeof typed || (count <= 0 && typed_length > 0 && typed[typed_length - 1] != '\n')) {
        websocket_write(connection, typed, typed_length, false);
        typed_length = 0;
    }
    send_lines();
    if (count <= 0)
        end_input();
}

static void on_open(struct websocket *opened, struct web_request *request)
{
    if (isatty(STDIN_FILENO))
        fprintf(stderr, "connected; Ctrl-D ends it\n");
    int error = ioloop_add_handler(loop, STDIN_FILENO, on_input, NULL, IOLOOP_READ);
    if (error == -EPERM)
        error = ioloop_add_callback(loop, read_file, NULL);
    if (error < 0) {
        fprintf(stderr, "ws_client: the input: %s\n", ioloop_strerror(error));
        websocket_close(connection, WEBSOCKET_GOING_AWAY, NULL);
    }
}

static void on_message(struct websocket *from, const void *data, size_t length, bool is_binary)
{
    if (is_binary)
        printf("(%zu bytes)\n", length);
    else
        printf("%.*s\n", (int)length, (const char *)data);
    fflush(stdout);
}

static void on_close(struct websocket *closed, int code, const char *reason)
{
    int error = websocket_error(closed);

    if (error < 0)
        fprintf(stderr, "ws_client: %s\n", ioloop_strerror(error));
    else if (code != WEBSOCKET_NORMAL || isatty(STDIN_FILENO))
        fprintf(stderr, "closed: %d %s\n", code, reason);
    if (error < 0 && websocket_status(closed) > 0 && websocket_status(closed) != 101)
        fprintf(stderr, "ws_client: the server's answer was %d\n", websocket_status(closed));
    status = error < 0;
    connection = NULL;
    ioloop_remove_handler(loop, STDIN_FILENO);
    ioloop_stop(loop);
}

int main(int argc, char **argv)
{
    static const char *origin, *subprotocol;
    static struct websocket_handler handler = { .open = on_open, .on_message = on_message, .on_close = on_close };
    static const struct iooption table[] = {
        { .name = "origin", .string = &origin, .help = "the page that it says it comes from" },
        { .name = "subprotocol", .string = &subprotocol, .help = "to offer" },
        { .name = "compress", .boolean = &handler.compress, .help = "offer permessage-deflate" },
        { 0 },
    };
    int rest = iooptions_parse(table, argc, argv);

    if (rest <= 0)
        return rest < 0 ? 2 : 0;
    if (rest != argc - 1)
        return fprintf(stderr, "usage: ws_client [OPTIONS] URL\n"), 2;
    loop = ioloop_current();
    connection = loop == NULL ? NULL
                              : websocket_connect(loop, argv[rest], &handler,
                                                  &(struct websocket_options){
                                                      .origin = origin,
                                                      .subprotocols = (const char *const[]){ subprotocol, NULL },
                                                  });
    if (connection == NULL)
        return perror("ws_client"), 1;
    int error = ioloop_start(loop);
    ioloop_close(loop, false);
    if (error < 0)
        fprintf(stderr, "ws_client: %s\n", ioloop_strerror(error));
    return error < 0 || status;
}
