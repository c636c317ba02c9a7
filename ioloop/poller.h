/* Internal: poller.h, what the loop asks of a kernel queue. poller_epoll.c and poller_kqueue.c; one of them is linked.
 *
 * Level-triggered. Every registration carries a generation, which comes back with each of its events, so that the
 * loop can tell an event of a registration that is gone. Events are those of ioloop.h; one event a descriptor a wait,
 * with all that happened to it. ERROR is always reported.
 *
 * Errors: negative errno values. Threads: poller_wake any, also signal handlers; the rest the loop's. */
#ifndef IOLOOP_POLLER_H
#define IOLOOP_POLLER_H

#include <stdint.h>

struct poller;

/* Wakes one of several processes that wait for the same descriptor, where the kernel can. For poller_add only. */
#define POLLER_EXCLUSIVE 0x1000u

/* In the order, and with nothing between, that lets poller_epoll.c receive straight into them. */
struct poller_event {
    uint32_t events;
    int32_t fd;
    uint32_t generation;
};

/* NULL with errno. */
struct poller *poller_new(void);
void poller_free(struct poller *poller);

/* The descriptor of the queue itself: readable when poller_wait would have something to report. */
int poller_fd(const struct poller *poller);

int poller_add(struct poller *poller, int fd, unsigned events, uint32_t generation);
int poller_update(struct poller *poller, int fd, unsigned events, uint32_t generation);

/* Of a descriptor that is still open. Removing what is not there is fine. */
void poller_remove(struct poller *poller, int fd);

/* Waits at most so many nanoseconds (negative: without end; never less than asked for, unless something happens) and
 * answers the number of events put into ready; 0 for a timeout or an interrupt. A wake-up may be one of them, of
 * descriptor -1. */
int poller_wait(struct poller *poller, struct poller_event *ready, int capacity, int64_t nanoseconds);

/* The wait under way, or else the next, ends at once. One system call. */
void poller_wake(struct poller *poller);

#endif
