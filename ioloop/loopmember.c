#include "ioloop/loopmember.h"

#include <string.h>

#include "ioloop/deadlines.h"
#include "ioloop/ioalloc.h"
#include "ioloop/loopstate.h"

#define MOST_SPARES 64

static void push_member(struct loopmember **list, struct loopmember *member)
{
    member->next = *list;
    member->link = list;
    if (member->next != NULL)
        member->next->link = &member->next;
    *list = member;
}

void loopmember_add(struct ioloop *loop, struct loopmember *member)
{
    push_member(&loop->members, member);
}

void loopmember_add_first(struct ioloop *loop, struct loopmember *member)
{
    push_member(&loop->first_members, member);
}

void loopmember_add_last(struct ioloop *loop, struct loopmember *member)
{
    push_member(&loop->last_members, member);
}

void loopmember_add_reopened(struct ioloop *loop, struct loopmember *member)
{
    push_member(&loop->reopened_members, member);
}

void loopmember_remove(struct loopmember *member)
{
    if (member->link == NULL)
        return;
    *member->link = member->next;
    if (member->next != NULL)
        member->next->link = member->link;
    member->link = NULL;
}

struct loopmember *loopmember_first(const struct ioloop *loop)
{
    return loop->members;
}

int loopmember_check(const struct ioloop *loop)
{
    return loopstate_check(loop);
}

bool loopmember_is_stale(const struct ioloop *loop)
{
    return loop->forks != loopstate_forks;
}

unsigned loopmember_forks(void)
{
    return loopstate_forks;
}

void **loopmember_executors(struct ioloop *loop)
{
    return &loop->executors;
}

void **loopmember_websockets(struct ioloop *loop)
{
    return &loop->websockets;
}

void **loopmember_client(struct ioloop *loop)
{
    return &loop->client;
}

int64_t loopmember_began(const struct ioloop *loop)
{
    return loop->began;
}

struct deadlines *loopmember_deadlines(struct ioloop *loop)
{
    if (loop->deadlines == NULL)
        loop->deadlines = deadlines_new(loop);
    return loop->deadlines;
}

char *loopmember_new_scratch(struct ioloop *loop)
{
    return loop->front.scratch = ioalloc(LOOPMEMBER_SCRATCH + 1);
}

void *loopmember_take_spare(struct ioloop *loop)
{
    void *block = loop->spares;

    if (block == NULL)
        return ioalloc(LOOPMEMBER_SPARE);
    memcpy(&loop->spares, block, sizeof loop->spares);
    loop->spare_count--;
    return block;
}

void loopmember_give_spare(struct ioloop *loop, void *block)
{
    if (loop->spare_count == MOST_SPARES) {
        ioalloc_free(block);
        return;
    }
    memcpy(block, &loop->spares, sizeof loop->spares);
    loop->spares = block;
    loop->spare_count++;
}

/* Tasks (looptask.h). */

static void add_task(struct ioloop *loop, struct loopstate_tasks *tasks, struct looptask *task)
{
    if (task->next != NULL)
        return;
    task->next = &loopstate_no_task;
    *tasks->last = task;
    tasks->last = &task->next;
    loop->added = true;
}

void looptask_add(struct ioloop *loop, struct looptask *task)
{
    add_task(loop, &loop->tasks, task);
}

void looptask_add_first(struct ioloop *loop, struct looptask *task)
{
    add_task(loop, &loop->first_tasks, task);
}

/* Finds what points to the task; false: nothing in this list does. */
static bool find_link(struct looptask ***link, struct looptask *task)
{
    while (**link != &loopstate_no_task && **link != task)
        *link = &(**link)->next;
    return **link == task;
}

static bool remove_task(struct loopstate_tasks *tasks, struct looptask *task)
{
    struct looptask **link = &tasks->first, **running = &tasks->running;

    if (find_link(&link, task)) {
        *link = task->next;
        if (*link == &loopstate_no_task)
            tasks->last = link;
        return true;
    }
    if (!find_link(&running, task))
        return false;
    *running = task->next;
    return true;
}

void looptask_remove(struct ioloop *loop, struct looptask *task)
{
    if (task->next == NULL)
        return;
    if (!remove_task(&loop->tasks, task))
        remove_task(&loop->first_tasks, task);
    task->next = NULL;
}

void looptask_end(struct ioloop *loop, struct looptask *task, void (*function)(struct looptask *task))
{
    if (loop->ended_tasks == NULL) {
        function(task);
        return;
    }
    task->run = function;
    task->next = loop->ended_tasks;
    loop->ended_tasks = task;
}
