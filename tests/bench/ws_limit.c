/* ws_limit: a WebSocket server on the kernel and nothing else: frames are looked at only as far as their end has to be
 * known, nothing is checked and nothing times out. /ws: a message comes back. /broadcast: it goes to all of /broadcast.
 *
 * A handshake comes in one piece, with the key of RFC 6455 1.3. Messages are masked, of one frame, and of MESSAGE bytes
 * at most. The answer is made in place: its head is written over the key, and is shorter than what it answers. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "epollserver.h"

#define CONNECTIONS 32768
#define SHARED      (256 << 10) /* bytes that are read at once, where nothing is left over */
#define MESSAGE     (1 << 20)
#define LARGE       (MESSAGE + SHARED)
#define CLOSE       0x88
#define LENGTH      0x7f
#define MASK        4

struct connection {
    char *large;          /* what could not be done with at once: answers, and behind them a part of a frame */
    uint32_t count;       /* bytes of that */
    uint32_t sent, ready; /* where answers begin that are not sent yet, and where they end */
    uint32_t rest;        /* where the part begins */
    bool is_open, broadcasts;
};

static struct connection connections[CONNECTIONS]; /* by descriptor */
static int highest;                                /* of the descriptors */
static char shared[SHARED];
static char *spare; /* buffers that are not used: a list, each has the next at its beginning */

static char *take_large(void)
{
    char *large = spare;

    if (large != NULL)
        memcpy(&spare, large, sizeof spare);
    else if ((large = malloc(LARGE)) == NULL)
        server_fail("malloc");
    return large;
}

static void give_back(char *large)
{
    memcpy(large, &spare, sizeof spare);
    spare = large;
}

static void close_connection(int fd)
{
    if (connections[fd].large != NULL)
        give_back(connections[fd].large);
    connections[fd] = (struct connection){ 0 };
    close(fd);
}

static void shake_hands(int fd, const char *bytes, size_t length)
{
    static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                 "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

    connections[fd].is_open = true;
    connections[fd].broadcasts = length > 14 && memcmp(bytes, "GET /broadcast", 14) == 0;
    if (send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL) < 0)
        close_connection(fd);
}

/* 32 bytes at a time. They may go to a place a little before them: each block is loaded before it is stored. */
static void unmask(char *to, const char *from, size_t length, const char *key)
{
    typedef uint32_t words __attribute__((vector_size(32)));
    words mask, block;
    uint32_t word;
    size_t i = 0;

    memcpy(&word, key, MASK);
    mask = (words){ word, word, word, word, word, word, word, word };
    for (; i + sizeof block <= length; i += sizeof block) {
        memcpy(&block, from + i, sizeof block);
        block ^= mask;
        memcpy(to + i, &block, sizeof block);
    }
    for (; i < length; i++)
        to[i] = (char)(from[i] ^ key[i % MASK]);
}

struct frame {
    size_t head, length; /* bytes: of the head without the key, of the payload */
};

/* Whether the frame is there, all of it. */
static bool find_frame(const unsigned char *bytes, size_t count, struct frame *frame)
{
    if (count < 2)
        return false;
    frame->length = bytes[1] & LENGTH;
    frame->head = frame->length < 126 ? 2 : frame->length == 126 ? 4 : 10;
    if (count < frame->head)
        return false;
    if (frame->head > 2)
        frame->length = 0;
    for (size_t i = 2; i < frame->head; i++)
        frame->length = frame->length << 8 | bytes[i];
    return count >= frame->head + MASK + frame->length;
}

/* Writes the answer, whose place is no further back. */
static size_t turn_round(char *to, const char *from, const struct frame *frame)
{
    char key[MASK];

    memcpy(key, from + frame->head, MASK);
    memmove(to, from, frame->head);
    to[1] &= LENGTH;
    unmask(to + frame->head, from + frame->head + MASK, frame->length, key);
    return frame->head + frame->length;
}

static void send_to_all(const char *bytes, size_t length)
{
    for (int fd = 0; fd <= highest; fd++) {
        if (connections[fd].broadcasts)
            send(fd, bytes, length, MSG_NOSIGNAL);
    }
}

/* All of the answers are sent. */
static void keep_rest(struct connection *connection)
{
    connection->count -= connection->rest;
    memmove(connection->large, connection->large + connection->rest, connection->count);
    connection->sent = connection->ready = connection->rest = 0;
    if (connection->count > 0)
        return;
    give_back(connection->large);
    connection->large = NULL;
}

/* There is something to be kept of what is in this buffer, the shared one or the connection's. */
static void keep(struct connection *connection, const char *buffer)
{
    if (connection->large != NULL)
        return;
    connection->large = take_large();
    memcpy(connection->large + connection->sent, buffer + connection->sent, connection->ready - connection->sent);
    memcpy(connection->large + connection->rest, buffer + connection->rest, connection->count - connection->rest);
}

static bool send_answers(int fd, const char *buffer)
{
    struct connection *connection = &connections[fd];
    ssize_t some = send(fd, buffer + connection->sent, connection->ready - connection->sent, MSG_NOSIGNAL);

    if (some < 0 && errno != EAGAIN)
        return false;
    connection->sent += some > 0 ? (uint32_t)some : 0;
    return true;
}

/* All that one receive has completed is answered by one send. */
static void answer(int fd, char *buffer)
{
    struct connection *connection = &connections[fd];
    struct frame frame;

    while (find_frame((unsigned char *)buffer + connection->rest, connection->count - connection->rest, &frame)) {
        char *from = buffer + connection->rest, *to = buffer + connection->ready;
        if ((unsigned char)*from == CLOSE) {
            close_connection(fd);
            return;
        }
        connection->rest += (uint32_t)(frame.head + MASK + frame.length);
        if (connection->broadcasts)
            send_to_all(from, turn_round(from, from, &frame));
        else
            connection->ready += (uint32_t)turn_round(to, from, &frame);
    }
    if (connection->ready > 0 && !send_answers(fd, buffer)) {
        close_connection(fd);
    } else if (connection->large == NULL && connection->sent == connection->ready &&
               connection->rest == connection->count) {
        connection->count = connection->sent = connection->ready = connection->rest = 0;
    } else {
        keep(connection, buffer);
        if (connection->sent < connection->ready)
            epollserver_watch(fd, EPOLL_CTL_MOD, EPOLLOUT);
        else
            keep_rest(connection);
    }
}

static void go_on_sending(int fd)
{
    struct connection *connection = &connections[fd];

    if (!send_answers(fd, connection->large)) {
        close_connection(fd);
    } else if (connection->sent == connection->ready) {
        epollserver_watch(fd, EPOLL_CTL_MOD, EPOLLIN);
        keep_rest(connection);
    }
}

static void serve(int fd)
{
    struct connection *connection = &connections[fd];

    if (connection->sent < connection->ready) {
        go_on_sending(fd);
        return;
    }
    char *buffer = connection->large != NULL ? connection->large : shared;
    size_t size = connection->large != NULL ? LARGE : SHARED;
    ssize_t some = recv(fd, buffer + connection->count, size - connection->count, 0);
    if (some < 0 && errno == EAGAIN)
        return;
    if (some <= 0) {
        close_connection(fd);
    } else if (!connection->is_open) {
        shake_hands(fd, buffer, (size_t)some);
    } else {
        connection->count += (uint32_t)some;
        answer(fd, buffer);
    }
}

static void accept_all(int listener)
{
    int fd;

    while ((fd = epollserver_accept(listener)) >= 0 && fd < CONNECTIONS) {
        highest = fd > highest ? fd : highest;
        epollserver_watch(fd, EPOLL_CTL_ADD, EPOLLIN);
    }
}

int main(void)
{
    epollserver_run(server_listen(), accept_all, serve);
}
