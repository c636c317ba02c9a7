/* Functions that are suspended and go on. */
#include "ioloop/iogen.h"

#include <limits.h>

#include "ioloop/iolocks.h"
#include "ioloop/ioqueue.h"
#include "ioloop/iostream.h"
#include "ioloop/periodiccallback.h"

#include "tests/support/tracedfuture.h"

static struct iofuture *awaited; /* what the function under test waits for */
static char value[] = "value";

static struct iofuture *start(iogen_fn *function)
{
    return not_null(iogen_start(loop, function, NULL, 0));
}

static struct iofuture *start_and_tell(iogen_fn *function)
{
    struct iofuture *future = start(function);

    tell(future, "z");
    return future;
}

static struct iofuture *new_awaited(void)
{
    return awaited = iofuture_new(loop);
}

static void end_at_once(struct iogen *gen, void *state)
{
    IOGEN_BEGIN(gen);
    note("a");
    IOGEN_END(gen);
}

static void it_starts_in_the_next_iteration_and_its_future_tells_its_end(void **state)
{
    open_loop();
    start_and_tell(end_at_once);
    assert_string_equal(trace, "");
    testing_spin(loop, 1);
    assert_string_equal(trace, "a");
    testing_spin(loop, 1);
    assert_string_equal(trace, "az");
    assert_int_equal(seen_error, 0);
    assert_null(seen_value);
    close_loop();
}

static void wait_once(struct iogen *gen, void *state)
{
    IOGEN_BEGIN(gen);
    note("a");
    IOGEN_YIELD(gen, new_awaited());
    note("b");
    iogen_set_result(gen, gen->value, NULL);
    IOGEN_END(gen);
}

static void a_yield_goes_on_when_the_future_is_done_with_its_result(void **state)
{
    open_loop();
    start_and_tell(wait_once);
    expect_trace("a");
    set_result(awaited, value);
    assert_string_equal(trace, "a");
    expect_trace("abz");
    assert_ptr_equal(seen_value, value);
    close_loop();
}

static void fail_with_it(struct iogen *gen, void *state)
{
    IOGEN_BEGIN(gen);
    IOGEN_YIELD(gen, new_awaited());
    assert_int_equal(gen->error, -EIO);
    assert_null(gen->value);
    note("a");
    iogen_set_error(gen, -EPIPE);
    IOGEN_END(gen);
}

static void a_yield_goes_on_with_an_error_too(void **state)
{
    open_loop();
    testing_begin_logs();
    start_and_tell(fail_with_it);
    testing_spin(loop, 1);
    set_error(awaited, -EIO);
    expect_trace("az");
    assert_int_equal(seen_error, -EPIPE);
    assert_int_equal(testing_logs(NULL), 0);
    close_loop();
}

static void try_twice(struct iogen *gen, void *state)
{
    IOGEN_BEGIN(gen);
    IOGEN_TRY(gen, new_awaited());
    assert_ptr_equal(gen->value, value);
    note("a");
    IOGEN_TRY(gen, new_awaited());
    note("b");
    IOGEN_END(gen);
}

static void try_ends_it_with_the_error(void **state)
{
    open_loop();
    testing_begin_logs();
    start_and_tell(try_twice);
    testing_spin(loop, 1);
    set_result(awaited, value);
    testing_spin(loop, 1);
    set_error(awaited, -EIO);
    expect_trace("az");
    assert_int_equal(seen_error, -EIO);
    assert_int_equal(testing_logs(NULL), 0);
    close_loop();
}

/* State. */

struct counter {
    int i;
    long long large;
    char letter[2];
};

static void count_to_three(struct iogen *gen, void *state)
{
    struct counter *my = state;

    IOGEN_BEGIN(gen);
    for (; my->i < 3; my->i++) {
        note(my->letter);
        IOGEN_YIELD(gen, iofuture_sleep(iogen_loop(gen), 0));
        my->large += gen->error;
    }
    iogen_set_result(gen, my->large == LLONG_MAX ? value : NULL, NULL);
    IOGEN_END(gen);
}

static void the_state_is_copied_and_survives_yields(void **state)
{
    struct counter counter = { 0, LLONG_MAX, "a" };

    open_loop();
    tell(iogen_start(loop, count_to_three, &counter, sizeof counter), "y");
    counter.letter[0] = 'b';
    counter.i = 1;
    tell(iogen_start(loop, count_to_three, &counter, sizeof counter), "z");
    counter.letter[0] = 'x';
    counter.i = 100;
    testing_spin(loop, 12);
    assert_string_equal(trace, "ababazy");
    assert_ptr_equal(seen_value, value);
    close_loop();
}

static void is_zero(struct iogen *gen, void *state)
{
    const char *bytes = state;

    IOGEN_BEGIN(gen);
    for (int i = 0; i < 100; i++)
        assert_int_equal(bytes[i], 0);
    assert_int_equal((uintptr_t)state % _Alignof(max_align_t), 0);
    note("a");
    IOGEN_END(gen);
}

static void without_a_state_it_is_zeroed(void **state)
{
    open_loop();
    not_null(iogen_start(loop, is_zero, NULL, 100));
    expect_trace("a");
    close_loop();
}

/* Turns. */

static void yield_what_is_done(struct iogen *gen, void *state)
{
    IOGEN_BEGIN(gen);
    note("a");
    set_result(new_awaited(), value);
    IOGEN_YIELD(gen, awaited);
    assert_ptr_equal(gen->value, value);
    note("b");
    IOGEN_END(gen);
}

static void a_yield_of_what_is_done_gives_others_their_turn(void **state)
{
    open_loop();
    start_and_tell(yield_what_is_done);
    start_and_tell(yield_what_is_done);
    testing_spin(loop, 1);
    assert_string_equal(trace, "aa");
    testing_spin(loop, 1);
    assert_string_equal(trace, "aabb");
    expect_trace("aabbzz");
    close_loop();
}

enum { MANY = 100000 };

static void yield_many(struct iogen *gen, void *state)
{
    int *count = state;

    IOGEN_BEGIN(gen);
    while (*count < MANY) {
        ++*count;
        set_result(new_awaited(), count);
        IOGEN_YIELD(gen, awaited);
        assert_ptr_equal(gen->value, count);
    }
    iogen_set_result(gen, value, NULL);
    IOGEN_END(gen);
}

static void many_yields_need_no_stack_and_no_memory(void **state)
{
    open_loop();
    tell(iogen_start(loop, yield_many, NULL, sizeof(int)), "z");
    testing_spin(loop, MANY / 2);
    long before = faults_allocated();
    testing_spin(loop, MANY / 2 - 10);
    assert_int_equal(faults_allocated(), before);
    testing_spin(loop, 12);
    assert_string_equal(trace, "z");
    close_loop();
}

static void yield_the_value_of_another(struct iogen *gen, void *state)
{
    IOGEN_BEGIN(gen);
    IOGEN_YIELD(gen, start(wait_once));
    set_counted(new_awaited());
    IOGEN_YIELD(gen, awaited);
    assert_int_equal(values_left, 1); /* lent */
    IOGEN_YIELD(gen, iofuture_sleep(loop, 0));
    assert_int_equal(values_left, 0);
    note("c");
    IOGEN_END(gen);
}

static void generators_wait_for_generators_and_values_are_lent_until_the_next_yield(void **state)
{
    open_loop();
    start_and_tell(yield_the_value_of_another);
    expect_trace("a");
    set_result(awaited, value);
    expect_trace("abcz");
    close_loop();
}

static void take_values(struct iogen *gen, void *state)
{
    void **mine = state;

    IOGEN_BEGIN(gen);
    assert_null(iogen_take_value(gen));
    set_counted(new_awaited());
    IOGEN_YIELD(gen, awaited);
    *mine = iogen_take_value(gen);
    assert_ptr_equal(*mine, gen->value);
    IOGEN_YIELD(gen, iofuture_sleep(loop, 0));
    assert_int_equal(values_left, 1);
    free_value(*mine);
    IOGEN_YIELD(gen, NULL);
    assert_null(iogen_take_value(gen));
    set_error(new_awaited(), -EIO);
    IOGEN_YIELD(gen, awaited);
    assert_null(iogen_take_value(gen));
    note("c");
    IOGEN_END(gen);
}

static void values_can_be_taken(void **state)
{
    open_loop();
    tell(iogen_start(loop, take_values, NULL, sizeof(void *)), "z");
    expect_trace("cz");
    assert_int_equal(values_left, 0);
    close_loop();
}

static void set_early(struct iogen *gen, void *state)
{
    IOGEN_BEGIN(gen);
    assert_int_equal(iogen_set_result(gen, value, NULL), 0);
    IOGEN_YIELD(gen, new_awaited());
    note("b");
    assert_int_equal(iogen_set_result(gen, value, NULL), -EALREADY);
    assert_int_equal(iogen_set_error(gen, -EIO), -EALREADY);
    IOGEN_END(gen);
}

static void it_may_go_on_after_its_result(void **state)
{
    open_loop();
    start_and_tell(set_early);
    expect_trace("z");
    assert_ptr_equal(seen_value, value);
    set_result(awaited, NULL);
    expect_trace("zb");
    close_loop();
    open_loop();
    start_and_tell(set_early);
    expect_trace("z");
    close_loop(); /* cuts it short, though its future is done */
    assert_string_equal(trace, "zb");
}

/* What cannot be waited for. */

static struct iofuture *refuse(int error)
{
    errno = error;
    return NULL;
}

static void yield_nothing(struct iogen *gen, void *state)
{
    IOGEN_BEGIN(gen);
    IOGEN_YIELD(gen, refuse(ENOMEM));
    assert_int_equal(gen->error, -ENOMEM);
    assert_null(gen->value);
    note("a");
    IOGEN_YIELD(gen, refuse(0));
    assert_int_equal(gen->error, -EINVAL);
    note("b");
    IOGEN_YIELD(gen, awaited); /* of another loop */
    assert_int_equal(gen->error, -EINVAL);
    note("c");
    IOGEN_TRY(gen, refuse(EMFILE));
    note("x");
    IOGEN_END(gen);
}

static void a_yield_of_nothing_goes_on_with_errno(void **state)
{
    open_loop();
    struct ioloop *other = ioloop_new(NULL);
    awaited = iofuture_new(other);
    start_and_tell(yield_nothing);
    testing_spin(loop, 1);
    assert_string_equal(trace, "");
    testing_spin(loop, 1);
    assert_string_equal(trace, "a");
    expect_trace("abcz");
    assert_int_equal(seen_error, -EMFILE);
    ioloop_close(other, false);
    close_loop();
}

/* What the macros do, written out: the place to go on at is any number but 0. */
static void wait_without_macros(struct iogen *gen, void *state)
{
    switch (gen->line) {
    case 0:
        note("a");
        iogen_wait(gen, new_awaited(), 7);
        return;
    case 7:
        assert_int_equal(gen->error, 0);
        assert_ptr_equal(gen->value, value);
        note("b");
        errno = EMFILE;
        iogen_wait(gen, NULL, 3);
        return;
    default:
        assert_int_equal(gen->line, 3);
        assert_int_equal(gen->error, -EMFILE);
        assert_null(gen->value);
        note("c");
    }
}

static void a_wait_goes_on_at_the_place_that_it_names(void **state)
{
    open_loop();
    start_and_tell(wait_without_macros);
    expect_trace("a");
    set_result(awaited, value);
    assert_string_equal(trace, "a");
    testing_spin(loop, 1);
    assert_string_equal(trace, "ab");
    expect_trace("abcz");
    assert_int_equal(seen_error, 0);
    close_loop();
}

/* Cancelling. */

static void tidy_up(struct iogen *gen, void *state)
{
    IOGEN_BEGIN(gen);
    note("a");
    IOGEN_YIELD(gen, new_awaited());
    assert_int_equal(gen->error, -ECANCELED);
    note("b");
    iogen_set_result(gen, value, NULL); /* too late */
    IOGEN_YIELD(gen, iofuture_sleep(loop, 0));
    note("x");
    IOGEN_END(gen);
}

static void a_cancelled_one_goes_on_once_more(void **state)
{
    open_loop();
    struct iofuture *future = start_and_tell(tidy_up);
    testing_spin(loop, 1);
    iofuture_hold(awaited);
    iofuture_cancel(future);
    assert_true(iofuture_cancelled(awaited));
    assert_string_equal(trace, "a");
    testing_spin(loop, 1);
    assert_string_equal(trace, "azb");
    expect_trace("azb");
    assert_int_equal(seen_error, -ECANCELED);
    set_result(awaited, NULL);
    iofuture_release(awaited);
    close_loop();
}

static void see_what_had_come(struct iogen *gen, void *state)
{
    IOGEN_BEGIN(gen);
    IOGEN_YIELD(gen, new_awaited());
    assert_int_equal(gen->error, -ECANCELED);
    assert_ptr_equal(gen->value, value);
    note("a");
    IOGEN_END(gen);
}

static void one_that_is_cancelled_between_a_result_and_going_on_sees_both(void **state)
{
    open_loop();
    struct iofuture *future = start_and_tell(see_what_had_come);
    testing_spin(loop, 1);
    set_result(awaited, value);
    iofuture_cancel(future);
    expect_trace("az");
    close_loop();
}

static void one_that_is_cancelled_before_it_starts_does_not(void **state)
{
    open_loop();
    iofuture_cancel(start_and_tell(end_at_once));
    expect_trace("z");
    close_loop();
}

static struct iofuture *own;

static void cancel_itself(struct iogen *gen, void *state)
{
    IOGEN_BEGIN(gen);
    iofuture_cancel(own);
    note("a");
    IOGEN_YIELD(gen, new_awaited());
    assert_int_equal(gen->error, -ECANCELED);
    note("b");
    IOGEN_END(gen);
}

static void it_may_cancel_itself(void **state)
{
    open_loop();
    own = start_and_tell(cancel_itself);
    testing_spin(loop, 1);
    assert_string_equal(trace, "a");
    set_result(awaited, NULL);
    testing_spin(loop, 3);
    assert_string_equal(trace, "azb");
    close_loop();
}

static void cancel_a_failed_yield(struct iogen *gen, void *state)
{
    IOGEN_BEGIN(gen);
    IOGEN_YIELD(gen, refuse(EIO));
    assert_int_equal(gen->error, -ECANCELED);
    note("a");
    IOGEN_END(gen);
}

static void it_may_be_cancelled_while_it_waits_for_nothing(void **state)
{
    open_loop();
    struct iofuture *future = start_and_tell(cancel_a_failed_yield);
    testing_spin(loop, 1);
    iofuture_cancel(future);
    expect_trace("az");
    close_loop();
}

static void never_give_up(struct iogen *gen, void *state)
{
    IOGEN_BEGIN(gen);
    for (;;) {
        note("a");
        IOGEN_YIELD(gen, iofuture_sleep(loop, 1));
    }
    IOGEN_END(gen);
}

static void wait_for_itself(struct iogen *gen, void *state)
{
    IOGEN_BEGIN(gen);
    IOGEN_YIELD(gen, own);
    note("b");
    IOGEN_END(gen);
}

static void those_that_do_not_end_end_with_their_loop(void **state)
{
    open_loop();
    start_and_tell(never_give_up);
    testing_spin(loop, 2);
    own = start(wait_for_itself);
    testing_spin(loop, 1);
    start(end_at_once);
    close_loop();
    assert_int_equal(strlen(trace), 4);
    assert_non_null(strchr(trace, 'z'));
    assert_non_null(strchr(trace, 'b'));
    errno = 0;
}

static void close_inside(struct iogen *gen, void *state)
{
    IOGEN_BEGIN(gen);
    ioloop_close(loop, false);
    note("a");
    IOGEN_YIELD(gen, iofuture_sleep(loop, 1)); /* refused */
    assert_int_equal(gen->error, -ECANCELED);
    note("b");
    IOGEN_YIELD(gen, NULL);
    note("x");
    IOGEN_END(gen);
}

/* What it has made is closed by its loop, too: after it has had its chance to. */
struct belongings {
    struct iofuture *sleep;
    struct iostream *stream;
    struct ioqueue *queue;
    struct iolocks_lock *lock;
    struct periodiccallback *periodic;
    int fds[2];
};

static void note_nothing(void *arg)
{
}

static void close_belongings(struct iogen *gen, void *state)
{
    struct belongings *my = state;

    IOGEN_BEGIN(gen);
    my->sleep = iofuture_sleep(loop, 10); /* newer than this and older than those: what is newest is closed first */
    my->stream = iostream_new(loop, my->fds[0], NULL);
    my->queue = ioqueue_new(loop, 0);
    my->lock = iolocks_lock_new(loop);
    my->periodic = periodiccallback_new(loop, 1, note_nothing, NULL);
    IOGEN_YIELD(gen, my->sleep);
    assert_int_equal(gen->error, -ECANCELED);
    assert_int_equal(iostream_fd(my->stream), my->fds[0]);
    iostream_close(my->stream);
    assert_null(ioqueue_get(my->queue, -1));
    ioqueue_close(my->queue);
    iolocks_lock_close(my->lock);
    periodiccallback_close(my->periodic);
    note("a");
    IOGEN_END(gen);
}

static void it_tidies_up_when_its_loop_closes_before_what_it_has_is_gone(void **state)
{
    struct belongings my = { 0 };

    open_loop();
    testing_socketpair(my.fds);
    assert_non_null(iogen_start(loop, close_belongings, &my, sizeof my));
    testing_spin(loop, 2);
    close_loop();
    assert_string_equal(trace, "a");
    close(my.fds[1]);
}

static void it_may_close_the_loop(void **state)
{
    open_loop();
    start_and_tell(close_inside);
    assert_int_equal(ioloop_start(loop), 0);
    assert_int_equal(strlen(trace), 3);
    assert_int_equal(faults_allocated(), allocated);
}

/* Memory. */

static void it_costs_one_allocation_which_may_fail(void **state)
{
    open_loop();
    long before = faults_allocations();
    start(end_at_once);
    assert_int_equal(faults_allocations(), before + 1);
    errno = 0;
    faults_allocation(1, false);
    assert_null(iogen_start(loop, end_at_once, NULL, 0));
    assert_int_equal(errno, ENOMEM);
    faults_end();
    errno = 0;
    assert_null(iogen_start(loop, end_at_once, NULL, SIZE_MAX - 8));
    assert_int_equal(errno, ENOMEM);
    start_and_tell(never_give_up);
    testing_spin(loop, 1);
    faults_allocation(1, true); /* its sleeps fail: it goes on all the same */
    the_time += 2;
    testing_spin(loop, 5);
    faults_end();
    assert_in_range(strlen(trace), 5, 8);
    close_loop();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(it_starts_in_the_next_iteration_and_its_future_tells_its_end),
    cmocka_unit_test(a_yield_goes_on_when_the_future_is_done_with_its_result),
    cmocka_unit_test(a_yield_goes_on_with_an_error_too),
    cmocka_unit_test(try_ends_it_with_the_error),
    cmocka_unit_test(the_state_is_copied_and_survives_yields),
    cmocka_unit_test(without_a_state_it_is_zeroed),
    cmocka_unit_test(a_yield_of_what_is_done_gives_others_their_turn),
    cmocka_unit_test(many_yields_need_no_stack_and_no_memory),
    cmocka_unit_test(generators_wait_for_generators_and_values_are_lent_until_the_next_yield),
    cmocka_unit_test(values_can_be_taken),
    cmocka_unit_test(it_may_go_on_after_its_result),
    cmocka_unit_test(a_yield_of_nothing_goes_on_with_errno),
    cmocka_unit_test(a_wait_goes_on_at_the_place_that_it_names),
    cmocka_unit_test(a_cancelled_one_goes_on_once_more),
    cmocka_unit_test(one_that_is_cancelled_between_a_result_and_going_on_sees_both),
    cmocka_unit_test(one_that_is_cancelled_before_it_starts_does_not),
    cmocka_unit_test(it_may_cancel_itself),
    cmocka_unit_test(it_may_be_cancelled_while_it_waits_for_nothing),
    cmocka_unit_test(those_that_do_not_end_end_with_their_loop),
    cmocka_unit_test(it_tidies_up_when_its_loop_closes_before_what_it_has_is_gone),
    cmocka_unit_test(it_may_close_the_loop),
    cmocka_unit_test(it_costs_one_allocation_which_may_fail),
};

TESTING_MAIN(tests)
