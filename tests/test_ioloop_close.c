/* The end of a loop, and what ends with it: members, tasks, claimed descriptors. */
#include "ioloop/ioloop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

#include "ioloop/loopmember.h"
#include "ioloop/looptask.h"
#include "tests/support/tracedloop.h"

/* Closing. */

static void check_that_all_is_refused(int fd)
{
    assert_int_equal(ioloop_start(loop), -EBADF);
    assert_int_equal(ioloop_run_once(loop, 0), -EBADF);
    assert_int_equal(ioloop_add_callback(loop, note, "x"), -EBADF);
    assert_int_equal(ioloop_add_handler(loop, fd, note_event, "x", IOLOOP_READ), -EBADF);
    assert_int_equal(ioloop_update_handler(loop, fd, IOLOOP_READ), -EBADF);
    assert_int_equal(ioloop_add_signal(loop, SIGUSR1, NULL, NULL), -EBADF);
    errno = 0;
    assert_int_equal(ioloop_call_later(loop, 0, note, "x"), 0);
    assert_int_equal(errno, EBADF);
    assert_int_equal(ioloop_call_at(loop, 0, note, "x"), 0);
    assert_int_equal(errno, EBADF);
    assert_int_equal(ioloop_reopen(loop), -EINVAL);
    ioloop_remove_timeout(loop, 1);
    ioloop_remove_signal(loop, SIGUSR1);
    ioloop_close(loop, true);
}

static void close_in_callback(void *arg)
{
    ioloop_close(loop, false);
    check_that_all_is_refused(*(const int *)arg);
    note("c");
}

static void closing_inside_a_callback_ends_the_loop_when_the_start_returns(void **state)
{
    int fds[2], before = testing_count_fds();

    open_loop();
    open_ready_pipe(fds);
    add_handler(fds[0], note_event, "h", IOLOOP_READ);
    add_callback(close_in_callback, &fds[0]);
    add_callback(note, "d");
    call_later(0, note, "t");
    assert_int_equal(ioloop_start(loop), 0);
    assert_string_equal(trace, "cdt");
    assert_null(ioloop_current_if_any());
    assert_int_equal(faults_allocated(), allocated);
    close_both(fds);
    assert_int_equal(testing_count_fds(), before);
}

static void close_in_handler(int fd, unsigned events, void *arg)
{
    ioloop_close(loop, true);
    ioloop_close(loop, false); /* the first one counts */
    assert_int_not_equal(fcntl(fd, F_GETFD), -1); /* not yet */
}

static void closing_inside_a_handler_may_close_its_descriptor(void **state)
{
    int fds[2];

    open_loop();
    open_ready_pipe(fds);
    assert_int_equal(ioloop_add_handler(loop, fds[0], close_in_handler, NULL, IOLOOP_READ), 0);
    assert_int_equal(ioloop_run_once(loop, -1), 1);
    assert_int_equal(faults_allocated(), allocated);
    assert_int_equal(fcntl(fds[0], F_GETFD), -1);
    close(fds[1]);
}

/* ioloop_test:test_close_file_object */
static void closing_can_close_the_descriptors_that_have_handlers(void **state)
{
    int fds[2], removed[2];

    open_loop();
    open_ready_pipe(fds);
    open_ready_pipe(removed);
    add_handler(fds[0], note_event, "h", IOLOOP_READ);
    add_handler(removed[0], note_event, "h", IOLOOP_READ);
    ioloop_remove_handler(loop, removed[0]);
    ioloop_close(loop, true);
    assert_int_equal(fcntl(fds[0], F_GETFD), -1);
    assert_int_not_equal(fcntl(removed[0], F_GETFD), -1);
    close(fds[1]);
    close_both(removed);
    assert_int_equal(faults_allocated(), allocated);
}

static void closing_leaves_descriptors_open_unless_asked(void **state)
{
    int fds[2];

    open_loop();
    open_ready_pipe(fds);
    add_handler(fds[0], note_event, "h", IOLOOP_READ);
    add_callback(note, "c");
    call_later(0, note, "t");
    assert_int_equal(ioloop_add_callback_from_signal(loop, note, "s"), 0);
    close_loop();
    assert_string_equal(trace, "");
    assert_int_not_equal(fcntl(fds[0], F_GETFD), -1);
    close_both(fds);
}

static void close_other(void *arg)
{
    ioloop_close(arg, false);
    assert_ptr_equal(ioloop_current(), loop);
    note("o");
}

static void a_loop_may_be_closed_inside_a_callback_of_another(void **state)
{
    open_loop();
    struct ioloop *other = ioloop_new(NULL);
    add_callback(close_other, other);
    add_callback(stop, NULL);
    assert_int_equal(ioloop_start(loop), 0);
    assert_string_equal(trace, "o");
    close_loop();
}

static void a_held_loop_refuses_callbacks_after_it_is_closed(void **state)
{
    open_loop();
    ioloop_hold(loop);
    ioloop_hold(loop);
    add_callback(note, "c");
    ioloop_close(loop, false);
    assert_int_equal(ioloop_add_callback(loop, note, "x"), -EBADF);
    assert_int_equal(ioloop_add_callback_from_signal(loop, note, "x"), -EBADF);
    ioloop_stop(loop);
    ioloop_release(loop);
    assert_int_equal(ioloop_add_callback(loop, note, "x"), -EBADF);
    ioloop_release(loop);
    assert_int_equal(faults_allocated(), allocated);
    assert_string_equal(trace, "");
}

static void a_hold_that_ends_before_the_close_frees_nothing(void **state)
{
    open_loop();
    ioloop_hold(loop);
    ioloop_release(loop);
    add_callback(note, "c");
    testing_spin(loop, 1);
    assert_string_equal(trace, "c");
    close_loop();
}

/* Members. */

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

static void members_end_after_the_callback_that_closes_their_loop(void **state)
{
    struct noting_member member;
    int fds[2];

    open_loop();
    open_ready_pipe(fds);
    add_members(&member, 1);
    add_callback(close_in_callback, &fds[0]);
    assert_int_equal(ioloop_start(loop), 0);
    assert_string_equal(trace, "cAa");
    assert_int_equal(faults_allocated(), allocated);
    close_both(fds);
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

/* Tasks. */

static struct looptask *victim;

static void run_task(struct looptask *task)
{
    note("t");
}

static void remove_victim(struct looptask *task)
{
    note("r");
    looptask_remove(loop, victim);
}

static void again(struct looptask *task)
{
    note("a");
    looptask_add(loop, task);
}

static void tasks_run_once_in_the_order_they_were_added(void **state)
{
    struct looptask first = { .run = again }, second = { .run = run_task };

    open_loop();
    looptask_add(loop, &first);
    looptask_add(loop, &second);
    looptask_add(loop, &first);
    assert_true(looptask_waits(&first) && looptask_waits(&second));
    testing_spin(loop, 1);
    assert_string_equal(trace, "at");
    assert_true(looptask_waits(&first));
    assert_false(looptask_waits(&second));
    testing_spin(loop, 1);
    assert_string_equal(trace, "ata");
    looptask_remove(loop, &first);
    close_loop();
}

static void a_task_that_waits_can_be_taken_back(void **state)
{
    for (int removed = 0; removed < 3; removed++) {
        struct looptask tasks[4] = { { .run = run_task }, { .run = run_task }, { .run = run_task }, { .run = again } };

        open_loop();
        for (int i = 0; i < 3; i++)
            looptask_add(loop, &tasks[i]);
        looptask_remove(loop, &tasks[removed]);
        looptask_remove(loop, &tasks[removed]);
        assert_false(looptask_waits(&tasks[removed]));
        looptask_add(loop, &tasks[3]);
        testing_spin(loop, 1);
        assert_string_equal(trace, "tta");
        looptask_remove(loop, &tasks[3]);
        close_loop();
    }
}

static void a_task_can_take_back_one_that_runs_after_it(void **state)
{
    struct looptask tasks[3] = { { .run = remove_victim }, { .run = run_task }, { .run = run_task } };

    for (int removed = 0; removed < 3; removed++) {
        open_loop();
        for (int i = 0; i < 3; i++)
            looptask_add(loop, &tasks[i]);
        victim = &tasks[removed];
        testing_spin(loop, 2);
        assert_string_equal(trace, removed == 0 ? "rtt" : "rt");
        close_loop();
    }
}

/* Memory. */

static void spare_blocks_are_kept_and_freed_with_the_loop(void **state)
{
    void *blocks[100];

    open_loop();
    long before = faults_allocated();
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++) {
            blocks[i] = loopmember_take_spare(loop);
            assert_non_null(blocks[i]);
            memset(blocks[i], i, LOOPMEMBER_SPARE);
        }
        for (int i = 0; i < 100; i++)
            loopmember_give_spare(loop, blocks[i]);
    }
    assert_in_range(faults_allocated() - before, 1, 99); /* some are kept, not all */
    long made = faults_allocations();
    loopmember_give_spare(loop, loopmember_take_spare(loop));
    assert_int_equal(faults_allocations(), made);
    assert_ptr_equal(loopmember_scratch(loop), loopmember_scratch(loop));
    close_loop();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(closing_inside_a_callback_ends_the_loop_when_the_start_returns),
    cmocka_unit_test(closing_inside_a_handler_may_close_its_descriptor),
    cmocka_unit_test(closing_can_close_the_descriptors_that_have_handlers),
    cmocka_unit_test(closing_leaves_descriptors_open_unless_asked),
    cmocka_unit_test(a_loop_may_be_closed_inside_a_callback_of_another),
    cmocka_unit_test(a_held_loop_refuses_callbacks_after_it_is_closed),
    cmocka_unit_test(a_hold_that_ends_before_the_close_frees_nothing),
    cmocka_unit_test(members_end_with_their_loop_newest_first),
    cmocka_unit_test(a_member_may_close_others_while_the_loop_ends),
    cmocka_unit_test(members_end_after_the_callback_that_closes_their_loop),
    cmocka_unit_test(a_claimed_descriptor_is_told_that_its_loop_ends),
    cmocka_unit_test(an_unwatched_descriptor_is_silent_until_it_is_watched_again),
    cmocka_unit_test(tasks_run_once_in_the_order_they_were_added),
    cmocka_unit_test(a_task_that_waits_can_be_taken_back),
    cmocka_unit_test(a_task_can_take_back_one_that_runs_after_it),
    cmocka_unit_test(spare_blocks_are_kept_and_freed_with_the_loop),
};

TESTING_MAIN(tests)
