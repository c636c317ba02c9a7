/* How queries of resolver end before their answer: by deadlines, by cancelling, with what they hang on. */
#include "ioloop/resolver.h"

#include <errno.h>
#include <sys/socket.h>

#include "ioloop/ioexecutor.h"
#include "ioloop/ioloop.h"
#include "tests/support/faults.h"
#include "tests/support/resolverscene.h"
#include "tests/support/testing.h"

/* One query runs in the thread, the other waits for it. */
static void a_deadline_ends_a_query_whose_answer_does_not_come(void **state)
{
    long before = faults_allocated();
    struct ioloop *loop = new_loop_with_clock();
    struct ioexecutor *executor = new_executor(1, 0);
    struct resolver *resolver = new_resolver(executor);
    struct answer running = { .error = 1 }, waiting = { .error = 1 }, patient = { .error = 1 };

    ask(resolver, loop, "blocked.test", &running);
    assert_true(resolver_resolve(resolver, loop, "localhost", 80, AF_UNSPEC, 3, on_resolved, &waiting) != 0);
    assert_true(resolver_resolve(resolver, loop, "many.test", 80, AF_UNSPEC, __builtin_inf(), on_resolved, &patient) !=
                0);
    await_entered(1);
    now += 2.9;
    testing_spin(loop, 2);
    assert_int_equal(waiting.told, 0);
    now += 0.2;
    testing_spin(loop, 2);
    assert_int_equal(waiting.told, 1);
    assert_int_equal(waiting.error, -ETIMEDOUT);
    now += 6.8;
    testing_spin(loop, 2);
    assert_int_equal(running.told, 0);
    now += 0.2;
    testing_spin(loop, 2);
    assert_int_equal(running.told, 1);
    assert_int_equal(running.error, -ETIMEDOUT);
    now += 100000;
    testing_spin(loop, 2);
    open_gate();
    testing_run_until(loop, &patient.done);
    assert_int_equal(patient.error, 0);
    assert_int_equal(running.told, 1);
    assert_int_equal(waiting.told, 1);
    assert_int_equal(asked, 2); /* the one that gave up before it started was not asked */
    resolver_close(resolver);
    ioexecutor_close(executor, true);
    end(loop);
    assert_int_equal(faults_allocated(), before);
}

static void cancelled_queries_say_so_from_the_loop(void **state)
{
    long before = faults_allocated();
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = new_executor(1, 0);
    struct resolver *resolver = new_resolver(executor);
    struct answer running = { .error = 1 }, waiting = { .error = 1 }, literal = { .error = 1 };

    uint64_t ids[] = { ask(resolver, loop, "blocked.test", &running), ask(resolver, loop, "localhost", &waiting),
                       ask(resolver, loop, "127.0.0.1", &literal) };
    await_entered(1);
    for (int twice = 0; twice < 2; twice++) {
        for (int i = 0; i < 3; i++)
            resolver_cancel(loop, ids[i]);
    }
    assert_int_equal(running.told + waiting.told + literal.told, 0);
    testing_spin(loop, 2);
    assert_int_equal(running.error, -ECANCELED);
    assert_int_equal(waiting.error, -ECANCELED);
    assert_int_equal(literal.error, -ECANCELED);
    for (int i = 0; i < 3; i++)
        resolver_cancel(loop, ids[i]);
    open_gate();
    ioexecutor_close(executor, true);
    testing_spin(loop, 3);
    assert_int_equal(running.told, 1);
    assert_int_equal(waiting.told, 1);
    assert_int_equal(literal.told, 1);
    assert_int_equal(asked, 1);
    resolver_close(resolver);
    end(loop);
    assert_int_equal(faults_allocated(), before);
}

static void cancelling_what_is_not_there_is_fine(void **state)
{
    struct ioloop *loop = new_loop(), *other = ioloop_new(NULL);
    struct answer answer = { .error = 1 };

    resolver_cancel(loop, 0);
    resolver_cancel(loop, 12345678);
    uint64_t id = ask(NULL, loop, "127.0.0.1", &answer);
    resolver_cancel(other, id);
    testing_spin(loop, 1);
    assert_int_equal(answer.error, 0);
    resolver_cancel(loop, id);
    testing_spin(loop, 1);
    assert_int_equal(answer.told, 1);
    ioloop_close(other, false);
    end(loop);
}

/* The answer has come, and its callback waits behind the one that cancels. */
static uint64_t id_to_cancel;

static void cancel_from_callback(void *arg)
{
    resolver_cancel(arg, id_to_cancel);
}

static void cancelling_beats_an_answer_that_is_on_its_way(void **state)
{
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = new_executor(1, 0);
    struct resolver *resolver = new_resolver(executor);
    struct answer answer = { .error = 1 };

    assert_int_equal(ioloop_add_callback(loop, cancel_from_callback, loop), 0);
    id_to_cancel = ask(resolver, loop, "many.test", &answer);
    ioexecutor_close(executor, true);
    testing_spin(loop, 3);
    assert_int_equal(answer.told, 1);
    assert_int_equal(answer.error, -ECANCELED);
    resolver_close(resolver);
    end(loop);
}

struct next {
    struct answer answer;
    struct answer *follower;
    struct resolver *resolver;
    int rounds;
};

static void ask_again(int error, const struct resolver_address *addresses, size_t count, void *arg)
{
    struct next *next = arg;

    assert_int_equal(error, 0);
    if (--next->rounds > 0)
        assert_true(resolver_resolve(next->resolver, ioloop_current(), next->rounds % 2 ? "many.test" : "::1", 80,
                                     AF_UNSPEC, 0, ask_again, next) != 0);
    else
        on_resolved(error, addresses, count, &next->answer);
}

static void queries_may_start_from_their_callbacks(void **state)
{
    struct ioloop *loop = new_loop();
    struct resolver *resolver = new_resolver(NULL);
    struct next next = { .resolver = resolver, .rounds = 50 };

    assert_true(resolver_resolve(resolver, loop, "::1", 80, AF_UNSPEC, 0, ask_again, &next) != 0);
    testing_run_until(loop, &next.answer.done);
    resolver_close(resolver);
    end(loop);
}

/* Ends. */

static void close_resolver_and_note(int error, const struct resolver_address *addresses, size_t count, void *arg)
{
    struct next *next = arg;

    resolver_close(next->resolver);
    on_resolved(error, addresses, count, &next->answer);
}

static void closing_a_resolver_ends_its_queries_only(void **state)
{
    long before = faults_allocated();
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = new_executor(1, 0);
    struct resolver *resolver = new_resolver(executor), *other = new_resolver(executor);
    struct answer running = { .error = 1 }, waiting = { .error = 1 }, others = { .error = 1 };
    struct next closing = { .resolver = resolver };

    override(resolver, "host.test", 0, AF_UNSPEC, "127.0.0.1", 0);
    ask(resolver, loop, "blocked.test", &running);
    ask(other, loop, "many.test", &others);
    ask(resolver, loop, "many.test", &waiting);
    assert_true(resolver_resolve(resolver, loop, "host.test", 1, AF_UNSPEC, 0, close_resolver_and_note, &closing) != 0);
    await_entered(1);
    testing_spin(loop, 2);
    assert_int_equal(closing.answer.error, 0);
    assert_int_equal(closing.answer.told, 1);
    assert_int_equal(running.error, -ECANCELED);
    assert_int_equal(waiting.error, -ECANCELED);
    assert_int_equal(others.told, 0);
    open_gate();
    testing_run_until(loop, &others.done);
    assert_int_equal(others.error, 0);
    assert_int_equal(running.told, 1);
    assert_int_equal(waiting.told, 1);
    resolver_close(other);
    ioexecutor_close(executor, true);
    end(loop);
    assert_int_equal(faults_allocated(), before);
}

static void closing_the_executor_ends_what_waits_there(void **state)
{
    struct ioloop *loop = new_loop();
    struct answer running = { .error = 1 }, waiting = { .error = 1 };
    struct ioexecutor *executor = new_executor(1, 0);
    struct resolver *resolver = new_resolver(executor);

    ask(resolver, loop, "blocked.test", &running);
    ask(resolver, loop, "many.test", &waiting);
    await_entered(1);
    ioexecutor_close(executor, false);
    testing_run_until(loop, &waiting.done);
    assert_int_equal(waiting.error, -ECANCELED);
    open_gate();
    testing_run_until(loop, &running.done);
    assert_int_equal(running.error, 0);
    resolver_close(resolver);
    end(loop);
}

/* Of each kind one: told or not, running or waiting or answered. */
static void closing_the_loop_ends_all_queries(void **state)
{
    long before = faults_allocated();
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = new_executor(1, 0);
    struct resolver *resolver = new_resolver(executor);
    struct answer running = { .error = 1 }, waiting = { .error = 1 }, literal = { .error = 1 };
    struct answer gave_up_waiting = { .error = 1 }, cancelled = { .error = 1 };

    ask(resolver, loop, "blocked.test", &running);
    uint64_t id = ask(resolver, loop, "many.test", &gave_up_waiting);
    await_entered(1);
    resolver_cancel(loop, id);
    testing_spin(loop, 1);
    ask(resolver, loop, "many.test", &waiting);
    ask(resolver, loop, "::1", &literal);
    resolver_cancel(loop, ask(resolver, loop, "::1", &cancelled));
    ioloop_close(loop, false);
    assert_int_equal(running.error, -ECANCELED);
    assert_int_equal(waiting.error, -ECANCELED);
    assert_int_equal(literal.error, -ECANCELED);
    assert_int_equal(cancelled.error, -ECANCELED);
    open_gate();
    ioexecutor_close(executor, true);
    assert_int_equal(running.told, 1);
    assert_int_equal(waiting.told, 1);
    assert_int_equal(literal.told, 1);
    assert_int_equal(cancelled.told, 1);
    assert_int_equal(gave_up_waiting.told, 1);
    assert_int_equal(asked, 1);
    assert_int_equal(lists_out, 0);
    resolver_close(resolver);
    assert_int_equal(faults_allocated(), before);
}

static void what_a_query_gave_up_may_come_after_the_loop(void **state)
{
    long before = faults_allocated();

    for (int opened_first = 0; opened_first < 2; opened_first++) {
        struct ioloop *loop = new_loop_with_clock();
        struct ioexecutor *executor = new_executor(1, 0);
        struct resolver *resolver = new_resolver(executor);
        struct answer answer = { .error = 1 };

        ask(resolver, loop, "blocked.test", &answer);
        await_entered(1);
        now += 11;
        testing_spin(loop, 2);
        assert_int_equal(answer.error, -ETIMEDOUT);
        if (opened_first) {
            open_gate();
            ioexecutor_close(executor, true); /* the job has ended, and its report is on the way */
        }
        ioloop_close(loop, false);
        if (!opened_first) {
            open_gate();
            ioexecutor_close(executor, true);
        }
        resolver_close(resolver);
        ioexecutor_close(ioexecutor_default(), true); /* takes what the loop has dropped */
        assert_int_equal(answer.told, 1);
        assert_int_equal(lists_out, 0);
        assert_int_equal(faults_allocated(), before);
    }
}

static void try_in_vain(int error, const struct resolver_address *addresses, size_t count, void *arg)
{
    struct next *next = arg;

    assert_int_equal(error, -ECANCELED);
    errno = 0;
    assert_int_equal(resolver_resolve(NULL, next->answer.loop, "127.0.0.1", 80, AF_UNSPEC, 0, try_in_vain, next), 0);
    assert_int_equal(errno, EBADF);
    next->answer.told++;
}

static void a_loop_that_closes_takes_no_more_queries(void **state)
{
    struct ioloop *loop = new_loop();
    struct next next = { .answer.loop = loop };

    assert_true(resolver_resolve(NULL, loop, "127.0.0.1", 80, AF_UNSPEC, 0, try_in_vain, &next) != 0);
    end(loop);
    assert_int_equal(next.answer.told, 1);
}

static void close_loop_and_cancel(void *arg)
{
    struct ioloop *loop = arg;

    ioloop_close(loop, false);
    resolver_cancel(loop, id_to_cancel);
}

/* The executor cannot report to such a loop any more that the job was cancelled. */
static void a_query_may_be_cancelled_while_the_loop_closes(void **state)
{
    long before = faults_allocated();
    struct ioloop *loop = new_loop();
    struct ioexecutor *executor = new_executor(1, 0);
    struct resolver *resolver = new_resolver(executor);
    struct answer running = { .error = 1 }, waiting = { .error = 1 };

    ask(resolver, loop, "blocked.test", &running);
    await_entered(1);
    id_to_cancel = ask(resolver, loop, "many.test", &waiting);
    assert_int_equal(ioloop_add_callback(loop, close_loop_and_cancel, loop), 0);
    assert_int_equal(ioloop_start(loop), 0);
    assert_int_equal(running.told, 1);
    assert_int_equal(waiting.told, 1);
    resolver_close(resolver);
    open_gate();
    ioexecutor_close(executor, true);
    assert_int_equal(lists_out, 0);
    assert_int_equal(faults_allocated(), before);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_deadline_ends_a_query_whose_answer_does_not_come),
    cmocka_unit_test(cancelled_queries_say_so_from_the_loop),
    cmocka_unit_test(cancelling_what_is_not_there_is_fine),
    cmocka_unit_test(cancelling_beats_an_answer_that_is_on_its_way),
    cmocka_unit_test(queries_may_start_from_their_callbacks),
    cmocka_unit_test(closing_a_resolver_ends_its_queries_only),
    cmocka_unit_test(closing_the_executor_ends_what_waits_there),
    cmocka_unit_test(closing_the_loop_ends_all_queries),
    cmocka_unit_test(what_a_query_gave_up_may_come_after_the_loop),
    cmocka_unit_test(a_loop_that_closes_takes_no_more_queries),
    cmocka_unit_test(a_query_may_be_cancelled_while_the_loop_closes),
};

TESTING_MAIN(tests)
