/* Internal: looptask.h, work that an object of the library puts off to the next iteration. Where the object lives on
 * memory of its own, so does the task: putting off allocates nothing and cannot fail.
 *
 * Tasks run in the order in which they were added, first ones before others, before the callbacks of that iteration,
 * and not inside any callback: so a task may free its object. */
#ifndef IOLOOP_LOOPTASK_H
#define IOLOOP_LOOPTASK_H

#include <stdbool.h>
#include <stddef.h>

struct ioloop;

struct looptask {
    struct looptask *next; /* NULL: not added */
    void (*run)(struct looptask *task);
};

/* Adding one that waits already is fine. */
void looptask_add(struct ioloop *loop, struct looptask *task);

/* The same for tasks that lead to callbacks which may still use what the others free: those of futures. They run before
 * the others of their iteration, and when the loop closes before anything else ends. */
void looptask_add_first(struct ioloop *loop, struct looptask *task);

static inline bool looptask_waits(const struct looptask *task)
{
    return task->next != NULL;
}

/* Takes back one that waits; linear in their number. */
void looptask_remove(struct ioloop *loop, struct looptask *task);

/* The end of an object whose task does not wait: function frees it. At once; but while the loop closes only when
 * everybody has been told that it does, since who is told later may still name the object. All that is public then has
 * to find it closed; adding the task does nothing. */
void looptask_end(struct ioloop *loop, struct looptask *task, void (*function)(struct looptask *task));

#endif
