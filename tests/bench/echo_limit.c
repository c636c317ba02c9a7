/* An echo server on the kernel and nothing else: epoll, one recv and one send a message. */
#include <errno.h>
#include <sys/epoll.h>

#include "server.h"

#define EVENTS 512

static char buffer[SERVER_BUFFER];

static void watch(int queue, int fd)
{
    struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

    if (epoll_ctl(queue, EPOLL_CTL_ADD, fd, &event) < 0)
        server_fail("epoll_ctl");
}

static void accept_all(int queue, int listener)
{
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        watch(queue, fd);
}

/* Turns while the socket is full: a load that reads before it writes more never lets it come to that. */
static void echo(int fd)
{
    ssize_t received = recv(fd, buffer, sizeof buffer, 0);

    if (received == 0 || (received < 0 && errno != EAGAIN))
        close(fd);
    for (ssize_t sent = 0; sent < received;) {
        ssize_t some = send(fd, buffer + sent, (size_t)(received - sent), MSG_NOSIGNAL);
        if (some < 0 && errno != EAGAIN)
            break;
        sent += some > 0 ? some : 0;
    }
}

int main(void)
{
    struct epoll_event events[EVENTS];
    int listener = server_listen(), queue = epoll_create1(EPOLL_CLOEXEC);

    for (watch(queue, listener);;) {
        int count = epoll_wait(queue, events, EVENTS, -1);

        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener)
                accept_all(queue, listener);
            else
                echo(events[i].data.fd);
        }
    }
}
