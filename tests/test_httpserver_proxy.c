#include "httpserver/httpserver.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/faults.h"
#include "tests/support/httpscene.h"
#include "tests/support/httptexts.h"
#include "tests/support/testing.h"

/* Who asks, when a proxy stands between: what it says in headers, and what it says before all. */

static void tell_who_asks(struct httpscene *scene, struct httprequest *request)
{
    char text[200];

    for (int twice = 0; twice < 2; twice++)
        snprintf(text, sizeof text, "%s %s", httprequest_remote_ip(request), httprequest_protocol(request));
    assert_int_equal(httprequest_reply(request, 200, NULL, text, strlen(text)), 0);
}

static struct httpscene_client *begin_proxied(struct httpscene *scene, const struct httpserver_options *options)
{
    struct httpscene_client *client = begin(scene, options);

    scene->on_request = tell_who_asks;
    return client;
}

/* Behind Host, and before it. */
static void ask(struct httpscene *scene, struct httpscene_client *client, const char *headers, const char *wanted)
{
    httpscene_put(scene, client, "GET / HTTP/1.1\r\nHost: a\r\n");
    httpscene_put(scene, client, headers);
    httpscene_put(scene, client, "\r\n");
    httpscene_expect(scene, client, 200, wanted);
    httpscene_put(scene, client, "GET / HTTP/1.1\r\n");
    httpscene_put(scene, client, headers);
    httpscene_put(scene, client, "Host: a\r\n\r\n");
    httpscene_expect(scene, client, 200, wanted);
}

/* Headers. */

/* XHeaderTest: httpserver_test:test_ip_headers */
static void the_address_in_headers_is_believed_if_it_is_one(void **state)
{
    static const char *const cases[][2] = {
        { "", "127.0.0.1 http" },
        { "X-Real-IP: 4.4.4.4\r\n", "4.4.4.4 http" },
        { "X-Forwarded-For: 127.0.0.1, 4.4.4.4\r\n", "4.4.4.4 http" },
        { "X-Real-IP: 2620:0:1cfe:face:b00c::3\r\n", "2620:0:1cfe:face:b00c::3 http" },
        { "X-Forwarded-For: ::1, 2620:0:1cfe:face:b00c::3\r\n", "2620:0:1cfe:face:b00c::3 http" },
        { "X-Real-IP: 4.4.4.4<script>\r\n", "127.0.0.1 http" },
        { "X-Forwarded-For: 4.4.4.4, 5.5.5.5<script>\r\n", "127.0.0.1 http" },
        { "X-Real-IP: www.google.com\r\n", "127.0.0.1 http" },
        { "X-Forwarded-For: 1.1.1.1\r\nX-Real-Ip: 4.4.4.4\r\n", "4.4.4.4 http" },
        { "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\nx-forwarded-for: 3.3.3.3\r\n", "3.3.3.3 http" },
        { "X-Forwarded-For:\r\n", "127.0.0.1 http" },
        { "X_Real_Ip: 4.4.4.4\r\nX_Forwarded_For: 4.4.4.4\r\n", "127.0.0.1 http" },
        { "", "127.0.0.1 http" }, /* for one request each */
    };
    struct httpscene scene;
    struct httpscene_client *client = begin_proxied(&scene, &(struct httpserver_options){ .xheaders = true });

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ask(&scene, client, cases[i][0], cases[i][1]);
    httpscene_close(&scene);
}

/* httpserver_test:test_trusted_downstream */
static void trusted_proxies_are_passed_over(void **state)
{
    static const char *const trusted[] = { "5.5.5.5", "6.6.6.6", NULL };
    struct httpscene scene;
    struct httpscene_client *client =
        begin_proxied(&scene, &(struct httpserver_options){ .xheaders = true, .trusted_downstream = trusted });

    ask(&scene, client, "X-Forwarded-For: 4.4.4.4, 5.5.5.5\r\n", "4.4.4.4 http");
    ask(&scene, client, "X-Forwarded-For: 3.3.3.3, 4.4.4.4,5.5.5.5 , 6.6.6.6\r\n", "4.4.4.4 http");
    ask(&scene, client, "X-Forwarded-For: 4.4.4.4\r\nX-Forwarded-For: 6.6.6.6\r\n", "4.4.4.4 http");
    ask(&scene, client, "X-Forwarded-For: 4.4.4.4, 7.7.7.7\r\n", "7.7.7.7 http");
    httpscene_close(&scene);
}

/* httpserver_test:test_scheme_headers */
static void the_scheme_in_headers_is_believed_if_it_is_one(void **state)
{
    static const char *const cases[][2] = {
        { "", "127.0.0.1 http" },
        { "X-Scheme: https\r\n", "127.0.0.1 https" },
        { "X-Forwarded-Proto: https\r\n", "127.0.0.1 https" },
        { "X-Forwarded-Proto: https , http\r\n", "127.0.0.1 http" },
        { "X-Forwarded-Proto: http,https\r\n", "127.0.0.1 https" },
        { "X-Forwarded-Proto: http\r\nX-Forwarded-Proto: https\r\n", "127.0.0.1 https" },
        { "X-Scheme: http\r\nX-Forwarded-Proto: https\r\n", "127.0.0.1 http" },
        { "X-Forwarded-Proto: unknown\r\n", "127.0.0.1 http" },
        { "X-Scheme: ftp\r\n", "127.0.0.1 http" },
        { "", "127.0.0.1 http" },
    };
    struct httpscene scene;
    struct httpscene_client *client = begin_proxied(&scene, &(struct httpserver_options){ .xheaders = true });

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ask(&scene, client, cases[i][0], cases[i][1]);
    httpscene_close(&scene);
}

static void headers_are_not_believed_unless_it_is_asked_for(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_proxied(&scene, NULL);

    ask(&scene, client,
        "X-Real-IP: 4.4.4.4\r\nX-Forwarded-For: 5.5.5.5\r\nX-Scheme: https\r\nX-Forwarded-Proto: https\r\n",
        "127.0.0.1 http");
    httpscene_close(&scene);
}

/* ManualProtocolTest: httpserver_test:test_manual_protocol */
static void the_protocol_is_what_the_program_says(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin_proxied(&scene, &(struct httpserver_options){ .protocol = "https" });

    ask(&scene, client, "", "127.0.0.1 https");
    ask(&scene, client, "X-Scheme: http\r\n", "127.0.0.1 https");
    httpscene_close(&scene);
    client = begin_proxied(&scene, &(struct httpserver_options){ .protocol = "https", .xheaders = true });
    ask(&scene, client, "X-Scheme: http\r\n", "127.0.0.1 http");
    ask(&scene, client, "", "127.0.0.1 https");
    httpscene_close(&scene);
}

static void over_a_unix_socket_there_is_no_address_but_in_headers(void **state)
{
    struct httpscene scene;

    httpscene_open(&scene, &(struct httpserver_options){ .xheaders = true });
    scene.on_request = tell_who_asks;
    struct httpscene_client *client = httpscene_connect_unix(&scene);
    ask(&scene, client, "", "0.0.0.0 http");
    ask(&scene, client, "X-Real-IP: ::1\r\n", "::1 http");
    httpscene_close(&scene);
}

static void without_memory_for_a_list_the_sockets_address_stands(void **state)
{
    static const char text[] =
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 4.4.4.4\r\nX-Forwarded-Proto: https\r\n\r\n";
    struct httpscene scene;
    struct httpscene_client *client = begin_proxied(&scene, &(struct httpserver_options){ .xheaders = true });
    bool hit = true;

    httpscene_put(&scene, client, text);
    httpscene_expect(&scene, client, 200, "4.4.4.4 https");
    for (int nth = 1; hit; nth++) {
        httpscene_put(&scene, client, text);
        faults_allocation(nth, true);
        struct httpscene_answer answer = httpscene_next(&scene, client, false);
        hit = faults_hit();
        faults_end();
        assert_int_equal(answer.status, 200);
        assert_true(strcmp(answer.body, "127.0.0.1 http") == 0 || strcmp(answer.body, "4.4.4.4 http") == 0 ||
                    (!hit && strcmp(answer.body, "4.4.4.4 https") == 0));
        assert_true(nth < 20);
    }
    httpscene_close(&scene);
}

static void wait_for_who(struct httpscene *scene, struct httprequest *request)
{
    if (scene->requests == 1)
        (void)!httprequest_remote_ip(request);
    httpscene_wait(scene, request);
}

static void an_address_asked_for_too_late_is_not_known(void **state)
{
    for (int late = 0; late < 2; late++) {
        struct httpscene scene;
        struct httpscene_client *client = begin(&scene, NULL);

        scene.requests = late;
        scene.on_request = wait_for_who;
        httpscene_put(&scene, client, GET("/"));
        httpscene_settle(&scene);
        httpscene_reset(client);
        httpscene_settle(&scene);
        assert_string_equal(httprequest_remote_ip(scene.waiting[0]), late ? "" : "127.0.0.1");
        httpscene_close(&scene);
    }
}

/* The PROXY protocol. */

#define V2 "\r\n\r\n\0\r\nQUIT\n"

struct proxied {
    const char *bytes;
    size_t length;
    const char *ip;
    int port; /* 0: that of the socket */
};

#define BYTES(literal) literal, sizeof literal - 1

static const struct proxied headers[] = {
    { BYTES("PROXY TCP4 4.3.2.1 5.6.7.8 1111 80\r\n"), "4.3.2.1", 1111 },
    { BYTES("PROXY TCP6 2001:DB8::2 ::3 1234 80\r\n"), "2001:db8::2", 1234 },
    { BYTES("PROXY UNKNOWN what ever\r\n"), "127.0.0.1", 0 },
    { BYTES(V2 "\x21\x11\0\x0c\x04\x03\x02\x01\x05\x06\x07\x08\x04\x57\0\x50"), "4.3.2.1", 1111 },
    { BYTES(V2 "\x21\x11\0\x10\x04\x03\x02\x01\x05\x06\x07\x08\x04\x57\0\x50\x04\0\x01x"), "4.3.2.1", 1111 },
    { BYTES(V2 "\x20\0\0\0"), "127.0.0.1", 0 },
};

static int port_seen;

static void tell_address(struct httpscene *scene, struct httprequest *request)
{
    struct sockaddr_storage address;

    assert_true(httprequest_remote_address(request, &address) > 0);
    port_seen = ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)(void *)&address)->sin6_port
                                                    : ((struct sockaddr_in *)(void *)&address)->sin_port);
    tell_who_asks(scene, request);
}

static void check_proxied(struct httpscene *scene, const struct proxied *proxied, size_t first, size_t step)
{
    static const char requests[] = GET("/1") "GET /2 HTTP/1.1\r\nHost: a\r\nX-Real-Ip: 9.9.9.9\r\n\r\n";
    struct httpscene_client *client = httpscene_connect(scene);
    char bytes[400], wanted[100];
    size_t length = proxied->length + sizeof requests - 1;

    memcpy(bytes, proxied->bytes, proxied->length);
    memcpy(bytes + proxied->length, requests, sizeof requests - 1);
    for (size_t at = 0, end = first; at < length; at = end, end += step) {
        if (end > length)
            end = length;
        httpscene_put_bytes(scene, client, bytes + at, end - at);
        testing_spin(scene->loop, 2);
    }
    snprintf(wanted, sizeof wanted, "%s http", proxied->ip);
    for (int i = 0; i < 2; i++) {
        httpscene_expect(scene, client, 200, wanted);
        assert_true(proxied->port == 0 || proxied->port == port_seen);
    }
    httpscene_hang_up(client);
}

static void a_proxy_header_says_who_asks_however_it_is_split(void **state)
{
    struct httpscene scene;

    httpscene_open(&scene, &(struct httpserver_options){ .proxy_protocol = true });
    scene.on_request = tell_address;
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        for (size_t first = 1; first < headers[i].length + 20; first++)
            check_proxied(&scene, &headers[i], first, 400);
        check_proxied(&scene, &headers[i], 1, 1);
    }
    httpscene_close(&scene);
}

static void a_proxy_header_without_memory_ends_the_connection(void **state)
{
    bool hit = true;

    for (int nth = 1; hit; nth++) {
        struct httpscene scene;
        struct httpscene_client *client = begin_proxied(&scene, &(struct httpserver_options){ .proxy_protocol = true });

        httpscene_settle(&scene);
        faults_allocation(nth, true);
        httpscene_put(&scene, client, "PROXY TCP4 4.3.2.1 5.6.7.8 1111 80\r\n" GET("/"));
        httpscene_settle(&scene);
        hit = faults_hit();
        faults_end();
        httpscene_take(client, 1000);
        assert_true(client->ended || (client->length > 0 && strstr(client->bytes, "\r\n\r\n4.3.2.1 http") != NULL));
        assert_true(nth < 20);
        httpscene_close(&scene);
    }
}

static void a_refusal_is_logged_with_the_address_that_the_proxy_said(void **state)
{
    struct httpscene scene;

    httpscene_open(&scene, &(struct httpserver_options){ .proxy_protocol = true });
    struct httpscene_client *client = httpscene_connect(&scene);
    httpscene_put(&scene, client, "PROXY TCP4 4.3.2.1 5.6.7.8 1111 80\r\nnonsense\r\n\r\n");
    httpscene_expect_last(&scene, client, 400);
    assert_int_equal(testing_logs(" (4.3.2.1)"), 1);
    httpscene_close(&scene);
}

static void who_begins_without_a_proxy_header_is_cut_without_a_word(void **state)
{
    static const char *const texts[] = { GET("/"), "PROXY TCP4 4.3.2.1\r\n" GET("/"),
                                         "\r\n\r\nPROXY UNKNOWN\r\n" GET("/"),
                                         "PROXY TCP4 4.3.2.999 5.6.7.8 1111 80\r\n" GET("/") };
    struct httpscene scene;

    httpscene_open(&scene, &(struct httpserver_options){ .proxy_protocol = true });
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct httpscene_client *client = httpscene_connect(&scene);
        httpscene_put(&scene, client, texts[i]);
        httpscene_settle(&scene);
        httpscene_take(client, 1000);
        assert_true(client->ended);
        assert_int_equal(client->length, 0);
        assert_int_equal(testing_logs("I refused: no PROXY header (127.0.0.1)"), i + 1);
        httpscene_hang_up(client);
    }
    assert_int_equal(scene.requests, 0);
    httpscene_close(&scene);
}

static void a_proxy_header_has_to_come_in_the_time_of_a_head(void **state)
{
    static const char line[] = "PROXY TCP4 4.3.2.1 5.6.7.8 1111 80\r\n";
    struct httpscene scene;
    struct httpscene_client *client = begin_proxied(&scene, &(struct httpserver_options){ .proxy_protocol = true });
    struct httpscene_client *slow = httpscene_connect(&scene), *closing = httpscene_connect(&scene);

    httpscene_put(&scene, closing, "PROXY");
    for (int i = 0; i < 9; i++) {
        httpscene_put_bytes(&scene, slow, line + i, 1);
        httpscene_expect_nothing(&scene, slow);
        httpscene_pass(&scene, 1.1);
    }
    httpscene_finish(closing);
    httpscene_expect_end(&scene, closing);
    httpscene_put(&scene, client, line);
    httpscene_put(&scene, client, "G");
    httpscene_expect_nothing(&scene, client);
    httpscene_pass(&scene, 0.1 + LATE);
    httpscene_expect_end(&scene, slow);
    httpscene_expect_last(&scene, client, 408);
    assert_int_equal(testing_logs("PROXY"), 0);
    httpscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_address_in_headers_is_believed_if_it_is_one),
    cmocka_unit_test(trusted_proxies_are_passed_over),
    cmocka_unit_test(the_scheme_in_headers_is_believed_if_it_is_one),
    cmocka_unit_test(headers_are_not_believed_unless_it_is_asked_for),
    cmocka_unit_test(the_protocol_is_what_the_program_says),
    cmocka_unit_test(over_a_unix_socket_there_is_no_address_but_in_headers),
    cmocka_unit_test(without_memory_for_a_list_the_sockets_address_stands),
    cmocka_unit_test(an_address_asked_for_too_late_is_not_known),
    cmocka_unit_test(a_proxy_header_says_who_asks_however_it_is_split),
    cmocka_unit_test(a_proxy_header_without_memory_ends_the_connection),
    cmocka_unit_test(a_refusal_is_logged_with_the_address_that_the_proxy_said),
    cmocka_unit_test(who_begins_without_a_proxy_header_is_cut_without_a_word),
    cmocka_unit_test(a_proxy_header_has_to_come_in_the_time_of_a_head),
};

TESTING_MAIN(tests)
