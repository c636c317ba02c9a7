/* tcpserver: how many connections there are descriptors for. */
#include "ioloop/tcpserver.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ioloop/ioloop.h"
#include "ioloop/iostream.h"
#include "tests/support/tcpserverscene.h"
#include "tests/support/testing.h"

enum { CLIENTS = 90, OUT_OF_THE_WAY = 700 };

static rlim_t usual;

/* There are descriptors below this number; those above that are open stay so. 0: as ever. */
static void limit_descriptors(rlim_t most)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (usual == 0)
        usual = limit.rlim_cur;
    limit.rlim_cur = most != 0 ? most : usual;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* Which do not take numbers that the server has. */
static void connect_from_above(struct scene *scene)
{
    connect_clients(scene, CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        int fd = fcntl(scene->clients[i], F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);
        assert_true(fd >= OUT_OF_THE_WAY);
        close(scene->clients[i]);
        scene->clients[i] = fd;
    }
}

static void begin_limited(struct scene *scene, size_t max_connections, rlim_t most)
{
    limit_descriptors(most);
    begin(scene, &(struct tcpserver_options){ .max_connections = max_connections });
    limit_descriptors(0);
    connect_from_above(scene);
    limit_descriptors(most);
}

/* How many of the connections that wait are served. */
static int served(size_t max_connections, rlim_t most)
{
    struct scene scene;

    begin_limited(&scene, max_connections, most);
    testing_spin(scene.loop, 10);
    int handled = scene.handled;
    limit_descriptors(0);
    end(&scene);
    return handled;
}

static void some_are_spared_for_the_program(void **state)
{
    static const struct {
        size_t max_connections;
        rlim_t descriptors;
        int served;
    } cases[] = {
        { 0, 30, 16 },  { 0, 31, 16 },   { 0, 128, 65 },  { 0, 129, 65 },  { 0, 140, 76 }, { 0, 0, 90 },
        { 50, 30, 16 }, { 70, 133, 69 }, { 70, 134, 70 }, { 70, 135, 70 }, { 70, 0, 70 },  { 1, 30, 1 },
    };

    testing_begin_logs();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(served(cases[i].max_connections, cases[i].descriptors), cases[i].served);
    assert_int_equal(testing_logs("cannot accept"), 0);
    testing_end_logs();
}

static void who_asks_for_more_is_told_once(void **state)
{
    static const struct {
        size_t max_connections;
        rlim_t descriptors;
        int logs;
    } cases[] = {
        { 0, 100, 0 }, { 960, 1024, 0 }, { 961, 1024, 1 }, { 100000, 1024, 1 }, { 51, 100, 0 }, { 52, 100, 1 }
    };
    struct scene scene;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        testing_begin_logs();
        limit_descriptors(cases[i].descriptors);
        begin_idle(&scene, &(struct tcpserver_options){ .max_connections = cases[i].max_connections });
        assert_int_equal(testing_logs(NULL), 0); /* it may be raised until it listens */
        for (int listeners = 0; listeners < 2; listeners++)
            assert_true(tcpserver_listen(scene.server, 0, &ipv4) > 0);
        assert_int_equal(testing_logs("RLIMIT_NOFILE"), cases[i].logs);
        end(&scene);
        limit_descriptors(0);
        testing_end_logs();
    }
}

static void a_limit_that_was_raised_counts(void **state)
{
    struct scene scene;

    testing_begin_logs();
    begin_limited(&scene, 20, 30);
    testing_spin(scene.loop, 5);
    assert_int_equal(scene.handled, 16);
    limit_descriptors(0);
    iostream_close(scene.streams[0]);
    testing_spin(scene.loop, 5);
    assert_int_equal(scene.handled, 21);
    assert_int_equal(tcpserver_connections(scene.server), 20);
    end(&scene);
    testing_end_logs();
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(some_are_spared_for_the_program),
    cmocka_unit_test(who_asks_for_more_is_told_once),
    cmocka_unit_test(a_limit_that_was_raised_counts),
};

TESTING_MAIN(tests)
