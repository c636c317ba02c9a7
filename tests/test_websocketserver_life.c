#include "websocket/websocket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/faults.h"
#include "tests/support/socketscene.h"
#include "tests/support/testing.h"

/* Sockets and the server they came to. */

static const struct websocket_handler echo = { .on_message = socketscene_echo };

static struct web_request *prepared;

static void prepare_later(struct web_request *request)
{
    prepared = request;
    web_pause(request);
}

static void sockets_are_connections_of_the_server(void **state)
{
    struct socketscene scene;

    socketscene_open_with(&scene, &echo, &(struct web_settings){ .server.max_connections = 2 });
    struct httpscene_client *first = socketscene_connect(&scene, "");
    struct httpscene_client *second = socketscene_connect(&scene, "");
    assert_int_equal(httpserver_connections(scene.web.http.server), 2);
    struct httpscene_client *third = httpscene_connect(&scene.web.http);
    httpscene_put(&scene.web.http, third, "GET /ws HTTP/1.1\r\nHost: a\r\n\r\n");
    httpscene_expect_nothing(&scene.web.http, third);
    socketscene_leave(&scene, first);
    assert_int_equal(httpscene_next(&scene.web.http, third, false).status, 400);
    httpscene_hang_up(third);
    socketscene_leave(&scene, second);
    assert_int_equal(httpserver_connections(scene.web.http.server), 0);
    socketscene_close(&scene);
}

static void a_server_that_closes_says_so_to_its_sockets_and_waits(void **state)
{
    struct socketscene scene;
    struct httpscene_client *first = socketscene_begin(&scene, &echo);

    struct httpscene_client *second = socketscene_connect(&scene, "");
    web_application_close(scene.web.app);
    httpscene_settle(&scene.web.http);
    socketscene_expect_close(&scene, first, 1001, "");
    socketscene_expect_close(&scene, second, 1001, "");
    assert_int_equal(scene.web.closed, 0);
    socketscene_put_close(&scene, first, 1001, "");
    httpscene_hang_up(first);
    httpscene_settle(&scene.web.http);
    webscene_expect_notes("open open close:1001::0 ");
    assert_int_equal(scene.web.closed, 0);
    httpscene_pass(&scene.web.http, 5.2); /* the other has no manners */
    webscene_expect_notes("close:1006::ETIMEDOUT ");
    assert_int_equal(scene.closed, 2);
    assert_int_equal(scene.web.closed, 1);
    socketscene_close(&scene);
}

static void a_server_that_closes_does_not_wait_for_longer_than_it_may(void **state)
{
    struct socketscene scene;

    socketscene_open_with(&scene, &(struct websocket_handler){ .close_timeout = -1 },
                          &(struct web_settings){ .server.close_timeout = 3 });
    struct httpscene_client *client = socketscene_connect(&scene, "");
    web_application_close(scene.web.app);
    httpscene_settle(&scene.web.http);
    socketscene_expect_close(&scene, client, 1001, "");
    httpscene_pass(&scene.web.http, 2.9);
    assert_int_equal(scene.web.closed, 0);
    httpscene_pass(&scene.web.http, 0.2);
    assert_int_equal(scene.web.closed, 1);
    webscene_expect_notes("open close:1006::0 ");
    socketscene_close(&scene);
}

static bool close_and_allow(struct web_request *request, const char *origin)
{
    web_application_close(socketscene_current->web.app);
    return true;
}

static void a_server_that_is_closed_meanwhile_dismisses_the_new_socket(void **state)
{
    struct socketscene scene;

    socketscene_open(&scene, &(struct websocket_handler){ .check_origin = close_and_allow });
    struct httpscene_client *client = socketscene_connect(&scene, "Origin: http://example.org\r\n");
    socketscene_expect_close(&scene, client, 1001, "");
    socketscene_put_close(&scene, client, 1001, "");
    httpscene_hang_up(client);
    httpscene_settle(&scene.web.http);
    webscene_expect_notes("open close:1001::0 ");
    assert_int_equal(scene.web.closed, 1);
    socketscene_close(&scene);
}

static void never(void *arg)
{
    fail_msg("a timeout of a thousand years");
}

/* Without memory for the time that it would wait the server closes its connections at once. */
static bool end_and_allow(struct web_request *request, const char *origin)
{
    faults_allocation(1, true);
    while (ioloop_call_later(socketscene_current->web.http.loop, 3e10, never, NULL) != 0)
        ;
    web_application_close(socketscene_current->web.app);
    faults_allocation(0, false);
    assert_true(httprequest_left(web_http(request)));
    return true;
}

static const char *end_and_choose(struct web_request *request, const char *const *names, size_t count)
{
    return end_and_allow(request, NULL) ? names[0] : NULL;
}

static void no_socket_begins_on_a_connection_that_ended_meanwhile(void **state)
{
    static const struct websocket_handler handlers[] = { { .check_origin = end_and_allow },
                                                         { .select_subprotocol = end_and_choose } };

    for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++) {
        struct socketscene scene;

        socketscene_open(&scene, &handlers[i]);
        struct httpscene_client *client = httpscene_connect(&scene.web.http);
        httpscene_put(&scene.web.http, client,
                      "GET /ws HTTP/1.1\r\n" SOCKETSCENE_HANDSHAKE "Origin: http://example.org\r\n"
                      "Sec-WebSocket-Protocol: a\r\n\r\n");
        httpscene_settle(&scene.web.http);
        httpscene_take(client, SIZE_MAX);
        assert_true(client->ended);
        assert_int_equal(client->length, 0);
        assert_int_equal(scene.web.closed, 1); /* it waits for nobody */
        webscene_expect_notes("");
        socketscene_close(&scene);
    }
}

static void no_socket_begins_on_a_server_that_closes(void **state)
{
    struct socketscene scene;

    socketscene_open(&scene, &(struct websocket_handler){ .prepare = prepare_later });
    struct httpscene_client *client = httpscene_connect(&scene.web.http);
    httpscene_put(&scene.web.http, client, "GET /ws HTTP/1.1\r\n" SOCKETSCENE_HANDSHAKE "\r\n");
    httpscene_settle(&scene.web.http);
    web_application_close(scene.web.app);
    web_resume(prepared);
    assert_int_equal(httpscene_next(&scene.web.http, client, false).status, 503);
    webscene_expect_notes("");
    socketscene_close(&scene);
}

/* What prepare has made: each has an end, and one only. */

enum { GO_ON, WAIT, REFUSE, ABORT, DETACH };
static int made;

static void make_in_prepare(struct web_request *request)
{
    const struct websocket_handler *handler = web_route_arg(request);
    int what = *(const int *)handler->arg;

    made++;
    web_set_arg(request, &made);
    if (what == WAIT)
        prepare_later(request);
    else if (what == REFUSE)
        web_send_error(request, 401);
    else if (what == ABORT)
        web_abort(request);
    else if (what == DETACH)
        iostream_close(web_detach(request));
}

static void unmake(struct web_request *request)
{
    assert_ptr_equal(web_arg(request), &made);
    assert_true(web_finished(request));
    made--;
    webscene_note("finish");
}

static bool allow_none(struct web_request *request, const char *origin)
{
    return false;
}

static const char *choose_another(struct web_request *request, const char *const *names, size_t count)
{
    return "another";
}

static void open_with_prepare(struct socketscene *scene, const int *what)
{
    const struct websocket_handler handler = { .prepare = make_in_prepare,
                                               .on_finish = unmake,
                                               .check_origin = allow_none,
                                               .select_subprotocol = choose_another,
                                               .arg = (void *)what };

    made = 0;
    socketscene_open_with(scene, &handler, &(struct web_settings){ .xsrf_cookies = true });
}

static void a_request_that_becomes_no_socket_is_told_of_its_end(void **state)
{
    static const struct {
        const char *request, *headers;
        int what, status;
        const char *notes;
    } rows[] = {
        { "GET /ws", "", GO_ON, 400, "finish " },
        { "GET /ws", SOCKETSCENE_HANDSHAKE "Origin: http://example.org\r\n", GO_ON, 403, "finish " },
        { "GET /ws", SOCKETSCENE_HANDSHAKE "Sec-WebSocket-Protocol: a b\r\n", GO_ON, 400, "finish " },
        { "GET /ws", SOCKETSCENE_HANDSHAKE, GO_ON, 500, "finish " },
        { "HEAD /ws", SOCKETSCENE_HANDSHAKE, GO_ON, 405, "finish " },
        { "GET /ws", SOCKETSCENE_HANDSHAKE, REFUSE, 401, "finish " },
        { "GET /ws", SOCKETSCENE_HANDSHAKE, ABORT, 0, "finish " },
        { "GET /ws", SOCKETSCENE_HANDSHAKE, DETACH, 0, "finish " },
        { "POST /ws", SOCKETSCENE_HANDSHAKE, GO_ON, 403, "" }, /* for want of a token, before prepare */
        { "GET /ws/%00", SOCKETSCENE_HANDSHAKE, GO_ON, 400, "" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct socketscene scene;

        open_with_prepare(&scene, &rows[i].what);
        struct httpscene_client *client = httpscene_connect(&scene.web.http);
        char text[1024];
        snprintf(text, sizeof text, "%s HTTP/1.1\r\n%s%s\r\n", rows[i].request,
                 rows[i].headers[0] == 'H' ? "" : "Host: a\r\n", rows[i].headers);
        httpscene_put(&scene.web.http, client, text);
        if (rows[i].status != 0)
            assert_int_equal(httpscene_next(&scene.web.http, client, rows[i].request[0] == 'H').status, rows[i].status);
        else
            httpscene_expect_end(&scene.web.http, client);
        webscene_expect_notes(rows[i].notes);
        assert_int_equal(made, 0);
        socketscene_close(&scene);
    }
}

static void leave_in_prepare(struct socketscene *scene)
{
    static const int what = WAIT;

    open_with_prepare(scene, &what);
    struct httpscene_client *client = httpscene_connect(&scene->web.http);
    httpscene_put(&scene->web.http, client, "GET /ws HTTP/1.1\r\n" SOCKETSCENE_HANDSHAKE "\r\n");
    httpscene_settle(&scene->web.http);
    httpscene_reset(client);
    httpscene_settle(&scene->web.http);
    webscene_expect_notes("");
}

static void a_client_that_leaves_before_open_is_told_of_behind_the_pause(void **state)
{
    for (int aborts = 0; aborts < 2; aborts++) {
        struct socketscene scene;

        leave_in_prepare(&scene);
        if (aborts)
            web_abort(prepared);
        else
            web_resume(prepared);
        httpscene_settle(&scene.web.http);
        webscene_expect_notes("finish ");
        assert_int_equal(made, 0);
        socketscene_close(&scene);
    }
}

static void end_scene_without_loop(struct socketscene *scene)
{
    for (int i = 0; i < scene->web.http.client_count; i++)
        httpscene_hang_up(&scene->web.http.clients[i]);
    wsframes_free(&scene->frames);
    assert_int_equal(faults_allocated(), scene->web.http.allocated);
    testing_end_logs();
}

static void a_pause_may_outlive_the_loop(void **state)
{
    struct socketscene scene;

    leave_in_prepare(&scene);
    ioloop_close(scene.web.http.loop, false);
    webscene_expect_notes("");
    web_resume(prepared);
    webscene_expect_notes("finish ");
    end_scene_without_loop(&scene);
}

static void a_request_that_becomes_a_socket_ends_with_that(void **state)
{
    struct socketscene scene;
    struct websocket_handler handler = { .prepare = make_in_prepare, .on_finish = unmake, .arg = &(int){ GO_ON } };

    struct httpscene_client *client = socketscene_begin(&scene, &handler);
    webscene_expect_notes("open ");
    socketscene_leave(&scene, client);
    webscene_expect_notes("close:1000::0 ");
    socketscene_close(&scene);
}

static void a_loop_that_closes_ends_its_sockets(void **state)
{
    struct socketscene scene;

    socketscene_open(&scene, &echo);
    socketscene_connect(&scene, "");
    socketscene_connect(&scene, "");
    ioloop_close(scene.web.http.loop, false);
    webscene_expect_notes("open open close:1006::ECANCELED close:1006::ECANCELED ");
    assert_int_equal(scene.web.closed, 1);
    end_scene_without_loop(&scene);
}

static int logged_status;

static void log_status(struct web_request *request, int status, double seconds)
{
    logged_status = status;
}

static void a_handshake_is_logged_as_switching_protocols(void **state)
{
    struct socketscene scene;

    logged_status = -1;
    socketscene_open_with(&scene, &echo, &(struct web_settings){ .log_function = log_status });
    socketscene_connect(&scene, "");
    assert_int_equal(logged_status, 101);
    socketscene_close(&scene);
}

static void behind_a_proxy_the_address_is_what_it_says(void **state)
{
    struct socketscene scene;

    socketscene_open_with(&scene, &echo, &(struct web_settings){ .server.xheaders = true });
    struct httpscene_client *client = socketscene_connect(&scene, "X-Real-Ip: 1.2.3.4\r\n");
    assert_string_equal(websocket_remote_ip(scene.socket), "1.2.3.4");
    socketscene_leave(&scene, client);
    socketscene_close(&scene);
}

/* websocket_test:test_nodelay */
static void nodelay_can_be_set_in_open(void **state)
{
    struct socketscene scene;

    socketscene_open(&scene, &echo);
    socketscene_connect(&scene, "");
    faults_count_reset();
    assert_int_equal(websocket_set_nodelay(scene.socket, true), 0);
    assert_int_equal(faults_count("setsockopt"), 1);
    socketscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(sockets_are_connections_of_the_server),
    cmocka_unit_test(a_server_that_closes_says_so_to_its_sockets_and_waits),
    cmocka_unit_test(a_server_that_closes_does_not_wait_for_longer_than_it_may),
    cmocka_unit_test(a_server_that_is_closed_meanwhile_dismisses_the_new_socket),
    cmocka_unit_test(no_socket_begins_on_a_connection_that_ended_meanwhile),
    cmocka_unit_test(no_socket_begins_on_a_server_that_closes),
    cmocka_unit_test(a_request_that_becomes_no_socket_is_told_of_its_end),
    cmocka_unit_test(a_client_that_leaves_before_open_is_told_of_behind_the_pause),
    cmocka_unit_test(a_pause_may_outlive_the_loop),
    cmocka_unit_test(a_request_that_becomes_a_socket_ends_with_that),
    cmocka_unit_test(a_loop_that_closes_ends_its_sockets),
    cmocka_unit_test(a_handshake_is_logged_as_switching_protocols),
    cmocka_unit_test(behind_a_proxy_the_address_is_what_it_says),
    cmocka_unit_test(nodelay_can_be_set_in_open),
};

TESTING_MAIN(tests)
