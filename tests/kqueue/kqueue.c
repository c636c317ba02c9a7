/* kqueue(2) on Linux: an epoll descriptor, with the filters beside it in a table by the descriptor's number.
 *
 * Both filters of a descriptor share its one registration with epoll. All timers are timerfds. All user events share
 * one eventfd that is always readable: to trigger one is to switch that registration on, which is a single system
 * call without a lock, and so may be done from a signal handler.
 *
 * What a BSD does otherwise:
 * - Filters vanish with their descriptor, not with the last duplicate of it.
 * - A queue is told when it is closed. Here its memory waits for the next queue with that number, and so do the
 *   descriptors of timers that were not deleted.
 * - fflags say which error a socket has. Linux cannot tell without clearing it: ECONNRESET stands for all of them.
 * - EVFILT_WRITE has EV_EOF after the program's own shutdown, data is the room there is, and a TCP socket that was
 *   never connected is silent.
 * - EV_CLEAR holds for one filter; here only where each filter of the descriptor has it. NOTE_LOWAT needs it too.
 * - Files can be watched, there are more filters (EVFILT_PROC is refused with ENOSYS), and any number of timers and
 *   user events. */
#include <sys/event.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { MAX_QUEUES = 65536, MAX_OTHERS = 16, MAX_READY = 512 };

/* What an event of epoll belongs to: the upper half of its data, with the descriptor in the lower. */
enum kind { DESCRIPTOR, TIMER, USERS };

enum { READ, WRITE };

/* The atomic members, and ident while added, are what a trigger touches; the others are under the queue's lock. */
struct filter {
    atomic_bool added;
    bool enabled;
    short type;
    unsigned short flags; /* EV_CLEAR, EV_ONESHOT: those of the first EV_ADD */
    uintptr_t ident;
    void *udata;
    int64_t low_water;     /* of descriptors */
    int timerfd;           /* of timers */
    atomic_bool triggered; /* of user events */
    atomic_uint fflags;
};

struct descriptor {
    struct filter filters[2]; /* READ, WRITE */
    bool is_socket;
    bool write_first; /* READ was reported last, and there was no room for WRITE */
};

struct queue {
    int epoll;
    pthread_mutex_t lock; /* not held while waiting */
    struct descriptor *descriptors;
    size_t descriptor_count;
    struct filter others[MAX_OTHERS]; /* timers and user events */
};

struct output {
    struct kevent *events;
    int count, capacity;
};

/* By number; never freed, so that a trigger needs no lock. */
static _Atomic(struct queue *) queues[MAX_QUEUES];
static atomic_int queue_limit;
static int always_readable;

/* Errors are positive in this file, as in a kernel. */
static int control(const struct queue *queue, int operation, int fd, uint32_t events, enum kind kind)
{
    struct epoll_event event = { .events = events, .data.u64 = (uint64_t)kind << 32 | (uint32_t)fd };

    return epoll_ctl(queue->epoll, operation, fd, &event) < 0 ? errno : 0;
}

/* Filters of all types. */

static void change_filter(struct filter *filter, const struct kevent *change)
{
    if (!filter->added) {
        filter->type = change->filter;
        filter->ident = change->ident;
        filter->flags = change->flags & (EV_CLEAR | EV_ONESHOT);
        filter->fflags = 0;
        filter->triggered = false;
    }
    filter->udata = change->udata;
    if ((change->flags & (EV_ADD | EV_ENABLE)) != 0)
        filter->enabled = true;
    if ((change->flags & (EV_DISABLE | EV_DELETE)) != 0)
        filter->enabled = false;
    filter->added = (change->flags & EV_DELETE) == 0;
}

static struct kevent *report(struct output *output, const struct filter *filter)
{
    struct kevent *event = &output->events[output->count++];

    *event = (struct kevent){
        .ident = filter->ident, .filter = filter->type, .flags = filter->flags, .udata = filter->udata
    };
    return event;
}

/* Timers and user events. */

static struct filter *find_other(struct queue *queue, short type, uintptr_t ident)
{
    for (struct filter *filter = queue->others; filter < queue->others + MAX_OTHERS; filter++) {
        if (filter->added && filter->type == type && filter->ident == ident)
            return filter;
    }
    return NULL;
}

static int find_or_add_other(struct queue *queue, const struct kevent *change, struct filter **result)
{
    struct filter *filter = find_other(queue, change->filter, change->ident);

    for (int i = 0; filter == NULL && i < MAX_OTHERS && (change->flags & EV_ADD) != 0; i++)
        filter = queue->others[i].added ? NULL : &queue->others[i];
    *result = filter;
    return filter != NULL ? 0 : (change->flags & EV_ADD) != 0 ? ENOMEM : ENOENT;
}

/* Edge-triggered: an event for each call. */
static int switch_users_on(const struct queue *queue)
{
    return control(queue, EPOLL_CTL_MOD, always_readable, EPOLLIN | EPOLLET, USERS);
}

static int set_fflags(const struct queue *queue, struct filter *filter, unsigned fflags)
{
    unsigned flags = fflags & NOTE_FFLAGSMASK;

    switch (fflags & NOTE_FFCTRLMASK) {
    case NOTE_FFAND:
        atomic_fetch_and(&filter->fflags, flags);
        break;
    case NOTE_FFOR:
        atomic_fetch_or(&filter->fflags, flags);
        break;
    case NOTE_FFCOPY:
        filter->fflags = flags;
        break;
    }
    if ((fflags & NOTE_TRIGGER) != 0)
        filter->triggered = true;
    return filter->triggered ? switch_users_on(queue) : 0;
}

static bool is_trigger(const struct kevent *change)
{
    return change->filter == EVFILT_USER && (change->flags & (EV_ADD | EV_DELETE | EV_ENABLE | EV_DISABLE)) == 0;
}

static int trigger_user(struct queue *queue, const struct kevent *change)
{
    struct filter *filter = find_other(queue, EVFILT_USER, change->ident);

    return filter == NULL ? ENOENT : set_fflags(queue, filter, change->fflags);
}

static int change_user(struct queue *queue, const struct kevent *change)
{
    struct filter *filter;
    int error = find_or_add_other(queue, change, &filter);

    if (error != 0)
        return error;
    bool is_new = !filter->added;
    change_filter(filter, change);
    return set_fflags(queue, filter, is_new ? change->fflags | NOTE_FFCOPY : change->fflags);
}

static void report_users(struct queue *queue, struct output *output)
{
    bool again = false;

    for (struct filter *filter = queue->others; filter < queue->others + MAX_OTHERS; filter++) {
        bool once = (filter->flags & (EV_CLEAR | EV_ONESHOT)) != 0;

        if (!filter->added || !filter->enabled || !filter->triggered)
            continue;
        again = again || !once || output->count == output->capacity;
        if (output->count == output->capacity)
            continue;
        if (once)
            filter->triggered = false; /* before fflags are read: a trigger from now on is the next event's */
        report(output, filter)->fflags = once ? atomic_exchange(&filter->fflags, 0) : filter->fflags;
        if ((filter->flags & EV_ONESHOT) != 0)
            filter->added = false;
    }
    if (again)
        switch_users_on(queue);
}

static int set_timer(const struct filter *filter, const struct kevent *change)
{
    int64_t unit = (change->fflags & NOTE_SECONDS) != 0    ? 1000000000
                   : (change->fflags & NOTE_USECONDS) != 0 ? 1000
                   : (change->fflags & NOTE_NSECONDS) != 0 ? 1
                                                           : 1000000;
    int64_t nanoseconds = change->data > 0 ? change->data * unit : 1;
    struct timespec period = { .tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000 };
    struct itimerspec setting = { .it_value = period };

    if ((filter->flags & EV_ONESHOT) == 0)
        setting.it_interval = period;
    return timerfd_settime(filter->timerfd, 0, &setting, NULL) < 0 ? errno : 0;
}

static int change_timer(struct queue *queue, const struct kevent *change)
{
    struct filter *filter;
    int error = find_or_add_other(queue, change, &filter);

    if (error != 0)
        return error;
    if (!filter->added) {
        int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        if (fd < 0)
            return errno;
        error = control(queue, EPOLL_CTL_ADD, fd, 0, TIMER);
        if (error != 0) {
            close(fd);
            return error;
        }
        filter->timerfd = fd;
    }
    change_filter(filter, change);
    filter->flags |= EV_CLEAR;
    if (!filter->added)
        return close(filter->timerfd) < 0 ? errno : 0;
    error = control(queue, EPOLL_CTL_MOD, filter->timerfd, filter->enabled ? EPOLLIN : 0, TIMER);
    return error == 0 && (change->flags & EV_ADD) != 0 ? set_timer(filter, change) : error;
}

static void report_timer(struct queue *queue, int fd, struct output *output)
{
    struct filter *filter = queue->others;
    uint64_t expirations;

    while (filter < queue->others + MAX_OTHERS &&
           (!filter->added || filter->type != EVFILT_TIMER || filter->timerfd != fd))
        filter++;
    if (filter == queue->others + MAX_OTHERS || output->count == output->capacity ||
        read(fd, &expirations, sizeof expirations) < 0)
        return;
    report(output, filter)->data = (int64_t)expirations;
    if ((filter->flags & EV_ONESHOT) != 0) {
        close(fd);
        filter->added = false;
    }
}

/* Descriptors. */

static struct descriptor *find_descriptor(struct queue *queue, size_t fd)
{
    if (fd >= queue->descriptor_count) {
        size_t count = 2 * fd + 64;
        struct descriptor *descriptors = realloc(queue->descriptors, count * sizeof *descriptors);

        if (descriptors == NULL)
            return NULL;
        memset(descriptors + queue->descriptor_count, 0, (count - queue->descriptor_count) * sizeof *descriptors);
        queue->descriptors = descriptors;
        queue->descriptor_count = count;
    }
    return &queue->descriptors[fd];
}

/* What epoll has to report for the filters. Hang-ups and errors it reports always, but without a filter that is
 * enabled only once, and then they are dropped. */
static uint32_t epoll_events(const struct descriptor *descriptor)
{
    const struct filter *read = &descriptor->filters[READ], *write = &descriptor->filters[WRITE];
    bool level = (read->enabled && (read->flags & EV_CLEAR) == 0) || (write->enabled && (write->flags & EV_CLEAR) == 0);

    return (read->enabled ? EPOLLIN | EPOLLRDHUP : 0u) | (write->enabled && write->low_water <= 1 ? EPOLLOUT : 0u) |
           (level ? 0u : EPOLLET);
}

/* Tells epoll of the filters that a descriptor is to have instead of those it has. */
static int replace_descriptor(struct queue *queue, int fd, struct descriptor *old, const struct descriptor *new)
{
    bool had_any = old->filters[READ].added || old->filters[WRITE].added;
    bool has_any = new->filters[READ].added || new->filters[WRITE].added;
    int operation = !had_any ? EPOLL_CTL_ADD : has_any ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;
    int error = control(queue, operation, fd, epoll_events(new), DESCRIPTOR);

    if (error == 0)
        *old = *new;
    return error;
}

static int change_descriptor(struct queue *queue, const struct kevent *change)
{
    int fd = (int)change->ident, which = change->filter == EVFILT_READ ? READ : WRITE;
    bool has_low_water = (change->fflags & NOTE_LOWAT) != 0;
    struct stat status;

    if (change->ident > INT_MAX || fstat(fd, &status) < 0)
        return EBADF;
    struct descriptor *descriptor = find_descriptor(queue, change->ident);
    if (descriptor == NULL)
        return ENOMEM;
    if ((change->flags & EV_ADD) == 0 && !descriptor->filters[which].added)
        return ENOENT;

    struct descriptor changed = *descriptor;
    changed.is_socket = S_ISSOCK(status.st_mode);
    change_filter(&changed.filters[which], change);
    changed.filters[which].low_water = has_low_water ? change->data : 0;
    if (has_low_water && (changed.filters[which].flags & EV_CLEAR) == 0)
        return EINVAL;
    int error = replace_descriptor(queue, fd, descriptor, &changed);
    if (error == ENOENT) { /* closed since, and its filters with it; this is another one with its number */
        *descriptor = (struct descriptor){ 0 };
        if ((change->flags & EV_ADD) != 0)
            error = change_descriptor(queue, change);
    }
    return error;
}

/* Listeners, for example, cannot say how much there is. */
static int64_t readable_bytes(int fd)
{
    int bytes;

    return ioctl(fd, FIONREAD, &bytes) < 0 ? 1 : bytes;
}

static void report_filter(struct queue *queue, int fd, int which, uint32_t ready, struct output *output)
{
    struct descriptor *descriptor = &queue->descriptors[fd];
    const struct filter *filter = &descriptor->filters[which];
    bool usable = (ready & (which == READ ? EPOLLIN : EPOLLOUT)) != 0;
    bool error = (ready & EPOLLERR) != 0;
    bool end = (ready & (which == READ ? EPOLLHUP | EPOLLRDHUP : EPOLLHUP)) != 0 || (error && !descriptor->is_socket);
    int64_t data = which == READ ? readable_bytes(fd) : usable;

    if (!filter->enabled || !(error || end || (usable && data >= filter->low_water)))
        return;
    if (output->count == output->capacity) { /* its turn comes first, and epoll is made to report it again */
        descriptor->write_first = which == WRITE;
        control(queue, EPOLL_CTL_MOD, fd, epoll_events(descriptor), DESCRIPTOR);
        return;
    }
    struct kevent *event = report(output, filter);
    event->data = data;
    event->flags |= end ? EV_EOF : 0;
    event->fflags = error && descriptor->is_socket ? ECONNRESET : 0;
    if ((filter->flags & EV_ONESHOT) != 0) {
        struct kevent change = { .ident = filter->ident, .filter = filter->type, .flags = EV_DELETE };
        change_descriptor(queue, &change);
    }
}

static void report_descriptor(struct queue *queue, int fd, uint32_t ready, struct output *output)
{
    int first = queue->descriptors[fd].write_first ? WRITE : READ;

    report_filter(queue, fd, first, ready, output);
    report_filter(queue, fd, !first, ready, output);
}

/* The two calls. */

/* Leaves what belonged to the queue that had this number before. */
static void clear_queue(struct queue *queue)
{
    for (struct filter *filter = queue->others; filter < queue->others + MAX_OTHERS; filter++) {
        if (filter->added && filter->type == EVFILT_TIMER)
            close(filter->timerfd);
        filter->added = false;
    }
    free(queue->descriptors);
    queue->descriptors = NULL;
    queue->descriptor_count = 0;
}

static struct queue *find_queue(int kq)
{
    return kq >= 0 && kq < MAX_QUEUES ? queues[kq] : NULL;
}

static struct queue *find_or_add_queue(int kq)
{
    struct queue *queue = find_queue(kq);

    if (queue != NULL || kq >= MAX_QUEUES || (queue = calloc(1, sizeof *queue)) == NULL)
        return queue;
    pthread_mutex_init(&queue->lock, NULL);
    queue->epoll = kq;
    queues[kq] = queue;
    int limit = queue_limit;
    while (limit <= kq && !atomic_compare_exchange_weak(&queue_limit, &limit, kq + 1))
        continue;
    return queue;
}

int kqueue(void)
{
    int kq = epoll_create1(EPOLL_CLOEXEC), error = ENOMEM;

    if (kq < 0)
        return -1;
    struct queue *queue = find_or_add_queue(kq);
    if (queue != NULL) {
        pthread_mutex_lock(&queue->lock);
        clear_queue(queue);
        error = control(queue, EPOLL_CTL_ADD, always_readable, 0, USERS);
        pthread_mutex_unlock(&queue->lock);
    }
    if (error != 0) {
        close(kq);
        errno = error;
        return -1;
    }
    return kq;
}

static int apply(struct queue *queue, const struct kevent *change)
{
    int error = EINVAL;

    if (is_trigger(change))
        return trigger_user(queue, change);
    pthread_mutex_lock(&queue->lock);
    switch (change->filter) {
    case EVFILT_READ:
    case EVFILT_WRITE:
        error = change_descriptor(queue, change);
        break;
    case EVFILT_TIMER:
        error = change_timer(queue, change);
        break;
    case EVFILT_USER:
        error = change_user(queue, change);
        break;
    case EVFILT_PROC:
        error = ENOSYS;
        break;
    }
    pthread_mutex_unlock(&queue->lock);
    return error;
}

/* Reports what is ready now. A descriptor may have two events: so half as many are asked for as there is room. */
static int collect(struct queue *queue, struct output *output)
{
    struct epoll_event ready[MAX_READY];
    int limit = output->capacity > 2 * MAX_READY ? MAX_READY : output->capacity > 1 ? output->capacity / 2 : 1;

    pthread_mutex_lock(&queue->lock);
    int count = epoll_wait(queue->epoll, ready, limit, 0);
    for (int i = 0; i < count; i++) {
        int fd = (int)(uint32_t)ready[i].data.u64;

        switch ((enum kind)(ready[i].data.u64 >> 32)) {
        case DESCRIPTOR:
            report_descriptor(queue, fd, ready[i].events, output);
            break;
        case TIMER:
            report_timer(queue, fd, output);
            break;
        case USERS:
            report_users(queue, output);
            break;
        }
    }
    pthread_mutex_unlock(&queue->lock);
    return count;
}

static int64_t nanoseconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* 1: something may be ready, 0: the time is over, -1: an error. */
static int wait_until(int kq, int64_t deadline)
{
    struct pollfd entry = { .fd = kq, .events = POLLIN };
    int64_t left = deadline - nanoseconds_now();
    struct timespec timeout = { .tv_sec = left / 1000000000, .tv_nsec = left % 1000000000 };

    if (left <= 0)
        return 0;
    return ppoll(&entry, 1, deadline == INT64_MAX ? NULL : &timeout, NULL);
}

int kevent(int kq, const struct kevent *changes, int change_count, struct kevent *events, int event_count,
           const struct timespec *timeout)
{
    struct queue *queue = find_queue(kq);
    struct output output = { .events = events, .capacity = event_count };
    int64_t deadline = INT64_MAX;

    if (queue == NULL) {
        errno = EBADF;
        return -1;
    }
    for (int i = 0; i < change_count; i++) {
        struct kevent change = changes[i]; /* which may lie in events */
        int error = apply(queue, &change);

        if (error != 0 && output.count == output.capacity) {
            errno = error;
            return -1;
        }
        if ((error != 0 || (change.flags & EV_RECEIPT) != 0) && output.count < output.capacity) {
            change.flags = EV_ERROR;
            change.data = error;
            output.events[output.count++] = change;
        }
    }
    if (output.count > 0 || event_count == 0)
        return output.count;

    if (timeout != NULL && timeout->tv_sec < 1000000000)
        deadline = nanoseconds_now() + (int64_t)timeout->tv_sec * 1000000000 + timeout->tv_nsec;
    for (int waited = 1; waited > 0 && output.count == 0;) {
        if (collect(queue, &output) < 0)
            return -1;
        if (output.count == 0 && (waited = wait_until(kq, deadline)) < 0)
            return -1;
    }
    return output.count;
}

/* A child does not inherit queues. Those that are still open are known by the eventfd in them. */
static void close_queues(void)
{
    for (int kq = 0; kq < queue_limit; kq++) {
        struct queue *queue = queues[kq];

        if (queue == NULL)
            continue;
        pthread_mutex_init(&queue->lock, NULL);
        clear_queue(queue);
        int error = control(queue, EPOLL_CTL_ADD, always_readable, 0, USERS);
        if (error == EEXIST)
            close(kq);
        else if (error == 0)
            control(queue, EPOLL_CTL_DEL, always_readable, 0, USERS);
    }
}

__attribute__((constructor)) static void prepare(void)
{
    always_readable = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    if (always_readable < 0 || pthread_atfork(NULL, NULL, close_queues) != 0)
        abort();
}
