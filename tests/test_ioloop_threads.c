/* What other threads may do with a loop, at any time and all at once. */
#include "ioloop/ioloop.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/support/tracedloop.h"

#ifdef TRACEDLOOP_IS_SLOW
enum { THREADS = 8, EACH = 100000, ROUNDS = 1000 };
#else
enum { THREADS = 8, EACH = 1000000, ROUNDS = 10000 };
#endif

static pthread_t begin_thread(void *(*run)(void *), void *arg)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, run, arg), 0);
    return thread;
}

/* Waking. */

static sem_t answered;

static void answer(void *arg)
{
    sem_post(&answered);
}

static void *ask_and_wait(void *arg)
{
    for (int i = 0; i < 1000; i++) {
        ioloop_add_callback(loop, answer, NULL);
        sem_wait(&answered);
    }
    ioloop_add_callback(loop, stop, NULL);
    return NULL;
}

/* ioloop_test:test_add_callback_wakeup_other_thread: there is no timeout that would end a wait that nobody ended. */
static void a_callback_from_a_thread_wakes_the_loop(void **state)
{
    open_loop();
    sem_init(&answered, 0, 0);
    pthread_t thread = begin_thread(ask_and_wait, NULL);
    assert_int_equal(ioloop_start(loop), 0);
    pthread_join(thread, NULL);
    sem_destroy(&answered);
    close_loop();
}

static void *stop_when_asked(void *arg)
{
    for (int i = 0; i < 300; i++) {
        sem_wait(&answered);
        ioloop_stop(loop);
    }
    return NULL;
}

static void a_thread_can_stop_the_loop(void **state)
{
    open_loop();
    sem_init(&answered, 0, 0);
    pthread_t thread = begin_thread(stop_when_asked, NULL);
    for (int i = 0; i < 300; i++) {
        add_callback(answer, NULL);
        assert_int_equal(ioloop_start(loop), 0);
    }
    pthread_join(thread, NULL);
    sem_destroy(&answered);
    close_loop();
}

static void nothing(void *arg)
{
}

static void *add_a_thousand(void *arg)
{
    for (int i = 0; i < 1000; i++)
        ioloop_add_callback(loop, nothing, NULL);
    return NULL;
}

static void let_a_thread_add(void *arg)
{
    pthread_join(begin_thread(add_a_thousand, NULL), NULL);
}

/* A wake-up is a write to an eventfd, or a change of the kernel queue. */
static int wake_ups(void)
{
    return faults_count("write") + faults_count("epoll_ctl");
}

static void a_loop_that_is_awake_is_not_woken(void **state)
{
    open_loop();
    add_callback(let_a_thread_add, NULL);
    faults_count_reset();
    testing_spin(loop, 1);
    assert_int_equal(wake_ups(), 0);
    close_loop();
}

static void a_loop_that_sleeps_is_woken_once(void **state)
{
    open_loop();
    for (int round = 0; round < 3; round++) {
        assert_true(ioloop_next_timeout(loop) < 0); /* from here on it counts as sleeping */
        faults_count_reset();
        let_a_thread_add(NULL);
        assert_int_equal(wake_ups(), 1);
        testing_spin(loop, 2);
    }
    close_loop();
}

/* Exactly once, in order. */

static struct poster {
    int number, posted, next;
} posters[THREADS];
static char *posts; /* THREADS * EACH of them: their addresses are their names */
static int posts_left;

static void take_post(void *arg)
{
    int index = (int)((char *)arg - posts);

    assert_int_equal(index % EACH, posters[index / EACH].next++);
    if (--posts_left == 0)
        ioloop_stop(loop);
}

/* The loop adds too, to a queue of its own. */
static void add_meanwhile(void *arg)
{
    if (posts_left > 0)
        add_callback(add_meanwhile, NULL);
}

static void *post_all(void *arg)
{
    struct poster *poster = arg;

    while (poster->posted < EACH) {
        if (ioloop_add_callback(loop, take_post, &posts[poster->number * EACH + poster->posted]) < 0)
            break;
        poster->posted++;
    }
    return NULL;
}

static void many_threads_add_millions_and_each_runs_once_in_order(void **state)
{
    pthread_t threads[THREADS];

    open_loop();
    posts_left = THREADS * EACH;
    posts = malloc(THREADS * EACH);
    assert_non_null(posts);
    add_callback(add_meanwhile, NULL);
    for (int i = 0; i < THREADS; i++) {
        posters[i] = (struct poster){ i, 0, 0 };
        threads[i] = begin_thread(post_all, &posters[i]);
    }
    assert_int_equal(ioloop_start(loop), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(posters[i].next, EACH);
    }
    free(posts);
    close_loop();
}

/* Closing meanwhile. */

static pthread_barrier_t both_ready;
static atomic_int accepted, ran;

static void count_run(void *arg)
{
    ran++;
}

/* Until it is told that the loop is closed; nothing else is ever the answer. */
static void *add_until_closed(void *arg)
{
    struct ioloop *mine = arg;
    int error;

    pthread_barrier_wait(&both_ready);
    while ((error = ioloop_add_callback(mine, count_run, NULL)) == 0)
        accepted++;
    int from_signal = ioloop_add_callback_from_signal(mine, count_run, NULL);
    ioloop_stop(mine);
    ioloop_release(mine);
    return (void *)(intptr_t)(error == -EBADF && from_signal == -EBADF);
}

static void race_with_close(int turns)
{
    void *was_refused;

    open_loop();
    accepted = ran = 0;
    ioloop_hold(loop);
    pthread_t thread = begin_thread(add_until_closed, loop);
    pthread_barrier_wait(&both_ready);
    for (int i = 0; i < turns; i++)
        assert_int_equal(ioloop_run_once(loop, 0), 0);
    ioloop_close(loop, false);
    pthread_join(thread, &was_refused);
    assert_non_null(was_refused);
    assert_true(ran <= accepted);
    assert_int_equal(faults_allocated(), allocated);
}

/* ioloop_test:test_add_callback_while_closing */
static void adding_while_the_loop_closes_works_or_is_refused(void **state)
{
    pthread_barrier_init(&both_ready, NULL, 2);
    for (int i = 0; i < ROUNDS; i++)
        race_with_close(i % 3);
    pthread_barrier_destroy(&both_ready);
}

static void *signal_until_closed(void *arg)
{
    struct ioloop *mine = arg;

    pthread_barrier_wait(&both_ready);
    while (ioloop_add_callback_from_signal(mine, count_run, NULL) != -EBADF)
        ioloop_stop(mine);
    ioloop_release(mine);
    return NULL;
}

/* Without a lock: nobody may touch the poller once it is gone. */
static void stopping_while_the_loop_closes_is_fine(void **state)
{
    pthread_barrier_init(&both_ready, NULL, 2);
    for (int i = 0; i < ROUNDS; i++) {
        open_loop();
        ioloop_hold(loop);
        pthread_t thread = begin_thread(signal_until_closed, loop);
        ioloop_next_timeout(loop); /* so that it wakes the loop */
        pthread_barrier_wait(&both_ready);
        ioloop_close(loop, false);
        pthread_join(thread, NULL);
        assert_int_equal(faults_allocated(), allocated);
    }
    pthread_barrier_destroy(&both_ready);
}

/* Loops on several threads. */

static void *make_and_close(void *arg)
{
    atomic_int *done = arg;

    for (int i = 0; i < 500; i++) {
        struct ioloop *mine = ioloop_new(NULL);
        if (mine == NULL || ioloop_current() != mine || ioloop_add_callback(mine, nothing, NULL) < 0 ||
            ioloop_run_once(mine, 0) < 0)
            return NULL;
        ioloop_close(mine, false);
    }
    ++*done;
    return NULL;
}

/* ioloop_test:test_init_close_race */
static void loops_are_made_and_closed_on_several_threads(void **state)
{
    atomic_int done = 0;
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        threads[i] = begin_thread(make_and_close, &done);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(done, 4);
}

/* A ball that goes round from loop to loop, each on a thread of its own. */
enum { PLAYERS = 4, ROUNDS_OF_THE_BALL = 2000 };
static struct player {
    struct ioloop *own;
    int throws;
    pthread_t thread;
} players[PLAYERS];

static void throw_on(void *arg)
{
    struct player *player = arg, *next = &players[(player - players + 1) % PLAYERS];

    if (ioloop_current() != player->own)
        abort();
    ioloop_add_callback(next->own, throw_on, next);
    if (++player->throws == ROUNDS_OF_THE_BALL)
        ioloop_stop(player->own);
}

static void *play(void *arg)
{
    struct player *player = arg;

    return (void *)(intptr_t)ioloop_start(player->own);
}

static void loops_on_several_threads_add_to_each_other(void **state)
{
    const struct ioloop_options options = { .make_current = IOLOOP_CURRENT_NEVER };

    for (int i = 0; i < PLAYERS; i++) {
        players[i].own = ioloop_new(&options);
        assert_non_null(players[i].own);
    }
    assert_int_equal(ioloop_add_callback(players[0].own, throw_on, &players[0]), 0);
    for (int i = 0; i < PLAYERS; i++)
        players[i].thread = begin_thread(play, &players[i]);
    for (int i = 0; i < PLAYERS; i++) {
        void *result;
        pthread_join(players[i].thread, &result);
        assert_null(result);
        assert_int_equal(players[i].throws, ROUNDS_OF_THE_BALL);
    }
    for (int i = 0; i < PLAYERS; i++)
        ioloop_close(players[i].own, false);
}

static void *use_from_the_wrong_thread(void *arg)
{
    ioloop_call_later(loop, 1, nothing, NULL);
    return NULL;
}

static void let_a_wrong_thread_in(void *arg)
{
    pthread_join(begin_thread(use_from_the_wrong_thread, NULL), NULL);
}

/* A mistake of the program that would damage the loop: it ends the program where asserts are on. */
static void use_from_a_wrong_thread_is_found(void **state)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
        signal(SIGABRT, SIG_DFL);
        dup2(open("/dev/null", O_WRONLY), 2);
        open_loop();
        add_callback(let_a_wrong_thread_in, NULL);
        ioloop_run_once(loop, 0);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
#ifndef NDEBUG
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
#endif
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_callback_from_a_thread_wakes_the_loop),
    cmocka_unit_test(a_thread_can_stop_the_loop),
    cmocka_unit_test(a_loop_that_is_awake_is_not_woken),
    cmocka_unit_test(a_loop_that_sleeps_is_woken_once),
    cmocka_unit_test(many_threads_add_millions_and_each_runs_once_in_order),
    cmocka_unit_test(adding_while_the_loop_closes_works_or_is_refused),
    cmocka_unit_test(stopping_while_the_loop_closes_is_fine),
    cmocka_unit_test(loops_are_made_and_closed_on_several_threads),
    cmocka_unit_test(loops_on_several_threads_add_to_each_other),
    cmocka_unit_test(use_from_a_wrong_thread_is_found),
};

TESTING_MAIN(tests)
