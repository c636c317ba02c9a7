/* A server whose connections go through a transport from outside, as TLS would. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "httpserver/httpserver.h"
#include "tests/support/faults.h"
#include "tests/support/httpscene.h"
#include "tests/support/httptexts.h"
#include "tests/support/streampair.h"
#include "tests/support/testing.h"

/* The client has to say "hello" first. Then bytes are as they are, read some at a time and ahead. */
struct greeting {
    size_t heard;
    char ahead[4096];
    size_t start, length;
    int shutdowns, closes;
};

static struct greeting greetings[HTTPSCENE_CLIENTS];
static int started;

static int greeting_handshake(void *context, int fd)
{
    struct greeting *greeting = context;

    while (greeting->heard < 5) {
        char byte;
        ssize_t count = recv(fd, &byte, 1, 0);
        if (count < 0)
            return -errno;
        if (count == 0)
            return -ECONNRESET;
        if (byte != "hello"[greeting->heard++])
            return -EPROTO;
    }
    return 0;
}

static ssize_t greeting_read(void *context, int fd, void *buffer, size_t size)
{
    struct greeting *greeting = context;

    assert_int_equal(greeting->heard, 5);
    if (greeting->length == 0) {
        ssize_t count = recv(fd, greeting->ahead, sizeof greeting->ahead, 0);
        if (count <= 0)
            return count < 0 ? -errno : 0;
        greeting->start = 0;
        greeting->length = (size_t)count;
    }
    size_t count = greeting->length < 100 ? greeting->length : 100;
    count = count < size ? count : size;
    memcpy(buffer, greeting->ahead + greeting->start, count);
    greeting->start += count;
    greeting->length -= count;
    return (ssize_t)count;
}

static ssize_t greeting_write(void *context, int fd, const struct iovec *vector, int count)
{
    struct msghdr message = { .msg_iov = (struct iovec *)vector, .msg_iovlen = (size_t)count };
    ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);

    assert_int_equal(((struct greeting *)context)->heard, 5);
    return sent < 0 ? -errno : sent;
}

static int greeting_shutdown(void *context, int fd)
{
    ((struct greeting *)context)->shutdowns++;
    return shutdown(fd, SHUT_WR);
}

static void greeting_close(void *context, int fd)
{
    ((struct greeting *)context)->closes++;
}

static const struct iostream_transport transport = {
    .read = greeting_read,
    .write = greeting_write,
    .handshake = greeting_handshake,
    .shutdown = greeting_shutdown,
    .close = greeting_close,
    .buffers = true,
};

static int start_greeting(void *arg, const struct iostream_transport **its_transport, void **context)
{
    assert_string_equal(arg, "the arg");
    assert_in_range(started, 0, HTTPSCENE_CLIENTS - 1);
    *its_transport = &transport;
    *context = &greetings[started++];
    return 0;
}

static struct httpscene_client *begin_greeting(struct httpscene *scene, struct httpserver_options options)
{
    memset(greetings, 0, sizeof greetings);
    started = 0;
    options.start_transport = start_greeting;
    options.start_transport_arg = (char *)"the arg";
    return begin(scene, &options);
}

static void end_greeting(struct httpscene *scene)
{
    httpscene_close(scene);
    for (int i = 0; i < started; i++)
        assert_int_equal(greetings[i].closes, 1);
}

/* SSLTest: httpserver_test:test_ssl, httpserver_test:test_large_post */
static void answers_over_a_transport(void **state)
{
    static char body[50001];
    struct httpscene scene;
    struct httpscene_client *client = begin_greeting(&scene, (struct httpserver_options){ 0 });

    httpscene_put(&scene, client, "hello" GET("/1"));
    httpscene_expect(&scene, client, 200, "GET /1");
    httpscene_put(&scene, client,
                  GET("/2") POST("5") "hello" GET("/3") CHUNKED "1\r\nx\r\n0\r\n\r\n" GET("/size/100000"));
    httpscene_expect(&scene, client, 200, "GET /2");
    httpscene_expect(&scene, client, 200, "POST / hello");
    httpscene_expect(&scene, client, 200, "GET /3");
    httpscene_expect(&scene, client, 200, "POST / x");
    assert_int_equal(httpscene_next(&scene, client, false).length, 100000);
    memset(body, 'b', 50000);
    httpscene_put(&scene, client, POST("50000"));
    httpscene_put(&scene, client, body);
    assert_int_equal(httpscene_next(&scene, client, false).length, 50007);
    httpscene_put(&scene, client, LAST_GET("/4"));
    httpscene_expect_last(&scene, client, 200);
    assert_int_equal(started, 1);
    end_greeting(&scene);
}

static void tell_protocol(struct httpscene *scene, struct httprequest *request)
{
    const char *protocol = httprequest_protocol(request);

    assert_int_equal(httprequest_reply(request, 200, NULL, protocol, strlen(protocol)), 0);
}

static void says_that_it_is_https(void **state)
{
    static const char *const cases[][2] = { { NULL, "https" }, { "gopher", "gopher" } };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct httpscene scene;
        struct httpscene_client *client =
            begin_greeting(&scene, (struct httpserver_options){ .protocol = cases[i][0] });

        scene.on_request = tell_protocol;
        httpscene_put(&scene, client, "hello" GET("/"));
        httpscene_expect(&scene, client, 200, cases[i][1]);
        end_greeting(&scene);
    }
}

/* SSLXHeaderTest: httpserver_test:test_request_without_xprotocol */
static void a_proxy_may_say_that_it_is_http(void **state)
{
    static const char *const cases[][2] = { { "", "https" },
                                            { "X-Scheme: http\r\n", "http" },
                                            { "X-Scheme: unknown\r\n", "https" } };
    struct httpscene scene;
    struct httpscene_client *client = begin_greeting(&scene, (struct httpserver_options){ .xheaders = true });

    scene.on_request = tell_protocol;
    httpscene_put(&scene, client, "hello");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        httpscene_put(&scene, client, "GET / HTTP/1.1\r\nHost: a\r\n");
        httpscene_put(&scene, client, cases[i][0]);
        httpscene_put(&scene, client, "\r\n");
        httpscene_expect(&scene, client, 200, cases[i][1]);
    }
    end_greeting(&scene);
}

static int file;

static void answer_with_file(struct httpscene *scene, struct httprequest *request)
{
    assert_int_equal(httprequest_write_head(request, 200, NULL, NULL, NULL, 0, NULL, NULL), 0);
    assert_int_equal(httprequest_write_file(request, file, 0, 300000, NULL, NULL), 0);
    assert_int_equal(httprequest_finish(request), 0);
}

/* The kernel could send it past the transport. */
static void files_go_through_the_transport(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_greeting(&scene, (struct httpserver_options){ 0 });

    file = streampair_file(300000);
    scene.on_request = answer_with_file;
    faults_count_reset();
    httpscene_put(&scene, client, "hello" GET("/"));
    struct httpscene_answer answer = httpscene_next(&scene, client, false);
    assert_int_equal(answer.status, 200);
    assert_int_equal(answer.length, 300000);
    assert_true(streampair_is_pattern(answer.body, 0, sizeof answer.body - 1));
    assert_int_equal(faults_count("sendfile"), 0);
    end_greeting(&scene);
    close(file);
}

static void closes_what_does_not_shake_hands_in_time(void **state)
{
    static const char *const said[] = { "", "hell", "hello" };

    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        struct httpscene scene;
        struct httpscene_client *client = begin_greeting(&scene, (struct httpserver_options){ .header_timeout = 3 });

        httpscene_put(&scene, client, said[i]);
        httpscene_settle(&scene);
        httpscene_pass(&scene, 2.8);
        httpscene_expect_nothing(&scene, client);
        assert_int_equal(httpserver_connections(scene.server), 1);
        httpscene_pass(&scene, 0.2 + LATE);
        httpscene_expect_end(&scene, client);
        assert_int_equal(httpserver_connections(scene.server), 0);
        assert_int_equal(scene.requests, 0);
        end_greeting(&scene);
    }
}

/* SSLTest: httpserver_test:test_non_ssl_request */
static void closes_what_does_not_shake_hands_at_all(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_greeting(&scene, (struct httpserver_options){ 0 });

    httpscene_put(&scene, client, GET("/"));
    httpscene_settle(&scene);
    httpscene_take(client, 1000);
    assert_true(client->ended);
    assert_int_equal(client->length, 0);
    assert_int_equal(scene.requests, 0);
    assert_int_equal(httpserver_connections(scene.server), 0);
    end_greeting(&scene);
}

static void closes_in_the_middle_of_handshakes(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_greeting(&scene, (struct httpserver_options){ 0 });

    httpscene_put(&scene, client, "hel");
    httpscene_settle(&scene);
    httpserver_close(scene.server);
    httpscene_expect_end(&scene, client);
    end_greeting(&scene);
}

static void has_no_proxy_header_before_a_transport(void **state)
{
    struct ioloop *loop = ioloop_new(NULL);

    errno = 0;
    assert_null(httpserver_new(
        loop, NULL, NULL, &(struct httpserver_options){ .proxy_protocol = true, .start_transport = start_greeting }));
    assert_int_equal(errno, EINVAL);
    ioloop_close(loop, false);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(answers_over_a_transport),
    cmocka_unit_test(says_that_it_is_https),
    cmocka_unit_test(a_proxy_may_say_that_it_is_http),
    cmocka_unit_test(files_go_through_the_transport),
    cmocka_unit_test(closes_what_does_not_shake_hands_in_time),
    cmocka_unit_test(closes_what_does_not_shake_hands_at_all),
    cmocka_unit_test(closes_in_the_middle_of_handshakes),
    cmocka_unit_test(has_no_proxy_header_before_a_transport),
};

TESTING_MAIN(tests)
