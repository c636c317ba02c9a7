#include "ioloop/iofuture.h"

#include <assert.h>
#include <errno.h>

#include "ioloop/ioalloc.h"
#include "ioloop/iofuturelayer.h"
#include "ioloop/iolog.h"

/* Rings. */

static void clear_ring(struct iofuture_ring *ring)
{
    ring->next = ring->previous = ring;
}

static bool is_empty_ring(const struct iofuture_ring *ring)
{
    return ring->next == ring;
}

/* All of one becomes all of the other, which was empty. */
static void move_ring(struct iofuture_ring *from, struct iofuture_ring *to)
{
    if (is_empty_ring(from))
        return;
    *to = *from;
    to->next->previous = to->previous->next = to;
    clear_ring(from);
}

/* Life. */

static struct iofuture *future_of_task(struct looptask *task)
{
    return (struct iofuture *)((char *)task - offsetof(struct iofuture, task));
}

static void free_owned_value(void *value, iofuture_free_fn *free_value)
{
    if (free_value != NULL)
        free_value(value);
}

static void log_error(int error)
{
    if (error != 0 && error != -ECANCELED)
        iolog_write(IOLOG_APPLICATION, IOLOG_ERROR, "a future failed, and nobody asked: %s", ioloop_strerror(error));
}

static void free_future(struct iofuture *future)
{
    loopmember_remove(&future->member);
    if (!future->observed)
        log_error(future->error);
    if (future->kind != NULL && future->kind->free != NULL)
        future->kind->free(future);
    free_owned_value(future->value, future->free_value);
    if (future->source != NULL)
        iofuture_release(future->source);
    ioalloc_free(future);
}

/* There is no loop any more that it could be put off to. Futures that hold each other in a row are freed one after the
 * other all the same, and not one inside the other. */
static void free_without_loop(struct iofuture *future)
{
    static _Thread_local struct looptask *waiting;
    static _Thread_local bool is_freeing;

    future->task.next = waiting;
    waiting = &future->task;
    if (is_freeing)
        return;
    is_freeing = true;
    while (waiting != NULL) {
        struct iofuture *next = future_of_task(waiting);

        waiting = waiting->next;
        free_future(next);
    }
    is_freeing = false;
}

static bool is_needed(const struct iofuture *future)
{
    return future->owed || future->holds > 0 || !future->done;
}

static void free_unless_needed(struct iofuture *future)
{
    if (is_needed(future))
        return;
    if (future->loop != NULL)
        looptask_add_first(future->loop, &future->task);
    else
        free_without_loop(future);
}

/* The loop is about to go, all callbacks on it have run, and who made this one has not set it: it never will. */
static void end_after_loop(struct loopmember *member)
{
    struct iofuture *future = (struct iofuture *)member;

    loopmember_remove(member);
    future->loop = NULL;
    future->owed = false;
    free_unless_needed(future);
}

/* Whoever waits for it learns that it is over. Others that end with the loop may set it yet. */
static void end_with_loop(struct loopmember *member)
{
    struct iofuture *future = (struct iofuture *)member;

    loopmember_remove(member);
    member->close = end_after_loop;
    loopmember_add_last(future->loop, member);
    iofuture_cancel(future);
}

static void run_future(struct looptask *task);

void *iofuturelayer_new(struct ioloop *loop, size_t size, const struct iofuture_kind *kind)
{
    int error = loopmember_check(loop);
    struct iofuture *future = error == 0 ? ioalloc_zeroed(size) : NULL;

    if (future == NULL)
        return errno = error != 0 ? -error : ENOMEM, NULL;
    future->member.close = end_with_loop;
    future->task.run = run_future;
    future->loop = loop;
    future->kind = kind;
    clear_ring(&future->callbacks);
    clear_ring(&future->due);
    future->owed = true;
    loopmember_add_first(loop, &future->member);
    return future;
}

struct iofuture *iofuture_new(struct ioloop *loop)
{
    return iofuturelayer_new(loop, sizeof(struct iofuture), NULL);
}

void iofuturelayer_discard(struct iofuture *future)
{
    loopmember_remove(&future->member);
    ioalloc_free(future);
}

struct ioloop *iofuture_loop(const struct iofuture *future)
{
    return future->loop;
}

void iofuture_hold(struct iofuture *future)
{
    future->holds++;
}

void iofuture_release(struct iofuture *future)
{
    assert(future->holds > 0);
    future->holds--;
    free_unless_needed(future);
}

/* Callbacks. */

void iofuturelayer_remove(struct iofuture_link *link)
{
    if (link->ring.next == NULL)
        return;
    link->ring.previous->next = link->ring.next;
    link->ring.next->previous = link->ring.previous;
    link->ring.next = NULL;
    if (link->allocated)
        ioalloc_free(link);
}

void iofuturelayer_add(struct iofuture *future, struct iofuture_link *link, iofuture_fn *callback, void *arg)
{
    struct iofuture_ring *end = &future->callbacks;

    link->callback = callback;
    link->arg = arg;
    link->ring = (struct iofuture_ring){ end, end->previous };
    end->previous = end->previous->next = &link->ring;
    if (future->done)
        looptask_add_first(future->loop, &future->task);
}

/* Those that are there now: what they add waits for the next iteration. */
static void run_future_callbacks(struct iofuture *future)
{
    move_ring(&future->callbacks, &future->due);
    while (!is_empty_ring(&future->due)) {
        struct iofuture_link *link = (struct iofuture_link *)future->due.next;
        iofuture_fn *callback = link->callback;
        void *arg = link->arg;

        iofuturelayer_remove(link);
        callback(future, arg);
    }
}

static void run_future(struct looptask *task)
{
    struct iofuture *future = future_of_task(task);

    run_future_callbacks(future);
    if (!is_needed(future) && !looptask_waits(task))
        free_future(future);
}

/* Whoever was to make it has set errno. */
static int missing_future(void)
{
    return errno != 0 ? -errno : -EINVAL;
}

int iofuturelayer_check(struct ioloop *loop, struct iofuture *const *futures, size_t count)
{
    int error = loop != NULL ? loopmember_check(loop) : -EBADF;

    for (size_t i = 0; i < count && error == 0; i++) {
        if (futures[i] == NULL)
            error = missing_future();
        else if (futures[i]->loop != loop)
            error = -EINVAL;
    }
    return error;
}

int iofuture_add_callback(struct iofuture *future, iofuture_fn *callback, void *arg)
{
    int error = future != NULL ? iofuturelayer_check(future->loop, NULL, 0) : missing_future();

    if (error < 0)
        return error;
    struct iofuture_link *link = &future->first;
    if (link->ring.next != NULL) {
        link = ioalloc_zeroed(sizeof *link);
        if (link == NULL)
            return -ENOMEM;
        link->allocated = true;
    }
    iofuturelayer_add(future, link, callback, arg);
    return 0;
}

static bool remove_callback_from(struct iofuture_ring *ring, iofuture_fn *callback, void *arg)
{
    for (struct iofuture_ring *place = ring->next; place != ring; place = place->next) {
        struct iofuture_link *link = (struct iofuture_link *)place;

        if (link->callback == callback && link->arg == arg) {
            iofuturelayer_remove(link);
            return true;
        }
    }
    return false;
}

void iofuture_remove_callback(struct iofuture *future, iofuture_fn *callback, void *arg)
{
    if (!remove_callback_from(&future->due, callback, arg))
        remove_callback_from(&future->callbacks, callback, arg);
}

/* Outcomes. */

static void become_done(struct iofuture *future, int error)
{
    future->done = true;
    future->error = error;
    looptask_add_first(future->loop, &future->task);
}

void iofuturelayer_let_go(struct iofuture *future)
{
    future->owed = false;
    free_unless_needed(future);
}

int iofuture_set_result(struct iofuture *future, void *value, iofuture_free_fn *free_value)
{
    if (!future->owed)
        return -EALREADY;
    if (future->done) {
        free_owned_value(value, free_value);
        iofuturelayer_let_go(future);
        return 0;
    }
    future->owed = false;
    future->value = value;
    future->free_value = free_value;
    become_done(future, 0);
    return 0;
}

int iofuture_set_error(struct iofuture *future, int error)
{
    if (error >= 0)
        return -EINVAL;
    if (!future->owed)
        return -EALREADY;
    if (future->done) {
        log_error(error);
        iofuturelayer_let_go(future);
        return 0;
    }
    future->owed = false;
    become_done(future, error);
    return 0;
}

void iofuture_cancel(struct iofuture *future)
{
    if (future->done)
        return;
    future->cancelled = true;
    become_done(future, -ECANCELED);
    if (future->kind != NULL)
        future->kind->cancel(future);
}

bool iofuture_done(const struct iofuture *future)
{
    return future->done;
}

bool iofuture_cancelled(const struct iofuture *future)
{
    return future->cancelled;
}

int iofuture_error(struct iofuture *future)
{
    future->observed |= future->done;
    return future->error;
}

void *iofuture_result(const struct iofuture *future)
{
    return future->value;
}

void *iofuture_take_result(struct iofuture *future)
{
    void *value = future->value;

    while (future->source != NULL)
        future = future->source;
    future->free_value = NULL;
    return value;
}

/* Chains. */

void iofuturelayer_copy(struct iofuture *from, struct iofuture *to)
{
    if (to->done) {
        if (to->owed)
            iofuturelayer_let_go(to);
        return;
    }
    int error = iofuture_error(from);
    to->owed = false;
    to->cancelled = from->cancelled;
    to->value = from->value;
    if (error == 0) {
        to->source = from;
        iofuture_hold(from);
    }
    become_done(to, error);
}

static void end_chain(struct iofuture *from, void *arg)
{
    struct iofuture *to = arg;

    iofuturelayer_copy(from, to);
    iofuture_release(to);
}

int iofuture_chain(struct iofuture *from, struct iofuture *to)
{
    int error = iofuturelayer_check(to->loop, &from, 1);

    if (error == 0)
        error = iofuture_add_callback(from, end_chain, to);
    if (error == 0)
        iofuture_hold(to);
    return error;
}
