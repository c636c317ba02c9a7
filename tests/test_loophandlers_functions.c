/* Handlers of more different functions than a loop has numbers for. */
#include "ioloop/ioloop.h"

#include <errno.h>
#include <fcntl.h>

#include "ioloop/loopmember.h"
#include "tests/support/tracedloop.h"

enum { MANY = 80 };

/* What each was called with last, and how often. */
static struct call {
    int calls, fd;
    unsigned events;
    void *arg;
} calls[MANY];

static int fds[MANY], pair[2];
static bool ends_itself;

static void called(int number, int fd, unsigned events, void *arg)
{
    calls[number] = (struct call){ calls[number].calls + 1, fd, events, arg };
    if (ends_itself)
        ioloop_remove_handler(loop, fd);
}

#define FUNCTION(number)                                                                                               \
    static void function_##number(int fd, unsigned events, void *arg)                                                  \
    {                                                                                                                  \
        called(number - 100, fd, events, arg);                                                                         \
    }
#define NAME(number) function_##number,
#define TEN(X, tens)                                                                                                   \
    X(tens##0) X(tens##1) X(tens##2) X(tens##3) X(tens##4) X(tens##5) X(tens##6) X(tens##7) X(tens##8) X(tens##9)
#define EIGHTY(X) TEN(X, 10) TEN(X, 11) TEN(X, 12) TEN(X, 13) TEN(X, 14) TEN(X, 15) TEN(X, 16) TEN(X, 17)

EIGHTY(FUNCTION)
static ioloop_handler_fn *const functions[MANY] = { EIGHTY(NAME) };

static void open_many(double slow_callback)
{
    open_loop();
    if (slow_callback > 0) {
        ioloop_close(loop, false);
        loop = ioloop_new(&(struct ioloop_options){ .slow_callback = slow_callback });
        assert_non_null(loop);
    }
    testing_socketpair(pair);
    for (int i = 0; i < MANY; i++) {
        calls[i] = (struct call){ 0 };
        fds[i] = dup(pair[0]);
        assert_true(fds[i] >= 0);
    }
    ends_itself = false;
}

static void close_many(void)
{
    for (int i = 0; i < MANY; i++) {
        ioloop_remove_handler(loop, fds[i]);
        close(fds[i]);
    }
    close_both(pair);
    close_loop();
}

static void add_all(unsigned events)
{
    for (int i = 0; i < MANY; i++)
        add_handler(fds[i], functions[i], &calls[i], events);
}

static void assert_each_was_called(int times)
{
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(calls[i].calls, times);
        assert_int_equal(calls[i].fd, fds[i]);
        assert_int_equal(calls[i].events, IOLOOP_WRITE);
        assert_ptr_equal(calls[i].arg, &calls[i]);
    }
}

static void each_is_called_with_its_own_argument(void **state)
{
    open_many(0);
    add_all(IOLOOP_WRITE);
    assert_int_equal(ioloop_run_once(loop, 0), MANY);
    assert_each_was_called(1);
    close_many();
}

static void each_can_be_told_of_other_events(void **state)
{
    open_many(0);
    add_all(IOLOOP_NONE);
    assert_int_equal(ioloop_run_once(loop, 0), 0);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(ioloop_update_handler(loop, fds[i], IOLOOP_WRITE), 0);
    assert_int_equal(ioloop_run_once(loop, 0), MANY);
    assert_each_was_called(1);
    close_many();
}

static void each_may_remove_itself(void **state)
{
    open_many(0);
    ends_itself = true;
    add_all(IOLOOP_WRITE);
    assert_int_equal(ioloop_run_once(loop, 0), MANY);
    assert_int_equal(ioloop_run_once(loop, 0), 0);
    assert_each_was_called(1);
    close_many();
}

static void each_is_called_while_the_loop_looks_for_slow_ones(void **state)
{
    open_many(10);
    ends_itself = true;
    add_all(IOLOOP_WRITE);
    assert_int_equal(ioloop_run_once(loop, 0), MANY);
    assert_each_was_called(1);
    close_many();
}

/* The numbers of those that are gone are free for the next. */
static void functions_that_nobody_has_any_more_take_no_room(void **state)
{
    open_many(0);
    long before = faults_allocations();
    add_handler(fds[0], functions[0], NULL, IOLOOP_WRITE);
    long table = faults_allocations() - before;
    ioloop_remove_handler(loop, fds[0]);
    for (int i = 0; i < MANY; i++) {
        add_handler(fds[0], functions[i], NULL, IOLOOP_WRITE);
        assert_int_equal(faults_allocations() - before, table);
        ioloop_remove_handler(loop, fds[0]);
    }
    close_many();
}

/* The same functions again need no more than their number. */
static void one_function_may_have_many_handlers(void **state)
{
    open_many(0);
    add_handler(fds[0], functions[0], &calls[0], IOLOOP_WRITE);
    for (int i = 1; i < MANY; i++)
        add_handler(fds[i], functions[1], &calls[1], IOLOOP_WRITE);
    ioloop_remove_handler(loop, fds[1]);
    assert_int_equal(ioloop_run_once(loop, 0), MANY - 1);
    assert_int_equal(calls[0].calls, 1);
    assert_int_equal(calls[1].calls, MANY - 2);
    close_many();
}

static void without_memory_one_is_refused_and_the_others_stay(void **state)
{
    open_many(0);
    add_all(IOLOOP_WRITE);
    ioloop_remove_handler(loop, fds[MANY - 1]);
    faults_allocation(1, false);
    assert_int_equal(ioloop_add_handler(loop, fds[MANY - 1], functions[MANY - 1], NULL, IOLOOP_WRITE), -ENOMEM);
    assert_true(faults_hit());
    assert_int_equal(ioloop_update_handler(loop, fds[MANY - 1], IOLOOP_READ), -ENOENT);
    assert_int_equal(ioloop_run_once(loop, 0), MANY - 1);
    assert_int_equal(calls[MANY - 1].calls, 0);
    add_handler(fds[MANY - 1], functions[MANY - 1], &calls[MANY - 1], IOLOOP_WRITE);
    assert_int_equal(ioloop_run_once(loop, 0), MANY);
    assert_int_equal(calls[MANY - 1].calls, 1);
    close_many();
}

static void one_that_cannot_be_watched_leaves_nothing(void **state)
{
    int file = open("/etc/passwd", O_RDONLY);

    open_many(0);
    add_all(IOLOOP_WRITE);
    long before = faults_allocated();
    for (int i = 0; i < MANY; i++)
        assert_int_equal(ioloop_add_handler(loop, file, functions[i], NULL, IOLOOP_READ), -EPERM);
    assert_int_equal(faults_allocated(), before);
    assert_int_equal(ioloop_run_once(loop, 0), MANY);
    close(file);
    close_many();
}

/* Objects of the library are found, and told of the end, when the program's functions have taken all numbers. */
static void one_that_is_claimed_is_found_by_its_function(void **state)
{
    int fd = 0;

    open_many(0);
    for (int i = 0; i < MANY - 1; i++)
        add_handler(fds[i], functions[i], NULL, IOLOOP_NONE);
    assert_int_equal(loopmember_claim_fd(loop, fds[MANY - 1], functions[MANY - 1], &calls[3]), 0);
    assert_null(loopmember_next_claimed(loop, functions[0], &(int){ 0 }));
    assert_ptr_equal(loopmember_next_claimed(loop, functions[MANY - 1], &fd), &calls[3]);
    assert_int_equal(fd, fds[MANY - 1] + 1);
    assert_null(loopmember_next_claimed(loop, functions[MANY - 1], &fd));
    for (int i = 0; i < MANY; i++)
        close(fds[i]);
    close_both(pair);
    close_loop();
    assert_int_equal(calls[MANY - 1].calls, 1);
    assert_int_equal(calls[MANY - 1].events, LOOPMEMBER_CLOSING);
    assert_ptr_equal(calls[MANY - 1].arg, &calls[3]);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_is_called_with_its_own_argument),
    cmocka_unit_test(each_can_be_told_of_other_events),
    cmocka_unit_test(each_may_remove_itself),
    cmocka_unit_test(each_is_called_while_the_loop_looks_for_slow_ones),
    cmocka_unit_test(functions_that_nobody_has_any_more_take_no_room),
    cmocka_unit_test(one_function_may_have_many_handlers),
    cmocka_unit_test(without_memory_one_is_refused_and_the_others_stay),
    cmocka_unit_test(one_that_cannot_be_watched_leaves_nothing),
    cmocka_unit_test(one_that_is_claimed_is_found_by_its_function),
};

TESTING_MAIN(tests)
