/* A server whose clients are out to stop it: by taking all of its descriptors, all of its places or all of its time.
 * The numbers in comments are those of the catalogue of attacks that the library is built against. */
#include "tests/support/testing.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/httppeer.h"
#include "tests/support/httpprocess.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

enum { MOST = 90 };

static struct httpprocess server;
static struct httppeer peers[MOST];

static void connect_peer(struct httppeer *peer)
{
    assert_true(httppeer_connect(peer, server.port));
}

static void close_peers(int first, int count)
{
    for (int i = first; i < first + count; i++)
        httppeer_close(&peers[i]);
}

/* Descriptors. */

/* For a second, one client after the other comes and is turned away, while those inside are served. Answers how many.
 */
static int knock_for_a_second(struct httppeer *inside)
{
    double end = httppeer_seconds() + 1;
    int turned_away = 0;

    while (httppeer_seconds() < end) {
        struct httppeer late;
        connect_peer(&late);
        assert_true(httppeer_wait_for_end(&late));
        httppeer_close(&late);
        assert_int_equal(httppeer_get(inside, "/"), 200);
        turned_away++;
    }
    return turned_away;
}

/* C14 */
static void a_server_without_descriptors_rests_and_serves_those_it_has(void **state)
{
    int served = 0;

    httpprocess_start(&server, &(struct httpprocess_options){ .server.max_connections = 100, .files_later = 48 });
    for (int i = 0; i < MOST; i++) {
        connect_peer(&peers[i]);
        (void)!httppeer_put(&peers[i], GET);
    }
    for (int i = 0; i < MOST; i++)
        served += httppeer_next(&peers[i]) == 200;
    assert_in_range(served, 20, 47);

    double start = httppeer_seconds(), cpu = httpprocess_usage(&peers[0]).cpu;
    assert_in_range(knock_for_a_second(&peers[0]), 1, 30);
    cpu = httpprocess_usage(&peers[0]).cpu - cpu;
    if (cpu > 0.2 * (httppeer_seconds() - start))
        fail_msg("%g s on the processor", cpu);

    close_peers(1, MOST - 1);
    httpprocess_wait_for_connections(&peers[0], 1);
    start = httppeer_seconds();
    httpprocess_expect_alive(&server);
    assert_true(httppeer_seconds() - start < 0.5);
    assert_int_equal(httpprocess_log_lines(&server, "cannot accept"), 1);
    assert_true(httpprocess_log_size(&server) < 500);
    close_peers(0, 1);
    httpprocess_end(&server);
}

static void a_server_with_few_descriptors_lets_idle_clients_go_before_it_has_none(void **state)
{
    httpprocess_start(&server, &(struct httpprocess_options){ .files = 48 });
    for (int i = 0; i < MOST; i++) {
        connect_peer(&peers[i]);
        assert_int_equal(httppeer_get(&peers[i], "/"), 200);
    }
    assert_int_equal(httpprocess_log_size(&server), 0);
    close_peers(0, MOST);
    httpprocess_end(&server);
}

/* Slow clients. */

struct slow_client {
    const char *name;
    const char *first; /* what it sends at once, */
    const char *drip;  /* and then again and again; NULL: nothing */
    int status;        /* that it gets last; NONE: it is just closed */
    bool served;       /* it got an answer before */
    bool reads;        /* bytes one by one, until the connection is gone: it gets no status */
};

#define POST    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
#define CHUNKED "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
#define LARGE   "GET /size/8000000 HTTP/1.1\r\nHost: a\r\n\r\n"

/* C1, C2, C3 */
static const struct slow_client slow_clients[] = {
    { "silence", "", NULL, HTTPPEER_NONE, false, false },
    { "silence after a request", GET, NULL, HTTPPEER_NONE, true, false },
    { "a head that stops", "GET / HTTP/1.1\r\nHo", NULL, 408, false, false },
    { "a head that drips", "GET / HTTP/1.1\r\nHost: ", "a", 408, false, false },
    { "headers that drip", "GET / HTTP/1.1\r\n", "A: b\r\n", 408, false, false },
    { "a second head that drips", GET "GET / HTTP/1.1\r\nHost: ", "a", 408, true, false },
    { "a body that never begins", POST, NULL, 408, false, false },
    { "a body that stops", POST "abc", NULL, 408, false, false },
    { "a body that drips", POST, "a", 408, false, false },
    { "chunks that drip", CHUNKED, "1\r\na\r\n", 408, false, false },
    { "trailers that drip", CHUNKED "1\r\na\r\n0\r\nA: ", "b", 408, false, false },
    { "an answer that is not read", LARGE, NULL, HTTPPEER_NONE, false, true },
    { "an answer that is read by drips", LARGE, NULL, HTTPPEER_NONE, false, true },
};

enum { SLOW_CLIENTS = sizeof slow_clients / sizeof *slow_clients };

/* Has the server given it up? What drips may be lost, then. */
static bool drip(const struct slow_client *client, struct httppeer *peer)
{
    char byte;

    if (client->reads)
        return strstr(client->name, "drips") != NULL && recv(peer->fd, &byte, 1, MSG_DONTWAIT) == 0;
    if (poll(&(struct pollfd){ peer->fd, POLLIN, 0 }, 1, 0) == 1)
        return true;
    if (client->drip != NULL)
        (void)!httppeer_put(peer, client->drip);
    return false;
}

/* Each of them drips every 25 ms, until the server has closed all but the honest client's connection. */
static void drip_until_all_are_gone(struct httppeer *honest)
{
    double limit = httppeer_seconds() + 8;

    while (httpprocess_usage(honest).connections > 1) {
        for (int i = 0; i < SLOW_CLIENTS; i++) {
            if (peers[i].fd < 0 || !drip(&slow_clients[i], &peers[i]))
                continue;
            if (httppeer_next(&peers[i]) != slow_clients[i].status)
                fail_msg("%s: the wrong answer", slow_clients[i].name);
            httppeer_close(&peers[i]);
        }
        for (int i = 0; i < SLOW_CLIENTS && httppeer_seconds() > limit; i++) {
            if (peers[i].fd >= 0)
                fail_msg("%s: is still there", slow_clients[i].name);
        }
        httpprocess_pause(0.025);
    }
}

static void slow_clients_are_gone_after_their_deadline(void **state)
{
    struct httppeer honest;

    httpprocess_start(
        &server,
        &(struct httpprocess_options){
            .server = { .header_timeout = 0.6, .idle_timeout = 1.5, .body_timeout = 0.6, .write_timeout = 0.6 } });
    double start = httppeer_seconds();
    for (int i = 0; i < SLOW_CLIENTS; i++) {
        assert_true(slow_clients[i].reads ? httppeer_connect_narrow(&peers[i], server.port)
                                          : httppeer_connect(&peers[i], server.port));
        assert_true(httppeer_put(&peers[i], slow_clients[i].first));
        if (slow_clients[i].served)
            assert_int_equal(httppeer_next(&peers[i]), 200);
    }
    connect_peer(&honest);
    drip_until_all_are_gone(&honest);
    assert_true(httppeer_seconds() - start > 0.6);
    assert_int_equal(httpprocess_log_size(&server), 0);
    for (int i = 0; i < SLOW_CLIENTS; i++) {
        if (peers[i].fd >= 0)
            assert_true(httppeer_wait_for_end(&peers[i]));
    }
    close_peers(0, SLOW_CLIENTS);
    httppeer_close(&honest);
    httpprocess_end(&server);
}

/* Places. */

enum { PLACES = 40 };

/* C4 */
static void clients_that_hoard_places_make_room_for_honest_ones(void **state)
{
    static const char *const hoards[] = { "", GET, "GET / HTTP/1.1\r\nHo" };

    httpprocess_start(&server, &(struct httpprocess_options){ .server.max_connections = PLACES });
    for (int kind = 0; kind < 3; kind++) {
        for (int i = 0; i < PLACES; i++) {
            connect_peer(&peers[i]);
            assert_true(httppeer_put(&peers[i], hoards[kind]));
        }
        for (int i = 0; i < 2 * PLACES; i++)
            httpprocess_expect_alive(&server);
        close_peers(0, PLACES);
    }
    httpprocess_end(&server);
}

/* All are at work, so nobody can make room. A client that came meanwhile is served as soon as somebody is idle again.
 */
static void a_client_that_waits_for_a_place_gets_the_first_that_is_idle(void **state)
{
    struct httppeer late;

    httpprocess_start(&server, &(struct httpprocess_options){ .server.max_connections = PLACES });
    for (int i = 0; i < PLACES; i++) {
        connect_peer(&peers[i]);
        assert_true(httppeer_put(&peers[i], GET "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_int_equal(httppeer_next(&peers[i]), 200); /* so the other is at work */
    }
    connect_peer(&late);
    assert_true(httppeer_put(&late, GET));
    assert_int_equal(poll(&(struct pollfd){ late.fd, POLLIN, 0 }, 1, 50), 0);
    kill(server.pid, SIGUSR1);
    assert_int_equal(httppeer_next(&late), 200);
    httppeer_close(&late);
    close_peers(0, PLACES);
    httpprocess_end(&server);
}

/* Time. */

/* Sends the same without end, as fast as it is taken, and reads what comes. */
struct flood {
    struct httppeer peer;
    const char *text;
    pthread_t thread;
    atomic_long sent; /* bytes */
};

static atomic_bool enough;

static void *pour(void *arg)
{
    struct flood *flood = arg;
    char bytes[32768], answers[65536];
    size_t length = strlen(flood->text), size = sizeof bytes - sizeof bytes % length, at = 0;

    for (size_t i = 0; i < size; i++)
        bytes[i] = flood->text[i % length];
    while (!enough) {
        struct pollfd entry = { flood->peer.fd, POLLIN | POLLOUT, 0 };
        if (poll(&entry, 1, 100) < 0)
            break;
        if ((entry.revents & POLLIN) != 0 && recv(flood->peer.fd, answers, sizeof answers, MSG_DONTWAIT) == 0)
            break;
        ssize_t count = send(flood->peer.fd, bytes + at, size - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        at = (at + (count > 0 ? (size_t)count : 0)) % size;
        flood->sent += count > 0 ? count : 0;
    }
    return NULL;
}

static void start_flood(struct flood *flood, const char *first, const char *text)
{
    connect_peer(&flood->peer);
    assert_true(httppeer_put(&flood->peer, first));
    flood->text = text;
    flood->sent = 0;
    assert_int_equal(pthread_create(&flood->thread, NULL, pour, flood), 0);
}

static void wait_for_flood(const struct flood *flood)
{
    long before = flood->sent;

    while (flood->sent < before + 100000) /* or the test takes too long */
        httpprocess_pause(0.001);
}

static void end_flood(struct flood *flood)
{
    pthread_join(flood->thread, NULL);
    httppeer_close(&flood->peer);
}

static void drop_piece(struct httprequest *request, const void *data, size_t length, void *arg)
{
}

static void drop_body(struct httprequest *request, void *arg)
{
    httprequest_stream_body(request, drop_piece, NULL);
}

enum { HONEST = 20, TURNS = 10 };

/* Answers the longest that it took. */
static double serve_honest_clients(const struct flood floods[2])
{
    double longest = 0;

    for (int turn = 0; turn < TURNS; turn++) {
        wait_for_flood(&floods[turn % 2]);
        double start = httppeer_seconds();
        for (int i = 0; i < HONEST; i++)
            assert_true(httppeer_put(&peers[i], GET));
        for (int i = 0; i < HONEST; i++)
            assert_int_equal(httppeer_next(&peers[i]), 200);
        double took = httppeer_seconds() - start;
        longest = took > longest ? took : longest;
    }
    return longest;
}

/* C17 */
static void clients_that_send_without_end_do_not_keep_others_waiting(void **state)
{
    static struct flood floods[2];

    httpprocess_start(&server,
                      &(struct httpprocess_options){
                          .server = { .max_requests = UINT32_MAX, .max_body = UINT64_MAX, .on_head = drop_body } });
    enough = false;
    start_flood(&floods[0], "", GET);
    start_flood(&floods[1], "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000000\r\n\r\n", "b");
    for (int i = 0; i < HONEST; i++)
        connect_peer(&peers[i]);
    double longest = serve_honest_clients(floods);
    enough = true;
    assert_true(longest < 2);
    end_flood(&floods[0]);
    end_flood(&floods[1]);
    close_peers(0, HONEST);
    httpprocess_end(&server);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_server_without_descriptors_rests_and_serves_those_it_has),
    cmocka_unit_test(a_server_with_few_descriptors_lets_idle_clients_go_before_it_has_none),
    cmocka_unit_test(slow_clients_are_gone_after_their_deadline),
    cmocka_unit_test(clients_that_hoard_places_make_room_for_honest_ones),
    cmocka_unit_test(a_client_that_waits_for_a_place_gets_the_first_that_is_idle),
    cmocka_unit_test(clients_that_send_without_end_do_not_keep_others_waiting),
};

TESTING_MAIN(tests)
