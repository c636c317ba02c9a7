#include "ioloop/loopmember.h"

#include "ioloop/deadlines.h"
#include "ioloop/loopstate.h"

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

void **loopmember_room(struct ioloop *loop, enum loopmember_room room)
{
    return &loop->rooms[room];
}

struct deadlines *loopmember_deadlines(struct ioloop *loop)
{
    if (loop->deadlines == NULL)
        loop->deadlines = deadlines_new(loop);
    return loop->deadlines;
}
