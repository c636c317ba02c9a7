#include "tests/support/httppeer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE 20 /* seconds */

double httppeer_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool connect_peer(struct httppeer *peer, int port, bool narrow)
{
    const struct timeval patience = { .tv_sec = PATIENCE };
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

    peer->length = 0;
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (peer->fd < 0)
        return false;
    if (narrow)
        setsockopt(peer->fd, SOL_SOCKET, SO_RCVBUF, &(int){ 1 }, sizeof(int));
    if (connect(peer->fd, (struct sockaddr *)&address, sizeof address) < 0) {
        httppeer_close(peer);
        return false;
    }
    setsockopt(peer->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(peer->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience); /* connect would end by EINTR with it */
    setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    return true;
}

bool httppeer_connect(struct httppeer *peer, int port)
{
    return connect_peer(peer, port, false);
}

bool httppeer_connect_narrow(struct httppeer *peer, int port)
{
    return connect_peer(peer, port, true);
}

void httppeer_close(struct httppeer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    peer->fd = -1;
}

void httppeer_reset(struct httppeer *peer)
{
    struct linger none = { .l_onoff = 1 };

    setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    httppeer_close(peer);
}

bool httppeer_put(struct httppeer *peer, const char *text)
{
    size_t left = strlen(text);

    while (left > 0) {
        ssize_t count = send(peer->fd, text, left, MSG_NOSIGNAL);

        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        text += count;
        left -= (size_t)count;
    }
    return true;
}

/* Answers how many bytes came; 0 at the end, -1 when nothing came in time. */
static ssize_t receive(struct httppeer *peer, char *bytes, size_t size)
{
    ssize_t count;

    do
        count = recv(peer->fd, bytes, size, 0);
    while (count < 0 && errno == EINTR);
    if (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
        return 0; /* a reset */
    return count;
}

static void consume(struct httppeer *peer, size_t length)
{
    peer->length -= length;
    memmove(peer->bytes, peer->bytes + length, peer->length);
}

/* The length of the head, which is terminated by NUL then instead of its last line feed; NONE or BROKEN. */
static int read_head(struct httppeer *peer)
{
    for (;;) {
        char *end = memmem(peer->bytes, peer->length, "\r\n\r\n", 4);

        if (end != NULL) {
            end[3] = '\0';
            return (int)(end + 4 - peer->bytes);
        }
        if (peer->length == sizeof peer->bytes)
            return HTTPPEER_BROKEN;
        ssize_t count = receive(peer, peer->bytes + peer->length, sizeof peer->bytes - peer->length);
        if (count <= 0)
            return count == 0 && peer->length == 0 ? HTTPPEER_NONE : HTTPPEER_BROKEN;
        peer->length += (size_t)count;
    }
}

/* A piece of the body, of which so much came before. */
static void keep_piece(struct httppeer *peer, const char *piece, size_t length, size_t before)
{
    size_t room = before < sizeof peer->body - 1 ? sizeof peer->body - 1 - before : 0;

    if (length > room)
        length = room;
    memcpy(peer->body + (before < sizeof peer->body ? before : 0), piece, length);
    if (length > 0)
        peer->body[before + length] = '\0';
}

static bool read_body(struct httppeer *peer)
{
    char piece[65536];
    size_t done = peer->length < peer->body_length ? peer->length : peer->body_length;

    peer->body[0] = '\0';
    keep_piece(peer, peer->bytes, done, 0);
    consume(peer, done);
    while (done < peer->body_length) {
        size_t left = peer->body_length - done;
        ssize_t count = receive(peer, piece, left < sizeof piece ? left : sizeof piece);

        if (count <= 0)
            return false;
        keep_piece(peer, piece, (size_t)count, done);
        done += (size_t)count;
    }
    return true;
}

int httppeer_next(struct httppeer *peer)
{
    int size = read_head(peer), status;

    if (size <= 0)
        return size;
    const char *length = strstr(peer->bytes, "\r\nContent-Length: ");
    if (sscanf(peer->bytes, "HTTP/1.1 %3d ", &status) != 1 || length == NULL)
        return HTTPPEER_BROKEN;
    peer->body_length = strtoul(length + 18, NULL, 10);
    peer->closes = strstr(peer->bytes, "\r\nConnection: close\r\n") != NULL;
    consume(peer, (size_t)size);
    return read_body(peer) ? status : HTTPPEER_BROKEN;
}

int httppeer_get(struct httppeer *peer, const char *target)
{
    char text[256];

    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", target);
    return httppeer_put(peer, text) ? httppeer_next(peer) : HTTPPEER_NONE;
}

bool httppeer_wait_for_end(struct httppeer *peer)
{
    char bytes[65536];
    ssize_t count;

    do
        count = receive(peer, bytes, sizeof bytes);
    while (count > 0);
    return count == 0;
}
