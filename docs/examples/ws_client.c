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
#define HIGH_WATER   (256u << 10) /* of bytes that the server has not taken; no input is read meanwhile */

static struct ioloop *loop;
static struct websocket *connection;
static bool is_held_back;
static int status = 1;

/* What was typed, up to the end of a line. */
static char typed[LONGEST_LINE];
static size_t typed_length;

static void send_line(const char *line, size_t length)
{
    int error = websocket_write(connection, line, length, false);

    if (error == -EINVAL)
        fprintf(stderr, "not sent: a line has to be UTF-8\n");
    else if (error < 0)
        fprintf(stderr, "not sent: %s\n", ioloop_strerror(error));
}

static void forget_typed(size_t length)
{
    typed_length -= length;
    memmove(typed, typed + length, typed_length);
}

static void send_lines(void)
{
    size_t from = 0;

    for (char *end; (end = memchr(typed + from, '\n', typed_length - from)) != NULL; from = (size_t)(end + 1 - typed))
        send_line(typed + from, (size_t)(end - typed) - from);
    forget_typed(from);
}

/* A line that is too long goes as several messages, each up to the beginning of a character. */
static void send_beginning(void)
{
    size_t length = typed_length - 1;

    while (length > 1 && (typed[length] & 0xc0) == 0x80)
        length--;
    send_line(typed, length);
    forget_typed(length);
}

static void end_input(void)
{
    if (typed_length > 0)
        send_line(typed, typed_length);
    ioloop_remove_handler(loop, STDIN_FILENO);
    websocket_close(connection, WEBSOCKET_NORMAL, NULL);
}

static void on_input(int fd, unsigned events, void *arg)
{
    ssize_t count = read(fd, typed + typed_length, sizeof typed - typed_length);

    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (count <= 0) {
        end_input();
        return;
    }
    typed_length += (size_t)count;
    send_lines();
    if (typed_length == sizeof typed)
        send_beginning();
    is_held_back = websocket_pending(connection) > HIGH_WATER;
    if (is_held_back)
        ioloop_remove_handler(loop, fd);
}

/* The kernel does not wait for files: they are always ready. */
static void read_file(void *arg)
{
    if (connection == NULL || websocket_closing(connection))
        return;
    on_input(STDIN_FILENO, IOLOOP_READ, arg);
    if (!is_held_back)
        ioloop_add_callback(loop, read_file, arg);
}

static void watch_input(struct websocket *socket)
{
    int error = ioloop_add_handler(loop, STDIN_FILENO, on_input, NULL, IOLOOP_READ);

    if (error == -EPERM)
        error = ioloop_add_callback(loop, read_file, NULL);
    if (error == 0)
        return;
    fprintf(stderr, "ws_client: the input: %s\n", ioloop_strerror(error));
    websocket_close(socket, WEBSOCKET_GOING_AWAY, NULL);
}

static void on_open(struct websocket *socket, struct web_request *request)
{
    if (isatty(STDIN_FILENO))
        fprintf(stderr, "connected; Ctrl-D ends it\n");
    watch_input(socket);
}

static void on_message(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    if (is_binary)
        printf("(%zu bytes)", length);
    else
        fwrite(data, 1, length, stdout);
    putchar('\n');
    fflush(stdout);
}

static void on_drain(struct websocket *socket)
{
    if (is_held_back && !websocket_closing(socket))
        watch_input(socket);
}

static void on_close(struct websocket *socket, int code, const char *reason)
{
    int error = websocket_error(socket), answer = websocket_status(socket);

    if (error < 0 && answer != 0 && answer != 101)
        fprintf(stderr, "ws_client: the server's answer was %d\n", answer);
    else if (error < 0)
        fprintf(stderr, "ws_client: %s\n", ioloop_strerror(error));
    else if (code != WEBSOCKET_NORMAL || isatty(STDIN_FILENO))
        fprintf(stderr, "closed: %d%s%s\n", code, *reason != '\0' ? " " : "", reason);
    status = error < 0;
    connection = NULL;
    ioloop_remove_handler(loop, STDIN_FILENO);
    ioloop_stop(loop);
}

int main(int argc, char **argv)
{
    static const char *origin, *subprotocol;
    static struct websocket_handler handler = {
        .open = on_open, .on_message = on_message, .on_drain = on_drain, .on_close = on_close, .high_water = HIGH_WATER
    };
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
    struct websocket_options options = { .origin = origin, .subprotocols = (const char *const[]){ subprotocol, NULL } };
    connection = loop != NULL ? websocket_connect(loop, argv[rest], &handler, &options) : NULL;
    if (connection == NULL)
        return perror("ws_client"), 1;
    int error = ioloop_start(loop);
    ioloop_close(loop, false);
    if (error < 0)
        fprintf(stderr, "ws_client: %s\n", ioloop_strerror(error));
    return error < 0 || status;
}
