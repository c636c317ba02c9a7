#include "ioloop/looptask.h"

#include "ioloop/loopstate.h"

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
