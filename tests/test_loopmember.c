/* Members of a loop, which end with it, and claimed descriptors. */
#include "ioloop/loopmember.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "ioloop/looptask.h"
#include "tests/support/forkedchild.h"
#include "tests/support/tracedloop.h"

struct noting_member {
    struct loopmember member;
    struct looptask task;
    char name[2];
};

static void note_task(struct looptask *task)
{
    struct noting_member *member = (struct noting_member *)((char *)task - offsetof(struct noting_member, task));
    char lower[2] = { (char)(member->name[0] - 'A' + 'a') };

    note(lower);
    assert_int_equal(ioloop_add_callback(loop, note, "x"), -EBADF);
    assert_int_equal(ioloop_call_later(loop, 0, note, "x"), 0);
    assert_int_equal(ioloop_start(loop), -EBADF);
    assert_ptr_equal(ioloop_current(), loop);
}

static void close_member(struct loopmember *member)
{
    struct noting_member *noting = (struct noting_member *)member;

    note(noting->name);
    loopmember_remove(member);
    loopmember_remove(member); /* removing what is not there is fine */
    looptask_add(loop, &noting->task);
}

static void add_members(struct noting_member *members, int count)
{
    for (int i = 0; i < count; i++) {
        members[i] = (struct noting_member){ .member.close = close_member, .task.run = note_task, .name = "A" };
        members[i].name[0] = (char)('A' + i);
        loopmember_add(loop, &members[i].member);
    }
}

static void members_end_with_their_loop_newest_first(void **state)
{
    struct noting_member members[4];

    open_loop();
    add_members(members, 4);
    loopmember_remove(&members[1].member);
    ioloop_clear_current(); /* they are called as if from the loop all the same */
    close_loop();
    assert_string_equal(trace, "DCAdca");
}

static void members_that_are_last_end_when_no_task_is_left(void **state)
{
    struct noting_member members[2];
    struct noting_member last = { .member.close = close_member, .task.run = note_task, .name = "Y" };
    struct noting_member very_last = { .member.close = close_member, .task.run = note_task, .name = "Z" };

    open_loop();
    assert_int_equal(loopmember_check(loop), 0);
    loopmember_add_last(loop, &very_last.member);
    loopmember_add_last(loop, &last.member);
    add_members(members, 2);
    assert_ptr_equal(loopmember_first(loop), &members[1].member);
    close_loop();
    assert_string_equal(trace, "BAbaYyZz");
}

static void close_one_and_the_next(struct loopmember *member)
{
    struct noting_member *noting = (struct noting_member *)member;

    close_member(member);
    if (noting->member.next != NULL)
        noting->member.next->close(noting->member.next);
}

static void a_member_may_close_others_while_the_loop_ends(void **state)
{
    struct noting_member members[4];

    open_loop();
    add_members(members, 4);
    members[3].member.close = close_one_and_the_next;
    close_loop();
    assert_string_equal(trace, "DCBAdcba");
}

static void close_in_callback(void *arg)
{
    ioloop_close(loop, false);
    note(arg);
}

static void members_end_after_the_callback_that_closes_their_loop(void **state)
{
    struct noting_member member;

    open_loop();
    add_members(&member, 1);
    add_callback(close_in_callback, "c");
    assert_int_equal(ioloop_start(loop), 0);
    assert_string_equal(trace, "cAa");
    assert_int_equal(faults_allocated(), allocated);
}

static void note_member(struct loopmember *member)
{
    note(((struct noting_member *)member)->name);
}

static void reopen_again(void)
{
    CHECK(ioloop_reopen(loop) == 0);
    CHECK(strcmp(trace, "BABA") == 0);
}

static void reopen(void)
{
    int status = 1;

    CHECK(ioloop_reopen(loop) == 0);
    CHECK(strcmp(trace, "BA") == 0);
    waitpid(begin_child(reopen_again), &status, 0);
    CHECK(status == 0);
}

static void members_may_be_told_that_their_loop_goes_on_in_a_child(void **state)
{
    struct noting_member members[3];

    open_loop();
    for (int i = 0; i < 3; i++) {
        members[i] = (struct noting_member){ .member.close = note_member, .name = "A" };
        members[i].name[0] = (char)('A' + i);
        loopmember_add_reopened(loop, &members[i].member);
    }
    loopmember_remove(&members[2].member);
    run_child(reopen);
    for (int i = 0; i < 2; i++)
        loopmember_remove(&members[i].member);
    close_loop();
    assert_string_equal(trace, ""); /* not here, and not at the end */
}

static void each_layer_has_a_room_of_its_own(void **state)
{
    open_loop();
    for (int room = 0; room < LOOPMEMBER_ROOMS; room++) {
        assert_null(*loopmember_room(loop, (enum loopmember_room)room));
        *loopmember_room(loop, (enum loopmember_room)room) = &trace[room];
    }
    for (int room = 0; room < LOOPMEMBER_ROOMS; room++)
        assert_ptr_equal(*loopmember_room(loop, (enum loopmember_room)room), &trace[room]);
    close_loop();
}

static void on_claimed(int fd, unsigned events, void *arg)
{
    note(events == LOOPMEMBER_CLOSING ? "C" : "e");
    if (events != LOOPMEMBER_CLOSING)
        return;
    assert_int_equal(ioloop_update_handler(loop, fd, IOLOOP_WRITE), -EBADF);
    ioloop_remove_handler(loop, fd);
    close(fd);
}

static void a_claimed_descriptor_is_told_that_its_loop_ends(void **state)
{
    int fds[2];

    open_loop();
    open_ready_pipe(fds);
    assert_int_equal(loopmember_claim_fd(loop, fds[0], on_claimed, NULL), 0);
    assert_int_equal(loopmember_claim_fd(loop, fds[0], on_claimed, NULL), -EEXIST);
    assert_int_equal(ioloop_add_handler(loop, fds[0], note_event, "x", IOLOOP_READ), -EEXIST);
    testing_spin(loop, 1); /* claimed only: the kernel does not know it yet */
    assert_string_equal(trace, "");
    assert_int_equal(ioloop_update_handler(loop, fds[0], IOLOOP_READ), 0);
    assert_int_equal(ioloop_run_once(loop, 0), 1);
    ioloop_close(loop, true);
    assert_string_equal(trace, "eC");
    assert_int_equal(faults_allocated(), allocated);
    close(fds[1]);
}

static void an_unwatched_descriptor_is_silent_until_it_is_watched_again(void **state)
{
    int fds[2];

    open_loop();
    open_ready_pipe(fds);
    assert_int_equal(loopmember_claim_fd(loop, fds[0], on_claimed, NULL), 0);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(loopmember_watch_exclusive(loop, fds[0]), 0);
        assert_int_equal(ioloop_run_once(loop, 0), 1);
        loopmember_unwatch_fd(loop, fds[0]);
        loopmember_unwatch_fd(loop, fds[0]);
        assert_int_equal(ioloop_run_once(loop, 0), 0);
    }
    assert_int_equal(loopmember_watch_exclusive(loop, fds[0]), 0); /* which the kernel cannot change, only replace */
    assert_int_equal(ioloop_update_handler(loop, fds[0], IOLOOP_NONE), 0);
    assert_int_equal(ioloop_run_once(loop, 0), 0);
    assert_int_equal(loopmember_watch_exclusive(loop, fds[0]), 0);
    assert_int_equal(ioloop_run_once(loop, 0), 1);
    close_loop();
    assert_string_equal(trace, "eeeeC");
    close(fds[1]);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(members_end_with_their_loop_newest_first),
    cmocka_unit_test(members_that_are_last_end_when_no_task_is_left),
    cmocka_unit_test(a_member_may_close_others_while_the_loop_ends),
    cmocka_unit_test(members_end_after_the_callback_that_closes_their_loop),
    cmocka_unit_test(members_may_be_told_that_their_loop_goes_on_in_a_child),
    cmocka_unit_test(each_layer_has_a_room_of_its_own),
    cmocka_unit_test(a_claimed_descriptor_is_told_that_its_loop_ends),
    cmocka_unit_test(an_unwatched_descriptor_is_silent_until_it_is_watched_again),
};

TESTING_MAIN(tests)
