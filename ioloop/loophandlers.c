/* The descriptors of a loop: ioloop_add_handler and the like, and what loopmember.h has for descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "ioloop/ioalloc.h"
#include "ioloop/loopstate.h"

#define BOXED 1 /* the number of functions that have none */

/* Functions. */

struct boxed_handler {
    ioloop_handler_fn *function;
    void *arg;
};

/* The box may be gone when the function returns. */
static void call_boxed_handler(int fd, unsigned events, void *arg)
{
    const struct boxed_handler *box = arg;

    box->function(fd, events, box->arg);
}

ioloop_handler_fn *loopstate_function_of(const struct ioloop *loop, const struct handler *handler)
{
    return handler->function == BOXED ? ((struct boxed_handler *)handler->arg)->function
                                      : loop->functions.of[handler->function];
}

/* The number of a function, its own or one that nobody uses now; BOXED: there is none. What is not used any more stays
 * where it is, as it mostly comes back. */
static unsigned number_of_function(const struct handlerfunctions *functions, ioloop_handler_fn *function)
{
    unsigned unused = BOXED;

    for (unsigned number = BOXED + 1; number < LOOPSTATE_FUNCTIONS; number++) {
        if (functions->of[number] == function)
            return number;
        if (functions->uses[number] == 0 && unused == BOXED)
            unused = number;
    }
    return unused;
}

static int set_function(struct ioloop *loop, struct handler *handler, ioloop_handler_fn *function, void *arg)
{
    struct handlerfunctions *functions = &loop->functions;
    unsigned number = number_of_function(functions, function);

    if (number == BOXED) {
        struct boxed_handler *box = ioalloc(sizeof *box);
        if (box == NULL)
            return -ENOMEM;
        *box = (struct boxed_handler){ function, arg };
        arg = box;
        function = call_boxed_handler;
    }
    functions->of[number] = function;
    functions->uses[number]++;
    handler->function = (uint8_t)number;
    handler->arg = arg;
    return 0;
}

static void drop_function(struct ioloop *loop, struct handler *handler)
{
    if (handler->function == BOXED)
        ioalloc_free(handler->arg);
    loop->functions.uses[handler->function]--;
    handler->function = 0;
}

/* The table. */

static struct handler *find_handler(struct ioloop *loop, int fd)
{
    if (fd < 0 || (size_t)fd >= loop->handler_count || loop->handlers[fd].function == 0)
        return NULL;
    return &loop->handlers[fd];
}

/* A 32nd more than is needed: so it seldom moves, and what is unused does not count. */
static int make_room_for(struct ioloop *loop, int fd)
{
    size_t count = (size_t)fd + 1;

    if (count <= loop->handler_count)
        return 0;
    if (fcntl(fd, F_GETFD) < 0) /* before a number that is none makes the table gigabytes long */
        return -errno;
    count = (count + count / 32 + 63) & ~(size_t)63;
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
    handler->events = events & 0x3fffu;
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
    if (handler->function != 0)
        return -EEXIST;
    *handler = (struct handler){ .generation = handler->generation + 1 };
    return set_function(loop, handler, function, arg);
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
        drop_function(loop, handler);
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

        if (handler->function != 0 && handler->claimed && loopstate_function_of(loop, handler) == function) {
            *fd = (int)i + 1;
            return handler->function == BOXED ? ((struct boxed_handler *)handler->arg)->arg : handler->arg;
        }
    }
    return NULL;
}

static void unwatch(struct ioloop *loop, int fd, struct handler *handler)
{
    /* In a child of fork() the kernel queue is the parent's: hands off. */
    if (handler->watched && loop->forks == loopstate_forks)
        poller_remove(loop->poller, fd);
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
    error = handler->watched ? poller_update(loop->poller, fd, events, handler->generation)
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
    drop_function(loop, handler);
}
