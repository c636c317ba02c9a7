/* Whose a request is: what the kernel is asked for it, and what the log knows of clients that have left. */
#include "httpserver/httprequest.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "httpserver/http1connection.h"
#include "httpserver/httpserverlayer.h"
#include "ioloop/iolog.h"
#include "ioloop/netutil.h"
#include "tests/support/faults.h"
#include "tests/support/httpscene.h"
#include "tests/support/httptexts.h"
#include "tests/support/testing.h"

/* The kernel. */
static int times_asked(void)
{
    return faults_count("getpeername");
}

static char told[NETUTIL_IP_SIZE]; /* the last one that was asked for, */
static int told_port;

static void answer_with_ip(struct httpscene *scene, struct httprequest *request)
{
    struct sockaddr_storage address;

    strcpy(told, httprequest_remote_ip(request));
    assert_ptr_equal(httprequest_remote_ip(request), httprequest_remote_ip(request));
    told_port = httprequest_remote_address(request, &address) > 0 ? netutil_port((struct sockaddr *)&address) : -1;
    httpscene_answer(request);
}

static void get(struct httpscene *scene, struct httpscene_client *client)
{
    httpscene_put(scene, client, GET("/"));
    httpscene_expect(scene, client, 200, "GET /");
}

static void a_kept_connection_asks_the_kernel_once(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    get(&scene, client);
    faults_count_reset();
    scene.on_request = answer_with_ip;
    for (int i = 0; i < 5; i++) {
        get(&scene, client);
        assert_string_equal(told, "127.0.0.1");
        assert_int_equal(times_asked(), 1);
    }
    struct httpscene_client *next = httpscene_connect(&scene); /* whose address came with it */
    get(&scene, next);
    assert_string_equal(told, "127.0.0.1");
    assert_int_equal(times_asked(), 1);
    httpscene_close(&scene);
}

static void a_server_that_nobody_asks_keeps_nothing(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    get(&scene, client);
    long before = faults_allocated();
    struct httpscene_client *next = httpscene_connect(&scene);
    faults_count_reset();
    get(&scene, client);
    get(&scene, next);
    assert_int_equal(faults_allocated() - before, 1); /* the stream */
    assert_int_equal(times_asked(), 0);
    httpscene_close(&scene);
}

/* From an address of one's own, of those that lead to this machine. */
static struct httpscene_client *connect_from(struct httpscene *scene, const char *ip)
{
    struct sockaddr_in from = { .sin_family = AF_INET };
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)scene->port) };
    struct httpscene_client *client = httpscene_connect(scene);

    httpscene_settle(scene);
    httpscene_hang_up(client);
    httpscene_settle(scene);
    client->fd = socket(AF_INET, SOCK_STREAM, 0);
    client->ended = false;
    inet_pton(AF_INET, ip, &from.sin_addr);
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    assert_int_equal(bind(client->fd, (struct sockaddr *)&from, sizeof from), 0);
    assert_int_equal(connect(client->fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(fcntl(client->fd, F_SETFL, O_NONBLOCK), 0);
    return client;
}

/* Each gets the number of the one before. */
static void a_descriptor_that_is_used_again_is_another_client(void **state)
{
    static const char *const clients[] = { "127.0.0.1", "127.0.0.2", "127.1.2.3", "127.0.0.2" };
    struct httpscene scene;

    httpscene_open(&scene, NULL);
    scene.on_request = answer_with_ip;
    for (size_t i = 0; i < sizeof clients / sizeof *clients; i++) {
        struct httpscene_client *client = connect_from(&scene, clients[i]);
        struct sockaddr_in own;

        get(&scene, client);
        assert_string_equal(told, clients[i]);
        assert_int_equal(getsockname(client->fd, (struct sockaddr *)&own, &(socklen_t){ sizeof own }), 0);
        assert_int_equal(told_port, ntohs(own.sin_port));
        httpscene_hang_up(client);
        httpscene_settle(&scene);
    }
    struct httpscene_client *unix_client = httpscene_connect_unix(&scene);
    get(&scene, unix_client);
    assert_string_equal(told, "0.0.0.0");
    assert_int_equal(told_port, 0);
    httpscene_close(&scene);
}

static void without_memory_the_kernel_is_asked_again(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, NULL);

    get(&scene, client);
    scene.on_request = answer_with_ip;
    faults_count_reset();
    faults_allocation(1, true);
    for (int i = 1; i <= 3; i++) {
        get(&scene, client);
        assert_string_equal(told, "127.0.0.1");
        assert_int_equal(times_asked(), 2 * i); /* for the ip, and for the address */
    }
    faults_end();
    httpscene_close(&scene);
}

static char logged_ip[NETUTIL_IP_SIZE];

static void log_ip(struct httprequest *request, int status, uint64_t bytes, double seconds, void *arg)
{
    strcpy(logged_ip, httprequest_remote_ip(request));
}

static struct httpscene_client *connect_and_wait(struct httpscene *scene)
{
    struct httpscene_client *client = httpscene_connect(scene);

    httpscene_put(scene, client, GET("/later"));
    httpscene_settle(scene);
    return client;
}

/* Which nobody has asked for while it was there; but the server has been asked for others. */
static void the_log_knows_who_has_left(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, &(struct httpserver_options){ .on_log = log_ip });

    get(&scene, client);
    client = connect_and_wait(&scene);
    httpscene_reset(client);
    httpscene_settle(&scene);
    assert_int_equal(scene.left, 1);
    logged_ip[0] = '\0';
    faults_count_reset();
    assert_int_equal(httpscene_answer_next(&scene), -EBADF);
    assert_string_equal(logged_ip, "127.0.0.1");
    assert_int_equal(times_asked(), 0);
    httpscene_close(&scene);
}

/* What web does with a request that nobody finishes. */
static void one_that_was_given_up_is_known_too(void **state)
{
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, &(struct httpserver_options){ .on_log = log_ip });

    get(&scene, client);
    client = connect_and_wait(&scene);
    http1connection_give_up(scene.waiting[0], 503, "nobody answers");
    httpscene_expect_last(&scene, client, 503);
    httpscene_settle(&scene);
    logged_ip[0] = '\0';
    assert_int_equal(httpscene_answer_next(&scene), -EBADF);
    assert_string_equal(logged_ip, "127.0.0.1");
    httpscene_close(&scene);
}

static void one_that_the_server_has_cut_off_is_known_too(void **state)
{
    static struct httpserver_options options = { .on_log = log_ip };
    struct httpscene scene;
    struct httpscene_client *client = begin(&scene, &options);

    get(&scene, client);
    get(&scene, client);
    client = connect_and_wait(&scene);
    strcpy(logged_ip, "?");
    httpserver_close(scene.server);
    httpscene_pass(&scene, 11);
    assert_int_equal(scene.left, 1);
    assert_int_equal(httpscene_answer_next(&scene), -EBADF);
    assert_string_equal(logged_ip, "127.0.0.1");
    httpscene_close(&scene);
}

static void count_line(enum iolog_channel channel, enum iolog_level level, const char *text, void *arg)
{
    if (channel == IOLOG_ACCESS) {
        assert_non_null(strstr(text, "(127.0.0.1)"));
        ++*(int *)arg;
    }
}

static void answer_in(struct httprequest *request, void *arg)
{
    httpscene_answer(request);
}

static void refuse(struct httprequest *request, void *arg)
{
    (void)!httprequest_reply(request, 404, "text/plain", "none", 4);
}

/* Of errors alone, as by default. */
static void a_log_of_few_lines_keeps_nothing(void **state)
{
    int lines = 0;
    struct httpscene scene;

    httpscene_open(&scene, NULL);
    iolog_set_function(count_line, &lines);
    iolog_set_level(IOLOG_WARNING);
    struct httpserver *logging = httpserver_new(scene.loop, refuse, NULL, NULL);
    scene.port = httpserver_listen(logging, 0, &(struct netutil_bind_options){ .address = "127.0.0.1" });
    assert_true(scene.port > 0);
    struct httpscene_client *client = httpscene_connect(&scene);
    for (int i = 1; i <= 3; i++) {
        long allocated = faults_allocated();
        faults_count_reset();
        httpscene_put(&scene, client, GET("/"));
        httpscene_expect(&scene, client, 404, "none");
        assert_int_equal(lines, i);
        assert_int_equal(times_asked(), 1);
        assert_true(i == 1 || faults_allocated() == allocated);
    }
    assert_int_equal(logging->addresses.count, 0);
    testing_begin_logs();
    httpserver_close(logging);
    httpscene_close(&scene);
}

static void an_access_log_asks_for_nothing(void **state)
{
    int lines = 0;
    struct httpscene scene;

    httpscene_open(&scene, NULL);
    iolog_set_function(count_line, &lines);
    struct httpserver *logging = httpserver_new(scene.loop, answer_in, NULL, NULL);
    int port = scene.port;
    scene.port = httpserver_listen(logging, 0, &(struct netutil_bind_options){ .address = "127.0.0.1" });
    assert_true(scene.port > 0);
    struct httpscene_client *client = httpscene_connect(&scene);
    faults_count_reset();
    for (int i = 1; i <= 3; i++) {
        get(&scene, client);
        assert_int_equal(lines, i);
    }
    assert_int_equal(times_asked(), 0);
    testing_begin_logs();
    scene.port = port;
    httpserver_close(logging);
    httpscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_kept_connection_asks_the_kernel_once),
    cmocka_unit_test(a_server_that_nobody_asks_keeps_nothing),
    cmocka_unit_test(a_descriptor_that_is_used_again_is_another_client),
    cmocka_unit_test(without_memory_the_kernel_is_asked_again),
    cmocka_unit_test(the_log_knows_who_has_left),
    cmocka_unit_test(one_that_was_given_up_is_known_too),
    cmocka_unit_test(one_that_the_server_has_cut_off_is_known_too),
    cmocka_unit_test(a_log_of_few_lines_keeps_nothing),
    cmocka_unit_test(an_access_log_asks_for_nothing),
};

TESTING_MAIN(tests)
