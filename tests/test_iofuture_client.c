/* Tornado's example of a client in both styles: it sends a line to a server that capitalizes it. What it is to tell is
 * told to a callback, or is the outcome of a future. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ioloop/iofuture.h"
#include "ioloop/iostream.h"
#include "ioloop/tcpclient.h"
#include "ioloop/tcpserver.h"
#include "tests/support/testing.h"

/* The server. */

static void answer_line(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    char line[64] = "error\talready capitalized\n";

    if (error < 0)
        return;
    if (memchr(data, 'h', length) != NULL) {
        memcpy(line, "ok\tHELLO\n", sizeof "ok\tHELLO\n");
        assert_int_equal(length, 6);
    }
    assert_int_equal(iostream_write(stream, line, strlen(line), NULL, NULL), 0);
    assert_int_equal(iostream_shutdown(stream), 0);
}

static void serve_stream(struct tcpserver *server, struct iostream *stream, const struct sockaddr *address,
                         socklen_t length, void *arg)
{
    assert_int_equal(iostream_read_until(stream, "\n", 64, answer_line, NULL), 0);
}

/* The client, with a callback. */

typedef void capitalize_fn(int error, const char *text, void *arg);

struct capitalizing {
    const char *text;
    capitalize_fn *callback;
    void *arg;
};

static void end_capitalizing(struct capitalizing *job, int error, const char *text)
{
    job->callback(error, text, job->arg);
    free(job);
}

static void read_answer(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    char text[64] = "";

    if (error == 0 && length > 3 && memcmp(data, "ok\t", 3) == 0)
        memcpy(text, data + 3, length - 4);
    else if (error == 0)
        error = -EPROTO;
    end_capitalizing(arg, error, text);
    iostream_close(stream);
}

static void send_line(int error, struct iostream *stream, void *arg)
{
    struct capitalizing *job = arg;

    if (error == 0)
        error = iostream_write(stream, job->text, strlen(job->text), NULL, NULL);
    if (error == 0)
        error = iostream_read_until(stream, "\n", 64, read_answer, job);
    if (error < 0)
        end_capitalizing(job, error, NULL);
}

/* Negative when it has failed at once: then nobody is called. */
static int capitalize(struct ioloop *loop, int port, const char *text, capitalize_fn *callback, void *arg)
{
    struct capitalizing *job = malloc(sizeof *job);

    *job = (struct capitalizing){ text, callback, arg };
    if (tcpclient_connect(loop, "127.0.0.1", port, NULL, send_line, job) != 0)
        return 0;
    free(job);
    return -errno;
}

/* The same with a future. */

static void settle(int error, const char *text, void *arg)
{
    if (error < 0)
        assert_int_equal(iofuture_set_error(arg, error), 0);
    else
        assert_int_equal(iofuture_set_result(arg, strdup(text), free), 0);
}

static struct iofuture *capitalized(struct ioloop *loop, int port, const char *text)
{
    struct iofuture *future = iofuture_new(loop);

    assert_non_null(future);
    int error = capitalize(loop, port, text, settle, future);
    if (error < 0)
        assert_int_equal(iofuture_set_error(future, error), 0);
    return future;
}

static struct ioloop *loop;
static struct tcpserver *server;
static int port;

static void open_server(void)
{
    loop = ioloop_new(NULL);
    server = tcpserver_new(loop, serve_stream, NULL, NULL);
    port = tcpserver_listen(server, 0, &(struct netutil_bind_options){ .address = "127.0.0.1" });
    assert_true(port > 0);
}

struct outcome {
    int error;
    char text[64];
    bool told;
};

static void note_outcome(int error, const char *text, void *arg)
{
    struct outcome *outcome = arg;

    outcome->error = error;
    if (error == 0)
        memcpy(outcome->text, text, strlen(text) + 1);
    outcome->told = true;
}

static struct iofuture *capitalize_in_run(void *arg)
{
    return capitalized(loop, port, arg);
}

/* concurrent_test:test_callback */
static void a_callback_is_told_a_value(void **state)
{
    struct outcome outcome = { 0 };

    open_server();
    assert_int_equal(capitalize(loop, port, "hello\n", note_outcome, &outcome), 0);
    testing_run_until(loop, &outcome.told);
    assert_int_equal(outcome.error, 0);
    assert_string_equal(outcome.text, "HELLO");
    ioloop_close(loop, false);
}

/* concurrent_test:test_callback_error */
static void a_callback_is_told_an_error(void **state)
{
    struct outcome outcome = { 0 };

    open_server();
    assert_int_equal(capitalize(loop, port, "HELLO\n", note_outcome, &outcome), 0);
    testing_run_until(loop, &outcome.told);
    assert_int_equal(outcome.error, -EPROTO);
    ioloop_close(loop, false);
}

/* concurrent_test:test_future */
static void a_future_has_a_value(void **state)
{
    void *text = NULL;

    open_server();
    assert_int_equal(iofuture_run_sync(loop, capitalize_in_run, (void *)(uintptr_t) "hello\n", 5, &text), 0);
    assert_string_equal(text, "HELLO");
    ioloop_close(loop, false);
}

/* concurrent_test:test_future_error */
static void a_future_has_an_error(void **state)
{
    open_server();
    testing_begin_logs();
    assert_int_equal(iofuture_run_sync(loop, capitalize_in_run, (void *)(uintptr_t) "HELLO\n", 5, NULL), -EPROTO);
    tcpserver_close(server);
    assert_int_equal(iofuture_run_sync(loop, capitalize_in_run, (void *)(uintptr_t) "hello\n", 5, NULL), -ECONNREFUSED);
    ioloop_close(loop, false);
    assert_int_equal(testing_logs(NULL), 0);
}

/* Whoever made the future is told while the loop closes, and sets it then. */
static void a_loop_that_closes_in_between_ends_both(void **state)
{
    struct outcome outcome = { 0 };

    open_server();
    assert_int_equal(capitalize(loop, port, "hello\n", note_outcome, &outcome), 0);
    capitalized(loop, port, "hello\n");
    testing_spin(loop, 1);
    ioloop_close(loop, false);
    assert_true(outcome.told);
    assert_int_equal(outcome.error, -ECANCELED);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_callback_is_told_a_value),
    cmocka_unit_test(a_callback_is_told_an_error),
    cmocka_unit_test(a_future_has_a_value),
    cmocka_unit_test(a_future_has_an_error),
    cmocka_unit_test(a_loop_that_closes_in_between_ends_both),
};

TESTING_MAIN(tests)
