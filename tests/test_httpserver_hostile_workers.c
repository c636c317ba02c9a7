/* A server of several processes, some of which are killed or stopped, and one that is told to end while it is at work:
 * what was asked of the others, or before, is answered. */
#include "tests/support/testing.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/httppeer.h"
#include "tests/support/httpprocess.h"

#define GET(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"

enum { WORKERS = 4, EACH = 3, QUEUED = 50, LOADS = 8 };

static struct httpprocess server;
static struct httpprocess_options four = { .workers = WORKERS };
static pid_t workers[WORKERS];

static void begin(const struct httpprocess_options *options)
{
    httpprocess_start(&server, options);
    for (int i = 0; i < options->workers; i++)
        workers[i] = httpprocess_next_worker(&server);
}

/* Stopped processes. Linux says what state one is in; a signal takes its time. */

static char state_of(pid_t pid)
{
    char path[64], state = '?';

    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    FILE *file = fopen(path, "r");
    if (file != NULL && fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
        state = '?';
    if (file != NULL)
        fclose(file);
    return state;
}

static void stop(pid_t pid)
{
    assert_int_equal(kill(pid, SIGSTOP), 0);
    for (int i = 0; state_of(pid) != 'T'; i++) {
        assert_true(i < 8000);
        httpprocess_pause(0.001);
    }
}

static void stop_all_but(int one)
{
    for (int i = 0; i < WORKERS; i++) {
        if (i != one)
            stop(workers[i]);
    }
}

static void go_on(void)
{
    for (int i = 0; i < WORKERS; i++)
        kill(workers[i], SIGCONT);
}

static pid_t ask_for_pid(struct httppeer *peer)
{
    assert_int_equal(httppeer_get(peer, "/pid"), 200);
    return (pid_t)atol(peer->body);
}

static void connect_to_worker(struct httppeer *peer, int worker)
{
    assert_true(httppeer_connect(peer, server.port));
    assert_int_equal(ask_for_pid(peer), workers[worker]);
}

/* A request in flight: the answer to the one before it shows that. */
static void occupy(struct httppeer *peer, int worker)
{
    connect_to_worker(peer, worker);
    assert_true(httppeer_put(peer, GET("/") GET("/wait")));
    assert_int_equal(httppeer_next(peer), 200);
}

/* EACH of them in each of the first workers. */
static void occupy_workers(struct httppeer peers[WORKERS][EACH], int count)
{
    for (int i = 0; i < count; i++) {
        stop_all_but(i);
        for (int k = 0; k < EACH; k++)
            occupy(&peers[i][k], i);
        go_on();
    }
}

/* They are answered, by whom they were asked. */
static void release(struct httppeer peers[EACH], int worker)
{
    kill(workers[worker], SIGUSR1);
    for (int k = 0; k < EACH; k++) {
        assert_int_equal(httppeer_next(&peers[k]), 200);
        assert_string_equal(peers[k].body, "GET /wait 0");
        httppeer_close(&peers[k]);
    }
}

#ifdef __linux__

static void a_killed_worker_takes_only_its_own_requests_along(void **state)
{
    static struct httppeer peers[WORKERS][EACH];
    struct httppeer late;

    begin(&four);
    for (int victim = 0; victim < WORKERS; victim++) {
        occupy_workers(peers, WORKERS);
        kill(workers[victim], SIGKILL);
        workers[victim] = httpprocess_next_worker(&server);
        for (int k = 0; k < EACH; k++) {
            assert_int_equal(httppeer_next(&peers[victim][k]), HTTPPEER_NONE);
            httppeer_close(&peers[victim][k]);
        }
        for (int i = 0; i < WORKERS; i++) {
            if (i != victim)
                release(peers[i], i);
        }
        stop_all_but(victim);
        connect_to_worker(&late, victim); /* the new one serves */
        httppeer_close(&late);
        go_on();
    }
    httpprocess_end(&server);
}

/* Clients have connected and asked, but no worker has taken them yet. */
static void what_is_queued_when_a_worker_is_killed_is_served_by_others(void **state)
{
    static struct httppeer peers[QUEUED];

    begin(&four);
    for (int round = 0; round < WORKERS; round++) {
        stop_all_but(-1);
        for (int i = 0; i < QUEUED; i++) {
            assert_true(httppeer_connect(&peers[i], server.port));
            assert_true(httppeer_put(&peers[i], GET("/")));
        }
        kill(workers[round], SIGKILL);
        go_on();
        for (int i = 0; i < QUEUED; i++) {
            assert_int_equal(httppeer_next(&peers[i]), 200);
            httppeer_close(&peers[i]);
        }
        workers[round] = httpprocess_next_worker(&server);
    }
    httpprocess_end(&server);
}

static void stopped_workers_keep_nobody_waiting_but_their_own_clients(void **state)
{
    static struct httppeer peers[WORKERS][EACH];

    begin(&four);
    occupy_workers(peers, WORKERS);
    for (int i = 0; i < WORKERS; i++) {
        stop_all_but(i);
        for (int k = 0; k < QUEUED; k++)
            httpprocess_expect_alive(&server);
        go_on();
    }
    for (int i = 0; i < WORKERS; i++)
        release(peers[i], i);
    httpprocess_end(&server);
}

/* One whose clients are all at work cannot make room; the kernel would wake it first again and again. */
static void a_worker_that_is_full_leaves_clients_to_the_others(void **state)
{
    static struct httppeer peers[WORKERS][EACH];
    struct httppeer late;

    begin(&(struct httpprocess_options){ .workers = WORKERS, .server.max_connections = EACH });
    occupy_workers(peers, WORKERS - 1);
    for (int i = 0; i < QUEUED; i++) {
        connect_to_worker(&late, WORKERS - 1);
        httppeer_close(&late);
    }
    for (int i = 0; i < WORKERS - 1; i++)
        release(peers[i], i);
    httpprocess_end(&server);
}

#endif

/* Load: each thread makes one connection after the other, and notes how its requests end. The first on a connection
 * asks who it is that serves it, the others have long answers: more than the kernel takes at once. */

struct load {
    pthread_t thread;
    int requests;        /* on each connection; the last says that it is */
    atomic_int answered; /* whole */
    atomic_int cut;      /* only a part came, of these: */
    atomic_int lost;     /* not answered, by one of these: */
    atomic_int unserved; /* connections without any answer */
    atomic_int refused;  /* not even connected */
    pid_t losers[16];    /* of those cut and lost */
    int loser_count;
};

static struct load loads[LOADS];
static atomic_bool enough;     /* they end behind their connection, */
static bool end_at_first_loss; /* or so */

/* Answers of which not even the first byte came are no one's fault: the server may have closed before it was asked. */
static void note_loss(struct load *load, int status, pid_t pid)
{
    if (pid == 0 && status == HTTPPEER_NONE)
        load->unserved++;
    else if (status == HTTPPEER_NONE)
        load->lost++;
    else
        load->cut++;
    if (pid != 0 && load->loser_count < 16)
        load->losers[load->loser_count++] = pid;
}

static bool ask_on_one_connection(struct load *load, struct httppeer *peer)
{
    static const char middle[] = GET("/size/8000000"),
                      last[] = "GET /size/8000000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    pid_t pid = 0;

    for (int i = 0; i < load->requests; i++) {
        bool sent = httppeer_put(peer, i == 0 ? GET("/pid") : i == load->requests - 1 ? last : middle);
        int status = sent ? httppeer_next(peer) : HTTPPEER_NONE;
        if (status != 200) {
            note_loss(load, status, pid);
            return false;
        }
        if (i == 0)
            pid = (pid_t)atol(peer->body);
        load->answered++;
        if (peer->closes)
            return true;
    }
    return true;
}

static void *ask_on_and_on(void *arg)
{
    struct load *load = arg;
    struct httppeer peer;
    bool well = true;

    while (!enough && (well || !end_at_first_loss)) {
        well = httppeer_connect(&peer, server.port);
        if (!well) {
            load->refused++;
            continue;
        }
        well = ask_on_one_connection(load, &peer);
        httppeer_close(&peer);
    }
    return NULL;
}

/* Half of them end each connection behind its second request. */
static void start_loads(bool only_to_first_loss)
{
    memset(loads, 0, sizeof loads);
    enough = false;
    end_at_first_loss = only_to_first_loss;
    for (int i = 0; i < LOADS; i++) {
        loads[i].requests = i % 2 == 0 ? 2 : 20;
        assert_int_equal(pthread_create(&loads[i].thread, NULL, ask_on_and_on, &loads[i]), 0);
    }
}

static int count_losses(void)
{
    int count = 0;

    for (int i = 0; i < LOADS; i++)
        count += loads[i].cut + loads[i].lost + loads[i].unserved + loads[i].refused;
    return count;
}

static int count_answers(void)
{
    int count = 0;

    for (int i = 0; i < LOADS; i++)
        count += loads[i].answered;
    return count;
}

static void wait_for_answers(int count)
{
    count += count_answers();
    while (count_answers() < count) /* or the test takes too long */
        httpprocess_pause(0.001);
}

static void join_loads(void)
{
    for (int i = 0; i < LOADS; i++)
        pthread_join(loads[i].thread, NULL);
}

static void expect_losers_to_be(const pid_t *killed, int count)
{
    for (int i = 0; i < LOADS; i++) {
        for (int k = 0; k < loads[i].loser_count; k++) {
            bool found = false;
            for (int at = 0; at < count; at++)
                found |= killed[at] == loads[i].losers[k];
            assert_true(found);
        }
        assert_int_equal(loads[i].refused, 0);
    }
}

static void workers_that_are_killed_under_load_lose_only_what_they_had(void **state)
{
    enum { KILLS = 8 };
    pid_t killed[KILLS];

    begin(&four);
    start_loads(false);
    for (int i = 0; i < KILLS; i++) {
        wait_for_answers(20);
        killed[i] = workers[i % WORKERS];
        kill(killed[i], SIGKILL);
        workers[i % WORKERS] = httpprocess_next_worker(&server);
    }
    wait_for_answers(20);
    enough = true;
    join_loads();
    expect_losers_to_be(killed, KILLS);
    assert_in_range(count_losses(), 0, KILLS * LOADS); /* one a client */
    for (int i = 0; i < 20; i++)
        httpprocess_expect_alive(&server);
    httpprocess_end(&server);
}

/* Ending. */

/* Requests in all states: of each the server has seen something. */
static void what_was_begun_is_answered_before_the_end(void **state)
{
    struct httppeer half_head, half_body, at_work, sending, pipelined, idle;

    httpprocess_start(&server, NULL);
    assert_true(httppeer_connect(&half_head, server.port));
    assert_true(httppeer_connect(&half_body, server.port));
    assert_true(httppeer_connect(&at_work, server.port));
    assert_true(httppeer_connect_narrow(&sending, server.port));
    assert_true(httppeer_connect(&pipelined, server.port));
    assert_true(httppeer_connect(&idle, server.port));
    assert_true(httppeer_put(&half_head, "GET /head HTTP/1.1\r\nHo"));
    assert_true(httppeer_put(&half_body, "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab"));
    assert_true(httppeer_put(&at_work, GET("/wait")));
    assert_true(httppeer_put(&sending, GET("/size/5000000")));
    assert_true(httppeer_put(&pipelined, GET("/wait") GET("/behind")));
    assert_int_equal(poll(&(struct pollfd){ sending.fd, POLLIN, 0 }, 1, 8000), 1);
    httpprocess_wait_for_waiting(&idle, 2);
    httpprocess_wait_for_connections(&idle, 6);
    kill(server.pid, SIGTERM);
    assert_int_equal(httppeer_next(&idle), HTTPPEER_NONE); /* at once */
    assert_true(httppeer_put(&half_head, "st: a\r\n\r\n"));
    assert_int_equal(httppeer_next(&half_head), 200);
    assert_string_equal(half_head.body, "GET /head 0");
    assert_true(httppeer_put(&half_body, "cde"));
    assert_int_equal(httppeer_next(&half_body), 200);
    assert_string_equal(half_body.body, "POST /body 5");
    kill(server.pid, SIGUSR1);
    assert_int_equal(httppeer_next(&at_work), 200);
    assert_int_equal(httppeer_next(&pipelined), 200);
    assert_int_equal(httppeer_next(&sending), 200);
    assert_int_equal(sending.body_length, 5000000);
    assert_true(half_head.closes && half_body.closes && at_work.closes);
    httppeer_close(&half_head);
    httppeer_close(&half_body);
    httppeer_close(&at_work);
    httppeer_close(&sending);
    httppeer_close(&pipelined);
    httppeer_close(&idle);
    httpprocess_expect_end(&server);
}

/* Nothing is lost before the end, and no answer that has begun by it. What is asked then comes too late: each client
 * notices once. */
static void end_under_load(const struct httpprocess_options *options)
{
    begin(options);
    start_loads(true);
    wait_for_answers(20);
    assert_int_equal(count_losses(), 0);
    kill(server.pid, SIGTERM);
    httpprocess_expect_end(&server);
    join_loads();
    assert_int_equal(count_losses(), LOADS);
    for (int i = 0; i < LOADS; i++)
        assert_int_equal(loads[i].cut, 0);
}

static void a_server_told_to_end_under_load_cuts_no_answer(void **state)
{
    for (int round = 0; round < 4; round++)
        end_under_load(&(struct httpprocess_options){ .workers = 0 });
}

static void workers_told_to_end_under_load_cut_no_answer(void **state)
{
    for (int round = 0; round < 4; round++)
        end_under_load(&(struct httpprocess_options){ .workers = 3 });
}

static const struct CMUnitTest tests[] = {
#ifdef __linux__
    cmocka_unit_test(a_killed_worker_takes_only_its_own_requests_along),
    cmocka_unit_test(what_is_queued_when_a_worker_is_killed_is_served_by_others),
    cmocka_unit_test(stopped_workers_keep_nobody_waiting_but_their_own_clients),
    cmocka_unit_test(a_worker_that_is_full_leaves_clients_to_the_others),
#endif
    cmocka_unit_test(workers_that_are_killed_under_load_lose_only_what_they_had),
    cmocka_unit_test(what_was_begun_is_answered_before_the_end),
    cmocka_unit_test(a_server_told_to_end_under_load_cuts_no_answer),
    cmocka_unit_test(workers_told_to_end_under_load_cut_no_answer),
};

TESTING_MAIN(tests)
