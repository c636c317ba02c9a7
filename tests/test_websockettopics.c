#include "websocket/websockettopics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/faults.h"
#include "tests/support/socketscene.h"
#include "tests/support/testing.h"

static const struct websocket_handler plain = { .on_ping = socketscene_note_ping };

static void what_is_published_goes_to_those_who_have_subscribed(void **state)
{
    struct httpscene_client *clients[3];
    struct websocket *sockets[3];
    struct socketscene scene;

    socketscene_open(&scene, &plain);
    struct ioloop *loop = scene.web.http.loop;
    assert_int_equal(websocket_subscribers(loop, "a"), 0);
    assert_int_equal(websocket_publish(loop, "a", "x", 1, false, NULL), 0);
    for (int i = 0; i < 3; i++) {
        clients[i] = socketscene_connect(&scene, "");
        sockets[i] = scene.socket;
    }
    websocket_unsubscribe(sockets[0], "a");
    assert_int_equal(websocket_subscribe(sockets[0], "a"), 0);
    assert_int_equal(websocket_subscribe(sockets[0], "a"), 0);
    assert_int_equal(websocket_subscribe(sockets[1], "a"), 0);
    assert_int_equal(websocket_subscribe(sockets[1], "b"), 0);
    assert_int_equal(websocket_subscribers(loop, "a"), 2);
    assert_int_equal(websocket_publish(loop, "a", "one", 3, false, NULL), 2);
    assert_int_equal(websocket_publish(loop, "a", "two", 3, true, sockets[0]), 1);
    assert_int_equal(websocket_publish(loop, "b", "three", 5, false, sockets[2]), 1);
    assert_int_equal(websocket_publish(loop, "a", "\xff", 1, false, NULL), -EINVAL);
    assert_int_equal(websocket_publish(loop, "c", "x", 1, false, NULL), 0);
    socketscene_expect(&scene, clients[0], SOCKETSCENE_TEXT, "one");
    socketscene_expect(&scene, clients[1], SOCKETSCENE_TEXT, "one");
    socketscene_expect(&scene, clients[1], SOCKETSCENE_BINARY, "two");
    socketscene_expect(&scene, clients[1], SOCKETSCENE_TEXT, "three");
    httpscene_expect_nothing(&scene.web.http, clients[0]);
    httpscene_expect_nothing(&scene.web.http, clients[2]);
    websocket_unsubscribe(sockets[1], "a");
    websocket_unsubscribe(sockets[1], "a");
    websocket_unsubscribe(sockets[1], "never");
    assert_int_equal(websocket_subscribers(loop, "a"), 1);
    websocket_unsubscribe(sockets[0], "a");
    assert_int_equal(websocket_subscribers(loop, "a"), 0);
    assert_int_equal(websocket_publish(loop, "a", "x", 1, false, NULL), 0);
    assert_int_equal(websocket_subscribers(loop, "b"), 1);
    socketscene_close(&scene);
}

static void who_closes_leaves_its_topics(void **state)
{
    struct socketscene scene;

    socketscene_open(&scene, &plain);
    struct ioloop *loop = scene.web.http.loop;
    struct httpscene_client *client = socketscene_connect(&scene, "");
    struct websocket *first = scene.socket;
    assert_int_equal(websocket_subscribe(first, "a"), 0);
    assert_int_equal(websocket_subscribe(first, "b"), 0);
    socketscene_connect(&scene, "");
    assert_int_equal(websocket_subscribe(scene.socket, "a"), 0);
    websocket_close(first, 1000, NULL);
    assert_int_equal(websocket_publish(loop, "a", "x", 1, false, NULL), 1); /* nothing more can be sent to it */
    assert_int_equal(websocket_subscribe(first, "c"), -EBADF);
    socketscene_put_close(&scene, client, 1000, "");
    httpscene_hang_up(client);
    httpscene_settle(&scene.web.http);
    assert_int_equal(websocket_subscribers(loop, "a"), 1);
    assert_int_equal(websocket_subscribers(loop, "b"), 0);
    assert_int_equal(websocket_publish(loop, "a", "x", 1, false, scene.socket), 0);
    assert_int_equal(websocket_publish(loop, "a", "x", 1, false, NULL), 1);
    socketscene_close(&scene);
}

static void a_name_has_255_bytes_at_most(void **state)
{
    struct socketscene scene;
    char name[257];

    memset(name, 'a', 256);
    name[256] = '\0';
    socketscene_open(&scene, &plain);
    socketscene_connect(&scene, "");
    assert_int_equal(websocket_subscribe(scene.socket, name), -EINVAL);
    assert_int_equal(websocket_subscribe(scene.socket, name + 1), 0);
    assert_int_equal(websocket_subscribers(scene.web.http.loop, name + 1), 1);
    socketscene_close(&scene);
}

static void a_socket_may_have_64_topics(void **state)
{
    struct socketscene scene;
    char name[32];

    socketscene_open(&scene, &plain);
    socketscene_connect(&scene, "");
    for (int i = 0; i < WEBSOCKETTOPICS_MOST; i++) {
        snprintf(name, sizeof name, "topic %d", i);
        assert_int_equal(websocket_subscribe(scene.socket, name), 0);
    }
    assert_int_equal(websocket_subscribe(scene.socket, "one more"), -ENOBUFS);
    assert_int_equal(websocket_subscribers(scene.web.http.loop, "one more"), 0);
    assert_int_equal(websocket_subscribe(scene.socket, "topic 5"), 0);
    websocket_unsubscribe(scene.socket, "topic 5");
    assert_int_equal(websocket_subscribe(scene.socket, "one more"), 0);
    for (int i = 0; i < WEBSOCKETTOPICS_MOST; i++) {
        snprintf(name, sizeof name, "topic %d", i);
        assert_int_equal(websocket_subscribers(scene.web.http.loop, name), i != 5);
    }
    socketscene_close(&scene);
}

static void names_are_compared_whole(void **state)
{
    static const char *const names[] = { "", "a", "aa", "A", "a ", "\xff" };
    struct socketscene scene;

    socketscene_open(&scene, &plain);
    socketscene_connect(&scene, "");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(websocket_subscribers(scene.web.http.loop, names[i]), 0);
        assert_int_equal(websocket_subscribe(scene.socket, names[i]), 0);
        assert_int_equal(websocket_subscribers(scene.web.http.loop, names[i]), 1);
    }
    socketscene_close(&scene);
}

static void a_socket_without_topics_keeps_no_memory_of_them(void **state)
{
    struct socketscene scene;

    socketscene_open(&scene, &plain);
    socketscene_connect(&scene, "");
    assert_int_equal(websocket_subscribe(scene.socket, "a"), 0);
    websocket_unsubscribe(scene.socket, "a");
    size_t before = faults_allocated_bytes();
    assert_int_equal(websocket_subscribe(scene.socket, "a"), 0);
    websocket_unsubscribe(scene.socket, "a");
    assert_int_equal(faults_allocated_bytes(), before);
    socketscene_close(&scene);
}

static void publish_back(struct websocket *socket, const void *data, size_t length, bool is_binary)
{
    assert_true(websocket_publish(websocket_loop(socket), "room", data, length, is_binary, NULL) > 0);
}

static void subscribe_in_open(struct websocket *socket, struct web_request *request)
{
    assert_int_equal(websocket_subscribe(socket, "room"), 0);
}

static void a_room_hears_what_its_members_say_in_one_order(void **state)
{
    struct httpscene_client *clients[5];
    struct socketscene scene;

    socketscene_open(&scene, &(struct websocket_handler){ .open = subscribe_in_open, .on_message = publish_back });
    for (int i = 0; i < 5; i++)
        clients[i] = socketscene_connect(&scene, "");
    for (int i = 0; i < 5; i++) {
        char text[8] = { (char)('0' + i) };

        socketscene_put(&scene, clients[i], SOCKETSCENE_TEXT, text);
    }
    for (int i = 0; i < 5; i++) {
        for (int j = 0; j < 5; j++) {
            char text[8] = { (char)('0' + j) };

            socketscene_expect(&scene, clients[i], SOCKETSCENE_TEXT, text);
        }
    }
    socketscene_close(&scene);
}

static void leave_others(struct websocket *socket, int code, const char *reason)
{
    assert_int_equal(websocket_subscribers(websocket_loop(socket), "room"), 1);
    assert_int_equal(websocket_publish(websocket_loop(socket), "room", "left", 4, false, NULL), 1);
}

static void in_on_close_a_socket_has_left(void **state)
{
    struct socketscene scene;
    struct httpscene_client *stays =
        socketscene_begin(&scene, &(struct websocket_handler){ .open = subscribe_in_open, .on_close = leave_others });

    struct httpscene_client *leaves = socketscene_connect(&scene, "");
    socketscene_leave(&scene, leaves);
    socketscene_expect(&scene, stays, SOCKETSCENE_TEXT, "left");
    scene.on_close = NULL;
    socketscene_close(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_is_published_goes_to_those_who_have_subscribed),
    cmocka_unit_test(who_closes_leaves_its_topics),
    cmocka_unit_test(a_name_has_255_bytes_at_most),
    cmocka_unit_test(a_socket_may_have_64_topics),
    cmocka_unit_test(names_are_compared_whole),
    cmocka_unit_test(a_socket_without_topics_keeps_no_memory_of_them),
    cmocka_unit_test(a_room_hears_what_its_members_say_in_one_order),
    cmocka_unit_test(in_on_close_a_socket_has_left),
};

TESTING_MAIN(tests)
