/* Everything that can be done to a future, in every order, outside and inside of its callbacks: what was accepted is
 * told once, each value is freed once, nothing is used after it is gone and nothing is left. */
#include "ioloop/iofuture.h"

#include "tests/support/tracedfuture.h"

/* r result, e error, c cancel, t tell, d tell and do the rest in there, u untell, h hold, l release, n chain to
 * another, w wait with a timeout, s spin, x close the loop */
static const char actions[] = "rectduhlnwsx";
#define ACTIONS (sizeof actions - 1)

static struct iofuture *subject;
static bool is_owed, is_set, is_open, in_callback, loop_closes;
static int holds, accepted, told, removed;
static int removable;      /* callbacks that act 'u' can take back */
static const char *inside; /* what is to be done in a callback */

static void count_told(struct iofuture *future, void *arg)
{
    iofuture_error(future);
    told++;
    if (arg != NULL)
        --*(int *)arg;
}

static void act(char action);

static void do_the_rest(struct iofuture *future, void *arg)
{
    const char *rest = inside;

    count_told(future, arg);
    inside = "";
    in_callback = true;
    for (; *rest != '\0'; rest++)
        act(*rest);
    in_callback = false;
}

static bool accept(struct iofuture *future, iofuture_fn *callback, void *arg)
{
    if (future == NULL || iofuture_add_callback(future, callback, arg) < 0)
        return false;
    accepted++;
    return true;
}

/* May the program name it? Whoever made it may until it is set, and everybody until the iteration ends. */
static bool may_be_named(void)
{
    return is_owed || holds > 0 || is_set || in_callback;
}

static void spin(void)
{
    if (!is_open || in_callback)
        return;
    testing_spin(loop, 1);
    is_set = false;
    if (!loop_closes)
        return;
    is_open = is_owed = false;
}

static void close_it(void)
{
    if (!is_open || loop_closes)
        return;
    ioloop_close(loop, false);
    loop_closes = true;
    if (in_callback)
        return;
    is_open = is_owed = is_set = false;
}

static void settle(int error)
{
    if (error == 0 && is_owed)
        is_owed = false, is_set = true;
}

static void set_value(void)
{
    void *value = malloc(1);

    values_left++;
    int error = iofuture_set_result(subject, value, free_value);
    assert_int_equal(error, is_owed ? 0 : -EALREADY);
    if (error < 0)
        free_value(value);
    settle(error);
}

static void untell(void)
{
    iofuture_remove_callback(subject, count_told, &removable);
    removed += removable > 0;
    removable -= removable > 0;
}

static void chain(void)
{
    struct iofuture *to = iofuture_new(loop);

    if (to == NULL)
        return;
    accept(to, count_told, NULL);
    if (iofuture_chain(subject, to) < 0)
        set_error(to, -ECANCELED);
}

static void act_on_subject(char action)
{
    switch (action) {
    case 'r':
        set_value();
        break;
    case 'e':
        settle(iofuture_set_error(subject, -EIO));
        break;
    case 'c':
        iofuture_cancel(subject);
        break;
    case 't':
        removable += accept(subject, count_told, &removable);
        break;
    case 'd':
        accept(subject, do_the_rest, NULL);
        break;
    case 'u':
        untell();
        break;
    case 'h':
        iofuture_hold(subject);
        holds++;
        break;
    case 'l':
        if (holds > 0) {
            holds--;
            iofuture_release(subject);
            is_set = is_open; /* gone at the end of this iteration, or at once */
        }
        break;
    case 'n':
        if (is_open)
            chain();
        break;
    case 'w':
        if (is_open)
            accept(iofuture_with_timeout(loop, subject, 0, false), count_told, NULL);
        break;
    }
}

static void act(char action)
{
    if (action == 's')
        spin();
    else if (action == 'x')
        close_it();
    else if (may_be_named())
        act_on_subject(action);
}

static void live_through(const char *script)
{
    const char *rest = strchr(script, 'd');

    open_loop();
    is_owed = is_open = true;
    is_set = in_callback = loop_closes = false;
    holds = accepted = told = removed = removable = 0;
    subject = new_future();
    inside = rest != NULL ? rest + 1 : "";
    for (; *script != '\0'; script++) {
        act(*script);
        if (*script == 'd')
            break;
    }
    for (int i = 0; i < 4; i++)
        spin();
    close_it();
    while (holds > 0)
        act('l');
    assert_int_equal(told + removed, accepted);
    assert_int_equal(values_left, 0);
    assert_int_equal(faults_allocated(), allocated);
}

static void live_through_all(char *script, int length, int most)
{
    script[length] = '\0';
    live_through(script);
    for (size_t i = 0; i < ACTIONS && length < most; i++) {
        script[length] = actions[i];
        live_through_all(script, length + 1, most);
    }
}

static void survives_everything_in_every_order(void **state)
{
    char script[8];

    testing_begin_logs();
    live_through_all(script, 0, 4);
}

static void survives_much_of_it_at_random(void **state)
{
    uint32_t random = 1;
    char script[20];

    testing_begin_logs();
    for (int round = 0; round < 3000; round++) {
        for (size_t i = 0; i < sizeof script - 1; i++) {
            random = random * 1664525 + 1013904223;
            script[i] = actions[(random >> 16) % (i < 8 ? ACTIONS - 1 : ACTIONS)]; /* not closed too early */
        }
        script[sizeof script - 1] = '\0';
        live_through(script);
    }
}

/* Loops that close. */

/* concurrent_test:test_immediate_failure: what cannot be started says so, and calls nobody back. */
static void a_loop_that_closes_makes_no_futures(void **state)
{
    open_loop();
    struct ioloop *closed = loop;
    struct iofuture *future = new_future(), *held = new_future();
    iofuture_hold(held);
    ioloop_hold(closed);
    set_result(future, NULL);
    ioloop_close(loop, false);
    errno = 0;
    assert_null(iofuture_new(closed));
    assert_int_equal(errno, EBADF);
    assert_null(iofuture_sleep(closed, 1));
    assert_int_equal(errno, EBADF);
    assert_null(iofuture_multi(closed, NULL, 0));
    assert_null(iofuture_iterator_new(closed, NULL, 0));
    assert_null(iofuture_with_timeout(closed, held, 1, false));
    assert_int_equal(errno, EBADF);
    assert_int_equal(iofuture_add_callback(held, note_future, "a"), -EBADF);
    assert_null(iofuture_loop(held));
    assert_true(iofuture_cancelled(held));
    assert_int_equal(iofuture_set_result(held, NULL, NULL), -EALREADY);
    iofuture_release(held);
    ioloop_release(closed);
    assert_int_equal(faults_allocated(), allocated);
}

static void set_late(struct iofuture *future, void *arg)
{
    note("a");
    assert_int_equal(iofuture_set_result(arg, NULL, NULL), 0);
    assert_int_equal(iofuture_error(arg), -ECANCELED);
    assert_int_equal(iofuture_add_callback(arg, note_future, "x"), -EBADF);
}

/* Whoever made a future may be one that ends with the loop too, and sets it then. */
static void it_can_be_set_while_the_loop_closes(void **state)
{
    open_loop();
    struct iofuture *from = new_future(), *future = new_future();
    tell(future, "b");
    struct iofuture *chain[20] = { from };
    for (int i = 1; i < 20; i++) {
        chain[i] = new_future();
        assert_int_equal(iofuture_chain(chain[i - 1], chain[i]), 0);
        iofuture_cancel(chain[i]);
    }
    assert_int_equal(iofuture_add_callback(from, set_late, future), 0);
    close_loop();
    assert_string_equal(trace, "ba");
}

static void callbacks_that_are_due_run_while_the_loop_closes(void **state)
{
    open_loop();
    struct iofuture *future = new_future();
    tell(future, "a");
    set_counted(future);
    close_loop();
    assert_string_equal(trace, "a");
    assert_int_equal(values_left, 0);
}

static void close_the_loop(struct iofuture *future, void *arg)
{
    note(arg);
    ioloop_close(loop, false);
    assert_int_equal(iofuture_add_callback(future, note_future, "x"), -EBADF);
}

static void a_callback_may_close_the_loop(void **state)
{
    open_loop();
    struct iofuture *future = new_future(), *other = new_future();
    assert_int_equal(iofuture_add_callback(future, close_the_loop, "a"), 0);
    tell(future, "b");
    tell(other, "c");
    set_counted(future);
    assert_int_equal(ioloop_start(loop), 0);
    assert_string_equal(trace, "abc");
    assert_int_equal(seen_error, -ECANCELED);
    assert_int_equal(values_left, 0);
    assert_int_equal(faults_allocated(), allocated);
}

/* Each holds the one before it; freed one inside the other, they would need a stack as deep as the chain is long. */
static void a_long_chain_that_outlives_its_loop_is_freed_link_by_link(void **state)
{
    enum { LENGTH = 200000 };

    open_loop();
    struct iofuture *first = new_future(), *last = first;
    for (int i = 0; i < LENGTH; i++) {
        struct iofuture *to = new_future();
        assert_int_equal(iofuture_chain(last, to), 0);
        last = to;
    }
    iofuture_hold(last);
    set_counted(first);
    testing_spin(loop, LENGTH);
    assert_true(iofuture_done(last));
    ioloop_close(loop, false);
    assert_int_equal(values_left, 1);
    iofuture_release(last);
    assert_int_equal(values_left, 0);
    assert_int_equal(faults_allocated(), allocated);
}

/* What could not be made cannot be waited for, and says why. */
static void null_in_place_of_a_future_is_answered_with_errno(void **state)
{
    struct iofuture *futures[2] = { NULL, NULL };

    open_loop();
    struct iofuture *to = futures[0] = new_future();
    errno = EMFILE;
    assert_int_equal(iofuture_add_callback(NULL, note_future, NULL), -EMFILE);
    assert_int_equal(iofuture_chain(NULL, to), -EMFILE);
    assert_null(iofuture_with_timeout(loop, NULL, 1, false));
    assert_int_equal(errno, EMFILE);
    assert_null(iofuture_multi(loop, futures, 2));
    assert_null(iofuture_any(loop, futures, 2));
    assert_null(iofuture_iterator_new(loop, futures, 2));
    assert_int_equal(errno, EMFILE);
    errno = 0;
    assert_int_equal(iofuture_add_callback(NULL, note_future, NULL), -EINVAL);
    close_loop();
}

/* Memory. */

static void a_future_costs_one_allocation(void **state)
{
    open_loop();
    long before = faults_allocations();
    struct iofuture *future = new_future();
    assert_int_equal(faults_allocations(), before + 1);
    tell(future, "a");
    set_result(future, NULL);
    expect_trace("a");
    assert_int_equal(faults_allocations(), before + 1);
    close_loop();
}

static void without_memory_nothing_is_lost(void **state)
{
    open_loop();
    faults_allocation(1, false);
    errno = 0;
    assert_null(iofuture_new(loop));
    assert_int_equal(errno, ENOMEM);
    struct iofuture *future = new_future(), *to = new_future();
    faults_allocation(1, true);
    tell(future, "a");
    assert_int_equal(iofuture_add_callback(future, note_future, "x"), -ENOMEM);
    assert_int_equal(iofuture_chain(future, to), -ENOMEM);
    iofuture_remove_callback(future, note_future, "x");
    set_result(future, NULL);
    expect_trace("a");
    faults_end();
    tell(to, "b");
    set_result(to, NULL);
    expect_trace("ab");
    close_loop();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(survives_everything_in_every_order),
    cmocka_unit_test(survives_much_of_it_at_random),
    cmocka_unit_test(a_loop_that_closes_makes_no_futures),
    cmocka_unit_test(it_can_be_set_while_the_loop_closes),
    cmocka_unit_test(callbacks_that_are_due_run_while_the_loop_closes),
    cmocka_unit_test(a_callback_may_close_the_loop),
    cmocka_unit_test(a_long_chain_that_outlives_its_loop_is_freed_link_by_link),
    cmocka_unit_test(null_in_place_of_a_future_is_answered_with_errno),
    cmocka_unit_test(a_future_costs_one_allocation),
    cmocka_unit_test(without_memory_nothing_is_lost),
};

TESTING_MAIN(tests)
