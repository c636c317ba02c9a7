/* What is told by ioloop_close × everything that it may name and close: whoever is told later does not know what has
 * ended before. (That nothing is used after it is freed shows under AddressSanitizer.) */
#include "ioloop/ioloop.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "httpclient/httpclient.h"
#include "httpserver/httprequest.h"
#include "httpserver/httpserver.h"
#include "httpserver/web.h"
#include "ioloop/ioexecutor.h"
#include "ioloop/iogen.h"
#include "ioloop/iolocks.h"
#include "ioloop/ioqueue.h"
#include "ioloop/iostream.h"
#include "ioloop/iosubprocess.h"
#include "ioloop/netutil.h"
#include "ioloop/periodiccallback.h"
#include "ioloop/resolver.h"
#include "ioloop/tcpclient.h"
#include "ioloop/tcpserver.h"
#include "tests/support/tracedloop.h"
#include "websocket/websocket.h"

static void stay_silent(void *arg)
{
}

static void ignore_event(int fd, unsigned events, void *arg)
{
}

static struct iofuture *begin_nothing(void *arg)
{
    return NULL;
}

static void ignore_stream(struct tcpserver *server, struct iostream *stream, const struct sockaddr *address,
                          socklen_t length, void *arg)
{
}

static void ignore_accepted(int fd, const struct sockaddr *address, socklen_t length, void *arg)
{
    close(fd);
}

static void ignore_request(struct httprequest *request, void *arg)
{
}

static const struct netutil_bind_options local = { .address = "127.0.0.1" };

/* A listener that accepts nothing: who connects is connected, and hears nothing. */
static int silent;
static char url[64];

static int new_listener(void)
{
    int listener;

    assert_int_equal(netutil_bind_sockets(&listener, 1, 0, &local), 1);
    return listener;
}

static struct iostream *new_stream_of(int *peer)
{
    int fds[2];

    testing_socketpair(fds);
    *peer = fds[1];
    struct iostream *stream = iostream_new(loop, fds[0], &(struct iostream_options){ .user_size = 100 });
    assert_non_null(stream);
    return stream;
}

/* What is named: of each kind one, without a close callback where there is such a thing. */
static struct {
    int peer, listener;
    uint64_t timeout, query, connect, fetch;
    struct iostream *stream, *connected;
    struct ioqueue *queue;
    struct iolocks_condition *condition;
    struct iolocks_event *event;
    struct iolocks_semaphore *semaphore;
    struct iolocks_lock *lock;
    struct periodiccallback *periodic, *begins;
    struct iofuture *future; /* held */
    struct iofuture_iterator *iterator;
    struct tcpserver *tcp;
    struct iosubprocess *child;
    struct iostream *out;
    struct resolver *resolver;
    struct ioexecutor *executor;
    struct httpserver *server;
    struct httpclient *client, *current;
    struct web_application *app;
    struct websocket *socket;
    int children_told, fetches_told, connects_told, queries_told;
} named;

static void count_child(struct iosubprocess *child, int error, int status, void *arg)
{
    named.children_told++;
}

static void count_response(struct httpclient_response *response, void *arg)
{
    assert_int_equal(response->error, -ECANCELED);
    named.fetches_told++;
}

/* What needs no waiting may have been done before. */
static void count_connect(int error, struct iostream *stream, void *arg)
{
    assert_true(error == 0 || error == -ECANCELED);
    named.connected = stream;
    named.connects_told++;
}

static void count_query(int error, const struct resolver_address *addresses, size_t count, void *arg)
{
    assert_true(error == 0 || error == -ECANCELED);
    named.queries_told++;
}

static const struct websocket_handler silent_handler = { .ping_interval = -1 };

static void make_waiting(void)
{
    assert_non_null(named.queue = ioqueue_new(loop, 0));
    assert_non_null(ioqueue_get(named.queue, -1));
    assert_non_null(named.condition = iolocks_condition_new(loop));
    assert_non_null(iolocks_condition_wait(named.condition, -1));
    assert_non_null(named.event = iolocks_event_new(loop));
    assert_non_null(iolocks_event_wait(named.event, 10));
    assert_non_null(named.semaphore = iolocks_semaphore_new(loop, 1));
    assert_non_null(named.lock = iolocks_lock_new(loop));
    assert_non_null(named.periodic = periodiccallback_new(loop, 1, stay_silent, NULL));
    assert_int_equal(periodiccallback_start(named.periodic), 0);
    assert_non_null(named.begins = periodiccallback_new_future(loop, 1, begin_nothing, NULL));
    assert_non_null(named.future = iofuture_sleep(loop, 10));
    iofuture_hold(named.future);
    assert_non_null(named.iterator = iofuture_iterator_new(loop, &named.future, 1));
}

static void make_descriptors(void)
{
    static const char *const sleep_for_long[] = { "sleep", "100", NULL };

    named.stream = new_stream_of(&named.peer);
    assert_non_null(named.tcp = tcpserver_new(loop, ignore_stream, NULL, NULL));
    assert_true(tcpserver_listen(named.tcp, 0, &local) > 0);
    named.listener = new_listener();
    assert_int_equal(netutil_add_accept_handler(loop, named.listener, ignore_accepted, NULL), 0);
    named.child = iosubprocess_new(loop, sleep_for_long, &(struct iosubprocess_options){ .out = IOSUBPROCESS_STREAM });
    assert_non_null(named.child);
    named.out = iosubprocess_stdout(named.child);
    iosubprocess_set_exit_callback(named.child, count_child, NULL);
    assert_int_equal(ioloop_add_handler(loop, named.peer, ignore_event, NULL, IOLOOP_READ), 0);
}

static void make_asking(void)
{
    int port = netutil_bound_port(silent);

    named.timeout = call_later(10, stay_silent, NULL);
    assert_non_null(named.resolver = resolver_new(NULL));
    named.query = resolver_resolve(named.resolver, loop, "127.0.0.1", port, AF_INET, 0, count_query, NULL);
    assert_int_not_equal(named.query, 0);
    named.connect = tcpclient_connect(loop, "127.0.0.1", port, NULL, count_connect, NULL);
    assert_int_not_equal(named.connect, 0);
    assert_non_null(named.client = httpclient_new(loop, NULL));
    assert_non_null(named.current = httpclient_current(loop));
    named.fetch = httpclient_fetch(named.client, &(struct httpclient_request){ .url = url }, count_response, NULL);
    assert_int_not_equal(named.fetch, 0);
    assert_non_null(named.socket = websocket_connect(loop, url, &silent_handler, NULL));
    assert_non_null(named.executor = ioexecutor_of_loop(loop));
}

static void make_serving(void)
{
    static const struct web_route routes[] = { { "/", &web_error_handler, NULL, NULL }, { 0 } };

    assert_non_null(named.server = httpserver_new(loop, ignore_request, NULL, NULL));
    assert_true(httpserver_listen(named.server, 0, &local) > 0);
    assert_non_null(named.app = web_application_new(routes, &(struct web_settings){ .loop = loop }));
    assert_true(web_application_listen(named.app, 0, &local) > 0);
}

static void make_all(void)
{
    memset(&named, 0, sizeof named);
    make_descriptors();
    make_waiting();
    make_asking();
    make_serving();
}

static void close_waiting(void)
{
    void *item;

    assert_int_equal(ioqueue_get_nowait(named.queue, &item) < 0, 1);
    assert_true(ioqueue_empty(named.queue));
    ioqueue_close(named.queue);
    iolocks_condition_notify_all(named.condition);
    iolocks_condition_close(named.condition);
    iolocks_event_set(named.event);
    iolocks_event_close(named.event);
    iolocks_semaphore_release(named.semaphore);
    iolocks_semaphore_close(named.semaphore);
    iolocks_lock_release(named.lock);
    iolocks_lock_close(named.lock);
    periodiccallback_stop(named.periodic);
    assert_true(periodiccallback_start(named.periodic) < 0);
    periodiccallback_close(named.periodic);
    assert_int_equal(periodiccallback_set_jitter(named.begins, 0.1), 0);
    periodiccallback_close(named.begins);
    iofuture_cancel(named.future);
    iofuture_iterator_done(named.iterator);
    iofuture_iterator_index(named.iterator);
    iofuture_iterator_close(named.iterator);
    assert_null(iofuture_iterator_next(named.iterator));
}

static void close_stream(struct iostream *stream)
{
    iostream_shutdown(stream);
    iostream_cork(stream);
    (void)!iostream_write(stream, "bye", 3, NULL, NULL);
    iostream_uncork(stream);
    iostream_cancel_read(stream);
    (void)!iostream_set_consumer(stream, NULL, NULL);
    iostream_close(stream);
    iostream_reset(stream);
    iostream_set_close_callback(stream, NULL, NULL);
    assert_true(iostream_closed(stream));
    assert_int_equal(iostream_fd(stream), -1);
    assert_false(iostream_reading(stream));
    assert_int_equal(iostream_write(stream, "a", 1, NULL, NULL), -EBADF);
    assert_int_equal(iostream_shutdown(stream), -EBADF);
    assert_int_equal(iostream_set_read_timeout(stream, 1), -EBADF);
    assert_int_equal(iostream_set_nodelay(stream, true), -EBADF);
    assert_ptr_equal(iostream_loop(stream), loop);
}

static void close_descriptors(void)
{
    close_stream(named.stream);
    memset(iostream_user(named.stream), 1, 100);
    close_stream(named.out);
    if (named.connected != NULL)
        close_stream(named.connected);
    assert_null(iosubprocess_stdout(named.child));
    tcpserver_stop(named.tcp);
    tcpserver_close(named.tcp);
    assert_int_equal(tcpserver_listen(named.tcp, 0, NULL), -EBADF);
    assert_int_equal(tcpserver_connections(named.tcp), 0);
    netutil_pause_accept_handler(loop, named.listener);
    netutil_remove_accept_handler(loop, named.listener);
    iosubprocess_kill(named.child, SIGTERM);
    iosubprocess_close(named.child);
    iosubprocess_set_exit_callback(named.child, count_child, NULL);
    assert_null(iosubprocess_wait_for_exit(named.child, false));
    ioloop_remove_handler(loop, named.peer);
}

static void close_socket(struct websocket *socket)
{
    websocket_pause(socket);
    websocket_resume(socket);
    websocket_close(socket, WEBSOCKET_NORMAL, "bye");
    websocket_abort(socket);
    assert_true(websocket_closing(socket));
    assert_true(websocket_write_text(socket, "hello") < 0);
    assert_true(websocket_ping(socket, NULL, 0) < 0);
    assert_true(websocket_subscribe(socket, "news") < 0);
    websocket_unsubscribe(socket, "news");
    websocket_set_arg(socket, socket);
    assert_ptr_equal(websocket_arg(socket), socket);
    assert_ptr_equal(websocket_loop(socket), loop);
    assert_string_equal(websocket_remote_ip(socket), "");
    assert_null(websocket_subprotocol(socket));
    websocket_pending(socket);
    websocket_status(socket);
    websocket_error(socket);
}

static void close_asking(void)
{
    ioloop_remove_timeout(loop, named.timeout);
    resolver_cancel(loop, named.query);
    tcpclient_cancel(loop, named.connect);
    httpclient_pause(named.client, named.fetch);
    httpclient_resume(named.client, named.fetch);
    httpclient_cancel(named.client, named.fetch);
    httpclient_close(named.client);
    httpclient_close(named.current);
    assert_int_equal(httpclient_waiting(named.client), 0);
    assert_int_equal(httpclient_fetch(named.client, &(struct httpclient_request){ .url = "http://127.0.0.1/" },
                                      count_response, NULL),
                     0);
    close_socket(named.socket);
    ioexecutor_cancel(named.executor, 1);
}

static void close_serving(void)
{
    httpserver_close(named.server);
    assert_int_equal(httpserver_listen(named.server, 0, NULL), -EBADF);
    assert_int_equal(httpserver_connections(named.server), 0);
    web_application_close(named.app);
    assert_true(web_application_listen(named.app, 0, NULL) < 0);
    assert_null(web_application_arg(named.app));
}

static void close_all(void)
{
    close_waiting();
    close_descriptors();
    close_asking();
    close_serving();
}

static void drop_what_is_ours(void)
{
    resolver_close(named.resolver);
    iofuture_release(named.future);
    close(named.peer);
    close(named.listener);
}

/* Who is told, and closes it all: twice. */

static int told;

static void act(void)
{
    told++;
    close_all();
    close_all();
}

static void on_connect_act(int error, struct iostream *stream, void *arg)
{
    assert_int_equal(error, -ECANCELED);
    act();
}

static void by_connect(void)
{
    assert_int_not_equal(tcpclient_connect(loop, "127.0.0.1", netutil_bound_port(silent), NULL, on_connect_act, NULL),
                         0);
}

static void on_query_act(int error, const struct resolver_address *addresses, size_t count, void *arg)
{
    assert_int_equal(error, -ECANCELED);
    act();
}

static void by_query(void)
{
    assert_int_not_equal(resolver_resolve(NULL, loop, "127.0.0.1", 80, AF_INET, 0, on_query_act, NULL), 0);
}

static void on_response_act(struct httpclient_response *response, void *arg)
{
    assert_int_equal(response->error, -ECANCELED);
    act();
}

static void by_fetch(void)
{
    struct httpclient *client = httpclient_new(loop, NULL);

    assert_non_null(client);
    assert_int_not_equal(httpclient_fetch(client, &(struct httpclient_request){ .url = url }, on_response_act, NULL),
                         0);
}

static void on_client_close_act(struct httpclient *client, void *arg)
{
    act();
}

static void by_client(void)
{
    assert_non_null(httpclient_new(loop, &(struct httpclient_options){ .on_close = on_client_close_act }));
}

static void on_socket_close_act(struct websocket *socket, int code, const char *reason)
{
    assert_int_equal(websocket_error(socket), -ECANCELED);
    act();
}

static void by_websocket(void)
{
    static const struct websocket_handler handler = { .on_close = on_socket_close_act };

    assert_non_null(websocket_connect(loop, url, &handler, NULL));
}

static void on_read_act(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    assert_int_equal(error, -ECANCELED);
    act();
}

static int peer_of_teller = -1;

static void by_read(void)
{
    assert_int_equal(iostream_read_bytes(new_stream_of(&peer_of_teller), 1, on_read_act, NULL), 0);
}

static void on_stream_close_act(struct iostream *stream, int error, void *arg)
{
    act();
}

static void by_stream(void)
{
    iostream_set_close_callback(new_stream_of(&peer_of_teller), on_stream_close_act, NULL);
}

static void on_tcp_close_act(struct tcpserver *server, void *arg)
{
    act();
}

static void by_tcpserver(void)
{
    assert_non_null(
        tcpserver_new(loop, ignore_stream, NULL, &(struct tcpserver_options){ .on_close = on_tcp_close_act }));
}

static void on_server_close_act(struct httpserver *server, void *arg)
{
    act();
}

static void by_httpserver(void)
{
    const struct httpserver_options options = { .on_close = on_server_close_act };

    assert_non_null(httpserver_new(loop, ignore_request, NULL, &options));
}

static void by_application(void)
{
    static const struct web_route routes[] = { { 0 } };
    const struct web_settings settings = { .loop = loop, .server.on_close = on_server_close_act };

    assert_non_null(web_application_new(routes, &settings));
}

static void on_exit_act(struct iosubprocess *child, int error, int status, void *arg)
{
    act();
}

static void by_child(void)
{
    static const char *const sleep_for_long[] = { "sleep", "100", NULL };
    struct iosubprocess *child = iosubprocess_new(loop, sleep_for_long, NULL);

    assert_non_null(child);
    iosubprocess_set_exit_callback(child, on_exit_act, NULL);
    iosubprocess_kill(child, SIGKILL);
}

static void on_future_act(struct iofuture *future, void *arg)
{
    assert_int_equal(iofuture_error(future), -ECANCELED);
    act();
}

static void by_future(void)
{
    assert_int_equal(iofuture_add_callback(iofuture_new(loop), on_future_act, NULL), 0);
}

static void by_fetched_future(void)
{
    struct httpclient *client = httpclient_new(loop, NULL);

    assert_non_null(client);
    struct iofuture *fetch = httpclient_fetch_future(client, &(struct httpclient_request){ .url = url });
    assert_int_equal(iofuture_add_callback(fetch, on_future_act, NULL), 0);
}

static void tidy_up(struct iogen *gen, void *state)
{
    IOGEN_BEGIN(gen);
    IOGEN_YIELD(gen, iofuture_sleep(loop, 10));
    assert_int_equal(gen->error, -ECANCELED);
    act();
    IOGEN_END(gen);
}

static void by_generator(void)
{
    assert_non_null(iogen_start(loop, tidy_up, NULL, 0));
    testing_spin(loop, 1); /* or it never begins */
}

static void act_on_value(void *value)
{
    act();
}

/* Done, and held by nobody but the iterator. */
static void by_value(void)
{
    struct iofuture *future = iofuture_new(loop);

    assert_non_null(future);
    assert_non_null(iofuture_iterator_new(loop, &future, 1));
    assert_int_equal(iofuture_set_result(future, &told, act_on_value), 0);
}

static void by_item(void)
{
    struct ioqueue *queue = ioqueue_new(loop, 0);

    assert_non_null(queue);
    ioqueue_set_free_item(queue, act_on_value);
    assert_int_equal(ioqueue_put_nowait(queue, &told), 0);
}

/* Those of a server: a client that is no part of the loop asks. */

static int client_of(int port, const char *request)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(write(fd, request, strlen(request)), strlen(request));
    return fd;
}

static bool has_asked;

static void on_left_act(struct httprequest *request, void *arg)
{
    act();
    httprequest_finish(request);
}

static void wait_for_the_end(struct httprequest *request, void *arg)
{
    has_asked = true;
    httprequest_set_close_callback(request, on_left_act, NULL);
}

static void by_request(void)
{
    struct httpserver *server = httpserver_new(loop, wait_for_the_end, NULL, NULL);
    int port = httpserver_listen(server, 0, &local);

    peer_of_teller = client_of(port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    testing_run_until(loop, &has_asked);
}

static void wait_in_web(struct web_request *request)
{
    has_asked = true;
}

static void on_web_left_act(struct web_request *request)
{
    act();
    web_finish(request);
}

static struct web_application *new_application(const struct web_route *routes, const char *request)
{
    struct web_application *app = web_application_new(routes, &(struct web_settings){ .loop = loop });

    assert_non_null(app);
    peer_of_teller = client_of(web_application_listen(app, 0, &local), request);
    testing_run_until(loop, &has_asked);
    return app;
}

static void by_web_request(void)
{
    static const struct web_handler handler = { .get = wait_in_web,
                                                .on_connection_close = on_web_left_act,
                                                .asynchronous = true };
    static const struct web_route routes[] = { { "/", &handler, NULL, NULL }, { 0 } };

    new_application(routes, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

static void note_open(struct websocket *socket, struct web_request *request)
{
    has_asked = true;
}

static void by_server_websocket(void)
{
    static const struct websocket_handler handler = { .open = note_open, .on_close = on_socket_close_act };
    static const struct web_route routes[] = { { "/", &websocket_route, &handler, NULL }, { 0 } };

    new_application(routes, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
}

static const struct teller {
    const char *name;
    void (*begin)(void);
    int turns; /* it may have had: what needs no waiting is done then */
} tellers[] = {
    { "connect", by_connect, 0 },
    { "query", by_query, 0 },
    { "fetch", by_fetch, 3 },
    { "client", by_client, 3 },
    { "WebSocket of a client", by_websocket, 3 },
    { "read", by_read, 3 },
    { "stream", by_stream, 3 },
    { "tcpserver", by_tcpserver, 3 },
    { "httpserver", by_httpserver, 3 },
    { "application", by_application, 3 },
    { "child", by_child, 0 },
    { "future", by_future, 3 },
    { "future of a fetch", by_fetched_future, 3 },
    { "generator", by_generator, 3 },
    { "value of a future", by_value, 3 },
    { "item of a queue", by_item, 3 },
    { "request", by_request, 3 },
    { "request of an application", by_web_request, 3 },
    { "WebSocket of a server", by_server_websocket, 3 },
};

static void check_told(const struct teller *teller)
{
    if (told != 1 || named.children_told > 1 || named.fetches_told != 1 || named.connects_told != 1 ||
        named.queries_told != 1 || faults_allocated() != allocated)
        fail_msg("%s: told %d, child %d, fetch %d, connect %d, query %d, %ld blocks", teller->name, told,
                 named.children_told, named.fetches_told, named.connects_told, named.queries_told,
                 faults_allocated() - allocated);
}

/* What is newest is closed first, descriptors before others, and callbacks come in rounds behind that. */
static void play(const struct teller *teller, bool is_newest, int iterations)
{
    open_loop();
    told = 0;
    has_asked = false;
    if (!is_newest)
        teller->begin();
    make_all();
    if (is_newest)
        teller->begin();
    testing_spin(loop, iterations);
    ioloop_close(loop, false);
    drop_what_is_ours();
    if (peer_of_teller >= 0)
        close(peer_of_teller);
    peer_of_teller = -1;
    check_told(teller);
}

static void whoever_is_told_may_close_all_that_there_was(void **state)
{
    silent = new_listener();
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", netutil_bound_port(silent));
    for (size_t i = 0; i < sizeof tellers / sizeof *tellers; i++) {
        play(&tellers[i], false, 0);
        play(&tellers[i], true, 0);
        play(&tellers[i], false, tellers[i].turns);
        play(&tellers[i], true, tellers[i].turns);
    }
    close(silent);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(whoever_is_told_may_close_all_that_there_was),
};

TESTING_MAIN(tests)
