/* The kernel queue of the BSDs and macOS: poller.h on kqueue(2).
 *
 * Here reading and writing are two filters, each with events of its own; the table by descriptor puts them together.
 * A change of two filters takes two calls: macOS used to lose changes that came together. */
#include "ioloop/poller.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/types.h>
#include <sys/event.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "ioloop/ioalloc.h"
#include "ioloop/ioloop.h"
#include "ioloop/kernel.h"

enum { EVENTS_A_WAIT = 512, BOTH = IOLOOP_READ | IOLOOP_WRITE };

/* These differ between the systems. */
typedef __typeof__(((struct kevent *)0)->filter) filter_type;
typedef __typeof__(((struct kevent *)0)->udata) udata_type;

struct registration {
    bool added;
    unsigned events;
    uint32_t generation;
    int index; /* in the events of a wait, if those at index are of this descriptor */
};

struct poller {
    int kqueue;
    pid_t owner;      /* a child of fork() does not inherit the queue: its number may be another descriptor's */
    int wake_pipe[2]; /* where there are no user events */
    int registration_count;
    struct registration *registrations; /* by descriptor */
    struct kevent events[EVENTS_A_WAIT];
};

static int submit(const struct poller *poller, const struct kevent *change)
{
    return kevent(poller->kqueue, change, 1, NULL, 0, NULL) < 0 ? -errno : 0;
}

#ifdef EVFILT_USER

static int add_wake_up(struct poller *poller)
{
    return submit(poller, &(struct kevent){ .filter = EVFILT_USER, .flags = EV_ADD | EV_CLEAR });
}

static bool is_wake_up(const struct poller *poller, const struct kevent *event)
{
    return event->filter == EVFILT_USER;
}

/* A signal handler must find its errno as it was. */
void poller_wake(struct poller *poller)
{
    int error = errno;

    submit(poller, &(struct kevent){ .filter = EVFILT_USER, .fflags = NOTE_TRIGGER });
    errno = error;
}

#else /* OpenBSD, and NetBSD before 10 */

static int add_wake_up(struct poller *poller)
{
    int error = kernel_pipe(poller->wake_pipe);

    if (error < 0)
        return error;
    return submit(poller,
                  &(struct kevent){ .ident = (uintptr_t)poller->wake_pipe[0], .filter = EVFILT_READ, .flags = EV_ADD });
}

static bool is_wake_up(const struct poller *poller, const struct kevent *event)
{
    char bytes[256];

    if (event->ident != (uintptr_t)poller->wake_pipe[0])
        return false;
    while (read(poller->wake_pipe[0], bytes, sizeof bytes) > 0)
        continue;
    return true;
}

/* A full pipe wakes as well. A signal handler must find its errno as it was. */
void poller_wake(struct poller *poller)
{
    int error = errno;

    if (write(poller->wake_pipe[1], "", 1) < 0)
        errno = error;
}

#endif

struct poller *poller_new(void)
{
    struct poller *poller = ioalloc(sizeof *poller);

    if (poller == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    poller->owner = getpid();
    poller->wake_pipe[0] = poller->wake_pipe[1] = -1;
    poller->registrations = NULL;
    poller->registration_count = 0;
    poller->kqueue = kqueue();
    int error = poller->kqueue < 0 || fcntl(poller->kqueue, F_SETFD, FD_CLOEXEC) < 0 ? -errno : add_wake_up(poller);
    if (error < 0) {
        poller_free(poller);
        errno = -error;
        return NULL;
    }
    return poller;
}

void poller_free(struct poller *poller)
{
    if (poller == NULL)
        return;
    for (int i = 0; i < 2; i++) {
        if (poller->wake_pipe[i] >= 0)
            close(poller->wake_pipe[i]);
    }
    if (poller->kqueue >= 0 && poller->owner == getpid())
        close(poller->kqueue);
    ioalloc_free(poller->registrations);
    ioalloc_free(poller);
}

int poller_fd(const struct poller *poller)
{
    return poller->kqueue;
}

/* Filters. */

static int change_filter(const struct poller *poller, int fd, filter_type filter, unsigned short flags,
                         uint32_t generation)
{
    struct kevent change = {
        .ident = (uintptr_t)fd, .filter = filter, .flags = flags, .udata = (udata_type)(uintptr_t)generation
    };

    if ((flags & EV_CLEAR) != 0) { /* see add_error_filter */
        change.fflags = NOTE_LOWAT;
        change.data = INT_MAX;
    }
    return submit(poller, &change);
}

/* Where neither reading nor writing is of interest, errors still are. A filter for more bytes than any buffer holds is
 * active at the end only; EV_CLEAR, for systems that do not know NOTE_LOWAT. For writing, the end is the error that
 * is wanted. But that filter is refused for a pipe whose other end is closed; for reading, none is. */
static int add_error_filter(const struct poller *poller, int fd, uint32_t generation)
{
    int error = change_filter(poller, fd, EVFILT_WRITE, EV_ADD | EV_CLEAR, generation);

    return error < 0 ? change_filter(poller, fd, EVFILT_READ, EV_ADD | EV_CLEAR, generation) : 0;
}

/* Deleting one that is not there is fine. */
static void delete_filters(const struct poller *poller, int fd, unsigned events)
{
    if (events == IOLOOP_NONE || (events & IOLOOP_READ) != 0)
        change_filter(poller, fd, EVFILT_READ, EV_DELETE, 0);
    if (events == IOLOOP_NONE || (events & IOLOOP_WRITE) != 0)
        change_filter(poller, fd, EVFILT_WRITE, EV_DELETE, 0);
}

/* Adding one that is there sets its generation. */
static int add_filters(const struct poller *poller, int fd, unsigned events, uint32_t generation)
{
    int error = 0;

    if (events == IOLOOP_NONE)
        return add_error_filter(poller, fd, generation);
    if ((events & IOLOOP_READ) != 0)
        error = change_filter(poller, fd, EVFILT_READ, EV_ADD, generation);
    if (error == 0 && (events & IOLOOP_WRITE) != 0)
        error = change_filter(poller, fd, EVFILT_WRITE, EV_ADD, generation);
    return error;
}

/* Registrations. */

static int make_room_for_registration(struct poller *poller, int fd)
{
    int count = poller->registration_count;

    if (fd < count)
        return 0;
    if (fd > INT_MAX / 2 - 32)
        return -ENOMEM;
    struct registration *registrations =
        ioalloc_array_resize(poller->registrations, (size_t)fd * 2 + 64, sizeof *registrations);
    if (registrations == NULL)
        return -ENOMEM;
    poller->registrations = registrations;
    poller->registration_count = fd * 2 + 64;
    memset(registrations + count, 0, (size_t)(poller->registration_count - count) * sizeof *registrations);
    return 0;
}

/* A descriptor that was closed without being removed has left its registration here, but not in the kernel. */
static bool is_in_kernel(const struct poller *poller, int fd, const struct registration *registration)
{
    unsigned short flags = registration->events == IOLOOP_NONE ? EV_ENABLE | EV_CLEAR : EV_ENABLE;

    return registration->added && (change_filter(poller, fd, EVFILT_READ, flags, registration->generation) == 0 ||
                                   change_filter(poller, fd, EVFILT_WRITE, flags, registration->generation) == 0);
}

/* NULL: it has none. */
static struct registration *find_registration(const struct poller *poller, int fd)
{
    bool has_one = fd >= 0 && fd < poller->registration_count && poller->registrations[fd].added;

    return has_one ? &poller->registrations[fd] : NULL;
}

/* POLLER_EXCLUSIVE: no kqueue knows it. Regular files and folders are refused as by epoll. Writing to a pipe that
 * nobody reads any more may be refused here, with -EPIPE or -EBADF, and is an event there. */
int poller_add(struct poller *poller, int fd, unsigned events, uint32_t generation)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return -errno;
    if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode))
        return -EPERM;
    int error = make_room_for_registration(poller, fd);
    if (error < 0)
        return error;
    struct registration *registration = &poller->registrations[fd];
    if (is_in_kernel(poller, fd, registration))
        return -EEXIST;

    error = add_filters(poller, fd, events & BOTH, generation);
    if (error < 0)
        delete_filters(poller, fd, events & BOTH);
    *registration = (struct registration){ .added = error == 0, .events = events & BOTH, .generation = generation };
    return error;
}

int poller_update(struct poller *poller, int fd, unsigned events, uint32_t generation)
{
    struct registration *registration = find_registration(poller, fd);

    if (registration == NULL)
        return -ENOENT;
    unsigned had = registration->events, wanted = events & BOTH;
    if (wanted == had && generation == registration->generation)
        return 0;

    if (had == IOLOOP_NONE || wanted == IOLOOP_NONE)
        delete_filters(poller, fd, had); /* one that is there would keep its EV_CLEAR, or be left without it */
    int error = add_filters(poller, fd, wanted, generation);
    if (error < 0) {
        delete_filters(poller, fd, wanted);
        if (add_filters(poller, fd, had, registration->generation) < 0)
            registration->added = false;
        return error;
    }
    if (wanted != IOLOOP_NONE && (had & ~wanted) != 0)
        delete_filters(poller, fd, had & ~wanted);
    registration->events = wanted;
    registration->generation = generation;
    return 0;
}

void poller_remove(struct poller *poller, int fd)
{
    struct registration *registration = find_registration(poller, fd);

    if (registration == NULL)
        return;
    delete_filters(poller, fd, registration->events);
    registration->added = false;
}

/* Waiting. */

/* The end of reading is not an error: bytes may remain to be read. That of writing is one: a refused connection. */
static unsigned events_of(const struct kevent *event)
{
    if (event->filter == EVFILT_WRITE)
        return (event->flags & EV_EOF) != 0 ? IOLOOP_WRITE | IOLOOP_ERROR : IOLOOP_WRITE;
    return (event->flags & EV_EOF) != 0 && event->fflags != 0 ? IOLOOP_READ | IOLOOP_ERROR : IOLOOP_READ;
}

/* Puts an event into ready[0..count), where the other filter of its descriptor may have one already, and answers the
 * new count. */
static int merge(struct poller *poller, struct poller_event *ready, int count, const struct kevent *event)
{
    struct registration *registration = &poller->registrations[event->ident];
    uint32_t generation = (uint32_t)(uintptr_t)event->udata;
    int fd = (int)event->ident, index = registration->index;
    unsigned events = events_of(event);

    if (generation == registration->generation)
        events &= registration->events | IOLOOP_ERROR; /* an error filter has nothing else to tell */
    if (events == 0)
        return count;
    if (index < count && ready[index].fd == fd && ready[index].generation == generation) {
        ready[index].events |= events;
        return count;
    }
    registration->index = count;
    ready[count] = (struct poller_event){ .fd = fd, .events = events, .generation = generation };
    return count + 1;
}

int poller_wait(struct poller *poller, struct poller_event *ready, int capacity, int64_t nanoseconds)
{
    const int64_t a_year = (int64_t)365 * 24 * 3600 * 1000000000; /* some kernels refuse more than three */
    int reported = 0;

    if (nanoseconds > a_year)
        nanoseconds = a_year;
    struct timespec timeout = { .tv_sec = (time_t)(nanoseconds / 1000000000),
                                .tv_nsec = (long)(nanoseconds % 1000000000) };
    /* Of a type that fits both an int and the size_t of NetBSD. */
    unsigned short room = (unsigned short)(capacity < EVENTS_A_WAIT ? capacity : EVENTS_A_WAIT);
    int count = kevent(poller->kqueue, NULL, 0, poller->events, room, nanoseconds < 0 ? NULL : &timeout);
    if (count < 0)
        return errno == EINTR ? 0 : -errno;

    for (const struct kevent *event = poller->events; event < poller->events + count; event++) {
        if (!is_wake_up(poller, event))
            reported = merge(poller, ready, reported, event);
    }
    return reported;
}
