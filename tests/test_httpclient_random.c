/* Programs, servers and kernels that do anything at any time, by chance, with fixed seeds: each fetch is answered
 * exactly once, its head is told once and before its body, nothing is told after its answer, and nothing is left. */
#include "tests/support/testing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/faults.h"
#include "tests/support/fetchscene.h"

enum { SEEDS = 400, STEPS = 150, MOST_FETCHES = 40 };

static struct fetchscene scene;
static uint64_t state_of_chance;
static bool client_closed, with_faults;
static int heads[MOST_FETCHES]; /* to be told */

/* xorshift64* */
static unsigned by_chance(unsigned count)
{
    state_of_chance ^= state_of_chance >> 12;
    state_of_chance ^= state_of_chance << 25;
    state_of_chance ^= state_of_chance >> 27;
    return (unsigned)((state_of_chance * 0x2545f4914f6cdd1du) >> 33) % count;
}

static bool one_in(unsigned count)
{
    return by_chance(count) == 0;
}

#define ANY_OF(array) (array)[by_chance(sizeof(array) / sizeof *(array))]

/* The program. */

static void start_fetch(void);

static struct fetchscene_fetch *any_fetch(void)
{
    return scene.count > 0 ? scene.fetches[by_chance((unsigned)scene.count)] : NULL;
}

/* Also of what is over, and in any callback. */
static void act(struct fetchscene_fetch *fetch)
{
    if (fetch == NULL || scene.client == NULL || client_closed)
        return;
    switch (by_chance(8)) {
    case 0:
        httpclient_cancel(scene.client, fetch->id);
        break;
    case 1:
        httpclient_pause(scene.client, fetch->id);
        break;
    case 2:
    case 3:
        httpclient_resume(scene.client, fetch->id);
        break;
    case 4:
        httpclient_upload_fail(scene.client, fetch->id, -EIO);
        break;
    case 5:
        httpclient_upload_resume(scene.client, fetch->id);
        break;
    case 6:
        start_fetch();
        break;
    default:
        if (one_in(12)) {
            client_closed = true;
            httpclient_close(scene.client);
        }
        break;
    }
}

static void act_in_callback(struct fetchscene_fetch *fetch)
{
    bool was_in_call = scene.in_call;

    if (one_in(8))
        act(one_in(2) ? fetch : any_fetch());
    scene.in_call = was_in_call;
}

static void see_head(const struct httpclient_response *response, void *arg)
{
    struct fetchscene_fetch *fetch = arg;

    assert_int_equal(fetch->calls, 0);
    assert_int_equal(fetch->pieces, 0);
    int *left = fetch->arg;
    assert_int_equal(--*left, 0);
    assert_in_range(response->code, 200, 999);
    act_in_callback(fetch);
}

static void see_response(struct fetchscene_fetch *fetch, struct httpclient_response *response)
{
    const int *left = fetch->arg;

    assert_true(*left == 0 || response->error < 0);
    act_in_callback(fetch);
}

static void produce(struct httpclient *client, uint64_t id, void *arg)
{
    struct fetchscene_fetch *fetch = any_fetch();

    switch (by_chance(5)) {
    case 0:
        (void)!httpclient_upload_write(client, id, "some bytes", 10);
        break;
    case 1:
        httpclient_upload_finish(client, id);
        break;
    case 2:
        httpclient_upload_fail(client, id, -EIO);
        break;
    case 3:
        httpclient_upload_resume(client, id);
        (void)!httpclient_upload_write(client, id, "some bytes", 10);
        break;
    default:
        act(fetch);
        break;
    }
}

static void set_callbacks(struct httpclient_request *request)
{
    if (one_in(2))
        request->streaming_callback = fetchscene_on_data;
    if (request->streaming_callback == NULL || one_in(2))
        request->header_callback = fetchscene_on_line;
    if (one_in(2))
        request->on_head = see_head;
}

static void set_body(struct httpclient_request *request)
{
    static const char bytes[100000];

    request->method = ANY_OF(((const char *const[]){ "POST", "PUT" }));
    request->expect_100_continue = one_in(3);
    if (one_in(3)) {
        request->body_producer = produce;
    } else {
        request->body = bytes;
        request->body_length = ANY_OF(((const size_t[]){ 0, 1, 1000, sizeof bytes }));
    }
}

static void start_fetch(void)
{
    static const double times[] = { 0, 0, 0, 0.1, 1, 5 };
    struct httpclient_request request = {
        .url = ANY_OF(((const char *const[]){ "/", "/a", "/b", "/c", "http://127.0.0.1:1/" })),
        .raise_error = one_in(4),
        .decompress_response = one_in(3),
        .no_follow_redirects = one_in(4),
        .max_redirects = one_in(3) ? 1 : 0,
        .connect_timeout = ANY_OF(times),
        .idle_timeout = ANY_OF(times),
        .request_timeout = ANY_OF(times),
        .queue_timeout = ANY_OF(times),
        .unix_path = one_in(3) ? scene.path : NULL,
        .max_body = one_in(4) ? 5 : 0,
        .resend = by_chance(3),
    };

    if (scene.count >= MOST_FETCHES || scene.client == NULL || client_closed)
        return;
    if (one_in(3))
        set_body(&request);
    if (one_in(2))
        set_callbacks(&request);
    size_t number = scene.count;
    heads[number] = request.on_head != NULL;
    bool was_in_call = scene.in_call;
    struct fetchscene_fetch *fetch = fetchscene_try(&scene, request);
    scene.in_call = was_in_call;
    if (fetch == NULL) {
        assert_true(with_faults || errno == EAGAIN || errno == EBADF);
        return;
    }
    fetch->arg = &heads[number];
    fetch->on_response = see_response;
    fetch->on_line = act_in_callback;
    fetch->on_data = act_in_callback;
}

/* Servers. */

/* Most often whole ones, or such as more is to follow. */
static const char *const usual_words[] = {
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhihi",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
    "HTTP/1.1 302 A\r\nLocation: /b\r\nContent-Length: 2\r\n\r\nhi",
    "2\r\nhi\r\n",
    "0\r\n\r\n",
};

static const char *const words[] = {
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nsome",
    "HTTP/1.1 204 No\r\n\r\n",
    "HTTP/1.1 404 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno",
    "HTTP/1.1 200 OK\r\n\r\nuntil the end",
    "HTTP/1.1 100 Go on\r\n\r\n",
    "HTTP/1.1 103 Hints\r\n\r\n",
    "HTTP/1.1 101 Other\r\n\r\n",
    "HTTP/1.1 302 A\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 307 A\r\nLocation: /b\r\nContent-Length: 3\r\n\r\nabc",
    "HTTP/1.1 303 A\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 302 A\r\nLocation: /b\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\n",
    "2\r\nhi\r\n",
    "0\r\n\r\n",
    "0\r\nTrailer: a\r\n\r\n",
    "\r\n",
    "Content-Length: 3\r\n\r\nabc",
    "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 22\r\n\r\n\x1f\x8b\x08",
    "x",
    "HTTP/1.1 999",
};

static bool is_asked[FETCHSCENE_PEERS]; /* something has come */

/* Seldom one that was not asked. */
static struct fetchscene_peer *any_peer(void)
{
    if (scene.peer_count == 0)
        return NULL;
    unsigned number = by_chance((unsigned)scene.peer_count);
    return scene.peers[number].fd >= 0 && (is_asked[number] || one_in(12)) ? &scene.peers[number] : NULL;
}

static void accept_all(void)
{
    for (int i = 0; i < FETCHSCENE_LISTENERS; i++) {
        int fd = accept(scene.listeners[i], NULL, NULL);

        if (fd < 0)
            continue;
        int place = 0;
        while (place < scene.peer_count && scene.peers[place].fd >= 0)
            place++;
        if (place == FETCHSCENE_PEERS) {
            close(fd);
            continue;
        }
        if (place == scene.peer_count)
            scene.peer_count++;
        scene.peers[place] = (struct fetchscene_peer){ .fd = fd };
        is_asked[place] = false;
    }
}

static void serve(struct fetchscene_peer *peer)
{
    if (peer == NULL)
        return;
    switch (by_chance(20)) {
    case 0:
        fetchscene_hang_up(peer);
        break;
    case 1:
        fetchscene_reset(peer);
        break;
    case 2:
        fetchscene_finish(peer);
        break;
    default: {
        const char *word = one_in(4) ? ANY_OF(words) : ANY_OF(usual_words);
        size_t length = strlen(word);
        if (one_in(6))
            length = by_chance((unsigned)length + 1);
        (void)!send(peer->fd, word, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        is_asked[peer - scene.peers] = one_in(2); /* there may be more of it */
        break;
    }
    }
}

/* Most of what a server is asked for it takes. */
static void take_all(void)
{
    char bytes[65536];

    for (int i = 0; i < scene.peer_count; i++) {
        if (scene.peers[i].fd >= 0 && !one_in(4))
            while (recv(scene.peers[i].fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
                is_asked[i] = true;
    }
}

/* The kernel. */

static void order_fault(void)
{
    static const struct {
        const char *name;
        int error;
    } calls[] = {
        { "recv", ECONNRESET },  { "send", EPIPE },       { "sendmsg", ECONNRESET }, { "socket", EMFILE },
        { "connect", ENETDOWN }, { "epoll_ctl", ENOMEM }, { "recv", EINTR },         { "sendmsg", EAGAIN },
    };

    if (one_in(2)) {
        faults_allocation(1 + (int)by_chance(6), one_in(4));
        return;
    }
    size_t i = by_chance(sizeof calls / sizeof *calls);
    faults_system_call(calls[i].name, calls[i].error, 1 + (int)by_chance(3));
}

static void step(void)
{
    switch (by_chance(10)) {
    case 0:
    case 1:
        start_fetch();
        break;
    case 2:
        act(any_fetch());
        break;
    case 3:
    case 4:
    case 5:
        take_all();
        serve(any_peer());
        serve(any_peer());
        break;
    case 6:
        scene.clock += ANY_OF(((const double[]){ 0.01, 0.02, 0.05, 0.1, 0.3, 2, 20 }));
        break;
    case 7:
        if (with_faults)
            order_fault();
        break;
    default:
        accept_all();
        take_all();
        break;
    }
    if (one_in(2))
        (void)!ioloop_run_once(scene.loop, 0);
    if (one_in(3))
        faults_end();
    if (one_in(2))
        accept_all();
}

/* All at once: what waits is told, while the loop closes. */
static void close_loop_first(void)
{
    ioloop_close(scene.loop, false);
    scene.loop = ioloop_new(NULL);
    assert_non_null(scene.loop);
}

static void run_seed(unsigned seed)
{
    state_of_chance = 0x9e3779b97f4a7c15u * (seed + 1);
    with_faults = seed % 2;
    client_closed = false;
    fetchscene_open(&scene, &(struct httpclient_options){ .max_clients = 1 + by_chance(4),
                                                          .max_per_origin = 1 + by_chance(3),
                                                          .max_queue = 3 + by_chance(20),
                                                          .max_uses = one_in(3) ? 2 : 0,
                                                          .keep_time = one_in(4)   ? -1
                                                                       : one_in(2) ? 1
                                                                                   : 0 });
    for (int i = 0; i < STEPS; i++)
        step();
    faults_end();
    if (one_in(3))
        close_loop_first();
    fetchscene_close(&scene);
}

static void each_fetch_is_answered_exactly_once_whatever_happens(void **state)
{
    const char *only = getenv("SEED");

    if (only != NULL) {
        run_seed((unsigned)strtoul(only, NULL, 10));
        return;
    }
    for (unsigned seed = 0; seed < SEEDS; seed++)
        run_seed(seed);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_fetch_is_answered_exactly_once_whatever_happens),
};

TESTING_MAIN(tests)
