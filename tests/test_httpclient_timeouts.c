/* Time: each phase has its limit, which is told once, with its phase. F7 */
#include "tests/support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ioloop/ioexecutor.h"
#include "ioloop/resolver.h"
#include "tests/support/fakenames.h"
#include "tests/support/faults.h"
#include "tests/support/fetchscene.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define HI OK "Content-Length: 2\r\n\r\nhi"

const struct fakename fakenames[] = {
    { "slow.test", { "127.0.0.1" } },
    { NULL, { NULL } },
};

static struct fetchscene scene;
static struct fetchscene_request seen;

/* It is not over after `before`, and is over a little later. */
static void expect_timeout(struct fetchscene_fetch *fetch, double seconds, int phase)
{
    fetchscene_pass(&scene, seconds - 0.1);
    fetchscene_expect_waiting(&scene, fetch);
    fetchscene_pass(&scene, 0.3);
    fetchscene_expect_error(&scene, fetch, -ETIMEDOUT, phase);
}

static struct fetchscene_fetch *begin(struct httpclient_request request, struct fetchscene_peer **peer)
{
    request.url = "/";
    struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, request);
    *peer = fetchscene_accept(&scene);
    fetchscene_take_request(&scene, *peer, &seen);
    return fetch;
}

/* A server that takes no more connections: its queue is full. */
static int fill_queue(int fds[], int count)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;

    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fds[0], (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(fds[0], 0), 0);
    assert_int_equal(getsockname(fds[0], (struct sockaddr *)&address, &length), 0);
    for (int i = 1; i < count; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(fcntl(fds[i], F_SETFL, O_NONBLOCK), 0);
        (void)!connect(fds[i], (struct sockaddr *)&address, length);
    }
    return ntohs(address.sin_port);
}

/* simple_httpclient_test:test_connect_timeout */
static void connecting_has_a_limit(void **state)
{
    static const struct httpclient_request requests[] = {
        { .connect_timeout = 3 },
        { .request_timeout = 3 },
        { .connect_timeout = 3, .request_timeout = 30 },
        { .connect_timeout = 30, .request_timeout = 3 },
        { .connect_timeout = -1, .request_timeout = 3 },
        { .connect_timeout = 3, .request_timeout = -1, .idle_timeout = 1 },
        { .total_timeout = 3 },
    };
    char url[64];
    int fds[4];

    fetchscene_open(&scene, NULL);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", fill_queue(fds, 4));
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        struct httpclient_request request = requests[i];

        request.url = url;
        expect_timeout(fetchscene_fetch(&scene, request), 3, HTTPCLIENT_CONNECT);
    }
    expect_timeout(fetchscene_get(&scene, url), 10, HTTPCLIENT_CONNECT);
    fetchscene_expect_pool(&scene, 0, 0, 0);
    fetchscene_close(&scene);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
}

/* simple_httpclient_test:test_resolve_timeout, F9: the name comes late, to nobody. */
static void resolving_has_a_limit(void **state)
{
    assert_int_equal(pipe(fakenames_gate), 0);
    fetchscene_open_bare(&scene);
    struct ioexecutor *executor = ioexecutor_new(1, 8);
    struct resolver *resolver = resolver_new(executor);
    scene.client = httpclient_new(scene.loop, &(struct httpclient_options){ .resolver = resolver });
    assert_non_null(scene.client);
    struct fetchscene_fetch *fetch =
        fetchscene_fetch(&scene, (struct httpclient_request){ .url = "http://slow.test:1/", .connect_timeout = 3 });
    expect_timeout(fetch, 3, HTTPCLIENT_RESOLVE);
    fetch = fetchscene_fetch(&scene, (struct httpclient_request){ .url = "http://slow.test:1/" });
    fetchscene_settle(&scene);
    httpclient_cancel(scene.client, fetch->id);
    fetchscene_expect_error(&scene, fetch, -ECANCELED, HTTPCLIENT_RESOLVE);
    fetchscene_get(&scene, "http://slow.test:1/"); /* still waits when all is closed */
    fetchscene_settle(&scene);
    assert_int_equal(write(fakenames_gate[1], "x", 1), 1);
    httpclient_close(scene.client);
    scene.client = NULL;
    fetchscene_settle(&scene);
    resolver_close(resolver);
    fetchscene_settle(&scene);
    ioexecutor_close(executor, true);
    fetchscene_close(&scene);
    close(fakenames_gate[0]);
    close(fakenames_gate[1]);
}

/* simple_httpclient_test:test_request_timeout */
static void a_server_that_is_silent_is_given_up(void **state)
{
    struct fetchscene_peer *peer;

    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = begin((struct httpclient_request){ .request_timeout = 3 }, &peer);
    expect_timeout(fetch, 3, HTTPCLIENT_HEAD);
    assert_true(fetch->request_time > 2.9 && fetch->request_time < 3.3);
    fetchscene_expect_end(&scene, peer);
    fetch = begin((struct httpclient_request){ 0 }, &peer);
    expect_timeout(fetch, 20, HTTPCLIENT_HEAD);
    fetch = begin((struct httpclient_request){ .idle_timeout = 3 }, &peer);
    expect_timeout(fetch, 3, HTTPCLIENT_HEAD);
    fetch = begin((struct httpclient_request){ .idle_timeout = 30, .request_timeout = 3, .total_timeout = 40 }, &peer);
    expect_timeout(fetch, 3, HTTPCLIENT_HEAD);
    fetchscene_expect_pool(&scene, 0, 0, 0);
    fetchscene_close(&scene);
}

static void a_server_that_is_silent_within_its_answer_is_given_up(void **state)
{
    static const struct {
        const char *bytes;
        int phase;
    } rows[] = {
        { "H", HTTPCLIENT_HEAD },
        { OK "A: b\r\n", HTTPCLIENT_HEAD },
        { "HTTP/1.1 100 Continue\r\n\r\n", HTTPCLIENT_HEAD },
        { OK "\r\n", HTTPCLIENT_BODY },
        { OK "Content-Length: 2\r\n\r\nh", HTTPCLIENT_BODY },
        { OK "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n", HTTPCLIENT_BODY },
    };

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int which = 0; which < 3; which++) {
            struct fetchscene_peer *peer;
            struct httpclient_request request = { .idle_timeout = which == 0 ? 3 : 0,
                                                  .request_timeout = which == 1 ? 3 : 0,
                                                  .total_timeout = which == 2 ? 3 : 0 };
            struct fetchscene_fetch *fetch = begin(request, &peer);

            fetchscene_put(&scene, peer, rows[i].bytes);
            expect_timeout(fetch, 3, rows[i].phase);
            fetchscene_expect_end(&scene, peer);
            fetchscene_hang_up(peer);
        }
    }
    fetchscene_close(&scene);
}

/* A byte now and then keeps it from being idle; the limit of the whole request holds. */
static void a_server_that_drips_is_given_up(void **state)
{
    static const struct {
        const char *first;
        int limit; /* 0: the default, which is 60 s */
        int phase;
    } rows[] = {
        { OK "A: ", 0, HTTPCLIENT_HEAD },
        { OK "A: ", 30, HTTPCLIENT_HEAD },
        { OK "Content-Length: 1000\r\n\r\n", 0, HTTPCLIENT_BODY },
        { OK "\r\n", 30, HTTPCLIENT_BODY },
    };

    fetchscene_open(&scene, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fetchscene_peer *peer;
        struct fetchscene_fetch *fetch = begin((struct httpclient_request){ .request_timeout = rows[i].limit }, &peer);
        int limit = rows[i].limit == 0 ? 60 : rows[i].limit, seconds = 0;

        fetchscene_put(&scene, peer, rows[i].first);
        for (; fetch->calls == 0 && seconds < 100; seconds++) {
            fetchscene_put(&scene, peer, "a");
            fetchscene_pass(&scene, 1);
        }
        fetchscene_expect_error(&scene, fetch, -ETIMEDOUT, rows[i].phase);
        assert_in_range(seconds, limit, limit + 1);
        fetchscene_hang_up(peer);
    }
    fetchscene_close(&scene);
}

/* A server that does not read the request. */
static void sending_has_a_limit(void **state)
{
    static char body[8000000];

    fetchscene_open(&scene, NULL);
    for (int which = 0; which < 2; which++) {
        struct fetchscene_fetch *fetch =
            fetchscene_fetch(&scene, (struct httpclient_request){ .url = "/",
                                                                  .method = "POST",
                                                                  .body = body,
                                                                  .body_length = sizeof body,
                                                                  .idle_timeout = which == 0 ? 3 : 0,
                                                                  .request_timeout = which == 1 ? 3 : 0 });
        struct fetchscene_peer *peer = fetchscene_accept(&scene);
        for (int i = 0; i < 10; i++)
            fetchscene_settle(&scene); /* a part in each turn, until the kernel takes no more */
        if (which == 0)
            fetchscene_pass(&scene, 3.2); /* where that is seen */
        expect_timeout(fetch, 3, HTTPCLIENT_SEND);
        fetchscene_hang_up(peer);
    }
    fetchscene_close(&scene);
}

static uint64_t upload;

static void note_upload(struct httpclient *client, uint64_t fetch, void *arg)
{
    upload = fetch;
}

/* The same with a producer: the time runs from when the server has something to take, which may be long after the
 * request, and what the program goes on to write does not set it back. */
static void a_server_that_stops_reading_an_upload_is_given_up(void **state)
{
    static char body[8000000];
    struct fetchscene_peer *peer = NULL;

    fetchscene_open(&scene, NULL);
    for (int i = 0; i < 8; i++) {
        bool is_kept = i & 1, goes_on = i & 2, finishes = i & 4;
        if (is_kept) {
            struct fetchscene_fetch *first = fetchscene_get(&scene, "/");
            peer = fetchscene_serve(&scene, NULL, HI);
            fetchscene_expect(&scene, first, 200, "hi");
        }
        struct fetchscene_fetch *fetch =
            fetchscene_fetch(&scene, (struct httpclient_request){ .url = "/",
                                                                  .method = "POST",
                                                                  .body_producer = note_upload,
                                                                  .connect_timeout = 2,
                                                                  .idle_timeout = 3,
                                                                  .request_timeout = -1 });
        peer = is_kept ? peer : fetchscene_accept(&scene);
        fetchscene_settle(&scene);
        fetchscene_pass(&scene, 10); /* the program has nothing yet */
        fetchscene_expect_waiting(&scene, fetch);
        assert_int_equal(httpclient_upload_write(scene.client, upload, body, sizeof body), 0);
        if (finishes)
            httpclient_upload_finish(scene.client, upload);
        for (int j = 0; j < 10; j++)
            fetchscene_settle(&scene); /* a part in each turn, until the kernel takes no more */
        int seconds = 0;
        for (; fetch->calls == 0 && seconds < 20; seconds++) {
            if (goes_on && !finishes)
                assert_int_equal(httpclient_upload_write(scene.client, upload, "more", 4), 0);
            fetchscene_pass(&scene, 1);
        }
        fetchscene_expect_error(&scene, fetch, -ETIMEDOUT, HTTPCLIENT_SEND);
        assert_in_range(seconds, 3, 7);
        fetchscene_hang_up(peer);
    }
    fetchscene_close(&scene);
}

/* Nor is one that reads as fast as the program writes. */
static void a_server_that_reads_an_upload_slowly_is_not_idle(void **state)
{
    static char body[8000000];

    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = fetchscene_fetch(
        &scene,
        (struct httpclient_request){ .url = "/", .method = "POST", .body_producer = note_upload, .idle_timeout = 3 });
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    fetchscene_settle(&scene);
    assert_int_equal(httpclient_upload_write(scene.client, upload, body, sizeof body), 0);
    for (int i = 0; i < 7; i++) {
        for (size_t taken = 0; taken < 2000000;) {
            taken += fetchscene_take(peer, 2000000 - taken);
            fetchscene_settle(&scene);
        }
        for (int j = 0; j < 10; j++)
            fetchscene_settle(&scene); /* what is written now finds no room any more */
        assert_int_equal(httpclient_upload_write(scene.client, upload, body, 2000000), 0);
        fetchscene_pass(&scene, 1);
        fetchscene_expect_waiting(&scene, fetch);
    }
    fetchscene_close(&scene);
}

/* Bytes of a body that goes out slowly are bytes, too. */
static void a_server_that_reads_slowly_is_not_idle(void **state)
{
    static char body[40000000];
    size_t taken = 0;

    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = fetchscene_fetch(
        &scene, (struct httpclient_request){
                    .url = "/", .method = "POST", .body = body, .body_length = sizeof body, .idle_timeout = 3 });
    struct fetchscene_peer *peer = fetchscene_accept(&scene);
    for (int i = 0; i < 8; i++) {
        fetchscene_pass(&scene, 2);
        fetchscene_expect_waiting(&scene, fetch);
        for (size_t want = taken + 3000000; taken < want;) {
            taken += fetchscene_take(peer, want - taken);
            fetchscene_settle(&scene);
        }
    }
    for (int i = 0; i < 20; i++)
        fetchscene_settle(&scene); /* a part in each turn, until the kernel takes no more */
    for (int i = 0; i < 3; i++)    /* it is looked at now and then only */
        fetchscene_pass(&scene, 3.2);
    fetchscene_expect_error(&scene, fetch, -ETIMEDOUT, HTTPCLIENT_SEND);
    fetchscene_close(&scene);
}

/* The queue. */

/* simple_httpclient_test:test_queue_timeout */
static void waiting_in_the_queue_has_a_limit(void **state)
{
    static const struct {
        struct httpclient_request request;
        double seconds;
    } rows[] = {
        { { .queue_timeout = 3 }, 3 },
        { { .queue_timeout = 30 }, 30 },
        { { .connect_timeout = 3 }, 3 },
        { { .connect_timeout = 30 }, 30 },
        { { .request_timeout = 3 }, 3 },
        { { .connect_timeout = -1, .request_timeout = 7 }, 7 },
        { { .connect_timeout = -1 }, 60 },
        { { .queue_timeout = 30, .total_timeout = 3 }, 3 },
        { { .queue_timeout = -1, .total_timeout = 3 }, 3 },
        { { 0 }, 10 },
    };
    struct fetchscene_peer *peer;

    fetchscene_open(&scene, &(struct httpclient_options){ .max_clients = 1 });
    struct fetchscene_fetch *first =
        begin((struct httpclient_request){ .request_timeout = -1, .idle_timeout = -1, .total_timeout = -1 }, &peer);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct httpclient_request request = rows[i].request;

        request.url = "/";
        struct fetchscene_fetch *fetch = fetchscene_fetch(&scene, request);
        fetchscene_expect_pool(&scene, 1, 0, 1);
        expect_timeout(fetch, rows[i].seconds, HTTPCLIENT_QUEUE);
        assert_true(fetch->request_time == 0);
        assert_true(fetch->queue_time > rows[i].seconds - 0.1);
        assert_int_equal(fetch->code, 0);
    }
    fetchscene_expect_waiting(&scene, first);
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, first, 200, "hi");
    fetchscene_close(&scene);
}

static void time_in_the_queue_is_no_time_of_the_request(void **state)
{
    struct fetchscene_peer *peer;

    fetchscene_open(&scene, &(struct httpclient_options){ .max_clients = 1 });
    struct fetchscene_fetch *first = begin((struct httpclient_request){ 0 }, &peer);
    struct fetchscene_fetch *fetch = fetchscene_fetch(
        &scene,
        (struct httpclient_request){ .url = "/", .queue_timeout = 30, .request_timeout = 10, .total_timeout = 100 });
    fetchscene_pass(&scene, 15);
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, first, 200, "hi");
    fetchscene_take_request(&scene, peer, &seen);
    fetchscene_pass(&scene, 9);
    fetchscene_expect_waiting(&scene, fetch);
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    assert_true(fetch->queue_time > 14.9 && fetch->queue_time < 15.2);
    assert_true(fetch->request_time > 8.9 && fetch->request_time < 9.2);
    fetchscene_close(&scene);
}

/* Also where there is no memory when the turn has come. */
static void a_fetch_that_fails_behind_the_queue_has_the_times_of_both(void **state)
{
    bool hit = true;

    for (int nth = 1; hit; nth++) {
        struct fetchscene_peer *peer;
        fetchscene_open(&scene, &(struct httpclient_options){ .max_clients = 1 });
        struct fetchscene_fetch *first = begin((struct httpclient_request){ 0 }, &peer);
        char url[64];
        snprintf(url, sizeof url, "http://127.0.0.1:%d/", scene.ports[FETCHSCENE_SECOND]);
        struct fetchscene_fetch *fetch = fetchscene_get(&scene, url);
        fetchscene_pass(&scene, 5);
        fetchscene_put_some(peer, HI, sizeof HI - 1);
        faults_allocation(nth, true);
        for (int i = 0; i < 50; i++)
            ioloop_run_once(scene.loop, 0);
        hit = faults_hit();
        faults_end();
        if (fetch->calls == 0)
            fetchscene_serve(&scene, fetchscene_accept_from(&scene, FETCHSCENE_SECOND), HI);
        fetchscene_wait(&scene, first);
        fetchscene_wait(&scene, fetch);
        assert_true(fetch->request_time >= 0 && fetch->request_time < 0.1);
        assert_true(fetch->queue_time > 4.9 && fetch->queue_time < 5.2);
        fetchscene_close(&scene);
    }
}

/* All hops. */

static void all_hops_have_a_limit_of_their_own(void **state)
{
    struct fetchscene_peer *peer;

    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch =
        begin((struct httpclient_request){ .request_timeout = 10, .total_timeout = 25 }, &peer);
    for (int i = 0; i < 2; i++) {
        fetchscene_pass(&scene, 9);
        fetchscene_put(&scene, peer, "HTTP/1.1 302 A\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n");
        fetchscene_take_request(&scene, peer, &seen);
    }
    expect_timeout(fetch, 7, HTTPCLIENT_HEAD);
    fetchscene_close(&scene);
}

static void without_a_total_all_hops_have_the_time_of_one(void **state)
{
    struct fetchscene_peer *peer;

    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = begin((struct httpclient_request){ .request_timeout = 10 }, &peer);
    fetchscene_pass(&scene, 6);
    fetchscene_put(&scene, peer, "HTTP/1.1 302 A\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n");
    fetchscene_take_request(&scene, peer, &seen);
    expect_timeout(fetch, 4, HTTPCLIENT_HEAD);
    fetchscene_close(&scene);
}

/* No limits, and short ones. */

/* httpclient_test:test_zero_timeout: what is below 0 is here what 0 is there. */
static void without_limits_there_are_none(void **state)
{
    struct fetchscene_peer *peer;

    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = begin((struct httpclient_request){ .connect_timeout = -1,
                                                                        .idle_timeout = -1,
                                                                        .request_timeout = -1,
                                                                        .total_timeout = -1,
                                                                        .queue_timeout = -1 },
                                           &peer);
    fetchscene_pass(&scene, 100000);
    fetchscene_expect_waiting(&scene, fetch);
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_close(&scene);
}

static void a_long_request_timeout_lengthens_the_idle_one(void **state)
{
    struct fetchscene_peer *peer;

    fetchscene_open(&scene, NULL);
    struct fetchscene_fetch *fetch = begin((struct httpclient_request){ .request_timeout = 120 }, &peer);
    fetchscene_pass(&scene, 119);
    fetchscene_expect_waiting(&scene, fetch);
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_close(&scene);
}

static void a_short_timeout_is_exact(void **state)
{
    fetchscene_open(&scene, NULL);
    for (int which = 0; which < 2; which++) {
        struct fetchscene_peer *peer;
        struct fetchscene_fetch *fetch = begin((struct httpclient_request){ .request_timeout = which == 0 ? 0.05 : 0,
                                                                            .total_timeout = which == 1 ? 0.05 : 0 },
                                               &peer);
        fetchscene_pass(&scene, 0.045);
        fetchscene_expect_waiting(&scene, fetch);
        fetchscene_pass(&scene, 0.015);
        fetchscene_expect_error(&scene, fetch, -ETIMEDOUT, HTTPCLIENT_HEAD);
        fetchscene_hang_up(peer);
    }
    fetchscene_close(&scene);
}

/* The limits of one fetch are not those of the next on its connection. */
static void a_timeout_ends_with_its_fetch(void **state)
{
    struct fetchscene_peer *peer;

    fetchscene_open(&scene, &(struct httpclient_options){ .keep_time = 1000 });
    struct fetchscene_fetch *fetch =
        begin((struct httpclient_request){ .request_timeout = 0.5, .idle_timeout = 0.5, .total_timeout = 0.5 }, &peer);
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_pass(&scene, 2);
    fetchscene_expect_pool(&scene, 1, 1, 0);
    fetch = fetchscene_get(&scene, "/");
    fetchscene_take_request(&scene, peer, &seen);
    fetchscene_pass(&scene, 10);
    fetchscene_expect_waiting(&scene, fetch);
    fetchscene_put(&scene, peer, HI);
    fetchscene_expect(&scene, fetch, 200, "hi");
    fetchscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(connecting_has_a_limit),
    cmocka_unit_test(resolving_has_a_limit),
    cmocka_unit_test(a_server_that_is_silent_is_given_up),
    cmocka_unit_test(a_server_that_is_silent_within_its_answer_is_given_up),
    cmocka_unit_test(a_server_that_drips_is_given_up),
    cmocka_unit_test(sending_has_a_limit),
    cmocka_unit_test(a_server_that_stops_reading_an_upload_is_given_up),
    cmocka_unit_test(a_server_that_reads_an_upload_slowly_is_not_idle),
    cmocka_unit_test(a_server_that_reads_slowly_is_not_idle),
    cmocka_unit_test(waiting_in_the_queue_has_a_limit),
    cmocka_unit_test(time_in_the_queue_is_no_time_of_the_request),
    cmocka_unit_test(a_fetch_that_fails_behind_the_queue_has_the_times_of_both),
    cmocka_unit_test(all_hops_have_a_limit_of_their_own),
    cmocka_unit_test(without_a_total_all_hops_have_the_time_of_one),
    cmocka_unit_test(without_limits_there_are_none),
    cmocka_unit_test(a_long_request_timeout_lengthens_the_idle_one),
    cmocka_unit_test(a_short_timeout_is_exact),
    cmocka_unit_test(a_timeout_ends_with_its_fetch),
};

TESTING_MAIN(tests)
