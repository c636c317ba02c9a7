/* A server whose connections go through a transport from outside, as TLS would: one a connection, made when it is
 * accepted. */
#include "ioloop/tcpserver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/faults.h"
#include "tests/support/testing.h"
#include "tests/support/veil.h"

enum { MOST = 8 };

struct scene {
    struct ioloop *loop;
    double clock;
    struct tcpserver *server;
    int port;
    const struct iostream_transport *transport;
    struct veil veils[MOST];
    int started, handled;
    int refusal; /* what start_transport answers */
};

static int start_transport(void *arg, const struct iostream_transport **transport, void **context)
{
    struct scene *scene = arg;

    if (scene->refusal != 0)
        return scene->refusal;
    assert_in_range(scene->started, 0, MOST - 1);
    *transport = scene->transport;
    *context = &scene->veils[scene->started++];
    return 0;
}

static size_t echo(struct iostream *stream, int error, const char *data, size_t length, void *arg)
{
    if (error < 0 || iostream_write(stream, data, length, NULL, NULL) < 0)
        iostream_close(stream);
    return length;
}

static void handle_stream(struct tcpserver *server, struct iostream *stream, const struct sockaddr *address,
                          socklen_t length, void *arg)
{
    struct scene *scene = arg;

    scene->handled++;
    if (iostream_set_consumer(stream, echo, NULL) < 0)
        iostream_close(stream);
}

static bool try_to_begin(struct scene *scene, const struct iostream_transport *transport)
{
    *scene = (struct scene){ .clock = 100, .transport = transport };
    scene->loop = ioloop_new(&(struct ioloop_options){ .clock = testing_clock, .clock_arg = &scene->clock });
    if (scene->loop != NULL)
        scene->server = tcpserver_new(
            scene->loop, handle_stream, scene,
            &(struct tcpserver_options){ .start_transport = start_transport, .start_transport_arg = scene });
    scene->port = scene->server != NULL
                      ? tcpserver_listen(scene->server, 0, &(struct netutil_bind_options){ .address = "127.0.0.1" })
                      : -1;
    return scene->port > 0;
}

static void begin(struct scene *scene, const struct iostream_transport *transport)
{
    assert_true(try_to_begin(scene, transport));
}

static void end(struct scene *scene)
{
    faults_end();
    if (scene->loop != NULL)
        ioloop_close(scene->loop, false);
    for (int i = 0; i < scene->started; i++)
        assert_int_equal(scene->veils[i].closes, 1);
}

static int connect_client(struct scene *scene)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)scene->port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* Runs the loop until the client has got this; "": the end. */
static void expect(struct scene *scene, int client, const char *text)
{
    char bytes[16] = "";
    ssize_t count;

    do {
        testing_turn(scene->loop, client);
        count = recv(client, bytes, sizeof bytes - 1, MSG_DONTWAIT);
    } while (count < 0 && errno == EAGAIN);
    assert_string_equal(bytes, text);
    assert_true(text[0] != '\0' || count == 0 || errno == ECONNRESET);
}

static void say(int client, const char *text)
{
    assert_int_equal(send(client, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void gives_each_connection_a_transport_of_its_own(void **state)
{
    struct scene scene;
    int clients[2];

    begin(&scene, &veil_greeting);
    scene.veils[1].rounds = 1;
    for (int i = 0; i < 2; i++)
        clients[i] = connect_client(&scene);
    say(clients[0], "abc");
    expect(&scene, clients[0], "abc"); /* changed twice */
    assert_int_equal(scene.veils[0].reads > 0, 1);
    expect(&scene, clients[1], "h");
    say(clients[1], "H");
    testing_spin(scene.loop, 2);
    say(clients[1], "def");
    expect(&scene, clients[1], "def");
    assert_int_equal(scene.started, 2);
    close(clients[0]);
    testing_spin(scene.loop, 3);
    assert_int_equal(scene.veils[0].closes, 1);
    assert_int_equal(scene.veils[1].closes, 0);
    assert_int_equal(tcpserver_connections(scene.server), 1);
    close(clients[1]);
    end(&scene);
}

/* The first bytes come with the connection, and none is read past the transport. */
static void reads_nothing_without_its_transport(void **state)
{
    static const struct iostream_transport *const transports[] = { &veil_plain, &veil_buffering, &veil_greeting };

    for (size_t i = 0; i < sizeof transports / sizeof *transports; i++) {
        struct scene scene;

        begin(&scene, transports[i]);
        int client = connect_client(&scene);
        say(client, "early");
        expect(&scene, client, "early");
        assert_true(scene.veils[0].reads > 0);
        close(client);
        end(&scene);
    }
}

static void closes_a_connection_that_gets_no_transport(void **state)
{
    static const int refusals[] = { -EACCES, EACCES, 1, -EMFILE };

    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct scene scene;
        int fds = testing_count_fds(), client;

        testing_begin_logs();
        begin(&scene, &veil_plain);
        scene.refusal = refusals[i];
        client = connect_client(&scene);
        expect(&scene, client, "");
        close(client);
        assert_int_equal(scene.handled, 0);
        assert_int_equal(testing_logs(NULL), 0);
        scene.refusal = 0; /* and the next is served at once */
        client = connect_client(&scene);
        say(client, "abc");
        expect(&scene, client, "abc");
        close(client);
        end(&scene);
        assert_int_equal(testing_count_fds(), fds);
    }
}

static void rests_when_there_is_no_memory_for_a_transport(void **state)
{
    struct scene scene;

    begin(&scene, &veil_plain);
    testing_begin_logs();
    scene.refusal = -ENOMEM;
    int client = connect_client(&scene);
    expect(&scene, client, "");
    close(client);
    assert_int_equal(testing_logs("cannot accept connections"), 1);
    scene.refusal = 0;
    client = connect_client(&scene);
    say(client, "abc");
    testing_spin(scene.loop, 3);
    assert_int_equal(scene.handled, 0);
    scene.clock += 0.101;
    expect(&scene, client, "abc");
    close(client);
    end(&scene);
}

/* What start_transport made is freed, also when there is no stream for it. */
static void loses_no_transport_when_memory_is_short(void **state)
{
    long allocated = faults_allocated();
    int fds = testing_count_fds(), lost = 0;
    bool hit = true;

    testing_begin_logs();
    for (int nth = 1; hit && nth < 100; nth++) {
        struct scene scene;

        faults_allocation(nth, false);
        if (try_to_begin(&scene, &veil_greeting)) {
            scene.veils[0].most = 10;
            int client = connect_client(&scene);
            (void)!send(client, "abc", 3, MSG_NOSIGNAL);
            for (int i = 0; i < 5; i++)
                ioloop_run_once(scene.loop, 0);
            close(client);
            for (int i = 0; i < 3; i++)
                ioloop_run_once(scene.loop, 0);
        }
        hit = faults_hit();
        lost += scene.started > scene.handled;
        end(&scene);
        assert_int_equal(testing_count_fds(), fds);
        assert_int_equal(faults_allocated(), allocated);
    }
    assert_false(hit);
    assert_true(lost > 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(gives_each_connection_a_transport_of_its_own),
    cmocka_unit_test(reads_nothing_without_its_transport),
    cmocka_unit_test(closes_a_connection_that_gets_no_transport),
    cmocka_unit_test(rests_when_there_is_no_memory_for_a_transport),
    cmocka_unit_test(loses_no_transport_when_memory_is_short),
};

TESTING_MAIN(tests)
