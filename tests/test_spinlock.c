/* The lock around what threads post to a loop. */
#include "ioloop/spinlock.h"

#include <pthread.h>
#include <sched.h>

#include "tests/support/testing.h"

enum { THREADS = 4, TIMES = 100000 };

static struct spinlock lock;
static long first, second;
static atomic_bool arrived;

static void *count(void *arg)
{
    for (int i = 0; i < TIMES; i++) {
        spinlock_lock(&lock);
        first++;
        second = first;
        spinlock_unlock(&lock);
    }
    return arg;
}

static void lets_one_thread_in_at_a_time(void **state)
{
    pthread_t threads[THREADS];

    first = 0;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(first, (long)THREADS * TIMES);
    assert_int_equal(second, first);
}

static void *enter(void *arg)
{
    atomic_store(&arrived, true);
    spinlock_lock(&lock);
    first = second;
    spinlock_unlock(&lock);
    return arg;
}

/* Whoever waits gives way: on one processor this would not end otherwise before the thread's time is over. */
static void who_waits_for_long_comes_in_when_it_is_given_back(void **state)
{
    pthread_t thread;

    atomic_store(&arrived, false);
    first = second = 1;
    spinlock_lock(&lock);
    assert_int_equal(pthread_create(&thread, NULL, enter, NULL), 0);
    while (!atomic_load(&arrived))
        sched_yield();
    for (int i = 0; i < 100000; i++) {
        second = i;
        assert_int_equal(first, 1);
    }
    spinlock_unlock(&lock);
    pthread_join(thread, NULL);
    assert_int_equal(first, 99999);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(lets_one_thread_in_at_a_time),
    cmocka_unit_test(who_waits_for_long_comes_in_when_it_is_given_back),
};

TESTING_MAIN(tests)
