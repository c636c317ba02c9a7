/* Many queries of resolver, many executors, threads and processes, and shortages. */
#include "ioloop/resolver.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>

#include "ioloop/ioexecutor.h"
#include "ioloop/ioloop.h"
#include "tests/support/faults.h"
#include "tests/support/forkedchild.h"
#include "tests/support/resolverscene.h"
#include "tests/support/testing.h"

/* Many, executors, threads, processes. */

/* More names than an executor of the program's own would take. */
enum { QUERIES = 2500, NAMES = 2000 };

static int many_told;
static bool all_told;

static void count_resolved(int error, const struct resolver_address *addresses, size_t count, void *arg)
{
    int *told = arg;

    ++*told;
    all_told = ++many_told == QUERIES;
    assert_int_equal(error, 0);
    if (all_told)
        ioloop_stop(ioloop_current_if_any());
}

static const char *name_of_query(int i)
{
    static char name[32];

    if (i >= NAMES)
        return "127.0.0.1";
    snprintf(name, sizeof name, "many-%d.test", i);
    return name;
}

static void many_queries_are_each_told_once(void **state)
{
    long before = faults_allocated();
    struct ioloop *loop = new_loop();
    static int told[QUERIES];

    many_told = 0;
    all_told = false;
    for (int i = 0; i < QUERIES; i++)
        assert_true(resolver_resolve(NULL, loop, name_of_query(i), 80, AF_UNSPEC, 0, count_resolved, &told[i]) != 0);
    testing_run_until(loop, &all_told);
    testing_spin(loop, 3);
    for (int i = 0; i < QUERIES; i++)
        assert_int_equal(told[i], 1);
    assert_int_equal(asked, NAMES);
    end(loop);
    assert_int_equal(faults_allocated(), before);
}

/* ioloop_test:test_set_default_executor: here the resolver is told which one to use. */
static void the_executor_that_was_given_is_used_and_its_queue_is_the_limit(void **state)
{
    long before = faults_allocated();
    struct ioloop *loop = new_loop_with_clock();
    struct ioexecutor *executor = new_executor(1, 1);
    struct resolver *resolver = new_resolver(executor);
    struct answer answers[4] = { { .error = 1 } };

    ask(resolver, loop, "blocked.test", &answers[0]);
    ask(resolver, loop, "many.test", &answers[1]);
    assert_int_equal(resolver_resolve(resolver, loop, "useless.test", 80, AF_UNSPEC, 0, on_resolved, &answers[2]), 0);
    assert_int_equal(errno, EAGAIN);
    ask(resolver, loop, "127.0.0.1", &answers[3]);
    testing_run_until(loop, &answers[3].done);
    assert_int_equal(answers[1].told, 0);
    open_gate();
    testing_run_until(loop, &answers[1].done);
    assert_int_equal(answers[0].told, 1);
    now += 11;
    testing_spin(loop, 2);
    assert_int_equal(answers[2].told, 0); /* its deadline is not there either */
    resolver_close(resolver);
    ioexecutor_close(executor, true);
    end(loop);
    assert_int_equal(faults_allocated(), before);
}

static void *resolve_on_a_thread(void *arg)
{
    struct ioloop *loop = ioloop_new(NULL);
    struct resolver *resolver = resolver_new(arg);

    for (int i = 0; i < 300; i++) {
        struct answer answer = { .error = 1 };
        uint64_t id =
            resolver_resolve(resolver, loop, i % 2 ? "many.test" : "127.0.0.1", 80, AF_UNSPEC, 0, on_resolved, &answer);

        if (i % 5 == 0)
            resolver_cancel(loop, id);
        while (id != 0 && !answer.done)
            ioloop_run_once(loop, 0.1);
    }
    resolver_close(resolver);
    ioloop_close(loop, false);
    return NULL;
}

static void loops_of_several_threads_resolve_at_the_same_time(void **state)
{
    long before = faults_allocated();
    struct ioexecutor *executor = new_executor(2, 0);
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, resolve_on_a_thread, executor), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ioexecutor_close(executor, true);
    ioexecutor_close(ioexecutor_default(), true);
    assert_int_equal(lists_out, 0);
    assert_int_equal(faults_allocated(), before);
}

static void resolve_in_child(struct ioloop *loop, struct answer *parents, long before)
{
    struct answer answer = { .error = 1 };

    CHECK(ioloop_reopen(loop) == 0);
    CHECK(resolver_resolve(NULL, loop, "many.test", 80, AF_UNSPEC, 0, on_resolved, &answer) != 0);
    while (!answer.done)
        ioloop_run_once(loop, 0.01);
    CHECK(answer.error == 0 && answer.count == 2);
    CHECK(parents->told == 0);
    now += 11; /* its thread is not here */
    ioloop_run_once(loop, 0);
    ioloop_run_once(loop, 0);
    CHECK(parents->told == 1 && parents->error == -ETIMEDOUT);
    ioloop_close(loop, false);
    ioexecutor_close(ioexecutor_default(), true);
    CHECK(faults_allocated() == before);
    _exit(0);
}

static void a_child_resolves_anew_and_the_parents_query_ends_by_its_deadline(void **state)
{
    testing_skip_under_thread_sanitizer();
    long before = faults_allocated();
    struct ioloop *loop = new_loop_with_clock();
    struct answer answer = { .error = 1 };

    ask(NULL, loop, "blocked.test", &answer);
    await_entered(1);
    pid_t child = fork_child();
    if (child == 0)
        resolve_in_child(loop, &answer, before);
    wait_for(child);
    open_gate();
    testing_run_until(loop, &answer.done);
    assert_int_equal(answer.error, 0);
    end(loop);
    assert_int_equal(faults_allocated(), before);
}

static atomic_bool forking_done;

static void *resolve_literals(void *arg)
{
    struct ioloop *loop = ioloop_new(NULL);

    while (!forking_done) {
        struct answer answer = { .error = 1 };

        for (int i = 0; i < 10; i++)
            resolver_cancel(loop, 0);
        resolver_resolve(NULL, loop, "127.0.0.1", 80, AF_UNSPEC, 0, on_resolved, &answer);
        while (!answer.done)
            ioloop_run_once(loop, 0);
    }
    ioloop_close(loop, false);
    return NULL;
}

static void forks_in_the_middle_find_no_lock_taken(void **state)
{
    struct ioloop *loop = new_loop();
    pthread_t threads[2];

    forking_done = false;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, resolve_literals, NULL), 0);
    for (int i = 0; i < 50; i++) {
        pid_t child = fork_child();
        if (child == 0) {
            resolver_cancel(loop, 0);
            _exit(0);
        }
        wait_for(child);
    }
    forking_done = true;
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    end(loop);
}

/* Shortages. */

/* A name, a literal, an override and one that is cancelled: what was accepted is told once, whatever fails. */
static void scenario(void)
{
    static const char *const hosts[] = { "many.test", "127.0.0.1", "host.test", "many.test" };
    struct answer answers[4] = { { .told = 0 } };
    bool accepted[4] = { false };
    struct ioloop *loop = ioloop_new(NULL);
    struct resolver *resolver = resolver_new(NULL);

    if (loop != NULL && resolver != NULL &&
        resolver_add_override(resolver, "host.test", 80, AF_UNSPEC, "many.test", 0) == 0) {
        for (int i = 0; i < 4; i++) {
            uint64_t id = resolver_resolve(resolver, loop, hosts[i], 80, AF_UNSPEC, 0, on_resolved, &answers[i]);

            accepted[i] = id != 0;
            assert_true(accepted[i] || errno == ENOMEM || errno == EAGAIN);
            if (i == 3)
                resolver_cancel(loop, id);
        }
    }
    for (int i = 0; i < 4; i++) {
        if (accepted[i])
            testing_run_until(loop, &answers[i].done);
    }
    if (resolver != NULL)
        resolver_close(resolver);
    if (loop != NULL)
        ioloop_close(loop, false);
    for (int i = 0; i < 4; i++)
        assert_int_equal(answers[i].told, accepted[i]);
    struct ioexecutor *executor = ioexecutor_default();
    if (executor != NULL)
        ioexecutor_close(executor, true);
    assert_int_equal(lists_out, 0);
}

/* Of the last round only what a loop may have dropped can be there still; a close takes it. */
static void check_nothing_is_left(long before)
{
    faults_end();
    ioexecutor_close(ioexecutor_default(), true);
    assert_int_equal(faults_allocated(), before);
}

static void survives_any_allocation_that_fails(void **state)
{
    long before = faults_allocated();
    int nth = 1;

    for (bool hit = true; hit; nth++) {
        faults_allocation(nth, false);
        scenario();
        hit = faults_hit();
        check_nothing_is_left(before);
    }
    assert_in_range(nth, 15, 200);
}

static void survives_any_call_that_fails(void **state)
{
    static const struct {
        const char *name;
        int error;
    } calls[] = { { "pthread_create", EAGAIN }, { "getaddrinfo", EAI_AGAIN }, { "getaddrinfo", EAI_MEMORY },
                  { "epoll_create1", EMFILE },  { "eventfd", EMFILE },        { "epoll_ctl", ENOMEM } };
    long before = faults_allocated();
    int fds = testing_count_fds();

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        bool hit = true;

        for (int nth = 1; hit; nth++) {
            faults_system_call(calls[i].name, calls[i].error, nth);
            scenario();
            hit = faults_hit();
            check_nothing_is_left(before);
            assert_int_equal(testing_count_fds(), fds);
        }
        faults_system_call_sticky(calls[i].name, calls[i].error, 1);
        scenario();
        check_nothing_is_left(before);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(many_queries_are_each_told_once),
    cmocka_unit_test(the_executor_that_was_given_is_used_and_its_queue_is_the_limit),
    cmocka_unit_test(loops_of_several_threads_resolve_at_the_same_time),
    cmocka_unit_test(a_child_resolves_anew_and_the_parents_query_ends_by_its_deadline),
    cmocka_unit_test(forks_in_the_middle_find_no_lock_taken),
    cmocka_unit_test(survives_any_allocation_that_fails),
    cmocka_unit_test(survives_any_call_that_fails),
};

TESTING_MAIN(tests)
