/* The descriptors of a loop: ioloop_add_handler and the like, and what loopmember.h has for descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "ioloop/ioalloc.h"
#include "ioloop/loopstate.h"

static struct handler *find_handler(struct ioloop *loop, int fd)
{
    if (fd < 0 || (size_t)fd >= loop->handler_count || loop->handlers[fd].function == NULL)
        return NULL;
    return &loop->handlers[fd];
}

static int make_room_for(struct ioloop *loop, int fd)
{
    size_t count = (size_t)fd + 1;

    if (count <= loop->handler_count)
        return 0;
    if (fcntl(fd, F_GETFD) < 0) /* before a number that is none makes the table gigabytes long */
        return -errno;
    count = (count + count / 4 + 63) & ~(size_t)63;
    struct handler *handlers = ioalloc_array_resize(loop->handlers, count, sizeof *handlers);
    if (handlers == NULL)
        return -ENOMEM;
    memset(handlers + loop->handler_count, 0, (count - loop->handler_count) * sizeof *handlers);
    loop->handlers = handlers;
    loop->handler_count = count;
    return 0;
}

static void set_events(struct handler *handler, unsigned events)
{
    handler->events = (uint16_t)events;
    handler->told = (uint8_t)((events & (IOLOOP_READ | IOLOOP_WRITE)) | IOLOOP_ERROR);
}

static int put_handler(struct ioloop *loop, int fd, ioloop_handler_fn *function, void *arg, struct handler **result)
{
    int error = loopstate_check(loop);

    if (error == 0 && fd < 0)
        error = -EBADF;
    if (error == 0)
        error = make_room_for(loop, fd);
    if (error < 0)
        return error;
    struct handler *handler = *result = &loop->handlers[fd];
    if (handler->function != NULL)
        return -EEXIST;
    *handler = (struct handler){ .function = function, .arg = arg, .generation = handler->generation + 1 };
    return 0;
}

int ioloop_add_handler(struct ioloop *loop, int fd, ioloop_handler_fn *function, void *arg, unsigned events)
{
    struct handler *handler;
    int error = put_handler(loop, fd, function, arg, &handler);

    if (error < 0)
        return error;
    set_events(handler, events & (IOLOOP_READ | IOLOOP_WRITE));
    error = poller_add(loop->poller, fd, handler->events, handler->generation);
    handler->watched = error == 0;
    if (error < 0)
        handler->function = NULL;
    return error;
}

int loopmember_claim_fd(struct ioloop *loop, int fd, ioloop_handler_fn *function, void *arg)
{
    struct handler *handler;
    int error = put_handler(loop, fd, function, arg, &handler);

    if (error == 0)
        handler->claimed = true;
    return error;
}

void *loopmember_next_claimed(const struct ioloop *loop, ioloop_handler_fn *function, int *fd)
{
    for (size_t i = (size_t)*fd; i < loop->handler_count; i++) {
        const struct handler *handler = &loop->handlers[i];

        if (handler->claimed && handler->function == function) {
            *fd = (int)i + 1;
            return handler->arg;
        }
    }
    return NULL;
}

static void unwatch(struct ioloop *loop, int fd, struct handler *handler)
{
    /* In a child of fork() the kernel queue is the parent's: hands off. */
    if (handler->watched && loop->forks == loopstate_forks)
        poller_remove(loop->poller, fd, handler->events);
    handler->watched = false;
    handler->events = 0;
    handler->generation++; /* what is pending for it is not told any more */
}

/* EPOLLEXCLUSIVE cannot be changed once it is there, only taken out and put in again. */
static int watch(struct ioloop *loop, int fd, unsigned events)
{
    int error = loopstate_check(loop);
    struct handler *handler = find_handler(loop, fd);

    if (error < 0)
        return error;
    if (handler == NULL)
        return -ENOENT;
    if (handler->watched && handler->events == events)
        return 0;
    if (handler->watched && ((handler->events | events) & POLLER_EXCLUSIVE) != 0)
        unwatch(loop, fd, handler);
    error = handler->watched ? poller_update(loop->poller, fd, handler->events, events, handler->generation)
                             : poller_add(loop->poller, fd, events, handler->generation);
    if (error < 0)
        return error;
    handler->watched = true;
    set_events(handler, events);
    return 0;
}

int ioloop_update_handler(struct ioloop *loop, int fd, unsigned events)
{
    return watch(loop, fd, events & (IOLOOP_READ | IOLOOP_WRITE));
}

int loopmember_watch_exclusive(struct ioloop *loop, int fd)
{
    return watch(loop, fd, IOLOOP_READ | POLLER_EXCLUSIVE);
}

void loopmember_unwatch_fd(struct ioloop *loop, int fd)
{
    struct handler *handler = find_handler(loop, fd);

    if (handler != NULL)
        unwatch(loop, fd, handler);
}

void ioloop_remove_handler(struct ioloop *loop, int fd)
{
    struct handler *handler = find_handler(loop, fd);

    if (handler == NULL)
        return;
    unwatch(loop, fd, handler);
    handler->function = NULL;
}
