/* A server whose clients send much of something: bad requests, small pieces, requests whose answers they do not read,
 * connections. What it keeps of that, in memory and in its log, does not grow. */
#include "tests/support/testing.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/httppeer.h"
#include "tests/support/httpprocess.h"

static struct httpprocess server;
static struct httppeer honest;

static void begin(const struct httpprocess_options *options)
{
    httpprocess_start(&server, options);
    assert_true(httppeer_connect(&honest, server.port));
    assert_int_equal(httppeer_get(&honest, "/"), 200);
}

/* Nothing is left of all the others. */
static void end(void)
{
    httpprocess_wait_for_connections(&honest, 1);
    httppeer_close(&honest);
    httpprocess_end(&server);
}

static struct httppeer connected(void)
{
    struct httppeer peer;

    assert_true(httppeer_connect(&peer, server.port));
    return peer;
}

/* A sanitizer holds on to freed memory. */
static void assert_small_growth(long kibibytes)
{
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
    assert_true(kibibytes < 4096);
#endif
}

/* The log. */

static const char *const bad_requests[] = {
    "garbage\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/9.9\r\nHost: a\r\n\r\n",
    "GET /\x1b[31m HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n folded: yes\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n",
    "GET /missing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", /* only this the program sees */
};

enum { BAD_REQUESTS = sizeof bad_requests / sizeof *bad_requests };

static void send_bad_requests(int count, int kinds)
{
    for (int i = 0; i < count; i++) {
        struct httppeer peer = connected();
        assert_true(httppeer_put(&peer, bad_requests[i % kinds]));
        int status = httppeer_next(&peer);
        if (status < 400 || !peer.closes)
            fail_msg("%s: %d", bad_requests[i % kinds], status);
        httppeer_reset(&peer);
    }
}

/* C16: 10 lines of each kind a second are let through, so time counts and not the number of requests. Who wants a log
 * of everything gets a line for each request that the program saw. */
static void check_log(bool logs_all, int count)
{
    double start = httppeer_seconds();

    begin(&(struct httpprocess_options){ .logs_all = logs_all });
    send_bad_requests(count, logs_all ? BAD_REQUESTS - 1 : BAD_REQUESTS);
    size_t most = (size_t)(httppeer_seconds() - start + 2) * 4000;
    if (httpprocess_log_size(&server) > most)
        fail_msg("%zu bytes of log instead of %zu", httpprocess_log_size(&server), most);
    assert_true(httpprocess_log_lines(&server, logs_all ? "refused with 400" : "404 GET /missing") > 0);
    end();
}

static void bad_requests_do_not_fill_the_log(void **state)
{
    check_log(false, 10000);
}

static void bad_requests_do_not_fill_a_log_of_everything(void **state)
{
    check_log(true, 10000);
}

/* Memory. */

/* C7: what is kept of a body is its bytes, in however many pieces they come. */
static void a_body_in_tiny_pieces_takes_no_more_memory_than_its_bytes(void **state)
{
    enum { LENGTH = 1 << 19, ASK_EACH = 1 << 16 };
    char head[128];

    begin(NULL);
    size_t bytes = httpprocess_usage(&honest).bytes;
    struct httppeer peer = connected();
    snprintf(head, sizeof head, "POST /tiny HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", LENGTH);
    assert_true(httppeer_put(&peer, head));
    for (int i = 0; i < LENGTH; i++) {
        assert_true(httppeer_put(&peer, "b"));
        if (i % ASK_EACH == ASK_EACH - 1)
            assert_true(httpprocess_usage(&honest).bytes < bytes + 2 * LENGTH + 16384);
    }
    assert_int_equal(httppeer_next(&peer), 200);
    assert_string_equal(peer.body, "POST /tiny 524288");
    httppeer_close(&peer);
    end();
}

enum { PIPELINED = 100000, LINE = 40 };

/* Sends on as long as the server takes something within a while. Answers how much that was. */
static size_t send_until_it_stops(struct httppeer *peer, const char *text, size_t length)
{
    size_t sent = 0;

    while (sent < length && poll(&(struct pollfd){ peer->fd, POLLOUT, 0 }, 1, 300) == 1) {
        ssize_t count = send(peer->fd, text + sent, length - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        assert_true(count > 0 || errno == EAGAIN);
        sent += count > 0 ? (size_t)count : 0;
    }
    return sent;
}

static void send_some(struct httppeer *peer, const char *text, size_t length, size_t *sent)
{
    ssize_t count = *sent < length ? send(peer->fd, text + *sent, length - *sent, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;

    *sent += count > 0 ? (size_t)count : 0;
}

/* A17 */
static void a_client_that_asks_on_and_reads_nothing_is_not_read_from(void **state)
{
    char *text = malloc(PIPELINED * LINE + 1), wanted[32];
    size_t length = 0;

    assert_non_null(text);
    for (int i = 0; i < PIPELINED; i++)
        length += (size_t)snprintf(text + length, LINE + 1, "GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", i);
    begin(&(struct httpprocess_options){ .server.max_requests = UINT32_MAX });
    struct httpprocess_usage before = httpprocess_usage(&honest);
    struct httppeer peer;
    assert_true(httppeer_connect_narrow(&peer, server.port));
    size_t sent = send_until_it_stops(&peer, text, length);
    struct httpprocess_usage after = httpprocess_usage(&honest);
    assert_true(after.requests - before.requests < PIPELINED / 2); /* the others are still to come */
    assert_true(after.peak < before.bytes + (1 << 20));
    assert_small_growth(after.resident - before.resident);
    for (int i = 0; i < PIPELINED; i++) {
        send_some(&peer, text, length, &sent);
        assert_int_equal(httppeer_next(&peer), 200);
        snprintf(wanted, sizeof wanted, "GET /%d 0", i);
        assert_string_equal(peer.body, wanted);
    }
    after = httpprocess_usage(&honest);
    assert_true(after.peak < before.bytes + (1 << 20));
    assert_small_growth(after.resident - before.resident);
    httppeer_close(&peer);
    end();
    free(text);
}

/* Connections that come and go, having sent nothing, a part of a request, one, or many. */
static void come_and_go(int count)
{
    static const char *const texts[] = { "", "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
                                         "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nbody",
                                         "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET" };

    for (int i = 0; i < count; i++) {
        struct httppeer peer = connected();
        assert_true(httppeer_put(&peer, texts[i % 5]));
        if (i % 2 == 0)
            httppeer_close(&peer);
        else
            httppeer_reset(&peer);
    }
    httpprocess_wait_for_connections(&honest, 1);
}

static void connections_that_come_and_go_leave_nothing(void **state)
{
    begin(NULL);
    come_and_go(2000);
    struct httpprocess_usage before = httpprocess_usage(&honest);
    come_and_go(18000);
    struct httpprocess_usage after = httpprocess_usage(&honest);
    assert_int_equal(after.files, before.files);
    assert_true(after.bytes < before.bytes + 65536);
    assert_small_growth(after.resident - before.resident);
    end();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(bad_requests_do_not_fill_the_log),
    cmocka_unit_test(bad_requests_do_not_fill_a_log_of_everything),
    cmocka_unit_test(a_body_in_tiny_pieces_takes_no_more_memory_than_its_bytes),
    cmocka_unit_test(a_client_that_asks_on_and_reads_nothing_is_not_read_from),
    cmocka_unit_test(connections_that_come_and_go_leave_nothing),
};

TESTING_MAIN(tests)
