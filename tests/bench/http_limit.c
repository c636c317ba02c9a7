/* An HTTP server on the kernel and nothing else: nothing is parsed or checked and nothing times out. What is asked is
 * known from the command line; a request ends at its empty line, and its head comes in one piece.
 *
 * http_limit plain           12 bytes for each request
 * http_limit close           the same, and closes
 * http_limit post BYTES      the body, which has so many bytes, when the whole of it is there
 * http_limit memory FILE     a file that is in memory: head and content in one writev
 * http_limit sendfile FILE   a file by sendfile, behind its head */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "epollserver.h"

#define CONNECTIONS 32768
#define PIPELINED   512         /* answers that leave at once, at most */
#define PIECE       (256 << 10) /* of a content, at most, in one turn */
#define HEAD        256         /* bytes of a head, of either direction, at most */

struct connection {
    char *received; /* post: head and body of a request */
    size_t count;   /* of that */
    size_t sent;    /* of an answer, head and content */
    bool waits;     /* for room to send */
};

static struct connection connections[CONNECTIONS]; /* by descriptor */
static char buffer[SERVER_BUFFER], plain[PIPELINED * HEAD], head[HEAD];
static size_t plain_length, head_length, content_length;
static char *content; /* memory: the file */
static int file;

static bool (*serve)(int fd); /* false: nothing has come */

static size_t make_head(char *to, const char *more)
{
    return (size_t)snprintf(to, HEAD,
                            "HTTP/1.1 200 OK\r\nServer: limit\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n%s"
                            "Content-Type: text/plain\r\nContent-Length: %zu\r\n\r\n",
                            more, content_length);
}

static void close_connection(int fd)
{
    free(connections[fd].received);
    connections[fd] = (struct connection){ 0 };
    close(fd);
}

static bool has_come(int fd, ssize_t count)
{
    if (count == 0 || (count < 0 && errno != EAGAIN))
        close_connection(fd);
    return count > 0;
}

/* What one receive has brought is answered by one send. */
static void answer_requests(int fd, size_t length)
{
    size_t requests = 0;

    for (char *end = buffer; (end = memmem(end, (size_t)(buffer + length - end), "\r\n\r\n", 4)) != NULL; end += 4)
        requests++;
    if (requests > 0 && requests <= PIPELINED)
        send(fd, plain, requests * plain_length, MSG_NOSIGNAL);
}

static bool serve_plain(int fd)
{
    ssize_t received = recv(fd, buffer, sizeof buffer, 0);

    if (!has_come(fd, received))
        return false;
    answer_requests(fd, (size_t)received);
    return true;
}

static bool serve_once(int fd)
{
    ssize_t received = recv(fd, buffer, sizeof buffer, 0);

    if (received < 0 && errno == EAGAIN)
        return false;
    if (received > 0)
        answer_requests(fd, (size_t)received);
    close(fd);
    return true;
}

/* Answers of some size. */

/* A piece of the content, or the head and the first. */
static ssize_t send_some(int fd, const char *bytes, size_t sent)
{
    size_t head_left = sent < head_length ? head_length - sent : 0;
    size_t content_sent = sent < head_length ? 0 : sent - head_length;
    size_t piece = content_length - content_sent < PIECE ? content_length - content_sent : PIECE;
    off_t offset = (off_t)content_sent;

    if (bytes != NULL) {
        struct iovec pieces[] = { { head + sent, head_left }, { (char *)bytes + content_sent, piece } };
        return writev(fd, head_left > 0 ? pieces : pieces + 1, head_left > 0 ? 2 : 1);
    }
    if (head_left > 0 && send(fd, head + sent, head_left, MSG_MORE | MSG_NOSIGNAL) != (ssize_t)head_left)
        return -1;
    ssize_t some = sendfile(fd, file, &offset, piece);
    return some > 0 ? some + (ssize_t)head_left : some;
}

/* Sends the head and these bytes, or the file. One piece a turn: to send more than is read meanwhile costs more. */
static void answer(int fd, const char *bytes)
{
    struct connection *connection = &connections[fd];
    ssize_t some = send_some(fd, bytes, connection->sent);

    if (some < 0 && errno != EAGAIN) {
        close_connection(fd);
        return;
    }
    connection->sent += some > 0 ? (size_t)some : 0;
    bool waits = connection->sent < head_length + content_length;
    if (waits != connection->waits)
        epollserver_watch(fd, EPOLL_CTL_MOD, waits ? EPOLLOUT : EPOLLIN);
    connection->waits = waits;
    if (!waits)
        connection->sent = connection->count = 0;
}

static bool serve_file(int fd)
{
    if (connections[fd].waits || has_come(fd, recv(fd, buffer, sizeof buffer, 0)))
        answer(fd, content);
    return true;
}

static bool serve_post(int fd)
{
    struct connection *connection = &connections[fd];

    if (connection->received == NULL && (connection->received = malloc(HEAD + content_length)) == NULL)
        server_fail("malloc");
    if (!connection->waits) {
        ssize_t some = recv(fd, connection->received + connection->count, HEAD + content_length - connection->count, 0);
        if (!has_come(fd, some))
            return false;
        connection->count += (size_t)some;
    }
    const char *end = memmem(connection->received, connection->count, "\r\n\r\n", 4);
    if (end != NULL && connection->count == (size_t)(end + 4 - connection->received) + content_length)
        answer(fd, end + 4);
    return true;
}

/* The server. */

static void accept_all(int listener)
{
    int fd;

    while ((fd = epollserver_accept(listener)) >= 0 && fd < CONNECTIONS) {
        if (serve != serve_once || !serve_once(fd))
            epollserver_watch(fd, EPOLL_CTL_ADD, EPOLLIN);
    }
}

static void open_file(const char *path)
{
    struct stat information;

    file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &information) < 0)
        server_fail(path);
    content_length = (size_t)information.st_size;
}

static void read_file(const char *path)
{
    open_file(path);
    content = malloc(content_length);
    if (content == NULL || read(file, content, content_length) != (ssize_t)content_length)
        server_fail(path);
}

static bool parse_arguments(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";

    serve = serve_file;
    if (strcmp(mode, "plain") == 0 && argc == 2)
        serve = serve_plain;
    else if (strcmp(mode, "close") == 0 && argc == 2)
        serve = serve_once;
    else if (strcmp(mode, "post") == 0 && argc == 3)
        serve = serve_post, content_length = strtoul(argv[2], NULL, 10);
    else if (strcmp(mode, "memory") == 0 && argc == 3)
        read_file(argv[2]);
    else if (strcmp(mode, "sendfile") == 0 && argc == 3)
        open_file(argv[2]);
    else
        return false;
    return true;
}

static void make_answers(void)
{
    static const char page[] = "Hello, world";

    if (serve == serve_plain || serve == serve_once)
        content_length = strlen(page);
    head_length = make_head(head, serve == serve_once ? "Connection: close\r\n" : "");
    plain_length = head_length + strlen(page);
    for (size_t i = 0; i < PIPELINED; i++) {
        memcpy(plain + i * plain_length, head, head_length);
        memcpy(plain + i * plain_length + head_length, page, strlen(page));
    }
}

static void serve_connection(int fd)
{
    serve(fd);
}

int main(int argc, char **argv)
{
    if (!parse_arguments(argc, argv)) {
        fprintf(stderr, "usage: %s plain | close | post BYTES | memory FILE | sendfile FILE\n", argv[0]);
        return 2;
    }
    make_answers();
    int listener = server_listen();
    if (serve == serve_once) /* what is accepted has its request */
        setsockopt(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &(int){ 1 }, sizeof(int));
    epollserver_run(listener, accept_all, serve_connection);
}
