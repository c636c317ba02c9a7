/* Several futures: multi, any, the iterator. */
#include <errno.h>
#include <stdint.h>

#include "ioloop/ioalloc.h"
#include "ioloop/iofuture.h"
#include "ioloop/iofuturelayer.h"

/* Futures that somebody waits for, all in one allocation behind whoever does. */
struct futureslot {
    struct iofuture_link link;
    struct iofuture *future; /* held */
    void *owner;
};

struct futuregroup {
    size_t count;
    struct futureslot *slots;
};

/* The bytes of an owner, so many slots, and a pointer for each of them. 0: too many. */
static size_t size_of_group(size_t owner, size_t count)
{
    size_t each = sizeof(struct futureslot) + sizeof(void *);

    return count <= (SIZE_MAX / 2 - owner) / each ? owner + count * each : 0;
}

static void watch_group(struct futuregroup *group, struct iofuture *const *futures, iofuture_fn *callback, void *owner)
{
    for (size_t i = 0; i < group->count; i++) {
        struct futureslot *slot = &group->slots[i];

        slot->future = futures[i];
        slot->owner = owner;
        iofuture_hold(slot->future);
        iofuturelayer_add(slot->future, &slot->link, callback, slot);
    }
}

static void unwatch_group(struct futuregroup *group)
{
    for (size_t i = 0; i < group->count; i++)
        iofuturelayer_remove(&group->slots[i].link);
}

static void release_group(struct futuregroup *group)
{
    for (size_t i = 0; i < group->count; i++)
        iofuture_release(group->slots[i].future);
}

/* multi and any: futures themselves. */

struct grouped {
    struct iofuture future;
    struct futuregroup group;
    size_t waiting; /* futures that are not done yet */
    void **values;
    struct futureslot slots[];
};

static void stop_grouped(struct iofuture *future)
{
    unwatch_group(&((struct grouped *)future)->group);
    iofuturelayer_let_go(future);
}

/* The values are theirs, and go with them. */
static void free_grouped(struct iofuture *future)
{
    release_group(&((struct grouped *)future)->group);
}

static const struct iofuture_kind grouped_kind = { .cancel = stop_grouped, .free = free_grouped };

static struct grouped *new_grouped(struct ioloop *loop, struct iofuture *const *futures, size_t count,
                                   iofuture_fn *callback)
{
    size_t size = size_of_group(sizeof(struct grouped), count);
    int error = size != 0 ? iofuturelayer_check(loop, futures, count) : -ENOMEM;

    if (error < 0)
        return errno = -error, NULL;
    struct grouped *grouped = iofuturelayer_new(loop, size, &grouped_kind);
    if (grouped == NULL)
        return NULL;
    grouped->group = (struct futuregroup){ count, grouped->slots };
    grouped->waiting = count;
    grouped->values = (void **)(void *)(grouped->slots + count);
    watch_group(&grouped->group, futures, callback, grouped);
    return grouped;
}

/* All are done. Of the errors the first is passed on; nobody asks for the others, and so they are logged. */
static void end_multi(struct grouped *multi)
{
    for (size_t i = 0; i < multi->group.count; i++) {
        struct iofuture *future = multi->slots[i].future;

        if (future->error < 0) {
            iofuture_set_error(&multi->future, iofuture_error(future));
            return;
        }
        multi->values[i] = future->value;
    }
    iofuture_set_result(&multi->future, multi->values, NULL);
}

static void count_done(struct iofuture *future, void *arg)
{
    struct grouped *multi = ((struct futureslot *)arg)->owner;

    if (--multi->waiting == 0)
        end_multi(multi);
}

struct iofuture *iofuture_multi(struct ioloop *loop, struct iofuture *const *futures, size_t count)
{
    struct grouped *multi = new_grouped(loop, futures, count, count_done);

    if (multi == NULL)
        return NULL;
    if (count == 0)
        end_multi(multi);
    return &multi->future;
}

static void end_any(struct iofuture *future, void *arg)
{
    struct grouped *any = ((struct futureslot *)arg)->owner;

    unwatch_group(&any->group);
    iofuture_set_result(&any->future, future, NULL);
}

struct iofuture *iofuture_any(struct ioloop *loop, struct iofuture *const *futures, size_t count)
{
    if (count == 0)
        return errno = EINVAL, NULL;
    struct grouped *any = new_grouped(loop, futures, count, end_any);
    return any != NULL ? &any->future : NULL;
}

/* gen.WaitIterator. */

struct iofuture_iterator {
    struct loopmember member;
    struct looptask task; /* ends it once it is closed */
    struct ioloop *loop;
    struct futuregroup group;
    struct futureslot **finished; /* in their order */
    size_t finished_count, answered;
    struct iofuture *next; /* asked for, not answered; held */
    bool closed;
    struct futureslot slots[];
};

static void forget_next(struct iofuture_iterator *iterator)
{
    if (iterator->next != NULL)
        iofuture_release(iterator->next);
    iterator->next = NULL;
}

/* Nobody waits for one that was cancelled: it takes nothing away. */
static void drop_cancelled_next(struct iofuture_iterator *iterator)
{
    if (iterator->next == NULL || !iterator->next->done)
        return;
    iofuturelayer_let_go(iterator->next);
    forget_next(iterator);
}

static void answer_next(struct iofuture_iterator *iterator)
{
    drop_cancelled_next(iterator);
    if (iterator->next == NULL || iterator->answered == iterator->finished_count)
        return;
    iofuture_set_result(iterator->next, iterator->finished[iterator->answered++]->future, NULL);
    forget_next(iterator);
}

static void note_finished(struct iofuture *future, void *arg)
{
    struct futureslot *slot = arg;
    struct iofuture_iterator *iterator = slot->owner;

    iterator->finished[iterator->finished_count++] = slot;
    answer_next(iterator);
}

static struct iofuture_iterator *iterator_of_task(struct looptask *task)
{
    return (struct iofuture_iterator *)((char *)task - offsetof(struct iofuture_iterator, task));
}

static void free_iterator(struct looptask *task)
{
    ioalloc_free(iterator_of_task(task));
}

static void release_futures(struct loopmember *member)
{
    struct iofuture_iterator *iterator = (struct iofuture_iterator *)member;

    loopmember_remove(member);
    release_group(&iterator->group);
    looptask_end(iterator->loop, &iterator->task, free_iterator);
}

/* When the loop closes there may be those who are told of it later, and name its futures. */
static void end_iterator(struct looptask *task)
{
    struct iofuture_iterator *iterator = iterator_of_task(task);

    iterator->member.close = release_futures;
    if (loopmember_check(iterator->loop) == 0)
        release_futures(&iterator->member);
    else
        loopmember_add_last(iterator->loop, &iterator->member);
}

static void close_iterator_with_loop(struct loopmember *member)
{
    iofuture_iterator_close((struct iofuture_iterator *)member);
}

struct iofuture_iterator *iofuture_iterator_new(struct ioloop *loop, struct iofuture *const *futures, size_t count)
{
    size_t size = size_of_group(sizeof(struct iofuture_iterator), count);
    int error = size != 0 ? iofuturelayer_check(loop, futures, count) : -ENOMEM;

    if (error < 0)
        return errno = -error, NULL;
    struct iofuture_iterator *iterator = ioalloc_zeroed(size);
    if (iterator == NULL)
        return errno = ENOMEM, NULL;
    iterator->member.close = close_iterator_with_loop;
    iterator->task.run = end_iterator;
    iterator->loop = loop;
    iterator->group = (struct futuregroup){ count, iterator->slots };
    iterator->finished = (struct futureslot **)(void *)(iterator->slots + count);
    loopmember_add(loop, &iterator->member);
    watch_group(&iterator->group, futures, note_finished, iterator);
    return iterator;
}

bool iofuture_iterator_done(const struct iofuture_iterator *iterator)
{
    return iterator->answered == iterator->group.count;
}

struct iofuture *iofuture_iterator_next(struct iofuture_iterator *iterator)
{
    drop_cancelled_next(iterator);
    if (iterator->closed)
        return errno = EBADF, NULL;
    if (iterator->next != NULL)
        return errno = EBUSY, NULL;
    if (iofuture_iterator_done(iterator))
        return errno = ENOENT, NULL;
    struct iofuture *next = iofuture_new(iterator->loop);
    if (next == NULL)
        return NULL;
    iofuture_hold(next);
    iterator->next = next;
    answer_next(iterator);
    return next;
}

size_t iofuture_iterator_index(const struct iofuture_iterator *iterator)
{
    return iterator->answered > 0 ? (size_t)(iterator->finished[iterator->answered - 1] - iterator->slots) : 0;
}

void iofuture_iterator_close(struct iofuture_iterator *iterator)
{
    if (iterator->closed)
        return;
    iterator->closed = true;
    if (iterator->next != NULL)
        iofuture_cancel(iterator->next);
    drop_cancelled_next(iterator);
    unwatch_group(&iterator->group);
    loopmember_remove(&iterator->member);
    looptask_add(iterator->loop, &iterator->task);
}
