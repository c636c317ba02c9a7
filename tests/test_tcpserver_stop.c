/* tcpserver_stop: whom the kernel has accepted by then is handed over, and not reset with the listener. */
#include "ioloop/tcpserver.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "ioloop/iostream.h"
#include "tests/support/faults.h"
#include "tests/support/tcpserverscene.h"
#include "tests/support/testing.h"

static void who_waits_is_handed_over_from_the_loop(void **state)
{
    struct scene scene;
    struct sockaddr_in own;

    begin(&scene, NULL);
    connect_clients(&scene, 3);
    tcpserver_stop(scene.server);
    assert_int_equal(scene.handled, 0);
    assert_int_equal(tcpserver_connections(scene.server), 0);
    assert_int_equal(connect_port(scene.port), -1); /* at once */
    for (int i = 0; i < 3; i++)
        assert_echo(&scene, i);
    assert_int_equal(scene.handled, 3);
    assert_int_equal(tcpserver_connections(scene.server), 3);
    assert_int_equal(getsockname(scene.clients[2], (struct sockaddr *)&own, &(socklen_t){ sizeof own }), 0);
    assert_int_equal(netutil_port((struct sockaddr *)&scene.peer), ntohs(own.sin_port));
    end(&scene);
}

/* In each iteration as many as a listener would have brought; more than one piece of memory has room for. */
static void many_are_handed_over_by_and_by(void **state)
{
    struct scene scene;

    begin(&scene, NULL);
    connect_clients(&scene, 90);
    tcpserver_stop(scene.server);
    testing_spin(scene.loop, 1);
    assert_int_equal(scene.handled, 64);
    testing_spin(scene.loop, 1);
    assert_int_equal(scene.handled, 90);
    for (int i = 0; i < 90; i++)
        assert_echo(&scene, i);
    end(&scene);
}

static void they_count_for_max_connections(void **state)
{
    struct scene scene;

    begin(&scene, &(struct tcpserver_options){ .max_connections = 3 });
    connect_clients(&scene, 1);
    assert_echo(&scene, 0);
    connect_clients(&scene, 4);
    tcpserver_stop(scene.server);
    tcpserver_stop(scene.server);
    testing_spin(scene.loop, 3);
    assert_int_equal(scene.handled, 3);
    assert_echo(&scene, 2);
    for (int i = 3; i < 5; i++)
        assert_int_equal(look(scene.clients[i]), -1);
    end(&scene);
}

static void those_who_were_taken_are_handed_over_before_it_is_closed(void **state)
{
    struct scene scene;

    begin(&scene, &(struct tcpserver_options){ .on_close = on_close });
    connect_clients(&scene, 70);
    tcpserver_stop(scene.server);
    tcpserver_close(scene.server);
    testing_spin(scene.loop, 1);
    assert_int_equal(scene.handled, 64);
    assert_int_equal(scene.close_calls, 0);
    testing_spin(scene.loop, 2);
    assert_int_equal(scene.handled, 70);
    assert_int_equal(scene.close_calls, 1);
    assert_echo(&scene, 69); /* streams live on without their server */
    end(&scene);
}

static void a_close_alone_takes_nobody(void **state)
{
    struct scene scene;

    begin(&scene, &(struct tcpserver_options){ .on_close = on_close });
    connect_clients(&scene, 2);
    tcpserver_close(scene.server);
    testing_spin(scene.loop, 3);
    assert_int_equal(scene.handled, 0);
    assert_int_equal(scene.close_calls, 1);
    assert_int_equal(look(scene.clients[0]), -1);
    end(&scene);
}

static void it_may_listen_and_stop_again(void **state)
{
    struct scene scene;

    begin(&scene, NULL);
    connect_clients(&scene, 1);
    tcpserver_stop(scene.server);
    scene.port = tcpserver_listen(scene.server, 0, &ipv4);
    assert_true(scene.port > 0);
    connect_clients(&scene, 1);
    tcpserver_stop(scene.server);
    assert_echo(&scene, 0);
    assert_echo(&scene, 1);
    end(&scene);
}

static void close_server_and_echo(struct scene *scene, struct iostream *stream)
{
    tcpserver_close(scene->server);
    assert_int_equal(iostream_set_consumer(stream, echo, NULL), 0);
}

static void the_callback_may_close_the_server(void **state)
{
    struct scene scene;

    begin(&scene, &(struct tcpserver_options){ .on_close = on_close });
    scene.on_stream = close_server_and_echo;
    connect_clients(&scene, 3);
    tcpserver_stop(scene.server);
    testing_spin(scene.loop, 3);
    assert_int_equal(scene.handled, 3);
    assert_int_equal(scene.close_calls, 1);
    assert_echo(&scene, 2);
    end(&scene);
}

static void close_loop(struct scene *scene, struct iostream *stream)
{
    ioloop_close(scene->loop, false);
}

/* Before or while they are handed over: nobody is told of those who are left, and no descriptor is. */
static void the_loop_may_close_first(void **state)
{
    for (int in_callback = 0; in_callback < 2; in_callback++) {
        struct scene scene;

        begin(&scene, &(struct tcpserver_options){ .on_close = on_close });
        connect_clients(&scene, 3);
        tcpserver_stop(scene.server);
        if (in_callback) {
            scene.on_stream = close_loop;
            assert_int_equal(ioloop_start(scene.loop), 0);
        } else {
            ioloop_close(scene.loop, false);
        }
        scene.loop = NULL;
        assert_int_equal(scene.handled, in_callback);
        assert_int_equal(scene.close_calls, 1);
        for (int i = 0; i < 3; i++)
            assert_int_equal(look(scene.clients[i]), -1);
        end(&scene);
    }
}

static void without_memory_or_descriptors_it_just_stops(void **state)
{
    struct scene scene;

    begin(&scene, NULL);
    connect_clients(&scene, 2);
    faults_allocation(1, false);
    tcpserver_stop(scene.server);
    assert_true(faults_hit());
    testing_spin(scene.loop, 2);
    assert_int_equal(scene.handled, 0);
    end(&scene);
    begin(&scene, NULL);
    connect_clients(&scene, 2);
    faults_system_call("accept4", ECONNABORTED, 1); /* one has left */
    tcpserver_stop(scene.server);
    assert_true(faults_hit());
    testing_spin(scene.loop, 2);
    assert_int_equal(scene.handled, 2);
    end(&scene);
    begin(&scene, NULL);
    connect_clients(&scene, 2);
    faults_system_call_sticky("accept4", EMFILE, 2);
    tcpserver_stop(scene.server);
    faults_end();
    testing_spin(scene.loop, 2);
    assert_int_equal(scene.handled, 1);
    end(&scene);
}

static socklen_t last_length;

static void note_length(struct tcpserver *server, struct iostream *stream, const struct sockaddr *address,
                        socklen_t length, void *arg)
{
    assert_int_equal(address->sa_family, length > 0 ? AF_INET : AF_UNSPEC);
    last_length = length;
    iostream_close(stream);
}

static void one_that_has_left_meanwhile_has_no_address(void **state)
{
    struct ioloop *loop = ioloop_new(NULL);

    for (int left = 0; left < 2; left++) {
        struct tcpserver *server = tcpserver_new(loop, note_length, NULL, NULL);
        int fd = connect_port(tcpserver_listen(server, 0, &ipv4));

        tcpserver_stop(server);
        if (left)
            faults_system_call("getpeername", ENOTCONN, 1);
        testing_spin(loop, 2);
        assert_true(!left || faults_hit());
        assert_int_equal(last_length, left ? 0 : sizeof(struct sockaddr_in));
        close(fd);
    }
    ioloop_close(loop, false);
}

static void a_listener_that_is_paused_is_asked_too(void **state)
{
    struct scene scene;

    begin(&scene, &(struct tcpserver_options){ .max_connections = 1, .on_full = on_full });
    connect_clients(&scene, 2);
    testing_spin(scene.loop, 3);
    assert_int_equal(scene.handled, 1);
    iostream_close(scene.streams[0]);
    tcpserver_stop(scene.server);
    testing_spin(scene.loop, 3);
    assert_int_equal(scene.handled, 2);
    assert_echo(&scene, 1);
    end(&scene);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(who_waits_is_handed_over_from_the_loop),
    cmocka_unit_test(many_are_handed_over_by_and_by),
    cmocka_unit_test(they_count_for_max_connections),
    cmocka_unit_test(those_who_were_taken_are_handed_over_before_it_is_closed),
    cmocka_unit_test(a_close_alone_takes_nobody),
    cmocka_unit_test(it_may_listen_and_stop_again),
    cmocka_unit_test(the_callback_may_close_the_server),
    cmocka_unit_test(the_loop_may_close_first),
    cmocka_unit_test(without_memory_or_descriptors_it_just_stops),
    cmocka_unit_test(one_that_has_left_meanwhile_has_no_address),
    cmocka_unit_test(a_listener_that_is_paused_is_asked_too),
};

TESTING_MAIN(tests)
