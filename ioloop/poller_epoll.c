/* The kernel queue of Linux: poller.h on epoll(7). */
#include "ioloop/poller.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "ioloop/ioalloc.h"
#include "ioloop/ioloop.h"

/* How many of the kernel's events are translated into ours at a time. 0: none, they are laid out as ours are (x86-64,
 * where they are packed). */
#ifndef EVENTS_TRANSLATED
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && defined __x86_64__
#define EVENTS_TRANSLATED 0
#else
#define EVENTS_TRANSLATED 512
#endif
#endif

/* What the wake-up is registered with. Its low half is a descriptor of -1, so no generation can make a registration
 * look like it. */
#define WAKE_UP UINT64_MAX

_Static_assert(IOLOOP_READ == EPOLLIN && IOLOOP_WRITE == EPOLLOUT && IOLOOP_ERROR == (EPOLLERR | EPOLLHUP),
               "events of ioloop.h are those of epoll");

struct poller {
    int epoll;
    int eventfd;                 /* counts wake-ups; nobody reads it */
    bool milliseconds_only;      /* the kernel has no epoll_pwait2 */
    struct epoll_event events[]; /* EVENTS_TRANSLATED */
};

/* The eventfd is edge-triggered: each write to it is an event once, and there is nothing to read. */
static int add_eventfd(const struct poller *poller)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.u64 = WAKE_UP };

    return epoll_ctl(poller->epoll, EPOLL_CTL_ADD, poller->eventfd, &event);
}

struct poller *poller_new(void)
{
    struct poller *poller = ioalloc(sizeof *poller + EVENTS_TRANSLATED * sizeof poller->events[0]);

    if (poller == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    poller->milliseconds_only = false;
    poller->epoll = epoll_create1(EPOLL_CLOEXEC);
    poller->eventfd = poller->epoll < 0 ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (poller->eventfd < 0 || add_eventfd(poller) < 0) {
        int error = errno;
        poller_free(poller);
        errno = error;
        return NULL;
    }
    return poller;
}

void poller_free(struct poller *poller)
{
    if (poller == NULL)
        return;
    if (poller->eventfd >= 0)
        close(poller->eventfd);
    if (poller->epoll >= 0)
        close(poller->epoll);
    ioalloc_free(poller);
}

int poller_fd(const struct poller *poller)
{
    return poller->epoll;
}

static int control(const struct poller *poller, int operation, int fd, uint32_t events, uint32_t generation)
{
    struct epoll_event event = { .events = events, .data.u64 = (uint64_t)generation << 32 | (uint32_t)fd };

    return epoll_ctl(poller->epoll, operation, fd, &event) < 0 ? -errno : 0;
}

int poller_add(struct poller *poller, int fd, unsigned events, uint32_t generation)
{
    uint32_t exclusive = (events & POLLER_EXCLUSIVE) != 0 ? EPOLLEXCLUSIVE : 0;

    return control(poller, EPOLL_CTL_ADD, fd, (events & (IOLOOP_READ | IOLOOP_WRITE)) | exclusive, generation);
}

/* The kernel refuses this (EINVAL) for what was added with POLLER_EXCLUSIVE: that is removed and added again. */
int poller_update(struct poller *poller, int fd, unsigned events, uint32_t generation)
{
    return control(poller, EPOLL_CTL_MOD, fd, events & (IOLOOP_READ | IOLOOP_WRITE), generation);
}

void poller_remove(struct poller *poller, int fd)
{
    control(poller, EPOLL_CTL_DEL, fd, 0, 0);
}

/* In milliseconds, as epoll_wait takes them, these are an int; seconds of 32 bits have room for them. 24 days. */
#define MOST_NANOSECONDS ((int64_t)INT_MAX * 1000000)

/* Rounded up, for a wait must not end early. */
static int to_milliseconds(int64_t nanoseconds)
{
    return (int)((nanoseconds + 999999) / 1000000);
}

/* From Linux 5.11, glibc 2.35. An older libc, or another, may run on a kernel that has it. */
#if defined __GLIBC__ && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 35)
static int call_pwait2(int epoll, struct epoll_event *events, int capacity, int64_t nanoseconds)
{
    struct timespec timeout = { (time_t)(nanoseconds / 1000000000), (long)(nanoseconds % 1000000000) };

    return epoll_pwait2(epoll, events, capacity, &timeout, NULL);
}
#elif defined SYS_epoll_pwait2
static int call_pwait2(int epoll, struct epoll_event *events, int capacity, int64_t nanoseconds)
{
    struct {
        int64_t seconds, nanoseconds;
    } timeout = { nanoseconds / 1000000000, nanoseconds % 1000000000 };

    return (int)syscall(SYS_epoll_pwait2, epoll, events, capacity, &timeout, NULL, 0);
}
#else
static int call_pwait2(int epoll, struct epoll_event *events, int capacity, int64_t nanoseconds)
{
    return errno = ENOSYS, -1;
}
#endif

/* A libc that has the function may still run on a kernel, or in a sandbox, that has not. */
static int __attribute__((noinline))
wait_nanoseconds(struct poller *poller, struct epoll_event *events, int capacity, int64_t nanoseconds)
{
    if (nanoseconds > MOST_NANOSECONDS)
        nanoseconds = MOST_NANOSECONDS;
    if (!poller->milliseconds_only) {
        int count = call_pwait2(poller->epoll, events, capacity, nanoseconds);
        if (count >= 0 || (errno != ENOSYS && errno != EPERM))
            return count;
        poller->milliseconds_only = true;
    }
    return epoll_wait(poller->epoll, events, capacity, to_milliseconds(nanoseconds));
}

#if EVENTS_TRANSLATED == 0
_Static_assert(sizeof(struct poller_event) == sizeof(struct epoll_event) &&
                   offsetof(struct poller_event, events) == offsetof(struct epoll_event, events) &&
                   offsetof(struct poller_event, fd) == offsetof(struct epoll_event, data),
               "data.u64 is generation << 32 | fd");

static inline struct epoll_event *place_for(struct poller *poller, struct poller_event *ready, int *capacity)
{
    return (struct epoll_event *)ready;
}

static inline void translate(const struct poller *poller, struct poller_event *ready, int count)
{
}
#else
static struct epoll_event *place_for(struct poller *poller, struct poller_event *ready, int *capacity)
{
    if (*capacity > EVENTS_TRANSLATED)
        *capacity = EVENTS_TRANSLATED;
    return poller->events;
}

static void translate(const struct poller *poller, struct poller_event *ready, int count)
{
    for (int i = 0; i < count; i++) {
        const struct epoll_event *event = &poller->events[i];
        ready[i] = (struct poller_event){ event->events, (int32_t)event->data.u64, (uint32_t)(event->data.u64 >> 32) };
    }
}
#endif

int poller_wait(struct poller *poller, struct poller_event *ready, int capacity, int64_t nanoseconds)
{
    struct epoll_event *events = place_for(poller, ready, &capacity);
    int forever = (int)(nanoseconds >> 63); /* the sign alone: -1, or 0 for not at all */
    int count = nanoseconds > 0 ? wait_nanoseconds(poller, events, capacity, nanoseconds)
                                : epoll_wait(poller->epoll, events, capacity, forever);
    if (count < 0)
        return errno == EINTR ? 0 : -errno;
    translate(poller, ready, count);
    return count;
}

/* Full (EAGAIN) after 2^64 - 2 wake-ups; a signal handler must find its errno as it was. */
void poller_wake(struct poller *poller)
{
    int error = errno;

    if (write(poller->eventfd, &(uint64_t){ 1 }, sizeof(uint64_t)) < 0)
        errno = error;
}
