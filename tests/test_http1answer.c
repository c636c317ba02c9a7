#include "httpserver/http1connection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/httpscene.h"
#include "tests/support/httptexts.h"
#include "tests/support/testing.h"

#define STATUS(line)  "HTTP/1.1 " line "\r\nServer: ioloop\r\nDate: 0000000000000000000000000 GMT\r\n"
#define CLOSE         "Connection: close\r\n"
#define IN_CHUNKS     "Transfer-Encoding: chunked\r\n"
#define LENGTH(bytes) "Content-Length: " bytes "\r\n"
#define OOPS          STATUS("500 Internal Server Error") "Content-Type: text/plain\r\n" LENGTH("27")
#define OOPS_BODY     "\r\n500: Internal Server Error\n"
#define SECOND        STATUS("200 OK") LENGTH("1") "\r\n2"

enum { STEPS = 4, WHOLE = 1 };

/* What the program does, and what is on the wire then. */
struct exchange {
    const char *request; /* NULL: GET("/") */
    int how;             /* WHOLE: by one call, with pieces[0] */
    int status;          /* 0: 200 */
    const char *reason;
    const char *headers[3][2];
    const char *pieces[STEPS]; /* the first with the head, "" for an empty write; NULL: no more */
    int results[STEPS + 1];    /* what each call answers, and finish behind them */
    const char *sent;          /* with SECOND, if another request was served behind it */
};

static const struct exchange *exchange_now;

static const char *request_of(const struct exchange *exchange)
{
    return exchange->request != NULL ? exchange->request : GET("/");
}

static int send_piece(const struct exchange *exchange, struct httprequest *request, int index,
                      const struct httpheaders *headers)
{
    const char *piece = exchange->pieces[index];
    size_t length = piece != NULL ? strlen(piece) : 0;
    int status = exchange->status != 0 ? exchange->status : 200;

    if (exchange->how == WHOLE)
        return httprequest_answer(request, status, exchange->reason, headers, piece, length);
    if (index > 0)
        return httprequest_write(request, piece, length, NULL, NULL);
    return httprequest_write_head(request, status, exchange->reason, headers, piece, length, NULL, NULL);
}

static void act(struct httprequest *request)
{
    const struct exchange *exchange = exchange_now;
    struct httpheaders headers = { 0 };
    int i = 0;

    for (int k = 0; k < 3 && exchange->headers[k][0] != NULL; k++)
        assert_int_equal(httpheaders_add(&headers, exchange->headers[k][0], exchange->headers[k][1]), 0);
    do {
        assert_int_equal(send_piece(exchange, request, i, &headers), exchange->results[i]);
        i++;
    } while (i < STEPS && exchange->pieces[i] != NULL);
    httpheaders_free(&headers);
    if (exchange->how == WHOLE)
        return;
    assert_int_equal(httprequest_head_sent(request), exchange->results[0] != -EINVAL);
    assert_int_equal(httprequest_finish(request), exchange->results[i]);
}

static void act_or_wait(struct httpscene *scene, struct httprequest *request)
{
    if (httprequest_path_is(request, "/2"))
        assert_int_equal(httprequest_answer(request, 200, NULL, NULL, "2", 1), 0);
    else if (scene->waiting_count < 0)
        act(request);
    else
        httpscene_wait(scene, request);
}

/* In the callback, where answers are collected, and later, where each is sent by itself. */
static void check_exchange(struct httpscene *scene, const struct exchange *exchange, bool later)
{
    struct httpscene_client *client = httpscene_connect_unix(scene);
    size_t length;

    exchange_now = exchange;
    scene->waiting_count = later ? 0 : -1;
    httpscene_put(scene, client, request_of(exchange));
    httpscene_put(scene, client, GET("/2"));
    httpscene_settle(scene);
    if (later) {
        assert_int_equal(scene->waiting_count, 1);
        act(scene->waiting[0]);
        httpscene_settle(scene);
    }
    scene->waiting_count = 0;
    httpscene_finish(client);
    char *transcript = httpscene_transcript(scene, client, &length);
    if (strlen(exchange->sent) != length || memcmp(transcript, exchange->sent, length) != 0)
        fail_msg("%s gave:\n%s\ninstead of:\n%s", request_of(exchange), transcript, exchange->sent);
    free(transcript);
    httpscene_hang_up(client);
}

static void check_exchanges(const struct exchange *exchanges, size_t count)
{
    struct httpscene scene;

    httpscene_open(&scene, NULL);
    scene.on_request = act_or_wait;
    for (size_t i = 0; i < count; i++) {
        check_exchange(&scene, &exchanges[i], false);
        check_exchange(&scene, &exchanges[i], true);
    }
    assert_int_equal(scene.left, 0);
    httpscene_close(&scene);
}

#define CHECK(exchanges) check_exchanges(exchanges, sizeof exchanges / sizeof *exchanges)

static void an_answer_by_and_by_is_framed_as_its_client_understands(void **state)
{
    static const struct exchange exchanges[] = {
        /* Of a known length. */
        { .headers = { { "content-length", "5" } },
          .pieces = { "ab", "", "cde" },
          .sent = STATUS("200 OK") "content-length: 5\r\n\r\nabcde" SECOND },
        { .headers = { { "Content-Length", "0" } }, .sent = STATUS("200 OK") LENGTH("0") "\r\n" SECOND },
        { .request = KEPT_GET("/"),
          .headers = { { "Content-Length", "2" } },
          .pieces = { "ab" },
          .sent = STATUS("200 OK") LENGTH("2") "Connection: keep-alive\r\n\r\nab" SECOND },
        { .request = OLD_GET("/"),
          .headers = { { "Content-Length", "2" } },
          .pieces = { "ab" },
          .sent = STATUS("200 OK") LENGTH("2") CLOSE "\r\nab" },
        { .request = LAST_GET("/"),
          .headers = { { "Content-Length", "2" } },
          .pieces = { "a", "b" },
          .sent = STATUS("200 OK") LENGTH("2") CLOSE "\r\nab" },
        /* Of an unknown one: chunks, none of which is empty (web_test:test_empty_flush); the last follows finish. */
        { .pieces = { "ab", "", "0123456789abcdef", "x" },
          .sent = STATUS("200 OK") IN_CHUNKS "\r\n2\r\nab\r\n10\r\n0123456789abcdef\r\n1\r\nx\r\n0\r\n\r\n" SECOND },
        { .status = 404, .sent = STATUS("404 Not Found") IN_CHUNKS "\r\n0\r\n\r\n" SECOND },
        { .request = LAST_GET("/"),
          .pieces = { "", "a" },
          .sent = STATUS("200 OK") IN_CHUNKS CLOSE "\r\n1\r\na\r\n0\r\n\r\n" },
        /* Who does not know chunks reads until the end. */
        { .request = KEPT_GET("/"), .pieces = { "ab", "", "c" }, .sent = STATUS("200 OK") CLOSE "\r\nabc" },
        { .request = OLD_GET("/"), .sent = STATUS("200 OK") CLOSE "\r\n" },
        /* httpserver_test:test_keepalive_chunked_head_no_body */
        { .request = HEAD("/"), .pieces = { "ab", "c" }, .sent = STATUS("200 OK") "\r\n" SECOND },
        { .request = HEAD("/"),
          .headers = { { "Content-Length", "5" } },
          .pieces = { "ab", "too many" },
          .sent = STATUS("200 OK") LENGTH("5") "\r\n" SECOND },
        { .request = "HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
          .pieces = { "ab" },
          .sent = STATUS("200 OK") "Connection: keep-alive\r\n\r\n" SECOND },
        /* Those without a body; web_test:test_204_headers and web_test:test_304_headers, as far as framing goes */
        { .status = 204, .pieces = { "ab", "c" }, .sent = STATUS("204 No Content") "\r\n" SECOND },
        { .status = 205, .pieces = { "ab", "c" }, .sent = STATUS("205 Reset Content") LENGTH("0") "\r\n" SECOND },
        { .status = 304, .pieces = { "ab", "c" }, .sent = STATUS("304 Not Modified") "\r\n" SECOND },
        { .status = 304,
          .headers = { { "Content-Length", "5" } },
          .pieces = { "ab" },
          .sent = STATUS("304 Not Modified") LENGTH("5") "\r\n" SECOND },
        { .status = 205,
          .headers = { { "Content-Length", "0" } },
          .pieces = { "ab" },
          .sent = STATUS("205 Reset Content") LENGTH("0") "\r\n" SECOND },
        { .request = KEPT_GET("/"),
          .status = 204,
          .sent = STATUS("204 No Content") "Connection: keep-alive\r\n\r\n" SECOND },
    };

    CHECK(exchanges);
}

static void a_whole_answer_has_its_length(void **state)
{
    static const struct exchange exchanges[] = {
        { .how = WHOLE,
          .headers = { { "X", "y" } },
          .pieces = { "abc" },
          .sent = STATUS("200 OK") "X: y\r\n" LENGTH("3") "\r\nabc" SECOND },
        { .how = WHOLE,
          .headers = { { "Content-Length", "3" } },
          .pieces = { "abc" },
          .sent = STATUS("200 OK") LENGTH("3") "\r\nabc" SECOND },
        { .request = OLD_GET("/"),
          .how = WHOLE,
          .pieces = { "abcdefghij" },
          .sent = STATUS("200 OK") LENGTH("10") CLOSE "\r\nabcdefghij" },
        { .request = HEAD("/"), .how = WHOLE, .pieces = { "abc" }, .sent = STATUS("200 OK") LENGTH("3") "\r\n" SECOND },
        { .request = HEAD("/"),
          .how = WHOLE,
          .headers = { { "Content-Length", "99" } },
          .sent = STATUS("200 OK") LENGTH("99") "\r\n" SECOND },
        { .how = WHOLE,
          .status = 304,
          .headers = { { "Content-Length", "99" } },
          .sent = STATUS("304 Not Modified") LENGTH("99") "\r\n" SECOND },
        { .how = WHOLE, .status = 204, .pieces = { "abc" }, .sent = STATUS("204 No Content") "\r\n" SECOND },
        { .how = WHOLE,
          .status = 205,
          .pieces = { "abc" },
          .sent = STATUS("205 Reset Content") LENGTH("0") "\r\n" SECOND },
    };

    CHECK(exchanges);
}

/* The program's headers go where they do not contradict the framing. */
static void some_headers_of_the_servers_may_be_the_programs(void **state)
{
    static const struct exchange exchanges[] = {
        { .how = WHOLE,
          .headers = { { "date", "today" } },
          .sent = "HTTP/1.1 200 OK\r\nServer: ioloop\r\ndate: today\r\n" LENGTH("0") "\r\n" SECOND },
        { .how = WHOLE,
          .headers = { { "SERVER", "x" } },
          .sent = "HTTP/1.1 200 OK\r\nDate: 0000000000000000000000000 GMT\r\nSERVER: x\r\n" LENGTH("0") "\r\n" SECOND },
        { .how = WHOLE,
          .status = 404,
          .headers = { { "Server", "x" }, { "DATE", "y" } },
          .sent = "HTTP/1.1 404 Not Found\r\nServer: x\r\nDATE: y\r\n" LENGTH("0") "\r\n" SECOND },
        { .how = WHOLE,
          .reason = "Fine",
          .headers = { { "Dat", "1" }, { "Servers", "2" }, { "Dates", "3" } },
          .sent = STATUS("200 Fine") "Dat: 1\r\nServers: 2\r\nDates: 3\r\n" LENGTH("0") "\r\n" SECOND },
        { .how = WHOLE,
          .headers = { { "connection", "Close" } },
          .sent = STATUS("200 OK") "connection: Close\r\n" LENGTH("0") "\r\n" },
        { .headers = { { "Connection", "close" } },
          .pieces = { "a" },
          .sent = STATUS("200 OK") "Connection: close\r\n" IN_CHUNKS "\r\n1\r\na\r\n0\r\n\r\n" },
        { .request = OLD_GET("/"),
          .how = WHOLE,
          .headers = { { "Connection", "close" } },
          .sent = STATUS("200 OK") "Connection: close\r\n" LENGTH("0") "\r\n" },
        { .how = WHOLE,
          .headers = { { "Content-Type", "a/b" }, { "Content-Lengths", "9" }, { "Transfer-Encodings", "x" } },
          .sent = STATUS("200 OK") "Content-Type: a/b\r\nContent-Lengths: 9\r\nTransfer-Encodings: x\r\n" LENGTH(
              "0") "\r\n" SECOND },
        { .how = WHOLE,
          .status = 426,
          .headers = { { "Upgrade", "x" } },
          .sent = STATUS("426 Upgrade Required") "Upgrade: x\r\n" LENGTH("0") "Connection: Upgrade\r\n\r\n" SECOND },
        { .request = OLD_GET("/"),
          .status = 426,
          .headers = { { "Upgrade", "x" } },
          .pieces = { "a" },
          .sent = STATUS("426 Upgrade Required") "Upgrade: x\r\n" CLOSE "Connection: Upgrade\r\n\r\na" },
        { .how = WHOLE, .reason = "So so", .sent = STATUS("200 So so") LENGTH("0") "\r\n" SECOND },
        { .how = WHOLE, .status = 299, .reason = "", .sent = STATUS("299 ") LENGTH("0") "\r\n" SECOND },
    };

    CHECK(exchanges);
}

/* httpserver_test:test_invalid_output_content_length among them. Nothing of it is sent, but a 500 when the request
 * ends. */
static void what_cannot_be_sent_is_refused_and_becomes_a_500(void **state)
{
    static const struct {
        int status;
        const char *reason, *name, *value;
    } bad[] = {
        { 199, NULL, NULL, NULL },
        { 1000, NULL, NULL, NULL },
        { 101, NULL, NULL, NULL },
        { -1, NULL, NULL, NULL },
        { 200, "x\r\nX: y", NULL, NULL },
        { 200, "long enough for words\n", NULL, NULL },
        { 200, "long enough \x7f for words", NULL, NULL },
        { 404, "\x01", NULL, NULL },
        { 200, NULL, "Content-Length", "foo" },
        { 200, NULL, "Content-Length", "" },
        { 200, NULL, "Content-Length", "-1" },
        { 200, NULL, "Content-Length", "+1" },
        { 200, NULL, "Content-Length", "0x1" },
        { 200, NULL, "Content-Length", "1, 1" },
        { 200, NULL, "Content-Length", "00" },
        { 200, NULL, "Content-Length", "02" },
        { 200, NULL, "Content-Length", "9223372036854775808" },
        { 200, NULL, "Content-Length", "18446744073709551616" },
        { 200, NULL, "Content-Length", "00000000000000000001" },
        { 204, NULL, "Content-Length", "0" },
        { 204, NULL, "Content-Length", "1" },
        { 205, NULL, "Content-Length", "1" },
        { 200, NULL, "Transfer-Encoding", "chunked" },
        { 200, NULL, "TRANSFER-ENCODING", "identity" },
        { 304, NULL, "Transfer-Encoding", "x" },
        { 200, NULL, "Connection", "keep-alive" },
        { 200, NULL, "Connection", "close, x" },
        { 200, NULL, "Connection", "upgrade" },
        { 200, NULL, "connection", "" },
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct exchange exchange = { .how = WHOLE,
                                     .status = bad[i].status,
                                     .reason = bad[i].reason,
                                     .headers = { { bad[i].name, bad[i].value } },
                                     .results = { -EINVAL, -EINVAL },
                                     .sent = OOPS OOPS_BODY SECOND };

        check_exchanges(&exchange, 1);
        exchange.how = 0;
        check_exchanges(&exchange, 1);
        exchange.request = HEAD("/");
        exchange.sent = OOPS "\r\n" SECOND;
        check_exchanges(&exchange, 1);
        exchange.request = OLD_GET("/");
        exchange.sent = OOPS CLOSE OOPS_BODY;
        check_exchanges(&exchange, 1);
    }
}

static void a_length_that_is_not_true_is_refused_or_the_connection_closed(void **state)
{
    static const struct exchange exchanges[] = {
        { .how = WHOLE,
          .headers = { { "Content-Length", "2" } },
          .pieces = { "abc" },
          .results = { -EINVAL },
          .sent = OOPS OOPS_BODY SECOND },
        { .how = WHOLE,
          .headers = { { "Content-Length", "4" } },
          .pieces = { "abc" },
          .results = { -EINVAL },
          .sent = OOPS OOPS_BODY SECOND },
        { .how = WHOLE,
          .headers = { { "Content-Length", "3" }, { "Content-Length", "3" } },
          .pieces = { "abc" },
          .results = { -EINVAL },
          .sent = OOPS OOPS_BODY SECOND },
        /* The head may have gone already: too much, web_test:test_content_length_too_low */
        { .headers = { { "Content-Length", "5" } },
          .pieces = { "abcdef" },
          .results = { -EMSGSIZE, -EBADF },
          .sent = "" },
        { .headers = { { "Content-Length", "5" } },
          .pieces = { "ab", "cdef" },
          .results = { 0, -EMSGSIZE, -EBADF },
          .sent = STATUS("200 OK") LENGTH("5") "\r\nab" },
        { .headers = { { "Content-Length", "2" } },
          .pieces = { "ab", "c", "d" },
          .results = { 0, -EMSGSIZE, -EBADF, -EBADF },
          .sent = STATUS("200 OK") LENGTH("2") "\r\nab" },
        /* too little, web_test:test_content_length_too_high */
        { .headers = { { "Content-Length", "5" } },
          .pieces = { "ab", "cd" },
          .results = { 0, 0, -EMSGSIZE },
          .sent = STATUS("200 OK") LENGTH("5") "\r\nabcd" },
        { .headers = { { "Content-Length", "9223372036854775807" } },
          .results = { 0, -EMSGSIZE },
          .sent = STATUS("200 OK") LENGTH("9223372036854775807") "\r\n" },
    };

    CHECK(exchanges);
}

static void break_off(struct httpscene *scene, struct httprequest *request)
{
    struct httpheaders headers = { 0 };

    assert_int_equal(httpheaders_add(&headers, "Content-Length", "5"), 0);
    assert_int_equal(httprequest_write_head(request, 200, NULL, &headers, "ab", 2, NULL, NULL), 0);
    assert_int_equal(httprequest_finish(request), -EMSGSIZE);
    httpheaders_free(&headers);
}

static void an_answer_broken_off_is_an_error_in_the_log(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);
    size_t length;

    scene.on_request = break_off;
    httpscene_put(&scene, client, GET("/"));
    free(httpscene_transcript(&scene, client, &length));
    assert_int_equal(testing_logs("E an answer is broken off"), 1);
    assert_int_equal(testing_logs(NULL), 1);
    assert_int_equal(scene.logged, 1);
    httpscene_close(&scene);
}

/* Wrong order. */

static void do_all_wrong(struct httpscene *scene, struct httprequest *request)
{
    assert_false(httprequest_head_sent(request));
    assert_int_equal(httprequest_write(request, "x", 1, NULL, NULL), -EINVAL);
    assert_int_equal(httprequest_write_file(request, 0, 0, 1, NULL, NULL), -EINVAL);
    if (scene->requests == 1) {
        assert_int_equal(httprequest_finish(request), -EINVAL);
        return;
    }
    assert_int_equal(httprequest_write_head(request, 200, NULL, NULL, "a", 1, NULL, NULL), 0);
    assert_true(httprequest_head_sent(request));
    assert_int_equal(httprequest_write_head(request, 404, NULL, NULL, "b", 1, NULL, NULL), -EALREADY);
    assert_int_equal(httprequest_reply(request, 404, NULL, "b", 1), -EALREADY);
    assert_int_equal(httprequest_reply(request, 200, NULL, "b", 1), -EALREADY);
    errno = 0;
    assert_null(httprequest_detach(request));
    assert_int_equal(errno, EALREADY);
    assert_int_equal(httprequest_write(request, "c", 1, NULL, NULL), 0);
    assert_int_equal(httprequest_finish(request), 0);
}

static void calls_out_of_order_are_refused(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    scene.on_request = do_all_wrong;
    httpscene_put(&scene, client, GET("/1") GET("/2"));
    httpscene_expect(&scene, client, 500, "500: Internal Server Error\n");
    httpscene_expect(&scene, client, 200, "ac");
    assert_int_equal(scene.last_status, 200);
    httpscene_close(&scene);
}

/* Sizes around those where a head or body takes another way. */

static size_t header_size, body_size;

static void answer_in_size(struct httpscene *scene, struct httprequest *request)
{
    struct httpheaders headers = { 0 };
    char *value = malloc(header_size + 1), *body = malloc(body_size + 1);

    filled(value, header_size);
    filled(body, body_size);
    assert_int_equal(httpheaders_add(&headers, "X", value), 0);
    if (scene->requests % 2 == 0) {
        assert_int_equal(httprequest_answer(request, 200, NULL, &headers, body, body_size), 0);
    } else {
        assert_int_equal(httprequest_write_head(request, 200, NULL, &headers, body, body_size, NULL, NULL), 0);
        assert_int_equal(httprequest_finish(request), 0);
    }
    httpheaders_free(&headers);
    free(value);
    free(body);
}

static void check_size(struct httpscene *scene, struct httpscene_client *client)
{
    char wanted[400];

    for (int i = 0; i < 2; i++) {
        httpscene_put(scene, client, GET("/"));
        struct httpscene_answer answer = httpscene_next(scene, client, false);
        assert_int_equal(answer.length, body_size);
        assert_int_equal(answer.chunks, i == 0 ? body_size > 0 : -1);
        snprintf(wanted, sizeof wanted, "\r\nX: %.300s",
                 filled((char[301]){ 0 }, header_size < 300 ? header_size : 300));
        assert_non_null(strstr(answer.head, wanted));
    }
}

static void heads_and_bodies_may_have_any_size(void **state)
{
    static const size_t bodies[] = { 0, 1, 9, 10, 99, 100, 4095, 4096, 4097, 65535, 65536, 65537, 300000 };
    struct httpscene scene;
    struct httpscene_client *client = begin_unix(&scene, NULL);

    scene.on_request = answer_in_size;
    body_size = 3;
    for (header_size = 640; header_size < 800; header_size++)
        check_size(&scene, client);
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        body_size = bodies[i];
        for (size_t k = 0; k < 3; k++) {
            header_size = k * 400;
            check_size(&scene, client);
        }
    }
    httpscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_answer_by_and_by_is_framed_as_its_client_understands),
    cmocka_unit_test(a_whole_answer_has_its_length),
    cmocka_unit_test(some_headers_of_the_servers_may_be_the_programs),
    cmocka_unit_test(what_cannot_be_sent_is_refused_and_becomes_a_500),
    cmocka_unit_test(a_length_that_is_not_true_is_refused_or_the_connection_closed),
    cmocka_unit_test(an_answer_broken_off_is_an_error_in_the_log),
    cmocka_unit_test(calls_out_of_order_are_refused),
    cmocka_unit_test(heads_and_bodies_may_have_any_size),
};

TESTING_MAIN(tests)
