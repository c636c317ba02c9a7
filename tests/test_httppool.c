#include "tests/support/testing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/poolscene.h"

static void ten_thousand_fetches_over_eight_connections_open_eight(void **state)
{
    struct scene scene;

    open_scene(&scene, &(struct httpclient_options){ .max_per_origin = 8 });
    faults_count_reset();
    for (int i = 0; i < 8; i++)
        assert_true(fetch(&scene, "/") != 0);
    scene.to_go = 10000 - 8;
    run_until_done(&scene, 10000);
    assert_int_equal(scene.ok, 10000);
    assert_int_equal(scene.reused, 10000 - 8);
    assert_int_equal(faults_count("connect"), 8);
    assert_int_equal(httpclient_connections(scene.client), 8);
    assert_int_equal(httpclient_kept(scene.client), 8);
    close_scene(&scene);
}

/* Those who wait. */

static void fetches_over_the_limit_of_an_origin_wait_and_go_in_their_order(void **state)
{
    struct scene scene;

    open_scene(&scene, &(struct httpclient_options){ .max_per_origin = 1 });
    fetch(&scene, "/a");
    fetch(&scene, "/b");
    fetch(&scene, "/c");
    fetch(&scene, "/d");
    assert_int_equal(httpclient_waiting(scene.client), 3);
    assert_int_equal(httpclient_connections(scene.client), 1);
    run_until_done(&scene, 4);
    assert_string_equal(scene.order, "abcd");
    assert_int_equal(scene.ok, 4);
    assert_int_equal(httpclient_waiting(scene.client), 0);
    close_scene(&scene);
}

static void a_fetch_from_a_response_goes_behind_those_that_wait(void **state)
{
    struct scene scene;

    open_scene(&scene, &(struct httpclient_options){ .max_clients = 1 });
    fetch(&scene, "/a");
    fetch(&scene, "/b");
    fetch(&scene, "/c");
    scene.to_go = 1; /* fetches "/" from the response to "/a" */
    run_until_done(&scene, 4);
    assert_string_equal(scene.order, "abc/");
    close_scene(&scene);
}

static void an_origin_that_is_full_holds_up_no_other(void **state)
{
    struct scene scene;

    open_scene(&scene, &(struct httpclient_options){ .max_per_origin = 1, .max_clients = 2 });
    fetch(&scene, "/hold1");
    fetch(&scene, "/hold2");
    fetch(&scene, "/hold3");
    fetch_from(&scene, scene.second_port, "/x");
    fetch_from(&scene, scene.second_port, "/y");
    run_until_done(&scene, 2);
    assert_string_equal(scene.order, "xy");
    assert_int_equal(httpclient_waiting(scene.client), 2);
    for (int left = 3; left > 0; left--) {
        while (scene.held_count == 0)
            testing_spin(scene.loop, 1);
        let_go(&scene);
        run_until_done(&scene, 6 - left);
    }
    assert_string_equal(scene.order, "xy123");
    close_scene(&scene);
}

static void fetch_from_address(struct scene *scene, int last, const char *path)
{
    char url[64];

    snprintf(url, sizeof url, "http://127.0.0.%d:%d%s", last, scene->port, path);
    assert_true(httpclient_fetch(scene->client, &(struct httpclient_request){ .url = url }, on_response, scene) != 0);
}

static void one_whose_turn_comes_when_its_origin_is_full_lets_others_pass(void **state)
{
    struct scene scene;

    open_scene(&scene, &(struct httpclient_options){ .max_per_origin = 1, .max_clients = 2 });
    fetch_from_address(&scene, 1, "/a");
    fetch_from_address(&scene, 2, "/b");
    fetch_from_address(&scene, 3, "/hold1");
    fetch_from_address(&scene, 3, "/2");
    fetch_from_address(&scene, 4, "/d");
    run_until_done(&scene, 3);
    assert_int_equal(scene.order[2], 'd');
    assert_int_equal(httpclient_waiting(scene.client), 1);
    let_go(&scene);
    run_until_done(&scene, 5);
    assert_int_equal(scene.ok, 5);
    close_scene(&scene);
}

static void one_of_an_origin_that_was_full_goes_before_what_came_later(void **state)
{
    struct scene scene;

    open_scene(&scene, &(struct httpclient_options){ .max_per_origin = 1, .max_clients = 1 });
    fetch(&scene, "/holda");
    fetch(&scene, "/b"); /* its origin is full: parked */
    fetch_from(&scene, scene.second_port, "/c");
    while (scene.held_count == 0)
        testing_spin(scene.loop, 1);
    let_go(&scene);
    run_until_done(&scene, 3);
    assert_string_equal(scene.order, "abc");
    close_scene(&scene);
}

static void the_longest_idle_connection_makes_room_for_another_origin(void **state)
{
    struct scene scene;

    open_scene(&scene, &(struct httpclient_options){ .max_clients = 2 });
    fetch(&scene, "/hold");
    fetch(&scene, "/b");
    while (scene.done < 1 || scene.held_count == 0)
        testing_spin(scene.loop, 1);
    let_go(&scene);
    run_until_done(&scene, 2);
    assert_int_equal(httpclient_kept(scene.client), 2);
    fetch_from(&scene, scene.second_port, "/c");
    assert_int_equal(httpclient_kept(scene.client), 1);
    assert_int_equal(httpclient_connections(scene.client), 2);
    run_until_done(&scene, 3);
    assert_int_equal(scene.ok, 3);
    fetch(&scene, "/d"); /* the other one of that origin is still there */
    run_until_done(&scene, 4);
    assert_int_equal(scene.reused, 1);
    close_scene(&scene);
}

static void more_than_max_queue_are_refused(void **state)
{
    struct scene scene;

    open_scene(&scene, &(struct httpclient_options){ .max_clients = 1, .max_queue = 2 });
    assert_true(fetch(&scene, "/a") != 0);
    assert_true(fetch(&scene, "/b") != 0);
    assert_true(fetch(&scene, "/c") != 0);
    assert_int_equal(fetch(&scene, "/d"), 0);
    assert_int_equal(errno, EAGAIN);
    run_until_done(&scene, 3);
    assert_string_equal(scene.order, "abc");
    close_scene(&scene);
}

static void one_that_waits_can_be_cancelled_and_the_others_go_on(void **state)
{
    struct scene scene;

    open_scene(&scene, &(struct httpclient_options){ .max_clients = 1 });
    fetch(&scene, "/a");
    uint64_t second = fetch(&scene, "/b");
    fetch(&scene, "/c");
    httpclient_cancel(scene.client, second);
    assert_int_equal(scene.done, 0);
    assert_int_equal(httpclient_waiting(scene.client), 1);
    run_until_done(&scene, 3);
    assert_string_equal(scene.order, "bac");
    assert_int_equal(scene.ok, 2);
    close_scene(&scene);
}

/* Being kept. */

static void a_connection_that_is_not_used_is_closed_after_keep_time(void **state)
{
    struct scene scene;

    open_scene(&scene, &(struct httpclient_options){ .keep_time = 5 });
    fetch(&scene, "/a");
    run_until_done(&scene, 1);
    scene.clock += 4.8;
    testing_spin(scene.loop, 4);
    assert_int_equal(httpclient_kept(scene.client), 1);
    fetch(&scene, "/b");
    run_until_done(&scene, 2);
    assert_int_equal(scene.reused, 1);
    scene.clock += 4.8;
    testing_spin(scene.loop, 4);
    assert_int_equal(httpclient_kept(scene.client), 1);
    scene.clock += 0.4;
    testing_spin(scene.loop, 4);
    assert_int_equal(httpclient_kept(scene.client), 0);
    assert_int_equal(httpclient_connections(scene.client), 0);
    close_scene(&scene);
}

static void below_zero_no_connection_is_kept(void **state)
{
    struct scene scene;

    open_scene(&scene, &(struct httpclient_options){ .keep_time = -1 });
    fetch(&scene, "/a");
    run_until_done(&scene, 1);
    assert_int_equal(httpclient_connections(scene.client), 0);
    close_scene(&scene);
}

static void a_connection_is_used_max_uses_times(void **state)
{
    struct scene scene;

    open_scene(&scene, &(struct httpclient_options){ .max_uses = 3 });
    faults_count_reset();
    fetch(&scene, "/a");
    scene.to_go = 5;
    run_until_done(&scene, 6);
    assert_int_equal(faults_count("connect"), 2);
    assert_int_equal(httpclient_connections(scene.client), 0);
    close_scene(&scene);
}

static void a_connection_that_the_server_or_the_request_ends_is_not_kept(void **state)
{
    struct scene scene;
    struct httpheaders headers = { 0 };
    char url[64];

    open_scene(&scene, NULL);
    fetch(&scene, "/last");
    run_until_done(&scene, 1);
    assert_int_equal(httpclient_connections(scene.client), 0);
    assert_int_equal(httpheaders_set(&headers, "Connection", "close"), 0);
    url_of(&scene, url, 0, "/");
    httpclient_fetch(scene.client, &(struct httpclient_request){ .url = url, .headers = &headers }, on_response,
                     &scene);
    run_until_done(&scene, 2);
    assert_int_equal(scene.ok, 2);
    assert_int_equal(httpclient_connections(scene.client), 0);
    httpheaders_free(&headers);
    close_scene(&scene);
}

/* What makes connections different: a fetch with each of these needs one of its own. */
static void connections_are_shared_by_what_is_the_same_in_every_respect(void **state)
{
    struct scene scene;
    char url[64], upper[64], path[64];
    const struct httpclient_mapping mappings[] = { { "example.test", "127.0.0.1", 0 }, { NULL, NULL, 0 } };

    open_scene(&scene, &(struct httpclient_options){ .mappings = mappings });
    snprintf(path, sizeof path, "@test_httppool.%d", (int)getpid());
    assert_int_equal(httpserver_listen_unix(scene.server, path, 0), 0);
    snprintf(url, sizeof url, "http://example.test:%d/", scene.port);
    snprintf(upper, sizeof upper, "HTTP://Example.TEST:%d/", scene.port);
    const struct {
        struct httpclient_request request;
        int connections;
    } rows[] = {
        { { .url = url, .family = AF_INET }, 1 },
        { { .url = upper, .family = AF_INET }, 1 },
        { { .url = url, .family = AF_INET, .network_interface = "127.0.0.1" }, 2 },
        { { .url = url, .family = AF_INET, .network_interface = "127.0.0.2" }, 3 },
        { { .url = url, .unix_path = path }, 4 },
        { { .url = url, .proxy_host = "127.0.0.1", .proxy_port = scene.port }, 5 },
        { { .url = url, .proxy_host = "127.0.0.1", .proxy_port = scene.second_port }, 6 },
        { { .url = url, .proxy_host = "127.0.0.1", .proxy_port = scene.port, .proxy_username = "u" }, 7 },
        { { .url = url, .proxy_host = "127.0.0.1", .proxy_port = scene.port, .proxy_username = "v" }, 8 },
        { { .url = url,
            .proxy_host = "127.0.0.1",
            .proxy_port = scene.port,
            .proxy_username = "u",
            .proxy_password = "p" },
          9 },
        { { .url = url, .unix_path = path }, 9 },
        { { .url = url }, 10 },
        { { .url = url, .family = AF_INET, .unix_path = path }, 11 },
        { { .url = url, .family = AF_INET, .network_interface = "127.0.0.2" }, 11 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_true(httpclient_fetch(scene.client, &rows[i].request, on_response, &scene) != 0);
        run_until_done(&scene, (int)i + 1);
        assert_int_equal(httpclient_connections(scene.client), rows[i].connections);
    }
    close_scene(&scene);
}

static void many_origins_are_told_apart_and_forgotten(void **state)
{
    struct scene scene;
    char url[64];

    open_scene(&scene, NULL);
    for (int round = 0; round < 2; round++) {
        for (int i = 1; i <= 100; i++) {
            snprintf(url, sizeof url, "http://127.0.0.%d:%d/", i, scene.port);
            httpclient_fetch(scene.client, &(struct httpclient_request){ .url = url }, on_response, &scene);
        }
        run_until_done(&scene, 100 * (round + 1));
    }
    assert_int_equal(scene.ok, 200);
    assert_true(httpclient_connections(scene.client) <= 64);
    close_scene(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(ten_thousand_fetches_over_eight_connections_open_eight),
    cmocka_unit_test(fetches_over_the_limit_of_an_origin_wait_and_go_in_their_order),
    cmocka_unit_test(a_fetch_from_a_response_goes_behind_those_that_wait),
    cmocka_unit_test(an_origin_that_is_full_holds_up_no_other),
    cmocka_unit_test(one_whose_turn_comes_when_its_origin_is_full_lets_others_pass),
    cmocka_unit_test(one_of_an_origin_that_was_full_goes_before_what_came_later),
    cmocka_unit_test(the_longest_idle_connection_makes_room_for_another_origin),
    cmocka_unit_test(more_than_max_queue_are_refused),
    cmocka_unit_test(one_that_waits_can_be_cancelled_and_the_others_go_on),
    cmocka_unit_test(a_connection_that_is_not_used_is_closed_after_keep_time),
    cmocka_unit_test(below_zero_no_connection_is_kept),
    cmocka_unit_test(a_connection_is_used_max_uses_times),
    cmocka_unit_test(a_connection_that_the_server_or_the_request_ends_is_not_kept),
    cmocka_unit_test(connections_are_shared_by_what_is_the_same_in_every_respect),
    cmocka_unit_test(many_origins_are_told_apart_and_forgotten),
};

TESTING_MAIN(tests)
