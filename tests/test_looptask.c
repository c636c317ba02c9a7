/* Tasks: in their order, once, and taken back. */
#include "ioloop/looptask.h"

#include "tests/support/tracedloop.h"

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

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(tasks_run_once_in_the_order_they_were_added),
    cmocka_unit_test(a_task_that_waits_can_be_taken_back),
    cmocka_unit_test(a_task_can_take_back_one_that_runs_after_it),
};

TESTING_MAIN(tests)
