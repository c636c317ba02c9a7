/* Queries for one name at one time: one lookup, and each query for itself. */
#include "ioloop/resolver.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "ioloop/ioexecutor.h"
#include "ioloop/ioloop.h"
#include "tests/support/faults.h"
#include "tests/support/forkedchild.h"
#include "tests/support/resolverscene.h"
#include "tests/support/testing.h"

static struct ioloop *loop;
static struct ioexecutor *executor;
static struct resolver *resolver;
static long allocated;

static void open_scene(int threads)
{
    allocated = faults_allocated();
    loop = new_loop_with_clock();
    executor = new_executor(threads, 0);
    resolver = new_resolver(executor);
}

static void close_scene(void)
{
    resolver_close(resolver);
    open_gate();
    ioexecutor_close(executor, true);
    end(loop);
    assert_int_equal(faults_allocated(), allocated);
}

static uint64_t ask_for(const char *host, int port, int family, struct answer *answer)
{
    *answer = (struct answer){ .error = 1 };
    uint64_t id = resolver_resolve(resolver, loop, host, port, family, 0, on_resolved, answer);
    assert_true(id != 0);
    return id;
}

static void await(struct answer *answer)
{
    testing_run_until(loop, &answer->done);
    testing_spin(loop, 2);
}

static void expect_address(const struct answer *answer, const char *text)
{
    assert_int_equal(answer->told, 1);
    assert_int_equal(answer->error, 0);
    assert_int_equal(answer->count, 1);
    assert_string_equal(text_of(answer, 0), text);
}

static void expect_error(const struct answer *answer, int error)
{
    assert_int_equal(answer->told, 1);
    assert_int_equal(answer->error, error);
    assert_int_equal(answer->count, 0);
}

static void equal_queries_are_one_lookup_and_each_has_its_port(void **state)
{
    struct answer answers[3];

    open_scene(4);
    ask_for("blocked.test", 80, AF_UNSPEC, &answers[0]);
    await_entered(1);
    ask_for("blocked.test", 81, AF_UNSPEC, &answers[1]);
    ask_for("BLOCKED.test", 0, AF_UNSPEC, &answers[2]);
    testing_spin(loop, 2);
    open_gate();
    await(&answers[2]);
    expect_address(&answers[0], "192.0.2.1 80");
    expect_address(&answers[1], "192.0.2.1 81");
    expect_address(&answers[2], "192.0.2.1 0");
    assert_int_equal(asked, 1);
    ask_for("blocked.test", 82, AF_UNSPEC, &answers[0]); /* later: nothing is kept */
    await(&answers[0]);
    expect_address(&answers[0], "192.0.2.1 82");
    assert_int_equal(asked, 2);
    close_scene();
}

static void what_differs_is_looked_up_for_itself(void **state)
{
    struct answer answers[5] = { { .told = 0 } };

    open_scene(4);
    struct ioloop *other_loop = ioloop_new(NULL);
    struct ioexecutor *other_executor = new_executor(1, 0);
    struct resolver *other_resolver = new_resolver(other_executor);
    ask_for("blocked.test", 80, AF_UNSPEC, &answers[0]);
    ask_for("blocked.test", 80, AF_INET, &answers[1]);
    ask(other_resolver, loop, "blocked.test", &answers[2]);
    ask(resolver, other_loop, "blocked.test", &answers[3]);
    ask_for("blocked.tesT.", 80, AF_UNSPEC, &answers[4]);
    await_entered(4);
    open_gate();
    for (int i = 0; i < 3; i++)
        await(&answers[i]);
    testing_run_until(other_loop, &answers[3].done);
    for (int i = 0; i < 4; i++)
        assert_int_equal(answers[i].error, 0);
    assert_ptr_equal(answers[3].loop, other_loop);
    await(&answers[4]);
    assert_int_equal(asked, 5);
    ioloop_close(other_loop, false);
    resolver_close(other_resolver);
    ioexecutor_close(other_executor, true);
    close_scene();
}

/* More than there are chains for them. */
static void each_name_is_looked_up_for_itself(void **state)
{
    enum { NAMES = 200 };
    static struct answer answers[NAMES];
    char name[32];

    open_scene(2);
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "many-%d.test", i);
        ask_for(name, 80, AF_UNSPEC, &answers[i]);
    }
    for (int i = 0; i < NAMES; i++)
        await(&answers[i]);
    assert_int_equal(asked, NAMES);
    close_scene();
}

/* The first, the one in the middle, the last, and more of them. */
static void cancelling_one_is_nothing_to_the_others(void **state)
{
    for (unsigned cancelled = 0; cancelled < 8; cancelled++) {
        for (int is_running = 0; is_running < 2; is_running++) {
            struct answer blocker, answers[3];
            uint64_t ids[3];

            open_scene(1);
            if (!is_running)
                ask_for("blocked.test", 80, AF_INET, &blocker);
            for (int i = 0; i < 3; i++)
                ids[i] = ask_for("blocked.test", 80 + i, AF_UNSPEC, &answers[i]);
            await_entered(1);
            for (int i = 0; i < 3; i++) {
                if (cancelled & 1u << i)
                    resolver_cancel(loop, ids[i]);
            }
            testing_spin(loop, 2);
            for (int i = 0; i < 3; i++)
                assert_int_equal(answers[i].told, cancelled >> i & 1);
            open_gate();
            for (int i = 0; i < 3; i++) {
                await(&answers[i]);
                if (cancelled & 1u << i)
                    expect_error(&answers[i], -ECANCELED);
                else
                    assert_int_equal(answers[i].error, 0);
            }
            if (!is_running)
                await(&blocker);
            assert_int_equal(asked, is_running ? 1 : cancelled == 7 ? 1 : 2);
            close_scene();
        }
    }
}

static void each_has_its_own_deadline(void **state)
{
    struct answer answers[2], hasty = { .error = 1 };

    open_scene(1);
    ask_for("blocked.test", 80, AF_UNSPEC, &answers[0]);
    assert_true(resolver_resolve(resolver, loop, "blocked.test", 80, AF_UNSPEC, 3, on_resolved, &hasty) != 0);
    await_entered(1);
    now += 5;
    ask_for("blocked.test", 81, AF_UNSPEC, &answers[1]);
    testing_spin(loop, 2);
    expect_error(&hasty, -ETIMEDOUT);
    assert_int_equal(answers[0].told, 0);
    now += 6;
    testing_spin(loop, 2);
    expect_error(&answers[0], -ETIMEDOUT);
    assert_int_equal(answers[1].told, 0);
    open_gate();
    await(&answers[1]);
    expect_address(&answers[1], "192.0.2.1 81");
    assert_int_equal(asked, 1);
    close_scene();
}

/* One that waits was taken back when nobody wanted it: it is not the one to join. */
static void a_query_after_all_have_cancelled_is_answered(void **state)
{
    for (int is_running = 0; is_running < 2; is_running++) {
        struct answer blocker, cancelled, answer;

        open_scene(1);
        if (!is_running)
            ask_for("blocked.test", 80, AF_INET, &blocker);
        uint64_t id = ask_for("blocked.test", 80, AF_UNSPEC, &cancelled);
        await_entered(1);
        resolver_cancel(loop, id);
        ask_for("blocked.test", 80, AF_UNSPEC, &answer);
        testing_spin(loop, 2);
        expect_error(&cancelled, -ECANCELED);
        assert_int_equal(answer.told, 0);
        open_gate();
        await(&answer);
        expect_address(&answer, "192.0.2.1 80");
        assert_int_equal(asked, is_running ? 1 : 2);
        close_scene();
    }
}

/* Callbacks that end others, begin others, and end what they hang on. */
static struct answer victims[2], once_more;
static uint64_t victim_id;

static void cancel_next_and_ask_again(int error, const struct resolver_address *addresses, size_t count, void *arg)
{
    resolver_cancel(loop, victim_id);
    ask_for("blocked.test", 83, AF_UNSPEC, &once_more);
    on_resolved(error, addresses, count, arg);
}

static void a_callback_may_cancel_and_ask(void **state)
{
    struct answer answer = { .error = 1 };

    open_scene(1);
    assert_true(
        resolver_resolve(resolver, loop, "blocked.test", 80, AF_UNSPEC, 0, cancel_next_and_ask_again, &answer) != 0);
    victim_id = ask_for("blocked.test", 81, AF_UNSPEC, &victims[0]);
    ask_for("blocked.test", 82, AF_UNSPEC, &victims[1]);
    await_entered(1);
    open_gate();
    await(&once_more);
    expect_address(&answer, "192.0.2.1 80");
    expect_error(&victims[0], -ECANCELED);
    expect_address(&victims[1], "192.0.2.1 82");
    expect_address(&once_more, "192.0.2.1 83");
    assert_int_equal(asked, 2);
    close_scene();
}

static void close_resolver_in_callback(int error, const struct resolver_address *addresses, size_t count, void *arg)
{
    resolver_close(resolver);
    resolver = new_resolver(executor);
    on_resolved(error, addresses, count, arg);
}

static void a_callback_may_close_the_resolver(void **state)
{
    struct answer answer = { .error = 1 }, others = { .error = 1 };

    open_scene(1);
    assert_true(
        resolver_resolve(resolver, loop, "blocked.test", 80, AF_UNSPEC, 0, close_resolver_in_callback, &answer) != 0);
    ask_for("blocked.test", 81, AF_UNSPEC, &victims[0]);
    struct resolver *other = new_resolver(executor);
    ask(other, loop, "blocked.test", &others);
    await_entered(1);
    open_gate();
    await(&others);
    expect_address(&answer, "192.0.2.1 80");
    expect_error(&victims[0], -ECANCELED);
    expect_address(&others, "192.0.2.1 80");
    assert_int_equal(asked, 1);
    resolver_close(other);
    close_scene();
}

static void close_loop_in_callback(int error, const struct resolver_address *addresses, size_t count, void *arg)
{
    ioloop_close(loop, false);
    on_resolved(error, addresses, count, arg);
}

static void a_callback_may_close_the_loop(void **state)
{
    struct answer answer = { .error = 1 };

    open_scene(1);
    assert_true(resolver_resolve(resolver, loop, "blocked.test", 80, AF_UNSPEC, 0, close_loop_in_callback, &answer) !=
                0);
    ask_for("blocked.test", 81, AF_UNSPEC, &victims[0]);
    await_entered(1);
    open_gate();
    assert_int_equal(ioloop_start(loop), 0);
    expect_address(&answer, "192.0.2.1 80");
    assert_int_equal(victims[0].told, 1);
    resolver_close(resolver);
    ioexecutor_close(executor, true);
    ioexecutor_close(ioexecutor_default(), true);
    assert_int_equal(lists_out, 0);
    assert_int_equal(faults_allocated(), allocated);
}

/* Running, waiting, and one that nobody waits for. */
static void closing_the_loop_ends_all_of_them(void **state)
{
    for (int waits = 0; waits < 2; waits++) {
        struct answer blocker, answers[3];

        open_scene(1);
        if (waits)
            ask_for("blocked.test", 80, AF_INET, &blocker);
        for (int i = 0; i < 3; i++)
            ask_for("blocked.test", 80, AF_UNSPEC, &answers[i]);
        await_entered(1);
        ioloop_close(loop, false);
        for (int i = 0; i < 3; i++)
            expect_error(&answers[i], -ECANCELED);
        if (waits)
            expect_error(&blocker, -ECANCELED);
        resolver_close(resolver);
        open_gate();
        ioexecutor_close(executor, true);
        assert_int_equal(lists_out, 0);
        assert_int_equal(faults_allocated(), allocated);
    }
}

static void closing_the_executor_is_told_to_all(void **state)
{
    struct answer blocker, answers[2];

    open_scene(1);
    ask_for("blocked.test", 80, AF_INET, &blocker);
    await_entered(1);
    for (int i = 0; i < 2; i++)
        ask_for("many.test", 80, AF_UNSPEC, &answers[i]);
    ioexecutor_close(executor, false);
    await(&answers[1]);
    for (int i = 0; i < 2; i++)
        expect_error(&answers[i], -ECANCELED);
    open_gate();
    await(&blocker);
    expect_address(&blocker, "192.0.2.1 80");
    resolver_close(resolver);
    end(loop);
    assert_int_equal(faults_allocated(), allocated);
}

static int many_told;

static void count_one(int error, const struct resolver_address *addresses, size_t count, void *arg)
{
    many_told++;
}

static void so_many_wait_for_one_name_and_no_more(void **state)
{
    open_scene(4);
    many_told = 0;
    for (int i = 0; i < 4096; i++)
        assert_true(resolver_resolve(resolver, loop, "blocked.test", 80, AF_UNSPEC, 0, count_one, NULL) != 0);
    errno = 0;
    assert_int_equal(resolver_resolve(resolver, loop, "blocked.test", 80, AF_UNSPEC, 0, count_one, NULL), 0);
    assert_int_equal(errno, EAGAIN);
    assert_true(resolver_resolve(resolver, loop, "blocked.test", 80, AF_INET, 0, count_one, NULL) != 0);
    open_gate();
    while (many_told < 4097)
        ioloop_run_once(loop, 0.01);
    assert_int_equal(many_told, 4097);
    close_scene();
}

/* Processes. */

static void ask_in_child(struct answer *parents)
{
    struct answer answer = { .error = 1 };

    CHECK(ioloop_reopen(loop) == 0);
    open_gate();
    CHECK(resolver_resolve(resolver, loop, "blocked.test", 80, AF_UNSPEC, 0, on_resolved, &answer) != 0);
    while (!answer.done)
        ioloop_run_once(loop, 0.01);
    CHECK(answer.error == 0 && answer.count == 1);
    CHECK(parents->told == 0);
    now += 11;
    ioloop_run_once(loop, 0);
    CHECK(parents->told == 1 && parents->error == -ETIMEDOUT);
    _exit(0);
}

/* Its thread is not there. */
static void a_child_does_not_join_a_lookup_of_its_parent(void **state)
{
    struct answer answer;

    testing_skip_under_thread_sanitizer();
    open_scene(1);
    ask_for("blocked.test", 80, AF_UNSPEC, &answer);
    await_entered(1);
    pid_t child = fork_child();
    if (child == 0)
        ask_in_child(&answer);
    wait_for(child);
    open_gate();
    await(&answer);
    expect_address(&answer, "192.0.2.1 80");
    close_scene();
}

static pid_t forked;

static void fork_in_callback(int error, const struct resolver_address *addresses, size_t count, void *arg)
{
    on_resolved(error, addresses, count, arg);
    forked = fork_child();
}

static void see_the_end_in_child(const struct answer *answer)
{
    CHECK(answer->told == 1);
    CHECK(victims[0].told == 0 && victims[1].told == 0);
    CHECK(ioloop_reopen(loop) == 0);
    now += 11;
    for (int i = 0; i < 3; i++)
        ioloop_run_once(loop, 0);
    CHECK(victims[0].told == 1 && victims[0].error == -ETIMEDOUT);
    CHECK(victims[1].told == 1 && victims[1].error == -ETIMEDOUT);
    resolver_close(resolver);
    ioloop_close(loop, false);
    ioexecutor_close(executor, true);
    ioexecutor_close(ioexecutor_default(), true);
    CHECK(faults_allocated() == allocated);
    _exit(0);
}

static void who_has_not_been_told_when_a_callback_forks_is_the_parents_to_tell(void **state)
{
    struct answer answer = { .error = 1 };

    testing_skip_under_thread_sanitizer();
    open_scene(1);
    assert_true(resolver_resolve(resolver, loop, "blocked.test", 80, AF_UNSPEC, 0, fork_in_callback, &answer) != 0);
    for (int i = 0; i < 2; i++)
        ask_for("blocked.test", 81, AF_UNSPEC, &victims[i]);
    await_entered(1);
    open_gate();
    forked = -1;
    while (forked < 0)
        (void)!ioloop_run_once(loop, 0.01);
    if (forked == 0)
        see_the_end_in_child(&answer);
    wait_for(forked);
    await(&victims[1]);
    expect_address(&victims[0], "192.0.2.1 81");
    expect_address(&victims[1], "192.0.2.1 81");
    close_scene();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(equal_queries_are_one_lookup_and_each_has_its_port),
    cmocka_unit_test(what_differs_is_looked_up_for_itself),
    cmocka_unit_test(each_name_is_looked_up_for_itself),
    cmocka_unit_test(cancelling_one_is_nothing_to_the_others),
    cmocka_unit_test(each_has_its_own_deadline),
    cmocka_unit_test(a_query_after_all_have_cancelled_is_answered),
    cmocka_unit_test(a_callback_may_cancel_and_ask),
    cmocka_unit_test(a_callback_may_close_the_resolver),
    cmocka_unit_test(a_callback_may_close_the_loop),
    cmocka_unit_test(closing_the_loop_ends_all_of_them),
    cmocka_unit_test(closing_the_executor_is_told_to_all),
    cmocka_unit_test(so_many_wait_for_one_name_and_no_more),
    cmocka_unit_test(a_child_does_not_join_a_lookup_of_its_parent),
    cmocka_unit_test(who_has_not_been_told_when_a_callback_forks_is_the_parents_to_tell),
};

TESTING_MAIN(tests)
