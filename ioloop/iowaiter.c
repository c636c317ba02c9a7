#include "ioloop/iowaiter.h"

#include <errno.h>

#include "ioloop/ioalloc.h"

/* Lines. */

void iowaiterline_init(struct iowaiterline *line)
{
    *line = (struct iowaiterline){ .last = &line->first };
}

/* Whoever is in line is not done, and the other way round. */
static void leave_line(struct iowaiter *waiter)
{
    *waiter->link = waiter->next;
    if (waiter->next != NULL)
        waiter->next->link = waiter->link;
    else
        waiter->line->last = waiter->link;
    ioloop_remove_timeout(waiter->future.loop, waiter->timeout);
}

struct iowaiter *iowaiterline_take(struct iowaiterline *line)
{
    struct iowaiter *waiter = line->first;

    if (waiter != NULL)
        leave_line(waiter);
    return waiter;
}

void iowaiterline_cancel(struct iowaiterline *line)
{
    while (line->first != NULL)
        iofuture_cancel(&line->first->future);
}

/* Waiters. */

static void stop_waiting_in_line(struct iofuture *future)
{
    leave_line((struct iowaiter *)future);
    iofuturelayer_let_go(future);
}

static const struct iofuture_kind waiter_kind = { .cancel = stop_waiting_in_line };

struct iowaiter *iowaiter_new(struct iowaiting *waiting)
{
    if (waiting->closed)
        return errno = EBADF, NULL;
    return iofuturelayer_new(waiting->loop, sizeof(struct iowaiter), &waiter_kind);
}

static void be_late(void *arg)
{
    struct iowaiter *waiter = arg;

    leave_line(waiter);
    if (waiter->late < 0)
        iofuture_set_error(&waiter->future, waiter->late);
    else
        iofuture_set_result(&waiter->future, NULL, NULL);
}

struct iofuture *iowaiter_wait(struct iowaiter *waiter, struct iowaiterline *line, double timeout, int late)
{
    if (!(timeout < 0)) {
        waiter->timeout = ioloop_call_later(waiter->future.loop, timeout, be_late, waiter);
        if (waiter->timeout == 0) {
            int error = errno;
            iofuturelayer_discard(&waiter->future);
            return errno = error, NULL;
        }
    }
    waiter->late = late;
    waiter->line = line;
    waiter->link = line->last;
    *line->last = waiter;
    line->last = &waiter->next;
    return &waiter->future;
}

struct iofuture *iowaiter_have(struct iowaiter *waiter, void *value, iofuture_free_fn *free_value)
{
    iofuture_set_result(&waiter->future, value, free_value);
    return &waiter->future;
}

/* What they wait for. */

static struct iowaiting *waiting_of_task(struct looptask *task)
{
    return (struct iowaiting *)((char *)task - offsetof(struct iowaiting, task));
}

static void free_waiting(struct looptask *task)
{
    ioalloc_free(waiting_of_task(task));
}

static void end_waiting(struct looptask *task)
{
    looptask_end(waiting_of_task(task)->loop, task, free_waiting);
}

static void close_waiting_with_loop(struct loopmember *member)
{
    iowaiting_close((struct iowaiting *)member);
}

void *iowaiting_new(struct ioloop *loop, size_t size, void (*end)(struct iowaiting *waiting))
{
    int error = loopmember_check(loop);
    struct iowaiting *waiting = error == 0 ? ioalloc_zeroed(size) : NULL;

    if (waiting == NULL)
        return errno = error != 0 ? -error : ENOMEM, NULL;
    waiting->member.close = close_waiting_with_loop;
    waiting->task.run = end_waiting;
    waiting->loop = loop;
    waiting->end = end;
    iowaiterline_init(&waiting->line);
    loopmember_add(loop, &waiting->member);
    return waiting;
}

void iowaiting_close(struct iowaiting *waiting)
{
    if (waiting->closed)
        return;
    waiting->closed = true;
    iowaiterline_cancel(&waiting->line);
    if (waiting->end != NULL)
        waiting->end(waiting);
    loopmember_remove(&waiting->member);
    looptask_add(waiting->loop, &waiting->task);
}
