/* tcpserver when it is full, and when something fails. */
#include "ioloop/tcpserver.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "ioloop/iostream.h"
#include "tests/support/faults.h"
#include "tests/support/tcpserverscene.h"
#include "tests/support/testing.h"

static void counts_streams_while_they_are_open(void **state)
{
    struct scene scene;

    begin(&scene, NULL);
    connect_clients(&scene, 3);
    for (int i = 0; i < 3; i++)
        assert_echo(&scene, i);
    assert_int_equal(tcpserver_connections(scene.server), 3);
    iostream_close(scene.streams[0]);
    assert_int_equal(tcpserver_connections(scene.server), 2); /* at once */
    close(scene.clients[1]);
    scene.clients[1] = scene.clients[--scene.client_count];
    testing_spin(scene.loop, 2);
    assert_int_equal(tcpserver_connections(scene.server), 1); /* whoever closes */
    end(&scene);
}

static void lets_connections_wait_when_it_is_full(void **state)
{
    struct scene scene;

    begin(&scene, &(struct tcpserver_options){ .max_connections = 2 });
    connect_clients(&scene, 5);
    faults_count_reset();
    testing_spin(scene.loop, 100);
    assert_int_equal(scene.handled, 2);
    assert_true(faults_count("accept4") <= 2); /* it does not look again and again */
    for (int i = 0; i < 5; i++)
        assert_int_equal(look(scene.clients[i]), 0);
    iostream_close(scene.streams[0]);
    testing_spin(scene.loop, 2);
    assert_int_equal(scene.handled, 3);
    iostream_close(scene.streams[1]);
    iostream_close(scene.streams[2]);
    testing_spin(scene.loop, 2);
    assert_int_equal(scene.handled, 5);
    assert_echo(&scene, 4);
    end(&scene);
}

static void asks_for_room_once_a_connection(void **state)
{
    struct scene scene;

    begin(&scene, &(struct tcpserver_options){ .max_connections = 2, .on_full = on_full });
    connect_clients(&scene, 2);
    testing_spin(scene.loop, 5);
    assert_int_equal(scene.full_calls, 0); /* nobody waits */
    connect_clients(&scene, 2);
    testing_spin(scene.loop, 100);
    assert_int_equal(scene.full_calls, 1);
    assert_int_equal(scene.handled, 2);
    iostream_close(scene.streams[0]);
    testing_spin(scene.loop, 5);
    assert_int_equal(scene.handled, 3);
    assert_int_equal(scene.full_calls, 2); /* for the one that still waits */
    end(&scene);
}

static void close_the_oldest(struct scene *scene)
{
    iostream_close(scene->streams[scene->full_calls - 1]);
}

static void makes_room_for_each_connection_by_closing_another(void **state)
{
    struct scene scene;

    begin(&scene, &(struct tcpserver_options){ .max_connections = 2, .on_full = on_full });
    scene.on_full = close_the_oldest;
    connect_clients(&scene, 5);
    testing_spin(scene.loop, 10);
    assert_int_equal(scene.handled, 5);
    assert_int_equal(scene.full_calls, 3);
    assert_int_equal(tcpserver_connections(scene.server), 2);
    for (int i = 0; i < 3; i++)
        assert_int_equal(look(scene.clients[i]), -1);
    assert_echo(&scene, 3);
    assert_echo(&scene, 4);
    end(&scene);
}

static void close_server_when_full(struct scene *scene)
{
    tcpserver_close(scene->server);
}

static void may_be_closed_when_it_is_full(void **state)
{
    struct scene scene;

    begin(&scene, &(struct tcpserver_options){ .max_connections = 1, .on_full = on_full, .on_close = on_close });
    scene.on_full = close_server_when_full;
    connect_clients(&scene, 3);
    testing_spin(scene.loop, 5);
    assert_int_equal(scene.handled, 1);
    assert_int_equal(scene.full_calls, 1);
    assert_int_equal(scene.close_calls, 1);
    assert_int_equal(look(scene.clients[2]), -1);
    assert_echo(&scene, 0);
    end(&scene);
}

static void stays_full_for_listeners_that_are_added(void **state)
{
    struct scene scene;

    begin(&scene, &(struct tcpserver_options){ .max_connections = 1 });
    connect_clients(&scene, 1);
    testing_spin(scene.loop, 2);
    scene.port = tcpserver_listen(scene.server, 0, &ipv4);
    connect_clients(&scene, 1);
    testing_spin(scene.loop, 5);
    assert_int_equal(scene.handled, 1);
    iostream_close(scene.streams[0]);
    testing_spin(scene.loop, 3);
    assert_int_equal(scene.handled, 2);
    end(&scene);
}

/* When something fails. */

static void rests_when_there_is_no_memory_for_a_stream(void **state)
{
    struct scene scene;

    begin(&scene, NULL);
    connect_clients(&scene, 1);
    testing_begin_logs();
    int fds = testing_count_fds();
    faults_allocation(1, false);
    testing_spin(scene.loop, 3);
    assert_true(faults_hit());
    assert_int_equal(scene.handled, 0);
    assert_int_equal(look(scene.clients[0]), -1);
    assert_int_equal(testing_count_fds(), fds);
    assert_int_equal(testing_logs("cannot accept connections"), 1);
    connect_clients(&scene, 1);
    testing_spin(scene.loop, 3);
    assert_int_equal(scene.handled, 0);
    scene.clock += 0.101;
    testing_spin(scene.loop, 1);
    assert_echo(&scene, 1);
    end(&scene);
}

static void ends_its_rest_when_a_connection_ends(void **state)
{
    struct scene scene;

    begin(&scene, NULL);
    connect_clients(&scene, 1);
    assert_echo(&scene, 0);
    testing_begin_logs();
    faults_system_call("accept4", EMFILE, 1);
    connect_clients(&scene, 1);
    testing_spin(scene.loop, 2);
    assert_true(faults_hit());
    assert_int_equal(look(scene.clients[1]), -1);
    connect_clients(&scene, 1);
    testing_spin(scene.loop, 2);
    assert_int_equal(scene.handled, 1);
    iostream_close(scene.streams[0]); /* a descriptor is free: there is no need to wait for the time */
    testing_spin(scene.loop, 1);
    assert_int_equal(scene.handled, 2);
    end(&scene);
}

struct baseline {
    int fds;
    long allocated;
};

/* A server, two clients, a stop; each part may fail, and then has to leave nothing. */
static void live_through(struct scene *scene)
{
    *scene = (struct scene){ .clock = 100 };
    scene->loop = ioloop_new(&(struct ioloop_options){ .clock = testing_clock, .clock_arg = &scene->clock });
    if (scene->loop == NULL)
        return;
    scene->server = tcpserver_new(scene->loop, handle_stream, scene,
                                  &(struct tcpserver_options){ .max_connections = 1, .on_close = on_close });
    scene->port = scene->server != NULL ? tcpserver_listen(scene->server, 0, &ipv4) : -1;
    for (int i = 0; i < 2 && scene->port > 0; i++) {
        int fd = connect_port(scene->port);
        if (fd >= 0) {
            scene->clients[scene->client_count++] = fd;
            (void)!send(fd, "x", 1, MSG_NOSIGNAL);
        }
    }
    for (int i = 0; i < 4; i++) {
        testing_step(scene->loop);
        scene->clock += 0.3;
    }
    if (scene->handled > 0 && scene->client_count > 0)
        shutdown(scene->clients[0], SHUT_WR);
    for (int i = 0; i < 4; i++)
        testing_step(scene->loop);
}

static void end_life(struct scene *scene, struct baseline baseline)
{
    bool has_server = scene->server != NULL;

    end(scene);
    assert_int_equal(scene->close_calls, has_server);
    assert_int_equal(testing_count_fds(), baseline.fds);
    assert_int_equal(faults_allocated(), baseline.allocated);
}

static struct baseline take_baseline(void)
{
    struct scene scene;
    struct baseline before = { testing_count_fds(), faults_allocated() };

    live_through(&scene);
    assert_int_equal(scene.handled, 2);
    end_life(&scene, before);
    testing_begin_logs();
    return before;
}

static void loses_nothing_when_a_call_fails(void **state)
{
    static const char *const calls[] = { "socket",        "setsockopt", "bind",       "listen",  "accept4",
                                         "epoll_create1", "epoll_ctl",  "epoll_wait", "eventfd", "fcntl",
                                         "getsockopt",    "recv",       "send",       "close" };
    static const int errors[] = { ENOMEM, EMFILE, ECONNRESET };
    struct baseline baseline = take_baseline();
    struct scene scene;

    for (size_t i = 0; i < sizeof calls / sizeof *calls * 3; i++) {
        bool hit = true;
        for (int nth = 1; hit && nth < 200; nth++) {
            faults_system_call(calls[i / 3], errors[i % 3], nth);
            /* The test's own sockets fail as well: then there are fewer clients. */
            live_through(&scene);
            hit = faults_hit();
            end_life(&scene, baseline);
        }
        assert_false(hit);
    }
}

static void loses_nothing_when_memory_is_short(void **state)
{
    struct baseline baseline = take_baseline();
    struct scene scene;

    for (int sticky = 0; sticky < 2; sticky++) {
        bool hit = true;
        for (int nth = 1; hit && nth < 500; nth++) {
            faults_allocation(nth, sticky);
            live_through(&scene);
            hit = faults_hit();
            end_life(&scene, baseline);
        }
        assert_false(hit);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(counts_streams_while_they_are_open),
    cmocka_unit_test(lets_connections_wait_when_it_is_full),
    cmocka_unit_test(asks_for_room_once_a_connection),
    cmocka_unit_test(makes_room_for_each_connection_by_closing_another),
    cmocka_unit_test(may_be_closed_when_it_is_full),
    cmocka_unit_test(stays_full_for_listeners_that_are_added),
    cmocka_unit_test(rests_when_there_is_no_memory_for_a_stream),
    cmocka_unit_test(ends_its_rest_when_a_connection_ends),
    cmocka_unit_test(loses_nothing_when_a_call_fails),
    cmocka_unit_test(loses_nothing_when_memory_is_short),
};

TESTING_MAIN(tests)
