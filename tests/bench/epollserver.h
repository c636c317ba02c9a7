/* epollserver.h: what http_limit and ws_limit have in common: one queue of epoll, level-triggered, and its turns. */
#ifndef EPOLLSERVER_H
#define EPOLLSERVER_H

#include <sys/epoll.h>

#include "server.h"

#define EPOLLSERVER_EVENTS 512

static int epollserver_queue;

/* operation: EPOLL_CTL_ADD, EPOLL_CTL_MOD. */
static inline void epollserver_watch(int fd, int operation, unsigned wanted)
{
    struct epoll_event event = { .events = wanted, .data.fd = fd };

    if (epoll_ctl(epollserver_queue, operation, fd, &event) < 0)
        server_fail("epoll_ctl");
}

/* -1: no more wait. */
static inline int epollserver_accept(int listener)
{
    return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* For ever: accept_all when somebody waits to be accepted, serve when something happens to another descriptor. Inlined,
 * so that both are called as if their names stood here. */
static inline __attribute__((always_inline)) void epollserver_run(int listener, void (*accept_all)(int listener),
                                                                  void (*serve)(int fd))
{
    struct epoll_event events[EPOLLSERVER_EVENTS];

    epollserver_queue = epoll_create1(EPOLL_CLOEXEC);
    for (epollserver_watch(listener, EPOLL_CTL_ADD, EPOLLIN);;) {
        int count = epoll_wait(epollserver_queue, events, EPOLLSERVER_EVENTS, -1);

        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener)
                accept_all(listener);
            else
                serve(events[i].data.fd);
        }
    }
}

#endif
