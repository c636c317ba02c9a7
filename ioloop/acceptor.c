#include "ioloop/acceptor.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include "ioloop/ioalloc.h"
#include "ioloop/iolog.h"
#include "ioloop/kernel.h"
#include "ioloop/loopmember.h"
#include "ioloop/looptask.h"
#include "ioloop/netutil.h"

#define ACCEPTS_A_TURN 64
#define FIRST_REST     0.1
#define LONGEST_REST   1.0
#define LOG_INTERVAL   10.0

struct acceptor {
    struct ioloop *loop;
    int listener;
    const struct acceptor_functions *functions;
    void *arg;
    struct looptask task; /* ends a rest for which there was no timeout to be had */
    uint64_t timeout;
    double rest;   /* seconds of the last one; 0: something was accepted since */
    double logged; /* when the log was told last */
    bool paused, resting;
    bool shares;            /* each process that watches the listener is told of a connection, not only one of them */
    bool accepting, closed; /* closed while accepting: freed when that returns */
    bool loop_closes;
};

/* The descriptor that is given up when there are no others: one a process, as the limit is. Threads that run short at
 * the same time do not wait for each other; who finds it taken leaves the connections to the one that took it. */
static atomic_int spare = -1;
static atomic_int acceptors;

static void fill_spare(void)
{
    int none = -1;
    int fd = atomic_load(&spare) < 0 ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;

    if (fd >= 0 && !atomic_compare_exchange_strong(&spare, &none, fd))
        close(fd);
}

static bool give_up_spare(void)
{
    int fd = atomic_exchange(&spare, -1);

    return fd >= 0 && close(fd) == 0;
}

/* Errors that accept(2) has for a connection that came to nothing before it was accepted. Others may be there the
 * next time as well: trying again at once would never end. */
static bool concerns_one_connection(int error)
{
    switch (-error) {
    case ECONNABORTED:
    case EPROTO:
    case EINTR:
    case EPERM: /* a firewall's */
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENOPROTOOPT:
    case ETIMEDOUT:
        return true;
    default:
        return false;
    }
}

int acceptor_take(struct acceptor *acceptor)
{
    int fd = -EAGAIN;

    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        fd = kernel_accept(acceptor->listener, NULL, NULL);
        if (fd >= 0 || !concerns_one_connection(fd))
            break;
    }
    return fd;
}

static bool is_shortage(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -ENOBUFS;
}

/* Clients that cannot be served learn it now, and not from a timeout of their own. */
static void turn_away(struct acceptor *acceptor)
{
    int fd;

    if (!give_up_spare())
        return;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        fd = kernel_accept(acceptor->listener, NULL, NULL);
        if (fd >= 0)
            close(fd);
        else if (!concerns_one_connection(fd))
            break;
    }
    fill_spare();
}

static void log_shortage(struct acceptor *acceptor, int error)
{
    struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
    socklen_t length = sizeof address;
    char text[160];
    double now = ioloop_time(acceptor->loop);

    if (now - acceptor->logged < LOG_INTERVAL)
        return;
    acceptor->logged = now;
    if (getsockname(acceptor->listener, (struct sockaddr *)&address, &length) < 0)
        length = 0;
    netutil_format_address((struct sockaddr *)&address, length, text, sizeof text);
    iolog_write(IOLOG_GENERAL, IOLOG_WARNING, "cannot accept connections on %s: %s", text, ioloop_strerror(error));
}

static void on_rested(void *arg);

static void start_rest(struct acceptor *acceptor, int error)
{
    double seconds = acceptor->rest > 0 ? acceptor->rest * 2 : FIRST_REST;

    acceptor->rest = seconds < LONGEST_REST ? seconds : LONGEST_REST;
    acceptor->resting = true;
    log_shortage(acceptor, error);
    loopmember_unwatch_fd(acceptor->loop, acceptor->listener);
    acceptor->timeout = ioloop_call_later(acceptor->loop, acceptor->rest, on_rested, acceptor);
    if (acceptor->timeout == 0)
        looptask_add(acceptor->loop, &acceptor->task);
}

static int tell_kernel(struct acceptor *acceptor)
{
    return acceptor->shares ? ioloop_update_handler(acceptor->loop, acceptor->listener, IOLOOP_READ)
                            : loopmember_watch_exclusive(acceptor->loop, acceptor->listener);
}

/* On a loop that is closed, or not this process's own, there is nothing to wait for. */
static int watch_listener(struct acceptor *acceptor)
{
    int error = 0;

    if (!acceptor->paused && !acceptor->resting)
        error = tell_kernel(acceptor);
    if (error == 0 || error == -EBADF || error == -ESTALE)
        return error;
    start_rest(acceptor, error);
    return 0;
}

static void drop_rest(struct acceptor *acceptor)
{
    ioloop_remove_timeout(acceptor->loop, acceptor->timeout);
    looptask_remove(acceptor->loop, &acceptor->task);
    acceptor->timeout = 0;
    acceptor->resting = false;
}

void acceptor_wake(struct acceptor *acceptor)
{
    if (!acceptor->resting)
        return;
    drop_rest(acceptor);
    watch_listener(acceptor);
}

static void on_rested(void *arg)
{
    fill_spare();
    acceptor_wake(arg);
}

static void on_rested_task(struct looptask *task)
{
    on_rested((char *)task - offsetof(struct acceptor, task));
}

/* Asking to watch what is watched costs no system call, and is refused when a callback has closed the loop. */
static bool still_watches(struct acceptor *acceptor)
{
    return !acceptor->closed && !acceptor->paused && !acceptor->resting && tell_kernel(acceptor) == 0;
}

/* Answers whether to go on with the next. */
static bool accept_one(struct acceptor *acceptor, bool first)
{
    const struct acceptor_functions *functions = acceptor->functions;
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    int error = 0;

    if (functions->may_accept != NULL && (!functions->may_accept(first, acceptor->arg) || !still_watches(acceptor)))
        return false;
    int fd = kernel_accept(acceptor->listener, (struct sockaddr *)&address, &length);
    if (fd == -EAGAIN)
        return false;
    if (fd >= 0)
        error = functions->accepted(fd, (struct sockaddr *)&address, length, acceptor->arg);
    else if (!concerns_one_connection(fd))
        error = fd;
    if (fd >= 0 && error == 0)
        acceptor->rest = 0;
    if (error < 0 && still_watches(acceptor)) {
        if (is_shortage(error))
            turn_away(acceptor);
        start_rest(acceptor, error);
    }
    return still_watches(acceptor);
}

static void on_event(int fd, unsigned events, void *arg)
{
    struct acceptor *acceptor = arg;

    if ((events & LOOPMEMBER_CLOSING) != 0) {
        acceptor->loop_closes = true;
        return;
    }
    acceptor->accepting = true;
    for (int i = 0; i < ACCEPTS_A_TURN && accept_one(acceptor, i == 0); i++)
        continue;
    acceptor->accepting = false;
    if (acceptor->closed)
        ioalloc_free(acceptor);
}

static int claim_listener(struct acceptor *acceptor)
{
    int error = kernel_adopt(acceptor->listener);

    if (error <= 0)
        return error < 0 ? error : -ENOTSOCK;
    error = loopmember_claim_fd(acceptor->loop, acceptor->listener, on_event, acceptor);
    if (error < 0)
        return error;
    error = loopmember_watch_exclusive(acceptor->loop, acceptor->listener);
    if (error < 0)
        ioloop_remove_handler(acceptor->loop, acceptor->listener);
    return error;
}

struct acceptor *acceptor_new(struct ioloop *loop, int listener, const struct acceptor_functions *functions, void *arg)
{
    struct acceptor *acceptor = ioalloc_zeroed(sizeof *acceptor);

    if (acceptor == NULL)
        return errno = ENOMEM, NULL;
    acceptor->loop = loop;
    acceptor->listener = listener;
    acceptor->functions = functions;
    acceptor->arg = arg;
    acceptor->task.run = on_rested_task;
    acceptor->logged = -INFINITY;
    int error = claim_listener(acceptor);
    if (error < 0) {
        ioalloc_free(acceptor);
        return errno = -error, NULL;
    }
    atomic_fetch_add(&acceptors, 1);
    fill_spare();
    return acceptor;
}

/* When the loop closes, a listener that stays its caller's keeps its handler, as others do: ioloop_close drops these
 * and, if it was told so, closes their descriptors. */
void acceptor_close(struct acceptor *acceptor, bool with_listener)
{
    drop_rest(acceptor);
    acceptor->closed = true;
    if (with_listener || !acceptor->loop_closes)
        ioloop_remove_handler(acceptor->loop, acceptor->listener);
    if (with_listener)
        close(acceptor->listener);
    if (atomic_fetch_sub(&acceptors, 1) == 1)
        give_up_spare();
    if (!acceptor->accepting)
        ioalloc_free(acceptor);
}

void acceptor_pause(struct acceptor *acceptor)
{
    acceptor->paused = true;
    loopmember_unwatch_fd(acceptor->loop, acceptor->listener);
}

int acceptor_resume(struct acceptor *acceptor)
{
    acceptor->paused = false;
    return watch_listener(acceptor);
}

void acceptor_share(struct acceptor *acceptor, bool shares)
{
    acceptor->shares = shares;
    watch_listener(acceptor);
}
