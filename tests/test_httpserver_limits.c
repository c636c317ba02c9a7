#include "httpserver/httpserver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ioloop/iolog.h"
#include "tests/support/faults.h"
#include "tests/support/httpscene.h"
#include "tests/support/httptexts.h"
#include "tests/support/testing.h"

/* Requests of a connection. */

static void a_connection_ends_after_max_requests(void **state)
{
    for (uint32_t most = 1; most <= 3; most++) {
        struct httpscene scene;
        struct httpscene_client *client = begin(&scene, &(struct httpserver_options){ .max_requests = most });

        for (uint32_t i = 1; i < most; i++) {
            httpscene_put(&scene, client, GET("/1"));
            httpscene_expect(&scene, client, 200, "GET /1");
        }
        httpscene_put(&scene, client, GET("/last") GET("/not/served"));
        httpscene_expect_last(&scene, client, 200);
        assert_int_equal(scene.requests, most);
        httpscene_close(&scene);
    }
}

static void a_connection_ends_after_a_thousand_requests_by_itself(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    for (int i = 1; i < 1000; i++) {
        httpscene_put(&scene, client, GET("/1"));
        httpscene_expect(&scene, client, 200, "GET /1");
    }
    httpscene_put(&scene, client, GET("/last"));
    httpscene_expect_last(&scene, client, 200);
    httpscene_close(&scene);
}

static void without_keep_alive_each_request_has_its_connection(void **state)
{
    static const char *const texts[] = { GET("/"), KEPT_GET("/"), POST("3") "abc", CHUNKED "0\r\n\r\n" };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct httpscene scene;
        struct httpscene_client *client = begin(&scene, &(struct httpserver_options){ .no_keep_alive = true });

        httpscene_put(&scene, client, texts[i]);
        httpscene_put(&scene, client, GET("/not/served"));
        httpscene_expect_last(&scene, client, 200);
        assert_int_equal(scene.requests, 1);
        httpscene_close(&scene);
    }
}

static void check_age(double option, double age)
{
    struct httpscene scene;
    struct httpscene_client *client =
        begin(&scene, &(struct httpserver_options){ .max_age = option, .idle_timeout = 10000 });

    httpscene_settle(&scene);
    httpscene_pass(&scene, age - 0.1);
    client = httpscene_connect(&scene);
    httpscene_put(&scene, client, GET("/"));
    httpscene_expect(&scene, client, 200, "GET /");
    httpscene_pass(&scene, age - 0.1);
    httpscene_put(&scene, client, GET("/"));
    httpscene_expect(&scene, client, 200, "GET /");
    httpscene_pass(&scene, 0.1 + LATE);
    httpscene_put(&scene, client, GET("/"));
    httpscene_expect_last(&scene, client, 200);
    httpscene_close(&scene);
}

static void a_connection_ends_with_the_first_request_after_max_age(void **state)
{
    check_age(5, 5);
    check_age(0, 3600);
}

/* Heads. */

static char *long_text(const char *before, size_t count, const char *behind)
{
    char *text = malloc(strlen(before) + count + strlen(behind) + 1);

    assert_non_null(text);
    strcpy(text, before);
    memset(text + strlen(before), 'x', count);
    strcpy(text + strlen(before) + count, behind);
    return text;
}

/* At once, and byte by byte, which must make no difference. */
static void check_head(struct httpscene *scene, char *text, int status)
{
    for (int way = 0; way < 2; way++) {
        struct httpscene_client *client = httpscene_connect_unix(scene);
        size_t step = way == 0 ? strlen(text) : strlen(text) > 5000 ? 7 : 1;

        for (size_t at = 0; at < strlen(text); at += step) {
            size_t left = strlen(text) - at;
            httpscene_put_bytes(scene, client, text + at, left < step ? left : step);
            testing_spin(scene->loop, 1);
        }
        if (status == 200)
            assert_int_equal(httpscene_next(scene, client, false).status, 200);
        else
            httpscene_expect_last(scene, client, status);
        httpscene_hang_up(client);
    }
    free(text);
}

static void answer_briefly(struct httpscene *scene, struct httprequest *request)
{
    assert_int_equal(httprequest_reply(request, 200, NULL, NULL, 0), 0);
}

static void check_target(uint32_t option, size_t most)
{
    struct httpscene scene;

    httpscene_open(&scene, &(struct httpserver_options){ .max_target = option });
    scene.on_request = answer_briefly;
    for (size_t size = most - 1; size <= most + 1; size++)
        check_head(&scene, long_text("GET /", size - 1, " HTTP/1.1\r\nHost: a\r\n\r\n"), size <= most ? 200 : 414);
    httpscene_close(&scene);
}

static void a_target_may_have_max_target_bytes_and_not_one_more(void **state)
{
    check_target(0, 8192);
    check_target(100, 100);
    check_target(9000, 9000);
}

/* httpserver_test:test_small_headers, and httpserver_test:test_large_headers, but that the client is told */
static void a_head_may_have_max_header_bytes_and_not_one_more(void **state)
{
    static const char before[] = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    struct httpscene scene;

    httpscene_open(&scene, &(struct httpserver_options){ .max_header = 1000 });
    scene.on_request = answer_briefly;
    for (size_t size = 999; size <= 1001; size++)
        check_head(&scene, long_text(before, size - sizeof before + 1 - 4, "\r\n\r\n"), size <= 1000 ? 200 : 431);
    assert_int_equal(testing_logs("refused with 431"), 2);
    httpscene_close(&scene);
    httpscene_open(&scene, NULL);
    scene.on_request = answer_briefly;
    for (size_t size = 8190; size <= 8192; size++) /* of one line */
        check_head(&scene, long_text(before, size - 3, "\r\n\r\n"), 200);
    check_head(&scene, long_text(before, 8190, "\r\n\r\n"), 431);
    httpscene_close(&scene);
}

static void check_header_line(struct httpserver_options options, size_t most)
{
    struct httpscene scene;

    httpscene_open(&scene, &options);
    scene.on_request = answer_briefly;
    for (size_t size = most - 1; size <= most + 1; size++)
        check_head(&scene, long_text("GET / HTTP/1.1\r\nHost: a\r\nX: ", size - 3, "\r\n\r\n"),
                   size <= most ? 200 : 431);
    httpscene_close(&scene);
}

static void a_line_of_a_head_may_have_max_header_line_bytes_and_not_one_more(void **state)
{
    check_header_line((struct httpserver_options){ .max_header = 65536 }, 8192);
    check_header_line((struct httpserver_options){ .max_header_line = 100 }, 100);
    check_header_line((struct httpserver_options){ .max_header_line = 20000 }, 20000);
}

/* Over the limit nothing is left out: the request is refused. */
static void a_head_may_have_max_headers_and_not_one_more(void **state)
{
    static const uint32_t options[] = { 3, 0, 5000 };

    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        size_t most = options[i] == 3 ? 3 : 100;
        struct httpscene scene;

        httpscene_open(&scene, &(struct httpserver_options){ .max_headers = options[i] });
        scene.on_request = answer_briefly;
        for (size_t count = most - 1; count <= most + 1; count++) {
            char *text = malloc(8 * count + 200);

            assert_non_null(text);
            strcpy(text, "POST / HTTP/1.1\r\nHost: a\r\n");
            for (size_t k = 2; k < count; k++)
                strcat(text, "A: b\r\n");
            strcat(text, "Content-Length: 5\r\n\r\nGET /");
            check_head(&scene, text, count <= most ? 200 : 431);
        }
        httpscene_close(&scene);
    }
}

/* Connections. */

static void unfinished_heads_make_room_too(void **state)
{
    static const char *const texts[] = { "", "G", "GET / HTTP/1.1\r\nHost: a\r\n" };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct httpscene scene;
        struct httpscene_client *slow = begin(&scene, &(struct httpserver_options){ .max_connections = 1 });

        httpscene_put(&scene, slow, texts[i]);
        httpscene_settle(&scene);
        httpscene_expect_alive(&scene);
        httpscene_take(slow, 100);
        assert_true(slow->ended);
        assert_int_equal(slow->length, 0);
        httpscene_close(&scene);
    }
}

/* A request, its body and its answer are not cut for others. */
static void busy_connections_make_no_room(void **state)
{
    static const char *const texts[] = { GET("/later"), POST("5") "hel", CHUNKED, GET("/size/3000000"),
                                         LAST_GET("/size/3000000") };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct httpscene scene;

        httpscene_open(&scene, &(struct httpserver_options){ .max_connections = 1 });
        struct httpscene_client *busy = httpscene_connect_unix(&scene);
        httpscene_put(&scene, busy, texts[i]);
        httpscene_settle(&scene);
        struct httpscene_client *other = httpscene_connect_unix(&scene);
        httpscene_put(&scene, other, GET("/other"));
        httpscene_expect_nothing(&scene, other);
        assert_int_equal(httpserver_connections(scene.server), 1);
        httpscene_put(&scene, busy, i == 1 ? "lo" : i == 2 ? "0\r\n\r\n" : "");
        if (i == 0)
            assert_int_equal(httpscene_answer_next(&scene), 0);
        assert_int_equal(httpscene_next(&scene, busy, false).status, 200);
        httpscene_hang_up(busy);
        httpscene_expect(&scene, other, 200, "GET /other");
        httpscene_close(&scene);
    }
}

/* Among many that are busy the idle one is found, wherever it is. */
static void one_idle_connection_is_found_among_busy_ones(void **state)
{
    for (int place = 0; place < 60; place += 59) {
        struct httpscene scene;
        struct httpscene_client *clients[60], *idle = NULL;

        httpscene_open(&scene, &(struct httpserver_options){ .max_connections = 60 });
        for (int i = 0; i < 60; i++) {
            clients[i] = httpscene_connect_unix(&scene);
            httpscene_put(&scene, clients[i], i == place ? GET("/") : GET("/later"));
            httpscene_settle(&scene);
        }
        idle = clients[place];
        httpscene_expect(&scene, idle, 200, "GET /");
        httpscene_expect_alive(&scene);
        httpscene_expect_end(&scene, idle);
        assert_int_equal(scene.left, 0);
        httpscene_close(&scene);
    }
}

/* What a connection costs. */

static void a_client_that_closes_costs_four_calls(void **state)
{
    struct httpscene scene;

    httpscene_open(&scene, NULL);
    httpscene_expect_alive(&scene);
    httpscene_settle(&scene);
    struct httpscene_client *client = httpscene_connect(&scene);
    httpscene_put_some(client, LAST_GET("/"), strlen(LAST_GET("/")));
    faults_count_reset();
    httpscene_settle(&scene);
    assert_int_equal(faults_count("accept4"), 2); /* the second finds nothing */
    assert_int_equal(faults_count("recv"), 1);
    assert_int_equal(faults_count("send"), 1);
    assert_int_equal(faults_count("close"), 1);
    assert_int_equal(faults_count("shutdown") + faults_count("epoll_ctl") + faults_count("fcntl"), 0);
    assert_int_equal(faults_count("sendmsg") + faults_count("getsockopt"), 0);
    assert_int_equal(httpserver_connections(scene.server), 0);
    httpscene_expect_last(&scene, client, 200);
    httpscene_close(&scene);
}

/* Else its answer would be lost to a reset. */
static void a_client_that_sent_more_than_it_may_is_waited_for(void **state)
{
    static const char post[] = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc";
    const struct {
        const char *text, *behind;
    } cases[] = { { LAST_GET("/"), "x" }, { LAST_GET("/"), "" }, { post, "" }, { post, "x" } };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct httpscene scene;
        struct httpscene_client *client = begin(&scene, NULL);
        bool waits = cases[i].behind[0] != '\0';
        char text[200];

        faults_count_reset();
        snprintf(text, sizeof text, "%s%s", cases[i].text, cases[i].behind);
        httpscene_put(&scene, client, text);
        httpscene_settle(&scene);
        assert_int_equal(faults_count("shutdown"), waits);
        assert_int_equal(httpserver_connections(scene.server), waits);
        httpscene_expect_last(&scene, client, 200);
        httpscene_hang_up(client);
        httpscene_settle(&scene);
        assert_int_equal(httpserver_connections(scene.server), 0);
        httpscene_close(&scene);
    }
}

static void a_last_answer_that_does_not_go_at_once_is_sent_in_full(void **state)
{
    for (size_t bytes = 1; bytes < 300; bytes = 4 * bytes + 1) {
        struct httpscene scene;
        struct httpscene_client *client = begin(&scene, NULL);

        faults_short_io(bytes);
        httpscene_put(&scene, client, LAST_GET("/size/700"));
        assert_int_equal(httpscene_next(&scene, client, false).length, 700);
        httpscene_expect_end(&scene, client);
        httpscene_hang_up(client);
        httpscene_settle(&scene);
        assert_int_equal(httpserver_connections(scene.server), 0);
        httpscene_close(&scene);
    }
}

/* Logs. */

static struct {
    int count, status;
    uint64_t bytes;
    double seconds;
    char target[100];
} last_logged;

static void note_log(struct httprequest *request, int status, uint64_t body_bytes, double seconds, void *arg)
{
    last_logged.count++;
    last_logged.status = status;
    last_logged.bytes = body_bytes;
    last_logged.seconds = seconds;
    strcpy(last_logged.target, httprequest_target(request));
    assert_true(arg != NULL);
}

static void on_log_gets_what_was_answered_and_how_long_it_took(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, &(struct httpserver_options){ .on_log = note_log });

    memset(&last_logged, 0, sizeof last_logged);
    httpscene_put(&scene, client, GET("/later"));
    httpscene_settle(&scene);
    httpscene_pass(&scene, 3);
    assert_int_equal(last_logged.count, 0);
    assert_int_equal(httpscene_answer_next(&scene), 0);
    assert_int_equal(last_logged.status, 200);
    assert_int_equal(last_logged.bytes, 5);
    assert_true(last_logged.seconds > 2.99 && last_logged.seconds < 3.01);
    assert_string_equal(last_logged.target, "/later");
    httpscene_put(&scene, client, HEAD("/size/7") GET("/size/70000"));
    httpscene_settle(&scene);
    assert_int_equal(last_logged.count, 3);
    assert_int_equal(last_logged.bytes, 70000);
    httpscene_put(&scene, client, HEAD("/size/7") "nonsense\r\n\r\n");
    httpscene_settle(&scene);
    assert_int_equal(last_logged.count, 4); /* what is no request is none here either */
    assert_int_equal(last_logged.bytes, 0);
    httpscene_close(&scene);
}

/* A whole answer that cannot be sent, one in pieces, and one of which there is to be nothing. */
static void work_for_a_while(struct httpscene *scene, struct httprequest *request)
{
    scene->clock += 0.3;
    httpscene_answer(request);
}

/* Of each of those that came together, and not of those before it. */
static void on_log_gets_the_time_that_a_handler_has_blocked(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, &(struct httpserver_options){ .on_log = note_log });

    memset(&last_logged, 0, sizeof last_logged);
    scene.on_request = work_for_a_while;
    httpscene_put(&scene, client, GET("/1") GET("/2"));
    for (int i = 1; i <= 2; i++) {
        assert_int_equal(httpscene_next(&scene, client, false).status, 200);
        assert_true(last_logged.seconds > 0.299 && last_logged.seconds < 0.301);
    }
    httpscene_close(&scene);
}

static void answer_in_three_ways(struct httpscene *scene, struct httprequest *request)
{
    if (httprequest_path_is(request, "/broken")) {
        assert_true(httprequest_reply(request, 200, "\n", "x", 1) < 0);
        return;
    }
    assert_int_equal(httprequest_write_head(request, 201, NULL, NULL, "abc", 3, NULL, NULL), 0);
    assert_int_equal(httprequest_write(request, "de", 2, NULL, NULL), 0);
    assert_int_equal(httprequest_finish(request), 0);
}

static void on_log_counts_bytes_of_bodies_in_whatever_framing(void **state)
{
    static const struct {
        const char *text;
        int status;
        size_t bytes;
    } cases[] = { { GET("/broken"), 500, 27 },
                  { HEAD("/broken"), 500, 0 },
                  { GET("/"), 201, 5 },
                  { HEAD("/"), 201, 0 },
                  { OLD_GET("/"), 201, 5 } };
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, &(struct httpserver_options){ .on_log = note_log });

    scene.on_request = answer_in_three_ways;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        httpscene_put(&scene, client, cases[i].text);
        httpscene_settle(&scene);
        assert_int_equal(last_logged.status, cases[i].status);
        assert_int_equal(last_logged.bytes, cases[i].bytes);
    }
    httpscene_close(&scene);
}

/* What has been taken counts, though the client reads none of it, and will not. */
static void on_log_counts_bytes_that_are_not_sent(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, &(struct httpserver_options){ .on_log = note_log });

    memset(&last_logged, 0, sizeof last_logged);
    httpscene_put(&scene, client, GET("/size/15000000"));
    httpscene_settle(&scene);
    assert_int_equal(last_logged.count, 1);
    assert_int_equal(last_logged.status, 200);
    assert_int_equal(last_logged.bytes, 15000000);
    assert_int_equal(httpserver_connections(scene.server), 1);
    httpscene_reset(client);
    httpscene_settle(&scene);
    assert_int_equal(last_logged.count, 1);
    httpscene_close(&scene);
}

static void answer_404_or_500(struct httprequest *request, void *arg)
{
    int status = httprequest_path_is(request, "/500") ? 500 : httprequest_path_is(request, "/200") ? 200 : 404;

    assert_int_equal(httprequest_reply(request, status, NULL, "x", 1), 0);
}

/* A server that leaves the access log to the library. */
static struct httpserver *begin_logged(struct httpscene *scene)
{
    httpscene_open(scene, NULL);
    struct httpserver *server = httpserver_new(scene->loop, answer_404_or_500, NULL, NULL);

    assert_non_null(server);
    scene->port = httpserver_listen(server, 0, &(struct netutil_bind_options){ .address = "127.0.0.1" });
    assert_true(scene->port > 0);
    return server;
}

/* httputil_test:test_repr_does_not_contain_headers */
static void the_access_log_has_a_line_a_request_with_all_from_outside_escaped(void **state)
{
    struct httpscene scene;
    struct httpserver *server = begin_logged(&scene);
    struct httpscene_client *client = httpscene_connect(&scene);

    httpscene_put(&scene, client,
                  "GET /200 HTTP/1.1\r\nHost: a\r\nAuthorization: Basic c2VjcmV0\r\nCookie: c2VjcmV0\r\n\r\n");
    httpscene_put(&scene, client, GET("/500"));
    httpscene_put(&scene, client, GET("/%n%n%s\"\\%0aFAKE"));
    char *text = long_text("GET /", 8000, " HTTP/1.1\r\nHost: a\r\n\r\n");
    httpscene_put(&scene, client, text);
    for (int i = 0; i < 4; i++)
        httpscene_next(&scene, client, false);
    assert_int_equal(testing_logs("I 200 GET /200 (127.0.0.1) 0.00ms"), 1);
    assert_int_equal(testing_logs("E 500 GET /500 (127.0.0.1) "), 1);
    assert_int_equal(testing_logs("W 404 GET /%n%n%s\\x22\\x5C%0aFAKE (127.0.0.1) ") +
                         testing_logs("W 404 GET /%n%n%s\\x22\\x5c%0aFAKE (127.0.0.1) "),
                     1);
    assert_int_equal(testing_logs("xxxx... (127.0.0.1)"), 1);
    assert_int_equal(testing_logs("c2VjcmV0"), 0);
    assert_int_equal(testing_logs(NULL), 4);
    httpserver_close(server);
    httpscene_close(&scene);
    free(text);
}

/* Logs stay small, whoever wants them to grow. */
static void bad_requests_do_not_fill_the_log(void **state)
{
    struct httpscene scene;

    httpscene_open(&scene, NULL);
    iolog_set_rate(0);
    for (int i = 0; i < 300; i++) {
        struct httpscene_client *client = httpscene_connect_unix(&scene);
        httpscene_put(&scene, client, "nonsense\r\n\r\n");
        httpscene_expect_last(&scene, client, 400);
        httpscene_hang_up(client);
    }
    assert_in_range(testing_logs("refused with 400"), 0, 30); /* others may have said the same in this second */
    httpscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_connection_ends_after_max_requests),
    cmocka_unit_test(a_connection_ends_after_a_thousand_requests_by_itself),
    cmocka_unit_test(without_keep_alive_each_request_has_its_connection),
    cmocka_unit_test(a_connection_ends_with_the_first_request_after_max_age),
    cmocka_unit_test(a_target_may_have_max_target_bytes_and_not_one_more),
    cmocka_unit_test(a_head_may_have_max_header_bytes_and_not_one_more),
    cmocka_unit_test(a_line_of_a_head_may_have_max_header_line_bytes_and_not_one_more),
    cmocka_unit_test(a_head_may_have_max_headers_and_not_one_more),
    cmocka_unit_test(unfinished_heads_make_room_too),
    cmocka_unit_test(busy_connections_make_no_room),
    cmocka_unit_test(one_idle_connection_is_found_among_busy_ones),
    cmocka_unit_test(a_client_that_closes_costs_four_calls),
    cmocka_unit_test(a_client_that_sent_more_than_it_may_is_waited_for),
    cmocka_unit_test(a_last_answer_that_does_not_go_at_once_is_sent_in_full),
    cmocka_unit_test(on_log_gets_what_was_answered_and_how_long_it_took),
    cmocka_unit_test(on_log_gets_the_time_that_a_handler_has_blocked),
    cmocka_unit_test(on_log_counts_bytes_of_bodies_in_whatever_framing),
    cmocka_unit_test(on_log_counts_bytes_that_are_not_sent),
    cmocka_unit_test(the_access_log_has_a_line_a_request_with_all_from_outside_escaped),
    cmocka_unit_test(bad_requests_do_not_fill_the_log),
};

TESTING_MAIN(tests)
