#include "websocket/websocket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/faults.h"
#include "tests/support/socketscene.h"
#include "tests/support/testing.h"

static const struct websocket_handler echo = { .on_message = socketscene_echo };

/* websocket_test:test_websocket_gen */
static void messages_are_echoed_and_the_end_is_told(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client = socketscene_begin(&scene, &echo);

    socketscene_put(&scene, client, SOCKETSCENE_TEXT, "hello");
    socketscene_expect(&scene, client, SOCKETSCENE_TEXT, "hello");
    socketscene_leave(&scene, client);
    webscene_expect_notes("open close:1000::0 ");
    socketscene_close(&scene);
}

/* What is no handshake. */

#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define KEY     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

/* websocket_test:test_http_request, websocket_test:test_missing_websocket_key,
 * websocket_test:test_bad_websocket_version */
static void what_is_no_handshake_is_refused(void **state)
{
    static const struct {
        const char *request, *headers;
        int status;
    } rows[] = {
        { "GET /ws", "", 400 },
        { "GET /ws", UPGRADE VERSION, 400 },
        { "GET /ws", UPGRADE VERSION "Sec-WebSocket-Key: \r\n", 400 },
        { "GET /ws", UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n", 400 },
        { "GET /ws", UPGRADE VERSION "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA\r\n", 400 }, /* 15 bytes */
        { "GET /ws", UPGRADE VERSION KEY KEY, 400 },
        { "GET /ws", UPGRADE KEY, 400 },
        { "GET /ws", UPGRADE KEY "Sec-WebSocket-Version: 12\r\n", 426 },
        { "GET /ws", UPGRADE KEY "Sec-WebSocket-Version: 8\r\n", 426 },
        { "GET /ws", VERSION KEY, 400 },
        { "GET /ws", VERSION KEY "Upgrade: h2c\r\nConnection: Upgrade\r\n", 400 },
        { "GET /ws", VERSION KEY "Upgrade: websocket\r\nConnection: keep-alive\r\n", 400 },
        { "GET /ws", VERSION KEY "Upgrade: websocket\r\n", 400 },
        { "GET /ws", VERSION KEY "Connection: Upgrade\r\n", 400 },
        { "GET /ws", UPGRADE VERSION KEY "Sec-WebSocket-Protocol: a b\r\n", 400 },
        { "GET /ws", UPGRADE VERSION KEY "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: a\r\n", 400 },
        { "POST /ws", UPGRADE VERSION KEY, 405 },
        { "HEAD /ws", UPGRADE VERSION KEY, 405 },
        { "GET /wt", UPGRADE VERSION KEY, 404 },
    };
    struct socketscene scene;

    socketscene_open(&scene, &echo);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        webscene_expect(&scene.web, rows[i].request, rows[i].headers, NULL, rows[i].status, NULL);
        webscene_expect_header(&scene.web, "Sec-WebSocket-Version", rows[i].status == 426 ? "13" : NULL);
        webscene_expect_header(&scene.web, "Upgrade", rows[i].status == 426 ? "websocket" : NULL);
    }
    webscene_expect(&scene.web, "GET /ws", UPGRADE VERSION KEY, "body", 400, "a handshake has no body\n");
    webscene_expect_header(&scene.web, "Content-Type", "text/plain; charset=UTF-8");
    webscene_expect_notes("");
    socketscene_close(&scene);
}

static void a_request_of_http_1_0_is_no_handshake(void **state)
{
    struct socketscene scene;

    socketscene_open(&scene, &echo);
    struct httpscene_client *client = httpscene_connect(&scene.web.http);
    httpscene_put(&scene.web.http, client, "GET /ws HTTP/1.0\r\n" SOCKETSCENE_HANDSHAKE "\r\n");
    assert_int_equal(httpscene_next(&scene.web.http, client, false).status, 400);
    socketscene_close(&scene);
}

static void what_was_refused_may_be_asked_again_on_the_same_connection(void **state)
{
    struct socketscene scene;
    char head[1024];

    socketscene_open(&scene, &echo);
    struct httpscene_client *client = httpscene_connect(&scene.web.http);
    httpscene_put(&scene.web.http, client, "GET /ws HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(httpscene_next(&scene.web.http, client, false).status, 400);
    socketscene_shake_hands(&scene, client, "GET /ws", "", head);
    assert_memory_equal(head, "HTTP/1.1 101 ", 13);
    socketscene_leave(&scene, client);
    socketscene_close(&scene);
}

/* The frames behind it. */

static void frames_may_come_in_the_same_segment_as_the_handshake(void **state)
{
    const char *text = "GET /ws HTTP/1.1\r\n" SOCKETSCENE_HANDSHAKE "\r\n";
    struct socketscene scene;

    socketscene_open(&scene, &echo);
    for (size_t extra = 0; extra <= 40; extra++) { /* of the frames, with the handshake */
        struct httpscene_client *client = httpscene_connect(&scene.web.http);
        struct wsframes all = { .is_masked = true };
        char head[64];

        wsframes_add_raw(&all, text, strlen(text));
        wsframes_add_text(&all, "one");
        wsframes_add(&all, SOCKETSCENE_BINARY, "two", 3);
        wsframes_add(&all, SOCKETSCENE_PING, "three", 5);
        size_t first = strlen(text) + extra < all.length ? strlen(text) + extra : all.length;
        httpscene_put_bytes(&scene.web.http, client, all.bytes, first);
        httpscene_settle(&scene.web.http);
        httpscene_put_bytes(&scene.web.http, client, all.bytes + first, all.length - first);
        while (client->length == 0 || strstr(client->bytes, "\r\n\r\n") == NULL) {
            ioloop_run_once(scene.web.http.loop, 0.01);
            httpscene_take(client, SIZE_MAX);
        }
        snprintf(head, sizeof head, "%.33s", client->bytes);
        assert_string_equal(head, "HTTP/1.1 101 Switching Protocols\r");
        size_t size = (size_t)(strstr(client->bytes, "\r\n\r\n") - client->bytes) + 4;
        client->length -= size;
        memmove(client->bytes, client->bytes + size, client->length + 1);
        socketscene_expect(&scene, client, SOCKETSCENE_TEXT, "one");
        socketscene_expect(&scene, client, SOCKETSCENE_BINARY, "two");
        socketscene_expect(&scene, client, SOCKETSCENE_PONG, "three");
        wsframes_free(&all);
        socketscene_leave(&scene, client);
    }
    assert_int_equal(scene.opened, 41);
    assert_int_equal(scene.closed, 41);
    webscene_note("");
    socketscene_close(&scene);
}

static void the_answer_and_the_echoes_leave_in_one_call(void **state)
{
    struct wsframes all = { .is_masked = true };
    struct socketscene scene;
    const char *text = "GET /ws HTTP/1.1\r\n" SOCKETSCENE_HANDSHAKE "\r\n";

    socketscene_open(&scene, &echo);
    struct httpscene_client *client = httpscene_connect(&scene.web.http);
    wsframes_add_raw(&all, text, strlen(text));
    for (int i = 0; i < 10; i++)
        wsframes_add_text(&all, "message");
    faults_count_reset();
    httpscene_put_bytes(&scene.web.http, client, all.bytes, all.length);
    httpscene_settle(&scene.web.http);
    assert_int_equal(faults_count("send") + faults_count("sendmsg"), 1);
    httpscene_take(client, SIZE_MAX);
    assert_true(client->length > 10 * 9 + 100);
    wsframes_free(&all);
    socketscene_close(&scene);
}

/* Origin. */

static void expect_origin(struct socketscene *scene, const char *headers, int status)
{
    struct httpscene_client *client = httpscene_connect(&scene->web.http);
    char head[1024];

    socketscene_shake_hands(scene, client, "GET /ws", headers, head);
    if (atoi(head + 9) != status)
        fail_msg("%s: %s", headers, head);
    httpscene_hang_up(client);
    httpscene_settle(&scene->web.http);
}

/* websocket_test:test_check_origin_valid_no_path, websocket_test:test_check_origin_valid_with_path,
 * websocket_test:test_check_origin_invalid_partial_url, websocket_test:test_check_origin_invalid,
 * websocket_test:test_check_origin_invalid_subdomains */
static void only_pages_of_the_same_host_are_let_in(void **state)
{
    static const struct {
        const char *headers;
        int status;
    } rows[] = {
        { "", 101 },
        { "Origin: http://example.org\r\n", 101 },
        { "Origin: http://EXAMPLE.org\r\n", 101 },
        { "Origin: http://example.org/something\r\n", 101 },
        { "Origin: http://example.org:80\r\n", 101 },
        { "Origin: example.org\r\n", 403 },
        { "Origin: http://somewhereelse.com\r\n", 403 },
        { "Origin: http://subtenant.example.org\r\n", 403 },
        { "Origin: http://example.org:8080\r\n", 403 },
        { "Origin: http://example.org.evil\r\n", 403 },
        { "Origin: null\r\n", 403 },
        { "Origin: \r\n", 403 },
        { "Origin: http://example.org\r\nOrigin: http://example.org\r\n", 403 },
        { "Sec-WebSocket-Origin: http://evil\r\n", 403 },
        { "Sec-WebSocket-Origin: http://example.org\r\n", 101 },
    };
    struct socketscene scene;

    socketscene_open(&scene, &echo);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_origin(&scene, rows[i].headers, rows[i].status);
    socketscene_close(&scene);
}

/* Who has come over plain http can be anybody. */
static void a_page_of_http_is_not_one_of_https(void **state)
{
    static const struct {
        const char *headers;
        int status;
    } rows[] = {
        { "X-Scheme: https\r\nOrigin: https://example.org\r\n", 101 },
        { "X-Scheme: https\r\nOrigin: WSS://example.org\r\n", 101 },
        { "X-Scheme: https\r\nOrigin: http://example.org\r\n", 403 },
        { "X-Scheme: https\r\nOrigin: ws://example.org\r\n", 403 },
        { "X-Scheme: https\r\nOrigin: w\r\n", 403 },
        { "X-Scheme: https\r\n", 101 },
        { "X-Scheme: http\r\nOrigin: http://example.org\r\n", 101 },
        { "X-Scheme: http\r\nOrigin: https://example.org\r\n", 101 },
    };
    struct socketscene scene;

    socketscene_open_with(&scene, &(struct websocket_handler){ .on_message = socketscene_echo },
                          &(struct web_settings){ .server.xheaders = true });
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_origin(&scene, rows[i].headers, rows[i].status);
    socketscene_close(&scene);
}

static bool check_evil(struct web_request *request, const char *origin)
{
    webscene_note("asked");
    assert_string_equal(web_get_cookie(request, "a", ""), "b");
    return strcmp(origin, "http://evil") == 0;
}

static const char *choose_none(struct web_request *request, const char *const *names, size_t count)
{
    webscene_note("asked for a subprotocol");
    return NULL;
}

static bool answer_evil(struct web_request *request, const char *origin)
{
    web_send_error(request, 410);
    return true;
}

static void a_program_may_let_in_whom_it_likes(void **state)
{
    struct socketscene scene;

    socketscene_open(&scene, &(struct websocket_handler){ .check_origin = check_evil });
    expect_origin(&scene, "Cookie: a=b\r\nOrigin: http://evil\r\n", 101);
    expect_origin(&scene, "Cookie: a=b\r\nOrigin: http://example.org\r\n", 403);
    expect_origin(&scene, "Cookie: a=b\r\n", 101);
    webscene_expect_notes("asked open close:1006::ESHUTDOWN asked open close:1006::ESHUTDOWN ");
    socketscene_close(&scene);
    socketscene_open(&scene,
                     &(struct websocket_handler){ .check_origin = answer_evil, .select_subprotocol = choose_none });
    expect_origin(&scene, "Origin: http://evil\r\n", 410);
    webscene_expect_notes("");
    socketscene_close(&scene);
}

/* Subprotocols. */

static const char *chosen;

static const char *choose(struct web_request *request, const char *const *names, size_t count)
{
    char word[100] = "";

    for (size_t i = 0; i < count; i++)
        strcat(strcat(word, names[i]), ",");
    webscene_note(word);
    if (chosen != NULL && strcmp(chosen, "refuse") == 0)
        web_send_error(request, 402);
    return chosen != NULL && chosen[0] == '0' ? names[0] : chosen;
}

static void note_subprotocol(struct websocket *socket, struct web_request *request)
{
    webscene_note(websocket_subprotocol(socket) != NULL ? websocket_subprotocol(socket) : "none");
}

/* websocket_test:test_subprotocols, websocket_test:test_subprotocols_not_offered */
static void the_program_chooses_one_of_the_subprotocols(void **state)
{
    static const struct {
        const char *headers, *choice, *notes, *answer;
        int status;
    } rows[] = {
        { "", NULL, " open none close:1006::ESHUTDOWN ", NULL, 101 },
        { "Sec-WebSocket-Protocol: goodproto\r\n", NULL, "goodproto, open none close:1006::ESHUTDOWN ", NULL, 101 },
        { "Sec-WebSocket-Protocol: badproto, goodproto\r\n", "goodproto",
          "badproto,goodproto, open goodproto close:1006::ESHUTDOWN ", "goodproto", 101 },
        { "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b,c\r\n", "0", "a,b,c, open a close:1006::ESHUTDOWN ",
          "a", 101 },
        { "Sec-WebSocket-Protocol: a\r\n", "b", "a, ", NULL, 500 },
        { "", "b", " ", NULL, 500 },
        { "Sec-WebSocket-Protocol: a\r\n", "refuse", "a, ", NULL, 402 },
    };
    struct socketscene scene;

    socketscene_open(&scene, &(struct websocket_handler){ .select_subprotocol = choose, .open = note_subprotocol });
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct httpscene_client *client = httpscene_connect(&scene.web.http);
        char head[1024], line[100];

        chosen = rows[i].choice;
        socketscene_shake_hands(&scene, client, "GET /ws", rows[i].headers, head);
        assert_int_equal(atoi(head + 9), rows[i].status);
        snprintf(line, sizeof line, "\r\nSec-WebSocket-Protocol: %s\r\n", rows[i].answer);
        assert_int_equal(strstr(head, "Sec-WebSocket-Protocol") != NULL, rows[i].answer != NULL);
        if (rows[i].answer != NULL)
            assert_non_null(strstr(head, line));
        httpscene_hang_up(client);
        httpscene_settle(&scene.web.http);
        webscene_expect_notes(rows[i].notes);
    }
    socketscene_close(&scene);
}

/* What the request says, and what goes back. */

static void look_at_request(struct websocket *socket, struct web_request *request)
{
    const struct httprequest *http = web_http(request);

    webscene_note(web_path_argument(request, 0));
    webscene_note(web_get_argument(request, "q", "?"));
    webscene_note(web_get_cookie(request, "c", "?"));
    webscene_note(httprequest_header(http, "X-Test"));
    webscene_note(httprequest_remote_ip(http));
    webscene_note(websocket_remote_ip(socket));
    assert_null(web_get_argument(request, "missing", NULL)); /* which would be answered with 400 */
    assert_true(httprequest_left(http));
    assert_true(web_finished(request));
    assert_int_equal(web_write(request, "a"), -EPIPE);
    assert_int_equal(web_set_header(request, "a", "b"), -EPIPE);
    assert_int_equal(web_finish(request), -EPIPE);
    assert_null(web_detach(request));
}

/* websocket_test:test_path_args, websocket_test:test_websocket_headers */
static void the_request_can_be_read_in_open_but_not_answered(void **state)
{
    struct socketscene scene;
    char head[1024];

    socketscene_open(&scene, &(struct websocket_handler){ .open = look_at_request });
    struct httpscene_client *client = httpscene_connect(&scene.web.http);
    socketscene_shake_hands(&scene, client, "GET /ws/hello%20you?q=1", "Cookie: c=3\r\nX-Test: hi\r\n", head);
    assert_memory_equal(head, "HTTP/1.1 101 ", 13);
    webscene_expect_notes("open hello you 1 3 hi 127.0.0.1 127.0.0.1 ");
    socketscene_put(&scene, client, SOCKETSCENE_TEXT, "a");
    webscene_expect_notes("text:a ");
    socketscene_leave(&scene, client);
    webscene_expect_notes("close:1000::0 ");
    socketscene_close(&scene);
}

static void set_headers(struct web_request *request)
{
    web_set_header(request, "X-Default", "1");
    web_set_header(request, "Content-Type", "text/x");
}

static void prepare_headers(struct web_request *request)
{
    web_set_header(request, "X-Prepared", "2");
    web_add_header(request, "X-Prepared", "3");
    web_set_header(request, "Upgrade", "other");
    web_set_header(request, "Sec-WebSocket-Accept", "other");
    web_set_cookie(request, "cookie", "value", NULL);
}

/* websocket_test:test_websocket_header_echo */
static void headers_of_the_program_go_out_with_the_answer(void **state)
{
    static const char *const wanted[] = { "\r\nX-Default: 1\r\n",        "\r\nX-Prepared: 2\r\n",
                                          "\r\nX-Prepared: 3\r\n",       "\r\nSet-Cookie: cookie=value",
                                          "\r\nServer: ioloop\r\n",      "\r\nUpgrade: websocket\r\n",
                                          "\r\nConnection: Upgrade\r\n", "\r\nDate: " };
    struct socketscene scene;
    char head[1024];

    socketscene_open(&scene,
                     &(struct websocket_handler){ .set_default_headers = set_headers, .prepare = prepare_headers });
    struct httpscene_client *client = httpscene_connect(&scene.web.http);
    socketscene_shake_hands(&scene, client, "GET /ws", "", head);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        const char *found = strstr(head, wanted[i]);
        if (found == NULL || strstr(found + 1, wanted[i]) != NULL)
            fail_msg("%s: %s", wanted[i], head);
    }
    assert_null(strstr(head, "Content-"));
    assert_null(strstr(head, "other"));
    assert_null(strstr(head, "Etag"));
    socketscene_close(&scene);
}

static void set_server(struct web_request *request)
{
    web_set_header(request, "Server", "mine");
}

static void the_server_may_have_another_name(void **state)
{
    struct socketscene scene;
    char head[1024];

    socketscene_open(&scene, &(struct websocket_handler){ .set_default_headers = set_server });
    struct httpscene_client *client = httpscene_connect(&scene.web.http);
    socketscene_shake_hands(&scene, client, "GET /ws", "", head);
    assert_non_null(strstr(head, "\r\nServer: mine\r\n"));
    assert_null(strstr(head, "ioloop"));
    assert_non_null(strstr(head, "\r\nDate: "));
    socketscene_close(&scene);
}

/* Prepare. */

static struct web_request *prepared;

static void prepare_later(struct web_request *request)
{
    prepared = request;
    web_pause(request);
}

static void refuse_in_prepare(struct web_request *request)
{
    web_set_status(request, 401, NULL);
    web_finish(request);
}

/* websocket_test:test_async_prepare */
static void prepare_may_take_its_time(void **state)
{
    struct wsframes all = { .is_masked = true };
    struct socketscene scene;
    const char *text = "GET /ws HTTP/1.1\r\n" SOCKETSCENE_HANDSHAKE "\r\n";

    socketscene_open(&scene, &(struct websocket_handler){ .prepare = prepare_later, .on_message = socketscene_echo });
    struct httpscene_client *client = httpscene_connect(&scene.web.http);
    wsframes_add_raw(&all, text, strlen(text));
    wsframes_add_text(&all, "early");
    httpscene_put_bytes(&scene.web.http, client, all.bytes, all.length);
    httpscene_expect_nothing(&scene.web.http, client);
    web_resume(prepared);
    while (client->length == 0 || strstr(client->bytes, "early") == NULL) {
        ioloop_run_once(scene.web.http.loop, 0.01);
        httpscene_take(client, SIZE_MAX);
    }
    assert_memory_equal(client->bytes, "HTTP/1.1 101 ", 13);
    assert_string_equal(strstr(client->bytes, "\r\n\r\n") + 4, "\x81\x05"
                                                               "early");
    client->length = 0;
    socketscene_leave(&scene, client);
    wsframes_free(&all);
    socketscene_close(&scene);
}

static void a_client_may_leave_while_prepare_takes_its_time(void **state)
{
    struct socketscene scene;

    socketscene_open(&scene, &(struct websocket_handler){ .prepare = prepare_later });
    struct httpscene_client *client = httpscene_connect(&scene.web.http);
    httpscene_put(&scene.web.http, client, "GET /ws HTTP/1.1\r\n" SOCKETSCENE_HANDSHAKE "\r\n");
    httpscene_settle(&scene.web.http);
    httpscene_reset(client);
    httpscene_settle(&scene.web.http);
    web_resume(prepared);
    httpscene_settle(&scene.web.http);
    webscene_expect_notes("");
    socketscene_close(&scene);
}

static void what_prepare_answers_is_no_websocket(void **state)
{
    struct socketscene scene;

    socketscene_open(&scene, &(struct websocket_handler){ .prepare = refuse_in_prepare });
    webscene_expect(&scene.web, "GET /ws", UPGRADE VERSION KEY, NULL, 401, "");
    webscene_expect_notes("");
    socketscene_close(&scene);
}

/* open. */

static void greet(struct websocket *socket, struct web_request *request)
{
    assert_false(websocket_closing(socket));
    assert_int_equal(websocket_write_text(socket, "hello"), 0);
    assert_int_equal(websocket_ping(socket, "p", 1), 0);
}

static void messages_may_be_sent_in_open(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client = socketscene_begin(&scene, &(struct websocket_handler){ .open = greet });

    socketscene_expect(&scene, client, SOCKETSCENE_TEXT, "hello");
    socketscene_expect(&scene, client, SOCKETSCENE_PING, "p");
    socketscene_leave(&scene, client);
    socketscene_close(&scene);
}

static void wait_in_open(struct websocket *socket, struct web_request *request)
{
    websocket_pause(socket);
}

/* websocket_test:test_open_coroutine, websocket_test:test_error_in_async_open */
static void messages_wait_until_a_deferred_open_is_through(void **state)
{
    struct socketscene scene;

    for (int fails = 0; fails < 2; fails++) {
        struct httpscene_client *client =
            socketscene_begin(&scene, &(struct websocket_handler){ .open = wait_in_open });
        socketscene_put(&scene, client, SOCKETSCENE_TEXT, "hello");
        webscene_expect_notes("open ");
        if (fails)
            websocket_abort(scene.socket);
        else
            websocket_resume(scene.socket);
        httpscene_settle(&scene.web.http);
        webscene_expect_notes(fails ? "close:1006::0 " : "text:hello ");
        socketscene_close(&scene);
    }
}

static void fail_in_open(struct websocket *socket, struct web_request *request)
{
    ioloop_callback_failed(websocket_loop(socket), -EIO);
    websocket_abort(socket);
    assert_true(websocket_closing(socket));
    assert_int_equal(websocket_write_text(socket, "a"), -EBADF);
}

/* websocket_test:test_error_in_open */
static void an_error_in_open_ends_the_connection(void **state)
{
    struct socketscene scene;

    socketscene_open(&scene, &(struct websocket_handler){ .open = fail_in_open });
    struct httpscene_client *client = httpscene_connect(&scene.web.http);
    httpscene_put(&scene.web.http, client, "GET /ws HTTP/1.1\r\n" SOCKETSCENE_HANDSHAKE "\r\n");
    httpscene_settle(&scene.web.http);
    httpscene_take(client, SIZE_MAX);
    assert_true(client->ended);
    webscene_expect_notes("open close:1006::0 ");
    assert_int_equal(testing_logs("callback"), 1);
    socketscene_close(&scene);
}

static void close_in_open(struct websocket *socket, struct web_request *request)
{
    assert_int_equal(websocket_close(socket, 4000, "not you"), 0);
}

static void a_socket_may_be_closed_in_open(void **state)
{
    struct socketscene scene;
    struct httpscene_client *client = socketscene_begin(&scene, &(struct websocket_handler){ .open = close_in_open });

    socketscene_expect_close(&scene, client, 4000, "not you");
    socketscene_put(&scene, client, SOCKETSCENE_TEXT, "handed over");
    socketscene_put_close(&scene, client, 4000, "");
    httpscene_expect_end(&scene.web.http, client);
    httpscene_hang_up(client);
    httpscene_settle(&scene.web.http);
    webscene_expect_notes("open text:handed over close:4000::0 ");
    socketscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_page_of_http_is_not_one_of_https),
    cmocka_unit_test(messages_are_echoed_and_the_end_is_told),
    cmocka_unit_test(what_is_no_handshake_is_refused),
    cmocka_unit_test(a_request_of_http_1_0_is_no_handshake),
    cmocka_unit_test(what_was_refused_may_be_asked_again_on_the_same_connection),
    cmocka_unit_test(frames_may_come_in_the_same_segment_as_the_handshake),
    cmocka_unit_test(the_answer_and_the_echoes_leave_in_one_call),
    cmocka_unit_test(only_pages_of_the_same_host_are_let_in),
    cmocka_unit_test(a_program_may_let_in_whom_it_likes),
    cmocka_unit_test(the_program_chooses_one_of_the_subprotocols),
    cmocka_unit_test(the_request_can_be_read_in_open_but_not_answered),
    cmocka_unit_test(headers_of_the_program_go_out_with_the_answer),
    cmocka_unit_test(the_server_may_have_another_name),
    cmocka_unit_test(prepare_may_take_its_time),
    cmocka_unit_test(a_client_may_leave_while_prepare_takes_its_time),
    cmocka_unit_test(what_prepare_answers_is_no_websocket),
    cmocka_unit_test(messages_may_be_sent_in_open),
    cmocka_unit_test(messages_wait_until_a_deferred_open_is_through),
    cmocka_unit_test(an_error_in_open_ends_the_connection),
    cmocka_unit_test(a_socket_may_be_closed_in_open),
};

TESTING_MAIN(tests)
